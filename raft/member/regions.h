/* raft/member/regions.h: the region manager: what a primary does, a step at a time, about regions that come and go and nodes that come
 * back. A region that is ADDING gets its node into the configuration, filled, caught up and verified; one that is REMOVING is told, taken
 * out of the configuration and forgotten; a node that came back under a new id is let in. It goes by replicated rows and the node's status
 * alone, so that a restart or another primary goes on where it stopped; what it remembers beside them is for texts and patience.
 *
 * Pure: whoever runs it looks some times a second, carries out the step that comes of it, and says how that ended.
 *
 * What holds at any moment, whatever is lost or replaced (K: what durability or lease asks for, of n other regions):
 *   - A row that is PREPARED counts for nothing. A node that came back becomes MEMBER once K of the regions that count, and hold nothing
 *     of its old life, have the entry that let it in (members_known): n - K + 1 of them, which a promotion without it would need, do not
 *     exist any more. That its old id is gone from n by then takes nothing away: a candidate whose log knows so has all that was
 *     acknowledged before.
 *   - Of the primary's own region a voter stays in the configuration, fenced, until whoever replaces it is level: the number that must
 *     confirm does not go down for as long as filling takes.
 *   - An id that is gone is never added again. */
#ifndef REGENT_RAFT_MEMBER_REGIONS_H
#define REGENT_RAFT_MEMBER_REGIONS_H

#include "base/sm.h"
#include "raft/node.h"

#define RG_REGIONS_EVERY_MS 100u /* how often it looks */
#define RG_REGIONS_WHY_BYTES 128

/* What it sees. All borrowed for one look. */
struct rg_regions_view {
    const struct rg_node_status *status;
    struct rg_txn *txn; /* the rows */
    uint64_t now_ms;    /* monotonic */
    int64_t wall_ms;
    int64_t request_ms; /* a node that asks to join is forgotten after so long; 0: never */
    void *arg;
    /* Whether a node, member or not, is linked. False: what the link said last, or "". */
    bool (*reached)(void *arg, uint64_t id, char ret_why[RG_REGIONS_WHY_BYTES]);
};

/* What is to be done: at most one thing at a time. */
enum rg_regions_do {
    RG_REGIONS_REST,
    RG_REGIONS_WRITE,  /* propose cmd, exempt; rg_regions_on_written */
    RG_REGIONS_CHANGE, /* rg_node_change(&change); rg_regions_on_changed */
    RG_REGIONS_TELL,   /* tell node tell_id of region tell_region that it is removed; rg_regions_on_told */
};

/* How far the region under way is. */
struct rg_regions_shown {
    char region[33];
    const char *phase; /* static; NULL: nothing to show */
    unsigned percent, span;
    bool snapshot;     /* the peer's transfer says how far; else applied of target, from percent to percent + span */
    const struct rg_peer_status *peer; /* borrow from the view; NULL: none */
    uint64_t applied, target;
};

/* NONE → JOINS → FILLS → CATCHES UP → VERIFIES → NONE;  TOLD → LEAVES → NONE; and from any to where its row says it is */
enum rg_region_way { REGION_NONE, REGION_JOINS, REGION_FILLS, REGION_CATCHES_UP, REGION_VERIFIES, REGION_TOLD, REGION_LEAVES };
extern const struct rg_sm_table rg_region_ways, rg_region_steps;

struct rg_regions { /* rg_regions_init; private but for what a step needs */
    const struct rg_log *log; /* borrow */
    struct rg_sm way;         /* rg_region_ways: of the region under way */
    struct rg_sm step;        /* rg_region_steps, by enum rg_regions_do: what is being done; REST: nothing */
    /* The step. */
    struct rg_buf cmd; /* own */
    struct rg_change change;
    uint64_t tell_id;
    char tell_region[33];
    struct rg_regions_shown shown; /* of the last look */
    /* Of the region under way: nothing that a restart may not forget. */
    char region[33], phase[16];
    int64_t added_ms;     /* a region of that name may go, and another one come */
    uint64_t told_id;     /* has answered that it ends */
    uint64_t denied_id;   /* has answered that nothing it knows says so */
    uint64_t unready_ms;  /* since when a node answers that its log does not say so yet; 0: none does */
    uint64_t untold_ms;   /* one that was removed untold is told no sooner */
    uint64_t target;      /* the commit index when the phase began here */
    uint64_t good_ms;     /* since when the hashes agree */
    struct rg_region_silent {
        uint64_t id, ms;
    } silent[RG_PEERS_MAX]; /* nodes of it that are not reached, and since when; id 0: free */
    uint64_t error_ms;    /* when an error was written last */
    bool waiting;         /* there is something to do that no write announces */
    uint64_t seen_index;  /* applied when there was nothing to do */
    char failed_text[200]; /* why the last step was refused: to be shown in the row */
    char logged_text[200]; /* what of that was logged last, and when */
    uint64_t logged_ms;
};

void rg_regions_init(struct rg_regions *regions, const struct rg_log *log);
void rg_regions_deinit(struct rg_regions *regions);

/** Whether there is anything to look at, before rows are read for it. Said also to a node that does not lead: it forgets what it was at. */
bool rg_regions_due(struct rg_regions *regions, const struct rg_node_status *status);
/** The next step. To be carried out and answered before the next look; REST: none, and nothing to answer. */
enum rg_regions_do rg_regions_look(struct rg_regions *regions, const struct rg_regions_view *view);

/* How the step ended; err: it did not come about, or nobody knows whether it did. */
void rg_regions_on_written(struct rg_regions *regions, enum rg_err err, const struct rg_reply *reply);
void rg_regions_on_changed(struct rg_regions *regions, enum rg_err err, const char *text, uint64_t now_ms);
void rg_regions_on_told(struct rg_regions *regions, enum rg_err err, const char *text, uint64_t now_ms);

#endif
