#include "crypto/sign/statement.h"

#include "crypto/digest.h"

enum { FORMAT = 1, SIGNATURE_BYTES = RG_STATEMENT_HASH_BYTES + RG_ES256_SIGNATURE_BYTES };
enum field { F_FORMAT = 1, F_CLUSTER, F_GENESIS, F_KIND, F_FIELDS, F_AT, F_EXPIRES, F_NONCE, F_REASON };
enum signed_field { F_STATEMENT = 1, F_SIGNATURE };

static const char domain[] = "regent-statement-1\n";

_Static_assert(RG_STATEMENT_CLUSTER_BYTES_MAX + RG_STATEMENT_FIELDS_BYTES_MAX + RG_STATEMENT_REASON_BYTES_MAX +
                       RG_STATEMENT_HASH_BYTES + RG_STATEMENT_NONCE_BYTES + 128 <= RG_STATEMENT_BYTES_MAX,
               "the largest of each part fits");

/* ---- statements ---- */

static bool valid(const struct rg_statement *s)
{
    return s->kind >= 1 && s->kind <= RG_STATEMENT_KINDS_MAX && s->cluster.n >= 1 && s->cluster.n <= RG_STATEMENT_CLUSTER_BYTES_MAX &&
           s->fields.n <= RG_STATEMENT_FIELDS_BYTES_MAX && rg_tlv_valid(s->fields) && s->reason.n <= RG_STATEMENT_REASON_BYTES_MAX &&
           s->at_ms > 0 && s->at_ms < s->expires_ms;
}

enum rg_err rg_statement_encode(const struct rg_statement *s, struct rg_buf *out)
{
    if (!valid(s))
        return RG_EINVALID;
    rg_tlv_put_u64(out, F_FORMAT, FORMAT);
    rg_tlv_put(out, F_CLUSTER, s->cluster);
    if (s->on_genesis)
        rg_tlv_put(out, F_GENESIS, rg_span(s->genesis, sizeof s->genesis));
    rg_tlv_put_u64(out, F_KIND, s->kind);
    rg_tlv_put(out, F_FIELDS, s->fields);
    rg_tlv_put_u64(out, F_AT, (uint64_t)s->at_ms);
    rg_tlv_put_u64(out, F_EXPIRES, (uint64_t)s->expires_ms);
    rg_tlv_put(out, F_NONCE, rg_span(s->nonce, sizeof s->nonce));
    if (s->reason.n > 0)
        rg_tlv_put(out, F_REASON, s->reason);
    return out->err;
}

/* A time that fits. */
static int64_t time_of(struct rg_span bytes, enum field field)
{
    uint64_t ms = rg_tlv_u64(bytes, field, 0);

    return ms <= INT64_MAX ? (int64_t)ms : 0;
}

static bool take_exact(struct rg_span bytes, enum field field, uint8_t *out, size_t n)
{
    struct rg_span value;

    if (!rg_tlv_get(bytes, field, &value) || value.n != n)
        return false;
    memcpy(out, value.p, n);
    return true;
}

/* What is read is encoded again: so there is one form for each, without unknown fields, repeated ones, or longer numbers. */
static bool is_canonical(const struct rg_statement *s, struct rg_span bytes)
{
    uint8_t memory[RG_STATEMENT_BYTES_MAX];
    struct rg_buf again;

    rg_buf_init_over(&again, memory, sizeof memory);
    return rg_statement_encode(s, &again) == RG_OK && rg_span_eq(rg_buf_span(&again), bytes);
}

enum rg_err rg_statement_decode(struct rg_span bytes, struct rg_statement *ret_statement)
{
    struct rg_statement s = {.kind = 0};
    struct rg_span genesis;
    uint64_t kind;

    if (bytes.n > RG_STATEMENT_BYTES_MAX)
        return RG_ETOOBIG;
    if (!rg_tlv_valid(bytes) || rg_tlv_u64(bytes, F_FORMAT, 0) != FORMAT || !rg_tlv_get(bytes, F_CLUSTER, &s.cluster) ||
        !rg_tlv_get(bytes, F_FIELDS, &s.fields) || !take_exact(bytes, F_NONCE, s.nonce, sizeof s.nonce))
        return RG_EMALFORMED;
    s.on_genesis = rg_tlv_get(bytes, F_GENESIS, &genesis);
    if (s.on_genesis && !take_exact(bytes, F_GENESIS, s.genesis, sizeof s.genesis))
        return RG_EMALFORMED;
    (void)rg_tlv_get(bytes, F_REASON, &s.reason);
    kind = rg_tlv_u64(bytes, F_KIND, 0);
    s.kind = kind <= RG_STATEMENT_KINDS_MAX ? (unsigned)kind : 0;
    s.at_ms = time_of(bytes, F_AT);
    s.expires_ms = time_of(bytes, F_EXPIRES);
    if (!valid(&s) || !is_canonical(&s, bytes))
        return RG_EMALFORMED;
    RG_ASSERT(s.kind >= 1);
    RG_ASSERT(s.at_ms < s.expires_ms);
    *ret_statement = s;
    return RG_OK;
}

void rg_statement_hash(struct rg_span bytes, uint8_t out[RG_STATEMENT_HASH_BYTES])
{
    const struct rg_span parts[] = {rg_span_str(domain), bytes};

    _Static_assert((int)RG_STATEMENT_HASH_BYTES == RG_SHA256_BYTES, "of that digest");
    rg_sha256_v(parts, RG_LEN(parts), out);
}

/* ---- signatures ---- */

enum rg_err rg_signed_add(struct rg_signed *said, const struct rg_es256_key *key)
{
    struct rg_signature one;
    size_t at = 0;
    enum rg_err err;

    RG_ASSERT(said->n <= RG_LEN(said->signatures));
    RG_ASSERT(said->statement.n > 0);
    if (said->n == RG_LEN(said->signatures))
        return RG_EQUOTA;
    rg_sha256(rg_es256_spki(key), one.signer);
    while (at < said->n && memcmp(said->signatures[at].signer, one.signer, sizeof one.signer) < 0)
        at++;
    if (at < said->n && memcmp(said->signatures[at].signer, one.signer, sizeof one.signer) == 0)
        return RG_ECONFLICT;
    err = rg_es256_sign(key, domain, said->statement, one.rs);
    if (err)
        return err;
    memmove(&said->signatures[at + 1], &said->signatures[at], (said->n - at) * sizeof one);
    said->signatures[at] = one;
    said->n++;
    return RG_OK;
}

void rg_signed_encode(const struct rg_signed *said, struct rg_buf *out)
{
    uint8_t both[SIGNATURE_BYTES];

    RG_ASSERT(said->n >= 1);
    RG_ASSERT(said->n <= RG_LEN(said->signatures));
    rg_tlv_put(out, F_STATEMENT, said->statement);
    for (size_t i = 0; i < said->n; i++) {
        memcpy(both, said->signatures[i].signer, RG_STATEMENT_HASH_BYTES);
        memcpy(both + RG_STATEMENT_HASH_BYTES, said->signatures[i].rs, RG_ES256_SIGNATURE_BYTES);
        rg_tlv_put(out, F_SIGNATURE, rg_span(both, sizeof both));
    }
}

/* The next one, behind the last. */
static bool take_signature(struct rg_signed *said, struct rg_span value)
{
    struct rg_signature *one = &said->signatures[said->n];

    if (value.n != SIGNATURE_BYTES || said->n == RG_LEN(said->signatures))
        return false;
    memcpy(one->signer, value.p, sizeof one->signer);
    memcpy(one->rs, value.p + sizeof one->signer, sizeof one->rs);
    said->n++;
    return said->n == 1 || memcmp(one[-1].signer, one->signer, sizeof one->signer) < 0;
}

enum rg_err rg_signed_decode(struct rg_span bytes, struct rg_signed *ret_said)
{
    uint8_t memory[RG_SIGNED_BYTES_MAX];
    struct rg_signed said = {.n = 0};
    struct rg_cursor cur;
    struct rg_buf again;
    struct rg_tlv tlv;

    if (bytes.n > RG_SIGNED_BYTES_MAX)
        return RG_ETOOBIG;
    rg_cursor_init(&cur, bytes);
    if (!rg_tlv_next(&cur, &tlv) || tlv.field != F_STATEMENT || tlv.value.n == 0)
        return RG_EMALFORMED;
    said.statement = tlv.value;
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field != F_SIGNATURE || !take_signature(&said, tlv.value))
            return RG_EMALFORMED;
    if (cur.bad || said.n == 0)
        return RG_EMALFORMED;
    rg_buf_init_over(&again, memory, sizeof memory);
    rg_signed_encode(&said, &again);
    if (again.err || !rg_span_eq(rg_buf_span(&again), bytes)) /* a length that could be shorter */
        return RG_EMALFORMED;
    *ret_said = said;
    return RG_OK;
}

enum rg_err rg_signed_verify_by(const struct rg_signed *said, size_t i, struct rg_span spki, rg_verify_fn verify)
{
    uint8_t signer[RG_STATEMENT_HASH_BYTES];

    RG_ASSERT(i < said->n);
    RG_ASSERT(said->n <= RG_LEN(said->signatures));
    rg_sha256(spki, signer);
    if (memcmp(signer, said->signatures[i].signer, sizeof signer) != 0)
        return RG_EBADSIG;
    return verify(spki, domain, said->statement, said->signatures[i].rs);
}

enum rg_err rg_signed_verify(const struct rg_signed *said, size_t i, struct rg_span spki)
{
    return rg_signed_verify_by(said, i, spki, rg_es256_verify);
}
