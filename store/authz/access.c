#include "store/authz/access.h"

#include "store/db/rowkey.h"

enum { GATHER_SLACK = 1024, PRINCIPALS_MAX = 1 << 20 };

const char *rg_access_reason_name(enum rg_access_reason reason)
{
    switch (reason) {
    case RG_ACCESS_GRANTED:
        return "Granted";
    case RG_ACCESS_NO_USER:
        return "UserNotFound";
    case RG_ACCESS_USER_DISABLED:
        return "UserDisabled";
    case RG_ACCESS_NO_ACCOUNT:
        return "AccountNotFound";
    case RG_ACCESS_NO_PERMSET:
        return "PermissionSetNotFound";
    case RG_ACCESS_NOT_ASSIGNED:
        return "NotAssigned";
    }
    return "?";
}

/* --- small reads --- */

static enum rg_err exists(struct rg_txn *txn, const struct rg_rowkey *key, bool *ret_exists)
{
    struct rg_span row;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(key), &row);

    RG_ASSERT(key->n > 1);
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    *ret_exists = err == RG_OK;
    return RG_OK;
}

/* RG_ENOTFOUND when there is no such user. */
static enum rg_err user_enabled(struct rg_txn *txn, const struct rg_uuid *id, bool *ret_enabled)
{
    const struct rg_rowkey key = rg_rowkey_id(RG_T_USER, id);
    struct rg_span row, status;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(&key), &row);

    RG_ASSERT(ret_enabled != NULL);
    if (err)
        return err;
    (void)rg_tlv_get(row, RG_F_STATUS, &status);
    *ret_enabled = !rg_span_is(status, "DISABLED");
    return RG_OK;
}

/* acct, ps, then the principal type: what precedes the ids in the table of assignments. */
static struct rg_rowkey assigned_prefix(struct rg_span account_id, const struct rg_psid *permset, char principal_type)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN);

    RG_ASSERT(principal_type == 'G' || principal_type == 'U');
    RG_ASSERT(account_id.n == RG_ACCT_BYTES);
    RG_ASSERT(permset != NULL);
    rg_rowkey_put(&key, account_id.p, RG_ACCT_BYTES);
    rg_rowkey_put(&key, permset->b, RG_PSID_BYTES);
    rg_rowkey_put(&key, &principal_type, 1);
    RG_ASSERT(key.n == RG_ASSIGN_KEY_BYTES - RG_ID_BYTES);
    return key;
}

/* --- check --- */

/* What stands in the way before any assignment counts; RG_ACCESS_GRANTED when nothing does. */
static enum rg_err check_parties(struct rg_txn *txn, const struct rg_uuid *user_id, struct rg_span account_id,
                                 const struct rg_psid *permset, enum rg_access_reason *ret_reason)
{
    RG_UNINIT struct rg_rowkey key;
    bool enabled = false, found;
    enum rg_err err = user_enabled(txn, user_id, &enabled);

    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    if (err == RG_ENOTFOUND || !enabled) {
        *ret_reason = err == RG_ENOTFOUND ? RG_ACCESS_NO_USER : RG_ACCESS_USER_DISABLED;
        return RG_OK;
    }
    *ret_reason = RG_ACCESS_NO_ACCOUNT;
    if (!rg_account_id_ok(account_id))
        return RG_OK;
    key = rg_rowkey_account((const char *)account_id.p);
    err = exists(txn, &key, &found);
    if (err || !found)
        return err;
    key = rg_rowkey_psid(RG_T_PERMSET, permset);
    err = exists(txn, &key, &found);
    *ret_reason = found ? RG_ACCESS_GRANTED : RG_ACCESS_NO_PERMSET;
    return err;
}

static void add_via(struct rg_verdict *verdict, char principal_type, const struct rg_uuid *id)
{
    RG_ASSERT(principal_type == 'G' || principal_type == 'U');
    if (verdict->n_via < RG_VIA_MAX)
        verdict->via[verdict->n_via] = (struct rg_via){principal_type, *id};
    verdict->n_via++;
    RG_ASSERT(verdict->n_via > 0);
}

/* One side of the join: the ids at the end of the keys under a prefix, ascending. */
struct side {
    struct rg_scan scan;
    struct rg_rowkey at; /* prefix, then the id the scan stands at */
    size_t prefix_n;
};
_Static_assert((size_t)RG_ASSIGN_KEY_BYTES <= sizeof ((struct side *)NULL)->at.b, "the longest prefix, and an id");
_Static_assert((size_t)RG_ASSIGN_KEY_BYTES - RG_ID_BYTES <= sizeof ((struct rg_scan *)NULL)->prefix, "it can be scanned");

static enum rg_err side_take(struct side *side, enum rg_err err, struct rg_span key)
{
    RG_ASSERT(side->prefix_n > 0);
    RG_ASSERT(side->prefix_n + RG_ID_BYTES <= sizeof side->at.b);
    if (err)
        return err;
    if (key.n != side->prefix_n + RG_ID_BYTES)
        return RG_ECORRUPT;
    RG_ASSERT(side->at.n == side->prefix_n || memcmp(key.p, side->at.b, key.n) >= 0); /* ever onwards */
    memcpy(side->at.b + side->prefix_n, key.p + side->prefix_n, RG_ID_BYTES);
    side->at.n = key.n;
    return RG_OK;
}

static enum rg_err side_next(struct side *side)
{
    struct rg_span key, value;
    enum rg_err err = rg_scan_next(&side->scan, &key, &value);

    RG_ASSERT(side->scan.txn != NULL);
    RG_ASSERT(side->prefix_n > 0);
    return side_take(side, err, key);
}

static enum rg_err side_seek(struct side *side, const uint8_t *id)
{
    struct rg_span key, value;
    enum rg_err err;

    RG_ASSERT(side->at.n == side->prefix_n + RG_ID_BYTES);
    RG_ASSERT(memcmp(id, side->at.b + side->prefix_n, RG_ID_BYTES) > 0);
    memcpy(side->at.b + side->prefix_n, id, RG_ID_BYTES);
    err = rg_scan_seek(&side->scan, rg_rowkey_span(&side->at), &key, &value);
    return side_take(side, err, key);
}

static enum rg_err side_begin(struct rg_txn *txn, const struct rg_rowkey *prefix, struct side *side)
{
    enum rg_err err = rg_scan_begin(txn, rg_rowkey_span(prefix), rg_span(NULL, 0), &side->scan);

    RG_ASSERT(prefix->n <= sizeof side->scan.prefix);
    RG_ASSERT(prefix->n + RG_ID_BYTES <= sizeof prefix->b);
    side->at = *prefix;
    side->prefix_n = prefix->n;
    return err ? err : side_next(side);
}

static const uint8_t *side_id(const struct side *side)
{
    RG_ASSERT(side->at.n == side->prefix_n + RG_ID_BYTES);
    RG_ASSERT(side->prefix_n > 0);
    return side->at.b + side->prefix_n;
}

/* Both sides are sorted by group id, so each leaps to where the other stands: at most two reads for each id of the
 * smaller side, however large the other is. */
static enum rg_err join(struct side *groups, struct side *assigned, struct rg_verdict *verdict)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(groups->at.b[0] == RG_T_MEMBER_GROUP);
    RG_ASSERT(assigned->at.b[0] == RG_T_ASSIGN);
    RG_ASSERT(groups->scan.txn == assigned->scan.txn); /* of one revision */
    while (!err) {
        int order = memcmp(side_id(groups), side_id(assigned), RG_ID_BYTES);

        if (order < 0) {
            err = side_seek(groups, side_id(assigned));
        } else if (order > 0) {
            err = side_seek(assigned, side_id(groups));
        } else {
            struct rg_uuid id;

            memcpy(id.b, side_id(groups), sizeof id.b);
            add_via(verdict, 'G', &id);
            err = side_next(groups);
            if (!err)
                err = side_next(assigned);
        }
    }
    return err;
}

static enum rg_err join_groups(struct rg_txn *txn, const struct rg_uuid *user_id, struct rg_span account_id,
                               const struct rg_psid *permset, struct rg_verdict *verdict)
{
    const struct rg_rowkey of_user = rg_rowkey_id(RG_T_MEMBER_GROUP, user_id);
    const struct rg_rowkey of_set = assigned_prefix(account_id, permset, 'G');
    struct side groups = {.prefix_n = 0}, assigned = {.prefix_n = 0};
    enum rg_err err = side_begin(txn, &of_user, &groups);

    RG_ASSERT(of_set.n == RG_ASSIGN_KEY_BYTES - RG_ID_BYTES);
    if (!err)
        err = side_begin(txn, &of_set, &assigned);
    if (!err)
        err = join(&groups, &assigned, verdict);
    rg_scan_end(&groups.scan);
    rg_scan_end(&assigned.scan);
    return err == RG_ENOTFOUND ? RG_OK : err; /* the end of either side */
}

enum rg_err rg_access_check(struct rg_txn *txn, const struct rg_uuid *user_id, struct rg_span account_id,
                            const struct rg_psid *permset, struct rg_verdict *ret_verdict)
{
    RG_UNINIT struct rg_rowkey direct;
    bool found;
    enum rg_err err;

    ret_verdict->allowed = false;
    ret_verdict->n_via = 0;
    err = check_parties(txn, user_id, account_id, permset, &ret_verdict->reason);
    if (err || ret_verdict->reason != RG_ACCESS_GRANTED)
        return err;
    direct = assigned_prefix(account_id, permset, 'U');
    rg_rowkey_put(&direct, user_id->b, RG_ID_BYTES);
    RG_ASSERT(direct.n == RG_ASSIGN_KEY_BYTES);
    err = exists(txn, &direct, &found);
    if (err)
        return err;
    if (found)
        add_via(ret_verdict, 'U', user_id);
    err = join_groups(txn, user_id, account_id, permset, ret_verdict);
    if (err)
        return err;
    RG_ASSERT(!ret_verdict->allowed);
    RG_ASSERT(!found || (ret_verdict->n_via > 0 && ret_verdict->via[0].principal_type == 'U')); /* the direct one first */
    ret_verdict->allowed = ret_verdict->n_via > 0;
    ret_verdict->reason = ret_verdict->allowed ? RG_ACCESS_GRANTED : RG_ACCESS_NOT_ASSIGNED;
    return RG_OK;
}

/* --- gathering: a growing array of flat items, sorted and made distinct whenever it is full --- */

struct gather {
    uint8_t *items; /* own */
    size_t item_bytes, n, cap, max;
    struct rg_txn *users; /* set: items are user ids, of which only the enabled ones stay */
};

static void gather_check(const struct gather *g)
{
    RG_ASSERT(g->item_bytes > 0);
    RG_ASSERT(g->n <= g->cap);
    RG_ASSERT(g->cap == 0 || g->items != NULL);
}

static void gather_free(struct gather *g)
{
    free(g->items);
    g->items = NULL;
}

static int compare_items(const void *a, const void *b, void *bytes) { return memcmp(a, b, *(size_t *)bytes); }

static enum rg_err gather_keeps(struct gather *g, const uint8_t *item, bool *ret_keep)
{
    struct rg_uuid id;
    enum rg_err err;

    RG_ASSERT(g->users == NULL || g->item_bytes == sizeof id);
    *ret_keep = true;
    if (g->users == NULL)
        return RG_OK;
    memcpy(id.b, item, sizeof id.b);
    err = user_enabled(g->users, &id, ret_keep);
    return err == RG_ENOTFOUND ? RG_ECORRUPT : err; /* members and principals exist */
}

static enum rg_err gather_compact(struct gather *g)
{
    size_t n = 0;

    gather_check(g);
    if (g->n > 1)
        qsort_r(g->items, g->n, g->item_bytes, compare_items, &g->item_bytes);
    for (size_t i = 0; i < g->n; i++) {
        const uint8_t *item = g->items + i * g->item_bytes;
        bool keep;
        enum rg_err err;

        if (n > 0 && memcmp(g->items + (n - 1) * g->item_bytes, item, g->item_bytes) == 0)
            continue;
        err = gather_keeps(g, item, &keep);
        if (err)
            return err;
        RG_ASSERT(n <= i);
        if (keep)
            memmove(g->items + n++ * g->item_bytes, item, g->item_bytes);
    }
    g->n = n;
    RG_ASSERT(n <= g->cap);
    return n > g->max ? RG_ETOOBIG : RG_OK;
}

static enum rg_err gather_grow(struct gather *g)
{
    const size_t cap_max = RG_MIN(g->max, (SIZE_MAX / 4 - GATHER_SLACK) / g->item_bytes) * 2 + GATHER_SLACK;
    uint8_t *items;
    size_t cap;

    RG_ASSERT(g->n == g->cap);
    RG_ASSERT(g->cap <= cap_max);
    gather_check(g);
    if (g->cap == cap_max)
        return gather_compact(g); /* leaves room: half of it and the slack */
    cap = RG_MIN(g->cap + g->cap / 2 + 64, cap_max);
    items = realloc(g->items, cap * g->item_bytes);
    if (items == NULL)
        return RG_ENOMEM;
    g->items = items;
    g->cap = cap;
    RG_ASSERT(g->n < g->cap);
    return RG_OK;
}

static enum rg_err gather_add(struct gather *g, const void *item)
{
    gather_check(g);
    if (g->n == g->cap) {
        enum rg_err err = gather_grow(g);

        if (err)
            return err;
    }
    RG_ASSERT(g->n < g->cap);
    RG_ASSERT(g->items != NULL);
    memcpy(g->items + g->n++ * g->item_bytes, item, g->item_bytes);
    return RG_OK;
}

/* The items are flat: no padding that memcmp would read. */
_Static_assert(sizeof(struct rg_grant) == 13 + RG_PSID_BYTES, "flat");
_Static_assert(sizeof(struct rg_assignment) == 13 + RG_PSID_BYTES + 1 + RG_ID_BYTES, "flat");
_Static_assert(sizeof(struct rg_via) == 1 + RG_ID_BYTES, "flat");
_Static_assert(sizeof(struct rg_uuid) == RG_ID_BYTES, "flat");
_Static_assert(PRINCIPALS_MAX >= RG_USERS_MAX, "every user by itself can have it");

/* --- what a user has --- */

static enum rg_err add_of_principal(struct rg_txn *txn, char principal_type, const struct rg_uuid *id, struct gather *g)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_assignment a;
    enum rg_err err = rg_assignment_list_of(txn, principal_type, id, NULL, &scan);

    RG_ASSERT(g->item_bytes <= sizeof a);
    RG_ASSERT(g->users == NULL); /* assignments, not users */
    while (!err && (err = rg_assignment_list_next(&scan, &a)) == RG_OK)
        err = gather_add(g, &a); /* a grant is an assignment's beginning: the item size says how much */
    return err == RG_ENOTFOUND ? RG_OK : err;
}

_Static_assert(offsetof(struct rg_grant, permset_id) == offsetof(struct rg_assignment, permset_id),
               "a grant is an assignment's beginning");

static enum rg_err gather_of_user(struct rg_txn *txn, const struct rg_uuid *user_id, struct gather *g)
{
    const struct rg_rowkey prefix = rg_rowkey_id(RG_T_MEMBER_GROUP, user_id);
    struct side groups = {.prefix_n = 0};
    enum rg_err err = add_of_principal(txn, 'U', user_id, g);

    RG_ASSERT(g->users == NULL);
    if (err)
        return err;
    err = side_begin(txn, &prefix, &groups);
    while (!err) {
        struct rg_uuid id;

        memcpy(id.b, side_id(&groups), sizeof id.b);
        err = add_of_principal(txn, 'G', &id, g);
        RG_ASSERT(err != RG_ENOTFOUND);
        if (!err)
            err = side_next(&groups);
    }
    rg_scan_end(&groups.scan);
    return err == RG_ENOTFOUND ? gather_compact(g) : err;
}

enum rg_err rg_access_of(struct rg_txn *txn, const struct rg_uuid *user_id, size_t max, struct rg_grant **ret_grants,
                         size_t *ret_n)
{
    struct gather g = {.item_bytes = sizeof(struct rg_grant), .max = max};
    bool enabled;
    enum rg_err err = user_enabled(txn, user_id, &enabled);

    if (!err && enabled)
        err = gather_of_user(txn, user_id, &g);
    if (err) {
        gather_free(&g);
        return err;
    }
    RG_ASSERT(g.n <= max);
    *ret_grants = (void *)g.items;
    *ret_n = g.n;
    return RG_OK;
}

enum rg_err rg_access_rows_of(struct rg_txn *txn, const struct rg_uuid *user_id, size_t max,
                              struct rg_assignment **ret_rows, size_t *ret_n)
{
    struct gather g = {.item_bytes = sizeof(struct rg_assignment), .max = max};
    bool enabled;
    enum rg_err err = user_enabled(txn, user_id, &enabled);

    if (!err)
        err = gather_of_user(txn, user_id, &g);
    if (err) {
        gather_free(&g);
        return err;
    }
    RG_ASSERT(g.n <= max);
    *ret_rows = (void *)g.items;
    *ret_n = g.n;
    return RG_OK;
}

/* --- who has it --- */

static enum rg_err gather_principals(struct rg_txn *txn, const char *account_id, const struct rg_psid *permset,
                                     struct gather *g)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_assignment a;
    enum rg_err err = rg_assignment_list(txn, account_id, permset, NULL, &scan);

    RG_ASSERT(g->item_bytes == sizeof(struct rg_via));
    RG_ASSERT(g->users == NULL);
    while (!err && (err = rg_assignment_list_next(&scan, &a)) == RG_OK) {
        const struct rg_via via = {a.principal_type, a.principal_id};

        err = gather_add(g, &via);
    }
    return err == RG_ENOTFOUND ? gather_compact(g) : err;
}

static enum rg_err add_members(struct rg_txn *txn, const struct rg_uuid *group_id, struct gather *users)
{
    const struct rg_rowkey prefix = rg_rowkey_id(RG_T_GROUP_MEMBER, group_id);
    struct side members = {.prefix_n = 0};
    enum rg_err err = side_begin(txn, &prefix, &members);

    RG_ASSERT(users->item_bytes == sizeof(struct rg_uuid));
    while (!err) {
        err = gather_add(users, side_id(&members));
        if (!err)
            err = side_next(&members);
    }
    rg_scan_end(&members.scan);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static enum rg_err gather_users(struct rg_txn *txn, const char *account_id, const struct rg_psid *permset,
                                struct gather *users)
{
    struct gather principals = {.item_bytes = sizeof(struct rg_via), .max = PRINCIPALS_MAX};
    enum rg_err err = gather_principals(txn, account_id, permset, &principals);

    RG_ASSERT(users->users == txn);
    RG_ASSERT(users->item_bytes == sizeof(struct rg_uuid));
    RG_ASSERT(err || principals.n <= PRINCIPALS_MAX);
    for (size_t i = 0; !err && i < principals.n; i++) {
        const struct rg_via *via = (const void *)(principals.items + i * sizeof *via);

        err = via->principal_type == 'U' ? gather_add(users, via->principal_id.b)
                                         : add_members(txn, &via->principal_id, users);
    }
    gather_free(&principals);
    return err ? err : gather_compact(users);
}

enum rg_err rg_access_who(struct rg_txn *txn, struct rg_span account_id, const struct rg_psid *permset, size_t max,
                          struct rg_uuid **ret_users, size_t *ret_n)
{
    struct gather g = {.item_bytes = sizeof(struct rg_uuid), .max = max, .users = txn};
    struct rg_account account;
    struct rg_rowkey key;
    bool found = true;
    enum rg_err err = rg_account_get(txn, account_id, &account);

    if (!err && permset != NULL) {
        key = rg_rowkey_psid(RG_T_PERMSET, permset);
        err = exists(txn, &key, &found);
    }
    if (!err && !found)
        err = RG_ENOTFOUND;
    if (!err)
        err = gather_users(txn, account.id, permset, &g);
    if (err) {
        gather_free(&g);
        return err;
    }
    RG_ASSERT(g.n <= max);
    *ret_users = (void *)g.items;
    *ret_n = g.n;
    return RG_OK;
}
