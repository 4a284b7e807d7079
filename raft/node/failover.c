/* raft/node/failover.c: a declared promotion: the primary is gone, and this node is to be the next one. Promises first, so that
 * nothing of an older epoch is accepted anywhere that answers; then the most advanced log; then the leases; then a new epoch,
 * begun in place. */
#include <stdarg.h>
#include <stdio.h>

#include "raft/node/node_priv.h"
#include "store/model/node.h"

#define ASK_MS 2000u   /* a node that does not answer within this counts as gone */
#define RAISE_MS 3000u /* with the lease's time: how long a promotion is left to come about */

static const uint32_t stage_may[] = {
    [FAILOVER_NONE] = RG_BIT(FAILOVER_ASK),
    [FAILOVER_ASK] = RG_BIT(FAILOVER_PROMISE) | RG_BIT(FAILOVER_NONE),
    [FAILOVER_PROMISE] = RG_BIT(FAILOVER_WAIT) | RG_BIT(FAILOVER_NONE),
    [FAILOVER_WAIT] = RG_BIT(FAILOVER_BEGIN) | RG_BIT(FAILOVER_NONE),
    [FAILOVER_BEGIN] = RG_BIT(FAILOVER_NONE),
};
static const char *const stage_names[] = {"NONE", "ASK", "PROMISE", "WAIT", "BEGIN"};
const struct rg_sm_table node_failovers = RG_SM_TABLE("failover", stage_may, stage_names);

uint64_t node_epoch_next(uint64_t known, uint64_t id)
{
    uint64_t e = known - known % NODE_EPOCH_IDS + id % NODE_EPOCH_IDS;

    e = e > known ? e : e + NODE_EPOCH_IDS;
    RG_ASSERT(e > known && rg_epoch_of_node(e, id));
    return e;
}

bool rg_epoch_of_node(uint64_t epoch, uint64_t id)
{
    return epoch % NODE_EPOCH_IDS == id % NODE_EPOCH_IDS;
}

bool node_bygone(const struct rg_node *node, uint64_t term)
{
    return node->meta.promised > node_epoch_of(term);
}

static uint64_t epoch_known(const struct rg_node *node)
{
    return RG_MAX(node->meta.promised, node_epoch_of(node->meta.term));
}

static uint64_t heard_ms_ago(const struct rg_node *node)
{
    return node->primary.heard_ms == 0 ? UINT64_MAX : node_now_ms(node) - node->primary.heard_ms;
}

/* ---- epochs ---- */

void node_epochs_load(struct rg_node *node, struct rg_txn *txn)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_epoch e;

    if (rg_epoch_list(txn, &scan) != RG_OK)
        return;
    node->epochs.n = 0;
    while (rg_epoch_list_next(&scan, &e) == RG_OK) {
        if (node->epochs.n == NODE_EPOCHS) { /* the oldest goes: its revisions then count as reached */
            memmove(node->epochs.began, node->epochs.began + 1, (NODE_EPOCHS - 1) * sizeof node->epochs.began[0]);
            node->epochs.n--;
        }
        node->epochs.began[node->epochs.n++] = (struct node_epoch){.epoch = e.epoch, .first_index = e.first_index};
    }
}

void node_epoch_heard(struct rg_node *node, uint64_t epoch)
{
    node->epochs.heard = RG_MAX(node->epochs.heard, RG_MIN(epoch, (uint64_t)UINT32_MAX - 2 * NODE_EPOCH_IDS));
}

/* ---- the one that is asked ---- */

static bool promise(struct rg_node *node, uint64_t epoch)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (node->leading || node->snap.install.state != INSTALL_NONE || epoch <= node_epoch_of(node->meta.term) ||
        epoch < node->meta.promised)
        return false;
    node_handover_overtaken(node);
    if (epoch == node->meta.promised)
        return true; /* the same one asks again: epochs are its own */
    RG_ASSERT(epoch > node->meta.promised && epoch > node_epoch_of(node->meta.term));
    node->meta.promised = epoch;
    err = rg_metafile_save(node->metafile, &node->meta, &ctx);
    if (err) {
        node_fail(node, err, "save a promise: %s", rg_errctx_text(&ctx, err));
        return false;
    }
    rg_log_warn(node->config.log, "failover.promised", "epoch=%llu", (unsigned long long)epoch);
    return true;
}

/* Its log has reached the entry that made it a member. Until then what others acknowledged before that may be missing here, while
 * the configuration it was given counts it as one of those that have it. */
static bool is_whole(const struct rg_node *node)
{
    struct rg_members m;

    rg_core_members(node->core, &m);
    return rg_members_find(&m, node->config.id) != NULL;
}

void node_promise_tell(struct rg_node *node, struct node_peer *peer)
{
    struct rg_msg out = {.type = RG_MSG_FENCE_RESULT};

    out.fence_result.epoch = node->meta.promised;
    out.fence_result.last_index = rg_wal_last(node->wal);
    out.fence_result.last_term = out.fence_result.last_index > 0 ? rg_wal_term(node->wal, out.fence_result.last_index) : 0;
    (void)node_send(node, peer->config.id, &out); /* the next announcement gets it again */
}

void node_on_fence(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence *m)
{
    struct rg_msg out = {.type = RG_MSG_FENCE_RESULT};
    struct rg_msg_fence_result *r = &out.fence_result;

    r->promised = m->epoch > 0 && promise(node, m->epoch);
    if (node->stage.state != NODE_RUNNING || !is_whole(node))
        return; /* promised, but it says nothing about what was acknowledged before it came */
    r->number = m->number;
    r->voter = node_votes(node);
    r->leader = node->leading;
    r->epoch = epoch_known(node);
    r->last_index = rg_wal_last(node->wal);
    r->last_term = r->last_index > 0 ? rg_wal_term(node->wal, r->last_index) : 0;
    r->lease_left_ms = node_lease_left(node, m->ceded);
    r->primary_heard_ms = node->leading ? 0 : heard_ms_ago(node);
    (void)node_send(node, peer->config.id, &out); /* lost: this node counts as gone */
}

/* ---- asking ---- */

static void candidate_self(struct rg_node *node, struct rg_candidate *c)
{
    uint64_t last = rg_wal_last(node->wal);

    memset(c, 0, sizeof *c);
    c->id = node->config.id;
    memcpy(c->region, node->meta.region, sizeof c->region);
    c->answered = true;
    c->voter = node_votes(node);
    c->epoch = epoch_known(node);
    c->last = (struct rg_rev){.epoch = last > 0 ? node_epoch_of(rg_wal_term(node->wal, last)) : 0, .index = last};
    c->primary_heard_ms = heard_ms_ago(node);
    c->lease_left_ms = node_lease_left(node, node->failover.ceded);
}

static void ask(struct rg_node *node, uint64_t epoch)
{
    struct rg_failover *f = node->failover.request;
    struct rg_msg m = {.type = RG_MSG_FENCE};

    node->failover.number = node->io->random(node->io);
    node->failover.deadline_ms = node_now_ms(node) + ASK_MS;
    candidate_self(node, &f->candidates[0]);
    f->n_candidates = 1;
    m.fence = (struct rg_msg_fence){.number = node->failover.number, .epoch = epoch, .ceded = node->failover.ceded};
    for (size_t i = 0; i < node->n_peers; i++) {
        struct rg_candidate *c = &f->candidates[f->n_candidates++];

        RG_ASSERT(f->n_candidates <= RG_LEN(f->candidates));
        memset(c, 0, sizeof *c);
        c->id = node->peers[i].config.id;
        memcpy(c->region, node->peers[i].config.region, sizeof c->region);
        c->voter = node->peers[i].config.role == RG_ROLE_VOTER;
        c->primary_heard_ms = UINT64_MAX;
        if (node->peers[i].up)
            (void)node_send(node, c->id, &m);
    }
}

void node_on_fence_result(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence_result *m)
{
    struct rg_failover *f = node->failover.request;

    if (m->number == 0) { /* unasked: it does not follow us */
        peer->promised = m->epoch;
        node_promise_heard(node, m->epoch);
    }
    if ((node->failover.stage.state != FAILOVER_ASK && node->failover.stage.state != FAILOVER_PROMISE) ||
        m->number != node->failover.number)
        return;
    for (size_t i = 1; i < f->n_candidates; i++) {
        struct rg_candidate *c = &f->candidates[i];

        if (c->id != peer->config.id)
            continue;
        c->answered = true;
        c->promised = m->promised;
        c->leader = m->leader;
        c->epoch = m->epoch;
        c->last = (struct rg_rev){.epoch = node_epoch_of(m->last_term), .index = m->last_index};
        c->primary_heard_ms = m->primary_heard_ms;
        c->lease_left_ms = m->lease_left_ms;
        if (m->lease_left_ms > 0)
            node->failover.wait_until_ms = RG_MAX(node->failover.wait_until_ms,
                                                  node_now_ms(node) + m->lease_left_ms * 101 / 100 + 1);
    }
}

static bool all_answered(const struct rg_node *node)
{
    const struct rg_failover *f = node->failover.request;

    for (size_t i = 1; i < f->n_candidates; i++)
        if (!f->candidates[i].answered && node->peers[i - 1].up && node->peers[i - 1].config.id == f->candidates[i].id)
            return false;
    return true;
}

/* ---- judging ---- */

/* A primary that raises its own epoch (raise_epoch). */
static bool raising(const struct rg_node *node) { return node->failover.ceded == node->config.id; }

/* A region of the old primary's: it has a voter, and is not ours. */
static bool primary_region(const struct rg_node *node, const char *region)
{
    if (strcmp(region, node->config.region) == 0)
        return false;
    for (size_t i = 0; i < node->members.n; i++)
        if (node->members.peers[i].role == RG_ROLE_VOTER && strcmp(node->members.peers[i].region, region) == 0)
            return true;
    return false;
}

static bool seen_before(const struct rg_failover *f, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(f->candidates[k].region, f->candidates[i].region) == 0)
            return true;
    return false;
}

/* Every node of it: to the primary, a region has what any one of its nodes has. */
static bool region_has(const struct rg_failover *f, size_t first, bool promised)
{
    for (size_t k = first; k < f->n_candidates; k++)
        if (strcmp(f->candidates[k].region, f->candidates[first].region) == 0 &&
            !(promised ? f->candidates[k].promised : f->candidates[k].answered))
            return false;
    return true;
}

static void count_regions(const struct rg_node *node, struct rg_failover *f, bool promised)
{
    f->regions = f->regions_answered = 0;
    for (size_t i = 0; i < f->n_candidates; i++) {
        if (seen_before(f, i) || primary_region(node, f->candidates[i].region))
            continue;
        f->regions++;
        f->regions_answered += region_has(f, i, promised);
    }
}

/* Whether no node that answers has more than this one. ahead: the last index that any has. */
static bool foremost(const struct rg_failover *f, uint64_t *ret_ahead)
{
    bool is = true;

    *ret_ahead = f->candidates[0].last.index;
    for (size_t i = 1; i < f->n_candidates; i++) {
        if (!f->candidates[i].answered || rg_rev_cmp(f->candidates[i].last, f->candidates[0].last) <= 0)
            continue;
        is = false;
        *ret_ahead = RG_MAX(*ret_ahead, f->candidates[i].last.index);
    }
    return is;
}

static void judge_loss(const struct rg_node *node, struct rg_failover *f)
{
    uint64_t last = f->candidates[0].last.index, heard = UINT64_MAX, ahead;
    uint32_t need = RG_MAX(node->lease.settings.degrade ? 0 : f->policy_regions, f->lease_regions);
    bool first = foremost(f, &ahead);

    for (size_t i = 0; i < f->n_candidates; i++)
        heard = RG_MIN(heard, f->candidates[i].primary_heard_ms);
    f->unknown_ms = heard;
    ahead = RG_MAX(ahead, node->primary.commit);
    f->known_lost = ahead > last ? ahead - last : 0;
    /* A write was acknowledged when `need` regions had it (with degrade perhaps none): one of them is among those that answer,
     * and none of these has more than this node. */
    f->nothing_lost = need > 0 && f->regions_answered + need > f->regions && f->known_lost == 0 && first;
}

static enum rg_err say(struct rg_failover *f, enum rg_err err, const char *fmt, ...) RG_PRINTF(3, 4);
static enum rg_err say(struct rg_failover *f, enum rg_err err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->text, sizeof f->text, fmt, ap);
    va_end(ap);
    return err;
}

static enum rg_err judge_others(const struct rg_node *node, struct rg_failover *f, bool promised)
{
    uint64_t known = epoch_known(node);

    for (size_t i = 1; i < f->n_candidates; i++) {
        const struct rg_candidate *c = &f->candidates[i];

        if (!c->answered || (promised && !c->promised && !c->leader) || c->id == node->failover.ceded)
            continue; /* ceded: it is ahead by the entry that this node is about to write */
        if (c->leader && c->epoch >= (promised ? node_epoch_of(node->meta.term) : known))
            return say(f, RG_ECONFLICT, "%s (node %llu) is alive and takes writes: use a switchover", c->region,
                       (unsigned long long)c->id);
        if (rg_rev_cmp(c->last, f->candidates[0].last) > 0 && !f->accept_loss)
            return say(f, RG_EREVISION, "%s (node %llu) is at %llu.%llu, this node at %llu.%llu: promote that one, or accept the loss",
                       c->region, (unsigned long long)c->id, (unsigned long long)c->last.epoch,
                       (unsigned long long)c->last.index, (unsigned long long)f->candidates[0].last.epoch,
                       (unsigned long long)f->candidates[0].last.index);
    }
    return RG_OK;
}

/* Who begins an epoch of its own accord must be sure that nobody has begun the promised one: it would be among the members. */
static enum rg_err judge_raise(struct rg_failover *f, bool promised)
{
    for (size_t i = 1; i < f->n_candidates; i++)
        if (!f->candidates[i].answered || (promised && !f->candidates[i].promised))
            return say(f, RG_EUNREADY, "%s (node %llu) does not answer: it may have begun the epoch that was promised",
                       f->candidates[i].region, (unsigned long long)f->candidates[i].id);
    return RG_OK;
}

static enum rg_err judge(struct rg_node *node, bool promised)
{
    struct rg_failover *f = node->failover.request;
    enum rg_err err;

    RG_ASSERT(f->n_candidates >= 1 && f->candidates[0].id == node->config.id);
    candidate_self(node, &f->candidates[0]); /* as it is now: it may have got what others had when they answered */
    f->candidates[0].promised = promised;
    f->last = f->candidates[0].last;
    f->policy_regions = node->lease.settings.regions;
    f->lease_regions = node->lease.settings.lease_regions;
    count_regions(node, f, promised);
    RG_ASSERT(f->regions_answered <= f->regions && f->regions <= f->n_candidates);
    judge_loss(node, f);
    err = judge_others(node, f, promised);
    if (!err && raising(node))
        err = judge_raise(f, promised);
    if (err)
        return err;
    if (f->lease_regions > 0 && f->regions_answered + f->lease_regions <= f->regions && !f->accept_loss)
        return say(f, RG_ELEASE,
                   "%u of the %u regions besides the old primary's answer: with a lease of %u regions it may still hold one "
                   "through the others, and go on",
                   f->regions_answered, f->regions, f->lease_regions);
    return RG_OK;
}

/* ---- the way ---- */

void node_failover_answer(struct rg_node *node, enum rg_err err)
{
    struct rg_failover *f = node->failover.request;

    if (f == NULL)
        return;
    rg_sm_move(&node->failover.stage, FAILOVER_NONE);
    node->failover.request = NULL;
    f->err = err;
    f->on_done(f);
}

static enum rg_err begin_check(struct rg_node *node, struct rg_failover *f)
{
    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    if (node->failover.request != NULL ||
        (node->handover.stage.state != HANDOVER_NONE && node->handover.stage.state != HANDOVER_COMMIT))
        return say(f, RG_EBUSY, "a promotion or hand-over is under way here");
    if (node->leading)
        return say(f, RG_ECONFLICT, "%s is the primary region already", node->config.region);
    if (node->stage.state != NODE_RUNNING || node->snap.install.state != INSTALL_NONE || node->state.applied.index == 0)
        return say(f, RG_EUNREADY, "this node has no whole state yet");
    if (node->health.diverged)
        return say(f, RG_EUNREADY, "this node's state differs from the primary's");
    if (!is_whole(node))
        return say(f, RG_EUNREADY, "this node is no member of the cluster, or has not received the log up to where it became one");
    return RG_OK;
}

/* ceded: as of node_failover. */
static void begin(struct rg_node *node, struct rg_failover *f, uint64_t ceded)
{
    struct node_failover *s = &node->failover;

    RG_ASSERT(s->request == NULL);
    rg_sm_move(&s->stage, FAILOVER_ASK);
    s->request = f;
    s->ceded = ceded;
    s->number = s->epoch = s->deadline_ms = s->wait_until_ms = 0;
    ask(node, 0);
}

void rg_node_failover(struct rg_node *node, struct rg_failover *f)
{
    enum rg_err err;

    f->text[0] = '\0';
    f->epoch = 0;
    f->n_candidates = 0;
    err = begin_check(node, f);
    if (err) {
        f->err = err;
        f->on_done(f);
        return;
    }
    begin(node, f, 0);
}

static uint64_t highest_epoch(const struct rg_node *node)
{
    const struct rg_failover *f = node->failover.request;
    uint64_t epoch = epoch_known(node);

    for (size_t i = 0; i < f->n_candidates; i++)
        epoch = RG_MAX(epoch, f->candidates[i].epoch);
    return epoch;
}

/* ---- a primary raises its epoch ---- */

/* Regions that promised an epoch which nobody began follow no one. Their primary hears of it, and goes the way of a promotion,
 * while it leads, to an epoch of its own above that one. Not at once, for the promotion may be under way; and only when every member
 * answers, for one that does not may have begun. Among several voters another could be elected meanwhile: that is left to people. */
void node_promise_heard(struct rg_node *node, uint64_t epoch)
{
    if (!node->leading || epoch <= node_epoch_of(node->meta.term) || epoch >= (uint64_t)UINT32_MAX - 2 * NODE_EPOCH_IDS)
        return;
    node->epochs.heard = RG_MAX(node->epochs.heard, epoch);
    if (node->epochs.raise_ms == 0)
        node->epochs.raise_ms = node_now_ms(node) + RAISE_MS + node->lease.settings.lease_ms;
}

static struct rg_node *node_of_own(struct rg_failover *f)
{
    return RG_CONTAINER(RG_CONTAINER(f, struct node_failover, own), struct rg_node, failover);
}

static void on_raised(struct rg_failover *f)
{
    struct rg_node *node = node_of_own(f);

    node_pause(node, false);
    if (f->err == RG_OK)
        return;
    rg_log_warn(node->config.log, "epoch.not_raised", "err=%s text=\"%s\"", rg_err_symbol(f->err), f->text);
    if (node->leading)
        node->epochs.raise_ms = node_now_ms(node) + RAISE_MS;
}

static void raise_epoch(struct rg_node *node)
{
    struct rg_failover *f = &node->failover.own;

    node->epochs.raise_ms = 0;
    if (!node->leading || node->epochs.heard <= node_epoch_of(node->meta.term) || rg_members_voters(&node->members) != 1)
        return;
    if (node->health.alarm || node->health.diverged || node->handover.stage.state != HANDOVER_NONE || node->change.now != NULL ||
        node->state.config_pending || rg_core_change_pending(node->core)) {
        node->epochs.raise_ms = node_now_ms(node) + RAISE_MS;
        return;
    }
    rg_buf_clear(&node->failover.config);
    if (rg_members_encode(&node->members, &node->failover.config) != RG_OK)
        return;
    rg_log_warn(node->config.log, "epoch.raise", "over=%llu", (unsigned long long)node->epochs.heard);
    memset(f, 0, sizeof *f);
    f->on_done = on_raised;
    begin(node, f, node->config.id);
}

/* Everything that was proposed is answered, or is only waiting for regions. */
static bool quiet(const struct rg_node *node)
{
    uint64_t last = rg_wal_last(node->wal);

    return node->answers.queue.n == 0 && node->answers.flying.n == 0 && node->answers.done.n == 0 &&
           node->state.applied.index == last && !rg_wal_busy(node->wal);
}

/* ---- the steps ---- */

static void step_asked(struct rg_node *node)
{
    struct rg_failover *f = node->failover.request;
    enum rg_err err = judge(node, false);

    if (node->failover.ceded == 0 || raising(node))
        f->epoch = node_epoch_next(RG_MAX(highest_epoch(node), node->epochs.heard), node->config.id);
    else if (!err && highest_epoch(node) > f->epoch)
        err = say(f, RG_EBUSY, "a later epoch than the one handed over has been promised");
    if (!err && f->epoch > UINT32_MAX) /* somebody has claimed the last ones */
        err = say(f, RG_EUNREADY, "no epoch is left above %llu", (unsigned long long)highest_epoch(node));
    if (err || f->dry_run) {
        node_failover_answer(node, err);
        return;
    }
    node->failover.epoch = f->epoch;
    node->failover.wait_until_ms = 0;
    if (!raising(node) && !promise(node, f->epoch)) {
        node_failover_answer(node, say(f, RG_EBUSY, "this node has promised itself elsewhere meanwhile"));
        return;
    }
    rg_sm_move(&node->failover.stage, FAILOVER_PROMISE);
    ask(node, f->epoch);
}

/* The epoch was handed over. What remains to be seen is whether a promotion came in between, which may have acknowledged under a
 * lease already: the way is that of a promotion, so that one meets the other. */
static void on_taken(struct rg_failover *f)
{
    struct rg_node *node = node_of_own(f);

    if (f->err)
        rg_log_warn(node->config.log, "handover.not_taken", "err=%s text=\"%s\"", rg_err_symbol(f->err), f->text);
}

void node_failover_take(struct rg_node *node, uint64_t term, struct rg_span config, uint64_t ceded)
{
    struct rg_failover *f = &node->failover.own;

    rg_buf_clear(&node->failover.config);
    rg_buf_put(&node->failover.config, config.p, config.n);
    if (node->failover.config.err) {
        node_fail(node, node->failover.config.err, "take over: %s", rg_err_text(node->failover.config.err));
        return;
    }
    memset(f, 0, sizeof *f);
    f->epoch = node_epoch_of(term);
    f->on_done = on_taken;
    begin(node, f, ceded);
}

static void step_promised(struct rg_node *node)
{
    struct rg_failover *f = node->failover.request;
    uint64_t now = node_now_ms(node);
    enum rg_err err = judge(node, true);

    if (!err && highest_epoch(node) > node->failover.epoch)
        err = say(f, RG_EBUSY, "another promotion is under way: a later epoch has been promised");
    if (err) {
        node_failover_answer(node, err);
        return;
    }
    node->failover.wait_until_ms = RG_MAX(node->failover.wait_until_ms, now + node_lease_left(node, node->failover.ceded));
    /* Accepted: a lease through regions that do not answer can only be waited for, not proved to have ended. */
    if (f->lease_regions > 0 && f->regions_answered + f->lease_regions <= f->regions)
        node->failover.wait_until_ms = RG_MAX(node->failover.wait_until_ms, now + node->lease.settings.lease_ms * 101 / 100 + 1);
    RG_ASSERT(raising(node) || node->meta.promised >= node->failover.epoch); /* our own promise is durable before anybody's counts */
    rg_sm_move(&node->failover.stage, FAILOVER_WAIT);
}

/* This node as the only voter; the old ones are no members any more. */
static enum rg_err next_members(const struct rg_node *node, struct rg_buf *out)
{
    struct rg_members m = {.n = 0};

    for (size_t i = 0; i < node->members.n; i++) {
        const struct rg_peer_config *p = &node->members.peers[i];

        if (p->id != node->config.id && p->role == RG_ROLE_VOTER)
            continue;
        m.peers[m.n] = *p;
        m.peers[m.n++].role = p->id == node->config.id ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    }
    return rg_members_encode(&m, out);
}

static void step_begin(struct rg_node *node)
{
    RG_AUTO_BUF struct rg_buf config = {.max = 0};
    struct rg_failover *f = node->failover.request;

    if (raising(node))
        node_pause(node, true);
    if (node->log.persisted < rg_wal_last(node->wal) || (raising(node) && !quiet(node)))
        return; /* nothing of an older epoch is accepted any more: this ends */
    if (epoch_known(node) > node->failover.epoch || node->meta.term > node->failover.epoch << NODE_EPOCH_SHIFT) {
        node_failover_answer(node, say(f, RG_EBUSY, "another promotion went ahead meanwhile"));
        return;
    }
    rg_buf_init(&config, RG_RAFT_CONFIG_BYTES_MAX);
    if (node->failover.ceded != 0)
        rg_buf_put(&config, node->failover.config.data, node->failover.config.len);
    if (config.err || (node->failover.ceded == 0 && next_members(node, &config) != RG_OK)) {
        node_failover_answer(node, RG_EINTERNAL);
        return;
    }
    rg_log_warn(node->config.log, "failover.begin", "epoch=%llu last=%llu", (unsigned long long)node->failover.epoch,
                (unsigned long long)rg_wal_last(node->wal));
    RG_ASSERT(node->failover.epoch > 0 && node->failover.epoch <= UINT32_MAX && node_now_ms(node) >= node->failover.wait_until_ms);
    rg_sm_move(&node->failover.stage, FAILOVER_BEGIN);
    node_reborn(node, node->failover.epoch << NODE_EPOCH_SHIFT, rg_buf_span(&config));
}

void node_failover_step(struct rg_node *node)
{
    uint64_t now = node_now_ms(node);

    if (node->failover.stage.state != FAILOVER_NONE && node->failover.stage.state != FAILOVER_BEGIN && raising(node) && !node->leading) {
        node_failover_answer(node, RG_ENOTPRIMARY);
        return;
    }
    switch ((enum failover_stage)node->failover.stage.state) {
    case FAILOVER_NONE:
        if (node->epochs.raise_ms != 0 && now >= node->epochs.raise_ms)
            raise_epoch(node);
        return;
    case FAILOVER_ASK:
        if (all_answered(node) || now >= node->failover.deadline_ms)
            step_asked(node);
        return;
    case FAILOVER_PROMISE:
        if (all_answered(node) || now >= node->failover.deadline_ms)
            step_promised(node);
        return;
    case FAILOVER_WAIT:
        if (now >= node->failover.wait_until_ms)
            step_begin(node);
        return;
    case FAILOVER_BEGIN:
        if (node->leading)
            node_failover_answer(node, RG_OK);
        return;
    }
}

uint64_t node_failover_due(const struct rg_node *node)
{
    switch ((enum failover_stage)node->failover.stage.state) {
    case FAILOVER_ASK:
    case FAILOVER_PROMISE:
        return node->failover.deadline_ms;
    case FAILOVER_WAIT:
        return RG_MAX(node->failover.wait_until_ms, node_now_ms(node) + 1);
    case FAILOVER_NONE:
        return node->epochs.raise_ms != 0 ? node->epochs.raise_ms : UINT64_MAX;
    default:
        return UINT64_MAX;
    }
}

/* ---- a new epoch in an old process ---- */

void node_reborn(struct rg_node *node, uint64_t term, struct rg_span config)
{
    struct rg_entry entry = {.term = term, .type = RG_ENTRY_CHANGE, .data = config};
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    RG_ASSERT(node->stage.state == NODE_RUNNING && node->snap.install.state == INSTALL_NONE && term >= node->meta.term);
    RG_ASSERT((term & UINT32_MAX) == 0 && node_epoch_of(term) > 0 && config.n > 0);
    if (node->leading) {
        node_lose_leadership(node);
        if (node->stage.state != NODE_RUNNING)
            return; /* failed while it answered */
    }
    for (size_t i = 0; i < node->n_peers; i++)
        rg_gate_drop(&node->peers[i].gate);
    node->meta.term_before = node->meta.term;
    node->meta.term = term;
    node->meta.vote = 0;
    node->meta.promised = RG_MAX(node->meta.promised, node_epoch_of(term));
    err = rg_metafile_save(node->metafile, &node->meta, &ctx); /* before the entry: a log never ends in a term beyond it */
    if (!err)
        err = rg_wal_append(node->wal, &entry, 1);
    if (err) {
        node_fail(node, err, "begin epoch %llu: %s", (unsigned long long)node_epoch_of(term), rg_errctx_text(&ctx, err));
        return;
    }
    rg_sm_move(&node->stage, NODE_REBORN);
    node->epochs.reborn_index = rg_wal_last(node->wal);
    RG_ASSERT(!node->leading && node->answers.flying.n == 0);
    node_primary_forget(node);
    rg_wal_flush(node->wal);
}

/* As after a restart, but with the state in place and readers at work. */
void node_reborn_durable(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_entry entry;
    enum rg_err err;

    RG_ASSERT(rg_wal_last(node->wal) == node->epochs.reborn_index && rg_wal_get(node->wal, node->epochs.reborn_index, &entry));
    RG_ASSERT(entry.type == RG_ENTRY_CHANGE && entry.term == node->meta.term);
    rg_core_free(RG_STEAL(node->core));
    err = rg_members_decode(entry.data, &node->members);
    if (!err)
        err = node_make_core(node);
    if (!err) {
        node_log_note(node, node->log.persisted, node->epochs.reborn_index);
        node_log_trusts(node, true);
        err = node_start_core(node, &ctx);
    }
    if (err) {
        node_fail(node, err, "begin again in epoch %llu: %s", (unsigned long long)node_epoch_of(node->meta.term),
                  rg_errctx_text(&ctx, err));
        return;
    }
    rg_log_warn(node->config.log, "epoch.began", "epoch=%llu index=%llu leading=%s",
                (unsigned long long)node_epoch_of(node->meta.term), (unsigned long long)node->epochs.reborn_index,
                node->leading ? "yes" : "no");
}
