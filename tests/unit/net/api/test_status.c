/* net/api: status and metrics. */
#include "tests/lib/api_doubles.h"
#include "tests/lib/check_main.h"

CASE(.setup = open_world, .teardown = af_close);

TEST(status_page)
{
    struct answer a;
    json_t *regions, *r;

    ask(&a, "GET", "/v1/status", "");
    ck_assert_msg(a.status == 200 && a.json != NULL, "%s", (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "region"), "us-east-1");
    ck_assert_str_eq(text_at(a.json, "role"), "PRIMARY");
    ck_assert(json_is_true(json_object_get(a.json, "ready")));
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "epoch")), API_EPOCH);
    ck_assert_uint_eq(strlen(text_at(a.json, "hash")), 64);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(a.json, "visibleUs"), "p50")), 1024);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(a.json, "visibleUs"), "p99")), 1 << 20);
    regions = json_object_get(a.json, "regions");
    ck_assert_uint_eq(json_array_size(regions), 2);
    r = json_array_get(regions, 0); /* rows in the order of names */
    ck_assert_str_eq(text_at(r, "name"), "eu-central-1");
    ck_assert_str_eq(text_at(r, "role"), "REPLICA");
    ck_assert_str_eq(text_at(r, "status"), "ACTIVE");
    ck_assert_str_eq(text_at(r, "revision"), "3.7");
    ck_assert(json_is_true(json_object_get(r, "hashMatch")));
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "lag"), "entries")), 5);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(r, "lag"), "ms")), 17);
    ck_assert_str_eq(text_at(json_array_get(regions, 1), "role"), "PRIMARY");
    answer_free(&a);
    ask(&a, "GET", "/v1/regions", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "regions")), 2);
    answer_free(&a);
    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    API_STATUS(peers[0].heard_ms_ago, UINT64_MAX);
    API_STATUS(peers[0].hash_known, false);
    ask(&a, "GET", "/v1/regions/eu-central-1", "");
    ck_assert_str_eq(text_at(a.json, "role"), "PRIMARY");
    ck_assert(json_is_null(json_object_get(a.json, "heardMsAgo")));
    ck_assert(json_is_null(json_object_get(a.json, "hashMatch")));
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "nodes")), 1);
    answer_free(&a);
}

TEST(metrics_page)
{
    static const char *const lines[] = {
        "# TYPE regent_requests_total counter\n",
        "regent_requests_total{region=\"us-east-1\",op=\"v1.check\",code=\"OK\"} 3\n",
        "regent_requests_total{region=\"us-east-1\",op=\"test.Fault\",code=\"InternalError\"} 1\n",
        "regent_request_duration_seconds_count{region=\"us-east-1\",op=\"v1.check\"} 3\n",
        "regent_request_duration_seconds_bucket{region=\"us-east-1\",op=\"v1.check\",le=\"+Inf\"} 3\n",
        "regent_ready{region=\"us-east-1\"} 1\n",
        "regent_objects{region=\"us-east-1\",kind=\"users\"} 3\n",
        "regent_peer_lag_entries{region=\"us-east-1\",peer_region=\"eu-central-1\",peer=\"2\"} 5\n",
        "regent_peer_promised_epoch{region=\"us-east-1\",peer_region=\"eu-central-1\",peer=\"2\"} 0\n",
        "regent_visible_seconds_count{region=\"us-east-1\"} 100\n",
        "regent_process_resident_memory_bytes{region=\"us-east-1\"} ",
    };
    struct answer a;

    af.node.status.counts.users = 3;
    for (int i = 0; i < 3; i++) {
        ask(&a, "POST", "/v1/check", BODY("alice", "prod", "Admin"));
        answer_free(&a);
    }
    aws(&a, "Fault", "", "{}");
    answer_free(&a);
    ask_raw(&a, "GET", "/metrics", "", "", 0);
    ck_assert_int_eq(a.status, 200);
    for (size_t i = 0; i < RG_LEN(lines); i++)
        ck_assert_msg(strstr((char *)a.body.data, lines[i]) != NULL, "no %s in\n%s", lines[i], (char *)a.body.data);
    for (char *line = strtok((char *)a.body.data, "\n"); line != NULL;
         line = strtok(NULL, "\n")) { /* every line has its form */
        double value;
        const char *space = strrchr(line, ' ');

        if (line[0] == '#')
            continue;
        ck_assert_msg(strncmp(line, "regent_", 7) == 0 && space != NULL && sscanf(space, "%lf", &value) == 1, "%s",
                      line);
    }
    answer_free(&a);
}
