/* raft/member/ending.h: what becomes of the data of a node that was removed, over raft/io.h. Its data directory is marked (DATA/removed),
 * so that it serves no more; for a while people can undo that by deleting the mark; then what is secret, the data and the machine's mark
 * are destroyed, in an order in which nothing that is left, whatever interrupts it, can be taken for a node's.
 *
 * The disk alone knows how far it is: every start looks here before it opens anything, and goes on. */
#ifndef REGENT_RAFT_MEMBER_ENDING_H
#define REGENT_RAFT_MEMBER_ENDING_H

#include "base/sm.h"
#include "raft/io.h"

#define RG_ENDING_SAID_BYTES 256
#define RG_ENDING_KEPT INT64_MAX /* until: somebody decides */

/* Where that is which is destroyed. All borrowed. */
struct rg_ending_place {
    const char *data_dir;
    const char *secrets[3]; /* files that open the data, or speak for the node: overwritten, then deleted; "" or NULL: none */
    const char *mark;       /* of the machine (raft/core/mark.h); "": none */
};

/* LOOKS → NONE (no mark: nothing is touched), KEPT, WAITS (for its time);  LOOKS → PROVES (that the mark is on disk)
 * PROVES → SECRETS → META (without it no log is opened) → DATA → MACHINE (its mark: who is here next is another node) → OVER
 * any → LOOKS: looked at again */
enum rg_ending_state {
    ENDING_LOOKS,
    ENDING_NONE,
    ENDING_KEPT,
    ENDING_WAITS,
    ENDING_PROVES,
    ENDING_SECRETS,
    ENDING_META,
    ENDING_DATA,
    ENDING_MACHINE,
    ENDING_OVER,
};
extern const struct rg_sm_table rg_endings;

struct rg_ending {
    struct rg_sm state;           /* rg_endings */
    struct rg_io *io;             /* borrow: its files and random numbers */
    struct rg_ending_place place;
    int64_t until_s;              /* as the mark says, Unix time; RG_ENDING_KEPT */
    char said[RG_ENDING_SAID_BYTES]; /* the same: who was removed, and by whom */
};

/**
 * Mark the data directory: durable when it returns, safe while the node runs. A mark that is there stays as it is.
 * said      one line, "node …"
 * until_s   when everything is destroyed, Unix time; RG_ENDING_KEPT
 */
RG_MUST enum rg_err rg_ending_begin(struct rg_io *io, const char *data_dir, const char *said, int64_t until_s, struct rg_errctx *ctx);

void rg_ending_init(struct rg_ending *ending, struct rg_io *io, const struct rg_ending_place *place);
/**
 * Look, and go on as far as it goes at this time. RG_OK: NONE, KEPT, WAITS or OVER. Anything else: what could not be done; again.
 * Nothing of the data may be in use.
 */
RG_MUST enum rg_err rg_ending_go_on(struct rg_ending *ending, int64_t wall_s, struct rg_errctx *ctx);

#endif
