/* net/api/call.h: one call: a request on its way to its answer. Shared by the files of the API alone.
 *
 * arrived → let in → (waiting for a revision) → running → (proposed) → answered; net/api/dispatch.c has the order. All on the
 * worker's thread, but for the raft thread's on_done, which only posts back. */
#ifndef REGENT_NET_API_CALL_H
#define REGENT_NET_API_CALL_H

#include <jansson.h>
#include <stdatomic.h>

#include "base/json_writer.h"
#include "net/api/api.h"
#include "net/api/guesses.h"
#include "net/api/operation.h"
#include "net/api/replays.h"
#include "net/api/waiting.h"
#include "raft/intent/intents.h"
#include "store/authz/access.h"
#include "store/apply/fsm.h"

#define RG_CALLER_BYTES_MAX 128
#define RG_PAGE_MAX 100

struct rg_call {
    struct rg_api *api;
    struct rg_request *req; /* borrow until answered */
    struct rg_worker *worker;
    const struct rg_interface *interface;
    const struct rg_service *service;     /* NULL with operation */
    const struct rg_operation *operation; /* NULL: what is asked for does not exist */
    struct rg_span argument;              /* what stands for the star in its path; borrow from the request */
    char request_id[RG_UUID_TEXT_MAX];
    struct rg_uuid request_uuid;
    char caller[RG_CALLER_BYTES_MAX]; /* access key id or token name: who, for audit fields */
    bool is_signed;                   /* by SigV4: then the signature's beginning, and until when (Unix s) it is good */
    uint8_t signature[RG_REPLAY_TAG_BYTES];
    int64_t signature_until_s;
    bool admin;                       /* role of the credential; a "read" one may not write */
    int64_t now_ms;                   /* wall clock, read once when the request arrived */
    json_t *input;                    /* own; parsed body of a JSON operation, an object */
    struct rg_txn *txn;               /* own; begun by rg_call_txn */
    struct rg_rev read_rev;           /* revision the answer was read at */
    struct rg_buf cmd;                /* own; the command being proposed */
    struct rg_buf out;                /* own; the answer's body */
    struct rg_json_writer json;       /* of a body in JSON: writes it to out, once rg_call_json began it */
    void (*then)(struct rg_call *call); /* rg_call_propose's continuation */
    void (*again)(struct rg_call *call); /* to run once more when the write met RG_ESTALE */
    unsigned attempts;
    bool wrote;                       /* a proposal of it is in the log, or was */
    struct rg_proposal proposal;
    struct rg_wait wait;
    struct rg_task task;
    void (*raft_run)(struct rg_call *call);
    enum rg_err raft_err;
    struct rg_post post;
    bool queue;                       /* Regent-Intent: queue */
    struct rg_intent_ask ask;
    void *state;                      /* an operation's own, freed with free() at the end */
    struct rg_passing *passing;       /* own; on its way to the leader (passing.c) */
    const char *op;                   /* the operation's name, once the caller is let in: in /metrics and logs; NULL: "other" */
    /* of the lifecycle alone */
    struct rg_call *next;             /* in the worker's pool */
    uint64_t began_us;                /* monotonic */
    unsigned op_number, other_number; /* of rg_operations_names: the operation; what is not let in, or does not exist */
    enum rg_err outcome;              /* what is counted */
    uint64_t stale_ms;                /* how old what it is answered from may be; UINT64_MAX: not known */
    uint64_t max_stale_ms;            /* the bound; UINT64_MAX: none */
    bool counted, has_min_rev, other_method; /* other_method: the operation stands there, under another method */
    struct rg_rev min_rev;
    uint32_t wait_regions;            /* Regent-Wait-Regions; 0: none */
    enum rg_known known;              /* who must know of what is proposed, for rg_call_propose; and whoever need not */
    uint64_t known_but;
    int32_t wait_ms;                  /* Regent-Wait-Ms; -1: not given */
    uint64_t wait_until_ms;           /* monotonic: the min revision's deadline */
    struct rg_span authorization, target; /* borrow from the request */
};

/** The call's read transaction, begun now if there is none. RG_OK or a failure that was answered already (return then). */
RG_MUST enum rg_err rg_call_txn(struct rg_call *call, struct rg_txn **ret_txn);
/** End the read transaction (before proposing: a call holds no snapshot while it waits). */
void rg_call_txn_end(struct rg_call *call);

/**
 * Propose call->cmd (built with rg_cmd_begin(&call->cmd, …, call->now_ms, caller)). Ends the read transaction.
 * then    called on the worker's thread when the command was applied or refused by apply: call->proposal.reply says which.
 *         Whatever else happens (not primary, busy, stopping, replication timeout) is answered centrally.
 * With `again` set, a refusal RG_ESTALE runs that instead (at most 8 times), to read and propose once more.
 */
void rg_call_propose(struct rg_call *call, void (*then)(struct rg_call *call));

/**
 * Do something on the raft thread, then go on. Ends the read transaction.
 * run     on the raft thread. There or in any later callback of the node, rg_call_raft_done(call, err) must be called once.
 * then    back on the worker's thread: call->raft_err has that err. RG_ESTOPPED (the daemon is stopping; run was not called)
 *         is answered centrally.
 */
void rg_call_raft(struct rg_call *call, void (*run)(struct rg_call *call), void (*then)(struct rg_call *call));
void rg_call_raft_done(struct rg_call *call, enum rg_err err);

/** Begin the answer's body anew: its one document is to be written and ended before rg_call_answer. Borrow from the call. */
static inline struct rg_json_writer *rg_call_json(struct rg_call *call)
{
    rg_buf_clear(&call->out);
    rg_json_begin(&call->json, &call->out);
    return &call->json;
}
/** Answer with call->out as JSON and free the call (consume). Adds Regent-Revision, Regent-Region, x-amzn-RequestId. */
void rg_call_answer(struct rg_call *call, int status);
/** Answer with a JSON value (consume both). */
void rg_call_answer_json(struct rg_call *call, int status, json_t *body);
/** Answer an error as the call's interface words it (consume). fmt NULL: the table's text. Local faults are logged, their text is
 * not sent. */
void rg_call_fail(struct rg_call *call, enum rg_err err, const char *fmt, ...) RG_PRINTF(3, 4);
/** The same with further members for AWS interfaces: Reason, ResourceType, ResourceId (each may be NULL). */
void rg_call_fail_with(struct rg_call *call, enum rg_err err, const char *reason, const char *resource_type,
                       const char *resource_id, const char *fmt, ...) RG_PRINTF(6, 7);
/** An OPEN operation has its proof of who asks: from here on it may write as an administrator may, this one thing, named what:whose
 * in audit fields. The rest of its row is enforced. False: answered. (dispatch.c) */
bool rg_call_admit(struct rg_call *call, const char *what, const char *whose);
/** Whether an operation answers from this region's state, so that it may be stale, and is not there to tell how the region is. */
static inline bool rg_call_may_be_stale(const struct rg_call *call)
{
    return call->operation != NULL && (call->operation->flags & (RG_OP_WRITE | RG_OP_OPEN | RG_OP_HOMED | RG_OP_UNREADY)) == 0;
}
/** Borrowed span of the caller's name, for rg_cmd_begin. */
struct rg_span rg_call_by(const struct rg_call *call);

/* Prometheus text (metrics.c). */
void rg_metrics_write(struct rg_api *api, struct rg_buf *out);

/* Per-process and per-worker state (api.c). */
struct rg_api {
    struct rg_api_config config;
    struct rg_operations *operations; /* own */
    struct rg_api_region *regions; /* own */
    struct rg_api_worker *worker;  /* own; workers of them: caches of credentials, counters; auth.c and metrics.c know the inside */
    char instance_arn[128], identity_store_id[64], cluster_id[64], region[33];
    struct rg_guesses guesses;     /* of those who join, by their address */
    struct rg_guesses tokens_guessed; /* the same of bearer tokens */
    struct rg_replays replays;     /* of writes that were taken here */
    struct rg_waiting waiting;     /* nodes that need an administrator to come back */
    uint8_t nobodys_secret[40];    /* what is verified with where there is no such key */
    uint64_t began_us;             /* monotonic: when the API began */
    atomic_bool lost_replaying;    /* one replay of lost writes at a time */
};

/** Authenticate: Bearer, then SigV4. Fills caller and admin; RG_OK, or a refusal (not answered yet) with its text in ctx. (auth.c) */
RG_MUST enum rg_err rg_auth_check(struct rg_call *call, struct rg_errctx *ctx);

/** Count one finished call for /metrics: its operation's once it is let in. (metrics.c) */
void rg_metrics_count(struct rg_call *call, enum rg_err err, uint64_t us);

#endif
