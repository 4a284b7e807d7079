/* cmd/admin/intent.c: writes that wait while no primary can be reached: ask for one, look at them, approve, drop. */
#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"

#define STORE "AWSIdentityStore."
#define SSO "SWBExternalService."

enum { ASK_MS_MAX = 5000 };

/* ---- one region's interfaces ---- */

/* The region that cli->client is of now. */
struct region {
    struct rg_cli *cli;
    const char *name;
};

static void region_dialled(struct region *r, const struct rg_cluster_region *region, struct rg_client *client)
{
    rg_client_free(r->cli->client);
    r->cli->client = client;
    r->name = region->name;
    rg_client_timeout(client, ASK_MS_MAX);
}

/* That of --region, which is to keep an intent. */
static enum rg_err region_open(struct region *r)
{
    struct rg_cli *cli = r->cli;
    struct rg_client *client = NULL;
    enum rg_err err;

    if (cli->region == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--region: name the region that is to keep the intent");
    err = rg_client_region(cli->cluster, cli->region, &client, &cli->err);
    if (err)
        return err;
    region_dialled(r, cli->region, client);
    return rg_client_header(client, "Regent-Intent: queue");
}

/* An AWS operation; body: consume, the instance or store is added. */
static enum rg_err call(struct region *r, const char *operation, json_t *body, json_t **ret_json)
{
    struct rg_cli *cli = r->cli;
    bool store = strncmp(operation, STORE, sizeof STORE - 1) == 0;

    if (body == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "the arguments must be UTF-8");
    json_object_set_new(body, store ? "IdentityStoreId" : "InstanceArn",
                        json_string(store ? cli->cluster->identity_store_id : cli->cluster->instance_arn));
    return rg_client_send(cli->client, "POST", "/", operation, body, ret_json, &cli->err);
}

/* ---- names to ids ---- */

static bool is_id(const char *s)
{
    struct rg_uuid id;

    return rg_uuid_parse(rg_span_str(s), &id);
}

/* A user's or a group's id by its name; an id stays what it is. */
static enum rg_err principal_id(struct region *r, bool group, const char *name, char ret_id[RG_UUID_TEXT_MAX])
{
    json_t *answer = NULL;
    enum rg_err err;

    if (is_id(name)) {
        snprintf(ret_id, RG_UUID_TEXT_MAX, "%s", name);
        return RG_OK;
    }
    err = call(r, group ? STORE "GetGroupId" : STORE "GetUserId",
               json_pack("{s:{s:{s:s, s:s}}}", "AlternateIdentifier", "UniqueAttribute", "AttributePath",
                         group ? "displayName" : "userName", "AttributeValue", name),
               &answer);
    if (!err)
        snprintf(ret_id, RG_UUID_TEXT_MAX, "%s", rg_json_cstr(answer, group ? "GroupId" : "UserId"));
    json_decref(answer);
    return err == RG_ENOTFOUND ? rg_fail(&r->cli->err, err, "%s knows no %s \"%s\"", r->name, group ? "group" : "user", name) : err;
}

/* Whichever has the name; type: "USER", "GROUP" or NULL. */
static enum rg_err find_principal(struct region *r, const char *name, const char *type, char ret_id[RG_UUID_TEXT_MAX],
                                  const char **ret_type)
{
    char other[RG_UUID_TEXT_MAX];
    enum rg_err user, group;

    if (type != NULL) {
        *ret_type = type;
        return principal_id(r, strcmp(type, "GROUP") == 0, name, ret_id);
    }
    if (is_id(name))
        return rg_fail(&r->cli->err, RG_EUSAGE, "--type: say whether %s is a USER or a GROUP", name);
    user = principal_id(r, false, name, ret_id);
    if (user != RG_OK && user != RG_ENOTFOUND)
        return user;
    group = principal_id(r, true, name, user == RG_OK ? other : ret_id);
    if (group == RG_ENOTFOUND && user == RG_ENOTFOUND)
        return rg_fail(&r->cli->err, group, "%s knows no user and no group \"%s\"", r->name, name);
    if (group == RG_OK && user == RG_OK)
        return rg_fail(&r->cli->err, RG_EUSAGE, "--type: both a user and a group are called \"%s\": say USER or GROUP", name);
    *ret_type = user == RG_OK ? "USER" : "GROUP";
    return user == RG_OK && group == RG_ENOTFOUND ? RG_OK : group;
}

/* Whether the set of this ARN has the name. */
static enum rg_err set_is(struct region *r, const char *arn, const char *name, bool *ret_is)
{
    json_t *answer = NULL;
    enum rg_err err = call(r, SSO "DescribePermissionSet", json_pack("{s:s}", "PermissionSetArn", arn), &answer);

    *ret_is = !err && strcmp(rg_json_cstr(json_object_get(answer, "PermissionSet"), "Name"), name) == 0;
    json_decref(answer);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static enum rg_err find_set(struct region *r, const char *name, char *ret_arn, size_t size)
{
    char token[2100] = "";
    bool found = false;
    enum rg_err err;

    if (strncmp(name, "arn:", 4) == 0) {
        snprintf(ret_arn, size, "%s", name);
        return RG_OK;
    }
    do {
        json_t *list = NULL, *arn, *body = json_object();
        size_t i;

        if (token[0] != '\0')
            json_object_set_new(body, "NextToken", json_string(token));
        err = call(r, SSO "ListPermissionSets", body, &list);
        json_array_foreach(json_object_get(list, "PermissionSets"), i, arn) {
            if (err || found)
                break;
            snprintf(ret_arn, size, "%s", json_string_value(arn));
            err = set_is(r, ret_arn, name, &found);
        }
        snprintf(token, sizeof token, "%s", rg_json_cstr(list, "NextToken"));
        json_decref(list);
    } while (!err && !found && token[0] != '\0');
    return err || found ? err : rg_fail(&r->cli->err, RG_ENOTFOUND, "%s knows no permission set \"%s\"", r->name, name);
}

static bool is_account(const char *s) { return strspn(s, "0123456789") == 12 && strlen(s) == 12; }

static enum rg_err find_account(struct region *r, const char *name, char ret_id[13])
{
    char path[64], after[16] = "";
    bool found = is_account(name);
    enum rg_err err = RG_OK;

    if (found)
        memcpy(ret_id, name, 13);
    while (!err && !found) {
        json_t *list = NULL, *account;
        size_t i;

        snprintf(path, sizeof path, "/v1/accounts%s%.12s", after[0] != '\0' ? "?after=" : "", after);
        err = rg_client_get(r->cli->client, path, &list, &r->cli->err);
        json_array_foreach(json_object_get(list, "accounts"), i, account) {
            if (found || strcmp(rg_json_cstr(account, "name"), name) != 0)
                continue;
            found = true;
            snprintf(ret_id, 13, "%s", rg_json_cstr(account, "id"));
        }
        snprintf(after, sizeof after, "%s", rg_json_cstr(list, "next"));
        json_decref(list);
        if (after[0] == '\0')
            break;
    }
    return err || found ? err : rg_fail(&r->cli->err, RG_ENOTFOUND, "%s knows no account \"%s\"", r->name, name);
}

/* ---- asking for one ---- */

/* Ask for it, and say what became of it; body: consume. */
static enum rg_err ask_for(struct region *r, const char *operation, json_t *body)
{
    json_t *answer = NULL;
    enum rg_err err = call(r, operation, body, &answer);

    if (err)
        return err;
    if (rg_cli_json(r->cli, answer))
        ;
    else if (rg_json_cstr(answer, "intentId")[0] != '\0')
        printf("%s: %s in %s: %s\n", rg_json_cstr(answer, "intentId"), rg_json_cstr(answer, "status"), r->name,
               rg_json_cstr(answer, "message"));
    else
        printf("done: %s is the primary, the write is in effect\n", r->name);
    json_decref(answer);
    return RG_OK;
}

static enum rg_err disable_user(struct rg_cli *cli)
{
    char id[RG_UUID_TEXT_MAX];
    struct region r = {cli};
    enum rg_err err = region_open(&r);

    if (!err)
        err = principal_id(&r, false, cli->arg[0], id);
    if (err)
        return err;
    return ask_for(&r, STORE "UpdateUser",
                   json_pack("{s:s, s:[{s:s, s:s}]}", "UserId", id, "Operations", "AttributePath", "userStatus", "AttributeValue",
                             "DISABLED"));
}

static enum rg_err remove_member(struct rg_cli *cli)
{
    char group[RG_UUID_TEXT_MAX], user[RG_UUID_TEXT_MAX];
    struct region r = {cli};
    json_t *found = NULL;
    enum rg_err err = region_open(&r);

    if (!err)
        err = principal_id(&r, true, cli->arg[0], group);
    if (!err)
        err = principal_id(&r, false, cli->arg[1], user);
    if (!err)
        err = call(&r, STORE "GetGroupMembershipId", json_pack("{s:s, s:{s:s}}", "GroupId", group, "MemberId", "UserId", user),
                   &found);
    if (!err)
        err = ask_for(&r, STORE "DeleteGroupMembership", json_pack("{s:s}", "MembershipId", rg_json_cstr(found, "MembershipId")));
    json_decref(found);
    return err;
}

static enum rg_err check_revoke(struct rg_cli *cli)
{
    const char *type = rg_opt(cli, "type");

    if (type != NULL && strcmp(type, "USER") != 0 && strcmp(type, "GROUP") != 0)
        return rg_fail(&cli->err, RG_EUSAGE, "--type: must be USER or GROUP");
    return RG_OK;
}

static enum rg_err revoke(struct rg_cli *cli)
{
    char account[13], set[1300], principal[RG_UUID_TEXT_MAX];
    const char *type = rg_opt(cli, "type");
    struct region r = {cli};
    enum rg_err err = region_open(&r);

    if (!err)
        err = find_account(&r, cli->arg[0], account);
    if (!err)
        err = find_set(&r, cli->arg[1], set, sizeof set);
    if (!err)
        err = find_principal(&r, cli->arg[2], type, principal, &type);
    if (err)
        return err;
    return ask_for(&r, SSO "DeleteAccountAssignment",
                   json_pack("{s:s, s:s, s:s, s:s, s:s}", "TargetId", account, "TargetType", "AWS_ACCOUNT", "PermissionSetArn", set,
                             "PrincipalType", type, "PrincipalId", principal));
}

/* ---- looking ---- */

static bool how_cell(const json_t *intent, char out[RG_CELL_BYTES_MAX])
{
    snprintf(out, RG_CELL_BYTES_MAX, "%s",
             rg_json_flag(intent, "auto")                      ? "auto"
             : rg_json_flag(intent, "waitsForApproval")        ? "waits"
             : rg_json_cstr(intent, "approvedBy")[0] != '\0' ? "approved"
                                                          : "-");
    return true;
}

static bool outcome_cell(const json_t *intent, char out[RG_CELL_BYTES_MAX])
{
    bool applied = rg_json_cstr(intent, "revision")[0] != '\0' && rg_json_cstr(intent, "code")[0] == '\0';

    snprintf(out, RG_CELL_BYTES_MAX, "%s", rg_json_cstr(intent, applied ? "revision" : "text"));
    return true;
}

/* All pages of one region, appended to all. */
static enum rg_err list_region(struct region *r, const char *status, json_t *all)
{
    char path[128], after[24] = "";
    enum rg_err err;

    do {
        json_t *page = NULL;

        snprintf(path, sizeof path, "/v1/intents?after=%s%s%s", after[0] != '\0' ? after : "0", status != NULL ? "&status=" : "",
                 status != NULL ? status : "");
        err = rg_client_get(r->cli->client, path, &page, &r->cli->err);
        if (!err && json_array_extend(all, json_object_get(page, "intents")) != 0)
            err = rg_fail(&r->cli->err, RG_EMALFORMED, "%s: the answer has no intents", r->name);
        snprintf(after, sizeof after, "%s", rg_json_cstr(page, "next"));
        json_decref(page);
    } while (!err && after[0] != '\0');
    return err;
}

/* One node after the other, of all regions or of the one named: an intent is only where it was taken. Zeroed: the first. */
struct walk {
    size_t region, node;
};

/* RG_ENOTFOUND: that was all. */
static enum rg_err walk_next(struct region *r, struct walk *w)
{
    const struct rg_cluster *c = r->cli->cluster;

    for (; w->region < c->n_regions; w->region++, w->node = 0) {
        const struct rg_cluster_region *region = &c->regions[w->region];
        struct rg_client *client = NULL;
        enum rg_err err;

        if ((r->cli->region != NULL && r->cli->region != region) || w->node >= rg_cluster_n_urls(region))
            continue;
        err = rg_client_new(c, rg_cluster_url(region, w->node), &client, &r->cli->err);
        w->node++;
        if (!err)
            region_dialled(r, region, client);
        return err == RG_ENOTFOUND ? RG_EINTERNAL : err;
    }
    return RG_ENOTFOUND;
}

/* Of every node that answers. */
static enum rg_err list_all(struct region *r, const char *status, json_t *all)
{
    struct walk walk = {0};
    size_t heard = 0;
    enum rg_err err, silent = RG_OK;

    while ((err = walk_next(r, &walk)) == RG_OK) {
        err = list_region(r, status, all);
        if (err && rg_err_exit(err) != rg_err_exit(RG_EUNREACHABLE))
            return err;
        heard += !err;
        if (err) {
            fprintf(stderr, "%s: %s\n", r->name, rg_errctx_text(&r->cli->err, err));
            silent = err;
        }
    }
    if (err != RG_ENOTFOUND)
        return err;
    return heard > 0 ? RG_OK : rg_fail(&r->cli->err, silent, "%s answers", r->cli->region != NULL ? "no node of the region" : "no region");
}

static enum rg_err check_list(struct rg_cli *cli)
{
    const char *status = rg_opt(cli, "status");

    if (status != NULL && strspn(status, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(status))
        return rg_fail(&cli->err, RG_EUSAGE, "--status: must be QUEUED, PRESENTING, APPLIED, REFUSED or DROPPED");
    return RG_OK;
}

static enum rg_err list(struct rg_cli *cli)
{
    static const struct rg_column columns[] = {{"ID", 37, "id"},
                                               {"REGION", 16, "region"},
                                               {"STATUS", 10, "status"},
                                               {"HOW", 8, .cell = how_cell},
                                               {"ASKED", 24, "command.at"},
                                               {"KIND", 18, "command.kind"},
                                               {"BY", 20, "command.by"},
                                               {"OUTCOME", 0, .cell = outcome_cell},
                                               {NULL}};
    struct region r = {cli};
    json_t *all = json_array();
    enum rg_err err = list_all(&r, rg_opt(cli, "status"), all);

    if (!err && !rg_cli_json(cli, all))
        rg_table_print(stdout, columns, all);
    json_decref(all);
    return err;
}

/* Ask one after the other until one has the intent. */
static enum rg_err find_intent(struct region *r, const char *id, json_t **ret_intent)
{
    struct rg_errctx why = {.text = ""};
    enum rg_err err, silent = RG_OK;
    struct walk walk = {0};
    char path[96];

    snprintf(path, sizeof path, "/v1/intents/%.60s", id);
    while ((err = walk_next(r, &walk)) == RG_OK) {
        err = rg_client_get(r->cli->client, path, ret_intent, &r->cli->err);
        if (err == RG_OK)
            return RG_OK;
        if (err != RG_ENOTFOUND) { /* another may have it */
            silent = err;
            why = r->cli->err;
        }
    }
    if (err != RG_ENOTFOUND)
        return err;
    if (silent)
        return rg_fail(&r->cli->err, silent, "nobody who answers has intent %.60s; another: %.600s", id, why.text);
    return rg_fail(&r->cli->err, err, "%s has no intent %.60s", r->cli->region != NULL ? r->cli->region->name : "no region", id);
}

static enum rg_err check_id(struct rg_cli *cli)
{
    return is_id(cli->arg[0]) ? RG_OK : rg_fail(&cli->err, RG_EUSAGE, "%s is not an intent's id", cli->arg[0]);
}

/* verb: NULL looks only. */
static enum rg_err one(struct rg_cli *cli, const char *verb, const char *done)
{
    const char *id = cli->arg[0];
    struct region r = {cli};
    json_t *intent = NULL, *after = NULL;
    char path[128];
    enum rg_err err = find_intent(&r, id, &intent);

    if (!err && verb != NULL) {
        snprintf(path, sizeof path, "/v1/intents/%.60s/%s", id, verb);
        err = rg_client_send(cli->client, "POST", path, NULL, json_object(), &after, &cli->err);
    }
    if (!err && !rg_cli_json(cli, verb != NULL ? after : intent)) {
        if (verb == NULL)
            rg_json_print(intent, JSON_INDENT(2));
        else
            printf("%s: %s in %s\n", id, done, r.name);
    }
    json_decref(intent);
    json_decref(after);
    return err;
}

static enum rg_err show(struct rg_cli *cli) { return one(cli, NULL, NULL); }
static enum rg_err approve(struct rg_cli *cli) { return one(cli, "approve", "approved"); }
static enum rg_err drop(struct rg_cli *cli) { return one(cli, "drop", "dropped"); }

static const struct rg_option keep_options[] = {{"region", "R", "the region that keeps it"}, {NULL}};
static const struct rg_option revoke_options[] = {{"region", "R", "the region that keeps it"},
                                                  {"type", "TYPE", "what PRINCIPAL is: USER or GROUP"},
                                                  {NULL}};
static const struct rg_option list_options[] = {{"region", "R", "only this region's (all regions that answer)"},
                                                {"status", "S", "QUEUED, PRESENTING, APPLIED, REFUSED or DROPPED"},
                                                {NULL}};
static const struct rg_option one_options[] = {{"region", "R", "the region that took it (whichever has it)"}, {NULL}};

const struct rg_command rg_intent_commands[] = {
    {"intent disable-user", "USER --region R", "While no primary can be reached: disable a user as soon as there is one",
     "Kept by region R, not in effect until then, applied by itself. Where the write can be made at once, it is made or refused.\n"
     "Example: regent intent disable-user alice --region eu-central-1\n",
     keep_options, 1, 1, RG_WHO_CLUSTER, .run = disable_user},
    {"intent remove-member", "GROUP USER --region R",
     "While no primary can be reached: take a user out of a group as soon as there is one", NULL, keep_options, 2, 2, RG_WHO_CLUSTER,
     .run = remove_member},
    {"intent revoke", "ACCOUNT PERMISSION-SET PRINCIPAL --region R [--type USER|GROUP]",
     "While no primary can be reached: delete an assignment as soon as there is one",
     "Names or ids. Example: regent intent revoke prod Admin contractors --region eu-central-1\n",
     revoke_options, 3, 3, RG_WHO_CLUSTER, .check = check_revoke, .run = revoke},
    {"intent list", "[--region R] [--status S]", "Writes that wait for a primary, and what became of them", NULL, list_options,
     .who = RG_WHO_CLUSTER, .check = check_list, .run = list},
    {"intent show", "ID [--region R]", "One intent, with its whole command", NULL, one_options, 1, 1, RG_WHO_CLUSTER,
     .check = check_id, .run = show},
    {"intent approve", "ID [--region R]", "Let an intent that does more than take access away be presented to the primary", NULL,
     one_options, 1, 1, RG_WHO_CLUSTER, .check = check_id, .run = approve},
    {"intent drop", "ID [--region R]", "Drop an intent that still waits", NULL, one_options, 1, 1, RG_WHO_CLUSTER,
     .check = check_id, .run = drop},
    {NULL}};
