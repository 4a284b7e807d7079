/* cmd/evidence: any bytes are a good record or name a bad line; only what was signed is taken. */
#include "cmd/runbook/evidence.h"
#include "cmd/runbook/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct rg_evidence_key key = {.secret = "a secret that no input knows", .secret_id = "AKIAFUZZ"};
    const struct rg_template_value value = {"a", "b"};
    struct rg_evidence_report report;
    struct rg_errctx ctx = {.text = ""};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    RG_ASSERT(rg_evidence_verify(rg_span(data, size), &key, &report, &ctx) != RG_OK);
    RG_ASSERT(report.bad_line == 0 || report.bad_line == report.lines + 1);
    rg_buf_init(&out, 4096);
    if (rg_template_render(rg_span(data, size), &value, 1, &out, &ctx) == RG_OK)
        RG_ASSERT(out.len <= size);
    return 0;
}
