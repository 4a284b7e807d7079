/* store/db/command.h: building and reading command bytes: one TLV sequence each. */
#ifndef REGENT_STORE_DB_COMMAND_H
#define REGENT_STORE_DB_COMMAND_H

#include "store/db/schema.h"

/* Fields of each kind (a row of RG_CMD_MAP), beside the common ones. In (): may be absent; …: repeated. Further fields from 32
 * up are kept in the row as they are, but for kinds marked *. Names and the like: 1 to 4096 bytes without 0x00.
 *
 *   INSTANCE_INIT       INSTANCE_ARN, IDENTITY_STORE_ID, (OWNER_ACCOUNT_ID), (KEY_ID), (REGION…), (CREDENTIAL…): nested
 *                       records as REGION_PUT and CREDENTIAL_PUT have them, at most 64 of each and 16 KiB
 *   REGION_PUT          NAME, STATUS, (URL), (PRIMARY), (OWNER), (DESCRIPTION), (PHASE), (ERROR), (NODE_ID). ADDING is refused
 *                       of a region that is there (unless it goes on being ADDING), REMOVING of the primary, and both while
 *                       another region is ADDING or REMOVING; REMOVED deletes the row. The command has at most 16 KiB
 *   CREDENTIAL_PUT      ACCESS_KEY_ID or TOKEN_SHA256 (32 bytes) or both, ROLE, (SECRET_SEALED), (NAME: needed by a token alone)
 *   CREDENTIAL_DELETE * ACCESS_KEY_ID, or TOKEN_SHA256
 *   USER_CREATE/REPLACE ID, NAME, (STATUS), (EMAIL), (EXTERNAL_ID… at most 32), (DISPLAY_NAME), (ATTRS)
 *   GROUP_…             ID, NAME, (DESCRIPTION), (EXTERNAL_ID…), (ATTRS)
 *   USER_/GROUP_DELETE* ID
 *   MEMBERSHIP_CREATE * MEMBERSHIP_ID, GROUP_ID, USER_ID
 *   MEMBERSHIP_DELETE * MEMBERSHIP_ID, or GROUP_ID and USER_ID
 *   PERMSET_…           ID (8 bytes), NAME, (DESCRIPTION, SESSION_DURATION, …)
 *   PERMSET_DELETE *    ID (8 bytes)
 *   ACCOUNT_PUT         ACCOUNT_ID, (NAME), (DESCRIPTION)
 *   ACCOUNT_DELETE *    ACCOUNT_ID
 *   SETTING_PUT         NAME "durability": REGIONS, ON_SHORTAGE; NAME "lease": REGIONS, LEASE_MS, SETTLED (the version of the row
 *                       that every member was seen to have; without it the terms before that one hold on too)
 *   EPOCH_NOTE          EPOCH (begun already), NAME (the primary's region now), NODE_ID, DECLARED_BY, REASON
 *   ASSIGNMENT_…        ACCOUNT_ID, PERMSET_ID, PRINCIPAL_TYPE, PRINCIPAL_ID, REQUEST_ID (minted, never used twice)
 *   NODE_PUT            NODE_ID (1 to 1023), NAME (region), LINK, URL, STATUS, (CERT), (OLD_NODE_ID), (REJOIN), (CSR), (ADMITTED: its key
 *                       was let in by an administrator), (PIN), (FROM), (RELEASE), (RETURNS, EXPIRES_MS), (PROVEN)
 *   NODE_JOIN           TOKEN_SHA256 or OLD_NODE_ID, NAME (region), LINK, URL, (CSR), (FROM), (RELEASE), (PROVEN), (NODE_ID: the id it is
 *                       to have, or the next one that was never given; without it the one behind the highest). The id is answered in
 *                       reply.id's first 8 bytes, big-endian. A token that is unknown: RG_EBADTOKEN; used: RG_ECONFLICT; expired:
 *                       RG_EEXPIRED; another region's: RG_EINVALID. A node that comes back: RG_ENOTFOUND, RG_EINVALID (region),
 *                       RG_ECONFLICT (removed)
 *   TOKEN_PUT           TOKEN_SHA256, NAME (region), EXPIRES_MS, (HOST, repeated); expired ones are dropped. With STATUS "REVOKED": the
 *                       token opens nothing any more. RG_ENOTFOUND, RG_ECONFLICT (used, or revoked already)
 *   SECRET_PUT          NAME, SECRET_SEALED. Refused at trust level 2
 *   TRUST_BEGIN *       STATEMENT: GENESIS. Its fields make the rows
 *   OPERATOR_PUT *      STATEMENT: OPERATOR. Its fields make the row
 *   OPERATOR_END *      STATEMENT: OPERATOR_END
 *
 * At trust level 2 (store/model/trust.h) SETTING_PUT, TOKEN_PUT, CREDENTIAL_PUT of an administrator, REGION_PUT that adds a region or
 * begins to remove one, and NODE_PUT that lets a key in, need a STATEMENT of theirs. What else NODE_PUT and NODE_JOIN may then:
 * store/apply/trust.c.
 *
 * BY has at most 256 bytes. Refusals besides those of schema.h: RG_EUNREADY before INSTANCE_INIT, RG_EUNKNOWNOP for an unknown
 * kind, RG_EMALFORMED for a wrong form, RG_ETOOBIG for a row past RG_ROW_BYTES_MAX, RG_ESTALE (reply.version: what it is). */

#define RG_BY_BYTES_MAX 256u

/** Begin a command in buf (cleared): kind, time, author. The caller puts the further fields with rg_tlv_put*. */
void rg_cmd_begin(struct rg_buf *buf, enum rg_cmd_kind kind, int64_t at_ms, struct rg_span by);
/** Put a row's own fields (from RG_F_ID up) again, as a change puts those that stay: each for which keep says so; NULL: all. The statement
 * that made it is no command's: apply lets the row keep it. */
typedef bool (*rg_keep_fn)(const void *arg, const struct rg_tlv *tlv);
void rg_cmd_put_row(struct rg_buf *buf, struct rg_span row, rg_keep_fn keep, const void *arg);

/* The common fields of a decoded command; `bytes` is the whole command. All borrowed. */
struct rg_cmd {
    enum rg_cmd_kind kind;
    int64_t at_ms;
    struct rg_span by, bytes;
    uint64_t if_version;
};
/** RG_EMALFORMED when bytes are not TLV, over RG_CMD_BYTES_MAX, or lack kind or time. An unknown kind decodes. */
RG_MUST enum rg_err rg_cmd_decode(struct rg_span bytes, struct rg_cmd *ret_cmd);
/** Name of a kind ("USER_CREATE"); "?" for an unknown one. */
const char *rg_cmd_kind_name(enum rg_cmd_kind kind);
/** The kind's enum rg_cmd_flag bits; 0 for an unknown one. kind: as the bytes say it, whatever that is. */
unsigned rg_cmd_kind_flags(uint64_t kind);

/** Case folding of names for the unique indexes: ASCII letters to lower case, all other bytes as they are. Appended to out. */
void rg_fold(struct rg_span name, struct rg_buf *out);

#endif
