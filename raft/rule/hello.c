/* raft/rule/hello.c: who is taken by a hello, who is refused, who is fenced by it. */
#include "raft/rule/hello.h"

#include "base/bug/bug.h"
#include "raft/rule/binding.h"
#include "raft/rule/epoch.h"

_Static_assert(RG_TERM_MAX == (RG_EPOCH_HEARD_MAX << RG_EPOCH_SHIFT) - 1, "nobody is heard of the last epochs");

static bool votes(const struct rg_hello_here *here)
{
    return rg_members_votes(here->members, here->id);
}

/* ---- who it is ---- */

/* A primary of a later epoch that joined while this node was away: everybody this node knows may have been replaced since. It fences
 * this node when it was a primary; otherwise its log makes it a member. One of an epoch before the one promised here is not followed, but
 * must be able to ask: it begins a later one once everybody answers. */
static bool is_guest(const struct rg_hello_here *here, const struct rg_hello *h)
{
    uint64_t theirs = rg_epoch_of(h->term), ours = rg_epoch_of(here->meta->term);

    RG_ASSERT(!rg_members_votes(here->members, here->peer)); /* asked of who is no member */
    /* The same epoch: it was a guest here before, and its log has not come far enough yet. */
    return h->voter && (theirs > ours || (theirs == ours && !votes(here)));
}

static enum rg_err judge_identity(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_errctx *ctx)
{
    const struct rg_peer_config *member = rg_members_find(here->members, here->peer);

    if (strcmp(h->cluster_id, here->meta->cluster_id) != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu is of cluster \"%s\", not of \"%s\"", (unsigned long long)here->peer, h->cluster_id,
                       here->meta->cluster_id);
    if (h->from != here->peer || h->to != here->id || here->peer == here->id)
        return rg_fail(ctx, RG_EPEER, "peer says it is %llu and wants %llu, but this is the link from %llu to %llu",
                       (unsigned long long)h->from, (unsigned long long)h->to, (unsigned long long)here->peer,
                       (unsigned long long)here->id);
    if (member == NULL && here->gone)
        return rg_fail(ctx, RG_EPEER, "peer %llu was removed, or came back under another id: it is nobody any more",
                       (unsigned long long)here->peer);
    if (member == NULL && is_guest(here, h))
        return RG_OK;
    if (member == NULL)
        return rg_fail(ctx, RG_EPEER, "peer %llu is not a member of this cluster's configuration", (unsigned long long)here->peer);
    if (strcmp(h->region, member->region) != 0)
        return rg_fail(ctx, RG_EPEER, "peer %llu is in region \"%s\", not in \"%s\"", (unsigned long long)here->peer, h->region,
                       member->region);
    return RG_OK;
}

/* Two instances of one cluster's name, by mistake: whatever it says of epochs, directories and lives is not of this one. */
static enum rg_err judge_history(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                                 struct rg_errctx *ctx)
{
    char theirs[RG_HISTORY_TEXT_BYTES], ours[RG_HISTORY_TEXT_BYTES];

    if (!rg_history_differ(&here->history, &h->history) || RG_BUG(history_unasked))
        return RG_OK;
    RG_ASSERT(judged->verdict == RG_HELLO_REFUSED);
    RG_ASSERT(rg_history_known(&here->history));
    judged->verdict = RG_HELLO_FOREIGN;
    rg_history_text(&h->history, theirs);
    rg_history_text(&here->history, ours);
    return rg_fail(ctx, RG_EPEER, "ForeignHistory: peer %llu is of history %s, this node of %s: two instances were made",
                   (unsigned long long)here->peer, theirs, ours);
}

/* An id has one data directory for ever. With another one the node has forgotten what it promised, granted and had, or is somebody
 * else: whoever knows the binding takes nothing of it, whoever led or was restarted since. The node hears so from the hello of the one
 * that refuses it, and is fenced: it comes back under a new id. Not on one peer's word against its own log: where that binds this
 * directory and another node's, others have known it, and an id is bound once. (An instance that an emptied primary has made anew
 * binds itself alone until it meets somebody.) */
static enum rg_err judge_directory(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                                   struct rg_errctx *ctx)
{
    struct rg_incarnation bound = rg_members_incarnation(here->members, here->peer);
    struct rg_incarnation own = rg_members_incarnation(here->members, here->id);
    enum rg_binding binding = rg_binding_of(&bound, &h->incarnation);

    RG_ASSERT(h->from == here->peer);
    RG_ASSERT(judged->verdict == RG_HELLO_REFUSED && !judged->itself); /* nobody has said more yet */
    if (RG_BUG(wiped_taken))
        return RG_OK;
    if (rg_incarnation_known(&h->bound) && !rg_incarnation_equal(&h->bound, &here->meta->incarnation)) {
        if (rg_incarnation_equal(&own, &here->meta->incarnation) && rg_members_bound(here->members) > 1)
            return rg_fail(ctx, RG_EPEER, "peer %llu says that node %llu has another data directory than this node's own log says",
                           (unsigned long long)here->peer, (unsigned long long)here->id);
        judged->verdict = RG_HELLO_FORGOTTEN;
        judged->why = "the cluster knows this node by another data directory: this one has forgotten";
        return rg_fail(ctx, RG_EFENCED, "peer %llu knows node %llu by another data directory", (unsigned long long)here->peer,
                       (unsigned long long)here->id);
    }
    if (binding == RG_BINDING_OTHER)
        judged->verdict = RG_HELLO_OTHER;
    return binding == RG_BINDING_FITS ? RG_OK : rg_binding_refuse(binding, here->peer, ctx);
}

/* ---- which life of it ---- */

/* The peer has dealt with a life of this directory that came after this one. If that runs, it is the member, and this one is a copy, or
 * what was copied. If it does not, it was this node, whose directory was set back: it has forgotten. */
static enum rg_err judge_own_life(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                                  struct rg_errctx *ctx)
{
    const struct rg_life own = {.start = here->meta->starts, .boot = here->own_boot};
    enum rg_life_order order = rg_life_cmp(&own, &h->life);

    RG_ASSERT(!judged->itself);
    RG_ASSERT(h->to == here->id); /* it is us that it speaks of */
    if (h->life.start == 0 || order == RG_LIFE_SAME || order == RG_LIFE_EARLIER ||
        !rg_incarnation_equal(&h->bound, &here->meta->incarnation) || RG_BUG(lives_taken))
        return RG_OK;
    if (h->life_up) {
        judged->verdict = RG_HELLO_SUPERSEDED;
        judged->why = "another process runs over this data directory, or over a copy of it, that was started later, or did a moment "
                      "ago";
        return rg_fail(ctx, RG_ESUPERSEDED, "node %llu runs twice: peer %llu deals with start %llu of it, this one is start %llu",
                       (unsigned long long)here->id, (unsigned long long)here->peer, (unsigned long long)h->life.start,
                       (unsigned long long)own.start);
    }
    judged->verdict = RG_HELLO_FORGOTTEN;
    judged->why = "others have dealt with a later start of this data directory: it was set back to an older state";
    return rg_fail(ctx, RG_EFENCED, "peer %llu has dealt with start %llu of node %llu, this one is start %llu: it was set back",
                   (unsigned long long)here->peer, (unsigned long long)h->life.start, (unsigned long long)here->id,
                   (unsigned long long)own.start);
}

static enum rg_err judge_life(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                              struct rg_errctx *ctx)
{
    const struct rg_life seen = rg_lives_get(&here->meta->lives, here->peer, &h->incarnation);
    const struct rg_life said = {.start = h->starts, .boot = h->boot};
    enum rg_life_order order = rg_life_cmp(&seen, &said);
    enum rg_err err = judge_own_life(here, h, judged, ctx);

    RG_ASSERT(h->from == here->peer);
    if (err || order == RG_LIFE_SAME || order == RG_LIFE_LATER || RG_BUG(lives_taken))
        return err;
    judged->verdict = RG_HELLO_EARLIER;
    return rg_fail(ctx, RG_EFENCED, "peer %llu is of start %llu, and %s of start %llu was dealt with: it %s",
                   (unsigned long long)here->peer, (unsigned long long)said.start, order == RG_LIFE_TWIN ? "another process" : "one",
                   (unsigned long long)seen.start, here->alive ? "runs twice" : "was set back");
}

/* ---- which history it follows ---- */

/* Two promotions apart, at most one of two nodes is right about who leads. */
static enum rg_err judge_epoch(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                               struct rg_errctx *ctx)
{
    uint64_t theirs = rg_epoch_of(h->term), ours = rg_epoch_of(here->meta->term);

    RG_ASSERT(judged->why == NULL);
    if (h->term == 0 || here->meta->term == 0)
        return RG_OK;
    if (theirs > ours && votes(here) && !here->reborn && !RG_BUG(hello_no_fence)) {
        judged->verdict = RG_HELLO_FENCES;
        judged->why = "a peer has seen a later epoch: another primary was promoted";
        return rg_fail(ctx, RG_EFENCED, "peer %llu is in epoch %llu, this primary in %llu: it is fenced",
                       (unsigned long long)here->peer, (unsigned long long)theirs, (unsigned long long)ours);
    }
    if (theirs < ours && h->voter)
        return rg_fail(ctx, RG_EFENCED, "peer %llu is a primary of epoch %llu, and epoch %llu has begun",
                       (unsigned long long)here->peer, (unsigned long long)theirs, (unsigned long long)ours);
    /* Nor is one followed that this node has promised not to follow; but it may hear so, and be asked for a promise itself. */
    return RG_OK;
}

/* Two nodes of one id have each begun the epoch of that number: entries of one history would pass for those of the other. Nothing is
 * taken, by either side, until one of them goes on in a later epoch: whoever then follows the other is fenced, as by any promotion that cut
 * off what it has. */
static enum rg_err judge_claims(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                                struct rg_errctx *ctx)
{
    uint64_t epoch = rg_claims_contradict(&here->meta->claims, &h->claims), theirs = rg_epoch_of(h->term);

    if (epoch == 0 || RG_BUG(claims_taken))
        return RG_OK;
    if (h->voter && theirs > rg_epoch_of(here->meta->term) && !here->reborn) {
        judged->verdict = RG_HELLO_FENCES;
        judged->why = "a primary of a later epoch follows another history: two nodes of one id had begun the same epoch";
        return rg_fail(ctx, RG_EFENCED, "peer %llu leads in epoch %llu, and knows epoch %llu as another node's",
                       (unsigned long long)here->peer, (unsigned long long)theirs, (unsigned long long)epoch);
    }
    judged->verdict = RG_HELLO_RIVAL;
    return rg_fail(ctx, RG_EPEER, "EpochTwice: peer %llu follows another history: two nodes of one id have begun epoch %llu",
                   (unsigned long long)here->peer, (unsigned long long)epoch);
}

static enum rg_err judge_beginning(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_errctx *ctx)
{
    RG_ASSERT(here->first_crc == 0 || here->last_index > 0);
    if (h->first_crc != 0 && here->first_crc != 0 && h->first_crc != here->first_crc)
        return rg_fail(ctx, RG_EPEER, "peer %llu began with another first configuration", (unsigned long long)here->peer);
    return RG_OK;
}

/* ---- who has lost something ---- */

bool rg_hello_lost(uint64_t epoch, uint64_t last, uint64_t there, uint64_t index, uint64_t term)
{
    RG_ASSERT(there == 0 || index <= last);
    RG_ASSERT(epoch <= RG_EPOCH_MAX);
    return index > 0 && epoch > 0 && rg_epoch_of(term) == epoch && (index > last || (there != 0 && there != term));
}

enum rg_err rg_hello_say_lost(struct rg_errctx *ctx, uint64_t peer, uint64_t index, uint64_t term, uint64_t last)
{
    RG_ASSERT(index > 0);
    return rg_fail(ctx, RG_EPEER, "learner %llu holds entry %llu of term %llu, this primary ends at %llu: it has lost data; writes are "
                   "refused", (unsigned long long)peer, (unsigned long long)index, (unsigned long long)term, (unsigned long long)last);
}

/* What a learner has on disk was committed here first. If it is not here (any more), this primary has lost data. */
static enum rg_err judge_ahead(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                               struct rg_errctx *ctx)
{
    bool primary = here->leading || (votes(here) && rg_members_voters(here->members) == 1);

    RG_ASSERT(judged->itself);
    RG_ASSERT(!primary || votes(here));
    if (h->voter || !primary ||
        !rg_hello_lost(rg_epoch_of(here->meta->term), here->last_index, here->term_there, h->last_index, h->last_term))
        return RG_OK;
    judged->verdict = RG_HELLO_AHEAD;
    return rg_hello_say_lost(ctx, here->peer, h->last_index, h->last_term, here->last_index);
}

/* A node that comes back with less than it had answered for was wiped, or set back. Under its old id the core would wait for ever for
 * entries that it takes to be there (rule 11). */
static enum rg_err judge_wiped(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                               struct rg_errctx *ctx)
{
    RG_ASSERT(judged->itself);
    if (here->match == 0 || RG_BUG(wiped_taken) || h->boot == here->boot || h->last_index >= here->match)
        return RG_OK;
    RG_ASSERT(here->leading);
    judged->verdict = RG_HELLO_FORGOT;
    return rg_fail(ctx, RG_EPEER, "peer %llu had entry %llu durable and comes back with %llu: a node that forgets needs a new id",
                   (unsigned long long)here->peer, (unsigned long long)here->match, (unsigned long long)h->last_index);
}

/* The primary knows that this node had more on disk than it has: it was set back to an older state, and what it promised since is
 * forgotten as well. Only of what the disk held at the start, before anybody was followed: later a log may be cut. But nobody of an earlier
 * epoch cuts what one of a later one gave. */
static enum rg_err judge_forgotten(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                                   struct rg_errctx *ctx)
{
    bool same = rg_epoch_of(h->term) == rg_epoch_of(here->meta->term);

    RG_ASSERT(judged->itself);
    if (h->seen <= here->last_index || !h->leader || h->term < here->meta->term || (here->followed && same) || here->leading ||
        RG_BUG(wiped_taken) || here->installing)
        return RG_OK;
    /* In this epoch it cannot lead; but its own number names its node, whatever a log from before it says of voters. */
    if (same && !rg_members_votes(here->members, here->peer) && !rg_epoch_of_node(rg_epoch_of(h->term), here->peer))
        return RG_OK;
    judged->verdict = RG_HELLO_FORGOTTEN;
    judged->why = "the primary knows of entries that this node had: it was set back to an older state";
    return rg_fail(ctx, RG_EFENCED, "primary %llu knows that node %llu had entry %llu, and it ends at %llu",
                   (unsigned long long)here->peer, (unsigned long long)here->id, (unsigned long long)h->seen,
                   (unsigned long long)here->last_index);
}

/* ---- all of it ---- */

/* Two primaries may each have given the same id, before one heard of the other: whoever has it beside the one that is known here, what it
 * says of a later epoch is so. */
static bool leads_later(const struct rg_hello_here *here, const struct rg_hello *h)
{
    RG_ASSERT(here->meta->node_id == here->id);
    return !here->gone && strcmp(h->cluster_id, here->meta->cluster_id) == 0 && h->from == here->peer && h->to == here->id &&
           !rg_history_differ(&here->history, &h->history) &&
           here->peer != here->id && h->voter && rg_epoch_of(h->term) > rg_epoch_of(here->meta->term) && !RG_BUG(later_unheard);
}

static enum rg_err judge(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged, struct rg_errctx *ctx)
{
    enum rg_err err = judge_identity(here, h, ctx);

    if (!err && judge_history(here, h, judged, ctx))
        return RG_EPEER;
    if (!err)
        err = judge_directory(here, h, judged, ctx);
    if (err == RG_EPEER && leads_later(here, h))
        return judge_epoch(here, h, judged, ctx) == RG_EFENCED ? RG_EFENCED : err;
    if (!err)
        err = judge_life(here, h, judged, ctx);
    if (err)
        return err;
    RG_ASSERT(h->from == here->peer && h->to == here->id);
    RG_ASSERT(judged->verdict == RG_HELLO_REFUSED);
    judged->itself = true;
    err = judge_epoch(here, h, judged, ctx);
    if (!err)
        err = judge_claims(here, h, judged, ctx);
    if (!err)
        err = judge_beginning(here, h, ctx);
    if (!err)
        err = judge_ahead(here, h, judged, ctx);
    if (!err)
        err = judge_wiped(here, h, judged, ctx);
    if (!err)
        err = judge_forgotten(here, h, judged, ctx);
    return err;
}

enum rg_err rg_hello_judge(const struct rg_hello_here *here, const struct rg_hello *h, struct rg_hello_judged *judged,
                           struct rg_errctx *ctx)
{
    enum rg_err err;

    RG_ASSERT(here->id != 0);
    RG_ASSERT(!here->leading || votes(here));
    RG_ASSERT(!here->leading || !here->reborn);
    RG_ASSERT(here->match == 0 || here->leading);
    RG_ASSERT(here->meta->node_id == here->id);
    RG_ASSERT(here->members->n >= 1);
    RG_ASSERT(here->term_there == 0 || h->last_index <= here->last_index);
    *judged = (struct rg_hello_judged){.verdict = RG_HELLO_REFUSED};
    err = judge(here, h, judged, ctx);
    if (!err)
        judged->verdict = rg_members_find(here->members, here->peer) != NULL ? RG_HELLO_TAKEN : RG_HELLO_GUEST;
    RG_ASSERT(!err == (judged->verdict == RG_HELLO_TAKEN || judged->verdict == RG_HELLO_GUEST));
    RG_ASSERT((judged->why != NULL) == (judged->verdict == RG_HELLO_FENCES || judged->verdict == RG_HELLO_FORGOTTEN ||
                                          judged->verdict == RG_HELLO_SUPERSEDED));
    RG_ASSERT(judged->verdict != RG_HELLO_FOREIGN || rg_history_differ(&here->history, &h->history));
    RG_ASSERT((judged->verdict != RG_HELLO_OTHER && judged->verdict != RG_HELLO_EARLIER) || !judged->itself);
    RG_ASSERT(judged->verdict != RG_HELLO_FOREIGN || !judged->itself);
    RG_ASSERT(judged->verdict != RG_HELLO_AHEAD || votes(here));
    RG_ASSERT(judged->verdict != RG_HELLO_FENCES || votes(here) || rg_claims_contradict(&here->meta->claims, &h->claims) != 0);
    RG_ASSERT(judged->verdict != RG_HELLO_FORGOT || here->leading);
    RG_ASSERT(judged->verdict != RG_HELLO_SUPERSEDED || err == RG_ESUPERSEDED);
    return err;
}
