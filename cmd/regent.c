/* cmd/regent.c: the command line: finds the command in its table and runs it. */
#include <signal.h>

#include "cmd/cli/cli.h"

const struct rg_command rg_commands[] = {
    {"dev up", "--dir DIR [OPTIONS]", "Start a development cluster on this machine, or start it again",
     "Returns when every region is ready; the nodes go on running. DIR/cluster.json is what other commands need.\n"
     "Example: regent dev up --dir /tmp/r --regions us-east-1,eu-central-1\n", rg_cmd_dev_up},
    {"dev down", "[--dir DIR] [--purge]", "Stop a development cluster", "", rg_cmd_dev_down},
    {"dev kill", "REGION [--node ID]", "Kill a region's nodes (SIGKILL)", "Example: regent dev kill us-east-1\n", rg_cmd_dev_kill},
    {"dev start", "REGION [--node ID]", "Start a region's nodes again and wait until they are ready", "", rg_cmd_dev_start},
    {"dev add", "REGION [OPTIONS]", "Add a region to a development cluster: token, node, start, add",
     "Shows how far it is, and returns when the region is ACTIVE. Example: regent dev add ap-south-1\n", rg_cmd_dev_add},
    {"dev ready", "", "Wait until every region shows the primary's newest revision", "", rg_cmd_dev_ready},
    {"dev link", "show | cut A B | stall A B | heal A B|all | delay A B|all MS", "Cut, stall, slow and heal lines between regions",
     "For a cluster that `regent dev up --rtt MS` (or --proxy) made.\n"
     "cut: connections are reset, new ones refused. stall: half-open, nothing arrives and nothing is closed. heal: both end,\n"
     "and what was held back arrives. delay: milliseconds each way.\n"
     "Example: regent dev link cut us-east-1 eu-central-1\n", rg_cmd_dev_link},
    {"dev proxy", "--config FILE", "Carry the lines of a development cluster", "", rg_cmd_dev_proxy, true},
    {"dev tour", "", "Print the regions and what to try next", "", rg_cmd_dev_tour},
    {"import", "FILE[.gz]", "Load an organisation (idc-org-dataset/1) into the primary",
     "What is there already stays as it is, so an interrupted import is simply run again.\n"
     "Example: regent import organisation.json.gz --cluster /tmp/r/cluster.json\n", rg_cmd_import},
    {"export", "[--region R] [--output FILE]", "Save the organisation (idc-org-dataset/1)", "", rg_cmd_export},
    {"access list", "[--region R] [FILTERS]", "Effective access as sorted lines userName<TAB>accountId<TAB>permissionSet",
     "Example: regent access list --region eu-central-1 --user alice\n", rg_cmd_access_list},
    {"access check", "USER ACCOUNT PERMISSION-SET", "Whether a user may assume a permission set in an account, and why",
     "Exit code 0: allowed; 1: denied. USER by name or id, ACCOUNT by id or name.\n", rg_cmd_access_check},
    {"access who", "ACCOUNT [PERMISSION-SET]", "Users with access to an account", "", rg_cmd_access_who},
    {"status", "[--watch]", "Every region: role, readiness, revision, lag, state hash", "", rg_cmd_status},
    {"regions", "", "The regions and where they answer", "", rg_cmd_regions},
    {"region add", "NAME [--owner WHO] [--description TEXT] [--no-wait]", "Add a region, showing how far it is",
     "Its node must be prepared and running (regent region preflight NAME says what is missing). The adding goes on by itself,\n"
     "also when this command is interrupted or the primary restarts.\n", rg_cmd_region_add},
    {"region remove", "NAME [--force] [--yes] [--no-wait]", "Remove a region: its node wipes its key and its data",
     "A node that cannot be reached for a minute (with --force: at once) is removed all the same, and told when it comes back.\n",
     rg_cmd_region_remove},
    {"region set", "NAME [--owner WHO] [--description TEXT]", "Say who answers for a region, and what it is for",
     "Example: regent region set eu-central-1 --owner team-emea\n", rg_cmd_region_set},
    {"region list", "", "The regions: role, status, phase, owner", "", rg_cmd_region_list},
    {"region show", "NAME", "One region, and how far it is", "", rg_cmd_region_show},
    {"region preflight", "NAME", "What stands against adding a region", "Exit code 0: nothing; 1: something, with what to do.\n",
     rg_cmd_region_preflight},
    {"region names", "", "Names of regions and where they are; own names may be given too", "", rg_cmd_region_names},
    {"region token", "REGION [--ttl SECONDS]", "Make a token that lets one node of a region join, once",
     "Printed to standard output: whoever has it may join in the region's name.\n"
     "Example: regent region token eu-west-1 | ssh host regent node init --join - --dir /srv/regent --advertise host:9443\n",
     rg_cmd_region_token},
    {"node init", "--join TOKEN|- --dir DIR [OPTIONS]", "Make a node's folder: its key, certificate and configuration",
     "The region is the token's. The other regions and clients must reach the addresses given.\n"
     "Example: regent node init --join - --dir /srv/regent --advertise regent.west.example:9443 < token\n", rg_cmd_node_init},
    {"switchover", "--to REGION [--by NAME] [--reason TEXT] [--dry-run]", "Make another region the primary, planned: nothing is lost",
     "Writes pause for a moment (clients wait, or get 503 with Retry-After), reads go on; the old primary stays as a replica.\n"
     "Example: regent switchover --to eu-central-1 --dry-run\n", rg_cmd_switchover},
    {"failover plan", "--to REGION", "What declaring a promotion would find: who answers, who is how far, what may be lost",
     "Changes nothing. Exit code 0: it could be declared; 1: not, and why.\n", rg_cmd_failover_plan},
    {"failover declare", "--to REGION --by NAME --reason TEXT [--accept-loss] [--yes]",
     "Make a region the primary because the old one is gone",
     "Asks every region that can be reached never to follow the old primary again, waits out write leases, begins a new epoch.\n"
     "Refused while a region that answers has more than REGION, unless the loss is accepted.\n"
     "Example: regent failover declare --to eu-central-1 --by ada --reason 'us-east-1 burns'\n", rg_cmd_failover_declare},
    {"failover history", "", "The epochs: which region was primary since when, and who said so", "", rg_cmd_failover_history},
    {"durability show", "", "In how many other regions a write is durable before it is acknowledged", "", rg_cmd_durability_show},
    {"durability set", "--regions N [--on-shortage refuse|degrade]",
     "Set in how many other regions a write must be durable before it is acknowledged",
     "With 1, a declared promotion loses nothing that was acknowledged. A request may ask for more: Regent-Wait-Regions.\n"
     "Example: regent durability set --regions 1 --on-shortage degrade\n", rg_cmd_durability_set},
    {"durability degraded", "", "Writes that were acknowledged with fewer regions", "", rg_cmd_durability_degraded},
    {"lease show", "", "The write lease: which other regions let the primary take writes", "", rg_cmd_lease_show},
    {"lease set", "--regions N [--seconds S] | --off", "Set or end the write lease",
     "A primary that fewer than N other regions answered within S seconds stops taking writes; a promotion waits that long.\n"
     "Example: regent lease set --regions 1 --seconds 5\n", rg_cmd_lease_set},
    {"runbook failover", "--to REGION --by NAME --reason TEXT [OPTIONS]", "Declare a promotion step by step, with evidence",
     "Steps: declare, pause, validate, promote, verify, notify, resume; each is shown and asked for. A run that stopped goes on\n"
     "with --resume FILE. docs/failover.md says what everything means.\n"
     "Example: regent runbook failover --game-day --to eu-central-1 --by ada --reason exercise --yes\n", rg_cmd_runbook_failover},
    {"runbook verify", "FILE [--public-key PEM]", "Whether a runbook's evidence is as it was written",
     "Exit code 0: nothing was changed; 1: the first bad line is named, or it is not signed yet.\n", rg_cmd_runbook_verify},
    {"probe", "--account A [OPTIONS]", "Ask every region whether a synthetic user may sign in, and keep metrics of it",
     "Success, latency and revision lag of each region, as Prometheus text too. A region that hangs fails at the deadline.\n"
     "Example: regent probe --synthetic --account 111111111111 --every 10 --metrics-file /var/lib/node_exporter/regent.prom\n",
     rg_cmd_probe},
    {"intent disable-user", "USER --region R", "While no primary can be reached: disable a user as soon as there is one",
     "Kept by region R, not in effect until then, applied by itself. Where the write can be made at once, it is made or refused.\n"
     "Example: regent intent disable-user alice --region eu-central-1\n", rg_cmd_intent_disable_user},
    {"intent remove-member", "GROUP USER --region R",
     "While no primary can be reached: take a user out of a group as soon as there is one", "", rg_cmd_intent_remove_member},
    {"intent revoke", "ACCOUNT PERMISSION-SET PRINCIPAL --region R [--type USER|GROUP]",
     "While no primary can be reached: delete an assignment as soon as there is one",
     "Names or ids. Example: regent intent revoke prod Admin contractors --region eu-central-1\n", rg_cmd_intent_revoke},
    {"intent list", "[--region R] [--status S]", "Writes that wait for a primary, and what became of them", "", rg_cmd_intent_list},
    {"intent show", "ID [--region R]", "One intent, with its whole command", "", rg_cmd_intent_show},
    {"intent approve", "ID [--region R]", "Let an intent that does more than take access away be presented to the primary", "",
     rg_cmd_intent_approve},
    {"intent drop", "ID [--region R]", "Drop an intent that still waits", "", rg_cmd_intent_drop},
    {"lost-tail list", "[--region R]", "Writes that a promotion cut off, and which region keeps them", "", rg_cmd_lost_list},
    {"lost-tail show", "EPOCH [--region R]", "Each lost write: when, by whom, what, and whether it was made again", "", rg_cmd_lost_show},
    {"lost-tail export", "EPOCH [--output FILE]", "Lost writes as a plan: operations with their parameters, as JSON", "",
     rg_cmd_lost_export},
    {"lost-tail replay", "EPOCH --index N,N-M | --all [--dry-run]", "Make chosen lost writes again, with the checks of any other write",
     "Exit code 1 when one was not made again. Example: regent lost-tail replay 1025 --index 120,131-140 --dry-run\n", rg_cmd_lost_replay},
    {"lost-tail drop", "EPOCH --yes", "Delete lost writes for good", "", rg_cmd_lost_drop},
    {"bench", "NAME [OPTIONS]", "Measure: propagation, write, check, restart, memory, region, or all",
     "Every figure is printed beside the machine's own floor of the same run. bench/README.md says what each measures.\n"
     "Example: regent bench propagation --rate 200 --seconds 10 --json\n", rg_cmd_bench},
    {"wal verify", "DIR --config FILE", "Check a node's log: every record, its seal and its place in the chain",
     "The node must not be running on it. Example: regent wal verify data/wal --config regentd.yaml\n", rg_cmd_wal_verify},
    {"snapshot inspect", "FILE --config FILE [--verify]", "What a snapshot file holds", "", rg_cmd_snapshot_inspect},
    {"completion", "bash", "Print a completion script for the shell", "Example: source <(regent completion bash)\n",
     rg_cmd_completion},
};
const size_t rg_commands_n = RG_LEN(rg_commands);

static void print_usage(FILE *to)
{
    fputs("Usage: regent COMMAND [ARGUMENTS]\n\n", to);
    for (size_t i = 0; i < rg_commands_n; i++)
        if (!rg_commands[i].hidden)
            fprintf(to, "  %-20s %s\n", rg_commands[i].name, rg_commands[i].summary);
    fputs("\nEvery command takes --help, --json and --cluster FILE (default: $REGENT_CLUSTER).\n"
          "Exit codes: 0 done, 1 refused or failed, 2 usage, 3 not reachable.\n", to);
}

int rg_cmd_completion(struct rg_cli *cli)
{
    const char *shell;
    int code;

    if (!rg_cli_parse(cli, NULL, 0, &shell, 1, 1, NULL, &code))
        return code;
    if (strcmp(shell, "bash") != 0)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "only bash is known, not %s", shell));
    puts("_regent() {\n    local cur=${COMP_WORDS[COMP_CWORD]} line=${COMP_WORDS[*]:1:COMP_CWORD-1} words=");
    puts("    case \"$line\" in");
    printf("    '') words='");
    for (size_t i = 0; i < rg_commands_n; i++) {
        size_t n = strcspn(rg_commands[i].name, " ");

        if (i == 0 || strncmp(rg_commands[i].name, rg_commands[i - 1].name, n + 1) != 0)
            printf("%.*s ", (int)n, rg_commands[i].name);
    }
    puts("';;");
    for (size_t i = 0; i < rg_commands_n; i++) {
        size_t n = strcspn(rg_commands[i].name, " ");

        if (rg_commands[i].name[n] == '\0' ||
            (i > 0 && strncmp(rg_commands[i].name, rg_commands[i - 1].name, n + 1) == 0))
            continue;
        printf("    %.*s) words='", (int)n, rg_commands[i].name);
        for (size_t k = i; k < rg_commands_n && strncmp(rg_commands[k].name, rg_commands[i].name, n + 1) == 0; k++)
            if (!rg_commands[k].hidden)
                printf("%s ", rg_commands[k].name + n + 1);
        puts("';;");
    }
    puts("    *) words='--json --cluster --help --region --dir --output --watch';;\n    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$cur\") $(case \"$cur\" in -*) ;; *) compgen -f -- \"$cur\";; esac))\n"
         "}\ncomplete -F _regent regent");
    return 0;
}

/* The command whose words begin the arguments; *ret_words: how many it took. */
static const struct rg_command *find(int argc, char **argv, int *ret_words)
{
    for (size_t i = 0; i < rg_commands_n; i++) {
        const char *name = rg_commands[i].name, *space = strchr(name, ' ');

        if (space == NULL && argc >= 1 && strcmp(argv[0], name) == 0) {
            *ret_words = 1;
            return &rg_commands[i];
        }
        if (space != NULL && argc >= 2 && strlen(argv[0]) == (size_t)(space - name) &&
            strncmp(argv[0], name, (size_t)(space - name)) == 0 && strcmp(argv[1], space + 1) == 0) {
            *ret_words = 2;
            return &rg_commands[i];
        }
    }
    return NULL;
}

/* The first word of commands of two. */
static bool is_group(const char *word)
{
    size_t n = strlen(word);

    for (size_t i = 0; i < rg_commands_n; i++)
        if (strncmp(rg_commands[i].name, word, n) == 0 && rg_commands[i].name[n] == ' ')
            return true;
    return false;
}

/* `regent region`, `regent region --help`, `regent region wrong`: what there is. */
static int group(const char *word, const char *second)
{
    bool help = second != NULL && (strcmp(second, "--help") == 0 || strcmp(second, "-h") == 0 || strcmp(second, "help") == 0);
    FILE *to = help ? stdout : stderr;
    size_t n = strlen(word);

    if (second != NULL && !help)
        fprintf(to, "regent: no such command: %s %s\n", word, second);
    fprintf(to, "Usage: regent %s COMMAND [ARGUMENTS]\n\n", word);
    for (size_t i = 0; i < rg_commands_n; i++)
        if (strncmp(rg_commands[i].name, word, n) == 0 && rg_commands[i].name[n] == ' ' && !rg_commands[i].hidden)
            fprintf(to, "  %-20s %s\n", rg_commands[i].name, rg_commands[i].summary);
    return help ? 0 : 2;
}

int main(int argc, char **argv)
{
    static struct rg_cli cli;
    int words = 0;

    signal(SIGPIPE, SIG_IGN);
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
    return cli.command->run(&cli);
}
