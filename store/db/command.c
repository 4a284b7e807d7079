#include "store/db/command.h"

void rg_cmd_begin(struct rg_buf *buf, enum rg_cmd_kind kind, int64_t at_ms, struct rg_span by)
{
    RG_ASSERT(kind > 0);
    RG_ASSERT(by.p != NULL || by.n == 0);
    rg_buf_clear(buf);
    rg_tlv_put_u64(buf, RG_F_KIND, (uint64_t)kind);
    rg_tlv_put_u64(buf, RG_F_AT_MS, (uint64_t)at_ms);
    if (by.n > 0)
        rg_tlv_put(buf, RG_F_BY, by);
}

void rg_cmd_put_row(struct rg_buf *buf, struct rg_span row, rg_keep_fn keep, const void *arg)
{
    struct rg_cursor cur;
    struct rg_tlv tlv;

    RG_ASSERT(row.p != NULL || row.n == 0);
    RG_ASSERT(row.n == 0 || row.p != buf->data); /* a put may move what it would read */
    rg_cursor_init(&cur, row);
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field >= RG_F_ID && tlv.field != RG_F_STATEMENT && (keep == NULL || keep(arg, &tlv)))
            rg_tlv_put(buf, tlv.field, tlv.value);
}

/* The first occurrence counts, as everywhere. */
static bool take_number(const struct rg_tlv *tlv, bool *seen, uint64_t *ret_number)
{
    RG_ASSERT(tlv->field < RG_F_ID);
    RG_ASSERT(*seen || *ret_number == 0);
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

    RG_ASSERT(bytes.p != NULL || bytes.n == 0);
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
    RG_ASSERT(cmd.kind > 0);
    RG_ASSERT(cmd.bytes.n <= RG_CMD_BYTES_MAX);
    RG_ASSERT(cmd.by.n < bytes.n); /* within */
    *ret_cmd = cmd;
    return RG_OK;
}

/* What a row of the table may not say. */
#define KIND_CHECK(name, number, handler, flags) \
    _Static_assert((number) > 0, #name ": 0 is no kind"); \
    _Static_assert(((flags) & RG_CMDF_ADDS) == 0 || ((flags) & RG_CMDF_REWRITES) == 0, #name ": it makes an object, or replaces one"); \
    _Static_assert(((flags) & RG_CMDF_INTENT) == 0 || ((flags) & RG_CMDF_CLIENT) != 0, #name ": whoever waits is a client"); \
    _Static_assert(((flags) & RG_CMDF_AUTOMATIC) == 0 || ((flags) & RG_CMDF_INTENT) != 0, #name ": without approval, but as an intent"); \
    _Static_assert(((flags) & RG_CMDF_AUTOMATIC) == 0 || ((flags) & RG_CMDF_ADDS) == 0, #name ": what takes away adds nothing"); \
    _Static_assert(((flags) & (RG_CMDF_MINTS_ID | RG_CMDF_MINTS_MEMBERSHIP_ID)) == 0 || ((flags) & RG_CMDF_ADDS) != 0, \
                   #name ": a new id is a new object's");
RG_CMD_MAP(KIND_CHECK)
#undef KIND_CHECK

const char *rg_cmd_kind_name(enum rg_cmd_kind kind)
{
    switch (kind) {
#define KIND_NAME(name, number, handler, flags)                                                                        \
    case RG_CMD_##name:                                                                                                \
        return #name;
        RG_CMD_MAP(KIND_NAME)
#undef KIND_NAME
    }
    return "?";
}

unsigned rg_cmd_kind_flags(uint64_t kind)
{
    switch (kind) {
#define KIND_FLAGS(name, number, handler, flags)                                                                       \
    case RG_CMD_##name:                                                                                                \
        return flags;
        RG_CMD_MAP(KIND_FLAGS)
#undef KIND_FLAGS
    }
    return 0;
}

void rg_fold(struct rg_span name, struct rg_buf *out)
{
    uint8_t *to = rg_buf_reserve(out, name.n);

    RG_ASSERT(name.p != NULL || name.n == 0);
    RG_ASSERT(to != NULL || out->err);
    if (to == NULL)
        return;
    for (size_t i = 0; i < name.n; i++)
        to[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (uint8_t)(name.p[i] | 0x20) : name.p[i];
    RG_ASSERT(name.n <= out->cap - out->len);
    out->len += name.n;
}
