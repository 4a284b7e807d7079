#include "net/ops/account.h"

#include "store/db/rowkey.h"

static enum rg_err check_text(struct rg_span text, size_t max, uint32_t field, struct rg_fault *fault)
{
    if (text.n > max)
        return rg_fault_note(fault, field, RG_RULE_TOO_LONG);
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < 0x20 || text.p[i] == 0x7f)
            return rg_fault_note(fault, field, RG_RULE_FORM);
    return RG_OK;
}

enum rg_err rg_cmd_account_put(struct rg_buf *cmd, const struct rg_author *author, const struct rg_account_input *account,
                               struct rg_fault *fault)
{
    enum rg_err err = check_text(account->name, RG_ACCOUNT_NAME_BYTES_MAX, RG_F_NAME, fault);

    if (!err)
        err = check_text(account->description, RG_ACCOUNT_TEXT_BYTES_MAX, RG_F_DESCRIPTION, fault);
    if (err)
        return err;
    if (!rg_account_id_ok(account->id))
        return rg_fault_note(fault, RG_F_ACCOUNT_ID, RG_RULE_FORM);
    rg_cmd_begin(cmd, RG_CMD_ACCOUNT_PUT, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_ACCOUNT_ID, account->id);
    rg_cmd_put_text(cmd, RG_F_NAME, account->name);
    rg_cmd_put_text(cmd, RG_F_DESCRIPTION, account->description);
    return RG_OK;
}

enum rg_err rg_cmd_account_delete(struct rg_buf *cmd, const struct rg_author *author, struct rg_span id, struct rg_fault *fault)
{
    if (!rg_account_id_ok(id))
        return rg_fault_note(fault, RG_F_ACCOUNT_ID, RG_RULE_FORM);
    rg_cmd_begin(cmd, RG_CMD_ACCOUNT_DELETE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_ACCOUNT_ID, id);
    return RG_OK;
}
