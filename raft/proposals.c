/* raft/proposals.c: proposals in a list. */
#include "raft/proposals.h"

void rg_proposals_check(const struct rg_proposals *list)
{
    RG_ASSERT((list->n == 0) == (list->head == NULL));
    RG_ASSERT((list->n == 0) == (list->tail == &list->head));
    RG_ASSERT((list->n == 1) == (list->n > 0 && list->tail == &list->head->next));
    RG_ASSERT(*list->tail == NULL);
}

void rg_proposals_init(struct rg_proposals *list)
{
    list->head = NULL;
    list->tail = &list->head;
    list->n = 0;
}

void rg_proposals_push(struct rg_proposals *list, struct rg_proposal *p)
{
    RG_ASSERT(p->on_done != NULL);
    RG_ASSERT(p != list->head);
    RG_ASSERT(&p->next != list->tail); /* it is not the last either: each is in one list, once */
    rg_proposals_check(list);
    p->next = NULL;
    *list->tail = p;
    list->tail = &p->next;
    list->n++;
}

static struct rg_proposal *take_at(struct rg_proposals *list, struct rg_proposal **at)
{
    struct rg_proposal *p = *at;

    RG_ASSERT(p != NULL);
    RG_ASSERT(list->n > 0);
    RG_ASSERT((p->next == NULL) == (list->tail == &p->next));
    *at = p->next;
    if (*at == NULL)
        list->tail = at;
    list->n--;
    p->next = NULL;
    rg_proposals_check(list);
    return p;
}

struct rg_proposal *rg_proposals_pop(struct rg_proposals *list)
{
    return take_at(list, &list->head);
}

struct rg_proposal *rg_proposals_take(struct rg_proposals *list, uint64_t index)
{
    for (struct rg_proposal **at = &list->head; *at != NULL; at = &(*at)->next)
        if ((*at)->index == index)
            return take_at(list, at);
    return NULL;
}

void rg_proposals_move(struct rg_proposals *list, struct rg_proposals *from)
{
    RG_ASSERT(list != from);
    rg_proposals_check(from);
    *list = *from;
    if (list->n == 0)
        list->tail = &list->head;
    rg_proposals_init(from);
    rg_proposals_check(list);
    rg_proposals_check(from);
}

void rg_proposals_answer(struct rg_proposals *list, enum rg_err err)
{
    RG_ASSERT(err != RG_OK);
    for (size_t n = list->n; n > 0 && list->head != NULL; n--) {
        struct rg_proposal *p = rg_proposals_pop(list);

        RG_ASSERT(p->next == NULL); /* of no list any more: its owner may free it */
        p->err = err;
        p->on_done(p);
    }
}
