/* raft/part/retain.c: how much of its log a primary keeps for peers that are given a snapshot. */
#include "raft/part/retain.h"

#include "base/bug/bug.h"

/* Behind an entry that a peer has, trailing ones are kept as for everybody. Of the snapshot the last entry itself stays, too: its term
 * is asked for before what comes behind it is sent. */
static uint64_t need(const struct rg_retaining *peer, uint64_t trailing)
{
    return RG_MAX(peer->of->index - 1, peer->match > trailing ? peer->match - trailing : 0);
}

uint64_t rg_retain_floor(const struct rg_retaining *peers, size_t n, uint64_t index, uint64_t trailing, bool full, size_t *ret_given_up)
{
    uint64_t floor = index > trailing ? index - trailing : 0, least = floor, next = floor;

    for (size_t i = 0; i < n; i++) {
        RG_ASSERT(peers[i].of->index <= index);
        if (peers[i].away || RG_BUG(retain_none) ||
            peers[i].match >= RG_MAX(floor, peers[i].of->index) || index - peers[i].of->index > UINT32_MAX / 2)
            *peers[i].of = (struct rg_retained){.index = 0};
        if (peers[i].of->index != 0)
            least = RG_MIN(least, need(&peers[i], trailing));
    }
    *ret_given_up = 0;
    for (size_t i = 0; i < n; i++) {
        if (peers[i].of->index == 0)
            continue;
        if (full && least < floor && need(&peers[i], trailing) == least) {
            *peers[i].of = (struct rg_retained){.index = 0};
            ++*ret_given_up;
            continue;
        }
        next = RG_MIN(next, need(&peers[i], trailing));
    }
    RG_ASSERT(next <= floor);
    RG_ASSERT(next >= least); /* nobody was given up for whom more would have to be kept */
    RG_ASSERT(*ret_given_up == 0 || full);
    RG_ASSERT(*ret_given_up <= n);
    return next;
}
