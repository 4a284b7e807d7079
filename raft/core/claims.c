#include "raft/core/claims.h"

_Static_assert(RG_CLAIM_BYTES == 8 + sizeof(struct rg_incarnation), "an epoch and an incarnation");

bool rg_claims_add(struct rg_claims *c, uint64_t epoch, const struct rg_incarnation *primary)
{
    size_t at = c->n;

    RG_ASSERT(c->n <= RG_CLAIMS_MAX);
    RG_ASSERT(epoch != 0);
    RG_ASSERT(rg_incarnation_known(primary));
    while (at > 0 && c->rows[at - 1].epoch >= epoch)
        at--;
    if ((at < c->n && c->rows[at].epoch == epoch) || (at == 0 && c->n == RG_CLAIMS_MAX))
        return false;
    if (c->n == RG_CLAIMS_MAX) {
        memmove(c->rows, c->rows + 1, --at * sizeof c->rows[0]);
    } else {
        memmove(c->rows + at + 1, c->rows + at, (c->n - at) * sizeof c->rows[0]);
        c->n++;
    }
    RG_ASSERT(at < c->n);
    RG_ASSERT(at == 0 || c->rows[at - 1].epoch < epoch);
    RG_ASSERT(at + 1 == c->n || c->rows[at + 1].epoch > epoch);
    c->rows[at] = (struct rg_claim){.epoch = epoch, .primary = *primary};
    return true;
}

uint64_t rg_claims_contradict(const struct rg_claims *a, const struct rg_claims *b)
{
    uint64_t epoch = 0;

    RG_ASSERT(a->n <= RG_CLAIMS_MAX);
    RG_ASSERT(b->n <= RG_CLAIMS_MAX);
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        const struct rg_claim *x = &a->rows[i], *y = &b->rows[k];

        if (x->epoch == y->epoch && !rg_incarnation_equal(&x->primary, &y->primary))
            epoch = x->epoch;
        i += x->epoch <= y->epoch;
        k += y->epoch <= x->epoch;
    }
    return epoch;
}

void rg_claims_encode(const struct rg_claims *c, struct rg_buf *out)
{
    RG_ASSERT(c->n <= RG_CLAIMS_MAX);
    for (size_t i = 0; i < c->n; i++) {
        rg_buf_put_u64(out, c->rows[i].epoch);
        rg_buf_put(out, c->rows[i].primary.b, sizeof c->rows[i].primary.b);
    }
}

enum rg_err rg_claims_decode(struct rg_span bytes, struct rg_claims *ret_claims)
{
    struct rg_claims c = {.n = bytes.n / RG_CLAIM_BYTES};
    struct rg_cursor cur;

    if (bytes.n % RG_CLAIM_BYTES != 0 || c.n > RG_CLAIMS_MAX)
        return RG_EMALFORMED;
    rg_cursor_init(&cur, bytes);
    for (size_t i = 0; i < c.n; i++) {
        struct rg_claim *row = &c.rows[i];
        struct rg_span primary;

        row->epoch = rg_cursor_u64(&cur);
        primary = rg_cursor_bytes(&cur, sizeof row->primary.b);
        RG_ASSERT(!cur.bad && primary.p != NULL); /* there are as many bytes */
        memcpy(row->primary.b, primary.p, sizeof row->primary.b);
        if (row->epoch <= (i > 0 ? c.rows[i - 1].epoch : 0) || !rg_incarnation_known(&row->primary))
            return RG_EMALFORMED;
    }
    *ret_claims = c;
    return RG_OK;
}
