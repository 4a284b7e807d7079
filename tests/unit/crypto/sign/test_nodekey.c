/* crypto/sign/nodekey: a signing key in a file opens with its passphrase and for its purpose, whole or not at all. */
#include <stdio.h>
#include <sys/stat.h>

#include "crypto/digest.h"
#include "crypto/privfile.h"
#include "crypto/sign/nodekey.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

#define PASS rg_span_str("correct horse battery staple")

static char dir[TMPDIR_BYTES], path[256];

static void setup(void)
{
    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/node.key", dir);
}

static void teardown(void) { tmpdir_remove(dir); }

CASE(.setup = setup, .teardown = teardown, .seconds = 100);

static void make(enum rg_keyfile_purpose purpose, uint8_t spki[RG_ES256_SPKI_BYTES])
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;

    ck_assert_int_eq(rg_es256_new(&key), RG_OK);
    ck_assert_int_eq(rg_keyfile_write(path, purpose, key, PASS, NULL), RG_OK);
    memcpy(spki, rg_es256_spki(key).p, RG_ES256_SPKI_BYTES);
}

static void expect(enum rg_keyfile_purpose purpose, struct rg_span passphrase, enum rg_err want, const char *says)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    struct rg_errctx ctx = {.text = ""};

    ck_assert_int_eq(rg_keyfile_read(path, purpose, passphrase, &key, &ctx), want);
    ck_assert_msg(strstr(ctx.text, says) != NULL, "%s: %s", says, ctx.text);
    ck_assert(key == NULL);
}

TEST(written_and_read)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    uint8_t spki[RG_ES256_SPKI_BYTES], shown[RG_ES256_SPKI_BYTES], rs[64];

    make(RG_KEYFILE_NODE, spki);
    ck_assert_int_eq(rg_keyfile_spki(path, RG_KEYFILE_NODE, shown, NULL), RG_OK);
    ck_assert_mem_eq(shown, spki, sizeof spki);
    ck_assert_int_eq(rg_keyfile_read(path, RG_KEYFILE_NODE, PASS, &key, NULL), RG_OK);
    ck_assert_mem_eq(rg_es256_spki(key).p, spki, sizeof spki);
    ck_assert_int_eq(rg_es256_sign(key, "regent-test-1\n", rg_span_str("x"), rs), RG_OK);
    ck_assert_int_eq(rg_es256_verify(rg_span(spki, sizeof spki), "regent-test-1\n", rg_span_str("x"), rs), RG_OK);
    ck_assert_int_eq(rg_keyfile_write(path, RG_KEYFILE_NODE, key, PASS, NULL), RG_ECONFLICT); /* never over another */
}

TEST(refusals)
{
    RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
    uint8_t spki[RG_ES256_SPKI_BYTES];

    expect(RG_KEYFILE_NODE, PASS, RG_ENOTFOUND, path);
    make(RG_KEYFILE_NODE, spki);
    expect(RG_KEYFILE_NODE, rg_span_str("another"), RG_EKEY, "passphrase is wrong");
    expect(RG_KEYFILE_NODE, rg_span(NULL, 0), RG_EINVALID, "passphrase of 1 to");
    expect(RG_KEYFILE_OPERATOR, PASS, RG_EKEY, "it is a node key");
    ck_assert_int_eq(rg_keyfile_spki(path, RG_KEYFILE_ROOT, spki, NULL), RG_EKEY);
    ck_assert_int_eq(chmod(path, 0640), 0);
    expect(RG_KEYFILE_NODE, PASS, RG_EDENIED, "0600");
    ck_assert_int_eq(rg_es256_new(&key), RG_OK);
    ck_assert_int_eq(rg_keyfile_write(path, RG_KEYFILE_NODE, key, rg_span(NULL, 0), NULL), RG_EINVALID);
}

/* A flipped bit is found by the header's checksum, or by the seal; behind a checksum made right again the header is what the seal binds. */
TEST(tampered)
{
    RG_AUTO_BUF struct rg_buf whole = {.max = 0};
    uint8_t spki[RG_ES256_SPKI_BYTES];
    const size_t header = 4 + 2 + 4 + 2 + 16 + 12 + RG_ES256_SPKI_BYTES;

    make(RG_KEYFILE_NODE, spki);
    rg_buf_init(&whole, RG_KEYFILE_BYTES_MAX);
    ck_assert_int_eq(rg_privfile_read(path, "key", RG_PRIVFILE_SECRET, &whole, NULL), RG_OK);
    for (size_t at = 0; at < whole.len; at++) {
        for (int again = 0; again < 2; again++) {
            RG_AUTO(es256_key) struct rg_es256_key *key = NULL;
            uint8_t copy[RG_KEYFILE_BYTES_MAX];
            uint32_t crc;

            if (again && (at >= header || (at > 12 && at % 16 != 0))) /* each costs an scrypt: some of salt, nonce and public half */
                continue;
            if (!again && at > header + 4 && at % 8 != 0)
                continue;
            memcpy(copy, whole.data, whole.len);
            copy[at] ^= 1;
            crc = rg_crc32c(0, copy, header);
            for (size_t i = 0; again && i < 4; i++)
                copy[header + i] = (uint8_t)(crc >> 8 * i);
            ck_assert_int_eq(rg_privfile_write(path, "key", RG_PRIVFILE_SECRET | RG_PRIVFILE_REPLACE, rg_span(copy, whole.len), NULL),
                             RG_OK);
            ck_assert_msg(rg_keyfile_read(path, RG_KEYFILE_NODE, PASS, &key, NULL) == RG_EKEY, "byte %zu", at);
        }
    }
    for (size_t n = 0; n < whole.len; n += 7) {
        RG_AUTO(es256_key) struct rg_es256_key *key = NULL;

        ck_assert_int_eq(rg_privfile_write(path, "key", RG_PRIVFILE_SECRET | RG_PRIVFILE_REPLACE, rg_span(whole.data, n), NULL), RG_OK);
        ck_assert_int_eq(rg_keyfile_read(path, RG_KEYFILE_NODE, PASS, &key, NULL), RG_EKEY);
    }
}
