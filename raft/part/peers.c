/* raft/part/peers.c: who is a peer, and what is kept of it when the members change. */
#include "raft/part/peers.h"

#include "raft/snap/transfer.h"

struct node_peer *node_peers_find(struct node_peer *peers, size_t n, uint64_t id)
{
    RG_ASSERT(n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (peers[i].config.id == id)
            return &peers[i];
    return NULL;
}

size_t node_peers_members(const struct node_peer *peers, size_t n)
{
    size_t members = 0;

    RG_ASSERT(n <= RG_PEERS_MAX);
    while (members < n && !peers[members].guest)
        members++;
    RG_ASSERT(members == n || peers[n - 1].guest); /* behind the members */
    return members;
}

void node_peers_rebuild(struct node_peer peers[RG_PEERS_MAX], size_t *n, const struct rg_members *members, uint64_t self)
{
    struct node_peer old[RG_PEERS_MAX], *before;
    size_t n_old = *n;

    RG_ASSERT(n_old <= RG_PEERS_MAX);
    RG_ASSERT(members->n <= RG_PEERS_MAX);
    memcpy(old, peers, sizeof old);
    memset(peers, 0, sizeof old);
    *n = 0;
    for (size_t i = 0; i < members->n; i++) {
        struct node_peer *peer = &peers[*n];

        if (members->peers[i].id == self)
            continue;
        RG_ASSERT(*n < RG_PEERS_MAX);
        before = node_peers_find(old, n_old, members->peers[i].id);
        if (before != NULL) {
            *peer = *before;
            before->sender = NULL;
        }
        peer->config = members->peers[i];
        peer->guest = false;
        ++*n;
    }
    for (size_t k = 0; k < n_old; k++)
        if (old[k].guest && rg_members_find(members, old[k].config.id) == NULL && *n < RG_PEERS_MAX)
            peers[(*n)++] = old[k]; /* a learner's: it has no sender */
        else
            rg_sender_free(old[k].sender);
    RG_ASSERT(node_peers_find(peers, *n, self) == NULL);
    RG_ASSERT(node_peers_members(peers, *n) + (rg_members_find(members, self) != NULL) == members->n); /* each once, guests behind */
}

struct node_peer *node_peers_guest(struct node_peer peers[RG_PEERS_MAX], size_t *n)
{
    struct node_peer *peer = NULL;

    RG_ASSERT(*n <= RG_PEERS_MAX);
    for (size_t i = 0; peer == NULL && *n == RG_PEERS_MAX && i < *n; i++)
        if (peers[i].guest && !peers[i].up)
            peer = &peers[i];
    if (peer == NULL && *n == RG_PEERS_MAX)
        return NULL;
    if (peer == NULL)
        peer = &peers[(*n)++];
    RG_ASSERT(peer->sender == NULL);
    memset(peer, 0, sizeof *peer);
    peer->guest = true;
    return peer;
}
