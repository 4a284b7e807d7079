/* raft/waits.c: waits in an array, each no smaller than its parent. */
#include "raft/waits.h"

static bool before(const struct rg_wait *a, const struct rg_wait *b)
{
    return rg_rev_cmp(a->rev, b->rev) < 0;
}

static void swap(struct rg_wait **w, size_t i, size_t k)
{
    struct rg_wait *x = w[i];

    RG_ASSERT(i != k);
    w[i] = w[k];
    w[k] = x;
}

static void down(struct rg_waits *waits, size_t i)
{
    struct rg_wait **w = waits->items;

    RG_ASSERT(i <= waits->n);
    RG_ASSERT(waits->n <= waits->cap);
    for (;;) {
        size_t least = i, l = 2 * i + 1;

        if (l < waits->n && before(w[l], w[least]))
            least = l;
        if (l + 1 < waits->n && before(w[l + 1], w[least]))
            least = l + 1;
        if (least == i)
            return;
        swap(w, i, least);
        i = least;
    }
}

static enum rg_err room(struct rg_waits *waits, size_t max)
{
    size_t cap = waits->cap == 0 ? 64 : waits->cap * 2;
    struct rg_wait **more;

    RG_ASSERT(waits->n <= waits->cap);
    if (waits->n >= max)
        return RG_EBUSY;
    if (waits->n < waits->cap)
        return RG_OK;
    more = realloc(waits->items, cap * sizeof *more);
    if (more == NULL)
        return RG_EBUSY;
    waits->items = more;
    waits->cap = cap;
    RG_ASSERT(waits->n < waits->cap);
    return RG_OK;
}

enum rg_err rg_waits_push(struct rg_waits *waits, struct rg_wait *wait, size_t max)
{
    enum rg_err err = room(waits, max);

    RG_ASSERT(wait->on_done != NULL);
    if (err)
        return err;
    waits->items[waits->n++] = wait;
    for (size_t i = waits->n - 1; i > 0 && before(waits->items[i], waits->items[(i - 1) / 2]); i = (i - 1) / 2)
        swap(waits->items, i, (i - 1) / 2);
    RG_ASSERT(waits->n <= max);
    RG_ASSERT(waits->n <= waits->cap);
    RG_ASSERT(!before(wait, waits->items[0])); /* the smallest is on top */
    return RG_OK;
}

struct rg_wait *rg_waits_pop(struct rg_waits *waits)
{
    struct rg_wait *top;

    RG_ASSERT(waits->n > 0);
    RG_ASSERT(waits->n <= waits->cap);
    top = waits->items[0];
    waits->items[0] = waits->items[--waits->n];
    down(waits, 0);
    RG_ASSERT(waits->n == 0 || !before(waits->items[0], top));
    return top;
}

struct rg_wait *rg_waits_expire(struct rg_waits *waits, uint64_t now_ms, uint64_t *ret_earliest)
{
    struct rg_wait *expired = NULL;
    size_t kept = 0;

    RG_ASSERT(waits->n <= waits->cap);
    *ret_earliest = UINT64_MAX;
    for (size_t i = 0; i < waits->n; i++) {
        struct rg_wait *w = waits->items[i];

        if (now_ms >= w->deadline_ms) {
            w->next = expired;
            expired = w;
            continue;
        }
        RG_ASSERT(kept <= i);
        *ret_earliest = RG_MIN(*ret_earliest, w->deadline_ms);
        waits->items[kept++] = w;
    }
    waits->n = kept;
    for (size_t i = kept / 2; i-- > 0;)
        down(waits, i);
    RG_ASSERT(kept > 0 || *ret_earliest == UINT64_MAX);
    RG_ASSERT(kept == 0 || *ret_earliest > now_ms);
    return expired;
}

void rg_waits_deinit(struct rg_waits *waits)
{
    RG_ASSERT((waits->items == NULL) == (waits->cap == 0));
    RG_ASSERT(waits->n == 0); /* each was answered */
    free(waits->items);
    *waits = (struct rg_waits){NULL, 0, 0};
}
