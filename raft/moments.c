/* raft/moments.c: moments of commit and of arrival. */
#include "raft/moments.h"

_Static_assert((RG_MOMENTS_COMMITS & (RG_MOMENTS_COMMITS - 1)) == 0, "a remainder is a mask");
_Static_assert((RG_MOMENTS_RECEIPTS & (RG_MOMENTS_RECEIPTS - 1)) == 0, "a remainder is a mask");

enum rg_err rg_moments_new(struct rg_moments *m)
{
    RG_ASSERT(m->commits == NULL);
    RG_ASSERT(m->receipts == NULL);
    m->commits = calloc(RG_MOMENTS_COMMITS, sizeof *m->commits);
    m->receipts = calloc(RG_MOMENTS_RECEIPTS, sizeof *m->receipts);
    return m->commits != NULL && m->receipts != NULL ? RG_OK : RG_ENOMEM;
}

void rg_moments_deinit(struct rg_moments *m)
{
    free(m->commits);
    free(m->receipts);
}

void rg_count_us(uint64_t histogram[32], uint64_t us)
{
    unsigned bucket = us == 0 ? 0 : 64 - (unsigned)__builtin_clzll(us);

    histogram[RG_MIN(bucket, 31u)]++;
}

/* ---- of commit ---- */

static size_t oldest(const struct rg_moments *m)
{
    return m->commits_n > RG_MOMENTS_COMMITS ? m->commits_n - RG_MOMENTS_COMMITS : 0;
}

void rg_moments_committed(struct rg_moments *m, uint64_t index, uint64_t bytes, uint64_t now_ms, uint64_t now_us)
{
    RG_ASSERT(index > 0);
    RG_ASSERT(m->commits_n == 0 || m->commits[(m->commits_n - 1) % RG_MOMENTS_COMMITS].index < index);
    RG_ASSERT(m->commits_n == 0 || m->commits[(m->commits_n - 1) % RG_MOMENTS_COMMITS].ms <= now_ms);
    RG_ASSERT(m->commits_n == 0 || m->commits[(m->commits_n - 1) % RG_MOMENTS_COMMITS].us <= now_us);
    m->commit_bytes += bytes;
    m->commits[m->commits_n++ % RG_MOMENTS_COMMITS] =
        (struct rg_moment){.index = index, .ms = now_ms, .us = now_us, .bytes = m->commit_bytes};
    RG_ASSERT(m->commits_seen < m->commits_n);
    m->commits_seen = RG_MAX(m->commits_seen, oldest(m));
    RG_ASSERT(m->commits_n - m->commits_seen <= RG_MOMENTS_COMMITS);
}

/* The number of the first moment kept at which more than index was committed; commits_n: none. */
static size_t commit_beyond(const struct rg_moments *m, uint64_t index)
{
    size_t lo = oldest(m), hi = m->commits_n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (m->commits[mid % RG_MOMENTS_COMMITS].index > index)
            hi = mid;
        else
            lo = mid + 1;
    }
    RG_ASSERT(lo >= oldest(m));
    RG_ASSERT(lo <= m->commits_n);
    RG_ASSERT(lo == m->commits_n || m->commits[lo % RG_MOMENTS_COMMITS].index > index);
    return lo;
}

uint64_t rg_moments_lag_ms(const struct rg_moments *m, uint64_t index, uint64_t now_ms)
{
    size_t at = commit_beyond(m, index);

    RG_ASSERT(at == m->commits_n || now_ms >= m->commits[at % RG_MOMENTS_COMMITS].ms);
    return at < m->commits_n ? now_ms - m->commits[at % RG_MOMENTS_COMMITS].ms : 0;
}

uint64_t rg_moments_lag_bytes(const struct rg_moments *m, uint64_t index)
{
    size_t at = commit_beyond(m, index);
    uint64_t before = at > oldest(m) ? m->commits[(at - 1) % RG_MOMENTS_COMMITS].bytes : 0;

    RG_ASSERT(before <= m->commit_bytes);
    if (at == m->commits_n)
        return 0;
    return m->commit_bytes - before;
}

void rg_moments_applied(struct rg_moments *m, uint64_t least, uint64_t now_us, uint64_t histogram[32])
{
    RG_ASSERT(m->commits_seen <= m->commits_n);
    RG_ASSERT(m->commits_seen >= oldest(m)); /* not overwritten since */
    RG_ASSERT(least != UINT64_MAX);
    while (m->commits_seen < m->commits_n) {
        const struct rg_moment *c = &m->commits[m->commits_seen % RG_MOMENTS_COMMITS];

        if (c->index > least)
            return;
        RG_ASSERT(now_us >= c->us);
        rg_count_us(histogram, now_us - c->us);
        m->commits_seen++;
    }
}

void rg_moments_skip(struct rg_moments *m)
{
    RG_ASSERT(m->commits_seen <= m->commits_n);
    m->commits_seen = m->commits_n;
}

/* ---- of arrival ---- */

void rg_moments_received(struct rg_moments *m, uint64_t index, uint64_t now_us)
{
    RG_ASSERT(index > 0);
    RG_ASSERT(m->receipts_seen <= m->receipts_n);
    RG_ASSERT(m->receipts_n == 0 || m->receipts[(m->receipts_n - 1) % RG_MOMENTS_RECEIPTS].us <= now_us);
    m->receipts[m->receipts_n++ % RG_MOMENTS_RECEIPTS] = (struct rg_moment){.index = index, .us = now_us};
}

void rg_moments_visible(struct rg_moments *m, uint64_t applied, uint64_t now_us, uint64_t histogram[32])
{
    RG_ASSERT(m->receipts_seen <= m->receipts_n);
    while (m->receipts_seen < m->receipts_n) {
        const struct rg_moment *r = &m->receipts[m->receipts_seen % RG_MOMENTS_RECEIPTS];

        if (m->receipts_n - m->receipts_seen <= RG_MOMENTS_RECEIPTS) { /* not overwritten since */
            if (r->index > applied)
                return;
            RG_ASSERT(now_us >= r->us);
            rg_count_us(histogram, now_us - r->us);
        }
        m->receipts_seen++;
    }
    RG_ASSERT(m->receipts_seen == m->receipts_n);
}

/* ---- how fresh ---- */

enum { FRESH_WINDOW = 120 };

static int64_t least_of(const struct rg_freshness *fresh)
{
    RG_ASSERT(fresh->n > 0);
    RG_ASSERT(fresh->before == 0 || fresh->before == FRESH_WINDOW);
    return fresh->before > 0 ? RG_MIN(fresh->least, fresh->least_before) : fresh->least;
}

/* Windows of so many announcements, not of so much time: after a pause the few that lay about must not be all there is to compare with. */
static void note_offset(struct rg_freshness *fresh, int64_t offset)
{
    if (fresh->n == FRESH_WINDOW) {
        fresh->least_before = fresh->least;
        fresh->before = fresh->n;
        fresh->n = 0;
    }
    fresh->least = fresh->n == 0 ? offset : RG_MIN(fresh->least, offset);
    fresh->n++;
    RG_ASSERT(fresh->n <= FRESH_WINDOW);
    RG_ASSERT(least_of(fresh) <= offset);
}

void rg_fresh_announced(struct rg_freshness *fresh, uint64_t from, uint64_t epoch, uint64_t commit, uint64_t stamp, uint64_t applied,
                        uint64_t now_ms)
{
    uint64_t sent_ms;

    RG_ASSERT(from != 0);
    if (stamp > INT64_MAX || now_ms > INT64_MAX)
        return; /* no clock shows that: nothing is known by it */
    if (from != fresh->from || epoch != fresh->epoch || stamp < fresh->stamp) /* another clock */
        *fresh = (struct rg_freshness){.from = from, .epoch = epoch, .ms = fresh->ms};
    fresh->stamp = stamp;
    note_offset(fresh, (int64_t)(now_ms - stamp));
    sent_ms = now_ms - (uint64_t)((int64_t)(now_ms - stamp) - least_of(fresh));
    RG_ASSERT(sent_ms <= now_ms);
    RG_ASSERT(fresh->next == 0 || fresh->next_ms <= now_ms);
    if (fresh->next == 0) {
        fresh->next = commit;
        fresh->next_ms = sent_ms;
    }
    fresh->last = commit;
    fresh->last_ms = sent_ms;
    rg_fresh_applied(fresh, applied);
    RG_ASSERT(fresh->ms <= now_ms); /* nobody is fresher than now */
}

void rg_fresh_applied(struct rg_freshness *fresh, uint64_t applied)
{
    if (fresh->next == 0 || applied < fresh->next)
        return;
    RG_ASSERT(fresh->from != 0);
    fresh->ms = RG_MAX(fresh->ms, applied >= fresh->last ? fresh->last_ms : fresh->next_ms);
    fresh->next = applied >= fresh->last ? 0 : fresh->last;
    fresh->next_ms = fresh->last_ms;
    RG_ASSERT(fresh->next == 0 || fresh->next > applied);
}
