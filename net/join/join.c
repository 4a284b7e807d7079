/* Nodes ask to join (POST /v1/join). No credential is needed: a token's secret is the proof. It buys an id and a place in a list, and
 * nothing else, until an administrator lets the node in (nodes.c); then it collects its certificate (POST /v1/join/collect), with its key
 * for a proof. */
#include <stdio.h>
#include <strings.h>

#include "base/base64.h"
#include "crypto/digest.h"
#include "crypto/pki.h"
#include "net/join/join_priv.h"
#include "raft/member/giving.h"

enum { SECRET_TEXT_BYTES_MAX = 128, RELEASE_BYTES_MAX = 40 };

/* ---- bounds on guessing ---- */

void join_refuse(struct rg_call *call, enum rg_err err, const char *text)
{
    rg_guesses_count(&call->api->guesses, call->req->peer, call->began_us / 1000);
    rg_log_warn(call->api->config.log, "join.refused", "peer=%s request=%s text=\"%s\"", call->req->peer, call->request_id, text);
    rg_call_fail(call, err, "%s", text);
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
        join_refuse(call, reply->err,
                    reply->err == RG_ECONFLICT ? "the join token has been used already, or was revoked" : rg_err_text(reply->err));
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
    call->known = RG_KNOWN_NONE; /* those know of the id: what belongs to it may come later */
    j->then(call);
}

/* What people look at before they let it in. */
static void put_request(struct rg_call *call, const struct join *j)
{
    char from[64];

    rg_peer_address(call->req->peer, from);
    rg_tlv_put_str(&call->cmd, RG_F_CSR, j->csr);
    rg_tlv_put_str(&call->cmd, RG_F_FROM, from);
    rg_tlv_put_str(&call->cmd, RG_F_RELEASE, j->release);
}

void join_propose(struct rg_call *call, const uint8_t *token_sha256, void (*then)(struct rg_call *call))
{
    struct join *j = call->state;
    struct rg_giving giving;
    struct rg_txn *txn;
    enum rg_err err;

    j->then = then;
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
    if (token_sha256 != NULL) {
        rg_tlv_put(&call->cmd, RG_F_TOKEN_SHA256, rg_span(token_sha256, RG_SHA256_BYTES));
        put_request(call, j);
    } else {
        rg_tlv_put_u64(&call->cmd, RG_F_OLD_NODE_ID, j->old_id);
        rg_tlv_put_u64(&call->cmd, RG_F_PROVEN, j->old_id);
    }
    rg_tlv_put_str(&call->cmd, RG_F_NAME, j->region);
    rg_tlv_put_str(&call->cmd, RG_F_LINK, j->link);
    rg_tlv_put_str(&call->cmd, RG_F_URL, j->url);
    if (giving.id != 0)
        rg_tlv_put_u64(&call->cmd, RG_F_NODE_ID, giving.id);
    rg_call_propose(call, id_done);
}

/* ---- POST /v1/join ---- */

/* What apply decides again; here so that no stranger's guess reaches the log. False: answered. */
static bool token_opens(struct rg_call *call, struct rg_txn *txn, const uint8_t sha256[RG_SHA256_BYTES], const char *region,
                        struct rg_join_token *ret_token)
{
    enum rg_err err = rg_join_token_get(txn, sha256, ret_token);
    char text[160];

    if (err == RG_ENOTFOUND) {
        join_refuse(call, RG_EBADTOKEN, "the join token is not known here: it is another cluster's, or expired long ago");
    } else if (err) {
        rg_call_fail(call, err, NULL);
    } else if (rg_span_is(ret_token->status, "REVOKED")) {
        join_refuse(call, RG_EBADTOKEN, "the join token was revoked");
    } else if (!rg_span_is(ret_token->status, "NEW")) {
        join_refuse(call, RG_ECONFLICT, "the join token has been used already");
    } else if (ret_token->expires_ms <= call->now_ms) {
        join_refuse(call, RG_EEXPIRED, "the join token has expired");
    } else if (!rg_span_is(ret_token->region, region)) {
        snprintf(text, sizeof text, "the join token is for region %.*s, not for %s", RG_SPAN_ARG(ret_token->region), region);
        join_refuse(call, RG_EINVALID, text);
    } else {
        return true;
    }
    return false;
}

/* One of the names that the token has; with none in it people decide, who are shown them. */
static bool token_allows(const struct rg_join_token *token, const char *host)
{
    struct rg_span allowed;
    size_t n = 0;

    for (; rg_join_token_host(token, n, &allowed); n++)
        if (allowed.n == strlen(host) && strncasecmp((const char *)allowed.p, host, allowed.n) == 0)
            return true;
    return n == 0;
}

static enum rg_err check_hosts(struct rg_call *call, const struct rg_join_token *token, const struct join *j, struct rg_errctx *ctx)
{
    char hosts[2][JOIN_HOST_BYTES_MAX];
    static const char *const whose[] = {"link", "url"};

    if (!join_host_of(j->link, hosts[0]) || !join_host_of_url(j->url, hosts[1]))
        return RG_EINTERNAL;
    for (size_t i = 0; i < RG_LEN(hosts); i++)
        if (!token_allows(token, hosts[i]))
            return rg_fail(ctx, RG_EINVALID, "%s: the join token is for other names than %s: regent region token %s --name %s", whose[i],
                           hosts[i], j->region, hosts[i]);
    return join_check_local(call, j, ctx);
}

static enum rg_err check_room(struct rg_txn *txn, struct rg_errctx *ctx)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    size_t n = 0;
    enum rg_err err = rg_node_row_list(txn, &scan);

    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        n += rg_node_row_asks(&row);
    if (err != RG_ENOTFOUND)
        return err;
    if (n >= RG_NODE_REQUESTS_MAX)
        return rg_fail(ctx, RG_EQUOTA, "%zu nodes wait to be let in already: regent node list, regent node withdraw", n);
    return RG_OK;
}

/* Of whoever has a token: whether it may stand in the list. */
static enum rg_err check_request(struct rg_call *call, struct rg_txn *txn, const struct rg_join_token *token, const struct join *j,
                                 struct rg_errctx *ctx)
{
    const struct rg_node_row row = {.link = rg_span_str(j->link), .url = rg_span_str(j->url), .region = rg_span_str(j->region)};
    enum rg_err err = check_hosts(call, token, j, ctx);

    if (!err)
        err = join_check_free(txn, &row, 0, ctx);
    if (!err)
        err = check_room(txn, ctx);
    return err ? err : rg_pki_csr_check(rg_span_str(j->csr), ctx);
}

static void answer_request(struct rg_call *call)
{
    const struct join *j = call->state;
    char fingerprint[RG_PKI_FINGERPRINT_BYTES];
    uint8_t sha256[RG_SHA256_BYTES];
    struct rg_json_writer *out;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_pki_csr_key_sha256(rg_span_str(j->csr), sha256) ? RG_OK : RG_EINTERNAL;
    out = rg_call_json(call);
    rg_json_object(out, NULL);
    join_put_identity(call, out, j->id);
    rg_json_str(out, "status", "REQUESTED");
    if (!err) {
        rg_pki_fingerprint(sha256, fingerprint);
        rg_json_str(out, "fingerprint", fingerprint);
        err = join_put_members(call, txn);
    }
    rg_json_end(out);
    if (err) {
        rg_call_fail(call, err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.asks", "id=%llu region=%s link=%s url=%s peer=%s fingerprint=%s", (unsigned long long)j->id,
                j->region, j->link, j->url, call->req->peer, fingerprint);
    rg_call_answer(call, 200);
}

/* The secret first: whoever has none causes no work beyond a look into the state. */
static void run_join(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    uint8_t sha256[RG_SHA256_BYTES];
    struct join *j = call->state;
    struct rg_span secret, release;
    struct rg_join_token token;
    struct rg_txn *txn;
    enum rg_err err = join_take(call->input, "secret", SECRET_TEXT_BYTES_MAX, &secret, &ctx);

    if (!err)
        err = join_take_place(call->input, j, &ctx);
    if (!err && json_object_get(call->input, "release") == NULL)
        err = rg_fail(&ctx, RG_EINVALID, "release: is missing: make the node with the regent of this release, which waits to be let in");
    if (!err)
        err = join_take(call->input, "release", RELEASE_BYTES_MAX, &release, &ctx);
    if (err) {
        join_refuse(call, err, rg_errctx_text(&ctx, err));
        return;
    }
    snprintf(j->release, sizeof j->release, "%.*s", RG_SPAN_ARG(release));
    /* Compared by its hash, as a row's key: how long that takes says nothing about the secret. */
    rg_sha256(secret, sha256);
    if (!rg_call_admit(call, "join", j->region) || rg_call_txn(call, &txn) != RG_OK ||
        !token_opens(call, txn, sha256, j->region, &token))
        return;
    err = check_request(call, txn, &token, j, &ctx);
    if (!err)
        err = join_ca_check(call, txn, &ctx); /* before an id is given away for nothing */
    if (!err)
        join_propose(call, sha256, answer_request);
    else if (rg_is_local_fault(err))
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        join_refuse(call, err, rg_errctx_text(&ctx, err));
}

/* ---- POST /v1/join/collect ---- */

/* By the key that it asked with. */
static bool has_key(const struct rg_call *call, const struct rg_node_row *row, int64_t at)
{
    struct x509_st *cert = row->cert.n > 0 ? rg_pki_cert_decode(row->cert) : NULL;
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf signature = {.max = 0};
    bool ok;

    rg_buf_init(&text, 256);
    rg_buf_init(&signature, JOIN_SIGNATURE_BYTES_MAX);
    rg_pki_collect_text(rg_span_str(call->api->cluster_id), row->id, at, &text);
    ok = text.err == RG_OK && rg_base64_get(rg_json_text(call->input, "signature"), RG_BASE64, &signature) && signature.len > 0;
    if (ok && cert != NULL)
        ok = rg_pki_verify_text(cert, rg_buf_span(&text), rg_buf_span(&signature));
    else if (ok)
        ok = row->csr.n > 0 && rg_pki_verify_csr_text(row->csr, rg_buf_span(&text), rg_buf_span(&signature));
    rg_pki_cert_free(cert);
    return ok;
}

static void answer_collect(struct rg_call *call, struct rg_txn *txn, const struct rg_node_row *row)
{
    bool ready = row->cert.n > 0 && !rg_node_row_asks(row) && !rg_node_row_gone(txn, row->id);
    struct rg_json_writer *out = rg_call_json(call);
    enum rg_err err = RG_OK;

    rg_json_object(out, NULL);
    join_put_identity(call, out, row->id);
    rg_json_span(out, "status", rg_node_row_asks(row) ? rg_span_str("REQUESTED") : row->status);
    if (ready)
        err = join_put_cert(out, row->cert);
    if (!err && ready)
        err = join_put_members(call, txn);
    rg_json_end(out);
    if (err)
        rg_call_fail(call, err, NULL);
    else
        rg_call_answer(call, 200);
}

/* Any region answers, from its own state: there is no secret in what it says. */
static void run_collect(struct rg_call *call)
{
    int64_t id = rg_json_number(call->input, "nodeId"), at = rg_json_number(call->input, "at");
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    if (id < 1 || id > RG_NODE_ID_MAX) {
        join_refuse(call, RG_EINVALID, "nodeId: must be a node's id");
        return;
    }
    if (!join_is_now(call->now_ms, at)) {
        join_refuse(call, RG_EEXPIRED, "at: is too far from this node's clock");
        return;
    }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_node_row_get(txn, (uint64_t)id, &row);
    if (err == RG_ENOTFOUND)
        join_refuse(call, RG_ENOTFOUND, "the node is not known here (yet)");
    else if (err)
        rg_call_fail(call, err, NULL);
    else if (!has_key(call, &row, at))
        join_refuse(call, RG_EBADSIG, "signature: is not by the key that the node asked with");
    else
        answer_collect(call, txn, &row);
}

void join_serve(struct rg_call *call, void (*run)(struct rg_call *call))
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = RG_OK;

    if (rg_guesses_spent(&call->api->guesses, call->req->peer, call->began_us / 1000)) {
        rg_call_fail(call, RG_EBUSY, "too many refused attempts to join from this address: try again in a second");
        return;
    }
    if (call->req->body.n > JOIN_BODY_BYTES_MAX)
        err = rg_fail(&ctx, RG_ETOOBIG, "what is asked here has at most %d bytes", JOIN_BODY_BYTES_MAX);
    if (!err)
        err = rg_json_parse_body(call->req->body, &call->input, &ctx);
    if (!err && (call->state = calloc(1, sizeof(struct join))) == NULL)
        err = RG_ENOMEM;
    if (err)
        join_refuse(call, err, rg_errctx_text(&ctx, err));
    else
        run(call);
}

void rg_join(struct rg_call *call) { join_serve(call, run_join); }
void rg_join_collect(struct rg_call *call) { join_serve(call, run_collect); }
