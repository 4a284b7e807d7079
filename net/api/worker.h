/* net/api/worker.h: what each worker of the API keeps to itself: pooled calls, the node's status of a moment ago, known
 * credentials, counters. No locks: one thread each; /metrics alone reads the counters of others. For net/api*.c and
 * net/api/metrics.c. */
#ifndef REGENT_NET_API_WORKER_H
#define REGENT_NET_API_WORKER_H

#include "base/prng.h"
#include "net/api/call.h"
#include "net/relay/relay.h"

enum {
    RG_CALLS_POOLED_MAX = 64,
    RG_STATUS_KEPT_MS = 5, /* how old the status may be that an ordinary request is judged by */
    RG_TOKENS_KEPT = 64,   /* a power of two */
    RG_SECRETS_KEPT = 16,  /* a power of two */
    RG_NAMES_KEPT = 64,    /* a power of two */
    RG_SECRET_BYTES_MAX = 128,
    RG_SEALED_BYTES_MAX = 512,
    RG_LATENCY_BUCKETS = 24, /* 2^n µs */
    RG_STREAMS_MAX = 4,      /* long answers under way, for each worker */
    RG_ANSWER_BYTES_MAX = 8 * 1024 * 1024,
    RG_WAIT_MS_MAX = 60000,
    RG_STALE_ATTEMPTS_MAX = 8,
    RG_MESSAGE_BYTES_MAX = 1024,
};

/* A token that was good at one state: at the same (index, term) it still is. */
struct rg_token_kept {
    uint8_t sha256[32];
    uint64_t index, term;
    char caller[RG_CALLER_BYTES_MAX];
    bool admin;
};

/* An opened secret, good as long as the row holds the same sealed bytes. */
struct rg_secret_kept {
    char access_key_id[RG_CALLER_BYTES_MAX];
    uint8_t sealed[RG_SEALED_BYTES_MAX], secret[RG_SECRET_BYTES_MAX];
    size_t sealed_n, secret_n; /* 0: nothing kept */
};

/* An account's name found at one state. */
struct rg_name_kept {
    char name[64], id[13];
    uint64_t index, term;
};

/* Calls of one operation. */
struct rg_op_count {
    uint64_t by_err[RG_ERR_COUNT], latency[RG_LATENCY_BUCKETS + 1], sum_us;
};

struct rg_api_worker {
    _Alignas(64) struct rg_call *pool; /* own; no cache line is of two workers */
    unsigned pooled;
    struct rg_prng prng; /* request ids */
    struct rg_node_status status;
    uint64_t status_at_us; /* 0: none yet */
    struct rg_token_kept tokens[RG_TOKENS_KEPT];
    struct rg_secret_kept *secrets; /* own: RG_SECRETS_KEPT of them, in locked memory */
    struct rg_name_kept names[RG_NAMES_KEPT];
    uint64_t refusals_at_us; /* log lines about refused credentials: so many a second */
    unsigned refusals_logged;
    unsigned streams;
    struct rg_op_count *ops; /* own: one for each of rg_operations_names */
};

/** A call for the request, from the worker's pool. NULL: no memory. */
struct rg_call *rg_call_begin(struct rg_api *api, struct rg_request *req);
void rg_call_free(struct rg_call *call);
struct rg_api_worker *rg_call_worker(const struct rg_call *call);
/** The node's status, at most RG_STATUS_KEPT_MS old unless fresh. Borrow until the next call of this. */
const struct rg_node_status *rg_api_status(struct rg_call *call, bool fresh);
/** "open", "degraded" (open, with fewer regions than wanted), "full" (what adds to the state is refused), "refused", "paused", or
 * "elsewhere" on a replica. */
const char *rg_api_writes(const struct rg_node_status *status);
/** What is full at a node (enum rg_full), how much, and what gives it more; with RG_FULL_STOPPED the second. (room.c) */
void rg_api_room_text(unsigned full, const struct rg_room *room, const char *region, uint64_t id, char *out, size_t size);
void rg_api_room_stopped_text(const struct rg_room *room, struct rg_rev applied, char *out, size_t size);
/** The same of what a primary refuses writes for. */
void rg_api_refusal_text(const struct rg_node_status *status, char *out, size_t size);
/** Begin the read transaction without answering a failure. */
RG_MUST enum rg_err rg_call_txn_try(struct rg_call *call);
/** Whether the answer may say what only callers and this machine are to know: a credential was taken, or the peer is on it. A reverse
 * proxy on this machine must not pass on what it is told so. */
bool rg_call_is_trusted(const struct rg_call *call);
/** A number in decimal, not terminated; its length. */
size_t rg_api_decimal(char to[24], uint64_t number);
/** Log that a credential was refused; so many a second. (auth.c) */
void rg_auth_log_refusal(struct rg_call *call, enum rg_err err, const char *text);
/** Wipe what a worker keeps of credentials (auth.c). */
void rg_auth_forget(struct rg_api_worker *worker);

/* The head of an answer: what every one carries. */
struct rg_answer_head {
    char rev[RG_REV_TEXT_MAX], stale[24];
    struct rg_http_header headers[12];
    struct rg_http_reply reply;
};
void rg_answer_head_init(struct rg_answer_head *head, const struct rg_call *call, int status, const char *content_type);
void rg_answer_head_add(struct rg_answer_head *head, const char *name, struct rg_span value);
/** Reply with this head (consume the call). */
void rg_answer_head_reply(struct rg_answer_head *head, struct rg_call *call, struct rg_span body);
/** Reply with a body of any type (consume). */
void rg_call_reply(struct rg_call *call, int status, const char *content_type, struct rg_span body);
/** The request is answered already (a stream has ended): count, free (consume). */
void rg_call_end(struct rg_call *call, enum rg_err outcome);

/** Answer an error (consume). message: RG_MESSAGE_BYTES_MAX bytes, changed when it must be. */
void rg_call_fail_extra(struct rg_call *call, enum rg_err err, char *message, const struct rg_fail_extra *extra);
/** Whether the fault is ours: logged, its text kept from the client. */
bool rg_is_local_fault(enum rg_err err);

/* queue.c: writes that wait for a primary */
/** Whether this write may become an intent: it asks to, and no primary can be reached. False: *ret_answered tells whether
 * it was refused already. */
bool rg_call_may_queue(struct rg_call *call, bool *ret_answered);
/** Instead of proposing: keep call->cmd as an intent and answer 202, or run call->then with the state's refusal. */
void rg_call_queue(struct rg_call *call);
/** Whether writes are taken here, or this one may become an intent. False: answered. (write.c) */
bool rg_call_takes_writes(struct rg_call *call);
/** Answer a write that was not proposed since this node takes none (write.c). */
void rg_call_not_primary(struct rg_call *call);

/* passing.c: writes of clients that another node of this region takes */
/** Pass the request on to node `to`, which leads, and answer it through. */
void rg_call_pass_on(struct rg_call *call, uint64_t to);
/** NULL is fine. */
void rg_passing_free(struct rg_passing *passing);

#endif
