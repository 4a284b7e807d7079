/* The log under random appends, flushes, truncations, compactions, resets, faults, crashes and reopenings, over a disk
 * that keeps any subset of what was not synced. After every reopening:
 *   - all that was reported durable (and not truncated since) is there, byte for byte;
 *   - what is there beyond it was once appended, and each entry follows the one it was appended behind;
 *   - a reset that was under way happened whole, or not at all;
 *   - it opens: a crash is never taken for corruption.
 * At the end one bit is flipped somewhere: it is found, or it changed nothing. RG_SEED=n reruns one seed. */
#include <stdio.h>

#include "raft/log/wal.h"
#include "tests/sim/simlanes.h"

enum { INDEX_MAX = 4096, STEPS = 250, SEEDS = 1500 };

/* The id is all there is to know of an entry: its bytes follow from it. */
struct known {
    uint64_t id, prev, term;
};

static struct world {
    struct simlanes lanes;
    struct simdisk *disk;
    struct rg_prng prng;
    struct rg_keyprov *keys;
    struct rg_wal *wal;
    struct rg_wal_config config;
    struct known *known; /* by id - 1 */
    uint64_t n_known, cap_known;
    uint64_t at[INDEX_MAX]; /* id at each index of the log; at[floor] stands for the snapshot */
    uint64_t term, durable; /* durable: reported and not truncated since */
    uint64_t floor, floor_term;
    uint64_t kept, kept_term; /* the snapshot before: the log must begin there as well */
    struct { /* as before a reset that is under way: what a crash may bring back */
        uint64_t floor, floor_term, kept, kept_term, durable, at[INDEX_MAX];
    } before;
    bool resetting, dead;
} w;

static unsigned long long crashes, reopenings, entries_checked, faults, stalls, full_openings;

#define CHECK(cond, ...)                                                                                               \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "RG_SEED=%llu: %s: ", (unsigned long long)w.prng.seed, #cond);                             \
            fprintf(stderr, __VA_ARGS__);                                                                              \
            fprintf(stderr, "\n");                                                                                     \
            abort();                                                                                                   \
        }                                                                                                              \
    } while (0)

static uint64_t new_id(uint64_t prev, uint64_t term)
{
    if (w.n_known == w.cap_known) {
        w.cap_known = w.cap_known == 0 ? 1024 : w.cap_known * 2;
        w.known = realloc(w.known, w.cap_known * sizeof *w.known);
        RG_ASSERT(w.known != NULL);
    }
    w.known[w.n_known++] = (struct known){w.n_known + 1, prev, term};
    return w.n_known;
}

static size_t content(uint64_t id, uint8_t out[8192])
{
    struct rg_prng prng;
    size_t n;

    rg_prng_init(&prng, id);
    n = 8 + (size_t)(rg_prng_chance(&prng, 1, 40) ? rg_prng_below(&prng, 8000) : rg_prng_below(&prng, 200));
    memcpy(out, &id, 8);
    if (rg_prng_chance(&prng, 1, 2))
        memset(out + 8, (int)id, n - 8); /* compresses */
    else
        rg_prng_bytes(&prng, out + 8, n - 8);
    return n;
}

static void on_durable(void *arg, uint64_t index, uint64_t term)
{
    CHECK(index >= w.durable, "durable goes back from %llu to %llu", (unsigned long long)w.durable,
          (unsigned long long)index);
    CHECK(rg_wal_term(w.wal, index) == term && (term != 0 || index == 0), "durable (%llu, %llu) is not in the log",
          (unsigned long long)index, (unsigned long long)term);
    w.durable = index;
}

static void on_error(void *arg, enum rg_err err, const char *text)
{
    CHECK(!w.dead, "a second error");
    CHECK(err == RG_EIO, "%s", text); /* a full disk is waited for */
    w.dead = true;
}

static void check_entry(uint64_t index)
{
    uint8_t want[8192];
    struct rg_entry entry;
    uint64_t id;
    size_t n;

    CHECK(rg_wal_get(w.wal, index, &entry), "no entry %llu", (unsigned long long)index);
    CHECK(entry.data.n >= 8, "entry %llu is short", (unsigned long long)index);
    memcpy(&id, entry.data.p, 8);
    CHECK(id > 0 && id <= w.n_known, "entry %llu was never appended", (unsigned long long)index);
    n = content(id, want);
    CHECK(rg_span_eq(entry.data, rg_span(want, n)) && entry.term == w.known[id - 1].term,
          "entry %llu has other content", (unsigned long long)index);
    if (index <= w.durable)
        CHECK(id == w.at[index], "entry %llu was durable and is another now", (unsigned long long)index);
    if (index > w.floor + 1)
        CHECK(w.known[id - 1].prev == w.at[index - 1], "entry %llu does not follow the one before",
              (unsigned long long)index);
    w.at[index] = id;
    entries_checked++;
}

/* What the log says: was it reset, or is it as before? */
static void settle_reset(void)
{
    uint64_t index, term;
    enum rg_err err;

    if (!w.resetting)
        return;
    w.resetting = false;
    err = rg_wal_reset_base(&w.config, &index, &term, NULL);
    CHECK(err == RG_OK || err == RG_ENOTFOUND, "%s", rg_err_symbol(err));
    if (err == RG_OK && index == w.floor && term == w.floor_term)
        return;
    w.floor = w.before.floor;
    w.floor_term = w.before.floor_term;
    w.kept = w.before.kept;
    w.kept_term = w.before.kept_term;
    w.durable = w.before.durable;
    memcpy(w.at, w.before.at, sizeof w.at);
}

/* The newest snapshot is damaged: the one before and the log take over. */
static void open_before(void)
{
    struct rg_wal_report report;
    struct rg_errctx ctx = {""};

    w.config.floor_index = w.kept;
    w.config.floor_term = w.kept_term;
    CHECK(rg_wal_open(&w.config, &w.wal, &report, &ctx) == RG_OK, "from %llu: %s", (unsigned long long)w.kept, ctx.text);
    CHECK(rg_wal_first(w.wal) == w.kept + 1, "begins elsewhere");
    CHECK(rg_wal_last(w.wal) >= w.durable, "ends too early");
    for (uint64_t i = w.kept + 1; i <= w.floor; i++) {
        struct rg_entry entry;

        CHECK(rg_wal_get(w.wal, i, &entry) && entry.term == w.known[w.at[i] - 1].term, "another entry %llu", (unsigned long long)i);
    }
    rg_wal_free(w.wal);
}

static void open_log(void)
{
    struct rg_errctx ctx = {""};
    struct rg_wal_report report;
    uint64_t last;
    enum rg_err err;

    w.dead = false;
    settle_reset();
    if (rg_prng_chance(&w.prng, 1, 4))
        open_before();
    w.config.floor_index = w.floor;
    w.config.floor_term = w.floor_term;
    err = rg_wal_open(&w.config, &w.wal, &report, &ctx);
    if (err == RG_ENOSPACE && w.floor > 0) { /* what a snapshot replaces whole is not replaced without room */
        simdisk_full(w.disk, UINT64_MAX);
        err = rg_wal_open(&w.config, &w.wal, &report, &ctx);
    }
    CHECK(err == RG_OK, "%s", ctx.text);
    last = rg_wal_last(w.wal);
    CHECK(rg_wal_first(w.wal) == w.floor + 1, "begins elsewhere");
    CHECK(last >= w.durable, "ends at %llu, %llu was durable", (unsigned long long)last, (unsigned long long)w.durable);
    for (uint64_t i = w.floor + 1; i <= last; i++)
        check_entry(i);
    w.durable = last;
    w.term = RG_MAX(w.term, rg_wal_term(w.wal, last)) + 1;
    reopenings++;
}

/* power: it fails, and comes back with a disk that has room; otherwise the disk may be as full as it was. */
static void reopen(bool power)
{
    bool full = !power && rg_prng_chance(&w.prng, 1, 2);

    if (power) {
        simdisk_crash(w.disk, &w.prng);
        crashes++;
    } else {
        simdisk_kill(w.disk);
    }
    rg_wal_free(w.wal);
    w.wal = NULL;
    simlanes_abandon(&w.lanes);
    simdisk_fail_sync(w.disk, 0);
    simdisk_fail_write(w.disk, 0);
    if (!full)
        simdisk_full(w.disk, UINT64_MAX);
    open_log();
    full_openings += !rg_wal_begun(w.wal);
    if (rg_prng_chance(&w.prng, 1, 8)) { /* what was read is on disk */
        simdisk_crash(w.disk, &w.prng);
        rg_wal_free(w.wal);
        open_log();
    }
}

static void append(void)
{
    uint8_t bytes[4][8192];
    struct rg_entry entries[4];
    size_t n = (size_t)rg_prng_between(&w.prng, 1, 4);
    uint64_t last = rg_wal_last(w.wal);

    if (last + n >= INDEX_MAX)
        return;
    if (rg_prng_chance(&w.prng, 1, 20))
        w.term++;
    for (size_t i = 0; i < n; i++) {
        uint64_t id = new_id(last + i > 0 ? w.at[last + i] : 0, w.term);

        w.at[last + i + 1] = id;
        entries[i] = (struct rg_entry){w.term, RG_ENTRY_COMMAND, rg_span(bytes[i], content(id, bytes[i]))};
    }
    CHECK(rg_wal_append(w.wal, entries, n) == RG_OK, "append");
}

static void truncate_some(void)
{
    uint64_t last = rg_wal_last(w.wal), index;

    if (last <= w.floor)
        return;
    index = rg_prng_between(&w.prng, w.floor + 1, last);
    if (rg_prng_chance(&w.prng, 1, 2) && index + 5 < last)
        index = last - rg_prng_below(&w.prng, 5);
    CHECK(rg_wal_truncate(w.wal, index) == RG_OK, "truncate");
    w.durable = RG_MIN(w.durable, index - 1);
    w.term++;
}

/* A snapshot of something durable, then compaction somewhere below it. */
static void compact_some(void)
{
    uint64_t durable = rg_wal_durable(w.wal), behind = rg_prng_below(&w.prng, 60), to;

    CHECK(durable >= w.durable, "durable");
    if (w.durable > w.floor) {
        w.kept = w.floor;
        w.kept_term = w.floor_term;
        w.floor = rg_prng_between(&w.prng, w.floor + 1, w.durable);
        w.floor_term = rg_wal_term(w.wal, w.floor);
    }
    to = w.floor - RG_MIN(w.floor, behind);
    if (to >= rg_wal_first(w.wal))
        CHECK(rg_wal_compact(w.wal, to, rg_wal_term(w.wal, to), RG_MIN(to, w.kept)) == RG_OK, "compact to %llu", (unsigned long long)to);
}

static void on_reset(void *arg)
{
    (void)arg;
    w.resetting = false;
}

static void reset_some(void)
{
    uint64_t last = rg_wal_last(w.wal), index;

    if (w.resetting || last + 40 >= INDEX_MAX)
        return;
    w.before.floor = w.floor;
    w.before.floor_term = w.floor_term;
    w.before.kept = w.kept;
    w.before.kept_term = w.kept_term;
    w.before.durable = w.durable;
    memcpy(w.before.at, w.at, sizeof w.at);
    index = rg_prng_between(&w.prng, w.floor + 1, last + 30);
    w.term++;
    w.floor = w.kept = w.durable = index;
    w.floor_term = w.kept_term = w.term;
    w.at[index] = new_id(0, w.term);
    w.resetting = true;
    CHECK(rg_wal_reset(w.wal, index, w.term, rg_prng_chance(&w.prng, 1, 2), on_reset, NULL) == RG_OK, "reset");
}

static void fault(void)
{
    switch (rg_prng_below(&w.prng, 4)) {
    case 0:
        simdisk_fail_sync(w.disk, (unsigned)rg_prng_between(&w.prng, 1, 6));
        break;
    case 1:
        simdisk_fail_write(w.disk, (unsigned)rg_prng_between(&w.prng, 1, 6));
        break;
    default:
        simdisk_full(w.disk, rg_prng_below(&w.prng, 8192));
    }
    faults++;
}

static void step(void)
{
    enum rg_lane lane = rg_prng_chance(&w.prng, 3, 4) ? RG_LANE_LOG : RG_LANE_SNAPSHOT;

    if (w.dead) {
        reopen(rg_prng_chance(&w.prng, 1, 2));
        return;
    }
    stalls += rg_wal_stalled(w.wal);
    w.lanes.now_ms += rg_prng_below(&w.prng, 100);
    switch (rg_prng_below(&w.prng, 100)) {
    case 0 ... 24:
        append();
        break;
    case 25 ... 44:
        rg_wal_flush(w.wal);
        break;
    case 45 ... 64:
        simlanes_run(&w.lanes, lane);
        break;
    case 65 ... 84:
        simlanes_done(&w.lanes, lane);
        break;
    case 85 ... 87:
        simlanes_drain(&w.lanes);
        break;
    case 88 ... 90:
        truncate_some();
        break;
    case 91 ... 93:
        compact_some();
        break;
    case 94:
        reset_some();
        break;
    case 95:
        fault();
        w.lanes.now_ms += rg_prng_below(&w.prng, 1500);
        if (rg_prng_chance(&w.prng, 1, 6))
            simdisk_full(w.disk, UINT64_MAX);
        break;
    case 96 ... 98:
        reopen(true);
        break;
    default:
        reopen(false);
    }
}

static void quiesce(void)
{
    simdisk_fail_sync(w.disk, 0);
    simdisk_fail_write(w.disk, 0);
    simdisk_full(w.disk, UINT64_MAX);
    simlanes_drain(&w.lanes); /* what ran before the faults went off may still fail */
    if (w.dead)
        reopen(true);
    for (int i = 0; i < 4; i++) { /* it may have waited for room */
        w.lanes.now_ms += 1000;
        rg_wal_flush(w.wal);
        simlanes_drain(&w.lanes);
    }
    CHECK(!w.dead && rg_wal_durable(w.wal) == rg_wal_last(w.wal), "not quiet");
    rg_wal_free(w.wal);
    w.wal = NULL;
}

static void check_flip(void)
{
    struct simdisk *disk = w.disk;
    struct rg_errctx ctx = {""};
    struct rg_wal_report report;
    uint64_t last, offset = 0;
    char path[256] = "";
    enum rg_err err = rg_wal_verify(&w.lanes.io, "wal", w.keys, &w.config.context, NULL, NULL, &report, &ctx);

    CHECK(err == RG_OK, "verify: %s", ctx.text);
    last = report.last_index;
    for (unsigned i = 0; i < 4; i++) {
        w.disk = simdisk_clone(disk, w.prng.seed + i);
        simlanes_init(&w.lanes, w.disk);
        RG_ASSERT(simdisk_flip_random(w.disk, ".wal", &w.prng, path, &offset));
        w.config.floor_index = w.floor;
        w.config.floor_term = w.floor_term;
        err = rg_wal_open(&w.config, &w.wal, &report, &ctx);
        CHECK(err == RG_OK || err == RG_ECORRUPT, "%s at %llu: %s", path, (unsigned long long)offset, ctx.text);
        if (err == RG_OK) {
            CHECK(rg_wal_last(w.wal) == RG_MAX(last, w.floor), "a flip at %s %llu lost entries behind %llu of %llu: %s",
                  path, (unsigned long long)offset, (unsigned long long)rg_wal_last(w.wal), (unsigned long long)last,
                  report.note);
            for (uint64_t k = w.floor + 1; k <= rg_wal_last(w.wal); k++)
                check_entry(k);
            rg_wal_free(w.wal);
            w.wal = NULL;
        }
        simdisk_free(w.disk);
    }
    w.disk = disk;
}

static void run_seed(uint64_t seed)
{
    static const uint8_t material[32] = {1};

    memset(&w, 0, sizeof w);
    rg_prng_init(&w.prng, seed);
    w.disk = simdisk_new(seed);
    simlanes_init(&w.lanes, w.disk);
    RG_ASSERT(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &w.keys) == RG_OK);
    w.config = (struct rg_wal_config){
        .io = &w.lanes.io,
        .dir = "wal",
        .keys = w.keys,
        .context = {.instance_arn = rg_span_str("i"), .identity_store_id = rg_span_str("d")},
        .cluster_id = "c",
        .node_id = 1,
        .segment_bytes = 4096u << rg_prng_below(&w.prng, 4),
        .batch_bytes_max = rg_prng_chance(&w.prng, 1, 4) ? 500 : 0,
        .on_durable = on_durable,
        .on_error = on_error,
    };
    w.term = 1;
    open_log();
    for (unsigned i = 0; i < STEPS; i++)
        step();
    quiesce();
    check_flip();
    simdisk_free(w.disk);
    rg_keyprov_free(w.keys);
    free(w.known);
}

int main(void)
{
    const char *seed = getenv("RG_SEED");

    if (seed != NULL) {
        run_seed(strtoull(seed, NULL, 10));
        return 0;
    }
    for (uint64_t s = 1; s <= SEEDS; s++)
        run_seed(s);
    printf("%d seeds: %llu crashes, %llu reopenings, %llu faults, %llu steps without room, %llu openings without any, %llu entries compared\n",
           SEEDS, crashes, reopenings, faults, stalls, full_openings, entries_checked);
    RG_ASSERT(stalls > 1000 && full_openings > 100);
    return 0;
}
