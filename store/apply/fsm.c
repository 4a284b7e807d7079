#include "store/apply/fsm_priv.h"

/* What is so of a command that is being applied, until it is refused. */
static void fsm_check(const struct rg_fsm *f)
{
    RG_ASSERT(!f->refused);
    RG_ASSERT(f->reply->err == RG_OK);
    RG_ASSERT(f->reply->why == RG_WHY_NONE);
    RG_ASSERT(f->cmd.by.n <= RG_BY_BYTES_MAX);
    RG_ASSERT(f->cmd.bytes.n <= RG_CMD_BYTES_MAX);
    RG_ASSERT(f->row.max == RG_ROW_BYTES_MAX);
}

enum rg_err rg_fsm_refuse(struct rg_fsm *f, enum rg_err err, enum rg_why why)
{
    RG_ASSERT(err != RG_OK);
    RG_ASSERT(err < RG_ERR_COUNT);
    RG_ASSERT(why != RG_WHY_NONE);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes); /* check first, write after */
    RG_ASSERT(!f->refused); /* once */
    f->refused = true;
    f->reply->err = err;
    f->reply->why = why;
    return err;
}

/* --- fields --- */

static enum rg_err malformed(struct rg_fsm *f) { return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED); }

enum rg_err rg_fsm_id(struct rg_fsm *f, uint32_t field, struct rg_uuid *ret_id)
{
    struct rg_span value;

    RG_ASSERT(field == RG_F_REQUEST_ID || field >= RG_F_ID);
    fsm_check(f);
    return rg_tlv_get(f->cmd.bytes, field, &value) && rg_take_id(value, ret_id) ? RG_OK : malformed(f);
}

enum rg_err rg_fsm_psid(struct rg_fsm *f, uint32_t field, struct rg_psid *ret_id)
{
    struct rg_span value;

    RG_ASSERT(field == RG_F_ID || field == RG_F_PERMSET_ID);
    fsm_check(f);
    return rg_tlv_get(f->cmd.bytes, field, &value) && rg_take_psid(value, ret_id) ? RG_OK : malformed(f);
}

enum rg_err rg_fsm_account(struct rg_fsm *f, char ret_id[13])
{
    struct rg_span value;

    fsm_check(f);
    return rg_tlv_get(f->cmd.bytes, RG_F_ACCOUNT_ID, &value) && rg_take_account(value, ret_id) ? RG_OK : malformed(f);
}

enum rg_err rg_fsm_name(struct rg_fsm *f, struct rg_span bytes, uint32_t field, struct rg_span *ret_name)
{
    struct rg_span value;

    RG_ASSERT(field >= RG_F_ID);
    RG_ASSERT(bytes.n <= f->cmd.bytes.n); /* the command's, or nested in it */
    if (!rg_tlv_get(bytes, field, &value) || value.n == 0 || value.n > RG_NAME_BYTES_MAX ||
        memchr(value.p, 0, value.n) != NULL)
        return malformed(f);
    RG_ASSERT(value.n >= 1);
    RG_ASSERT(value.n <= RG_NAME_BYTES_MAX);
    *ret_name = value;
    return RG_OK;
}

/* --- rows --- */

enum rg_err rg_fsm_find(struct rg_fsm *f, const struct rg_rowkey *key, bool *ret_found, struct rg_span *ret_value)
{
    struct rg_span value;
    enum rg_err err = rg_row_get(f->txn, rg_rowkey_span(key), &value);

    RG_ASSERT(key->n > 0);
    RG_ASSERT(ret_found != NULL);
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    *ret_found = err == RG_OK;
    if (ret_value != NULL)
        *ret_value = err == RG_OK ? value : rg_span(NULL, 0);
    return RG_OK;
}

enum rg_err rg_fsm_need(struct rg_fsm *f, const struct rg_rowkey *key, enum rg_why why, struct rg_span *ret_value)
{
    bool found;
    enum rg_err err = rg_fsm_find(f, key, &found, ret_value);

    RG_ASSERT(why != RG_WHY_NONE);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes); /* what it needs it looks at first */
    if (err)
        return err;
    return found ? RG_OK : rg_fsm_refuse(f, RG_ENOTFOUND, why);
}

enum rg_err rg_fsm_any(struct rg_fsm *f, const struct rg_rowkey *prefix, bool *ret_any)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, value;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(prefix->n > 0);
    RG_ASSERT(scan.txn == f->txn);
    if (err)
        return err;
    err = rg_scan_next(&scan, &key, &value);
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    *ret_any = err == RG_OK;
    return RG_OK;
}

enum rg_err rg_fsm_count(struct rg_fsm *f, const struct rg_rowkey *prefix, size_t max, size_t *n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, value;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(prefix->n > 0);
    RG_ASSERT(*n <= max);
    while (!err && *n < max && (err = rg_scan_next(&scan, &key, &value)) == RG_OK)
        (*n)++;
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_fsm_go_on(const struct rg_fsm *f)
{
    return f->bounds != NULL && f->bounds->stop != NULL && atomic_load(f->bounds->stop) ? RG_ESTOPPED : RG_OK;
}

enum rg_err rg_fsm_check_version(struct rg_fsm *f, struct rg_span row)
{
    uint64_t version = rg_tlv_u64(row, RG_F_VERSION, 0);

    RG_ASSERT(row.p != NULL || row.n == 0);
    fsm_check(f);
    if (f->cmd.if_version == 0 || f->cmd.if_version == version)
        return RG_OK;
    f->reply->version = version;
    return rg_fsm_refuse(f, RG_ESTALE, RG_WHY_VERSION);
}

/* Everything was looked at, and nothing refused: what it comes to is known. */
static enum rg_err reach(struct rg_fsm *f)
{
    RG_ASSERT(f->dry);
    RG_ASSERT(!f->refused);
    f->reached = true;
    return RG_ESTOPPED;
}

enum rg_err rg_fsm_drop(struct rg_fsm *f, const struct rg_rowkey *key)
{
    enum rg_err err = f->dry ? reach(f) : rg_row_delete(f->txn, rg_rowkey_span(key));

    RG_ASSERT(!f->refused);
    RG_ASSERT(err || rg_txn_changes(f->txn) > f->changes);
    return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
}

enum rg_err rg_fsm_put(struct rg_fsm *f, const struct rg_rowkey *key, struct rg_span value)
{
    RG_ASSERT(!f->refused);
    RG_ASSERT(key->n > 0);
    if (f->dry)
        return reach(f);
    return rg_row_put(f->txn, rg_rowkey_span(key), value);
}

enum rg_err rg_fsm_add(struct rg_fsm *f, const struct rg_rowkey *key, struct rg_span value)
{
    RG_ASSERT(!f->refused);
    RG_ASSERT(key->n > 0);
    if (f->dry)
        return reach(f);
    return rg_row_add(f->txn, rg_rowkey_span(key), value);
}

static bool among(uint32_t field, const uint32_t *fields, size_t n)
{
    RG_ASSERT(fields != NULL || n == 0);
    RG_ASSERT(field >= RG_F_ID);
    for (size_t i = 0; i < n; i++)
        if (fields[i] == field)
            return true;
    return false;
}

static void copy_fields(struct rg_buf *row, struct rg_span fields, const uint32_t *skip, size_t n_skip)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(skip != NULL || n_skip == 0);
    RG_ASSERT(row->len > 0 || row->err);
    rg_cursor_init(&cur, fields);
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field >= RG_F_ID && tlv.field != RG_F_DEGRADED && tlv.field != RG_F_STATEMENT && !among(tlv.field, skip, n_skip))
            rg_tlv_put(row, tlv.field, tlv.value);
}

enum rg_err rg_fsm_row_build(struct rg_fsm *f, struct rg_span old, struct rg_span fields, const uint32_t *skip,
                             size_t n_skip)
{
    uint64_t created_ms = (uint64_t)f->cmd.at_ms;
    struct rg_span created_by = f->cmd.by, statement = f->statement;

    RG_ASSERT(old.p == NULL || old.p != f->row.data);
    RG_ASSERT(fields.p == NULL || fields.p != f->row.data);
    RG_ASSERT(skip != NULL || n_skip == 0);
    RG_ASSERT(f->index > 0); /* the version: 0 is any */
    fsm_check(f);
    if (old.n > 0) {
        created_ms = rg_tlv_u64(old, RG_F_CREATED_MS, 0);
        (void)rg_tlv_get(old, RG_F_CREATED_BY, &created_by);
    }
    rg_buf_clear(&f->row);
    rg_tlv_put_u64(&f->row, RG_F_VERSION, f->index);
    rg_tlv_put_u64(&f->row, RG_F_CREATED_MS, created_ms);
    rg_tlv_put(&f->row, RG_F_CREATED_BY, created_by);
    rg_tlv_put_u64(&f->row, RG_F_UPDATED_MS, (uint64_t)f->cmd.at_ms);
    rg_tlv_put(&f->row, RG_F_UPDATED_BY, f->cmd.by);
    copy_fields(&f->row, fields, skip, n_skip);
    if (statement.n > 0 || rg_tlv_get(old, RG_F_STATEMENT, &statement))
        rg_tlv_put(&f->row, RG_F_STATEMENT, statement);
    return rg_fsm_row_check(f);
}

enum rg_err rg_fsm_row_check(struct rg_fsm *f)
{
    RG_ASSERT(f->row.len <= RG_ROW_BYTES_MAX);
    RG_ASSERT(f->row.len > 0 || f->row.err);
    fsm_check(f);
    return f->row.err == RG_ETOOBIG ? rg_fsm_refuse(f, RG_ETOOBIG, RG_WHY_MALFORMED) : f->row.err;
}

enum rg_err rg_fsm_row_put(struct rg_fsm *f, const struct rg_rowkey *key)
{
    RG_ASSERT(f->row.err == RG_OK);
    RG_ASSERT(f->row.len > 0);
    return rg_fsm_put(f, key, rg_buf_span(&f->row));
}

enum rg_err rg_fsm_row_add(struct rg_fsm *f, const struct rg_rowkey *key)
{
    RG_ASSERT(f->row.err == RG_OK);
    RG_ASSERT(f->row.len > 0);
    return rg_fsm_add(f, key, rg_buf_span(&f->row));
}

/* --- apply --- */

enum rg_err rg_fsm_noop(struct rg_fsm *f)
{
    RG_ASSERT(f->cmd.kind == RG_CMD_NOOP);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    return RG_OK;
}

static enum rg_err (*handler_of(enum rg_cmd_kind kind))(struct rg_fsm *f)
{
    switch (kind) {
#define HANDLER(name, number, handler, flags)                                                                          \
    case RG_CMD_##name:                                                                                                \
        return rg_fsm_##handler;
        RG_CMD_MAP(HANDLER)
#undef HANDLER
    }
    return NULL;
}

static enum rg_err run(struct rg_fsm *f, struct rg_span bytes)
{
    const struct rg_rowkey instance = rg_rowkey_table(RG_T_INSTANCE);
    struct rg_span degraded, row;
    enum rg_err (*handler)(struct rg_fsm *);
    enum rg_err err;
    bool found;

    RG_ASSERT(!f->refused);
    RG_ASSERT(!f->reached);
    if (rg_cmd_decode(bytes, &f->cmd) != RG_OK || f->cmd.by.n > RG_BY_BYTES_MAX)
        return malformed(f);
    fsm_check(f);
    handler = handler_of(f->cmd.kind);
    if (handler == NULL)
        return rg_fsm_refuse(f, RG_EUNKNOWNOP, RG_WHY_UNKNOWN_KIND);
    err = rg_fsm_find(f, &instance, &found, &row);
    if (err)
        return err;
    f->level = found && rg_tlv_u64(row, RG_F_TRUST, 1) >= 2 ? 2 : 1;
    if (!found && (rg_cmd_kind_flags(f->cmd.kind) & RG_CMDF_UNINIT) == 0)
        return rg_fsm_refuse(f, RG_EUNREADY, RG_WHY_NOT_INIT);
    if (found && f->cmd.kind == RG_CMD_INSTANCE_INIT)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_ALREADY_INIT);
    err = handler(f);
    if (!err && f->said)
        err = rg_fsm_said(f);
    if (!err && rg_tlv_get(bytes, RG_F_DEGRADED, &degraded))
        err = rg_fsm_degraded(f, rg_tlv_u64(bytes, RG_F_DEGRADED, 0));
    return err;
}

/* Refused is what the reply says; an error is a local fault, or what bounds say. */
static enum rg_err answer(struct rg_fsm *f, struct rg_span cmd)
{
    enum rg_err err;

    RG_ASSERT(cmd.p != NULL || cmd.n == 0);
    *f->reply = (struct rg_reply){.err = RG_OK};
    rg_buf_init(&f->row, RG_ROW_BYTES_MAX);
    err = run(f, cmd);
    rg_buf_deinit(&f->row);
    if (f->reached)
        err = RG_OK;
    if (err && !f->refused)
        return err;
    RG_ASSERT(f->refused == (f->reply->err != RG_OK));
    RG_ASSERT(f->refused == (f->reply->why != RG_WHY_NONE));
    RG_ASSERT(!(f->refused || f->dry) || rg_txn_changes(f->txn) == f->changes);
    if (!f->refused)
        f->reply->version = f->index;
    return RG_OK;
}

enum rg_err rg_fsm_apply_within(struct rg_txn *txn, uint64_t index, uint64_t term, struct rg_span cmd,
                                const struct rg_fsm_bounds *bounds, struct rg_reply *ret_reply)
{
    struct rg_fsm f = {.txn = txn, .index = index, .reply = ret_reply, .bounds = bounds, .changes = rg_txn_changes(txn)};
    struct rg_applied applied;
    enum rg_err err;

    rg_txn_applied(txn, &applied);
    RG_ASSERT(index > applied.index);
    RG_ASSERT(term >= applied.term);
    err = answer(&f, cmd);
    RG_ASSERT(!f.reached); /* that is a trial's */
    RG_ASSERT(err != RG_ETOOBIG || bounds != NULL);
    RG_ASSERT(err != RG_ESTOPPED || (bounds != NULL && bounds->stop != NULL));
    RG_ASSERT(err != RG_ETOOBIG || rg_txn_changes(txn) == f.changes);
    if (!err)
        rg_txn_mark_applied(txn, index, term);
    return err;
}

enum rg_err rg_fsm_apply(struct rg_txn *txn, uint64_t index, uint64_t term, struct rg_span cmd, struct rg_reply *ret_reply)
{
    return rg_fsm_apply_within(txn, index, term, cmd, NULL, ret_reply);
}

enum rg_err rg_fsm_try(struct rg_txn *txn, struct rg_span cmd, struct rg_reply *ret_reply)
{
    struct rg_fsm f = {.txn = txn, .dry = true, .reply = ret_reply, .changes = rg_txn_changes(txn)};
    struct rg_applied applied;
    enum rg_err err;

    rg_txn_applied(txn, &applied);
    f.index = applied.index + 1;
    err = answer(&f, cmd);
    RG_ASSERT(rg_txn_changes(txn) == f.changes); /* nothing was written */
    RG_ASSERT(!f.reached || !f.refused);
    return err;
}
