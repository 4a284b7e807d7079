/* raft/log/lost.c: setting data aside, the tails that are kept, and what is read out of them. */
#include "raft/log/lost.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/json.h"
#include "raft/log/tree.h"
#include "store/db/command.h"
#include "store/db/command_json.h"

enum { FILE_BYTES_MAX = 64 * 1024 * 1024, MARKER_BYTES_MAX = 64 * 1024, FIRST_ENTRIES = 64, EPOCH_SHIFT = 32 };

_Static_assert(RG_LOST_PATH_MAX <= RG_TREE_PATH_MAX, "what is dropped can be deleted");

#define MARKER "rejoin.json"
#define DROPPED ".dropped-"
#define GONE "dropped-"

static const char *const moved[] = {"meta", "wal", "snapshots"};

/* ---- paths and files ---- */

static enum rg_err path_of(char out[RG_LOST_PATH_MAX], struct rg_errctx *ctx, const char *fmt, ...) RG_PRINTF(3, 4);
static enum rg_err path_of(char out[RG_LOST_PATH_MAX], struct rg_errctx *ctx, const char *fmt, ...)
{
    va_list args;
    int n;

    va_start(args, fmt);
    n = vsnprintf(out, RG_LOST_PATH_MAX, fmt, args);
    va_end(args);
    return n < 0 || n >= RG_LOST_PATH_MAX ? rg_fail(ctx, RG_EINVALID, "data directory: the path is too long") : RG_OK;
}

static enum rg_err tail_path(char out[RG_LOST_PATH_MAX], const char *data_dir, const struct rg_lost_info *info,
                             const char *name, struct rg_errctx *ctx)
{
    RG_ASSERT(info->old_id > 0);
    RG_ASSERT(strchr(name, '/') == NULL);
    return path_of(out, ctx, "%s/lost/%llu-%llu%s%s", data_dir, (unsigned long long)info->epoch,
                   (unsigned long long)info->old_id, name[0] != '\0' ? "/" : "", name);
}

static enum rg_err write_json(struct rg_io *io, const char *dir, const char *name, json_t *json, struct rg_errctx *ctx)
{
    RG_AUTO_MEM char *text = json != NULL ? json_dumps(json, JSON_INDENT(1) | JSON_SORT_KEYS) : NULL;

    return text == NULL ? RG_ENOMEM : rg_tree_write(io, dir, name, rg_span_str(text), ctx);
}

static enum rg_err read_json(struct rg_io *io, const char *path, size_t max, json_t **ret, struct rg_errctx *ctx)
{
    RG_AUTO_MEM char *text = NULL;
    json_error_t error;
    uint64_t size = 0;
    size_t n = 0;
    int fd;
    enum rg_err err = io->open(io, path, RG_OPEN_READ, &fd, ctx);

    if (err)
        return err;
    err = io->size(io, fd, &size, ctx);
    if (!err && size > max)
        err = rg_fail(ctx, RG_ECORRUPT, "%s: is over %zu bytes", path, max);
    if (!err) {
        text = malloc((size_t)size + 1);
        err = text != NULL ? io->pread(io, fd, text, (size_t)size, 0, &n, ctx) : RG_ENOMEM;
        RG_ASSERT(err || n <= size);
    }
    io->close(io, fd);
    if (err)
        return err;
    *ret = rg_json_parse(rg_span(text, n), &error);
    if (*ret == NULL || !json_is_object(*ret)) {
        json_decref(*ret);
        return rg_fail(ctx, RG_ECORRUPT, "%s: is no JSON object: %s", path, error.text);
    }
    return RG_OK;
}

/* ---- info ---- */

/* Of a decision of ours, or read with take_info. */
static void info_check(const struct rg_lost_info *info)
{
    RG_ASSERT(info->old_id > 0);
    RG_ASSERT(info->epoch <= INT64_MAX);
    RG_ASSERT(info->old_id <= INT64_MAX);
    RG_ASSERT(info->n_urls <= RG_LOST_URLS_MAX);
    RG_ASSERT(memchr(info->region, 0, sizeof info->region) != NULL);
    RG_ASSERT(memchr(info->reason, 0, sizeof info->reason) != NULL);
    RG_ASSERT(info->n_urls == 0 || memchr(info->urls[info->n_urls - 1], 0, sizeof info->urls[0]) != NULL);
}

static json_t *info_json(const struct rg_lost_info *info, const char *format, bool with_urls)
{
    char at[RG_TIME_TEXT_MAX];
    json_t *json, *urls;

    info_check(info);
    (void)rg_time_format(at, info->set_aside_ms);
    json = json_pack("{s:s,s:I,s:I,s:s,s:s,s:s,s:I}", "format", format, "epoch", (json_int_t)info->epoch, "oldId",
                     (json_int_t)info->old_id, "region", info->region, "reason", info->reason, "setAsideAt", at,
                     "setAsideMs", (json_int_t)info->set_aside_ms);
    if (json != NULL && info->incarnation[0] != '\0')
        json_object_set_new(json, "incarnation", json_string(info->incarnation));
    if (json != NULL && info->ask_after_ms > 0)
        json_object_set_new(json, "askAfterMs", json_integer(info->ask_after_ms));
    if (json != NULL && info->empty)
        json_object_set_new(json, "empty", json_true());
    if (json == NULL || !with_urls)
        return json;
    urls = json_array();
    for (size_t i = 0; i < info->n_urls; i++)
        json_array_append_new(urls, json_string(info->urls[i]));
    json_object_set_new(json, "urls", urls);
    return json;
}

static bool take_text(const json_t *json, const char *name, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(json, name));

    if (text == NULL || strlen(text) >= size)
        return false;
    memcpy(out, text, strlen(text) + 1);
    return true;
}

static bool take_id(const json_t *json, const char *name, uint64_t *out)
{
    const json_t *v = json_object_get(json, name);

    if (!json_is_integer(v) || json_integer_value(v) < 0)
        return false;
    *out = (uint64_t)json_integer_value(v);
    return true;
}

static bool take_info(const json_t *json, const char *format, struct rg_lost_info *info)
{
    const char *is = json_string_value(json_object_get(json, "format"));
    const json_t *urls = json_object_get(json, "urls");
    uint64_t ms;

    memset(info, 0, sizeof *info);
    if (is == NULL || strcmp(is, format) != 0 || !take_id(json, "epoch", &info->epoch) ||
        !take_id(json, "oldId", &info->old_id) || info->old_id == 0 || !take_id(json, "setAsideMs", &ms) ||
        !take_text(json, "region", info->region, sizeof info->region) ||
        !take_text(json, "reason", info->reason, sizeof info->reason))
        return false;
    if (json_object_get(json, "incarnation") != NULL && !take_text(json, "incarnation", info->incarnation, sizeof info->incarnation))
        return false;
    info->set_aside_ms = (int64_t)ms;
    info->empty = json_is_true(json_object_get(json, "empty"));
    if (json_object_get(json, "askAfterMs") != NULL) {
        if (!take_id(json, "askAfterMs", &ms))
            return false;
        info->ask_after_ms = (int64_t)ms;
    }
    for (size_t i = 0; i < json_array_size(urls) && info->n_urls < RG_LOST_URLS_MAX; i++) {
        const char *url = json_string_value(json_array_get(urls, i));

        if (url != NULL && strlen(url) < sizeof info->urls[0])
            strcpy(info->urls[info->n_urls++], url);
    }
    info_check(info);
    return true;
}

/* ---- setting aside ---- */

enum rg_err rg_lost_begin(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, struct rg_errctx *ctx)
{
    json_t *json = info_json(info, "regent-rejoin/1", true);
    enum rg_err err = write_json(io, data_dir, MARKER, json, ctx);

    json_decref(json);
    return err;
}

enum rg_err rg_lost_pending(struct rg_io *io, const char *data_dir, struct rg_lost_info *ret_info, struct rg_errctx *ctx)
{
    char path[RG_LOST_PATH_MAX];
    json_t *json = NULL;
    enum rg_err err = path_of(path, ctx, "%s/" MARKER, data_dir);

    if (!err)
        err = read_json(io, path, MARKER_BYTES_MAX, &json, ctx);
    if (!err && !take_info(json, "regent-rejoin/1", ret_info))
        err = rg_fail(ctx, RG_ECORRUPT, "%s: cannot be read: it says which data is to be set aside", path);
    RG_ASSERT(err || ret_info->old_id > 0);
    json_decref(json);
    return err;
}

enum rg_err rg_lost_move(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, struct rg_errctx *ctx)
{
    char lost[RG_LOST_PATH_MAX], dir[RG_LOST_PATH_MAX], from[RG_LOST_PATH_MAX], to[RG_LOST_PATH_MAX];
    json_t *json = NULL;
    enum rg_err err = path_of(lost, ctx, "%s/lost", data_dir);

    if (info->empty)
        return RG_OK;
    if (!err)
        err = tail_path(dir, data_dir, info, "", ctx);
    if (!err)
        err = io->mkdir(io, lost, ctx);
    if (!err)
        err = io->sync_dir(io, data_dir, ctx);
    if (!err)
        err = io->mkdir(io, dir, ctx);
    if (!err)
        err = io->sync_dir(io, lost, ctx);
    if (!err) {
        json = info_json(info, "regent-lost/1", false);
        err = write_json(io, dir, "info.json", json, ctx);
        json_decref(json);
    }
    for (size_t i = 0; !err && i < RG_LEN(moved); i++) {
        err = path_of(from, ctx, "%s/%s", data_dir, moved[i]);
        if (!err)
            err = path_of(to, ctx, "%s/%s", dir, moved[i]);
        if (!err)
            err = io->rename(io, from, to, ctx);
        if (err == RG_ENOTFOUND) /* moved already, or never made */
            err = RG_OK;
    }
    if (!err)
        err = io->sync_dir(io, dir, ctx);
    return err ? err : io->sync_dir(io, data_dir, ctx);
}

enum rg_err rg_lost_end(struct rg_io *io, const char *data_dir, struct rg_errctx *ctx)
{
    char path[RG_LOST_PATH_MAX];
    enum rg_err err = path_of(path, ctx, "%s/" MARKER, data_dir);

    if (!err)
        err = io->unlink(io, path, ctx);
    if (err == RG_ENOTFOUND)
        err = RG_OK;
    return err ? err : io->sync_dir(io, data_dir, ctx);
}

/* ---- what is kept ---- */

static bool parse_name(const char *name, struct rg_lost_info *info)
{
    char again[64];
    unsigned long long epoch, id;

    if (sscanf(name, "%20llu-%20llu", &epoch, &id) != 2)
        return false;
    snprintf(again, sizeof again, "%llu-%llu", epoch, id);
    *info = (struct rg_lost_info){.epoch = epoch, .old_id = id};
    return id > 0 && strcmp(again, name) == 0;
}

static void list_each(void *arg, const char *name)
{
    struct rg_lost_list *l = arg;
    bool gone = strncmp(name, GONE, sizeof GONE - 1) == 0;
    struct rg_lost_info info;

    RG_ASSERT(l->n <= RG_LOST_TAILS_MAX);
    RG_ASSERT(l->n_dropped <= RG_LOST_TAILS_MAX);
    if (!parse_name(gone ? name + sizeof GONE - 1 : name, &info))
        return;
    if ((gone ? l->n_dropped : l->n) == RG_LOST_TAILS_MAX)
        l->cut = true;
    else if (gone)
        l->dropped[l->n_dropped++] = info.old_id;
    else
        l->tails[l->n++] = info;
}

static int tail_order(const void *a, const void *b)
{
    const struct rg_lost_info *x = a, *y = b;

    if (x->epoch != y->epoch)
        return x->epoch < y->epoch ? -1 : 1;
    return x->old_id < y->old_id ? -1 : x->old_id > y->old_id;
}

/* The folder's name says what matters; without its info the rest is empty. */
static enum rg_err read_info(struct rg_io *io, const char *data_dir, struct rg_lost_info *info, struct rg_errctx *ctx)
{
    char path[RG_LOST_PATH_MAX];
    struct rg_lost_info read;
    json_t *json = NULL;
    enum rg_err err = tail_path(path, data_dir, info, "info.json", ctx);

    if (!err)
        err = read_json(io, path, MARKER_BYTES_MAX, &json, ctx);
    if (!err && take_info(json, "regent-lost/1", &read) && read.epoch == info->epoch && read.old_id == info->old_id)
        *info = read;
    json_decref(json);
    return err == RG_ENOTFOUND || err == RG_ECORRUPT ? RG_OK : err;
}

enum rg_err rg_lost_list(struct rg_io *io, const char *data_dir, struct rg_lost_list *ret_list, struct rg_errctx *ctx)
{
    struct rg_lost_list l = {.tails = calloc(RG_LOST_TAILS_MAX, sizeof *l.tails)};
    char path[RG_LOST_PATH_MAX];
    enum rg_err err = path_of(path, ctx, "%s/lost", data_dir);

    if (l.tails == NULL)
        return RG_ENOMEM;
    if (!err)
        err = io->list(io, path, list_each, &l, ctx);
    if (err == RG_ENOTFOUND)
        err = RG_OK;
    RG_ASSERT(l.n <= RG_LOST_TAILS_MAX);
    for (size_t i = 0; !err && i < l.n; i++)
        err = read_info(io, data_dir, &l.tails[i], ctx);
    if (err) {
        free(l.tails);
        return err;
    }
    qsort(l.tails, l.n, sizeof *l.tails, tail_order);
    *ret_list = l;
    return RG_OK;
}

void rg_lost_list_deinit(struct rg_lost_list *list)
{
    RG_ASSERT(list->tails != NULL || list->n == 0);
    RG_ASSERT(list->n <= RG_LOST_TAILS_MAX);
    free(list->tails);
    *list = (struct rg_lost_list){.tails = NULL};
}

enum rg_err rg_lost_find(struct rg_io *io, const char *data_dir, uint64_t epoch, uint64_t old_id, struct rg_lost_info *ret_info,
                         struct rg_errctx *ctx)
{
    struct rg_lost_list list;
    enum rg_err err = rg_lost_list(io, data_dir, &list, ctx);
    size_t n = 0;

    if (err)
        return err;
    for (size_t i = 0; i < list.n; i++) {
        if (list.tails[i].epoch != epoch || (old_id != 0 && list.tails[i].old_id != old_id))
            continue;
        *ret_info = list.tails[i];
        n++;
    }
    rg_lost_list_deinit(&list);
    RG_ASSERT(n == 0 || ret_info->epoch == epoch);
    RG_ASSERT(n <= 1 || old_id == 0);
    if (n > 1)
        return rg_fail(ctx, RG_EINVALID, "epoch %llu replaced several nodes whose data is here: name one, as %llu-%llu",
                       (unsigned long long)epoch, (unsigned long long)epoch, (unsigned long long)ret_info->old_id);
    return n == 1 ? RG_OK : rg_fail(ctx, RG_ENOTFOUND, "there is no lost tail of epoch %llu here", (unsigned long long)epoch);
}

/* ---- dropping ---- */

struct dropping {
    struct rg_io *io;
    const char *lost;
    struct rg_errctx *ctx;
    enum rg_err err;
};

static void drop_each(void *arg, const char *name)
{
    struct dropping *d = arg;
    char path[RG_LOST_PATH_MAX];

    if (d->err || strncmp(name, DROPPED, sizeof DROPPED - 1) != 0)
        return;
    RG_ASSERT(strchr(name, '/') == NULL);
    d->err = path_of(path, d->ctx, "%s/%s", d->lost, name);
    if (!d->err)
        d->err = rg_tree_remove(d->io, path, d->ctx);
}

enum rg_err rg_lost_drop(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, struct rg_errctx *ctx)
{
    char lost[RG_LOST_PATH_MAX], from[RG_LOST_PATH_MAX], to[RG_LOST_PATH_MAX], gone[RG_LOST_PATH_MAX];
    struct dropping d = {.io = io, .lost = lost, .ctx = ctx};
    unsigned long long epoch = info->epoch, id = info->old_id;
    enum rg_err err = path_of(lost, ctx, "%s/lost", data_dir);

    RG_ASSERT(info->old_id > 0);
    RG_ASSERT(info->epoch <= INT64_MAX);
    if (!err)
        err = tail_path(from, data_dir, info, "", ctx);
    if (!err)
        err = path_of(to, ctx, "%s/" DROPPED "%llu-%llu", lost, epoch, id);
    if (!err)
        err = path_of(gone, ctx, "%s/" GONE "%llu-%llu", lost, epoch, id);
    if (!err)
        err = rg_tree_remove(io, to, ctx); /* of a drop that a crash interrupted */
    if (!err)
        err = io->mkdir(io, gone, ctx); /* before it is: or nobody could say what became of it */
    if (!err)
        err = io->sync_dir(io, lost, ctx);
    if (!err)
        err = io->rename(io, from, to, ctx);
    if (!err)
        err = io->sync_dir(io, lost, ctx);
    if (!err)
        err = io->list(io, lost, drop_each, &d, ctx);
    return err ? err : d.err;
}

/* ---- the tail ---- */

static size_t epoch_after(const struct rg_lost_epochs *epochs, uint64_t epoch)
{
    size_t i = 0;

    RG_ASSERT(epochs->n <= RG_LOST_EPOCHS_MAX);
    while (i < epochs->n && epochs->at[i].epoch <= epoch)
        i++;
    RG_ASSERT(i <= epochs->n);
    return i;
}

bool rg_lost_epochs_cover(const struct rg_lost_epochs *epochs, uint64_t epoch)
{
    return epoch_after(epochs, epoch) < epochs->n;
}

/* An epoch that the history does not have had a primary nobody followed: all of it is lost. */
bool rg_lost_entry_is(const struct rg_lost_epochs *epochs, uint64_t epoch, uint64_t index)
{
    size_t next = epoch_after(epochs, epoch);

    RG_ASSERT(next < epochs->n);
    return (next > 0 && epochs->at[next - 1].epoch != epoch) || index >= epochs->at[next].first_index;
}

static bool tail_wants(const struct rg_lost_tail *t, uint64_t index)
{
    RG_ASSERT(t->wanted != NULL || t->n_wanted == 0);
    if (index <= t->after)
        return false;
    if (t->wanted == NULL)
        return true;
    for (size_t lo = 0, hi = t->n_wanted; lo < hi;) {
        size_t mid = lo + (hi - lo) / 2;

        if (t->wanted[mid] == index)
            return true;
        if (t->wanted[mid] < index)
            lo = mid + 1;
        else
            hi = mid;
    }
    return false;
}

/* Spans are set once all bytes are there: the buffer moves while it grows. */
static enum rg_err tail_keep(struct rg_lost_tail *t, uint64_t index, const struct rg_entry *entry)
{
    RG_ASSERT(t->n <= t->limit);
    RG_ASSERT(index > t->after);
    if (t->n == t->limit || (t->n > 0 && t->bytes.len + entry->data.n > t->bytes_max)) {
        t->more = true;
        return RG_OK;
    }
    if (t->n == t->cap) {
        size_t cap = t->cap == 0 ? FIRST_ENTRIES : 2 * t->cap;
        struct rg_lost_entry *entries = realloc(t->entries, cap * sizeof *entries);

        if (entries == NULL)
            return RG_ENOMEM;
        t->entries = entries;
        t->cap = cap;
    }
    RG_ASSERT(t->n < t->cap);
    RG_ASSERT((t->n == 0 || t->entries[t->n - 1].index < index));
    t->entries[t->n++] = (struct rg_lost_entry){index, entry->term, rg_span(NULL, entry->data.n)};
    rg_buf_put(&t->bytes, entry->data.p, entry->data.n);
    return t->bytes.err;
}

static bool tail_each(void *arg, uint64_t index, const struct rg_entry *entry)
{
    struct rg_lost_tail *t = arg;
    uint64_t epoch = entry->term >> EPOCH_SHIFT;

    RG_ASSERT(t->err == RG_OK); /* else it would have ended */
    RG_ASSERT(index > 0);
    if (!rg_lost_epochs_cover(t->epochs, epoch)) {
        t->err = RG_EUNREADY;
        t->last_epoch = epoch;
        return false;
    }
    if (t->read_first == 0) {
        size_t next = epoch_after(t->epochs, epoch);

        t->read_first = index;
        if (rg_lost_entry_is(t->epochs, epoch, index)) {
            t->lost_from = RG_MIN(index, t->epochs->at[next].first_index);
            t->missing = index - t->lost_from;
        }
    }
    if (!rg_lost_entry_is(t->epochs, epoch, index))
        return true;
    if (t->lost_from == 0)
        t->lost_from = index;
    RG_ASSERT(t->lost_from <= index);
    if (entry->type != RG_ENTRY_COMMAND)
        return true;
    RG_ASSERT(index > t->last_index);
    t->total++;
    t->last_index = index;
    if (t->first_index == 0)
        t->first_index = index;
    if (!t->more && tail_wants(t, index))
        t->err = tail_keep(t, index, entry);
    return t->err == RG_OK;
}

enum rg_err rg_lost_read(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, struct rg_keyprov *keys,
                         const struct rg_context *context, const struct rg_lost_epochs *epochs,
                         const struct rg_lost_want *want, struct rg_lost_tail *ret_tail, struct rg_errctx *ctx)
{
    struct rg_lost_tail t = {.epochs = epochs, .wanted = want->indexes, .n_wanted = want->n_indexes, .limit = want->limit,
                             .bytes_max = want->bytes_max, .after = want->after};
    char dir[RG_LOST_PATH_MAX];
    size_t at = 0;
    enum rg_err err = tail_path(dir, data_dir, info, "wal", ctx);

    rg_buf_init(&t.bytes, want->bytes_max + RG_CMD_BYTES_MAX);
    if (!err)
        err = rg_wal_read(io, dir, keys, context, tail_each, &t, NULL, ctx);
    if (!err && t.err == RG_EUNREADY)
        err = rg_fail(ctx, RG_EUNREADY,
                      "the history that replaced epoch %llu has not arrived here yet: try again when this region is ready",
                      (unsigned long long)t.last_epoch);
    if (!err)
        err = t.err;
    for (size_t i = 0; i < t.n; i++) {
        t.entries[i].cmd.p = t.bytes.data + at;
        at += t.entries[i].cmd.n;
    }
    RG_ASSERT(at == t.bytes.len || err);
    RG_ASSERT(t.n <= t.total);
    RG_ASSERT(t.n <= want->limit);
    RG_ASSERT(t.first_index <= t.last_index);
    RG_ASSERT((t.total > 0) == (t.first_index > 0));
    RG_ASSERT(t.total == 0 || t.lost_from > 0);
    RG_ASSERT(t.lost_from <= t.first_index || t.total == 0);
    RG_ASSERT(t.n == 0 || t.entries[0].index >= t.first_index);
    RG_ASSERT(t.n == 0 || t.entries[t.n - 1].index <= t.last_index);
    RG_ASSERT(t.read_first == 0 || t.missing <= t.read_first);
    RG_ASSERT(t.missing == 0 || t.lost_from > 0);
    t.epochs = NULL;
    t.wanted = NULL;
    if (err)
        rg_lost_tail_deinit(&t);
    else
        *ret_tail = t;
    return err;
}

void rg_lost_tail_deinit(struct rg_lost_tail *tail)
{
    RG_ASSERT(tail->n <= tail->cap);
    RG_ASSERT((tail->cap == 0) == (tail->entries == NULL));
    free(tail->entries);
    rg_buf_deinit(&tail->bytes);
    tail->entries = NULL;
    tail->n = tail->cap = 0;
}

/* ---- what was replayed ---- */

enum rg_err rg_lost_replayed_get(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, json_t **ret,
                                 struct rg_errctx *ctx)
{
    char path[RG_LOST_PATH_MAX];
    json_t *json = NULL, *replayed;
    enum rg_err err = tail_path(path, data_dir, info, "replayed.json", ctx);

    if (!err)
        err = read_json(io, path, FILE_BYTES_MAX, &json, ctx);
    if (err == RG_ENOTFOUND) {
        *ret = json_object();
        return *ret != NULL ? RG_OK : RG_ENOMEM;
    }
    if (err)
        return err;
    replayed = json_object_get(json, "replayed");
    if (json_is_object(replayed))
        *ret = json_incref(replayed);
    else
        err = rg_fail(ctx, RG_ECORRUPT, "%s: has no list of what was replayed", path);
    json_decref(json);
    RG_ASSERT(err || json_is_object(*ret));
    return err;
}

enum rg_err rg_lost_replayed_put(struct rg_io *io, const char *data_dir, const struct rg_lost_info *info, json_t *replayed,
                                 struct rg_errctx *ctx)
{
    json_t *json = json_pack("{s:s,s:O}", "format", "regent-replayed/1", "replayed", replayed);
    char dir[RG_LOST_PATH_MAX];
    enum rg_err err = tail_path(dir, data_dir, info, "", ctx);

    RG_ASSERT(json_is_object(replayed));
    if (!err)
        err = write_json(io, dir, "replayed.json", json, ctx);
    json_decref(json);
    return err;
}
