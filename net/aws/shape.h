/* net/aws/shape.h: the shapes of AWS operations: a table says what a member must be, one walk checks a whole body against it.
 * Source of the constraints: the services' models (identitystore 2020-06-15, sso-admin 2020-07-20). */
#ifndef REGENT_NET_AWS_SHAPE_H
#define REGENT_NET_AWS_SHAPE_H

#include "base/json.h"

enum { RG_DOCUMENT_DEPTH_MAX = 32 }; /* of a document inside a body */

/* What a string's code points must be. */
enum rg_pattern {
    RG_PAT_ANY,
    RG_PAT_TEXT,       /* letters, marks, symbols, numbers, punctuation, tab, line ends, spaces */
    RG_PAT_GROUP_NAME, /* the same without the ideographic space */
    RG_PAT_NAME,       /* the same without any white space: user names, issuers, external ids */
    RG_PAT_STORE_ID,
    RG_PAT_RESOURCE_ID, /* UUID, with an optional <10 hex>- before it */
    RG_PAT_UUID,
    RG_PAT_ATTRIBUTE_PATH,
    RG_PAT_EXTENSION,
    RG_PAT_TOKEN,       /* NextToken of sso-admin */
    RG_PAT_STORE_TOKEN, /* NextToken of identitystore: ':' too */
    RG_PAT_INSTANCE_ARN,
    RG_PAT_PERMSET_ARN,
    RG_PAT_MANAGED_POLICY_ARN,
    RG_PAT_TAGGABLE_ARN,
    RG_PAT_PERMSET_NAME,
    RG_PAT_DESCRIPTION, /* of a permission set: Latin-1 */
    RG_PAT_POLICY,      /* inline policies */
    RG_PAT_DURATION,    /* ISO 8601 */
    RG_PAT_RELAY_STATE,
    RG_PAT_ACCOUNT_ID,
    RG_PAT_REGION,
    RG_PAT_TAG,
    RG_PATTERNS
};
/** Whether text (UTF-8) is of the pattern; length apart. (pattern.c) */
bool rg_pattern_matches(enum rg_pattern pattern, struct rg_span text);
/** The pattern as the model writes it. Static string. */
const char *rg_pattern_text(enum rg_pattern pattern);

enum rg_shape_kind {
    RG_SHAPE_STRING,
    RG_SHAPE_BOOL,
    RG_SHAPE_INT, /* 32 bits */
    RG_SHAPE_LIST,
    RG_SHAPE_STRUCT,
    RG_SHAPE_MAP, /* `pattern` is the keys' */
    RG_SHAPE_DOCUMENT,
};

/* A member, or (without a name) a list's or map's element. Arrays of members end with a zeroed one. */
struct rg_shape {
    const char *name;
    enum rg_shape_kind kind;
    bool required;
    unsigned min, max; /* code points of a string, elements of a list or map, or the number itself; max 0: no bound */
    enum rg_pattern pattern;
    const char *const *values; /* an enumeration, ended by NULL */
    const struct rg_shape *of; /* STRUCT: members; LIST, MAP: one element */
    bool one_of;               /* STRUCT: a union: exactly one member */
};

/**
 * Check a body against the members of an input shape. Members that the shape does not have are ignored; null counts as absent.
 * RG_EMALFORMED, when a JSON type is wrong anywhere; else RG_EINVALID, worded as AWS words it: every broken constraint with
 * the path of its member ("Value at 'emails.1.member.value' failed to satisfy constraint: …").
 */
RG_MUST enum rg_err rg_shape_check(const struct rg_shape *members, const json_t *body, struct rg_errctx *ctx);
/** Write a checked value as compact JSON: the members of the shape that are there, in the shape's order, and no others. */
void rg_shape_put(struct rg_buf *out, const struct rg_shape *shape, const json_t *value);
/** The same with the members that the shape does not have behind those it has, at every depth. */
void rg_shape_put_all(struct rg_buf *out, const struct rg_shape *shape, const json_t *value);
/** The message of one broken constraint, for rules that the model does not state. */
enum rg_err rg_shape_broken(struct rg_errctx *ctx, const char *path, const char *rule);

#endif
