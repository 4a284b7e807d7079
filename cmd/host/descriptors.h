/* cmd/host/descriptors.h: how the process' file descriptors are shared out, so that what clients open never takes those that the log, the
 * snapshots and the links need. */
#ifndef REGENT_CMD_HOST_DESCRIPTORS_H
#define REGENT_CMD_HOST_DESCRIPTORS_H

#include "base/err.h"

struct rg_descriptors {
    unsigned limit;     /* most that may be open */
    unsigned own;       /* kept for the node itself */
    unsigned strangers; /* of those: connections at the link's port whose certificate is not known yet */
    unsigned clients;   /* connections of clients, for each worker */
};

/** The shares of a limit. RG_EINVALID: it is too low for `workers` and so many other nodes; ctx says what is needed. */
RG_MUST enum rg_err rg_descriptors_share(unsigned limit, unsigned workers, unsigned others, struct rg_descriptors *ret_shares,
                                         struct rg_errctx *ctx);
/** Raise the process' limit as far as it may go, and share it out. */
RG_MUST enum rg_err rg_descriptors_take(unsigned workers, unsigned others, struct rg_descriptors *ret_shares, struct rg_errctx *ctx);
/** How many are open now; 0: not known. */
unsigned rg_descriptors_open(void);

#endif
