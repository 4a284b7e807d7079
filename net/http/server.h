/* net/http/server.h: the HTTPS listener: workers, connections, requests and replies. HTTP/1.1 and HTTP/2 (by ALPN) come out
 * as one request type. N workers, each a thread with its own libuv loop and its own SO_REUSEPORT listener. */
#ifndef REGENT_NET_HTTP_SERVER_H
#define REGENT_NET_HTTP_SERVER_H

#include "base/buf.h"
#include "base/log.h"

#define RG_HTTP_HEADERS_MAX 64
#define RG_HTTP_HEAD_BYTES_MAX 8192
#define RG_HTTP_BODY_BYTES_MAX (1024 * 1024)
#define RG_HTTP_WORKERS_MAX 64

struct rg_http_header {
    struct rg_span name, value; /* name lower case; value trimmed */
};

struct rg_worker;

/* One request, complete with its body. Everything is borrowed until rg_request_reply. */
struct rg_request {
    struct rg_span method, path, query; /* path as on the wire without the query; query without '?' */
    struct rg_span authority;           /* Host or :authority */
    struct rg_http_header headers[RG_HTTP_HEADERS_MAX];
    size_t n_headers;
    struct rg_span body;
    struct rg_worker *worker; /* the worker (and its loop thread) this request lives on */
    bool http2;
    bool handed;   /* it came by rg_server_hand */
    char peer[64]; /* "address:port", for logs */
};

struct rg_http_reply {
    int status;
    const char *content_type; /* NULL: none */
    const struct rg_http_header *headers;
    size_t n_headers;
    struct rg_span body; /* borrow until the call returns */
};

/* Called on the worker's thread for each complete, well-formed request. Answers at once or later, exactly once, through
 * rg_request_reply, always on the worker's thread. A request whose client has gone stays valid until it is answered. */
typedef void (*rg_http_handler)(void *arg, struct rg_request *req);

/** Answer and give the request back (consume). On the worker's thread. */
void rg_request_reply(struct rg_request *req, const struct rg_http_reply *reply);

/* Server-sent events and other long replies: begin sends the head (chunked on 1.1), send appends (RG_EBUSY when the
 * connection's queued output is over its cap, RG_ECLOSED when the client has gone), end finishes (consume). */
void rg_request_stream_begin(struct rg_request *req, const struct rg_http_reply *head);
RG_MUST enum rg_err rg_request_stream_send(struct rg_request *req, struct rg_span bytes);
void rg_request_stream_end(struct rg_request *req);
/** The same with some last words (1 KiB at most), which are queued whatever the cap says. */
void rg_request_stream_end_with(struct rg_request *req, struct rg_span words);
/** Bytes of the reply that the client has not taken yet; others of its connection may be among them. */
size_t rg_request_stream_waiting(const struct rg_request *req);

/** The client has gone: what is still sent or replied goes nowhere. */
bool rg_request_gone(const struct rg_request *req);

struct rg_server_config {
    const char *address; /* "127.0.0.1" or "::" */
    uint16_t port;       /* 0: any; all workers share the one found */
    unsigned workers;    /* 1 to RG_HTTP_WORKERS_MAX */
    const char *cert_path, *key_path; /* PEM; both NULL: plain HTTP (development only) */
    rg_http_handler handler;
    /* Whether this head has a credential that is known here; req has no body yet. On the worker's thread; asked at most once of a request,
     * when its body is to be larger than what anybody may send (16 KiB). NULL: every one has. */
    bool (*vouches)(void *arg, const struct rg_request *req);
    void *arg;
    const struct rg_log *log;
    /* bounds; 0 takes the default in brackets */
    unsigned handshake_ms_max; /* [10000] */
    unsigned head_ms_max;      /* [10000] absolute: bytes arriving extend none of these */
    unsigned body_ms_max;      /* [30000] */
    unsigned idle_ms_max;      /* [60000] between requests */
    unsigned write_ms_max;     /* [30000] in which queued output, or 16 KiB of it, must have left */
    unsigned conns_max;        /* [4096] for each worker; for one more an idle one is closed (net/fair/seats.h) */
    unsigned conns_per_address_max; /* [1024] for each worker; an address: of IPv6, a /64 */
    unsigned handshakes_per_address_max; /* [256] of these that have not done their handshake */
    unsigned handshakes_per_s; /* [200] of an address; two seconds' worth at once, further ones wait for their turn */
    unsigned arriving_per_address_max;   /* [512] requests that are not whole yet: whoever sends them is not known */
    unsigned streams_max;      /* [100] for each HTTP/2 connection */
    size_t output_bytes_max;   /* [4 MiB] queued for each connection */
};

struct rg_server;

/** Bind, start the worker threads, begin to accept. ret_port: the port in use. RG_EIO with the address and the reason. */
RG_MUST enum rg_err rg_server_start(const struct rg_server_config *config, struct rg_server **ret_server,
                                    uint16_t *ret_port, struct rg_errctx *ctx);
/** Stop accepting, let requests under way finish for at most drain_ms, close all, join the threads, free (consume). Not from a worker. */
void rg_server_stop(struct rg_server *server, unsigned drain_ms);

/** Worker number, 0 to workers - 1. */
unsigned rg_worker_index(const struct rg_worker *worker);
/** The worker's uv_loop_t, for timers on its thread. */
struct uv_loop_s;
struct uv_loop_s *rg_worker_loop(struct rg_worker *worker);

/** The server is stopping: long streams should end now. */
bool rg_worker_stopping(const struct rg_worker *worker);

/* Work handed to a worker's thread from any thread, in order, without allocation: embed it. */
struct rg_post {
    struct rg_post *next;
    void (*run)(struct rg_post *post);
};
/** Queue post for the worker's loop thread (take; yours again when run is called). Thread-safe; wakes the loop once a batch. */
void rg_worker_post(struct rg_worker *worker, struct rg_post *post);

/* A request that came over none of the server's connections. It is counted, and waited for by a stop, as any other. Embed it. */
struct rg_handed {
    struct rg_post post;      /* of the server, with worker, until on_reply */
    struct rg_worker *worker;
    /* On a worker's thread: the request's spans, to stay until on_reply. False: it is none. */
    bool (*fill)(struct rg_handed *handed, struct rg_request *req);
    /* Once, on that thread. reply: borrow; NULL: the handler never saw it (the server stops, has too many, or it is none), or answered
     * with a stream, which cannot be told so. */
    void (*on_reply)(struct rg_handed *handed, const struct rg_http_reply *reply);
};
/** Have the handler run a request, on the workers in turn. From one thread, and not once rg_server_stop was called. */
void rg_server_hand(struct rg_server *server, struct rg_handed *handed);

/* Counters for /metrics, summed over workers. */
struct rg_server_stats {
    uint64_t conns_open, conns_total, requests_total, handshakes_failed, refused_total, timeouts_total, bytes_in,
        bytes_out;
    uint64_t status_class[6]; /* [2] = 2xx … */
};
void rg_server_stats(struct rg_server *server, struct rg_server_stats *ret_stats);

#endif
