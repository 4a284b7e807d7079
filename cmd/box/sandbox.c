#include "cmd/box/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

/* ---- seccomp ---- */

#if defined(OUR_ARCH) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
enum { CALLS_MAX = 240, RULES_MAX = 24, RULE_CODE = 6, NUMBERS_SAID_MAX = 512 };
/* io_uring and clone3, whose arguments a filter does not see: not there, as on an older kernel; libuv and the C library do without. */
static const unsigned not_there[] = {425, 426, 427, 435};

static unsigned char said[NUMBERS_SAID_MAX];

/* The call did not happen. Its number is said once, with what a signal handler may use, and the call is EPERM. */
static void on_refused(int number, siginfo_t *info, void *context)
{
    static const char head[] = "warn sandbox.refused syscall=";
    char line[sizeof head + 16];
    unsigned call = (unsigned)info->si_syscall, rest = call;
    size_t n = sizeof head - 1, digits = 1;
    ucontext_t *uc = context;

    (void)number;
#if defined(__x86_64__)
    uc->uc_mcontext.gregs[REG_RAX] = -EPERM;
#else
    uc->uc_mcontext.regs[0] = (unsigned long long)-EPERM;
#endif
    if (call < NUMBERS_SAID_MAX && said[call]++ != 0)
        return;
    memcpy(line, head, n);
    for (unsigned v = call; v >= 10; v /= 10)
        digits++;
    for (size_t i = digits; i-- > 0; rest /= 10)
        line[n + i] = (char)('0' + rest % 10);
    n += digits;
    line[n++] = '\n';
    (void)!write(STDERR_FILENO, line, n);
}

/* The call's number is loaded, and is again afterwards. */
static unsigned short put_rule(struct sock_filter *code, unsigned short n, const struct rg_sandbox_rule *rule, unsigned refusal)
{
    const unsigned verdict = rule->never ? refusal : SECCOMP_RET_ALLOW;

    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->call, 0, 5);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args) + 8 * rule->arg);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, rule->mask);
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rule->value, 0, 1);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    return n;
}

static enum rg_err filter(const struct rg_sandbox *box, struct rg_errctx *ctx)
{
    const unsigned refusal = box->mode == RG_SANDBOX_LOG ? SECCOMP_RET_LOG : SECCOMP_RET_TRAP;
    const struct sigaction action = {.sa_sigaction = on_refused, .sa_flags = SA_SIGINFO};
    struct sock_filter code[CALLS_MAX + RULES_MAX * RULE_CODE + 24];
    struct sock_fprog program = {.filter = code};
    unsigned short n = 0;

    RG_ASSERT(box->n_calls <= CALLS_MAX);
    RG_ASSERT(box->n_rules <= RULES_MAX);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OUR_ARCH, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS); /* another ABI's numbers */
    code[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
#if defined(__x86_64__)
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000u, 0, 1);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refusal); /* x32: the same calls under other numbers */
#endif
    for (size_t i = 0; i < RG_LEN(not_there); i++) {
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, not_there[i], 0, 1);
        code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS);
    }
    for (size_t i = 0; i < box->n_rules; i++)
        n = put_rule(code, n, &box->rules[i], refusal);
    for (size_t i = 0; i < box->n_calls; i++) /* a jump reaches 255 instructions: to the last */
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, box->calls[i], (unsigned char)(box->n_calls - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, refusal);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    program.len = n;
    if (sigaction(SIGSYS, &action, NULL) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return rg_fail(ctx, RG_EINTERNAL, "seccomp: %s", strerror(errno));
    return RG_OK;
}

static const char *cannot_filter(void)
{
    errno = 0;
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != 0 && errno == EFAULT)
        return NULL; /* it would look at a filter */
    return "the kernel has no seccomp filters, or does not let this process use them";
}
#else
static enum rg_err filter(const struct rg_sandbox *box, struct rg_errctx *ctx) { return RG_OK; }
static const char *cannot_filter(void) { return "built with a sanitizer, or for a machine whose numbers are not known"; }
#endif

/* ---- Landlock ---- */

/* As in linux/landlock.h, which may be older than the kernel. */
enum {
    LL_CREATE = 444, LL_ADD = 445, LL_RESTRICT = 446, /* the same on every machine */
    LL_VERSION = 1, LL_BENEATH = 1,
    LL_EXECUTE = 1 << 0, LL_WRITE_FILE = 1 << 1, LL_READ_FILE = 1 << 2, LL_READ_DIR = 1 << 3,
    LL_REMOVE_DIR = 1 << 4, LL_REMOVE_FILE = 1 << 5, LL_MAKE_DIR = 1 << 7, LL_MAKE_REG = 1 << 8,
    LL_ABI_1 = (1 << 13) - 1,
    LL_REFER = 1 << 13, /* ABI 2: without it a file cannot be given a name in another folder */
    LL_TRUNCATE = 1 << 14, /* ABI 3 */
    LL_FILE_RIGHTS = LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE,
    LL_SCOPE_ABSTRACT = 1 << 0, /* ABI 6: no abstract socket of a process outside the box */
};
struct ll_ruleset {
    uint64_t handled, net, scoped;
};
struct ll_beneath {
    uint64_t allowed;
    int32_t fd;
} __attribute__((packed));

/* The folder or file itself, or the nearest folder above it. */
static int open_nearest(const char *path)
{
    char at[RG_CONFIG_PATH_MAX];
    char *slash;
    int fd;

    snprintf(at, sizeof at, "%s", path);
    while ((fd = open(at, O_PATH | O_CLOEXEC)) < 0 && (errno == ENOENT || errno == ENOTDIR)) {
        slash = strrchr(at, '/');
        if (slash == NULL)
            return open(".", O_PATH | O_CLOEXEC);
        slash[slash == at] = '\0';
        if (slash == at)
            return open("/", O_PATH | O_CLOEXEC);
    }
    return fd;
}

static uint64_t rights(unsigned may)
{
    static const struct {
        unsigned may;
        uint64_t rights;
    } table[] = {
        {RG_MAY_READ, LL_READ_FILE | LL_READ_DIR},
        {RG_MAY_WRITE, LL_WRITE_FILE | LL_TRUNCATE},
        {RG_MAY_MAKE, LL_MAKE_REG | LL_REMOVE_FILE | LL_REFER},
        {RG_MAY_DIRS, LL_MAKE_DIR | LL_REMOVE_DIR},
        {RG_MAY_DELETE, LL_READ_DIR | LL_REMOVE_FILE},
        {RG_MAY_RUN, LL_EXECUTE},
    };
    uint64_t all = 0;

    for (size_t i = 0; i < RG_LEN(table); i++)
        if ((may & table[i].may) != 0)
            all |= table[i].rights;
    return all;
}

static enum rg_err add_path(int set, const struct rg_sandbox_path *path, uint64_t handled, struct rg_errctx *ctx)
{
    struct ll_beneath rule = {.allowed = rights(path->may) & handled, .fd = open_nearest(path->path)};
    struct stat st;
    bool ok;

    if (rule.fd < 0)
        return rg_fail(ctx, RG_EINTERNAL, "sandbox: %s: %s", path->path, strerror(errno));
    ok = fstat(rule.fd, &st) == 0;
    if (ok && !S_ISDIR(st.st_mode))
        rule.allowed &= LL_FILE_RIGHTS;
    ok = ok && (rule.allowed == 0 || syscall(LL_ADD, set, LL_BENEATH, &rule, 0) == 0);
    if (!ok)
        (void)rg_fail(ctx, RG_EINTERNAL, "sandbox: Landlock does not take %s: %s", path->path, strerror(errno));
    close(rule.fd);
    return ok ? RG_OK : RG_EINTERNAL;
}

static enum rg_err restrict_files(const struct rg_sandbox *box, long abi, struct rg_errctx *ctx)
{
    const struct ll_ruleset rules = {.handled = LL_ABI_1 | (abi >= 2 ? LL_REFER : 0u) | (abi >= 3 ? LL_TRUNCATE : 0u),
                                     .scoped = abi >= 6 ? LL_SCOPE_ABSTRACT : 0};
    int set = (int)syscall(LL_CREATE, &rules, sizeof rules, 0);
    enum rg_err err = RG_OK;

    if (set < 0)
        return rg_fail(ctx, RG_EINTERNAL, "sandbox: Landlock: %s", strerror(errno));
    for (size_t i = 0; !err && i < box->n_paths; i++)
        err = add_path(set, &box->paths[i], rules.handled, ctx);
    if (!err && syscall(LL_RESTRICT, set, 0) != 0)
        err = rg_fail(ctx, RG_EINTERNAL, "sandbox: Landlock: %s", strerror(errno));
    close(set);
    return err;
}

/* ---- both ---- */

void rg_sandbox_allow(struct rg_sandbox *box, const char *path, unsigned may)
{
    if (path != NULL && path[0] != '\0' && box->n_paths < RG_SANDBOX_PATHS_MAX)
        box->paths[box->n_paths++] = (struct rg_sandbox_path){path, may};
}

enum rg_err rg_sandbox_enter(const struct rg_sandbox *box, const struct rg_log *log, struct rg_errctx *ctx)
{
    const char *why = cannot_filter();
    enum rg_err err = RG_OK;
    long abi;

    if (box->mode == RG_SANDBOX_OFF) {
        rg_log_warn(log, "sandbox.off", "who=%s reason=\"the configuration says sandbox: off\"", box->who);
        return RG_OK;
    }
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return rg_fail(ctx, RG_EINTERNAL, "sandbox: %s", strerror(errno));
    abi = box->mode == RG_SANDBOX_ON && box->n_paths > 0 ? syscall(LL_CREATE, NULL, 0, LL_VERSION) : 0; /* it cannot only log */
    if (abi >= 1)
        err = restrict_files(box, abi, ctx);
    else if (box->mode == RG_SANDBOX_ON && box->n_paths > 0)
        rg_log_warn(log, "sandbox.files", "who=%s reason=\"no Landlock: %s\" note=\"any file of this user may be opened\"", box->who,
                    strerror(errno));
    if (!err && why != NULL && box->n_calls > 0)
        rg_log_warn(log, "sandbox.calls", "who=%s reason=\"%s\" note=\"any system call may be made\"", box->who, why);
    if (!err)
        rg_log_info(log, "sandbox.on", "who=%s landlock=%ld paths=%zu seccomp=%s allowed=%zu", box->who, abi > 0 ? abi : 0L, box->n_paths,
                    why != NULL || box->n_calls == 0 ? "none" : box->mode == RG_SANDBOX_LOG ? "log" : "on", box->n_calls);
    return err || why != NULL || box->n_calls == 0 ? err : filter(box, ctx);
}
