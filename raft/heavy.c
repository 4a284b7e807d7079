/* raft/heavy.c: entries into the store, within a turn or on a lane. */
#include "raft/heavy.h"

#include "base/bug/bug.h"
#include "store/model/setting.h"

/* ---- one entry ---- */

static uint64_t epoch_of(uint64_t term) { return term >> 32; }

enum rg_err rg_entry_apply(struct rg_txn *txn, uint64_t index, const struct rg_entry *entry, const struct rg_fsm_bounds *bounds,
                           struct rg_effect *ret_effect)
{
    struct rg_applied applied;
    enum rg_err err = RG_OK;

    RG_ASSERT(bounds == NULL || bounds->objects_max > 0);
    memset(ret_effect, 0, sizeof *ret_effect);
    rg_txn_applied(txn, &applied);
    RG_ASSERT(index == applied.index + 1);
    RG_ASSERT(entry->term > 0);
    RG_ASSERT(entry->term >= applied.term);
    if (epoch_of(entry->term) != epoch_of(applied.term)) {
        bounds = NULL; /* its row is written already */
        err = RG_BUG(epoch_unnoted) ? RG_OK : rg_epoch_begin(txn, epoch_of(entry->term), index);
    }
    if (err)
        return err;
    if (entry->type == RG_ENTRY_COMMAND)
        err = rg_fsm_apply_within(txn, index, entry->term, entry->data, bounds, &ret_effect->reply);
    else
        rg_txn_mark_applied(txn, index, entry->term);
    rg_txn_applied(txn, &ret_effect->applied);
    RG_ASSERT(err || ret_effect->applied.index == index);
    RG_ASSERT(err || ret_effect->applied.term == entry->term);
    return err;
}

/* ---- the lane ---- */

static const uint32_t heavy_may[] = {
    [RG_HEAVY_IDLE] = RG_BIT(RG_HEAVY_BUSY),
    [RG_HEAVY_BUSY] = RG_BIT(RG_HEAVY_DONE),
    [RG_HEAVY_DONE] = RG_BIT(RG_HEAVY_IDLE) | RG_BIT(RG_HEAVY_BUSY),
};
static const char *const heavy_names[] = {"IDLE", "BUSY", "DONE"};
_Static_assert(RG_LEN(heavy_names) == RG_LEN(heavy_may), "and its name");
const struct rg_sm_table rg_heavies = RG_SM_TABLE("heavy", heavy_may, heavy_names);
_Static_assert(RG_LEN(heavy_may) == RG_HEAVY_DONE + 1, "each state has its row");

void rg_heavy_init(struct rg_heavy *heavy, struct rg_io *io)
{
    memset(heavy, 0, sizeof *heavy);
    rg_sm_init(&heavy->stage, &rg_heavies, RG_HEAVY_IDLE);
    rg_buf_init(&heavy->bytes, RG_CMD_BYTES_MAX);
    atomic_init(&heavy->stop, false);
    heavy->io = io;
}

void rg_heavy_deinit(struct rg_heavy *heavy)
{
    RG_ASSERT(heavy->stage.state != RG_HEAVY_BUSY);
    rg_buf_deinit(&heavy->bytes);
}

/* One transaction, begun and ended on one thread. */
static enum rg_err apply(struct rg_heavy *heavy)
{
    const struct rg_fsm_bounds bounds = {.objects_max = SIZE_MAX, .stop = &heavy->stop};
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = atomic_load(&heavy->stop) ? RG_ESTOPPED : rg_txn_begin(heavy->store, RG_TXN_WRITE, &txn);

    RG_ASSERT(heavy->store != NULL);
    RG_ASSERT(heavy->stage.state == RG_HEAVY_BUSY);
    RG_ASSERT(heavy->entry.data.p == heavy->bytes.data); /* the log may let go of its own meanwhile */
    if (!err)
        err = rg_entry_apply(txn, heavy->index, &heavy->entry, &bounds, &heavy->effect);
    if (err)
        return err;
    rg_txn_counts(txn, &heavy->counts);
    heavy->rows = rg_txn_changes(txn);
    return rg_txn_commit(RG_STEAL(txn));
}

static void run(struct rg_work *work)
{
    struct rg_heavy *heavy = RG_CONTAINER(work, struct rg_heavy, work);
    uint64_t from = heavy->io->now_us(heavy->io), to;

    heavy->err = apply(heavy);
    to = heavy->io->now_us(heavy->io);
    RG_ASSERT(to >= from);
    heavy->us = to - from;
}

static void done(struct rg_work *work)
{
    struct rg_heavy *heavy = RG_CONTAINER(work, struct rg_heavy, work);

    rg_sm_move(&heavy->stage, RG_HEAVY_DONE);
    RG_ASSERT(heavy->err || heavy->effect.applied.index == heavy->index);
    RG_ASSERT(heavy->err || heavy->effect.applied.term == heavy->entry.term);
}

static void hand_over(struct rg_heavy *heavy)
{
    RG_ASSERT(heavy->store != NULL);
    RG_ASSERT(heavy->index > 0);
    RG_ASSERT(heavy->attempts < 2); /* once, and once more */
    rg_sm_move(&heavy->stage, RG_HEAVY_BUSY);
    heavy->attempts++;
    heavy->work = (struct rg_work){.run = run, .done = done};
    heavy->io->work(heavy->io, RG_LANE_APPLY, &heavy->work);
}

enum rg_err rg_heavy_begin(struct rg_heavy *heavy, struct rg_store *store, uint64_t index, const struct rg_entry *entry)
{
    RG_ASSERT(rg_heavy_idle(heavy));
    RG_ASSERT(heavy->store == NULL); /* nobody else's entry is in it */
    RG_ASSERT(entry->type == RG_ENTRY_COMMAND); /* nothing else takes long */
    rg_buf_clear(&heavy->bytes);
    rg_buf_put(&heavy->bytes, entry->data.p, entry->data.n);
    if (heavy->bytes.err)
        return heavy->bytes.err;
    heavy->entry = *entry;
    heavy->entry.data = rg_buf_span(&heavy->bytes);
    heavy->index = index;
    heavy->store = store;
    heavy->attempts = 0;
    hand_over(heavy);
    RG_ASSERT(!rg_heavy_idle(heavy)); /* from now on nobody else writes */
    return RG_OK;
}

void rg_heavy_again(struct rg_heavy *heavy)
{
    RG_ASSERT(heavy->stage.state == RG_HEAVY_DONE);
    RG_ASSERT(heavy->err != RG_OK);
    RG_ASSERT(heavy->attempts > 0);
    hand_over(heavy);
}

void rg_heavy_end(struct rg_heavy *heavy)
{
    RG_ASSERT(heavy->stage.state == RG_HEAVY_DONE);
    RG_ASSERT(heavy->store != NULL);
    rg_sm_move(&heavy->stage, RG_HEAVY_IDLE);
    heavy->store = NULL;
}

void rg_heavy_stop(struct rg_heavy *heavy)
{
    atomic_store(&heavy->stop, true);
}
