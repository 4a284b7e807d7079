/* The certificate of a node: by the cluster's CA, whose key the state holds, for the key of the node's request; and the answer with it. */
#include <arpa/inet.h>
#include <stdio.h>
#include <strings.h>

#include "crypto/envelope.h"
#include "crypto/pki.h"
#include "net/join/join_priv.h"

enum { CA_KEY_BYTES_MAX = 16 * 1024 };

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
enum rg_err join_ca_check(struct rg_call *call, struct rg_txn *txn, struct rg_errctx *ctx)
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

/* A name or address of the machine itself is every machine's: a certificate has it where all of a cluster is on one. */
static void put_host(const char *host, struct rg_buf *names, struct rg_buf *ips)
{
    uint8_t address[16];
    struct rg_buf *to = inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1 ? ips : names;

    rg_buf_printf(to, "%s%s", to->len > 0 ? "," : "", host);
}

static void put_hosts(const char *link, const char *url, struct rg_buf *names, struct rg_buf *ips)
{
    put_host(link, names, ips);
    if (strcasecmp(link, url) != 0)
        put_host(url, names, ips);
    if (join_host_is_local(url)) {
        put_host("localhost", names, ips);
        put_host("127.0.0.1", names, ips);
        put_host("::1", names, ips);
    }
    rg_buf_put_u8(names, 0);
    rg_buf_put_u8(ips, 0);
}

enum rg_err join_sign(struct rg_call *call, struct rg_txn *txn, const struct rg_node_row *row, struct rg_span csr, struct rg_buf *ret_der,
                      struct rg_errctx *ctx)
{
    char link[JOIN_HOST_BYTES_MAX], url[JOIN_HOST_BYTES_MAX], region[RG_REGION_NAME_BYTES_MAX + 1];
    RG_AUTO_BUF struct rg_buf names = {.max = 0};
    RG_AUTO_BUF struct rg_buf ips = {.max = 0};
    struct x509_st *cert = NULL;
    struct rg_buf key;
    enum rg_err err;

    rg_buf_init(&names, 2 * JOIN_HOST_BYTES_MAX + 64);
    rg_buf_init(&ips, 2 * JOIN_HOST_BYTES_MAX + 64);
    rg_buf_init(&key, CA_KEY_BYTES_MAX);
    snprintf(region, sizeof region, "%.*s", RG_SPAN_ARG(row->region));
    if (!join_hosts_of_row(row, link, url))
        return rg_fail(ctx, RG_EINVALID, "node %llu has no usable link or url", (unsigned long long)row->id);
    put_hosts(link, url, &names, &ips);
    err = names.err != RG_OK ? names.err : ips.err;
    if (!err)
        err = ca_key_open(call, txn, &key, ctx);
    if (!err)
        err = rg_pki_sign(rg_span_str(call->api->config.ca_pem), rg_buf_span(&key), csr, call->api->cluster_id, region, row->id,
                          names.len > 1 ? (const char *)names.data : NULL, ips.len > 1 ? (const char *)ips.data : NULL, &cert, ctx);
    wipe_key(&key);
    if (!err)
        err = rg_pki_cert_der(cert, ret_der);
    rg_pki_cert_free(cert);
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
enum rg_err join_put_members(struct rg_call *call, struct rg_txn *txn)
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

void join_put_identity(const struct rg_call *call, struct rg_json_writer *out, uint64_t id)
{
    rg_json_u64(out, "nodeId", id);
    rg_json_str(out, "cluster", call->api->cluster_id);
    rg_json_str(out, "instanceArn", call->api->instance_arn);
    rg_json_str(out, "identityStoreId", call->api->identity_store_id);
}

enum rg_err join_put_cert(struct rg_json_writer *out, struct rg_span der)
{
    struct x509_st *cert = rg_pki_cert_decode(der);
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    enum rg_err err;

    rg_buf_init(&pem, 4 * JOIN_CERT_BYTES_MAX);
    err = cert != NULL ? rg_pki_cert_pem(cert, &pem) : RG_EINTERNAL;
    rg_pki_cert_free(cert);
    if (!err)
        rg_json_span(out, "cert", rg_buf_span(&pem));
    return err;
}
