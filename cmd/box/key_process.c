#include "cmd/box/key_process.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret/secret.h"
#include "cmd/box/sandbox.h"
#include "crypto/vault/keeper.h"

enum { CHILD_FD = 3, END_MS_MAX = 3000 };
static const char handed[] = "REGENT_KEY_PROCESS"; /* "FD PID", from one image of this program to the next */

/* ---- the daemon's side ---- */

static bool take_over(struct rg_key_process *p)
{
    const char *text = getenv(handed);
    int kind, fd, pid, end = 0;
    socklen_t n = sizeof kind;

    if (text == NULL)
        return false;
    if (sscanf(text, "%d %d%n", &fd, &pid, &end) != 2 || text[end] != '\0' || fd < CHILD_FD || pid <= 1 ||
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &kind, &n) != 0 || kind != SOCK_SEQPACKET)
        fd = -1;
    unsetenv(handed);
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return false;
    *p = (struct rg_key_process){.fd = fd, .pid = pid};
    return true;
}

void rg_key_process_hand_on(const struct rg_key_process *p)
{
    char text[32];

    snprintf(text, sizeof text, "%d %d", p->fd, (int)p->pid);
    if (fcntl(p->fd, F_SETFD, 0) == 0)
        setenv(handed, text, 1);
}

/* Between fork and exec: system calls alone. */
static _Noreturn void become_child(const char *config_path, int fd, pid_t parent)
{
    static char program[] = "/proc/self/exe", name[] = "regentd-keys", config[] = "--config", keys[] = "--keys", number[] = "3";
    static const char unseen[] = "regentd: the key process: /proc/self/exe cannot be executed: is /proc mounted?\n";
    char *const argv[] = {name, config, (char *)(uintptr_t)config_path, keys, number, NULL};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(1);
    if (fd == CHILD_FD ? fcntl(fd, F_SETFD, 0) != 0 : dup2(fd, CHILD_FD) != CHILD_FD)
        _exit(1);
    execv(program, argv);
    (void)!write(STDERR_FILENO, unseen, sizeof unseen - 1);
    _exit(1);
}

enum rg_err rg_key_process_start(const char *config_path, struct rg_key_process *ret_process, struct rg_errctx *ctx)
{
    pid_t parent = getpid(), pid;
    int pair[2];

    if (take_over(ret_process))
        return RG_OK;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return rg_fail(ctx, RG_EINTERNAL, "the key process: no socket pair: %s", strerror(errno));
    pid = fork();
    if (pid == 0)
        become_child(config_path, pair[1], parent);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return rg_fail(ctx, RG_EINTERNAL, "the key process cannot be started: %s", strerror(errno));
    }
    *ret_process = (struct rg_key_process){.fd = pair[0], .pid = pid};
    return RG_OK;
}

static bool has_ended(struct rg_key_process *p)
{
    pid_t pid;
    bool ended = false;

    while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
        ended |= pid == p->pid;
    if (ended)
        p->pid = 0; /* its number may be another one's */
    return ended;
}

bool rg_key_process_lost(struct rg_key_process *p, const struct rg_vault *vault, const struct rg_log *log)
{
    int pid = (int)p->pid;
    bool ended = has_ended(p);

    if (p->lost || (!ended && (vault == NULL || !rg_vault_lost(vault))))
        return p->lost;
    p->lost = true;
    rg_log_error(log, "keys.lost", "pid=%d reason=\"the key process %s: this one ends, too\"", pid,
                 ended ? "has ended" : "is gone, or does not answer");
    return true;
}

void rg_key_process_stop(struct rg_key_process *p)
{
    if (p->fd < 0)
        return;
    close(p->fd);
    p->fd = -1;
    for (unsigned i = 0; p->pid > 0 && waitpid(p->pid, NULL, WNOHANG) == 0; i++) { /* it has nothing to finish */
        if (i == (p->lost ? 0 : END_MS_MAX))
            kill(p->pid, SIGKILL); /* it was stopped, or its disk hangs */
        if (i > 2 * END_MS_MAX)
            return;
        usleep(1000);
    }
}

/* ---- the child's ---- */

struct keys {
    const char *config_path;
    struct rg_config config;
};

static enum rg_err load(void *arg, struct rg_keeper_places *ret_places, struct rg_errctx *ctx)
{
    struct keys *k = arg;
    const struct rg_config *c = &k->config;
    enum rg_err err = rg_config_load(k->config_path, &k->config, ctx);

    if (err)
        return err;
    if (rg_secret_process(c->cores) != RG_OK)
        return rg_fail(ctx, RG_EINTERNAL, "core dumps of the key process cannot be turned off");
    *ret_places = (struct rg_keeper_places){.id = c->id, .keystore = c->keystore, .passphrase_file = c->passphrase_file,
                                            .ca = c->tls_ca, .key = c->tls_key, .fetch = c->keystore_fetch};
    snprintf(ret_places->cluster, sizeof ret_places->cluster, "%s", c->cluster);
    snprintf(ret_places->region, sizeof ret_places->region, "%s", c->region);
    return RG_OK;
}

int rg_key_process_main(const char *config_path, int fd, const struct rg_log *log)
{
    static struct keys k; /* a megabyte does not belong on the stack */
    const struct rg_keeper_config config = {.load = load, .arg = &k, .log = log};
    RG_AUTO(keeper) struct rg_keeper *keeper = NULL;
    struct rg_errctx ctx = {.text = ""};
    struct rg_sandbox box;

    /* The terminal's and the service manager's signals are for the whole group: the daemon needs its key until it is done. */
    signal(SIGTERM, SIG_IGN);
    signal(SIGINT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    k.config_path = config_path;
    if (close_range(CHILD_FD + 1, ~0u, 0) != 0 && errno != ENOSYS && errno != EPERM) /* a container's filter: all close by themselves */
        return 1;
    if (rg_config_load(config_path, &k.config, &ctx) != RG_OK)
        return 1; /* the daemon says why */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL); /* what it reads, a machine's policy among it, may lie outside the box */
    EVP_CIPHER_free(EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL)); /* and its providers */
    rg_sandbox_for_keys(&k.config, config_path, &box);
    if (rg_sandbox_enter(&box, log, &ctx) != RG_OK) {
        rg_log_error(log, "sandbox.failed", "reason=\"%s\" note=\"sandbox: off does without\"", ctx.text);
        return 1;
    }
    return rg_keeper_new(&config, &keeper) == RG_OK ? rg_keeper_run(keeper, fd) : 1;
}
