/* tests/sim/stories_members.h: stories of voters: their logs in a promotion, their roles, their number, their disks. */
#ifndef REGENT_SIM_STORIES_MEMBERS_H
#define REGENT_SIM_STORIES_MEMBERS_H

#include "tests/sim/world.h"

void sim_story_stale_voter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_role_gate(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_second_voter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_third_voter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_unaware_voter(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_keeper(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_keeper_two(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_keeper_gone(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_handover_voters(uint64_t seed, bool trace, struct sim **ret_sim);
void sim_story_hung_disk(uint64_t seed, bool trace, struct sim **ret_sim);

#endif
