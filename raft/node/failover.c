/* raft/node/failover.c: a declared promotion: the primary is gone, and this node is to be the next one. Promises first, so that
 * nothing of an older epoch is accepted anywhere that answers; then the most advanced log; then the leases; then a new epoch,
 * begun in place. */
#include "raft/node/node_priv.h"

#define ASK_MS 2000u   /* a node that does not answer within this counts as gone */
_Static_assert(NODE_RAISE_MS > ASK_MS, "a promotion that is being asked for is not overtaken");
#define RAISES_MS 10000u /* for an only voter to raise its epoch: then others may vote again */
_Static_assert(RAISES_MS > NODE_RAISE_MS + 2 * ASK_MS, "it has time to ask, and to be promised");

static uint64_t epoch_known(const struct rg_node *node)
{
    return RG_MAX(node->meta.promised, rg_epoch_of(node->meta.term));
}

static uint64_t heard_ms_ago(const struct rg_node *node)
{
    RG_ASSERT(node->primary.heard_ms <= node_now_ms(node));
    return node->primary.heard_ms == 0 ? UINT64_MAX : node_now_ms(node) - node->primary.heard_ms;
}

/* ---- the one that is asked ---- */

static bool promise(struct rg_node *node, uint64_t to, const struct rg_incarnation *directory, uint64_t epoch)
{
    struct rg_errctx ctx = {.text = ""};
    bool claimed = false;
    enum rg_err err;

    if (node->leading || node->snap.install.state != INSTALL_NONE || epoch <= rg_epoch_of(node->meta.term) ||
        epoch < node->meta.promised || node->standing.asking || !node_claim_promised(node, to, directory, epoch, &claimed))
        return false;
    node_handover_overtaken(node);
    if (epoch == node->meta.promised && !claimed)
        return true; /* the same one asks again: epochs are its own */
    RG_ASSERT(epoch >= node->meta.promised);
    RG_ASSERT(epoch > rg_epoch_of(node->meta.term));
    node_receiver_abort(node, epoch);
    node->meta.promised = epoch;
    err = RG_BUG(promise_not_saved) ? RG_OK : rg_metafile_save(node->metafile, &node->meta, &ctx);
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

/* How far this node is, what it knows and has granted. */
static struct rg_msg_fence_result result(const struct rg_node *node, uint64_t ceded)
{
    uint64_t last = rg_wal_last(node->wal);

    RG_ASSERT(!node->leading || node_votes(node));
    RG_ASSERT(last == 0 || rg_wal_term(node->wal, last) != 0);
    RG_ASSERT(rg_wal_term(node->wal, last) <= node->meta.term);
    return (struct rg_msg_fence_result){.voter = node_votes(node),
                                        .leader = node->leading,
                                        .epoch = epoch_known(node),
                                        .last_term = last > 0 ? rg_wal_term(node->wal, last) : 0,
                                        .last_index = last,
                                        .lease_left_ms = node_lease_left(node, ceded),
                                        .primary_heard_ms = node->leading ? 0 : heard_ms_ago(node)};
}

void node_promise_tell(struct rg_node *node, struct node_peer *peer)
{
    struct rg_msg out = {.type = RG_MSG_FENCE_RESULT, .fence_result = result(node, 0)};

    RG_ASSERT(out.fence_result.epoch == node->meta.promised);
    (void)node_send(node, peer->config.id, &out); /* the next announcement gets it again */
}

/* Before the answer, on the same line. */
static bool lives_tell(struct rg_node *node, struct node_peer *peer)
{
    struct rg_msg m = {.type = RG_MSG_LIVES, .lives = node->meta.lives};

    return !peer->standing_known || node_send(node, peer->config.id, &m) == RG_OK;
}

void node_on_fence(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence *m)
{
    struct rg_msg out = {.type = RG_MSG_FENCE_RESULT};
    bool may = rg_epoch_may_promise(epoch_known(node), m->epoch, peer->config.id);
    bool promised = m->epoch > 0 && may && promise(node, peer->config.id, &peer->said, m->epoch);

    if (node->stage.state != NODE_RUNNING || node->standing.asking)
        return; /* it may have had more than it has, and forgotten: as if it were not there */
    if (!is_whole(node) && m->ceded != peer->config.id)
        return; /* promised, but it says nothing about what was acknowledged before it came: only a primary that raises its epoch knows */
    RG_ASSERT(!promised || node->meta.promised == m->epoch);
    out.fence_result = result(node, m->ceded);
    if (!node_standing_level(node)) { /* what it was told of, and may have had */
        out.fence_result.epoch = RG_MAX(out.fence_result.epoch, rg_epoch_of(node->standing.level_term));
        out.fence_result.last_term = node->standing.level_term;
        out.fence_result.last_index = node->standing.level_index;
    }
    out.fence_result.number = m->number;
    out.fence_result.promised = promised;
    if (!lives_tell(node, peer))
        return;
    (void)node_send(node, peer->config.id, &out); /* lost: this node counts as gone */
}

/* ---- asking ---- */

static void candidate_self(struct rg_node *node, struct rg_candidate *c)
{
    const struct rg_msg_fence_result own = result(node, node->failover.ceded);

    memset(c, 0, sizeof *c);
    c->id = node->config.id;
    memcpy(c->region, node->meta.region, sizeof c->region);
    c->voter = own.voter;
    rg_promotion_answer(c, &own);
    RG_ASSERT(c->answered);
    RG_ASSERT(c->last.index == rg_wal_last(node->wal));
}

static void ask(struct rg_node *node, uint64_t epoch)
{
    struct rg_failover *f = node->failover.request;
    struct rg_msg m = {.type = RG_MSG_FENCE};

    RG_ASSERT((epoch == 0) == (node->failover.stage.state == FAILOVER_ASK));
    node->failover.number = node->io->random(node->io);
    node->failover.deadline_ms = node_now_ms(node) + ASK_MS;
    candidate_self(node, &f->candidates[0]);
    f->n_candidates = 1;
    m.fence = (struct rg_msg_fence){.number = node->failover.number, .epoch = epoch, .ceded = node->failover.ceded};
    for (size_t i = 0; i < node->n_peers; i++) {
        struct rg_candidate *c = &f->candidates[f->n_candidates++];

        RG_ASSERT(f->n_candidates <= RG_LEN(f->candidates));
        memset(c, 0, sizeof *c);
        if (epoch == 0)
            node->peers[i].claimed = 0; /* of this promotion */
        c->id = node->peers[i].config.id;
        memcpy(c->region, node->peers[i].config.region, sizeof c->region);
        c->voter = node->peers[i].config.role == RG_ROLE_VOTER;
        c->primary_heard_ms = UINT64_MAX;
        if (node->peers[i].up)
            (void)node_send(node, c->id, &m);
    }
    RG_ASSERT(f->n_candidates == node->n_peers + 1);
}

void node_on_fence_result(struct rg_node *node, struct node_peer *peer, const struct rg_msg_fence_result *m)
{
    struct rg_failover *f = node->failover.request;

    if (m->number == 0) { /* unasked: it does not follow us */
        peer->promised = m->epoch;
        node_promise_heard(node, m->epoch);
    }
    if ((node->failover.stage.state != FAILOVER_ASK && node->failover.stage.state != FAILOVER_PROMISE) ||
        m->number != node->failover.number || !node_life_counts(node, peer))
        return;
    RG_ASSERT(f != NULL);
    for (size_t i = 1; i < f->n_candidates; i++) {
        struct rg_candidate *c = &f->candidates[i];

        if (c->id != peer->config.id)
            continue;
        rg_promotion_answer(c, m);
        if (m->lease_left_ms > 0)
            node->failover.wait_until_ms = RG_MAX(node->failover.wait_until_ms,
                                                  node_now_ms(node) + rg_lease_outlast_ms(m->lease_left_ms));
    }
}

static bool all_answered(const struct rg_node *node)
{
    const struct rg_failover *f = node->failover.request;

    RG_ASSERT(f->n_candidates >= 1);
    RG_ASSERT(f->n_candidates <= RG_LEN(f->candidates));
    for (size_t i = 1; i < f->n_candidates; i++)
        if (!f->candidates[i].answered && node->peers[i - 1].up && node->peers[i - 1].config.id == f->candidates[i].id)
            return false;
    return true;
}

/* ---- judging ---- */

/* A primary that raises its own epoch (raise_epoch). */
static bool raising(const struct rg_node *node) { return node->failover.ceded == node->config.id; }

static enum rg_err judge(struct rg_node *node, bool promised)
{
    struct rg_failover *f = node->failover.request;
    const struct rg_promotion p = {.id = node->config.id,
                                   .region = node->config.region,
                                   .members = &node->members,
                                   .settings = node_settings(node),
                                   .epoch = rg_epoch_of(node->meta.term),
                                   .epoch_known = epoch_known(node),
                                   .announced = node->primary.commit,
                                   .committed = RG_MIN(RG_MAX(node->log.committed, node->state.applied.index), rg_wal_last(node->wal)),
                                   .ceded = node->failover.ceded,
                                   .promised = promised};

    RG_ASSERT(f->candidates[0].id == node->config.id);
    RG_ASSERT(!promised || node->failover.stage.state == FAILOVER_PROMISE);
    RG_ASSERT(p.epoch <= p.epoch_known);
    RG_ASSERT(p.committed <= rg_wal_last(node->wal));
    candidate_self(node, &f->candidates[0]); /* as it is now: it may have got what others had when they answered */
    f->candidates[0].promised = promised;
    return rg_promotion_judge(&p, f);
}

/* ---- the way ---- */

void node_failover_answer(struct rg_node *node, enum rg_err err)
{
    struct rg_failover *f = node->failover.request;

    if (f == NULL)
        return;
    RG_ASSERT(f->on_done != NULL);
    RG_ASSERT(err != RG_OK || f->dry_run || node->leading);
    RG_ASSERT(err != RG_OK || f->dry_run || f->epoch == rg_epoch_of(node->meta.term));
    rg_sm_move(&node->failover.stage, FAILOVER_NONE);
    node->failover.request = NULL;
    f->err = err;
    f->on_done(f);
}

static enum rg_err begin_check(struct rg_node *node, struct rg_failover *f)
{
    char why[160];

    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    if (node->failover.request != NULL ||
        (node->handover.stage.state != HANDOVER_NONE && node->handover.stage.state != HANDOVER_COMMIT))
        return rg_promotion_say(f, RG_EBUSY, "a promotion or hand-over is under way here");
    if (node->leading)
        return rg_promotion_say(f, RG_ECONFLICT, "%s is the primary region already", node->config.region);
    if (node->standing.asking) {
        node_standing_why(node, why, sizeof why);
        return rg_promotion_say(f, RG_EUNREADY, "%s", why);
    }
    if (node->stage.state != NODE_RUNNING || node->snap.install.state != INSTALL_NONE || node->state.applied.index == 0)
        return rg_promotion_say(f, RG_EUNREADY, "this node has no whole state yet");
    if (!node_standing_level(node) && !f->accept_loss)
        return rg_promotion_say(f, RG_EUNREADY, "this node has not yet got what others told it that there is (entry %llu)",
                                (unsigned long long)node->standing.level_index);
    if (node->health.diverged)
        return rg_promotion_say(f, RG_EUNREADY, "this node's state differs from the primary's");
    if (!is_whole(node))
        return rg_promotion_say(f, RG_EUNREADY, "this node is no member of the cluster, or has not received the log up to where it "
                                                "became one");
    return RG_OK;
}

/* ceded: as of node_failover. */
static void begin(struct rg_node *node, struct rg_failover *f, uint64_t ceded)
{
    struct node_failover *s = &node->failover;

    RG_ASSERT(s->request == NULL);
    RG_ASSERT((ceded != 0) == (f == &s->own));
    RG_ASSERT((ceded == node->config.id) == node->leading); /* whoever leads raises its own, nobody else is asked */
    RG_ASSERT(node->snap.install.state == INSTALL_NONE);
    rg_sm_move(&s->stage, FAILOVER_ASK);
    s->request = f;
    s->ceded = ceded;
    s->number = s->epoch = s->deadline_ms = s->wait_until_ms = 0;
    ask(node, 0);
}

void rg_node_failover(struct rg_node *node, struct rg_failover *f)
{
    enum rg_err err;

    RG_ASSERT(f->on_done != NULL);
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
    return rg_promotion_epoch(node->failover.request, epoch_known(node));
}

/* ---- a primary raises its epoch ---- */

/* Regions that promised an epoch which nobody began follow no one. Their primary hears of it, and goes the way of a promotion,
 * while it leads, to an epoch of its own above that one. Not at once, for the promotion may be under way; and only when every member
 * answers, for one that does not may have begun. Among several voters another could be elected meanwhile: the others become learners
 * first, one by one, and vote again afterwards (rg_voters_keep). */
static struct rg_node *node_of_own(struct rg_failover *f)
{
    return RG_CONTAINER(RG_CONTAINER(f, struct node_failover, own), struct rg_node, failover);
}

static void on_raised(struct rg_failover *f)
{
    struct rg_node *node = node_of_own(f);

    RG_ASSERT(f->err != RG_OK || node->leading); /* in the epoch that it wanted */
    node_pause(node, false);
    if (f->err == RG_OK)
        return;
    rg_log_warn(node->config.log, "epoch.not_raised", "err=%s text=\"%s\"", rg_err_symbol(f->err), f->text);
    if (node->leading)
        node->epochs.raise_ms = node_now_ms(node) + NODE_RAISE_MS;
}

static void on_demoted(struct rg_change *change)
{
    struct rg_node *node = RG_CONTAINER(RG_CONTAINER(change, struct node_failover, demote), struct rg_node, failover);

    if (node->leading) /* again, with one voter less */
        node->epochs.raise_ms = node_now_ms(node) + (change->err ? NODE_RAISE_MS : 1);
}

/* Everybody answers. */
static void raise_alone(struct rg_node *node)
{
    RG_ASSERT(node->leading);
    RG_ASSERT(raising(node));
    RG_ASSERT(node->change.now == NULL); /* the one of before is over */
    rg_sm_move(&node->failover.stage, FAILOVER_NONE);
    node->failover.request = NULL;
    node->epochs.raises_ms = node_now_ms(node) + RAISES_MS;
    node->failover.demote = (struct rg_change){.kind = RG_CHANGE_ROLE,
                                               .peer = {.id = node_change_least(node), .role = RG_ROLE_LEARNER},
                                               .on_done = on_demoted};
    RG_ASSERT(node->failover.demote.peer.id != 0); /* there is another voter, and it is no guest */
    rg_node_change(node, &node->failover.demote);
}

static void raise_epoch(struct rg_node *node)
{
    struct rg_failover *f = &node->failover.own;

    node->epochs.raise_ms = 0;
    if (!node->leading || node->epochs.heard <= rg_epoch_of(node->meta.term))
        return;
    if (!node_healthy(node) || node_changing(node, NULL)) {
        node->epochs.raise_ms = node_now_ms(node) + NODE_RAISE_MS;
        return;
    }
    rg_buf_clear(&node->failover.config);
    if (rg_members_encode(&node->members, &node->failover.config) != RG_OK)
        return;
    RG_ASSERT(node->failover.request == NULL);
    RG_ASSERT(node->failover.config.len > 0);
    rg_log_warn(node->config.log, "epoch.raise", "over=%llu", (unsigned long long)node->epochs.heard);
    memset(f, 0, sizeof *f);
    f->on_done = on_raised;
    begin(node, f, node->config.id);
}

/* ---- the steps ---- */

static void step_asked(struct rg_node *node)
{
    struct rg_failover *f = node->failover.request;
    enum rg_err err = judge(node, false);

    RG_ASSERT(!raising(node) || node->leading);
    RG_ASSERT(node->failover.stage.state == FAILOVER_ASK);
    if (!err && raising(node) && rg_members_voters(&node->members) > 1) {
        raise_alone(node);
        return;
    }
    if (node->failover.ceded == 0 || raising(node))
        f->epoch = rg_epoch_next(RG_MAX(highest_epoch(node), node->epochs.heard), node->config.id);
    else if (!err && highest_epoch(node) > f->epoch)
        err = rg_promotion_say(f, RG_EBUSY, "a later epoch than the one handed over has been promised");
    if (!err && f->epoch >= RG_EPOCH_HEARD_MAX) /* the last ones are nobody's */
        err = rg_promotion_say(f, RG_EUNREADY, "no epoch is left above %llu", (unsigned long long)highest_epoch(node));
    if (err || f->dry_run) {
        node_failover_answer(node, err);
        return;
    }
    node->failover.epoch = f->epoch;
    node->failover.wait_until_ms = 0;
    if (!raising(node) && !promise(node, node->config.id, &node->meta.incarnation, f->epoch)) {
        node_failover_answer(node, rg_promotion_say(f, RG_EBUSY, "this node has promised itself elsewhere meanwhile"));
        return;
    }
    RG_ASSERT(f->epoch > rg_epoch_of(node->meta.term));
    RG_ASSERT(f->epoch <= RG_EPOCH_MAX);
    RG_ASSERT(raising(node) || node->meta.promised == f->epoch);
    rg_sm_move(&node->failover.stage, FAILOVER_PROMISE);
    ask(node, f->epoch);
}

/* The epoch was handed over. What remains to be seen is whether a promotion came in between, which may have acknowledged already: the way
 * is that of a promotion, so that one meets the other. */
static void on_taken(struct rg_failover *f)
{
    struct rg_node *node = node_of_own(f);

    if (f->err)
        rg_log_warn(node->config.log, "handover.not_taken", "err=%s text=\"%s\"", rg_err_symbol(f->err), f->text);
}

void node_failover_take(struct rg_node *node, uint64_t term, struct rg_span config, uint64_t ceded)
{
    struct rg_failover *f = &node->failover.own;

    RG_ASSERT(!node->leading);
    RG_ASSERT(ceded != 0);
    RG_ASSERT(ceded != node->config.id);
    RG_ASSERT(config.n > 0);
    rg_buf_clear(&node->failover.config);
    rg_buf_put(&node->failover.config, config.p, config.n);
    if (node->failover.config.err) {
        node_fail(node, node->failover.config.err, "take over: %s", rg_err_text(node->failover.config.err));
        return;
    }
    memset(f, 0, sizeof *f);
    f->epoch = rg_epoch_of(term);
    f->on_done = on_taken;
    begin(node, f, ceded);
}

static void step_promised(struct rg_node *node)
{
    struct rg_failover *f = node->failover.request;
    uint64_t now = node_now_ms(node);
    enum rg_err err = judge(node, true);

    if (!err && highest_epoch(node) > node->failover.epoch)
        err = rg_promotion_say(f, RG_EBUSY, "another promotion is under way: a later epoch has been promised");
    if (err) {
        node_failover_answer(node, err);
        return;
    }
    node->failover.wait_until_ms = RG_MAX(node->failover.wait_until_ms, now + node_lease_left(node, node->failover.ceded));
    if (rg_promotion_lease_open(f)) /* accepted */
        node->failover.wait_until_ms = RG_MAX(node->failover.wait_until_ms, now + rg_lease_outlast_ms(node->lease.settings.lease_ms));
    RG_ASSERT(raising(node) || node->meta.promised >= node->failover.epoch); /* our own promise is durable before anybody's counts */
    rg_sm_move(&node->failover.stage, FAILOVER_WAIT);
}

static enum rg_err next_members(const struct rg_node *node, struct rg_buf *out)
{
    struct rg_members m;

    rg_change_promoted(&node->members, node->config.id, &m);
    RG_ASSERT(m.n <= node->members.n);
    return rg_change_only_voter(&m) == node->config.id ? rg_members_encode(&m, out) : RG_EINVALID;
}

static void step_begin(struct rg_node *node)
{
    RG_AUTO_BUF struct rg_buf config = {.max = 0};
    struct rg_failover *f = node->failover.request;

    RG_ASSERT(!raising(node) || node->leading);
    if (raising(node))
        node_pause(node, true);
    if (node->log.persisted < rg_wal_last(node->wal) || (raising(node) && !node_quiet(node)))
        return; /* nothing of an older epoch is accepted any more: this ends */
    if (epoch_known(node) > node->failover.epoch || node->meta.term > node->failover.epoch << RG_EPOCH_SHIFT) {
        node_failover_answer(node, rg_promotion_say(f, RG_EBUSY, "another promotion went ahead meanwhile"));
        return;
    }
    RG_ASSERT(node->log.persisted == rg_wal_last(node->wal));
    RG_ASSERT(node->snap.install.state == INSTALL_NONE);
    RG_ASSERT(node->answers.flying.n == 0);
    rg_buf_init(&config, RG_RAFT_CONFIG_BYTES_MAX);
    if (node->failover.ceded != 0)
        rg_buf_put(&config, node->failover.config.data, node->failover.config.len);
    if (config.err || (node->failover.ceded == 0 && next_members(node, &config) != RG_OK)) {
        node_failover_answer(node, RG_EINTERNAL);
        return;
    }
    rg_log_warn(node->config.log, "failover.begin", "epoch=%llu last=%llu", (unsigned long long)node->failover.epoch,
                (unsigned long long)rg_wal_last(node->wal));
    RG_ASSERT(node->failover.epoch > 0);
    RG_ASSERT(node->failover.epoch <= UINT32_MAX);
    RG_ASSERT(node_now_ms(node) >= node->failover.wait_until_ms || RG_BUG(promotion_no_wait));
    RG_ASSERT(rg_epoch_of_node(node->failover.epoch, node->config.id) || RG_BUG(epoch_next_one));
    rg_sm_move(&node->failover.stage, FAILOVER_BEGIN);
    node_reborn(node, node->failover.epoch << RG_EPOCH_SHIFT, rg_buf_span(&config));
}

void node_failover_step(struct rg_node *node)
{
    uint64_t now = node_now_ms(node);

    node_failover_check(&node->failover);
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
        if (now >= node->failover.wait_until_ms || RG_BUG(promotion_no_wait))
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

    RG_ASSERT(node->stage.state == NODE_RUNNING);
    RG_ASSERT(node->snap.install.state == INSTALL_NONE);
    RG_ASSERT(term >= node->meta.term);
    RG_ASSERT((term & UINT32_MAX) == 0 || term > node->meta.term); /* a new epoch's, or a later one of this epoch */
    RG_ASSERT(rg_epoch_of(term) > 0);
    RG_ASSERT(config.n > 0);
    if (node->leading) {
        node_lose_leadership(node);
        if (node->stage.state != NODE_RUNNING)
            return; /* failed while it answered */
    }
    for (size_t i = 0; i < node->n_peers; i++)
        rg_gate_drop(&node->peers[i].gate);
    node_receiver_abort(node, rg_epoch_of(term));
    node->meta.term_before = node->meta.term;
    node->meta.term = term;
    node->meta.vote = 0;
    node->meta.promised = RG_MAX(node->meta.promised, rg_epoch_of(term));
    err = rg_metafile_save(node->metafile, &node->meta, &ctx); /* before the entry: a log never ends in a term beyond it */
    if (!err)
        err = rg_wal_append(node->wal, &entry, 1);
    if (err) {
        node_fail(node, err, "begin epoch %llu: %s", (unsigned long long)rg_epoch_of(term), rg_errctx_text(&ctx, err));
        return;
    }
    rg_sm_move(&node->stage, NODE_REBORN);
    node->epochs.reborn_index = rg_wal_last(node->wal);
    RG_ASSERT(node->epochs.reborn_index > node->state.applied.index);
    RG_ASSERT(node->meta.promised >= rg_epoch_of(term));
    RG_ASSERT(node->answers.queue.n == 0);
    RG_ASSERT(node->change.now == NULL);
    RG_ASSERT(!node->leading);
    RG_ASSERT(node->answers.flying.n == 0);
    node_primary_forget(node);
    rg_wal_flush(node->wal);
}

/* As after a restart, but with the state in place and readers at work. */
void node_reborn_durable(struct rg_node *node)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_entry entry;
    enum rg_err err;

    RG_ASSERT(rg_wal_last(node->wal) == node->epochs.reborn_index);
    RG_ASSERT(rg_wal_get(node->wal, node->epochs.reborn_index, &entry));
    RG_ASSERT(entry.type == RG_ENTRY_CHANGE);
    RG_ASSERT(entry.term == node->meta.term);
    RG_ASSERT(node->snap.install.state == INSTALL_NONE);
    RG_ASSERT(rg_wal_durable(node->wal) >= node->epochs.reborn_index || RG_BUG(epoch_led_early));
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
        node_fail(node, err, "begin again in epoch %llu: %s", (unsigned long long)rg_epoch_of(node->meta.term),
                  rg_errctx_text(&ctx, err));
        return;
    }
    rg_log_warn(node->config.log, "epoch.began", "epoch=%llu index=%llu leading=%s",
                (unsigned long long)rg_epoch_of(node->meta.term), (unsigned long long)node->epochs.reborn_index,
                node->leading ? "yes" : "no");
}
