#include "tests/lib/intents_rig.h"

static const uint8_t material[32] = {9};

struct rig rig;

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

struct rg_proposal *unhold(size_t i)
{
    struct rg_proposal *p = rig.held[i];

    memmove(rig.held + i, rig.held + i + 1, (--rig.n_held - i) * sizeof rig.held[0]);
    return p;
}

void serve_as(size_t i, enum rg_err err)
{
    struct rg_proposal *p = unhold(i);

    (void)fix_apply_bytes(&rig.fix, p->cmd);
    p->reply = rig.fix.reply;
    p->rev = (struct rg_rev){0, rig.fix.index};
    p->err = err;
    p->on_done(p);
}

void serve(size_t i, bool lost) { serve_as(i, lost ? RG_ESTOPPED : RG_OK); }

enum rg_err rig_open(struct rg_errctx *ctx)
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

void rig_setup(void)
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

void rig_close(void)
{
    rg_intents_stop(rig.q);
    simlanes_abandon(&rig.lanes);
    rig.n_held = 0;
    rg_intents_free(RG_STEAL(rig.q));
}

void reopen(void)
{
    struct rg_errctx ctx = {.text = ""};

    rig_close();
    simdisk_kill(rig.lanes.disk);
    ck_assert_msg(rig_open(&ctx) == RG_OK, "%s", ctx.text);
}

void rig_teardown(void)
{
    rig_close();
    rg_keyprov_free(rig.keys);
    simdisk_free(rig.lanes.disk);
    fix_close(&rig.fix);
}

void on_answer(struct rg_intent_ask *ask) { RG_CONTAINER(ask, struct asked, ask)->answers++; }

void settle(void)
{
    for (unsigned i = 0; i < 20; i++) {
        rg_intents_step(rig.q);
        simlanes_drain(&rig.lanes);
    }
}

void take_bytes(struct asked *a, struct rg_span cmd)
{
    *a = (struct asked){.ask.on_done = on_answer};
    rg_intents_take(rig.q, cmd, &a->ask);
}

void take(struct asked *a, enum rg_cmd_kind kind, const char *fields)
{
    fix_cmd(&rig.fix, kind, fields);
    take_bytes(a, rg_buf_span(&rig.fix.cmd));
}

struct rg_uuid taken(enum rg_cmd_kind kind, const char *fields)
{
    struct asked a;

    take(&a, kind, fields);
    simlanes_drain(&rig.lanes);
    ck_assert_uint_eq(a.answers, 1);
    ck_assert_msg(a.ask.err == RG_OK && a.ask.reply.err == RG_OK, "%s: %s %s", fields, rg_err_symbol(a.ask.err), a.ask.ctx.text);
    return a.ask.id;
}

void decided(const struct rg_uuid *id, bool drop, enum rg_err want)
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

bool look(const struct rg_uuid *id, struct rg_intent *ret)
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

void expect(const struct rg_uuid *id, enum rg_intent_status status, const char *text)
{
    struct rg_intent r = {.seq = 0};

    ck_assert(look(id, &r));
    ck_assert_msg(r.status == status, "%s (%s %s), not %s", rg_intent_status_name(r.status), r.code, r.text,
                  rg_intent_status_name(status));
    ck_assert_msg(strstr(r.text, text) != NULL, "\"%s\" has no \"%s\"", r.text, text);
}

uint64_t count_of(enum rg_intent_status status)
{
    uint64_t counts[RG_INTENT_STATUS_COUNT];

    rg_intents_counts(rig.q, counts);
    return counts[status];
}

bool is_disabled(const char *user)
{
    RG_AUTO(txn) struct rg_txn *txn = fix_read(&rig.fix);
    struct rg_uuid id = fix_id(user);
    struct rg_user u;

    return rg_user_get(txn, &id, &u) == RG_OK && rg_span_is(u.status, "DISABLED");
}
