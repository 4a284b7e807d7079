/* cmd/yaml: any bytes give rows or an error. */
#include "cmd/config/yaml_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_yaml yaml;

    if (rg_yaml_parse("fuzz", rg_span(data, size), &yaml, &ctx) == RG_OK) {
        (void)rg_yaml_get(&yaml, "a.b");
        (void)rg_yaml_unused(&yaml);
        rg_yaml_deinit(&yaml);
    }
    return 0;
}
