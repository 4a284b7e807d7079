/* store/model/trust.h: trust as the state knows it. At level 1, where a cluster begins, who may write may change who is trusted. A GENESIS,
 * signed by a key that is kept off the machines, makes it level 2: from there on every node that applies such a change asks for a statement
 * of an operator, whose private half no node has. Spans are borrowed until the next write in, or the end of, the transaction. */
#ifndef REGENT_STORE_MODEL_TRUST_H
#define REGENT_STORE_MODEL_TRUST_H

#include "crypto/sign/statement.h"
#include "store/db/env.h"

enum {
    RG_OPERATORS_MAX = 64,    /* rows; those that ended stay, for what they signed */
    RG_OPERATORS_ROOT_MAX = 2 * RG_OPERATORS_MAX, /* with those that the root has let in: it is asked when there is no room else */
    RG_STATEMENTS_MAX = 4096, /* used ones that are kept */
    RG_KEPT_BYTES = 16,
    RG_KEPT_MAX = RG_STATEMENT_FIELDS_BYTES_MAX / (RG_KEPT_BYTES + 2) - 32,
    RG_OPERATOR_NAME_BYTES_MAX = 64,
};
#define RG_STATEMENT_LIFE_MS (INT64_C(24) * 3600 * 1000) /* from a statement's beginning to its end, at most */
#define RG_STATEMENT_SKEW_MS (INT64_C(5) * 60 * 1000)    /* that clocks may differ, and the log's time may go back */

enum rg_operator_role {
    RG_ROLE_REGIONS = 1 << 0,   /* regions come and go, join tokens */
    RG_ROLE_SETTINGS = 1 << 1,  /* durability and lease */
    RG_ROLE_OPERATORS = 1 << 2, /* operators, and administrators' credentials */
    RG_ROLE_FAILOVER = 1 << 3,  /* which region leads */
    RG_ROLES_ALL = (1 << 4) - 1,
};
/** "regions", "settings", "operators", "failover"; NULL: no such role. role: one bit */
const char *rg_role_name(unsigned role);
/** Names with commas between them to bits. False: one is none. */
bool rg_roles_parse(const char *text, unsigned *ret_roles);

/* What can be said: X(name, number, role that may, its fields). The command or the row has those fields as the statement has them. DECLARE
 * is in no command: the node that it names begins that epoch over that one (crypto/sign/epoch.h). */
#define RG_SAID_MAP(X)                                                                                                 \
    X(GENESIS, 1, 0, RG_F_NAME, RG_F_EXPIRES_MS, RG_F_PUBLIC_KEY, RG_F_ROLES, RG_F_KEPT, RG_F_ROOT_KEY)                \
    X(OPERATOR, 2, RG_ROLE_OPERATORS, RG_F_NAME, RG_F_EXPIRES_MS, RG_F_PUBLIC_KEY, RG_F_ROLES)                         \
    X(OPERATOR_END, 3, RG_ROLE_OPERATORS, RG_F_NAME)                                                                   \
    X(TOKEN, 4, RG_ROLE_REGIONS, RG_F_NAME)                                                                            \
    X(REGION_ADD, 5, RG_ROLE_REGIONS, RG_F_NAME)                                                                       \
    X(REGION_REMOVE, 6, RG_ROLE_REGIONS, RG_F_NAME)                                                                    \
    X(SETTING, 7, RG_ROLE_SETTINGS, RG_F_NAME, RG_F_REGIONS, RG_F_ON_SHORTAGE, RG_F_LEASE_MS)                          \
    X(CREDENTIAL, 8, RG_ROLE_OPERATORS, RG_F_NAME, RG_F_ACCESS_KEY_ID, RG_F_TOKEN_SHA256, RG_F_ROLE)                   \
    X(ADMIT, 9, RG_ROLE_REGIONS, RG_F_NAME, RG_F_URL, RG_F_NODE_ID, RG_F_LINK, RG_F_ADMITTED)                      \
    X(DECLARE, 10, RG_ROLE_FAILOVER, RG_F_NODE_ID, RG_F_EPOCH, RG_F_PREVIOUS_EPOCH, RG_F_ACCEPT_LOSS)
enum rg_said {
#define RG_SAID_ENUM(name, number, role, ...) RG_SAID_##name = number,
    RG_SAID_MAP(RG_SAID_ENUM)
#undef RG_SAID_ENUM
};
/** "GENESIS"; "?" for none. */
const char *rg_said_name(unsigned kind);
/** The role that may say it; 0: none of an operator's. */
unsigned rg_said_role(unsigned kind);
/** Whether it has no fields but its own, each at most once (but KEPT), and each of its own as `bytes` has it: both, or neither. */
bool rg_said_covers(unsigned kind, struct rg_span fields, struct rg_span bytes);

struct rg_trust {
    unsigned level;          /* 1, 2 */
    struct rg_span cluster;  /* the instance's ARN */
    struct rg_span statement, root; /* of the GENESIS, and its key; empty at level 1 */
    uint8_t genesis[RG_STATEMENT_HASH_BYTES]; /* its hash */
    uint64_t version;        /* raft index of it */
    int64_t clock_ms;        /* of the last command that a statement was applied with; 0: none */
};
/** RG_ENOTFOUND: there is no instance yet; RG_ECORRUPT. */
RG_MUST enum rg_err rg_trust_get(struct rg_txn *txn, struct rg_trust *ret_trust);

struct rg_operator {
    struct rg_span name, public_key, status, statement, ending;
    uint64_t roles, version;
    int64_t expires_ms;
};
/** By the SHA-256 of its key. RG_ENOTFOUND. */
RG_MUST enum rg_err rg_operator_get(struct rg_txn *txn, const uint8_t key_sha256[32], struct rg_operator *ret_operator);
/** All, ended ones too; end the scan with rg_scan_end. */
RG_MUST enum rg_err rg_operator_list(struct rg_txn *txn, struct rg_scan *scan);
RG_MUST enum rg_err rg_operator_next(struct rg_scan *scan, struct rg_operator *ret_operator);
bool rg_operator_active(const struct rg_operator *op);

/**
 * What GENESIS must say of the state that it finds: for each row that a statement would have made, RG_KEPT_BYTES of a digest, ascending:
 * settings and administrators' credentials as they are, nodes by id, region and place, regions by name.
 * RG_ETOOBIG: more than RG_KEPT_MAX
 */
RG_MUST enum rg_err rg_trust_kept(struct rg_txn *txn, struct rg_buf *out);
/** That of one row. False: such a row is made without a statement. */
bool rg_trust_kept_row(struct rg_span key, struct rg_span row, uint8_t ret_kept[RG_KEPT_BYTES]);

#endif
