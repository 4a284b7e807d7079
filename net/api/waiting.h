/* net/api/waiting.h: nodes that ask to come back, have proved whose key they have, and wait for an administrator's word: as this process,
 * which leads, heard of them. They ask again by themselves, so nothing of it is kept. For all workers; of a bounded size. */
#ifndef REGENT_NET_API_WAITING_H
#define REGENT_NET_API_WAITING_H

#include <pthread.h>

#include "base/err.h"
#include "crypto/pki.h"

#define RG_WAITING_MAX 32
#define RG_WAITING_KEPT_MS (INT64_C(10) * 60 * 1000) /* without asking again */

/* Text that does not fit is cut: it is for people. */
struct rg_waiting_node {
    uint64_t old_id; /* whose key it has */
    uint64_t heir;   /* in whose place it would come back: who is approved */
    char fingerprint[RG_PKI_FINGERPRINT_BYTES], region[33], link[128], url[160], from[64];
    int64_t since_ms, asked_ms; /* Unix time */
};

struct rg_waiting {
    pthread_mutex_t mutex;
    struct rg_waiting_node nodes[RG_WAITING_MAX];
    size_t n;
};

RG_MUST enum rg_err rg_waiting_init(struct rg_waiting *waiting);
void rg_waiting_deinit(struct rg_waiting *waiting);
/** It asked, at node->asked_ms; since_ms is found here. Of more than there is room for the one goes that was silent for longest. */
void rg_waiting_note(struct rg_waiting *waiting, const struct rg_waiting_node *node);
/** It waits no more. */
void rg_waiting_forget(struct rg_waiting *waiting, uint64_t old_id);
/** Those that asked of late, in the order in which they first did. */
size_t rg_waiting_list(struct rg_waiting *waiting, int64_t wall_ms, struct rg_waiting_node ret_nodes[RG_WAITING_MAX]);

#endif
