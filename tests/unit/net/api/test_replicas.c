/* net/api: who takes writes, and what is said where nobody does. */
#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

CASE(.setup = open_world, .teardown = af_close);

TEST(a_replica_names_the_primary)
{
    struct answer a;

    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    ask(&a, "PUT", "/v1/accounts/333333333333?x=1", "{\"name\":\"x\"}");
    ASSERT_CODE(&a, 421, "NotPrimary");
    ck_assert_str_eq(header(&a, "location"), "https://two.example:2/v1/accounts/333333333333?x=1");
    answer_free(&a);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 421);
    ck_assert_str_eq(text_at(a.json, "__type"), "NotPrimary");
    ck_assert_str_eq(header(&a, "location"), "https://two.example:2/");
    answer_free(&a);
    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin")); /* reads go on */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ck_assert_uint_eq(af.node.submitted, 0);
}

TEST(a_primary_not_heard)
{
    struct answer a;

    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    API_STATUS(primary_reachable, false);
    API_STATUS(primary_heard_ms_ago, 42500);
    ask(&a, "DELETE", "/v1/accounts/222222222222", "");
    ASSERT_CODE(&a, 503, "PrimaryUnavailable");
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "has not been heard for 42 s"));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "https://two.example:2"));
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    answer_free(&a);
    API_STATUS(leader_id, 0);
    API_STATUS(primary_heard_ms_ago, UINT64_MAX);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_str_eq(text_at(a.json, "__type"), "PrimaryUnavailable");
    answer_free(&a);
}

TEST(an_alarm_refuses_writes_alone)
{
    struct answer a;

    API_STATUS(alarm, true);
    aws(&a, "Write", "", "{}");
    ck_assert_int_eq(a.status, 503);
    ck_assert_ptr_nonnull(header(&a, "retry-after"));
    ck_assert_ptr_nonnull(strstr(text_at(a.json, "message"), "ahead"));
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts", "");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}

static const struct {
    enum rg_err err;
    int status;
    const char *type;
} outcomes[] = {
    {RG_EBUSY, 400, "ThrottlingException"},
    {RG_ESTOPPED, 503, "InternalServerException"},
    {RG_ENOTPRIMARY, 503, "PrimaryUnavailable"},
    {RG_EIO, 500, "InternalServerException"},
};

TEST(what_the_node_answers)
{
    for (size_t i = 0; i < RG_LEN(outcomes); i++) {
        struct answer a;

        af.node.refuse = outcomes[i].err;
        aws(&a, "Write", "", "{}");
        ck_assert_int_eq(a.status, outcomes[i].status);
        ck_assert_str_eq(text_at(a.json, "__type"), outcomes[i].type);
        answer_free(&a);
    }
}
