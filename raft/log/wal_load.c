/* raft/log/wal_load.c: reading a directory: what is a whole log, what a torn write, what damage. */
#include "raft/log/wal_priv.h"

#include <inttypes.h>
#include <stdio.h>

/* State of one reading. */
struct reader {
    struct wal_env *env;
    const struct wal_load_config *config;
    struct wal_load *load;
    struct rg_errctx *ctx;
    struct rg_buf bytes, plain; /* own; the segment being read, a record opened */
    bool chained;               /* tag and log are set: records must follow */
    bool identified;
    /* the last end of records with something unreadable behind it: a cut, or a torn write when nothing valid follows */
    uint64_t tail_seq, tail_at, tail_bytes;
    bool tail_mark; /* what is unreadable is a mark: of no interest */
    enum rg_err list_err;
    size_t list_cap;
};

enum { PEEK_BYTES = 1 << 20 }; /* of a segment that is not needed any more */

#define PLACE "%s/%016" PRIx64 ".wal at byte %" PRIu64

/* ---- the directory ---- */

static bool is_aside(const char *name)
{
    size_t n = strlen(name), suffix = sizeof WAL_ASIDE_SUFFIX - 1;

    return n == WAL_NAME_BYTES - 1 - 3 + suffix && strcmp(name + n - suffix, WAL_ASIDE_SUFFIX) == 0;
}

static void list_each(void *arg, const char *name)
{
    struct reader *reader = arg;
    struct wal_load *load = reader->load;
    uint64_t seq;

    if (is_aside(name))
        load->report.aside++;
    if (reader->list_err || !wal_name_parse(name, &seq))
        return;
    if (load->n_found == WAL_SEGMENTS_MAX) {
        reader->list_err = rg_fail(reader->ctx, RG_ETOOBIG, "%s holds too many segments", reader->env->dir);
        return;
    }
    if (load->n_found == reader->list_cap) {
        size_t cap = reader->list_cap == 0 ? 16 : reader->list_cap * 2;
        struct wal_found *found = realloc(load->found, cap * sizeof *found);

        if (found == NULL) {
            reader->list_err = RG_ENOMEM;
            return;
        }
        load->found = found;
        reader->list_cap = cap;
    }
    RG_ASSERT(load->n_found < reader->list_cap);
    load->found[load->n_found++] = (struct wal_found){.seq = seq, .base = UINT64_MAX};
}

static int found_order(const void *a, const void *b)
{
    const struct wal_found *x = a, *y = b;

    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

static enum rg_err list_segments(struct reader *reader)
{
    struct rg_io *io = reader->env->io;
    struct wal_load *load = reader->load;
    enum rg_err err;

    RG_ASSERT(load->n_found == 0);
    RG_ASSERT(load->log.count == 0);
    err = io->list(io, reader->env->dir, list_each, reader, reader->ctx);
    if (!err)
        err = reader->list_err;
    if (err)
        return err;
    RG_ASSERT(load->n_found <= WAL_SEGMENTS_MAX);
    RG_ASSERT(load->n_found <= reader->list_cap);
    if (load->n_found > 0) {
        qsort(load->found, load->n_found, sizeof *load->found, found_order);
        load->seq_last = load->found[load->n_found - 1].seq;
    }
    if (load->seq_last > WAL_SEQ_MAX)
        return rg_fail(reader->ctx, RG_ECORRUPT, "%s/%016" PRIx64 ".wal has a number that no segment reaches", reader->env->dir,
                       load->seq_last);
    return RG_OK;
}

/* Read up to max bytes of a segment into reader->bytes. */
static enum rg_err read_segment(struct reader *reader, struct wal_found *found, uint64_t max)
{
    struct wal_segment *segment = wal_segment_new(reader->env, found->seq);
    struct rg_io *io = reader->env->io;
    enum rg_err err;
    uint8_t *to;
    size_t n;

    if (segment == NULL)
        return RG_ENOMEM;
    err = io->open(io, segment->path, RG_OPEN_READ, &segment->fd, reader->ctx);
    if (!err)
        err = io->size(io, segment->fd, &found->size, reader->ctx);
    if (!err && found->size > WAL_SEGMENT_BYTES_MAX)
        err = rg_fail(reader->ctx, RG_ECORRUPT, "%s: %" PRIu64 " bytes are more than a segment has", segment->path,
                      found->size);
    if (!err) {
        rg_buf_clear(&reader->bytes);
        n = (size_t)RG_MIN(found->size, max);
        to = rg_buf_reserve(&reader->bytes, n);
        err = to == NULL ? reader->bytes.err : io->pread(io, segment->fd, to, n, 0, &reader->bytes.len, reader->ctx);
        RG_ASSERT(err || reader->bytes.len <= n);
    }
    wal_segment_free(io, segment);
    return err;
}

static enum rg_err fail_header(struct reader *reader, const struct wal_found *found)
{
    return rg_fail(reader->ctx, RG_ECORRUPT, "%s/%016" PRIx64 ".wal: the segment's header is damaged", reader->env->dir,
                   found->seq);
}

static enum rg_err check_identity(struct reader *reader, const struct wal_found *found, const struct wal_header *header)
{
    struct wal_env *env = reader->env;

    if (header->seq != found->seq)
        return rg_fail(reader->ctx, RG_ECORRUPT, "%s/%016" PRIx64 ".wal is segment %016" PRIx64 " under another name",
                       env->dir, found->seq, header->seq);
    if (reader->config->any_identity && !reader->identified) {
        memcpy(env->cluster, header->cluster, sizeof env->cluster);
        env->node_id = header->node_id;
    }
    reader->identified = true;
    if (memcmp(env->cluster, header->cluster, sizeof env->cluster) != 0)
        return rg_fail(reader->ctx, RG_EFOREIGN, "%s/%016" PRIx64 ".wal belongs to cluster \"%.*s\", this is \"%.*s\"",
                       env->dir, found->seq, WAL_CLUSTER_BYTES, header->cluster, WAL_CLUSTER_BYTES, env->cluster);
    if (env->node_id != header->node_id)
        return rg_fail(reader->ctx, RG_EFOREIGN,
                       "%s/%016" PRIx64 ".wal belongs to node %" PRIu64 ", this is node %" PRIu64, env->dir, found->seq,
                       header->node_id, env->node_id);
    return RG_OK;
}

/* The header passed its checksum, so a key that does not open is no accident of the disk. */
static enum rg_err open_key(struct reader *reader, const struct wal_found *found, const struct wal_header *header,
                            struct rg_dek **ret_dek)
{
    struct rg_errctx why = {""};
    size_t n;
    enum rg_err err;

    RG_ASSERT(header->seq == found->seq);
    RG_ASSERT(header->dek.n > 0);
    RG_ASSERT(header->dek.n <= RG_WRAPPED_BYTES_MAX);
    err = rg_dek_open(reader->env->keys, &reader->env->context, header->dek, &n, ret_dek, &why);
    RG_ASSERT(err || *ret_dek != NULL);
    if (!err)
        return RG_OK;
    if (err == RG_ECORRUPT)
        err = RG_EFOREIGN;
    return rg_fail(reader->ctx, err, "%s/%016" PRIx64 ".wal: its data key does not open with this instance's key: %s",
                   reader->env->dir, found->seq, rg_errctx_text(&why, err));
}

/* Header and key of the segment in reader->bytes. */
static enum rg_err open_segment(struct reader *reader, const struct wal_found *found, struct rg_dek **ret_dek)
{
    struct wal_header header;
    enum rg_err err;

    if (wal_header_decode(rg_buf_span(&reader->bytes), &header) != RG_OK)
        return fail_header(reader, found);
    err = check_identity(reader, found, &header);
    return err ? err : open_key(reader, found, &header, ret_dek);
}

/* ---- where to begin ---- */

/* Form of the first record, not authenticated: base and kind. */
static enum rg_err peek_first(struct reader *reader, struct wal_found *found, uint64_t max, bool *ret_reset)
{
    struct wal_record record;
    enum rg_err err = read_segment(reader, found, max);

    *ret_reset = false;
    if (err)
        return err;
    if (wal_record_peek(rg_buf_span(&reader->bytes), WAL_HEADER_BYTES, found->seq, &record) && record.number == 0 &&
        record.kind != WAL_MARK) {
        RG_ASSERT(record.first > 0);
        found->base = record.first - 1;
        *ret_reset = record.kind == WAL_RESET;
    }
    return RG_OK;
}

/* Is the first record of the segment in reader->bytes what it seems to be? ret_record: set when it is. */
static enum rg_err prove_first(struct reader *reader, const struct wal_found *found, struct wal_record *ret_record,
                               bool *ret_proved)
{
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    struct wal_header header;
    enum rg_err err;

    RG_ASSERT(found->base != UINT64_MAX);
    *ret_proved = false;
    if (wal_header_decode(rg_buf_span(&reader->bytes), &header) != RG_OK)
        return RG_OK; /* said when it is read in its turn */
    err = open_segment(reader, found, &dek);
    if (err)
        return err;
    err = wal_record_open(reader->env, dek, rg_buf_span(&reader->bytes), WAL_HEADER_BYTES, found->seq, ret_record,
                          &reader->plain);
    *ret_proved = err == RG_OK;
    RG_ASSERT(err || ret_record->first - 1 == found->base); /* the bytes that were peeked at */
    RG_ASSERT(err || ret_record->number == 0);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

/* The latest segment that, with those behind it, holds everything after the floor; nothing before a reset counts.
 * n_found when there is none (without a floor: when there was no reset). */
static enum rg_err choose_begin(struct reader *reader, size_t *ret_begin)
{
    const struct wal_load_config *config = reader->config;
    struct wal_load *load = reader->load;
    size_t oldest = load->n_found;
    bool chosen = false;

    *ret_begin = load->n_found;
    for (size_t i = load->n_found; i-- > 0;) {
        struct wal_found *found = &load->found[i];
        struct wal_record record;
        bool reset, proved;
        enum rg_err err = peek_first(reader, found, chosen ? PEEK_BYTES : UINT64_MAX, &reset);

        if (err)
            return err;
        if (found->base == UINT64_MAX || chosen)
            continue;
        if (!reset && (config->any_floor || found->base > config->floor_index)) {
            oldest = i;
            continue;
        }
        err = prove_first(reader, found, &record, &proved);
        if (err)
            return err;
        if (!proved)
            continue;
        if (!config->any_floor && found->base > config->floor_index)
            return rg_fail(reader->ctx, RG_ECORRUPT,
                           "%s was reset to a snapshot at %" PRIu64 ", but the snapshot in use is at %" PRIu64,
                           reader->env->dir, found->base, config->floor_index);
        *ret_begin = i;
        chosen = true;
    }
    RG_ASSERT(chosen == (*ret_begin < load->n_found));
    RG_ASSERT(!chosen || config->any_floor || load->found[*ret_begin].base <= config->floor_index);
    RG_ASSERT(!chosen || oldest == load->n_found || *ret_begin < oldest);
    if (!chosen && !config->any_floor && oldest < load->n_found)
        return rg_fail(reader->ctx, RG_ECORRUPT,
                       "%s: the log begins behind index %" PRIu64 ", the state reaches only to %" PRIu64
                       ": segments are missing or damaged",
                       reader->env->dir, load->found[oldest].base, config->floor_index);
    return RG_OK;
}

/* ---- records ---- */

static enum rg_err fail_chain(struct reader *reader, const struct wal_found *found, uint64_t at, const char *what)
{
    RG_ASSERT(reader->tail_seq <= found->seq);
    if (reader->tail_seq != 0)
        return rg_fail(reader->ctx, RG_ECORRUPT,
                       PLACE ": a damaged record, and a valid one behind it (" PLACE "): the log is damaged, not torn",
                       reader->env->dir, reader->tail_seq, reader->tail_at, reader->env->dir, found->seq, at);
    return rg_fail(reader->ctx, RG_ECORRUPT, PLACE ": %s", reader->env->dir, found->seq, at, what);
}

static enum rg_err apply_record(struct reader *reader, struct wal_found *found, const struct wal_record *record)
{
    struct wal_log *log = &reader->load->log;
    enum rg_err err;

    RG_ASSERT(record->kind != WAL_MARK);
    RG_ASSERT(record->first > 0);
    if ((record->first > 1) != (record->base_term != 0))
        return fail_chain(reader, found, record->position, "index or term does not follow the record before");
    if (!reader->chained || record->kind == WAL_RESET || (record->kind == WAL_TRUNCATE && record->first <= log->base))
        wal_log_reset(log, record->first - 1, record->base_term);
    else if (record->kind == WAL_TRUNCATE && record->first <= wal_log_last(log))
        wal_log_truncate(log, record->first);
    if (record->first != wal_log_last(log) + 1 || wal_log_term(log, record->first - 1) != record->base_term)
        return fail_chain(reader, found, record->position, "index or term does not follow the record before");
    err = wal_record_entries(record, rg_buf_span(&reader->plain), log);
    if (err == RG_ECORRUPT)
        return rg_fail(reader->ctx, RG_ECORRUPT, PLACE ": an authentic record of a form this release cannot read",
                       reader->env->dir, found->seq, record->position);
    RG_ASSERT(err || wal_log_term(log, wal_log_last(log)) == record->last_term);
    return err;
}

static void tell_record(struct reader *reader, const struct wal_found *found, const struct wal_record *record)
{
    struct rg_wal_report *report = &reader->load->report;
    char file[WAL_NAME_BYTES];
    struct rg_wal_record told = {
        .file = file,
        .offset = record->position,
        .first_index = record->first,
        .last_index = record->first + record->n_entries - 1,
        .term = record->last_term,
        .bytes = WAL_RECORD_HEADER_BYTES + record->sealed_n,
        .truncation = record->kind == WAL_TRUNCATE,
    };

    RG_ASSERT(told.last_index + 1 >= told.first_index);
    RG_ASSERT(told.bytes <= WAL_SEGMENT_BYTES_MAX);
    report->records++;
    report->entries += record->n_entries;
    report->bytes += told.bytes;
    snprintf(file, sizeof file, "%016" PRIx64 ".wal", found->seq);
    if (reader->config->each != NULL)
        reader->config->each(reader->config->arg, &told);
}

/* One valid record: does it follow, and what does it say? */
static enum rg_err take_record(struct reader *reader, struct wal_found *found, const struct wal_record *record)
{
    bool opening = record->kind == WAL_START || record->kind == WAL_RESET;
    enum rg_err err;

    RG_ASSERT(record->seq == found->seq);
    RG_ASSERT(record->position == found->used);
    RG_ASSERT(found->loaded);
    RG_ASSERT((found->records == 0) == (found->used == WAL_HEADER_BYTES));
    if (reader->chained && memcmp(record->prev_tag, reader->load->tag, RG_TAG_BYTES) != 0)
        return fail_chain(reader, found, record->position, "the record before it is missing");
    if (record->number != found->records || (opening && found->records != 0))
        return fail_chain(reader, found, record->position, "out of order in its segment");
    reader->tail_seq = 0; /* what was unreadable there was cut before this record was written */
    if (record->kind == WAL_MARK)
        return RG_OK;
    err = apply_record(reader, found, record);
    if (err)
        return err;
    tell_record(reader, found, record);
    memcpy(reader->load->tag, record->kind == WAL_START ? record->prev_tag : record->tag, RG_TAG_BYTES);
    reader->chained = true;
    if (record->kind == WAL_RESET)
        reader->load->dead_before = found->seq;
    found->start_only = record->kind == WAL_START;
    found->records++;
    found->last_at = record->position;
    found->used = record->position + wal_record_room(record->sealed_n - RG_TAG_BYTES);
    RG_ASSERT(found->used > found->last_at);
    RG_ASSERT(found->used % WAL_ALIGN == 0);
    RG_ASSERT(found->last_at >= WAL_HEADER_BYTES);
    RG_ASSERT(reader->load->dead_before <= found->seq);
    return RG_OK;
}

/* Bytes up to the last that is not zero. */
static uint64_t nonzero_bytes(struct rg_span file, uint64_t from)
{
    size_t n = file.n;

    RG_ASSERT(from <= n);
    while (n > from && file.p[n - 1] == 0)
        n--;
    return n > from ? n - from : 0;
}

/* No valid record, or a mark, stands at `at`: nothing valid may stand behind. */
static enum rg_err check_tail(struct reader *reader, const struct wal_found *found, struct rg_dek *dek, uint64_t at,
                              bool marked)
{
    struct rg_span file = rg_buf_span(&reader->bytes);
    uint64_t behind = at + (marked ? WAL_MARK_ROOM : 0), valid = 0, bytes;
    struct wal_record record;
    enum rg_err err = wal_record_scan(reader->env, dek, file, behind, found->seq, &valid);

    RG_ASSERT(at >= WAL_HEADER_BYTES);
    RG_ASSERT(at % WAL_ALIGN == 0);
    if (err == RG_OK && !RG_BUG(wal_damage_is_torn)) {
        reader->tail_seq = found->seq;
        reader->tail_at = at;
        return fail_chain(reader, found, valid, "");
    }
    if (err != RG_ENOTFOUND && err != RG_OK)
        return err;
    bytes = behind < file.n ? nonzero_bytes(file, behind) : 0;
    if (bytes == 0)
        return RG_OK;
    RG_ASSERT(behind + bytes <= file.n);
    reader->tail_bytes = bytes;
    reader->tail_seq = found->seq;
    reader->tail_at = behind;
    reader->tail_mark = !marked && wal_record_peek(file, at, found->seq, &record) && record.kind == WAL_MARK;
    return RG_OK;
}

static enum rg_err load_segment(struct reader *reader, struct wal_found *found)
{
    RG_AUTO(dek) struct rg_dek *dek = NULL;
    struct wal_record record = {0};
    enum rg_err err = read_segment(reader, found, UINT64_MAX);

    RG_ASSERT(!found->loaded);
    if (!err)
        err = open_segment(reader, found, &dek);
    if (err)
        return err;
    found->loaded = true;
    found->used = WAL_HEADER_BYTES;
    reader->load->report.segments++;
    while (record.kind != WAL_MARK) {
        err = wal_record_open(reader->env, dek, rg_buf_span(&reader->bytes), found->used, found->seq, &record,
                              &reader->plain);
        if (err == RG_ENOTFOUND)
            break;
        if (!err)
            err = take_record(reader, found, &record);
        if (err)
            return err;
    }
    RG_ASSERT((found->records == 0) == (found->last_at == 0));
    RG_ASSERT(!found->start_only || found->records == 1);
    return check_tail(reader, found, dek, found->used, err == RG_OK);
}

/* ---- the whole ---- */

static enum rg_err check_floor(struct reader *reader)
{
    const struct wal_load_config *config = reader->config;
    struct wal_load *load = reader->load;
    struct wal_log *log = &load->log;

    if (config->any_floor)
        return RG_OK;
    RG_ASSERT((config->floor_index == 0) == (config->floor_term == 0));
    RG_ASSERT(reader->chained || log->count == 0);
    if (!reader->chained) {
        if (config->floor_index == 0)
            return RG_OK;
        return rg_fail(reader->ctx, RG_ECORRUPT,
                       "%s holds no log, but there is a snapshot at index %" PRIu64 ": the log was removed",
                       reader->env->dir, config->floor_index);
    }
    if (log->base > config->floor_index) /* a segment that could not be read when the beginning was looked for, and can be now */
        return rg_fail(reader->ctx, RG_ECORRUPT,
                       "%s: the log begins behind index %" PRIu64 ", the state reaches only to %" PRIu64
                       ": segments are missing or damaged",
                       reader->env->dir, log->base, config->floor_index);
    if (wal_log_last(log) < config->floor_index)
        return rg_fail(reader->ctx, RG_ECONFLICT, "%s ends at entry %" PRIu64 " of term %" PRIu64 ", before entry %" PRIu64
                       " of term %" PRIu64, reader->env->dir, wal_log_last(log), wal_log_term(log, wal_log_last(log)),
                       config->floor_index, config->floor_term);
    if (wal_log_term(log, config->floor_index) != config->floor_term)
        return rg_fail(reader->ctx, RG_ECONFLICT, "%s holds entry %" PRIu64 " of term %" PRIu64 ", not of term %" PRIu64,
                       reader->env->dir, config->floor_index, wal_log_term(log, config->floor_index), config->floor_term);
    wal_log_compact(log, config->floor_index);
    RG_ASSERT(log->base == config->floor_index);
    RG_ASSERT(log->base_term == config->floor_term);
    return RG_OK;
}

static void fill_report(struct reader *reader)
{
    struct wal_load *load = reader->load;
    struct rg_wal_report *report = &load->report;

    report->first_index = load->log.base + 1;
    report->last_index = wal_log_last(&load->log);
    report->last_term = wal_log_term(&load->log, report->last_index);
    RG_ASSERT(report->first_index <= report->last_index + 1);
    RG_ASSERT((report->last_index == 0) == (report->last_term == 0));
    RG_ASSERT(report->segments <= load->n_found);
    RG_ASSERT(load->dead_before <= load->seq_last);
    if (reader->tail_seq == 0 || reader->tail_mark)
        return;
    report->cut_bytes = reader->tail_bytes;
    snprintf(report->note, sizeof report->note,
             "%016" PRIx64 ".wal: %" PRIu64 " bytes of an unfinished write at byte %" PRIu64
             " cut; the log ends at index %" PRIu64,
             reader->tail_seq, reader->tail_bytes, reader->tail_at, report->last_index);
}

static void reader_init(struct reader *reader)
{
    *reader->load = (struct wal_load){0};
    rg_buf_init(&reader->bytes, WAL_SEGMENT_BYTES_MAX);
    rg_buf_init(&reader->plain, WAL_SEGMENT_BYTES_MAX);
}

enum rg_err wal_load_reset(struct wal_env *env, struct wal_record *ret_record, struct rg_errctx *ctx)
{
    struct wal_load_config config = {.any_floor = true};
    struct wal_load load;
    struct reader reader = {.env = env, .config = &config, .load = &load, .ctx = ctx};
    struct wal_record record;
    bool reset, proved = false;
    enum rg_err err;

    reader_init(&reader);
    err = list_segments(&reader);
    for (size_t i = load.n_found; i-- > 0 && !err && !proved;) {
        err = peek_first(&reader, &load.found[i], WAL_SEGMENT_BYTES_MIN, &reset); /* a RESET has no entries */
        if (!err && reset)
            err = prove_first(&reader, &load.found[i], &record, &proved);
    }
    rg_buf_deinit(&reader.bytes);
    rg_buf_deinit(&reader.plain);
    wal_load_deinit(&load);
    if (err || !proved)
        return err ? err : RG_ENOTFOUND;
    *ret_record = record;
    return RG_OK;
}

enum rg_err wal_load_dir(struct wal_env *env, const struct wal_load_config *config, struct wal_load *load,
                         struct rg_errctx *ctx)
{
    struct reader reader = {.env = env, .config = config, .load = load, .ctx = ctx};
    size_t begin = 0;
    enum rg_err err;

    reader_init(&reader);
    err = list_segments(&reader);
    if (!err)
        err = choose_begin(&reader, &begin);
    if (!err && begin == load->n_found)
        begin = 0; /* nothing to begin with: all must prove empty */
    for (size_t i = begin; i < load->n_found && !err; i++)
        err = load_segment(&reader, &load->found[i]);
    if (!err)
        err = check_floor(&reader);
    if (!err)
        fill_report(&reader);
    rg_buf_deinit(&reader.bytes);
    rg_buf_deinit(&reader.plain);
    if (err)
        wal_load_deinit(load);
    return err;
}

void wal_load_deinit(struct wal_load *load)
{
    wal_log_deinit(&load->log);
    free(load->found);
    load->found = NULL;
    load->n_found = 0;
}
