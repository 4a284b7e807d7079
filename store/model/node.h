/* store/model/node.h: the nodes of regions as the state knows them, join tokens, and secrets of the instance. Spans are borrowed
 * until the next write in, or the end of, the transaction. */
#ifndef REGENT_STORE_MODEL_NODE_H
#define REGENT_STORE_MODEL_NODE_H

#include "store/db/env.h"

#define RG_NODE_ID_MAX 1023 /* an epoch names its primary by raft id modulo 1024; ids are never used twice */
#define RG_JOIN_TOKENS_MAX 64
#define RG_SECRETS_MAX 16

#define RG_NODE_KEY_BYTES 32 /* SHA-256 of a public key (SubjectPublicKeyInfo, DER) */
#define RG_NODE_REQUESTS_MAX 64

/* PREPARED: has an id, and is no member yet; rg_node_row_asks: nor was it let in, and then it has no certificate either (but of a release
 * that gave one at once). MEMBER. REMOVED and FENCED: never a member again. */
struct rg_node_row {
    uint64_t id, version;
    struct rg_span region, link, url, status;
    struct rg_span cert; /* DER; empty: not known here (a node of the first configuration) */
    int64_t created_ms;  /* when the id was given */
    uint64_t old_id;     /* the id it had before it came back; 0: none */
    bool rejoin;         /* came back by itself: to be added without being asked for */
    struct rg_span phase; /* "untold": REMOVED, but it was away and does not know yet; empty: nothing is left to do */
    struct rg_span csr;      /* PEM: what its certificate will be made of */
    struct rg_span admitted; /* RG_NODE_KEY_BYTES: the key that an administrator let in; empty: none (yet), or it was there before */
    struct rg_span pin;      /* RG_NODE_KEY_BYTES: the key that this node is; empty: not known (yet). Once known it is no other */
    struct rg_span from, release; /* where it asked from, with which release; empty: not known */
    struct rg_span returns;  /* fingerprint of a key that an administrator lets come back in its place; empty: none but its own */
    int64_t returns_until_ms; /* that holds so long; 0: for good (let by a release before) */
    uint64_t proven;         /* came back: with the key of this id; 0: not known */
};

/** Whether what was let come back in its place still may. */
bool rg_node_row_may_return(const struct rg_node_row *row, int64_t wall_ms);
/** Whether it asks to join, and nobody has let it in: it is given nothing, and spoken to by no one. */
bool rg_node_row_asks(const struct rg_node_row *row);

/** RG_ENOTFOUND. */
RG_MUST enum rg_err rg_node_row_get(struct rg_txn *txn, uint64_t id, struct rg_node_row *ret_row);
/** Whether an id was given, and is nobody's any more, for good. */
bool rg_node_row_gone(struct rg_txn *txn, uint64_t id);
/** All of them by id; end the scan with rg_scan_end. */
RG_MUST enum rg_err rg_node_row_list(struct rg_txn *txn, struct rg_scan *scan);
RG_MUST enum rg_err rg_node_row_next(struct rg_scan *scan, struct rg_node_row *ret_row);
/* Which ids were ever given. */
struct rg_node_ids {
    uint64_t used[(RG_NODE_ID_MAX + 1) / 64];
};
RG_MUST enum rg_err rg_node_ids_get(struct rg_txn *txn, struct rg_node_ids *ret_ids);
bool rg_node_ids_has(const struct rg_node_ids *ids, uint64_t id);
void rg_node_ids_add(struct rg_node_ids *ids, uint64_t id);
/** The id, or the first one behind it, or else the first one at all, that was never given; 0: there is none. */
uint64_t rg_node_ids_free(const struct rg_node_ids *ids, uint64_t id);
/** How many were ever given. */
RG_MUST enum rg_err rg_node_ids_used(struct rg_txn *txn, uint64_t *ret_n);
/** The end of the line that begins with an id: who came back after it, and after that one, and so on; the id itself, if nobody did.
 * RG_ENOTFOUND: nobody has it. */
RG_MUST enum rg_err rg_node_heir(struct rg_txn *txn, uint64_t id, struct rg_node_row *ret_row);
/** The fields of RG_CMD_NODE_PUT that make the row what *row says; IF_VERSION when row->version is not 0. */
void rg_node_row_put(struct rg_buf *cmd, const struct rg_node_row *row);

struct rg_join_token {
    struct rg_span sha256; /* of its secret */
    struct rg_span region, status, by; /* NEW, USED, REVOKED */
    int64_t created_ms, expires_ms;
    struct rg_span row; /* the whole: for rg_join_token_host */
};
/** By the SHA-256 of its secret. RG_ENOTFOUND: never made, or expired and dropped since. */
RG_MUST enum rg_err rg_join_token_get(struct rg_txn *txn, const uint8_t sha256[32], struct rg_join_token *ret_token);

/** All of them; end the scan with rg_scan_end. */
RG_MUST enum rg_err rg_join_token_list(struct rg_txn *txn, struct rg_scan *scan);
RG_MUST enum rg_err rg_join_token_next(struct rg_scan *scan, struct rg_join_token *ret_token);
/** The names and addresses that its node may have: the first with n 0, and so on. False: there are no more. */
bool rg_join_token_host(const struct rg_join_token *token, size_t n, struct rg_span *ret_host);

/** The sealed bytes of a secret (an envelope, purpose "secret"). RG_ENOTFOUND. */
RG_MUST enum rg_err rg_secret_get(struct rg_txn *txn, struct rg_span name, struct rg_span *ret_sealed);

#endif
