/* raft/core/hello.c: hellos as bytes, and back. */
#include "raft/core/hello.h"

#include "base/tlv.h"

static void hello_check(const struct rg_hello *h)
{
    RG_ASSERT(h->version != 0);
    RG_ASSERT(h->from != 0);
    RG_ASSERT(h->last_index <= RG_INDEX_MAX);
    RG_ASSERT(h->seen <= RG_INDEX_MAX);
    RG_ASSERT(h->promised <= UINT32_MAX);
    RG_ASSERT(memchr(h->cluster_id, 0, sizeof h->cluster_id) != NULL);
    RG_ASSERT(memchr(h->region, 0, sizeof h->region) != NULL);
}

enum hello_field {
    HELLO_VERSION = 1,
    HELLO_CLUSTER,
    HELLO_REGION,
    HELLO_FROM,
    HELLO_TO,
    HELLO_STARTS,
    HELLO_TERM,
    HELLO_LAST_INDEX,
    HELLO_LAST_TERM,
    HELLO_VOTER,
    HELLO_LEADER,
    HELLO_FIRST_CRC,
    HELLO_BOOT,
    HELLO_PROMISED,
    HELLO_INCARNATION,
    HELLO_BOUND,
    HELLO_SEEN,
    HELLO_ROOM = 32,
    HELLO_LIFE_START,
    HELLO_LIFE_BOOT,
    HELLO_LIFE_UP,
    HELLO_HISTORY,
    HELLO_CLAIMS,
    HELLO_STANDING,
    HELLO_ASKING,
    HELLO_STATEMENTS,
    HELLO_PINS = 64,
    HELLO_END,
};

static void put_incarnation(struct rg_buf *out, uint32_t field, const struct rg_incarnation *incarnation)
{
    if (rg_incarnation_known(incarnation))
        rg_tlv_put(out, field, rg_span(incarnation->b, sizeof incarnation->b));
}

static bool hello_incarnation(struct rg_span value, struct rg_incarnation *out)
{
    if (value.n != sizeof out->b)
        return false;
    memcpy(out->b, value.p, sizeof out->b);
    return rg_incarnation_known(out);
}

static void put_claims(struct rg_buf *out, const struct rg_claims *claims)
{
    RG_AUTO_BUF struct rg_buf rows = {.max = 0};

    rg_buf_init(&rows, sizeof *claims);
    rg_claims_encode(claims, &rows);
    rg_tlv_put(out, HELLO_CLAIMS, rg_buf_span(&rows));
    if (rows.err && !out->err)
        out->err = rows.err;
}

void rg_hello_encode(const struct rg_hello *hello, struct rg_buf *out)
{
    hello_check(hello);
    rg_tlv_put_u64(out, HELLO_VERSION, hello->version);
    rg_tlv_put_str(out, HELLO_CLUSTER, hello->cluster_id);
    rg_tlv_put_str(out, HELLO_REGION, hello->region);
    rg_tlv_put_u64(out, HELLO_FROM, hello->from);
    rg_tlv_put_u64(out, HELLO_TO, hello->to);
    rg_tlv_put_u64(out, HELLO_STARTS, hello->starts);
    rg_tlv_put_u64(out, HELLO_TERM, hello->term);
    rg_tlv_put_u64(out, HELLO_LAST_INDEX, hello->last_index);
    rg_tlv_put_u64(out, HELLO_LAST_TERM, hello->last_term);
    rg_tlv_put_u64(out, HELLO_VOTER, hello->voter);
    rg_tlv_put_u64(out, HELLO_LEADER, hello->leader);
    rg_tlv_put_u64(out, HELLO_FIRST_CRC, hello->first_crc);
    rg_tlv_put_u64(out, HELLO_BOOT, hello->boot);
    rg_tlv_put_u64(out, HELLO_PROMISED, hello->promised);
    put_incarnation(out, HELLO_INCARNATION, &hello->incarnation);
    put_incarnation(out, HELLO_BOUND, &hello->bound);
    rg_tlv_put_u64(out, HELLO_ROOM, hello->room);
    if (rg_history_known(&hello->history))
        rg_tlv_put(out, HELLO_HISTORY, rg_span(hello->history.b, sizeof hello->history.b));
    if (hello->seen > 0)
        rg_tlv_put_u64(out, HELLO_SEEN, hello->seen);
    if (hello->claims_said)
        put_claims(out, &hello->claims);
    rg_tlv_put_u64(out, HELLO_STANDING, hello->standing);
    if (hello->asking)
        rg_tlv_put_u64(out, HELLO_ASKING, 1);
    if (hello->statements)
        rg_tlv_put_u64(out, HELLO_STATEMENTS, 1);
    if (hello->pins)
        rg_tlv_put_u64(out, HELLO_PINS, 1);
    if (hello->life.start == 0)
        return;
    rg_tlv_put_u64(out, HELLO_LIFE_START, hello->life.start);
    rg_tlv_put_u64(out, HELLO_LIFE_BOOT, hello->life.boot);
    rg_tlv_put_u64(out, HELLO_LIFE_UP, hello->life_up);
}

static bool hello_text(struct rg_span value, char *out, size_t size)
{
    if (value.n >= size || memchr(value.p, 0, value.n) != NULL)
        return false;
    memcpy(out, value.p, value.n);
    out[value.n] = '\0';
    return true;
}

static bool hello_history(struct rg_span value, struct rg_history *out)
{
    if (value.n != sizeof out->b)
        return false;
    memcpy(out->b, value.p, sizeof out->b);
    return rg_history_known(out);
}

static bool hello_number(struct rg_hello *h, uint32_t field, uint64_t v)
{
    switch (field) {
    case HELLO_VERSION:
        h->version = v;
        return true;
    case HELLO_FROM:
        h->from = v;
        return true;
    case HELLO_TO:
        h->to = v;
        return true;
    case HELLO_STARTS:
        h->starts = v;
        return true;
    case HELLO_TERM:
        h->term = v;
        return v <= RG_TERM_MAX;
    case HELLO_LAST_INDEX:
        h->last_index = v;
        return v <= RG_INDEX_MAX;
    case HELLO_LAST_TERM:
        h->last_term = v;
        return true;
    case HELLO_VOTER:
        h->voter = v != 0;
        return true;
    case HELLO_LEADER:
        h->leader = v != 0;
        return true;
    case HELLO_FIRST_CRC:
        h->first_crc = (uint32_t)v;
        return v <= UINT32_MAX;
    case HELLO_BOOT:
        h->boot = v;
        return true;
    case HELLO_PROMISED:
        h->promised = v;
        return v <= UINT32_MAX;
    case HELLO_ROOM:
        h->room = v != 0;
        return true;
    case HELLO_SEEN:
        h->seen = v;
        return v <= RG_INDEX_MAX;
    case HELLO_LIFE_START:
        h->life.start = v;
        return true;
    case HELLO_LIFE_BOOT:
        h->life.boot = v;
        return true;
    case HELLO_STANDING:
        h->standing = v != 0;
        return true;
    case HELLO_STATEMENTS:
        h->statements = v != 0;
        return true;
    case HELLO_PINS:
        h->pins = v != 0;
        return true;
    case HELLO_ASKING:
        h->asking = v != 0;
        return true;
    case HELLO_LIFE_UP:
        h->life_up = v != 0;
        return true;
    default:
        return true;
    }
}

enum rg_err rg_hello_decode(struct rg_span bytes, struct rg_hello *ret_hello, struct rg_errctx *ctx)
{
    struct rg_hello h;
    struct rg_cursor cur;
    struct rg_tlv tlv;
    uint64_t v;
    bool ok = bytes.n <= RG_HELLO_BYTES_MAX;

    memset(&h, 0, sizeof h);
    rg_cursor_init(&cur, bytes);
    while (ok && rg_tlv_next(&cur, &tlv)) {
        if (tlv.field == HELLO_CLUSTER)
            ok = hello_text(tlv.value, h.cluster_id, sizeof h.cluster_id);
        else if (tlv.field == HELLO_REGION)
            ok = hello_text(tlv.value, h.region, sizeof h.region);
        else if (tlv.field == HELLO_INCARNATION)
            ok = hello_incarnation(tlv.value, &h.incarnation);
        else if (tlv.field == HELLO_BOUND)
            ok = hello_incarnation(tlv.value, &h.bound);
        else if (tlv.field == HELLO_HISTORY)
            ok = hello_history(tlv.value, &h.history);
        else if (tlv.field == HELLO_CLAIMS)
            ok = h.claims_said = rg_claims_decode(tlv.value, &h.claims) == RG_OK;
        else if (tlv.field <= HELLO_SEEN || (tlv.field >= HELLO_ROOM && tlv.field < HELLO_END))
            ok = rg_tlv_number(tlv.value, &v) && hello_number(&h, tlv.field, v);
    }
    if (!ok || cur.bad || h.version == 0 || h.from == 0)
        return rg_fail(ctx, RG_EMALFORMED, "malformed hello of %zu bytes", bytes.n);
    hello_check(&h);
    *ret_hello = h;
    return RG_OK;
}
