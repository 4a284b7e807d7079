/* raft/rule/hello: who is taken by its hello, who is refused, who is fenced by it. */
#include "raft/rule/epoch.h"
#include "raft/rule/hello.h"
#include "tests/lib/check_main.h"

#define T(epoch, restarts) ((uint64_t)(epoch) << RG_EPOCH_SHIFT | (restarts))

static struct rg_meta meta;
static struct rg_members members;
static struct rg_hello_here here;
static struct rg_hello h;
static struct rg_hello_judged judged;
static struct rg_errctx ctx;

static struct rg_incarnation inc(uint8_t first) { return (struct rg_incarnation){{first}}; }

/* Nodes 1 (primary), 2 and 3, each in a region of its own, bound to the directories 1, 2, 3. Epoch 4; every log ends at 50. */
static void cluster(uint64_t id, uint64_t peer)
{
    static const char *const regions[] = {"one", "two", "three"};

    memset(&members, 0, sizeof members);
    for (size_t i = 0; i < 3; i++) {
        struct rg_peer_config *p = &members.peers[members.n++];

        p->id = i + 1;
        p->role = i == 0 ? RG_ROLE_VOTER : RG_ROLE_LEARNER;
        p->incarnation = inc((uint8_t)(i + 1));
        strcpy(p->region, regions[i]);
    }
    meta = (struct rg_meta){.cluster_id = "c", .node_id = id, .incarnation = inc((uint8_t)id), .term = T(4, 1)};
    here = (struct rg_hello_here){
        .id = id, .peer = peer, .meta = &meta, .members = &members, .leading = id == 1, .last_index = 50, .term_there = T(4, 1)};
    h = (struct rg_hello){.version = RG_HELLO_VERSION, .cluster_id = "c", .from = peer, .to = id, .boot = 5, .term = T(4, 1),
                          .incarnation = inc((uint8_t)peer), .last_index = 50, .last_term = T(4, 1), .voter = peer == 1,
                          .leader = peer == 1};
    strcpy(h.region, peer <= 3 ? regions[peer - 1] : "new");
}

/* Node 1 leads and hears 2; node 2 hears 1, after a start. */
static void primary(void) { cluster(1, 2); }
static void replica(void) { cluster(2, 1); }
/* Node 2 hears 9, which is in no configuration of its own, and leads in epoch 5. */
static void stranger(void)
{
    cluster(2, 9);
    h.term = T(5, 0);
    h.voter = h.leader = true;
}

static void expect(enum rg_hello_verdict want, bool itself, const char *text)
{
    enum rg_err err;

    ctx.text[0] = '\0';
    err = rg_hello_judge(&here, &h, &judged, &ctx);
    ck_assert_msg(judged.verdict == want, "verdict %d, not %d: %s", judged.verdict, want, ctx.text);
    ck_assert_int_eq(judged.itself, itself);
    ck_assert_int_eq(err == RG_OK, want == RG_HELLO_TAKEN || want == RG_HELLO_GUEST);
    ck_assert_msg(strstr(ctx.text, text) != NULL, "\"%s\" is not in \"%s\"", text, ctx.text);
    ck_assert_int_eq(judged.why != NULL, want == RG_HELLO_FENCES || want == RG_HELLO_FORGOTTEN || want == RG_HELLO_SUPERSEDED);
    if (judged.why != NULL)
        ck_assert_int_eq(err, want == RG_HELLO_SUPERSEDED ? RG_ESUPERSEDED : RG_EFENCED);
}

TEST(members_are_taken)
{
    primary(), expect(RG_HELLO_TAKEN, true, "");
    replica(), expect(RG_HELLO_TAKEN, true, "");
    cluster(2, 3), expect(RG_HELLO_TAKEN, true, "");
    replica(), h.term = 0, expect(RG_HELLO_TAKEN, true, ""); /* it has not begun */
    replica(), meta.term = 0, h.first_crc = 7, expect(RG_HELLO_TAKEN, true, "");
    primary(), h.promised = 9, expect(RG_HELLO_TAKEN, true, "");  /* it follows nobody, and may be asked */
    replica(), meta.promised = 9, expect(RG_HELLO_TAKEN, true, ""); /* not followed, but it may hear so */
}

TEST(who_is_not_the_one_that_is_expected)
{
    primary(), strcpy(h.cluster_id, "d"), expect(RG_HELLO_REFUSED, false, "of cluster \"d\"");
    primary(), h.from = 3, expect(RG_HELLO_REFUSED, false, "says it is 3");
    primary(), h.to = 3, expect(RG_HELLO_REFUSED, false, "wants 3");
    primary(), strcpy(h.region, "three"), expect(RG_HELLO_REFUSED, false, "in region \"three\"");
    cluster(1, 1), expect(RG_HELLO_REFUSED, false, "from 1 to 1");
    cluster(1, 9), expect(RG_HELLO_REFUSED, false, "not a member");
}

TEST(a_primary_that_joined_meanwhile_is_a_guest)
{
    stranger(), expect(RG_HELLO_GUEST, true, "");
    stranger(), h.term = T(4, 1), expect(RG_HELLO_GUEST, true, ""); /* until the log has come to where it is a member */
    stranger(), h.voter = false, expect(RG_HELLO_REFUSED, false, "not a member");
    stranger(), h.term = T(3, 9), expect(RG_HELLO_REFUSED, false, "not a member");
    stranger(), meta.promised = 6, expect(RG_HELLO_GUEST, true, ""); /* not followed, but it may hear so and ask for more */
    stranger(), meta.promised = 5, expect(RG_HELLO_GUEST, true, "");
    stranger(), strcpy(h.cluster_id, "d"), expect(RG_HELLO_REFUSED, false, "of cluster");
    cluster(1, 9), h.voter = true, expect(RG_HELLO_REFUSED, false, "not a member"); /* a primary of this epoch has its members */
    cluster(1, 9), h.voter = true, h.term = T(5, 0), expect(RG_HELLO_FENCES, true, "epoch 5");
}

/* By this node's own rows it was removed, or came back under another id: with its key nobody leads here, and nobody is fenced. */
TEST(an_id_that_is_gone_is_nobodys)
{
    stranger(), here.gone = true, expect(RG_HELLO_REFUSED, false, "it is nobody any more");
    stranger(), here.gone = true, h.term = T(4, 1), expect(RG_HELLO_REFUSED, false, "it is nobody any more");
    cluster(1, 9), here.gone = true, h.voter = true, h.term = T(5, 0), expect(RG_HELLO_REFUSED, false, "it is nobody any more");
    cluster(1, 9), here.gone = true, h.voter = true, h.term = T(5, 0), h.incarnation = inc(7);
    expect(RG_HELLO_REFUSED, false, "it is nobody any more");
}

/* Nothing that it says of epochs, directories and lives is heard. */
TEST(two_histories)
{
    const struct rg_history ours = {{1}}, theirs = {{2}};

    primary(), here.history = h.history = ours, expect(RG_HELLO_TAKEN, true, "");
    primary(), here.history = ours, expect(RG_HELLO_TAKEN, true, ""); /* it has none yet, or is of a release before */
    primary(), h.history = theirs, expect(RG_HELLO_TAKEN, true, "");
    primary(), here.history = ours, h.history = theirs;
    h.term = T(9, 1), h.bound = inc(9), h.life = (struct rg_life){.start = 9}, h.voter = true, h.last_index = 99, here.term_there = 0;
    expect(RG_HELLO_FOREIGN, false, "ForeignHistory: peer 2 is of history 02000000, this node of 01000000");
    replica(), here.history = ours, h.history = theirs, h.seen = 99, expect(RG_HELLO_FOREIGN, false, "ForeignHistory");
    stranger(), here.history = ours, h.history = theirs, expect(RG_HELLO_FOREIGN, false, "ForeignHistory");
    cluster(1, 9), h.voter = true, h.term = T(5, 0), here.history = ours, h.history = theirs;
    expect(RG_HELLO_FOREIGN, false, "ForeignHistory"); /* and fences nobody */
    primary(), here.history = ours, h.history = theirs, strcpy(h.cluster_id, "d"), expect(RG_HELLO_REFUSED, false, "of cluster");
}

TEST(an_id_has_one_data_directory)
{
    primary(), h.incarnation = inc(7), expect(RG_HELLO_OTHER, false, "another data directory");
    primary(), h.incarnation = inc(0), expect(RG_HELLO_REFUSED, false, "release is too old");
    primary(), members.peers[1].incarnation = inc(0), expect(RG_HELLO_TAKEN, true, "");
    primary(), h.bound = inc(1), expect(RG_HELLO_TAKEN, true, "");
    /* What others know of this node: believed where its own log does not know better. */
    primary(), h.bound = inc(7), expect(RG_HELLO_REFUSED, false, "own log");
    primary(), h.bound = inc(7), members.peers[0].incarnation = inc(0), expect(RG_HELLO_FORGOTTEN, false, "knows node 1");
    replica(), h.bound = inc(7), members.peers[1].incarnation = inc(8), expect(RG_HELLO_FORGOTTEN, false, "knows node 2");
    primary(), h.bound = inc(7), members.peers[1].incarnation = members.peers[2].incarnation = inc(0);
    expect(RG_HELLO_FORGOTTEN, false, "knows node 1"); /* bound by itself, and by nobody else's knowledge */
}

/* Of this node the peer has dealt with that start. */
static void said_of_us(uint64_t start, uint64_t boot, bool up)
{
    primary();
    meta.starts = 3;
    here.own_boot = 30;
    h.bound = inc(1);
    h.life = (struct rg_life){start, boot};
    h.life_up = up;
}

/* Of the peer this node has dealt with start 3, process 30. */
static void said_of_it(uint64_t start, uint64_t boot)
{
    primary();
    ck_assert(rg_lives_set(&meta.lives, 2, &h.incarnation, &(struct rg_life){3, 30}));
    h.starts = start;
    h.boot = boot;
}

TEST(the_last_life_is_dealt_with_and_no_earlier_one)
{
    said_of_us(3, 30, true), expect(RG_HELLO_TAKEN, true, "");
    said_of_us(2, 20, true), expect(RG_HELLO_TAKEN, true, "");
    said_of_us(4, 40, true), expect(RG_HELLO_SUPERSEDED, false, "runs twice");
    said_of_us(4, 40, false), expect(RG_HELLO_FORGOTTEN, false, "set back");
    said_of_us(3, 31, true), expect(RG_HELLO_SUPERSEDED, false, "runs twice");
    said_of_us(3, 31, false), expect(RG_HELLO_FORGOTTEN, false, "set back");
    said_of_us(4, 40, true), h.bound = inc(0), expect(RG_HELLO_TAKEN, true, ""); /* of whatever directory that was */
    said_of_it(3, 30), expect(RG_HELLO_TAKEN, true, "");
    said_of_it(4, 40), expect(RG_HELLO_TAKEN, true, "");
    said_of_it(2, 20), expect(RG_HELLO_EARLIER, false, "was set back");
    said_of_it(3, 31), expect(RG_HELLO_EARLIER, false, "another process");
    said_of_it(3, 31), here.alive = true, expect(RG_HELLO_EARLIER, false, "runs twice");
    said_of_it(2, 20), meta.lives.rows[0].incarnation = inc(9), expect(RG_HELLO_TAKEN, true, ""); /* of another directory */
}

TEST(two_epochs)
{
    primary(), h.term = T(5, 0), expect(RG_HELLO_FENCES, true, "epoch 5, this primary in 4");
    primary(), h.term = T(4, 9), expect(RG_HELLO_TAKEN, true, "");
    primary(), here.leading = false, h.term = T(5, 0), expect(RG_HELLO_FENCES, true, "it is fenced"); /* it votes */
    primary(), here.leading = false, here.reborn = true, h.term = T(5, 0), expect(RG_HELLO_TAKEN, true, "");
    replica(), h.term = T(5, 0), expect(RG_HELLO_TAKEN, true, ""); /* the next primary */
    replica(), h.term = T(3, 7), expect(RG_HELLO_REFUSED, true, "primary of epoch 3, and epoch 4 has begun");
    primary(), h.term = T(3, 7), expect(RG_HELLO_TAKEN, true, ""); /* a region that lags */
}

static struct rg_claims claims_of(uint64_t epoch, uint8_t primary)
{
    struct rg_claims c = {.n = 0};
    struct rg_incarnation of = inc(primary);

    ck_assert(rg_claims_add(&c, 3, &of) && rg_claims_add(&c, epoch, &of));
    return c;
}

TEST(two_nodes_of_one_id_have_begun_an_epoch)
{
    primary(), meta.claims = claims_of(4, 1), h.claims = claims_of(4, 1), expect(RG_HELLO_TAKEN, true, "");
    primary(), meta.claims = claims_of(4, 1), expect(RG_HELLO_TAKEN, true, ""); /* of a release before, or it knows of none */
    primary(), h.claims = claims_of(4, 1), expect(RG_HELLO_TAKEN, true, "");
    primary(), meta.claims = claims_of(4, 1), h.claims = claims_of(4, 9), expect(RG_HELLO_RIVAL, true, "EpochTwice");
    replica(), meta.claims = claims_of(4, 1), h.claims = claims_of(4, 9);
    expect(RG_HELLO_RIVAL, true, "two nodes of one id have begun epoch 4");
    h.term = T(5, 0); /* it goes on in a later one: the replica comes back under a new id */
    expect(RG_HELLO_FENCES, true, "leads in epoch 5, and knows epoch 4 as another node's");
    h.voter = h.leader = false; /* that is not the one who leads */
    expect(RG_HELLO_RIVAL, true, "EpochTwice");
    replica(), meta.claims = claims_of(4, 1), h.claims = claims_of(4, 9), h.term = T(5, 0), here.reborn = true;
    expect(RG_HELLO_RIVAL, true, "EpochTwice"); /* its own next one is about to begin */
    replica(), meta.claims = claims_of(4, 1), h.claims = claims_of(5, 9), h.claims.rows[0].primary = inc(1), h.term = T(5, 0);
    expect(RG_HELLO_TAKEN, true, "");
}

TEST(one_cluster_has_one_beginning)
{
    primary(), here.first_crc = 6, h.first_crc = 7, expect(RG_HELLO_REFUSED, true, "another first configuration");
    primary(), here.first_crc = 7, h.first_crc = 7, expect(RG_HELLO_TAKEN, true, "");
    primary(), here.first_crc = 7, expect(RG_HELLO_TAKEN, true, ""); /* its log begins later by now */
    primary(), h.first_crc = 7, expect(RG_HELLO_TAKEN, true, "");
}

static const struct {
    const char *name;
    uint64_t index, term, there;
    bool lost;
} lost[] = {
    {"the same entry", 50, T(4, 1), T(4, 1), false},
    {"less than here", 40, T(4, 1), T(4, 1), false},
    {"less than here, and compacted here", 40, T(4, 1), 0, false},
    {"one more", 51, T(4, 1), 0, true},
    {"one more, of an epoch before: a promotion cut it off", 51, T(3, 1), 0, false},
    {"another one", 50, T(4, 2), T(4, 1), true},
    {"another one, of an epoch before", 50, T(3, 2), T(4, 1), false},
    {"nothing", 0, 0, 0, false},
};

LOOP(a_primary_that_has_lost_what_a_learner_has, RG_LEN(lost))
{
    enum rg_hello_verdict want = lost[_i].lost ? RG_HELLO_AHEAD : RG_HELLO_TAKEN;

    primary(), h.last_index = lost[_i].index, h.last_term = lost[_i].term, here.term_there = lost[_i].there;
    expect(want, true, lost[_i].lost ? "it has lost data" : "");
    here.leading = false; /* the only voter, before it leads */
    expect(want, true, "");
    members.peers[2].role = RG_ROLE_VOTER; /* one of two: it may be the other that has it */
    expect(RG_HELLO_TAKEN, true, "");
    here.leading = true, h.voter = true; /* a voter's log may be cut */
    expect(RG_HELLO_TAKEN, true, "");
    ck_assert_int_eq(rg_hello_lost(4, 50, lost[_i].there, lost[_i].index, lost[_i].term), lost[_i].lost);
}

TEST(a_node_that_comes_back_with_less)
{
    primary(), here.match = 50, here.boot = 4, expect(RG_HELLO_TAKEN, true, "");
    primary(), here.match = 50, here.boot = 4, h.last_index = 49, expect(RG_HELLO_FORGOT, true, "had entry 50 durable and comes back with 49");
    primary(), here.match = 50, here.boot = 5, h.last_index = 49, expect(RG_HELLO_TAKEN, true, ""); /* the same process: on its way */
    primary(), here.boot = 4, h.last_index = 0, h.last_term = 0, expect(RG_HELLO_TAKEN, true, ""); /* nothing was known of it */
}

TEST(a_node_that_had_more)
{
    replica(), h.seen = 51, expect(RG_HELLO_FORGOTTEN, true, "had entry 51, and it ends at 50");
    replica(), h.seen = 50, expect(RG_HELLO_TAKEN, true, "");
    replica(), h.seen = 51, h.leader = false, expect(RG_HELLO_TAKEN, true, "");
    replica(), h.seen = 51, here.followed = true, expect(RG_HELLO_TAKEN, true, ""); /* its log may have been cut since */
    replica(), h.seen = 51, here.installing = true, expect(RG_HELLO_TAKEN, true, "");
    replica(), h.seen = 51, meta.term = T(4, 2), expect(RG_HELLO_TAKEN, true, ""); /* of a term that is over */
    replica(), h.seen = 51, members.peers[0].role = RG_ROLE_LEARNER, expect(RG_HELLO_TAKEN, true, ""); /* it cannot lead */
    replica(), h.seen = 51, members.peers[0].role = RG_ROLE_LEARNER, meta.term = h.term = T(RG_EPOCH_IDS + members.peers[0].id, 1);
    expect(RG_HELLO_FORGOTTEN, true, "had entry 51"); /* but its own epoch, that this log is older than */
    stranger(), h.seen = 51, expect(RG_HELLO_FORGOTTEN, true, "had entry 51"); /* in a later epoch it can */
    stranger(), h.seen = 51, here.followed = true, expect(RG_HELLO_FORGOTTEN, true, "had entry 51"); /* and nobody of this one cut it */
}
