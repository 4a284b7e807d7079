/* What the daemon may do: its files, its sockets, its threads. No other process but its key process, which it may end; no program but
 * itself; nothing that changes what the machine is, and none of the many parts of the kernel that are there for others. */
#include <linux/sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cmd/box/sandbox.h"

static const unsigned calls[] = {
    /* sockets and the loop */
    SYS_epoll_pwait, SYS_epoll_ctl, SYS_epoll_create1, SYS_accept4, SYS_accept, SYS_bind, SYS_listen, SYS_connect, SYS_shutdown,
    SYS_getsockname, SYS_getpeername, SYS_getsockopt, SYS_setsockopt, SYS_socketpair, SYS_recvfrom, SYS_sendto, SYS_recvmsg, SYS_sendmsg,
    SYS_recvmmsg, SYS_sendmmsg, SYS_ppoll, SYS_pselect6, SYS_eventfd2, SYS_pipe2, 441 /* epoll_pwait2 */,
    /* files */
    SYS_read, SYS_write, SYS_readv, SYS_writev, SYS_pread64, SYS_pwrite64, SYS_preadv, SYS_pwritev, SYS_preadv2, SYS_pwritev2, SYS_lseek,
    SYS_openat, SYS_close, SYS_fcntl, SYS_ioctl, SYS_dup, SYS_dup3, SYS_flock, SYS_newfstatat, SYS_fstat, SYS_statx, SYS_statfs,
    SYS_fstatfs, SYS_faccessat, 439 /* faccessat2 */, SYS_readlinkat, SYS_getdents64, SYS_getcwd, SYS_mkdirat, SYS_unlinkat, SYS_renameat2,
    SYS_linkat, SYS_fchmod, SYS_fchmodat, SYS_umask, SYS_ftruncate, SYS_fallocate, SYS_fadvise64, SYS_fsync, SYS_fdatasync,
    SYS_sync_file_range, SYS_msync, SYS_copy_file_range, SYS_sendfile, SYS_utimensat, 436 /* close_range */,
    /* memory */
    SYS_mmap, SYS_munmap, SYS_mremap, SYS_mprotect, SYS_madvise, SYS_mincore, SYS_brk, SYS_mlock, SYS_mlock2, SYS_munlock, SYS_mlockall,
    SYS_munlockall, SYS_membarrier,
    /* time and chance */
    SYS_clock_gettime, SYS_clock_getres, SYS_clock_nanosleep, SYS_gettimeofday, SYS_nanosleep, SYS_getrandom,
    /* threads and signals of its own */
    SYS_futex, SYS_sched_yield, SYS_sched_getaffinity, SYS_sched_setaffinity, SYS_sched_getparam, SYS_sched_getscheduler,
    SYS_sched_get_priority_max, SYS_sched_get_priority_min, SYS_getcpu, SYS_set_tid_address, SYS_set_robust_list, SYS_get_robust_list,
    SYS_rseq, SYS_gettid, SYS_rt_sigaction, SYS_rt_sigprocmask, SYS_rt_sigreturn, SYS_rt_sigpending, SYS_rt_sigtimedwait,
    SYS_rt_sigsuspend, SYS_sigaltstack, SYS_restart_syscall, SYS_wait4, SYS_waitid, SYS_exit, SYS_exit_group,
    /* what it is, and has used */
    SYS_getpid, SYS_getppid, SYS_getuid, SYS_geteuid, SYS_getgid, SYS_getegid, SYS_getresuid, SYS_getresgid, SYS_getgroups, SYS_getpgid,
    SYS_getsid, SYS_getpriority, SYS_prlimit64, SYS_getrusage, SYS_times, SYS_sysinfo, SYS_uname, SYS_capget, SYS_prctl,
    /* itself once more, when it was replaced while it opened; its box of files */
    SYS_execve, SYS_seccomp, 444 /* landlock_create_ruleset */, 445 /* landlock_add_rule */, 446 /* landlock_restrict_self */,
#if defined(__x86_64__)
    SYS_epoll_wait, SYS_epoll_create, SYS_poll, SYS_select, SYS_eventfd, SYS_pipe, SYS_open, SYS_stat, SYS_lstat, SYS_access, SYS_readlink,
    SYS_getdents, SYS_mkdir, SYS_rmdir, SYS_unlink, SYS_rename, SYS_renameat, SYS_link, SYS_chmod, SYS_dup2, SYS_time, SYS_getpgrp,
    SYS_getrlimit, SYS_setrlimit, SYS_arch_prctl,
#else
    SYS_renameat, SYS_getrlimit, SYS_setrlimit,
#endif
};

enum { NAMESPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET };
_Static_assert(RG_LEN(calls) < 220, "as sandbox.c has room for");

void rg_sandbox_for_daemon(const struct rg_config *c, int keys_pid, struct rg_sandbox *ret_box)
{
    static struct rg_sandbox_rule rules[] = {
        {SYS_clone, 0, CLONE_THREAD | NAMESPACES, CLONE_THREAD, false},
        {SYS_socket, 0, ~0u, AF_INET, false},
        {SYS_socket, 0, ~0u, AF_INET6, false},
        {SYS_socket, 0, ~0u, AF_UNIX, false},    /* of name services */
        {SYS_socket, 0, ~0u, AF_NETLINK, false}, /* which addresses the machine has: getaddrinfo */
        {SYS_ioctl, 1, ~0u, TIOCSTI, true},      /* as if typed at the terminal that it was started from */
        {SYS_ioctl, 1, ~0u, 0x8901 /* FIOSETOWN */, true},
        {SYS_ioctl, 1, ~0u, 0x8902 /* SIOCSPGRP */, true},
        {SYS_fcntl, 1, ~0u, 8 /* F_SETOWN: signals to others */, true},
        {SYS_fcntl, 1, ~0u, 15 /* F_SETOWN_EX */, true},
        {SYS_tgkill, 0, ~0u, 0, false},
        {SYS_kill, 0, ~0u, 0, false},
        {SYS_kill, 0, ~0u, 0, false},
    };
    const size_t n = RG_LEN(rules);

    rules[n - 3].value = rules[n - 2].value = (uint32_t)getpid();
    rules[n - 1].value = (uint32_t)(keys_pid > 0 ? keys_pid : getpid());
    *ret_box = (struct rg_sandbox){
        .mode = c->sandbox, .who = "daemon", .calls = calls, .n_calls = RG_LEN(calls), .rules = rules, .n_rules = n};
}
