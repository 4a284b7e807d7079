/* Seeded properties of store/: random commands, right and wrong, against a simple model in this file.
 *
 *   the reply is the model's: same error, same reason
 *   a refused command changes nothing; the incremental hash is that of the rows
 *   every index has its row and every row its indexes
 *   the access check, and both lists, say what the model says
 *   the same log on a fresh store, in one transaction, gives the same rows byte for byte
 *   the same rows put in another order give the same hash
 *
 * prop_store [seed [steps]]; a failure prints RG_SEED=…, which reruns it. */
#include "store_world.h"
#include "store/model/request.h"
#include "tests/lib/tmpdir.h"

/* --- users and groups --- */

static struct thing *things(struct world *w, bool user, int *ret_n)
{
    *ret_n = user ? USERS : GROUPS;
    return user ? w->model.user : w->model.group;
}

static struct thing random_thing(struct world *w, bool user)
{
    struct thing t = {.exists = true, .name = pick(w, NAMES), .email = -1};

    if (user && chance(w, 60))
        t.email = pick(w, EMAILS);
    t.disabled = user && chance(w, 20);
    for (int i = 0; i < EXTS; i++)
        t.ext[i] = chance(w, 15);
    return t;
}

static void put_thing(struct world *w, bool user, int n, const struct thing *t)
{
    put_id(&w->cmd, RG_F_ID, id_of(user ? 'u' : 'g', n));
    put_name(w, RG_F_NAME, user ? "user" : "group", t->name, true);
    if (t->email >= 0)
        put_name(w, RG_F_EMAIL, "mail@", t->email, true);
    if (user && (t->disabled || chance(w, 50)))
        rg_tlv_put_str(&w->cmd, RG_F_STATUS, t->disabled ? "DISABLED" : "ENABLED");
    for (int i = 0; i < EXTS; i++) {
        char ext[16];
        int len = snprintf(ext, sizeof ext, "idp%d_%d", i % 2, i);

        ext[4] = '\0'; /* issuer 0x00 id */
        if (t->ext[i])
            rg_tlv_put(&w->cmd, RG_F_EXTERNAL_ID, rg_span(ext, (size_t)len));
    }
    if (chance(w, 30))
        rg_tlv_put_str(&w->cmd, 4000, "of a later release");
}

/* The first thing in the way of n being like t, in apply's order: name, address, external ids. */
static enum rg_why conflict(struct world *w, bool user, int n, const struct thing *t)
{
    enum rg_why email = RG_WHY_NONE, ext = RG_WHY_NONE;
    int count;
    struct thing *all = things(w, user, &count);

    for (int i = 0; i < count; i++) {
        if (i == n || !all[i].exists)
            continue;
        if (all[i].name == t->name)
            return user ? RG_WHY_USER_NAME : RG_WHY_GROUP_NAME;
        if (t->email >= 0 && all[i].email == t->email)
            email = RG_WHY_EMAIL;
        for (int k = 0; k < EXTS; k++)
            if (t->ext[k] && all[i].ext[k])
                ext = RG_WHY_EXTERNAL_ID;
    }
    return email != RG_WHY_NONE ? email : ext;
}

/* A version condition in a quarter of the commands, wrong in half of those. True: it is wrong. */
static bool put_version(struct world *w, uint64_t version)
{
    bool wrong = chance(w, 50);

    if (version == 0 || !chance(w, 25))
        return false;
    rg_tlv_put_u64(&w->cmd, RG_F_IF_VERSION, wrong ? version + 1 : version);
    return wrong;
}

static void do_create(struct world *w, bool user)
{
    int count;
    struct thing *all = things(w, user, &count);
    int n = pick(w, count);
    struct thing t = random_thing(w, user);
    enum rg_why why = conflict(w, user, n, &t);

    begin(w, user ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE);
    put_thing(w, user, n, &t);
    if (all[n].exists) {
        expect(w, RG_ECONFLICT, user ? RG_WHY_USER : RG_WHY_GROUP);
    } else if (why != RG_WHY_NONE) {
        expect(w, RG_ECONFLICT, why);
    } else {
        expect(w, RG_OK, RG_WHY_NONE);
        t.version = w->index;
        all[n] = t;
    }
}

static void do_replace(struct world *w, bool user)
{
    int count;
    struct thing *all = things(w, user, &count);
    int n = pick(w, count);
    struct thing t = random_thing(w, user);
    enum rg_why why = conflict(w, user, n, &t);
    bool stale;

    begin(w, user ? RG_CMD_USER_REPLACE : RG_CMD_GROUP_REPLACE);
    put_thing(w, user, n, &t);
    stale = put_version(w, all[n].version);
    if (!all[n].exists) {
        expect(w, RG_ENOTFOUND, user ? RG_WHY_USER : RG_WHY_GROUP);
    } else if (stale) {
        expect(w, RG_ESTALE, RG_WHY_VERSION);
        MUST(w->reply.version == all[n].version);
    } else if (why != RG_WHY_NONE) {
        expect(w, RG_ECONFLICT, why);
    } else {
        expect(w, RG_OK, RG_WHY_NONE);
        t.version = w->index;
        all[n] = t;
    }
}

static void forget(struct world *w, bool user, int n)
{
    struct model *m = &w->model;

    for (int i = 0; i < (user ? GROUPS : USERS); i++) {
        int *slot = user ? &m->member[i][n] : &m->member[n][i];

        if (*slot != 0)
            m->membership[*slot - 1] = false;
        *slot = 0;
    }
    for (int a = 0; a < ACCOUNTS; a++)
        for (int p = 0; p < PERMSETS; p++)
            *(user ? &m->user_has[a][p][n] : &m->group_has[a][p][n]) = false;
}

static void do_delete(struct world *w, bool user)
{
    int count;
    struct thing *all = things(w, user, &count);
    int n = pick(w, count);
    bool stale;

    begin(w, user ? RG_CMD_USER_DELETE : RG_CMD_GROUP_DELETE);
    put_id(&w->cmd, RG_F_ID, id_of(user ? 'u' : 'g', n));
    stale = put_version(w, all[n].version);
    if (!all[n].exists) {
        expect(w, RG_ENOTFOUND, user ? RG_WHY_USER : RG_WHY_GROUP);
    } else if (stale) {
        expect(w, RG_ESTALE, RG_WHY_VERSION);
    } else {
        expect(w, RG_OK, RG_WHY_NONE);
        all[n] = (struct thing){.exists = false};
        forget(w, user, n);
    }
}

/* --- memberships --- */

static void do_join(struct world *w)
{
    struct model *m = &w->model;
    int g = pick(w, GROUPS), u = pick(w, USERS), id = pick(w, MEMBERSHIPS);

    begin(w, RG_CMD_MEMBERSHIP_CREATE);
    put_id(&w->cmd, RG_F_MEMBERSHIP_ID, id_of('m', id));
    put_id(&w->cmd, RG_F_GROUP_ID, id_of('g', g));
    put_id(&w->cmd, RG_F_USER_ID, id_of('u', u));
    if (!m->group[g].exists) {
        expect(w, RG_ENOTFOUND, RG_WHY_GROUP);
    } else if (!m->user[u].exists) {
        expect(w, RG_ENOTFOUND, RG_WHY_USER);
    } else if (m->member[g][u] != 0 || m->membership[id]) {
        struct rg_uuid want = id_of('m', m->member[g][u] != 0 ? m->member[g][u] - 1 : id);

        expect(w, RG_ECONFLICT, RG_WHY_MEMBERSHIP);
        MUST(memcmp(&w->reply.id, &want, sizeof want) == 0);
    } else {
        expect(w, RG_OK, RG_WHY_NONE);
        m->member[g][u] = id + 1;
        m->membership[id] = true;
    }
}

static void do_leave(struct world *w)
{
    struct model *m = &w->model;
    int g = pick(w, GROUPS), u = pick(w, USERS), id = pick(w, MEMBERSHIPS);
    bool by_ends = chance(w, 50);

    begin(w, RG_CMD_MEMBERSHIP_DELETE);
    if (by_ends) {
        put_id(&w->cmd, RG_F_GROUP_ID, id_of('g', g));
        put_id(&w->cmd, RG_F_USER_ID, id_of('u', u));
    } else {
        put_id(&w->cmd, RG_F_MEMBERSHIP_ID, id_of('m', id));
    }
    if (by_ends ? m->member[g][u] == 0 : !m->membership[id]) {
        expect(w, RG_ENOTFOUND, RG_WHY_MEMBERSHIP);
        return;
    }
    expect(w, RG_OK, RG_WHY_NONE);
    if (by_ends)
        id = m->member[g][u] - 1;
    m->membership[id] = false;
    for (g = 0; g < GROUPS; g++)
        for (u = 0; u < USERS; u++)
            if (m->member[g][u] == id + 1)
                m->member[g][u] = 0;
}

/* --- sets, accounts, assignments --- */

static bool set_assigned(const struct model *m, int p)
{
    bool any = false;

    for (int a = 0; a < ACCOUNTS; a++) {
        for (int u = 0; u < USERS; u++)
            any |= m->user_has[a][p][u];
        for (int g = 0; g < GROUPS; g++)
            any |= m->group_has[a][p][g];
    }
    return any;
}

static bool account_assigned(const struct model *m, int a)
{
    bool any = false;

    for (int p = 0; p < PERMSETS; p++) {
        for (int u = 0; u < USERS; u++)
            any |= m->user_has[a][p][u];
        for (int g = 0; g < GROUPS; g++)
            any |= m->group_has[a][p][g];
    }
    return any;
}

static void do_permset_put(struct world *w, bool create)
{
    struct model *m = &w->model;
    int p = pick(w, PERMSETS), name = pick(w, PERMSETS + 2);
    bool taken = false, stale;

    for (int i = 0; i < PERMSETS; i++)
        taken |= i != p && m->permset[i].exists && m->permset[i].name == name;
    begin(w, create ? RG_CMD_PERMSET_CREATE : RG_CMD_PERMSET_REPLACE);
    put_psid(&w->cmd, RG_F_ID, psid_of(p));
    put_name(w, RG_F_NAME, "set", name, false);
    rg_tlv_put_str(&w->cmd, RG_F_MANAGED_POLICY, "arn:1");
    stale = !create && put_version(w, m->permset[p].exists ? m->permset[p].version : 0);
    if (m->permset[p].exists == create)
        expect(w, create ? RG_ECONFLICT : RG_ENOTFOUND, RG_WHY_PERMSET);
    else if (stale)
        expect(w, RG_ESTALE, RG_WHY_VERSION);
    else if (taken)
        expect(w, RG_ECONFLICT, RG_WHY_PERMSET_NAME);
    else
        expect(w, RG_OK, RG_WHY_NONE);
    if (w->reply.err == RG_OK) {
        m->permset[p].exists = true;
        m->permset[p].name = name;
        m->permset[p].version = w->index;
    }
}

static void do_permset_delete(struct world *w)
{
    struct model *m = &w->model;
    int p = pick(w, PERMSETS);

    begin(w, RG_CMD_PERMSET_DELETE);
    put_psid(&w->cmd, RG_F_ID, psid_of(p));
    if (!m->permset[p].exists)
        expect(w, RG_ENOTFOUND, RG_WHY_PERMSET);
    else if (set_assigned(m, p))
        expect(w, RG_ECONFLICT, RG_WHY_PERMSET_ASSIGNED);
    else
        expect(w, RG_OK, RG_WHY_NONE);
    if (w->reply.err == RG_OK)
        m->permset[p].exists = false;
}

static void do_account(struct world *w)
{
    struct model *m = &w->model;
    int a = pick(w, ACCOUNTS);
    bool put = chance(w, 60);

    begin(w, put ? RG_CMD_ACCOUNT_PUT : RG_CMD_ACCOUNT_DELETE);
    put_account(&w->cmd, a);
    if (put)
        expect(w, RG_OK, RG_WHY_NONE);
    else if (!m->account[a])
        expect(w, RG_ENOTFOUND, RG_WHY_ACCOUNT);
    else if (account_assigned(m, a))
        expect(w, RG_ECONFLICT, RG_WHY_ACCOUNT_ASSIGNED);
    else
        expect(w, RG_OK, RG_WHY_NONE);
    if (w->reply.err == RG_OK)
        m->account[a] = put;
}

static void do_assign(struct world *w, bool create)
{
    struct model *m = &w->model;
    int a = pick(w, ACCOUNTS), p = pick(w, PERMSETS), u = pick(w, USERS), g = pick(w, GROUPS);
    bool user = chance(w, 40), exists = user ? m->user[u].exists : m->group[g].exists;
    bool *has = user ? &m->user_has[a][p][u] : &m->group_has[a][p][g];
    struct rg_uuid request;

    rg_prng_bytes(&w->prng, request.b, sizeof request.b);
    begin(w, create ? RG_CMD_ASSIGNMENT_CREATE : RG_CMD_ASSIGNMENT_DELETE);
    put_account(&w->cmd, a);
    put_psid(&w->cmd, RG_F_PERMSET_ID, psid_of(p));
    rg_tlv_put_str(&w->cmd, RG_F_PRINCIPAL_TYPE, user ? "U" : "G");
    put_id(&w->cmd, RG_F_PRINCIPAL_ID, user ? id_of('u', u) : id_of('g', g));
    put_id(&w->cmd, RG_F_REQUEST_ID, request);
    if (!create) {
        expect(w, *has ? RG_OK : RG_ENOTFOUND, *has ? RG_WHY_NONE : RG_WHY_ASSIGNMENT);
        *has = false;
    } else if (!m->permset[p].exists) {
        expect(w, RG_ENOTFOUND, RG_WHY_PERMSET);
    } else if (!exists) {
        expect(w, RG_ENOTFOUND, user ? RG_WHY_USER : RG_WHY_GROUP);
    } else {
        expect(w, RG_OK, RG_WHY_NONE);
        MUST(w->reply.state[0] == *has);
        *has = true;
        m->account[a] = true;
    }
}

/* Broken forms of the command built last: applied to a transaction that is thrown away, since the model cannot know. */
static void do_mutant(struct world *w)
{
    struct rg_txn *txn = begin_txn(w, RG_TXN_WRITE);
    uint8_t hash[RG_STATE_HASH_BYTES];
    struct rg_applied before, after;
    struct rg_reply reply;
    enum rg_err err;

    for (int i = pick(w, 4); i >= 0 && w->cmd.len > 0; i--)
        w->cmd.data[pick(w, (int)w->cmd.len)] = (uint8_t)rg_prng_u64(&w->prng);
    if (chance(w, 30))
        w->cmd.len = (size_t)pick(w, (int)w->cmd.len + 1);
    rg_txn_applied(txn, &before);
    err = rg_fsm_apply(txn, w->index + 1, 1, rg_buf_span(&w->cmd), &reply);
    MUST(err == RG_OK);
    rg_txn_applied(txn, &after);
    MUST(reply.err == RG_OK || memcmp(before.hash, after.hash, sizeof after.hash) == 0);
    err = rg_store_rehash(txn, hash);
    MUST(err == RG_OK);
    MUST(memcmp(hash, after.hash, sizeof hash) == 0);
    rg_txn_free(txn);
}

static void do_step(struct world *w)
{
    int dice = pick(w, 100);

    if (dice < 14)
        do_create(w, true);
    else if (dice < 22)
        do_replace(w, true);
    else if (dice < 25)
        do_delete(w, true);
    else if (dice < 33)
        do_create(w, false);
    else if (dice < 38)
        do_replace(w, false);
    else if (dice < 40)
        do_delete(w, false);
    else if (dice < 58)
        do_join(w);
    else if (dice < 64)
        do_leave(w);
    else if (dice < 68)
        do_permset_put(w, true);
    else if (dice < 71)
        do_permset_put(w, false);
    else if (dice < 73)
        do_permset_delete(w);
    else if (dice < 77)
        do_account(w);
    else if (dice < 92)
        do_assign(w, true);
    else
        do_assign(w, false);
    do_mutant(w);
}

/* --- invariants --- */

static bool has_row(struct rg_txn *txn, const uint8_t *key, size_t n, const uint8_t *value, size_t value_n)
{
    struct rg_span got;
    enum rg_err err = rg_row_get(txn, rg_span(key, n), &got);

    MUST(err == RG_OK || err == RG_ENOTFOUND);
    return err == RG_OK && (value == NULL || rg_span_eq(got, rg_span(value, value_n)));
}

/* Each row of an index has its object, each object its index rows, from the layout of store/db/schema.h alone. */
static void check_row(struct rg_txn *txn, struct rg_span key, struct rg_span value, unsigned tables[256])
{
    uint8_t other[64];
    struct rg_request_status status;
    struct rg_uuid id;
    enum rg_err err;

    tables[key.p[0]]++;
    switch (key.p[0]) {
    case 'm': /* m id → g u; a g u → id; b u g */
        MUST(key.n == 17 && value.n == 32);
        other[0] = 'a';
        memcpy(other + 1, value.p, 32);
        MUST(has_row(txn, other, 33, key.p + 1, 16));
        other[0] = 'b';
        memcpy(other + 1, value.p + 16, 16);
        memcpy(other + 17, value.p, 16);
        MUST(has_row(txn, other, 33, NULL, 0));
        break;
    case 'a':
        other[0] = 'm';
        memcpy(other + 1, value.p, 16);
        MUST(key.n == 33 && value.n == 16 && has_row(txn, other, 17, key.p + 1, 32));
        break;
    case 'b':
        other[0] = 'a';
        memcpy(other + 1, key.p + 17, 16);
        memcpy(other + 17, key.p + 1, 16);
        MUST(key.n == 33 && value.n == 0 && has_row(txn, other, 33, NULL, 0));
        break;
    case 's': /* s acct ps type id; t type id acct ps; w ps acct type id */
        MUST(key.n == 38);
        other[0] = 't';
        memcpy(other + 1, key.p + 21, 17);
        memcpy(other + 18, key.p + 1, 20);
        MUST(has_row(txn, other, 38, NULL, 0));
        other[0] = 'w';
        memcpy(other + 1, key.p + 13, 8);
        memcpy(other + 9, key.p + 1, 12);
        memcpy(other + 21, key.p + 21, 17);
        MUST(has_row(txn, other, 38, NULL, 0));
        other[0] = key.p[21] == 'G' ? 'g' : 'u';
        memcpy(other + 1, key.p + 22, 16);
        MUST(has_row(txn, other, 17, NULL, 0));
        other[0] = 'p';
        memcpy(other + 1, key.p + 13, 8);
        MUST(has_row(txn, other, 9, NULL, 0));
        other[0] = 'c';
        memcpy(other + 1, key.p + 1, 12);
        MUST(has_row(txn, other, 13, NULL, 0));
        break;
    case 'n':
    case 'e':
    case 'x':
    case 'h':
    case 'y':
        other[0] = key.p[0] == 'h' || key.p[0] == 'y' ? 'g' : 'u';
        memcpy(other + 1, value.p, 16);
        MUST(value.n == 16 && has_row(txn, other, 17, NULL, 0));
        break;
    case 'q':
        other[0] = 'p';
        memcpy(other + 1, value.p, 8);
        MUST(value.n == 8 && has_row(txn, other, 9, NULL, 0));
        break;
    case 'z':
        other[0] = 'r';
        memcpy(other + 1, value.p, 17);
        MUST(key.n == 9 && value.n == 17 && has_row(txn, other, 18, NULL, 0));
        break;
    case 'r':
        memcpy(id.b, key.p + 2, 16);
        err = rg_request_status_get(txn, key.p[1] == 'd', &id, &status);
        MUST(err == RG_OK && memcmp(&status.id, &id, sizeof id) == 0);
        break;
    default:
        break;
    }
}

static void check_rows(struct world *w)
{
    struct rg_txn *txn = begin_txn(w, RG_TXN_READ);
    uint8_t hash[RG_STATE_HASH_BYTES];
    unsigned tables[256] = {0}, exts = 0, emails = 0;
    struct rg_applied applied;
    struct rg_counts counts;
    struct rg_span key, value;
    struct rg_scan scan;
    uint64_t rows = 0;
    enum rg_err err = rg_scan_begin(txn, rg_span(NULL, 0), rg_span(NULL, 0), &scan);

    MUST(err == RG_OK);
    for (; (err = rg_scan_next(&scan, &key, &value)) == RG_OK; rows++)
        check_row(txn, key, value, tables);
    MUST(err == RG_ENOTFOUND);
    rg_txn_applied(txn, &applied);
    rg_txn_counts(txn, &counts);
    err = rg_store_rehash(txn, hash);
    MUST(err == RG_OK && memcmp(hash, applied.hash, sizeof hash) == 0);
    MUST(rows == applied.rows);
    MUST(counts.users == tables['u'] && counts.groups == tables['g'] && counts.memberships == tables['m']);
    MUST(counts.permsets == tables['p'] && counts.accounts == tables['c'] && counts.assignments == tables['s']);
    MUST(counts.requests == tables['z'] && tables['z'] == tables['r']);
    MUST(tables['a'] == tables['m'] && tables['b'] == tables['m']);
    MUST(tables['t'] == tables['s'] && tables['w'] == tables['s']);
    MUST(tables['n'] == tables['u'] && tables['h'] == tables['g'] && tables['q'] == tables['p']);
    for (int u = 0; u < USERS; u++) {
        emails += w->model.user[u].exists && w->model.user[u].email >= 0;
        for (int i = 0; i < EXTS; i++)
            exts += w->model.user[u].exists && w->model.user[u].ext[i];
    }
    MUST(tables['x'] == exts && tables['e'] == emails);
    rg_txn_free(txn);
}

static bool model_access(const struct model *m, int u, int a, int p, unsigned *ret_ways)
{
    unsigned ways = m->user_has[a][p][u];

    for (int g = 0; g < GROUPS; g++)
        ways += m->member[g][u] != 0 && m->group_has[a][p][g];
    *ret_ways = ways;
    return ways > 0 && m->user[u].exists && !m->user[u].disabled;
}

static void check_access_of(struct world *w, struct rg_txn *txn, int u)
{
    const struct rg_uuid id = id_of('u', u);
    struct rg_grant *grants;
    size_t n, want = 0;
    enum rg_err err;

    for (int a = 0; a < ACCOUNTS; a++) {
        for (int p = 0; p < PERMSETS; p++) {
            const struct rg_psid permset = psid_of(p);
            struct rg_verdict v;
            char account[13];
            unsigned ways;
            bool allowed = model_access(&w->model, u, a, p, &ways);

            account_of(a, account);
            err = rg_access_check(txn, &id, rg_span_str(account), &permset, &v);
            MUST(err == RG_OK && v.allowed == allowed);
            MUST(!allowed || v.n_via == ways);
            MUST((v.reason == RG_ACCESS_NO_USER) == !w->model.user[u].exists);
            want += allowed;
        }
    }
    err = rg_access_of(txn, &id, 1000, &grants, &n);
    MUST(err == (w->model.user[u].exists ? RG_OK : RG_ENOTFOUND));
    if (err)
        return;
    MUST(n == want);
    for (size_t i = 1; i < n; i++)
        MUST(memcmp(&grants[i - 1], &grants[i], sizeof *grants) < 0);
    free(grants);
}

static void check_who(struct world *w, struct rg_txn *txn, int a, int p)
{
    const struct rg_psid permset = psid_of(p);
    struct rg_uuid *users;
    char account[13];
    unsigned ways;
    size_t n, want = 0;
    enum rg_err err;

    account_of(a, account);
    err = rg_access_who(txn, rg_span_str(account), &permset, 100, &users, &n);
    MUST(err == (w->model.account[a] && w->model.permset[p].exists ? RG_OK : RG_ENOTFOUND));
    if (err)
        return;
    for (int u = 0; u < USERS; u++)
        want += model_access(&w->model, u, a, p, &ways);
    MUST(n == want);
    free(users);
}

static void check_access(struct world *w)
{
    struct rg_txn *txn = begin_txn(w, RG_TXN_READ);

    for (int u = 0; u < USERS; u++)
        check_access_of(w, txn, u);
    for (int a = 0; a < ACCOUNTS; a++)
        for (int p = 0; p < PERMSETS; p++)
            check_who(w, txn, a, p);
    rg_txn_free(txn);
}

/* --- whole runs --- */

static struct rg_store *open_store(char dir[TMPDIR_BYTES])
{
    struct rg_errctx ctx = {{0}};
    struct rg_store *store;
    enum rg_err err;

    tmpdir_make(dir);
    err = rg_store_open(dir, MAP_BYTES, 8, &store, &ctx);
    if (err)
        fprintf(stderr, "%s\n", rg_errctx_text(&ctx, err));
    MUST(err == RG_OK);
    return store;
}

static void close_store(struct rg_store *store, const char *dir)
{
    rg_store_free(store);
    MUST(rmdir(dir) == 0);
}

static void same_rows(struct rg_txn *a, struct rg_txn *b)
{
    struct rg_span ka, va, kb, vb;
    struct rg_scan sa, sb;
    enum rg_err ea = rg_scan_begin(a, rg_span(NULL, 0), rg_span(NULL, 0), &sa);
    enum rg_err eb = rg_scan_begin(b, rg_span(NULL, 0), rg_span(NULL, 0), &sb);

    MUST(ea == RG_OK && eb == RG_OK);
    do {
        ea = rg_scan_next(&sa, &ka, &va);
        eb = rg_scan_next(&sb, &kb, &vb);
        MUST(ea == eb);
        MUST(ea != RG_OK || (rg_span_eq(ka, kb) && rg_span_eq(va, vb)));
    } while (ea == RG_OK);
}

/* The log again, in one transaction on a fresh store. */
static void check_replay(struct world *w)
{
    struct rg_applied applied, again;
    struct rg_reply reply;
    struct rg_cursor cur;
    struct rg_txn *txn, *live;
    struct rg_store *store;
    uint64_t index = 0;
    char dir[TMPDIR_BYTES];
    enum rg_err err;

    store = open_store(dir);
    err = rg_txn_begin(store, RG_TXN_WRITE, &txn);
    MUST(err == RG_OK);
    rg_cursor_init(&cur, rg_buf_span(&w->log));
    while (rg_cursor_left(&cur) > 0) {
        struct rg_span cmd = rg_cursor_bytes(&cur, rg_cursor_u32(&cur));

        err = rg_fsm_apply(txn, ++index, 1, cmd, &reply);
        MUST(err == RG_OK && !cur.bad);
    }
    live = begin_txn(w, RG_TXN_READ);
    rg_txn_applied(live, &applied);
    rg_txn_applied(txn, &again);
    MUST(memcmp(&applied, &again, sizeof applied) == 0);
    same_rows(live, txn);
    rg_txn_free(live);
    rg_txn_free(txn);
    close_store(store, dir);
}

/* The rows in a random order, with rows that come and go between them. */
static void check_order(struct world *w)
{
    enum { ROWS_MAX = 20000 };
    static struct rg_span keys[ROWS_MAX], values[ROWS_MAX];
    struct rg_txn *live = begin_txn(w, RG_TXN_READ), *txn;
    struct rg_applied applied, again;
    struct rg_store *store;
    struct rg_scan scan;
    char dir[TMPDIR_BYTES];
    size_t n = 0;
    enum rg_err err = rg_scan_begin(live, rg_span(NULL, 0), rg_span(NULL, 0), &scan);

    MUST(err == RG_OK);
    while (n < ROWS_MAX && rg_scan_next(&scan, &keys[n], &values[n]) == RG_OK)
        n++;
    rg_scan_end(&scan);
    MUST(n < ROWS_MAX);
    store = open_store(dir);
    err = rg_txn_begin(store, RG_TXN_WRITE, &txn);
    MUST(err == RG_OK);
    for (size_t i = n; i > 0; i--) {
        size_t k = (size_t)pick(w, (int)i);
        struct rg_span key = keys[k], value = values[k];

        keys[k] = keys[i - 1];
        values[k] = values[i - 1];
        if (chance(w, 20))
            err = rg_row_put(txn, key, rg_span_str("something else"));
        MUST(err == RG_OK);
        err = rg_row_put(txn, key, value);
        MUST(err == RG_OK);
        if (chance(w, 20)) {
            err = rg_row_put(txn, rg_span_str("~"), rg_span(&k, sizeof k));
            MUST(err == RG_OK);
            err = rg_row_delete(txn, rg_span_str("~"));
        }
        MUST(err == RG_OK);
    }
    rg_txn_applied(live, &applied);
    rg_txn_applied(txn, &again);
    MUST(memcmp(applied.hash, again.hash, sizeof again.hash) == 0 && applied.rows == again.rows);
    same_rows(live, txn);
    rg_txn_free(live);
    rg_txn_free(txn);
    close_store(store, dir);
}

static void run(uint64_t with_seed, int steps)
{
    static struct world w;
    char dir[TMPDIR_BYTES];

    seed = with_seed;
    step = 0;
    memset(&w, 0, sizeof w);
    rg_prng_init(&w.prng, seed);
    rg_buf_init(&w.cmd, RG_CMD_BYTES_MAX);
    rg_buf_init(&w.log, (size_t)64 << 20);
    w.store = open_store(dir);
    begin(&w, RG_CMD_USER_CREATE);
    expect(&w, RG_EUNREADY, RG_WHY_NOT_INIT);
    begin(&w, RG_CMD_INSTANCE_INIT);
    rg_tlv_put_str(&w.cmd, RG_F_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0123456789abcdef");
    rg_tlv_put_str(&w.cmd, RG_F_IDENTITY_STORE_ID, "d-0123456789");
    expect(&w, RG_OK, RG_WHY_NONE);
    for (step = 1; step <= steps; step++) {
        do_step(&w);
        if (step % 20 == 0)
            check_rows(&w);
        if (step % 50 == 0)
            check_access(&w);
    }
    check_replay(&w);
    check_order(&w);
    close_store(w.store, dir);
    rg_buf_deinit(&w.cmd);
    rg_buf_deinit(&w.log);
}

int main(int argc, char **argv)
{
    const char *given = argc > 1 ? argv[1] : getenv("RG_SEED");
    int steps = argc > 2 ? atoi(argv[2]) : 1000;

    tmpdir_guard(NULL);
    if (given != NULL) {
        run(strtoull(given, NULL, 10), steps);
        return 0;
    }
    for (uint64_t s = 1; s <= 6; s++)
        run(s, steps);
    printf("prop_store: 6 seeds of %d steps\n", steps);
    return 0;
}
