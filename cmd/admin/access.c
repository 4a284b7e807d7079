/* cmd/admin/access.c: effective access, as a region computes it. */
#include <jansson.h>

#include "cmd/cli/cli.h"
#include "cmd/cli/client.h"

/* The region's client for a read-only command. */
static enum rg_err open_region(struct rg_cli *cli, const char *region, struct rg_cluster **ret_cluster,
                               struct rg_client **ret_client)
{
    enum rg_err err = rg_cluster_load(cli, ret_cluster);

    return err ? err : rg_client_open(*ret_cluster, region, ret_client, &cli->err);
}

/* Percent-encode a query value (RFC 3986). */
static void put_query(struct rg_buf *path, const char *name, const char *value)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";

    if (value == NULL)
        return;
    rg_buf_printf(path, "%c%s=", memchr(path->data, '?', path->len) != NULL ? '&' : '?', name);
    for (const char *c = value; *c != '\0'; c++)
        rg_buf_printf(path, strchr(plain, *c) != NULL ? "%c" : "%%%02X", (unsigned char)*c);
}

static enum rg_err get(struct rg_cli *cli, struct rg_client *client, struct rg_buf *path, struct rg_answer *answer)
{
    enum rg_err err;

    rg_buf_put_u8(path, 0);
    err = path->err ? path->err
                    : rg_client_request(client, "GET", (const char *)path->data, NULL, rg_span(NULL, 0), answer, &cli->err);
    if (!err && answer->status != 200) {
        err = rg_answer_error(answer, &cli->err);
        rg_answer_deinit(answer);
    }
    return err;
}

int rg_cmd_access_list(struct rg_cli *cli)
{
    const char *region = NULL, *user = NULL, *account = NULL, *set = NULL;
    const struct rg_option options[] = {{"region", "R", "compute it there (the primary)", &region, NULL},
                                        {"user", "NAME", "only this user", &user, NULL},
                                        {"account", "ID", "only this account", &account, NULL},
                                        {"permission-set", "NAME", "only this permission set", &set, NULL}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    RG_AUTO_BUF struct rg_buf path = {.max = 0};
    struct rg_answer answer;
    enum rg_err err;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), NULL, 0, 0, NULL, &code))
        return code;
    rg_buf_init(&path, 2000);
    rg_buf_printf(&path, "/v1/access?format=%s", cli->json ? "json" : "tsv");
    put_query(&path, "user", user);
    put_query(&path, "account", account);
    put_query(&path, "permissionSet", set);
    err = open_region(cli, region, &c, &client);
    if (!err) {
        rg_client_timeout(client, 300000);
        err = get(cli, client, &path, &answer);
    }
    if (err)
        return rg_cli_fail(cli, err);
    fwrite(answer.body.data, 1, answer.body.len, stdout);
    rg_answer_deinit(&answer);
    return fflush(stdout) == 0 ? 0 : 1;
}

int rg_cmd_access_check(struct rg_cli *cli)
{
    const char *region = NULL, *args[3];
    const struct rg_option options[] = {{"region", "R", "ask there (the primary)", &region, NULL}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    RG_AUTO_MEM char *body = NULL;
    json_t *request, *answer = NULL, *via;
    bool allowed;
    enum rg_err err;
    size_t i;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), args, 3, 3, NULL, &code))
        return code;
    request = json_pack("{s:s, s:s, s:s}", "user", args[0], "account", args[1], "permissionSet", args[2]);
    body = request != NULL ? json_dumps(request, JSON_COMPACT) : NULL;
    json_decref(request);
    if (body == NULL)
        return rg_cli_fail(cli, rg_fail(&cli->err, RG_EINVALID, "the arguments must be UTF-8"));
    err = open_region(cli, region, &c, &client);
    if (!err)
        err = rg_client_json(client, "POST", "/v1/check", NULL, rg_span_str(body), &answer, &cli->err);
    if (err)
        return rg_cli_fail(cli, err);
    allowed = json_is_true(json_object_get(answer, "allowed"));
    if (cli->json) {
        json_dumpf(answer, stdout, JSON_COMPACT);
        printf("\n");
    } else {
        printf("%s: %s\n", allowed ? "allowed" : "denied", json_string_value(json_object_get(answer, "reason")));
        json_array_foreach(json_object_get(answer, "via"), i, via) {
            const char *name = json_string_value(json_object_get(via, "name"));

            printf("  via %s %s\n", json_string_value(json_object_get(via, "type")), name != NULL ? name : "?");
        }
    }
    json_decref(answer);
    return allowed ? 0 : 1;
}

int rg_cmd_access_who(struct rg_cli *cli)
{
    const char *region = NULL, *args[2] = {NULL, NULL};
    const struct rg_option options[] = {{"region", "R", "compute it there (the primary)", &region, NULL}};
    RG_AUTO(client) struct rg_client *client = NULL;
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    RG_AUTO_BUF struct rg_buf path = {.max = 0};
    struct rg_answer answer;
    json_t *json, *user;
    enum rg_err err;
    size_t i;
    int code;

    if (!rg_cli_parse(cli, options, RG_LEN(options), args, 1, 2, NULL, &code))
        return code;
    rg_buf_init(&path, 2000);
    rg_buf_put_str(&path, "/v1/who");
    put_query(&path, "account", args[0]);
    put_query(&path, "permissionSet", args[1]);
    err = open_region(cli, region, &c, &client);
    if (!err)
        err = get(cli, client, &path, &answer);
    if (err)
        return rg_cli_fail(cli, err);
    if (cli->json) {
        printf("%.*s\n", (int)answer.body.len, (const char *)answer.body.data);
    } else {
        json = json_loadb((const char *)answer.body.data, answer.body.len, 0, NULL);
        json_array_foreach(json_object_get(json, "users"), i, user) {
            const char *name = json_string_value(json_object_get(user, "userName"));

            printf("%s\n", name != NULL ? name : json_string_value(user) != NULL ? json_string_value(user) : "?");
        }
        json_decref(json);
    }
    rg_answer_deinit(&answer);
    return 0;
}
