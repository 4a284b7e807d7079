/* store/db/rowmap.h: rows to things: one table a noun says which field of a row goes into which member. For store/ only. */
#ifndef REGENT_STORE_DB_ROWMAP_H
#define REGENT_STORE_DB_ROWMAP_H

#include "store/db/env.h"
#include "store/db/rowkey.h"

enum rg_row_form {
    RG_ROW_NONE,
    RG_ROW_SPAN, /* bytes as they are: borrowed like the row */
    /* numbers: apply's own fields (below RG_F_ID) must be one; what came with a command and is none counts as 0 */
    RG_ROW_U64,
    RG_ROW_MS,
    RG_ROW_FLAG,
    RG_ROW_CHAR,    /* exactly one byte */
    RG_ROW_ID,      /* exactly 16 bytes */
    RG_ROW_PSID,    /* exactly 8 */
    RG_ROW_ACCOUNT, /* twelve digits, and a NUL behind them */
};
struct rg_row_member {
    uint8_t form;
    uint16_t at;
};

/* The member of a type, in the form that its C type asks for. */
#define RG_ROW(type, member)                                                                                           \
    {                                                                                                                  \
        _Generic(((type *)NULL)->member,                                                                               \
            struct rg_span: RG_ROW_SPAN,                                                                               \
            uint64_t: RG_ROW_U64,                                                                                      \
            int64_t: RG_ROW_MS,                                                                                        \
            bool: RG_ROW_FLAG,                                                                                         \
            char: RG_ROW_CHAR,                                                                                         \
            struct rg_uuid: RG_ROW_ID,                                                                                 \
            struct rg_psid: RG_ROW_PSID,                                                                               \
            char *: RG_ROW_ACCOUNT),                                                                                   \
            offsetof(type, member)                                                                                     \
    }
#define RG_ROW_WHOLE 0 /* no field has this number: the member that is given the row itself */

struct rg_rowmap {
    const struct rg_row_member *of; /* by field number */
    size_t n;
    size_t bytes;      /* of the thing: at most RG_ROWMAP_BYTES_MAX */
    uint8_t needs[5];  /* fields without which a row is damaged, members all of them; 0: no more */
};
#define RG_ROWMAP_BYTES_MAX 512
/* RG_ROWMAP(members, type, needed fields… or 0). A type that is too large does not compile. */
#define RG_ROWMAP(members, type, ...)                                                                                  \
    {                                                                                                                  \
        .of = (members), .n = RG_LEN(members),                                                                         \
        .bytes = sizeof(type) + 0 * sizeof(char[sizeof(type) <= RG_ROWMAP_BYTES_MAX ? 1 : -1]), .needs = { __VA_ARGS__ } \
    }

/** Read a row: the first of a field counts, others are 0 or empty. RG_ECORRUPT: no fields, a needed one is missing, or one is of
 * the wrong form. ret_thing: the map's type; its spans borrow from the row. */
RG_MUST enum rg_err rg_rowmap_read(const struct rg_rowmap *map, struct rg_span row, void *ret_thing);
/** The same of the row at key. RG_ENOTFOUND. */
RG_MUST enum rg_err rg_rowmap_get(const struct rg_rowmap *map, struct rg_txn *txn, const struct rg_rowkey *key, void *ret_thing);
/** The same of a scan's next row. RG_ENOTFOUND at the end. */
RG_MUST enum rg_err rg_rowmap_next(const struct rg_rowmap *map, struct rg_scan *scan, void *ret_thing);
/** Begin a scan of the rows under prefix, behind the key `after` (NULL or empty: from the first). */
RG_MUST enum rg_err rg_rowkey_scan(struct rg_txn *txn, const struct rg_rowkey *prefix, const struct rg_rowkey *after,
                                   struct rg_scan *scan);

#endif
