#include "cmd/daemon/bootstrap.h"

#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "store/model/node.h"
#include "store/model/instance.h"

enum { KEY_BYTES_MAX = 16 * 1024, WAIT_MS_MIN = 50, WAIT_MS_MAX = 2000 };

static const char by[] = "bootstrap";

void rg_bootstrapping_init(struct rg_bootstrapping *boot) { rg_buf_init(&boot->cmd, RG_CMD_BYTES_MAX); }

void rg_bootstrapping_deinit(struct rg_bootstrapping *boot) { rg_buf_deinit(&boot->cmd); }

static void begin(struct rg_bootstrapping *boot, enum rg_cmd_kind kind)
{
    rg_cmd_begin(&boot->cmd, kind, boot->io->wall_ms(boot->io), rg_span_str(by));
}

static enum rg_err seal(struct rg_bootstrapping *boot, struct rg_span plain, struct rg_buf *out)
{
    const struct rg_context context = {.instance_arn = rg_span_str(boot->config->instance_arn),
                                       .identity_store_id = rg_span_str(boot->config->identity_store_id),
                                       .purpose = rg_span_str("secret")};

    return rg_envelope_seal(boot->keys, &context, plain, out);
}

/* ---- writing ---- */

static void on_done(struct rg_proposal *proposal)
{
    struct rg_bootstrapping *boot = RG_CONTAINER(proposal, struct rg_bootstrapping, proposal);

    boot->running = false;
    if (proposal->err) {
        boot->wait_ms = RG_MIN(RG_MAX(2 * boot->wait_ms, (uint64_t)WAIT_MS_MIN), (uint64_t)WAIT_MS_MAX);
        boot->due_ms = boot->io->now_ms(boot->io) + boot->wait_ms;
        rg_log_warn(boot->log, "instance.seed", "what=\"%s\" code=%s (tried again in %llu ms)", boot->what,
                    rg_err_symbol(proposal->err), (unsigned long long)boot->wait_ms);
        return;
    }
    boot->wait_ms = 0;
    rg_log_info(boot->log, "instance.seed", "what=\"%s\" revision=%llu.%llu result=\"%s\"", boot->what,
                (unsigned long long)proposal->rev.epoch, (unsigned long long)proposal->rev.index,
                rg_err_text(proposal->reply.err));
    if (proposal->reply.err && proposal->reply.err != RG_ECONFLICT)
        boot->failed = true; /* refused once, refused always */
}

static enum rg_err submit(struct rg_bootstrapping *boot, const char *what)
{
    if (boot->cmd.err)
        return boot->cmd.err;
    boot->what = what;
    boot->proposal = (struct rg_proposal){.cmd = rg_buf_span(&boot->cmd), .exempt = true, .on_done = on_done};
    boot->running = true;
    rg_node_submit(boot->node, &boot->proposal);
    return RG_OK;
}

/* ---- the instance ---- */

static enum rg_err put_regions(struct rg_bootstrapping *boot)
{
    const struct rg_config *c = boot->config;

    for (size_t i = 0; i < c->n_peers; i++) {
        RG_AUTO_BUF struct rg_buf region = {.max = 0};
        bool seen = false;

        for (size_t k = 0; k < i; k++)
            seen |= strcmp(c->peers[k].raft.region, c->peers[i].raft.region) == 0;
        rg_buf_init(&region, 4096);
        if (seen)
            continue;
        rg_tlv_put_str(&region, RG_F_NAME, c->peers[i].raft.region);
        rg_tlv_put_str(&region, RG_F_STATUS, "ACTIVE");
        rg_tlv_put_str(&region, RG_F_URL, c->peers[i].url);
        rg_tlv_put_u64(&region, RG_F_PRIMARY, c->peers[i].raft.role == RG_ROLE_VOTER);
        if (region.err)
            return region.err;
        rg_tlv_put(&boot->cmd, RG_F_REGION, rg_buf_span(&region));
    }
    return boot->cmd.err;
}

static enum rg_err put_credential(struct rg_bootstrapping *boot, const struct rg_bootstrap *b)
{
    uint8_t token_hash[RG_SHA256_BYTES];
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf credential = {.max = 0};
    enum rg_err err;

    rg_buf_init(&sealed, 4096);
    rg_buf_init(&credential, 8192);
    err = seal(boot, rg_span_str(b->secret_access_key), &sealed);
    if (err)
        return err;
    rg_sha256(rg_span_str(b->bearer_token), token_hash);
    rg_tlv_put_str(&credential, RG_F_ACCESS_KEY_ID, b->access_key_id);
    rg_tlv_put(&credential, RG_F_SECRET_SEALED, rg_buf_span(&sealed));
    rg_tlv_put(&credential, RG_F_TOKEN_SHA256, rg_span(token_hash, sizeof token_hash));
    rg_tlv_put_str(&credential, RG_F_ROLE, "admin");
    if (credential.err)
        return credential.err;
    rg_tlv_put(&boot->cmd, RG_F_CREDENTIAL, rg_buf_span(&credential));
    return boot->cmd.err;
}

/* ---- the CA's private key: whichever region is primary signs certificates with it ---- */

/* Sealed, appended to out. It must be the key of the certificate that links trust. */
static enum rg_err ca_key_seal(struct rg_bootstrapping *boot, const char *path, struct rg_buf *out, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf cert = {.max = 0};
    struct rg_buf key;
    enum rg_err err;

    rg_buf_init(&cert, KEY_BYTES_MAX);
    rg_buf_init(&key, KEY_BYTES_MAX);
    if (rg_buf_reserve(&key, KEY_BYTES_MAX) == NULL)
        return RG_ENOMEM;
    err = rg_privfile_read(path, "the CA's private key", RG_PRIVFILE_SECRET, &key, ctx);
    if (!err)
        err = rg_privfile_read(boot->config->tls_ca, "the CA certificate", 0, &cert, ctx);
    if (!err)
        err = rg_pki_ca_check(rg_buf_span(&cert), rg_buf_span(&key), ctx);
    if (!err)
        err = seal(boot, rg_buf_span(&key), out);
    rg_wipe(key.data, key.cap);
    rg_buf_deinit(&key);
    return err;
}

static enum rg_err put_ca_key(struct rg_bootstrapping *boot, const char *path, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    enum rg_err err;

    rg_buf_init(&sealed, KEY_BYTES_MAX + 1024);
    err = ca_key_seal(boot, path, &sealed, ctx);
    if (err)
        return err;
    begin(boot, RG_CMD_SECRET_PUT);
    rg_tlv_put_str(&boot->cmd, RG_F_NAME, "ca-key");
    rg_tlv_put(&boot->cmd, RG_F_SECRET_SEALED, rg_buf_span(&sealed));
    return submit(boot, "the CA's key");
}

static enum rg_err put_instance(struct rg_bootstrapping *boot, struct rg_errctx *ctx)
{
    const struct rg_config *c = boot->config;
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    struct rg_bootstrap b;
    uint32_t version;
    enum rg_err err = rg_bootstrap_load(c->bootstrap, &b, ctx);

    if (err)
        return err;
    rg_buf_init(&sealed, KEY_BYTES_MAX + 1024);
    if (b.ca_key[0] != '\0') /* written next: said now if it cannot be */
        err = ca_key_seal(boot, b.ca_key, &sealed, ctx);
    begin(boot, RG_CMD_INSTANCE_INIT);
    rg_tlv_put_str(&boot->cmd, RG_F_INSTANCE_ARN, c->instance_arn);
    rg_tlv_put_str(&boot->cmd, RG_F_IDENTITY_STORE_ID, c->identity_store_id);
    rg_tlv_put_str(&boot->cmd, RG_F_OWNER_ACCOUNT_ID, b.account_id);
    rg_tlv_put_str(&boot->cmd, RG_F_KEY_ID, boot->keys->ops->key_id(boot->keys, &version));
    if (!err)
        err = put_regions(boot);
    if (!err)
        err = put_credential(boot, &b);
    rg_wipe(&b, sizeof b);
    return err ? err : submit(boot, "the instance");
}

/* ---- nodes ---- */

static bool is_member(const struct rg_node_status *status, uint64_t id)
{
    bool member = id == status->id;

    for (size_t i = 0; i < status->n_peers; i++)
        member |= status->peers[i].id == id;
    return member;
}

static enum rg_err put_node(struct rg_bootstrapping *boot, const struct rg_config_peer *peer)
{
    const struct rg_node_row row = {.id = peer->raft.id,
                                    .region = rg_span_str(peer->raft.region),
                                    .link = rg_span_str(peer->raft.link),
                                    .url = rg_span_str(peer->url),
                                    .status = rg_span_str("MEMBER")};

    begin(boot, RG_CMD_NODE_PUT);
    rg_node_row_put(&boot->cmd, &row);
    return submit(boot, "a node of the first configuration");
}

/* A member that the file names and no row does. */
static const struct rg_config_peer *missing_node(struct rg_bootstrapping *boot, struct rg_txn *txn,
                                                 const struct rg_node_status *status)
{
    for (size_t i = 0; i < boot->config->n_peers; i++) {
        const struct rg_config_peer *peer = &boot->config->peers[i];
        struct rg_node_row row;

        if (is_member(status, peer->raft.id) && rg_node_row_get(txn, peer->raft.id, &row) == RG_ENOTFOUND)
            return peer;
    }
    return NULL;
}

static bool any_node(struct rg_txn *txn)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;

    return rg_node_row_list(txn, &scan) == RG_OK && rg_node_row_next(&scan, &row) == RG_OK;
}

/* ---- what next ---- */

/* Without the file or its ca_key there is nothing to write, now or later: whoever made the CA keeps its key. */
static enum rg_err ca_key_next(struct rg_bootstrapping *boot, bool *ret_done)
{
    struct rg_errctx why = {.text = ""};
    struct rg_bootstrap b;
    enum rg_err err;

    if (boot->config->bootstrap[0] == '\0' || rg_bootstrap_load(boot->config->bootstrap, &b, NULL) != RG_OK) {
        *ret_done = true;
        return RG_OK;
    }
    *ret_done = b.ca_key[0] == '\0';
    err = *ret_done ? RG_OK : put_ca_key(boot, b.ca_key, &why);
    rg_wipe(&b, sizeof b);
    if (err) {
        rg_log_error(boot->log, "instance.seed", "what=\"the CA's key\" code=%s reason=\"%s\"", rg_err_symbol(err),
                     rg_errctx_text(&why, err));
        *ret_done = true;
    }
    return RG_OK;
}

static enum rg_err next(struct rg_bootstrapping *boot, struct rg_txn *txn, const struct rg_node_status *status, bool *ret_done,
                        struct rg_errctx *ctx)
{
    struct rg_instance instance;
    const struct rg_config_peer *peer;
    struct rg_span sealed;
    enum rg_err err = rg_instance_get(txn, &instance);

    if (err == RG_ENOTFOUND)
        return status->leader && boot->config->bootstrap[0] != '\0' ? put_instance(boot, ctx) : RG_OK;
    if (err)
        return RG_OK; /* seen again at the next step */
    if (!status->leader) {
        *ret_done = any_node(txn);
        return RG_OK;
    }
    peer = missing_node(boot, txn, status);
    if (peer != NULL)
        return put_node(boot, peer);
    if (rg_secret_get(txn, rg_span_str("ca-key"), &sealed) == RG_ENOTFOUND)
        return ca_key_next(boot, ret_done);
    *ret_done = true;
    return RG_OK;
}

enum rg_err rg_bootstrapping_step(struct rg_bootstrapping *boot, bool *ret_done, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_node_status *status = malloc(sizeof *status);
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_applied applied;

    *ret_done = boot->failed;
    if (boot->running || boot->failed || boot->io->now_ms(boot->io) < boot->due_ms || status == NULL ||
        rg_txn_begin(boot->store, RG_TXN_READ, &txn) != RG_OK)
        return RG_OK;
    rg_txn_applied(txn, &applied);
    rg_node_status_copy(boot->node, status);
    if (applied.index == 0 && !status->leader) /* a snapshot is being loaded, or there is nothing yet */
        return RG_OK;
    return next(boot, txn, status, ret_done, ctx);
}
