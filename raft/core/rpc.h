/* raft/core/rpc.h: the message codec: what nodes say to each other over a link (raft/core/hello.h: what opens one). Fixed-width
 * little-endian fields behind a type and a version byte. Decoding borrows from the bytes given and bounds every length. */
#ifndef REGENT_RAFT_CORE_RPC_H
#define REGENT_RAFT_CORE_RPC_H

#include "raft/core/claims.h"
#include "raft/entry.h"
#include "raft/history.h"
#include "raft/lives.h"
#include "raft/room.h"
#include "store/apply/fsm.h"

#define RG_MSG_ENTRIES_MAX 1024               /* entries in one message */
#define RG_MSG_DATA_BYTES_MAX (1024 * 1024)   /* of their data; a single larger entry goes alone */
#define RG_MSG_CHUNK_BYTES_MAX (256 * 1024)   /* of a snapshot */
#define RG_MSG_BYTES_MAX (2 * 1024 * 1024)    /* an encoded message */
#define RG_ENTRY_BYTES_MAX RG_CMD_BYTES_MAX   /* one entry's data */
#define RG_INDEX_MAX (UINT64_MAX / 4)         /* far beyond any log: sums of indexes cannot overflow */
#define RG_TERM_MAX (((UINT64_C(0xffffffff) - 2048) << 32) - 1) /* of any message and hello: raft/rule/epoch.h's last epochs are nobody's */

enum rg_msg_type {
    /* raft's own, as libraft numbers them */
    RG_MSG_APPEND = 1,
    RG_MSG_APPEND_RESULT = 2,
    RG_MSG_VOTE = 3,
    RG_MSG_VOTE_RESULT = 4,
    RG_MSG_INSTALL = 5, /* between core and node only: a transfer stands for it on the wire */
    RG_MSG_TIMEOUT_NOW = 6,
    /* ours */
    RG_MSG_ANNOUNCE = 16,   /* primary → all: how far it is, and the state hash there */
    RG_MSG_REPORT = 17,     /* back: how far I am, and mine */
    RG_MSG_SNAP_OFFER = 18, /* primary → peer: a snapshot file */
    RG_MSG_SNAP_ACK = 19,   /* back: go on from this offset; or how it ended */
    RG_MSG_SNAP_CHUNK = 20,
    RG_MSG_PROPOSE = 21,      /* replica → primary: a command to be proposed for it */
    RG_MSG_PROPOSED = 22,     /* back: what became of it */
    RG_MSG_FENCE = 23,        /* who would be primary → all: promise to follow nobody of an epoch before this one */
    RG_MSG_FENCE_RESULT = 24, /* back: promised or not, and how far I am */
    RG_MSG_HANDOVER = 25,     /* primary ↔ the one that is to take over */
    RG_MSG_ROOM = 26,         /* replica → primary, if its hello says that it knows it: how full I am */
    RG_MSG_CLAIMS = 27,       /* who leads from now on → all whose hello has claims: mine, as of this term */
    /* to whoever's hello says that it knows these */
    RG_MSG_WHO = 28,          /* of one that started without proof of its memory: what do you know? */
    RG_MSG_KNOW = 29,         /* back: of itself */
    RG_MSG_LIVES = 30,        /* before a FENCE_RESULT: whose which life it has dealt with; a promise of an earlier one is void */
};

struct rg_msg_append {
    uint64_t term, prev_index, prev_term, commit;
    const struct rg_entry *entries; /* NULL in what the core emits: entries prev+1 … prev+n of the log are meant */
    size_t n;
};
struct rg_msg_append_result {
    uint64_t term, rejected, last_index;
    uint16_t features, capacity;
};
struct rg_msg_vote {
    uint64_t term, candidate, last_index, last_term;
    bool disrupt, pre_vote;
};
struct rg_msg_vote_result {
    uint64_t term;
    bool granted, pre_vote;
    uint16_t features, capacity;
};
struct rg_msg_install {
    uint64_t term, index, index_term;
};
struct rg_msg_timeout_now {
    uint64_t term, last_index, last_term;
};
struct rg_msg_announce {
    uint64_t term, commit, index, index_term; /* index: applied; hash: of the state there */
    uint8_t hash[RG_STATE_HASH_BYTES];
    uint64_t stamp;    /* the primary's clock, given back with the report */
    uint32_t lease_ms; /* 0: no lease is asked for */
};
struct rg_msg_report {
    uint64_t term, durable, index, index_term;
    uint8_t hash[RG_STATE_HASH_BYTES];
    uint64_t stamp;    /* of the announcement that is answered; 0: of none */
    uint32_t lease_ms; /* granted from the arrival of that announcement on; 0: none */
};
struct rg_msg_snap_offer {
    uint64_t term, index, index_term, size;
};
enum rg_snap_status {
    RG_SNAP_GOING,    /* go on from offset */
    RG_SNAP_COMPLETE, /* verified and taken over */
    RG_SNAP_REFUSED,  /* not needed, or busy with another */
    RG_SNAP_DAMAGED,  /* did not verify: begin again some time */
    RG_SNAP_STATUS_COUNT,
};
struct rg_msg_snap_ack {
    uint64_t index, index_term, offset;
    enum rg_snap_status status;
};
struct rg_msg_snap_chunk {
    uint64_t index, index_term, offset;
    struct rg_span data; /* borrow */
};

struct rg_msg_propose {
    uint64_t number; /* the sender's, given back */
    struct rg_span cmd; /* borrow */
};
struct rg_msg_proposed {
    uint64_t number;
    enum rg_err err; /* as of rg_proposal */
    struct rg_rev rev;
    struct rg_reply reply;
};
struct rg_msg_fence {
    uint64_t number; /* of the round */
    uint64_t epoch;  /* 0: nothing is to be promised, only told */
    uint64_t ceded;  /* this node has handed over: leases granted to it matter no more; 0: none has */
};
struct rg_msg_fence_result {
    uint64_t number;
    bool promised;
    bool voter, leader;            /* in its own view; leader: it takes writes now */
    uint64_t epoch;                /* the latest it knows of or has promised */
    uint64_t last_term, last_index; /* the end of its log, durable or on its way to the disk */
    uint64_t lease_left_ms;        /* of what it has granted */
    uint64_t primary_heard_ms;     /* ago; UINT64_MAX: never */
};
enum rg_handover_step {
    RG_HANDOVER_PREPARE, /* primary → target: are you level with this? */
    RG_HANDOVER_READY,   /* back */
    RG_HANDOVER_REFUSED, /* back */
    RG_HANDOVER_COMMIT,  /* primary → target: it is yours */
    RG_HANDOVER_STEP_COUNT,
};
struct rg_msg_handover {
    uint64_t number;
    enum rg_handover_step step;
    uint64_t term;                 /* in which the target begins: its epoch << 32 */
    uint64_t last_index, last_term; /* of the old primary's log, before the hand-over's entry */
    struct rg_span config;         /* borrow: the hand-over's entry; PREPARE and COMMIT */
};

struct rg_msg_who {
    uint64_t number; /* given back */
};
struct rg_msg_know {
    uint64_t number;
    bool asking, level; /* it may not act yet; it has all that it was told of */
    bool cold, leads;   /* it has begun to act a moment ago, with most others; it takes writes now */
    uint64_t term, promised;
    uint64_t last_term, last_index; /* the end of its log, durable or on its way to the disk */
    uint32_t regions, lease_ms;     /* by its log: the most of each that a primary asks for */
};

struct rg_msg_room {
    struct rg_room room;
    unsigned full; /* enum rg_full */
};

struct rg_msg_claims {
    uint64_t term;
    struct rg_claims claims;
};
struct rg_msg {
    enum rg_msg_type type;
    union {
        struct rg_msg_append append;
        struct rg_msg_append_result append_result;
        struct rg_msg_vote vote;
        struct rg_msg_vote_result vote_result;
        struct rg_msg_install install;
        struct rg_msg_timeout_now timeout_now;
        struct rg_msg_announce announce;
        struct rg_msg_report report;
        struct rg_msg_snap_offer snap_offer;
        struct rg_msg_snap_ack snap_ack;
        struct rg_msg_snap_chunk snap_chunk;
        struct rg_msg_propose propose;
        struct rg_msg_proposed proposed;
        struct rg_msg_fence fence;
        struct rg_msg_fence_result fence_result;
        struct rg_msg_handover handover;
        struct rg_msg_room room;
        struct rg_msg_claims claims;
        struct rg_msg_who who;
        struct rg_msg_know know;
        struct rg_lives lives;
    };
};

/** Append the message's bytes to out (sticky error when over its bound). */
void rg_rpc_encode(const struct rg_msg *msg, struct rg_buf *out);
/**
 * Decode one whole message.
 * bytes     borrow: what ret_msg points into
 * entries   room for RG_MSG_ENTRIES_MAX entries of an APPEND, which ret_msg borrows
 * RG_EMALFORMED: unknown type or version, wrong length, a number out of its range (a term of 0, an entry of a later term than
 * the message's, …).
 */
RG_MUST enum rg_err rg_rpc_decode(struct rg_span bytes, struct rg_entry entries[RG_MSG_ENTRIES_MAX],
                                  struct rg_msg *ret_msg, struct rg_errctx *ctx);
/** Name of a type, for logs. */
const char *rg_msg_type_name(enum rg_msg_type type);

/** The term in which whoever sends this leads, asks to, or votes. 0: it says nothing of that. */
uint64_t rg_msg_term(const struct rg_msg *m);

#endif
