/* raft/standing/standing.c: whether a node that started without proof of its memory may act. */
#include "raft/standing/standing.h"

#include "base/bug/bug.h"

static const struct rg_told *told(const struct rg_told *known, size_t n, uint64_t id)
{
    RG_ASSERT(id != 0);
    RG_ASSERT(n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n; i++)
        if (known[i].id == id)
            return &known[i];
    return NULL;
}

bool rg_standing_reaches(uint64_t term, uint64_t index, uint64_t to_term, uint64_t to_index)
{
    return term != to_term ? term > to_term : index >= to_index;
}

static bool votes(const struct rg_standing_here *here) { return rg_members_votes(here->members, here->id); }

/* Everybody has told, whatever they are themselves: then nobody is left who could know more. What a lost disk knew is gone, and whoever had
 * it says that: no longer waited for, and never a promise, a vote or a region that has anything. */
static bool all_told(const struct rg_standing_here *here, const struct rg_told *known, size_t n)
{
    for (size_t i = 0; i < here->members->n; i++)
        if (here->members->peers[i].id != here->id && told(known, n, here->members->peers[i].id) == NULL)
            return false;
    return true;
}

/* A quorum that elected somebody, or has an entry, may have had this one in it: of the other voters so many that each has one of them, who
 * act themselves; or all of them. */
static bool voters_told(const struct rg_standing_here *here, const struct rg_told *known, size_t n)
{
    size_t voters = rg_members_voters(here->members), firm = 0, heard = 0;

    for (size_t i = 0; i < here->members->n; i++) {
        const struct rg_peer_config *p = &here->members->peers[i];
        const struct rg_told *k = p->role == RG_ROLE_VOTER && p->id != here->id ? told(known, n, p->id) : NULL;

        heard += k != NULL;
        firm += k != NULL && k->firm;
    }
    RG_ASSERT(votes(here)); /* itself is not among those who told */
    RG_ASSERT(voters > 1);
    RG_ASSERT(heard < voters);
    RG_ASSERT(firm <= heard);
    return heard + 1 == voters || firm > voters - (voters / 2 + 1);
}

static const char *region_of(const struct rg_standing_here *here, uint64_t id)
{
    const struct rg_peer_config *p = rg_members_find(here->members, id);

    return p != NULL ? p->region : NULL;
}

/* A region besides the voters': such a one is asked for its promise, and counted for what is acknowledged. */
static bool is_other(const struct rg_standing_here *here, const char *region)
{
    const struct rg_peer_config *self = rg_members_find(here->members, here->id);

    if (region == NULL || (self != NULL && strcmp(self->region, region) == 0))
        return false;
    for (size_t i = 0; i < here->members->n; i++)
        if (here->members->peers[i].role == RG_ROLE_VOTER && strcmp(here->members->peers[i].region, region) == 0)
            return false;
    return true;
}

static bool first_of_region(const struct rg_standing_here *here, size_t at)
{
    RG_ASSERT(at < here->members->n);
    for (size_t i = 0; i < at; i++)
        if (strcmp(here->members->peers[i].region, here->members->peers[at].region) == 0)
            return false;
    return true;
}

/* Every node of the region is firm and has told: what is acknowledged may rest on any one of them. */
static bool region_told(const struct rg_standing_here *here, const struct rg_told *known, size_t n, const char *region)
{
    for (size_t i = 0; i < here->members->n; i++) {
        const struct rg_told *k = told(known, n, here->members->peers[i].id);

        if (strcmp(here->members->peers[i].region, region) == 0 && (k == NULL || !k->firm))
            return false;
    }
    return true;
}

static void count_regions(const struct rg_standing_here *here, const struct rg_told *known, size_t n, uint32_t *ret_all,
                          uint32_t *ret_told)
{
    *ret_all = *ret_told = 0;
    for (size_t i = 0; i < here->members->n; i++) {
        const char *region = here->members->peers[i].region;

        if (!first_of_region(here, i) || !is_other(here, region))
            continue;
        (*ret_all)++;
        *ret_told += region_told(here, known, n, region);
    }
    RG_ASSERT(*ret_told <= *ret_all);
    RG_ASSERT(*ret_all < RG_PEERS_MAX || !votes(here)); /* its own is none of them */
}

/* A leader of the latest epoch that anybody has begun or promised. */
static bool leader_told(const struct rg_told *known, size_t n, uint64_t latest)
{
    for (size_t i = 0; i < n; i++)
        if (known[i].leads && known[i].firm && known[i].epoch >= latest)
            return true;
    return false;
}

static bool only_voter(const struct rg_standing_here *here)
{
    return votes(here) && rg_members_voters(here->members) == 1;
}

/* An acknowledged write is in so many regions, and an old primary was left by so many that a promotion met them all: those who told
 * meet either. */
static bool enough(const struct rg_standing_here *here, const struct rg_told *known, size_t n, uint32_t regions, uint64_t latest)
{
    uint32_t all, heard;

    count_regions(here, known, n, &all, &heard);
    RG_ASSERT(latest >= RG_MAX(here->promised, here->epoch));
    RG_ASSERT(regions >= here->regions);
    if (only_voter(here))
        return heard + RG_MIN(regions, all) > all || regions == 0;
    if (votes(here))
        return voters_told(here, known, n);
    return leader_told(known, n, latest) && (heard >= regions || RG_BUG(standing_leader_alone));
}

/* Most of them have started together, as after a power failure, and of those who did not nobody is there: the others may be gone for good,
 * and it is not known whether any of them would have known. Among voters, voters alone decide. */
static bool cold(const struct rg_standing_here *here, const struct rg_told *known, size_t n)
{
    bool voters = votes(here) && !only_voter(here);
    size_t all = 0, there = 1;

    for (size_t i = 0; i < here->members->n; i++) {
        const struct rg_peer_config *p = &here->members->peers[i];
        const struct rg_told *k = told(known, n, p->id);

        if (voters && p->role != RG_ROLE_VOTER)
            continue;
        all++;
        if (k != NULL && k->firm && !k->cold && !RG_BUG(standing_cold_beside))
            return false;
        there += k != NULL && !k->blank; /* it has not only started anew */
    }
    RG_ASSERT(all >= 1);
    RG_ASSERT(there <= all || rg_members_find(here->members, here->id) == NULL);
    return here->waited && 2 * there > all;
}

/* No policy: nothing that was acknowledged rests on it. Who knows better has had time to say so. */
static bool unneeded(const struct rg_standing_here *here, uint32_t regions)
{
    return regions == 0 && here->waited && !votes(here);
}

void rg_standing_judge(const struct rg_standing_here *here, const struct rg_told *known, size_t n, struct rg_standing_judged *judged)
{
    struct rg_standing_judged j = {.promised = here->promised,
                                   .term = here->term,
                                   .begun = here->epoch,
                                   .level_term = here->last_term,
                                   .level_index = here->last_index,
                                   .lease_ms = here->lease_ms};
    uint64_t latest = RG_MAX(here->promised, here->epoch);
    uint32_t regions = here->regions;
    bool behind = false, replaced = false;

    RG_ASSERT(here->id != 0);
    RG_ASSERT(here->members->n >= 1);
    RG_ASSERT(here->members->n <= RG_PEERS_MAX);
    RG_ASSERT(n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct rg_told *k = &known[i];

        RG_ASSERT(k->id != here->id);
        RG_ASSERT(!k->blank || (!k->firm && !k->leads && k->promised == 0 && k->last_index == 0));
        RG_ASSERT(told(known, i, k->id) == NULL); /* each is counted once */
        latest = RG_MAX(latest, RG_MAX(k->epoch, k->promised));
        j.term = RG_MAX(j.term, k->term);
        j.begun = RG_MAX(j.begun, k->epoch);
        replaced |= k->firm && k->epoch > here->epoch;
        j.lease_ms = RG_MAX(j.lease_ms, k->lease_ms);
        regions = RG_MAX(regions, k->regions);
        if (!votes(here) || rg_members_votes(here->members, k->id))
            j.promised = RG_MAX(j.promised, k->promised);
        behind |= is_other(here, region_of(here, k->id)) &&
                  !rg_standing_reaches(here->last_term, here->last_index, k->last_term, k->last_index);
        if (rg_standing_reaches(j.level_term, j.level_index, k->last_term, k->last_index))
            continue;
        j.level_term = k->last_term;
        j.level_index = k->last_index;
    }
    if (all_told(here, known, n) || enough(here, known, n, regions, latest) || unneeded(here, regions))
        j.standing = RG_STANDING_FIRM;
    else if (cold(here, known, n)) {
        j.standing = RG_STANDING_FIRM;
        j.cold = true;
    }
    if (votes(here) && j.begun > here->epoch && !RG_BUG(standing_takes_over)) { /* not by its log, and so not with it */
        j.standing = replaced ? RG_STANDING_REPLACED : RG_STANDING_ASKING;
        j.cold = false;
    }
    if (only_voter(here)) { /* nobody gives it what it lacks */
        if (j.standing == RG_STANDING_FIRM && behind && regions > 0)
            j.standing = RG_STANDING_BEHIND;
        j.level_term = here->last_term;
        j.level_index = here->last_index;
    }
    RG_ASSERT(j.promised >= here->promised); /* what it knew itself stands, whatever it is told */
    RG_ASSERT(j.term >= here->term);
    RG_ASSERT(j.lease_ms >= here->lease_ms);
    RG_ASSERT(rg_standing_reaches(j.level_term, j.level_index, here->last_term, here->last_index));
    RG_ASSERT(!j.cold || j.standing != RG_STANDING_ASKING);
    RG_ASSERT(!votes(here) || j.standing != RG_STANDING_FIRM || j.begun == here->epoch || RG_BUG(standing_takes_over));
    RG_ASSERT(j.standing != RG_STANDING_BEHIND || only_voter(here));
    *judged = j;
}

bool rg_standing_asks(const struct rg_standing_here *here)
{
    RG_ASSERT(here->members->n >= 1);
    return here->members->n > 1 && (here->regions > 0 || !only_voter(here));
}
