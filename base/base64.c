#include "base/base64.h"

static const char digits[2][65] = {
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

void rg_base64_put(struct rg_buf *out, enum rg_base64 form, struct rg_span bytes)
{
    for (size_t i = 0; i < bytes.n; i += 3) {
        size_t n = RG_MIN(bytes.n - i, (size_t)3);
        uint32_t v = (uint32_t)bytes.p[i] << 16 | (n > 1 ? (uint32_t)bytes.p[i + 1] << 8 : 0) |
                     (n > 2 ? bytes.p[i + 2] : 0);

        for (size_t k = 0; k < 4; k++)
            if (k <= n)
                rg_buf_put_u8(out, (uint8_t)digits[form][v >> (18 - 6 * k) & 63]);
            else if (form == RG_BASE64)
                rg_buf_put_u8(out, '=');
    }
}

static int value_of(enum rg_base64 form, uint8_t c)
{
    const char *at = c != 0 ? strchr(digits[form], c) : NULL;

    return at != NULL ? (int)(at - digits[form]) : -1;
}

bool rg_base64_get(struct rg_span text, enum rg_base64 form, struct rg_buf *out)
{
    size_t n = text.n;

    if (form == RG_BASE64) {
        if (n % 4 != 0)
            return false;
        for (int i = 0; i < 2 && n > 0 && text.p[n - 1] == '='; i++)
            n--;
    }
    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i += 4) {
        size_t k, digits_here = RG_MIN(n - i, (size_t)4);
        uint32_t v = 0;

        for (k = 0; k < digits_here; k++) {
            int d = value_of(form, text.p[i + k]);

            if (d < 0)
                return false;
            v |= (uint32_t)d << (18 - 6 * k);
        }
        if ((v & (0xffffffu >> (8 * (k - 1)) & 0xffffffu)) != 0 && k < 4) /* bits of no byte */
            return false;
        for (size_t b = 0; b + 1 < k; b++)
            rg_buf_put_u8(out, (uint8_t)(v >> (16 - 8 * b)));
    }
    return out->err == RG_OK;
}
