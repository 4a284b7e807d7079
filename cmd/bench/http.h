/* cmd/bench/http.h: the benchmarks' own HTTPS client: non-blocking HTTP/1.1 connections on one epoll loop, one request under
 * way on each, with the time each reply arrived. Small, so that it takes little of the machine that it measures. */
#ifndef REGENT_CMD_BENCH_HTTP_H
#define REGENT_CMD_BENCH_HTTP_H

#include "cmd/cli/cli.h"

#define RG_BENCH_CONNS_MAX 512

struct rg_bench_loop;
struct rg_bench_conn;

struct rg_bench_reply {
    int status;
    struct rg_span head, body; /* borrow until the callback returns */
    uint64_t sent_us, arrived_us;
};
typedef void (*rg_bench_on_reply)(void *arg, struct rg_bench_conn *conn, const struct rg_bench_reply *reply);

/** ca: PEM file to verify servers with; NULL: servers are not verified (the floor's own echo). */
RG_MUST enum rg_err rg_bench_loop_new(const char *ca, struct rg_bench_loop **ret_loop, struct rg_errctx *ctx);
void rg_bench_loop_free(struct rg_bench_loop *loop);
/** Connect to "https://host:port" (or http://), handshake included, blocking. */
RG_MUST enum rg_err rg_bench_open(struct rg_bench_loop *loop, const char *url, rg_bench_on_reply on_reply, void *arg,
                                  struct rg_bench_conn **ret_conn, struct rg_errctx *ctx);
/** Send one request; the connection must be idle. RG_ECLOSED when it broke. */
RG_MUST enum rg_err rg_bench_send(struct rg_bench_conn *conn, struct rg_span request);
bool rg_bench_idle(const struct rg_bench_conn *conn);
/** A number of the caller's on the connection. */
uint64_t *rg_bench_tag(struct rg_bench_conn *conn);
/** Wait for events until at_us (monotonic) at the latest, run callbacks. RG_ECLOSED when a server closed a connection. */
RG_MUST enum rg_err rg_bench_poll(struct rg_bench_loop *loop, uint64_t until_us, struct rg_errctx *ctx);

/** Value of a header in a reply's head; empty when absent. */
struct rg_span rg_bench_header(const struct rg_bench_reply *reply, const char *name);
/** An HTTP/1.1 request into out (cleared): method, path, target (may be NULL), extra header lines ("A: b\r\n" or ""), body. */
void rg_bench_request(struct rg_buf *out, const struct rg_cluster *cluster, const char *method, const char *path,
                      const char *target, const char *extra, struct rg_span body);

/* Latency samples, in microseconds. */
struct rg_samples {
    uint32_t *us; /* own */
    size_t n, cap;
    bool sorted;
};
/** Add one; at most 8 million are kept. */
void rg_samples_add(struct rg_samples *samples, uint64_t us);
/** The p-th percentile (0–100) in milliseconds; 0 when there are none. */
double rg_samples_ms(struct rg_samples *samples, double p);
void rg_samples_deinit(struct rg_samples *samples);

#endif
