/* raft/rule/change.c: which configuration follows another. */
#include "raft/rule/change.h"

#include <stdio.h>

enum rg_err rg_change_refuse(struct rg_change *change, const char *why)
{
    RG_ASSERT(why[0] != '\0');
    snprintf(change->text, sizeof change->text, "node %llu %s", (unsigned long long)change->peer.id, why);
    return RG_EINVALID;
}

enum rg_err rg_change_apply(struct rg_change *change, const struct rg_members *now, uint64_t leader, struct rg_members *ret_after)
{
    const struct rg_peer_config *want = &change->peer;
    struct rg_members m = *now;
    size_t at = 0;

    RG_ASSERT(leader != 0);
    RG_ASSERT(m.n <= RG_PEERS_MAX);
    RG_ASSERT(rg_members_find(now, leader) != NULL);
    while (at < m.n && m.peers[at].id != want->id)
        at++;
    if (want->id == leader)
        return rg_change_refuse(change, "leads: hand over first");
    switch (change->kind) {
    case RG_CHANGE_ADD:
        if (at < m.n)
            return rg_change_refuse(change, "is a member already");
        if (m.n == RG_PEERS_MAX)
            return rg_change_refuse(change, "is one too many: 32 members are possible");
        m.peers[m.n] = *want;
        m.peers[m.n++].role = RG_ROLE_LEARNER;
        break;
    case RG_CHANGE_REMOVE:
        if (at == m.n)
            return rg_change_refuse(change, "is no member");
        m.n--;
        memmove(&m.peers[at], &m.peers[at + 1], (m.n - at) * sizeof m.peers[0]);
        break;
    case RG_CHANGE_ROLE:
        if (at == m.n)
            return rg_change_refuse(change, "is no member");
        if (m.peers[at].role == want->role)
            return rg_change_refuse(change, "has this role already");
        m.peers[at].role = want->role;
        break;
    default:
        return RG_EINVALID;
    }
    RG_ASSERT(m.n <= RG_PEERS_MAX);
    RG_ASSERT(m.n + 1 >= now->n);
    RG_ASSERT(m.n <= now->n + 1);
    RG_ASSERT(rg_members_votes(&m, leader) == rg_members_votes(now, leader));
    *ret_after = m;
    return RG_OK;
}

void rg_change_promoted(const struct rg_members *now, uint64_t id, struct rg_members *ret_after)
{
    struct rg_members m = {.n = 0};

    RG_ASSERT(now->n <= RG_PEERS_MAX);
    RG_ASSERT(id != 0);
    for (size_t i = 0; i < now->n; i++) {
        const struct rg_peer_config *p = &now->peers[i];

        if (p->id != id && p->role == RG_ROLE_VOTER)
            continue;
        m.peers[m.n] = *p;
        m.peers[m.n++].role = p->id == id ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    }
    RG_ASSERT(m.n <= now->n);
    RG_ASSERT(rg_members_voters(&m) == (rg_members_find(now, id) != NULL));
    *ret_after = m;
}

void rg_change_handed(const struct rg_members *now, uint64_t to, struct rg_members *ret_after)
{
    RG_ASSERT(now->n <= RG_PEERS_MAX);
    RG_ASSERT(to != 0);
    *ret_after = *now;
    for (size_t i = 0; i < ret_after->n; i++)
        ret_after->peers[i].role = ret_after->peers[i].id == to ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
    RG_ASSERT(rg_members_voters(ret_after) == (rg_members_find(now, to) != NULL));
}

uint64_t rg_change_only_voter(const struct rg_members *members)
{
    uint64_t id = 0;

    if (rg_members_voters(members) != 1)
        return 0;
    for (size_t i = 0; i < members->n; i++)
        if (members->peers[i].role == RG_ROLE_VOTER)
            id = members->peers[i].id;
    RG_ASSERT(id != 0);
    return id;
}

uint64_t rg_change_second(const struct rg_members *before, const struct rg_members *now, uint64_t id)
{
    uint64_t other = 0;

    if (rg_members_voters(now) != 2 || !rg_members_votes(now, id) || rg_change_only_voter(before) != id)
        return 0;
    for (size_t i = 0; i < now->n; i++)
        if (now->peers[i].role == RG_ROLE_VOTER && now->peers[i].id != id)
            other = now->peers[i].id;
    RG_ASSERT(other != 0);
    return other;
}
