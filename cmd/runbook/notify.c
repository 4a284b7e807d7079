/* cmd/runbook/notify.c: telling people and systems: a text from a template, and a webhook. A message that cannot be
 * delivered stops nothing. */
#include <poll.h>

#include "cmd/runbook/runbook.h"
#include "base/clock.h"
#include "cmd/runbook/template.h"
#include "crypto/privfile.h"
#include "net/fetch/fetch.h"

enum { TEXT_BYTES_MAX = 64 * 1024, HOOK_MS_MAX = 10000, HOOK_TRIES = 3, ANSWER_BYTES_MAX = 4096 };

static const char default_template[] = "Regent: {{to}} is PRIMARY since {{time}} (epoch {{epoch}}), in place of {{from}}.\n"
                                       "Declared by {{by}}: {{reason}}\n"
                                       "May be lost: {{lost}}\n"
                                       "Writes go to {{url}}; reads and access checks go on in every region.\n";

/* To the second, written as everywhere in the evidence. */
static void now_text(char out[RG_TIME_TEXT_MAX])
{
    (void)rg_time_format(out, rg_clock_wall_s() * 1000);
}

enum rg_err rg_runbook_render(struct rg_runbook *rb, struct rg_buf *out)
{
    char epoch[24], when[RG_TIME_TEXT_MAX];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_errctx why = {.text = ""};
    enum rg_err err = RG_OK;

    now_text(when);
    snprintf(epoch, sizeof epoch, "%llu", (unsigned long long)rb->epoch);
    rg_buf_init(&text, TEXT_BYTES_MAX);
    if (rb->options.template_path != NULL)
        err = rg_privfile_read(rb->options.template_path, "template", 0, &text, &rb->cli->err);
    else
        rg_buf_put_str(&text, default_template);
    if (err)
        return err;
    const struct rg_template_value values[] = {
        {"epoch", epoch}, {"from", rb->from[0] != '\0' ? rb->from : "?"}, {"to", rb->to}, {"by", rb->by}, {"reason", rb->reason},
        {"lost", rb->lost}, {"time", when}, {"url", rb->cluster->regions[rb->target].url}};
    err = rg_template_render(rg_buf_span(&text), values, RG_LEN(values), out, &why);
    return err ? rg_fail(&rb->cli->err, err, "%s: %.600s",
                         rb->options.template_path != NULL ? rb->options.template_path : "template", rg_errctx_text(&why, err))
               : RG_OK;
}

/* ---- the webhook ---- */

/* One try: the HTTP status; 0: none. why: what came of it. */
static long post(const char *url, const char *body, char *why, size_t size)
{
    static const char *const headers[] = {"Content-Type: application/json"};
    const struct rg_fetch_request request = {.method = "POST", .url = url, .headers = headers, .n_headers = RG_LEN(headers),
                                             .body = rg_span_str(body), .proxy = true, .timeout_ms = HOOK_MS_MAX,
                                             .body_bytes_max = ANSWER_BYTES_MAX, .cut = true};
    struct rg_fetch_answer answer;

    if (rg_fetch(&request, &answer, NULL) == RG_OK)
        snprintf(why, size, "HTTP %ld", answer.status);
    else
        snprintf(why, size, "%s", answer.why);
    rg_fetch_answer_deinit(&answer);
    return answer.status;
}

static json_t *hook_json(const struct rg_runbook *rb, const char *text)
{
    char when[RG_TIME_TEXT_MAX];

    now_text(when);
    return json_pack("{s:s, s:o, s:I, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "event", "regent.failover", "text",
                     rg_runbook_string(text), "epoch", (json_int_t)rb->epoch, "from", rb->from, "to", rb->to, "by", rb->by,
                     "reason", rb->reason, "lost", rb->lost, "time", when, "url", rb->cluster->regions[rb->target].url, "gameDay",
                     rb->options.game_day);
}

static enum rg_err call_hook(struct rg_runbook *rb, const char *text)
{
    json_t *json = hook_json(rb, text);
    RG_AUTO_MEM char *body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    char host[RG_FETCH_PLACE_BYTES_MAX], why[200] = "";
    bool delivered = false;
    unsigned n = 0;

    json_decref(json);
    if (body == NULL)
        return RG_ENOMEM;
    rg_fetch_place(rb->options.webhook, host); /* the rest may be a secret */
    while (!delivered && n < HOOK_TRIES) {
        if (n > 0)
            poll(NULL, 0, 1000 << (n - 1));
        n++;
        delivered = post(rb->options.webhook, body, why, sizeof why) / 100 == 2;
        rg_runbook_say(rb, "  webhook %s: %s (try %u of %d)\n", host, why, n, HOOK_TRIES);
    }
    if (!delivered)
        rg_runbook_say(rb, "  NOT DELIVERED: tell them yourself\n");
    return rg_runbook_note(rb, "webhook",
                           json_pack("{s:s, s:b, s:i, s:s}", "host", host, "delivered", delivered, "tries", (int)n, "last", why));
}

static void say_indented(struct rg_runbook *rb, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        rg_runbook_say(rb, "  | %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

enum rg_err rg_runbook_notify(struct rg_runbook *rb)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    enum rg_err err;

    rg_buf_init(&text, TEXT_BYTES_MAX);
    err = rg_runbook_render(rb, &text);
    if (err) { /* it was fine at the beginning; say it, and go on */
        rg_runbook_say(rb, "  the text cannot be made: %s\n", rg_errctx_text(&rb->cli->err, err));
        return rg_runbook_confirm(rb, "Tell them yourself. continue?");
    }
    rg_buf_put_u8(&text, 0);
    if (text.err)
        return text.err;
    say_indented(rb, (const char *)text.data);
    err = rg_runbook_note(rb, "message", json_pack("{s:o}", "text", rg_runbook_string((const char *)text.data)));
    if (!err && rb->options.webhook != NULL)
        err = call_hook(rb, (const char *)text.data);
    return err ? err : rg_runbook_confirm(rb, "Those who must know are told. continue?");
}
