/* The metadata file: two slots, whatever happens to one of them. */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/le.h"
#include "base/tlv.h"
#include "crypto/digest.h"
#include "raft/core/meta.h"
#include "tests/lib/check_main.h"
#include "tests/sim/simlanes.h"

static const uint8_t material[32] = {7};
static struct simlanes lanes;
static struct rg_keyprov *keys;
static struct rg_errctx ctx;
static struct rg_meta first = {
    .cluster_id = "c1",
    .region = "eu-central-1",
    .node_id = 2,
    .instance_arn = "arn:aws:sso:::instance/ssoins-0123456789abcdef",
    .identity_store_id = "d-0123456789",
    .term = UINT64_C(1) << 32,
    .vote = 2,
    .note = "",
    .incarnation = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
};

static void setup(void)
{
    simlanes_init(&lanes, simdisk_new(1));
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &keys), RG_OK);
    ck_assert_int_eq(lanes.io.mkdir(&lanes.io, "d", NULL), RG_OK);
    ck_assert_int_eq(lanes.io.sync_dir(&lanes.io, ".", NULL), RG_OK);
}

static void teardown(void)
{
    rg_keyprov_free(keys);
    simdisk_free(lanes.disk);
}

static bool same(const struct rg_meta *a, const struct rg_meta *b)
{
    return strcmp(a->cluster_id, b->cluster_id) == 0 && strcmp(a->region, b->region) == 0 && a->node_id == b->node_id &&
           strcmp(a->instance_arn, b->instance_arn) == 0 && strcmp(a->identity_store_id, b->identity_store_id) == 0 &&
           a->bound == b->bound && a->forgotten == b->forgotten && a->term == b->term && a->vote == b->vote && a->starts == b->starts && a->fenced == b->fenced &&
           rg_incarnation_equal(&a->incarnation, &b->incarnation) &&
           a->promised == b->promised && a->term_before == b->term_before && a->ceded_index == b->ceded_index &&
           a->ceded_term == b->ceded_term && a->lease_ms == b->lease_ms && a->vouched == b->vouched &&
           a->quarantined == b->quarantined && a->superseded == b->superseded && a->foreign_peer == b->foreign_peer && a->foreign_leads == b->foreign_leads &&
           a->behind_peer == b->behind_peer && a->behind_index == b->behind_index && a->behind_term == b->behind_term &&
           memcmp(&a->foreign, &b->foreign, sizeof a->foreign) == 0 && a->lives.n == b->lives.n &&
           a->claims.n == b->claims.n &&
           memcmp(a->claims.rows, b->claims.rows, a->claims.n * sizeof a->claims.rows[0]) == 0 &&
           memcmp(a->lives.rows, b->lives.rows, a->lives.n * sizeof a->lives.rows[0]) == 0 && strcmp(a->note, b->note) == 0;
}

static enum rg_err open_meta(struct rg_meta *meta)
{
    struct rg_metafile *file = NULL;
    enum rg_err err = rg_metafile_open(&lanes.io, "d/meta", keys, &file, meta, &ctx);

    rg_metafile_free(file);
    return err;
}

CASE(.setup = setup, .teardown = teardown);

TEST(what_was_saved_comes_back)
{
    struct rg_metafile *file;
    struct rg_meta meta, got;

    ck_assert_int_eq(open_meta(&got), RG_ENOTFOUND);
    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_ECONFLICT);
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "d/meta", keys, &file, &meta, &ctx), RG_OK);
    ck_assert(same(&meta, &first));
    for (unsigned i = 1; i <= 5; i++) {
        meta.term += i;
        meta.vote = i;
        meta.starts++;
        meta.fenced = i > 1;
        meta.bound = i > 2;
        meta.forgotten = i > 2;
        meta.term_before = meta.promised = (uint64_t)i;
        meta.ceded_index = meta.ceded_term = meta.lease_ms = (uint64_t)i + 1;
        meta.vouched = i % 2 == 0;
        meta.quarantined = i > 3;
        meta.superseded = i > 4;
        ck_assert(rg_claims_add(&meta.claims, 3 * i, &(struct rg_incarnation){{(uint8_t)i}}));
        meta.foreign = (struct rg_history){{(uint8_t)(i % 3)}};
        meta.foreign_peer = i % 3;
        meta.foreign_leads = i % 3 == 2;
        meta.behind_peer = meta.behind_index = meta.behind_term = i % 2;
        ck_assert(rg_lives_set(&meta.lives, i / 2 + 1, &(struct rg_incarnation){{7}}, &(struct rg_life){i, i + 1}));
        snprintf(meta.note, sizeof meta.note, "note %u", i);
        ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_OK);
        ck_assert_int_eq(open_meta(&got), RG_OK);
        ck_assert(same(&meta, &got));
    }
    rg_metafile_free(file);
}

/* A release before drew none: not known, until the next start draws it. */
TEST(a_file_without_an_incarnation_is_read)
{
    struct rg_meta old = first, got;

    old.incarnation = (struct rg_incarnation){{0}};
    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &old, &ctx), RG_OK);
    ck_assert_int_eq(open_meta(&got), RG_OK);
    ck_assert(same(&got, &old) && !rg_incarnation_known(&got.incarnation));
}

/* One damaged byte anywhere costs nothing: the other slot says the same. */
TEST(either_slot_alone_is_enough)
{
    struct rg_metafile *file;
    struct rg_meta meta, got;

    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "d/meta", keys, &file, &meta, &ctx), RG_OK);
    meta.term++;
    meta.vote = 9;
    ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_OK);
    rg_metafile_free(file);
    for (uint64_t at = 0; at < 8192; at++) {
        if (at % 4096 > 1024)
            continue;
        ck_assert(simdisk_flip(lanes.disk, "d/meta", at, 0x10));
        ck_assert_int_eq(open_meta(&got), RG_OK);
        ck_assert(same(&meta, &got));
        ck_assert(simdisk_flip(lanes.disk, "d/meta", at, 0x10));
    }
    ck_assert(simdisk_flip(lanes.disk, "d/meta", 100, 1));
    ck_assert(simdisk_flip(lanes.disk, "d/meta", 4196, 1));
    ck_assert_int_eq(open_meta(&got), RG_ECORRUPT);
    simdisk_resize(lanes.disk, "d/meta", 0);
    ck_assert_int_eq(open_meta(&got), RG_ECORRUPT);
}

TEST(another_key_is_said_to_be_one)
{
    static const uint8_t other[32] = {8};
    struct rg_keyprov *mine = keys;
    struct rg_meta got;

    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000002", other, &keys), RG_OK);
    ck_assert_int_eq(open_meta(&got), RG_EKEY);
    rg_keyprov_free(keys);
    keys = mine;
}

TEST(a_failed_save_ends_it)
{
    struct rg_metafile *file;
    struct rg_meta meta;

    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "d/meta", keys, &file, &meta, &ctx), RG_OK);
    simdisk_fail_sync(lanes.disk, 1);
    ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_EIO);
    ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_EIO);
    rg_metafile_free(file);
}

/* Crash at any write or sync of any save: what was confirmed last, or what was being saved, comes back. */
TEST(crashes_leave_old_or_new)
{
    for (uint64_t seed = 0; seed < 2000; seed++) {
        struct rg_prng prng;
        struct rg_meta confirmed, meta, got;
        struct rg_metafile *file;
        enum rg_err err = RG_OK;

        simdisk_free(lanes.disk);
        rg_prng_init(&prng, seed);
        simlanes_init(&lanes, simdisk_new(seed));
        ck_assert_int_eq(lanes.io.mkdir(&lanes.io, "d", NULL), RG_OK);
        ck_assert_int_eq(lanes.io.sync_dir(&lanes.io, ".", NULL), RG_OK);
        if (seed % 4 == 0) {
            simdisk_fail_sync(lanes.disk, 1 + (unsigned)rg_prng_below(&prng, 4));
            err = rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx);
            simdisk_fail_sync(lanes.disk, 0);
            simdisk_crash(lanes.disk, &prng);
            if (open_meta(&got) == RG_OK) {
                ck_assert_msg(same(&got, &first), "RG_SEED=%llu", (unsigned long long)seed);
                continue;
            }
            ck_assert_msg(err != RG_OK && open_meta(&got) == RG_ENOTFOUND, "RG_SEED=%llu %s", (unsigned long long)seed,
                          ctx.text);
        }
        ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
        confirmed = meta = first;
        for (unsigned round = 0; round < 4; round++) {
            err = RG_OK;
            ck_assert_int_eq(rg_metafile_open(&lanes.io, "d/meta", keys, &file, &got, &ctx), RG_OK);
            simdisk_fail_sync(lanes.disk, 1 + (unsigned)rg_prng_below(&prng, 6));
            while (err == RG_OK) {
                confirmed = meta;
                meta.term++;
                meta.vote = rg_prng_u64(&prng);
                err = rg_metafile_save(file, &meta, &ctx);
            }
            rg_metafile_free(file);
            simdisk_crash(lanes.disk, &prng);
            ck_assert_msg(open_meta(&got) == RG_OK, "RG_SEED=%llu %s", (unsigned long long)seed, ctx.text);
            ck_assert_msg(same(&got, &confirmed) || same(&got, &meta), "RG_SEED=%llu", (unsigned long long)seed);
            meta = got;
        }
    }
}

/* ---- slots that authenticate and are refused ---- */

enum { SEQUENCE = 1, NODE = 4, TERM = 7, VOTE = 8, PROMISED = 13, CEDED_INDEX = 15, CEDED_TERM = 16, TERM_BEFORE = 17, REGION = 3, SLOT = 4096 };

struct change {
    uint32_t field;
    uint64_t value;
};

/* The slot's content with fields of another value, sealed anew. */
static void poke_slot(unsigned slot, const struct change *changes, size_t n, const char *region, size_t region_n)
{
    static const struct rg_context purpose = {.purpose = {(const uint8_t *)"meta", 4}};
    uint8_t bytes[SLOT];
    RG_AUTO_BUF struct rg_buf plain = {0}, changed = {0}, sealed = {0};
    struct rg_cursor cur;
    struct rg_tlv tlv;

    rg_buf_init(&plain, SLOT);
    rg_buf_init(&changed, SLOT);
    rg_buf_init(&sealed, SLOT);
    ck_assert_uint_eq(simdisk_peek(lanes.disk, "d/meta", (uint64_t)slot * SLOT, bytes, SLOT), SLOT);
    ck_assert_int_eq(rg_envelope_open(keys, &purpose, rg_span(bytes + 16, rg_le_get(bytes + 8, 4)), &plain, &ctx), RG_OK);
    rg_cursor_init(&cur, rg_buf_span(&plain));
    while (rg_tlv_next(&cur, &tlv)) {
        const struct change *change = NULL;

        for (size_t i = 0; i < n; i++)
            if (changes[i].field == tlv.field)
                change = &changes[i];
        if (change != NULL)
            rg_tlv_put_u64(&changed, tlv.field, change->value);
        else if (tlv.field == REGION && region != NULL)
            rg_tlv_put(&changed, REGION, rg_span(region, region_n));
        else
            rg_tlv_put(&changed, tlv.field, tlv.value);
    }
    ck_assert_int_eq(rg_envelope_seal(keys, &purpose, rg_buf_span(&changed), &sealed), RG_OK);
    memset(bytes + 16, 0, sizeof bytes - 16);
    rg_le_put(bytes + 8, sealed.len, 4);
    memcpy(bytes + 16, sealed.data, sealed.len);
    rg_le_put(bytes + 12, rg_crc32c(rg_crc32c(0, bytes, 12), sealed.data, sealed.len), 4);
    simdisk_poke(lanes.disk, "d/meta", (uint64_t)slot * SLOT, bytes, SLOT);
}

static const struct {
    const char *what;
    struct change changes[2];
    size_t n;
    const char *region;
    size_t region_n;
    bool good;
} contents[] = {
    {"another term", {{TERM, UINT64_C(9) << 32}}, 1, .good = true},
    {"a hand-over in this term", {{CEDED_INDEX, 5}, {CEDED_TERM, UINT64_C(1) << 32}}, 2, .good = true},
    {"nobody's", {{NODE, 0}}, 1},
    {"a vote without a term", {{TERM, 0}}, 1},
    {"an epoch that no term can have", {{PROMISED, UINT64_C(1) << 32}}, 1},
    {"a hand-over at no index", {{CEDED_TERM, 1}}, 1},
    {"a hand-over in no term", {{CEDED_INDEX, 1}}, 1},
    {"a hand-over in a later term", {{CEDED_INDEX, 5}, {CEDED_TERM, (UINT64_C(1) << 32) + 1}}, 2},
    {"a later term than that it went on from", {{TERM_BEFORE, (UINT64_C(1) << 32) + 1}}, 1},
    {"no place in the order of slots", {{SEQUENCE, 0}}, 1},
    {"the last place there is", {{SEQUENCE, UINT64_MAX}}, 1},
    {"a zero in a text", .region = "eu\0x", .region_n = 4},
    {"a text over its size", .region = "a-region-with-a-name-of-33-letters", .region_n = 33},
};

/* Authentic, and yet nothing that this program writes: it is not gone on with, and the slot beside it counts. */
LOOP(contents_that_contradict_themselves_are_refused, RG_LEN(contents))
{
    struct rg_meta got;

    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    poke_slot(1, contents[_i].changes, contents[_i].n, contents[_i].region, contents[_i].region_n);
    ck_assert_msg(open_meta(&got) == RG_OK, "%s beside a good one: %s", contents[_i].what, ctx.text);
    ck_assert(same(&got, &first)); /* of two of one sequence the first counts */
    poke_slot(0, contents[_i].changes, contents[_i].n, contents[_i].region, contents[_i].region_n);
    if (contents[_i].good) {
        ck_assert_msg(open_meta(&got) == RG_OK, "%s: %s", contents[_i].what, ctx.text);
        ck_assert(!same(&got, &first));
        return;
    }
    ck_assert_msg(open_meta(&got) == RG_ECORRUPT, "%s", contents[_i].what);
    ck_assert_msg(strstr(ctx.text, "authentic, but of a form this release cannot read") != NULL, "%s: %s", contents[_i].what, ctx.text);
}

/* ---- what was said once ---- */

static void take_back_promise(struct rg_meta *m) { m->promised--; }
static void take_back_vote(struct rg_meta *m) { m->vote = 3; }
static void take_back_term(struct rg_meta *m) { m->term--; }
static void take_back_fence(struct rg_meta *m) { m->fenced = false; }
static void take_back_start(struct rg_meta *m) { m->starts--; }
static void take_back_lease(struct rg_meta *m) { m->lease_ms--; }
static void take_back_directory(struct rg_meta *m) { m->incarnation.b[0]++; }
static void take_back_nothing(struct rg_meta *m) { m->vouched = false; }

static const struct {
    const char *what;
    void (*change)(struct rg_meta *m);
    bool may;
} takes_back[] = {
    {"a promise", take_back_promise, false},
    {"a vote, within its term", take_back_vote, false},
    {"a term", take_back_term, false},
    {"a fence", take_back_fence, false},
    {"a start", take_back_start, false},
    {"a lease", take_back_lease, false},
    {"whose the directory is", take_back_directory, false},
    {"nothing of these", take_back_nothing, true},
};

LOOP(what_was_said_once_is_not_taken_back, RG_LEN(takes_back))
{
    struct rg_metafile *file;
    struct rg_meta meta;
    int status;
    pid_t pid;

    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "d/meta", keys, &file, &meta, &ctx), RG_OK);
    meta.promised = 1;
    meta.fenced = meta.vouched = true;
    meta.starts = 7;
    meta.lease_ms = 5000;
    ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_OK);
    takes_back[_i].change(&meta);
    pid = fork();
    if (pid == 0) {
        (void)!rg_metafile_save(file, &meta, &ctx);
        _exit(0);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg((WIFEXITED(status) && WEXITSTATUS(status) == 0) == takes_back[_i].may, "%s", takes_back[_i].what);
    ck_assert(takes_back[_i].may || (WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT));
    rg_metafile_free(file);
}

/* An epoch whose first entry was never written has not begun. */
TEST(a_term_goes_back_to_before_an_epoch_that_did_not_begin)
{
    struct rg_metafile *file;
    struct rg_meta meta;

    ck_assert_int_eq(rg_metafile_create(&lanes.io, "d/meta", keys, &first, &ctx), RG_OK);
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "d/meta", keys, &file, &meta, &ctx), RG_OK);
    meta.term_before = meta.term;
    meta.term = UINT64_C(1026) << 32;
    meta.vote = 0;
    ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_OK);
    meta.term = meta.term_before + 1;
    ck_assert_int_eq(rg_metafile_save(file, &meta, &ctx), RG_OK);
    ck_assert_int_eq(open_meta(&meta), RG_OK);
    ck_assert_uint_eq(meta.term, first.term + 1);
    rg_metafile_free(file);
}
