/* cmd/regent.c: the command line: finds the command in its table and runs it. */
#include <signal.h>

#include "cmd/admin/admin.h"
#include "cmd/bench/bench_priv.h"
#include "cmd/cli/cli.h"
#include "cmd/dev/dev.h"
#include "cmd/probe/probe.h"
#include "cmd/runbook/runbook.h"

#define COMMANDS_MAX 160

static enum rg_err completion(struct rg_cli *cli);

static const struct rg_command own_commands[] = {
    {"completion", "bash", "Print a completion script for the shell", "Example: source <(regent completion bash)\n", NULL, 1, 1,
     .run = completion},
    {NULL}};

/* The rooms' tables, in the order of the list; what is one group stands together. */
static const struct rg_command *const tables[] = {
    rg_dev_commands,      rg_dev_add_commands,  rg_dev_ready_commands, rg_dev_link_commands, rg_dev_proxy_commands, rg_tour_commands,
    rg_import_commands,   rg_access_commands,   rg_status_commands,    rg_found_commands,    rg_region_commands,    rg_node_commands,
    rg_requests_commands,
    rg_reset_commands,    rg_vouch_commands,    rg_takeover_commands,  rg_settings_commands, rg_runbook_commands,   rg_probe_commands,
    rg_intent_commands,   rg_lost_commands,     rg_bench_commands,     rg_inspect_commands,  own_commands};

static const struct rg_command *commands[COMMANDS_MAX];
static size_t n_commands;

static void collect(void)
{
    for (size_t i = 0; i < RG_LEN(tables); i++) {
        for (const struct rg_command *c = tables[i]; c->name != NULL; c++) {
            RG_ASSERT(n_commands < COMMANDS_MAX && c->max <= RG_ARGUMENTS_MAX);
            commands[n_commands++] = c;
        }
    }
}

/* The length of the first of a name's words. */
static size_t first_word(const struct rg_command *c) { return strcspn(c->name, " "); }

static bool is_of_group(const struct rg_command *c, const char *word, size_t n)
{
    return strncmp(c->name, word, n) == 0 && c->name[n] == ' ';
}

static void print_list(FILE *to, const char *group)
{
    for (size_t i = 0; i < n_commands; i++)
        if (!commands[i]->hidden && (group == NULL || is_of_group(commands[i], group, strlen(group))))
            fprintf(to, "  %-20s %s\n", commands[i]->name, commands[i]->summary);
}

static void print_usage(FILE *to)
{
    fputs("Usage: regent COMMAND [ARGUMENTS]\n\n", to);
    print_list(to, NULL);
    fputs("\nEvery command takes --help, --json and --cluster FILE (default: $REGENT_CLUSTER).\n"
          "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not reachable.\n", to);
}

static enum rg_err completion(struct rg_cli *cli)
{
    if (strcmp(cli->arg[0], "bash") != 0)
        return rg_fail(&cli->err, RG_EUSAGE, "only bash is known, not %s", cli->arg[0]);
    puts("_regent() {\n    local cur=${COMP_WORDS[COMP_CWORD]} line=${COMP_WORDS[*]:1:COMP_CWORD-1} words=");
    puts("    case \"$line\" in");
    printf("    '') words='");
    for (size_t i = 0; i < n_commands; i++) {
        size_t n = first_word(commands[i]);

        if (i == 0 || strncmp(commands[i]->name, commands[i - 1]->name, n + 1) != 0)
            printf("%.*s ", (int)n, commands[i]->name);
    }
    puts("';;");
    for (size_t i = 0; i < n_commands; i++) {
        size_t n = first_word(commands[i]);

        if (commands[i]->name[n] == '\0' || (i > 0 && is_of_group(commands[i - 1], commands[i]->name, n)))
            continue;
        printf("    %.*s) words='", (int)n, commands[i]->name);
        for (size_t k = i; k < n_commands && is_of_group(commands[k], commands[i]->name, n); k++)
            if (!commands[k]->hidden)
                printf("%s ", commands[k]->name + n + 1);
        puts("';;");
    }
    puts("    *) words='--json --cluster --help --region --dir --output --watch';;\n    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(case \"$cur\" in -*) ;; *) compgen -f -- \"$cur\";; esac))\n"
         "}\ncomplete -F _regent regent");
    return RG_OK;
}

/* The command whose words begin the arguments; *ret_words: how many it took. */
static const struct rg_command *find(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < n_commands; i++) {
        const char *name = commands[i]->name;
        size_t n = first_word(commands[i]);

        *ret_words = name[n] == ' ' ? 2 : 1;
        if (argc >= *ret_words && strlen(argv[0]) == n && strncmp(argv[0], name, n) == 0 &&
            (*ret_words == 1 || strcmp(argv[1], name + n + 1) == 0))
            return commands[i];
    }
    return NULL;
}

/* The first word of commands of two. */
static bool is_group(const char *word)
{
    for (size_t i = 0; i < n_commands; i++)
        if (is_of_group(commands[i], word, strlen(word)))
            return true;
    return false;
}

/* `regent region`, `regent region --help`, `regent region wrong`: what there is. */
static int group(const char *word, const char *second)
{
    bool help = second != NULL && (strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0 || strcmp(second, "help") == 0);
    FILE *to = help ? stdout : stderr;

    if (second != NULL && !help)
        fprintf(to, "regent: no such command: %s %s\n", word, second);
    fprintf(to, "Usage: regent %s COMMAND [ARGUMENTS]\n\n", word);
    print_list(to, word);
    return help ? 0 : 2;
}

int main(int argc, char **argv)
{
    static struct rg_cli cli;
    int words = 0;

    signal(SIGPIPE, SIG_IGN);
    collect();
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return 0;
    }
    if (strcmp(argv[1], "--version") == 0) {
        puts("regent " REGENT_VERSION);
        return 0;
    }
    cli.command = find(argc - 1, argv + 1, &words);
    if (cli.command == NULL && is_group(argv[1]))
        return group(argv[1], argc > 2 ? argv[2] : NULL);
    if (cli.command == NULL) {
        fprintf(stderr, "regent: no such command: %s%s%s\nTry: regent --help\n", argv[1], argc > 2 ? " " : "",
                argc > 2 ? argv[2] : "");
        return 2;
    }
    cli.argc = argc - 1 - words;
    cli.argv = argv + 1 + words;
    cli.cluster_path = getenv("REGENT_CLUSTER");
    if (cli.cluster_path != NULL && cli.cluster_path[0] == '\0')
        cli.cluster_path = NULL;
    return rg_cli_run(&cli);
}
