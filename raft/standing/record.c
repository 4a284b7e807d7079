/* raft/standing/record.c: what a process leaves to the next one, in memory. */
#include "raft/standing/record.h"

#define RECORD_MAGIC UINT64_C(0x52454745314c5645) /* "REGE1LVE" */
#define RECORD_BYTES (8u + 16 + 8 * 8)
_Static_assert(RECORD_BYTES <= RG_RECORD_BYTES_MAX, "it fits");

static uint8_t *put_u64(uint8_t *p, uint64_t v)
{
    for (unsigned i = 0; i < 8; i++)
        p[i] = (uint8_t)(v >> 8 * i);
    return p + 8;
}

/* After every write to the disk: no allocation. */
size_t rg_record_encode(const struct rg_record *r, uint8_t out[RG_RECORD_BYTES_MAX])
{
    uint8_t *p = put_u64(out, RECORD_MAGIC);

    RG_ASSERT(r->start > 0); /* or it would not be read again */
    RG_ASSERT(r->sequence > 0);
    RG_ASSERT((r->term == 0) == (r->index == 0));
    memcpy(p, r->incarnation.b, sizeof r->incarnation.b);
    p = put_u64(p + sizeof r->incarnation.b, r->start);
    p = put_u64(p, r->sequence);
    p = put_u64(p, r->term);
    p = put_u64(p, r->index);
    p = put_u64(p, r->firm);
    p = put_u64(p, r->level_term);
    p = put_u64(p, r->level_index);
    p = put_u64(p, r->granted_ms);
    RG_ASSERT(p == out + RECORD_BYTES);
    return RECORD_BYTES;
}

bool rg_record_decode(struct rg_span bytes, struct rg_record *ret_record)
{
    struct rg_record r;
    struct rg_span incarnation;
    struct rg_cursor cur;
    uint64_t firm;

    if (bytes.n != RECORD_BYTES)
        return false;
    rg_cursor_init(&cur, bytes);
    if (rg_cursor_u64(&cur) != RECORD_MAGIC)
        return false;
    incarnation = rg_cursor_bytes(&cur, sizeof r.incarnation.b);
    RG_ASSERT(!cur.bad && incarnation.p != NULL);
    memcpy(r.incarnation.b, incarnation.p, sizeof r.incarnation.b);
    r.start = rg_cursor_u64(&cur);
    r.sequence = rg_cursor_u64(&cur);
    r.term = rg_cursor_u64(&cur);
    r.index = rg_cursor_u64(&cur);
    firm = rg_cursor_u64(&cur);
    r.firm = firm != 0;
    r.level_term = rg_cursor_u64(&cur);
    r.level_index = rg_cursor_u64(&cur);
    r.granted_ms = rg_cursor_u64(&cur);
    RG_ASSERT(!cur.bad);
    if (firm > 1 || !rg_incarnation_known(&r.incarnation) || r.start == 0 || r.sequence == 0 || (r.term == 0) != (r.index == 0) ||
        (r.level_term == 0) != (r.level_index == 0))
        return false;
    *ret_record = r;
    return true;
}

bool rg_record_fits(const struct rg_record *record, const struct rg_incarnation *incarnation, uint64_t start, uint64_t sequence)
{
    RG_ASSERT(record->start > 0);
    RG_ASSERT(record->sequence > 0);
    RG_ASSERT(rg_incarnation_known(&record->incarnation));
    return rg_incarnation_equal(&record->incarnation, incarnation) && record->start == start && sequence >= record->sequence;
}
