/* cmd/admin/lost.c: the writes that a promotion cut off, kept by the region that has them: look at them, export them, make chosen
 * ones again, drop them. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"

enum { ASK_MS_MAX = 5000, REPLAY_MS_MAX = 300000, INDEXES_MAX = 200 };

/* ---- regions ---- */

/* The tail that a command is about; cli->client is of the region that has it, once it is found. */
struct tail {
    struct rg_cli *cli;
    const char *name;
    uint64_t epoch, old_id; /* old_id 0: whoever's */
};

static enum rg_err dial(struct tail *t, const char *name, const char *url)
{
    struct rg_cli *cli = t->cli;
    enum rg_err err;

    rg_client_free(RG_STEAL(cli->client));
    t->name = name;
    err = rg_client_new(cli->cluster, url, &cli->client, &cli->err);
    if (!err)
        rg_client_timeout(cli->client, ASK_MS_MAX);
    return err;
}

/* A node's tails; each gets where it is kept. */
static enum rg_err list_node(struct tail *t, const char *name, const char *url, json_t *all)
{
    json_t *tails = NULL, *one;
    size_t i;
    enum rg_err err = dial(t, name, url);

    if (!err)
        err = rg_client_get(t->cli->client, "/v1/lost-tail", &tails, &t->cli->err);
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
static enum rg_err list_all(struct tail *t, json_t *all, size_t *ret_silent)
{
    const struct rg_cluster *c = t->cli->cluster;
    size_t asked = 0;

    *ret_silent = 0;
    for (size_t i = 0; i < c->n_regions; i++) {
        const struct rg_cluster_region *region = &c->regions[i];

        if (t->cli->region != NULL && t->cli->region != region)
            continue;
        for (size_t k = 0; k < rg_cluster_n_urls(region); k++) {
            enum rg_err err = list_node(t, region->name, rg_cluster_url(region, k), all);

            asked++;
            if (!err)
                continue;
            ++*ret_silent;
            fprintf(stderr, "%s: %s\n", t->name, rg_errctx_text(&t->cli->err, err));
        }
    }
    return asked > *ret_silent ? RG_OK : rg_fail(&t->cli->err, RG_EUNREACHABLE, "no region answers");
}

static bool parse_number(const char *text, const char *end, uint64_t *ret)
{
    uint64_t v = 0;

    for (const char *p = text; p < end; p++) {
        if (*p < '0' || *p > '9' || p - text >= 10)
            return false;
        v = v * 10 + (uint64_t)(*p - '0');
    }
    *ret = v;
    return end > text && v <= UINT32_MAX;
}

/* EPOCH, or EPOCH-OLDID where an epoch replaced several nodes of one machine. */
static bool parse_name(const char *text, uint64_t *ret_epoch, uint64_t *ret_old_id)
{
    const char *end = text + strlen(text), *dash = strchr(text, '-');

    *ret_old_id = 0;
    return parse_number(text, dash != NULL ? dash : end, ret_epoch) &&
           (dash == NULL || (parse_number(dash + 1, end, ret_old_id) && *ret_old_id != 0));
}

/* Dial the region that keeps the tail of t->epoch. */
static enum rg_err find(struct tail *t)
{
    const struct rg_cluster *c = t->cli->cluster;
    json_t *all = json_array(), *one, *found = NULL;
    size_t i, silent = 0;
    enum rg_err err = list_all(t, all, &silent);

    if (!parse_name(t->cli->arg[0], &t->epoch, &t->old_id))
        err = RG_EUSAGE; /* check_epoch has said so */
    json_array_foreach(all, i, one) { /* of a region's nodes, the one that has most */
        if ((uint64_t)rg_json_number(one, "epoch") != t->epoch || rg_json_flag(one, "unknown") ||
            (t->old_id != 0 && (uint64_t)rg_json_number(one, "oldId") != t->old_id))
            continue;
        if (found != NULL && !err && strcmp(rg_json_cstr(found, "keptIn"), rg_json_cstr(one, "keptIn")) != 0)
            err = rg_fail(&t->cli->err, RG_EUSAGE, "--region: %s and %s both keep writes that epoch %llu cut off",
                          rg_json_cstr(found, "keptIn"), rg_json_cstr(one, "keptIn"), (unsigned long long)t->epoch);
        if (found == NULL || rg_json_number(one, "entries") > rg_json_number(found, "entries"))
            found = one;
    }
    if (!err && found == NULL)
        err = rg_fail(&t->cli->err, RG_ENOTFOUND, "%s keeps no writes that epoch %llu cut off%s",
                      t->cli->region != NULL ? t->cli->region->name : "the cluster", (unsigned long long)t->epoch,
                      silent > 0 ? ", as far as its regions answer" : "");
    for (i = 0; !err && i < c->n_regions; i++)
        if (strcmp(c->regions[i].name, rg_json_cstr(found, "keptIn")) == 0)
            err = dial(t, c->regions[i].name, rg_json_cstr(found, "url"));
    json_decref(all);
    return err;
}

static enum rg_err check_epoch(struct rg_cli *cli)
{
    uint64_t epoch, old_id;

    if (parse_name(cli->arg[0], &epoch, &old_id))
        return RG_OK;
    return rg_fail(&cli->err, RG_EUSAGE, "\"%s\" is no epoch: `regent lost-tail list` has them", cli->arg[0]);
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

        snprintf(path, sizeof path, "/v1/lost-tail/%s%s?after=%lld", t->cli->arg[0], sub, after);
        err = rg_client_get(t->cli->client, path, &page, &t->cli->err);
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

/* "?" of a tail that has not been caught up with. */
static bool number_cell(const json_t *tail, const char *name, char out[RG_CELL_BYTES_MAX])
{
    if (rg_json_flag(tail, "known"))
        snprintf(out, RG_CELL_BYTES_MAX, "%lld", rg_json_number(tail, name));
    else
        strcpy(out, "?");
    return true;
}

static bool writes_cell(const json_t *tail, char out[RG_CELL_BYTES_MAX]) { return number_cell(tail, "entries", out); }
static bool missing_cell(const json_t *tail, char out[RG_CELL_BYTES_MAX]) { return number_cell(tail, "missing", out); }
static bool replayed_cell(const json_t *tail, char out[RG_CELL_BYTES_MAX]) { return number_cell(tail, "replayed", out); }

static bool indexes_cell(const json_t *tail, char out[RG_CELL_BYTES_MAX])
{
    if (!rg_json_flag(tail, "known"))
        strcpy(out, "not caught up");
    else if (rg_json_number(tail, "entries") > 0)
        snprintf(out, RG_CELL_BYTES_MAX, "%lld..%lld", rg_json_number(tail, "firstIndex"), rg_json_number(tail, "lastIndex"));
    else
        strcpy(out, "-");
    return true;
}

/* Of the list: those of whom a node says that it cannot tell. ret: own. */
static json_t *take_unknown(json_t *all)
{
    json_t *unknown = json_array();

    for (size_t i = 0; i < json_array_size(all);) {
        if (!rg_json_flag(json_array_get(all, i), "unknown")) {
            i++;
            continue;
        }
        json_array_append(unknown, json_array_get(all, i));
        json_array_remove(all, i);
    }
    return unknown;
}

static void print_unknown(const json_t *unknown)
{
    char line[300];

    for (size_t i = 0; i < json_array_size(unknown); i++) {
        const json_t *one = json_array_get(unknown, i);

        if (rg_json_number(one, "oldId") > 0)
            printf("not known: node %lld of %s: ", rg_json_number(one, "oldId"), rg_json_cstr(one, "region"));
        else
            printf("not known: at %s: ", rg_json_cstr(one, "keptIn"));
        printf("%s\n", rg_table_clean(line, sizeof line, rg_json_cstr(one, "reason")));
    }
}

static enum rg_err list(struct rg_cli *cli)
{
    static const struct rg_column columns[] = {{"EPOCH", 8, "epoch"},
                                               {"KEPT IN", 16, "keptIn"},
                                               {"OLD ID", 6, "oldId"},
                                               {"WRITES", 8, .cell = writes_cell},
                                               {"INDEXES", 16, .cell = indexes_cell},
                                               {"MISSING", 9, .cell = missing_cell},
                                               {"REPLAYED", 9, .cell = replayed_cell},
                                               {"SET ASIDE", 0, "setAsideAt"},
                                               {NULL}};
    struct tail t = {.cli = cli};
    json_t *all = json_array();
    size_t silent = 0;
    enum rg_err err = list_all(&t, all, &silent);

    if (!err && !rg_cli_json(cli, all)) {
        json_t *unknown = take_unknown(all);

        rg_table_print(stdout, columns, all);
        print_unknown(unknown);
        json_decref(unknown);
    }
    json_decref(all);
    return err;
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
            printf(" %s=%s", name, rg_table_clean(line, sizeof line, json_string_value(value)));
    }
}

static void print_entry(json_t *entry)
{
    const json_t *replayed = json_object_get(entry, "replayed");
    char by[100];

    printf("%-10lld %-24s %-20s %-22s", rg_json_number(entry, "index"), rg_json_cstr(entry, "at"),
           rg_table_clean(by, sizeof by, rg_json_cstr(entry, "by")), rg_json_cstr(entry, "kind"));
    print_what(entry);
    if (replayed != NULL)
        printf(" (replayed as %s)", rg_json_cstr(replayed, "revision"));
    printf("\n");
}

/* Into a new file. */
static enum rg_err write_file(struct rg_cli *cli, const char *path, const json_t *json)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    enum rg_err err = RG_OK;

    if (fd < 0 || json_dumpfd(json, fd, JSON_INDENT(1)) != 0 || fsync(fd) != 0)
        err = rg_fail(&cli->err, RG_EIO, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    if (err && fd >= 0)
        unlink(path);
    return err;
}

static enum rg_err show(struct rg_cli *cli)
{
    struct tail t = {.cli = cli};
    json_t *all = NULL, *entry;
    enum rg_err err = find(&t);
    size_t i;

    if (!err)
        err = pages(&t, "", "entries", &all);
    if (!err && !rg_cli_json(cli, all)) {
        json_array_foreach(json_object_get(all, "entries"), i, entry)
            print_entry(entry);
        if (rg_json_number(all, "missing") > 0)
            printf("%lld entries before these are in the snapshot alone, not in the log\n", rg_json_number(all, "missing"));
    }
    json_decref(all);
    return err;
}

static enum rg_err export(struct rg_cli *cli)
{
    const char *output = rg_opt(cli, "output");
    struct tail t = {.cli = cli};
    json_t *all = NULL;
    enum rg_err err = find(&t);

    if (!err)
        err = pages(&t, "/export", "operations", &all);
    if (!err && output != NULL)
        err = write_file(cli, output, all);
    if (!err && output == NULL)
        rg_json_print(all, cli->json ? JSON_COMPACT : JSON_INDENT(1));
    else if (!err && !cli->json)
        printf("%s: %zu operations\n", output, json_array_size(json_object_get(all, "operations")));
    json_decref(all);
    return err;
}

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
               rg_json_cstr(item, "message")[0] != '\0' ? rg_table_clean(line, sizeof line, rg_json_cstr(item, "message")) : "");
    }
    if (rg_json_cstr(answer, "warning")[0] != '\0')
        fprintf(stderr, "%s\n", rg_table_clean(line, sizeof line, rg_json_cstr(answer, "warning")));
}

/* Each page's answer; with --all one after the other. */
static enum rg_err replay_pages(struct tail *t, json_t *body, json_t *answers)
{
    enum rg_err err;
    char path[96];
    long long next;

    snprintf(path, sizeof path, "/v1/lost-tail/%s/replay", t->cli->arg[0]);
    rg_client_timeout(t->cli->client, REPLAY_MS_MAX);
    do {
        json_t *answer = NULL, *item;
        size_t i;

        err = rg_client_send(t->cli->client, "POST", path, NULL, json_incref(body), &answer, &t->cli->err);
        if (err)
            return err;
        json_array_foreach(json_object_get(answer, "results"), i, item)
            if (strcmp(rg_json_cstr(item, "outcome"), "applied") != 0 && strcmp(rg_json_cstr(item, "outcome"), "accepted") != 0)
                t->cli->code = 1;
        next = rg_json_number(answer, "next");
        json_object_set_new(body, "after", json_integer(next));
        if (!t->cli->json)
            print_results(answer);
        if (rg_json_number(answer, "notTried") > 0)
            next = 0; /* the rest would end the same way */
        json_array_append_new(answers, answer);
    } while (next != 0 && rg_json_flag(body, "all"));
    return err;
}

/* Makes cli->body too: which of them. */
static enum rg_err check_replay(struct rg_cli *cli)
{
    bool all = rg_opt_flag(cli, "all");
    json_t *indexes;
    enum rg_err err = check_epoch(cli);

    if (!err && all == (rg_opt(cli, "index") != NULL))
        err = rg_fail(&cli->err, RG_EUSAGE, "say which: either --index or --all");
    if (err)
        return err;
    cli->body = json_pack("{s:b}", "dryRun", rg_opt_flag(cli, "dry-run"));
    if (all)
        return json_object_set_new(cli->body, "all", json_true()) == 0 ? RG_OK : RG_ENOMEM;
    indexes = json_array();
    err = parse_indexes(cli, rg_opt(cli, "index"), indexes);
    return json_object_set_new(cli->body, "indexes", indexes) == 0 ? err : RG_ENOMEM;
}

static enum rg_err replay(struct rg_cli *cli)
{
    json_t *answers = json_array();
    struct tail t = {.cli = cli};
    enum rg_err err = find(&t);

    if (!err)
        err = replay_pages(&t, cli->body, answers);
    if (cli->json && json_array_size(answers) > 0)
        rg_json_print(answers, JSON_COMPACT);
    json_decref(answers);
    return err;
}

/* ---- drop ---- */

static enum rg_err drop(struct rg_cli *cli)
{
    struct tail t = {.cli = cli};
    json_t *answer = NULL;
    enum rg_err err = find(&t);
    char path[64];

    if (!err && !rg_opt_flag(cli, "yes"))
        err = rg_fail(&cli->err, RG_EUSAGE, "this deletes the data that %s set aside, for good: look at it with `regent lost-tail "
                      "show %llu`, then say --yes", t.name, (unsigned long long)t.epoch);
    snprintf(path, sizeof path, "/v1/lost-tail/%s", t.cli->arg[0]);
    if (!err)
        err = rg_client_send(cli->client, "DELETE", path, NULL, NULL, &answer, &cli->err);
    if (!err && !rg_cli_json(cli, answer))
        printf("epoch %llu: the lost writes kept in %s are deleted\n", (unsigned long long)t.epoch, t.name);
    json_decref(answer);
    return err;
}

static const struct rg_option list_options[] = {{"region", "R", "only this region's (all regions that answer)"}, {NULL}};
static const struct rg_option show_options[] = {{"region", "R", "the region that keeps it (whichever does)"}, {NULL}};
static const struct rg_option export_options[] = {{"region", "R", "the region that keeps it (whichever does)"},
                                                  {"output", "FILE", "write it to this new file"},
                                                  {NULL}};
static const struct rg_option replay_options[] = {{"index", "N,N-M,...", "these"},
                                                  {"all", NULL, "all of them, in their order"},
                                                  {"dry-run", NULL, "change nothing: say what would come of it"},
                                                  {"region", "R", "the region that keeps it (whichever does)"},
                                                  {NULL}};
static const struct rg_option drop_options[] = {{"yes", NULL, "they are gone for good then"},
                                                {"region", "R", "the region that keeps it (whichever does)"},
                                                {NULL}};

const struct rg_command rg_lost_commands[] = {
    {"lost-tail list", "[--region R]", "Writes that a promotion cut off, and which region keeps them", NULL, list_options,
     .who = RG_WHO_CLUSTER, .run = list},
    {"lost-tail show", "EPOCH [--region R]", "Each lost write: when, by whom, what, and whether it was made again", NULL, show_options,
     1, 1, RG_WHO_CLUSTER, .check = check_epoch, .run = show},
    {"lost-tail export", "EPOCH [--output FILE]", "Lost writes as a plan: operations with their parameters, as JSON", NULL,
     export_options, 1, 1, RG_WHO_CLUSTER, .check = check_epoch, .run = export},
    {"lost-tail replay", "EPOCH --index N,N-M | --all [--dry-run]", "Make chosen lost writes again, with the checks of any other write",
     "Exit code 1 when one was not made again. Example: regent lost-tail replay 1025 --index 120,131-140 --dry-run\n", replay_options,
     1, 1, RG_WHO_CLUSTER, .check = check_replay, .run = replay},
    {"lost-tail drop", "EPOCH --yes", "Delete lost writes for good", NULL, drop_options, 1, 1, RG_WHO_CLUSTER, .check = check_epoch,
     .run = drop},
    {NULL}};
