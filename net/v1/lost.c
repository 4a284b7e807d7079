/* GET /v1/lost-tail: the writes that were lost when another region became primary without them, kept by the region that has
 * them: listed, shown, exported, dropped. */
#include "net/v1/lost_priv.h"
#include "net/v1/v1.h"

#include <stdio.h>

#include "base/json.h"
#include "store/db/command_json.h"
#include "store/model/setting.h"

/* --- one question --- */

static void lost_free(struct lost *l)
{
    rg_lost_tail_deinit(&l->tail);
    json_decref(l->replayed);
    json_decref(l->body);
    free(l->indexes);
    free(l->items);
    free(l);
}

void lost_fail(struct lost *l)
{
    struct rg_call *call = l->call;
    struct rg_errctx ctx = l->ctx;
    enum rg_err err = l->err;

    lost_free(l);
    rg_call_fail(call, err, ctx.text[0] != '\0' ? "%s" : NULL, ctx.text);
}

void lost_answer(struct lost *l)
{
    struct rg_call *call = l->call;
    json_t *body = RG_STEAL(l->body);

    lost_free(l);
    if (body == NULL)
        rg_call_fail(call, RG_ENOMEM, NULL);
    else
        rg_call_answer_json(call, 200, body);
}

static bool parse_epoch(struct rg_span text, uint64_t *ret_epoch)
{
    uint64_t v = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || i >= 10)
            return false;
        v = v * 10 + (uint64_t)(text.p[i] - '0');
    }
    *ret_epoch = v;
    return text.n > 0;
}

/* EPOCH, or EPOCH-OLDID where an epoch replaced several nodes. */
static bool parse_name(struct rg_span text, uint64_t *ret_epoch, uint64_t *ret_old_id)
{
    const uint8_t *dash = text.n > 0 ? memchr(text.p, '-', text.n) : NULL;
    size_t n = dash != NULL ? (size_t)(dash - text.p) : text.n;

    *ret_old_id = 0;
    return parse_epoch(rg_span(text.p, n), ret_epoch) &&
           (dash == NULL || (parse_epoch(rg_span(dash + 1, text.n - n - 1), ret_old_id) && *ret_old_id != 0));
}

struct lost *lost_new(struct rg_call *call)
{
    struct rg_span epoch = call->argument;
    struct lost *l;
    uint64_t number = 0, old_id = 0;

    if (call->api->config.data_dir == NULL) {
        rg_call_fail(call, RG_ENOTFOUND, "no lost tails are kept here");
        return NULL;
    }
    if (epoch.p != NULL && !parse_name(epoch, &number, &old_id)) {
        rg_call_fail(call, RG_EINVALID, "%.*s is no epoch: a number is wanted", (int)RG_MIN(epoch.n, (size_t)40),
                     (const char *)epoch.p);
        return NULL;
    }
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        rg_call_fail(call, RG_ENOMEM, NULL);
        return NULL;
    }
    l->call = call;
    l->data_dir = call->api->config.data_dir;
    l->epoch = number;
    l->old_id = old_id;
    l->io = *l->call->api->config.io;
    return l;
}

static enum rg_err read_epochs(struct rg_txn *txn, struct rg_lost_epochs *epochs)
{
    RG_AUTO_SCAN struct rg_scan scan = {0};
    struct rg_epoch e;
    enum rg_err err = rg_epoch_list(txn, &scan);

    while (!err && (err = rg_epoch_list_next(&scan, &e)) == RG_OK) {
        if (epochs->n == RG_LOST_EPOCHS_MAX) { /* the newest count */
            memmove(&epochs->at[0], &epochs->at[1], (RG_LOST_EPOCHS_MAX - 1) * sizeof epochs->at[0]);
            epochs->n--;
        }
        epochs->at[epochs->n].epoch = e.epoch;
        epochs->at[epochs->n++].first_index = e.first_index;
    }
    return err == RG_ENOTFOUND ? RG_OK : err;
}

bool lost_take_epochs(struct lost *l)
{
    struct rg_call *call = l->call;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK) {
        lost_free(l);
        return false;
    }
    l->err = read_epochs(txn, &l->epochs);
    if (!l->err && l->call->argument.p == NULL)
        l->err = lost_take_unknown(l, txn);
    rg_call_txn_end(call);
    if (l->err)
        lost_fail(l);
    else
        return true;
    return false;
}

static void on_work(uv_work_t *work)
{
    struct lost *l = RG_CONTAINER(work, struct lost, work);

    l->err = l->run(l);
}

static void after_work(uv_work_t *work, int status)
{
    struct lost *l = RG_CONTAINER(work, struct lost, work);

    if (status != 0 && !l->err)
        l->err = RG_ESTOPPED;
    l->then(l);
}

void lost_work(struct lost *l, enum rg_err (*run)(struct lost *l), void (*then)(struct lost *l))
{
    rg_call_txn_end(l->call);
    l->run = run;
    l->then = then;
    l->err = RG_OK;
    if (uv_queue_work(rg_worker_loop(l->call->worker), &l->work, on_work, after_work) != 0) {
        l->err = RG_EBUSY;
        then(l);
    }
}

static void answer_or_fail(struct lost *l)
{
    if (l->err)
        lost_fail(l);
    else
        lost_answer(l);
}

/* --- on the work thread --- */

static struct rg_context context_of(const struct lost *l)
{
    return (struct rg_context){.instance_arn = rg_span_str(l->call->api->instance_arn),
                               .identity_store_id = rg_span_str(l->call->api->identity_store_id)};
}

static enum rg_err read_tail(struct lost *l)
{
    struct rg_context context = context_of(l);

    return rg_lost_read(&l->io, l->data_dir, &l->info, l->call->api->config.keys, &context, &l->epochs, &l->want, &l->tail,
                        &l->ctx);
}

enum rg_err lost_load(struct lost *l)
{
    enum rg_err err = rg_lost_find(&l->io, l->data_dir, l->epoch, l->old_id, &l->info, &l->ctx);

    if (!err)
        err = read_tail(l);
    if (!err)
        err = rg_lost_replayed_get(&l->io, l->data_dir, &l->info, &l->replayed, &l->ctx);
    return err;
}

static json_t *replayed_of(const struct lost *l, uint64_t index)
{
    char name[24];

    snprintf(name, sizeof name, "%llu", (unsigned long long)index);
    return json_object_get(l->replayed, name);
}

json_t *lost_entry_json(const struct lost *l, const struct rg_lost_entry *entry)
{
    json_t *json = rg_command_json(entry->cmd), *replayed = replayed_of(l, entry->index);
    char rev[RG_REV_TEXT_MAX];

    rg_rev_format(rev, (struct rg_rev){entry->term >> 32, entry->index});
    if (json == NULL || json_object_set_new(json, "index", json_integer((json_int_t)entry->index)) != 0 ||
        json_object_set_new(json, "revision", json_string(rev)) != 0 ||
        (replayed != NULL && json_object_set(json, "replayed", replayed) != 0)) {
        json_decref(json);
        return NULL;
    }
    return json;
}

/* What there is to say of a tail as a whole. */
static json_t *summary(const struct lost *l, bool known)
{
    char at[RG_TIME_TEXT_MAX];
    json_t *json;

    (void)rg_time_format(at, l->info.set_aside_ms);
    json = json_pack("{s:I,s:I,s:s,s:s,s:s,s:b}", "epoch", (json_int_t)l->info.epoch, "oldId", (json_int_t)l->info.old_id,
                     "region", l->info.region, "reason", l->info.reason, "setAsideAt", at, "known", known);
    if (json == NULL || !known)
        return json;
    json_object_set_new(json, "entries", json_integer((json_int_t)l->tail.total));
    json_object_set_new(json, "firstIndex", json_integer((json_int_t)l->tail.first_index));
    json_object_set_new(json, "lastIndex", json_integer((json_int_t)l->tail.last_index));
    json_object_set_new(json, "lostFrom", json_integer((json_int_t)l->tail.lost_from));
    json_object_set_new(json, "missing", json_integer((json_int_t)l->tail.missing));
    json_object_set_new(json, "replayed", json_integer((json_int_t)json_object_size(l->replayed)));
    return json;
}

/* --- GET /v1/lost-tail --- */

static enum rg_err list_one(struct lost *l)
{
    json_t *json;
    enum rg_err err = read_tail(l);
    bool known = err == RG_OK, gone = err == RG_ENOTFOUND || err == RG_ECORRUPT || err == RG_EKEY;

    if (gone) /* the others are listed all the same */
        return lost_put_unread(l, err);
    if (err == RG_EUNREADY)
        err = RG_OK;
    if (!err)
        err = rg_lost_replayed_get(&l->io, l->data_dir, &l->info, &l->replayed, &l->ctx);
    if (err)
        return err;
    json = summary(l, known);
    if (known)
        rg_lost_tail_deinit(&l->tail);
    memset(&l->tail, 0, sizeof l->tail);
    json_decref(l->replayed);
    l->replayed = NULL;
    return json_array_append_new(l->body, json) == 0 ? RG_OK : RG_ENOMEM;
}

static enum rg_err list_run(struct lost *l)
{
    struct rg_lost_list list;
    enum rg_err err = rg_lost_list(&l->io, l->data_dir, &list, &l->ctx);

    if (err)
        return err;
    l->body = json_array();
    for (size_t i = 0; !err && i < list.n; i++) {
        l->info = list.tails[i];
        err = list_one(l);
    }
    if (!err)
        err = lost_put_unknown(l, &list, l->body);
    rg_lost_list_deinit(&list);
    return err;
}

void rg_v1_lost_list(struct rg_call *call)
{
    struct lost *l = lost_new(call);

    if (l != NULL && lost_take_epochs(l))
        lost_work(l, list_run, answer_or_fail);
}

/* --- GET /v1/lost-tail/EPOCH and …/export --- */

static bool take_page(struct lost *l)
{
    static const char *const names[] = {"after", "limit"};
    RG_AUTO_BUF struct rg_buf scratch = {.max = 0};
    struct rg_span values[RG_LEN(names)];
    uint64_t limit = LOST_PAGE;

    rg_buf_init(&scratch, RG_HTTP_HEAD_BYTES_MAX + 64);
    l->err = rg_v1_query(l->call, names, values, RG_LEN(names), &scratch, &l->ctx);
    if (!l->err && values[0].p != NULL && !parse_epoch(values[0], &l->want.after))
        l->err = rg_fail(&l->ctx, RG_EINVALID, "after: must be an index");
    if (!l->err && values[1].p != NULL && (!parse_epoch(values[1], &limit) || limit == 0 || limit > LOST_PAGE))
        l->err = rg_fail(&l->ctx, RG_EINVALID, "limit: must be 1 to %d", LOST_PAGE);
    l->want.limit = (size_t)limit;
    l->want.bytes_max = LOST_PAGE_BYTES;
    if (l->err)
        lost_fail(l);
    else
        return true;
    return false;
}

static enum rg_err put_next(struct lost *l)
{
    if (!l->tail.more || l->tail.n == 0)
        return RG_OK;
    return json_object_set_new(l->body, "next", json_integer((json_int_t)l->tail.entries[l->tail.n - 1].index)) == 0
               ? RG_OK
               : RG_ENOMEM;
}

static enum rg_err show_run(struct lost *l)
{
    json_t *entries = json_array();
    enum rg_err err = lost_load(l);

    for (size_t i = 0; !err && i < l->tail.n; i++)
        if (json_array_append_new(entries, lost_entry_json(l, &l->tail.entries[i])) != 0)
            err = RG_ENOMEM;
    if (!err) {
        l->body = summary(l, true);
        if (l->body == NULL)
            err = RG_ENOMEM;
    }
    if (err) {
        json_decref(entries);
        return err;
    }
    json_object_set(l->body, "total", json_object_get(l->body, "entries"));
    json_object_set_new(l->body, "entries", entries);
    return put_next(l);
}

void rg_v1_lost_show(struct rg_call *call)
{
    struct lost *l = lost_new(call);

    if (l != NULL && take_page(l) && lost_take_epochs(l))
        lost_work(l, show_run, answer_or_fail);
}

/* An operation of a plan: what it is, and its parameters. */
static json_t *operation(const struct lost *l, const struct rg_lost_entry *entry)
{
    json_t *json = lost_entry_json(l, entry), *op;
    static const char *const head[] = {"index", "revision", "kind", "at", "by", "replayed"};

    if (json == NULL)
        return NULL;
    op = json_object();
    for (size_t i = 0; i < RG_LEN(head); i++) {
        json_t *v = json_object_get(json, head[i]);

        if (v != NULL)
            json_object_set(op, head[i], v);
        json_object_del(json, head[i]);
    }
    if (op == NULL || json_object_set_new(op, "parameters", json) != 0) {
        json_decref(op);
        return NULL;
    }
    return op;
}

static enum rg_err export_run(struct lost *l)
{
    json_t *operations = json_array();
    enum rg_err err = lost_load(l);

    for (size_t i = 0; !err && i < l->tail.n; i++)
        if (json_array_append_new(operations, operation(l, &l->tail.entries[i])) != 0)
            err = RG_ENOMEM;
    if (err) {
        json_decref(operations);
        return err;
    }
    l->body = json_pack("{s:s,s:s,s:s,s:I,s:I,s:s,s:I,s:o}", "format", "regent-plan/1", "source", "lost-tail", "cluster",
                        l->call->api->cluster_id, "epoch", (json_int_t)l->info.epoch, "oldId", (json_int_t)l->info.old_id,
                        "region", l->info.region, "missing", (json_int_t)l->tail.missing, "operations", operations);
    return l->body != NULL ? put_next(l) : RG_ENOMEM;
}

void rg_v1_lost_export(struct rg_call *call)
{
    struct lost *l = lost_new(call);

    if (l != NULL && take_page(l) && lost_take_epochs(l))
        lost_work(l, export_run, answer_or_fail);
}

/* --- DELETE /v1/lost-tail/EPOCH --- */

static enum rg_err drop_run(struct lost *l)
{
    enum rg_err err = rg_lost_find(&l->io, l->data_dir, l->epoch, l->old_id, &l->info, &l->ctx);

    if (!err)
        err = rg_lost_drop(&l->io, l->data_dir, &l->info, &l->ctx);
    if (!err)
        l->body = json_pack("{s:I,s:b}", "epoch", (json_int_t)l->epoch, "dropped", 1);
    return err;
}

static void dropped(struct lost *l)
{
    if (!l->err)
        rg_log_warn(l->call->api->config.log, "lost.dropped", "epoch=%llu by=%s", (unsigned long long)l->epoch,
                    l->call->caller);
    answer_or_fail(l);
}

void rg_v1_lost_drop(struct rg_call *call)
{
    struct lost *l = lost_new(call);

    if (l != NULL)
        lost_work(l, drop_run, dropped);
}
