/* cmd/admin/admin.h: the commands of this room; each file has a table of its own. */
#ifndef REGENT_CMD_ADMIN_ADMIN_H
#define REGENT_CMD_ADMIN_ADMIN_H

#include "cmd/cli/cli.h"

extern const struct rg_command rg_access_commands[], rg_found_commands[], rg_import_commands[], rg_inspect_commands[],
    rg_intent_commands[], rg_lost_commands[], rg_node_commands[], rg_region_commands[], rg_requests_commands[], rg_reset_commands[],
    rg_settings_commands[], rg_status_commands[], rg_takeover_commands[], rg_tour_commands[], rg_vouch_commands[];

/** Load an organisation (idc-org-dataset/1; consume) into the region that `cluster` marks primary, as `regent import` does:
 * what is there already stays. */
RG_MUST enum rg_err rg_import_data(struct rg_cli *cli, const struct rg_cluster *cluster, json_t *data);
/** Each region as it sees itself, printed. cli->code 3: none answers. */
RG_MUST enum rg_err rg_status_show(struct rg_cli *cli);

#endif
