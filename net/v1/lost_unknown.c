/* GET /v1/lost-tail: of whom nothing is listed, though a promotion may have cut writes of theirs off: nobody can know of these, or not yet.
 * A node says so of those that its own machine was before, and the primary of whoever was left out and has not come back. */
#include "net/v1/lost_priv.h"

#include <stdio.h>

#include "store/model/node.h"

static void add(struct lost *l, const struct rg_node_row *row, enum lost_why why)
{
    struct lost_unknown *u = &l->unknown[l->n_unknown];

    RG_ASSERT(l->n_unknown <= RG_LEN(l->unknown));
    RG_ASSERT(row->id != 0);
    if (l->n_unknown == RG_LEN(l->unknown)) {
        l->unknown_cut = true;
        return;
    }
    *u = (struct lost_unknown){.id = row->id, .why = why};
    snprintf(u->region, sizeof u->region, "%.*s", RG_SPAN_ARG(row->region));
    l->n_unknown++;
}

/* Each id that this machine had before: it set data of it aside, unless there was none any more. */
static enum rg_err take_own(struct lost *l, struct rg_txn *txn, uint64_t self)
{
    struct rg_node_row row;
    enum rg_err err = rg_node_row_get(txn, self, &row);

    for (size_t i = 0; !err && row.old_id != 0 && i < RG_NODE_ID_MAX; i++) {
        err = rg_node_row_get(txn, row.old_id, &row);
        if (!err)
            add(l, &row, LOST_NOT_KEPT);
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static bool is_peer(const struct rg_node_status *s, uint64_t id)
{
    RG_ASSERT(s->n_peers <= RG_PEERS_MAX);
    for (size_t i = 0; i < s->n_peers; i++)
        if (s->peers[i].id == id && !s->peers[i].guest)
            return true;
    return id == s->id;
}

/* A promotion takes the voters before it out of the configuration: members by their rows, until they come back, or on their way back. */
static bool is_away(const struct rg_node_status *s, const struct rg_node_row *row)
{
    return (rg_span_is(row->status, "MEMBER") || (rg_span_is(row->status, "PREPARED") && row->rejoin)) && !is_peer(s, row->id);
}

static enum rg_err take_others(struct lost *l, struct rg_txn *txn, const struct rg_node_status *s)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row row;
    enum rg_err err = rg_node_row_list(txn, &scan);

    RG_ASSERT(s->leader);
    while (!err && (err = rg_node_row_next(&scan, &row)) == RG_OK) {
        if (is_away(s, &row))
            add(l, &row, LOST_AWAY);
        else if (rg_span_is(row.status, "REMOVED") && rg_span_is(row.phase, "untold"))
            add(l, &row, LOST_REMOVED);
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

enum rg_err lost_take_unknown(struct lost *l, struct rg_txn *txn)
{
    const struct rg_node_status *s = rg_api_status(l->call, true);
    enum rg_err err = take_own(l, txn, s->id);

    return err || !s->leader ? err : take_others(l, txn, s);
}

/* ---- on the work thread ---- */

static bool is_told(const struct rg_lost_list *list, uint64_t id)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->tails[i].old_id == id)
            return true;
    for (size_t i = 0; i < list->n_dropped; i++)
        if (list->dropped[i] == id)
            return true;
    return list->cut; /* it may be one of those */
}

static const char *why_text(enum lost_why why)
{
    switch (why) {
    case LOST_NOT_KEPT:
        return "nothing of it is kept where it ran: its disk was lost, or set aside by hand. What only it had, if it led or voted, "
               "cannot be known";
    case LOST_AWAY:
        return "it was left out when another epoch began, and has not come back: what only it has is not known yet";
    case LOST_REMOVED:
        return "it was removed while it was away, and ends when it comes back: what only it has goes with it";
    }
    RG_ASSERT(false);
    return "";
}

/* epoch 0: which one cut it off is not known, or not one alone. */
static enum rg_err append(json_t *body, uint64_t epoch, uint64_t id, const char *region, const char *reason)
{
    RG_ASSERT(reason[0] != '\0');
    return json_array_append_new(body, json_pack("{s:I,s:I,s:s,s:s,s:b,s:b}", "epoch", (json_int_t)epoch, "oldId", (json_int_t)id, "region",
                                                 region, "reason", reason, "known", 0, "unknown", 1)) == 0
               ? RG_OK
               : RG_ENOMEM;
}

/* Its folder is there, and its log cannot be read. */
enum rg_err lost_put_unread(struct lost *l, enum rg_err err)
{
    char reason[300];

    RG_ASSERT(err != RG_OK);
    snprintf(reason, sizeof reason, "its log cannot be read: %.250s", rg_errctx_text(&l->ctx, err));
    l->ctx.text[0] = '\0';
    return append(l->body, l->info.epoch, l->info.old_id, l->info.region, reason);
}

enum rg_err lost_put_unknown(const struct lost *l, const struct rg_lost_list *list, json_t *body)
{
    enum rg_err err = RG_OK;

    for (size_t i = 0; !err && i < l->n_unknown; i++)
        if (l->unknown[i].why != LOST_NOT_KEPT || !is_told(list, l->unknown[i].id))
            err = append(body, 0, l->unknown[i].id, l->unknown[i].region, why_text(l->unknown[i].why));
    if (!err && (list->cut || l->unknown_cut))
        err = append(body, 0, 0, "", "there is more than is listed: look below data_dir/lost");
    return err;
}
