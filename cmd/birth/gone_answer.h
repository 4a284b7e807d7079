/* cmd/birth/gone_answer.h: where others are asked what they have of this node's id, who is to be found there, and what an answer says. */
#ifndef REGENT_CMD_BIRTH_GONE_ANSWER_H
#define REGENT_CMD_BIRTH_GONE_ANSWER_H

#include "raft/node.h"

#define RG_GONE_PLACES_MAX (2 * RG_PEERS_MAX)
#define RG_GONE_IDS_MAX 4 /* of one address: who is there, and who was; of more the last are not told apart */

struct rg_gone_place {
    char url[160];
    uint64_t ids[RG_GONE_IDS_MAX]; /* who is to be found there; 0: nobody more */
};
struct rg_gone_places {
    struct rg_gone_place at[RG_GONE_PLACES_MAX];
    size_t n;
};

/** Each address once, with all whom it is said to be of; one that is none, or has no room, is left out. */
void rg_gone_places_add(struct rg_gone_places *places, struct rg_span url, uint64_t id);
/**
 * What `/v1/birth?node=ID` answered at a place. That a disk is empty is taken of whoever is to be found where it was asked: anybody can
 * take another one's id for its own, and the one whose it is may be alive. False: it says nothing of it.
 * cluster   this node's
 */
bool rg_gone_answer(const struct rg_gone_place *place, const char *cluster, struct rg_span body, struct rg_gone_told *ret_told);

#endif
