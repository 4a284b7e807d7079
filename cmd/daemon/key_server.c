#include "cmd/daemon/key_server.h"

#include "base/base64.h"
#include "crypto/digest.h"
#include "crypto/keywrap.h"
#include "base/json.h"
#include "store/model/node.h"

enum { CERT_BYTES_MAX = 8192 };

static bool is_admitted(const struct rg_node_row *row, struct x509_st *cert)
{
    uint8_t sha256[RG_SHA256_BYTES];

    return row->admitted.n == sizeof sha256 && rg_pki_cert_key_sha256(cert, sha256) && rg_equal_ct(row->admitted.p, sha256, sizeof sha256);
}

/* The certificate that is given must be the one that the link was opened with: of this node, by the CA, and as its row has it. */
static enum rg_err check_cert(const struct rg_key_server *s, const struct rg_node_row *row, struct x509_st *cert,
                              struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    struct rg_pki_name name;
    enum rg_err err = rg_pki_cert_check(rg_span_str(s->ca_pem), cert, &name, ctx);

    if (err)
        return err;
    if (strcmp(name.cluster_id, s->config->cluster) != 0 || name.raft_id != row->id || !rg_span_is(row->region, name.region))
        return rg_fail(ctx, RG_EPEER, "the certificate is of node %llu in %s of cluster %s",
                       (unsigned long long)name.raft_id, name.region, name.cluster_id);
    rg_buf_init(&der, CERT_BYTES_MAX);
    err = rg_pki_cert_der(cert, &der);
    if (!err && row->cert.n > 0 && !rg_span_eq(row->cert, rg_buf_span(&der)))
        err = rg_fail(ctx, RG_EPEER, "the certificate is not the one that node %llu was given last",
                      (unsigned long long)row->id);
    if (!err && row->admitted.n > 0 && !is_admitted(row, cert))
        err = rg_fail(ctx, RG_EPEER, "the certificate's key is not the one that was let in as node %llu", (unsigned long long)row->id);
    return err;
}

static enum rg_err wrap(struct rg_key_server *s, const struct rg_node_row *row, struct rg_span pem, json_t **ret_answer,
                        struct rg_errctx *ctx)
{
    struct x509_st *cert = rg_pki_cert_decode(pem);
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    uint32_t version;
    enum rg_err err;

    if (cert == NULL)
        return rg_fail(ctx, RG_EINVALID, "cert: is no certificate");
    rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
    rg_buf_init(&text, 2 * RG_KEYWRAP_BYTES_MAX);
    err = check_cert(s, row, cert, ctx);
    if (!err)
        err = rg_keywrap_seal(s->keys, cert, &wrapped, ctx);
    rg_pki_cert_free(cert);
    if (err)
        return err;
    rg_base64_put(&text, RG_BASE64, rg_buf_span(&wrapped));
    if (text.err)
        return text.err;
    *ret_answer = json_pack("{s:s, s:s%}", "keyId", s->keys->ops->key_id(s->keys, &version), "wrapped", text.data, text.len);
    return *ret_answer != NULL ? RG_OK : RG_ENOMEM;
}

static enum rg_err find_row(struct rg_txn *txn, uint64_t peer, struct rg_node_row *ret_row, struct rg_errctx *ctx)
{
    enum rg_err err = rg_node_row_get(txn, peer, ret_row);

    if (err == RG_ENOTFOUND)
        return rg_fail(ctx, RG_EDENIED, "node %llu is not known to the primary", (unsigned long long)peer);
    if (!err && !rg_span_is(ret_row->status, "PREPARED") && !rg_span_is(ret_row->status, "MEMBER"))
        return rg_fail(ctx, RG_EDENIED, "node %llu is %.*s: it is given no key any more", (unsigned long long)peer,
                       RG_SPAN_ARG(ret_row->status));
    /* Whoever came back by itself has its key, or gets it as a member; whoever asks to join was let in by an administrator. */
    if (!err && rg_span_is(ret_row->status, "PREPARED") && ret_row->admitted.n == 0)
        return rg_fail(ctx, RG_EDENIED, "node %llu was not let in by an administrator: regent node list", (unsigned long long)peer);
    return err;
}

static enum rg_err on_key(void *arg, uint64_t peer, const json_t *args, json_t **ret_answer, struct rg_errctx *ctx)
{
    struct rg_key_server *s = arg;
    RG_AUTO_MEM struct rg_node_status *status = malloc(sizeof *status);
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_node_row row;
    enum rg_err err;

    if (status == NULL)
        return RG_ENOMEM;
    rg_node_status_copy(s->node, status);
    if (!status->leader)
        return rg_fail(ctx, RG_ENOTPRIMARY, "node %llu is not the primary: that one gives the key",
                       (unsigned long long)s->config->id);
    err = rg_txn_begin(s->store, RG_TXN_READ, &txn);
    if (!err)
        err = find_row(txn, peer, &row, ctx);
    if (!err)
        err = wrap(s, &row, rg_json_text(args, "cert"), ret_answer, ctx);
    if (err)
        rg_log_warn(s->log, "key.refused", "peer=%llu code=%s reason=\"%s\"", (unsigned long long)peer, rg_err_symbol(err),
                    rg_errctx_text(ctx, err));
    else
        rg_log_info(s->log, "key.given", "peer=%llu region=%.*s", (unsigned long long)peer, RG_SPAN_ARG(row.region));
    return err;
}

enum rg_err rg_key_serve(struct rg_key_server *server, struct rg_control *control)
{
    return rg_control_serve(control, "key", on_key, server);
}
