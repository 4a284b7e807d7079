/* net/ops/account.h: accounts, named and forgotten in nobody's dialect. They are read as struct rg_account (store/model). */
#ifndef REGENT_NET_OPS_ACCOUNT_H
#define REGENT_NET_OPS_ACCOUNT_H

#include "net/ops/input.h"

enum { RG_ACCOUNT_NAME_BYTES_MAX = 256, RG_ACCOUNT_TEXT_BYTES_MAX = 1024 };

/* What an account is to be: all of it. Borrow until the command is built. */
struct rg_account_input {
    struct rg_span id, name, description; /* empty: none, but for the id */
};

/**
 * The command that makes an account or changes it. cmd: cleared; its own sticky error stays with it.
 * RG_EINVALID, with the fault: RG_F_ACCOUNT_ID is not twelve digits; RG_F_NAME or RG_F_DESCRIPTION is too long, or holds control
 * characters, which would break lines of access and logs.
 */
RG_MUST enum rg_err rg_cmd_account_put(struct rg_buf *cmd, const struct rg_author *author, const struct rg_account_input *account,
                                       struct rg_fault *fault);
/** The command that forgets an account. RG_F_ACCOUNT_ID is not twelve digits. */
RG_MUST enum rg_err rg_cmd_account_delete(struct rg_buf *cmd, const struct rg_author *author, struct rg_span id,
                                          struct rg_fault *fault);

#endif
