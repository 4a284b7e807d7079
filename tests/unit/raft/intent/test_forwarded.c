/* What a primary takes of another region's node: kinds, author, time, and how much. */
#include "raft/intent/forwarded.h"

#include "base/tlv.h"
#include "store/apply/fsm.h"
#include "tests/lib/check_main.h"

#define NOW 5000u
#define WALL INT64_C(1000000)

static struct rg_forwarded from;
static struct rg_buf cmd, out;
static struct rg_errctx ctx;

static void setup(void)
{
    from = (struct rg_forwarded){.open = 0};
    ctx.text[0] = '\0';
    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_buf_init(&out, RG_CMD_BYTES_MAX);
}

static void teardown(void)
{
    rg_buf_deinit(&cmd);
    rg_buf_deinit(&out);
}

static enum rg_err take(uint64_t now_ms)
{
    const struct rg_forwarded_to to = {.id = 2, .epoch = 1026, .region = "ap-south-1"};

    rg_buf_clear(&out);
    return rg_forwarded_take(&from, rg_buf_span(&cmd), "eu-central-1", &to, now_ms, WALL, &out, &ctx);
}

static void begin(enum rg_cmd_kind kind, int64_t at_ms, const char *by)
{
    rg_buf_clear(&cmd);
    rg_cmd_begin(&cmd, kind, at_ms, rg_span_str(by));
    rg_tlv_put_str(&cmd, RG_F_NAME, "alice");
}

CASE(.setup = setup, .teardown = teardown);

/* Every kind there is: whoever adds one says here whether a region's node may ask for it. */
static const struct {
    enum rg_cmd_kind kind;
    bool takes;
} kinds[] = {
    {RG_CMD_NOOP, false},          {RG_CMD_INSTANCE_INIT, false},   {RG_CMD_REGION_PUT, false},        {RG_CMD_CREDENTIAL_PUT, false},
    {RG_CMD_CREDENTIAL_DELETE, false}, {RG_CMD_USER_CREATE, true},  {RG_CMD_USER_REPLACE, true},       {RG_CMD_USER_DELETE, true},
    {RG_CMD_GROUP_CREATE, true},   {RG_CMD_GROUP_REPLACE, true},    {RG_CMD_GROUP_DELETE, true},       {RG_CMD_MEMBERSHIP_CREATE, true},
    {RG_CMD_MEMBERSHIP_DELETE, true}, {RG_CMD_PERMSET_CREATE, true}, {RG_CMD_PERMSET_REPLACE, true},   {RG_CMD_PERMSET_DELETE, true},
    {RG_CMD_ACCOUNT_PUT, true},    {RG_CMD_ACCOUNT_DELETE, true},   {RG_CMD_ASSIGNMENT_CREATE, true},  {RG_CMD_ASSIGNMENT_DELETE, true},
    {RG_CMD_NODE_PUT, false},      {RG_CMD_NODE_JOIN, false},       {RG_CMD_TOKEN_PUT, false},         {RG_CMD_SECRET_PUT, false},
    {RG_CMD_SETTING_PUT, false},   {RG_CMD_EPOCH_NOTE, false},       {RG_CMD_TRUST_BEGIN, false},       {RG_CMD_OPERATOR_PUT, false},
    {RG_CMD_OPERATOR_END, false},
};

TEST(every_kind_is_in_the_table)
{
    size_t n = 0;

#define COUNT(name, number, handler, flags) n++;
    RG_CMD_MAP(COUNT)
#undef COUNT
    ck_assert_uint_eq(n, RG_LEN(kinds));
}

LOOP(kinds_that_are_taken, RG_LEN(kinds))
{
    begin(kinds[_i].kind, WALL, "AKIA1");
    ck_assert_int_eq(take(NOW), kinds[_i].takes ? RG_OK : RG_EDENIED);
    ck_assert_uint_eq(from.open, kinds[_i].takes);
    if (!kinds[_i].takes)
        ck_assert_msg(strstr(ctx.text, "eu-central-1") != NULL && strstr(ctx.text, rg_cmd_kind_name(kinds[_i].kind)) != NULL, "%s", ctx.text);
}

/* Who handed over says who wanted that and why; not that something else took over, nor of another epoch. */
TEST(the_note_of_a_hand_over)
{
    static const struct {
        uint64_t epoch, id;
        const char *region;
        enum rg_err err;
    } notes[] = {
        {1026, 2, "ap-south-1", RG_OK},        {1025, 2, "ap-south-1", RG_EDENIED}, {2050, 2, "ap-south-1", RG_EDENIED},
        {1026, 3, "ap-south-1", RG_EDENIED},   {1026, 2, "mars-1", RG_EDENIED},     {0, 0, "", RG_EDENIED},
    };

    for (size_t i = 0; i < RG_LEN(notes); i++) {
        rg_buf_clear(&cmd);
        rg_cmd_begin(&cmd, RG_CMD_EPOCH_NOTE, WALL, rg_span_str("AKIA1"));
        if (notes[i].epoch != 0) {
            rg_tlv_put_u64(&cmd, RG_F_EPOCH, notes[i].epoch);
            rg_tlv_put_u64(&cmd, RG_F_NODE_ID, notes[i].id);
            rg_tlv_put_str(&cmd, RG_F_NAME, notes[i].region);
        }
        ck_assert_msg(take(NOW) == notes[i].err, "%zu: %s", i, ctx.text);
    }
}

TEST(an_unknown_kind_is_not)
{
    begin((enum rg_cmd_kind)9999, WALL, "AKIA1");
    ck_assert_int_eq(take(NOW), RG_EDENIED);
    rg_buf_clear(&cmd);
    rg_buf_put_str(&cmd, "no command");
    ck_assert_int_eq(take(NOW), RG_EMALFORMED);
}

static struct rg_cmd taken(void)
{
    struct rg_cmd c;

    ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&out), &c), RG_OK);
    return c;
}

TEST(it_is_in_the_regions_name)
{
    struct rg_span name;
    struct rg_cmd c;
    uint64_t seen = 0;
    struct rg_cursor cur;
    struct rg_tlv tlv;

    begin(RG_CMD_USER_CREATE, WALL + 1, "AKIA1");
    rg_tlv_put_str(&cmd, RG_F_BY, "somebody else"); /* a second one, by a node that lies */
    rg_tlv_put_u64(&cmd, RG_F_DEGRADED, 0);
    rg_tlv_put_u64(&cmd, RG_F_IF_VERSION, 9);
    ck_assert_int_eq(take(NOW), RG_OK);
    c = taken();
    ck_assert_int_eq(c.kind, RG_CMD_USER_CREATE);
    ck_assert(rg_span_is(c.by, "AKIA1 via eu-central-1"));
    ck_assert_int_eq(c.at_ms, WALL); /* not later than it is */
    ck_assert_uint_eq(c.if_version, 9);
    ck_assert(rg_tlv_get(c.bytes, RG_F_NAME, &name) && rg_span_is(name, "alice"));
    rg_cursor_init(&cur, c.bytes);
    while (rg_tlv_next(&cur, &tlv))
        seen += tlv.field == RG_F_BY || tlv.field == RG_F_DEGRADED;
    ck_assert_uint_eq(seen, 1);
    begin(RG_CMD_USER_CREATE, WALL - 5, "AKIA1");
    ck_assert_int_eq(take(NOW), RG_OK);
    ck_assert_int_eq(taken().at_ms, WALL - 5);
}

TEST(a_long_author_keeps_the_region)
{
    char by[RG_BY_BYTES_MAX + 1];
    struct rg_cmd c;

    memset(by, 'x', RG_BY_BYTES_MAX);
    by[RG_BY_BYTES_MAX] = '\0';
    begin(RG_CMD_USER_DELETE, WALL, by);
    ck_assert_int_eq(take(NOW), RG_OK);
    c = taken();
    ck_assert_uint_eq(c.by.n, RG_BY_BYTES_MAX);
    ck_assert(memcmp(c.by.p + c.by.n - 17, " via eu-central-1", 17) == 0);
}

TEST(so_many_at_once)
{
    begin(RG_CMD_USER_CREATE, WALL, "AKIA1");
    for (unsigned i = 0; i < RG_FORWARDED_OPEN_MAX; i++)
        ck_assert_int_eq(take(NOW), RG_OK);
    ck_assert_int_eq(take(NOW), RG_EBUSY);
    rg_forwarded_done(&from);
    ck_assert_int_eq(take(NOW), RG_OK);
    ck_assert_int_eq(take(NOW), RG_EBUSY);
}

/* A burst after a rest, then as many as are worked off. */
TEST(so_many_a_second)
{
    unsigned n = 0;

    begin(RG_CMD_USER_CREATE, WALL, "AKIA1");
    for (; take(NOW) == RG_OK; n++)
        rg_forwarded_done(&from);
    ck_assert_uint_eq(n, RG_FORWARDED_BURST);
    for (uint64_t ms = 1; ms <= 1000; ms++)
        for (; take(NOW + ms) == RG_OK; n++)
            rg_forwarded_done(&from);
    ck_assert_uint_eq(n, RG_FORWARDED_BURST + RG_FORWARDED_A_SECOND);
    ck_assert_int_eq(take(NOW + 1000), RG_EBUSY);
    for (n = 0; take(NOW + 100000) == RG_OK; n++)
        rg_forwarded_done(&from);
    ck_assert_uint_eq(n, RG_FORWARDED_BURST);
}

TEST(many_are_many_for_a_while)
{
    uint64_t now_ms = NOW;

    begin(RG_CMD_USER_CREATE, WALL, "AKIA1");
    for (unsigned i = 0; i < RG_FORWARDED_MANY; i++) {
        ck_assert_int_eq(take(now_ms += 10), RG_OK);
        rg_forwarded_done(&from);
    }
    ck_assert(!rg_forwarded_many(&from, now_ms));
    ck_assert_int_eq(take(now_ms), RG_OK);
    ck_assert(rg_forwarded_many(&from, now_ms));
    ck_assert_uint_eq(from.taken, RG_FORWARDED_MANY + 1);
    now_ms += RG_FORWARDED_LOOK_MS; /* the next one counts with those before */
    ck_assert(rg_forwarded_many(&from, now_ms));
    ck_assert_int_eq(take(now_ms), RG_OK);
    ck_assert(rg_forwarded_many(&from, now_ms));
    ck_assert(!rg_forwarded_many(&from, now_ms + RG_FORWARDED_LOOK_MS));
    ck_assert_int_eq(take(now_ms + 5 * RG_FORWARDED_LOOK_MS), RG_OK);
    ck_assert(!rg_forwarded_many(&from, now_ms + 5 * RG_FORWARDED_LOOK_MS));
}

TEST(a_lie_is_told_for_a_while)
{
    begin(RG_CMD_SETTING_PUT, WALL, "AKIA1");
    ck_assert(!rg_forwarded_lies(&from, 0));
    ck_assert_int_eq(take(NOW), RG_EDENIED);
    ck_assert(rg_forwarded_lies(&from, NOW));
    ck_assert(rg_forwarded_lies(&from, NOW + RG_FORWARDED_LOOK_MS - 1));
    ck_assert(!rg_forwarded_lies(&from, NOW + RG_FORWARDED_LOOK_MS));
    ck_assert_uint_eq(from.denied, 1);
    ck_assert_uint_eq(from.taken + from.busy, 0);
}

/* A region that handed over says why, and may come late with it: refused, and no lie. */
TEST(a_late_note_is_no_lie)
{
    begin(RG_CMD_EPOCH_NOTE, WALL, "AKIA1");
    ck_assert_int_eq(take(NOW), RG_EDENIED);
    ck_assert_uint_eq(from.denied, 1);
    ck_assert(!rg_forwarded_lies(&from, NOW));
}

TEST(too_many_at_once_are_counted)
{
    begin(RG_CMD_USER_CREATE, WALL, "AKIA1");
    for (unsigned i = 0; i < RG_FORWARDED_OPEN_MAX; i++)
        ck_assert_int_eq(take(NOW), RG_OK);
    ck_assert_int_eq(take(NOW), RG_EBUSY);
    ck_assert_uint_eq(from.busy, 1);
    ck_assert_uint_eq(from.taken, RG_FORWARDED_OPEN_MAX);
}
