#include "base/sm.h"

_Atomic(rg_sm_trace_fn) rg_sm_tracer;

void rg_sm_trace(rg_sm_trace_fn trace)
{
    atomic_store_explicit(&rg_sm_tracer, trace, memory_order_relaxed);
}

void rg_sm_init(struct rg_sm *sm, const struct rg_sm_table *table, unsigned state)
{
    RG_ASSERT(table->n <= RG_SM_STATES_MAX);
    RG_ASSERT(state < table->n);
    *sm = (struct rg_sm){table, state};
}

const char *rg_sm_name(const struct rg_sm *sm)
{
    return sm->table->names[sm->state];
}
