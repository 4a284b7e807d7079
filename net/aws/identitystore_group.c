/* identitystore: groups. */
#include "net/aws/identitystore.h"

/* ExternalIds are no member of CreateGroup at AWS; here they may be given at once. */
#define FIELDS                                                                                                         \
    RG_TEXT_MEMBER("DisplayName", false, 1, 1024, RG_PAT_GROUP_NAME), RG_IDS_TEXT("Description"),                      \
        RG_LIST_MEMBER("ExternalIds", false, 1, 10, &rg_idstore_external_id)

static const struct rg_shape group_members[] = {FIELDS, RG_SHAPE_END};
const struct rg_shape rg_idstore_create_group_shape[] = {RG_SHAPE_STORE_ID, FIELDS, RG_SHAPE_END};
const struct rg_shape rg_idstore_group_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true), RG_SHAPE_END};
const struct rg_shape rg_idstore_update_group_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true),
                                                     RG_LIST_MEMBER("Operations", true, 1, 100, &rg_idstore_operation), RG_SHAPE_END};
const struct rg_shape rg_idstore_list_groups_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_MAX_RESULTS, RG_SHAPE_STORE_TOKEN,
                                                    RG_LIST_MEMBER("Filters", false, 0, 1, &rg_idstore_filter), RG_SHAPE_END};

/* ---- to commands ---- */

static void put_group_fields(struct rg_buf *cmd, const struct rg_uuid *id, const json_t *group)
{
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
    rg_aws_put_field(cmd, RG_F_NAME, rg_json_text(group, "DisplayName"));
    rg_aws_put_field(cmd, RG_F_DESCRIPTION, rg_json_text(group, "Description"));
    rg_idstore_external_id_fields(cmd, group);
}

static void group_created(struct rg_call *call) { rg_idstore_answer_created(call, "GroupId"); }

void rg_idstore_create_group(struct rg_call *call)
{
    struct rg_span name = rg_json_text(call->input, "DisplayName");
    struct rg_uuid id = rg_aws_mint();

    if (name.n == 0) { /* the model does not say so */
        rg_aws_invalid(call, "displayName", "Member must not be null");
        return;
    }
    if (rg_idstore_reserved(call, name, "displayName"))
        return;
    rg_cmd_begin(&call->cmd, RG_CMD_GROUP_CREATE, call->now_ms, rg_call_by(call));
    put_group_fields(&call->cmd, &id, call->input);
    rg_call_propose(call, group_created);
}

/* A group as a body has it. Own; NULL: no memory. */
static json_t *group_body(const struct rg_group *g)
{
    json_t *group = json_object();

    if (rg_idstore_set_text(group, "DisplayName", g->name) && rg_idstore_set_text(group, "Description", g->description) &&
        rg_idstore_external_ids_of(group, g->row))
        return group;
    json_decref(group);
    return NULL;
}

void rg_idstore_update_group(struct rg_call *call)
{
    struct rg_span id_text = rg_json_text(call->input, "GroupId");
    struct rg_group group;
    struct rg_txn *txn;
    json_t *body;

    if (rg_call_txn(call, &txn) != RG_OK || !rg_idstore_group(call, txn, id_text, &group))
        return;
    body = group_body(&group);
    if (body == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return;
    }
    if (rg_idstore_update(call, body, group_members, "DisplayName") &&
        !rg_idstore_reserved(call, rg_json_text(body, "DisplayName"), "displayName")) {
        rg_cmd_begin(&call->cmd, RG_CMD_GROUP_REPLACE, call->now_ms, rg_call_by(call));
        rg_tlv_put_u64(&call->cmd, RG_F_IF_VERSION, group.version);
        put_group_fields(&call->cmd, &group.id, body);
        rg_aws_put_field(&call->cmd, RG_F_ATTRS, group.attrs);
        call->again = rg_idstore_update_group;
        rg_call_propose(call, rg_aws_answer_empty);
    }
    json_decref(body);
}

void rg_idstore_delete_group(struct rg_call *call) { rg_idstore_delete(call, RG_CMD_GROUP_DELETE, RG_F_ID, "GroupId"); }

/* ---- to answers ---- */

static void put_group(struct rg_call *call, const struct rg_group *g)
{
    struct rg_buf *out = &call->out;

    rg_idstore_begin(call);
    rg_aws_put_id(out, "GroupId", &g->id);
    rg_aws_put_member(out, "DisplayName", g->name);
    rg_aws_put_member(out, "Description", g->description);
    rg_idstore_put_external_ids(out, g->row);
    rg_idstore_put_audit(out, g->created_ms, g->updated_ms, g->created_by, g->updated_by);
    rg_buf_put_u8(out, '}');
}

void rg_idstore_describe_group(struct rg_call *call)
{
    struct rg_group group;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || !rg_idstore_group(call, txn, rg_json_text(call->input, "GroupId"), &group))
        return;
    put_group(call, &group);
    rg_call_answer(call, 200);
}

void rg_idstore_get_group_id(struct rg_call *call)
{
    struct rg_idstore_alternate by;
    struct rg_txn *txn;
    struct rg_uuid id;
    enum rg_err err;

    if (!rg_idstore_alternate(call, &by))
        return;
    if (!by.external && !rg_idstore_path_is(by.path, "displayName")) {
        rg_aws_invalid(call, "alternateIdentifier.uniqueAttribute.attributePath", "Member must be displayName");
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = by.external ? rg_group_by_external_id(txn, by.issuer, by.value, &id) : rg_group_by_name(txn, by.value, &id);
    if (!rg_aws_failed(call, err, "GROUP", rg_span(NULL, 0), "Group not found."))
        rg_idstore_answer_found(call, "GroupId", &id);
}

/* The one group that a filter names, or none. */
static enum rg_err put_filtered(struct rg_call *call, struct rg_txn *txn, struct rg_span name)
{
    struct rg_group group;
    struct rg_uuid id;
    enum rg_err err = rg_group_by_name(txn, name, &id);

    if (!err)
        err = rg_group_get(txn, &id, &group);
    if (!err)
        put_group(call, &group);
    return err;
}

void rg_idstore_list_groups(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_span path, value;
    struct rg_group group;
    struct rg_page page;
    struct rg_txn *txn;
    struct rg_uuid id;
    enum rg_err err;
    bool filtered = rg_idstore_filter_of(call, &path, &value);

    if (filtered && !rg_idstore_path_is(path, "DisplayName")) {
        rg_aws_invalid(call, "filters.1.member.attributePath", "Member must be DisplayName");
        return;
    }
    if (!rg_page_begin(call, "ListGroups", &page) || rg_call_txn(call, &txn) != RG_OK)
        return;
    rg_buf_put_str(&call->out, "{\"Groups\":[");
    err = filtered ? put_filtered(call, txn, value) : rg_group_list(txn, rg_page_after_id(&page, &id), &scan);
    while (!filtered && !err && (err = rg_group_list_next(&scan, &group)) == RG_OK &&
           !rg_page_full(&page, rg_span(group.id.b, sizeof group.id.b))) {
        rg_aws_put_name(&call->out, NULL);
        put_group(call, &group);
    }
    rg_page_answer(call, &page, &scan, err);
}
