/* Nodes join (POST /v1/join-tokens, /v1/join) and come back (/v1/rejoin): the state gives them an id, the cluster's CA a
 * certificate. The last two need no credential: a token's secret, or the key the node had, is the proof. */
#include <arpa/inet.h>
#include <stdio.h>

#include "base/base64.h"
#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "crypto/pki.h"
#include "net/v1/v1.h"
#include "base/json.h"
#include "net/ops/join_token.h"
#include "raft/member/giving.h"
#include "raft/member/rejoin.h"
#include "store/model/region_name.h"
#include "store/model/node.h"

enum {
    TTL_S_MIN = 60,
    TTL_S_MAX = 86400,
    TTL_S_DEFAULT = 900,
    CSR_BYTES_MAX = 8192,
    CERT_BYTES_MAX = 8192,
    LINK_BYTES_MAX = 127,
    URL_BYTES_MAX = 159,
    SIGNATURE_BYTES_MAX = 256,
    SECRET_TEXT_BYTES_MAX = 128,
    CA_KEY_BYTES_MAX = 16 * 1024,
    FAILURES_A_SECOND_MAX = 5,
    PROOF_AGE_S_MAX = 300,
    HOST_BYTES_MAX = 128,
};

/* What a join remembers between its steps: call->state. */
struct join {
    char region[RG_REGION_NAME_BYTES_MAX + 1], link[LINK_BYTES_MAX + 1], url[URL_BYTES_MAX + 1];
    char csr[CSR_BYTES_MAX + 1];
    uint64_t old_id, id;
    struct rg_incarnation incarnation; /* of the data directory that a node sets aside that comes back; not known: it did not say */
    bool forgotten;                    /* it says that it has less than others know of it */
};

/* ---- bounds on guessing ---- */

/* Failures of this second and the second itself, shared by the workers: a few are enough for mistakes. */
static bool guessed_too_often(struct rg_call *call)
{
    uint64_t seen = __atomic_load_n(&call->api->join_failures, __ATOMIC_RELAXED);

    return seen >> 8 == call->began_us / 1000000 && (seen & 0xff) >= FAILURES_A_SECOND_MAX;
}

static void count_failure(struct rg_call *call)
{
    uint64_t second = call->began_us / 1000000, seen = __atomic_load_n(&call->api->join_failures, __ATOMIC_RELAXED), next;

    do {
        next = seen >> 8 == second ? seen + ((seen & 0xff) < 0xff) : second << 8 | 1;
    } while (!__atomic_compare_exchange_n(&call->api->join_failures, &seen, next, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
}

static void refuse(struct rg_call *call, enum rg_err err, const char *text)
{
    count_failure(call);
    rg_log_warn(call->api->config.log, "join.refused", "peer=%s request=%s text=\"%s\"", call->req->peer,
                call->request_id, text);
    rg_call_fail(call, err, "%s", text);
}

/* ---- members of the body ---- */

static enum rg_err take(const json_t *input, const char *name, size_t max, struct rg_span *ret, struct rg_errctx *ctx)
{
    *ret = rg_json_text(input, name);
    if (ret->p == NULL || ret->n == 0)
        return rg_fail(ctx, RG_EINVALID, "%s: a text is needed", name);
    if (ret->n > max)
        return rg_fail(ctx, RG_EINVALID, "%s: is over %zu bytes", name, max);
    if (memchr(ret->p, 0, ret->n) != NULL)
        return rg_fail(ctx, RG_EINVALID, "%s: holds a NUL", name);
    return RG_OK;
}

static void copy(char *to, size_t size, struct rg_span text) { snprintf(to, size, "%.*s", RG_SPAN_ARG(text)); }

/* "host:port" or "[v6]:port": the host alone. False: it is neither. */
static bool host_of(const char *address, char host[HOST_BYTES_MAX])
{
    const char *colon = strrchr(address, ':'), *from = address;
    size_t n = colon != NULL ? (size_t)(colon - address) : 0;
    char *end;
    unsigned long port = colon != NULL && colon[1] >= '0' && colon[1] <= '9' ? strtoul(colon + 1, &end, 10) : 0;

    if (port < 1 || port > 65535 || *end != '\0' || n < 1)
        return false;
    if (n > 2 && address[0] == '[' && address[n - 1] == ']') {
        from++;
        n -= 2;
    } else if (memchr(address, ':', n) != NULL) {
        return false;
    }
    if (n >= HOST_BYTES_MAX || strspn(from, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-") < n)
        return false;
    memcpy(host, from, n);
    host[n] = '\0';
    return true;
}

/* "https://host:port", nothing behind it; in the clear on one machine alone. */
static bool host_of_url(const char *url, char host[HOST_BYTES_MAX])
{
    bool plain = strncmp(url, "http://", 7) == 0;

    if (!plain && strncmp(url, "https://", 8) != 0)
        return false;
    return host_of(strstr(url, "//") + 2, host) &&
           (!plain || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0);
}

static enum rg_err take_place(const json_t *input, struct join *j, struct rg_errctx *ctx)
{
    struct rg_span region, link, url, csr;
    char host[HOST_BYTES_MAX];
    enum rg_err err = take(input, "region", RG_REGION_NAME_BYTES_MAX, &region, ctx);

    if (!err && !rg_region_name_ok(region))
        err = rg_fail(ctx, RG_EINVALID, "region: is 1 to %d of a-z, 0-9 and '-'", RG_REGION_NAME_BYTES_MAX);
    if (!err)
        err = take(input, "link", LINK_BYTES_MAX, &link, ctx);
    if (!err)
        err = take(input, "url", URL_BYTES_MAX, &url, ctx);
    if (!err)
        err = take(input, "csr", CSR_BYTES_MAX, &csr, ctx);
    if (err)
        return err;
    copy(j->region, sizeof j->region, region);
    copy(j->link, sizeof j->link, link);
    copy(j->url, sizeof j->url, url);
    copy(j->csr, sizeof j->csr, csr);
    if (!host_of(j->link, host))
        return rg_fail(ctx, RG_EINVALID, "link: must be host:port, where the other nodes reach this one");
    if (!host_of_url(j->url, host))
        return rg_fail(ctx, RG_EINVALID, "url: must be https://host:port, where clients reach this node");
    return rg_pki_csr_check(rg_span_str(j->csr), ctx);
}

/* ---- the CA ---- */

/* Its private key in the clear, in a buffer of its own: wipe it. The text of a failure is for the client. */
static enum rg_err ca_key_open(struct rg_call *call, struct rg_txn *txn, struct rg_buf *key, struct rg_errctx *ctx)
{
    const struct rg_api *api = call->api;
    const struct rg_context context = {.instance_arn = rg_span_str(api->instance_arn),
                                       .identity_store_id = rg_span_str(api->identity_store_id),
                                       .purpose = rg_span_str("secret")};
    struct rg_span sealed;
    enum rg_err err;

    if (api->config.ca_pem == NULL)
        return rg_fail(ctx, RG_EUNREADY, "this node signs no certificates");
    err = rg_secret_get(txn, rg_span_str("ca-key"), &sealed);
    if (err == RG_ENOTFOUND)
        return rg_fail(ctx, RG_ECONFLICT,
                       "this cluster keeps no CA key to sign certificates with: name it as ca_key in the primary's "
                       "bootstrap file and restart the primary");
    if (err)
        return err;
    if (rg_buf_reserve(key, CA_KEY_BYTES_MAX) == NULL) /* at once: growing would leave copies behind */
        return RG_ENOMEM;
    return rg_envelope_open(api->config.keys, &context, sealed, key, ctx);
}

static void wipe_key(struct rg_buf *key)
{
    if (key->data != NULL)
        rg_wipe(key->data, key->cap);
    rg_buf_deinit(key);
}

/* Before an id is given away for it. */
static enum rg_err ca_check(struct rg_call *call, struct rg_txn *txn, struct rg_errctx *ctx)
{
    struct rg_buf key;
    enum rg_err err;

    rg_buf_init(&key, CA_KEY_BYTES_MAX);
    err = ca_key_open(call, txn, &key, ctx);
    if (!err)
        err = rg_pki_ca_check(rg_span_str(call->api->config.ca_pem), rg_buf_span(&key), ctx);
    wipe_key(&key);
    return err;
}

/* Names that the certificate holds besides those every one has. */
static void put_host(const char *host, struct rg_buf *names, struct rg_buf *ips)
{
    uint8_t address[16];
    struct rg_buf *to = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1 ? ips : names;

    if (strcmp(host, "localhost") == 0 || strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0)
        return;
    rg_buf_printf(to, "%s%s", to->len > 0 ? "," : "", host);
}

static enum rg_err sign(struct rg_call *call, struct rg_txn *txn, const struct rg_node_row *row, struct x509_st **ret_cert,
                        struct rg_errctx *ctx)
{
    const struct join *j = call->state;
    char link[HOST_BYTES_MAX], url[HOST_BYTES_MAX];
    RG_AUTO_BUF struct rg_buf names = {.max = 0};
    RG_AUTO_BUF struct rg_buf ips = {.max = 0};
    struct rg_buf key;
    enum rg_err err;

    rg_buf_init(&names, 2 * HOST_BYTES_MAX + 8);
    rg_buf_init(&ips, 2 * HOST_BYTES_MAX + 8);
    rg_buf_init(&key, CA_KEY_BYTES_MAX);
    if (!host_of(j->link, link) || !host_of_url(j->url, url))
        return RG_EINTERNAL;
    put_host(link, &names, &ips);
    if (strcmp(link, url) != 0)
        put_host(url, &names, &ips);
    rg_buf_put_u8(&names, 0);
    rg_buf_put_u8(&ips, 0);
    err = names.err != RG_OK ? names.err : ips.err;
    if (!err)
        err = ca_key_open(call, txn, &key, ctx);
    if (!err)
        err = rg_pki_sign(rg_span_str(call->api->config.ca_pem), rg_buf_span(&key), rg_span_str(j->csr),
                          call->api->cluster_id, j->region, row->id, names.len > 1 ? (const char *)names.data : NULL,
                          ips.len > 1 ? (const char *)ips.data : NULL, ret_cert, ctx);
    wipe_key(&key);
    return err;
}

/* ---- the answer ---- */

static const struct rg_peer_status *member(const struct rg_node_status *status, uint64_t id)
{
    for (size_t i = 0; i < status->n_peers; i++)
        if (status->peers[i].id == id)
            return &status->peers[i];
    return NULL;
}

/* The members of the configuration, where their rows say they are. */
static enum rg_err put_members(struct rg_call *call, struct rg_txn *txn)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    struct rg_json_writer *j = &call->json;
    enum rg_err err = rg_node_row_list(txn, &scan);

    rg_json_array(j, "members");
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        const struct rg_peer_status *peer = member(status, row.id);

        if ((row.id != status->id && peer == NULL) || !rg_span_is(row.status, "MEMBER"))
            continue;
        rg_json_object(j, NULL);
        rg_json_u64(j, "id", row.id);
        rg_json_str(j, "role", peer == NULL || peer->role == RG_ROLE_VOTER ? "voter" : "learner");
        rg_json_span(j, "region", row.region);
        rg_json_span(j, "link", row.link);
        rg_json_span(j, "url", row.url);
        rg_json_end(j);
    }
    rg_json_end(j);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static void answer(struct rg_call *call, struct rg_span cert_der)
{
    const struct join *j = call->state;
    struct x509_st *cert = rg_pki_cert_decode(cert_der);
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    struct rg_json_writer *out;
    struct rg_txn *txn;
    enum rg_err err;

    rg_buf_init(&pem, 4 * CERT_BYTES_MAX);
    err = cert != NULL ? rg_pki_cert_pem(cert, &pem) : RG_EINTERNAL;
    rg_pki_cert_free(cert);
    if (!err && rg_call_txn(call, &txn) != RG_OK)
        return;
    out = rg_call_json(call);
    rg_json_object(out, NULL);
    rg_json_u64(out, "nodeId", j->id);
    rg_json_str(out, "cluster", call->api->cluster_id);
    rg_json_str(out, "instanceArn", call->api->instance_arn);
    rg_json_str(out, "identityStoreId", call->api->identity_store_id);
    rg_json_span(out, "cert", rg_buf_span(&pem));
    if (!err)
        err = put_members(call, txn);
    rg_json_end(out);
    if (err) {
        rg_call_fail(call, err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.prepared", "id=%llu region=%s link=%s old=%llu peer=%s",
                (unsigned long long)j->id, j->region, j->link, (unsigned long long)j->old_id, call->req->peer);
    rg_call_answer(call, 200);
}

/* ---- the second write: the row keeps the certificate ---- */

static void cert_done(struct rg_call *call)
{
    struct rg_span der;

    if (call->proposal.reply.err) {
        rg_call_fail(call, call->proposal.reply.err, "node %llu was changed again while its certificate was made: try again",
                     (unsigned long long)((struct join *)call->state)->id);
        return;
    }
    (void)rg_tlv_get(rg_buf_span(&call->cmd), RG_F_CERT, &der);
    answer(call, der);
}

static enum rg_err cert_build(struct rg_call *call, struct rg_txn *txn, struct rg_errctx *ctx)
{
    const struct join *j = call->state;
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    struct x509_st *cert = NULL;
    struct rg_node_row row;
    enum rg_err err = rg_node_row_get(txn, j->id, &row);

    rg_buf_init(&der, CERT_BYTES_MAX);
    if (!err)
        err = sign(call, txn, &row, &cert, ctx);
    if (!err)
        err = rg_pki_cert_der(cert, &der);
    rg_pki_cert_free(cert);
    if (err)
        return err;
    row.cert = rg_buf_span(&der);
    rg_cmd_begin(&call->cmd, RG_CMD_NODE_PUT, call->now_ms, rg_call_by(call));
    rg_node_row_put(&call->cmd, &row);
    return RG_OK;
}

static void put_cert(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = cert_build(call, txn, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    call->again = put_cert; /* the region manager may have made it a member meanwhile */
    rg_call_propose(call, cert_done);
}

/* ---- the first write: an id ---- */

/* The node learns it in a form that it can act upon: it is to destroy its key and data (cmd/daemon/removal.h). */
static void answer_removed(struct rg_call *call, const struct join *j)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    struct rg_json_writer *out = rg_call_json(call);
    char message[96];

    snprintf(message, sizeof message, "node %llu was removed: join with a new token", (unsigned long long)j->old_id);
    rg_json_object(out, NULL);
    rg_json_str(out, "code", "Removed");
    rg_json_str(out, "message", message);
    rg_json_str(out, "requestId", call->request_id);
    rg_json_object(out, "removed");
    rg_json_str(out, "cluster", call->api->cluster_id);
    rg_json_u64(out, "id", j->old_id);
    rg_json_str(out, "region", j->region);
    rg_json_u64(out, "epoch", status->epoch);
    rg_json_end(out);
    rg_json_end(out);
    rg_call_answer(call, 410);
}

static void fail_join(struct rg_call *call, const struct join *j, const struct rg_reply *reply)
{
    if (reply->why == RG_WHY_LIMIT)
        rg_call_fail(call, reply->err, "all %d node ids of this cluster have been given away", RG_NODE_ID_MAX);
    else if (reply->why == RG_WHY_NODE && reply->err == RG_ECONFLICT)
        answer_removed(call, j);
    else if (reply->why == RG_WHY_TOKEN)
        refuse(call, reply->err, reply->err == RG_ECONFLICT ? "the join token has been used already" : rg_err_text(reply->err));
    else
        rg_call_fail(call, reply->err, NULL);
}

static void id_done(struct rg_call *call)
{
    const struct rg_reply *reply = &call->proposal.reply;
    struct join *j = call->state;

    if (reply->err) {
        fail_join(call, j, reply);
        return;
    }
    for (size_t i = 0; i < 8; i++)
        j->id = j->id << 8 | reply->id.b[i];
    call->known = RG_KNOWN_NONE; /* those know of the id: the certificate may come later */
    put_cert(call);
}

static void propose_id(struct rg_call *call, const uint8_t *token_sha256)
{
    const struct join *j = call->state;
    struct rg_giving giving;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_giving_choose(rg_api_status(call, true), txn, j->old_id, rg_span_str(j->csr), &giving);
    if (err) {
        rg_call_fail(call, err, NULL);
        return;
    }
    call->known = giving.known;
    call->known_but = giving.but;
    rg_cmd_begin(&call->cmd, RG_CMD_NODE_JOIN, call->now_ms, rg_call_by(call));
    if (token_sha256 != NULL)
        rg_tlv_put(&call->cmd, RG_F_TOKEN_SHA256, rg_span(token_sha256, RG_SHA256_BYTES));
    else
        rg_tlv_put_u64(&call->cmd, RG_F_OLD_NODE_ID, j->old_id);
    rg_tlv_put_str(&call->cmd, RG_F_NAME, j->region);
    rg_tlv_put_str(&call->cmd, RG_F_LINK, j->link);
    rg_tlv_put_str(&call->cmd, RG_F_URL, j->url);
    if (giving.id != 0)
        rg_tlv_put_u64(&call->cmd, RG_F_NODE_ID, giving.id);
    rg_call_propose(call, id_done);
}

/* ---- POST /v1/join ---- */

/* What apply decides again; here so that no stranger's guess reaches the log. False: answered. */
static bool token_opens(struct rg_call *call, struct rg_txn *txn, const uint8_t sha256[RG_SHA256_BYTES], const char *region)
{
    struct rg_join_token token;
    enum rg_err err = rg_join_token_get(txn, sha256, &token);
    char text[160];

    if (err == RG_ENOTFOUND) {
        refuse(call, RG_EBADTOKEN, "the join token is not known here: it is another cluster's, or expired long ago");
    } else if (err) {
        rg_call_fail(call, err, NULL);
    } else if (token.used) {
        refuse(call, RG_ECONFLICT, "the join token has been used already");
    } else if (token.expires_ms <= call->now_ms) {
        refuse(call, RG_EEXPIRED, "the join token has expired");
    } else if (!rg_span_is(token.region, region)) {
        snprintf(text, sizeof text, "the join token is for region %.*s, not for %s", RG_SPAN_ARG(token.region), region);
        refuse(call, RG_EINVALID, text);
    } else {
        return true;
    }
    return false;
}

static void run_join(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    uint8_t sha256[RG_SHA256_BYTES];
    struct join *j = call->state;
    struct rg_span secret;
    struct rg_txn *txn;
    enum rg_err err = take(call->input, "secret", SECRET_TEXT_BYTES_MAX, &secret, &ctx);

    if (!err)
        err = take_place(call->input, j, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    /* Compared by its hash, as a row's key: how long that takes says nothing about the secret. */
    rg_sha256(secret, sha256);
    if (!rg_call_admit(call, "join", j->region) || rg_call_txn(call, &txn) != RG_OK || !token_opens(call, txn, sha256, j->region))
        return;
    err = ca_check(call, txn, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        propose_id(call, sha256);
}

/* ---- POST /v1/rejoin ---- */

/* The certificate that the old id had: the row's, or, for a node of the first configuration, one that the CA signed. */
static enum rg_err old_cert(struct rg_call *call, const struct rg_node_row *row, struct x509_st **ret_cert,
                            struct rg_errctx *ctx)
{
    struct rg_span given = rg_json_text(call->input, "cert");
    struct rg_pki_name name;
    struct x509_st *cert;
    enum rg_err err;

    if (row->cert.n > 0) {
        *ret_cert = rg_pki_cert_decode(row->cert);
        return *ret_cert != NULL ? RG_OK : RG_ECORRUPT;
    }
    if (call->api->config.ca_pem == NULL || given.n == 0)
        return rg_fail(ctx, RG_EBADTOKEN, "cert: node %llu's own certificate is needed, since its row has none",
                       (unsigned long long)row->id);
    cert = rg_pki_cert_decode(given);
    if (cert == NULL)
        return rg_fail(ctx, RG_EBADTOKEN, "cert: is no certificate");
    err = rg_pki_cert_check(rg_span_str(call->api->config.ca_pem), cert, &name, ctx);
    if (!err && (strcmp(name.cluster_id, call->api->cluster_id) != 0 || name.raft_id != row->id ||
                 !rg_span_is(row->region, name.region)))
        err = rg_fail(ctx, RG_EPEER, "cert: is of node %llu in %s of cluster %s", (unsigned long long)name.raft_id,
                      name.region, name.cluster_id);
    if (err)
        rg_pki_cert_free(cert);
    else
        *ret_cert = cert;
    return err;
}

static enum rg_err check_proof(struct rg_call *call, const struct rg_node_row *row, struct rg_errctx *ctx)
{
    const struct join *j = call->state;
    const struct rg_pki_rejoin r = {.cluster_id = rg_span_str(call->api->cluster_id),
                                    .region = rg_span_str(j->region),
                                    .csr = rg_span_str(j->csr),
                                    .link = rg_span_str(j->link),
                                    .url = rg_span_str(j->url),
                                    .old_id = j->old_id,
                                    .at = rg_json_number(call->input, "at")};
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf signature = {.max = 0};
    struct x509_st *cert = NULL;
    enum rg_err err;

    if (llabs((long long)(call->now_ms / 1000 - r.at)) > PROOF_AGE_S_MAX)
        return rg_fail(ctx, RG_EEXPIRED, "at: is more than %d s from this node's clock", PROOF_AGE_S_MAX);
    rg_buf_init(&text, 4096);
    rg_buf_init(&signature, SIGNATURE_BYTES_MAX);
    if (!rg_base64_get(rg_json_text(call->input, "signature"), RG_BASE64, &signature) || signature.len == 0)
        return rg_fail(ctx, RG_EBADSIG, "signature: must be base64");
    rg_pki_rejoin_text(&r, &text);
    if (text.err)
        return text.err;
    err = old_cert(call, row, &cert, ctx);
    if (!err && !rg_pki_verify_text(cert, rg_buf_span(&text), rg_buf_span(&signature)))
        err = rg_fail(ctx, RG_EBADSIG, "signature: is not by the key that node %llu had", (unsigned long long)j->old_id);
    rg_pki_cert_free(cert);
    return err;
}

/* Not there: of a release that knows of none. */
static bool take_incarnation(const json_t *input, struct rg_incarnation *out)
{
    const json_t *text = json_object_get(input, "incarnation");

    return text == NULL || (json_is_string(text) && json_string_length(text) == 2 * sizeof out->b &&
                            rg_unhex(out->b, json_string_value(text), sizeof out->b));
}

static void run_rejoin(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct join *j = call->state;
    int64_t old_id = rg_json_number(call->input, "oldId");
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err = take_place(call->input, j, &ctx);

    if (!err && (old_id < 1 || old_id > RG_NODE_ID_MAX))
        err = rg_fail(&ctx, RG_EINVALID, "oldId: must be 1 to %d", RG_NODE_ID_MAX);
    if (!err && !take_incarnation(call->input, &j->incarnation))
        err = rg_fail(&ctx, RG_EINVALID, "incarnation: must be %zu hex digits", 2 * sizeof j->incarnation.b);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    j->old_id = (uint64_t)old_id;
    j->forgotten = json_is_true(json_object_get(call->input, "forgotten"));
    if (!rg_call_admit(call, "rejoin", j->region) || rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_node_row_get(txn, j->old_id, &row);
    if (err == RG_ENOTFOUND)
        err = rg_fail(&ctx, RG_EBADTOKEN, "node %llu is not known here", (unsigned long long)j->old_id);
    if (!err && !rg_span_is(row.region, j->region))
        err = rg_fail(&ctx, RG_EBADTOKEN, "node %llu is not of region %s", (unsigned long long)j->old_id, j->region);
    if (!err)
        err = check_proof(call, &row, &ctx);
    if (err) {
        if (rg_is_local_fault(err))
            rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        else
            refuse(call, err, rg_errctx_text(&ctx, err));
        return;
    }
    err = rg_rejoin_judge(rg_api_status(call, true), txn,
                          &(struct rg_rejoin_asked){.old_id = j->old_id, .incarnation = j->incarnation, .forgotten = j->forgotten},
                          call->now_ms, &ctx);
    if (!err)
        err = ca_check(call, txn, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        propose_id(call, NULL);
}

static void serve(struct rg_call *call, void (*run)(struct rg_call *call))
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (guessed_too_often(call)) {
        rg_call_fail(call, RG_EBUSY, "too many refused attempts to join: try again in a second");
        return;
    }
    err = rg_json_parse_body(call->req->body, &call->input, &ctx);
    if (!err && (call->state = calloc(1, sizeof(struct join))) == NULL)
        err = RG_ENOMEM;
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        run(call);
}

void rg_v1_join(struct rg_call *call) { serve(call, run_join); }
void rg_v1_rejoin(struct rg_call *call) { serve(call, run_rejoin); }

/* ---- POST /v1/join-tokens ---- */

struct token {
    char region[RG_REGION_NAME_BYTES_MAX + 1];
    char secret[64]; /* base64url */
    int64_t expires_ms;
};

/* Where the node that joins may ask: every member's address, the primary's (this one) first. */
static enum rg_err put_urls(struct rg_call *call, struct rg_txn *txn, struct rg_join_offer *offer, struct rg_buf *texts)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    size_t at[RG_JOIN_URLS_MAX], n = 0;

    for (int own = 1; own >= 0; own--) {
        RG_AUTO_SCAN struct rg_scan scan = {0};
        struct rg_node_row row;
        enum rg_err err = rg_node_row_list(txn, &scan);

        while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
            if ((row.id == status->id) != (own == 1) || !rg_span_is(row.status, "MEMBER") || n == RG_JOIN_URLS_MAX)
                continue;
            at[n++] = texts->len;
            rg_buf_put(texts, row.url.p, row.url.n);
            rg_buf_put_u8(texts, 0);
        }
        if (err != RG_ENOTFOUND)
            return err;
    }
    if (texts->err)
        return texts->err;
    offer->n_urls = n;
    for (size_t i = 0; i < n; i++)
        offer->urls[i] = (const char *)texts->data + at[i];
    return RG_OK;
}

static enum rg_err put_token(struct rg_call *call, struct rg_txn *txn, const struct token *t)
{
    struct rg_join_offer offer = {.cluster = call->api->cluster_id, .region = t->region, .ca = call->api->config.ca_pem,
                                  .secret = t->secret};
    RG_AUTO_BUF struct rg_buf urls = {.max = 0};
    struct rg_json_writer *j = rg_call_json(call);
    struct rg_buf *out;
    char expires[RG_TIME_TEXT_MAX];
    enum rg_err err;

    rg_buf_init(&urls, RG_JOIN_URLS_MAX * (URL_BYTES_MAX + 1));
    (void)rg_time_format_s(expires, t->expires_ms / 1000);
    err = put_urls(call, txn, &offer, &urls);
    rg_json_object(j, NULL);
    out = rg_json_text_begin(j, "token"); /* base64url */
    if (!err)
        err = rg_join_token_encode(&offer, out);
    rg_json_text_end(j);
    rg_json_str(j, "region", t->region);
    rg_json_str(j, "expires", expires);
    rg_json_end(j);
    return err;
}

static void token_done(struct rg_call *call)
{
    const struct rg_reply *reply = &call->proposal.reply;
    struct token *t = call->state;
    struct rg_txn *txn;
    enum rg_err err;

    if (reply->err) {
        rg_wipe(t->secret, sizeof t->secret);
        rg_call_fail(call, reply->err, reply->why == RG_WHY_LIMIT ? "there are %d join tokens that have not expired" : NULL,
                     RG_JOIN_TOKENS_MAX);
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = put_token(call, txn, t);
    rg_wipe(t->secret, sizeof t->secret);
    if (err)
        rg_call_fail(call, err, NULL);
    else
        rg_call_answer(call, 200);
}

static enum rg_err token_input(struct rg_call *call, struct token *t, struct rg_errctx *ctx)
{
    const json_t *ttl;
    struct rg_span region;
    int64_t ttl_s;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);

    if (!err)
        err = take(call->input, "region", RG_REGION_NAME_BYTES_MAX, &region, ctx);
    if (err)
        return err;
    if (!rg_region_name_ok(region) || region.p[0] < 'a' || region.p[0] > 'z')
        return rg_fail(ctx, RG_EINVALID, "region: is 1 to %d of a-z, 0-9 and '-', and begins with a letter",
                       RG_REGION_NAME_BYTES_MAX);
    ttl = json_object_get(call->input, "ttlSeconds");
    ttl_s = ttl != NULL ? rg_json_number(call->input, "ttlSeconds") : TTL_S_DEFAULT;
    if ((ttl != NULL && !json_is_integer(ttl)) || ttl_s < TTL_S_MIN || ttl_s > TTL_S_MAX)
        return rg_fail(ctx, RG_EINVALID, "ttlSeconds: must be %d to %d", TTL_S_MIN, TTL_S_MAX);
    if (json_object_size(call->input) != 1u + (ttl != NULL))
        return rg_fail(ctx, RG_EINVALID, "a join token has region and ttlSeconds, and nothing else");
    copy(t->region, sizeof t->region, region);
    t->expires_ms = call->now_ms + ttl_s * 1000;
    return RG_OK;
}

void rg_v1_join_tokens(struct rg_call *call)
{
    uint8_t secret[RG_JOIN_SECRET_BYTES], sha256[RG_SHA256_BYTES];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_errctx ctx = {.text = ""};
    struct token *t = call->state = calloc(1, sizeof *t);
    struct rg_txn *txn;
    enum rg_err err = t != NULL ? RG_OK : RG_ENOMEM;

    if (!err)
        err = token_input(call, t, &ctx);
    if (!err && rg_call_txn(call, &txn) != RG_OK)
        return;
    if (!err)
        err = ca_check(call, txn, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    rg_random(secret, sizeof secret);
    rg_buf_init(&text, sizeof t->secret);
    rg_base64_put(&text, RG_BASE64_URL, rg_span(secret, sizeof secret));
    RG_ASSERT(text.len < sizeof t->secret);
    memcpy(t->secret, text.data, text.len);
    rg_sha256(rg_buf_span(&text), sha256);
    rg_wipe(text.data, text.len);
    rg_wipe(secret, sizeof secret);
    rg_cmd_begin(&call->cmd, RG_CMD_TOKEN_PUT, call->now_ms, rg_call_by(call));
    rg_tlv_put(&call->cmd, RG_F_TOKEN_SHA256, rg_span(sha256, sizeof sha256));
    rg_tlv_put_str(&call->cmd, RG_F_NAME, t->region);
    rg_tlv_put_u64(&call->cmd, RG_F_EXPIRES_MS, (uint64_t)t->expires_ms);
    rg_call_propose(call, token_done);
}
