#include "net/ops/assignment.h"

#include "store/authz/access.h"

enum { ROWS_MAX = 200000 };

static void build(struct rg_buf *cmd, enum rg_cmd_kind kind, const struct rg_author *author, const struct rg_assignment *a,
                  const struct rg_uuid *request)
{
    rg_cmd_begin(cmd, kind, author->at_ms, author->by);
    rg_tlv_put(cmd, RG_F_REQUEST_ID, rg_span(request->b, sizeof request->b));
    rg_tlv_put_str(cmd, RG_F_ACCOUNT_ID, a->account_id);
    rg_tlv_put(cmd, RG_F_PERMSET_ID, rg_span(a->permset_id.b, sizeof a->permset_id.b));
    rg_tlv_put(cmd, RG_F_PRINCIPAL_TYPE, rg_span(&a->principal_type, 1));
    rg_tlv_put(cmd, RG_F_PRINCIPAL_ID, rg_span(a->principal_id.b, sizeof a->principal_id.b));
}

void rg_cmd_assignment_create(struct rg_buf *cmd, const struct rg_author *author, const struct rg_assignment *assignment,
                              const struct rg_uuid *request)
{
    build(cmd, RG_CMD_ASSIGNMENT_CREATE, author, assignment, request);
}

void rg_cmd_assignment_delete(struct rg_buf *cmd, const struct rg_author *author, const struct rg_assignment *assignment,
                              const struct rg_uuid *request)
{
    build(cmd, RG_CMD_ASSIGNMENT_DELETE, author, assignment, request);
}

/* ---- reading ---- */

int rg_assignment_order(const struct rg_assignment *a, const struct rg_assignment *b)
{
    int order = memcmp(a->account_id, b->account_id, sizeof a->account_id);

    if (order == 0)
        order = memcmp(a->permset_id.b, b->permset_id.b, sizeof a->permset_id.b);
    if (order == 0)
        order = (int)(uint8_t)a->principal_type - (int)(uint8_t)b->principal_type;
    return order != 0 ? order : memcmp(a->principal_id.b, b->principal_id.b, sizeof a->principal_id.b);
}

static int compare(const void *a, const void *b) { return rg_assignment_order(a, b); }

static enum rg_err rows_of_group(struct rg_txn *txn, const struct rg_uuid *id, struct rg_assignment **ret_rows, size_t *ret_n)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    RG_AUTO_MEM struct rg_assignment *rows = NULL;
    size_t n = 0, cap = 0;
    enum rg_err err = rg_assignment_list_of(txn, 'G', id, NULL, &scan);

    while (!err) {
        if (n == cap) {
            struct rg_assignment *more = cap < ROWS_MAX ? realloc(rows, (cap = cap > 0 ? cap * 2 : 64) * sizeof *rows) : NULL;

            if (more == NULL)
                return RG_ENOMEM;
            rows = more;
        }
        err = rg_assignment_list_next(&scan, &rows[n]);
        n += err == RG_OK;
    }
    if (err != RG_ENOTFOUND)
        return err;
    *ret_rows = RG_STEAL(rows);
    *ret_n = n;
    return RG_OK;
}

enum rg_err rg_assignments_of(struct rg_txn *txn, char principal_type, const struct rg_uuid *id, struct rg_assignment **ret_rows,
                              size_t *ret_n)
{
    enum rg_err err = principal_type == 'U' ? rg_access_rows_of(txn, id, ROWS_MAX, ret_rows, ret_n)
                                            : rows_of_group(txn, id, ret_rows, ret_n);

    if (!err && *ret_n > 0)
        qsort(*ret_rows, *ret_n, sizeof **ret_rows, compare);
    return err;
}
