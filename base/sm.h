/* base/sm.h: a state table. Only rg_sm_move changes a state: it asserts that the edge is drawn, and traces it. */
#ifndef REGENT_BASE_SM_H
#define REGENT_BASE_SM_H

#include <stdatomic.h>

#include "base/util.h"

#define RG_SM_STATES_MAX 32

/* One machine: may[s] has bit t set where s → t is drawn. Static and constant: RG_SM_TABLE("link", link_may, link_names). */
struct rg_sm_table {
    const char *machine; /* for traces */
    const uint32_t *may;
    const char *const *names;
    unsigned n;
};

/* Of two arrays, which must be equally long. */
#define RG_SM_TABLE(machine, may, names) \
    {(machine), (may), (names), (unsigned)(RG_LEN(may) + 0 * sizeof(char[RG_LEN(may) == RG_LEN(names) ? 1 : -1]))}

struct rg_sm {
    const struct rg_sm_table *table;
    unsigned state; /* anybody may read it */
};

void rg_sm_init(struct rg_sm *sm, const struct rg_sm_table *table, unsigned state);
/** Name of its state. Static string. */
const char *rg_sm_name(const struct rg_sm *sm);

/**
 * Call this for every move of every machine of the process, before the state changes, on the thread that moves it. For tests and
 * the simulator: set it before threads begin. NULL (as it starts): nobody.
 */
typedef void (*rg_sm_trace_fn)(const struct rg_sm_table *table, unsigned from, unsigned to);
void rg_sm_trace(rg_sm_trace_fn trace);
extern _Atomic(rg_sm_trace_fn) rg_sm_tracer; /* rg_sm_trace writes it */

/** The first half of rg_sm_move, assert and trace, for a state that is kept in another form (in a record on disk). */
static inline void rg_sm_edge(const struct rg_sm_table *table, unsigned from, unsigned to)
{
    rg_sm_trace_fn trace = atomic_load_explicit(&rg_sm_tracer, memory_order_relaxed);

    RG_ASSERT(from < table->n);
    RG_ASSERT(to < table->n);
    RG_ASSERT((table->may[from] & RG_BIT(to)) != 0);
    if (__builtin_expect(trace != NULL, 0))
        trace(table, from, to);
}
/* Inline: several moves an HTTP request. */
static inline void rg_sm_move(struct rg_sm *sm, unsigned to)
{
    rg_sm_edge(sm->table, sm->state, to);
    sm->state = to;
}

#endif
