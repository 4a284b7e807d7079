/* store/apply/assign: assignments with their two indexes, and the statuses of the requests that made or removed them. */
#include "store/model/request.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
}
static void teardown(void) { fix_close(&fix); }

CASE(.setup = setup, .teardown = teardown);

static const struct fix_refusal refusals[] = {
    {"assign no set", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p9 ptype=G principal=g1 request=r9",
     RG_ENOTFOUND, RG_WHY_PERMSET, "r9"},
    {"assign to no group", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=G principal=g9 request=r9",
     RG_ENOTFOUND, RG_WHY_GROUP, "r9"},
    {"assign to a user as a group", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p1 ptype=G principal=u1 request=r9", RG_ENOTFOUND, RG_WHY_GROUP, "r9"},
    {"assign to no user", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=U principal=u9 request=r9",
     RG_ENOTFOUND, RG_WHY_USER, "r9"},
    {"assign an account of no form", RG_CMD_ASSIGNMENT_CREATE, "account=1 permset=p1 ptype=U principal=u2 request=r9",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"assign to an odd type", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p1 ptype=X principal=u2 request=r9", RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"assign without a type", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 principal=u2 request=r9",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"assign without a request id", RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=U principal=u2",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
    {"a request id used before", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p1 ptype=U principal=u2 request=r1", RG_EMALFORMED, RG_WHY_MALFORMED, "r1"},
    {"unassign what is not", RG_CMD_ASSIGNMENT_DELETE,
     "account=222222222222 permset=p1 ptype=G principal=g1 request=r9", RG_ENOTFOUND, RG_WHY_ASSIGNMENT, "r9"},
    {"unassign without a request id", RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1",
     RG_EMALFORMED, RG_WHY_MALFORMED, NULL},
};

LOOP(refusal, RG_LEN(refusals)) { fix_refused(&fix, &refusals[_i]); }

TEST(assignment_create_and_delete)
{
    struct rg_request_status status;
    const struct rg_uuid r9 = fix_id("r9"), ra = fix_id("ra");
    struct rg_account account;
    struct rg_txn *txn;

    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE,
             "account=333333333333 permset=p2 ptype=U principal=u3 request=r9 future=x");
    ck_assert_mem_eq(&fix.reply.id, &r9, sizeof r9);
    ck_assert_int_eq(fix.reply.state[0], 0);
    ck_assert_uint_eq(fix_counts(&fix).assignments, 5);
    ck_assert_uint_eq(fix_counts(&fix).accounts, 3);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_account_get(txn, rg_span_str("333333333333"), &account), RG_OK);
    ck_assert_uint_eq(account.name.n, 0);
    ck_assert_int_eq(rg_request_status_get(txn, false, &r9, &status), RG_OK);
    ck_assert(rg_span_is(status.status, "SUCCEEDED"));
    ck_assert_int_eq(rg_request_status_get(txn, true, &r9, &status), RG_ENOTFOUND);
    rg_txn_free(txn);
    /* again: nothing changes but the request */
    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=333333333333 permset=p2 ptype=U principal=u3 request=ra");
    ck_assert_int_eq(fix.reply.state[0], 1);
    ck_assert_uint_eq(fix_counts(&fix).assignments, 5);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_get(txn, false, &ra, &status), RG_OK);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_ASSIGNMENT_DELETE, "account=333333333333 permset=p2 ptype=U principal=u3 request=r9");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_get(txn, true, &r9, &status), RG_OK); /* creation and deletion do not mix */
    rg_txn_free(txn);
    ck_assert_uint_eq(fix_counts(&fix).assignments, 4);
    ck_assert_uint_eq(fix_rows_under(&fix, "t"), 4);
    ck_assert_uint_eq(fix_rows_under(&fix, "w"), 4);
    fix_check_hash(&fix);
}

TEST(old_requests_make_room)
{
    struct rg_request_status status;
    struct rg_txn *txn;
    struct rg_reply reply;
    struct rg_uuid id;
    char text[160];

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    for (int i = 0; i < RG_REQUESTS_KEPT_MAX; i++) {
        /* alternating create and delete of one assignment, so that both tables age */
        snprintf(text, sizeof text, "account=222222222222 permset=p1 ptype=U principal=u2 request=k%d", i);
        fix_cmd(&fix, i % 2 == 0 ? RG_CMD_ASSIGNMENT_CREATE : RG_CMD_ASSIGNMENT_DELETE, text);
        ck_assert_int_eq(rg_fsm_apply(txn, ++fix.index, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        ck_assert_int_eq(reply.err, RG_OK);
    }
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
    ck_assert_uint_eq(fix_counts(&fix).requests, RG_REQUESTS_KEPT_MAX);
    ck_assert_uint_eq(fix_rows_under(&fix, "r"), RG_REQUESTS_KEPT_MAX);
    txn = fix_read(&fix);
    id = fix_id("r4"); /* the four of the world are gone, the newest is there */
    ck_assert_int_eq(rg_request_status_get(txn, false, &id, &status), RG_ENOTFOUND);
    id = fix_id("k0");
    ck_assert_int_eq(rg_request_status_get(txn, false, &id, &status), RG_OK);
    rg_txn_free(txn);
    fix_must(&fix, RG_CMD_ASSIGNMENT_CREATE, "account=222222222222 permset=p1 ptype=U principal=u2 request=r9");
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_request_status_get(txn, false, &id, &status), RG_ENOTFOUND);
    id = fix_id("k1");
    ck_assert_int_eq(rg_request_status_get(txn, true, &id, &status), RG_OK);
    rg_txn_free(txn);
    fix_check_hash(&fix);
}
