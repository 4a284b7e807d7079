/* raft/history.c: which history of entries a node's log and state are of. */
#include "raft/history.h"

#include <stdio.h>

#include "crypto/digest.h"

struct rg_history rg_history_of(const struct rg_entry *first)
{
    uint8_t hash[RG_SHA256_BYTES];
    struct rg_history history;

    RG_ASSERT(first->term > 0);
    rg_sha256(first->data, hash);
    _Static_assert(sizeof history.b <= sizeof hash, "a part of it");
    memcpy(history.b, hash, sizeof history.b);
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
