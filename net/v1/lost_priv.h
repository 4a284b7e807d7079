/* net/v1/lost_priv.h: one question about a lost tail: files are read on a work thread, commands run on the raft thread, the
 * rest happens on the call's worker. Shared by lost.c, lost_replay.c and lost_unknown.c alone. */
#ifndef REGENT_NET_V1_LOST_PRIV_H
#define REGENT_NET_V1_LOST_PRIV_H

#include <uv.h>

#include "net/api/worker.h"
#include "raft/log/lost.h"

enum {
    LOST_PAGE = 500,        /* entries of an answer */
    LOST_PAGE_BYTES = 2 * 1024 * 1024, /* of their commands */
    LOST_REPLAY = 200,      /* commands of one replay: each waits for the one before */
    TRY_OBJECTS = 1000,     /* what may go with those that a dry run deletes */
    LOST_UNKNOWN_MAX = 64,  /* nodes of which it is said that nothing is known */
};

/* Of a node whose tail nobody lists. */
enum lost_why { LOST_NOT_KEPT, LOST_AWAY, LOST_REMOVED };
struct lost_unknown {
    uint64_t id;
    char region[33];
    enum lost_why why;
};

struct lost;

/* What became of one entry. */
enum lost_outcome { LOST_WAITING, LOST_APPLIED, LOST_ACCEPTED, LOST_REFUSED, LOST_SKIPPED, LOST_OPEN, LOST_NOT_TRIED };
struct lost_item {
    uint64_t index;
    const struct rg_lost_entry *entry; /* borrow from the tail; NULL: there is none of this index */
    enum lost_outcome outcome;
    struct rg_rev rev;
    enum rg_err err;
    enum rg_why why;
    char text[160];
};

struct lost {
    struct rg_call *call; /* own, until answered */
    uv_work_t work;
    struct rg_io io;
    const char *data_dir;
    uint64_t epoch, old_id; /* old_id 0: whoever's */
    struct rg_lost_info info;
    struct rg_lost_epochs epochs;
    struct lost_unknown unknown[LOST_UNKNOWN_MAX];
    size_t n_unknown;
    bool unknown_cut;
    struct rg_lost_want want;
    struct rg_lost_tail tail; /* own */
    json_t *replayed;         /* own */
    json_t *body;             /* own: the answer */
    enum rg_err err;
    struct rg_errctx ctx;
    enum rg_err (*run)(struct lost *l); /* on the work thread */
    void (*then)(struct lost *l);       /* back on the worker, when it went well */
    /* replay */
    bool dry_run, all, holds_turn;
    uint64_t *indexes; /* own */
    size_t n_indexes;
    struct lost_item *items; /* own */
    size_t n_items, at;
    struct rg_proposal proposal;
    struct rg_task task;
    struct rg_post post;
    bool stepping, stepped;
};

/** Begin, with call->argument as the epoch, or EPOCH-OLDID, if there is one: this region must keep its data somewhere. NULL: answered. */
struct lost *lost_new(struct rg_call *call);
/** Read the epochs out of the state. False: answered. */
bool lost_take_epochs(struct lost *l);
/** lost_unknown.c: of whom a list has to say that it says nothing; and the list's lines about them. */
RG_MUST enum rg_err lost_take_unknown(struct lost *l, struct rg_txn *txn);
RG_MUST enum rg_err lost_put_unknown(const struct lost *l, const struct rg_lost_list *list, json_t *body);
/** Of the tail that l->info names, which cannot be read. */
RG_MUST enum rg_err lost_put_unread(struct lost *l, enum rg_err err);
/** Do run on a work thread, then `then` on the worker; a failure is answered. */
void lost_work(struct lost *l, enum rg_err (*run)(struct lost *l), void (*then)(struct lost *l));
/** Answer with the body, or the error (consume). */
void lost_answer(struct lost *l);
void lost_fail(struct lost *l);
/** On the work thread: the tail named by l->epoch, its wanted entries, and what was replayed of it. */
enum rg_err lost_load(struct lost *l);
/** One entry for people; NULL without memory. */
json_t *lost_entry_json(const struct lost *l, const struct rg_lost_entry *entry);

#endif
