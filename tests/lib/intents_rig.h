/* tests/lib/intents_rig.h: write intents over a disk in memory and a store, with a primary that answers when a test says so. */
#ifndef REGENT_TESTS_LIB_INTENTS_RIG_H
#define REGENT_TESTS_LIB_INTENTS_RIG_H

#include "raft/intent/intents.h"
#include "store/model/identity.h"
#include "tests/lib/store_rig.h"
#include "tests/sim/simlanes.h"

enum { HELD_MAX = 64, ASKS_MAX = 256 };

struct asked {
    struct rg_intent_ask ask;
    unsigned answers;
};

struct rig {
    struct fix fix; /* the state here, and the primary's */
    struct simlanes lanes;
    struct rg_keyprov *keys;
    struct rg_log log;
    struct rg_intents *q;
    bool primary;
    uint64_t now_ms;
    int64_t wall_ms;
    struct rg_proposal *held[HELD_MAX]; /* on their way */
    size_t n_held;
    uint64_t forwarded;
    enum rg_err refuse; /* forward answers this at once */
    bool sync_failed;   /* since the last crash: what is visible may not be what is on disk */
};
extern struct rig rig; /* there is one */

/* The i-th proposal on its way, no longer held. */
struct rg_proposal *unhold(size_t i);
/* The primary applies the i-th proposal on its way, and says err. */
void serve_as(size_t i, enum rg_err err);
void serve(size_t i, bool lost); /* lost: applied, and nobody hears of it */
enum rg_err rig_open(struct rg_errctx *ctx); /* rig.q, from what is on the disk */
void rig_setup(void);
/* What is with the lane or on its way is answered late, when nobody cares any more; then the memory goes. */
void rig_close(void);
void reopen(void); /* after a crash */
void rig_teardown(void);
void on_answer(struct rg_intent_ask *ask);
/* Steps and lane until nothing moves. */
void settle(void);
/* Hand it in; a must live until it is answered. Fields as in store_rig.h. */
void take_bytes(struct asked *a, struct rg_span cmd);
void take(struct asked *a, enum rg_cmd_kind kind, const char *fields);
/* Take and see it durable. */
struct rg_uuid taken(enum rg_cmd_kind kind, const char *fields);
/* Approve or drop an intent; the answer must be this. */
void decided(const struct rg_uuid *id, bool drop, enum rg_err want);
/* The intent as it is listed; borrowed until the next call. False: there is none. */
bool look(const struct rg_uuid *id, struct rg_intent *ret);
/* It must be there in this status, with text in its text. */
void expect(const struct rg_uuid *id, enum rg_intent_status status, const char *text);
uint64_t count_of(enum rg_intent_status status);
bool is_disabled(const char *user);

#define DISABLE_ALICE "id=u1 name=Alice display=Alice email=Alice@Example.com ext=okta|a1 status=DISABLED"

#endif
