/* cmd/daemon/preflight.h: what must be so before a region is added: its node prepared and reached, both ways; clocks, releases, the
 * key replica, room on disk and in memory. The primary asks the candidate over the control channel and judges the answer. */
#ifndef REGENT_CMD_DAEMON_PREFLIGHT_H
#define REGENT_CMD_DAEMON_PREFLIGHT_H

#include "cmd/config/config.h"
#include "net/link/control.h"
#include "crypto/keyprov.h"
#include "net/link/link.h"
#include "net/ops/region_ops.h"
#include "store/db/env.h"

enum { RG_CLOCK_MS_MAX = 2000 }; /* two clocks may differ by less */

struct rg_preflight_config { /* all borrowed */
    const struct rg_config *config;
    struct rg_store *store;
    struct rg_keyprov *keys;
    struct rg_links *links;
    struct rg_control *control;
};

/** Look at a region's candidate; on_done may come before it returns. Raft thread, at the primary. */
void rg_preflight_run(const struct rg_preflight_config *config, struct rg_preflight *preflight);
/** Serve "preflight": what the asker needs to judge this node. config: borrow as long as control serves. */
RG_MUST enum rg_err rg_preflight_serve(struct rg_preflight_config *config);

/* ---- the judgement alone ---- */

struct rg_preflight_facts {
    const struct rg_config *config; /* the primary's */
    const char *region, *version;
    uint64_t node_id;
    int64_t sent_us, got_us; /* wall clock here when the question left and the answer came */
    uint64_t state_bytes;
    uint8_t proof[32];       /* what the candidate must make of the challenge */
};
/** Items of an answer, appended to preflight. */
void rg_preflight_judge(const struct rg_preflight_facts *facts, const json_t *answer, struct rg_preflight *preflight);
/** Whether two releases may be in one cluster: the same major, the same minor or a neighbour. */
bool rg_versions_fit(const char *a, const char *b);

#endif
