/* net/join: tokens for administrators, ids and certificates for whoever has one, a new id for who proves the old one. */
#include <openssl/x509v3.h>

#include "tests/lib/api_rig.h"
#include "base/base64.h"
#include "base/clock.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "net/join/join_priv.h"
#include "net/ops/join_token.h"
#include "store/model/node.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

static struct rg_buf ca, key, csr;

static void seal_ca_key(const char *path)
{
    const struct rg_context context = {rg_span_str(API_ARN), rg_span_str(API_STORE), rg_span_str("secret")};
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    struct rg_reply reply;

    rg_buf_init(&pem, 65536);
    rg_buf_init(&sealed, 65536);
    ck_assert_int_eq(rg_privfile_read(path, "", 0, &pem, NULL), RG_OK);
    ck_assert_int_eq(rg_envelope_seal(af.keys, &context, rg_buf_span(&pem), &sealed), RG_OK);
    rg_cmd_begin(&af.fix.cmd, RG_CMD_SECRET_PUT, af.fix.at_ms, rg_span_str("tester"));
    rg_tlv_put_str(&af.fix.cmd, RG_F_NAME, "ca-key");
    rg_tlv_put(&af.fix.cmd, RG_F_SECRET_SEALED, rg_buf_span(&sealed));
    ck_assert_int_eq(af_apply_bytes(&af.node, rg_buf_span(&af.fix.cmd), &reply), RG_OK);
    ck_assert_int_eq(reply.err, RG_OK);
}

static void open_all(bool with_key)
{
    char dir[TMPDIR_BYTES], cert_path[128], key_path[128];

    tmpdir_make(dir);
    snprintf(cert_path, sizeof cert_path, "%s/ca.pem", dir);
    snprintf(key_path, sizeof key_path, "%s/ca.key", dir);
    ck_assert_int_eq(rg_pki_ca_create("test", cert_path, key_path, NULL), RG_OK);
    rg_buf_init(&ca, 65536);
    rg_buf_init(&key, 65536);
    rg_buf_init(&csr, 65536);
    ck_assert_int_eq(rg_privfile_read(cert_path, "", 0, &ca, NULL), RG_OK);
    rg_buf_put_u8(&ca, 0);
    ck_assert_int_eq(rg_pki_key_csr(&key, &csr, NULL), RG_OK);
    rg_buf_put_u8(&csr, 0);
    af_ca_pem = (const char *)ca.data;
    af_open();
    if (with_key)
        seal_ca_key(key_path);
    af_apply(RG_CMD_NODE_PUT, "node=1 name=us-east-1 link=one.example:3 url=https://one.example:1 status=MEMBER");
    af_apply(RG_CMD_NODE_PUT, "node=2 name=eu-central-1 link=two.example:4 url=https://two.example:2 status=MEMBER");
    tmpdir_remove(dir);
}

static void setup(void) { open_all(true); }
static void setup_keyless(void) { open_all(false); }

static void teardown(void)
{
    af_close();
    rg_buf_deinit(&ca);
    rg_buf_deinit(&key);
    rg_buf_deinit(&csr);
    af_ca_pem = NULL;
}

static void post(struct answer *a, const char *path, json_t *body)
{
    char *text = json_dumps(body, 0);

    ask_raw(a, "POST", path, "", text, strlen(text));
    free(text);
    json_decref(body);
}

static void check(struct answer *a, int status, const char *says)
{
    ck_assert_msg(a->status == status, "%d, not %d: %s", a->status, status, (const char *)a->body.data);
    if (says != NULL)
        ck_assert_msg(strstr((const char *)a->body.data, says) != NULL, "\"%s\" not in %s", says,
                      (const char *)a->body.data);
    answer_free(a);
}

/* A fresh token's secret. */
static void make_token(const char *region, char secret[64])
{
    struct rg_join_offer offer;
    struct answer a;
    char body[128];

    snprintf(body, sizeof body, "{\"region\":\"%s\",\"ttlSeconds\":60}", region);
    ask(&a, "POST", "/v1/join-tokens", body);
    ck_assert_msg(a.status == 200, "%s", (const char *)a.body.data);
    ck_assert_int_eq(rg_join_token_decode(rg_span_str(text_at(a.json, "token")), &offer, NULL), RG_OK);
    ck_assert_str_eq(offer.cluster, "test");
    ck_assert_str_eq(offer.region, region);
    ck_assert_str_eq(offer.ca, (const char *)ca.data);
    ck_assert_uint_eq(offer.n_urls, 2);
    ck_assert_str_eq(offer.urls[0], "https://one.example:1");
    ck_assert_str_eq(offer.urls[1], "https://two.example:2");
    snprintf(secret, 64, "%s", offer.secret);
    rg_join_offer_deinit(&offer);
    answer_free(&a);
}

/* As if it were some time later: what was refused is forgotten. */
static void later(void) { rg_guesses_init(&af.api->guesses); }

/* As if this address had been refused again and again, for the next minute: how fast this machine is does not matter. */
static void spend(void)
{
    for (int i = 0; i < RG_GUESSES_AT_ONCE; i++)
        rg_guesses_count(&af.api->guesses, "127.0.0.1:1", rg_clock_us() / 1000 + 60000);
}

static json_t *join_body(const char *secret, const char *region)
{
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "secret", secret, "region", region, "csr", (const char *)csr.data, "link",
                     "10.0.0.9:9443", "url", "https://west.example:8443", "release", "9.9.9");
}

static const struct {
    const char *body, *says;
} bad_tokens[] = {
    {"{}", "region"},
    {"{\"region\":\"\"}", "region"},
    {"{\"region\":7}", "region"},
    {"{\"region\":\"EU\"}", "region"},
    {"{\"region\":\"1eu\"}", "begins with a letter"},
    {"{\"region\":\"eu\",\"ttlSeconds\":59}", "ttlSeconds"},
    {"{\"region\":\"eu\",\"ttlSeconds\":86401}", "ttlSeconds"},
    {"{\"region\":\"eu\",\"ttlSeconds\":\"60\"}", "ttlSeconds"},
    {"{\"region\":\"eu\",\"more\":1}", "nothing else"},
    {"[]", NULL},
};

CASE(.setup = setup, .teardown = teardown);

TEST(tokens_are_for_administrators_and_well_formed)
{
    struct answer a;

    for (size_t i = 0; i < RG_LEN(bad_tokens); i++) {
        ask(&a, "POST", "/v1/join-tokens", bad_tokens[i].body);
        check(&a, 400, bad_tokens[i].says);
    }
    ask_raw(&a, "POST", "/v1/join-tokens", "", "{\"region\":\"eu\"}", 15);
    check(&a, 401, NULL);
    ask_raw(&a, "POST", "/v1/join-tokens", "Authorization: Bearer " API_READ_TOKEN "\r\n", "{\"region\":\"eu\"}", 15);
    check(&a, 403, "may read only");
    ask(&a, "PUT", "/v1/join-tokens", "");
    check(&a, 405, NULL);
}

/* POST /v1/join/collect by whoever has the key. */
static void collect(struct answer *a, uint64_t id, int64_t at, struct rg_span with_key)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf proof = {.max = 0};
    RG_AUTO_BUF struct rg_buf base64 = {.max = 0};

    rg_buf_init(&text, 4096);
    rg_buf_init(&proof, 4096);
    rg_buf_init(&base64, 4096);
    rg_pki_collect_text(rg_span_str("test"), id, at, &text);
    ck_assert_int_eq(rg_pki_sign_text(with_key, rg_buf_span(&text), &proof, NULL), RG_OK);
    rg_base64_put(&base64, RG_BASE64, rg_buf_span(&proof));
    post(a, "/v1/join/collect", json_pack("{s:I,s:I,s:s%}", "nodeId", (json_int_t)id, "at", (json_int_t)at, "signature", base64.data,
                                          base64.len));
}

static void approve(struct answer *a, uint64_t id, const char *fingerprint)
{
    char path[64], body[128];

    snprintf(path, sizeof path, "/v1/nodes/%llu/approve", (unsigned long long)id);
    snprintf(body, sizeof body, "{\"fingerprint\":\"%s\"}", fingerprint);
    ask(a, "POST", path, body);
}

static void own_fingerprint(char out[RG_PKI_FINGERPRINT_BYTES])
{
    uint8_t sha256[32];

    ck_assert(rg_pki_private_key_sha256(rg_buf_span(&key), sha256));
    rg_pki_fingerprint(sha256, out);
}

/* A node that joined, and was let in. */
static void join_and_approve(const char *region, uint64_t want_id)
{
    char secret[64], fingerprint[RG_PKI_FINGERPRINT_BYTES];
    struct answer a;

    make_token(region, secret);
    post(&a, "/v1/join", join_body(secret, region));
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), (json_int_t)want_id);
    check(&a, 200, NULL);
    own_fingerprint(fingerprint);
    approve(&a, want_id, fingerprint);
    check(&a, 200, "ADMITTED");
}

static void row_of(uint64_t id, struct rg_txn **ret_txn, struct rg_node_row *ret_row)
{
    *ret_txn = fix_read(&af.fix);
    ck_assert_int_eq(rg_node_row_get(*ret_txn, id, ret_row), RG_OK);
}

TEST(a_token_buys_a_request_and_nothing_else)
{
    char secret[64], fingerprint[RG_PKI_FINGERPRINT_BYTES];
    struct rg_node_row row;
    struct rg_txn *txn;
    struct answer a;

    make_token("eu-west-1", secret);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    ck_assert_msg(a.status == 200, "%s", (const char *)a.body.data);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), 3);
    ck_assert_str_eq(text_at(a.json, "instanceArn"), API_ARN);
    ck_assert_str_eq(text_at(a.json, "identityStoreId"), API_STORE);
    ck_assert_str_eq(text_at(a.json, "status"), "REQUESTED");
    own_fingerprint(fingerprint);
    ck_assert_str_eq(text_at(a.json, "fingerprint"), fingerprint);
    ck_assert_ptr_null(json_object_get(a.json, "cert"));
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "members")), 2);
    ck_assert_str_eq(text_at(json_array_get(json_object_get(a.json, "members"), 0), "role"), "voter");
    ck_assert_str_eq(text_at(json_array_get(json_object_get(a.json, "members"), 1), "link"), "two.example:4");
    answer_free(&a);
    row_of(3, &txn, &row);
    ck_assert(rg_node_row_asks(&row) && row.cert.n == 0 && rg_span_is(row.link, "10.0.0.9:9443") && rg_span_is(row.release, "9.9.9"));
    ck_assert(rg_span_is(row.from, "127.0.0.1"));
    rg_txn_free(txn);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 409, "used already");
    collect(&a, 3, time(NULL), rg_buf_span(&key));
    ck_assert_ptr_null(json_object_get(a.json, "cert"));
    check(&a, 200, "REQUESTED");
}

TEST(whoever_is_let_in_collects_a_certificate_for_its_own_names)
{
    RG_AUTO_BUF struct rg_buf other = {.max = 0};
    RG_AUTO_BUF struct rg_buf request = {.max = 0};
    char secret[64], fingerprint[RG_PKI_FINGERPRINT_BYTES], wrong[RG_PKI_FINGERPRINT_BYTES];
    struct rg_pki_name name;
    struct rg_node_row row;
    struct rg_txn *txn;
    struct x509_st *cert;
    struct answer a;

    make_token("eu-west-1", secret);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 200, NULL);
    own_fingerprint(fingerprint);
    snprintf(wrong, sizeof wrong, "%s", fingerprint);
    wrong[22] = wrong[22] == 'A' ? 'B' : 'A';
    approve(&a, 3, wrong);
    check(&a, 400, "another key");
    wrong[5] = '\0'; /* the first group alone */
    approve(&a, 3, wrong);
    check(&a, 400, "another key");
    approve(&a, 3, "");
    check(&a, 400, "fingerprint");
    approve(&a, 9, fingerprint);
    check(&a, 404, NULL);
    approve(&a, 1, fingerprint);
    check(&a, 409, "is there");
    ask(&a, "GET", "/v1/nodes", "");
    check(&a, 200, "REQUESTED");
    approve(&a, 3, fingerprint);
    check(&a, 200, "ADMITTED");
    approve(&a, 3, fingerprint); /* the answer was lost */
    check(&a, 200, "ADMITTED");
    row_of(3, &txn, &row);
    ck_assert(!rg_node_row_asks(&row) && row.cert.n > 0 && row.admitted.n == 32 && row.csr.n == 0);
    rg_txn_free(txn);

    rg_buf_init(&other, 65536);
    rg_buf_init(&request, 65536);
    ck_assert_int_eq(rg_pki_key_csr(&other, &request, NULL), RG_OK);
    collect(&a, 3, time(NULL), rg_buf_span(&other));
    check(&a, 403, "not by the key");
    collect(&a, 3, time(NULL) - 400, rg_buf_span(&key));
    check(&a, 403, "clock");
    collect(&a, 9, time(NULL), rg_buf_span(&key));
    check(&a, 404, NULL);
    API_STATUS(leader, false); /* any region answers */
    API_STATUS(leader_id, 2);
    collect(&a, 3, time(NULL), rg_buf_span(&key));
    ck_assert_msg(a.status == 200, "%s", (const char *)a.body.data);
    cert = rg_pki_cert_decode(rg_span_str(text_at(a.json, "cert")));
    ck_assert_ptr_nonnull(cert);
    ck_assert_int_eq(rg_pki_cert_check(rg_span_str((const char *)ca.data), cert, &name, NULL), RG_OK);
    ck_assert_uint_eq(name.raft_id, 3);
    ck_assert_str_eq(name.region, "eu-west-1");
    ck_assert_int_eq(X509_check_host(cert, "west.example", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_ip_asc(cert, "10.0.0.9", 0), 1);
    ck_assert_int_eq(X509_check_host(cert, "localhost", 0, 0, NULL), 0);
    ck_assert_int_eq(X509_check_ip_asc(cert, "127.0.0.1", 0), 0);
    rg_pki_cert_free(cert);
    answer_free(&a);
}

TEST(a_node_that_is_sent_away_is_not_let_in)
{
    char secret[64], fingerprint[RG_PKI_FINGERPRINT_BYTES];
    struct rg_node_row row;
    struct rg_txn *txn;
    struct answer a;

    make_token("eu-west-1", secret);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 200, NULL);
    ask(&a, "DELETE", "/v1/nodes/2", "");
    check(&a, 409, "MEMBER");
    ask(&a, "DELETE", "/v1/nodes/x", "");
    check(&a, 404, NULL);
    ask(&a, "DELETE", "/v1/nodes/3", "");
    check(&a, 200, "REMOVED");
    own_fingerprint(fingerprint);
    approve(&a, 3, fingerprint);
    check(&a, 404, NULL);
    collect(&a, 3, time(NULL), rg_buf_span(&key));
    ck_assert_ptr_null(json_object_get(a.json, "cert"));
    check(&a, 200, "REMOVED");
    row_of(3, &txn, &row);
    ck_assert(rg_span_is(row.status, "REMOVED") && row.phase.n == 0);
    rg_txn_free(txn);
    join_and_approve("eu-west-1", 4);
    ask(&a, "DELETE", "/v1/nodes/4", "");
    check(&a, 200, "REMOVED");
    row_of(4, &txn, &row);
    ck_assert(rg_span_is(row.status, "REMOVED") && row.phase.n == 0);
    rg_txn_free(txn);
}

TEST(a_token_is_listed_and_taken_back)
{
    char secret[64], path[64];
    struct answer a;

    make_token("eu-west-1", secret);
    ask(&a, "GET", "/v1/join-tokens", "");
    ck_assert_uint_eq(json_array_size(json_object_get(a.json, "tokens")), 1);
    snprintf(path, sizeof path, "/v1/join-tokens/%s", text_at(json_array_get(json_object_get(a.json, "tokens"), 0), "id"));
    ck_assert(strstr((const char *)a.body.data, secret) == NULL);
    check(&a, 200, "\"status\":\"NEW\"");
    ask(&a, "DELETE", "/v1/join-tokens/0000000000000000", "");
    check(&a, 404, NULL);
    ask(&a, "DELETE", path, "");
    check(&a, 200, "REVOKED");
    ask(&a, "DELETE", path, "");
    check(&a, 409, NULL);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 403, "was revoked");
    ask(&a, "GET", "/v1/join-tokens", "");
    check(&a, 200, "\"status\":\"REVOKED\"");
}

static const struct {
    const char *hosts, *link, *url, *says; /* NULL: it may */
} names[] = {
    {"", "10.0.0.9:1", "https://west.example:2", NULL}, /* people are shown them */
    {"\"West.example\",\"10.0.0.9\"", "10.0.0.9:1", "https://west.example:2", NULL},
    {"\"10.0.0.9\"", "10.0.0.9:1", "https://west.example:2", "--name west.example"},
    {"\"fe80::1\"", "[fe80::1]:1", "https://[fe80::1]:2", NULL},
    {"", "one.example:9", "https://west.example:2", "link's host: is that of node 1"},
    {"", "10.0.0.9:1", "https://ONE.example:99", "url's host: is that of node 1"},
    {"", "two.example:4", "https://west.example:2", "link: is that of node 2"},
    {"", "10.0.0.9:1", "https://two.example:2", "url: is that of node 2"},
    {"", "127.0.0.1:1", "https://localhost:2", NULL}, /* asked from this machine */
};

TEST(names_are_those_of_the_token_and_nobody_elses)
{
    struct rg_join_offer offer;
    char body[256];
    struct answer a;
    json_t *asked;

    for (size_t i = 0; i < RG_LEN(names); i++) {
        snprintf(body, sizeof body, "{\"region\":\"eu-west-1\",\"hosts\":[%s]}", names[i].hosts);
        ask(&a, "POST", "/v1/join-tokens", body);
        ck_assert_msg(a.status == 200, "%s", (const char *)a.body.data);
        ck_assert_int_eq(rg_join_token_decode(rg_span_str(text_at(a.json, "token")), &offer, NULL), RG_OK);
        answer_free(&a);
        asked = join_body(offer.secret, "eu-west-1");
        json_object_set_new(asked, "link", json_string(names[i].link));
        json_object_set_new(asked, "url", json_string(names[i].url));
        post(&a, "/v1/join", asked);
        if (names[i].says == NULL)
            check(&a, 200, NULL);
        else
            check(&a, strstr(names[i].says, "that of") != NULL ? 409 : 400, names[i].says);
        rg_join_offer_deinit(&offer);
        later();
    }
    ask(&a, "POST", "/v1/join-tokens", "{\"region\":\"eu\",\"hosts\":[\"a b\"]}");
    check(&a, 400, "hosts");
    ask(&a, "POST", "/v1/join-tokens", "{\"region\":\"eu\",\"hosts\":\"a\"}");
    check(&a, 400, "hosts");
}

TEST(so_many_may_wait_and_no_more)
{
    char fields[160], secret[64];
    struct answer a;

    for (unsigned i = 0; i < RG_NODE_REQUESTS_MAX; i++) {
        snprintf(fields, sizeof fields, "node=%u name=eu-west-1 link=h%u:1 url=https://h%u:2 status=PREPARED csr=c", 100 + i, i, i);
        af_apply(RG_CMD_NODE_PUT, fields);
    }
    make_token("eu-west-1", secret);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    ck_assert(a.status >= 400);
    check(&a, a.status, "wait to be let in already");
    ask(&a, "DELETE", "/v1/nodes/100", "");
    check(&a, 200, NULL);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 200, NULL);
}

static const struct {
    const char *member, *value, *says;
} bad_joins[] = {
    {"link", "", "link"},
    {"link", "host", "link"},
    {"link", "host:0", "link"},
    {"link", "host:70000", "link"},
    {"link", "ho,st:1", "link"},
    {"link", "a:b:1", "link"},
    {"url", "ftp://h:1", "url"},
    {"url", "http://west.example:8443", "url"}, /* in the clear on one machine alone */
    {"url", "http://128.0.0.1:8443", "url"},
    {"url", "https://h", "url"},
    {"url", "https://h:1/path", "url"},
    {"csr", "rubbish", "csr"},
    {"region", "EU", "region"},
    {"secret", "", "secret"},
};

TEST(what_is_malformed_uses_nothing_up)
{
    struct answer a;
    char secret[64];
    json_t *body;

    make_token("eu-west-1", secret);
    for (size_t i = 0; i < RG_LEN(bad_joins); i++) {
        body = join_body(secret, "eu-west-1");
        json_object_set_new(body, bad_joins[i].member, json_string(bad_joins[i].value));
        post(&a, "/v1/join", body);
        check(&a, 400, bad_joins[i].says);
        later();
    }
    ask_raw(&a, "GET", "/v1/join", "", "", 0);
    check(&a, 405, NULL);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 200, NULL);
}

TEST(bad_secrets_are_refused_and_not_too_often)
{
    struct answer a;
    char secret[64], fields[160];
    uint8_t sha256[32];
    unsigned limited = 0, refused = 0;
    uint64_t before;

    make_token("eu-west-1", secret);
    post(&a, "/v1/join", join_body(secret, "eu-west-2"));
    check(&a, 400, "for region eu-west-1, not for eu-west-2");
    /* Expired: made a while ago. */
    rg_sha256(rg_span_str("old"), sha256);
    rg_cmd_begin(&af.fix.cmd, RG_CMD_TOKEN_PUT, 1000, rg_span_str("tester"));
    rg_tlv_put(&af.fix.cmd, RG_F_TOKEN_SHA256, rg_span(sha256, sizeof sha256));
    rg_tlv_put_str(&af.fix.cmd, RG_F_NAME, "eu-west-1");
    rg_tlv_put_u64(&af.fix.cmd, RG_F_EXPIRES_MS, 2000);
    ck_assert_int_eq(af_apply_bytes(&af.node, rg_buf_span(&af.fix.cmd), &(struct rg_reply){.err = RG_OK}), RG_OK);
    post(&a, "/v1/join", join_body("old", "eu-west-1"));
    check(&a, 403, "has expired");
    later();
    before = af.node.submitted;
    for (int i = 0; i < 40; i++) {
        snprintf(fields, sizeof fields, "guess-%d", i);
        post(&a, "/v1/join", join_body(fields, "eu-west-1"));
        limited += a.status == 429;
        refused += a.status == 403;
        answer_free(&a);
    }
    ck_assert_uint_eq(limited + refused, 40);
    ck_assert_uint_ge(refused, RG_GUESSES_AT_ONCE);
    ck_assert_uint_ge(limited, 1);
    ck_assert_uint_eq(af.node.submitted, before); /* no guess reaches the log */
    spend();
    post(&a, "/v1/join", join_body(secret, "eu-west-1")); /* from the same address, for now */
    check(&a, 429, NULL);
    later();
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 200, NULL);
}

/* Whoever has no secret causes no work, and whatever is refused is counted. */
TEST(nothing_costs_much_before_the_proof)
{
    static const char *const paths[] = {"/v1/join", "/v1/rejoin"};
    RG_AUTO_MEM char *large = malloc(JOIN_BODY_BYTES_MAX + 2);
    struct answer a;
    json_t *body;

    memset(large, ' ', JOIN_BODY_BYTES_MAX + 1);
    memcpy(large, "{}", 2);
    for (size_t p = 0; p < RG_LEN(paths); p++) {
        ask_raw(&a, "POST", paths[p], "", large, JOIN_BODY_BYTES_MAX + 1);
        check(&a, 413, "over 16 KiB"); /* by the server: it costs nothing, and does not count */
        for (int i = 0, limited = 0; !limited; i++) { /* each of them counts, or this would not end */
            ck_assert_int_lt(i, 1000);
            ask_raw(&a, "POST", paths[p], "", i % 2 ? "{\"a\":[{},{},{}]}" : "no JSON", i % 2 ? 16 : 7);
            limited = a.status == 429;
            ck_assert(limited || a.status == 400);
            ck_assert(!limited || i >= RG_GUESSES_AT_ONCE);
            answer_free(&a);
        }
        spend();
        ask_raw(&a, "POST", paths[p], "", "{}", 2);
        check(&a, 429, "from this address");
        later();
    }
    body = join_body("a guess", "eu-west-1");
    json_object_set_new(body, "csr", json_string("rubbish"));
    post(&a, "/v1/join", body);
    check(&a, 403, "not known here"); /* the request for a certificate was not looked into */
}

TEST(a_replica_names_the_primary)
{
    struct answer a;
    char secret[64];

    make_token("eu-west-1", secret);
    API_STATUS(leader, false);
    API_STATUS(leader_id, 2);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    ck_assert_str_eq(header(&a, "location"), "https://two.example:2/v1/join");
    check(&a, 421, NULL);
    ask(&a, "POST", "/v1/join-tokens", "{\"region\":\"eu\"}");
    check(&a, 421, NULL);
    API_STATUS(ready, false);
    post(&a, "/v1/join", join_body(secret, "eu-west-1"));
    check(&a, 503, NULL);
}

CASE(.setup = setup_keyless, .teardown = teardown);

TEST(without_the_cas_key_nobody_joins)
{
    struct answer a;

    ask(&a, "POST", "/v1/join-tokens", "{\"region\":\"eu\"}");
    check(&a, 409, "ca_key");
}

/* ---- coming back ---- */

static const char *back_link = "10.0.0.9:9443", *back_url = "https://west.example:8443"; /* where it is when it comes back */

static json_t *rejoin_body(uint64_t old_id, const char *region, int64_t at, struct rg_span with_key)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf proof = {.max = 0};
    RG_AUTO_BUF struct rg_buf base64 = {.max = 0};
    struct rg_pki_rejoin r = {.cluster_id = rg_span_str("test"), .region = rg_span_str(region),
                              .csr = rg_span_str((const char *)csr.data), .link = rg_span_str(back_link),
                              .url = rg_span_str(back_url), .old_id = old_id, .at = at};

    rg_buf_init(&text, 4096);
    rg_buf_init(&proof, 4096);
    rg_buf_init(&base64, 4096);
    rg_pki_rejoin_text(&r, &text);
    ck_assert_int_eq(rg_pki_sign_text(with_key, rg_buf_span(&text), &proof, NULL), RG_OK);
    rg_base64_put(&base64, RG_BASE64, rg_buf_span(&proof));
    return json_pack("{s:I,s:s,s:s,s:s,s:s,s:I,s:s%}", "oldId", (json_int_t)old_id, "region", region, "csr",
                     (const char *)csr.data, "link", back_link, "url", back_url, "at", (json_int_t)at, "signature",
                     base64.data, base64.len);
}

CASE(.setup = setup, .teardown = teardown);

TEST(who_proves_the_old_id_is_given_a_new_one)
{
    RG_AUTO_BUF struct rg_buf other = {.max = 0};
    RG_AUTO_BUF struct rg_buf request = {.max = 0};
    struct answer a;
    int64_t now = time(NULL);
    struct rg_node_row row;
    struct rg_txn *txn;
    json_t *body;

    join_and_approve("eu-west-1", 3); /* with our key */
    af_apply(RG_CMD_NODE_PUT, "node=4 name=eu-west-2 link=x:1 url=https://x:2 status=MEMBER");
    rg_buf_init(&other, 65536);
    rg_buf_init(&request, 65536);
    ck_assert_int_eq(rg_pki_key_csr(&other, &request, NULL), RG_OK);

    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", now, rg_buf_span(&other)));
    check(&a, 403, "not by the key");
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", now - 400, rg_buf_span(&key)));
    check(&a, 403, "more than 300 s");
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-2", now, rg_buf_span(&key)));
    check(&a, 403, "not of region");
    later();
    post(&a, "/v1/rejoin", rejoin_body(9, "eu-west-1", now, rg_buf_span(&key)));
    check(&a, 403, "not known here");
    post(&a, "/v1/rejoin", rejoin_body(4, "eu-west-2", now, rg_buf_span(&key)));
    check(&a, 403, "own certificate is needed");
    body = rejoin_body(3, "eu-west-1", now, rg_buf_span(&key));
    json_object_set_new(body, "link", json_string("elsewhere:1"));
    post(&a, "/v1/rejoin", body);
    check(&a, 403, "not by the key");
    later();
    body = rejoin_body(3, "eu-west-1", now, rg_buf_span(&key));
    json_object_set_new(body, "signature", json_string("!"));
    post(&a, "/v1/rejoin", body);
    check(&a, 403, "base64");

    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", now, rg_buf_span(&key)));
    ck_assert_msg(a.status == 200, "%s", (const char *)a.body.data);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), 5);
    answer_free(&a);
    txn = fix_read(&af.fix);
    ck_assert_int_eq(rg_node_row_get(txn, 3, &row), RG_OK);
    ck_assert(rg_span_is(row.status, "FENCED"));
    ck_assert_int_eq(rg_node_row_get(txn, 5, &row), RG_OK);
    ck_assert(rg_span_is(row.status, "PREPARED") && row.old_id == 3 && row.rejoin && row.cert.n > 0);
    rg_txn_free(txn);
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", now, rg_buf_span(&key))); /* the answer was lost */
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), 5);
    check(&a, 200, NULL);

    /* Removed while it was away: it is told in a form it can act upon. */
    af_apply(RG_CMD_NODE_PUT, "node=5 oldnode=3 name=eu-west-1 link=10.0.0.9:9443 url=https://west.example:8443 status=REMOVED");
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", now, rg_buf_span(&key)));
    ck_assert_str_eq(text_at(a.json, "code"), "Removed");
    body = json_object_get(a.json, "removed");
    ck_assert_str_eq(text_at(body, "cluster"), "test");
    ck_assert_str_eq(text_at(body, "region"), "eu-west-1");
    ck_assert_int_eq(json_integer_value(json_object_get(body, "id")), 3);
    ck_assert(json_is_integer(json_object_get(body, "epoch")));
    check(&a, 410, "join with a new token");
}

/* As the line goes on: the new id becomes a member, with a key of its own. */
static void come_back(uint64_t old_id, uint64_t want_id, struct rg_buf *with_key, struct rg_buf *ret_key)
{
    struct rg_node_row row;
    struct rg_txn *txn;
    struct answer a;

    rg_buf_clear(&csr);
    ck_assert_int_eq(rg_pki_key_csr(ret_key, &csr, NULL), RG_OK);
    rg_buf_put_u8(&csr, 0);
    post(&a, "/v1/rejoin", rejoin_body(old_id, "eu-west-1", time(NULL), rg_buf_span(with_key)));
    ck_assert_msg(a.status == 200, "%s", (const char *)a.body.data);
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), (json_int_t)want_id);
    answer_free(&a);
    row_of(want_id, &txn, &row);
    row.status = rg_span_str("MEMBER");
    rg_cmd_begin(&af.fix.cmd, RG_CMD_NODE_PUT, af.fix.at_ms, rg_span_str("tester"));
    rg_node_row_put(&af.fix.cmd, &row);
    rg_txn_free(txn);
    ck_assert_int_eq(af_apply_bytes(&af.node, rg_buf_span(&af.fix.cmd), &(struct rg_reply){.err = RG_OK}), RG_OK);
}

/* How often it is listed that whoever has node old_id's key, which has this fingerprint, waits for heir's place. Nobody who proved nothing is. */
static void waits(uint64_t heir, uint64_t old_id, const char *fingerprint, size_t want)
{
    struct answer a;
    size_t n = 0, i;
    json_t *node;

    ask(&a, "GET", "/v1/nodes", "");
    json_array_foreach(json_object_get(a.json, "nodes"), i, node) {
        if (strcmp(text_at(node, "status"), "WAITING") != 0)
            continue;
        n++;
        ck_assert_int_eq(json_integer_value(json_object_get(node, "id")), (json_int_t)heir);
        ck_assert_int_eq(json_integer_value(json_object_get(node, "oldId")), (json_int_t)old_id);
        ck_assert_str_eq(text_at(node, "fingerprint"), fingerprint);
        ck_assert_str_eq(text_at(node, "from"), "127.0.0.1");
        ck_assert_str_eq(text_at(node, "link"), back_link);
    }
    ck_assert_uint_eq(n, want);
    check(&a, 200, NULL);
}

/* What an approval says of its end, and how it is listed; then another end. */
static void approval_ends(uint64_t id, time_t at, size_t want_listed)
{
    struct rg_node_row row;
    struct rg_txn *txn;
    struct answer a;
    size_t listed = 0;
    json_t *node;
    size_t i;

    row_of(id, &txn, &row);
    ck_assert_int_ge(row.returns_until_ms, (time(NULL) + 23 * 3600) * INT64_C(1000));
    ck_assert_int_le(row.returns_until_ms, (time(NULL) + 25 * 3600) * INT64_C(1000));
    row.returns_until_ms = at * INT64_C(1000);
    rg_cmd_begin(&af.fix.cmd, RG_CMD_NODE_PUT, af.fix.at_ms, rg_span_str("tester"));
    rg_node_row_put(&af.fix.cmd, &row);
    rg_txn_free(txn);
    ck_assert_int_eq(af_apply_bytes(&af.node, rg_buf_span(&af.fix.cmd), &(struct rg_reply){.err = RG_OK}), RG_OK);
    ask(&a, "GET", "/v1/nodes", "");
    json_array_foreach(json_object_get(a.json, "nodes"), i, node)
        listed += json_object_get(node, "returns") != NULL;
    ck_assert_uint_eq(listed, want_listed);
    check(&a, 200, NULL);
}

TEST(an_old_key_of_a_line_is_good_for_nothing_by_itself)
{
    RG_AUTO_BUF struct rg_buf second = {.max = 0};
    char fingerprint[RG_PKI_FINGERPRINT_BYTES], says[128];
    struct rg_node_row row;
    struct rg_txn *txn;
    struct answer a;

    join_and_approve("eu-west-1", 3);
    rg_buf_init(&second, 65536);
    come_back(3, 4, &key, &second);
    own_fingerprint(fingerprint); /* of node 3's key */
    snprintf(says, sizeof says, "regent node approve 4 --fingerprint %s", fingerprint);
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 403, says);
    waits(4, 3, fingerprint, 1);
    post(&a, "/v1/rejoin", rejoin_body(4, "eu-west-1", time(NULL), rg_buf_span(&key))); /* nor under another's id */
    check(&a, 403, "not by the key");
    row_of(4, &txn, &row);
    ck_assert(rg_span_is(row.status, "MEMBER")); /* and it is not evicted by that */
    rg_txn_free(txn);

    /* The machine's disk was lost, with the newest key: people say so, while nobody is there under the id. */
    API_STATUS(peers[0].id, 4);
    API_STATUS(peers[0].role, RG_ROLE_LEARNER);
    API_STATUS(peers[0].up, true);
    approve(&a, 4, fingerprint);
    check(&a, 409, "is there");
    API_STATUS(peers[0].up, false);
    approve(&a, 4, "ABCDE");
    check(&a, 400, "four groups");
    approve(&a, 4, fingerprint);
    check(&a, 200, "MAY_RETURN");
    ask(&a, "DELETE", "/v1/nodes/4", ""); /* a mistake: taken back, and node 4 stays what it is */
    check(&a, 200, "MEMBER");
    later();
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 403, says);
    ask(&a, "DELETE", "/v1/nodes/4", "");
    check(&a, 409, "does not ask");
    approve(&a, 4, fingerprint);
    check(&a, 200, "MAY_RETURN");
    approval_ends(4, time(NULL) - 1, 0); /* it does not wait for ever for whoever may have the key by then */
    later();
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 403, says);
    approve(&a, 4, fingerprint); /* so it is said again */
    check(&a, 200, "MAY_RETURN");
    back_link = "one.example:3"; /* the key was approved, and not another node's name */
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 409, NULL);
    back_link = "10.0.0.9:9443";
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", INT64_MIN, rg_buf_span(&key)));
    check(&a, 403, "at:");
    later();
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), 5);
    check(&a, 200, NULL);
    waits(4, 3, fingerprint, 0); /* no more */
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key))); /* the answer was lost */
    ck_assert_int_eq(json_integer_value(json_object_get(a.json, "nodeId")), 5);
    check(&a, 200, NULL);
    af_apply(RG_CMD_NODE_PUT, "node=5 oldnode=4 rejoin=1 name=eu-west-1 link=10.0.0.9:9443 url=https://west.example:8443 status=MEMBER cert=x");
    later();
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key))); /* once */
    check(&a, 403, "approve 5");
}

TEST(a_node_comes_back_to_where_it_was)
{
    RG_AUTO_BUF struct rg_buf second = {.max = 0};
    struct answer a;

    join_and_approve("eu-west-1", 3);
    back_link = "10.0.0.66:9443";
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 403, "If it moved: regent node approve 3 --fingerprint ");
    back_link = "10.0.0.9:9444"; /* another port is no other place */
    back_url = "https://WEST.example:8444";
    rg_buf_init(&second, 65536);
    come_back(3, 4, &key, &second);
    back_url = "https://one.example:1";
    post(&a, "/v1/rejoin", rejoin_body(4, "eu-west-1", time(NULL), rg_buf_span(&second)));
    check(&a, 403, "If it moved");
    back_link = "10.0.0.9:9443";
    back_url = "https://west.example:8443";
}

TEST(a_voter_has_nothing_to_come_back_to)
{
    struct answer a;

    join_and_approve("eu-west-1", 3);
    API_STATUS(peers[0].id, 3);
    API_STATUS(peers[0].role, RG_ROLE_VOTER);
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 409, "is a voter");
    API_STATUS(peers[0].role, RG_ROLE_LEARNER);
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 409, "is linked");
    API_STATUS(peers[0].up, false);
    post(&a, "/v1/rejoin", rejoin_body(3, "eu-west-1", time(NULL), rg_buf_span(&key)));
    check(&a, 200, NULL);
}
