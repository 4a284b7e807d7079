#include "cmd/host/descriptors.h"

#include <dirent.h>
#include <sys/resource.h>

enum {
    OWN_LEAST = 32,   /* log files, state, locks, loops and pipes of a node by itself, its segments and snapshots as they change */
    OWN_ENOUGH = 256, /* with 32 members: two links each, a snapshot to each, and strangers at the door */
    WORKER = 4,       /* a worker's loop and listener */
    OTHER = 2,        /* a link each way */
    CLIENTS_LEAST = 4,
    CLIENTS_MOST = 4096, /* for each worker */
    STRANGERS_LEAST = 4,
    STRANGERS_MOST = 128,
    LIMIT_MOST = 1 << 20,
};

enum rg_err rg_descriptors_share(unsigned limit, unsigned workers, unsigned others, struct rg_descriptors *ret_shares,
                                 struct rg_errctx *ctx)
{
    unsigned least = OWN_LEAST + WORKER * workers + OTHER * others, own;

    RG_ASSERT(workers > 0);
    limit = RG_MIN(limit, (unsigned)LIMIT_MOST);
    if (limit < least + CLIENTS_LEAST * workers)
        return rg_fail(ctx, RG_EINVALID, "the limit of open files is %u: a node with %u worker%s and %u other node%s needs %u "
                       "(ulimit -n, LimitNOFILE=)", limit, workers, workers == 1 ? "" : "s", others, others == 1 ? "" : "s",
                       least + CLIENTS_LEAST * workers);
    own = RG_MAX(RG_MIN(limit / 2, OWN_ENOUGH + WORKER * workers), least);
    own = RG_MIN(own, limit - CLIENTS_LEAST * workers);
    *ret_shares = (struct rg_descriptors){
        .limit = limit,
        .own = own,
        .strangers = RG_MIN(RG_MAX((own - least) / 2, (unsigned)STRANGERS_LEAST), (unsigned)STRANGERS_MOST),
        .clients = RG_MIN((limit - own) / workers, (unsigned)CLIENTS_MOST),
    };
    return RG_OK;
}

enum rg_err rg_descriptors_take(unsigned workers, unsigned others, struct rg_descriptors *ret_shares, struct rg_errctx *ctx)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return rg_fail(ctx, RG_EIO, "the limit of open files cannot be read");
    if (limit.rlim_cur < limit.rlim_max) { /* libuv and epoll have no number that is too large for them */
        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0 && getrlimit(RLIMIT_NOFILE, &limit) != 0)
            return rg_fail(ctx, RG_EIO, "the limit of open files cannot be read");
    }
    return rg_descriptors_share((unsigned)RG_MIN(limit.rlim_cur, (rlim_t)LIMIT_MOST), workers, others, ret_shares, ctx);
}

unsigned rg_descriptors_open(void)
{
    DIR *dir = opendir("/proc/self/fd");
    unsigned n = 0;

    if (dir == NULL)
        return 0;
    while (readdir(dir) != NULL)
        n++;
    closedir(dir);
    return n > 3 ? n - 3 : 0; /* ".", "..", and its own */
}
