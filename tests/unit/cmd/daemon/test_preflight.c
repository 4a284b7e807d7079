/* Preflight: which answers of a candidate are good, and what the others are told. */
#include <stdlib.h>

#include "cmd/daemon/preflight.h"
#include "tests/lib/check_main.h"

static struct rg_config config;
static struct rg_preflight_facts facts;

static void setup(void)
{
    memset(&config, 0, sizeof config);
    config.id = 1;
    strcpy(config.cluster, "rc-1");
    strcpy(config.instance_arn, "arn:aws:sso:::instance/ssoins-1");
    strcpy(config.identity_store_id, "d-1");
    facts = (struct rg_preflight_facts){.config = &config, .region = "ap-south-1", .version = "0.2.0", .node_id = 4,
                                        .sent_us = 1000000000, .got_us = 1000100000, .state_bytes = 100 << 20};
    memset(facts.proof, 0xab, sizeof facts.proof);
}

static json_t *good(void)
{
    char proof[65];

    rg_hex(proof, facts.proof, 32);
    return json_pack("{s:I, s:s, s:s, s:s, s:s, s:s, s:I, s:b, s:s, s:s, s:s, s:I, s:s, s:I, s:s}", "id", (json_int_t)4, "region",
                     "ap-south-1", "cluster", "rc-1", "instanceArn", config.instance_arn, "identityStoreId", "d-1", "version",
                     "0.3.1", "wallUs", (json_int_t)1000050000, "linkUp", 1, "linkError", "", "keyId", "mrk-1", "dataDir", "/data",
                     "diskFree", (json_int_t)300 << 20, "stateDir", "/dev/shm/x", "memoryFree", (json_int_t)200 << 20, "proof", proof);
}

static const struct {
    const char *name, *member, *value, *fails, *says; /* value: JSON */
} cases[] = {
    {"all good", NULL, NULL, NULL, NULL},
    {"another node", "id", "5", "identity", "node 5 of region"},
    {"another region", "region", "\"eu-west-1\"", "identity", "eu-west-1"},
    {"another cluster", "cluster", "\"rc-2\"", "identity", "rc-2"},
    {"another instance", "instanceArn", "\"arn\"", "identity", NULL},
    {"no way back", "linkUp", "false", "link-back", "does not reach this primary"},
    {"a clock 2 s ahead", "wallUs", "1002050000", "clock", "2000 ms ahead of"},
    {"a clock 2 s behind", "wallUs", "998050000", "clock", "2000 ms behind"},
    {"a clock just near enough", "wallUs", "1002049000", NULL, NULL},
    {"no clock", "wallUs", "\"x\"", "clock", "behind"},
    {"two minors on", "version", "\"0.4.0\"", "version", "0.4.0"},
    {"another major", "version", "\"1.2.0\"", "version", "1.2.0"},
    {"no version", "version", "null", "version", NULL},
    {"a wrong proof", "proof", "\"abababababababababababababababababababababababababababababababac\"", "key", "its proof is wrong"},
    {"a short proof", "proof", "\"ab\"", "key", NULL},
    {"no proof", "proof", "null", "key", NULL},
    {"a full disk", "diskFree", "314572799", "disk", "299 MiB are free on its disk (/data), 300 MiB"},
    {"an unknown disk", "diskFree", "-1", "disk", "0 MiB"},
    {"too little memory", "memoryFree", "209715199", "memory", "/dev/shm/x"},
    {"nothing of memory", "memoryFree", "[]", "memory", NULL},
};

CASE(.setup = setup);

LOOP(an_answer_is_judged, RG_LEN(cases))
{
    struct rg_preflight p = {.n = 0};
    json_t *answer = good();
    bool failed = false;

    if (cases[_i].member != NULL)
        json_object_set_new(answer, cases[_i].member, json_loads(cases[_i].value, JSON_DECODE_ANY, NULL));
    rg_preflight_judge(&facts, answer, &p);
    ck_assert_uint_eq(p.n, 7);
    for (size_t i = 0; i < p.n; i++) {
        bool should = cases[_i].fails != NULL && strcmp(p.items[i].check, cases[_i].fails) == 0;

        ck_assert_msg(p.items[i].ok == !should, "%s: %s: %s", cases[_i].name, p.items[i].check, p.items[i].detail);
        ck_assert_msg((p.items[i].remedy[0] == '\0') == p.items[i].ok, "%s: %s", cases[_i].name, p.items[i].remedy);
        ck_assert_uint_gt(strlen(p.items[i].detail), 0);
        if (should && cases[_i].says != NULL)
            ck_assert_msg(strstr(p.items[i].detail, cases[_i].says) != NULL, "%s: %s", cases[_i].name, p.items[i].detail);
        failed |= should;
    }
    ck_assert(failed == (cases[_i].fails != NULL));
    json_decref(answer);
}

TEST(an_empty_answer_fails_everywhere)
{
    struct rg_preflight p = {.n = 0};
    json_t *answer = json_object();

    rg_preflight_judge(&facts, answer, &p);
    for (size_t i = 0; i < p.n; i++)
        ck_assert_msg(!p.items[i].ok, "%s", p.items[i].check);
    json_decref(answer);
}

static const struct {
    const char *a, *b;
    bool fit;
} versions[] = {
    {"0.1.0", "0.1.0", true},   {"0.1.0", "0.2.9", true}, {"0.2.0", "0.1.0", true},  {"0.1.0", "0.3.0", false}, {"1.0.0", "0.9.0", false},
    {"0.10.0", "0.9.0", true}, {"0.1.0", "", false},     {"0.1.0", "x.1", false},   {"0.1.0", "0", false},     {"0.1.0", "0.", false},
    {"0.1.0", "-0.1", false},  {"0.1.0", "0.1-rc1", true},
};

LOOP(releases_fit_their_neighbours, RG_LEN(versions))
{
    ck_assert_msg(rg_versions_fit(versions[_i].a, versions[_i].b) == versions[_i].fit, "%s %s", versions[_i].a, versions[_i].b);
    ck_assert_msg(rg_versions_fit(versions[_i].b, versions[_i].a) == versions[_i].fit, "%s %s", versions[_i].b, versions[_i].a);
}
