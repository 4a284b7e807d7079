#include "raft/member/ending.h"

#include <stdio.h>

#include "base/buf.h"
#include "base/bug/bug.h"
#include "raft/core/mark.h"
#include "raft/log/tree.h"

enum { MARK_BYTES_MAX = 4096, NOISE_BYTES = 4096, ROUNDS_MAX = 4 };

#define MARK "removed"
#define BEGINS "node "    /* first line: who it was */
#define UNTIL "until "    /* second line: Unix time */
#define KEPT "kept"       /* or this */
#define LINE_BEFORE " was removed from " /* of a release before, which had no second line: it had destroyed its key already */

static const char *const names[] = {"LOOKS", "NONE", "KEPT", "WAITS", "PROVES", "SECRETS", "META", "DATA", "MACHINE", "OVER"};
static const uint32_t may[] = {
    [ENDING_LOOKS] = RG_BIT(ENDING_NONE) | RG_BIT(ENDING_KEPT) | RG_BIT(ENDING_WAITS) | RG_BIT(ENDING_PROVES),
    [ENDING_NONE] = RG_BIT(ENDING_LOOKS),
    [ENDING_KEPT] = RG_BIT(ENDING_LOOKS),
    [ENDING_WAITS] = RG_BIT(ENDING_LOOKS),
    [ENDING_PROVES] = RG_BIT(ENDING_SECRETS) | RG_BIT(ENDING_LOOKS),
    [ENDING_SECRETS] = RG_BIT(ENDING_META) | RG_BIT(ENDING_LOOKS),
    [ENDING_META] = RG_BIT(ENDING_DATA) | RG_BIT(ENDING_LOOKS),
    [ENDING_DATA] = RG_BIT(ENDING_MACHINE) | RG_BIT(ENDING_LOOKS),
    [ENDING_MACHINE] = RG_BIT(ENDING_OVER) | RG_BIT(ENDING_LOOKS),
    [ENDING_OVER] = RG_BIT(ENDING_LOOKS),
};
const struct rg_sm_table rg_endings = RG_SM_TABLE("ending", may, names);
_Static_assert(RG_LEN(may) == ENDING_OVER + 1, "each state has its row");

static bool is(const struct rg_ending *e, enum rg_ending_state state) { return e->state.state == (unsigned)state; }
static bool destroys(const struct rg_ending *e) { return e->state.state >= ENDING_PROVES; }
static bool rests(const struct rg_ending *e)
{
    return is(e, ENDING_NONE) || is(e, ENDING_KEPT) || is(e, ENDING_WAITS) || is(e, ENDING_OVER);
}

/* Nothing is destroyed but by a mark that was read, names its time, and whose time has come. */
static void ending_check(const struct rg_ending *e, int64_t wall_s)
{
    RG_ASSERT(e->state.table == &rg_endings);
    RG_ASSERT(memchr(e->said, '\0', sizeof e->said) != NULL);
    RG_ASSERT(!destroys(e) || e->said[0] != '\0');
    RG_ASSERT(!destroys(e) || e->until_s != RG_ENDING_KEPT);
    RG_ASSERT(!destroys(e) || e->until_s <= wall_s);
    RG_ASSERT(!is(e, ENDING_WAITS) || e->until_s > wall_s);
    RG_ASSERT(is(e, ENDING_KEPT) == (e->until_s == RG_ENDING_KEPT && e->said[0] != '\0'));
    RG_ASSERT(!is(e, ENDING_NONE) || e->said[0] == '\0');
}

static enum rg_err path_in(char out[RG_TREE_PATH_MAX], const char *dir, const char *name, struct rg_errctx *ctx)
{
    RG_ASSERT(strchr(name, '/') == NULL); /* of this directory, and of no other */
    if ((size_t)snprintf(out, RG_TREE_PATH_MAX, "%s/%s", dir, name) >= RG_TREE_PATH_MAX)
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", dir);
    return RG_OK;
}

/* ---- the mark ---- */

/* What is read may be in memory only, of a process that was killed. */
static enum rg_err prove(struct rg_io *io, const char *data_dir, struct rg_errctx *ctx)
{
    char path[RG_TREE_PATH_MAX];
    enum rg_err err = path_in(path, data_dir, MARK, ctx);
    int fd;

    if (err)
        return err;
    err = io->open(io, path, 0, &fd, ctx);
    if (err)
        return err;
    err = io->fdatasync(io, fd, ctx);
    io->close(io, fd);
    return err ? err : io->sync_dir(io, data_dir, ctx);
}

/* RG_ENOTFOUND: there is none. */
static enum rg_err read_mark(struct rg_io *io, const char *data_dir, struct rg_buf *text, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""};
    char path[RG_TREE_PATH_MAX];
    uint8_t *to;
    enum rg_err err = path_in(path, data_dir, MARK, ctx);
    int fd;

    if (err)
        return err;
    err = io->open(io, path, RG_OPEN_READ, &fd, &why);
    if (err)
        return err == RG_ENOTFOUND ? err : rg_fail(ctx, err, "%s", why.text);
    to = rg_buf_reserve(text, MARK_BYTES_MAX);
    err = to != NULL ? io->pread(io, fd, to, MARK_BYTES_MAX, 0, &text->len, ctx) : RG_ENOMEM;
    io->close(io, fd);
    RG_ASSERT(err || text->len <= MARK_BYTES_MAX);
    return err;
}

enum rg_err rg_ending_begin(struct rg_io *io, const char *data_dir, const char *said, int64_t until_s, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    RG_ASSERT(strncmp(said, BEGINS, sizeof BEGINS - 1) == 0);
    RG_ASSERT(strlen(said) < RG_ENDING_SAID_BYTES);
    RG_ASSERT(until_s >= 0);
    if (strchr(said, '\n') != NULL) /* nobody could read it */
        return rg_fail(ctx, RG_EINVALID, "a name has more than one line");
    rg_buf_init(&text, MARK_BYTES_MAX);
    err = read_mark(io, data_dir, &text, ctx);
    if (err != RG_ENOTFOUND)
        return err ? err : prove(io, data_dir, ctx);
    rg_buf_printf(&text, "%s\n", said);
    if (until_s == RG_ENDING_KEPT)
        rg_buf_put_str(&text, KEPT "\n");
    else
        rg_buf_printf(&text, UNTIL "%lld\n", (long long)until_s);
    return text.err ? text.err : rg_tree_write(io, data_dir, MARK, rg_buf_span(&text), ctx);
}

/* Digits, and the end of the line. */
static bool take_until(struct rg_span line, int64_t *ret_until)
{
    int64_t n = 0;

    if (line.n <= sizeof UNTIL - 1 || memcmp(line.p, UNTIL, sizeof UNTIL - 1) != 0)
        return false;
    for (size_t i = sizeof UNTIL - 1; i < line.n; i++)
        if (line.p[i] < '0' || line.p[i] > '9' || __builtin_mul_overflow(n, INT64_C(10), &n) ||
            __builtin_add_overflow(n, (int64_t)(line.p[i] - '0'), &n))
            return false;
    *ret_until = n;
    return true;
}

static struct rg_span take_line(struct rg_span *text)
{
    const uint8_t *end = text->n > 0 ? memchr(text->p, '\n', text->n) : NULL;
    struct rg_span line = rg_span(text->p, end != NULL ? (size_t)(end - text->p) : text->n);

    RG_ASSERT(line.n <= text->n);
    *text = end != NULL ? rg_span(end + 1, text->n - line.n - 1) : rg_span(NULL, 0);
    return line;
}

/* What nobody can read destroys nothing. */
static void take_mark(struct rg_ending *e, struct rg_span text)
{
    struct rg_span first = take_line(&text), second = take_line(&text);

    snprintf(e->said, sizeof e->said, "%.*s", RG_SPAN_ARG(first));
    if (e->said[0] == '\0')
        snprintf(e->said, sizeof e->said, "(nothing)");
    e->until_s = RG_ENDING_KEPT;
    if (strncmp(e->said, BEGINS, sizeof BEGINS - 1) != 0)
        return;
    if (second.n == 0 && strstr(e->said, LINE_BEFORE) != NULL)
        e->until_s = 0;
    else if (!take_until(second, &e->until_s))
        e->until_s = RG_ENDING_KEPT;
    RG_ASSERT(e->until_s >= 0);
}

static enum rg_err look(struct rg_ending *e, int64_t wall_s, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&text, MARK_BYTES_MAX);
    err = read_mark(e->io, e->place.data_dir, &text, ctx);
    if (err == RG_ENOTFOUND) {
        e->said[0] = '\0';
        e->until_s = RG_ENDING_KEPT;
        rg_sm_move(&e->state, ENDING_NONE);
        return RG_OK;
    }
    if (err)
        return err;
    take_mark(e, rg_buf_span(&text));
    rg_sm_move(&e->state, e->until_s == RG_ENDING_KEPT ? ENDING_KEPT : e->until_s > wall_s ? ENDING_WAITS : ENDING_PROVES);
    return RG_OK;
}

/* ---- what is secret ---- */

/* Random bytes over all of it, to the disk. */
static enum rg_err overwrite(struct rg_io *io, int fd, struct rg_errctx *ctx)
{
    uint64_t noise[NOISE_BYTES / sizeof(uint64_t)], size;
    enum rg_err err = io->size(io, fd, &size, ctx);

    for (uint64_t at = 0; !err && at < size; at += sizeof noise) {
        for (size_t i = 0; i < RG_LEN(noise); i++)
            noise[i] = io->random(io);
        err = io->pwrite(io, fd, noise, (size_t)RG_MIN(sizeof noise, size - at), at, ctx);
    }
    return err ? err : io->fdatasync(io, fd, ctx);
}

static enum rg_err destroy(struct rg_io *io, const char *path, struct rg_errctx *ctx)
{
    struct rg_errctx why = {.text = ""};
    enum rg_err err;
    int fd;

    if (path == NULL || path[0] == '\0')
        return RG_OK;
    err = io->open(io, path, 0, &fd, &why);
    if (err == RG_ENOTFOUND)
        return RG_OK;
    if (!err) {
        err = overwrite(io, fd, &why);
        io->close(io, fd);
    }
    if (!err)
        err = io->unlink(io, path, &why);
    if (!err)
        err = rg_tree_sync_parent(io, path, &why);
    return err ? rg_fail(ctx, RG_EIO, "%s: cannot be destroyed: %s", path, rg_errctx_text(&why, err)) : RG_OK;
}

static enum rg_err destroy_secrets(const struct rg_ending *e, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    for (size_t i = 0; !err && i < RG_LEN(e->place.secrets) && !RG_BUG(ending_keeps_secrets); i++)
        err = destroy(e->io, e->place.secrets[i], ctx);
    return err;
}

/* ---- data ---- */

/* Length of a name without what a file is called while it is made: NAME.tmp, NAME.tmp-HEX. */
static size_t final_length(const char *name)
{
    size_t n = strlen(name);
    const char *tmp = strstr(name, ".tmp");

    if (tmp == NULL)
        return n;
    if (tmp[4] == '\0' || (tmp[4] == '-' && tmp[5] != '\0' && tmp[5 + strspn(tmp + 5, "0123456789abcdef")] == '\0'))
        return (size_t)(tmp - name);
    return n;
}

static bool is_meta(const char *name)
{
    return rg_span_is(rg_span(name, final_length(name)), "meta");
}

/* What a node keeps in its data directory, by its whole name: whatever else is there is not ours (lost+found, an operator's folder
 * called metadata) and stays. So does the mark. */
static bool is_ours(const char *name)
{
    static const char *const kept[] = {"wal", "snapshots", "meta", "lost", "intents", "identity.json", "rejoin.json"};
    struct rg_span final = rg_span(name, final_length(name));
    size_t digits;

    for (size_t i = 0; i < RG_LEN(kept); i++)
        if (rg_span_is(final, kept[i]))
            return true;
    if (rg_span_is(final, MARK))
        return final.n < strlen(name);
    /* what it got when it came back: node-7.pem, node-7.key */
    if (final.n < 5 || memcmp(name, "node-", 5) != 0)
        return false;
    digits = strspn(name + 5, "0123456789");
    final = rg_span(final.p + 5 + digits, final.n - 5 - digits);
    return digits > 0 && (rg_span_is(final, ".pem") || rg_span_is(final, ".key"));
}

struct sweep {
    const struct rg_ending *e;
    bool (*mine)(const char *name);
    size_t n; /* found */
    enum rg_err err;
    struct rg_errctx *ctx;
};

static void sweep_each(void *arg, const char *name)
{
    struct sweep *s = arg;
    char path[RG_TREE_PATH_MAX];

    if (s->err || !s->mine(name))
        return;
    RG_ASSERT(strcmp(name, MARK) != 0); /* goes on saying so, for ever */
    s->n++;
    s->err = path_in(path, s->e->place.data_dir, name, s->ctx);
    if (!s->err)
        s->err = rg_tree_remove(s->e->io, path, s->ctx);
}

/* All that is ours, durably. Names that go while a folder is listed may hide others: until none is found. */
static enum rg_err sweep(const struct rg_ending *e, bool (*mine)(const char *name), struct rg_errctx *ctx)
{
    struct sweep s = {.e = e, .mine = mine, .n = 1, .ctx = ctx};
    enum rg_err err = RG_OK;

    for (unsigned i = 0; i < ROUNDS_MAX && s.n > 0 && !err; i++) {
        s.n = 0;
        err = e->io->list(e->io, e->place.data_dir, sweep_each, &s, ctx);
        if (!err)
            err = s.err;
    }
    if (!err && s.n > 0)
        return rg_fail(ctx, RG_EIO, "%s: files come as they go: does something else write there?", e->place.data_dir);
    return err ? err : e->io->sync_dir(e->io, e->place.data_dir, ctx);
}

/* Who removes the region has no use for it, and whoever joins from this machine is another node. */
static enum rg_err remove_machine_mark(const struct rg_ending *e, struct rg_errctx *ctx)
{
    const char *mark = e->place.mark;
    enum rg_err err;

    if (mark == NULL || mark[0] == '\0')
        return RG_OK;
    err = rg_mark_remove(e->io, mark, ctx);
    return err ? err : rg_tree_sync_parent(e->io, mark, ctx);
}

/* ---- steps ---- */

static enum rg_err step(struct rg_ending *e, int64_t wall_s, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    switch ((enum rg_ending_state)e->state.state) {
    case ENDING_LOOKS:
        return look(e, wall_s, ctx);
    case ENDING_NONE:
    case ENDING_KEPT:
    case ENDING_WAITS:
    case ENDING_OVER:
        return RG_OK;
    case ENDING_PROVES:
        err = prove(e->io, e->place.data_dir, ctx);
        break;
    case ENDING_SECRETS:
        err = destroy_secrets(e, ctx);
        break;
    case ENDING_META:
        err = sweep(e, is_meta, ctx);
        break;
    case ENDING_DATA:
        err = sweep(e, is_ours, ctx);
        break;
    case ENDING_MACHINE:
        err = remove_machine_mark(e, ctx);
        break;
    }
    if (!err)
        rg_sm_move(&e->state, e->state.state + 1);
    return err;
}

void rg_ending_init(struct rg_ending *e, struct rg_io *io, const struct rg_ending_place *place)
{
    RG_ASSERT(place->data_dir[0] != '\0');
    RG_ASSERT(io->random != NULL); /* else nothing could be overwritten */
    *e = (struct rg_ending){.io = io, .place = *place};
    rg_sm_init(&e->state, &rg_endings, ENDING_LOOKS);
}

enum rg_err rg_ending_go_on(struct rg_ending *e, int64_t wall_s, struct rg_errctx *ctx)
{
    enum rg_err err = RG_OK;

    if (!is(e, ENDING_LOOKS))
        rg_sm_move(&e->state, ENDING_LOOKS);
    for (unsigned i = 0; i <= ENDING_OVER && !err && !rests(e); i++) {
        err = step(e, wall_s, ctx);
        if (!is(e, ENDING_LOOKS))
            ending_check(e, wall_s);
    }
    RG_ASSERT(err || rests(e));
    return err;
}
