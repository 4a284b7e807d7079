/* net/join_token, base/base64: any text is a token within bounds or is refused with a reason; what decodes encodes and decodes. */
#include "base/base64.h"
#include "net/ops/join_token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void token(struct rg_span text)
{
    struct rg_errctx ctx = {.text = ""};
    RG_AUTO_BUF struct rg_buf again = {.max = 0};
    struct rg_join_offer offer, second;

    if (rg_join_token_decode(text, &offer, &ctx) != RG_OK) {
        RG_ASSERT(ctx.text[0] != '\0');
        return;
    }
    RG_ASSERT(offer.n_urls >= 1 && offer.n_urls <= RG_JOIN_URLS_MAX && offer.secret[0] != '\0');
    rg_buf_init(&again, 4 * RG_JOIN_TOKEN_BYTES_MAX);
    if (rg_join_token_encode(&offer, &again) == RG_OK &&
        rg_join_token_decode(rg_buf_span(&again), &second, NULL) == RG_OK)
        rg_join_offer_deinit(&second);
    rg_join_offer_deinit(&offer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char head[] = "{\"cluster\":\"rc\",\"region\":\"r\",\"ca\":\"-----BEGIN CERTIFICATE-----\",\"secret\":\"s\",\"urls\":[\"http://";
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf json = {.max = 0};
    RG_AUTO_BUF struct rg_buf back = {.max = 0};

    rg_buf_init(&text, 65536);
    rg_buf_init(&json, 65536);
    rg_buf_init(&back, 65536);
    token(rg_span(data, size));
    for (enum rg_base64 form = RG_BASE64; form <= RG_BASE64_URL; form++) {
        rg_buf_clear(&text);
        rg_buf_clear(&back);
        if (rg_base64_get(rg_span(data, RG_MIN(size, (size_t)4096)), form, &back)) { /* one text for each value */
            rg_base64_put(&text, form, rg_buf_span(&back));
            RG_ASSERT(rg_span_eq(rg_buf_span(&text), rg_span(data, RG_MIN(size, (size_t)4096))));
        }
    }
    rg_buf_put(&json, head, size % 2 * (sizeof head - 1));
    rg_buf_put(&json, data, RG_MIN(size, (size_t)4096));
    if (size % 2)
        rg_buf_put_str(&json, "\"]}");
    rg_buf_clear(&text);
    rg_buf_put_str(&text, "rgj1.");
    rg_base64_put(&text, RG_BASE64_URL, rg_buf_span(&json));
    token(rg_buf_span(&text));
    return 0;
}
