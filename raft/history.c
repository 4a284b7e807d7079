/* raft/history.c: which history of entries a node's log and state are of. */
#include "raft/history.h"

#include <stdio.h>

#include "crypto/digest.h"

_Static_assert(2 * sizeof ((struct rg_history *)0)->b >= RG_HISTORY_TEXT_BYTES - 1, "the text is of what there is");
_Static_assert(sizeof "unknown" <= RG_HISTORY_TEXT_BYTES, "it fits");
_Static_assert(sizeof(struct rg_history) == sizeof ((struct rg_history *)0)->b, "compared whole");
struct rg_history rg_history_of(const struct rg_entry *first)
{
    uint8_t hash[RG_SHA256_BYTES];
    struct rg_history history;

    RG_ASSERT(first->term > 0);
    rg_sha256(first->data, hash);
    _Static_assert(sizeof history.b <= sizeof hash, "a part of it");
    memcpy(history.b, hash, sizeof history.b);
    RG_ASSERT(rg_history_known(&history)); /* a hash of nothing but zeros would be none */
    return history;
}

bool rg_history_known(const struct rg_history *history)
{
    static const struct rg_history none;

    return memcmp(history, &none, sizeof none) != 0;
}

bool rg_history_differ(const struct rg_history *a, const struct rg_history *b)
{
    return rg_history_known(a) && rg_history_known(b) && memcmp(a, b, sizeof *a) != 0;
}

void rg_history_text(const struct rg_history *history, char out[RG_HISTORY_TEXT_BYTES])
{
    if (rg_history_known(history))
        rg_hex(out, history->b, (RG_HISTORY_TEXT_BYTES - 1) / 2);
    else
        snprintf(out, RG_HISTORY_TEXT_BYTES, "unknown");
}
