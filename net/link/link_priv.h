/* net/link/link_priv.h: links, their peers and connections: shared by link.c (peers, dialling, keepalives) and conn.c
 * (TLS, frames). Who is not known yet is not here: door.h. */
#ifndef REGENT_NET_LINK_LINK_PRIV_H
#define REGENT_NET_LINK_LINK_PRIV_H

#include <openssl/ssl.h>
#include <uv.h>

#include "base/prng.h"
#include "base/sm.h"
#include "net/link/link.h"
#include "net/link/door.h"
#include "net/link/frame.h"

enum {
    LINK_VERSION = 1,
    READ_BYTES = 64 * 1024,
    WRITE_BYTES = 64 * 1024,     /* plaintext for one SSL_write: bounds OpenSSL's buffer */
    KEEP_BYTES_MAX = 256 * 1024, /* an empty buffer that grew over this is given back */
    HANDSHAKE_MS_MAX = 5000,
    CERT_BYTES_MAX = 8192,
    LINGER_MS_MAX = 1000, /* for a refusal to arrive before the connection ends */
    STRANGERS_MAX = 128,  /* accepted connections whose certificate is not known yet */
    LINGERERS_MAX = 16,   /* accepted ones that were refused, and may still read so */
    ARRIVALS_A_TURN = 8,  /* taken from the door */
    PEER_PLACES = 5,      /* addresses of one peer: four that it was found at, and the one that it came from */
};

_Static_assert(RG_LINK_CHANNELS_MAX == RG_FRAME_CHANNELS, "what a frame can say");

struct peer;

/* CONNECTING → TLS → HELLO → UP;  HELLO → LINGER (refused: the reason is on its way);  any other → CLOSED (memory returns in
 * the close callback). An accepted one begins in HELLO: it had its handshake at the door. From LINGER on a connection has no peer. */
enum conn_state { CONN_CONNECTING, CONN_TLS, CONN_HELLO, CONN_UP, CONN_LINGER, CONN_CLOSED };

struct conn {
    struct rg_links *links;
    struct peer *peer; /* NULL on an accepted one until its certificate was looked at, and from LINGER on */
    uv_tcp_t tcp;
    uv_connect_t dial;
    uv_shutdown_t shutdown;
    SSL *ssl;      /* own */
    BIO *in, *out; /* owned by ssl: ciphertext in, ciphertext out */
    struct rg_sm sm;
    bool dialled, heard_hello, heard_ack;
    bool lingered;          /* counted as such */
    bool channels;          /* from HELLO on: both sides speak frames with channels, otherwise the first framing */
    bool proofs;            /* both sides prove themselves before their hellos */
    bool proved;            /* the peer has */
    uint8_t key[RG_SHA256_BYTES]; /* by this one */
    uint8_t packed_channel; /* as in the frame */
    uint64_t tell_down; /* peer to call on_down for once closed; 0: none */
    uint64_t since_ms;  /* when it began; from UP on: when it came up; in LINGER: when that began */
    uint64_t heard_ms, sent_ms, pinged_ms;
    struct rg_buf plain_in;         /* frames not yet whole */
    struct rg_buf packed;           /* messages for the next batch */
    struct rg_buf plain_out;        /* frames for the next write */
    size_t writing;                 /* ciphertext handed to libuv */
    struct rg_frame_writer *writer; /* own; dialled ones alone send messages */
    struct rg_frame_reader *reader; /* own */
    char from[RG_ADDRESS_TEXT_MAX]; /* address of the other side, for the log */
    uint8_t address[RG_ADDRESS_BYTES]; /* accepted ones: where from */
    struct conn *next, **link;      /* of links->conns */
};

struct peer {
    uint64_t id;
    char address[128];
    bool removed;
    struct conn *out, *in; /* borrow: dialled and accepted connection */
    struct conn *greeting; /* borrow: accepted, its hello not heard yet: it does not push another aside */
    bool up;               /* on_up was told */
    uint64_t dial_at_ms;   /* UINT64_MAX: an address is being looked up */
    unsigned backoff_ms, dials;
    uint64_t serial;  /* of its address: an answer for an older one is not used */
    uint8_t places[PEER_PLACES][RG_ADDRESS_BYTES]; /* where it is, as far as is known; zeroed: nothing. The last: where it came from */
    char logged[128]; /* why it could not be reached, as last logged */
    uint64_t logged_ms;
    uint64_t dropped_logged_ms; /* when messages of an unknown channel were last logged; 0: never */
    struct rg_link_stat stat;
};

struct rg_links {
    struct rg_links_config config;
    struct rg_door *door; /* own */
    uv_async_t arrived;   /* somebody is to be taken from it */
    uv_timer_t tick;
    uint64_t tick_at_ms;      /* UINT64_MAX: not set */
    uv_prepare_t before_poll; /* what a turn queued leaves before the loop sleeps */
    uv_check_t after_poll;    /* and at once after the turn's input */
    SSL_CTX *tls;
    struct peer peers[RG_LINK_PEERS_MAX];
    size_t n_peers;
    uint64_t serial;
    struct conn *conns;
    struct rg_refusals refusals;
    struct rg_prng prng;
    uint8_t read_buf[READ_BYTES];
    uint8_t write_buf[WRITE_BYTES + WRITE_BYTES / 8]; /* ciphertext of one SSL_write */
    unsigned lingerers;
    bool closing;
    unsigned handles; /* async, timer, hooks and look-ups, until closed */
    void (*closed)(void *arg);
    void *closed_arg;
};

struct peer *rg_links_peer(struct rg_links *links, uint64_t id);
static inline enum conn_state rg_conn_state(const struct conn *conn) { return (enum conn_state)conn->sm.state; }
/** A new connection in state CONNECTING, dialled to peer. NULL: out of memory. */
struct conn *rg_conn_new(struct rg_links *links, struct peer *peer);
/** Begin TLS and reading. */
void rg_conn_start(struct conn *conn);
/** One from the door (consume), in state HELLO: look at its certificate, greet, read. */
void rg_conn_adopt(struct rg_links *links, struct rg_arrival *arrival);
/** Close once, with the reason for the log and the peer's status. Calls nobody back before the loop's next step. */
void rg_conn_close(struct conn *conn, const char *why);
/** Tell the other side why, then close. */
void rg_conn_refuse(struct conn *conn, const char *why);
/** Send frames and messages that wait. */
void rg_conn_flush(struct conn *conn);
RG_MUST enum rg_err rg_conn_send(struct conn *conn, unsigned channel, struct rg_span message);
void rg_conn_ping(struct conn *conn);
/** A dialled connection is usable, an accepted one is (its peer is alive: dial back at once), a connection ends. */
void rg_links_on_conn_up(struct conn *conn);
void rg_links_on_conn_lost(struct conn *conn, const char *why);
/** A message came. */
void rg_links_on_message(struct rg_links *links, struct peer *peer, unsigned channel, struct rg_span message);
/** The protocol that the two sides agreed upon: 1: before channels; 2: with them; 3: with proofs, too. */
unsigned rg_links_agreed(const SSL *ssl);
/** Look at deadlines at this time at the latest. */
void rg_links_wake(struct rg_links *links, uint64_t at_ms);
/** Free closing links once their last handle is gone, and say so. */
void rg_links_try_finish(struct rg_links *links);

#endif
