/* POST /v1/check: may this user assume this permission set in this account? The hot path: a plain request is read
 * without jansson and answered from one transaction without allocation. */
#include "net/v1/v1.h"
#include "base/json.h"

enum { CHECKS_MAX = 100, PSID_TEXT_BYTES = 3 + 16, UUID_TEXT_BYTES = RG_UUID_TEXT_MAX - 1, STORE_PREFIX_BYTES = 11 };

/* --- the usual request: an object of plain ASCII strings, each member once --- */

static const uint8_t *skip_blank(const uint8_t *p, const uint8_t *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

/* A string without escapes. NULL: not one. */
static const uint8_t *plain_string(const uint8_t *p, const uint8_t *end, struct rg_span *ret_text)
{
    const uint8_t *from;

    if (p == end || *p != '"')
        return NULL;
    from = ++p;
    while (p < end && *p >= 0x20 && *p < 0x7f && *p != '"' && *p != '\\')
        p++;
    if (p == end || *p != '"')
        return NULL;
    *ret_text = rg_span(from, (size_t)(p - from));
    return p + 1;
}

static struct rg_span *member_of(struct rg_check_names *names, struct rg_span key)
{
    if (rg_span_is(key, "user"))
        return &names->user;
    if (rg_span_is(key, "account"))
        return &names->account;
    return rg_span_is(key, "permissionSet") ? &names->permset : NULL;
}

bool rg_check_parse(struct rg_span body, struct rg_check_names *ret_names)
{
    const uint8_t *p = body.p, *end = body.n > 0 ? body.p + body.n : body.p;
    struct rg_check_names names = {.user = {0}};

    p = skip_blank(p, end);
    if (p == end || *p != '{')
        return false;
    for (unsigned n = 0; n < 3; n++) {
        struct rg_span key, *value;

        p = plain_string(skip_blank(p + 1, end), end, &key);
        if (p == NULL || (value = member_of(&names, key)) == NULL || value->p != NULL)
            return false;
        p = skip_blank(p, end);
        if (p == end || *p != ':')
            return false;
        p = plain_string(skip_blank(p + 1, end), end, value);
        if (p == NULL)
            return false;
        p = skip_blank(p, end);
        if (p == end || *p != (n < 2 ? ',' : '}'))
            return false;
    }
    if (skip_blank(p + 1, end) != end)
        return false;
    *ret_names = names;
    return true;
}

/* --- names to ids --- */

/* An AWS user id may carry the identity store's ten digits in front. */
static bool parse_user_id(const struct rg_api *api, struct rg_span text, struct rg_uuid *ret_id)
{
    if (text.n == STORE_PREFIX_BYTES + UUID_TEXT_BYTES && text.p[STORE_PREFIX_BYTES - 1] == '-' &&
        strncmp(api->identity_store_id, "d-", 2) == 0 && strlen(api->identity_store_id) == STORE_PREFIX_BYTES + 1 &&
        memcmp(text.p, api->identity_store_id + 2, STORE_PREFIX_BYTES - 1) == 0)
        text = rg_span(text.p + STORE_PREFIX_BYTES, UUID_TEXT_BYTES);
    return text.n == UUID_TEXT_BYTES && rg_uuid_parse(text, ret_id);
}

enum rg_err rg_find_user(struct rg_call *call, struct rg_span text, struct rg_uuid *ret_id)
{
    struct rg_user user;
    enum rg_err err;

    if (parse_user_id(call->api, text, ret_id)) {
        err = rg_user_get(call->txn, ret_id, &user);
        if (err != RG_ENOTFOUND)
            return err;
    }
    return rg_user_by_name(call->txn, text, ret_id);
}

static struct rg_name_kept *name_slot(struct rg_call *call, struct rg_span name)
{
    unsigned h = 5381;

    for (size_t i = 0; i < name.n; i++)
        h = h * 33 + name.p[i];
    return &rg_call_worker(call)->names[h & (RG_NAMES_KEPT - 1)];
}

/* Names of accounts are not unique and have no index: look at them all, once for each state. */
static enum rg_err find_account_by_name(struct rg_call *call, struct rg_span name, char ret_id[13])
{
    struct rg_name_kept *kept = name_slot(call, name);
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_account account;
    struct rg_applied applied;
    bool found = false;
    enum rg_err err;

    rg_txn_applied(call->txn, &applied);
    if (kept->index == applied.index && kept->term == applied.term && rg_span_is(name, kept->name)) {
        memcpy(ret_id, kept->id, sizeof kept->id);
        return RG_OK;
    }
    err = rg_account_list(call->txn, NULL, &scan);
    while (!err && (err = rg_account_list_next(&scan, &account)) == RG_OK) {
        if (!rg_span_eq(account.name, name))
            continue;
        if (found)
            return RG_ECONFLICT;
        found = true;
        memcpy(ret_id, account.id, sizeof account.id);
    }
    if (err != RG_ENOTFOUND || !found)
        return err;
    if (name.n < sizeof kept->name && memchr(name.p, 0, name.n) == NULL) {
        memcpy(kept->name, name.p, name.n);
        kept->name[name.n] = '\0';
        memcpy(kept->id, ret_id, sizeof kept->id);
        kept->index = applied.index;
        kept->term = applied.term;
    }
    return RG_OK;
}

static bool is_account_id(struct rg_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
    return text.n == 12;
}

enum rg_err rg_find_account(struct rg_call *call, struct rg_span text, char ret_id[13])
{
    struct rg_account account;
    enum rg_err err;

    if (text.n == 0)
        return RG_ENOTFOUND;
    if (is_account_id(text)) {
        err = rg_account_get(call->txn, text, &account);
        if (err != RG_ENOTFOUND) {
            if (!err)
                memcpy(ret_id, account.id, sizeof account.id);
            return err;
        }
    }
    return find_account_by_name(call, text, ret_id);
}

/* "ps-…", or an ARN of this instance that ends in one. */
static bool parse_psid(const struct rg_api *api, struct rg_span text, struct rg_psid *ret_id)
{
    static const char arn[] = "arn:aws:sso:::permissionSet/";
    const char *slash = strrchr(api->instance_arn, '/');
    size_t ssoins_n = slash != NULL ? strlen(slash + 1) : 0, arn_n = sizeof arn - 1;

    if (text.n > arn_n && memcmp(text.p, arn, arn_n) == 0) {
        if (text.n != arn_n + ssoins_n + 1 + PSID_TEXT_BYTES || slash == NULL ||
            memcmp(text.p + arn_n, slash + 1, ssoins_n) != 0 || text.p[arn_n + ssoins_n] != '/')
            return false;
        text = rg_span(text.p + text.n - PSID_TEXT_BYTES, PSID_TEXT_BYTES);
    }
    return text.n == PSID_TEXT_BYTES && memcmp(text.p, "ps-", 3) == 0 &&
           rg_unhex(ret_id->b, (const char *)text.p + 3, 8);
}

enum rg_err rg_find_permset(struct rg_call *call, struct rg_span text, struct rg_psid *ret_id)
{
    struct rg_permset permset;
    enum rg_err err;

    if (parse_psid(call->api, text, ret_id)) {
        err = rg_permset_get(call->txn, ret_id, &permset);
        if (err != RG_ENOTFOUND)
            return err;
    }
    return rg_permset_by_name(call->txn, text, ret_id);
}

/* --- the verdict --- */

/* Digits are an id at first sight: whether there is such an account, the check itself finds out. RG_OK with an empty
 * span: there is none. */
static enum rg_err account_of(struct rg_call *call, struct rg_span text, char name_id[13], struct rg_span *ret_id,
                              struct rg_errctx *ctx)
{
    enum rg_err err;

    *ret_id = rg_span(NULL, 0);
    if (is_account_id(text)) {
        *ret_id = text;
        return RG_OK;
    }
    err = rg_find_account(call, text, name_id);
    if (err == RG_ECONFLICT)
        return rg_fail(ctx, RG_EINVALID, "account: several accounts have this name: give the id");
    if (err == RG_OK)
        *ret_id = rg_span(name_id, 12);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static enum rg_err check(struct rg_call *call, const struct rg_check_names *names, struct rg_verdict *verdict,
                         struct rg_errctx *ctx)
{
    struct rg_psid permset = {{0}};
    struct rg_span account;
    struct rg_uuid user;
    char name_id[13];
    bool has_permset;
    enum rg_err err = rg_find_user(call, names->user, &user);

    verdict->allowed = false;
    verdict->reason = RG_ACCESS_NO_USER;
    verdict->n_via = 0;
    if (err)
        return err == RG_ENOTFOUND ? RG_OK : err;
    err = account_of(call, names->account, name_id, &account, ctx);
    if (err)
        return err;
    err = rg_find_permset(call, names->permset, &permset);
    if (err != RG_OK && err != RG_ENOTFOUND)
        return err;
    has_permset = err == RG_OK;
    err = rg_access_check(call->txn, &user, account, &permset, verdict);
    if (!err && !has_permset && (verdict->reason == RG_ACCESS_GRANTED || verdict->reason == RG_ACCESS_NOT_ASSIGNED)) {
        verdict->allowed = false;
        verdict->reason = RG_ACCESS_NO_PERMSET;
        verdict->n_via = 0;
    }
    return err;
}

/* --- requests of any shape --- */

static enum rg_err take_string(json_t *object, const char *name, struct rg_span *ret_text, struct rg_errctx *ctx)
{
    json_t *v = json_object_get(object, name);

    if (v == NULL)
        return rg_fail(ctx, RG_EINVALID, "%s: is missing", name);
    if (!json_is_string(v))
        return rg_fail(ctx, RG_EINVALID, "%s: must be a string", name);
    *ret_text = rg_span(json_string_value(v), json_string_length(v));
    return RG_OK;
}

static enum rg_err names_of(json_t *object, struct rg_check_names *names, struct rg_errctx *ctx)
{
    enum rg_err err;

    if (!json_is_object(object))
        return rg_fail(ctx, RG_EINVALID, "a check must be an object {user, account, permissionSet}");
    if (json_object_get(object, "action") != NULL || json_object_get(object, "resource") != NULL)
        return rg_fail(
            ctx, RG_EINVALID,
            "action, resource: checks of single actions are not served yet: give user, account and permissionSet");
    err = take_string(object, "user", &names->user, ctx);
    if (!err)
        err = take_string(object, "account", &names->account, ctx);
    if (!err)
        err = take_string(object, "permissionSet", &names->permset, ctx);
    if (!err && json_object_size(object) != 3)
        return rg_fail(ctx, RG_EINVALID, "a check has user, account and permissionSet, and nothing else");
    return err;
}

/* --- the answer --- */

/* Hand-made JSON begins: what is asked a hundred thousand times a second, in as few writes as there can be. Everything else is
 * written by base/json_writer.h (tests/house.py). */

static enum rg_err put_via(struct rg_call *call, const struct rg_via *via)
{
    struct rg_buf *out = &call->out;
    char id[RG_UUID_TEXT_MAX];
    struct rg_span name;
    enum rg_err err = rg_principal_name(call->txn, via->principal_type, &via->principal_id, &name);

    if (err)
        return err == RG_ENOTFOUND ? RG_ECORRUPT : err;
    rg_uuid_format(id, &via->principal_id);
    rg_buf_put_str(out, via->principal_type == 'U' ? "{\"type\":\"USER\",\"id\":\"" : "{\"type\":\"GROUP\",\"id\":\"");
    rg_buf_put_str(out, id);
    rg_buf_put_str(out, "\",\"name\":");
    rg_json_put_string(out, name);
    rg_buf_put_str(out, "}");
    return RG_OK;
}

/* {"allowed":…,"reason":…,"via":[…] without the closing brace. */
static enum rg_err put_verdict(struct rg_call *call, const struct rg_check_names *names, struct rg_errctx *ctx)
{
    struct rg_buf *out = &call->out;
    RG_UNINIT struct rg_verdict verdict;
    enum rg_err err = check(call, names, &verdict, ctx);

    if (err)
        return err;
    rg_buf_put_str(out, verdict.allowed ? "{\"allowed\":true,\"reason\":\"" : "{\"allowed\":false,\"reason\":\"");
    rg_buf_put_str(out, rg_access_reason_name(verdict.reason));
    rg_buf_put_str(out, "\",\"via\":[");
    for (unsigned i = 0; !err && i < RG_MIN(verdict.n_via, (unsigned)RG_VIA_MAX); i++) {
        if (i > 0)
            rg_buf_put_u8(out, ',');
        err = put_via(call, &verdict.via[i]);
    }
    rg_buf_put_u8(out, ']');
    return err;
}

/* {"results":[…] of them, without the closing brace. */
static enum rg_err put_verdicts(struct rg_call *call, json_t *checks, struct rg_errctx *ctx)
{
    struct rg_check_names names;
    json_t *one;
    size_t i;

    rg_buf_put_str(&call->out, "{\"results\":[");
    json_array_foreach(checks, i, one)
    {
        struct rg_errctx inner = {{0}};
        enum rg_err err = names_of(one, &names, &inner);

        if (i > 0)
            rg_buf_put_u8(&call->out, ',');
        if (!err)
            err = put_verdict(call, &names, &inner);
        if (err)
            return inner.text[0] != '\0' ? rg_fail(ctx, err, "checks[%zu]: %.600s", i, inner.text) : err;
        rg_buf_put_u8(&call->out, '}');
    }
    rg_buf_put_u8(&call->out, ']');
    return RG_OK;
}

/* The revision it was read at, how old that may be, and the closing brace. */
static void put_end(struct rg_call *call)
{
    char text[RG_REV_TEXT_MAX], stale[24];
    size_t n = rg_rev_format(text, call->read_rev);

    rg_buf_put_str(&call->out, ",\"revision\":\"");
    rg_buf_put(&call->out, text, n);
    rg_buf_put_str(&call->out, "\",\"stale_ms\":");
    if (call->stale_ms == UINT64_MAX)
        rg_buf_put(&call->out, "null}", 5);
    else {
        rg_buf_put(&call->out, stale, rg_api_decimal(stale, call->stale_ms));
        rg_buf_put(&call->out, "}", 1);
    }
}

/* Hand-made JSON ends. */

static enum rg_err check_many(struct rg_call *call, json_t *checks, struct rg_errctx *ctx)
{
    if (!json_is_array(checks) || json_array_size(checks) == 0 || json_array_size(checks) > CHECKS_MAX)
        return rg_fail(ctx, RG_EINVALID, "checks: must be an array of 1 to %d checks", CHECKS_MAX);
    if (json_object_size(call->input) != 1)
        return rg_fail(ctx, RG_EINVALID, "checks: stands alone");
    return put_verdicts(call, checks, ctx);
}

static enum rg_err check_parsed(struct rg_call *call, struct rg_errctx *ctx)
{
    struct rg_check_names names;
    json_t *checks;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);

    if (err)
        return err;
    checks = json_object_get(call->input, "checks");
    if (checks != NULL)
        return check_many(call, checks, ctx);
    err = names_of(call->input, &names, ctx);
    return err ? err : put_verdict(call, &names, ctx);
}

void rg_v1_check(struct rg_call *call)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_check_names names;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return;
    err = rg_check_parse(call->req->body, &names) ? put_verdict(call, &names, &ctx) : check_parsed(call, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    put_end(call);
    rg_call_answer(call, 200);
}
