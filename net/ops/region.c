/* Regions come and go: what AddRegion and RemoveRegion check and begin. The primary carries it through from the region's row
 * (raft/member/regions.h). */
#include <stdio.h>

#include "net/ops/region.h"
#include "store/model/region_name.h"
#include "net/ops/region_ops.h"
#include "raft/member/removal.h"
#include "store/model/node.h"
#include "store/model/region.h"

/* What a change remembers between its steps: call->state. */
struct change {
    struct rg_call *call;
    char name[RG_REGION_NAME_BYTES_MAX + 1];
    char owner[RG_REGION_OWNER_BYTES_MAX + 1], description[RG_REGION_TEXT_BYTES_MAX + 1];
    bool has_owner, has_description, force;
    const char *status; /* what is answered */
    rg_region_put *put;
    struct rg_preflight preflight;
};

static struct change *change_begin(struct rg_call *call, struct rg_span name)
{
    struct change *c;

    if (!rg_region_name_ok(name)) {
        rg_call_fail(call, RG_EINVALID, "a region's name is 1 to %d of a-z, 0-9 and '-'", RG_REGION_NAME_BYTES_MAX);
        return NULL;
    }
    c = calloc(1, sizeof *c);
    if (c == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return NULL;
    }
    c->call = call;
    snprintf(c->name, sizeof c->name, "%.*s", RG_SPAN_ARG(name));
    call->state = c;
    return c;
}

static void copy_text(char *to, size_t size, struct rg_span text, bool *ret_has)
{
    *ret_has = text.p != NULL;
    snprintf(to, size, "%.*s", (int)text.n, text.p != NULL ? (const char *)text.p : "");
}

/* ---- answers ---- */

static void answer_change(struct rg_call *call)
{
    const struct change *c = call->state;
    const struct rg_reply *reply = &call->proposal.reply;

    if (reply->err == RG_ECONFLICT && reply->why == RG_WHY_REGION_CHANGE) {
        rg_call_fail(call, RG_ECONFLICT, "Another region is being added or removed: one at a time.");
    } else if (reply->err == RG_ECONFLICT) {
        rg_call_fail(call, RG_ECONFLICT, strcmp(c->status, "ADDING") == 0 ? "The region %s is there already."
                                                                          : "The primary region %s cannot be removed.", c->name);
    } else if (reply->err == RG_ENOTFOUND) {
        rg_call_fail(call, RG_ENOTFOUND, "Region not found.");
    } else if (reply->err) {
        rg_call_fail(call, reply->err, NULL);
    } else {
        c->put(rg_call_json(call), c->name, c->status);
        rg_call_answer(call, 200);
    }
}

/* ---- the look before ---- */

static void preflight_on_done(struct rg_preflight *preflight)
{
    struct change *c = RG_CONTAINER(preflight, struct change, preflight);

    rg_call_raft_done(c->call, preflight->err);
}

static void preflight_run(struct rg_call *call)
{
    struct change *c = call->state;

    call->api->config.region_ops->preflight(call->api->config.region_arg, &c->preflight);
}

static void preflight_begin(struct change *c, void (*then)(struct rg_call *call))
{
    struct rg_call *call = c->call;

    if (call->api->config.region_ops == NULL) {
        rg_call_fail(call, RG_EUNREADY, "this node does not manage regions");
        return;
    }
    snprintf(c->preflight.region, sizeof c->preflight.region, "%s", c->name);
    c->preflight.on_done = preflight_on_done;
    rg_call_raft(call, preflight_run, then);
}

static bool all_ok(const struct rg_preflight *p)
{
    for (size_t i = 0; i < p->n; i++)
        if (!p->items[i].ok)
            return false;
    return p->n > 0;
}

static void put_items(struct rg_json_writer *j, const struct rg_preflight *p)
{
    rg_json_object(j, NULL);
    rg_json_str(j, "region", p->region);
    rg_json_bool(j, "ok", all_ok(p));
    rg_json_array(j, "items");
    for (size_t i = 0; i < p->n; i++) {
        const struct rg_preflight_item *item = &p->items[i];

        rg_json_object(j, NULL);
        rg_json_str(j, "check", item->check);
        rg_json_bool(j, "ok", item->ok);
        rg_json_str(j, "detail", item->detail);
        rg_json_str(j, "remedy", item->remedy);
        rg_json_end(j);
    }
    rg_json_end(j);
    rg_json_end(j);
}

static void preflight_answer(struct rg_call *call)
{
    const struct change *c = call->state;

    if (call->raft_err) {
        rg_call_fail(call, call->raft_err, "the preflight could not be finished");
        return;
    }
    put_items(rg_call_json(call), &c->preflight);
    rg_call_answer(call, 200);
}

void rg_region_preflight(struct rg_call *call, struct rg_span name)
{
    struct change *c = change_begin(call, name);

    if (c != NULL)
        preflight_begin(c, preflight_answer);
}

/* ---- add ---- */

static void fail_preflight(struct rg_call *call, const struct rg_preflight *p)
{
    RG_AUTO_BUF struct rg_buf text = {.max = 0};

    rg_buf_init(&text, 16 * 1024);
    rg_buf_printf(&text, "Region %s cannot be added, nothing was changed.", p->region);
    for (size_t i = 0; i < p->n; i++)
        if (!p->items[i].ok)
            rg_buf_printf(&text, " [%s] %s: %s.", p->items[i].check, p->items[i].detail, p->items[i].remedy);
    rg_call_fail(call, RG_EINVALID, "%.*s", RG_SPAN_ARG(rg_buf_span(&text)));
}

static void add_propose(struct rg_call *call)
{
    struct change *c = call->state;

    if (call->raft_err) {
        rg_call_fail(call, call->raft_err, "the preflight could not be finished");
        return;
    }
    if (!all_ok(&c->preflight)) {
        fail_preflight(call, &c->preflight);
        return;
    }
    rg_cmd_begin(&call->cmd, RG_CMD_REGION_PUT, call->now_ms, rg_call_by(call));
    rg_tlv_put_str(&call->cmd, RG_F_NAME, c->name);
    rg_tlv_put_str(&call->cmd, RG_F_STATUS, "ADDING");
    rg_tlv_put_str(&call->cmd, RG_F_URL, c->preflight.url);
    rg_tlv_put_u64(&call->cmd, RG_F_PRIMARY, 0);
    rg_tlv_put_str(&call->cmd, RG_F_PHASE, "preflight");
    if (c->owner[0] != '\0')
        rg_tlv_put_str(&call->cmd, RG_F_OWNER, c->owner);
    if (c->description[0] != '\0')
        rg_tlv_put_str(&call->cmd, RG_F_DESCRIPTION, c->description);
    rg_call_propose(call, answer_change);
}

/* Whether nothing in the state stands against adding it; answered if something does. */
static bool may_add(struct rg_call *call, struct rg_span name)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_region r;
    struct rg_txn *txn;
    size_t n = 0;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return false;
    err = rg_region_list(txn, rg_span(NULL, 0), &scan);
    while (!err && (err = rg_region_list_next(&scan, &r)) == RG_OK) {
        bool same = rg_span_eq(r.name, name), active = rg_span_is(r.status, "ACTIVE");

        n++;
        if (!same && active)
            continue;
        rg_scan_end(&scan);
        if (same)
            rg_call_fail(call, RG_ECONFLICT, "The region %.*s is there already: its status is %.*s.", RG_SPAN_ARG(name),
                         RG_SPAN_ARG(r.status));
        else
            rg_call_fail(call, RG_ECONFLICT, "The region %.*s is %.*s: one region is added or removed at a time.",
                         RG_SPAN_ARG(r.name), RG_SPAN_ARG(r.status));
        return false;
    }
    if (err == RG_ENOTFOUND && n < RG_REGIONS_MAX)
        return true;
    rg_scan_end(&scan);
    if (err == RG_ENOTFOUND)
        rg_call_fail(call, RG_EQUOTA, "An instance has at most %d regions.", RG_REGIONS_MAX);
    else
        rg_call_fail(call, err, NULL);
    return false;
}

void rg_region_add(struct rg_call *call, struct rg_span name, struct rg_span owner, struct rg_span description, rg_region_put *put)
{
    struct change *c = change_begin(call, name);
    bool has;

    if (c == NULL || !may_add(call, name))
        return;
    copy_text(c->owner, sizeof c->owner, owner, &has);
    copy_text(c->description, sizeof c->description, description, &has);
    c->status = "ADDING";
    c->put = put;
    preflight_begin(c, add_propose);
}

/* ---- remove, describe: the row again, but for what changes ---- */

/* There is none of that name, but perhaps a node that joined for one. */
static void fail_unknown(struct rg_call *call)
{
    const struct change *c = call->state;
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_node_row node = {.id = 0};
    uint64_t id = 0;
    enum rg_err err = rg_node_row_list(call->txn, &scan);

    while (!err && id == 0 && (err = rg_node_row_next(&scan, &node)) == RG_OK)
        if (rg_span_is(node.region, c->name) && rg_span_is(node.status, "PREPARED") && !node.rejoin)
            id = node.id;
    rg_scan_end(&scan); /* before its transaction */
    if (id != 0)
        rg_call_fail(call, RG_ENOTFOUND, "Region not found. Node %llu asks to join for it: regent node withdraw %llu",
                     (unsigned long long)id, (unsigned long long)id);
    else
        rg_call_fail(call, RG_ENOTFOUND, "Region not found.");
}

/* False: answered. */
static bool find_row(struct rg_call *call, struct rg_region *ret_region)
{
    const struct change *c = call->state;
    struct rg_txn *txn;
    enum rg_err err;

    if (rg_call_txn(call, &txn) != RG_OK)
        return false;
    err = rg_region_get(txn, rg_span_str(c->name), ret_region);
    if (err == RG_ENOTFOUND)
        fail_unknown(call);
    else if (err)
        rg_call_fail(call, err, NULL);
    return err == RG_OK;
}

/* False: answered. */
static bool spare(struct rg_call *call)
{
    uint32_t need = 0, others = 0;
    bool spares = false;
    enum rg_err err = rg_removal_spares(call->txn, &spares, &need, &others);

    if (err)
        rg_call_fail(call, err, NULL);
    else if (!spares)
        rg_call_fail(call, RG_ECONFLICT, "Writes must be durable in, or leased from, %u of %u other regions: lower that first.", need,
                     others);
    return !err && spares;
}

static void remove_try(struct rg_call *call)
{
    static const uint32_t without[] = {RG_F_STATUS, RG_F_PHASE, RG_F_ERROR};
    struct change *c = call->state;
    struct rg_region r;

    if (!find_row(call, &r))
        return;
    if (r.primary || strcmp(c->name, call->api->region) == 0) { /* writes are taken by the primary alone: we are it */
        rg_call_fail(call, RG_ECONFLICT, "The primary region %s cannot be removed.", c->name);
        return;
    }
    if (rg_span_is(r.status, "ACTIVE") && !spare(call))
        return;
    if (rg_span_is(r.status, "REMOVING") && !c->force) {
        rg_call_fail(call, RG_ECONFLICT, "The region %s is being removed already.", c->name);
        return;
    }
    rg_cmd_begin(&call->cmd, RG_CMD_REGION_PUT, call->now_ms, rg_call_by(call));
    rg_region_rewrite(&call->cmd, &r, without, RG_LEN(without));
    rg_tlv_put_str(&call->cmd, RG_F_STATUS, "REMOVING");
    rg_tlv_put_str(&call->cmd, RG_F_PHASE, c->force ? "forced" : "tell");
    call->again = remove_try;
    rg_call_propose(call, answer_change);
}

void rg_region_remove(struct rg_call *call, struct rg_span name, bool force, rg_region_put *put)
{
    struct change *c = change_begin(call, name);

    if (c == NULL)
        return;
    c->status = "REMOVING";
    c->force = force;
    c->put = put;
    remove_try(call);
}

static void describe_done(struct rg_call *call)
{
    const struct change *c = call->state;

    if (call->proposal.reply.err == RG_ENOTFOUND) {
        rg_call_fail(call, RG_ENOTFOUND, "Region not found.");
    } else if (call->proposal.reply.err) {
        rg_call_fail(call, call->proposal.reply.err, NULL);
    } else {
        struct rg_json_writer *j = rg_call_json(call);

        rg_json_object(j, NULL);
        rg_json_str(j, "name", c->name);
        if (c->has_owner)
            rg_json_str(j, "owner", c->owner);
        if (c->has_description)
            rg_json_str(j, "description", c->description);
        rg_json_end(j);
        rg_call_answer(call, 200);
    }
}

static void describe_try(struct rg_call *call)
{
    struct change *c = call->state;
    uint32_t without[2];
    struct rg_region r;
    size_t n = 0;

    if (!find_row(call, &r))
        return;
    if (c->has_owner)
        without[n++] = RG_F_OWNER;
    if (c->has_description)
        without[n++] = RG_F_DESCRIPTION;
    rg_cmd_begin(&call->cmd, RG_CMD_REGION_PUT, call->now_ms, rg_call_by(call));
    rg_region_rewrite(&call->cmd, &r, without, n);
    if (c->owner[0] != '\0')
        rg_tlv_put_str(&call->cmd, RG_F_OWNER, c->owner);
    if (c->description[0] != '\0')
        rg_tlv_put_str(&call->cmd, RG_F_DESCRIPTION, c->description);
    call->again = describe_try;
    rg_call_propose(call, describe_done);
}

void rg_region_describe(struct rg_call *call, struct rg_span name, struct rg_span owner, struct rg_span description)
{
    struct change *c = change_begin(call, name);

    if (c == NULL)
        return;
    copy_text(c->owner, sizeof c->owner, owner, &c->has_owner);
    copy_text(c->description, sizeof c->description, description, &c->has_description);
    describe_try(call);
}
