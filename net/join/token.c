/* Join tokens (/v1/join-tokens): each lets one node of a region ask, once, for names that stand in it. They are listed, and revoked while
 * they are not used. */
#include <stdio.h>

#include "base/base64.h"
#include "crypto/digest.h"
#include "net/join/join_priv.h"
#include "net/ops/join_token.h"

enum {
    TTL_S_MIN = 60,
    TTL_S_MAX = 86400,
    TTL_S_DEFAULT = 900,
    HOSTS_MAX = 8,
    ID_BYTES = 8, /* of the secret's SHA-256: what it is called */
};

struct token {
    char region[RG_REGION_NAME_BYTES_MAX + 1];
    char secret[64]; /* base64url */
    int64_t expires_ms;
    char hosts[HOSTS_MAX][JOIN_HOST_BYTES_MAX];
    size_t n_hosts;
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

    rg_buf_init(&urls, RG_JOIN_URLS_MAX * (JOIN_URL_BYTES_MAX + 1));
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

/* Names and addresses that the node may have; none: people see them before they let it in. */
static enum rg_err take_hosts(const json_t *hosts, struct token *t, struct rg_errctx *ctx)
{
    const json_t *host;
    size_t i;

    if (!json_is_array(hosts) || json_array_size(hosts) > HOSTS_MAX)
        return rg_fail(ctx, RG_EINVALID, "hosts: must be at most %d names or addresses", HOSTS_MAX);
    json_array_foreach(hosts, i, host) {
        char address[JOIN_HOST_BYTES_MAX + 8];
        const char *text = json_string_value(host);
        bool v6 = text != NULL && strchr(text, ':') != NULL;

        if (text == NULL || snprintf(address, sizeof address, v6 ? "[%s]:1" : "%s:1", text) >= (int)sizeof address ||
            !join_host_of(address, t->hosts[i]))
            return rg_fail(ctx, RG_EINVALID, "hosts: must be names or addresses, without a port");
    }
    t->n_hosts = json_array_size(hosts);
    return RG_OK;
}

static enum rg_err token_input(struct rg_call *call, struct token *t, struct rg_errctx *ctx)
{
    const json_t *ttl, *hosts;
    struct rg_span region;
    int64_t ttl_s;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);

    if (!err)
        err = join_take(call->input, "region", RG_REGION_NAME_BYTES_MAX, &region, ctx);
    if (err)
        return err;
    if (!rg_region_name_ok(region) || region.p[0] < 'a' || region.p[0] > 'z')
        return rg_fail(ctx, RG_EINVALID, "region: is 1 to %d of a-z, 0-9 and '-', and begins with a letter",
                       RG_REGION_NAME_BYTES_MAX);
    hosts = json_object_get(call->input, "hosts");
    ttl = json_object_get(call->input, "ttlSeconds");
    ttl_s = ttl != NULL ? rg_json_number(call->input, "ttlSeconds") : TTL_S_DEFAULT;
    if ((ttl != NULL && !json_is_integer(ttl)) || ttl_s < TTL_S_MIN || ttl_s > TTL_S_MAX)
        return rg_fail(ctx, RG_EINVALID, "ttlSeconds: must be %d to %d", TTL_S_MIN, TTL_S_MAX);
    if (json_object_size(call->input) != 1u + (ttl != NULL) + (hosts != NULL))
        return rg_fail(ctx, RG_EINVALID, "a join token has region, ttlSeconds and hosts, and nothing else");
    if (hosts != NULL && (err = take_hosts(hosts, t, ctx)) != RG_OK)
        return err;
    snprintf(t->region, sizeof t->region, "%.*s", RG_SPAN_ARG(region));
    t->expires_ms = call->now_ms + ttl_s * 1000;
    return RG_OK;
}

void rg_join_tokens_add(struct rg_call *call)
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
        err = join_ca_check(call, txn, &ctx);
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
    for (size_t i = 0; i < t->n_hosts; i++)
        rg_tlv_put_str(&call->cmd, RG_F_HOST, t->hosts[i]);
    rg_call_propose(call, token_done);
}

/* ---- GET /v1/join-tokens, DELETE /v1/join-tokens/ID ---- */

static void id_of(const struct rg_join_token *token, char ret_id[2 * ID_BYTES + 1]) { rg_hex(ret_id, token->sha256.p, ID_BYTES); }

static void put_one(struct rg_json_writer *j, const struct rg_join_token *token, int64_t now_ms)
{
    bool expired = rg_span_is(token->status, "NEW") && token->expires_ms <= now_ms;
    char id[2 * ID_BYTES + 1];
    struct rg_span host;

    id_of(token, id);
    rg_json_object(j, NULL);
    rg_json_str(j, "id", id);
    rg_json_span(j, "region", token->region);
    rg_json_span(j, "status", expired ? rg_span_str("EXPIRED") : token->status);
    rg_json_array(j, "hosts");
    for (size_t i = 0; rg_join_token_host(token, i, &host); i++)
        rg_json_span(j, NULL, host);
    rg_json_end(j);
    rg_json_time(j, "created", token->created_ms);
    rg_json_span(j, "by", token->by);
    rg_json_time(j, "expires", token->expires_ms);
    rg_json_end(j);
}

void rg_join_tokens_list(struct rg_call *call)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_join_token token;
    struct rg_json_writer *j;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    j = rg_call_json(call);
    rg_json_object(j, NULL);
    rg_json_array(j, "tokens");
    err = rg_join_token_list(txn, &scan);
    while (!err && (err = rg_join_token_next(&scan, &token)) == RG_OK)
        put_one(j, &token, call->now_ms);
    rg_scan_end(&scan);
    rg_json_end(j);
    rg_json_end(j);
    if (err == RG_ENOTFOUND)
        rg_call_answer(call, 200);
    else
        rg_call_fail(call, err, NULL);
}

static void revoked(struct rg_call *call)
{
    const struct rg_reply *reply = &call->proposal.reply;
    struct rg_json_writer *j;

    if (reply->err) {
        rg_call_fail(call, reply->err, reply->err == RG_ECONFLICT ? "the join token was used, or revoked, before" : NULL);
        return;
    }
    rg_log_info(call->api->config.log, "token.revoked", "id=%.*s by=%s", RG_SPAN_ARG(call->argument), call->caller);
    j = rg_call_json(call);
    rg_json_object(j, NULL);
    rg_json_span(j, "id", call->argument);
    rg_json_str(j, "status", "REVOKED");
    rg_json_end(j);
    rg_call_answer(call, 200);
}

void rg_join_tokens_revoke(struct rg_call *call)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_join_token token;
    const struct rg_node_status *status = rg_api_status(call, true);
    char id[2 * ID_BYTES + 1];
    struct rg_txn *txn;
    enum rg_err err;

    for (size_t i = 0; i < status->n_peers; i++)
        if (status->peers[i].up && !status->peers[i].guest && !status->peers[i].statements) { /* its state would differ then */
            rg_call_fail(call, RG_EUNREADY, "node %llu is of a release that cannot take a token back: update it, or let the token expire",
                         (unsigned long long)status->peers[i].id);
            return;
        }
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_join_token_list(txn, &scan);
    while (!err && (err = rg_join_token_next(&scan, &token)) == RG_OK) {
        id_of(&token, id);
        if (rg_span_is(call->argument, id))
            break;
    }
    if (!err) {
        rg_cmd_begin(&call->cmd, RG_CMD_TOKEN_PUT, call->now_ms, rg_call_by(call));
        rg_tlv_put(&call->cmd, RG_F_TOKEN_SHA256, token.sha256);
        rg_tlv_put(&call->cmd, RG_F_NAME, token.region);
        rg_tlv_put_u64(&call->cmd, RG_F_EXPIRES_MS, (uint64_t)token.expires_ms);
        rg_tlv_put_str(&call->cmd, RG_F_STATUS, "REVOKED");
    }
    rg_scan_end(&scan); /* before its transaction */
    if (err == RG_ENOTFOUND)
        rg_call_fail(call, err, "there is no such join token: regent token list");
    else if (err)
        rg_call_fail(call, err, NULL);
    else
        rg_call_propose(call, revoked);
}
