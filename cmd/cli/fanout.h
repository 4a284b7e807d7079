/* cmd/cli/fanout.h: one request to many regions at once, each on a thread of its own; a region that does not answer within the
 * deadline is left behind, whatever holds its thread (a resolver, a socket), so that it cannot hold up the others. */
#ifndef REGENT_CMD_CLI_FANOUT_H
#define REGENT_CMD_CLI_FANOUT_H

#include "cmd/cli/client.h"

/* The same for each region. Strings: borrow until the call returns. */
struct rg_fanout_request {
    const char *method, *path, *target; /* target: X-Amz-Target or NULL */
    const char *body;                   /* JSON, or NULL */
    const char *min_revision;           /* wait until the region shows it, for half of the time-out; NULL: as it is */
    long timeout_ms;                    /* for a region's whole answer */
};

/* What one region answered. */
struct rg_fanout_answer {
    bool asked;
    enum rg_err err; /* RG_OK: an HTTP answer came, whatever its status */
    struct rg_errctx ctx;
    long status;
    json_t *body; /* own; NULL: none, or not JSON */
    char revision[RG_REV_TEXT_MAX];
    uint64_t us;
};
void rg_fanout_answers_deinit(struct rg_fanout_answer *answers, size_t n);

struct rg_fanout;

/** cluster: borrow until rg_fanout_free. */
RG_MUST enum rg_err rg_fanout_new(const struct rg_cluster *cluster, struct rg_fanout **ret_fanout, struct rg_errctx *ctx);
void rg_fanout_free(struct rg_fanout *fanout);
RG_AUTO_DEFINE(fanout)
/**
 * Ask every region that `only` names (NULL: all). Returns at timeout_ms plus a quarter of a second at the latest.
 * answers   one for each region of the cluster, in its order; what was in them is dropped
 * An error is this machine's (memory, threads); a region's own stands in its answer.
 */
RG_MUST enum rg_err rg_fanout_ask(struct rg_fanout *fanout, const struct rg_fanout_request *request, const bool *only,
                                  struct rg_fanout_answer *answers, struct rg_errctx *ctx);
/** Of answers to GET /v1/status the region that says it is PRIMARY, of the highest epoch if several do. n: none. */
size_t rg_fanout_primary(const struct rg_fanout_answer *status, size_t n);
/** Whether a thread was left behind and still hangs: then the process must end by _exit. */
bool rg_fanout_hangs(struct rg_fanout *fanout);

#endif
