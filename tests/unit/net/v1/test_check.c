/* net/v1: checks, one and many. */
#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

CASE(.setup = open_world, .teardown = af_close);

static const struct {
    const char *body;
    bool allowed;
    const char *reason;
    size_t via;
} checks[] = {
    {BODY("Alice", "111111111111", "Admin"), true, "Granted", 2},
    {BODY("alice", "prod", "Admin"), true, "Granted", 2},
    {BODY(ALICE, "prod", "View"), true, "Granted", 1},
    {BODY("0123456789-" ALICE, "prod", "View"), true, "Granted", 1},
    {BODY("9999999999-" ALICE, "prod", "View"), false, "UserNotFound", 0},
    {BODY("bob", "222222222222", "View"), true, "Granted", 1},
    {BODY("bob", "dev", "ps-7032000000000000"), true, "Granted", 1},
    {BODY("bob", "dev", "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-7032000000000000"), true, "Granted", 1},
    {BODY("bob", "dev", "arn:aws:sso:::permissionSet/ssoins-ffffffffffffffff/ps-7032000000000000"), false,
     "PermissionSetNotFound", 0},
    {BODY("bob", "dev", "Admin"), false, "NotAssigned", 0},
    {BODY("carol", "prod", "Admin"), false, "UserDisabled", 0},
    {BODY("carol", "nope", "nope"), false, "UserDisabled", 0},
    {BODY("nobody", "prod", "Admin"), false, "UserNotFound", 0},
    {BODY("bob", "nope", "Admin"), false, "AccountNotFound", 0},
    {BODY("bob", "333333333333", "Admin"), false, "AccountNotFound", 0},
    {BODY("bob", "prod", "nope"), false, "PermissionSetNotFound", 0},
    {BODY("bob", "prod", "view"), false, "PermissionSetNotFound", 0}, /* names of sets keep their case */
    {BODY("", "", ""), false, "UserNotFound", 0},
    {BODY("bob", "", "Admin"), false, "AccountNotFound", 0},
    {" {\n\"permissionSet\" : \"Admin\" ,\t\"user\":\"alice\",\"account\":\"prod\"\r\n} ", true, "Granted", 2},
    {"{\"user\":\"\\u0061lice\",\"account\":\"prod\",\"permissionSet\":\"Admin\"}", true, "Granted",
     2}, /* the other parser */
};

TEST(check_says_and_says_why)
{
    for (size_t i = 0; i < RG_LEN(checks); i++) {
        struct answer a;
        json_t *via;

        for (int again = 0; again < 2; again++) { /* names of accounts are kept */
            ask(&a, "POST", "/v1/check", checks[i].body);
            ck_assert_msg(a.status == 200, "%s: %d %s", checks[i].body, a.status, (char *)a.body.data);
            ck_assert_msg(json_is_true(json_object_get(a.json, "allowed")) == checks[i].allowed, "%s: %s",
                          checks[i].body, (char *)a.body.data);
            ck_assert_str_eq(text_at(a.json, "reason"), checks[i].reason);
            via = json_object_get(a.json, "via");
            ck_assert_uint_eq(json_array_size(via), checks[i].via);
            if (checks[i].via == 2) {
                ck_assert_str_eq(text_at(json_array_get(via, 0), "type"), "USER");
                ck_assert_str_eq(text_at(json_array_get(via, 0), "id"), ALICE);
                ck_assert_str_eq(text_at(json_array_get(via, 0), "name"), "Alice");
                ck_assert_str_eq(text_at(json_array_get(via, 1), "type"), "GROUP");
                ck_assert_str_eq(text_at(json_array_get(via, 1), "name"), "Admins");
            }
            ck_assert_str_eq(text_at(a.json, "revision"), header(&a, "regent-revision"));
            ck_assert_uint_eq(index_of(&a), af.fix.index);
            answer_free(&a);
        }
    }
}

static const struct {
    const char *body, *code, *says;
} bad_checks[] = {
    {"", "ValidationException", "user: is missing"},
    {"{}", "ValidationException", "user: is missing"},
    {"{\"user\":\"a\",\"account\":\"b\"}", "ValidationException", "permissionSet: is missing"},
    {"{\"user\":1,\"account\":\"b\",\"permissionSet\":\"c\"}", "ValidationException", "user: must be a string"},
    {"{\"user\":\"a\",\"account\":\"b\",\"permissionSet\":\"c\",\"more\":1}", "ValidationException", "nothing else"},
    {"{\"user\":\"a\",\"action\":\"x\",\"resource\":\"y\"}", "ValidationException", "not served yet"},
    {"{\"user\":\"a\",\"user\":\"b\",\"account\":\"b\",\"permissionSet\":\"c\"}", "SerializationException", ""},
    {"{\"user\":\"a\",\"account\":\"b\",\"permissionSet\":\"c\"} x", "SerializationException", ""},
    {"{\"user\":\"a\xff\",\"account\":\"b\",\"permissionSet\":\"c\"}", "SerializationException", ""},
    {"{\"user\":\"a\\u0000\",\"account\":\"b\",\"permissionSet\":\"c\"}", "SerializationException", ""},
    {"\"x\"", "SerializationException", ""},
    {"{\"checks\":[]}", "ValidationException", "1 to 100"},
    {"{\"checks\":{}}", "ValidationException", "1 to 100"},
    {"{\"checks\":[1]}", "ValidationException", "checks[0]"},
    {"{\"checks\":[{\"user\":\"a\"}]}", "ValidationException", "checks[0]: account: is missing"},
    {"{\"checks\":[{\"user\":\"a\"}],\"x\":1}", "ValidationException", "stands alone"},
};

TEST(checks_that_cannot_be_read)
{
    for (size_t i = 0; i < RG_LEN(bad_checks); i++) {
        struct answer a;

        ask(&a, "POST", "/v1/check", bad_checks[i].body);
        ck_assert_msg(a.status == 400, "%s: %d %s", bad_checks[i].body, a.status, (char *)a.body.data);
        ASSERT_CODE(&a, 400, bad_checks[i].code);
        ck_assert_msg(strstr(text_at(a.json, "message"), bad_checks[i].says) != NULL, "%s", text_at(a.json, "message"));
        answer_free(&a);
    }
}

TEST(many_checks_in_one)
{
    struct answer a;
    struct rg_buf body;
    json_t *results;

    ask(&a, "POST", "/v1/check",
        "{\"checks\":[" BODY("alice", "prod", "Admin") "," BODY("bob", "prod", "Admin") "," BODY("x", "y", "z") "]}");
    ck_assert_int_eq(a.status, 200);
    results = json_object_get(a.json, "results");
    ck_assert_uint_eq(json_array_size(results), 3);
    ck_assert(json_is_true(json_object_get(json_array_get(results, 0), "allowed")));
    ck_assert_str_eq(text_at(json_array_get(results, 1), "reason"), "NotAssigned");
    ck_assert_str_eq(text_at(json_array_get(results, 2), "reason"), "UserNotFound");
    answer_free(&a);
    rg_buf_init(&body, 1 << 20);
    rg_buf_put_str(&body, "{\"checks\":[");
    for (int i = 0; i < 101; i++)
        rg_buf_printf(&body, "%s%s", i > 0 ? "," : "", BODY("alice", "prod", "Admin"));
    rg_buf_put(&body, "]}", 3);
    ask(&a, "POST", "/v1/check", (char *)body.data);
    ASSERT_CODE(&a, 400, "ValidationException");
    answer_free(&a);
    rg_buf_deinit(&body);
}

TEST(accounts_of_one_name_are_told_apart)
{
    struct answer a;

    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
    ck_assert(json_is_true(json_object_get(a.json, "allowed")));
    answer_free(&a);
    af_apply(RG_CMD_ACCOUNT_PUT, "account=333333333333 name=prod");
    for (int i = 0; i < 4; i++) {
        ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
        ASSERT_CODE(&a, 400, "ValidationException");
        answer_free(&a);
    }
    af_apply(RG_CMD_ACCOUNT_PUT, "account=111111111111 name=other");
    for (int i = 0; i < 4; i++) {
        ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
        ck_assert_str_eq(text_at(a.json, "reason"), "NotAssigned");
        answer_free(&a);
    }
}
