/* Write intents: durable before they are answered, presented when there is a primary, whatever the disk does. */
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

#include "raft/intent/intents.h"
#include "store/model/identity.h"
#include "tests/sim/simlanes.h"

enum { HELD_MAX = 64, ASKS_MAX = 256 };

static const uint8_t material[32] = {9};

struct asked {
    struct rg_intent_ask ask;
    unsigned answers;
};

static struct rig {
    struct fix fix; /* the state here, and the primary's */
    struct simlanes lanes;
    struct rg_keyprov *keys;
    struct rg_log log;
    struct rg_intents *q;
    bool primary;
    uint64_t now_ms;
    int64_t wall_ms;
    struct rg_proposal *held[HELD_MAX]; /* on their way */
    size_t n_held;
    uint64_t forwarded;
    enum rg_err refuse; /* forward answers this at once */
    bool sync_failed;   /* since the last crash: what is visible may not be what is on disk */
} rig;

static uint64_t rig_now(struct rg_io *io) { return rig.now_ms; }
static uint64_t drawn(struct rg_io *io)
{
    static struct rg_prng prng;

    (void)io;
    if (prng.seed == 0)
        rg_prng_init(&prng, 1);
    return rg_prng_u64(&prng);
}

static int64_t rig_wall(struct rg_io *io) { return rig.wall_ms; }
static enum rg_err rig_primary(void *arg) { return rig.primary ? RG_OK : RG_ENOPRIMARY; }

static enum rg_err rig_try(void *arg, struct rg_span cmd, struct rg_reply *ret_reply)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_txn_begin(rig.fix.store, RG_TXN_WRITE, &txn);

    return err ? err : rg_fsm_apply(txn, rig.fix.index + 1, 1, cmd, ret_reply);
}

static void rig_forward(void *arg, struct rg_proposal *p)
{
    rig.forwarded++;
    if (rig.refuse) {
        p->err = rig.refuse;
        p->on_done(p);
        return;
    }
    ck_assert_uint_lt(rig.n_held, HELD_MAX);
    rig.held[rig.n_held++] = p;
}

static struct rg_proposal *unhold(size_t i)
{
    struct rg_proposal *p = rig.held[i];

    memmove(rig.held + i, rig.held + i + 1, (--rig.n_held - i) * sizeof rig.held[0]);
    return p;
}

/* The primary applies the i-th proposal on its way, and says err. */
static void serve_as(size_t i, enum rg_err err)
{
    struct rg_proposal *p = unhold(i);

    (void)fix_apply_bytes(&rig.fix, p->cmd);
    p->reply = rig.fix.reply;
    p->rev = (struct rg_rev){0, rig.fix.index};
    p->err = err;
    p->on_done(p);
}

static void serve(size_t i, bool lost) { serve_as(i, lost ? RG_ESTOPPED : RG_OK); }

static enum rg_err rig_open(struct rg_errctx *ctx)
{
    const struct rg_intents_config config = {.io = &rig.lanes.io,
                                             .store = rig.fix.store,
                                             .log = &rig.log,
                                             .data_dir = "d",
                                             .seal = {rig.keys, "eu-central-1", "arn:aws:sso:::instance/ssoins-0123456789abcdef",
                                                      "d-0123456789"},
                                             .primary = rig_primary,
                                             .try = rig_try,
                                             .forward = rig_forward};

    return rg_intents_new(&config, &rig.q, ctx);
}

static void no_log(void *arg, enum rg_log_level level, const char *event, const char *keys) {}

static void setup(void)
{
    struct rg_errctx ctx = {.text = ""};

    memset(&rig, 0, sizeof rig);
    fix_open(&rig.fix);
    fix_world(&rig.fix);
    rig.log = (struct rg_log){.min = RG_LOG_ERROR, .sink = no_log};
    simlanes_init(&rig.lanes, simdisk_new(1));
    rig.lanes.io.now_ms = rig_now;
    rig.lanes.io.wall_ms = rig_wall;
    rig.lanes.io.random = drawn;
    rig.now_ms = 1;
    rig.wall_ms = 1700000000000;
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &rig.keys), RG_OK);
    ck_assert_int_eq(rig.lanes.io.mkdir(&rig.lanes.io, "d", NULL), RG_OK);
    ck_assert_int_eq(rig.lanes.io.sync_dir(&rig.lanes.io, ".", NULL), RG_OK);
    ck_assert_msg(rig_open(&ctx) == RG_OK, "%s", ctx.text);
}

/* What is with the lane or on its way is answered late, when nobody cares any more; then the memory goes. */
static void rig_close(void)
{
    rg_intents_stop(rig.q);
    simlanes_abandon(&rig.lanes);
    rig.n_held = 0;
    rg_intents_free(RG_STEAL(rig.q));
}

static void reopen(void)
{
    struct rg_errctx ctx = {.text = ""};

    rig_close();
    simdisk_kill(rig.lanes.disk);
    ck_assert_msg(rig_open(&ctx) == RG_OK, "%s", ctx.text);
}

static void teardown(void)
{
    rig_close();
    rg_keyprov_free(rig.keys);
    simdisk_free(rig.lanes.disk);
    fix_close(&rig.fix);
}

static void on_answer(struct rg_intent_ask *ask) { RG_CONTAINER(ask, struct asked, ask)->answers++; }

/* Steps and lane until nothing moves. */
static void settle(void)
{
    for (unsigned i = 0; i < 20; i++) {
        rg_intents_step(rig.q);
        simlanes_drain(&rig.lanes);
    }
}

static void take_bytes(struct asked *a, struct rg_span cmd)
{
    *a = (struct asked){.ask.on_done = on_answer};
    rg_intents_take(rig.q, cmd, &a->ask);
}

static void take(struct asked *a, enum rg_cmd_kind kind, const char *fields)
{
    fix_cmd(&rig.fix, kind, fields);
    take_bytes(a, rg_buf_span(&rig.fix.cmd));
}

/* Take and see it durable. */
static struct rg_uuid taken(enum rg_cmd_kind kind, const char *fields)
{
    struct asked a;

    take(&a, kind, fields);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(a.answers, 1);
    ck_assert_msg(a.ask.err == RG_OK && a.ask.reply.err == RG_OK, "%s: %s %s", fields, rg_err_symbol(a.ask.err), a.ask.ctx.text);
    return a.ask.id;
}

static void decided(const struct rg_uuid *id, bool drop, enum rg_err want)
{
    struct asked a = {.ask = {.on_done = on_answer, .id = *id}};

    if (drop)
        rg_intents_drop(rig.q, rg_span_str("boss"), &a.ask);
    else
        rg_intents_approve(rig.q, rg_span_str("boss"), &a.ask);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(a.answers, 1);
    ck_assert_msg(a.ask.err == want, "%s: %s", rg_err_symbol(a.ask.err), a.ask.ctx.text);
}

/* Borrows until the next call. */
static bool look(const struct rg_uuid *id, struct rg_intent *ret)
{
    static uint8_t kept[RG_INTENT_RECORD_BYTES_MAX];
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, sizeof kept);
    if (rg_intents_get(rig.q, id, &out) != RG_OK)
        return false;
    memcpy(kept, out.data, out.len);
    ck_assert_int_eq(rg_intent_decode(rg_span(kept, out.len), ret, NULL), RG_OK);
    return true;
}

static void expect(const struct rg_uuid *id, enum rg_intent_status status, const char *text)
{
    struct rg_intent r = {.seq = 0};

    ck_assert(look(id, &r));
    ck_assert_msg(r.status == status, "%s (%s %s), not %s", rg_intent_status_name(r.status), r.code, r.text,
                  rg_intent_status_name(status));
    ck_assert_msg(strstr(r.text, text) != NULL, "\"%s\" has no \"%s\"", r.text, text);
}

static uint64_t count_of(enum rg_intent_status status)
{
    uint64_t counts[RG_INTENT_STATUS_COUNT];

    rg_intents_counts(rig.q, counts);
    return counts[status];
}

static bool is_disabled(const char *user)
{
    RG_AUTO(txn) struct rg_txn *txn = fix_read(&rig.fix);
    struct rg_uuid id = fix_id(user);
    struct rg_user u;

    return rg_user_get(txn, &id, &u) == RG_OK && rg_span_is(u.status, "DISABLED");
}

#define DISABLE_ALICE "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=DISABLED"

/* ---- what is automatic ---- */

static const struct {
    enum rg_cmd_kind kind;
    const char *fields;
    bool automatic;
} kinds[] = {
    {RG_CMD_USER_REPLACE, DISABLE_ALICE, true},
    {RG_CMD_USER_REPLACE, "status=DISABLED ext=okta|a1 email=Alice@Example.com display=Alice name=Alice id=u1", true},
    {RG_CMD_USER_REPLACE, "id=u2 name=bob email=bob@example.com ext=entra|b2 ext=okta|b1 status=DISABLED", true},
    {RG_CMD_USER_REPLACE, "id=u2 name=bob email=bob@example.com ext=okta|b1 status=DISABLED", false},
    {RG_CMD_USER_REPLACE, "id=u2 name=bob email=bob@example.com ext=okta|b1 ext=entra|b3 status=DISABLED", false},
    {RG_CMD_USER_REPLACE, "id=u1 name=Alice display=A email=Alice@Example.com ext=okta|a1 status=DISABLED", false},
    {RG_CMD_USER_REPLACE, "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=ENABLED", false},
    {RG_CMD_USER_REPLACE, "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=DISABLED attrs={}", false},
    {RG_CMD_USER_REPLACE, "id=u3 name=carol status=DISABLED", true},
    {RG_CMD_USER_REPLACE, "id=u3 name=carol status=ENABLED", false},
    {RG_CMD_USER_CREATE, "id=u9 name=new status=DISABLED", false},
    {RG_CMD_USER_DELETE, "id=u1", false},
    {RG_CMD_GROUP_DELETE, "id=g1", false},
    {RG_CMD_MEMBERSHIP_DELETE, "membership=m1", true},
    {RG_CMD_MEMBERSHIP_DELETE, "group=g1 user=u1", true},
    {RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u2", false},
    {RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r9", true},
    {RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p2 ptype=U principal=u1 request=r9", false},
    {RG_CMD_CREDENTIAL_DELETE, "akid=AKIAROOT", true},
    {RG_CMD_PERMSET_REPLACE, "psid=p1 name=Admin", false},
    {RG_CMD_ACCOUNT_PUT, "account=333333333333 name=x", false},
};

CASE(.setup = setup, .teardown = teardown, .seconds = 120);

LOOP(automatic_is_what_only_takes_access_away, RG_LEN(kinds))
{
    struct asked a;

    take(&a, kinds[_i].kind, kinds[_i].fields);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(a.answers, 1);
    ck_assert_msg(a.ask.err == RG_OK && a.ask.reply.err == RG_OK, "%s: %s, why %d", kinds[_i].fields,
                  rg_err_symbol(a.ask.reply.err), a.ask.reply.why);
    ck_assert_msg(a.ask.automatic == kinds[_i].automatic, "%s", kinds[_i].fields);
}

TEST(attributes_in_another_order_are_the_same)
{
    struct asked a;

    fix_must(&rig.fix, RG_CMD_USER_CREATE, "id=u5 name=eve attrs={\"a\":1,\"b\":{\"c\":2,\"d\":3}}");
    take(&a, RG_CMD_USER_REPLACE, "id=u5 name=eve status=DISABLED attrs={\"b\":{\"d\":3,\"c\":2},\"a\":1}");
    simlanes_drain(&rig.lanes);
    ck_assert(a.ask.automatic);
}

/* Old rows and old intents have attributes under AWS's names, new commands under SCIM's. */
TEST(attributes_under_other_names_are_the_same)
{
    struct asked a;
    struct rg_uuid old, new;

    fix_must(&rig.fix, RG_CMD_USER_CREATE, "id=u5 name=eve attrs={\"Title\":\"t\",\"Name\":{\"GivenName\":\"E\"}}");
    take(&a, RG_CMD_USER_REPLACE, "id=u5 name=eve status=DISABLED attrs={\"name\":{\"givenName\":\"E\"},\"title\":\"t\"}");
    simlanes_drain(&rig.lanes);
    ck_assert(a.ask.automatic);
    take(&a, RG_CMD_USER_REPLACE, "id=u5 name=eve status=DISABLED attrs={\"name\":{\"givenName\":\"E\"},\"title\":\"u\"}");
    simlanes_drain(&rig.lanes);
    ck_assert(!a.ask.automatic);
    old = taken(RG_CMD_USER_CREATE, "id=u8 name=new attrs={\"Title\":\"t\"}");
    new = taken(RG_CMD_USER_CREATE, "id=u9 name=new attrs={\"title\":\"t\"}");
    ck_assert_mem_eq(&old, &new, sizeof old); /* asked again */
    new = taken(RG_CMD_USER_CREATE, "id=u9 name=new attrs={\"title\":\"u\"}");
    ck_assert_mem_ne(&old, &new, sizeof old);
}

/* ---- taking ---- */

TEST(an_answer_means_it_is_on_disk)
{
    struct asked a, b;
    struct rg_intent r;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    bool more;

    rg_buf_init(&out, 1 << 20);
    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    rig.fix.at_ms += 5;
    take(&b, RG_CMD_MEMBERSHIP_DELETE, "membership=m1"); /* waits for the same write */
    ck_assert(simlanes_run(&rig.lanes, RG_LANE_INTENTS));
    ck_assert_uint_eq(a.answers + b.answers, 0);
    ck_assert_int_eq(rg_intents_list(rig.q, 0, 0, 10, 1000, &out, &more), RG_OK);
    ck_assert_uint_eq(out.len, 0);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(a.answers, 1);
    ck_assert_uint_eq(b.answers, 1);
    ck_assert_mem_eq(&a.ask.id, &b.ask.id, 16);
    simdisk_crash(rig.lanes.disk, NULL);
    reopen();
    expect(&a.ask.id, RG_INTENT_QUEUED, "");
    ck_assert(look(&a.ask.id, &r));
    ck_assert_uint_eq(rg_tlv_u64(r.cmd, RG_F_AT_MS, 0), (uint64_t)rig.fix.at_ms - 5);
    ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 1);
    fix_check_hash(&rig.fix); /* nothing of it is in the state */
}

TEST(the_same_again_is_the_same_intent)
{
    struct rg_uuid a = taken(RG_CMD_USER_CREATE, "id=u8 name=new"), b = taken(RG_CMD_MEMBERSHIP_CREATE, "membership=m8 group=g1 user=u2"),
                   c = taken(RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r8"), d;

    rig.fix.at_ms += 1000;
    d = taken(RG_CMD_USER_CREATE, "id=u9 name=new");
    ck_assert_mem_eq(&a, &d, 16);
    d = taken(RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u2");
    ck_assert_mem_eq(&b, &d, 16);
    d = taken(RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r9");
    ck_assert_mem_eq(&c, &d, 16);
    d = taken(RG_CMD_USER_CREATE, "id=u9 name=newer");
    ck_assert(memcmp(&a, &d, 16) != 0);
    reopen();
    d = taken(RG_CMD_USER_CREATE, "id=u7 name=new");
    ck_assert_mem_eq(&a, &d, 16);
    decided(&a, true, RG_OK);
    d = taken(RG_CMD_USER_CREATE, "id=u7 name=new"); /* what is over is not it */
    ck_assert(memcmp(&a, &d, 16) != 0);
}

TEST(what_is_refused_leaves_nothing)
{
    struct asked a;

    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m9");
    ck_assert(a.answers == 1 && a.ask.err == RG_OK && a.ask.reply.err == RG_ENOTFOUND && a.ask.reply.why == RG_WHY_MEMBERSHIP);
    take(&a, RG_CMD_USER_CREATE, "id=u9 name=ALICE");
    ck_assert(a.answers == 1 && a.ask.reply.err == RG_ECONFLICT);
    take(&a, RG_CMD_REGION_PUT, "name=x status=ACTIVE");
    ck_assert(a.answers == 1 && a.ask.err == RG_EINVALID);
    take_bytes(&a, rg_span("\xff", 1));
    ck_assert(a.answers == 1 && a.ask.err == RG_EMALFORMED);
    rig.primary = true;
    take(&a, RG_CMD_MEMBERSHIP_DELETE, "membership=m1");
    ck_assert(a.answers == 1 && a.ask.err == RG_ENOTPRIMARY);
    ck_assert_uint_eq(rig.lanes.jobs, 0);
    ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 0);
}

TEST(the_queue_is_bounded)
{
    static char attrs[240 * 1024];
    struct rg_uuid id = fix_id("x");
    struct asked a = {.answers = 0};
    unsigned n;

    memset(attrs, 'a', sizeof attrs);
    for (n = 0; n < 400; n++) {
        char name[32];

        snprintf(name, sizeof name, "user%u", n);
        memcpy(id.b, &n, sizeof n);
        rg_cmd_begin(&rig.fix.cmd, RG_CMD_USER_CREATE, 1, rg_span_str("t"));
        rg_tlv_put(&rig.fix.cmd, RG_F_ID, rg_span(id.b, 16));
        rg_tlv_put_str(&rig.fix.cmd, RG_F_NAME, name);
        rg_tlv_put(&rig.fix.cmd, RG_F_ATTRS, rg_span(attrs, sizeof attrs));
        take_bytes(&a, rg_buf_span(&rig.fix.cmd));
        simlanes_drain(&rig.lanes);
        ck_assert_uint_eq(a.answers, 1);
        if (a.ask.err)
            break;
    }
    ck_assert_int_eq(a.ask.err, RG_EBUSY);
    ck_assert_ptr_nonnull(strstr(a.ask.ctx.text, "64 MiB"));
    ck_assert_uint_eq(n, RG_INTENTS_BYTES_MAX / (sizeof attrs + 1024 + 64));
}

/* ---- presenting ---- */

TEST(automatic_ones_go_by_themselves_and_manual_ones_wait)
{
    struct rg_uuid make = taken(RG_CMD_USER_CREATE, "id=u8 name=new"), disable = taken(RG_CMD_USER_REPLACE, DISABLE_ALICE " if=2"),
                   leave = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m3"), drop = taken(RG_CMD_GROUP_DELETE, "id=g2");
    struct rg_intent r;

    settle();
    ck_assert_uint_eq(rig.forwarded, 0); /* nobody to present to */
    rig.primary = true;
    settle();
    ck_assert_uint_eq(rig.n_held, 2);
    expect(&disable, RG_INTENT_PRESENTING, "");
    decided(&disable, true, RG_ECONFLICT);
    decided(&disable, false, RG_ECONFLICT);
    serve(0, false);
    serve(0, false);
    ck_assert(is_disabled("u1"));
    expect(&disable, RG_INTENT_PRESENTING, ""); /* until its outcome is on disk */
    settle();
    expect(&disable, RG_INTENT_APPLIED, "");
    expect(&leave, RG_INTENT_APPLIED, "");
    expect(&make, RG_INTENT_QUEUED, "");
    decided(&drop, true, RG_OK);
    decided(&make, false, RG_OK);
    settle();
    ck_assert_uint_eq(rig.n_held, 1);
    ck_assert_uint_eq(rg_tlv_u64(rig.held[0]->cmd, RG_F_AT_MS, 0), (uint64_t)rig.fix.at_ms - 2000); /* when it was asked */
    serve(0, false);
    settle();
    ck_assert(look(&make, &r));
    ck_assert_str_eq(r.decided_by, "boss");
    ck_assert_uint_eq(r.rev.index, rig.fix.index);
    reopen();
    expect(&disable, RG_INTENT_APPLIED, "");
    expect(&make, RG_INTENT_APPLIED, "");
    expect(&drop, RG_INTENT_DROPPED, "");
    decided(&drop, false, RG_ECONFLICT);
    ck_assert_uint_eq(count_of(RG_INTENT_APPLIED), 3);
    ck_assert_uint_eq(count_of(RG_INTENT_QUEUED), 0);
}

/* A disabling changes nothing else, also when the user has changed since. */
TEST(a_disabling_is_made_anew)
{
    struct rg_uuid id = taken(RG_CMD_USER_REPLACE, DISABLE_ALICE " if=2");
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_uuid alice = fix_id("u1");
    struct rg_user u;

    fix_must(&rig.fix, RG_CMD_USER_REPLACE, "id=u1 name=Alicia display=Other email=other@example.com status=ENABLED future=7");
    rig.primary = true;
    settle();
    serve(0, false);
    settle();
    expect(&id, RG_INTENT_APPLIED, "");
    txn = fix_read(&rig.fix);
    ck_assert_int_eq(rg_user_get(txn, &alice, &u), RG_OK);
    ck_assert(rg_span_is(u.name, "Alicia") && rg_span_is(u.display_name, "Other") && rg_span_is(u.status, "DISABLED"));
    ck_assert(rg_tlv_get(u.row, 999, &u.name));
}

TEST(a_region_that_lags_behind_tries_again)
{
    struct rg_uuid id = taken(RG_CMD_USER_REPLACE, DISABLE_ALICE " if=2");
    struct rg_proposal *p;

    rig.primary = true;
    settle();
    p = unhold(0);
    p->err = RG_OK;
    p->reply = (struct rg_reply){.err = RG_ESTALE, .why = RG_WHY_VERSION};
    p->on_done(p);
    settle();
    expect(&id, RG_INTENT_QUEUED, "");
    ck_assert_uint_eq(rig.n_held, 0);
    rig.now_ms += 1000;
    settle();
    ck_assert_uint_eq(rig.n_held, 1);
    serve(0, false);
    settle();
    expect(&id, RG_INTENT_APPLIED, "");
}

TEST(nothing_left_to_take_away_is_applied)
{
    struct rg_uuid disable = taken(RG_CMD_USER_REPLACE, DISABLE_ALICE " if=2"), leave = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m3");

    fix_must(&rig.fix, RG_CMD_USER_DELETE, "id=u1");
    fix_must(&rig.fix, RG_CMD_MEMBERSHIP_DELETE, "membership=m3");
    rig.primary = true;
    settle();
    ck_assert_uint_eq(rig.n_held, 1);
    serve(0, false);
    settle();
    expect(&disable, RG_INTENT_APPLIED, "disabled or gone already");
    expect(&leave, RG_INTENT_APPLIED, "was gone already");
}

/* The lease ran out after it was applied: it may not survive. */
static const enum rg_err open_outcomes[] = {RG_ESTOPPED, RG_ELEASE};

LOOP(a_lost_answer_is_asked_for_again, RG_LEN(open_outcomes))
{
    struct rg_uuid leave = taken(RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r9"),
                   make = taken(RG_CMD_USER_CREATE, "id=u8 name=new");
    struct rg_intent r;

    decided(&make, false, RG_OK);
    rig.primary = true;
    settle();
    ck_assert_uint_eq(rig.n_held, 2);
    serve_as(0, open_outcomes[_i]);
    serve_as(0, open_outcomes[_i]);
    settle();
    ck_assert(look(&make, &r));
    ck_assert(r.status == RG_INTENT_QUEUED && r.uncertain);
    rig.now_ms += 1000;
    settle();
    ck_assert_uint_eq(rig.n_held, 2);
    serve(0, false); /* with a fresh request id */
    serve(0, false);
    settle();
    expect(&leave, RG_INTENT_APPLIED, "gone already");
    expect(&make, RG_INTENT_REFUSED, "it may have been applied then");
    ck_assert(look(&make, &r));
    ck_assert_str_eq(r.code, "ConflictException");
}

/* The same after a crash at the worst moment: applied, and nothing written about it. */
TEST(a_crash_between_applied_and_written_is_the_same)
{
    struct rg_uuid leave = taken(RG_CMD_ASSIGNMENT_DELETE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r9"),
                   make = taken(RG_CMD_USER_CREATE, "id=u8 name=new");

    decided(&make, false, RG_OK);
    rig.primary = true;
    settle();
    ck_assert_uint_eq(rig.n_held, 2);
    serve(0, false);
    serve(0, false);
    reopen();
    settle();
    ck_assert_uint_eq(rig.n_held, 2);
    serve(0, false);
    serve(0, false);
    settle();
    expect(&leave, RG_INTENT_APPLIED, "gone already");
    expect(&make, RG_INTENT_REFUSED, "it may have been applied then");
}

TEST(a_changed_object_refuses_a_manual_one)
{
    struct rg_uuid id = taken(RG_CMD_USER_REPLACE, "id=u1 name=Alicia status=ENABLED if=2");

    fix_must(&rig.fix, RG_CMD_USER_REPLACE, "id=u1 name=Al status=ENABLED");
    decided(&id, false, RG_OK);
    rig.primary = true;
    settle();
    serve(0, false);
    settle();
    expect(&id, RG_INTENT_REFUSED, "changed by somebody else");
}

static const enum rg_err nothing_done[] = {RG_EPAUSED, RG_ENOPRIMARY, RG_ESHORTAGE, RG_ELEASE};

LOOP(what_certainly_did_not_happen_waits_on, RG_LEN(nothing_done))
{
    struct rg_uuid leave = taken(RG_CMD_MEMBERSHIP_DELETE, "membership=m3"), make = taken(RG_CMD_USER_CREATE, "id=u8 name=new");
    struct rg_intent r;

    decided(&make, false, RG_OK);
    rig.primary = true;
    rig.refuse = nothing_done[_i];
    for (unsigned i = 0; i < 50; i++) {
        settle();
        rig.now_ms += 100;
    }
    ck_assert_uint_lt(rig.forwarded, 12); /* later and later */
    ck_assert_uint_gt(rig.forwarded, 4);
    ck_assert(look(&make, &r) && r.status == RG_INTENT_QUEUED && !r.uncertain);
    rig.refuse = RG_OK;
    rig.now_ms += 10000;
    settle();
    ck_assert_uint_eq(rig.n_held, 2);
    serve(0, false);
    serve(0, false);
    settle();
    expect(&leave, RG_INTENT_APPLIED, "");
    expect(&make, RG_INTENT_APPLIED, "");
}

TEST(many_go_side_by_side_and_in_order)
{
    char fields[64];
    uint64_t most = 0;

    for (unsigned i = 10; i < 60; i++) {
        snprintf(fields, sizeof fields, "id=x%u name=user%u", i, i);
        fix_must(&rig.fix, RG_CMD_USER_CREATE, fields);
        snprintf(fields, sizeof fields, "membership=y%u group=g1 user=x%u", i, i);
        fix_must(&rig.fix, RG_CMD_MEMBERSHIP_CREATE, fields);
    }
    for (unsigned i = 10; i < 60; i++) {
        snprintf(fields, sizeof fields, "membership=y%u", i);
        (void)taken(RG_CMD_MEMBERSHIP_DELETE, fields);
    }
    rig.primary = true;
    settle();
    for (unsigned i = 10; i < 60; i++) {
        struct rg_uuid want;
        struct rg_span got;

        snprintf(fields, sizeof fields, "y%u", i);
        want = fix_id(fields);
        ck_assert(rg_tlv_get(rig.held[0]->cmd, RG_F_MEMBERSHIP_ID, &got));
        ck_assert_mem_eq(got.p, want.b, 16);
        most = RG_MAX(most, rig.n_held);
        serve(0, false);
        settle();
    }
    ck_assert_uint_eq(most, 16);
    ck_assert_uint_eq(count_of(RG_INTENT_APPLIED), 50);
}

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

        teardown();
        setup();
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
