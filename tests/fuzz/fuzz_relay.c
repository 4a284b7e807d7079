/* net/relay/wire: any bytes are a request or an answer within an HTTP server's bounds, or are refused; what decodes encodes and
 * decodes to the same. */
#include "net/relay/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool clean(struct rg_span text)
{
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '\r' || text.p[i] == '\n' || text.p[i] == '\0')
            return false;
    return true;
}

static void again(struct rg_request *req)
{
    static struct rg_request second;
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_buf_init(&out, RG_RELAY_FRAME_BYTES_MAX);
    RG_ASSERT(rg_relay_put_request(req, &out) == RG_OK);
    RG_ASSERT(rg_relay_get_request(rg_span(out.data + 9, out.len - 9), &second) == RG_OK);
    RG_ASSERT(rg_span_eq(req->path, second.path) && rg_span_eq(req->query, second.query) && rg_span_eq(req->body, second.body));
    RG_ASSERT(req->n_headers == second.n_headers);
}

static void request(struct rg_span fields)
{
    static struct rg_request req;

    if (rg_relay_get_request(fields, &req) != RG_OK)
        return;
    RG_ASSERT(req.n_headers <= RG_HTTP_HEADERS_MAX && req.body.n <= RG_HTTP_BODY_BYTES_MAX && req.path.p[0] == '/');
    RG_ASSERT(clean(req.method) && clean(req.path) && clean(req.query) && clean(req.authority));
    for (size_t i = 0; i < req.n_headers; i++)
        RG_ASSERT(req.headers[i].name.n > 0 && clean(req.headers[i].name) && clean(req.headers[i].value));
    again(&req);
}

static void answer(struct rg_span fields)
{
    struct rg_relay_answer a;

    if (rg_relay_get_answer(fields, &a) != RG_OK)
        return;
    RG_ASSERT(a.status >= 200 && a.status <= 599 && a.n_headers <= RG_RELAY_HEADERS_MAX);
    RG_ASSERT(clean(rg_span_str(a.content_type)));
    for (size_t i = 0; i < a.n_headers; i++)
        RG_ASSERT(a.headers[i].name.n > 0 && clean(a.headers[i].name) && clean(a.headers[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint8_t head[] = {1, 3, 'P', 'U', 'T', 2, 1, '/', 9, 2, 0xc8, 0x01};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    enum rg_relay_type type;
    struct rg_span fields;
    uint64_t number;

    if (rg_relay_decode(rg_span(data, size), &type, &number, &fields) == RG_OK)
        RG_ASSERT(number != 0 && fields.n == size - 9);
    RG_ASSERT(rg_relay_get_refusal(rg_span(data, size)) != RG_OK);
    rg_buf_init(&bytes, 1 << 20);
    rg_buf_put(&bytes, head, sizeof head); /* so that some inputs are whole */
    rg_buf_put(&bytes, data, RG_MIN(size, (size_t)65536));
    request(rg_buf_span(&bytes));
    answer(rg_buf_span(&bytes));
    request(rg_span(data, size));
    answer(rg_span(data, size));
    return 0;
}
