/* raft/part/node.h: a node whole: its parts, what it owns, and what must be true of them together. */
#ifndef REGENT_RAFT_PART_NODE_H
#define REGENT_RAFT_PART_NODE_H

#include <pthread.h>

#include "raft/core/meta.h"
#include "raft/node.h"
#include "raft/part/parts.h"

struct rg_core;
struct rg_receiver;
struct rg_snapstore;
struct rg_wal;

/* Who writes which of its parts: raft/part/parts.h. */
struct rg_node {
    struct rg_node_config config; /* defaults filled in; strings: own */
    bool strings_owned;
    struct rg_io *io;
    struct rg_sm stage; /* node_stages */
    struct node_pump pump;
    struct node_stop stop;

    struct rg_metafile *metafile; /* own, as all these */
    struct rg_wal *wal;
    struct rg_snapstore *snaps;
    struct rg_core *core;
    struct rg_receiver *receiver;

    struct rg_meta meta; /* whoever changes it saves it at once */
    uint64_t boot;       /* names this process to its peers */
    struct rg_members configured; /* what the shell gave: used until the log holds a configuration */
    struct rg_members members;    /* in force */
    struct node_peer peers[RG_PEERS_MAX]; /* of members, self excluded, then guests */
    size_t n_peers;
    bool leading; /* as of the last step (step.c) */

    struct node_log log;
    struct node_state state;
    struct node_snap snap;
    struct node_visible visible;
    struct node_answers answers;
    struct node_forward forward;
    struct node_change change;
    struct node_pair pair;
    struct node_lease lease;
    struct node_epochs epochs;
    struct node_failover failover;
    struct node_handover handover;
    struct node_primary primary;
    struct node_room room;
    struct node_health health;
    struct node_figures figures;

    /* outgoing and incoming messages */
    struct rg_buf out;
    struct rg_entry *in_entries;  /* own; RG_MSG_ENTRIES_MAX */
    struct rg_entry *out_entries; /* own; RG_MSG_ENTRIES_MAX */

    /* read from other threads */
    pthread_mutex_t status_mutex;
    struct rg_node_status status; /* as published */
    struct rg_node_status next_status; /* figures are counted here, by every file */
};

/** What must be true of a running node between two turns: of its parts together, since each has its own check. Numbers and pointers
 * only. */
void node_check(const struct rg_node *node);
/** What a node says of itself goes together, whatever its stage: operators, probes and the API decide by it. */
void node_status_check(const struct rg_node_status *status);

#endif
