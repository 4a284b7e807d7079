/* raft/intent/intent.h: one write intent: a command that a replica took while no primary could be reached, and what became of it.
 * A plain value that borrows its command; its record (TLV), and the sealed file of one record. */
#ifndef REGENT_RAFT_INTENT_INTENT_H
#define REGENT_RAFT_INTENT_INTENT_H

#include "crypto/keyprov.h"
#include "store/db/env.h"
#include "store/apply/fsm.h"

/* On disk: never used again for another meaning. */
enum rg_intent_status {
    RG_INTENT_QUEUED = 1,     /* waits for a primary; a manual one for its approval too */
    RG_INTENT_PRESENTING = 2, /* on its way to the primary */
    RG_INTENT_APPLIED = 3,
    RG_INTENT_REFUSED = 4,
    RG_INTENT_DROPPED = 5,
};
#define RG_INTENT_STATUS_COUNT 6
#define RG_INTENT_NAME_MAX 80
#define RG_INTENT_SEQ_MAX ((uint64_t)INT64_MAX)
#define RG_INTENT_ATTEMPTS_MAX (UINT64_C(1) << 62) /* that a record may count: one more always fits */
#define RG_INTENT_RECORD_BYTES_MAX (RG_CMD_BYTES_MAX + 4096)
#define RG_INTENT_FILE_BYTES_MAX (RG_INTENT_RECORD_BYTES_MAX + 512)

struct rg_intent {
    struct rg_uuid id;
    uint64_t seq; /* order in which this region took them */
    enum rg_intent_status status;
    bool automatic;       /* takes access away and nothing else: presented without anybody's approval */
    bool uncertain;       /* presented before, and the answer was lost: it may have been applied */
    int64_t since_ms;     /* Unix time of its status */
    uint64_t attempts;    /* times presented */
    struct rg_rev rev;    /* applied: the revision */
    char code[40];        /* refused: the error's name */
    char text[256];       /* what else is to be said of the outcome; "" */
    char decided_by[257]; /* who approved or dropped it; "": nobody */
    int64_t decided_ms;
    struct rg_span cmd;   /* borrow: the command as it was asked: time, author */
};

/** "QUEUED". Static string. */
const char *rg_intent_status_name(enum rg_intent_status status);
/** RG_ENOTFOUND: no such name. */
RG_MUST enum rg_err rg_intent_status_parse(struct rg_span name, enum rg_intent_status *ret_status);
static inline bool rg_intent_is_over(enum rg_intent_status status)
{
    return status >= RG_INTENT_APPLIED;
}

/** Whether a command of this kind may wait as an intent: identities, permissions, credentials' end; nothing about regions. */
bool rg_intent_takes(enum rg_cmd_kind kind);
/** What the command is without its time and the ids minted for it: the same for a request that is sent again. */
RG_MUST enum rg_err rg_intent_hash(struct rg_span cmd, uint8_t out[32]);
/**
 * Whether the command only takes access away: deletes a membership, an assignment or a credential, or replaces a user so
 * that nothing but its status changes, to DISABLED, compared with the row in txn.
 */
RG_MUST enum rg_err rg_intent_is_automatic(struct rg_txn *txn, struct rg_span cmd, bool *ret_automatic);
/**
 * The command to present now. A disabling is made anew from the user's row in txn, so that it changes nothing else whatever
 * happened to the user since; with `uncertain` an assignment's request gets a fresh id (used ones are refused).
 * random    for that id
 * out       cleared first
 * ret_done  there is nothing to present: the user is disabled or gone already
 */
RG_MUST enum rg_err rg_intent_present(struct rg_txn *txn, const struct rg_intent *intent, const uint8_t random[16],
                                   struct rg_buf *out, bool *ret_done);

/** Append the record. */
void rg_intent_encode(const struct rg_intent *intent, struct rg_buf *out);
/** RG_EMALFORMED, with what is wrong. ret_intent borrows from bytes. */
RG_MUST enum rg_err rg_intent_decode(struct rg_span bytes, struct rg_intent *ret_intent, struct rg_errctx *ctx);

/** File name: 20 digits of seq, '-', id. */
void rg_intent_name(char out[RG_INTENT_NAME_MAX], uint64_t seq, const struct rg_uuid *id);
bool rg_intent_name_parse(const char *name, uint64_t *ret_seq, struct rg_uuid *ret_id);

/* What a file is sealed with and bound to; borrowed. */
struct rg_intent_seal {
    struct rg_keyprov *keys;
    const char *region, *instance_arn, *identity_store_id;
};
/** The file of a record: head "RGIN", version, then sealed; bound to region and name. Any thread. */
RG_MUST enum rg_err rg_intent_seal(const struct rg_intent_seal *seal, const char *name, struct rg_span record,
                                   struct rg_buf *out);
/** The record of a file, appended. RG_EMALFORMED (not one), RG_EKEY, RG_ECORRUPT (damaged, or another name's or region's). */
RG_MUST enum rg_err rg_intent_open(const struct rg_intent_seal *seal, const char *name, struct rg_span file,
                                   struct rg_buf *out, struct rg_errctx *ctx);

#endif
