#include "cmd/cli/letting.h"

#include <strings.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/cli/region_ask.h"

enum { POLL_US = 200000, GROUP_BYTES = 5 };

enum rg_err rg_node_approve(struct rg_client *client, uint64_t id, const char *fingerprint, struct rg_errctx *ctx)
{
    json_t *answer = NULL, *body = json_pack("{s:s}", "fingerprint", fingerprint);
    char path[64];
    enum rg_err err;

    if (body == NULL)
        return rg_fail(ctx, RG_EUSAGE, "--fingerprint: is not UTF-8");
    snprintf(path, sizeof path, "/v1/nodes/%llu/approve", (unsigned long long)id);
    err = rg_client_send(client, "POST", path, NULL, body, &answer, ctx);
    json_decref(answer);
    return err;
}

/* ---- who asks ---- */

static bool is_of(const json_t *node, const char *region, const char *status)
{
    return strcmp(rg_json_cstr(node, "region"), region) == 0 && strcmp(rg_json_cstr(node, "status"), status) == 0;
}

static size_t count(const json_t *nodes, const char *region, const char *status)
{
    const json_t *node;
    size_t i, n = 0;

    json_array_foreach(nodes, i, node)
        n += is_of(node, region, status);
    return n;
}

static void show_line(const char *label, const char *value)
{
    char clean[RG_CELL_BYTES_MAX];

    if (value[0] != '\0')
        fprintf(stderr, "  %-12s %s\n", label, rg_table_clean(clean, sizeof clean, value));
}

static void show(const json_t *node)
{
    fprintf(stderr, "Node %lld asks to be let in:\n", rg_json_number(node, "id"));
    show_line("region", rg_json_cstr(node, "region"));
    show_line("link", rg_json_cstr(node, "link"));
    show_line("url", rg_json_cstr(node, "url"));
    show_line("from", rg_json_cstr(node, "from"));
    show_line("since", rg_json_cstr(node, "created"));
    show_line("release", rg_json_cstr(node, "release"));
    show_line("fingerprint", rg_json_cstr(node, "fingerprint"));
}

/* Groups are compared without regard to case, and to what stands between them. */
static bool begins_with(const char *fingerprint, const char *typed)
{
    return strlen(typed) == GROUP_BYTES && strncasecmp(fingerprint, typed, GROUP_BYTES) == 0;
}

static bool is_same(const char *a, const char *b)
{
    for (;;) {
        while (*a == '-' || *a == ' ')
            a++;
        while (*b == '-' || *b == ' ')
            b++;
        if (*a == '\0' || *b == '\0')
            return *a == *b;
        if (strncasecmp(a++, b++, 1) != 0)
            return false;
    }
}

static enum rg_err type_group(struct rg_cli *cli, char line[64])
{
    if (!isatty(STDIN_FILENO))
        return rg_fail(&cli->err, RG_EUSAGE, "a node waits to be let in: --fingerprint F, as its host shows it (regent node fingerprint), "
                       "when there is nobody to ask");
    fprintf(stderr, "Type the first group of the fingerprint as the node's host shows it (regent node fingerprint): ");
    if (fgets(line, 64, stdin) == NULL)
        line[0] = '\0';
    line[strcspn(line, "\r\n")] = '\0';
    return RG_OK;
}

/* The one that was meant; NULL: none, or more than one. */
static const json_t *choose(const json_t *nodes, const char *region, const char *fingerprint, const char *group)
{
    const json_t *node, *found = NULL;
    size_t i;

    json_array_foreach(nodes, i, node) {
        const char *its = rg_json_cstr(node, "fingerprint");

        if (!is_of(node, region, "REQUESTED") || !(fingerprint != NULL ? is_same(its, fingerprint) : begins_with(its, group)))
            continue;
        if (found != NULL)
            return NULL;
        found = node;
    }
    return found;
}

static enum rg_err ask(struct rg_cli *cli, const json_t *nodes, const char *region, const char *fingerprint)
{
    char group[64] = "";
    const json_t *node;
    enum rg_err err = RG_OK;
    size_t i;

    if (!cli->json)
        json_array_foreach(nodes, i, node)
            if (is_of(node, region, "REQUESTED"))
                show(node);
    if (fingerprint == NULL)
        err = type_group(cli, group);
    if (err)
        return err;
    node = choose(nodes, region, fingerprint, group);
    if (node == NULL)
        return rg_fail(&cli->err, fingerprint != NULL ? RG_ENOTFOUND : RG_EUSAGE,
                       "no node that asks for %s has the fingerprint \"%s\": nobody was let in", region,
                       fingerprint != NULL ? fingerprint : group);
    return rg_node_approve(cli->client, (uint64_t)rg_json_number(node, "id"), rg_json_cstr(node, "fingerprint"), &cli->err);
}

enum rg_err rg_node_let_in(struct rg_cli *cli, const char *region, const char *fingerprint, bool *ret_let_in)
{
    json_t *answer = NULL;
    const json_t *nodes;
    enum rg_err err = rg_client_get(cli->client, "/v1/nodes", &answer, &cli->err);

    *ret_let_in = false;
    if (err == RG_ENOROUTE) /* a primary of a release that let nodes in by their token */
        return RG_OK;
    if (err)
        return err;
    nodes = json_object_get(answer, "nodes");
    if (count(nodes, region, "REQUESTED") > 0 && (fingerprint != NULL || count(nodes, region, "ADMITTED") == 0)) {
        err = ask(cli, nodes, region, fingerprint);
        *ret_let_in = err == RG_OK;
    }
    json_decref(answer);
    return err;
}

/* ---- until it may be added ---- */

static void print_failing(const json_t *report)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(report, "items"), i, item)
        if (!rg_json_flag(item, "ok"))
            fprintf(stderr, "%s: %s: %s\n", rg_json_cstr(item, "check"), rg_json_cstr(item, "detail"), rg_json_cstr(item, "remedy"));
}

enum rg_err rg_region_wait_fit(struct rg_cli *cli, const char *region, unsigned ms, const char *log)
{
    uint64_t until = rg_clock_us() + (uint64_t)ms * 1000;
    enum rg_err err;
    bool ok;

    for (;;) {
        json_t *report = NULL;

        err = rg_region_ask(cli->client, "POST", region, "/preflight", NULL, &report, &cli->err);
        if (err)
            return err;
        ok = rg_json_flag(report, "ok");
        if (!ok && rg_clock_us() > until) {
            print_failing(report);
            err = rg_fail(&cli->err, RG_ETIMEOUT, "%s cannot be added after %u s%s%s%s; its node is let in: later, regent region add %s",
                          region, ms / 1000, log[0] != '\0' ? " (log: " : "", log, log[0] != '\0' ? ")" : "", region);
        }
        json_decref(report);
        if (ok || err)
            return err;
        usleep(POLL_US);
    }
}
