/* raft/member/removing.c: a region that goes. */
#include <stdio.h>

#include "raft/member/regions_priv.h"

/* A node of the region that is not marked REMOVED yet: told first, if it can be. */
static void send_off(struct look *l, const struct rg_region *row, const struct rg_node_row *node)
{
    bool forced = rg_span_is(row->phase, "forced"), up;
    char error[REGIONS_ERROR_BYTES] = "", why[RG_REGIONS_WHY_BYTES] = "";
    struct rg_regions *r = l->r;

    RG_ASSERT(rg_span_eq(node->region, row->name));
    RG_ASSERT(!rg_span_is(node->status, "REMOVED"));
    RG_ASSERT(!rg_span_is(row->name, l->v->status->region)); /* the primary's region does not go */
    look_way(l, REGION_TOLD);
    look_show(l, row->name, "tell", 20);
    if (rg_span_is(node->status, "FENCED") || r->told_id == node->id || (rg_node_row_asks(node) && look_peer(l, node->id) == NULL)) {
        want_node(l, node, "REMOVED", "");
        return;
    }
    up = look_reached(l, node->id, why);
    if (up && r->failed_text[0] == '\0') {
        want_tell(l, node->id, row->name);
    } else if (forced || r->denied_id == node->id || look_silent_for(l, node->id, SILENT_MS_MAX)) {
        rg_log_warn(r->log, "region.untold", "region=%.*s node=%llu", RG_SPAN_ARG(row->name), (unsigned long long)node->id);
        want_node(l, node, "REMOVED", "untold");
    } else {
        if (up)
            snprintf(error, sizeof error, "%s", r->failed_text);
        else
            unreached_text(error, node, why);
        r->failed_text[0] = '\0'; /* and once more */
        (void)want_error(l, row, error);
    }
}

/* The first that is not marked REMOVED yet. The silence of all of them is counted from the same moment on. RG_ENOTFOUND: none. */
static enum rg_err next_to_send_off(struct look *l, struct rg_span region, struct rg_node_row *ret_node)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node;
    enum rg_err err = rg_node_row_list(l->v->txn, &scan);
    uint64_t last = 0;
    bool found = false;

    RG_ASSERT(l->todo == RG_REGIONS_REST);
    while (!err && (err = rg_node_row_next(&scan, &node)) == RG_OK) {
        char why[RG_REGIONS_WHY_BYTES];

        RG_ASSERT(node.id > last);
        last = node.id;
        if (!rg_span_eq(node.region, region) || rg_span_is(node.status, "REMOVED"))
            continue;
        if (!found)
            *ret_node = node;
        found = true;
        (void)look_reached(l, node.id, why);
    }
    RG_ASSERT(!found || ret_node->id <= last);
    return err == RG_ENOTFOUND && found ? RG_OK : err;
}

/* All of them are sent off: out of the configuration, then the row goes. */
static void leave(struct look *l, const struct rg_region *row)
{
    const struct rg_node_status *status = l->v->status;
    struct rg_regions *r = l->r;

    RG_ASSERT(!rg_span_is(row->name, status->region));
    RG_ASSERT(rg_span_is(row->status, "REMOVING"));
    look_way(l, REGION_LEAVES);
    look_show(l, row->name, "configuration", 80);
    for (size_t i = 0; i < status->n_peers; i++) {
        if (!rg_span_is(row->name, status->peers[i].region))
            continue;
        if (r->failed_text[0] != '\0' && want_error(l, row, r->failed_text)) {
            r->failed_text[0] = '\0';
            return;
        }
        want_change(l, RG_CHANGE_REMOVE, status->peers[i].id, row->name, rg_span(NULL, 0));
        return;
    }
    rg_log_info(r->log, "region.removed", "region=%.*s", RG_SPAN_ARG(row->name));
    want_region(l, row, "REMOVED", "", "", 0, rg_span(NULL, 0));
}

void step_removing(struct look *l, const struct rg_region *row)
{
    struct rg_node_row node;
    enum rg_err err;

    RG_ASSERT(rg_span_is(row->status, "REMOVING")); /* nobody's data goes unasked */
    RG_ASSERT(rg_span_is(row->name, l->r->region));
    if (rg_span_is(row->name, l->v->status->region)) {
        keep_own(l, row);
        return;
    }
    err = next_to_send_off(l, row->name, &node);
    if (!err)
        send_off(l, row, &node);
    else if (err == RG_ENOTFOUND)
        leave(l, row);
}
