/* net/fetch/fetch.h: outgoing HTTP and HTTPS requests, over libcurl: one, or many at once over connections that are kept. Bounded in
 * time and size; redirects are answers, not followed. Blocking; a fetcher belongs to one thread at a time. */
#ifndef REGENT_NET_FETCH_FETCH_H
#define REGENT_NET_FETCH_FETCH_H

#include <signal.h>

#include "base/buf.h"

#define RG_FETCH_HEADERS_MAX 16
#define RG_FETCH_HEAD_BYTES_MAX 16384
#define RG_FETCH_PLACE_BYTES_MAX 200

/* AWS Signature Version 4, over host, date and all headers given. All borrowed. */
struct rg_fetch_key {
    const char *access_key_id, *secret;
    const char *token; /* of temporary credentials; NULL: none */
    const char *region, *service;
};

/* Borrowed until the request has begun; the body, until it is done. */
struct rg_fetch_request {
    const char *method;         /* NULL: GET */
    const char *url;            /* http:// or https:// */
    const char *const *headers; /* "Name: value" */
    size_t n_headers;           /* at most RG_FETCH_HEADERS_MAX */
    struct rg_span body;
    const char *ca_path;  /* PEM file: only its certificates are trusted; NULL: the system's */
    bool proxy;           /* through the environment's proxy (https_proxy, …), if it names one; otherwise never */
    long timeout_ms;      /* for all of it */
    long connect_ms;      /* for the connection alone; 0: no limit of its own */
    size_t body_bytes_max; /* of the answer */
    bool cut;             /* a longer answer is cut there; otherwise it is RG_ETOOBIG */
    const volatile sig_atomic_t *stop; /* ends it within 100 ms once it is not 0; NULL: never */
    const struct rg_fetch_key *key;    /* NULL: not signed */
};

struct rg_fetch_answer {
    long status;        /* HTTP; 0: there was no answer */
    struct rg_buf body; /* own */
    struct rg_buf head; /* own: its header lines, each ended by a line feed; what is over RG_FETCH_HEAD_BYTES_MAX is missing */
    const char *why;    /* static: libcurl's own words */
    bool sent;          /* the other side may have seen the request, whatever came back */
};
void rg_fetch_answer_deinit(struct rg_fetch_answer *answer);
/** The value of a header of the answer (the last, if it has several), without surrounding blanks. False, and out "": there is none, or
 * it does not fit. */
bool rg_fetch_header(const struct rg_fetch_answer *answer, const char *name, char *out, size_t size);
/** "https://host:port" of an address: without names, secrets and path. */
void rg_fetch_place(const char *url, char out[RG_FETCH_PLACE_BYTES_MAX]);

/**
 * One request. RG_OK when there was an HTTP answer, whatever its status.
 * RG_EUNREACHABLE, RG_ETIMEOUT, RG_ETOOBIG, RG_ESTOPPED, each with the place; RG_EINVALID: the request itself is wrong
 * ret_answer   own; set in any case
 */
RG_MUST enum rg_err rg_fetch(const struct rg_fetch_request *request, struct rg_fetch_answer *ret_answer, struct rg_errctx *ctx);

/* Slots for so many requests at once. Connections stay for the next ones. */
struct rg_fetcher;
RG_MUST enum rg_err rg_fetcher_new(size_t slots, struct rg_fetcher **ret_fetcher, struct rg_errctx *ctx);
/** Ends what is under way. */
void rg_fetcher_free(struct rg_fetcher *fetcher);
RG_AUTO_DEFINE(fetcher)
/** As rg_fetch, while no slot is in use. */
RG_MUST enum rg_err rg_fetcher_ask(struct rg_fetcher *fetcher, const struct rg_fetch_request *request,
                                   struct rg_fetch_answer *ret_answer, struct rg_errctx *ctx);
/** Begin a request in a slot that is not in use. */
RG_MUST enum rg_err rg_fetcher_start(struct rg_fetcher *fetcher, size_t slot, const struct rg_fetch_request *request,
                                     struct rg_errctx *ctx);
/** Whether a slot is in use; how many are. */
bool rg_fetcher_busy(const struct rg_fetcher *fetcher, size_t slot);
size_t rg_fetcher_n_busy(const struct rg_fetcher *fetcher);

/* A request that is done: its slot is free again. */
struct rg_fetch_done {
    size_t slot;
    enum rg_err err; /* as rg_fetch */
    struct rg_errctx ctx;
    struct rg_fetch_answer answer; /* own: the caller's from here */
};
/** The next that is done, within wait_ms. False: none is yet. */
bool rg_fetcher_next(struct rg_fetcher *fetcher, int wait_ms, struct rg_fetch_done *ret_done);

#endif
