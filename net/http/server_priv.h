/* net/http/server_priv.h: workers, connections and exchanges. Shared by server.c (threads, listeners), conn.c (sockets, TLS,
 * deadlines) and exchange.c (requests and their replies). All but the posts and the stop flag is the worker thread's. */
#ifndef REGENT_NET_HTTP_SERVER_PRIV_H
#define REGENT_NET_HTTP_SERVER_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <uv.h>

#include "base/sm.h"
#include "net/fair/shares.h"
#include "net/http/http1.h"
#include "net/http/http2.h"
#include "net/http/tls.h"

#define RG_NEVER UINT64_MAX

enum {
    RG_READ_BYTES = 64 * 1024,         /* one read from a socket */
    RG_PLAIN_BYTES = 32 * 1024,        /* one read from TLS; a record has 16 KiB at most */
    RG_STASH_BYTES_MAX = 160 * 1024,   /* pipelined requests that wait: what one read can hold, and what TLS kept */
    RG_OUT_PAUSE_BYTES = 256 * 1024,   /* queued for the socket: no further requests are taken */
    RG_OUT_BYTES_MAX = 80 * 1024 * 1024, /* one reply over the cap on queued output, at most */
    RG_TAKEN_BYTES_MIN = 16 * 1024,    /* of what waits, within write_ms_max */
    RG_OUT_KEEP_BYTES = 16 * 1024,     /* buffers larger than this go back to the system when empty */
    RG_EXCHANGES_MAX = 16 * 1024,      /* of a worker, at once */
    RG_EXCHANGES_KEPT = 256,
    RG_BODIES_BYTES_MAX = 256 * 1024 * 1024, /* request bodies of a worker */
    RG_ADDRESS_BODIES_BYTES_MAX = 64 * 1024 * 1024, /* of these not whole yet, of one address */
    RG_STRANGER_BODIES_BYTES_MAX = 2 * 1024 * 1024, /* of these without a credential */
    RG_STRANGER_BODY_BYTES_MAX = 16 * 1024,         /* and each */
    RG_LINGER_MS = 1000,
    RG_LINGER_BYTES_MAX = 4 * 1024 * 1024,
    RG_STOP_GRACE_MS = 3000,           /* for handlers that have not answered when everything was closed */
    RG_TICKET_KEY_MS = 12 * 3600 * 1000,
    RG_DATE_BYTES = 32,
};

/* HANDSHAKE → OPEN → ENDING → LINGERING;  any → CLOSED. In ENDING the last bytes leave, in LINGERING what the client
 * still sends is read and dropped, so that it gets the reply and no reset. */
enum rg_httpconn_state { RG_HTTPCONN_HANDSHAKE, RG_HTTPCONN_OPEN, RG_HTTPCONN_ENDING, RG_HTTPCONN_LINGERING, RG_HTTPCONN_CLOSED };

/*  FREE → ASSEMBLING → RUNNING → STREAMING → SENDING → FREE
 *            │  │        │  │         │         ↑
 *            │  │        │  └─────────┼─────────┤    RUNNING → SENDING: a reply that is whole
 *            │  └────────┼────────────┼─────────┘    ASSEMBLING → SENDING: refused before the handler saw it
 *            └───────────┴────────────┴──────→ FREE  the client has gone; a handler that holds it answers first
 * On HTTP/1.1 the reply's bytes are the connection's at once: SENDING passes within one call. */
enum rg_exchange_state { RG_X_FREE, RG_X_ASSEMBLING, RG_X_RUNNING, RG_X_STREAMING, RG_X_SENDING };

/* One request and its reply. */
struct rg_exchange {
    struct rg_exchange *next;       /* in the pool */
    struct rg_exchange *left, *right; /* among the connection's */
    struct rg_worker *worker;
    struct rg_httpconn *conn; /* NULL: the client has gone, or there was none */
    struct rg_handed *handed; /* borrow; whose reply is told there and goes over no connection. NULL: none */
    struct rg_sm sm;
    uint64_t deadline_ms; /* HTTP/2: of head, then of body */
    bool head_only, raw;  /* HEAD; HTTP/1.0 stream */
    bool arriving;        /* counted as such with its address */
    bool asked, vouched;  /* whether it has a credential, as far as its head says: asked of the handler once it matters */
    size_t body_counted;  /* with the worker and, while it arrives, with its address */
    size_t body_strange;  /* of these with what its address sends without a credential */
    struct rg_http2_stream stream;
    struct rg_message msg;
};

/* Who has how many connections; of these, handshakes; and on all of them, requests that are not whole yet, and what has come of their
 * bodies. */
struct rg_address {
    struct rg_address *next;
    uint8_t key[16];
    unsigned conns, shaking, arriving;
    size_t body_bytes, strange_bytes;
};

struct rg_httpconn {
    uv_tcp_t tcp;
    uv_write_t write;
    uv_shutdown_t shutdown;
    struct rg_worker *worker;
    struct rg_httpconn *prev, *next; /* among the worker's */
    struct rg_httpconn *next_dirty;
    struct rg_sm sm;
    struct rg_address *address;
    uint64_t deadline_ms;  /* of what the state waits for */
    struct rg_tls *tls;    /* own; NULL: plain */
    struct rg_http2 *h2;   /* own; NULL: HTTP/1.1 */
    struct rg_http1 h1;
    struct rg_exchange *x; /* HTTP/1.1: the request that arrives or runs */
    struct rg_exchange *exchanges; /* all of this connection */
    unsigned n_exchanges;
    struct rg_buf stash;   /* own; bytes after a request that is not answered yet */
    struct rg_buf out;     /* own; for the socket */
    struct rg_buf flying;  /* own; in the hands of uv_write */
    uint64_t handed;       /* bytes given to the socket, or to libuv for it */
    uint64_t progress;     /* of these the socket had taken so many at progress_ms, when it last did well … */
    uint64_t progress_ms;
    size_t awaited;        /* … and so many were to follow */
    size_t lingered;
    bool writing, reading, dirty;
    bool shaking;  /* counted as such with its address */
    bool waits;    /* for its turn to shake hands, at begin_ms */
    uint64_t begin_ms;
    bool parsing;  /* in the loop over requests */
    bool in_body;  /* the body's deadline is set */
    bool eof;      /* the client has ended its side */
    bool draining; /* no new requests */
    bool failed;   /* HTTP/2: the session is broken */
    char peer[64];
};

struct rg_worker {
    _Alignas(64) uv_loop_t loop; /* no cache line is of two workers */
    uv_tcp_t listener;
    uv_poll_t wake;
    int wake_fd; /* own */
    uv_timer_t sweep, turn; /* turn: while somebody waits for his */
    pthread_t thread;
    struct rg_server *server;
    unsigned index;
    int depth; /* within a callback that flushes at its end */
    struct rg_tls_ctx *tls;
    unsigned ticket_generation;
    struct rg_httpconn *conns, *dirty;
    unsigned n_conns, n_shaking; /* of these, those whose handshake is not done */
    unsigned n_waiting;          /* of these, those whose handshake may not begin yet */
    struct rg_httpconn *free_conns;
    unsigned n_free_conns;
    struct rg_exchange *free_exchanges;
    unsigned n_exchanges, n_free_exchanges; /* with a connection or handler; in the pool */
    size_t body_bytes;
    struct rg_address **addresses; /* buckets */
    uint64_t address_seed;
    struct rg_pace paces[RG_PACE_SLOTS]; /* of addresses, by their hash: handshakes begun */
    struct rg_buf scratch; /* one reply before TLS */
    uint8_t *read_buf, *plain_buf;
    time_t date_at;
    char date[RG_DATE_BYTES];
    bool stopping, stopped, listening, accept_stalled;
    uint64_t stop_at_ms, refilled_ms;
    _Atomic(struct rg_post *) posts; /* newest first */
    atomic_uint posting;             /* threads within rg_worker_post: the handle must outlive them */
    atomic_bool stop_asked;
    struct {
        _Atomic uint64_t conns_open, conns_total, requests_total, handshakes_failed, refused_total, timeouts_total,
            bytes_in, bytes_out, status_class[6];
    } stats; /* written by this worker alone */
};

struct rg_server {
    struct rg_server_config config; /* defaults filled in; strings are own copies */
    char *address, *cert_path, *key_path;
    struct rg_worker *workers;
    unsigned n_workers, n_running;
    unsigned next_handed; /* of the thread that hands */
    atomic_uint stop_ms;
    pthread_mutex_t ticket_mutex;
    bool ticket_mutex_made;
    unsigned ticket_generation;
    uint64_t ticket_made_ms;
    uint8_t ticket_key[RG_TLS_TICKET_KEY_BYTES];
};

/* A counter with one writer: no locked instruction. */
#define RG_COUNT(counter, n)                                                                                           \
    atomic_store_explicit(&(counter), atomic_load_explicit(&(counter), memory_order_relaxed) + (uint64_t)(n),          \
                          memory_order_relaxed)

/* ---- server.c ---- */
/** Bracket everything that may queue output: the last leave flushes the connections that have some. */
void rg_worker_enter(struct rg_worker *worker);
void rg_worker_leave(struct rg_worker *worker);
/** The Date of this second. */
const char *rg_worker_date(struct rg_worker *worker);
/** A place for one more connection of this address (16 bytes). NULL: it has as many as it may, or no memory. */
struct rg_address *rg_address_take(struct rg_worker *worker, const uint8_t key[16]);
/** Somebody waits for his turn to shake hands. */
void rg_worker_await_turn(struct rg_worker *worker);
/** Give the place back. NULL is fine. */
void rg_address_put(struct rg_worker *worker, struct rg_address *address);

/* ---- conn.c ---- */
/** A connection that waits on the listener. */
void rg_httpconn_accept(struct rg_worker *worker, uv_stream_t *listener);
void rg_httpconn_free_pool(struct rg_worker *worker);
static inline enum rg_httpconn_state rg_httpconn_state(const struct rg_httpconn *conn) { return (enum rg_httpconn_state)conn->sm.state; }
/** Queue plaintext. A connection that cannot take it is closed. */
void rg_httpconn_write(struct rg_httpconn *conn, struct rg_span plain);
/** There is something to flush. */
void rg_httpconn_dirty(struct rg_httpconn *conn);
void rg_httpconn_flush(struct rg_httpconn *conn);
/** Bytes that wait for the socket. */
size_t rg_httpconn_queued(const struct rg_httpconn *conn);
/** HTTP/1.1: the reply to conn->x is queued. */
void rg_httpconn_replied(struct rg_httpconn *conn, bool close);
/** Send what is queued, then say goodbye. */
void rg_httpconn_finish(struct rg_httpconn *conn);
/** Now, whatever is queued. Idempotent. */
void rg_httpconn_close(struct rg_httpconn *conn);
/** Its turn to shake hands has come. */
void rg_httpconn_begin(struct rg_httpconn *conn);
/** Check the deadlines. */
void rg_httpconn_sweep(struct rg_httpconn *conn, uint64_t now_ms);
/** The server stops: finish when what is under way is done. */
void rg_httpconn_drain(struct rg_httpconn *conn);

/* ---- exchange.c ---- */
/** An exchange for a new request of conn. NULL: too many. */
struct rg_exchange *rg_exchange_take(struct rg_httpconn *conn);
/** Back to the pool. */
void rg_exchange_put(struct rg_exchange *x);
/** Its client has gone: give it back, or leave it to its handler. */
void rg_exchange_orphan(struct rg_exchange *x);
/** A request without a connection, to the handler at once. On the worker's thread. */
void rg_exchange_hand(struct rg_worker *worker, struct rg_handed *handed);
/** So many more bytes of its body have come. False: refuse it with this. */
RG_MUST bool rg_exchange_holds(struct rg_exchange *x, size_t n, int *ret_status, const char **ret_reason);
/** Whether a body of so many bytes may follow its head. False: refuse it with this. */
RG_MUST bool rg_exchange_may_have(struct rg_exchange *x, size_t total, int *ret_status, const char **ret_reason);
/** Hand the complete request to the handler. */
void rg_exchange_run(struct rg_exchange *x);
/** Answer in place of the handler: small JSON. HTTP/1.1: and close. */
void rg_exchange_refuse(struct rg_exchange *x, int status, const char *reason);
/** The same for a connection that has no exchange to spare. */
void rg_httpconn_refuse(struct rg_httpconn *conn, int status, const char *reason);
void rg_exchange_free_pool(struct rg_worker *worker);
static inline enum rg_exchange_state rg_exchange_state(const struct rg_exchange *x) { return (enum rg_exchange_state)x->sm.state; }
extern const struct rg_http2_events rg_exchange_events; /* arg: to be set to the rg_httpconn */

#endif
