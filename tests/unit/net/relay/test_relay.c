/* net/relay, net/api/passing: a write that comes to a node which does not lead is passed on once, within bounds, and answered
 * through. Here one process is both nodes: what the relay sends to node 3 comes back to it as of node 3. */
#include "base/clock.h"
#include "base/tlv.h"
#include "net/relay/relay.h"
#include "net/relay/wire.h"
#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

/* ---- the rule ---- */

static const struct {
    bool passed, open, same_region;
    enum rg_relay_way want;
} ways[] = {
    {false, false, true, RG_RELAY_ON},
    {false, false, false, RG_RELAY_ELSEWHERE}, /* between regions clients are told */
    {false, true, true, RG_RELAY_ELSEWHERE},   /* nodes that join follow a 421 */
    {true, false, true, RG_RELAY_RETRY},       /* once */
    {true, false, false, RG_RELAY_RETRY},
};

CASE(.seconds = 10);

LOOP(whether_it_is_passed_on, RG_LEN(ways))
{
    ck_assert_int_eq(rg_relay_way(ways[_i].passed, ways[_i].open, ways[_i].same_region), ways[_i].want);
}

TEST(the_bounds)
{
    ck_assert(rg_relay_fits(0, 0, RG_RELAY_BYTES_MAX));
    ck_assert(!rg_relay_fits(0, 1, RG_RELAY_BYTES_MAX));
    ck_assert(!rg_relay_fits(0, 0, (size_t)RG_RELAY_BYTES_MAX + 1));
    ck_assert(rg_relay_fits(RG_RELAY_MAX - 1, 0, 1));
    ck_assert(!rg_relay_fits(RG_RELAY_MAX, 0, 1));
}

/* ---- the table ---- */

static struct rg_relay *relay;
static struct rg_buf sent; /* the last message */
static uint64_t sent_to;
static enum rg_err send_err;
static bool admitted = true;
static struct rg_handed *handed[RG_RELAY_MAX + 8];
static size_t n_handed;
static struct rg_request handed_req;

static enum rg_err on_send(void *arg, uint64_t peer, struct rg_span message)
{
    sent_to = peer;
    rg_buf_clear(&sent);
    rg_buf_put(&sent, message.p, message.n);
    return send_err;
}

static bool admits(void *arg, uint64_t peer) { return admitted; }

static bool on_hand(void *arg, struct rg_handed *h)
{
    handed[n_handed++] = h;
    return true;
}

static void on_task(void *arg, struct rg_task *task) { task->run(task, false); }

static struct rg_buf request;

static void open_table(void)
{
    static const struct rg_log log = {.min = RG_LOG_ERROR};
    const struct rg_relay_config config = {.log = &log, .send = on_send, .admits = admits, .hand = on_hand, .task = on_task};
    struct rg_request req = {.method = rg_span_str("PUT"), .path = rg_span_str("/v1/accounts/1")};

    rg_buf_init(&sent, RG_RELAY_FRAME_BYTES_MAX);
    rg_buf_init(&request, RG_RELAY_FRAME_BYTES_MAX);
    ck_assert_int_eq(rg_relay_put_request(&req, &request), RG_OK);
    ck_assert_int_eq(rg_relay_new(&config, &relay), RG_OK);
}

static void close_table(void)
{
    rg_relay_free(relay);
    rg_buf_deinit(&sent);
    rg_buf_deinit(&request);
}

static unsigned n_done;

static void on_done(struct rg_relay_ask *ask)
{
    n_done++;
    rg_buf_deinit(&ask->answer);
}

static void ask_node(struct rg_relay_ask *ask, uint64_t to, uint64_t deadline_ms)
{
    *ask = (struct rg_relay_ask){.to = to, .request = &request, .deadline_ms = deadline_ms, .on_done = on_done};
    rg_relay_ask(relay, ask);
}

static void answer_as(uint64_t peer, uint64_t number)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 4096);
    ck_assert_int_eq(rg_relay_put_answer(number, &(struct rg_http_reply){.status = 200}, &out), RG_OK);
    ck_assert_int_eq(rg_relay_on_message(relay, peer, rg_buf_span(&out)), RG_OK);
}

CASE(.setup = open_table, .teardown = close_table, .seconds = 20);

TEST(only_who_was_asked_answers)
{
    struct rg_relay_ask a, b;

    ask_node(&a, 3, UINT64_MAX);
    ask_node(&b, 2, UINT64_MAX);
    ck_assert_uint_eq(sent_to, 2);
    answer_as(2, a.number);
    answer_as(3, b.number);
    answer_as(3, b.number + 1);
    ck_assert_uint_eq(n_done, 0);
    answer_as(3, a.number);
    ck_assert_uint_eq(n_done, 1);
    ck_assert_int_eq(a.err, RG_OK);
    answer_as(3, a.number); /* twice */
    ck_assert_uint_eq(n_done, 1);
    answer_as(2, b.number);
    ck_assert_uint_eq(n_done, 2);
}

TEST(what_ends_a_wait_says_whether_it_had_begun)
{
    struct rg_relay_ask a, b;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, 4096);
    send_err = RG_ECLOSED;
    ask_node(&a, 3, UINT64_MAX);
    ck_assert(a.err == RG_ECLOSED && !a.begun && n_done == 1);
    send_err = RG_OK;
    ask_node(&a, 3, UINT64_MAX);
    ask_node(&b, 2, UINT64_MAX);
    rg_relay_on_down(relay, 3);
    ck_assert(a.err == RG_ECLOSED && a.begun && n_done == 2);
    ask_node(&a, 3, 1000);
    rg_relay_tick(relay, 999);
    ck_assert_uint_eq(n_done, 2);
    rg_relay_tick(relay, 1000);
    ck_assert(a.err == RG_ETIMEOUT && a.begun && n_done == 3);
    ask_node(&a, 3, UINT64_MAX);
    ck_assert_int_eq(rg_relay_put_refusal(a.number, RG_EBUSY, &out), RG_OK);
    ck_assert_int_eq(rg_relay_on_message(relay, 3, rg_buf_span(&out)), RG_OK);
    ck_assert(a.err == RG_EBUSY && !a.begun && n_done == 4);
    rg_relay_end(relay, 5000);
    ask_node(&a, 3, UINT64_MAX);
    ck_assert(a.err == RG_ESTOPPED && !a.begun && n_done == 5);
    rg_relay_tick(relay, 5000);
    ck_assert(b.err == RG_ETIMEOUT && n_done == 6);
}

TEST(no_more_are_asked_than_may_be_under_way)
{
    static struct rg_relay_ask asks[RG_RELAY_MAX], over;

    for (size_t i = 0; i < RG_LEN(asks); i++)
        ask_node(&asks[i], 3, UINT64_MAX);
    ck_assert_uint_eq(n_done, 0);
    ask_node(&over, 2, UINT64_MAX);
    ck_assert(over.err == RG_EBUSY && !over.begun && n_done == 1);
    answer_as(3, asks[17].number);
    ask_node(&over, 2, UINT64_MAX);
    ck_assert_uint_eq(n_done, 2);
    rg_relay_on_down(relay, 3);
    rg_relay_on_down(relay, 2);
    ck_assert_uint_eq(n_done, 2 + RG_RELAY_MAX);
}

static enum rg_relay_type sent_type(void)
{
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t n;

    ck_assert_int_eq(rg_relay_decode(rg_buf_span(&sent), &type, &n, &fields), RG_OK);
    return type;
}

static void ask_as(uint64_t peer, uint64_t number)
{
    for (size_t i = 0; i < 8; i++)
        request.data[RG_RELAY_NUMBER_AT + i] = (uint8_t)(number >> (8 * i));
    ck_assert_int_eq(rg_relay_on_message(relay, peer, rg_buf_span(&request)), RG_OK);
}

static void reply_all(void)
{
    for (; n_handed > 0; n_handed--)
        handed[n_handed - 1]->on_reply(handed[n_handed - 1], &(struct rg_http_reply){.status = 204});
}

TEST(no_more_are_taken_of_a_node_than_may_be_under_way)
{
    for (uint64_t i = 1; i <= RG_RELAY_MAX; i++)
        ask_as(2, i);
    ck_assert_uint_eq(n_handed, RG_RELAY_MAX);
    ck_assert_uint_eq(sent.len, 0);
    ask_as(2, 1000);
    ck_assert_int_eq(sent_type(), RG_RELAY_REFUSAL);
    ask_as(3, 1); /* another one is not held up by that */
    ck_assert_uint_eq(n_handed, RG_RELAY_MAX + 1);
    reply_all();
    ck_assert_int_eq(sent_type(), RG_RELAY_ANSWER);
    ask_as(2, 1001);
    ck_assert_uint_eq(n_handed, 1);
    reply_all();
}

TEST(who_may_not_is_refused_and_what_is_none_is_not_run)
{
    admitted = false;
    ck_assert_int_eq(rg_relay_on_message(relay, 9, rg_buf_span(&request)), RG_EPEER);
    admitted = true;
    ck_assert_int_eq(rg_relay_on_message(relay, 9, rg_span("x", 1)), RG_EMALFORMED);
    request.data[10] ^= 0x80; /* in the fields */
    ask_as(2, 5);
    ck_assert_uint_eq(n_handed, 1);
    ck_assert(!handed[0]->fill(handed[0], &handed_req));
    handed[0]->on_reply(handed[0], NULL);
    n_handed = 0;
    ck_assert_int_eq(sent_type(), RG_RELAY_REFUSAL);
    rg_relay_end(relay, 1);
    request.data[10] ^= 0x80;
    ask_as(2, 6);
    ck_assert_uint_eq(n_handed, 0);
    ck_assert_int_eq(sent_type(), RG_RELAY_REFUSAL);
}

/* ---- the whole way, through the API ---- */

enum { LEADS = 3 };
static bool takes_over; /* what is sent is found by a node that leads */
static bool lost;       /* the link ends once it was sent: */
static atomic_bool lost_sent;

static enum rg_err on_wire(void *arg, uint64_t peer, struct rg_span message)
{
    if (message.p[0] == RG_RELAY_REQUEST && lost) {
        atomic_store(&lost_sent, true);
        return RG_OK;
    }
    if (message.p[0] == RG_RELAY_REQUEST) {
        pthread_mutex_lock(&af.node.mutex);
        af.node.status.leader = takes_over;
        pthread_mutex_unlock(&af.node.mutex);
    }
    return rg_relay_on_message(relay, peer, message);
}

static bool hand_to_server(void *arg, struct rg_handed *h)
{
    rg_server_hand(af.server, h);
    return true;
}

static void task_of_node(void *arg, struct rg_task *task)
{
    pthread_mutex_lock(&af.node.mutex);
    task->next = af.node.tasks;
    af.node.tasks = task;
    pthread_cond_signal(&af.node.wake);
    pthread_mutex_unlock(&af.node.mutex);
}

static void open_way(void)
{
    static const struct rg_log log = {.min = RG_LOG_ERROR};
    const struct rg_relay_config config = {.log = &log, .send = on_wire, .admits = admits, .hand = hand_to_server, .task = task_of_node};

    ck_assert_int_eq(rg_relay_new(&config, &relay), RG_OK);
    af_relay = relay;
    open_world();
    af.regions[1] = (struct rg_api_region){.name = "us-east-1", .url = "https://three.example:3", .id = LEADS};
    rg_server_stop(af.server, 0);
    rg_api_free(af.api);
    af_serve();
    API_STATUS(leader, false);
    API_STATUS(leader_id, LEADS);
    API_STATUS(peers[0].id, LEADS);
    takes_over = true;
}

static void close_way(void)
{
    af_close();
    rg_relay_free(relay);
}

CASE(.setup = open_way, .teardown = close_way);

TEST(a_write_is_passed_on_and_answered_through)
{
    struct answer a;

    aws(&a, "Write", "", "{}");
    ck_assert_msg(a.status == 200, "%d %s", a.status, (char *)a.body.data);
    ck_assert_str_eq((char *)a.body.data, "{\"attempts\":0}");
    ck_assert_ptr_nonnull(header(&a, "regent-revision"));
    ck_assert_str_eq(header(&a, "regent-region"), "us-east-1");
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 1);
    API_STATUS(leader, false);
    aws(&a, "Duplicate", "", "{}"); /* a refusal is the leader's, word for word */
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(header(&a, "x-amzn-errortype"), "ConflictException");
    ck_assert_str_eq(text_at(a.json, "Reason"), "UNIQUENESS_CONSTRAINT_VIOLATION");
    answer_free(&a);
}

/* One of a release that knows nothing of this would leave it unanswered, and the client without a word for half a minute. */
TEST(a_leader_of_before_is_named_instead)
{
    struct answer a;

    API_STATUS(peers[0].statements, false);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 421);
    ck_assert_str_eq(header(&a, "location"), "https://three.example:3/");
    answer_free(&a);
    API_STATUS(peers[0].statements, true);
    API_STATUS(peers[0].id, LEADS + 1); /* nor is anything known of it */
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 421);
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 0);
}

TEST(who_may_not_write_is_told_here)
{
    struct answer a;

    ask_raw(&a, "POST", "/", "authorization: Bearer " API_READ_TOKEN "\r\nx-amz-target: Write\r\n", "{}", 2);
    ck_assert_int_eq(a.status, 403);
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 0);
}

TEST(a_leader_that_leads_no_more_passes_nothing_on)
{
    struct answer a;

    takes_over = false;
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq(text_at(a.json, "__type"), "PrimaryUnavailable");
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "nothing was written; try again"));
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    ck_assert_ptr_null(header(&a, "location"));
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 0);
}

static void lose_link(struct rg_task *task, bool stopping)
{
    (void)stopping;
    rg_relay_on_down(relay, LEADS);
    free(task);
}

static void *lose_link_later(void *arg)
{
    struct rg_task *task = calloc(1, sizeof *task);

    (void)arg;
    while (!atomic_load(&lost_sent))
        usleep(1000);
    task->run = lose_link; /* on the thread that sent it, when it is done with that */
    task_of_node(NULL, task);
    return NULL;
}

TEST(a_link_that_is_lost_leaves_the_outcome_open)
{
    struct answer a;
    pthread_t thread;

    lost = true;
    ck_assert_int_eq(pthread_create(&thread, NULL, lose_link_later, NULL), 0);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "may have been done"));
    answer_free(&a);
    pthread_join(thread, NULL);
}

/* What a node that lies may pass on: nothing but writes, and none without a credential of its own. */
static const struct {
    const char *method, *path, *name, *value, *want;
} lies[] = {
    {"GET", "/metrics", "x", "y", "only writes are passed on"},
    {"GET", "/v1/export", "authorization", "Bearer " API_TOKEN, "only writes are passed on"},
    {"POST", "/v1/join", "x", "y", "only writes are passed on"},
    {"POST", "/nowhere", "authorization", "Bearer " API_TOKEN, "only writes are passed on"},
    {"DELETE", "/v1/accounts/222222222222", "x", "y", "Missing Authentication Token"},
    {"DELETE", "/v1/accounts/222222222222", "authorization", "Bearer made-up", "security token"},
    {"DELETE", "/v1/accounts/222222222222", "authorization", "Bearer " API_READ_TOKEN, "may read only"},
};
static _Atomic(struct rg_buf *) told;

static enum rg_err on_told(void *arg, uint64_t peer, struct rg_span message)
{
    struct rg_buf *copy = calloc(1, sizeof *copy);

    rg_buf_init(copy, RG_RELAY_FRAME_BYTES_MAX);
    rg_buf_put(copy, message.p, message.n);
    rg_buf_put_u8(copy, 0);
    atomic_store(&told, copy);
    return RG_OK;
}

LOOP(what_a_node_that_lies_may_pass_on, RG_LEN(lies))
{
    const struct rg_relay_config config = {.log = &af.log, .send = on_told, .admits = admits, .hand = hand_to_server, .task = task_of_node};
    struct rg_request req = {.method = rg_span_str(lies[_i].method), .path = rg_span_str(lies[_i].path), .n_headers = 1};
    struct rg_relay *leader;
    struct rg_relay_answer answer;
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t n;

    API_STATUS(leader, true);
    ck_assert_int_eq(rg_relay_new(&config, &leader), RG_OK);
    strcpy(req.peer, "127.0.0.1:1"); /* as it says */
    req.headers[0] = (struct rg_http_header){rg_span_str(lies[_i].name), rg_span_str(lies[_i].value)};
    rg_buf_init(&request, RG_RELAY_FRAME_BYTES_MAX);
    ck_assert_int_eq(rg_relay_put_request(&req, &request), RG_OK);
    request.data[RG_RELAY_NUMBER_AT] = 1;
    ck_assert_int_eq(rg_relay_on_message(leader, 2, rg_buf_span(&request)), RG_OK);
    for (int i = 0; atomic_load(&told) == NULL && i < 3000; i++)
        usleep(10000);
    ck_assert_ptr_nonnull(atomic_load(&told));
    ck_assert_int_eq(rg_relay_decode(rg_span(told->data, told->len - 1), &type, &n, &fields), RG_OK);
    ck_assert_int_eq(type, RG_RELAY_ANSWER);
    ck_assert_int_eq(rg_relay_get_answer(fields, &answer), RG_OK);
    ck_assert_int_ge(answer.status, 400);
    for (size_t i = 0; i < answer.n_headers; i++) /* who is not let in does not learn how much is written */
        ck_assert(!rg_span_is(answer.headers[i].name, "regent-revision") || strstr(lies[_i].want, "read only") != NULL);
    ck_assert_msg(strstr((const char *)answer.body.p, lies[_i].want) != NULL, "%s", (const char *)answer.body.p);
    ck_assert_uint_eq(af.node.submitted, 0);
    rg_buf_deinit(told);
    free(told);
    rg_buf_deinit(&request);
    rg_relay_free(leader);
}
