#include "store/model/setting.h"

#include <endian.h>

#include "store/model/setting_priv.h"

static uint64_t u64_of_key(struct rg_span key)
{
    uint64_t be = 0;

    if (key.n == 1 + sizeof be)
        memcpy(&be, key.p + 1, sizeof be);
    return be64toh(be);
}

/* --- settings --- */

static enum rg_err setting_row(struct rg_txn *txn, const char *name, struct rg_span *ret_row)
{
    struct rg_rowkey key;
    enum rg_err err;

    RG_ASSERT(rg_rowkey_text(RG_T_SETTING, rg_span_str(name), &key));
    err = rg_row_get(txn, rg_rowkey_span(&key), ret_row);
    if (err == RG_ENOTFOUND)
        *ret_row = rg_span(NULL, 0);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_settings_get(struct rg_txn *txn, struct rg_settings *ret_policy)
{
    struct rg_settings p;
    struct rg_span row;
    enum rg_err err = setting_row(txn, "durability", &row);

    if (err)
        return err;
    memset(&p, 0, sizeof p);
    p.regions = (uint32_t)rg_tlv_u64(row, RG_F_REGIONS, 0);
    p.degrade = rg_span_is(setting_text(row, RG_F_ON_SHORTAGE), "degrade");
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

/* --- epochs --- */

enum rg_err rg_epoch_begin(struct rg_txn *txn, uint64_t epoch, uint64_t index)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_EPOCH, epoch);
    RG_AUTO_BUF struct rg_buf row = {.max = 0};

    rg_buf_init(&row, 256);
    rg_tlv_put_u64(&row, RG_F_EPOCH, epoch);
    rg_tlv_put_u64(&row, RG_F_FIRST_INDEX, index);
    return row.err ? row.err : rg_row_put(txn, rg_rowkey_span(&key), rg_buf_span(&row));
}

enum rg_err rg_epoch_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_EPOCH);

    return rg_scan_begin(txn, rg_rowkey_span(&prefix), rg_span(NULL, 0), scan);
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
        .region = setting_text(row, RG_F_NAME),
        .by = setting_text(row, RG_F_DECLARED_BY),
        .reason = setting_text(row, RG_F_REASON),
        .at_ms = (int64_t)rg_tlv_u64(row, RG_F_UPDATED_MS, 0),
    };
    return RG_OK;
}

/* --- writes with fewer regions than the policy wants --- */

enum rg_err rg_degraded_count(struct rg_txn *txn, uint64_t *ret_count)
{
    struct rg_span row;
    enum rg_err err = setting_row(txn, "degraded-count", &row);

    *ret_count = err ? 0 : rg_tlv_u64(row, RG_F_REGIONS, 0);
    return err;
}

enum rg_err rg_degraded_list(struct rg_txn *txn, uint64_t after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_DEGRADED), from = rg_rowkey_u64(RG_T_DEGRADED, after);

    return rg_scan_begin(txn, rg_rowkey_span(&prefix), after > 0 ? rg_rowkey_span(&from) : rg_span(NULL, 0), scan);
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
        .by = setting_text(row, RG_F_BY),
        .at_ms = (int64_t)rg_tlv_u64(row, RG_F_AT_MS, 0),
    };
    return RG_OK;
}
