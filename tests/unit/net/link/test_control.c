/* cmd/control: frames, answers by number and peer, refusals with their code and text, time-outs, bounds. */
#include <stdio.h>
#include <uv.h>

#include "net/link/control.h"
#include "tests/lib/check_main.h"

/* Two nodes, 1 and 2; what they send waits in a queue until the test lets it arrive. */
static uv_loop_t loop;
static struct rg_control *one, *two;
static struct {
    struct rg_control *to;
    uint64_t from;
    struct rg_buf bytes;
} queue[128];
static size_t queued;
static enum rg_err line = RG_OK;
static const struct rg_log quiet = {.min = RG_LOG_ERROR};

static struct {
    unsigned calls;
    uint64_t peer;
    enum rg_err err;
    char text[256];
    json_int_t value;
} seen;

static enum rg_err send_from(struct rg_control *to, uint64_t from, struct rg_span message)
{
    if (line)
        return line;
    ck_assert_uint_lt(queued, RG_LEN(queue));
    queue[queued].to = to;
    queue[queued].from = from;
    rg_buf_init(&queue[queued].bytes, 1 << 20);
    rg_buf_put(&queue[queued].bytes, message.p, message.n);
    queued++;
    return RG_OK;
}

static enum rg_err send_one(void *arg, uint64_t peer, struct rg_span message)
{
    ck_assert_uint_eq(peer, 2);
    return send_from(two, 1, message);
}

static enum rg_err send_two(void *arg, uint64_t peer, struct rg_span message)
{
    ck_assert_uint_eq(peer, 1);
    return send_from(one, 2, message);
}

static void arrive(void)
{
    for (size_t i = 0; i < queued; i++) { /* what is sent meanwhile arrives too */
        rg_control_on_message(queue[i].to, queue[i].from, rg_buf_span(&queue[i].bytes));
        rg_buf_deinit(&queue[i].bytes);
    }
    queued = 0;
}

static void on_answer(void *arg, uint64_t peer, enum rg_err err, const json_t *answer, const char *text)
{
    ck_assert_ptr_eq(arg, &seen);
    seen.calls++;
    seen.peer = peer;
    seen.err = err;
    snprintf(seen.text, sizeof seen.text, "%s", text);
    ck_assert_int_eq(answer != NULL, err == RG_OK);
    seen.value = json_integer_value(json_object_get(answer, "value"));
}

static enum rg_err twice(void *arg, uint64_t peer, const json_t *args, json_t **ret_answer, struct rg_errctx *ctx)
{
    json_int_t n = json_integer_value(json_object_get(args, "n"));

    ck_assert_uint_eq(peer, 1);
    if (n == 13)
        return rg_fail(ctx, RG_EDENIED, "not %s", "thirteen");
    *ret_answer = json_pack("{s:I}", "value", 2 * n);
    return RG_OK;
}

static void setup(void)
{
    struct rg_control_config a = {.loop = &loop, .log = &quiet, .send = send_one}, b = a;

    b.send = send_two;
    memset(&seen, 0, sizeof seen);
    line = RG_OK;
    ck_assert_int_eq(uv_loop_init(&loop), 0);
    ck_assert_int_eq(rg_control_new(&a, &one), RG_OK);
    ck_assert_int_eq(rg_control_new(&b, &two), RG_OK);
    ck_assert_int_eq(rg_control_serve(two, "twice", twice, NULL), RG_OK);
}

static void teardown(void)
{
    for (size_t i = 0; i < queued; i++)
        rg_buf_deinit(&queue[i].bytes);
    queued = 0;
    rg_control_close(one);
    rg_control_close(two);
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
}

static enum rg_err ask(const char *op, json_int_t n, unsigned timeout_ms)
{
    return rg_control_ask(one, 2, op, json_pack("{s:I}", "n", n), timeout_ms, on_answer, &seen);
}

CASE(.setup = setup, .teardown = teardown);

TEST(an_ask_is_answered)
{
    ck_assert_int_eq(ask("twice", 21, 1000), RG_OK);
    ck_assert_uint_eq(seen.calls, 0);
    arrive();
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_int_eq(seen.err, RG_OK);
    ck_assert_int_eq(seen.value, 42);
    ck_assert_uint_eq(seen.peer, 2);
}

TEST(refusals_keep_code_and_text)
{
    ck_assert_int_eq(ask("twice", 13, 1000), RG_OK);
    arrive();
    ck_assert_int_eq(seen.err, RG_EDENIED);
    ck_assert_str_eq(seen.text, "not thirteen");
    ck_assert_int_eq(ask("thrice", 1, 1000), RG_OK);
    arrive();
    ck_assert_int_eq(seen.err, RG_EUNKNOWNOP);
    ck_assert_ptr_nonnull(strstr(seen.text, "thrice"));
    ck_assert_uint_eq(seen.calls, 2);
}

TEST(silence_times_out_and_a_late_answer_is_dropped)
{
    ck_assert_int_eq(ask("twice", 1, 5), RG_OK);
    uv_run(&loop, UV_RUN_DEFAULT); /* ends with the timer */
    ck_assert_uint_eq(seen.calls, 1);
    ck_assert_int_eq(seen.err, RG_ETIMEOUT);
    arrive();
    ck_assert_uint_eq(seen.calls, 1);
}

TEST(a_lost_link_fails_what_waits)
{
    ck_assert_int_eq(ask("twice", 1, 1000), RG_OK);
    rg_control_on_down(one, 3);
    ck_assert_uint_eq(seen.calls, 0);
    rg_control_on_down(one, 2);
    ck_assert_int_eq(seen.err, RG_ECLOSED);
    line = RG_ECLOSED;
    ck_assert_int_eq(ask("twice", 1, 1000), RG_ECLOSED);
    ck_assert_uint_eq(seen.calls, 1);
}

TEST(what_waits_is_bounded)
{
    for (int i = 0; i < RG_CONTROL_ASKS_MAX; i++)
        ck_assert_int_eq(ask("twice", i, 1000), RG_OK);
    ck_assert_int_eq(ask("twice", 1, 1000), RG_EBUSY);
    arrive();
    ck_assert_uint_eq(seen.calls, RG_CONTROL_ASKS_MAX);
    ck_assert_int_eq(ask("twice", 1, 1000), RG_OK);
    rg_control_forget(one, &seen);
    arrive();
    ck_assert_uint_eq(seen.calls, RG_CONTROL_ASKS_MAX);
}

TEST(a_giant_ask_is_refused)
{
    json_t *args = json_object();
    char *text = malloc(RG_CONTROL_FRAME_BYTES_MAX + 1);

    memset(text, 'a', RG_CONTROL_FRAME_BYTES_MAX);
    text[RG_CONTROL_FRAME_BYTES_MAX] = '\0';
    json_object_set_new(args, "text", json_string(text));
    ck_assert_int_eq(rg_control_ask(one, 2, "twice", args, 1000, on_answer, &seen), RG_ETOOBIG);
    ck_assert_int_eq(rg_control_ask(one, 2, "twice", json_array(), 1000, on_answer, &seen), RG_EINVALID);
    ck_assert_uint_eq(queued, 0);
    free(text);
}

TEST(an_answer_counts_from_its_peer_alone)
{
    ck_assert_int_eq(ask("twice", 4, 1000), RG_OK);
    rg_control_on_message(two, 1, rg_buf_span(&queue[0].bytes));
    rg_control_on_message(one, 3, rg_buf_span(&queue[1].bytes));
    ck_assert_uint_eq(seen.calls, 0);
    rg_control_on_message(one, 2, rg_buf_span(&queue[1].bytes));
    ck_assert_uint_eq(seen.calls, 1);
}

static const struct {
    const char *bytes;
    size_t n;
    const char *says;
} bad[] = {
    {"", 0, "not a control frame"},
    {"\x01\x01\x01\0\0\0\0\0\0\0{}", 12, "not a control frame"},
    {"\xc7", 1, "head"},
    {"\xc7\x01\x01\0\0\0\0\0\0", 9, "head"},
    {"\xc7\x00\x01\0\0\0\0\0\0\0{}", 12, "head"},
    {"\xc7\x04\x01\0\0\0\0\0\0\0{}", 12, "head"},
    {"\xc7\x01\x00\0\0\0\0\0\0\0{}", 12, "head"},
    {"\xc7\x01\x01\0\0\0\0\0\0\0{", 11, "control frame:"},
    {"\xc7\x01\x01\0\0\0\0\0\0\0[]", 12, "control frame:"},
};

LOOP(bad_frames, RG_LEN(bad))
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_control_type type;
    uint64_t number;
    json_t *object;

    ck_assert_int_eq(rg_control_decode(rg_span(bad[_i].bytes, bad[_i].n), &type, &number, &object, &ctx), RG_EMALFORMED);
    ck_assert_ptr_nonnull(strstr(ctx.text, bad[_i].says));
    ck_assert_int_eq(ask("twice", 4, 1000), RG_OK); /* it is dropped: neither served nor an answer */
    rg_control_on_message(one, 2, rg_span(bad[_i].bytes, bad[_i].n));
    ck_assert_uint_eq(queued, 1);
    ck_assert_uint_eq(seen.calls, 0);
}

TEST(candidates_hello)
{
    struct rg_candidate_hello h = {.cluster_id = "rc-1", .region = "eu-west-1", .from = 7, .to = 1}, got;
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};

    rg_buf_init(&bytes, 1024);
    rg_candidate_hello_encode(&h, &bytes);
    ck_assert(rg_candidate_hello_is(rg_buf_span(&bytes)));
    ck_assert_int_eq(rg_candidate_hello_decode(rg_buf_span(&bytes), &got, NULL), RG_OK);
    ck_assert_str_eq(got.cluster_id, "rc-1");
    ck_assert_str_eq(got.region, "eu-west-1");
    ck_assert_uint_eq(got.from, 7);
    ck_assert_uint_eq(got.to, 1);
    for (size_t n = 0; n < bytes.len; n++)
        ck_assert_int_eq(rg_candidate_hello_decode(rg_span(bytes.data, n), &got, NULL), RG_EMALFORMED);
}
