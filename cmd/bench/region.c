/* cmd/bench/region.c: regions come, and take over, while there is a large state: how long it takes, as those who ask see it.
 * Makes its own cluster of two regions. */
#include <jansson.h>
#include <unistd.h>

#include "base/json.h"
#include "cmd/bench/own.h"
#include "base/clock.h"
#include "cmd/cli/region_ask.h"

enum { POLL_US = 10000, ADD_S_MAX = 900, TAKEOVER_S_MAX = 60, RETRY_US = 1000 };

static const char added[] = "bench-added";

struct regions {
    struct rg_bench *bench;
    const char *path; /* of cluster.json */
    char run[17];
    uint64_t written; /* users made while somebody took over */
    struct rg_samples add, phases[3], paused, unwritable, promotion;
};

static enum rg_err reload(struct regions *r)
{
    free(RG_STEAL(r->bench->cluster));
    return rg_cluster_load_file(r->path, &r->bench->cluster, &r->bench->cli->err);
}

static enum rg_err fail(struct regions *r, const char *what, const char *region)
{
    return rg_fail(&r->bench->cli->err, RG_EINTERNAL, "%s: %s", region, what);
}

/* ---- a region is added ---- */

static int phase_of(const json_t *region)
{
    static const char *const names[] = {"snapshot", "catch-up", "verify"};
    const char *phase = json_string_value(json_object_get(json_object_get(region, "progress"), "phase"));

    for (int i = 0; phase != NULL && i < (int)RG_LEN(names); i++)
        if (strcmp(phase, names[i]) == 0)
            return i;
    return -1;
}

/* Until it is ACTIVE, with the primary's hash. */
static enum rg_err wait_active(struct regions *r, struct rg_client *client, uint64_t from)
{
    uint64_t began[RG_LEN(r->phases)] = {0}, now = from;
    struct rg_errctx *ctx = &r->bench->cli->err;
    json_t *region = NULL;
    bool active = false;
    enum rg_err err = RG_OK;

    while (!err && !active) {
        int phase;

        err = rg_region_ask(client, "GET", added, "", NULL, &region, ctx);
        now = rg_clock_us();
        phase = phase_of(region);
        if (phase >= 0 && began[phase] == 0)
            began[phase] = now;
        active = !err && strcmp(json_string_value(json_object_get(region, "status")), "ACTIVE") == 0;
        if (active && !rg_json_flag(region, "hashMatch"))
            err = fail(r, "ACTIVE without the primary's hash", added);
        if (!err && now - from > (uint64_t)ADD_S_MAX * 1000000)
            err = fail(r, "is not ACTIVE", added);
        json_decref(RG_STEAL(region));
        if (!active)
            usleep(POLL_US);
    }
    if (err)
        return err;
    rg_samples_add(&r->add, now - from);
    for (size_t i = 0; i < RG_LEN(began); i++) {
        uint64_t end = now;

        for (size_t k = RG_LEN(began); k-- > i + 1;)
            end = began[k] != 0 ? began[k] : end;
        if (began[i] != 0)
            rg_samples_add(&r->phases[i], end - began[i]);
    }
    return RG_OK;
}

static enum rg_err add_once(struct regions *r)
{
    const char *const prepare[] = {"dev", "add", added, "--prepare", "--cluster", r->path, NULL};
    const char *const drop[] = {"region", "remove", added, "--yes", "--cluster", r->path, NULL};
    RG_AUTO(client) struct rg_client *client = NULL;
    json_t *answer = NULL;
    uint64_t from;
    enum rg_err err = rg_cli_self(prepare, STDERR_FILENO, &r->bench->cli->err);

    if (!err)
        err = reload(r);
    if (!err)
        err = rg_client_primary(r->bench->cluster, RG_REGION_MS_MAX, &client, &r->bench->cli->err);
    from = rg_clock_us();
    if (!err)
        err = rg_region_ask(client, "POST", NULL, "", json_pack("{s:s}", "name", added), &answer, &r->bench->cli->err);
    json_decref(answer);
    if (!err)
        err = wait_active(r, client, from);
    if (!err)
        err = rg_bench_counts(r->bench, added);
    if (!err)
        err = rg_cli_self(drop, STDERR_FILENO, &r->bench->cli->err);
    return err ? err : reload(r);
}

/* ---- a region takes over ---- */

/* Writers, one at the region that leads and one at the region that will: each asks again at once, or a millisecond after a
 * refusal. What clients see is the time between the last write taken by the one and the first by the other. */
struct takeover {
    struct regions *r;
    struct rg_bench_conn *from, *to, *ask; /* from: NULL when it is dead */
    struct rg_buf body, request;
    uint64_t last_us, first_us; /* acknowledged at from; at to */
    uint64_t again_us[2], asked_us, answered_us;
    double paused_ms;
    enum rg_err err;
};

static void write_on(struct takeover *t, struct rg_bench_conn *conn)
{
    rg_bench_user(&t->body, t->r->bench->cluster, t->r->run, t->r->written++);
    rg_bench_request(&t->request, t->r->bench->cluster, "POST", "/", "AWSIdentityStore.CreateUser", "", rg_buf_span(&t->body));
    t->err = rg_bench_send(conn, rg_buf_span(&t->request));
}

static void writer_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct takeover *t = arg;
    bool old = conn == t->from;

    if (reply->status == 200 && old)
        t->last_us = reply->arrived_us;
    else if (reply->status == 200 && t->first_us == 0)
        t->first_us = reply->arrived_us;
    t->again_us[old] = reply->arrived_us + (reply->status == 200 ? 0 : RETRY_US);
}

static void ask_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct takeover *t = arg;
    json_t *answer = rg_json_parse(reply->body, NULL);

    (void)conn;
    t->answered_us = reply->arrived_us;
    t->paused_ms = json_number_value(json_object_get(answer, "pausedMs"));
    json_decref(answer);
    if (reply->status != 200)
        t->err = rg_fail(&t->r->bench->cli->err, RG_EINTERNAL, "taking over was answered %d: %.*s", reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)500), (const char *)reply->body.p);
}

static enum rg_err takeover_run(struct takeover *t, struct rg_bench_loop *loop, const char *path, struct rg_span body)
{
    struct rg_bench *bench = t->r->bench;
    uint64_t begin = rg_clock_us(), end = begin + (uint64_t)TAKEOVER_S_MAX * 1000000;
    enum rg_err err = RG_OK;

    while (!err && !t->err && (t->first_us == 0 || t->answered_us == 0)) {
        uint64_t now = rg_clock_us();

        if (now > end)
            return rg_fail(&bench->cli->err, RG_ETIMEOUT, "nobody took over in %d s", TAKEOVER_S_MAX);
        if (t->from != NULL && rg_bench_idle(t->from) && now >= t->again_us[1])
            write_on(t, t->from);
        if (!t->err && rg_bench_idle(t->to) && now >= t->again_us[0])
            write_on(t, t->to);
        if (!t->err && t->asked_us == 0 && (t->from == NULL || now - begin > 200000)) { /* both writers are at work */
            rg_bench_request(&t->request, bench->cluster, "POST", path, NULL, "Content-Type: application/json\r\n", body);
            t->err = rg_bench_send(t->ask, rg_buf_span(&t->request));
            t->asked_us = now;
        }
        if (!t->err)
            err = rg_bench_poll(loop, now + RETRY_US, &bench->cli->err);
    }
    return err ? err : t->err;
}

/* from: URL, or NULL when it is dead; ask: whose /v1 is asked. */
static enum rg_err takeover(struct regions *r, struct takeover *t, const char *from, const char *to, const char *path, struct rg_span body)
{
    struct rg_errctx *ctx = &r->bench->cli->err;
    struct rg_bench_loop *loop = NULL;
    enum rg_err err = rg_bench_loop_new(r->bench->cluster->ca, &loop, ctx);

    memset(t, 0, sizeof *t);
    t->r = r;
    rg_buf_init(&t->body, 65536);
    rg_buf_init(&t->request, 65536);
    if (!err && from != NULL)
        err = rg_bench_open(loop, from, writer_on_reply, t, &t->from, ctx);
    if (!err)
        err = rg_bench_open(loop, to, writer_on_reply, t, &t->to, ctx);
    if (!err)
        err = rg_bench_open(loop, from != NULL ? from : to, ask_on_reply, t, &t->ask, ctx);
    if (!err)
        err = takeover_run(t, loop, path, body);
    rg_bench_loop_free(loop);
    rg_buf_deinit(&t->body);
    rg_buf_deinit(&t->request);
    return err;
}

struct seen {
    bool leads, follows;
    char state[128]; /* revision and hash */
};

static void look_at(struct regions *r, const char *url, struct seen *ret_seen)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    struct rg_errctx ctx = {.text = ""};
    const char *role, *revision, *hash;
    json_t *status = NULL;

    memset(ret_seen, 0, sizeof *ret_seen);
    if (rg_client_new(r->bench->cluster, url, &client, &ctx) != RG_OK ||
        rg_client_get(client, "/v1/status", &status, &ctx) != RG_OK)
        return;
    role = json_string_value(json_object_get(status, "role"));
    revision = json_string_value(json_object_get(status, "revision"));
    hash = json_string_value(json_object_get(status, "hash"));
    if (revision != NULL && hash != NULL)
        snprintf(ret_seen->state, sizeof ret_seen->state, "%s %s", revision, hash);
    if (role != NULL && rg_json_flag(status, "ready")) {
        ret_seen->leads = strcmp(role, "PRIMARY") == 0;
        ret_seen->follows = strcmp(role, "REPLICA") == 0;
    }
    json_decref(status);
}

/* Until one region leads and the other one has all it has: the one that led before may have to come back under a new id. */
static enum rg_err settle(struct regions *r, const struct rg_cluster_region **ret_leads, const struct rg_cluster_region **ret_other)
{
    const struct rg_cluster_region *regions = r->bench->cluster->regions;
    uint64_t end = rg_clock_us() + (uint64_t)TAKEOVER_S_MAX * 1000000;

    while (rg_clock_us() < end) {
        struct seen seen[2];

        look_at(r, regions[0].url, &seen[0]);
        look_at(r, regions[1].url, &seen[1]);
        for (size_t i = 0; i < 2; i++) {
            *ret_leads = &regions[i];
            *ret_other = &regions[1 - i];
            if (seen[i].leads && seen[1 - i].follows && strcmp(seen[0].state, seen[1].state) == 0)
                return RG_OK;
        }
        usleep(POLL_US);
    }
    return fail(r, "its regions do not come to one state", r->path);
}

/* In the caller's room, which a region's name fits. */
static struct rg_span takeover_body(char *room, size_t n, const char *to, bool declared)
{
    struct rg_json_writer j;
    struct rg_buf out;

    rg_buf_init_over(&out, room, n);
    rg_json_begin(&j, &out);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "to", to);
    if (declared) {
        rg_json_str(&j, "by", "bench");
        rg_json_str(&j, "reason", "a measurement");
        rg_json_bool(&j, "acceptLoss", true);
    }
    rg_json_end(&j);
    rg_json_done(&j);
    RG_ASSERT(!out.err);
    return rg_buf_span(&out);
}

static enum rg_err switch_once(struct regions *r)
{
    const struct rg_cluster_region *leads, *other;
    struct takeover t;
    char room[128];
    struct rg_span body;
    enum rg_err err = settle(r, &leads, &other);

    if (err)
        return err;
    body = takeover_body(room, sizeof room, other->name, false);
    err = takeover(r, &t, leads->url, other->url, "/v1/switchover", body);
    if (err)
        return err;
    rg_samples_add(&r->paused, (uint64_t)(t.paused_ms * 1000));
    rg_samples_add(&r->unwritable, t.first_us - t.last_us);
    return RG_OK;
}

/* The primary is killed, the other region declared; then the old one comes back and follows. */
static enum rg_err promote_once(struct regions *r)
{
    const struct rg_cluster_region *leads, *other;
    struct takeover t;
    char room[256];
    struct rg_span body;
    enum rg_err err = settle(r, &leads, &other);

    if (err)
        return err;
    const char *const kill[] = {"dev", "kill", leads->name, "--cluster", r->path, NULL};
    const char *const start[] = {"dev", "start", leads->name, "--cluster", r->path, NULL};

    body = takeover_body(room, sizeof room, other->name, true);
    err = rg_cli_self(kill, STDERR_FILENO, &r->bench->cli->err);
    if (!err)
        err = takeover(r, &t, NULL, other->url, "/v1/failover", body);
    if (!err)
        rg_samples_add(&r->promotion, t.first_us - t.asked_us);
    return err ? err : rg_cli_self(start, STDERR_FILENO, &r->bench->cli->err);
}

/* ---- all of it ---- */

static enum rg_err times(struct regions *r, const char *what, enum rg_err (*once)(struct regions *))
{
    struct rg_progress progress;
    enum rg_err err = RG_OK;

    rg_progress_begin(&progress, r->bench->cli, what, r->bench->rounds);
    for (uint64_t i = 0; !err && i < r->bench->rounds; i++) {
        err = once(r);
        rg_progress_show(&progress, i + 1);
    }
    rg_progress_end(&progress, r->bench->rounds);
    return err;
}

static void print(struct regions *r)
{
    const struct {
        const char *figure;
        struct rg_samples *samples;
    } figures[] = {{"region.add", &r->add},           {"region.add.snapshot", &r->phases[0]},
                   {"region.add.catch-up", &r->phases[1]}, {"region.add.verify", &r->phases[2]},
                   {"switchover.paused", &r->paused}, {"switchover.unwritable", &r->unwritable},
                   {"promotion", &r->promotion}};

    for (size_t i = 0; i < RG_LEN(figures); i++) {
        if (figures[i].samples->n > 0)
            rg_bench_print_samples(r->bench, figures[i].figure, "-", 0, figures[i].samples, 0);
        rg_samples_deinit(figures[i].samples);
    }
}

enum rg_err rg_bench_region(struct rg_bench *bench)
{
    struct rg_bench_own own;
    struct regions r = {.bench = bench, .path = own.path};
    enum rg_err err = rg_bench_own_up(&own, bench, NULL, NULL);

    rg_bench_run_name(r.run);
    if (!err)
        err = rg_bench_fill(bench, bench->cluster->regions[0].url);
    if (!err)
        err = times(&r, "regions added", add_once);
    if (!err)
        err = times(&r, "switchovers", switch_once);
    if (!err)
        err = times(&r, "promotions", promote_once);
    print(&r);
    rg_bench_own_down(&own);
    return err;
}
