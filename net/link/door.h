/* net/link/door.h: where connections from outside wait until it is known who they are. A thread of its own accepts them and shakes
 * hands; whoever has a certificate of the cluster's CA is handed over, TLS and all. So the loop that carries the links spends nothing on
 * strangers, however many come and whatever they do. Who gives way when there are too many: net/fair/shares.h. */
#ifndef REGENT_NET_LINK_DOOR_H
#define REGENT_NET_LINK_DOOR_H

#include <openssl/ssl.h>

#include "base/err.h"
#include "base/log.h"
#include "net/fair/shares.h"

enum {
    RG_DOOR_MS_MAX = 5000,            /* for a handshake, in all */
    RG_DOOR_BYTES_MAX = 64 * 1024,    /* of one, received */
};

struct rg_door;

struct rg_door_config {
    const char *address;
    uint16_t port;  /* 0: any */
    SSL_CTX *tls;   /* borrow until rg_door_close; its peers must show a certificate */
    unsigned places;
    uint64_t seed;
    const struct rg_log *log; /* its sink is called on the door's thread */
    void (*on_arrival)(void *arg); /* on the door's thread: somebody can be taken */
    void *arg;
};

/* Somebody with a certificate of the CA. */
struct rg_arrival {
    struct rg_arrival *next;
    int fd;        /* own; -1: taken */
    SSL *ssl;      /* own; NULL: taken */
    BIO *in, *out; /* owned by ssl: ciphertext in, some of it perhaps not read yet; ciphertext out */
    char from[RG_ADDRESS_TEXT_MAX];
    uint8_t address[RG_ADDRESS_BYTES];
};

struct rg_door_stat {
    uint64_t handshakes, failed, refused; /* done; broken off or too long; for want of a place, or too often */
};

/* Who was refused: lines of one reason, and lines at all, are limited in each window. One for each thread. */
struct rg_refusals {
    uint64_t window_ms;
    unsigned lines, unlogged;
    char last[200];
};
void rg_refusals_log(struct rg_refusals *refusals, const struct rg_log *log, uint64_t now_ms, const char *from, const char *why);

/** Listen, and begin. RG_EINVALID, RG_EIO with the reason. */
RG_MUST enum rg_err rg_door_open(const struct rg_door_config *config, struct rg_door **ret_door, uint16_t *ret_port,
                                 struct rg_errctx *ctx);
/** Where peers are, from now on; more than RG_DOOR_KNOWN_MAX are not remembered. */
enum { RG_DOOR_KNOWN_MAX = 320 };
void rg_door_know(struct rg_door *door, const struct rg_known *known, size_t n);
/** The next one. NULL: nobody. */
struct rg_arrival *rg_door_take(struct rg_door *door);
/** With what was not taken of it. NULL is fine. */
void rg_arrival_free(struct rg_arrival *arrival);
void rg_door_stat(struct rg_door *door, struct rg_door_stat *ret_stat);
/** End the thread, close all that waits, free (consume). on_arrival is not called any more. NULL is fine. */
void rg_door_close(struct rg_door *door);

#endif
