/* net/relay/relay.h: writes that a client sent to a node which does not lead, passed on to the leader of the same region and answered
 * through. No AWS SDK follows a 421; within a region nobody has to know which node leads.
 *
 * The request travels whole, over the link, once: whoever gets one either leads or refuses it. The leader believes nothing about it: it
 * runs as a client's own, its signature or token checked against the leader's state and clock (net/api/dispatch.c), and only if it is a
 * write. What is under way is bounded on either side in number, bytes and time, by the same figures.
 *
 * On the raft thread, but where it says otherwise. */
#ifndef REGENT_NET_RELAY_RELAY_H
#define REGENT_NET_RELAY_RELAY_H

#include "base/log.h"
#include "net/http/server.h"
#include "raft/batch.h"

#define RG_RELAY_MAX 256                         /* under way at once: asked by this node; asked of it by one other */
#define RG_RELAY_BYTES_MAX (16 * 1024 * 1024)    /* of these */
#define RG_RELAY_MS_MAX 30000                    /* to an answer, beside what the request itself wants waited */

struct rg_relay;

struct rg_relay_config {
    const struct rg_log *log;
    void *arg; /* of every function below; borrow */
    enum rg_err (*send)(void *arg, uint64_t peer, struct rg_span message); /* rg_links_send, on RG_LINK_RELAY */
    /* Whether the node may pass requests on to this one: a member of the same region. */
    bool (*admits)(void *arg, uint64_t peer);
    /* Have a request run; false: there is nobody to run it (any more). */
    bool (*hand)(void *arg, struct rg_handed *handed);
    /* From any thread, as of rg_api_node. */
    void (*task)(void *arg, struct rg_task *task);
};

/* One request passed on. Embed it. Borrowed from rg_relay_ask until on_done. */
struct rg_relay_ask {
    struct rg_relay_ask *next;
    uint64_t to;             /* node id */
    struct rg_buf *request;  /* borrow: rg_relay_put_request's bytes; its number is put in */
    uint64_t deadline_ms;    /* monotonic */
    void (*on_done)(struct rg_relay_ask *ask); /* once, possibly before rg_relay_ask returns */
    /* outcome */
    uint64_t number;
    enum rg_err err;         /* RG_OK: answered */
    bool begun;              /* with an err: it was on its way, and may have been done; else nothing was */
    struct rg_buf answer;    /* the message that answered: of the asker, to be freed; its max is set here */
};

RG_MUST enum rg_err rg_relay_new(const struct rg_relay_config *config, struct rg_relay **ret_relay);
/** When nothing is under way any more: after rg_relay_end and the server's stop. NULL is fine. */
void rg_relay_free(struct rg_relay *relay);

void rg_relay_ask(struct rg_relay *relay, struct rg_relay_ask *ask);
/** A message of the channel. RG_EPEER, RG_EMALFORMED: the peer may not, or sends rubbish; close the connection. */
RG_MUST enum rg_err rg_relay_on_message(struct rg_relay *relay, uint64_t peer, struct rg_span message);
/** The connection to the peer is gone: what was asked of it ends so. */
void rg_relay_on_down(struct rg_relay *relay, uint64_t peer);
/** Some times a second: what is over its time ends. */
void rg_relay_tick(struct rg_relay *relay, uint64_t now_ms);
/** The daemon stops: nothing more is taken or run, and what was asked ends by then at the latest. */
void rg_relay_end(struct rg_relay *relay, uint64_t by_ms);

/** Prometheus text, from any thread. */
void rg_relay_metrics(const struct rg_relay *relay, struct rg_buf *out);

/* ---- the rules, as plain functions ---- */

/** Whether one more fits beside n under way with so many bytes. */
static inline bool rg_relay_fits(unsigned n, size_t bytes, size_t more)
{
    return n < RG_RELAY_MAX && more <= RG_RELAY_BYTES_MAX && bytes <= RG_RELAY_BYTES_MAX - more;
}

/* What a node does with a write that comes to it while another one leads. */
enum rg_relay_way {
    RG_RELAY_ON,      /* passes it on */
    RG_RELAY_ELSEWHERE, /* says where writes are taken (421) */
    RG_RELAY_RETRY,   /* it was passed on to this node, which does not lead (any more): nothing was done, to be asked again */
};
/** passed: it came from another node. open: without a credential. same_region: the leader's region is this node's. */
enum rg_relay_way rg_relay_way(bool passed, bool open, bool same_region);

#endif
