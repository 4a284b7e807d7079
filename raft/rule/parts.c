/* raft/rule/parts.c: the node's machines, and sizes that depend on each other. */
#include "raft/rule/parts.h"

/* ---- machines ---- */

static const uint32_t stage_may[] = {
    [NODE_NEW] = RG_BIT(NODE_FIRST) | RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_FIRST] = RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_RUNNING] = RG_BIT(NODE_REBORN) | RG_BIT(NODE_STOPPED),
    [NODE_REBORN] = RG_BIT(NODE_RUNNING) | RG_BIT(NODE_STOPPED),
    [NODE_STOPPED] = 0,
};
static const char *const stage_names[] = {"NEW", "FIRST", "RUNNING", "REBORN", "STOPPED"};
const struct rg_sm_table node_stages = RG_SM_TABLE("node", stage_may, stage_names);
_Static_assert(RG_LEN(stage_may) == NODE_STOPPED + 1, "each state has its row");

static const uint32_t install_may[] = {
    [INSTALL_NONE] = RG_BIT(INSTALL_LOAD),
    [INSTALL_LOAD] = RG_BIT(INSTALL_RESET),
    [INSTALL_RESET] = RG_BIT(INSTALL_DONE),
    [INSTALL_DONE] = RG_BIT(INSTALL_NONE),
};
static const char *const install_names[] = {"NONE", "LOAD", "RESET", "DONE"};
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

/* ---- sizes ---- */

_Static_assert(RG_LEN(((struct rg_failover *)0)->candidates) == RG_PEERS_MAX + 1, "this node and all its peers, guests too");
_Static_assert(sizeof ((struct rg_candidate *)0)->region == sizeof ((struct rg_peer_config *)0)->region, "copied whole");
_Static_assert(sizeof ((struct rg_hello *)0)->region >= sizeof ((struct rg_peer_config *)0)->region, "compared as strings");
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
