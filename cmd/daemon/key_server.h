/* cmd/daemon/key_server.h: gives the shared key to a node that has joined: the control channel's "key", {cert: PEM} → {keyId, wrapped:
 * base64 of crypto/keywrap}. The primary alone answers, and only a link whose node is prepared or a member. */
#ifndef REGENT_CMD_DAEMON_KEY_SERVER_H
#define REGENT_CMD_DAEMON_KEY_SERVER_H

#include "cmd/config/config.h"
#include "net/link/control.h"
#include "crypto/keyprov.h"
#include "store/db/env.h"

struct rg_key_server { /* all borrowed */
    const struct rg_config *config;
    const struct rg_log *log;
    struct rg_keyprov *keys;
    struct rg_store *store;
    struct rg_node *node;
    const char *ca_pem;
};

/** Serve from now on, until the control channel is closed. */
RG_MUST enum rg_err rg_key_serve(struct rg_key_server *server, struct rg_control *control);

#endif
