#include "store/authz/trusted.h"

#include <inttypes.h>

#include "crypto/digest.h"
#include "store/db/rowkey.h"
#include "store/model/node.h"
#include "store/model/trust.h"

struct proved {
    struct rg_operator op;
    uint8_t hash[RG_SHA256_BYTES];
    bool is;  /* back to the GENESIS */
};

struct proof {
    struct rg_txn *txn;
    struct rg_errctx *ctx;
    struct rg_trust trust;
    uint8_t root[RG_SHA256_BYTES];
    struct rg_signed genesis;
    struct rg_statement said; /* the GENESIS' own */
    struct proved *operators; /* own; RG_OPERATORS_ROOT_MAX */
    size_t n;
};

static enum rg_err no(struct proof *p, const char *what)
{
    RG_ASSERT(what != NULL);
    RG_ASSERT(p->txn != NULL);
    return rg_fail(p->ctx, RG_EPEER, "%s", what);
}

/* --- the beginning --- */

/* One by each of the two keys that it names. */
static enum rg_err check_genesis(struct proof *p)
{
    struct rg_span keys[2];
    unsigned good = 0;

    if (rg_signed_decode(p->trust.statement, &p->genesis) != RG_OK || rg_statement_decode(p->genesis.statement, &p->said) != RG_OK ||
        p->said.kind != RG_SAID_GENESIS || p->said.on_genesis || p->genesis.n != 2 ||
        !rg_said_covers(RG_SAID_GENESIS, p->said.fields, p->said.fields))
        return no(p, "its GENESIS is none");
    if (!rg_span_eq(p->said.cluster, p->trust.cluster))
        return no(p, "its GENESIS is another cluster's");
    if (!rg_tlv_get(p->said.fields, RG_F_ROOT_KEY, &keys[0]) || !rg_span_eq(keys[0], p->trust.root) ||
        !rg_tlv_get(p->said.fields, RG_F_PUBLIC_KEY, &keys[1]))
        return no(p, "its GENESIS names another root");
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < p->genesis.n; i++) {
            enum rg_err err = rg_signed_verify(&p->genesis, i, keys[k]);

            if (err == RG_ENOMEM)
                return err;
            good += err == RG_OK;
        }
    rg_sha256(p->trust.root, p->root);
    RG_ASSERT(good <= 4);
    RG_ASSERT(p->said.kind == RG_SAID_GENESIS);
    return good == 2 ? RG_OK : no(p, "its GENESIS is not signed by its root and its first operator");
}

static bool kept(const struct proof *p, struct rg_span key, struct rg_span row)
{
    uint8_t digest[RG_KEPT_BYTES];
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(key.n > 0);
    RG_ASSERT(p->said.kind == RG_SAID_GENESIS);
    if (!rg_trust_kept_row(key, row, digest))
        return false;
    rg_cursor_init(&cur, p->said.fields);
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field == RG_F_KEPT && rg_span_eq(tlv.value, rg_span(digest, sizeof digest)))
            return true;
    return false;
}

/* --- statements of operators --- */

static const struct proved *find(const struct proof *p, const uint8_t signer[RG_SHA256_BYTES])
{
    RG_ASSERT(p->n <= RG_OPERATORS_ROOT_MAX);
    RG_ASSERT(signer != NULL);
    for (size_t i = 0; i < p->n; i++)
        if (memcmp(p->operators[i].hash, signer, RG_SHA256_BYTES) == 0)
            return &p->operators[i];
    return NULL;
}

/* Whether bytes are a statement of one of these kinds that was rightly made, by whoever is proved so far. *ret_yet false: somebody who has
 * signed is not, yet. ret_said: borrows bytes */
static enum rg_err check_said(struct proof *p, struct rg_span bytes, uint32_t kinds, struct rg_statement *ret_said, bool *ret_yet)
{
    struct rg_signed by;
    enum rg_err err = RG_OK;

    RG_ASSERT(kinds != 0);
    RG_ASSERT((kinds & RG_BIT(RG_SAID_GENESIS)) == 0); /* that is proved by itself */
    *ret_yet = true;
    if (rg_signed_decode(bytes, &by) != RG_OK || rg_statement_decode(by.statement, ret_said) != RG_OK || ret_said->kind >= 32 ||
        (kinds & RG_BIT(ret_said->kind)) == 0 || !ret_said->on_genesis || !rg_span_eq(ret_said->cluster, p->trust.cluster) ||
        memcmp(ret_said->genesis, p->trust.genesis, sizeof p->trust.genesis) != 0 ||
        ret_said->expires_ms - ret_said->at_ms > RG_STATEMENT_LIFE_MS)
        return no(p, "one of its statements is none, or of another kind or cluster than its row");
    for (size_t i = 0; !err && i < by.n; i++) {
        bool root = memcmp(by.signatures[i].signer, p->root, sizeof p->root) == 0;
        const struct proved *who = root ? NULL : find(p, by.signatures[i].signer);
        unsigned role = rg_said_role(ret_said->kind);

        if (!root && who == NULL)
            return no(p, "one of its statements is signed by nobody that it knows");
        if (!root && !who->is) {
            *ret_yet = false;
            continue;
        }
        if (root ? role != RG_ROLE_OPERATORS : (who->op.roles & role) == 0 || ret_said->at_ms > who->op.expires_ms)
            return no(p, "one of its statements is signed by somebody who may not say it");
        err = rg_signed_verify(&by, i, root ? p->trust.root : who->op.public_key);
        if (err && err != RG_ENOMEM)
            err = no(p, "a signature of one of its statements is not of it");
    }
    return err;
}

/* --- operators --- */

static enum rg_err collect(struct proof *p)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_operator op;
    enum rg_err err = rg_operator_list(p->txn, &scan);

    RG_ASSERT(p->n == 0);
    while (!err && (err = rg_operator_next(&scan, &op)) == RG_OK) {
        if (p->n == RG_OPERATORS_ROOT_MAX)
            return no(p, "it has too many operators");
        p->operators[p->n].op = op;
        rg_sha256(op.public_key, p->operators[p->n].hash);
        p->n++;
    }
    RG_ASSERT(p->n <= RG_OPERATORS_ROOT_MAX);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* As the statement has it; rows have the same numbers and texts. */
static bool row_is(unsigned kind, const struct rg_statement *said, const struct rg_operator *op)
{
    uint8_t memory[512];
    struct rg_buf row;

    rg_buf_init_over(&row, memory, sizeof memory);
    rg_tlv_put(&row, RG_F_NAME, op->name);
    rg_tlv_put_u64(&row, RG_F_EXPIRES_MS, (uint64_t)op->expires_ms);
    rg_tlv_put(&row, RG_F_PUBLIC_KEY, op->public_key);
    rg_tlv_put_u64(&row, RG_F_ROLES, op->roles);
    RG_ASSERT(kind == RG_SAID_OPERATOR);
    RG_ASSERT(said->kind == kind);
    return row.err == RG_OK && rg_said_covers(kind, said->fields, rg_buf_span(&row));
}

/* The first one's row says what the GENESIS says of him. */
static bool is_first(const struct proof *p, const struct rg_operator *op)
{
    struct rg_span value;

    RG_ASSERT(p->said.kind == RG_SAID_GENESIS);
    RG_ASSERT(p->trust.statement.n > 0);
    return rg_span_eq(op->statement, p->trust.statement) && rg_tlv_get(p->said.fields, RG_F_PUBLIC_KEY, &value) &&
           rg_span_eq(value, op->public_key) && rg_tlv_get(p->said.fields, RG_F_NAME, &value) && rg_span_eq(value, op->name) &&
           rg_tlv_u64(p->said.fields, RG_F_ROLES, 0) == op->roles &&
           rg_tlv_u64(p->said.fields, RG_F_EXPIRES_MS, 0) == (uint64_t)op->expires_ms;
}

static enum rg_err prove(struct proof *p, struct proved *one)
{
    struct rg_statement said;
    bool yet = false;
    enum rg_err err = RG_OK;

    RG_ASSERT(!one->is);
    RG_ASSERT(one >= p->operators);
    RG_ASSERT(one < p->operators + p->n);
    if (is_first(p, &one->op)) {
        yet = true;
    } else {
        err = check_said(p, one->op.statement, RG_BIT(RG_SAID_OPERATOR), &said, &yet);
        if (!err && !row_is(RG_SAID_OPERATOR, &said, &one->op))
            err = no(p, "an operator's row is not what was said of him");
    }
    if (!err)
        one->is = yet;
    return err;
}

/* Round by round: who was let in by somebody that is proved is proved. Two who let each other in are not. */
static enum rg_err prove_operators(struct proof *p)
{
    size_t n_is = 0, before;
    enum rg_err err = RG_OK;

    do {
        before = n_is;
        for (size_t i = 0; !err && i < p->n; i++)
            if (!p->operators[i].is) {
                err = prove(p, &p->operators[i]);
                n_is += p->operators[i].is;
            }
    } while (!err && n_is > before);
    RG_ASSERT(n_is <= p->n);
    RG_ASSERT(err || n_is == before); /* the last round found nobody more */
    if (!err && n_is < p->n)
        err = no(p, "an operator goes back to nobody");
    return err;
}

/* Ended by a statement: whoever sends it can end nobody by himself. */
static enum rg_err prove_endings(struct proof *p)
{
    struct rg_statement said;
    struct rg_span name;
    bool yet;
    enum rg_err err = RG_OK;

    for (size_t i = 0; !err && i < p->n; i++) {
        const struct rg_operator *op = &p->operators[i].op;

        RG_ASSERT(p->operators[i].is);
        RG_ASSERT(i < RG_OPERATORS_ROOT_MAX);
        if (rg_operator_active(op)) {
            if (op->ending.n > 0)
                err = no(p, "an operator who was ended is not");
            continue;
        }
        err = check_said(p, op->ending, RG_BIT(RG_SAID_OPERATOR_END), &said, &yet);
        if (!err && (!rg_tlv_get(said.fields, RG_F_NAME, &name) || !rg_span_eq(name, op->name)))
            err = no(p, "an operator was ended by what is said of another");
    }
    return err;
}

/* --- rows --- */

/* The GENESIS found it, or a statement of these kinds made it. names: it names the row's region */
static enum rg_err prove_row(struct proof *p, struct rg_span key, struct rg_span row, uint32_t kinds)
{
    struct rg_span bytes;
    struct rg_statement said;
    bool yet;
    enum rg_err err;

    RG_ASSERT(key.n > 0);
    if (!rg_tlv_get(row, RG_F_STATEMENT, &bytes))
        return kept(p, key, row) ? RG_OK : RG_ENOTFOUND;
    err = check_said(p, bytes, kinds, &said, &yet);
    RG_ASSERT(err || yet); /* all of them are proved */
    if (!err && !rg_said_covers(said.kind, said.fields, row))
        err = no(p, "a row is not what was said of it");
    return err;
}

static bool same_place(struct rg_span a, struct rg_span b)
{
    static const uint32_t fields[] = {RG_F_NAME, RG_F_LINK, RG_F_URL};

    RG_ASSERT(a.n > 0);
    RG_ASSERT(b.p != NULL || b.n == 0);
    for (size_t i = 0; i < RG_LEN(fields); i++) {
        struct rg_span of_a, of_b;

        if (!rg_tlv_get(a, fields[i], &of_a) || !rg_tlv_get(b, fields[i], &of_b) || !rg_span_eq(of_a, of_b))
            return false;
    }
    return true;
}

/* Whose key was let in has a statement that names it; whoever only asks has his token's. */
static uint32_t node_kinds(struct rg_span row)
{
    struct rg_span admitted;

    RG_ASSERT(row.p != NULL || row.n == 0);
    _Static_assert(RG_SAID_ADMIT < 32 && RG_SAID_TOKEN < 32, "bits of a set");
    return rg_tlv_get(row, RG_F_ADMITTED, &admitted) ? RG_BIT(RG_SAID_ADMIT) : RG_BIT(RG_SAID_TOKEN) | RG_BIT(RG_SAID_ADMIT);
}

/* The line that it came back in, with a key that nobody had to let in, always at the same place, begins with one that the GENESIS found. */
static enum rg_err prove_node(struct proof *p, struct rg_span key, struct rg_span row)
{
    enum rg_err err = prove_row(p, key, row, node_kinds(row));

    RG_ASSERT(key.p[0] == RG_T_NODE);
    RG_ASSERT(row.p != NULL || row.n == 0);
    for (unsigned i = 0; err == RG_ENOTFOUND && i < RG_NODE_ID_MAX; i++) { /* rows that go in a circle come to an end as well */
        uint64_t old = rg_tlv_u64(row, RG_F_OLD_NODE_ID, 0);
        struct rg_rowkey before = rg_rowkey_u64(RG_T_NODE, old);
        struct rg_span older, admitted;

        if (old == 0 || rg_tlv_get(row, RG_F_ADMITTED, &admitted) || rg_row_get(p->txn, rg_rowkey_span(&before), &older) != RG_OK ||
            !same_place(row, older))
            break;
        row = older;
        err = prove_row(p, rg_rowkey_span(&before), row, node_kinds(row));
    }
    return err;
}

static enum rg_err prove_one(struct proof *p, struct rg_span key, struct rg_span row)
{
    uint8_t digest[RG_KEPT_BYTES];

    RG_ASSERT(key.n > 0);
    RG_ASSERT(row.p != NULL || row.n == 0);
    switch (key.p[0]) {
    case RG_T_REGION:
        return prove_row(p, key, row, RG_BIT(RG_SAID_REGION_ADD) | RG_BIT(RG_SAID_REGION_REMOVE));
    case RG_T_NODE:
        return prove_node(p, key, row);
    case RG_T_SETTING:
        return rg_trust_kept_row(key, row, digest) ? prove_row(p, key, row, RG_BIT(RG_SAID_SETTING)) : RG_OK;
    case RG_T_CREDENTIAL:
        return rg_trust_kept_row(key, row, digest) ? prove_row(p, key, row, RG_BIT(RG_SAID_CREDENTIAL)) : RG_OK;
    }
    return RG_OK;
}

static const char *noun_of(enum rg_table table)
{
    RG_ASSERT(table == RG_T_REGION || table == RG_T_NODE || table == RG_T_SETTING || table == RG_T_CREDENTIAL);
    return table == RG_T_REGION ? "region" : table == RG_T_NODE ? "node" : table == RG_T_SETTING ? "setting" : "credential";
}

static enum rg_err prove_table(struct proof *p, enum rg_table table)
{
    const struct rg_rowkey prefix = rg_rowkey_table(table);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, row;
    enum rg_err err = rg_scan_begin(p->txn, rg_rowkey_span(&prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(prefix.n == 1);
    while (!err && (err = rg_scan_next(&scan, &key, &row)) == RG_OK) {
        err = prove_one(p, key, row);
        if (err == RG_ENOTFOUND)
            return rg_fail(p->ctx, RG_EPEER, "it has a %s that nobody has signed for", noun_of(table));
    }
    RG_ASSERT(err != RG_OK);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* --- against what this node has --- */

/* Trust is not taken back, and ids that are gone stay gone, unless their node leads now. */
static enum rg_err check_against(struct proof *p, struct rg_txn *have, const struct rg_trust *mine)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err;

    RG_ASSERT(have != NULL);
    RG_ASSERT(mine->level == 2);
    if (p->trust.level < 2 || memcmp(p->trust.genesis, mine->genesis, sizeof mine->genesis) != 0)
        return no(p, "its trust begins otherwise than this node's");
    err = rg_node_row_list(have, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        if (rg_span_is(row.status, "FENCED") && !rg_node_row_gone(p->txn, row.id))
            return rg_fail(p->ctx, RG_EPEER, "it has node %" PRIu64 " again, which was replaced", row.id);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static enum rg_err prove_all(struct proof *p)
{
    static const enum rg_table tables[] = {RG_T_REGION, RG_T_NODE, RG_T_SETTING, RG_T_CREDENTIAL};
    enum rg_err err = check_genesis(p);

    if (!err)
        err = collect(p);
    if (!err)
        err = prove_operators(p);
    if (!err)
        err = prove_endings(p);
    for (size_t i = 0; !err && i < RG_LEN(tables); i++)
        err = prove_table(p, tables[i]);
    RG_ASSERT(err || p->n >= 1);
    RG_ASSERT(err || p->n <= RG_OPERATORS_ROOT_MAX);
    return err;
}

enum rg_err rg_trusted_check(struct rg_txn *state, struct rg_txn *have, struct rg_errctx *ctx)
{
    struct proof p = {.txn = state, .ctx = ctx};
    struct rg_trust mine = {.level = 1};
    enum rg_err err = have != NULL ? rg_trust_get(have, &mine) : RG_OK;

    RG_ASSERT(state != NULL);
    RG_ASSERT(state != have);
    if (!err || err == RG_ENOTFOUND)
        err = rg_trust_get(state, &p.trust);
    if (err == RG_ENOTFOUND && mine.level < 2) /* no instance yet: there is nothing to believe */
        return RG_OK;
    if (!err && mine.level == 2)
        err = check_against(&p, have, &mine);
    if (err || p.trust.level < 2)
        return err;
    p.operators = calloc(RG_OPERATORS_ROOT_MAX, sizeof *p.operators);
    err = p.operators != NULL ? prove_all(&p) : RG_ENOMEM;
    free(p.operators);
    return err;
}
