/* raft/rule/birth.h: what becomes of a node whose data directory is empty: it asks every configured peer, and joins, is let in again,
 * waits, or, when somebody said so, makes the instance. A plain machine: the shell carries questions and answers.
 *
 *   BLANK → MAKING: asked to (rg_birth_init), and every peer has said since that it is blank
 *   INIT, one that waits for that; → BLANK when a node of a lower id makes one, too */
#ifndef REGENT_RAFT_RULE_BIRTH_H
#define REGENT_RAFT_RULE_BIRTH_H

#include "raft/core/meta.h"

#define RG_BIRTH_SETTLE_MS 1000u    /* somebody has an instance: so long the others may still say what they know of us */
#define RG_BIRTH_PATIENCE_MS 15000u /* who has not answered until then is named, and nothing is made; who has no state is not waited for */

enum rg_birth_state {
    RG_BIRTH_SILENT, /* of a peer: it has not answered (since) */
    RG_BIRTH_BLANK,
    RG_BIRTH_INIT,
    RG_BIRTH_MAKING,
    RG_BIRTH_WAS, /* one that is empty, on a machine that ran a node */
    RG_BIRTH_HAS, /* a node with metadata runs there */
    RG_BIRTH_LOADS, /* one that has no state yet, and so does not know whose ids there were: as it is heard, nobody says so */
    RG_BIRTH_OLD, /* a node of a release that cannot say */
};
/** "blank" …; NULL: not one of those that are said. And back: RG_BIRTH_SILENT. */
const char *rg_birth_name(enum rg_birth_state state);
enum rg_birth_state rg_birth_of(struct rg_span name);

struct rg_birth_peer {
    uint64_t id;
    char region[33];
    enum rg_birth_state state; /* as it answered last */
    bool bound;                /* it knows our id, and of a data directory that goes with it */
    bool without;              /* a person says that it has no instance, and is not there to ask */
};

struct rg_birth {
    uint64_t self;
    enum rg_birth_state state; /* BLANK, INIT or MAKING */
    bool was;                  /* this machine ran the node, and its data is gone: the mark */
    bool let_in;               /* a primary gave this node its id, and nothing was ever held under it */
    bool yielded;              /* to a lower id */
    uint64_t init_ms, has_ms;  /* since when; 0: not */
    uint64_t question;         /* number of the next one: answers to those before rg_birth_init say nothing any more */
    uint64_t counts_from;
    struct rg_birth_peer peers[RG_PEERS_MAX];
    size_t n;
};

enum rg_birth_verdict {
    RG_BIRTH_WAITS,
    RG_BIRTH_JOINS,   /* as a node that is given everything */
    RG_BIRTH_RETURNS, /* it was a member: under a new id, when a primary lets it in */
    RG_BIRTH_MAKES,   /* the instance: nobody has one */
    RG_BIRTH_REFUSES, /* to make one: why says why, and what to do */
};

/** peers: as configured, self among them. */
void rg_birth_begin(struct rg_birth *birth, const struct rg_peer_config *peers, size_t n, uint64_t self);
/** Make an instance, if nobody has one. RG_EINVALID: a node of `without` is not configured. RG_ECONFLICT: this machine ran a node. */
RG_MUST enum rg_err rg_birth_init(struct rg_birth *birth, const uint64_t *without, size_t n, uint64_t now_ms, struct rg_errctx *ctx);
/** What to tell a peer that asks. */
enum rg_birth_state rg_birth_says(const struct rg_birth *birth);
/** Number of a question that is asked now. */
uint64_t rg_birth_ask(struct rg_birth *birth);
/** A peer's answer to that question. */
void rg_birth_heard(struct rg_birth *birth, uint64_t peer, uint64_t question, enum rg_birth_state state, bool bound);
/** It did not answer. */
void rg_birth_unheard(struct rg_birth *birth, uint64_t peer);
/** What now. why: for people, of RG_BIRTH_WAITS and _REFUSES. After REFUSES it is as before rg_birth_init. now_ms: not 0 */
enum rg_birth_verdict rg_birth_step(struct rg_birth *birth, uint64_t now_ms, char why[512]);

/** The configuration that a node begins with, from the shell's. */
void rg_birth_members(struct rg_members *members, uint64_t self, enum rg_founds founds);

#endif
