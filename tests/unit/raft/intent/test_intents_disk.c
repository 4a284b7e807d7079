/* Write intents: whatever the disk does, and any crash at any moment. */
#include "tests/lib/check_main.h"
#include "tests/lib/intents_rig.h"

CASE(.setup = rig_setup, .teardown = rig_teardown, .seconds = 120);

/* ---- the disk ---- */

TEST(a_disk_that_fails_takes_nothing)
{
    struct asked a;

    for (unsigned nth = 1; nth <= 2; nth++) {
        simdisk_fail_sync(rig.lanes.disk, nth); /* of the file; of the folder */
        take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
        simlanes_drain(&rig.lanes);
        ck_assert(a.answers == 1 && a.ask.err == RG_EIO);
        ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 0);
        reopen();
        ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 0);
    }
    simdisk_full(rig.lanes.disk, 100);
    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    simlanes_drain(&rig.lanes);
    ck_assert(a.answers == 1 && a.ask.err == RG_ENOSPACE);
    simdisk_full(rig.lanes.disk, UINT64_MAX);
    (void)taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
}

TEST(a_decision_that_is_not_written_is_none)
{
    struct rg_uuid id = taken(RG_CMD_USER_CREATE, "id=u8 name=new");

    simdisk_fail_sync(rig.lanes.disk, 1);
    decided(&id, false, RG_EIO);
    rig.primary = true;
    settle();
    ck_assert_uint_eq(rig.forwarded, 0);
    simdisk_fail_sync(rig.lanes.disk, 1);
    decided(&id, true, RG_EIO);
    expect(&id, RG_INTENT_QUEUED, "");
    decided(&id, false, RG_OK);
    settle();
    ck_assert_uint_eq(rig.n_held, 1);
}

TEST(an_outcome_is_written_in_the_end)
{
    struct rg_uuid leave = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m3"), make = taken(RG_CMD_USER_CREATE, "id=u8 name=new");

    decided(&make, false, RG_OK);
    simdisk_full(rig.lanes.disk, 0); /* the mark that it is presented cannot be written: so it is not */
    rig.primary = true;
    settle();
    ck_assert_uint_eq(rig.n_held, 1);
    serve(0, false);
    settle();
    expect(&leave, RG_INTENT_PRESENTING, "");
    expect(&make, RG_INTENT_QUEUED, "");
    for (unsigned i = 0; i < 5; i++) {
        rig.now_ms += 10000;
        settle();
    }
    ck_assert_uint_eq(rig.n_held, 0);
    simdisk_full(rig.lanes.disk, UINT64_MAX);
    rig.now_ms += 10000;
    settle();
    expect(&leave, RG_INTENT_APPLIED, "");
    ck_assert_uint_eq(rig.n_held, 1);
    ck_assert_uint_eq(rig.forwarded, 2);
}

struct files {
    char path[8][160];
    size_t n;
};

static void files_add(void *arg, const char *path, uint64_t size)
{
    struct files *f = arg;

    ck_assert_uint_lt(f->n, 8);
    snprintf(f->path[f->n++], sizeof f->path[0], "%s", path);
}

static int by_path(const void *a, const void *b) { return strcmp(a, b); }

TEST(a_damaged_file_is_left_and_the_others_read)
{
    struct rg_uuid a = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m1"), b = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m2"),
                   c = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m3"), d;
    struct rg_io *io = &rig.lanes.io;
    struct files f = {.n = 0};
    struct rg_intent r;
    char moved[] = "d/intents/00000000000000000009-";
    char path[160];

    simdisk_each(rig.lanes.disk, files_add, &f);
    ck_assert_uint_eq(f.n, 3);
    qsort(f.path, f.n, sizeof f.path[0], by_path);
    ck_assert(simdisk_flip(rig.lanes.disk, f.path[0], simdisk_size(rig.lanes.disk, f.path[0]) - 30, 1));
    snprintf(path, sizeof path, "%s%s", moved, f.path[1] + strlen(moved)); /* another's name */
    ck_assert_int_eq(io->rename(io, f.path[1], path, NULL), RG_OK);
    simdisk_poke(rig.lanes.disk, "d/intents/00000000000000000004-x.tmp", 0, "torn", 4);
    simdisk_poke(rig.lanes.disk, "d/intents/README", 0, "hello", 5);
    reopen();
    ck_assert(!look(&a, &r) && !look(&b, &r));
    expect(&c, RG_INTENT_QUEUED, "");
    ck_assert_uint_eq(count_of(0), 2);
    ck_assert(simdisk_exists(rig.lanes.disk, f.path[0]) && simdisk_exists(rig.lanes.disk, path));
    ck_assert(!simdisk_exists(rig.lanes.disk, "d/intents/00000000000000000004-x.tmp"));
    d = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m4");
    ck_assert(look(&d, &r));
    ck_assert_uint_eq(r.seq, 10); /* behind every number that was ever used */
}

TEST(two_files_of_one_number_are_one_intent)
{
    struct rg_uuid a = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m1"), b;
    struct rg_io *io = &rig.lanes.io;
    struct files f = {.n = 0};
    struct rg_intent r;

    simdisk_each(rig.lanes.disk, files_add, &f);
    ck_assert_uint_eq(f.n, 1);
    ck_assert_int_eq(io->rename(io, f.path[0], "d/kept", NULL), RG_OK);
    reopen();
    b = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m2"); /* the number is free again */
    ck_assert(look(&b, &r));
    ck_assert_uint_eq(r.seq, 1);
    ck_assert_int_eq(io->rename(io, "d/kept", f.path[0], NULL), RG_OK); /* somebody puts the copy back */
    reopen();
    ck_assert(look(&a, &r) != look(&b, &r));
    ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 1);
    ck_assert_uint_eq(count_of(0), 1);
    ck_assert(simdisk_exists(rig.lanes.disk, f.path[0]));
}

TEST(a_file_of_the_last_number_leaves_no_place)
{
    struct asked a;

    simdisk_poke(rig.lanes.disk, "d/intents/18446744073709551614-90670000-0000-4000-8000-000000000001", 0, "x", 1);
    reopen(); /* no number of ours */
    (void)taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    simdisk_poke(rig.lanes.disk, "d/intents/09223372036854775807-90670000-0000-4000-8000-000000000001", 0, "x", 1);
    reopen();
    ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 1);
    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m2");
    ck_assert(a.answers == 1 && a.ask.err == RG_EBUSY);
}

TEST(what_is_over_is_forgotten_in_time)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_uuid first = {{0}}, id, last = {{0}};
    struct rg_intent r;
    char fields[64];
    bool more;

    for (unsigned i = 0; i < RG_INTENTS_KEPT_MAX + 5; i++) {
        snprintf(fields, sizeof fields, "id=z%u name=user%u", i, i);
        id = taken(RG_CMD_USER_CREATE, fields);
        decided(&id, true, RG_OK);
        if (i == 0)
            first = id;
        last = id;
        rig.wall_ms++;
    }
    settle();
    ck_assert_uint_eq(count_of(RG_INTENT_DROPPED), RG_INTENTS_KEPT_MAX);
    ck_assert(!look(&first, &r) && look(&last, &r));
    reopen();
    ck_assert_uint_eq(count_of(RG_INTENT_DROPPED), RG_INTENTS_KEPT_MAX);
    rg_buf_init(&out, 4 << 20);
    ck_assert_int_eq(rg_intents_list(rig.q, RG_INTENT_QUEUED, 0, 10, 1 << 20, &out, &more), RG_OK);
    ck_assert(out.len == 0 && !more);
    ck_assert_int_eq(rg_intents_list(rig.q, RG_INTENT_DROPPED, 0, 10, 1 << 20, &out, &more), RG_OK);
    ck_assert(out.len > 0 && more);
    rg_buf_clear(&out);
    ck_assert_int_eq(rg_intents_list(rig.q, 0, 1000, 10, 1 << 20, &out, &more), RG_OK);
    ck_assert(out.len > 0 && !more);
    rig.wall_ms += RG_INTENTS_KEPT_MS - 3;
    settle();
    ck_assert_uint_lt(count_of(RG_INTENT_DROPPED), 5);
    rig.wall_ms += 10;
    settle();
    ck_assert_uint_eq(count_of(RG_INTENT_DROPPED), 0);
    reopen();
    ck_assert_uint_eq(count_of(RG_INTENT_DROPPED), 0);
}

TEST(stopping_answers_what_waits)
{
    struct asked a;

    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    rg_intents_stop(rig.q);
    ck_assert(a.answers == 1 && a.ask.err == RG_ESTOPPED);
    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m2");
    ck_assert(a.answers == 1 && a.ask.err == RG_ESTOPPED);
    simlanes_drain(&rig.lanes);
}

/* ---- any crash at any moment ---- */

enum { USERS = 24 };

struct life { /* of one user's disabling and one manual creation */
    struct asked take, decide;
    bool acked, dropped, approved, over;
    enum rg_intent_status was;
    struct rg_uuid id;
};

static void life_look(struct life *l, uint64_t seed)
{
    struct rg_intent r;

    if (l->take.answers == 1 && l->take.ask.err == RG_OK && l->take.ask.reply.err == RG_OK && !l->acked) {
        l->acked = true;
        l->id = l->take.ask.id;
    }
    if (l->decide.answers == 1 && l->decide.ask.err == RG_OK) {
        l->dropped |= l->decide.ask.status == RG_INTENT_DROPPED;
        l->approved |= l->decide.ask.status != RG_INTENT_DROPPED;
    }
    if (!l->acked)
        return;
    ck_assert_msg(look(&l->id, &r), "RG_SEED=%llu: an answered intent is not there", (unsigned long long)seed);
    ck_assert_msg(!l->dropped || r.status == RG_INTENT_DROPPED, "RG_SEED=%llu: not dropped", (unsigned long long)seed);
    ck_assert_msg(!l->approved || r.decided_by[0] != '\0', "RG_SEED=%llu: not approved", (unsigned long long)seed);
    ck_assert_msg(!l->over || r.status == l->was, "RG_SEED=%llu: it was %s, is %s", (unsigned long long)seed,
                  rg_intent_status_name(l->was), rg_intent_status_name(r.status));
    if (rg_intent_is_over(r.status)) {
        l->over = true;
        l->was = r.status;
    }
}

static void lives_restart(struct life *lives, struct rg_prng *prng, uint64_t seed)
{
    struct rg_errctx ctx = {.text = ""};

    for (unsigned i = 0; i < 2 * USERS; i++)
        life_look(&lives[i], seed);
    simdisk_fail_sync(rig.lanes.disk, 0);
    simdisk_fail_write(rig.lanes.disk, 0);
    simdisk_full(rig.lanes.disk, UINT64_MAX);
    if (rig.sync_failed || rg_prng_chance(prng, 1, 2))
        simdisk_crash(rig.lanes.disk, prng);
    else
        simdisk_kill(rig.lanes.disk);
    rig.sync_failed = false;
    rig_close();
    ck_assert_msg(rig_open(&ctx) == RG_OK, "RG_SEED=%llu: %s", (unsigned long long)seed, ctx.text);
    ck_assert_uint_eq(count_of(0), 0);
    for (unsigned i = 0; i < 2 * USERS; i++) {
        lives[i].decide = (struct asked){.answers = 0};
        life_look(&lives[i], seed);
    }
}

static void life_take(struct life *l, unsigned i)
{
    char fields[96];

    if (l->acked || (l->take.ask.on_done != NULL && l->take.answers == 0))
        return;
    if (i < USERS)
        snprintf(fields, sizeof fields, "id=a%u name=auto%u status=DISABLED if=%llu", i, i, 0ull);
    else
        snprintf(fields, sizeof fields, "id=b%u name=manual%u", i, i);
    take(&l->take, i < USERS ? RG_CMD_USER_REPLACE : RG_CMD_USER_CREATE, fields);
}

static void life_decide(struct life *l, unsigned i, bool drop)
{
    if (!l->acked || l->over || i < USERS || (l->decide.ask.on_done != NULL && l->decide.answers == 0))
        return;
    l->decide = (struct asked){.ask = {.on_done = on_answer, .id = l->id}};
    if (drop)
        rg_intents_drop(rig.q, rg_span_str("boss"), &l->decide.ask);
    else
        rg_intents_approve(rig.q, rg_span_str("boss"), &l->decide.ask);
}

static void lives_move(struct life *lives, struct rg_prng *prng, uint64_t seed)
{
    unsigned i = (unsigned)rg_prng_below(prng, 2 * USERS);

    switch (rg_prng_below(prng, 12)) {
    case 0:
    case 1:
        life_take(&lives[i], i);
        break;
    case 2:
        life_decide(&lives[i], i, rg_prng_chance(prng, 1, 3));
        break;
    case 3:
        rig.primary = rg_prng_chance(prng, 1, 2);
        break;
    case 4:
        if (rig.n_held > 0)
            serve((size_t)rg_prng_below(prng, rig.n_held), rg_prng_chance(prng, 1, 5));
        break;
    case 5:
        if (rg_prng_chance(prng, 1, 4)) {
            simdisk_fail_sync(rig.lanes.disk, 1 + (unsigned)rg_prng_below(prng, 3));
            rig.sync_failed = true;
        }
        else if (rg_prng_chance(prng, 1, 4))
            simdisk_fail_write(rig.lanes.disk, 1);
        else
            simdisk_full(rig.lanes.disk, rg_prng_chance(prng, 1, 2) ? 300 : UINT64_MAX);
        break;
    case 6:
        rig.now_ms += rg_prng_below(prng, 2000);
        rig.wall_ms += 7;
        rg_intents_step(rig.q);
        break;
    case 7:
        if (rg_prng_chance(prng, 1, 6))
            lives_restart(lives, prng, seed);
        break;
    default:
        if (rg_prng_chance(prng, 1, 2))
            simlanes_run(&rig.lanes, RG_LANE_INTENTS);
        else
            simlanes_done(&rig.lanes, RG_LANE_INTENTS);
    }
    life_look(&lives[i], seed);
}

LOOP(no_crash_loses_what_was_answered, 5)
{
    static struct life lives[2 * USERS];
    char fields[64];

    for (uint64_t seed = (uint64_t)_i * 20; seed < (uint64_t)_i * 20 + 20; seed++) {
        struct rg_prng prng;

        rig_teardown();
        rig_setup();
        memset(lives, 0, sizeof lives);
        rg_prng_init(&prng, seed);
        for (unsigned i = 0; i < USERS; i++) {
            snprintf(fields, sizeof fields, "id=a%u name=auto%u status=ENABLED", i, i);
            fix_must(&rig.fix, RG_CMD_USER_CREATE, fields);
        }
        for (unsigned step = 0; step < 600; step++)
            lives_move(lives, &prng, seed);
        lives_restart(lives, &prng, seed);
        rig.primary = true;
        for (unsigned round = 0; round < 40; round++) {
            for (unsigned i = 0; i < 2 * USERS; i++)
                life_decide(&lives[i], i, false);
            rig.now_ms += 10000;
            settle();
            while (rig.n_held > 0)
                serve(0, false);
            settle();
        }
        for (unsigned i = 0; i < 2 * USERS; i++) {
            life_look(&lives[i], seed);
            if (!lives[i].acked)
                continue;
            ck_assert_msg(lives[i].over, "RG_SEED=%llu: %u is still not over", (unsigned long long)seed, i);
            snprintf(fields, sizeof fields, "a%u", i);
            ck_assert_msg(i >= USERS || is_disabled(fields), "RG_SEED=%llu: %u may still sign in", (unsigned long long)seed, i);
        }
        ck_assert_uint_eq(count_of(RG_INTENT_PRESENTING), 0);
    }
}
