/* raft/rule/birth.c: what becomes of a node whose data directory is empty. */
#include "raft/rule/birth.h"

#include <stdio.h>

#include "base/bug/bug.h"

static const char *const names[] = {
    [RG_BIRTH_BLANK] = "blank", [RG_BIRTH_INIT] = "init", [RG_BIRTH_MAKING] = "making", [RG_BIRTH_WAS] = "was", [RG_BIRTH_HAS] = "has"};
_Static_assert(RG_LEN(names) == RG_BIRTH_HAS + 1, "each state that is said has a name");
_Static_assert(RG_BIRTH_SETTLE_MS < RG_BIRTH_PATIENCE_MS, "who has an instance says so before anything is refused for want of an answer");
_Static_assert(sizeof ((struct rg_birth_peer *)0)->region == sizeof ((struct rg_peer_config *)0)->region, "a region is copied whole");

static void birth_check(const struct rg_birth *b)
{
    RG_ASSERT(b->self != 0);
    RG_ASSERT(b->n < RG_PEERS_MAX); /* the others */
    RG_ASSERT(b->state == RG_BIRTH_BLANK || b->state == RG_BIRTH_INIT || b->state == RG_BIRTH_MAKING);
    RG_ASSERT((b->init_ms == 0) == (b->state == RG_BIRTH_BLANK)); /* it was asked to make one, or not */
    RG_ASSERT(!b->was || b->state == RG_BIRTH_BLANK);
    RG_ASSERT(!b->yielded || b->state == RG_BIRTH_BLANK);
    RG_ASSERT(b->counts_from <= b->question);
    RG_ASSERT(b->state == RG_BIRTH_BLANK || b->counts_from > 0); /* what was said before does not count */
}
const char *rg_birth_name(enum rg_birth_state state)
{
    return (size_t)state < RG_LEN(names) ? names[state] : NULL;
}

enum rg_birth_state rg_birth_of(struct rg_span name)
{
    for (size_t i = 0; i < RG_LEN(names); i++)
        if (names[i] != NULL && rg_span_is(name, names[i]))
            return (enum rg_birth_state)i;
    return RG_BIRTH_SILENT;
}

void rg_birth_begin(struct rg_birth *b, const struct rg_peer_config *peers, size_t n, uint64_t self)
{
    *b = (struct rg_birth){.self = self, .state = RG_BIRTH_BLANK, .question = 1};
    RG_ASSERT(n >= 1);
    RG_ASSERT(n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n; i++) {
        struct rg_birth_peer *p = &b->peers[b->n];

        if (peers[i].id == self)
            continue;
        p->id = peers[i].id;
        snprintf(p->region, sizeof p->region, "%s", peers[i].region);
        b->n++;
    }
    RG_ASSERT(b->n < n); /* itself among them */
    birth_check(b);
}

static struct rg_birth_peer *find(struct rg_birth *b, uint64_t id)
{
    RG_ASSERT(b->n < RG_PEERS_MAX);
    for (size_t i = 0; i < b->n; i++)
        if (b->peers[i].id == id)
            return &b->peers[i];
    return NULL;
}

/* ---- asked to make one ---- */

static bool is_among(const uint64_t *ids, size_t n, uint64_t id)
{
    RG_ASSERT(ids != NULL || n == 0);
    for (size_t i = 0; i < n; i++)
        if (ids[i] == id)
            return true;
    return false;
}

enum rg_err rg_birth_init(struct rg_birth *b, const uint64_t *without, size_t n, uint64_t now_ms, struct rg_errctx *ctx)
{
    birth_check(b);
    RG_ASSERT(now_ms > 0);
    if (b->state == RG_BIRTH_MAKING)
        return RG_OK;
    if (b->was)
        return rg_fail(ctx, RG_ECONFLICT, "InitRefused: this machine ran a node of an instance, and its data directory is empty: the "
                       "instance may live on. Start without --init, and the node asks to be let in again; or, if that instance is gone "
                       "for good, set the mark aside first: regent node reset --mark --config FILE");
    for (size_t i = 0; i < n; i++)
        if (find(b, without[i]) == NULL)
            return rg_fail(ctx, RG_EINVALID, "--without %llu: is none of the configured peers", (unsigned long long)without[i]);
    for (size_t i = 0; i < b->n; i++) {
        b->peers[i].without = is_among(without, n, b->peers[i].id);
        if (!RG_BUG(init_no_ask))
            b->peers[i].state = RG_BIRTH_SILENT;
        else if (b->peers[i].state == RG_BIRTH_SILENT)
            b->peers[i].state = RG_BIRTH_BLANK;
    }
    b->state = RG_BIRTH_INIT;
    b->yielded = false;
    b->init_ms = now_ms;
    b->counts_from = b->question;
    birth_check(b);
    RG_ASSERT(b->n == 0 || RG_BUG(init_no_ask) || b->peers[0].state == RG_BIRTH_SILENT); /* each is asked (again) */
    return RG_OK;
}

/* ---- questions and answers ---- */

enum rg_birth_state rg_birth_says(const struct rg_birth *b)
{
    return b->was && b->state == RG_BIRTH_BLANK ? RG_BIRTH_WAS : b->state;
}

uint64_t rg_birth_ask(struct rg_birth *b)
{
    RG_ASSERT(b->question > 0); /* 0 is no question's */
    RG_ASSERT(b->question < UINT64_MAX);
    return b->question++;
}

/* The lower id makes it; whoever decided already, does. By what it answered alone: anybody can ask, and say that it is a peer. Two that
 * each heard that the other was blank would each have begun before the other. */
static void yield_to(struct rg_birth *b, uint64_t peer, enum rg_birth_state state)
{
    RG_ASSERT(peer != b->self);
    RG_ASSERT(state != RG_BIRTH_SILENT);
    if (b->state != RG_BIRTH_INIT || !(state == RG_BIRTH_MAKING || (state == RG_BIRTH_INIT && peer < b->self)) || RG_BUG(init_no_yield))
        return;
    b->state = RG_BIRTH_BLANK;
    b->yielded = true;
    b->init_ms = 0;
}

void rg_birth_heard(struct rg_birth *b, uint64_t peer, uint64_t question, enum rg_birth_state state, bool bound)
{
    struct rg_birth_peer *p = find(b, peer);

    if (p == NULL || question < b->counts_from || question >= b->question)
        return;
    p->state = state;
    p->bound = bound;
    yield_to(b, peer, state);
    birth_check(b);
}

void rg_birth_unheard(struct rg_birth *b, uint64_t peer)
{
    struct rg_birth_peer *p = find(b, peer);

    if (p != NULL)
        p->state = RG_BIRTH_SILENT;
}

/* ---- what now ---- */

static const struct rg_birth_peer *first(const struct rg_birth *b, enum rg_birth_state state, bool without_too)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->peers[i].state == state && (without_too || !b->peers[i].without))
            return &b->peers[i];
    return NULL;
}

static const struct rg_birth_peer *who_has(const struct rg_birth *b)
{
    static const enum rg_birth_state states[] = {RG_BIRTH_HAS, RG_BIRTH_OLD, RG_BIRTH_LOADS};
    const struct rg_birth_peer *has = NULL;

    for (size_t i = 0; i < RG_LEN(states) && has == NULL; i++)
        has = first(b, states[i], true);
    RG_ASSERT(has == NULL || has->id != b->self);
    return has;
}

static bool is_bound(const struct rg_birth *b)
{
    for (size_t i = 0; i < b->n; i++)
        if ((b->peers[i].state == RG_BIRTH_HAS || b->peers[i].state == RG_BIRTH_LOADS) && b->peers[i].bound)
            return true;
    return false;
}

static void refuse(struct rg_birth *b)
{
    RG_ASSERT(b->state == RG_BIRTH_INIT);
    RG_ASSERT(!b->yielded);
    b->state = RG_BIRTH_BLANK;
    b->init_ms = 0;
}

/* Somebody has an instance. */
static enum rg_birth_verdict with(struct rg_birth *b, const struct rg_birth_peer *has, uint64_t now_ms, char why[512])
{
    RG_ASSERT(has->state == RG_BIRTH_HAS || has->state == RG_BIRTH_OLD || has->state == RG_BIRTH_LOADS);
    RG_ASSERT(b->state != RG_BIRTH_MAKING);
    RG_ASSERT(b->has_ms <= now_ms);
    if (b->state == RG_BIRTH_INIT) {
        snprintf(why, 512, "InitRefused: node %llu (%s) %s: start without --init, and this node joins it. To begin anew instead, every "
                 "node must be empty: regent node reset", (unsigned long long)has->id, has->region,
                 has->state != RG_BIRTH_OLD ? "holds an instance" : "runs a release that cannot say whether it holds an instance");
        refuse(b);
        return RG_BIRTH_REFUSES;
    }
    if (b->has_ms == 0)
        b->has_ms = now_ms;
    snprintf(why, 512, "node %llu (%s) holds an instance", (unsigned long long)has->id, has->region);
    if (first(b, RG_BIRTH_SILENT, true) != NULL && now_ms - b->has_ms < RG_BIRTH_SETTLE_MS)
        return RG_BIRTH_WAITS;
    if (b->was || is_bound(b))
        return RG_BIRTH_RETURNS;
    /* Of those that answer none knows. A founding voter waits for those that it founds with, so it is not for ever. */
    return has->state == RG_BIRTH_LOADS && now_ms - b->has_ms < RG_BIRTH_PATIENCE_MS ? RG_BIRTH_WAITS : RG_BIRTH_JOINS;
}

/* Nobody that answers has one, and this node is to make it. */
static enum rg_birth_verdict make(struct rg_birth *b, uint64_t now_ms, char why[512])
{
    const struct rg_birth_peer *silent = first(b, RG_BIRTH_SILENT, false), *rival = first(b, RG_BIRTH_INIT, true);
    const struct rg_birth_peer *was = first(b, RG_BIRTH_WAS, true);

    RG_ASSERT(b->state == RG_BIRTH_INIT);
    RG_ASSERT(b->init_ms <= now_ms);
    RG_ASSERT(!b->was);
    RG_ASSERT(rival == NULL || rival->id > b->self || RG_BUG(init_no_yield)); /* to a lower one it has yielded */
    if (was != NULL) {
        snprintf(why, 512, "InitRefused: node %llu (%s) is empty, but was one of an instance, which may live on elsewhere. If that one is "
                 "gone for good, there: regent node reset --mark --config FILE", (unsigned long long)was->id, was->region);
        refuse(b);
        return RG_BIRTH_REFUSES;
    }
    if (silent != NULL && now_ms - b->init_ms >= RG_BIRTH_PATIENCE_MS) {
        snprintf(why, 512, "InitRefused: node %llu (%s) does not answer, and may hold an instance. Start it, empty; or, if it certainly "
                 "has none: --init --without %llu", (unsigned long long)silent->id, silent->region, (unsigned long long)silent->id);
        refuse(b);
        return RG_BIRTH_REFUSES;
    }
    if (silent != NULL)
        snprintf(why, 512, "to make an instance, every configured peer is asked first: node %llu (%s) does not answer yet",
                 (unsigned long long)silent->id, silent->region);
    else if (rival != NULL)
        snprintf(why, 512, "node %llu (%s) is to make an instance too, and leaves it to this one", (unsigned long long)rival->id,
                 rival->region);
    if (silent != NULL || rival != NULL)
        return RG_BIRTH_WAITS;
    RG_ASSERT(who_has(b) == NULL);
    b->state = RG_BIRTH_MAKING;
    return RG_BIRTH_MAKES;
}

static void waits(const struct rg_birth *b, char why[512])
{
    const struct rg_birth_peer *silent = first(b, RG_BIRTH_SILENT, true);
    char tail[120] = "";

    RG_ASSERT(b->state == RG_BIRTH_BLANK);
    RG_ASSERT(!b->let_in);
    if (silent != NULL)
        snprintf(tail, sizeof tail, "; node %llu (%s) does not answer", (unsigned long long)silent->id, silent->region);
    if (b->yielded)
        snprintf(why, 512, "a node of a lower id makes the instance: this one joins%s", tail);
    else if (b->was)
        snprintf(why, 512, "Blank: the data directory is empty and this machine ran node %llu: no instance is made; it asks to be let in "
                 "again as soon as a peer with the instance answers%s. Is the right disk mounted? Without a primary: regent failover "
                 "declare",
                 (unsigned long long)b->self, tail);
    else
        snprintf(why, 512, "NoInstance: the data directory is empty and no configured peer has an instance%s. To make one: regentd "
                 "--config F --init", tail);
}

enum rg_birth_verdict rg_birth_step(struct rg_birth *b, uint64_t now_ms, char why[512])
{
    const struct rg_birth_peer *has = who_has(b);

    birth_check(b);
    RG_ASSERT(now_ms > 0);
    why[0] = '\0';
    if (b->state == RG_BIRTH_MAKING)
        return RG_BIRTH_MAKES;
    if (b->let_in)
        return RG_BIRTH_JOINS;
    if (has != NULL)
        return with(b, has, now_ms, why);
    b->has_ms = 0;
    if (b->state == RG_BIRTH_INIT)
        return make(b, now_ms, why);
    waits(b, why);
    return RG_BIRTH_WAITS;
}

/* ---- what it begins with ---- */

void rg_birth_members(struct rg_members *members, uint64_t self, enum rg_founds founds)
{
    for (size_t i = 0; i < members->n && founds != RG_FOUNDS_LISTED; i++) {
        struct rg_peer_config *p = &members->peers[i];

        if (p->id == self)
            p->role = founds == RG_FOUNDS_ALONE ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
        else if (founds == RG_FOUNDS_ALONE)
            p->role = RG_ROLE_LEARNER;
    }
    RG_ASSERT(founds != RG_FOUNDS_ALONE || rg_members_voters(members) == 1);
    RG_ASSERT(founds == RG_FOUNDS_LISTED || rg_members_votes(members, self) == (founds == RG_FOUNDS_ALONE));
}
