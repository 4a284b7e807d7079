/* crypto/pki: certificates that a strict verifier takes, that carry the node's name through a TLS handshake, and files
 * that are private and never overwritten. */
#include <fcntl.h>
#include <glob.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "crypto/pki.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

#define CLUSTER "rc-0123456789abcdef"

static char dir[TMPDIR_BYTES], ca[256], ca_key[256], cert[256], key[256];

static size_t files_in_dir(void)
{
    char pattern[300];
    glob_t g = {0};
    size_t n;

    snprintf(pattern, sizeof pattern, "%s/*", dir);
    glob(pattern, 0, NULL, &g);
    n = g.gl_pathc;
    globfree(&g);
    return n;
}

static void must(enum rg_err err, const struct rg_errctx *ctx)
{
    ck_assert_msg(err == RG_OK, "%s: %s", rg_err_symbol(err), ctx->text);
}

static void setup(void)
{
    struct rg_errctx ctx = {0};

    tmpdir_make(dir);
    snprintf(ca, sizeof ca, "%s/ca.pem", dir);
    snprintf(ca_key, sizeof ca_key, "%s/ca.key", dir);
    snprintf(cert, sizeof cert, "%s/cert.pem", dir);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    umask(0);
    must(rg_pki_ca_create(CLUSTER, ca, ca_key, &ctx), &ctx);
}

static void teardown(void)
{
    ck_assert_uint_eq(ERR_peek_error(), 0);
    tmpdir_remove(dir);
}

static X509 *load(const char *path)
{
    FILE *f = fopen(path, "r");
    X509 *x = f != NULL ? PEM_read_X509(f, NULL, NULL, NULL) : NULL;

    ck_assert_ptr_nonnull(x);
    fclose(f);
    return x;
}

static mode_t mode_of(const char *path)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void make_node(const char *region, uint64_t id, const char *dns, const char *ips)
{
    struct rg_errctx ctx = {0};

    must(rg_pki_node_create(ca, ca_key, CLUSTER, region, id, dns, ips, cert, key, &ctx), &ctx);
}

/* As strictly as OpenSSL can: X509_V_FLAG_X509_STRICT asks for what RFC 5280 does, identifiers of keys included. */
static int verify(const char *ca_path, X509 *leaf, int purpose)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *v = X509_STORE_CTX_new();
    X509 *root = load(ca_path);
    int result;

    X509_STORE_add_cert(store, root);
    X509_STORE_set_flags(store, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE);
    X509_STORE_CTX_init(v, store, leaf, NULL);
    X509_STORE_CTX_set_purpose(v, purpose);
    result = X509_verify_cert(v) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(v);
    X509_STORE_CTX_free(v);
    X509_STORE_free(store);
    X509_free(root);
    return result;
}

static long days_left(const X509 *x)
{
    int days = 0, seconds = 0;

    ck_assert_int_eq(ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x)), 1);
    return days;
}

static void check_serial(const X509 *x)
{
    BIGNUM *bn = ASN1_INTEGER_to_BN(X509_get0_serialNumber(x), NULL);

    ck_assert(!BN_is_negative(bn));
    ck_assert_int_le(BN_num_bits(bn), 128);
    ck_assert_int_gt(BN_num_bits(bn), 80); /* of 128 random bits */
    BN_free(bn);
}

CASE(.setup = setup, .teardown = teardown);

TEST(the_authority_is_one_and_its_files_are_private)
{
    X509 *x = load(ca);
    char name[100];

    ck_assert_uint_eq(mode_of(ca), 0644);
    ck_assert_uint_eq(mode_of(ca_key), 0600);
    ck_assert_uint_eq(files_in_dir(), 2);
    ck_assert_int_eq(X509_get_version(x), X509_VERSION_3);
    ck_assert_int_eq(X509_check_ca(x), 1);
    ck_assert_int_eq(X509_get_pathlen(x), 0);
    ck_assert_uint_eq(X509_get_key_usage(x), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    ck_assert_ptr_nonnull(X509_get0_subject_key_id(x));
    ck_assert_int_gt(X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, name, sizeof name), 0);
    ck_assert_str_eq(name, "Regent " CLUSTER);
    ck_assert_int_ge(days_left(x), 3649);
    ck_assert_int_le(days_left(x), 3650);
    check_serial(x);
    ck_assert_int_eq(verify(ca, x, X509_PURPOSE_ANY), X509_V_OK);
    X509_free(x);
}

TEST(a_nodes_certificate_verifies_and_names_it)
{
    struct rg_pki_name name;
    X509 *x, *root;

    make_node("eu-central-1", 18446744073709551615u, "node-1.example.org", "192.0.2.7,2001:db8::7");
    x = load(cert);
    root = load(ca);
    ck_assert_uint_eq(mode_of(cert), 0644);
    ck_assert_uint_eq(mode_of(key), 0600);
    ck_assert_int_eq(verify(ca, x, X509_PURPOSE_SSL_SERVER), X509_V_OK);
    ck_assert_int_eq(verify(ca, x, X509_PURPOSE_SSL_CLIENT), X509_V_OK);
    ck_assert_int_ne(verify(cert, x, X509_PURPOSE_SSL_SERVER), X509_V_OK); /* it is no authority of its own */
    ck_assert_int_eq(X509_check_ca(x), 0);
    ck_assert_uint_eq(X509_get_key_usage(x), KU_DIGITAL_SIGNATURE);
    ck_assert_uint_eq(X509_get_extended_key_usage(x), XKU_SSL_SERVER | XKU_SSL_CLIENT);
    ck_assert_int_eq(ASN1_OCTET_STRING_cmp(X509_get0_authority_key_id(x), X509_get0_subject_key_id(root)), 0);
    ck_assert_ptr_nonnull(X509_get0_subject_key_id(x));
    check_serial(x);
    ck_assert_int_ge(days_left(x), 729);
    ck_assert_int_le(days_left(x), 730);
    ck_assert_int_eq(X509_check_host(x, "localhost", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(x, "node-1.example.org", 0, 0, NULL), 1);
    ck_assert_int_eq(X509_check_host(x, "node-2.example.org", 0, 0, NULL), 0);
    ck_assert_int_eq(X509_check_ip_asc(x, "127.0.0.1", 0), 1);
    ck_assert_int_eq(X509_check_ip_asc(x, "::1", 0), 1);
    ck_assert_int_eq(X509_check_ip_asc(x, "192.0.2.7", 0), 1);
    ck_assert_int_eq(X509_check_ip_asc(x, "2001:db8::7", 0), 1);
    ck_assert_int_eq(X509_check_ip_asc(x, "192.0.2.8", 0), 0);
    ck_assert_int_eq(rg_pki_name_of(x, &name), RG_OK);
    ck_assert_str_eq(name.cluster_id, CLUSTER);
    ck_assert_str_eq(name.region, "eu-central-1");
    ck_assert(name.raft_id == 18446744073709551615u);
    ck_assert_int_eq(rg_pki_name_of(root, &name), RG_EPEER);
    X509_free(x);
    X509_free(root);
}

static const struct {
    const char *uri;
    bool valid;
} uris[] = {
    {"regent://c/r/1", true},
    {"regent://" CLUSTER "/eu-central-1/18446744073709551615", true},
    {"regent://c/a2345678901234567890123456789012/1", true},
    {"regent://c/a23456789012345678901234567890123/1", false},
    {"regent://a23456789012345678901234567890123456789012345678901234567890123/r/1", true},
    {"regent://a234567890123456789012345678901234567890123456789012345678901234/r/1", false},
    {"regent://c/r/18446744073709551616", false},
    {"regent://c/r/99999999999999999999", false},
    {"regent://c/r/111111111111111111111", false},
    {"regent://c/r/0", false},
    {"regent://c/r/01", false},
    {"regent://c/r/-1", false},
    {"regent://c/r/1a", false},
    {"regent://c/r/", false},
    {"regent://c/r", false},
    {"regent://c/r/1/", false},
    {"regent://c/r/1/2", false},
    {"regent://c//1", false},
    {"regent:///r/1", false},
    {"regent://C/r/1", false},
    {"regent://c/r.s/1", false},
    {"regent://c /r/1", false},
    {"regents://c/r/1", false},
    {"Regent://c/r/1", false},
    {"regent:/c/r/1", false},
    {"regent://", false},
    {"", false},
};

LOOP(a_name_has_one_form, RG_LEN(uris))
{
    struct rg_pki_name name;

    ck_assert_msg((rg_pki_name_parse(rg_span_str(uris[_i].uri), &name) == RG_OK) == uris[_i].valid, "%s", uris[_i].uri);
    ck_assert_int_eq(rg_pki_name_parse(rg_span("regent://c/r/1\0", 15), &name), RG_EMALFORMED);
    ck_assert_int_eq(rg_pki_name_parse(rg_span("regent://c\0d/r/1", 16), &name), RG_EMALFORMED);
}

static void with_names(X509 *x, const char *value)
{
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, value);

    ck_assert_ptr_nonnull(ext);
    while (X509_get_ext_by_NID(x, NID_subject_alt_name, -1) >= 0)
        X509_EXTENSION_free(X509_delete_ext(x, X509_get_ext_by_NID(x, NID_subject_alt_name, -1)));
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
}

TEST(a_certificate_of_two_names_or_a_broken_one_has_none)
{
    struct rg_pki_name name;
    X509 *x = X509_new();

    with_names(x, "URI:https://elsewhere/,URI:regent://c/r/7,DNS:regent");
    ck_assert_int_eq(rg_pki_name_of(x, &name), RG_OK);
    ck_assert_uint_eq(name.raft_id, 7);
    with_names(x, "URI:regent://c/r/7,URI:regent://c/r/8");
    ck_assert_int_eq(rg_pki_name_of(x, &name), RG_EPEER);
    with_names(x, "URI:regent://c/r/7,URI:regent://c/r/x");
    ck_assert_int_eq(rg_pki_name_of(x, &name), RG_EPEER);
    with_names(x, "DNS:regent,email:regent@example.org");
    ck_assert_int_eq(rg_pki_name_of(x, &name), RG_EPEER);
    X509_free(x);
}

static void refuse(enum rg_err want, enum rg_err err, const struct rg_errctx *ctx, const char *reason)
{
    ck_assert_msg(err == want, "%s: %s", rg_err_symbol(err), ctx->text);
    ck_assert_msg(strstr(ctx->text, reason) != NULL, "'%s' does not say '%s'", ctx->text, reason);
}

TEST(what_is_not_well_named_is_not_made)
{
    static const char *const hosts[] = {"a,DNS:evil", "a b", "*.example.org", "", "a\nb"};
    static const char *const addresses[] = {"1.2.3",
                                            "1.2.3.4,,5.6.7.8",
                                            "1.2.3.4,DNS:evil",
                                            ",",
                                            "::g",
                                            "1111111111111111111111111111111111111111111111111111111111111111111111"};
    const char *long_id = "a2345678901234567890123456789012345678901234567890123456789";
    struct rg_errctx ctx = {0};
    char path[300];

    for (size_t i = 0; i < RG_LEN(hosts); i++)
        refuse(RG_EINVALID, rg_pki_node_create(ca, ca_key, CLUSTER, "r", 1, hosts[i], NULL, cert, key, &ctx), &ctx,
               "DNS");
    for (size_t i = 0; i < RG_LEN(addresses); i++)
        refuse(RG_EINVALID, rg_pki_node_create(ca, ca_key, CLUSTER, "r", 1, NULL, addresses[i], cert, key, &ctx), &ctx,
               "IP address");
    refuse(RG_EINVALID, rg_pki_node_create(ca, ca_key, CLUSTER, "r/s", 1, NULL, NULL, cert, key, &ctx), &ctx, "name");
    refuse(RG_EINVALID, rg_pki_node_create(ca, ca_key, CLUSTER, "r", 0, NULL, NULL, cert, key, &ctx), &ctx, "name");
    refuse(RG_EINVALID, rg_pki_node_create(ca, ca_key, CLUSTER, "", 1, NULL, NULL, cert, key, &ctx), &ctx, "name");
    snprintf(path, sizeof path, "%s/x", dir);
    refuse(RG_EINVALID, rg_pki_ca_create(long_id, path, key, &ctx), &ctx, "cluster id");
    refuse(RG_EINVALID, rg_pki_ca_create("", path, key, &ctx), &ctx, "cluster id");
    refuse(RG_EINVALID, rg_pki_ca_create("a,CN=b", path, key, &ctx), &ctx, "cluster id");
    ck_assert_uint_eq(files_in_dir(), 2);
}

TEST(nothing_is_overwritten_and_no_key_is_left_alone)
{
    struct rg_errctx ctx = {0};

    refuse(RG_ECONFLICT, rg_pki_ca_create(CLUSTER, ca, key, &ctx), &ctx, "not overwritten");
    refuse(RG_ECONFLICT, rg_pki_ca_create(CLUSTER, cert, ca_key, &ctx), &ctx, "not overwritten");
    ck_assert_uint_eq(files_in_dir(), 2);
    make_node("r", 1, NULL, NULL);
    refuse(RG_ECONFLICT, rg_pki_node_create(ca, ca_key, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), &ctx, "exists");
    snprintf(cert, sizeof cert, "%s/no/such/cert.pem", dir);
    snprintf(key, sizeof key, "%s/second.pem", dir);
    ck_assert_int_ne(rg_pki_node_create(ca, ca_key, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), RG_OK);
    ck_assert_uint_eq(files_in_dir(), 4);
}

TEST(what_is_no_authority_does_not_sign)
{
    char ca2[256], ca2_key[256];
    struct rg_errctx ctx = {0};

    snprintf(ca2, sizeof ca2, "%s/ca2.pem", dir);
    snprintf(ca2_key, sizeof ca2_key, "%s/ca2.key", dir);
    must(rg_pki_ca_create("rc-other", ca2, ca2_key, &ctx), &ctx);
    refuse(RG_EINVALID, rg_pki_node_create(ca, ca2_key, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), &ctx,
           "not a pair");
    refuse(RG_EINVALID, rg_pki_node_create(ca_key, ca_key, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), &ctx,
           "not a certificate");
    ck_assert_int_eq(chmod(ca2, 0600), 0);
    refuse(RG_EINVALID, rg_pki_node_create(ca, ca2, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), &ctx, "private key");
    ck_assert_int_eq(chmod(ca_key, 0640), 0);
    refuse(RG_EDENIED, rg_pki_node_create(ca, ca_key, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), &ctx,
           "chmod 0600");
    ck_assert_int_eq(chmod(ca_key, 0600), 0);
    make_node("r", 1, NULL, NULL);
    refuse(RG_EINVALID, rg_pki_node_create(cert, key, CLUSTER, "r", 2, NULL, NULL, ca2, ca2_key, &ctx), &ctx,
           "authority");
    ck_assert_int_eq(unlink(ca), 0);
    refuse(RG_ENOTFOUND, rg_pki_node_create(ca, ca_key, CLUSTER, "r", 1, NULL, NULL, cert, key, &ctx), &ctx, "missing");
}

static SSL_CTX *tls_context(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());

    ck_assert_int_eq(SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION), 1);
    ck_assert_int_eq(SSL_CTX_load_verify_locations(ctx, ca, NULL), 1);
    ck_assert_int_eq(SSL_CTX_use_certificate_file(ctx, cert, SSL_FILETYPE_PEM), 1);
    ck_assert_int_eq(SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return ctx;
}

TEST(two_nodes_meet_over_mutual_tls)
{
    SSL_CTX *contexts[2];
    SSL *ends[2];
    BIO *pipes[2];

    for (int i = 0; i < 2; i++) {
        snprintf(cert, sizeof cert, "%s/cert%d.pem", dir, i);
        snprintf(key, sizeof key, "%s/key%d.pem", dir, i);
        make_node(i == 0 ? "eu-central-1" : "us-east-1", (uint64_t)i + 1, NULL, NULL);
        contexts[i] = tls_context();
        ends[i] = SSL_new(contexts[i]);
    }
    ck_assert_int_eq(BIO_new_bio_pair(&pipes[0], 0, &pipes[1], 0), 1);
    for (int i = 0; i < 2; i++)
        SSL_set_bio(ends[i], pipes[i], pipes[i]);
    SSL_set_connect_state(ends[0]);
    SSL_set_accept_state(ends[1]);
    for (int round = 0; round < 20 && !(SSL_is_init_finished(ends[0]) && SSL_is_init_finished(ends[1])); round++)
        for (int i = 0; i < 2; i++)
            SSL_do_handshake(ends[i]);
    for (int i = 0; i < 2; i++) {
        struct rg_pki_name name;
        X509 *peer = SSL_get1_peer_certificate(ends[i]);

        ck_assert_int_eq(SSL_is_init_finished(ends[i]), 1);
        ck_assert_int_eq(SSL_get_verify_result(ends[i]), X509_V_OK);
        ck_assert_int_eq(rg_pki_name_of(peer, &name), RG_OK);
        ck_assert_str_eq(name.region, i == 0 ? "us-east-1" : "eu-central-1");
        X509_free(peer);
    }
    for (int i = 0; i < 2; i++) {
        SSL_free(ends[i]);
        SSL_CTX_free(contexts[i]);
    }
    ERR_clear_error();
}

TEST(a_key_is_told_by_its_fingerprint)
{
    static const uint8_t zeros[32], ones[32] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xf0};
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    RG_AUTO_BUF struct rg_buf csr = {.max = 0};
    uint8_t of_key[32], of_csr[32];
    char text[RG_PKI_FINGERPRINT_BYTES];

    rg_pki_fingerprint(zeros, text);
    ck_assert_str_eq(text, "AAAAA-AAAAA-AAAAA-AAAAA");
    rg_pki_fingerprint(ones, text);
    ck_assert_str_eq(text, "77777-77777-77777-77777");
    rg_sha256(rg_span_str("abc"), of_key);
    rg_pki_fingerprint(of_key, text); /* as Python's base64.b32encode has it of hashlib.sha256(b"abc") */
    ck_assert_str_eq(text, "XJ4BN-P4PAH-H6UQK-BIDPF");
    ck_assert(rg_pki_fingerprint_is("77777-77777-77777-77777", ones) && rg_pki_fingerprint_is("7777777777 77777 77777", ones));
    ck_assert(rg_pki_fingerprint_is("aaaaaaaaaaaaaaaaaaaa", zeros) && rg_pki_fingerprint_is("AAAAAA-AAAA-AAAAA-AAAAA", zeros));
    ck_assert(!rg_pki_fingerprint_is("AAAAA-AAAAA-AAAAA-AAAA", zeros) && !rg_pki_fingerprint_is("AAAAA-AAAAA-AAAAA-AAAAAA", zeros));
    ck_assert(!rg_pki_fingerprint_is("", zeros) && !rg_pki_fingerprint_is("AAAAA", zeros) && !rg_pki_fingerprint_is("-", zeros));
    ck_assert(!rg_pki_fingerprint_is("AAAAA-AAAAA-AAAAA-AAAAB", zeros));
    rg_buf_init(&pem, 65536);
    rg_buf_init(&csr, 65536);
    ck_assert_int_eq(rg_pki_key_csr(&pem, &csr, NULL), RG_OK);
    ck_assert(rg_pki_private_key_sha256(rg_buf_span(&pem), of_key) && rg_pki_csr_key_sha256(rg_buf_span(&csr), of_csr));
    ck_assert_mem_eq(of_key, of_csr, sizeof of_key);
    ck_assert(!rg_pki_csr_key_sha256(rg_span_str("rubbish"), of_csr) && !rg_pki_csr_key_sha256(rg_span(NULL, 0), of_csr));
    ck_assert(!rg_pki_private_key_sha256(rg_buf_span(&csr), of_key));
}
