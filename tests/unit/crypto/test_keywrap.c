/* crypto/pki_join, crypto/keywrap: a request becomes a certificate, the shared key reaches its node and no other, and a node that
 * comes back proves who it was. */
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/keywrap.h"
#include "crypto/privfile.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

#define CLUSTER "rc-0123456789abcdef"
#define KEY_ID "mrk-00112233445566778899aabbccddeeff"

static char dir[TMPDIR_BYTES];
static struct rg_buf ca, ca_key, key, csr;
static const struct rg_pki_name node7 = {.cluster_id = CLUSTER, .region = "eu-west-1", .raft_id = 7};

static void must(enum rg_err err, const struct rg_errctx *ctx)
{
    ck_assert_msg(err == RG_OK, "%s: %s", rg_err_symbol(err), ctx->text);
}

static void setup(void)
{
    char cert_path[256], key_path[256];
    struct rg_errctx ctx = {0};

    tmpdir_make(dir);
    snprintf(cert_path, sizeof cert_path, "%s/ca.pem", dir);
    snprintf(key_path, sizeof key_path, "%s/ca.key", dir);
    must(rg_pki_ca_create(CLUSTER, cert_path, key_path, &ctx), &ctx);
    rg_buf_init(&ca, 65536);
    rg_buf_init(&ca_key, 65536);
    rg_buf_init(&key, 65536);
    rg_buf_init(&csr, 65536);
    must(rg_privfile_read(cert_path, "", 0, &ca, &ctx), &ctx);
    must(rg_privfile_read(key_path, "", 0, &ca_key, &ctx), &ctx);
    must(rg_pki_key_csr(&key, &csr, &ctx), &ctx);
    tmpdir_remove(dir);
}

static void teardown(void)
{
    ck_assert_uint_eq(ERR_peek_error(), 0);
    rg_buf_deinit(&ca);
    rg_buf_deinit(&ca_key);
    rg_buf_deinit(&key);
    rg_buf_deinit(&csr);
}

static struct x509_st *sign(const struct rg_pki_name *name)
{
    struct rg_errctx ctx = {0};
    struct x509_st *cert = NULL;

    must(rg_pki_sign(rg_buf_span(&ca), rg_buf_span(&ca_key), rg_buf_span(&csr), name->cluster_id, name->region,
                     name->raft_id, "a.example,b.example", "10.0.0.7", &cert, &ctx),
         &ctx);
    return cert;
}

CASE(.setup = setup, .teardown = teardown);

TEST(a_request_becomes_a_certificate)
{
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    RG_AUTO_BUF struct rg_buf der = {.max = 0};
    struct x509_st *cert = sign(&node7), *again;
    struct rg_pki_name name;
    struct rg_errctx ctx = {0};

    must(rg_pki_cert_check(rg_buf_span(&ca), cert, &name, &ctx), &ctx);
    ck_assert_str_eq(name.cluster_id, CLUSTER);
    ck_assert_str_eq(name.region, "eu-west-1");
    ck_assert_uint_eq(name.raft_id, 7);
    ck_assert_int_eq(X509_check_host(cert, "b.example", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_ip_asc(cert, "10.0.0.7", 0), 1);
    rg_buf_init(&pem, 65536);
    rg_buf_init(&der, 65536);
    ck_assert_int_eq(rg_pki_cert_pem(cert, &pem), RG_OK);
    ck_assert_int_eq(rg_pki_cert_der(cert, &der), RG_OK);
    again = rg_pki_cert_decode(rg_buf_span(&pem));
    ck_assert_int_eq(X509_cmp(again, cert), 0);
    rg_pki_cert_free(again);
    again = rg_pki_cert_decode(rg_buf_span(&der));
    ck_assert_int_eq(X509_cmp(again, cert), 0);
    rg_pki_cert_free(again);
    rg_pki_cert_free(cert);
}

TEST(another_authority_is_none)
{
    struct x509_st *cert = sign(&node7);
    struct rg_errctx ctx = {0};
    struct rg_pki_name name;

    teardown();
    setup(); /* a CA of the same name */
    ck_assert_int_eq(rg_pki_cert_check(rg_buf_span(&ca), cert, &name, &ctx), RG_EPEER);
    ck_assert_ptr_nonnull(strstr(ctx.text, "not good"));
    rg_pki_cert_free(cert);
}

TEST(bad_requests_are_refused)
{
    struct rg_errctx ctx = {0};
    struct x509_st *cert = NULL;
    struct rg_span good = rg_buf_span(&csr);
    unsigned char *der = NULL;
    X509_REQ *req;
    BIO *bio = BIO_new_mem_buf(good.p, (int)good.n);
    int n;

    must(rg_pki_csr_check(good, &ctx), &ctx);
    req = PEM_read_bio_X509_REQ(bio, NULL, NULL, NULL);
    n = i2d_X509_REQ(req, &der);
    must(rg_pki_csr_check(rg_span(der, (size_t)n), &ctx), &ctx);
    for (int i = 0; i < n; i++) { /* whatever byte: never a crash, and never taken with a broken signature */
        der[i] ^= 1;
        ck_assert_int_eq(rg_pki_csr_check(rg_span(der, (size_t)n), &ctx), RG_EINVALID);
        der[i] ^= 1;
    }
    ck_assert_int_eq(rg_pki_csr_check(rg_span_str("rubbish"), &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_pki_csr_check(rg_span(NULL, 0), &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_pki_sign(rg_buf_span(&ca), rg_buf_span(&ca_key), good, CLUSTER, "EU", 7, NULL, NULL, &cert, &ctx),
                     RG_EINVALID);
    ck_assert_int_eq(
        rg_pki_sign(rg_buf_span(&ca), rg_buf_span(&ca_key), good, CLUSTER, "eu", 7, "a,IP:1.2.3.4", NULL, &cert, &ctx),
        RG_EINVALID);
    ck_assert_int_eq(rg_pki_sign(rg_buf_span(&ca), rg_buf_span(&key), good, CLUSTER, "eu", 7, NULL, NULL, &cert, &ctx),
                     RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(ctx.text, "not a pair"));
    X509_REQ_free(req);
    OPENSSL_free(der);
    BIO_free(bio);
}

TEST(a_proof_is_by_its_key_over_its_text)
{
    struct x509_st *cert = sign(&node7);
    struct rg_pki_rejoin r = {.cluster_id = rg_span_str(CLUSTER), .region = rg_span_str("eu-west-1"), .csr = rg_buf_span(&csr),
                              .link = rg_span_str("h:1"), .url = rg_span_str("https://h:2"), .old_id = 7, .at = 1700000000};
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    RG_AUTO_BUF struct rg_buf proof = {.max = 0};
    struct rg_errctx ctx = {0};

    rg_buf_init(&text, 4096);
    rg_buf_init(&proof, 4096);
    rg_pki_rejoin_text(&r, &text);
    ck_assert_int_eq(memcmp(text.data, "regent-rejoin-1\n" CLUSTER "\n7\neu-west-1\n", 48), 0);
    must(rg_pki_sign_text(rg_buf_span(&key), rg_buf_span(&text), &proof, &ctx), &ctx);
    ck_assert(rg_pki_verify_text(cert, rg_buf_span(&text), rg_buf_span(&proof)));
    for (size_t i = 0; i < text.len; i++) {
        text.data[i] ^= 1;
        ck_assert(!rg_pki_verify_text(cert, rg_buf_span(&text), rg_buf_span(&proof)));
        text.data[i] ^= 1;
    }
    ck_assert(!rg_pki_verify_text(cert, rg_buf_span(&text), rg_span(proof.data, proof.len - 1)));
    ck_assert(!rg_pki_verify_text(cert, rg_buf_span(&text), rg_span(NULL, 0)));
    rg_pki_cert_free(cert);
}

/* ---- the wrapped key ---- */

static struct rg_keyprov *provider(void)
{
    struct rg_key_version versions[2] = {{.version = 1}, {.version = 4}};
    struct rg_keyprov *keys;

    memset(versions[0].material, 0x11, RG_DEK_BYTES);
    memset(versions[1].material, 0x44, RG_DEK_BYTES);
    ck_assert_int_eq(rg_keyprov_material_new(KEY_ID, versions, 2, &keys), RG_OK);
    return keys;
}

static void wrap(struct rg_buf *out)
{
    struct rg_keyprov *keys = provider();
    struct x509_st *cert = sign(&node7);
    struct rg_errctx ctx = {0};

    rg_buf_init(out, RG_KEYWRAP_BYTES_MAX);
    must(rg_keywrap_seal(keys, cert, out, &ctx), &ctx);
    rg_pki_cert_free(cert);
    rg_keyprov_free(keys);
}

TEST(the_key_arrives)
{
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    struct rg_key_material m;
    struct rg_errctx ctx = {0};

    wrap(&wrapped);
    must(rg_keywrap_open(rg_buf_span(&wrapped), rg_buf_span(&key), &node7, &m, &ctx), &ctx);
    ck_assert_str_eq(m.key_id, KEY_ID);
    ck_assert_uint_eq(m.n, 2);
    ck_assert_uint_eq(m.versions[1].version, 4);
    ck_assert_uint_eq(m.versions[0].material[31], 0x11);
    ck_assert_uint_eq(m.versions[1].material[0], 0x44);
}

TEST(every_flipped_byte_is_refused)
{
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    struct rg_key_material m = {.n = 77};
    struct rg_errctx ctx = {0};

    wrap(&wrapped);
    for (size_t i = 0; i < wrapped.len; i++) {
        for (int bit = 1; bit < 256; bit <<= 3) {
            enum rg_err err;

            wrapped.data[i] ^= (uint8_t)bit;
            err = rg_keywrap_open(rg_buf_span(&wrapped), rg_buf_span(&key), &node7, &m, &ctx);
            ck_assert_msg(err == RG_EKEY || err == RG_EMALFORMED, "byte %zu: %s", i, rg_err_symbol(err));
            wrapped.data[i] ^= (uint8_t)bit;
        }
    }
    for (size_t n = 0; n < wrapped.len; n++)
        ck_assert_int_ne(rg_keywrap_open(rg_span(wrapped.data, n), rg_buf_span(&key), &node7, &m, &ctx), RG_OK);
    ck_assert_uint_eq(m.n, 77);
}

TEST(it_is_for_one_key_and_one_name)
{
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    RG_AUTO_BUF struct rg_buf other = {.max = 0};
    RG_AUTO_BUF struct rg_buf request = {.max = 0};
    struct rg_key_material m;
    struct rg_errctx ctx = {0};
    struct rg_pki_name name;

    wrap(&wrapped);
    rg_buf_init(&other, 65536);
    rg_buf_init(&request, 65536);
    must(rg_pki_key_csr(&other, &request, &ctx), &ctx);
    ck_assert_int_eq(rg_keywrap_open(rg_buf_span(&wrapped), rg_buf_span(&other), &node7, &m, &ctx), RG_EKEY);
    for (int i = 0; i < 3; i++) {
        name = node7;
        if (i == 0)
            name.cluster_id[5]++;
        else if (i == 1)
            name.region[1]++;
        else
            name.raft_id++;
        ck_assert_int_eq(rg_keywrap_open(rg_buf_span(&wrapped), rg_buf_span(&key), &name, &m, &ctx), RG_EKEY);
    }
    ck_assert_int_eq(rg_keywrap_open(rg_buf_span(&wrapped), rg_span_str("no key"), &node7, &m, &ctx), RG_EKEY);
}

static enum rg_err no_wrap(struct rg_keyprov *keys, struct rg_span aad, const uint8_t *dek, uint8_t *nonce, uint8_t *out)
{
    return RG_EKEY;
}

TEST(a_provider_of_another_kind_gives_nothing_away)
{
    static const struct rg_keyprov_ops ops = {.wrap = no_wrap};
    struct rg_keyprov hardware = {.ops = &ops};
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    struct x509_st *cert = sign(&node7);
    struct rg_errctx ctx = {0};

    rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
    ck_assert_int_eq(rg_keywrap_seal(&hardware, cert, &wrapped, &ctx), RG_EKEY);
    ck_assert_uint_eq(wrapped.len, 0);
    rg_pki_cert_free(cert);
}
