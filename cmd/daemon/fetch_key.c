#include "cmd/daemon/fetch_key.h"

#include <signal.h>
#include <uv.h>

#include "base/base64.h"
#include "cmd/daemon/peering.h"
#include "crypto/keywrap.h"
#include "crypto/privfile.h"
#include "base/json.h"

enum { PEM_BYTES_MAX = 64 * 1024, ASK_MS = 5000, RETRY_MS_MIN = 100, RETRY_MS_MAX = 5000 };

struct fetch {
    const struct rg_config *config;
    const struct rg_log *log;
    struct rg_vault *vault;
    struct rg_errctx *ctx;
    uv_loop_t loop;
    uv_timer_t timer;
    uv_signal_t sigterm, sigint;
    struct rg_peering peering;
    struct rg_buf cert;      /* own: PEM */
    size_t next;             /* of the configuration's peers */
    unsigned retry_ms;
    char said[256]; /* logged last */
    enum rg_err err;
    bool ending;
};

static void on_links_closed(void *arg)
{
    struct fetch *f = arg;

    uv_close((uv_handle_t *)&f->timer, NULL);
    uv_close((uv_handle_t *)&f->sigterm, NULL);
    uv_close((uv_handle_t *)&f->sigint, NULL);
}

static void end(struct fetch *f, enum rg_err err)
{
    if (f->ending)
        return;
    f->ending = true;
    f->err = err;
    rg_peering_close(&f->peering, on_links_closed, f);
}

static void say(struct fetch *f, const char *text)
{
    if (strncmp(f->said, text, sizeof f->said - 1) == 0)
        return;
    snprintf(f->said, sizeof f->said, "%.*s", (int)sizeof f->said - 1, text);
    rg_log_info(f->log, "key.waiting", "region=%s reason=\"%s\"", f->config->region, f->said);
}

static void on_timer(uv_timer_t *timer);

static void again(struct fetch *f, const char *why)
{
    say(f, why);
    uv_timer_start(&f->timer, on_timer, f->retry_ms, 0);
    f->retry_ms = RG_MIN(2 * f->retry_ms, (unsigned)RETRY_MS_MAX);
}

static void on_answer(void *arg, uint64_t peer, enum rg_err err, const json_t *answer, const char *text)
{
    struct fetch *f = arg;
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};

    if (f->ending)
        return;
    if (err) {
        again(f, text);
        return;
    }
    rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
    if (!rg_base64_get(rg_json_text(answer, "wrapped"), RG_BASE64, &wrapped))
        err = rg_fail(f->ctx, RG_EMALFORMED, "node %llu answered with no wrapped key", (unsigned long long)peer);
    else
        err = rg_vault_keep(f->vault, rg_buf_span(&wrapped), f->ctx);
    if (err == RG_EMALFORMED)
        again(f, f->ctx->text);
    else
        end(f, err);
}

/* The next peer whose link is up, in turn; 0: none. */
static uint64_t choose(struct fetch *f)
{
    const struct rg_config *c = f->config;

    for (size_t i = 0; i < c->n_peers; i++) {
        uint64_t id = c->peers[f->next++ % c->n_peers].raft.id;
        const struct rg_peering_peer *peer = rg_peering_find(&f->peering, id);

        if (peer != NULL && peer->up)
            return id;
    }
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    struct fetch *f = timer->data;
    uint64_t peer = choose(f);
    enum rg_err err;

    if (f->ending)
        return;
    if (rg_vault_lost(f->vault)) { /* nobody would keep it */
        end(f, rg_fail(f->ctx, RG_ECLOSED, "the key process is gone"));
        return;
    }
    if (peer == 0) {
        say(f, "no link to a member is up yet");
        uv_timer_start(&f->timer, on_timer, RETRY_MS_MIN, 0);
        return;
    }
    err = rg_control_ask(f->peering.control, peer, "key", json_pack("{s:s%}", "cert", f->cert.data, f->cert.len), ASK_MS,
                         on_answer, f);
    if (err)
        again(f, rg_err_text(err));
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    end(signal->data, RG_ESTOPPED);
}

static void open_loop(struct fetch *f)
{
    uv_timer_init(&f->loop, &f->timer);
    uv_signal_init(&f->loop, &f->sigterm);
    uv_signal_init(&f->loop, &f->sigint);
    f->timer.data = f->sigterm.data = f->sigint.data = f;
    uv_signal_start(&f->sigterm, on_signal, SIGTERM);
    uv_signal_start(&f->sigint, on_signal, SIGINT);
    uv_timer_start(&f->timer, on_timer, 1, 0);
}

static enum rg_err run(struct fetch *f)
{
    enum rg_err err = rg_privfile_read(f->config->tls_cert, "the certificate", 0, &f->cert, f->ctx);

    if (err)
        return err;
    if (uv_loop_init(&f->loop) != 0)
        return rg_fail(f->ctx, RG_EINTERNAL, "event loop");
    rg_log_info(f->log, "key.fetch", "region=%s id=%llu keystore=%s", f->config->region, (unsigned long long)f->config->id,
                f->config->keystore);
    open_loop(f);
    err = rg_peering_open(&f->peering, &f->loop, f->config, f->log, f->ctx);
    if (err)
        end(f, err);
    uv_run(&f->loop, UV_RUN_DEFAULT); /* until the last handle is closed */
    RG_ASSERT(uv_loop_close(&f->loop) == 0);
    return f->err;
}

enum rg_err rg_fetch_key(const struct rg_config *config, const struct rg_log *log, struct rg_vault *vault,
                         struct rg_errctx *ctx)
{
    struct fetch *f = calloc(1, sizeof *f);
    struct rg_errctx local = {.text = ""};
    enum rg_err err;

    if (f == NULL)
        return RG_ENOMEM;
    f->config = config;
    f->log = log;
    f->vault = vault;
    f->ctx = ctx != NULL ? ctx : &local;
    f->retry_ms = RETRY_MS_MIN;
    rg_buf_init(&f->cert, PEM_BYTES_MAX);
    err = run(f);
    rg_buf_deinit(&f->cert);
    free(f);
    return err;
}
