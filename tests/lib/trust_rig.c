#include "tests/lib/trust_rig.h"

static uint64_t nonces;

const struct rg_es256_key *trust_key(int n)
{
    static struct rg_es256_key *keys[TRUST_KEYS];
    char secret[16];

    ck_assert(n >= 0 && n < TRUST_KEYS);
    snprintf(secret, sizeof secret, "secret %d", n);
    if (keys[n] == NULL)
        ck_assert_int_eq(rg_es256_of_access_key(rg_span_str("AKIATEST"), rg_span_str(secret), &keys[n]), RG_OK);
    return keys[n];
}

void trust_say(const struct trust_saying *s, struct rg_buf *out)
{
    struct rg_statement st = {.kind = s->kind, .cluster = rg_span_str(s->cluster != NULL ? s->cluster : TRUST_CLUSTER),
                              .fields = s->fields, .on_genesis = s->genesis != NULL, .at_ms = s->at_ms, .expires_ms = s->expires_ms};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_signed said = {.n = 0};

    memcpy(st.nonce, &s->nonce, sizeof s->nonce);
    if (s->genesis != NULL)
        memcpy(st.genesis, s->genesis, sizeof st.genesis);
    rg_buf_init(&bytes, RG_STATEMENT_BYTES_MAX);
    ck_assert_int_eq(rg_statement_encode(&st, &bytes), RG_OK);
    said.statement = rg_buf_span(&bytes);
    for (size_t i = 0; i < s->n; i++)
        ck_assert_int_eq(rg_signed_add(&said, trust_key(s->signers[i])), RG_OK);
    rg_signed_encode(&said, out);
    ck_assert_int_eq(out->err, RG_OK);
}

void trust_operator_fields(struct rg_buf *out, const char *name, int key, unsigned roles, int64_t expires_ms)
{
    rg_tlv_put_str(out, RG_F_NAME, name);
    rg_tlv_put_u64(out, RG_F_EXPIRES_MS, (uint64_t)expires_ms);
    rg_tlv_put(out, RG_F_PUBLIC_KEY, rg_es256_spki(trust_key(key)));
    rg_tlv_put_u64(out, RG_F_ROLES, roles);
}

void trust_genesis_fields(struct rg_txn *txn, struct rg_buf *out, const char *name, int key, unsigned roles, int64_t expires_ms)
{
    RG_AUTO_BUF struct rg_buf kept = {.max = 0};

    rg_buf_init(&kept, (size_t)RG_KEPT_MAX * RG_KEPT_BYTES);
    ck_assert_int_eq(rg_trust_kept(txn, &kept), RG_OK);
    trust_operator_fields(out, name, key, roles, expires_ms);
    for (size_t at = 0; at < kept.len; at += RG_KEPT_BYTES)
        rg_tlv_put(out, RG_F_KEPT, rg_span(kept.data + at, RG_KEPT_BYTES));
    rg_tlv_put(out, RG_F_ROOT_KEY, rg_es256_spki(trust_key(TRUST_ROOT)));
}

void trust_begin_cmd(struct fix *f)
{
    struct trust_saying s = {.kind = RG_SAID_GENESIS, .at_ms = f->at_ms, .expires_ms = f->at_ms + 3600000, .nonce = ++nonces,
                             .signers = {TRUST_ROOT, 1}, .n = 2};
    RG_AUTO_BUF struct rg_buf fields = {.max = 0};
    RG_AUTO_BUF struct rg_buf said = {.max = 0};
    struct rg_txn *txn = fix_read(f);

    rg_buf_init(&fields, RG_STATEMENT_FIELDS_BYTES_MAX);
    rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
    trust_genesis_fields(txn, &fields, "ann", 1, RG_ROLES_ALL, f->at_ms + INT64_C(365) * 86400000);
    rg_txn_free(txn);
    s.fields = rg_buf_span(&fields);
    trust_say(&s, &said);
    fix_cmd(f, RG_CMD_TRUST_BEGIN, "");
    rg_tlv_put(&f->cmd, RG_F_STATEMENT, rg_buf_span(&said));
}

void trust_begin(struct fix *f, uint8_t ret_genesis[32])
{
    struct rg_trust trust;
    struct rg_txn *txn;

    trust_begin_cmd(f);
    ck_assert_int_eq(fix_apply_bytes(f, rg_buf_span(&f->cmd)), RG_OK);
    txn = fix_read(f);
    ck_assert_int_eq(rg_trust_get(txn, &trust), RG_OK);
    ck_assert_uint_eq(trust.level, 2);
    memcpy(ret_genesis, trust.genesis, sizeof trust.genesis);
    rg_txn_free(txn);
}

void trust_attach(struct fix *f, const uint8_t genesis[32], unsigned kind, const char *fields, int key)
{
    struct trust_saying s = {.kind = kind, .genesis = genesis, .at_ms = f->at_ms, .expires_ms = f->at_ms + 3600000, .nonce = ++nonces,
                             .signers = {key}, .n = 1};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    RG_AUTO_BUF struct rg_buf said = {.max = 0};

    rg_buf_init(&bytes, RG_STATEMENT_FIELDS_BYTES_MAX);
    rg_buf_init(&said, RG_SIGNED_BYTES_MAX);
    fix_put_fields(&bytes, fields, fields + strlen(fields), '=', ' ');
    s.fields = rg_buf_span(&bytes);
    trust_say(&s, &said);
    rg_tlv_put(&f->cmd, RG_F_STATEMENT, rg_buf_span(&said));
}
