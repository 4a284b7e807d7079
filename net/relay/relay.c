#include "net/relay/relay.h"

#include <stdatomic.h>

#include "net/relay/wire.h"

enum { PEERS_MAX = 64, FIELDS_AT = 9 };

/* A request of another node's, from its message to the answer that is sent. */
struct served {
    struct rg_handed handed;
    struct rg_task task;
    struct rg_relay *relay;
    uint64_t peer, number;
    struct rg_buf message; /* own: what the request borrows */
    struct rg_buf answer;  /* own */
    enum rg_err unread;    /* why the message is no request */
};

/* Of a node that asks; the slot is its while something is open. */
struct asker {
    uint64_t id; /* 0: free */
    unsigned open;
    size_t bytes;
};

struct rg_relay {
    struct rg_relay_config config;
    struct rg_relay_ask *asks; /* newest first */
    unsigned n_asks, n_served;
    size_t ask_bytes;
    uint64_t last_number;
    struct asker askers[PEERS_MAX];
    bool ending;
    _Atomic uint64_t passed, answered, failed, taken, refused, open;
};

enum rg_relay_way rg_relay_way(bool passed, bool open, bool same_region)
{
    if (passed)
        return RG_RELAY_RETRY;
    return same_region && !open ? RG_RELAY_ON : RG_RELAY_ELSEWHERE; /* who comes without a credential is a node, and follows a 421 */
}

/* One writer. */
static void count(_Atomic uint64_t *counter)
{
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1, memory_order_relaxed);
}

static void count_open(struct rg_relay *relay)
{
    RG_ASSERT(relay->n_asks <= RG_RELAY_MAX && relay->n_served <= RG_RELAY_MAX * PEERS_MAX);
    atomic_store_explicit(&relay->open, relay->n_asks + relay->n_served, memory_order_relaxed);
}

/* ---- what this node asked ---- */

/* Take it out of the list at `at` and tell. */
static void finish(struct rg_relay *relay, struct rg_relay_ask **at, enum rg_err err, bool begun)
{
    struct rg_relay_ask *ask = *at;

    RG_ASSERT(relay->n_asks > 0 && relay->ask_bytes >= ask->request->len);
    *at = ask->next;
    relay->n_asks--;
    relay->ask_bytes -= ask->request->len;
    count_open(relay);
    count(err ? &relay->failed : &relay->answered);
    ask->err = err;
    ask->begun = err && begun;
    ask->on_done(ask);
}

static void refuse_ask(struct rg_relay *relay, struct rg_relay_ask *ask, enum rg_err err)
{
    count(&relay->failed);
    ask->err = err;
    ask->begun = false;
    ask->on_done(ask);
}

void rg_relay_ask(struct rg_relay *relay, struct rg_relay_ask *ask)
{
    uint64_t number = ++relay->last_number;
    enum rg_err err = RG_OK;

    RG_ASSERT(ask->request->len >= FIELDS_AT && ask->on_done != NULL);
    rg_buf_init(&ask->answer, RG_RELAY_FRAME_BYTES_MAX);
    ask->number = number;
    if (relay->ending)
        err = RG_ESTOPPED;
    else if (!rg_relay_fits(relay->n_asks, relay->ask_bytes, ask->request->len))
        err = RG_EBUSY;
    if (!err) {
        for (size_t i = 0; i < 8; i++)
            ask->request->data[RG_RELAY_NUMBER_AT + i] = (uint8_t)(number >> (8 * i));
        err = relay->config.send(relay->config.arg, ask->to, rg_buf_span(ask->request));
    }
    if (err) {
        refuse_ask(relay, ask, err);
        return;
    }
    ask->next = relay->asks;
    relay->asks = ask;
    relay->n_asks++;
    relay->ask_bytes += ask->request->len;
    count(&relay->passed);
    count_open(relay);
}

static void on_answer(struct rg_relay *relay, uint64_t peer, uint64_t number, enum rg_relay_type type, struct rg_span message,
                      struct rg_span fields)
{
    struct rg_relay_ask **at = &relay->asks;

    while (*at != NULL && ((*at)->number != number || (*at)->to != peer))
        at = &(*at)->next;
    if (*at == NULL)
        return; /* too late, or never asked of it */
    if (type == RG_RELAY_REFUSAL) {
        finish(relay, at, rg_relay_get_refusal(fields), false);
        return;
    }
    rg_buf_put(&(*at)->answer, message.p, message.n);
    finish(relay, at, (*at)->answer.err, true);
}

void rg_relay_on_down(struct rg_relay *relay, uint64_t peer)
{
    struct rg_relay_ask **at = &relay->asks;

    while (*at != NULL)
        if ((*at)->to == peer)
            finish(relay, at, RG_ECLOSED, true);
        else
            at = &(*at)->next;
}

void rg_relay_tick(struct rg_relay *relay, uint64_t now_ms)
{
    struct rg_relay_ask **at = &relay->asks;

    while (*at != NULL)
        if ((*at)->deadline_ms <= now_ms)
            finish(relay, at, RG_ETIMEOUT, true);
        else
            at = &(*at)->next;
}

void rg_relay_end(struct rg_relay *relay, uint64_t by_ms)
{
    relay->ending = true;
    for (struct rg_relay_ask *ask = relay->asks; ask != NULL; ask = ask->next)
        ask->deadline_ms = RG_MIN(ask->deadline_ms, by_ms);
}

/* ---- what others ask ---- */

/* NULL: as many nodes ask as there are places. */
static struct asker *asker_of(struct rg_relay *relay, uint64_t peer)
{
    struct asker *empty = NULL;

    for (size_t i = 0; i < RG_LEN(relay->askers); i++) {
        if (relay->askers[i].id == peer)
            return &relay->askers[i];
        if (relay->askers[i].id == 0 && empty == NULL)
            empty = &relay->askers[i];
    }
    return empty;
}

static void send_refusal(struct rg_relay *relay, uint64_t peer, uint64_t number, enum rg_err why)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    enum rg_err err;

    count(&relay->refused);
    rg_buf_init(&out, 256);
    err = rg_relay_put_refusal(number, why, &out);
    if (!err)
        err = relay->config.send(relay->config.arg, peer, rg_buf_span(&out));
    if (err) /* whoever asked hears of it by its link's end, or its time's */
        rg_log_debug(relay->config.log, "relay.unsent", "peer=%llu code=%s", (unsigned long long)peer, rg_err_symbol(err));
}

static void served_free(struct served *s)
{
    rg_buf_deinit(&s->message);
    rg_buf_deinit(&s->answer);
    free(s);
}

/* On the raft thread, or once that is stopping on the worker's: then the relay is left alone. */
static void on_served(struct rg_task *task, bool stopping)
{
    struct served *s = RG_CONTAINER(task, struct served, task);
    struct rg_relay *relay = s->relay;
    struct asker *asker;
    enum rg_err err;

    if (stopping) {
        served_free(s);
        return;
    }
    asker = asker_of(relay, s->peer);
    RG_ASSERT(asker != NULL && asker->id == s->peer && asker->open > 0 && asker->bytes >= s->message.len);
    asker->bytes -= s->message.len;
    if (--asker->open == 0)
        asker->id = 0;
    relay->n_served--;
    count_open(relay);
    err = s->answer.len > 0 ? relay->config.send(relay->config.arg, s->peer, rg_buf_span(&s->answer)) : RG_ENOMEM;
    if (err)
        rg_log_debug(relay->config.log, "relay.unsent", "peer=%llu code=%s", (unsigned long long)s->peer, rg_err_symbol(err));
    served_free(s);
}

static bool fill(struct rg_handed *handed, struct rg_request *req)
{
    struct served *s = RG_CONTAINER(handed, struct served, handed);

    s->unread = rg_relay_get_request(rg_span(s->message.data + FIELDS_AT, s->message.len - FIELDS_AT), req);
    return s->unread == RG_OK;
}

static void on_reply(struct rg_handed *handed, const struct rg_http_reply *reply)
{
    static const struct rg_http_reply untold = {.status = 500}; /* it was run, and may have been done */
    struct served *s = RG_CONTAINER(handed, struct served, handed);
    enum rg_err err;

    rg_buf_init(&s->answer, RG_RELAY_FRAME_BYTES_MAX);
    if (reply == NULL)
        err = rg_relay_put_refusal(s->number, s->unread ? s->unread : RG_EUNREADY, &s->answer);
    else
        err = rg_relay_put_answer(s->number, reply, &s->answer);
    if (err) {
        rg_buf_clear(&s->answer);
        err = rg_relay_put_answer(s->number, &untold, &s->answer);
    }
    if (err) /* no memory: whoever asked hears nothing until its time is over */
        rg_buf_clear(&s->answer);
    s->relay->config.task(s->relay->config.arg, &s->task);
}

static enum rg_err serve(struct rg_relay *relay, uint64_t peer, uint64_t number, struct rg_span message)
{
    struct asker *asker = asker_of(relay, peer);
    struct served *s;

    if (relay->ending)
        return RG_ESTOPPED;
    if (asker == NULL || !rg_relay_fits(asker->open, asker->bytes, message.n))
        return RG_EBUSY;
    s = calloc(1, sizeof *s);
    if (s == NULL)
        return RG_ENOMEM;
    *s = (struct served){.relay = relay, .peer = peer, .number = number, .task = {.run = on_served}};
    s->handed = (struct rg_handed){.fill = fill, .on_reply = on_reply};
    rg_buf_init(&s->message, RG_RELAY_FRAME_BYTES_MAX);
    rg_buf_put(&s->message, message.p, message.n);
    if (s->message.err) {
        served_free(s);
        return RG_ENOMEM;
    }
    asker->id = peer;
    asker->open++;
    asker->bytes += message.n;
    relay->n_served++;
    count(&relay->taken);
    count_open(relay);
    if (relay->config.hand(relay->config.arg, &s->handed))
        return RG_OK;
    asker->bytes -= message.n;
    if (--asker->open == 0)
        asker->id = 0;
    relay->n_served--;
    count_open(relay);
    served_free(s);
    return RG_ESTOPPED;
}

enum rg_err rg_relay_on_message(struct rg_relay *relay, uint64_t peer, struct rg_span message)
{
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t number;
    enum rg_err err;

    RG_ASSERT(peer != 0);
    if (!relay->config.admits(relay->config.arg, peer))
        return RG_EPEER;
    err = rg_relay_decode(message, &type, &number, &fields);
    if (err)
        return err;
    if (type != RG_RELAY_REQUEST) {
        on_answer(relay, peer, number, type, message, fields);
        return RG_OK;
    }
    err = serve(relay, peer, number, message);
    if (err)
        send_refusal(relay, peer, number, err);
    return RG_OK;
}

/* ---- lifetime ---- */

enum rg_err rg_relay_new(const struct rg_relay_config *config, struct rg_relay **ret_relay)
{
    struct rg_relay *relay = calloc(1, sizeof *relay);

    if (relay == NULL)
        return RG_ENOMEM;
    relay->config = *config;
    *ret_relay = relay;
    return RG_OK;
}

void rg_relay_free(struct rg_relay *relay) { free(relay); }

void rg_relay_metrics(const struct rg_relay *relay, struct rg_buf *out)
{
    const struct {
        const char *name, *type, *help;
        const _Atomic uint64_t *value;
    } rows[] = {
        {"passed_total", "counter", "Writes passed on to the leader of this region.", &relay->passed},
        {"answered_total", "counter", "Of these, answered by it.", &relay->answered},
        {"failed_total", "counter", "Writes that could not be passed on, or were not answered.", &relay->failed},
        {"taken_total", "counter", "Writes that other nodes of this region passed on to this one.", &relay->taken},
        {"refused_total", "counter", "Writes passed on to this one that it did not look at: too many, or it stops.", &relay->refused},
        {"open", "gauge", "Writes under way between this node and others of its region.", &relay->open},
    };

    for (size_t i = 0; i < RG_LEN(rows); i++)
        rg_buf_printf(out, "# HELP regent_relay_%s %s\n# TYPE regent_relay_%s %s\nregent_relay_%s %llu\n", rows[i].name, rows[i].help,
                      rows[i].name, rows[i].type, rows[i].name,
                      (unsigned long long)atomic_load_explicit(rows[i].value, memory_order_relaxed));
}
