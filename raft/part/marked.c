/* raft/part/marked.c: what the mark says of the data directory that is there. */
#include "raft/part/marked.h"

#include <stdio.h>

enum rg_marked_says rg_marked_judge(const struct rg_meta *meta, uint64_t sequence, const struct rg_marked *marked)
{
    const struct rg_meta *mark = &marked->meta;

    RG_ASSERT(!marked->there || marked->sequence > 0);
    RG_ASSERT(meta->node_id != 0);
    if (!marked->there)
        return RG_MARKED_NONE;
    if (strcmp(mark->cluster_id, meta->cluster_id) != 0 || strcmp(mark->region, meta->region) != 0)
        return RG_MARKED_FOREIGN;
    if (!rg_incarnation_equal(&mark->incarnation, &meta->incarnation))
        return mark->starts == 0 ? RG_MARKED_NONE : RG_MARKED_LIFE; /* a directory that was not even made has told nothing */
    if (mark->node_id != meta->node_id)
        return RG_MARKED_FOREIGN;
    if (marked->sequence == sequence)
        return RG_MARKED_FITS;
    if (marked->sequence == sequence + 1)
        return RG_MARKED_FINISH;
    return marked->sequence < sequence ? RG_MARKED_BEHIND : RG_MARKED_AHEAD;
}

void rg_marked_why(enum rg_marked_says says, const struct rg_meta *meta, uint64_t sequence, const struct rg_marked *marked,
                   char out[128])
{
    RG_ASSERT(says == RG_MARKED_LIFE || says == RG_MARKED_AHEAD); /* else nothing was forgotten */
    RG_ASSERT(says != RG_MARKED_AHEAD || marked->sequence > sequence + 1); /* one save is gone on with */
    if (says == RG_MARKED_LIFE)
        snprintf(out, 128, "the data directory is of another life than this machine's mark (node %llu, start %llu)",
                 (unsigned long long)marked->meta.node_id, (unsigned long long)marked->meta.starts);
    else
        snprintf(out, 128, "the data directory is older than this machine's mark (start %llu < %llu, save %llu < %llu)",
                 (unsigned long long)meta->starts, (unsigned long long)marked->meta.starts, (unsigned long long)sequence,
                 (unsigned long long)marked->sequence);
}

bool rg_held_lost(const struct rg_held *held, const struct rg_incarnation *self, uint64_t last, uint64_t term)
{
    if (!rg_incarnation_known(&held->incarnation) || !rg_incarnation_equal(&held->incarnation, self))
        return false;
    return last < held->index || (term != 0 && term != held->term);
}
