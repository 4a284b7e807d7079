/* cmd/runbook/cmd_runbook.c: `regent runbook failover` and `regent runbook verify`. */
#include <unistd.h>

#include "cmd/runbook/runbook.h"
#include "crypto/privfile.h"

static enum rg_err check_options(struct rg_cli *cli, const struct rg_runbook_options *o)
{
    if (o->resume_path != NULL && (o->evidence_path != NULL || o->game_day))
        return rg_fail(&cli->err, RG_EUSAGE, "--resume goes with neither --evidence nor --game-day");
    if (cli->json && !o->yes)
        return rg_fail(&cli->err, RG_EUSAGE, "--json needs --yes: nobody is asked");
    if ((o->user == NULL) != (o->permset == NULL) || (o->user != NULL && o->account == NULL))
        return rg_fail(&cli->err, RG_EUSAGE, "--user and --permission-set go together, with --account");
    if (o->organisation != NULL && !o->game_day)
        return rg_fail(&cli->err, RG_EUSAGE, "--organisation is for --game-day");
    if (o->webhook != NULL && strncmp(o->webhook, "https://", 8) != 0 && strncmp(o->webhook, "http://", 7) != 0)
        return rg_fail(&cli->err, RG_EUSAGE, "--webhook: must begin with https:// or http://");
    return RG_OK;
}

static enum rg_err run(struct rg_cli *cli, const struct rg_runbook_options *options)
{
    struct rg_runbook *rb = calloc(1, sizeof *rb);
    enum rg_err err;

    if (rb == NULL)
        return RG_ENOMEM;
    if (cli->cluster_path == NULL)
        err = rg_fail(&cli->err, RG_EUSAGE, "--cluster is missing (or set REGENT_CLUSTER)");
    else
        err = rg_runbook_open(rb, cli, options, cli->cluster_path);
    if (!err)
        err = rg_runbook_run(rb);
    if (!err)
        err = rg_runbook_sign(rb);
    if (!err)
        rg_runbook_print(rb);
    rg_runbook_close(rb);
    cli->hangs = rb->hangs;
    free(rb);
    return err;
}

static enum rg_err failover(struct rg_cli *cli)
{
    struct rg_runbook_options o = {.to = rg_opt(cli, "to"),
                                   .by = rg_opt(cli, "by"),
                                   .reason = rg_opt(cli, "reason"),
                                   .account = rg_opt(cli, "account"),
                                   .user = rg_opt(cli, "user"),
                                   .permset = rg_opt(cli, "permission-set"),
                                   .template_path = rg_opt(cli, "template"),
                                   .webhook = rg_opt(cli, "webhook"),
                                   .evidence_path = rg_opt(cli, "evidence"),
                                   .resume_path = rg_opt(cli, "resume"),
                                   .sign_key = rg_opt(cli, "sign-key"),
                                   .organisation = rg_opt(cli, "organisation"),
                                   .accept_loss = rg_opt_flag(cli, "accept-loss"),
                                   .yes = rg_opt_flag(cli, "yes"),
                                   .game_day = rg_opt_flag(cli, "game-day")};
    enum rg_err err = check_options(cli, &o);

    if (err)
        return err;
    return o.game_day ? rg_gameday(cli, &o) : run(cli, &o);
}

static void print_report(const struct rg_cli *cli, const char *path, const struct rg_evidence_report *r, enum rg_err err)
{
    json_t *json;

    if (!cli->json) {
        if (!err)
            printf("%s: %llu lines, nothing was changed; signed %s by %s\n", path, (unsigned long long)r->lines, r->algorithm,
                   r->key);
        return;
    }
    json = json_pack("{s:s, s:b, s:I, s:b, s:s, s:s}", "file", path, "ok", err == RG_OK, "lines", (json_int_t)r->lines, "signed",
                     r->is_signed, "algorithm", r->algorithm, "key", r->key);
    json_object_set_new(json, "badLine", r->bad_line > 0 ? json_integer((json_int_t)r->bad_line) : json_null());
    if (err)
        json_object_set_new(json, "message", rg_runbook_string(rg_errctx_text(&cli->err, err)));
    rg_json_print(json, JSON_COMPACT);
    json_decref(json);
}

static enum rg_err verify(struct rg_cli *cli)
{
    const char *path = cli->arg[0];
    struct rg_evidence_key key = {.pem_path = rg_opt(cli, "public-key")};
    struct rg_evidence_report report = {.lines = 0};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    struct rg_errctx why = {.text = ""};
    enum rg_err err;

    rg_buf_init(&bytes, RG_EVIDENCE_BYTES_MAX);
    err = rg_privfile_read(path, "evidence", 0, &bytes, &cli->err);
    if (!err && key.pem_path == NULL && cli->cluster_path != NULL) {
        err = rg_cli_load(cli);
        key.secret = err ? NULL : cli->cluster->secret_access_key;
    }
    if (err)
        return err;
    err = rg_evidence_verify(rg_buf_span(&bytes), &key, &report, &why);
    if (err)
        rg_errctx_set(&cli->err, "%s: %.600s", path, rg_errctx_text(&why, err));
    print_report(cli, path, &report, err);
    if (err)
        fprintf(stderr, "regent runbook verify: %s\n", rg_errctx_text(&cli->err, err));
    cli->code = rg_err_exit(err); /* all is said: the report is the answer */
    return RG_OK;
}

static const struct rg_option failover_options[] = {
    {"to", "REGION", "region to promote"},
    {"by", "NAME", "who declares it"},
    {"reason", "TEXT", "why"},
    {"account", "A", "try a sign-in there in each region (as regent-probe, RegentProbe)"},
    {"user", "U", "… as this user"},
    {"permission-set", "P", "… with this permission set"},
    {"template", "FILE", "text of the notification; {{epoch}} {{from}} {{to}} {{by}} {{reason}} {{lost}} {{time}} {{url}}"},
    {"webhook", "URL", "POST the notification there as JSON"},
    {"evidence", "FILE", "record (regent-failover-TIME.jsonl)"},
    {"resume", "FILE", "go on with the run of this record"},
    {"sign-key", "PEM", "ECDSA P-256 key that signs the record (the cluster's admin secret)"},
    {"accept-loss", NULL, "with --yes: promote although writes may be lost; also against the plan's objection"},
    {"yes", NULL, "answer every question with yes"},
    {"game-day", NULL, "on a development cluster with the same regions, and its primary killed"},
    {"organisation", "FILE", "game day: load this instead of a copy of the cluster's"},
    {NULL}};
static const struct rg_option verify_options[] = {
    {"public-key", "PEM", "key that signed it (without: the cluster's admin secret)"}, {NULL}};

const struct rg_command rg_runbook_commands[] = {
    {"runbook failover", "--to REGION --by NAME --reason TEXT [OPTIONS]", "Declare a promotion step by step, with evidence",
     "Steps: declare, pause, validate, promote, verify, notify, resume; each is shown and asked for. A run that stopped goes on\n"
     "with --resume FILE. docs/failover.md says what everything means.\n"
     "Example: regent runbook failover --game-day --to eu-central-1 --by ada --reason exercise --yes\n", failover_options,
     .run = failover},
    {"runbook verify", "FILE [--public-key PEM]", "Whether a runbook's evidence is as it was written",
     "Exit code 0: nothing was changed; 1: the first bad line is named, or it is not signed yet.\n", verify_options, 1, 1,
     .run = verify},
    {NULL}};
