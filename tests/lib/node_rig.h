/* tests/lib/node_rig.h: one node over a disk in memory, its lanes, a clock and a network that a test drives. Node 1 is the primary,
 * node 2 its replica in another region; a test that wants others sets `peers` and `n_peers` before it starts. */
#ifndef REGENT_TESTS_LIB_NODE_RIG_H
#define REGENT_TESTS_LIB_NODE_RIG_H

#include "raft/core/rpc.h"
#include "raft/node.h"
#include "tests/lib/tmpdir.h"
#include "tests/sim/simlanes.h"

extern struct simlanes lanes;
extern struct simdisk *disk;
extern struct rg_keyprov *keys;
extern struct rg_store *store;
extern struct rg_node *node;
extern struct rg_errctx ctx;
extern char store_dir[160];
extern uint64_t now_us, timer_at;
extern unsigned stops, applied_calls, peers_told; /* since make */
extern enum rg_err stop_err;
extern struct rg_rev applied_rev;
extern size_t sent; /* messages, ever */
extern struct rg_peer_config peers[RG_PEERS_MAX];
extern size_t n_peers;
extern struct rg_node_config config;

void setup(void);
void teardown(void);

/** Of the data directory that is there; not started. After a failure: node = NULL. */
enum rg_err make(uint64_t id);
/** Make, start, and let lanes and pump run. */
void start(uint64_t id);
/** Lanes and pump until nothing more is done by itself. */
void work(void);
void stop(void);
void io_fill(void);
struct rg_node_status status(void);
/** The last message of this type that the node sent to the peer. False: none was. Entries are not kept. */
bool sent_last(uint64_t peer, enum rg_msg_type type, struct rg_msg *ret_msg);

/** A message comes from the peer, and is taken; no pump. */
void receive(uint64_t peer, const struct rg_msg *m);
/** To node 2 from the primary: the entry at index alone, of this term, committed: the members first, then commands. And work. */
void append(uint64_t index, uint64_t term, uint64_t prev_term);

#endif
