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
    RG_T_REQUEST_AGE = 'z',  /* u64 raft index of the request → 'c'|'d', request id: the oldest go first past the limit */
};

/* Fields of commands and rows (base/tlv.h). A create or replace command carries the object's own fields (32 and up) exactly
 * as the row keeps them; apply copies them, unknown ones too, and adds version and times. */
enum rg_field {
    /* of every command */
    RG_F_KIND = 1,       /* enum rg_cmd_kind */
    RG_F_AT_MS = 2,      /* Unix milliseconds, read by the leader's shell */
    RG_F_BY = 3,         /* who asked: access key id or token name */
    RG_F_REQUEST_ID = 4, /* 16 bytes */
    RG_F_IF_VERSION = 5, /* replace, delete: only if the row has this version (0 or absent: any) */
    /* kept by apply in rows */
    RG_F_VERSION = 16, /* raft index of the last change */
    RG_F_CREATED_MS = 17,
    RG_F_CREATED_BY = 18,
    RG_F_UPDATED_MS = 19,
    RG_F_UPDATED_BY = 20,
    /* objects */
    RG_F_ID = 32,           /* 16 bytes (8 for a permission set) */
    RG_F_NAME = 33,         /* userName, group displayName, permission set name, account name, region name */
    RG_F_DISPLAY_NAME = 34, /* user */
    RG_F_DESCRIPTION = 35,
    RG_F_STATUS = 36,      /* user "ENABLED"|"DISABLED"; region "ADDING"|"ACTIVE"|"REMOVING"; request "SUCCEEDED"|"FAILED" */
    RG_F_EMAIL = 37,       /* user: the value to index (emails[0].value), also inside RG_F_ATTRS */
    RG_F_EXTERNAL_ID = 38, /* repeated: issuer, 0x00, id */
    RG_F_ATTRS = 39,       /* compact JSON object: all attributes that have no field of their own, AWS member names */
    RG_F_GROUP_ID = 40,
    RG_F_USER_ID = 41,
    RG_F_MEMBERSHIP_ID = 42,
    RG_F_ACCOUNT_ID = 43, /* 12 digits */
    RG_F_PERMSET_ID = 44, /* 8 bytes */
    RG_F_PRINCIPAL_TYPE = 45, /* 'G' or 'U' */
    RG_F_PRINCIPAL_ID = 46,
    RG_F_SESSION_DURATION = 47, /* ISO 8601 */
    RG_F_RELAY_STATE = 48,
    RG_F_MANAGED_POLICY = 49, /* repeated: ARN */
    RG_F_INLINE_POLICY = 50,  /* JSON text */
    RG_F_TAG = 51,            /* repeated: key, 0x00, value */
    RG_F_REASON = 52,         /* request: failure reason */
    RG_F_BOUNDARY = 53,       /* permissions boundary, JSON */
    RG_F_CUSTOMER_POLICY = 54, /* repeated: name, 0x00, path */
    /* instance, regions, credentials */
    RG_F_INSTANCE_ARN = 64,
    RG_F_IDENTITY_STORE_ID = 65,
    RG_F_OWNER_ACCOUNT_ID = 66,
    RG_F_KEY_ID = 67, /* mrk-… */
    RG_F_REGION = 68, /* in INSTANCE_INIT repeated: nested TLV of a region record */
    RG_F_PRIMARY = 69,
    RG_F_URL = 70,
    RG_F_ACCESS_KEY_ID = 71,
    RG_F_SECRET_SEALED = 72, /* envelope, purpose "secret" */
    RG_F_TOKEN_SHA256 = 73,
    RG_F_CREDENTIAL = 74, /* in INSTANCE_INIT repeated: nested TLV of a credential record */
    RG_F_ROLE = 75,       /* credential: "admin" | "read" */
    /* regions and their nodes */
    RG_F_NODE_ID = 76, /* u64 raft id */
    RG_F_LINK = 77,    /* host:port */
    RG_F_EXPIRES_MS = 78,
    RG_F_CERT = 79,    /* DER */
    RG_F_PHASE = 80,   /* region being added: where it is */
    RG_F_ERROR = 81,   /* region: what went wrong last */
    RG_F_OWNER = 82,   /* region: who answers for it */
    RG_F_OLD_NODE_ID = 83, /* node that came back: the id it had */
    RG_F_REJOIN = 84,      /* node: 1 when it comes back by itself */
    /* settings, epochs */
    RG_F_REGIONS = 85,     /* u64: how many other regions */
    RG_F_ON_SHORTAGE = 86, /* "refuse" | "degrade" */
    RG_F_LEASE_MS = 87,
    RG_F_DEGRADED = 88, /* on any command: u64, other regions that were reachable when it was accepted */
    RG_F_EPOCH = 89,
    RG_F_FIRST_INDEX = 90,
    RG_F_DECLARED_BY = 91,
    RG_F_OLD_REGIONS = 92, /* lease: its terms before, which hold until every member knows the new ones */
    RG_F_OLD_LEASE_MS = 93,
    RG_F_SETTLED = 94, /* command: the row version at which whoever sends it saw the terms before known to every member */
};

enum rg_cmd_kind {
    RG_CMD_NOOP = 1,
    RG_CMD_INSTANCE_INIT = 2, /* once, on an empty state: instance, regions, first credentials */
    RG_CMD_REGION_PUT = 3,    /* status "REMOVED" deletes the row: RG_ECONFLICT of the primary's */
    RG_CMD_CREDENTIAL_PUT = 4,
    RG_CMD_CREDENTIAL_DELETE = 5,
    RG_CMD_USER_CREATE = 10,
    RG_CMD_USER_REPLACE = 11,
    RG_CMD_USER_DELETE = 12, /* with its memberships and assignments */
    RG_CMD_GROUP_CREATE = 20,
    RG_CMD_GROUP_REPLACE = 21,
    RG_CMD_GROUP_DELETE = 22,
    RG_CMD_MEMBERSHIP_CREATE = 30,
    RG_CMD_MEMBERSHIP_DELETE = 31,
    RG_CMD_PERMSET_CREATE = 40,
    RG_CMD_PERMSET_REPLACE = 41, /* attributes, managed and inline policies, tags: all of it */
    RG_CMD_PERMSET_DELETE = 42,  /* RG_ECONFLICT while assigned */
    RG_CMD_ACCOUNT_PUT = 50,
    RG_CMD_ACCOUNT_DELETE = 51, /* RG_ECONFLICT while assigned */
    RG_CMD_ASSIGNMENT_CREATE = 60, /* an unknown account is registered by it; exists already: SUCCEEDED, as at AWS */
    RG_CMD_ASSIGNMENT_DELETE = 61,
    RG_CMD_NODE_PUT = 70,
    RG_CMD_NODE_JOIN = 71, /* uses a join token up (or names the node's old id), allocates the next raft id */
    RG_CMD_TOKEN_PUT = 72,
    RG_CMD_SECRET_PUT = 73,
    RG_CMD_SETTING_PUT = 74,
    RG_CMD_EPOCH_NOTE = 75, /* who declared the epoch, and why: the new primary's first write */
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

struct rg_psid {
    uint8_t b[8]; /* "ps-" and 16 hex digits in ARNs */
};

#endif
