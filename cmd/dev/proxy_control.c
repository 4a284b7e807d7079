#include "cmd/dev/proxy_control.h"

#include <stdio.h>

#include "base/json.h"

#define DELAY_MS_MAX (RG_PROXY_DELAY_US_MAX / 1000)

/* ---- fields ---- */

static enum rg_err get_text(const json_t *object, const char *key, char *out, size_t size, struct rg_errctx *ctx)
{
    const json_t *value = json_object_get(object, key);

    if (!json_is_string(value) || json_string_length(value) == 0)
        return rg_fail(ctx, RG_EINVALID, "%s: is missing or not a string", key);
    if (json_string_length(value) >= size || strlen(json_string_value(value)) != json_string_length(value))
        return rg_fail(ctx, RG_EINVALID, "%s: is too long or not plain text", key);
    memcpy(out, json_string_value(value), json_string_length(value) + 1);
    return RG_OK;
}

static enum rg_err get_number(const json_t *object, const char *key, uint64_t min, uint64_t max, uint64_t *out,
                              struct rg_errctx *ctx)
{
    const json_t *value = json_object_get(object, key);
    json_int_t n = json_integer_value(value);

    if (!json_is_integer(value) || n < 0 || (uint64_t)n < min || (uint64_t)n > max)
        return rg_fail(ctx, RG_EINVALID, "%s: must be a number from %llu to %llu", key, (unsigned long long)min,
                       (unsigned long long)max);
    *out = (uint64_t)n;
    return RG_OK;
}

/* Milliseconds, parts of them too. */
static enum rg_err get_ms(const json_t *object, const char *key, uint32_t *out_us, struct rg_errctx *ctx)
{
    const json_t *value = json_object_get(object, key);
    double ms = json_number_value(value);

    if (!json_is_number(value) || !(ms >= 0 && ms <= DELAY_MS_MAX))
        return rg_fail(ctx, RG_EINVALID, "%s: must be milliseconds from 0 to %u", key, DELAY_MS_MAX);
    *out_us = (uint32_t)(ms * 1000 + 0.5);
    return RG_OK;
}

/* ---- ports ---- */

static enum rg_err get_port(const json_t *json, struct rg_proxy_port *port, struct rg_errctx *ctx)
{
    uint64_t listen = 0;
    enum rg_err err = get_text(json, "from", port->from, sizeof port->from, ctx);

    if (!err)
        err = get_text(json, "fromRegion", port->from_region, sizeof port->from_region, ctx);
    if (!err)
        err = get_text(json, "to", port->to, sizeof port->to, ctx);
    if (!err)
        err = get_text(json, "toRegion", port->to_region, sizeof port->to_region, ctx);
    if (!err)
        err = get_number(json, "listen", 1, 65535, &listen, ctx);
    port->listen = (uint16_t)listen;
    return err;
}

static enum rg_err get_ports(const json_t *root, struct rg_proxy_port **ret_ports, size_t *ret_n, struct rg_errctx *ctx)
{
    const json_t *list = json_object_get(root, "ports");
    size_t n = json_array_size(list);
    RG_AUTO_MEM struct rg_proxy_port *ports = calloc(n + 1, sizeof *ports);

    if (!json_is_array(list) || n > RG_PROXY_PORTS_MAX)
        return rg_fail(ctx, RG_EINVALID, "ports: must be a list of at most %d", RG_PROXY_PORTS_MAX);
    if (ports == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct rg_errctx why = {.text = ""};
        enum rg_err err = get_port(json_array_get(list, i), &ports[i], &why);

        if (err)
            return rg_fail(ctx, err, "ports[%zu].%s", i, why.text);
    }
    *ret_ports = RG_STEAL(ports);
    *ret_n = n;
    return RG_OK;
}

json_t *rg_proxy_ports_json(const struct rg_proxy_port *ports, size_t n)
{
    json_t *list = json_array();

    for (size_t i = 0; list != NULL && i < n; i++) {
        json_t *port = json_pack("{s:s, s:s, s:s, s:s, s:i}", "from", ports[i].from, "fromRegion", ports[i].from_region, "to",
                                 ports[i].to, "toRegion", ports[i].to_region, "listen", (int)ports[i].listen);

        if (json_array_append_new(list, port) != 0) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

/* ---- the file ---- */

enum rg_err rg_proxy_config_decode(const char *name, struct rg_span text, struct rg_proxy_config *ret_config,
                                   struct rg_errctx *ctx)
{
    struct rg_proxy_config config = {.rtt_ms = 0};
    struct rg_errctx why = {.text = ""};
    json_error_t error;
    json_t *root = rg_json_parse(text, &error);
    enum rg_err err;

    if (root == NULL)
        return rg_fail(ctx, RG_EMALFORMED, "%s:%d: %s", name, error.line, error.text);
    err = get_number(root, "rttMs", 0, 2 * DELAY_MS_MAX, &config.rtt_ms, &why);
    if (!err)
        err = get_number(root, "jitterMs", 0, DELAY_MS_MAX, &config.jitter_ms, &why);
    if (!err)
        err = get_ports(root, &config.ports, &config.n_ports, &why);
    json_decref(root);
    if (err)
        return rg_fail(ctx, err, "%s: %s", name, rg_errctx_text(&why, err));
    *ret_config = config;
    return RG_OK;
}

enum rg_err rg_proxy_config_encode(const struct rg_proxy_config *config, struct rg_buf *out)
{
    json_t *root = json_pack("{s:I, s:I, s:o}", "rttMs", (json_int_t)config->rtt_ms, "jitterMs",
                             (json_int_t)config->jitter_ms, "ports", rg_proxy_ports_json(config->ports, config->n_ports));
    char *text = root != NULL ? json_dumps(root, JSON_INDENT(2)) : NULL;

    json_decref(root);
    if (text == NULL)
        return RG_ENOMEM;
    rg_buf_printf(out, "%s\n", text);
    free(text);
    return out->err;
}

void rg_proxy_config_deinit(struct rg_proxy_config *config)
{
    free(config->ports);
    *config = (struct rg_proxy_config){.rtt_ms = 0};
}

struct rg_proxy_rule rg_proxy_config_rule(const struct rg_proxy_config *config)
{
    return (struct rg_proxy_rule){.delay_us = (uint32_t)(config->rtt_ms * 500), .jitter_us = (uint32_t)(config->jitter_ms * 1000)};
}

/* ---- requests ---- */

enum change_kind { CUT, STALL, HEAL, DELAY };

struct change {
    enum change_kind what;
    char a[33], b[33]; /* empty: every line */
    bool one_way;
    uint32_t delay_us, jitter_us;
};

static void change_rule(const struct change *change, struct rg_proxy_rule *rule)
{
    switch (change->what) {
    case CUT: rule->cut = true; break;
    case STALL: rule->stalled = true; break;
    case HEAL: rule->cut = rule->stalled = false; break;
    case DELAY:
        rule->delay_us = change->delay_us;
        rule->jitter_us = change->jitter_us;
        break;
    }
}

static enum rg_err no_such_line(struct rg_proxy *proxy, const struct change *change, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf names = {.max = 0};
    struct rg_proxy_path path;

    rg_buf_init(&names, 600);
    for (size_t i = 0; rg_proxy_show(proxy, i, &path) && !names.err; i++)
        if (strcmp(path.from, path.to) < 0)
            rg_buf_printf(&names, "%s%s %s", names.len > 0 ? ", " : "", path.from, path.to);
    return rg_fail(ctx, RG_ENOTFOUND, "no line between %s and %s; there are: %.*s", change->a, change->b, (int)names.len,
                   (const char *)names.data);
}

static enum rg_err apply_change(struct rg_proxy *proxy, const struct change *change, struct rg_errctx *ctx)
{
    struct rg_proxy_path path;

    if (change->a[0] == '\0') {
        for (size_t i = 0; rg_proxy_show(proxy, i, &path); i++)
            change_rule(change, rg_proxy_rule(proxy, path.from, path.to));
        return rg_proxy_apply(proxy, ctx);
    }
    if (rg_proxy_rule(proxy, change->a, change->b) == NULL)
        return no_such_line(proxy, change, ctx);
    change_rule(change, rg_proxy_rule(proxy, change->a, change->b));
    if (!change->one_way)
        change_rule(change, rg_proxy_rule(proxy, change->b, change->a));
    return rg_proxy_apply(proxy, ctx);
}

static enum rg_err ask_change(struct rg_proxy *proxy, const json_t *request, enum change_kind what, struct rg_errctx *ctx)
{
    bool all = json_object_get(request, "a") == NULL && json_object_get(request, "b") == NULL;
    struct change change = {.what = what, .one_way = rg_json_flag(request, "oneWay")};
    enum rg_err err = RG_OK;

    if (change.one_way && (all || what == CUT))
        return rg_fail(ctx, RG_EINVALID, "oneWay: a line can be stalled, healed or delayed one way, not cut");
    if (!all)
        err = get_text(request, "a", change.a, sizeof change.a, ctx);
    if (!err && !all)
        err = get_text(request, "b", change.b, sizeof change.b, ctx);
    if (!err && what == DELAY)
        err = get_ms(request, "ms", &change.delay_us, ctx);
    if (!err && json_object_get(request, "jitterMs") != NULL)
        err = get_ms(request, "jitterMs", &change.jitter_us, ctx);
    return err ? err : apply_change(proxy, &change, ctx);
}

/* All or none. */
static enum rg_err ask_add(struct rg_proxy *proxy, const json_t *request, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_proxy_port *ports = NULL;
    size_t n = 0, done = 0;
    enum rg_err err = get_ports(request, &ports, &n, ctx);

    while (!err && done < n) {
        err = rg_proxy_add(proxy, &ports[done], ctx);
        done += !err;
    }
    while (err && done > 0)
        rg_proxy_drop(proxy, ports[--done].listen);
    return err;
}

static enum rg_err ask_remove(struct rg_proxy *proxy, const json_t *request, struct rg_errctx *ctx)
{
    char address[128];
    enum rg_err err = get_text(request, "address", address, sizeof address, ctx);

    if (!err)
        rg_proxy_remove(proxy, address);
    return err;
}

static enum rg_err ask(struct rg_proxy *proxy, const json_t *request, struct rg_errctx *ctx)
{
    static const struct { const char *op; enum change_kind what; } changes[] = {
        {"cut", CUT}, {"stall", STALL}, {"heal", HEAL}, {"delay", DELAY}};
    const char *op = json_string_value(json_object_get(request, "op"));

    for (size_t i = 0; op != NULL && i < RG_LEN(changes); i++)
        if (strcmp(op, changes[i].op) == 0)
            return ask_change(proxy, request, changes[i].what, ctx);
    if (op != NULL && strcmp(op, "show") == 0)
        return RG_OK;
    if (op != NULL && strcmp(op, "add") == 0)
        return ask_add(proxy, request, ctx);
    if (op != NULL && strcmp(op, "remove") == 0)
        return ask_remove(proxy, request, ctx);
    return rg_fail(ctx, RG_EINVALID, "op: is not one of show, cut, stall, heal, delay, add, remove");
}

static json_t *links_json(struct rg_proxy *proxy)
{
    json_t *list = json_array();
    struct rg_proxy_path p;

    for (size_t i = 0; list != NULL && rg_proxy_show(proxy, i, &p); i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:f, s:f, s:i, s:I, s:I}", "from", p.from, "to", p.to, "state",
                                              p.rule.cut ? "cut" : p.rule.stalled ? "stalled" : "up", "delayMs",
                                              p.rule.delay_us / 1e3, "jitterMs", p.rule.jitter_us / 1e3, "connections",
                                              (int)p.connections, "deliveredBytes", (json_int_t)p.delivered_bytes, "heldBytes",
                                              (json_int_t)p.held_bytes));
    return list;
}

void rg_proxy_control(struct rg_proxy *proxy, struct rg_span request, struct rg_buf *out)
{
    struct rg_errctx ctx = {.text = ""};
    json_error_t error;
    json_t *in = rg_json_parse(request, &error), *answer;
    enum rg_err err = in != NULL ? ask(proxy, in, &ctx) : rg_fail(&ctx, RG_EMALFORMED, "the request: %s", error.text);
    char *text;

    json_decref(in);
    answer = err ? json_pack("{s:b, s:s, s:s}", "ok", 0, "code", rg_err_name(err), "message", rg_errctx_text(&ctx, err))
                 : json_pack("{s:b, s:o}", "ok", 1, "links", links_json(proxy));
    text = answer != NULL ? json_dumps(answer, JSON_COMPACT) : NULL;
    rg_buf_printf(out, "%s\n", text != NULL ? text : "{\"ok\":false,\"code\":\"InternalError\",\"message\":\"out of memory\"}");
    free(text);
    json_decref(answer);
}
