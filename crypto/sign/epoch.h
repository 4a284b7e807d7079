/* crypto/sign/epoch.h: that an epoch begins, as what keys have said. A promise is what one node says of itself to whoever would begin one;
 * a certificate is the beginning: the declaration that a person signed, promises, and where in the log it is, signed by the node that
 * begins. Bytes in one form only, signed as they stand, bounded. Who may begin one is judged elsewhere (raft/epoch). */
#ifndef REGENT_CRYPTO_SIGN_EPOCH_H
#define REGENT_CRYPTO_SIGN_EPOCH_H

#include "crypto/sign/statement.h"

enum {
    RG_CERTIFICATE_PROMISES_MAX = 31, /* of every other node */
    RG_CERTIFICATE_DECLARATION_BYTES_MAX = 2560,
    RG_CERTIFICATE_HASH_BYTES = 32,
    RG_PROMISE_TEXT_BYTES_MAX = 192,
    RG_PROMISE_BYTES_MAX = RG_PROMISE_TEXT_BYTES_MAX + 192,
    RG_CERTIFICATE_TEXT_BYTES_MAX = 15 * 1024,
    RG_CERTIFICATE_BYTES_MAX = RG_CERTIFICATE_TEXT_BYTES_MAX + 192,
    RG_CERTIFICATE_NODES_MAX = 1023, /* ids */
};

/* ---- what a node's key has signed ---- */

/* For rg_es256_sign, and for whoever keeps the key and reads a text before it signs. */
extern const char rg_promise_domain[], rg_certificate_domain[];

/* With the public half, whose hash is what others know of a node. Layout: TLV 1 text  2 SPKI  3 r‖s */
struct rg_vouched {
    struct rg_span text, spki; /* borrow */
    uint8_t rs[RG_ES256_SIGNATURE_BYTES];
};
/** Appended. RG_EINVALID: no text, or no key. */
RG_MUST enum rg_err rg_vouched_encode(const struct rg_vouched *vouched, struct rg_buf *out);
/** ret_vouched: borrows bytes. RG_EMALFORMED: not the one form. Nothing is verified. */
RG_MUST enum rg_err rg_vouched_decode(struct rg_span bytes, struct rg_vouched *ret_vouched);

/* ---- promises ---- */

/* "I follow no epoch before this one any more, and this is how far I am." Layout: TLV, ascending, numbers as short as they can be:
 *   1 format (1)  2 hash of the GENESIS  3 node  4 incarnation[16]  5 epoch  6 hash of the declaration (absent: nobody declared it, its
 *   primary raises it)  7 last term  8 last index  9 lease left, ms  10 primary heard, ms ago (absent: never)  11 1: I was the primary, and
 *   ceded to it (or absent) */
struct rg_promise {
    uint8_t genesis[RG_STATEMENT_HASH_BYTES], declaration[RG_STATEMENT_HASH_BYTES];
    uint8_t incarnation[16];
    uint64_t node, epoch, last_term, last_index, lease_left_ms;
    uint64_t heard_ms; /* UINT64_MAX: never */
    bool declared, ceded;
};
/** Appended: the text to be signed. RG_EINVALID: one of its parts is out of its bounds. */
RG_MUST enum rg_err rg_promise_encode(const struct rg_promise *promise, struct rg_buf *out);
/** RG_EMALFORMED: not the one form. */
RG_MUST enum rg_err rg_promise_decode(struct rg_span text, struct rg_promise *ret_promise);

/* ---- certificates ---- */

enum rg_certificate_kind {
    RG_CERTIFICATE_DECLARED = 1,   /* somebody declared it */
    RG_CERTIFICATE_SWITCHOVER = 2, /* and the primary before has ceded: its promise says so */
    RG_CERTIFICATE_RAISE = 3,      /* the same primary's region, over promises that nobody kept: every other member promises */
    RG_CERTIFICATE_RECOVER = 4,    /* declared by the root's key alone */
    RG_CERTIFICATE_KINDS,
};

/* Layout: TLV, ascending, numbers as short as they can be:
 *   1 format (1)  2 hash of the GENESIS  3 kind  4 epoch  5 node that begins it  6 SHA-256 of its SPKI  7 epoch before it
 *   8 hash of that one's certificate (of the epoch that the GENESIS fell into: the GENESIS')  9 index of its first entry  10 term of the
 *   entry before it  11 SHA-256 of its first entry  12 at, Unix ms  13 declaration: a signed statement (absent: RAISE)
 *   14 promises, each a rg_vouched, ascending by node */
struct rg_certificate {
    enum rg_certificate_kind kind;
    uint8_t genesis[RG_STATEMENT_HASH_BYTES], key[32], previous_hash[RG_CERTIFICATE_HASH_BYTES], first_hash[32];
    uint64_t epoch, node, previous, first_index, last_term;
    int64_t at_ms;
    struct rg_span declaration;                            /* borrow */
    struct rg_span promises[RG_CERTIFICATE_PROMISES_MAX]; /* borrow */
    size_t n_promises;
};
/** Appended: the text to be signed. RG_EINVALID: one of its parts is out of its bounds, or no such promise. */
RG_MUST enum rg_err rg_certificate_encode(const struct rg_certificate *certificate, struct rg_buf *out);
/** ret_certificate: borrows text. RG_EMALFORMED: not the one form; RG_ETOOBIG. Promises are looked at, nothing is verified. */
RG_MUST enum rg_err rg_certificate_decode(struct rg_span text, struct rg_certificate *ret_certificate);
/** Its name: SHA-256 over domain and text. Whoever signs the same twice has signed one. */
void rg_certificate_hash(struct rg_span text, uint8_t out[RG_CERTIFICATE_HASH_BYTES]);

#endif
