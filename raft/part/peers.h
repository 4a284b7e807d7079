/* raft/part/peers.h: the peers of a node: the members in force but itself, then guests. */
#ifndef REGENT_RAFT_PART_PEERS_H
#define REGENT_RAFT_PART_PEERS_H

#include "raft/part/parts.h"

/** NULL: there is none with this id. */
struct node_peer *node_peers_find(struct node_peer *peers, size_t n, uint64_t id);
/** Those that stay keep what is known of them; a guest becomes a member or stays one; senders to those that go are freed. */
void node_peers_rebuild(struct node_peer peers[RG_PEERS_MAX], size_t *n, const struct rg_members *members, uint64_t self);
/** A place for a guest that is no peer yet, zeroed: a new one, or that of another guest that is not linked. NULL: there is no room. */
struct node_peer *node_peers_guest(struct node_peer peers[RG_PEERS_MAX], size_t *n);
/** How many are members. */
size_t node_peers_members(const struct node_peer *peers, size_t n);

#endif
