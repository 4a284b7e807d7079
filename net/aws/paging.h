/* net/aws/paging.h: pages of list operations: MaxResults and NextToken of the request, NextToken of the answer. A token is the key
 * of the last row given, with a check over operation and question: it goes on with the list it came from and no other, in any
 * region, after any restart. It holds nothing that its owner did not read, so it needs no secret. */
#ifndef REGENT_NET_AWS_PAGING_H
#define REGENT_NET_AWS_PAGING_H

#include "base/json_writer.h"
#include "net/api/call.h"

enum { RG_PAGE_KEY_BYTES_MAX = 128 };

struct rg_page {
    const char *operation;
    size_t max, n;
    struct rg_span after;              /* key of the last row of the page before (of after_key); p NULL: from the first */
    uint8_t after_key[RG_PAGE_KEY_BYTES_MAX], last[RG_PAGE_KEY_BYTES_MAX];
    size_t last_n; /* of the key of the last row put */
    bool more;
    struct rg_json_writer json; /* the answer, from rg_page_list on */
};

/** Read MaxResults and NextToken of call->input, which has been checked against its shape. False: answered. */
bool rg_page_begin(struct rg_call *call, const char *operation, struct rg_page *page);
/** True when the page is full: stop, there is more. Otherwise this row counts, with `key` to go on behind. */
bool rg_page_full(struct rg_page *page, struct rg_span key);
/** Begin the answer and its list. Its rows are written with what is returned, page->json. */
struct rg_json_writer *rg_page_list(struct rg_call *call, struct rg_page *page, const char *name);
/** Close the list and the answer, with NextToken if there is more; end the scan (may be NULL), answer (consume).
 * err   what the list ended with: RG_OK and RG_ENOTFOUND are no failure */
void rg_page_answer(struct rg_call *call, struct rg_page *page, struct rg_scan *scan, enum rg_err err);
/** The id that a page goes on behind; NULL: from the first. */
const struct rg_uuid *rg_page_after_id(const struct rg_page *page, struct rg_uuid *id);

/* The token by itself. question: what else the request asked, in bytes. */
void rg_page_token_put(struct rg_buf *out, const char *operation, struct rg_span question, struct rg_span key);
/** Into key (RG_PAGE_KEY_BYTES_MAX). RG_EINVALID when it is not the exact text of a token for this operation and question. */
RG_MUST enum rg_err rg_page_token_get(struct rg_span token, const char *operation, struct rg_span question, uint8_t *key,
                                      size_t *ret_n);

#endif
