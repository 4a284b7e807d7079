/* base/wake/wake.h: how a thread wakes another one's loop: a descriptor of its own that becomes readable. libuv's handle for this has
 * whoever is woken spin until the other thread is back from its system call: where both share a processor, for tens of microseconds. */
#ifndef REGENT_BASE_WAKE_WAKE_H
#define REGENT_BASE_WAKE_WAKE_H

#include "base/err.h"

/** ret_fd: own, close() it once nobody sends. RG_EIO: no descriptor is left. */
RG_MUST enum rg_err rg_wake_open(int *ret_fd, struct rg_errctx *ctx);
/** It is readable from now on until it is taken, however often this is called. From any thread. */
void rg_wake_send(int fd);
/** On the thread that is woken, before it looks at what it was woken for. */
void rg_wake_take(int fd);

#endif
