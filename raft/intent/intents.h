/* raft/intent/intents.h: the write intents of one region: taken durably while no primary can be reached, presented to the primary
 * when there is one again, with what became of each. Never visible to reads of the state; local to this region.
 *
 *   QUEUED → PRESENTING → APPLIED | REFUSED,  PRESENTING → QUEUED (nothing happened, or the answer was lost: again)
 *   QUEUED → DROPPED
 *
 * A change is in effect once it is on disk: one sealed file each in data_dir/intents, replaced whole on a lane of its own.
 * Automatic ones (raft/intent/intent.h) are presented by themselves, up to INTENTS_FLYING_MAX at once; manual ones when somebody has
 * approved them, one at a time. Neither waits for the other. All calls and callbacks on the raft thread, but for
 * rg_intents_counts. */
#ifndef REGENT_RAFT_INTENT_INTENTS_H
#define REGENT_RAFT_INTENT_INTENTS_H

#include "base/log.h"
#include "raft/intent/intent.h"
#include "raft/batch.h"
#include "raft/io.h"

#define RG_INTENTS_MAX 10000 /* not over yet */
#define RG_INTENTS_BYTES_MAX (64u * 1024 * 1024)
#define RG_INTENTS_KEPT_MAX 1000 /* over */
#define RG_INTENTS_KEPT_BYTES_MAX (16u * 1024 * 1024)
#define RG_INTENTS_KEPT_MS (INT64_C(30) * 24 * 3600 * 1000)

struct rg_intents;

struct rg_intents_config {
    struct rg_io *io;
    struct rg_store *store; /* borrow, as all here */
    const struct rg_log *log;
    const char *data_dir;
    struct rg_intent_seal seal;
    void *arg;
    /* Whether writes would reach a primary now: RG_OK (it is here or was heard lately), RG_ENOPRIMARY. */
    enum rg_err (*primary)(void *arg);
    /* Dry run against the local state. RG_OK: the reply says accepted or refused. */
    enum rg_err (*try)(void *arg, struct rg_span cmd, struct rg_reply *ret_reply);
    /* Carry a command to the primary; on_done always comes, possibly before returning. RG_ESTOPPED: the outcome is open. */
    void (*forward)(void *arg, struct rg_proposal *proposal);
};

/** Open data_dir/intents (made if missing) and read what waits there. A file that cannot be read is logged, left where it is
 * and counted. RG_EIO … with the path. */
RG_MUST enum rg_err rg_intents_new(const struct rg_intents_config *config, struct rg_intents **ret_intents,
                                   struct rg_errctx *ctx);
/** Answer what waits with RG_ESTOPPED, begin nothing any more. NULL is fine. */
void rg_intents_stop(struct rg_intents *intents);
/** When the lane has run dry. NULL is fine. */
void rg_intents_free(struct rg_intents *intents);
RG_AUTO_DEFINE(intents)

/* One question. Embed it. Borrowed until on_done. */
struct rg_intent_ask {
    struct rg_intent_ask *next;                     /* of whoever holds it */
    void (*on_done)(struct rg_intent_ask *ask);     /* once, possibly before the call returns */
    enum rg_err err;
    struct rg_errctx ctx;                           /* text of err, if there is more to say */
    struct rg_reply reply;                          /* take: RG_OK and reply.err: the state refuses it; nothing was taken */
    struct rg_uuid id;
    enum rg_intent_status status;
    bool automatic;
};

/**
 * Take a write: check it against the local state, then keep it durably. The same write again (another time and minted ids
 * apart) while it is not over: the one that is there.
 * RG_ENOTPRIMARY: a primary can be reached, write there. RG_EINVALID: not a kind that can wait. RG_EBUSY: the queue is full.
 * RG_EIO, RG_ENOSPACE, …: not taken.
 */
void rg_intents_take(struct rg_intents *intents, struct rg_span cmd, struct rg_intent_ask *ask);
/** Approve a manual one, or drop any that is queued: ask->id. by: copied. RG_ENOTFOUND, RG_ECONFLICT with the reason. */
void rg_intents_approve(struct rg_intents *intents, struct rg_span by, struct rg_intent_ask *ask);
void rg_intents_drop(struct rg_intents *intents, struct rg_span by, struct rg_intent_ask *ask);

/** Present what can be, forget what is old. Call it every now and then. */
void rg_intents_step(struct rg_intents *intents);

/** Append the record of one (raft/intent/intent.h) to out. RG_ENOTFOUND. */
RG_MUST enum rg_err rg_intents_get(const struct rg_intents *intents, const struct rg_uuid *id, struct rg_buf *out);
/**
 * Append records, each behind its length (varint), in the order they were taken.
 * status      0: any
 * after       behind this sequence number; 0: from the first
 * limit       most of them; also stops once bytes_max bytes were appended
 * ret_more    there are more
 */
RG_MUST enum rg_err rg_intents_list(const struct rg_intents *intents, enum rg_intent_status status, uint64_t after,
                                    size_t limit, size_t bytes_max, struct rg_buf *out, bool *ret_more);

/** How many of each status; [0]: files that could not be read. From any thread. */
void rg_intents_counts(const struct rg_intents *intents, uint64_t ret_counts[RG_INTENT_STATUS_COUNT]);

#endif
