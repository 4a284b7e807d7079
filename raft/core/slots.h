/* raft/core/slots.h: a small file of which a torn write loses nothing: two checksummed slots, written in turn, each with a sequence
 * number, sealed with the KEK. Metadata, the mark beside it and what the mark says of the log are kept so. */
#ifndef REGENT_RAFT_CORE_SLOTS_H
#define REGENT_RAFT_CORE_SLOTS_H

#include "crypto/envelope.h"
#include "raft/io.h"

#define RG_SLOTS_PLAIN_BYTES_MAX 3072

struct rg_slots;

/* All static. */
struct rg_slots_kind {
    uint32_t magic;
    uint16_t version_max;
    const char *purpose; /* of the seal */
    const char *noun;    /* in messages */
};

/** Create the file (RG_ECONFLICT if there is one) with this body (TLV, no field 1), durable. */
RG_MUST enum rg_err rg_slots_create(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                    uint16_t version, struct rg_span body, uint64_t sequence, struct rg_errctx *ctx);
/** The same in the place of what is there, which stays whole until then. */
RG_MUST enum rg_err rg_slots_replace(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                     uint16_t version, struct rg_span body, uint64_t sequence, struct rg_errctx *ctx);
/** What was just written so: both slots hold it. */
RG_MUST enum rg_err rg_slots_reopen(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                    uint64_t sequence, struct rg_slots **ret_slots, struct rg_errctx *ctx);
/**
 * RG_ENOTFOUND when there is no file; RG_ECORRUPT when no slot can be proved intact; RG_EKEY; RG_EFOREIGN: of a later release.
 * take   reads valid TLV, the newest first; false: it is not what this release can read
 */
RG_MUST enum rg_err rg_slots_open(const struct rg_slots_kind *kind, struct rg_io *io, const char *path, struct rg_keyprov *keys,
                                  bool (*take)(void *arg, uint16_t version, struct rg_span plain), void *arg,
                                  struct rg_slots **ret_slots, struct rg_errctx *ctx);
/** Write and fdatasync, both slots one after the other. After an error nothing is written any more.
 * sequence   higher than the last one */
RG_MUST enum rg_err rg_slots_save(struct rg_slots *slots, uint16_t version, struct rg_span body, uint64_t sequence,
                                  struct rg_errctx *ctx);
uint64_t rg_slots_sequence(const struct rg_slots *slots);
void rg_slots_free(struct rg_slots *slots);

#endif
