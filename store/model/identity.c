#include "store/model/identity.h"

#include "store/db/rowkey.h"

static bool take_id(struct rg_span value, struct rg_uuid *ret_id)
{
    if (value.n != sizeof ret_id->b)
        return false;
    memcpy(ret_id->b, value.p, sizeof ret_id->b);
    return true;
}

/* An index row's value. */
static enum rg_err get_id(struct rg_txn *txn, const struct rg_rowkey *key, struct rg_uuid *ret_id)
{
    struct rg_span value;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(key), &value);

    if (err)
        return err;
    return take_id(value, ret_id) ? RG_OK : RG_ECORRUPT;
}

/* --- rows to values: the first of a field counts --- */

static void first(struct rg_span *to, struct rg_span value)
{
    if (to->p == NULL)
        *to = value;
}

static bool number(struct rg_span value, uint64_t *ret_number) { return rg_tlv_number(value, ret_number); }

static bool time_ms(struct rg_span value, int64_t *ret_ms)
{
    uint64_t v;

    if (!rg_tlv_number(value, &v))
        return false;
    *ret_ms = (int64_t)v;
    return true;
}

static enum rg_err user_parse(struct rg_span row, struct rg_user *ret_user)
{
    struct rg_user user = {.row = row};
    bool has_id = false, ok = true;
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, row);
    while (ok && rg_tlv_next(&cur, &tlv)) {
        switch (tlv.field) {
        case RG_F_VERSION:
            ok = number(tlv.value, &user.version);
            break;
        case RG_F_CREATED_MS:
            ok = time_ms(tlv.value, &user.created_ms);
            break;
        case RG_F_CREATED_BY:
            first(&user.created_by, tlv.value);
            break;
        case RG_F_UPDATED_MS:
            ok = time_ms(tlv.value, &user.updated_ms);
            break;
        case RG_F_UPDATED_BY:
            first(&user.updated_by, tlv.value);
            break;
        case RG_F_ID:
            ok = has_id || take_id(tlv.value, &user.id);
            has_id = true;
            break;
        case RG_F_NAME:
            first(&user.name, tlv.value);
            break;
        case RG_F_DISPLAY_NAME:
            first(&user.display_name, tlv.value);
            break;
        case RG_F_STATUS:
            first(&user.status, tlv.value);
            break;
        case RG_F_EMAIL:
            first(&user.email, tlv.value);
            break;
        case RG_F_ATTRS:
            first(&user.attrs, tlv.value);
            break;
        default:
            break;
        }
    }
    if (!ok || cur.bad || !has_id)
        return RG_ECORRUPT;
    *ret_user = user;
    return RG_OK;
}

static enum rg_err group_parse(struct rg_span row, struct rg_group *ret_group)
{
    struct rg_group group = {.row = row};
    bool has_id = false, ok = true;
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_cursor_init(&cur, row);
    while (ok && rg_tlv_next(&cur, &tlv)) {
        switch (tlv.field) {
        case RG_F_VERSION:
            ok = number(tlv.value, &group.version);
            break;
        case RG_F_CREATED_MS:
            ok = time_ms(tlv.value, &group.created_ms);
            break;
        case RG_F_CREATED_BY:
            first(&group.created_by, tlv.value);
            break;
        case RG_F_UPDATED_MS:
            ok = time_ms(tlv.value, &group.updated_ms);
            break;
        case RG_F_UPDATED_BY:
            first(&group.updated_by, tlv.value);
            break;
        case RG_F_ID:
            ok = has_id || take_id(tlv.value, &group.id);
            has_id = true;
            break;
        case RG_F_NAME:
            first(&group.name, tlv.value);
            break;
        case RG_F_DESCRIPTION:
            first(&group.description, tlv.value);
            break;
        case RG_F_ATTRS:
            first(&group.attrs, tlv.value);
            break;
        default:
            break;
        }
    }
    if (!ok || cur.bad || !has_id)
        return RG_ECORRUPT;
    *ret_group = group;
    return RG_OK;
}

static enum rg_err membership_parse(const struct rg_uuid *id, struct rg_span row, struct rg_membership *ret_membership)
{
    if (row.n != 2 * RG_ID_BYTES)
        return RG_ECORRUPT;
    ret_membership->id = *id;
    memcpy(ret_membership->group_id.b, row.p, RG_ID_BYTES);
    memcpy(ret_membership->user_id.b, row.p + RG_ID_BYTES, RG_ID_BYTES);
    return RG_OK;
}

/* --- single objects --- */

enum rg_err rg_user_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_user *ret_user)
{
    const struct rg_rowkey key = rg_rowkey_id(RG_T_USER, id);
    struct rg_span row;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(&key), &row);

    return err ? err : user_parse(row, ret_user);
}

enum rg_err rg_user_by_name(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id)
{
    struct rg_rowkey key;

    return rg_rowkey_folded(RG_T_USER_NAME, name, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_user_by_email(struct rg_txn *txn, struct rg_span email, struct rg_uuid *ret_id)
{
    struct rg_rowkey key;

    return rg_rowkey_folded(RG_T_USER_EMAIL, email, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_user_by_external_id(struct rg_txn *txn, struct rg_span issuer, struct rg_span id, struct rg_uuid *ret_id)
{
    struct rg_rowkey key;

    return rg_rowkey_external(RG_T_USER_EXT, issuer, id, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_group_get(struct rg_txn *txn, const struct rg_uuid *id, struct rg_group *ret_group)
{
    const struct rg_rowkey key = rg_rowkey_id(RG_T_GROUP, id);
    struct rg_span row;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(&key), &row);

    return err ? err : group_parse(row, ret_group);
}

enum rg_err rg_group_by_name(struct rg_txn *txn, struct rg_span name, struct rg_uuid *ret_id)
{
    struct rg_rowkey key;

    return rg_rowkey_folded(RG_T_GROUP_NAME, name, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
}

enum rg_err rg_group_by_external_id(struct rg_txn *txn, struct rg_span issuer, struct rg_span id,
                                    struct rg_uuid *ret_id)
{
    struct rg_rowkey key;

    return rg_rowkey_external(RG_T_GROUP_EXT, issuer, id, &key) ? get_id(txn, &key, ret_id) : RG_ENOTFOUND;
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

    if (after == NULL)
        return rg_scan_begin(txn, rg_rowkey_span(prefix), rg_span(NULL, 0), scan);
    rg_rowkey_put(&from, after->b, sizeof after->b);
    return rg_scan_begin(txn, rg_rowkey_span(prefix), rg_rowkey_span(&from), scan);
}

enum rg_err rg_user_list(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_USER);

    return list(txn, &prefix, after, scan);
}

enum rg_err rg_user_list_next(struct rg_scan *scan, struct rg_user *ret_user)
{
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    return err ? err : user_parse(row, ret_user);
}

enum rg_err rg_group_list(struct rg_txn *txn, const struct rg_uuid *after, struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_table(RG_T_GROUP);

    return list(txn, &prefix, after, scan);
}

enum rg_err rg_group_list_next(struct rg_scan *scan, struct rg_group *ret_group)
{
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    return err ? err : group_parse(row, ret_group);
}

enum rg_err rg_member_list(struct rg_txn *txn, const struct rg_uuid *group_id, const struct rg_uuid *after,
                           struct rg_scan *scan)
{
    const struct rg_rowkey prefix = rg_rowkey_id(RG_T_GROUP_MEMBER, group_id);

    return list(txn, &prefix, after, scan);
}

/* The two ids of an index key. */
static bool split_ids(struct rg_span key, struct rg_uuid *ret_a, struct rg_uuid *ret_b)
{
    return key.n == 1 + 2 * RG_ID_BYTES && take_id(rg_span(key.p + 1, RG_ID_BYTES), ret_a) &&
           take_id(rg_span(key.p + 1 + RG_ID_BYTES, RG_ID_BYTES), ret_b);
}

enum rg_err rg_member_list_next(struct rg_scan *scan, struct rg_membership *ret_membership)
{
    struct rg_membership m;
    struct rg_span key, value;
    enum rg_err err = rg_scan_next(scan, &key, &value);

    if (err)
        return err;
    if (!split_ids(key, &m.group_id, &m.user_id) || !take_id(value, &m.id))
        return RG_ECORRUPT;
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

    if (err)
        return err;
    if (!split_ids(key, &user, &group))
        return RG_ECORRUPT;
    err = rg_membership_find(scan->txn, &group, &user, ret_membership);
    return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
}
