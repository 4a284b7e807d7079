/* raft/intent/intents_priv.h: what the files of the intents' queue share: intents.c asks and answers, intents_present.c
 * presents, intents_disk.c keeps. */
#ifndef REGENT_RAFT_INTENT_INTENTS_PRIV_H
#define REGENT_RAFT_INTENT_INTENTS_PRIV_H

#include <stdatomic.h>
#include <sys/queue.h>

#include "base/sm.h"
#include "raft/intent/intents.h"

enum {
    INTENTS_FLYING_MAX = 16, /* automatic ones on their way at once */
    INTENTS_FILES_MAX = 100000,
    INTENTS_PATH_MAX = 1200,
    INTENTS_AGAIN_MS = 500, /* after nothing happened */
    INTENTS_AGAIN_MS_MAX = 5000,
    INTENTS_OVERHEAD_BYTES = 1024, /* counted for each, beside its command */
};

_Static_assert(RG_INTENTS_MAX + RG_INTENTS_KEPT_MAX <= INTENTS_FILES_MAX, "as many as are kept can be read again");
_Static_assert(RG_INTENTS_BYTES_MAX >= RG_CMD_BYTES_MAX + INTENTS_OVERHEAD_BYTES, "the largest command can wait");
_Static_assert(RG_INTENTS_KEPT_BYTES_MAX >= RG_CMD_BYTES_MAX + INTENTS_OVERHEAD_BYTES, "and be looked at when it is over");
_Static_assert(INTENTS_FLYING_MAX <= RG_INTENTS_MAX, "nobody flies who does not wait");
_Static_assert(INTENTS_AGAIN_MS <= INTENTS_AGAIN_MS_MAX, "attempts come later and later");

/* What a job is for, and so what follows it. */
enum intent_job { JOB_TAKE, JOB_DECIDE, JOB_MARK, JOB_SETTLE, JOB_FORGET };

struct intent_item {
    TAILQ_ENTRY(intent_item) all;  /* by seq */
    TAILQ_ENTRY(intent_item) turn; /* pending: by seq; over: by the time it was over; forgotten: any */
    struct rg_intents *q;
    struct rg_intent r;    /* what is in effect */
    struct rg_intent want; /* what is being written */
    uint8_t *cmd;          /* own: both borrow it */
    uint8_t hash[32];
    bool flying;  /* with the primary */
    bool unsaved; /* want is an outcome that could not be written: again at again_ms */
    unsigned failures; /* in a row: the next attempt comes later */
    uint64_t again_ms; /* monotonic: nothing is begun before */
    struct rg_intent_ask *asks; /* waiting for the job */
    struct rg_proposal proposal;
    struct rg_buf present; /* own: what flies */
    /* the job: the lane's between work and done */
    bool busy;
    enum intent_job job;
    struct rg_work work;
    struct rg_buf record, file; /* own */
    char name[RG_INTENT_NAME_MAX];
    enum rg_err job_err;
    struct rg_errctx job_ctx;
};
TAILQ_HEAD(intent_list, intent_item);

struct rg_intents {
    struct rg_intents_config config;
    char dir[INTENTS_PATH_MAX];
    struct intent_list all, pending, over, forgotten;
    uint64_t next_seq;
    size_t pending_n, pending_bytes, over_n, over_bytes;
    size_t approved;      /* pending ones that somebody approved */
    size_t unsaved;       /* outcomes that wait to be written again */
    unsigned flying_auto; /* automatic ones presented */
    bool flying_manual;   /* one is marked or presented */
    bool stopped, stepping, again;
    _Atomic uint64_t counts[RG_INTENT_STATUS_COUNT];
};

/** Bytes an item counts for. */
static inline size_t intent_bytes(const struct intent_item *item)
{
    RG_ASSERT(item->r.cmd.p == item->cmd);
    return item->r.cmd.n + INTENTS_OVERHEAD_BYTES;
}

/** Assert what is true of one between two events. Raft thread. */
void intent_item_check(const struct intent_item *item);
/** A new item with a copy of the command, in no list. NULL: no memory. */
struct intent_item *intent_item_new(struct rg_intents *q, struct rg_span cmd);
void intent_item_free(struct intent_item *item);
/** Put it into all and pending or over (at the end), and count it. */
void intent_item_enter(struct rg_intents *q, struct intent_item *item);
/** Take it out of the lists it is in. */
void intent_item_leave(struct rg_intents *q, struct intent_item *item);
/* An intent's status: drawn in intents.h. */
extern const struct rg_sm_table intent_statuses;
/** Change its status in memory. */
void intent_item_move(struct intent_item *item, enum rg_intent_status status);

/** Somebody's word that it may be presented. */
bool intent_is_approved(const struct intent_item *item);
/** `next`, which is on disk, is in effect from now on. */
void intent_put_in_effect(struct intent_item *item, const struct rg_intent *next);
/** Its id as text: `out`. */
const char *intent_id_text(const struct intent_item *item, char out[RG_UUID_TEXT_MAX]);
void intents_random(const struct rg_intents *q, uint8_t out[16]);
static inline int64_t intents_wall_ms(const struct rg_intents *q) { return q->config.io->wall_ms(q->config.io); }
static inline uint64_t intents_now_ms(const struct rg_intents *q) { return q->config.io->now_ms(q->config.io); }

/** Begin to present a queued one that is due. */
void intent_present(struct intent_item *item);
/** What follows JOB_MARK and JOB_SETTLE. */
void intent_mark_done(struct intent_item *item);
void intent_settle_done(struct intent_item *item);

/** Write item->want to disk (JOB_FORGET: remove the file); intent_on_job follows on the raft thread. Failing at once is
 * told there too. */
void intent_disk_begin(struct intent_item *item, enum intent_job job);
void intent_on_job(struct intent_item *item);
/** Read the folder. */
RG_MUST enum rg_err intent_disk_load(struct rg_intents *q, struct rg_errctx *ctx);

#endif
