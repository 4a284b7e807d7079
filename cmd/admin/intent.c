/* cmd/admin/intent.c: writes that wait while no primary can be reached: ask for one, look at them, approve, drop. */
#include <jansson.h>

#include "cmd/cli/cli.h"
#include "cmd/cli/client.h"

#define STORE "AWSIdentityStore."
#define SSO "SWBExternalService."

enum { ASK_MS_MAX = 5000, BODY_BYTES_MAX = 64 * 1024 };

/* ---- one region's interfaces ---- */

struct region {
    struct rg_cli *cli;
    struct rg_cluster *cluster; /* own */
    struct rg_client *client;   /* own */
    const char *name;
};

static void region_deinit(struct region *r)
{
    rg_client_free(r->client);
    free(r->cluster);
}
#define AUTO_REGION __attribute__((cleanup(region_deinit)))

static void region_dialled(struct region *r, const struct rg_cluster_region *region, struct rg_client *client)
{
    rg_client_free(r->client);
    r->client = client;
    r->name = region->name;
    rg_client_timeout(client, ASK_MS_MAX);
}

static enum rg_err region_open(struct region *r, struct rg_cli *cli, const char *name)
{
    struct rg_cluster_region *region;
    struct rg_client *client = NULL;
    enum rg_err err;

    r->cli = cli;
    err = rg_cluster_load(cli, &r->cluster);
    if (err)
        return err;
    if (name == NULL)
        return rg_fail(&cli->err, RG_EUSAGE, "--region: name the region that is to keep the intent");
    err = rg_cluster_region(r->cluster, name, &region, &cli->err);
    if (!err)
        err = rg_client_region(r->cluster, region, &client, &cli->err);
    if (err)
        return err;
    region_dialled(r, region, client);
    return rg_client_header(client, "Regent-Intent: queue");
}

/* An AWS operation; body: consume, the instance or store is added. */
static enum rg_err call(struct region *r, const char *operation, json_t *body, json_t **ret_json)
{
    RG_AUTO_MEM char *bytes = NULL;
    bool store = strncmp(operation, STORE, sizeof STORE - 1) == 0;
    int rc = body == NULL ? -1
                          : json_object_set_new(body, store ? "IdentityStoreId" : "InstanceArn",
                                                json_string(store ? r->cluster->identity_store_id : r->cluster->instance_arn));

    bytes = rc == 0 ? json_dumps(body, JSON_COMPACT) : NULL;
    json_decref(body);
    if (bytes == NULL)
        return rg_fail(&r->cli->err, RG_EINVALID, "the arguments must be UTF-8");
    return rg_client_json(r->client, "POST", "/", operation, rg_span_str(bytes), ret_json, &r->cli->err);
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

    snprintf(ret_id, 13, "%.12s", name);
    while (!err && !found) {
        json_t *list = NULL, *account;
        size_t i;

        snprintf(path, sizeof path, "/v1/accounts%s%.12s", after[0] != '\0' ? "?after=" : "", after);
        err = rg_client_json(r->client, "GET", path, NULL, rg_span(NULL, 0), &list, &r->cli->err);
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

static int answer_asked(struct region *r, enum rg_err err, json_t *answer)
{
    if (err)
        return rg_cli_fail(r->cli, err);
    if (r->cli->json)
        rg_json_print(answer, JSON_COMPACT);
    else if (rg_json_cstr(answer, "intentId")[0] != '\0')
        printf("%s: %s in %s: %s\n", rg_json_cstr(answer, "intentId"), rg_json_cstr(answer, "status"), r->name,
               rg_json_cstr(answer, "message"));
    else
        printf("done: %s is the primary, the write is in effect\n", r->name);
    json_decref(answer);
    return 0;
}

int rg_cmd_intent_disable_user(struct rg_cli *cli)
{
    const char *region = NULL, *user;
    const struct rg_option options[] = {{"region", "R", "the region that keeps it", &region, NULL}};
    char id[RG_UUID_TEXT_MAX];
    AUTO_REGION struct region r = {NULL};
    json_t *answer = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &user, 1, 1, NULL, &code))
        return code;
    err = region_open(&r, cli, region);
    if (!err)
        err = principal_id(&r, false, user, id);
    if (!err)
        err = call(&r, STORE "UpdateUser",
                   json_pack("{s:s, s:[{s:s, s:s}]}", "UserId", id, "Operations", "AttributePath", "userStatus",
                             "AttributeValue", "DISABLED"),
                   &answer);
    return answer_asked(&r, err, answer);
}

int rg_cmd_intent_remove_member(struct rg_cli *cli)
{
    const char *region = NULL, *args[2];
    const struct rg_option options[] = {{"region", "R", "the region that keeps it", &region, NULL}};
    char group[RG_UUID_TEXT_MAX], user[RG_UUID_TEXT_MAX];
    AUTO_REGION struct region r = {NULL};
    json_t *answer = NULL, *found = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), args, 2, 2, NULL, &code))
        return code;
    err = region_open(&r, cli, region);
    if (!err)
        err = principal_id(&r, true, args[0], group);
    if (!err)
        err = principal_id(&r, false, args[1], user);
    if (!err)
        err = call(&r, STORE "GetGroupMembershipId", json_pack("{s:s, s:{s:s}}", "GroupId", group, "MemberId", "UserId", user),
                   &found);
    if (!err)
        err = call(&r, STORE "DeleteGroupMembership", json_pack("{s:s}", "MembershipId", rg_json_cstr(found, "MembershipId")), &answer);
    json_decref(found);
    return answer_asked(&r, err, answer);
}

static enum rg_err revoke(struct region *r, const char *const args[3], const char *type, json_t **ret_answer)
{
    char account[13], set[1300], principal[RG_UUID_TEXT_MAX];
    enum rg_err err = find_account(r, args[0], account);

    if (!err)
        err = find_set(r, args[1], set, sizeof set);
    if (!err)
        err = find_principal(r, args[2], type, principal, &type);
    if (err)
        return err;
    return call(r, SSO "DeleteAccountAssignment",
                json_pack("{s:s, s:s, s:s, s:s, s:s}", "TargetId", account, "TargetType", "AWS_ACCOUNT", "PermissionSetArn", set,
                          "PrincipalType", type, "PrincipalId", principal),
                ret_answer);
}

int rg_cmd_intent_revoke(struct rg_cli *cli)
{
    const char *region = NULL, *type = NULL, *args[3];
    const struct rg_option options[] = {{"region", "R", "the region that keeps it", &region, NULL},
                                        {"type", "TYPE", "what PRINCIPAL is: USER or GROUP", &type, NULL}};
    AUTO_REGION struct region r = {NULL};
    json_t *answer = NULL;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), args, 3, 3, NULL, &code))
        return code;
    if (type != NULL && strcmp(type, "USER") != 0 && strcmp(type, "GROUP") != 0)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EUSAGE, "--type: must be USER or GROUP"));
    err = region_open(&r, cli, region);
    if (!err)
        err = revoke(&r, args, type, &answer);
    return answer_asked(&r, err, answer);
}

/* ---- looking ---- */

static void print_row(const json_t *intent)
{
    const json_t *command = json_object_get(intent, "command");
    const char *status = rg_json_cstr(intent, "status");

    printf("%-36s  %-16s %-10s %-8s %-24s %-18s %-20s %s\n", rg_json_cstr(intent, "id"), rg_json_cstr(intent, "region"), status,
           json_is_true(json_object_get(intent, "auto"))               ? "auto"
           : json_is_true(json_object_get(intent, "waitsForApproval")) ? "waits"
           : rg_json_cstr(intent, "approvedBy")[0] != '\0'                  ? "approved"
                                                                       : "-",
           rg_json_cstr(command, "at"), rg_json_cstr(command, "kind"), rg_json_cstr(command, "by"),
           rg_json_cstr(intent, "revision")[0] != '\0' && rg_json_cstr(intent, "code")[0] == '\0' ? rg_json_cstr(intent, "revision")
                                                                                        : rg_json_cstr(intent, "text"));
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
        err = rg_client_json(r->client, "GET", path, NULL, rg_span(NULL, 0), &page, &r->cli->err);
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
static enum rg_err walk_next(struct region *r, const char *only, struct walk *w)
{
    for (; w->region < r->cluster->n_regions; w->region++, w->node = 0) {
        const struct rg_cluster_region *region = &r->cluster->regions[w->region];
        struct rg_client *client = NULL;
        enum rg_err err;

        if ((only != NULL && strcmp(region->name, only) != 0) || w->node >= RG_MAX(region->n_nodes, (size_t)1))
            continue;
        err = rg_client_new(r->cluster, region->n_nodes > 0 ? region->nodes[w->node].url : region->url, &client, &r->cli->err);
        w->node++;
        if (!err)
            region_dialled(r, region, client);
        return err == RG_ENOTFOUND ? RG_EINTERNAL : err;
    }
    return RG_ENOTFOUND;
}

/* Of every node that answers. */
static enum rg_err list_all(struct region *r, const char *only, const char *status, json_t *all)
{
    struct walk walk = {0};
    size_t heard = 0;
    enum rg_err err, silent = RG_OK;

    while ((err = walk_next(r, only, &walk)) == RG_OK) {
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
    return heard > 0 ? RG_OK : rg_fail(&r->cli->err, silent, "%s answers", only != NULL ? "no node of the region" : "no region");
}

int rg_cmd_intent_list(struct rg_cli *cli)
{
    const char *region = NULL, *status = NULL;
    const struct rg_option options[] = {{"region", "R", "only this region's (all regions that answer)", &region, NULL},
                                        {"status", "S", "QUEUED, PRESENTING, APPLIED, REFUSED or DROPPED", &status, NULL}};
    AUTO_REGION struct region r = {.cli = cli};
    struct rg_cluster_region *known;
    json_t *all = json_array(), *intent;
    size_t i;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code)) {
        json_decref(all);
        return code;
    }
    err = status != NULL && strspn(status, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != strlen(status)
              ? rg_fail(&cli->err, RG_EUSAGE, "--status: must be QUEUED, PRESENTING, APPLIED, REFUSED or DROPPED")
              : rg_cluster_load(cli, &r.cluster);
    if (!err && region != NULL)
        err = rg_cluster_region(r.cluster, region, &known, &cli->err);
    if (!err)
        err = list_all(&r, region, status, all);
    if (err) {
        json_decref(all);
        return rg_cli_fail(cli, err);
    }
    if (cli->json) {
        rg_json_print(all, JSON_COMPACT);
    } else {
        printf("%-36s  %-16s %-10s %-8s %-24s %-18s %-20s %s\n", "ID", "REGION", "STATUS", "HOW", "ASKED", "KIND", "BY", "OUTCOME");
        json_array_foreach(all, i, intent)
            print_row(intent);
    }
    json_decref(all);
    return fflush(stdout) == 0 ? 0 : 1;
}

/* Ask one after the other until one has the intent. */
static enum rg_err find_intent(struct region *r, const char *only, const char *id, json_t **ret_intent)
{
    struct rg_errctx why = {.text = ""};
    enum rg_err err, silent = RG_OK;
    struct walk walk = {0};
    char path[96];

    snprintf(path, sizeof path, "/v1/intents/%.60s", id);
    while ((err = walk_next(r, only, &walk)) == RG_OK) {
        err = rg_client_json(r->client, "GET", path, NULL, rg_span(NULL, 0), ret_intent, &r->cli->err);
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
    return rg_fail(&r->cli->err, err, "%s has no intent %.60s", only != NULL ? only : "no region", id);
}

/* verb: NULL looks only. */
static int one(struct rg_cli *cli, const char *verb)
{
    const char *region = NULL, *id;
    const struct rg_option options[] = {{"region", "R", "the region that took it (whichever has it)", &region, NULL}};
    AUTO_REGION struct region r = {.cli = cli};
    struct rg_cluster_region *known;
    json_t *intent = NULL, *after = NULL;
    char path[128];
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), &id, 1, 1, NULL, &code))
        return code;
    err = is_id(id) ? rg_cluster_load(cli, &r.cluster) : rg_fail(&cli->err, RG_EUSAGE, "%s is not an intent's id", id);
    if (!err && region != NULL)
        err = rg_cluster_region(r.cluster, region, &known, &cli->err);
    if (!err)
        err = find_intent(&r, region, id, &intent);
    if (!err && verb != NULL) {
        snprintf(path, sizeof path, "/v1/intents/%.60s/%s", id, verb);
        err = rg_client_json(r.client, "POST", path, NULL, rg_span_str("{}"), &after, &cli->err);
    }
    if (err) {
        json_decref(intent);
        return rg_cli_fail(cli, err);
    }
    if (cli->json || verb == NULL)
        rg_json_print(verb != NULL ? after : intent, cli->json ? JSON_COMPACT : JSON_INDENT(2));
    else
        printf("%s: %s in %s\n", id, strcmp(verb, "approve") == 0 ? "approved" : "dropped", r.name);
    json_decref(intent);
    json_decref(after);
    return 0;
}

int rg_cmd_intent_show(struct rg_cli *cli) { return one(cli, NULL); }
int rg_cmd_intent_approve(struct rg_cli *cli) { return one(cli, "approve"); }
int rg_cmd_intent_drop(struct rg_cli *cli) { return one(cli, "drop"); }
