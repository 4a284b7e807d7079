/* Write intents: durable before they are answered, presented when there is a primary. */
#include "tests/lib/check_main.h"
#include "tests/lib/intents_rig.h"

CASE(.setup = rig_setup, .teardown = rig_teardown, .seconds = 120);

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
