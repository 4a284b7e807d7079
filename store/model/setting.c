#include "store/model/setting.h"

#include <endian.h>

#include "store/apply/fsm_priv.h"

static struct rg_key key_u64(enum rg_table table, uint64_t v)
{
    struct rg_key key = rg_key_table(table);
    uint64_t be = htobe64(v);

    rg_key_put(&key, &be, sizeof be);
    return key;
}

static uint64_t u64_of_key(struct rg_span key)
{
    uint64_t be = 0;

    if (key.n == 1 + sizeof be)
        memcpy(&be, key.p + 1, sizeof be);
    return be64toh(be);
}

static struct rg_span text_of(struct rg_span row, uint32_t field)
{
    struct rg_span value;

    return rg_tlv_get(row, field, &value) ? value : rg_span(NULL, 0);
}

/* --- settings --- */

static enum rg_err setting_row(struct rg_txn *txn, const char *name, struct rg_span *ret_row)
{
    struct rg_key key;
    enum rg_err err;

    RG_ASSERT(rg_key_text(RG_T_SETTING, rg_span_str(name), &key));
    err = rg_row_get(txn, rg_key_span(&key), ret_row);
    if (err == RG_ENOTFOUND)
        *ret_row = rg_span(NULL, 0);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_policy_get(struct rg_txn *txn, struct rg_policy *ret_policy)
{
    struct rg_policy p;
    struct rg_span row;
    enum rg_err err = setting_row(txn, "durability", &row);

    if (err)
        return err;
    memset(&p, 0, sizeof p);
    p.regions = (uint32_t)rg_tlv_u64(row, RG_F_REGIONS, 0);
    p.degrade = rg_span_is(text_of(row, RG_F_ON_SHORTAGE), "degrade");
    err = setting_row(txn, "lease", &row);
    if (err)
        return err;
    p.lease_regions = (uint32_t)rg_tlv_u64(row, RG_F_REGIONS, 0);
    p.lease_ms = rg_tlv_u64(row, RG_F_LEASE_MS, 0);
    p.old_lease_regions = (uint32_t)rg_tlv_u64(row, RG_F_OLD_REGIONS, 0);
    p.old_lease_ms = rg_tlv_u64(row, RG_F_OLD_LEASE_MS, 0);
    p.lease_index = rg_tlv_u64(row, RG_F_VERSION, 0);
    *ret_policy = p;
    return RG_OK;
}

static enum rg_err refuse_setting(struct rg_fsm *f) { return rg_fsm_refuse(f, RG_EINVALID, RG_WHY_SETTING); }

static bool lease_terms_ok(uint64_t regions, uint64_t ms)
{
    if (regions == 0)
        return ms == 0;
    return regions <= RG_POLICY_REGIONS_MAX && ms >= RG_LEASE_MS_MIN && ms <= RG_LEASE_MS_MAX;
}

static uint64_t larger(struct rg_span row, uint32_t a, uint32_t b)
{
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

    if (err)
        return err;
    rg_tlv_put_u64(&f->row, RG_F_OLD_REGIONS, larger(old, RG_F_REGIONS, settled ? RG_F_REGIONS : RG_F_OLD_REGIONS));
    rg_tlv_put_u64(&f->row, RG_F_OLD_LEASE_MS, larger(old, RG_F_LEASE_MS, settled ? RG_F_LEASE_MS : RG_F_OLD_LEASE_MS));
    return f->row.err;
}

enum rg_err rg_fsm_setting_put(struct rg_fsm *f)
{
    static const uint32_t skip[] = {RG_F_SETTLED};
    uint64_t regions = rg_tlv_u64(f->cmd.bytes, RG_F_REGIONS, 0), ms = rg_tlv_u64(f->cmd.bytes, RG_F_LEASE_MS, 0);
    struct rg_span name, shortage = text_of(f->cmd.bytes, RG_F_ON_SHORTAGE), old;
    struct rg_key key;
    bool found;
    enum rg_err err = rg_fsm_name(f, f->cmd.bytes, RG_F_NAME, &name);

    if (err)
        return err;
    if (rg_span_is(name, "durability")) {
        if (regions > RG_POLICY_REGIONS_MAX || ms != 0 ||
            (!rg_span_is(shortage, "refuse") && !rg_span_is(shortage, "degrade")))
            return refuse_setting(f);
    } else if (rg_span_is(name, "lease")) {
        if (!lease_terms_ok(regions, ms) || shortage.n > 0)
            return refuse_setting(f);
    } else {
        return refuse_setting(f);
    }
    RG_ASSERT(rg_key_text(RG_T_SETTING, name, &key));
    err = rg_fsm_find(f, &key, &found, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_span_is(name, "lease") ? lease_row(f, old) : rg_fsm_row_build(f, old, f->cmd.bytes, skip, RG_LEN(skip));
    return err ? err : rg_fsm_row_put(f, &key);
}

/* --- epochs --- */

enum rg_err rg_epoch_begin(struct rg_txn *txn, uint64_t epoch, uint64_t index)
{
    const struct rg_key key = key_u64(RG_T_EPOCH, epoch);
    RG_AUTO_BUF struct rg_buf row = {.max = 0};

    rg_buf_init(&row, 256);
    rg_tlv_put_u64(&row, RG_F_EPOCH, epoch);
    rg_tlv_put_u64(&row, RG_F_FIRST_INDEX, index);
    return row.err ? row.err : rg_row_put(txn, rg_key_span(&key), rg_buf_span(&row));
}

enum rg_err rg_epoch_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_key prefix = rg_key_table(RG_T_EPOCH);

    return rg_scan_begin(txn, rg_key_span(&prefix), rg_span(NULL, 0), scan);
}

enum rg_err rg_epoch_list_next(struct rg_scan *scan, struct rg_epoch *ret_epoch)
{
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    if (err)
        return err;
    *ret_epoch = (struct rg_epoch){
        .epoch = u64_of_key(key),
        .first_index = rg_tlv_u64(row, RG_F_FIRST_INDEX, 0),
        .node_id = rg_tlv_u64(row, RG_F_NODE_ID, 0),
        .region = text_of(row, RG_F_NAME),
        .by = text_of(row, RG_F_DECLARED_BY),
        .reason = text_of(row, RG_F_REASON),
        .at_ms = (int64_t)rg_tlv_u64(row, RG_F_UPDATED_MS, 0),
    };
    return RG_OK;
}

/* Where the epoch begins is in its row already; the primary's region is another now. */
static enum rg_err move_primary(struct rg_fsm *f, struct rg_span region)
{
    static const uint32_t skip[] = {RG_F_PRIMARY};
    const struct rg_key prefix = rg_key_table(RG_T_REGION);
    struct rg_key keys[RG_POLICY_REGIONS_MAX * 2];
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row;
    size_t n = 0;
    enum rg_err err = rg_scan_begin(f->txn, rg_key_span(&prefix), rg_span(NULL, 0), &scan);

    while (!err && n < RG_LEN(keys) && (err = rg_scan_next(&scan, &key, &row)) == RG_OK) {
        bool is = rg_tlv_u64(row, RG_F_PRIMARY, 0) != 0, shall = rg_span_eq(text_of(row, RG_F_NAME), region);

        if (is == shall || key.n > sizeof keys[n].b)
            continue;
        keys[n] = (struct rg_key){.n = 0};
        rg_key_put(&keys[n++], key.p, key.n);
    }
    rg_scan_end(&scan);
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    for (size_t i = 0; i < n; i++) {
        bool shall;

        err = rg_row_get(f->txn, rg_key_span(&keys[i]), &row);
        if (err)
            return err;
        shall = rg_span_eq(text_of(row, RG_F_NAME), region);
        err = rg_fsm_row_build(f, row, row, skip, RG_LEN(skip));
        if (err)
            return err;
        rg_tlv_put_u64(&f->row, RG_F_PRIMARY, shall);
        err = f->row.err ? f->row.err : rg_fsm_row_put(f, &keys[i]);
        if (err)
            return err;
    }
    return RG_OK;
}

/* A note may come late, when the next primary has its own already. */
static enum rg_err newest_epoch(struct rg_fsm *f, const struct rg_key *key, bool *ret_newest)
{
    const struct rg_key prefix = rg_key_table(RG_T_EPOCH);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span next, row;
    enum rg_err err = rg_scan_begin(f->txn, rg_key_span(&prefix), rg_key_span(key), &scan);

    if (!err)
        err = rg_scan_next(&scan, &next, &row);
    *ret_newest = err == RG_ENOTFOUND;
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_fsm_epoch_note(struct rg_fsm *f)
{
    const struct rg_key key = key_u64(RG_T_EPOCH, rg_tlv_u64(f->cmd.bytes, RG_F_EPOCH, 0));
    static const uint32_t skip[] = {RG_F_FIRST_INDEX};
    struct rg_span old, region;
    bool newest = false;
    enum rg_err err = rg_fsm_name(f, f->cmd.bytes, RG_F_NAME, &region);

    if (!err)
        err = rg_fsm_need(f, &key, RG_WHY_NODE, &old);
    if (!err && text_of(old, RG_F_NAME).n > 0)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_NODE); /* noted already */
    if (!err)
        err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, skip, RG_LEN(skip));
    if (err)
        return err;
    rg_tlv_put_u64(&f->row, RG_F_FIRST_INDEX, rg_tlv_u64(old, RG_F_FIRST_INDEX, 0));
    err = f->row.err ? f->row.err : rg_fsm_row_put(f, &key);
    if (!err)
        err = newest_epoch(f, &key, &newest);
    return err || !newest ? err : move_primary(f, region);
}

/* --- writes with fewer regions than the policy wants --- */

static struct rg_key count_key(void)
{
    struct rg_key key;

    RG_ASSERT(rg_key_text(RG_T_SETTING, rg_span_str("degraded-count"), &key));
    return key;
}

enum rg_err rg_degraded_count(struct rg_txn *txn, uint64_t *ret_count)
{
    struct rg_span row;
    enum rg_err err = setting_row(txn, "degraded-count", &row);

    *ret_count = err ? 0 : rg_tlv_u64(row, RG_F_REGIONS, 0);
    return err;
}

static enum rg_err drop_oldest(struct rg_fsm *f)
{
    const struct rg_key prefix = rg_key_table(RG_T_DEGRADED);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_key oldest = {.n = 0};
    struct rg_span key, row;
    enum rg_err err = rg_scan_begin(f->txn, rg_key_span(&prefix), rg_span(NULL, 0), &scan);

    if (!err)
        err = rg_scan_next(&scan, &key, &row);
    if (err)
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    rg_key_put(&oldest, key.p, key.n);
    rg_scan_end(&scan);
    return rg_fsm_drop(f, &oldest);
}

enum rg_err rg_fsm_degraded(struct rg_fsm *f, uint64_t regions)
{
    const struct rg_key key = key_u64(RG_T_DEGRADED, f->index), total = count_key();
    uint64_t count;
    enum rg_err err = rg_degraded_count(f->txn, &count);

    if (!err && count >= RG_DEGRADED_KEPT_MAX)
        err = drop_oldest(f);
    if (err)
        return err;
    rg_buf_clear(&f->row);
    rg_tlv_put_u64(&f->row, RG_F_KIND, f->cmd.kind);
    rg_tlv_put_u64(&f->row, RG_F_AT_MS, (uint64_t)f->cmd.at_ms);
    rg_tlv_put(&f->row, RG_F_BY, f->cmd.by);
    rg_tlv_put_u64(&f->row, RG_F_DEGRADED, regions);
    err = f->row.err ? f->row.err : rg_fsm_row_put(f, &key);
    if (err)
        return err;
    rg_buf_clear(&f->row);
    rg_tlv_put_u64(&f->row, RG_F_REGIONS, count + 1);
    return f->row.err ? f->row.err : rg_fsm_row_put(f, &total);
}

enum rg_err rg_degraded_list(struct rg_txn *txn, uint64_t after, struct rg_scan *scan)
{
    const struct rg_key prefix = rg_key_table(RG_T_DEGRADED), from = key_u64(RG_T_DEGRADED, after);

    return rg_scan_begin(txn, rg_key_span(&prefix), after > 0 ? rg_key_span(&from) : rg_span(NULL, 0), scan);
}

enum rg_err rg_degraded_list_next(struct rg_scan *scan, struct rg_degraded *ret_degraded)
{
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    if (err)
        return err;
    *ret_degraded = (struct rg_degraded){
        .index = u64_of_key(key),
        .regions = rg_tlv_u64(row, RG_F_DEGRADED, 0),
        .kind = rg_tlv_u64(row, RG_F_KIND, 0),
        .by = text_of(row, RG_F_BY),
        .at_ms = (int64_t)rg_tlv_u64(row, RG_F_AT_MS, 0),
    };
    return RG_OK;
}
