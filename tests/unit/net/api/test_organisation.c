/* net/api: a real organisation through the API; skips without its data. */
#include "tests/lib/api_rig.h"
#include "tests/lib/check_main.h"
#include "tests/lib/organisation.h"

CASE(.setup = af_open_bare, .teardown = af_close);

TEST(kubernetes)
{
    static const char *const arrays[] = {"users", "groups", "accounts", "permissionSets", "assignments"};
    json_t *root = organisation_read(), *facts;
    uint8_t digest[32];
    char hex[65];
    struct answer a;

    if (root == NULL)
        return;
    af_init_instance();
    pthread_mutex_lock(&af.node.mutex);
    af.fix.index = organisation_load(af.fix.store, root, af.fix.index, (uint64_t)API_EPOCH << 32 | 1);
    af.node.status.applied = (struct rg_rev){API_EPOCH, af.fix.index};
    pthread_mutex_unlock(&af.node.mutex);
    facts = json_object_get(root, "facts");
    ask(&a, "GET", "/v1/access", "");
    ck_assert_int_eq(a.status, 200);
    rg_sha256(rg_buf_span(&a.body), digest);
    rg_hex(hex, digest, sizeof digest);
    ck_assert_str_eq(hex, text_at(facts, "effectiveAccessSha256"));
    answer_free(&a);
    ask(&a, "GET", "/v1/access?format=json", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "access")),
                      (size_t)json_integer_value(json_object_get(facts, "effectiveAccess")));
    answer_free(&a);
    ask(&a, "GET", "/v1/export", "");
    ck_assert_ptr_nonnull(a.json);
    for (size_t i = 0; i < RG_LEN(arrays); i++)
        ck_assert_uint_eq(json_array_size(json_object_get(a.json, arrays[i])),
                          json_array_size(json_object_get(root, arrays[i])));
    answer_free(&a);
    json_decref(root);
}
