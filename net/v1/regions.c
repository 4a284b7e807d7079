/* /v1/regions: add, remove, describe and look before; how far a region is that comes or goes. */
#include <stdio.h>

#include "net/ops/region.h"
#include "net/v1/v1.h"
#include "base/json.h"
#include "store/model/region_name.h"
#include "net/ops/region_ops.h"
#include "store/model/region.h"

/* ---- progress ---- */

/* Where no manager is at work (on a replica, or just now), the row alone tells. */
static void progress_of_row(const struct rg_region *r, struct rg_region_progress *p)
{
    static const struct {
        const char *phase;
        unsigned percent;
    } begins[] = {{"snapshot", 5}, {"catch-up", 85}, {"verify", 95}, {"tell", 20}, {"forced", 20}};

    for (size_t i = 0; i < RG_LEN(begins); i++)
        if (rg_span_is(r->phase, begins[i].phase))
            p->percent = begins[i].percent;
    snprintf(p->phase, sizeof p->phase, "%.*s", (int)RG_MIN(r->phase.n, sizeof p->phase - 1), (const char *)r->phase.p);
    p->eta_ms = UINT64_MAX;
}

void rg_region_put_progress(const struct rg_call *call, struct rg_json_writer *j, const struct rg_region *r)
{
    const struct rg_api_config *config = &call->api->config;
    struct rg_region_progress p = {.phase = ""};
    char name[RG_REGION_NAME_BYTES_MAX + 1];

    if (rg_span_is(r->status, "ACTIVE"))
        return;
    snprintf(name, sizeof name, "%.*s", (int)RG_MIN(r->name.n, sizeof name - 1), (const char *)r->name.p);
    if (config->region_ops == NULL || !config->region_ops->progress(config->region_arg, name, &p))
        progress_of_row(r, &p);
    rg_json_object(j, "progress");
    rg_json_str(j, "phase", p.phase);
    rg_json_u64(j, "percent", p.percent);
    rg_json_u64(j, "bytes", p.bytes);
    rg_json_u64(j, "bytesTotal", p.bytes_total);
    rg_json_u64(j, "rows", p.rows);
    rg_json_u64(j, "rowsTotal", p.rows_total);
    rg_json_u64(j, "rate", p.rate);
    rg_json_u64_or_null(j, "etaMs", p.eta_ms);
    if (r->error.n > 0)
        rg_json_span(j, "lastError", r->error);
    else
        rg_json_null(j, "lastError");
    rg_json_end(j);
}

/* ---- writes ---- */

static void put_change(struct rg_json_writer *j, const char *name, const char *status)
{
    rg_json_object(j, NULL);
    rg_json_str(j, "name", name);
    rg_json_str(j, "status", status);
    rg_json_end(j);
}

/* Owner and description of a body, and with `name` the region's name; nothing else may be there. */
static enum rg_err take_body(struct rg_call *call, struct rg_span *ret_name, struct rg_span *ret_owner,
                             struct rg_span *ret_description, struct rg_errctx *ctx)
{
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, ctx);
    size_t members;

    if (!err && ret_name != NULL)
        err = rg_v1_take_text(call->input, "name", RG_REGION_NAME_BYTES_MAX, ret_name, ctx);
    if (!err)
        err = rg_v1_take_text(call->input, "owner", RG_REGION_OWNER_BYTES_MAX, ret_owner, ctx);
    if (!err)
        err = rg_v1_take_text(call->input, "description", RG_REGION_TEXT_BYTES_MAX, ret_description, ctx);
    if (err)
        return err;
    members = (ret_name != NULL && ret_name->p != NULL) + (size_t)(ret_owner->p != NULL) + (size_t)(ret_description->p != NULL);
    if (json_object_size(call->input) != members)
        return rg_fail(ctx, RG_EINVALID, "a region has %sowner and description, and nothing else", ret_name != NULL ? "name, " : "");
    if (ret_name != NULL && ret_name->n == 0)
        return rg_fail(ctx, RG_EINVALID, "name: is missing");
    return RG_OK;
}

void rg_v1_regions_add(struct rg_call *call)
{
    struct rg_span name, owner, description;
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = take_body(call, &name, &owner, &description, &ctx);

    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_region_add(call, name, owner, description, put_change);
}

void rg_v1_regions_put(struct rg_call *call)
{
    struct rg_span owner, description;
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = take_body(call, NULL, &owner, &description, &ctx);

    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_region_describe(call, call->argument, owner, description);
}

void rg_v1_regions_delete(struct rg_call *call)
{
    static const char *const names[] = {"force"};
    struct rg_span force;
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    err = rg_v1_query(call, names, &force, 1, &scratch, &ctx);
    if (!err && force.p != NULL && !rg_span_is(force, "true") && !rg_span_is(force, "false"))
        err = rg_fail(&ctx, RG_EINVALID, "force: must be true or false");
    if (err)
        rg_call_fail(call, err, "%s", rg_errctx_text(&ctx, err));
    else
        rg_region_remove(call, call->argument, rg_span_is(force, "true"), put_change);
}

void rg_v1_regions_preflight(struct rg_call *call) { rg_region_preflight(call, call->argument); }
