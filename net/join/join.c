/* Nodes join (POST /v1/join): the state gives them an id, the cluster's CA a certificate. No credential is needed: a token's secret, or the
 * key the node had (rejoin.c), is the proof. */
#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/pki.h"
#include "net/join/join_priv.h"
#include "raft/member/giving.h"

enum { SECRET_TEXT_BYTES_MAX = 128 };

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
        join_refuse(call, reply->err, reply->err == RG_ECONFLICT ? "the join token has been used already" : rg_err_text(reply->err));
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
    join_put_cert(call);
}

void join_propose(struct rg_call *call, const uint8_t *token_sha256)
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
        join_refuse(call, RG_EBADTOKEN, "the join token is not known here: it is another cluster's, or expired long ago");
    } else if (err) {
        rg_call_fail(call, err, NULL);
    } else if (token.used) {
        join_refuse(call, RG_ECONFLICT, "the join token has been used already");
    } else if (token.expires_ms <= call->now_ms) {
        join_refuse(call, RG_EEXPIRED, "the join token has expired");
    } else if (!rg_span_is(token.region, region)) {
        snprintf(text, sizeof text, "the join token is for region %.*s, not for %s", RG_SPAN_ARG(token.region), region);
        join_refuse(call, RG_EINVALID, text);
    } else {
        return true;
    }
    return false;
}

/* The secret first: whoever has none causes no work beyond a look into the state. */
static void run_join(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    uint8_t sha256[RG_SHA256_BYTES];
    struct join *j = call->state;
    struct rg_span secret;
    struct rg_txn *txn;
    enum rg_err err = join_take(call->input, "secret", SECRET_TEXT_BYTES_MAX, &secret, &ctx);

    if (!err)
        err = join_take_place(call->input, j, &ctx);
    if (err) {
        join_refuse(call, err, rg_errctx_text(&ctx, err));
        return;
    }
    /* Compared by its hash, as a row's key: how long that takes says nothing about the secret. */
    rg_sha256(secret, sha256);
    if (!rg_call_admit(call, "join", j->region) || rg_call_txn(call, &txn) != RG_OK || !token_opens(call, txn, sha256, j->region))
        return;
    err = rg_pki_csr_check(rg_span_str(j->csr), &ctx);
    if (err) {
        join_refuse(call, err, rg_errctx_text(&ctx, err));
        return;
    }
    err = join_ca_check(call, txn, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        join_propose(call, sha256);
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
