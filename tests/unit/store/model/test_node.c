/* store/model/node: a row of a node is that of its key, for whoever reads it. */
#include "store/model/node.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&fix, RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=a:1 url=https://a:2 status=MEMBER");
    fix_must(&fix, RG_CMD_TOKEN_PUT, "token=t1 name=eu-west-1 expires=1700000900000");
}
static void teardown(void) { fix_close(&fix); }

CASE(.setup = setup, .teardown = teardown);

/* A row under another's key, or past what ids there are. */
LOOP(a_row_of_another_id_is_damage, 3)
{
    static const uint8_t keys[][9] = {"N\0\0\0\0\0\0\0\5", "N\0\0\0\0\0\0\4\0", "N\0\0\0\0\0\0\0\0"};
    static const uint64_t at[] = {5, 1024, 0}, says[] = {1, 1024, 0};
    struct rg_scan scan = {0};
    struct rg_node_row row;
    struct rg_reply reply;
    struct rg_txn *txn;
    enum rg_err err;

    rg_buf_clear(&fix.cmd);
    rg_tlv_put_u64(&fix.cmd, RG_F_NODE_ID, says[_i]);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_span(keys[_i], 9), rg_buf_span(&fix.cmd)), RG_OK);
    ck_assert_int_eq(rg_node_row_get(txn, at[_i], &row), RG_ECORRUPT);
    ck_assert_int_eq(rg_node_row_list(txn, &scan), RG_OK);
    while ((err = rg_node_row_next(&scan, &row)) == RG_OK)
        ;
    ck_assert_int_eq(err, RG_ECORRUPT);
    rg_scan_end(&scan);
    fix_cmd(&fix, RG_CMD_NODE_JOIN, "token=t1 name=eu-west-1 link=c:1 url=https://c:2");
    ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_ECORRUPT);
    rg_txn_free(txn);
}
