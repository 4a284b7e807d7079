#include "cmd/birth/waiting.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "crypto/digest.h"
#include "net/fetch/fetch.h"
#include "net/http/server.h"

enum { CONNECT_MS_MAX = 1000, ASK_MS_MAX = 2500, PAUSE_MS_MIN = 50, PAUSE_MS_MAX = 1000, ANSWER_BYTES_MAX = 4096, BODY_BYTES_MAX = 4096,
       WHY_BYTES_MAX = 512, SAY_AFTER_MS = 1500, SAY_EVERY_MS = 5000 };

struct rg_waiting {
    const struct rg_config *config;
    const struct rg_log *log;
    struct rg_server *server;
    pthread_mutex_t mutex; /* of what follows: the server's thread answers out of it */
    struct rg_birth birth;
    bool empty; /* its data directory is: what it knew is gone */
    bool born, returns; /* birth is in use; it was a member, and asks to be let in again; neither: it does not know yet */
    char why[WHY_BYTES_MAX];
    struct rg_waiting_init asked; /* over HTTPS; wanted: not looked at yet */
    char refused[WHY_BYTES_MAX];  /* what came of the last one; "": nothing yet */
    /* of the thread that asks */
    char said[WHY_BYTES_MAX]; /* logged last */
    uint64_t began_ms, said_ms;
};

/* ---- what is answered ---- */

static void reply(struct rg_request *req, int status, const char *type, const char *text)
{
    const struct rg_http_header later = {rg_span_str("retry-after"), rg_span_str("1")};

    rg_request_reply(req, &(struct rg_http_reply){.status = status, .content_type = type, .headers = &later, .n_headers = status == 503,
                                                  .body = rg_span_str(text)});
}

static void reply_error(struct rg_request *req, int status, const char *code, const char *text)
{
    json_t *json = json_pack("{s:s, s:s}", "code", code, "message", text);
    RG_AUTO_MEM char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    json_decref(json);
    reply(req, status, "application/json", body != NULL ? body : "{}");
}

/* A peer asks, as this node asks its peers. */
static void answer_birth(struct rg_waiting *w, struct rg_request *req)
{
    const char *state;
    RG_AUTO_MEM char *body = NULL;
    json_t *json;
    bool empty;

    pthread_mutex_lock(&w->mutex);
    empty = w->empty || w->born;
    state = w->returns ? rg_birth_name(RG_BIRTH_WAS) : NULL;
    if (w->born)
        state = rg_birth_name(rg_birth_says(&w->birth));
    pthread_mutex_unlock(&w->mutex);
    if (state == NULL) {
        reply_error(req, 503, "NotReady", "it starts");
        return;
    }
    json = json_pack("{s:s, s:I, s:s, s:b, s:b}", "cluster", w->config->cluster, "node", (json_int_t)w->config->id, "state", state,
                     "bound", 0, "empty", empty);
    body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    reply(req, body != NULL ? 200 : 503, "application/json", body != NULL ? body : "");
}

/* The token of the first administrator, whom the bootstrap file names: there is no other credential yet. */
static enum rg_err check_token(struct rg_waiting *w, struct rg_request *req)
{
    struct rg_bootstrap b;
    uint8_t given[RG_SHA256_BYTES], wanted[RG_SHA256_BYTES];
    struct rg_span token = {0};

    if (w->config->bootstrap[0] == '\0' || rg_bootstrap_load(w->config->bootstrap, &b, NULL) != RG_OK)
        return RG_EDENIED;
    for (size_t i = 0; i < req->n_headers; i++)
        if (rg_span_is(req->headers[i].name, "authorization") && req->headers[i].value.n > 7 &&
            memcmp(req->headers[i].value.p, "Bearer ", 7) == 0)
            token = rg_span(req->headers[i].value.p + 7, req->headers[i].value.n - 7);
    rg_sha256(token, given);
    rg_sha256(rg_span_str(b.bearer_token), wanted);
    rg_wipe(&b, sizeof b);
    return token.n > 0 && rg_equal_ct(given, wanted, sizeof given) ? RG_OK : RG_EBADTOKEN;
}

static bool take_init(struct rg_span body, struct rg_waiting_init *init)
{
    json_error_t error;
    json_t *json = body.n > 0 && body.n <= BODY_BYTES_MAX ? rg_json_parse(body, &error) : NULL;
    const json_t *without = json_object_get(json, "without");
    bool good = body.n == 0 || (json_is_object(json) && (without == NULL || json_is_array(without)));

    *init = (struct rg_waiting_init){.wanted = true};
    for (size_t i = 0; good && i < json_array_size(without); i++) {
        json_int_t id = json_integer_value(json_array_get(without, i));

        good = id > 0 && init->n_without < RG_LEN(init->without);
        if (good)
            init->without[init->n_without++] = (uint64_t)id;
    }
    json_decref(json);
    return good;
}

static void answer_init(struct rg_waiting *w, struct rg_request *req)
{
    struct rg_waiting_init init;
    bool born;

    if (check_token(w, req) != RG_OK) {
        reply_error(req, 403, "AccessDeniedException", "an instance is made with the bearer token of this node's bootstrap file alone");
        return;
    }
    if (!take_init(req->body, &init)) {
        reply_error(req, 400, "ValidationException", "nothing is wanted, or an object with `without`: a list of node ids");
        return;
    }
    pthread_mutex_lock(&w->mutex);
    born = w->born;
    if (born) {
        w->asked = init;
        w->refused[0] = '\0';
    }
    pthread_mutex_unlock(&w->mutex);
    if (born)
        reply(req, 202, "application/json", "{}");
    else
        reply_error(req, 409, "ConflictException", "InitRefused: this node was a member, and asks to be let in again");
}

static void handle(void *arg, struct rg_request *req)
{
    struct rg_waiting *w = arg;
    char why[2 * WHY_BYTES_MAX];
    bool get = rg_span_is(req->method, "GET");

    pthread_mutex_lock(&w->mutex);
    snprintf(why, sizeof why, "%s", w->refused[0] != '\0' ? w->refused : w->why);
    pthread_mutex_unlock(&w->mutex);
    if (get && rg_span_is(req->path, "/healthz")) {
        reply(req, 200, "text/plain", "ok\n");
    } else if (get && rg_span_is(req->path, "/v1/birth")) {
        answer_birth(w, req);
    } else if (rg_span_is(req->method, "POST") && rg_span_is(req->path, "/v1/init")) {
        answer_init(w, req);
    } else if (get && rg_span_is(req->path, "/metrics")) {
        reply(req, 200, "text/plain; version=0.0.4",
              "# HELP regent_blank 1 while the data directory is empty, or set aside, and nothing can be served.\n"
              "# TYPE regent_blank gauge\nregent_blank 1\n# HELP regent_ready 1 when the node serves.\n# TYPE regent_ready gauge\n"
              "regent_ready 0\n");
    } else if (get && rg_span_is(req->path, "/readyz")) {
        strcat(why, "\n"); /* half of it is free */
        reply(req, 503, "text/plain", why);
    } else {
        reply_error(req, 503, "NotReady", why);
    }
}

/* What is asked here is short. */
static bool vouches(void *arg, const struct rg_request *req)
{
    (void)arg;
    (void)req;
    return false;
}

/* ---- lifetime ---- */

enum rg_err rg_waiting_start(const struct rg_config *c, const struct rg_log *log, struct rg_waiting **ret_waiting, struct rg_errctx *ctx)
{
    struct rg_waiting *w = calloc(1, sizeof *w);
    struct rg_server_config sc = {.address = c->https_address, .port = c->https_port, .workers = 1,
                                  .cert_path = c->plain_http ? NULL : c->tls_cert, .key_path = c->plain_http ? NULL : c->tls_key,
                                  .handler = handle, .vouches = vouches, .arg = w, .log = log, .conns_max = 64};
    uint16_t port;
    enum rg_err err;

    if (w == NULL)
        return RG_ENOMEM;
    w->config = c;
    w->log = log;
    snprintf(w->why, sizeof w->why, "it starts");
    pthread_mutex_init(&w->mutex, NULL);
    err = rg_server_start(&sc, &w->server, &port, ctx);
    if (err) {
        pthread_mutex_destroy(&w->mutex);
        free(w);
        return err;
    }
    *ret_waiting = w;
    return RG_OK;
}

void rg_waiting_stop(struct rg_waiting *w)
{
    if (w == NULL)
        return;
    rg_server_stop(w->server, 200);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static void set_why(struct rg_waiting *w, const char *why)
{
    pthread_mutex_lock(&w->mutex);
    snprintf(w->why, sizeof w->why, "%s", why);
    pthread_mutex_unlock(&w->mutex);
}

void rg_waiting_empty(struct rg_waiting *w)
{
    pthread_mutex_lock(&w->mutex);
    w->empty = true;
    pthread_mutex_unlock(&w->mutex);
}

void rg_waiting_say(struct rg_waiting *w, const char *why)
{
    pthread_mutex_lock(&w->mutex);
    w->born = false;
    w->returns = true;
    pthread_mutex_unlock(&w->mutex);
    set_why(w, why);
}

/* ---- questions ---- */

struct round {
    struct rg_waiting *waiting;
    struct rg_fetcher *fetcher;
    uint64_t ids[RG_PEERS_MAX], questions[RG_PEERS_MAX];
    char urls[RG_PEERS_MAX][300];
    char unheard[RG_PEERS_MAX][160]; /* why, as it was logged */
    size_t n;
};

/* What a peer's answer comes to. */
static enum rg_birth_state state_of(const struct rg_waiting *w, uint64_t id, const struct rg_fetch_answer *a, bool *ret_bound)
{
    json_error_t error;
    json_t *json = rg_json_parse(rg_buf_span(&a->body), &error);
    const char *cluster = json_string_value(json_object_get(json, "cluster"));
    const char *name = json_string_value(json_object_get(json, "state"));
    enum rg_birth_state state = RG_BIRTH_SILENT;

    *ret_bound = json_is_true(json_object_get(json, "bound"));
    if (a->status == 200 && cluster != NULL && name != NULL && strcmp(cluster, w->config->cluster) == 0)
        state = rg_birth_of(rg_span_str(name));
    else if (a->status == 404 && json_is_string(json_object_get(json, "code"))) /* it knows of no such question */
        state = RG_BIRTH_OLD;
    if (state == RG_BIRTH_HAS && json_object_get(json, "history") != NULL && json_object_get(json, "gone") == NULL)
        state = RG_BIRTH_LOADS;
    /* Where another node answers, as when that one came back under another id: an instance is an instance, and it knows whom it had. */
    if (state != RG_BIRTH_SILENT && state != RG_BIRTH_OLD && state != RG_BIRTH_HAS && state != RG_BIRTH_LOADS &&
        rg_json_number(json, "node") != (json_int_t)id)
        state = RG_BIRTH_SILENT;
    json_decref(json);
    return state;
}

static void ask_all(struct round *r, const volatile sig_atomic_t *stop)
{
    struct rg_waiting *w = r->waiting;
    const struct rg_config *c = w->config;

    for (size_t i = 0; i < r->n; i++) {
        const struct rg_config_peer *peer = NULL;
        struct rg_fetch_request request = {.ca_path = c->tls_ca, .timeout_ms = ASK_MS_MAX, .connect_ms = CONNECT_MS_MAX,
                                           .body_bytes_max = ANSWER_BYTES_MAX, .stop = stop};

        for (size_t k = 0; k < c->n_peers; k++)
            if (c->peers[k].raft.id == r->ids[i])
                peer = &c->peers[k];
        snprintf(r->urls[i], sizeof r->urls[i], "%s/v1/birth?node=%llu", peer->url, (unsigned long long)c->id);
        request.url = r->urls[i];
        pthread_mutex_lock(&w->mutex);
        r->questions[i] = rg_birth_ask(&w->birth);
        pthread_mutex_unlock(&w->mutex);
        if (rg_fetcher_start(r->fetcher, i, &request, NULL) != RG_OK)
            r->questions[i] = 0;
    }
}

/* A name that is not in a certificate, and a line that is cut, are mended in different places: the log has which. */
static void note_unheard(struct round *r, const struct rg_fetch_done *done)
{
    char *why = r->unheard[done->slot], now[sizeof r->unheard[0]];

    if (done->err)
        snprintf(now, sizeof now, "%s", rg_errctx_text(&done->ctx, done->err));
    else
        snprintf(now, sizeof now, "answers with status %ld, and not as a node of this cluster with that id does", done->answer.status);
    if (strcmp(why, now) != 0)
        rg_log_warn(r->waiting->log, "birth.unheard", "peer=%llu reason=\"%s\"", (unsigned long long)r->ids[done->slot], now);
    snprintf(why, sizeof r->unheard[0], "%s", now);
}

static void hear_all(struct round *r, const volatile sig_atomic_t *stop)
{
    struct rg_waiting *w = r->waiting;

    while (!*stop && rg_fetcher_n_busy(r->fetcher) > 0) {
        struct rg_fetch_done done;
        enum rg_birth_state state = RG_BIRTH_SILENT;
        bool bound = false;

        if (!rg_fetcher_next(r->fetcher, 100, &done))
            continue;
        if (done.err == RG_OK)
            state = state_of(w, r->ids[done.slot], &done.answer, &bound);
        if (state == RG_BIRTH_SILENT)
            note_unheard(r, &done);
        else
            r->unheard[done.slot][0] = '\0';
        rg_fetch_answer_deinit(&done.answer);
        pthread_mutex_lock(&w->mutex);
        if (state == RG_BIRTH_SILENT)
            rg_birth_unheard(&w->birth, r->ids[done.slot]);
        else
            rg_birth_heard(&w->birth, r->ids[done.slot], r->questions[done.slot], state, bound);
        pthread_mutex_unlock(&w->mutex);
    }
}

static void nap(unsigned ms, const volatile sig_atomic_t *stop)
{
    const struct timespec slice = {.tv_nsec = 10 * 1000000l};

    for (; ms >= 10 && !*stop; ms -= 10)
        nanosleep(&slice, NULL);
}

/* ---- until something comes of it ---- */

static void say(struct rg_waiting *w, const char *why)
{
    uint64_t now = rg_clock_ms();

    set_why(w, why);
    if (w->began_ms == 0)
        w->began_ms = now;
    if (now - w->began_ms < SAY_AFTER_MS || strcmp(w->said, why) == 0 || (w->said_ms > 0 && now - w->said_ms < SAY_EVERY_MS))
        return; /* others may just be starting, too */
    w->said_ms = now;
    snprintf(w->said, sizeof w->said, "%s", why);
    rg_log_warn(w->log, "birth.waiting", "id=%llu reason=\"%s\"", (unsigned long long)w->config->id, why);
}

static enum rg_err check_bootstrap(const struct rg_config *c, struct rg_errctx *ctx)
{
    struct rg_bootstrap b;
    enum rg_err err;

    if (c->bootstrap[0] == '\0')
        return rg_fail(ctx, RG_EINVALID, "bootstrap: is missing in the configuration: an instance begins with an account and a credential");
    err = rg_bootstrap_load(c->bootstrap, &b, ctx);
    rg_wipe(&b, sizeof b);
    return err;
}

static enum rg_err begin_init(struct rg_waiting *w, const struct rg_waiting_init *init, struct rg_errctx *ctx)
{
    enum rg_err err = check_bootstrap(w->config, ctx);

    return err ? err : rg_birth_init(&w->birth, init->without, init->n_without, rg_clock_ms(), ctx);
}

/* What was asked over HTTPS meanwhile. */
static void take_asked(struct rg_waiting *w)
{
    struct rg_errctx why = {.text = ""};
    enum rg_err err = w->asked.wanted ? begin_init(w, &w->asked, &why) : RG_OK;

    w->asked.wanted = false;
    if (err)
        snprintf(w->refused, sizeof w->refused, "%.500s", rg_errctx_text(&why, err));
}

static enum rg_birth_verdict look(struct rg_waiting *w, char why[WHY_BYTES_MAX])
{
    enum rg_birth_verdict verdict;

    pthread_mutex_lock(&w->mutex);
    take_asked(w);
    verdict = rg_birth_step(&w->birth, rg_clock_ms(), why);
    if (verdict == RG_BIRTH_REFUSES)
        snprintf(w->refused, sizeof w->refused, "%s", why);
    pthread_mutex_unlock(&w->mutex);
    return verdict;
}

static enum rg_err run(struct rg_waiting *w, struct round *r, bool by_flag, const volatile sig_atomic_t *stop,
                       enum rg_birth_verdict *ret_verdict, struct rg_errctx *ctx)
{
    unsigned pause_ms = PAUSE_MS_MIN;

    for (;;) {
        char why[WHY_BYTES_MAX];
        enum rg_birth_verdict verdict = look(w, why);

        if (*stop)
            return RG_ESTOPPED;
        if (verdict == RG_BIRTH_REFUSES && by_flag)
            return rg_fail(ctx, RG_EFOREIGN, "%s", why);
        if (verdict != RG_BIRTH_WAITS && verdict != RG_BIRTH_REFUSES) {
            *ret_verdict = verdict;
            return RG_OK;
        }
        if (r->questions[0] != 0 || r->n == 0) /* the first answers are worth waiting for */
            say(w, why);
        ask_all(r, stop);
        hear_all(r, stop);
        nap(pause_ms, stop);
        pause_ms = RG_MIN(pause_ms + 10, (unsigned)PAUSE_MS_MAX);
    }
}

enum rg_err rg_waiting_birth(struct rg_waiting *w, const struct rg_waiting_init *init, bool was, bool let_in,
                             const volatile sig_atomic_t *stop, enum rg_birth_verdict *ret_verdict, struct rg_errctx *ctx)
{
    const struct rg_config *c = w->config;
    RG_AUTO_MEM struct round *r = calloc(1, sizeof *r);
    RG_AUTO_MEM struct rg_peer_config *peers = calloc(c->n_peers, sizeof *peers);
    enum rg_err err = RG_OK;

    if (r == NULL || peers == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < c->n_peers; i++)
        peers[i] = c->peers[i].raft;
    pthread_mutex_lock(&w->mutex);
    rg_birth_begin(&w->birth, peers, c->n_peers, c->id);
    w->birth.was = was;
    w->birth.let_in = let_in;
    w->born = true;
    if (init->wanted)
        err = begin_init(w, init, ctx);
    pthread_mutex_unlock(&w->mutex);
    r->waiting = w;
    for (size_t i = 0; i < w->birth.n; i++)
        r->ids[r->n++] = w->birth.peers[i].id;
    if (!err)
        err = rg_fetcher_new(RG_MAX(r->n, (size_t)1), &r->fetcher, ctx);
    if (err == RG_ECONFLICT || err == RG_EINVALID)
        err = RG_EFOREIGN; /* ctx says it */
    if (err)
        return err;
    err = run(w, r, init->wanted, stop, ret_verdict, ctx);
    rg_fetcher_free(r->fetcher);
    return err;
}
