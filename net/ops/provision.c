#include "net/ops/provision.h"

#include "crypto/digest.h"

struct rg_uuid rg_provision_id(const char *instance_arn, const struct rg_provision *p)
{
    const uint8_t seconds[] = {(uint8_t)(p->at >> 24), (uint8_t)(p->at >> 16), (uint8_t)(p->at >> 8), (uint8_t)p->at};
    const struct rg_span parts[] = {rg_span_str("provision"), rg_span_str(instance_arn), rg_span(seconds, sizeof seconds),
                                    rg_span(p->permset.b, sizeof p->permset.b)};
    uint8_t check[RG_SHA256_BYTES];
    const uint8_t *ps = p->permset.b;

    rg_sha256_v(parts, RG_LEN(parts), check);
    return (struct rg_uuid){{seconds[0], seconds[1], seconds[2], seconds[3], ps[0], ps[1], (uint8_t)(0x80 | ps[2] >> 4),
                             (uint8_t)(ps[2] << 4 | ps[3] >> 4), (uint8_t)(0x80 | (ps[3] & 0xf) << 2 | (check[0] & 3)), ps[4],
                             ps[5], ps[6], ps[7], check[1], check[2], check[3]}};
}

bool rg_provision_of(const char *instance_arn, const struct rg_uuid *id, struct rg_provision *ret_provision)
{
    const uint8_t *b = id->b;
    struct rg_uuid again;

    ret_provision->at = (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
    ret_provision->permset = (struct rg_psid){{b[4], b[5], (uint8_t)(b[6] << 4 | b[7] >> 4),
                                               (uint8_t)(b[7] << 4 | (b[8] >> 2 & 0xf)), b[9], b[10], b[11], b[12]}};
    again = rg_provision_id(instance_arn, ret_provision);
    return memcmp(&again, id, sizeof again) == 0;
}
