/* net/http/server: what comes from other threads: posts and streams. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

CASE(.once = srv_files, .once_end = srv_remove);

/* ---- posts ---- */

enum { POSTERS = 4, POSTS = 5000 };

struct numbered {
    struct rg_post post;
    unsigned who, at;
};

static unsigned seen_up_to[POSTERS];
static atomic_uint n_run;

static void run_numbered(struct rg_post *post)
{
    struct numbered *n = (struct numbered *)post;

    ck_assert_uint_eq(seen_up_to[n->who]++, n->at);
    atomic_fetch_add(&n_run, 1);
}

static void *poster_main(void *arg)
{
    struct numbered *mine = arg;

    for (unsigned i = 0; i < POSTS; i++)
        rg_worker_post((struct rg_worker *)(void *)mine[i].post.next, &mine[i].post);
    return NULL;
}

TEST(posts_run_in_order_and_all)
{
    static struct numbered posts[POSTERS][POSTS];
    pthread_t threads[POSTERS];
    struct rg_worker *worker;
    struct client c;

    srv_start((struct rg_server_config){0});
    client_open_plain(&c);
    client_get(&c, "/hold?x");
    wait_for(&srv.n_held, 1);
    worker = srv.held->req->worker;
    for (unsigned who = 0; who < POSTERS; who++) {
        for (unsigned i = 0; i < POSTS; i++)
            posts[who][i] = (struct numbered){{(struct rg_post *)(void *)worker, run_numbered}, who, i};
        pthread_create(&threads[who], NULL, poster_main, posts[who]);
    }
    for (unsigned who = 0; who < POSTERS; who++)
        pthread_join(threads[who], NULL);
    wait_for(&n_run, POSTERS * POSTS);
    srv_release();
    ck_assert_answer(client_answer(&c, false), 200, "x");
    client_close(&c);
    srv_stop();
}

/* ---- streams ---- */

TEST(streamed_replies)
{
    struct client c;
    struct answer a;

    srv_start_tls((struct rg_server_config){0});
    client_open(&c, "http/1.1");
    for (int i = 0; i < 3; i++) {
        client_get(&c, "/stream?3");
        a = client_answer(&c, false);
        ck_assert(a.chunked);
        ck_assert_answer(a, 200, "line 0\nline 1\nline 2\n");
    }
    client_send(&c, "HEAD /stream?3 HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_int_eq(client_answer(&c, true).status, 200);
    client_send(&c, "GET /stream?2 HTTP/1.0\r\n\r\n");
    a = client_answer(&c, false);
    ck_assert(!a.chunked && a.close);
    ck_assert_answer(a, 200, "line 0\nline 1\n");
    client_close(&c);
    srv_stop();
}

static atomic_int stream_err;

static void run_stream_send(struct rg_post *post)
{
    struct held *held = (struct held *)post;
    enum rg_err err = rg_request_stream_send(held->req, rg_span(srv_big, 100000));

    atomic_store(&stream_err, (int)err);
    atomic_fetch_add(&srv.n_streamed, 1);
}

static void run_stream_end(struct rg_post *post)
{
    struct held *held = (struct held *)post;

    rg_request_stream_end(held->req);
    free(held);
    atomic_fetch_add(&srv.n_streamed, 1);
}

/* One send on the worker's thread; what it gave. */
static enum rg_err stream_send(struct held *held, unsigned *at)
{
    held->post.run = run_stream_send;
    rg_worker_post(held->req->worker, &held->post);
    wait_for(&srv.n_streamed, ++*at);
    return (enum rg_err)atomic_load(&stream_err);
}

TEST(a_stream_tells_when_to_wait_and_when_to_stop)
{
    struct client c;
    struct held *held;
    unsigned at = 0, sent = 0;

    srv_start((struct rg_server_config){.output_bytes_max = 1000000});
    client_open_plain(&c);
    client_get(&c, "/open");
    wait_for(&srv.n_held, 1);
    held = RG_STEAL(srv.held);
    while (stream_send(held, &at) == RG_OK)
        ck_assert_uint_lt(++sent, 200);
    ck_assert_int_eq(atomic_load(&stream_err), RG_EBUSY);
    ck_assert_uint_ge(sent, 10);
    for (int i = 0; i < 40; i++) { /* read on: there is room again */
        ck_assert(client_more(&c));
        c.n = 0;
    }
    for (uint64_t from = now_ms(); stream_send(held, &at) == RG_EBUSY;) {
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
        ck_assert(client_more(&c));
        c.n = 0;
    }
    ck_assert_int_eq(atomic_load(&stream_err), RG_OK);
    client_close(&c);
    for (uint64_t from = now_ms(); stream_send(held, &at) != RG_ECLOSED;)
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    held->post.run = run_stream_end;
    rg_worker_post(held->req->worker, &held->post);
    wait_for(&srv.n_streamed, at + 1);
    srv_stop();
}

TEST(an_idle_stream_sees_its_client_leave)
{
    struct client c;
    struct held *held;
    unsigned at = 0;

    srv_start_tls((struct rg_server_config){.idle_ms_max = 100, .write_ms_max = 100});
    client_open(&c, "http/1.1");
    client_get(&c, "/open");
    wait_for(&srv.n_held, 1);
    held = RG_STEAL(srv.held);
    sleep_ms(400);
    ck_assert_uint_eq(srv_stats().conns_open, 1);
    client_close(&c);
    for (uint64_t from = now_ms(); srv_stats().conns_open > 0; sleep_ms(5))
        ck_assert_uint_lt(now_ms() - from, RECV_MS);
    ck_assert_int_eq(stream_send(held, &at), RG_ECLOSED);
    held->post.run = run_stream_end;
    rg_worker_post(held->req->worker, &held->post);
    wait_for(&srv.n_streamed, at + 1);
    srv_stop();
}
