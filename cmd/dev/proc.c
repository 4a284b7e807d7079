/* cmd/dev/proc.c: the processes of a development cluster: started, known again by their command lines, stopped. */
#include "cmd/dev/dev.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/cli/client.h"
#include "store/db/statedir.h"

enum { READY_MS_MAX = 60000, STOP_MS_MAX = 10000, POLL_US = 20000 };

bool rg_dev_pid_runs(long pid, const char *config)
{
    char path[64], line[2048];
    ssize_t n;
    int fd;

    if (pid <= 0)
        return false;
    snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, line, sizeof line - 1);
    close(fd);
    return n > 0 && memmem(line, (size_t)n, config, strlen(config)) != NULL;
}

bool rg_dev_runs(const struct rg_cluster_node *node) { return rg_dev_pid_runs(node->pid, node->config); }

bool rg_dev_lock_free(const char *path)
{
    int fd = open(path, O_RDWR | O_CLOEXEC);
    bool is_free;

    if (fd < 0)
        return true;
    is_free = flock(fd, LOCK_EX | LOCK_NB) == 0;
    close(fd);
    return is_free;
}

/* Whether a node's process has ended for good: nobody holds its data directory's lock. (A killed process with much memory
 * is long without a command line before its files are closed.) */
static bool ended(const struct rg_cluster_node *node)
{
    char path[600];

    snprintf(path, sizeof path, "%.500s/lock", node->data_dir);
    return !rg_dev_runs(node) && rg_dev_lock_free(path);
}

enum rg_err rg_dev_program(const char *name, char out[600], struct rg_errctx *ctx)
{
    char self[500];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    const char *slash;

    self[n > 0 ? n : 0] = '\0';
    slash = strrchr(self, '/');
    snprintf(out, 600, "%.*s%s", slash != NULL ? (int)(slash + 1 - self) : 0, self, name);
    if (access(out, X_OK) != 0)
        return rg_fail(ctx, RG_ENOTFOUND, "%s: %s (%s must stand beside regent)", out, strerror(errno), name);
    return RG_OK;
}

enum rg_err rg_dev_spawn(const char *const *argv, const char *log, long *ret_pid, struct rg_errctx *ctx)
{
    int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600), null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    pid_t pid = fd >= 0 && null >= 0 ? fork() : -1;
    int error = errno;

    if (pid == 0) {
        setsid();
        dup2(null, STDIN_FILENO);
        dup2(fd, STDOUT_FILENO);
        dup2(fd, STDERR_FILENO);
        execv(argv[0], (char *const *)(uintptr_t)argv);
        _exit(127);
    }
    if (fd >= 0)
        close(fd);
    if (null >= 0)
        close(null);
    if (pid < 0)
        return rg_fail(ctx, RG_EIO, "%s cannot be started with its log %s: %s", argv[0], log, strerror(error));
    *ret_pid = pid;
    return RG_OK;
}

void rg_dev_log_tail(const char *log, char *out, size_t size)
{
    off_t end;
    ssize_t n;
    int fd = open(log, O_RDONLY | O_CLOEXEC);

    out[0] = '\0';
    if (fd < 0)
        return;
    end = lseek(fd, 0, SEEK_END);
    n = pread(fd, out, size - 1, end > (off_t)size ? end - (off_t)size + 1 : 0);
    out[n > 0 ? n : 0] = '\0';
    close(fd);
}

/* Log of a node: beside its configuration. */
static void log_path(const struct rg_cluster_node *node, char out[600])
{
    snprintf(out, 600, "%.500s.log", node->config);
}

static enum rg_err spawn(struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    char program[600], log[600];
    const char *const argv[] = {program, "--config", node->config, NULL};
    enum rg_err err = rg_dev_program("regentd", program, ctx);

    log_path(node, log);
    return err ? err : rg_dev_spawn(argv, log, &node->pid, ctx);
}

enum rg_err rg_dev_start_first(struct rg_cluster *c, const char *only, struct rg_errctx *ctx)
{
    struct rg_cluster_node *first = &c->regions[0].nodes[0];
    char program[600], log[600], without[RG_PEERS_MAX][24];
    const char *argv[2 * RG_PEERS_MAX + 8] = {program, "--config", first->config, "--init"};
    enum rg_err err = rg_dev_program("regentd", program, ctx);
    size_t n = 4, n_without = 0;

    for (size_t i = 0; i < c->n_regions && only != NULL; i++)
        for (size_t k = 0; k < c->regions[i].n_nodes && n_without < RG_PEERS_MAX; k++) {
            if (strcmp(c->regions[i].name, only) == 0)
                continue;
            snprintf(without[n_without], sizeof without[0], "%llu", (unsigned long long)c->regions[i].nodes[k].id);
            argv[n++] = "--without";
            argv[n++] = without[n_without++];
        }
    log_path(first, log);
    if (!err)
        err = rg_dev_spawn(argv, log, &first->pid, ctx);
    for (unsigned i = 0; !err && i < 200 && !rg_dev_runs(first); i++) /* until it can be seen, so that nobody starts it again */
        usleep(5000);
    return err;
}

bool rg_dev_is_new(const struct rg_cluster *c)
{
    bool any = false;

    for (size_t i = 0; i < c->n_regions; i++)
        for (size_t k = 0; k < c->regions[i].n_nodes; k++) {
            const struct rg_cluster_node *node = &c->regions[i].nodes[k];
            char path[700];

            snprintf(path, sizeof path, "%s/meta", node->data_dir);
            any |= access(path, F_OK) == 0;
            snprintf(path, sizeof path, "%s/../.regent-mark-%llu", node->data_dir, (unsigned long long)node->id);
            any |= access(path, F_OK) == 0;
        }
    return !any;
}

/* Wait until a node answers /readyz with 200; it must stay alive meanwhile. */
static enum rg_err wait_ready(const struct rg_cluster *cluster, const struct rg_cluster_node *node, struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    uint64_t until = rg_clock_us() + (uint64_t)READY_MS_MAX * 1000;
    char why[300] = "it does not answer";
    enum rg_err err = rg_client_new(cluster, node->url, &client, ctx);

    if (err)
        return err;
    rg_client_timeout(client, 2000);
    while (rg_clock_us() < until) {
        struct rg_answer answer;
        bool ready = false;

        if (rg_client_request(client, "GET", "/readyz", NULL, rg_span(NULL, 0), &answer, NULL) == RG_OK) {
            ready = answer.status == 200;
            snprintf(why, sizeof why, "%.*s", (int)RG_MIN(answer.body.len, sizeof why - 1), (const char *)answer.body.data);
            rg_answer_deinit(&answer);
        }
        if (ready)
            return RG_OK;
        /* Our own child: alive until it is reaped (just forked, it does not yet show its configuration). Another's: look. */
        if (waitpid((pid_t)node->pid, NULL, WNOHANG) != 0 && !rg_dev_runs(node)) {
            char tail[500], log[600];

            log_path(node, log);
            rg_dev_log_tail(log, tail, sizeof tail);
            return rg_fail(ctx, RG_ESTOPPED, "node %llu has stopped; the end of its log %.200s:\n%s",
                           (unsigned long long)node->id, log, tail);
        }
        usleep(POLL_US);
    }
    return rg_fail(ctx, RG_ETIMEOUT, "node %llu at %s is not ready after %d s: %s", (unsigned long long)node->id, node->url,
                   READY_MS_MAX / 1000, why);
}

enum rg_err rg_dev_start_region(struct rg_cluster_region *region, uint64_t only, struct rg_errctx *ctx)
{
    for (size_t i = 0; i < region->n_nodes; i++) {
        bool skip = only != 0 && region->nodes[i].id != only;
        enum rg_err err = skip || rg_dev_runs(&region->nodes[i]) ? RG_OK : spawn(&region->nodes[i], ctx);

        if (err)
            return err;
    }
    return RG_OK;
}

enum rg_err rg_dev_wait_region(const struct rg_cluster *cluster, const struct rg_cluster_region *region, uint64_t only,
                               struct rg_errctx *ctx)
{
    for (size_t i = 0; i < region->n_nodes; i++) {
        bool skip = only != 0 && region->nodes[i].id != only;
        enum rg_err err = skip ? RG_OK : wait_ready(cluster, &region->nodes[i], ctx);

        if (err)
            return err;
    }
    return RG_OK;
}

void rg_dev_remove_state(const struct rg_cluster_node *node)
{
    char line[1024], dir[600] = "";
    FILE *f = fopen(node->config, "re");

    while (f != NULL && fgets(line, sizeof line, f) != NULL)
        if (sscanf(line, "state_dir: '%599[^']", dir) == 1 || sscanf(line, "state_dir: %599s", dir) == 1)
            break;
    if (f != NULL)
        fclose(f);
    if (strncmp(dir, "/dev/shm/regent-", 16) != 0)
        return;
    rg_statedir_purge(dir);
}

void rg_dev_stop_node(const struct rg_cluster_node *node, int signal_first)
{
    uint64_t until = rg_clock_us() + (uint64_t)STOP_MS_MAX * 1000;

    if (rg_dev_runs(node))
        kill((pid_t)node->pid, signal_first);
    while (!ended(node) && rg_clock_us() < until)
        usleep(POLL_US);
    if (rg_dev_runs(node))
        kill((pid_t)node->pid, SIGKILL);
    while (!ended(node) && rg_clock_us() < until + (uint64_t)STOP_MS_MAX * 1000)
        usleep(POLL_US);
}
