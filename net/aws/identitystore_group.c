/* identitystore: groups. */
#include "net/aws/identitystore.h"

#include "net/ops/group.h"

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

/* A group of a body that was checked. ids: for its external ids. */
static struct rg_group_input group_of(const json_t *body, struct rg_external_id ids[RG_EXTERNAL_IDS_MAX])
{
    return (struct rg_group_input){.name = rg_json_text(body, "DisplayName"),
                                   .description = rg_json_text(body, "Description"),
                                   .external_ids = ids,
                                   .external_ids_n = rg_idstore_external_ids(body, ids)};
}

static void group_created(struct rg_call *call) { rg_idstore_answer_created(call, "GroupId"); }

void rg_idstore_create_group(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_external_id ids[RG_EXTERNAL_IDS_MAX];
    const struct rg_group_input group = group_of(call->input, ids);
    struct rg_uuid id = rg_id_mint();
    struct rg_fault fault = {0};
    enum rg_err err = rg_cmd_group_create(&call->cmd, &author, &id, &group, &fault);

    if (err)
        rg_idstore_refuse(call, err, &fault, "displayName");
    else
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

static void replace_group(struct rg_call *call, const struct rg_group *was, const json_t *body)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_external_id ids[RG_EXTERNAL_IDS_MAX];
    struct rg_group_input group = group_of(body, ids);
    struct rg_fault fault = {0};
    enum rg_err err;

    group.attributes = was->attrs;
    err = rg_cmd_group_replace(&call->cmd, &author, was, &group, &fault);
    call->again = rg_idstore_update_group;
    if (err)
        rg_idstore_refuse(call, err, &fault, "displayName");
    else
        rg_call_propose(call, rg_aws_answer_empty);
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
    if (rg_idstore_update(call, body, group_members, "DisplayName"))
        replace_group(call, &group, body);
    json_decref(body);
}

void rg_idstore_delete_group(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_uuid id = rg_aws_id(call->input, "GroupId");

    rg_cmd_group_delete(&call->cmd, &author, &id);
    rg_call_propose(call, rg_aws_answer_empty);
}

/* ---- to answers ---- */

/* The members of a group's object. */
static void put_group(struct rg_call *call, struct rg_json_writer *j, const struct rg_group *g)
{
    rg_idstore_put_store(call, j);
    rg_json_uuid(j, "GroupId", &g->id);
    rg_json_span_if_any(j, "DisplayName", g->name);
    rg_json_span_if_any(j, "Description", g->description);
    rg_idstore_put_external_ids(j, g->row);
    rg_idstore_put_audit(j, g->created_ms, g->updated_ms, g->created_by, g->updated_by);
}

void rg_idstore_describe_group(struct rg_call *call)
{
    struct rg_json_writer j;
    struct rg_group group;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || !rg_idstore_group(call, txn, rg_json_text(call->input, "GroupId"), &group))
        return;
    rg_aws_begin(call, &j);
    put_group(call, &j, &group);
    rg_aws_answer(call, &j);
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

static enum rg_err get(struct rg_txn *txn, const struct rg_uuid *id, union rg_idstore_one *ret)
{
    return rg_group_get(txn, id, &ret->group);
}
static enum rg_err next(struct rg_scan *scan, union rg_idstore_one *ret) { return rg_group_list_next(scan, &ret->group); }
static void put(struct rg_call *call, struct rg_json_writer *j, const union rg_idstore_one *one) { put_group(call, j, &one->group); }

void rg_idstore_list_groups(struct rg_call *call)
{
    static const struct rg_idstore_listed groups = {"ListGroups", "Groups", "DisplayName", rg_group_by_name, get, rg_group_list, next, put};

    rg_idstore_list(call, &groups);
}
