#include "crypto/sign/epoch.h"

#include "crypto/digest.h"

enum { FORMAT = 1, NUMBER_BYTES_MAX = 12 };
enum vouched_field { V_TEXT = 1, V_SPKI, V_RS };
enum promise_field { P_FORMAT = 1, P_GENESIS, P_NODE, P_INCARNATION, P_EPOCH, P_DECLARATION, P_TERM, P_INDEX, P_LEASE, P_HEARD, P_CEDED };
enum certificate_field {
    C_FORMAT = 1,
    C_GENESIS,
    C_KIND,
    C_EPOCH,
    C_NODE,
    C_KEY,
    C_PREVIOUS,
    C_PREVIOUS_HASH,
    C_FIRST,
    C_TERM,
    C_FIRST_HASH,
    C_AT,
    C_DECLARATION,
    C_PROMISE,
};

const char rg_promise_domain[] = "regent-promise-1\n", rg_certificate_domain[] = "regent-epoch-1\n";

_Static_assert(2 * 34 + 18 + 8 * NUMBER_BYTES_MAX <= RG_PROMISE_TEXT_BYTES_MAX, "the largest promise");
_Static_assert(RG_PROMISE_TEXT_BYTES_MAX + 3 + RG_ES256_SPKI_BYTES + 2 + RG_ES256_SIGNATURE_BYTES + 2 <= RG_PROMISE_BYTES_MAX, "signed");
_Static_assert(4 * 34 + 8 * NUMBER_BYTES_MAX + RG_CERTIFICATE_DECLARATION_BYTES_MAX + 3 +
                       RG_CERTIFICATE_PROMISES_MAX * (RG_PROMISE_BYTES_MAX + 3) <= RG_CERTIFICATE_TEXT_BYTES_MAX,
               "the largest certificate");

static bool take_exact(struct rg_span bytes, uint32_t field, uint8_t *out, size_t n)
{
    struct rg_span value;

    RG_ASSERT(n > 0);
    if (!rg_tlv_get(bytes, field, &value) || value.n != n)
        return false;
    memcpy(out, value.p, n);
    return true;
}

/* ---- what a node's key has signed ---- */

enum rg_err rg_vouched_encode(const struct rg_vouched *v, struct rg_buf *out)
{
    _Static_assert(V_RS == 3, "in this order");
    RG_ASSERT(v->text.p != NULL || v->text.n == 0);
    if (v->text.n == 0 || v->text.n > RG_CERTIFICATE_TEXT_BYTES_MAX || v->spki.n != RG_ES256_SPKI_BYTES)
        return RG_EINVALID;
    rg_tlv_put(out, V_TEXT, v->text);
    rg_tlv_put(out, V_SPKI, v->spki);
    rg_tlv_put(out, V_RS, rg_span(v->rs, sizeof v->rs));
    return out->err;
}

enum rg_err rg_vouched_decode(struct rg_span bytes, struct rg_vouched *ret_vouched)
{
    struct rg_vouched v = {.text = {NULL, 0}};
    uint8_t memory[RG_CERTIFICATE_BYTES_MAX];
    struct rg_buf again;

    if (bytes.n > sizeof memory)
        return RG_ETOOBIG;
    if (!rg_tlv_valid(bytes) || !rg_tlv_get(bytes, V_TEXT, &v.text) || !rg_tlv_get(bytes, V_SPKI, &v.spki) ||
        !take_exact(bytes, V_RS, v.rs, sizeof v.rs))
        return RG_EMALFORMED;
    rg_buf_init_over(&again, memory, sizeof memory);
    if (rg_vouched_encode(&v, &again) != RG_OK || !rg_span_eq(rg_buf_span(&again), bytes))
        return RG_EMALFORMED;
    RG_ASSERT(v.text.n > 0);
    RG_ASSERT(v.spki.n == RG_ES256_SPKI_BYTES);
    *ret_vouched = v;
    return RG_OK;
}

/* ---- promises ---- */

static bool promise_ok(const struct rg_promise *p)
{
    return p->node >= 1 && p->node <= RG_CERTIFICATE_NODES_MAX && p->epoch >= 1 && p->epoch <= UINT32_MAX;
}

enum rg_err rg_promise_encode(const struct rg_promise *p, struct rg_buf *out)
{
    if (!promise_ok(p))
        return RG_EINVALID;
    rg_tlv_put_u64(out, P_FORMAT, FORMAT);
    rg_tlv_put(out, P_GENESIS, rg_span(p->genesis, sizeof p->genesis));
    rg_tlv_put_u64(out, P_NODE, p->node);
    rg_tlv_put(out, P_INCARNATION, rg_span(p->incarnation, sizeof p->incarnation));
    rg_tlv_put_u64(out, P_EPOCH, p->epoch);
    if (p->declared)
        rg_tlv_put(out, P_DECLARATION, rg_span(p->declaration, sizeof p->declaration));
    rg_tlv_put_u64(out, P_TERM, p->last_term);
    rg_tlv_put_u64(out, P_INDEX, p->last_index);
    rg_tlv_put_u64(out, P_LEASE, p->lease_left_ms);
    if (p->heard_ms != UINT64_MAX)
        rg_tlv_put_u64(out, P_HEARD, p->heard_ms);
    if (p->ceded)
        rg_tlv_put_u64(out, P_CEDED, 1);
    return out->err;
}

/* What is read is encoded again: so there is one form for each, without unknown fields, repeated ones, or longer numbers. */
enum rg_err rg_promise_decode(struct rg_span text, struct rg_promise *ret_promise)
{
    struct rg_promise p = {.node = 0};
    uint8_t memory[RG_PROMISE_TEXT_BYTES_MAX];
    struct rg_span value;
    struct rg_buf again;

    if (text.n > sizeof memory || !rg_tlv_valid(text) || rg_tlv_u64(text, P_FORMAT, 0) != FORMAT ||
        !take_exact(text, P_GENESIS, p.genesis, sizeof p.genesis) ||
        !take_exact(text, P_INCARNATION, p.incarnation, sizeof p.incarnation))
        return RG_EMALFORMED;
    p.declared = rg_tlv_get(text, P_DECLARATION, &value);
    if (p.declared && !take_exact(text, P_DECLARATION, p.declaration, sizeof p.declaration))
        return RG_EMALFORMED;
    p.node = rg_tlv_u64(text, P_NODE, 0);
    p.epoch = rg_tlv_u64(text, P_EPOCH, 0);
    p.last_term = rg_tlv_u64(text, P_TERM, 0);
    p.last_index = rg_tlv_u64(text, P_INDEX, 0);
    p.lease_left_ms = rg_tlv_u64(text, P_LEASE, 0);
    p.heard_ms = rg_tlv_u64(text, P_HEARD, UINT64_MAX);
    p.ceded = rg_tlv_u64(text, P_CEDED, 0) == 1;
    rg_buf_init_over(&again, memory, sizeof memory);
    if (rg_promise_encode(&p, &again) != RG_OK || !rg_span_eq(rg_buf_span(&again), text))
        return RG_EMALFORMED;
    RG_ASSERT(p.node >= 1);
    RG_ASSERT(p.epoch <= UINT32_MAX);
    *ret_promise = p;
    return RG_OK;
}

/* ---- certificates ---- */

static bool promise_of(struct rg_span bytes, uint64_t *ret_node)
{
    struct rg_vouched v;
    struct rg_promise p;

    if (bytes.n > RG_PROMISE_BYTES_MAX || rg_vouched_decode(bytes, &v) != RG_OK || rg_promise_decode(v.text, &p) != RG_OK)
        return false;
    RG_ASSERT(p.node >= 1);
    *ret_node = p.node;
    return true;
}

/* No node twice, and the one that begins it not at all. */
static bool promises_ok(const struct rg_certificate *c)
{
    uint64_t last = 0, node;

    if (c->n_promises > RG_LEN(c->promises))
        return false;
    for (size_t i = 0; i < c->n_promises; i++) {
        if (!promise_of(c->promises[i], &node) || node <= last || node == c->node)
            return false;
        last = node;
    }
    RG_ASSERT(last <= RG_CERTIFICATE_NODES_MAX);
    return true;
}

static bool certificate_ok(const struct rg_certificate *c)
{
    _Static_assert(RG_CERTIFICATE_DECLARED == 1, "the first");
    RG_ASSERT(c->declaration.p != NULL || c->declaration.n == 0);
    return c->kind >= RG_CERTIFICATE_DECLARED && c->kind < RG_CERTIFICATE_KINDS && c->node >= 1 && c->node <= RG_CERTIFICATE_NODES_MAX &&
           c->previous >= 1 && c->previous < c->epoch && c->epoch <= UINT32_MAX && c->first_index >= 2 && c->at_ms > 0 &&
           (c->declaration.n == 0) == (c->kind == RG_CERTIFICATE_RAISE) && c->declaration.n <= RG_CERTIFICATE_DECLARATION_BYTES_MAX &&
           promises_ok(c);
}

enum rg_err rg_certificate_encode(const struct rg_certificate *c, struct rg_buf *out)
{
    if (!certificate_ok(c))
        return RG_EINVALID;
    rg_tlv_put_u64(out, C_FORMAT, FORMAT);
    rg_tlv_put(out, C_GENESIS, rg_span(c->genesis, sizeof c->genesis));
    rg_tlv_put_u64(out, C_KIND, c->kind);
    rg_tlv_put_u64(out, C_EPOCH, c->epoch);
    rg_tlv_put_u64(out, C_NODE, c->node);
    rg_tlv_put(out, C_KEY, rg_span(c->key, sizeof c->key));
    rg_tlv_put_u64(out, C_PREVIOUS, c->previous);
    rg_tlv_put(out, C_PREVIOUS_HASH, rg_span(c->previous_hash, sizeof c->previous_hash));
    rg_tlv_put_u64(out, C_FIRST, c->first_index);
    rg_tlv_put_u64(out, C_TERM, c->last_term);
    rg_tlv_put(out, C_FIRST_HASH, rg_span(c->first_hash, sizeof c->first_hash));
    rg_tlv_put_u64(out, C_AT, (uint64_t)c->at_ms);
    if (c->declaration.n > 0)
        rg_tlv_put(out, C_DECLARATION, c->declaration);
    for (size_t i = 0; i < c->n_promises; i++)
        rg_tlv_put(out, C_PROMISE, c->promises[i]);
    return out->err;
}

/* False: too many. */
static bool take_promises(struct rg_span text, struct rg_certificate *c)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(c->n_promises == 0);
    rg_cursor_init(&cur, text);
    while (rg_tlv_next(&cur, &tlv)) {
        if (tlv.field != C_PROMISE)
            continue;
        if (c->n_promises == RG_LEN(c->promises))
            return false;
        c->promises[c->n_promises++] = tlv.value;
    }
    RG_ASSERT(c->n_promises <= RG_LEN(c->promises));
    return !cur.bad;
}

static bool take_certificate(struct rg_span text, struct rg_certificate *c)
{
    uint64_t kind = rg_tlv_u64(text, C_KIND, 0), at_ms = rg_tlv_u64(text, C_AT, 0);

    RG_ASSERT(text.n <= RG_CERTIFICATE_TEXT_BYTES_MAX);
    if (!rg_tlv_valid(text) || rg_tlv_u64(text, C_FORMAT, 0) != FORMAT || kind >= RG_CERTIFICATE_KINDS || at_ms > INT64_MAX ||
        !take_exact(text, C_GENESIS, c->genesis, sizeof c->genesis) || !take_exact(text, C_KEY, c->key, sizeof c->key) ||
        !take_exact(text, C_PREVIOUS_HASH, c->previous_hash, sizeof c->previous_hash) ||
        !take_exact(text, C_FIRST_HASH, c->first_hash, sizeof c->first_hash))
        return false;
    c->kind = (enum rg_certificate_kind)kind;
    c->at_ms = (int64_t)at_ms;
    c->epoch = rg_tlv_u64(text, C_EPOCH, 0);
    c->node = rg_tlv_u64(text, C_NODE, 0);
    c->previous = rg_tlv_u64(text, C_PREVIOUS, 0);
    c->first_index = rg_tlv_u64(text, C_FIRST, 0);
    c->last_term = rg_tlv_u64(text, C_TERM, 0);
    (void)rg_tlv_get(text, C_DECLARATION, &c->declaration);
    return take_promises(text, c);
}

enum rg_err rg_certificate_decode(struct rg_span text, struct rg_certificate *ret_certificate)
{
    struct rg_certificate c = {.epoch = 0};
    uint8_t memory[RG_CERTIFICATE_TEXT_BYTES_MAX];
    struct rg_buf again;

    if (text.n > sizeof memory)
        return RG_ETOOBIG;
    rg_buf_init_over(&again, memory, sizeof memory);
    if (!take_certificate(text, &c) || rg_certificate_encode(&c, &again) != RG_OK || !rg_span_eq(rg_buf_span(&again), text))
        return RG_EMALFORMED;
    RG_ASSERT(c.previous < c.epoch);
    RG_ASSERT(c.n_promises <= RG_LEN(c.promises));
    *ret_certificate = c;
    return RG_OK;
}

void rg_certificate_hash(struct rg_span text, uint8_t out[RG_CERTIFICATE_HASH_BYTES])
{
    const struct rg_span parts[] = {rg_span_str(rg_certificate_domain), text};

    _Static_assert((int)RG_CERTIFICATE_HASH_BYTES == RG_SHA256_BYTES, "of that digest");
    rg_sha256_v(parts, RG_LEN(parts), out);
}
