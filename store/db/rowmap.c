#include "store/db/rowmap.h"

enum { FIELDS_MAX = 128 };
#define FIELD_FITS(name, number, json, form) \
    _Static_assert(number != RG_ROW_WHOLE && number < FIELDS_MAX, "every field can be a member");
RG_FIELD_MAP(FIELD_FITS)
#undef FIELD_FITS

static bool take_number(uint32_t field, struct rg_span value, uint64_t *ret_number)
{
    RG_ASSERT(field >= 1);
    *ret_number = 0;
    return rg_tlv_number(value, ret_number) || field >= RG_F_ID;
}

/* False: the value cannot be what the member is. */
static bool take(const struct rg_row_member *member, uint32_t field, struct rg_span value, uint8_t *thing)
{
    uint8_t *to = thing + member->at;
    uint64_t number;

    RG_ASSERT(member->at < RG_ROWMAP_BYTES_MAX);
    RG_ASSERT(field >= 1);
    RG_ASSERT(field < FIELDS_MAX);
    switch ((enum rg_row_form)member->form) {
    case RG_ROW_NONE:
        return true;
    case RG_ROW_SPAN:
        memcpy(to, &value, sizeof value);
        return true;
    case RG_ROW_U64:
    case RG_ROW_MS:
        if (!take_number(field, value, &number))
            return false;
        memcpy(to, &number, sizeof number);
        return true;
    case RG_ROW_FLAG:
        if (!take_number(field, value, &number))
            return false;
        memcpy(to, &(bool){number != 0}, sizeof(bool));
        return true;
    case RG_ROW_CHAR:
        if (value.n != 1)
            return false;
        *to = value.p[0];
        return true;
    case RG_ROW_ID:
        return rg_take_id(value, (struct rg_uuid *)to);
    case RG_ROW_PSID:
        return rg_take_psid(value, (struct rg_psid *)to);
    case RG_ROW_ACCOUNT:
        return rg_take_account(value, (char *)to);
    }
    return false;
}

static bool was_seen(const uint64_t *seen, uint32_t field)
{
    RG_ASSERT(field < FIELDS_MAX);
    return seen[field / 64] >> field % 64 & 1;
}

enum rg_err rg_rowmap_read(const struct rg_rowmap *map, struct rg_span row, void *ret_thing)
{
    RG_UNINIT _Alignas(max_align_t) uint8_t thing[RG_ROWMAP_BYTES_MAX];
    uint64_t seen[FIELDS_MAX / 64] = {0}; /* a bit for each field */
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(map->n > 0);
    RG_ASSERT(map->bytes > 0);
    RG_ASSERT(map->bytes <= sizeof thing);
    RG_ASSERT(map->n <= FIELDS_MAX);
    memset(thing, 0, map->bytes);
    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field >= map->n || map->of[tlv.field].form == RG_ROW_NONE || was_seen(seen, tlv.field))
            continue;
        seen[tlv.field / 64] |= 1ULL << tlv.field % 64;
        RG_ASSERT(map->of[tlv.field].at < map->bytes);
        if (!take(&map->of[tlv.field], tlv.field, tlv.value, thing))
            return RG_ECORRUPT;
    }
    if (cur.bad)
        return RG_ECORRUPT;
    for (size_t i = 0; i < RG_LEN(map->needs) && map->needs[i] != 0; i++) {
        RG_ASSERT(map->needs[i] < map->n); /* else no row has it */
        if (!was_seen(seen, map->needs[i]))
            return RG_ECORRUPT;
    }
    if (map->of[RG_ROW_WHOLE].form == RG_ROW_SPAN)
        memcpy(thing + map->of[RG_ROW_WHOLE].at, &row, sizeof row);
    RG_ASSERT(map->of[RG_ROW_WHOLE].at + sizeof row <= map->bytes || map->of[RG_ROW_WHOLE].form != RG_ROW_SPAN);
    memcpy(ret_thing, thing, map->bytes);
    return RG_OK;
}

enum rg_err rg_rowmap_get(const struct rg_rowmap *map, struct rg_txn *txn, const struct rg_rowkey *key, void *ret_thing)
{
    struct rg_span row;
    enum rg_err err = rg_row_get(txn, rg_rowkey_span(key), &row);

    RG_ASSERT(key->n > 0);
    RG_ASSERT(map->needs[0] < map->n);
    return err ? err : rg_rowmap_read(map, row, ret_thing);
}

enum rg_err rg_rowmap_next(const struct rg_rowmap *map, struct rg_scan *scan, void *ret_thing)
{
    struct rg_span key, row;
    enum rg_err err = rg_scan_next(scan, &key, &row);

    RG_ASSERT(scan->txn != NULL);
    RG_ASSERT(map->needs[0] < map->n);
    return err ? err : rg_rowmap_read(map, row, ret_thing);
}

enum rg_err rg_rowkey_scan(struct rg_txn *txn, const struct rg_rowkey *prefix, const struct rg_rowkey *after, struct rg_scan *scan)
{
    RG_ASSERT(prefix->n > 0);
    RG_ASSERT(after == NULL || after->n == 0 || after->b[0] == prefix->b[0]); /* of one table */
    return rg_scan_begin(txn, rg_rowkey_span(prefix), after != NULL ? rg_rowkey_span(after) : rg_span(NULL, 0), scan);
}
