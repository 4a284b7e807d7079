/* cmd/box/sandbox.h: what a process may still ask of the kernel, and which files it may touch, once it has begun: seccomp and Landlock.
 * Both by system calls, without a library: a list of numbers and a list of folders are all there is to say. */
#ifndef REGENT_CMD_BOX_SANDBOX_H
#define REGENT_CMD_BOX_SANDBOX_H

#include "base/log.h"
#include "cmd/config/config.h"

#define RG_SANDBOX_PATHS_MAX 96

/* What may be done with a file, or with all in and below a folder. */
enum rg_sandbox_may {
    RG_MAY_READ = 1,
    RG_MAY_WRITE = 2,  /* change what is in files */
    RG_MAY_MAKE = 4,   /* make, rename and delete files */
    RG_MAY_DIRS = 8,   /* the same of folders */
    RG_MAY_DELETE = 16, /* see the names of files, and delete them */
    RG_MAY_RUN = 32,
};

struct rg_sandbox_path {
    const char *path; /* borrow. One that is not there: the nearest folder above it that is */
    unsigned may;     /* rg_sandbox_may */
};

/* Of a call's argument, its lower 32 bits. */
struct rg_sandbox_rule {
    unsigned call, arg;
    uint32_t mask, value;
    bool never; /* refused when it matches, though the call is among the calls; otherwise allowed then, though it is not */
};

struct rg_sandbox {
    enum rg_sandbox_mode mode;
    const char *who;       /* for the log */
    const unsigned *calls; /* borrow: what is allowed; the rest is refused (EPERM), and logged once each */
    size_t n_calls; /* 0: any */
    const struct rg_sandbox_rule *rules; /* borrow */
    size_t n_rules;
    struct rg_sandbox_path paths[RG_SANDBOX_PATHS_MAX];
    size_t n_paths; /* 0: any file */
};

/** Add a folder or file; beyond RG_SANDBOX_PATHS_MAX, or an empty path: none. */
void rg_sandbox_allow(struct rg_sandbox *box, const char *path, unsigned may);
/**
 * Enter, for good: this thread and what it starts. What the kernel does not have is said in the log, and left out.
 * RG_EINTERNAL: the kernel has it and refuses.
 */
RG_MUST enum rg_err rg_sandbox_enter(const struct rg_sandbox *box, const struct rg_log *log, struct rg_errctx *ctx);
/**
 * The daemon's calls.
 * keys_pid  of its key process, the one that it may end; 0: none
 */
void rg_sandbox_for_daemon(const struct rg_config *config, int keys_pid, struct rg_sandbox *ret_box);
/** The key process's: files of secrets and configuration, one socket that it has already. */
void rg_sandbox_for_keys(const struct rg_config *config, const char *config_path, struct rg_sandbox *ret_box);

#endif
