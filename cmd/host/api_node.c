#include "cmd/host/api_node.h"

static void status(void *host, struct rg_node_status *ret_status) { rg_node_status_copy(rg_host_node(host), ret_status); }
static struct rg_rev visible(void *host) { return rg_node_visible(rg_host_node(host)); }
static void forward(void *host, struct rg_proposal *proposal) { rg_node_forward(rg_host_node(host), proposal); }
static void handover(void *host, struct rg_handover *asked) { rg_node_handover(rg_host_node(host), asked); }
static void failover(void *host, struct rg_failover *asked) { rg_node_failover(rg_host_node(host), asked); }

static enum rg_err vouch(void *host, const char *by, const char *reason) { return rg_node_vouch(rg_host_node(host), by, reason); }
static enum rg_err try_begin(void *host, struct rg_txn **ret_txn) { return rg_node_try_begin(rg_host_node(host), ret_txn); }

struct rg_api_node rg_host_api_node(struct rg_host *host)
{
    return (struct rg_api_node){
        .arg = host,
        .status = status,
        .visible = visible,
        .submit = rg_host_submit,
        .wait = rg_host_wait,
        .task = rg_host_task,
        .forward = forward,
        .try_begin = try_begin,
        .handover = handover,
        .failover = failover,
        .vouch = vouch,
    };
}
