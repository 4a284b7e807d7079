#include "store/db/rowkey.h"

#include "crypto/digest.h"

enum { WHOLE_BYTES_MAX = 200, CUT_BYTES = 160 };
_Static_assert(2 + WHOLE_BYTES_MAX <= sizeof ((struct rg_rowkey *)NULL)->b, "room behind a table and a credential's kind");
_Static_assert(2 + CUT_BYTES + 1 + RG_SHA256_BYTES <= sizeof ((struct rg_rowkey *)NULL)->b, "the same when it is cut");
_Static_assert((int)CUT_BYTES < (int)WHOLE_BYTES_MAX, "what is cut has that many bytes");

static bool put_text(struct rg_rowkey *key, struct rg_span text)
{
    uint8_t digest[RG_SHA256_BYTES];

    RG_ASSERT(key->n >= 1);
    RG_ASSERT(key->n <= 2);
    RG_ASSERT(text.p != NULL || text.n == 0);
    if (text.n == 0 || text.n > RG_NAME_BYTES_MAX)
        return false;
    if (text.n <= WHOLE_BYTES_MAX) {
        rg_rowkey_put(key, text.p, text.n);
        return true;
    }
    RG_ASSERT(text.n > CUT_BYTES);
    rg_sha256(text, digest);
    rg_rowkey_put(key, text.p, CUT_BYTES);
    rg_rowkey_put(key, "", 1);
    rg_rowkey_put(key, digest, sizeof digest);
    RG_ASSERT(key->n <= 2 + CUT_BYTES + 1 + RG_SHA256_BYTES);
    return true;
}

bool rg_rowkey_text(enum rg_table table, struct rg_span text, struct rg_rowkey *ret_key)
{
    RG_ASSERT(ret_key != NULL);
    RG_ASSERT(table != RG_T_CREDENTIAL); /* whose keys say of which kind they are */
    *ret_key = rg_rowkey_table(table);
    return put_text(ret_key, text);
}

bool rg_rowkey_folded(enum rg_table table, struct rg_span text, struct rg_rowkey *ret_key)
{
    RG_UNINIT uint8_t folded[RG_NAME_BYTES_MAX];

    RG_ASSERT(text.p != NULL || text.n == 0);
    if (text.n > sizeof folded)
        return false;
    for (size_t i = 0; i < text.n; i++) /* as rg_fold, without the heap */
        folded[i] = text.p[i] >= 'A' && text.p[i] <= 'Z' ? (uint8_t)(text.p[i] | 0x20) : text.p[i];
    return rg_rowkey_text(table, rg_span(folded, text.n), ret_key);
}

bool rg_rowkey_external(enum rg_table table, struct rg_span issuer, struct rg_span id, struct rg_rowkey *ret_key)
{
    RG_UNINIT uint8_t both[RG_NAME_BYTES_MAX];

    RG_ASSERT(issuer.p != NULL || issuer.n == 0);
    RG_ASSERT(id.p != NULL || id.n == 0);
    if (id.n == 0 || issuer.n >= sizeof both || id.n > sizeof both - issuer.n - 1)
        return false;
    if (issuer.n > 0)
        memcpy(both, issuer.p, issuer.n);
    both[issuer.n] = 0;
    memcpy(both + issuer.n + 1, id.p, id.n);
    RG_ASSERT(issuer.n + 1 + id.n <= sizeof both);
    return rg_rowkey_text(table, rg_span(both, issuer.n + 1 + id.n), ret_key);
}

bool rg_rowkey_credential(char sub, struct rg_span text, struct rg_rowkey *ret_key)
{
    RG_ASSERT(sub == 'k' || sub == 't');
    RG_ASSERT(text.p != NULL || text.n == 0);
    *ret_key = rg_rowkey_table(RG_T_CREDENTIAL);
    rg_rowkey_put(ret_key, &sub, 1);
    return put_text(ret_key, text);
}

struct rg_rowkey rg_rowkey_trust(char sub, struct rg_span hash)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_TRUST);

    RG_ASSERT(sub == 'g' || sub == 'o' || sub == 'n' || sub == 'c');
    RG_ASSERT(hash.n == 0 || (hash.n == 32 && (sub == 'o' || sub == 'n')));
    rg_rowkey_put(&key, &sub, 1);
    rg_rowkey_put(&key, hash.p, hash.n);
    return key;
}

bool rg_rowkey_take_u64(struct rg_span key, uint64_t *ret_number)
{
    uint64_t number = 0;

    RG_ASSERT(key.p != NULL || key.n == 0);
    if (key.n != 1 + sizeof number)
        return false;
    for (size_t i = 1; i < key.n; i++)
        number = number << 8 | key.p[i];
    *ret_number = number;
    return true;
}

static void put_principal(struct rg_rowkey *key, char principal_type, const struct rg_uuid *id)
{
    RG_ASSERT(key->n >= 1);
    RG_ASSERT(key->n + 1 + RG_ID_BYTES <= RG_ASSIGN_KEY_BYTES);
    RG_ASSERT(id != NULL);
    rg_rowkey_put(key, &principal_type, 1); /* any byte: a list may go on behind what a client's token says */
    rg_rowkey_put(key, id->b, RG_ID_BYTES);
}

struct rg_rowkey rg_rowkey_assign(const char *account, const struct rg_psid *permset, char principal_type, const struct rg_uuid *id)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN);

    RG_ASSERT(permset != NULL);
    rg_rowkey_put(&key, account, RG_ACCT_BYTES);
    rg_rowkey_put(&key, permset->b, RG_PSID_BYTES);
    put_principal(&key, principal_type, id);
    RG_ASSERT(key.n == RG_ASSIGN_KEY_BYTES);
    return key;
}

struct rg_rowkey rg_rowkey_assign_by(const char *account, const struct rg_psid *permset, char principal_type,
                                     const struct rg_uuid *id)
{
    struct rg_rowkey key = rg_rowkey_table(RG_T_ASSIGN_BY);

    RG_ASSERT(permset != NULL);
    put_principal(&key, principal_type, id);
    rg_rowkey_put(&key, account, RG_ACCT_BYTES);
    rg_rowkey_put(&key, permset->b, RG_PSID_BYTES);
    RG_ASSERT(key.n == RG_ASSIGN_KEY_BYTES);
    return key;
}

struct rg_rowkey rg_rowkey_assign_ps(const char *account, const struct rg_psid *permset, char principal_type,
                                     const struct rg_uuid *id)
{
    struct rg_rowkey key = rg_rowkey_psid(RG_T_ASSIGN_PS, permset);

    rg_rowkey_put(&key, account, RG_ACCT_BYTES);
    put_principal(&key, principal_type, id);
    RG_ASSERT(key.n == RG_ASSIGN_KEY_BYTES);
    return key;
}

bool rg_account_id_ok(struct rg_span id)
{
    RG_ASSERT(id.p != NULL || id.n == 0);
    if (id.n != RG_ACCT_BYTES)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] < '0' || id.p[i] > '9')
            return false;
    return true;
}
