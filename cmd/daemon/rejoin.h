/* cmd/daemon/rejoin.h: a node that another primary replaced comes back by itself: its data is set aside (raft/log/lost.h), it asks the
 * primary for a new id with the key it had, and starts again as an empty replica under that id. Every step may be interrupted and is
 * gone on with at the next start. Blocking; no node runs meanwhile. */
#ifndef REGENT_CMD_DAEMON_REJOIN_H
#define REGENT_CMD_DAEMON_REJOIN_H

#include <jansson.h>
#include <signal.h>

#include "cmd/config/config.h"
#include "raft/log/lost.h"

#define RG_REJOIN_GRACE_MS 30000 /* for whoever has mounted nothing, or the wrong disk: an id that is given up is gone */

struct rg_store;
struct rg_pki_rejoin;

/* Where others were last known to answer, beside the configuration's peers. */
struct rg_rejoin_places {
    char urls[RG_PEERS_MAX][160];
    size_t n;
};
/** Take the addresses of the state's nodes but one's own: before the state is closed. */
void rg_rejoin_note(struct rg_rejoin_places *places, struct rg_store *store, uint64_t self);

/**
 * Whether this node must come back: its metadata says that a later epoch replaced it, or that was begun before. From RG_OK
 * on, which is durable, the old identity is not started any more.
 * RG_ENOTFOUND: no. Anything else: the data directory cannot be read.
 */
RG_MUST enum rg_err rg_rejoin_due(const struct rg_config *config, struct rg_keyprov *keys,
                                  const struct rg_rejoin_places *places, const struct rg_log *log, struct rg_errctx *ctx);

/** One question to one region. ret_json: own. RG_ESTOPPED: *stop was set meanwhile. Anything else: ctx says why not. */
struct rg_rejoin_asker {
    void *arg;
    enum rg_err (*ask)(void *arg, const char *url, struct rg_span body, json_t **ret_json, struct rg_errctx *ctx);
};
/* Told why it still waits: what the last region that was asked said, or how long it waits before it asks. */
struct rg_rejoin_shown {
    void *arg;
    void (*say)(void *arg, const char *why); /* why: printable, no quotes; borrow */
};
/**
 * Set aside, ask for as long as it takes, keep the new identity. Then load the configuration anew. What says that this
 * node was removed is logged, and destroys nothing.
 * stop    set by a signal: RG_ESTOPPED, and the next start goes on
 * asker   NULL: over HTTPS
 * shown   NULL: nobody looks
 */
RG_MUST enum rg_err rg_rejoin_run(const struct rg_config *config, const struct rg_log *log,
                                  const volatile sig_atomic_t *stop, const struct rg_rejoin_asker *asker,
                                  const struct rg_rejoin_shown *shown, struct rg_errctx *ctx);

/** POST to url's /v1/rejoin: its answer, or {"removed": …} of a 410, following a replica's word about who is primary. */
RG_MUST enum rg_err rg_rejoin_ask(const char *ca_path, const char *url, struct rg_span body,
                                  const volatile sig_atomic_t *stop, json_t **ret_json, struct rg_errctx *ctx);

#endif
