#include "tests/lib/api_rig.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"

/* ---- in the node's place: what is behind the API's table (net/api/node.h) ---- */

void node_status(void *arg, struct rg_node_status *ret_status)
{
    struct af_node *node = arg;

    pthread_mutex_lock(&node->mutex);
    *ret_status = node->status;
    pthread_mutex_unlock(&node->mutex);
}

static struct rg_rev node_visible(void *arg)
{
    struct af_node *node = arg;
    struct rg_rev rev;

    pthread_mutex_lock(&node->mutex);
    rev = node->status.applied;
    pthread_mutex_unlock(&node->mutex);
    return rev;
}

uint64_t af_now_ms(void)
{
    return rg_clock_ms();
}

enum rg_err af_apply_bytes(struct af_node *node, struct rg_span cmd, struct rg_reply *reply)
{
    struct rg_txn *txn;
    enum rg_err err = rg_txn_begin(node->store->store, RG_TXN_WRITE, &txn);

    if (!err) {
        node->store->index++;
        err = rg_fsm_apply(txn, node->store->index, (uint64_t)API_EPOCH << 32 | 1, cmd, reply);
        if (err)
            rg_txn_free(txn);
        else
            err = rg_txn_commit(txn);
    }
    if (!err) {
        pthread_mutex_lock(&node->mutex);
        node->status.applied = (struct rg_rev){API_EPOCH, node->store->index};
        node->status.commit_index = node->store->index;
        pthread_mutex_unlock(&node->mutex);
    }
    return err;
}

static void node_answer(struct af_node *node, struct rg_proposal *p)
{
    void (*before_apply)(void) = RG_STEAL(node->before_apply);

    if (before_apply != NULL)
        before_apply();
    p->err = p->degraded ? node->refuse_degraded : node->refuse;
    if (p->err == RG_OK && node->stale > 0) {
        node->stale--;
        p->reply = (struct rg_reply){.err = RG_ESTALE, .why = RG_WHY_VERSION};
        p->rev = node->status.applied;
    } else if (p->err == RG_OK) {
        p->err = af_apply_bytes(node, p->cmd, &p->reply);
        p->rev = (struct rg_rev){API_EPOCH, node->store->index};
        p->regions_durable = node->regions;
        if (p->err == RG_OK && p->wait_regions > node->regions)
            p->err = RG_EREPLICATION;
    }
    p->on_done(p);
}

/* What the API calls on the node's own thread. */
static void node_forward(void *node, struct rg_proposal *proposal) { node_answer(node, proposal); }

struct rg_handover af_handover = {.err = RG_EUNREADY};
struct rg_failover af_failover = {.err = RG_EUNREADY};
static void node_handover(void *node, struct rg_handover *handover)
{
    (void)node;
    handover->err = af_handover.err;
    memcpy(handover->text, af_handover.text, sizeof handover->text);
    handover->epoch = af_handover.epoch;
    handover->paused_ms = af_handover.paused_ms;
    af_handover.to = handover->to;
    af_handover.dry_run = handover->dry_run;
    handover->on_done(handover);
}

static enum rg_err node_vouch(void *arg, const char *by, const char *reason)
{
    (void)arg;
    return strcmp(by, "ada") == 0 && strcmp(reason, "no disk was put back") == 0 ? RG_OK : RG_ECONFLICT;
}

static void node_failover(void *node, struct rg_failover *failover)
{
    const struct rg_failover asked = *failover;

    (void)node;
    *failover = af_failover;
    failover->dry_run = af_failover.dry_run = asked.dry_run;
    failover->accept_loss = af_failover.accept_loss = asked.accept_loss;
    failover->on_done = asked.on_done;
    failover->on_done(failover);
}

static enum rg_err node_try_begin(void *arg, struct rg_txn **ret_txn)
{
    struct af_node *node = arg;

    return rg_txn_begin(node->store->store, RG_TXN_WRITE, ret_txn);
}

static bool wait_is_over(struct af_node *node, struct rg_wait *w)
{
    struct rg_rev now = node_visible(node);

    if (node->wait_err != RG_OK)
        w->err = node->wait_err;
    else if (w->rev.epoch < now.epoch)
        w->err = RG_EREVLOST;
    else if (rg_rev_cmp(now, w->rev) >= 0)
        w->err = RG_OK;
    else if (node->quit)
        w->err = RG_ESTOPPED;
    else if (af_now_ms() >= w->deadline_ms)
        w->err = RG_EREVISION;
    else
        return false;
    return true;
}

static void *node_main(void *arg)
{
    struct af_node *node = arg;
    bool quit = false;

    while (!quit) {
        struct rg_proposal *proposals;
        struct rg_wait *waits, *kept = NULL;
        struct rg_task *tasks;
        struct timespec until;

        pthread_mutex_lock(&node->mutex);
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_nsec += 5000000;
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (node->proposals == NULL && node->tasks == NULL && !node->quit)
            pthread_cond_timedwait(&node->wake, &node->mutex, &until);
        proposals = node->proposals;
        waits = node->waits;
        node->proposals = NULL;
        node->waits = NULL;
        tasks = node->tasks;
        node->tasks = NULL;
        quit = node->quit;
        pthread_mutex_unlock(&node->mutex);
        while (tasks != NULL) {
            struct rg_task *task = tasks;

            tasks = task->next;
            task->run(task, quit);
        }
        while (proposals != NULL) {
            struct rg_proposal *p = proposals;

            proposals = p->next;
            node_answer(node, p);
        }
        while (waits != NULL) {
            struct rg_wait *w = waits;

            waits = w->next;
            if (wait_is_over(node, w)) {
                w->on_done(w);
            } else {
                w->next = kept;
                kept = w;
            }
        }
        pthread_mutex_lock(&node->mutex);
        while (kept != NULL) {
            struct rg_wait *w = kept;

            kept = w->next;
            w->next = node->waits;
            node->waits = w;
        }
        pthread_mutex_unlock(&node->mutex);
    }
    return NULL;
}

static void node_submit(void *arg, struct rg_proposal *p)
{
    struct af_node *node = arg;

    pthread_mutex_lock(&node->mutex);
    p->next = node->proposals; /* order does not matter to these tests: one at a time */
    node->proposals = p;
    node->submitted++;
    pthread_cond_signal(&node->wake);
    pthread_mutex_unlock(&node->mutex);
}

static void node_task(void *arg, struct rg_task *task)
{
    struct af_node *node = arg;

    pthread_mutex_lock(&node->mutex);
    task->next = node->tasks;
    node->tasks = task;
    pthread_cond_signal(&node->wake);
    pthread_mutex_unlock(&node->mutex);
}

static void node_wait(void *arg, struct rg_wait *w)
{
    struct af_node *node = arg;

    pthread_mutex_lock(&node->mutex);
    w->next = node->waits;
    node->waits = w;
    pthread_cond_signal(&node->wake);
    pthread_mutex_unlock(&node->mutex);
}

/* ---- the API ---- */

struct af af;
struct rg_io af_io;
const char *af_data_dir;
const char *af_ca_pem;
static const struct rg_interface *const *af_interfaces = rg_interfaces;

static void af_sink(void *arg, enum rg_log_level level, const char *event, const char *keys)
{
    struct af *f = arg;
    size_t n;

    (void)level;
    pthread_mutex_lock(&f->log_mutex);
    n = strlen(f->logged);
    snprintf(f->logged + n, sizeof f->logged - n, "%s %s\n", event, keys);
    pthread_mutex_unlock(&f->log_mutex);
}

void af_apply(enum rg_cmd_kind kind, const char *fields)
{
    struct rg_reply reply;
    enum rg_err err;

    fix_cmd(&af.fix, kind, fields);
    err = af_apply_bytes(&af.node, rg_buf_span(&af.fix.cmd), &reply);
    ck_assert_int_eq(err, RG_OK);
    ck_assert_msg(reply.err == RG_OK, "%s: %s, why %d", fields, rg_err_symbol(reply.err), reply.why);
}

/* A credential's fields; token and secret may be NULL. */
static void af_put_credential(struct rg_buf *out, const char *key, const char *secret, const char *token,
                                     const char *role)
{
    const struct rg_context context = {rg_span_str(API_ARN), rg_span_str(API_STORE), rg_span_str("secret")};
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    uint8_t hash[32];
    enum rg_err err;

    rg_buf_init(&sealed, 4096);
    if (key != NULL)
        rg_tlv_put_str(out, RG_F_ACCESS_KEY_ID, key);
    else
        rg_tlv_put_str(out, RG_F_NAME, "token-only");
    if (secret != NULL) {
        err = rg_envelope_seal(af.keys, &context, rg_span_str(secret), &sealed);
        ck_assert_int_eq(err, RG_OK);
        rg_tlv_put(out, RG_F_SECRET_SEALED, rg_buf_span(&sealed));
    }
    if (token != NULL) {
        rg_sha256(rg_span_str(token), hash);
        rg_tlv_put(out, RG_F_TOKEN_SHA256, rg_span(hash, sizeof hash));
    }
    rg_tlv_put_str(out, RG_F_ROLE, role);
}

void af_credential(const char *key, const char *secret, const char *token, const char *role)
{
    struct rg_reply reply;
    enum rg_err err;

    rg_cmd_begin(&af.fix.cmd, RG_CMD_CREDENTIAL_PUT, af.fix.at_ms, rg_span_str("tester"));
    af_put_credential(&af.fix.cmd, key, secret, token, role);
    err = af_apply_bytes(&af.node, rg_buf_span(&af.fix.cmd), &reply);
    ck_assert_int_eq(err, RG_OK);
    ck_assert_int_eq(reply.err, RG_OK);
}

void af_init_instance(void)
{
    af_apply(RG_CMD_INSTANCE_INIT, "arn=" API_ARN " store=" API_STORE " owner=999999999999 key=mrk-1 "
                                   "region=name:us-east-1,status:ACTIVE,primary:1 "
                                   "region=name:eu-central-1,status:ACTIVE,primary:0");
    af_credential(API_KEY, API_SECRET, API_TOKEN, "admin");
    af_credential("AKIAREAD", "read-secret", API_READ_TOKEN, "read");
}

static void af_world(void)
{
    af_apply(RG_CMD_USER_CREATE, "id=u1 name=Alice display=Alice email=alice@example.com status=ENABLED");
    af_apply(RG_CMD_USER_CREATE, "id=u2 name=bob");
    af_apply(RG_CMD_USER_CREATE, "id=u3 name=carol status=DISABLED");
    af_apply(RG_CMD_GROUP_CREATE, "id=g1 name=Admins desc=all");
    af_apply(RG_CMD_GROUP_CREATE, "id=g2 name=Readers");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m1 group=g1 user=u1");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m2 group=g2 user=u1");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m3 group=g2 user=u2");
    af_apply(RG_CMD_MEMBERSHIP_CREATE, "membership=m4 group=g1 user=u3");
    af_apply(RG_CMD_PERMSET_CREATE, "psid=p1 name=Admin duration=PT8H policy=arn:aws:iam::aws:policy/X");
    af_apply(RG_CMD_PERMSET_CREATE, "psid=p2 name=View");
    af_apply(RG_CMD_ACCOUNT_PUT, "account=111111111111 name=prod");
    af_apply(RG_CMD_ACCOUNT_PUT, "account=222222222222 name=dev desc=x");
    af_apply(RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=G principal=g1 request=r1");
    af_apply(RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p2 ptype=G principal=g2 request=r2");
    af_apply(RG_CMD_ASSIGNMENT_CREATE, "account=222222222222 permset=p2 ptype=U principal=u2 request=r3");
    af_apply(RG_CMD_ASSIGNMENT_CREATE, "account=111111111111 permset=p1 ptype=U principal=u1 request=r4");
}

static void af_status_init(struct rg_node_status *s)
{
    s->id = 1;
    strcpy(s->region, "us-east-1");
    s->leader = s->ready = s->primary_reachable = s->member = true;
    s->fresh_ms = af_now_ms();
    s->node_ids_left = 1000;
    s->leader_id = 1;
    s->term = (uint64_t)API_EPOCH << 32 | 1;
    s->n_peers = 1;
    s->peers[0].id = 2;
    strcpy(s->peers[0].region, "eu-central-1");
    s->peers[0].up = s->peers[0].hash_known = s->peers[0].hash_ok = s->peers[0].statements = true;
    s->peers[0].applied_index = 7;
    s->peers[0].lag_entries = 5;
    s->peers[0].lag_bytes = 1234;
    s->peers[0].lag_ms = 17;
    s->visible_us[10] = 98;
    s->visible_us[20] = 2;
}

void af_serve(void)
{
    struct rg_errctx ctx = {{0}};
    struct rg_api_config config = {.store = af.fix.store,
                                   .keys = af.keys,
                                   .node = {.arg = &af.node, .status = node_status, .visible = node_visible, .submit = node_submit,
                                            .wait = node_wait, .task = node_task, .forward = node_forward, .try_begin = node_try_begin,
                                            .handover = node_handover, .failover = node_failover, .vouch = node_vouch},
                                   .log = &af.log,
                                   .region = "us-east-1",
                                   .cluster_id = "test",
                                   .regions = af.regions,
                                   .n_regions = 2,
                                   .instance_arn = API_ARN,
                                   .identity_store_id = API_STORE,
                                   .ca_pem = af_ca_pem,
                                   .request_ms = 24 * 3600 * 1000,
                                   .interfaces = af_interfaces,
                                   .n_interfaces = RG_INTERFACES,
                                   .workers = af.workers,
                                   .intents = af.intents,
                                   .relay = af_relay,
                                   .io = &af_io, .data_dir = af_data_dir};
    struct rg_server_config server = {
        .address = "127.0.0.1", .workers = af.workers, .handler = rg_api_handle, .vouches = rg_api_vouches, .log = &af.log};
    enum rg_err err = rg_api_new(&config, &af.api, &ctx);

    ck_assert_msg(err == RG_OK, "%s", rg_errctx_text(&ctx, err));
    server.arg = af.api;
    err = rg_server_start(&server, &af.server, &af.port, &ctx);
    ck_assert_msg(err == RG_OK, "%s", rg_errctx_text(&ctx, err));
}

void (*af_before_serve)(void);
struct rg_relay *af_relay;

void af_instead_of_aws(const struct rg_service *const *services, size_t n)
{
    static struct rg_interface aws;
    static const struct rg_interface *served[RG_INTERFACES];

    aws = rg_aws_interface;
    aws.services = services;
    aws.n_services = n;
    memcpy(served, rg_interfaces, sizeof served);
    served[0] = &aws;
    af_interfaces = served;
}

void af_open_bare(void)
{
    static const uint8_t material[32] = {1, 2, 3};
    enum rg_err err;

    memset(&af, 0, sizeof af);
    fix_open(&af.fix);
    pthread_mutex_init(&af.log_mutex, NULL);
    af.log = (struct rg_log){.min = RG_LOG_WARN, .sink = af_sink, .arg = &af};
    err = rg_keyprov_memory_new("mrk-00000000000000000000000000000001", material, &af.keys);
    ck_assert_int_eq(err, RG_OK);
    pthread_mutex_init(&af.node.mutex, NULL);
    pthread_cond_init(&af.node.wake, NULL);
    af.node.store = &af.fix;
    af_status_init(&af.node.status);
    ck_assert_int_eq(pthread_create(&af.node.thread, NULL, node_main, &af.node), 0);
    af.workers = 2;
    af.regions[0] = (struct rg_api_region){.name = "us-east-1", .url = "https://one.example:1", .id = 1};
    af.regions[1] = (struct rg_api_region){.name = "eu-central-1", .url = "https://two.example:2", .id = 2};
    if (af_before_serve != NULL)
        af_before_serve();
    af_serve();
}

void af_open(void)
{
    af_open_bare();
    af_init_instance();
    af_world();
}

void af_close(void)
{
    rg_server_stop(af.server, 1000);
    pthread_mutex_lock(&af.node.mutex);
    af.node.quit = true;
    pthread_cond_signal(&af.node.wake);
    pthread_mutex_unlock(&af.node.mutex);
    pthread_join(af.node.thread, NULL);
    rg_api_free(af.api);
    rg_keyprov_free(af.keys);
    fix_close(&af.fix);
    pthread_mutex_destroy(&af.node.mutex);
    pthread_cond_destroy(&af.node.wake);
    pthread_mutex_destroy(&af.log_mutex);
}

/* ---- a client: one request, one connection ---- */

void answer_free(struct answer *a)
{
    rg_buf_deinit(&a->body);
    json_decref(a->json);
    memset(a, 0, sizeof *a);
}

const char *header(const struct answer *a, const char *name)
{
    static char value[1024];
    const char *line = a->head;
    size_t n = strlen(name);

    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *from = line + n + 1, *end = strstr(from, "\r\n");

            while (*from == ' ')
                from++;
            snprintf(value, sizeof value, "%.*s", (int)(end - from), from);
            return value;
        }
    }
    return NULL;
}

int af_connect(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(af.port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_ge(fd, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    return fd;
}

void af_send(int fd, const void *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);

        ck_assert_int_gt(sent, 0);
        p = (const char *)p + sent;
        n -= (size_t)sent;
    }
}

static void unchunk(struct rg_buf *body)
{
    size_t from = 0, to = 0;

    for (;;) {
        char *end;
        size_t n = strtoul((char *)body->data + from, &end, 16);

        ck_assert_int_eq(end[0], '\r');
        from = (size_t)((uint8_t *)end - body->data) + 2;
        if (n == 0)
            break;
        ck_assert_uint_le(from + n + 2, body->len);
        memmove(body->data + to, body->data + from, n);
        to += n;
        from += n + 2;
    }
    body->len = to;
}

/* Read to the end of the connection. */
static void af_receive(int fd, struct answer *a)
{
    struct rg_buf all;
    const char *end;
    ssize_t n;

    memset(a, 0, sizeof *a);
    rg_buf_init(&all, 64 << 20);
    do {
        uint8_t *to = rg_buf_reserve(&all, 65536);

        ck_assert_ptr_nonnull(to);
        n = recv(fd, to, 65535, 0);
        ck_assert_msg(n >= 0, "no answer");
        all.len += (size_t)n;
    } while (n > 0);
    rg_buf_put_u8(&all, 0);
    end = strstr((const char *)all.data, "\r\n\r\n");
    ck_assert_msg(end != NULL, "no whole head in: %s", (const char *)all.data);
    snprintf(a->head, sizeof a->head, "%.*s\r\n", (int)(end - (const char *)all.data + 2), (const char *)all.data);
    ck_assert_int_eq(sscanf(a->head, "HTTP/1.1 %d", &a->status), 1);
    rg_buf_init(&a->body, 64 << 20);
    rg_buf_put(&a->body, end + 4, all.len - 1 - (size_t)(end + 4 - (const char *)all.data));
    rg_buf_put_u8(&a->body, 0);
    a->body.len--;
    if (header(a, "transfer-encoding") != NULL) {
        unchunk(&a->body);
        rg_buf_put_u8(&a->body, 0);
        a->body.len--;
    }
    a->json = json_loadb((const char *)a->body.data, a->body.len, 0, NULL);
    rg_buf_deinit(&all);
}

void ask_raw(struct answer *a, const char *method, const char *path, const char *headers,
                           const void *body, size_t n)
{
    struct rg_buf out;
    int fd = af_connect();

    rg_buf_init(&out, 2 << 20);
    rg_buf_printf(&out, "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n%s", method, path, af.port,
                  headers);
    if (n > 0 || strcmp(method, "POST") == 0 || strcmp(method, "PUT") == 0)
        rg_buf_printf(&out, "Content-Length: %zu\r\n", n);
    rg_buf_put_str(&out, "\r\n");
    rg_buf_put(&out, body, n);
    ck_assert_int_eq(out.err, RG_OK);
    af_send(fd, out.data, out.len);
    rg_buf_deinit(&out);
    af_receive(fd, a);
    close(fd);
}

void ask_with(struct answer *a, const char *method, const char *path, const char *more, const char *body)
{
    char headers[4096];

    snprintf(headers, sizeof headers, "Authorization: Bearer " API_TOKEN "\r\n%s", more);
    ask_raw(a, method, path, headers, body, strlen(body));
}

void ask(struct answer *a, const char *method, const char *path, const char *body)
{
    ask_with(a, method, path, "", body);
}

const char *text_at(const json_t *json, const char *member)
{
    const char *s = json_string_value(json_object_get(json, member));

    return s != NULL ? s : "(none)";
}

uint64_t index_of(const struct answer *a)
{
    struct rg_rev rev;
    const char *text = header(a, "regent-revision");

    ck_assert_msg(text != NULL && rg_rev_parse(rg_span_str(text), &rev), "no revision in: %s", a->head);
    ck_assert_uint_eq(rev.epoch, API_EPOCH);
    return rev.index;
}
