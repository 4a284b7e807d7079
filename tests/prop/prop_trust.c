/* Seeded property of trust level 2: random statements, right and wrong, by anybody, at any time and again, against a simple model.
 *
 *   the reply is the model's
 *   a refused command changes nothing
 *   two replicas have the same state after each
 *   whatever was taken proves itself to the other replica when it is loaded
 *
 * prop_trust [seed [steps]]; a failure prints RG_SEED=…, which reruns it. */
#include <inttypes.h>

#include "crypto/digest.h"
#include "store/authz/trusted.h"
#include "tests/lib/trust_rig.h"

enum { NAMES = 12, PEOPLE = 48, STATEMENTS = 64, MINUTE = 60000 };

static uint64_t seed;
static int step;
static struct rg_prng prng;
static struct fix a, b;
static uint8_t genesis[32];

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "RG_SEED=%" PRIu64 " step %d: %s:%d: %s\n", seed, step, __FILE__, __LINE__, #cond);        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

/* --- the model --- */

struct person {
    bool exists, active;
    int name;
    unsigned roles;
    int64_t expires_ms;
};
struct made {
    unsigned kind; /* as it says; 0: there is none */
    bool foreign;  /* of another cluster, or another GENESIS */
    bool broken;   /* the first signature */
    bool used;
    int64_t at_ms, expires_ms;
    int signers[TRUST_SIGNERS], name, key, regions;
    unsigned roles;
    int64_t until_ms;
    size_t n;
    uint8_t bytes[2048];
    size_t len;
};
static struct person people[PEOPLE];
static struct made made[STATEMENTS];
static int64_t clock_ms;
static unsigned between, ahead; /* refused for a key that ends between command and statement; taken of a clock that is ahead */

static int pick(int n) { return (int)rg_prng_below(&prng, (uint64_t)n); }
static bool chance(int percent) { return pick(100) < percent; }

/* In the order of their keys' hashes, as they stand. */
static void sort_signers(struct made *m)
{
    uint8_t h[2][32];

    for (size_t i = 0; i < m->n; i++)
        for (size_t k = i + 1; k < m->n; k++) {
            int t = m->signers[i];

            rg_sha256(rg_es256_spki(trust_key(m->signers[i])), h[0]);
            rg_sha256(rg_es256_spki(trust_key(m->signers[k])), h[1]);
            if (memcmp(h[0], h[1], 32) > 0) {
                m->signers[i] = m->signers[k];
                m->signers[k] = t;
            }
        }
}

static enum rg_err check_signer(const struct made *m, size_t i, int64_t at_ms)
{
    int key = m->signers[i];
    unsigned role = m->kind == RG_SAID_SETTING ? RG_ROLE_SETTINGS : RG_ROLE_OPERATORS;
    const struct person *p = &people[key];

    if (key == TRUST_ROOT) {
        if (role != RG_ROLE_OPERATORS)
            return RG_EDENIED;
    } else if (!p->exists) {
        return RG_EBADSIG;
    } else if (!p->active || (p->roles & role) == 0) {
        return RG_EDENIED;
    } else if (p->expires_ms < at_ms || p->expires_ms < m->at_ms) {
        between += at_ms <= p->expires_ms;
        return RG_EEXPIRED;
    }
    return m->broken && i == 0 ? RG_EBADSIG : RG_OK;
}

static enum rg_err check_said(const struct made *m, unsigned kind, int64_t at_ms)
{
    enum rg_err err = RG_OK;

    if (m->kind == 0)
        return RG_ESTATEMENT;
    if (m->kind != kind || m->foreign)
        return RG_EINVALID;
    if (m->expires_ms - m->at_ms > RG_STATEMENT_LIFE_MS)
        return RG_EINVALID;
    if (at_ms > m->expires_ms || at_ms < m->at_ms - 5 * MINUTE || at_ms < clock_ms - 5 * MINUTE)
        return RG_EEXPIRED;
    if (m->used)
        return RG_ECONFLICT;
    for (size_t i = 0; !err && i < m->n; i++)
        err = check_signer(m, i, at_ms);
    return err;
}

static int named(int name)
{
    for (int k = 1; k < PEOPLE; k++)
        if (people[k].active && people[k].name == name)
            return k;
    return 0;
}

/* What becomes of a command; regions: a setting's own. */
static enum rg_err expect(const struct made *m, enum rg_cmd_kind cmd, int regions, int64_t at_ms)
{
    static const unsigned said[] = {RG_SAID_SETTING, RG_SAID_OPERATOR, RG_SAID_OPERATOR_END};
    unsigned kind = said[cmd == RG_CMD_SETTING_PUT ? 0 : cmd == RG_CMD_OPERATOR_PUT ? 1 : 2];
    enum rg_err err = check_said(m, kind, at_ms);

    if (err)
        return err;
    if (cmd == RG_CMD_SETTING_PUT)
        return regions == m->regions ? RG_OK : RG_EINVALID;
    if (cmd == RG_CMD_OPERATOR_END)
        return named(m->name) != 0 ? RG_OK : RG_ENOTFOUND;
    if (m->roles == 0)
        return RG_EMALFORMED;
    if (m->key == TRUST_ROOT)
        return RG_EINVALID;
    return people[m->key].exists || named(m->name) != 0 ? RG_ECONFLICT : RG_OK;
}

static void take(struct made *m, enum rg_cmd_kind cmd, int64_t at_ms)
{
    m->used = true;
    clock_ms = RG_MAX(clock_ms, at_ms);
    if (cmd == RG_CMD_OPERATOR_PUT)
        people[m->key] = (struct person){.exists = true, .active = true, .name = m->name, .roles = m->roles, .expires_ms = m->until_ms};
    else if (cmd == RG_CMD_OPERATOR_END)
        people[named(m->name)].active = false;
}

/* --- what is said --- */

/* An operator, most likely. */
static int somebody(void)
{
    for (int i = 0; i < 4 * PEOPLE; i++) {
        int k = pick(PEOPLE);

        if (people[k].active)
            return k;
    }
    return 1;
}

/* Whose key ends before the clock that is most ahead says; 0: nobody's. */
static int ends_soon(int64_t now)
{
    for (int i = 0, k = pick(PEOPLE); i < PEOPLE; i++, k = (k + 1) % PEOPLE)
        if (people[k].active && people[k].expires_ms >= now && people[k].expires_ms < now + 5 * MINUTE)
            return k;
    return 0;
}

/* By clocks that differ; some begin about when the key of whoever signs them ends. */
static int64_t begins(struct made *m, int64_t now)
{
    int k = chance(50) ? ends_soon(now) : 0;

    if (k == 0)
        return now + (chance(10) ? pick(40 * MINUTE) - 20 * MINUTE : chance(20) ? pick(6 * MINUTE) : 0);
    m->signers[0] = k;
    m->n = 1;
    m->foreign = m->broken = false;
    if (people[k].roles & RG_ROLE_SETTINGS) /* that may say it */
        m->kind = RG_SAID_SETTING;
    return people[k].expires_ms + pick(3) - 1;
}

static void say(struct made *m, int64_t now)
{
    static const unsigned kinds[] = {RG_SAID_SETTING,  RG_SAID_SETTING,  RG_SAID_SETTING,
                                     RG_SAID_OPERATOR, RG_SAID_OPERATOR, RG_SAID_OPERATOR_END};
    struct trust_saying s = {.genesis = genesis, .nonce = rg_prng_u64(&prng)};
    RG_AUTO_BUF struct rg_buf fields = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    uint8_t other[32] = {9};
    char name[16];

    *m = (struct made){.kind = kinds[pick((int)RG_LEN(kinds))], .foreign = chance(5), .broken = chance(5), .name = pick(NAMES),
                       .key = pick(PEOPLE),
                       .regions = pick(3), .roles = (unsigned)pick(8), .n = (size_t)(chance(80) ? 1 : 1 + pick(TRUST_SIGNERS))};
    for (size_t i = 0; i < m->n; i++) {
        bool again;

        do {
            m->signers[i] = chance(60) ? somebody() : pick(PEOPLE);
            again = false;
            for (size_t k = 0; k < i; k++)
                again |= m->signers[k] == m->signers[i];
        } while (again);
    }
    m->at_ms = begins(m, now);
    m->expires_ms = m->at_ms + (chance(5) ? RG_STATEMENT_LIFE_MS + 1 : 1 + pick(60 * MINUTE));
    m->until_ms = now + (chance(30) ? 1 + pick(10 * MINUTE) : INT64_C(365) * 1440 * MINUTE);
    sort_signers(m);
    snprintf(name, sizeof name, "name%d", m->name);
    rg_buf_init(&fields, 1024);
    rg_buf_init(&out, sizeof m->bytes);
    if (m->kind == RG_SAID_OPERATOR) {
        trust_operator_fields(&fields, name, m->key, m->roles, m->until_ms);
    } else if (m->kind == RG_SAID_OPERATOR_END) {
        rg_tlv_put_str(&fields, RG_F_NAME, name);
    } else {
        rg_tlv_put_str(&fields, RG_F_NAME, "durability");
        rg_tlv_put_u64(&fields, RG_F_REGIONS, (uint64_t)m->regions);
        rg_tlv_put_str(&fields, RG_F_ON_SHORTAGE, "refuse");
    }
    s.kind = m->kind;
    s.fields = rg_buf_span(&fields);
    s.at_ms = m->at_ms;
    s.expires_ms = m->expires_ms;
    if (m->foreign && chance(50))
        s.cluster = "another";
    else if (m->foreign)
        s.genesis = other;
    s.n = m->n;
    memcpy(s.signers, m->signers, sizeof s.signers);
    trust_say(&s, &out);
    if (m->broken) /* each signature takes 98 bytes: the last of the first's */
        out.data[out.len - 98 * (m->n - 1) - 1] ^= 1;
    MUST(out.len <= sizeof m->bytes);
    memcpy(m->bytes, out.data, out.len);
    m->len = out.len;
}

/* --- replicas --- */

static enum rg_err apply(struct fix *f, uint8_t ret_hash[RG_STATE_HASH_BYTES])
{
    struct rg_txn *txn;

    MUST(rg_txn_begin(f->store, RG_TXN_WRITE, &txn) == RG_OK);
    MUST(rg_fsm_apply(txn, ++f->index, 1, rg_buf_span(&a.cmd), &f->reply) == RG_OK);
    MUST(rg_txn_commit(txn) == RG_OK);
    fix_hash(f, ret_hash);
    return f->reply.err;
}

static void prove(void)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn = fix_read(&a), *have = fix_read(&b);
    enum rg_err err = rg_trusted_check(txn, have, &ctx);

    if (err)
        fprintf(stderr, "%s\n", rg_errctx_text(&ctx, err));
    MUST(err == RG_OK);
    rg_txn_free(txn);
    rg_txn_free(have);
}

static void one(int64_t *now, unsigned *taken)
{
    static const enum rg_cmd_kind kinds[] = {RG_CMD_SETTING_PUT, RG_CMD_OPERATOR_PUT, RG_CMD_OPERATOR_END};
    struct made *m = &made[pick(STATEMENTS)], none = {.kind = 0};
    uint8_t before[RG_STATE_HASH_BYTES], after[2][RG_STATE_HASH_BYTES];
    enum rg_cmd_kind cmd;
    enum rg_err want, err;
    int regions;

    *now += chance(1) ? pick(600 * MINUTE) : pick(20000);
    if (chance(60) || m->kind == 0)
        say(m, *now);
    a.at_ms = *now - (chance(10) ? pick(12 * MINUTE) : 0);
    if (chance(4))
        m = &none;
    cmd = kinds[m->kind == RG_SAID_SETTING ? 0 : m->kind == RG_SAID_OPERATOR ? 1 : 2];
    if (chance(5))
        cmd = kinds[pick(3)];
    regions = chance(90) ? m->regions : pick(3);
    rg_cmd_begin(&a.cmd, cmd, a.at_ms, rg_span_str("liar"));
    if (cmd == RG_CMD_SETTING_PUT) {
        rg_tlv_put_str(&a.cmd, RG_F_NAME, "durability");
        rg_tlv_put_u64(&a.cmd, RG_F_REGIONS, (uint64_t)regions);
        rg_tlv_put_str(&a.cmd, RG_F_ON_SHORTAGE, "refuse");
    }
    if (m->kind != 0)
        rg_tlv_put(&a.cmd, RG_F_STATEMENT, rg_span(m->bytes, m->len));
    want = expect(m, cmd, regions, a.at_ms);
    fix_hash(&a, before);
    err = apply(&a, after[0]);
    MUST(apply(&b, after[1]) == err);
    if (err != want)
        fprintf(stderr, "%s: %s, not %s\n", rg_cmd_kind_name(cmd), rg_err_symbol(err), rg_err_symbol(want));
    MUST(err == want);
    MUST(memcmp(after[0], after[1], sizeof before) == 0);
    MUST((memcmp(before, after[0], sizeof before) == 0) == (err != RG_OK));
    if (err)
        return;
    take(m, cmd, a.at_ms);
    ++*taken;
    if (m->at_ms > a.at_ms) { /* at once: the next one may be about the same row */
        ahead++;
        prove();
    }
}

static int steps;

/* The rigs are for Check's tests: it is one. */
START_TEST(statements)
{
    uint8_t hash[RG_STATE_HASH_BYTES];
    struct rg_trust trust;
    struct rg_txn *txn;
    unsigned taken = 0;
    int64_t now;

    rg_prng_init(&prng, seed);
    fix_open(&a);
    fix_open(&b);
    fix_must(&a, RG_CMD_INSTANCE_INIT, FIX_INIT);
    fix_must(&b, RG_CMD_INSTANCE_INIT, FIX_INIT);
    trust_begin_cmd(&a);
    now = clock_ms = a.at_ms;
    MUST(apply(&a, hash) == RG_OK);
    MUST(apply(&b, hash) == RG_OK);
    txn = fix_read(&a);
    MUST(rg_trust_get(txn, &trust) == RG_OK);
    memcpy(genesis, trust.genesis, sizeof genesis);
    rg_txn_free(txn);
    people[1] = (struct person){.exists = true, .active = true, .name = -1, .roles = RG_ROLES_ALL,
                                .expires_ms = now + INT64_C(365) * 86400000};
    for (step = 0; step < steps; step++) {
        one(&now, &taken);
        if (step % 50 == 0)
            prove();
    }
    prove();
    fix_check_hash(&a);
    fix_close(&a);
    fix_close(&b);
    printf("%d statements, %u taken, %u of a clock ahead, %u keys that end between, seed %" PRIu64 "\n", steps, taken, ahead, between, seed);
    MUST(taken > (unsigned)steps / 30);
    MUST(seed != 1 || steps < 1500 || (ahead > 10 && between > 3)); /* both come up */
}
END_TEST

int main(int argc, char **argv)
{
    Suite *suite = suite_create("trust");
    TCase *tc = tcase_create("statements");
    SRunner *runner = srunner_create(suite);
    int failed;

    seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    steps = argc > 2 ? atoi(argv[2]) : 1500;
    tcase_add_test(tc, statements);
    suite_add_tcase(suite, tc);
    srunner_set_fork_status(runner, CK_NOFORK);
    srunner_run_all(runner, CK_MINIMAL);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
