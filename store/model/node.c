#include "store/model/node.h"

#include "store/db/rowmap.h"

static const struct rg_row_member members[] = {
    [RG_F_VERSION] = RG_ROW(struct rg_node_row, version),
    [RG_F_NAME] = RG_ROW(struct rg_node_row, region),
    [RG_F_STATUS] = RG_ROW(struct rg_node_row, status),
    [RG_F_URL] = RG_ROW(struct rg_node_row, url),
    [RG_F_NODE_ID] = RG_ROW(struct rg_node_row, id),
    [RG_F_CREATED_MS] = RG_ROW(struct rg_node_row, created_ms),
    [RG_F_LINK] = RG_ROW(struct rg_node_row, link),
    [RG_F_CERT] = RG_ROW(struct rg_node_row, cert),
    [RG_F_PHASE] = RG_ROW(struct rg_node_row, phase),
    [RG_F_OLD_NODE_ID] = RG_ROW(struct rg_node_row, old_id),
    [RG_F_REJOIN] = RG_ROW(struct rg_node_row, rejoin),
    [RG_F_CSR] = RG_ROW(struct rg_node_row, csr),
    [RG_F_ADMITTED] = RG_ROW(struct rg_node_row, admitted),
    [RG_F_PIN] = RG_ROW(struct rg_node_row, pin),
    [RG_F_FROM] = RG_ROW(struct rg_node_row, from),
    [RG_F_RELEASE] = RG_ROW(struct rg_node_row, release),
    [RG_F_RETURNS] = RG_ROW(struct rg_node_row, returns),
    [RG_F_EXPIRES_MS] = RG_ROW(struct rg_node_row, returns_until_ms),
    [RG_F_PROVEN] = RG_ROW(struct rg_node_row, proven),
};
_Static_assert(RG_NODE_ID_MAX == 1023, "an epoch's number is congruent to its node's id modulo 1024");
static const struct rg_rowmap map = RG_ROWMAP(members, struct rg_node_row, RG_F_NODE_ID);

bool rg_node_row_asks(const struct rg_node_row *row)
{
    bool prepared = rg_span_is(row->status, "PREPARED");

    RG_ASSERT(row->id >= 1);
    RG_ASSERT(row->status.n > 0);
    return prepared && !row->rejoin && row->admitted.n != RG_NODE_KEY_BYTES;
}

bool rg_node_row_may_return(const struct rg_node_row *row, int64_t wall_ms)
{
    RG_ASSERT(row->id >= 1);
    RG_ASSERT(row->id <= RG_NODE_ID_MAX);
    return row->returns.n > 0 && (row->returns_until_ms == 0 || wall_ms <= row->returns_until_ms);
}

static bool id_ok(uint64_t id) { return id >= 1 && id <= RG_NODE_ID_MAX; }

enum rg_err rg_node_row_get(struct rg_txn *txn, uint64_t id, struct rg_node_row *ret_row)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_NODE, id);
    struct rg_node_row row;
    enum rg_err err = rg_rowmap_get(&map, txn, &key, &row);

    if (err)
        return err;
    if (row.id != id || !id_ok(id)) /* another's, or nobody's */
        return RG_ECORRUPT;
    RG_ASSERT(key.n == 1 + 8);
    *ret_row = row;
    return RG_OK;
}

bool rg_node_row_gone(struct rg_txn *txn, uint64_t id)
{
    struct rg_node_row row;

    return rg_node_row_get(txn, id, &row) == RG_OK && (rg_span_is(row.status, "REMOVED") || rg_span_is(row.status, "FENCED"));
}

enum rg_err rg_node_row_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_NODE);

    RG_ASSERT(prefix.n == 1);
    return rg_rowkey_scan(txn, &prefix, NULL, scan);
}

enum rg_err rg_node_row_next(struct rg_scan *scan, struct rg_node_row *ret_row)
{
    struct rg_span key, bytes;
    struct rg_node_row row;
    uint64_t id;
    enum rg_err err = rg_scan_next(scan, &key, &bytes);

    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_NODE);
    if (!err)
        err = rg_rowmap_read(&map, bytes, &row);
    if (err)
        return err;
    if (!rg_rowkey_take_u64(key, &id) || row.id != id || !id_ok(id))
        return RG_ECORRUPT;
    *ret_row = row;
    return RG_OK;
}

void rg_node_row_put(struct rg_buf *cmd, const struct rg_node_row *row)
{
    RG_ASSERT(cmd->len > 0 || cmd->err); /* begun: a command's head comes first */
    RG_ASSERT(id_ok(row->id)); /* else it is refused */
    RG_ASSERT(row->region.n > 0);
    RG_ASSERT(row->status.n > 0);
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
    if (row->csr.n > 0)
        rg_tlv_put(cmd, RG_F_CSR, row->csr);
    if (row->admitted.n > 0)
        rg_tlv_put(cmd, RG_F_ADMITTED, row->admitted);
    if (row->pin.n > 0)
        rg_tlv_put(cmd, RG_F_PIN, row->pin);
    if (row->from.n > 0)
        rg_tlv_put(cmd, RG_F_FROM, row->from);
    if (row->release.n > 0)
        rg_tlv_put(cmd, RG_F_RELEASE, row->release);
    if (row->returns.n > 0)
        rg_tlv_put(cmd, RG_F_RETURNS, row->returns);
    if (row->returns.n > 0 && row->returns_until_ms > 0)
        rg_tlv_put_u64(cmd, RG_F_EXPIRES_MS, (uint64_t)row->returns_until_ms);
    if (row->proven != 0)
        rg_tlv_put_u64(cmd, RG_F_PROVEN, row->proven);
}

/* --- ids --- */

_Static_assert(sizeof(struct rg_node_ids) * 8 == RG_NODE_ID_MAX + 1, "a bit for each id");

bool rg_node_ids_has(const struct rg_node_ids *ids, uint64_t id)
{
    RG_ASSERT(id <= RG_NODE_ID_MAX);
    return (ids->used[id / 64] >> id % 64 & 1) != 0;
}

void rg_node_ids_add(struct rg_node_ids *ids, uint64_t id)
{
    RG_ASSERT(id_ok(id));
    ids->used[id / 64] |= UINT64_C(1) << id % 64;
    RG_ASSERT(rg_node_ids_has(ids, id));
}

uint64_t rg_node_ids_free(const struct rg_node_ids *ids, uint64_t id)
{
    RG_ASSERT(id_ok(id));
    for (uint64_t i = 0; i < RG_NODE_ID_MAX; i++) {
        uint64_t at = (id - 1 + i) % RG_NODE_ID_MAX + 1;

        RG_ASSERT(id_ok(at));
        if (!rg_node_ids_has(ids, at))
            return at;
    }
    return 0;
}

enum rg_err rg_node_ids_get(struct rg_txn *txn, struct rg_node_ids *ret_ids)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err = rg_node_row_list(txn, &scan);

    *ret_ids = (struct rg_node_ids){.used = {0}};
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        rg_node_ids_add(ret_ids, row.id);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_node_ids_used(struct rg_txn *txn, uint64_t *ret_n)
{
    struct rg_node_ids ids;
    enum rg_err err = rg_node_ids_get(txn, &ids);
    uint64_t n = 0;

    for (uint64_t id = 1; id <= RG_NODE_ID_MAX; id++)
        n += rg_node_ids_has(&ids, id);
    RG_ASSERT(n <= RG_NODE_ID_MAX);
    RG_ASSERT(!rg_node_ids_has(&ids, 0));
    if (!err)
        *ret_n = n;
    return err;
}

/* Whoever came back need not have a higher id than before: all rows are read before the line is followed. */
enum rg_err rg_node_heir(struct rg_txn *txn, uint64_t id, struct rg_node_row *ret_row)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    uint16_t heir[RG_NODE_ID_MAX + 1] = {0}; /* of each id; 0: nobody */
    struct rg_node_row row;
    enum rg_err err = rg_node_row_list(txn, &scan);

    RG_ASSERT(id_ok(id));
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        if (id_ok(row.old_id))
            heir[row.old_id] = (uint16_t)row.id;
    if (err != RG_ENOTFOUND)
        return err;
    for (unsigned i = 0; i < RG_NODE_ID_MAX && heir[id] != 0; i++) /* rows that go in a circle come to an end as well */
        id = heir[id];
    return rg_node_row_get(txn, id, ret_row);
}

/* --- join tokens and secrets --- */
static const struct rg_row_member token_members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct rg_join_token, row),
    [RG_F_NAME] = RG_ROW(struct rg_join_token, region),
    [RG_F_STATUS] = RG_ROW(struct rg_join_token, status),
    [RG_F_CREATED_MS] = RG_ROW(struct rg_join_token, created_ms),
    [RG_F_CREATED_BY] = RG_ROW(struct rg_join_token, by),
    [RG_F_EXPIRES_MS] = RG_ROW(struct rg_join_token, expires_ms),
};
static const struct rg_rowmap token_map = RG_ROWMAP(token_members, struct rg_join_token, 0);

enum rg_err rg_join_token_get(struct rg_txn *txn, const uint8_t sha256[32], struct rg_join_token *ret_token)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_JOIN_TOKEN);
    struct rg_join_token token;
    enum rg_err err;

    RG_ASSERT(sha256 != NULL);
    rg_rowkey_put(&key, sha256, 32);
    RG_ASSERT(key.n == 1 + 32);
    err = rg_rowmap_get(&token_map, txn, &key, &token);
    if (err)
        return err;
    *ret_token = token;
    ret_token->sha256 = rg_span(sha256, 32);
    return RG_OK;
}

enum rg_err rg_join_token_list(struct rg_txn *txn, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_JOIN_TOKEN);

    RG_ASSERT(prefix.n == 1);
    RG_ASSERT(txn != NULL);
    return rg_rowkey_scan(txn, &prefix, NULL, scan);
}

enum rg_err rg_join_token_next(struct rg_scan *scan, struct rg_join_token *ret_token)
{
    struct rg_span key, bytes;
    enum rg_err err = rg_scan_next(scan, &key, &bytes);

    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_JOIN_TOKEN);
    if (!err)
        err = rg_rowmap_read(&token_map, bytes, ret_token);
    if (!err && key.n != 1 + 32)
        return RG_ECORRUPT;
    if (!err)
        ret_token->sha256 = rg_span(key.p + 1, 32);
    return err;
}

bool rg_join_token_host(const struct rg_join_token *token, size_t n, struct rg_span *ret_host)
{
    struct rg_cursor cursor;
    struct rg_tlv tlv;

    RG_ASSERT(token->row.n > 0);
    RG_ASSERT(token->sha256.n == 32);
    rg_cursor_init(&cursor, token->row);
    while (rg_tlv_next(&cursor, &tlv))
        if (tlv.field == RG_F_HOST && n-- == 0) {
            *ret_host = tlv.value;
            return true;
        }
    RG_ASSERT(cursor.p == cursor.end || cursor.bad);
    return false;
}

struct secret_row {
    struct rg_span sealed;
};
static const struct rg_row_member secret_members[] = {
    [RG_F_SECRET_SEALED] = RG_ROW(struct secret_row, sealed),
};
static const struct rg_rowmap secret_map = RG_ROWMAP(secret_members, struct secret_row, 0);

enum rg_err rg_secret_get(struct rg_txn *txn, struct rg_span name, struct rg_span *ret_sealed)
{
    struct secret_row row;
    struct rg_rowkey key;
    enum rg_err err;

    if (!rg_rowkey_text(RG_T_SECRET, name, &key))
        return RG_ENOTFOUND;
    RG_ASSERT(key.n > 1);
    RG_ASSERT(key.b[0] == RG_T_SECRET);
    err = rg_rowmap_get(&secret_map, txn, &key, &row);
    if (!err)
        *ret_sealed = row.sealed;
    return err;
}
