/* What the key process may do: read its files, write the keystore that it is given, compute, and speak over the socket that it was born
 * with. No other socket, no other program, no other file. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/box/sandbox.h"

static const unsigned calls[] = {
    /* the socket, the log */
    SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg, SYS_read, SYS_write, SYS_writev, SYS_pread64, SYS_close, SYS_fcntl, SYS_lseek,
    SYS_ppoll, SYS_ioctl,
    /* files: configuration, passphrase, keystore, certificates */
    SYS_openat, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_faccessat, SYS_faccessat2, SYS_readlinkat, SYS_getdents64, SYS_renameat2,
    SYS_linkat, SYS_unlinkat, SYS_fsync, SYS_fdatasync, SYS_fchmod, SYS_ftruncate, SYS_getcwd,
#if defined(__x86_64__)
    SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink, SYS_rename, SYS_link, SYS_unlink, SYS_poll,
#else
    SYS_renameat,
#endif
    /* memory */
    SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_brk, SYS_mlock, SYS_munlock, SYS_mlockall,
    /* time, chance, threads and signals of the C library and OpenSSL */
    SYS_clock_gettime, SYS_clock_nanosleep, SYS_gettimeofday, SYS_nanosleep, SYS_getrandom, SYS_futex, SYS_sched_yield,
    SYS_sched_getaffinity, SYS_getpid, SYS_gettid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_sysinfo, SYS_uname,
    SYS_prlimit64, SYS_prctl, SYS_set_robust_list, SYS_rseq, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn,
    SYS_restart_syscall, SYS_tgkill, SYS_exit, SYS_exit_group,
};

/* Of the folder that a file is in: it is replaced by another one of its name. */
static void allow_beside(struct rg_sandbox *box, char folder[RG_CONFIG_PATH_MAX], const char *path, unsigned may)
{
    char *slash;

    snprintf(folder, RG_CONFIG_PATH_MAX, "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        snprintf(folder, RG_CONFIG_PATH_MAX, ".");
    else
        slash[slash == folder] = '\0';
    if (path[0] != '\0')
        rg_sandbox_allow(box, folder, may);
}

/* What is no secret may be a link (one that keeps certificates, or a whole machine's configuration, makes such): to where it leads, too. */
static void allow_target(struct rg_sandbox *box, char folder[RG_CONFIG_PATH_MAX], const char *path)
{
    RG_AUTO_MEM char *target = path[0] != '\0' ? realpath(path, NULL) : NULL;

    if (target != NULL && strlen(target) < RG_CONFIG_PATH_MAX)
        allow_beside(box, folder, target, RG_MAY_READ);
}

void rg_sandbox_for_keys(const struct rg_config *c, const char *config_path, struct rg_sandbox *ret_box)
{
    static char folders[8][RG_CONFIG_PATH_MAX], targets[4][RG_CONFIG_PATH_MAX]; /* one process, one box */
    static const char *const of_openssl[] = {"/etc/ssl", "/usr/lib/ssl", "/usr/local/ssl", "/etc/localtime", "/dev/urandom", "/proc/self"};

    *ret_box = (struct rg_sandbox){.mode = c->sandbox, .who = "keys", .calls = calls, .n_calls = RG_LEN(calls)};
    allow_beside(ret_box, folders[0], config_path, RG_MAY_READ);
    allow_beside(ret_box, folders[1], c->keystore, RG_MAY_READ | RG_MAY_WRITE | RG_MAY_MAKE);
    allow_beside(ret_box, folders[2], c->passphrase_file, RG_MAY_READ);
    allow_beside(ret_box, folders[3], c->tls_ca, RG_MAY_READ);
    allow_beside(ret_box, folders[4], c->tls_key, RG_MAY_READ);
    allow_beside(ret_box, folders[5], c->file_key, RG_MAY_READ);
    allow_beside(ret_box, folders[6], c->tls_cert, RG_MAY_READ);
    allow_beside(ret_box, folders[7], c->link_routes, RG_MAY_READ);
    allow_target(ret_box, targets[0], config_path);
    allow_target(ret_box, targets[1], c->tls_ca);
    allow_target(ret_box, targets[2], c->tls_cert);
    allow_target(ret_box, targets[3], c->link_routes);
    rg_sandbox_allow(ret_box, c->data_dir, RG_MAY_READ); /* its identity, if it comes back as another node */
    for (size_t i = 0; i < RG_LEN(of_openssl); i++)
        if (access(of_openssl[i], F_OK) == 0)
            rg_sandbox_allow(ret_box, of_openssl[i], RG_MAY_READ);
}
