/* Users, groups and memberships. Users and groups are the same thing twice: a row, and indexes that are unique. */
#include "base/bug/bug.h"
#include "store/apply/fsm_priv.h"

enum {
    DROP_FEW = 256,   /* memberships that are dropped at a time: most users and groups have no more */
    DROP_MANY = 8192, /* those of one that has */
};

/* What tells users from groups. */
struct noun {
    enum rg_table row, name, ext;
    enum rg_table email;   /* 0: not indexed */
    enum rg_table members; /* the membership index that begins with the noun's id */
    enum rg_why why, why_name;
    uint64_t max;
    char principal_type;
};

static const struct noun user_noun = {
    .row = RG_T_USER,
    .name = RG_T_USER_NAME,
    .ext = RG_T_USER_EXT,
    .email = RG_T_USER_EMAIL,
    .members = RG_T_MEMBER_GROUP,
    .why = RG_WHY_USER,
    .why_name = RG_WHY_USER_NAME,
    .max = RG_USERS_MAX,
    .principal_type = 'U',
};
static const struct noun group_noun = {
    .row = RG_T_GROUP,
    .name = RG_T_GROUP_NAME,
    .ext = RG_T_GROUP_EXT,
    .members = RG_T_GROUP_MEMBER,
    .why = RG_WHY_GROUP,
    .why_name = RG_WHY_GROUP_NAME,
    .max = RG_GROUPS_MAX,
    .principal_type = 'G',
};

static void noun_check(const struct noun *noun)
{
    RG_ASSERT(noun == &user_noun || noun == &group_noun);
    RG_ASSERT((noun->principal_type == 'U') == (noun == &user_noun));
}

/* --- unique indexes of one object --- */

struct unique {
    struct rg_rowkey key;
    enum rg_why why;
};
struct uniques {
    struct unique at[2 + RG_EXTERNAL_IDS_MAX]; /* name, address, external ids */
    size_t n;
};

_Static_assert(2 * sizeof(struct uniques) <= 32 * 1024, "before and after, on the stack");

static const struct unique *uniques_find(const struct uniques *set, const struct rg_rowkey *key)
{
    RG_ASSERT(set->n <= RG_LEN(set->at));
    RG_ASSERT(key->n > 1);
    for (size_t i = 0; i < set->n; i++)
        if (rg_span_eq(rg_rowkey_span(&set->at[i].key), rg_rowkey_span(key)))
            return &set->at[i];
    return NULL;
}

static bool uniques_add(struct uniques *set, const struct rg_rowkey *key, enum rg_why why)
{
    RG_ASSERT(set->n <= RG_LEN(set->at));
    RG_ASSERT(why == RG_WHY_USER_NAME || why == RG_WHY_GROUP_NAME || why == RG_WHY_EMAIL || why == RG_WHY_EXTERNAL_ID);
    if (set->n == RG_LEN(set->at) || uniques_find(set, key) != NULL)
        return false;
    set->at[set->n++] = (struct unique){*key, why};
    return true;
}

static bool add_external(struct uniques *set, const struct noun *noun, struct rg_span value)
{
    const uint8_t *zero = value.n > 0 ? memchr(value.p, 0, value.n) : NULL;
    struct rg_rowkey key;
    size_t issuer_n;

    noun_check(noun);
    RG_ASSERT(set->n >= 1); /* the name's */
    if (zero == NULL)
        return false;
    issuer_n = (size_t)(zero - value.p);
    RG_ASSERT(issuer_n < value.n);
    return rg_rowkey_external(noun->ext, rg_span(value.p, issuer_n), rg_span(zero + 1, value.n - issuer_n - 1), &key) &&
           uniques_add(set, &key, RG_WHY_EXTERNAL_ID);
}

static const struct uniques no_uniques = {.n = 0};

/* The index keys of a command or row. False: a field is of the wrong form. */
static bool uniques_of(const struct noun *noun, struct rg_span fields, struct uniques *set)
{
    struct rg_span name, email;
    struct rg_cursor cur;
    RG_UNINIT struct rg_rowkey key;
    struct rg_tlv tlv;

    noun_check(noun);
    set->n = 0;
    if (!rg_tlv_get(fields, RG_F_NAME, &name) || name.n == 0 || memchr(name.p, 0, name.n) != NULL ||
        !rg_rowkey_folded(noun->name, name, &key) || !uniques_add(set, &key, noun->why_name))
        return false;
    if (noun->email != 0 && rg_tlv_get(fields, RG_F_EMAIL, &email) && email.n > 0 &&
        (memchr(email.p, 0, email.n) != NULL || !rg_rowkey_folded(noun->email, email, &key) ||
         !uniques_add(set, &key, RG_WHY_EMAIL)))
        return false;
    rg_cursor_init(&cur, fields);
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field == RG_F_EXTERNAL_ID && !add_external(set, noun, tlv.value))
            return false;
    RG_ASSERT(set->n >= 1);
    RG_ASSERT(set->n <= RG_LEN(set->at));
    RG_ASSERT(set->at[0].why == noun->why_name);
    return true;
}

/* Refuse when any key is another object's. */
static enum rg_err uniques_check(struct rg_fsm *f, const struct uniques *set, const struct rg_uuid *id)
{
    RG_ASSERT(set->n >= 1);
    RG_ASSERT(set->n <= RG_LEN(set->at));
    RG_ASSERT(!f->refused);
    for (size_t i = 0; i < set->n; i++) {
        struct rg_span holder;
        bool found;
        enum rg_err err = rg_fsm_find(f, &set->at[i].key, &found, &holder);

        if (err)
            return err;
        if (!found)
            continue;
        if (holder.n != sizeof id->b)
            return RG_ECORRUPT;
        if (memcmp(holder.p, id->b, sizeof id->b) == 0)
            continue;
        memcpy(f->reply->id.b, holder.p, sizeof id->b);
        return rg_fsm_refuse(f, RG_ECONFLICT, set->at[i].why);
    }
    return RG_OK;
}

static enum rg_err uniques_write(struct rg_fsm *f, const struct uniques *old, const struct uniques *new,
                                 const struct rg_uuid *id)
{
    enum rg_err err = RG_OK;

    RG_ASSERT(old->n <= RG_LEN(old->at));
    RG_ASSERT(new->n <= RG_LEN(new->at));
    RG_ASSERT(old->n > 0 || new->n > 0);
    for (size_t i = 0; !err && i < old->n; i++)
        if (uniques_find(new, &old->at[i].key) == NULL)
            err = rg_fsm_drop(f, &old->at[i].key);
    for (size_t i = 0; !err && i < new->n; i++)
        if (uniques_find(old, &new->at[i].key) == NULL)
            err = rg_fsm_add(f, &new->at[i].key, rg_span(id->b, sizeof id->b));
    return err;
}

/* --- create, replace, erase --- */

static enum rg_err check_fields(struct rg_fsm *f, const struct noun *noun, struct rg_uuid *ret_id, struct uniques *set)
{
    struct rg_span status;
    enum rg_err err = rg_fsm_id(f, RG_F_ID, ret_id);

    noun_check(noun);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    if (err)
        return err;
    f->reply->id = *ret_id;
    if (noun == &user_noun && rg_tlv_get(f->cmd.bytes, RG_F_STATUS, &status) && !rg_span_is(status, "ENABLED") &&
        !rg_span_is(status, "DISABLED"))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    if (!uniques_of(noun, f->cmd.bytes, set))
        return rg_fsm_refuse(f, RG_EMALFORMED, RG_WHY_MALFORMED);
    return RG_OK;
}

static uint64_t count_of(struct rg_fsm *f, const struct noun *noun)
{
    struct rg_counts counts;

    noun_check(noun);
    rg_txn_counts(f->txn, &counts);
    return noun == &user_noun ? counts.users : counts.groups;
}

static uint64_t memberships(struct rg_fsm *f)
{
    struct rg_counts counts;

    rg_txn_counts(f->txn, &counts);
    return counts.memberships;
}

static enum rg_err create(struct rg_fsm *f, const struct noun *noun)
{
    RG_UNINIT struct uniques set;
    struct rg_uuid id;
    struct rg_rowkey key;
    bool found;
    enum rg_err err = check_fields(f, noun, &id, &set);

    RG_ASSERT(f->cmd.kind == (noun == &user_noun ? RG_CMD_USER_CREATE : RG_CMD_GROUP_CREATE));
    if (err)
        return err;
    key = rg_rowkey_id(noun->row, &id);
    err = rg_fsm_find(f, &key, &found, NULL);
    if (err)
        return err;
    if (found)
        return rg_fsm_refuse(f, RG_ECONFLICT, noun->why);
    err = uniques_check(f, &set, &id);
    if (err)
        return err;
    if (count_of(f, noun) >= noun->max)
        return rg_fsm_refuse(f, RG_EQUOTA, RG_WHY_LIMIT);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    err = rg_fsm_row_build(f, rg_span(NULL, 0), f->cmd.bytes, NULL, 0);
    if (!err)
        err = rg_fsm_row_add(f, &key);
    RG_ASSERT(err || count_of(f, noun) <= noun->max);
    return err ? err : uniques_write(f, &no_uniques, &set, &id);
}

static enum rg_err replace(struct rg_fsm *f, const struct noun *noun)
{
    RG_UNINIT struct uniques set, before;
    struct rg_span old;
    struct rg_uuid id;
    struct rg_rowkey key;
    enum rg_err err = check_fields(f, noun, &id, &set);

    RG_ASSERT(f->cmd.kind == (noun == &user_noun ? RG_CMD_USER_REPLACE : RG_CMD_GROUP_REPLACE));
    if (err)
        return err;
    key = rg_rowkey_id(noun->row, &id);
    err = rg_fsm_need(f, &key, noun->why, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    if (!err)
        err = uniques_check(f, &set, &id);
    if (!err)
        err = rg_fsm_row_build(f, old, f->cmd.bytes, NULL, 0);
    if (err)
        return err;
    if (!uniques_of(noun, old, &before))
        return RG_ECORRUPT;
    RG_ASSERT(before.n >= 1);
    RG_ASSERT(before.at[0].why == noun->why_name);
    err = rg_fsm_row_put(f, &key);
    return err ? err : uniques_write(f, &before, &set, &id);
}

static enum rg_err drop_members(struct rg_fsm *f, const struct noun *noun, const struct rg_uuid *id);

/* What goes with it: the only work that grows with the state. */
static enum rg_err check_bounds(struct rg_fsm *f, const struct noun *noun, const struct rg_uuid *id)
{
    const struct rg_rowkey members = rg_rowkey_id(noun->members, id);
    size_t n = 0;
    enum rg_err err = RG_OK;

    noun_check(noun);
    RG_ASSERT(!f->refused);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes); /* whatever is too much is so before the first write */
    if (f->bounds == NULL || f->bounds->objects_max == SIZE_MAX)
        return RG_OK;
    err = rg_fsm_count(f, &members, f->bounds->objects_max + 1, &n);
    if (!err)
        err = rg_fsm_count_assigned(f, noun->principal_type, id, f->bounds->objects_max + 1, &n);
    RG_ASSERT(n <= f->bounds->objects_max + 1);
    return err ? err : n > f->bounds->objects_max ? RG_ETOOBIG : RG_OK;
}

static enum rg_err erase(struct rg_fsm *f, const struct noun *noun)
{
    RG_UNINIT struct uniques before;
    struct rg_span old;
    struct rg_uuid id;
    struct rg_rowkey key;
    enum rg_err err = rg_fsm_id(f, RG_F_ID, &id);

    RG_ASSERT(f->cmd.kind == (noun == &user_noun ? RG_CMD_USER_DELETE : RG_CMD_GROUP_DELETE));
    if (err)
        return err;
    f->reply->id = id;
    key = rg_rowkey_id(noun->row, &id);
    err = rg_fsm_need(f, &key, noun->why, &old);
    if (!err)
        err = rg_fsm_check_version(f, old);
    if (err)
        return err;
    if (!uniques_of(noun, old, &before))
        return RG_ECORRUPT;
    RG_ASSERT(before.n >= 1);
    RG_ASSERT(count_of(f, noun) > 0);
    err = check_bounds(f, noun, &id);
    if (!err)
        err = drop_members(f, noun, &id);
    if (!err)
        err = rg_fsm_unassign(f, noun->principal_type, &id);
    RG_ASSERT(!f->refused); /* nothing can stand in its way now */
    if (!err)
        err = uniques_write(f, &before, &no_uniques, &id);
    return err ? err : rg_fsm_drop(f, &key);
}

enum rg_err rg_fsm_user_create(struct rg_fsm *f) { return create(f, &user_noun); }
enum rg_err rg_fsm_user_replace(struct rg_fsm *f) { return replace(f, &user_noun); }
enum rg_err rg_fsm_user_delete(struct rg_fsm *f) { return erase(f, &user_noun); }
enum rg_err rg_fsm_group_create(struct rg_fsm *f) { return create(f, &group_noun); }
enum rg_err rg_fsm_group_replace(struct rg_fsm *f) { return replace(f, &group_noun); }
enum rg_err rg_fsm_group_delete(struct rg_fsm *f) { return erase(f, &group_noun); }

/* --- memberships: m row, and an index each way --- */

/* One of a user's or group's, which all have one end in common. */
struct member {
    struct rg_uuid id, other;
};
_Static_assert(DROP_FEW * sizeof(struct member) <= 32 * 1024, "on the stack");

struct members {
    const struct noun *noun;
    const struct rg_uuid *of; /* the end in common */
    struct member *v;
    size_t n, max;
};

static void ends_of(const struct members *m, size_t i, const struct rg_uuid **ret_group, const struct rg_uuid **ret_user)
{
    RG_ASSERT(i < m->n);
    *ret_group = m->noun == &group_noun ? m->of : &m->v[i].other;
    *ret_user = m->noun == &group_noun ? &m->v[i].other : m->of;
}

static int by_id(const void *a, const void *b)
{
    return memcmp(((const struct member *)a)->id.b, ((const struct member *)b)->id.b, RG_ID_BYTES);
}

/* One table after the other, each in the order of its keys: rows beside each other are found without a search. */
static enum rg_err drop_memberships(struct rg_fsm *f, struct members *m)
{
    const struct rg_uuid *group, *user;
    struct rg_rowkey key;
    enum rg_err err = RG_OK;

    RG_ASSERT(!f->refused);
    RG_ASSERT(f->cmd.kind == RG_CMD_MEMBERSHIP_DELETE || f->cmd.kind == RG_CMD_USER_DELETE || f->cmd.kind == RG_CMD_GROUP_DELETE);
    for (size_t i = 0; !err && i < m->n; i++) {
        ends_of(m, i, &group, &user);
        key = rg_rowkey_ids(RG_T_GROUP_MEMBER, group, user);
        err = rg_fsm_drop(f, &key);
    }
    for (size_t i = 0; !err && i < m->n; i++) {
        ends_of(m, i, &group, &user);
        key = rg_rowkey_ids(RG_T_MEMBER_GROUP, user, group);
        err = rg_fsm_drop(f, &key);
    }
    qsort(m->v, m->n, sizeof *m->v, by_id);
    for (size_t i = 0; !err && i < m->n; i++) {
        key = rg_rowkey_id(RG_T_MEMBERSHIP, &m->v[i].id);
        err = rg_fsm_drop(f, &key);
    }
    return err;
}

/* The first of them: rows cannot be deleted under a scan. */
static enum rg_err collect_others(struct rg_fsm *f, struct members *m)
{
    const struct rg_rowkey prefix = rg_rowkey_id(m->noun->members, m->of);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_span key, value;
    enum rg_err err = rg_scan_begin(f->txn, rg_rowkey_span(&prefix), rg_span(NULL, 0), &scan);

    RG_ASSERT(prefix.n == 1 + RG_ID_BYTES);
    noun_check(m->noun);
    RG_ASSERT(m->max == DROP_FEW || m->max == DROP_MANY);
    m->n = 0;
    if (err)
        return err;
    while (m->n < m->max && (err = rg_scan_next(&scan, &key, &value)) == RG_OK) {
        struct member *member = &m->v[m->n++];

        if (key.n != 1 + 2 * RG_ID_BYTES || (m->noun == &group_noun && value.n != sizeof member->id.b))
            return RG_ECORRUPT;
        memcpy(member->other.b, key.p + 1 + RG_ID_BYTES, RG_ID_BYTES);
        if (m->noun == &group_noun)
            memcpy(member->id.b, value.p, sizeof member->id.b);
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* A group's index has the memberships' ids; a user's has not. */
static enum rg_err collect_ids(struct rg_fsm *f, struct members *m)
{
    const struct rg_uuid *group, *user;
    struct rg_rowkey key;
    struct rg_span value;
    enum rg_err err = RG_OK;

    RG_ASSERT(m->n <= m->max);
    RG_ASSERT(m->of != NULL);
    for (size_t i = 0; !err && i < m->n && m->noun != &group_noun; i++) {
        ends_of(m, i, &group, &user);
        key = rg_rowkey_ids(RG_T_GROUP_MEMBER, group, user);
        err = rg_row_get(f->txn, rg_rowkey_span(&key), &value);
        if (err == RG_ENOTFOUND || (!err && value.n != sizeof m->v[i].id.b))
            err = RG_ECORRUPT;
        if (!err)
            memcpy(m->v[i].id.b, value.p, sizeof m->v[i].id.b);
    }
    return err;
}

static enum rg_err drop_members(struct rg_fsm *f, const struct noun *noun, const struct rg_uuid *id)
{
    struct member few[DROP_FEW];
    struct members m = {.noun = noun, .of = id, .v = few, .max = DROP_FEW};
    RG_AUTO_MEM struct member *many = NULL;
    enum rg_err err;

    _Static_assert(DROP_MANY > DROP_FEW, "the larger one is fetched for more");
    RG_ASSERT(!f->refused);
    RG_ASSERT(f->cmd.kind == (noun == &user_noun ? RG_CMD_USER_DELETE : RG_CMD_GROUP_DELETE));
    do {
        err = collect_others(f, &m);
        if (!err)
            err = collect_ids(f, &m);
        if (RG_BUG(heavy_leaves_one) && f->bounds != NULL && f->bounds->stop != NULL && m.n > 1)
            m.n--;
        if (!err)
            err = drop_memberships(f, &m);
        if (err || m.n < m.max)
            return err;
        if (many == NULL && (many = malloc(DROP_MANY * sizeof *many)) != NULL) { /* else as before, a few at a time */
            m.v = many;
            m.max = DROP_MANY;
        }
        err = rg_fsm_go_on(f);
    } while (!err);
    return err;
}

enum rg_err rg_fsm_membership_create(struct rg_fsm *f)
{
    struct rg_rowkey row, by_group, by_user, key;
    struct rg_uuid id, group, user;
    struct rg_span value;
    uint8_t both[2 * RG_ID_BYTES];
    bool found;
    enum rg_err err = rg_fsm_id(f, RG_F_MEMBERSHIP_ID, &id);

    RG_ASSERT(f->cmd.kind == RG_CMD_MEMBERSHIP_CREATE);
    if (!err)
        err = rg_fsm_id(f, RG_F_GROUP_ID, &group);
    if (!err)
        err = rg_fsm_id(f, RG_F_USER_ID, &user);
    if (err)
        return err;
    f->reply->id = id;
    key = rg_rowkey_id(RG_T_GROUP, &group);
    err = rg_fsm_need(f, &key, RG_WHY_GROUP, NULL);
    key = rg_rowkey_id(RG_T_USER, &user);
    if (!err)
        err = rg_fsm_need(f, &key, RG_WHY_USER, NULL);
    if (err)
        return err;
    by_group = rg_rowkey_ids(RG_T_GROUP_MEMBER, &group, &user);
    err = rg_fsm_find(f, &by_group, &found, &value);
    if (err)
        return err;
    if (found) {
        if (value.n != sizeof id.b)
            return RG_ECORRUPT;
        memcpy(f->reply->id.b, value.p, sizeof id.b);
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_MEMBERSHIP);
    }
    row = rg_rowkey_id(RG_T_MEMBERSHIP, &id);
    err = rg_fsm_find(f, &row, &found, NULL);
    if (err)
        return err;
    if (found)
        return rg_fsm_refuse(f, RG_ECONFLICT, RG_WHY_MEMBERSHIP);
    memcpy(both, group.b, RG_ID_BYTES);
    memcpy(both + RG_ID_BYTES, user.b, RG_ID_BYTES);
    by_user = rg_rowkey_ids(RG_T_MEMBER_GROUP, &user, &group);
    RG_ASSERT(row.n == 1 + RG_ID_BYTES);
    RG_ASSERT(by_user.n == by_group.n);
    err = rg_fsm_add(f, &row, rg_span(both, sizeof both));
    if (!err)
        err = rg_fsm_add(f, &by_group, rg_span(id.b, sizeof id.b));
    RG_ASSERT(err || memberships(f) > 0);
    return err ? err : rg_fsm_add(f, &by_user, rg_span(NULL, 0));
}

/* Named by its id, or else by group and user. */
static enum rg_err membership_id(struct rg_fsm *f, struct rg_uuid *ret_id)
{
    struct rg_uuid group, user;
    struct rg_span value;
    struct rg_rowkey key;
    enum rg_err err;

    RG_ASSERT(f->cmd.kind == RG_CMD_MEMBERSHIP_DELETE);
    RG_ASSERT(rg_txn_changes(f->txn) == f->changes);
    if (rg_tlv_get(f->cmd.bytes, RG_F_MEMBERSHIP_ID, &value))
        return rg_fsm_id(f, RG_F_MEMBERSHIP_ID, ret_id);
    err = rg_fsm_id(f, RG_F_GROUP_ID, &group);
    if (!err)
        err = rg_fsm_id(f, RG_F_USER_ID, &user);
    if (err)
        return err;
    key = rg_rowkey_ids(RG_T_GROUP_MEMBER, &group, &user);
    err = rg_fsm_need(f, &key, RG_WHY_MEMBERSHIP, &value);
    if (err)
        return err;
    if (value.n != sizeof ret_id->b)
        return RG_ECORRUPT;
    memcpy(ret_id->b, value.p, sizeof ret_id->b);
    return RG_OK;
}

enum rg_err rg_fsm_membership_delete(struct rg_fsm *f)
{
    struct rg_uuid group;
    struct member one;
    struct rg_span value;
    struct rg_rowkey key;
    enum rg_err err = membership_id(f, &one.id);

    RG_ASSERT(f->cmd.kind == RG_CMD_MEMBERSHIP_DELETE);
    if (err)
        return err;
    f->reply->id = one.id;
    key = rg_rowkey_id(RG_T_MEMBERSHIP, &one.id);
    err = rg_fsm_need(f, &key, RG_WHY_MEMBERSHIP, &value);
    if (err)
        return err;
    if (value.n != 2 * RG_ID_BYTES)
        return RG_ECORRUPT;
    memcpy(group.b, value.p, RG_ID_BYTES);
    memcpy(one.other.b, value.p + RG_ID_BYTES, RG_ID_BYTES);
    RG_ASSERT(memberships(f) > 0);
    return drop_memberships(f, &(struct members){.noun = &group_noun, .of = &group, .v = &one, .n = 1, .max = 1});
}
