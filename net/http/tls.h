/* net/http/tls.h: TLS as a filter: ciphertext in, plaintext out and back, through OpenSSL. No socket: the caller feeds what it
 * received and sends what it finds in its own buffer. OpenSSL reads straight from the caller's receive buffer and writes
 * straight into the caller's send buffer. */
#ifndef REGENT_NET_HTTP_TLS_H
#define REGENT_NET_HTTP_TLS_H

#include "base/buf.h"

#define RG_TLS_TICKET_KEY_BYTES 80
#define RG_TLS_ALPN_MAX 4

struct rg_tls_ctx; /* certificates and settings; not shared between threads, to keep its locks uncontended */
struct rg_tls;     /* one connection */
struct ssl_st;

struct rg_tls_config {
    bool server;
    const char *cert_path, *key_path; /* PEM; both NULL only for a client without a certificate */
    const char *ca_path;              /* PEM. Given: the peer must show a certificate that it vouches for */
    const char *alpn[RG_TLS_ALPN_MAX]; /* best first, NULL after the last; none: no ALPN */
    bool only_tls13;                   /* else TLS 1.2 is the least */
    /* Session tickets of a server: the same key in several contexts lets each resume what another began.
     * NULL: a key of the context's own. */
    const uint8_t *ticket_key; /* RG_TLS_TICKET_KEY_BYTES, copied */
};

enum rg_tls_io {
    RG_TLS_DONE,   /* the handshake is finished / bytes were read / written */
    RG_TLS_MORE,   /* all ciphertext was used up: feed more */
    RG_TLS_CLOSED, /* the peer said goodbye */
    RG_TLS_FAILED, /* the connection is over; an alert for the peer may stand in wire */
};

/** RG_EIO, RG_EINVALID with the file and OpenSSL's reason. */
RG_MUST enum rg_err rg_tls_ctx_new(const struct rg_tls_config *config, struct rg_tls_ctx **ret_ctx,
                                   struct rg_errctx *errctx);
void rg_tls_ctx_free(struct rg_tls_ctx *ctx);
/** A fresh random ticket key. RG_EINTERNAL: no randomness. */
RG_MUST enum rg_err rg_tls_ticket_key_make(uint8_t ret_key[RG_TLS_TICKET_KEY_BYTES]);
/** Change the ticket key; tickets under the old one lead to a full handshake. On the context's thread. */
void rg_tls_ctx_set_ticket_key(struct rg_tls_ctx *ctx, const uint8_t key[RG_TLS_TICKET_KEY_BYTES]);

/** ctx is borrowed until rg_tls_free. server_name: a client's SNI and the name that must be in the certificate; may be NULL. */
RG_MUST enum rg_err rg_tls_new(struct rg_tls_ctx *ctx, const char *server_name, struct rg_tls **ret_tls);
/** NULL is fine. */
void rg_tls_free(struct rg_tls *tls);

/** One of many: between records it keeps no buffers, of 34 KiB, and takes new ones for each. */
void rg_tls_lean(struct rg_tls *tls);

/** Hand over received bytes: borrow until handshake or read answers other than DONE. What was fed before is used up by then. */
void rg_tls_feed(struct rg_tls *tls, struct rg_span cipher);
/* Each may append ciphertext to wire (borrow until the call returns); a wire that is full fails the connection. */
RG_MUST enum rg_tls_io rg_tls_handshake(struct rg_tls *tls, struct rg_buf *wire);
RG_MUST enum rg_tls_io rg_tls_read(struct rg_tls *tls, struct rg_buf *wire, uint8_t *to, size_t max, size_t *ret_n);
RG_MUST enum rg_tls_io rg_tls_write(struct rg_tls *tls, struct rg_buf *wire, struct rg_span plain);
/** Append our goodbye. Nothing may be written after it. */
void rg_tls_close(struct rg_tls *tls, struct rg_buf *wire);

/** The protocol agreed by ALPN; empty: none. Borrow until rg_tls_free. */
struct rg_span rg_tls_alpn(const struct rg_tls *tls);
/** Why the last call failed. Static or tls's own text. */
const char *rg_tls_reason(const struct rg_tls *tls);

#endif
