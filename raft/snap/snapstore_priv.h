/* raft/snap/snapstore_priv.h: what snapstore.c (the directory, loading, taking, sending) and snapstore_receive.c share. */
#ifndef REGENT_RAFT_SNAP_SNAPSTORE_PRIV_H
#define REGENT_RAFT_SNAP_SNAPSTORE_PRIV_H

#include "base/sm.h"
#include "base/bug/bug.h"
#include "raft/snap/snapstore.h"

enum {
    SNAP_DIR_BYTES_MAX = 3072,
    SNAP_PATH_BYTES_MAX = SNAP_DIR_BYTES_MAX + 64,
    SNAP_RECEIVE_BYTES_MAX = 1 << 20, /* of one write */
    SNAP_RECEIVE_QUEUE_MAX = 256,     /* writes waiting */
};

/* A complete file. */
struct snap_entry {
    struct snap_entry *next; /* newest first */
    struct rg_snapfile file;
    unsigned holds;
    bool doomed; /* past RG_SNAPSTORE_KEEP, or damaged: deleted when nobody holds it */
};

/* A received file that gets its name. */
struct snap_adoption {
    struct rg_work work;
    struct rg_snapfile file;
    bool busy;
    enum rg_err err;
    struct rg_errctx ctx;
    void (*done)(void *arg, enum rg_err err, const char *text);
    void *arg;
};

struct snap_take;
struct snap_receive;

struct rg_snapstore {
    struct rg_io *io;
    struct rg_keyprov *keys;
    struct rg_context context;
    uint8_t *strings;             /* own; what context points to */
    char *dir;                    /* own */
    struct snap_entry *entries;   /* own */
    struct snap_take *take;       /* the one under way */
    struct snap_receive *receive; /* own */
    uint64_t spared;              /* index of one that is kept besides; 0: none */
    bool has_part;                /* an opening found one */
    uint64_t aside;               /* files set aside that are there */
    bool closing;                 /* freed by the last job */
    volatile bool stopping;       /* read by jobs that take long: they give up */
    unsigned jobs;                /* under way: memory stays */
    struct snap_adoption adoption;
    struct rg_work reap;          /* under way while `reaping` is set */
    struct rg_store *reaping;     /* borrow */
    bool reap_again;              /* asked for since */
};

/** Assert what is true of it between calls. */
void snap_check(const struct rg_snapstore *snaps);
enum snap_suffix { SNAP_COMPLETE, SNAP_PART, SNAP_TMP, SNAP_BAD, SNAP_ASIDE };
void snap_path(const struct rg_snapstore *snaps, uint64_t index, uint64_t term, enum snap_suffix suffix,
               char out[SNAP_PATH_BYTES_MAX]);
/** What a file's name says. False: it is none of ours; no snapshot is of index or term 0. */
bool snap_name_parse(const char *name, uint64_t *ret_index, uint64_t *ret_term, enum snap_suffix *ret_suffix);
/** A job was handed to the lane, or is done with; the last one frees a closing store. */
void snap_job_begin(struct rg_snapstore *snaps, struct rg_work *work);
void snap_job_end(struct rg_snapstore *snaps);
/** A complete file is there: list it, and delete what is past RG_SNAPSTORE_KEEP. RG_ENOMEM. */
RG_MUST enum rg_err snap_add(struct rg_snapstore *snaps, const struct rg_snapfile *file);
/** Source over an open file, for rg_snapshot_*. cancel: may be NULL; true → RG_ESTOPPED. */
struct snap_source {
    struct rg_io *io;
    int fd;
    const volatile bool *cancel;
};
/** What is received now; false: nothing. */
bool snap_receiving(const struct rg_snapstore *snaps, struct rg_snapfile *ret_file);
struct rg_snapshot_source snap_source(struct snap_source *over, uint64_t size);
/** rg_snapshot_load, of the snapshot that it must be. RG_EPEER: nobody who may has signed for what it says. */
RG_MUST enum rg_err snap_load(struct rg_snapstore *snaps, struct snap_source *over, const struct rg_snapfile *file, struct rg_store *store,
                              uint64_t bytes_free, struct rg_buf *config_buf, struct rg_snapshot_info *ret_info, struct rg_errctx *ctx);
/** Sync, rename to the complete name, sync the directory. */
RG_MUST enum rg_err snap_publish(const struct rg_snapstore *snaps, int fd, const char *from, uint64_t index,
                                 uint64_t term, struct rg_errctx *ctx);
void snap_receive_free(struct rg_snapstore *snaps);

/* The machines of snapstore_receive.c and transfer.c: for whoever traces. */
extern const struct rg_sm_table snap_receives, snap_receivers, snap_senders;

#endif
