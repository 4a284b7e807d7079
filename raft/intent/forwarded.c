/* raft/intent/forwarded.c: commands that other regions carry to the primary. */
#include "raft/intent/forwarded.h"

#include <stdio.h>

#include "base/bug/bug.h"
#include "base/tlv.h"

_Static_assert(1000 % RG_FORWARDED_A_SECOND == 0, "each takes whole milliseconds");
_Static_assert(RG_FORWARDED_OPEN_MAX <= RG_FORWARDED_BURST, "whoever rested may have as many under way as there may be");

enum { EACH_MS = 1000 / RG_FORWARDED_A_SECOND, VIA_BYTES_MAX = 40 /* " via REGION" */ };

bool rg_forwarded_takes(enum rg_cmd_kind kind)
{
    if (RG_BUG(forwarded_anything))
        return true;
    return (rg_cmd_kind_flags(kind) & RG_CMDF_INTENT) != 0 && kind != RG_CMD_CREDENTIAL_DELETE && kind != RG_CMD_CREDENTIAL_PUT;
}

/* Of the epoch that this primary leads, with itself as what took over: all that is left to say is who wanted it, and why. */
static bool is_note(const struct rg_cmd *c, const struct rg_forwarded_to *to)
{
    struct rg_span region;

    return c->kind == RG_CMD_EPOCH_NOTE && rg_tlv_u64(c->bytes, RG_F_EPOCH, 0) == to->epoch &&
           rg_tlv_u64(c->bytes, RG_F_NODE_ID, 0) == to->id && rg_tlv_get(c->bytes, RG_F_NAME, &region) && rg_span_is(region, to->region);
}

/* "AUTHOR via REGION": whoever reads the row sees which region's word for the author it is. A long author's end is cut. */
static void put_author(struct rg_buf *out, const struct rg_cmd *c, const char *region, int64_t wall_ms)
{
    char by[RG_BY_BYTES_MAX + 1], via[VIA_BYTES_MAX];
    int n = snprintf(via, sizeof via, " via %s", region);
    int author = (int)RG_MIN(c->by.n, (size_t)RG_BY_BYTES_MAX - (size_t)n);

    RG_ASSERT(n > 0 && n < VIA_BYTES_MAX);
    n = snprintf(by, sizeof by, "%.*s%s", author, (const char *)c->by.p, via);
    rg_cmd_begin(out, c->kind, RG_MIN(c->at_ms, wall_ms), rg_span((const uint8_t *)by, (size_t)n));
}

static enum rg_err rewrite(const struct rg_cmd *c, const char *region, int64_t wall_ms, struct rg_buf *out)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    put_author(out, c, region, wall_ms);
    rg_cursor_init(&cur, c->bytes);
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field != RG_F_KIND && tlv.field != RG_F_AT_MS && tlv.field != RG_F_BY && tlv.field != RG_F_DEGRADED)
            rg_tlv_put(out, tlv.field, tlv.value);
    return out->err;
}

/* A bucket that leaks: each command fills it for EACH_MS. */
static bool too_many(const struct rg_forwarded *from, uint64_t now_ms)
{
    return from->open >= RG_FORWARDED_OPEN_MAX || from->until_ms >= now_ms + (uint64_t)RG_FORWARDED_BURST * EACH_MS;
}

static void count_taken(struct rg_forwarded *from, uint64_t now_ms)
{
    RG_ASSERT(from->look_ms <= now_ms);
    if (now_ms - from->look_ms >= RG_FORWARDED_LOOK_MS) {
        from->before = now_ms - from->look_ms < 2 * RG_FORWARDED_LOOK_MS ? from->lately : 0;
        from->lately = 0;
        from->look_ms = now_ms;
    }
    from->taken++;
    from->lately++;
    RG_ASSERT(from->lately + from->before <= from->taken);
}

bool rg_forwarded_many(const struct rg_forwarded *from, uint64_t now_ms)
{
    uint64_t ago = now_ms - from->look_ms;

    RG_ASSERT(from->look_ms <= now_ms);
    if (ago >= 2 * RG_FORWARDED_LOOK_MS)
        return false;
    return (ago < RG_FORWARDED_LOOK_MS ? from->lately + from->before : from->lately) > RG_FORWARDED_MANY;
}

bool rg_forwarded_lies(const struct rg_forwarded *from, uint64_t now_ms)
{
    RG_ASSERT(from->denied_ms <= RG_MAX(now_ms, UINT64_C(1)));
    RG_ASSERT(from->denied_ms == 0 || from->denied > 0);
    return from->denied_ms != 0 && now_ms < from->denied_ms + RG_FORWARDED_LOOK_MS;
}

enum rg_err rg_forwarded_take(struct rg_forwarded *from, struct rg_span cmd, const char *region, const struct rg_forwarded_to *to,
                              uint64_t now_ms, int64_t wall_ms, struct rg_buf *out, struct rg_errctx *ctx)
{
    struct rg_cmd c;
    enum rg_err err = rg_cmd_decode(cmd, &c);

    RG_ASSERT(out->len == 0);
    RG_ASSERT(region[0] != '\0');
    if (err)
        return err;
    RG_ASSERT(to->epoch != 0);
    if (!rg_forwarded_takes(c.kind) && !is_note(&c, to)) {
        from->denied++;
        if (c.kind != RG_CMD_EPOCH_NOTE) /* a note may come late, of an epoch that was not to be for long */
            from->denied_ms = RG_MAX(now_ms, UINT64_C(1));
        return rg_fail(ctx, RG_EDENIED, "%s of %s: no region's node may ask for it", rg_cmd_kind_name(c.kind), region);
    }
    if (too_many(from, now_ms)) {
        from->busy++;
        return rg_fail(ctx, RG_EBUSY, "%s sends more than %u commands a second, or has %u under way", region, RG_FORWARDED_A_SECOND,
                       from->open);
    }
    err = rewrite(&c, region, wall_ms, out);
    if (err)
        return err;
    count_taken(from, now_ms);
    from->open++;
    from->until_ms = RG_MAX(from->until_ms, now_ms) + EACH_MS;
    return RG_OK;
}

void rg_forwarded_done(struct rg_forwarded *from)
{
    RG_ASSERT(from->open > 0);
    from->open--;
}
