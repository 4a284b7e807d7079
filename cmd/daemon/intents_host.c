#include "cmd/daemon/intents_host.h"

enum { LOOK_EVERY_MS = 100 };

static enum rg_err host_primary(void *arg)
{
    struct rg_intents_host *host = arg;

    rg_node_status_copy(host->node, &host->status);
    return host->status.leader || (host->status.leader_id != 0 && host->status.primary_reachable) ? RG_OK : RG_ENOPRIMARY;
}

static enum rg_err host_try(void *arg, struct rg_span cmd, struct rg_reply *ret_reply)
{
    return rg_node_try(((struct rg_intents_host *)arg)->node, cmd, ret_reply);
}

static void host_forward(void *arg, struct rg_proposal *proposal)
{
    rg_node_forward(((struct rg_intents_host *)arg)->node, proposal);
}

enum rg_err rg_intents_host_open(struct rg_intents_host *host, const struct rg_config *config, struct rg_io *io,
                                 struct rg_store *store, struct rg_keyprov *keys, const struct rg_log *log,
                                 struct rg_node *node, struct rg_errctx *ctx)
{
    const struct rg_intents_config ic = {
        .io = io, .store = store, .log = log, .data_dir = config->data_dir, .arg = host, .primary = host_primary,
        .try = host_try, .forward = host_forward,
        .seal = {.keys = keys, .region = config->region, .instance_arn = config->instance_arn,
                 .identity_store_id = config->identity_store_id}};

    host->node = node;
    return rg_intents_new(&ic, &host->intents, ctx);
}

static void look_on_timer(uv_timer_t *timer) { rg_intents_step(((struct rg_intents_host *)timer->data)->intents); }

void rg_intents_host_start(struct rg_intents_host *host, uv_loop_t *loop)
{
    uv_timer_init(loop, &host->timer);
    host->timer.data = host;
    uv_timer_start(&host->timer, look_on_timer, LOOK_EVERY_MS, LOOK_EVERY_MS);
}

void rg_intents_host_close(struct rg_intents_host *host) { uv_close((uv_handle_t *)&host->timer, NULL); }
void rg_intents_host_free(struct rg_intents_host *host) { rg_intents_free(RG_STEAL(host->intents)); }
