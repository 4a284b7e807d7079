/* raft/member/standing.h: whether a certificate that names a node of this cluster still stands for one: by this node's own rows, which keep
 * every id that was ever given, and the certificate that it was given last. */
#ifndef REGENT_RAFT_MEMBER_STANDING_H
#define REGENT_RAFT_MEMBER_STANDING_H

#include "store/db/env.h"

struct rg_standing {
    uint64_t id;
    const char *region;  /* borrow; both as the certificate says */
    struct rg_span cert; /* borrow: DER */
    bool peer;           /* it is one that this node has links to; false: it comes by itself */
    bool member;         /* it is in the configuration */
};
/**
 * RG_OK: nothing is known against it.
 * RG_EDENIED: its id is nobody's any more, for good; or it asks to join, and nobody has let it in. RG_EPEER: another region's, or another
 * certificate counts.
 */
RG_MUST enum rg_err rg_standing_check(struct rg_txn *txn, const struct rg_standing *standing, struct rg_errctx *ctx);

#endif
