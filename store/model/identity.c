#include "store/model/identity.h"

#include "store/db/rowmap.h"

/* A row that says another id than its key belongs to somebody else. */
static enum rg_err check_id(enum rg_err err, const struct rg_uuid *id, const struct rg_uuid *of_row)
{
    RG_ASSERT(id != NULL);
    RG_ASSERT(err || of_row != NULL);
    return !err && memcmp(id->b, of_row->b, sizeof id->b) != 0 ? RG_ECORRUPT : err;
}

/* An index row's value. */
static enum rg_err get_id(struct rg_txn *txn, const struct rg_rowkey *key, struct rg_uuid *ret_id)
{
    struct rg_span value;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(key), &value);

    RG_ASSERT(key->n > 1);
    RG_ASSERT(ret_id != NULL);
    RG_ASSERT(key->b[0] != RG_T_USER);
    RG_ASSERT(key->b[0] != RG_T_GROUP);
    RG_ASSERT(key->b[0] != RG_T_MEMBER_GROUP); /* whose rows are empty */
    if (err)
        return err;
    return rg_take_id(value, ret_id) ? RG_OK : RG_ECORRUPT;
}

static const struct rg_row_member user_members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct rg_user, row),
    [RG_F_VERSION] = RG_ROW(struct rg_user, version),
    [RG_F_CREATED_MS] = RG_ROW(struct rg_user, created_ms),
    [RG_F_CREATED_BY] = RG_ROW(struct rg_user, created_by),
    [RG_F_UPDATED_MS] = RG_ROW(struct rg_user, updated_ms),
    [RG_F_UPDATED_BY] = RG_ROW(struct rg_user, updated_by),
    [RG_F_ID] = RG_ROW(struct rg_user, id),
    [RG_F_NAME] = RG_ROW(struct rg_user, name),
    [RG_F_DISPLAY_NAME] = RG_ROW(struct rg_user, display_name),
    [RG_F_STATUS] = RG_ROW(struct rg_user, status),
    [RG_F_EMAIL] = RG_ROW(struct rg_user, email),
    [RG_F_ATTRS] = RG_ROW(struct rg_user, attrs),
};
static const struct rg_rowmap user_map = RG_ROWMAP(user_members, struct rg_user, RG_F_ID);

static const struct rg_row_member group_members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct rg_group, row),
    [RG_F_VERSION] = RG_ROW(struct rg_group, version),
    [RG_F_CREATED_MS] = RG_ROW(struct rg_group, created_ms),
    [RG_F_CREATED_BY] = RG_ROW(struct rg_group, created_by),
    [RG_F_UPDATED_MS] = RG_ROW(struct rg_group, updated_ms),
    [RG_F_UPDATED_BY] = RG_ROW(struct rg_group, updated_by),
    [RG_F_ID] = RG_ROW(struct rg_group, id),
    [RG_F_NAME] = RG_ROW(struct rg_group, name),
    [RG_F_DESCRIPTION] = RG_ROW(struct rg_group, description),
    [RG_F_ATTRS] = RG_ROW(struct rg_group, attrs),
};
static const struct rg_rowmap group_map = RG_ROWMAP(group_members, struct rg_group, RG_F_ID);

static enum rg_err membership_parse(const struct rg_uuid *id, struct rg_span row, struct rg_membership *ret_membership)
{
    RG_ASSERT(id != NULL);
    if (row.n != 2 * RG_ID_BYTES)
        return RG_ECORRUPT;
    RG_ASSERT(row.p != NULL);
    ret_membership->id = *id;
    memcpy(ret_membership->group_id.b, row.p, RG_ID_BYTES);
    memcpy(ret_membership->user_id.b, row.p + RG_ID_BYTES, RG_ID_BYTES);
    return RG_OK;
}

/* --- single objects --- */

enum rg_err rg_user_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_user *ret_user)
{
    const struct rg_rowkey key = rg_rowkey_id(RG_T_USER, id);
    enum rg_err err = rg_rowmap_get(&user_map, txn, &key, ret_user);

    RG_ASSERT(err || ret_user->row.n > 0); /* whoever changes it goes on from that */
    return check_id(err, id, &ret_user->id);
}

enum rg_err rg_user_by_name(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id)
{
    RG_UNINIT struct rg_rowkey key;

    return rg_rowkey_folded(RG_T_USER_NAME, name, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_user_by_email(struct rg_txn *txn, struct rg_span email, struct rg_uuid *ret_id)
{
    RG_UNINIT struct rg_rowkey key;

    return rg_rowkey_folded(RG_T_USER_EMAIL, email, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_user_by_external_id(struct rg_txn *txn, struct rg_span issuer, struct rg_span id, struct rg_uuid *ret_id)
{
    RG_UNINIT struct rg_rowkey key;

    return rg_rowkey_external(RG_T_USER_EXT, issuer, id, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_group_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_group *ret_group)
{
    const struct rg_rowkey key = rg_rowkey_id(RG_T_GROUP, id);
    enum rg_err err = rg_rowmap_get(&group_map, txn, &key, ret_group);

    RG_ASSERT(err || ret_group->row.n > 0);
    return check_id(err, id, &ret_group->id);
}

enum rg_err rg_group_by_name(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id)
{
    RG_UNINIT struct rg_rowkey key;

    return rg_rowkey_folded(RG_T_GROUP_NAME, name, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_group_by_external_id(struct rg_txn *txn, struct rg_span issuer, struct rg_span id,
                                    struct rg_uuid *ret_id)
{
    RG_UNINIT struct rg_rowkey key;

    return rg_rowkey_external(RG_T_GROUP_EXT, issuer, id, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_principal_name(struct rg_txn *txn, char principal_type, const struct rg_uuid *id, struct rg_span *ret_name)
{
    const struct rg_rowkey key = rg_rowkey_id(principal_type == 'U' ? RG_T_USER : RG_T_GROUP, id);
    struct rg_span row, of_row;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(&key), &row);

    RG_ASSERT(principal_type == 'U' || principal_type == 'G');
    RG_ASSERT(ret_name != NULL);
    if (err)
        return err;
    if (!rg_tlv_get(row, RG_F_ID, &of_row) || !rg_span_eq(of_row, rg_span(id->b, sizeof id->b)))
        return RG_ECORRUPT;
    (void)rg_tlv_get(row, RG_F_NAME, ret_name); /* none: an empty one, as rg_user_get has it */
    return RG_OK;
}

enum rg_err rg_membership_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_membership *ret_membership)
{
    const struct rg_rowkey key = rg_rowkey_id(RG_T_MEMBERSHIP, id);
    struct rg_span row;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(&key), &row);

    return err ? err : membership_parse(id, row, ret_membership);
}

enum rg_err rg_membership_find(struct rg_txn *txn, const struct rg_uuid *group_id, const struct rg_uuid *user_id,
                               struct rg_membership *ret_membership)
{
    const struct rg_rowkey key = rg_rowkey_ids(RG_T_GROUP_MEMBER, group_id, user_id);
    struct rg_uuid id;
    enum rg_err err = get_id(txn, &key, &id);

    RG_ASSERT(key.n == 1 + 2 * RG_ID_BYTES);
    if (err)
        return err;
    *ret_membership = (struct rg_membership){.id = id, .group_id = *group_id, .user_id = *user_id};
    return RG_OK;
}

/* --- lists --- */

/* Rows of `prefix`, from behind the one that `after` completes. */
static enum rg_err list(struct rg_txn *txn, const struct rg_rowkey *prefix, const struct rg_uuid *after,
                        struct rg_scan *scan)
{
    struct rg_rowkey from = *prefix;

    RG_ASSERT(prefix->n == 1 || prefix->n == 1 + RG_ID_BYTES);
    RG_ASSERT(prefix->n == 1 || prefix->b[0] == RG_T_GROUP_MEMBER || prefix->b[0] == RG_T_MEMBER_GROUP);
    RG_ASSERT((prefix->n == 1) == (prefix->b[0] == RG_T_USER || prefix->b[0] == RG_T_GROUP));
    if (after != NULL)
        rg_rowkey_put(&from, after->b, sizeof after->b);
    RG_ASSERT(from.n == prefix->n + (after != NULL ? RG_ID_BYTES : 0));
    RG_ASSERT(memcmp(from.b, prefix->b, prefix->n) == 0); /* it goes on under the same prefix */
    return rg_rowkey_scan(txn, prefix, after != NULL ? &from : NULL, scan);
}

enum rg_err rg_user_list(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_USER);

    return list(txn, &prefix, after, scan);
}

enum rg_err rg_user_list_next(struct rg_scan *scan, struct rg_user *ret_user)
{
    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_USER);
    return rg_rowmap_next(&user_map, scan, ret_user);
}

enum rg_err rg_group_list(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_GROUP);

    return list(txn, &prefix, after, scan);
}

enum rg_err rg_group_list_next(struct rg_scan *scan, struct rg_group *ret_group)
{
    RG_ASSERT(scan->prefix_len == 1);
    RG_ASSERT(scan->prefix[0] == RG_T_GROUP);
    return rg_rowmap_next(&group_map, scan, ret_group);
}

enum rg_err rg_member_list(struct rg_txn *txn, const struct rg_uuid *group_id, const struct rg_uuid *after,
                           struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_id(RG_T_GROUP_MEMBER, group_id);

    _Static_assert(1 + 2 * RG_ID_BYTES <= RG_KEY_BYTES_MAX, "a key of two ids");
    return list(txn, &prefix, after, scan);
}

/* The two ids of an index key. */
static bool split_ids(struct rg_span key, struct rg_uuid *ret_a, struct rg_uuid *ret_b)
{
    RG_ASSERT(key.n >= 1 + RG_ID_BYTES); /* what was scanned */
    RG_ASSERT(key.p[0] == RG_T_GROUP_MEMBER || key.p[0] == RG_T_MEMBER_GROUP);
    return key.n == 1 + 2 * RG_ID_BYTES && rg_take_id(rg_span(key.p + 1, RG_ID_BYTES), ret_a) &&
           rg_take_id(rg_span(key.p + 1 + RG_ID_BYTES, RG_ID_BYTES), ret_b);
}

enum rg_err rg_member_list_next(struct rg_scan *scan, struct rg_membership *ret_membership)
{
    struct rg_membership m;
    struct rg_span key, value;
    enum rg_err err = rg_scan_next(scan, &key, &value);

    RG_ASSERT(scan->prefix_len == 1 + RG_ID_BYTES);
    RG_ASSERT(scan->prefix[0] == RG_T_GROUP_MEMBER);
    if (err)
        return err;
    if (!split_ids(key, &m.group_id, &m.user_id) || !rg_take_id(value, &m.id))
        return RG_ECORRUPT;
    RG_ASSERT(memcmp(m.group_id.b, scan->prefix + 1, RG_ID_BYTES) == 0);
    *ret_membership = m;
    return RG_OK;
}

enum rg_err rg_groups_of_list(struct rg_txn *txn, const struct rg_uuid *user_id, const struct rg_uuid *after,
                              struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_id(RG_T_MEMBER_GROUP, user_id);

    return list(txn, &prefix, after, scan);
}

enum rg_err rg_groups_of_list_next(struct rg_scan *scan, struct rg_membership *ret_membership)
{
    struct rg_uuid group, user;
    struct rg_span key, value;
    enum rg_err err = rg_scan_next(scan, &key, &value);

    RG_ASSERT(scan->prefix_len == 1 + RG_ID_BYTES);
    RG_ASSERT(scan->prefix[0] == RG_T_MEMBER_GROUP);
    if (err)
        return err;
    if (!split_ids(key, &user, &group))
        return RG_ECORRUPT;
    RG_ASSERT(memcmp(user.b, scan->prefix + 1, RG_ID_BYTES) == 0);
    err = rg_membership_find(scan->txn, &group, &user, ret_membership);
    RG_ASSERT(err || memcmp(ret_membership->user_id.b, scan->prefix + 1, RG_ID_BYTES) == 0);
    return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
}
