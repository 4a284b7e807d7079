/* raft/member/standing.h: whether a certificate that names a node of this cluster still stands for one, and whether the key that it proves
 * itself with is the one that this node is: by this node's own rows, which keep every id that was ever given, the certificate that it was
 * given last, and the key that it is known by (its pin). */
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

/**
 * key  borrow: SHA-256 of the key that this node proved itself with; empty: it proved nothing
 * RG_EPEER: it is another key than the row's. RG_EDENIED: nothing was proved, and at trust level 2 everybody proves.
 *
 * At level 1 nothing need be proved, also by one whose key is known: a member may go back to a release that cannot. What it proves must
 * be true all the same.
 */
RG_MUST enum rg_err rg_standing_key_check(struct rg_txn *txn, uint64_t id, struct rg_span key, struct rg_errctx *ctx);

#endif
