#include "net/api/guesses.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/util.h"
#include "crypto/digest.h"

enum { WAYS = 8 /* slots that an address may have */, WHEN_BITS = 40 };

#define WHEN_MASK ((UINT64_C(1) << WHEN_BITS) - 1)

_Static_assert(RG_GUESSES_SLOTS % WAYS == 0, "a set of slots is whole");

void rg_guesses_init(struct rg_guesses *g)
{
    rg_random(g->seed, sizeof g->seed);
    for (size_t i = 0; i < RG_GUESSES_SLOTS; i++)
        atomic_init(&g->slots[i], 0);
}

void rg_peer_address(const char *peer, char ret_address[64])
{
    const char *end = strrchr(peer, ':'), *from = peer;
    size_t n = end != NULL ? (size_t)(end - peer) : strlen(peer);

    if (n >= 2 && peer[0] == '[' && peer[n - 1] == ']') {
        from++;
        n -= 2;
    }
    snprintf(ret_address, 64, "%.*s", (int)RG_MIN(n, (size_t)63), from);
}

bool rg_peer_is_loopback(const char *peer)
{
    return strncmp(peer, "127.", 4) == 0 || strncmp(peer, "[::1]:", 6) == 0 || strncmp(peer, "::1:", 4) == 0 ||
           strncmp(peer, "[::ffff:127.", 12) == 0 || strncmp(peer, "::ffff:127.", 11) == 0;
}

/* What stands for an address: of IPv6 the network, unless IPv4 is in it. */
static struct rg_span key_of(const char *peer, char text[64], uint8_t bytes[16])
{
    static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

    rg_peer_address(peer, text);
    if (inet_pton(AF_INET, text, bytes) == 1)
        return rg_span(bytes, 4);
    if (inet_pton(AF_INET6, text, bytes) == 1)
        return memcmp(bytes, mapped, sizeof mapped) == 0 ? rg_span(bytes + 12, 4) : rg_span(bytes, 8);
    return rg_span_str(text);
}

struct place {
    size_t first; /* of WAYS slots */
    uint64_t tag; /* above WHEN_BITS, never 0 */
};

static struct place place_of(const struct rg_guesses *g, const char *peer)
{
    char text[64];
    uint8_t bytes[16], hash[RG_SHA256_BYTES];
    struct rg_span parts[] = {rg_span(g->seed, sizeof g->seed), key_of(peer, text, bytes)};
    uint32_t set, tag;

    rg_sha256_v(parts, RG_LEN(parts), hash);
    memcpy(&set, hash, sizeof set);
    memcpy(&tag, hash + 4, sizeof tag);
    return (struct place){.first = set % (RG_GUESSES_SLOTS / WAYS) * WAYS, .tag = (uint64_t)((tag & 0xffffff) | 1) << WHEN_BITS};
}

bool rg_guesses_spent(const struct rg_guesses *g, const char *peer, uint64_t now_ms)
{
    struct place at = place_of(g, peer);

    for (size_t i = at.first; i < at.first + WAYS; i++) {
        uint64_t slot = atomic_load_explicit(&g->slots[i], memory_order_relaxed), when = slot & WHEN_MASK;

        if ((slot & ~WHEN_MASK) == at.tag && when > now_ms)
            return when - now_ms > (RG_GUESSES_AT_ONCE - 1) * RG_GUESSES_EVERY_MS;
    }
    return false;
}

/* Its own slot; else the one whose last refusal is, or will be, forgotten first. */
static size_t choose(const struct rg_guesses *g, struct place at)
{
    uint64_t least = UINT64_MAX;
    size_t best = at.first;

    for (size_t i = at.first; i < at.first + WAYS; i++) {
        uint64_t slot = atomic_load_explicit(&g->slots[i], memory_order_relaxed);

        if ((slot & ~WHEN_MASK) == at.tag)
            return i;
        if ((slot & WHEN_MASK) < least) {
            least = slot & WHEN_MASK;
            best = i;
        }
    }
    return best;
}

void rg_guesses_count(struct rg_guesses *g, const char *peer, uint64_t now_ms)
{
    struct place at = place_of(g, peer);
    _Atomic uint64_t *slot = &g->slots[choose(g, at)];
    uint64_t seen = atomic_load_explicit(slot, memory_order_relaxed), next;

    do {
        uint64_t when = (seen & ~WHEN_MASK) == at.tag ? RG_MAX(seen & WHEN_MASK, now_ms) : now_ms;

        /* it is not kept out for longer than it takes to forget what it may do at once */
        when = RG_MIN(when + RG_GUESSES_EVERY_MS, now_ms + (uint64_t)RG_GUESSES_AT_ONCE * RG_GUESSES_EVERY_MS);
        next = at.tag | (when & WHEN_MASK);
    } while (!atomic_compare_exchange_weak_explicit(slot, &seen, next, memory_order_relaxed, memory_order_relaxed));
}
