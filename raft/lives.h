/* raft/lives.h: which life of each node this one has dealt with. A life is one run of a process over one data directory: its start number,
 * which grows with each, and a number that it drew, which tells two processes apart that began at the same one. Whoever has seen a later
 * life takes nothing from an earlier one, or from a second of the same start, ever again. Plain values. */
#ifndef REGENT_RAFT_LIVES_H
#define REGENT_RAFT_LIVES_H

#include "raft/member.h"

#define RG_LIVES_MAX RG_PEERS_MAX

struct rg_life {
    uint64_t start; /* 0: none is known */
    uint64_t boot;
};

enum rg_life_order {
    RG_LIFE_SAME,
    RG_LIFE_LATER,   /* or the first that is known */
    RG_LIFE_EARLIER,
    RG_LIFE_TWIN,    /* another one of the same start */
};
/** What `said` is to the one that is known. */
enum rg_life_order rg_life_cmp(const struct rg_life *known, const struct rg_life *said);

struct rg_life_row {
    uint64_t id;
    struct rg_incarnation incarnation; /* another directory's lives say nothing of this one's */
    struct rg_life life;
};
struct rg_lives {
    struct rg_life_row rows[RG_LIVES_MAX];
    size_t n;
};

/** The last one of this directory under this id; start 0: none is known. */
struct rg_life rg_lives_get(const struct rg_lives *lives, uint64_t id, const struct rg_incarnation *incarnation);
/** Keep it in place of the one before. False: there is no room (rg_lives_keep makes some). */
RG_MUST bool rg_lives_set(struct rg_lives *lives, uint64_t id, const struct rg_incarnation *incarnation, const struct rg_life *life);
/** Only those of members, and of `also` (0: of nobody else), stay: an id that is given up never comes back. */
void rg_lives_keep(struct rg_lives *lives, const struct rg_members *members, uint64_t also);

/** Bytes of all rows, appended, and back. */
void rg_lives_encode(const struct rg_lives *lives, struct rg_buf *out);
/** RG_EMALFORMED: not whole rows, too many, an id or start of 0, an id twice, an incarnation that is none. */
RG_MUST enum rg_err rg_lives_decode(struct rg_span bytes, struct rg_lives *ret_lives);

#endif
