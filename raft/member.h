/* raft/member.h: who belongs to a cluster: its nodes and their roles, and such a configuration's bytes as a CHANGE entry or a
 * snapshot keeps them. Plain values. */
#ifndef REGENT_RAFT_MEMBER_H
#define REGENT_RAFT_MEMBER_H

#include "base/buf.h"

#define RG_PEERS_MAX 32
#define RG_ADDRESS_BYTES_MAX 256       /* "region=…;link=…;incarnation=…" */
#define RG_RAFT_CONFIG_BYTES_MAX 16384 /* an encoded configuration */

/* Names one data directory: drawn when it is made, and never again. Zero: not known. */
struct rg_incarnation {
    uint8_t b[16];
};

enum rg_role { RG_ROLE_LEARNER, RG_ROLE_VOTER }; /* as libraft numbers them, and as encoded */

struct rg_peer_config {
    uint64_t id;
    char region[33];
    enum rg_role role;
    char link[128]; /* host:port */
    struct rg_incarnation incarnation; /* the only data directory that this id ever has; not known: not bound yet */
};

struct rg_members {
    struct rg_peer_config peers[RG_PEERS_MAX];
    size_t n;
};

/** Append the bytes; a peer's region, link and incarnation travel in its address. RG_EINVALID: nobody, too many, an id or an address
 * that is empty, too long or given twice, an incarnation given twice. */
RG_MUST enum rg_err rg_members_encode(const struct rg_members *members, struct rg_buf *out);
/** Every length is checked: bytes may come from a peer. RG_EMALFORMED. */
RG_MUST enum rg_err rg_members_decode(struct rg_span bytes, struct rg_members *ret_members);
struct rg_io;
void rg_incarnation_draw(struct rg_io *io, struct rg_incarnation *ret_incarnation);
bool rg_incarnation_known(const struct rg_incarnation *incarnation);
bool rg_incarnation_equal(const struct rg_incarnation *a, const struct rg_incarnation *b);
/** NULL when not there. */
const struct rg_peer_config *rg_members_find(const struct rg_members *members, uint64_t id);
size_t rg_members_voters(const struct rg_members *members);
/** Whether it is a voter. */
bool rg_members_votes(const struct rg_members *members, uint64_t id);
/** The same nodes, in the same order, with the same roles, regions, links and incarnations. */
bool rg_members_equal(const struct rg_members *a, const struct rg_members *b);
/** How many have an incarnation bound to their id. */
size_t rg_members_bound(const struct rg_members *members);
/** Which one is bound to the id; not known: none, or it is no member. */
struct rg_incarnation rg_members_incarnation(const struct rg_members *members, uint64_t id);

/** The address of a peer in the configuration, into out. */
void rg_member_address(const struct rg_peer_config *peer, char out[RG_ADDRESS_BYTES_MAX]);
/** Region, link and incarnation out of an address. False: it is none. */
bool rg_member_address_parse(const char *address, struct rg_peer_config *peer);

#endif
