/* raft/node: what a node refuses, whoever says it: epochs that leave none, itself as a peer, too many peers, what comes while an epoch
 * begins, a term inside the epoch that is to begin. */
#include <stdio.h>

#include "raft/core/hello.h"
#include "raft/core/meta.h"
#include "raft/rule/epoch.h"
#include "store/db/command.h"
#include "tests/lib/check_main.h"
#include "tests/lib/node_rig.h"

#define TERM(epoch, restarts) ((uint64_t)(epoch) << RG_EPOCH_SHIFT | (restarts))
#define FIRST TERM(1, 1)
#define OURS 2u /* the lowest epoch above 1 that is node 2's */

static struct rg_failover promotion;
static unsigned answers;

static void on_promotion(struct rg_failover *f)
{
    (void)f;
    answers++;
}

static void promote(bool dry_run)
{
    answers = 0;
    promotion = (struct rg_failover){.dry_run = dry_run, .on_done = on_promotion};
    rg_node_failover(node, &promotion);
}

static void pass(uint64_t ms)
{
    now_us += ms * 1000;
    rg_node_on_timer(node);
    work();
}

/* Node 2 with two entries of the primary, which is silent since: its line stands when `up`. */
static void replica(bool up)
{
    start(2);
    rg_node_on_up(node, 1);
    append(1, FIRST, 0);
    append(2, FIRST, FIRST);
    ck_assert_uint_eq(rg_node_visible(node).index, 2);
    if (!up)
        rg_node_on_down(node, 1);
}

/* Node 1 answers the question that node 2 asked last: as a replica that has all of it, but for what differs. */
static void answer(struct rg_msg_fence_result differs)
{
    struct rg_msg asked, m = {.type = RG_MSG_FENCE_RESULT, .fence_result = differs};

    ck_assert(sent_last(1, RG_MSG_FENCE, &asked));
    m.fence_result.number = asked.fence.number;
    m.fence_result.last_term = FIRST;
    m.fence_result.last_index = 2;
    m.fence_result.promised = asked.fence.epoch > 0;
    receive(1, &m);
    work();
}

static enum rg_err hello(uint64_t peer, struct rg_hello h)
{
    struct rg_buf buf;
    enum rg_err err;

    rg_buf_init(&buf, RG_HELLO_BYTES_MAX);
    h.version = RG_HELLO_VERSION;
    h.to = h.to != 0 ? h.to : config.id;
    h.boot = 5;
    strcpy(h.cluster_id, "c");
    rg_hello_encode(&h, &buf);
    err = rg_node_on_hello(node, peer, rg_buf_span(&buf), &ctx);
    rg_buf_deinit(&buf);
    return err;
}

static struct rg_meta meta_on_disk(void)
{
    struct rg_metafile *file;
    struct rg_meta meta;

    io_fill();
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "/data/meta", keys, &file, &meta, &ctx), RG_OK);
    rg_metafile_free(file);
    return meta;
}

/* The data directory of a stopped node, with another term. */
static void set_term(uint64_t term)
{
    struct rg_metafile *file;
    struct rg_meta meta;

    io_fill();
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "/data/meta", keys, &file, &meta, &ctx), RG_OK);
    meta.term = term;
    ck_assert_int_eq(rg_metafile_save_at(file, &meta, rg_metafile_sequence(file) + 1, &ctx), RG_OK);
    rg_metafile_free(file);
}

CASE(.setup = setup, .teardown = teardown);

/* ---- the last epochs ---- */

#define AHEAD (1 + RG_EPOCH_AHEAD_MAX) /* as far as a claim is believed by who knows of epoch 1 */

static const struct {
    uint64_t epoch; /* that a peer says it knows */
    uint64_t begins; /* what a promotion of node 2 begins */
} claims[] = {
    {1, OURS},
    {AHEAD - 1, AHEAD + 1},
    {AHEAD, AHEAD + 1},
    {AHEAD + 1024, AHEAD + 1},
    {RG_EPOCH_HEARD_MAX, AHEAD + 1},
    {RG_EPOCH_MAX, AHEAD + 1}, /* nobody can use the epochs up by a number, nor hold up a promotion */
};

LOOP(a_promotion_over_a_claim, RG_LEN(claims))
{
    replica(true);
    promote(true);
    answer((struct rg_msg_fence_result){.epoch = claims[_i].epoch});
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(promotion.err, RG_OK);
    ck_assert_uint_eq(promotion.epoch, claims[_i].begins);
    promote(false);
    answer((struct rg_msg_fence_result){.epoch = claims[_i].epoch});
    ck_assert_uint_eq(status().promised, claims[_i].begins);
}

/* Whose epochs really are at their end: as good as never, and said then. */
TEST(a_promotion_beyond_the_last_epoch)
{
    replica(false);
    stop();
    set_term(TERM(RG_EPOCH_HEARD_MAX - 1, 1));
    start(2);
    promote(false);
    pass(2001);
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(promotion.err, RG_EUNREADY);
    ck_assert_ptr_nonnull(strstr(promotion.text, "no epoch is left"));
}

static const struct {
    const char *name;
    uint64_t epoch;
    bool promised;
} promises[] = {
    {"node 1's next", 1025, true},
    {"as far ahead as promotions may come to nothing", 1 + RG_EPOCH_AHEAD_MAX, true},
    {"further", 1 + RG_EPOCH_AHEAD_MAX + 1024, false},
    {"node 2's own, that node 1 names", 1026, false},
    {"node 3's", 1027, false},
    {"the last but two", RG_EPOCH_HEARD_MAX, false},
    {"the last that node 1 could have", RG_EPOCH_MAX - 1022, false},
    {"the last", RG_EPOCH_MAX, false},
};

/* Whoever is asked for a promise follows nobody of an epoch before it, on its disk. */
LOOP(a_promise_is_for_an_epoch_that_can_be, RG_LEN(promises))
{
    struct rg_msg m = {.type = RG_MSG_FENCE, .fence = {.number = 7, .epoch = promises[_i].epoch}};

    replica(true);
    receive(1, &m);
    work();
    ck_assert(sent_last(1, RG_MSG_FENCE_RESULT, &m));
    ck_assert_msg(m.fence_result.promised == promises[_i].promised, "%s", promises[_i].name);
    ck_assert_uint_eq(status().promised, promises[_i].promised ? promises[_i].epoch : 0);
    stop();
    ck_assert_uint_eq(meta_on_disk().promised, promises[_i].promised ? promises[_i].epoch : 0);
}

/* A primary goes above a promise that nobody kept; not above one that would use up all that is left. */
LOOP(a_claim_of_the_last_epoch_does_not_move_a_primary, 2)
{
    uint64_t claimed = _i == 0 ? RG_EPOCH_MAX : RG_EPOCH_HEARD_MAX, term;

    start(1);
    term = status().term;
    ck_assert_int_eq(hello(2, (struct rg_hello){.from = 2, .region = "eu-central-1", .promised = claimed}), RG_OK);
    rg_node_on_up(node, 2);
    for (int i = 0; i < 20; i++)
        pass(1000);
    ck_assert(status().leader);
    ck_assert_uint_eq(status().term, term);
    ck_assert_uint_eq(status().promised, 0);
}

TEST(the_last_restart_of_an_epoch)
{
    start(1);
    stop();
    set_term(TERM(1, UINT32_MAX - 1));
    start(1);
    ck_assert(status().leader);
    ck_assert_uint_eq(status().term, TERM(1, UINT32_MAX));
    stop();
    ck_assert_int_eq(make(1), RG_OK); /* one more would be epoch 2, which nobody has declared */
    ck_assert_int_eq(rg_node_start(node, &ctx), RG_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(ctx.text, "no term is left in epoch 1"));
    stop();
    ck_assert_uint_eq(meta_on_disk().term, TERM(1, UINT32_MAX));
}

/* ---- an epoch that two nodes have begun ---- */

/* Node 1, as it says: in that term, with who began epoch 1024 + 1. */
static struct rg_hello of_primary(uint64_t term, uint8_t began)
{
    struct rg_hello h = {.from = 1, .region = "us-east-1", .incarnation = {{7}}, .starts = 1, .term = term, .voter = true, .leader = true,
                         .claims_said = true};

    strcpy(h.region, peers[0].region);
    if (began != 0)
        ck_assert(rg_claims_add(&h.claims, 1025, &(struct rg_incarnation){{began}}));
    return h;
}

static enum rg_err says(const struct rg_msg *m)
{
    struct rg_buf out;
    enum rg_err err;

    rg_buf_init(&out, 1 << 16);
    rg_rpc_encode(m, &out);
    ctx.text[0] = '\0';
    err = rg_node_on_message(node, 1, rg_buf_span(&out), &ctx);
    rg_buf_deinit(&out);
    work();
    return err;
}

/* Node 2, which has entries of epoch 1025, begun by node 1 in that directory, as its disk says. */
static void knows_who_began(uint8_t began)
{
    struct rg_metafile *file;
    struct rg_meta meta;

    replica(true);
    stop();
    io_fill();
    ck_assert_int_eq(rg_metafile_open(&lanes.io, "/data/meta", keys, &file, &meta, &ctx), RG_OK);
    ck_assert(rg_claims_add(&meta.claims, 1025, &(struct rg_incarnation){{began}}));
    ck_assert_int_eq(rg_metafile_save_at(file, &meta, rg_metafile_sequence(file) + 1, &ctx), RG_OK);
    rg_metafile_free(file);
    start(2);
}

TEST(who_says_otherwise_of_an_epoch_is_refused)
{
    struct rg_msg m = {.type = RG_MSG_CLAIMS, .claims = {.term = TERM(1026, 0)}};

    knows_who_began(7);
    ck_assert_int_eq(hello(1, of_primary(FIRST, 9)), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "two nodes of one id have begun epoch 1025"));
    work();
    ck_assert_uint_eq(status().peers[0].rival_epoch, 1025);
    ck_assert_int_eq(hello(1, of_primary(FIRST, 7)), RG_OK);
    work();
    ck_assert_uint_eq(status().peers[0].rival_epoch, 0);
    rg_node_on_up(node, 1);
    ck_assert(rg_claims_add(&m.claims.claims, 1025, &(struct rg_incarnation){{9}})); /* it has followed another one since */
    ck_assert_int_eq(says(&m), RG_OK);
    ck_assert_int_eq(says(&(struct rg_msg){.type = RG_MSG_ANNOUNCE, .announce = {.term = TERM(1026, 0)}}), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "follows another history"));
    ck_assert_int_eq(hello(1, of_primary(TERM(1026, 0), 9)), RG_EFENCED); /* it leads in a later one: this node comes back under a new id */
    ck_assert_int_eq(stop_err, RG_EFENCED);
}

/* Two nodes of one id ask for the same epoch: it is promised to the first. */
TEST(an_epoch_is_promised_to_one_directory)
{
    struct rg_msg m = {.type = RG_MSG_FENCE, .fence = {.number = 5, .epoch = 1025}};
    static const struct {
        uint8_t directory;
        bool promised;
    } asks[] = {{7, true}, {9, false}, {7, true}};

    replica(true);
    for (size_t i = 0; i < RG_LEN(asks); i++) {
        struct rg_hello h = of_primary(FIRST, 0);
        struct rg_msg said;

        if (i == 2) { /* the promise is on the disk, and whom it was given */
            stop();
            start(2);
        }
        h.incarnation.b[0] = asks[i].directory;
        h.starts = i + 1;
        ck_assert_int_eq(hello(1, h), RG_OK);
        rg_node_on_up(node, 1);
        ck_assert_int_eq(says(&m), RG_OK);
        ck_assert(sent_last(1, RG_MSG_FENCE_RESULT, &said));
        ck_assert_msg(said.fence_result.promised == asks[i].promised, "%zu", i);
    }
    ck_assert_uint_eq(meta_on_disk().claims.rows[0].epoch, 1025);
}

TEST(who_leads_since_it_greeted_says_who_began_what_is_here)
{
    const struct rg_msg append = {.type = RG_MSG_APPEND, .append = {.term = TERM(1026, 0), .prev_index = 2, .prev_term = FIRST}};
    struct rg_msg m = {.type = RG_MSG_CLAIMS, .claims = {.term = TERM(1026, 0)}};

    knows_who_began(8); /* not whoever is at the other end */
    ck_assert_int_eq(hello(1, of_primary(FIRST, 0)), RG_OK);
    rg_node_on_up(node, 1);
    ck_assert_int_eq(says(&append), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "it has to greet again"));
    ck_assert_int_eq(says(&m), RG_OK); /* or says so */
    ck_assert_int_eq(says(&append), RG_OK);
    stop();
    start(2);
    ck_assert_int_eq(hello(1, of_primary(TERM(1026, 0), 8)), RG_OK);
    rg_node_on_up(node, 1);
    ck_assert_int_eq(says(&append), RG_OK);
}

/* ---- peers that cannot be ---- */

TEST(a_node_is_no_peer_of_its_own)
{
    static const struct {
        uint64_t link, from, to;
    } cases[] = {{1, 1, 1}, {2, 1, 1}, {1, 2, 1}, {1, 1, 2}, {2, 2, 2}};
    struct rg_msg m = {.type = RG_MSG_REPORT};
    struct rg_buf out;

    start(1);
    for (size_t i = 0; i < RG_LEN(cases); i++)
        ck_assert_msg(hello(cases[i].link, (struct rg_hello){.from = cases[i].from, .to = cases[i].to, .region = "us-east-1",
                                                             .term = TERM(9, 1), .voter = true}) == RG_EPEER, "%zu: %s", i, ctx.text);
    rg_node_on_up(node, 1);
    rg_buf_init(&out, 4096);
    rg_rpc_encode(&m, &out);
    ck_assert_int_eq(rg_node_on_message(node, 1, rg_buf_span(&out), &ctx), RG_EPEER);
    rg_buf_deinit(&out);
    work();
    ck_assert(status().leader);
    ck_assert_uint_eq(status().n_peers, 1);
    ck_assert_uint_eq(stops, 0);
}

/* A full cluster, and one primary that is no member yet: 32 peers, and 33 who are asked, this node among them. */
TEST(a_promotion_in_a_full_cluster_with_a_guest)
{
    static char regions[RG_PEERS_MAX][8];
    struct rg_hello guest = {.from = 100, .region = "guest", .term = TERM(2, 0), .voter = true};

    for (n_peers = 2; n_peers < RG_PEERS_MAX; n_peers++) {
        struct rg_peer_config *p = &peers[n_peers];

        snprintf(regions[n_peers], sizeof regions[n_peers], "r%zu", n_peers);
        p->id = n_peers + 1;
        snprintf(p->region, sizeof p->region, "%s", regions[n_peers]);
        snprintf(p->link, sizeof p->link, "h%zu:1", n_peers);
    }
    replica(false);
    ck_assert_uint_eq(status().n_peers, RG_PEERS_MAX - 1);
    ck_assert_int_eq(hello(100, guest), RG_OK);
    rg_node_on_up(node, 100);
    work();
    ck_assert_uint_eq(status().n_peers, RG_PEERS_MAX);
    promote(true);
    pass(2001);
    ck_assert_uint_eq(answers, 1);
    ck_assert_uint_eq(promotion.n_candidates, RG_PEERS_MAX + 1);
    ck_assert_uint_eq(promotion.candidates[0].id, 2);
    ck_assert_uint_eq(promotion.candidates[RG_PEERS_MAX].id, 100);
    ck_assert_uint_eq(promotion.regions, RG_PEERS_MAX); /* ours, the guest's, and all but the primary's */
    guest.from = 101; /* there is no room for another one */
    (void)hello(101, guest);
    ck_assert_uint_eq(status().n_peers, RG_PEERS_MAX);
    promote(true);
    pass(2001);
    ck_assert_uint_eq(promotion.n_candidates, RG_PEERS_MAX + 1);
    ck_assert_uint_eq(stops, 0);
}

/* ---- while an epoch begins ---- */

/* Node 2 promotes itself; the epoch's first entry is on its way to the disk. */
static void reborn(void)
{
    replica(false);
    promote(false);
    now_us += 2001000;
    rg_node_on_timer(node);
    for (int i = 0; i < 8; i++)
        rg_node_pump(node); /* the lanes stand still */
    ck_assert_uint_eq(status().epoch, OURS);
    ck_assert(!status().leader);
    ck_assert_uint_eq(answers, 0);
}

TEST(what_comes_while_an_epoch_begins)
{
    struct rg_msg fence = {.type = RG_MSG_FENCE, .fence = {.number = 7, .epoch = 5000}}, m;
    struct rg_failover other = {.on_done = on_promotion};

    reborn();
    receive(1, &fence);
    ck_assert(!sent_last(1, RG_MSG_FENCE_RESULT, &m)); /* neither promised nor refused: it will be asked again */
    ck_assert_uint_eq(status().promised, OURS);
    /* A later epoch ends nothing here: whoever has begun it hears of this one, and finds it fenced or not when it leads. */
    ck_assert_int_eq(hello(1, (struct rg_hello){.from = 1, .region = "us-east-1", .term = TERM(5000, 1)}), RG_OK);
    ck_assert_uint_eq(stops, 0);
    rg_node_failover(node, &other); /* one is under way */
    ck_assert_int_eq(other.err, RG_EBUSY);
    ck_assert_uint_eq(answers, 1);
    work();
    ck_assert_uint_eq(answers, 2);
    ck_assert_int_eq(promotion.err, RG_OK);
    ck_assert(status().leader);
    ck_assert_uint_eq(status().epoch, OURS);
    ck_assert_uint_eq(rg_node_visible(node).epoch, OURS);
}

TEST(a_crash_while_an_epoch_begins_leaves_the_promise_alone)
{
    struct rg_prng prng;

    reborn();
    rg_node_free(node); /* nothing of the entry is written */
    simlanes_abandon(&lanes);
    node = NULL;
    rg_store_free(store);
    store = NULL;
    rg_prng_init(&prng, 1);
    simdisk_crash(disk, &prng);
    ck_assert_uint_eq(meta_on_disk().term, TERM(OURS, 0));
    start(2);
    ck_assert_uint_eq(status().term, FIRST); /* it has not begun, and nobody may be told that it has */
    ck_assert_uint_eq(status().promised, OURS);
    ck_assert(!status().leader);
}

/* Only an epoch's own primary has terms in it. A promotion that finds its epoch begun by somebody gives up. */
TEST(a_promotion_finds_a_leader_inside_its_epoch)
{
    struct rg_msg beat = {.type = RG_MSG_APPEND, .append = {.term = TERM(OURS, 5), .prev_index = 2, .prev_term = FIRST, .commit = 2}};

    replica(true);
    promote(false);
    answer((struct rg_msg_fence_result){.epoch = 1, .lease_left_ms = 5000});
    answer((struct rg_msg_fence_result){.epoch = OURS, .lease_left_ms = 5000});
    ck_assert_uint_eq(answers, 0); /* it waits for the lease */
    receive(1, &beat);
    work();
    ck_assert_uint_eq(status().term, TERM(OURS, 5));
    pass(4000);
    ck_assert_uint_eq(answers, 0);
    pass(1100);
    ck_assert_uint_eq(answers, 1);
    ck_assert_int_eq(promotion.err, RG_EBUSY);
    ck_assert_ptr_nonnull(strstr(promotion.text, "another promotion went ahead"));
    ck_assert(!status().leader);
    ck_assert_uint_eq(status().term, TERM(OURS, 5));
    ck_assert_uint_eq(stops, 0);
}

/* Nothing of an older epoch is followed once a promise is given. */
TEST(a_leader_of_before_the_promise_is_not_followed)
{
    struct rg_msg fence = {.type = RG_MSG_FENCE, .fence = {.number = 7, .epoch = 2049}};

    replica(true);
    receive(1, &fence);
    append(3, FIRST, FIRST);
    append(3, TERM(OURS, 0), FIRST);
    ck_assert_uint_eq(rg_node_visible(node).index, 2);
    ck_assert_uint_eq(status().last_index, 2);
    append(3, TERM(2049, 0), FIRST);
    ck_assert_uint_eq(rg_node_visible(node).index, 3);
    ck_assert_uint_eq(rg_node_visible(node).epoch, 2049);
}

/* ---- a hand-over ---- */

static const struct {
    uint64_t term;
    bool ready;
} prepares[] = {
    {TERM(OURS, 0), true},
    {TERM(OURS + 1024, 0), true},
    {TERM(OURS, 1), false},     /* a term with restarts begins nothing */
    {TERM(1025, 0), false},     /* an epoch of node 1's: it could begin it too */
    {TERM(1, 0), false},        /* not above what the log ends in */
};

LOOP(a_hand_over_to_an_epoch_that_is_not_ours, RG_LEN(prepares))
{
    struct rg_members after = {.n = 2};
    struct rg_msg m = {.type = RG_MSG_HANDOVER};
    struct rg_buf bytes;

    replica(true);
    memcpy(after.peers, peers, 2 * sizeof peers[0]);
    after.peers[0].role = RG_ROLE_LEARNER;
    after.peers[1].role = RG_ROLE_VOTER;
    rg_buf_init(&bytes, 4096);
    ck_assert_int_eq(rg_members_encode(&after, &bytes), RG_OK);
    m.handover = (struct rg_msg_handover){.number = 9, .step = RG_HANDOVER_PREPARE, .term = prepares[_i].term, .last_index = 2,
                                          .last_term = FIRST, .config = rg_buf_span(&bytes)};
    receive(1, &m);
    ck_assert(sent_last(1, RG_MSG_HANDOVER, &m));
    ck_assert_int_eq(m.handover.step, prepares[_i].ready ? RG_HANDOVER_READY : RG_HANDOVER_REFUSED);
    m.handover.step = RG_HANDOVER_COMMIT;
    m.handover.term = prepares[_i].term;
    m.handover.config = rg_buf_span(&bytes);
    receive(1, &m);
    work();
    ck_assert_int_eq(status().leader, prepares[_i].ready);
    rg_buf_deinit(&bytes);
}

/* ---- carried proposals ---- */

struct carried {
    struct rg_proposal p;
    unsigned calls;
};
static struct carried first, second;
static struct rg_buf noop;

static void on_carried(struct rg_proposal *p)
{
    struct carried *c = RG_CONTAINER(p, struct carried, p);

    c->calls++;
    if (c == &first && c->calls == 1) { /* tries again at once */
        second.p = (struct rg_proposal){.cmd = rg_buf_span(&noop), .on_done = on_carried};
        rg_node_forward(node, &second.p);
    }
}

TEST(what_is_carried_again_by_whom_it_was_not_answered_has_a_deadline_too)
{
    struct rg_msg m = {.type = RG_MSG_ANNOUNCE, .announce = {.term = FIRST, .commit = 2, .index = 2, .index_term = FIRST}};

    replica(true);
    memcpy(m.announce.hash, status().hash, sizeof m.announce.hash);
    receive(1, &m);
    work();
    rg_buf_init(&noop, 4096);
    rg_cmd_begin(&noop, RG_CMD_NOOP, 1, rg_span_str("t"));
    first.p = (struct rg_proposal){.cmd = rg_buf_span(&noop), .on_done = on_carried};
    rg_node_forward(node, &first.p);
    ck_assert_uint_eq(first.calls, 0);
    now_us += 9900000;
    receive(1, &m); /* the primary is there, and does not answer */
    pass(101);
    ck_assert_uint_eq(first.calls, 1);
    ck_assert_int_eq(first.p.err, RG_ESTOPPED);
    ck_assert_uint_eq(second.calls, 0);
    now_us += 9900000;
    receive(1, &m);
    pass(101);
    ck_assert_uint_eq(second.calls, 1);
    ck_assert_int_eq(second.p.err, RG_ESTOPPED);
    ck_assert_uint_eq(first.calls, 1);
    rg_buf_deinit(&noop);
}
