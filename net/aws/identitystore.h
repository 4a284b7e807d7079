/* net/aws/identitystore.h: shared by the files of identitystore alone. */
#ifndef REGENT_NET_AWS_IDENTITYSTORE_H
#define REGENT_NET_AWS_IDENTITYSTORE_H

#include "net/aws/aws.h"
#include "store/model/identity.h"

#define RG_IDS_TEXT(name) RG_TEXT_MEMBER(name, false, 1, 1024, RG_PAT_TEXT)
#define RG_IDS_FLAG(name) {name, RG_SHAPE_BOOL, false, 0, 0, RG_PAT_ANY, NULL, NULL, false}
#define RG_IDS_PATH RG_TEXT_MEMBER("AttributePath", true, 1, 255, RG_PAT_ATTRIBUTE_PATH)

/* Elements and members that several shapes have (identitystore.c). */
extern const struct rg_shape rg_idstore_external_id, rg_idstore_operation, rg_idstore_filter, rg_idstore_extension_name;
extern const struct rg_shape rg_idstore_get_id_shape[];

/** IdentityStoreId: how an object of an answer begins. */
void rg_idstore_put_store(const struct rg_call *call, struct rg_json_writer *j);
/** ExternalIds of a row, when it has any. */
void rg_idstore_put_external_ids(struct rg_json_writer *j, struct rg_span row);
void rg_idstore_put_audit(struct rg_json_writer *j, int64_t created_ms, int64_t updated_ms, struct rg_span created_by,
                          struct rg_span updated_by);
/** ExternalIds of a body: one that was checked, or made of a row. Their number. Borrow from the body. */
size_t rg_idstore_external_ids(const json_t *object, struct rg_external_id ids[RG_EXTERNAL_IDS_MAX]);
/** ExternalIds of a row into a body. False: no memory. */
bool rg_idstore_external_ids_of(json_t *object, struct rg_span row);
/** A member, unless text is empty. False: no memory. */
bool rg_idstore_set_text(json_t *object, const char *name, struct rg_span text);

/** The user or group that the id names. False: answered. */
bool rg_idstore_user(struct rg_call *call, struct rg_txn *txn, struct rg_span id, struct rg_user *ret_user);
bool rg_idstore_group(struct rg_call *call, struct rg_txn *txn, struct rg_span id, struct rg_group *ret_group);
/** Answer what is wrong with a user or group. name: path of its name, "userName" */
void rg_idstore_refuse(struct rg_call *call, enum rg_err err, const struct rg_fault *fault, const char *name);

/** Answer a create: identity store and `name`: the id in the reply. */
void rg_idstore_answer_created(struct rg_call *call, const char *name);
/** Answer a look-up by another name than the id. */
void rg_idstore_answer_found(struct rg_call *call, const char *name, const struct rg_uuid *id);

/* AlternateIdentifier of GetUserId and GetGroupId. */
struct rg_idstore_alternate {
    bool external;              /* issuer and value; else path and value */
    struct rg_span issuer, path, value;
};
/** False: answered. */
bool rg_idstore_alternate(struct rg_call *call, struct rg_idstore_alternate *ret);
/** Whether a path is this attribute, as AWS writes it ("userName") or as the filters of old have it ("UserName"). */
bool rg_idstore_path_is(struct rg_span path, const char *attribute);

/* Users or groups as they are listed. */
union rg_idstore_one {
    struct rg_user user;
    struct rg_group group;
};
struct rg_idstore_listed {
    const char *operation, *member, *name; /* "ListUsers", "Users", "UserName": the one attribute that a filter may name */
    enum rg_err (*by_name)(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id);
    enum rg_err (*get)(struct rg_txn *txn, const struct rg_uuid *id, union rg_idstore_one *ret);
    enum rg_err (*list)(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan);
    enum rg_err (*next)(struct rg_scan *scan, union rg_idstore_one *ret);
    void (*put)(struct rg_call *call, struct rg_json_writer *j, const union rg_idstore_one *one); /* the members of its object */
};
/** Answer a page of them, or the one that a filter names. */
void rg_idstore_list(struct rg_call *call, const struct rg_idstore_listed *listed);

/**
 * Apply input's Operations to an object of these members, and check what comes out of those they are about.
 * needed   member that must stay, as in "UserName"
 * False: answered.
 */
bool rg_idstore_update(struct rg_call *call, json_t *object, const struct rg_shape *members, const char *needed);

/* Operations: identitystore_user.c, _group.c, _member.c */
extern const struct rg_shape rg_idstore_create_user_shape[], rg_idstore_describe_user_shape[], rg_idstore_update_user_shape[],
    rg_idstore_delete_user_shape[], rg_idstore_list_users_shape[];
void rg_idstore_create_user(struct rg_call *call);
void rg_idstore_describe_user(struct rg_call *call);
void rg_idstore_update_user(struct rg_call *call);
void rg_idstore_delete_user(struct rg_call *call);
void rg_idstore_list_users(struct rg_call *call);
void rg_idstore_get_user_id(struct rg_call *call);

extern const struct rg_shape rg_idstore_create_group_shape[], rg_idstore_group_shape[], rg_idstore_update_group_shape[],
    rg_idstore_list_groups_shape[];
void rg_idstore_create_group(struct rg_call *call);
void rg_idstore_describe_group(struct rg_call *call);
void rg_idstore_update_group(struct rg_call *call);
void rg_idstore_delete_group(struct rg_call *call);
void rg_idstore_list_groups(struct rg_call *call);
void rg_idstore_get_group_id(struct rg_call *call);

extern const struct rg_shape rg_idstore_pair_shape[], rg_idstore_membership_shape[], rg_idstore_list_members_shape[],
    rg_idstore_list_groups_of_shape[], rg_idstore_is_member_shape[];
void rg_idstore_create_membership(struct rg_call *call);
void rg_idstore_describe_membership(struct rg_call *call);
void rg_idstore_delete_membership(struct rg_call *call);
void rg_idstore_get_membership_id(struct rg_call *call);
void rg_idstore_list_members(struct rg_call *call);
void rg_idstore_list_groups_of(struct rg_call *call);
void rg_idstore_is_member(struct rg_call *call);

#endif
