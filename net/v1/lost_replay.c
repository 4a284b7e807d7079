/* POST /v1/lost-tail/EPOCH/replay: lost writes made again, one after the other, each with the checks of any other write. */
#include "net/v1/lost_priv.h"
#include "net/v1/v1.h"

#include <stdio.h>

#include "base/json.h"
#include "store/db/command_json.h"
#include "store/db/command.h"

/* --- which commands, and how they are written anew --- */

/* What clients write. What the cluster does for itself, and settings, are of their time and place. */
static bool may_replay(enum rg_cmd_kind kind) { return (rg_cmd_kind_flags(kind) & RG_CMDF_CLIENT) != 0; }

/* The version that a replayed write gave its object; 0: it was not replayed. */
static uint64_t version_now(const struct lost *l, uint64_t index)
{
    const char *text;
    struct rg_rev rev;
    char name[24];

    for (size_t i = 0; i < l->at; i++)
        if (l->items[i].index == index && (l->items[i].outcome == LOST_APPLIED || l->items[i].outcome == LOST_ACCEPTED))
            return l->items[i].rev.index;
    snprintf(name, sizeof name, "%llu", (unsigned long long)index);
    text = json_string_value(json_object_get(json_object_get(l->replayed, name), "revision"));
    return text != NULL && rg_rev_parse(rg_span_str(text), &rev) ? rev.index : 0;
}

/* Author and time are new. A version that a lost write made is the one that its replay made. False: the item says why not. */
static bool rewrite(struct lost *l, struct lost_item *item)
{
    struct rg_buf *out = &l->call->cmd;
    struct rg_cursor cur;
    struct rg_cmd cmd;
    struct rg_tlv tlv;

    if (rg_cmd_decode(item->entry->cmd, &cmd) != RG_OK) {
        snprintf(item->text, sizeof item->text, "the command cannot be read");
        return false;
    }
    if (!may_replay(cmd.kind)) {
        snprintf(item->text, sizeof item->text, "%s is the cluster's own and belongs to its time: do it again by its command",
                 rg_cmd_kind_name(cmd.kind));
        return false;
    }
    if (l->tail.lost_from > 0 && cmd.if_version >= l->tail.lost_from) {
        uint64_t version = version_now(l, cmd.if_version);

        if (version == 0) {
            snprintf(item->text, sizeof item->text, "it changes what the lost write %llu made: replay that one first",
                     (unsigned long long)cmd.if_version);
            return false;
        }
        cmd.if_version = version;
    }
    rg_cmd_begin(out, cmd.kind, l->call->now_ms, rg_call_by(l->call));
    if (cmd.if_version > 0)
        rg_tlv_put_u64(out, RG_F_IF_VERSION, cmd.if_version);
    rg_cursor_init(&cur, item->entry->cmd);
    while (rg_tlv_next(&cur, &tlv))
        if (tlv.field != RG_F_KIND && tlv.field != RG_F_AT_MS && tlv.field != RG_F_BY && tlv.field != RG_F_IF_VERSION &&
            tlv.field != RG_F_DEGRADED)
            rg_tlv_put(out, tlv.field, tlv.value);
    if (out->err)
        snprintf(item->text, sizeof item->text, "the command would be over its limit");
    return !out->err;
}

/* --- outcomes --- */

static const char *why_text(enum rg_why why)
{
    static const char *const texts[] = {
        [RG_WHY_USER] = "the user", [RG_WHY_USER_NAME] = "the userName", [RG_WHY_EMAIL] = "the email address",
        [RG_WHY_EXTERNAL_ID] = "the external id", [RG_WHY_GROUP] = "the group", [RG_WHY_GROUP_NAME] = "the group's name",
        [RG_WHY_MEMBERSHIP] = "the membership", [RG_WHY_PERMSET] = "the permission set",
        [RG_WHY_PERMSET_NAME] = "the permission set's name", [RG_WHY_PERMSET_ASSIGNED] = "the permission set is assigned",
        [RG_WHY_ACCOUNT] = "the account", [RG_WHY_ACCOUNT_ASSIGNED] = "the account has assignments",
        [RG_WHY_ASSIGNMENT] = "the assignment", [RG_WHY_CREDENTIAL] = "the credential", [RG_WHY_VERSION] = "the object",
        [RG_WHY_LIMIT] = "a limit of the instance",
    };

    return (size_t)why < RG_LEN(texts) && texts[why] != NULL ? texts[why] : "the command";
}

static void settle(struct lost_item *item, enum lost_outcome good, const struct rg_reply *reply, struct rg_rev rev)
{
    item->rev = rev;
    item->outcome = good;
    if (reply->err == RG_OK)
        return;
    item->outcome = LOST_REFUSED;
    item->err = reply->err;
    item->why = reply->why;
    snprintf(item->text, sizeof item->text, "%s: %s", why_text(reply->why), rg_err_text(reply->err));
}

static const char *outcome_name(enum lost_outcome outcome)
{
    static const char *const names[] = {[LOST_WAITING] = "not-tried", [LOST_APPLIED] = "applied", [LOST_ACCEPTED] = "accepted",
                                        [LOST_REFUSED] = "refused", [LOST_SKIPPED] = "skipped", [LOST_OPEN] = "unknown",
                                        [LOST_NOT_TRIED] = "not-tried"};

    return names[outcome];
}

static json_t *item_json(const struct lost_item *item)
{
    struct rg_cmd cmd = {.kind = RG_CMD_NOOP};
    json_t *json = json_pack("{s:I,s:s}", "index", (json_int_t)item->index, "outcome", outcome_name(item->outcome));
    char rev[RG_REV_TEXT_MAX];

    if (json == NULL)
        return NULL;
    if (item->entry != NULL && rg_cmd_decode(item->entry->cmd, &cmd) == RG_OK)
        json_object_set_new(json, "kind", json_string(rg_cmd_kind_name(cmd.kind)));
    if (item->outcome == LOST_APPLIED) {
        rg_rev_format(rev, item->rev);
        json_object_set_new(json, "revision", json_string(rev));
    }
    if (item->err)
        json_object_set_new(json, "code", json_string(rg_err_name(item->err)));
    if (item->text[0] != '\0')
        json_object_set_new(json, "message", json_string(item->text));
    return json;
}

static void make_body(struct lost *l)
{
    size_t counts[LOST_NOT_TRIED + 1] = {0};
    json_t *results = json_array();

    for (size_t i = 0; i < l->n_items; i++) {
        counts[l->items[i].outcome]++;
        json_array_append_new(results, item_json(&l->items[i]));
    }
    l->body = json_pack("{s:I,s:b,s:I,s:I,s:I,s:I,s:o}", "epoch", (json_int_t)l->epoch, "dryRun", l->dry_run, "applied",
                        (json_int_t)counts[LOST_APPLIED], "accepted", (json_int_t)counts[LOST_ACCEPTED], "refused",
                        (json_int_t)counts[LOST_REFUSED], "notTried",
                        (json_int_t)(counts[LOST_NOT_TRIED] + counts[LOST_WAITING]), "results", results);
    if (l->body != NULL && l->tail.more && l->n_items > 0)
        json_object_set_new(l->body, "next", json_integer((json_int_t)l->items[l->n_items - 1].index));
}

/* --- the end --- */

static void finish(struct lost *l)
{
    if (l->holds_turn)
        atomic_store(&l->call->api->lost_replaying, false);
    if (l->err)
        lost_fail(l);
    else
        lost_answer(l);
}

static enum rg_err keep_run(struct lost *l)
{
    char at[RG_TIME_TEXT_MAX], rev[RG_REV_TEXT_MAX], name[24];

    (void)rg_time_format(at, l->call->now_ms);
    for (size_t i = 0; i < l->n_items; i++) {
        if (l->items[i].outcome != LOST_APPLIED)
            continue;
        rg_rev_format(rev, l->items[i].rev);
        snprintf(name, sizeof name, "%llu", (unsigned long long)l->items[i].index);
        if (json_object_set_new(l->replayed, name,
                                json_pack("{s:s,s:s,s:s}", "revision", rev, "at", at, "by", l->call->caller)) != 0)
            return RG_ENOMEM;
    }
    return rg_lost_replayed_put(&l->io, l->data_dir, &l->info, l->replayed, &l->ctx);
}

static void kept(struct lost *l)
{
    if (l->err) { /* the writes stand: say so, and that show will not know of them */
        rg_log_error(l->call->api->config.log, "lost.replayed", "epoch=%llu err=\"%s\"", (unsigned long long)l->epoch,
                     rg_errctx_text(&l->ctx, l->err));
        l->err = RG_OK;
        json_object_set_new(l->body, "warning", json_string("what was replayed could not be noted beside the lost tail"));
    }
    finish(l);
}

/* When not one could be tried, that is the answer. */
static enum rg_err common_error(struct lost *l)
{
    enum rg_err err = RG_OK;

    for (size_t i = 0; i < l->n_items; i++) {
        if (l->items[i].outcome == LOST_NOT_TRIED)
            err = l->items[i].err;
        else if (l->items[i].outcome != LOST_WAITING && l->items[i].outcome != LOST_SKIPPED)
            return RG_OK;
    }
    return err;
}

static void ran(struct lost *l)
{
    bool any = false;

    if (!l->err)
        l->err = common_error(l);
    if (l->err) {
        finish(l);
        return;
    }
    make_body(l);
    for (size_t i = 0; i < l->n_items; i++)
        any |= l->items[i].outcome == LOST_APPLIED;
    if (any)
        rg_log_info(l->call->api->config.log, "lost.replayed", "epoch=%llu by=%s", (unsigned long long)l->epoch,
                    l->call->caller);
    if (any && l->body != NULL)
        lost_work(l, keep_run, kept);
    else
        finish(l);
}

static void ran_on_post(struct rg_post *post) { ran(RG_CONTAINER(post, struct lost, post)); }

static void raft_done(struct lost *l, enum rg_err err)
{
    l->err = err;
    l->post.run = ran_on_post;
    rg_worker_post(l->call->worker, &l->post);
}

/* --- on the raft thread: for good --- */

static void step(struct lost *l);

/* What makes it pointless to go on: the others would end the same way. */
static bool stops_all(enum rg_err err)
{
    return err != RG_OK && err != RG_ETOOBIG && err != RG_EMALFORMED;
}

static void on_done(struct rg_proposal *proposal)
{
    struct lost *l = RG_CONTAINER(proposal, struct lost, proposal);
    struct lost_item *item = &l->items[l->at];

    if (proposal->err == RG_OK || proposal->err == RG_EREPLICATION) {
        settle(item, LOST_APPLIED, &proposal->reply, proposal->rev);
    } else {
        bool open = proposal->err == RG_ESTOPPED ||
                    ((proposal->err == RG_ESTATEFULL || proposal->err == RG_EDISKFULL) && proposal->rev.index > 0); /* in the log */

        item->outcome = open ? LOST_OPEN : LOST_NOT_TRIED;
        item->err = proposal->err;
        snprintf(item->text, sizeof item->text, "%s", open
                                                          ? "the answer was lost: it may or may not have been applied"
                                                          : rg_err_text(proposal->err));
    }
    l->at = stops_all(proposal->err) ? l->n_items : l->at + 1;
    l->stepped = true;
    if (!l->stepping)
        step(l);
}

static void step(struct lost *l)
{
    const struct rg_api_node *node = &l->call->api->config.node;

    while (l->at < l->n_items) {
        struct lost_item *item = &l->items[l->at];

        if (item->outcome != LOST_WAITING || !rewrite(l, item)) {
            if (item->outcome == LOST_WAITING)
                item->outcome = LOST_SKIPPED;
            l->at++;
            continue;
        }
        l->proposal = (struct rg_proposal){.cmd = rg_buf_span(&l->call->cmd), .on_done = on_done};
        l->stepping = true;
        l->stepped = false;
        node->forward(node->arg, &l->proposal);
        l->stepping = false;
        if (!l->stepped)
            return;
    }
    raft_done(l, RG_OK);
}

/* --- on the raft thread: dry run. All in one transaction that is given up, so that each sees those before it; but that what would take
 * a turn too long is judged and not done: what comes behind it sees it still there --- */

static enum rg_err try_all(struct lost *l, struct rg_txn *txn)
{
    struct rg_fsm_bounds bounds = {.objects_max = TRY_OBJECTS};
    struct rg_applied applied;

    rg_txn_applied(txn, &applied);
    for (; l->at < l->n_items; l->at++) {
        struct lost_item *item = &l->items[l->at];
        struct rg_reply reply;
        enum rg_err err;

        if (item->outcome != LOST_WAITING)
            continue;
        if (!rewrite(l, item)) {
            item->outcome = LOST_SKIPPED;
            continue;
        }
        err = rg_fsm_apply_within(txn, ++applied.index, applied.term, rg_buf_span(&l->call->cmd), &bounds, &reply);
        if (err && err != RG_ETOOBIG)
            return err;
        if (rg_txn_changes(txn) > TRY_OBJECTS)
            bounds.objects_max = 0;
        settle(item, LOST_ACCEPTED, &reply, (struct rg_rev){applied.term >> 32, applied.index});
    }
    return RG_OK;
}

static enum rg_err try_on_raft(struct lost *l)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    const struct rg_api_node *node = &l->call->api->config.node;
    enum rg_err err = node->try_begin(node->arg, &txn);

    return err ? err : try_all(l, txn);
}

static void on_task(struct rg_task *task, bool stopping)
{
    struct lost *l = RG_CONTAINER(task, struct lost, task);

    if (stopping)
        raft_done(l, RG_ESTOPPED);
    else if (l->dry_run)
        raft_done(l, try_on_raft(l));
    else
        step(l);
}

/* --- the request --- */

static int index_order(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;

    return *x < *y ? -1 : *x > *y;
}

static enum rg_err take_indexes(struct lost *l, const json_t *indexes)
{
    size_t n = json_array_size(indexes);

    if (!json_is_array(indexes) || n == 0 || n > LOST_REPLAY)
        return rg_fail(&l->ctx, RG_EINVALID, "indexes: must be 1 to %d indexes, or \"all\" be true", LOST_REPLAY);
    l->indexes = calloc(n, sizeof *l->indexes);
    if (l->indexes == NULL)
        return RG_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const json_t *v = json_array_get(indexes, i);

        if (!json_is_integer(v) || json_integer_value(v) < 1)
            return rg_fail(&l->ctx, RG_EINVALID, "indexes[%zu]: must be an index", i);
        l->indexes[i] = (uint64_t)json_integer_value(v);
    }
    qsort(l->indexes, n, sizeof *l->indexes, index_order);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || l->indexes[i] != l->indexes[l->n_indexes - 1])
            l->indexes[l->n_indexes++] = l->indexes[i];
    return RG_OK;
}

static enum rg_err take_body(struct lost *l)
{
    static const char *const known[] = {"indexes", "all", "after", "dryRun"};
    struct rg_call *call = l->call;
    const json_t *dry, *all, *after;
    const char *name;
    json_t *value;
    enum rg_err err = rg_json_parse_body(call->req->body, &call->input, &l->ctx);

    if (err)
        return err;
    json_object_foreach(call->input, name, value) {
        bool is = false;

        for (size_t i = 0; i < RG_LEN(known); i++)
            is |= strcmp(name, known[i]) == 0;
        if (!is)
            return rg_fail(&l->ctx, RG_EINVALID, "%.60s: no such member: indexes, all, after, dryRun", name);
    }
    dry = json_object_get(call->input, "dryRun");
    all = json_object_get(call->input, "all");
    after = json_object_get(call->input, "after");
    if ((dry != NULL && !json_is_boolean(dry)) || (all != NULL && !json_is_boolean(all)))
        return rg_fail(&l->ctx, RG_EINVALID, "all and dryRun: must be true or false");
    if (after != NULL && (!json_is_integer(after) || json_integer_value(after) < 0))
        return rg_fail(&l->ctx, RG_EINVALID, "after: must be an index");
    l->dry_run = json_is_true(dry);
    l->all = json_is_true(all);
    if (l->all == (json_object_get(call->input, "indexes") != NULL))
        return rg_fail(&l->ctx, RG_EINVALID, "either indexes, or all: true");
    if (!l->all)
        err = take_indexes(l, json_object_get(call->input, "indexes"));
    l->want = (struct rg_lost_want){.limit = LOST_REPLAY, .bytes_max = LOST_PAGE_BYTES, .indexes = l->indexes,
                                    .n_indexes = l->n_indexes,
                                    .after = after != NULL ? (uint64_t)json_integer_value(after) : 0};
    return err;
}

/* One item for each index asked for, or for each entry. */
static enum rg_err make_items(struct lost *l)
{
    size_t n = l->all || l->tail.more ? l->tail.n : l->n_indexes;
    char name[24];

    l->items = calloc(n > 0 ? n : 1, sizeof *l->items);
    if (l->items == NULL)
        return RG_ENOMEM;
    l->n_items = n;
    for (size_t i = 0, e = 0; i < n; i++) {
        struct lost_item *item = &l->items[i];

        item->index = l->all || l->tail.more ? l->tail.entries[i].index : l->indexes[i];
        while (e < l->tail.n && l->tail.entries[e].index < item->index)
            e++;
        if (e < l->tail.n && l->tail.entries[e].index == item->index)
            item->entry = &l->tail.entries[e];
        snprintf(name, sizeof name, "%llu", (unsigned long long)item->index);
        if (item->entry == NULL) {
            item->outcome = LOST_SKIPPED;
            snprintf(item->text, sizeof item->text, "there is no lost write of this index");
        } else if (json_object_get(l->replayed, name) != NULL) {
            item->outcome = LOST_SKIPPED;
            snprintf(item->text, sizeof item->text, "it was replayed already");
        }
    }
    return RG_OK;
}

static void loaded(struct lost *l)
{
    if (!l->err)
        l->err = make_items(l);
    if (l->err) {
        finish(l);
        return;
    }
    l->task.run = on_task;
    l->call->api->config.node.task(l->call->api->config.node.arg, &l->task);
}

void rg_v1_lost_replay(struct rg_call *call)
{
    struct lost *l = lost_new(call);
    bool nobody = false;

    if (l == NULL)
        return;
    l->err = take_body(l);
    if (l->err) {
        lost_fail(l);
        return;
    }
    if (!lost_take_epochs(l))
        return;
    if (!atomic_compare_exchange_strong(&call->api->lost_replaying, &nobody, true)) {
        l->err = rg_fail(&l->ctx, RG_EBUSY, "another replay runs in this region");
        lost_fail(l);
        return;
    }
    l->holds_turn = true;
    lost_work(l, lost_load, loaded);
}
