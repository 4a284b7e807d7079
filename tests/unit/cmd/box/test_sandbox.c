/* cmd/box/sandbox: what the key process may do once it is in its box, and what it no longer may. Each test is a process of its own. */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmd/box/sandbox.h"
#include "crypto/keyprov.h"
#include "crypto/privfile.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

#define PASS "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"

static char dir[TMPDIR_BYTES], other[TMPDIR_BYTES], config_path[300], keystore[300], outside[300];
static struct rg_config config;
static bool files, calls; /* what of it this machine and build have */

static void on_line(void *arg, enum rg_log_level level, const char *event, const char *text)
{
    if (strcmp(event, "sandbox.files") == 0)
        files = false;
    if (strcmp(event, "sandbox.calls") == 0)
        calls = false;
}

static void setup(void)
{
    tmpdir_make(dir);
    tmpdir_make(other);
    snprintf(config_path, sizeof config_path, "%s/regentd.yaml", dir);
    snprintf(keystore, sizeof keystore, "%s/keystore", dir);
    snprintf(outside, sizeof outside, "%s/file", other);
    ck_assert_int_eq(rg_privfile_write(outside, "", RG_PRIVFILE_SECRET, rg_span_str("x"), NULL), RG_OK);
    ck_assert_int_eq(rg_privfile_write(config_path, "", RG_PRIVFILE_SECRET, rg_span_str("x"), NULL), RG_OK);
    snprintf(config.keystore, sizeof config.keystore, "%s", keystore);
    snprintf(config.passphrase_file, sizeof config.passphrase_file, "%s/passphrase", dir);
    snprintf(config.tls_key, sizeof config.tls_key, "%s/key.pem", dir);
    snprintf(config.data_dir, sizeof config.data_dir, "%s/data", dir);
    files = calls = true;
}

static void teardown(void)
{
    tmpdir_remove(dir);
    tmpdir_remove(other);
}

/* In the box, in a process of its own: the folders are removed outside of it. what: 0, or the line that was not as it should be.
 * ret_said: what it wrote to standard error. */
static int boxed(bool daemon, enum rg_sandbox_mode mode, int (*what)(void), char *ret_said, size_t size)
{
    int fds[2], status;
    ssize_t n = 0, got;
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        const struct rg_log log = {.min = RG_LOG_INFO, .sink = on_line};
        struct rg_errctx ctx = {.text = ""};
        struct rg_sandbox box;

        dup2(fds[1], STDERR_FILENO);
        config.sandbox = mode;
        if (daemon)
            rg_sandbox_for_daemon(&config, 0, &box);
        else
            rg_sandbox_for_keys(&config, config_path, &box);
        if (rg_sandbox_enter(&box, &log, &ctx) != RG_OK) {
            (void)!write(STDERR_FILENO, ctx.text, strlen(ctx.text));
            _exit(255);
        }
        if (!files || !calls)
            (void)!write(STDERR_FILENO, "(not all of it is to be had on this machine, or in this build)\n", 63);
        _exit(what());
    }
    close(fds[1]);
    while ((got = read(fds[0], ret_said + n, size - 1 - (size_t)n)) > 0)
        n += got;
    ret_said[n] = '\0';
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFEXITED(status), "it was ended by signal %d: %s", WTERMSIG(status), ret_said);
    if (strstr(ret_said, "not all of it") != NULL)
        printf("%s", ret_said);
    return WEXITSTATUS(status);
}

CASE(.setup = setup, .teardown = teardown);

#define WANT(cond) \
    do \
        if (!(cond)) \
            return RG_MIN(__LINE__, 250); \
    while (0)

static int what_it_needs(void)
{
    struct rg_keyprov *keys = NULL;
    char id[RG_KEY_ID_BYTES_MAX];
    void *p;

    WANT(rg_keystore_create(keystore, "us-east-1", rg_span_str(PASS), id, NULL) == RG_OK); /* made, linked, synced, scrypt */
    WANT(rg_keystore_open(keystore, "us-east-1", rg_span_str(PASS), &keys, NULL) == RG_OK);
    rg_keyprov_free(keys);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    WANT(p != MAP_FAILED && munmap(p, 4096) == 0);
    WANT(access(config_path, R_OK) == 0);
    return 0;
}

TEST(it_does_its_work)
{
    char said[4096];
    int line = boxed(false, RG_SANDBOX_ON, what_it_needs, said, sizeof said);

    ck_assert_msg(line == 0, "line %d: %s", line, said);
    ck_assert_msg(strstr(said, "sandbox.refused") == NULL, "%s", said);
}

static int what_it_may_not(void)
{
    static char program[] = "/bin/true";
    char *const argv[] = {program, NULL};
    char in_data[320];

    snprintf(in_data, sizeof in_data, "%s/made", dir);
    if (calls) {
        errno = 0;
        WANT(socket(AF_INET, SOCK_STREAM, 0) < 0 && errno == EPERM);
        errno = 0;
        WANT(socket(AF_UNIX, SOCK_STREAM, 0) < 0 && errno == EPERM);
        errno = 0;
        WANT(execv(program, argv) < 0 && errno == EPERM);
        errno = 0;
        WANT(ptrace(PTRACE_ATTACH, getppid(), 0, 0) < 0 && errno == EPERM);
        errno = 0;
        WANT(syscall(SYS_clone, 17, 0, 0, 0, 0) < 0 && errno == EPERM); /* fork */
        errno = 0;
        WANT(kill(getppid(), 0) < 0 && errno == EPERM);
        errno = 0;
        WANT(mkdir(in_data, 0700) < 0 && errno == EPERM);
    }
    if (files) {
        errno = 0;
        WANT(open(outside, O_RDONLY) < 0 && errno == EACCES);
        errno = 0;
        WANT(open("/etc/passwd", O_RDONLY) < 0 && errno == EACCES);
        errno = 0;
        WANT(unlink(outside) < 0 && errno == EACCES);
        snprintf(in_data, sizeof in_data, "%s/made", other);
        errno = 0;
        WANT(open(in_data, O_WRONLY | O_CREAT, 0600) < 0 && errno == EACCES);
        errno = 0;
        WANT(rename(config_path, in_data) < 0 && (errno == EACCES || errno == EXDEV));
    }
    return 0;
}

TEST(and_nothing_else)
{
    char said[4096], number[64];
    int line = boxed(false, RG_SANDBOX_ON, what_it_may_not, said, sizeof said);

    ck_assert_msg(line == 0, "line %d: %s", line, said);
    if (strstr(said, "not all of it") != NULL)
        return;
    snprintf(number, sizeof number, "sandbox.refused syscall=%d\n", (int)SYS_socket); /* it says which, once */
    ck_assert_msg(strstr(said, number) != NULL, "%s", said);
    ck_assert_ptr_null(strstr(strstr(said, number) + 1, number));
}

static int anything(void)
{
    int fd = open(outside, O_RDONLY);

    WANT(fd >= 0 && close(fd) == 0);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    WANT(fd >= 0 && close(fd) == 0);
    return 0;
}

TEST(off_and_log_refuse_nothing)
{
    char said[4096];

    ck_assert_int_eq(boxed(false, RG_SANDBOX_OFF, anything, said, sizeof said), 0);
    ck_assert_int_eq(boxed(false, RG_SANDBOX_LOG, anything, said, sizeof said), 0);
}

static void *nothing(void *arg) { return arg; }

/* The daemon's box: all that it does is as before; what nobody in it ever does is refused. */
static int as_a_daemon(void)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    struct iovec iov = {.iov_base = NULL};
    pthread_t thread;
    int fd;

    WANT(anything() == 0);
    WANT(getaddrinfo("localhost", "80", &hints, &found) == 0);
    freeaddrinfo(found);
    WANT(pthread_create(&thread, NULL, nothing, NULL) == 0 && pthread_join(thread, NULL) == 0);
    WANT(kill(getpid(), 0) == 0 && pthread_kill(pthread_self(), 0) == 0);
    if (!calls)
        return 0;
    errno = 0;
    WANT(ptrace(PTRACE_ATTACH, getppid(), 0, 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(syscall(SYS_process_vm_readv, getppid(), &iov, 1, &iov, 1, 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(syscall(SYS_bpf, 0, NULL, 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(syscall(SYS_unshare, 0) < 0 && errno == EPERM); /* which does nothing, and would be allowed to anybody */
    errno = 0;
    WANT(syscall(425, 1, NULL) < 0 && errno == ENOSYS); /* io_uring_setup */
    errno = 0;
    WANT(fork() < 0 && errno == EPERM);
    errno = 0;
    WANT(syscall(SYS_clone, CLONE_THREAD | CLONE_SIGHAND | CLONE_VM | CLONE_NEWUSER, 0, 0, 0, 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(syscall(SYS_memfd_create, "x", 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(kill(getppid(), 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(kill(0, 0) < 0 && errno == EPERM);
    errno = 0;
    WANT(socket(AF_VSOCK, SOCK_STREAM, 0) < 0 && errno == EPERM);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    errno = 0;
    WANT(fd >= 0 && fcntl(fd, F_SETOWN, getppid()) < 0 && errno == EPERM);
    errno = 0;
    WANT(ioctl(STDERR_FILENO, TIOCSTI, "x") < 0 && errno == EPERM);
    WANT(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0 && close(fd) == 0); /* the call's other uses */
    return 0;
}

static int takes_its_place(void)
{
    char program[] = "/bin/true";
    char *const argv[] = {program, NULL};

    execv(program, argv); /* as one that is replaced while it opens */
    return 1;
}

static int logs_alone(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    WANT(pid > 0 && waitpid(pid, NULL, 0) == pid);
    return anything();
}

TEST(the_daemon_never_needed_it)
{
    char said[4096], number[64];
    int line = boxed(true, RG_SANDBOX_ON, as_a_daemon, said, sizeof said);

    ck_assert_msg(line == 0, "line %d: %s", line, said);
    snprintf(number, sizeof number, "sandbox.refused syscall=%d\n", (int)SYS_unshare);
    ck_assert_msg(strstr(said, "not all of it") != NULL || strstr(said, number) != NULL, "%s", said);
    ck_assert_int_eq(boxed(true, RG_SANDBOX_ON, takes_its_place, said, sizeof said), 0);
    ck_assert_int_eq(boxed(true, RG_SANDBOX_OFF, logs_alone, said, sizeof said), 0);
    ck_assert_int_eq(boxed(true, RG_SANDBOX_LOG, logs_alone, said, sizeof said), 0);
}
