/* cmd/config/config.h: regentd's configuration file (YAML). Errors name file, line and field. */
#ifndef REGENT_CMD_CONFIG_CONFIG_H
#define REGENT_CMD_CONFIG_CONFIG_H

#include "base/log.h"
#include "raft/node.h"

#define RG_CONFIG_BYTES_MAX (256 * 1024)
#define RG_CONFIG_PATH_MAX 512

struct rg_config_peer {
    struct rg_peer_config raft; /* id, region, role, link */
    char url[160];              /* https://host:port where it answers */
    unsigned line;
};

enum rg_sandbox_mode { RG_SANDBOX_ON, RG_SANDBOX_OFF, RG_SANDBOX_LOG };

struct rg_config {
    char cluster[64], region[33];
    uint64_t id;
    uint64_t file_id; /* the file's; another than id: the node came back under a new one (cmd/config/node_identity.h) */
    char file_cert[RG_CONFIG_PATH_MAX], file_key[RG_CONFIG_PATH_MAX]; /* of file_id; tls_cert and tls_key are of id */
    char instance_arn[128], identity_store_id[64];
    char data_dir[RG_CONFIG_PATH_MAX], state_dir[RG_CONFIG_PATH_MAX];
    char mark[RG_CONFIG_PATH_MAX]; /* outside data_dir: raft/core/mark.h */
    bool mark_default;             /* the file names none */
    bool memory_peers; /* a start without proof of its memory asks others before it acts */
    uint64_t state_mb_max;
    char https_address[64], link_address[64];
    uint16_t https_port, link_port;
    unsigned workers;
    bool plain_http; /* development only: listen.https speaks plain HTTP */
    char tls_ca[RG_CONFIG_PATH_MAX], tls_cert[RG_CONFIG_PATH_MAX], tls_key[RG_CONFIG_PATH_MAX];
    char keystore[RG_CONFIG_PATH_MAX], passphrase_file[RG_CONFIG_PATH_MAX];
    char link_routes[RG_CONFIG_PATH_MAX]; /* may be empty: cmd/config/routes.h */
    bool keystore_fetch; /* a missing keystore is fetched from the primary */
    char bootstrap[RG_CONFIG_PATH_MAX]; /* may be empty */
    enum rg_sandbox_mode sandbox;
    bool cores; /* development only: core dumps, which hold keys, and debuggers */
    enum rg_log_level log_level;
    char hosts[RG_CONFIG_PATH_MAX]; /* names under which clients ask this node; may be empty: any */
    uint64_t max_staleness_ms; /* reads are refused while what is here may be older; 0: never */
    unsigned request_h; /* hours after which a node that asks to join, and is not let in and used, is forgotten */
    unsigned removal_grace_h; /* hours between the end of a node that is removed and the destruction of its key and data */
    uint64_t snapshot_entries, snapshot_mb;
    unsigned heartbeat_ms, election_ms;
    struct rg_config_peer peers[RG_PEERS_MAX]; /* self included */
    size_t n_peers;
};

/**
 * Read and check a configuration file. Relative paths in it are taken from the file's directory. Where the data directory holds
 * an identity (cmd/config/node_identity.h), its id, certificate, key and peers go before the file's.
 * RG_EINVALID / RG_EMALFORMED: ctx says "FILE:LINE: field: what is wrong".
 */
RG_MUST enum rg_err rg_config_load(const char *path, struct rg_config *ret_config, struct rg_errctx *ctx);

/* What the first start of a primary with an empty state writes: read once, may be deleted afterwards. */
struct rg_bootstrap {
    char account_id[13];
    char access_key_id[64], secret_access_key[128], bearer_token[128];
    char ca_key[RG_CONFIG_PATH_MAX]; /* the CA's private key, kept sealed in the state from then on; may be empty */
};
#define RG_BOOTSTRAP_SECRET_MIN 32 /* characters of the two secrets */
/** The bootstrap file, 0600 (RG_EINVALID when others can read it). Errors as above. */
RG_MUST enum rg_err rg_bootstrap_load(const char *path, struct rg_bootstrap *ret_bootstrap, struct rg_errctx *ctx);

#endif
