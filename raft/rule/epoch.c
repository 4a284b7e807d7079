/* raft/rule/epoch.c: terms, epochs, and what they cut off. */
#include "raft/rule/epoch.h"

#include "base/bug/bug.h"
#include "store/model/setting.h"

_Static_assert(RG_EPOCH_MAX == UINT32_MAX, "the high half of a term");
_Static_assert((RG_EPOCH_MAX + 1) % RG_EPOCH_IDS == 0, "up to the last one, every id has as many");
_Static_assert(RG_EPOCH_AHEAD_MAX < RG_EPOCH_HEARD_MAX, "no single promise uses up what may be heard");
_Static_assert(RG_EPOCH_HEARD_MAX + RG_EPOCH_IDS <= RG_EPOCH_MAX, "above what is heard, every id has one");

bool rg_epoch_of_node(uint64_t epoch, uint64_t id)
{
    return epoch % RG_EPOCH_IDS == id % RG_EPOCH_IDS;
}

uint64_t rg_epoch_next(uint64_t known, uint64_t id)
{
    uint64_t e = known - known % RG_EPOCH_IDS + id % RG_EPOCH_IDS;

    RG_ASSERT(known <= RG_EPOCH_MAX);
    if (RG_BUG(epoch_next_one))
        return known + 1;
    e = e > known ? e : e + RG_EPOCH_IDS;
    RG_ASSERT(e > known);
    RG_ASSERT(e - known <= RG_EPOCH_IDS);
    RG_ASSERT(rg_epoch_of_node(e, id));
    return e;
}

bool rg_epoch_may_promise(uint64_t known, uint64_t epoch, uint64_t asks)
{
    RG_ASSERT(known <= RG_EPOCH_MAX);
    RG_ASSERT(asks != 0);
    return (epoch <= known || epoch - known <= RG_EPOCH_AHEAD_MAX) && epoch < RG_EPOCH_HEARD_MAX &&
           (rg_epoch_of_node(epoch, asks) || RG_BUG(epoch_next_one));
}

uint64_t rg_epoch_heard(uint64_t known, uint64_t claimed)
{
    RG_ASSERT(known <= RG_EPOCH_MAX);
    return RG_MIN(claimed, RG_MIN(known + RG_EPOCH_AHEAD_MAX, RG_EPOCH_HEARD_MAX));
}

bool rg_epochs_follow(const struct rg_epochs *epochs, uint64_t epoch, uint64_t first_index)
{
    RG_ASSERT(epochs->n <= RG_EPOCHS_MAX);
    if (epoch > RG_EPOCH_MAX || first_index == 0)
        return false;
    return epochs->n == 0 || (epoch > epochs->began[epochs->n - 1].epoch && first_index > epochs->began[epochs->n - 1].first_index);
}

void rg_epochs_add(struct rg_epochs *epochs, uint64_t epoch, uint64_t first_index)
{
    RG_ASSERT(rg_epochs_follow(epochs, epoch, first_index));
    if (epochs->n == RG_EPOCHS_MAX) {
        memmove(epochs->began, epochs->began + 1, (RG_EPOCHS_MAX - 1) * sizeof epochs->began[0]);
        epochs->n--;
    }
    RG_ASSERT(epochs->n < RG_EPOCHS_MAX);
    epochs->began[epochs->n].epoch = epoch;
    epochs->began[epochs->n++].first_index = first_index;
}

enum rg_err rg_epochs_read(struct rg_txn *txn, struct rg_epochs *ret_epochs, struct rg_errctx *ctx)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_epochs known = {.n = 0};
    struct rg_epoch e;
    enum rg_err err = rg_epoch_list(txn, &scan);

    while (!err && (err = rg_epoch_list_next(&scan, &e)) == RG_OK) {
        if (!rg_epochs_follow(&known, e.epoch, e.first_index))
            return rg_fail(ctx, RG_ECORRUPT, "the state says that epoch %llu began at entry %llu, and the one before it, %llu, at %llu",
                           (unsigned long long)e.epoch, (unsigned long long)e.first_index,
                           (unsigned long long)(known.n > 0 ? known.began[known.n - 1].epoch : 0),
                           (unsigned long long)(known.n > 0 ? known.began[known.n - 1].first_index : 0));
        rg_epochs_add(&known, e.epoch, e.first_index);
    }
    if (err != RG_ENOTFOUND)
        return rg_fail(ctx, err, "a row of an epoch cannot be read: %s", rg_err_text(err));
    RG_ASSERT(known.n <= RG_EPOCHS_MAX);
    *ret_epochs = known;
    return RG_OK;
}

/* An entry of an epoch at an index where a later epoch has begun, or of an epoch that never was part of this history. */
enum rg_err rg_epochs_outcome(const struct rg_epochs *epochs, struct rg_rev rev, struct rg_rev visible)
{
    bool began = false; /* the revision's epoch is part of this history */

    RG_ASSERT(epochs->n <= RG_EPOCHS_MAX);
    if (rg_rev_cmp(visible, rev) < 0 && !(RG_BUG(wait_early) && visible.index + 1 == rev.index))
        return RG_EREVISION;
    if (epochs->n > 0 && rev.epoch < epochs->began[0].epoch)
        return RG_OK; /* from before what is kept */
    for (size_t i = 0; i < epochs->n; i++) {
        began |= epochs->began[i].epoch == rev.epoch;
        if (epochs->began[i].epoch > rev.epoch)
            return !began || rev.index >= epochs->began[i].first_index ? RG_EREVLOST : RG_OK;
    }
    return RG_OK;
}
