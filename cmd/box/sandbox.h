/* cmd/box/sandbox.h: what a process may still ask of the kernel, and which files it may touch, once it has begun: seccomp and Landlock.
 * Both by system calls, without a library: a list of numbers and a list of folders are all there is to say. */
#ifndef REGENT_CMD_BOX_SANDBOX_H
#define REGENT_CMD_BOX_SANDBOX_H

#include "base/log.h"
#include "cmd/config/config.h"

#define RG_SANDBOX_PATHS_MAX 24

struct rg_sandbox_path {
    const char *path; /* borrow; with all below it. One that is not there: the nearest folder above it that is */
    bool write;
};

struct rg_sandbox {
    enum rg_sandbox_mode mode;
    const char *who;       /* for the log */
    const unsigned *calls; /* borrow */
    size_t n_calls;
    bool refuse; /* calls are what is refused (EPERM, and logged once each), the rest is allowed; otherwise the other way round */
    struct rg_sandbox_path paths[RG_SANDBOX_PATHS_MAX];
    size_t n_paths; /* 0: any file */
};

/** Add a folder or file; beyond RG_SANDBOX_PATHS_MAX, or an empty path: none. */
void rg_sandbox_allow(struct rg_sandbox *box, const char *path, bool write);
/**
 * Enter, for good: this thread and what it starts. What the kernel does not have is said in the log, and left out.
 * RG_EINTERNAL: the kernel has it and refuses.
 */
RG_MUST enum rg_err rg_sandbox_enter(const struct rg_sandbox *box, const struct rg_log *log, struct rg_errctx *ctx);
/** The daemon's: what nobody in it ever asks of the kernel. Any file, any socket; no io_uring (libuv does without). */
void rg_sandbox_for_daemon(const struct rg_config *config, struct rg_sandbox *ret_box);
/** The key process's: files of secrets and configuration, one socket that it has already. */
void rg_sandbox_for_keys(const struct rg_config *config, const char *config_path, struct rg_sandbox *ret_box);

#endif
