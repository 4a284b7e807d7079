/* store/db/snapshot.h: the state as a stream of sealed, LZ4-compressed chunks: written from one read transaction (on a thread of its
 * own: writes never pause), loaded beside the state that serves with append-order bulk puts. Portable between regions: each opens it with
 * its own replica of the KEK. docs/formats-disk.md has the layout. */
#ifndef REGENT_STORE_DB_SNAPSHOT_H
#define REGENT_STORE_DB_SNAPSHOT_H

#include "crypto/keyprov.h"
#include "store/db/env.h"

#define RG_SNAPSHOT_CHUNK_BYTES (128 * 1024) /* rows a chunk holds before compression */

/* Which history of entries a state is of: the first half of the SHA-256 of its first entry (raft/history.h). Zero: not known. */
struct rg_history {
    uint8_t b[16];
};

/* What the first chunk says, authenticated. */
struct rg_snapshot_info {
    uint64_t index, term;        /* last entry it includes */
    uint64_t config_index;       /* raft index of the configuration below */
    struct rg_span config;       /* encoded raft configuration; borrow */
    uint8_t hash[RG_STATE_HASH_BYTES];
    uint64_t rows, chunks;       /* chunks: 0 while writing */
    int64_t created_ms;
    struct rg_history history;   /* not known: nor to whoever wrote it, or of a release before */
    char key_id[RG_KEY_ID_BYTES_MAX];
};

struct rg_snapshot_sink {
    enum rg_err (*write)(void *arg, struct rg_span bytes);
    void *arg;
};
/**
 * Write the whole state of txn. index, term, hash and rows come from the transaction; info gives configuration and time.
 * cancel   may be NULL; checked for each chunk: true → RG_ESTOPPED
 */
RG_MUST enum rg_err rg_snapshot_write(struct rg_txn *txn, struct rg_keyprov *keys, const struct rg_context *context,
                                      const struct rg_snapshot_info *info, struct rg_snapshot_sink sink,
                                      const volatile bool *cancel);

struct rg_snapshot_source {
    /* Read exactly n bytes at offset; RG_EMALFORMED when there are fewer. */
    enum rg_err (*read)(void *arg, uint64_t offset, void *out, size_t n);
    uint64_t size;
    void *arg;
};
/** Read and authenticate the header chunk. info->config is written into config_buf. */
RG_MUST enum rg_err rg_snapshot_inspect(struct rg_snapshot_source source, struct rg_keyprov *keys,
                                        const struct rg_context *context, struct rg_buf *config_buf,
                                        struct rg_snapshot_info *ret_info, struct rg_errctx *ctx);
/**
 * Load the snapshot into the store's spare (rg_store_spare), which is then to be swapped in or dropped; what serves stays as it is. On
 * any error there is no spare. The thread is the spare's.
 * Every chunk is authenticated and in its place; an end chunk proves that none is missing. RG_ECORRUPT says which.
 * bytes_free   of the state's file system are left for the one that serves: RG_ESTATEFULL when they would not be, or its map is too
 *              small
 * Besides: what rg_store_spare says, and the source.
 */
RG_MUST enum rg_err rg_snapshot_load(struct rg_snapshot_source source, struct rg_keyprov *keys, const struct rg_context *context,
                                     struct rg_store *store, uint64_t bytes_free, struct rg_buf *config_buf,
                                     struct rg_snapshot_info *ret_info, struct rg_errctx *ctx);
/** Authenticate every chunk without loading: `regent snapshot inspect --verify`. */
RG_MUST enum rg_err rg_snapshot_verify(struct rg_snapshot_source source, struct rg_keyprov *keys,
                                       const struct rg_context *context, struct rg_snapshot_info *ret_info,
                                       struct rg_errctx *ctx);

#endif
