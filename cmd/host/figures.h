/* cmd/host/figures.h: figures for /metrics of what the daemon has beside the node: links, server, descriptors. */
#ifndef REGENT_CMD_HOST_FIGURES_H
#define REGENT_CMD_HOST_FIGURES_H

#include <pthread.h>

#include "cmd/config/config.h"
#include "cmd/host/descriptors.h"
#include "net/http/server.h"
#include "net/link/link.h"

/* The links' are copied by the raft thread, and printed by any. Zeroed but for what init sets. */
struct rg_figures {
    const struct rg_config *config;           /* ref */
    const struct rg_descriptors *descriptors; /* ref */
    pthread_mutex_t lock; /* over the next two */
    struct rg_link_stat stats[RG_PEERS_MAX];
    struct rg_link_strangers strangers;
};

void rg_figures_init(struct rg_figures *f, const struct rg_config *config, const struct rg_descriptors *descriptors);
void rg_figures_deinit(struct rg_figures *f);

/** The raft thread: as the links are now. */
void rg_figures_note(struct rg_figures *f, struct rg_links *links);

/** Any thread: links and strangers. */
void rg_figures_print_links(struct rg_figures *f, struct rg_buf *out);
/** Any thread: connections, requests, descriptors. */
void rg_figures_print_server(const struct rg_figures *f, struct rg_server *server, struct rg_buf *out);

#endif
