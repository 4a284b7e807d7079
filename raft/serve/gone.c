/* raft/serve/gone.c: a node that hears no primary has others asked whether its id was given up: raft/standing/gone.h decides. */
#include <stdio.h>

#include "raft/serve/serve.h"
#include "store/model/node.h"

/* A node that has nothing to serve, and acts for nobody, is told by whoever fills it; one that asks what it may have forgotten hears from
 * those without links, too. A leader is asked about only while nobody is linked:
 * it has no other way to hear of it. */
static bool is_alone(const struct rg_node *node)
{
    RG_ASSERT(node->members.n >= 1);
    RG_ASSERT(!node->leading || !node->standing.asking);
    if (node->config.on_alone == NULL || node->members.n == 1 || node->stage.state == NODE_REBORN)
        return false;
    if (!node->leading)
        return !node_primary_reachable(node) && (node->state.applied.index > 0 || node->standing.asking);
    for (size_t i = 0; i < node->n_peers; i++)
        if (node->peers[i].up)
            return false;
    return true;
}

void node_gone_step(struct rg_node *node)
{
    struct rg_gone *g = &node->gone.asked;
    bool doubted = rg_gone_doubts(g);

    RG_ASSERT(node->stage.state == NODE_RUNNING || node->stage.state == NODE_ASKING);
    if (rg_gone_look(g, is_alone(node), node_now_ms(node)))
        node->config.on_alone(node->config.arg, g->question);
    if (doubted && !rg_gone_doubts(g))
        rg_log_info(node->config.log, "node.gone.over", "primary=%llu", (unsigned long long)node->primary.id);
}

uint64_t node_gone_due(const struct rg_node *node)
{
    return rg_gone_due(&node->gone.asked);
}

/* A leader's reads are its own: whoever has it for gone is heard when there are enough of them. */
bool node_gone_doubted(const struct rg_node *node)
{
    RG_ASSERT(!rg_gone_doubts(&node->gone.asked) || node->config.on_alone != NULL);
    RG_ASSERT(node->gone.asked.by.node != node->config.id); /* nobody says it of itself */
    return !node->leading && rg_gone_doubts(&node->gone.asked);
}

bool node_gone_unasked(const struct rg_node *node)
{
    const struct rg_gone *g = &node->gone.asked;

    RG_ASSERT(node->config.on_alone != NULL || g->state.state == RG_GONE_HEARS);
    return g->state.state != RG_GONE_HEARS && !g->answered && !RG_BUG(gone_unasked);
}

static void say(const struct rg_node *node, const char *event, const struct rg_gone_told *by)
{
    RG_ASSERT(by->row == RG_GONE_REPLACED || by->row == RG_GONE_REMOVED);
    rg_log_error(node->config.log, event, "by=%llu text=\"by its rows node %llu %s\"", (unsigned long long)by->node,
                 (unsigned long long)node->config.id, by->row == RG_GONE_REMOVED ? "was removed" : "came back under another id");
}

/* Which member that is: whoever lost its disk has its configuration file's id again. 0: none that is known. */
static uint64_t member_of(const struct rg_node *node, uint64_t id)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_node_row heir;

    RG_ASSERT(id != 0);
    if (rg_members_find(&node->members, id) != NULL)
        return id;
    if (node->state.applied.index == 0 || rg_txn_begin(node->config.store, RG_TXN_READ, &txn) != RG_OK ||
        rg_node_heir(txn, id, &heir) != RG_OK)
        return 0;
    return rg_members_find(&node->members, heir.id) != NULL ? heir.id : 0;
}

void node_gone_told(struct rg_node *node, uint64_t question, const struct rg_gone_told *told, size_t n)
{
    struct rg_gone *g = &node->gone.asked;
    const struct rg_gone_here here = {.id = node->config.id, .members = &node->members, .history = node->history.own};
    uint64_t before = g->by.node;
    bool sure = rg_gone_heard(g, question, &here, told, n, node_now_ms(node));

    RG_ASSERT(!sure || rg_gone_doubts(g));
    RG_ASSERT(node->stage.state == NODE_RUNNING || node->stage.state == NODE_ASKING);
    for (size_t i = 0; i < n && node->standing.asking && question == g->question; i++)
        if (told[i].row == RG_GONE_BLANK)
            node_standing_blank(node, member_of(node, told[i].node));
    if (rg_gone_doubts(g) && before == 0) /* once, whoever says it next */
        say(node, "node.gone", &g->by);
    if (before != 0 && !rg_gone_doubts(g))
        rg_log_info(node->config.log, "node.gone.over", "by=%llu", (unsigned long long)before);
    if (sure)
        node_fence_forgetful(node, 0, "others know that it came back under another id since: its machine was set back");
}
