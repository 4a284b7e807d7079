/* store/model/credential: by access key id and by token, and what each is known by. */
#include "store/model/credential.h"
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

TEST(credentials)
{
    struct rg_credential c;
    uint8_t token[32];

    ck_assert_int_eq(rg_credential_by_key(txn, rg_span_str("AKIAROOT"), &c), RG_OK);
    ck_assert(rg_span_is(c.secret_sealed, "sealed"));
    ck_assert(rg_span_is(c.role, "admin"));
    ck_assert(rg_span_is(c.by, "AKIAROOT"));
    fix_token("root", token);
    ck_assert(rg_span_eq(c.token_sha256, rg_span(token, 32)));
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_OK);
    ck_assert(rg_span_is(c.access_key_id, "AKIAROOT"));
    fix_token("other", token);
    ck_assert_int_eq(rg_credential_by_token(txn, token, &c), RG_ENOTFOUND);
    ck_assert_int_eq(rg_credential_by_key(txn, rg_span_str(""), &c), RG_ENOTFOUND);
}

TEST(a_damaged_row_is_said_so)
{
    struct rg_credential c;
    struct rg_txn *write;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &write), RG_OK);
    ck_assert_int_eq(rg_row_put(write, rg_span_str("Ckk"), rg_span_str("\x21\x7fshort")), RG_OK);
    ck_assert_int_eq(rg_credential_by_key(write, rg_span_str("k"), &c), RG_ECORRUPT);
    rg_txn_free(write);
}
