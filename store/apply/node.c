/* Nodes of regions, the tokens they join with, and secrets of the instance. */
#include "store/apply/fsm_priv.h"
#include "crypto/digest.h"
#include "store/model/node.h"
#include "store/model/region_name.h"

enum {
    REGION_BYTES_MAX = 32,
    LINK_BYTES_MAX = 127,
    URL_BYTES_MAX = 159,
    CERT_BYTES_MAX = 8192,
    SECRET_BYTES_MAX = 16 * 1024,
    CMD_BYTES_MAX = 16 * 1024, /* far below a row: no row written by these commands is too big */
};
_Static_assert((int)REGION_BYTES_MAX == (int)RG_REGION_NAME_BYTES_MAX, "as regions are named");
_Static_assert(RG_JOIN_TOKENS_MAX * sizeof(struct rg_rowkey) <= 32 * 1024, "all of them expire on the stack");
_Static_assert(REGION_BYTES_MAX + LINK_BYTES_MAX + URL_BYTES_MAX + CERT_BYTES_MAX < CMD_BYTES_MAX, "a node's command can be sent");
_Static_assert(SECRET_BYTES_MAX + RG_NAME_BYTES_MAX < RG_CMD_BYTES_MAX, "a secret's too");

/* --- nodes --- */

static bool text_ok(struct rg_span fields, uint32_t field, size_t max)
{
    struct rg_span text;

    RG_ASSERT(max > 0);
    RG_ASSERT(field >= RG_F_ID);
    return rg_tlv_get(fields, field, &text) && text.n >= 1 && text.n <= max && memchr(text.p, 0, text.n) == NULL;
}

static bool place_ok(struct rg_span fields)
{
    return text_ok(fields, RG_F_NAME, REGION_BYTES_MAX) && text_ok(fields, RG_F_LINK, LINK_BYTES_MAX) &&
           text_ok(fields, RG_F_URL, URL_BYTES_MAX);
}

static bool node_ok(struct rg_span fields)
{
    static const char *const statuses[] = {"PREPARED", "MEMBER", "REMOVED", "FENCED"};
    uint64_t id = rg_tlv_u64(fields, RG_F_NODE_ID, 0);
    struct rg_span status, cert;
    bool known = false;

    _Static_assert(CMD_BYTES_MAX + 2 * RG_BY_BYTES_MAX + 128 < RG_ROW_BYTES_MAX, "a node's row always fits");
    (void)rg_tlv_get(fields, RG_F_STATUS, &status);
    (void)rg_tlv_get(fields, RG_F_CERT, &cert);
    for (size_t i = 0; i < RG_LEN(statuses); i++)
        known |= rg_span_is(status, statuses[i]);
    return fields.n <= CMD_BYTES_MAX && known && id >= 1 && id <= RG_NODE_ID_MAX && cert.n <= CERT_BYTES_MAX && place_ok(fields);
}

enum rg_err rg_fsm_node_put(struct rg_fsm *f)
{
    struct rg_span old;
    struct rg_rowkey key;
    bool found;
    enum rg_err err;

    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_PUT);
    if (!node_ok(f->cmd.bytes))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    key = rg_rowkey_u64(RG_T_NODE, rg_tlv_u64(f->cmd.bytes, RG_F_NODE_ID, 0));
    err = rg_fsm_find(f, &key, &found, &old);
    if (err)
        return err;
    if (!found && f->cmd.if_version != 0)
        return rg_fsm_refuse(f, RG_ENOTFOUND, RG_WHY_NODE);
    err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_fsm_node_may(f, old);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    return err ? err : rg_fsm_row_put(f, &key);
}

/* Which id it is given. The primary says one: what it goes by is not in the state (raft/member/giving.h). One of a release that does not
 * gets the id behind the highest. */
static enum rg_err pick_id(struct rg_fsm *f, uint64_t *ret_id)
{
    uint64_t id = rg_tlv_u64(f->cmd.bytes, RG_F_NODE_ID, 0);
    struct rg_node_ids ids;
    enum rg_err err = rg_node_ids_get(f->txn, &ids);

    RG_ASSERT(!f->refused);
    if (err)
        return err;
    if (id == 0)
        for (id = RG_NODE_ID_MAX + 1; id > 1 && !rg_node_ids_has(&ids, id - 1);)
            id--;
    else
        id = rg_node_ids_free(&ids, id);
    if (id == 0 || id > RG_NODE_ID_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    RG_ASSERT(!rg_node_ids_has(&ids, id));
    *ret_id = id;
    return RG_OK;
}

static void answer_id(struct rg_fsm *f, uint64_t id)
{
    RG_ASSERT(id >= 1);
    RG_ASSERT(id <= RG_NODE_ID_MAX);
    _Static_assert(sizeof f->reply->id.b >= 8, "room for an id");
    for (size_t i = 0; i < 8; i++)
        f->reply->id.b[i] = (uint8_t)(id >> (56 - 8 * i));
}

/* The new row: what the command says of the place, and what is decided here. */
static enum rg_err put_prepared(struct rg_fsm *f, uint64_t id, uint64_t old_id)
{
    static const uint32_t skip[] = {RG_F_TOKEN_SHA256, RG_F_NODE_ID, RG_F_STATUS, RG_F_OLD_NODE_ID, RG_F_REJOIN};
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_NODE, id);
    enum rg_err err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, skip, RG_LEN(skip));

    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_JOIN);
    RG_ASSERT(f->cmd.bytes.n <= CMD_BYTES_MAX);
    RG_ASSERT(old_id != id);
    if (err)
        return err;
    rg_tlv_put_u64(&f->row, RG_F_NODE_ID, id);
    rg_tlv_put_str(&f->row, RG_F_STATUS, "PREPARED");
    if (old_id != 0) {
        rg_tlv_put_u64(&f->row, RG_F_OLD_NODE_ID, old_id);
        rg_tlv_put_u64(&f->row, RG_F_REJOIN, 1);
    }
    if (f->row.err)
        return f->row.err;
    answer_id(f, id);
    return rg_fsm_row_put(f, &key);
}

/* Write a row again with another status. Its bytes are in the store, which a write may move: they are copied first. */
static enum rg_err set_status(struct rg_fsm *f, const struct rg_rowkey *key, const char *status)
{
    static const uint32_t skip[] = {RG_F_STATUS};
    struct rg_span old;
    bool found;
    enum rg_err err = rg_fsm_find(f, key, &found, &old);

    RG_ASSERT(key->b[0] == RG_T_JOIN_TOKEN || key->b[0] == RG_T_NODE);
    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_JOIN || f->cmd.kind == RG_CMD_TOKEN_PUT);
    if (!err && !found)
        err = RG_ECORRUPT;
    if (!err)
        err = rg_fsm_row_build(f, old, old, skip, RG_LEN(skip));
    if (err)
        return err;
    rg_tlv_put_str(&f->row, RG_F_STATUS, status);
    err = rg_fsm_row_check(f);
    return err ? err : rg_fsm_row_put(f, key);
}

/* The node's row has the statement that its token was made by, until there is one of its own: copied, for a write may move it. At trust
 * level 2 there must be one. */
static enum rg_err inherit(struct rg_fsm *f, struct rg_span token, uint8_t memory[RG_SIGNED_BYTES_MAX])
{
    struct rg_span statement;

    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_JOIN);
    RG_ASSERT(f->statement.n == 0);
    if (f->level < 2)
        return RG_OK;
    if (!rg_tlv_get(token, RG_F_STATEMENT, &statement))
        return rg_fsm_refuse(f, RG_ESTATEMENT, RG_WHY_STATEMENT);
    if (statement.n == 0 || statement.n > RG_SIGNED_BYTES_MAX)
        return RG_ECORRUPT;
    memcpy(memory, statement.p, statement.n);
    f->statement = rg_span(memory, statement.n);
    return RG_OK;
}

/* A token opens once, for one region, until it expires. */
static enum rg_err check_token(struct rg_fsm *f, struct rg_span sha256, struct rg_rowkey *ret_key, uint8_t memory[RG_SIGNED_BYTES_MAX])
{
    struct rg_span region, row, of, status;
    bool found;
    enum rg_err err;

    RG_ASSERT(sha256.n == RG_SHA256_BYTES);
    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_JOIN);
    *ret_key = rg_rowkey_table(RG_T_JOIN_TOKEN);
    rg_rowkey_put(ret_key, sha256.p, sha256.n);
    RG_ASSERT(ret_key->n == 1 + RG_SHA256_BYTES);
    err = rg_fsm_find(f, ret_key, &found, &row);
    if (err)
        return err;
    if (!found)
        return rg_fsm_refuse(f, RG_EBADTOKEN, RG_WHY_TOKEN);
    (void)rg_tlv_get(row, RG_F_STATUS, &status);
    (void)rg_tlv_get(row, RG_F_NAME, &of);
    (void)rg_tlv_get(f->cmd.bytes, RG_F_NAME, &region);
    if (!rg_span_is(status, "NEW"))
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_TOKEN);
    if ((int64_t)rg_tlv_u64(row, RG_F_EXPIRES_MS, 0) <= f->cmd.at_ms)
        return rg_fsm_refuse(f, RG_EEXPIRED, RG_WHY_TOKEN);
    if (!rg_span_eq(of, region))
        return rg_fsm_refuse(f, RG_EINVALID, RG_WHY_TOKEN);
    return inherit(f, row, memory);
}

static enum rg_err join_by_token(struct rg_fsm *f, struct rg_span sha256)
{
    uint8_t memory[RG_SIGNED_BYTES_MAX];
    struct rg_rowkey token;
    uint64_t id = 0;
    enum rg_err err = check_token(f, sha256, &token, memory);

    RG_ASSERT(err || token.n == 1 + RG_SHA256_BYTES);
    if (!err)
        err = pick_id(f, &id);
    if (!err)
        err = set_status(f, &token, "USED");
    if (!err)
        err = put_prepared(f, id, 0);
    f->statement = rg_span(NULL, 0); /* memory's */
    return err;
}

/* Whether the last of a line has an id already and was not let in yet: it asked before, and may have lost the answer. It is given the same
 * again, unless the primary wants to give another one: too few may know of that. */
static bool is_given_again(const struct rg_fsm *f, uint64_t old_id, const struct rg_node_row *heir)
{
    uint64_t want = rg_tlv_u64(f->cmd.bytes, RG_F_NODE_ID, heir->id);

    return heir->id != old_id && rg_span_is(heir->status, "PREPARED") && want == heir->id;
}

/* A node that comes back stands where it stood: another place is another node, as far as anybody can tell. */
static bool same_place(const struct rg_fsm *f, const struct rg_node_row *heir)
{
    struct rg_span link, url;

    RG_ASSERT(f->level >= 2);
    (void)rg_tlv_get(f->cmd.bytes, RG_F_LINK, &link);
    (void)rg_tlv_get(f->cmd.bytes, RG_F_URL, &url);
    RG_ASSERT(link.n > 0 && url.n > 0);
    return rg_span_eq(link, heir->link) && rg_span_eq(url, heir->url);
}

/* A node that comes back takes the place of the last of its line. */
static enum rg_err join_again(struct rg_fsm *f, uint64_t old_id)
{
    struct rg_rowkey key = rg_rowkey_u64(RG_T_NODE, old_id);
    struct rg_node_row heir;
    struct rg_span region, row, of;
    uint64_t id = 0;
    enum rg_err err = rg_fsm_need(f, &key, RG_WHY_NODE, &row);

    RG_ASSERT(old_id != 0);
    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_JOIN);
    if (err)
        return err;
    (void)rg_tlv_get(row, RG_F_NAME, &of);
    (void)rg_tlv_get(f->cmd.bytes, RG_F_NAME, &region);
    if (!rg_span_eq(of, region))
        return rg_fsm_refuse(f, RG_EINVALID, RG_WHY_NODE);
    err = rg_node_heir(f->txn, old_id, &heir);
    if (err)
        return err;
    if (rg_span_is(heir.status, "REMOVED"))
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_NODE);
    if (f->level >= 2 && !same_place(f, &heir))
        return rg_fsm_refuse(f, RG_ESTATEMENT, RG_WHY_NODE);
    if (is_given_again(f, old_id, &heir))
        return put_prepared(f, heir.id, heir.old_id);
    err = pick_id(f, &id);
    key = rg_rowkey_u64(RG_T_NODE, heir.id);
    if (!err)
        err = set_status(f, &key, "FENCED");
    return err ? err : put_prepared(f, id, heir.id);
}

enum rg_err rg_fsm_node_join(struct rg_fsm *f)
{
    uint64_t old_id = rg_tlv_u64(f->cmd.bytes, RG_F_OLD_NODE_ID, 0);
    struct rg_span sha256, key;
    bool token = rg_tlv_get(f->cmd.bytes, RG_F_TOKEN_SHA256, &sha256);
    enum rg_err err = RG_OK;

    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_JOIN);
    if (f->cmd.bytes.n > CMD_BYTES_MAX || !place_ok(f->cmd.bytes) || token == (old_id != 0) || (token && sha256.n != 32) ||
        rg_tlv_u64(f->cmd.bytes, RG_F_NODE_ID, 0) > RG_NODE_ID_MAX || old_id > RG_NODE_ID_MAX)
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    if (rg_tlv_get(f->cmd.bytes, RG_F_ADMITTED, &key) || rg_tlv_get(f->cmd.bytes, RG_F_RETURNS, &key)) /* it asks */
        err = rg_fsm_forbid(f);
    if (err)
        return err;
    return token ? join_by_token(f, sha256) : join_again(f, old_id);
}

/* --- join tokens --- */

/* At most RG_JOIN_TOKENS_MAX rows, ever: each put drops the expired ones before it counts. */
static enum rg_err expired_tokens(struct rg_fsm *f, struct rg_rowkey expired[RG_JOIN_TOKENS_MAX], size_t *ret_expired,
                                  size_t *ret_live)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_JOIN_TOKEN);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row;
    size_t n = 0, live = 0;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(&prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(f->cmd.kind == RG_CMD_TOKEN_PUT);
    while (!err && (err = rg_scan_next(&scan, &key, &row)) == RG_OK) {
        if ((int64_t)rg_tlv_u64(row, RG_F_EXPIRES_MS, 0) > f->cmd.at_ms || n == RG_JOIN_TOKENS_MAX) {
            live++;
            continue;
        }
        if (key.n != 1 + RG_SHA256_BYTES)
            return RG_ECORRUPT;
        expired[n] = (struct rg_rowkey){.n = 0};
        rg_rowkey_put(&expired[n++], key.p, key.n);
    }
    if (err != RG_ENOTFOUND)
        return err;
    RG_ASSERT(n <= RG_JOIN_TOKENS_MAX);
    *ret_expired = n;
    *ret_live = live;
    return RG_OK;
}

/* Taken back before it was used. Its row stays until it expires. */
static enum rg_err revoke_token(struct rg_fsm *f, const struct rg_rowkey *key)
{
    struct rg_span row, status;
    enum rg_err err = rg_fsm_need(f, key, RG_WHY_TOKEN, &row);

    RG_ASSERT(f->cmd.kind == RG_CMD_TOKEN_PUT);
    RG_ASSERT(key->n == 1 + RG_SHA256_BYTES);
    RG_ASSERT(err || !f->refused);
    if (err)
        return err;
    (void)rg_tlv_get(row, RG_F_STATUS, &status);
    if (!rg_span_is(status, "NEW"))
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_TOKEN);
    return set_status(f, key, "REVOKED");
}

enum rg_err rg_fsm_token_put(struct rg_fsm *f)
{
    static const uint32_t skip[] = {RG_F_TOKEN_SHA256, RG_F_STATUS};
    struct rg_rowkey key = rg_rowkey_table(RG_T_JOIN_TOKEN), expired[RG_JOIN_TOKENS_MAX];
    size_t n_expired = 0, live = 0;
    struct rg_span sha256, status;
    bool found;
    enum rg_err err;

    RG_ASSERT(f->cmd.kind == RG_CMD_TOKEN_PUT);
    if (f->cmd.bytes.n > CMD_BYTES_MAX || !rg_tlv_get(f->cmd.bytes, RG_F_TOKEN_SHA256, &sha256) || sha256.n != 32 ||
        !text_ok(f->cmd.bytes, RG_F_NAME, REGION_BYTES_MAX) || rg_tlv_u64(f->cmd.bytes, RG_F_EXPIRES_MS, 0) == 0)
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    rg_rowkey_put(&key, sha256.p, sha256.n);
    RG_ASSERT(key.n == 1 + RG_SHA256_BYTES);
    if (rg_tlv_get(f->cmd.bytes, RG_F_STATUS, &status) && rg_span_is(status, "REVOKED"))
        return revoke_token(f, &key);
    err = rg_fsm_find(f, &key, &found, NULL);
    if (!err && found)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_TOKEN);
    if (!err)
        err = rg_fsm_demand(f, RG_SAID_TOKEN);
    if (!err)
        err = expired_tokens(f, expired, &n_expired, &live);
    if (err)
        return err;
    if (live >= RG_JOIN_TOKENS_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, skip, RG_LEN(skip));
    for (size_t i = 0; !err && i < n_expired; i++)
        err = rg_fsm_drop(f, &expired[i]);
    if (err)
        return err;
    rg_tlv_put_str(&f->row, RG_F_STATUS, "NEW");
    return f->row.err ? f->row.err : rg_fsm_row_add(f, &key);
}

/* --- secrets --- */

static enum rg_err secrets_room(struct rg_fsm *f)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_SECRET);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row;
    size_t n = 0;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(&prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(f->cmd.kind == RG_CMD_SECRET_PUT);
    while (!err && (err = rg_scan_next(&scan, &key, &row)) == RG_OK)
        n++;
    if (err != RG_ENOTFOUND)
        return err;
    return n < RG_SECRETS_MAX ? RG_OK : rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
}

enum rg_err rg_fsm_secret_put(struct rg_fsm *f)
{
    struct rg_span name, sealed, old;
    struct rg_rowkey key;
    bool found;
    enum rg_err err = rg_fsm_name(f, f->cmd.bytes, RG_F_NAME, &name);

    RG_ASSERT(f->cmd.kind == RG_CMD_SECRET_PUT);
    if (err)
        return err;
    if (!rg_tlv_get(f->cmd.bytes, RG_F_SECRET_SEALED, &sealed) || sealed.n == 0 || sealed.n > SECRET_BYTES_MAX ||
        !rg_rowkey_text(RG_T_SECRET, name, &key))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    err = rg_fsm_forbid(f);
    if (!err)
        err = rg_fsm_find(f, &key, &found, &old);
    if (!err && !found)
        err = secrets_room(f);
    if (err)
        return err;
    if (!found && f->cmd.if_version != 0)
        return rg_fsm_refuse(f, RG_ENOTFOUND, RG_WHY_MALFORMED);
    err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    return err ? err : rg_fsm_row_put(f, &key);
}
