/* crypto/privfile.h: small files that hold keys and certificates: written whole or not at all, read without following a
 * link. Blocking; for start-up and tools, never on a loop thread. */
#ifndef REGENT_CRYPTO_PRIVFILE_H
#define REGENT_CRYPTO_PRIVFILE_H

#include "base/buf.h"

enum rg_privfile_flags {
    RG_PRIVFILE_REPLACE = 1, /* write: an existing file is replaced; otherwise it is RG_ECONFLICT */
    RG_PRIVFILE_SECRET = 2,  /* write: mode 0600, else 0644; read: refuse a link or a mode wider than 0600 */
};

/**
 * Write to a temporary name beside path, fsync, rename, fsync the directory. After an error path is as it was.
 * what   noun for messages ("keystore")
 */
RG_MUST enum rg_err rg_privfile_write(const char *path, const char *what, unsigned flags, struct rg_span bytes,
                                      struct rg_errctx *ctx);
/**
 * Append the whole file to out; its bound is out's.
 * A secret's owner is this user or root, its mode 0600 at most; one in $CREDENTIALS_DIRECTORY is taken as systemd made it.
 * RG_ENOTFOUND; RG_EDENIED, for another owner or a wider mode (the message says what to do), a link, or what this user
 * may not read; RG_ETOOBIG, longer than out takes; RG_EINVALID, not a regular file; RG_EIO
 */
RG_MUST enum rg_err rg_privfile_read(const char *path, const char *what, unsigned flags, struct rg_buf *out,
                                     struct rg_errctx *ctx);

#endif
