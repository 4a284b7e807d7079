/* Permission sets and accounts. */
#include "store/apply/fsm_priv.h"

/* --- permission sets --- */

static enum rg_err check_permset(struct rg_fsm *f, struct rg_psid *ret_id, struct rg_rowkey *ret_name)
{
    struct rg_span name;
    enum rg_err err = rg_fsm_psid(f, RG_F_ID, ret_id);

    RG_ASSERT(f->cmd.kind == RG_CMD_PERMSET_CREATE || f->cmd.kind == RG_CMD_PERMSET_REPLACE);
    if (err)
        return err;
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    f->reply->psid = *ret_id;
    err = rg_fsm_name(f, f->cmd.bytes, RG_F_NAME, &name);
    if (err)
        return err;
    return rg_rowkey_text(RG_T_PERMSET_NAME, name, ret_name) ? RG_OK : rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
}

static enum rg_err check_name_free(struct rg_fsm *f, const struct rg_rowkey *name, const struct rg_psid *id)
{
    struct rg_span holder;
    bool found;
    enum rg_err err = rg_fsm_find(f, name, &found, &holder);

    RG_ASSERT(name->b[0] == RG_T_PERMSET_NAME);
    RG_ASSERT(name->n > 1);
    RG_ASSERT(!f->refused);
    if (err || !found)
        return err;
    if (holder.n != sizeof id->b)
        return RG_ECORRUPT;
    if (memcmp(holder.p, id->b, sizeof id->b) == 0)
        return RG_OK;
    memcpy(f->reply->psid.b, holder.p, sizeof id->b);
    return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_PERMSET_NAME);
}

enum rg_err rg_fsm_permset_create(struct rg_fsm *f)
{
    struct rg_counts counts;
    struct rg_rowkey key, name;
    struct rg_psid id;
    bool found;
    enum rg_err err = check_permset(f, &id, &name);

    RG_ASSERT(f->cmd.kind == RG_CMD_PERMSET_CREATE);
    if (err)
        return err;
    key = rg_rowkey_psid(RG_T_PERMSET, &id);
    err = rg_fsm_find(f, &key, &found, NULL);
    if (err)
        return err;
    if (found)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_PERMSET);
    err = check_name_free(f, &name, &id);
    if (err)
        return err;
    rg_txn_counts(f->txn, &counts);
    if (counts.permsets >= RG_PERMSETS_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    RG_ASSERT(key.n == 1 + RG_PSID_BYTES);
    err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, NULL, 0);
    if (!err)
        err = rg_fsm_row_add(f, &key);
    return err ? err : rg_fsm_add(f, &name, rg_span(id.b, sizeof id.b));
}

static bool name_of(struct rg_span row, struct rg_rowkey *ret_name)
{
    struct rg_span name;

    return rg_tlv_get(row, RG_F_NAME, &name) && rg_rowkey_text(RG_T_PERMSET_NAME, name, ret_name);
}

enum rg_err rg_fsm_permset_replace(struct rg_fsm *f)
{
    struct rg_rowkey key, name, before;
    struct rg_psid id;
    struct rg_span old;
    enum rg_err err = check_permset(f, &id, &name);

    RG_ASSERT(f->cmd.kind == RG_CMD_PERMSET_REPLACE);
    if (err)
        return err;
    key = rg_rowkey_psid(RG_T_PERMSET, &id);
    err = rg_fsm_need(f, &key, RG_WHY_PERMSET, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    if (!err)
        err = check_name_free(f, &name, &id);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    if (err)
        return err;
    if (!name_of(old, &before))
        return RG_ECORRUPT;
    err = rg_fsm_row_put(f, &key);
    if (err || rg_span_eq(rg_rowkey_span(&before), rg_rowkey_span(&name)))
        return err;
    err = rg_fsm_drop(f, &before);
    return err ? err : rg_fsm_add(f, &name, rg_span(id.b, sizeof id.b));
}

enum rg_err rg_fsm_permset_delete(struct rg_fsm *f)
{
    struct rg_rowkey key, name, assigned;
    struct rg_counts counts;
    struct rg_psid id;
    struct rg_span old;
    bool any;
    enum rg_err err = rg_fsm_psid(f, RG_F_ID, &id);

    RG_ASSERT(f->cmd.kind == RG_CMD_PERMSET_DELETE);
    if (err)
        return err;
    f->reply->psid = id;
    key = rg_rowkey_psid(RG_T_PERMSET, &id);
    err = rg_fsm_need(f, &key, RG_WHY_PERMSET, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    assigned = rg_rowkey_psid(RG_T_ASSIGN_PS, &id);
    if (!err)
        err = rg_fsm_any(f, &assigned, &any);
    if (err)
        return err;
    if (any)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_PERMSET_ASSIGNED);
    if (!name_of(old, &name))
        return RG_ECORRUPT;
    rg_txn_counts(f->txn, &counts);
    RG_ASSERT(counts.permsets > 0);
    RG_ASSERT(name.n > 1);
    err = rg_fsm_drop(f, &name);
    return err ? err : rg_fsm_drop(f, &key);
}

/* --- accounts --- */

enum rg_err rg_fsm_account_put(struct rg_fsm *f)
{
    struct rg_counts counts;
    struct rg_span old;
    struct rg_rowkey key;
    char id[13];
    bool found;
    enum rg_err err = rg_fsm_account(f, id);

    RG_ASSERT(f->cmd.kind == RG_CMD_ACCOUNT_PUT);
    if (err)
        return err;
    key = rg_rowkey_account(id);
    err = rg_fsm_find(f, &key, &found, &old);
    if (err)
        return err;
    rg_txn_counts(f->txn, &counts);
    RG_ASSERT(!found || counts.accounts > 0);
    if (!found && f->cmd.if_version != 0)
        return rg_fsm_refuse(f, RG_ENOTFOUND, RG_WHY_ACCOUNT);
    if (!found && counts.accounts >= RG_ACCOUNTS_MAX)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    return err ? err : rg_fsm_row_put(f, &key);
}

enum rg_err rg_fsm_account_delete(struct rg_fsm *f)
{
    struct rg_rowkey key, assigned = rg_rowkey_table(RG_T_ASSIGN);
    struct rg_span old;
    char id[13];
    bool any;
    enum rg_err err = rg_fsm_account(f, id);

    RG_ASSERT(f->cmd.kind == RG_CMD_ACCOUNT_DELETE);
    if (err)
        return err;
    RG_ASSERT(id[RG_ACCT_BYTES] == '\0');
    key = rg_rowkey_account(id);
    rg_rowkey_put(&assigned, id, RG_ACCT_BYTES);
    RG_ASSERT(assigned.n == 1 + RG_ACCT_BYTES);
    err = rg_fsm_need(f, &key, RG_WHY_ACCOUNT, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    if (!err)
        err = rg_fsm_any(f, &assigned, &any);
    if (err)
        return err;
    return any ? rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_ACCOUNT_ASSIGNED) : rg_fsm_drop(f, &key);
}
