#include "store/db/command.h"

void rg_cmd_begin(struct rg_buf *buf, enum rg_cmd_kind kind, int64_t at_ms, struct rg_span by)
{
    rg_buf_clear(buf);
    rg_tlv_put_u64(buf, RG_F_KIND, (uint64_t)kind);
    rg_tlv_put_u64(buf, RG_F_AT_MS, (uint64_t)at_ms);
    if (by.n > 0)
        rg_tlv_put(buf, RG_F_BY, by);
}

/* The first occurrence counts, as everywhere. */
static bool take_number(const struct rg_tlv *tlv, bool *seen, uint64_t *ret_number)
{
    if (*seen)
        return true;
    *seen = true;
    return rg_tlv_number(tlv->value, ret_number);
}

enum rg_err rg_cmd_decode(struct rg_span bytes, struct rg_cmd *ret_cmd)
{
    bool has_kind = false, has_at = false, has_by = false, has_if = false, ok = true;
    struct rg_cmd cmd = {.bytes = bytes};
    uint64_t kind = 0, at_ms = 0;
    struct rg_cursor cur;
    struct rg_tlv tlv;

    if (bytes.n > RG_CMD_BYTES_MAX)
        return RG_EMALFORMED;
    rg_cursor_init(&cur, bytes);
    while (ok && rg_tlv_next(&cur, &tlv)) {
        if (tlv.field == RG_F_KIND)
            ok = take_number(&tlv, &has_kind, &kind);
        else if (tlv.field == RG_F_AT_MS)
            ok = take_number(&tlv, &has_at, &at_ms);
        else if (tlv.field == RG_F_IF_VERSION)
            ok = take_number(&tlv, &has_if, &cmd.if_version);
        else if (tlv.field == RG_F_BY && !has_by) {
            has_by = true;
            cmd.by = tlv.value;
        }
    }
    if (!ok || cur.bad || !has_kind || !has_at || kind == 0 || kind > INT32_MAX)
        return RG_EMALFORMED;
    cmd.kind = (enum rg_cmd_kind)kind;
    cmd.at_ms = (int64_t)at_ms;
    *ret_cmd = cmd;
    return RG_OK;
}

const char *rg_cmd_kind_name(enum rg_cmd_kind kind)
{
    switch (kind) {
#define NAME(kind)                                                                                                     \
    case RG_CMD_##kind:                                                                                                \
        return #kind;
        NAME(NOOP)
        NAME(INSTANCE_INIT)
        NAME(REGION_PUT)
        NAME(CREDENTIAL_PUT)
        NAME(CREDENTIAL_DELETE)
        NAME(USER_CREATE)
        NAME(USER_REPLACE)
        NAME(USER_DELETE)
        NAME(GROUP_CREATE)
        NAME(GROUP_REPLACE)
        NAME(GROUP_DELETE)
        NAME(MEMBERSHIP_CREATE)
        NAME(MEMBERSHIP_DELETE)
        NAME(PERMSET_CREATE)
        NAME(PERMSET_REPLACE)
        NAME(PERMSET_DELETE)
        NAME(ACCOUNT_PUT)
        NAME(ACCOUNT_DELETE)
        NAME(ASSIGNMENT_CREATE)
        NAME(ASSIGNMENT_DELETE)
        NAME(NODE_PUT)
        NAME(NODE_JOIN)
        NAME(TOKEN_PUT)
        NAME(SECRET_PUT)
        NAME(SETTING_PUT)
        NAME(EPOCH_NOTE)
#undef NAME
    }
    return "?";
}

void rg_fold(struct rg_span name, struct rg_buf *out)
{
    uint8_t *to = rg_buf_reserve(out, name.n);

    if (to == NULL)
        return;
    for (size_t i = 0; i < name.n; i++)
        to[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (uint8_t)(name.p[i] | 0x20) : name.p[i];
    out->len += name.n;
}
