/* store/model/request.h: what became of the requests that created and deleted assignments, as read from rows. Plain values that borrow from
 * the row. */
#ifndef REGENT_STORE_MODEL_REQUEST_H
#define REGENT_STORE_MODEL_REQUEST_H

#include "store/model/assignment.h"

struct rg_request_status {
    struct rg_uuid id;
    bool deletion;
    int64_t at_ms;
    struct rg_assignment assignment;
    struct rg_span status, reason; /* "SUCCEEDED" | "FAILED" */
};

RG_MUST enum rg_err rg_request_status_get(struct rg_txn *txn, bool deletion, const struct rg_uuid *id,
                                          struct rg_request_status *ret_status);
/** Newest last; after: id of the last one, or NULL. */
RG_MUST enum rg_err rg_request_status_list(struct rg_txn *txn, bool deletion, const struct rg_uuid *after,
                                           struct rg_scan *scan);
RG_MUST enum rg_err rg_request_status_list_next(struct rg_scan *scan, struct rg_request_status *ret_status);

#endif
