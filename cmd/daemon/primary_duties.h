/* cmd/daemon/primary_duties.h: what a primary looks after by itself: that its epoch is noted in the state, with its region as the
 * primary's, also when whoever asked for the takeover is gone, and those before it that ended too soon for that; and that an odd number
 * of its region's nodes votes (raft/rule/voters.h); that it is known which key each node is (its row's pin). Raft thread. */
#ifndef REGENT_CMD_DAEMON_PRIMARY_DUTIES_H
#define REGENT_CMD_DAEMON_PRIMARY_DUTIES_H

#include <uv.h>

#include "cmd/daemon/peering.h"
#include "raft/rule/voters.h"
#include "store/model/region_name.h"

struct rg_primary_duties { /* zero, then the borrowed ones, then rg_primary_duties_open */
    const struct rg_log *log;
    struct rg_io *io;
    struct rg_store *store;
    struct rg_node *node;
    struct rg_peering *peering;
    /* its own */
    uv_timer_t timer;
    struct rg_node_status status;
    uint64_t noted_epoch, seen_epoch, seen_ms; /* noted: it and all before it */
    bool noting, changing;
    struct rg_voters voters;
    uint64_t refused_ms; /* a refusal is logged at most this often */
    char region[RG_REGION_NAME_BYTES_MAX + 1];
    struct rg_buf cmd;
    struct rg_proposal proposal;
    struct rg_change change;
    uint64_t pins_index, pins_ms; /* all was known at this index; when to look again otherwise */
    uint64_t pinned_id;           /* its row is being written */
};

RG_MUST enum rg_err rg_primary_duties_open(struct rg_primary_duties *duties, uv_loop_t *loop);
/** After rg_node_stop: nothing is under way any more. The memory is in use until the loop's next turn. */
void rg_primary_duties_close(struct rg_primary_duties *duties);

#endif
