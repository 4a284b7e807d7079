/* Messages and hellos of peers: whatever decodes encodes to the same bytes, and a CHANGE's bytes are walked safely. */
#include "raft/core/hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct rg_entry entries[RG_MSG_ENTRIES_MAX];

static void message(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    struct rg_members members;
    struct rg_msg m;

    rg_buf_init(&again, RG_MSG_BYTES_MAX * 2);
    if (rg_rpc_decode(bytes, entries, &m, NULL) != RG_OK)
        return;
    rg_rpc_encode(&m, &again);
    RG_ASSERT(again.err == RG_OK && rg_span_eq(rg_buf_span(&again), bytes));
    for (size_t i = 0; m.type == RG_MSG_APPEND && i < m.append.n; i++)
        if (rg_members_decode(m.append.entries[i].data, &members) == RG_OK)
            RG_ASSERT(members.n > 0 && members.n <= RG_PEERS_MAX);
}

static void hello(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    struct rg_hello a, b;

    rg_buf_init(&again, RG_HELLO_BYTES_MAX);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    if (rg_hello_decode(bytes, &a, NULL) != RG_OK)
        return;
    rg_hello_encode(&a, &again);
    RG_ASSERT(again.err == RG_OK && rg_hello_decode(rg_buf_span(&again), &b, NULL) == RG_OK);
    RG_ASSERT(a.from == b.from && a.last_index == b.last_index && strcmp(a.region, b.region) == 0);
}

static void members(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    struct rg_members a, b;

    rg_buf_init(&again, 65536);
    if (rg_members_decode(bytes, &a) != RG_OK)
        return;
    RG_ASSERT(rg_members_encode(&a, &again) == RG_OK && rg_members_decode(rg_buf_span(&again), &b) == RG_OK);
    RG_ASSERT(a.n == b.n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    message(rg_span(data, size));
    hello(rg_span(data, size));
    members(rg_span(data, size));
    return 0;
}
