#include "net/ops/user.h"

#include "base/json.h"
#include "store/db/attrs.h"

/* The address that a user is found by: the first one's, primary or not. */
static void put_email(struct rg_buf *cmd, struct rg_span attributes)
{
    struct rg_span emails, text;
    json_t *list;

    if (!rg_attrs_get(attributes, "emails", &emails))
        return;
    if (rg_attrs_first(emails, "value", &text)) { /* as nearly always: each user that is made would be parsed twice */
        rg_cmd_put_text(cmd, RG_F_EMAIL, text);
        return;
    }
    list = rg_json_parse(emails, NULL);
    rg_cmd_put_text(cmd, RG_F_EMAIL, rg_json_text(json_array_get(list, 0), "value"));
    json_decref(list);
}

/* The attributes under SCIM's names. */
static enum rg_err take_attributes(struct rg_span given, struct rg_buf *out, struct rg_fault *fault)
{
    static const struct rg_attrs_view all = {.names = RG_ATTRS_SCIM};

    if (given.n == 0)
        return RG_OK;
    rg_buf_put_u8(out, '{');
    if (!rg_attrs_put(out, given, &all))
        return rg_fault_note(fault, RG_F_ATTRS, RG_RULE_FORM);
    rg_buf_put_u8(out, '}');
    return RG_OK;
}

static void put_user(struct rg_buf *cmd, const struct rg_uuid *id, const struct rg_user_input *user, struct rg_buf *attributes)
{
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
    rg_cmd_put_text(cmd, RG_F_NAME, user->name);
    rg_cmd_put_text(cmd, RG_F_DISPLAY_NAME, user->display_name);
    rg_tlv_put_str(cmd, RG_F_STATUS, user->disabled ? "DISABLED" : "ENABLED");
    put_email(cmd, rg_buf_span(attributes));
    rg_cmd_put_external_ids(cmd, user->external_ids, user->external_ids_n);
    if (attributes->err && cmd->err == RG_OK)
        cmd->err = attributes->err;
    if (attributes->len > 2)
        rg_tlv_put(cmd, RG_F_ATTRS, rg_buf_span(attributes));
}

/* was: the user as it was read; NULL: a new one. */
static enum rg_err build(struct rg_buf *cmd, const struct rg_author *author, const struct rg_user *was, const struct rg_uuid *id,
                         const struct rg_user_input *user, struct rg_fault *fault)
{
    RG_AUTO_BUF struct rg_buf attributes = {.max = 0};
    enum rg_err err = rg_identity_check(user->name, user->external_ids_n, fault);

    rg_buf_init(&attributes, RG_CMD_BYTES_MAX);
    if (!err)
        err = take_attributes(user->attributes, &attributes, fault);
    if (err)
        return err;
    rg_cmd_begin(cmd, was != NULL ? RG_CMD_USER_REPLACE : RG_CMD_USER_CREATE, author->at_ms, author->by);
    if (was != NULL)
        rg_tlv_put_u64(cmd, RG_F_IF_VERSION, was->version);
    put_user(cmd, id, user, &attributes);
    return RG_OK;
}

enum rg_err rg_cmd_user_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id,
                               const struct rg_user_input *user, struct rg_fault *fault)
{
    return build(cmd, author, NULL, id, user, fault);
}

enum rg_err rg_cmd_user_replace(struct rg_buf *cmd, const struct rg_author *author, const struct rg_user *was,
                                const struct rg_user_input *user, struct rg_fault *fault)
{
    return build(cmd, author, was, &was->id, user, fault);
}

void rg_cmd_user_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id)
{
    rg_cmd_begin(cmd, RG_CMD_USER_DELETE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
}
