#include "base/wake/wake.h"

#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum rg_err rg_wake_open(int *ret_fd, struct rg_errctx *ctx)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (fd < 0)
        return rg_fail(ctx, RG_EIO, "a descriptor to wake a thread by: %s", strerror(errno));
    *ret_fd = fd;
    return RG_OK;
}

void rg_wake_send(int fd)
{
    static const uint64_t one = 1;
    ssize_t n = write(fd, &one, sizeof one);

    RG_ASSERT(n == (ssize_t)sizeof one || (n < 0 && errno == EAGAIN)); /* full: it is readable */
}

void rg_wake_take(int fd)
{
    uint64_t sent;
    ssize_t n = read(fd, &sent, sizeof sent);

    RG_ASSERT(n == (ssize_t)sizeof sent || (n < 0 && errno == EAGAIN)); /* nothing was sent: woken without a reason */
}
