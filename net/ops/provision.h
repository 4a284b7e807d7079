/* net/ops/provision.h: provisioning, in nobody's dialect. A permission set is read when access is checked, so a change is everywhere as
 * soon as it is visible, and a request to provision is done when it is answered. Nothing is kept of it: its id says what it was. */
#ifndef REGENT_NET_OPS_PROVISION_H
#define REGENT_NET_OPS_PROVISION_H

#include "store/db/schema.h"

struct rg_provision {
    struct rg_psid permset;
    uint32_t at; /* Unix seconds */
};

/**
 * A request's id: a UUID of version 8 (RFC 9562 §5.8): seconds, permission set, and 26 bits of a check over both and the instance,
 * so that other UUIDs are not taken for requests.
 */
struct rg_uuid rg_provision_id(const char *instance_arn, const struct rg_provision *provision);
/** The request that an id is of; false: it is no id of a request. */
bool rg_provision_of(const char *instance_arn, const struct rg_uuid *id, struct rg_provision *ret_provision);

#endif
