/* raft/part/identity.h: whose a data directory is: its metadata, held against what the shell expects and what the machine's mark has. */
#ifndef REGENT_RAFT_PART_IDENTITY_H
#define REGENT_RAFT_PART_IDENTITY_H

#include "raft/core/mark.h"
#include "raft/node.h"

struct rg_identity {
    struct rg_metafile *file; /* own */
    struct rg_meta meta;      /* as it is on the disk */
    struct rg_held held;      /* the log holds this, as far as this machine has seen */
};

/** Whether the directory is empty. RG_ECORRUPT: a log or snapshots without metadata. */
RG_MUST enum rg_err rg_identity_blank(struct rg_io *io, const char *data_dir, bool *ret_blank, struct rg_errctx *ctx);
/**
 * Open the metadata, or make it (config->fresh), and count a start. votes: the shell's configuration has it as a voter.
 * RG_EFOREIGN: another node's, cluster's or instance's, or (alone, with nobody to ask) older than the mark; RG_EFENCED: replaced, or
 * older than the mark, which is noted; RG_ECORRUPT: damaged, or a log without metadata; RG_ENOTFOUND: empty, and is to stay so.
 */
RG_MUST enum rg_err rg_identity_open(const struct rg_node_config *config, bool votes, struct rg_identity *ret_identity,
                                     struct rg_errctx *ctx);
/** The same, of the log.
 * last, term   where it ends, with its snapshot; the term of the entry at held.index, 0 when the log begins behind that */
RG_MUST enum rg_err rg_identity_check_log(const struct rg_node_config *config, struct rg_metafile *file, struct rg_meta *meta,
                                          const struct rg_held *held, uint64_t last, uint64_t term, struct rg_errctx *ctx);

#endif
