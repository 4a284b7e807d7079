#include "cmd/birth/gone_ask.h"

#include <stdio.h>

#include "net/fetch/fetch.h"
#include "store/model/node.h"

enum { SLOTS = 8, CONNECT_MS_MAX = 1000, ASK_MS_MAX = 2000, ANSWER_BYTES_MAX = 4096, WAIT_MS = 50 };
_Static_assert((RG_GONE_PLACES_MAX / SLOTS) * ASK_MS_MAX <= 40000, "a round of dead addresses ends");

/* ---- whom ---- */

/* As it is here: an address stays where ids do not. */
static void add_rows(struct rg_gone_ask *a)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err = rg_txn_begin(a->store, RG_TXN_READ, &txn);

    if (!err)
        err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        if (row.id != a->config->id)
            rg_gone_places_add(&a->places, row.url, row.id);
}

static void collect(struct rg_gone_ask *a)
{
    const struct rg_config *c = a->config;

    a->places.n = 0;
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].raft.id != c->id)
            rg_gone_places_add(&a->places, rg_span_str(c->peers[i].url), c->peers[i].raft.id);
    add_rows(a);
}

/* ---- a round: a thread of the pool ---- */

static void start(struct rg_gone_ask *a, struct rg_fetcher *fetcher, size_t slot, size_t place)
{
    struct rg_fetch_request request = {.ca_path = a->config->tls_ca, .timeout_ms = ASK_MS_MAX, .connect_ms = CONNECT_MS_MAX,
                                       .body_bytes_max = ANSWER_BYTES_MAX, .stop = &a->stop};
    char url[sizeof a->places.at[0].url + 40];

    snprintf(url, sizeof url, "%s/v1/birth?node=%llu", a->places.at[place].url, (unsigned long long)a->config->id);
    request.url = url;
    if (rg_fetcher_start(fetcher, slot, &request, NULL) != RG_OK)
        rg_log_warn(a->log, "node.gone.unasked", "url=%s", a->places.at[place].url);
}

static void ask_all(struct rg_gone_ask *a, struct rg_fetcher *fetcher)
{
    size_t next = 0, place[SLOTS] = {0};

    while (!a->stop && (next < a->places.n || rg_fetcher_n_busy(fetcher) > 0)) {
        struct rg_fetch_done done;

        for (size_t slot = 0; slot < SLOTS && next < a->places.n; slot++)
            if (!rg_fetcher_busy(fetcher, slot))
                start(a, fetcher, slot, place[slot] = next++);
        if (!rg_fetcher_next(fetcher, WAIT_MS, &done))
            continue;
        if (done.err == RG_OK && done.answer.status == 200 && a->n_told < RG_LEN(a->told) &&
            rg_gone_answer(&a->places.at[place[done.slot]], a->config->cluster, rg_buf_span(&done.answer.body), &a->told[a->n_told]))
            a->n_told++;
        rg_fetch_answer_deinit(&done.answer);
    }
}

static void on_work(uv_work_t *work)
{
    struct rg_gone_ask *a = RG_CONTAINER(work, struct rg_gone_ask, work);
    struct rg_fetcher *fetcher;

    if (rg_fetcher_new(SLOTS, &fetcher, NULL) != RG_OK)
        return;
    ask_all(a, fetcher);
    rg_fetcher_free(fetcher);
}

static void after_work(uv_work_t *work, int status)
{
    struct rg_gone_ask *a = RG_CONTAINER(work, struct rg_gone_ask, work);

    (void)status;
    a->busy = false;
    if (!a->stop)
        rg_node_on_told(a->node, a->question, a->told, a->n_told);
}

void rg_gone_ask(struct rg_gone_ask *a, uv_loop_t *loop, uint64_t question)
{
    a->question = question; /* where the round before is not over, its answers are those to this one */
    if (a->stop || a->busy)
        return;
    a->n_told = 0;
    collect(a);
    a->busy = uv_queue_work(loop, &a->work, on_work, after_work) == 0;
}

void rg_gone_ask_stop(struct rg_gone_ask *a) { a->stop = 1; }
