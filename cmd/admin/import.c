/* cmd/admin/import.c: load an organisation (idc-org-dataset/1) into the primary through its AWS interfaces, and save one.
 * Running an import again is harmless: what is there already is found by its name and left as it is. */
#include "cmd/admin/admin.h"
#include "cmd/admin/organisation.h"
#include "base/clock.h"
#include "cmd/cli/client.h"

#define STORE "AWSIdentityStore."
#define SSO "SWBExternalService."

enum { CONCURRENCY = 64 };

struct import {
    struct rg_cli *cli;
    const struct rg_cluster *cluster; /* borrow */
    struct rg_client *client;
    json_t *data;                       /* own */
    json_t *user_ids, *group_ids;       /* own: name → id */
    const struct kind *kind;            /* the phase's: users or groups */
    json_t *permset_arns;               /* own */
    json_t *rows;                       /* borrow: the phase's array */
    json_t *pairs;                      /* own: memberships or policies, flattened */
    size_t conflicts, created;
};

static const char *text_of(const json_t *row, const char *key)
{
    return json_string_value(json_object_get(row, key));
}

/* Compact JSON of `json` (consume) into body. */
static bool put_json(struct rg_buf *body, json_t *json)
{
    char *text = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text != NULL)
        rg_buf_put_str(body, text);
    else
        body->err = RG_ENOMEM;
    free(text);
    json_decref(json);
    return true;
}

static bool put_call(struct rg_buf *path, struct rg_buf *target, struct rg_buf *body, const char *operation, json_t *json)
{
    rg_buf_put_str(path, "/");
    rg_buf_put_str(target, operation);
    return put_json(body, json);
}

static void set_optional(json_t *to, const char *key, const json_t *row, const char *from)
{
    json_t *v = json_object_get(row, from);

    if (json_is_string(v) && json_string_length(v) > 0)
        json_object_set(to, key, v);
}

/* An answer that says "exists already" is fine. */
static enum rg_err accept(struct import *im, const struct rg_answer *answer, const char *what, const char *name,
                          struct rg_errctx *ctx)
{
    struct rg_errctx inner = {.text = ""};
    enum rg_err err;

    if (answer->status == 200) {
        im->created++;
        return RG_OK;
    }
    err = rg_answer_error(answer, &inner);
    if (err == RG_ECONFLICT) {
        im->conflicts++;
        return RG_OK;
    }
    return rg_fail(ctx, err, "%s %s: %.600s", what, name, inner.text);
}

static enum rg_err keep_id(json_t *map, const char *name, const struct rg_answer *answer, const char *member,
                           struct rg_errctx *ctx)
{
    json_t *body = rg_json_parse(rg_buf_span(&answer->body), NULL);
    json_t *inner = json_object_get(body, "PermissionSet");
    json_t *id = json_object_get(inner != NULL ? inner : body, member);
    enum rg_err err = RG_OK;

    if (!json_is_string(id))
        err = rg_fail(ctx, RG_EMALFORMED, "%s: the answer has no %s", name, member);
    else if (json_object_set(map, name, id) != 0)
        err = RG_ENOMEM;
    json_decref(body);
    return err;
}

static enum rg_err run_phase(struct import *im, const char *what, size_t n,
                             bool (*next)(void *, size_t, struct rg_buf *, struct rg_buf *, struct rg_buf *, const char **),
                             enum rg_err (*on_answer)(void *, size_t, const struct rg_answer *, struct rg_errctx *))
{
    struct rg_progress progress;
    struct rg_batch batch = {.n = n, .concurrency = CONCURRENCY, .arg = im, .next = next, .on_answer = on_answer,
                             .progress = &progress};
    enum rg_err err;

    rg_progress_begin(&progress, im->cli, what, n);
    err = rg_client_batch(im->client, &batch, &im->cli->err);
    if (!err)
        rg_progress_end(&progress, n);
    return err;
}

/* ---- accounts ---- */

static bool account_next(void *arg, size_t i, struct rg_buf *path, struct rg_buf *target, struct rg_buf *body,
                         const char **method)
{
    struct import *im = arg;
    const json_t *row = json_array_get(im->rows, i);
    const char *id = text_of(row, "id");
    json_t *json = json_object();

    *method = "PUT";
    rg_buf_printf(path, "/v1/accounts/%s", id != NULL ? id : "");
    set_optional(json, "name", row, "name");
    set_optional(json, "description", row, "description");
    return put_json(body, json);
}

static enum rg_err account_answer(void *arg, size_t i, const struct rg_answer *answer, struct rg_errctx *ctx)
{
    struct import *im = arg;
    const char *id = text_of(json_array_get(im->rows, i), "id");

    return accept(im, answer, "account", id != NULL ? id : "(no id)", ctx);
}

/* ---- users and groups ---- */

/* What is told apart by its name. */
struct kind {
    const char *what, *name;          /* for messages; its name in the file */
    const char *create, *find;        /* operations */
    const char *name_path, *id;       /* the name's path, the id's member */
    const char *set[2][2];            /* members of the request, and where the file has them */
    size_t ids;                       /* offset of its map in struct import */
};
static const struct kind users = {"user", "userName", STORE "CreateUser", STORE "GetUserId", "userName", "UserId",
                                  {{"UserName", "userName"}, {"DisplayName", "displayName"}}, offsetof(struct import, user_ids)};
static const struct kind groups = {"group", "displayName", STORE "CreateGroup", STORE "GetGroupId", "displayName", "GroupId",
                                   {{"DisplayName", "displayName"}, {"Description", "description"}},
                                   offsetof(struct import, group_ids)};

static json_t *ids_of(struct import *im) { return *(json_t **)((char *)im + im->kind->ids); }

static const char *name_of(const struct import *im, size_t i) { return text_of(json_array_get(im->rows, i), im->kind->name); }

/* Members of a list under the names that the interface has for them. NULL: no memory. Own. */
static json_t *renamed(const json_t *rows, const char *const names[][2], size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_t *one = json_object();

        for (size_t k = 0; k < n; k++) {
            json_t *value = json_object_get(json_array_get(rows, i), names[k][1]);

            json_object_set_new(one, names[k][0], value != NULL ? json_incref(value) : json_string(""));
        }
        json_array_append_new(list, one);
    }
    return list;
}

static void set_external_ids(json_t *to, const json_t *row)
{
    static const char *const names[][2] = {{"Issuer", "issuer"}, {"Id", "id"}};
    const json_t *ids = json_object_get(row, "externalIds");

    if (json_array_size(ids) > 0)
        json_object_set_new(to, "ExternalIds", renamed(ids, names, RG_LEN(names)));
}

/* What only users have. Attributes stand in the file as the interface has them, the address among them; a file of somebody else's may
 * have the address alone. */
static void set_of_user(json_t *to, const json_t *row)
{
    json_t *attributes = json_object_get(row, "attributes"), *email = json_object_get(row, "email");

    if (attributes != NULL)
        json_object_update(to, attributes);
    if (email != NULL && json_object_get(to, "Emails") == NULL)
        json_object_set_new(to, "Emails", json_pack("[{s:O, s:b}]", "Value", email, "Primary", 1));
    set_optional(to, "UserStatus", row, "status");
}

static bool create_next(void *arg, size_t i, struct rg_buf *path, struct rg_buf *target, struct rg_buf *body, const char **method)
{
    struct import *im = arg;
    json_t *json = json_pack("{s:s}", "IdentityStoreId", im->cluster->identity_store_id);

    if (im->kind == &users)
        set_of_user(json, json_array_get(im->rows, i));
    set_external_ids(json, json_array_get(im->rows, i));
    for (size_t k = 0; k < RG_LEN(im->kind->set); k++)
        set_optional(json, im->kind->set[k][0], json_array_get(im->rows, i), im->kind->set[k][1]);
    return put_call(path, target, body, im->kind->create, json);
}

static enum rg_err create_answer(void *arg, size_t i, const struct rg_answer *answer, struct rg_errctx *ctx)
{
    struct import *im = arg;
    const char *name = name_of(im, i);
    char none[40];
    enum rg_err err;

    snprintf(none, sizeof none, "(no %s)", im->kind->name);
    err = accept(im, answer, im->kind->what, name != NULL ? name : none, ctx);
    if (!err && answer->status == 200)
        err = keep_id(ids_of(im), name, answer, im->kind->id, ctx);
    return err;
}

/* Those that existed: ask for their ids. */
static bool id_next(void *arg, size_t i, struct rg_buf *path, struct rg_buf *target, struct rg_buf *body, const char **method)
{
    struct import *im = arg;
    const char *name = name_of(im, i);

    if (name == NULL || json_object_get(ids_of(im), name) != NULL)
        return false;
    return put_call(path, target, body, im->kind->find,
                    json_pack("{s:s, s:{s:{s:s, s:s}}}", "IdentityStoreId", im->cluster->identity_store_id, "AlternateIdentifier",
                              "UniqueAttribute", "AttributePath", im->kind->name_path, "AttributeValue", name));
}

static enum rg_err id_answer(void *arg, size_t i, const struct rg_answer *answer, struct rg_errctx *ctx)
{
    struct import *im = arg;

    if (answer->status != 200)
        return rg_answer_error(answer, ctx);
    return keep_id(ids_of(im), name_of(im, i), answer, im->kind->id, ctx);
}

static enum rg_err import_kind(struct import *im, const struct kind *kind, const char *rows, const char *ids)
{
    size_t n;
    enum rg_err err;

    im->kind = kind;
    im->rows = json_object_get(im->data, rows);
    n = json_array_size(im->rows);
    err = run_phase(im, rows, n, create_next, create_answer);
    return err ? err : run_phase(im, ids, n, id_next, id_answer);
}

/* ---- memberships ---- */

static enum rg_err flatten_members(struct import *im)
{
    json_t *group, *member;
    size_t i, k;

    im->pairs = json_array();
    json_array_foreach(im->rows, i, group) {
        json_t *group_id = json_object_get(im->group_ids, text_of(group, "displayName"));

        json_array_foreach(json_object_get(group, "members"), k, member) {
            const char *name = json_string_value(member);
            json_t *user_id = name != NULL ? json_object_get(im->user_ids, name) : NULL;

            if (user_id == NULL)
                return rg_fail(&im->cli->err, RG_EINVALID, "group %s: members[%zu]: no user \"%s\" in the file",
                               text_of(group, "displayName"), k, name != NULL ? name : "?");
            if (json_array_append_new(im->pairs, json_pack("[O, O]", group_id, user_id)) != 0)
                return RG_ENOMEM;
        }
    }
    return RG_OK;
}

static bool member_next(void *arg, size_t i, struct rg_buf *path, struct rg_buf *target, struct rg_buf *body,
                        const char **method)
{
    struct import *im = arg;
    json_t *pair = json_array_get(im->pairs, i);

    return put_call(path, target, body, STORE "CreateGroupMembership",
                    json_pack("{s:s, s:O, s:{s:O}}", "IdentityStoreId", im->cluster->identity_store_id, "GroupId",
                              json_array_get(pair, 0), "MemberId", "UserId", json_array_get(pair, 1)));
}

static enum rg_err member_answer(void *arg, size_t i, const struct rg_answer *answer, struct rg_errctx *ctx)
{
    return accept(arg, answer, "membership", "", ctx);
}

/* ---- permission sets: few, one after the other ---- */

/* "There already" is fine; ret_answer may be NULL. input: consume; the instance is added. */
static enum rg_err call(struct import *im, const char *operation, json_t *input, const char *what, const char *name,
                        struct rg_answer *ret_answer)
{
    RG_AUTO_BUF struct rg_buf body = {.max = 0};
    struct rg_answer answer;
    enum rg_err err;

    rg_buf_init(&body, 1 << 20);
    json_object_set_new(input, "InstanceArn", json_string(im->cluster->instance_arn));
    put_json(&body, input);
    err = body.err ? body.err
                   : rg_client_request(im->client, "POST", "/", operation, rg_buf_span(&body), &answer, &im->cli->err);
    if (err)
        return err;
    err = accept(im, &answer, what, name, &im->cli->err);
    if (err || ret_answer == NULL)
        rg_answer_deinit(&answer);
    else
        *ret_answer = answer;
    return err;
}

/* Whether the set of this ARN has the name. */
static bool set_is(struct import *im, const json_t *arn, const char *name)
{
    json_t *one = NULL, *body = json_pack("{s:s, s:O}", "InstanceArn", im->cluster->instance_arn, "PermissionSetArn", arn);
    bool is = rg_client_send(im->client, "POST", "/", SSO "DescribePermissionSet", body, &one, &im->cli->err) == RG_OK &&
              strcmp(rg_json_cstr(json_object_get(one, "PermissionSet"), "Name"), name) == 0;

    json_decref(one);
    return is;
}

static enum rg_err find_permset(struct import *im, const char *name)
{
    char token[2100] = "";
    bool found = false;

    do {
        json_t *list = NULL, *arn, *body = json_pack("{s:s, s:s*}", "InstanceArn", im->cluster->instance_arn, "NextToken",
                                                     token[0] != '\0' ? token : NULL);
        enum rg_err err = rg_client_send(im->client, "POST", "/", SSO "ListPermissionSets", body, &list, &im->cli->err);
        size_t i;

        if (err)
            return err;
        json_array_foreach(json_object_get(list, "PermissionSets"), i, arn) {
            found = set_is(im, arn, name);
            if (found)
                break;
        }
        if (found)
            json_object_set(im->permset_arns, name, arn);
        snprintf(token, sizeof token, "%s", rg_json_cstr(list, "NextToken"));
        json_decref(list);
    } while (!found && token[0] != '\0');
    return found ? RG_OK : RG_ENOTFOUND;
}

static enum rg_err import_policies(struct import *im, const json_t *row, const char *name)
{
    json_t *arn = json_object_get(im->permset_arns, name), *policy, *inline_policy = json_object_get(row, "inlinePolicy");
    RG_AUTO_MEM char *text = NULL; /* of an object */
    enum rg_err err = RG_OK;
    size_t i;

    json_array_foreach(json_object_get(row, "managedPolicies"), i, policy)
        if (!err)
            err = call(im, SSO "AttachManagedPolicyToPermissionSet",
                       json_pack("{s:O, s:O}", "PermissionSetArn", arn, "ManagedPolicyArn", policy), "managed policy of", name, NULL);
    if (err || inline_policy == NULL)
        return err;
    if (json_is_object(inline_policy)) {
        text = json_dumps(inline_policy, JSON_COMPACT);
        if (text == NULL)
            return RG_ENOMEM;
    }
    return call(im, SSO "PutInlinePolicyToPermissionSet",
                json_pack("{s:O, s:s}", "PermissionSetArn", arn, "InlinePolicy", text != NULL ? text : json_string_value(inline_policy)),
                "inline policy of", name, NULL);
}

static enum rg_err import_permset(struct import *im, const json_t *row)
{
    static const char *const tag_names[][2] = {{"Key", "key"}, {"Value", "value"}};
    const json_t *tags = json_object_get(row, "tags");
    const char *name = text_of(row, "name");
    json_t *input = json_object();
    struct rg_answer answer;
    enum rg_err err;

    if (json_array_size(tags) > 0)
        json_object_set_new(input, "Tags", renamed(tags, tag_names, RG_LEN(tag_names)));
    set_optional(input, "Name", row, "name");
    set_optional(input, "Description", row, "description");
    set_optional(input, "SessionDuration", row, "sessionDuration");
    set_optional(input, "RelayState", row, "relayState");
    err = call(im, SSO "CreatePermissionSet", input, "permission set", name != NULL ? name : "(no name)",
               &answer);
    if (err)
        return err;
    if (answer.status == 200)
        err = keep_id(im->permset_arns, name, &answer, "PermissionSetArn", &im->cli->err);
    else
        err = find_permset(im, name);
    rg_answer_deinit(&answer);
    return err ? err : import_policies(im, row, name);
}

/* ---- assignments ---- */

static bool assignment_next(void *arg, size_t i, struct rg_buf *path, struct rg_buf *target, struct rg_buf *body,
                            const char **method)
{
    struct import *im = arg;
    const json_t *row = json_array_get(im->rows, i);
    const char *type = text_of(row, "principalType"), *principal = text_of(row, "principal"), *set = text_of(row, "permissionSet");
    bool group = type != NULL && strcmp(type, "GROUP") == 0;
    json_t *id = principal != NULL ? json_object_get(group ? im->group_ids : im->user_ids, principal) : NULL;
    json_t *arn = set != NULL ? json_object_get(im->permset_arns, set) : NULL;
    json_t *json = json_pack("{s:s, s:s}", "InstanceArn", im->cluster->instance_arn, "TargetType", "AWS_ACCOUNT");

    set_optional(json, "TargetId", row, "account");
    set_optional(json, "PrincipalType", row, "principalType");
    if (id != NULL)
        json_object_set(json, "PrincipalId", id);
    if (arn != NULL)
        json_object_set(json, "PermissionSetArn", arn);
    return put_call(path, target, body, SSO "CreateAccountAssignment", json);
}

static enum rg_err assignment_answer(void *arg, size_t i, const struct rg_answer *answer, struct rg_errctx *ctx)
{
    struct import *im = arg;
    const char *principal = text_of(json_array_get(im->rows, i), "principal");

    return accept(im, answer, "assignment of", principal != NULL ? principal : "(no principal)", ctx);
}

/* ---- the whole ---- */

static enum rg_err import_identities(struct import *im)
{
    enum rg_err err = import_kind(im, &users, "users", "user ids");

    if (!err)
        err = import_kind(im, &groups, "groups", "group ids");
    if (!err)
        err = flatten_members(im);
    if (!err)
        err = run_phase(im, "memberships", json_array_size(im->pairs), member_next, member_answer);
    return err;
}

static enum rg_err import_all(struct import *im)
{
    json_t *row;
    enum rg_err err;
    size_t i;

    im->rows = json_object_get(im->data, "accounts");
    err = run_phase(im, "accounts", json_array_size(im->rows), account_next, account_answer);
    if (!err)
        err = import_identities(im);
    json_array_foreach(json_object_get(im->data, "permissionSets"), i, row)
        if (!err)
            err = import_permset(im, row);
    if (err)
        return err;
    im->rows = json_object_get(im->data, "assignments");
    return run_phase(im, "assignments", json_array_size(im->rows), assignment_next, assignment_answer);
}

/* The data of im (consume) into the primary. */
static enum rg_err run(struct import *im)
{
    enum rg_err err = rg_client_primary(im->cluster, RG_CLIENT_MS, &im->client, &im->cli->err);

    im->user_ids = json_object();
    im->group_ids = json_object();
    im->permset_arns = json_object();
    if (!err)
        err = import_all(im);
    rg_client_free(im->client);
    json_decref(im->user_ids);
    json_decref(im->group_ids);
    json_decref(im->permset_arns);
    json_decref(im->pairs);
    return err;
}

enum rg_err rg_import_data(struct rg_cli *cli, const struct rg_cluster *cluster, json_t *data)
{
    struct import im = {.cli = cli, .data = data, .cluster = cluster};
    enum rg_err err = rg_organisation_check(data, "the organisation", rg_span("", 0), &cli->err);

    if (!err)
        err = run(&im);
    json_decref(data);
    return err;
}

static enum rg_err import(struct rg_cli *cli)
{
    struct import im = {.cli = cli, .cluster = cli->cluster};
    uint64_t from = rg_clock_us();
    enum rg_err err = rg_organisation_load(cli->arg[0], &im.data, &cli->err);
    double seconds;

    if (!err)
        err = run(&im);
    json_decref(im.data);
    seconds = (double)(rg_clock_us() - from) / 1e6;
    if (!err && cli->json) {
        struct rg_cli_line line;
        struct rg_json_writer *j = rg_cli_line_begin(&line);

        rg_json_u64(j, "created", im.created);
        rg_json_u64(j, "existed", im.conflicts);
        rg_json_fixed(j, "seconds", seconds, 3);
        rg_cli_line_end(cli, &line);
    } else if (!err) {
        printf("imported %s: %zu objects made, %zu were there already, %.2f s\n", cli->arg[0], im.created, im.conflicts, seconds);
    }
    return err;
}

static enum rg_err export(struct rg_cli *cli)
{
    const char *output = rg_opt(cli, "output");
    json_t *json = NULL;
    enum rg_err err = rg_client_get(cli->client, "/v1/export", &json, &cli->err);

    if (!err && (output != NULL ? json_dump_file(json, output, JSON_INDENT(1)) : json_dumpf(json, stdout, JSON_INDENT(1))) != 0)
        err = rg_fail(&cli->err, RG_EIO, "%s: cannot be written", output != NULL ? output : "output");
    json_decref(json);
    return err;
}

static const struct rg_option export_options[] = {{"region", "R", "read there (the primary)"},
                                                  {"output", "FILE", "write there (standard output)"},
                                                  {NULL}};

const struct rg_command rg_import_commands[] = {
    {"import", "FILE[.gz]", "Load an organisation (idc-org-dataset/1) into the primary",
     "What is there already stays as it is, so an interrupted import is simply run again. A member that would not be kept is\n"
     "refused, with its line, before anything is written.\n"
     "Example: regent import organisation.json.gz --cluster /tmp/r/cluster.json\n",
     NULL, 1, 1, RG_WHO_CLUSTER, .run = import},
    {"export", "[--region R] [--output FILE]", "Save the organisation (idc-org-dataset/1)", NULL, export_options,
     .who = RG_WHO_REGION, .timeout_ms = 300000, .run = export},
    {NULL}};
