/* cmd/bench/write.c: durable writes, and how long until a write is visible in another region. */
#include <jansson.h>
#include <unistd.h>

#include "cmd/bench/bench_priv.h"
#include "base/clock.h"
#include "cmd/cli/client.h"

enum { READERS_EACH = 8, SAMPLES_PER_S_MAX = 400 };

/* ---- writes in a closed loop ---- */

struct writers {
    struct rg_bench *bench;
    char run[17];
    uint64_t next, done, until_us;
    struct rg_samples samples;
    struct rg_buf body, request;
    enum rg_err err;
    int bad_status;
};

static void send_user(struct writers *w, struct rg_bench_conn *conn)
{
    rg_bench_user(&w->body, w->bench->cluster, w->run, w->next++);
    rg_bench_request(&w->request, w->bench->cluster, "POST", "/", "AWSIdentityStore.CreateUser", "", rg_buf_span(&w->body));
    w->err = rg_bench_send(conn, rg_buf_span(&w->request));
}

static void write_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct writers *w = arg;

    if (reply->status != 200) {
        w->bad_status = reply->status;
        w->err = rg_fail(&w->bench->cli->err, RG_EINTERNAL, "a write was answered %d: %.*s", reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
        return;
    }
    w->done++;
    rg_samples_add(&w->samples, reply->arrived_us - reply->sent_us);
    if (rg_clock_us() < w->until_us)
        send_user(w, conn);
}

static enum rg_err run_writers(struct rg_bench *bench, unsigned conns, double seconds, struct writers *w, double *ret_rate)
{
    struct rg_bench_loop *loop = NULL;
    struct rg_cluster_region *primary;
    struct rg_bench_conn *open[RG_BENCH_CONNS_MAX];
    uint64_t from;
    enum rg_err err = rg_cluster_region(bench->cluster, NULL, &primary, &bench->cli->err);

    *w = (struct writers){.bench = bench};
    rg_bench_run_name(w->run);
    rg_buf_init(&w->body, 65536);
    rg_buf_init(&w->request, 65536);
    if (!err)
        err = rg_bench_loop_new(bench->cluster->ca, &loop, &bench->cli->err);
    for (unsigned i = 0; !err && i < conns; i++)
        err = rg_bench_open(loop, primary->url, write_on_reply, w, &open[i], &bench->cli->err);
    from = rg_clock_us();
    w->until_us = from + (uint64_t)(seconds * 1e6);
    for (unsigned i = 0; !err && i < conns; i++) {
        send_user(w, open[i]);
        err = w->err;
    }
    while (!err && w->done < w->next) {
        err = rg_bench_poll(loop, rg_clock_us() + 100000, &bench->cli->err);
        if (!err)
            err = w->err;
    }
    *ret_rate = (double)w->done / ((double)(rg_clock_us() - from) / 1e6);
    rg_bench_loop_free(loop);
    rg_buf_deinit(&w->body);
    rg_buf_deinit(&w->request);
    return err;
}

enum rg_err rg_bench_write(struct rg_bench *bench)
{
    static const unsigned conns[] = {1, 64, 256};
    char name[64];

    for (size_t i = 0; i < RG_LEN(conns); i++) {
        struct writers w;
        double rate;
        enum rg_err err = run_writers(bench, conns[i], bench->seconds, &w, &rate);

        if (err) {
            rg_samples_deinit(&w.samples);
            return err;
        }
        snprintf(name, sizeof name, "write.latency.%u", conns[i]);
        rg_bench_print_samples(bench, name, "PRIMARY", (uint64_t)rate, &w.samples, conns[i] == 1 ? bench->fdatasync_ms : 0);
        snprintf(name, sizeof name, "write.throughput.%u", conns[i]);
        rg_bench_print(bench, name, "PRIMARY", rate, "/s", "1/fdatasync", 1000 / bench->fdatasync_ms);
        rg_samples_deinit(&w.samples);
    }
    return RG_OK;
}

/* ---- propagation ---- */

struct target { /* a replica */
    struct propagation *all;
    const char *name;
    struct rg_samples samples;
    struct rg_bench_conn *readers[READERS_EACH];
    uint64_t skipped; /* no idle reader: not sampled */
};
struct propagation {
    struct rg_bench *bench;
    struct rg_bench_loop *loop;
    struct target targets[RG_CLUSTER_REGIONS_MAX];
    size_t n;
    struct rg_bench_conn *writers[64];
    size_t n_writers;
    char run[17];
    uint64_t written, answered, sample_every, reads;
    struct rg_samples all;
    struct rg_buf body, request;
    enum rg_err err;
};

static void read_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct target *t = arg;
    struct propagation *p = t->all;

    p->reads--;
    if (reply->status != 200) {
        p->err = rg_fail(&p->bench->cli->err, RG_EINTERNAL, "a read in %s was answered %d: %.*s", t->name, reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
        return;
    }
    rg_samples_add(&t->samples, reply->arrived_us - *rg_bench_tag(conn));
    rg_samples_add(&p->all, reply->arrived_us - *rg_bench_tag(conn));
}

/* The write's reply has arrived: from now on, until a read at the replica that names the user's id finds it. */
static void follow(struct propagation *p, struct target *t, struct rg_span revision, struct rg_span user_id, uint64_t from_us)
{
    char extra[128];
    RG_AUTO_BUF struct rg_buf body = {.max = 0};
    struct rg_json_writer j;

    for (size_t i = 0; i < READERS_EACH; i++) {
        if (!rg_bench_idle(t->readers[i]))
            continue;
        rg_buf_init(&body, 1024);
        rg_json_begin(&j, &body);
        rg_json_object(&j, NULL);
        rg_json_str(&j, "IdentityStoreId", p->bench->cluster->identity_store_id);
        rg_json_span(&j, "UserId", user_id);
        rg_json_end(&j);
        rg_json_done(&j);
        snprintf(extra, sizeof extra, "Regent-Min-Revision: %.*s\r\nRegent-Wait-Ms: 5000\r\n", RG_SPAN_ARG(revision));
        rg_bench_request(&p->request, p->bench->cluster, "POST", "/", "AWSIdentityStore.DescribeUser", extra,
                         rg_buf_span(&body));
        *rg_bench_tag(t->readers[i]) = from_us;
        p->err = rg_bench_send(t->readers[i], rg_buf_span(&p->request));
        p->reads++;
        rg_buf_deinit(&body);
        return;
    }
    t->skipped++;
}

static void propagate_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct propagation *p = arg;
    struct rg_span revision = rg_bench_header(reply, "regent-revision"), id;
    const char *at = memmem(reply->body.p, reply->body.n, "\"UserId\":\"", 10);

    if (reply->status != 200 || revision.n == 0 || at == NULL) {
        p->err = rg_fail(&p->bench->cli->err, RG_EINTERNAL, "a write was answered %d: %.*s", reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
        return;
    }
    id = rg_span(at + 10, 36);
    if (p->answered++ % p->sample_every != 0)
        return;
    for (size_t i = 0; p->err == RG_OK && i < p->n; i++)
        follow(p, &p->targets[i], revision, id, reply->arrived_us);
}

static enum rg_err open_propagation(struct propagation *p, uint64_t rate)
{
    struct rg_bench *bench = p->bench;
    struct rg_cluster *c = bench->cluster;
    struct rg_cluster_region *primary;
    enum rg_err err = rg_cluster_region(c, NULL, &primary, &bench->cli->err);

    if (!err)
        err = rg_bench_loop_new(c->ca, &p->loop, &bench->cli->err);
    p->n_writers = rate <= 400 ? 4 : 64;
    for (size_t i = 0; !err && i < p->n_writers; i++)
        err = rg_bench_open(p->loop, primary->url, propagate_on_reply, p, &p->writers[i], &bench->cli->err);
    for (size_t i = 0; !err && i < c->n_regions; i++) {
        struct target *t = &p->targets[p->n];

        if (c->regions[i].primary)
            continue;
        *t = (struct target){.all = p, .name = c->regions[i].name};
        p->n++;
        for (size_t k = 0; !err && k < READERS_EACH; k++)
            err = rg_bench_open(p->loop, c->regions[i].url, read_on_reply, t, &t->readers[k], &bench->cli->err);
    }
    return err;
}

/* Writes by the clock: the n-th is due at n / rate, whether or not the ones before were answered. */
static void write_due(struct propagation *p, uint64_t from, uint64_t rate)
{
    uint64_t due = (uint64_t)((double)(rg_clock_us() - from) * (double)rate / 1e6);

    for (size_t i = 0; p->err == RG_OK && p->written <= due && i < p->n_writers; i++) {
        if (!rg_bench_idle(p->writers[i]))
            continue;
        rg_bench_user(&p->body, p->bench->cluster, p->run, p->written++);
        rg_bench_request(&p->request, p->bench->cluster, "POST", "/", "AWSIdentityStore.CreateUser", "",
                         rg_buf_span(&p->body));
        p->err = rg_bench_send(p->writers[i], rg_buf_span(&p->request));
    }
}

static enum rg_err run_propagation(struct propagation *p, uint64_t rate)
{
    uint64_t from, until, now;
    enum rg_err err;

    rg_bench_run_name(p->run);
    rg_buf_init(&p->body, 65536);
    rg_buf_init(&p->request, 65536);
    p->sample_every = rate > SAMPLES_PER_S_MAX ? rate / SAMPLES_PER_S_MAX : 1;
    err = open_propagation(p, rate);
    from = rg_clock_us();
    until = from + (uint64_t)(p->bench->seconds * 1e6);
    while (!err && ((now = rg_clock_us()) < until || p->answered < p->written || p->reads > 0)) {
        if (now < until)
            write_due(p, from, rate);
        else if (now > until + 10000000)
            return rg_fail(&p->bench->cli->err, RG_ETIMEOUT, "writes or reads are not answered 10 s after the end");
        err = p->err;
        if (!err)
            err = rg_bench_poll(p->loop, now < until ? from + (p->written + 1) * 1000000 / rate : now + 100000,
                                &p->bench->cli->err);
        if (!err)
            err = p->err;
    }
    return err;
}

/* The daemons' own histogram: received (learner) or committed (primary) → visible. */
static void print_inside(struct rg_bench *bench, uint64_t rate)
{
    for (size_t i = 0; i < bench->cluster->n_regions; i++) {
        struct rg_client *client = NULL;
        json_t *status = NULL, *h;

        if (rg_client_new(bench->cluster, bench->cluster->regions[i].url, &client, NULL) == RG_OK &&
            rg_client_get(client, "/v1/status", &status, NULL) == RG_OK &&
            (h = json_object_get(status, "visibleUs")) != NULL) {
            double p50 = json_number_value(json_object_get(h, "p50")) / 1000,
                   p90 = json_number_value(json_object_get(h, "p90")) / 1000,
                   p99 = json_number_value(json_object_get(h, "p99")) / 1000;
            long long count = rg_json_number(h, "count");

            if (bench->cli->json) {
                struct rg_cli_line line;
                struct rg_json_writer *j = rg_cli_line_begin(&line);

                rg_json_str(j, "figure", "propagation.inside");
                rg_json_str(j, "region", bench->cluster->regions[i].name);
                rg_json_u64(j, "rate", rate);
                rg_json_i64(j, "count", count);
                rg_json_fixed(j, "p50_ms", p50, 3);
                rg_json_fixed(j, "p90_ms", p90, 3);
                rg_json_fixed(j, "p99_ms", p99, 3);
                rg_cli_line_end(bench->cli, &line);
            } else {
                printf("%-22s %-16s since its start: count %lld p50 %.3f p90 %.3f p99 %.3f ms (power-of-two buckets)\n",
                       "propagation.inside", bench->cluster->regions[i].name, count, p50, p90, p99);
            }
        }
        json_decref(status);
        rg_client_free(client);
    }
}

/* Bytes the primary has written to its links to all replicas, TLS included, by its own /metrics; -1: not to be had. */
static double sent_bytes(struct rg_bench *bench)
{
    static const char name[] = "\nregent_link_sent_bytes{";
    RG_AUTO(client) struct rg_client *client = NULL;
    struct rg_answer answer;
    double sum = 0;

    if (rg_client_primary(bench->cluster, RG_CLIENT_MS, &client, NULL) != RG_OK ||
        rg_client_request(client, "GET", "/metrics", NULL, rg_span(NULL, 0), &answer, NULL) != RG_OK)
        return -1;
    rg_buf_put_u8(&answer.body, 0);
    for (const char *at = (const char *)answer.body.data; at != NULL && (at = strstr(at, name)) != NULL;) {
        at = strchr(at + 1, '}');
        sum += at != NULL ? strtod(at + 1, NULL) : 0;
    }
    rg_answer_deinit(&answer);
    return sum;
}

static enum rg_err propagation_at(struct rg_bench *bench, uint64_t rate)
{
    RG_AUTO_MEM struct propagation *p = calloc(1, sizeof *p);
    double before;
    enum rg_err err;

    if (p == NULL)
        return RG_ENOMEM;
    p->bench = bench;
    usleep(600000); /* the figures behind /metrics are a quarter of a second old */
    before = sent_bytes(bench);
    err = run_propagation(p, rate);
    usleep(600000);
    if (!err && p->n > 0 && p->answered > 0)
        rg_bench_print(bench, "propagation.wire_bytes_each", "each replica",
                       (sent_bytes(bench) - before) / (double)p->n / (double)p->answered, "B", "", 0);
    for (size_t i = 0; i < p->n; i++) {
        if (!err)
            rg_bench_print_samples(bench, "propagation", p->targets[i].name, rate, &p->targets[i].samples, bench->tls_ms);
        rg_samples_deinit(&p->targets[i].samples);
    }
    if (!err)
        rg_bench_print_samples(bench, "propagation", "all", rate, &p->all, bench->tls_ms);
    rg_samples_deinit(&p->all);
    rg_bench_loop_free(p->loop);
    rg_buf_deinit(&p->body);
    rg_buf_deinit(&p->request);
    return err;
}

enum rg_err rg_bench_propagation(struct rg_bench *bench)
{
    struct writers w;
    double most;
    enum rg_err err = propagation_at(bench, bench->rate);

    if (!err)
        print_inside(bench, bench->rate);
    if (!err) {
        err = run_writers(bench, 64, bench->seconds / 2 < 3 ? bench->seconds / 2 : 3, &w, &most);
        rg_samples_deinit(&w.samples);
    }
    if (!err)
        rg_bench_print(bench, "propagation.max_write_rate", "PRIMARY", most, "/s", "", 0);
    if (!err && most >= 2)
        err = propagation_at(bench, (uint64_t)(most / 2));
    return err;
}
