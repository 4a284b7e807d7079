/* store/command.h: building and reading command bytes: one TLV sequence each. */
#ifndef REGENT_STORE_COMMAND_H
#define REGENT_STORE_COMMAND_H

#include "store/schema.h"

/** Begin a command in buf (cleared): kind, time, author. The caller puts the further fields with rg_tlv_put*. */
void rg_cmd_begin(struct rg_buf *buf, enum rg_cmd_kind kind, int64_t at_ms, struct rg_span by);

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

/** Case folding of names for the unique indexes: ASCII letters to lower case, all other bytes as they are. Appended to out. */
void rg_fold(struct rg_span name, struct rg_buf *out);

#endif
