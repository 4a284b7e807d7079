#include "tests/lib/aws_rig.h"

#include <stdarg.h>
#include <stdio.h>

#define AWS_TOKEN "aws-token"

/* ---- what came ---- */

/* The first that is answered as this one is. */
static enum rg_err first_like(const char *type, int status)
{
    for (int err = RG_OK + 1; err < RG_ERR_COUNT; err++)
        if (strcmp(rg_err_aws_type((enum rg_err)err), type) == 0 && rg_aws_interface.error_status((enum rg_err)err) == status)
            return (enum rg_err)err;
    ck_abort_msg("%d %s is no row of the table", status, type);
    return RG_EINTERNAL;
}

bool aws_is(enum rg_err err, enum rg_err want)
{
    return err == (want == RG_OK ? RG_OK : first_like(rg_err_aws_type(want), rg_aws_interface.error_status(want)));
}

static void take_member(const json_t *answer, const char *name, char *out, size_t n)
{
    const char *text = json_string_value(json_object_get(answer, name));

    snprintf(out, n, "%s", text != NULL ? text : "");
}

static void take_answer(struct aws *aws, const struct answer *a)
{
    json_error_t error;
    json_t *body = json_loadb((const char *)a->body.data, a->body.len, JSON_REJECT_DUPLICATES, &error);
    char type[64];

    ck_assert_msg(json_is_object(body), "%s: %s", error.text, (char *)a->body.data);
    aws->status = a->status;
    aws->err = RG_OK;
    take_member(body, "message", aws->message, sizeof aws->message);
    take_member(body, "Reason", aws->reason, sizeof aws->reason);
    take_member(body, "ResourceType", aws->type, sizeof aws->type);
    take_member(body, "ResourceId", aws->id, sizeof aws->id);
    if (a->status == 200) {
        aws->body = body;
        rg_buf_clear(&aws->text);
        rg_buf_put(&aws->text, a->body.data, a->body.len);
        rg_buf_put_u8(&aws->text, 0);
        return;
    }
    take_member(body, "__type", type, sizeof type);
    aws->err = first_like(type, a->status);
    json_decref(body);
}

/* ---- asking ---- */

static uint64_t submitted_before;

uint64_t aws_proposals(void) { return af.node.submitted - submitted_before; }

void aws_open(struct aws *aws)
{
    memset(aws, 0, sizeof *aws);
    rg_buf_init(&aws->text, 8 * 1024 * 1024);
    af_open_bare();
    af_init_instance();
    af_credential("AKIATEST", NULL, AWS_TOKEN, "admin");
    aws->may_write = true;
    submitted_before = af.node.submitted;
}

void aws_close(struct aws *aws)
{
    json_decref(aws->body);
    rg_buf_deinit(&aws->text);
    fix_check_hash(&af.fix);
    af_close();
}

const char *aws_target(const char *operation, char out[128])
{
    snprintf(out, 128, "AWSIdentityStore.%s", operation);
    for (size_t i = 0; i < rg_identitystore_service.n; i++)
        if (strcmp(rg_identitystore_service.operations[i].path, out) == 0)
            return out;
    snprintf(out, 128, "SWBExternalService.%s", operation);
    return out;
}

enum rg_err aws_ask_json(struct aws *aws, const char *operation, json_t *input)
{
    uint64_t before = aws_proposals();
    char target[128], headers[512];
    struct answer a;
    char *body;

    ck_assert_ptr_nonnull(input);
    body = json_dumps(input, JSON_COMPACT | JSON_ENCODE_ANY);
    ck_assert_ptr_nonnull(body);
    json_decref(input);
    json_decref(aws->body);
    aws->body = NULL;
    snprintf(headers, sizeof headers, "Authorization: Bearer %s\r\nX-Amz-Target: %s\r\nContent-Type: application/x-amz-json-1.1\r\n",
             aws->may_write ? AWS_TOKEN : API_READ_TOKEN, aws_target(operation, target));
    ask_raw(&a, "POST", "/", headers, body, strlen(body));
    free(body);
    take_answer(aws, &a);
    answer_free(&a);
    ck_assert(aws->may_write || aws_proposals() == before); /* no operation that writes forgets to ask */
    return aws->err;
}

enum rg_err aws_ask(struct aws *aws, const char *operation, const char *fmt, ...)
{
    struct rg_errctx ctx = {.text = ""};
    static char text[200000];
    json_t *input;
    enum rg_err err;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ck_assert_uint_lt((size_t)n, sizeof text);
    for (char *c = text; *c != '\0'; c++)
        *c = *c == '\'' ? '"' : *c;
    err = rg_json_parse_body(rg_span(text, (size_t)n), &input, &ctx);
    ck_assert_msg(err == RG_OK, "%s: %s", text, ctx.text);
    if (json_object_get(input, "IdentityStoreId") == NULL)
        json_object_set_new(input, "IdentityStoreId", json_string(AWS_STORE));
    if (json_object_get(input, "InstanceArn") == NULL)
        json_object_set_new(input, "InstanceArn", json_string(AWS_INSTANCE));
    return aws_ask_json(aws, operation, input);
}

const json_t *aws_at(const struct aws *aws, const char *path)
{
    const json_t *at = aws->body;
    char name[128];

    while (at != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)n, path);
        at = json_is_array(at) ? json_array_get(at, strtoul(name, NULL, 10)) : json_object_get(at, name);
        path += n + (path[n] == '.');
    }
    return at;
}

const char *aws_text(const struct aws *aws, const char *path)
{
    const char *text = json_string_value(aws_at(aws, path));

    return text != NULL ? text : "";
}
