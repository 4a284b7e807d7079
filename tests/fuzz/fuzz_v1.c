/* The decoders of /v1: a check's body by the quick parser, which must agree with jansson whenever it takes one; query
 * parameters; JSON strings written must read back; paths, in which an operation is found. */
#include <stdlib.h>
#include <string.h>

#include "net/interfaces.h"
#include "net/v1/v1.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What rg_v1_query needs of a call. */
static void try_query(struct rg_span query)
{
    static const char *const names[] = {"user", "account", "after"};
    struct rg_request req = {.query = query};
    struct rg_call call = {.req = &req};
    struct rg_span values[RG_LEN(names)];
    struct rg_errctx ctx = {.text = ""};
    struct rg_buf scratch;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    if (rg_v1_query(&call, names, values, RG_LEN(names), &scratch, &ctx) == RG_OK)
        for (size_t i = 0; i < RG_LEN(names); i++)
            if (values[i].p != NULL && (values[i].n > query.n || values[i].p[values[i].n] != '\0'))
                abort();
    rg_buf_deinit(&scratch);
}

static void same(const json_t *object, const char *member, struct rg_span text)
{
    const json_t *v = json_object_get(object, member);

    if (!json_is_string(v) || !rg_span_eq(text, rg_span(json_string_value(v), json_string_length(v))))
        abort();
}

static void try_check(struct rg_span body)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_check_names names;
    json_t *json = NULL;

    if (!rg_check_parse(body, &names))
        return;
    if (rg_json_parse_body(body, &json, &ctx) != RG_OK || json_object_size(json) != 3)
        abort();
    same(json, "user", names.user);
    same(json, "account", names.account);
    same(json, "permissionSet", names.permset);
    json_decref(json);
}

static void try_string(struct rg_span text)
{
    struct rg_buf out;
    json_t *json;

    rg_buf_init(&out, 1 << 24);
    rg_json_put_string(&out, text);
    json = json_loadb((const char *)out.data, out.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    if (out.err == RG_OK && !json_is_string(json))
        abort();
    json_decref(json);
    rg_buf_deinit(&out);
}

/* What stands for a star is one whole segment of the path. */
static void try_path(const struct rg_operations *table, struct rg_span path)
{
    struct rg_found found;

    for (size_t i = 0; i < RG_INTERFACES; i++) {
        rg_operations_find(table, rg_interfaces[i], rg_span_str("GET"), path, &found);
        if (found.argument.p != NULL &&
            (found.operation == NULL || found.argument.n == 0 || found.argument.p <= path.p ||
             found.argument.p + found.argument.n > path.p + path.n || found.argument.p[-1] != '/' ||
             memchr(found.argument.p, '/', found.argument.n) != NULL))
            abort();
    }
}

static void try_paths(struct rg_span bytes)
{
    static const char *const around[][2] = {{"", ""}, {"/v1/accounts/", ""}, {"/v1/regions/", "/preflight"}, {"/v1/", ""}};
    static struct rg_operations *table;

    if (table == NULL && rg_operations_new(rg_interfaces, RG_INTERFACES, &table, NULL) != RG_OK)
        abort();
    for (size_t i = 0; i < RG_LEN(around); i++) {
        struct rg_buf path;

        rg_buf_init(&path, 1 << 24);
        rg_buf_put_str(&path, around[i][0]);
        rg_buf_put(&path, bytes.p, bytes.n);
        rg_buf_put_str(&path, around[i][1]);
        try_path(table, rg_buf_span(&path));
        rg_buf_deinit(&path);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of its own size: reading past its end is seen. */
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    try_check(rg_span(copy, size));
    if (size <= RG_HTTP_HEAD_BYTES_MAX)
        try_query(rg_span(copy, size));
    try_string(rg_span(copy, size));
    try_paths(rg_span(copy, size));
    free(copy);
    return 0;
}
