#include "cmd/config/routes.h"

#include <stdio.h>

#include "cmd/config/yaml_rows.h"
#include "crypto/privfile.h"

static const struct rg_yaml_row *field(struct rg_yaml *yaml, size_t i, const char *name)
{
    char path[64];

    snprintf(path, sizeof path, "routes[%zu].%s", i, name);
    return rg_yaml_get(yaml, path);
}

static bool address_ok(const char *text)
{
    const char *colon = strrchr(text, ':');

    return colon != NULL && colon > text && strlen(text) < 128 && colon[1] != '\0' &&
           strspn(colon + 1, "0123456789") == strlen(colon + 1) && atol(colon + 1) >= 1 && atol(colon + 1) <= 65535;
}

static enum rg_err search(struct rg_yaml *yaml, const char *wanted, char via_out[128], struct rg_errctx *ctx)
{
    const struct rg_yaml_row *to, *via, *extra;

    for (size_t i = 0; (to = field(yaml, i, "to")) != NULL; i++) {
        via = field(yaml, i, "via");
        if (via == NULL)
            return rg_fail(ctx, RG_EINVALID, "%s:%u: routes[%zu].via: is missing", yaml->file, to->line, i);
        for (unsigned k = 0; k < 2; k++) {
            const struct rg_yaml_row *row = k == 0 ? to : via;

            if (!address_ok(row->value))
                return rg_fail(ctx, RG_EINVALID, "%s:%u: %s: must be host:port", yaml->file, row->line, row->path);
        }
        if (wanted != NULL && strcmp(to->value, wanted) == 0)
            memcpy(via_out, via->value, strlen(via->value) + 1); /* address_ok: under 128 bytes */
    }
    extra = rg_yaml_unused(yaml);
    if (extra != NULL && !(strcmp(extra->path, "routes") == 0 && extra->value[0] == '\0'))
        return rg_fail(ctx, RG_EINVALID, "%s:%u: %s: no such field", yaml->file, extra->line, extra->path);
    return RG_OK;
}

static enum rg_err look(const char *path, const char *to, char via[128], struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_yaml yaml;
    enum rg_err err;

    rg_buf_init(&text, RG_ROUTES_BYTES_MAX);
    err = rg_privfile_read(path, "link_routes", 0, &text, ctx);
    if (!err)
        err = rg_yaml_parse(path, rg_buf_span(&text), &yaml, ctx);
    if (err)
        return err;
    err = search(&yaml, to, via, ctx);
    rg_yaml_deinit(&yaml);
    return err;
}

enum rg_err rg_routes_find(const char *path, const char *to, char ret_via[128], struct rg_errctx *ctx)
{
    char via[128] = "";
    enum rg_err err = look(path, to, via, ctx);

    if (!err)
        memcpy(ret_via, via, sizeof via);
    return err;
}

enum rg_err rg_routes_check(const char *path, struct rg_errctx *ctx) { return look(path, NULL, NULL, ctx); }
