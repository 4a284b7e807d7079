/* raft/rule/binding.h: which data directory an id has. An id is bound to one incarnation, once, in a configuration, and never gets another;
 * an incarnation never gets another id. */
#ifndef REGENT_RAFT_RULE_BINDING_H
#define REGENT_RAFT_RULE_BINDING_H

#include "raft/member.h"

enum rg_binding {
    RG_BINDING_FITS,   /* the one that is bound; or none is yet */
    RG_BINDING_OTHER,  /* another one: it has forgotten, or is somebody else */
    RG_BINDING_UNSAID, /* one is bound, and the node does not say which it has: a release that knows of none */
};
/** Of an id that is bound like that, and a node that says this. */
enum rg_binding rg_binding_of(const struct rg_incarnation *bound, const struct rg_incarnation *said);

/* What a node has said of itself since its primary leads, or before. */
struct rg_binding_heard {
    uint64_t id;
    struct rg_incarnation said; /* not known: nothing */
    bool up;                    /* it is linked now */
};
/**
 * The configuration in which every member that is linked is bound to what it says. The first binding is made when every one has
 * said something: whoever does not, runs a release that could not read it. From then on each is bound when it is heard.
 * heard   of every member, the primary itself among them
 * False: there is nothing to bind (yet).
 */
bool rg_binding_next(const struct rg_members *now, const struct rg_binding_heard *heard, size_t n, struct rg_members *ret_after);
/** The first configuration of an instance: with one voter, itself, it is bound, which makes it the first of this instance and of no other;
 * several voters write the same one. */
void rg_binding_first(struct rg_members *members, uint64_t id, const struct rg_incarnation *incarnation);
/** Of a binding that does not fit: RG_EPEER, and why the peer is refused. */
enum rg_err rg_binding_refuse(enum rg_binding binding, uint64_t peer, struct rg_errctx *ctx);
/** Whether a member counts: it is bound, or no member of the configuration is. */
bool rg_binding_counts(const struct rg_members *members, const struct rg_peer_config *peer);
/** Whether all members count. */
bool rg_binding_whole(const struct rg_members *members);

#endif
