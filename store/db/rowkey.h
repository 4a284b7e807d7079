/* store/db/rowkey.h: building the keys of rows, as store/db/schema.h lays them out. For store/ only. */
#ifndef REGENT_STORE_DB_ROWKEY_H
#define REGENT_STORE_DB_ROWKEY_H

#include "store/db/schema.h"

enum {
    RG_ID_BYTES = 16,
    RG_PSID_BYTES = 8,
    RG_ACCT_BYTES = 12,
    RG_NAME_BYTES_MAX = 4096, /* of anything that is indexed by its text; longer ones are refused */
    RG_ASSIGN_KEY_BYTES = 1 + RG_ACCT_BYTES + RG_PSID_BYTES + 1 + RG_ID_BYTES,
};

/** Twelve ASCII digits. */
bool rg_account_id_ok(struct rg_span id);

_Static_assert(sizeof(struct rg_uuid) == RG_ID_BYTES, "an id's bytes are the key's");
_Static_assert(sizeof(struct rg_psid) == RG_PSID_BYTES, "a permission set's too");

/* A key on the stack. Fixed-size parts only overflow by our own mistake. */
struct rg_rowkey {
    uint8_t b[256];
    size_t n;
};
_Static_assert(sizeof ((struct rg_rowkey *)NULL)->b <= RG_KEY_BYTES_MAX, "every key that is built can be written");
_Static_assert((size_t)RG_ASSIGN_KEY_BYTES <= sizeof ((struct rg_rowkey *)NULL)->b, "the longest of fixed size");

static inline struct rg_span rg_rowkey_span(const struct rg_rowkey *key)
{
    RG_ASSERT(key->n <= sizeof key->b);
    RG_ASSERT(key->n == 0 || key->b[0] != 0); /* the meta row is nobody's */
    return rg_span(key->b, key->n);
}
static inline void rg_rowkey_put(struct rg_rowkey *key, const void *p, size_t n)
{
    RG_ASSERT(key->n <= sizeof key->b);
    RG_ASSERT(n <= sizeof key->b - key->n);
    RG_ASSERT(p != NULL || n == 0);
    if (n > 0)
        memcpy(key->b + key->n, p, n);
    key->n += n;
}
static inline struct rg_rowkey rg_rowkey_table(enum rg_table table)
{
    RG_UNINIT struct rg_rowkey key;

    RG_ASSERT(table > 0); /* the meta row's */
    RG_ASSERT(table <= UINT8_MAX);
    key.b[0] = (uint8_t)table;
    key.n = 1;
    return key;
}
/** table, 16-byte id. */
static inline struct rg_rowkey rg_rowkey_id(enum rg_table table, const struct rg_uuid *id)
{
    struct rg_rowkey key = rg_rowkey_table(table);

    RG_ASSERT(id != NULL);
    rg_rowkey_put(&key, id->b, RG_ID_BYTES);
    RG_ASSERT(key.n == 1 + RG_ID_BYTES);
    return key;
}
/** table, number big-endian. */
static inline struct rg_rowkey rg_rowkey_u64(enum rg_table table, uint64_t number)
{
    struct rg_rowkey key = rg_rowkey_table(table);
    uint8_t bytes[8];

    _Static_assert(sizeof bytes == sizeof number, "all of it");
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(number >> (56 - 8 * i));
    rg_rowkey_put(&key, bytes, sizeof bytes);
    RG_ASSERT(key.n == 1 + sizeof bytes);
    return key;
}
/** table, two ids. */
static inline struct rg_rowkey rg_rowkey_ids(enum rg_table table, const struct rg_uuid *a, const struct rg_uuid *b)
{
    struct rg_rowkey key = rg_rowkey_id(table, a);

    RG_ASSERT(b != NULL);
    rg_rowkey_put(&key, b->b, RG_ID_BYTES);
    RG_ASSERT(key.n == 1 + 2 * RG_ID_BYTES);
    return key;
}
static inline struct rg_rowkey rg_rowkey_psid(enum rg_table table, const struct rg_psid *id)
{
    struct rg_rowkey key = rg_rowkey_table(table);

    RG_ASSERT(id != NULL);
    rg_rowkey_put(&key, id->b, RG_PSID_BYTES);
    RG_ASSERT(key.n == 1 + RG_PSID_BYTES);
    return key;
}
static inline struct rg_rowkey rg_rowkey_account(const char *account_id)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ACCOUNT);

    RG_ASSERT(rg_account_id_ok(rg_span(account_id, RG_ACCT_BYTES)));
    rg_rowkey_put(&key, account_id, RG_ACCT_BYTES);
    RG_ASSERT(key.n == 1 + RG_ACCT_BYTES);
    return key;
}

/** 'c' or 'd' of a creation or deletion, request id. */
static inline struct rg_rowkey rg_rowkey_request(bool deletion, const struct rg_uuid *id)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_REQUEST);

    RG_ASSERT(id != NULL);
    rg_rowkey_put(&key, deletion ? "d" : "c", 1);
    rg_rowkey_put(&key, id->b, RG_ID_BYTES);
    RG_ASSERT(key.n == 1 + 1 + RG_ID_BYTES);
    return key;
}
/** An assignment's row and its two indexes: the same parts in other orders. account: 12 digits. */
struct rg_rowkey rg_rowkey_assign(const char *account, const struct rg_psid *permset, char principal_type, const struct rg_uuid *id);
struct rg_rowkey rg_rowkey_assign_by(const char *account, const struct rg_psid *permset, char principal_type,
                                     const struct rg_uuid *id);
struct rg_rowkey rg_rowkey_assign_ps(const char *account, const struct rg_psid *permset, char principal_type,
                                     const struct rg_uuid *id);

/** table, text as it is, or cut and hashed when long. False: empty or over RG_NAME_BYTES_MAX, so no row can have it. */
bool rg_rowkey_text(enum rg_table table, struct rg_span text, struct rg_rowkey *ret_key);
/** The same of the folded text. */
bool rg_rowkey_folded(enum rg_table table, struct rg_span text, struct rg_rowkey *ret_key);
/** table, issuer 0x00 id. */
bool rg_rowkey_external(enum rg_table table, struct rg_span issuer, struct rg_span id, struct rg_rowkey *ret_key);
/** Credentials: sub 'k' or 't'. */
bool rg_rowkey_credential(char sub, struct rg_span text, struct rg_rowkey *ret_key);
/** Of trust: sub 'g' or 'c', or 'o' or 'n' and the 32 bytes of a hash (none: all of them). */
struct rg_rowkey rg_rowkey_trust(char sub, struct rg_span hash);
/** The number behind the table's byte. False: the key is of another form. */
bool rg_rowkey_take_u64(struct rg_span key, uint64_t *ret_number);

/* Parts of keys and values. False, and nothing written: not of that form. */
static inline bool rg_take_id(struct rg_span value, struct rg_uuid *ret_id)
{
    _Static_assert(sizeof ret_id->b == RG_ID_BYTES, "whole");
    RG_ASSERT(value.p != NULL || value.n == 0);
    if (value.n != RG_ID_BYTES)
        return false;
    memcpy(ret_id->b, value.p, RG_ID_BYTES);
    return true;
}
static inline bool rg_take_psid(struct rg_span value, struct rg_psid *ret_id)
{
    _Static_assert(sizeof ret_id->b == RG_PSID_BYTES, "whole");
    RG_ASSERT(value.p != NULL || value.n == 0);
    if (value.n != RG_PSID_BYTES)
        return false;
    memcpy(ret_id->b, value.p, RG_PSID_BYTES);
    return true;
}
static inline bool rg_take_account(struct rg_span value, char ret_id[RG_ACCT_BYTES + 1])
{
    if (!rg_account_id_ok(value))
        return false;
    RG_ASSERT(value.n == RG_ACCT_BYTES);
    memcpy(ret_id, value.p, RG_ACCT_BYTES);
    ret_id[RG_ACCT_BYTES] = '\0';
    return true;
}

#endif
