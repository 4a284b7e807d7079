/* cmd/cli/region_ask.c: asking the primary about regions, and following a change to its end. */
#include "cmd/cli/region_ask.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"

enum { POLL_US = 100000, SILENT_MS_MAX = 120000, BAR = 30 };

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

enum rg_err rg_region_ask(struct rg_client *client, const char *method, const char *name, const char *suffix, json_t *body,
                       json_t **ret_json, struct rg_errctx *ctx)
{
    char path[128];

    snprintf(path, sizeof path, "/v1/regions%s%s%s", name != NULL ? "/" : "", name != NULL ? name : "", suffix);
    return rg_client_send(client, method, path, NULL, body, ret_json, ctx);
}

static void put_size(char *out, size_t size, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB"};
    size_t u = 0;

    while (bytes >= 1024 && u + 1 < RG_LEN(units)) {
        bytes /= 1024;
        u++;
    }
    snprintf(out, size, u == 0 ? "%.0f %s" : "%.1f %s", bytes, units[u]);
}

/* "  12.0 MiB of 40.0 MiB, 8.0 MiB/s, 300 of 1000 rows, 4 s left": what of it is known. */
static void put_amounts(FILE *out, const json_t *p)
{
    char bytes[32], total[32], rate[32];
    const char *before = "  ";

    if (rg_json_number(p, "bytesTotal") > 0) {
        put_size(bytes, sizeof bytes, (double)rg_json_number(p, "bytes"));
        put_size(total, sizeof total, (double)rg_json_number(p, "bytesTotal"));
        put_size(rate, sizeof rate, (double)rg_json_number(p, "rate"));
        fprintf(out, "%s%s of %s", before, bytes, total);
        before = ", ";
        if (rg_json_number(p, "rate") > 0)
            fprintf(out, ", %s/s", rate);
    }
    if (rg_json_number(p, "rowsTotal") > 0) {
        fprintf(out, "%s%lld of %lld rows", before, rg_json_number(p, "rows"), rg_json_number(p, "rowsTotal"));
        before = ", ";
    }
    if (json_is_integer(json_object_get(p, "etaMs")))
        fprintf(out, "%s%lld s left", before, (rg_json_number(p, "etaMs") + 999) / 1000);
}

size_t rg_region_print_progress(FILE *out, const json_t *region)
{
    const json_t *p = json_object_get(region, "progress");
    bool failed = rg_json_cstr(p, "lastError")[0] != '\0';

    fprintf(out, "%s, %lld %%", rg_json_cstr(p, "phase"), rg_json_number(p, "percent"));
    put_amounts(out, p);
    fprintf(out, "\n");
    if (failed)
        fprintf(out, "%-13s %s\n", "last error", rg_json_cstr(p, "lastError"));
    return failed ? 2 : 1;
}

/* One line on a terminal; elsewhere a line for each phase. */
struct watch {
    bool terminal, quiet;
    char phase[32], error[256];
};

static void watch_line(const json_t *p, const char *phase)
{
    char bar[BAR + 1];
    long long percent = rg_json_number(p, "percent");
    size_t fill = (size_t)(percent < 0 ? 0 : percent > 100 ? 100 : percent) * BAR / 100;

    memset(bar, '.', BAR);
    memset(bar, '#', fill);
    bar[BAR] = '\0';
    fprintf(stderr, "\r\033[K%-10s [%s] %3lld %%", phase, bar, percent);
    put_amounts(stderr, p);
    fflush(stderr);
}

static void watch_show(struct watch *w, const json_t *region)
{
    const json_t *p = json_object_get(region, "progress");
    const char *phase = json_is_object(p) ? rg_json_cstr(p, "phase") : rg_json_cstr(region, "status");
    const char *error = rg_json_cstr(p, "lastError");
    bool moved = strcmp(phase, w->phase) != 0, failed = error[0] != '\0' && strcmp(error, w->error) != 0;

    snprintf(w->phase, sizeof w->phase, "%s", phase);
    snprintf(w->error, sizeof w->error, "%s", error);
    if (w->quiet)
        return;
    if (failed)
        fprintf(stderr, "%s%s: %s\n", w->terminal ? "\r\033[K" : "", phase, error);
    if (w->terminal && json_is_object(p))
        watch_line(p, phase);
    else if (!w->terminal && moved)
        fprintf(stderr, "%s\n", phase);
}

static void watch_end(const struct watch *w)
{
    if (w->terminal && !w->quiet)
        fprintf(stderr, "\r\033[K");
}

enum rg_err rg_region_follow(struct rg_cli *cli, const char *name, bool adding, json_t **ret_region)
{
    struct watch w = {.terminal = isatty(STDERR_FILENO), .quiet = cli->json};
    uint64_t heard_us = rg_clock_us();
    enum rg_err err = RG_OK;

    signal(SIGINT, on_interrupt);
    signal(SIGTERM, on_interrupt);
    while (!interrupted) {
        json_t *region = NULL;

        err = cli->client != NULL ? rg_region_ask(cli->client, "GET", name, "", NULL, &region, &cli->err) : RG_EUNREACHABLE;
        if (err == RG_OK || err == RG_ENOTFOUND)
            heard_us = rg_clock_us();
        if (err == RG_ENOTFOUND)
            break;
        if (!err) {
            watch_show(&w, region);
            if (adding && strcmp(rg_json_cstr(region, "status"), "ADDING") != 0) {
                *ret_region = region;
                break;
            }
            json_decref(region);
        } else if (rg_clock_us() - heard_us > (uint64_t)SILENT_MS_MAX * 1000) {
            break;
        } else {
            rg_client_free(RG_STEAL(cli->client));
            if (rg_client_primary(cli->cluster, RG_REGION_MS_MAX, &cli->client, &cli->err) != RG_OK)
                usleep(POLL_US);
        }
        usleep(POLL_US);
    }
    watch_end(&w);
    if (interrupted)
        return rg_fail(&cli->err, RG_ESTOPPED, "interrupted; it goes on by itself: regent region show %s", name);
    if (err == RG_ENOTFOUND)
        return adding ? rg_fail(&cli->err, err, "%s was removed meanwhile", name) : RG_OK;
    if (!err && strcmp(rg_json_cstr(*ret_region, "status"), "ACTIVE") != 0)
        return rg_fail(&cli->err, RG_ECONFLICT, "%s is %s now", name, rg_json_cstr(*ret_region, "status"));
    return err;
}
