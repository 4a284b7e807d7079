/* cmd/dev/proxy_control.h: what a running proxy of links is told: one JSON object in, one out. Knows no socket. */
#ifndef REGENT_CMD_DEV_PROXY_CONTROL_H
#define REGENT_CMD_DEV_PROXY_CONTROL_H

#include <jansson.h>

#include "base/buf.h"
#include "cmd/dev/proxy.h"

#define RG_PROXY_REQUEST_BYTES_MAX (512 * 1024)
#define RG_PROXY_ANSWER_BYTES_MAX (512 * 1024)

/* The proxy's file: what it begins with. */
struct rg_proxy_config {
    uint64_t rtt_ms, jitter_ms;
    struct rg_proxy_port *ports; /* own */
    size_t n_ports;
};
/** Decode; name is for messages. RG_EMALFORMED, RG_EINVALID with the field. */
RG_MUST enum rg_err rg_proxy_config_decode(const char *name, struct rg_span text, struct rg_proxy_config *ret_config,
                                           struct rg_errctx *ctx);
/** Pretty JSON, appended. */
RG_MUST enum rg_err rg_proxy_config_encode(const struct rg_proxy_config *config, struct rg_buf *out);
void rg_proxy_config_deinit(struct rg_proxy_config *config);
/** [{"from","fromRegion","to","toRegion","listen"}] of ports; NULL without memory. */
json_t *rg_proxy_ports_json(const struct rg_proxy_port *ports, size_t n);
/** The rule that a configuration gives to every line. */
struct rg_proxy_rule rg_proxy_config_rule(const struct rg_proxy_config *config);

/**
 * Do what a request asks: {"op": "show" | "cut" | "stall" | "heal" | "delay" | "add" | "remove", …}. The answer, always
 * one line of JSON, is appended to out: {"ok":true,"links":[…]} or {"ok":false,"code","message"}.
 */
void rg_proxy_control(struct rg_proxy *proxy, struct rg_span request, struct rg_buf *out);

#endif
