/* raft/serve/answer.c: proposals in, outcomes out; waits for a revision. */
#include "raft/serve/serve.h"

_Static_assert(NODE_SCAN_MS < NODE_POLICY_WAIT_MS, "a wait is not kept much longer than its time");
_Static_assert(NODE_BATCH_BYTES >= RG_CMD_BYTES_MAX, "a batch holds any command");

void node_answers_init(struct rg_node *node)
{
    rg_proposals_init(&node->answers.queue);
    rg_proposals_init(&node->answers.held);
    rg_proposals_init(&node->answers.flying);
    rg_proposals_init(&node->answers.done);
    rg_proposals_init(&node->answers.regional);
}

enum rg_err node_answers_new(struct rg_node *node)
{
    RG_ASSERT(node->answers.batch == NULL);
    RG_ASSERT(node->config.batch_max > 0);
    node->answers.batch = calloc(node->config.batch_max, sizeof *node->answers.batch);
    return node->answers.batch != NULL ? RG_OK : RG_ENOMEM;
}

void node_answers_stop(struct rg_node *node)
{
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    rg_proposals_answer(&node->answers.done, RG_ESTOPPED);
    rg_proposals_answer(&node->answers.flying, RG_ESTOPPED);
    rg_proposals_answer(&node->answers.queue, RG_ESTOPPED);
    rg_proposals_answer(&node->answers.held, RG_ESTOPPED);
    rg_proposals_answer(&node->answers.regional, RG_ESTOPPED);
}

void node_answers_unled(struct rg_node *node)
{
    RG_ASSERT(!node->leading); /* or a callback could submit again */
    rg_proposals_answer(&node->answers.queue, RG_ENOTPRIMARY);
    rg_proposals_answer(&node->answers.flying, RG_ESTOPPED); /* they may yet be committed: the outcome is open */
    RG_ASSERT(node->answers.queue.n == 0);
    RG_ASSERT(node->answers.flying.n == 0);
}

void node_answers_refuse(struct rg_node *node)
{
    struct rg_proposals queue;

    RG_ASSERT(node->leading);
    RG_ASSERT(node->room.refusing != 0);
    rg_proposals_move(&queue, &node->answers.queue);
    while (queue.head != NULL) {
        struct rg_proposal *p = rg_proposals_pop(&queue);
        enum rg_err err = node_room_check(node, p->cmd);

        RG_ASSERT(p->index == 0); /* in no log: nothing is left open */
        if (!err) {
            rg_proposals_push(&node->answers.queue, p);
            continue;
        }
        node->next_status.refused++;
        p->err = err;
        p->on_done(p);
    }
}

void node_answers_stalled(struct rg_node *node, enum rg_err err)
{
    RG_ASSERT(err == RG_ESTATEFULL || err == RG_EDISKFULL); /* nothing else leaves an outcome open in place */
    RG_ASSERT(node->answers.flying.n == 0 || node->leading);
    RG_ASSERT(node->answers.flying.n == 0 || node->answers.flying.head->index > node->state.applied.index); /* the visible is not open */
    for (struct rg_proposal *p = node->answers.flying.head; p != NULL; p = p->next)
        p->rev = (struct rg_rev){.epoch = rg_epoch_of(p->term), .index = p->index};
    rg_proposals_answer(&node->answers.flying, err);
    RG_ASSERT(node->answers.flying.n == 0); /* whoever submits again is queued */
}

void node_regions_moved(struct rg_node *node)
{
    node->answers.regional_dirty = true;
}

/* ---- submitting ---- */

/* What the policy wants may be degraded; what the write asks for itself may not. `all` is known only when it is written. */
static enum rg_err policy_check(const struct rg_node *node, const struct rg_proposal *p)
{
    uint32_t asked = p->wait_regions == RG_REGIONS_ALL ? 0 : p->wait_regions;
    RG_UNINIT struct rg_spread r;

    RG_ASSERT(node->leading);
    if (asked == 0 && p->known == RG_KNOWN_NONE &&
        (p->exempt || (node->lease.settings.regions == 0 && node->lease.settings.lease_index == 0)))
        return RG_OK;
    node_spread(node, &r);
    if (!p->exempt && !node_lease_held(node, &r))
        return RG_ELEASE;
    if (!p->exempt && !p->degraded && rg_spread_reachable(&r) < node->lease.settings.regions)
        return RG_ESHORTAGE;
    return rg_spread_reachable(&r) < asked || !node_known_soon(node, &r, p) ? RG_ESHORTAGE : RG_OK;
}

static enum rg_err submit_check(struct rg_node *node, const struct rg_proposal *p)
{
    enum rg_err err;

    if (node->stage.state == NODE_STOPPED)
        return RG_ESTOPPED;
    if (node->handover.paused) /* also while the node has ceded and the new primary was not heard yet */
        return RG_EPAUSED;
    if (node->stage.state != NODE_RUNNING || !node->leading)
        return RG_ENOTPRIMARY;
    if (node->health.alarm || node->health.diverged)
        return RG_EUNREADY;
    err = policy_check(node, p);
    if (err)
        return err;
    if (p->cmd.n == 0 || p->cmd.n > RG_CMD_BYTES_MAX)
        return RG_ETOOBIG;
    err = node_room_check(node, p->cmd);
    if (err)
        return err;
    return node->answers.queue.n + node->answers.flying.n + node->answers.regional.n >= node->config.queue_max ? RG_EBUSY : RG_OK;
}

void rg_node_submit(struct rg_node *node, struct rg_proposal *proposal)
{
    enum rg_err err = submit_check(node, proposal);

    RG_ASSERT(proposal->on_done != NULL);
    proposal->index = proposal->term = 0;
    proposal->regions_durable = 0;
    memset(&proposal->reply, 0, sizeof proposal->reply);
    memset(&proposal->rev, 0, sizeof proposal->rev);
    node->next_status.proposals++;
    if (err == RG_EPAUSED && proposal->hold && node->answers.held.n < node->config.queue_max) {
        RG_ASSERT(node->handover.paused); /* whoever ends the pause lets it go */
        rg_proposals_push(&node->answers.held, proposal);
        return;
    }
    if (err) {
        node->next_status.refused++;
        proposal->err = err;
        proposal->on_done(proposal);
        return;
    }
    RG_ASSERT(node->stage.state == NODE_RUNNING);
    RG_ASSERT(node->leading);
    RG_ASSERT(proposal->cmd.n <= RG_CMD_BYTES_MAX);
    RG_ASSERT(node->answers.queue.n < node->config.queue_max);
    if (node->answers.queue.n == 0)
        node->answers.queue_since_us = node_now_us(node);
    rg_proposals_push(&node->answers.queue, proposal);
}

void node_held_release(struct rg_node *node)
{
    struct rg_proposals held;

    RG_ASSERT(!node->handover.paused);
    if (node->answers.held.n == 0)
        return;
    node_publish_early(node); /* whom they are told must show who leads now */
    rg_proposals_move(&held, &node->answers.held);
    while (held.head != NULL)
        rg_node_submit(node, rg_proposals_pop(&held));
}

/* ---- a batch: group commit (rule 13): while a write is under way they collect; then all go in one submission and one write ---- */

size_t node_batch(struct rg_node *node, uint64_t term)
{
    size_t n = 0, bytes = 0;

    RG_ASSERT(term == node->meta.term);
    for (const struct rg_proposal *p = node->answers.queue.head; p != NULL && n < node->config.batch_max; p = p->next) {
        if (n > 0 && bytes + p->cmd.n > NODE_BATCH_BYTES)
            break;
        RG_ASSERT(p->index == 0); /* not proposed yet */
        bytes += p->cmd.n;
        node->answers.batch[n++] = (struct rg_entry){.term = term, .type = RG_ENTRY_COMMAND, .data = p->cmd};
    }
    RG_ASSERT(n > 0);
    RG_ASSERT(n <= node->answers.queue.n);
    RG_ASSERT(bytes <= NODE_BATCH_BYTES);
    RG_ASSERT(n <= node->config.batch_max);
    return n;
}

void node_batch_flies(struct rg_node *node, uint64_t first, uint64_t term, size_t n)
{
    RG_ASSERT(n <= node->answers.queue.n);
    RG_ASSERT(first > node->state.applied.index);
    RG_ASSERT(node->answers.flying.n == 0 || node->answers.flying.head->index < first);
    RG_ASSERT(node->answers.flying.n == 0 || node->answers.flying.head->term == term);
    for (size_t i = 0; i < n; i++) {
        struct rg_proposal *p = rg_proposals_pop(&node->answers.queue);

        p->index = first + i;
        p->term = term;
        rg_proposals_push(&node->answers.flying, p);
    }
    node->answers.flying_since_us = node->answers.queue_since_us;
    node->answers.queue_since_us = node_now_us(node);
    node->next_status.batches++;
}

void node_batch_refused(struct rg_node *node)
{
    rg_proposals_answer(&node->answers.queue, RG_ENOTPRIMARY);
}

struct rg_proposal *node_flying_take(struct rg_node *node, uint64_t index, uint64_t term)
{
    struct rg_proposal *p = node->answers.flying.head;

    RG_ASSERT(index > 0);
    RG_ASSERT(p == NULL || p->index >= index); /* none is passed over */
    return p != NULL && p->index == index && p->term == term ? rg_proposals_pop(&node->answers.flying) : NULL;
}

void node_done_add(struct rg_node *node, struct rg_proposal *proposal)
{
    RG_ASSERT(proposal->index != 0);
    RG_ASSERT(proposal->index == proposal->rev.index);
    RG_ASSERT(proposal->index == node->state.applied.index);
    RG_ASSERT(rg_epoch_of(proposal->term) == proposal->rev.epoch);
    rg_proposals_push(&node->answers.done, proposal);
}

/* ---- regions ---- */

static bool regions_have(const struct rg_node *node, const struct rg_spread *r, struct rg_proposal *p)
{
    uint32_t asked = p->wait_regions == RG_REGIONS_ALL ? (uint32_t)r->n : p->wait_regions, lease, policy;

    p->regions_durable = rg_spread_durable(r, p->index, false);
    RG_ASSERT(p->index > 0); /* an entry below all would be durable anywhere */
    RG_ASSERT(p->regions_durable <= r->n);
    if (!node_known(node, r, p))
        return false;
    if (p->exempt)
        return p->regions_durable >= asked;
    lease = node_lease_needed(node, r);
    policy = p->degraded ? lease : RG_MAX(lease, node->lease.settings.regions);
    if (RG_BUG(ack_before_lease) || RG_BUG(ack_before_regions))
        policy = RG_BUG(ack_before_lease) ? node->lease.settings.regions : lease;
    return p->regions_durable >= asked && (policy == 0 || rg_spread_durable(r, p->index, true) >= policy) &&
           (lease == 0 || node_lease_held(node, r));
}

/* Too late: what is to be said. */
static enum rg_err late(const struct rg_node *node, const struct rg_spread *r, const struct rg_proposal *p)
{
    return !p->exempt && !node_lease_held(node, r) ? RG_ELEASE : RG_EREPLICATION;
}

static void answer_regional(struct rg_node *node, const struct rg_spread *r, uint64_t now_ms)
{
    size_t n = node->answers.regional.n;
    struct rg_proposals keep, out;
    struct rg_proposal *p;

    rg_proposals_init(&keep);
    rg_proposals_init(&out);
    node->answers.regional_deadline_ms = UINT64_MAX;
    while (node->answers.regional.n > 0) {
        p = rg_proposals_pop(&node->answers.regional);
        RG_ASSERT(p->deadline_ms != 0); /* nobody waits for regions without an end */
        RG_ASSERT(p->index <= node->state.applied.index);
        if (regions_have(node, r, p))
            p->err = RG_OK;
        else if (now_ms >= p->deadline_ms)
            p->err = late(node, r, p);
        else {
            node->answers.regional_deadline_ms = RG_MIN(node->answers.regional_deadline_ms, p->deadline_ms);
            rg_proposals_push(&keep, p);
            continue;
        }
        rg_proposals_push(&out, p);
    }
    RG_ASSERT(keep.n + out.n == n);
    rg_proposals_move(&node->answers.regional, &keep);
    while (out.n > 0) {
        p = rg_proposals_pop(&out);
        p->on_done(p);
    }
}

/* ---- waits ---- */

void rg_node_wait(struct rg_node *node, struct rg_wait *wait)
{
    enum rg_err err = node_reached(node, wait->rev);

    RG_ASSERT(wait->on_done != NULL);
    if (node->stage.state == NODE_STOPPED)
        err = RG_ESTOPPED;
    if (err == RG_EREVISION && node_now_ms(node) < wait->deadline_ms) {
        if (rg_waits_push(&node->answers.waits, wait, node->config.waits_max) == RG_OK) {
            RG_ASSERT(rg_rev_cmp(wait->rev, rg_node_visible(node)) > 0);
            if (node->answers.waits.n == 1 || wait->deadline_ms < node->answers.waits_deadline_ms)
                node->answers.waits_deadline_ms = wait->deadline_ms;
            return;
        }
        err = RG_EBUSY; /* the table is full: asked again at once it would be so again and again */
    }
    wait->err = err;
    wait->on_done(wait);
}

void node_waits_answer(struct rg_node *node, enum rg_err all)
{
    RG_ASSERT(all != RG_OK);
    RG_ASSERT(node->stage.state == NODE_STOPPED);
    while (node->answers.waits.n > 0) {
        struct rg_wait *w = rg_waits_pop(&node->answers.waits);

        w->err = all;
        w->on_done(w);
    }
    node_answers_empty(&node->answers); /* the last to be told: the node has stopped */
}

static void waits_visible(struct rg_node *node)
{
    struct rg_rev visible = rg_node_visible(node);

    while (node->answers.waits.n > 0 && rg_rev_cmp(node->answers.waits.items[0]->rev, visible) <= 0) {
        struct rg_wait *w = rg_waits_pop(&node->answers.waits);

        w->err = node_reached(node, w->rev);
        RG_ASSERT(w->err != RG_EREVISION);
        w->on_done(w);
    }
}

static void waits_expire(struct rg_node *node, uint64_t now_ms)
{
    struct rg_wait *expired;

    if (node->answers.waits.n == 0 || now_ms < node->answers.waits_deadline_ms || now_ms < node->answers.waits_scan_ms)
        return;
    expired = rg_waits_expire(&node->answers.waits, now_ms, &node->answers.waits_deadline_ms);
    node->answers.waits_scan_ms = now_ms + NODE_SCAN_MS;
    while (expired != NULL) {
        struct rg_wait *w = expired;

        expired = w->next;
        RG_ASSERT(now_ms >= w->deadline_ms);
        w->err = RG_EREVISION;
        w->on_done(w);
    }
}

/* ---- answering ---- */

void node_answer(struct rg_node *node)
{
    uint64_t now_ms = node_now_ms(node);
    RG_UNINIT struct rg_spread regions;
    struct rg_proposal *p;

    RG_ASSERT(node->stage.state == NODE_RUNNING);
    node_spread(node, &regions);
    if (node->answers.regional.n > 0 && (node->answers.regional_dirty || now_ms >= node->answers.regional_deadline_ms))
        answer_regional(node, &regions, now_ms);
    node->answers.regional_dirty = false;
    for (size_t n = node->answers.done.n; n > 0; n--) {
        p = rg_proposals_pop(&node->answers.done);
        if (regions_have(node, &regions, p)) {
            p->err = RG_OK;
            p->on_done(p);
            continue;
        }
        if (p->deadline_ms == 0)
            p->deadline_ms = now_ms + NODE_POLICY_WAIT_MS;
        if (now_ms < p->deadline_ms) {
            if (node->answers.regional.n == 0)
                node->answers.regional_deadline_ms = UINT64_MAX;
            node->answers.regional_deadline_ms = RG_MIN(node->answers.regional_deadline_ms, p->deadline_ms);
            rg_proposals_push(&node->answers.regional, p);
            continue;
        }
        p->err = late(node, &regions, p);
        p->on_done(p);
    }
    RG_ASSERT(node->answers.done.n == 0);
}

void node_answer_waits(struct rg_node *node)
{
    uint64_t now_ms = node_now_ms(node);

    waits_visible(node);
    waits_expire(node, now_ms);
    node_forward_expire(node, now_ms);
    node_answers_check(&node->answers);
}

uint64_t node_answer_due(const struct rg_node *node)
{
    uint64_t due = RG_MIN(node->answers.regional.n > 0 ? node->answers.regional_deadline_ms : UINT64_MAX, node_forward_due(node));

    RG_ASSERT(node->answers.done.n == 0); /* a turn leaves none behind: nothing but the clock is waited for */
    if (node->answers.waits.n > 0)
        due = RG_MIN(due, RG_MAX(node->answers.waits_deadline_ms, node->answers.waits_scan_ms));
    return due;
}
