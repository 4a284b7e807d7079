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

static const struct rg_room room = {.state_bytes = UINT64_C(3500) << 20, .state_bytes_max = UINT64_C(4096) << 20,
                                    .memory_free = UINT64_C(30) << 20, .memory_total = UINT64_C(8192) << 20,
                                    .disk_free = UINT64_C(7) << 20, .disk_total = UINT64_C(50) << 20};

/* What is full, where, how much of it, and what gives it more: in the refusal, the alarm and the metrics. */
static const struct {
    const char *name;
    unsigned refusing;
    enum rg_err err;
    uint64_t id;
    const char *writes, *code, *alarm, *says[3];
} fulls[] = {
    {"here, rows", RG_FULL_STATE, RG_ESTATEFULL, 1, "full", "StateFull", "StateFull", {"us-east-1", "3500 MiB of the 4096 MiB", "state_mb_max"}},
    {"in a region", RG_FULL_STATE, RG_ESTATEFULL, 2, "full", "StateFull", "StateFull", {"eu-central-1 (node 2)", "3500 MiB", "state_mb_max"}},
    {"here, the file system", RG_FULL_MEMORY, RG_ESTATEFULL, 1, "full", "StateFull", "StateFull", {"us-east-1", "30 MiB left of 8192", "state_dir"}},
    {"here, the log's disk", RG_FULL_DISK, RG_EDISKFULL, 1, "refused", "DiskFull", "DiskFull", {"us-east-1", "7 MiB left of 50", "data_dir"}},
    {"here, and nothing is applied", RG_FULL_STATE | RG_FULL_STOPPED, RG_ESTATEFULL, 1, "refused", "StateFull", "StateFull",
     {"behind revision 3.", "4096 MiB", "state_mb_max"}},
};

LOOP(what_is_full_is_said, RG_LEN(fulls))
{
    const bool here = fulls[_i].id == 1;
    struct answer a;
    const char *text;
    json_t *alarms;

    API_STATUS(id, 1);
    API_STATUS(node_ids_left, 64);
    API_STATUS(room, room);
    API_STATUS(full, here ? fulls[_i].refusing : 0);
    API_STATUS(refusing, fulls[_i].refusing);
    API_STATUS(refusing_id, fulls[_i].id);
    API_STATUS(refusing_room, room);
    pthread_mutex_lock(&af.node.mutex);
    snprintf(af.node.status.refusing_region, sizeof af.node.status.refusing_region, "%s", here ? "us-east-1" : "eu-central-1");
    pthread_mutex_unlock(&af.node.mutex);
    af.node.refuse = fulls[_i].err;
    ask(&a, "PUT", "/v1/accounts/111111111111", "{\"name\":\"x\"}");
    ck_assert_msg(a.status == 507, "%s: %d %s", fulls[_i].name, a.status, (char *)a.body.data);
    ck_assert_str_eq(text_at(a.json, "code"), fulls[_i].code);
    text = text_at(a.json, "message");
    for (size_t i = 0; i < RG_LEN(fulls[_i].says); i++)
        ck_assert_msg(strstr(text, fulls[_i].says[i]) != NULL, "%s: %s", fulls[_i].name, text);
    ck_assert_ptr_nonnull(strstr(text, "nothing was written"));
    answer_free(&a);
    ask(&a, "GET", "/v1/status", "");
    ck_assert_str_eq(text_at(a.json, "writes"), fulls[_i].writes);
    alarms = json_object_get(a.json, "alarms");
    ck_assert_uint_eq(json_array_size(alarms), 1);
    ck_assert_str_eq(text_at(json_array_get(alarms, 0), "code"), fulls[_i].alarm);
    ck_assert_int_eq(json_integer_value(json_object_get(json_object_get(a.json, "room"), "diskFreeBytes")), 7 << 20);
    answer_free(&a);
    ask(&a, "GET", "/metrics", "");
    text = (const char *)a.body.data;
    ck_assert_ptr_nonnull(strstr(text, "regent_state_bytes{region=\"us-east-1\"} 3670016000\n"));
    ck_assert_ptr_nonnull(strstr(text, "regent_disk_free_bytes{region=\"us-east-1\"} 7340032\n"));
    ck_assert_ptr_nonnull(strstr(text, "regent_writes_refused_full{region=\"us-east-1\"} 1\n"));
    ck_assert_ptr_nonnull(strstr(text, here && fulls[_i].refusing != RG_FULL_DISK ? "regent_state_full{region=\"us-east-1\"} 1\n"
                                                                                   : "regent_state_full{region=\"us-east-1\"} 0\n"));
    answer_free(&a);
}

TEST(few_node_ids_are_said)
{
    struct answer a;
    json_t *alarms;

    API_STATUS(node_ids_left, 63);
    ask(&a, "GET", "/v1/status", "");
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeIdsLeft")), 63);
    alarms = json_object_get(a.json, "alarms");
    ck_assert_uint_eq(json_array_size(alarms), 1);
    ck_assert_str_eq(text_at(json_array_get(alarms, 0), "code"), "NodeIdsFew");
    ck_assert_ptr_nonnull(strstr(text_at(json_array_get(alarms, 0), "text"), "63 node ids are left of 1023"));
    answer_free(&a);
}
