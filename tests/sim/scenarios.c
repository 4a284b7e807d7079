/* Which world, workload and faults meet. Each story runs for any seed; the named ones show one rule of RAFT.md. */
#include "tests/sim/stories_identity.h"
#include "tests/sim/stories_members.h"

#define BUSY ((struct sim_range){500, 20000})
#define IDLE ((struct sim_range){50000, 400000})
#define ALL_FAULTS                                                                                                     \
    (SIM_CRASH | SIM_PARTITION | SIM_RESET | SIM_SLOW_DISK | SIM_ORDERLY | SIM_SNAPSHOT | SIM_VOTERS_TOO | SIM_KILL | \
     SIM_FUSE)

struct sim *sim_begin(uint64_t seed, const struct sim_params *params, bool trace)
{
    struct sim *sim = sim_new(seed, params, trace);

    for (unsigned i = 0; i < sim->n_nodes; i++)
        if (!sim->nodes[i].absent && !sim_start(sim, i))
            sim_fail(sim, "n%u does not start: %s", i + 1, sim->nodes[i].stop_text);
    return sim;
}

/* ---- no faults ---- */

static void run_calm(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){0}, trace);

    sim_run_ms(sim, 300);
    sim_workload_start(sim, BUSY, 200);
    sim_run_ms(sim, 3000);
    sim_converge(sim, 3000);
    if (!sim->failed && sim->acked < 300)
        sim_fail(sim, "only %llu writes in three calm seconds", (unsigned long long)sim->acked);
}

static void run_faults(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {0};
    struct sim *sim;
    struct rg_prng draw;

    rg_prng_init(&draw, seed ^ 0x5eed);
    p.learners = (unsigned)rg_prng_between(&draw, 1, 3);
    p.pump_late_per_mille = rg_prng_chance(&draw, 1, 2) ? 100 : 0;
    p.disk.lo = rg_prng_between(&draw, 100, 2000);
    p.disk.hi = p.disk.lo * rg_prng_between(&draw, 2, 20);
    p.network.lo = rg_prng_between(&draw, 100, 20000);
    p.network.hi = p.network.lo * rg_prng_between(&draw, 1, 4);
    p.snapshot_entries = rg_prng_chance(&draw, 1, 2) ? rg_prng_between(&draw, 40, 400) : 0;
    p.trailing = rg_prng_between(&draw, 16, 200);
    p.link_queue_bytes = rg_prng_chance(&draw, 1, 3) ? rg_prng_between(&draw, 300, 20000) : 0;
    p.batch_max = rg_prng_chance(&draw, 1, 4) ? 3 : 0;
    p.big_groups = rg_prng_chance(&draw, 1, 4);
    sim = *ret_sim = sim_begin(seed, &p, trace);
    sim_run_ms(sim, 200);
    sim_workload_start(sim, BUSY, 100);
    sim_faults(sim, ALL_FAULTS, 60, 6000);
    sim_converge(sim, 30000);
}

/* Three voters in the first region elect each other; learners elsewhere. */
static void run_voters(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim_params p = {.voters = 3};
    struct sim *sim;
    struct rg_prng draw;

    rg_prng_init(&draw, seed ^ 0x707e);
    p.learners = (unsigned)rg_prng_between(&draw, 1, 2);
    p.snapshot_entries = rg_prng_chance(&draw, 1, 2) ? rg_prng_between(&draw, 60, 300) : 0;
    p.trailing = rg_prng_between(&draw, 30, 200);
    p.big_groups = rg_prng_chance(&draw, 1, 4);
    sim = *ret_sim = sim_begin(seed, &p, trace);
    sim_run_ms(sim, 3000);
    sim_workload_start(sim, BUSY, 100);
    sim_faults(sim, ALL_FAULTS, 150, 8000);
    sim_converge(sim, 40000);
}

/* Few writes, so that timers, probes and readiness matter more than the stream. */
static void run_idle(uint64_t seed, bool trace, struct sim **ret_sim)
{
    struct sim *sim = *ret_sim = sim_begin(seed, &(struct sim_params){.snapshot_entries = 10, .trailing = 4}, trace);

    sim_run_ms(sim, 200);
    sim_workload_start(sim, IDLE, 300);
    sim_faults(sim, ALL_FAULTS, 100, 8000);
    sim_converge(sim, 30000);
}

const struct sim_scenario sim_scenarios[] = {
    {"calm", "no faults: everything is written, applied everywhere, answered", 1, run_calm},
    {"faults", "one voter, learners, every fault there is", 10, run_faults},
    {"idle", "the same with few writes and many snapshots", 4, run_idle},
    {"voters", "three voters and learners, every fault", 4, run_voters},
    {"gate-on", "rule 9: a primary loses an unsynced tail; no learner ever had it", 1, sim_story_gate_on},
    {"gate-off", "rule 9: without the gate a learner shows what was never committed", 1, sim_story_gate_off},
    {"fence", "rule 8: a peer of a later epoch fences the primary, for good", 1, sim_story_fence},
    {"lost-data", "rule 10: learners ahead of the primary: alarm, no writes", 1, sim_story_lost_data},
    {"wiped", "rule 11: a wiped node is refused under the id that had data", 1, sim_story_wiped},
    {"snapshot-promoted", "a region is promoted while it receives a snapshot of the dead primary: what it acknowledges stays", 2,
     sim_story_snapshot_promoted},
    {"snapshot-refused", "another region is promoted meanwhile: what was lost is neither shown nor handed on", 2,
     sim_story_snapshot_refused},
    {"snapshot-installed", "crashes at any step of putting a received snapshot in place", 2, sim_story_snapshot_installed},
    {"snapshot-unproved", "a snapshot that the log does not have is never used, and never deleted", 1, sim_story_snapshot_unproved},
    {"snapshot-rot", "the newest snapshot is damaged: the one before takes over, with the log", 2, sim_story_snapshot_rot},
    {"snapshot-starve", "a region with a slow disk is given one snapshot under load, not one after the other", 2,
     sim_story_snapshot_starve},
    {"install-serves", "while a snapshot is loaded, reads, leases and heartbeats go on; then it is there, whole", 2, sim_story_install_serves},
    {"install-killed", "a process ends, power fails, at any moment of a load and any operation of what follows", 3, sim_story_install_killed},
    {"install-unsynced", "a process ends before a sync while a snapshot is put in place, and power fails in the next one's start", 5, sim_story_install_unsynced},
    {"install-promoted", "somebody takes over while a snapshot is loaded: the state that serves goes on, at once", 2,
     sim_story_install_promoted},
    {"install-newer", "the primary goes on and forgets its log while a snapshot is loaded", 1, sim_story_install_newer},
    {"install-held", "a read holds the state before the last one: the next snapshot waits for it", 1, sim_story_install_held},
    {"install-full", "a snapshot that does not fit beside the state that serves is refused and said", 1, sim_story_install_full},
    {"snapshot", "rules 14, 15: a transfer is resumed, and entries for others pass by", 2, sim_story_snapshot},
    {"orphan", "a learner restarts without a primary and shows all it showed", 2, sim_story_orphan},
    {"full-disk", "a full log disk: the primary refuses in time, a replica serves on; by itself again with room", 2, sim_story_full_disk},
    {"full-leader", "the same at the leader of three voters: one with room leads instead", 2, sim_story_full_leader},
    {"state-full", "memory for the state runs out somewhere: refused before anything stops, deletions go on", 2, sim_story_state_full},
    {"apply-stopped", "an entry without room: reads go on, and by themselves the rest, with room", 1, sim_story_apply_stopped},
    {"bad-sync", "rule 4: a failed write or sync stops the node", 2, sim_story_bad_sync},
    {"bit-flip", "rule 16: a flipped bit is refused, never repaired", 8, sim_story_bit_flip},
    {"diverged", "a state that differs is noticed on both sides", 1, sim_story_diverged},
    {"propagation", "an isolated write reaches all learners without waiting for a heartbeat", 1, sim_story_propagation},
    {"members", "a learner is added, another removed, under load and restarts", 2, sim_story_members},
    {"forward", "writes of a region, carried to the primary: one outcome each", 1, sim_story_forward},
    {"switchover", "planned hand-overs under load, 100 ms links: nothing lost, nobody stopped", 3, sim_story_switchover},
    {"switchover-faults", "a crash or a cut at any step of a hand-over: one of the two leads, by itself", 6,
     sim_story_switchover_faults},
    {"switchover-voters", "three voters hand over to another region", 2, sim_story_switchover_voters},
    {"failover", "the primary dies, the most advanced region takes over, the old one is fenced", 4, sim_story_failover},
    {"failover-isolated", "the old primary lives on, cut off", 3, sim_story_failover_isolated},
    {"failover-twice", "two promotions at once, on both sides of a partition: two epochs", 3, sim_story_failover_twice},
    {"lease", "a write lease: no two primaries acknowledge at once, nothing acknowledged is lost", 3, sim_story_lease},
    {"switchover-race", "a switchover and a promotion on two sides of a partition, under a lease", 3, sim_story_switchover_race},
    {"switchover-crash", "the primary dies while it hands over, another is promoted, it comes back", 2, sim_story_switchover_crash},
    {"switchover-gone", "the target dies past the hand-over point: the old primary is promoted", 2, sim_story_switchover_gone},
    {"lease-nodes", "a region of several nodes on both sides of a partition, under a lease", 2, sim_story_lease_nodes},
    {"lease-return", "a region is let in while those that matter do not hear of it", 2, sim_story_lease_return},
    {"takeovers", "hand-overs, promotions, crashes, partitions, returns, in any order", 8, sim_story_takeovers},
    {"promises", "a candidate out of the primary's hearing, promisers within it, confirmations as long on their way as a lease", 14,
     sim_story_promises},
    {"promise-forgotten", "a region whose metadata went back to before its grants promises: its primary counts none of them any more", 8,
     sim_story_promise_forgotten},
    {"raise-voters", "the same among three voters: the primary raises its epoch alone, then they are three again", 2, sim_story_raise_voters},
    {"raise-beside", "a primary that does not hear who began the promised epoch raises none above it", 1, sim_story_raise_beside},
    {"lease-lowered", "a lease of fewer regions, which those that promise do not hear of", 1, sim_story_lease_lowered},
    {"handover-promised", "the target of a hand-over has promised itself to a promotion", 1, sim_story_handover_promised},
    {"handover-late", "the target of a hand-over follows a promotion in an earlier epoch, and lacks some of it", 1, sim_story_handover_late},
    {"snapshot-first", "a snapshot before the first write, a restart, a region that is added", 1, sim_story_snapshot_first},
    {"raise-joining", "a region that is still being filled promises an epoch that nobody begins", 1, sim_story_raise_joining},
    {"storm", "faults, promotions, hand-overs, returns: all beside each other", 10, sim_story_storm},
    {"storm-transfers", "the same while snapshots are on their way", 5, sim_story_storm_transfers},
    {"storm-disks", "the same while disks run full, or hang, for a while, and the memory for states is short", 4, sim_story_storm_disks},
    {"storm-regions", "the same while regions come and go, and disks are lost: daemons let in, fill, tell, forget", 8, sim_story_storm_regions},
    {"storm-directories", "the same while disks are lost, set back, exchanged, copied, and old ones put back", 8, sim_story_storm_directories},
    {"storm-roles", "the same while voters come and go", 0, sim_story_storm_roles},
    {"storm-voters", "the same with three voters", 0, sim_story_storm_voters},
    {"starts", "a node dies at each of the first operations of a start, and comes up", 6, sim_story_starts},
    {"tails", "leaders of three voters are cut off with a tail that is cut, again and again", 4, sim_story_tails},
    {"stale-voter", "a deposed voter has more entries, of an earlier term: whoever has the later one goes first", 1, sim_story_stale_voter},
    {"role-gate", "a learner becomes a voter while writes are under way, and power fails: it holds nothing that is not committed", 2,
     sim_story_role_gate},
    {"second-voter", "from one voter to two, and the line breaks, or power fails: one leads again by itself, and only one", 4,
     sim_story_second_voter},
    {"third-voter", "from two voters to three, and the first loses the entry: it leads alone, and nobody beside it", 2,
     sim_story_third_voter},
    {"unaware-voter", "a voter that lags does not know that it votes: no quorum is given up for it", 1, sim_story_unaware_voter},
    {"keeper", "the number of voters is kept beside kills, cuts and power failures", 4, sim_story_keeper},
    {"keeper-two", "two of three nodes: there is no second voter, and either may die", 1, sim_story_keeper_two},
    {"keeper-gone", "a voter is gone for long: the number goes down, and up again when it is back", 1, sim_story_keeper_gone},
    {"handover-voters", "three voters, and a hand-over is given up: they vote again, but never two", 2, sim_story_handover_voters},
    {"wiped-replica", "a replica's disk is lost: nobody takes it back under its id, whoever restarts; it comes back under a new one", 2,
     sim_story_wiped_replica},
    {"wiped-granter", "an old primary gets no new lease out of a region that lost its disk", 2, sim_story_wiped_granter},
    {"wiped-voter", "a voter that lost its disk elects nobody", 2, sim_story_wiped_voter},
    {"set-back", "a replica's disk is set back to an old image: its primary knows, it is fenced and comes back under a new id", 1,
     sim_story_set_back},
    {"dir-back", "a data directory alone is set back: the machine's mark knows at once, whoever is there, and the node comes back under a new id", 2,
     sim_story_dir_back},
    {"mark-first", "a crash between the mark and the metadata: nobody has forgotten anything", 2, sim_story_mark_first},
    {"mark-lost", "the mark is lost, or rots: the node goes on, says so, and has one again", 1, sim_story_mark_lost},
    {"meta-gone", "a log without metadata is refused, and nothing of it is touched", 1, sim_story_meta_gone},
    {"set-back-start", "the same with nothing lost but a start, and a primary that was restarted: any peer has noted it", 2,
     sim_story_set_back_start},
    {"given-up", "a whole machine is set back to an id that it has given up: it serves nothing, and comes back under a new one", 2,
     sim_story_given_up},
    {"clone", "a copy of a running replica's disk is started beside it: one of the two acts, the other ends for good", 4, sim_story_clone},
    {"primary-lost", "a primary loses its disk while its replicas are away: it makes nothing, and they still have everything", 2,
     sim_story_primary_lost},
    {"member-lost", "a node comes back empty: it was a member, and is let in under a new id", 2, sim_story_member_lost},
    {"made-once", "an instance is made when somebody says so, and every peer has answered", 1, sim_story_made_once},
    {"made-by-many", "several are told to make it, processes end, lines are cut: one comes of it, never two", 5, sim_story_made_by_many},
    {"two-histories", "an instance was made twice, and their nodes meet: neither takes anything of the other, and both say so", 2,
     sim_story_two_histories},
    {"swapped", "two nodes with each other's disk start neither", 1, sim_story_swapped},
    {"bound", "ids are bound to data directories once every node says which it has", 2, sim_story_bound},
    {"wipes", "disks lost beside promotions, hand-overs, crashes and cuts, under a lease", 4, sim_story_wipes},
    {"region-comes", "a region is added under load, its primary restarting meanwhile, and removed: its node ends itself", 2, sim_story_region_comes},
    {"left-behind", "a node whose row says REMOVED counts for nothing from that moment on, though its region is there: it goes, and ends", 2, sim_story_left_behind},
    {"voter-replaced", "of three voters one loses its disk: whoever replaces it is filled before the old one goes", 2, sim_story_voter_replaced},
    {"returned-granter", "a region comes back at a primary that was replaced: it grants it nothing", 2, sim_story_returned_granter},
    {"told-by-old", "a primary that was replaced removes a region: its node, which has promised the next epoch, does not end", 1, sim_story_told_by_old},
    {"lying-member", "a region's node tells all others that they are removed, wants promises of epochs that are not its own, and asks for what is not its to ask", 1, sim_story_lying_member},
    {"removed-killed", "a region's node that is removed is killed, and loses power, at any operation of its end: nothing of it counts again", 6, sim_story_removed_killed},
    {"id-twice", "two primaries give away the same id, and whoever has it takes over: the other one is fenced by it", 1, sim_story_id_twice},
    {"ids-apart", "a primary that was replaced, and the one that replaced it, give ids at the same time: never the same one", 4, sim_story_ids_apart},
    {"ids-collide", "two primaries without a policy give the same id, as the hash has it: nothing of the one history is taken for the other's", 2, sim_story_ids_collide},
    {"epoch-twice", "two nodes of one id begin the same epoch: nothing of the one history is taken for the other's", 2, sim_story_epoch_twice},
    {"back-promised", "a machine is set back to before its region promised itself: the old primary counts nothing of it", 2,
     sim_story_back_promised},
    {"back-granted", "the same of a lease that it granted: nobody is promoted beside it", 2, sim_story_back_granted},
    {"back-leased", "a machine is set back to before a lease: a promotion waits for what it may have granted", 1, sim_story_back_leased},
    {"back-confirmed", "a machine is set back behind what it alone has confirmed, and the primary dies: nobody is promoted, and nothing is lost", 2,
     sim_story_back_confirmed},
    {"back-voter", "of three voters one is set back behind what it has confirmed: it elects nobody who lacks that", 4,
     sim_story_back_voter},
    {"back-primary", "a primary is set back, and who knows is away: it does not lead", 2, sim_story_back_primary},
    {"back-void", "a promise of one that is set back meanwhile counts for nothing", 2, sim_story_back_void},
    {"back-alone", "a machine is set back and nobody is there: reads go on, and nothing rests on it", 1, sim_story_back_alone},
    {"blank-beside", "a machine is rebooted while one that it must hear has lost its disk: they go on by themselves", 1, sim_story_blank_beside},
    {"power-cut", "power fails everywhere, and all come back, or most: they go on by themselves", 3, sim_story_power_cut},
    {"upgraded", "a machine is rebooted while other members run a release that cannot say what they know: it acts as by that release", 2,
     sim_story_upgraded},
    {"vouched", "an administrator vouches for a machine that nobody knows anything of", 1, sim_story_vouched},
    {"hung-disk", "rule 4: a disk that does not answer: the node stops after 10 s, and another one goes on", 2, sim_story_hung_disk},
    {"heavy", "a big group is deleted, and it takes longer than leases, links and elections: nothing else waits for it", 2, sim_story_heavy},
    {"heavy-faults", "a node dies, is suspended, takes a snapshot or is cut off while it applies what takes long", 3, sim_story_heavy_faults},
    {"heavy-takeovers", "promotions and hand-overs while somebody applies what takes long", 3, sim_story_heavy_takeovers},
    {"heavy-full", "what takes long meets a state without room: it waits for some, and goes on by itself", 1, sim_story_heavy_full},
    {"conflict", "rule 18: entries that were applied are never replaced: the node is fenced, and comes back under a new id", 1, sim_story_conflict},
};
const size_t sim_scenarios_n = RG_LEN(sim_scenarios);
