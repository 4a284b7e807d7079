/* raft/log/wal.c: the log at work: when what is written, and what follows a write. */
#include "raft/log/wal_priv.h"

static const uint32_t reset_may[] = {
    [WAL_RESET_NONE] = RG_BIT(WAL_RESET_WANTED),
    [WAL_RESET_WANTED] = RG_BIT(WAL_RESET_WRITING),
    [WAL_RESET_WRITING] = RG_BIT(WAL_RESET_NONE) | RG_BIT(WAL_RESET_WANTED), /* back: there was no room */
};
static const char *const reset_names[] = {"NONE", "WANTED", "WRITING"};
const struct rg_sm_table wal_resets = RG_SM_TABLE("log reset", reset_may, reset_names);

/* ---- small things ---- */

/* The current segment is the last of the list and has a record at its beginning; the one made ahead comes behind it, and no record
 * was sealed for it yet, so no nonce is used twice. */
static void segments_check(const struct rg_wal *wal)
{
    const struct wal_segment *current = wal->current, *ready = wal->ready;

    RG_ASSERT(wal->segments != NULL);
    RG_ASSERT(wal->tail == &current->next);
    RG_ASSERT(*wal->tail == NULL);
    RG_ASSERT(current->seq <= wal->seq_last);
    RG_ASSERT(current->number > 0);
    RG_ASSERT(current->base != UINT64_MAX);
    RG_ASSERT(current->position > WAL_HEADER_BYTES);
    RG_ASSERT(current->position <= current->size);
    RG_ASSERT(current->position % WAL_ALIGN == 0);
    RG_ASSERT(wal->marked <= current->position);
    RG_ASSERT(wal->marked % WAL_ALIGN == 0);
    if (ready == NULL)
        return;
    RG_ASSERT(ready->seq > current->seq);
    RG_ASSERT(ready->seq <= wal->seq_last);
    RG_ASSERT(ready->number == 0);
    RG_ASSERT(ready->position == WAL_HEADER_BYTES);
    RG_ASSERT(!wal->preparing.busy);
}

/* base ≤ durable < next_unwritten ≤ last + 1: what is gone, on disk, handed to a write, and in memory. Each job holds the log. Until
 * a reset is on disk nothing behind its snapshot is. */
void wal_check(const struct rg_wal *wal)
{
    segments_check(wal);
    RG_ASSERT(wal->log.base <= wal->durable);
    RG_ASSERT(wal->durable < wal->next_unwritten);
    RG_ASSERT(wal->next_unwritten <= wal_log_last(&wal->log) + 1);
    RG_ASSERT((wal->durable == 0) == (wal_log_term(&wal->log, wal->durable) == 0));
    RG_ASSERT(wal->holds >= (unsigned)wal->writing + wal->marking.busy + wal->preparing.busy);
    RG_ASSERT(!wal->writing || wal->write.generation <= wal->generation);
    if (wal->writing && wal->write.generation == wal->generation)
        RG_ASSERT(wal->next_unwritten <= wal->write.last + 1);
    if (wal->reset.state == WAL_RESET_NONE)
        return;
    RG_ASSERT(wal->reset.state != WAL_RESET_WRITING || wal->writing || wal->dead || wal->closing);
    RG_ASSERT(wal->durable == wal->log.base);
    RG_ASSERT(wal->next_unwritten == wal->log.base + 1);
    RG_ASSERT(!wal->cut);
    RG_ASSERT(wal->generation > 0);
}

void wal_hold(struct rg_wal *wal)
{
    RG_ASSERT(!wal->closing || wal->holds > 0); /* else it is gone */
    wal->holds++;
}

static void destroy(struct rg_wal *wal)
{
    struct rg_io *io = wal->config.io;

    RG_ASSERT(wal->closing);
    RG_ASSERT(wal->holds == 0);
    RG_ASSERT(!wal->writing);
    RG_ASSERT(!wal->marking.busy);
    RG_ASSERT(!wal->preparing.busy);
    RG_ASSERT(wal->preparing.segment == NULL);
    while (wal->segments != NULL) {
        struct wal_segment *next = wal->segments->next;

        wal_segment_free(io, wal->segments);
        wal->segments = next;
    }
    wal_segment_free(io, wal->ready);
    wal_log_deinit(&wal->log);
    rg_buf_deinit(&wal->write.plain);
    rg_buf_deinit(&wal->write.out);
    rg_buf_deinit(&wal->marking.out);
    free(wal->dir);
    free(wal->strings);
    free(wal);
}

void wal_release(struct rg_wal *wal)
{
    RG_ASSERT(wal->holds > 0);
    wal->holds--;
    wal_check(wal);
    if (wal->holds == 0 && wal->closing)
        destroy(wal);
}

void wal_die(struct rg_wal *wal, enum rg_err err, const struct rg_errctx *ctx)
{
    if (wal->dead || wal->closing)
        return;
    RG_ASSERT(err != RG_OK);
    wal->dead = err;
    if (wal->config.on_error != NULL)
        wal->config.on_error(wal->config.arg, err, rg_errctx_text(ctx, err));
}

void wal_push_segment(struct rg_wal *wal, struct wal_segment *segment)
{
    RG_ASSERT(*wal->tail == NULL);
    if (wal->segments != NULL)
        RG_ASSERT(RG_CONTAINER(wal->tail, struct wal_segment, next)->seq < segment->seq);
    segment->next = NULL;
    *wal->tail = segment;
    wal->tail = &segment->next;
}

static uint64_t segment_bytes(const struct rg_wal *wal, uint64_t room)
{
    uint64_t need =
        (WAL_HEADER_BYTES + room + WAL_SEGMENT_BYTES_MIN - 1) / WAL_SEGMENT_BYTES_MIN * WAL_SEGMENT_BYTES_MIN;

    RG_ASSERT(need <= WAL_SEGMENT_BYTES_MAX); /* of a record of WAL_PLAIN_BYTES_MAX */
    return RG_MAX(need, (uint64_t)wal->config.segment_bytes);
}

/* ---- reading ---- */

uint64_t rg_wal_first(const struct rg_wal *wal) { return wal->log.base + 1; }
uint64_t rg_wal_last(const struct rg_wal *wal) { return wal_log_last(&wal->log); }
uint64_t rg_wal_term(const struct rg_wal *wal, uint64_t index) { return wal_log_term(&wal->log, index); }
size_t rg_wal_bytes(const struct rg_wal *wal) { return wal->log.bytes; }
uint64_t rg_wal_durable(const struct rg_wal *wal) { return RG_BUG(wal_durable_early) ? wal->next_unwritten - 1 : wal->durable; }
bool rg_wal_busy(const struct rg_wal *wal) { return wal->writing || wal->stalled; }
bool rg_wal_full(const struct rg_wal *wal) { return wal->retry_ms != 0; }
bool rg_wal_stalled(const struct rg_wal *wal) { return wal->stalled; }
bool rg_wal_begun(const struct rg_wal *wal) { return !wal->starting; }
uint64_t rg_wal_aside(const struct rg_wal *wal) { return wal->aside; }

bool rg_wal_writing(const struct rg_wal *wal, uint64_t *ret_number)
{
    *ret_number = wal->writes;
    return wal->writing;
}

bool rg_wal_get(const struct rg_wal *wal, uint64_t index, struct rg_entry *ret_entry)
{
    const struct wal_slot *slot = wal_log_at(&wal->log, index);

    if (slot == NULL)
        return false;
    *ret_entry = (struct rg_entry){slot->term, (enum rg_entry_type)slot->type, rg_span(slot->p, slot->n)};
    return true;
}

/* ---- changing memory ---- */

static enum rg_err check_entries(const struct rg_wal *wal, const struct rg_entry *entries, size_t n, size_t *ret_bytes)
{
    uint64_t term = wal_log_term(&wal->log, wal_log_last(&wal->log));
    size_t bytes = 0;

    for (size_t i = 0; i < n; i++) {
        if (entries[i].term == 0 || entries[i].term < term || entries[i].type < RG_ENTRY_COMMAND ||
            entries[i].type > RG_ENTRY_CHANGE)
            return RG_EINVALID;
        if (entries[i].data.n > WAL_ENTRY_BYTES_MAX)
            return RG_ETOOBIG;
        term = entries[i].term;
        bytes += entries[i].data.n;
    }
    *ret_bytes = bytes;
    return RG_OK;
}

enum rg_err rg_wal_append(struct rg_wal *wal, const struct rg_entry *entries, size_t n)
{
    struct wal_chunk *chunk;
    enum rg_err err;
    uint8_t *to;
    size_t bytes;

    if (wal->dead || wal->closing)
        return wal->dead ? wal->dead : RG_ESTOPPED;
    RG_ASSERT(n == 0 || entries != NULL);
    err = check_entries(wal, entries, n, &bytes);
    if (!err)
        err = wal_log_reserve(&wal->log, n);
    if (err)
        return err;
    chunk = wal_chunk_new(bytes);
    if (chunk == NULL)
        return RG_ENOMEM;
    to = chunk->data;
    for (size_t i = 0; i < n; i++) {
        const struct rg_entry *entry = &entries[i];

        RG_ASSERT(entry->data.n == 0 || entry->data.p != NULL);
        if (entry->data.n > 0)
            memcpy(to, entry->data.p, entry->data.n);
        wal_log_push(&wal->log, entry->term, (uint8_t)entry->type, to, entry->data.n, chunk);
        to += entry->data.n;
    }
    RG_ASSERT(to == chunk->data + bytes);
    wal_chunk_unref(chunk);
    wal_check(wal);
    return RG_OK;
}

enum rg_err rg_wal_truncate(struct rg_wal *wal, uint64_t index)
{
    if (wal->dead || wal->closing)
        return wal->dead ? wal->dead : RG_ESTOPPED;
    if (index <= wal->log.base)
        return RG_EINVALID;
    wal_log_truncate(&wal->log, index);
    RG_ASSERT(wal_log_last(&wal->log) < index);
    if (index < wal->next_unwritten) {
        wal->next_unwritten = index;
        wal->cut = true;
    }
    if (wal->durable >= index)
        wal->durable = index - 1;
    RG_ASSERT(wal->durable < index); /* it is told of what comes in their place */
    wal_check(wal);
    return RG_OK;
}

/* ---- writing ---- */

/* Entries from next_unwritten on, as many as a record takes, into write->plain. RG_ENOMEM. */
static enum rg_err encode_batch(struct rg_wal *wal)
{
    struct wal_write *write = &wal->write;
    uint64_t last = wal_log_last(&wal->log), index = wal->next_unwritten;

    RG_ASSERT(!wal->writing);
    rg_buf_clear(&write->plain);
    for (; index <= last; index++) {
        const struct wal_slot *slot = wal_log_at(&wal->log, index);
        uint8_t *to;
        size_t n;

        RG_ASSERT(slot != NULL);
        RG_ASSERT(slot->n <= WAL_ENTRY_BYTES_MAX); /* what is unwritten came by rg_wal_append */
        n = WAL_ENTRY_HEADER_BYTES + slot->n;
        if (write->plain.len > 0 && write->plain.len + n > wal->config.batch_bytes_max)
            break;
        to = rg_buf_reserve(&write->plain, n);
        if (to == NULL)
            return write->plain.err;
        for (size_t i = 0; i < 8; i++)
            to[i] = (uint8_t)(slot->term >> (8 * i));
        to[8] = slot->type;
        for (size_t i = 0; i < 4; i++)
            to[9 + i] = (uint8_t)(slot->n >> (8 * i));
        if (slot->n > 0)
            memcpy(to + WAL_ENTRY_HEADER_BYTES, slot->p, slot->n);
        write->plain.len += n;
    }
    write->last = index - 1;
    RG_ASSERT(wal->cut || write->plain.len > 0);
    return RG_OK;
}

/* Where the record goes: the current segment, the one made ahead, or one the job makes. */
static void choose_segment(struct rg_wal *wal, bool rotate)
{
    struct wal_write *write = &wal->write;
    struct wal_segment *current = wal->current;
    uint64_t room = wal_record_room(write->plain.len) + WAL_MARK_ROOM; /* a mark fits behind every record */

    write->made = false;
    write->make_seq = 0;
    wal->rotating = false;
    if (!rotate && current->position + room <= current->size) {
        RG_ASSERT(current->fd >= 0);
        RG_ASSERT(current->dek != NULL);
        write->segment = current;
        return;
    }
    wal->rotating = true;
    if (wal->ready != NULL && WAL_HEADER_BYTES + room <= wal->ready->size) {
        write->segment = RG_STEAL(wal->ready);
        write->made = true;
        return;
    }
    write->segment = NULL;
    write->make_seq = ++wal->seq_last;
    write->make_size = segment_bytes(wal, room);
    RG_ASSERT(write->make_size >= WAL_HEADER_BYTES + room);
}

static void start_write(struct rg_wal *wal, enum wal_kind kind)
{
    struct wal_write *write = &wal->write;
    uint64_t first = wal->next_unwritten;

    RG_ASSERT(!wal->writing);
    RG_ASSERT(wal->dead == RG_OK);
    RG_ASSERT(!wal->closing);
    RG_ASSERT((kind == WAL_RESET) == (wal->reset.state == WAL_RESET_WRITING));
    RG_ASSERT(kind != WAL_RESET || write->last == wal->log.base);
    RG_ASSERT(write->last + 1 >= first);
    RG_ASSERT(write->last + 1 - first <= UINT32_MAX);
    RG_ASSERT(write->last <= wal_log_last(&wal->log));
    RG_ASSERT(first > wal->log.base);
    RG_ASSERT(wal->cut == (kind == WAL_TRUNCATE));
    write->record = (struct wal_record){
        .kind = RG_BUG(wal_truncate_unsaid) && kind == WAL_TRUNCATE ? WAL_BATCH : kind,
        .first = first,
        .base_term = wal_log_term(&wal->log, first - 1),
        .last_term = wal_log_term(&wal->log, write->last),
        .n_entries = (uint32_t)(write->last + 1 - first),
    };
    memcpy(write->record.prev_tag, wal->tag, RG_TAG_BYTES);
    write->generation = wal->generation;
    write->err = RG_OK;
    choose_segment(wal, kind == WAL_RESET);
    wal->next_unwritten = write->last + 1;
    wal->cut = false;
    wal->writing = true;
    wal_lane_write(wal);
}

/* What the opening had no room for: the first record of the first segment since. The entries that come behind it are appended or cut
 * off by their own. */
static void start_start(struct rg_wal *wal)
{
    struct wal_write *write = &wal->write;

    RG_ASSERT(!wal->writing);
    RG_ASSERT(wal->starting);
    RG_ASSERT(wal->current->fd < 0); /* in its place stands one that has no file */
    RG_ASSERT(wal->start_first > 0);
    RG_ASSERT((wal->start_first == 1) == (wal->start_term == 0));
    rg_buf_clear(&write->plain);
    write->last = wal->next_unwritten - 1;
    write->record = (struct wal_record){
        .kind = WAL_START, .first = wal->start_first, .base_term = wal->start_term, .last_term = wal->start_term};
    memcpy(write->record.prev_tag, wal->tag, RG_TAG_BYTES);
    write->generation = wal->generation;
    write->err = RG_OK;
    choose_segment(wal, true);
    wal->writing = true;
    wal_lane_write(wal);
}

void wal_retry_later(struct rg_wal *wal)
{
    wal->retry_ms = wal->env.io->now_ms(wal->env.io) + WAL_RETRY_MS;
}

static bool retry_waits(const struct rg_wal *wal)
{
    return wal->retry_ms != 0 && wal->env.io->now_ms(wal->env.io) < wal->retry_ms;
}

static void start_prepare(struct rg_wal *wal)
{
    if (retry_waits(wal))
        return;
    if (wal->ready != NULL || wal->preparing.busy || wal->dead || wal->closing || (wal->writing && wal->rotating) ||
        wal->current->position < wal->current->size / 2)
        return;
    RG_ASSERT(wal->preparing.segment == NULL);
    wal->preparing.seq = ++wal->seq_last;
    wal->preparing.size = wal->config.segment_bytes;
    wal_lane_prepare(wal);
}

/* The only place where writes begin. */
static void step(struct rg_wal *wal)
{
    enum rg_err err;

    if (wal->writing || wal->dead || wal->closing || (wal->stalled && retry_waits(wal)))
        return;
    RG_ASSERT(wal->reset.state != WAL_RESET_WRITING);
    wal->stalled = false;
    if (wal->starting) {
        start_start(wal);
        return;
    }
    if (wal->reset.state == WAL_RESET_WANTED) {
        rg_sm_move(&wal->reset, WAL_RESET_WRITING);
        rg_buf_clear(&wal->write.plain);
        wal->write.last = wal->next_unwritten - 1;
        start_write(wal, WAL_RESET);
        return;
    }
    if (!wal->cut && wal->next_unwritten > wal_log_last(&wal->log))
        return;
    err = encode_batch(wal);
    if (err) {
        wal_die(wal, err, NULL);
        return;
    }
    start_write(wal, wal->cut ? WAL_TRUNCATE : WAL_BATCH);
}

/* Nothing was written for a while: leave proof on disk that the last record was complete. At most one mark for a place, and the next
 * record overwrites it, so no unsynced byte ever stands before a synced one. Behind each record it would cost a writer that waits for
 * each write as much as the record does. */
static void mark_idle(struct rg_wal *wal)
{
    struct wal_segment *current = wal->current;
    struct wal_marking *marking = &wal->marking;
    uint64_t last = wal->next_unwritten - 1;

    if (wal->mark_ms == 0 || wal->writing || wal->dead || wal->closing || marking->busy)
        return;
    if (wal->cut || wal->reset.state != WAL_RESET_NONE) /* it waits for room, and the last record is not the log's any more */
        return;
    if (wal->env.io->now_ms(wal->env.io) < wal->mark_ms)
        return;
    wal->mark_ms = 0;
    RG_ASSERT(!wal->starting);
    RG_ASSERT(current->position + WAL_MARK_ROOM <= current->size);
    RG_ASSERT(wal->marked < current->position);
    RG_ASSERT(wal->durable == last); /* idle: what was written is on disk */
    marking->record = (struct wal_record){
        .kind = WAL_MARK,
        .first = last + 1,
        .base_term = wal_log_term(&wal->log, last),
        .last_term = wal_log_term(&wal->log, last),
    };
    memcpy(marking->record.prev_tag, wal->tag, RG_TAG_BYTES);
    wal->marked = current->position;
    wal_lane_mark(wal);
}

void rg_wal_flush(struct rg_wal *wal)
{
    step(wal);
    if (wal->retry_ms != 0)
        start_prepare(wal);
    mark_idle(wal);
}

void rg_wal_mark(struct rg_wal *wal)
{
    RG_ASSERT(!wal->closing);
    RG_ASSERT(wal->next_unwritten >= 1);
    wal->mark_ms = RG_MIN(wal->mark_ms, UINT64_C(1)); /* owed: now; none is: none */
    mark_idle(wal);
}

/* ---- completions ---- */

/* Delete files that nothing from `index` on needs: those before the latest segment whose first record stands at or
 * below it. */
static void delete_before(struct rg_wal *wal, uint64_t index)
{
    struct wal_segment *keep = NULL;

    for (struct wal_segment *s = wal->segments; s != NULL; s = s->next)
        if (s->base <= index)
            keep = RG_BUG(wal_delete_one_more) && s->next != NULL ? s->next : s;
    while (keep != NULL && wal->segments != keep) {
        struct wal_segment *old = wal->segments;

        wal->segments = old->next;
        wal_lane_delete(wal, old);
    }
    RG_ASSERT(wal->segments != NULL);
}

/* What an opening without room left in the place of the current segment has no file: it goes when the first one is made. */
static void drop_placeholder(struct rg_wal *wal)
{
    struct wal_segment **at = &wal->segments;

    while (*at != wal->current)
        at = &(*at)->next;
    RG_ASSERT(wal->starting);
    RG_ASSERT(wal->current->next == NULL);
    RG_ASSERT(wal->current->fd < 0);
    *at = NULL;
    wal->tail = at;
    wal_segment_free(wal->env.io, RG_STEAL(wal->current));
}

/* The record is in its segment: the segment may be new. */
static void settle_segment(struct rg_wal *wal)
{
    struct wal_write *write = &wal->write;
    struct wal_segment *segment = write->segment;

    RG_ASSERT(segment != NULL);
    RG_ASSERT(memcmp(write->record.prev_tag, wal->tag, RG_TAG_BYTES) == 0); /* the chain: nothing came between */
    RG_ASSERT(memcmp(write->record.tag, wal->tag, RG_TAG_BYTES) != 0);
    RG_ASSERT(segment->seq == write->record.seq);
    RG_ASSERT(segment->number == write->record.number);
    RG_ASSERT(segment->position == write->record.position);
    RG_ASSERT(write->out.len % WAL_ALIGN == 0);
    RG_ASSERT(segment->position + write->out.len <= segment->size);
    RG_ASSERT(write->made || segment == wal->current);
    if (write->made) {
        RG_ASSERT(segment->seq > wal->current->seq); /* sequence numbers only grow */
        if (wal->current->fd >= 0)
            wal_lane_finish(wal, wal->current);
        else
            drop_placeholder(wal);
        if (wal->ready != NULL && wal->ready->seq < segment->seq)
            wal_lane_delete(wal, RG_STEAL(wal->ready)); /* was too small: sequence numbers only grow */
        wal_push_segment(wal, segment);
        wal->current = segment;
        wal->marked = 0;
        wal->retry_ms = 0;
    }
    if (segment->base == UINT64_MAX)
        segment->base = write->record.first - 1;
    segment->number++;
    segment->position += write->out.len;
    if (write->record.kind != WAL_START) /* which is no link of the chain */
        memcpy(wal->tag, write->record.tag, RG_TAG_BYTES);
}

static void settle_reset(struct rg_wal *wal)
{
    RG_ASSERT(wal->write.made);
    RG_ASSERT(wal->write.record.kind == WAL_RESET);
    RG_ASSERT(wal->current->number == 1);
    RG_ASSERT(wal->current->base == wal->log.base);
    RG_ASSERT(wal->durable == wal->log.base);
    rg_sm_move(&wal->reset, WAL_RESET_NONE);
    while (wal->segments != wal->current) {
        struct wal_segment *old = wal->segments;

        wal->segments = old->next;
        if (wal->reset_keep)
            wal_lane_set_aside(wal, old);
        else
            wal_lane_delete(wal, old);
    }
    if (wal->reset_done != NULL)
        wal->reset_done(wal->reset_arg);
}

static void settle_durable(struct rg_wal *wal)
{
    /* What was truncated meanwhile is not in the log any more; what was appended since stands at or behind
     * next_unwritten. */
    uint64_t durable = RG_BUG(wal_durable_cut) ? wal->write.last : RG_MIN(wal->write.last, wal->next_unwritten - 1);

    if (wal->write.generation != wal->generation)
        return;
    RG_ASSERT(durable >= wal->durable); /* a write begins behind what is durable, and truncations took that back as well */
    wal->durable = durable;
    RG_ASSERT(wal->durable <= wal_log_last(&wal->log));
    if (wal->config.on_durable != NULL)
        wal->config.on_durable(wal->config.arg, wal->durable, wal_log_term(&wal->log, wal->durable));
}

/* There was no room for the segment that the record needs, and nothing of the record was written: all is as before it, and some time
 * later the same is tried again. What was cut off meanwhile from before it on is still on the disk. */
static void stall(struct rg_wal *wal)
{
    struct wal_write *write = &wal->write;

    RG_ASSERT(write->segment == NULL);
    RG_ASSERT(!write->made);
    RG_ASSERT(wal->rotating); /* what goes to a segment that is there needs no room */
    if (wal->reset.state == WAL_RESET_WRITING) {
        rg_sm_move(&wal->reset, WAL_RESET_WANTED);
    } else if (write->generation == wal->generation && write->record.kind != WAL_START) {
        wal->cut = write->record.kind == WAL_TRUNCATE || wal->next_unwritten < write->record.first;
        wal->next_unwritten = RG_MIN(wal->next_unwritten, write->record.first);
    }
    wal->stalled = true;
    wal->rotating = false;
    wal_retry_later(wal);
}

void wal_on_written(struct rg_wal *wal)
{
    struct wal_write *write = &wal->write;
    bool reset = wal->reset.state == WAL_RESET_WRITING, start = write->record.kind == WAL_START;

    RG_ASSERT(wal->writing);
    RG_ASSERT(!write->made || write->segment != wal->current);
    RG_ASSERT(!start || wal->starting);
    RG_ASSERT(!reset || write->record.kind == WAL_RESET);
    wal->writing = false;
    if (write->err == RG_ENOSPACE && write->segment == NULL && !wal->closing && !wal->dead) {
        stall(wal);
        wal_release(wal);
        return;
    }
    if (wal->closing || wal->dead || write->err) {
        if (write->made)
            wal_segment_free(wal->env.io, write->segment);
        wal_die(wal, write->err, &write->ctx);
        wal_release(wal);
        return;
    }
    settle_segment(wal);
    if (start)
        wal->starting = false;
    else if (reset)
        settle_reset(wal);
    else
        settle_durable(wal);
    wal_check(wal);
    step(wal);
    start_prepare(wal);
    if (!start)
        wal->mark_ms = wal->env.io->now_ms(wal->env.io) + WAL_MARK_AFTER_MS;
    wal_release(wal);
}

/* Sequence numbers only grow: a write that could not wait made a later segment, or is making one. */
static bool overtaken(const struct rg_wal *wal, const struct wal_segment *segment)
{
    return segment->seq < wal->current->seq || (wal->writing && segment->seq < wal->write.make_seq);
}

void wal_on_prepared(struct rg_wal *wal)
{
    struct wal_preparing *preparing = &wal->preparing;
    struct wal_segment *segment = RG_STEAL(preparing->segment);

    RG_ASSERT(preparing->busy);
    RG_ASSERT(segment == NULL || preparing->err == RG_OK);
    RG_ASSERT(segment != NULL || preparing->err != RG_OK || wal->closing); /* a closing log's jobs may be left undone */
    RG_ASSERT(segment == NULL || segment->seq == preparing->seq);
    preparing->busy = false;
    if (preparing->err == RG_ENOSPACE) {
        wal_retry_later(wal); /* not needed yet: half of the current one is left */
    } else if (preparing->err) {
        wal_die(wal, preparing->err, &preparing->ctx);
    } else if (segment != NULL && !wal->closing && overtaken(wal, segment)) {
        wal_lane_delete(wal, RG_STEAL(segment));
    } else if (segment != NULL && !wal->closing) {
        RG_ASSERT(wal->ready == NULL);
        wal->ready = RG_STEAL(segment);
        wal->retry_ms = 0;
    }
    wal_segment_free(wal->env.io, segment);
    wal_release(wal);
}

/* ---- compaction and reset ---- */

enum rg_err rg_wal_compact(struct rg_wal *wal, uint64_t index, uint64_t term, uint64_t disk)
{
    if (wal->dead || wal->closing)
        return wal->dead ? wal->dead : RG_ESTOPPED;
    if (index > wal->durable || (index >= wal->log.base && wal_log_term(&wal->log, index) != term))
        return RG_EINVALID;
    if (index > wal->log.base)
        wal_log_compact(&wal->log, index);
    RG_ASSERT(wal->log.base >= index);
    delete_before(wal, RG_MIN(index, disk));
    wal_check(wal);
    return RG_OK;
}

enum rg_err rg_wal_reset(struct rg_wal *wal, uint64_t index, uint64_t term, bool keep, void (*done)(void *arg), void *arg)
{
    if (wal->dead || wal->closing)
        return wal->dead ? wal->dead : RG_ESTOPPED;
    if (wal->reset.state != WAL_RESET_NONE)
        return RG_EBUSY;
    if (index == 0 || term == 0)
        return RG_EINVALID;
    wal_log_reset(&wal->log, index, term);
    wal->next_unwritten = index + 1;
    wal->cut = false;
    wal->durable = index;
    wal->generation++;
    rg_sm_move(&wal->reset, WAL_RESET_WANTED);
    wal->reset_keep = keep;
    wal->reset_done = RG_BUG(wal_reset_early) ? NULL : done;
    wal->reset_arg = arg;
    step(wal);
    if (RG_BUG(wal_reset_early))
        done(arg);
    wal_check(wal);
    return RG_OK;
}

void rg_wal_free(struct rg_wal *wal)
{
    if (wal == NULL)
        return;
    RG_ASSERT(!wal->closing); /* whoever frees it keeps no pointer */
    wal->closing = true;
    if (wal->holds == 0)
        destroy(wal);
}
