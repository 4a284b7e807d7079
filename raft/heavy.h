/* raft/heavy.h: entries into the store: within a turn, or, one whose work is larger than a turn may take, on a lane of its own.
 *
 * It is the same function of state and entry there, in one write transaction like any other: readers see what was before or what is
 * after, and every node comes to the same hash. Meanwhile nobody else may begin a write transaction (there is one writer), and nothing
 * behind that entry is applied. The state is memory: whatever ends the process, the entry is applied again from the log. */
#ifndef REGENT_RAFT_HEAVY_H
#define REGENT_RAFT_HEAVY_H

#include <stdatomic.h>

#include "base/sm.h"
#include "raft/entry.h"
#include "raft/io.h"
#include "store/apply/fsm.h"

#define RG_HEAVY_OBJECTS 1000u /* what goes with an object that is deleted, of which a turn takes no more: some milliseconds */

/* What applying one entry came to: it counts once the transaction is committed. */
struct rg_effect {
    struct rg_reply reply;
    struct rg_applied applied;
};
/** Into the transaction, and nothing else. bounds, RG_ETOOBIG, RG_ESTOPPED: as of rg_fsm_apply_within; an epoch's first entry, which is
 * no command, has none. */
RG_MUST enum rg_err rg_entry_apply(struct rg_txn *txn, uint64_t index, const struct rg_entry *entry,
                                   const struct rg_fsm_bounds *bounds, struct rg_effect *ret_effect);

/* IDLE → BUSY (the lane has it) → DONE (its outcome waits) → IDLE;  DONE → BUSY: once more */
enum rg_heavy_state { RG_HEAVY_IDLE, RG_HEAVY_BUSY, RG_HEAVY_DONE };
extern const struct rg_sm_table rg_heavies;

struct rg_heavy {
    struct rg_sm stage;
    struct rg_work work;
    struct rg_io *io;       /* borrow */
    struct rg_store *store; /* borrow until IDLE; NULL there */
    uint64_t index;
    struct rg_entry entry;  /* of `bytes` */
    struct rg_buf bytes;    /* own */
    unsigned attempts;
    atomic_bool stop;
    /* DONE */
    enum rg_err err;
    struct rg_effect effect;
    struct rg_counts counts;
    uint64_t rows, us; /* rows that it changed; how long it took */
};

void rg_heavy_init(struct rg_heavy *heavy, struct rg_io *io);
/** The lane is drained. */
void rg_heavy_deinit(struct rg_heavy *heavy);
/** Whether nobody else may write, and nothing behind `index` is applied. */
static inline bool rg_heavy_idle(const struct rg_heavy *heavy) { return heavy->stage.state == RG_HEAVY_IDLE; }
/** Hand an entry (copied) to the lane; it is the store's next. DONE when the lane's news come. */
RG_MUST enum rg_err rg_heavy_begin(struct rg_heavy *heavy, struct rg_store *store, uint64_t index, const struct rg_entry *entry);
/** DONE, with an error: once more. */
void rg_heavy_again(struct rg_heavy *heavy);
/** DONE: its outcome was taken. */
void rg_heavy_end(struct rg_heavy *heavy);
/** Give up soon what is under way, and all that comes after: RG_ESTOPPED. */
void rg_heavy_stop(struct rg_heavy *heavy);

#endif
