/* Trust: statements that are asked for, and used once; operators; how a cluster's trust begins. Deterministic: what a signature is worth
 * depends on the command and the rows alone, and the time is the command's. */
#include "store/apply/fsm_priv.h"
#include "crypto/digest.h"
#include "store/db/rowmap.h"
#include "store/model/node.h"

enum { USED_DROPPED_MAX = 64 }; /* expired statements that one command forgets */
_Static_assert(USED_DROPPED_MAX * sizeof(struct rg_rowkey) <= 32 * 1024, "on the stack");
_Static_assert(RG_SIGNED_BYTES_MAX + 2 * RG_BY_BYTES_MAX + 1024 < RG_ROW_BYTES_MAX, "a row has room for its statement");

static enum rg_err wrong(struct rg_fsm *f, enum rg_err err)
{
    RG_ASSERT(err != RG_OK);
    RG_ASSERT(!f->refused);
    return rg_fsm_refuse(f, err, RG_WHY_STATEMENT);
}

/* --- statements --- */

struct saying {
    struct rg_signed signatures;
    struct rg_statement s;
    uint8_t hash[RG_STATEMENT_HASH_BYTES];
};

/* A refusal when the command has none, or it is none. */
static enum rg_err take(struct rg_fsm *f, struct saying *ret)
{
    struct rg_span bytes;

    RG_ASSERT(!f->said);
    if (!rg_tlv_get(f->cmd.bytes, RG_F_STATEMENT, &bytes))
        return wrong(f, RG_ESTATEMENT);
    if (rg_signed_decode(bytes, &ret->signatures) != RG_OK || rg_statement_decode(ret->signatures.statement, &ret->s) != RG_OK)
        return wrong(f, RG_EMALFORMED);
    rg_statement_hash(ret->signatures.statement, ret->hash);
    RG_ASSERT(ret->signatures.n >= 1);
    return RG_OK;
}

/* The log's time is the primary's word: it may lie within what was signed, and not go back behind what was applied. */
static enum rg_err check_time(struct rg_fsm *f, const struct rg_trust *trust, const struct saying *say)
{
    int64_t now = f->cmd.at_ms;

    RG_ASSERT(say->s.at_ms < say->s.expires_ms);
    RG_ASSERT(trust->level == 2 || trust->clock_ms == 0);
    if (say->s.expires_ms - say->s.at_ms > RG_STATEMENT_LIFE_MS)
        return wrong(f, RG_EINVALID);
    if (now < 0 || now > say->s.expires_ms || now < say->s.at_ms - RG_STATEMENT_SKEW_MS || now < trust->clock_ms - RG_STATEMENT_SKEW_MS)
        return wrong(f, RG_EEXPIRED);
    return RG_OK;
}

static bool is_root(const struct rg_trust *trust, const struct saying *say, size_t i)
{
    uint8_t root[RG_SHA256_BYTES];

    RG_ASSERT(i < say->signatures.n);
    RG_ASSERT(trust->root.n > 0);
    rg_sha256(trust->root, root);
    return memcmp(root, say->signatures.signatures[i].signer, sizeof root) == 0;
}

/* Whom it may be by: the root for operators, else an operator who may. */
static enum rg_err check_signer(struct rg_fsm *f, const struct rg_trust *trust, const struct saying *say, size_t i)
{
    struct rg_span key = trust->root;
    struct rg_operator op;
    enum rg_err err;

    RG_ASSERT(i < say->signatures.n);
    RG_ASSERT(trust->level == 2);
    if (is_root(trust, say, i)) {
        if (rg_said_role(say->s.kind) != RG_ROLE_OPERATORS)
            return wrong(f, RG_EDENIED);
    } else {
        err = rg_operator_get(f->txn, say->signatures.signatures[i].signer, &op);
        if (err)
            return err == RG_ENOTFOUND ? wrong(f, RG_EBADSIG) : err;
        if (!rg_operator_active(&op) || (op.roles & rg_said_role(say->s.kind)) == 0)
            return wrong(f, RG_EDENIED);
        if (op.expires_ms < f->cmd.at_ms || op.expires_ms < say->s.at_ms) /* as whoever loads a snapshot asks again */
            return wrong(f, RG_EEXPIRED);
        key = op.public_key;
    }
    err = rg_signed_verify(&say->signatures, i, key);
    return err == RG_ENOMEM || !err ? err : wrong(f, RG_EBADSIG);
}

static bool is_over(const struct rg_fsm *f, struct rg_span used)
{
    return (int64_t)rg_tlv_u64(used, RG_F_EXPIRES_MS, 0) < f->cmd.at_ms - RG_STATEMENT_SKEW_MS;
}

/* Those that are not over: the others are forgotten with the next that is taken. */
static enum rg_err count_used(struct rg_fsm *f, size_t *ret_n)
{
    const struct rg_rowkey all = rg_rowkey_trust('n', rg_span(NULL, 0));
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row;
    size_t n = 0;
    enum rg_err err = rg_rowkey_scan(f->txn, &all, NULL, &scan);

    RG_ASSERT(all.n == 2);
    while (!err && n < RG_STATEMENTS_MAX && (err = rg_scan_next(&scan, &key, &row)) == RG_OK)
        n += !is_over(f, row);
    RG_ASSERT(n <= RG_STATEMENTS_MAX);
    *ret_n = n;
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* Used before, or too many are kept. Who is to be ended cannot keep them full. */
static enum rg_err check_used(struct rg_fsm *f, const struct saying *say)
{
    const struct rg_rowkey key = rg_rowkey_trust('n', rg_span(say->hash, sizeof say->hash));
    bool found;
    size_t n = 0;
    enum rg_err err = rg_fsm_find(f, &key, &found, NULL);

    RG_ASSERT(key.n == 2 + RG_STATEMENT_HASH_BYTES);
    if (!err && found)
        return wrong(f, RG_ECONFLICT);
    if (!err)
        err = count_used(f, &n);
    if (!err && n >= RG_STATEMENTS_MAX && say->s.kind != RG_SAID_OPERATOR_END)
        return wrong(f, RG_EQUOTA);
    return err;
}

static void use(struct rg_fsm *f, const struct saying *say)
{
    RG_ASSERT(!f->said);
    RG_ASSERT(f->statement.n == 0);
    (void)rg_tlv_get(f->cmd.bytes, RG_F_STATEMENT, &f->statement);
    memcpy(f->said_hash, say->hash, sizeof f->said_hash);
    f->said_expires_ms = say->s.expires_ms;
    f->said = true;
    RG_ASSERT(f->statement.n > 0);
}

/* kind: of this cluster, in its time, not used, by all who signed it. */
static enum rg_err check(struct rg_fsm *f, enum rg_said kind, struct saying *say)
{
    struct rg_trust trust;
    enum rg_err err = rg_trust_get(f->txn, &trust);

    RG_ASSERT(kind != RG_SAID_GENESIS);
    if (!err)
        err = take(f, say);
    if (err)
        return err;
    RG_ASSERT(trust.level == f->level);
    if (say->s.kind != (unsigned)kind || !rg_span_eq(say->s.cluster, trust.cluster) || !say->s.on_genesis ||
        memcmp(say->s.genesis, trust.genesis, sizeof trust.genesis) != 0)
        return wrong(f, RG_EINVALID);
    err = check_time(f, &trust, say);
    if (!err)
        err = check_used(f, say);
    for (size_t i = 0; !err && i < say->signatures.n; i++)
        err = check_signer(f, &trust, say, i);
    return err;
}

enum rg_err rg_fsm_demand(struct rg_fsm *f, enum rg_said kind)
{
    struct saying say;
    enum rg_err err;

    RG_ASSERT(f->level >= 1);
    RG_ASSERT(f->level <= 2);
    if (f->level < 2)
        return RG_OK;
    err = check(f, kind, &say);
    if (err)
        return err;
    if (!rg_said_covers(say.s.kind, say.s.fields, f->cmd.bytes))
        return wrong(f, RG_EINVALID);
    use(f, &say);
    return RG_OK;
}

enum rg_err rg_fsm_forbid(struct rg_fsm *f)
{
    RG_ASSERT(f->level >= 1);
    RG_ASSERT(!f->said);
    return f->level < 2 ? RG_OK : wrong(f, RG_ESTATEMENT);
}

/* Those that have expired for good: the log's time cannot go back to when they had not. */
static enum rg_err forget_expired(struct rg_fsm *f)
{
    const struct rg_rowkey all = rg_rowkey_trust('n', rg_span(NULL, 0));
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_rowkey keys[USED_DROPPED_MAX];
    struct rg_span key, row;
    size_t n = 0;
    enum rg_err err = rg_rowkey_scan(f->txn, &all, NULL, &scan);

    RG_ASSERT(f->said);
    RG_ASSERT(f->cmd.at_ms >= 0); /* a statement's time is */
    while (!err && n < RG_LEN(keys) && (err = rg_scan_next(&scan, &key, &row)) == RG_OK) {
        if (!is_over(f, row) || key.n > sizeof keys[0].b)
            continue;
        keys[n] = (struct rg_rowkey){.n = 0};
        rg_rowkey_put(&keys[n++], key.p, key.n);
    }
    rg_scan_end(&scan);
    if (err == RG_ENOTFOUND)
        err = RG_OK;
    for (size_t i = 0; !err && i < n; i++)
        err = rg_fsm_drop(f, &keys[i]);
    return err;
}

static enum rg_err put_number(struct rg_fsm *f, const struct rg_rowkey *key, uint32_t field, uint64_t number)
{
    RG_ASSERT(key->b[0] == RG_T_TRUST);
    RG_ASSERT(!f->refused);
    rg_buf_clear(&f->row);
    rg_tlv_put_u64(&f->row, field, number);
    return f->row.err ? f->row.err : rg_fsm_put(f, key, rg_buf_span(&f->row));
}

enum rg_err rg_fsm_said(struct rg_fsm *f)
{
    const struct rg_rowkey used = rg_rowkey_trust('n', rg_span(f->said_hash, sizeof f->said_hash));
    const struct rg_rowkey clock = rg_rowkey_trust('c', rg_span(NULL, 0));
    struct rg_span row;
    bool found;
    int64_t at_ms = f->cmd.at_ms;
    enum rg_err err = rg_fsm_find(f, &clock, &found, &row);

    RG_ASSERT(f->said);
    RG_ASSERT(f->said_expires_ms >= f->cmd.at_ms);
    if (!err && found)
        at_ms = RG_MAX(at_ms, (int64_t)rg_tlv_u64(row, RG_F_AT_MS, 0));
    if (!err)
        err = forget_expired(f);
    if (!err)
        err = put_number(f, &used, RG_F_EXPIRES_MS, (uint64_t)f->said_expires_ms);
    return err ? err : put_number(f, &clock, RG_F_AT_MS, (uint64_t)at_ms);
}

/* --- nodes: what comes about by itself --- */

enum node_state { NODE_NONE, NODE_PREPARED, NODE_MEMBER, NODE_FENCED, NODE_REMOVED, NODE_STATES };

static enum node_state state_of(struct rg_span row)
{
    static const char *const names[NODE_STATES] = {"", "PREPARED", "MEMBER", "FENCED", "REMOVED"};
    struct rg_span status;

    _Static_assert(NODE_NONE == 0, "a row that says none");
    RG_ASSERT(row.p != NULL || row.n == 0);
    if (rg_tlv_get(row, RG_F_STATUS, &status))
        for (enum node_state i = NODE_PREPARED; i < NODE_STATES; i++)
            if (rg_span_is(status, names[i]))
                return i;
    return NODE_NONE;
}

/* PREPARED → MEMBER → REMOVED (its region goes), FENCED → REMOVED, PREPARED → REMOVED; FENCED is NODE_JOIN's to give. Back from REMOVED
 * only the node of the primary's region: it was on its way out when people promoted it. */
enum may { NEVER, FREELY, REGION_GOES, REGION_LEADS };
static const uint8_t node_may[NODE_STATES][NODE_STATES] = {
    [NODE_PREPARED] = {[NODE_PREPARED] = FREELY, [NODE_MEMBER] = FREELY, [NODE_REMOVED] = FREELY},
    [NODE_MEMBER] = {[NODE_MEMBER] = FREELY, [NODE_REMOVED] = REGION_GOES},
    [NODE_FENCED] = {[NODE_FENCED] = FREELY, [NODE_REMOVED] = REGION_GOES},
    [NODE_REMOVED] = {[NODE_REMOVED] = FREELY, [NODE_MEMBER] = REGION_LEADS},
};

static bool stays(struct rg_span old, struct rg_span now, uint32_t field)
{
    struct rg_span a, b;

    RG_ASSERT(old.n > 0);
    RG_ASSERT(field >= RG_F_ID);
    return rg_tlv_get(old, field, &a) == rg_tlv_get(now, field, &b) && rg_span_eq(a, b);
}

/* Whether a node's region is as the table wants it. No row: it was removed. */
static enum rg_err region_is(struct rg_fsm *f, struct rg_span node, enum may may, bool *ret_is)
{
    struct rg_span name, row, status;
    struct rg_rowkey key;
    bool found;
    enum rg_err err;

    RG_ASSERT(may == REGION_GOES || may == REGION_LEADS);
    RG_ASSERT(node.n > 0);
    *ret_is = false;
    if (!rg_tlv_get(node, RG_F_NAME, &name) || !rg_rowkey_text(RG_T_REGION, name, &key))
        return RG_OK;
    err = rg_fsm_find(f, &key, &found, &row);
    if (err)
        return err;
    (void)rg_tlv_get(row, RG_F_STATUS, &status);
    *ret_is = may == REGION_GOES ? !found || rg_span_is(status, "REMOVING") : rg_tlv_u64(row, RG_F_PRIMARY, 0) != 0;
    return RG_OK;
}

/* Which key a node is stays, once it is known. It may become known of one that came later than the GENESIS, which says what it found: by a
 * statement, or in the line of such a node. */
static bool pin_may(struct rg_span old, struct rg_span now)
{
    struct rg_span pin, came;

    RG_ASSERT(old.n > 0);
    RG_ASSERT(now.n > 0);
    if (stays(old, now, RG_F_PIN))
        return true;
    return !rg_tlv_get(old, RG_F_PIN, &pin) && (rg_tlv_get(old, RG_F_STATEMENT, &came) || rg_tlv_get(old, RG_F_OLD_NODE_ID, &came));
}

/* A key gets in by a statement that names it. That another one may stand for it (RETURNS) is nothing that can be said yet. */
static enum rg_err keys_may(struct rg_fsm *f, struct rg_span old)
{
    struct rg_span now = f->cmd.bytes, key;

    RG_ASSERT(old.n > 0);
    RG_ASSERT(f->level == 2);
    if (rg_tlv_get(now, RG_F_RETURNS, &key) && (!stays(old, now, RG_F_RETURNS) || !stays(old, now, RG_F_EXPIRES_MS)))
        return wrong(f, RG_ESTATEMENT);
    return stays(old, now, RG_F_ADMITTED) ? RG_OK : rg_fsm_demand(f, RG_SAID_ADMIT);
}

enum rg_err rg_fsm_node_may(struct rg_fsm *f, struct rg_span old)
{
    static const uint32_t fixed[] = {RG_F_NAME, RG_F_LINK, RG_F_URL, RG_F_OLD_NODE_ID, RG_F_REJOIN};
    struct rg_span now = f->cmd.bytes;
    enum may may = (enum may)node_may[state_of(old)][state_of(now)];
    bool is = may == FREELY;
    enum rg_err err = RG_OK;

    RG_ASSERT(f->cmd.kind == RG_CMD_NODE_PUT);
    RG_ASSERT(f->level >= 1);
    if (f->level < 2)
        return RG_OK;
    if (may == REGION_GOES || may == REGION_LEADS)
        err = region_is(f, old, may, &is);
    if (err)
        return err;
    for (size_t i = 0; is && i < RG_LEN(fixed); i++)
        is = stays(old, now, fixed[i]);
    return is && pin_may(old, now) ? keys_may(f, old) : wrong(f, RG_ESTATEMENT);
}

/* --- operators --- */

static bool operator_ok(struct rg_span fields)
{
    uint64_t roles = rg_tlv_u64(fields, RG_F_ROLES, 0);
    struct rg_span name;

    _Static_assert((int)RG_OPERATOR_NAME_BYTES_MAX < (int)RG_NAME_BYTES_MAX, "a name like any other");
    RG_ASSERT(fields.p != NULL || fields.n == 0);
    return rg_tlv_get(fields, RG_F_NAME, &name) && name.n >= 1 && name.n <= RG_OPERATOR_NAME_BYTES_MAX &&
           memchr(name.p, 0, name.n) == NULL && roles != 0 && (roles & ~(uint64_t)RG_ROLES_ALL) == 0 &&
           rg_tlv_u64(fields, RG_F_EXPIRES_MS, 0) > 0 && rg_tlv_u64(fields, RG_F_EXPIRES_MS, 0) <= INT64_MAX;
}

/* A key that can be checked with, and not the root's. */
static enum rg_err check_key(struct rg_fsm *f, struct rg_span key, struct rg_span root)
{
    enum rg_err err = rg_span_eq(key, root) ? RG_EINVALID : rg_es256_spki_check(key);

    RG_ASSERT(root.n > 0);
    RG_ASSERT(err == RG_OK || !f->refused);
    return err == RG_EINVALID ? wrong(f, err) : err;
}

/* Whose name it is now. ret_key: n is 0 when it is nobody's. ret_n: how many rows there are */
static enum rg_err find_named(struct rg_fsm *f, struct rg_span name, struct rg_rowkey *ret_key, size_t *ret_n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    uint8_t hash[RG_SHA256_BYTES];
    struct rg_operator op;
    enum rg_err err = rg_operator_list(f->txn, &scan);

    RG_ASSERT(name.n > 0);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    ret_key->n = *ret_n = 0;
    while (!err && (err = rg_operator_next(&scan, &op)) == RG_OK) {
        ++*ret_n;
        if (!rg_operator_active(&op) || !rg_span_eq(op.name, name))
            continue;
        rg_sha256(op.public_key, hash);
        *ret_key = rg_rowkey_trust('o', rg_span(hash, sizeof hash));
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* How many rows there may be. Those that ended fill them in time: then the root, which is asked seldom, lets in a few more. */
static size_t room_for(const struct rg_trust *trust, const struct saying *say)
{
    bool root = false;

    RG_ASSERT(say->s.kind == RG_SAID_OPERATOR);
    for (size_t i = 0; i < say->signatures.n; i++)
        root |= is_root(trust, say, i);
    RG_ASSERT(trust->level == 2); /* each signature was looked at */
    return root ? RG_OPERATORS_ROOT_MAX : RG_OPERATORS_MAX;
}

/* The row of whom a statement names; only fields of its own are in it. */
static enum rg_err build_operator(struct rg_fsm *f, struct rg_span fields)
{
    static const uint32_t skip[] = {RG_F_KEPT, RG_F_ROOT_KEY};
    enum rg_err err = rg_fsm_row_build(f, rg_span(NULL, 0), fields, skip, RG_LEN(skip));

    RG_ASSERT(f->statement.n > 0);
    RG_ASSERT(f->said);
    if (err)
        return err;
    rg_tlv_put_str(&f->row, RG_F_STATUS, "ACTIVE");
    return rg_fsm_row_check(f);
}

static enum rg_err needs_level(struct rg_fsm *f)
{
    RG_ASSERT(f->cmd.kind == RG_CMD_OPERATOR_PUT || f->cmd.kind == RG_CMD_OPERATOR_END);
    RG_ASSERT(f->level >= 1);
    return f->level >= 2 ? RG_OK : wrong(f, RG_EUNREADY);
}

static enum rg_err refuse_operator(struct rg_fsm *f, enum rg_err err)
{
    RG_ASSERT(err == RG_ECONFLICT || err == RG_ENOTFOUND);
    RG_ASSERT(f->level >= 2);
    return rg_fsm_refuse(f, err, RG_WHY_OPERATOR);
}

/* A key is one person's, with the roles that it was given: what it signed is measured by them for good. Whoever is to have others, or more
 * time, has another key. A name is one key's at a time. */
enum rg_err rg_fsm_operator_put(struct rg_fsm *f)
{
    struct rg_rowkey key, named;
    struct rg_span spki, name;
    uint8_t hash[RG_SHA256_BYTES];
    struct rg_trust trust;
    struct saying say;
    bool found = false;
    size_t n = 0;
    enum rg_err err = needs_level(f);

    RG_ASSERT(f->cmd.kind == RG_CMD_OPERATOR_PUT);
    if (!err)
        err = check(f, RG_SAID_OPERATOR, &say);
    if (!err)
        err = rg_trust_get(f->txn, &trust);
    if (err)
        return err;
    if (!rg_said_covers(RG_SAID_OPERATOR, say.s.fields, say.s.fields) || !operator_ok(say.s.fields) ||
        !rg_tlv_get(say.s.fields, RG_F_PUBLIC_KEY, &spki))
        return wrong(f, RG_EMALFORMED);
    (void)rg_tlv_get(say.s.fields, RG_F_NAME, &name);
    err = check_key(f, spki, trust.root);
    if (!err)
        err = find_named(f, name, &named, &n);
    rg_sha256(spki, hash);
    key = rg_rowkey_trust('o', rg_span(hash, sizeof hash));
    if (!err)
        err = rg_fsm_find(f, &key, &found, NULL);
    if (err)
        return err;
    if (found || named.n > 0)
        return refuse_operator(f, RG_ECONFLICT);
    if (n >= room_for(&trust, &say))
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    use(f, &say);
    err = build_operator(f, say.s.fields);
    return err ? err : rg_fsm_row_add(f, &key);
}

/* The row stays, with both statements: what its key signed before can still be checked. */
enum rg_err rg_fsm_operator_end(struct rg_fsm *f)
{
    static const uint32_t skip[] = {RG_F_STATUS};
    struct rg_rowkey key;
    struct rg_span name, old, ending;
    struct saying say;
    size_t n = 0;
    enum rg_err err = needs_level(f);

    RG_ASSERT(f->cmd.kind == RG_CMD_OPERATOR_END);
    if (!err)
        err = check(f, RG_SAID_OPERATOR_END, &say);
    if (err)
        return err;
    if (!rg_said_covers(RG_SAID_OPERATOR_END, say.s.fields, say.s.fields) || !rg_tlv_get(say.s.fields, RG_F_NAME, &name) || name.n == 0)
        return wrong(f, RG_EMALFORMED);
    err = find_named(f, name, &key, &n);
    if (!err && key.n == 0)
        return refuse_operator(f, RG_ENOTFOUND);
    if (!err)
        err = rg_fsm_need(f, &key, RG_WHY_OPERATOR, &old);
    if (!err)
        err = rg_fsm_row_build(f, old, old, skip, RG_LEN(skip));
    if (err)
        return err;
    use(f, &say);
    RG_ASSERT(key.n == 2 + RG_SHA256_BYTES);
    RG_ASSERT(!f->refused);
    ending = f->statement;
    rg_tlv_put_str(&f->row, RG_F_STATUS, "ENDED");
    rg_tlv_put(&f->row, RG_F_ENDING, ending);
    err = rg_fsm_row_check(f);
    return err ? err : rg_fsm_row_put(f, &key);
}

/* --- the beginning --- */

/* The root has signed it, and the first operator, who has his key; nobody else. */
static enum rg_err check_genesis_signers(struct rg_fsm *f, const struct saying *say, struct rg_span root, struct rg_span spki)
{
    const struct rg_span keys[] = {root, spki};
    enum rg_err err = say->signatures.n == RG_LEN(keys) ? RG_OK : wrong(f, RG_EBADSIG);

    RG_ASSERT(!rg_span_eq(root, spki));
    RG_ASSERT(say->signatures.n >= 1);
    for (size_t k = 0; !err && k < RG_LEN(keys); k++) {
        enum rg_err by[RG_LEN(keys)];

        for (size_t i = 0; i < RG_LEN(by); i++)
            by[i] = rg_signed_verify(&say->signatures, i, keys[k]);
        if (by[0] == RG_ENOMEM || by[1] == RG_ENOMEM)
            return RG_ENOMEM;
        if (by[0] != RG_OK && by[1] != RG_OK)
            err = wrong(f, RG_EBADSIG);
    }
    return err;
}

/* It names what it found, all of it, as it is now. */
static enum rg_err check_kept(struct rg_fsm *f, struct rg_span fields)
{
    RG_AUTO_BUF struct rg_buf kept = {.max = 0};
    struct rg_cursor cur;
    struct rg_tlv tlv;
    size_t at = 0;
    bool same = true;
    enum rg_err err;

    rg_buf_init(&kept, (size_t)RG_KEPT_MAX * RG_KEPT_BYTES);
    err = rg_trust_kept(f->txn, &kept);
    if (err)
        return err == RG_ETOOBIG ? rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT) : err;
    rg_cursor_init(&cur, fields);
    while (same && rg_tlv_next(&cur, &tlv)) {
        if (tlv.field != RG_F_KEPT)
            continue;
        same = tlv.value.n == RG_KEPT_BYTES && at + RG_KEPT_BYTES <= kept.len && memcmp(tlv.value.p, kept.data + at, RG_KEPT_BYTES) == 0;
        at += RG_KEPT_BYTES;
    }
    RG_ASSERT(kept.len % RG_KEPT_BYTES == 0);
    RG_ASSERT(!f->refused);
    return same && at == kept.len ? RG_OK : wrong(f, RG_ESTALE);
}

static enum rg_err check_genesis(struct rg_fsm *f, const struct rg_trust *trust, const struct saying *say)
{
    struct rg_span root, spki;
    enum rg_err err;

    RG_ASSERT(trust->level == 1);
    RG_ASSERT(trust->root.n == 0);
    if (say->s.kind != RG_SAID_GENESIS || say->s.on_genesis || !rg_span_eq(say->s.cluster, trust->cluster))
        return wrong(f, RG_EINVALID);
    if (!rg_said_covers(RG_SAID_GENESIS, say->s.fields, say->s.fields) || !operator_ok(say->s.fields) ||
        !rg_tlv_get(say->s.fields, RG_F_ROOT_KEY, &root) || !rg_tlv_get(say->s.fields, RG_F_PUBLIC_KEY, &spki) || root.n == 0)
        return wrong(f, RG_EMALFORMED);
    if ((rg_tlv_u64(say->s.fields, RG_F_ROLES, 0) & RG_ROLE_OPERATORS) == 0)
        return wrong(f, RG_EINVALID);
    err = check_time(f, trust, say);
    if (!err)
        err = check_key(f, spki, root);
    if (!err) {
        err = rg_es256_spki_check(root);
        if (err == RG_EINVALID)
            err = wrong(f, err);
    }
    if (!err)
        err = check_genesis_signers(f, say, root, spki);
    return err ? err : check_kept(f, say->s.fields);
}

enum rg_err rg_fsm_trust_begin(struct rg_fsm *f)
{
    static const uint32_t all_but_root[] = {RG_F_NAME, RG_F_EXPIRES_MS, RG_F_PUBLIC_KEY, RG_F_ROLES, RG_F_KEPT};
    static const uint32_t level[] = {RG_F_TRUST};
    const struct rg_rowkey instance = rg_rowkey_table(RG_T_INSTANCE), genesis = rg_rowkey_trust('g', rg_span(NULL, 0));
    uint8_t hash[RG_SHA256_BYTES];
    struct rg_rowkey first;
    struct rg_span spki, row;
    struct rg_trust trust;
    struct saying say;
    enum rg_err err;

    RG_ASSERT(f->cmd.kind == RG_CMD_TRUST_BEGIN);
    RG_ASSERT(f->statement.n == 0);
    if (f->level >= 2)
        return wrong(f, RG_ECONFLICT);
    err = rg_trust_get(f->txn, &trust);
    if (!err)
        err = take(f, &say);
    if (!err)
        err = check_genesis(f, &trust, &say);
    if (err)
        return err;
    (void)rg_tlv_get(say.s.fields, RG_F_PUBLIC_KEY, &spki);
    rg_sha256(spki, hash);
    first = rg_rowkey_trust('o', rg_span(hash, sizeof hash));
    err = rg_fsm_need(f, &instance, RG_WHY_MALFORMED, &row);
    if (!err)
        err = rg_fsm_row_build(f, row, row, level, RG_LEN(level));
    if (err)
        return err;
    rg_tlv_put_u64(&f->row, RG_F_TRUST, 2);
    err = rg_fsm_row_check(f);
    if (!err)
        err = rg_fsm_row_put(f, &instance);
    if (err)
        return err;
    use(f, &say);
    err = rg_fsm_row_build(f, rg_span(NULL, 0), say.s.fields, all_but_root, RG_LEN(all_but_root));
    if (!err)
        err = rg_fsm_row_add(f, &genesis);
    if (!err)
        err = build_operator(f, say.s.fields);
    return err ? err : rg_fsm_row_add(f, &first);
}
