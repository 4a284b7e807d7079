/* cmd/cli/client_priv.h: shared by client.c (transfers) and client_nodes.c (which node they go to). */
#ifndef REGENT_CMD_CLI_CLIENT_PRIV_H
#define REGENT_CMD_CLI_CLIENT_PRIV_H

#include <curl/curl.h>

#include "cmd/cli/client.h"

enum client_kind { CLIENT_NODE, CLIENT_REGION, CLIENT_PRIMARY };

struct rg_client {
    enum client_kind kind;
    char url[160];        /* "": to be chosen among nodes */
    char (*nodes)[160];   /* own */
    size_t n_nodes;
    bool any;             /* CLIENT_PRIMARY: where there is none, whoever knows most */
    bool elects;          /* some region has several nodes: it may be without a leader for a moment */
    char ca[512];
    char authorization[160];
    struct curl_slist *headers; /* own */
    CURL *easy;                 /* own */
    long timeout_ms;
};

/* One transfer: its handle and what belongs to it. */
struct transfer {
    CURL *easy;
    struct curl_slist *headers; /* own: this request's */
    struct rg_buf path, target, body;
    struct rg_answer answer;
    const char *base; /* borrow: the URL before the path */
    long timeout_ms;
    size_t i;
    bool busy;
};
void client_transfer_init(struct transfer *t, CURL *easy);
void client_transfer_deinit(struct transfer *t);
RG_MUST enum rg_err client_transfer_prepare(const struct rg_client *client, struct transfer *t, const char *base,
                                            const char *method, long timeout_ms);
RG_MUST enum rg_err client_transfer_finished(struct transfer *t, CURLcode code, struct rg_errctx *ctx);

struct client_request {
    const char *method, *path, *target;
    struct rg_span body;
};
/* At client->url. ret_sent: the node may have seen it, whatever came back. */
RG_MUST enum rg_err client_request_once(struct rg_client *client, const struct client_request *request, long timeout_ms,
                                        struct rg_answer *ret_answer, bool *ret_sent, struct rg_errctx *ctx);

/* Choose client->url if it is not chosen. */
RG_MUST enum rg_err client_find(struct rg_client *client, struct rg_errctx *ctx);

#endif
