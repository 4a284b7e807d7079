/* raft/carried.c: proposals that were carried to a primary. */
#include "raft/carried.h"

void rg_carried_check(const struct rg_carried *c)
{
    rg_proposals_check(&c->list);
    RG_ASSERT(c->list.n == 0 || c->to != 0);
    RG_ASSERT(c->list.n == 0 || c->list.head->index != 0);
    RG_ASSERT(c->list.n == 0 || c->list.head->index <= c->number);
    RG_ASSERT(c->list.n == 0 || c->deadline_ms <= c->list.head->deadline_ms);
}

void rg_carried_init(struct rg_carried *c)
{
    *c = (struct rg_carried){.deadline_ms = UINT64_MAX};
    rg_proposals_init(&c->list);
}

uint64_t rg_carried_number(struct rg_carried *c, struct rg_proposal *p)
{
    RG_ASSERT(p->term == 0); /* it is in no log of this node's */
    RG_ASSERT(c->number < UINT64_MAX);
    p->index = ++c->number;
    return p->index;
}

void rg_carried_add(struct rg_carried *c, struct rg_proposal *p, uint64_t to)
{
    RG_ASSERT(to != 0);
    RG_ASSERT(p->index == c->number);
    RG_ASSERT(p->deadline_ms != 0);
    RG_ASSERT(c->list.n == 0 || c->to == to); /* what another one had is lost before this one is heard */
    RG_ASSERT(c->list.n == 0 || c->list.head->index < p->index);
    c->deadline_ms = c->list.n == 0 ? p->deadline_ms : RG_MIN(c->deadline_ms, p->deadline_ms);
    c->to = to;
    rg_proposals_push(&c->list, p);
    rg_carried_check(c);
}

struct rg_proposal *rg_carried_take(struct rg_carried *c, uint64_t from, uint64_t number)
{
    struct rg_proposal *p = from == c->to ? rg_proposals_take(&c->list, number) : NULL;

    RG_ASSERT(from != 0);
    RG_ASSERT(p == NULL || (number != 0 && number <= c->number)); /* nothing is taken by a number that was never given */
    return p;
}

void rg_carried_lost(struct rg_carried *c, uint64_t to, enum rg_err err)
{
    struct rg_proposals out;

    RG_ASSERT(err != RG_OK); /* what became of them is not known */
    rg_carried_check(c);
    if (to != 0 && to != c->to)
        return;
    rg_proposals_move(&out, &c->list);
    rg_proposals_answer(&out, err); /* whoever is told may forward again, to another one */
}

void rg_carried_expire(struct rg_carried *c, uint64_t now_ms, enum rg_err err)
{
    struct rg_proposals keep, out;
    size_t n = c->list.n;

    RG_ASSERT(err != RG_OK);
    if (now_ms < rg_carried_due(c))
        return;
    RG_ASSERT(n > 0); /* else nothing was due */
    rg_proposals_init(&keep);
    rg_proposals_init(&out);
    c->deadline_ms = UINT64_MAX;
    while (c->list.n > 0) {
        struct rg_proposal *p = rg_proposals_pop(&c->list);

        if (now_ms < p->deadline_ms)
            c->deadline_ms = RG_MIN(c->deadline_ms, p->deadline_ms);
        rg_proposals_push(now_ms < p->deadline_ms ? &keep : &out, p);
    }
    RG_ASSERT(keep.n + out.n == n);
    RG_ASSERT(keep.n == 0 || c->deadline_ms > now_ms);
    rg_proposals_move(&c->list, &keep);
    rg_carried_check(c);
    rg_proposals_answer(&out, err); /* last: whoever is told may forward again, with a deadline of its own */
}

uint64_t rg_carried_due(const struct rg_carried *c)
{
    return c->list.n > 0 ? c->deadline_ms : UINT64_MAX;
}
