/* cmd/cli/client_nodes.c: which node a client's requests go to, while nodes die, elect and change places. */
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/cli/client_priv.h"

enum {
    LOOK_MS_MAX = 2000,
    GRACE_US = 200000,      /* once somebody fits, so long for an answer that says otherwise */
    ELECTION_MS_MAX = 5000, /* a request waits so long for a region that elects */
    AGAIN_US = 100000,
    HOPS_MAX = 4
};

/* ---- asking many ---- */

void rg_looks_deinit(struct rg_look *looks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        json_decref(RG_STEAL(looks[i].body));
}

static void take_look(struct rg_fetch_done *done, struct rg_look *look)
{
    look->err = done->err;
    look->ctx = done->ctx;
    look->status = done->answer.status;
    if (!look->err)
        look->body = rg_json_parse(rg_buf_span(&done->answer.body), NULL);
    rg_fetch_answer_deinit(&done->answer);
}

/* Until all have answered, or somebody fits and the others have had their time. fits NULL: until all have. */
static void wait_looks(struct rg_fetcher *fetcher, struct rg_look *looks, size_t n, bool (*fits)(const struct rg_look *looks, size_t n))
{
    struct rg_fetch_done done = {.slot = 0};
    uint64_t fitting_us = 0;

    while (rg_fetcher_n_busy(fetcher) > 0 && (fitting_us == 0 || rg_clock_us() - fitting_us < GRACE_US)) {
        if (!rg_fetcher_next(fetcher, 50, &done))
            continue;
        take_look(&done, &looks[done.slot]);
        if (fitting_us == 0 && fits != NULL && fits(looks, n))
            fitting_us = rg_clock_us();
    }
}

static enum rg_err look(struct rg_client *client, const char *path, long timeout_ms, struct rg_look *looks, size_t n,
                        bool (*fits)(const struct rg_look *looks, size_t n), struct rg_errctx *ctx)
{
    const struct client_request request = {.method = "GET", .path = path};
    RG_AUTO(fetcher) struct rg_fetcher *fetcher = NULL;
    enum rg_err err = rg_fetcher_new(n, &fetcher, ctx);

    for (size_t i = 0; i < n; i++) {
        looks[i].body = NULL;
        looks[i].status = 0;
        looks[i].err = rg_fail(&looks[i].ctx, RG_ETIMEOUT, "%s: no answer yet", looks[i].url);
    }
    for (size_t i = 0; !err && i < n; i++) {
        struct client_room room;
        struct rg_fetch_request fetch = client_fetch(client, looks[i].url, &request, timeout_ms, &room);

        err = rg_fetcher_start(fetcher, i, &fetch, ctx);
    }
    if (!err)
        wait_looks(fetcher, looks, n, fits);
    return err;
}

enum rg_err rg_client_look(struct rg_client *client, const char *path, long timeout_ms, struct rg_look *looks, size_t n,
                           struct rg_errctx *ctx)
{
    return look(client, path, timeout_ms, looks, n, NULL, ctx);
}

/* ---- choosing one ---- */

static bool is_good(const struct rg_look *look) { return !look->err && look->status == 200; }

static json_int_t epoch_of(const struct rg_look *look) { return rg_json_number(look->body, "epoch"); }

static bool says_primary(const struct rg_look *look)
{
    return is_good(look) && rg_span_is(rg_span_str(json_string_value(json_object_get(look->body, "role"))), "PRIMARY");
}

size_t rg_looks_primary(const struct rg_look *looks, size_t n)
{
    size_t at = n;

    for (size_t i = 0; i < n; i++)
        if (says_primary(&looks[i]) && (at == n || epoch_of(&looks[i]) > epoch_of(&looks[at])))
            at = i;
    return at;
}

/* A primary that nobody knows a successor of. */
static bool primary_fits(const struct rg_look *looks, size_t n)
{
    size_t at = rg_looks_primary(looks, n);

    for (size_t i = 0; at < n && i < n; i++)
        if (is_good(&looks[i]) && epoch_of(&looks[i]) > epoch_of(&looks[at]))
            return false;
    return at < n;
}

static bool is_ready(const struct rg_look *look)
{
    return is_good(look) && rg_json_flag(look->body, "ready");
}

static size_t choose_of_region(const struct rg_look *looks, size_t n)
{
    size_t at = rg_looks_primary(looks, n);

    for (size_t i = 0; at == n && i < n; i++)
        if (is_ready(&looks[i]))
            at = i;
    for (size_t i = 0; at == n && i < n; i++)
        if (!looks[i].err)
            at = i;
    return at;
}

/* Without a primary: a ready node of the latest epoch, else any that answers. */
static size_t choose_reader(const struct rg_look *looks, size_t n)
{
    size_t at = n;

    for (size_t i = 0; i < n; i++)
        if (is_ready(&looks[i]) && (at == n || epoch_of(&looks[i]) > epoch_of(&looks[at])))
            at = i;
    for (size_t i = 0; at == n && i < n; i++)
        if (is_good(&looks[i]))
            at = i;
    return at;
}

static bool region_fits(const struct rg_look *looks, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_ready(&looks[i]))
            return true;
    return false;
}

static enum rg_err choose(struct rg_client *client, struct rg_look *looks, struct rg_errctx *ctx)
{
    bool primary = client->kind == CLIENT_PRIMARY;
    struct rg_errctx *last = NULL;
    size_t n = client->n_nodes, at;
    enum rg_err err = look(client, "/v1/status", RG_MIN(client->timeout_ms, (long)LOOK_MS_MAX), looks, n,
                           primary ? primary_fits : region_fits, ctx);

    if (err)
        return err;
    at = primary ? rg_looks_primary(looks, n) : choose_of_region(looks, n);
    if (at == n && client->any && (at = choose_reader(looks, n)) < n)
        fprintf(stderr, "no region that answers is PRIMARY: this is what %s knows\n",
                json_string_value(json_object_get(looks[at].body, "region")));
    if (at < n) {
        snprintf(client->url, sizeof client->url, "%s", looks[at].url);
        return RG_OK;
    }
    for (size_t i = 0; i < n; i++)
        if (looks[i].err)
            last = &looks[i].ctx;
    return rg_fail(ctx, RG_EUNREACHABLE, "%s%s%s",
                   primary ? "no node of the cluster file says that it is the primary" : "no node of the region answers",
                   last != NULL ? "; one of them: " : "", last != NULL ? last->text : "");
}

/* How long to wait for a region that elects; a region of one node does not. */
static uint64_t election_us(const struct rg_client *client)
{
    return client->elects ? RG_MIN((uint64_t)client->timeout_ms, (uint64_t)ELECTION_MS_MAX) * 1000 : 0;
}

enum rg_err client_find(struct rg_client *client, struct rg_errctx *ctx)
{
    uint64_t until = rg_clock_us() + election_us(client);
    RG_AUTO_MEM struct rg_look *looks = NULL;
    enum rg_err err;

    if (client->url[0] != '\0')
        return RG_OK;
    looks = calloc(client->n_nodes, sizeof *looks);
    if (looks == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < client->n_nodes; i++)
        looks[i].url = client->nodes[i];
    for (;;) {
        err = choose(client, looks, ctx);
        rg_looks_deinit(looks, client->n_nodes);
        if (err != RG_EUNREACHABLE || client->kind != CLIENT_PRIMARY || rg_clock_us() >= until)
            return err;
        usleep(AGAIN_US);
    }
}

/* ---- requests ---- */

/* Go where a 421 points. The credentials stay on TLS if they were; that the node is of this cluster, its certificate says. */
static bool follow(struct rg_client *client, const struct rg_answer *answer)
{
    const char *host = strstr(answer->location, "://");
    size_t scheme = host != NULL ? (size_t)(host - answer->location) + 3 : 0, n;

    if (host == NULL || strncmp(answer->location, client->url, scheme) != 0)
        return false;
    n = scheme + strcspn(host + 3, "/?");
    if (n == scheme || n >= sizeof client->url || (strncmp(client->url, answer->location, n) == 0 && client->url[n] == '\0'))
        return false;
    memcpy(client->url, answer->location, n);
    client->url[n] = '\0';
    return true;
}

/* It was refused since this node is not, or not yet, or no longer the primary: nothing was done. */
static bool is_misdirected(const struct rg_answer *answer)
{
    return answer->status == 421 || (answer->status == 503 && rg_answer_error(answer, NULL) == RG_ENOPRIMARY);
}

/* Where the requests of one call stand. */
struct course {
    uint64_t until_us, elect_until_us; /* the whole call; how long an election may take */
    unsigned hops;
    bool fresh; /* the node was chosen by this call */
};

static long left_ms(const struct course *course)
{
    uint64_t now = rg_clock_us();

    return now < course->until_us ? (long)((course->until_us - now + 999) / 1000) : 1;
}

/* Whether to choose a node again. */
static bool may_look(struct rg_client *client, struct course *course)
{
    bool again = !course->fresh || rg_clock_us() < RG_MIN(course->elect_until_us, course->until_us);

    if (again && course->fresh)
        usleep(AGAIN_US);
    if (again)
        client->url[0] = '\0';
    return again;
}

static enum rg_err open_outcome(enum rg_err err, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""};

    if (ctx != NULL)
        why = *ctx;
    return rg_fail(ctx, err, "%.600s; the request was sent, and may have been carried out", why.text);
}

enum rg_err rg_client_request(struct rg_client *client, const char *method, const char *path, const char *target,
                              struct rg_span body, struct rg_answer *ret_answer, struct rg_errctx *ctx)
{
    const struct client_request request = {.method = method, .path = path, .target = target, .body = body};
    uint64_t now = rg_clock_us();
    struct course course = {.until_us = now + (uint64_t)client->timeout_ms * 1000,
                            .elect_until_us = now + election_us(client)};

    for (;;) {
        bool sent = false;
        enum rg_err err;

        if (client->url[0] == '\0') {
            err = client_find(client, ctx);
            course.fresh = true;
            if (err)
                return err;
        }
        err = client_request_once(client, &request, left_ms(&course), ret_answer, &sent, ctx);
        if (client->kind == CLIENT_NODE || (!err && (client->kind == CLIENT_REGION || !is_misdirected(ret_answer))))
            return err;
        if (err && sent && strcmp(method, "GET") != 0)
            return open_outcome(err, ctx);
        if (err) {
            if (rg_err_exit(err) != rg_err_exit(RG_EUNREACHABLE) || !may_look(client, &course))
                return err;
            continue;
        }
        if (ret_answer->status == 421 && course.hops++ < HOPS_MAX && follow(client, ret_answer)) {
            rg_answer_deinit(ret_answer);
            continue;
        }
        if (!may_look(client, &course))
            return RG_OK;
        rg_answer_deinit(ret_answer);
    }
}

/* ---- clients of several nodes ---- */

static enum rg_err add_nodes(struct rg_client *client, const struct rg_cluster_region *region)
{
    size_t n = rg_cluster_n_urls(region);
    char(*nodes)[160] = reallocarray(client->nodes, client->n_nodes + n, sizeof *nodes);

    if (nodes == NULL)
        return RG_ENOMEM;
    client->nodes = nodes;
    client->elects |= region->n_nodes > 1;
    for (size_t i = 0; i < n; i++)
        snprintf(nodes[client->n_nodes++], sizeof *nodes, "%s", rg_cluster_url(region, i));
    return RG_OK;
}

enum rg_err rg_client_region(const struct rg_cluster *cluster, const struct rg_cluster_region *region,
                             struct rg_client **ret_client, struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    enum rg_err err = rg_client_new(cluster, region->n_nodes <= 1 ? region->url : "", &client, ctx);

    if (!err && region->n_nodes > 1) {
        client->kind = CLIENT_REGION;
        err = add_nodes(client, region);
    }
    if (!err)
        *ret_client = RG_STEAL(client);
    return err;
}

enum rg_err rg_client_primary(const struct rg_cluster *cluster, long timeout_ms, struct rg_client **ret_client,
                              struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    enum rg_err err = rg_client_new(cluster, "", &client, ctx);

    if (err)
        return err;
    client->kind = CLIENT_PRIMARY;
    client->timeout_ms = timeout_ms;
    for (int marked = 1; !err && marked >= 0; marked--)
        for (size_t i = 0; !err && i < cluster->n_regions; i++)
            if (cluster->regions[i].primary == (marked == 1))
                err = add_nodes(client, &cluster->regions[i]);
    if (!err)
        *ret_client = RG_STEAL(client);
    return err;
}

enum rg_err rg_client_reader(const struct rg_cluster *cluster, long timeout_ms, struct rg_client **ret_client,
                             struct rg_errctx *ctx)
{
    enum rg_err err = rg_client_primary(cluster, timeout_ms, ret_client, ctx);

    if (!err) {
        (*ret_client)->any = true;
        (*ret_client)->elects = false; /* whoever knows answers at once */
    }
    return err;
}

enum rg_err rg_client_open(struct rg_cluster *cluster, const char *region, long timeout_ms, struct rg_client **ret_client,
                           struct rg_errctx *ctx)
{
    struct rg_cluster_region *r;
    enum rg_err err;

    if (region == NULL)
        return rg_client_reader(cluster, timeout_ms, ret_client, ctx);
    err = rg_cluster_region(cluster, region, &r, ctx);
    if (!err)
        err = rg_client_region(cluster, r, ret_client, ctx);
    if (!err)
        rg_client_timeout(*ret_client, timeout_ms);
    return err;
}

enum rg_err rg_cluster_mark_primary(struct rg_cluster *cluster, struct rg_errctx *ctx)
{
    RG_AUTO(client) struct rg_client *client = NULL;
    enum rg_err err = rg_client_primary(cluster, RG_CLIENT_MS, &client, ctx);

    if (!err)
        err = client_find(client, ctx);
    for (size_t i = 0; !err && i < cluster->n_regions; i++) {
        struct rg_cluster_region *r = &cluster->regions[i];

        r->primary = strcmp(r->url, client->url) == 0;
        for (size_t k = 0; k < r->n_nodes; k++)
            r->primary |= strcmp(r->nodes[k].url, client->url) == 0;
        if (r->primary)
            memcpy(r->url, client->url, sizeof r->url);
    }
    return err;
}
