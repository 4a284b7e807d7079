#include "cmd/runbook/evidence_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/json_writer.h"
#include "crypto/privfile.h"

enum { LINE_BYTES_MAX = 4 * 1024 * 1024 };

struct rg_evidence {
    int fd; /* own; locked */
    struct evidence_chain chain;
    uint64_t bytes;
};

/* ---- the chain ---- */

void evidence_chain_init(struct evidence_chain *chain)
{
    *chain = (struct evidence_chain){.lines = 0};
    memset(chain->prev, '0', HEX_BYTES);
}

static void chain_move(struct evidence_chain *chain, struct rg_span line, bool is_signature)
{
    uint8_t digest[RG_SHA256_BYTES];

    rg_sha256(line, digest);
    rg_hex(chain->prev, digest, sizeof digest);
    chain->lines++;
    chain->is_signed = is_signature;
}

enum rg_err evidence_chain_step(struct evidence_chain *chain, struct rg_span line, json_t **ret_line, struct rg_errctx *ctx)
{
    json_error_t error;
    json_t *json;
    const char *prev, *step;
    enum rg_err err = RG_OK;

    if (chain->is_signed)
        return rg_fail(ctx, RG_ECORRUPT, "it stands after the signature");
    json = rg_json_parse(line, &error);
    if (json == NULL)
        return rg_fail(ctx, RG_ECORRUPT, "it is not JSON: %s", error.text);
    prev = json_string_value(json_object_get(json, "prev"));
    step = json_string_value(json_object_get(json, "step"));
    if (prev == NULL || step == NULL || json_string_value(json_object_get(json, "event")) == NULL)
        err = rg_fail(ctx, RG_ECORRUPT, "step, event or prev is missing");
    else if (strcmp(prev, chain->prev) != 0)
        err = rg_fail(ctx, RG_ECORRUPT, "its prev is not the hash of the line before: that line was changed, removed or moved");
    else if (rg_json_number(json, "n") != (json_int_t)chain->lines + 1)
        err = rg_fail(ctx, RG_ECORRUPT, "its n is not %llu", (unsigned long long)chain->lines + 1);
    if (err) {
        json_decref(json);
        return err;
    }
    chain_move(chain, line, strcmp(step, "signature") == 0 || json_object_get(json, "signature") != NULL);
    *ret_line = json;
    return RG_OK;
}

/* The line that begins at `at`, without its newline; false: none, or it has no newline (*ret_torn). */
static bool next_line(struct rg_span bytes, size_t at, struct rg_span *ret_line, bool *ret_torn)
{
    const uint8_t *end;

    *ret_torn = false;
    if (at >= bytes.n)
        return false;
    end = memchr(bytes.p + at, '\n', bytes.n - at);
    *ret_torn = end == NULL;
    if (end != NULL)
        *ret_line = rg_span(bytes.p + at, (size_t)(end - bytes.p) - at);
    return end != NULL;
}

/* ---- writing ---- */

static enum rg_err sync_dir(const char *path)
{
    char copy[4096];
    int fd, rv;

    snprintf(copy, sizeof copy, "%s", path);
    fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    rv = fd >= 0 ? fsync(fd) : -1;
    if (fd >= 0)
        close(fd);
    return rv == 0 ? RG_OK : RG_EIO;
}

static enum rg_err open_locked(const char *path, int flags, struct rg_evidence **ret_evidence, struct rg_errctx *ctx)
{
    struct rg_evidence *evidence = calloc(1, sizeof *evidence);

    if (evidence == NULL)
        return RG_ENOMEM;
    evidence_chain_init(&evidence->chain);
    evidence->fd = open(path, flags | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (evidence->fd < 0) {
        free(evidence);
        return rg_fail(ctx, errno == EEXIST ? RG_ECONFLICT : rg_err_from_errno(errno), "%s: %s%s", path, strerror(errno),
                       errno == EEXIST ? " (go on with it: --resume)" : "");
    }
    if (flock(evidence->fd, LOCK_EX | LOCK_NB) != 0) {
        rg_evidence_close(evidence);
        return rg_fail(ctx, RG_ECONFLICT, "%s: another runbook writes to it", path);
    }
    *ret_evidence = evidence;
    return RG_OK;
}

enum rg_err rg_evidence_create(const char *path, struct rg_evidence **ret_evidence, struct rg_errctx *ctx)
{
    struct rg_evidence *evidence = NULL;
    enum rg_err err = open_locked(path, O_WRONLY | O_CREAT | O_EXCL, &evidence, ctx);

    if (err)
        return err;
    if (sync_dir(path) != RG_OK) {
        err = rg_fail(ctx, RG_EIO, "%s: its folder cannot be synced: %s", path, strerror(errno));
        rg_evidence_close(evidence);
        return err;
    }
    *ret_evidence = evidence;
    return RG_OK;
}

void rg_evidence_close(struct rg_evidence *evidence)
{
    if (evidence == NULL)
        return;
    close(evidence->fd);
    free(evidence);
}

static enum rg_err replay(struct rg_evidence *evidence, const char *path, struct rg_span bytes,
                          void (*on_line)(void *arg, const json_t *line), void *arg, bool *ret_cut, struct rg_errctx *ctx)
{
    struct rg_span line;
    size_t at = 0;

    while (next_line(bytes, at, &line, ret_cut)) {
        struct rg_errctx why = {.text = ""};
        json_t *json;
        enum rg_err err = evidence_chain_step(&evidence->chain, line, &json, &why);

        if (err)
            return rg_fail(ctx, err, "%s: line %llu: %s", path, (unsigned long long)evidence->chain.lines + 1, why.text);
        on_line(arg, json);
        json_decref(json);
        at += line.n + 1;
    }
    if (evidence->chain.is_signed)
        return rg_fail(ctx, RG_ECONFLICT, "%s: is signed: this runbook is finished", path);
    if (*ret_cut && (ftruncate(evidence->fd, (off_t)at) != 0 || fsync(evidence->fd) != 0))
        return rg_fail(ctx, RG_EIO, "%s: %s", path, strerror(errno));
    evidence->bytes = at;
    return RG_OK;
}

enum rg_err rg_evidence_resume(const char *path, void (*on_line)(void *arg, const json_t *line), void *arg, bool *ret_cut,
                               struct rg_evidence **ret_evidence, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_evidence *evidence = NULL;
    enum rg_err err = open_locked(path, O_WRONLY, &evidence, ctx);

    if (err)
        return err;
    rg_buf_init(&bytes, RG_EVIDENCE_BYTES_MAX);
    err = rg_privfile_read(path, "evidence", 0, &bytes, ctx);
    if (!err)
        err = replay(evidence, path, rg_buf_span(&bytes), on_line, arg, ret_cut, ctx);
    if (!err && evidence->chain.lines == 0)
        err = rg_fail(ctx, RG_EINVALID, "%s: is empty: nothing to go on with", path);
    if (err) {
        rg_evidence_close(evidence);
        return err;
    }
    *ret_evidence = evidence;
    return RG_OK;
}

/* The whole line or none: what a failed write left is taken back. */
static enum rg_err write_line(struct rg_evidence *evidence, struct rg_span line, struct rg_errctx *ctx)
{
    size_t done = 0;

    while (done < line.n) {
        ssize_t n = write(evidence->fd, line.p + done, line.n - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            break;
        done += (size_t)n;
    }
    if (done == line.n && fsync(evidence->fd) == 0) {
        evidence->bytes += line.n;
        return RG_OK;
    }
    rg_errctx_set(ctx, "the evidence cannot be written: %s", strerror(errno));
    if (ftruncate(evidence->fd, (off_t)evidence->bytes) != 0)
        return RG_EIO;
    return RG_EIO;
}

/* {n, time, step, event, …more…, prev} (own). */
static json_t *line_json(const struct rg_evidence *evidence, int64_t at_ms, const char *step, const char *event, json_t *more)
{
    char when[RG_TIME_TEXT_MAX];
    json_t *line;

    (void)rg_time_format(when, at_ms);
    line = json_pack("{s:I, s:s, s:s, s:s}", "n", (json_int_t)evidence->chain.lines + 1, "time", when, "step", step, "event",
                     event);
    if (line != NULL && more != NULL && json_object_update_missing(line, more) != 0) {
        json_decref(line);
        line = NULL;
    }
    json_decref(more);
    if (line != NULL)
        json_object_set_new(line, "prev", json_string(evidence->chain.prev));
    return line;
}

/* Append the finished text of a line. */
static enum rg_err add_text(struct rg_evidence *evidence, struct rg_buf *text, bool is_signature, struct rg_errctx *ctx)
{
    enum rg_err err;

    rg_buf_put_u8(text, '\n');
    if (text->err || evidence->bytes + text->len > RG_EVIDENCE_BYTES_MAX)
        return rg_fail(ctx, text->err ? text->err : RG_ETOOBIG, "the evidence is over its limit");
    err = write_line(evidence, rg_buf_span(text), ctx);
    if (!err)
        chain_move(&evidence->chain, rg_span(text->data, text->len - 1), is_signature);
    return err;
}

/* What ends the line that is signed: its last member, behind what was signed. */
static void put_signature(struct rg_buf *text, const char *hex)
{
    struct rg_json_writer j;
    size_t at = text->len;

    rg_json_begin(&j, text);
    rg_json_object(&j, NULL);
    rg_json_str(&j, "signature", hex);
    rg_json_end(&j);
    rg_json_done(&j);
    if (text->len > at)
        text->data[at] = ','; /* in place of the brace: it goes on with the members before */
}

static enum rg_err put_line(struct rg_buf *text, json_t *line)
{
    char *dump = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;

    json_decref(line);
    if (dump == NULL)
        return RG_ENOMEM;
    rg_buf_put_str(text, dump);
    free(dump);
    return text->err;
}

enum rg_err rg_evidence_add(struct rg_evidence *evidence, int64_t at_ms, const char *step, const char *event, json_t *more,
                            struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&text, LINE_BYTES_MAX);
    err = put_line(&text, line_json(evidence, at_ms, step, event, more));
    return err ? rg_fail(ctx, err, "a line of the evidence cannot be made (%s)", rg_err_text(err))
               : add_text(evidence, &text, false, ctx);
}

enum rg_err rg_evidence_sign(struct rg_evidence *evidence, int64_t at_ms, const struct rg_evidence_key *key,
                             struct rg_errctx *ctx)
{
    char name[80], hex[2 * SIGNATURE_BYTES_MAX + 1];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err = evidence_key_name(key, true, name, ctx);

    if (err)
        return err;
    rg_buf_init(&text, LINE_BYTES_MAX);
    err = put_line(&text, line_json(evidence, at_ms, "signature", "signed",
                                    json_pack("{s:s, s:s}", "algorithm", key->pem_path != NULL ? ALGORITHM_ECDSA : ALGORITHM_HMAC,
                                              "key", name)));
    if (err)
        return rg_fail(ctx, err, "the signature's line cannot be made (%s)", rg_err_text(err));
    text.len--; /* the closing brace comes after the signature */
    err = evidence_key_sign(key, rg_buf_span(&text), hex, ctx);
    if (err)
        return err;
    put_signature(&text, hex);
    return add_text(evidence, &text, true, ctx);
}

/* ---- checking ---- */

static void copy_text(char *out, size_t size, const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    snprintf(out, size, "%s", text != NULL ? text : "");
}

/* The signature member must end the line, in exactly the bytes that rg_evidence_sign writes. */
static enum rg_err check_signature(struct rg_span line, const json_t *json, const struct rg_evidence_key *key,
                                   const struct rg_evidence_report *report, struct rg_errctx *ctx)
{
    const char *hex = json_string_value(json_object_get(json, "signature"));
    RG_AUTO_BUF struct rg_buf end = {.max = 0};
    char name[80];
    enum rg_err err;

    if (hex == NULL || strlen(hex) > 2 * SIGNATURE_BYTES_MAX)
        return rg_fail(ctx, RG_EBADSIG, "it has no signature of a known form");
    rg_buf_init(&end, 6 * 2 * SIGNATURE_BYTES_MAX + 32); /* were it all escapes */
    put_signature(&end, hex);
    if (end.err)
        return end.err;
    if (line.n < end.len || memcmp(line.p + line.n - end.len, end.data, end.len) != 0)
        return rg_fail(ctx, RG_EBADSIG, "the signature is not its last member");
    err = evidence_key_check(key, report->algorithm, rg_span(line.p, line.n - end.len), hex, ctx);
    if (err)
        return err;
    if (strcmp(report->algorithm, ALGORITHM_ECDSA) != 0)
        return RG_OK;
    err = evidence_key_name(key, false, name, ctx);
    return !err && strcmp(name, report->key) != 0 ? rg_fail(ctx, RG_EBADSIG, "its key is another than its name says") : err;
}

enum rg_err rg_evidence_verify(struct rg_span bytes, const struct rg_evidence_key *key, struct rg_evidence_report *ret_report,
                               struct rg_errctx *ctx)
{
    struct evidence_chain chain;
    struct rg_evidence_report report = {.lines = 0};
    struct rg_errctx why = {.text = ""};
    struct rg_span line = {0};
    enum rg_err err = RG_OK;
    bool torn = false;
    size_t at = 0;

    evidence_chain_init(&chain);
    while (!err && next_line(bytes, at, &line, &torn)) {
        json_t *json = NULL;

        at += line.n + 1;
        err = evidence_chain_step(&chain, line, &json, &why);
        if (!err && chain.is_signed) {
            report.is_signed = true;
            copy_text(report.algorithm, sizeof report.algorithm, json, "algorithm");
            copy_text(report.key, sizeof report.key, json, "key");
            err = check_signature(line, json, key, &report, &why);
        }
        report.lines += err == RG_OK;
        json_decref(json);
    }
    if (!err && torn)
        err = rg_fail(&why, RG_ECORRUPT, chain.is_signed ? "it stands after the signature" : "it has no end (cut short)");
    if (!err && report.lines == 0)
        err = rg_fail(&why, RG_EMALFORMED, "it is empty: this is no runbook's evidence");
    if (!err && !report.is_signed)
        err = RG_EUNREADY;
    if (err == RG_EBADSIG)
        err = RG_ECORRUPT;
    if (err == RG_ECORRUPT)
        report.bad_line = report.lines + 1;
    *ret_report = report;
    if (err == RG_ECORRUPT)
        return rg_fail(ctx, err, "line %llu: %s", (unsigned long long)report.bad_line, why.text);
    if (err == RG_EUNREADY)
        return rg_fail(ctx, err, "%llu lines, the chain is whole, but nobody has signed it: the runbook is not finished",
                       (unsigned long long)report.lines);
    return err ? rg_fail(ctx, err, "%s", rg_errctx_text(&why, err)) : RG_OK;
}
