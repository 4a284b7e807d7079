/* net/fair/reader.h: how long a long answer may go on: by what it holds up, and by how quickly it is fetched. Plain functions over plain
 * data. */
#ifndef REGENT_NET_FAIR_READER_H
#define REGENT_NET_FAIR_READER_H

#include "store/db/pinned.h"

enum {
    RG_READER_SLOW_US = 30000000,  /* from then on only a quick one may stay, and one that holds up little */
    RG_READER_US_MAX = 300000000,
    RG_READER_GRACE_US = 5000000,  /* a client's beginning is not measured */
    RG_READER_BYTES_S = 64 * 1024, /* the least that it fetches, on average */
    RG_READER_QUICK_BYTES_S = 1024 * 1024,
};

/* While it goes on no page that is changed can be used again: the state's file grows by what is written meanwhile. */
struct rg_reader {
    uint64_t age_us, fetched_bytes; /* that the client has taken */
    uint64_t begun_file_bytes;      /* of the state's file */
    struct rg_pinned pinned;
};

/** RG_OK: it may go on. RG_ETIMEOUT with the reason. */
RG_MUST enum rg_err rg_reader_judge(const struct rg_reader *reader, struct rg_errctx *ctx);

#endif
