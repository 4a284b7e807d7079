/* store/db/snapshot.h: the state as a stream of sealed, LZ4-compressed chunks: written from one read transaction (a worker
 * thread's: writes never pause), loaded with append-order bulk puts. Portable between regions: each opens it with its own
 * replica of the KEK. docs/formats-disk.md has the layout. */
#ifndef REGENT_STORE_DB_SNAPSHOT_H
#define REGENT_STORE_DB_SNAPSHOT_H

#include "crypto/keyprov.h"
#include "store/db/env.h"

#define RG_SNAPSHOT_CHUNK_BYTES (128 * 1024) /* rows a chunk holds before compression */

/* What the first chunk says, authenticated. */
struct rg_snapshot_info {
    uint64_t index, term;        /* last entry it includes */
    uint64_t config_index;       /* raft index of the configuration below */
    struct rg_span config;       /* encoded raft configuration; borrow */
    uint8_t hash[RG_STATE_HASH_BYTES];
    uint64_t rows, chunks;       /* chunks: 0 while writing */
    int64_t created_ms;
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
 * Replace the store's content by the snapshot, in write transactions of bounded size; on any error the store is wiped.
 * Every chunk is authenticated and in its place; an end chunk proves that none is missing. RG_ECORRUPT says which.
 */
RG_MUST enum rg_err rg_snapshot_load(struct rg_snapshot_source source, struct rg_keyprov *keys,
                                     const struct rg_context *context, struct rg_store *store, struct rg_buf *config_buf,
                                     struct rg_snapshot_info *ret_info, struct rg_errctx *ctx);
/** Authenticate every chunk without loading: `regent snapshot inspect --verify`. */
RG_MUST enum rg_err rg_snapshot_verify(struct rg_snapshot_source source, struct rg_keyprov *keys,
                                       const struct rg_context *context, struct rg_snapshot_info *ret_info,
                                       struct rg_errctx *ctx);

#endif
