/* The instance, its regions and the credentials of its administrators. */
#include "store/apply/fsm_priv.h"

enum {
    CREDENTIALS_MAX = 1024, /* rows: two for a record with key and token */
    NESTED_BYTES_MAX = 16 * 1024,
};

/* --- regions --- */

static enum rg_err region_check(struct rg_fsm *f, struct rg_span fields, struct rg_rowkey *ret_key)
{
    static const char *const statuses[] = {"ADDING", "ACTIVE", "REMOVING", "REMOVED"};
    struct rg_span name, status;
    enum rg_err err = rg_fsm_name(f, fields, RG_F_NAME, &name);
    bool known = false;

    RG_ASSERT(f->cmd.kind == RG_CMD_REGION_PUT || f->cmd.kind == RG_CMD_INSTANCE_INIT);
    if (err)
        return err;
    (void)rg_tlv_get(fields, RG_F_STATUS, &status);
    for (size_t i = 0; i < RG_LEN(statuses); i++)
        known |= rg_span_is(status, statuses[i]);
    if (!known || !rg_rowkey_text(RG_T_REGION, name, ret_key))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    RG_ASSERT(ret_key->b[0] == RG_T_REGION);
    RG_ASSERT(ret_key->n > 1);
    return RG_OK;
}

static enum rg_err count_rows(struct rg_fsm *f, const struct rg_rowkey *prefix, size_t max, size_t *ret_n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, value;
    size_t n = 0;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(prefix->n == 1);
    RG_ASSERT(max > 0);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes); /* as they were before the command */
    if (err)
        return err;
    while (n < max && (err = rg_scan_next(&scan, &key, &value)) == RG_OK)
        n++;
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    RG_ASSERT(n <= max);
    *ret_n = n;
    return RG_OK;
}

static bool region_is_removed(struct rg_span fields)
{
    struct rg_span status;

    return rg_tlv_get(fields, RG_F_STATUS, &status) && rg_span_is(status, "REMOVED");
}

/* REMOVING and REMOVED are of a region that is there. */
static bool region_goes(struct rg_span fields)
{
    struct rg_span status;

    return region_is_removed(fields) || (rg_tlv_get(fields, RG_F_STATUS, &status) && rg_span_is(status, "REMOVING"));
}

/* The end of a removal: the row goes. Never the primary's. */
static enum rg_err region_drop(struct rg_fsm *f, const struct rg_rowkey *key, struct rg_span old)
{
    enum rg_err err = rg_fsm_check_version(f, old);

    RG_ASSERT(key->b[0] == RG_T_REGION);
    RG_ASSERT(region_is_removed(f->cmd.bytes));
    RG_ASSERT(old.n > 0);
    if (err)
        return err;
    if (rg_tlv_u64(old, RG_F_PRIMARY, 0) != 0)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_REGION);
    return rg_fsm_drop(f, key);
}

/* What people decide of a region, and what of it comes about by itself. The primary is another one by an epoch's note alone. */
static enum rg_err region_may(struct rg_fsm *f, struct rg_span old)
{
    struct rg_span status, before;
    bool primary;

    RG_ASSERT(f->cmd.kind == RG_CMD_REGION_PUT);
    if (f->level < 2)
        return RG_OK;
    (void)rg_tlv_get(f->cmd.bytes, RG_F_STATUS, &status);
    (void)rg_tlv_get(old, RG_F_STATUS, &before);
    primary = rg_tlv_u64(old, RG_F_PRIMARY, 0) != 0;
    if (primary != (rg_tlv_u64(f->cmd.bytes, RG_F_PRIMARY, 0) != 0))
        return rg_fsm_forbid(f);
    if (old.n == 0)
        return rg_fsm_demand(f, RG_SAID_REGION_ADD);
    if (rg_span_is(before, "REMOVING")) /* given up when its node was promoted meanwhile, and only then */
        return rg_span_is(status, "REMOVED") || rg_span_is(status, "REMOVING") || primary ? RG_OK : rg_fsm_forbid(f);
    return rg_span_is(status, "REMOVED") || rg_span_is(status, "REMOVING") ? rg_fsm_demand(f, RG_SAID_REGION_REMOVE) : RG_OK;
}

/* A region comes or goes one at a time, is not added twice, and the primary does not go. */
static enum rg_err region_check_change(struct rg_fsm *f, const struct rg_rowkey *self, struct rg_span old)
{
    const struct rg_rowkey all = rg_rowkey_table(RG_T_REGION);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row, status, before;
    enum rg_err err;

    RG_ASSERT(self->b[0] == RG_T_REGION);
    RG_ASSERT(f->cmd.kind == RG_CMD_REGION_PUT);
    RG_ASSERT(!region_is_removed(f->cmd.bytes));
    (void)rg_tlv_get(f->cmd.bytes, RG_F_STATUS, &status);
    if (rg_span_is(status, "ACTIVE"))
        return RG_OK;
    (void)rg_tlv_get(old, RG_F_STATUS, &before);
    if (rg_span_eq(status, before) && f->cmd.if_version != 0) /* the change under way goes on */
        return RG_OK;
    if (old.n > 0 && rg_span_is(status, "ADDING"))
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_REGION);
    if (rg_tlv_u64(old, RG_F_PRIMARY, 0) != 0)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_REGION);
    err = rg_scan_begin(f->txn, rg_rowkey_span(&all), rg_span(NULL, 0), &scan);
    while (!err && (err = rg_scan_next(&scan, &key, &row)) == RG_OK) {
        (void)rg_tlv_get(row, RG_F_STATUS, &before);
        if (!rg_span_is(before, "ACTIVE") && !rg_span_eq(key, rg_rowkey_span(self)))
            return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_REGION_CHANGE);
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err rg_fsm_region_put(struct rg_fsm *f)
{
    const struct rg_rowkey all = rg_rowkey_table(RG_T_REGION);
    struct rg_span old;
    struct rg_rowkey key;
    bool found;
    size_t n = 0;
    enum rg_err err = region_check(f, f->cmd.bytes, &key);

    RG_ASSERT(f->cmd.kind == RG_CMD_REGION_PUT);
    if (!err && f->cmd.bytes.n > NESTED_BYTES_MAX) /* far below a row: it is written again when the primary moves */
        err = rg_fsm_refuse(f, RG_ETOOBIG, RG_WHY_MALFORMED);
    if (!err)
        err = rg_fsm_find(f, &key, &found, &old);
    if (err)
        return err;
    if (!found && (f->cmd.if_version != 0 || region_goes(f->cmd.bytes)))
        return rg_fsm_refuse(f, RG_ENOTFOUND, RG_WHY_REGION);
    err = region_may(f, old);
    if (err)
        return err;
    if (region_is_removed(f->cmd.bytes))
        return region_drop(f, &key, old);
    if (!found) {
        err = count_rows(f, &all, RG_FSM_REGIONS_MAX, &n);
        if (err)
            return err;
        if (n >= RG_FSM_REGIONS_MAX)
            return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    }
    RG_ASSERT(found || n < RG_FSM_REGIONS_MAX);
    err = rg_fsm_check_version(f, old);
    if (!err)
        err = region_check_change(f, &key, old);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    return err ? err : rg_fsm_row_put(f, &key);
}

/* --- credentials: one record under its access key id, its token's hash, or both --- */

struct credential {
    bool has_key, has_token;
    struct rg_rowkey key, token;
};

static bool credential_parse(struct rg_span fields, struct credential *ret_c)
{
    struct rg_span id, hash;

    *ret_c = (struct credential){0};
    if (rg_tlv_get(fields, RG_F_ACCESS_KEY_ID, &id)) {
        if (!rg_rowkey_credential('k', id, &ret_c->key) || memchr(id.p, 0, id.n) != NULL)
            return false;
        ret_c->has_key = true;
        RG_ASSERT(ret_c->key.n > 2);
        RG_ASSERT(ret_c->key.b[1] == 'k');
    }
    if (rg_tlv_get(fields, RG_F_TOKEN_SHA256, &hash)) {
        if (hash.n != 32 || !rg_rowkey_credential('t', hash, &ret_c->token))
            return false;
        ret_c->has_token = true;
        RG_ASSERT(ret_c->token.n == 2 + 32);
        RG_ASSERT(ret_c->token.b[1] == 't');
    }
    return ret_c->has_key || ret_c->has_token;
}

/* A whole record: a token alone has a name to be known by, and a role is one of the two. */
static bool credential_check(struct rg_span fields, struct credential *ret_c)
{
    struct rg_span role, name;

    if (!credential_parse(fields, ret_c))
        return false;
    if (!ret_c->has_key && (!rg_tlv_get(fields, RG_F_NAME, &name) || name.n == 0))
        return false;
    RG_ASSERT(ret_c->has_key || ret_c->has_token);
    (void)rg_tlv_get(fields, RG_F_ROLE, &role);
    return rg_span_is(role, "admin") || rg_span_is(role, "read");
}

static bool credential_is_admin(struct rg_span fields)
{
    struct rg_span role;

    RG_ASSERT(fields.n > 0);
    return rg_tlv_get(fields, RG_F_ROLE, &role) && rg_span_is(role, "admin");
}

static bool key_same(const struct rg_rowkey *a, const struct rg_rowkey *b)
{
    RG_ASSERT(a->n > 0);
    RG_ASSERT(b->n > 0);
    RG_ASSERT(a->b[0] == b->b[0]); /* of one table */
    return rg_span_eq(rg_rowkey_span(a), rg_rowkey_span(b));
}

static enum rg_err credential_write(struct rg_fsm *f, const struct credential *c)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(c->has_key || c->has_token);
    RG_ASSERT(f->row.len > 0);
    RG_ASSERT(!c->has_key || c->key.b[0] == RG_T_CREDENTIAL);
    RG_ASSERT(!c->has_token || c->token.b[0] == RG_T_CREDENTIAL);
    if (c->has_key)
        err = rg_fsm_row_put(f, &c->key);
    if (!err && c->has_token)
        err = rg_fsm_row_put(f, &c->token);
    return err;
}

/* The record that a command means: by its access key, else by its token. */
static enum rg_err credential_find(struct rg_fsm *f, const struct credential *c, bool *ret_found,
                                   struct rg_span *ret_row)
{
    RG_ASSERT(c->has_key || c->has_token);
    RG_ASSERT(f->cmd.kind == RG_CMD_CREDENTIAL_PUT || f->cmd.kind == RG_CMD_CREDENTIAL_DELETE);
    return rg_fsm_find(f, c->has_key ? &c->key : &c->token, ret_found, ret_row);
}

/* A token belongs to one record: the one being put, or none yet. */
static enum rg_err credential_check_token(struct rg_fsm *f, const struct credential *c)
{
    struct credential holder;
    struct rg_span row;
    bool found;
    enum rg_err err;

    RG_ASSERT(c->has_key || c->has_token);
    RG_ASSERT(f->cmd.kind == RG_CMD_CREDENTIAL_PUT);
    if (!c->has_token)
        return RG_OK;
    err = rg_fsm_find(f, &c->token, &found, &row);
    if (err || !found)
        return err;
    if (!credential_parse(row, &holder))
        return RG_ECORRUPT;
    if (holder.has_key == c->has_key && (!c->has_key || key_same(&holder.key, &c->key)))
        return RG_OK;
    return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_CREDENTIAL);
}

enum rg_err rg_fsm_credential_put(struct rg_fsm *f)
{
    const struct rg_rowkey all = rg_rowkey_table(RG_T_CREDENTIAL);
    struct credential c, before = {0};
    struct rg_span old;
    bool found;
    size_t n = 0;
    enum rg_err err;

    RG_ASSERT(f->cmd.kind == RG_CMD_CREDENTIAL_PUT);
    if (!credential_check(f->cmd.bytes, &c))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    err = credential_find(f, &c, &found, &old);
    if (!err)
        err = credential_check_token(f, &c);
    if (!err && credential_is_admin(f->cmd.bytes))
        err = rg_fsm_demand(f, RG_SAID_CREDENTIAL);
    if (!err && !found)
        err = count_rows(f, &all, CREDENTIALS_MAX, &n);
    if (err)
        return err;
    if (!found && f->cmd.if_version != 0)
        return rg_fsm_refuse(f, RG_ENOTFOUND, RG_WHY_CREDENTIAL);
    if (!found && n >= CREDENTIALS_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    if (err)
        return err;
    if (found && !credential_parse(old, &before))
        return RG_ECORRUPT;
    RG_ASSERT(found || n < CREDENTIALS_MAX);
    RG_ASSERT(found || !before.has_token);
    if (before.has_token && !(c.has_token && key_same(&before.token, &c.token)))
        err = rg_fsm_drop(f, &before.token);
    return err ? err : credential_write(f, &c);
}

enum rg_err rg_fsm_credential_delete(struct rg_fsm *f)
{
    struct credential c;
    struct rg_span row;
    bool found;
    enum rg_err err;

    RG_ASSERT(f->cmd.kind == RG_CMD_CREDENTIAL_DELETE);
    if (!credential_parse(f->cmd.bytes, &c))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    err = credential_find(f, &c, &found, &row);
    if (err)
        return err;
    if (!found)
        return rg_fsm_refuse(f, RG_ENOTFOUND, RG_WHY_CREDENTIAL);
    err = rg_fsm_check_version(f, row);
    if (err)
        return err;
    if (!credential_parse(row, &c)) /* both of its keys, whichever the command named */
        return RG_ECORRUPT;
    if (c.has_key)
        err = rg_fsm_drop(f, &c.key);
    if (!err && c.has_token)
        err = rg_fsm_drop(f, &c.token);
    return err;
}

/* --- the instance --- */

/* What the first command brings: checked whole before anything is written. */
struct init {
    struct rg_span regions[RG_FSM_REGIONS_MAX], credentials[RG_FSM_REGIONS_MAX];
    size_t n_regions, n_credentials;
};

static bool init_collect(struct rg_span bytes, struct init *init)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(init->n_regions == 0);
    RG_ASSERT(init->n_credentials == 0);
    rg_cursor_init(&cur, bytes);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field != RG_F_REGION && tlv.field != RG_F_CREDENTIAL)
            continue;
        if (tlv.value.n > NESTED_BYTES_MAX || !rg_tlv_valid(tlv.value))
            return false;
        if (tlv.field == RG_F_REGION) {
            if (init->n_regions == RG_LEN(init->regions))
                return false;
            init->regions[init->n_regions++] = tlv.value;
        } else {
            if (init->n_credentials == RG_LEN(init->credentials))
                return false;
            init->credentials[init->n_credentials++] = tlv.value;
        }
    }
    RG_ASSERT(init->n_regions <= RG_LEN(init->regions));
    RG_ASSERT(init->n_credentials <= RG_LEN(init->credentials));
    return true;
}

static enum rg_err init_check_regions(struct rg_fsm *f, const struct init *init)
{
    struct rg_rowkey key, other;
    enum rg_err err = RG_OK;

    RG_ASSERT(init->n_regions <= RG_LEN(init->regions));
    RG_ASSERT(f->cmd.kind == RG_CMD_INSTANCE_INIT);
    for (size_t i = 0; !err && i < init->n_regions; i++) {
        err = region_check(f, init->regions[i], &key);
        if (!err && region_is_removed(init->regions[i]))
            err = rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
        for (size_t k = 0; !err && k < i; k++) {
            err = region_check(f, init->regions[k], &other);
            if (!err && key_same(&key, &other))
                err = rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
        }
    }
    return err;
}

static bool init_check_credentials(const struct init *init)
{
    struct credential a, b;

    RG_ASSERT(init->n_credentials <= RG_LEN(init->credentials));
    for (size_t i = 0; i < init->n_credentials; i++) {
        if (!credential_check(init->credentials[i], &a))
            return false;
        for (size_t k = 0; k < i; k++) {
            if (!credential_parse(init->credentials[k], &b))
                return false;
            if ((a.has_key && b.has_key && key_same(&a.key, &b.key)) ||
                (a.has_token && b.has_token && key_same(&a.token, &b.token)))
                return false;
        }
    }
    return true;
}

static enum rg_err init_check(struct rg_fsm *f, struct init *init)
{
    struct rg_span text, owner;
    enum rg_err err = rg_fsm_name(f, f->cmd.bytes, RG_F_INSTANCE_ARN, &text);

    RG_ASSERT(f->cmd.kind == RG_CMD_INSTANCE_INIT);
    if (!err)
        err = rg_fsm_name(f, f->cmd.bytes, RG_F_IDENTITY_STORE_ID, &text);
    if (err)
        return err;
    if (rg_tlv_get(f->cmd.bytes, RG_F_OWNER_ACCOUNT_ID, &owner) && !rg_account_id_ok(owner))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    if (!init_collect(f->cmd.bytes, init) || !init_check_credentials(init))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    return init_check_regions(f, init);
}

enum rg_err rg_fsm_instance_init(struct rg_fsm *f)
{
    static const uint32_t skip[] = {RG_F_REGION, RG_F_CREDENTIAL};
    const struct rg_rowkey instance = rg_rowkey_table(RG_T_INSTANCE);
    const struct rg_span none = {0};
    struct credential c;
    struct rg_rowkey key;
    struct init init = {.n_regions = 0};
    enum rg_err err = init_check(f, &init);

    RG_ASSERT(f->cmd.kind == RG_CMD_INSTANCE_INIT);
    _Static_assert(NESTED_BYTES_MAX + 2 * RG_BY_BYTES_MAX + 64 < RG_ROW_BYTES_MAX, "a nested record's row always fits");
    if (err)
        return err;
    /* Only this row can be too big: those of nested records are bounded far below a row. */
    err = rg_fsm_row_build(f, none, f->cmd.bytes, skip, RG_LEN(skip));
    RG_ASSERT(err || rg_txn_changes(f->txn) == f->changes);
    if (!err)
        err = rg_fsm_row_add(f, &instance);
    for (size_t i = 0; !err && i < init.n_regions; i++) {
        err = region_check(f, init.regions[i], &key);
        if (!err)
            err = rg_fsm_row_build(f, none, init.regions[i], NULL, 0);
        if (!err)
            err = rg_fsm_row_add(f, &key);
    }
    for (size_t i = 0; !err && i < init.n_credentials; i++) {
        RG_ASSERT(credential_parse(init.credentials[i], &c)); /* as it was checked */
        err = rg_fsm_row_build(f, none, init.credentials[i], NULL, 0);
        if (!err)
            err = credential_write(f, &c);
    }
    return err;
}
