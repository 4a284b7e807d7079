/* Any bytes, cut anywhere: no crash, the state stays sound, and the cut changes nothing. The first byte says how to cut. */
#include "net/http/http1.h"

struct seen {
    unsigned messages, status;
    size_t body, headers;
};

static void run(const uint8_t *data, size_t size, size_t piece, struct seen *seen)
{
    static struct rg_message msg; /* big; its body is freed below */
    struct rg_http1 p;
    bool over = false;

    memset(seen, 0, sizeof *seen);
    rg_message_init(&msg);
    rg_http1_begin(&p, &msg);
    for (size_t from = 0; from < size && !over; from += piece) {
        size_t n = RG_MIN(piece, size - from), at = 0, used;

        while (at < n && !over) {
            enum rg_http1_event event = rg_http1_feed(&p, data + from + at, n - at, &used);

            RG_ASSERT(used <= n - at && (used > 0 || event == RG_HTTP1_REFUSED));
            at += used;
            if (event == RG_HTTP1_REFUSED) {
                RG_ASSERT(p.status >= 400 && p.reason != NULL);
                seen->status = (unsigned)p.status;
                over = true;
            }
            if (event != RG_HTTP1_READY)
                continue;
            RG_ASSERT(msg.req.n_headers <= RG_HTTP_HEADERS_MAX && msg.req.path.n > 0 && msg.req.method.n > 0);
            RG_ASSERT(msg.req.body.n <= RG_HTTP_BODY_BYTES_MAX);
            seen->messages++;
            seen->body += msg.req.body.n;
            for (size_t i = 0; i < msg.req.n_headers; i++)
                seen->headers = seen->headers * 31 + msg.req.headers[i].name.n + 7 * msg.req.headers[i].value.n;
            over = p.close;
            rg_message_reset(&msg);
            rg_http1_begin(&p, &msg);
        }
    }
    rg_buf_deinit(&msg.body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen whole, cut;

    if (size < 2)
        return 0;
    run(data + 1, size - 1, size - 1, &whole);
    run(data + 1, size - 1, 1 + data[0] % 64, &cut);
    RG_ASSERT(memcmp(&whole, &cut, sizeof whole) == 0);
    return 0;
}
