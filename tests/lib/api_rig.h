/* tests/lib/api_rig.h: the API behind a real server on a free loopback port, with a real store and, in place of
 * the raft node, a thread that applies what is submitted and says of itself what a test wants it to say. */
#ifndef REGENT_TESTS_LIB_API_RIG_H
#define REGENT_TESTS_LIB_API_RIG_H

#include <jansson.h>
#include <pthread.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/keyprov.h"
#include "crypto/sigv4.h"
#include "net/aws/aws.h"
#include "net/interfaces.h"
#include "raft/intent/intents.h"
#include "tests/lib/store_rig.h"

#define API_ARN "arn:aws:sso:::instance/ssoins-0123456789abcdef"
#define API_STORE "d-0123456789"
#define API_KEY "AKIAROOT"
#define API_SECRET "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
#define API_TOKEN "root-token"
#define API_READ_TOKEN "read-token"
#define API_EPOCH 3

/* ---- in the node's place: what is behind the API's table (net/api/node.h) ---- */

struct rg_relay;

struct af_node {
    pthread_mutex_t mutex;
    pthread_cond_t wake;
    pthread_t thread;
    struct rg_node_status status; /* under mutex */
    struct rg_proposal *proposals;
    struct rg_wait *waits;
    struct rg_task *tasks;
    bool quit;
    struct fix *store;
    /* what happens to the next proposals */
    enum rg_err refuse;   /* not RG_OK: answered so, without apply */
    enum rg_err refuse_degraded; /* the same for those that note a shortage of regions */
    uint32_t regions;     /* other regions that have everything durable */
    unsigned stale;       /* this many are answered RG_ESTALE by apply */
    void (*before_apply)(void); /* once, before the next one is applied: somebody else's write */
    enum rg_err wait_err; /* not RG_OK: waits are answered so at once */
    uint64_t submitted;
};

void node_status(void *arg, struct rg_node_status *ret_status); /* as in the table: arg is a struct af_node */
uint64_t af_now_ms(void); /* the clock of deadlines */
/* Apply at term epoch << 32, as a primary of that epoch writes. */
enum rg_err af_apply_bytes(struct af_node *node, struct rg_span cmd, struct rg_reply *reply);

/* ---- the API; there is one ---- */

struct af {
    struct fix fix;
    struct af_node node;
    struct rg_keyprov *keys;
    struct rg_api *api;
    struct rg_server *server;
    struct rg_log log;
    char logged[16384];
    pthread_mutex_t log_mutex;
    uint16_t port;
    unsigned workers;
    struct rg_api_region regions[2];
    struct rg_intents *intents; /* of the test; NULL: none */
};
extern struct af af;
/* Set by a test before it opens; each test has a process, and these as they are here. */
extern struct rg_io af_io;               /* file functions; filled by those that set af_data_dir */
extern const char *af_data_dir;          /* NULL: none */
extern const char *af_ca_pem;            /* NULL: none */
extern struct rg_relay *af_relay;        /* NULL: no write is passed on */
extern void (*af_before_serve)(void);    /* called when all stands but the server; may be NULL */
extern struct rg_handover af_handover;   /* what a takeover comes to; .err is RG_EUNREADY */
extern struct rg_failover af_failover;

/* Build a command, as store_rig.h writes them, and apply it; it must be RG_OK. */
void af_apply(enum rg_cmd_kind kind, const char *fields);
void af_credential(const char *key, const char *secret, const char *token, const char *role); /* token, secret may be NULL */
void af_init_instance(void); /* with an administrator and a reader */

/* Before af_open: serve these in place of the AWS operations, asked and answered as they are. */
void af_instead_of_aws(const struct rg_service *const *services, size_t n);
void af_open_bare(void); /* with an empty store */
void af_open(void);      /* with a small organisation */
void af_serve(void);     /* anew, after rg_server_stop and rg_api_free */
void af_close(void);

/* Change what the node says of itself; judged by within a few milliseconds. */
#define API_STATUS(field, value)                                                                                       \
    do {                                                                                                               \
        pthread_mutex_lock(&af.node.mutex);                                                                            \
        af.node.status.field = value;                                                                                  \
        pthread_mutex_unlock(&af.node.mutex);                                                                          \
        usleep(10000);                                                                                                 \
    } while (0)

/* ---- a client: one request, one connection ---- */

struct answer {
    int status;
    char head[8192];
    struct rg_buf body; /* NUL-terminated */
    json_t *json;       /* own: when it is JSON */
};

void answer_free(struct answer *a);
/* Value of a header, or NULL; borrowed until the next call. */
const char *header(const struct answer *a, const char *name);
int af_connect(void);
void af_send(int fd, const void *p, size_t n);
/* headers: lines ending in \r\n, authorization included. */
void ask_raw(struct answer *a, const char *method, const char *path, const char *headers, const void *body, size_t n);

/* With the admin's token and, maybe, more headers. */
void ask_with(struct answer *a, const char *method, const char *path, const char *more, const char *body);
void ask(struct answer *a, const char *method, const char *path, const char *body);
const char *text_at(const json_t *json, const char *member); /* "(none)" where there is none */
uint64_t index_of(const struct answer *a);

#endif
