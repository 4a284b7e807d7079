#include "store/model/node.h"

#include "store/db/rowkey.h"

static struct rg_span field(struct rg_span row, uint32_t number)
{
    struct rg_span value;

    (void)rg_tlv_get(row, number, &value);
    return value;
}

static enum rg_err get(struct rg_txn *txn, const struct rg_rowkey *key, struct rg_span *ret_row)
{
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(key), ret_row);

    return !err && !rg_tlv_valid(*ret_row) ? RG_ECORRUPT : err;
}

static enum rg_err parse(struct rg_span row, struct rg_node_row *ret_row)
{
    *ret_row = (struct rg_node_row){
        .id = rg_tlv_u64(row, RG_F_NODE_ID, 0),
        .version = rg_tlv_u64(row, RG_F_VERSION, 0),
        .region = field(row, RG_F_NAME),
        .link = field(row, RG_F_LINK),
        .url = field(row, RG_F_URL),
        .status = field(row, RG_F_STATUS),
        .cert = field(row, RG_F_CERT),
        .old_id = rg_tlv_u64(row, RG_F_OLD_NODE_ID, 0),
        .rejoin = rg_tlv_u64(row, RG_F_REJOIN, 0) != 0,
        .phase = field(row, RG_F_PHASE),
    };
    return ret_row->id != 0 ? RG_OK : RG_ECORRUPT;
}

enum rg_err rg_node_row_get(struct rg_txn *txn, uint64_t id, struct rg_node_row *ret_row)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_NODE, id);
    struct rg_span row;
    enum rg_err err = get(txn, &key, &row);

    return err ? err : parse(row, ret_row);
}

enum rg_err rg_node_row_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_NODE);

    return rg_scan_begin(txn, rg_rowkey_span(&prefix), rg_span(NULL, 0), scan);
}

enum rg_err rg_node_row_next(struct rg_scan *scan, struct rg_node_row *ret_row)
{
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    if (err)
        return err;
    return rg_tlv_valid(row) ? parse(row, ret_row) : RG_ECORRUPT;
}

void rg_node_row_put(struct rg_buf *cmd, const struct rg_node_row *row)
{
    if (row->version != 0)
        rg_tlv_put_u64(cmd, RG_F_IF_VERSION, row->version);
    rg_tlv_put_u64(cmd, RG_F_NODE_ID, row->id);
    rg_tlv_put(cmd, RG_F_NAME, row->region);
    rg_tlv_put(cmd, RG_F_LINK, row->link);
    rg_tlv_put(cmd, RG_F_URL, row->url);
    rg_tlv_put(cmd, RG_F_STATUS, row->status);
    if (row->cert.n > 0)
        rg_tlv_put(cmd, RG_F_CERT, row->cert);
    if (row->old_id != 0)
        rg_tlv_put_u64(cmd, RG_F_OLD_NODE_ID, row->old_id);
    if (row->rejoin)
        rg_tlv_put_u64(cmd, RG_F_REJOIN, 1);
    if (row->phase.n > 0)
        rg_tlv_put(cmd, RG_F_PHASE, row->phase);
}

enum rg_err rg_join_token_get(struct rg_txn *txn, const uint8_t sha256[32], struct rg_join_token *ret_token)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_JOIN_TOKEN);
    struct rg_span row;
    enum rg_err err;

    rg_rowkey_put(&key, sha256, 32);
    err = get(txn, &key, &row);
    if (err)
        return err;
    *ret_token = (struct rg_join_token){.region = field(row, RG_F_NAME),
                                        .expires_ms = (int64_t)rg_tlv_u64(row, RG_F_EXPIRES_MS, 0),
                                        .used = !rg_span_is(field(row, RG_F_STATUS), "NEW")};
    return RG_OK;
}

enum rg_err rg_secret_get(struct rg_txn *txn, struct rg_span name, struct rg_span *ret_sealed)
{
    struct rg_span row;
    struct rg_rowkey key;
    enum rg_err err;

    if (!rg_rowkey_text(RG_T_SECRET, name, &key))
        return RG_ENOTFOUND;
    err = get(txn, &key, &row);
    if (!err)
        *ret_sealed = field(row, RG_F_SECRET_SEALED);
    return err;
}
