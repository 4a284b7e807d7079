/* cmd/client.h: requests of `regent` to a region, over libcurl: one at a time, or many at once over HTTP/2. */
#ifndef REGENT_CMD_CLIENT_H
#define REGENT_CMD_CLIENT_H

#include <jansson.h>

#include "cmd/cli.h"

#define RG_CLIENT_BODY_BYTES_MAX (256u * 1024 * 1024) /* an export */

struct rg_answer {
    long status; /* HTTP */
    struct rg_buf body; /* own */
    char revision[RG_REV_TEXT_MAX];
    char region[33];
    char location[256]; /* where a replica sends a write */
};
void rg_answer_deinit(struct rg_answer *answer);

struct rg_client;

/** A client of one region, with the cluster's CA and bearer token. */
RG_MUST enum rg_err rg_client_new(const struct rg_cluster *cluster, const char *url, struct rg_client **ret_client,
                                  struct rg_errctx *ctx);
void rg_client_free(struct rg_client *client);
RG_AUTO_DEFINE(client)
/** Milliseconds before a request is given up; default 30,000. */
void rg_client_timeout(struct rg_client *client, long timeout_ms);
/** A header for all further requests ("Name: value"). */
RG_MUST enum rg_err rg_client_header(struct rg_client *client, const char *header);

/**
 * One request; target is the X-Amz-Target or NULL (then method and path count).
 * RG_OK when there was an HTTP answer, whatever its status; RG_EUNREACHABLE, RG_ETIMEOUT otherwise, with the address.
 */
RG_MUST enum rg_err rg_client_request(struct rg_client *client, const char *method, const char *path, const char *target,
                                      struct rg_span body, struct rg_answer *ret_answer, struct rg_errctx *ctx);
/** As above, and the answer must be 2xx JSON: ret_json (own). Otherwise the server's own code and message in ctx. */
RG_MUST enum rg_err rg_client_json(struct rg_client *client, const char *method, const char *path, const char *target,
                                   struct rg_span body, json_t **ret_json, struct rg_errctx *ctx);
/** The error of a non-2xx answer: code from the body's `__type` or `code`. */
enum rg_err rg_answer_error(const struct rg_answer *answer, struct rg_errctx *ctx);

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

/** Load an organisation (idc-org-dataset/1; consume) into the region that `cluster` marks primary, as `regent import` does:
 * what is there already stays. */
RG_MUST enum rg_err rg_import_data(struct rg_cli *cli, const struct rg_cluster *cluster, json_t *data);

#endif
