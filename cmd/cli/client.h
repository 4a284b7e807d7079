/* cmd/cli/client.h: requests of `regent` to a node, to whichever node of a region answers, or to the primary wherever it is, over
 * libcurl: one at a time, or many at once over HTTP/2. */
#ifndef REGENT_CMD_CLI_CLIENT_H
#define REGENT_CMD_CLI_CLIENT_H

#include "base/json.h"
#include "cmd/cli/cli.h"

#define RG_CLIENT_BODY_BYTES_MAX (256u * 1024 * 1024) /* an export */
#define RG_CLIENT_MS 30000 /* a request is given up after so long, unless it is said otherwise */

struct rg_answer {
    long status; /* HTTP */
    struct rg_buf body; /* own */
    char revision[RG_REV_TEXT_MAX];
    char location[512]; /* where a replica sends a write */
};
void rg_answer_deinit(struct rg_answer *answer);

struct rg_client;

/** A client of one node, with the cluster's CA and bearer token. */
RG_MUST enum rg_err rg_client_new(const struct rg_cluster *cluster, const char *url, struct rg_client **ret_client,
                                  struct rg_errctx *ctx);
/**
 * A client of a region: of its one node; of several, the one that leads, else one that is ready, else one that answers. They
 * are asked before the first request, and again when the chosen one cannot be reached. What may have been done there is not
 * asked for twice: only a GET, or what was certainly not sent.
 */
RG_MUST enum rg_err rg_client_region(const struct rg_cluster *cluster, const struct rg_cluster_region *region,
                                     struct rg_client **ret_client, struct rg_errctx *ctx);
/**
 * A client of the primary, wherever it is: every node of the cluster file is asked, whatever the file calls PRIMARY, and a
 * request follows 421 to where it points. While a region of several nodes may be electing, a request waits for it for up to
 * 5 s. RG_EUNREACHABLE when nobody says it is the primary.
 */
RG_MUST enum rg_err rg_client_primary(const struct rg_cluster *cluster, long timeout_ms, struct rg_client **ret_client,
                                      struct rg_errctx *ctx);
/** For what every region knows: the primary, or while nobody says that it is, the region that knows most, which is said on
 * standard error. Only for GET. */
RG_MUST enum rg_err rg_client_reader(const struct rg_cluster *cluster, long timeout_ms, struct rg_client **ret_client,
                                     struct rg_errctx *ctx);
/** Mark the region that leads now as the primary, with the leading node's address, in memory only: the file may be older
 * than the last change of primary. */
RG_MUST enum rg_err rg_cluster_mark_primary(struct rg_cluster *cluster, struct rg_errctx *ctx);
/** By --region, for what is only read: of that region; NULL: rg_client_reader. */
RG_MUST enum rg_err rg_client_open(struct rg_cluster *cluster, const char *region, long timeout_ms,
                                   struct rg_client **ret_client, struct rg_errctx *ctx);
void rg_client_free(struct rg_client *client);
RG_AUTO_DEFINE(client)
/** Milliseconds before a request is given up; default RG_CLIENT_MS. */
void rg_client_timeout(struct rg_client *client, long timeout_ms);
/** A header for all further requests ("Name: value"). */
RG_MUST enum rg_err rg_client_header(struct rg_client *client, const char *header);

/**
 * One request; target is the X-Amz-Target or NULL (then method and path count).
 * RG_OK when there was an HTTP answer, whatever its status; RG_EUNREACHABLE, RG_ETIMEOUT otherwise, with the address.
 */
RG_MUST enum rg_err rg_client_request(struct rg_client *client, const char *method, const char *path, const char *target,
                                      struct rg_span body, struct rg_answer *ret_answer, struct rg_errctx *ctx);
/** As above, and the answer must be 2xx JSON: ret_json (own). Otherwise the server's own code and message in ctx.
 * body: consume; NULL: none */
RG_MUST enum rg_err rg_client_send(struct rg_client *client, const char *method, const char *path, const char *target, json_t *body,
                                   json_t **ret_json, struct rg_errctx *ctx);
/** A GET. */
static inline enum rg_err rg_client_get(struct rg_client *client, const char *path, json_t **ret_json, struct rg_errctx *ctx)
{
    return rg_client_send(client, "GET", path, NULL, NULL, ret_json, ctx);
}
/** The error of a non-2xx answer: code from the body's `__type` or `code`. */
enum rg_err rg_answer_error(const struct rg_answer *answer, struct rg_errctx *ctx);
/** The same of a body that is parsed already; NULL: none, or not JSON. */
enum rg_err rg_answer_error_json(long status, const json_t *body, struct rg_errctx *ctx);

/* One of several addresses that are asked the same. */
struct rg_look {
    const char *url; /* borrow */
    enum rg_err err; /* RG_OK: an HTTP answer came, whatever its status */
    struct rg_errctx ctx;
    long status;
    json_t *body; /* own; NULL: none, or not JSON */
};
void rg_looks_deinit(struct rg_look *looks, size_t n);
/** GET path at every address at once, with client's credentials. */
RG_MUST enum rg_err rg_client_look(struct rg_client *client, const char *path, long timeout_ms, struct rg_look *looks,
                                   size_t n, struct rg_errctx *ctx);
/** Of answers to GET /v1/status: who says it is PRIMARY, of the highest epoch if several do. n: none. */
size_t rg_looks_primary(const struct rg_look *looks, size_t n);

/* Many requests at once: `next` fills the i-th one (false: nothing to send for it), `on_answer` gets each answer. */
struct rg_batch {
    size_t n;            /* requests */
    unsigned concurrency;
    void *arg;
    bool (*next)(void *arg, size_t i, struct rg_buf *path, struct rg_buf *target, struct rg_buf *body, const char **ret_method);
    enum rg_err (*on_answer)(void *arg, size_t i, const struct rg_answer *answer, struct rg_errctx *ctx);
    struct rg_progress *progress; /* may be NULL */
};
/** Stops at the first error. */
RG_MUST enum rg_err rg_client_batch(struct rg_client *client, const struct rg_batch *batch, struct rg_errctx *ctx);

#endif
