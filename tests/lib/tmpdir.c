#include "tests/lib/tmpdir.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 300 }; /* Meson kills half a second after it has asked to end */

static void must(bool ok, const char *what, const char *path)
{
    if (ok)
        return;
    fprintf(stderr, "tmpdir: %s %s: %s\n", what, path, strerror(errno));
    abort();
}

void tmpdir_make(char path[TMPDIR_BYTES])
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(path, TMPDIR_BYTES, "%s/rg-XXXXXX", base != NULL && base[0] != '\0' ? base : "/tmp");

    errno = ENAMETOOLONG;
    must(n > 0 && n < TMPDIR_BYTES, "make", base);
    must(mkdtemp(path) != NULL, "make", path);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    if (kind == FTW_DNR)
        (void)chmod(path, 0700); /* tests take rights away */
    return remove(path);
}

static bool remove_tree(const char *path) { return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0; }

void tmpdir_remove(const char *path) { must(remove_tree(path), "remove", path); }

/* ---- the guard ---- */

/* What the ended child has left running: adopted, since this process is its subreaper. Kill it all; how many there were. */
static int kill_rest(void)
{
    int n = 0;

    for (bool some = true; some;) {
        char path[64], line[4096];
        FILE *file;

        snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
        file = fopen(path, "re");
        some = file != NULL && fgets(line, sizeof line, file) != NULL;
        if (file != NULL)
            fclose(file);
        for (char *at = line, *end; some && *at != '\0'; at = end) {
            siginfo_t info = {.si_pid = 0};
            pid_t pid = (pid_t)strtol(at, &end, 10);

            if (end == at)
                break;
            n += waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0; /* not ended yet */
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0); /* its own children are ours now */
        }
    }
    return n;
}

/* Say what is left in dir. */
static void say_left(const char *dir)
{
    DIR *d = opendir(dir);

    for (const struct dirent *e = d != NULL ? readdir(d) : NULL; e != NULL; e = readdir(d))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            fprintf(stderr, "the tests left %s/%s behind\n", dir, e->d_name);
    if (d != NULL)
        closedir(d);
}

/* Until the child has ended: its exit status, 128 and the signal's number when one ended it. */
static int guard(pid_t child, const sigset_t *signals, int *ret_told)
{
    static const struct timespec patience = {0, PATIENCE_MS * 1000000L};
    int status;

    *ret_told = 0;
    for (;;) {
        int sig;

        if (waitpid(child, &status, WNOHANG) == child)
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        sig = *ret_told != 0 ? sigtimedwait(signals, NULL, &patience) : sigwaitinfo(signals, NULL);
        if (sig < 0 && errno == EAGAIN) {
            kill(child, SIGKILL);
        } else if (sig > 0 && sig != SIGCHLD && *ret_told == 0) {
            *ret_told = sig;
            kill(child, SIGTERM);
        }
    }
}

void tmpdir_guard(const char *base)
{
    char dir[TMPDIR_BYTES];
    sigset_t signals, before;
    pid_t self = getpid(), child;
    int status, told, left;

    must(base == NULL || setenv("TMPDIR", base, 1) == 0, "set", "TMPDIR");
    tmpdir_make(dir);
    must(setenv("TMPDIR", dir, 1) == 0 && setenv("TEMP", dir, 1) == 0, "set", "TMPDIR"); /* Check goes by TEMP */
    must(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0, "adopt", "children");
    sigemptyset(&signals);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    sigprocmask(SIG_BLOCK, &signals, &before);
    child = fork();
    must(child >= 0, "fork", "");
    if (child == 0) {
        setpgid(0, 0); /* Check, told to end, tells its whole group */
        prctl(PR_SET_PDEATHSIG, SIGTERM);
        if (getppid() != self)
            _exit(1);
        sigprocmask(SIG_SETMASK, &before, NULL);
        return;
    }
    status = guard(child, &signals, &told);
    left = kill_rest();
    if (status == 0 && left > 0)
        fprintf(stderr, "the tests left %d processes running\n", left);
    if (status == 0 && rmdir(dir) != 0) {
        say_left(dir);
        left++;
    }
    remove_tree(dir);
    if (told != 0) { /* end as one who was told to */
        signal(told, SIG_DFL);
        sigprocmask(SIG_SETMASK, &before, NULL);
        raise(told);
    }
    _exit(status == 0 && left > 0 ? 1 : status);
}
