#include "net/ops/group.h"

static void put_group(struct rg_buf *cmd, const struct rg_uuid *id, const struct rg_group_input *group)
{
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
    rg_cmd_put_text(cmd, RG_F_NAME, group->name);
    rg_cmd_put_text(cmd, RG_F_DESCRIPTION, group->description);
    rg_cmd_put_external_ids(cmd, group->external_ids, group->external_ids_n);
    rg_cmd_put_text(cmd, RG_F_ATTRS, group->attributes);
}

enum rg_err rg_cmd_group_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id,
                                const struct rg_group_input *group, struct rg_fault *fault)
{
    enum rg_err err = rg_identity_check(group->name, group->external_ids_n, fault);

    if (err)
        return err;
    rg_cmd_begin(cmd, RG_CMD_GROUP_CREATE, author->at_ms, author->by);
    put_group(cmd, id, group);
    return RG_OK;
}

enum rg_err rg_cmd_group_replace(struct rg_buf *cmd, const struct rg_author *author, const struct rg_group *was,
                                 const struct rg_group_input *group, struct rg_fault *fault)
{
    enum rg_err err = rg_identity_check(group->name, group->external_ids_n, fault);

    if (err)
        return err;
    rg_cmd_begin(cmd, RG_CMD_GROUP_REPLACE, author->at_ms, author->by);
    rg_tlv_put_u64(cmd, RG_F_IF_VERSION, was->version);
    put_group(cmd, &was->id, group);
    return RG_OK;
}

void rg_cmd_group_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_uuid *id)
{
    rg_cmd_begin(cmd, RG_CMD_GROUP_DELETE, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_ID, rg_span(id->b, sizeof id->b));
}
