/* raft/epoch/accept.h: whether an epoch may count, at trust level 2: a number proves nothing, a certificate (crypto/sign/epoch.h) does. A
 * plain function over it and what the state of whoever judges knows: so all who know the same judge the same. */
#ifndef REGENT_RAFT_EPOCH_ACCEPT_H
#define REGENT_RAFT_EPOCH_ACCEPT_H

#include "crypto/sign/epoch.h"
#include "raft/rule/epoch.h"
#include "raft/member.h"
#include "store/model/trust.h"

/* An epoch that was judged, or the one that the GENESIS fell into: its hash is then the GENESIS'. */
struct rg_certified {
    uint64_t epoch, node, first_index; /* node: who began it */
    uint8_t hash[RG_CERTIFICATE_HASH_BYTES];
};

struct rg_epoch_node {
    uint64_t id;
    struct rg_span region;        /* its name; empty: not known */
    bool member;                  /* of the configuration in force */
    bool dead;                    /* removed, or come back under another id: for good */
    uint8_t pin[32];              /* SHA-256 of the SPKI that it is */
    struct rg_incarnation bound;  /* the data directory that its id is bound to; not known: none yet */
};

/* What whoever judges knows. All borrowed. */
struct rg_epoch_here {
    struct rg_span cluster, root; /* as struct rg_trust has them */
    const uint8_t *genesis;       /* its hash */
    const struct rg_certified *certified; /* ascending; the last is the newest that counts here; one at least */
    size_t n_certified;
    const struct rg_epoch_node *nodes;
    size_t n_nodes;
    const struct rg_operator *operators; /* ended ones too */
    size_t n_operators;
    rg_verify_fn verify;
};

enum rg_epoch_verdict {
    RG_EPOCH_REFUSED,  /* it proves nothing here */
    RG_EPOCH_TAKEN,    /* it counts, once it is durable */
    RG_EPOCH_HAD,      /* it is known */
    RG_EPOCH_BYGONE,   /* it is good, and a later one counts: it is kept for what may stand on it */
    RG_EPOCH_ASK,      /* it stands on what is not known here: a certificate before it, or a node */
    RG_EPOCH_TWICE,    /* its node has signed another one of this epoch: both prove it */
    RG_EPOCH_DISPUTED, /* it is good, but stands on another beginning of the epoch before it than is known here */
};
struct rg_epoch_judged {
    enum rg_epoch_verdict verdict;
    const char *why; /* static; NULL: it is taken, had or bygone */
    bool accept_loss;
    struct rg_certified is; /* what would be kept of it; epoch 0: it is no certificate */
};

/** RG_OK: it was judged. RG_ENOMEM: it could not be. bytes: of a certificate with its signature (rg_vouched). */
RG_MUST enum rg_err rg_epoch_accept(const struct rg_epoch_here *here, struct rg_span bytes, struct rg_epoch_judged *ret_judged);

#endif
