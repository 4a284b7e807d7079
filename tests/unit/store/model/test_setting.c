/* store/model/setting: settings, epochs and notes of degraded writes as they are read. */
#include "store/model/setting.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup(void)
{
    fix_open(&fix);
    fix_must(&fix, RG_CMD_INSTANCE_INIT, FIX_INIT);
}
static void teardown(void)
{
    fix_check_hash(&fix);
    fix_close(&fix);
}

CASE(.setup = setup, .teardown = teardown, .seconds = 100);

TEST(without_settings_nothing_is_asked_for)
{
    struct rg_settings p = fix_settings(&fix), none = {.regions = 0};

    ck_assert_mem_eq(&p, &none, sizeof p);
}

TEST(settings_are_as_they_were_put)
{
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=durability regions=2 shortage=degrade");
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=3 lease=5000");
    ck_assert_uint_eq(fix_settings(&fix).regions, 2);
    ck_assert(fix_settings(&fix).degrade);
    ck_assert_uint_eq(fix_settings(&fix).lease_regions, 3);
    ck_assert_uint_eq(fix_settings(&fix).lease_ms, 5000);
    ck_assert_uint_eq(fix_settings(&fix).lease_index, fix.index);
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=durability regions=0 shortage=refuse");
    ck_assert_uint_eq(fix_settings(&fix).regions, 0);
    ck_assert(!fix_settings(&fix).degrade);
    ck_assert_uint_eq(fix_settings(&fix).lease_regions, 3);
}

/* No command writes such rows; to go by what is left of a number could acknowledge a write too early. */
static const struct {
    const char *key;
    uint64_t regions, ms, old_regions, old_ms;
    enum rg_err want;
} rows[] = {
    {"Gdurability", 32, 0, 0, 0, RG_OK},
    {"Gdurability", 33, 0, 0, 0, RG_ECORRUPT},
    {"Gdurability", UINT64_C(1) << 32, 0, 0, 0, RG_ECORRUPT},
    {"Glease", 32, 60000, 32, 60000, RG_OK},
    {"Glease", 33, 60000, 0, 0, RG_ECORRUPT},
    {"Glease", UINT64_C(1) << 32, 60000, 0, 0, RG_ECORRUPT},
    {"Glease", 1, 60001, 0, 0, RG_ECORRUPT},
    {"Glease", 1, 0, 0, 0, RG_ECORRUPT},
    {"Glease", 0, 5000, 0, 0, RG_ECORRUPT},
    {"Glease", 1, 5000, UINT64_C(1) << 32, 5000, RG_ECORRUPT},
    {"Glease", 1, 5000, 1, UINT64_MAX, RG_ECORRUPT},
};

LOOP(a_row_out_of_bounds_is_damage, RG_LEN(rows))
{
    struct rg_settings p;
    struct rg_txn *txn;

    rg_buf_clear(&fix.cmd);
    rg_tlv_put_u64(&fix.cmd, RG_F_REGIONS, rows[_i].regions);
    rg_tlv_put_u64(&fix.cmd, RG_F_LEASE_MS, rows[_i].ms);
    rg_tlv_put_u64(&fix.cmd, RG_F_OLD_REGIONS, rows[_i].old_regions);
    rg_tlv_put_u64(&fix.cmd, RG_F_OLD_LEASE_MS, rows[_i].old_ms);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_span_str(rows[_i].key), rg_buf_span(&fix.cmd)), RG_OK);
    ck_assert_int_eq(rg_settings_get(txn, &p), rows[_i].want);
    rg_txn_free(txn);
}

static void begin_epoch(uint64_t epoch)
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_epoch_begin(txn, epoch, ++fix.index), RG_OK);
    rg_txn_mark_applied(txn, fix.index, 1);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

TEST(an_epoch_begins_once_and_somewhere)
{
    struct rg_scan scan = {0};
    struct rg_epoch e;
    struct rg_txn *txn;

    begin_epoch(1026);
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_epoch_begin(txn, 1026, fix.index + 1), RG_ECORRUPT);
    rg_buf_clear(&fix.cmd);
    rg_tlv_put_u64(&fix.cmd, RG_F_FIRST_INDEX, 0);
    ck_assert_int_eq(rg_row_put(txn, rg_span("E\0\0\0\0\0\0\0\1", 9), rg_buf_span(&fix.cmd)), RG_OK);
    ck_assert_int_eq(rg_epoch_list(txn, &scan), RG_OK);
    ck_assert_int_eq(rg_epoch_list_next(&scan, &e), RG_ECORRUPT);
    rg_scan_end(&scan);
    rg_txn_free(txn);
}
