/* net/join/join_priv.h: what the files about nodes that come share. */
#ifndef REGENT_NET_JOIN_JOIN_PRIV_H
#define REGENT_NET_JOIN_JOIN_PRIV_H

#include "base/json.h"
#include "net/api/worker.h"
#include "net/join/join.h"
#include "raft/member.h"
#include "store/model/node.h"
#include "store/model/region_name.h"

enum {
    JOIN_BODY_BYTES_MAX = 16 * 1024,
    JOIN_CSR_BYTES_MAX = 8192,
    JOIN_CERT_BYTES_MAX = 8192,
    JOIN_LINK_BYTES_MAX = 127,
    JOIN_URL_BYTES_MAX = 159,
    JOIN_HOST_BYTES_MAX = 128,
    JOIN_SIGNATURE_BYTES_MAX = 256,
    JOIN_PROOF_AGE_S_MAX = 300,
};

/* What a join remembers between its steps: call->state. */
struct join {
    char region[RG_REGION_NAME_BYTES_MAX + 1], link[JOIN_LINK_BYTES_MAX + 1], url[JOIN_URL_BYTES_MAX + 1];
    char csr[JOIN_CSR_BYTES_MAX + 1], release[64];
    void (*then)(struct rg_call *call); /* when it has its id */
    uint64_t old_id, id;
    uint8_t proof_key[32]; /* comes back: SHA-256 of the key that proved it */
    struct rg_incarnation incarnation; /* of the data directory that a node sets aside that comes back; not known: it did not say */
    bool forgotten;                    /* it says that it has less than others know of it */
};

/* The time of a proof, in seconds, whatever number it is. */
static inline bool join_is_now(int64_t now_ms, int64_t at)
{
    return at >= now_ms / 1000 - JOIN_PROOF_AGE_S_MAX && at <= now_ms / 1000 + JOIN_PROOF_AGE_S_MAX;
}

/* ---- join.c ---- */
/** Answer an error to whoever has not proved anything yet, and count it against its address: it may not do so often. */
void join_refuse(struct rg_call *call, enum rg_err err, const char *text);
/** Read the body, which is small, into call->input, with a struct join in call->state, and go on. An address that was refused too often
 * gets no further than here. */
void join_serve(struct rg_call *call, void (*run)(struct rg_call *call));
/** Propose an id, by a token or (NULL) for whoever comes back, and go on with it in the join's id. A refusal is answered. */
void join_propose(struct rg_call *call, const uint8_t *token_sha256, void (*then)(struct rg_call *call));

/* ---- place.c: members of the body. Each: RG_EINVALID says what is wrong ---- */
/** A text of at most max bytes, which must be there. Borrow from input. */
RG_MUST enum rg_err join_take(const json_t *input, const char *name, size_t max, struct rg_span *ret, struct rg_errctx *ctx);
/** Region, link, url and csr, by their form; what the last holds is not looked into. */
RG_MUST enum rg_err join_take_place(const json_t *input, struct join *j, struct rg_errctx *ctx);
/** "host:port", "[v6]:port"; "https://host:port": the host alone. False: it is none. */
bool join_host_of(const char *address, char host[JOIN_HOST_BYTES_MAX]);
bool join_host_of_url(const char *url, char host[JOIN_HOST_BYTES_MAX]);
bool join_hosts_of_row(const struct rg_node_row *row, char link[JOIN_HOST_BYTES_MAX], char url[JOIN_HOST_BYTES_MAX]);
/** Whether it names whatever machine it is used on. */
bool join_host_is_local(const char *host);
/** The hosts of its link and url: every machine's own name is taken from this machine alone. RG_EINVALID */
RG_MUST enum rg_err join_check_local(struct rg_call *call, const struct join *j, struct rg_errctx *ctx);
/**
 * Whether no other node that is there, or was let in, has the row's link, url, or a host of them.
 * but  a node that the row's takes the place of; 0: none
 * RG_ECONFLICT says which has.
 */
RG_MUST enum rg_err join_check_free(struct rg_txn *txn, const struct rg_node_row *row, uint64_t but, struct rg_errctx *ctx);

/* ---- certify.c: the CA, whose key the state holds ---- */
/** Whether it could sign: before an id is given away for it. */
RG_MUST enum rg_err join_ca_check(struct rg_call *call, struct rg_txn *txn, struct rg_errctx *ctx);
/** A certificate for the row's node, with the hosts of its link and url for names. ret_der: appended. */
RG_MUST enum rg_err join_sign(struct rg_call *call, struct rg_txn *txn, const struct rg_node_row *row, struct rg_span csr,
                              struct rg_buf *ret_der, struct rg_errctx *ctx);
/* Members of an answer: who the node is, its certificate, and where the others are. */
void join_put_identity(const struct rg_call *call, struct rg_json_writer *out, uint64_t id);
RG_MUST enum rg_err join_put_cert(struct rg_json_writer *out, struct rg_span der);
RG_MUST enum rg_err join_put_members(struct rg_call *call, struct rg_txn *txn);

#endif
