/* net/v1/v1.h: /v1: what no standard interface has. Its interface, what its files share, its operations (rows in v1.c). */
#ifndef REGENT_NET_V1_V1_H
#define REGENT_NET_V1_V1_H

#include "net/api/worker.h"

/** Takes every request, so it is the last one of a list. */
extern const struct rg_interface rg_v1_interface;

/* v1.c, shared with the other files of /v1 */
/** GET with these parameters only: values percent-decoded into scratch (a whole request head's worth), absent ones
 * empty with p NULL. RG_EINVALID: unknown, repeated, badly encoded. */
RG_MUST enum rg_err rg_v1_query(struct rg_call *call, const char *const *names, struct rg_span *values, size_t n,
                                struct rg_buf *scratch, struct rg_errctx *ctx);
/** A text member of a body, of at most max bytes and without control characters; absent: p NULL. RG_EINVALID. */
RG_MUST enum rg_err rg_v1_take_text(json_t *input, const char *name, size_t max, struct rg_span *ret_text,
                                    struct rg_errctx *ctx);
/** End the object that the answer is with the revision it was read at, and answer 200 (consume). */
void rg_v1_answer(struct rg_call *call);

/* check.c */
struct rg_check_names {
    struct rg_span user, account, permset; /* borrow */
};
/** The request of POST /v1/check in its usual plain shape, without allocation. False: let jansson look. */
bool rg_check_parse(struct rg_span body, struct rg_check_names *ret_names);
/** RG_ENOTFOUND when nothing has this name. */
RG_MUST enum rg_err rg_find_user(struct rg_call *call, struct rg_span text, struct rg_uuid *ret_id);
/** By id or name; RG_ECONFLICT when several accounts share the name. */
RG_MUST enum rg_err rg_find_account(struct rg_call *call, struct rg_span text, char ret_id[13]);
RG_MUST enum rg_err rg_find_permset(struct rg_call *call, struct rg_span text, struct rg_psid *ret_id);
void rg_v1_check(struct rg_call *call);

/* access.c, export.c: long answers */
void rg_v1_access(struct rg_call *call);
void rg_v1_who(struct rg_call *call);
void rg_v1_export(struct rg_call *call);

void rg_v1_intents(struct rg_call *call);
void rg_v1_intent(struct rg_call *call);
void rg_v1_intent_approve(struct rg_call *call);
void rg_v1_intent_drop(struct rg_call *call);

/* probes.c: for monitors; /metrics without a credential only from this machine */
void rg_v1_healthz(struct rg_call *call);
void rg_v1_birth(struct rg_call *call);
void rg_v1_readyz(struct rg_call *call);
void rg_v1_metrics(struct rg_call *call);

/* status.c */
void rg_v1_status(struct rg_call *call);
void rg_v1_regions(struct rg_call *call);

/* regions.c */
void rg_v1_regions_add(struct rg_call *call);
void rg_v1_regions_put(struct rg_call *call);
void rg_v1_regions_delete(struct rg_call *call);
void rg_v1_regions_preflight(struct rg_call *call);

/* lost.c, lost_replay.c: writes that were lost with an old primary */
void rg_v1_lost_list(struct rg_call *call);
void rg_v1_lost_show(struct rg_call *call);
void rg_v1_lost_export(struct rg_call *call);
void rg_v1_lost_drop(struct rg_call *call);
void rg_v1_lost_replay(struct rg_call *call);

#endif
