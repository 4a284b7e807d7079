/* tests/sim/stories_identity.h: stories of data directories: wiped, swapped, from a release that knew of none. */
#ifndef REGENT_SIM_STORIES_IDENTITY_H
#define REGENT_SIM_STORIES_IDENTITY_H

#include "tests/sim/world.h"

/** A copy of the node's disk; then that in the place of what it has, its power having failed: it is set back. */
struct simdisk *sim_image(struct sim *sim, unsigned at);
void sim_set_back(struct sim *sim, unsigned at, struct simdisk *image);
/** The node's disk is empty, and it starts again under its id. False: it refuses to. */
bool sim_wipe(struct sim *sim, unsigned at);

/** Its data directory is lost, with the mark or without: at its next start it asks what becomes of it. */
void sim_lose(struct sim *sim, unsigned at, bool mark);
/** Its data directory alone is set back, what the machine keeps beside it is not. image: consumed */
void sim_dir_back(struct sim *sim, unsigned at, struct simdisk *image);
/** A file of one disk on another, in the place of what that has there. */
void sim_copy_file(struct simdisk *to, const struct simdisk *from, const char *path);
/** The data directory alone is lost. */
void sim_empty_dir(struct simdisk *disk);

void sim_story_dir_back(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_mark_first(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_mark_lost(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_meta_gone(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_primary_lost(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_member_lost(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_made_once(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_made_by_many(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_wiped_replica(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_wiped_granter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_wiped_voter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_set_back(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_set_back_start(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_given_up(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_clone(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_two_histories(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_swapped(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_bound(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_wipes(uint64_t seed, bool trace, struct sim **ret_sim);

#endif
