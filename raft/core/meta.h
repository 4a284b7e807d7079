/* raft/core/meta.h: what must be durable before any message: who this node is, its term, vote and fence (raft/core/slots.h: a torn write
 * leaves the one before). */
#ifndef REGENT_RAFT_CORE_META_H
#define REGENT_RAFT_CORE_META_H

#include "crypto/keyprov.h"
#include "raft/core/claims.h"
#include "raft/core/slots.h"
#include "raft/history.h"
#include "raft/lives.h"

/* Who begins an instance. */
enum rg_founds {
    RG_FOUNDS_NOT,
    RG_FOUNDS_LISTED, /* whoever the shell's configuration has as voters, each the same: of a release before, and the simulator's */
    RG_FOUNDS_ALONE,  /* this node, as the only voter, with the others as learners: voters come by the keeper */
};

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
    bool superseded;  /* another life of this directory goes on: this one is a copy, or what was copied, and never starts again */
    bool quarantined; /* RAFT.md rule 18 */
    char note[128];   /* why */
    uint64_t promised; /* nobody of an epoch before this one is followed */
    uint64_t term_before; /* a node that begins another epoch: its term until that epoch's first entry is in the log */
    uint64_t ceded_index, ceded_term; /* the last entry before a hand-over of this node's; 0: none */
    uint64_t lease_ms; /* the longest lease granted: after a restart it may still run */
    bool vouched; /* every complete snapshot here is the log's: of releases that named received ones before they were (false)
                   * one may be there that is not */
    bool marked; /* a mark of it is kept (raft/core/mark.h): whoever saves it says so, nobody else */
    enum rg_founds founds; /* while its log is empty, it writes the first entry; everybody else is given it */
    uint64_t behind_peer, behind_index, behind_term; /* a primary: this peer has that entry, and this node has lost it; 0: nobody */
    struct rg_history foreign; /* a peer has entries of it, and this directory of another; not known: none was met, or not since */
    uint64_t foreign_peer;     /* its id */
    bool foreign_leads;        /* it said that it leads there, or would */
    struct rg_claims claims; /* who began the newest epochs of this log */
    struct rg_lives lives; /* the last one of each peer that was dealt with; durable before it is */
};

struct rg_metafile;

/** Create the file (RG_ECONFLICT if there is one) with this content, durable. */
RG_MUST enum rg_err rg_metafile_create(struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                       const struct rg_meta *meta, struct rg_errctx *ctx);
/** RG_ENOTFOUND when there is no file; RG_ECORRUPT when no slot can be proved intact; RG_EKEY. */
RG_MUST enum rg_err rg_metafile_open(struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                     struct rg_metafile **ret_file, struct rg_meta *ret_meta, struct rg_errctx *ctx);
/** Write and fdatasync. Any error stops the node. Nothing that was saved before is taken back: no promise, vote, fence, binding, number. */
RG_MUST enum rg_err rg_metafile_save(struct rg_metafile *file, const struct rg_meta *meta, struct rg_errctx *ctx);
/** The same under a sequence number that is higher than the last one, whatever was saved before: of what a mark says. */
RG_MUST enum rg_err rg_metafile_save_at(struct rg_metafile *file, const struct rg_meta *meta, uint64_t sequence, struct rg_errctx *ctx);
uint64_t rg_metafile_sequence(const struct rg_metafile *file);
/** From now on each save goes to the mark first (take), and so does how far the log is: rg_mark_hold. */
struct rg_mark;
void rg_metafile_keep_mark(struct rg_metafile *file, struct rg_mark *mark);
struct rg_mark *rg_metafile_mark(const struct rg_metafile *file); /* borrow; NULL: none */
bool rg_metafile_mark_missing(const struct rg_metafile *file);
/** on_saved: after each save that came about, before anybody can be told of it. */
void rg_metafile_watch(struct rg_metafile *file, void (*on_saved)(void *arg), void *arg);
void rg_metafile_free(struct rg_metafile *file);

/* For raft/core/mark.c, which keeps a copy elsewhere. */
extern const struct rg_slots_kind rg_meta_kind, rg_mark_kind;
RG_MUST enum rg_err rg_meta_encode(const struct rg_meta *meta, struct rg_buf *out, uint16_t *ret_version);
bool rg_meta_take(void *arg, uint16_t version, struct rg_span plain); /* arg: struct rg_meta */

#endif
