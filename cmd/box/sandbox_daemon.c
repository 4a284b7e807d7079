/* What a daemon never does, whatever happens to it: look into other processes (the key process is one), change what the machine is, reach
 * parts of the kernel that are there for others. */
#include <sys/syscall.h>

#include "cmd/box/sandbox.h"

static const unsigned calls[] = {
    /* other processes */
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_perf_event_open, SYS_userfaultfd, 434 /* pidfd_open */,
    438 /* pidfd_getfd */, 440 /* process_madvise */,
    /* other views of the machine */
    SYS_unshare, SYS_setns, SYS_chroot, SYS_pivot_root, SYS_mount, SYS_umount2, 428 /* open_tree */, 429 /* move_mount */, 430 /* fsopen */,
    431 /* fsconfig */, 432 /* fsmount */, 433 /* fspick */, 442 /* mount_setattr */, SYS_name_to_handle_at, SYS_open_by_handle_at,
    SYS_fanotify_init, SYS_fanotify_mark, SYS_personality,
    /* other rights */
    SYS_setuid, SYS_setgid, SYS_setreuid, SYS_setregid, SYS_setresuid, SYS_setresgid, SYS_setgroups, SYS_setfsuid, SYS_setfsgid, SYS_capset,
    /* the machine itself */
    SYS_bpf, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load, SYS_reboot, SYS_swapon, SYS_swapoff, SYS_settimeofday,
    SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname, SYS_acct, SYS_quotactl, SYS_syslog, SYS_vhangup,
    SYS_add_key, SYS_request_key, SYS_keyctl, SYS_mbind, SYS_migrate_pages, SYS_move_pages, SYS_vmsplice, SYS_execveat,
#if defined(__x86_64__)
    SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load, SYS_uselib, SYS_ustat, SYS_sysfs, SYS_mknod,
#endif
    SYS_mknodat,
};

void rg_sandbox_for_daemon(const struct rg_config *c, struct rg_sandbox *ret_box)
{
    *ret_box = (struct rg_sandbox){.mode = c->sandbox, .who = "daemon", .calls = calls, .n_calls = RG_LEN(calls), .refuse = true};
}
