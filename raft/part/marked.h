/* raft/part/marked.h: what the mark (raft/core/mark.h) says of the data directory that is there. */
#ifndef REGENT_RAFT_PART_MARKED_H
#define REGENT_RAFT_PART_MARKED_H

#include "raft/core/mark.h"

enum rg_marked_says {
    RG_MARKED_FITS,
    RG_MARKED_FINISH,  /* it is one save ahead: a crash came between mark and metadata, and what the mark has was told to nobody */
    RG_MARKED_NONE,    /* nothing: this machine keeps no mark of it yet, or has lost it */
    RG_MARKED_BEHIND,  /* it is older than the directory: as none */
    RG_MARKED_AHEAD,   /* the directory is older than it was */
    RG_MARKED_LIFE,    /* another life of this machine: the directory is of before, or of beside it */
    RG_MARKED_FOREIGN, /* of another node, or another cluster's: not this one's to judge */
};

/** sequence: of the directory's metadata. */
enum rg_marked_says rg_marked_judge(const struct rg_meta *meta, uint64_t sequence, const struct rg_marked *marked);
/** Why the directory is forgetful, for people; of RG_MARKED_AHEAD and _LIFE. */
void rg_marked_why(enum rg_marked_says says, const struct rg_meta *meta, uint64_t sequence, const struct rg_marked *marked,
                   char out[128]);
/** Whether the log has lost what was held.
 * last, term   where the log ends (a snapshot counts); the term of the entry at held->index, 0 when the log begins behind it */
bool rg_held_lost(const struct rg_held *held, const struct rg_incarnation *self, uint64_t last, uint64_t term);

#endif
