/* raft/core/rpc.c: messages as bytes, and back. */
#include "raft/core/rpc.h"

#include "base/tlv.h"

#define MSG_VERSION 2

_Static_assert(RG_MSG_DATA_BYTES_MAX + (RG_MSG_ENTRIES_MAX + 4) * 13 <= RG_MSG_BYTES_MAX, "the entries of a message fit it");
_Static_assert(RG_ENTRY_BYTES_MAX + 64 <= RG_MSG_BYTES_MAX, "any entry fits a message of its own");
_Static_assert(RG_CMD_BYTES_MAX + 64 <= RG_MSG_BYTES_MAX, "any proposal fits a message");
_Static_assert(RG_MSG_CHUNK_BYTES_MAX + 64 <= RG_MSG_BYTES_MAX, "a chunk fits a message");
_Static_assert(RG_RAFT_CONFIG_BYTES_MAX + 64 <= RG_MSG_BYTES_MAX, "a hand-over's entry fits a message");
_Static_assert(RG_MSG_LIVES <= UINT8_MAX, "a type has one byte");
_Static_assert(RG_ERR_COUNT <= UINT16_MAX, "a code has two bytes");
_Static_assert(RG_SNAP_STATUS_COUNT <= UINT8_MAX, "a status has one byte");
_Static_assert(RG_HANDOVER_STEP_COUNT <= UINT8_MAX, "a step has one byte");

/* ---- what is true of any message: before it is encoded, and once it was decoded ---- */

static void append_check(const struct rg_msg_append *m)
{
    uint64_t before = m->prev_term;

    RG_ASSERT(m->n <= RG_MSG_ENTRIES_MAX);
    RG_ASSERT(m->n == 0 || m->entries != NULL);
    RG_ASSERT(m->term != 0);
    RG_ASSERT(m->prev_term <= m->term);
    RG_ASSERT((m->prev_index == 0) == (m->prev_term == 0));
    RG_ASSERT(m->prev_index <= RG_INDEX_MAX);
    for (size_t i = 0; i < m->n; i++) {
        const struct rg_entry *entry = &m->entries[i];

        RG_ASSERT(entry->term >= before);
        RG_ASSERT(entry->term <= m->term);
        RG_ASSERT(entry->type >= RG_ENTRY_COMMAND);
        RG_ASSERT(entry->type <= RG_ENTRY_CHANGE);
        RG_ASSERT(entry->data.n <= RG_ENTRY_BYTES_MAX);
        before = entry->term;
    }
}

static void snap_offer_check(const struct rg_msg_snap_offer *m)
{
    RG_ASSERT(m->index > 0);
    RG_ASSERT(m->index_term > 0);
    RG_ASSERT(m->index_term <= m->term);
    RG_ASSERT(m->index <= RG_INDEX_MAX);
    RG_ASSERT(m->size > 0);
    RG_ASSERT(m->size <= RG_INDEX_MAX);
}

static void snap_chunk_check(const struct rg_msg_snap_chunk *m)
{
    RG_ASSERT(m->index_term > 0);
    RG_ASSERT(m->index <= RG_INDEX_MAX);
    RG_ASSERT(m->offset <= RG_INDEX_MAX);
    RG_ASSERT(m->data.n > 0);
    RG_ASSERT(m->data.n <= RG_MSG_CHUNK_BYTES_MAX);
    RG_ASSERT(m->data.p != NULL);
}

static void handover_check(const struct rg_msg_handover *m)
{
    RG_ASSERT(m->config.n <= RG_RAFT_CONFIG_BYTES_MAX);
    RG_ASSERT(m->step < RG_HANDOVER_STEP_COUNT);
    RG_ASSERT(m->term != 0);
    RG_ASSERT(m->last_term != 0);
    RG_ASSERT(m->last_index <= RG_INDEX_MAX);
}

static void msg_check(const struct rg_msg *m)
{
    switch (m->type) {
    case RG_MSG_APPEND:
        append_check(&m->append);
        return;
    case RG_MSG_APPEND_RESULT:
        RG_ASSERT(m->append_result.term != 0);
        RG_ASSERT(m->append_result.rejected <= RG_INDEX_MAX);
        RG_ASSERT(m->append_result.last_index <= RG_INDEX_MAX);
        return;
    case RG_MSG_VOTE:
        RG_ASSERT(m->vote.term != 0);
        RG_ASSERT(m->vote.candidate != 0);
        RG_ASSERT(m->vote.last_index <= RG_INDEX_MAX);
        return;
    case RG_MSG_TIMEOUT_NOW:
        RG_ASSERT(m->timeout_now.term != 0);
        return;
    case RG_MSG_ANNOUNCE:
        RG_ASSERT(m->announce.term != 0);
        RG_ASSERT(m->announce.index <= RG_INDEX_MAX);
        return;
    case RG_MSG_SNAP_OFFER:
        snap_offer_check(&m->snap_offer);
        return;
    case RG_MSG_SNAP_ACK:
        RG_ASSERT(m->snap_ack.status < RG_SNAP_STATUS_COUNT);
        RG_ASSERT(m->snap_ack.index_term > 0);
        RG_ASSERT(m->snap_ack.index <= RG_INDEX_MAX);
        RG_ASSERT(m->snap_ack.offset <= RG_INDEX_MAX);
        return;
    case RG_MSG_SNAP_CHUNK:
        snap_chunk_check(&m->snap_chunk);
        return;
    case RG_MSG_PROPOSE:
        RG_ASSERT(m->propose.cmd.n > 0);
        RG_ASSERT(m->propose.cmd.n <= RG_CMD_BYTES_MAX);
        return;
    case RG_MSG_PROPOSED:
        RG_ASSERT(m->proposed.err < RG_ERR_COUNT);
        RG_ASSERT(m->proposed.reply.err < RG_ERR_COUNT);
        RG_ASSERT(m->proposed.rev.index <= RG_INDEX_MAX);
        return;
    case RG_MSG_FENCE:
        RG_ASSERT(m->fence.epoch <= UINT32_MAX);
        return;
    case RG_MSG_FENCE_RESULT:
        RG_ASSERT(m->fence_result.epoch <= UINT32_MAX);
        RG_ASSERT(m->fence_result.last_index <= RG_INDEX_MAX);
        return;
    case RG_MSG_HANDOVER:
        handover_check(&m->handover);
        return;
    case RG_MSG_ROOM:
        RG_ASSERT((m->room.full & ~(unsigned)RG_FULL_ALL) == 0);
        return;
    case RG_MSG_CLAIMS:
        RG_ASSERT(m->claims.claims.n <= RG_CLAIMS_MAX);
        return;
    case RG_MSG_KNOW:
        RG_ASSERT(m->know.promised <= UINT32_MAX);
        RG_ASSERT(m->know.last_term <= m->know.term);
        return;
    case RG_MSG_LIVES:
        RG_ASSERT(m->lives.n <= RG_LIVES_MAX);
        return;
    case RG_MSG_REPORT:
        RG_ASSERT(m->report.durable <= RG_INDEX_MAX);
        RG_ASSERT(m->report.index <= RG_INDEX_MAX);
        return;
    case RG_MSG_WHO:
    case RG_MSG_VOTE_RESULT: /* of a node that has heard nothing yet: term 0, and its peer refuses it */
        return;
    case RG_MSG_INSTALL:
        RG_ASSERT(false && "an INSTALL never goes on the wire");
    }
}

/* ---- encoding ---- */

static void put_append(const struct rg_msg_append *m, struct rg_buf *out)
{
    rg_buf_put_u64(out, m->term);
    rg_buf_put_u64(out, m->prev_index);
    rg_buf_put_u64(out, m->prev_term);
    rg_buf_put_u64(out, m->commit);
    rg_buf_put_u32(out, (uint32_t)m->n);
    for (size_t i = 0; i < m->n; i++) {
        rg_buf_put_u64(out, m->entries[i].term);
        rg_buf_put_u8(out, (uint8_t)m->entries[i].type);
        rg_buf_put_u32(out, (uint32_t)m->entries[i].data.n);
        rg_buf_put(out, m->entries[i].data.p, m->entries[i].data.n);
    }
}

static void put_proposed(const struct rg_msg_proposed *m, struct rg_buf *out)
{
    rg_buf_put_u64(out, m->number);
    rg_buf_put_u16(out, (uint16_t)m->err);
    rg_buf_put_u64(out, m->rev.epoch);
    rg_buf_put_u64(out, m->rev.index);
    rg_buf_put_u16(out, (uint16_t)m->reply.err);
    rg_buf_put_u16(out, (uint16_t)m->reply.why);
    rg_buf_put(out, m->reply.id.b, sizeof m->reply.id.b);
    rg_buf_put(out, m->reply.psid.b, sizeof m->reply.psid.b);
    rg_buf_put_u64(out, m->reply.version);
    rg_buf_put(out, m->reply.state, sizeof m->reply.state);
}

static void put_know(const struct rg_msg_know *m, struct rg_buf *out)
{
    rg_buf_put_u64(out, m->number);
    rg_buf_put_u8(out, m->asking);
    rg_buf_put_u8(out, m->level);
    rg_buf_put_u8(out, m->cold);
    rg_buf_put_u8(out, m->leads);
    rg_buf_put_u64(out, m->term);
    rg_buf_put_u64(out, m->promised);
    rg_buf_put_u64(out, m->last_term);
    rg_buf_put_u64(out, m->last_index);
    rg_buf_put_u32(out, m->regions);
    rg_buf_put_u32(out, m->lease_ms);
}

static void put_fence_result(const struct rg_msg_fence_result *m, struct rg_buf *out)
{
    rg_buf_put_u64(out, m->number);
    rg_buf_put_u8(out, m->promised);
    rg_buf_put_u8(out, m->voter);
    rg_buf_put_u8(out, m->leader);
    rg_buf_put_u64(out, m->epoch);
    rg_buf_put_u64(out, m->last_term);
    rg_buf_put_u64(out, m->last_index);
    rg_buf_put_u64(out, m->lease_left_ms);
    rg_buf_put_u64(out, m->primary_heard_ms);
}

static void put_handover(const struct rg_msg_handover *m, struct rg_buf *out)
{
    rg_buf_put_u64(out, m->number);
    rg_buf_put_u8(out, (uint8_t)m->step);
    rg_buf_put_u64(out, m->term);
    rg_buf_put_u64(out, m->last_index);
    rg_buf_put_u64(out, m->last_term);
    rg_buf_put_u32(out, (uint32_t)m->config.n);
    rg_buf_put(out, m->config.p, m->config.n);
}

static void put_room(const struct rg_msg_room *m, struct rg_buf *out)
{
    rg_buf_put_u64(out, m->room.state_bytes);
    rg_buf_put_u64(out, m->room.state_bytes_max);
    rg_buf_put_u64(out, m->room.memory_free);
    rg_buf_put_u64(out, m->room.memory_total);
    rg_buf_put_u64(out, m->room.disk_free);
    rg_buf_put_u64(out, m->room.disk_total);
    rg_buf_put_u32(out, m->full);
}

/* Raft's own. */
static void put_raft(const struct rg_msg *msg, struct rg_buf *out)
{
    RG_ASSERT(msg->type <= RG_MSG_TIMEOUT_NOW);
    RG_ASSERT(msg->type != RG_MSG_INSTALL);
    switch (msg->type) {
    case RG_MSG_APPEND:
        put_append(&msg->append, out);
        break;
    case RG_MSG_APPEND_RESULT:
        rg_buf_put_u64(out, msg->append_result.term);
        rg_buf_put_u64(out, msg->append_result.rejected);
        rg_buf_put_u64(out, msg->append_result.last_index);
        rg_buf_put_u16(out, msg->append_result.features);
        rg_buf_put_u16(out, msg->append_result.capacity);
        break;
    case RG_MSG_VOTE:
        rg_buf_put_u64(out, msg->vote.term);
        rg_buf_put_u64(out, msg->vote.candidate);
        rg_buf_put_u64(out, msg->vote.last_index);
        rg_buf_put_u64(out, msg->vote.last_term);
        rg_buf_put_u8(out, msg->vote.disrupt);
        rg_buf_put_u8(out, msg->vote.pre_vote);
        break;
    case RG_MSG_VOTE_RESULT:
        rg_buf_put_u64(out, msg->vote_result.term);
        rg_buf_put_u8(out, msg->vote_result.granted);
        rg_buf_put_u8(out, msg->vote_result.pre_vote);
        rg_buf_put_u16(out, msg->vote_result.features);
        rg_buf_put_u16(out, msg->vote_result.capacity);
        break;
    case RG_MSG_TIMEOUT_NOW:
        rg_buf_put_u64(out, msg->timeout_now.term);
        rg_buf_put_u64(out, msg->timeout_now.last_index);
        rg_buf_put_u64(out, msg->timeout_now.last_term);
        break;
    default:
        break;
    }
}

void rg_rpc_encode(const struct rg_msg *msg, struct rg_buf *out)
{
    msg_check(msg);
    rg_buf_put_u8(out, (uint8_t)msg->type);
    rg_buf_put_u8(out, MSG_VERSION);
    switch (msg->type) {
    case RG_MSG_APPEND:
    case RG_MSG_APPEND_RESULT:
    case RG_MSG_VOTE:
    case RG_MSG_VOTE_RESULT:
    case RG_MSG_TIMEOUT_NOW:
        put_raft(msg, out);
        break;
    case RG_MSG_ANNOUNCE:
        rg_buf_put_u64(out, msg->announce.term);
        rg_buf_put_u64(out, msg->announce.commit);
        rg_buf_put_u64(out, msg->announce.index);
        rg_buf_put_u64(out, msg->announce.index_term);
        rg_buf_put(out, msg->announce.hash, sizeof msg->announce.hash);
        rg_buf_put_u64(out, msg->announce.stamp);
        rg_buf_put_u32(out, msg->announce.lease_ms);
        break;
    case RG_MSG_REPORT:
        rg_buf_put_u64(out, msg->report.term);
        rg_buf_put_u64(out, msg->report.durable);
        rg_buf_put_u64(out, msg->report.index);
        rg_buf_put_u64(out, msg->report.index_term);
        rg_buf_put(out, msg->report.hash, sizeof msg->report.hash);
        rg_buf_put_u64(out, msg->report.stamp);
        rg_buf_put_u32(out, msg->report.lease_ms);
        break;
    case RG_MSG_SNAP_OFFER:
        rg_buf_put_u64(out, msg->snap_offer.term);
        rg_buf_put_u64(out, msg->snap_offer.index);
        rg_buf_put_u64(out, msg->snap_offer.index_term);
        rg_buf_put_u64(out, msg->snap_offer.size);
        break;
    case RG_MSG_SNAP_ACK:
        rg_buf_put_u64(out, msg->snap_ack.index);
        rg_buf_put_u64(out, msg->snap_ack.index_term);
        rg_buf_put_u64(out, msg->snap_ack.offset);
        rg_buf_put_u8(out, (uint8_t)msg->snap_ack.status);
        break;
    case RG_MSG_SNAP_CHUNK:
        rg_buf_put_u64(out, msg->snap_chunk.index);
        rg_buf_put_u64(out, msg->snap_chunk.index_term);
        rg_buf_put_u64(out, msg->snap_chunk.offset);
        rg_buf_put_u32(out, (uint32_t)msg->snap_chunk.data.n);
        rg_buf_put(out, msg->snap_chunk.data.p, msg->snap_chunk.data.n);
        break;
    case RG_MSG_PROPOSE:
        rg_buf_put_u64(out, msg->propose.number);
        rg_buf_put_u32(out, (uint32_t)msg->propose.cmd.n);
        rg_buf_put(out, msg->propose.cmd.p, msg->propose.cmd.n);
        break;
    case RG_MSG_PROPOSED:
        put_proposed(&msg->proposed, out);
        break;
    case RG_MSG_FENCE:
        rg_buf_put_u64(out, msg->fence.number);
        rg_buf_put_u64(out, msg->fence.epoch);
        rg_buf_put_u64(out, msg->fence.ceded);
        break;
    case RG_MSG_FENCE_RESULT:
        put_fence_result(&msg->fence_result, out);
        break;
    case RG_MSG_HANDOVER:
        put_handover(&msg->handover, out);
        break;
    case RG_MSG_ROOM:
        put_room(&msg->room, out);
        break;
    case RG_MSG_CLAIMS:
        rg_buf_put_u64(out, msg->claims.term);
        rg_buf_put_u32(out, (uint32_t)msg->claims.claims.n);
        rg_claims_encode(&msg->claims.claims, out);
        break;
    case RG_MSG_WHO:
        rg_buf_put_u64(out, msg->who.number);
        break;
    case RG_MSG_KNOW:
        put_know(&msg->know, out);
        break;
    case RG_MSG_LIVES:
        rg_buf_put_u8(out, (uint8_t)msg->lives.n);
        rg_lives_encode(&msg->lives, out);
        break;
    case RG_MSG_INSTALL:
        break;
    }
}

/* ---- decoding ---- */

static uint64_t get_index(struct rg_cursor *cur)
{
    uint64_t v = rg_cursor_u64(cur);

    if (v > RG_INDEX_MAX)
        cur->bad = true;
    return v;
}

static uint64_t get_term(struct rg_cursor *cur)
{
    uint64_t v = rg_cursor_u64(cur);

    if (v == 0 || v > RG_TERM_MAX)
        cur->bad = true;
    return v;
}

static bool get_bool(struct rg_cursor *cur)
{
    uint8_t v = rg_cursor_u8(cur);

    if (v > 1)
        cur->bad = true;
    return v == 1;
}

static void get_hash(struct rg_cursor *cur, uint8_t out[RG_STATE_HASH_BYTES])
{
    struct rg_span bytes = rg_cursor_bytes(cur, RG_STATE_HASH_BYTES);

    memset(out, 0, RG_STATE_HASH_BYTES);
    if (bytes.n == RG_STATE_HASH_BYTES)
        memcpy(out, bytes.p, bytes.n);
}

/* Terms never fall along a log, and none is later than the term it is sent in: libraft relies on both and checks neither. */
static void get_append(struct rg_cursor *cur, struct rg_entry *entries, struct rg_msg_append *m)
{
    uint64_t before;

    m->term = get_term(cur);
    m->prev_index = get_index(cur);
    m->prev_term = rg_cursor_u64(cur);
    m->commit = get_index(cur);
    m->n = rg_cursor_u32(cur);
    m->entries = entries;
    if (m->n > RG_MSG_ENTRIES_MAX || (m->prev_index == 0) != (m->prev_term == 0) || m->prev_term > m->term)
        cur->bad = true;
    before = m->prev_term;
    for (size_t i = 0; !cur->bad && i < m->n; i++) {
        uint32_t n;

        RG_ASSERT(i < RG_MSG_ENTRIES_MAX);
        entries[i].term = get_term(cur);
        entries[i].type = (enum rg_entry_type)rg_cursor_u8(cur);
        n = rg_cursor_u32(cur);
        if (n > RG_ENTRY_BYTES_MAX || entries[i].type < RG_ENTRY_COMMAND || entries[i].type > RG_ENTRY_CHANGE ||
            entries[i].term < before || entries[i].term > m->term) {
            cur->bad = true;
            return;
        }
        entries[i].data = rg_cursor_bytes(cur, n);
        before = entries[i].term;
    }
}

static void get_chunk(struct rg_cursor *cur, struct rg_msg_snap_chunk *m)
{
    uint32_t n;

    m->index = get_index(cur);
    m->index_term = get_term(cur);
    m->offset = get_index(cur);
    n = rg_cursor_u32(cur);
    if (n == 0 || n > RG_MSG_CHUNK_BYTES_MAX)
        cur->bad = true;
    else
        m->data = rg_cursor_bytes(cur, n);
}

static void get_bytes(struct rg_cursor *cur, uint8_t *out, size_t n)
{
    struct rg_span bytes = rg_cursor_bytes(cur, n);

    memset(out, 0, n);
    if (bytes.n == n)
        memcpy(out, bytes.p, n);
}

static enum rg_err get_err(struct rg_cursor *cur)
{
    uint16_t v = rg_cursor_u16(cur);

    if (v >= RG_ERR_COUNT)
        cur->bad = true;
    return (enum rg_err)v;
}

static void get_proposed(struct rg_cursor *cur, struct rg_msg_proposed *m)
{
    m->number = rg_cursor_u64(cur);
    m->err = get_err(cur);
    m->rev.epoch = rg_cursor_u64(cur);
    m->rev.index = get_index(cur);
    m->reply.err = get_err(cur);
    m->reply.why = (enum rg_why)rg_cursor_u16(cur);
    get_bytes(cur, m->reply.id.b, sizeof m->reply.id.b);
    get_bytes(cur, m->reply.psid.b, sizeof m->reply.psid.b);
    m->reply.version = rg_cursor_u64(cur);
    get_bytes(cur, m->reply.state, sizeof m->reply.state);
}

static uint64_t get_epoch(struct rg_cursor *cur)
{
    uint64_t v = rg_cursor_u64(cur);

    if (v > UINT32_MAX)
        cur->bad = true;
    return v;
}

static void get_know(struct rg_cursor *cur, struct rg_msg_know *m)
{
    m->number = rg_cursor_u64(cur);
    m->asking = get_bool(cur);
    m->level = get_bool(cur);
    m->cold = get_bool(cur);
    m->leads = get_bool(cur);
    m->term = rg_cursor_u64(cur); /* 0 from a node that has heard nothing yet */
    m->promised = get_epoch(cur);
    m->last_term = rg_cursor_u64(cur);
    m->last_index = get_index(cur);
    if (m->term > RG_TERM_MAX)
        cur->bad = true;
    m->regions = rg_cursor_u32(cur);
    m->lease_ms = rg_cursor_u32(cur);
    if ((m->last_term == 0) != (m->last_index == 0) || m->last_term > m->term)
        cur->bad = true;
}

static void get_lives(struct rg_cursor *cur, struct rg_lives *lives)
{
    uint8_t n = rg_cursor_u8(cur);

    if (rg_lives_decode(rg_cursor_bytes(cur, rg_cursor_left(cur)), lives) != RG_OK || lives->n != n)
        cur->bad = true;
}

static void get_fence_result(struct rg_cursor *cur, struct rg_msg_fence_result *m)
{
    m->number = rg_cursor_u64(cur);
    m->promised = get_bool(cur);
    m->voter = get_bool(cur);
    m->leader = get_bool(cur);
    m->epoch = get_epoch(cur);
    m->last_term = rg_cursor_u64(cur);
    m->last_index = get_index(cur);
    m->lease_left_ms = rg_cursor_u64(cur);
    m->primary_heard_ms = rg_cursor_u64(cur);
}

static void get_handover(struct rg_cursor *cur, struct rg_msg_handover *m)
{
    uint8_t step;
    uint32_t n;

    m->number = rg_cursor_u64(cur);
    step = rg_cursor_u8(cur);
    m->step = (enum rg_handover_step)step;
    m->term = get_term(cur);
    m->last_index = get_index(cur);
    m->last_term = get_term(cur);
    n = rg_cursor_u32(cur);
    if (step >= RG_HANDOVER_STEP_COUNT || n > RG_RAFT_CONFIG_BYTES_MAX)
        cur->bad = true;
    else
        m->config = rg_cursor_bytes(cur, n);
}

/* What a later release may find full besides is none of this one's. */
static void get_room(struct rg_cursor *cur, struct rg_msg_room *m)
{
    m->room.state_bytes = rg_cursor_u64(cur);
    m->room.state_bytes_max = rg_cursor_u64(cur);
    m->room.memory_free = rg_cursor_u64(cur);
    m->room.memory_total = rg_cursor_u64(cur);
    m->room.disk_free = rg_cursor_u64(cur);
    m->room.disk_total = rg_cursor_u64(cur);
    m->full = rg_cursor_u32(cur) & RG_FULL_ALL;
}

static void get_claims(struct rg_cursor *cur, struct rg_msg_claims *m)
{
    struct rg_span rows;
    uint32_t n;

    m->term = get_term(cur);
    n = rg_cursor_u32(cur);
    rows = rg_cursor_bytes(cur, n <= RG_CLAIMS_MAX ? n * RG_CLAIM_BYTES : SIZE_MAX);
    if (cur->bad || rg_claims_decode(rows, &m->claims) != RG_OK)
        cur->bad = true;
}

/* Raft's own. */
static void get_raft(struct rg_cursor *cur, struct rg_entry *entries, struct rg_msg *m)
{
    RG_ASSERT(m->type <= RG_MSG_TIMEOUT_NOW);
    RG_ASSERT(m->type != RG_MSG_INSTALL);
    switch (m->type) {
    case RG_MSG_APPEND:
        get_append(cur, entries, &m->append);
        return;
    case RG_MSG_APPEND_RESULT:
        m->append_result.term = get_term(cur);
        m->append_result.rejected = get_index(cur);
        m->append_result.last_index = get_index(cur);
        m->append_result.features = rg_cursor_u16(cur);
        m->append_result.capacity = rg_cursor_u16(cur);
        return;
    case RG_MSG_VOTE:
        m->vote.term = get_term(cur);
        m->vote.candidate = get_term(cur);
        m->vote.last_index = get_index(cur);
        m->vote.last_term = rg_cursor_u64(cur);
        m->vote.disrupt = get_bool(cur);
        m->vote.pre_vote = get_bool(cur);
        return;
    case RG_MSG_VOTE_RESULT:
        m->vote_result.term = get_term(cur);
        m->vote_result.granted = get_bool(cur);
        m->vote_result.pre_vote = get_bool(cur);
        m->vote_result.features = rg_cursor_u16(cur);
        m->vote_result.capacity = rg_cursor_u16(cur);
        return;
    case RG_MSG_TIMEOUT_NOW:
        m->timeout_now.term = get_term(cur);
        m->timeout_now.last_index = get_index(cur);
        m->timeout_now.last_term = rg_cursor_u64(cur);
        return;
    default:
        return;
    }
}

static void get_body(struct rg_cursor *cur, struct rg_entry *entries, struct rg_msg *m)
{
    uint8_t status;
    uint32_t n;

    switch (m->type) {
    case RG_MSG_APPEND:
    case RG_MSG_APPEND_RESULT:
    case RG_MSG_VOTE:
    case RG_MSG_VOTE_RESULT:
    case RG_MSG_TIMEOUT_NOW:
        get_raft(cur, entries, m);
        return;
    case RG_MSG_ANNOUNCE:
        m->announce.term = get_term(cur);
        m->announce.commit = get_index(cur);
        m->announce.index = get_index(cur);
        m->announce.index_term = rg_cursor_u64(cur);
        get_hash(cur, m->announce.hash);
        m->announce.stamp = rg_cursor_u64(cur);
        m->announce.lease_ms = rg_cursor_u32(cur);
        return;
    case RG_MSG_REPORT:
        m->report.term = rg_cursor_u64(cur); /* 0 from a node that has heard nothing yet */
        m->report.durable = get_index(cur);
        m->report.index = get_index(cur);
        m->report.index_term = rg_cursor_u64(cur);
        get_hash(cur, m->report.hash);
        m->report.stamp = rg_cursor_u64(cur);
        m->report.lease_ms = rg_cursor_u32(cur);
        return;
    case RG_MSG_SNAP_OFFER:
        m->snap_offer.term = get_term(cur);
        m->snap_offer.index = get_index(cur);
        m->snap_offer.index_term = get_term(cur);
        m->snap_offer.size = get_index(cur);
        if (m->snap_offer.index == 0 || m->snap_offer.size == 0 || m->snap_offer.index_term > m->snap_offer.term)
            cur->bad = true;
        return;
    case RG_MSG_SNAP_ACK:
        m->snap_ack.index = get_index(cur);
        m->snap_ack.index_term = get_term(cur);
        m->snap_ack.offset = get_index(cur);
        status = rg_cursor_u8(cur);
        if (status >= RG_SNAP_STATUS_COUNT)
            cur->bad = true;
        m->snap_ack.status = (enum rg_snap_status)status;
        return;
    case RG_MSG_SNAP_CHUNK:
        get_chunk(cur, &m->snap_chunk);
        return;
    case RG_MSG_PROPOSE:
        m->propose.number = rg_cursor_u64(cur);
        n = rg_cursor_u32(cur);
        if (n == 0 || n > RG_CMD_BYTES_MAX)
            cur->bad = true;
        else
            m->propose.cmd = rg_cursor_bytes(cur, n);
        return;
    case RG_MSG_PROPOSED:
        get_proposed(cur, &m->proposed);
        return;
    case RG_MSG_FENCE:
        m->fence.number = rg_cursor_u64(cur);
        m->fence.epoch = get_epoch(cur);
        m->fence.ceded = rg_cursor_u64(cur);
        return;
    case RG_MSG_FENCE_RESULT:
        get_fence_result(cur, &m->fence_result);
        return;
    case RG_MSG_HANDOVER:
        get_handover(cur, &m->handover);
        return;
    case RG_MSG_ROOM:
        get_room(cur, &m->room);
        return;
    case RG_MSG_CLAIMS:
        get_claims(cur, &m->claims);
        return;
    case RG_MSG_WHO:
        m->who.number = rg_cursor_u64(cur);
        return;
    case RG_MSG_KNOW:
        get_know(cur, &m->know);
        return;
    case RG_MSG_LIVES:
        get_lives(cur, &m->lives);
        return;
    case RG_MSG_INSTALL:
        break;
    }
    cur->bad = true;
}

enum rg_err rg_rpc_decode(struct rg_span bytes, struct rg_entry entries[RG_MSG_ENTRIES_MAX], struct rg_msg *ret_msg,
                          struct rg_errctx *ctx)
{
    struct rg_cursor cur;
    struct rg_msg m;
    uint8_t version;

    memset(&m, 0, sizeof m);
    rg_cursor_init(&cur, bytes);
    m.type = (enum rg_msg_type)rg_cursor_u8(&cur);
    version = rg_cursor_u8(&cur);
    if (cur.bad || version != MSG_VERSION)
        return rg_fail(ctx, RG_EMALFORMED, "message of %zu bytes, version %u: %u is spoken here", bytes.n, version,
                       MSG_VERSION);
    get_body(&cur, entries, &m);
    if (cur.bad || cur.p != cur.end)
        return rg_fail(ctx, RG_EMALFORMED, "malformed message: type %u, %zu bytes", (unsigned)m.type, bytes.n);
    msg_check(&m);
    *ret_msg = m;
    return RG_OK;
}

const char *rg_msg_type_name(enum rg_msg_type type)
{
    switch (type) {
    case RG_MSG_APPEND:
        return "append";
    case RG_MSG_APPEND_RESULT:
        return "append-result";
    case RG_MSG_VOTE:
        return "vote";
    case RG_MSG_VOTE_RESULT:
        return "vote-result";
    case RG_MSG_INSTALL:
        return "install";
    case RG_MSG_TIMEOUT_NOW:
        return "timeout-now";
    case RG_MSG_ANNOUNCE:
        return "announce";
    case RG_MSG_REPORT:
        return "report";
    case RG_MSG_SNAP_OFFER:
        return "snap-offer";
    case RG_MSG_SNAP_ACK:
        return "snap-ack";
    case RG_MSG_SNAP_CHUNK:
        return "snap-chunk";
    case RG_MSG_PROPOSE:
        return "propose";
    case RG_MSG_PROPOSED:
        return "proposed";
    case RG_MSG_FENCE:
        return "fence";
    case RG_MSG_FENCE_RESULT:
        return "fence-result";
    case RG_MSG_HANDOVER:
        return "handover";
    case RG_MSG_ROOM:
        return "room";
    case RG_MSG_CLAIMS:
        return "claims";
    case RG_MSG_WHO:
        return "who";
    case RG_MSG_KNOW:
        return "know";
    case RG_MSG_LIVES:
        return "lives";
    }
    return "?";
}

uint64_t rg_msg_term(const struct rg_msg *m)
{
    switch (m->type) {
    case RG_MSG_APPEND:
        return m->append.term;
    case RG_MSG_VOTE:
        return m->vote.term;
    case RG_MSG_VOTE_RESULT:
        return m->vote_result.term;
    case RG_MSG_TIMEOUT_NOW:
        return m->timeout_now.term;
    case RG_MSG_SNAP_OFFER:
        return m->snap_offer.term;
    default:
        return 0;
    }
}
