/* raft/member/rejoin.h: a node that is gone under its id comes back under a new one: how it asks, and when a primary gives it one. */
#ifndef REGENT_RAFT_MEMBER_REJOIN_H
#define REGENT_RAFT_MEMBER_REJOIN_H

#include "base/sm.h"
#include "raft/node.h"

/* ---- the primary's side ---- */

#define RG_REJOIN_IDS_KEPT 64u         /* the last ids are for nodes that people add */
#define RG_REJOIN_AGAIN_MS 600000      /* whoever forgets again and again takes an id no oftener */

struct rg_rejoin_asked {
    uint64_t old_id;
    struct rg_incarnation incarnation; /* of the data directory that it sets aside; not known: it did not say */
    bool forgotten;                    /* it has less than others know of it, rather than that another primary replaced it */
};
/**
 * Whether a primary gives a new id to whoever has proved that it had the old one. Not while its own log is in doubt; not to a copy of a
 * node that is linked, or of a voter in the directory that it votes with; not the last ids; not too often.
 * RG_ECONFLICT, RG_EUNREADY, RG_EQUOTA, RG_EBUSY with why.  txn: reading
 */
RG_MUST enum rg_err rg_rejoin_judge(const struct rg_node_status *status, struct rg_txn *txn, const struct rg_rejoin_asked *asked,
                                    int64_t wall_ms, struct rg_errctx *ctx);

/** Whether somebody whose data directory is empty was a node under this id: the configuration binds it, or it was given up since (then
 * it is the configuration file's, and the one that came after it is lost with the data).
 * txn: reading; NULL: the state is not there to ask */
bool rg_rejoin_was(const struct rg_node_status *status, struct rg_txn *txn, uint64_t id);

/** What the rows that are applied here have of this id. txn: reading */
enum rg_gone_row rg_rejoin_row(struct rg_txn *txn, uint64_t id);

/* ---- the side of whoever comes back ---- */

/* GRACE → ASKS ⇄ RESTS;  ASKS → DONE: it has an id, or its end */
enum rg_rejoin_state { REJOIN_GRACE, REJOIN_ASKS, REJOIN_RESTS, REJOIN_DONE };
extern const struct rg_sm_table rg_rejoins;

enum rg_rejoin_do {
    RG_REJOIN_WAIT, /* so many ms, then ask again what to do */
    RG_REJOIN_ASK,  /* region number `place`, as number `as`; rg_rejoin_on_answer */
    RG_REJOIN_END,  /* nothing: it has been answered */
};
enum rg_rejoin_answer {
    RG_REJOIN_SILENT,   /* no answer, or of one that does not lead */
    RG_REJOIN_REFUSED,  /* by one that could have let it in */
    RG_REJOIN_USELESS,  /* an id, and not this node's to take */
    RG_REJOIN_ANSWERED, /* an id that it takes, or that it was removed */
};
/* It asks every region it knows of, one after the other, for as long as it takes: under the id that it had last, and when somebody would
 * not have that one, under the id that the configuration file has: the last one may have been given by a primary that was replaced, and be
 * nobody's; the file's is known for ever, with whoever came after it. */
struct rg_rejoin {
    struct rg_sm state; /* rg_rejoins */
    size_t n_places, n_as;
    size_t place, as; /* what is asked next */
    bool refused;     /* this round, under the last id */
    unsigned rest_ms; /* after the next round */
    int64_t ask_after_ms;
};
/**
 * n_places      regions to ask; with 0 it only waits
 * n_as          ids to ask under, 1 or 2
 * ask_after_ms  Unix time: not before, so that a disk that is better can be put back; 0: at once
 */
void rg_rejoin_init(struct rg_rejoin *rejoin, size_t n_places, size_t n_as, int64_t ask_after_ms);
enum rg_rejoin_do rg_rejoin_next(struct rg_rejoin *rejoin, int64_t wall_ms, unsigned *ret_ms);
void rg_rejoin_on_answer(struct rg_rejoin *rejoin, enum rg_rejoin_answer answer);

#endif
