/* raft/rule/change.h: which configuration follows another: by a change of one member, by a promotion, by a hand-over. */
#ifndef REGENT_RAFT_RULE_CHANGE_H
#define REGENT_RAFT_RULE_CHANGE_H

#include "raft/batch.h"

/** The configuration after a change that the member `leader` makes. RG_EINVALID: it is not possible; change->text says why. */
RG_MUST enum rg_err rg_change_apply(struct rg_change *change, const struct rg_members *now, uint64_t leader,
                                    struct rg_members *ret_after);
/** Put a reason into change->text. Always RG_EINVALID. */
enum rg_err rg_change_refuse(struct rg_change *change, const char *why);

/** After a promotion of `id`: it is the only voter; the old ones are no members any more. */
void rg_change_promoted(const struct rg_members *now, uint64_t id, struct rg_members *ret_after);
/** After a hand-over to `to`: it is the only voter; the old ones stay as learners. */
void rg_change_handed(const struct rg_members *now, uint64_t to, struct rg_members *ret_after);
/** The id of the only voter; 0: there are more, or none. */
uint64_t rg_change_only_voter(const struct rg_members *members);

/** Of two voters, of which `id`, alone before, made the other: that one's id. 0: it was otherwise. */
uint64_t rg_change_second(const struct rg_members *before, const struct rg_members *now, uint64_t id);

#endif
