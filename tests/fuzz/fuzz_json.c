/* The JSON reader: whatever the bytes, they are refused, or written again they read back as the same. A body of the AWS interfaces
 * fits the shape of an operation or is refused; what fits can be written and fits again. Patterns and page tokens of the same bytes. */
#include <stdlib.h>
#include <string.h>

#include "net/aws/aws.h"
#include "base/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is read at once is what jansson reads. */
static void try_plain(struct rg_span text)
{
    json_t *plain = rg_json_plain(text), *full;

    if (plain == NULL)
        return;
    full = json_loadb((const char *)text.p, text.n, JSON_REJECT_DUPLICATES, NULL);
    if (full == NULL || !json_equal(plain, full))
        abort();
    json_decref(full);
    json_decref(plain);
}

static void try_value(struct rg_span text)
{
    json_error_t error = {.text = ""};
    json_t *json = rg_json_parse(text, &error), *again;
    struct rg_buf out;

    if (json == NULL) {
        if (error.text[0] == '\0' || error.position < 0 || (size_t)error.position > text.n + 1)
            abort();
        return;
    }
    if (memchr(text.p, 0, text.n) != NULL)
        abort();
    rg_buf_init(&out, 1 << 24);
    rg_json_put_value(&out, json);
    again = rg_json_parse(rg_buf_span(&out), NULL);
    if (out.err != RG_OK || !json_equal(json, again))
        abort();
    rg_buf_deinit(&out);
    json_decref(again);
    json_decref(json);
}

static void try_shape(const struct rg_shape *members, const json_t *json)
{
    const struct rg_shape whole = {NULL, RG_SHAPE_STRUCT, false, 0, 0, RG_PAT_ANY, NULL, members, false};
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_shape_check(members, json, &ctx);
    struct rg_buf out;
    json_t *again;

    if (err != RG_OK) {
        if ((err != RG_EINVALID && err != RG_EMALFORMED) || ctx.text[0] == '\0')
            abort();
        return;
    }
    rg_buf_init(&out, 1 << 24);
    rg_shape_put(&out, &whole, json);
    if (out.err != RG_OK || rg_json_parse_body(rg_buf_span(&out), &again, &ctx) != RG_OK ||
        rg_shape_check(members, again, &ctx) != RG_OK)
        abort();
    json_decref(again);
    rg_buf_deinit(&out);
}

static void try_body(struct rg_span body)
{
    struct rg_errctx ctx = {.text = ""};
    json_t *json = NULL;

    if (rg_json_parse_body(body, &json, &ctx) != RG_OK)
        return;
    if (!json_is_object(json))
        abort();
    for (size_t s = 0; s < rg_aws_interface.n_services; s++)
        for (size_t i = 0; i < rg_aws_interface.services[s]->n; i++)
            try_shape(rg_aws_interface.services[s]->operations[i].input, json);
    json_decref(json);
}

static void try_text(struct rg_span text)
{
    const uint8_t *p = text.p, *end = p + text.n;
    uint8_t key[RG_PAGE_KEY_BYTES_MAX];
    size_t n;

    while (p < end) {
        uint32_t point = rg_utf8_next(&p, end);

        if (point > 0x10ffff || p > end)
            abort();
        (void)rg_char_class(point);
    }
    for (int pattern = 0; pattern < RG_PATTERNS; pattern++)
        (void)rg_pattern_matches((enum rg_pattern)pattern, text);
    if (rg_page_token_get(text, "ListUsers", rg_span_str("q"), key, &n) == RG_OK) {
        struct rg_buf out;

        rg_buf_init(&out, 1000);
        rg_page_token_put(&out, "ListUsers", rg_span_str("q"), rg_span(key, n));
        if (!rg_span_eq(rg_buf_span(&out), text))
            abort();
        rg_buf_deinit(&out);
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
    try_plain(rg_span(copy, size));
    try_value(rg_span(copy, size));
    try_body(rg_span(copy, size));
    try_text(rg_span(copy, size));
    free(copy);
    return 0;
}
