#include "store/db/rowkey.h"

#include "crypto/digest.h"

enum { WHOLE_BYTES_MAX = 200, CUT_BYTES = 160 };

static bool put_text(struct rg_rowkey *key, struct rg_span text)
{
    uint8_t digest[RG_SHA256_BYTES];

    if (text.n == 0 || text.n > RG_NAME_BYTES_MAX)
        return false;
    if (text.n <= WHOLE_BYTES_MAX) {
        rg_rowkey_put(key, text.p, text.n);
        return true;
    }
    rg_sha256(text, digest);
    rg_rowkey_put(key, text.p, CUT_BYTES);
    rg_rowkey_put(key, "", 1);
    rg_rowkey_put(key, digest, sizeof digest);
    return true;
}

bool rg_rowkey_text(enum rg_table table, struct rg_span text, struct rg_rowkey *ret_key)
{
    *ret_key = rg_rowkey_table(table);
    return put_text(ret_key, text);
}

bool rg_rowkey_folded(enum rg_table table, struct rg_span text, struct rg_rowkey *ret_key)
{
    uint8_t folded[RG_NAME_BYTES_MAX];

    if (text.n > sizeof folded)
        return false;
    for (size_t i = 0; i < text.n; i++) /* as rg_fold, without the heap */
        folded[i] = text.p[i] >= 'A' && text.p[i] <= 'Z' ? (uint8_t)(text.p[i] | 0x20) : text.p[i];
    return rg_rowkey_text(table, rg_span(folded, text.n), ret_key);
}

bool rg_rowkey_external(enum rg_table table, struct rg_span issuer, struct rg_span id, struct rg_rowkey *ret_key)
{
    uint8_t both[RG_NAME_BYTES_MAX];

    if (id.n == 0 || issuer.n >= sizeof both || id.n > sizeof both - issuer.n - 1)
        return false;
    if (issuer.n > 0)
        memcpy(both, issuer.p, issuer.n);
    both[issuer.n] = 0;
    memcpy(both + issuer.n + 1, id.p, id.n);
    return rg_rowkey_text(table, rg_span(both, issuer.n + 1 + id.n), ret_key);
}

bool rg_rowkey_credential(char sub, struct rg_span text, struct rg_rowkey *ret_key)
{
    *ret_key = rg_rowkey_table(RG_T_CREDENTIAL);
    rg_rowkey_put(ret_key, &sub, 1);
    return put_text(ret_key, text);
}

bool rg_account_id_ok(struct rg_span id)
{
    if (id.n != RG_ACCT_BYTES)
        return false;
    for (size_t i = 0; i < id.n; i++)
        if (id.p[i] < '0' || id.p[i] > '9')
            return false;
    return true;
}
