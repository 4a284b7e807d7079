/* tests/lib/trust_rig.h: operators' keys, statements of theirs, and a state that is made trust level 2. */
#ifndef REGENT_TESTS_LIB_TRUST_RIG_H
#define REGENT_TESTS_LIB_TRUST_RIG_H

#include "store/model/trust.h"
#include "tests/lib/store_rig.h"

enum { TRUST_ROOT, TRUST_KEYS = RG_OPERATORS_ROOT_MAX + 2, TRUST_SIGNERS = 3 };
#define TRUST_CLUSTER "arn:aws:sso:::instance/ssoins-0123456789abcdef"

/** Key n, the same in each run: 0 is the root's. Borrow, for the life of the process. */
const struct rg_es256_key *trust_key(int n);

struct trust_saying {
    unsigned kind;
    struct rg_span fields;
    const char *cluster; /* NULL: TRUST_CLUSTER */
    const uint8_t *genesis; /* NULL: that is not on one */
    int64_t at_ms, expires_ms;
    uint64_t nonce;
    int signers[TRUST_SIGNERS]; /* keys */
    size_t n;
};
/** Appended. */
void trust_say(const struct trust_saying *s, struct rg_buf *out);

/* Fields of statements, appended in the order they stand in. */
void trust_operator_fields(struct rg_buf *out, const char *name, int key, unsigned roles, int64_t expires_ms);
/** With what txn finds to be kept. */
void trust_genesis_fields(struct rg_txn *txn, struct rg_buf *out, const char *name, int key, unsigned roles, int64_t expires_ms);

/** The command that begins trust level 2 at f->at_ms with operator "ann", key 1, who may everything for a year. Into f->cmd. */
void trust_begin_cmd(struct fix *f);
/** The same, applied; ret_genesis: its hash. */
void trust_begin(struct fix *f, uint8_t ret_genesis[32]);
/** f->cmd's statement: of this kind, over fields as fix_put_fields has them, good for an hour, by one key. */
void trust_attach(struct fix *f, const uint8_t genesis[32], unsigned kind, const char *fields, int key);

#endif
