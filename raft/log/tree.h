/* raft/log/tree.h: files and folders that are there, or gone, for good, over raft/io.h. */
#ifndef REGENT_RAFT_LOG_TREE_H
#define REGENT_RAFT_LOG_TREE_H

#include "raft/io.h"

#define RG_TREE_PATH_MAX 4096
#define RG_TREE_DEPTH_MAX 5 /* folders below the one that is named; ours are less deep */

/** The file DIR/name has these bytes, whole, or is as it was: durable when this returns RG_OK. RG_EINVALID (a path too long), RG_EIO … */
RG_MUST enum rg_err rg_tree_write(struct rg_io *io, const char *dir, const char *name, struct rg_span bytes, struct rg_errctx *ctx);
/** A file, or a folder with all in it. Links are deleted, not followed; a missing one is fine. Not synced. RG_EIO …, with the path. */
RG_MUST enum rg_err rg_tree_remove(struct rg_io *io, const char *path, struct rg_errctx *ctx);
/** The names in the folder that a file is in are on disk. */
RG_MUST enum rg_err rg_tree_sync_parent(struct rg_io *io, const char *path, struct rg_errctx *ctx);

#endif
