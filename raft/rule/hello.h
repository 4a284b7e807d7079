/* raft/rule/hello.h: what a node thinks of a peer by the hello that opens its link: who is taken, who is refused, who is fenced by it. */
#ifndef REGENT_RAFT_RULE_HELLO_H
#define REGENT_RAFT_RULE_HELLO_H

#include "raft/core/hello.h"
#include "raft/core/meta.h"

/* The node that hears it: what it has and knows. */
struct rg_hello_here {
    uint64_t id, peer; /* its own; the one that the link is to */
    const struct rg_meta *meta;       /* borrow */
    const struct rg_members *members; /* borrow; in force */
    bool leading, reborn, installing; /* reborn: an epoch of its own is about to begin */
    bool followed;       /* somebody was heard that it follows, since it started */
    uint64_t last_index; /* the end of its log */
    uint64_t term_there; /* of its entry where the peer's log ends; 0: it has none there, or no more */
    uint32_t first_crc;  /* as in a hello */
    struct rg_history history; /* of its entries; not known: it has none, or not from the beginning */
    uint64_t own_boot;   /* names this process */
    bool gone;           /* by this node's own rows the peer was removed, or came back under another id: it is nobody, for good */
    bool alive;          /* the peer is linked, or was heard a moment ago */
    uint64_t match, boot; /* a primary: up to here it knows the peer to have the log; and its boot then. 0: nothing */
};

enum rg_hello_verdict {
    RG_HELLO_REFUSED,
    RG_HELLO_TAKEN,
    RG_HELLO_GUEST,     /* taken, though it is no member: a primary that joined while this node was away */
    RG_HELLO_FOREIGN,   /* refused: its entries are of another history, made by another --init: neither takes anything of the other */
    RG_HELLO_OTHER,     /* refused for good: it has another data directory than its id is bound to */
    RG_HELLO_FORGOT,    /* refused: it comes back with less than it was known to have */
    RG_HELLO_RIVAL,     /* refused: of an epoch here it says that another node began it */
    RG_HELLO_EARLIER,   /* refused for good: a later life of it was dealt with, or another process of that start */
    RG_HELLO_AHEAD,     /* refused: it has what this primary has lost */
    RG_HELLO_FENCES,    /* this node is fenced: another primary was promoted */
    RG_HELLO_FORGOTTEN, /* this node is fenced: others know more of it than its data directory does */
    RG_HELLO_SUPERSEDED, /* this node ends: a later life of its data directory runs */
};
struct rg_hello_judged {
    enum rg_hello_verdict verdict;
    bool itself;     /* it is who the link is to, in its own data directory: what it has promised counts, also when it is refused */
    const char *why; /* static; this node is fenced, or ends */
};

/** RG_OK: it is taken. RG_EPEER, RG_EFENCED, RG_ESUPERSEDED and why: it is not. `judged` is filled in whichever it is. */
RG_MUST enum rg_err rg_hello_judge(const struct rg_hello_here *here, const struct rg_hello *hello, struct rg_hello_judged *judged,
                                   struct rg_errctx *ctx);

/** Whether a primary of that epoch, whose log ends at `last`, has lost an entry that somebody has. there: the term of its own entry at that
 * index; 0: it has none there, or no more. */
bool rg_hello_lost(uint64_t epoch, uint64_t last, uint64_t there, uint64_t index, uint64_t term);
/** The same in words. Always RG_EPEER. */
enum rg_err rg_hello_say_lost(struct rg_errctx *ctx, uint64_t peer, uint64_t index, uint64_t term, uint64_t last);

#endif
