/* The API as a whole: what it is made of and with. */
#include "net/api/worker.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/secret/secret.h"
#include "crypto/digest.h"

static bool copy_text(char *to, size_t size, const char *from)
{
    return from != NULL && (size_t)snprintf(to, size, "%s", from) < size;
}

enum rg_err rg_api_new(const struct rg_api_config *config, struct rg_api **ret_api, struct rg_errctx *ctx)
{
    struct rg_api *api;
    size_t n_names;
    enum rg_err err;

    if (config->n_interfaces == 0)
        return rg_fail(ctx, RG_EINVALID, "the API needs an interface");
    if (config->workers == 0 || config->workers > RG_HTTP_WORKERS_MAX)
        return rg_fail(ctx, RG_EINVALID, "workers: must be 1 to %d", RG_HTTP_WORKERS_MAX);
    api = calloc(1, sizeof *api);
    if (api == NULL)
        return RG_ENOMEM;
    api->config = *config;
    rg_guesses_init(&api->guesses);
    rg_guesses_init(&api->tokens_guessed);
    rg_random(api->nobodys_secret, sizeof api->nobodys_secret);
    if (rg_waiting_init(&api->waiting) != RG_OK) {
        free(api);
        return RG_ENOMEM;
    }
    if (rg_replays_init(&api->replays) != RG_OK) {
        rg_api_free(api);
        return RG_ENOMEM;
    }
    if (!copy_text(api->region, sizeof api->region, config->region) ||
        !copy_text(api->cluster_id, sizeof api->cluster_id, config->cluster_id) ||
        !copy_text(api->instance_arn, sizeof api->instance_arn, config->instance_arn) ||
        !copy_text(api->identity_store_id, sizeof api->identity_store_id, config->identity_store_id)) {
        rg_api_free(api);
        return rg_fail(ctx, RG_EINVALID,
                       "the API needs region, cluster, instance and identity store, none of them over-long");
    }
    api->config.region = api->region;
    api->config.cluster_id = api->cluster_id;
    api->config.instance_arn = api->instance_arn;
    api->config.identity_store_id = api->identity_store_id;
    api->worker = aligned_alloc(_Alignof(struct rg_api_worker), config->workers * sizeof *api->worker);
    api->regions = calloc(config->n_regions > 0 ? config->n_regions : 1, sizeof *api->regions);
    if (api->worker != NULL)
        memset(api->worker, 0, config->workers * sizeof *api->worker);
    if (api->worker == NULL || api->regions == NULL) {
        rg_api_free(api);
        return RG_ENOMEM;
    }
    if (config->n_regions > 0)
        memcpy(api->regions, config->regions, config->n_regions * sizeof *api->regions);
    api->config.regions = api->regions;
    err = rg_operations_new(config->interfaces, config->n_interfaces, &api->operations, ctx);
    if (err) {
        rg_api_free(api);
        return err;
    }
    api->began_us = rg_clock_us();
    rg_operations_names(api->operations, &n_names);
    for (unsigned i = 0; i < config->workers; i++) {
        rg_random(api->worker[i].prng.s, sizeof api->worker[i].prng.s);
        api->worker[i].ops = calloc(n_names, sizeof *api->worker[i].ops);
        api->worker[i].secrets = rg_secret_new(RG_SECRETS_KEPT * sizeof *api->worker[i].secrets);
        if (api->worker[i].ops == NULL || api->worker[i].secrets == NULL) {
            rg_api_free(api);
            return RG_ENOMEM;
        }
    }
    *ret_api = api;
    return RG_OK;
}

void rg_api_free(struct rg_api *api)
{
    if (api == NULL)
        return;
    for (unsigned i = 0; api->worker != NULL && i < api->config.workers; i++) {
        struct rg_api_worker *w = &api->worker[i];

        while (w->pool != NULL) {
            struct rg_call *call = w->pool;

            w->pool = call->next;
            rg_call_free(call);
        }
        rg_auth_forget(w);
        free(w->ops);
    }
    free(api->worker);
    free(api->regions);
    rg_replays_deinit(&api->replays);
    rg_waiting_deinit(&api->waiting);
    rg_operations_free(api->operations);
    free(api);
}
