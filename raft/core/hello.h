/* raft/core/hello.h: what opens a link (RAFT.md rule 10): who the sender is, and how far. A TLV record: a later release may add fields. */
#ifndef REGENT_RAFT_CORE_HELLO_H
#define REGENT_RAFT_CORE_HELLO_H

#include "raft/core/rpc.h"

#define RG_HELLO_BYTES_MAX 1024
#define RG_HELLO_VERSION 2 /* 1: knows of no incarnations */
struct rg_hello {
    uint64_t version;
    char cluster_id[64], region[33];
    uint64_t from, to; /* raft ids */
    struct rg_incarnation incarnation; /* of the sender's data directory; not known before version 2 */
    struct rg_incarnation bound;       /* which one the sender's configuration has under the receiver's id; not known: none */
    uint64_t seen; /* entry up to which the sender, which leads, knows the receiver to have all durable; 0: it knows nothing, or follows */
    uint64_t starts;
    uint64_t boot; /* drawn at each start: tells a process from the one before, even on a wiped disk */
    uint64_t term, last_index, last_term;
    bool voter;  /* a voter in its own view */
    bool leader; /* takes writes, or would: it is the only voter */
    uint32_t first_crc; /* of the first entry while it is in the log, else 0: of a release before the history */
    struct rg_history history; /* which one the sender's entries are of; not known: it has none, or not from the beginning */
    uint64_t promised;  /* epoch before which it follows nobody */
    bool room;          /* it knows RG_MSG_ROOM, and refusals that say what is full */
    bool standing;      /* it knows RG_MSG_WHO, KNOW and LIVES */
    bool statements;    /* it knows of operators and their statements: it applies what trust level 2 asks for */
    bool pins;          /* it knows of nodes' identity keys: its release keeps them in rows and asks for them */
    bool asking;        /* it may not act yet: nothing rests on it */
    struct rg_life life; /* the last life of the receiver that the sender has dealt with; start 0: none, or it is not bound */
    bool life_up;        /* that one is linked to the sender now */
    bool claims_said;    /* it knows of claims, and RG_MSG_CLAIMS */
    struct rg_claims claims; /* who began the newest epochs of the sender's log */
};
void rg_hello_encode(const struct rg_hello *hello, struct rg_buf *out);
/** RG_EMALFORMED. Unknown fields are skipped, so that a later release may add some. */
RG_MUST enum rg_err rg_hello_decode(struct rg_span bytes, struct rg_hello *ret_hello, struct rg_errctx *ctx);

#endif
