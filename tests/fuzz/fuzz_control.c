/* cmd/control: any bytes are a control frame, a candidate's hello, or an error; what decodes encodes and decodes again. */
#include "net/link/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void frame(struct rg_span bytes)
{
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    struct rg_errctx ctx = {.text = ""};
    enum rg_control_type type;
    json_t *object, *second;
    uint64_t number;

    if (rg_control_decode(bytes, &type, &number, &object, &ctx) != RG_OK) {
        RG_ASSERT(ctx.text[0] != '\0');
        return;
    }
    RG_ASSERT(json_is_object(object) && number != 0);
    rg_buf_init(&again, 16 * RG_CONTROL_FRAME_BYTES_MAX);
    if (rg_control_encode(type, number, object, &again) == RG_OK &&
        rg_control_decode(rg_buf_span(&again), &type, &number, &second, NULL) == RG_OK)
        json_decref(second);
    json_decref(object);
}

static void hello(struct rg_span bytes)
{
    struct rg_candidate_hello h, second;
    RG_AUTO_BUF struct rg_buf again = {.max = 0};

    if (rg_candidate_hello_decode(bytes, &h, NULL) != RG_OK)
        return;
    rg_buf_init(&again, 1024);
    rg_candidate_hello_encode(&h, &again);
    RG_ASSERT(rg_candidate_hello_decode(rg_buf_span(&again), &second, NULL) == RG_OK);
    RG_ASSERT(second.from == h.from && second.to == h.to && strcmp(second.region, h.region) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RG_AUTO_BUF struct rg_buf framed = {.max = 0};

    frame(rg_span(data, size));
    hello(rg_span(data, size));
    rg_buf_init(&framed, RG_CONTROL_FRAME_BYTES_MAX);
    rg_buf_put_u8(&framed, RG_CONTROL_BYTE);
    rg_buf_put_u8(&framed, (uint8_t)(1 + size % 3));
    rg_buf_put_u64(&framed, 7);
    rg_buf_put(&framed, data, RG_MIN(size, (size_t)4096));
    frame(rg_buf_span(&framed));
    rg_buf_clear(&framed);
    rg_buf_put_u8(&framed, RG_CONTROL_BYTE);
    rg_buf_put(&framed, data, RG_MIN(size, (size_t)4096));
    hello(rg_buf_span(&framed));
    return 0;
}
