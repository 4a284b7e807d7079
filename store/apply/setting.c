/* Settings and epochs being applied, and the writes that were acknowledged with less than the policy wants. */
#include "store/apply/fsm_priv.h"
#include "store/db/rowmap.h"
#include "store/model/setting_priv.h"

static enum rg_err refuse_setting(struct rg_fsm *f)
{
    RG_ASSERT(f->cmd.kind == RG_CMD_SETTING_PUT);
    RG_ASSERT(!f->refused);
    return rg_fsm_refuse(f, RG_EINVALID, RG_WHY_SETTING);
}

static bool lease_terms_ok(uint64_t regions, uint64_t ms)
{
    _Static_assert(RG_LEASE_MS_MIN < RG_LEASE_MS_MAX, "a range");
    _Static_assert(RG_LEASE_MS_MIN > 0, "no lease is 0 regions and 0 ms");
    if (regions == 0)
        return ms == 0;
    return regions <= RG_DURABLE_REGIONS_MAX && ms >= RG_LEASE_MS_MIN && ms <= RG_LEASE_MS_MAX;
}

static uint64_t larger(struct rg_span row, uint32_t a, uint32_t b)
{
    RG_ASSERT(a >= RG_F_ID);
    RG_ASSERT(b >= RG_F_ID);
    return RG_MAX(rg_tlv_u64(row, a, 0), rg_tlv_u64(row, b, 0));
}

/* The terms before stay in the row: whoever becomes the primary must know what members may still believe in. The largest ones: a
 * member may have missed more than one change. */
static enum rg_err lease_row(struct rg_fsm *f, struct rg_span old)
{
    static const uint32_t skip[] = {RG_F_OLD_REGIONS, RG_F_OLD_LEASE_MS, RG_F_SETTLED};
    uint64_t set_at = rg_tlv_u64(old, RG_F_VERSION, 0);
    bool settled = set_at != 0 && rg_tlv_u64(f->cmd.bytes, RG_F_SETTLED, 0) == set_at;
    enum rg_err err = rg_fsm_row_build(f, old, f->cmd.bytes, skip, RG_LEN(skip));

    RG_ASSERT(f->cmd.kind == RG_CMD_SETTING_PUT);
    if (err)
        return err;
    if (set_at >= f->index) /* by an entry before this one, if at all */
        return RG_ECORRUPT;
    rg_tlv_put_u64(&f->row, RG_F_OLD_REGIONS, larger(old, RG_F_REGIONS, settled ? RG_F_REGIONS : RG_F_OLD_REGIONS));
    rg_tlv_put_u64(&f->row, RG_F_OLD_LEASE_MS, larger(old, RG_F_LEASE_MS, settled ? RG_F_LEASE_MS : RG_F_OLD_LEASE_MS));
    return rg_fsm_row_check(f);
}

enum rg_err rg_fsm_setting_put(struct rg_fsm *f)
{
    static const uint32_t skip[] = {RG_F_SETTLED};
    uint64_t regions = rg_tlv_u64(f->cmd.bytes, RG_F_REGIONS, 0), ms = rg_tlv_u64(f->cmd.bytes, RG_F_LEASE_MS, 0);
    struct rg_span name, shortage = setting_text(f->cmd.bytes, RG_F_ON_SHORTAGE), old;
    struct rg_rowkey key;
    bool found;
    enum rg_err err = rg_fsm_name(f, f->cmd.bytes, RG_F_NAME, &name);

    RG_ASSERT(f->cmd.kind == RG_CMD_SETTING_PUT);
    if (err)
        return err;
    if (rg_span_is(name, "durability")) {
        if (regions > RG_DURABLE_REGIONS_MAX || ms != 0 ||
            (!rg_span_is(shortage, "refuse") && !rg_span_is(shortage, "degrade")))
            return refuse_setting(f);
    } else if (rg_span_is(name, "lease")) {
        if (!lease_terms_ok(regions, ms) || shortage.n > 0)
            return refuse_setting(f);
    } else {
        return refuse_setting(f);
    }
    RG_ASSERT(rg_rowkey_text(RG_T_SETTING, name, &key));
    err = rg_fsm_demand(f, RG_SAID_SETTING);
    if (!err)
        err = rg_fsm_find(f, &key, &found, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_span_is(name, "lease") ? lease_row(f, old) : rg_fsm_row_build(f, old, f->cmd.bytes, skip, RG_LEN(skip));
    return err ? err : rg_fsm_row_put(f, &key);
}

/* Regions whose rows change when the primary's region is another. */
struct moves {
    struct rg_rowkey keys[RG_FSM_REGIONS_MAX]; /* each of them */
    size_t n;
};

static enum rg_err build_moved(struct rg_fsm *f, struct rg_span row, struct rg_span region)
{
    static const uint32_t skip[] = {RG_F_PRIMARY};
    enum rg_err err = rg_fsm_row_build(f, row, row, skip, RG_LEN(skip));

    RG_ASSERT(f->cmd.kind == RG_CMD_EPOCH_NOTE);
    RG_ASSERT(err || f->row.len > 0);
    if (err)
        return err;
    rg_tlv_put_u64(&f->row, RG_F_PRIMARY, rg_span_eq(setting_text(row, RG_F_NAME), region));
    return rg_fsm_row_check(f);
}

_Static_assert(RG_DURABLE_REGIONS_MAX < RG_FSM_REGIONS_MAX, "no setting wants more regions than there can be");
_Static_assert(sizeof(struct moves) <= 32 * 1024, "on the stack");

/* Which rows, and whether each has room for what is written into it. */
static enum rg_err plan_moves(struct rg_fsm *f, struct rg_span region, struct moves *moves)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_REGION);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row;
    enum rg_err err = rg_rowkey_scan(f->txn, &prefix, NULL, &scan);

    RG_ASSERT(region.n > 0);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    moves->n = 0;
    while (!err && moves->n < RG_LEN(moves->keys) && (err = rg_scan_next(&scan, &key, &row)) == RG_OK) {
        bool is = rg_tlv_u64(row, RG_F_PRIMARY, 0) != 0, shall = rg_span_eq(setting_text(row, RG_F_NAME), region);

        if (is == shall || key.n > sizeof moves->keys[0].b)
            continue;
        moves->keys[moves->n] = (struct rg_rowkey){.n = 0};
        rg_rowkey_put(&moves->keys[moves->n++], key.p, key.n);
        err = build_moved(f, row, region);
    }
    RG_ASSERT(moves->n <= RG_LEN(moves->keys));
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static enum rg_err move_primary(struct rg_fsm *f, struct rg_span region, const struct moves *moves)
{
    struct rg_span row;
    enum rg_err err = RG_OK;

    RG_ASSERT(moves->n <= RG_LEN(moves->keys));
    RG_ASSERT(!f->refused);
    for (size_t i = 0; !err && i < moves->n; i++) {
        err = rg_row_get(f->txn, rg_rowkey_span(&moves->keys[i]), &row);
        if (!err)
            err = build_moved(f, row, region);
        if (!err)
            err = rg_fsm_row_put(f, &moves->keys[i]);
    }
    return err;
}

/* A note may come late, when the next primary has its own already. */
static enum rg_err newest_epoch(struct rg_fsm *f, const struct rg_rowkey *key, bool *ret_newest)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_EPOCH);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span next, row;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(&prefix), rg_rowkey_span(key), &scan);

    RG_ASSERT(key->b[0] == RG_T_EPOCH);
    RG_ASSERT(key->n == 1 + 8);
    if (!err)
        err = rg_scan_next(&scan, &next, &row);
    *ret_newest = err == RG_ENOTFOUND;
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* Where the epoch begins is in its row already; the primary's region is another now. */
enum rg_err rg_fsm_epoch_note(struct rg_fsm *f)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_EPOCH, rg_tlv_u64(f->cmd.bytes, RG_F_EPOCH, 0));
    static const uint32_t skip[] = {RG_F_FIRST_INDEX};
    struct rg_span old, region;
    struct moves moves = {.n = 0};
    bool newest = false;
    enum rg_err err = rg_fsm_name(f, f->cmd.bytes, RG_F_NAME, &region);

    RG_ASSERT(f->cmd.kind == RG_CMD_EPOCH_NOTE);
    if (!err)
        err = rg_fsm_need(f, &key, RG_WHY_NODE, &old);
    if (!err && setting_text(old, RG_F_NAME).n > 0)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_NODE); /* noted already */
    if (!err)
        err = newest_epoch(f, &key, &newest);
    if (!err && newest)
        err = plan_moves(f, region, &moves);
    if (!err)
        err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, skip, RG_LEN(skip));
    if (err)
        return err;
    rg_tlv_put_u64(&f->row, RG_F_FIRST_INDEX, rg_tlv_u64(old, RG_F_FIRST_INDEX, 0));
    RG_ASSERT(!f->refused);
    err = rg_fsm_row_check(f);
    if (!err)
        err = rg_fsm_row_put(f, &key);
    return err ? err : move_primary(f, region, &moves);
}

static enum rg_err drop_oldest(struct rg_fsm *f)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_DEGRADED);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_rowkey oldest;
    struct rg_span key, row;
    uint64_t index;
    enum rg_err err = rg_rowkey_scan(f->txn, &prefix, NULL, &scan);

    RG_ASSERT(!f->refused);
    if (!err)
        err = rg_scan_next(&scan, &key, &row);
    if (err == RG_ENOTFOUND || (!err && (!rg_rowkey_take_u64(key, &index) || index >= f->index)))
        err = RG_ECORRUPT;
    if (err)
        return err;
    rg_scan_end(&scan);
    oldest = rg_rowkey_u64(RG_T_DEGRADED, index);
    return rg_fsm_drop(f, &oldest);
}

enum rg_err rg_fsm_degraded(struct rg_fsm *f, uint64_t regions)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_DEGRADED, f->index), total = setting_count_key();
    uint64_t count;
    enum rg_err err = rg_degraded_count(f->txn, &count);

    RG_ASSERT(!f->refused);
    RG_ASSERT(total.n > 1);
    if (!err && count >= RG_DEGRADED_KEPT_MAX)
        err = drop_oldest(f);
    if (err)
        return err;
    rg_buf_clear(&f->row);
    rg_tlv_put_u64(&f->row, RG_F_KIND, f->cmd.kind);
    rg_tlv_put_u64(&f->row, RG_F_AT_MS, (uint64_t)f->cmd.at_ms);
    rg_tlv_put(&f->row, RG_F_BY, f->cmd.by);
    rg_tlv_put_u64(&f->row, RG_F_DEGRADED, regions);
    err = f->row.err ? f->row.err : rg_fsm_row_add(f, &key);
    if (err)
        return err;
    rg_buf_clear(&f->row);
    rg_tlv_put_u64(&f->row, RG_F_REGIONS, count + 1);
    return f->row.err ? f->row.err : rg_fsm_row_put(f, &total);
}
