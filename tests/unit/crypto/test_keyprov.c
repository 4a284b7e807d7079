/* crypto/keyprov: the file keystore keeps its promises: one key in every region, refusals that say what to do, no file
 * half written or overwritten, damage told from a wrong passphrase. */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

/* As programs make them: a person's would take 128 MiB and half a second each time. */
#define PASS rg_span_str("0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0")
#define SECOND rg_span_str("second-0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbcc")

static char dir[TMPDIR_BYTES], path[256], other[256];

static void setup(void)
{
    tmpdir_make(dir);
    snprintf(path, sizeof path, "%s/a", dir);
    snprintf(other, sizeof other, "%s/b", dir);
}

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

static void teardown(void) { tmpdir_remove(dir); }

static size_t slurp(const char *name, uint8_t *out, size_t max)
{
    int fd = open(name, O_RDONLY);
    ssize_t n;

    ck_assert_int_ge(fd, 0);
    n = read(fd, out, max);
    ck_assert_int_gt((int)n, 0);
    close(fd);
    return (size_t)n;
}

static void spill(const char *name, const uint8_t *p, size_t n)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq((int)write(fd, p, n), (int)n);
    close(fd);
}

/* A data key wrapped by one provider and opened by another: the same material stands behind both. */
static enum rg_err carry(struct rg_keyprov *from, struct rg_keyprov *to)
{
    const struct rg_context context = {.instance_arn = rg_span_str("arn:aws:sso:::instance/ssoins-0123456789abcdef"),
                                       .purpose = rg_span_str("wal")};
    RG_AUTO(dek) struct rg_dek *made = NULL;
    RG_AUTO(dek) struct rg_dek *opened = NULL;
    RG_AUTO_BUF struct rg_buf header = {.max = 0};
    size_t length;

    rg_buf_init(&header, RG_WRAPPED_BYTES_MAX);
    ck_assert_int_eq(rg_dek_new(from, &context, &header, &made), RG_OK);
    return rg_dek_open(to, &context, rg_buf_span(&header), &length, &opened, NULL);
}

static void create(const char *name, const char *region)
{
    char id[RG_KEY_ID_BYTES_MAX];
    struct rg_errctx ctx = {0};
    enum rg_err err = rg_keystore_create(name, region, PASS, id, &ctx);

    ck_assert_msg(err == RG_OK, "%s", ctx.text);
    ck_assert_uint_eq(strlen(id), 36);
    ck_assert_int_eq(strncmp(id, "mrk-", 4), 0);
}

static struct rg_keyprov *open_store(const char *name, const char *region, struct rg_span pass)
{
    struct rg_keyprov *keys = NULL;
    struct rg_errctx ctx = {0};
    enum rg_err err = rg_keystore_open(name, region, pass, &keys, &ctx);

    ck_assert_msg(err == RG_OK, "%s", ctx.text);
    return keys;
}

static void refuse(const char *region, struct rg_span pass, const char *reason)
{
    struct rg_keyprov *keys = NULL;
    struct rg_errctx ctx = {0};

    ck_assert_int_eq(rg_keystore_open(path, region, pass, &keys, &ctx), RG_EKEY);
    ck_assert_ptr_null(keys);
    ck_assert_msg(strstr(ctx.text, reason) != NULL, "'%s' does not say '%s'", ctx.text, reason);
    ck_assert_msg(strstr(ctx.text, path) != NULL, "'%s' does not name the file", ctx.text);
}

CASE(.setup = setup, .teardown = teardown);

TEST(a_keystore_opens_and_every_creation_is_another_key)
{
    RG_AUTO(keyprov) struct rg_keyprov *a = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *again = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *b = NULL;
    struct stat st;
    uint32_t version;

    umask(0);
    create(path, "eu-central-1");
    create(other, "eu-central-1");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(files_in_dir(), 2); /* no temporary file stays */
    a = open_store(path, "eu-central-1", PASS);
    again = open_store(path, "eu-central-1", PASS);
    b = open_store(other, "eu-central-1", PASS);
    ck_assert_str_ne(a->ops->key_id(a, &version), b->ops->key_id(b, &version));
    ck_assert_uint_eq(version, 1);
    ck_assert_int_eq(carry(a, again), RG_OK);
    ck_assert_int_eq(carry(a, b), RG_EKEY);
}

TEST(a_replica_holds_the_same_key_under_its_own_passphrase)
{
    RG_AUTO(keyprov) struct rg_keyprov *primary = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *replica = NULL;
    struct rg_errctx ctx = {0};
    uint32_t version;

    create(other, "eu-central-1");
    ck_assert_int_eq(rg_keystore_replicate(other, rg_span_str("wrong"), path, "us-east-1", SECOND, &ctx),
                     RG_EKEY);
    ck_assert_uint_eq(files_in_dir(), 1);
    ck_assert_int_eq(rg_keystore_replicate(other, PASS, path, "us-east-1", SECOND, &ctx), RG_OK);
    primary = open_store(other, "eu-central-1", PASS);
    replica = open_store(path, "us-east-1", SECOND);
    ck_assert_str_eq(primary->ops->key_id(primary, &version), replica->ops->key_id(replica, &version));
    ck_assert_int_eq(carry(primary, replica), RG_OK);
    ck_assert_int_eq(carry(replica, primary), RG_OK);
    refuse("us-east-1", PASS, "the passphrase is wrong");
    refuse("eu-central-1", SECOND, "replica of region us-east-1");
}

TEST(a_keystore_is_never_overwritten)
{
    static uint8_t before[RG_KEYSTORE_BYTES_MAX], after[RG_KEYSTORE_BYTES_MAX];
    char id[RG_KEY_ID_BYTES_MAX];
    struct rg_errctx ctx = {0};
    size_t n;

    create(path, "eu-central-1");
    n = slurp(path, before, sizeof before);
    ck_assert_int_eq(rg_keystore_create(path, "eu-central-1", PASS, id, &ctx), RG_ECONFLICT);
    ck_assert_ptr_nonnull(strstr(ctx.text, "not overwritten"));
    ck_assert_int_eq(rg_keystore_replicate(path, PASS, path, "us-east-1", PASS, &ctx), RG_ECONFLICT);
    ck_assert_uint_eq(slurp(path, after, sizeof after), n);
    ck_assert_mem_eq(before, after, n);
    ck_assert_int_eq(symlink("nowhere", other), 0); /* nor written through a dangling link */
    ck_assert_int_eq(rg_keystore_create(other, "eu-central-1", PASS, id, &ctx), RG_ECONFLICT);
}

TEST(what_cannot_be_made_is_refused)
{
    char id[RG_KEY_ID_BYTES_MAX];
    struct rg_errctx ctx = {0};
    uint8_t longest[5000];

    memset(longest, 'x', sizeof longest);
    ck_assert_int_eq(rg_keystore_create(path, "eu-central-1", rg_span(NULL, 0), id, &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_keystore_create(path, "eu-central-1", rg_span(longest, 4097), id, &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_keystore_create(path, "", PASS, id, &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_keystore_create(path, "EU/1", PASS, id, &ctx), RG_EINVALID);
    ck_assert_int_eq(rg_keystore_create(path, "a23456789012345678901234567890123", PASS, id, &ctx), RG_EINVALID);
    ck_assert_uint_eq(files_in_dir(), 0);
    snprintf(other, sizeof other, "%s/no/such", dir);
    ck_assert_int_ne(rg_keystore_create(other, "eu-central-1", PASS, id, &ctx), RG_OK);
    ck_assert_ptr_nonnull(strstr(ctx.text, "No such file"));
}

TEST(a_missing_keystore_says_how_to_go_on)
{
    refuse("eu-central-1", PASS, "cannot start without it");
    refuse("eu-central-1", PASS, "from another region's keystore");
}

TEST(a_mode_wider_than_0600_is_refused_with_the_remedy)
{
    static const mode_t wide[] = {0640, 0604, 0620, 0601, 0700, 0666, 04600};
    RG_AUTO(keyprov) struct rg_keyprov *keys = NULL;
    char remedy[300];

    snprintf(remedy, sizeof remedy, "chmod 0600 %s", path);
    create(path, "eu-central-1");
    for (size_t i = 0; i < RG_LEN(wide); i++) {
        ck_assert_int_eq(chmod(path, wide[i]), 0);
        refuse("eu-central-1", PASS, remedy);
    }
    ck_assert_int_eq(chmod(path, 0400), 0); /* narrower is fine */
    keys = open_store(path, "eu-central-1", PASS);
}

TEST(links_directories_and_pipes_are_refused)
{
    create(other, "eu-central-1");
    ck_assert_int_eq(symlink(other, path), 0);
    refuse("eu-central-1", PASS, "symbolic link");
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    refuse("eu-central-1", PASS, "not a regular file"); /* and does not hang */
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0600), 0);
    refuse("eu-central-1", PASS, "not a regular file");
    ck_assert_int_eq(rmdir(path), 0);
    spill(path, (const uint8_t *)"x", 0);
    refuse("eu-central-1", PASS, "not a keystore");
}

/* "Damage and a wrong passphrase are told apart": no flipped bit is ever called a wrong passphrase. */
TEST(every_damaged_byte_is_called_damage)
{
    uint8_t bytes[RG_KEYSTORE_BYTES_MAX];
    size_t n;

    create(path, "eu-central-1");
    n = slurp(path, bytes, sizeof bytes);
    ck_assert_uint_eq(n, 40 + 1 + 12 + 1 + 36 + 2 + 4 + 4 + 32 + 16 + 4);
    for (size_t i = 0; i < n; i++) {
        struct rg_keyprov *keys = NULL;
        struct rg_errctx ctx = {0};

        bytes[i] ^= (uint8_t)(1 << i % 8);
        spill(path, bytes, n);
        ck_assert_int_eq(rg_keystore_open(path, "eu-central-1", PASS, &keys, &ctx), RG_EKEY);
        ck_assert_msg(strstr(ctx.text, i < 4   ? "not a keystore"
                                       : i < 6 ? "format"
                                               : "damaged") != NULL,
                      "byte %zu: %s", i, ctx.text);
        bytes[i] ^= (uint8_t)(1 << i % 8);
    }
    for (size_t cut = 0; cut < n; cut += 7) {
        spill(path, bytes, cut);
        refuse("eu-central-1", PASS, cut < 8 ? "not a keystore" : "damaged");
    }
    bytes[n] = 0;
    spill(path, bytes, n + 1);
    refuse("eu-central-1", PASS, "too long");
}

/* Checksums are no authentication: with both made right again, the tag still refuses the change. */
TEST(a_forged_header_does_not_authenticate)
{
    uint8_t bytes[RG_KEYSTORE_BYTES_MAX];
    size_t n, length;
    uint32_t crc;

    create(path, "eu-central-1");
    n = slurp(path, bytes, sizeof bytes);
    length = n - 4 - 16 - 32;
    bytes[41] = 'x'; /* eu-central-1 → xu-central-1 */
    crc = rg_crc32c(0, bytes, length - 4);
    for (size_t i = 0; i < 4; i++)
        bytes[length - 4 + i] = (uint8_t)(crc >> (8 * i));
    spill(path, bytes, n);
    refuse("xu-central-1", PASS, "the passphrase is wrong");
}

TEST(a_header_cannot_ask_for_more_work_than_the_bound)
{
    static const uint8_t asked[][3] = {{19, 8, 1}, {63, 8, 1}, {9, 8, 1}, {15, 9, 1},
                                       {15, 0, 1}, {15, 8, 5}, {15, 8, 0}};
    uint8_t bytes[RG_KEYSTORE_BYTES_MAX];
    size_t n, length;

    create(path, "eu-central-1");
    n = slurp(path, bytes, sizeof bytes);
    length = n - 4 - 16 - 32;
    for (size_t k = 0; k < RG_LEN(asked); k++) {
        uint32_t crc;

        memcpy(bytes + 8, asked[k], 3);
        crc = rg_crc32c(0, bytes, length - 4);
        for (size_t i = 0; i < 4; i++)
            bytes[length - 4 + i] = (uint8_t)(crc >> (8 * i));
        spill(path, bytes, n);
        refuse("eu-central-1", PASS, "out of bounds");
    }
}

TEST(old_versions_open_and_the_highest_wraps)
{
    struct rg_key_version versions[3] = {{1, {1}}, {2, {2}}, {7, {3}}};
    RG_AUTO(keyprov) struct rg_keyprov *old = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *now = NULL;
    const char *id = "mrk-00112233445566778899aabbccddeeff";
    struct rg_errctx ctx = {0};
    uint32_t version;

    ck_assert_int_eq(rg_keystore_write(path, "eu-central-1", id, versions, 1, PASS, &ctx), RG_OK);
    ck_assert_int_eq(rg_keystore_write(other, "eu-central-1", id, versions, 3, PASS, &ctx), RG_OK);
    old = open_store(path, "eu-central-1", PASS);
    now = open_store(other, "eu-central-1", PASS);
    ck_assert_str_eq(now->ops->key_id(now, &version), id);
    ck_assert_uint_eq(version, 7);
    ck_assert_int_eq(carry(old, now), RG_OK);   /* version 1 is held by both */
    ck_assert_int_eq(carry(now, old), RG_EKEY); /* version 7 is not */
    versions[2].version = 2;
    ck_assert_int_eq(rg_keystore_write(path, "eu-central-1", id, versions, 3, PASS, &ctx), RG_EINVALID);
    versions[0].version = 0;
    ck_assert_int_eq(rg_keystore_write(path, "eu-central-1", id, versions, 1, PASS, &ctx), RG_EINVALID);
}

TEST(as_many_versions_as_the_bound_allows)
{
    static struct rg_key_version versions[RG_KEY_VERSIONS_MAX + 1];
    RG_AUTO(keyprov) struct rg_keyprov *keys = NULL;
    const char *id = "mrk-00112233445566778899aabbccddeeff";
    const char *region = "a2345678901234567890123456789012";
    uint32_t version;

    for (size_t i = 0; i < RG_LEN(versions); i++)
        versions[i].version = UINT32_MAX - RG_KEY_VERSIONS_MAX + (uint32_t)i;
    ck_assert_int_eq(rg_keystore_write(path, region, id, versions, RG_KEY_VERSIONS_MAX + 1, PASS, NULL), RG_EINVALID);
    ck_assert_int_eq(rg_keystore_write(path, region, id, versions, RG_KEY_VERSIONS_MAX, PASS, NULL), RG_OK);
    keys = open_store(path, region, PASS);
    keys->ops->key_id(keys, &version);
    ck_assert_uint_eq(version, UINT32_MAX - 1);
    ck_assert_int_eq(carry(keys, keys), RG_OK);
}

/* "scrypt 2^17 for passphrases people choose": what a guess costs. The exponent stands in byte 8. */
static const struct {
    const char *passphrase;
    uint8_t log2_n;
} chosen[] = {
    {"correct horse battery staple", 17},
    {"a", 17},
    {"four words and some more, but of a person with much time to type", 17},
    {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 17},
    {"0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeef", 15},
    {"q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA", 15},
};

LOOP(a_chosen_passphrase_costs_more_to_guess, RG_LEN(chosen))
{
    struct rg_span passphrase = rg_span_str(chosen[_i].passphrase);
    RG_AUTO(keyprov) struct rg_keyprov *keys = NULL;
    char id[RG_KEY_ID_BYTES_MAX];
    uint8_t bytes[RG_KEYSTORE_BYTES_MAX];

    ck_assert_int_eq(rg_keystore_create(path, "us-east-1", passphrase, id, NULL), RG_OK);
    slurp(path, bytes, sizeof bytes);
    ck_assert_uint_eq(bytes[8], chosen[_i].log2_n);
    keys = open_store(path, "us-east-1", passphrase);
}

TEST(a_passphrase_file_is_looked_at)
{
    uint8_t memory[64];
    struct rg_buf out;
    struct rg_errctx ctx = {.text = ""};

#define READ() (rg_buf_init_over(&out, memory, sizeof memory), rg_passphrase_read(path, &out, &ctx))
    ck_assert_int_eq(READ(), RG_EKEY);
    spill(path, (const uint8_t *)"word\r\n", 6);
    ck_assert_int_eq(READ(), RG_OK);
    ck_assert(rg_span_is(rg_buf_span(&out), "word"));
    ck_assert_int_eq(chmod(path, 0640), 0);
    ck_assert_int_eq(READ(), RG_EKEY);
    ck_assert_ptr_nonnull(strstr(ctx.text, "chmod 0600"));
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", dir, 1), 0); /* as systemd leaves it: readable by an ACL, which shows as 0440 */
    ck_assert_int_eq(READ(), RG_OK);
    ck_assert_int_eq(setenv("CREDENTIALS_DIRECTORY", "/tmp", 1), 0);
    ck_assert_int_eq(READ(), RG_EKEY);
    ck_assert_int_eq(symlink(path, other), 0);
    ck_assert_int_eq(chmod(path, 0600), 0);
    rg_buf_init_over(&out, memory, sizeof memory);
    ck_assert_int_eq(rg_passphrase_read(other, &out, &ctx), RG_EKEY);
    ck_assert_ptr_nonnull(strstr(ctx.text, "symbolic link"));
    spill(path, (const uint8_t *)"\n", 1);
    ck_assert_int_eq(READ(), RG_EKEY);
    if (geteuid() == 0) {
        spill(path, (const uint8_t *)"word", 4);
        ck_assert_int_eq(chown(path, 12345, 0), 0);
        ck_assert_int_eq(READ(), RG_EKEY);
        ck_assert_ptr_nonnull(strstr(ctx.text, "belongs to user 12345"));
        ck_assert_ptr_nonnull(strstr(ctx.text, "run this as that user; or, if it is to be user 0's, chown 0 "));
    }
#undef READ
}

/* Written by another implementation (Python) from the layout in keyprov_priv.h: versions 1 and 3, material 01… and 07…,
 * scrypt with N = 2^14. */
TEST(a_foreign_writer_agrees_on_the_format)
{
    static const char golden[] =
        "52474b53010068000e080100000102030405060708090a0b0c0d0e0f303132333435363738393a3b0c65752d63656e747261"
        "6c2d31246d726b2d303031313232333334343535363637373838393961616262636364646565666602000100000003000000"
        "6bb1b2e9a60b2bf8da7390a7d4f762d746b6acbd2df29f1f9c19b69399a5f93f6db71274c6a33f8831a7a4829c14a9551f67"
        "ec939f8d56ab8055bdc2fdd02cbe46ce7d27a63c7334af06bebe0fd52be9c83d7ff0ad8cf2db";
    RG_AUTO(keyprov) struct rg_keyprov *keys = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *plain = NULL;
    uint8_t bytes[sizeof golden / 2], material[32];
    uint32_t version;

    ck_assert(rg_unhex(bytes, golden, sizeof bytes));
    spill(path, bytes, sizeof bytes);
    keys = open_store(path, "eu-central-1", rg_span_str("golden passphrase"));
    ck_assert_str_eq(keys->ops->key_id(keys, &version), "mrk-00112233445566778899aabbccddeeff");
    ck_assert_uint_eq(version, 3);
    memset(material, 1, sizeof material);
    ck_assert_int_eq(rg_keyprov_memory_new("mrk-00112233445566778899aabbccddeeff", material, &plain), RG_OK);
    ck_assert_int_eq(carry(plain, keys), RG_OK); /* version 1 is material 01… */
}

static void *use_provider(void *arg)
{
    for (int i = 0; i < 50; i++)
        if (carry(arg, arg) != RG_OK)
            return arg;
    return NULL;
}

TEST(threads_share_a_provider)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = NULL;
    pthread_t threads[6];
    uint8_t material[32] = {9};
    void *failed;

    ck_assert_int_eq(rg_keyprov_memory_new("mrk-test", material, &keys), RG_OK);
    for (size_t i = 0; i < RG_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use_provider, keys), 0);
    for (size_t i = 0; i < RG_LEN(threads); i++) {
        pthread_join(threads[i], &failed);
        ck_assert_ptr_null(failed);
    }
}
