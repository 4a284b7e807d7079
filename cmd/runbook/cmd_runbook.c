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

static int run(struct rg_cli *cli, const struct rg_runbook_options *options)
{
    struct rg_runbook *rb = calloc(1, sizeof *rb);
    enum rg_err err = RG_ENOMEM;
    bool hangs = false;
    int code;

    if (rb != NULL && cli->cluster_path == NULL)
        err = rg_fail(&cli->err, RG_EUSAGE, "--cluster is missing (or set REGENT_CLUSTER)");
    else if (rb != NULL)
        err = rg_runbook_open(rb, cli, options, cli->cluster_path);
    if (!err)
        err = rg_runbook_run(rb);
    if (!err)
        err = rg_runbook_sign(rb);
    if (!err)
        rg_runbook_print(rb);
    code = err ? rg_cli_fail(cli, err) : 0;
    if (rb != NULL) {
        rg_runbook_close(rb);
        hangs = rb->hangs;
        free(rb);
    }
    if (hangs) {
        fflush(NULL);
        _exit(code);
    }
    return code;
}

int rg_cmd_runbook_failover(struct rg_cli *cli)
{
    struct rg_runbook_options o = {.to = NULL};
    const struct rg_option options[] = {
        {"to", "REGION", "region to promote", &o.to, NULL},
        {"by", "NAME", "who declares it", &o.by, NULL},
        {"reason", "TEXT", "why", &o.reason, NULL},
        {"account", "A", "try a sign-in there in each region (as regent-probe, RegentProbe)", &o.account, NULL},
        {"user", "U", "… as this user", &o.user, NULL},
        {"permission-set", "P", "… with this permission set", &o.permset, NULL},
        {"template", "FILE",
         "text of the notification; {{epoch}} {{from}} {{to}} {{by}} {{reason}} {{lost}} {{time}} {{url}}",
         &o.template_path, NULL},
        {"webhook", "URL", "POST the notification there as JSON", &o.webhook, NULL},
        {"evidence", "FILE", "record (regent-failover-TIME.jsonl)", &o.evidence_path, NULL},
        {"resume", "FILE", "go on with the run of this record", &o.resume_path, NULL},
        {"sign-key", "PEM", "ECDSA P-256 key that signs the record (the cluster's admin secret)", &o.sign_key, NULL},
        {"accept-loss", NULL, "with --yes: promote although writes may be lost; also against the plan's objection",
         NULL, &o.accept_loss},
        {"yes", NULL, "answer every question with yes", NULL, &o.yes},
        {"game-day", NULL, "on a development cluster with the same regions, and its primary killed", NULL, &o.game_day},
        {"organisation", "FILE", "game day: load this instead of a copy of the cluster's", &o.organisation, NULL}};
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    err = check_options(cli, &o);
    if (err)
        return rg_cli_fail(cli, err);
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
    json_dumpf(json, stdout, JSON_COMPACT);
    printf("\n");
    json_decref(json);
}

int rg_cmd_runbook_verify(struct rg_cli *cli)
{
    struct rg_evidence_key key = {.pem_path = NULL};
    const struct rg_option options[] = {
        {"public-key", "PEM", "key that signed it (without: the cluster's admin secret)", &key.pem_path, NULL}};
    struct rg_evidence_report report = {.lines = 0};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    struct rg_errctx why = {.text = ""};
    const char *path;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &path, 1, 1, NULL, &code))
        return code;
    rg_buf_init(&bytes, RG_EVIDENCE_BYTES_MAX);
    err = rg_privfile_read(path, "evidence", 0, &bytes, &cli->err);
    if (!err && key.pem_path == NULL && cli->cluster_path != NULL) {
        err = rg_cluster_load(cli, &c);
        key.secret = err ? NULL : c->secret_access_key;
    }
    if (err)
        return rg_cli_fail(cli, err);
    err = rg_evidence_verify(rg_buf_span(&bytes), &key, &report, &why);
    if (err)
        rg_fail(&cli->err, err, "%s: %.600s", path, rg_errctx_text(&why, err));
    print_report(cli, path, &report, err);
    if (err)
        fprintf(stderr, "regent runbook verify: %s\n", rg_errctx_text(&cli->err, err));
    return rg_err_exit(err);
}
