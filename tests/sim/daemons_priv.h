/* tests/sim/daemons_priv.h: a daemon as its two files see it: daemons.c, what it does, and settle.c, when it is done. */
#ifndef REGENT_TESTS_SIM_DAEMONS_PRIV_H
#define REGENT_TESTS_SIM_DAEMONS_PRIV_H

#include "raft/member/regions.h"
#include "raft/member/rejoin.h"
#include "tests/sim/world.h"

struct sim_daemon {
    struct sim *sim;
    unsigned at;
    /* The process that runs now: its region manager. */
    uint64_t generation; /* of the node; 0: none was looked at yet */
    struct rg_regions regions;
    struct rg_proposal proposal;
    uint64_t telling; /* number of the question under way; 0: none */
    /* A node that comes back. */
    bool returns;
    struct rg_rejoin rejoin;
    struct rg_rejoin_asked asks;
    uint64_t ask_us, asking; /* when next; number of the question under way, 0: none */
    uint64_t next_key;
};

struct sim_daemons {
    uint64_t questions;
    struct sim_daemon nodes[SIM_NODES_MAX];
};

/** Where the node of this id is, of several the one that `from` is connected with; SIM_NODES_MAX: nowhere. */
unsigned sim_place_of(const struct sim *sim, unsigned from, uint64_t id);
/** Its key is destroyed and its data deleted: nothing of it is ever started again. The place is free for another one. */
void sim_end_for_good(struct sim *sim, unsigned at);
/** Whether this place's key is the one of the row. */
bool sim_proves(struct sim *sim, unsigned at, const struct rg_node_row *row, uint64_t key);
/** It asks the others for a new id. */
void sim_begin_return(struct sim *sim, struct sim_daemon *d);

#endif
