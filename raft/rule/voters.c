/* raft/rule/voters.c: how many nodes of the primary's region vote. */
#include "raft/rule/voters.h"

#include "base/bug/bug.h"

#define LAG_MAX 1000u /* entries: who lacks more is not level */
_Static_assert(RG_VOTERS_EVEN_MS < RG_VOTER_GONE_MS, "an even number is made odd before a voter that is missing counts as gone");

/* The first that votes, or does not, and is level, or is gone. */
static const struct rg_voter *first(const struct rg_voter *others, size_t n, bool votes, bool level, uint64_t gone_ms)
{
    for (size_t i = 0; i < n; i++)
        if (others[i].votes == votes && (!level || others[i].level) && others[i].silent_ms >= gone_ms)
            return &others[i];
    return NULL;
}

static bool turn(const struct rg_voter *voter, enum rg_role role, uint64_t *ret_id, enum rg_role *ret_role)
{
    if (voter == NULL)
        return false;
    RG_ASSERT(voter->votes == (role == RG_ROLE_LEARNER)); /* what it is changes */
    RG_ASSERT(voter->id != 0);
    *ret_id = voter->id;
    *ret_role = role;
    return true;
}

bool rg_voters_next(struct rg_voters *v, const struct rg_voter *others, size_t n, uint64_t now_ms, uint64_t *ret_id,
                    enum rg_role *ret_role)
{
    const struct rg_voter *gone = NULL, *ready = first(others, n, false, true, 0);
    size_t voters = 1, n_ready = 0;

    RG_ASSERT(n < RG_PEERS_MAX);
    RG_ASSERT(now_ms > 0);
    RG_ASSERT(v->leads_ms <= now_ms);
    RG_ASSERT(v->even_ms <= now_ms);
    if (v->leads_ms == 0)
        v->leads_ms = now_ms;
    for (size_t i = 0; i < n; i++) {
        RG_ASSERT(others[i].id != 0);
        voters += others[i].votes;
        n_ready += !others[i].votes && others[i].level;
    }
    RG_ASSERT(voters <= n + 1);
    RG_ASSERT(voters + n_ready <= n + 1);
    if (now_ms - v->leads_ms >= RG_VOTER_GONE_MS) /* before, it may be on its way to us */
        gone = first(others, n, true, false, RG_VOTER_GONE_MS);
    if (voters % 2 == 1) {
        v->even_ms = 0;
        if (gone != NULL)
            return turn(gone, RG_ROLE_LEARNER, ret_id, ret_role);
        return n_ready >= 2 && turn(ready, RG_ROLE_VOTER, ret_id, ret_role);
    }
    if (v->even_ms == 0)
        v->even_ms = now_ms;
    if (gone != NULL)
        return turn(gone, RG_ROLE_LEARNER, ret_id, ret_role);
    if (ready != NULL)
        return turn(ready, RG_ROLE_VOTER, ret_id, ret_role);
    return now_ms - v->even_ms >= RG_VOTERS_EVEN_MS && turn(first(others, n, true, false, 0), RG_ROLE_LEARNER, ret_id, ret_role);
}

bool rg_peer_level(const struct rg_peer_status *p)
{
    return p->up && p->lag_entries < LAG_MAX && !p->snapshot && p->hash_known && p->hash_ok;
}

bool rg_voters_keep(struct rg_voters *voters, const struct rg_node_status *status, uint64_t now_ms, struct rg_change *change)
{
    struct rg_voter others[RG_PEERS_MAX];
    size_t n = 0;

    if (!status->leader) {
        *voters = (struct rg_voters){.leads_ms = 0};
        return false;
    }
    if (status->paused || !status->ready)
        return false;
    RG_ASSERT(status->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < status->n_peers; i++) {
        const struct rg_peer_status *p = &status->peers[i];

        if (strcmp(p->region, status->region) == 0)
            others[n++] = (struct rg_voter){
                .id = p->id,
                .votes = p->role == RG_ROLE_VOTER,
                .level = rg_peer_level(p) && !p->dismissed,
                .silent_ms = p->heard_ms_ago};
    }
    change->kind = RG_CHANGE_ROLE;
    return rg_voters_next(voters, others, n, now_ms, &change->peer.id, &change->peer.role);
}

bool rg_voters_carry(size_t was, size_t will, size_t has)
{
    RG_ASSERT(has >= 1 && has <= will);
    RG_ASSERT(will <= was + 1 && was <= will + 1);
    return was == will || RG_BUG(voters_uncarried) || has > will / 2 || (was == 1 && will == 2);
}
