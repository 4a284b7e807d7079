/* cmd/admin/access.c: effective access, as a region computes it. */
#include "cmd/admin/admin.h"
#include "cmd/cli/client.h"

static void list_query(const struct rg_cli *cli, struct rg_buf *path)
{
    rg_cli_query(path, "format", cli->json ? "json" : "tsv");
    rg_cli_query(path, "user", rg_opt(cli, "user"));
    rg_cli_query(path, "account", rg_opt(cli, "account"));
    rg_cli_query(path, "permissionSet", rg_opt(cli, "permission-set"));
}

static json_t *check_body(const struct rg_cli *cli)
{
    return json_pack("{s:s, s:s, s:s}", "user", cli->arg[0], "account", cli->arg[1], "permissionSet", cli->arg[2]);
}

static void print_check(struct rg_cli *cli, const json_t *answer)
{
    json_t *via;
    size_t i;

    printf("%s: %s\n", rg_json_flag(answer, "allowed") ? "allowed" : "denied", rg_json_cstr(answer, "reason"));
    json_array_foreach(json_object_get(answer, "via"), i, via)
        printf("  via %s %s\n", rg_json_cstr(via, "type"), rg_json_cstr(via, "name")[0] != '\0' ? rg_json_cstr(via, "name") : "?");
}

static void who_query(const struct rg_cli *cli, struct rg_buf *path)
{
    rg_cli_query(path, "account", cli->arg[0]);
    rg_cli_query(path, "permissionSet", cli->arg[1]);
}

static void print_who(struct rg_cli *cli, const json_t *answer)
{
    json_t *user;
    size_t i;

    json_array_foreach(json_object_get(answer, "users"), i, user)
        printf("%s\n", rg_json_cstr(user, "userName")[0] != '\0' ? rg_json_cstr(user, "userName") : "?");
}

static const struct rg_option list_options[] = {{"region", "R", "compute it there (the primary)"},
                                                {"user", "NAME", "only this user"},
                                                {"account", "ID", "only this account"},
                                                {"permission-set", "NAME", "only this permission set"},
                                                {NULL}};
static const struct rg_option check_options[] = {{"region", "R", "ask there (the primary)"}, {NULL}};
static const struct rg_option who_options[] = {{"region", "R", "compute it there (the primary)"}, {NULL}};

const struct rg_command rg_access_commands[] = {
    {"access list", "[--region R] [FILTERS]", "Effective access as sorted lines userName<TAB>accountId<TAB>permissionSet",
     "Example: regent access list --region eu-central-1 --user alice\n",
     list_options, .who = RG_WHO_REGION, .timeout_ms = 300000, .path = "/v1/access", .query = list_query, .raw = true},
    {"access check", "USER ACCOUNT PERMISSION-SET", "Whether a user may assume a permission set in an account, and why",
     "Exit code 0: allowed; 1: denied. USER by name or id, ACCOUNT by id or name.\n",
     check_options, 3, 3, .who = RG_WHO_REGION, .method = "POST", .path = "/v1/check", .body = check_body, .print = print_check,
     .verdict = "allowed"},
    {"access who", "ACCOUNT [PERMISSION-SET]", "Users with access to an account", NULL,
     who_options, 1, 2, .who = RG_WHO_REGION, .path = "/v1/who", .query = who_query, .print = print_who},
    {NULL}};
