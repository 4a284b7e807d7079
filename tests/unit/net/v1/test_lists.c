/* net/v1: access, who, export, accounts; long ones are streamed. */
#include <sys/socket.h>

#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

CASE(.setup = open_world, .teardown = af_close);

/* ---- access, who, export ---- */

static const struct {
    const char *path, *lines;
} access_cases[] = {
    {"/v1/access",
     "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\nbob\t111111111111\tView\nbob\t222222222222\tView\n"},
    {"/v1/access?format=tsv&user=bob", "bob\t111111111111\tView\nbob\t222222222222\tView\n"},
    {"/v1/access?account=prod", "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\nbob\t111111111111\tView\n"},
    {"/v1/access?account=111111111111&permissionSet=Admin", "Alice\t111111111111\tAdmin\n"},
    {"/v1/access?permissionSet=View&user=alice", "Alice\t111111111111\tView\n"},
    {"/v1/access?user=carol", ""},
    {"/v1/access?limit=2", "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\n"},
    {"/v1/access?limit=2&after=Alice%09111111111111%09Admin", "Alice\t111111111111\tView\nbob\t111111111111\tView\n"},
    {"/v1/access?after=Alice%09111111111111%09View", "bob\t111111111111\tView\nbob\t222222222222\tView\n"},
    {"/v1/access?after=bob%09222222222222%09View", ""},
    {"/v1/access?after=B", "bob\t111111111111\tView\nbob\t222222222222\tView\n"},
};

TEST(access_lines)
{
    for (size_t i = 0; i < RG_LEN(access_cases); i++) {
        struct answer a;

        ask(&a, "GET", access_cases[i].path, "");
        ck_assert_int_eq(a.status, 200);
        ck_assert_msg(strcmp((char *)a.body.data, access_cases[i].lines) == 0, "%s: %s", access_cases[i].path,
                      (char *)a.body.data);
        ck_assert_str_eq(header(&a, "content-type"), "text/tab-separated-values; charset=utf-8");
        ck_assert_uint_eq(index_of(&a), af.fix.index);
        answer_free(&a);
    }
}

TEST(access_as_json_pages)
{
    char path[512], next[256] = "";
    size_t n = 0;
    struct answer a;

    for (int page = 0; page < 10; page++) {
        const char *more;

        snprintf(path, sizeof path, "/v1/access?format=json&limit=3%s%s", next[0] != '\0' ? "&after=" : "", next);
        ask(&a, "GET", path, "");
        ck_assert_int_eq(a.status, 200);
        ck_assert_ptr_nonnull(a.json);
        n += json_array_size(json_object_get(a.json, "access"));
        ck_assert_str_eq(text_at(a.json, "revision"), header(&a, "regent-revision"));
        more = json_string_value(json_object_get(a.json, "next"));
        next[0] = '\0';
        for (const char *c = more != NULL ? more : ""; *c != '\0'; c++)
            sprintf(next + strlen(next), *c == '\t' ? "%%09" : "%c", *c);
        if (page == 0)
            ck_assert_str_eq(text_at(json_array_get(json_object_get(a.json, "access"), 2), "userName"), "bob");
        answer_free(&a);
        if (next[0] == '\0')
            break;
    }
    ck_assert_uint_eq(n, 4);
}

TEST(who)
{
    struct answer a;
    json_t *users;

    ask(&a, "GET", "/v1/who?account=prod", "");
    users = json_object_get(a.json, "users");
    ck_assert_uint_eq(json_array_size(users), 2);
    ck_assert_str_eq(text_at(json_array_get(users, 0), "userName"), "Alice");
    ck_assert_str_eq(text_at(json_array_get(users, 0), "userId"), ALICE);
    ck_assert_str_eq(text_at(json_array_get(users, 1), "userName"), "bob");
    answer_free(&a);
    ask(&a, "GET", "/v1/who?account=222222222222&permissionSet=Admin", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "users")), 0);
    ck_assert_ptr_nonnull(json_object_get(a.json, "revision"));
    answer_free(&a);
}

TEST(names_that_are_prefixes_of_each_other)
{
    /* '!' and TAB: a name that goes on with a byte below another's TAB would come first. */
    static const char *const want = "Alice\t111111111111\tAdmin\nAlice\t111111111111\tView\nbob\t111111111111\tView\n"
                                    "bob\t222222222222\tView\nbob!\t111111111111\tAdmin\nbob-a\t111111111111\tAdmin\n";
    struct answer a;

    af_apply(RG_CMD_USER_CREATE, "id=u7 name=bob-a");
    af_apply(RG_CMD_USER_CREATE, "id=u8 name=bob!");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m7 group=g1 user=u7");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m8 group=g1 user=u8");
    ask(&a, "GET", "/v1/access", "");
    ck_assert_str_eq((char *)a.body.data, want);
    answer_free(&a);
}

TEST(export_shape)
{
    struct answer a;
    json_t *v;

    af_apply(RG_CMD_USER_CREATE, "id=u9 name=Zoë\"x ext=okta|00u1 attrs={\"Title\":\"Dr\"}");
    af_apply(RG_CMD_USER_CREATE, "id=ua name=zz attrs={\"title\":\"Dr\"}");
    ask(&a, "GET", "/v1/export", "");
    ck_assert_msg(a.status == 200 && a.json != NULL, "%s", (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "format"), "idc-org-dataset/1");
    v = json_object_get(a.json, "users");
    ck_assert_uint_eq(json_array_size(v), 5);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "userName"), "Alice");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "displayName"), "Alice");
    ck_assert_str_eq(text_at(json_array_get(v, 1), "userName"), "Zoë\"x");
    ck_assert_str_eq(text_at(json_object_get(json_array_get(v, 1), "attributes"), "Title"), "Dr");
    ck_assert_ptr_nonnull(strstr((char *)a.body.data, "{\"userName\":\"zz\",\"attributes\":{\"Title\":\"Dr\"}}")); /* under either's names */
    ck_assert_str_eq(text_at(json_array_get(json_object_get(json_array_get(v, 1), "externalIds"), 0), "issuer"),
                     "okta");
    ck_assert_str_eq(text_at(json_array_get(v, 3), "status"), "DISABLED");
    v = json_object_get(a.json, "groups");
    ck_assert_uint_eq(json_array_size(v), 2);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "displayName"), "Admins");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "description"), "all");
    ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(v, 0), "members")), 2);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json_array_get(v, 0), "members"), 1)), "carol");
    v = json_object_get(a.json, "accounts");
    ck_assert_uint_eq(json_array_size(v), 2);
    ck_assert_str_eq(text_at(json_array_get(v, 1), "id"), "222222222222");
    ck_assert_str_eq(text_at(json_array_get(v, 1), "description"), "x");
    v = json_object_get(a.json, "permissionSets");
    ck_assert_uint_eq(json_array_size(v), 2);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "sessionDuration"), "PT8H");
    ck_assert_uint_eq(json_array_size(json_object_get(json_array_get(v, 0), "managedPolicies")), 1);
    v = json_object_get(a.json, "assignments");
    ck_assert_uint_eq(json_array_size(v), 4);
    ck_assert_str_eq(text_at(json_array_get(v, 0), "principalType"), "GROUP");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "principal"), "Admins");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "account"), "111111111111");
    ck_assert_str_eq(text_at(json_array_get(v, 0), "permissionSet"), "Admin");
    answer_free(&a);
}

/* ---- accounts ---- */

TEST(accounts)
{
    struct answer a;
    uint64_t before;

    ask(&a, "GET", "/v1/accounts", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "accounts")), 2);
    ck_assert_ptr_null(json_object_get(a.json, "next"));
    before = index_of(&a);
    answer_free(&a);
    ask(&a, "PUT", "/v1/accounts/333333333333", "{\"name\":\"new\",\"description\":\"d\\\"e\"}");
    ck_assert_msg(a.status == 200, "%s", (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "id"), "333333333333");
    ck_assert_str_eq(text_at(a.json, "name"), "new");
    ck_assert_str_eq(text_at(a.json, "description"), "d\"e");
    ck_assert_uint_eq(index_of(&a), before + 1);
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", "");
    ck_assert_str_eq(text_at(a.json, "description"), "d\"e");
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts?limit=2", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "accounts")), 2);
    ck_assert_str_eq(text_at(a.json, "next"), "222222222222");
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts?limit=2&after=222222222222", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "accounts")), 1);
    answer_free(&a);
    ask(&a, "DELETE", "/v1/accounts/333333333333", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_uint_eq(index_of(&a), before + 2);
    answer_free(&a);
    ask(&a, "GET", "/v1/accounts/333333333333", "");
    ck_assert_int_eq(a.status, 404);
    answer_free(&a);
}

/* ---- long answers ---- */

static void load_many(unsigned users)
{
    af_apply(RG_CMD_GROUP_CREATE, "id=ga name=all");
    for (unsigned i = 0; i < 20; i++) {
        char fields[200];

        snprintf(fields, sizeof fields, "account=9000000000%02u permset=p1 ptype=G principal=ga request=ra%u", i, i);
        af_apply(RG_CMD_ASSIGNMENT_CREATE, fields);
    }
    for (unsigned i = 0; i < users; i++) {
        char fields[200];

        snprintf(fields, sizeof fields, "id=x%05u name=user-%05u@example.com", i, (i * 7919) % users);
        af_apply(RG_CMD_USER_CREATE, fields);
        snprintf(fields, sizeof fields, "membership=x%05u group=ga user=x%05u", i, i);
        af_apply(RG_CMD_MEMBERSHIP_CREATE, fields);
    }
}

static void check_order(const struct answer *a, size_t want)
{
    const char *last = "";
    size_t n = 0;

    for (char *line = strtok((char *)a->body.data, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        ck_assert_msg(strcmp(last, line) < 0, "%s before %s", last, line);
        last = line;
        n++;
    }
    ck_assert_uint_eq(n, want);
}

TEST(a_long_list_is_streamed)
{
    struct answer a;

    load_many(3000);
    ask(&a, "GET", "/v1/access", "");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(header(&a, "transfer-encoding"), "chunked");
    ck_assert_ptr_nonnull(header(&a, "regent-revision"));
    check_order(&a, 3000 * 20 + 4);
    answer_free(&a);
    ask(&a, "GET", "/v1/export", "");
    ck_assert_ptr_nonnull(a.json);
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "users")), 3003);
    answer_free(&a);
}

/* Clients that go away in the middle, and others that are served meanwhile. */
TEST(streams_whose_clients_go)
{
    static const char request[] = "GET /v1/access HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " API_TOKEN "\r\n\r\n";
    struct answer a;
    char some[1000];
    int fds[6];

    load_many(1000);
    for (size_t i = 0; i < RG_LEN(fds); i++) {
        fds[i] = af_connect();
        af_send(fds[i], request, sizeof request - 1);
    }
    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    for (size_t i = 0; i < RG_LEN(fds); i++) {
        ck_assert_int_gt(recv(fds[i], some, sizeof some, 0), 0);
        close(fds[i]);
    }
    ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
}
