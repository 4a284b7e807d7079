/* net/aws/aws.h: what the operations of the AWS JSON interfaces share. */
#ifndef REGENT_NET_AWS_AWS_H
#define REGENT_NET_AWS_AWS_H

#include "net/aws/shape.h"
#include "net/aws/paging.h"
#include "net/ops/input.h"

/** POST / with X-Amz-Target. */
extern const struct rg_interface rg_aws_interface;
extern const struct rg_service rg_identitystore_service, rg_ssoadmin_service;

/* Shapes' members: a string, and those that many shapes have. */
#define RG_TEXT_MEMBER(name, required, min, max, pattern) {name, RG_SHAPE_STRING, required, min, max, pattern, NULL, NULL, false}
#define RG_ENUM_MEMBER(name, required, values) {name, RG_SHAPE_STRING, required, 0, 0, RG_PAT_ANY, values, NULL, false}
#define RG_LIST_MEMBER(name, required, min, max, of) {name, RG_SHAPE_LIST, required, min, max, RG_PAT_ANY, NULL, of, false}
#define RG_STRUCT_MEMBER(name, required, of) {name, RG_SHAPE_STRUCT, required, 0, 0, RG_PAT_ANY, NULL, of, false}
#define RG_UNION_MEMBER(name, of) {name, RG_SHAPE_STRUCT, true, 0, 0, RG_PAT_ANY, NULL, of, true}
#define RG_DOCUMENT_MEMBER(name, required) {name, RG_SHAPE_DOCUMENT, required, 0, 0, RG_PAT_ANY, NULL, NULL, false}
#define RG_SHAPE_STORE_ID RG_TEXT_MEMBER("IdentityStoreId", true, 1, 36, RG_PAT_STORE_ID)
#define RG_SHAPE_INSTANCE RG_TEXT_MEMBER("InstanceArn", true, 10, 1224, RG_PAT_INSTANCE_ARN)
#define RG_SHAPE_PERMSET RG_TEXT_MEMBER("PermissionSetArn", true, 10, 1224, RG_PAT_PERMSET_ARN)
#define RG_SHAPE_MAX_RESULTS {"MaxResults", RG_SHAPE_INT, false, 1, 100, RG_PAT_ANY, NULL, NULL, false}
#define RG_SHAPE_STORE_TOKEN RG_TEXT_MEMBER("NextToken", false, 1, 65535, RG_PAT_STORE_TOKEN)
#define RG_SHAPE_TOKEN RG_TEXT_MEMBER("NextToken", false, 0, 2048, RG_PAT_TOKEN)
#define RG_SHAPE_ID(name, required) RG_TEXT_MEMBER(name, required, 1, 47, RG_PAT_RESOURCE_ID)
#define RG_SHAPE_END {NULL, RG_SHAPE_STRING, false, 0, 0, RG_PAT_ANY, NULL, NULL, false}

/** A UUID of a text that was checked (the optional prefix dropped). */
struct rg_uuid rg_aws_id_of(struct rg_span text);
struct rg_uuid rg_aws_id(const json_t *object, const char *name);
/** Who asks: the author of a command. Borrow from the call. */
struct rg_author rg_aws_author(const struct rg_call *call);

/* Answers are one JSON object each, written with j into call->out. */
/** Begin it. What call->out holds goes: a command's continuation begins anew. */
void rg_aws_begin(struct rg_call *call, struct rg_json_writer *j);
/** End it and answer (consume). */
void rg_aws_answer(struct rg_call *call, struct rg_json_writer *j);

/** Answer a broken rule of ours, worded as a broken constraint of the model. path: "userName" */
void rg_aws_invalid(struct rg_call *call, const char *path, const char *rule);
/** Answer a failed read, if it is one. RG_ENOTFOUND: type (USER, GROUP …, or NULL), id as the request had it, text. */
bool rg_aws_failed(struct rg_call *call, enum rg_err err, const char *type, struct rg_span id, const char *text);
/** Answer what apply refused, in the words of the service. */
void rg_aws_refused(struct rg_call *call, const struct rg_reply *reply);
/** Continuation of writes that answer `{}`. */
void rg_aws_answer_empty(struct rg_call *call);

#endif
