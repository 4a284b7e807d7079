/* crypto/vault: the key process's two sides over a socket pair. What it does for whom, what it never says, what any bytes make of it, and
 * that its end is noticed. */
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/prng.h"
#include "crypto/digest.h"
#include "crypto/keyprov_priv.h"
#include "crypto/keywrap.h"
#include "crypto/privfile.h"
#include "crypto/sign/link_proof.h"
#include "crypto/sign/nodekey.h"
#include "crypto/vault/keeper.h"
#include "crypto/vault/vault.h"
#include "crypto/vault/vault_priv.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

#define PASS "0f1e2d3c4b5a69788796a5b4c3d2e1f00112233445566778899aabbccddeeff0"

static struct {
    char dir[256], keystore[600], passphrase[300], ca[300], ca_key[300], cert[300], key[300], theirs[300], their_key[300];
    bool fetch;
    uint64_t id;
    struct rg_log log;
    struct rg_keeper *keeper;
    int fds[2];
    pthread_t thread;
    int code;
    struct rg_vault *vault;
} rig;

static void must(enum rg_err err, const struct rg_errctx *ctx) { ck_assert_msg(err == RG_OK, "%s", rg_errctx_text(ctx, err)); }

static enum rg_err load(void *arg, struct rg_keeper_places *ret, struct rg_errctx *ctx)
{
    *ret = (struct rg_keeper_places){.cluster = "rc-test", .region = "us-east-1", .id = rig.id, .keystore = rig.keystore,
                                     .passphrase_file = rig.passphrase, .ca = rig.ca, .key = rig.key, .fetch = rig.fetch};
    return RG_OK;
}

static void *keep(void *arg)
{
    rig.code = rg_keeper_run(rig.keeper, rig.fds[1]);
    close(rig.fds[1]);
    return NULL;
}

static void setup(void)
{
    const struct rg_keeper_config config = {.load = load, .log = &rig.log};
    struct rg_errctx ctx = {.text = ""};
    char id[RG_KEY_ID_BYTES_MAX];

    tmpdir_make(rig.dir);
    rig.id = 1;
    rig.log.min = RG_LOG_ERROR;
    rig.log.sink = rg_log_stderr;
    snprintf(rig.keystore, sizeof rig.keystore, "%s/keystore", rig.dir);
    snprintf(rig.passphrase, sizeof rig.passphrase, "%s/passphrase", rig.dir);
    snprintf(rig.ca, sizeof rig.ca, "%s/ca.pem", rig.dir);
    snprintf(rig.ca_key, sizeof rig.ca_key, "%s/ca.key", rig.dir);
    snprintf(rig.cert, sizeof rig.cert, "%s/cert.pem", rig.dir);
    snprintf(rig.key, sizeof rig.key, "%s/key.pem", rig.dir);
    snprintf(rig.theirs, sizeof rig.theirs, "%s/theirs.pem", rig.dir);
    snprintf(rig.their_key, sizeof rig.their_key, "%s/theirs.key", rig.dir);
    must(rg_keystore_create(rig.keystore, "us-east-1", rg_span_str(PASS), id, &ctx), &ctx);
    must(rg_privfile_write(rig.passphrase, "", RG_PRIVFILE_SECRET, rg_span_str(PASS "\n"), &ctx), &ctx);
    must(rg_pki_ca_create("rc-test", rig.ca, rig.ca_key, &ctx), &ctx);
    must(rg_pki_node_create(rig.ca, rig.ca_key, "rc-test", "us-east-1", 1, NULL, NULL, rig.cert, rig.key, &ctx), &ctx);
    must(rg_pki_node_create(rig.ca, rig.ca_key, "rc-test", "eu-west-1", 2, NULL, NULL, rig.theirs, rig.their_key, &ctx), &ctx);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, rig.fds), 0);
    must(rg_keeper_new(&config, &rig.keeper), &ctx);
    ck_assert_int_eq(pthread_create(&rig.thread, NULL, keep, NULL), 0);
    must(rg_vault_new(rig.fds[0], &rig.vault, &ctx), &ctx);
}

static void teardown(void)
{
    rg_vault_free(rig.vault);
    close(rig.fds[0]); /* the keeper's end of file */
    pthread_join(rig.thread, NULL);
    ck_assert_int_eq(rig.code, 0);
    rg_keeper_free(rig.keeper);
    tmpdir_remove(rig.dir);
}

static struct x509_st *cert_at(const char *path)
{
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    struct x509_st *cert;

    rg_buf_init(&pem, 65536);
    ck_assert_int_eq(rg_privfile_read(path, "", 0, &pem, NULL), RG_OK);
    cert = rg_pki_cert_decode(rg_buf_span(&pem));
    ck_assert_ptr_nonnull(cert);
    return cert;
}

static struct rg_keyprov *opened(void)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_keyprov *keys = NULL;

    must(rg_vault_open(rig.vault, &keys, &ctx), &ctx);
    return keys;
}

CASE(.setup = setup, .teardown = teardown);

/* What it seals, the keystore opened here opens, and the other way round. */
TEST(it_is_a_provider_like_any_other)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = opened();
    RG_AUTO(keyprov) struct rg_keyprov *here = NULL;
    const struct rg_context context = {.instance_arn = rg_span_str("arn"), .purpose = rg_span_str("wal")};
    struct rg_keyprov *way[2][2];
    uint32_t version, same;

    must(rg_keystore_open(rig.keystore, "us-east-1", rg_span_str(PASS), &here, NULL), NULL);
    ck_assert_str_eq(keys->ops->key_id(keys, &version), here->ops->key_id(here, &same));
    ck_assert_uint_eq(version, same);
    way[0][0] = way[1][1] = keys;
    way[0][1] = way[1][0] = here;
    for (int i = 0; i < 2; i++) {
        RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
        RG_AUTO_BUF struct rg_buf plain = {.max = 0};

        rg_buf_init(&sealed, 1024);
        rg_buf_init(&plain, 1024);
        must(rg_envelope_seal(way[i][0], &context, rg_span_str("hello"), &sealed), NULL);
        must(rg_envelope_open(way[i][1], &context, rg_buf_span(&sealed), &plain, NULL), NULL);
        ck_assert(rg_span_is(rg_buf_span(&plain), "hello"));
        sealed.data[sealed.len - 40] ^= 1;
        ck_assert_int_ne(rg_envelope_open(way[i][1], &context, rg_buf_span(&sealed), &plain, NULL), RG_OK);
    }
}

TEST(it_never_gives_its_material)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = opened();
    struct rg_key_version versions[RG_KEY_VERSIONS_MAX];
    char id[RG_KEY_ID_BYTES_MAX];
    size_t n;

    ck_assert_int_eq(rg_keyprov_material(keys, id, versions, &n), RG_EKEY);
}

/* The rule: another node of this cluster, by its CA. */
TEST(it_gives_the_key_to_nodes_of_the_cluster)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = opened();
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    RG_AUTO_BUF struct rg_buf pem = {.max = 0};
    const struct rg_pki_name to = {.cluster_id = "rc-test", .region = "eu-west-1", .raft_id = 2};
    struct x509_st *cert = cert_at(rig.theirs);
    struct rg_key_material material;
    struct rg_errctx ctx = {.text = ""};
    uint32_t version;
    char foreign_ca[300], foreign_key[300], path[300], path_key[300];

    rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
    rg_buf_init(&pem, 65536);
    must(rg_keywrap_seal(keys, cert, &wrapped, &ctx), &ctx);
    rg_pki_cert_free(cert);
    must(rg_privfile_read(rig.their_key, "", RG_PRIVFILE_SECRET, &pem, &ctx), &ctx);
    must(rg_keywrap_open(rg_buf_span(&wrapped), rg_buf_span(&pem), &to, &material, &ctx), &ctx);
    ck_assert_str_eq(material.key_id, keys->ops->key_id(keys, &version));

    cert = cert_at(rig.cert); /* its own: there is no use of that */
    ck_assert_int_eq(rg_keywrap_seal(keys, cert, &wrapped, &ctx), RG_EPEER);
    rg_pki_cert_free(cert);
    snprintf(foreign_ca, sizeof foreign_ca, "%s/foreign.pem", rig.dir);
    snprintf(foreign_key, sizeof foreign_key, "%s/foreign.key", rig.dir);
    snprintf(path, sizeof path, "%s/f.pem", rig.dir);
    snprintf(path_key, sizeof path_key, "%s/f.key", rig.dir);
    must(rg_pki_ca_create("rc-test", foreign_ca, foreign_key, &ctx), &ctx);
    must(rg_pki_node_create(foreign_ca, foreign_key, "rc-test", "eu-west-1", 2, NULL, NULL, path, path_key, &ctx), &ctx);
    cert = cert_at(path); /* the right names, by another CA */
    ck_assert_int_eq(rg_keywrap_seal(keys, cert, &wrapped, &ctx), RG_EPEER);
    rg_pki_cert_free(cert);
    unlink(path);
    unlink(path_key);
    must(rg_pki_node_create(rig.ca, rig.ca_key, "rc-other", "eu-west-1", 2, NULL, NULL, path, path_key, &ctx), &ctx);
    cert = cert_at(path); /* this CA, another cluster's name */
    ck_assert_int_eq(rg_keywrap_seal(keys, cert, &wrapped, &ctx), RG_EPEER);
    rg_pki_cert_free(cert);
}

TEST(it_gives_the_key_so_many_times)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = opened();
    struct x509_st *cert = cert_at(rig.theirs);
    unsigned given = 0;
    enum rg_err err;

    do {
        RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};

        rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
        err = rg_keywrap_seal(keys, cert, &wrapped, NULL);
        given += err == RG_OK;
    } while (err == RG_OK && given < 200);
    ck_assert_int_eq(err, RG_EBUSY);
    ck_assert_uint_ge(given, 64);
    ck_assert_uint_lt(given, 80);
    rg_pki_cert_free(cert);
}

/* A key that a primary wrapped for this node becomes its keystore, where the configuration says that it is fetched. */
TEST(it_keeps_what_was_wrapped_for_it)
{
    RG_AUTO(keyprov) struct rg_keyprov *first = NULL;
    struct rg_keyprov *keys = NULL;
    RG_AUTO_BUF struct rg_buf wrapped = {.max = 0};
    struct x509_st *cert = cert_at(rig.cert);
    struct rg_errctx ctx = {.text = ""};
    uint32_t version;

    rg_buf_init(&wrapped, RG_KEYWRAP_BYTES_MAX);
    must(rg_keystore_open(rig.keystore, "us-east-1", rg_span_str(PASS), &first, &ctx), &ctx);
    must(rg_keywrap_seal(first, cert, &wrapped, &ctx), &ctx);
    rg_pki_cert_free(cert);
    unlink(rig.keystore);
    ck_assert_int_eq(rg_vault_open(rig.vault, &keys, &ctx), RG_EKEY); /* fetch: false */
    ck_assert_int_eq(rg_vault_keep(rig.vault, rg_buf_span(&wrapped), &ctx), RG_EDENIED);
    rig.fetch = true;
    ck_assert_int_eq(rg_vault_open(rig.vault, &keys, &ctx), RG_ENOTFOUND);
    wrapped.data[wrapped.len - 1] ^= 1;
    ck_assert_int_eq(rg_vault_keep(rig.vault, rg_buf_span(&wrapped), &ctx), RG_EKEY);
    ck_assert_int_eq(access(rig.keystore, F_OK), -1);
    wrapped.data[wrapped.len - 1] ^= 1;
    must(rg_vault_keep(rig.vault, rg_buf_span(&wrapped), &ctx), &ctx);
    keys = opened();
    ck_assert_str_eq(keys->ops->key_id(keys, &version), first->ops->key_id(first, &version));
    rg_keyprov_free(keys);
    ck_assert_int_eq(rg_vault_keep(rig.vault, rg_buf_span(&wrapped), &ctx), RG_ECONFLICT); /* never over another */
}

TEST(what_is_wrong_is_said)
{
    struct rg_keyprov *keys = NULL;
    struct rg_errctx ctx = {.text = ""};

    ck_assert_int_eq(chmod(rig.passphrase, 0644), 0);
    ck_assert_int_eq(rg_vault_open(rig.vault, &keys, &ctx), RG_EKEY);
    ck_assert_ptr_nonnull(strstr(ctx.text, "chmod 0600"));
    unlink(rig.passphrase);
    must(rg_privfile_write(rig.passphrase, "", RG_PRIVFILE_SECRET, rg_span_str("wrong-"PASS), &ctx), &ctx);
    ck_assert_int_eq(rg_vault_open(rig.vault, &keys, &ctx), RG_EKEY);
    ck_assert_ptr_nonnull(strstr(ctx.text, "passphrase is wrong"));
    ck_assert_ptr_null(keys);
}

static void *use(void *arg)
{
    struct rg_keyprov *keys = arg;
    uint8_t dek[RG_DEK_BYTES], back[RG_DEK_BYTES], nonce[RG_NONCE_BYTES], out[RG_DEK_BYTES + RG_TAG_BYTES];
    uint32_t version;

    keys->ops->key_id(keys, &version);
    for (int i = 0; i < 200; i++) {
        rg_random(dek, sizeof dek);
        if (keys->ops->wrap(keys, rg_span(&i, sizeof i), dek, nonce, out) != RG_OK ||
            keys->ops->unwrap(keys, version, rg_span(&i, sizeof i), nonce, out, back) != RG_OK || memcmp(dek, back, sizeof dek) != 0)
            return arg;
    }
    return NULL;
}

TEST(threads_share_it)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = opened();
    pthread_t threads[4];
    void *failed;

    for (size_t i = 0; i < RG_LEN(threads); i++)
        ck_assert_int_eq(pthread_create(&threads[i], NULL, use, keys), 0);
    for (size_t i = 0; i < RG_LEN(threads); i++) {
        ck_assert_int_eq(pthread_join(threads[i], &failed), 0);
        ck_assert_ptr_null(failed);
    }
}

/* Its end, or nonsense of it, is an error from then on, and no answer to another question. */
TEST(its_end_is_an_error)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = opened();
    uint8_t dek[RG_DEK_BYTES] = {0}, nonce[RG_NONCE_BYTES], out[RG_DEK_BYTES + RG_TAG_BYTES];
    struct rg_errctx ctx = {.text = ""};

    ck_assert_int_eq(shutdown(rig.fds[0], SHUT_WR), 0); /* the keeper sees the end, and goes */
    ck_assert_int_eq(keys->ops->wrap(keys, rg_span(NULL, 0), dek, nonce, out), RG_EKEY);
    ck_assert_int_eq(rg_vault_keep(rig.vault, rg_span_str("x"), &ctx), RG_ECLOSED);
    ck_assert_ptr_nonnull(strstr(ctx.text, "gone"));
    ck_assert(rg_vault_lost(rig.vault));
}

/* One that does nothing (it is stopped, or hangs) is waited for so long, asked no more, and told to end. */
TEST(one_that_does_not_answer_is_given_up)
{
    RG_AUTO(vault) struct rg_vault *vault = NULL;
    struct rg_keyprov *keys = NULL;
    struct rg_errctx ctx = {.text = ""};
    uint8_t packet[64];
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    must(rg_vault_new(fds[0], &vault, &ctx), &ctx);
    must(rg_vault_set_wait(vault, 2, &ctx), &ctx);
    ck_assert(!rg_vault_lost(vault));
    ck_assert_int_eq(rg_vault_open(vault, &keys, &ctx), RG_ECLOSED);
    ck_assert_ptr_nonnull(strstr(ctx.text, "does not answer"));
    ck_assert(rg_vault_lost(vault));
    ck_assert_int_eq(rg_vault_open(vault, &keys, &ctx), RG_ECLOSED);
    ck_assert_ptr_null(keys);
    ck_assert_int_eq(recv(fds[1], packet, sizeof packet, 0), 9); /* one question, and the end */
    ck_assert_int_eq(recv(fds[1], packet, sizeof packet, 0), 0);
    close(fds[0]);
    close(fds[1]);
}

/* Of the image of this program that was here before: it asked, and did not live to read the answer. */
TEST(an_answer_to_another_question_is_not_taken)
{
    RG_AUTO(keyprov) struct rg_keyprov *keys = NULL;
    uint8_t dek[RG_DEK_BYTES] = {7}, nonce[RG_NONCE_BYTES], out[RG_DEK_BYTES + RG_TAG_BYTES], back[RG_DEK_BYTES];
    const uint8_t question[9] = {1, 2, 3, 4, 5, 6, 7, 8, RG_VAULT_OPEN};
    struct pollfd answered = {.fd = rig.fds[0], .events = POLLIN};
    uint32_t version;

    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(send(rig.fds[0], question, sizeof question, 0), sizeof question);
        ck_assert_int_eq(poll(&answered, 1, 30000), 1);
        if (i == 0)
            keys = opened();
        keys->ops->key_id(keys, &version);
        must(keys->ops->wrap(keys, rg_span(NULL, 0), dek, nonce, out), NULL);
        must(keys->ops->unwrap(keys, version, rg_span(NULL, 0), nonce, out, back), NULL);
        ck_assert_mem_eq(dek, back, sizeof dek);
    }
    ck_assert(!rg_vault_lost(rig.vault));
}

/* Whatever it is asked: an answer that fits, no key in it, no end of the process. */
TEST(any_bytes_are_taken)
{
    const struct rg_keeper_config config = {.load = load, .log = &rig.log};
    RG_AUTO(keeper) struct rg_keeper *keeper = NULL;
    RG_AUTO(keyprov) struct rg_keyprov *here = NULL;
    struct rg_key_version versions[RG_KEY_VERSIONS_MAX];
    static uint8_t question[RG_VAULT_PACKET_BYTES_MAX], answer[RG_VAULT_PACKET_BYTES_MAX];
    char id[RG_KEY_ID_BYTES_MAX];
    struct rg_prng prng;
    struct rg_buf out;
    size_t n_versions;
    enum { AT = 8 }; /* behind the number */

    must(rg_keeper_new(&config, &keeper), NULL);
    must(rg_keystore_open(rig.keystore, "us-east-1", rg_span_str(PASS), &here, NULL), NULL);
    ck_assert_int_eq(rg_keyprov_material(here, id, versions, &n_versions), RG_OK);
    rg_prng_init(&prng, 11);
    for (unsigned round = 0; round < 20000; round++) {
        size_t n = round == 0 ? AT + 1 : (size_t)(rg_prng_u64(&prng) % 300);

        for (size_t i = 0; i < n; i++)
            question[i] = (uint8_t)rg_prng_u64(&prng);
        if (n > AT && round > 0)
            question[AT] = (uint8_t)(2 + rg_prng_u64(&prng) % 6); /* opening takes 50 ms: once */
        if (n > AT + 2 && round % 2 == 0) {                       /* a length that fits, so that more is looked at */
            question[AT + 1] = (uint8_t)(n - AT - 3);
            question[AT + 2] = (uint8_t)((n - AT - 3) >> 8);
        }
        if (round == 0)
            question[AT] = RG_VAULT_OPEN;
        rg_buf_init_over(&out, answer, sizeof answer);
        rg_keeper_answer(keeper, rg_span(question, n), &out);
        ck_assert_uint_ge(out.len, AT + 3);
        if (n >= AT)
            ck_assert_mem_eq(answer, question, AT);
        ck_assert_uint_le(out.len, 8192);
        ck_assert_ptr_null(memmem(answer, out.len, versions[0].material, RG_DEK_BYTES));
    }
}

/* ---- the key that this node is ---- */

static enum rg_err sign_link(uint64_t from, const char *cluster, uint8_t ret_signature[RG_ES256_SIGNATURE_BYTES], struct rg_link_proof *ret_proof)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};

    *ret_proof = (struct rg_link_proof){.cluster = rg_span_str(cluster), .from = from, .to = 9, .binding = {1, 2, 3}};
    rg_buf_init(&text, RG_LINK_PROOF_BYTES_MAX);
    rg_link_proof_encode(ret_proof, &text);
    return rg_vault_sign(rig.vault, RG_SIGN_LINK, rg_buf_span(&text), ret_signature);
}

/* Made once, before the keystore is there even; the same from then on; sealed; and no text leaves with its signature but this node's own. */
TEST(a_node_is_a_key_that_signs_what_it_may_say)
{
    uint8_t first[RG_ES256_SPKI_BYTES], spki[RG_ES256_SPKI_BYTES], signature[RG_ES256_SIGNATURE_BYTES];
    struct rg_keyprov *keys = NULL;
    struct rg_errctx ctx = {.text = ""};
    char path[640], away[640];
    struct rg_link_proof proof;

    ck_assert_int_eq(rg_vault_identity(rig.vault, first), RG_ENOTFOUND); /* nothing was opened yet */
    ck_assert_int_eq(sign_link(1, "rc-test", signature, &proof), RG_ENOTFOUND);
    snprintf(path, sizeof path, "%s.node1", rig.keystore);
    snprintf(away, sizeof away, "%s.away", rig.keystore);
    ck_assert_int_eq(rename(rig.keystore, away), 0);
    rig.fetch = true;
    ck_assert_int_eq(rg_vault_open(rig.vault, &keys, &ctx), RG_ENOTFOUND);
    ck_assert_int_eq(rg_vault_identity(rig.vault, first), RG_OK);
    ck_assert_int_eq(rename(away, rig.keystore), 0);
    rg_keyprov_free(opened());
    ck_assert_int_eq(rg_vault_identity(rig.vault, spki), RG_OK);
    ck_assert_mem_eq(spki, first, sizeof spki);
    ck_assert_int_eq(rg_keyfile_spki(path, RG_KEYFILE_NODE, spki, &ctx), RG_OK);
    ck_assert_mem_eq(spki, first, sizeof spki);

    must(sign_link(1, "rc-test", signature, &proof), &ctx);
    ck_assert_int_eq(rg_link_proof_verify(&proof, rg_span(first, sizeof first), signature), RG_OK);
    ck_assert_int_eq(sign_link(2, "rc-test", signature, &proof), RG_EDENIED); /* as another node */
    ck_assert_int_eq(sign_link(1, "rc-other", signature, &proof), RG_EDENIED);
    ck_assert_int_eq(rg_vault_sign(rig.vault, RG_SIGN_LINK, rg_span_str("anything"), signature), RG_EDENIED);
    ck_assert_int_eq(rg_vault_sign(rig.vault, (enum rg_vault_purpose)0, rg_span_str("anything"), signature), RG_EDENIED);
    ck_assert_int_eq(rg_vault_sign(rig.vault, (enum rg_vault_purpose)200, rg_span_str("anything"), signature), RG_EDENIED);
}

/* Under another id it is another key: whoever has the old one, in a backup, is not the node that came back. */
TEST(another_id_is_another_key)
{
    uint8_t first[RG_ES256_SPKI_BYTES], spki[RG_ES256_SPKI_BYTES];

    rg_keyprov_free(opened());
    ck_assert_int_eq(rg_vault_identity(rig.vault, first), RG_OK);
    rig.id = 1000;
    rg_keyprov_free(opened());
    ck_assert_int_eq(rg_vault_identity(rig.vault, spki), RG_OK);
    ck_assert_mem_ne(spki, first, sizeof spki);
    rig.id = 1;
    rg_keyprov_free(opened());
    ck_assert_int_eq(rg_vault_identity(rig.vault, spki), RG_OK);
    ck_assert_mem_eq(spki, first, sizeof spki);
}

TEST(a_damaged_node_key_is_said)
{
    struct rg_keyprov *keys = NULL;
    struct rg_errctx ctx = {.text = ""};
    char path[640];

    snprintf(path, sizeof path, "%s.node1", rig.keystore);
    must(rg_privfile_write(path, "", RG_PRIVFILE_SECRET, rg_span_str("RGPK and no more"), &ctx), &ctx);
    ck_assert_int_eq(rg_vault_open(rig.vault, &keys, &ctx), RG_EKEY);
    ck_assert_ptr_nonnull(strstr(ctx.text, "node key"));
    ck_assert_ptr_null(keys);
}

/* What was enough for the release before is enough: where the folder takes no file, it goes on without one. */
TEST(where_no_key_can_be_kept_there_is_none)
{
    uint8_t spki[RG_ES256_SPKI_BYTES];
    char before[sizeof rig.keystore];

    /* Nothing is denied to root: a name that is too long for the file's first name, the temporary one, is. */
    strcpy(before, rig.keystore);
    snprintf(rig.keystore, sizeof rig.keystore, "%s/%0248d", rig.dir, 7);
    ck_assert_int_eq(rename(before, rig.keystore), 0);
    rg_keyprov_free(opened());
    ck_assert_int_eq(rg_vault_identity(rig.vault, spki), RG_ENOTFOUND);
}
