/* base/secret/secret.h: memory for what must not be found later: never swapped out, in no core dump, wiped when it is given back.
 * Thread-safe.
 *
 * Two kinds. What is ours lies on pages of its own (rg_secret_new). What OpenSSL makes of a private key lies in one locked arena, while a
 * thread says so (rg_secret_enter), and everything else of OpenSSL's is wiped when it is freed: its decoder leaves copies of a key's
 * numbers behind otherwise. Its own secure heap is not used: it is one lock for all handshakes, and one that is full fails them. */
#ifndef REGENT_BASE_SECRET_SECRET_H
#define REGENT_BASE_SECRET_SECRET_H

#include "base/err.h"

enum {
    RG_SECRET_ARENA_BYTES = 512 * 1024,
    /* Of a library's larger blocks, which are records of a connection, so many bytes are wiped: a request's head is there. */
    RG_SECRET_WIPE_BYTES_MAX = 4096,
};

/** n > 0 zeroed bytes on pages of their own. NULL: no memory. Pages that the kernel does not lock (RLIMIT_MEMLOCK) are given all the
 * same, and counted. */
void *rg_secret_new(size_t n);
/** Wipe and give back; n as it was taken. NULL is fine. */
void rg_secret_free(void *p, size_t n);
/** Bytes handed out so far that are not locked: what a daemon says once, in its log. */
size_t rg_secret_unlocked(void);

/* ---- a library's memory: of the shape that CRYPTO_set_mem_functions takes ---- */

void *rg_secret_lib_malloc(size_t n, const char *file, int line);
void *rg_secret_lib_realloc(void *p, size_t n, const char *file, int line);
void rg_secret_lib_free(void *p, const char *file, int line);
/** Between the two what this thread has the library allocate comes from the arena, as long as there is room, and from the heap beyond.
 * They nest. Without effect where the library was not given these functions. */
void rg_secret_enter(void);
void rg_secret_leave(void);
/** Whether p lies in the arena, for tests. */
bool rg_secret_in_arena(const void *p);

/**
 * No core dumps of this process, and its memory is nobody's to read through /proc or ptrace but root's.
 * cores   as it was before: for developers
 * RG_EINTERNAL: the kernel refuses
 */
RG_MUST enum rg_err rg_secret_process(bool cores);

#endif
