#include "net/ops/input.h"

#include <strings.h>

#include "crypto/digest.h"

enum { PAIR_BYTES_MAX = 4096 };

enum rg_err rg_fault_note(struct rg_fault *fault, uint32_t field, enum rg_rule rule)
{
    *fault = (struct rg_fault){.field = field, .rule = rule};
    switch (rule) {
    case RG_RULE_TOO_MANY:
        return RG_EQUOTA;
    case RG_RULE_THERE:
        return RG_ECONFLICT;
    case RG_RULE_ABSENT:
        return RG_ENOTFOUND;
    case RG_RULE_MISSING:
    case RG_RULE_FORM:
    case RG_RULE_RESERVED:
    case RG_RULE_REPEATED:
    case RG_RULE_TOO_LONG:
        break;
    }
    return RG_EINVALID;
}

/* Ids are public: what they are made of is fetched for many at once, for each thread. */
struct rg_uuid rg_id_mint(void)
{
    static _Thread_local uint8_t random[64][16];
    static _Thread_local size_t left;
    struct rg_uuid id;

    if (left == 0) {
        rg_random(random, sizeof random);
        left = RG_LEN(random);
    }
    rg_uuid_v4(&id, random[--left]);
    return id;
}

/* ---- fields ---- */

void rg_cmd_put_text(struct rg_buf *cmd, uint32_t field, struct rg_span text)
{
    if (text.n > 0)
        rg_tlv_put(cmd, field, text);
}

void rg_cmd_put_pair(struct rg_buf *cmd, uint32_t field, struct rg_span a, struct rg_span b)
{
    RG_AUTO_BUF struct rg_buf both = {.max = 0};

    rg_buf_init(&both, PAIR_BYTES_MAX);
    rg_buf_put(&both, a.p, a.n);
    rg_buf_put_u8(&both, 0);
    rg_buf_put(&both, b.p, b.n);
    if (both.err && cmd->err == RG_OK)
        cmd->err = both.err;
    rg_tlv_put(cmd, field, rg_buf_span(&both));
}

bool rg_cmd_pair(struct rg_span value, struct rg_span *ret_a, struct rg_span *ret_b)
{
    const uint8_t *zero = value.n > 0 ? memchr(value.p, 0, value.n) : NULL;

    if (zero == NULL)
        return false;
    *ret_a = rg_span(value.p, (size_t)(zero - value.p));
    *ret_b = rg_span(zero + 1, value.n - ret_a->n - 1);
    return true;
}

void rg_cmd_put_external_ids(struct rg_buf *cmd, const struct rg_external_id *ids, size_t n)
{
    for (size_t i = 0; i < n; i++)
        rg_cmd_put_pair(cmd, RG_F_EXTERNAL_ID, ids[i].issuer, ids[i].id);
}

bool rg_external_id_next(struct rg_cursor *cur, struct rg_external_id *ret_id)
{
    struct rg_tlv tlv;

    while (rg_tlv_next(cur, &tlv))
        if (tlv.field == RG_F_EXTERNAL_ID && rg_cmd_pair(tlv.value, &ret_id->issuer, &ret_id->id))
            return true;
    return false;
}

/* ---- rules ---- */

/* "Administrator and AWSAdministrators are reserved names and can't be used for users or groups." (CreateUser, CreateGroup) */
enum rg_err rg_identity_check(struct rg_span name, size_t external_ids_n, struct rg_fault *fault)
{
    static const char *const reserved[] = {"Administrator", "AWSAdministrators"};

    if (name.n == 0)
        return rg_fault_note(fault, RG_F_NAME, RG_RULE_MISSING);
    for (size_t i = 0; i < RG_LEN(reserved); i++)
        if (name.n == strlen(reserved[i]) && strncasecmp((const char *)name.p, reserved[i], name.n) == 0)
            return rg_fault_note(fault, RG_F_NAME, RG_RULE_RESERVED);
    return external_ids_n > RG_EXTERNAL_IDS_MAX ? rg_fault_note(fault, RG_F_EXTERNAL_ID, RG_RULE_TOO_MANY) : RG_OK;
}
