/* net/api_aws.h: what the operations of the AWS JSON interfaces share. */
#ifndef REGENT_NET_API_AWS_H
#define REGENT_NET_API_AWS_H

#include "net/api_priv.h"
#include "net/aws_json.h"

struct rg_operation {
    const char *target; /* X-Amz-Target */
    const char *name;   /* for /metrics */
    const struct rg_shape *input;
    void (*run)(struct rg_call *call); /* the body fits the shape; identity store and instance are ours */
    bool write;
};

extern const struct rg_operation rg_identitystore_operations[];
extern const size_t rg_identitystore_operations_n;
extern const struct rg_operation rg_ssoadmin_operations[];
extern const size_t rg_ssoadmin_operations_n;

/* Members that many shapes have. */
#define RG_SHAPE_STORE_ID {"IdentityStoreId", RG_SHAPE_STRING, true, 1, 36, RG_PAT_STORE_ID, NULL, NULL, false}
#define RG_SHAPE_INSTANCE {"InstanceArn", RG_SHAPE_STRING, true, 10, 1224, RG_PAT_INSTANCE_ARN, NULL, NULL, false}
#define RG_SHAPE_PERMSET {"PermissionSetArn", RG_SHAPE_STRING, true, 10, 1224, RG_PAT_PERMSET_ARN, NULL, NULL, false}
#define RG_SHAPE_MAX_RESULTS {"MaxResults", RG_SHAPE_INT, false, 1, 100, RG_PAT_ANY, NULL, NULL, false}
#define RG_SHAPE_STORE_TOKEN {"NextToken", RG_SHAPE_STRING, false, 1, 65535, RG_PAT_STORE_TOKEN, NULL, NULL, false}
#define RG_SHAPE_TOKEN {"NextToken", RG_SHAPE_STRING, false, 0, 2048, RG_PAT_TOKEN, NULL, NULL, false}
#define RG_SHAPE_ID(name, required) {name, RG_SHAPE_STRING, required, 1, 47, RG_PAT_RESOURCE_ID, NULL, NULL, false}
#define RG_SHAPE_END {NULL, RG_SHAPE_STRING, false, 0, 0, RG_PAT_ANY, NULL, NULL, false}

/** A UUID of a checked member (the optional prefix dropped). */
struct rg_uuid rg_aws_id(const json_t *object, const char *name);
/** A fresh random UUID. */
struct rg_uuid rg_aws_mint(void);
void rg_aws_put_uuid(struct rg_buf *out, const struct rg_uuid *id); /* with quotes */
/** `"Name":` — a comma first unless the object or list has just begun. */
void rg_aws_put_name(struct rg_buf *out, const char *name);
void rg_aws_put_member(struct rg_buf *out, const char *name, struct rg_span text);
/** Epoch seconds with milliseconds, as awsJson1_1 timestamps are. */
void rg_aws_put_time(struct rg_buf *out, const char *name, int64_t at_ms);
/** Refused for want of a member that is there only together with others, and the like. */
void rg_aws_invalid(struct rg_call *call, const char *text);

/* Paging: begin reads MaxResults and NextToken (false: answered); each row asks rg_page_full before it is put; end puts
 * NextToken when the last row was followed by another. */
struct rg_page {
    const char *operation;
    size_t max, n;
    struct rg_buf after; /* own: key of the last row of the page before; empty: from the first */
    uint8_t last[128];   /* key of the last row put */
    size_t last_n;
    bool more;
};
bool rg_page_begin(struct rg_call *call, const char *operation, struct rg_page *page);
/** True when the page is full: stop, there is more. Otherwise this row counts, with `key` to go on behind. */
bool rg_page_full(struct rg_page *page, struct rg_span key);
/** `,"NextToken":"…"` if there is more; frees the page. */
void rg_page_end(struct rg_page *page, struct rg_buf *out);
/** The id that a page goes on behind; NULL: from the first. */
const struct rg_uuid *rg_page_after_id(const struct rg_page *page, struct rg_uuid *id);

/** Answer what apply refused, in the words of the service. */
void rg_aws_refused(struct rg_call *call, const struct rg_reply *reply);

#endif
