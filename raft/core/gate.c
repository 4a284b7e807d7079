/* raft/core/gate.c: what may leave for one peer. */
#include "raft/core/gate.h"

/* start ≤ next ≤ end + 1: what was sent, and what is still owed, lie in one run. */
static void gate_check(const struct rg_gate *gate)
{
    if (!gate->held) {
        RG_ASSERT(!gate->beat);
        RG_ASSERT(gate->unanswered == 0);
        RG_ASSERT(gate->term == 0);
        RG_ASSERT(gate->next == 0);
        RG_ASSERT(gate->end == 0);
        return;
    }
    RG_ASSERT(gate->term != 0);
    RG_ASSERT(gate->start >= 1);
    RG_ASSERT(gate->start <= gate->next);
    RG_ASSERT(gate->next <= gate->end + 1);
    RG_ASSERT(gate->acked + 1 >= gate->start);
    RG_ASSERT(gate->next_prev_term <= gate->term);
    RG_ASSERT((gate->next == 1) == (gate->next_prev_term == 0));
}

void rg_gate_drop(struct rg_gate *gate)
{
    memset(gate, 0, sizeof *gate);
}

static void begin_run(struct rg_gate *gate, const struct rg_msg_append *append, uint64_t now_ms)
{
    rg_gate_drop(gate);
    gate->held = true;
    gate->beat = true;
    gate->term = append->term;
    gate->start = gate->next = append->prev_index + 1;
    gate->start_ms = now_ms;
    gate->next_prev_term = append->prev_term;
    gate->end = append->prev_index + append->n;
    gate->acked = append->prev_index;
    gate_check(gate);
}

/* While the core probes it repeats everything from the first entry the peer may lack, at each heartbeat. What went out on
 * this link is still on its way, since a link loses nothing while it stands: sending it again before a heartbeat has passed
 * would only fill the line. */
static bool repeats(const struct rg_gate *gate, const struct rg_msg_append *append, uint64_t now_ms, uint64_t repeat_ms)
{
    return append->prev_index + 1 == gate->start && gate->next > gate->start && now_ms - gate->start_ms < repeat_ms;
}

void rg_gate_hold(struct rg_gate *gate, const struct rg_msg_append *append, uint64_t now_ms, uint64_t repeat_ms)
{
    uint64_t end = append->prev_index + append->n;

    gate_check(gate);
    RG_ASSERT(append->term != 0);
    RG_ASSERT(append->prev_term <= append->term);
    RG_ASSERT(append->term >= gate->term); /* a leader's terms only grow */
    if (!gate->held || gate->term != append->term ||
        (append->prev_index != gate->end && !repeats(gate, append, now_ms, repeat_ms))) {
        begin_run(gate, append, now_ms);
        return;
    }
    gate->end = RG_MAX(gate->end, end);
    gate->beat |= append->n == 0;
    gate_check(gate);
}

bool rg_gate_next(struct rg_gate *gate, uint64_t limit, uint64_t term, uint64_t first, struct rg_gate_span *ret_span)
{
    uint64_t last;

    if (!gate->held)
        return false;
    if (gate->term != term || (gate->next <= gate->end && gate->next < first)) {
        rg_gate_drop(gate);
        return false;
    }
    last = gate->unanswered < RG_GATE_WINDOW_BYTES ? RG_MIN(gate->end, limit) : gate->next - 1;
    if (last < gate->next && (!gate->beat || gate->next - 1 > limit))
        return false;
    ret_span->prev_index = gate->next - 1;
    ret_span->prev_term = gate->next_prev_term;
    ret_span->last = RG_MAX(last, gate->next - 1);
    RG_ASSERT(ret_span->last >= ret_span->prev_index);
    RG_ASSERT(ret_span->last <= limit); /* RAFT.md rule 9 */
    RG_ASSERT(ret_span->prev_index + 1 >= first || ret_span->last == ret_span->prev_index);
    return true;
}

void rg_gate_sent(struct rg_gate *gate, uint64_t last, uint64_t last_term, size_t bytes)
{
    RG_ASSERT(gate->held);
    RG_ASSERT(last_term <= gate->term);
    RG_ASSERT(last_term >= gate->next_prev_term);
    RG_ASSERT(last + 1 >= gate->next);
    RG_ASSERT(last <= RG_MAX(gate->end, gate->next - 1));
    if (last >= gate->next)
        gate->next_prev_term = last_term;
    gate->next = last + 1;
    gate->unanswered += bytes;
    gate->beat = false;
    gate_check(gate);
}

void rg_gate_answered(struct rg_gate *gate, uint64_t index, size_t bytes)
{
    if (index <= gate->acked)
        return;
    gate->acked = index;
    gate->unanswered = index + 1 >= gate->next ? 0 : gate->unanswered - RG_MIN(gate->unanswered, bytes);
    gate_check(gate);
}
