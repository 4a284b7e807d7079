/* cmd/config: errors name file, line and field; a misspelt field is an error; secrets stay out of messages. */
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cmd/config/config.h"
#include "cmd/config/yaml_rows.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

static char dir[TMPDIR_BYTES], path[128];

static const char good[] =
    "cluster: rc-1\n"                                                           /* 1 */
    "region: us-east-1\n"                                                       /* 2 */
    "id: 1\n"                                                                   /* 3 */
    "instance: {arn: 'arn:aws:sso:::instance/ssoins-0123456789abcdef', identity_store_id: d-0123456789}\n"
    "data_dir: data\n"                                                          /* 5 */
    "listen:\n"                                                                 /* 6 */
    "  https: 127.0.0.1:8443\n"                                                 /* 7 */
    "  link: '[::1]:9443'\n"                                                    /* 8 */
    "tls: {ca: ca.pem, cert: /etc/cert.pem, key: key.pem}\n"                    /* 9 */
    "keystore: {file: keystore, passphrase_file: pass}\n"                       /* 10 */
    "peers:\n"                                                                  /* 11 */
    "  - {id: 1, region: us-east-1, role: voter, link: '[::1]:9443', url: 'https://127.0.0.1:8443'}\n"
    "  - {id: 2, region: eu-central-1, role: learner, link: 'h:1', url: 'https://h:2'}\n";

static void write_text(const char *text, mode_t mode)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
    chmod(path, mode);
}

static void setup(void)
{
    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/regentd.yaml", dir);
}

static void teardown(void) { tmpdir_remove(dir); }

CASE(.setup = setup, .teardown = teardown);

TEST(a_good_file)
{
    static struct rg_config c;
    struct rg_errctx ctx = {.text = ""};
    char want[256];

    write_text(good, 0644);
    ck_assert_msg(rg_config_load(path, &c, &ctx) == RG_OK, "%s", ctx.text);
    ck_assert_str_eq(c.region, "us-east-1");
    ck_assert_uint_eq(c.id, 1);
    ck_assert_uint_eq(c.https_port, 8443);
    ck_assert_str_eq(c.link_address, "::1");
    ck_assert_uint_eq(c.link_port, 9443);
    ck_assert_uint_eq(c.n_peers, 2);
    ck_assert_int_eq(c.peers[1].raft.role, RG_ROLE_LEARNER);
    snprintf(want, sizeof want, "%s/data", dir);
    ck_assert_str_eq(c.data_dir, want);
    ck_assert_str_eq(c.tls_cert, "/etc/cert.pem");
}

static const struct {
    const char *from, *to, *line, *field;
} bad[] = {
    {"id: 1\n", "id: one\n", ":3:", "id"},
    {"id: 1\n", "id: 0\n", ":3:", "id"},
    {"id: 1\n", "id: 18446744073709551616\n", ":3:", "id"},
    {"region: us-east-1\n", "region: US EAST\n", ":2:", "region"},
    {"region: us-east-1\n", "regoin: us-east-1\n", "", "region"},
    {"cluster: rc-1\n", "cluster: rc-1\ncolour: red\n", ":2:", "colour"},
    {"127.0.0.1:8443\n", "127.0.0.1\n", ":7:", "listen.https"},
    {"127.0.0.1:8443\n", "127.0.0.1:99999\n", ":7:", "listen.https"},
    {"https: 127.0.0.1:8443\n", "https: 0.0.0.0:8443\n  plain_http: true\n", ":8:", "listen.plain_http"},
    {"https: 127.0.0.1:8443\n", "https: '[::]:8443'\n  plain_http: true\n", ":8:", "loopback"},
    {"https: 127.0.0.1:8443\n", "https: 10.0.0.1:8443\n  plain_http: true\n", ":8:", "loopback"},
    {"data_dir: data\n", "", "", "data_dir"},
    {"data_dir: data\n", "data_dir: data\ndata_dir: other\n", ":6:", "data_dir"},
    {"role: voter", "role: king", ":12:", "peers[0].role"},
    {"id: 2, region", "id: 1, region", ":13:", "peers[1].id"},
    {"id: 1, region: us-east-1", "id: 7, region: us-east-1", "", "peers"},
    {"id: 1, region: us-east-1", "id: 1, region: us-west-1", ":12:", "peers[0].region"},
    {"https://h:2", "ftp://h:2", ":13:", "peers[1].url"},
    {"listen:\n", "listen: [\n", "", ""},
    {"cluster: rc-1\n", "cluster: rc-1\nrafts: {}\n", ":2:", "rafts"},
    {"data_dir: data\n", "data_dir: data\ntls: {ca: other.pem}\n", ":10:", "tls"},
    {"cluster: rc-1\n", "cluster: *a\n", ":1:", ""},
    {"cluster: rc-1\n", "- a\n", "", ""},
};

LOOP(a_bad_file_is_refused_with_its_place, RG_LEN(bad))
{
    static struct rg_config c;
    struct rg_errctx ctx = {.text = ""};
    char text[4096];
    const char *at = strstr(good, bad[_i].from);

    ck_assert_ptr_nonnull(at);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, bad[_i].to, at + strlen(bad[_i].from));
    write_text(text, 0644);
    ck_assert_int_ne(rg_config_load(path, &c, &ctx), RG_OK);
    ck_assert_msg(strstr(ctx.text, path) != NULL, "no file in: %s", ctx.text);
    ck_assert_msg(strstr(ctx.text, bad[_i].line) != NULL, "no line %s in: %s", bad[_i].line, ctx.text);
    ck_assert_msg(strstr(ctx.text, bad[_i].field) != NULL, "no field %s in: %s", bad[_i].field, ctx.text);
}

/* Whoever reads it is this node to all others. */
TEST(the_private_key_is_secret)
{
    static const mode_t modes[] = {0600, 0400, 0700, 0640, 0604, 0666, 0660};
    static struct rg_config c;
    char key[160], config[128];

    write_text(good, 0644);
    snprintf(key, sizeof key, "%s/key.pem", dir);
    memcpy(config, path, sizeof config);
    for (size_t i = 0; i < RG_LEN(modes); i++) {
        struct rg_errctx ctx = {.text = ""};
        bool secret = (modes[i] & 077) == 0;
        FILE *f = fopen(key, "we");

        ck_assert_ptr_nonnull(f);
        fclose(f);
        ck_assert_int_eq(chmod(key, modes[i]), 0);
        ck_assert_msg((rg_config_load(config, &c, &ctx) == RG_OK) == secret, "%03o: %s", (unsigned)modes[i], ctx.text);
        ck_assert(secret || (strstr(ctx.text, key) != NULL && strstr(ctx.text, "chmod 600") != NULL));
        ck_assert_int_eq(unlink(key), 0);
    }
}

TEST(plain_http_is_for_this_machine)
{
    static const char *const addresses[] = {"127.0.0.1:8080", "127.9.9.9:8080", "'[::1]:8080'"};
    static struct rg_config c;

    for (size_t i = 0; i < RG_LEN(addresses); i++) {
        struct rg_errctx ctx = {.text = ""};
        const char *at = strstr(good, "127.0.0.1:8443");
        char text[4096];

        snprintf(text, sizeof text, "%.*s%s\n  plain_http: true%s", (int)(at - good), good, addresses[i], at + 14);
        write_text(text, 0644);
        ck_assert_msg(rg_config_load(path, &c, &ctx) == RG_OK && c.plain_http, "%s: %s", addresses[i], ctx.text);
    }
}

static const char secrets[] = "account_id: '123456789012'\nadmin: {access_key_id: AKIAX, secret_access_key: s3cret7890123456789012345678901234, bearer_token: t123456789012345678901234567890123}\n";

TEST(the_bootstrap_file_is_secret)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_bootstrap b;
    char text[600];

    write_text(secrets, 0644);
    ck_assert_int_ne(rg_bootstrap_load(path, &b, &ctx), RG_OK);
    ck_assert_ptr_nonnull(strstr(ctx.text, "chmod 0600"));
    write_text(secrets, 0600);
    ck_assert_msg(rg_bootstrap_load(path, &b, &ctx) == RG_OK, "%s", ctx.text);
    ck_assert_str_eq(b.secret_access_key, "s3cret7890123456789012345678901234");
    memset(text, 'z', sizeof text);
    snprintf(text, 300, "account_id: '123456789012'\nadmin: {access_key_id: A, bearer_token: t, secret_access_key: %0200d}\n", 7);
    write_text(text, 0600);
    ck_assert_int_ne(rg_bootstrap_load(path, &b, &ctx), RG_OK);
    ck_assert_ptr_null(strstr(ctx.text, "00000"));
    ck_assert_ptr_nonnull(strstr(ctx.text, "admin.secret_access_key"));
}
