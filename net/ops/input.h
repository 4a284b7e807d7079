/* net/ops/input.h: who asks for a change, and what is wrong with what they ask. What can be asked stands in the files beside this
 * one, in nobody's dialect: an input becomes command bytes (store/db/command.h), a row is read as a thing (store/model), and words,
 * in questions, answers and refusals, are the interfaces' own. */
#ifndef REGENT_NET_OPS_INPUT_H
#define REGENT_NET_OPS_INPUT_H

#include "store/db/command.h"

/* Of every change. Borrow. */
struct rg_author {
    struct rg_span by; /* who asks: access key id or token name */
    int64_t at_ms;     /* Unix milliseconds, read once */
};

/* The rule that an input breaks. */
enum rg_rule {
    RG_RULE_MISSING = 1, /* must be there */
    RG_RULE_FORM,        /* is not what such a field holds */
    RG_RULE_RESERVED,    /* a name that nobody may have */
    RG_RULE_REPEATED,    /* twice where each stands once */
    RG_RULE_TOO_LONG,
    RG_RULE_TOO_MANY,
    RG_RULE_THERE,       /* is there already */
    RG_RULE_ABSENT,      /* is not there */
};
struct rg_fault {
    uint32_t field; /* enum rg_field */
    enum rg_rule rule;
};
/** Note a fault. Returns its err: RG_EINVALID; RG_EQUOTA for TOO_MANY, RG_ECONFLICT for THERE, RG_ENOTFOUND for ABSENT. */
RG_MUST enum rg_err rg_fault_note(struct rg_fault *fault, uint32_t field, enum rg_rule rule);

/* An id that another system gave: unique among users, and among groups. */
struct rg_external_id {
    struct rg_span issuer, id;
};
/** The next one of a row; false: there are no more. cur: begun over the row. */
bool rg_external_id_next(struct rg_cursor *cur, struct rg_external_id *ret_id);

/* What the files of this room share. The command's buffer keeps its own sticky error: RG_ETOOBIG, RG_ENOMEM. */
/** A fresh random id. Never in a process that forks and goes on in both: they would give the same ones. */
struct rg_uuid rg_id_mint(void);
/** A field, unless the text is empty. */
void rg_cmd_put_text(struct rg_buf *cmd, uint32_t field, struct rg_span text);
/** A field of two texts with a zero between them. */
void rg_cmd_put_pair(struct rg_buf *cmd, uint32_t field, struct rg_span a, struct rg_span b);
/** The two texts of such a field. False: it is not one. */
bool rg_cmd_pair(struct rg_span value, struct rg_span *ret_a, struct rg_span *ret_b);
void rg_cmd_put_external_ids(struct rg_buf *cmd, const struct rg_external_id *ids, size_t n);
/** What holds for users and groups alike: a name that is there and not reserved, at most RG_EXTERNAL_IDS_MAX external ids. */
RG_MUST enum rg_err rg_identity_check(struct rg_span name, size_t external_ids_n, struct rg_fault *fault);

#endif
