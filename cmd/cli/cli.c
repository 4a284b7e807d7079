#include "cmd/cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/cli/client.h"

enum { SELF_ARGUMENTS_MAX = 16, LINE_BYTES_MAX = 1 << 20 };

/* ---- options and arguments ---- */

static size_t count(const struct rg_option *options)
{
    size_t n = 0;

    while (options != NULL && options[n].name != NULL)
        n++;
    RG_ASSERT(n <= RG_OPTIONS_MAX);
    return n;
}

static void print_help(const struct rg_command *c)
{
    size_t n = count(c->options);

    printf("Usage: regent %s%s%s\n%s.\n", c->name, c->args[0] != '\0' ? " " : "", c->args, c->summary);
    if (n > 0)
        printf("\n");
    for (size_t i = 0; i < n; i++) {
        const struct rg_option *o = &c->options[i];
        char left[64];

        snprintf(left, sizeof left, "--%s%s%s", o->name, o->arg != NULL ? " " : "", o->arg != NULL ? o->arg : "");
        printf("  %-22s %s\n", left, o->help);
    }
    printf("  %-22s %s\n  %-22s %s\n  %-22s %s\n", "--cluster FILE", "cluster file (default: $REGENT_CLUSTER)", "--json",
           "print JSON", "--help", "print this");
    if (c->help != NULL)
        printf("\n%s", c->help);
}

static bool usage(struct rg_cli *cli, const char *what, const char *arg)
{
    fprintf(stderr, "regent %s: %s %s\nTry: regent %s --help\n", cli->command->name, what, arg, cli->command->name);
    cli->code = 2;
    return false;
}

/* One of the global options or the command's own. Returns how many arguments it took; 0: unknown; -1: its value is missing. */
static int take_option(struct rg_cli *cli, int at)
{
    const char *text = cli->argv[at] + 2, *eq = strchr(text, '='), *json = NULL;
    size_t len = eq != NULL ? (size_t)(eq - text) : strlen(text), n = count(cli->command->options);
    const struct rg_option globals[] = {{.name = "json"}, {.name = "cluster", .arg = "FILE"}};
    const char **const global_values[] = {&json, &cli->cluster_path};

    for (size_t i = 0; i < n + RG_LEN(globals); i++) {
        const struct rg_option *o = i < n ? &cli->command->options[i] : &globals[i - n];
        const char **value = i < n ? &cli->value[i] : global_values[i - n];

        if (strlen(o->name) != len || strncmp(o->name, text, len) != 0)
            continue;
        if (o->arg == NULL && eq != NULL)
            return 0;
        if (o->arg != NULL && eq == NULL && at + 1 >= cli->argc)
            return -1;
        *value = o->arg == NULL ? "" : eq != NULL ? eq + 1 : cli->argv[at + 1];
        cli->json |= json != NULL;
        return o->arg == NULL || eq != NULL ? 1 : 2;
    }
    return 0;
}

/* False: cli->code is the code to end with (help was printed, or usage was wrong). */
static bool parse(struct rg_cli *cli)
{
    const struct rg_command *c = cli->command;
    bool only_arguments = false;

    for (int i = 0; i < cli->argc;) {
        char *arg = cli->argv[i];
        int took;

        if (!only_arguments && strcmp(arg, "--") == 0) {
            only_arguments = true;
            i++;
            continue;
        }
        if (only_arguments || arg[0] != '-' || arg[1] == '\0') {
            if (cli->n_args == c->max)
                return usage(cli, "too many arguments:", arg);
            cli->arg[cli->n_args++] = arg;
            i++;
            continue;
        }
        if (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0) {
            print_help(c);
            return false;
        }
        took = strncmp(arg, "--", 2) == 0 ? take_option(cli, i) : 0;
        if (took < 0)
            return usage(cli, "a value is missing after", arg);
        if (took == 0)
            return usage(cli, "no such option:", arg);
        i += took;
    }
    if (cli->n_args < c->min)
        return usage(cli, "arguments are missing:", c->args);
    return true;
}

enum rg_err rg_cli_number(struct rg_cli *cli, const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    char *end;
    uint64_t v;

    errno = 0;
    v = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || v < min || v > max)
        return rg_fail(&cli->err, RG_EUSAGE, "--%s: must be a number from %llu to %llu, not \"%s\"", option,
                       (unsigned long long)min, (unsigned long long)max, text);
    *ret = v;
    return RG_OK;
}

/* What is needed is there, numbers are numbers, and the command's own check. */
static enum rg_err check(struct rg_cli *cli)
{
    const struct rg_command *c = cli->command;
    uint64_t v;

    for (size_t i = 0; i < count(c->options); i++) {
        const struct rg_option *o = &c->options[i];
        enum rg_err err = RG_OK;

        if (cli->value[i] == NULL && o->needed)
            return rg_fail(&cli->err, RG_EUSAGE, "--%s %s is missing", o->name, o->arg);
        if (cli->value[i] != NULL && o->max != 0)
            err = rg_cli_number(cli, o->name, cli->value[i], o->min, o->max, &v);
        if (err)
            return err;
    }
    return c->check != NULL ? c->check(cli) : RG_OK;
}

static size_t index_of(const struct rg_cli *cli, const char *name)
{
    const struct rg_option *options = cli->command->options;
    size_t n = count(options), i = 0;

    while (i < n && strcmp(options[i].name, name) != 0)
        i++;
    RG_ASSERT(i < n);
    return i;
}

const char *rg_opt(const struct rg_cli *cli, const char *name)
{
    size_t i = index_of(cli, name);

    return cli->value[i] != NULL ? cli->value[i] : cli->command->options[i].otherwise;
}

bool rg_opt_flag(const struct rg_cli *cli, const char *name) { return cli->value[index_of(cli, name)] != NULL; }

uint64_t rg_opt_number(const struct rg_cli *cli, const char *name)
{
    const char *text = rg_opt(cli, name);

    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

void rg_cli_query(struct rg_buf *path, const char *name, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    if (value == NULL)
        return;
    rg_buf_printf(path, "%c%s=", memchr(path->data, '?', path->len) != NULL ? '&' : '?', name);
    for (const char *c = value; *c != '\0'; c++)
        rg_buf_printf(path, strchr(plain, *c) != NULL ? "%c" : "%%%02X", (unsigned char)*c);
}

/* ---- whom it speaks to ---- */

enum rg_err rg_cli_load(struct rg_cli *cli)
{
    if (cli->command->in_dir && rg_opt(cli, "dir") != NULL) {
        snprintf(cli->dir_path, sizeof cli->dir_path, "%s/cluster.json", rg_opt(cli, "dir"));
        cli->cluster_path = cli->dir_path;
    }
    if (cli->cluster_path == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "which cluster? give --cluster FILE or set REGENT_CLUSTER to a cluster.json");
    return rg_cluster_load_file(cli->cluster_path, &cli->cluster, &cli->err);
}

static enum rg_err open_who(struct rg_cli *cli)
{
    const struct rg_command *c = cli->command;
    long timeout_ms = c->timeout_ms > 0 ? c->timeout_ms : RG_CLIENT_MS;
    enum rg_err err = c->who != RG_WHO_NOBODY ? rg_cli_load(cli) : RG_OK;

    for (size_t i = 0; !err && c->who == RG_WHO_CLUSTER && i < count(c->options); i++)
        if (strcmp(c->options[i].name, "region") == 0 && cli->value[i] != NULL)
            err = rg_cluster_region(cli->cluster, cli->value[i], &cli->region, &cli->err);
    if (err)
        return err;
    if (c->who == RG_WHO_PRIMARY)
        return rg_client_primary(cli->cluster, timeout_ms, &cli->client, &cli->err);
    if (c->who == RG_WHO_READER || c->who == RG_WHO_REGION)
        return rg_client_open(cli->cluster, c->who == RG_WHO_REGION ? rg_opt(cli, "region") : NULL, timeout_ms, &cli->client,
                              &cli->err);
    return RG_OK;
}

/* ---- one request ---- */

bool rg_cli_json(const struct rg_cli *cli, const json_t *answer)
{
    if (cli->json)
        rg_json_print(answer, JSON_COMPACT);
    return cli->json;
}

struct rg_json_writer *rg_cli_line_begin(struct rg_cli_line *line)
{
    rg_buf_init(&line->out, LINE_BYTES_MAX);
    rg_json_begin(&line->j, &line->out);
    rg_json_object(&line->j, NULL);
    return &line->j;
}

void rg_cli_line_end(struct rg_cli *cli, struct rg_cli_line *line)
{
    rg_json_end(&line->j);
    rg_json_done(&line->j);
    rg_buf_put_u8(&line->out, '\n');
    if (line->out.err == RG_OK) {
        fwrite(line->out.data, 1, line->out.len, stdout);
    } else {
        fprintf(stderr, "regent: %s\n", rg_err_text(line->out.err));
        cli->code = 1;
    }
    rg_buf_deinit(&line->out);
}

static void print_answer(struct rg_cli *cli, const json_t *answer)
{
    const struct rg_command *c = cli->command;
    const json_t *verdict = c->verdict != NULL ? json_object_get(answer, c->verdict) : NULL;

    if (!rg_cli_json(cli, answer)) {
        if (c->columns != NULL)
            rg_table_print(stdout, c->columns, json_object_get(answer, c->rows));
        else
            c->print(cli, answer);
    }
    cli->code = verdict != NULL && !json_is_true(verdict) ? 1 : 0;
}

static enum rg_err print_raw(struct rg_cli *cli, const char *path)
{
    struct rg_answer answer;
    enum rg_err err = rg_client_request(cli->client, "GET", path, NULL, rg_span(NULL, 0), &answer, &cli->err);

    if (err)
        return err;
    if (answer.status == 200)
        fwrite(answer.body.data, 1, answer.body.len, stdout);
    else
        err = rg_answer_error(&answer, &cli->err);
    rg_answer_deinit(&answer);
    return err;
}

static enum rg_err ask(struct rg_cli *cli)
{
    const struct rg_command *c = cli->command;
    RG_AUTO_BUF struct rg_buf path = {.max = 0};
    json_t *answer = NULL;
    enum rg_err err;

    rg_buf_init(&path, 2000);
    for (const char *p = c->path; *p != '\0'; p++)
        rg_buf_printf(&path, *p == '*' ? "%s" : "%.1s", *p == '*' ? cli->arg[0] : p);
    if (c->query != NULL)
        c->query(cli, &path);
    rg_buf_put_u8(&path, 0);
    if (path.err)
        return path.err;
    if (c->raw)
        return print_raw(cli, (const char *)path.data);
    err = rg_client_send(cli->client, c->method != NULL ? c->method : "GET", (const char *)path.data, NULL,
                         RG_STEAL(cli->body), &answer, &cli->err);
    if (!err)
        print_answer(cli, answer);
    json_decref(answer);
    return err;
}

/* ---- the whole ---- */

static int fail(struct rg_cli *cli, enum rg_err err)
{
    const char *text = rg_errctx_text(&cli->err, err);

    if (cli->json) {
        json_t *body = json_pack("{s:s, s:s}", "code", rg_err_name(err), "message", text);

        if (body != NULL)
            json_dumpf(body, stdout, JSON_COMPACT);
        printf("\n");
        json_decref(body);
    }
    fprintf(stderr, "regent %s: %s\n", cli->command->name, text);
    return rg_err_exit(err);
}

int rg_cli_run(struct rg_cli *cli)
{
    const struct rg_command *c = cli->command;
    enum rg_err err;

    if (!parse(cli))
        return cli->code;
    err = check(cli);
    if (!err && c->body != NULL && (cli->body = c->body(cli)) == NULL)
        err = rg_fail(&cli->err, RG_EUSAGE, "the arguments must be UTF-8");
    if (!err)
        err = open_who(cli);
    if (!err)
        err = c->run != NULL ? c->run(cli) : ask(cli);
    if (err)
        cli->code = fail(cli, err);
    if (fflush(stdout) != 0 && cli->code == 0)
        cli->code = 1;
    if (cli->hangs) {
        fflush(NULL);
        _exit(cli->code);
    }
    json_decref(cli->body);
    rg_client_free(cli->client);
    free(cli->cluster);
    return cli->code;
}

enum rg_err rg_cli_confirm(struct rg_cli *cli, const char *name, const char *question, ...)
{
    char line[64];
    va_list args;

    if (!isatty(STDIN_FILENO))
        return rg_fail(&cli->err, RG_EUSAGE, "this wants confirmation: --yes, when there is nobody to ask");
    va_start(args, question);
    vfprintf(stderr, question, args);
    va_end(args);
    if (fgets(line, sizeof line, stdin) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (strcmp(line, name) == 0)
            return RG_OK;
    }
    return rg_fail(&cli->err, RG_EUSAGE, "not confirmed: nothing was changed");
}

enum rg_err rg_cli_self(const char *const *args, int out_fd, struct rg_errctx *ctx)
{
    const char *argv[SELF_ARGUMENTS_MAX + 2] = {"regent"};
    posix_spawn_file_actions_t actions;
    int rc, status = 0;
    pid_t pid;

    for (size_t i = 0; args[i] != NULL; i++) {
        RG_ASSERT(i < SELF_ARGUMENTS_MAX);
        argv[i + 1] = args[i];
    }
    fflush(NULL);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out_fd, STDOUT_FILENO);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    rc = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char *const *)(uintptr_t)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (rc != 0)
        return rg_fail(ctx, RG_EIO, "regent %s cannot be started: %s", args[0], strerror(rc));
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        return rg_fail(ctx, RG_EINTERNAL, "regent %s %s ended with %s %d", args[0], args[1] != NULL ? args[1] : "",
                       WIFEXITED(status) ? "exit code" : "signal", WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status));
    return RG_OK;
}

/* ---- progress ---- */

void rg_progress_begin(struct rg_progress *progress, const struct rg_cli *cli, const char *what, uint64_t total)
{
    *progress = (struct rg_progress){
        .on = !cli->json && isatty(STDERR_FILENO), .what = what, .total = total, .started_us = rg_clock_us()};
}

static void progress_line(struct rg_progress *progress, uint64_t done)
{
    char bar[31];
    double part = progress->total > 0 ? (double)done / (double)progress->total : 1;
    double seconds = (double)(rg_clock_us() - progress->started_us) / 1e6;
    size_t fill = (size_t)(part * 30);

    memset(bar, '.', 30);
    memset(bar, '#', fill > 30 ? 30 : fill);
    bar[30] = '\0';
    fprintf(stderr, "\r%-16s [%s] %3.0f %%  %llu of %llu  %.0f/s  ", progress->what, bar, part * 100,
            (unsigned long long)done, (unsigned long long)progress->total, seconds > 0 ? (double)done / seconds : 0);
}

void rg_progress_show(struct rg_progress *progress, uint64_t done)
{
    uint64_t now;

    if (!progress->on)
        return;
    now = rg_clock_us();
    if (now - progress->shown_us < 100000)
        return;
    progress->shown_us = now;
    progress_line(progress, done);
}

void rg_progress_end(struct rg_progress *progress, uint64_t done)
{
    if (!progress->on)
        return;
    progress_line(progress, done);
    fputc('\n', stderr);
}

