/* The nodes of the cluster as rows (GET /v1/nodes), and those that ask to join, or come back otherwise than by themselves: let in by the
 * fingerprint of their key (POST /v1/nodes/ID/approve), or sent away (DELETE /v1/nodes/ID). */
#include <stdio.h>

#include "crypto/digest.h"
#include "crypto/pki.h"
#include "net/join/join_priv.h"
#include "store/model/region.h"

enum { FINGERPRINT_BYTES_MAX = 64 };

struct letting {
    uint64_t id;
    char fingerprint[FINGERPRINT_BYTES_MAX + 1], region[RG_REGION_NAME_BYTES_MAX + 1];
};

static bool is_peer(struct rg_call *call, uint64_t id)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    bool is = id == status->id;

    for (size_t i = 0; i < status->n_peers; i++)
        is |= status->peers[i].id == id;
    return is;
}

static bool key_of(const struct rg_node_row *row, uint8_t ret_sha256[RG_SHA256_BYTES])
{
    struct x509_st *cert = row->cert.n > 0 ? rg_pki_cert_decode(row->cert) : NULL;
    bool ok = cert != NULL ? rg_pki_cert_key_sha256(cert, ret_sha256) : row->csr.n > 0 && rg_pki_csr_key_sha256(row->csr, ret_sha256);

    rg_pki_cert_free(cert);
    return ok;
}

/* ---- GET /v1/nodes ---- */

static const char *status_of(const struct rg_node_row *row)
{
    if (rg_span_is(row->status, "MEMBER"))
        return "MEMBER";
    return rg_node_row_asks(row) ? "REQUESTED" : row->rejoin ? "RETURNING" : "ADMITTED";
}

static void put_node(struct rg_call *call, struct rg_json_writer *j, const struct rg_node_row *row)
{
    char fingerprint[RG_PKI_FINGERPRINT_BYTES];
    uint8_t sha256[RG_SHA256_BYTES];

    rg_json_object(j, NULL);
    rg_json_u64(j, "id", row->id);
    rg_json_span(j, "region", row->region);
    rg_json_str(j, "status", status_of(row));
    rg_json_span(j, "link", row->link);
    rg_json_span(j, "url", row->url);
    rg_json_time(j, "created", row->created_ms);
    if (key_of(row, sha256)) {
        rg_pki_fingerprint(sha256, fingerprint);
        rg_json_str(j, "fingerprint", fingerprint);
    }
    if (row->pin.n == RG_NODE_KEY_BYTES) {
        rg_pki_fingerprint(row->pin.p, fingerprint);
        rg_json_str(j, "identity", fingerprint); /* of the key that it is */
    }
    rg_json_span_if_any(j, "from", row->from);
    rg_json_span_if_any(j, "release", row->release);
    if (rg_node_row_may_return(row, call->now_ms)) { /* the key that may come back in its place */
        rg_json_span(j, "returns", row->returns);
        if (row->returns_until_ms > 0)
            rg_json_time(j, "returnsUntil", row->returns_until_ms);
    }
    if (row->old_id != 0)
        rg_json_u64(j, "oldId", row->old_id);
    if (rg_span_is(row->status, "PREPARED") && !row->rejoin && call->api->config.request_ms > 0)
        rg_json_time(j, "expires", row->created_ms + call->api->config.request_ms);
    rg_json_end(j);
}

/* One that asks to come back and is not let: in whose place it would, so that its line has what `node approve` is to be told. */
static void put_waiting(struct rg_json_writer *j, const struct rg_waiting_node *node)
{
    rg_json_object(j, NULL);
    rg_json_u64(j, "id", node->heir);
    rg_json_str(j, "region", node->region);
    rg_json_str(j, "status", "WAITING");
    rg_json_str(j, "link", node->link);
    rg_json_str(j, "url", node->url);
    rg_json_time(j, "created", node->since_ms);
    rg_json_str(j, "fingerprint", node->fingerprint);
    rg_json_str(j, "from", node->from);
    rg_json_u64(j, "oldId", node->old_id);
    rg_json_time(j, "asked", node->asked_ms);
    rg_json_end(j);
}

void rg_nodes_list(struct rg_call *call)
{
    struct rg_waiting_node waiting[RG_WAITING_MAX];
    size_t n_waiting = rg_waiting_list(&call->api->waiting, call->now_ms, waiting);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_json_writer *j;
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    j = rg_call_json(call);
    rg_json_object(j, NULL);
    rg_json_array(j, "nodes");
    err = rg_node_row_list(txn, &scan);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK)
        if (rg_span_is(row.status, "PREPARED") || rg_span_is(row.status, "MEMBER"))
            put_node(call, j, &row);
    rg_scan_end(&scan);
    for (size_t i = 0; i < n_waiting; i++)
        put_waiting(j, &waiting[i]);
    rg_json_end(j);
    rg_json_end(j);
    if (err == RG_ENOTFOUND)
        rg_call_answer(call, 200);
    else
        rg_call_fail(call, err, NULL);
}

/* ---- one of them ---- */

static bool take_id(struct rg_span text, uint64_t *ret_id)
{
    *ret_id = 0;
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || i == 4)
            return false;
        *ret_id = 10 * *ret_id + (uint64_t)(text.p[i] - '0');
    }
    return *ret_id >= 1 && *ret_id <= RG_NODE_ID_MAX;
}

/* A row that asks, or was let in and is no member yet, with call->state made for it. False: answered. */
static bool find(struct rg_call *call, struct rg_node_row *ret_row)
{
    struct letting *l = call->state;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return false;
    err = rg_node_row_get(txn, l->id, ret_row);
    if (err == RG_ENOTFOUND || (!err && rg_node_row_gone(txn, l->id)))
        rg_call_fail(call, RG_ENOTFOUND, "no node %llu asks to join: regent node list", (unsigned long long)l->id);
    else if (err)
        rg_call_fail(call, err, NULL);
    else if (!rg_span_is(ret_row->status, "PREPARED") || ret_row->rejoin)
        rg_call_fail(call, RG_ECONFLICT, "node %llu of %.*s is %s: it does not ask to join", (unsigned long long)l->id,
                     RG_SPAN_ARG(ret_row->region), status_of(ret_row));
    else
        return true;
    return false;
}

static bool begin(struct rg_call *call)
{
    struct letting *l = call->state = calloc(1, sizeof *l);

    if (l == NULL)
        rg_call_fail(call, RG_ENOMEM, NULL);
    else if (!take_id(call->argument, &l->id))
        rg_call_fail(call, RG_ENOTFOUND, "a node's id is 1 to %d", RG_NODE_ID_MAX);
    else
        return true;
    return false;
}

static void answer(struct rg_call *call, const char *status)
{
    const struct letting *l = call->state;
    struct rg_json_writer *j = rg_call_json(call);

    rg_json_object(j, NULL);
    rg_json_u64(j, "id", l->id);
    rg_json_str(j, "region", l->region);
    rg_json_str(j, "status", status);
    rg_json_end(j);
    rg_call_answer(call, 200);
}

/* ---- POST /v1/nodes/ID/approve ---- */

static void approved(struct rg_call *call)
{
    const struct letting *l = call->state;

    if (call->proposal.reply.err) {
        rg_call_fail(call, call->proposal.reply.err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.admitted", "id=%llu region=%s by=%s fingerprint=%s", (unsigned long long)l->id, l->region,
                call->caller, l->fingerprint);
    answer(call, "ADMITTED");
}

/* It is let in under this very key: the row says which, and has a certificate for it. */
static enum rg_err build(struct rg_call *call, struct rg_node_row *row, const uint8_t sha256[RG_SHA256_BYTES], struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    enum rg_err err = join_check_free(call->txn, row, 0, ctx);

    rg_buf_init(&der, JOIN_CERT_BYTES_MAX);
    if (!err && row->cert.n == 0) { /* of a release that gave it at once */
        err = join_sign(call, call->txn, row, row->csr, &der, ctx);
        row->cert = rg_buf_span(&der);
        row->csr = rg_span(NULL, 0);
    }
    if (err)
        return err;
    row->admitted = rg_span(sha256, RG_SHA256_BYTES);
    rg_cmd_begin(&call->cmd, RG_CMD_NODE_PUT, call->now_ms, rg_call_by(call));
    rg_node_row_put(&call->cmd, row);
    return RG_OK;
}

static void returns(struct rg_call *call)
{
    const struct letting *l = call->state;

    if (call->proposal.reply.err) {
        rg_call_fail(call, call->proposal.reply.err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.may_return", "id=%llu region=%s by=%s fingerprint=%s", (unsigned long long)l->id, l->region,
                call->caller, l->fingerprint);
    answer(call, "MAY_RETURN");
}

/* A member that is away: whoever has this key comes back in its place, wherever it stands. */
static void approve_return(struct rg_call *call, struct rg_node_row *row)
{
    const struct rg_node_status *status = rg_api_status(call, true);
    struct letting *l = call->state;
    bool there = row->id == status->id;

    for (size_t i = 0; i < status->n_peers; i++)
        there |= status->peers[i].id == row->id && status->peers[i].up;
    if (there) {
        rg_call_fail(call, RG_ECONFLICT, "node %llu of %.*s is there: nobody comes back in its place", (unsigned long long)row->id,
                     RG_SPAN_ARG(row->region));
        return;
    }
    if (!rg_pki_fingerprint_ok(l->fingerprint)) {
        rg_call_fail(call, RG_EINVALID, "fingerprint: is four groups of five letters and digits, as the node's log says it");
        return;
    }
    snprintf(l->region, sizeof l->region, "%.*s", RG_SPAN_ARG(row->region));
    row->returns = rg_span_str(l->fingerprint);
    row->returns_until_ms = call->api->config.request_ms > 0 ? call->now_ms + call->api->config.request_ms : 0;
    rg_cmd_begin(&call->cmd, RG_CMD_NODE_PUT, call->now_ms, rg_call_by(call));
    rg_node_row_put(&call->cmd, row);
    rg_call_propose(call, returns);
}

static void approve_try(struct rg_call *call)
{
    struct letting *l = call->state;
    struct rg_errctx ctx = {.text = ""};
    uint8_t sha256[RG_SHA256_BYTES];
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    call->again = approve_try;
    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    if (rg_node_row_get(txn, l->id, &row) == RG_OK && (rg_span_is(row.status, "MEMBER") || row.rejoin) && !rg_node_row_gone(txn, l->id)) {
        approve_return(call, &row);
        return;
    }
    if (!find(call, &row))
        return;
    snprintf(l->region, sizeof l->region, "%.*s", RG_SPAN_ARG(row.region));
    if (!key_of(&row, sha256) || !rg_pki_fingerprint_is(l->fingerprint, sha256)) {
        rg_log_warn(call->api->config.log, "node.mistaken", "id=%llu by=%s fingerprint=%s", (unsigned long long)l->id, call->caller,
                    l->fingerprint);
        rg_call_fail(call, RG_EINVALID, "node %llu asks with another key than %s: compare with what `regent node fingerprint` says on its "
                     "host. Nothing was changed", (unsigned long long)l->id, l->fingerprint);
        return;
    }
    if (!rg_node_row_asks(&row)) {
        answer(call, "ADMITTED"); /* the answer was lost, or two asked */
        return;
    }
    err = build(call, &row, sha256, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    rg_call_propose(call, approved);
}

void rg_nodes_approve(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_span fingerprint;
    struct letting *l;
    enum rg_err err;

    if (!begin(call))
        return;
    l = call->state;
    err = rg_json_parse_body(call->req->body, &call->input, &ctx);
    if (!err)
        err = join_take(call->input, "fingerprint", FINGERPRINT_BYTES_MAX, &fingerprint, &ctx);
    if (!err && json_object_size(call->input) != 1)
        err = rg_fail(&ctx, RG_EINVALID, "fingerprint, and nothing else");
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    for (size_t i = 0; i < fingerprint.n; i++) /* for texts and logs: what is no letter, digit or dash matches nothing */
        l->fingerprint[i] = (fingerprint.p[i] | 32) >= 'a' && (fingerprint.p[i] | 32) <= 'z' ? (char)fingerprint.p[i]
                            : fingerprint.p[i] >= '0' && fingerprint.p[i] <= '9'             ? (char)fingerprint.p[i]
                                                                                             : '-';
    approve_try(call);
}

/* ---- DELETE /v1/nodes/ID ---- */

static void withdrawn(struct rg_call *call)
{
    const struct letting *l = call->state;

    if (call->proposal.reply.err) {
        rg_call_fail(call, call->proposal.reply.err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.withdrawn", "id=%llu region=%s by=%s", (unsigned long long)l->id, l->region, call->caller);
    answer(call, "REMOVED");
}

/* The member that it was given stays. */
static void kept(struct rg_call *call)
{
    const struct letting *l = call->state;

    if (call->proposal.reply.err) {
        rg_call_fail(call, call->proposal.reply.err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.returns_not", "id=%llu region=%s by=%s", (unsigned long long)l->id, l->region, call->caller);
    answer(call, "MEMBER");
}

static void withdraw_try(struct rg_call *call)
{
    struct letting *l = call->state;
    struct rg_region region;
    struct rg_node_row row;
    struct rg_txn *txn;
    bool asks;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    if (rg_node_row_get(txn, l->id, &row) == RG_OK && row.returns.n > 0 && !rg_node_row_gone(txn, l->id)) { /* the approval alone */
        snprintf(l->region, sizeof l->region, "%.*s", RG_SPAN_ARG(row.region));
        row.returns = rg_span(NULL, 0);
        rg_cmd_begin(&call->cmd, RG_CMD_NODE_PUT, call->now_ms, rg_call_by(call));
        rg_node_row_put(&call->cmd, &row);
        call->again = withdraw_try;
        rg_call_propose(call, kept);
        return;
    }
    if (!find(call, &row))
        return;
    asks = rg_node_row_asks(&row);
    snprintf(l->region, sizeof l->region, "%.*s", RG_SPAN_ARG(row.region));
    if (!asks && (is_peer(call, l->id) || (rg_region_get(call->txn, row.region, &region) == RG_OK &&
                                                            !rg_span_is(region.status, "ACTIVE")))) {
        rg_call_fail(call, RG_ECONFLICT, "node %llu is being added: regent region remove %s", (unsigned long long)l->id, l->region);
        return;
    }
    row.status = rg_span_str("REMOVED");
    row.phase = rg_span(NULL, 0); /* it was no member, so nobody could follow it: its links are refused, and that is all */
    rg_cmd_begin(&call->cmd, RG_CMD_NODE_PUT, call->now_ms, rg_call_by(call));
    rg_node_row_put(&call->cmd, &row);
    call->again = withdraw_try;
    rg_call_propose(call, withdrawn);
}

void rg_nodes_withdraw(struct rg_call *call)
{
    if (begin(call))
        withdraw_try(call);
}
