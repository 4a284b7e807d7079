/* cmd/daemon/fetch_cert.h: a node that asked to join (regent node init) waits until an administrator lets it in, and collects its
 * certificate: from whichever of its peers answers, with its key for a proof. Before anything else of it runs. */
#ifndef REGENT_CMD_DAEMON_FETCH_CERT_H
#define REGENT_CMD_DAEMON_FETCH_CERT_H

#include <signal.h>

#include "cmd/config/config.h"

/**
 * stop  a signal sets it
 * RG_OK: the certificate is in its file. RG_ESTOPPED. A local fault. Who was withdrawn hears so, and asks on until it is stopped.
 */
RG_MUST enum rg_err rg_fetch_cert(const struct rg_config *config, const struct rg_log *log, const volatile sig_atomic_t *stop,
                                  struct rg_errctx *ctx);

#endif
