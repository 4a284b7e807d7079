/* net/api/api.h: the interfaces a region serves: one handler for the HTTPS server (net/http/server.h), over the store for reads and
 * the raft node for writes. */
#ifndef REGENT_NET_API_API_H
#define REGENT_NET_API_API_H

#include "base/log.h"
#include "crypto/keyprov.h"
#include "net/api/node.h"
#include "net/http/server.h"
#include "store/db/env.h"

struct rg_api;
struct rg_region_ops; /* net/ops/region_ops.h */
struct rg_intents;
struct rg_relay;     /* net/relay/relay.h */
struct rg_interface; /* net/api/operation.h */

struct rg_api_region {
    char name[33], url[160]; /* url: "https://host:port", for Location and /v1/regions */
    uint64_t id;             /* raft id of its node */
};

struct rg_api_config {
    struct rg_store *store;
    struct rg_keyprov *keys;
    struct rg_api_node node;
    const struct rg_log *log;
    const char *region, *cluster_id;
    const struct rg_api_region *regions; /* where each node answers; copied */
    size_t n_regions;
    const char *instance_arn, *identity_store_id;
    const struct rg_interface *const *interfaces; /* static; what is served, the last one taking whatever no other takes */
    size_t n_interfaces;
    unsigned workers;
    const char *hosts; /* borrow; names under which this node is asked, "a.example, b.example:8443": what is signed for another one is
                        * refused. NULL or "": any */
    uint64_t max_stale_ms; /* reads are refused while what is here may be older; 0: never */
    struct rg_io *io;     /* borrow: only its file functions are used, from any thread; needed with data_dir */
    int64_t request_ms;   /* how long a node that asks to join is remembered; 0: for ever */
    const char *data_dir; /* borrow: where lost tails are kept (raft/log/lost.h); NULL: none are */
    /* Regions that come and go; NULL: AddRegion and preflights are refused. */
    const struct rg_region_ops *region_ops;
    void *region_arg;
    struct rg_intents *intents; /* borrow; used on the raft thread. NULL: writes never wait here */
    struct rg_relay *relay;     /* borrow; used on the raft thread. NULL: no write is passed on to another node of the region */
    const char *ca_pem; /* the CA's certificate, borrow; NULL: no node can join through this one */
    /* Text appended to /metrics by the daemon (links, server). May be NULL. */
    void (*more_metrics)(void *more_arg, struct rg_buf *out);
    void *more_arg;
};

RG_MUST enum rg_err rg_api_new(const struct rg_api_config *config, struct rg_api **ret_api, struct rg_errctx *ctx);
/** After the server has stopped. NULL is fine. */
void rg_api_free(struct rg_api *api);
/** The rg_http_handler; arg is the rg_api. Every request needs a credential but those for operations whose row says OPEN. */
void rg_api_handle(void *api, struct rg_request *req);
/** Whether a head has a credential that is known here, by what can be told before the body is there: a token; a signature over the body's
 * hash that it claims; where none is claimed, the access key's id. For rg_server_config. (auth.c) */
bool rg_api_vouches(void *api, const struct rg_request *req);

#endif
