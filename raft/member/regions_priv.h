/* raft/member/regions_priv.h: what the parts of the region manager share. */
#ifndef REGENT_RAFT_MEMBER_REGIONS_PRIV_H
#define REGENT_RAFT_MEMBER_REGIONS_PRIV_H

#include "raft/member/regions.h"
#include "store/model/node.h"
#include "store/model/region.h"
#include "store/model/region_name.h"

enum {
    SILENT_MS_MAX = 60000, /* a node not reached for so long is removed untold */
    QUIET_MS = 5000,       /* a peer may be away so long before it is an error */
    REGIONS_ERROR_BYTES = 300,
};

_Static_assert(QUIET_MS < SILENT_MS_MAX, "it is said that a node is away before it is done without");
_Static_assert(RG_REGIONS_EVERY_MS < QUIET_MS, "who was away between two looks is not silent");
_Static_assert(REGIONS_ERROR_BYTES > sizeof((struct rg_regions *)0)->failed_text, "what was refused is shown whole");
_Static_assert(sizeof((struct rg_regions *)0)->region > RG_REGION_NAME_BYTES_MAX, "a region's name is remembered whole");
_Static_assert(sizeof((struct rg_regions *)0)->tell_region > RG_REGION_NAME_BYTES_MAX, "and told whole");

/* One look: the machine, what it sees, and what comes of it. */
struct look {
    struct rg_regions *r;
    const struct rg_regions_view *v;
    enum rg_regions_do todo;
};

/* ---- regions.c: steps, prepared; and what they go by ---- */

/* Assert what is true of the machine between looks, and while a step is being carried out. */
void regions_check(const struct rg_regions *r);
const struct rg_peer_status *look_peer(const struct look *l, uint64_t id);
void look_way(struct look *l, enum rg_region_way way);
void look_show(struct look *l, struct rg_span region, const char *phase, unsigned percent);
/* Whether a node is reached now; if not, why (RG_REGIONS_WHY_BYTES), and it is noted since when. */
bool look_reached(struct look *l, uint64_t id, char *ret_why);
bool look_silent_for(const struct look *l, uint64_t id, uint64_t ms);
void want_change(struct look *l, enum rg_change_kind kind, uint64_t id, struct rg_span region, struct rg_span link);
void want_tell(struct look *l, uint64_t id, struct rg_span region);
/* The region's row with another status, phase and error (empty: none). */
void want_region(struct look *l, const struct rg_region *row, const char *status, const char *phase, const char *error, uint64_t node_id,
                 struct rg_span url);
/* Write what went wrong, when it is new; "" takes it away. True: there is something to write. */
bool want_error(struct look *l, const struct rg_region *row, const char *error);
void want_node(struct look *l, const struct rg_node_row *node, const char *status, const char *phase);
void unreached_text(char out[REGIONS_ERROR_BYTES], const struct rg_node_row *node, const char *why);
bool node_is_live(const struct rg_node_row *node);
/* It came or went, and took over meanwhile: it stays. */
void keep_own(struct look *l, const struct rg_region *row);
/* The node to be added: the one begun with, while it lives; else, of the region's nodes that do, the one that got its id last, one that is
 * reached before one that is not (an id whose owner was thrown away lives for ever). id 0: none. */
enum rg_err pick_node(struct look *l, const struct rg_region *row, struct rg_node_row *ret_node);

/* ---- adding.c, removing.c, returning.c ---- */
void step_adding(struct look *l, const struct rg_region *row);
void step_removing(struct look *l, const struct rg_region *row);
/* A node that came back, or was removed while it was away. */
void step_node(struct look *l, const struct rg_node_row *node);
/* Into the configuration: the id it had before goes first, but for a voter's. */
void let_in(struct look *l, const struct rg_node_row *node);

#endif
