/* base/bug/bug.h: faults planted on purpose, one at a time, to see that the simulator finds each (`sim --bug NAME`, tests/sim/bugs.py).
 * Only in builds with -Dbugs=true; in all others RG_BUG is false for the compiler, and nothing of it is left. */
#ifndef REGENT_BASE_BUG_BUG_H
#define REGENT_BASE_BUG_BUG_H

#include <stdbool.h>

/* X(name, what is wrong with it) */
#define RG_BUG_MAP(X) \
    /* the log */ \
    X(wal_no_sync, "a record is written, and not synced") \
    X(wal_name_no_sync, "a new segment's name is not synced") \
    X(wal_durable_early, "what was handed to the disk counts as durable") \
    X(wal_durable_cut, "a write counts as durable though it was truncated meanwhile") \
    X(wal_no_harden, "the last record is not written again when a log is opened") \
    X(wal_damage_is_torn, "a damaged record with valid ones behind it is cut like a torn one") \
    X(wal_truncate_unsaid, "a truncation is written as if it were none") \
    X(wal_delete_one_more, "one segment too many is deleted behind a snapshot") \
    X(wal_reset_early, "a reset is said to be done before it is on disk") \
    X(wal_reset_believed, "that the log was emptied for a snapshot is taken to be on disk when a start finds it") \
    X(wal_last_lost, "an opened log leaves out its last entry") \
    /* term, vote, promise */ \
    X(meta_one_slot, "one slot, written in place") \
    X(mark_late, "the mark is written after the metadata") \
    X(mark_unread, "what the mark says of an older directory is not looked at") \
    X(init_no_ask, "an instance is made without asking who has one") \
    X(init_no_yield, "of two nodes that make an instance at once, neither yields") \
    X(meta_no_sync, "the slots are written, and not synced") \
    /* snapshots */ \
    X(snap_no_sync, "a snapshot gets its name before it is on disk") \
    X(snap_name_no_sync, "a snapshot's name is not synced") \
    X(snap_row_lost, "the loader leaves out every 31st row of a chunk") \
    /* the state */ \
    X(state_hash_keeps_old, "a row that is replaced stays in the state's hash") \
    /* what is served */ \
    X(gate_open, "entries leave for learners before they are committed") \
    X(apply_early, "entries are applied before they are durable") \
    X(heavy_leaves_one, "what a lane deletes leaves one membership behind") \
    X(heavy_snapshot, "a snapshot is begun while a lane applies an entry") \
    X(apply_skips, "a node that lags marks every seventh entry as applied, and applies it not") \
    X(learner_confirms_early, "a learner confirms entries before they are on disk") \
    X(voter_trusts_log, "after a restart a voter among others shows all that it has on disk") \
    X(wait_early, "a wait is answered one entry early") \
    X(compact_all, "the log is compacted up to the snapshot, with nothing trailing") \
    X(append_untrimmed, "entries below the snapshot are not trimmed from a message") \
    X(install_takes_entries, "entries are taken while a snapshot is put in place") \
    X(install_shown_early, "a received snapshot is shown before the log stands on it") \
    X(term_not_saved, "term and vote of a received message are not saved") \
    X(wiped_taken, "a node that comes back with less than it had confirmed is taken") \
    X(standing_believed, "a node that started without proof of its memory asks nobody") \
    X(standing_leader_alone, "it asks the leader alone") \
    X(standing_cold_beside, "most have started together, and it asks no one who did not") \
    X(standing_takes_over, "who asks leads in the latest epoch that it is told of") \
    X(standing_unlevel, "it promises and votes before it has what it was told of") \
    X(standing_grants, "and believes that it granted nothing") \
    X(standing_not_void, "a promise counts although its giver has started anew since, as another promiser knows") \
    X(standing_waits_for_old, "a node that asks waits for members whose release cannot tell") \
    X(standing_waits_for_blank, "a member that lost its disk is waited for, for ever") \
    X(gone_unasked, "a node that hears no primary asks nobody whether its id was given up") \
    X(lives_taken, "start numbers are not compared") \
    X(history_unasked, "histories are not compared") \
    X(behind_volatile, "that somebody has what a primary lost is not known after a restart") \
    X(lives_volatile, "the start of a peer is not saved") \
    X(lives_believed, "a primary goes on counting what the life before of a region has granted") \
    /* policy and lease */ \
    X(ack_before_regions, "acknowledged before as many regions as the policy wants have it") \
    X(ack_before_lease, "acknowledged before as many regions as the lease wants have it") \
    X(lease_unneeded, "acknowledged without the lease") \
    X(lease_from_report, "the lease is counted from its report, not from the asking") \
    X(lease_tolerances, "all three tolerances the wrong way round") \
    X(lease_change_at_once, "a lease of fewer regions counts before every region knows of it") \
    X(grant_short, "a region takes what it granted for 10 % shorter than it is") \
    X(grant_forgotten, "a region that restarts forgets what it granted") \
    X(counts_at_once, "a region that is let in counts before the others know of it") \
    X(counts_dismissed, "a node whose row says that it is gone counts while its region is there") \
    /* promotions */ \
    X(promise_one_few, "one promise fewer than the lease wants") \
    X(promise_of_one_node, "a region promises when one of its nodes does") \
    X(promise_not_saved, "a promise is answered, and not saved") \
    X(promise_follows, "after a promise the old epoch is followed as before") \
    X(promotion_no_wait, "a promotion does not wait for what was granted") \
    X(promotion_behind, "a promotion does not mind that others have more") \
    X(epoch_next_one, "the next epoch is the one after the last known, whoever begins it") \
    X(epoch_led_early, "an epoch is led before its first entry is on disk") \
    X(epoch_unwritten_kept, "an epoch whose first entry was not written counts as begun after a restart") \
    X(epoch_unnoted, "where an epoch begins is not noted in the state") \
    X(raise_unanswered, "a primary raises its epoch though a member does not answer") \
    X(fence_not_noted, "a fence is not noted on disk") \
    X(hello_no_fence, "a primary is not fenced by the greeting of a later epoch") \
    /* hand-overs */ \
    X(commit_early, "COMMIT is sent before the old primary has the next epoch's entry on disk") \
    X(handover_over_promise, "a target begins an epoch before one that it has promised") \
    X(handover_unasked, "a target asks nobody whether another one was promoted meanwhile") \
    X(handover_not_resumed, "a primary that ceded and restarted does not go on with it") \
    /* voters, and what is kept for others */ \
    X(voters_uncarried, "the number of voters changes whoever lags") \
    X(retain_none, "no log is kept for a region that is given a snapshot") \
    /* who belongs to the cluster */ \
    X(claims_taken, "who began an epoch is not compared") \
    X(ids_unknown, "a node id is answered before other regions know of it") \
    X(ids_lowest, "a primary gives the id behind the highest, whoever else gives ids") \
    X(returned_at_once, "a node that came back is a member before enough know of it") \
    X(region_unverified, "a region is there as soon as it has caught up") \
    X(voter_goes_first, "a voter goes before whoever replaces it is level") \
    X(leader_prepared, "a node that came back and leads stays PREPARED") \
    X(removal_unjudged, "a node ends on the word of a primary that was replaced") \
    X(removal_unknown, "a node destroys itself though its own state does not say that it is removed") \
    X(forwarded_anything, "a region's node may ask the primary for any command") \
    X(gone_one_word, "one other's word is enough to take an id for given up") \
    X(ending_keeps_secrets, "a removed node keeps what is secret of it") \
    /* what is full, and fresh */ \
    X(room_unheard, "a primary does not mind that a region's state is full") \
    X(room_not_again, "an entry that had no room is not tried again") \
    X(fresh_unleased, "a primary without its lease says that it is fresh") \
    X(later_unheard, "a later epoch is not heard of whoever has an id that is another's here")

enum rg_bug {
    RG_BUG_none,
#define RG_BUG_ENUM(name, what) RG_BUG_##name,
    RG_BUG_MAP(RG_BUG_ENUM)
#undef RG_BUG_ENUM
};

#ifdef RG_BUGS
extern enum rg_bug rg_bug_planted; /* by the simulator, before anything runs */
#define RG_BUG(name) (rg_bug_planted == RG_BUG_##name)
#else
#define RG_BUG(name) ((void)RG_BUG_##name, false)
#endif

#endif
