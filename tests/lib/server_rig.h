/* tests/lib/server_rig.h: a real server on a free port of 127.0.0.1 with a certificate of a CA made for the run, a
 * handler with a path for each thing a handler can do, and a client over OpenSSL. */
#ifndef REGENT_TESTS_LIB_SERVER_RIG_H
#define REGENT_TESTS_LIB_SERVER_RIG_H

#include <check.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

#include "net/http/server.h"
#include "tests/lib/tmpdir.h"

enum { RECV_MS = 8000, BIG_MAX = 8 * 1024 * 1024 };

uint64_t now_ms(void); /* monotonic */
void sleep_ms(unsigned ms);

/* ---- the server; there is one ---- */

struct held {
    struct rg_post post; /* first */
    struct rg_request *req;
    struct held *next;
};

struct srv {
    struct rg_server *server;
    uint16_t port;
    pthread_mutex_t mutex;
    struct held *held; /* requests of /hold and /stream, newest first */
    atomic_uint n_held, n_gone, n_closed, n_busy, n_streamed;
    pthread_t helper;
    atomic_bool helper_stop;
    struct held *later; /* requests of /later: the helper thread answers them */
};
extern struct srv srv;
extern char srv_cert[TMPDIR_BYTES + 16], srv_key[TMPDIR_BYTES + 16], srv_ca_key[TMPDIR_BYTES + 16], srv_ca[TMPDIR_BYTES + 16]; /* paths */
extern uint8_t srv_big[BIG_MAX]; /* what /big answers with; filled by srv_start */

/* The certificate and its CA, made and removed once in a program: .once and .once_end of a CASE. */
void srv_files(void);
void srv_remove(void);
/* What config leaves out has defaults: 127.0.0.1, one worker, the rig's handler. */
void srv_start(struct rg_server_config config);
void srv_start_tls(struct rg_server_config config);
void srv_handle(void *arg, struct rg_request *req); /* a path for each thing a handler can do */
void srv_release(void); /* answer what /hold keeps */
void srv_stop(void);
struct rg_server_stats srv_stats(void);
void wait_for(atomic_uint *counter, unsigned at_least);

/* ---- the client ---- */

struct client {
    int fd;
    SSL *ssl; /* NULL: plain */
    uint8_t buf[65536];
    size_t n;
};

struct answer {
    int status; /* 0: the connection ended before one */
    char head[4096];
    uint8_t *body; /* static */
    size_t body_n;
    bool close, chunked;
};

SSL_CTX *client_ctx(void); /* borrow: of all clients; trusts the rig's CA */
int dial(uint16_t port);
/* One protocol name, or NULL for none. False: the server would not. */
bool client_try(struct client *c, const char *alpn);
void client_open(struct client *c, const char *alpn); /* it must */
void client_open_plain(struct client *c);
void client_close(struct client *c);
/* False: the server has ended the connection. */
bool client_send_n(struct client *c, const void *p, size_t n);
void client_send(struct client *c, const char *text);
void client_get(struct client *c, const char *target);
/* More bytes into buf; false at the end. A timeout fails the test. */
bool client_more(struct client *c);
/* The next answer; its body is borrowed until the next one. */
struct answer client_answer(struct client *c, bool head_only);
bool client_ended(struct client *c); /* drops what was received */

#define ck_assert_answer(a, want_status, text)                                                                         \
    do {                                                                                                               \
        struct answer a_ = (a);                                                                                        \
        ck_assert_int_eq(a_.status, want_status);                                                                      \
        ck_assert_msg(rg_span_is(rg_span(a_.body, a_.body_n), text), "body: %.*s", (int)RG_MIN(a_.body_n, 200),        \
                      (const char *)a_.body);                                                                          \
    } while (0)

#endif
