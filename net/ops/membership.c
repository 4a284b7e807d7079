#include "net/ops/membership.h"

void rg_cmd_membership_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_membership *m)
{
    rg_cmd_begin(cmd, RG_CMD_MEMBERSHIP_CREATE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_MEMBERSHIP_ID, rg_span(m->id.b, sizeof m->id.b));
    rg_tlv_put(cmd, RG_F_GROUP_ID, rg_span(m->group_id.b, sizeof m->group_id.b));
    rg_tlv_put(cmd, RG_F_USER_ID, rg_span(m->user_id.b, sizeof m->user_id.b));
}

void rg_cmd_membership_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id)
{
    rg_cmd_begin(cmd, RG_CMD_MEMBERSHIP_DELETE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_MEMBERSHIP_ID, rg_span(id->b, sizeof id->b));
}
