/* cmd/cli/cli.h: what the commands of `regent` share: their table, options, the cluster file, errors and output. */
#ifndef REGENT_CMD_CLI_CLI_H
#define REGENT_CMD_CLI_CLI_H

#include <stdio.h>

#include "base/err.h"
#include "raft/member.h"

struct rg_cli;

/* A row of the command table; `name` is one or two words ("dev up"). run gives the exit code. */
struct rg_command {
    const char *name, *args, *summary, *help;
    int (*run)(struct rg_cli *cli);
    bool hidden; /* not in the list of commands: for other commands, not for people */
};
extern const struct rg_command rg_commands[];
extern const size_t rg_commands_n;

/* An option of one command: --name ARG, or a flag when arg is NULL. Global ones (--json, --cluster, --help) are added. */
struct rg_option {
    const char *name, *arg, *help;
    const char **value; /* for ARG; may be given its default beforehand */
    bool *flag;
};

struct rg_cli {
    const struct rg_command *command;
    int argc; /* what follows the command's name */
    char **argv;
    bool json;
    const char *cluster_path; /* --cluster, or REGENT_CLUSTER; NULL: none given */
    struct rg_errctx err;
};

/**
 * Parse options and positional arguments. False: *ret_exit is the code to return (help was printed, or usage was wrong).
 * positional   filled with up to max arguments; *ret_n how many
 */
bool rg_cli_parse(struct rg_cli *cli, const struct rg_option *options, size_t n_options, const char **positional, size_t min,
                  size_t max, size_t *ret_n, int *ret_exit);
/** Print the error (text to stderr, or with --json {"code","message"} to stdout) and give its exit code. */
int rg_cli_fail(struct rg_cli *cli, enum rg_err err);
/** A whole number in [min, max] from an option's text; false: said on stderr. */
bool rg_cli_number(struct rg_cli *cli, const char *option, const char *text, uint64_t min, uint64_t max, uint64_t *ret);

/* The file that `regent dev up` writes and every other command reads. */
#define RG_CLUSTER_REGIONS_MAX 32
#define RG_CLUSTER_NODES_MAX 8
struct rg_cluster_node {
    uint64_t id;
    long pid;
    char url[160], link[128], config[512], data_dir[512];
};
struct rg_cluster_region {
    char name[33];
    bool primary;
    char url[160];
    struct rg_cluster_node nodes[RG_CLUSTER_NODES_MAX];
    size_t n_nodes;
};
struct rg_cluster {
    char path[512]; /* of the file */
    char instance_arn[128], identity_store_id[64], account_id[13], ca[512];
    char access_key_id[64], secret_access_key[128], bearer_token[128];
    struct rg_cluster_region regions[RG_CLUSTER_REGIONS_MAX];
    size_t n_regions;
    struct {
        long pid;
        char config[512]; /* cmd/dev/devproxy.h; "": the cluster has no proxy */
    } proxy;
};
/** Read the cluster file of --cluster or REGENT_CLUSTER. RG_EUSAGE when neither is given. ret_cluster: own, free(). */
RG_MUST enum rg_err rg_cluster_load(struct rg_cli *cli, struct rg_cluster **ret_cluster);
RG_MUST enum rg_err rg_cluster_load_file(const char *path, struct rg_cluster **ret_cluster, struct rg_errctx *ctx);
/** Write it (0600, atomically) to its path. */
RG_MUST enum rg_err rg_cluster_save(const struct rg_cluster *cluster, struct rg_errctx *ctx);
/** By name; NULL name: the primary. RG_ENOTFOUND names the regions there are. */
RG_MUST enum rg_err rg_cluster_region(struct rg_cluster *cluster, const char *name, struct rg_cluster_region **ret_region,
                                      struct rg_errctx *ctx);

/* A progress line on a terminal's stderr; silent elsewhere and with --json. */
struct rg_progress {
    bool on;
    const char *what;
    uint64_t total, started_us, shown_us;
};
void rg_progress_begin(struct rg_progress *progress, const struct rg_cli *cli, const char *what, uint64_t total);
void rg_progress_show(struct rg_progress *progress, uint64_t done);
void rg_progress_end(struct rg_progress *progress, uint64_t done);

uint64_t rg_cli_now_us(void);

/* The commands. */
int rg_cmd_dev_up(struct rg_cli *cli);
int rg_cmd_dev_down(struct rg_cli *cli);
int rg_cmd_dev_kill(struct rg_cli *cli);
int rg_cmd_dev_start(struct rg_cli *cli);
int rg_cmd_dev_ready(struct rg_cli *cli);
int rg_cmd_dev_tour(struct rg_cli *cli);
int rg_cmd_dev_link(struct rg_cli *cli);
int rg_cmd_dev_proxy(struct rg_cli *cli);
int rg_cmd_import(struct rg_cli *cli);
int rg_cmd_export(struct rg_cli *cli);
int rg_cmd_access_list(struct rg_cli *cli);
int rg_cmd_access_check(struct rg_cli *cli);
int rg_cmd_access_who(struct rg_cli *cli);
int rg_cmd_status(struct rg_cli *cli);
int rg_cmd_regions(struct rg_cli *cli);
int rg_cmd_dev_add(struct rg_cli *cli);
int rg_cmd_region_add(struct rg_cli *cli);
int rg_cmd_region_remove(struct rg_cli *cli);
int rg_cmd_region_set(struct rg_cli *cli);
int rg_cmd_region_list(struct rg_cli *cli);
int rg_cmd_region_show(struct rg_cli *cli);
int rg_cmd_region_preflight(struct rg_cli *cli);
int rg_cmd_region_names(struct rg_cli *cli);
int rg_cmd_intent_disable_user(struct rg_cli *cli);
int rg_cmd_intent_remove_member(struct rg_cli *cli);
int rg_cmd_intent_revoke(struct rg_cli *cli);
int rg_cmd_intent_list(struct rg_cli *cli);
int rg_cmd_intent_show(struct rg_cli *cli);
int rg_cmd_intent_approve(struct rg_cli *cli);
int rg_cmd_intent_drop(struct rg_cli *cli);
int rg_cmd_lost_list(struct rg_cli *cli);
int rg_cmd_lost_show(struct rg_cli *cli);
int rg_cmd_lost_export(struct rg_cli *cli);
int rg_cmd_lost_replay(struct rg_cli *cli);
int rg_cmd_lost_drop(struct rg_cli *cli);
int rg_cmd_switchover(struct rg_cli *cli);
int rg_cmd_failover_plan(struct rg_cli *cli);
int rg_cmd_failover_declare(struct rg_cli *cli);
int rg_cmd_failover_history(struct rg_cli *cli);
int rg_cmd_durability_show(struct rg_cli *cli);
int rg_cmd_durability_set(struct rg_cli *cli);
int rg_cmd_durability_degraded(struct rg_cli *cli);
int rg_cmd_lease_show(struct rg_cli *cli);
int rg_cmd_lease_set(struct rg_cli *cli);
int rg_cmd_bench(struct rg_cli *cli);
int rg_cmd_region_token(struct rg_cli *cli);
int rg_cmd_node_init(struct rg_cli *cli);
int rg_cmd_wal_verify(struct rg_cli *cli);
int rg_cmd_snapshot_inspect(struct rg_cli *cli);
int rg_cmd_probe(struct rg_cli *cli);
int rg_cmd_runbook_failover(struct rg_cli *cli);
int rg_cmd_runbook_verify(struct rg_cli *cli);
int rg_cmd_completion(struct rg_cli *cli);

#endif
