/* raft/rule/handover.c: whether a primary may hand over, and another node take over. */
#include "raft/rule/handover.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/bug/bug.h"
#include "raft/rule/change.h"
#include "raft/rule/epoch.h"

#define HEARD_MS_MAX 2000u
#define LAG_MAX 20000u /* entries: more than this is not made good within a pause */

enum rg_err rg_handover_say(struct rg_handover *h, enum rg_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(h->text, sizeof h->text, fmt, ap);
    va_end(ap);
    RG_ASSERT(h->text[0] != '\0');
    return err;
}

/* ---- the primary's side ---- */

/* Under a lease, or where acknowledged is what so many regions have, the target needs promises before it begins: past the hand-over
 * point is too late to miss them. */
static enum rg_err judge_promises(const struct rg_handover_from *from, struct rg_handover *h)
{
    const struct rg_spread *r = from->spread;
    uint32_t reachable = 0;

    for (size_t i = 0; i < r->n; i++) /* a region promises when all of its nodes do, and one that is still being filled promises nothing */
        reachable += r->whole[i] > 0 && r->whole[i] >= from->config_index;
    RG_ASSERT(reachable <= r->n);
    RG_ASSERT(h->lag_entries <= LAG_MAX); /* the target itself was judged before */
    if (from->durability > 0 && reachable + from->durability < r->n)
        return rg_handover_say(h, RG_EUNREADY, "with a durability of %u regions the new primary needs %zu of the %zu other regions, and %u "
                               "are reachable and have the configuration in force",
                               from->durability, r->n - from->durability, r->n, reachable);
    if (from->lease == 0)
        return RG_OK;
    if (!from->lease_held)
        return rg_handover_say(h, RG_EUNREADY, "the write lease is not held");
    if (!from->lease_settled)
        return rg_handover_say(h, RG_EUNREADY, "the write lease was changed and not every region knows its terms yet");
    if (reachable + from->lease <= r->n)
        return rg_handover_say(h, RG_EUNREADY, "with a write lease of %u regions the new primary needs %zu of the %zu other regions, and "
                               "%u are reachable and have the configuration in force",
                               from->lease, r->n - from->lease + 1, r->n, reachable);
    return RG_OK;
}

static enum rg_err judge_target(const struct rg_handover_from *from, struct rg_handover *h)
{
    const struct rg_handover_target *t = from->target;

    RG_ASSERT(h->lag_entries == 0 && h->heard_ms == 0); /* its outcome is still zero */
    if (t == NULL)
        return rg_handover_say(h, RG_EINVALID, "node %llu is no member of the cluster", (unsigned long long)h->to);
    if (strcmp(t->region, from->region) == 0)
        return rg_handover_say(h, RG_EINVALID, "node %llu is in this region", (unsigned long long)h->to);
    h->lag_entries = from->committed > t->applied ? from->committed - t->applied : 0;
    h->heard_ms = t->heard_ms;
    if (!t->up || t->heard_ms > HEARD_MS_MAX)
        return rg_handover_say(h, RG_EUNREADY, "%s cannot be reached", t->region);
    if (!t->counts)
        return rg_handover_say(h, RG_EUNREADY, "%s is not ACTIVE", t->region);
    if (t->filling)
        return rg_handover_say(h, RG_EUNREADY, "%s is still receiving a snapshot", t->region);
    if (t->differs)
        return rg_handover_say(h, RG_EUNREADY, "%s has another state than this primary", t->region);
    if (h->lag_entries > LAG_MAX)
        return rg_handover_say(h, RG_EUNREADY, "%s is %llu entries behind", t->region, (unsigned long long)h->lag_entries);
    return RG_OK;
}

enum rg_err rg_handover_may(const struct rg_handover_from *from, struct rg_handover *h)
{
    enum rg_err err;

    RG_ASSERT(from->epoch_known <= RG_EPOCH_MAX);
    RG_ASSERT(from->spread->n <= RG_PEERS_MAX);
    RG_ASSERT(h->epoch == 0);
    if (from->changing)
        return rg_handover_say(h, RG_EBUSY, "another change of the cluster is under way");
    if (!from->healthy)
        return rg_handover_say(h, RG_EUNREADY, "this primary is not healthy itself");
    err = judge_target(from, h);
    if (!err)
        err = judge_promises(from, h);
    if (err)
        return err;
    h->epoch = rg_epoch_next(from->epoch_known, h->to);
    if (h->epoch > RG_EPOCH_MAX)
        return rg_handover_say(h, RG_EUNREADY, "no epoch is left above %llu", (unsigned long long)from->epoch_known);
    RG_ASSERT(h->epoch > from->epoch_known);
    RG_ASSERT(h->heard_ms <= HEARD_MS_MAX);
    RG_ASSERT(rg_epoch_of_node(h->epoch, h->to) || RG_BUG(epoch_next_one));
    return RG_OK;
}

/* ---- the target's ---- */

/* That is the epoch's first, and one of ours: nobody else can begin it. Its own term may be the same one: a crash, after it was saved and
 * before the entry was. */
static bool term_fits(const struct rg_handover_here *here, uint64_t term, uint64_t last_term)
{
    return (term & UINT32_MAX) == 0 && term >= here->term && term > last_term &&
           (rg_epoch_of(term) >= here->promised || RG_BUG(handover_over_promise)) && rg_epoch_of_node(rg_epoch_of(term), here->id);
}

static uint64_t only_voter(struct rg_span config)
{
    struct rg_members m;

    return rg_members_decode(config, &m) == RG_OK ? rg_change_only_voter(&m) : 0;
}

bool rg_handover_takes(const struct rg_handover_here *here, const struct rg_msg_handover *m)
{
    RG_ASSERT(here->id != 0);
    RG_ASSERT(here->persisted <= here->last_index);
    RG_ASSERT(here->last_term <= here->term);
    RG_ASSERT(here->promised <= RG_EPOCH_MAX);
    RG_ASSERT(m->config.n <= RG_RAFT_CONFIG_BYTES_MAX);
    return here->follows && here->last_index == m->last_index && here->last_term == m->last_term &&
           here->persisted == here->last_index && term_fits(here, m->term, m->last_term) && only_voter(m->config) == here->id;
}

/* ---- a start ---- */

uint64_t rg_handover_resumes(const struct rg_meta *meta, uint64_t last, uint64_t config_index, struct rg_span config)
{
    uint64_t to;

    RG_ASSERT(config_index <= last);
    RG_ASSERT((meta->ceded_index == 0) == (meta->ceded_term == 0));
    if (meta->ceded_index == 0 || config_index != meta->ceded_index + 1 || last != config_index || (meta->term & UINT32_MAX) != 0 ||
        (meta->promised > rg_epoch_of(meta->term) && !RG_BUG(promise_follows)))
        return 0;
    to = only_voter(config);
    return to != meta->node_id ? to : 0;
}
