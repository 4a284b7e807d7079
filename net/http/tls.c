#include "net/http/tls.h"

#include <stdio.h>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/rand.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/secret/secret.h"
#include "crypto/pki.h"

struct rg_tls_ctx {
    SSL_CTX *ssl;
    BIO_METHOD *bio;
    bool server;
    uint8_t alpn[64]; /* wire form */
    unsigned alpn_len;
};

struct rg_tls {
    SSL *ssl;
    struct rg_span cipher; /* borrow; fed, not yet read */
    struct rg_buf *wire;   /* borrow during a call */
    bool broken;           /* OpenSSL forbids further calls after a fatal error */
    char reason[160];
};

/* ---- the BIO: reads from what was fed, writes into the caller's buffer ---- */

static int bio_read(BIO *bio, char *to, size_t max, size_t *ret_n)
{
    struct rg_tls *tls = BIO_get_data(bio);
    size_t n = RG_MIN(max, tls->cipher.n);

    BIO_clear_retry_flags(bio);
    if (n == 0) {
        BIO_set_retry_read(bio);
        return 0;
    }
    memcpy(to, tls->cipher.p, n);
    tls->cipher = rg_span(tls->cipher.p + n, tls->cipher.n - n);
    *ret_n = n;
    return 1;
}

static int bio_write(BIO *bio, const char *from, size_t n, size_t *ret_n)
{
    struct rg_tls *tls = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    rg_buf_put(tls->wire, from, n);
    if (tls->wire->err != RG_OK)
        return 0;
    *ret_n = n;
    return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
    return cmd == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO_METHOD *bio_method_new(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "regent");

    if (method == NULL)
        return NULL;
    if (!BIO_meth_set_read_ex(method, bio_read) || !BIO_meth_set_write_ex(method, bio_write) ||
        !BIO_meth_set_ctrl(method, bio_ctrl)) {
        BIO_meth_free(method);
        return NULL;
    }
    return method;
}

/* ---- context ---- */

static enum rg_err ctx_fail(struct rg_errctx *errctx, enum rg_err err, const char *what, const char *path)
{
    char text[160] = "no reason given";
    unsigned long code = ERR_peek_last_error();

    if (code != 0)
        ERR_error_string_n(code, text, sizeof text);
    ERR_clear_error();
    return rg_fail(errctx, err, "%s%s%s: %s", what, path != NULL ? " " : "", path != NULL ? path : "", text);
}

static int on_alpn(SSL *ssl, const unsigned char **out, unsigned char *outlen, const unsigned char *in, unsigned int n,
                   void *arg)
{
    const struct rg_tls_ctx *ctx = arg;
    unsigned char *chosen;

    (void)ssl;
    if (SSL_select_next_proto(&chosen, outlen, ctx->alpn, ctx->alpn_len, in, n) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    *out = chosen;
    return SSL_TLSEXT_ERR_OK;
}

static enum rg_err set_alpn(struct rg_tls_ctx *ctx, const struct rg_tls_config *config)
{
    for (size_t i = 0; i < RG_TLS_ALPN_MAX && config->alpn[i] != NULL; i++) {
        size_t n = strlen(config->alpn[i]);

        if (n == 0 || n > 255 || ctx->alpn_len + 1 + n > sizeof ctx->alpn)
            return RG_EINVALID;
        ctx->alpn[ctx->alpn_len++] = (uint8_t)n;
        memcpy(ctx->alpn + ctx->alpn_len, config->alpn[i], n);
        ctx->alpn_len += (unsigned)n;
    }
    if (ctx->alpn_len == 0)
        return RG_OK;
    if (config->server)
        SSL_CTX_set_alpn_select_cb(ctx->ssl, on_alpn, ctx);
    else if (SSL_CTX_set_alpn_protos(ctx->ssl, ctx->alpn, ctx->alpn_len) != 0)
        return RG_ENOMEM;
    return RG_OK;
}

static enum rg_err load_files(SSL_CTX *ssl, const struct rg_tls_config *config, struct rg_errctx *errctx)
{
    bool key_read;

    if (config->cert_path != NULL) {
        if (SSL_CTX_use_certificate_chain_file(ssl, config->cert_path) != 1)
            return ctx_fail(errctx, RG_EIO, "certificate", config->cert_path);
        rg_secret_enter();
        key_read = config->key_path != NULL && SSL_CTX_use_PrivateKey_file(ssl, config->key_path, SSL_FILETYPE_PEM) == 1;
        rg_secret_leave();
        if (!key_read)
            return ctx_fail(errctx, RG_EIO, "private key", config->key_path);
        if (SSL_CTX_check_private_key(ssl) != 1)
            return ctx_fail(errctx, RG_EINVALID, "the private key does not belong to", config->cert_path);
    } else if (config->server) {
        return rg_fail(errctx, RG_EINVALID, "a TLS server needs a certificate");
    }
    if (config->ca_path != NULL) {
        if (SSL_CTX_load_verify_locations(ssl, config->ca_path, NULL) != 1)
            return ctx_fail(errctx, RG_EIO, "certificate authority", config->ca_path);
        SSL_CTX_set_verify(ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    return RG_OK;
}

static enum rg_err ctx_setup(struct rg_tls_ctx *ctx, const struct rg_tls_config *config, struct rg_errctx *errctx)
{
    static const unsigned char session_context[] = "regent";
    SSL_CTX *ssl = ctx->ssl;

    if (SSL_CTX_set_min_proto_version(ssl, config->only_tls13 ? TLS1_3_VERSION : TLS1_2_VERSION) != 1 ||
        SSL_CTX_set_cipher_list(ssl, "ECDHE+AESGCM:ECDHE+CHACHA20") != 1 || SSL_CTX_set1_groups_list(ssl, RG_TLS_GROUPS) != 1)
        return ctx_fail(errctx, RG_EINTERNAL, "TLS settings", NULL);
    SSL_CTX_set_options(ssl, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_read_ahead(ssl, 1); /* header and body of a record in one go */
    if (config->server) {
        SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF); /* tickets alone: no memory here, no lock */
        SSL_CTX_set_num_tickets(ssl, 1);
        if (SSL_CTX_set_session_id_context(ssl, session_context, sizeof session_context - 1) != 1)
            return ctx_fail(errctx, RG_EINTERNAL, "TLS settings", NULL);
        if (config->ticket_key != NULL)
            rg_tls_ctx_set_ticket_key(ctx, config->ticket_key);
    }
    if (set_alpn(ctx, config) != RG_OK)
        return rg_fail(errctx, RG_EINVALID, "ALPN names cannot be used");
    return load_files(ssl, config, errctx);
}

enum rg_err rg_tls_ctx_new(const struct rg_tls_config *config, struct rg_tls_ctx **ret_ctx, struct rg_errctx *errctx)
{
    struct rg_tls_ctx *ctx = calloc(1, sizeof *ctx);
    enum rg_err err;

    if (ctx == NULL)
        return RG_ENOMEM;
    ctx->server = config->server;
    ctx->bio = bio_method_new();
    ctx->ssl = SSL_CTX_new(config->server ? TLS_server_method() : TLS_client_method());
    err = ctx->ssl != NULL && ctx->bio != NULL ? ctx_setup(ctx, config, errctx) : RG_ENOMEM;
    if (err) {
        rg_tls_ctx_free(ctx);
        return err;
    }
    *ret_ctx = ctx;
    return RG_OK;
}

void rg_tls_ctx_free(struct rg_tls_ctx *ctx)
{
    if (ctx == NULL)
        return;
    SSL_CTX_free(ctx->ssl);
    if (ctx->bio != NULL)
        BIO_meth_free(ctx->bio);
    free(ctx);
}

enum rg_err rg_tls_ticket_key_make(uint8_t ret_key[RG_TLS_TICKET_KEY_BYTES])
{
    return RAND_bytes(ret_key, RG_TLS_TICKET_KEY_BYTES) == 1 ? RG_OK : RG_EINTERNAL;
}

void rg_tls_ctx_set_ticket_key(struct rg_tls_ctx *ctx, const uint8_t key[RG_TLS_TICKET_KEY_BYTES])
{
    uint8_t copy[RG_TLS_TICKET_KEY_BYTES];

    memcpy(copy, key, sizeof copy);
    (void)SSL_CTX_set_tlsext_ticket_keys(ctx->ssl, copy, sizeof copy);
    rg_wipe(copy, sizeof copy);
}

/* ---- one connection ---- */

enum rg_err rg_tls_new(struct rg_tls_ctx *ctx, const char *server_name, struct rg_tls **ret_tls)
{
    struct rg_tls *tls = calloc(1, sizeof *tls);
    BIO *bio = BIO_new(ctx->bio);

    if (tls == NULL || bio == NULL || (tls->ssl = SSL_new(ctx->ssl)) == NULL) {
        BIO_free(bio);
        free(tls);
        return RG_ENOMEM;
    }
    BIO_set_data(bio, tls);
    BIO_set_init(bio, 1);
    SSL_set_bio(tls->ssl, bio, bio);
    if (ctx->server) {
        SSL_set_accept_state(tls->ssl);
    } else {
        SSL_set_connect_state(tls->ssl);
        if (server_name != NULL &&
            (SSL_set_tlsext_host_name(tls->ssl, (char *)(uintptr_t)server_name) != 1 || SSL_set1_host(tls->ssl, server_name) != 1)) {
            rg_tls_free(tls);
            return RG_ENOMEM;
        }
    }
    *ret_tls = tls;
    return RG_OK;
}

void rg_tls_free(struct rg_tls *tls)
{
    if (tls == NULL)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

void rg_tls_lean(struct rg_tls *tls) { SSL_set_mode(tls->ssl, SSL_MODE_RELEASE_BUFFERS); }

void rg_tls_feed(struct rg_tls *tls, struct rg_span cipher)
{
    RG_ASSERT(tls->cipher.n == 0 || tls->broken);
    tls->cipher = cipher;
}

/* SSL_get_error wants an error queue that was empty before the call; handlers may leave something in it. */
static void begin_call(struct rg_tls *tls, struct rg_buf *wire)
{
    tls->wire = wire;
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

static enum rg_tls_io end_call(struct rg_tls *tls, int rc)
{
    int error = SSL_get_error(tls->ssl, rc);
    unsigned long code;
    const char *text;

    if (error == SSL_ERROR_WANT_READ) {
        RG_ASSERT(tls->cipher.n == 0);
        return RG_TLS_MORE;
    }
    tls->cipher = rg_span(NULL, 0);
    if (error == SSL_ERROR_ZERO_RETURN)
        return RG_TLS_CLOSED;
    tls->broken = true;
    code = ERR_peek_error();
    text = code != 0 ? ERR_reason_error_string(code) : NULL;
    snprintf(tls->reason, sizeof tls->reason, "%s", text != NULL ? text : "protocol violated");
    ERR_clear_error();
    return RG_TLS_FAILED;
}

enum rg_tls_io rg_tls_handshake(struct rg_tls *tls, struct rg_buf *wire)
{
    int rc;

    if (tls->broken)
        return RG_TLS_FAILED;
    begin_call(tls, wire);
    rc = SSL_do_handshake(tls->ssl);
    return rc == 1 ? RG_TLS_DONE : end_call(tls, rc);
}

enum rg_tls_io rg_tls_read(struct rg_tls *tls, struct rg_buf *wire, uint8_t *to, size_t max, size_t *ret_n)
{
    int rc;

    if (tls->broken)
        return RG_TLS_FAILED;
    if (tls->cipher.n == 0 && !SSL_has_pending(tls->ssl)) /* spares OpenSSL's long way to "want read" */
        return RG_TLS_MORE;
    begin_call(tls, wire);
    rc = SSL_read_ex(tls->ssl, to, max, ret_n);
    return rc == 1 ? RG_TLS_DONE : end_call(tls, rc);
}

enum rg_tls_io rg_tls_write(struct rg_tls *tls, struct rg_buf *wire, struct rg_span plain)
{
    size_t written;
    int rc;

    if (tls->broken)
        return RG_TLS_FAILED;
    if (plain.n == 0)
        return RG_TLS_DONE;
    begin_call(tls, wire);
    rc = SSL_write_ex(tls->ssl, plain.p, plain.n, &written);
    if (rc == 1)
        return RG_TLS_DONE;
    tls->broken = true; /* the BIO takes everything or is full for good */
    snprintf(tls->reason, sizeof tls->reason, "output is full");
    ERR_clear_error();
    return RG_TLS_FAILED;
}

void rg_tls_close(struct rg_tls *tls, struct rg_buf *wire)
{
    tls->cipher = rg_span(NULL, 0);
    if (tls->broken || SSL_in_init(tls->ssl))
        return;
    begin_call(tls, wire);
    (void)SSL_shutdown(tls->ssl);
    if (ERR_peek_error() != 0)
        ERR_clear_error();
}

struct rg_span rg_tls_alpn(const struct rg_tls *tls)
{
    const unsigned char *name = NULL;
    unsigned n = 0;

    SSL_get0_alpn_selected(tls->ssl, &name, &n);
    return rg_span(name, n);
}

const char *rg_tls_reason(const struct rg_tls *tls) { return tls->reason; }
