#include "store/model/setting.h"

#include "store/db/rowmap.h"
#include "store/model/setting_priv.h"

_Static_assert(0 < RG_LEASE_MS_MIN && RG_LEASE_MS_MIN < RG_LEASE_MS_MAX, "a lease has a length");
_Static_assert(RG_DEGRADED_KEPT_MAX > 0, "the last one can be read");

/* --- settings --- */

static enum rg_err setting_row(struct rg_txn *txn, const char *name, struct rg_span *ret_row)
{
    struct rg_rowkey key;
    enum rg_err err;

    RG_ASSERT(rg_rowkey_text(RG_T_SETTING, rg_span_str(name), &key));
    err = rg_row_get(txn, rg_rowkey_span(&key), ret_row);
    RG_ASSERT(key.b[0] == RG_T_SETTING);
    RG_ASSERT(key.n > 1);
    if (err == RG_ENOTFOUND)
        *ret_row = rg_span(NULL, 0);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* A number of regions. False: no command that was ever applied has set it; to go by what is left of it could acknowledge a write
 * too early. */
static bool take_regions(struct rg_span row, uint32_t field, uint32_t *ret_regions)
{
    uint64_t regions = rg_tlv_u64(row, field, 0);

    RG_ASSERT(field == RG_F_REGIONS || field == RG_F_OLD_REGIONS);
    _Static_assert(RG_DURABLE_REGIONS_MAX <= UINT32_MAX, "fits");
    *ret_regions = (uint32_t)RG_MIN(regions, (uint64_t)RG_DURABLE_REGIONS_MAX);
    return regions <= RG_DURABLE_REGIONS_MAX;
}

enum rg_err rg_settings_get(struct rg_txn *txn, struct rg_settings *ret_policy)
{
    struct rg_settings p;
    struct rg_span row;
    enum rg_err err = setting_row(txn, "durability", &row);

    if (err)
        return err;
    memset(&p, 0, sizeof p);
    if (!take_regions(row, RG_F_REGIONS, &p.regions))
        return RG_ECORRUPT;
    p.degrade = rg_span_is(setting_text(row, RG_F_ON_SHORTAGE), "degrade");
    err = setting_row(txn, "lease", &row);
    if (err)
        return err;
    p.lease_ms = rg_tlv_u64(row, RG_F_LEASE_MS, 0);
    p.old_lease_ms = rg_tlv_u64(row, RG_F_OLD_LEASE_MS, 0);
    p.lease_index = rg_tlv_u64(row, RG_F_VERSION, 0);
    if (!take_regions(row, RG_F_REGIONS, &p.lease_regions) || !take_regions(row, RG_F_OLD_REGIONS, &p.old_lease_regions) ||
        p.lease_ms > RG_LEASE_MS_MAX || p.old_lease_ms > RG_LEASE_MS_MAX || (p.lease_regions > 0) != (p.lease_ms > 0))
        return RG_ECORRUPT;
    RG_ASSERT(p.regions <= RG_DURABLE_REGIONS_MAX);
    RG_ASSERT(p.lease_regions <= RG_DURABLE_REGIONS_MAX);
    RG_ASSERT((p.lease_regions == 0) == (p.lease_ms == 0));
    RG_ASSERT(p.old_lease_regions <= RG_DURABLE_REGIONS_MAX);
    RG_ASSERT(RG_MAX(p.lease_ms, p.old_lease_ms) <= RG_LEASE_MS_MAX);
    *ret_policy = p;
    return RG_OK;
}

/* --- epochs --- */

enum rg_err rg_epoch_begin(struct rg_txn *txn, uint64_t epoch, uint64_t index)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_EPOCH, epoch);
    RG_AUTO_BUF struct rg_buf row = {.max = 0};

    RG_ASSERT(epoch > 0);
    RG_ASSERT(epoch <= UINT32_MAX); /* half of a term */
    RG_ASSERT(index > 0);
    rg_buf_init(&row, 256);
    rg_tlv_put_u64(&row, RG_F_EPOCH, epoch);
    rg_tlv_put_u64(&row, RG_F_FIRST_INDEX, index);
    return row.err ? row.err : rg_row_add(txn, rg_rowkey_span(&key), rg_buf_span(&row)); /* it begins once */
}

static const struct rg_row_member epoch_members[] = {
    [RG_F_UPDATED_MS] = RG_ROW(struct rg_epoch, at_ms),
    [RG_F_NAME] = RG_ROW(struct rg_epoch, region),
    [RG_F_REASON] = RG_ROW(struct rg_epoch, reason),
    [RG_F_NODE_ID] = RG_ROW(struct rg_epoch, node_id),
    [RG_F_FIRST_INDEX] = RG_ROW(struct rg_epoch, first_index),
    [RG_F_DECLARED_BY] = RG_ROW(struct rg_epoch, by),
};
static const struct rg_rowmap epoch_map = RG_ROWMAP(epoch_members, struct rg_epoch, RG_F_FIRST_INDEX);

enum rg_err rg_epoch_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_EPOCH);

    RG_ASSERT(prefix.n == 1);
    return rg_rowkey_scan(txn, &prefix, NULL, scan);
}

enum rg_err rg_epoch_list_next(struct rg_scan *scan, struct rg_epoch *ret_epoch)
{
    struct rg_span key, row;
    struct rg_epoch e;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_EPOCH);
    if (!err)
        err = rg_rowmap_read(&epoch_map, row, &e);
    if (err)
        return err;
    if (!rg_rowkey_take_u64(key, &e.epoch) || e.epoch == 0 || e.epoch > UINT32_MAX || e.first_index == 0)
        return RG_ECORRUPT;
    *ret_epoch = e;
    return RG_OK;
}

void rg_epoch_note(struct rg_buf *cmd, int64_t at_ms, struct rg_span by, const struct rg_epoch *epoch)
{
    RG_ASSERT(epoch->epoch > 0);
    RG_ASSERT(epoch->epoch <= UINT32_MAX);
    RG_ASSERT(epoch->node_id > 0);
    RG_ASSERT(epoch->region.n > 0); /* a command without is refused */
    rg_cmd_begin(cmd, RG_CMD_EPOCH_NOTE, at_ms, by);
    rg_tlv_put_u64(cmd, RG_F_EPOCH, epoch->epoch);
    rg_tlv_put_u64(cmd, RG_F_NODE_ID, epoch->node_id);
    rg_tlv_put(cmd, RG_F_NAME, epoch->region);
    rg_tlv_put(cmd, RG_F_DECLARED_BY, epoch->by);
    rg_tlv_put(cmd, RG_F_REASON, epoch->reason);
}

/* --- writes with fewer regions than the policy wants --- */

enum rg_err rg_degraded_count(struct rg_txn *txn, uint64_t *ret_count)
{
    struct rg_span row;
    enum rg_err err = setting_row(txn, "degraded-count", &row);

    RG_ASSERT(ret_count != NULL);
    *ret_count = err ? 0 : rg_tlv_u64(row, RG_F_REGIONS, 0);
    return err;
}

static const struct rg_row_member degraded_members[] = {
    [RG_F_KIND] = RG_ROW(struct rg_degraded, kind),
    [RG_F_AT_MS] = RG_ROW(struct rg_degraded, at_ms),
    [RG_F_BY] = RG_ROW(struct rg_degraded, by),
    [RG_F_DEGRADED] = RG_ROW(struct rg_degraded, regions),
};
static const struct rg_rowmap degraded_map = RG_ROWMAP(degraded_members, struct rg_degraded, 0);

enum rg_err rg_degraded_list(struct rg_txn *txn, uint64_t after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_DEGRADED), from = rg_rowkey_u64(RG_T_DEGRADED, after);

    RG_ASSERT(from.n > prefix.n);
    return rg_rowkey_scan(txn, &prefix, after > 0 ? &from : NULL, scan);
}

enum rg_err rg_degraded_list_next(struct rg_scan *scan, struct rg_degraded *ret_degraded)
{
    struct rg_degraded d;
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_DEGRADED);
    if (!err)
        err = rg_rowmap_read(&degraded_map, row, &d);
    if (err)
        return err;
    if (!rg_rowkey_take_u64(key, &d.index) || d.index == 0)
        return RG_ECORRUPT;
    *ret_degraded = d;
    return RG_OK;
}
