/* cmd/bench/large.c: a group of many members is deleted: what everybody else notices of it. Makes its own cluster of two regions, under a
 * write lease that one region's silence for two seconds would end. */
#include <jansson.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/bench/own.h"
#include "cmd/cli/client.h"

enum { BEFORE_US = 1000000, AFTER_US = 1000000, STATUS_US = 20000, LEASE_US = 600000, DELETE_S_MAX = 600, PROBES = 7 };

enum what {
    WRITE,   /* CreateUser */
    READ,    /* DescribeUser */
    TURN,    /* the same at a revision that nobody has, for a millisecond: its answer is a turn of the thread that replicates and applies */
    SILENCE, /* /v1/status of the replica: how long it has not heard the primary */
};

struct large;
struct probe {
    struct large *all;
    enum what what;
    const char *figure, *region;
    struct rg_bench_conn *conn;
    uint64_t next_us;
    struct rg_samples samples; /* of what was asked while the group was being deleted */
};
struct large {
    struct rg_bench *bench;
    char run[17], later[64];
    struct probe probes[PROBES];
    size_t n;
    struct rg_bench_conn *delete;
    uint64_t began_us, deleted_us, gone_us; /* asked; answered; seen at the replica */
    uint64_t written, refused, members_before;
    uint64_t term;
    struct rg_buf body, request;
    enum rg_err err;
};

static struct rg_span one_field(struct large *l, const char *name, const char *value)
{
    struct rg_json_writer j;

    rg_buf_clear(&l->body);
    rg_json_begin(&j, &l->body);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "IdentityStoreId", l->bench->cluster->identity_store_id);
    rg_json_str(&j, name, value);
    rg_json_end(&j);
    rg_json_done(&j);
    return rg_buf_span(&l->body);
}

static void ask(struct probe *p)
{
    struct large *l = p->all;
    const struct rg_cluster *c = l->bench->cluster;

    switch (p->what) {
    case WRITE:
        rg_bench_user(&l->body, c, l->run, l->written++);
        rg_bench_request(&l->request, c, "POST", "/", "AWSIdentityStore.CreateUser", "", rg_buf_span(&l->body));
        break;
    case READ:
    case TURN:
        rg_bench_request(&l->request, c, "POST", "/", "AWSIdentityStore.DescribeUser", p->what == TURN ? l->later : "",
                         one_field(l, "UserId", l->bench->user_id));
        break;
    case SILENCE:
        rg_bench_request(&l->request, c, "GET", "/v1/status", NULL, "", rg_span(NULL, 0));
        break;
    }
    l->err = rg_bench_send(p->conn, rg_buf_span(&l->request));
}

static void take_status(struct probe *p, const struct rg_bench_reply *reply)
{
    struct large *l = p->all;
    json_t *status = rg_json_parse(reply->body, NULL);
    uint64_t term = (uint64_t)rg_json_number(json_object_get(status, "log"), "term");

    if (l->began_us != 0 && l->gone_us == 0)
        rg_samples_add(&p->samples, 1000 * (uint64_t)rg_json_number(json_object_get(status, "primary"), "heardMsAgo"));
    if (l->deleted_us != 0 && rg_json_number(json_object_get(status, "counts"), "memberships") == 0 && l->gone_us == 0)
        l->gone_us = reply->arrived_us;
    if (l->term == 0)
        l->term = term;
    if (term != l->term)
        l->err = rg_fail(&l->bench->cli->err, RG_EINTERNAL, "the primary's term is another one: it lost its leadership");
    p->next_us = reply->arrived_us + STATUS_US;
    json_decref(status);
}

static void probe_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct probe *p = arg;
    struct large *l = p->all;
    int want = p->what == TURN ? 412 : 200;

    (void)conn;
    if (p->what == WRITE && reply->status != 200) {
        l->refused += l->began_us != 0 && l->gone_us == 0;
        p->next_us = reply->arrived_us + STATUS_US;
        return;
    }
    if (reply->status != want) {
        l->err = rg_fail(&l->bench->cli->err, RG_EINTERNAL, "%s in %s was answered %d: %.*s", p->figure, p->region, reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
        return;
    }
    if (p->what == SILENCE)
        take_status(p, reply);
    else if (l->began_us != 0 && reply->arrived_us >= l->began_us && (l->gone_us == 0 || reply->sent_us < l->gone_us))
        rg_samples_add(&p->samples, reply->arrived_us - reply->sent_us);
}

static void delete_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct large *l = arg;

    (void)conn;
    l->deleted_us = reply->arrived_us;
    if (reply->status != 200)
        l->err = rg_fail(&l->bench->cli->err, RG_EINTERNAL, "DeleteGroup was answered %d: %.*s", reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
}

/* ---- all of it ---- */

static enum rg_err add_probe(struct large *l, struct rg_bench_loop *loop, enum what what, const char *figure,
                             const struct rg_cluster_region *region)
{
    struct probe *p = &l->probes[l->n++];

    RG_ASSERT(l->n <= PROBES);
    *p = (struct probe){.all = l, .what = what, .figure = figure, .region = region->name};
    return rg_bench_open(loop, region->url, probe_on_reply, p, &p->conn, &l->bench->cli->err);
}

static enum rg_err open_all(struct large *l, struct rg_bench_loop *loop)
{
    const struct rg_cluster_region *primary = &l->bench->cluster->regions[0], *replica = &l->bench->cluster->regions[1];
    enum rg_err err = add_probe(l, loop, WRITE, "large.write", primary);

    if (!err)
        err = add_probe(l, loop, READ, "large.read", primary);
    if (!err)
        err = add_probe(l, loop, READ, "large.read", replica);
    if (!err)
        err = add_probe(l, loop, TURN, "large.turn", primary);
    if (!err)
        err = add_probe(l, loop, TURN, "large.turn", replica);
    if (!err)
        err = add_probe(l, loop, SILENCE, "large.silence", replica);
    if (!err)
        err = rg_bench_open(loop, primary->url, delete_on_reply, l, &l->delete, &l->bench->cli->err);
    return err;
}

static enum rg_err watch(struct large *l, struct rg_bench_loop *loop)
{
    uint64_t from = rg_clock_us(), now = from;
    enum rg_err err = RG_OK;

    while (!err && (l->gone_us == 0 || now < l->gone_us + AFTER_US)) {
        now = rg_clock_us();
        if (now - from > (uint64_t)DELETE_S_MAX * 1000000)
            return rg_fail(&l->bench->cli->err, RG_ETIMEOUT, "the group is not deleted after %d s", DELETE_S_MAX);
        if (l->began_us == 0 && now - from > BEFORE_US) {
            rg_bench_request(&l->request, l->bench->cluster, "POST", "/", "AWSIdentityStore.DeleteGroup", "",
                             one_field(l, "GroupId", l->bench->group_id));
            l->began_us = now;
            l->err = rg_bench_send(l->delete, rg_buf_span(&l->request));
        }
        for (size_t i = 0; i < l->n && !l->err; i++)
            if (rg_bench_idle(l->probes[i].conn) && now >= l->probes[i].next_us)
                ask(&l->probes[i]);
        err = l->err;
        if (!err)
            err = rg_bench_poll(loop, now + 1000, &l->bench->cli->err);
        if (!err)
            err = l->err;
    }
    return err;
}

static void print(struct large *l)
{
    rg_bench_print(l->bench, "large.delete", "PRIMARY", (double)(l->deleted_us - l->began_us) / 1e3, "ms", "", 0);
    rg_bench_print(l->bench, "large.gone", l->bench->cluster->regions[1].name, (double)(l->gone_us - l->began_us) / 1e3, "ms", "", 0);
    rg_bench_print(l->bench, "large.writes_refused", "PRIMARY", (double)l->refused, "", "", 0);
    for (size_t i = 0; i < l->n; i++)
        rg_bench_print_samples(l->bench, l->probes[i].figure, l->probes[i].region, 0, &l->probes[i].samples, 0);
}

static enum rg_err measure(struct rg_bench *bench)
{
    struct rg_bench_loop *loop = NULL;
    struct large l = {.bench = bench};
    enum rg_err err = rg_bench_loop_new(bench->cluster->ca, &loop, &bench->cli->err);

    rg_bench_run_name(l.run);
    rg_buf_init(&l.body, 65536);
    rg_buf_init(&l.request, 65536);
    snprintf(l.later, sizeof l.later, "Regent-Min-Revision: 1.%llu\r\nRegent-Wait-Ms: 1\r\n", 1ull << 40);
    if (!err)
        err = open_all(&l, loop);
    if (!err)
        err = watch(&l, loop);
    if (!err)
        print(&l);
    for (size_t i = 0; i < l.n; i++)
        rg_samples_deinit(&l.probes[i].samples);
    rg_bench_loop_free(loop);
    rg_buf_deinit(&l.body);
    rg_buf_deinit(&l.request);
    return err;
}

enum rg_err rg_bench_large(struct rg_bench *bench)
{
    struct rg_bench_own own;
    const char *const lease[] = {"lease", "set", "--regions", "1", "--seconds", "2", "--cluster", own.path, NULL};
    enum rg_err err;

    bench->groups = 1;
    bench->memberships = bench->users;
    err = rg_bench_own_up(&own, bench, NULL, NULL);
    if (!err)
        err = rg_bench_fill(bench, bench->cluster->regions[0].url);
    if (!err)
        err = rg_cli_self(lease, STDERR_FILENO, &bench->cli->err);
    usleep(LEASE_US); /* the other region has renewed it by then */
    if (!err)
        err = measure(bench);
    rg_bench_own_down(&own);
    return err;
}
