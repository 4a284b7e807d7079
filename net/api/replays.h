/* net/api/replays.h: signatures of writes that were taken, for as long as their time would let them be taken again. One table for all
 * workers, behind a lock that is held for some loads; of a bounded size. */
#ifndef REGENT_NET_API_REPLAYS_H
#define REGENT_NET_API_REPLAYS_H

#include <pthread.h>

#include "base/err.h"

#define RG_REPLAY_TAG_BYTES 12            /* of a signature, which looks random */
#define RG_REPLAYS_MAX ((size_t)1 << 20)  /* kept: 3,400 a second for five minutes; 32 MiB */

struct rg_replay; /* a place */

struct rg_replays {
    pthread_mutex_t mutex;
    struct rg_replay *places; /* own; cap of them, a power of two, at most half of them taken */
    size_t cap, n;
    uint64_t seed;
    uint32_t cleaned_s; /* when it was last found to be full */
};

RG_MUST enum rg_err rg_replays_init(struct rg_replays *replays);
/** Zeroed memory is fine. */
void rg_replays_deinit(struct rg_replays *replays);

/**
 * Note a signature that is good until until_s, Unix seconds.
 * RG_ECONFLICT: it was noted before. RG_EBUSY: too many are noted to forget none. RG_ENOMEM. Then nothing is noted.
 */
RG_MUST enum rg_err rg_replays_add(struct rg_replays *replays, const uint8_t tag[RG_REPLAY_TAG_BYTES], int64_t until_s, int64_t now_s);
/** It was noted, and nothing came of it: it may be taken again. */
void rg_replays_forget(struct rg_replays *replays, const uint8_t tag[RG_REPLAY_TAG_BYTES]);

#endif
