/* store/apply/fsm_priv.h: one command being applied, and what its handlers share. For store/apply/ only.
 *
 * A handler checks everything first, then writes. It returns RG_OK, or a local fault, or what rg_fsm_refuse returned:
 * `refused` tells the last two apart, so that every handler can say `if (err) return err`. */
#ifndef REGENT_STORE_APPLY_FSM_PRIV_H
#define REGENT_STORE_APPLY_FSM_PRIV_H

#include "store/apply/fsm.h"
#include "store/db/rowkey.h"
#include "store/model/trust.h"

enum {
    RG_FSM_REGIONS_MAX = 64,
};
_Static_assert(2 * RG_BY_BYTES_MAX + 128 < RG_ROW_BYTES_MAX, "what apply itself keeps in a row always fits");

struct rg_fsm {
    struct rg_txn *txn;
    struct rg_cmd cmd;
    uint64_t index;
    struct rg_reply *reply;
    bool refused;
    bool dry, reached; /* nothing is written: it ends where it would begin to */
    const struct rg_fsm_bounds *bounds; /* borrow; NULL: none */
    uint64_t changes; /* of the transaction, before this command */
    struct rg_buf row; /* own: the row being built */
    unsigned level;    /* of trust */
    struct rg_span statement; /* borrow: goes into each row that is built; empty: a row keeps the one that it had */
    bool said;                /* one of this command's was taken: it is used once */
    uint8_t said_hash[RG_STATEMENT_HASH_BYTES];
    int64_t said_expires_ms;
};

/** Refuse the command: sets the reply. Returns err, for `return rg_fsm_refuse(…)`. */
RG_MUST enum rg_err rg_fsm_refuse(struct rg_fsm *f, enum rg_err err, enum rg_why why);

/* Required fields of the command; a refusal when missing or of the wrong form. */
RG_MUST enum rg_err rg_fsm_id(struct rg_fsm *f, uint32_t field, struct rg_uuid *ret_id);
RG_MUST enum rg_err rg_fsm_psid(struct rg_fsm *f, uint32_t field, struct rg_psid *ret_id);
RG_MUST enum rg_err rg_fsm_account(struct rg_fsm *f, char ret_id[13]);
/** A text of 1 to RG_NAME_BYTES_MAX bytes without 0x00. */
RG_MUST enum rg_err rg_fsm_name(struct rg_fsm *f, struct rg_span bytes, uint32_t field, struct rg_span *ret_name);

/** Whether a row exists; ret_value may be NULL. */
RG_MUST enum rg_err rg_fsm_find(struct rg_fsm *f, const struct rg_rowkey *key, bool *ret_found, struct rg_span *ret_value);
/** Read a row that must be there, else refuse with RG_ENOTFOUND and why. */
RG_MUST enum rg_err rg_fsm_need(struct rg_fsm *f, const struct rg_rowkey *key, enum rg_why why, struct rg_span *ret_value);
/** Whether any row's key begins with the prefix. */
RG_MUST enum rg_err rg_fsm_any(struct rg_fsm *f, const struct rg_rowkey *prefix, bool *ret_any);
/** *n and one more for each row whose key begins with the prefix, up to max. */
RG_MUST enum rg_err rg_fsm_count(struct rg_fsm *f, const struct rg_rowkey *prefix, size_t max, size_t *n);
/** Whether work that takes long goes on: RG_ESTOPPED when it is to be given up. */
RG_MUST enum rg_err rg_fsm_go_on(const struct rg_fsm *f);
/** RG_F_IF_VERSION of the command against a row. */
RG_MUST enum rg_err rg_fsm_check_version(struct rg_fsm *f, struct rg_span row);
/** Delete a row that an index says is there: RG_ECORRUPT when it is not. */
RG_MUST enum rg_err rg_fsm_drop(struct rg_fsm *f, const struct rg_rowkey *key);
RG_MUST enum rg_err rg_fsm_put(struct rg_fsm *f, const struct rg_rowkey *key, struct rg_span value);
/** Write a row that is not there, as the object's row or its other indexes say: RG_ECORRUPT when it is. */
RG_MUST enum rg_err rg_fsm_add(struct rg_fsm *f, const struct rg_rowkey *key, struct rg_span value);

/**
 * Build a row in f->row: version and times, then the fields from 32 up of `fields` as they are, but for those in
 * `skip`. old   the row it replaces (its CREATED_* stay), or empty. A refusal when it is over RG_ROW_BYTES_MAX.
 */
RG_MUST enum rg_err rg_fsm_row_build(struct rg_fsm *f, struct rg_span old, struct rg_span fields, const uint32_t *skip,
                                     size_t n_skip);
/** After more was put into f->row: a refusal when that is too much. Before the command's first write, as any refusal. */
RG_MUST enum rg_err rg_fsm_row_check(struct rg_fsm *f);
/** Write f->row; rg_fsm_row_add: where none is. */
RG_MUST enum rg_err rg_fsm_row_put(struct rg_fsm *f, const struct rg_rowkey *key);
RG_MUST enum rg_err rg_fsm_row_add(struct rg_fsm *f, const struct rg_rowkey *key);

/** Delete the assignments of a principal, with their indexes (assign.c). */
RG_MUST enum rg_err rg_fsm_unassign(struct rg_fsm *f, char principal_type, const struct rg_uuid *id);
/** As rg_fsm_count, of those. */
RG_MUST enum rg_err rg_fsm_count_assigned(struct rg_fsm *f, char principal_type, const struct rg_uuid *id, size_t max, size_t *n);

/* Handlers: rg_fsm_user_create and so on, one for each row of the table. */
#define RG_FSM_HANDLER(name, number, handler, flags) RG_MUST enum rg_err rg_fsm_##handler(struct rg_fsm *f);
RG_CMD_MAP(RG_FSM_HANDLER)
#undef RG_FSM_HANDLER

/* Trust (trust.c). At level 1 these ask for nothing. */

/** The command has a statement of this kind, over its fields, by operators who may say it: else a refusal. Its rows will keep it. */
RG_MUST enum rg_err rg_fsm_demand(struct rg_fsm *f, enum rg_said kind);
/** What a node's row may become without a statement: a refusal for anything else. old: empty, if there is none. */
RG_MUST enum rg_err rg_fsm_node_may(struct rg_fsm *f, struct rg_span old);
/** A command that no statement is for. */
RG_MUST enum rg_err rg_fsm_forbid(struct rg_fsm *f);
/** The statement that was demanded is used: the last that is written. */
RG_MUST enum rg_err rg_fsm_said(struct rg_fsm *f);

/** Note that the command being applied was accepted with fewer regions than the policy wants (setting.c). */
RG_MUST enum rg_err rg_fsm_degraded(struct rg_fsm *f, uint64_t regions);

#endif
