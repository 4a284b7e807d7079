/* cmd/cli/region_ask.h: what commands about regions share: asking about them, following a change to its end. */
#ifndef REGENT_CMD_CLI_REGION_ASK_H
#define REGENT_CMD_CLI_REGION_ASK_H

#include "cmd/cli/client.h"

#define RG_REGION_MS_MAX 60000 /* a question about a region may take so long */

/**
 * One request under /v1/regions.
 * name     NULL: the list;  suffix: what follows the name ("/preflight"), or ""
 * body     consume; NULL: none
 * ret_json own
 */
RG_MUST enum rg_err rg_region_ask(struct rg_client *client, const char *method, const char *name, const char *suffix,
                                  json_t *body, json_t **ret_json, struct rg_errctx *ctx);
/**
 * Show the progress until the region is ACTIVE (adding: ret_region, own) or gone (removing). The primary may restart, or be
 * another one, meanwhile: cli->client is replaced then. RG_ESTOPPED: interrupted; the change goes on.
 */
RG_MUST enum rg_err rg_region_follow(struct rg_cli *cli, const char *name, bool adding, json_t **ret_region);
/** "snapshot, 42 %  3.0 MiB of 9.1 MiB, …" and, if there is one, a line with the last error, of a region that comes or goes.
 * Lines printed. */
size_t rg_region_print_progress(FILE *out, const json_t *region);

#endif
