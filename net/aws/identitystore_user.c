/* identitystore: users. */
#include "net/aws/identitystore.h"

#include "net/ops/user.h"
#include "store/db/attrs.h"

#define TEXT RG_IDS_TEXT
#define FLAG RG_IDS_FLAG

static const struct rg_shape name_members[] = {TEXT("Formatted"),  TEXT("FamilyName"),      TEXT("GivenName"),
                                               TEXT("MiddleName"), TEXT("HonorificPrefix"), TEXT("HonorificSuffix"),
                                               RG_SHAPE_END};
static const struct rg_shape value_members[] = {TEXT("Value"), TEXT("Type"), FLAG("Primary"), RG_SHAPE_END};
static const struct rg_shape value_element = RG_STRUCT_MEMBER(NULL, false, value_members);
static const struct rg_shape address_members[] = {TEXT("StreetAddress"), TEXT("Locality"),  TEXT("Region"),
                                                  TEXT("PostalCode"),    TEXT("Country"),   TEXT("Formatted"),
                                                  TEXT("Type"),          FLAG("Primary"),   RG_SHAPE_END};
static const struct rg_shape address_element = RG_STRUCT_MEMBER(NULL, false, address_members);
static const struct rg_shape photo_members[] = {RG_TEXT_MEMBER("Value", true, 1, 1024, RG_PAT_TEXT), TEXT("Type"), TEXT("Display"),
                                                FLAG("Primary"), RG_SHAPE_END};
static const struct rg_shape photo_element = RG_STRUCT_MEMBER(NULL, false, photo_members);
static const struct rg_shape document_element = RG_DOCUMENT_MEMBER(NULL, false);
static const char *const statuses[] = {"ENABLED", "DISABLED", NULL};

/* What a user has besides the fields of its own: kept together as one JSON object. */
#define ATTRIBUTES                                                                                                     \
    RG_STRUCT_MEMBER("Name", false, name_members), TEXT("NickName"), TEXT("ProfileUrl"),                               \
        RG_LIST_MEMBER("Emails", false, 1, 1, &value_element), RG_LIST_MEMBER("Addresses", false, 1, 1, &address_element), \
        RG_LIST_MEMBER("PhoneNumbers", false, 1, 1, &value_element), TEXT("UserType"), TEXT("Title"),                  \
        TEXT("PreferredLanguage"), TEXT("Locale"), TEXT("Timezone"),                                                   \
        RG_LIST_MEMBER("Photos", false, 1, 3, &photo_element), TEXT("Website"), TEXT("Birthdate"),                     \
        RG_LIST_MEMBER("Roles", false, 1, 1, &value_element),                                                          \
    {                                                                                                                  \
        "Extensions", RG_SHAPE_MAP, false, 1, 10, RG_PAT_EXTENSION, NULL, &document_element, false                     \
    }
/* UserStatus and ExternalIds are no members of CreateUser at AWS; here they may be given at once. */
#define FIELDS                                                                                                         \
    RG_TEXT_MEMBER("UserName", false, 1, 128, RG_PAT_NAME), TEXT("DisplayName"), RG_ENUM_MEMBER("UserStatus", false, statuses), \
        RG_LIST_MEMBER("ExternalIds", false, 1, 10, &rg_idstore_external_id)

static const struct rg_shape attribute_members[] = {ATTRIBUTES, RG_SHAPE_END};
static const struct rg_shape attributes = RG_STRUCT_MEMBER(NULL, false, attribute_members);
static const struct rg_shape user_members[] = {FIELDS, ATTRIBUTES, RG_SHAPE_END};
#define EXTENSION_NAMES RG_LIST_MEMBER("Extensions", false, 1, 10, &rg_idstore_extension_name)

const struct rg_shape rg_idstore_create_user_shape[] = {RG_SHAPE_STORE_ID, FIELDS, ATTRIBUTES, RG_SHAPE_END};
const struct rg_shape rg_idstore_describe_user_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("UserId", true), EXTENSION_NAMES, RG_SHAPE_END};
const struct rg_shape rg_idstore_update_user_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("UserId", true),
                                                    RG_LIST_MEMBER("Operations", true, 1, 100, &rg_idstore_operation), RG_SHAPE_END};
const struct rg_shape rg_idstore_delete_user_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("UserId", true), RG_SHAPE_END};
const struct rg_shape rg_idstore_list_users_shape[] = {
    RG_SHAPE_STORE_ID, EXTENSION_NAMES, RG_SHAPE_MAX_RESULTS, RG_SHAPE_STORE_TOKEN,
    RG_LIST_MEMBER("Filters", false, 0, 1, &rg_idstore_filter), RG_SHAPE_END};

/* ---- to commands ---- */

/* A user of a body that was checked, but for the attributes. ids: for its external ids. */
static struct rg_user_input user_of(const json_t *body, struct rg_external_id ids[RG_EXTERNAL_IDS_MAX])
{
    return (struct rg_user_input){.name = rg_json_text(body, "UserName"),
                                  .display_name = rg_json_text(body, "DisplayName"),
                                  .disabled = rg_span_is(rg_json_text(body, "UserStatus"), "DISABLED"),
                                  .external_ids = ids,
                                  .external_ids_n = rg_idstore_external_ids(body, ids)};
}

/* Go on with a command, or with what is wrong with the input. attrs: what the attributes were written into, if they went into it */
static void propose(struct rg_call *call, enum rg_err err, const struct rg_fault *fault, const struct rg_buf *attrs,
                    void (*then)(struct rg_call *call))
{
    if (err && (attrs->err == RG_OK || fault->field != RG_F_ATTRS)) {
        rg_idstore_refuse(call, err, fault, "userName");
        return;
    }
    if (attrs->err)
        call->cmd.err = attrs->err;
    rg_call_propose(call, then);
}

static void user_created(struct rg_call *call) { rg_idstore_answer_created(call, "UserId"); }

void rg_idstore_create_user(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_external_id ids[RG_EXTERNAL_IDS_MAX];
    struct rg_user_input user = user_of(call->input, ids);
    RG_AUTO_BUF struct rg_buf attrs = {.max = 0};
    struct rg_uuid id = rg_id_mint();
    struct rg_fault fault = {0};
    enum rg_err err;

    rg_buf_init(&attrs, RG_CMD_BYTES_MAX);
    rg_shape_put(&attrs, &attributes, call->input);
    user.attributes = rg_buf_span(&attrs);
    err = rg_cmd_user_create(&call->cmd, &author, &id, &user, &fault);
    propose(call, err, &fault, &attrs, user_created);
}

/* A user as a body has it. Own; NULL: no memory. */
static json_t *user_body(const struct rg_user *u)
{
    RG_AUTO_BUF struct rg_buf attrs = {.max = 0};
    json_t *user;

    rg_buf_init(&attrs, 2 * RG_CMD_BYTES_MAX);
    rg_attrs_put_object(&attrs, u->attrs.n > 0 ? u->attrs : rg_span_str("{}"), RG_ATTRS_AWS);
    user = attrs.err ? NULL : rg_json_parse(rg_buf_span(&attrs), NULL);
    if (rg_idstore_set_text(user, "UserName", u->name) && rg_idstore_set_text(user, "DisplayName", u->display_name) &&
        rg_idstore_set_text(user, "UserStatus", u->status) && rg_idstore_external_ids_of(user, u->row))
        return user;
    json_decref(user);
    return NULL;
}

/* The attributes of such a body, those that AWS has no member for too: other interfaces have. */
static void put_body_attributes(struct rg_buf *out, const json_t *body)
{
    static const char *const fields[] = {"UserName", "DisplayName", "UserStatus", "ExternalIds"};
    json_t *rest = json_copy((json_t *)(uintptr_t)body);

    if (rest == NULL)
        out->err = RG_ENOMEM;
    for (size_t i = 0; i < RG_LEN(fields); i++)
        (void)json_object_del(rest, fields[i]); /* may be absent */
    rg_shape_put_all(out, &attributes, rest);
    json_decref(rest);
}

static void replace_user(struct rg_call *call, const struct rg_user *was, const json_t *body)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_external_id ids[RG_EXTERNAL_IDS_MAX];
    struct rg_user_input user = user_of(body, ids);
    RG_AUTO_BUF struct rg_buf attrs = {.max = 0};
    struct rg_fault fault = {0};
    enum rg_err err;

    rg_buf_init(&attrs, RG_CMD_BYTES_MAX);
    put_body_attributes(&attrs, body);
    user.attributes = rg_buf_span(&attrs);
    err = rg_cmd_user_replace(&call->cmd, &author, was, &user, &fault);
    call->again = rg_idstore_update_user;
    propose(call, err, &fault, &attrs, rg_aws_answer_empty);
}

void rg_idstore_update_user(struct rg_call *call)
{
    struct rg_span id_text = rg_json_text(call->input, "UserId");
    struct rg_user user;
    struct rg_txn *txn;
    json_t *body;

    if (rg_call_txn(call, &txn) != RG_OK || !rg_idstore_user(call, txn, id_text, &user))
        return;
    body = user_body(&user);
    if (body == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return;
    }
    if (rg_idstore_update(call, body, user_members, "UserName"))
        replace_user(call, &user, body);
    json_decref(body);
}

void rg_idstore_delete_user(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_uuid id = rg_aws_id(call->input, "UserId");

    rg_cmd_user_delete(&call->cmd, &author, &id);
    rg_call_propose(call, rg_aws_answer_empty);
}

/* ---- to answers ---- */

/* Extensions are read when they are asked for, by name. */
static bool is_asked_for(const void *names, struct rg_span extension)
{
    json_t *name;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)names, i, name)
    {
        if (rg_span_eq(rg_json_string(name), extension))
            return true;
    }
    return false;
}

/* The members of a user's object. */
static void put_user(struct rg_call *call, struct rg_json_writer *j, const struct rg_user *u)
{
    const struct rg_attrs_view view = {
        .names = RG_ATTRS_AWS, .known_only = true, .extension = is_asked_for, .arg = json_object_get(call->input, "Extensions")};

    rg_idstore_put_store(call, j);
    rg_json_uuid(j, "UserId", &u->id);
    rg_json_span_if_any(j, "UserName", u->name);
    rg_json_span_if_any(j, "DisplayName", u->display_name);
    rg_json_span_if_any(j, "UserStatus", u->status);
    rg_idstore_put_external_ids(j, u->row);
    (void)rg_attrs_put(j->out, u->attrs, &view); /* members beside the writer's, which stand before them; false: none */
    rg_idstore_put_audit(j, u->created_ms, u->updated_ms, u->created_by, u->updated_by);
}

void rg_idstore_describe_user(struct rg_call *call)
{
    struct rg_json_writer j;
    struct rg_user user;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || !rg_idstore_user(call, txn, rg_json_text(call->input, "UserId"), &user))
        return;
    rg_aws_begin(call, &j);
    put_user(call, &j, &user);
    rg_aws_answer(call, &j);
}

void rg_idstore_get_user_id(struct rg_call *call)
{
    struct rg_idstore_alternate by;
    struct rg_txn *txn;
    struct rg_uuid id;
    enum rg_err err;

    if (!rg_idstore_alternate(call, &by))
        return;
    if (!by.external && !rg_idstore_path_is(by.path, "userName") && !rg_span_is(by.path, "emails.value")) {
        rg_aws_invalid(call, "alternateIdentifier.uniqueAttribute.attributePath", "Member must be userName or emails.value");
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    if (by.external)
        err = rg_user_by_external_id(txn, by.issuer, by.value, &id);
    else if (by.path.p[0] == 'e')
        err = rg_user_by_email(txn, by.value, &id);
    else
        err = rg_user_by_name(txn, by.value, &id);
    if (!rg_aws_failed(call, err, "USER", rg_span(NULL, 0), "User not found."))
        rg_idstore_answer_found(call, "UserId", &id);
}

static enum rg_err get(struct rg_txn *txn, const struct rg_uuid *id, union rg_idstore_one *ret)
{
    return rg_user_get(txn, id, &ret->user);
}
static enum rg_err next(struct rg_scan *scan, union rg_idstore_one *ret) { return rg_user_list_next(scan, &ret->user); }
static void put(struct rg_call *call, struct rg_json_writer *j, const union rg_idstore_one *one) { put_user(call, j, &one->user); }

void rg_idstore_list_users(struct rg_call *call)
{
    static const struct rg_idstore_listed users = {"ListUsers", "Users", "UserName", rg_user_by_name, get, rg_user_list, next, put};

    rg_idstore_list(call, &users);
}
