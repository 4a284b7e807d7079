/* raft/standing/gone.h: whether this node's id was given up. A whole machine that is set back to before that knows nothing of it; and where
 * the others have other ids by now as well, nobody is linked any more who would say so. So a node that hears no primary has the addresses
 * that it knows asked: before it serves, and from time to time. A plain machine: the shell carries questions and answers.
 *
 *   HEARS → WONDERS: no primary is heard (a leader: nobody is linked)
 *   WONDERS, KEEPS, DOUBTS → ASKS: it is time
 *   ASKS → KEEPS: nobody says that it is gone, or no answer came
 *   ASKS → DOUBTS: somebody does, or did and has not taken that back
 *   any → HEARS: a primary is heard */
#ifndef REGENT_RAFT_STANDING_GONE_H
#define REGENT_RAFT_STANDING_GONE_H

#include "base/sm.h"
#include "raft/node.h"

enum rg_gone_state {
    RG_GONE_HEARS,
    RG_GONE_WONDERS,
    RG_GONE_ASKS,
    RG_GONE_KEEPS,
    RG_GONE_DOUBTS,
};
extern const struct rg_sm_table rg_gones;

/** "no" …; and back: else RG_GONE_NOT. */
const char *rg_gone_name(enum rg_gone_row row);
enum rg_gone_row rg_gone_of(struct rg_span name);

/* This node: by its own log. */
struct rg_gone_here {
    uint64_t id;
    const struct rg_members *members; /* borrow */
    struct rg_history history;
};

struct rg_gone {
    struct rg_sm state;
    uint64_t question;          /* the last one's number */
    uint64_t ask_ms, asked_ms;  /* when next; when the one under way was */
    unsigned rest_ms;
    bool answered;              /* everybody was asked once since it heard none */
    struct rg_gone_told by;     /* DOUBTS: the first who says so */
};

void rg_gone_init(struct rg_gone *gone);
/** alone: no primary is heard, nor is anybody linked to a leader. True: ask everybody now; the question is gone->question. */
bool rg_gone_look(struct rg_gone *gone, bool alone, uint64_t now_ms);
/** When to look again; UINT64_MAX: when `alone` changes. */
uint64_t rg_gone_due(const struct rg_gone *gone);

/** True: more than half of the other members' number, each another node of this history, say that it was replaced. What fewer say, or that
 * it was removed, is a doubt: nobody's word alone takes a node its id. Where there is one other member, it is the half and the whole. */
bool rg_gone_sure(const struct rg_gone_here *here, const struct rg_gone_told *told, size_t n);
/** The answers to a question; those to an earlier one say nothing any more. True: sure. */
bool rg_gone_heard(struct rg_gone *gone, uint64_t question, const struct rg_gone_here *here, const struct rg_gone_told *told, size_t n,
                   uint64_t now_ms);

static inline bool rg_gone_doubts(const struct rg_gone *gone) { return gone->by.node != 0; }

#endif
