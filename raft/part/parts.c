/* raft/part/parts.c: the node's machines, and what must be true of each of its parts by itself. */
#include "raft/part/parts.h"

#include "base/bug/bug.h"
#include "raft/core/hello.h"
#include "raft/core/meta.h"
#include "raft/node.h"

/* ---- machines ---- */

static const uint32_t stage_may[] = {
    [NODE_NEW] = RG_BIT(NODE_ASKING) | RG_BIT(NODE_FIRST) | RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_ASKING] = RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_FIRST] = RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_RUNNING] = RG_BIT(NODE_REBORN) | RG_BIT(NODE_STOPPED),
    [NODE_REBORN] = RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_STOPPED] = 0,
};
static const char *const stage_names[] = {"NEW", "ASKING", "FIRST", "RUNNING", "REBORN", "STOPPED"};
const struct rg_sm_table node_stages = RG_SM_TABLE("node", stage_may, stage_names);
_Static_assert(RG_LEN(stage_may) == NODE_STOPPED + 1, "each state has its row");

static const uint32_t install_may[] = {
    [INSTALL_NONE] = RG_BIT(INSTALL_TAKEN),
    [INSTALL_TAKEN] = RG_BIT(INSTALL_RESET),
    [INSTALL_RESET] = RG_BIT(INSTALL_DONE),
    [INSTALL_DONE] = RG_BIT(INSTALL_NONE),
};
static const char *const install_names[] = {"NONE", "TAKEN", "RESET", "DONE"};
const struct rg_sm_table node_installs = RG_SM_TABLE("install", install_may, install_names);
_Static_assert(RG_LEN(install_may) == INSTALL_DONE + 1, "each state has its row");

static const uint32_t failover_may[] = {
    [FAILOVER_NONE] = RG_BIT(FAILOVER_ASK),
    [FAILOVER_ASK] = RG_BIT(FAILOVER_PROMISE) | RG_BIT(FAILOVER_NONE),
    [FAILOVER_PROMISE] = RG_BIT(FAILOVER_WAIT) | RG_BIT(FAILOVER_NONE),
    [FAILOVER_WAIT] = RG_BIT(FAILOVER_BEGIN) | RG_BIT(FAILOVER_NONE),
    [FAILOVER_BEGIN] = RG_BIT(FAILOVER_NONE),
};
static const char *const failover_names[] = {"NONE", "ASK", "PROMISE", "WAIT", "BEGIN"};
const struct rg_sm_table node_failovers = RG_SM_TABLE("failover", failover_may, failover_names);
_Static_assert(RG_LEN(failover_may) == FAILOVER_BEGIN + 1, "each state has its row");

static const uint32_t handover_may[] = {
    [HANDOVER_NONE] = RG_BIT(HANDOVER_DEMOTE) | RG_BIT(HANDOVER_COMMIT),
    [HANDOVER_DEMOTE] = RG_BIT(HANDOVER_DRAIN) | RG_BIT(HANDOVER_NONE),
    [HANDOVER_DRAIN] = RG_BIT(HANDOVER_PREPARE) | RG_BIT(HANDOVER_NONE),
    [HANDOVER_PREPARE] = RG_BIT(HANDOVER_CEDE) | RG_BIT(HANDOVER_NONE),
    [HANDOVER_CEDE] = RG_BIT(HANDOVER_COMMIT) | RG_BIT(HANDOVER_NONE),
    [HANDOVER_COMMIT] = RG_BIT(HANDOVER_NONE),
};
static const char *const handover_names[] = {"NONE", "DEMOTE", "DRAIN", "PREPARE", "CEDE", "COMMIT"};
const struct rg_sm_table node_handovers = RG_SM_TABLE("handover", handover_may, handover_names);
_Static_assert(RG_LEN(handover_may) == HANDOVER_COMMIT + 1, "each state has its row");

/* ---- sizes that depend on each other ---- */

_Static_assert(RG_LEN(((struct rg_failover *)0)->candidates) == RG_PEERS_MAX + 1, "this node and all its peers, guests too");
_Static_assert(sizeof ((struct rg_candidate *)0)->region == sizeof ((struct rg_peer_config *)0)->region, "copied whole");
_Static_assert(sizeof ((struct rg_hello *)0)->region >= sizeof ((struct rg_peer_config *)0)->region, "compared as strings");
_Static_assert(sizeof ((struct rg_candidate *)0)->region == sizeof ((struct rg_meta *)0)->region, "copied whole");
_Static_assert(sizeof ((struct rg_hello *)0)->cluster_id == sizeof ((struct rg_meta *)0)->cluster_id, "copied whole");
_Static_assert(sizeof ((struct rg_hello *)0)->region == sizeof ((struct rg_meta *)0)->region, "copied whole");
_Static_assert(sizeof ((struct rg_node_status *)0)->region == sizeof ((struct rg_meta *)0)->region, "copied whole");
_Static_assert(sizeof ((struct rg_node_status *)0)->not_ready == sizeof ((struct node_health *)0)->not_ready, "copied whole");
_Static_assert(sizeof ((struct rg_peer_status *)0)->region == sizeof ((struct rg_peer_config *)0)->region, "copied whole");
_Static_assert(RG_LEN(((struct rg_node_status *)0)->peers) == RG_PEERS_MAX, "every peer is shown");
_Static_assert(RG_LEN(((struct rg_node_status *)0)->visible_us) == 32, "rg_count_us counts in 32 buckets");
_Static_assert(RG_LEN(((struct rg_node_status *)0)->durable_us) == 32, "rg_count_us counts in 32 buckets");
_Static_assert(RG_REGIONS_ALL > RG_PEERS_MAX, "no number of regions means all of them by chance");
_Static_assert(RG_EPOCH_HEARD_MAX + 2 * RG_EPOCH_IDS <= RG_EPOCH_MAX, "above what is heard, two of every node's are left");
_Static_assert(RG_FIRST_TERM >> RG_EPOCH_SHIFT == 1, "the first epoch is 1");
_Static_assert((RG_FIRST_TERM & UINT32_MAX) != 0, "a term without restarts is an epoch that has not begun");
_Static_assert((uint64_t)RG_LEASE_MS_MAX * 101 / 100 + 1 <= UINT32_MAX, "what is granted fits a report");
_Static_assert(RG_LEASE_MS_MIN * 99 / 100 > 0, "the shortest lease is one");
_Static_assert(RG_PEERS_MAX * (RG_ADDRESS_BYTES_MAX + 10) + 32 <= RG_RAFT_CONFIG_BYTES_MAX, "every configuration can be encoded");
_Static_assert(RG_PEERS_MAX <= RG_EPOCH_IDS, "members differ by their ids' remainders");
_Static_assert(RG_MSG_DATA_BYTES_MAX >= RG_CMD_BYTES_MAX, "a command fits a message");
_Static_assert(RG_MSG_BYTES_MAX > RG_MSG_DATA_BYTES_MAX, "and what is around it too");

/* ---- what must be true ---- */

void node_peer_check(const struct node_peer *peer)
{
    RG_ASSERT(peer->config.id != 0);
    RG_ASSERT(peer->config.role == RG_ROLE_VOTER || peer->config.role == RG_ROLE_LEARNER);
    RG_ASSERT(!peer->guest || peer->sender == NULL); /* it leads: nobody sends it a snapshot */
    RG_ASSERT(!peer->gone || peer->dismissed);
    RG_ASSERT(!peer->dismissed || !peer->counts || RG_BUG(counts_dismissed));
}

void node_state_check(const struct node_state *state)
{
    RG_ASSERT((state->applied.index == 0) == (state->applied.term == 0));
    RG_ASSERT(state->config_index <= state->applied.index);
    RG_ASSERT(state->config_index == 0 || state->config.len > 0);
    RG_ASSERT(!state->config_pending || state->config_index > 0);
    RG_ASSERT(rg_heavy_idle(&state->heavy) || state->heavy.index == state->applied.index + 1);
}

void node_snap_check(const struct node_snap *snap)
{
    bool installing = snap->install.state != INSTALL_NONE;

    RG_ASSERT((snap->index == 0) == (snap->term == 0));
    RG_ASSERT(snap->index == 0 || snap->config.len > 0);
    RG_ASSERT(snap->config_index <= snap->index);
    RG_ASSERT(!installing || snap->install_term != 0);
    RG_ASSERT(!installing || snap->install_config_index <= snap->install_index);
    RG_ASSERT(snap->refused == RG_OK || snap->refused_index != 0);
    RG_ASSERT(!installing || snap->install_index > snap->index);
}

void node_answers_check(const struct node_answers *answers)
{
    rg_proposals_check(&answers->queue);
    rg_proposals_check(&answers->held);
    rg_proposals_check(&answers->flying);
    rg_proposals_check(&answers->done);
    rg_proposals_check(&answers->regional);
    RG_ASSERT(answers->flying.n == 0 || answers->flying.head->index != 0);
    RG_ASSERT(answers->flying.n == 0 || answers->flying.head->term != 0);
    RG_ASSERT(answers->queue.n == 0 || answers->queue.head->index == 0); /* not proposed yet */
    RG_ASSERT(answers->held.n == 0 || answers->held.head->index == 0);
    RG_ASSERT(answers->regional.n == 0 || answers->regional.head->rev.index == answers->regional.head->index);
    RG_ASSERT(answers->waits.n <= answers->waits.cap);
}

void node_answers_empty(const struct node_answers *answers)
{
    RG_ASSERT(answers->queue.n == 0);
    RG_ASSERT(answers->held.n == 0);
    RG_ASSERT(answers->flying.n == 0);
    RG_ASSERT(answers->done.n == 0);
    RG_ASSERT(answers->regional.n == 0);
    RG_ASSERT(answers->waits.n == 0);
}

void node_forward_check(const struct node_forward *forward)
{
    rg_carried_check(&forward->carried);
    RG_ASSERT(forward->carried.list.n <= NODE_GUESTS_MAX);
    RG_ASSERT(forward->n_guests <= NODE_GUESTS_MAX);
}

void node_change_check(const struct node_change *change)
{
    RG_ASSERT(change->now == NULL || change->now->on_done != NULL);
    RG_ASSERT(change->now == NULL || change->now->index == 0 || change->now->term != 0);
    RG_ASSERT(change->now == NULL || change->now->index == 0 || change->bytes.len > 0);
}

void node_lease_check(const struct node_lease *lease)
{
    RG_ASSERT(lease->granted.others_ms <= lease->granted.until_ms);
    RG_ASSERT(lease->granted.to != 0 || lease->granted.others_ms == 0);
    RG_ASSERT(lease->degraded == 0 || lease->degraded_last > 0 || lease->dirty);
}

void node_epochs_check(const struct node_epochs *epochs)
{
    RG_ASSERT(epochs->known.n <= RG_EPOCHS_MAX);
    RG_ASSERT(epochs->heard <= RG_EPOCH_HEARD_MAX);
    RG_ASSERT(epochs->raise_ms == 0 || epochs->heard > 0);
}

void node_primary_check(const struct node_primary *primary)
{
    RG_ASSERT(primary->epoch <= RG_EPOCH_MAX);
    RG_ASSERT(!primary->pending || primary->announced.index > 0);
    RG_ASSERT(primary->granted_ms <= RG_LEASE_MS_MAX);
}

void node_health_check(const struct node_health *health)
{
    RG_ASSERT(health->ready == (health->not_ready[0] == '\0'));
}

void node_failover_check(const struct node_failover *failover)
{
    const struct rg_failover *f = failover->request;
    unsigned stage = failover->stage.state;

    RG_ASSERT((f != NULL) == (stage != FAILOVER_NONE));
    RG_ASSERT(f == NULL || f->on_done != NULL);
    RG_ASSERT(f == NULL || (f == &failover->own) == (failover->ceded != 0));
    RG_ASSERT(f == NULL || failover->ceded == 0 || failover->config.len > 0);
    RG_ASSERT(f == NULL || f->n_candidates >= 1);
    RG_ASSERT(f == NULL || f->n_candidates <= RG_LEN(f->candidates));
    RG_ASSERT(f == NULL || stage == FAILOVER_ASK || failover->epoch != 0);
    RG_ASSERT(f == NULL || stage == FAILOVER_ASK || failover->epoch == f->epoch);
    RG_ASSERT(f == NULL || stage == FAILOVER_ASK || !f->dry_run); /* nobody promises for a rehearsal */
    RG_ASSERT(f == NULL || failover->epoch <= RG_EPOCH_MAX);
}

void node_handover_check(const struct node_handover *handover)
{
    unsigned stage = handover->stage.state;
    bool asked = stage == HANDOVER_DEMOTE || stage == HANDOVER_DRAIN || stage == HANDOVER_PREPARE || stage == HANDOVER_CEDE;

    RG_ASSERT(!asked || handover->request != NULL);
    RG_ASSERT(asked || stage == HANDOVER_COMMIT || handover->request == NULL);
    RG_ASSERT(stage == HANDOVER_NONE || handover->to != 0);
    RG_ASSERT(stage == HANDOVER_NONE || rg_epoch_of(handover->term) != 0);
    RG_ASSERT(stage == HANDOVER_NONE || (handover->term & UINT32_MAX) == 0);
    RG_ASSERT(!asked || stage == HANDOVER_DEMOTE || handover->paused);
    RG_ASSERT(!handover->changing || stage == HANDOVER_DEMOTE);
    RG_ASSERT(stage != HANDOVER_COMMIT || handover->config.len > 0);
    RG_ASSERT(stage != HANDOVER_COMMIT || handover->term > handover->last_term);
}
