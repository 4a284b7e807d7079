#include "base/sm.h"

void rg_sm_init(struct rg_sm *sm, const struct rg_sm_table *table, unsigned state)
{
    RG_ASSERT(table->n <= 32 && state < table->n);
    *sm = (struct rg_sm){table, state};
}

void rg_sm_move(struct rg_sm *sm, unsigned to)
{
    RG_ASSERT(to < sm->table->n);
    RG_ASSERT((sm->table->may[sm->state] & RG_BIT(to)) != 0);
    sm->state = to;
}

const char *rg_sm_name(const struct rg_sm *sm)
{
    return sm->table->names[sm->state];
}
