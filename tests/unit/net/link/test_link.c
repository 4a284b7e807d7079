/* net/link: two nodes on one loop: messages whole and in order, strangers refused, a broken connection made again. */
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/prng.h"
#include "crypto/pki.h"
#include "net/link/control.h"
#include "net/link/link_priv.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

enum { NODES = 3, LOG_MAX = 64, UNKNOWN = 5 /* a channel that nobody reads */ };

struct node {
    struct rg_links *links;
    uint64_t id;
    uint16_t port;
    unsigned ups, downs, hellos;
    uint64_t received, received_bytes, next_number, controls;
    bool out_of_order, refuse_hello, refuse_messages, echo, first_framing;
    struct rg_es256_key *identity; /* own; NULL: it proves nothing */
    bool other_binding, as_if_dialled, as_other; /* it lies about this */
    bool asks;          /* it refuses who proves nothing */
    uint8_t pins[4][RG_SHA256_BYTES]; /* by id; zeroed: any key is taken */
    unsigned judged;
    char log[LOG_MAX][300];
    size_t n_log;
    struct rg_log sink;
};

static char dir[TMPDIR_BYTES];
static uv_loop_t loop;
static struct node nodes[NODES + 1];

static pthread_mutex_t log_lock = PTHREAD_MUTEX_INITIALIZER; /* the door has a thread of its own */

static void on_log(void *arg, enum rg_log_level level, const char *event, const char *keys)
{
    struct node *n = arg;

    (void)level;
    pthread_mutex_lock(&log_lock);
    if (n->n_log < LOG_MAX)
        snprintf(n->log[n->n_log++], sizeof n->log[0], "%s %s", event, keys);
    pthread_mutex_unlock(&log_lock);
}

static bool logged(const struct node *n, const char *text)
{
    bool found = false;

    pthread_mutex_lock(&log_lock);
    for (size_t i = 0; i < n->n_log; i++)
        found |= strstr(n->log[i], text) != NULL;
    pthread_mutex_unlock(&log_lock);
    return found;
}

static void hello(void *arg, uint64_t peer, struct rg_buf *out)
{
    struct node *n = arg;

    rg_buf_printf(out, "from %llu to %llu", (unsigned long long)n->id, (unsigned long long)peer);
}

static enum rg_err on_hello(void *arg, uint64_t peer, struct rg_span bytes, struct rg_errctx *ctx)
{
    struct node *n = arg;
    char want[64];

    snprintf(want, sizeof want, "from %llu to %llu", (unsigned long long)peer, (unsigned long long)n->id);
    ck_assert(rg_span_is(bytes, want));
    n->hellos++;
    return n->refuse_hello ? rg_fail(ctx, RG_EPEER, "not today") : RG_OK;
}

static void on_up(void *arg, uint64_t peer)
{
    (void)peer;
    ((struct node *)arg)->ups++;
}

static void on_down(void *arg, uint64_t peer)
{
    (void)peer;
    ((struct node *)arg)->downs++;
}

/* A message is u64 number and filler; a control frame 0xC7, then the same. */
static void on_control(void *arg, uint64_t peer, struct rg_span message)
{
    struct node *n = arg;
    struct rg_cursor cur;

    (void)peer;
    rg_cursor_init(&cur, message);
    ck_assert_uint_eq(rg_cursor_u8(&cur), RG_CONTROL_BYTE);
    if (rg_cursor_u64(&cur) != n->next_number++)
        n->out_of_order = true;
    n->controls++;
}

static void on_raft(void *arg, uint64_t peer, struct rg_span message)
{
    struct node *n = arg;
    struct rg_cursor cur;

    rg_cursor_init(&cur, message);
    if (rg_cursor_u64(&cur) != n->next_number++)
        n->out_of_order = true;
    n->received++;
    n->received_bytes += message.n;
    if (n->refuse_messages)
        rg_links_refuse(n->links, peer, "of no sense");
    if (n->echo) /* re-entrant: send from inside the callback */
        ck_assert_int_eq(rg_links_send(n->links, peer, RG_LINK_RAFT, message), RG_OK);
}

static enum rg_err prove(void *arg, const struct rg_link_proof *proof, uint8_t ret_spki[RG_ES256_SPKI_BYTES],
                         uint8_t ret_signature[RG_ES256_SIGNATURE_BYTES])
{
    struct node *n = arg;
    struct rg_link_proof said = *proof;
    RG_AUTO_BUF struct rg_buf text = {.max = 0};

    ck_assert_uint_eq(proof->from, n->id);
    ck_assert(rg_span_is(proof->cluster, "rc-test"));
    if (n->other_binding)
        said.binding[0] ^= 1;
    if (n->as_if_dialled)
        said.dialled = !said.dialled;
    if (n->as_other)
        said.from = 77;
    rg_buf_init(&text, RG_LINK_PROOF_BYTES_MAX);
    rg_link_proof_encode(&said, &text);
    memcpy(ret_spki, rg_es256_spki(n->identity).p, RG_ES256_SPKI_BYTES);
    return rg_es256_sign(n->identity, RG_LINK_PROOF_DOMAIN, rg_buf_span(&text), ret_signature);
}

static enum rg_err judge(void *arg, uint64_t peer, struct rg_span key, struct rg_errctx *ctx)
{
    static const uint8_t any[RG_SHA256_BYTES];
    struct node *n = arg;

    ck_assert_uint_lt(peer, RG_LEN(n->pins));
    n->judged++;
    if (key.n == 0)
        return n->asks ? rg_fail(ctx, RG_EDENIED, "nothing was proved") : RG_OK;
    if (memcmp(n->pins[peer], any, sizeof any) != 0 && memcmp(n->pins[peer], key.p, key.n) != 0)
        return rg_fail(ctx, RG_EPEER, "another key");
    return RG_OK;
}

static void path_of(char out[200], const char *name)
{
    snprintf(out, 200, "%s/%s", dir, name);
}

static void make_cert(const char *cluster, uint64_t id, const char *ca)
{
    char ca_cert[200], ca_key[200], cert[200], key[200], name[64];
    struct rg_errctx ctx = {.text = ""};

    snprintf(name, sizeof name, "%s.pem", ca);
    path_of(ca_cert, name);
    snprintf(name, sizeof name, "%s.key", ca);
    path_of(ca_key, name);
    snprintf(name, sizeof name, "%llu.pem", (unsigned long long)id);
    path_of(cert, name);
    snprintf(name, sizeof name, "%llu.key", (unsigned long long)id);
    path_of(key, name);
    unlink(cert);
    unlink(key);
    ck_assert_msg(rg_pki_node_create(ca_cert, ca_key, cluster, "eu-central-1", id, NULL, NULL, cert, key, &ctx) == RG_OK, "%s",
                  ctx.text);
}

static void make_ca(const char *ca)
{
    char cert[200], key[200], name[64];
    struct rg_errctx ctx = {.text = ""};

    snprintf(name, sizeof name, "%s.pem", ca);
    path_of(cert, name);
    snprintf(name, sizeof name, "%s.key", ca);
    path_of(key, name);
    ck_assert_msg(rg_pki_ca_create("rc-test", cert, key, &ctx) == RG_OK, "%s", ctx.text);
}

static void open_node(uint64_t id)
{
    struct node *n = &nodes[id];
    char ca[200], cert[200], key[200], name[64];
    struct rg_errctx ctx = {.text = ""};
    struct rg_links_config c = {.loop = &loop, .listen_address = "127.0.0.1", .ca_path = ca, .cert_path = cert,
                                .key_path = key, .cluster_id = "rc-test", .self_id = id, .arg = n, .hello = hello,
                                .on_hello = on_hello, .on_up = on_up, .on_down = on_down,
                                .on_message = {[RG_LINK_RAFT] = on_raft, [RG_LINK_CONTROL] = on_control}, .keepalive_ms = 50,
                                .backoff_ms_max = 200, .queue_bytes_max = 20 << 20, .seed = id,
                                .first_framing = n->first_framing, .judge = judge,
                                .prove = n->identity != NULL ? prove : NULL};

    n->id = id;
    n->sink = (struct rg_log){.min = RG_LOG_DEBUG, .sink = on_log, .arg = n};
    c.log = &n->sink;
    path_of(ca, "ca.pem");
    snprintf(name, sizeof name, "%llu.pem", (unsigned long long)id);
    path_of(cert, name);
    snprintf(name, sizeof name, "%llu.key", (unsigned long long)id);
    path_of(key, name);
    ck_assert_msg(rg_links_new(&c, &n->links, &n->port, &ctx) == RG_OK, "%s", ctx.text);
}

static void introduce(uint64_t a, uint64_t b)
{
    char address[64];

    snprintf(address, sizeof address, "127.0.0.1:%u", nodes[b].port);
    ck_assert_int_eq(rg_links_add(nodes[a].links, b, address), RG_OK);
}

static void connect_both(uint64_t a, uint64_t b)
{
    introduce(a, b);
    introduce(b, a);
}

#define RUN_UNTIL(cond)                                                                                                \
    do {                                                                                                               \
        uint64_t until_ = uv_hrtime() + UINT64_C(8000000000);                                                          \
        while (!(cond) && uv_hrtime() < until_)                                                                        \
            run_some();                                                                                                \
        ck_assert_msg(cond, "not within 8 s: %s", #cond);                                                              \
    } while (0)

/* What the door's thread does wakes the loop only when somebody is let in. */
static void run_some(void)
{
    for (uint64_t i = 1; i <= NODES; i++)
        if (nodes[i].links != NULL)
            rg_links_flush(nodes[i].links);
    uv_run(&loop, UV_RUN_NOWAIT);
    usleep(100);
}

static void run_ms(uint64_t ms)
{
    for (uint64_t until = uv_hrtime() + ms * 1000000; uv_hrtime() < until;)
        run_some();
}

static void setup(void)
{
    signal(SIGPIPE, SIG_IGN); /* as in the daemon: a peer may be gone when we write */
    tmpdir_make(dir);
    uv_loop_init(&loop);
    memset(nodes, 0, sizeof nodes);
    make_ca("ca");
    for (uint64_t id = 1; id <= NODES; id++)
        make_cert("rc-test", id, "ca");
}

static void on_links_closed(void *arg)
{
    ((struct node *)arg)->links = NULL;
}

static void close_node(struct node *n)
{
    struct rg_links *links = n->links;

    if (links == NULL)
        return;
    rg_links_close(links, on_links_closed, n);
    while (n->links != NULL)
        uv_run(&loop, UV_RUN_ONCE);
}

static void teardown(void)
{
    for (uint64_t id = 1; id <= NODES; id++) {
        close_node(&nodes[id]);
        rg_es256_key_free(nodes[id].identity);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    tmpdir_remove(dir);
}

static uint8_t big[RG_LINK_MESSAGE_BYTES_MAX];

static void send_number(uint64_t from, uint64_t to, uint64_t number, size_t n)
{
    RG_AUTO_BUF struct rg_buf head = {.max = 0};

    rg_buf_init(&head, 8);
    rg_buf_put_u64(&head, number);
    memcpy(big, head.data, 8);
    ck_assert_int_eq(rg_links_send(nodes[from].links, to, RG_LINK_RAFT, rg_span(big, n)), RG_OK);
}

CASE(.setup = setup, .teardown = teardown);

LOOP(messages_of_any_size_arrive_whole_and_in_order, 2)
{
    static const size_t sizes[] = {8, 9, 300, 32 * 1024 - 11, 32 * 1024 - 10, 32 * 1024, 100000, RG_LINK_MESSAGE_BYTES_MAX};
    struct rg_prng prng;
    uint64_t sent = 0, bytes = 0;

    rg_prng_init(&prng, (uint64_t)_i + 1);
    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < RG_LEN(sizes); i++) {
            if (_i == 1) /* incompressible */
                rg_prng_bytes(&prng, big, sizes[i]);
            send_number(1, 2, sent++, sizes[i]);
            bytes += sizes[i];
        }
        for (int i = 0; i < 500; i++) {
            size_t n = (size_t)rg_prng_between(&prng, 8, 900);

            send_number(1, 2, sent++, n);
            bytes += n;
        }
        RUN_UNTIL(nodes[2].received == sent);
    }
    ck_assert(!nodes[2].out_of_order);
    ck_assert_uint_eq(nodes[2].received_bytes, bytes);
}

TEST(a_message_is_answered_from_inside_its_callback)
{
    struct rg_link_stat stat;

    open_node(1);
    open_node(2);
    connect_both(1, 2);
    nodes[2].echo = true;
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    for (uint64_t i = 0; i < 1000; i++)
        send_number(1, 2, i, 300);
    RUN_UNTIL(nodes[1].received == 1000);
    ck_assert(!nodes[1].out_of_order);
    rg_links_stat(nodes[1].links, 2, &stat);
    ck_assert(stat.up);
    ck_assert_uint_lt(stat.sent_bytes, 1000 * 300 / 2); /* alike messages compress */
    run_ms(150);
    rg_links_stat(nodes[1].links, 2, &stat);
    ck_assert_uint_gt(stat.rtt_us, 0);
}

TEST(a_full_queue_says_busy_and_nothing_is_torn)
{
    uint64_t sent = 0;
    enum rg_err err = RG_OK;
    struct rg_prng prng;

    rg_prng_init(&prng, 3);
    rg_prng_bytes(&prng, big, sizeof big);
    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1);
    while (err == RG_OK && sent < 10) { /* nothing is flushed meanwhile */
        RG_AUTO_BUF struct rg_buf head = {.max = 0};

        rg_buf_init(&head, 8);
        rg_buf_put_u64(&head, sent);
        memcpy(big, head.data, 8);
        err = rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_span(big, sizeof big));
        sent += err == RG_OK;
    }
    ck_assert_int_eq(err, RG_EBUSY);
    ck_assert_uint_eq(sent, 2); /* 20 MiB hold two of 8 */
    RUN_UNTIL(nodes[2].received == sent);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_span(big, sizeof big)), RG_OK);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 3, RG_LINK_RAFT, rg_span(big, 8)), RG_ECLOSED);
}

TEST(a_peer_that_comes_back_is_found_again)
{
    char address[64];
    uint16_t port;

    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    port = nodes[1].port;
    close_node(&nodes[2]);
    RUN_UNTIL(nodes[1].downs == 1);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_span(big, 8)), RG_ECLOSED);
    open_node(2);
    introduce(1, 2); /* at its new port */
    snprintf(address, sizeof address, "127.0.0.1:%u", port);
    ck_assert_int_eq(rg_links_add(nodes[2].links, 1, address), RG_OK);
    RUN_UNTIL(nodes[1].ups == 2 && nodes[2].ups == 2);
    send_number(1, 2, 0, 300);
    RUN_UNTIL(nodes[2].received == 1);
}

LOOP(strangers_are_refused, 5)
{
    static const char *const reasons[] = {"is of cluster rc-evil", "is not a member here", "node 3 answers",
                                          "certificate", "not today"};

    open_node(1);
    if (_i == 0)
        make_cert("rc-evil", 2, "ca");
    if (_i == 3) {
        make_ca("other");
        make_cert("rc-test", 2, "other");
    }
    open_node(2);
    if (_i == 1) { /* 1 does not know 2 */
        introduce(2, 1);
    } else if (_i == 2) { /* somebody else at its address */
        open_node(3);
        nodes[2].port = nodes[3].port;
        introduce(1, 2);
        introduce(3, 1);
    } else {
        nodes[1].refuse_hello = _i == 4;
        connect_both(1, 2);
    }
    run_ms(600);
    ck_assert_uint_eq(nodes[1].ups, 0);
    ck_assert_uint_eq(nodes[2].ups, 0);
    if (_i != 2 && _i != 4)
        ck_assert_msg(logged(&nodes[1], reasons[_i]), "last: %s", nodes[1].n_log > 0 ? nodes[1].log[nodes[1].n_log - 1] : "");
    if (_i == 2 || _i == 4) {
        struct rg_link_stat stat;

        rg_links_stat(nodes[_i == 2 ? 1 : 2].links, _i == 2 ? 2 : 1, &stat);
        ck_assert_msg(strstr(stat.last_error, reasons[_i]) != NULL, "%s", stat.last_error);
    }
    ck_assert_uint_eq(nodes[1].received + nodes[2].received, 0);
}

/* Whoever is refused hears the other side's hello first, from which a replaced primary learns the later epoch; a stranger to
 * the cluster does not. */
LOOP(who_is_refused_hears_our_hello, 4)
{
    open_node(1);
    if (_i == 0)
        make_cert("rc-evil", 2, "ca");
    open_node(2);
    if (_i == 1) { /* 1 does not know 2 */
        introduce(2, 1);
    } else if (_i == 2) { /* nor any more */
        introduce(1, 2);
        rg_links_remove(nodes[1].links, 2);
        introduce(2, 1);
    } else {
        nodes[1].refuse_hello = true;
        connect_both(1, 2);
    }
    if (_i == 0) {
        RUN_UNTIL(logged(&nodes[1], "is of cluster rc-evil"));
        run_ms(100);
        ck_assert_uint_eq(nodes[2].hellos, 0);
    } else {
        RUN_UNTIL(nodes[2].hellos > 0);
        RUN_UNTIL(logged(&nodes[2], _i == 3 ? "not today" : "is not a member here"));
    }
    ck_assert_uint_eq(nodes[1].ups + nodes[2].ups, 0);
}

/* Somebody who is not there any more is looked for at a peer's address: its own connection stays. */
/* From inside the callback, in the middle of a batch. */
TEST(a_message_that_is_refused_ends_the_connection)
{
    RG_AUTO_BUF struct rg_buf message = {.max = 64};

    rg_buf_put_u64(&message, 0);
    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    nodes[2].refuse_messages = true;
    for (unsigned i = 0; i < 5; i++)
        ck_assert_int_eq(rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_buf_span(&message)), RG_OK);
    RUN_UNTIL(nodes[1].downs == 1);
    ck_assert_uint_eq(nodes[2].received, 1); /* what came behind it is not looked at */
    ck_assert_uint_eq(nodes[2].downs, 0);    /* the other way it stands */
    ck_assert(logged(&nodes[2], "link.closed peer=1 side=accepted reason=\"of no sense\""));
    nodes[2].refuse_messages = false;
    nodes[2].next_number = 0;
    RUN_UNTIL(nodes[1].ups == 2);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_buf_span(&message)), RG_OK);
    RUN_UNTIL(nodes[2].received == 2);
}

TEST(a_wrong_number_does_not_disturb)
{
    struct rg_link_stat stat;

    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    nodes[3].port = nodes[2].port;
    introduce(1, 3);
    for (int i = 0; i < 8; i++)
        run_ms(100);
    rg_links_stat(nodes[1].links, 3, &stat);
    ck_assert_msg(strstr(stat.last_error, "node 2 answers") != NULL, "%s", stat.last_error);
    ck_assert_uint_eq(nodes[1].downs + nodes[2].downs, 0);
    send_number(1, 2, 0, 300);
    RUN_UNTIL(nodes[2].received == 1);
}

TEST(garbage_on_the_port_is_closed)
{
    struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    char text[4096];
    int fd;

    open_node(1);
    sa.sin_port = htons(nodes[1].port);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    memset(text, 'G', sizeof text);
    ck_assert_int_eq(send(fd, text, sizeof text, MSG_NOSIGNAL), (int)sizeof text);
    RUN_UNTIL(logged(&nodes[1], "link.refused"));
    close(fd);
}

static int stranger_from(const char *address)
{
    struct sockaddr_in from = {.sin_family = AF_INET}, at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                                             .sin_port = htons(nodes[1].port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(inet_pton(AF_INET, address, &from.sin_addr), 1);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof from), 0);
    (void)connect(fd, (struct sockaddr *)&at, sizeof at); /* on its way */
    return fd;
}

static bool ended(int fd)
{
    char byte;

    return recv(fd, &byte, 1, 0) == 0 || (errno != EAGAIN && errno != EINTR);
}

static unsigned count_left(const int *fd, unsigned n)
{
    unsigned left = 0;

    for (unsigned i = 0; i < n; i++)
        left += !ended(fd[i]);
    return left;
}

/* One address that opens connections and says nothing has its share, and takes nobody's place who is shaking hands. */
TEST(strangers_of_an_address_have_their_share)
{
    enum { MANY = STRANGERS_MAX + 40, SHARE = STRANGERS_MAX / 4 };
    int other, fd[MANY];

    open_node(1);
    other = stranger_from("127.0.0.2");
    for (int i = 0; i < MANY; i++)
        fd[i] = stranger_from("127.0.0.3");
    RUN_UNTIL(count_left(fd, MANY) <= SHARE);
    ck_assert(!ended(other));
    ck_assert(logged(&nodes[1], "too many connections"));
    for (int i = 0; i < MANY; i++)
        close(fd[i]);
    close(other);
}

/* Whoever has all the addresses that there are: a peer still finds its place at once, for it is known where it comes from. */
TEST(a_peer_gets_in_through_a_crowd)
{
    enum { EACH = 24, ADDRESSES = 12, MANY = EACH * ADDRESSES };
    char address[20];
    uint64_t before;
    int fd[MANY];

    open_node(1);
    for (int i = 0; i < MANY; i++) {
        snprintf(address, sizeof address, "127.0.0.%d", 10 + i % ADDRESSES);
        fd[i] = stranger_from(address);
    }
    RUN_UNTIL(count_left(fd, MANY) <= STRANGERS_MAX);
    before = uv_hrtime();
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    ck_assert_uint_lt((uv_hrtime() - before) / 1000000, HANDSHAKE_MS_MAX); /* they are all still there */
    ck_assert_uint_gt(count_left(fd, MANY), STRANGERS_MAX / 2);
    for (int i = 0; i < MANY; i++)
        close(fd[i]);
}

/* However many come and begin: what the loop carries meanwhile does not wait for them. */
TEST(a_flood_of_handshakes_is_the_doors)
{
    static const uint8_t begin[] = {0x16, 0x03, 0x01, 0x00, 0x10, 0x01, 0x00, 0x00, 0x0c, 0x03, 0x03}; /* the rest never comes */
    enum { MANY = 300 };
    int fd[MANY];

    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    nodes[2].echo = true;
    for (int i = 0; i < MANY; i++) {
        fd[i] = stranger_from("127.0.0.4");
        run_ms(1);
        (void)!send(fd[i], begin, sizeof begin, MSG_NOSIGNAL);
        send_number(1, 2, (uint64_t)i, 300);
    }
    RUN_UNTIL(nodes[1].received == MANY);
    ck_assert(!nodes[1].out_of_order);
    ck_assert_uint_eq(nodes[1].downs + nodes[2].downs, 0);
    for (int i = 0; i < MANY; i++)
        close(fd[i]);
}

TEST(a_removed_peer_is_out)
{
    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
    rg_links_remove(nodes[1].links, 2);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_span(big, 8)), RG_ECLOSED);
    RUN_UNTIL(nodes[2].downs == 1);
    run_ms(400);
    ck_assert_uint_eq(nodes[2].ups, 1);
    ck_assert(logged(&nodes[1], "is not a member here"));
}

static void send_control(uint64_t from, uint64_t to, uint64_t number, size_t n)
{
    RG_AUTO_BUF struct rg_buf head = {.max = 0};

    rg_buf_init(&head, 9);
    rg_buf_put_u8(&head, RG_CONTROL_BYTE);
    rg_buf_put_u64(&head, number);
    memcpy(big, head.data, 9);
    ck_assert_int_eq(rg_links_send(nodes[from].links, to, RG_LINK_CONTROL, rg_span(big, n)), RG_OK);
}

/* Whichever of the two is of a release before channels. */
static void open_pair(int old)
{
    nodes[1].first_framing = (old & 1) != 0;
    nodes[2].first_framing = (old & 2) != 0;
    open_node(1);
    open_node(2);
    connect_both(1, 2);
    RUN_UNTIL(nodes[1].ups == 1 && nodes[2].ups == 1);
}

LOOP(channels_are_told_apart_whatever_the_peer_speaks, 4)
{
    static const size_t sizes[] = {9, 300, 40000};
    uint64_t sent[3] = {0, 0, 0};

    open_pair(_i);
    for (int round = 0; round < 20; round++) {
        for (uint64_t from = 1; from <= 2; from++)
            for (size_t i = 0; i < RG_LEN(sizes); i++) {
                send_number(from, 3 - from, sent[from]++, sizes[i]);
                send_control(from, 3 - from, sent[from]++, sizes[i]);
            }
        RUN_UNTIL(nodes[1].next_number == sent[2] && nodes[2].next_number == sent[1]);
    }
    for (int n = 1; n <= 2; n++) {
        ck_assert(!nodes[n].out_of_order); /* across channels, too */
        ck_assert_uint_eq(nodes[n].received, 60);
        ck_assert_uint_eq(nodes[n].controls, 60);
    }
}

/* What is raft's may begin with any byte, but not to a release before channels. */
LOOP(the_first_byte_is_no_matter, 2)
{
    open_pair(_i);
    nodes[2].next_number = _i == 0 ? RG_CONTROL_BYTE : 0;
    send_number(1, 2, RG_CONTROL_BYTE, 9);
    RUN_UNTIL(nodes[2].received + nodes[2].controls == 1);
    ck_assert_uint_eq(nodes[2].controls, (uint64_t)_i);
}

TEST(what_nobody_reads_is_dropped_and_counted)
{
    struct rg_link_stat stat;
    unsigned lines = 0;

    open_pair(0);
    for (uint64_t i = 0; i < 100; i++) {
        ck_assert_int_eq(rg_links_send(nodes[1].links, 2, UNKNOWN, rg_span(big, i == 50 ? 40000 : 0)), RG_OK);
        send_number(1, 2, i, 300);
    }
    RUN_UNTIL(nodes[2].received == 100);
    ck_assert(!nodes[2].out_of_order);
    rg_links_stat(nodes[2].links, 1, &stat);
    ck_assert_uint_eq(stat.dropped_messages, 100);
    ck_assert_uint_eq(stat.received_messages, 200);
    for (size_t i = 0; i < nodes[2].n_log; i++)
        lines += strstr(nodes[2].log[i], "link.dropped peer=1 channel=5 messages=1 ") != NULL;
    ck_assert_uint_eq(lines, 1);
    ck_assert_uint_eq(nodes[1].downs + nodes[2].downs, 0);
}

LOOP(an_old_peer_is_sent_no_channel_that_it_does_not_know, 2)
{
    open_pair(1 + _i);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 2, UNKNOWN, rg_span(big, 9)), RG_EPEER);
    ck_assert_int_eq(rg_links_send(nodes[2].links, 1, UNKNOWN, rg_span(big, 9)), RG_EPEER);
    send_number(1, 2, 0, 300);
    RUN_UNTIL(nodes[2].received == 1);
}

static const struct {
    int old;
    const char *bytes;
    size_t n;
    const char *reason;
} malformed[] = {
    {0, "\x10\0", 2, "unknown type 16"},
    {0, "\x18\0", 2, "unknown type 24"},
    {0, "\x23\x08", 2, "unknown type 35"}, /* a ping on a channel */
    {0, "\x15", 1, "malformed"},           /* a batch of control frames, which one below does not fill */
    {0, "\x16\x02\x05\xff", 4, "does not decompress"},
    {1, "\x17\x01x", 3, "not agreed upon"},
    {2, "\x17\x01x", 3, "not agreed upon"},
    {1, "\x1f\0", 2, "unknown type 31"},
};

LOOP(malformed_frames_end_the_link, RG_LEN(malformed))
{
    struct conn *c;

    open_pair(malformed[_i].old);
    c = nodes[1].links->peers[0].out;
    if (malformed[_i].n == 1)
        rg_frame_put_batch(c->writer, &c->plain_out, RG_LINK_CONTROL, rg_span("\x05" "ab", 3));
    else
        rg_buf_put(&c->plain_out, malformed[_i].bytes, malformed[_i].n);
    RUN_UNTIL(nodes[1].downs == 1);
    ck_assert_msg(logged(&nodes[2], malformed[_i].reason), "last: %s", nodes[2].log[nodes[2].n_log - 1]);
    ck_assert_uint_eq(nodes[2].received + nodes[2].controls, 0);
    RUN_UNTIL(nodes[1].ups == 2); /* and it is made again */
}

/* Raft's frames cost what they did before there were channels, and a channel costs nothing. */
TEST(a_channel_is_in_the_first_byte)
{
    static const struct {
        unsigned channel;
        uint8_t batch, raw;
    } want[] = {{RG_LINK_RAFT, 0x05, 0x07}, {RG_LINK_CONTROL, 0x15, 0x17}, {15, 0xf5, 0xf7}};

    for (size_t i = 0; i < RG_LEN(want); i++) {
        RG_AUTO_BUF struct rg_buf batch = {.max = 0}, raw = {.max = 0};
        struct rg_frame_writer *writer;

        rg_buf_init(&batch, 1000);
        rg_buf_init(&raw, 1000);
        ck_assert_int_eq(rg_frame_writer_new(&writer), RG_OK);
        rg_frame_put_batch(writer, &batch, want[i].channel, rg_span("\x02hi", 3));
        rg_frame_put_large(writer, &raw, want[i].channel, rg_span("hi", 2));
        rg_frame_writer_free(writer);
        ck_assert_uint_eq(batch.data[0], want[i].batch);
        ck_assert_uint_eq(raw.len, 4);
        ck_assert_uint_eq(raw.data[0], want[i].raw);
    }
}

/* ---- a node is its key ---- */

static void identify(uint64_t id) { ck_assert_int_eq(rg_es256_new(&nodes[id].identity), RG_OK); }

static void pin(uint64_t at, uint64_t id) { rg_sha256(rg_es256_spki(nodes[id].identity), nodes[at].pins[id]); }

static bool tried(unsigned times)
{
    unsigned n = 0;

    for (size_t i = 0; i < nodes[2].n_log; i++)
        n += strstr(nodes[2].log[i], "link.refused") != NULL;
    return n >= times;
}

TEST(both_ends_prove_themselves)
{
    struct rg_link_stat stat;

    identify(1);
    identify(2);
    pin(1, 2);
    pin(2, 1);
    nodes[1].asks = nodes[2].asks = true;
    open_pair(0);
    for (uint64_t id = 1; id <= 2; id++) {
        rg_links_stat(nodes[id].links, 3 - id, &stat);
        ck_assert(stat.proved);
        ck_assert_mem_eq(stat.key, nodes[id].pins[3 - id], sizeof stat.key);
        ck_assert_uint_ge(nodes[id].judged, 2); /* where it dialled, and where it was */
    }
    send_number(1, 2, 0, 300);
    RUN_UNTIL(nodes[2].received == 1);
}

/* Where it was under another id: there is nothing to prove, and nobody to prove it to. */
TEST(a_node_that_finds_itself_at_an_address_hangs_up)
{
    struct rg_link_stat stat;

    identify(1);
    open_node(1);
    nodes[2].port = nodes[1].port;
    introduce(1, 2);
    for (stat.last_error[0] = '\0'; strstr(stat.last_error, "node 1 answers") == NULL;) {
        run_ms(20);
        rg_links_stat(nodes[1].links, 2, &stat);
    }
    run_ms(300);
    ck_assert_uint_eq(nodes[1].ups + nodes[1].hellos, 0);
}

/* A release before proofs, or a node without a key: taken where nobody asks, in either framing. */
LOOP(who_cannot_prove_is_taken_where_nobody_asks, 4)
{
    struct rg_link_stat stat;

    identify(_i % 2 == 0 ? 1 : 2);
    open_pair(_i < 2 ? 0 : _i % 2 == 0 ? 2 : 1);
    send_number(1, 2, 0, 300);
    RUN_UNTIL(nodes[2].received == 1);
    rg_links_stat(nodes[1].links, 2, &stat);
    ck_assert(!stat.proved);
}

/* Whoever has node 1's certificate and its key, and not the key that node 1 is: in whatever way he tries, nothing that he says is heard. */
static const struct {
    const char *name, *reason;
    bool nothing, other_key, other_binding, as_if_dialled, as_other;
} lies[] = {
    {"he says that he knows of no proofs", "nothing was proved", .nothing = true},
    {"a key of his own", "another key", .other_key = true},
    {"a proof of another connection", "is not this connection", .other_binding = true},
    {"the other end's proof", "is not this connection", .as_if_dialled = true},
    {"a proof of another node", "is not this connection", .as_other = true},
};

LOOP(a_certificate_is_not_a_node, RG_LEN(lies))
{
    identify(1);
    identify(2);
    pin(2, 1);
    nodes[2].asks = true;
    nodes[1].other_binding = lies[_i].other_binding;
    nodes[1].as_if_dialled = lies[_i].as_if_dialled;
    nodes[1].as_other = lies[_i].as_other;
    if (lies[_i].nothing || lies[_i].other_key) {
        rg_es256_key_free(nodes[1].identity);
        nodes[1].identity = NULL;
    }
    if (lies[_i].other_key)
        identify(1);
    open_node(1);
    open_node(2);
    introduce(1, 2);
    nodes[2].id = 2;
    ck_assert_int_eq(rg_links_add(nodes[2].links, 1, "127.0.0.1:1"), RG_OK); /* a peer, which it does not reach itself */
    RUN_UNTIL(tried(1));
    ck_assert_msg(logged(&nodes[2], lies[_i].reason), "%s: last: %s", lies[_i].name, nodes[2].log[nodes[2].n_log - 1]);
    ck_assert_uint_eq(nodes[2].hellos, 0);
    ck_assert_uint_eq(nodes[1].ups, 0);
    ck_assert_int_eq(rg_links_send(nodes[1].links, 2, RG_LINK_RAFT, rg_span(big, 8)), RG_ECLOSED);
}
