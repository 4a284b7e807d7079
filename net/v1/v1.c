/* /v1: its operations and errors, query parameters, accounts. What no standard interface has. */
#include "net/v1/takeover.h"
#include "net/v1/v1.h"
#include "net/join/join.h"
#include "base/json.h"
#include "net/ops/account.h"
#include "store/db/rowkey.h"

#include <stdio.h>

enum { ACCOUNTS_PAGE = 1000 };
#define NOT_AN_ID "an account id is twelve digits"

void rg_v1_answer(struct rg_call *call)
{
    rg_json_revision(&call->json, "revision", call->read_rev);
    rg_json_end(&call->json);
    rg_call_answer(call, 200);
}

/* --- query parameters --- */

static bool decode(struct rg_span text, struct rg_buf *scratch, struct rg_span *ret_value)
{
    uint8_t *to = rg_buf_reserve(scratch, text.n + 1);
    size_t n = 0;

    if (to == NULL)
        return false;
    for (size_t i = 0; i < text.n; i++) {
        uint8_t c = text.p[i];

        if (c == '%') {
            if (text.n - i < 3 || !rg_unhex(&c, (const char *)text.p + i + 1, 1))
                return false;
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        to[n++] = c;
    }
    to[n] = '\0';
    scratch->len += n + 1;
    *ret_value = rg_span(to, n);
    return true;
}

static bool next_param(struct rg_span *query, struct rg_span *ret_name, struct rg_span *ret_value)
{
    const uint8_t *amp, *eq;
    struct rg_span param;

    while (query->n > 0 && query->p[0] == '&')
        *query = rg_span(query->p + 1, query->n - 1);
    if (query->n == 0)
        return false;
    amp = memchr(query->p, '&', query->n);
    param = rg_span(query->p, amp != NULL ? (size_t)(amp - query->p) : query->n);
    *query = rg_span(query->p + param.n, query->n - param.n);
    eq = memchr(param.p, '=', param.n);
    *ret_name = rg_span(param.p, eq != NULL ? (size_t)(eq - param.p) : param.n);
    *ret_value = eq != NULL ? rg_span(eq + 1, param.n - ret_name->n - 1) : rg_span("", 0);
    return true;
}

enum rg_err rg_v1_query(struct rg_call *call, const char *const *names, struct rg_span *values, size_t n,
                        struct rg_buf *scratch, struct rg_errctx *ctx)
{
    struct rg_span query = call->req->query, name, value;

    memset(values, 0, n * sizeof *values);
    /* Room for all, at once: the values point into it. */
    if (rg_buf_reserve(scratch, query.n + 2 * n + 2) == NULL)
        return scratch->err;
    while (next_param(&query, &name, &value)) {
        size_t i = 0;

        while (i < n && !rg_span_is(name, names[i]))
            i++;
        if (i == n)
            return rg_fail(ctx, RG_EINVALID, "query: no parameter is called \"%.*s\" here",
                           (int)RG_MIN(name.n, (size_t)100), (const char *)name.p);
        if (values[i].p != NULL)
            return rg_fail(ctx, RG_EINVALID, "query: %s is repeated", names[i]);
        if (!decode(value, scratch, &values[i]))
            return rg_fail(ctx, RG_EINVALID, "query: %s is badly percent-encoded", names[i]);
    }
    return RG_OK;
}

/* --- accounts --- */

static void put_account(struct rg_json_writer *j, const struct rg_account *account)
{
    rg_json_str(j, "id", account->id);
    rg_json_span_if_any(j, "name", account->name);
    rg_json_span_if_any(j, "description", account->description);
}

static bool parse_limit(struct rg_span text, size_t *ret_limit)
{
    size_t v = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        v = RG_MIN(v * 10 + (size_t)(text.p[i] - '0'), (size_t)ACCOUNTS_PAGE + 1);
    }
    *ret_limit = v;
    return text.n > 0;
}

static enum rg_err list_accounts(struct rg_call *call, struct rg_errctx *ctx)
{
    static const char *const names[] = {"after", "limit"};
    struct rg_span values[RG_LEN(names)];
    RG_AUTO_SCAN struct rg_scan scan = {0};
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    struct rg_json_writer *j = rg_call_json(call);
    struct rg_account account;
    char last[13] = "";
    size_t n = 0, limit = ACCOUNTS_PAGE;
    enum rg_err err;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(call, names, values, RG_LEN(names), &scratch, ctx);
    if (err)
        return err;
    if (values[1].p != NULL && (!parse_limit(values[1], &limit) || limit == 0 || limit > ACCOUNTS_PAGE))
        return rg_fail(ctx, RG_EINVALID, "limit: must be 1 to %d", ACCOUNTS_PAGE);
    err = rg_account_list(call->txn, values[0].p != NULL ? (const char *)values[0].p : NULL, &scan);
    if (err == RG_EINVALID)
        return rg_fail(ctx, err, "after: must be an account id");
    rg_json_object(j, NULL);
    rg_json_array(j, "accounts");
    while (!err && (err = rg_account_list_next(&scan, &account)) == RG_OK && n++ < limit) {
        rg_json_object(j, NULL);
        put_account(j, &account);
        rg_json_end(j);
        memcpy(last, account.id, sizeof last);
    }
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    rg_json_end(j);
    if (err == RG_OK) /* one more is there */
        rg_json_str(j, "next", last);
    return RG_OK;
}

/* One account, or the list of them. */
static void accounts_get(struct rg_call *call)
{
    struct rg_span id = call->argument;
    struct rg_errctx ctx = {.text = ""};
    struct rg_account account;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    if (id.n == 0) {
        err = list_accounts(call, &ctx);
    } else {
        err = rg_account_get(txn, id, &account);
        if (err == RG_ENOTFOUND)
            err = rg_fail(&ctx, err, "there is no account %.*s", (int)RG_MIN(id.n, (size_t)100), (const char *)id.p);
        if (!err) {
            rg_json_object(rg_call_json(call), NULL);
            put_account(&call->json, &account);
        }
    }
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_v1_answer(call);
}

/* A text member; absent is fine. Control characters would break lines of /v1/access and logs. */
enum rg_err rg_v1_take_text(json_t *input, const char *name, size_t max, struct rg_span *ret_text, struct rg_errctx *ctx)
{
    json_t *v = json_object_get(input, name);

    *ret_text = rg_span(NULL, 0);
    if (v == NULL)
        return RG_OK;
    if (!json_is_string(v))
        return rg_fail(ctx, RG_EINVALID, "%s: must be a string", name);
    *ret_text = rg_span(json_string_value(v), json_string_length(v));
    if (ret_text->n > max)
        return rg_fail(ctx, RG_EINVALID, "%s: is over %zu bytes", name, max);
    for (size_t i = 0; i < ret_text->n; i++)
        if (ret_text->p[i] < 0x20 || ret_text->p[i] == 0x7f)
            return rg_fail(ctx, RG_EINVALID, "%s: holds a control character", name);
    return RG_OK;
}

/* The account as the command has it, which is as the row has it now. */
static void account_put_done(struct rg_call *call)
{
    const struct rg_reply *reply = &call->proposal.reply;
    struct rg_span id, name, description;
    struct rg_account account = {.id = ""};

    if (reply->err) {
        rg_call_fail(call, reply->err, reply->why == RG_WHY_LIMIT ? "there are %d accounts already" : NULL,
                     RG_ACCOUNTS_MAX);
        return;
    }
    (void)rg_tlv_get(rg_buf_span(&call->cmd), RG_F_ACCOUNT_ID, &id);
    (void)rg_tlv_get(rg_buf_span(&call->cmd), RG_F_NAME, &name);
    (void)rg_tlv_get(rg_buf_span(&call->cmd), RG_F_DESCRIPTION, &description);
    memcpy(account.id, id.p, 12);
    account.name = name;
    account.description = description;
    rg_json_object(rg_call_json(call), NULL);
    put_account(&call->json, &account);
    rg_v1_answer(call);
}

static enum rg_err account_put_build(struct rg_call *call, struct rg_span id, struct rg_errctx *ctx)
{
    const struct rg_author author = {.by = rg_call_by(call), .at_ms = call->now_ms};
    struct rg_account_input account = {.id = id};
    struct rg_fault fault = {0};
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);
    size_t members;

    if (!err && !rg_account_id_ok(id))
        return rg_fail(ctx, RG_EINVALID, NOT_AN_ID);
    if (!err)
        err = rg_v1_take_text(call->input, "name", RG_ACCOUNT_NAME_BYTES_MAX, &account.name, ctx);
    if (!err)
        err = rg_v1_take_text(call->input, "description", RG_ACCOUNT_TEXT_BYTES_MAX, &account.description, ctx);
    if (err)
        return err;
    members = (account.name.p != NULL ? 1u : 0u) + (account.description.p != NULL ? 1u : 0u);
    if (json_object_size(call->input) != members)
        return rg_fail(ctx, RG_EINVALID, "an account has name and description, and nothing else");
    return rg_cmd_account_put(&call->cmd, &author, &account, &fault); /* nothing is wrong with it: that was looked at */
}

static void accounts_put(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = account_put_build(call, call->argument, &ctx);

    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_call_propose(call, account_put_done);
}

static void account_delete_done(struct rg_call *call)
{
    const struct rg_reply *reply = &call->proposal.reply;
    struct rg_span id;

    (void)rg_tlv_get(rg_buf_span(&call->cmd), RG_F_ACCOUNT_ID, &id);
    if (reply->err == RG_ENOTFOUND) {
        rg_call_fail(call, reply->err, "there is no account %.*s", RG_SPAN_ARG(id));
    } else if (reply->err) {
        rg_call_fail(call, reply->err,
                     reply->why == RG_WHY_ACCOUNT_ASSIGNED ? "the account has assignments: delete them first" : NULL);
    } else {
        struct rg_json_writer *j = rg_call_json(call);

        rg_json_object(j, NULL);
        rg_json_span(j, "id", id);
        rg_json_bool(j, "deleted", true);
        rg_v1_answer(call);
    }
}

static void accounts_delete(struct rg_call *call)
{
    const struct rg_author author = {.by = rg_call_by(call), .at_ms = call->now_ms};
    struct rg_fault fault = {0};
    enum rg_err err = rg_cmd_account_delete(&call->cmd, &author, call->argument, &fault);

    if (err)
        rg_call_fail(call, err, NOT_AN_ID);
    else
        rg_call_propose(call, account_delete_done);
}

/* --- the interface --- */

static bool takes(const struct rg_request *req)
{
    (void)req; /* what no other interface takes */
    return true;
}

static void unknown(struct rg_call *call, const char *at)
{
    struct rg_span path = call->req->path, method = call->req->method;

    if (at != NULL) { /* a star at the end is not shown */
        size_t n = strlen(at);

        rg_call_fail(call, RG_EMETHOD, "%.*s does not take %.*s", (int)(n - (at[n - 1] == '*')), at,
                     (int)RG_MIN(method.n, (size_t)20), (const char *)method.p);
    } else if (rg_span_is(path, "/v1/watch")) {
        rg_call_fail(call, RG_ENOROUTE, "/v1/watch is not served by this release");
    } else {
        rg_call_fail(call, RG_ENOROUTE, "nothing is served at %.*s", (int)RG_MIN(path.n, (size_t)200), (const char *)path.p);
    }
}

static int error_status(enum rg_err err) { return err == RG_EUNAUTH ? 401 : rg_err_http(err); }

static void put_error(struct rg_call *call, enum rg_err err, const char *message, const struct rg_fail_extra *extra)
{
    struct rg_json_writer *j = rg_call_json(call);

    (void)extra;
    rg_json_object(j, NULL);
    rg_json_str(j, "code", rg_err_name(err));
    rg_json_str(j, "message", message);
    rg_json_str(j, "requestId", call->request_id);
    rg_json_end(j);
}

enum {
    /* operations that are alike */
    WRITE = RG_OP_WRITE,
    QUEUED = RG_OP_WRITE | RG_OP_QUEUE,
    CLUSTER = RG_OP_WRITE | RG_OP_EXEMPT,
    PROBE = RG_OP_OPEN | RG_OP_UNREADY,
    JOIN = RG_OP_OPEN | RG_OP_WRITE | RG_OP_EXEMPT | RG_OP_NOW,
};

static const struct rg_operation operations[] = {
    {"healthz", "GET", "/healthz", NULL, PROBE, RG_PERMIT_OPEN, rg_v1_healthz},
    {"readyz", "GET", "/readyz", NULL, PROBE, RG_PERMIT_OPEN, rg_v1_readyz},
    {"birth", "GET", "/v1/birth", NULL, PROBE, RG_PERMIT_OPEN, rg_v1_birth},
    {"metrics", "GET", "/metrics", NULL, PROBE, RG_PERMIT_OPEN, rg_v1_metrics}, /* from elsewhere it asks a credential itself */
    {"v1.check", "POST", "/v1/check", NULL, 0, RG_PERMIT_READ, rg_v1_check},
    {"v1.status", "GET", "/v1/status", NULL, RG_OP_UNREADY, RG_PERMIT_READ, rg_v1_status},
    {"v1.regions", "GET", "/v1/regions", NULL, RG_OP_UNREADY, RG_PERMIT_READ, rg_v1_regions},
    {"v1.region", "GET", "/v1/regions/*", NULL, 0, RG_PERMIT_READ, rg_v1_regions},
    {"v1.addRegion", "POST", "/v1/regions", NULL, CLUSTER | RG_OP_UNREADY, RG_PERMIT_WRITE, rg_v1_regions_add},
    {"v1.putRegion", "PUT", "/v1/regions/*", NULL, CLUSTER, RG_PERMIT_WRITE, rg_v1_regions_put},
    {"v1.removeRegion", "DELETE", "/v1/regions/*", NULL, CLUSTER, RG_PERMIT_WRITE, rg_v1_regions_delete},
    /* only the primary can tell: it is the one that would add */
    {"v1.preflight", "POST", "/v1/regions/*/preflight", NULL, WRITE, RG_PERMIT_WRITE, rg_v1_regions_preflight},
    {"v1.switchover", "POST", "/v1/switchover", NULL, CLUSTER, RG_PERMIT_WRITE, rg_v1_switchover},
    /* there is no primary to be asked */
    {"v1.failover", "POST", "/v1/failover", NULL, RG_OP_HOMED | RG_OP_EXEMPT, RG_PERMIT_WRITE, rg_v1_failover},
    {"v1.vouch", "POST", "/v1/vouch", NULL, RG_OP_HOMED | RG_OP_EXEMPT | RG_OP_UNREADY, RG_PERMIT_WRITE, rg_v1_vouch},
    {"v1.epochs", "GET", "/v1/epochs", NULL, 0, RG_PERMIT_READ, rg_v1_epochs},
    {"v1.durability", "GET", "/v1/settings/durability", NULL, 0, RG_PERMIT_READ, rg_v1_durability},
    {"v1.putDurability", "PUT", "/v1/settings/durability", NULL, CLUSTER, RG_PERMIT_WRITE, rg_v1_durability_put},
    {"v1.lease", "GET", "/v1/settings/lease", NULL, 0, RG_PERMIT_READ, rg_v1_lease},
    {"v1.putLease", "PUT", "/v1/settings/lease", NULL, CLUSTER, RG_PERMIT_WRITE, rg_v1_lease_put},
    {"v1.degraded", "GET", "/v1/degraded", NULL, 0, RG_PERMIT_READ, rg_v1_degraded},
    {"v1.join", "POST", "/v1/join", NULL, JOIN, RG_PERMIT_OPEN, rg_join},       /* the token is its proof */
    {"v1.collect", "POST", "/v1/join/collect", NULL, RG_OP_OPEN, RG_PERMIT_OPEN, rg_join_collect}, /* the key it asked with */
    {"v1.rejoin", "POST", "/v1/rejoin", NULL, JOIN, RG_PERMIT_OPEN, rg_rejoin}, /* the key it had is its proof */
    {"v1.joinToken", "POST", "/v1/join-tokens", NULL, CLUSTER | RG_OP_NOW, RG_PERMIT_WRITE, rg_join_tokens_add},
    {"v1.listJoinTokens", "GET", "/v1/join-tokens", NULL, 0, RG_PERMIT_READ, rg_join_tokens_list},
    {"v1.revokeJoinToken", "DELETE", "/v1/join-tokens/*", NULL, CLUSTER | RG_OP_NOW, RG_PERMIT_WRITE, rg_join_tokens_revoke},
    {"v1.listNodes", "GET", "/v1/nodes", NULL, 0, RG_PERMIT_READ, rg_nodes_list},
    {"v1.approveNode", "POST", "/v1/nodes/*/approve", NULL, CLUSTER | RG_OP_NOW, RG_PERMIT_WRITE, rg_nodes_approve},
    {"v1.withdrawNode", "DELETE", "/v1/nodes/*", NULL, CLUSTER | RG_OP_NOW, RG_PERMIT_WRITE, rg_nodes_withdraw},
    {"v1.access", "GET", "/v1/access", NULL, 0, RG_PERMIT_READ, rg_v1_access},
    {"v1.who", "GET", "/v1/who", NULL, 0, RG_PERMIT_READ, rg_v1_who},
    {"v1.export", "GET", "/v1/export", NULL, 0, RG_PERMIT_READ, rg_v1_export},
    {"v1.intents", "GET", "/v1/intents", NULL, 0, RG_PERMIT_READ, rg_v1_intents},
    {"v1.intent", "GET", "/v1/intents/*", NULL, 0, RG_PERMIT_READ, rg_v1_intent},
    {"v1.approveIntent", "POST", "/v1/intents/*/approve", NULL, RG_OP_HOMED, RG_PERMIT_WRITE, rg_v1_intent_approve},
    {"v1.dropIntent", "POST", "/v1/intents/*/drop", NULL, RG_OP_HOMED, RG_PERMIT_WRITE, rg_v1_intent_drop},
    {"v1.lostTails", "GET", "/v1/lost-tail", NULL, 0, RG_PERMIT_LOST, rg_v1_lost_list},
    {"v1.lostTail", "GET", "/v1/lost-tail/*", NULL, 0, RG_PERMIT_LOST, rg_v1_lost_show},
    {"v1.dropLostTail", "DELETE", "/v1/lost-tail/*", NULL, RG_OP_HOMED, RG_PERMIT_LOST, rg_v1_lost_drop},
    {"v1.exportLostTail", "GET", "/v1/lost-tail/*/export", NULL, 0, RG_PERMIT_LOST, rg_v1_lost_export},
    {"v1.replayLostTail", "POST", "/v1/lost-tail/*/replay", NULL, RG_OP_HOMED, RG_PERMIT_LOST, rg_v1_lost_replay},
    {"v1.listAccounts", "GET", "/v1/accounts", NULL, 0, RG_PERMIT_READ, accounts_get},
    {"v1.getAccount", "GET", "/v1/accounts/*", NULL, 0, RG_PERMIT_READ, accounts_get},
    {"v1.putAccount", "PUT", "/v1/accounts/*", NULL, QUEUED, RG_PERMIT_WRITE, accounts_put},
    {"v1.deleteAccount", "DELETE", "/v1/accounts/*", NULL, QUEUED, RG_PERMIT_WRITE, accounts_delete},
};

static const struct rg_service regent = {.name = "v1", .sigv4 = "regent", .operations = operations, .n = RG_LEN(operations)};
static const struct rg_service *const services[] = {&regent};

const struct rg_interface rg_v1_interface = {
    .name = "v1",
    .other = "v1.other",
    .takes = takes,
    .services = services,
    .n_services = RG_LEN(services),
    .unknown = unknown,
    .content_type = "application/json",
    .error_status = error_status,
    .error_code = rg_err_name,
    .put_error = put_error,
};
