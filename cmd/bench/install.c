/* cmd/bench/install.c: a snapshot is put in place at a region that serves: how long reads and the raft thread stand still meanwhile, as
 * those who ask see it. Makes its own cluster of two regions. */
#include <jansson.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/bench/own.h"
#include "cmd/cli/client.h"

/* A region that was away for fewer is given entries, not a snapshot: one is taken each 100,000, and 16,384 are kept behind it. */
enum { ENTRIES_MIN = 120000, READY_S_MAX = 60, INSTALL_S_MAX = 900, POLL_US = 1000, LOOK_US = 50000 };

struct install {
    struct rg_bench *bench;
    const char *url;           /* of the region that it is sent to */
    struct rg_buf read, probe; /* requests */
    uint64_t good_us, gap_us;  /* the last read that was answered; the longest time between two */
    uint64_t reads, refused;
    uint64_t told_us, still_us; /* the last answer of the raft thread; the longest time between two */
    char want[64];     /* the primary's revision */
    uint64_t seen_us;  /* when the region showed it */
    enum rg_err err;
};

static void read_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct install *in = arg;

    (void)conn;
    if (reply->status != 200) {
        in->refused++;
        return;
    }
    in->reads++;
    in->gap_us = RG_MAX(in->gap_us, reply->arrived_us - in->good_us);
    in->good_us = reply->arrived_us;
    if (in->seen_us == 0 && rg_span_is(rg_bench_header(reply, "Regent-Revision"), in->want))
        in->seen_us = reply->arrived_us;
}

static void probe_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct install *in = arg;

    (void)conn;
    if (reply->status == 200)
        in->err = rg_fail(&in->bench->cli->err, RG_EINTERNAL, "a revision that nobody has was reached");
    if (reply->status != rg_err_http(RG_EREVISION))
        return; /* a worker refused it */
    in->still_us = RG_MAX(in->still_us, reply->arrived_us - in->told_us);
    in->told_us = reply->arrived_us;
}

static enum rg_err revision_of(struct rg_bench *bench, const char *url, char out[64], bool *ret_ready)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    json_t *status = NULL;
    const char *revision;
    enum rg_err err = rg_client_new(bench->cluster, url, &client, &bench->cli->err);

    if (!err)
        err = rg_client_get(client, "/v1/status", &status, &bench->cli->err);
    revision = json_string_value(json_object_get(status, "revision"));
    *ret_ready = !err && rg_json_flag(status, "ready");
    if (!err && revision != NULL)
        snprintf(out, 64, "%s", revision);
    json_decref(status);
    return err;
}

static enum rg_err wait_ready(struct rg_bench *bench, const char *url)
{
    uint64_t end = rg_clock_us() + (uint64_t)READY_S_MAX * 1000000;
    bool ready = false;
    char revision[64];

    while (!ready && rg_clock_us() < end) {
        (void)!revision_of(bench, url, revision, &ready);
        usleep(LOOK_US);
    }
    return ready ? RG_OK : rg_fail(&bench->cli->err, RG_ETIMEOUT, "%s is not ready", url);
}

/* One list of one user, over and over: what is there now, and a revision that nobody has, which only the raft thread can say no to. */
static void make_requests(struct install *in)
{
    const struct rg_cluster *c = in->bench->cluster;
    RG_AUTO_BUF struct rg_buf body = {.max = 0};
    struct rg_json_writer j;
    char later[160];

    rg_buf_init(&body, 1024);
    rg_json_begin(&j, &body);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "IdentityStoreId", c->identity_store_id);
    rg_json_u64(&j, "MaxResults", 1);
    rg_json_end(&j);
    rg_json_done(&j);
    snprintf(later, sizeof later, "Regent-Min-Revision: %.*s.99999999999\r\nRegent-Wait-Ms: 1\r\n", (int)strcspn(in->want, "."), in->want);
    rg_buf_init(&in->read, 65536);
    rg_buf_init(&in->probe, 65536);
    rg_bench_request(&in->read, c, "POST", "/", "AWSIdentityStore.ListUsers", "", rg_buf_span(&body));
    rg_bench_request(&in->probe, c, "POST", "/", "AWSIdentityStore.ListUsers", later, rg_buf_span(&body));
}

static enum rg_err watch(struct install *in, struct rg_bench_loop *loop, struct rg_bench_conn *reader, struct rg_bench_conn *prober)
{
    uint64_t end = rg_clock_us() + (uint64_t)INSTALL_S_MAX * 1000000, after = 0;
    enum rg_err err = RG_OK;

    while (!err && !in->err && (in->seen_us == 0 || rg_clock_us() < after)) {
        if (rg_clock_us() > end)
            return rg_fail(&in->bench->cli->err, RG_ETIMEOUT, "the region does not get to revision %s", in->want);
        if (in->seen_us != 0 && after == 0)
            after = rg_clock_us() + 1000000; /* what is left behind is closed */
        if (rg_bench_idle(reader))
            err = rg_bench_send(reader, rg_buf_span(&in->read));
        if (!err && rg_bench_idle(prober))
            err = rg_bench_send(prober, rg_buf_span(&in->probe));
        if (!err)
            err = rg_bench_poll(loop, rg_clock_us() + POLL_US, &in->bench->cli->err);
    }
    return err ? err : in->err;
}

static enum rg_err measure(struct install *in, const char *path)
{
    const char *const heal[] = {"dev", "link", "heal", "bench-a", "bench-b", "--cluster", path, NULL};
    struct rg_bench_conn *reader = NULL, *prober = NULL;
    struct rg_bench_loop *loop = NULL;
    uint64_t from;
    enum rg_err err = rg_bench_loop_new(in->bench->cluster->ca, &loop, &in->bench->cli->err);

    if (!err)
        err = rg_bench_open(loop, in->url, read_on_reply, in, &reader, &in->bench->cli->err);
    if (!err)
        err = rg_bench_open(loop, in->url, probe_on_reply, in, &prober, &in->bench->cli->err);
    if (!err)
        err = rg_cli_self(heal, STDERR_FILENO, &in->bench->cli->err);
    from = in->good_us = in->told_us = rg_clock_us();
    if (!err)
        err = watch(in, loop, reader, prober);
    rg_bench_loop_free(loop);
    if (err)
        return err;
    rg_bench_print(in->bench, "install.total", "bench-b", (double)(in->seen_us - from) / 1e6, "s", "", 0);
    rg_bench_print(in->bench, "install.raft_thread", "bench-b", (double)in->still_us / 1e3, "ms", "loopback", in->bench->loopback_ms);
    rg_bench_print(in->bench, "install.read_gap", "bench-b", (double)in->gap_us / 1e3, "ms", "loopback", in->bench->loopback_ms);
    rg_bench_print(in->bench, "install.reads_refused", "bench-b", (double)in->refused, "", "", 0);
    return RG_OK;
}

static enum rg_err run(struct rg_bench *bench, const char *path)
{
    const char *const cut[] = {"dev", "link", "cut", "bench-a", "bench-b", "--cluster", path, NULL};
    struct install in = {.bench = bench, .url = bench->cluster->regions[1].url};
    bool ready;
    enum rg_err err = wait_ready(bench, in.url);

    if (!err)
        err = rg_cli_self(cut, STDERR_FILENO, &bench->cli->err);
    if (!err)
        err = rg_bench_fill(bench, bench->cluster->regions[0].url);
    if (!err) {
        sleep(3); /* its snapshot is taken, and the log forgotten */
        err = revision_of(bench, bench->cluster->regions[0].url, in.want, &ready);
    }
    if (err)
        return err;
    make_requests(&in);
    err = measure(&in, path);
    rg_buf_deinit(&in.read);
    rg_buf_deinit(&in.probe);
    return err ? err : rg_bench_counts(bench, "bench-b");
}

enum rg_err rg_bench_install(struct rg_bench *bench)
{
    struct rg_bench_own own;
    enum rg_err err;

    if (bench->users + bench->memberships < ENTRIES_MIN)
        return rg_fail(&bench->cli->err, RG_EUSAGE, "--users and --memberships: together %d at least, or entries are sent", ENTRIES_MIN);
    err = rg_bench_own_up(&own, bench, "--proxy", NULL);
    if (!err)
        err = run(bench, own.path);
    rg_bench_own_down(&own);
    return err;
}
