/* identitystore: memberships. */
#include "net/aws/identitystore.h"

#include "net/ops/membership.h"

static const struct rg_shape member_members[] = {RG_SHAPE_ID("UserId", false), RG_SHAPE_END};
static const struct rg_shape group_id_element = RG_SHAPE_ID(NULL, false);
#define MEMBER_ID RG_UNION_MEMBER("MemberId", member_members)

const struct rg_shape rg_idstore_pair_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true), MEMBER_ID, RG_SHAPE_END};
const struct rg_shape rg_idstore_membership_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("MembershipId", true), RG_SHAPE_END};
const struct rg_shape rg_idstore_list_members_shape[] = {RG_SHAPE_STORE_ID, RG_SHAPE_ID("GroupId", true), RG_SHAPE_MAX_RESULTS,
                                                     RG_SHAPE_STORE_TOKEN, RG_SHAPE_END};
const struct rg_shape rg_idstore_list_groups_of_shape[] = {RG_SHAPE_STORE_ID, MEMBER_ID, RG_SHAPE_MAX_RESULTS, RG_SHAPE_STORE_TOKEN,
                                                       RG_SHAPE_END};
const struct rg_shape rg_idstore_is_member_shape[] = {RG_SHAPE_STORE_ID, MEMBER_ID,
                                                  RG_LIST_MEMBER("GroupIds", true, 1, 100, &group_id_element), RG_SHAPE_END};

static struct rg_span member_text(const struct rg_call *call)
{
    return rg_json_text(json_object_get(call->input, "MemberId"), "UserId");
}

static void put_member_id(struct rg_json_writer *j, const struct rg_uuid *user_id)
{
    rg_json_object(j, "MemberId");
    rg_json_uuid(j, "UserId", user_id);
    rg_json_end(j);
}

/* The members of a membership's object. */
static void put_membership(const struct rg_call *call, struct rg_json_writer *j, const struct rg_membership *m)
{
    rg_idstore_put_store(call, j);
    rg_json_uuid(j, "MembershipId", &m->id);
    rg_json_uuid(j, "GroupId", &m->group_id);
    put_member_id(j, &m->user_id);
}

static void put_row(const struct rg_call *call, struct rg_json_writer *j, const struct rg_membership *m)
{
    rg_json_object(j, NULL);
    put_membership(call, j, m);
    rg_json_end(j);
}

static void membership_created(struct rg_call *call) { rg_idstore_answer_created(call, "MembershipId"); }

void rg_idstore_create_membership(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    const struct rg_membership membership = {
        .id = rg_id_mint(), .group_id = rg_aws_id(call->input, "GroupId"), .user_id = rg_aws_id_of(member_text(call))};

    rg_cmd_membership_create(&call->cmd, &author, &membership);
    rg_call_propose(call, membership_created);
}

void rg_idstore_delete_membership(struct rg_call *call)
{
    const struct rg_author author = rg_aws_author(call);
    struct rg_uuid id = rg_aws_id(call->input, "MembershipId");

    rg_cmd_membership_delete(&call->cmd, &author, &id);
    rg_call_propose(call, rg_aws_answer_empty);
}

void rg_idstore_describe_membership(struct rg_call *call)
{
    struct rg_span id_text = rg_json_text(call->input, "MembershipId");
    struct rg_uuid id = rg_aws_id_of(id_text);
    struct rg_json_writer j;
    struct rg_membership m;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK ||
        rg_aws_failed(call, rg_membership_get(txn, &id, &m), "GROUP_MEMBERSHIP", id_text, "Group membership not found."))
        return;
    rg_aws_begin(call, &j);
    put_membership(call, &j, &m);
    rg_aws_answer(call, &j);
}

void rg_idstore_get_membership_id(struct rg_call *call)
{
    struct rg_uuid group = rg_aws_id(call->input, "GroupId"), user = rg_aws_id_of(member_text(call));
    struct rg_membership m;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || rg_aws_failed(call, rg_membership_find(txn, &group, &user, &m), "GROUP_MEMBERSHIP",
                                                          rg_span(NULL, 0), "Group membership not found."))
        return;
    rg_idstore_answer_found(call, "MembershipId", &m.id);
}

void rg_idstore_list_members(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_json_writer *j;
    struct rg_membership m;
    struct rg_group group;
    struct rg_page page;
    struct rg_uuid after;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListGroupMemberships", &page) || rg_call_txn(call, &txn) != RG_OK ||
        !rg_idstore_group(call, txn, rg_json_text(call->input, "GroupId"), &group))
        return;
    j = rg_page_list(call, &page, "GroupMemberships");
    err = rg_member_list(txn, &group.id, rg_page_after_id(&page, &after), &scan);
    while (!err && (err = rg_member_list_next(&scan, &m)) == RG_OK &&
           !rg_page_full(&page, rg_span(m.user_id.b, sizeof m.user_id.b)))
        put_row(call, j, &m);
    rg_page_answer(call, &page, &scan, err);
}

void rg_idstore_list_groups_of(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_json_writer *j;
    struct rg_membership m;
    struct rg_page page;
    struct rg_user user;
    struct rg_uuid after;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListGroupMembershipsForMember", &page) || rg_call_txn(call, &txn) != RG_OK ||
        !rg_idstore_user(call, txn, member_text(call), &user))
        return;
    j = rg_page_list(call, &page, "GroupMemberships");
    err = rg_groups_of_list(txn, &user.id, rg_page_after_id(&page, &after), &scan);
    while (!err && (err = rg_groups_of_list_next(&scan, &m)) == RG_OK &&
           !rg_page_full(&page, rg_span(m.group_id.b, sizeof m.group_id.b)))
        put_row(call, j, &m);
    rg_page_answer(call, &page, &scan, err);
}

/* A group that is not there has no members: MembershipExists is false. */
void rg_idstore_is_member(struct rg_call *call)
{
    struct rg_json_writer j;
    struct rg_user user;
    struct rg_txn *txn;
    json_t *row;
    size_t i;

    if (rg_call_txn(call, &txn) != RG_OK || !rg_idstore_user(call, txn, member_text(call), &user))
        return;
    rg_aws_begin(call, &j);
    rg_json_array(&j, "Results");
    json_array_foreach(json_object_get(call->input, "GroupIds"), i, row)
    {
        struct rg_uuid group_id = rg_aws_id_of(rg_json_string(row));
        struct rg_membership m;
        enum rg_err err = rg_membership_find(txn, &group_id, &user.id, &m);

        if (err != RG_OK && err != RG_ENOTFOUND) {
            rg_call_fail(call, err, NULL);
            return;
        }
        rg_json_object(&j, NULL);
        rg_json_uuid(&j, "GroupId", &group_id);
        put_member_id(&j, &user.id);
        rg_json_bool(&j, "MembershipExists", err == RG_OK);
        rg_json_end(&j);
    }
    rg_json_end(&j);
    rg_aws_answer(call, &j);
}
