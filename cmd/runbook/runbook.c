#include "cmd/runbook/runbook.h"

#include <errno.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"

static const struct {
    const char *name, *title;
    enum rg_err (*run)(struct rg_runbook *rb);
} steps[RG_STEPS] = {
    [RG_STEP_DECLARE] = {"declare", "who declares, why, and what the plan says", rg_runbook_declare},
    [RG_STEP_PAUSE] = {"pause", "provisioning stands still", rg_runbook_pause},
    [RG_STEP_VALIDATE] = {"validate", "reads in every region", rg_runbook_validate},
    [RG_STEP_PROMOTE] = {"promote", "the region becomes PRIMARY", rg_runbook_promote},
    [RG_STEP_VERIFY] = {"verify", "a write there, seen in every region", rg_runbook_verify_writes},
    [RG_STEP_NOTIFY] = {"notify", "people and systems are told", rg_runbook_notify},
    [RG_STEP_RESUME] = {"resume", "provisioning goes on at the new endpoint", rg_runbook_resume},
};

/* ---- for people ---- */

void rg_runbook_say(struct rg_runbook *rb, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vfprintf(rb->out, fmt, args);
    va_end(args);
    fflush(rb->out);
}

/* A whole line of the terminal; of a longer one the rest is no answer to the next question. False: none came. */
static bool read_answer(char *line, size_t size)
{
    if (fgets(line, (int)size, stdin) == NULL)
        return false;
    if (strchr(line, '\n') == NULL)
        for (int c = getchar(); c != '\n' && c != EOF;)
            c = getchar();
    return true;
}

enum rg_err rg_runbook_confirm(struct rg_runbook *rb, const char *question)
{
    char line[64] = "";
    bool yes = rb->options.yes;
    enum rg_err err;

    rg_runbook_say(rb, "  %s [y/N] ", question);
    if (yes)
        rg_runbook_say(rb, "yes (--yes)\n");
    else if (read_answer(line, sizeof line))
        yes = strcasecmp(line, "y\n") == 0 || strcasecmp(line, "yes\n") == 0;
    else
        rg_runbook_say(rb, "(no answer)\n");
    err = rg_runbook_note(rb, "confirm",
                          json_pack("{s:s, s:s, s:s}", "question", question, "answer", yes ? "yes" : "no", "how",
                                    rb->options.yes ? "--yes" : "asked"));
    if (!err && !yes)
        err = rg_fail(&rb->cli->err, RG_EDENIED, "stopped at step %s: it was not confirmed", rb->step);
    return err;
}

/* ---- evidence ---- */

json_t *rg_runbook_string(const char *text)
{
    size_t n = strlen(text);
    json_t *json = json_stringn(text, n);

    for (unsigned cut = 0; json == NULL && n > 0 && cut < 3; cut++) /* it may have been cut within a character */
        json = json_stringn(text, --n);
    return json != NULL ? json : json_string("(not UTF-8)");
}

enum rg_err rg_runbook_note(struct rg_runbook *rb, const char *event, json_t *more)
{
    if (more == NULL)
        more = json_object();
    json_object_set_new(more, "operator", json_string(rb->by));
    return rg_evidence_add(rb->evidence, rg_clock_wall_ms(), rb->step, event, more, &rb->cli->err);
}

static json_t *request_json(const struct rg_fanout_request *request)
{
    json_t *json = json_pack("{s:s, s:s}", "method", request->method, "path", request->path);

    if (request->target != NULL)
        json_object_set_new(json, "target", json_string(request->target));
    if (request->body != NULL)
        json_object_set_new(json, "body", rg_json_parse(rg_span_str(request->body), NULL));
    if (request->min_revision != NULL)
        json_object_set_new(json, "minRevision", json_string(request->min_revision));
    return json;
}

static json_t *answers_json(const struct rg_runbook *rb)
{
    json_t *all = json_array();

    for (size_t i = 0; i < rb->cluster->n_regions; i++) {
        const struct rg_fanout_answer *a = &rb->answers[i];
        json_t *row;

        if (!a->asked)
            continue;
        row = json_pack("{s:s, s:s, s:f}", "region", rb->cluster->regions[i].name, "url", rb->cluster->regions[i].url, "ms",
                        (double)a->us / 1000);
        if (a->err) {
            json_object_set_new(row, "error", rg_runbook_string(rg_errctx_text(&a->ctx, a->err)));
        } else {
            json_object_set_new(row, "status", json_integer(a->status));
            if (a->revision[0] != '\0')
                json_object_set_new(row, "revision", json_string(a->revision));
            json_object_set(row, "body", a->body != NULL ? a->body : json_null());
        }
        json_array_append_new(all, row);
    }
    return all;
}

enum rg_err rg_runbook_ask(struct rg_runbook *rb, const struct rg_fanout_request *request, const bool *only)
{
    enum rg_err err = rg_fanout_ask(rb->fanout, request, only, rb->answers, &rb->cli->err);

    if (err)
        return err;
    return rg_runbook_note(rb, "request",
                           json_pack("{s:o, s:o}", "request", request_json(request), "answers", answers_json(rb)));
}

void rg_runbook_copy(char *out, size_t size, const char *text)
{
    size_t n = strlen(text);

    if (n >= size)
        for (n = size - 1; n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80;)
            n--;
    memcpy(out, text, n);
    out[n] = '\0';
}

bool rg_runbook_good(const struct rg_runbook *rb, size_t region)
{
    const struct rg_fanout_answer *a = &rb->answers[region];

    return a->asked && !a->err && a->status / 100 == 2;
}

const char *rg_runbook_text(const struct rg_runbook *rb, size_t region, const char *name)
{
    const char *text = json_string_value(json_object_get(rb->answers[region].body, name));

    return text != NULL ? text : "";
}

/* The error that a non-2xx answer carries, in the answer's own context. */
static enum rg_err refusal(struct rg_fanout_answer *a) { return rg_answer_error_json(a->status, a->body, &a->ctx); }

const char *rg_runbook_why(struct rg_runbook *rb, size_t region)
{
    struct rg_fanout_answer *a = &rb->answers[region];

    if (!a->asked)
        return "was not asked";
    if (!a->err && !rg_runbook_good(rb, region))
        refusal(a);
    return a->err || a->ctx.text[0] != '\0' ? rg_errctx_text(&a->ctx, a->err) : "answers";
}

enum rg_err rg_runbook_call(struct rg_runbook *rb, size_t region, const char *path, const char *target, json_t *body,
                            long timeout_ms)
{
    RG_AUTO_MEM char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : NULL;
    const struct rg_fanout_request request = {
        .method = body != NULL ? "POST" : "GET", .path = path, .target = target, .body = text, .timeout_ms = timeout_ms};
    bool only[RG_CLUSTER_REGIONS_MAX] = {false};
    struct rg_fanout_answer *a = &rb->answers[region];
    enum rg_err err;

    json_decref(body);
    if (request.method[0] == 'P' && text == NULL)
        return rg_fail(&rb->cli->err, RG_EINVALID, "the arguments must be UTF-8");
    only[region] = true;
    err = rg_runbook_ask(rb, &request, only);
    if (err)
        return err;
    if (a->err)
        return rg_fail(&rb->cli->err, a->err, "%s: %.600s", rb->cluster->regions[region].name, rg_errctx_text(&a->ctx, a->err));
    if (a->status / 100 == 2)
        return RG_OK;
    err = refusal(a);
    return rg_fail(&rb->cli->err, err, "%s: %.600s", rb->cluster->regions[region].name, a->ctx.text);
}

/* ---- open, resume ---- */

static void keep(char *out, size_t size, const json_t *line, const char *name)
{
    const char *text = json_string_value(json_object_get(line, name));

    if (text != NULL)
        snprintf(out, size, "%s", text);
}

/* What an earlier run left in its evidence. */
static void on_line(void *arg, const json_t *line)
{
    struct rg_runbook *rb = arg;
    struct rg_span step = rg_span_str(json_string_value(json_object_get(line, "step")));
    struct rg_span event = rg_span_str(json_string_value(json_object_get(line, "event")));

    if (rg_span_is(event, "declared")) {
        keep(rb->to, sizeof rb->to, line, "to");
        keep(rb->reason, sizeof rb->reason, line, "reason");
        keep(rb->by, sizeof rb->by, line, "by");
    }
    if (!rg_span_is(event, "done"))
        return;
    for (size_t i = 0; i < RG_STEPS; i++)
        if (rg_span_is(step, steps[i].name))
            rb->done[i] = true;
    keep(rb->from, sizeof rb->from, line, "from");
    keep(rb->lost, sizeof rb->lost, line, "lost");
    if (json_object_get(line, "mayLose") != NULL)
        rb->may_lose = rg_json_flag(line, "mayLose");
    if (json_object_get(line, "force") != NULL)
        rb->force = rg_json_flag(line, "force");
    if (json_object_get(line, "epochBefore") != NULL)
        rb->epoch_before = (uint64_t)rg_json_number(line, "epochBefore");
    if (json_object_get(line, "epoch") != NULL)
        rb->epoch = (uint64_t)rg_json_number(line, "epoch");
}

static bool is_utf8(const char *text)
{
    json_t *json = json_string(text);

    json_decref(json);
    return json != NULL;
}

static enum rg_err take(struct rg_runbook *rb, const char *option, const char *text, char *out, size_t size)
{
    if (text == NULL || text[0] == '\0')
        return rg_fail(&rb->cli->err, RG_EUSAGE, "--%s is missing", option);
    if (strlen(text) >= size)
        return rg_fail(&rb->cli->err, RG_EUSAGE, "--%s: is over %zu bytes", option, size - 1);
    for (const char *c = text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            return rg_fail(&rb->cli->err, RG_EUSAGE, "--%s: has a control character", option);
    if (!is_utf8(text))
        return rg_fail(&rb->cli->err, RG_EUSAGE, "--%s: is not UTF-8", option);
    memcpy(out, text, strlen(text) + 1);
    return RG_OK;
}

static enum rg_err take_all(struct rg_runbook *rb)
{
    const struct rg_runbook_options *o = &rb->options;
    enum rg_err err = take(rb, "to", o->to, rb->to, sizeof rb->to);

    if (!err)
        err = take(rb, "by", o->by, rb->by, sizeof rb->by);
    return err ? err : take(rb, "reason", o->reason, rb->reason, sizeof rb->reason);
}

/* A resumed run: the file says where to and why; another operator may go on. */
static enum rg_err open_resumed(struct rg_runbook *rb)
{
    const struct rg_runbook_options *o = &rb->options;
    struct rg_errctx *ctx = &rb->cli->err;
    bool cut = false;
    enum rg_err err = rg_evidence_resume(o->resume_path, on_line, rb, &cut, &rb->evidence, ctx);

    if (err)
        return err;
    if (rb->to[0] == '\0')
        return rg_fail(ctx, RG_EINVALID, "%s: does not say which region is to be promoted", o->resume_path);
    if (o->to != NULL && strcmp(o->to, rb->to) != 0)
        return rg_fail(ctx, RG_EUSAGE, "--to %s: %s was begun for %s", o->to, o->resume_path, rb->to);
    if (o->by != NULL) {
        err = take(rb, "by", o->by, rb->by, sizeof rb->by);
        if (err)
            return err;
    }
    rg_runbook_say(rb, "Going on with %s%s\n", o->resume_path, cut ? " (its last line was cut short: dropped)" : "");
    rb->step = "declare";
    return rg_runbook_note(rb, "resumed", json_pack("{s:b}", "cut", cut));
}

static enum rg_err open_new(struct rg_runbook *rb)
{
    char host[128] = "";
    enum rg_err err = rg_evidence_create(rb->evidence_path, &rb->evidence, &rb->cli->err);

    if (err)
        return err;
    gethostname(host, sizeof host - 1);
    rb->step = "declare";
    return rg_runbook_note(rb, "declared",
                           json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:b}", "to", rb->to, "by", rb->by, "reason",
                                     rb->reason, "cluster", rb->cluster->path, "host", host, "uid", (json_int_t)getuid(),
                                     "version", REGENT_VERSION, "gameDay", rb->options.game_day));
}

/* What is wrong must be known before the first step: a template, a key, a region. */
static enum rg_err prepare(struct rg_runbook *rb)
{
    struct rg_errctx *ctx = &rb->cli->err;
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_cluster_region *region;
    enum rg_err err = rg_cluster_region(rb->cluster, rb->to, &region, ctx);

    if (err)
        return err;
    rb->target = (size_t)(region - rb->cluster->regions);
    if (rb->key.pem_path == NULL && rb->key.secret == NULL) {
        rb->key.secret = rb->cluster->secret_access_key;
        rb->key.secret_id = rb->cluster->access_key_id;
    }
    err = rg_evidence_key_ready(&rb->key, ctx);
    rg_buf_init(&text, 65536);
    if (!err)
        err = rg_runbook_render(rb, &text);
    return err ? err : rg_fanout_new(rb->cluster, &rb->fanout, ctx);
}

static void default_path(char *out, size_t size)
{
    char when[RG_TIME_TEXT_MAX];

    (void)rg_time_format_basic(when, rg_clock_wall_s());
    snprintf(out, size, "regent-failover-%s.jsonl", when);
}

enum rg_err rg_runbook_open(struct rg_runbook *rb, struct rg_cli *cli, const struct rg_runbook_options *options,
                            const char *cluster_path)
{
    const char *path = options->resume_path != NULL ? options->resume_path : options->evidence_path;
    enum rg_err err;

    rb->cli = cli;
    rb->options = *options;
    rb->out = cli->json ? stderr : stdout;
    rb->key.pem_path = options->sign_key;
    if (path != NULL && strlen(path) >= sizeof rb->evidence_path)
        return rg_fail(&cli->err, RG_EUSAGE, "%s: the path is too long", path);
    if (path != NULL)
        memcpy(rb->evidence_path, path, strlen(path) + 1);
    else
        default_path(rb->evidence_path, sizeof rb->evidence_path);
    err = rg_cluster_load_file(cluster_path, &rb->cluster, &cli->err);
    if (!err)
        err = options->resume_path != NULL ? open_resumed(rb) : take_all(rb);
    if (!err)
        err = prepare(rb);
    if (!err && options->resume_path == NULL)
        err = open_new(rb);
    return err;
}

/* ---- run ---- */

static enum rg_err run_step(struct rg_runbook *rb, size_t i)
{
    enum rg_err err;

    rb->step = steps[i].name;
    rg_runbook_say(rb, "\n%zu of %d  %s: %s\n", i + 1, RG_STEPS, steps[i].name, steps[i].title);
    if (rb->done[i]) {
        rg_runbook_say(rb, "  done already\n");
        return RG_OK;
    }
    err = rg_runbook_note(rb, "begin", NULL);
    if (!err)
        err = steps[i].run(rb);
    if (!err) {
        rb->done[i] = true;
        return rg_runbook_note(rb, "done",
                               json_pack("{s:s, s:s, s:b, s:b, s:I, s:I}", "from", rb->from, "lost", rb->lost, "mayLose",
                                         rb->may_lose, "force", rb->force, "epochBefore", (json_int_t)rb->epoch_before, "epoch",
                                         (json_int_t)rb->epoch));
    }
    if (rg_runbook_note(rb, "failed",
                        json_pack("{s:s, s:o}", "code", rg_err_name(err), "message",
                                  rg_runbook_string(rg_errctx_text(&rb->cli->err, err)))) != RG_OK)
        rg_runbook_say(rb, "  (and the evidence cannot be written)\n");
    return err;
}

enum rg_err rg_runbook_run(struct rg_runbook *rb)
{
    enum rg_err err = RG_OK;

    rg_runbook_say(rb, "Declared promotion of %s by %s: %s\nEvidence: %s\n", rb->to, rb->by, rb->reason, rb->evidence_path);
    for (size_t i = 0; !err && i < RG_STEPS; i++)
        err = run_step(rb, i);
    if (err && !rb->options.game_day)
        fprintf(stderr, "\nNothing is undone. When what stood in the way is cleared, go on with:\n"
                        "  regent runbook failover --resume %s\n", rb->evidence_path);
    return err;
}

enum rg_err rg_runbook_sign(struct rg_runbook *rb)
{
    enum rg_err err = rg_evidence_sign(rb->evidence, rg_clock_wall_ms(), &rb->key, &rb->cli->err);

    if (!err)
        rg_runbook_say(rb, "\nEvidence: %s, signed %s\n", rb->evidence_path,
                       rb->key.pem_path != NULL ? "with the key given (ECDSA P-256)"
                                                : "with the cluster's admin secret (HMAC-SHA256: whoever has it could write "
                                                  "this file too; --sign-key is better)");
    return err;
}

void rg_runbook_print(struct rg_runbook *rb)
{
    json_t *result;

    if (!rb->cli->json)
        return;
    result = json_pack("{s:b, s:s, s:s, s:I, s:s, s:s, s:s}", "ok", true, "from", rb->from, "to", rb->to, "epoch",
                       (json_int_t)rb->epoch, "lost", rb->lost, "evidence", rb->evidence_path, "signature",
                       rb->key.pem_path != NULL ? "ecdsa-p256-sha256" : "hmac-sha256");
    rg_json_print(result, JSON_COMPACT);
    json_decref(result);
}

void rg_runbook_close(struct rg_runbook *rb)
{
    bool hangs = rb->fanout != NULL && rg_fanout_hangs(rb->fanout);

    if (rb->cluster != NULL)
        rg_fanout_answers_deinit(rb->answers, rb->cluster->n_regions);
    rg_evidence_close(rb->evidence);
    rg_fanout_free(rb->fanout);
    free(rb->cluster);
    rb->evidence = NULL;
    rb->fanout = NULL;
    rb->cluster = NULL;
    rb->hangs = hangs;
}
