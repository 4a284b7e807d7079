/* raft/standing/standing.h: whether a node that started without proof that its disk forgot nothing may act: promise, vote, grant, count,
 * lead. It may when those who would know have told it what they know of themselves: then nothing that it could have promised or had, and
 * forgotten, is lost by taking the most of what they say. A plain function over plain data. */
#ifndef REGENT_RAFT_STANDING_STANDING_H
#define REGENT_RAFT_STANDING_STANDING_H

#include "raft/member.h"

/* What a peer has told since this node started. */
struct rg_told {
    uint64_t id;
    bool blank;     /* its disk is lost: it knows nothing, and says so; all else is 0 */
    bool firm;      /* it acts itself, and has all that it was told of */
    bool cold;      /* it does so since a moment ago, because too many had started together with it */
    bool leads;     /* it takes writes now, in `epoch` */
    uint64_t epoch; /* the one that it takes part in */
    uint64_t promised, term;
    uint64_t last_term, last_index; /* the end of its log */
    uint32_t regions;  /* how many must have what is acknowledged, or renew the lease, by its log: the most; 0: none */
    uint32_t lease_ms; /* the longest that its log lets a primary ask for */
};

/* The node that asks: by its own log. */
struct rg_standing_here {
    uint64_t id;
    const struct rg_members *members; /* borrow */
    uint32_t regions, lease_ms;       /* as above */
    uint64_t epoch, promised, term;
    uint64_t last_term, last_index;
    bool waited; /* long enough for those who started together with it */
};

enum rg_memory_standing {
    RG_STANDING_ASKING,
    RG_STANDING_FIRM,
    RG_STANDING_REPLACED, /* a voter, and a later epoch has begun, says who acts: it was replaced */
    RG_STANDING_BEHIND, /* the only voter, and other regions have more than it: it has lost data, and never leads */
};
struct rg_standing_judged {
    enum rg_memory_standing standing;
    bool cold;                        /* firm, though those who would know have not told: most started together, and nobody else is there */
    uint64_t promised, term;          /* the most of what was told, and of its own */
    uint64_t begun;                   /* the latest epoch that anybody takes part in */
    uint64_t level_term, level_index; /* the longest log: until it has that, it votes for nobody with less, and is not promoted */
    uint32_t lease_ms;                /* the longest that it may have granted */
};

/** known: at most one of each peer; those that are no members count only as whoever leads. */
void rg_standing_judge(const struct rg_standing_here *here, const struct rg_told *known, size_t n, struct rg_standing_judged *judged);
/** Whether a node by such a log has anything to ask: others that count on what it promised, voted or had. */
bool rg_standing_asks(const struct rg_standing_here *here);
/** Raft's order of two logs' ends: the first is as long or longer. */
bool rg_standing_reaches(uint64_t term, uint64_t index, uint64_t to_term, uint64_t to_index);

#endif
