/* cmd/bench/state.c: a large state: time to restart with it, memory it takes, time for a region that had nothing to get it.
 * Makes its own cluster of two regions, of which the second is first started when the first has the whole state. */
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/bench/own.h"
#include "base/clock.h"
#include "cmd/cli/client.h"

enum { CONNS = 128, GROUPS_EACH = 1000 };

/* ---- filling it ---- */

struct fill {
    struct rg_bench *bench;
    char run[17];
    uint64_t users, memberships, groups; /* wanted */
    uint64_t next, done, total;
    char (*user_ids)[37], (*group_ids)[37]; /* own */
    int phase; /* 0 users, 1 groups, 2 memberships */
    struct rg_buf body, request;
    struct rg_progress progress;
    enum rg_err err;
};

static void fill_send(struct fill *f, struct rg_bench_conn *conn)
{
    const char *store = f->bench->cluster->identity_store_id, *target;
    uint64_t n = f->next++;
    struct rg_json_writer j;
    char name[64];

    rg_buf_clear(&f->body);
    if (f->phase == 0) {
        rg_bench_user(&f->body, f->bench->cluster, f->run, n);
        target = "AWSIdentityStore.CreateUser";
    } else if (f->phase == 1) {
        snprintf(name, sizeof name, "bench-%s-group-%llu", f->run, (unsigned long long)n);
        rg_json_begin(&j, &f->body);
        rg_json_object(&j, NULL);
        rg_json_str(&j, "IdentityStoreId", store);
        rg_json_str(&j, "DisplayName", name);
        rg_json_end(&j);
        rg_json_done(&j);
        target = "AWSIdentityStore.CreateGroup";
    } else { /* user n % users, in a group that no earlier round gave it */
        uint64_t user = n % f->users, round = n / f->users;

        rg_json_begin(&j, &f->body);
        rg_json_object(&j, NULL);
        rg_json_str(&j, "IdentityStoreId", store);
        rg_json_str(&j, "GroupId", f->group_ids[(user + round) % f->groups]);
        rg_json_object(&j, "MemberId");
        rg_json_str(&j, "UserId", f->user_ids[user]);
        rg_json_end(&j);
        rg_json_end(&j);
        rg_json_done(&j);
        target = "AWSIdentityStore.CreateGroupMembership";
    }
    rg_bench_request(&f->request, f->bench->cluster, "POST", "/", target, "", rg_buf_span(&f->body));
    *rg_bench_tag(conn) = n;
    f->err = rg_bench_send(conn, rg_buf_span(&f->request));
}

static void fill_on_reply(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply)
{
    struct fill *f = arg;
    const char *key = f->phase == 0 ? "\"UserId\":\"" : "\"GroupId\":\"";
    const char *at = f->phase < 2 ? memmem(reply->body.p, reply->body.n, key, strlen(key)) : NULL;

    if (reply->status != 200 || (f->phase < 2 && at == NULL)) {
        f->err = rg_fail(&f->bench->cli->err, RG_EINTERNAL, "a write was answered %d: %.*s", reply->status,
                         (int)RG_MIN(reply->body.n, (size_t)300), (const char *)reply->body.p);
        return;
    }
    if (at != NULL) {
        char *to = f->phase == 0 ? f->user_ids[*rg_bench_tag(conn)] : f->group_ids[*rg_bench_tag(conn)];

        memcpy(to, at + strlen(key), 36);
        to[36] = '\0';
    }
    f->done++;
    rg_progress_show(&f->progress, f->done);
    if (f->next < f->total)
        fill_send(f, conn);
}

static enum rg_err fill_phase(struct fill *f, const char *what, int phase, uint64_t total, struct rg_bench_loop *loop,
                              struct rg_bench_conn **conns)
{
    enum rg_err err = RG_OK;

    f->phase = phase;
    f->next = f->done = 0;
    f->total = total;
    rg_progress_begin(&f->progress, f->bench->cli, what, total);
    for (size_t i = 0; !err && i < CONNS && f->next < total; i++) {
        fill_send(f, conns[i]);
        err = f->err;
    }
    while (!err && f->done < total) {
        err = rg_bench_poll(loop, rg_clock_us() + 100000, &f->bench->cli->err);
        if (!err)
            err = f->err;
    }
    rg_progress_end(&f->progress, f->done);
    return err;
}

enum rg_err rg_bench_fill(struct rg_bench *bench, const char *url)
{
    struct fill f = {.bench = bench, .users = bench->users, .memberships = bench->memberships};
    struct rg_bench_conn *conns[CONNS];
    struct rg_bench_loop *loop = NULL;
    uint64_t from = rg_clock_us();
    enum rg_err err;

    f.groups = bench->groups > 0 ? bench->groups : bench->users < GROUPS_EACH ? bench->users : GROUPS_EACH;
    if (f.memberships > f.users * f.groups)
        return rg_fail(&bench->cli->err, RG_EUSAGE, "--memberships: at most %llu for so many users",
                       (unsigned long long)(f.users * f.groups));
    rg_bench_run_name(f.run);
    rg_buf_init(&f.body, 65536);
    rg_buf_init(&f.request, 65536);
    f.user_ids = calloc(f.users, sizeof *f.user_ids);
    f.group_ids = calloc(f.groups, sizeof *f.group_ids);
    err = f.user_ids != NULL && f.group_ids != NULL ? rg_bench_loop_new(bench->cluster->ca, &loop, &bench->cli->err) : RG_ENOMEM;
    for (size_t i = 0; !err && i < CONNS; i++)
        err = rg_bench_open(loop, url, fill_on_reply, &f, &conns[i], &bench->cli->err);
    if (!err)
        err = fill_phase(&f, "users", 0, f.users, loop, conns);
    if (!err)
        err = fill_phase(&f, "groups", 1, f.groups, loop, conns);
    if (!err)
        err = fill_phase(&f, "memberships", 2, f.memberships, loop, conns);
    if (!err) {
        memcpy(bench->user_id, f.user_ids[0], sizeof bench->user_id);
        memcpy(bench->group_id, f.group_ids[0], sizeof bench->group_id);
    }
    if (!err)
        rg_bench_print(bench, "state.load", "PRIMARY",
                       (double)(f.users + f.groups + f.memberships) / ((double)(rg_clock_us() - from) / 1e6), "/s",
                       "1/fdatasync", 1000 / bench->fdatasync_ms);
    rg_bench_loop_free(loop);
    rg_buf_deinit(&f.body);
    rg_buf_deinit(&f.request);
    free(f.user_ids);
    free(f.group_ids);
    return err;
}

/* ---- measuring it ---- */

static double resident_mb(long pid)
{
    char path[64], line[256];
    double kb = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/status", pid);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "VmRSS: %lf", &kb) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return kb / 1024;
}

/* Pages of the state's files on the memory file system, whether or not the process has touched them. */
static double state_mb(const char *config)
{
    static const char *const names[] = {"state-a.mdb", "state-b.mdb"};
    char line[1024], dir[600] = "", path[700];
    FILE *f = fopen(config, "re");
    double bytes = 0;
    struct stat st;

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "state_dir: %599s", dir) == 1)
            break;
    if (f != NULL)
        fclose(f);
    for (size_t i = 0; i < RG_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        bytes += stat(path, &st) == 0 ? (double)st.st_blocks * 512 : 0;
    }
    return bytes / (1 << 20);
}

/* Anonymous memory plus the memory file: nothing is counted twice (the mapping's pages are the file's). */
static double anonymous_mb(long pid)
{
    char path[64], line[256];
    double kb = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/status", pid);
    f = fopen(path, "re");
    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "RssAnon: %lf", &kb) == 1)
            break;
    if (f != NULL)
        fclose(f);
    return kb / 1024;
}

enum rg_err rg_bench_counts(struct rg_bench *bench, const char *region)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    struct rg_cluster_region *r;
    json_t *status = NULL, *counts;
    long long users, memberships;
    enum rg_err err = rg_cluster_region(bench->cluster, region, &r, &bench->cli->err);

    if (!err)
        err = rg_client_new(bench->cluster, r->url, &client, &bench->cli->err);
    if (!err)
        err = rg_client_get(client, "/v1/status", &status, &bench->cli->err);
    counts = json_object_get(status, "counts");
    users = rg_json_number(counts, "users");
    memberships = rg_json_number(counts, "memberships");
    if (!err && (users != (long long)bench->users || memberships != (long long)bench->memberships))
        err = rg_fail(&bench->cli->err, RG_EINTERNAL, "%s says it is ready with %lld users and %lld memberships", region, users,
                      memberships);
    json_decref(status);
    return err;
}

static enum rg_err timed(struct rg_bench *bench, const char *figure, const char *region, const char *dir)
{
    const char *const args[] = {"dev", "start", region, "--dir", dir, NULL};
    uint64_t from = rg_clock_us();
    enum rg_err err = rg_cli_self(args, STDERR_FILENO, &bench->cli->err);

    if (!err)
        err = rg_bench_counts(bench, region);
    if (!err)
        rg_bench_print(bench, figure, region, (double)(rg_clock_us() - from) / 1e6, "s", "", 0);
    return err;
}

static enum rg_err measure(struct rg_bench *bench, const char *dir, const char *path)
{
    const char *const kill_second[] = {"dev", "kill", "bench-b", "--dir", dir, NULL};
    const char *const kill_first[] = {"dev", "kill", "bench-a", "--dir", dir, NULL};
    enum rg_err err = rg_cli_self(kill_first, STDERR_FILENO, &bench->cli->err);
    struct rg_cluster_node *node;

    if (!err)
        err = timed(bench, "restart.primary", "bench-a", dir);
    if (!err)
        err = timed(bench, "restart.new_learner", "bench-b", dir);
    if (!err)
        err = rg_cli_self(kill_second, STDERR_FILENO, &bench->cli->err);
    if (!err)
        err = timed(bench, "restart.learner", "bench-b", dir);
    free(bench->cluster);
    bench->cluster = NULL;
    if (!err)
        err = rg_cluster_load_file(path, &bench->cluster, &bench->cli->err);
    for (size_t i = 0; !err && i < bench->cluster->n_regions; i++) {
        node = &bench->cluster->regions[i].nodes[0];
        rg_bench_print(bench, "memory.resident", bench->cluster->regions[i].name, resident_mb(node->pid), "MB", "", 0);
        rg_bench_print(bench, "memory.state_file", bench->cluster->regions[i].name, state_mb(node->config), "MB", "", 0);
        rg_bench_print(bench, "memory.total", bench->cluster->regions[i].name,
                       anonymous_mb(node->pid) + state_mb(node->config), "MB", "", 0);
    }
    return err;
}

enum rg_err rg_bench_state(struct rg_bench *bench)
{
    struct rg_bench_own own;
    enum rg_err err = rg_bench_own_up(&own, bench, "--only", "bench-a");

    if (!err)
        err = rg_bench_fill(bench, bench->cluster->regions[0].url);
    if (!err)
        err = measure(bench, own.dir, own.path);
    rg_bench_own_down(&own);
    return err;
}
