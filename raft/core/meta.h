/* raft/core/meta.h: what must be durable before any message: who this node is, its term, vote and fence. Two checksummed slots,
 * written in turn, each with a sequence number; a torn write leaves the other. Authenticated with the KEK (sealed). */
#ifndef REGENT_RAFT_CORE_META_H
#define REGENT_RAFT_CORE_META_H

#include "crypto/keyprov.h"
#include "raft/io.h"
#include "raft/member.h"

struct rg_meta {
    /* never change after creation */
    char cluster_id[64];
    char region[33];
    uint64_t node_id;
    char instance_arn[128];
    char identity_store_id[64];
    struct rg_incarnation incarnation; /* of this data directory; not known: of a release that drew none */
    /* change */
    bool bound; /* its id is bound to the incarnation: a release that knows of none must not start here any more */
    uint64_t term; /* epoch in the high 32 bits, restarts in the low 32 */
    uint64_t vote;
    uint64_t starts; /* one more at each start */
    bool fenced;
    bool forgotten;   /* fenced, since others know more of this node than its data directory does: there may be a better one */
    bool quarantined; /* RAFT.md rule 18 */
    char note[128];   /* why */
    uint64_t promised; /* nobody of an epoch before this one is followed */
    uint64_t term_before; /* a node that begins another epoch: its term until that epoch's first entry is in the log */
    uint64_t ceded_index, ceded_term; /* the last entry before a hand-over of this node's; 0: none */
    uint64_t lease_ms; /* the longest lease granted: after a restart it may still run */
    bool vouched; /* every complete snapshot here is the log's: of releases that named received ones before they were (false)
                   * one may be there that is not */
};

struct rg_metafile;

/** Create the file (RG_ECONFLICT if there is one) with this content, durable. */
RG_MUST enum rg_err rg_metafile_create(struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                       const struct rg_meta *meta, struct rg_errctx *ctx);
/** RG_ENOTFOUND when there is no file; RG_ECORRUPT when no slot can be proved intact; RG_EKEY. */
RG_MUST enum rg_err rg_metafile_open(struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                     struct rg_metafile **ret_file, struct rg_meta *ret_meta, struct rg_errctx *ctx);
/** Write and fdatasync. Any error stops the node. */
RG_MUST enum rg_err rg_metafile_save(struct rg_metafile *file, const struct rg_meta *meta, struct rg_errctx *ctx);
void rg_metafile_free(struct rg_metafile *file);

#endif
