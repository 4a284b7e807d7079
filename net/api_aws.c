#include "net/api_aws.h"

#include <stdio.h>

#include "crypto/digest.h"

struct rg_uuid rg_aws_id(const json_t *object, const char *name)
{
    struct rg_span text = rg_json_text(object, name);
    struct rg_uuid id = {{0}};

    if (text.n == 47)
        text = rg_span(text.p + 11, 36);
    RG_ASSERT(rg_uuid_parse(text, &id)); /* the shape was checked */
    return id;
}

struct rg_uuid rg_aws_mint(void)
{
    struct rg_uuid id;
    uint8_t random[16];

    rg_random(random, sizeof random);
    rg_uuid_v4(&id, random);
    return id;
}

void rg_aws_put_uuid(struct rg_buf *out, const struct rg_uuid *id)
{
    char text[RG_UUID_TEXT_MAX];

    rg_uuid_format(text, id);
    rg_buf_printf(out, "\"%s\"", text);
}

void rg_aws_put_name(struct rg_buf *out, const char *name)
{
    uint8_t last = out->len > 0 ? out->data[out->len - 1] : '{';

    if (last != '{' && last != '[')
        rg_buf_put_u8(out, ',');
    if (name != NULL)
        rg_buf_printf(out, "\"%s\":", name);
}

void rg_aws_put_member(struct rg_buf *out, const char *name, struct rg_span text)
{
    if (text.n == 0)
        return;
    rg_aws_put_name(out, name);
    rg_json_put_string(out, text);
}

void rg_aws_put_time(struct rg_buf *out, const char *name, int64_t at_ms)
{
    rg_aws_put_name(out, name);
    rg_buf_printf(out, "%lld.%03lld", (long long)(at_ms / 1000), (long long)(at_ms % 1000));
}

void rg_aws_invalid(struct rg_call *call, const char *text)
{
    rg_call_fail(call, RG_EINVALID, "%s", text);
}

/* ---- paging ---- */

bool rg_page_begin(struct rg_call *call, const char *operation, struct rg_page *page)
{
    struct rg_span token = rg_json_text(call->input, "NextToken");
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    *page = (struct rg_page){.operation = operation, .max = (size_t)rg_json_number(call->input, "MaxResults", RG_PAGE_MAX)};
    rg_buf_init(&page->after, 128);
    err = token.n > 0 ? rg_page_token_get(token, operation, &page->after, &ctx) : RG_OK;
    if (!err)
        return true;
    rg_buf_deinit(&page->after);
    rg_call_fail(call, RG_EINVALID, "%s", err == RG_EINVALID ? ctx.text : "NextToken is too long");
    return false;
}

bool rg_page_full(struct rg_page *page, struct rg_span key)
{
    if (page->n == page->max) {
        page->more = true;
        return true;
    }
    RG_ASSERT(key.n <= sizeof page->last);
    memcpy(page->last, key.p, key.n);
    page->last_n = key.n;
    page->n++;
    return false;
}

void rg_page_end(struct rg_page *page, struct rg_buf *out)
{
    if (page->more) {
        rg_aws_put_name(out, "NextToken");
        rg_buf_put_u8(out, '"');
        rg_page_token_put(out, page->operation, rg_span(page->last, page->last_n));
        rg_buf_put_u8(out, '"');
    }
    rg_buf_deinit(&page->after);
}

const struct rg_uuid *rg_page_after_id(const struct rg_page *page, struct rg_uuid *id)
{
    if (page->after.len != sizeof *id)
        return NULL;
    memcpy(id, page->after.data, sizeof *id);
    return id;
}

/* ---- refusals ---- */

static const struct {
    enum rg_why why;
    const char *resource, *missing, *exists;
} words[] = {
    {RG_WHY_USER, "USER", "User not found.", "The user exists already."},
    {RG_WHY_USER_NAME, "USER", "", "Duplicate UserName: another user has it."},
    {RG_WHY_EMAIL, "USER", "", "Duplicate email address: another user has it."},
    {RG_WHY_EXTERNAL_ID, "USER", "", "Duplicate external id: another object has it."},
    {RG_WHY_GROUP, "GROUP", "Group not found.", "The group exists already."},
    {RG_WHY_GROUP_NAME, "GROUP", "", "Duplicate GroupDisplayName: another group has it."},
    {RG_WHY_MEMBERSHIP, "GROUP_MEMBERSHIP", "Group membership not found.", "The user is a member of the group already."},
    {RG_WHY_PERMSET, NULL, "PermissionSet not found.", "The permission set exists already."},
    {RG_WHY_PERMSET_NAME, NULL, "", "A permission set with this name exists already."},
    {RG_WHY_PERMSET_ASSIGNED, NULL, "", "The permission set is still assigned: delete its assignments first."},
    {RG_WHY_ACCOUNT, NULL, "Account not found.", "The account exists already."},
    {RG_WHY_ASSIGNMENT, NULL, "Account assignment not found.", "The assignment exists already."},
    {RG_WHY_LIMIT, NULL, "", "A limit of this instance is reached."},
};

void rg_aws_refused(struct rg_call *call, const struct rg_reply *reply)
{
    bool unique = reply->why == RG_WHY_USER_NAME || reply->why == RG_WHY_EMAIL || reply->why == RG_WHY_EXTERNAL_ID ||
                  reply->why == RG_WHY_GROUP_NAME || reply->why == RG_WHY_MEMBERSHIP;
    char id[RG_UUID_TEXT_MAX] = "";

    if (reply->err == RG_ESTALE) {
        rg_call_fail_with(call, RG_ECONFLICT, "CONCURRENT_MODIFICATION", NULL, NULL,
                          "The object was changed at the same time, again and again: try later.");
        return;
    }
    for (size_t i = 0; i < RG_LEN(words); i++) {
        if (words[i].why != reply->why)
            continue;
        rg_uuid_format(id, &reply->id);
        rg_call_fail_with(call, reply->err, reply->err == RG_ECONFLICT && unique ? "UNIQUENESS_CONSTRAINT_VIOLATION" : NULL,
                          words[i].resource, reply->err == RG_ECONFLICT && words[i].resource != NULL ? id : NULL, "%s",
                          reply->err == RG_ENOTFOUND ? words[i].missing : words[i].exists);
        return;
    }
    rg_call_fail(call, reply->err, NULL);
}

/* ---- dispatch ---- */

static const struct rg_operation *find(struct rg_span target)
{
    for (size_t i = 0; i < rg_identitystore_operations_n; i++)
        if (rg_span_is(target, rg_identitystore_operations[i].target))
            return &rg_identitystore_operations[i];
    for (size_t i = 0; i < rg_ssoadmin_operations_n; i++)
        if (rg_span_is(target, rg_ssoadmin_operations[i].target))
            return &rg_ssoadmin_operations[i];
    return NULL;
}

/* The identity store and the instance of the request must be ours. */
static bool ours(struct rg_call *call)
{
    struct rg_span store = rg_json_text(call->input, "IdentityStoreId"), instance = rg_json_text(call->input, "InstanceArn");

    if (store.n > 0 && !rg_span_is(store, call->api->identity_store_id)) {
        rg_call_fail_with(call, RG_ENOTFOUND, NULL, "IDENTITY_STORE", NULL, "Identity store not found.");
        return false;
    }
    if (instance.n > 0 && !rg_span_is(instance, call->api->instance_arn)) {
        rg_call_fail(call, RG_ENOTFOUND, "Instance not found.");
        return false;
    }
    return true;
}

void rg_aws_dispatch(struct rg_call *call, struct rg_span target)
{
    const struct rg_operation *operation = find(target);
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    if (operation == NULL) {
        rg_call_fail(call, RG_EUNKNOWNOP, "%.*s is not an operation that Regent serves", (int)RG_MIN(target.n, (size_t)128),
                     (const char *)target.p);
        return;
    }
    call->op = operation->name;
    err = rg_shape_check(operation->input, call->input, &ctx);
    if (err) {
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
        return;
    }
    if (!ours(call) || (operation->write && !rg_call_may_write(call)))
        return;
    operation->run(call);
}
