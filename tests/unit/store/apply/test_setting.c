/* store/apply/setting: settings within bounds, what a lease was before, epochs noted, and writes noted as degraded. */
#include "store/model/setting.h"
#include "store/model/region.h"
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

static const char *const refused[] = {
    "name=durability regions=33 shortage=refuse",
    "name=durability regions=4294967297 shortage=refuse",
    "name=durability regions=1",
    "name=durability regions=1 shortage=perhaps",
    "name=durability regions=1 shortage=refuse lease=5000",
    "name=lease regions=1",
    "name=lease regions=1 lease=999",
    "name=lease regions=1 lease=60001",
    "name=lease regions=33 lease=5000",
    "name=lease regions=0 lease=5000",
    "name=lease regions=1 lease=5000 shortage=refuse",
    "name=degraded-count regions=7",
    "name=other regions=1",
};

LOOP(a_setting_out_of_bounds_is_refused, RG_LEN(refused))
{
    struct rg_settings p;

    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=32 lease=60000");
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=1 lease=1000");
    p = fix_settings(&fix);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_SETTING_PUT, refused[_i]), RG_EINVALID);
    ck_assert_int_eq(fix.reply.why, RG_WHY_SETTING);
    ck_assert_mem_eq(&p, &(struct rg_settings[]){fix_settings(&fix)}, sizeof p);
}

TEST(a_stale_version_changes_no_setting)
{
    char text[96];

    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=2 lease=5000");
    snprintf(text, sizeof text, "name=lease regions=1 lease=5000 if=%llu", (unsigned long long)fix.index - 1);
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_SETTING_PUT, text), RG_ESTALE);
    ck_assert_uint_eq(fix_settings(&fix).lease_regions, 2);
}

/* A member may have missed more than one change: the largest terms it may know stay. */
TEST(the_lease_before_stays_until_it_is_settled)
{
    char text[96];

    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=3 lease=9000");
    ck_assert_uint_eq(fix_settings(&fix).old_lease_regions, 0);
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=2 lease=5000");
    ck_assert_uint_eq(fix_settings(&fix).old_lease_regions, 3);
    ck_assert_uint_eq(fix_settings(&fix).old_lease_ms, 9000);
    fix_must(&fix, RG_CMD_SETTING_PUT, "name=lease regions=1 lease=2000");
    ck_assert_uint_eq(fix_settings(&fix).old_lease_regions, 3);
    ck_assert_uint_eq(fix_settings(&fix).old_lease_ms, 9000);
    snprintf(text, sizeof text, "name=lease regions=0 settled=%llu", (unsigned long long)fix.index - 1);
    fix_must(&fix, RG_CMD_SETTING_PUT, text); /* of another change */
    ck_assert_uint_eq(fix_settings(&fix).old_lease_regions, 3);
    snprintf(text, sizeof text, "name=lease regions=2 lease=3000 settled=%llu", (unsigned long long)fix.index);
    fix_must(&fix, RG_CMD_SETTING_PUT, text);
    ck_assert_uint_eq(fix_settings(&fix).old_lease_regions, 0);
    ck_assert_uint_eq(fix_settings(&fix).old_lease_ms, 0);
    ck_assert_uint_eq(fix_settings(&fix).lease_regions, 2);
}

static void begin_epoch(uint64_t epoch)
{
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_epoch_begin(txn, epoch, ++fix.index), RG_OK);
    rg_txn_mark_applied(txn, fix.index, 1);
    ck_assert_int_eq(rg_txn_commit(txn), RG_OK);
}

static struct rg_epoch epoch_at(size_t at, char region[33], char by[33])
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_scan scan = {0};
    struct rg_epoch e = {.epoch = 0};

    ck_assert_int_eq(rg_epoch_list(txn, &scan), RG_OK);
    for (size_t i = 0; i <= at; i++)
        if (rg_epoch_list_next(&scan, &e) != RG_OK)
            e = (struct rg_epoch){.epoch = 0};
    snprintf(region, 33, "%.*s", RG_SPAN_ARG(e.region));
    snprintf(by, 33, "%.*s", RG_SPAN_ARG(e.by));
    rg_scan_end(&scan);
    rg_txn_free(txn);
    return e;
}

static bool primary_is(const char *name)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_region row;
    bool is;

    ck_assert_int_eq(rg_region_get(txn, rg_span_str(name), &row), RG_OK);
    is = row.primary;
    ck_assert(rg_span_is(row.status, "ACTIVE"));
    rg_txn_free(txn);
    return is;
}

TEST(an_epoch_is_noted_once_and_moves_the_primary)
{
    char region[33], by[33];
    uint64_t first;

    begin_epoch(1026);
    first = fix.index;
    ck_assert_uint_eq(epoch_at(0, region, by).epoch, 1026);
    ck_assert_str_eq(region, "");
    ck_assert(primary_is("us-east-1") && !primary_is("eu-central-1"));
    fix_must(&fix, RG_CMD_EPOCH_NOTE, "epoch=1026 name=eu-central-1 node=2 declared=ann reason=fire");
    ck_assert(!primary_is("us-east-1") && primary_is("eu-central-1"));
    ck_assert_uint_eq(epoch_at(0, region, by).first_index, first);
    ck_assert_uint_eq(epoch_at(0, region, by).node_id, 2);
    ck_assert_int_ne(epoch_at(0, region, by).at_ms, 0);
    ck_assert_str_eq(region, "eu-central-1");
    ck_assert_str_eq(by, "ann");
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_EPOCH_NOTE, "epoch=1026 name=us-east-1 node=1"), RG_ECONFLICT);
    ck_assert(primary_is("eu-central-1"));
    begin_epoch(2050);
    begin_epoch(3073);
    fix_must(&fix, RG_CMD_EPOCH_NOTE, "epoch=3073 name=us-east-1 node=1");
    ck_assert(primary_is("us-east-1") && !primary_is("eu-central-1"));
    fix_must(&fix, RG_CMD_EPOCH_NOTE, "epoch=2050 name=eu-central-1 node=2"); /* late: it is over */
    ck_assert(primary_is("us-east-1") && !primary_is("eu-central-1"));
    ck_assert_uint_eq(epoch_at(1, region, by).epoch, 2050);
    ck_assert_str_eq(region, "eu-central-1");
    ck_assert_uint_eq(epoch_at(2, region, by).epoch, 3073);
    ck_assert_uint_eq(epoch_at(3, region, by).epoch, 0);
}

TEST(an_epoch_that_has_not_begun_is_not_noted)
{
    ck_assert_int_ne(fix_apply(&fix, RG_CMD_EPOCH_NOTE, "epoch=1026 name=eu-central-1 node=2"), RG_OK);
    ck_assert(primary_is("us-east-1") && !primary_is("eu-central-1"));
}

/* A note cannot move where the epoch begins. */
TEST(a_note_keeps_the_first_index)
{
    char region[33], by[33];
    uint64_t first;

    begin_epoch(1026);
    first = fix.index;
    fix_cmd(&fix, RG_CMD_EPOCH_NOTE, "epoch=1026 name=eu-central-1 node=2");
    rg_tlv_put_u64(&fix.cmd, RG_F_FIRST_INDEX, 7);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
    ck_assert_uint_eq(epoch_at(0, region, by).first_index, first);
}

/* The primary moves: rows of regions are written again and are longer then. One that has no room for it (of no command: REGION_PUT is
 * bounded) refuses the note before anything is written. */
TEST(a_region_without_room_to_move)
{
    static uint8_t filler[RG_ROW_BYTES_MAX];
    const char key[] = "Reu-central-1";
    size_t applied = 0, too_big = 0;
    struct rg_reply reply;
    struct rg_txn *txn;

    for (size_t less = 0; less < 100; less++) {
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        ck_assert_int_eq(rg_epoch_begin(txn, 7, fix.index), RG_OK);
        rg_buf_clear(&fix.cmd);
        rg_tlv_put_u64(&fix.cmd, RG_F_VERSION, 1);
        rg_tlv_put_str(&fix.cmd, RG_F_NAME, "eu-central-1");
        rg_tlv_put_str(&fix.cmd, RG_F_STATUS, "ACTIVE");
        rg_tlv_put(&fix.cmd, 999, rg_span(filler, RG_ROW_BYTES_MAX - fix.cmd.len - 5 - less));
        ck_assert_int_eq(rg_row_put(txn, rg_span_str(key), rg_buf_span(&fix.cmd)), RG_OK);
        fix_cmd(&fix, RG_CMD_EPOCH_NOTE, "epoch=7 node=1 name=eu-central-1");
        ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        applied += reply.err == RG_OK;
        too_big += reply.err == RG_ETOOBIG;
        rg_txn_free(txn);
    }
    ck_assert_uint_eq(applied + too_big, 100);
    ck_assert_uint_gt(applied, 0);
    ck_assert_uint_gt(too_big, 0);
}

/* ---- degraded ---- */

static uint64_t degraded(uint64_t after, size_t *ret_n, struct rg_degraded *ret_first)
{
    struct rg_txn *txn = fix_read(&fix);
    struct rg_scan scan = {0};
    struct rg_degraded d;
    uint64_t count;

    *ret_n = 0;
    ck_assert_int_eq(rg_degraded_count(txn, &count), RG_OK);
    ck_assert_int_eq(rg_degraded_list(txn, after, &scan), RG_OK);
    while (rg_degraded_list_next(&scan, &d) == RG_OK)
        if ((*ret_n)++ == 0 && ret_first != NULL) {
            *ret_first = d;
            ck_assert(rg_span_is(d.by, "tester"));
        }
    rg_scan_end(&scan);
    rg_txn_free(txn);
    return count;
}

TEST(a_degraded_write_is_noted_and_a_refused_one_is_not)
{
    struct rg_degraded d = {.index = 0};
    uint64_t index;
    size_t n;

    ck_assert_uint_eq(degraded(0, &n, NULL), 0);
    ck_assert_uint_eq(n, 0);
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u1 name=alice degraded=1");
    index = fix.index;
    ck_assert_int_ne(fix_apply(&fix, RG_CMD_USER_CREATE, "id=u2 name=alice degraded=0"), RG_OK);
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u3 name=carol degraded=0");
    fix_must(&fix, RG_CMD_USER_CREATE, "id=u4 name=dave");
    ck_assert_uint_eq(degraded(0, &n, &d), 2);
    ck_assert_uint_eq(n, 2);
    ck_assert_uint_eq(d.index, index);
    ck_assert_uint_eq(d.regions, 1);
    ck_assert_uint_eq(d.kind, RG_CMD_USER_CREATE);
    ck_assert_uint_eq(degraded(index, &n, &d), 2);
    ck_assert_uint_eq(n, 1);
    ck_assert_uint_eq(d.index, index + 2);
    ck_assert_uint_eq(d.regions, 0);
}

/* The oldest notes go; the count does not. */
TEST(notes_of_degraded_writes_are_bounded)
{
    struct rg_degraded d = {.index = 0};
    uint64_t first;
    size_t n;

    fix_must(&fix, RG_CMD_USER_CREATE, "id=u1 name=alice degraded=0");
    first = fix.index;
    for (unsigned i = 0; i < RG_DEGRADED_KEPT_MAX + 2; i++)
        fix_must(&fix, RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=degrade degraded=0");
    ck_assert_uint_eq(degraded(0, &n, &d), RG_DEGRADED_KEPT_MAX + 3);
    ck_assert_uint_eq(n, RG_DEGRADED_KEPT_MAX);
    ck_assert_uint_eq(d.index, first + 3);
}
