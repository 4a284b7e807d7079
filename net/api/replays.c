#include "net/api/replays.h"

#include "crypto/digest.h"

enum { CAP_MIN = 1024 };

struct rg_replay {
    uint8_t tag[RG_REPLAY_TAG_BYTES];
    uint32_t until_s; /* 0: free */
};
_Static_assert(sizeof(struct rg_replay) == 16, "a million take 16 MiB, and as many free places as much again");

enum rg_err rg_replays_init(struct rg_replays *r)
{
    *r = (struct rg_replays){.cap = 0};
    rg_random(&r->seed, sizeof r->seed);
    return pthread_mutex_init(&r->mutex, NULL) == 0 ? RG_OK : RG_ENOMEM;
}

void rg_replays_deinit(struct rg_replays *r)
{
    if (r->seed != 0)
        pthread_mutex_destroy(&r->mutex);
    free(r->places);
    *r = (struct rg_replays){.cap = 0};
}

/* Its place, or the free one where it belongs. Who may sign may choose among signatures: the seed is not theirs to know. */
static struct rg_replay *place_of(const struct rg_replays *r, const uint8_t tag[RG_REPLAY_TAG_BYTES])
{
    uint64_t a, h;
    uint32_t b;

    RG_ASSERT(r->cap > 0 && 2 * r->n <= r->cap); /* so the search ends */
    memcpy(&a, tag, sizeof a);
    memcpy(&b, tag + sizeof a, sizeof b);
    h = (a ^ r->seed) * UINT64_C(0x9e3779b97f4a7c15);
    h = (h ^ (h >> 32) ^ b ^ r->seed) * UINT64_C(0xd6e8feb86659fd93);
    for (size_t i = (size_t)(h >> 32);; i++) {
        struct rg_replay *place = &r->places[i & (r->cap - 1)];

        if (place->until_s == 0 || memcmp(place->tag, tag, RG_REPLAY_TAG_BYTES) == 0)
            return place;
    }
}

/* Into new memory, without those whose time is over. */
static enum rg_err rebuild(struct rg_replays *r, uint32_t now_s)
{
    struct rg_replays next = *r;
    size_t live = 0;

    for (size_t i = 0; i < r->cap; i++)
        live += r->places[i].until_s >= now_s && r->places[i].until_s != 0;
    if (live >= RG_REPLAYS_MAX)
        return RG_EBUSY;
    next.cap = CAP_MIN;
    while (next.cap < 4 * live && next.cap < 2 * RG_REPLAYS_MAX)
        next.cap *= 2;
    next.n = 0;
    next.places = calloc(next.cap, sizeof *next.places);
    if (next.places == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < r->cap; i++)
        if (r->places[i].until_s >= now_s && r->places[i].until_s != 0) {
            *place_of(&next, r->places[i].tag) = r->places[i];
            next.n++;
        }
    RG_ASSERT(next.n == live);
    free(r->places);
    *r = next;
    return RG_OK;
}

static enum rg_err add(struct rg_replays *r, const uint8_t tag[RG_REPLAY_TAG_BYTES], uint32_t until_s, uint32_t now_s)
{
    struct rg_replay *place = r->cap > 0 ? place_of(r, tag) : NULL;
    enum rg_err err;

    if (place != NULL && place->until_s >= now_s && place->until_s != 0)
        return RG_ECONFLICT;
    if (place != NULL && place->until_s != 0) { /* over, and signed again to the same */
        place->until_s = until_s;
        return RG_OK;
    }
    if (2 * (r->n + 1) > r->cap) {
        if (r->cleaned_s == now_s) /* a walk through all of it a second, at most, while it is full */
            return RG_EBUSY;
        err = rebuild(r, now_s);
        if (err) {
            r->cleaned_s = now_s;
            return err;
        }
        place = place_of(r, tag);
    }
    memcpy(place->tag, tag, RG_REPLAY_TAG_BYTES);
    place->until_s = until_s;
    r->n++;
    RG_ASSERT(2 * r->n <= r->cap);
    return RG_OK;
}

enum rg_err rg_replays_add(struct rg_replays *r, const uint8_t tag[RG_REPLAY_TAG_BYTES], int64_t until_s, int64_t now_s)
{
    uint32_t until = until_s > 0 ? (uint32_t)RG_MIN(until_s, (int64_t)UINT32_MAX) : 1;
    uint32_t now = now_s > 0 ? (uint32_t)RG_MIN(now_s, (int64_t)UINT32_MAX) : 1;
    enum rg_err err;

    pthread_mutex_lock(&r->mutex);
    err = add(r, tag, until, now);
    pthread_mutex_unlock(&r->mutex);
    return err;
}

void rg_replays_forget(struct rg_replays *r, const uint8_t tag[RG_REPLAY_TAG_BYTES])
{
    struct rg_replay *place;

    pthread_mutex_lock(&r->mutex);
    place = r->cap > 0 ? place_of(r, tag) : NULL;
    if (place != NULL && place->until_s != 0)
        place->until_s = 1; /* over: it may be taken again, and goes with the next rebuild */
    pthread_mutex_unlock(&r->mutex);
}
