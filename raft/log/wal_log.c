/* raft/log/wal_log.c: the entries in memory: a ring of slots. */
#include "raft/log/wal_priv.h"

enum { SLOTS_MIN = 256 };

struct wal_chunk *wal_chunk_new(size_t n)
{
    struct wal_chunk *chunk = malloc(sizeof *chunk + n);

    if (chunk != NULL)
        chunk->refs = 1;
    return chunk;
}

void wal_chunk_unref(struct wal_chunk *chunk)
{
    if (chunk == NULL)
        return;
    RG_ASSERT(chunk->refs > 0);
    if (--chunk->refs == 0)
        free(chunk);
}

static struct wal_slot *slot_of(const struct wal_log *log, uint64_t index)
{
    RG_ASSERT(index > log->base);
    RG_ASSERT(index - log->base <= log->count);
    return &log->slots[(log->head + (size_t)(index - log->base - 1)) & (log->cap - 1)];
}

/* The ring's size is a power of two, and what is in it fits; without entries there is no data. Terms never fall along a log: looked
 * at where it begins and ends. */
static void log_check(const struct wal_log *log)
{
    RG_ASSERT((log->cap & (log->cap - 1)) == 0);
    RG_ASSERT(log->count <= log->cap);
    RG_ASSERT((log->cap == 0 || log->head < log->cap));
    RG_ASSERT((log->cap == 0) == (log->slots == NULL));
    RG_ASSERT((log->base == 0) == (log->base_term == 0));
    RG_ASSERT(log->count > 0 || log->bytes == 0);
    if (log->count == 0)
        return;
    RG_ASSERT(slot_of(log, log->base + 1)->term >= log->base_term);
    RG_ASSERT(slot_of(log, wal_log_last(log))->term >= slot_of(log, log->base + 1)->term);
    RG_ASSERT(slot_of(log, wal_log_last(log))->chunk != NULL);
    RG_ASSERT(slot_of(log, log->base + 1)->n <= log->bytes);
}

const struct wal_slot *wal_log_at(const struct wal_log *log, uint64_t index)
{
    return index > log->base && index <= wal_log_last(log) ? slot_of(log, index) : NULL;
}

uint64_t wal_log_term(const struct wal_log *log, uint64_t index)
{
    const struct wal_slot *slot = wal_log_at(log, index);

    RG_ASSERT(slot == NULL || slot->term != 0);
    if (slot != NULL)
        return slot->term;
    return index == log->base ? log->base_term : 0;
}

enum rg_err wal_log_reserve(struct wal_log *log, size_t n)
{
    size_t cap = log->cap < SLOTS_MIN ? SLOTS_MIN : log->cap;
    struct wal_slot *slots;

    if (log->cap - log->count >= n)
        return RG_OK;
    while (cap - log->count < n) {
        if (cap > SIZE_MAX / 4 / sizeof *slots)
            return RG_ENOMEM;
        cap *= 2;
    }
    slots = malloc(cap * sizeof *slots);
    if (slots == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < log->count; i++)
        slots[i] = log->slots[(log->head + i) & (log->cap - 1)];
    free(log->slots);
    log->slots = slots;
    log->cap = cap;
    log->head = 0;
    log_check(log);
    RG_ASSERT(log->cap - log->count >= n);
    return RG_OK;
}

void wal_log_push(struct wal_log *log, uint64_t term, uint8_t type, const uint8_t *p, size_t n, struct wal_chunk *chunk)
{
    RG_ASSERT(log->count < log->cap);
    RG_ASSERT(term != 0); /* terms never fall along a log */
    RG_ASSERT(term >= wal_log_term(log, wal_log_last(log)));
    RG_ASSERT(type >= RG_ENTRY_COMMAND);
    RG_ASSERT(type <= RG_ENTRY_CHANGE);
    RG_ASSERT(n <= UINT32_MAX);
    RG_ASSERT(chunk->refs > 0);
    RG_ASSERT(p >= chunk->data);
    log->slots[(log->head + log->count) & (log->cap - 1)] =
        (struct wal_slot){.term = term, .p = p, .chunk = chunk, .n = (uint32_t)n, .type = type};
    log->count++;
    log->bytes += n;
    chunk->refs++;
    RG_ASSERT(chunk->refs <= log->count + 1); /* its entries stand in this log alone, and whoever fills it has one */
}

static void drop(struct wal_log *log, struct wal_slot *slot)
{
    RG_ASSERT(log->count > 0);
    RG_ASSERT(log->bytes >= slot->n);
    RG_ASSERT(slot->chunk != NULL);
    log->bytes -= slot->n;
    wal_chunk_unref(slot->chunk);
}

void wal_log_truncate(struct wal_log *log, uint64_t index)
{
    RG_ASSERT(index > log->base);
    while (wal_log_last(log) >= index) {
        drop(log, slot_of(log, wal_log_last(log)));
        log->count--;
    }
    log_check(log);
}

void wal_log_compact(struct wal_log *log, uint64_t index)
{
    RG_ASSERT(index <= wal_log_last(log));
    while (log->base < index) {
        struct wal_slot *slot = slot_of(log, log->base + 1);

        log->base_term = slot->term;
        drop(log, slot);
        log->head = (log->head + 1) & (log->cap - 1);
        log->count--;
        log->base++;
    }
    log_check(log);
}

void wal_log_reset(struct wal_log *log, uint64_t base, uint64_t base_term)
{
    if (log->count > 0)
        wal_log_truncate(log, log->base + 1);
    RG_ASSERT(log->count == 0);
    RG_ASSERT((base == 0) == (base_term == 0));
    log->base = base;
    log->base_term = base_term;
    log_check(log);
}

void wal_log_deinit(struct wal_log *log)
{
    wal_log_reset(log, 0, 0);
    free(log->slots);
    *log = (struct wal_log){0};
}
