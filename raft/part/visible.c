/* raft/part/visible.c: the revision that readers see. */
#include "raft/part/visible.h"

void rg_visible_set(struct rg_visible *v, struct rg_rev rev)
{
    uint64_t seq = atomic_load_explicit(&v->seq, memory_order_relaxed);

    RG_ASSERT((seq & 1) == 0); /* one thread writes */
    RG_ASSERT(rev.index >= atomic_load_explicit(&v->index, memory_order_relaxed));
    RG_ASSERT(rev.epoch >= atomic_load_explicit(&v->epoch, memory_order_relaxed));
    atomic_store_explicit(&v->seq, seq + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
    atomic_store_explicit(&v->epoch, rev.epoch, memory_order_relaxed);
    atomic_store_explicit(&v->index, rev.index, memory_order_relaxed);
    atomic_store_explicit(&v->seq, seq + 2, memory_order_release);
}

struct rg_rev rg_visible_get(const struct rg_visible *v)
{
    struct rg_rev rev;
    uint64_t seq;

    do {
        seq = atomic_load_explicit(&v->seq, memory_order_acquire);
        rev.epoch = atomic_load_explicit(&v->epoch, memory_order_relaxed);
        rev.index = atomic_load_explicit(&v->index, memory_order_relaxed);
        atomic_thread_fence(memory_order_acquire);
    } while ((seq & 1) != 0 || seq != atomic_load_explicit(&v->seq, memory_order_relaxed));
    return rev;
}
