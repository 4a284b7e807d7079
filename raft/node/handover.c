/* raft/node/handover.c: a planned hand-over. The primary pauses writes, the target gets level, and the primary writes the first
 * entry of the target's epoch to its own log: from the moment that is durable it never acknowledges anything again in its own.
 * The target writes the same entry, byte for byte, and leads. Before that moment everything can be taken back. */
#include "raft/node/node_priv.h"

#define AGAIN_MS 100u      /* a message that may be lost is sent again after this */
#define COMMIT_MS 10000u   /* how long the outcome is waited for after the hand-over point */
#define PAUSE_MS 5000u
#define TAKE_MS 500u       /* between two attempts of the target to begin */
_Static_assert(TAKE_MS > AGAIN_MS, "COMMIT comes again before the target tries again");
_Static_assert(COMMIT_MS > PAUSE_MS, "an outcome is waited for longer than what leads to it");

static void answer(struct rg_node *node, enum rg_err err)
{
    struct rg_handover *h = RG_STEAL(node->handover.request);

    RG_ASSERT(err != RG_OK || !node->leading); /* somebody else leads then */
    if (h == NULL)
        return;
    if (node->handover.paused_ms > 0)
        h->paused_ms = node_now_ms(node) - node->handover.paused_ms;
    h->err = err;
    h->on_done(h);
}

void node_pause(struct rg_node *node, bool pause)
{
    RG_ASSERT(!pause || node->leading);
    RG_ASSERT(!pause || node->failover.request == &node->failover.own); /* a raised epoch's: a hand-over has its own way */
    node->handover.paused = pause;
}

/* ---- beginning ---- */

static enum rg_err check(struct rg_node *node, struct rg_handover *h)
{
    const struct node_peer *peer = node_peer_find(node, h->to);
    struct rg_handover_target target;
    struct rg_spread spread;

    h->text[0] = '\0';
    h->epoch = h->paused_ms = h->lag_entries = h->heard_ms = 0;
    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    if (node->stage.state != NODE_RUNNING || !node->leading)
        return RG_ENOTPRIMARY;
    node_spread(node, &spread);
    if (peer != NULL)
        target = (struct rg_handover_target){.region = peer->config.region,
                                             .up = peer->up,
                                             .counts = peer->counts,
                                             .filling = peer->sender != NULL,
                                             .differs = peer->hash_known && !peer->hash_ok,
                                             .applied = peer->applied,
                                             .heard_ms = peer->heard_ms == 0 ? UINT64_MAX : node_now_ms(node) - peer->heard_ms};
    return rg_handover_may(
        &(struct rg_handover_from){.region = node->config.region,
                                   .changing = node_changing(node, NULL),
                                   .healthy = node_healthy(node),
                                   .committed = node->log.committed,
                                   .config_index = node->state.config_index,
                                   .epoch_known = RG_MAX(RG_MAX(node->meta.promised, node->epochs.heard), rg_epoch_of(node->meta.term)),
                                   .spread = &spread,
                                   .durability = node_durability(node),
                                   .lease = node_lease_needed(node, &spread),
                                   .lease_held = node_lease_held(node, &spread),
                                   .lease_settled = node_lease_settled(node, &spread),
                                   .target = peer != NULL && !peer->guest ? &target : NULL},
        h);
}

void rg_node_handover(struct rg_node *node, struct rg_handover *h)
{
    struct node_handover *s = &node->handover;
    enum rg_err err = check(node, h);

    if (err || h->dry_run) {
        h->err = err;
        h->on_done(h);
        return;
    }
    RG_ASSERT(!s->changing);
    RG_ASSERT(!s->paused);
    RG_ASSERT(node->leading);
    RG_ASSERT(h->to != node->config.id);
    RG_ASSERT(h->epoch > rg_epoch_of(node->meta.term));
    rg_sm_move(&s->stage, HANDOVER_DEMOTE);
    s->request = h;
    s->to = h->to;
    s->term = h->epoch << RG_EPOCH_SHIFT;
    s->number = node->io->random(node->io);
    s->paused_ms = s->again_ms = 0;
    s->changing = false;
    s->change_err = RG_OK;
    node_handover_check(s);
}

/* ---- roles of the other voters ---- */

static void on_change(struct rg_change *change)
{
    struct node_handover *s = RG_CONTAINER(change, struct node_handover, change);

    RG_ASSERT(s->changing);
    RG_ASSERT(s->stage.state == HANDOVER_DEMOTE);
    s->changing = false;
    s->change_err = change->err;
}

static void change_role(struct rg_node *node, uint64_t id, enum rg_role role)
{
    struct node_handover *s = &node->handover;

    RG_ASSERT(!s->changing);
    RG_ASSERT(node->leading);
    RG_ASSERT(s->stage.state == HANDOVER_DEMOTE);
    RG_ASSERT(id != node->config.id);
    s->changing = true;
    s->change = (struct rg_change){.kind = RG_CHANGE_ROLE, .peer = {.id = id, .role = role}, .on_done = on_change};
    rg_node_change(node, &s->change);
}

/* Before the hand-over point: this node leads on. The voters it made learners vote again when rg_voters_keep says so: one of them may be
 * gone by now, and two voters would be worse than one. */
static void give_up(struct rg_node *node, const char *why)
{
    struct node_handover *s = &node->handover;

    RG_ASSERT(!s->changing);
    RG_ASSERT(node->leading);
    if (s->request != NULL && s->request->text[0] == '\0')
        rg_handover_say(s->request, RG_OK, "given up, this node is the primary as before: %s", why);
    rg_log_warn(node->config.log, "handover.given_up", "why=\"%s\"", why);
    node->handover.paused = false;
    rg_sm_move(&s->stage, HANDOVER_NONE);
    answer(node, RG_EUNREADY);
}

static void step_demote(struct rg_node *node)
{
    struct node_handover *s = &node->handover;
    uint64_t least = node_change_least(node);

    RG_ASSERT(node->leading);
    RG_ASSERT(s->request != NULL);
    if (s->changing)
        return;
    if (s->change_err) {
        give_up(node, "a voter could not be made a learner");
        return;
    }
    if (least != 0) { /* what remains must have a majority */
        change_role(node, least, RG_ROLE_LEARNER);
        return;
    }
    if (rg_core_change_pending(node->core) || node->state.config_pending)
        return;
    if (node_writes_aside(node)) { /* writes need not be held for it */
        give_up(node, "an entry that takes long is being applied: ask again when it is done");
        return;
    }
    node->handover.paused = true;
    s->paused_ms = node_now_ms(node);
    s->deadline_ms = s->paused_ms + (s->request->pause_ms_max > 0 ? s->request->pause_ms_max : PAUSE_MS);
    rg_sm_move(&s->stage, HANDOVER_DRAIN);
}

/* ---- getting level ---- */

static bool drained(const struct rg_node *node)
{
    uint64_t last = rg_wal_last(node->wal);

    RG_ASSERT(node->leading);
    RG_ASSERT(node->handover.paused);
    return node_quiet(node) && node->answers.regional.n == 0 && node->log.persisted == last && node->log.committed == last;
}

static enum rg_err next_config(const struct rg_node *node, uint64_t to, struct rg_buf *out)
{
    struct rg_members m;

    RG_ASSERT(rg_members_find(&node->members, to) != NULL);
    rg_change_handed(&node->members, to, &m);
    rg_buf_clear(out);
    return rg_members_encode(&m, out);
}

static enum rg_err send_step(struct rg_node *node, uint64_t to, enum rg_handover_step step)
{
    struct node_handover *s = &node->handover;
    struct rg_msg m = {.type = RG_MSG_HANDOVER};

    RG_ASSERT(step == RG_HANDOVER_PREPARE || step == RG_HANDOVER_COMMIT);
    m.handover = (struct rg_msg_handover){.number = s->number,
                                          .step = step,
                                          .term = s->term,
                                          .last_index = s->last_index,
                                          .last_term = s->last_term,
                                          .config = rg_buf_span(&s->config)};
    RG_ASSERT(s->config.len > 0);
    RG_ASSERT((s->term & UINT32_MAX) == 0);
    RG_ASSERT(s->term > s->last_term);
    s->again_ms = node_now_ms(node) + AGAIN_MS;
    return node_send(node, to, &m);
}

static void step_drain(struct rg_node *node)
{
    struct node_handover *s = &node->handover;
    const struct node_peer *peer = node_peer_find(node, s->to);
    uint64_t last = rg_wal_last(node->wal);

    RG_ASSERT(node->leading);
    RG_ASSERT(s->request != NULL);
    RG_ASSERT(s->paused);
    if (peer == NULL || !peer->up)
        give_up(node, "the target is gone");
    else if (drained(node) && peer->durable >= last) {
        s->last_index = last;
        s->last_term = rg_wal_term(node->wal, last);
        if (next_config(node, s->to, &s->config) != RG_OK) {
            give_up(node, "the next configuration cannot be made");
            return;
        }
        rg_sm_move(&s->stage, HANDOVER_PREPARE);
        (void)send_step(node, s->to, RG_HANDOVER_PREPARE);
    } else if (node_now_ms(node) >= s->deadline_ms)
        give_up(node, "the target does not get level within the time that writes may be paused");
}

static void step_prepare(struct rg_node *node)
{
    struct node_handover *s = &node->handover;
    const struct node_peer *peer = node_peer_find(node, s->to);

    RG_ASSERT(node->leading);
    RG_ASSERT(s->request != NULL);
    RG_ASSERT(s->paused);
    if (peer == NULL || !peer->up)
        give_up(node, "the target is gone");
    else if (node_now_ms(node) >= s->deadline_ms)
        give_up(node, "the target does not say that it is ready");
    else if (node_now_ms(node) >= s->again_ms)
        (void)send_step(node, s->to, RG_HANDOVER_PREPARE);
}

/* ---- the hand-over point, and after ---- */

static void cede(struct rg_node *node)
{
    struct node_handover *s = &node->handover;

    RG_ASSERT(s->term > node->meta.term);
    RG_ASSERT(s->stage.state == HANDOVER_PREPARE);
    if (rg_wal_last(node->wal) != s->last_index) { /* paused: a configuration's entry, or none of ours */
        give_up(node, "the log has grown meanwhile");
        return;
    }
    rg_log_warn(node->config.log, "handover.cede", "to=%llu epoch=%llu last=%llu", (unsigned long long)s->to,
                (unsigned long long)rg_epoch_of(s->term), (unsigned long long)s->last_index);
    /* The last moment before the hand-over point: nobody waits for an answer, and all that was acknowledged is on disk. */
    RG_ASSERT(node->leading);
    RG_ASSERT(node->handover.paused);
    RG_ASSERT(node->answers.queue.n == 0);
    RG_ASSERT(node->answers.flying.n == 0);
    RG_ASSERT(node->log.persisted == s->last_index);
    RG_ASSERT(node->log.committed == s->last_index);
    rg_sm_move(&s->stage, HANDOVER_CEDE);
    s->deadline_ms = node_now_ms(node) + COMMIT_MS;
    node->meta.ceded_index = s->last_index;
    node->meta.ceded_term = s->last_term;
    node_reborn(node, s->term, rg_buf_span(&s->config));
    if (RG_BUG(commit_early))
        (void)send_step(node, s->to, RG_HANDOVER_COMMIT);
}

static void step_commit(struct rg_node *node)
{
    struct node_handover *s = &node->handover;
    uint64_t now = node_now_ms(node);

    RG_ASSERT(!node->leading);
    if (now >= s->deadline_ms && s->request != NULL) {
        rg_handover_say(s->request, RG_OK, "handed over, but the new primary has not been heard yet; the hand-over goes on");
        answer(node, RG_ETIMEOUT);
        node->handover.paused = false;
    }
    if (now >= s->again_ms)
        (void)send_step(node, s->to, RG_HANDOVER_COMMIT);
}

void node_handover_heard(struct rg_node *node, uint64_t peer, uint64_t term)
{
    struct node_handover *s = &node->handover;

    if (s->stage.state != HANDOVER_COMMIT || term < s->term || rg_epoch_of(term) < rg_epoch_of(s->term))
        return;
    rg_sm_move(&s->stage, HANDOVER_NONE);
    node->handover.paused = false;
    RG_ASSERT(!node->leading);
    rg_log_info(node->config.log, "handover.done", "to=%llu epoch=%llu paused_ms=%llu", (unsigned long long)peer,
                (unsigned long long)rg_epoch_of(term),
                (unsigned long long)(s->paused_ms > 0 ? node_now_ms(node) - s->paused_ms : 0));
    answer(node, RG_OK);
}

void node_handover_end(struct rg_node *node, enum rg_err err, const char *text)
{
    struct node_handover *s = &node->handover;

    bool ceded = s->stage.state == HANDOVER_CEDE || s->stage.state == HANDOVER_COMMIT;

    if (s->stage.state == HANDOVER_NONE || (ceded && err != RG_ESTOPPED))
        return; /* past the hand-over point it goes on */
    RG_ASSERT(!s->changing); /* it was answered before */
    if (s->request != NULL)
        rg_handover_say(s->request, RG_OK, "%s", text);
    node->handover.paused = false;
    rg_sm_move(&s->stage, HANDOVER_NONE);
    answer(node, err);
}

void node_handover_overtaken(struct rg_node *node)
{
    struct node_handover *s = &node->handover;

    if (s->stage.state != HANDOVER_COMMIT)
        return;
    RG_ASSERT(!node->leading);
    rg_sm_move(&s->stage, HANDOVER_NONE);
    node->handover.paused = false;
    if (s->request != NULL)
        rg_handover_say(s->request, RG_OK, "handed over, but a promotion was declared before the new primary was heard");
    answer(node, RG_ETIMEOUT);
}

/* This node has ceded, and has heard no leader since: the target may never have been told. */
void node_handover_resume(struct rg_node *node)
{
    struct node_handover *s = &node->handover;
    uint64_t to = rg_handover_resumes(&node->meta, rg_wal_last(node->wal), node->state.config_index, rg_buf_span(&node->state.config));

    RG_ASSERT(!node->leading);
    RG_ASSERT(s->stage.state == HANDOVER_NONE);
    if (to == 0 || RG_BUG(handover_not_resumed))
        return;
    rg_buf_clear(&s->config);
    rg_buf_put(&s->config, node->state.config.data, node->state.config.len);
    if (s->config.err)
        return;
    s->to = to;
    s->term = node->meta.term;
    s->last_index = node->meta.ceded_index;
    s->last_term = node->meta.ceded_term;
    s->number = node->io->random(node->io);
    s->deadline_ms = UINT64_MAX;
    s->paused_ms = s->again_ms = 0;
    rg_sm_move(&s->stage, HANDOVER_COMMIT);
}

void node_handover_step(struct rg_node *node)
{
    struct node_handover *s = &node->handover;

    node_handover_check(s);
    if (!node->handover.paused)
        node_held_release(node);
    switch ((enum handover_stage)s->stage.state) {
    case HANDOVER_NONE:
        return;
    case HANDOVER_DEMOTE:
        step_demote(node);
        return;
    case HANDOVER_DRAIN:
        step_drain(node);
        return;
    case HANDOVER_PREPARE:
        step_prepare(node);
        return;
    case HANDOVER_CEDE:
        rg_sm_move(&s->stage, HANDOVER_COMMIT); /* running again: the entry is durable */
        step_commit(node);
        return;
    case HANDOVER_COMMIT:
        step_commit(node);
        return;
    }
}

uint64_t node_handover_due(const struct rg_node *node)
{
    const struct node_handover *s = &node->handover;

    switch ((enum handover_stage)s->stage.state) {
    case HANDOVER_DRAIN:
        return s->deadline_ms;
    case HANDOVER_PREPARE:
    case HANDOVER_COMMIT:
        return RG_MIN(s->again_ms, s->deadline_ms > node_now_ms(node) ? s->deadline_ms : UINT64_MAX);
    default:
        return UINT64_MAX;
    }
}

/* ---- the target's side ---- */

static bool takes(const struct rg_node *node, const struct rg_msg_handover *m)
{
    uint64_t last = rg_wal_last(node->wal);
    bool acts = node_standing_may_elect(node, m->term, m->last_index + 1); /* it is given the entry behind it */

    return rg_handover_takes(&(struct rg_handover_here){.id = node->config.id,
                                                        .term = node->meta.term,
                                                        .promised = node->meta.promised,
                                                        .follows = !node->leading && node->snap.install.state == INSTALL_NONE &&
                                                                   node->failover.request == NULL && !node->health.diverged && acts,
                                                        .last_index = last,
                                                        .last_term = rg_wal_term(node->wal, last),
                                                        .persisted = node->log.persisted},
                             m);
}

static void reply(struct rg_node *node, uint64_t peer, const struct rg_msg_handover *m, enum rg_handover_step step)
{
    struct rg_msg out = {.type = RG_MSG_HANDOVER, .handover = *m};

    RG_ASSERT(step == RG_HANDOVER_READY || step == RG_HANDOVER_REFUSED);
    RG_ASSERT(peer != node->config.id);
    out.handover.step = step;
    out.handover.config = rg_span(NULL, 0);
    (void)node_send(node, peer, &out);
}

static void take(struct rg_node *node, uint64_t from, const struct rg_msg_handover *m)
{
    struct node_handover *s = &node->handover;
    uint64_t now = node_now_ms(node);

    RG_ASSERT(!node->leading);
    RG_ASSERT(rg_wal_last(node->wal) == m->last_index);
    node_handover_heard(node, from, m->term); /* one of ours, if it is not over: whoever hands over has led since */
    if (node->lease.settings.lease_regions == 0 && node_durability(node) == 0) {
        rg_log_warn(node->config.log, "handover.take", "from=%llu epoch=%llu", (unsigned long long)from,
                    (unsigned long long)rg_epoch_of(m->term));
        node_reborn(node, m->term, m->config);
        return;
    }
    if (now < s->take_ms)
        return; /* COMMIT comes again */
    s->take_ms = now + TAKE_MS;
    node_failover_take(node, m->term, m->config, from);
}

void node_on_handover(struct rg_node *node, struct node_peer *peer, const struct rg_msg_handover *m)
{
    struct node_handover *s = &node->handover;
    bool ours = s->stage.state == HANDOVER_PREPARE && peer->config.id == s->to && m->number == s->number;

    RG_ASSERT(!ours || node->leading);
    switch (m->step) {
    case RG_HANDOVER_PREPARE:
        reply(node, peer->config.id, m, takes(node, m) ? RG_HANDOVER_READY : RG_HANDOVER_REFUSED);
        return;
    case RG_HANDOVER_READY:
        if (ours)
            cede(node);
        return;
    case RG_HANDOVER_REFUSED:
        if (ours)
            s->again_ms = RG_MIN(s->again_ms, node_now_ms(node) + AGAIN_MS / 4); /* perhaps it only has to apply something */
        return;
    case RG_HANDOVER_COMMIT:
        if (takes(node, m))
            take(node, peer->config.id, m);
        return;
    case RG_HANDOVER_STEP_COUNT:
        return;
    }
}
