/* Any bytes as a command in JSON: an object with a kind, which reads back the same. */
#include <stdlib.h>

#include "store/db/command_json.h"
#include "store/db/command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(struct rg_span bytes, bool command)
{
    json_t *json = rg_command_json(bytes), *again;
    char *text;

    if (!json_is_object(json) || !json_is_string(json_object_get(json, "kind")))
        abort();
    if (command && json_object_get(json, "malformed") != NULL && rg_tlv_valid(bytes))
        abort();
    text = json_dumps(json, JSON_COMPACT);
    if (text == NULL)
        abort();
    again = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    if (again == NULL || !json_equal(json, again))
        abort();
    free(text);
    json_decref(again);
    json_decref(json);
}

/* As they come, and as the fields of a good command. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};

    check(rg_span(data, size), false);
    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&cmd, RG_CMD_USER_CREATE, 1, rg_span_str("f"));
    if (size > 0)
        rg_buf_put_varint(&cmd, 32 + data[0] % 60);
    if (size > 1) {
        rg_buf_put_varint(&cmd, RG_MIN(size - 1, (size_t)(data[1] % 40)));
        rg_buf_put(&cmd, data + 1, size - 1);
    }
    if (!cmd.err)
        check(rg_buf_span(&cmd), false);
    rg_tlv_put(&cmd, RG_F_ATTRS, rg_span(data, size));
    if (!cmd.err)
        check(rg_buf_span(&cmd), false);
    return 0;
}
