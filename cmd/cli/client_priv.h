/* cmd/cli/client_priv.h: shared by client.c (transfers) and client_nodes.c (which node they go to). */
#ifndef REGENT_CMD_CLI_CLIENT_PRIV_H
#define REGENT_CMD_CLI_CLIENT_PRIV_H

#include "cmd/cli/client.h"
#include "net/fetch/fetch.h"

enum client_kind { CLIENT_NODE, CLIENT_REGION, CLIENT_PRIMARY };
enum { CLIENT_HEADERS_MAX = 8, CLIENT_URL_BYTES_MAX = 2048, CLIENT_TARGET_BYTES_MAX = 256 };

struct rg_client {
    enum client_kind kind;
    char url[160];        /* "": to be chosen among nodes */
    char (*nodes)[160];   /* own */
    size_t n_nodes;
    bool any;             /* CLIENT_PRIMARY: where there is none, whoever knows most */
    bool elects;          /* some region has several nodes: it may be without a leader for a moment */
    char ca[512];
    char *headers[CLIENT_HEADERS_MAX]; /* own: of every request */
    size_t n_headers;
    struct rg_fetcher *fetcher; /* own */
    long timeout_ms;
};

struct client_request {
    const char *method, *path, *target; /* target: "" or NULL: none */
    struct rg_span body;
};
/* As a fetch of base + path; its strings are in room. */
struct client_room {
    char url[CLIENT_URL_BYTES_MAX], target[CLIENT_TARGET_BYTES_MAX];
    const char *headers[CLIENT_HEADERS_MAX + 2];
};
struct rg_fetch_request client_fetch(const struct rg_client *client, const char *base, const struct client_request *request,
                                     long timeout_ms, struct client_room *room);
/* At client->url. ret_sent: the node may have seen it, whatever came back. */
RG_MUST enum rg_err client_request_once(struct rg_client *client, const struct client_request *request, long timeout_ms,
                                        struct rg_answer *ret_answer, bool *ret_sent, struct rg_errctx *ctx);

/* Choose client->url if it is not chosen. */
RG_MUST enum rg_err client_find(struct rg_client *client, struct rg_errctx *ctx);

#endif
