/* raft/part/opening: what a node may begin on, and in which term. */
#include "raft/part/opening.h"
#include "raft/rule/epoch.h"
#include "tests/lib/check_main.h"

#define T(epoch, restarts) ((uint64_t)(epoch) << RG_EPOCH_SHIFT | (restarts))

static struct rg_errctx ctx;

static const struct {
    const char *name;
    uint64_t first, last, last_term, snap, term;
    bool votes;
    const char *refused; /* NULL: it may begin */
} logs[] = {
    {"a new voter", 1, 0, 0, 0, RG_FIRST_TERM, true, NULL},
    {"a new learner", 1, 0, 0, 0, 0, false, NULL},
    {"a learner that has heard of a term", 1, 0, 0, 0, T(7, 3), false, NULL},
    {"a voter whose log is gone", 1, 0, 0, 0, RG_FIRST_TERM + 1, true, "its log is gone"},
    {"a log from the beginning", 1, 50, T(1, 2), 0, T(1, 3), true, NULL},
    {"a log in the term that was saved", 1, 50, T(1, 3), 0, T(1, 3), true, NULL},
    {"a log in a term that was not", 1, 50, T(1, 4), 0, T(1, 3), true, "later than the term"},
    {"with a snapshot in it", 31, 50, T(1, 2), 40, T(1, 3), true, NULL},
    {"right behind its snapshot", 41, 50, T(1, 2), 40, T(1, 3), true, NULL},
    {"ending at its snapshot", 31, 40, T(1, 2), 40, T(1, 3), true, NULL},
    {"nothing behind its snapshot", 41, 40, T(1, 2), 40, T(1, 3), true, NULL},
    {"a hole behind its snapshot", 42, 50, T(1, 2), 40, T(1, 3), true, "does not join"},
    {"a snapshot beyond its end", 31, 39, T(1, 2), 40, T(1, 3), true, "does not join"},
    {"no snapshot, and not from the beginning", 2, 50, T(1, 2), 0, T(1, 3), true, "does not join"},
};

LOOP(a_log_and_what_was_saved, RG_LEN(logs))
{
    const struct rg_opening o = {.dir = "/data", .first = logs[_i].first, .last = logs[_i].last, .last_term = logs[_i].last_term,
                                 .snap_index = logs[_i].snap, .votes = logs[_i].votes};
    const struct rg_meta meta = {.term = logs[_i].term};

    ck_assert_msg(rg_opening_check(&o, &meta, &ctx) == (logs[_i].refused == NULL ? RG_OK : RG_ECORRUPT), "%s: %s", logs[_i].name, ctx.text);
    if (logs[_i].refused != NULL)
        ck_assert_msg(strstr(ctx.text, logs[_i].refused) != NULL, "%s: %s", logs[_i].name, ctx.text);
    ck_assert_uint_eq(rg_opening_term(&o, &meta), meta.term);
}

/* A log that ends in an entry of this term (0: it is empty), and what meta says. */
static const struct {
    const char *name;
    uint64_t last_term, term, before, begins;
} terms[] = {
    {"an epoch that has not begun", T(4, 2), T(1026, 0), T(4, 3), T(4, 3)},
    {"one that has", T(1026, 0), T(1026, 0), T(4, 3), T(1026, 0)},
    {"one that was followed into", T(4, 2), T(1026, 1), T(4, 3), T(1026, 1)}, /* by a leader's message: it has begun elsewhere */
    {"nothing was about to begin", T(4, 2), T(1026, 0), 0, T(1026, 0)},
    {"an empty log", 0, T(1026, 0), T(4, 3), T(1026, 0)},
};

LOOP(a_term_without_its_epoch, RG_LEN(terms))
{
    const struct rg_opening o = {.dir = "/data", .first = 1, .last = terms[_i].last_term != 0 ? 50 : 0, .last_term = terms[_i].last_term};
    const struct rg_meta meta = {.term = terms[_i].term, .term_before = terms[_i].before};

    ck_assert_msg(rg_opening_term(&o, &meta) == terms[_i].begins, "%s", terms[_i].name);
}

TEST(the_next_term)
{
    uint64_t term = 0;

    ck_assert_int_eq(rg_opening_next_term(T(4, 1), &term, &ctx), RG_OK);
    ck_assert_uint_eq(term, T(4, 2));
    ck_assert_int_eq(rg_opening_next_term(T(4, UINT32_MAX - 1), &term, &ctx), RG_OK);
    ck_assert_int_eq(rg_opening_next_term(T(4, UINT32_MAX), &term, &ctx), RG_ECORRUPT);
    ck_assert_uint_eq(term, T(4, UINT32_MAX));
}

TEST(the_first_configuration)
{
    struct rg_peer_config peers[RG_PEERS_MAX + 1] = {{1, "one", RG_ROLE_VOTER, "a:1"}, {2, "two", RG_ROLE_LEARNER, "b:1"}};
    struct rg_node_config config = {.id = 2, .peers = peers, .n_peers = 2};
    struct rg_members m;

    ck_assert_int_eq(rg_opening_members(&config, &m, &ctx), RG_OK);
    ck_assert(m.n == 2 && m.peers[1].id == 2);
    config.id = 3;
    ck_assert_int_eq(rg_opening_members(&config, &m, &ctx), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(ctx.text, "node 3 is not among"));
    config.id = 2, peers[0].role = RG_ROLE_LEARNER;
    ck_assert_int_eq(rg_opening_members(&config, &m, &ctx), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(ctx.text, "a voter"));
    peers[0].role = RG_ROLE_VOTER, peers[0].id = 2;
    ck_assert_int_eq(rg_opening_members(&config, &m, &ctx), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(ctx.text, "twice"));
    config.n_peers = 0;
    ck_assert_int_eq(rg_opening_members(&config, &m, &ctx), RG_EINVALID);
    config.n_peers = RG_PEERS_MAX + 1;
    ck_assert_int_eq(rg_opening_members(&config, &m, &ctx), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(ctx.text, "33 peers"));
}
