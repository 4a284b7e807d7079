/* Nodes come back (POST /v1/rejoin): the key that one had is its proof. */
#include <stdio.h>
#include <strings.h>

#include "base/base64.h"
#include "crypto/pki.h"
#include "net/join/join_priv.h"
#include "raft/member/rejoin.h"

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
    struct join *j = call->state;
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

    if (!join_is_now(call->now_ms, r.at))
        return rg_fail(ctx, RG_EEXPIRED, "at: is more than %d s from this node's clock", JOIN_PROOF_AGE_S_MAX);
    rg_buf_init(&text, 4096);
    rg_buf_init(&signature, JOIN_SIGNATURE_BYTES_MAX);
    if (!rg_base64_get(rg_json_text(call->input, "signature"), RG_BASE64, &signature) || signature.len == 0)
        return rg_fail(ctx, RG_EBADSIG, "signature: must be base64");
    rg_pki_rejoin_text(&r, &text);
    if (text.err)
        return text.err;
    err = old_cert(call, row, &cert, ctx);
    if (!err && !rg_pki_verify_text(cert, rg_buf_span(&text), rg_buf_span(&signature)))
        err = rg_fail(ctx, RG_EBADSIG, "signature: is not by the key that node %llu had", (unsigned long long)j->old_id);
    if (!err && !rg_pki_cert_key_sha256(cert, j->proof_key))
        err = RG_EINTERNAL;
    rg_pki_cert_free(cert);
    return err;
}

/* It asked before, and was not let in yet: perhaps it does not know which id it was given. */
static bool is_newest(const struct rg_node_row *head, uint64_t id)
{
    bool waits = rg_span_is(head->status, "PREPARED") && head->rejoin;

    return id == head->id || (waits && (id == head->old_id || id == head->proven));
}

static bool is_there(const struct rg_node_row *head, const struct join *j)
{
    const struct rg_node_row asked = {.link = rg_span_str(j->link), .url = rg_span_str(j->url)};
    char link[JOIN_HOST_BYTES_MAX], url[JOIN_HOST_BYTES_MAX], its_link[JOIN_HOST_BYTES_MAX], its_url[JOIN_HOST_BYTES_MAX];

    return join_hosts_of_row(&asked, link, url) && join_hosts_of_row(head, its_link, its_url) && strcasecmp(link, its_link) == 0 &&
           strcasecmp(url, its_url) == 0;
}

/* For `regent node list`: people compare what it says with the machine's own fingerprint. */
static void note_waiting(struct rg_call *call, const struct join *j, uint64_t heir, const char *fingerprint)
{
    struct rg_waiting_node node = {.old_id = j->old_id, .heir = heir, .asked_ms = call->now_ms};

    snprintf(node.fingerprint, sizeof node.fingerprint, "%s", fingerprint);
    snprintf(node.region, sizeof node.region, "%s", j->region);
    snprintf(node.link, sizeof node.link, "%s", j->link);
    snprintf(node.url, sizeof node.url, "%s", j->url);
    rg_peer_address(call->req->peer, node.from);
    rg_waiting_note(&call->api->waiting, &node);
}

/* By itself a node comes back with the key of the last of its line, and to where that one was: the primary lets it in when it has reached
 * it there by a link that it dialled itself, so that nobody else who is alive can stand there. Anything else, an old key or another
 * address, somebody may have who is not that node: an administrator says which key it is, once. */
static enum rg_err check_line(struct rg_call *call, struct rg_txn *txn, const struct join *j, struct rg_errctx *ctx)
{
    char fingerprint[RG_PKI_FINGERPRINT_BYTES], named[64];
    struct rg_node_row head, asked;
    enum rg_err err = rg_node_heir(txn, j->old_id, &head);

    if (err || rg_span_is(head.status, "REMOVED")) /* it is told so */
        return err;
    rg_pki_fingerprint(j->proof_key, fingerprint);
    snprintf(named, sizeof named, "%.*s", RG_SPAN_ARG(head.returns));
    asked = (struct rg_node_row){.id = j->old_id, .link = rg_span_str(j->link), .url = rg_span_str(j->url)};
    if (rg_node_row_may_return(&head, call->now_ms) && rg_pki_fingerprint_is(named, j->proof_key)) { /* its key was seen, not its place */
        err = join_check_local(call, j, ctx);
        return err ? err : join_check_free(txn, &asked, head.id, ctx);
    }
    if (!is_newest(&head, j->old_id) || !is_there(&head, j))
        note_waiting(call, j, head.id, fingerprint);
    if (!is_newest(&head, j->old_id))
        return rg_fail(ctx, RG_EDENIED,
                       "node %llu came after node %llu: its key counts. If this is its machine: regent node approve %llu --fingerprint %s",
                       (unsigned long long)head.id, (unsigned long long)j->old_id, (unsigned long long)head.id, fingerprint);
    if (!is_there(&head, j))
        return rg_fail(ctx, RG_EDENIED, "node %llu was at %.*s and %.*s. If it moved: regent node approve %llu --fingerprint %s",
                       (unsigned long long)head.id, RG_SPAN_ARG(head.link), RG_SPAN_ARG(head.url), (unsigned long long)head.id,
                       fingerprint);
    return join_check_free(txn, &asked, head.id, ctx);
}

/* Not there: of a release that knows of none. */
static bool take_incarnation(const json_t *input, struct rg_incarnation *out)
{
    const json_t *text = json_object_get(input, "incarnation");

    return text == NULL || (json_is_string(text) && json_string_length(text) == 2 * sizeof out->b &&
                            rg_unhex(out->b, json_string_value(text), sizeof out->b));
}

static void answer(struct rg_call *call, struct rg_span cert_der)
{
    const struct join *j = call->state;
    struct rg_json_writer *out;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    out = rg_call_json(call);
    rg_json_object(out, NULL);
    join_put_identity(call, out, j->id);
    err = join_put_cert(out, cert_der);
    if (!err)
        err = join_put_members(call, txn);
    rg_json_end(out);
    if (err) {
        rg_call_fail(call, err, NULL);
        return;
    }
    rg_log_info(call->api->config.log, "node.prepared", "id=%llu region=%s link=%s old=%llu peer=%s", (unsigned long long)j->id, j->region,
                j->link, (unsigned long long)j->old_id, call->req->peer);
    rg_call_answer(call, 200);
}

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

/* The row keeps the certificate. */
static void put_cert(struct rg_call *call)
{
    const struct join *j = call->state;
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    struct rg_errctx ctx = {.text = ""};
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    rg_buf_init(&der, JOIN_CERT_BYTES_MAX);
    err = rg_node_row_get(txn, j->id, &row);
    if (!err)
        err = join_sign(call, txn, &row, rg_span_str(j->csr), &der, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    row.cert = rg_buf_span(&der);
    rg_cmd_begin(&call->cmd, RG_CMD_NODE_PUT, call->now_ms, rg_call_by(call));
    rg_node_row_put(&call->cmd, &row);
    call->again = put_cert; /* the region manager may have made it a member meanwhile */
    rg_call_propose(call, cert_done);
}

static void run_rejoin(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct join *j = call->state;
    int64_t old_id = rg_json_number(call->input, "oldId");
    struct rg_node_row row;
    struct rg_txn *txn;
    enum rg_err err = join_take_place(call->input, j, &ctx);

    if (!err && (old_id < 1 || old_id > RG_NODE_ID_MAX))
        err = rg_fail(&ctx, RG_EINVALID, "oldId: must be 1 to %d", RG_NODE_ID_MAX);
    if (!err && !take_incarnation(call->input, &j->incarnation))
        err = rg_fail(&ctx, RG_EINVALID, "incarnation: must be %zu hex digits", 2 * sizeof j->incarnation.b);
    if (err) {
        join_refuse(call, err, rg_errctx_text(&ctx, err));
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
    if (!err)
        err = check_line(call, txn, j, &ctx);
    if (!err)
        err = rg_pki_csr_check(rg_span_str(j->csr), &ctx);
    if (err) {
        if (rg_is_local_fault(err))
            rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        else
            join_refuse(call, err, rg_errctx_text(&ctx, err));
        return;
    }
    err = rg_rejoin_judge(rg_api_status(call, true), txn,
                          &(struct rg_rejoin_asked){.old_id = j->old_id, .incarnation = j->incarnation, .forgotten = j->forgotten},
                          call->now_ms, &ctx);
    if (!err)
        err = join_ca_check(call, txn, &ctx);
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else {
        rg_waiting_forget(&call->api->waiting, j->old_id);
        rg_guesses_count(&call->api->guesses, call->req->peer, call->began_us / 1000); /* entries of the log, whatever comes of it */
        join_propose(call, NULL, put_cert);
    }
}

void rg_rejoin(struct rg_call *call) { join_serve(call, run_rejoin); }
