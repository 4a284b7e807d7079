/* identitystore, API version 2020-06-15: users, groups, memberships. */
#include <stdio.h>

#include "net/api_aws.h"
#include "store/identity.h"

#define TEXT(name) {name, RG_SHAPE_STRING, false, 1, 1024, RG_PAT_TEXT, NULL, NULL, false}
#define FLAG(name) {name, RG_SHAPE_BOOL, false, 0, 0, RG_PAT_ANY, NULL, NULL, false}
#define STRUCT(name, required, of) {name, RG_SHAPE_STRUCT, required, 0, 0, RG_PAT_ANY, NULL, of, false}
#define UNION(name, of) {name, RG_SHAPE_STRUCT, true, 0, 0, RG_PAT_ANY, NULL, of, true}
#define LIST(name, required, max, of) {name, RG_SHAPE_LIST, required, 1, max, RG_PAT_ANY, NULL, of, false}
#define DOCUMENT(name, required) {name, RG_SHAPE_DOCUMENT, required, 0, 0, RG_PAT_ANY, NULL, NULL, false}
#define USER_NAME {"UserName", RG_SHAPE_STRING, false, 1, 128, RG_PAT_NAME, NULL, NULL, false}

static const struct rg_shape name_members[] = {TEXT("Formatted"),  TEXT("FamilyName"),      TEXT("GivenName"),
                                               TEXT("MiddleName"), TEXT("HonorificPrefix"), TEXT("HonorificSuffix"),
                                               RG_SHAPE_END};
static const struct rg_shape value_members[] = {TEXT("Value"), TEXT("Type"), FLAG("Primary"), RG_SHAPE_END};
static const struct rg_shape value_element = STRUCT(NULL, false, value_members);
static const struct rg_shape address_members[] = {TEXT("StreetAddress"), TEXT("Locality"),  TEXT("Region"),
                                                  TEXT("PostalCode"),    TEXT("Country"),   TEXT("Formatted"),
                                                  TEXT("Type"),          FLAG("Primary"),   RG_SHAPE_END};
static const struct rg_shape address_element = STRUCT(NULL, false, address_members);
static const struct rg_shape photo_members[] = {{"Value", RG_SHAPE_STRING, true, 1, 1024, RG_PAT_TEXT, NULL, NULL, false},
                                                TEXT("Type"), TEXT("Display"), FLAG("Primary"), RG_SHAPE_END};
static const struct rg_shape photo_element = STRUCT(NULL, false, photo_members);
static const struct rg_shape external_id_members[] = {{"Issuer", RG_SHAPE_STRING, true, 1, 256, RG_PAT_NAME, NULL, NULL, false},
                                                      {"Id", RG_SHAPE_STRING, true, 1, 256, RG_PAT_NAME, NULL, NULL, false},
                                                      RG_SHAPE_END};
static const struct rg_shape external_id_element = STRUCT(NULL, false, external_id_members);
static const char *const statuses[] = {"ENABLED", "DISABLED", NULL};

/* The attributes of a user: of CreateUser's body, and of what UpdateUser comes to. */
#define USER_ATTRIBUTES                                                                                                \
    USER_NAME, STRUCT("Name", false, name_members), TEXT("DisplayName"), TEXT("NickName"), TEXT("ProfileUrl"),         \
        LIST("Emails", false, 1, &value_element), LIST("Addresses", false, 1, &address_element),                       \
        LIST("PhoneNumbers", false, 1, &value_element), TEXT("UserType"), TEXT("Title"), TEXT("PreferredLanguage"),    \
        TEXT("Locale"), TEXT("Timezone"), LIST("Photos", false, 3, &photo_element), TEXT("Website"), TEXT("Birthdate"), \
        LIST("Roles", false, 1, &value_element),                                                                       \
        {"UserStatus", RG_SHAPE_STRING, false, 0, 0, RG_PAT_ANY, statuses, NULL, false},                               \
        {"Extensions", RG_SHAPE_MAP, false, 1, 10, RG_PAT_EXTENSION, NULL, NULL, false},                               \
        LIST("ExternalIds", false, 10, &external_id_element)

static const struct rg_shape user_shape[] = {USER_ATTRIBUTES, RG_SHAPE_END};
static const struct rg_shape create_user_shape[] = {RG_SHAPE_STORE_ID, USER_ATTRIBUTES, RG_SHAPE_END};
#define GROUP_ATTRIBUTES TEXT("DisplayName"), TEXT("Description"), LIST("ExternalIds", false, 10, &external_id_element)
static const struct rg_shape group_shape[] = {GROUP_ATTRIBUTES, RG_SHAPE_END};
static const struct rg_shape create_group_shape[] = {RG_SHAPE_STORE_ID, GROUP_ATTRIBUTES, RG_SHAPE_END};
static const struct rg_shape extension_element = {NULL, RG_SHAPE_STRING, false, 1, 50, RG_PAT_EXTENSION, NULL, NULL, false};
static const struct rg_shape user_id_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("UserId", true),
                                                LIST("Extensions", false, 10, &extension_element), RG_SHAPE_END};
static const struct rg_shape group_id_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true), RG_SHAPE_END};
static const struct rg_shape membership_id_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("MembershipId", true), RG_SHAPE_END};
static const struct rg_shape operation_members[] = {
    {"AttributePath", RG_SHAPE_STRING, true, 1, 255, RG_PAT_ATTRIBUTE_PATH, NULL, NULL, false},
    DOCUMENT("AttributeValue", false), RG_SHAPE_END};
static const struct rg_shape operation_element = STRUCT(NULL, false, operation_members);
static const struct rg_shape update_user_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("UserId", true),
                                                    LIST("Operations", true, 100, &operation_element), RG_SHAPE_END};
static const struct rg_shape update_group_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true),
                                                     LIST("Operations", true, 100, &operation_element), RG_SHAPE_END};
static const struct rg_shape filter_members[] = {
    {"AttributePath", RG_SHAPE_STRING, true, 1, 255, RG_PAT_ATTRIBUTE_PATH, NULL, NULL, false},
    {"AttributeValue", RG_SHAPE_STRING, true, 1, 1024, RG_PAT_TEXT, NULL, NULL, false}, RG_SHAPE_END};
static const struct rg_shape filter_element = STRUCT(NULL, false, filter_members);
static const struct rg_shape list_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_MAX_RESULTS, RG_SHAPE_STORE_TOKEN,
                                             {"Filters", RG_SHAPE_LIST, false, 0, 1, RG_PAT_ANY, NULL, &filter_element, false},
                                             LIST("Extensions", false, 10, &extension_element), RG_SHAPE_END};
static const struct rg_shape unique_members[] = {
    {"AttributePath", RG_SHAPE_STRING, true, 1, 255, RG_PAT_ATTRIBUTE_PATH, NULL, NULL, false},
    DOCUMENT("AttributeValue", true), RG_SHAPE_END};
static const struct rg_shape alternate_members[] = {STRUCT("ExternalId", false, external_id_members),
                                                    STRUCT("UniqueAttribute", false, unique_members), RG_SHAPE_END};
static const struct rg_shape get_id_shape[] = {RG_SHAPE_STORE_ID, UNION("AlternateIdentifier", alternate_members), RG_SHAPE_END};
static const struct rg_shape member_members[] = {RG_SHAPE_ID("UserId", false), RG_SHAPE_END};
static const struct rg_shape membership_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true),
                                                   UNION("MemberId", member_members), RG_SHAPE_END};
static const struct rg_shape list_members_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true), RG_SHAPE_MAX_RESULTS,
                                                     RG_SHAPE_STORE_TOKEN, RG_SHAPE_END};
static const struct rg_shape list_groups_of_shape[] = {RG_SHAPE_STORE_ID, UNION("MemberId", member_members),
                                                       RG_SHAPE_MAX_RESULTS, RG_SHAPE_STORE_TOKEN, RG_SHAPE_END};
static const struct rg_shape group_id_element = RG_SHAPE_ID(NULL, false);
static const struct rg_shape is_member_shape[] = {RG_SHAPE_STORE_ID, UNION("MemberId", member_members),
                                                  LIST("GroupIds", true, 100, &group_id_element), RG_SHAPE_END};

/* ---- attributes to fields ---- */

/* Members of a user that have a field of their own; all others go into RG_F_ATTRS. */
static bool has_field(const char *name)
{
    static const char *const fields[] = {"IdentityStoreId", "UserName", "DisplayName", "UserStatus", "ExternalIds", "UserId"};

    for (size_t i = 0; i < RG_LEN(fields); i++)
        if (strcmp(name, fields[i]) == 0)
            return true;
    return false;
}

static void put_field(struct rg_buf *cmd, uint32_t field, struct rg_span text)
{
    if (text.n > 0)
        rg_tlv_put(cmd, field, text);
}

static void put_external_ids(struct rg_buf *cmd, const json_t *object)
{
    json_t *row;
    size_t i;

    json_array_foreach(json_object_get(object, "ExternalIds"), i, row) {
        RG_AUTO_BUF struct rg_buf value;
        struct rg_span issuer = rg_json_text(row, "Issuer"), id = rg_json_text(row, "Id");

        rg_buf_init(&value, 4096);
        rg_buf_put(&value, issuer.p, issuer.n);
        rg_buf_put_u8(&value, 0);
        rg_buf_put(&value, id.p, id.n);
        rg_tlv_put(cmd, RG_F_EXTERNAL_ID, rg_buf_span(&value));
    }
}

static void put_user_fields(struct rg_buf *cmd, const struct rg_uuid *id, json_t *user)
{
    struct rg_span status = rg_json_text(user, "UserStatus");
    const char *key;
    json_t *attrs = json_object(), *value;
    char *text;

    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
    put_field(cmd, RG_F_NAME, rg_json_text(user, "UserName"));
    put_field(cmd, RG_F_DISPLAY_NAME, rg_json_text(user, "DisplayName"));
    rg_tlv_put(cmd, RG_F_STATUS, status.n > 0 ? status : rg_span_str("ENABLED"));
    put_field(cmd, RG_F_EMAIL, rg_json_text(json_array_get(json_object_get(user, "Emails"), 0), "Value"));
    put_external_ids(cmd, user);
    json_object_foreach(user, key, value) {
        bool known = false;

        for (const struct rg_shape *m = user_shape; m->name != NULL; m++)
            known |= strcmp(m->name, key) == 0;
        if (known && !has_field(key) && !json_is_null(value))
            json_object_set(attrs, key, value);
    }
    text = json_dumps(attrs, JSON_COMPACT | JSON_SORT_KEYS);
    if (text == NULL)
        cmd->err = RG_ENOMEM;
    else if (json_object_size(attrs) > 0)
        rg_tlv_put_str(cmd, RG_F_ATTRS, text);
    free(text);
    json_decref(attrs);
}

static void put_group_fields(struct rg_buf *cmd, const struct rg_uuid *id, json_t *group)
{
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
    put_field(cmd, RG_F_NAME, rg_json_text(group, "DisplayName"));
    put_field(cmd, RG_F_DESCRIPTION, rg_json_text(group, "Description"));
    put_external_ids(cmd, group);
}

/* ---- fields to answers ---- */

static void put_store(struct rg_call *call)
{
    rg_aws_put_member(&call->out, "IdentityStoreId", rg_span_str(call->api->identity_store_id));
}

static void put_id(struct rg_buf *out, const char *name, const struct rg_uuid *id)
{
    rg_aws_put_name(out, name);
    rg_aws_put_uuid(out, id);
}

static void put_external_id_rows(struct rg_buf *out, struct rg_span row)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;
    bool any = false;

    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv)) {
        const uint8_t *zero = tlv.field == RG_F_EXTERNAL_ID ? memchr(tlv.value.p, 0, tlv.value.n) : NULL;

        if (zero == NULL)
            continue;
        if (!any) {
            rg_aws_put_name(out, "ExternalIds");
            rg_buf_put_u8(out, '[');
        }
        any = true;
        rg_aws_put_name(out, NULL);
        rg_buf_put_u8(out, '{');
        rg_aws_put_member(out, "Issuer", rg_span(tlv.value.p, (size_t)(zero - tlv.value.p)));
        rg_aws_put_member(out, "Id", rg_span(zero + 1, tlv.value.n - (size_t)(zero - tlv.value.p) - 1));
        rg_buf_put_u8(out, '}');
    }
    if (any)
        rg_buf_put_u8(out, ']');
}

static void put_audit(struct rg_buf *out, int64_t created, int64_t updated, struct rg_span created_by, struct rg_span updated_by)
{
    rg_aws_put_time(out, "CreatedAt", created);
    rg_aws_put_time(out, "UpdatedAt", updated > 0 ? updated : created);
    rg_aws_put_member(out, "CreatedBy", created_by);
    rg_aws_put_member(out, "UpdatedBy", updated_by.n > 0 ? updated_by : created_by);
}

/* An attribute object as it was stored: its members become members of the answer. */
static void put_attrs(struct rg_buf *out, struct rg_span attrs)
{
    if (attrs.n <= 2)
        return;
    rg_aws_put_name(out, NULL);
    rg_buf_put(out, attrs.p + 1, attrs.n - 2); /* without its braces */
}

static void put_user(struct rg_call *call, const struct rg_user *u)
{
    struct rg_buf *out = &call->out;

    rg_buf_put_u8(out, '{');
    put_store(call);
    put_id(out, "UserId", &u->id);
    rg_aws_put_member(out, "UserName", u->name);
    rg_aws_put_member(out, "DisplayName", u->display_name);
    rg_aws_put_member(out, "UserStatus", u->status);
    put_external_id_rows(out, u->row);
    put_attrs(out, u->attrs);
    put_audit(out, u->created_ms, u->updated_ms, u->created_by, u->updated_by);
    rg_buf_put_u8(out, '}');
}

static void put_group(struct rg_call *call, const struct rg_group *g)
{
    struct rg_buf *out = &call->out;

    rg_buf_put_u8(out, '{');
    put_store(call);
    put_id(out, "GroupId", &g->id);
    rg_aws_put_member(out, "DisplayName", g->name);
    rg_aws_put_member(out, "Description", g->description);
    put_external_id_rows(out, g->row);
    put_audit(out, g->created_ms, g->updated_ms, g->created_by, g->updated_by);
    rg_buf_put_u8(out, '}');
}

static void put_membership(struct rg_call *call, const struct rg_membership *m)
{
    struct rg_buf *out = &call->out;

    rg_buf_put_u8(out, '{');
    put_store(call);
    put_id(out, "MembershipId", &m->id);
    put_id(out, "GroupId", &m->group_id);
    rg_buf_put_str(out, ",\"MemberId\":{\"UserId\":");
    rg_aws_put_uuid(out, &m->user_id);
    rg_buf_put_str(out, "}}");
}

/* ---- reads that fail alike ---- */

static bool failed(struct rg_call *call, enum rg_err err, const char *type, const char *text)
{
    if (err == RG_ENOTFOUND)
        rg_call_fail_with(call, err, NULL, type, NULL, "%s", text);
    else if (err)
        rg_call_fail(call, err, "%s", rg_err_text(err));
    return err != RG_OK;
}

static bool need_user(struct rg_call *call, struct rg_txn *txn, const struct rg_uuid *id, struct rg_user *ret_user)
{
    return !failed(call, rg_user_get(txn, id, ret_user), "USER", "User not found.");
}

static bool need_group(struct rg_call *call, struct rg_txn *txn, const struct rg_uuid *id, struct rg_group *ret_group)
{
    return !failed(call, rg_group_get(txn, id, ret_group), "GROUP", "Group not found.");
}

/* ---- create ---- */

/* Answer a create: the id of the object and the identity store. */
static void answer_id(struct rg_call *call, const char *name)
{
    if (call->proposal.reply.err) {
        rg_aws_refused(call, &call->proposal.reply);
        return;
    }
    rg_buf_clear(&call->out);
    rg_buf_put_u8(&call->out, '{');
    put_store(call);
    put_id(&call->out, name, &call->proposal.reply.id);
    rg_buf_put_u8(&call->out, '}');
    rg_call_answer(call, 200);
}

static void answer_empty(struct rg_call *call)
{
    if (call->proposal.reply.err) {
        rg_aws_refused(call, &call->proposal.reply);
        return;
    }
    rg_buf_clear(&call->out);
    rg_buf_put_str(&call->out, "{}");
    rg_call_answer(call, 200);
}

static void user_created(struct rg_call *call) { answer_id(call, "UserId"); }
static void group_created(struct rg_call *call) { answer_id(call, "GroupId"); }
static void membership_created(struct rg_call *call) { answer_id(call, "MembershipId"); }

static void create_user(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_mint();

    if (rg_json_text(call->input, "UserName").n == 0) {
        rg_aws_invalid(call, "1 validation error detected: Value at 'userName' failed to satisfy constraint: Member must not be null");
        return;
    }
    rg_cmd_begin(&call->cmd, RG_CMD_USER_CREATE, call->now_ms, rg_call_by(call));
    put_user_fields(&call->cmd, &id, call->input);
    rg_call_propose(call, user_created);
}

static void create_group(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_mint();

    if (rg_json_text(call->input, "DisplayName").n == 0) {
        rg_aws_invalid(call, "1 validation error detected: Value at 'displayName' failed to satisfy constraint: Member must not be null");
        return;
    }
    rg_cmd_begin(&call->cmd, RG_CMD_GROUP_CREATE, call->now_ms, rg_call_by(call));
    put_group_fields(&call->cmd, &id, call->input);
    rg_call_propose(call, group_created);
}

static void create_membership(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_mint(), group = rg_aws_id(call->input, "GroupId"),
                   user = rg_aws_id(json_object_get(call->input, "MemberId"), "UserId");

    rg_cmd_begin(&call->cmd, RG_CMD_MEMBERSHIP_CREATE, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_MEMBERSHIP_ID, rg_span(id.b, sizeof id.b));
    rg_tlv_put(&call->cmd, RG_F_GROUP_ID, rg_span(group.b, sizeof group.b));
    rg_tlv_put(&call->cmd, RG_F_USER_ID, rg_span(user.b, sizeof user.b));
    rg_call_propose(call, membership_created);
}

/* ---- delete ---- */

static void propose_delete(struct rg_call *call, enum rg_cmd_kind kind, uint32_t field, const char *member)
{
    struct rg_uuid id = rg_aws_id(call->input, member);

    rg_cmd_begin(&call->cmd, kind, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, field, rg_span(id.b, sizeof id.b));
    rg_call_propose(call, answer_empty);
}

static void delete_user(struct rg_call *call) { propose_delete(call, RG_CMD_USER_DELETE, RG_F_ID, "UserId"); }
static void delete_group(struct rg_call *call) { propose_delete(call, RG_CMD_GROUP_DELETE, RG_F_ID, "GroupId"); }
static void delete_membership(struct rg_call *call)
{
    propose_delete(call, RG_CMD_MEMBERSHIP_DELETE, RG_F_MEMBERSHIP_ID, "MembershipId");
}

/* ---- update: read, change, replace if nobody else has ---- */

static json_t *external_ids_of(struct rg_span row)
{
    json_t *list = json_array();
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv)) {
        const char *p = (const char *)tlv.value.p, *zero = tlv.field == RG_F_EXTERNAL_ID ? memchr(p, 0, tlv.value.n) : NULL;

        if (zero != NULL)
            json_array_append_new(list, json_pack("{s:s#, s:s#}", "Issuer", p, (int)(zero - p), "Id", zero + 1,
                                                  (int)(tlv.value.n - (size_t)(zero - p) - 1)));
    }
    return list;
}

static void set_text(json_t *object, const char *name, struct rg_span text)
{
    if (text.n > 0)
        json_object_set_new(object, name, json_stringn((const char *)text.p, text.n));
}

static json_t *user_json(const struct rg_user *u)
{
    json_t *user = u->attrs.n > 0 ? json_loadb((const char *)u->attrs.p, u->attrs.n, 0, NULL) : json_object();
    json_t *ids = external_ids_of(u->row);

    if (user == NULL)
        user = json_object();
    set_text(user, "UserName", u->name);
    set_text(user, "DisplayName", u->display_name);
    set_text(user, "UserStatus", u->status);
    if (json_array_size(ids) > 0)
        json_object_set(user, "ExternalIds", ids);
    json_decref(ids);
    return user;
}

static json_t *group_json(const struct rg_group *g)
{
    json_t *group = json_object(), *ids = external_ids_of(g->row);

    set_text(group, "DisplayName", g->name);
    set_text(group, "Description", g->description);
    if (json_array_size(ids) > 0)
        json_object_set(group, "ExternalIds", ids);
    json_decref(ids);
    return group;
}

/* Member names in AttributeValue are camelCase; in our objects they begin with a capital. Consumes nothing; new value. */
static json_t *capitalised(const json_t *value)
{
    json_t *copy, *v;
    const char *key;
    size_t i;

    if (json_is_array(value)) {
        copy = json_array();
        json_array_foreach((json_t *)(uintptr_t)value, i, v)
            json_array_append_new(copy, capitalised(v));
        return copy;
    }
    if (!json_is_object(value))
        return json_deep_copy(value);
    copy = json_object();
    json_object_foreach((json_t *)(uintptr_t)value, key, v) {
        char name[260];

        snprintf(name, sizeof name, "%s", key);
        if (name[0] >= 'a' && name[0] <= 'z')
            name[0] = (char)(name[0] - 32);
        json_object_set_new(copy, name, capitalised(v));
    }
    return copy;
}

/* Set, or with NULL or null unset, one path of the object. False: there is no such attribute. */
static bool set_path(json_t *object, const struct rg_shape *members, struct rg_span path, const json_t *value)
{
    size_t n = 0;
    char name[256];

    if (path.n >= 4 && memcmp(path.p, "aws:", 4) == 0) { /* an extension, whole */
        json_t *extensions = json_object_get(object, "Extensions");

        snprintf(name, sizeof name, "%.*s", RG_SPAN_ARG(path));
        if (extensions == NULL) {
            extensions = json_object();
            json_object_set_new(object, "Extensions", extensions);
        }
        if (value == NULL || json_is_null(value))
            json_object_del(extensions, name);
        else
            json_object_set_new(extensions, name, json_deep_copy(value));
        if (json_object_size(extensions) == 0)
            json_object_del(object, "Extensions");
        return true;
    }
    while (n < path.n && path.p[n] != '.')
        n++;
    snprintf(name, sizeof name, "%.*s", (int)n, (const char *)path.p);
    if (name[0] >= 'a' && name[0] <= 'z')
        name[0] = (char)(name[0] - 32);
    for (const struct rg_shape *m = members; m->name != NULL; m++) {
        json_t *inner;

        if (strcmp(m->name, name) != 0)
            continue;
        if (n == path.n) {
            if (value == NULL || json_is_null(value))
                json_object_del(object, name);
            else
                json_object_set_new(object, name, capitalised(value));
            return true;
        }
        if (m->kind != RG_SHAPE_STRUCT)
            return false;
        inner = json_object_get(object, name);
        if (!json_is_object(inner)) {
            inner = json_object();
            json_object_set_new(object, name, inner);
        }
        if (!set_path(inner, m->of, rg_span(path.p + n + 1, path.n - n - 1), value))
            return false;
        if (json_object_size(inner) == 0)
            json_object_del(object, name);
        return true;
    }
    return false;
}

/* Apply the operations and check the outcome. False: answered. */
static bool update_object(struct rg_call *call, json_t *object, const struct rg_shape *shape, const char *needed)
{
    struct rg_errctx ctx = {.text = ""};
    json_t *row;
    enum rg_err err;
    size_t i;

    json_array_foreach(json_object_get(call->input, "Operations"), i, row) {
        struct rg_span path = rg_json_text(row, "AttributePath");

        if (!set_path(object, shape, path, json_object_get(row, "AttributeValue"))) {
            rg_call_fail(call, RG_EINVALID, "operations.%zu.member.attributePath: there is no attribute %.*s", i + 1,
                         RG_SPAN_ARG(path));
            return false;
        }
    }
    err = rg_shape_check(shape, object, &ctx);
    if (!err && rg_json_text(object, needed).n == 0)
        err = rg_fail(&ctx, RG_EINVALID, "%s cannot be removed", needed);
    if (err)
        rg_call_fail(call, RG_EINVALID, "%s", rg_errctx_text(&ctx, err));
    return !err;
}

static void update_user(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_id(call->input, "UserId");
    struct rg_user user;
    struct rg_txn *txn;
    json_t *object;

    if (rg_call_txn(call, &txn) != RG_OK || !need_user(call, txn, &id, &user))
        return;
    object = user_json(&user);
    if (update_object(call, object, user_shape, "UserName")) {
        rg_cmd_begin(&call->cmd, RG_CMD_USER_REPLACE, call->now_ms, rg_call_by(call));
        rg_tlv_put_u64(&call->cmd, RG_F_IF_VERSION, user.version);
        put_user_fields(&call->cmd, &id, object);
        call->again = update_user;
        rg_call_propose(call, answer_empty);
    }
    json_decref(object);
}

static void update_group(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_id(call->input, "GroupId");
    struct rg_group group;
    struct rg_txn *txn;
    json_t *object;

    if (rg_call_txn(call, &txn) != RG_OK || !need_group(call, txn, &id, &group))
        return;
    object = group_json(&group);
    if (update_object(call, object, group_shape, "DisplayName")) {
        rg_cmd_begin(&call->cmd, RG_CMD_GROUP_REPLACE, call->now_ms, rg_call_by(call));
        rg_tlv_put_u64(&call->cmd, RG_F_IF_VERSION, group.version);
        put_group_fields(&call->cmd, &id, object);
        call->again = update_group;
        rg_call_propose(call, answer_empty);
    }
    json_decref(object);
}

/* ---- describe, get ids ---- */

static void describe_user(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_id(call->input, "UserId");
    struct rg_user user;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || !need_user(call, txn, &id, &user))
        return;
    put_user(call, &user);
    rg_call_answer(call, 200);
}

static void describe_group(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_id(call->input, "GroupId");
    struct rg_group group;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || !need_group(call, txn, &id, &group))
        return;
    put_group(call, &group);
    rg_call_answer(call, 200);
}

static void describe_membership(struct rg_call *call)
{
    struct rg_uuid id = rg_aws_id(call->input, "MembershipId");
    struct rg_membership m;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK ||
        failed(call, rg_membership_get(txn, &id, &m), "GROUP_MEMBERSHIP", "Group membership not found."))
        return;
    put_membership(call, &m);
    rg_call_answer(call, 200);
}

static void answer_found(struct rg_call *call, const char *name, const struct rg_uuid *id)
{
    rg_buf_put_u8(&call->out, '{');
    put_store(call);
    put_id(&call->out, name, id);
    rg_buf_put_u8(&call->out, '}');
    rg_call_answer(call, 200);
}

/* AlternateIdentifier: path and value of the unique attribute; false: it is an external id. */
static bool unique_attribute(const struct rg_call *call, struct rg_span *ret_path, struct rg_span *ret_value)
{
    const json_t *unique = json_object_get(json_object_get(call->input, "AlternateIdentifier"), "UniqueAttribute");

    *ret_path = rg_json_text(unique, "AttributePath");
    *ret_value = rg_json_text(unique, "AttributeValue");
    return unique != NULL && !json_is_null(unique);
}

static void get_user_id(struct rg_call *call)
{
    const json_t *external = json_object_get(json_object_get(call->input, "AlternateIdentifier"), "ExternalId");
    struct rg_span path, value;
    struct rg_txn *txn;
    struct rg_uuid id;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    if (!unique_attribute(call, &path, &value))
        err = rg_user_by_external_id(txn, rg_json_text(external, "Issuer"), rg_json_text(external, "Id"), &id);
    else if (rg_span_is(path, "userName") || rg_span_is(path, "UserName"))
        err = rg_user_by_name(txn, value, &id);
    else if (rg_span_is(path, "emails.value"))
        err = rg_user_by_email(txn, value, &id);
    else {
        rg_call_fail(call, RG_EINVALID, "alternateIdentifier.uniqueAttribute.attributePath: must be userName or emails.value");
        return;
    }
    if (!failed(call, err, "USER", "User not found."))
        answer_found(call, "UserId", &id);
}

static void get_group_id(struct rg_call *call)
{
    const json_t *external = json_object_get(json_object_get(call->input, "AlternateIdentifier"), "ExternalId");
    struct rg_span path, value;
    struct rg_txn *txn;
    struct rg_uuid id;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    if (!unique_attribute(call, &path, &value))
        err = rg_group_by_external_id(txn, rg_json_text(external, "Issuer"), rg_json_text(external, "Id"), &id);
    else if (rg_span_is(path, "displayName") || rg_span_is(path, "DisplayName"))
        err = rg_group_by_name(txn, value, &id);
    else {
        rg_call_fail(call, RG_EINVALID, "alternateIdentifier.uniqueAttribute.attributePath: must be displayName");
        return;
    }
    if (!failed(call, err, "GROUP", "Group not found."))
        answer_found(call, "GroupId", &id);
}

static void get_membership_id(struct rg_call *call)
{
    struct rg_uuid group = rg_aws_id(call->input, "GroupId"),
                   user = rg_aws_id(json_object_get(call->input, "MemberId"), "UserId");
    struct rg_membership m;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK ||
        failed(call, rg_membership_find(txn, &group, &user, &m), "GROUP_MEMBERSHIP", "Group membership not found."))
        return;
    answer_found(call, "MembershipId", &m.id);
}

/* ---- lists ---- */

static void end_list(struct rg_call *call, struct rg_scan *scan, struct rg_page *page, enum rg_err err)
{
    if (scan != NULL)
        rg_scan_end(scan);
    rg_buf_put_u8(&call->out, ']');
    rg_page_end(page, &call->out);
    rg_buf_put_u8(&call->out, '}');
    if (err != RG_OK && err != RG_ENOTFOUND)
        rg_call_fail(call, err, "%s", rg_err_text(err));
    else
        rg_call_answer(call, 200);
}

/* Filters: at most one, `UserName`, `DisplayName` or an external id; deprecated, but old tools send them. */
static bool filter_of(const struct rg_call *call, struct rg_span *ret_path, struct rg_span *ret_value)
{
    const json_t *row = json_array_get(json_object_get(call->input, "Filters"), 0);

    *ret_path = rg_json_text(row, "AttributePath");
    *ret_value = rg_json_text(row, "AttributeValue");
    return row != NULL;
}

static void list_users(struct rg_call *call)
{
    struct rg_span path, value;
    struct rg_uuid id;
    struct rg_page page;
    struct rg_scan scan = {.cursor = NULL};
    struct rg_user user;
    struct rg_txn *txn;
    enum rg_err err;
    bool filtered = filter_of(call, &path, &value);

    if (filtered && !rg_span_is(path, "UserName") && !rg_span_is(path, "userName")) {
        rg_call_fail(call, RG_EINVALID, "filters.1.member.attributePath: must be UserName");
        return;
    }
    if (!rg_page_begin(call, "ListUsers", &page))
        return;
    if (rg_call_txn(call, &txn) != RG_OK) {
        rg_buf_deinit(&page.after);
        return;
    }
    rg_buf_put_str(&call->out, "{\"Users\":[");
    if (filtered) {
        err = rg_user_by_name(txn, value, &id);
        if (!err)
            err = rg_user_get(txn, &id, &user);
        if (!err)
            put_user(call, &user);
        end_list(call, NULL, &page, err);
        return;
    }
    err = rg_user_list(txn, rg_page_after_id(&page, &id), &scan);
    while (!err && (err = rg_user_list_next(&scan, &user)) == RG_OK &&
           !rg_page_full(&page, rg_span(user.id.b, sizeof user.id.b))) {
        rg_aws_put_name(&call->out, NULL);
        put_user(call, &user);
    }
    end_list(call, &scan, &page, err);
}

static void list_groups(struct rg_call *call)
{
    struct rg_span path, value;
    struct rg_uuid id;
    struct rg_page page;
    struct rg_scan scan = {.cursor = NULL};
    struct rg_group group;
    struct rg_txn *txn;
    enum rg_err err;
    bool filtered = filter_of(call, &path, &value);

    if (filtered && !rg_span_is(path, "DisplayName") && !rg_span_is(path, "displayName")) {
        rg_call_fail(call, RG_EINVALID, "filters.1.member.attributePath: must be DisplayName");
        return;
    }
    if (!rg_page_begin(call, "ListGroups", &page))
        return;
    if (rg_call_txn(call, &txn) != RG_OK) {
        rg_buf_deinit(&page.after);
        return;
    }
    rg_buf_put_str(&call->out, "{\"Groups\":[");
    if (filtered) {
        err = rg_group_by_name(txn, value, &id);
        if (!err)
            err = rg_group_get(txn, &id, &group);
        if (!err)
            put_group(call, &group);
        end_list(call, NULL, &page, err);
        return;
    }
    err = rg_group_list(txn, rg_page_after_id(&page, &id), &scan);
    while (!err && (err = rg_group_list_next(&scan, &group)) == RG_OK &&
           !rg_page_full(&page, rg_span(group.id.b, sizeof group.id.b))) {
        rg_aws_put_name(&call->out, NULL);
        put_group(call, &group);
    }
    end_list(call, &scan, &page, err);
}

static void list_memberships(struct rg_call *call)
{
    struct rg_uuid group_id = rg_aws_id(call->input, "GroupId"), after;
    struct rg_membership m;
    struct rg_group group;
    struct rg_page page;
    struct rg_scan scan = {.cursor = NULL};
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK || !need_group(call, txn, &group_id, &group) ||
        !rg_page_begin(call, "ListGroupMemberships", &page))
        return;
    rg_buf_put_str(&call->out, "{\"GroupMemberships\":[");
    err = rg_member_list(txn, &group_id, rg_page_after_id(&page, &after), &scan);
    while (!err && (err = rg_member_list_next(&scan, &m)) == RG_OK && !rg_page_full(&page, rg_span(m.user_id.b, 16))) {
        rg_aws_put_name(&call->out, NULL);
        put_membership(call, &m);
    }
    end_list(call, &scan, &page, err);
}

static void list_memberships_for_member(struct rg_call *call)
{
    struct rg_uuid user_id = rg_aws_id(json_object_get(call->input, "MemberId"), "UserId"), after;
    struct rg_membership m;
    struct rg_user user;
    struct rg_page page;
    struct rg_scan scan = {.cursor = NULL};
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK || !need_user(call, txn, &user_id, &user) ||
        !rg_page_begin(call, "ListGroupMembershipsForMember", &page))
        return;
    rg_buf_put_str(&call->out, "{\"GroupMemberships\":[");
    err = rg_groups_of_list(txn, &user_id, rg_page_after_id(&page, &after), &scan);
    while (!err && (err = rg_groups_of_list_next(&scan, &m)) == RG_OK && !rg_page_full(&page, rg_span(m.group_id.b, 16))) {
        rg_aws_put_name(&call->out, NULL);
        put_membership(call, &m);
    }
    end_list(call, &scan, &page, err);
}

static void is_member_in_groups(struct rg_call *call)
{
    struct rg_uuid user_id = rg_aws_id(json_object_get(call->input, "MemberId"), "UserId");
    struct rg_membership m;
    struct rg_user user;
    struct rg_txn *txn;
    json_t *row;
    size_t i;

    if (rg_call_txn(call, &txn) != RG_OK || !need_user(call, txn, &user_id, &user))
        return;
    rg_buf_put_str(&call->out, "{\"Results\":[");
    json_array_foreach(json_object_get(call->input, "GroupIds"), i, row) {
        json_t *holder = json_pack("{s:O}", "Id", row);
        struct rg_uuid group_id = rg_aws_id(holder, "Id");
        enum rg_err err = rg_membership_find(txn, &group_id, &user_id, &m);

        json_decref(holder);
        if (err != RG_OK && err != RG_ENOTFOUND) {
            rg_call_fail(call, err, "%s", rg_err_text(err));
            return;
        }
        rg_aws_put_name(&call->out, NULL);
        rg_buf_put_u8(&call->out, '{');
        put_id(&call->out, "GroupId", &group_id);
        rg_buf_put_str(&call->out, ",\"MemberId\":{\"UserId\":");
        rg_aws_put_uuid(&call->out, &user_id);
        rg_buf_printf(&call->out, "},\"MembershipExists\":%s}", err == RG_OK ? "true" : "false");
    }
    rg_buf_put_str(&call->out, "]}");
    rg_call_answer(call, 200);
}

#define OPERATION(name, shape, run, write) {"AWSIdentityStore." name, "identitystore." name, shape, run, write}
const struct rg_operation rg_identitystore_operations[] = {
    OPERATION("CreateUser", create_user_shape, create_user, true),
    OPERATION("DescribeUser", user_id_shape, describe_user, false),
    OPERATION("UpdateUser", update_user_shape, update_user, true),
    OPERATION("DeleteUser", user_id_shape, delete_user, true),
    OPERATION("ListUsers", list_shape, list_users, false),
    OPERATION("CreateGroup", create_group_shape, create_group, true),
    OPERATION("DescribeGroup", group_id_shape, describe_group, false),
    OPERATION("UpdateGroup", update_group_shape, update_group, true),
    OPERATION("DeleteGroup", group_id_shape, delete_group, true),
    OPERATION("ListGroups", list_shape, list_groups, false),
    OPERATION("CreateGroupMembership", membership_shape, create_membership, true),
    OPERATION("DescribeGroupMembership", membership_id_shape, describe_membership, false),
    OPERATION("GetGroupMembershipId", membership_shape, get_membership_id, false),
    OPERATION("DeleteGroupMembership", membership_id_shape, delete_membership, true),
    OPERATION("ListGroupMemberships", list_members_shape, list_memberships, false),
    OPERATION("ListGroupMembershipsForMember", list_groups_of_shape, list_memberships_for_member, false),
    OPERATION("GetUserId", get_id_shape, get_user_id, false),
    OPERATION("GetGroupId", get_id_shape, get_group_id, false),
    OPERATION("IsMemberInGroups", is_member_shape, is_member_in_groups, false),
};
const size_t rg_identitystore_operations_n = RG_LEN(rg_identitystore_operations);
