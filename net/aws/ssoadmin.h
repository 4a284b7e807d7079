/* net/aws/ssoadmin.h: shared by the files of sso-admin alone. */
#ifndef REGENT_NET_AWS_SSOADMIN_H
#define REGENT_NET_AWS_SSOADMIN_H

#include "net/aws/aws.h"
#include "net/ops/permset.h"
#include "store/model/account.h"
#include "store/model/assignment.h"
#include "store/model/request.h"

/** The ARN of a permission set. */
void rg_sso_put_permset_arn(const struct rg_call *call, struct rg_json_writer *j, const char *name, const struct rg_psid *id);
/** False when the ARN is not one of this instance. */
bool rg_sso_permset_id(const struct rg_call *call, struct rg_span arn, struct rg_psid *ret_id);
/** Begin to read and find the set that the member names. False: answered. */
bool rg_sso_permset(struct rg_call *call, const char *member, struct rg_txn **ret_txn, struct rg_permset *ret_permset);
/** Answer an error, if it is one; text: for RG_ENOTFOUND. */
bool rg_sso_failed(struct rg_call *call, enum rg_err err, const char *text);

/** Answer what is wrong with a permission set, or with a change of it. */
void rg_sso_refuse(struct rg_call *call, enum rg_err err, const struct rg_fault *fault);
/** Tags of a body that was checked. Their number. Borrow from the body. */
size_t rg_sso_tags(const json_t *list, struct rg_tag tags[RG_TAGS_MAX]);

extern const struct rg_shape rg_sso_tag;

/* ssoadmin_permset.c */
extern const struct rg_shape rg_sso_create_permset_shape[], rg_sso_permset_shape[], rg_sso_update_permset_shape[];
void rg_sso_create_permset(struct rg_call *call);
void rg_sso_describe_permset(struct rg_call *call);
void rg_sso_list_permsets(struct rg_call *call);
void rg_sso_update_permset(struct rg_call *call);
void rg_sso_delete_permset(struct rg_call *call);

/* ssoadmin_policy.c */
extern const struct rg_shape rg_sso_managed_shape[], rg_sso_list_managed_shape[], rg_sso_inline_shape[], rg_sso_list_tags_shape[],
    rg_sso_tag_shape[], rg_sso_untag_shape[];
void rg_sso_attach_managed(struct rg_call *call);
void rg_sso_detach_managed(struct rg_call *call);
void rg_sso_list_managed(struct rg_call *call);
void rg_sso_put_inline(struct rg_call *call);
void rg_sso_get_inline(struct rg_call *call);
void rg_sso_delete_inline(struct rg_call *call);
void rg_sso_list_tags(struct rg_call *call);
void rg_sso_change_tags(struct rg_call *call);

/* ssoadmin_assign.c */
extern const struct rg_shape rg_sso_assignment_shape[], rg_sso_list_assignments_shape[], rg_sso_list_for_principal_shape[],
    rg_sso_creation_status_shape[], rg_sso_deletion_status_shape[], rg_sso_list_status_shape[];
void rg_sso_create_assignment(struct rg_call *call);
void rg_sso_delete_assignment(struct rg_call *call);
void rg_sso_list_assignments(struct rg_call *call);
void rg_sso_list_for_principal(struct rg_call *call);
void rg_sso_describe_creation(struct rg_call *call);
void rg_sso_describe_deletion(struct rg_call *call);
void rg_sso_list_creation(struct rg_call *call);
void rg_sso_list_deletion(struct rg_call *call);

/* ssoadmin_provision.c */
extern const struct rg_shape rg_sso_provision_shape[], rg_sso_provision_status_shape[], rg_sso_accounts_of_set_shape[],
    rg_sso_sets_of_account_shape[];
void rg_sso_provision(struct rg_call *call);
void rg_sso_describe_provision(struct rg_call *call);
void rg_sso_list_provision(struct rg_call *call);
void rg_sso_accounts_of_set(struct rg_call *call);
void rg_sso_sets_of_account(struct rg_call *call);

#endif
