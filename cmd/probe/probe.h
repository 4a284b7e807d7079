/* cmd/probe/probe.h: `regent probe`. */
#ifndef REGENT_CMD_PROBE_PROBE_H
#define REGENT_CMD_PROBE_PROBE_H

#include "cmd/cli/cli.h"

extern const struct rg_command rg_probe_commands[];

#endif
