/* Regions that come and go, and nodes that come back, by what the daemons do themselves. */
#include "crypto/digest.h"
#include "raft/member/giving.h"
#include "store/model/credential.h"
#include "tests/sim/story.h"

#define BUSY ((struct sim_range){500, 15000})

static bool is_member(struct sim *sim, unsigned at)
{
    unsigned leader = sim_leader(sim);

    return leader != SIM_NODES_MAX && rg_members_find(&sim->nodes[leader].node->members, sim->nodes[at].self.id) != NULL;
}

static bool counts(struct sim *sim, unsigned at)
{
    unsigned leader = sim_leader(sim);

    for (size_t i = 0; leader != SIM_NODES_MAX && i < sim->nodes[leader].node->n_peers; i++)
        if (sim->nodes[leader].node->peers[i].config.id == sim->nodes[at].self.id)
            return sim->nodes[leader].node->peers[i].counts;
    return false;
}

static bool is_up(struct sim *sim, unsigned at)
{
    return sim->nodes[at].alive && !sim->nodes[at].off;
}

static bool is_absent(struct sim *sim, unsigned at)
{
    return sim->nodes[at].absent && !sim->nodes[at].alive;
}

static bool within(struct sim *sim, uint64_t ms, unsigned at, bool (*is)(struct sim *sim, unsigned at), bool want)
{
    for (uint64_t end = sim->now_us + ms * 1000; !sim->failed && sim->now_us < end && is(sim, at) != want;)
        sim_run_ms(sim, 20);
    return is(sim, at) == want;
}

/* A region is added while writes go on, its primary restarts at some moment of it, and it is removed again. */
void sim_story_region_comes(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.spares = 1, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 20};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    sim_daemons_start(sim);
    sim_workload_start(sim, (struct sim_range){2000, 40000}, 50);
    sim_run_ms(sim, 500);
    sim_ask_region(sim, 4);
    EXPECT(sim, within(sim, 5000, 4, is_up, true) && !is_member(sim, 4));
    sim_ask_region(sim, 4);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 2500));
    if (seed % 3 == 0) {
        sim_crash(sim, 0);
        EXPECT(sim, sim_start(sim, 0));
        sim_run_ms(sim, 500);
        sim_ask_region(sim, 4); /* it may have been lost */
    }
    EXPECT(sim, within(sim, 10000, 4, counts, true));
    sim_ask_removal(sim, 4, seed % 4 == 0 ? SIM_REMOVAL_FORCED : SIM_REMOVAL_TOLD);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 0, 300));
    if (seed % 3 == 1) {
        sim_crash(sim, 0);
        EXPECT(sim, sim_start(sim, 0));
        sim_run_ms(sim, 500);
        sim_ask_removal(sim, 4, seed % 4 == 0 ? SIM_REMOVAL_FORCED : SIM_REMOVAL_TOLD); /* it may have been lost */
    }
    EXPECT(sim, within(sim, 10000, 4, is_member, false));
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim->nodes[4].absent && !sim->nodes[4].alive); /* it has ended itself */
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* Of three voters one loses its disk. It comes back as a learner, is filled, and only then takes the vote of the one it was: for as long as
 * filling takes no write is confirmed by fewer. */
void sim_story_voter_replaced(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3, .learners = 2, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 2000};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    unsigned leader = sim_leader(sim), wiped;
    uint64_t two_us = 0;
    bool whole = false;

    EXPECT(sim, leader < 3);
    if (sim->failed)
        return;
    sim_daemons_start(sim);
    sim_keeper_start(sim);
    sim_workload_start(sim, BUSY, 50);
    sim_run_ms(sim, 1500);
    leader = sim_leader(sim);
    wiped = leader == 0 ? 1 + (unsigned)(seed % 2) : 3 - leader; /* n1 would make an instance of its own */
    EXPECT(sim, wiped < 3 && sim_all_well(sim));
    if (sim->failed)
        return;
    sim_wipe_disk(sim, wiped);
    sim->nodes[wiped].lane_factor = rg_prng_between(&sim->prng, 1, 8);
    EXPECT(sim, sim_start(sim, wiped));
    for (unsigned i = 0; i < 2000 && !sim->failed && !whole; i++) {
        const struct rg_members *members;
        const struct rg_peer_config *now;
        size_t voters;

        sim_run_ms(sim, 10);
        leader = sim_leader(sim);
        if (leader == SIM_NODES_MAX)
            continue;
        members = &sim->nodes[leader].node->members;
        now = rg_members_find(members, sim->nodes[wiped].self.id);
        voters = rg_members_voters(members);
        two_us += voters < 3 ? 10000 : 0;
        EXPECT(sim, voters >= 2 && two_us < 4000000);
        EXPECT(sim, voters == 3 || (now != NULL && sim->nodes[wiped].node->state.applied.index > 0)); /* it is filled by then */
        whole = sim->nodes[wiped].self.id > 5 && now != NULL && now->role == RG_ROLE_VOTER && voters == 3;
    }
    EXPECT(sim, whole);
    sim_workload_stop(sim);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* A node whose row says REMOVED, though its region is there and it follows: a primary of a release before left it behind when it made its
 * own region stay. From that moment on it counts for nothing; it goes out of the configuration, is told, and ends. */
void sim_story_left_behind(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 200};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    uint64_t acked;

    sim_daemons_start(sim);
    if (seed % 4 < 2)
        sim_setting(sim, "lease", 2, NULL, 1000);
    else
        sim_setting(sim, "durability", 2, "refuse", 0);
    sim->lease_policy = seed % 4 < 2;
    sim_run_ms(sim, 1000);
    sim_crash(sim, 1);
    sim_run_ms(sim, 2500); /* what it granted is over: n3 and n4 are the two */
    acked = sim->acked;
    sim_write(sim, 5);
    sim_run_ms(sim, 500);
    EXPECT(sim, sim->acked == acked + 5 && counts(sim, 2) && counts(sim, 3));
    if (sim->failed)
        return;
    sim_node_row(sim, 2, "REMOVED");
    for (unsigned i = 0; i < 2000 && !sim->failed && counts(sim, 2); i++)
        sim_run_us(sim, 500);
    acked = sim->acked;
    EXPECT(sim, is_member(sim, 2) && !counts(sim, 2)); /* at once, not when it is out of the configuration */
    sim_write(sim, 5);
    EXPECT(sim, within(sim, 5000, 2, is_member, false));
    sim_run_ms(sim, 2000);
    EXPECT(sim, sim->acked == acked && counts(sim, 3));
    EXPECT(sim, within(sim, 10000, 2, is_absent, true));
    EXPECT(sim, sim_start(sim, 1) && within(sim, 5000, 1, is_up, true));
    sim_run_ms(sim, 2000);
    sim_write(sim, 5);
    sim_run_ms(sim, 1000);
    EXPECT(sim, sim->acked >= acked + 5);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* ---- beside a primary that was replaced ---- */

static void cut_sides(struct sim *sim, unsigned mask, bool cut)
{
    for (unsigned a = 0; a < sim->n_nodes; a++)
        for (unsigned b = a + 1; b < sim->n_nodes; b++)
            if (((mask >> a) & 1) != ((mask >> b) & 1))
                sim_cut(sim, a, b, cut);
}

/* n2 is promoted out of the old primary's hearing, with everybody's promise. */
static void replace(struct sim *sim)
{
    cut_sides(sim, 1, true);
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_failover(sim, 1, false, 20000) == RG_OK);
    sim_run_ms(sim, 500);
}

/* A region that granted the next primary a lease loses its disk, and reaches the old primary alone. It is given no id there, since nobody
 * else would know of it. By a primary of a release before it is let in: it counts for nothing. The old primary acknowledges nothing. */
void sim_story_returned_granter(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 200, .old_ids = seed % 4 < 2};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    uint64_t acked;

    sim_daemons_start(sim);
    sim_setting(sim, "lease", 1, NULL, 1000);
    sim_run_ms(sim, 1000);
    sim->lease_policy = true;
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    replace(sim);
    sim_wipe_disk(sim, 2);
    sim_crash(sim, 1);
    sim_cut(sim, 1, 2, true);
    sim_cut(sim, 0, 2, false);
    sim_kill(sim, 0); /* and it knows that it has forgotten nothing */
    EXPECT(sim, sim_start(sim, 0) && sim_start(sim, 2));
    acked = sim->acked;
    for (unsigned i = 0; i < 60 && !sim->failed; i++) {
        sim_write(sim, 1);
        sim_run_ms(sim, 100);
    }
    EXPECT(sim, p.old_ids ? sim->nodes[2].self.id > 3 && is_member(sim, 2) && !counts(sim, 2) : sim->nodes[2].self.id == 3);
    EXPECT(sim, sim->acked == acked);
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0);
}

/* What a primary says that was replaced ends nobody who has promised to follow the next one. */
void sim_story_told_by_old(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 200};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    sim_daemons_start(sim);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    cut_sides(sim, 1, true);
    sim_run_ms(sim, 2500);
    sim_ask_failover(sim, 1, false);
    for (unsigned i = 0; i < 2000 && !sim->failed && sim->nodes[3].node->meta.promised == 0; i++)
        sim_run_us(sim, 500);
    EXPECT(sim, sim->nodes[3].node->meta.promised == 2);
    cut_sides(sim, 1 | 8, true); /* n4, which hears nothing of what comes of its promise */
    sim_cut(sim, 0, 3, false);
    sim_run_ms(sim, 1000);
    EXPECT(sim, sim_leader(sim) == 1);
    sim_crash(sim, 1);
    sim_ask_removal(sim, 3, SIM_REMOVAL_TOLD);
    sim_run_ms(sim, 4000);
    EXPECT(sim, sim_leader(sim) == 0 && sim->nodes[3].alive && !sim->nodes[3].absent);
    sim_heal(sim);
    EXPECT(sim, sim_start(sim, 1));
    sim_run_ms(sim, 3000);
    sim_settle(sim);
}

static void lie_to_all(struct sim *sim, unsigned liar)
{
    static const uint64_t epochs[] = {1, 2, 1026, UINT32_MAX, UINT64_C(1) << 40, INT64_MAX};

    for (unsigned i = 0; i < 12 && !sim->failed; i++) {
        for (unsigned to = 0; to < sim->n_nodes; to++)
            if (to != liar)
                sim_lie_removed(sim, liar, to, epochs[i % RG_LEN(epochs)]);
        sim_run_ms(sim, 100);
    }
}

static const uint8_t lie[RG_SHA256_BYTES] = {1}; /* hash of its token */

/* Messages that it may send to nobody: promises of epochs that are not its own, or the last there are, and an administrator of its own. */
static void send_lies(struct sim *sim, unsigned liar)
{
    static const uint64_t epochs[] = {UINT32_MAX, UINT32_MAX - 1023, UINT64_C(4096) * 1024, 1025, 2};
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&cmd, 4096);
    rg_buf_init(&out, RG_MSG_BYTES_MAX);
    for (unsigned i = 0; i < 20 && !sim->failed; i++) {
        struct rg_msg m = {.type = RG_MSG_FENCE, .fence = {.number = i, .epoch = epochs[i % RG_LEN(epochs)]}};

        rg_buf_clear(&out);
        if (i % 2 == 1) {
            rg_cmd_begin(&cmd, RG_CMD_CREDENTIAL_PUT, 1, rg_span_str("a liar"));
            rg_tlv_put(&cmd, RG_F_TOKEN_SHA256, rg_span(lie, sizeof lie));
            rg_tlv_put_str(&cmd, RG_F_NAME, "a lie");
            rg_tlv_put_str(&cmd, RG_F_ROLE, "admin");
            m = (struct rg_msg){.type = RG_MSG_PROPOSE, .propose = {.number = i, .cmd = rg_buf_span(&cmd)}};
        }
        rg_rpc_encode(&m, &out);
        for (unsigned to = 0; to < sim->n_nodes; to++)
            if (to != liar)
                (void)sim_io_send(&sim->nodes[liar].io, sim->nodes[to].self.id, rg_buf_span(&out));
        sim_run_ms(sim, 50);
    }
}

static bool knows_lie(const struct sim_node *n)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_credential c;

    RG_ASSERT(rg_txn_begin(n->store, RG_TXN_READ, &txn) == RG_OK);
    return rg_credential_by_token(txn, lie, &c) == RG_OK;
}

/* Nobody has ended, nobody has made it an administrator, and nobody has promised anything but what people declared (up to that epoch). */
static bool nobody_heeds(const struct sim *sim, uint64_t declared)
{
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        const struct sim_node *n = &sim->nodes[i];

        if (n->absent || (n->alive && (n->node->meta.promised > declared || knows_lie(n))))
            return false;
    }
    return true;
}

/* A region's node is taken over by somebody who wants the others' end, or detached for good, or to be their administrator: with the primary there, while it is gone, while another one is
 * promoted, and when the first comes back. */
void sim_story_lying_member(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 200};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    unsigned liar = 2;

    sim_daemons_start(sim);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    lie_to_all(sim, liar);
    send_lies(sim, liar);
    EXPECT(sim, nobody_heeds(sim, 0) && sim_leader(sim) == 0);
    sim_crash(sim, 0);
    sim_run_ms(sim, 2500);
    lie_to_all(sim, liar);
    send_lies(sim, liar);
    EXPECT(sim, nobody_heeds(sim, 0) && sim_failover(sim, 1, false, 20000) == RG_OK);
    lie_to_all(sim, liar);
    send_lies(sim, liar);
    EXPECT(sim, sim_start(sim, 0));
    lie_to_all(sim, liar);
    sim_run_ms(sim, 3000);
    lie_to_all(sim, liar);
    EXPECT(sim, nobody_heeds(sim, 2) && sim_leader(sim) == 1);
    sim_settle(sim);
    EXPECT(sim, nobody_heeds(sim, 2));
}

/* Told, marked, destroyed: interrupted at any operation, again and again. */
void sim_story_removed_killed(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 2, .snapshot_entries = seed % 2 ? 30 : 0, .trailing = 200};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    struct sim_node *n = &sim->nodes[2];

    sim_daemons_start(sim);
    sim_write(sim, 60);
    sim_run_ms(sim, 500);
    sim_put_secrets(n);
    n->ends_every = (unsigned)rg_prng_between(&sim->prng, 2, 40);
    sim_ask_removal(sim, 2, SIM_REMOVAL_TOLD);
    for (unsigned i = 0; i < 600 && !n->absent && !sim->failed; i++)
        sim_run_ms(sim, 100);
    EXPECT(sim, n->absent && !n->alive);
    n->ends_every = 0;
    sim_settle(sim);
    EXPECT(sim, sim->lost == 0 && !sim->nodes[0].absent && !sim->nodes[1].absent);
}

/* On either side of a partition a region loses its disk, and is given the next id by the primary that it hears. The one of the later epoch
 * hands over to it. When the old primary hears of nobody but that one, whom it takes for the other: it is fenced all the same. */
void sim_story_id_twice(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 3, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 200, .old_ids = true};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    sim_daemons_start(sim);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    cut_sides(sim, 1 | 4, true); /* n1 and n3 | n2 and n4 */
    sim_run_ms(sim, 2500);
    sim_wipe_disk(sim, 2);
    EXPECT(sim, sim_start(sim, 2) && sim_failover(sim, 1, false, 20000) == RG_OK);
    for (unsigned i = 0; i < 80 && !sim->failed && sim->nodes[2].self.id == 3; i++)
        sim_run_ms(sim, 100);
    sim_wipe_disk(sim, 3);
    EXPECT(sim, sim_start(sim, 3));
    for (unsigned i = 0; i < 80 && !sim->failed && (sim->nodes[3].self.id == 4 || !is_member(sim, 3)); i++)
        sim_run_ms(sim, 100);
    EXPECT(sim, sim->nodes[2].self.id == 5 && sim->nodes[3].self.id == 5);
    sim_run_ms(sim, 1500);
    EXPECT(sim, sim_leader(sim) == 1 && sim_handover(sim, 3, 15000) == RG_OK);
    sim_run_ms(sim, 500);
    sim_crash(sim, 1);
    sim_heal_links(sim);
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim_leader(sim) == 3 && !sim->nodes[0].node->leading);
    sim_settle(sim);
}

static bool has_new_id(struct sim *sim, unsigned at)
{
    return sim->nodes[at].self.id != at + 1 && is_up(sim, at) && sim->nodes[at].node->state.applied.index > 0;
}

/* The one side's guest, and then the other's, take over. */
static void promote_guest(struct sim *sim, unsigned primary, unsigned guest)
{
    sim_crash(sim, primary);
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_failover(sim, guest, true, 20000) == RG_OK);
}

/* A primary that does not know that it was replaced, and the one that replaced it, are each asked by a region that lost its disk. Without a
 * policy both give an id, and not the same; both guests take over, each in an epoch of its own. Under one the old primary gives none: nobody
 * else would know of it. The other one does once another region has it. */
void sim_story_ids_apart(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 4, .snapshot_entries = seed % 2 ? 50 : 0, .trailing = 200};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    bool policy = seed % 4 < 2;

    sim_daemons_start(sim);
    if (policy && seed % 8 < 4)
        sim_setting(sim, "lease", 1, NULL, 1000);
    else if (policy)
        sim_setting(sim, "durability", 1, "refuse", 0);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    cut_sides(sim, 1 | 4, true); /* n1 and n3 | n2, n4 and n5 */
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_failover(sim, 1, policy, 20000) == RG_OK);
    sim_run_ms(sim, 1500);
    sim_wipe_disk(sim, 2);
    sim_wipe_disk(sim, 3);
    EXPECT(sim, sim_start(sim, 2) && sim_start(sim, 3));
    EXPECT(sim, within(sim, 10000, 3, has_new_id, true));
    EXPECT(sim, within(sim, policy ? 3000 : 10000, 2, has_new_id, !policy));
    if (!policy)
        EXPECT(sim, sim->nodes[2].self.id != sim->nodes[3].self.id);
    sim_run_ms(sim, 1500);
    if (!policy) {
        promote_guest(sim, 0, 2);
        promote_guest(sim, 1, 3);
        sim_run_ms(sim, 500);
        EXPECT(sim, sim->nodes[2].node->leading && sim->nodes[3].node->leading);
    }
    sim_heal(sim);
    for (unsigned at = 0; at < 2; at++)
        EXPECT(sim, sim->nodes[at].alive || sim_start(sim, at));
    sim_run_ms(sim, 3000);
    sim_settle(sim);
}

/* Whether a node has refused another one, since they know of two who began the epoch. */
static bool knows_rival(struct sim *sim, unsigned at, uint64_t id, uint64_t epoch)
{
    const struct rg_node_status s = status_of(sim, at);

    for (size_t i = 0; i < s.n_peers; i++)
        if (s.peers[i].id == id)
            return s.peers[i].rival_epoch == epoch;
    return false;
}

/* Two primaries, neither of which knows of the other, give n3 and n4 the same id. */
static void give_twice(struct sim *sim)
{
    sim_daemons_start(sim);
    sim_write(sim, 10);
    sim_run_ms(sim, 500);
    cut_sides(sim, 1 | 4 | 32, true); /* n1, n3 and n6 | n2, n4 and n5 */
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_failover(sim, 1, true, 20000) == RG_OK);
    sim_run_ms(sim, 500);
    sim_wipe_disk(sim, 2);
    sim_wipe_disk(sim, 3);
    EXPECT(sim, sim_start(sim, 2) && sim_start(sim, 3));
    EXPECT(sim, within(sim, 10000, 2, has_new_id, true) && within(sim, 10000, 3, has_new_id, true));
    EXPECT(sim, sim->nodes[2].self.id == sim->nodes[3].self.id);
    sim_run_ms(sim, 1500);
}

/* Both begin the epoch of that number: two logs that differ at the same index and term. Whoever follows the one takes nothing of whoever
 * follows the other. Then one of the followers is promoted: the other one is fenced by it, and its entries are not taken for those that it
 * lacks. */
static void begin_twice(struct sim *sim, uint64_t seed)
{
    unsigned next = seed % 3 == 0 ? 5 : 4, other = next == 5 ? 4 : 5;
    uint64_t id = sim->nodes[2].self.id;

    sim->twice_epoch = id;
    promote_guest(sim, 0, 2);
    promote_guest(sim, 1, 3);
    EXPECT(sim, sim->nodes[2].node->leading && sim->nodes[3].node->leading && sim->nodes[2].node->meta.term == sim->nodes[3].node->meta.term);
    EXPECT(sim, rg_epoch_of(sim->nodes[2].node->meta.term) == id);
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 300, 2000));
    sim_workload_stop(sim);
    sim_run_ms(sim, 500);
    if (seed % 5 == 0) { /* what it knows of the epoch is on its disk */
        sim_crash(sim, other);
        EXPECT(sim, sim_start(sim, other));
    }
    sim_heal_links(sim);
    sim_run_ms(sim, 1500);
    EXPECT(sim, knows_rival(sim, 4, 6, id) && knows_rival(sim, 5, 5, id));
    EXPECT(sim, sim->nodes[4].alive && !sim->nodes[4].stopped && sim->nodes[5].alive && !sim->nodes[5].stopped);
    sim_crash(sim, 2);
    sim_crash(sim, 3);
    sim_run_ms(sim, 2500);
    EXPECT(sim, sim_failover(sim, next, true, 20000) == RG_OK);
    sim_write(sim, 5);
    EXPECT(sim, within(sim, 10000, other, has_new_id, true));
    for (unsigned at = 0; at < 4; at++)
        EXPECT(sim, sim->nodes[at].alive || sim_start(sim, at));
    sim_run_ms(sim, 3000);
    sim_settle(sim);
}

/* Primaries of a release before, which give the id behind the highest. */
void sim_story_epoch_twice(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 5, .snapshot_entries = seed % 2 ? 20 : 0, .trailing = seed % 4 < 2 ? 8 : 200, .old_ids = true};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);

    give_twice(sim);
    EXPECT(sim, sim->nodes[2].self.id == 7);
    begin_twice(sim, seed);
}

static bool binds(struct sim *sim, uint64_t id, const struct rg_incarnation *directory)
{
    unsigned leader = sim_leader(sim);
    struct rg_incarnation bound;

    if (leader == SIM_NODES_MAX)
        return false;
    bound = rg_members_incarnation(&sim->nodes[leader].node->members, id);
    return rg_incarnation_equal(&bound, directory);
}

/* Without a policy nothing makes two primaries meet, and the hash by which each picks an id may pick the same one. What then holds: both lead
 * with it, and nothing is mixed; or neither does, and when the sides meet the id is the directory's that the later epoch let in. The other
 * one is nobody's peer. */
void sim_story_ids_collide(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.learners = 5, .snapshot_entries = seed % 2 ? 20 : 0, .trailing = seed % 4 < 2 ? 8 : 200, .ids_collide = true};
    struct sim *sim = *ret_sim = sim_takeovers_begin(seed, &p, trace);
    uint64_t id;

    give_twice(sim);
    id = sim->nodes[2].self.id;
    EXPECT(sim, id > RG_GIVING_LOW_MAX && is_member(sim, 3));
    if (sim->failed)
        return;
    if (seed % 3 > 0) {
        begin_twice(sim, seed);
        return;
    }
    sim_workload_start(sim, BUSY, 0);
    sim_run_ms(sim, rg_prng_between(&sim->prng, 300, 2000));
    sim_workload_stop(sim);
    if (seed % 2 == 0) /* it meets them while its own primary is gone */
        sim_crash(sim, 0);
    sim_heal_links(sim);
    sim_run_ms(sim, 3000);
    EXPECT(sim, sim->nodes[0].alive || sim_start(sim, 0));
    sim_settle(sim);
    EXPECT(sim, sim->nodes[3].self.id == id && is_up(sim, 3) && binds(sim, id, &sim->nodes[3].node->meta.incarnation));
    EXPECT(sim, sim->nodes[2].absent || sim->nodes[2].self.id != id); /* people took it for gone, or it asked again by the id that its file has */
}
