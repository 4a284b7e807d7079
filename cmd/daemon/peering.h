/* cmd/daemon/peering.h: whom this daemon has links to, and of which kind. Between members raft's messages pass; between a member and
 * a node that is prepared, removed, or has no state yet (a candidate's link) control frames alone. Both ends of the wire are
 * here: which channel's messages go to whom, and raft's way out. On the raft thread.
 *
 * Both sides say in their hello what they take the other for: on a member's link each sends rg_node_hello, otherwise the
 * candidate's hello; where the two differ the link is a candidate's. A node that was replaced hears rg_node_hello as well, so that
 * it learns of the later epoch. When a peer becomes a member, or is one no more, its link is
 * closed and opened anew, so that the hellos are exchanged again. */
#ifndef REGENT_CMD_DAEMON_PEERING_H
#define REGENT_CMD_DAEMON_PEERING_H

#include "cmd/config/config.h"
#include "net/relay/relay.h"
#include "net/link/control.h"
#include "net/link/link.h"
#include "crypto/vault/vault.h"
#include "store/db/env.h"

struct rg_peering_peer {
    uint64_t id; /* 0: free */
    char region[33]; /* it must be in; "": not known */
    bool member;    /* of the node's configuration */
    bool configured, prepared; /* in the configuration file; by its row, as is one that was removed and does not know */
    bool untold;    /* prepared is so: it was removed, and does not know */
    bool candidate; /* its link carries control frames only */
    unsigned stranger; /* it came by itself: looks left until its hello must have made it a peer of the node */
    bool up, node_up; /* our connection is; the node was told so */
    uint64_t refused, refused_ms; /* messages of its; when that was last logged */
};

struct rg_peering {
    const struct rg_config *config; /* borrow */
    const struct rg_log *log;
    struct rg_links *links;     /* own */
    struct rg_control *control; /* own */
    struct rg_relay *relay;     /* borrow; NULL: no writes are passed on */
    struct rg_node *node;       /* borrow; NULL: none yet, every link is a candidate's */
    struct rg_store *store;
    struct rg_vault *vault; /* borrow: signs that links are this node's; NULL: it has no identity key. Set before rg_peering_open, with */
    uint8_t spki[RG_ES256_SPKI_BYTES]; /* the public half of that key */
    unsigned strangers_max; /* for rg_links_config; set before rg_peering_open */
    bool stopping; /* the node is told of no more lost links */
    bool failed;   /* nor of messages */
    uint64_t synced_index;
    struct rg_peering_peer peers[RG_LINK_PEERS_MAX];
};

/** Listen, and dial the configuration file's peers. p is zeroed. On an error close it all the same. */
RG_MUST enum rg_err rg_peering_open(struct rg_peering *p, struct uv_loop_s *loop, const struct rg_config *config,
                                    const struct rg_log *log, struct rg_errctx *ctx);
/** From now on there is a node with a state. */
void rg_peering_attach(struct rg_peering *p, struct rg_node *node, struct rg_store *store);
/** Raft's messages, as rg_io's send and flush. arg: rg_peering. RG_ECLOSED before it is open and after it is closed, too. */
RG_MUST enum rg_err rg_peering_send(void *arg, uint64_t peer, struct rg_span message);
void rg_peering_flush(void *arg);
/** Whether writes are passed on to this node, and taken from it: a member of our own region. */
bool rg_peering_relays(const struct rg_peering *p, uint64_t peer);
/** A message of net/relay/relay.h; as rg_links_send. RG_EPEER: not to this node. */
RG_MUST enum rg_err rg_peering_relay(struct rg_peering *p, uint64_t peer, struct rg_span message);
/** The node's configuration changed (rg_node_config.on_peers). */
void rg_peering_on_peers(struct rg_peering *p, const struct rg_peer_config *peers, size_t n);
/** Look at the state's rows when they have changed: links to prepared nodes. Cheap; called every now and then. */
void rg_peering_sync(struct rg_peering *p);
/** The peer's entry; NULL: no link to it. */
const struct rg_peering_peer *rg_peering_find(const struct rg_peering *p, uint64_t id);
/** Close control and links, then call closed (from the loop). */
void rg_peering_close(struct rg_peering *p, void (*closed)(void *arg), void *arg);

#endif
