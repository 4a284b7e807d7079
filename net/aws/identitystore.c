/* identitystore, API version 2020-06-15: what its files share, and the table of its operations. */
#include "net/aws/identitystore.h"

#include <stdio.h>

enum { PATH_BYTES_MAX = 4 * 255 + 1 }; /* AttributePath: 255 code points */

static const struct rg_shape external_id_members[] = {RG_TEXT_MEMBER("Issuer", true, 1, 256, RG_PAT_NAME),
                                                      RG_TEXT_MEMBER("Id", true, 1, 256, RG_PAT_NAME), RG_SHAPE_END};
const struct rg_shape rg_idstore_external_id = RG_STRUCT_MEMBER(NULL, false, external_id_members);
static const struct rg_shape operation_members[] = {RG_IDS_PATH, RG_DOCUMENT_MEMBER("AttributeValue", false), RG_SHAPE_END};
const struct rg_shape rg_idstore_operation = RG_STRUCT_MEMBER(NULL, false, operation_members);
static const struct rg_shape filter_members[] = {RG_IDS_PATH, RG_TEXT_MEMBER("AttributeValue", true, 1, 1024, RG_PAT_TEXT),
                                                 RG_SHAPE_END};
const struct rg_shape rg_idstore_filter = RG_STRUCT_MEMBER(NULL, false, filter_members);
const struct rg_shape rg_idstore_extension_name = RG_TEXT_MEMBER(NULL, false, 1, 50, RG_PAT_EXTENSION);
static const struct rg_shape unique_members[] = {RG_IDS_PATH, RG_DOCUMENT_MEMBER("AttributeValue", true), RG_SHAPE_END};
static const struct rg_shape alternate_members[] = {RG_STRUCT_MEMBER("ExternalId", false, external_id_members),
                                                    RG_STRUCT_MEMBER("UniqueAttribute", false, unique_members), RG_SHAPE_END};
const struct rg_shape rg_idstore_get_id_shape[] = {RG_SHAPE_STORE_ID, RG_UNION_MEMBER("AlternateIdentifier", alternate_members),
                                               RG_SHAPE_END};

/* ---- objects in answers ---- */

void rg_idstore_put_store(const struct rg_call *call, struct rg_json_writer *j)
{
    rg_json_span_if_any(j, "IdentityStoreId", rg_span_str(call->api->identity_store_id));
}

void rg_idstore_put_external_ids(struct rg_json_writer *j, struct rg_span row)
{
    struct rg_external_id one;
    struct rg_cursor cur;
    bool any = false;

    rg_cursor_init(&cur, row);
    while (rg_external_id_next(&cur, &one)) {
        if (!any)
            rg_json_array(j, "ExternalIds");
        any = true;
        rg_json_object(j, NULL);
        rg_json_span_if_any(j, "Issuer", one.issuer);
        rg_json_span_if_any(j, "Id", one.id);
        rg_json_end(j);
    }
    if (any)
        rg_json_end(j);
}

void rg_idstore_put_audit(struct rg_json_writer *j, int64_t created_ms, int64_t updated_ms, struct rg_span created_by,
                          struct rg_span updated_by)
{
    rg_json_seconds(j, "CreatedAt", created_ms);
    rg_json_seconds(j, "UpdatedAt", updated_ms > 0 ? updated_ms : created_ms);
    rg_json_span_if_any(j, "CreatedBy", created_by);
    rg_json_span_if_any(j, "UpdatedBy", updated_by.n > 0 ? updated_by : created_by);
}

/* ---- external ids ---- */

size_t rg_idstore_external_ids(const json_t *object, struct rg_external_id ids[RG_EXTERNAL_IDS_MAX])
{
    const json_t *list = json_object_get(object, "ExternalIds");
    size_t n = json_array_size(list);

    RG_ASSERT(n <= RG_EXTERNAL_IDS_MAX); /* a shape was checked, or it is a row's */
    for (size_t i = 0; i < n; i++) {
        const json_t *row = json_array_get(list, i);

        ids[i] = (struct rg_external_id){rg_json_text(row, "Issuer"), rg_json_text(row, "Id")};
    }
    return n;
}

bool rg_idstore_set_text(json_t *object, const char *name, struct rg_span text)
{
    return text.n == 0 || json_object_set_new(object, name, json_stringn((const char *)text.p, text.n)) == 0;
}

bool rg_idstore_external_ids_of(json_t *object, struct rg_span row)
{
    json_t *list = json_array();
    struct rg_external_id external;
    struct rg_cursor cur;

    rg_cursor_init(&cur, row);
    while (rg_external_id_next(&cur, &external)) {
        json_t *one = json_object();

        if (!rg_idstore_set_text(one, "Issuer", external.issuer) || !rg_idstore_set_text(one, "Id", external.id)) {
            json_decref(one);
            one = NULL;
        }
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            return false;
        }
    }
    if (json_array_size(list) > 0)
        return json_object_set_new(object, "ExternalIds", list) == 0;
    json_decref(list);
    return true;
}

/* ---- steps of several operations ---- */

bool rg_idstore_user(struct rg_call *call, struct rg_txn *txn, struct rg_span id, struct rg_user *ret_user)
{
    struct rg_uuid uuid = rg_aws_id_of(id);

    return !rg_aws_failed(call, rg_user_get(txn, &uuid, ret_user), "USER", id, "User not found.");
}

bool rg_idstore_group(struct rg_call *call, struct rg_txn *txn, struct rg_span id, struct rg_group *ret_group)
{
    struct rg_uuid uuid = rg_aws_id_of(id);

    return !rg_aws_failed(call, rg_group_get(txn, &uuid, ret_group), "GROUP", id, "Group not found.");
}

void rg_idstore_refuse(struct rg_call *call, enum rg_err err, const struct rg_fault *fault, const char *name)
{
    if (fault->field == RG_F_NAME && fault->rule == RG_RULE_MISSING) /* the model does not say so */
        rg_aws_invalid(call, name, "Member must not be null");
    else if (fault->field == RG_F_NAME && fault->rule == RG_RULE_RESERVED)
        rg_aws_invalid(call, name, "Administrator and AWSAdministrators are reserved names");
    else
        rg_call_fail(call, err, NULL);
}

void rg_idstore_answer_created(struct rg_call *call, const char *name)
{
    if (call->proposal.reply.err)
        rg_aws_refused(call, &call->proposal.reply);
    else
        rg_idstore_answer_found(call, name, &call->proposal.reply.id);
}

void rg_idstore_answer_found(struct rg_call *call, const char *name, const struct rg_uuid *id)
{
    struct rg_json_writer j;

    rg_aws_begin(call, &j);
    rg_idstore_put_store(call, &j);
    rg_json_uuid(&j, name, id);
    rg_aws_answer(call, &j);
}

bool rg_idstore_alternate(struct rg_call *call, struct rg_idstore_alternate *ret)
{
    const json_t *alternate = json_object_get(call->input, "AlternateIdentifier");
    const json_t *external = json_object_get(alternate, "ExternalId"), *unique = json_object_get(alternate, "UniqueAttribute");

    *ret = (struct rg_idstore_alternate){.external = json_is_object(external)};
    if (ret->external) {
        ret->issuer = rg_json_text(external, "Issuer");
        ret->value = rg_json_text(external, "Id");
        return true;
    }
    ret->path = rg_json_text(unique, "AttributePath");
    ret->value = rg_json_text(unique, "AttributeValue");
    if (ret->value.n > 0)
        return true;
    rg_aws_invalid(call, "alternateIdentifier.uniqueAttribute.attributeValue", "Member must be a string, not an empty one");
    return false;
}

/* The filter of a list, at most one. */
static bool filter_of(const struct rg_call *call, struct rg_span *ret_path, struct rg_span *ret_value)
{
    const json_t *row = json_array_get(json_object_get(call->input, "Filters"), 0);

    *ret_path = rg_json_text(row, "AttributePath");
    *ret_value = rg_json_text(row, "AttributeValue");
    return row != NULL;
}

bool rg_idstore_path_is(struct rg_span path, const char *attribute)
{
    return path.n > 0 && path.n == strlen(attribute) && (path.p[0] | 0x20) == (attribute[0] | 0x20) &&
           memcmp(path.p + 1, attribute + 1, path.n - 1) == 0;
}

/* ---- lists ---- */

static void put_one(struct rg_call *call, struct rg_json_writer *j, const struct rg_idstore_listed *listed, const union rg_idstore_one *one)
{
    rg_json_object(j, NULL);
    listed->put(call, j, one);
    rg_json_end(j);
}

/* The one that a filter names, or none. */
static enum rg_err put_named(struct rg_call *call, struct rg_json_writer *j, struct rg_txn *txn, const struct rg_idstore_listed *listed,
                             struct rg_span name)
{
    union rg_idstore_one one;
    struct rg_uuid id;
    enum rg_err err = listed->by_name(txn, name, &id);

    if (!err)
        err = listed->get(txn, &id, &one);
    if (!err)
        put_one(call, j, listed, &one);
    return err;
}

void rg_idstore_list(struct rg_call *call, const struct rg_idstore_listed *listed)
{
    _Static_assert(offsetof(struct rg_user, id) == 0 && offsetof(struct rg_group, id) == 0, "either's id is the one's");
    struct rg_scan scan = {.cursor = NULL};
    struct rg_span path, value;
    union rg_idstore_one one;
    struct rg_json_writer *j;
    struct rg_page page;
    struct rg_txn *txn;
    struct rg_uuid id;
    enum rg_err err;
    bool filtered = filter_of(call, &path, &value);

    if (filtered && !rg_idstore_path_is(path, listed->name)) {
        char rule[64];

        snprintf(rule, sizeof rule, "Member must be %s", listed->name);
        rg_aws_invalid(call, "filters.1.member.attributePath", rule);
        return;
    }
    if (!rg_page_begin(call, listed->operation, &page) || rg_call_txn(call, &txn) != RG_OK)
        return;
    j = rg_page_list(call, &page, listed->member);
    err = filtered ? put_named(call, j, txn, listed, value) : listed->list(txn, rg_page_after_id(&page, &id), &scan);
    while (!filtered && !err && (err = listed->next(&scan, &one)) == RG_OK &&
           !rg_page_full(&page, rg_span(one.user.id.b, sizeof one.user.id.b)))
        put_one(call, j, listed, &one);
    rg_page_answer(call, &page, &scan, err);
}

/* ---- updates ---- */

static json_t *shaped(const struct rg_shape *shape, const json_t *value);

static bool shape_list(const struct rg_shape *element, const json_t *value, json_t *copy)
{
    for (size_t i = 0; i < json_array_size(value); i++)
        if (json_array_append_new(copy, shaped(element, json_array_get(value, i))) != 0)
            return false;
    return true;
}

static bool shape_members(const struct rg_shape *members, const json_t *value, json_t *copy)
{
    for (const struct rg_shape *m = members; m->name != NULL; m++) {
        const json_t *inner = json_object_get(value, m->name);
        char name[64];

        if (inner == NULL) {
            snprintf(name, sizeof name, "%c%s", m->name[0] | 0x20, m->name + 1);
            inner = json_object_get(value, name);
        }
        if (inner != NULL && !json_is_null(inner) && json_object_set_new(copy, m->name, shaped(m, inner)) != 0)
            return false;
    }
    return true;
}

/* A value for this member as a body would have it: inside of an AttributeValue names are camelCase, in our shapes they begin
 * with a capital. Members that the shape does not have are dropped; a wrong type stays, for the check of the outcome to tell.
 * NULL: no memory. */
static json_t *shaped(const struct rg_shape *shape, const json_t *value)
{
    bool list = shape->kind == RG_SHAPE_LIST && json_is_array(value),
         object = shape->kind == RG_SHAPE_STRUCT && json_is_object(value);
    json_t *copy = list ? json_array() : object ? json_object() : json_deep_copy(value);

    if ((list && !shape_list(shape->of, value, copy)) || (object && !shape_members(shape->of, value, copy))) {
        json_decref(copy);
        return NULL;
    }
    return copy;
}

/* Set a member, or with NULL or null unset it. */
static enum rg_err set_member(json_t *object, const struct rg_shape *shape, const char *name, const json_t *value)
{
    json_t *copy;

    if (value == NULL || json_is_null(value)) {
        (void)json_object_del(object, name); /* may be absent already */
        return RG_OK;
    }
    copy = shape != NULL ? shaped(shape, value) : json_deep_copy(value);
    return json_object_set_new(object, name, copy) == 0 ? RG_OK : RG_ENOMEM;
}

static const struct rg_shape *member_of(const struct rg_shape *members, const char *name)
{
    for (const struct rg_shape *m = members; m->name != NULL; m++)
        if (strcmp(m->name, name) == 0)
            return m;
    return NULL;
}

/* Set something inside of a member that is an object, which comes and goes with what is in it. rest: a path, or with
 * members NULL a name. */
static enum rg_err set_path(json_t *object, const struct rg_shape *members, struct rg_span path, const json_t *value);
static enum rg_err set_inside(json_t *object, const char *name, const struct rg_shape *members, struct rg_span rest,
                              const json_t *value)
{
    json_t *inner = json_object_get(object, name);
    char key[PATH_BYTES_MAX] = "";
    enum rg_err err;

    if (!json_is_object(inner)) {
        inner = json_object();
        if (json_object_set_new(object, name, inner) != 0)
            return RG_ENOMEM;
    }
    memcpy(key, rest.p, rest.n);
    err = members != NULL ? set_path(inner, members, rest, value) : set_member(inner, NULL, key, value);
    if (json_object_size(inner) == 0)
        (void)json_object_del(object, name);
    return err;
}

/* The member that a path is of or in; ret_n: how many bytes of the path name it. NULL: there is none. */
static const struct rg_shape *top_of(const struct rg_shape *members, struct rg_span path, size_t *ret_n)
{
    const uint8_t *dot = memchr(path.p, '.', path.n);
    char name[PATH_BYTES_MAX] = "";

    RG_ASSERT(path.n < sizeof name);
    *ret_n = dot != NULL ? (size_t)(dot - path.p) : path.n;
    if (memchr(path.p, ':', path.n) != NULL) /* an extension, whole: aws:identitystore:enterprise */
        return dot == NULL ? member_of(members, "Extensions") : NULL;
    memcpy(name, path.p, *ret_n);
    if (name[0] >= 'a' && name[0] <= 'z')
        name[0] = (char)(name[0] - 32); /* "displayName" → "DisplayName" */
    return member_of(members, name);
}

/* Set one path of the object. RG_ENOTFOUND: there is no such attribute. */
static enum rg_err set_path(json_t *object, const struct rg_shape *members, struct rg_span path, const json_t *value)
{
    size_t n;
    const struct rg_shape *member = top_of(members, path, &n);

    if (member == NULL || (n < path.n && member->kind != RG_SHAPE_STRUCT))
        return RG_ENOTFOUND;
    if (member->kind == RG_SHAPE_MAP)
        return set_inside(object, member->name, NULL, path, value);
    if (n == path.n)
        return set_member(object, member, member->name, value);
    return set_inside(object, member->name, member->of, rg_span(path.p + n + 1, path.n - n - 1), value);
}

/* Check what the operations were about, and nothing else: what other interfaces keep may be more than this one lets in. */
static enum rg_err check_touched(const json_t *object, const struct rg_shape *members, const json_t *operations, struct rg_errctx *ctx)
{
    json_t *touched = json_object();
    enum rg_err err = RG_OK;
    size_t n;

    for (size_t i = 0; !err && i < json_array_size(operations); i++) {
        const char *name = top_of(members, rg_json_text(json_array_get(operations, i), "AttributePath"), &n)->name;
        json_t *value = json_object_get(object, name);

        if (value != NULL && json_object_set(touched, name, value) != 0)
            err = RG_ENOMEM;
    }
    if (!err)
        err = rg_shape_check(members, touched, ctx);
    json_decref(touched);
    return err;
}

bool rg_idstore_update(struct rg_call *call, json_t *object, const struct rg_shape *members, const char *needed)
{
    const json_t *operations = json_object_get(call->input, "Operations");
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;
    json_t *row;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)operations, i, row)
    {
        struct rg_span path = rg_json_text(row, "AttributePath");

        err = set_path(object, members, path, json_object_get(row, "AttributeValue"));
        if (err == RG_ENOTFOUND)
            rg_call_fail(call, RG_EINVALID,
                         "1 validation error detected: Value at 'operations.%zu.member.attributePath' failed to satisfy "
                         "constraint: there is no attribute %.*s to update",
                         i + 1, RG_SPAN_ARG(path));
        else if (err)
            rg_call_fail(call, err, NULL);
        if (err)
            return false;
    }
    err = check_touched(object, members, operations, &ctx);
    if (err == RG_ENOMEM)
        rg_call_fail(call, err, NULL);
    else if (err)
        rg_call_fail(call, RG_EINVALID, "%s", ctx.text);
    else if (rg_json_text(object, needed).n == 0)
        rg_call_fail(call, RG_EINVALID, "%s cannot be removed", needed);
    return !err && rg_json_text(object, needed).n > 0;
}

/* ---- the table ---- */

#define ROW(name, shape, run, flags, permission) {"identitystore." name, NULL, "AWSIdentityStore." name, shape, flags, permission, run}
#define READ(name, shape, run) ROW(name, shape, run, 0, RG_PERMIT_READ)
#define WRITE(name, shape, run, flags) ROW(name, shape, run, RG_OP_WRITE | (flags), RG_PERMIT_WRITE)
static const struct rg_operation operations[] = {
    WRITE("CreateUser", rg_idstore_create_user_shape, rg_idstore_create_user, RG_OP_QUEUE),
    WRITE("CreateGroupMembership", rg_idstore_pair_shape, rg_idstore_create_membership, RG_OP_QUEUE),
    WRITE("CreateGroup", rg_idstore_create_group_shape, rg_idstore_create_group, RG_OP_QUEUE),
    READ("DescribeUser", rg_idstore_describe_user_shape, rg_idstore_describe_user),
    WRITE("UpdateUser", rg_idstore_update_user_shape, rg_idstore_update_user, RG_OP_QUEUE),
    WRITE("DeleteUser", rg_idstore_delete_user_shape, rg_idstore_delete_user, RG_OP_QUEUE),
    READ("ListUsers", rg_idstore_list_users_shape, rg_idstore_list_users),
    READ("GetUserId", rg_idstore_get_id_shape, rg_idstore_get_user_id),
    READ("DescribeGroup", rg_idstore_group_shape, rg_idstore_describe_group),
    WRITE("UpdateGroup", rg_idstore_update_group_shape, rg_idstore_update_group, RG_OP_QUEUE),
    WRITE("DeleteGroup", rg_idstore_group_shape, rg_idstore_delete_group, RG_OP_QUEUE),
    READ("ListGroups", rg_idstore_list_groups_shape, rg_idstore_list_groups),
    READ("GetGroupId", rg_idstore_get_id_shape, rg_idstore_get_group_id),
    READ("DescribeGroupMembership", rg_idstore_membership_shape, rg_idstore_describe_membership),
    READ("GetGroupMembershipId", rg_idstore_pair_shape, rg_idstore_get_membership_id),
    WRITE("DeleteGroupMembership", rg_idstore_membership_shape, rg_idstore_delete_membership, RG_OP_QUEUE),
    READ("ListGroupMemberships", rg_idstore_list_members_shape, rg_idstore_list_members),
    READ("ListGroupMembershipsForMember", rg_idstore_list_groups_of_shape, rg_idstore_list_groups_of),
    READ("IsMemberInGroups", rg_idstore_is_member_shape, rg_idstore_is_member),
};

const struct rg_service rg_identitystore_service = {
    .name = "identitystore",
    .sigv4 = "identitystore",
    .operations = operations,
    .n = RG_LEN(operations),
    .names_resources = true,
};
