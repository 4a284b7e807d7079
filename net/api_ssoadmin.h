/* net/api_ssoadmin.h: shared by the two files of sso-admin alone. */
#ifndef REGENT_NET_API_SSOADMIN_H
#define REGENT_NET_API_SSOADMIN_H

#include "net/api_aws.h"
#include "store/permset.h"

/** The ARN of a permission set, with quotes. */
void rg_sso_put_permset_arn(struct rg_call *call, struct rg_buf *out, const struct rg_psid *id);
/** False when the ARN is not one of this instance. */
bool rg_sso_permset_id(struct rg_call *call, struct rg_span arn, struct rg_psid *ret_id);
/** Begin to read and find the set that the member names. False: answered. */
bool rg_sso_permset(struct rg_call *call, const char *member, struct rg_txn **ret_txn, struct rg_permset *ret_permset);
/** Answer an error, if it is one; text: for RG_ENOTFOUND. */
bool rg_sso_failed(struct rg_call *call, enum rg_err err, const char *text);
/** Close the list and the page, answer. */
void rg_sso_end_list(struct rg_call *call, struct rg_scan *scan, struct rg_page *page, enum rg_err err);

/* Assignments. */
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

#endif
