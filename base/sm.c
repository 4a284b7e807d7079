#include "base/sm.h"

#include <stdatomic.h>

static _Atomic(rg_sm_trace_fn) tracer;

void rg_sm_trace(rg_sm_trace_fn trace)
{
    atomic_store_explicit(&tracer, trace, memory_order_relaxed);
}

void rg_sm_init(struct rg_sm *sm, const struct rg_sm_table *table, unsigned state)
{
    RG_ASSERT(table->n <= RG_SM_STATES_MAX && state < table->n);
    *sm = (struct rg_sm){table, state};
}

void rg_sm_edge(const struct rg_sm_table *table, unsigned from, unsigned to)
{
    rg_sm_trace_fn trace = atomic_load_explicit(&tracer, memory_order_relaxed);

    RG_ASSERT(from < table->n && to < table->n);
    RG_ASSERT((table->may[from] & RG_BIT(to)) != 0);
    if (trace != NULL)
        trace(table, from, to);
}

void rg_sm_move(struct rg_sm *sm, unsigned to)
{
    rg_sm_edge(sm->table, sm->state, to);
    sm->state = to;
}

const char *rg_sm_name(const struct rg_sm *sm)
{
    return sm->table->names[sm->state];
}
