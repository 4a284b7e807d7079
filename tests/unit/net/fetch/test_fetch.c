/* net/fetch: requests to a real server: bounded in time and size, only where the CA says so, stopped by a flag, signed; many at once. */
#include <time.h>

#include "crypto/pki.h"
#include "crypto/sigv4.h"
#include "net/fetch/fetch.h"
#include "tests/lib/check_main.h"
#include "tests/lib/server_rig.h"

static const char key_id[] = "AKIDEXAMPLE", secret[] = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
static char other_dir[TMPDIR_BYTES], other_ca[TMPDIR_BYTES + 16];

static void reply(struct rg_request *req, int status, const char *name, const char *value, const char *body)
{
    const struct rg_http_header header = {rg_span_str(name), rg_span_str(value)};

    rg_request_reply(req, &(struct rg_http_reply){.status = status, .content_type = "text/plain", .headers = &header, .n_headers = 1,
                                                  .body = rg_span_str(body)});
}

/* What came, held to its signature. */
static void reply_verified(struct rg_request *req)
{
    struct rg_sigv4_header headers[RG_HTTP_HEADERS_MAX + 1] = {{rg_span_str("host"), req->authority}};
    struct rg_sigv4_request in = {.method = req->method, .path = req->path, .query = req->query, .headers = headers,
                                  .n_headers = req->n_headers + 1, .body = req->body, .normalize_path = true};
    struct rg_sigv4_claim claim;
    struct rg_errctx ctx = {""};
    enum rg_err err;

    for (size_t i = 0; i < req->n_headers; i++)
        headers[i + 1] = (struct rg_sigv4_header){req->headers[i].name, req->headers[i].value};
    err = rg_sigv4_parse(&in, &claim, &ctx);
    if (!err)
        err = rg_sigv4_verify(&in, &claim, rg_span_str(secret), (int64_t)time(NULL), &ctx);
    reply(req, err ? 403 : 200, "X-None", "none", err ? rg_err_name(err) : rg_span_is(claim.access_key_id, key_id) ? "verified" : "who?");
}

/* The value of X-Word. */
static void reply_word(struct rg_request *req)
{
    struct rg_http_reply answer = {.status = 200};

    for (size_t i = 0; i < req->n_headers; i++)
        if (rg_span_is(req->headers[i].name, "x-word"))
            answer.body = req->headers[i].value;
    rg_request_reply(req, &answer);
}

static void answer_of(void *arg, struct rg_request *req)
{
    if (rg_span_is(req->path, "/moved"))
        reply(req, 302, "Location", "https://localhost/hello", "it is elsewhere");
    else if (rg_span_is(req->path, "/method"))
        rg_request_reply(req, &(struct rg_http_reply){.status = 200, .body = req->method});
    else if (rg_span_is(req->path, "/word"))
        reply_word(req);
    else if (rg_span_is(req->path, "/signed"))
        reply_verified(req);
    else
        srv_handle(arg, req);
}

static void open_server(void) { srv_start_tls((struct rg_server_config){.handler = answer_of}); }

static void make_files(void)
{
    struct rg_errctx ctx = {""};
    char key[TMPDIR_BYTES + 16];

    srv_files();
    tmpdir_make(other_dir);
    snprintf(other_ca, sizeof other_ca, "%s/ca.pem", other_dir);
    snprintf(key, sizeof key, "%s/ca-key.pem", other_dir);
    RG_ASSERT(rg_pki_ca_create("other", other_ca, key, &ctx) == RG_OK);
}

static void remove_files(void)
{
    tmpdir_remove(other_dir);
    srv_remove();
}

CASE(.setup = open_server, .teardown = srv_stop, .once = make_files, .once_end = remove_files);

static struct rg_fetch_request request_for(const char *path)
{
    static char url[300];

    snprintf(url, sizeof url, "https://localhost:%u%s", srv.port, path);
    return (struct rg_fetch_request){.url = url, .ca_path = srv_ca, .timeout_ms = 5000, .body_bytes_max = 65536};
}

static void expect(const struct rg_fetch_request *request, long status, const char *body)
{
    struct rg_fetch_answer a;
    struct rg_errctx ctx = {""};
    enum rg_err err = rg_fetch(request, &a, &ctx);

    ck_assert_msg(err == RG_OK, "%s", ctx.text);
    ck_assert_msg(rg_span_is(rg_buf_span(&a.body), body), "%ld %.*s", a.status, (int)a.body.len, (const char *)a.body.data);
    ck_assert_int_eq(a.status, status);
    ck_assert(a.sent);
    rg_fetch_answer_deinit(&a);
}

/* It fails so, and says so; milliseconds that took. */
static uint64_t expect_error(const struct rg_fetch_request *request, enum rg_err want, const char *text, bool sent)
{
    uint64_t from = now_ms();
    struct rg_fetch_answer a;
    struct rg_errctx ctx = {""};
    enum rg_err err = rg_fetch(request, &a, &ctx);

    ck_assert_msg(err == want && strstr(ctx.text, text) != NULL && strncmp(ctx.text, "https://localhost:", 18) == 0, "%s", ctx.text);
    ck_assert_int_eq(a.status, 0);
    ck_assert_int_eq(a.sent, sent);
    ck_assert(a.why[0] != '\0');
    rg_fetch_answer_deinit(&a);
    return now_ms() - from;
}

TEST(methods_bodies_and_headers)
{
    static const char *const headers[RG_FETCH_HEADERS_MAX + 1] = {"X-Word: thing", "Content-Type: a/b"};
    struct rg_fetch_request request = request_for("/hello");
    struct rg_fetch_answer a;

    expect(&request, 200, "hello");
    request = request_for("/query?a=b%20c");
    expect(&request, 200, "a=b%20c");
    request = request_for("/nowhere");
    expect(&request, 404, "nothing here");
    request = request_for("/echo");
    request.method = "POST";
    request.body = rg_span_str("{\"a\":1}");
    expect(&request, 200, "{\"a\":1}");
    request = request_for("/method");
    request.method = "DELETE";
    expect(&request, 200, "DELETE");
    request.method = "PUT";
    expect(&request, 200, "PUT");
    request = request_for("/word");
    request.headers = headers;
    request.n_headers = 2;
    expect(&request, 200, "thing");
    request.n_headers = RG_FETCH_HEADERS_MAX + 1;
    ck_assert_int_eq(rg_fetch(&request, &a, NULL), RG_EINVALID);
}

TEST(a_redirect_is_an_answer)
{
    struct rg_fetch_request request = request_for("/moved");
    struct rg_fetch_answer a;
    char value[40], small[10];

    ck_assert_int_eq(rg_fetch(&request, &a, NULL), RG_OK);
    ck_assert_int_eq(a.status, 302);
    ck_assert(rg_span_is(rg_buf_span(&a.body), "it is elsewhere"));
    ck_assert(rg_fetch_header(&a, "location", value, sizeof value));
    ck_assert_str_eq(value, "https://localhost/hello");
    ck_assert(!rg_fetch_header(&a, "Locatio", value, sizeof value));
    ck_assert_str_eq(value, "");
    ck_assert(!rg_fetch_header(&a, "Location", small, sizeof small));
    ck_assert_str_eq(small, "");
    rg_fetch_answer_deinit(&a);
}

TEST(the_body_is_bounded)
{
    struct rg_fetch_request request = request_for("/big?65536");
    struct rg_fetch_answer a;

    ck_assert_int_eq(rg_fetch(&request, &a, NULL), RG_OK);
    ck_assert_uint_eq(a.body.len, 65536);
    ck_assert(memcmp(a.body.data, srv_big, 65536) == 0);
    rg_fetch_answer_deinit(&a);
    request = request_for("/big?65537");
    expect_error(&request, RG_ETOOBIG, "the answer is over 65536 bytes", true);
    request = request_for("/big?5000000");
    request.cut = true;
    ck_assert_int_eq(rg_fetch(&request, &a, NULL), RG_OK);
    ck_assert_uint_eq(a.body.len, 65536);
    ck_assert_int_eq(a.status, 200);
    rg_fetch_answer_deinit(&a);
}

TEST(the_deadline_holds)
{
    struct rg_fetch_request request = request_for("/hold");
    uint64_t ms;

    request.timeout_ms = 300;
    ms = expect_error(&request, RG_ETIMEOUT, "no answer within 300 ms", true);
    ck_assert_msg(ms >= 290 && ms < 3000, "%u ms", (unsigned)ms);
}

static volatile sig_atomic_t stop;

static void *stop_soon(void *arg)
{
    wait_for(&srv.n_held, 1);
    stop = 1;
    return arg;
}

TEST(a_flag_stops_it)
{
    struct rg_fetch_request request = request_for("/hold");
    pthread_t thread;
    uint64_t ms;

    request.stop = &stop;
    request.timeout_ms = 60000;
    ck_assert_int_eq(pthread_create(&thread, NULL, stop_soon, NULL), 0);
    ms = expect_error(&request, RG_ESTOPPED, "stopped", true);
    ck_assert_msg(ms < 5000, "%u ms", (unsigned)ms);
    pthread_join(thread, NULL);
}

TEST(only_what_the_ca_vouches_for)
{
    struct rg_fetch_request request = request_for("/hello");

    request.ca_path = other_ca;
    expect_error(&request, RG_EUNREACHABLE, "cannot be reached: ", false);
    request.ca_path = NULL; /* the system's */
    expect_error(&request, RG_EUNREACHABLE, "cannot be reached: ", false);
    request.ca_path = "/nowhere/ca.pem";
    expect_error(&request, RG_EUNREACHABLE, "cannot be reached: ", false);
}

TEST(nobody_there)
{
    struct rg_fetch_request request = request_for("/hello");
    struct rg_errctx ctx = {""};
    struct rg_fetch_answer a;

    request.url = "https://localhost:1/hello";
    expect_error(&request, RG_EUNREACHABLE, "https://localhost:1 cannot be reached: ", false);
    request.url = "ftp://me:secret@localhost:1/hello";
    ck_assert_int_eq(rg_fetch(&request, &a, &ctx), RG_EUNREACHABLE);
    ck_assert_msg(strncmp(ctx.text, "ftp://localhost:1 ", 18) == 0, "%s", ctx.text);
    rg_fetch_answer_deinit(&a);
}

TEST(the_environments_proxy_only_when_asked)
{
    struct rg_fetch_request request = request_for("/hello");

    setenv("https_proxy", "http://127.0.0.1:1", 1);
    unsetenv("no_proxy");
    unsetenv("NO_PROXY");
    expect(&request, 200, "hello");
    request.proxy = true;
    expect_error(&request, RG_EUNREACHABLE, "cannot be reached: ", false);
    unsetenv("https_proxy");
}

TEST(a_signed_request_is_verified)
{
    static const char *const headers[] = {"Content-Type: application/x-amz-json-1.1", "X-Amz-Target: TrentService.Decrypt"};
    struct rg_fetch_key key = {.access_key_id = key_id, .secret = secret, .token = "a/token+of=them", .region = "eu-west-1",
                               .service = "kms"};
    struct rg_fetch_request request = request_for("/signed?b=2&a=1%202");

    request.key = &key;
    expect(&request, 200, "verified");
    request.method = "POST";
    request.body = rg_span_str("{}");
    request.headers = headers;
    request.n_headers = RG_LEN(headers);
    expect(&request, 200, "verified");
    key.token = NULL;
    expect(&request, 200, "verified");
    key.secret = "another";
    expect(&request, 403, rg_err_name(RG_EBADSIG));
}

TEST(many_at_once_over_few_connections)
{
    enum { N = 20, ROUNDS = 5 };
    RG_AUTO(fetcher) struct rg_fetcher *f = NULL;
    struct rg_fetch_done done;
    unsigned answers = 0;

    ck_assert_int_eq(rg_fetcher_new(N, &f, NULL), RG_OK);
    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < N; i++) {
            char path[40];
            struct rg_fetch_request request;

            snprintf(path, sizeof path, "/query?%zu", i * 7 + round);
            request = request_for(path);
            ck_assert_int_eq(rg_fetcher_start(f, i, &request, NULL), RG_OK);
            ck_assert(rg_fetcher_busy(f, i));
        }
        ck_assert_uint_eq(rg_fetcher_n_busy(f), N);
        while (rg_fetcher_n_busy(f) > 0) {
            char want[40];

            if (!rg_fetcher_next(f, 50, &done))
                continue;
            answers++;
            snprintf(want, sizeof want, "%zu", done.slot * 7 + round);
            ck_assert_int_eq(done.err, RG_OK);
            ck_assert(!rg_fetcher_busy(f, done.slot) && rg_span_is(rg_buf_span(&done.answer.body), want));
            rg_fetch_answer_deinit(&done.answer);
        }
    }
    ck_assert_uint_eq(answers, N * ROUNDS);
    ck_assert_msg(srv_stats().conns_total <= 3, "%u connections", (unsigned)srv_stats().conns_total);
}

TEST(a_fetcher_ends_what_is_under_way)
{
    struct rg_fetch_request request = request_for("/hold");
    RG_AUTO(fetcher) struct rg_fetcher *f = NULL;
    struct rg_fetch_done done;

    ck_assert_int_eq(rg_fetcher_new(2, &f, NULL), RG_OK);
    ck_assert(!rg_fetcher_next(f, 10, &done)); /* nothing was asked */
    ck_assert_int_eq(rg_fetcher_start(f, 1, &request, NULL), RG_OK);
    while (atomic_load(&srv.n_held) == 0)
        ck_assert(!rg_fetcher_next(f, 10, &done));
    ck_assert(rg_fetcher_busy(f, 1) && !rg_fetcher_busy(f, 0));
}
