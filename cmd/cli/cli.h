/* cmd/cli/cli.h: the command line's frame. A row says what a command needs; the frame reads its options and arguments, loads the cluster
 * file, finds whom to ask, asks, prints the answer as text or JSON, and gives the exit code: 0 done, 1 refused or no, 2 usage, 3 not
 * reachable. */
#ifndef REGENT_CMD_CLI_CLI_H
#define REGENT_CMD_CLI_CLI_H

#include <jansson.h>
#include <stdio.h>

#include "base/json_writer.h"
#include "cmd/cli/cluster.h"
#include "cmd/cli/table.h"

#define RG_OPTIONS_MAX 16
#define RG_ARGUMENTS_MAX 4

struct rg_cli;
struct rg_client;

/* An option: --name ARG, or a flag when arg is NULL. --json, --cluster and --help are every command's. */
struct rg_option {
    const char *name, *arg, *help;
    const char *otherwise; /* its value when it is not given; NULL: none */
    uint64_t min, max;     /* max not 0: a whole number from min to max */
    bool needed;
};

/* Whom a command speaks to: that is ready when its turn comes. */
enum rg_who {
    RG_WHO_NOBODY,
    RG_WHO_CLUSTER, /* cli->cluster alone; with an option --region, cli->region too */
    RG_WHO_READER,  /* cli->client too: whoever knows (rg_client_reader) */
    RG_WHO_PRIMARY, /* … the primary (rg_client_primary) */
    RG_WHO_REGION,  /* … the region of --region; without, as RG_WHO_READER */
};

/* A command; `name` is one or two words ("dev up"). Tables of them end with a row without a name. */
struct rg_command {
    const char *name, *args, *summary, *help;
    const struct rg_option *options; /* ended by one without a name; NULL: none */
    uint8_t min, max;                /* arguments beside options; at most RG_ARGUMENTS_MAX */
    enum rg_who who;
    long timeout_ms; /* of its requests; 0: RG_CLIENT_MS */
    /* What is wrong with the arguments, before anything is loaded. NULL: nothing can be. */
    enum rg_err (*check)(struct rg_cli *cli);

    /* One request and its answer: */
    const char *method, *path;              /* NULL: GET. In the path a '*' is the first argument */
    json_t *(*body)(const struct rg_cli *cli); /* cli->body; its NULL: the arguments were not UTF-8. NULL: no body */
    void (*query)(const struct rg_cli *cli, struct rg_buf *path); /* appends: rg_cli_query */
    void (*print)(struct rg_cli *cli, const json_t *answer);      /* as text; or: */
    const struct rg_column *columns; /* a table of the answer's array `rows`; ended by a column without a head */
    const char *rows;
    const char *verdict; /* member of the answer: exit code 1 when it is false */
    bool raw;            /* the answer is printed as it came */

    /* … or all by itself. A no that is no error: cli->code. */
    enum rg_err (*run)(struct rg_cli *cli);
    bool in_dir; /* its --dir is a cluster's folder, and stands for --cluster */
    bool hidden; /* not in the list of commands: for other commands, not for people */
};

struct rg_cli {
    const struct rg_command *command;
    int argc; /* what follows the command's name */
    char **argv;
    bool json;
    const char *cluster_path; /* --cluster, or REGENT_CLUSTER; NULL: none given */
    char dir_path[600];       /* cluster_path of --dir */
    const char *arg[RG_ARGUMENTS_MAX]; /* NULL: not given */
    size_t n_args;
    const char *value[RG_OPTIONS_MAX]; /* of the command's options, in their order; NULL: not given */
    struct rg_cluster *cluster; /* own */
    struct rg_cluster_region *region; /* of cluster: the one of --region; NULL: none was given */
    struct rg_client *client;   /* own */
    json_t *body;               /* own: of the request; RG_STEAL */
    int code;                   /* of a command without an error */
    bool hangs;                 /* a thread was left behind: the process ends without meeting the libraries' ends */
    struct rg_errctx err;
};

/** From options to exit code: all of it. */
int rg_cli_run(struct rg_cli *cli);

/** An option's value, as given or as it is otherwise; NULL: neither. It must be the command's. */
const char *rg_opt(const struct rg_cli *cli, const char *name);
/** Whether a flag was given. */
bool rg_opt_flag(const struct rg_cli *cli, const char *name);
/** Of an option with a range; 0: not given. */
uint64_t rg_opt_number(const struct rg_cli *cli, const char *name);
/** A whole number in [min, max]. RG_EUSAGE, with the option's name */
RG_MUST enum rg_err rg_cli_number(struct rg_cli *cli, const char *option, const char *text, uint64_t min, uint64_t max,
                                  uint64_t *ret);
/** "?name=value" or "&name=value", percent-encoded (RFC 3986); value NULL: nothing. */
void rg_cli_query(struct rg_buf *path, const char *name, const char *value);

/** cli->cluster, from the cluster file of --cluster or REGENT_CLUSTER. RG_EUSAGE when neither is given. */
RG_MUST enum rg_err rg_cli_load(struct rg_cli *cli);
/** The answer as JSON, with --json; otherwise false: it is the caller's to print. */
bool rg_cli_json(const struct rg_cli *cli, const json_t *answer);
/* One object on a line of standard output, for a command that makes its answer itself:
 *     struct rg_json_writer *j = rg_cli_line_begin(&line);
 * … members … rg_cli_line_end(cli, &line). */
struct rg_cli_line {
    struct rg_buf out; /* own, until its end */
    struct rg_json_writer j;
};
struct rg_json_writer *rg_cli_line_begin(struct rg_cli_line *line);
/** Without memory for it: says so on standard error, and exit code 1. */
void rg_cli_line_end(struct rg_cli *cli, struct rg_cli_line *line);

/** Ask for a name on the terminal: RG_EUSAGE when it is not typed, or there is nobody to ask. question ends with a blank. */
RG_MUST enum rg_err rg_cli_confirm(struct rg_cli *cli, const char *name, const char *question, ...) RG_PRINTF(3, 4);

/* A progress line on a terminal's stderr; silent elsewhere and with --json. */
struct rg_progress {
    bool on;
    const char *what;
    uint64_t total, started_us, shown_us;
};
void rg_progress_begin(struct rg_progress *progress, const struct rg_cli *cli, const char *what, uint64_t total);
void rg_progress_show(struct rg_progress *progress, uint64_t done);
void rg_progress_end(struct rg_progress *progress, uint64_t done);

/** This very program with other arguments (NULL at the end), without input, its output to out_fd: for commands made of commands, which
 * print and exit by themselves. RG_EINTERNAL: it did not end with 0. */
RG_MUST enum rg_err rg_cli_self(const char *const *args, int out_fd, struct rg_errctx *ctx);

#endif
