/* raft/part/append.c: a leader's entries against what is applied here. */
#include "raft/part/append.h"

#include "base/bug/bug.h"
#include "raft/rule/epoch.h"

static void here_check(const struct rg_append_here *here)
{
    RG_ASSERT(here->snap_index <= here->applied_index);
    RG_ASSERT(here->snap_term <= here->applied_term);
    RG_ASSERT((here->snap_index == 0) == (here->snap_term == 0));
    RG_ASSERT((here->applied_index == 0) == (here->applied_term == 0));
    RG_ASSERT(here->first_index >= 1);
    RG_ASSERT(here->first_index <= here->snap_index + 1);
}

bool rg_append_contradicts(const struct rg_append_here *here, const struct rg_msg_append *m)
{
    RG_ASSERT(m->n == 0 || m->entries != NULL);
    here_check(here);
    if (m->prev_index > 0 && m->prev_index <= here->applied_index && here->prev_term != 0 && here->prev_term != m->prev_term)
        return true;
    if (m->prev_index >= here->applied_index)
        return false;
    if (m->prev_term > here->applied_term)
        return true;
    for (size_t i = 0; i < m->n && m->prev_index + 1 + i <= here->applied_index; i++)
        if (m->entries[i].term > here->applied_term ||
            (m->prev_index + 1 + i == here->snap_index && m->entries[i].term != here->snap_term))
            return true;
    return false;
}

bool rg_append_trim(const struct rg_append_here *here, struct rg_msg_append *m)
{
    uint64_t skip = here->snap_index - m->prev_index;

    here_check(here);
    if (m->prev_index >= here->snap_index || m->prev_index >= here->first_index || RG_BUG(append_untrimmed))
        return true;
    if (skip > m->n && rg_epoch_of(m->term) != rg_epoch_of(here->snap_term))
        return false;
    m->prev_index = here->snap_index;
    m->prev_term = here->snap_term;
    RG_ASSERT(skip > 0);
    m->n = skip <= m->n ? m->n - skip : 0;
    m->entries += m->n > 0 ? skip : 0;
    return true;
}

struct rg_msg_append rg_append_part(const struct rg_msg_append *m, size_t done)
{
    struct rg_msg_append part = *m;
    size_t n = m->n > done ? 1 : 0; /* the first is first whatever it is */

    RG_ASSERT(done <= m->n);
    RG_ASSERT(m->n == 0 || m->entries != NULL);
    while (done + n < m->n && m->entries[done + n].type != RG_ENTRY_CHANGE)
        n++;
    part.entries = m->entries + done;
    part.n = n;
    part.prev_index = m->prev_index + done;
    part.prev_term = done > 0 ? m->entries[done - 1].term : m->prev_term;
    RG_ASSERT(done + n <= m->n);
    RG_ASSERT((n > 0 || m->n == done));
    return part;
}
