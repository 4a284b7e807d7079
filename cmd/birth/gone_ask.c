#include "cmd/birth/gone_ask.h"

#include <stdio.h>

#include "base/json.h"
#include "net/fetch/fetch.h"
#include "raft/standing/gone.h"
#include "store/model/node.h"

enum { SLOTS = 8, CONNECT_MS_MAX = 1000, ASK_MS_MAX = 2000, ANSWER_BYTES_MAX = 4096, WAIT_MS = 50 };
_Static_assert((RG_GONE_PLACES_MAX / SLOTS) * ASK_MS_MAX <= 40000, "a round of dead addresses ends");

/* ---- whom ---- */

static void add_id(uint64_t at[RG_GONE_IDS_MAX], uint64_t id)
{
    for (size_t i = 0; i < RG_GONE_IDS_MAX; i++)
        if (at[i] == 0 || at[i] == id) {
            at[i] = id;
            return;
        }
}

static void add(struct rg_gone_ask *a, struct rg_span url, uint64_t id)
{
    if (url.n == 0 || url.n >= sizeof a->urls[0])
        return;
    for (size_t i = 0; i < a->n_urls; i++)
        if (rg_span_is(url, a->urls[i])) {
            add_id(a->at[i], id);
            return;
        }
    if (a->n_urls == RG_LEN(a->urls))
        return;
    memset(a->at[a->n_urls], 0, sizeof a->at[0]);
    add_id(a->at[a->n_urls], id);
    snprintf(a->urls[a->n_urls++], sizeof a->urls[0], "%.*s", RG_SPAN_ARG(url));
}

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
            add(a, row.url, row.id);
}

static void collect(struct rg_gone_ask *a)
{
    const struct rg_config *c = a->config;

    a->n_urls = 0;
    for (size_t i = 0; i < c->n_peers; i++)
        if (c->peers[i].raft.id != c->id)
            add(a, rg_span_str(c->peers[i].url), c->peers[i].raft.id);
    add_rows(a);
}

/* ---- a round: a thread of the pool ---- */

static bool is_at(const uint64_t at[RG_GONE_IDS_MAX], uint64_t id)
{
    for (size_t i = 0; i < RG_GONE_IDS_MAX; i++)
        if (at[i] == id)
            return true;
    return false;
}

/* False: it says nothing of it. That a disk is empty is taken of whoever is to be found where it was asked: anybody can take another
 * one's id for its own, and the one whose it is may be alive. */
static bool take(const struct rg_gone_ask *a, size_t place, const struct rg_fetch_answer *answer, struct rg_gone_told *ret_told)
{
    json_error_t error;
    json_t *json = answer->status == 200 ? rg_json_parse(rg_buf_span(&answer->body), &error) : NULL;
    const char *cluster = json_string_value(json_object_get(json, "cluster"));
    const char *gone = json_string_value(json_object_get(json, "gone"));
    const char *history = json_string_value(json_object_get(json, "history"));
    json_int_t node = rg_json_number(json, "node");
    struct rg_gone_told t = {.node = node > 0 && node <= RG_NODE_ID_MAX ? (uint64_t)node : 0};
    bool blank = gone == NULL && rg_json_flag(json, "empty");
    bool good = t.node != 0 && (gone != NULL || blank) && cluster != NULL && strcmp(cluster, a->config->cluster) == 0;

    if (good && blank && !is_at(a->at[place], t.node))
        good = false;
    if (good)
        t.row = blank ? RG_GONE_BLANK : rg_gone_of(rg_span_str(gone));
    if (good && history != NULL && strlen(history) == 2 * sizeof t.history.b && !rg_unhex(t.history.b, history, sizeof t.history.b))
        good = false;
    json_decref(json);
    if (good)
        *ret_told = t;
    return good;
}

static void start(struct rg_gone_ask *a, struct rg_fetcher *fetcher, size_t slot, size_t place)
{
    struct rg_fetch_request request = {.ca_path = a->config->tls_ca, .timeout_ms = ASK_MS_MAX, .connect_ms = CONNECT_MS_MAX,
                                       .body_bytes_max = ANSWER_BYTES_MAX, .stop = &a->stop};
    char url[sizeof a->urls[0] + 40];

    snprintf(url, sizeof url, "%s/v1/birth?node=%llu", a->urls[place], (unsigned long long)a->config->id);
    request.url = url;
    if (rg_fetcher_start(fetcher, slot, &request, NULL) != RG_OK)
        rg_log_warn(a->log, "node.gone.unasked", "url=%s", a->urls[place]);
}

static void ask_all(struct rg_gone_ask *a, struct rg_fetcher *fetcher)
{
    size_t next = 0, place[SLOTS] = {0};

    while (!a->stop && (next < a->n_urls || rg_fetcher_n_busy(fetcher) > 0)) {
        struct rg_fetch_done done;

        for (size_t slot = 0; slot < SLOTS && next < a->n_urls; slot++)
            if (!rg_fetcher_busy(fetcher, slot))
                start(a, fetcher, slot, place[slot] = next++);
        if (!rg_fetcher_next(fetcher, WAIT_MS, &done))
            continue;
        if (done.err == RG_OK && a->n_told < RG_LEN(a->told) && take(a, place[done.slot], &done.answer, &a->told[a->n_told]))
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
