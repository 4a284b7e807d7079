/* raft/hashes.c: state hashes kept by index. */
#include "raft/hashes.h"

_Static_assert((RG_HASHES_KEPT & (RG_HASHES_KEPT - 1)) == 0, "a remainder is a mask");
_Static_assert(sizeof ((struct rg_hash_kept *)0)->hash == sizeof ((struct rg_applied *)0)->hash, "all of it is kept");

enum rg_err rg_hashes_new(struct rg_hashes *hashes)
{
    RG_ASSERT(hashes->kept == NULL);
    hashes->kept = calloc(RG_HASHES_KEPT, sizeof *hashes->kept);
    return hashes->kept != NULL ? RG_OK : RG_ENOMEM;
}

void rg_hashes_deinit(struct rg_hashes *hashes)
{
    free(hashes->kept);
}

void rg_hashes_keep(struct rg_hashes *hashes, const struct rg_applied *applied)
{
    struct rg_hash_kept *h = &hashes->kept[applied->index % RG_HASHES_KEPT];

    RG_ASSERT(applied->index > 0);
    RG_ASSERT(applied->term > 0);
    RG_ASSERT(h->index <= applied->index); /* what is applied is never taken back */
    RG_ASSERT(h->term <= applied->term);
    h->index = applied->index;
    h->term = applied->term;
    memcpy(h->hash, applied->hash, sizeof h->hash);
}

enum rg_compared rg_hashes_compare(const struct rg_hashes *hashes, uint64_t applied, uint64_t index, uint64_t term,
                                   const uint8_t hash[RG_STATE_HASH_BYTES])
{
    const struct rg_hash_kept *h = &hashes->kept[index % RG_HASHES_KEPT];

    RG_ASSERT((h->index == 0) == (h->term == 0));
    RG_ASSERT(h->index <= applied);
    if (index > applied)
        return RG_COMPARED_PENDING;
    if (h->index != index || index == 0 || h->term != term)
        return RG_COMPARED_UNKNOWN;
    return memcmp(h->hash, hash, sizeof h->hash) == 0 ? RG_COMPARED_EQUAL : RG_COMPARED_DIFFERENT;
}
