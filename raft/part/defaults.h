/* raft/part/defaults.h: what a node's configuration leaves open. */
#ifndef REGENT_RAFT_PART_DEFAULTS_H
#define REGENT_RAFT_PART_DEFAULTS_H

#include "raft/node.h"

/** Put the defaults where there is a 0; bound what depends on each other: entries under way are fewer than those that stay in the log. */
void rg_node_defaults(struct rg_node_config *config);

#endif
