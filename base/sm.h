/* base/sm.h: a state table. Only rg_sm_move changes a state: it asserts that the edge is drawn. */
#ifndef REGENT_BASE_SM_H
#define REGENT_BASE_SM_H

#include "base/util.h"

/* may[s] has bit t set where s → t is allowed; at most 32 states. */
struct rg_sm_table {
    const uint32_t *may;
    const char *const *names;
    unsigned n;
};

struct rg_sm {
    const struct rg_sm_table *table;
    unsigned state;
};

void rg_sm_init(struct rg_sm *sm, const struct rg_sm_table *table, unsigned state);
void rg_sm_move(struct rg_sm *sm, unsigned to);
const char *rg_sm_name(const struct rg_sm *sm);

#endif
