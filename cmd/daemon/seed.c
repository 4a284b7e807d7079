#include "cmd/daemon/seed.h"

#include "crypto/digest.h"
#include "crypto/envelope.h"
#include "crypto/pki.h"
#include "crypto/privfile.h"
#include "store/model/node.h"
#include "store/model/permset.h"

enum { KEY_BYTES_MAX = 16 * 1024 };

static const char by[] = "bootstrap";

void rg_seed_init(struct rg_seed *seed) { rg_buf_init(&seed->cmd, RG_CMD_BYTES_MAX); }

void rg_seed_deinit(struct rg_seed *seed) { rg_buf_deinit(&seed->cmd); }

static void begin(struct rg_seed *seed, enum rg_cmd_kind kind)
{
    rg_cmd_begin(&seed->cmd, kind, seed->io->wall_ms(seed->io), rg_span_str(by));
}

static enum rg_err seal(struct rg_seed *seed, struct rg_span plain, struct rg_buf *out)
{
    const struct rg_context context = {.instance_arn = rg_span_str(seed->config->instance_arn),
                                       .identity_store_id = rg_span_str(seed->config->identity_store_id),
                                       .purpose = rg_span_str("secret")};

    return rg_envelope_seal(seed->keys, &context, plain, out);
}

/* ---- writing ---- */

static void on_done(struct rg_proposal *proposal)
{
    struct rg_seed *seed = RG_CONTAINER(proposal, struct rg_seed, proposal);

    seed->running = false;
    if (proposal->err) {
        rg_log_warn(seed->log, "instance.seed", "what=\"%s\" code=%s (tried again)", seed->what,
                    rg_err_symbol(proposal->err));
        return;
    }
    rg_log_info(seed->log, "instance.seed", "what=\"%s\" revision=%llu.%llu result=\"%s\"", seed->what,
                (unsigned long long)proposal->rev.epoch, (unsigned long long)proposal->rev.index,
                rg_err_text(proposal->reply.err));
    if (proposal->reply.err && proposal->reply.err != RG_ECONFLICT)
        seed->failed = true; /* refused once, refused always */
}

static enum rg_err submit(struct rg_seed *seed, const char *what)
{
    if (seed->cmd.err)
        return seed->cmd.err;
    seed->what = what;
    seed->proposal = (struct rg_proposal){.cmd = rg_buf_span(&seed->cmd), .exempt = true, .on_done = on_done};
    seed->running = true;
    rg_node_submit(seed->node, &seed->proposal);
    return RG_OK;
}

/* ---- the instance ---- */

static enum rg_err put_regions(struct rg_seed *seed)
{
    const struct rg_config *c = seed->config;

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
        rg_tlv_put(&seed->cmd, RG_F_REGION, rg_buf_span(&region));
    }
    return seed->cmd.err;
}

static enum rg_err put_credential(struct rg_seed *seed, const struct rg_bootstrap *b)
{
    uint8_t token_hash[RG_SHA256_BYTES];
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    RG_AUTO_BUF struct rg_buf credential = {.max = 0};
    enum rg_err err;

    rg_buf_init(&sealed, 4096);
    rg_buf_init(&credential, 8192);
    err = seal(seed, rg_span_str(b->secret_access_key), &sealed);
    if (err)
        return err;
    rg_sha256(rg_span_str(b->bearer_token), token_hash);
    rg_tlv_put_str(&credential, RG_F_ACCESS_KEY_ID, b->access_key_id);
    rg_tlv_put(&credential, RG_F_SECRET_SEALED, rg_buf_span(&sealed));
    rg_tlv_put(&credential, RG_F_TOKEN_SHA256, rg_span(token_hash, sizeof token_hash));
    rg_tlv_put_str(&credential, RG_F_ROLE, "admin");
    if (credential.err)
        return credential.err;
    rg_tlv_put(&seed->cmd, RG_F_CREDENTIAL, rg_buf_span(&credential));
    return seed->cmd.err;
}

/* ---- the CA's private key: whichever region is primary signs certificates with it ---- */

/* Sealed, appended to out. It must be the key of the certificate that links trust. */
static enum rg_err ca_key_seal(struct rg_seed *seed, const char *path, struct rg_buf *out, struct rg_errctx *ctx)
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
        err = rg_privfile_read(seed->config->tls_ca, "the CA certificate", 0, &cert, ctx);
    if (!err)
        err = rg_pki_ca_check(rg_buf_span(&cert), rg_buf_span(&key), ctx);
    if (!err)
        err = seal(seed, rg_buf_span(&key), out);
    rg_wipe(key.data, key.cap);
    rg_buf_deinit(&key);
    return err;
}

static enum rg_err put_ca_key(struct rg_seed *seed, const char *path, struct rg_errctx *ctx)
{
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    enum rg_err err;

    rg_buf_init(&sealed, KEY_BYTES_MAX + 1024);
    err = ca_key_seal(seed, path, &sealed, ctx);
    if (err)
        return err;
    begin(seed, RG_CMD_SECRET_PUT);
    rg_tlv_put_str(&seed->cmd, RG_F_NAME, "ca-key");
    rg_tlv_put(&seed->cmd, RG_F_SECRET_SEALED, rg_buf_span(&sealed));
    return submit(seed, "the CA's key");
}

static enum rg_err put_instance(struct rg_seed *seed, struct rg_errctx *ctx)
{
    const struct rg_config *c = seed->config;
    RG_AUTO_BUF struct rg_buf sealed = {.max = 0};
    struct rg_bootstrap b;
    uint32_t version;
    enum rg_err err = rg_bootstrap_load(c->bootstrap, &b, ctx);

    if (err)
        return err;
    rg_buf_init(&sealed, KEY_BYTES_MAX + 1024);
    if (b.ca_key[0] != '\0') /* written next: said now if it cannot be */
        err = ca_key_seal(seed, b.ca_key, &sealed, ctx);
    begin(seed, RG_CMD_INSTANCE_INIT);
    rg_tlv_put_str(&seed->cmd, RG_F_INSTANCE_ARN, c->instance_arn);
    rg_tlv_put_str(&seed->cmd, RG_F_IDENTITY_STORE_ID, c->identity_store_id);
    rg_tlv_put_str(&seed->cmd, RG_F_OWNER_ACCOUNT_ID, b.account_id);
    rg_tlv_put_str(&seed->cmd, RG_F_KEY_ID, seed->keys->ops->key_id(seed->keys, &version));
    if (!err)
        err = put_regions(seed);
    if (!err)
        err = put_credential(seed, &b);
    rg_wipe(&b, sizeof b);
    return err ? err : submit(seed, "the instance");
}

/* ---- nodes ---- */

static bool is_member(const struct rg_node_status *status, uint64_t id)
{
    bool member = id == status->id;

    for (size_t i = 0; i < status->n_peers; i++)
        member |= status->peers[i].id == id;
    return member;
}

static enum rg_err put_node(struct rg_seed *seed, const struct rg_config_peer *peer)
{
    const struct rg_node_row row = {.id = peer->raft.id,
                                    .region = rg_span_str(peer->raft.region),
                                    .link = rg_span_str(peer->raft.link),
                                    .url = rg_span_str(peer->url),
                                    .status = rg_span_str("MEMBER")};

    begin(seed, RG_CMD_NODE_PUT);
    rg_node_row_put(&seed->cmd, &row);
    return submit(seed, "a node of the first configuration");
}

/* A member that the file names and no row does. */
static const struct rg_config_peer *missing_node(struct rg_seed *seed, struct rg_txn *txn,
                                                 const struct rg_node_status *status)
{
    for (size_t i = 0; i < seed->config->n_peers; i++) {
        const struct rg_config_peer *peer = &seed->config->peers[i];
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
static enum rg_err ca_key_next(struct rg_seed *seed, bool *ret_done)
{
    struct rg_errctx why = {.text = ""};
    struct rg_bootstrap b;
    enum rg_err err;

    if (seed->config->bootstrap[0] == '\0' || rg_bootstrap_load(seed->config->bootstrap, &b, NULL) != RG_OK) {
        *ret_done = true;
        return RG_OK;
    }
    *ret_done = b.ca_key[0] == '\0';
    err = *ret_done ? RG_OK : put_ca_key(seed, b.ca_key, &why);
    rg_wipe(&b, sizeof b);
    if (err) {
        rg_log_error(seed->log, "instance.seed", "what=\"the CA's key\" code=%s reason=\"%s\"", rg_err_symbol(err),
                     rg_errctx_text(&why, err));
        *ret_done = true;
    }
    return RG_OK;
}

static enum rg_err next(struct rg_seed *seed, struct rg_txn *txn, const struct rg_node_status *status, bool *ret_done,
                        struct rg_errctx *ctx)
{
    struct rg_instance instance;
    const struct rg_config_peer *peer;
    struct rg_span sealed;
    enum rg_err err = rg_instance_get(txn, &instance);

    if (err == RG_ENOTFOUND)
        return status->leader && seed->config->bootstrap[0] != '\0' ? put_instance(seed, ctx) : RG_OK;
    if (err)
        return RG_OK; /* seen again at the next step */
    if (!status->leader) {
        *ret_done = any_node(txn);
        return RG_OK;
    }
    peer = missing_node(seed, txn, status);
    if (peer != NULL)
        return put_node(seed, peer);
    if (rg_secret_get(txn, rg_span_str("ca-key"), &sealed) == RG_ENOTFOUND)
        return ca_key_next(seed, ret_done);
    *ret_done = true;
    return RG_OK;
}

enum rg_err rg_seed_step(struct rg_seed *seed, bool *ret_done, struct rg_errctx *ctx)
{
    RG_AUTO_MEM struct rg_node_status *status = malloc(sizeof *status);
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_applied applied;

    *ret_done = seed->failed;
    if (seed->running || seed->failed || status == NULL || rg_txn_begin(seed->store, RG_TXN_READ, &txn) != RG_OK)
        return RG_OK;
    rg_txn_applied(txn, &applied);
    rg_node_status_copy(seed->node, status);
    if (applied.index == 0 && !status->leader) /* a snapshot is being loaded, or there is nothing yet */
        return RG_OK;
    return next(seed, txn, status, ret_done, ctx);
}
