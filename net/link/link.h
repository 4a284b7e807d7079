/* net/link/link.h: mutual-TLS 1.3 links between nodes, on the raft thread's loop. Who connects from outside shakes hands on a thread of
 * its own first (net/link/door.h). Both sides dial; one connection for each direction is enough: A's messages to B travel on the
 * connection that A dialled, and B answers on its own. Messages are framed, LZ4-compressed when that helps, and arrive whole and in
 * order or not at all.
 *
 * A message has a channel: whose it is. Both ends agree on "regent-link/2" by ALPN. A peer that does not is of a release before
 * channels: it gets, and sends, the first framing, where a message is control's if it begins with RG_CONTROL_BYTE and raft's
 * otherwise. That is kept for one release.
 *
 * Where both know of identity keys ("regent-link/3") each says with its own, before its hello, that this connection is its own
 * (crypto/sign/link_proof.h): a certificate and its key alone are then not enough to be a node.
 *
 * Callbacks come from the loop alone, never from inside a function of this header, and may call any of them. */
#ifndef REGENT_NET_LINK_LINK_H
#define REGENT_NET_LINK_LINK_H

#include "base/buf.h"
#include "base/log.h"
#include "crypto/digest.h"
#include "crypto/sign/link_proof.h"

#define RG_LINK_PEERS_MAX 64
#define RG_LINK_MESSAGE_BYTES_MAX (8 * 1024 * 1024)
#define RG_LINK_HELLO_BYTES_MAX 1024
#define RG_LINK_CHANNELS_MAX 16

enum rg_link_channel { RG_LINK_RAFT = 0, RG_LINK_CONTROL = 1, RG_LINK_RELAY = 2 };

struct uv_loop_s;
struct rg_links;

struct rg_link_stat {
    bool up;                             /* handshake done, hello accepted, keepalives answered */
    uint32_t rtt_us;                     /* last keepalive's round trip; 0: none yet */
    uint64_t heard_ms;                   /* loop time of the last byte from the peer; 0: never */
    uint64_t sent_bytes, received_bytes; /* on the wire, TLS included */
    uint64_t sent_messages, received_messages;
    uint64_t dropped_messages; /* received on a channel that nobody here reads */
    size_t queued_bytes;
    bool proved;                         /* it is up, and the peer proved itself where we dialled it */
    uint8_t key[RG_SHA256_BYTES];        /* SHA-256 of the key (SPKI) that it did so with */
    char last_error[128];
};

struct rg_links_config {
    struct uv_loop_s *loop;
    const char *listen_address;
    uint16_t listen_port; /* 0: any */
    const char *ca_path, *cert_path, *key_path;
    const char *cluster_id; /* must equal the one in the peer's certificate */
    uint64_t self_id;
    const struct rg_log *log;
    unsigned keepalive_ms;   /* [250]; the peer is down after 8 without an answer (at least 2 s) */
    unsigned backoff_ms_max; /* [2000] reconnect with jitter, from 20 ms */
    size_t queue_bytes_max;  /* [32 MiB] for each peer */
    uint64_t seed;           /* for jitter */
    unsigned strangers_max;  /* [128] accepted connections whose certificate is not known yet; log is called from their thread, too */
    bool first_framing;      /* [false] be as a release before channels; for tests */
    void *arg;
    /* Our hello, sent first on every new connection: cluster state the node wants checked (RAFT.md rule 10). Appended
     * to out. */
    void (*hello)(void *arg, uint64_t peer, struct rg_buf *out);
    /* The peer's hello, on either side. Not RG_OK: the connection is closed and the reason logged. */
    enum rg_err (*on_hello)(void *arg, uint64_t peer, struct rg_span hello, struct rg_errctx *ctx);
    /* Asked of each connection when its certificate is known, which is the cluster's: may this node speak at all? cert: DER, borrow. Not
     * RG_OK: it hears our hello, for it may be one that was replaced and does not know, is refused, and nothing that it says is read.
     * NULL: it may. */
    enum rg_err (*admit)(void *arg, uint64_t id, const char *region, struct rg_span cert, struct rg_errctx *ctx);
    /* Have our identity key sign this (which names the connection, and us). NULL: we have none, and prove nothing. */
    enum rg_err (*prove)(void *arg, const struct rg_link_proof *proof, uint8_t ret_spki[RG_ES256_SPKI_BYTES],
                         uint8_t ret_signature[RG_ES256_SIGNATURE_BYTES]);
    /* Asked before each hello is heard: may this node speak that proved itself by this key, whose SHA-256 it is; empty: it proved nothing?
     * Not RG_OK: it is refused. NULL: it may. */
    enum rg_err (*judge)(void *arg, uint64_t peer, struct rg_span key, struct rg_errctx *ctx);
    /* A node of our cluster that is no peer dials us. True: it was added (rg_links_add) and its hello shall decide. NULL: never. */
    bool (*on_stranger)(void *arg, uint64_t id, const char *region);
    /* Our outgoing connection to the peer is usable (after each (re)connect) / is gone: what was queued is lost. */
    void (*on_up)(void *arg, uint64_t peer);
    void (*on_down)(void *arg, uint64_t peer);
    /* Asked before each dial: the address to use instead of the peer's own. False: its own. NULL: always its own. */
    bool (*route)(void *arg, const char *address, char ret_via[128]);
    /* The reader of each channel. message: borrow until the call returns. NULL: its messages are dropped, counted, and logged at
     * most once a minute for each peer. */
    void (*on_message[RG_LINK_CHANNELS_MAX])(void *arg, uint64_t peer, struct rg_span message);
};

/** Listen and be ready to dial. ret_port: the port in use. */
RG_MUST enum rg_err rg_links_new(const struct rg_links_config *config, struct rg_links **ret_links, uint16_t *ret_port,
                                 struct rg_errctx *ctx);
/**
 * Dial this peer ("host:port", "[v6]:port") until it is removed. A known id with another address is moved there.
 * RG_EINVALID: not of that form, or our own id. RG_ETOOBIG: over RG_LINK_PEERS_MAX, or 127 bytes.
 */
RG_MUST enum rg_err rg_links_add(struct rg_links *links, uint64_t peer, const char *address);
/** Close both directions and refuse the peer from now on. */
void rg_links_remove(struct rg_links *links, uint64_t peer);
/** Close the connection on which the peer's messages come: it sent what it must not. It dials again, later each time that it was closed
 * soon. */
void rg_links_refuse(struct rg_links *links, uint64_t peer, const char *why);
/**
 * Queue one message. Messages queued in one loop turn leave in as few TLS records and writes as possible (flushed by
 * rg_links_flush or at the end of the turn).
 * RG_ECLOSED: no connection. RG_EBUSY: the queue is full (the caller drops the message: raft sends again). RG_ETOOBIG:
 * over RG_LINK_MESSAGE_BYTES_MAX, or over the queue as a whole. RG_EPEER: the peer is of a release before this channel.
 */
RG_MUST enum rg_err rg_links_send(struct rg_links *links, uint64_t peer, unsigned channel, struct rg_span message);
/** Write out what is queued now. */
void rg_links_flush(struct rg_links *links);
void rg_links_stat(struct rg_links *links, uint64_t peer, struct rg_link_stat *ret_stat);
/* Connections from outside, before it was known who they are. */
struct rg_link_strangers {
    uint64_t handshakes, failed, refused; /* done; broken off or too long; closed for want of a place, or since they came too often */
};
void rg_links_strangers(struct rg_links *links, struct rg_link_strangers *ret_strangers);
/** Close everything, then call closed (memory returns there). No other callback comes any more. */
void rg_links_close(struct rg_links *links, void (*closed)(void *arg), void *arg);

#endif
