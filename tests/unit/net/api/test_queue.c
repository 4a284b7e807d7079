/* Writes that wait, over a real server: which, when, how they are answered, and /v1/intents. */
#include "base/prng.h"
#include "tests/lib/api_rig.h"

#include "tests/lib/check_main.h"
#include "tests/sim/simlanes.h"

#define QUEUE "Regent-Intent: queue\r\n"

/* The disk answers at once. */
static struct simlanes lanes;
static uint64_t clock_ms;

static void lane_work(struct rg_io *io, enum rg_lane lane, struct rg_work *work)
{
    work->run(work);
    work->done(work);
}
static uint64_t lane_now(struct rg_io *io) { return ++clock_ms; }
static uint64_t drawn(struct rg_io *io)
{
    static struct rg_prng prng;

    (void)io;
    if (prng.seed == 0)
        rg_prng_init(&prng, 1);
    return rg_prng_u64(&prng);
}

static int64_t lane_wall(struct rg_io *io) { return 1767323045678; }

static enum rg_err q_primary(void *arg)
{
    struct rg_node_status s;

    node_status(&af.node, &s);
    return s.leader || s.primary_reachable ? RG_OK : RG_ENOPRIMARY;
}

static enum rg_err q_try(void *arg, struct rg_span cmd, struct rg_reply *ret_reply)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_txn_begin(af.fix.store, RG_TXN_WRITE, &txn);

    return err ? err : rg_fsm_apply(txn, af.fix.index + 1, (uint64_t)API_EPOCH << 32 | 1, cmd, ret_reply);
}

static void q_forward(void *arg, struct rg_proposal *p)
{
    p->err = RG_ENOPRIMARY;
    p->on_done(p);
}

static void make_intents(void)
{
    const struct rg_intents_config config = {.io = &lanes.io, .store = af.fix.store, .log = &af.log, .data_dir = "d",
                                             .seal = {af.keys, "us-east-1", API_ARN, API_STORE}, .primary = q_primary,
                                             .try = q_try, .forward = q_forward};
    struct rg_errctx ctx = {.text = ""};

    simlanes_init(&lanes, simdisk_new(1));
    lanes.io.work = lane_work;
    lanes.io.now_ms = lane_now;
    lanes.io.wall_ms = lane_wall;
    lanes.io.random = drawn;
    ck_assert_int_eq(lanes.io.mkdir(&lanes.io, "d", NULL), RG_OK);
    ck_assert_msg(rg_intents_new(&config, &af.intents, &ctx) == RG_OK, "%s", ctx.text);
}

static void setup(void)
{
    af_before_serve = make_intents;
    af_open();
    API_STATUS(leader, false);
    API_STATUS(primary_reachable, false);
    API_STATUS(leader_id, 2);
}

static void teardown(void)
{
    struct rg_intents *intents = af.intents;

    rg_intents_stop(intents);
    af_close();
    rg_intents_free(intents);
    simdisk_free(lanes.disk);
}

static void aws(struct answer *a, const char *target, const char *more, const char *body)
{
    char headers[512];

    snprintf(headers, sizeof headers, "X-Amz-Target: %s\r\n%s", target, more);
    ask_with(a, "POST", "/", headers, body);
}

#define MEMBERSHIP "6d310000-0000-0000-0000-000000000000" /* fix_id("m1") */
#define DELETE_MEMBER "{\"IdentityStoreId\":\"" API_STORE "\",\"MembershipId\":\"" MEMBERSHIP "\"}"
#define CREATE_USER "{\"IdentityStoreId\":\"" API_STORE "\",\"UserName\":\"erin\",\"DisplayName\":\"Erin\"}"

CASE(.setup = setup, .teardown = teardown);

TEST(a_write_that_asks_to_is_kept)
{
    char id[64], path[128];
    struct answer a;

    aws(&a, "AWSIdentityStore.DeleteGroupMembership", QUEUE, DELETE_MEMBER);
    ck_assert_msg(a.status == 202, "%d %s", a.status, (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "status"), "QUEUED");
    ck_assert_str_eq(text_at(a.json, "region"), "us-east-1");
    ck_assert(json_is_true(json_object_get(a.json, "auto")));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "not in effect"));
    snprintf(id, sizeof id, "%s", text_at(a.json, "intentId"));
    answer_free(&a);
    aws(&a, "AWSIdentityStore.DeleteGroupMembership", QUEUE, DELETE_MEMBER);
    ck_assert_str_eq(text_at(a.json, "intentId"), id);
    answer_free(&a);
    aws(&a, "AWSIdentityStore.DescribeGroupMembership", QUEUE, DELETE_MEMBER); /* reads take no notice */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    snprintf(path, sizeof path, "/v1/intents/%s", id);
    ask(&a, "GET", path, "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(text_at(json_object_get(a.json, "command"), "kind"), "MEMBERSHIP_DELETE");
    ck_assert_str_eq(text_at(a.json, "since"), "2026-01-02T03:04:05.678Z");
    ck_assert(json_is_false(json_object_get(a.json, "waitsForApproval")));
    answer_free(&a);
    ask_with(&a, "PUT", "/v1/accounts/333333333333", QUEUE, "{\"name\":\"new\"}");
    ck_assert_int_eq(a.status, 202);
    ck_assert(json_is_false(json_object_get(a.json, "auto")));
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", "");
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 0);
}

static const struct {
    const char *name, *target, *headers, *body;
    int status;
    const char *code, *text;
} refusals[] = {
    {"not asked to", "AWSIdentityStore.DeleteGroupMembership", "", DELETE_MEMBER, 503, "PrimaryUnavailable", ""},
    {"another word", "AWSIdentityStore.CreateUser", "Regent-Intent: please\r\n", CREATE_USER, 400, "ValidationException", "must be queue"},
    {"twice", "AWSIdentityStore.CreateUser", QUEUE QUEUE, CREATE_USER, 400, "ValidationException", "repeated"},
    {"regions", "AWSIdentityStore.CreateUser", QUEUE "Regent-Wait-Regions: 1\r\n", CREATE_USER, 400, "ValidationException", "Wait-Regions"},
    {"as a write is", "AWSIdentityStore.CreateUser", QUEUE, "{\"IdentityStoreId\":\"" API_STORE "\",\"UserName\":\"ALICE\"}", 400,
     "ConflictException", "Duplicate UserName"},
    {"the body", "AWSIdentityStore.CreateUser", QUEUE, "{\"IdentityStoreId\":\"" API_STORE "\"}", 400, "ValidationException", "userName"},
    {"no command", "SWBExternalService.ProvisionPermissionSet", QUEUE,
     "{\"InstanceArn\":\"" API_ARN "\",\"PermissionSetArn\":\"arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-7031000000000000\","
     "\"TargetType\":\"ALL_PROVISIONED_ACCOUNTS\"}",
     400, "ValidationException", "cannot wait"},
    {"regions", "SWBExternalService.AddRegion", QUEUE, "{\"InstanceArn\":\"" API_ARN "\",\"RegionName\":\"eu-west-1\"}", 400,
     "ValidationException", "cannot wait"},
};

LOOP(and_is_refused_like_any_other, RG_LEN(refusals))
{
    struct answer a;

    aws(&a, refusals[_i].target, refusals[_i].headers, refusals[_i].body);
    ck_assert_msg(a.status == refusals[_i].status && strcmp(text_at(a.json, "__type"), refusals[_i].code) == 0 &&
                      strstr(text_at(a.json, "message"), refusals[_i].text) != NULL,
                  "%s: %d %s", refusals[_i].name, a.status, (char *)a.body.data);
    answer_free(&a);
    ask(&a, "GET", "/v1/intents", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "intents")), 0);
    answer_free(&a);
}

TEST(nothing_waits_while_there_is_a_primary)
{
    struct answer a;

    API_STATUS(primary_reachable, true);
    aws(&a, "AWSIdentityStore.CreateUser", QUEUE, CREATE_USER);
    ck_assert_int_eq(a.status, 421);
    answer_free(&a);
    API_STATUS(leader, true);
    aws(&a, "AWSIdentityStore.CreateUser", QUEUE, CREATE_USER);
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 1);
    API_STATUS(leader, false);
    API_STATUS(primary_reachable, false);
    API_STATUS(diverged, true); /* what it would check against is not the state */
    aws(&a, "AWSIdentityStore.DeleteGroupMembership", QUEUE, DELETE_MEMBER);
    ck_assert_int_eq(a.status, 503);
    answer_free(&a);
}

TEST(administrators_decide)
{
    const char *reader = "Authorization: Bearer " API_READ_TOKEN "\r\n";
    char id[64], path[128];
    struct answer a;

    aws(&a, "AWSIdentityStore.CreateUser", QUEUE, CREATE_USER);
    ck_assert_int_eq(a.status, 202);
    snprintf(id, sizeof id, "%s", text_at(a.json, "intentId"));
    answer_free(&a);
    ask_raw(&a, "GET", "/v1/intents?status=QUEUED", reader, "", 0);
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "intents")), 1);
    answer_free(&a);
    snprintf(path, sizeof path, "/v1/intents/%s/approve", id);
    ask_raw(&a, "POST", path, reader, "", 0);
    ck_assert_int_eq(a.status, 403);
    answer_free(&a);
    ask(&a, "GET", path, "");
    ck_assert_int_eq(a.status, 405);
    answer_free(&a);
    ask(&a, "POST", path, "");
    ck_assert_msg(a.status == 200, "%d %s", a.status, (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "approvedBy"), API_KEY);
    ck_assert_str_eq(text_at(a.json, "status"), "QUEUED");
    answer_free(&a);
    ask(&a, "POST", path, "");
    ck_assert_int_eq(a.status, 409);
    answer_free(&a);
    snprintf(path, sizeof path, "/v1/intents/%s/drop", id);
    ask(&a, "POST", path, "");
    ck_assert_str_eq(text_at(a.json, "status"), "DROPPED");
    ck_assert_str_eq(text_at(a.json, "droppedBy"), API_KEY);
    answer_free(&a);
    ask(&a, "GET", "/metrics", "");
    ck_assert_ptr_nonnull(strstr((char *)a.body.data, "regent_intents{region=\"us-east-1\",status=\"DROPPED\"} 1\n"));
    ck_assert_ptr_nonnull(strstr((char *)a.body.data, "regent_intents_unreadable{region=\"us-east-1\"} 0\n"));
    answer_free(&a);
}

static const struct {
    const char *method, *path;
    int status;
} strays[] = {
    {"GET", "/v1/intents?status=LOST", 400},
    {"GET", "/v1/intents?after=x", 400},
    {"GET", "/v1/intents?limit=0", 400},
    {"GET", "/v1/intents?limit=101", 400},
    {"GET", "/v1/intents?what=1", 400},
    {"GET", "/v1/intents/x", 400},
    {"GET", "/v1/intents/00000000-0000-4000-8000-000000000000", 404},
    {"POST", "/v1/intents/00000000-0000-4000-8000-000000000000/approve", 404},
    {"POST", "/v1/intents/x/drop", 400},
    {"POST", "/v1/intents", 405},
};

LOOP(requests_that_make_no_sense, RG_LEN(strays))
{
    struct answer a;

    ask(&a, strays[_i].method, strays[_i].path, "");
    ck_assert_msg(a.status == strays[_i].status, "%s: %d %s", strays[_i].path, a.status, (char *)a.body.data);
    answer_free(&a);
}

TEST(pages)
{
    char path[128] = "/v1/intents?limit=2", body[256];
    size_t seen = 0;
    struct answer a;

    for (unsigned i = 0; i < 5; i++) {
        snprintf(body, sizeof body, "{\"IdentityStoreId\":\"" API_STORE "\",\"UserName\":\"user%u\"}", i);
        aws(&a, "AWSIdentityStore.CreateUser", QUEUE, body);
        ck_assert_int_eq(a.status, 202);
        answer_free(&a);
    }
    while (path[0] != '\0') {
        const json_t *page;

        ask(&a, "GET", path, "");
        ck_assert_int_eq(a.status, 200);
        page = json_object_get(a.json, "intents");
        for (size_t i = 0; i < json_array_size(page); i++)
            ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(page, i), "sequence")), (json_int_t)++seen);
        path[0] = '\0';
        if (json_object_get(a.json, "next") != NULL)
            snprintf(path, sizeof path, "/v1/intents?limit=2&after=%s", text_at(a.json, "next"));
        answer_free(&a);
    }
    ck_assert_uint_eq(seen, 5);
}
