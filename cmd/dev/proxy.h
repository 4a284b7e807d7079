/* cmd/dev/proxy.h: a TCP proxy for links between regions: it delays, holds back and cuts what passes, as long lines do. One
 * listener for each (node, node it reaches); rules are for each ordered pair of regions. Everything on one loop thread. */
#ifndef REGENT_CMD_DEV_PROXY_H
#define REGENT_CMD_DEV_PROXY_H

#include "base/err.h"
#include "base/log.h"

#define RG_PROXY_PORTS_MAX 1024
#define RG_PROXY_PATHS_MAX 1024
#define RG_PROXY_DELAY_US_MAX (60u * 1000 * 1000)

struct uv_loop_s;
struct rg_proxy;

/* What happens to bytes from one region to another. Cut: connections are reset, new ones refused, in both directions
 * whichever has it. Stalled: taken while there is room and not delivered, nor is their end; healed, they arrive. */
struct rg_proxy_rule {
    bool cut, stalled;
    uint32_t delay_us;  /* one way */
    uint32_t jitter_us; /* up to so much more; order is kept */
};

/* A listener: node `from` reaches the link address `to` through 127.0.0.1:listen. Addresses are "IP:port". */
struct rg_proxy_port {
    char from[128], to[128];
    char from_region[33], to_region[33];
    uint16_t listen;
};

/* One ordered pair of regions, as shown. */
struct rg_proxy_path {
    char from[33], to[33];
    struct rg_proxy_rule rule;
    unsigned connections; /* dialled in this direction */
    uint64_t delivered_bytes, held_bytes;
};

/** rule: of pairs of regions that are not known yet. seed: of jitter. loop, log: borrow until it is closed. */
RG_MUST enum rg_err rg_proxy_new(struct uv_loop_s *loop, const struct rg_log *log, const struct rg_proxy_rule *rule,
                                 uint64_t seed, struct rg_proxy **ret_proxy);
/** Listen. RG_ECONFLICT: the port is there. RG_EINVALID: `to` is not IP:port. RG_ETOOBIG. RG_EIO: cannot listen. */
RG_MUST enum rg_err rg_proxy_add(struct rg_proxy *proxy, const struct rg_proxy_port *port, struct rg_errctx *ctx);
/** Take one port away, and reset what passes there. False: there is none. */
bool rg_proxy_drop(struct rg_proxy *proxy, uint16_t listen);
/** Take away every port from and to this link address, and reset what passes there. How many there were. */
size_t rg_proxy_remove(struct rg_proxy *proxy, const char *address);
/** The rule from one region to another: borrow until the next call; after a change, rg_proxy_apply. NULL: not known. */
struct rg_proxy_rule *rg_proxy_rule(struct rg_proxy *proxy, const char *from, const char *to);
/** Make the rules count, as far as possible: the error is the first listener that could not be opened again. */
RG_MUST enum rg_err rg_proxy_apply(struct rg_proxy *proxy, struct rg_errctx *ctx);
/** The i-th pair of regions; false: there are no more. */
bool rg_proxy_show(struct rg_proxy *proxy, size_t i, struct rg_proxy_path *ret_path);
/** Reset everything and close; closed (may be NULL) is called when its memory has returned. */
void rg_proxy_close(struct rg_proxy *proxy, void (*closed)(void *arg), void *arg);

#endif
