/* cmd/admin/lost.c: the writes that a promotion cut off, kept by the region that has them: look at them, export them, make chosen
 * ones again, drop them. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/cli/cli.h"
#include "cmd/cli/client.h"

enum { ASK_MS_MAX = 5000, REPLAY_MS_MAX = 300000, INDEXES_MAX = 200 };

/* The other side's text for a terminal. */
static const char *clean(char *out, size_t size, const char *s)
{
    snprintf(out, size, "%s", s);
    for (char *p = out; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    return out;
}

/* ---- regions ---- */

struct tail {
    struct rg_cli *cli;
    struct rg_cluster *cluster; /* own */
    struct rg_client *client;   /* own: of the region that has the tail */
    const char *name;
    uint64_t epoch;
};

static void tail_deinit(struct tail *t)
{
    rg_client_free(t->client);
    free(t->cluster);
}
#define AUTO_TAIL __attribute__((cleanup(tail_deinit)))

static enum rg_err dial(struct tail *t, const char *name, const char *url)
{
    enum rg_err err;

    rg_client_free(RG_STEAL(t->client));
    t->name = name;
    err = rg_client_new(t->cluster, url, &t->client, &t->cli->err);
    if (!err)
        rg_client_timeout(t->client, ASK_MS_MAX);
    return err;
}

static enum rg_err load(struct tail *t, const char *only)
{
    struct rg_cluster_region *known;
    enum rg_err err = rg_cluster_load(t->cli, &t->cluster);

    return !err && only != NULL ? rg_cluster_region(t->cluster, only, &known, &t->cli->err) : err;
}

/* A node's tails; each gets where it is kept. */
static enum rg_err list_node(struct tail *t, const char *name, const char *url, json_t *all)
{
    json_t *tails = NULL, *one;
    size_t i;
    enum rg_err err = dial(t, name, url);

    if (!err)
        err = rg_client_json(t->client, "GET", "/v1/lost-tail", NULL, rg_span(NULL, 0), &tails, &t->cli->err);
    if (err)
        return err;
    json_array_foreach(tails, i, one) {
        json_object_set_new(one, "keptIn", json_string(name));
        json_object_set_new(one, "url", json_string(url));
        json_array_append(all, one);
    }
    json_decref(tails);
    return RG_OK;
}

/* Every tail of the region that is named, or of all: of each of their nodes that answers. */
static enum rg_err list_all(struct tail *t, const char *only, json_t *all, size_t *ret_silent)
{
    size_t asked = 0;

    *ret_silent = 0;
    for (size_t i = 0; i < t->cluster->n_regions; i++) {
        const struct rg_cluster_region *region = &t->cluster->regions[i];

        if (only != NULL && strcmp(region->name, only) != 0)
            continue;
        for (size_t k = 0; k < RG_MAX(region->n_nodes, (size_t)1); k++) {
            enum rg_err err = list_node(t, region->name, region->n_nodes > 0 ? region->nodes[k].url : region->url, all);

            asked++;
            if (!err)
                continue;
            ++*ret_silent;
            fprintf(stderr, "%s: %s\n", t->name, rg_errctx_text(&t->cli->err, err));
        }
    }
    return asked > *ret_silent ? RG_OK : rg_fail(&t->cli->err, RG_EUNREACHABLE, "no region answers");
}

/* Dial the region that keeps the tail of t->epoch. */
static enum rg_err find(struct tail *t, const char *only)
{
    json_t *all = json_array(), *one, *found = NULL;
    size_t i, silent = 0;
    enum rg_err err = load(t, only);

    if (!err)
        err = list_all(t, only, all, &silent);
    json_array_foreach(all, i, one) { /* of a region's nodes, the one that has most */
        if ((uint64_t)rg_json_number(one, "epoch") != t->epoch)
            continue;
        if (found != NULL && !err && strcmp(rg_json_cstr(found, "keptIn"), rg_json_cstr(one, "keptIn")) != 0)
            err = rg_fail(&t->cli->err, RG_EUSAGE, "--region: %s and %s both keep writes that epoch %llu cut off",
                          rg_json_cstr(found, "keptIn"), rg_json_cstr(one, "keptIn"), (unsigned long long)t->epoch);
        if (found == NULL || rg_json_number(one, "entries") > rg_json_number(found, "entries"))
            found = one;
    }
    if (!err && found == NULL)
        err = rg_fail(&t->cli->err, RG_ENOTFOUND, "%s keeps no writes that epoch %llu cut off%s",
                      only != NULL ? only : "the cluster", (unsigned long long)t->epoch,
                      silent > 0 ? ", as far as its regions answer" : "");
    for (i = 0; !err && i < t->cluster->n_regions; i++)
        if (strcmp(t->cluster->regions[i].name, rg_json_cstr(found, "keptIn")) == 0)
            err = dial(t, t->cluster->regions[i].name, rg_json_cstr(found, "url"));
    json_decref(all);
    return err;
}

static bool parse_epoch(struct rg_cli *cli, const char *given, uint64_t *ret_epoch)
{
    char *end;

    errno = 0;
    *ret_epoch = strtoull(given, &end, 10);
    if (given[0] >= '0' && given[0] <= '9' && *end == '\0' && errno == 0 && *ret_epoch <= UINT32_MAX)
        return true;
    fprintf(stderr, "regent %s: \"%s\" is no epoch: `regent lost-tail list` has them\n", cli->command->name, given);
    return false;
}

/* A tail's pages into one document: the array `name` of each joined. */
static enum rg_err pages(struct tail *t, const char *sub, const char *name, json_t **ret_all)
{
    json_t *all = NULL;
    enum rg_err err = RG_OK;
    char path[96];
    long long after = 0;

    do {
        json_t *page = NULL;

        snprintf(path, sizeof path, "/v1/lost-tail/%llu%s?after=%lld", (unsigned long long)t->epoch, sub, after);
        err = rg_client_json(t->client, "GET", path, NULL, rg_span(NULL, 0), &page, &t->cli->err);
        if (err)
            break;
        after = rg_json_number(page, "next");
        json_object_del(page, "next");
        if (all == NULL)
            all = page;
        else if (json_array_extend(json_object_get(all, name), json_object_get(page, name)) != 0)
            err = rg_fail(&t->cli->err, RG_EMALFORMED, "%s: the answer has no %s", t->name, name);
        if (all != page)
            json_decref(page);
    } while (!err && after != 0);
    if (err)
        json_decref(all);
    else
        *ret_all = all;
    return err;
}

/* ---- list, show ---- */

static void print_tail(const json_t *tail)
{
    char range[48] = "-";

    if (!json_is_true(json_object_get(tail, "known"))) {
        printf("%-8lld %-16s %-6lld %-8s %-16s %-9s %-9s %s\n", rg_json_number(tail, "epoch"), rg_json_cstr(tail, "keptIn"),
               rg_json_number(tail, "oldId"), "?", "not caught up", "?", "?", rg_json_cstr(tail, "setAsideAt"));
        return;
    }
    if (rg_json_number(tail, "entries") > 0)
        snprintf(range, sizeof range, "%lld..%lld", rg_json_number(tail, "firstIndex"), rg_json_number(tail, "lastIndex"));
    printf("%-8lld %-16s %-6lld %-8lld %-16s %-9lld %-9lld %s\n", rg_json_number(tail, "epoch"), rg_json_cstr(tail, "keptIn"),
           rg_json_number(tail, "oldId"), rg_json_number(tail, "entries"), range, rg_json_number(tail, "missing"),
           rg_json_number(tail, "replayed"), rg_json_cstr(tail, "setAsideAt"));
}

int rg_cmd_lost_list(struct rg_cli *cli)
{
    const char *region = NULL;
    const struct rg_option options[] = {{"region", "R", "only this region's (all regions that answer)", &region, NULL}};
    AUTO_TAIL struct tail t = {.cli = cli};
    json_t *all = NULL, *tail;
    size_t i, silent = 0;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    all = json_array();
    err = load(&t, region);
    if (!err)
        err = list_all(&t, region, all, &silent);
    if (err) {
        json_decref(all);
        return rg_cli_fail(cli, err);
    }
    if (cli->json) {
        rg_json_print(all, JSON_COMPACT);
    } else {
        printf("%-8s %-16s %-6s %-8s %-16s %-9s %-9s %s\n", "EPOCH", "KEPT IN", "OLD ID", "WRITES", "INDEXES", "MISSING",
               "REPLAYED", "SET ASIDE");
        json_array_foreach(all, i, tail)
            print_tail(tail);
    }
    json_decref(all);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* What it was about: the names and ids of the command. */
static void print_what(json_t *entry)
{
    static const char *const head[] = {"index", "revision", "kind", "at", "by", "requestId", "replayed"};
    char line[200];
    const char *name;
    json_t *value;

    json_object_foreach(entry, name, value) {
        bool skip = false;

        for (size_t i = 0; i < RG_LEN(head); i++)
            skip |= strcmp(name, head[i]) == 0;
        if (!skip && json_is_string(value) && json_string_length(value) > 0)
            printf(" %s=%s", name, clean(line, sizeof line, json_string_value(value)));
    }
}

static void print_entry(json_t *entry)
{
    const json_t *replayed = json_object_get(entry, "replayed");
    char by[100];

    printf("%-10lld %-24s %-20s %-22s", rg_json_number(entry, "index"), rg_json_cstr(entry, "at"),
           clean(by, sizeof by, rg_json_cstr(entry, "by")), rg_json_cstr(entry, "kind"));
    print_what(entry);
    if (replayed != NULL)
        printf(" (replayed as %s)", rg_json_cstr(replayed, "revision"));
    printf("\n");
}

static int look(struct rg_cli *cli, const char *sub, const char *name, bool with_output)
{
    const char *region = NULL, *given, *output = NULL;
    const struct rg_option options[] = {{"region", "R", "the region that keeps it (whichever does)", &region, NULL},
                                        {"output", "FILE", "write it to this new file", &output, NULL}};
    AUTO_TAIL struct tail t = {.cli = cli};
    json_t *all = NULL, *entry;
    enum rg_err err;
    size_t i;
    int code, fd;

    if (!rg_cli_parse(cli, options, RG_LEN(options) - !with_output, &given, 1, 1, NULL, &code))
        return code;
    if (!parse_epoch(cli, given, &t.epoch))
        return 2;
    err = find(&t, region);
    if (!err)
        err = pages(&t, sub, name, &all);
    if (err)
        return rg_cli_fail(cli, err);
    code = 0;
    if (output != NULL) {
        fd = open(output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0 || json_dumpfd(all, fd, JSON_INDENT(1)) != 0 || fsync(fd) != 0)
            err = rg_fail(&cli->err, RG_EIO, "%s: %s", output, strerror(errno));
        if (fd >= 0)
            close(fd);
        if (err && fd >= 0)
            unlink(output);
        if (!err && !cli->json)
            printf("%s: %zu operations\n", output, json_array_size(json_object_get(all, name)));
    } else if (cli->json || with_output) {
        rg_json_print(all, cli->json ? JSON_COMPACT : JSON_INDENT(1));
    } else {
        json_array_foreach(json_object_get(all, name), i, entry)
            print_entry(entry);
        if (rg_json_number(all, "missing") > 0)
            printf("%lld entries before these are in the snapshot alone, not in the log\n", rg_json_number(all, "missing"));
    }
    json_decref(all);
    return err ? rg_cli_fail(cli, err) : fflush(stdout) == 0 ? code : 1;
}

int rg_cmd_lost_show(struct rg_cli *cli) { return look(cli, "", "entries", false); }
int rg_cmd_lost_export(struct rg_cli *cli) { return look(cli, "/export", "operations", true); }

/* ---- replay ---- */

/* "12,15,20-24" */
static enum rg_err parse_indexes(struct rg_cli *cli, const char *given, json_t *indexes)
{
    const char *p = given;

    for (;;) {
        char *end = NULL;
        unsigned long long from = 0, to;

        errno = 0;
        if (*p >= '0' && *p <= '9')
            from = strtoull(p, &end, 10);
        to = from;
        if (end != NULL && *end == '-' && end[1] >= '0' && end[1] <= '9')
            to = strtoull(end + 1, &end, 10);
        if (end == NULL || errno != 0 || from == 0 || to < from || to > INT64_MAX || (*end != ',' && *end != '\0'))
            return rg_fail(&cli->err, RG_EUSAGE, "--index: must be indexes such as 12,15,20-24");
        for (unsigned long long i = from; i <= to; i++) {
            if (json_array_size(indexes) == INDEXES_MAX)
                return rg_fail(&cli->err, RG_EUSAGE, "--index: at most %d at once", INDEXES_MAX);
            json_array_append_new(indexes, json_integer((json_int_t)i));
        }
        if (*end == '\0')
            return RG_OK;
        p = end + 1;
    }
}

static void print_results(const json_t *answer)
{
    const json_t *results = json_object_get(answer, "results"), *item;
    char line[300];

    for (size_t i = 0; i < json_array_size(results); i++) {
        item = json_array_get(results, i);
        printf("%-10lld %-22s %-10s %s%s%s\n", rg_json_number(item, "index"), rg_json_cstr(item, "kind"), rg_json_cstr(item, "outcome"),
               rg_json_cstr(item, "revision"), rg_json_cstr(item, "code"),
               rg_json_cstr(item, "message")[0] != '\0' ? clean(line, sizeof line, rg_json_cstr(item, "message")) : "");
    }
    if (rg_json_cstr(answer, "warning")[0] != '\0')
        fprintf(stderr, "%s\n", clean(line, sizeof line, rg_json_cstr(answer, "warning")));
}

/* Each page's answer; with --all one after the other. */
static enum rg_err replay(struct tail *t, json_t *body, json_t *answers, bool *ret_good)
{
    enum rg_err err;
    char path[96];
    long long next;

    snprintf(path, sizeof path, "/v1/lost-tail/%llu/replay", (unsigned long long)t->epoch);
    rg_client_timeout(t->client, REPLAY_MS_MAX);
    do {
        RG_AUTO_MEM char *bytes = json_dumps(body, JSON_COMPACT);
        json_t *answer = NULL, *item;
        size_t i;

        if (bytes == NULL)
            return RG_ENOMEM;
        err = rg_client_json(t->client, "POST", path, NULL, rg_span_str(bytes), &answer, &t->cli->err);
        if (err)
            return err;
        json_array_foreach(json_object_get(answer, "results"), i, item)
            if (strcmp(rg_json_cstr(item, "outcome"), "applied") != 0 && strcmp(rg_json_cstr(item, "outcome"), "accepted") != 0)
                *ret_good = false;
        next = rg_json_number(answer, "next");
        json_object_set_new(body, "after", json_integer(next));
        if (!t->cli->json)
            print_results(answer);
        if (rg_json_number(answer, "notTried") > 0)
            next = 0; /* the rest would end the same way */
        json_array_append_new(answers, answer);
    } while (next != 0 && json_is_true(json_object_get(body, "all")));
    return err;
}

int rg_cmd_lost_replay(struct rg_cli *cli)
{
    const char *region = NULL, *given, *index = NULL;
    bool all = false, dry_run = false, good = true;
    const struct rg_option options[] = {{"index", "N,N-M,...", "these", &index, NULL},
                                        {"all", NULL, "all of them, in their order", NULL, &all},
                                        {"dry-run", NULL, "change nothing: say what would come of it", NULL, &dry_run},
                                        {"region", "R", "the region that keeps it (whichever does)", &region, NULL}};
    AUTO_TAIL struct tail t = {.cli = cli};
    json_t *body = NULL, *answers = NULL, *indexes;
    enum rg_err err = RG_OK;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &given, 1, 1, NULL, &code))
        return code;
    if (!parse_epoch(cli, given, &t.epoch))
        return 2;
    if (all == (index != NULL))
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "say which: either --index or --all"));
    indexes = json_array();
    if (index != NULL)
        err = parse_indexes(cli, index, indexes);
    body = all ? json_pack("{s:b,s:b}", "all", 1, "dryRun", dry_run)
               : json_pack("{s:O,s:b}", "indexes", indexes, "dryRun", dry_run);
    json_decref(indexes);
    answers = json_array();
    if (!err)
        err = find(&t, region);
    if (!err)
        err = replay(&t, body, answers, &good);
    if (cli->json && json_array_size(answers) > 0)
        rg_json_print(answers, JSON_COMPACT);
    json_decref(body);
    json_decref(answers);
    if (err)
        return rg_cli_fail(cli, err);
    return fflush(stdout) == 0 && good ? 0 : 1;
}

/* ---- drop ---- */

int rg_cmd_lost_drop(struct rg_cli *cli)
{
    const char *region = NULL, *given;
    bool yes = false;
    const struct rg_option options[] = {{"yes", NULL, "they are gone for good then", NULL, &yes},
                                        {"region", "R", "the region that keeps it (whichever does)", &region, NULL}};
    AUTO_TAIL struct tail t = {.cli = cli};
    json_t *answer = NULL;
    enum rg_err err;
    char path[64];
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &given, 1, 1, NULL, &code))
        return code;
    if (!parse_epoch(cli, given, &t.epoch))
        return 2;
    err = find(&t, region);
    if (!err && !yes)
        err = rg_fail(&cli->err, RG_EUSAGE, "this deletes the data that %s set aside, for good: look at it with `regent lost-tail "
                      "show %llu`, then say --yes", t.name, (unsigned long long)t.epoch);
    snprintf(path, sizeof path, "/v1/lost-tail/%llu", (unsigned long long)t.epoch);
    if (!err)
        err = rg_client_json(t.client, "DELETE", path, NULL, rg_span(NULL, 0), &answer, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json)
        rg_json_print(answer, JSON_COMPACT);
    else
        printf("epoch %llu: the lost writes kept in %s are deleted\n", (unsigned long long)t.epoch, t.name);
    json_decref(answer);
    return 0;
}
