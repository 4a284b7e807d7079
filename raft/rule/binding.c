/* raft/rule/binding.c: which data directory an id has. */
#include "raft/rule/binding.h"

enum rg_binding rg_binding_of(const struct rg_incarnation *bound, const struct rg_incarnation *said)
{
    if (!rg_incarnation_known(bound) || rg_incarnation_equal(bound, said))
        return RG_BINDING_FITS;
    return rg_incarnation_known(said) ? RG_BINDING_OTHER : RG_BINDING_UNSAID;
}

static const struct rg_binding_heard *heard_of(const struct rg_binding_heard *heard, size_t n, uint64_t id)
{
    RG_ASSERT(id != 0);
    for (size_t i = 0; i < n; i++)
        if (heard[i].id == id && rg_incarnation_known(&heard[i].said))
            return &heard[i];
    return NULL;
}

/* One directory under two ids: neither is believed. */
static bool is_taken(const struct rg_members *m, const struct rg_incarnation *said)
{
    RG_ASSERT(rg_incarnation_known(said)); /* or every one that is not bound would be it */
    for (size_t i = 0; i < m->n; i++)
        if (rg_incarnation_equal(&m->peers[i].incarnation, said))
            return true;
    return false;
}

bool rg_binding_next(const struct rg_members *now, const struct rg_binding_heard *heard, size_t n, struct rg_members *ret_after)
{
    struct rg_members m = *now;
    bool any = false, first = rg_members_bound(now) == 0;

    RG_ASSERT(now->n <= RG_PEERS_MAX);
    RG_ASSERT(n <= RG_PEERS_MAX + 1);
    for (size_t i = 0; i < m.n; i++) {
        const struct rg_binding_heard *h = heard_of(heard, n, m.peers[i].id);

        if (h == NULL && first)
            return false;
        if (h == NULL || !h->up || rg_incarnation_known(&m.peers[i].incarnation) || is_taken(&m, &h->said))
            continue;
        RG_ASSERT(h->id == m.peers[i].id);
        m.peers[i].incarnation = h->said;
        any = true;
    }
    RG_ASSERT(any == (rg_members_bound(&m) > rg_members_bound(now)));
    RG_ASSERT(m.n == now->n);
    if (any)
        *ret_after = m;
    return any;
}

void rg_binding_first(struct rg_members *members, uint64_t id, const struct rg_incarnation *incarnation)
{
    RG_ASSERT(id != 0);
    RG_ASSERT(rg_incarnation_known(incarnation));
    RG_ASSERT(rg_members_bound(members) == 0);
    RG_ASSERT(rg_members_votes(members, id));
    if (rg_members_voters(members) != 1)
        return;
    for (size_t i = 0; i < members->n; i++)
        if (members->peers[i].id == id)
            members->peers[i].incarnation = *incarnation;
    RG_ASSERT(rg_members_bound(members) == 1);
}

enum rg_err rg_binding_refuse(enum rg_binding binding, uint64_t peer, struct rg_errctx *ctx)
{
    RG_ASSERT(binding != RG_BINDING_FITS);
    RG_ASSERT(peer != 0);
    if (binding == RG_BINDING_UNSAID)
        return rg_fail(ctx, RG_EPEER, "peer %llu does not say which data directory it has: its release is too old for this cluster",
                       (unsigned long long)peer);
    return rg_fail(ctx, RG_EPEER, "peer %llu has another data directory than the cluster knows under its id: it needs a new id",
                   (unsigned long long)peer);
}

bool rg_binding_counts(const struct rg_members *members, const struct rg_peer_config *peer)
{
    RG_ASSERT(peer->id != 0);
    return rg_incarnation_known(&peer->incarnation) || rg_members_bound(members) == 0;
}

bool rg_binding_whole(const struct rg_members *members)
{
    size_t bound = rg_members_bound(members);

    RG_ASSERT(bound <= members->n);
    return bound == 0 || bound == members->n;
}
