#include "cmd/runbook/template.h"

static struct rg_span trim(struct rg_span s)
{
    while (s.n > 0 && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

static const char *value_of(struct rg_span name, const struct rg_template_value *values, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (rg_span_is(name, values[i].name))
            return values[i].value;
    return NULL;
}

static enum rg_err unknown(struct rg_span name, unsigned line, const struct rg_template_value *values, size_t n,
                           struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf names = {.max = 0};

    rg_buf_init(&names, 400);
    for (size_t i = 0; i < n; i++)
        rg_buf_printf(&names, "%s%s", i > 0 ? ", " : "", values[i].name);
    return rg_fail(ctx, RG_EINVALID, "line %u: {{%.*s}} is not known; there are: %.*s", line, (int)RG_MIN(name.n, (size_t)60),
                   (const char *)name.p, (int)names.len, (const char *)names.data);
}

enum rg_err rg_template_render(struct rg_span text, const struct rg_template_value *values, size_t n, struct rg_buf *out,
                               struct rg_errctx *ctx)
{
    const uint8_t *p = text.p, *end = text.n > 0 ? text.p + text.n : text.p;
    unsigned line = 1;

    while (p < end) {
        const uint8_t *open = memmem(p, (size_t)(end - p), "{{", 2), *close;
        const char *value;
        struct rg_span name;

        for (const uint8_t *c = p; c < (open != NULL ? open : end); c++)
            line += *c == '\n';
        rg_buf_put(out, p, (size_t)((open != NULL ? open : end) - p));
        if (open == NULL)
            break;
        close = memmem(open + 2, (size_t)(end - open - 2), "}}", 2);
        if (close == NULL || memchr(open, '\n', (size_t)(close - open)) != NULL)
            return rg_fail(ctx, RG_EINVALID, "line %u: {{ without }}", line);
        name = trim(rg_span(open + 2, (size_t)(close - open - 2)));
        value = value_of(name, values, n);
        if (value == NULL)
            return unknown(name, line, values, n, ctx);
        rg_buf_put_str(out, value);
        p = close + 2;
    }
    return out->err;
}
