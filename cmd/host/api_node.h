/* cmd/host/api_node.h: the host's node as the API asks it (net/api/node.h). */
#ifndef REGENT_CMD_HOST_API_NODE_H
#define REGENT_CMD_HOST_API_NODE_H

#include "cmd/host/host.h"
#include "net/api/node.h"

/** The table, over the host and the node that is attached to it: for use from the attaching until the node is freed. */
struct rg_api_node rg_host_api_node(struct rg_host *host);

#endif
