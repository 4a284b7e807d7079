/* raft/rule/promotion.c: whether a node may be promoted. */
#include "raft/rule/promotion.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/bug/bug.h"
#include "raft/rule/epoch.h"

enum rg_err rg_promotion_say(struct rg_failover *f, enum rg_err err, const char *fmt, ...)
{
    va_list ap;

    RG_ASSERT(err != RG_OK);
    va_start(ap, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
    return err;
}

void rg_promotion_answer(struct rg_candidate *c, const struct rg_msg_fence_result *m)
{
    RG_ASSERT(c->id != 0);
    RG_ASSERT(m->epoch <= RG_EPOCH_MAX);
    c->answered = true;
    c->promised = m->promised;
    c->leader = m->leader;
    c->epoch = m->epoch;
    c->last_term = m->last_term;
    c->last = (struct rg_rev){.epoch = rg_epoch_of(m->last_term), .index = m->last_index};
    c->primary_heard_ms = m->primary_heard_ms;
    c->lease_left_ms = m->lease_left_ms;
}

/* ---- regions ---- */

/* A region of the old primary's: it has a voter, and is not ours. */
static bool primary_region(const struct rg_promotion *p, const char *region)
{
    RG_ASSERT(p->members->n <= RG_PEERS_MAX);
    if (strcmp(region, p->region) == 0)
        return false;
    for (size_t i = 0; i < p->members->n; i++)
        if (p->members->peers[i].role == RG_ROLE_VOTER && strcmp(p->members->peers[i].region, region) == 0)
            return true;
    return false;
}

static bool seen_before(const struct rg_failover *f, size_t i)
{
    RG_ASSERT(i < f->n_candidates);
    for (size_t k = 0; k < i; k++)
        if (strcmp(f->candidates[k].region, f->candidates[i].region) == 0)
            return true;
    return false;
}

/* Every node of it: to the primary, a region has what any one of its nodes has. */
static bool region_has(const struct rg_failover *f, size_t first, bool promised)
{
    RG_ASSERT(first < f->n_candidates);
    for (size_t k = first; k < f->n_candidates; k++)
        if (strcmp(f->candidates[k].region, f->candidates[first].region) == 0 &&
            !(promised ? f->candidates[k].promised : f->candidates[k].answered))
            return false;
    return true;
}

static void count_regions(const struct rg_promotion *p, struct rg_failover *f)
{
    f->regions = f->regions_answered = 0;
    for (size_t i = 0; i < f->n_candidates; i++) {
        RG_ASSERT(f->candidates[i].id != 0);
        if (seen_before(f, i) || primary_region(p, f->candidates[i].region))
            continue;
        f->regions++;
        f->regions_answered += RG_BUG(promise_of_one_node) ? f->candidates[i].answered : region_has(f, i, p->promised);
    }
    RG_ASSERT(f->regions_answered <= f->regions);
    RG_ASSERT(f->regions <= f->n_candidates);
}

/* ---- loss ---- */

/* Raft's order: the term of the last entry, then its index. A voter that was deposed within the epoch may have more entries than
 * those who followed the next leader, and none of them committed. */
static int position_cmp(const struct rg_candidate *a, const struct rg_candidate *b)
{
    if (a->last_term != b->last_term)
        return a->last_term < b->last_term ? -1 : 1;
    return a->last.index < b->last.index ? -1 : a->last.index > b->last.index;
}

/* How many entries of c's log may be missing in this one. Of one term: those behind this log's end. Of a later one: this log is
 * known to be its beginning only as far as it is committed. */
static uint64_t missing(const struct rg_promotion *p, const struct rg_candidate *own, const struct rg_candidate *c)
{
    uint64_t common = c->last_term == own->last_term ? own->last.index : p->committed;

    RG_ASSERT(position_cmp(c, own) > 0);
    return c->last.index > common ? c->last.index - common : 1;
}

/* Whether no node that answers has more than this one. missing: the most that any of them has and this one may not. */
static bool foremost(const struct rg_promotion *p, const struct rg_failover *f, uint64_t *ret_missing)
{
    const struct rg_candidate *own = &f->candidates[0];
    bool is = true;

    *ret_missing = 0;
    for (size_t i = 1; i < f->n_candidates; i++) {
        const struct rg_candidate *c = &f->candidates[i];

        if (!c->answered || position_cmp(c, own) <= 0)
            continue;
        is = false;
        *ret_missing = RG_MAX(*ret_missing, missing(p, own, c));
    }
    RG_ASSERT(is == (*ret_missing == 0));
    return is;
}

static void judge_loss(const struct rg_promotion *p, struct rg_failover *f)
{
    uint64_t last = f->candidates[0].last.index, heard = UINT64_MAX, missing_here;
    uint32_t need = RG_MAX(p->settings->degrade ? 0 : f->policy_regions, f->lease_regions);
    bool first = foremost(p, f, &missing_here);

    for (size_t i = 0; i < f->n_candidates; i++)
        heard = RG_MIN(heard, f->candidates[i].primary_heard_ms);
    f->unknown_ms = heard;
    f->known_lost = RG_MAX(missing_here, p->announced > last ? p->announced - last : 0);
    /* A write was acknowledged when `need` regions had it (with degrade perhaps none): one of them is among those that answer,
     * and none of these has more than this node. */
    f->nothing_lost = need > 0 && f->regions_answered + need > f->regions && f->known_lost == 0 && first;
    RG_ASSERT(!f->nothing_lost || f->known_lost == 0);
    RG_ASSERT(need > 0 || !f->nothing_lost);
    RG_ASSERT(f->known_lost >= missing_here);
}

/* ---- the judgement ---- */

static enum rg_err say_ahead(struct rg_failover *f, const struct rg_candidate *c)
{
    const struct rg_candidate *own = &f->candidates[0];

    RG_ASSERT(c->answered);
    RG_ASSERT(!f->accept_loss);
    RG_ASSERT(position_cmp(c, own) > 0);
    if (c->last.epoch == own->last.epoch && c->last_term != own->last_term)
        return rg_promotion_say(f, RG_EREVISION,
                                "%s (node %llu) is at %llu.%llu of a later leader (term %llu), this node at %llu.%llu of one before it "
                                "(term %llu): promote that one, or accept the loss",
                                c->region, (unsigned long long)c->id, (unsigned long long)c->last.epoch,
                                (unsigned long long)c->last.index, (unsigned long long)(c->last_term & UINT32_MAX),
                                (unsigned long long)own->last.epoch, (unsigned long long)own->last.index,
                                (unsigned long long)(own->last_term & UINT32_MAX));
    return rg_promotion_say(f, RG_EREVISION,
                            "%s (node %llu) is at %llu.%llu, this node at %llu.%llu: promote that one, or accept the loss", c->region,
                            (unsigned long long)c->id, (unsigned long long)c->last.epoch, (unsigned long long)c->last.index,
                            (unsigned long long)own->last.epoch, (unsigned long long)own->last.index);
}

static enum rg_err judge_others(const struct rg_promotion *p, struct rg_failover *f)
{
    for (size_t i = 1; i < f->n_candidates; i++) {
        const struct rg_candidate *c = &f->candidates[i];

        RG_ASSERT(c->id != p->id);
        if (!c->answered || (p->promised && !c->promised && !c->leader) || c->id == p->ceded)
            continue; /* ceded: it is ahead by the entry that this node is about to write */
        if (c->leader && c->epoch >= (p->promised ? p->epoch : p->epoch_known))
            return rg_promotion_say(f, RG_ECONFLICT, "%s (node %llu) is alive and takes writes: use a switchover", c->region,
                                    (unsigned long long)c->id);
        if (position_cmp(c, &f->candidates[0]) > 0 && !f->accept_loss && !RG_BUG(promotion_behind))
            return say_ahead(f, c);
    }
    return RG_OK;
}

/* Who begins an epoch of its own accord must be sure that nobody has begun the promised one: it would be among the members. */
static enum rg_err judge_raise(const struct rg_promotion *p, struct rg_failover *f)
{
    RG_ASSERT(p->ceded == p->id);
    for (size_t i = 1; i < f->n_candidates; i++)
        if ((!f->candidates[i].answered || (p->promised && !f->candidates[i].promised)) && !RG_BUG(raise_unanswered))
            return rg_promotion_say(f, RG_EUNREADY, "%s (node %llu) does not answer: it may have begun the epoch that was promised",
                                    f->candidates[i].region, (unsigned long long)f->candidates[i].id);
    return RG_OK;
}

/* Who takes over what was handed over need not ask whether the old primary's writes are there: its log is that one's. But another one may
 * have been promoted since, on another side of a partition, and have acknowledged what it and as many other regions have as the policy
 * wants: one of these must be among those that answer. (It would be further, or promise itself to this one.) */
static enum rg_err judge_handed(const struct rg_promotion *p, struct rg_failover *f)
{
    uint32_t need = p->settings->degrade ? 0 : f->policy_regions;

    RG_ASSERT(p->ceded != 0 && p->ceded != p->id);
    if (need == 0 || RG_BUG(handover_unasked) || f->regions_answered + need >= f->regions)
        return RG_OK;
    return rg_promotion_say(f, RG_EUNREADY, "%u of the %u regions besides the old primary's answer: the others may have another primary, "
                            "and what it acknowledged", f->regions_answered, f->regions);
}

enum rg_err rg_promotion_judge(const struct rg_promotion *p, struct rg_failover *f)
{
    enum rg_err err;

    RG_ASSERT(f->n_candidates >= 1);
    RG_ASSERT(f->n_candidates <= RG_LEN(f->candidates));
    RG_ASSERT(f->candidates[0].id == p->id);
    RG_ASSERT(f->candidates[0].answered);
    RG_ASSERT(f->candidates[0].promised == p->promised);
    RG_ASSERT(p->epoch <= p->epoch_known);
    RG_ASSERT(p->committed <= f->candidates[0].last.index);
    RG_ASSERT(p->epoch_known <= RG_EPOCH_MAX);
    RG_ASSERT(p->members->n <= RG_PEERS_MAX);
    f->last = f->candidates[0].last;
    f->policy_regions = p->settings->regions;
    f->lease_regions = p->settings->lease_regions;
    count_regions(p, f);
    judge_loss(p, f);
    err = judge_others(p, f);
    if (!err && p->ceded == p->id)
        err = judge_raise(p, f);
    else if (!err && p->ceded != 0)
        err = judge_handed(p, f);
    if (err)
        return err;
    if (rg_promotion_lease_open(f) && !f->accept_loss)
        return rg_promotion_say(f, RG_ELEASE,
                                "%u of the %u regions besides the old primary's answer: with a lease of %u regions it may still hold "
                                "one through the others, and go on",
                                f->regions_answered, f->regions, f->lease_regions);
    return RG_OK;
}

bool rg_promotion_lease_open(const struct rg_failover *f)
{
    RG_ASSERT(f->regions_answered <= f->regions);
    RG_ASSERT(f->regions <= f->n_candidates);
    return f->lease_regions > 0 && f->regions_answered + f->lease_regions + RG_BUG(promise_one_few) <= f->regions;
}

uint64_t rg_promotion_epoch(const struct rg_failover *f, uint64_t known)
{
    uint64_t epoch = known;

    RG_ASSERT(f->n_candidates <= RG_LEN(f->candidates));
    for (size_t i = 0; i < f->n_candidates; i++)
        epoch = RG_MAX(epoch, rg_epoch_heard(known, f->candidates[i].epoch));
    RG_ASSERT(epoch >= known);
    RG_ASSERT(epoch <= RG_EPOCH_MAX);
    return epoch;
}
