/* cmd/evidence, cmd/template, cmd/probe_metrics: every byte of a signed record that is flipped, cut or moved is noticed; a
 * runbook goes on after a crash in the middle of a line; templates and metrics are what they must be. */
#include <stdio.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "cmd/runbook/evidence.h"
#include "cmd/probe/metrics.h"
#include "cmd/runbook/template.h"
#include "crypto/privfile.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

static char dir[TMPDIR_BYTES], path[256], sign_key[256], public_key[256], other_key[256];
static const struct rg_evidence_key secret = {.secret = "s3cret-of-the-admin", .secret_id = "AKIATEST"};

static void make_key(const char *private_path, const char *public_path, const char *curve)
{
    EVP_PKEY *pkey = EVP_EC_gen(curve);
    FILE *f = fopen(private_path, "we");

    ck_assert_ptr_nonnull(pkey);
    ck_assert_int_eq(PEM_write_PrivateKey(f, pkey, NULL, NULL, 0, NULL, NULL), 1);
    fclose(f);
    chmod(private_path, 0600);
    f = public_path != NULL ? fopen(public_path, "we") : NULL;
    if (f != NULL) {
        ck_assert_int_eq(PEM_write_PUBKEY(f, pkey), 1);
        fclose(f);
    }
    EVP_PKEY_free(pkey);
}

static void setup(void)
{
    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/evidence.jsonl", dir);
    snprintf(sign_key, sizeof sign_key, "%s/sign.pem", dir);
    snprintf(public_key, sizeof public_key, "%s/public.pem", dir);
    snprintf(other_key, sizeof other_key, "%s/other.pem", dir);
    make_key(sign_key, public_key, "P-256");
    make_key(other_key, NULL, "P-256");
}

static void teardown(void) { tmpdir_remove(dir); }

static void must(enum rg_err err, const struct rg_errctx *ctx)
{
    ck_assert_msg(err == RG_OK, "%s: %s", rg_err_symbol(err), ctx->text);
}

static struct rg_evidence *begin(void)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_evidence *e;

    must(rg_evidence_create(path, &e, &ctx), &ctx);
    must(rg_evidence_add(e, 1000, "declare", "begin", json_pack("{s:s}", "reason", "fire: \"x\"\n\xc3\xa9"), &ctx), &ctx);
    must(rg_evidence_add(e, 2001, "declare", "done", NULL, &ctx), &ctx);
    return e;
}

static void read_file(struct rg_buf *out)
{
    struct rg_errctx ctx = {.text = ""};

    rg_buf_init(out, 1 << 20);
    must(rg_privfile_read(path, "evidence", 0, out, &ctx), &ctx);
}

static void make_signed(const struct rg_evidence_key *key, struct rg_buf *out)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_evidence *e = begin();

    must(rg_evidence_sign(e, 3000, key, &ctx), &ctx);
    rg_evidence_close(e);
    read_file(out);
}

/* Every bit of every byte, every cut, every line removed or swapped. */
static void check_tampering(const struct rg_evidence_key *key, const struct rg_evidence_key *verify, const char *algorithm)
{
    struct rg_evidence_report report;
    struct rg_errctx ctx = {.text = ""};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};

    make_signed(key, &bytes);
    must(rg_evidence_verify(rg_buf_span(&bytes), verify, &report, &ctx), &ctx);
    ck_assert_uint_eq(report.lines, 3);
    ck_assert_uint_eq(report.bad_line, 0);
    ck_assert(report.is_signed);
    ck_assert_str_eq(report.algorithm, algorithm);
    for (size_t i = 0; i < bytes.len; i++) {
        size_t line = 1;

        for (size_t k = 0; k < i; k++)
            line += bytes.data[k] == '\n';
        for (unsigned bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (uint8_t)(1u << bit);
            ck_assert_msg(rg_evidence_verify(rg_buf_span(&bytes), verify, &report, &ctx) == RG_ECORRUPT,
                          "bit %u of byte %zu was flipped unnoticed", bit, i);
            ck_assert_msg(report.bad_line == line || report.bad_line == line + 1, "byte %zu of line %zu: said line %llu", i,
                          line, (unsigned long long)report.bad_line);
            bytes.data[i] ^= (uint8_t)(1u << bit);
        }
    }
    for (size_t n = 0; n < bytes.len; n++)
        ck_assert_int_ne(rg_evidence_verify(rg_span(bytes.data, n), verify, &report, &ctx), RG_OK);
    rg_buf_put_str(&bytes, "x");
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&bytes), verify, &report, &ctx), RG_ECORRUPT);
}

CASE(.setup = setup, .teardown = teardown);

TEST(tampering_hmac)
{
    check_tampering(&secret, &secret, "hmac-sha256");
}

TEST(tampering_ecdsa)
{
    const struct rg_evidence_key sign = {.pem_path = sign_key}, verify = {.pem_path = public_key};

    check_tampering(&sign, &verify, "ecdsa-p256-sha256");
}

/* Lines that are removed, doubled or swapped. */
TEST(lines_moved)
{
    struct rg_evidence_report report;
    struct rg_errctx ctx = {.text = ""};
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0}, changed = {.max = 0};
    const uint8_t *second, *third;

    make_signed(&secret, &bytes);
    second = (const uint8_t *)memchr(bytes.data, '\n', bytes.len) + 1;
    third = (const uint8_t *)memchr(second, '\n', bytes.len - (size_t)(second - bytes.data)) + 1;
    rg_buf_init(&changed, 1 << 20);
    rg_buf_put(&changed, second, bytes.len - (size_t)(second - bytes.data)); /* without the first */
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&changed), &secret, &report, &ctx), RG_ECORRUPT);
    ck_assert_uint_eq(report.bad_line, 1);
    rg_buf_clear(&changed);
    rg_buf_put(&changed, bytes.data, (size_t)(second - bytes.data));
    rg_buf_put(&changed, third, bytes.len - (size_t)(third - bytes.data)); /* without the second */
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&changed), &secret, &report, &ctx), RG_ECORRUPT);
    ck_assert_uint_eq(report.bad_line, 2);
    ck_assert_ptr_nonnull(strstr(ctx.text, "line 2"));
    rg_buf_clear(&changed);
    rg_buf_put(&changed, bytes.data, (size_t)(third - bytes.data)); /* without the signature */
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&changed), &secret, &report, &ctx), RG_EUNREADY);
}

TEST(keys)
{
    const struct rg_evidence_key sign = {.pem_path = sign_key}, none = {.pem_path = NULL}, other = {.pem_path = other_key},
                                 own = {.pem_path = sign_key}, wrong_secret = {.secret = "x", .secret_id = "AKIATEST"};
    struct rg_evidence_report report;
    struct rg_errctx ctx = {.text = ""};
    struct rg_evidence *e;
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};

    e = begin();
    ck_assert_int_eq(rg_evidence_sign(e, 1, &none, &ctx), RG_EUSAGE);
    make_key(other_key, NULL, "P-384");
    ck_assert_int_eq(rg_evidence_sign(e, 1, &other, &ctx), RG_EINVALID);
    chmod(sign_key, 0644);
    ck_assert_int_eq(rg_evidence_sign(e, 1, &sign, &ctx), RG_EDENIED);
    chmod(sign_key, 0600);
    must(rg_evidence_sign(e, 1, &sign, &ctx), &ctx);
    rg_evidence_close(e);
    make_key(other_key, NULL, "P-256");
    read_file(&bytes);
    must(rg_evidence_verify(rg_buf_span(&bytes), &own, &report, &ctx), &ctx);
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&bytes), &secret, &report, &ctx), RG_EUSAGE);
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&bytes), &other, &report, &ctx), RG_ECORRUPT);
    ck_assert_uint_eq(report.bad_line, 3);
    unlink(path);
    rg_buf_deinit(&bytes);
    make_signed(&secret, &bytes);
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&bytes), &wrong_secret, &report, &ctx), RG_ECORRUPT);
    ck_assert_int_eq(rg_evidence_verify(rg_buf_span(&bytes), &none, &report, &ctx), RG_EUSAGE);
}

static void count_line(void *arg, const json_t *line)
{
    ck_assert(json_is_object(line));
    ++*(unsigned *)arg;
}

/* A crash while a line was written: the rest goes on where the whole lines end. */
TEST(resumed)
{
    struct rg_evidence_report report;
    struct rg_errctx ctx = {.text = ""};
    struct rg_evidence *e = begin(), *second;
    RG_AUTO_BUF struct rg_buf bytes = {.max = 0};
    unsigned lines = 0;
    bool cut = false;
    FILE *f;

    ck_assert_int_eq(rg_evidence_create(path, &second, &ctx), RG_ECONFLICT);
    ck_assert_int_eq(rg_evidence_resume(path, count_line, &lines, &cut, &second, &ctx), RG_ECONFLICT); /* it is locked */
    rg_evidence_close(e);
    f = fopen(path, "ae");
    fputs("{\"n\":3,\"time\":\"20", f);
    fclose(f);
    lines = 0;
    must(rg_evidence_resume(path, count_line, &lines, &cut, &e, &ctx), &ctx);
    ck_assert(cut);
    ck_assert_uint_eq(lines, 2);
    must(rg_evidence_add(e, 5000, "pause", "done", NULL, &ctx), &ctx);
    must(rg_evidence_sign(e, 6000, &secret, &ctx), &ctx);
    rg_evidence_close(e);
    read_file(&bytes);
    must(rg_evidence_verify(rg_buf_span(&bytes), &secret, &report, &ctx), &ctx);
    ck_assert_uint_eq(report.lines, 4);
    ck_assert_int_eq(rg_evidence_resume(path, count_line, &lines, &cut, &e, &ctx), RG_ECONFLICT); /* it is signed */
    ck_assert_ptr_nonnull(strstr(ctx.text, "finished"));
}

/* A changed line is not gone on with. */
TEST(resume_refuses_changes)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_evidence *e = begin();
    unsigned lines = 0;
    bool cut = false;
    int fd;

    rg_evidence_close(e);
    fd = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_eq(pwrite(fd, "9", 1, 5), 1);
    close(fd);
    ck_assert_int_eq(rg_evidence_resume(path, count_line, &lines, &cut, &e, &ctx), RG_ECORRUPT);
    ck_assert_ptr_nonnull(strstr(ctx.text, "line 1"));
}

CASE();

TEST(templates)
{
    const struct rg_template_value values[] = {{"epoch", "5"}, {"to", "eu"}, {"reason", "{{epoch}} & <b>"}};
    const struct {
        const char *text, *want; /* want NULL: refused */
        const char *why;
    } rows[] = {{"", "", NULL},
                {"plain } { }} text", "plain } { }} text", NULL},
                {"{{epoch}}", "5", NULL},
                {"to {{ to }}: {{reason}}{{epoch}}", "to eu: {{epoch}} & <b>5", NULL}, /* values are not looked into */
                {"a\nb {{nothing}}", NULL, "line 2: {{nothing}}"},
                {"a\n\n{{epoch", NULL, "line 3: {{ without }}"},
                {"{{epoch\n}}", NULL, "line 1: {{ without }}"},
                {"{{}}", NULL, "line 1"}};

    for (size_t i = 0; i < RG_LEN(rows); i++) {
        RG_AUTO_BUF struct rg_buf out = {.max = 0};
        struct rg_errctx ctx = {.text = ""};
        enum rg_err err;

        rg_buf_init(&out, 1000);
        err = rg_template_render(rg_span_str(rows[i].text), values, RG_LEN(values), &out, &ctx);
        if (rows[i].want != NULL) {
            must(err, &ctx);
            ck_assert_msg(rg_span_is(rg_buf_span(&out), rows[i].want), "%s: %.*s", rows[i].text, (int)out.len,
                          (const char *)out.data);
        } else {
            ck_assert_int_eq(err, RG_EINVALID);
            ck_assert_msg(strstr(ctx.text, rows[i].why) != NULL, "%s: %s", rows[i].text, ctx.text);
        }
    }
}

TEST(metrics)
{
    struct rg_probe_series s[2] = {{.region = "a", .lag = RG_PROBE_LAG_UNKNOWN}, {.region = "b", .lag = RG_PROBE_LAG_UNKNOWN}};
    RG_AUTO_BUF struct rg_buf out = {.max = 0};

    rg_probe_series_note(&s[0], true, 1000, 0, 1700000000123);
    rg_probe_series_note(&s[0], false, 20000000, RG_PROBE_LAG_UNKNOWN, 1700000001000);
    rg_probe_series_note(&s[1], true, 1001, 7, 1700000001000);
    rg_buf_init(&out, 1 << 20);
    rg_probe_metrics_put(&out, s, 2, 1700000002000);
    rg_buf_put_u8(&out, 0);
    ck_assert_int_eq(out.err, RG_OK);
#define HAS(text) ck_assert_msg(strstr((const char *)out.data, text "\n") != NULL, "%s is not in:\n%s", text, out.data)
    HAS("regent_probe_success{region=\"a\"} 0");
    HAS("regent_probe_success{region=\"b\"} 1");
    HAS("regent_probe_duration_seconds_bucket{region=\"a\",le=\"0.001000\"} 1");
    HAS("regent_probe_duration_seconds_bucket{region=\"b\",le=\"0.001000\"} 0");
    HAS("regent_probe_duration_seconds_bucket{region=\"b\",le=\"0.002500\"} 1");
    HAS("regent_probe_duration_seconds_bucket{region=\"a\",le=\"10.000000\"} 1");
    HAS("regent_probe_duration_seconds_bucket{region=\"a\",le=\"+Inf\"} 2");
    HAS("regent_probe_duration_seconds_sum{region=\"a\"} 20.001000");
    HAS("regent_probe_duration_seconds_count{region=\"a\"} 2");
    HAS("regent_probe_last_success_timestamp_seconds{region=\"a\"} 1700000000.123");
    HAS("regent_probe_lag_entries{region=\"b\"} 7");
    HAS("regent_probe_rounds_total{region=\"a\",result=\"failure\"} 1");
    HAS("regent_probe_timestamp_seconds 1700000002.000");
    ck_assert_ptr_null(strstr((const char *)out.data, "lag_entries{region=\"a\"}"));
}
