/* store/db/space.h: one LMDB environment, its file, and the reader slots that are kept for it. A store (store/db/env.h) has two places
 * for one: the space that serves, and one beside it that is being filled or left. Of env.c and row.c only. */
#ifndef REGENT_STORE_DB_SPACE_H
#define REGENT_STORE_DB_SPACE_H

#include <lmdb.h>

#include "store/db/statedir.h"

/* Zeroed: closed. */
struct rg_space {
    MDB_env *env; /* own */
    MDB_dbi dbi;
    unsigned which; /* its place: 0 or 1 */
};

#define RG_SPACES RG_STATEDIR_PLACES

/** Make an empty one in this place of the directory, over whatever is there. map_bytes: a multiple of a page. On an error it stays
 * closed, and nothing of it is left. */
RG_MUST enum rg_err rg_space_open(struct rg_space *space, const struct rg_statedir *dir, unsigned which, size_t map_bytes,
                                  unsigned readers, struct rg_errctx *ctx);
/** Delete its file. No transaction of it is left, idle ones neither. Closed is fine. */
void rg_space_close(struct rg_space *space, const struct rg_statedir *dir);
/** Bytes of memory that its rows and free pages take. */
uint64_t rg_space_bytes(const struct rg_space *space);
/** Whether its file system has so many bytes free. */
bool rg_space_has_room(const struct rg_space *space, uint64_t bytes);

/** What LMDB says, as an error of ours. */
RG_MUST enum rg_err rg_space_err(int rc);
/** The same of a call that wrote. */
RG_MUST enum rg_err rg_space_write_err(const struct rg_space *space, int rc);

#endif
