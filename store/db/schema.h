/* store/db/schema.h: tables, key layouts, field numbers, command kinds, reasons, limits. One place for what is on disk and
 * in the log. Numbers are never used again for another meaning. docs/formats.md repeats them for readers. */
#ifndef REGENT_STORE_DB_SCHEMA_H
#define REGENT_STORE_DB_SCHEMA_H

#include "base/tlv.h"

#define RG_SCHEMA_VERSION 1

/* All rows live in one LMDB database; the first byte of a key is its table. Integers in keys are big-endian, so that
 * keys sort by value. id = 16 bytes of a UUID, ps = 8 bytes of a permission set id, acct = 12 ASCII digits,
 * ptype = 'G' or 'U'. Names are folded (rg_fold) and, past 200 bytes, replaced by their first 160 bytes, 0x00 and SHA-256. */
enum rg_table {
    RG_T_INSTANCE = 'I',   /* "I" → TLV: instance ARN, identity store id, owner account, created */
    RG_T_REGION = 'R',     /* name → TLV region record */
    RG_T_CREDENTIAL = 'C', /* 'k' access key id → TLV | 't' SHA-256 of a bearer token → TLV */
    RG_T_USER = 'u',       /* id → TLV */
    RG_T_USER_NAME = 'n',  /* folded userName → id */
    RG_T_USER_EMAIL = 'e', /* folded address → id */
    RG_T_USER_EXT = 'x',   /* issuer 0x00 external id, as they are (hashed when long) → id */
    RG_T_GROUP = 'g',      /* id → TLV */
    RG_T_GROUP_NAME = 'h', /* folded displayName → id */
    RG_T_GROUP_EXT = 'y',
    RG_T_MEMBERSHIP = 'm',   /* membership id → group id, user id (32 bytes) */
    RG_T_GROUP_MEMBER = 'a', /* group id, user id → membership id */
    RG_T_MEMBER_GROUP = 'b', /* user id, group id → (empty) */
    RG_T_PERMSET = 'p',      /* ps → TLV */
    RG_T_PERMSET_NAME = 'q', /* name as it is → ps */
    RG_T_ACCOUNT = 'c',      /* acct → TLV */
    RG_T_ASSIGN = 's',       /* acct, ps, ptype, id → TLV (created, by) */
    RG_T_ASSIGN_BY = 't',    /* ptype, id, acct, ps → (empty) */
    RG_T_ASSIGN_PS = 'w',    /* ps, acct, ptype, id → (empty) */
    RG_T_REQUEST = 'r',      /* 'c' or 'd' (creation, deletion), request id → TLV status */
    RG_T_NODE = 'N',       /* u64 raft id → TLV node record: ids are never used twice, so rows stay */
    RG_T_JOIN_TOKEN = 'J', /* SHA-256 of a join token's secret → TLV */
    RG_T_SECRET = 'S',     /* name → TLV: a sealed secret of the instance */
    RG_T_SETTING = 'G',    /* name → TLV: "durability", "lease" */
    RG_T_EPOCH = 'E',      /* u64 epoch → TLV: where it began, who declared it and why */
    RG_T_DEGRADED = 'D',   /* u64 raft index → TLV: a write acknowledged with fewer regions than the policy wants */
    RG_T_TRUST = 'O',        /* 'g' → TLV: the GENESIS that the cluster's trust begins with | 'o' SHA-256 of a public key → TLV: an
                              * operator, ended ones too | 'n' hash of a statement → TLV: used, until it expires | 'c' → TLV: when the
                              * last statement was applied */
    RG_T_REQUEST_AGE = 'z',  /* u64 raft index of the request → 'c'|'d', request id: the oldest go first past the limit */
};

/* Fields of commands and rows (base/tlv.h), one row each: X(name, number, name in JSON, form in JSON). A create or replace
 * command carries the object's own fields (32 and up) exactly as the row keeps them; apply copies them, unknown ones too, and
 * adds version and times. Forms are those of store/db/command_json.c; a field without a name is shown as "fieldN", in hex. */
#define RG_FIELD_MAP(X)                                                                                                \
    /* of every command */                                                                                             \
    X(KIND, 1, NULL, HEX)                  /* enum rg_cmd_kind */                                                      \
    X(AT_MS, 2, "at", TIME)                /* Unix milliseconds, read by the leader's shell */                         \
    X(BY, 3, "by", TEXT)                   /* who asked: access key id or token name */                                \
    X(REQUEST_ID, 4, "requestId", ID)      /* 16 bytes */                                                              \
    X(IF_VERSION, 5, "ifVersion", NUMBER)  /* replace, delete: only if the row has this version (0 or absent: any) */  \
    /* kept by apply in rows */                                                                                        \
    X(VERSION, 16, "version", NUMBER)      /* raft index of the last change */                                         \
    X(CREATED_MS, 17, "createdAt", TIME)                                                                               \
    X(CREATED_BY, 18, "createdBy", TEXT)                                                                               \
    X(UPDATED_MS, 19, "updatedAt", TIME)                                                                               \
    X(UPDATED_BY, 20, "updatedBy", TEXT)                                                                               \
    /* objects */                                                                                                      \
    X(ID, 32, "id", ID)                    /* 16 bytes (8 for a permission set) */                                     \
    X(NAME, 33, "name", TEXT)              /* userName, group displayName; permission set, account, region name */     \
    X(DISPLAY_NAME, 34, "displayName", TEXT) /* user */                                                                \
    X(DESCRIPTION, 35, "description", TEXT)                                                                            \
    X(STATUS, 36, "status", TEXT)          /* user ENABLED|DISABLED; region ADDING|ACTIVE|REMOVING;                    \
                                              request SUCCEEDED|FAILED */                                              \
    X(EMAIL, 37, "email", TEXT)            /* user: the value to index (emails[0].value), also inside ATTRS */         \
    X(EXTERNAL_ID, 38, "externalIds", PAIR("issuer", "id")) /* repeated: issuer, 0x00, id */                           \
    X(ATTRS, 39, "attributes", ATTRS)      /* compact JSON object: all that has no field of its own: store/db/attrs.h */\
    X(GROUP_ID, 40, "groupId", ID)                                                                                     \
    X(USER_ID, 41, "userId", ID)                                                                                       \
    X(MEMBERSHIP_ID, 42, "membershipId", ID)                                                                           \
    X(ACCOUNT_ID, 43, "accountId", TEXT)   /* 12 digits */                                                             \
    X(PERMSET_ID, 44, "permissionSetId", ID) /* 8 bytes */                                                             \
    X(PRINCIPAL_TYPE, 45, "principalType", PTYPE) /* 'G' or 'U' */                                                     \
    X(PRINCIPAL_ID, 46, "principalId", ID)                                                                             \
    X(SESSION_DURATION, 47, "sessionDuration", TEXT) /* ISO 8601 */                                                    \
    X(RELAY_STATE, 48, "relayState", TEXT)                                                                             \
    X(MANAGED_POLICY, 49, "managedPolicies", TEXTS) /* repeated: ARN */                                                \
    X(INLINE_POLICY, 50, "inlinePolicy", TEXT) /* JSON text */                                                         \
    X(TAG, 51, "tags", PAIR("key", "value")) /* repeated: key, 0x00, value */                                          \
    X(REASON, 52, "reason", TEXT)          /* request: failure reason */                                               \
    X(BOUNDARY, 53, "permissionsBoundary", TEXT) /* JSON */                                                            \
    X(CUSTOMER_POLICY, 54, "customerPolicies", PAIR("name", "path")) /* repeated: name, 0x00, path */                  \
    /* instance, regions, credentials */                                                                               \
    X(INSTANCE_ARN, 64, "instanceArn", TEXT)                                                                           \
    X(IDENTITY_STORE_ID, 65, "identityStoreId", TEXT)                                                                  \
    X(OWNER_ACCOUNT_ID, 66, "ownerAccountId", TEXT)                                                                    \
    X(KEY_ID, 67, "keyId", TEXT)           /* mrk-… */                                                                 \
    X(REGION, 68, "regions", NESTED)       /* in INSTANCE_INIT repeated: nested TLV of a region record */              \
    X(PRIMARY, 69, "primary", FLAG)                                                                                    \
    X(URL, 70, "url", TEXT)                                                                                            \
    X(ACCESS_KEY_ID, 71, "accessKeyId", TEXT)                                                                          \
    X(SECRET_SEALED, 72, "secretSealed", SIZE) /* envelope, purpose "secret" */                                        \
    X(TOKEN_SHA256, 73, "tokenSha256", HEX)                                                                            \
    X(CREDENTIAL, 74, "credentials", NESTED) /* in INSTANCE_INIT repeated: nested TLV of a credential record */        \
    X(ROLE, 75, "role", TEXT)              /* credential: "admin" | "read" */                                          \
    /* regions and their nodes */                                                                                      \
    X(NODE_ID, 76, "nodeId", NUMBER)       /* u64 raft id */                                                           \
    X(LINK, 77, "link", TEXT)              /* host:port */                                                             \
    X(EXPIRES_MS, 78, "expires", TIME)                                                                                 \
    X(CERT, 79, "certificate", HEX)        /* DER */                                                                   \
    X(PHASE, 80, "phase", TEXT)            /* region being added: where it is */                                       \
    X(ERROR, 81, "error", TEXT)            /* region: what went wrong last */                                          \
    X(OWNER, 82, "owner", TEXT)            /* region: who answers for it */                                            \
    X(OLD_NODE_ID, 83, "oldNodeId", NUMBER) /* node that came back: the id it had */                                   \
    X(REJOIN, 84, "rejoin", FLAG)          /* node: 1 when it comes back by itself */                                  \
    /* settings, epochs */                                                                                             \
    X(REGIONS, 85, "otherRegions", NUMBER) /* how many other regions */                                                \
    X(ON_SHORTAGE, 86, "onShortage", TEXT) /* "refuse" | "degrade" */                                                  \
    X(LEASE_MS, 87, "leaseMs", NUMBER)                                                                                 \
    X(DEGRADED, 88, "regionsReachable", NUMBER) /* on any command: other regions reachable when it was accepted */     \
    X(EPOCH, 89, "epoch", NUMBER)                                                                                      \
    X(FIRST_INDEX, 90, "firstIndex", NUMBER)                                                                           \
    X(DECLARED_BY, 91, "declaredBy", TEXT)                                                                             \
    X(OLD_REGIONS, 92, NULL, HEX)          /* lease: its terms before, which hold until every member knows the new */  \
    X(OLD_LEASE_MS, 93, NULL, HEX)                                                                                     \
    X(SETTLED, 94, NULL, HEX)              /* command: the row version at which whoever sends it saw the terms before  \
                                              known to every member */ \
    /* trust (store/model/trust.h) */                                                                                  \
    X(STATEMENT, 95, "statement", SIZE)    /* what an operator signed: of a command, and of the row it made */         \
    X(PUBLIC_KEY, 96, "publicKey", HEX)    /* SPKI of P-256 */                                                         \
    X(ROLES, 97, "roles", NUMBER)          /* enum rg_operator_role bits */                                            \
    X(TRUST, 98, "trustLevel", NUMBER)     /* instance: 2 since its GENESIS; absent: 1 */                              \
    X(KEPT, 99, NULL, HEX)                 /* GENESIS, repeated: digest of a row that no statement made */             \
    X(ROOT_KEY, 100, "rootKey", HEX)       /* SPKI of the key that signed GENESIS */                                   \
    X(ENDING, 101, NULL, HEX)              /* operator: the statement that ended it */ \
    X(PIN, 102, "identityKeySha256", HEX)  /* node: the SHA-256 of the key that it is */                               \
    X(PREVIOUS_EPOCH, 110, "previousEpoch", NUMBER) /* declaration: the epoch that it is made over */ \
    X(ACCEPT_LOSS, 111, "acceptLoss", FLAG) /* declaration: writes may be lost */ \
    /* nodes that ask to join */                                                                                       \
    X(CSR, 120, "certificateRequest", HEX) /* PEM: of a node that has no certificate yet */                            \
    X(ADMITTED, 121, "admittedKeySha256", HEX) /* node: the SHA-256 of its public key, as an administrator let it in */ \
    X(FROM, 122, "from", TEXT)             /* node: the address it asked from */                                       \
    X(RELEASE, 123, "release", TEXT)       /* node: of the program that asked */                                       \
    X(HOST, 124, "hosts", TEXTS)           /* join token, repeated: names and addresses that its node may have */ \
    X(RETURNS, 125, "mayReturn", TEXT)     /* node: fingerprint of a key with which an administrator lets it come back */ \
    X(PROVEN, 126, "provenBy", NUMBER)     /* node that came back: the id whose key it proved that with */

enum rg_field {
#define RG_FIELD_ENUM(name, number, json, form) RG_F_##name = number,
    RG_FIELD_MAP(RG_FIELD_ENUM)
#undef RG_FIELD_ENUM
};

/* What is true of a command's kind. */
enum rg_cmd_flag {
    RG_CMDF_CLIENT = 1 << 0,              /* clients write it: a lost one may be made again */
    RG_CMDF_INTENT = 1 << 1,              /* it may wait for a primary as an intent */
    RG_CMDF_AUTOMATIC = 1 << 2,           /* only takes access away: an intent that needs nobody's approval */
    RG_CMDF_MINTS_ID = 1 << 3,            /* RG_F_ID is minted anew each time the same thing is asked */
    RG_CMDF_MINTS_MEMBERSHIP_ID = 1 << 4, /* the same of RG_F_MEMBERSHIP_ID */
    RG_CMDF_REQUEST_ONCE = 1 << 5,        /* RG_F_REQUEST_ID names a row: never used twice */
    RG_CMDF_TOUCHES_SETTINGS = 1 << 6,    /* may change settings, regions, nodes or epochs, which nodes keep a copy of */
    RG_CMDF_UNINIT = 1 << 7,              /* is applied while there is no instance */
    RG_CMDF_ADDS = 1 << 8,                /* makes an object: refused while the state is full */
    RG_CMDF_REWRITES = 1 << 9,            /* replaces one: refused then when it would take more room than before */
};

/* The commands, one row each: X(name, number, handler in store/apply/, flags). */
#define RG_CMD_MAP(X)                                                                                                  \
    X(NOOP, 1, noop, RG_CMDF_UNINIT)                                                                                   \
    /* once, on an empty state: instance, regions, first credentials */                                                \
    X(INSTANCE_INIT, 2, instance_init, RG_CMDF_UNINIT | RG_CMDF_TOUCHES_SETTINGS)                                      \
    /* status "REMOVED" deletes the row: RG_ECONFLICT of the primary's */                                              \
    X(REGION_PUT, 3, region_put, RG_CMDF_TOUCHES_SETTINGS)                                                             \
    /* its secret is nothing for an intent */                                                                          \
    X(CREDENTIAL_PUT, 4, credential_put, RG_CMDF_CLIENT | RG_CMDF_REWRITES)                                            \
    X(CREDENTIAL_DELETE, 5, credential_delete, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_AUTOMATIC)                    \
    X(USER_CREATE, 10, user_create, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_MINTS_ID | RG_CMDF_ADDS)                 \
    X(USER_REPLACE, 11, user_replace, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_REWRITES)                              \
    /* with its memberships and assignments */                                                                         \
    X(USER_DELETE, 12, user_delete, RG_CMDF_CLIENT | RG_CMDF_INTENT)                                                   \
    X(GROUP_CREATE, 20, group_create, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_MINTS_ID | RG_CMDF_ADDS)               \
    X(GROUP_REPLACE, 21, group_replace, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_REWRITES)                            \
    X(GROUP_DELETE, 22, group_delete, RG_CMDF_CLIENT | RG_CMDF_INTENT)                                                 \
    X(MEMBERSHIP_CREATE, 30, membership_create, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_MINTS_MEMBERSHIP_ID | RG_CMDF_ADDS)\
    X(MEMBERSHIP_DELETE, 31, membership_delete, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_AUTOMATIC)                   \
    X(PERMSET_CREATE, 40, permset_create, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_MINTS_ID | RG_CMDF_ADDS)           \
    /* attributes, managed and inline policies, tags: all of it */                                                     \
    X(PERMSET_REPLACE, 41, permset_replace, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_REWRITES)                        \
    /* RG_ECONFLICT while assigned, as an account's */                                                                 \
    X(PERMSET_DELETE, 42, permset_delete, RG_CMDF_CLIENT | RG_CMDF_INTENT)                                             \
    X(ACCOUNT_PUT, 50, account_put, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_REWRITES)                                \
    X(ACCOUNT_DELETE, 51, account_delete, RG_CMDF_CLIENT | RG_CMDF_INTENT)                                             \
    /* an unknown account is registered by it; exists already: SUCCEEDED, as at AWS */                                 \
    X(ASSIGNMENT_CREATE, 60, assignment_create, RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_REQUEST_ONCE | RG_CMDF_ADDS) \
    X(ASSIGNMENT_DELETE, 61, assignment_delete,                                                                        \
      RG_CMDF_CLIENT | RG_CMDF_INTENT | RG_CMDF_AUTOMATIC | RG_CMDF_REQUEST_ONCE)                                      \
    X(NODE_PUT, 70, node_put, RG_CMDF_TOUCHES_SETTINGS)                                                                \
    /* uses a join token up (or names the node's old id), gives away a raft id */                                \
    X(NODE_JOIN, 71, node_join, RG_CMDF_TOUCHES_SETTINGS)                                                              \
    X(TOKEN_PUT, 72, token_put, 0)                                                                                     \
    X(SECRET_PUT, 73, secret_put, 0)                                                                                   \
    X(SETTING_PUT, 74, setting_put, RG_CMDF_TOUCHES_SETTINGS)                                                          \
    /* who declared the epoch, and why: the new primary's first write */                                               \
    X(EPOCH_NOTE, 75, epoch_note, RG_CMDF_TOUCHES_SETTINGS)                                                            \
    /* trust level 2, once: from here on what changes who is trusted is signed for by an operator */                   \
    X(TRUST_BEGIN, 76, trust_begin, 0)                                                                                 \
    X(OPERATOR_PUT, 77, operator_put, 0)                                                                               \
    X(OPERATOR_END, 78, operator_end, 0)

enum rg_cmd_kind {
#define RG_CMD_ENUM(name, number, handler, flags) RG_CMD_##name = number,
    RG_CMD_MAP(RG_CMD_ENUM)
#undef RG_CMD_ENUM
};

/* Why a command was refused: replicated with the reply, equal on every node; the API words it. */
enum rg_why {
    RG_WHY_NONE = 0,
    RG_WHY_MALFORMED,      /* fields missing or of the wrong form: a bug or a newer release's command */
    RG_WHY_UNKNOWN_KIND,
    RG_WHY_NOT_INIT,       /* no instance yet */
    RG_WHY_ALREADY_INIT,
    RG_WHY_USER,           /* the user: not found, or exists */
    RG_WHY_USER_NAME,      /* uniqueness */
    RG_WHY_EMAIL,
    RG_WHY_EXTERNAL_ID,
    RG_WHY_GROUP,
    RG_WHY_GROUP_NAME,
    RG_WHY_MEMBERSHIP,
    RG_WHY_PERMSET,
    RG_WHY_PERMSET_NAME,
    RG_WHY_PERMSET_ASSIGNED,
    RG_WHY_ACCOUNT,
    RG_WHY_ACCOUNT_ASSIGNED,
    RG_WHY_ASSIGNMENT,
    RG_WHY_REGION,
    RG_WHY_CREDENTIAL,
    RG_WHY_VERSION,        /* RG_F_IF_VERSION does not match */
    RG_WHY_LIMIT,          /* RG_EQUOTA */
    RG_WHY_NODE,
    RG_WHY_TOKEN,          /* join token: unknown, used, expired, or another region's */
    RG_WHY_SETTING,
    RG_WHY_REGION_CHANGE,  /* another region is being added or removed */
    RG_WHY_STATEMENT,      /* an operator's statement: RG_ESTATEMENT, there is none; else what is wrong with it */
    RG_WHY_OPERATOR,       /* not found, or there already */
};

/* Limits (docs/operations.md lists them). */
#define RG_USERS_MAX 1000000
#define RG_GROUPS_MAX 250000
#define RG_PERMSETS_MAX 10000
#define RG_ACCOUNTS_MAX 20000
#define RG_REQUESTS_KEPT_MAX 10000
#define RG_CMD_BYTES_MAX (256 * 1024)
#define RG_ROW_BYTES_MAX (256 * 1024)
#define RG_KEY_BYTES_MAX 420
#define RG_EXTERNAL_IDS_MAX 32 /* of one user or group */
_Static_assert(RG_KEY_BYTES_MAX <= 511, "LMDB's keys");
_Static_assert(RG_ROW_BYTES_MAX >= RG_CMD_BYTES_MAX, "a row can keep what its command brings");

struct rg_psid {
    uint8_t b[8]; /* "ps-" and 16 hex digits in ARNs */
};

#endif
