/* cmd/proxy_control: any bytes give one line of JSON, or a configuration or an error. No port is opened: `add` needs regions
 * and a number that such bytes hardly have; those that do are taken away again. */
#include <uv.h>

#include "cmd/dev/proxy_control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void control(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf out = {.max = 0};
    struct rg_proxy_rule rule = {.delay_us = 0};
    struct rg_proxy *proxy;
    uv_loop_t loop;

    RG_ASSERT(uv_loop_init(&loop) == 0);
    RG_ASSERT(rg_proxy_new(&loop, NULL, &rule, 1, &proxy) == RG_OK);
    rg_buf_init(&out, RG_PROXY_ANSWER_BYTES_MAX);
    rg_proxy_control(proxy, bytes, &out);
    RG_ASSERT(out.len > 2 && memchr(out.data, '\n', out.len) == out.data + out.len - 1);
    rg_proxy_close(proxy, NULL, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    RG_ASSERT(uv_loop_close(&loop) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_proxy_config config;

    if (rg_proxy_config_decode("fuzz", rg_span(data, size), &config, &ctx) == RG_OK)
        rg_proxy_config_deinit(&config);
    control(rg_span(data, size));
    return 0;
}
