/* net/api: waiting for revisions, and writes that wait or met another. */
#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

CASE(.setup = open_world, .teardown = af_close);

static void revision_headers(char out[256], uint64_t epoch, uint64_t index, const char *wait_ms)
{
    snprintf(out, 256, "Regent-Min-Revision: %llu.%llu\r\n%s%s%s", (unsigned long long)epoch, (unsigned long long)index,
             wait_ms != NULL ? "Regent-Wait-Ms: " : "", wait_ms != NULL ? wait_ms : "", wait_ms != NULL ? "\r\n" : "");
}

static void *apply_later(void *arg)
{
    usleep(100000);
    af_apply(RG_CMD_ACCOUNT_PUT, "account=555555555555 name=later");
    return arg;
}

TEST(a_revision_there_already)
{
    char headers[256];
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index, "0");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

TEST(a_revision_reached_later)
{
    char headers[256];
    pthread_t thread;
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index + 1, "20000");
    ck_assert_int_eq(pthread_create(&thread, NULL, apply_later, NULL), 0);
    ask_with(&a, "GET", "/v1/accounts/555555555555", headers, "");
    pthread_join(thread, NULL);
    ck_assert_msg(a.status == 200, "%s", (char *)a.body.data);
    ck_assert_uint_ge(index_of(&a), af.fix.index);
    answer_free(&a);
}

TEST(a_revision_not_reached)
{
    char headers[256], now[64];
    uint64_t at = af_now_ms();
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index + 1, "150");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 412, "RevisionNotReached");
    ck_assert_uint_ge(af_now_ms() - at, 140);
    snprintf(now, sizeof now, "%d.%llu", API_EPOCH, (unsigned long long)af.fix.index);
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), now));
    ck_assert_str_eq(header(&a, "regent-revision"), now);
    answer_free(&a);
    revision_headers(headers, API_EPOCH, af.fix.index + 1, "150");
    aws(&a, "Read", headers, "{}");
    ck_assert_int_eq(a.status, 412);
    ck_assert_str_eq(text_at(a.json, "__type"), "RevisionNotReached");
    answer_free(&a);
}

TEST(a_lost_revision_and_a_stopping_node)
{
    char headers[256];
    struct answer a;

    revision_headers(headers, API_EPOCH - 1, 5, "1000");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 410, "RevisionLost");
    answer_free(&a);
    af.node.wait_err = RG_EBUSY;
    revision_headers(headers, API_EPOCH + 1, 5, "1000");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 429, "ThrottlingException");
    answer_free(&a);
    af.node.wait_err = RG_ESTOPPED;
    revision_headers(headers, API_EPOCH + 1, 5, "1000");
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    ASSERT_CODE(&a, 503, "Stopping");
    answer_free(&a);
}

static void *ask_far(void *arg)
{
    char headers[256];

    revision_headers(headers, API_EPOCH, af.fix.index + 1000, "60000");
    ask_with(arg, "GET", "/v1/accounts", headers, "");
    return arg;
}

TEST(a_wait_does_not_hold_up_the_end)
{
    uint64_t at = af_now_ms();
    pthread_t thread;
    struct answer a;

    ck_assert_int_eq(pthread_create(&thread, NULL, ask_far, &a), 0);
    usleep(700000); /* into its second slice */
    rg_server_stop(af.server, 3000);
    pthread_join(thread, NULL);
    ck_assert_uint_lt(af_now_ms() - at, 2500);
    ASSERT_CODE(&a, 503, "Stopping");
    answer_free(&a);
    ck_assert_ptr_null(strstr(af.logged, "stop_incomplete"));
    rg_api_free(af.api);
    af.api = NULL;
    af_serve();
}

static void *revoke_later(void *arg)
{
    usleep(100000);
    af_apply(RG_CMD_CREDENTIAL_DELETE, "akid=" API_KEY);
    return arg;
}

TEST(a_credential_taken_away_while_waiting)
{
    char headers[256];
    pthread_t thread;
    struct answer a;

    revision_headers(headers, API_EPOCH, af.fix.index + 1, "20000");
    ck_assert_int_eq(pthread_create(&thread, NULL, revoke_later, NULL), 0);
    ask_with(&a, "GET", "/v1/accounts", headers, "");
    pthread_join(thread, NULL);
    ASSERT_CODE(&a, 403, "UnrecognizedClient");
    answer_free(&a);
}

static const char *const bad_headers[] = {
    "Regent-Min-Revision: 1\r\n",
    "Regent-Min-Revision: 1.x\r\n",
    "Regent-Min-Revision: \r\n",
    "Regent-Min-Revision: 1.2, 1.3\r\n",
    "Regent-Wait-Ms: soon\r\n",
    "Regent-Wait-Ms: -1\r\n",
    "Regent-Wait-Ms: 99999999999\r\n",
    "Regent-Wait-Regions: some\r\n",
    "Regent-Wait-Regions: -1\r\n",
    "Regent-Wait-Regions: 33\r\n",
    "Regent-Wait-Regions: 1\r\nRegent-Wait-Regions: 2\r\n",
};

TEST(headers_that_cannot_be_read)
{
    for (size_t i = 0; i < RG_LEN(bad_headers); i++) {
        struct answer a;

        ask_with(&a, "GET", "/v1/accounts", bad_headers[i], "");
        ck_assert_msg(a.status == 400, "%s: %d", bad_headers[i], a.status);
        ASSERT_CODE(&a, 400, "ValidationException");
        answer_free(&a);
    }
}

TEST(writes_wait_for_regions)
{
    char rev[64];
    struct answer a;

    af.node.regions = 1;
    aws(&a, "Write", "Regent-Wait-Regions: 1\r\n", "{}");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    aws(&a, "Write", "Regent-Wait-Regions: all\r\nRegent-Wait-Ms: 20\r\n", "{}");
    ck_assert_int_eq(a.status, 504);
    ck_assert_str_eq(text_at(a.json, "__type"), "ReplicationTimeout");
    snprintf(rev, sizeof rev, "%d.%llu", API_EPOCH, (unsigned long long)af.fix.index);
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), rev));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "the write stands"));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "only 1 other"));
    ck_assert_str_eq(header(&a, "regent-revision"), rev);
    answer_free(&a);
    ask_with(&a, "PUT", "/v1/accounts/333333333333", "Regent-Wait-Regions: 2\r\n", "{\"name\":\"x\"}");
    ASSERT_CODE(&a, 504, "ReplicationTimeout");
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", ""); /* it stands indeed */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    aws(&a, "Duplicate", "Regent-Wait-Regions: 2\r\n", "{}"); /* a refusal needs no regions */
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    answer_free(&a);
}

TEST(a_write_that_met_another_is_tried_again)
{
    struct answer a;

    af.node.stale = 3;
    aws(&a, "Again", "", "{}");
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "attempts")), 3);
    answer_free(&a);
    af.node.stale = 100;
    aws(&a, "Again", "", "{}");
    ck_assert_int_eq(a.status, 400);
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    ck_assert_uint_eq(af.node.stale, 92); /* eight times, no more */
    answer_free(&a);
    aws(&a, "Write", "", "{}"); /* who does not ask for it is told */
    ck_assert_str_eq(text_at(a.json, "__type"), "ConflictException");
    answer_free(&a);
}

/* ---- how old what is read may be ---- */

static void be_replica(uint64_t fresh_ms)
{
    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    API_STATUS(fresh_ms, fresh_ms);
}

static long stale_of(const struct answer *a)
{
    const char *text = header(a, "regent-stale-ms");

    return text != NULL ? atol(text) : -1;
}

#define CHECK "{\"user\":\"alice\",\"account\":\"prod\",\"permissionSet\":\"Admin\"}"

TEST(an_answer_says_how_old_it_may_be)
{
    struct answer a;

    API_STATUS(lease_held, true);
    API_STATUS(lease_until_ms, UINT64_MAX);
    ask(&a, "POST", "/v1/check", CHECK); /* at the primary */
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_eq(stale_of(&a), 0);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "stale_ms")), 0);
    answer_free(&a);
    API_STATUS(lease_until_ms, af_now_ms() - 1); /* it held a lease, which has ended since; its thread has not turned */
    API_STATUS(fresh_ms, af_now_ms() - 50);
    ask(&a, "POST", "/v1/check", CHECK);
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_ge(stale_of(&a), 50);
    answer_free(&a);
    be_replica(af_now_ms() - 7000);
    ask(&a, "POST", "/v1/check", CHECK);
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_ge(stale_of(&a), 7000);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "stale_ms")), stale_of(&a));
    answer_free(&a);
    be_replica(0); /* it has heard nobody */
    ask(&a, "POST", "/v1/check", CHECK);
    ck_assert_int_eq(a.status, 200);
    ck_assert_int_eq(stale_of(&a), -1);
    ck_assert(json_is_null(json_object_get(a.json, "stale_ms")));
    answer_free(&a);
}

TEST(a_bound_that_cannot_be_kept)
{
    struct answer a;

    be_replica(af_now_ms() - 7000);
    ask_with(&a, "POST", "/v1/check", "Regent-Max-Stale-Ms: 3600000\r\n", CHECK);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask_with(&a, "POST", "/v1/check", "Regent-Max-Stale-Ms: 6999\r\n", CHECK);
    ASSERT_CODE(&a, 503, "TooStale");
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    answer_free(&a);
    aws(&a, "Read", "Regent-Max-Stale-Ms: 6999\r\n", "{}");
    ck_assert_int_eq(a.status, 503);
    answer_free(&a);
    ask_with(&a, "GET", "/v1/status", "Regent-Max-Stale-Ms: 0\r\n", ""); /* what tells how it is, tells it always */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ask_raw(&a, "POST", "/v1/check", "Regent-Max-Stale-Ms: 1\r\n", CHECK, strlen(CHECK)); /* strangers hear nothing of it */
    ck_assert_int_eq(a.status, 401);
    answer_free(&a);
    ask_with(&a, "POST", "/v1/check", "Regent-Max-Stale-Ms: soon\r\n", CHECK);
    ASSERT_CODE(&a, 400, "ValidationException");
    answer_free(&a);
    be_replica(0);
    ask_with(&a, "POST", "/v1/check", "Regent-Max-Stale-Ms: 4000000000\r\n", CHECK);
    ASSERT_CODE(&a, 503, "TooStale");
    answer_free(&a);
}

TEST(who_is_no_member_is_not_ready_for_a_balancer)
{
    struct answer a;

    API_STATUS(applied.index, 7);
    ask_raw(&a, "GET", "/readyz", "", "", 0);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    API_STATUS(member, false);
    ask_raw(&a, "GET", "/readyz", "", "", 0);
    ck_assert_int_eq(a.status, 503);
    answer_free(&a);
}
