/* raft/standing/gone.c: whether this node's id was given up. */
#include "raft/standing/gone.h"

#include "base/bug/bug.h"

enum { FIRST_MS = 200, REST_MS_MIN = 1000, REST_MS_MAX = 15000, PATIENCE_MS = 20000 };
_Static_assert(PATIENCE_MS > REST_MS_MAX, "an answer is waited for longer than there is between two questions");

static const uint32_t may[] = {
    [RG_GONE_HEARS] = RG_BIT(RG_GONE_WONDERS),
    [RG_GONE_WONDERS] = RG_BIT(RG_GONE_ASKS) | RG_BIT(RG_GONE_HEARS),
    [RG_GONE_ASKS] = RG_BIT(RG_GONE_KEEPS) | RG_BIT(RG_GONE_DOUBTS) | RG_BIT(RG_GONE_HEARS),
    [RG_GONE_KEEPS] = RG_BIT(RG_GONE_ASKS) | RG_BIT(RG_GONE_HEARS),
    [RG_GONE_DOUBTS] = RG_BIT(RG_GONE_ASKS) | RG_BIT(RG_GONE_HEARS),
};
static const char *const names[] = {"HEARS", "WONDERS", "ASKS", "KEEPS", "DOUBTS"};
const struct rg_sm_table rg_gones = RG_SM_TABLE("gone", may, names);

static const char *const rows[] = {
    [RG_GONE_NOT] = "no", [RG_GONE_BLANK] = "blank", [RG_GONE_REPLACED] = "replaced", [RG_GONE_REMOVED] = "removed"};

const char *rg_gone_name(enum rg_gone_row row)
{
    RG_ASSERT((size_t)row < RG_LEN(rows));
    return rows[row];
}

enum rg_gone_row rg_gone_of(struct rg_span name)
{
    for (size_t i = 0; i < RG_LEN(rows); i++)
        if (rg_span_is(name, rows[i]))
            return (enum rg_gone_row)i;
    return RG_GONE_NOT;
}

static void gone_check(const struct rg_gone *g)
{
    RG_ASSERT(g->state.table == &rg_gones);
    RG_ASSERT(g->state.state != RG_GONE_HEARS || (!g->answered && g->by.node == 0)); /* whoever leads it knows */
    RG_ASSERT(g->state.state != RG_GONE_DOUBTS || g->by.node != 0);
    RG_ASSERT(g->state.state != RG_GONE_KEEPS || g->by.node == 0);
    RG_ASSERT((g->by.node != 0) == (g->by.row != RG_GONE_NOT));
    RG_ASSERT(g->rest_ms >= REST_MS_MIN);
    RG_ASSERT(g->rest_ms <= REST_MS_MAX);
}

static void begin(struct rg_gone *g)
{
    RG_ASSERT(g->state.state == RG_GONE_HEARS);
    g->answered = false;
    g->by = (struct rg_gone_told){.node = 0};
    g->rest_ms = REST_MS_MIN;
}

void rg_gone_init(struct rg_gone *g)
{
    *g = (struct rg_gone){.question = 0};
    rg_sm_init(&g->state, &rg_gones, RG_GONE_HEARS);
    begin(g);
    gone_check(g);
}

/* ---- when ---- */

static void rest(struct rg_gone *g, uint64_t now_ms)
{
    RG_ASSERT(g->state.state == RG_GONE_ASKS);
    rg_sm_move(&g->state, rg_gone_doubts(g) ? RG_GONE_DOUBTS : RG_GONE_KEEPS);
    g->answered = true;
    g->ask_ms = now_ms + g->rest_ms;
    g->rest_ms = RG_MIN(2 * g->rest_ms, (unsigned)REST_MS_MAX);
    gone_check(g);
}

bool rg_gone_look(struct rg_gone *g, bool alone, uint64_t now_ms)
{
    unsigned state = g->state.state;

    gone_check(g);
    RG_ASSERT(state != RG_GONE_ASKS || g->question > 0);
    RG_ASSERT(now_ms >= g->asked_ms);
    if (!alone) {
        if (state != RG_GONE_HEARS)
            rg_sm_move(&g->state, RG_GONE_HEARS);
        begin(g);
        return false;
    }
    if (state == RG_GONE_HEARS) {
        rg_sm_move(&g->state, RG_GONE_WONDERS);
        g->ask_ms = now_ms + FIRST_MS;
    }
    if (state == RG_GONE_ASKS && now_ms - g->asked_ms >= PATIENCE_MS)
        rest(g, now_ms); /* whoever asks has not come back */
    if (g->state.state == RG_GONE_ASKS || now_ms < g->ask_ms || RG_BUG(gone_unasked))
        return false;
    rg_sm_move(&g->state, RG_GONE_ASKS);
    g->question++;
    g->asked_ms = now_ms;
    gone_check(g);
    return true;
}

uint64_t rg_gone_due(const struct rg_gone *g)
{
    RG_ASSERT(g->state.table == &rg_gones);
    RG_ASSERT(g->question > 0 || g->state.state == RG_GONE_HEARS || g->state.state == RG_GONE_WONDERS);
    switch ((enum rg_gone_state)g->state.state) {
    case RG_GONE_HEARS:
        return UINT64_MAX;
    case RG_GONE_ASKS:
        return g->asked_ms + PATIENCE_MS;
    case RG_GONE_WONDERS:
    case RG_GONE_KEEPS:
    case RG_GONE_DOUBTS:
        break;
    }
    return g->ask_ms;
}

/* ---- what was told ---- */

/* Of another history nobody is believed. */
static bool says(const struct rg_gone_here *here, const struct rg_gone_told *t)
{
    bool gone = t->row == RG_GONE_REPLACED || t->row == RG_GONE_REMOVED;

    RG_ASSERT(here->id != 0);
    RG_ASSERT(t->node != 0); /* whoever answers says who it is */
    return t->node != here->id && gone && !rg_history_differ(&t->history, &here->history);
}

/* One that is known to be of this history, and was not counted before. */
static bool counts(const struct rg_gone_here *here, const struct rg_gone_told *told, size_t at)
{
    bool twice = false;

    for (size_t i = 0; i < at; i++)
        twice |= told[i].node == told[at].node;
    return !twice && told[at].row == RG_GONE_REPLACED && says(here, &told[at]) && rg_history_known(&told[at].history) &&
           rg_history_known(&here->history);
}

bool rg_gone_sure(const struct rg_gone_here *here, const struct rg_gone_told *told, size_t n)
{
    size_t others = here->members->n - (rg_members_find(here->members, here->id) != NULL), say = 0;

    RG_ASSERT(here->id != 0);
    RG_ASSERT(here->members->n <= RG_PEERS_MAX);
    for (size_t i = 0; i < n; i++)
        say += counts(here, told, i);
    RG_ASSERT(say <= n);
    return say > 0 && (2 * say > others || RG_BUG(gone_one_word));
}

bool rg_gone_heard(struct rg_gone *g, uint64_t question, const struct rg_gone_here *here, const struct rg_gone_told *told, size_t n,
                   uint64_t now_ms)
{
    const struct rg_gone_told *by = NULL;
    bool kept = false;

    gone_check(g);
    RG_ASSERT(question <= g->question); /* our own */
    RG_ASSERT(here->members->n >= 1);
    if (g->state.state != RG_GONE_ASKS || question != g->question)
        return false;
    for (size_t i = 0; i < n; i++) {
        RG_ASSERT(told[i].node != 0);
        if (by == NULL && says(here, &told[i]))
            by = &told[i];
        kept |= told[i].node == g->by.node && told[i].row == RG_GONE_NOT;
    }
    if (by != NULL)
        g->by = *by;
    else if (kept) /* by whoever said it: silence takes nothing back, nor does one that may be set back itself */
        g->by = (struct rg_gone_told){.node = 0};
    rest(g, now_ms);
    RG_ASSERT(g->answered);
    RG_ASSERT(by == NULL || rg_gone_doubts(g));
    return rg_gone_sure(here, told, n);
}
