#include "crypto/sign/link_proof.h"

#include <string.h>

enum { FORMAT = 1, HEAD_BYTES = 1 + 1 + 8 + 8 + RG_LINK_BINDING_BYTES, CLUSTER_BYTES_MAX = 63 };
_Static_assert(HEAD_BYTES + CLUSTER_BYTES_MAX <= RG_LINK_PROOF_BYTES_MAX, "it fits");

static bool valid(const struct rg_link_proof *p)
{
    return p->cluster.n >= 1 && p->cluster.n <= CLUSTER_BYTES_MAX && p->from != 0 && p->to != 0 && p->from != p->to;
}

void rg_link_proof_encode(const struct rg_link_proof *p, struct rg_buf *out)
{
    RG_ASSERT(valid(p));
    rg_buf_put_u8(out, FORMAT);
    rg_buf_put_u8(out, p->dialled);
    rg_buf_put_u64(out, p->from);
    rg_buf_put_u64(out, p->to);
    rg_buf_put(out, p->binding, sizeof p->binding);
    rg_buf_put(out, p->cluster.p, p->cluster.n);
}

enum rg_err rg_link_proof_decode(struct rg_span bytes, struct rg_link_proof *ret_proof)
{
    struct rg_link_proof p = {.from = 0};
    struct rg_span binding;
    struct rg_cursor cur;
    uint8_t format, dialled;

    rg_cursor_init(&cur, bytes);
    format = rg_cursor_u8(&cur);
    dialled = rg_cursor_u8(&cur);
    p.from = rg_cursor_u64(&cur);
    p.to = rg_cursor_u64(&cur);
    binding = rg_cursor_bytes(&cur, sizeof p.binding);
    p.cluster = rg_cursor_bytes(&cur, rg_cursor_left(&cur));
    if (cur.bad || format != FORMAT || dialled > 1 || !valid(&p))
        return RG_EMALFORMED;
    RG_ASSERT(binding.n == sizeof p.binding);
    memcpy(p.binding, binding.p, binding.n);
    p.dialled = dialled == 1;
    *ret_proof = p;
    return RG_OK;
}

enum rg_err rg_link_proof_verify(const struct rg_link_proof *p, struct rg_span spki, const uint8_t signature[RG_ES256_SIGNATURE_BYTES])
{
    uint8_t memory[RG_LINK_PROOF_BYTES_MAX];
    struct rg_buf text;

    rg_buf_init_over(&text, memory, sizeof memory);
    rg_link_proof_encode(p, &text);
    RG_ASSERT(text.err == RG_OK);
    return rg_es256_verify(spki, RG_LINK_PROOF_DOMAIN, rg_buf_span(&text), signature);
}
