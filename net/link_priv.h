/* net/link_priv.h: links, their peers and connections: shared by link.c (peers, dialling, keepalives) and link_conn.c (TLS, frames). */
#ifndef REGENT_NET_LINK_PRIV_H
#define REGENT_NET_LINK_PRIV_H

#include <openssl/ssl.h>
#include <uv.h>

#include "base/prng.h"
#include "net/link.h"
#include "net/link_frame.h"

enum { LINK_VERSION = 1, READ_BYTES = 64 * 1024, TICK_MS = 20, HANDSHAKE_MS_MAX = 5000, ACCEPTED_MAX = 128 };

struct peer;

/* CONNECTING → TLS → HELLO → UP;  any → closed (memory returns in the close callback). An accepted one begins in TLS. */
enum conn_state { CONN_CONNECTING, CONN_TLS, CONN_HELLO, CONN_UP, CONN_CLOSED };

struct conn {
    struct rg_links *links;
    struct peer *peer; /* NULL on an accepted one until its certificate is known */
    uv_tcp_t tcp;
    uv_connect_t dial;
    SSL *ssl;       /* own */
    BIO *in, *out;  /* owned by ssl: ciphertext in, ciphertext out */
    enum conn_state state;
    bool dialled, heard_hello, heard_ack;
    uint64_t since_ms, heard_ms;
    struct rg_buf plain_in;  /* frames not yet whole */
    struct rg_buf packed;    /* messages for the next batch */
    struct rg_buf plain_out; /* frames for the next write */
    size_t writing;          /* ciphertext handed to libuv */
    struct rg_frame_writer *writer;
    struct rg_frame_reader *reader;
    struct conn *next, **link; /* of links->conns */
};

struct peer {
    uint64_t id;
    char address[128];
    bool removed;
    struct conn *out, *in; /* borrow: dialled and accepted connection */
    bool up;               /* on_up was told */
    uint64_t dial_at_ms;
    unsigned backoff_ms;
    struct rg_link_stat stat;
};

struct rg_links {
    struct rg_links_config config;
    uv_tcp_t listener;
    uv_timer_t tick;
    SSL_CTX *tls;
    struct peer peers[RG_LINK_PEERS_MAX];
    size_t n_peers, n_conns;
    struct conn *conns;
    struct rg_prng prng;
    uint8_t read_buf[READ_BYTES];
    bool closing;
    unsigned handles; /* listener, tick and look-ups, until closed */
    void (*closed)(void *arg);
    void *closed_arg;
};

struct peer *rg_links_peer(struct rg_links *links, uint64_t id);
/** A new connection in state CONNECTING (dialled to peer) or TLS (accepted). NULL: out of memory. */
struct conn *rg_conn_new(struct rg_links *links, struct peer *peer);
/** Begin TLS and reading. */
void rg_conn_start(struct conn *conn);
/** Close once, with the reason for the log and the peer's status. */
void rg_conn_close(struct conn *conn, const char *why);
/** Send frames and messages that wait. */
void rg_conn_flush(struct conn *conn);
RG_MUST enum rg_err rg_conn_send(struct conn *conn, struct rg_span message);
void rg_conn_ping(struct conn *conn);
/** A dialled connection is usable, an accepted one is (its peer is alive: dial back at once), a connection has closed. */
void rg_links_on_conn_up(struct conn *conn);
void rg_links_on_conn_closed(struct conn *conn, const char *why);
/** Free closing links once their last handle is gone, and say so. */
void rg_links_try_finish(struct rg_links *links);

#endif
