/* raft/intent/intents.c: the queue: taking, deciding, forgetting. */
#include "raft/intent/intents.h"

#include <stdio.h>

#include "crypto/digest.h"
#include "raft/intent/intents_priv.h"

/* ---- items and lists ---- */

/* It is with the primary, or with the disk, or here; an outcome that could not be written belongs to one that was presented; nobody
 * approves what needs no approval. */
void intent_item_check(const struct intent_item *item)
{
    const struct rg_intent *r = &item->r;

    RG_ASSERT(item->q != NULL);
    RG_ASSERT(r->cmd.p == item->cmd);
    RG_ASSERT(r->cmd.n > 0);
    RG_ASSERT(r->seq > 0);
    RG_ASSERT(r->seq < item->q->next_seq);
    RG_ASSERT(r->status >= RG_INTENT_QUEUED);
    RG_ASSERT(r->status < RG_INTENT_STATUS_COUNT);
    RG_ASSERT(item->name[0] != '\0');
    RG_ASSERT(!item->flying || !item->busy);
    RG_ASSERT(!item->flying || r->status == RG_INTENT_PRESENTING);
    RG_ASSERT(!item->flying || item->present.len > 0);
    RG_ASSERT(!item->flying || !item->unsaved);
    RG_ASSERT(!item->unsaved || r->status == RG_INTENT_PRESENTING);
    RG_ASSERT(!item->unsaved || rg_intent_is_over(item->want.status));
    RG_ASSERT(item->asks == NULL || !item->flying);
}

struct intent_item *intent_item_new(struct rg_intents *q, struct rg_span cmd)
{
    struct intent_item *item = calloc(1, sizeof *item);

    RG_ASSERT(cmd.n > 0);
    RG_ASSERT(cmd.n <= RG_CMD_BYTES_MAX);
    if (item == NULL)
        return NULL;
    item->cmd = malloc(cmd.n);
    if (item->cmd == NULL) {
        free(item);
        return NULL;
    }
    memcpy(item->cmd, cmd.p, cmd.n);
    item->q = q;
    item->r.cmd = rg_span(item->cmd, cmd.n);
    rg_buf_init(&item->record, RG_INTENT_RECORD_BYTES_MAX);
    rg_buf_init(&item->file, RG_INTENT_FILE_BYTES_MAX);
    rg_buf_init(&item->present, RG_CMD_BYTES_MAX);
    return item;
}

void intent_item_free(struct intent_item *item)
{
    if (item == NULL)
        return;
    RG_ASSERT(item->asks == NULL); /* everybody was answered */
    rg_buf_deinit(&item->record);
    rg_buf_deinit(&item->file);
    rg_buf_deinit(&item->present);
    free(item->cmd);
    free(item);
}

bool intent_is_approved(const struct intent_item *item)
{
    return !item->r.automatic && item->r.decided_by[0] != '\0' && !rg_intent_is_over(item->r.status);
}

static void count(struct rg_intents *q, enum rg_intent_status status, int by)
{
    RG_ASSERT(status >= RG_INTENT_QUEUED);
    RG_ASSERT(status < RG_INTENT_STATUS_COUNT);
    RG_ASSERT(by > 0 || atomic_load_explicit(&q->counts[status], memory_order_relaxed) > 0);
    atomic_fetch_add_explicit(&q->counts[status], (uint64_t)(int64_t)by, memory_order_relaxed);
}

/* Into pending or over. */
static void turn_enter(struct rg_intents *q, struct intent_item *item)
{
    RG_ASSERT(!rg_intent_is_over(item->r.status) || !item->flying);
    RG_ASSERT(!rg_intent_is_over(item->r.status) || !item->unsaved);
    if (rg_intent_is_over(item->r.status)) {
        TAILQ_INSERT_TAIL(&q->over, item, turn);
        q->over_n++;
        q->over_bytes += intent_bytes(item);
    } else {
        TAILQ_INSERT_TAIL(&q->pending, item, turn);
        q->pending_n++;
        q->pending_bytes += intent_bytes(item);
        q->approved += intent_is_approved(item);
    }
    count(q, item->r.status, 1);
}

static void turn_leave(struct rg_intents *q, struct intent_item *item)
{
    if (rg_intent_is_over(item->r.status)) {
        RG_ASSERT(q->over_n > 0);
        RG_ASSERT(q->over_bytes >= intent_bytes(item));
        TAILQ_REMOVE(&q->over, item, turn);
        q->over_n--;
        q->over_bytes -= intent_bytes(item);
    } else {
        RG_ASSERT(q->pending_n > 0);
        RG_ASSERT(q->pending_bytes >= intent_bytes(item));
        RG_ASSERT(q->approved >= intent_is_approved(item));
        TAILQ_REMOVE(&q->pending, item, turn);
        q->pending_n--;
        q->pending_bytes -= intent_bytes(item);
        q->approved -= intent_is_approved(item);
    }
    count(q, item->r.status, -1);
}

void intent_item_enter(struct rg_intents *q, struct intent_item *item)
{
    RG_ASSERT(TAILQ_EMPTY(&q->all) || TAILQ_LAST(&q->all, intent_list)->r.seq < item->r.seq);
    RG_ASSERT(item->r.seq < q->next_seq);
    RG_ASSERT(item->q == q);
    rg_intent_name(item->name, item->r.seq, &item->r.id);
    TAILQ_INSERT_TAIL(&q->all, item, all);
    turn_enter(q, item);
    intent_item_check(item);
}

void intent_item_leave(struct rg_intents *q, struct intent_item *item)
{
    RG_ASSERT(!item->busy);
    RG_ASSERT(!item->flying);
    RG_ASSERT(!item->unsaved);
    RG_ASSERT(item->asks == NULL);
    turn_leave(q, item);
    TAILQ_REMOVE(&q->all, item, all);
}

static size_t counted(const struct rg_intents *q, enum rg_intent_status from, enum rg_intent_status to)
{
    uint64_t n = 0;

    for (unsigned i = from; i <= (unsigned)to; i++)
        n += atomic_load_explicit(&q->counts[i], memory_order_relaxed);
    return (size_t)n;
}

/* What is counted is listed; nobody flies who does not wait; the next is behind all. */
static void intents_check(const struct rg_intents *q)
{
    RG_ASSERT(counted(q, RG_INTENT_QUEUED, RG_INTENT_PRESENTING) == q->pending_n);
    RG_ASSERT(counted(q, RG_INTENT_APPLIED, RG_INTENT_DROPPED) == q->over_n);
    RG_ASSERT(counted(q, RG_INTENT_PRESENTING, RG_INTENT_PRESENTING) <= q->flying_auto + q->flying_manual);
    RG_ASSERT(q->pending_bytes >= q->pending_n * INTENTS_OVERHEAD_BYTES);
    RG_ASSERT(q->over_bytes >= q->over_n * INTENTS_OVERHEAD_BYTES);
    RG_ASSERT(q->unsaved <= q->flying_auto + q->flying_manual);
    RG_ASSERT((q->pending_n == 0) == TAILQ_EMPTY(&q->pending));
    RG_ASSERT((q->over_n == 0) == TAILQ_EMPTY(&q->over));
    RG_ASSERT((q->pending_n + q->over_n == 0) == TAILQ_EMPTY(&q->all));
    RG_ASSERT((q->pending_n == 0) == (q->pending_bytes == 0));
    RG_ASSERT((q->over_n == 0) == (q->over_bytes == 0));
    RG_ASSERT(q->flying_auto <= INTENTS_FLYING_MAX);
    RG_ASSERT(q->flying_auto + q->flying_manual <= q->pending_n);
    RG_ASSERT(q->approved <= q->pending_n);
    RG_ASSERT(q->unsaved <= q->pending_n);
    RG_ASSERT(TAILQ_EMPTY(&q->all) || TAILQ_LAST(&q->all, intent_list)->r.seq < q->next_seq);
    RG_ASSERT(TAILQ_EMPTY(&q->pending) || !rg_intent_is_over(TAILQ_FIRST(&q->pending)->r.status));
    RG_ASSERT(TAILQ_EMPTY(&q->over) || rg_intent_is_over(TAILQ_FIRST(&q->over)->r.status));
}

void intents_random(const struct rg_intents *q, uint8_t out[16])
{
    for (size_t i = 0; i < 2; i++) {
        uint64_t v = q->config.io->random(q->config.io);

        memcpy(out + 8 * i, &v, sizeof v);
    }
}

static const uint32_t status_may[RG_INTENT_STATUS_COUNT] = {
    [RG_INTENT_QUEUED] = RG_BIT(RG_INTENT_PRESENTING) | RG_BIT(RG_INTENT_DROPPED),
    [RG_INTENT_PRESENTING] = RG_BIT(RG_INTENT_QUEUED) | RG_BIT(RG_INTENT_APPLIED) | RG_BIT(RG_INTENT_REFUSED),
};
static const char *const status_names[] = {"", "QUEUED", "PRESENTING", "APPLIED", "REFUSED", "DROPPED"};
_Static_assert(RG_LEN(status_names) == RG_INTENT_STATUS_COUNT, "each status has its name");
const struct rg_sm_table intent_statuses = RG_SM_TABLE("intent", status_may, status_names);

/* Put what is in effect in place of what was: the one way a status changes. */
void intent_put_in_effect(struct intent_item *item, const struct rg_intent *next)
{
    struct rg_intents *q = item->q;
    bool over = rg_intent_is_over(next->status);

    RG_ASSERT(!rg_intent_is_over(item->r.status));
    RG_ASSERT(next->seq == item->r.seq);
    RG_ASSERT(memcmp(&next->id, &item->r.id, sizeof next->id) == 0);
    RG_ASSERT(next->cmd.p == item->cmd);
    RG_ASSERT(next->automatic == item->r.automatic);
    RG_ASSERT(next->attempts >= item->r.attempts);
    RG_ASSERT(next->status != RG_INTENT_DROPPED || next->decided_by[0] != '\0'); /* nothing is dropped by nobody */
    RG_ASSERT(next->status != RG_INTENT_REFUSED || next->code[0] != '\0');
    RG_ASSERT(next->status != RG_INTENT_PRESENTING || next->automatic || next->decided_by[0] != '\0');
    RG_ASSERT(!item->flying);
    if (next->status != item->r.status)
        rg_sm_edge(&intent_statuses, item->r.status, next->status);
    if (over) {
        turn_leave(q, item);
        item->r = *next;
        turn_enter(q, item);
        return;
    }
    count(q, item->r.status, -1);
    q->approved -= intent_is_approved(item);
    item->r = *next;
    q->approved += intent_is_approved(item);
    count(q, item->r.status, 1);
}

void intent_item_move(struct intent_item *item, enum rg_intent_status status)
{
    struct rg_intent next = item->r;

    next.status = status;
    intent_put_in_effect(item, &next);
}

static struct intent_item *find(const struct rg_intents *q, const struct rg_uuid *id)
{
    struct intent_item *item;

    TAILQ_FOREACH(item, &q->all, all)
        if (memcmp(&item->r.id, id, sizeof *id) == 0)
            return item;
    return NULL;
}

const char *intent_id_text(const struct intent_item *item, char out[RG_UUID_TEXT_MAX])
{
    rg_uuid_format(out, &item->r.id);
    return out;
}


/* ---- answering ---- */

static void answer(struct rg_intent_ask *ask, enum rg_err err)
{
    RG_ASSERT(ask->on_done != NULL);
    ask->err = err;
    ask->on_done(ask);
}

static void answer_item(const struct intent_item *item, struct rg_intent_ask *ask)
{
    RG_ASSERT(!item->busy || item->job != JOB_TAKE); /* an id that is told is on disk */
    RG_ASSERT(!rg_intent_is_over(item->r.status) || item->r.status == RG_INTENT_DROPPED); /* nobody waits for the others' end */
    ask->id = item->r.id;
    ask->status = item->r.status;
    ask->automatic = item->r.automatic;
    answer(ask, RG_OK);
}

static void ask_add(struct intent_item *item, struct rg_intent_ask *ask)
{
    RG_ASSERT(item->busy || item->asks == NULL);
    RG_ASSERT(!item->flying);
    RG_ASSERT(ask->on_done != NULL);
    RG_ASSERT(ask != item->asks);
    ask->next = item->asks;
    item->asks = ask;
}

static void answer_waiting(struct intent_item *item, enum rg_err err, const char *text)
{
    struct rg_intent_ask *ask = RG_STEAL(item->asks);

    RG_ASSERT(err == RG_OK || text != NULL);
    while (ask != NULL) {
        struct rg_intent_ask *next = ask->next;

        if (err) {
            snprintf(ask->ctx.text, sizeof ask->ctx.text, "%s", text);
            answer(ask, err);
        } else {
            answer_item(item, ask);
        }
        ask = next;
    }
}

/* ---- taking ---- */

static struct intent_item *find_same(const struct rg_intents *q, const uint8_t hash[32])
{
    struct intent_item *item;

    TAILQ_FOREACH(item, &q->pending, turn)
        if (memcmp(item->hash, hash, sizeof item->hash) == 0)
            return item;
    return NULL;
}

static enum rg_err is_automatic(struct rg_intents *q, struct rg_span cmd, bool *ret_automatic)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    enum rg_err err = rg_txn_begin(q->config.store, RG_TXN_READ, &txn);

    return err ? err : rg_intent_is_automatic(txn, cmd, ret_automatic);
}

/* What can be said before anything is kept. RG_OK with *ret_same: it is there already. */
static enum rg_err take_check(struct rg_intents *q, struct rg_span cmd, struct rg_intent_ask *ask, uint8_t hash[32],
                              struct intent_item **ret_same, bool *ret_automatic)
{
    struct rg_cmd head;
    enum rg_err err = rg_cmd_decode(cmd, &head);

    *ret_same = NULL;
    if (q->stopped)
        return RG_ESTOPPED;
    if (err)
        return err;
    if (!rg_intent_takes(head.kind))
        return rg_fail(&ask->ctx, RG_EINVALID, "Regent-Intent: %s cannot wait as an intent", rg_cmd_kind_name(head.kind));
    if (q->config.primary(q->config.arg) == RG_OK)
        return RG_ENOTPRIMARY;
    err = rg_intent_hash(cmd, hash);
    if (err)
        return err;
    *ret_same = find_same(q, hash);
    RG_ASSERT(*ret_same == NULL || !rg_intent_is_over((*ret_same)->r.status));
    if (*ret_same != NULL)
        return RG_OK;
    if (q->next_seq > RG_INTENT_SEQ_MAX)
        return rg_fail(&ask->ctx, RG_EBUSY, "%s holds a file of the last number there is: no intent has a place behind it", q->dir);
    if (q->pending_n >= RG_INTENTS_MAX || q->pending_bytes + cmd.n + INTENTS_OVERHEAD_BYTES > RG_INTENTS_BYTES_MAX)
        return rg_fail(&ask->ctx, RG_EBUSY,
                       "%zu intents wait in this region, which is as many as it keeps (%d, %u MiB): wait for the primary", q->pending_n,
                       RG_INTENTS_MAX, RG_INTENTS_BYTES_MAX >> 20);
    err = q->config.try(q->config.arg, cmd, &ask->reply);
    if (err || ask->reply.err)
        return err;
    return is_automatic(q, cmd, ret_automatic);
}

void rg_intents_take(struct rg_intents *q, struct rg_span cmd, struct rg_intent_ask *ask)
{
    struct intent_item *item, *same;
    uint8_t hash[32], random[16];
    bool automatic = false;
    enum rg_err err;

    RG_ASSERT(ask->on_done != NULL);
    ask->ctx.text[0] = '\0';
    ask->reply = (struct rg_reply){.err = RG_OK};
    err = take_check(q, cmd, ask, hash, &same, &automatic);
    if (err || ask->reply.err) {
        answer(ask, err);
        return;
    }
    if (same != NULL && same->busy && same->job == JOB_TAKE) {
        ask_add(same, ask);
        return;
    }
    if (same != NULL) {
        answer_item(same, ask);
        return;
    }
    RG_ASSERT(!q->stopped);
    RG_ASSERT(q->next_seq <= RG_INTENT_SEQ_MAX);
    item = intent_item_new(q, cmd);
    if (item == NULL) {
        answer(ask, RG_ENOMEM);
        return;
    }
    memcpy(item->hash, hash, sizeof hash);
    intents_random(q, random);
    rg_uuid_v4(&item->r.id, random);
    item->r.seq = q->next_seq++;
    item->r.status = RG_INTENT_QUEUED;
    item->r.automatic = automatic;
    item->r.since_ms = intents_wall_ms(q);
    item->want = item->r;
    ask_add(item, ask);
    intent_item_enter(q, item);
    intent_disk_begin(item, JOB_TAKE);
    intents_check(q);
}

static void take_done(struct intent_item *item)
{
    struct rg_intents *q = item->q;
    char id[RG_UUID_TEXT_MAX];
    struct rg_cmd cmd;

    RG_ASSERT(item->r.status == RG_INTENT_QUEUED);
    RG_ASSERT(!item->flying);
    RG_ASSERT(item->r.attempts == 0);
    RG_ASSERT(item->asks != NULL); /* whoever asked waits for it */
    if (item->job_err) {
        rg_log_error(q->config.log, "intent.write", "code=%s reason=\"%s\"", rg_err_symbol(item->job_err),
                     rg_errctx_text(&item->job_ctx, item->job_err));
        answer_waiting(item, item->job_err, item->job_ctx.text);
        intent_item_leave(q, item);
        intent_item_free(item);
        return;
    }
    if (rg_cmd_decode(item->r.cmd, &cmd) == RG_OK)
        rg_log_info(q->config.log, "intent.taken", "id=%s kind=%s by=\"%.*s\" auto=%s", intent_id_text(item, id),
                    rg_cmd_kind_name(cmd.kind), RG_SPAN_ARG(cmd.by), item->r.automatic ? "yes" : "no");
    answer_waiting(item, RG_OK, NULL);
    rg_intents_step(q);
}

/* ---- deciding ---- */

static void decide(struct rg_intents *q, struct rg_span by, struct rg_intent_ask *ask, bool drop)
{
    struct intent_item *item = find(q, &ask->id);
    enum rg_err err = RG_OK;

    ask->ctx.text[0] = '\0';
    if (q->stopped)
        err = RG_ESTOPPED;
    else if (item == NULL || (item->busy && item->job == JOB_TAKE)) /* nobody knows its id yet */
        err = rg_fail(&ask->ctx, RG_ENOTFOUND, "this region has no such intent; intents are local to the region that took them");
    else if (by.n == 0 || by.n >= sizeof item->want.decided_by)
        err = rg_fail(&ask->ctx, RG_EINVALID, "who decides must have 1 to %zu bytes", sizeof item->want.decided_by - 1);
    else if (item->r.status != RG_INTENT_QUEUED)
        err = rg_fail(&ask->ctx, RG_ECONFLICT, "the intent is %s", rg_intent_status_name(item->r.status));
    else if (item->busy)
        err = rg_fail(&ask->ctx, RG_ECONFLICT, "the intent is just being changed");
    else if (!drop && item->r.automatic)
        err = rg_fail(&ask->ctx, RG_ECONFLICT, "the intent only takes access away: it is presented without approval");
    else if (!drop && intent_is_approved(item))
        err = rg_fail(&ask->ctx, RG_ECONFLICT, "%.200s has approved the intent already", item->r.decided_by);
    if (err) {
        answer(ask, err);
        return;
    }
    RG_ASSERT(!item->busy);
    RG_ASSERT(!item->flying);
    RG_ASSERT(item->asks == NULL);
    item->want = item->r;
    snprintf(item->want.decided_by, sizeof item->want.decided_by, "%.*s", RG_SPAN_ARG(by));
    item->want.decided_ms = intents_wall_ms(q);
    if (drop) {
        item->want.status = RG_INTENT_DROPPED;
        item->want.since_ms = item->want.decided_ms;
    }
    ask_add(item, ask);
    intent_disk_begin(item, JOB_DECIDE);
}

void rg_intents_approve(struct rg_intents *q, struct rg_span by, struct rg_intent_ask *ask) { decide(q, by, ask, false); }
void rg_intents_drop(struct rg_intents *q, struct rg_span by, struct rg_intent_ask *ask) { decide(q, by, ask, true); }

static void decide_done(struct intent_item *item)
{
    char id[RG_UUID_TEXT_MAX];

    RG_ASSERT(item->r.status == RG_INTENT_QUEUED);
    RG_ASSERT(item->want.decided_by[0] != '\0');
    RG_ASSERT(item->want.status == RG_INTENT_QUEUED || item->want.status == RG_INTENT_DROPPED);
    RG_ASSERT(item->asks != NULL);
    if (item->job_err) {
        rg_log_error(item->q->config.log, "intent.write", "id=%s code=%s reason=\"%s\"", intent_id_text(item, id),
                     rg_err_symbol(item->job_err), rg_errctx_text(&item->job_ctx, item->job_err));
        answer_waiting(item, item->job_err, item->job_ctx.text);
        return;
    }
    intent_put_in_effect(item, &item->want);
    rg_log_info(item->q->config.log, item->r.status == RG_INTENT_DROPPED ? "intent.dropped" : "intent.approved",
                "id=%s by=\"%s\"", intent_id_text(item, id), item->r.decided_by);
    answer_waiting(item, RG_OK, NULL);
    rg_intents_step(item->q);
}

/* ---- what is over and old ---- */

static void forget_old(struct rg_intents *q)
{
    int64_t before_ms = intents_wall_ms(q) - RG_INTENTS_KEPT_MS;
    struct intent_item *item;

    while ((item = TAILQ_FIRST(&q->over)) != NULL && !item->busy &&
           (q->over_n > RG_INTENTS_KEPT_MAX || q->over_bytes > RG_INTENTS_KEPT_BYTES_MAX || item->r.since_ms < before_ms)) {
        RG_ASSERT(rg_intent_is_over(item->r.status));
        RG_ASSERT(item->asks == NULL);
        intent_item_leave(q, item);
        TAILQ_INSERT_TAIL(&q->forgotten, item, turn);
        intent_disk_begin(item, JOB_FORGET);
    }
}

static void forget_done(struct intent_item *item)
{
    if (item->job_err) /* read again at the next start, and forgotten again */
        rg_log_warn(item->q->config.log, "intent.forget", "file=%s code=%s reason=\"%s\"", item->name,
                    rg_err_symbol(item->job_err), rg_errctx_text(&item->job_ctx, item->job_err));
    RG_ASSERT(item->asks == NULL);
    RG_ASSERT(rg_intent_is_over(item->r.status));
    RG_ASSERT(!TAILQ_EMPTY(&item->q->forgotten));
    TAILQ_REMOVE(&item->q->forgotten, item, turn);
    intent_item_free(item);
}

/* ---- jobs, steps ---- */

void intent_on_job(struct intent_item *item)
{
    RG_ASSERT(!item->busy);
    RG_ASSERT(!item->flying);
    intent_item_check(item);
    if (item->q->stopped && item->job != JOB_FORGET) {
        answer_waiting(item, RG_ESTOPPED, "");
        return;
    }
    switch (item->job) {
    case JOB_TAKE:
        take_done(item);
        return;
    case JOB_DECIDE:
        decide_done(item);
        return;
    case JOB_MARK:
        intent_mark_done(item);
        return;
    case JOB_SETTLE:
        intent_settle_done(item);
        return;
    case JOB_FORGET:
        forget_done(item);
        return;
    }
}

static bool is_due(const struct intent_item *item, uint64_t now)
{
    const struct rg_intents *q = item->q;

    if (item->busy || item->flying || item->again_ms > now || item->r.status != RG_INTENT_QUEUED)
        return false;
    return item->r.automatic ? q->flying_auto < INTENTS_FLYING_MAX : intent_is_approved(item) && !q->flying_manual;
}

static void present_due(struct rg_intents *q, bool primary)
{
    uint64_t now = intents_now_ms(q);
    struct intent_item *item, *next;

    RG_ASSERT(q->stepping);
    for (item = TAILQ_FIRST(&q->pending); item != NULL && !q->stopped; item = next) {
        if (q->flying_auto == INTENTS_FLYING_MAX && (q->approved == 0 || q->flying_manual) && q->unsaved == 0)
            break;
        if (item->unsaved && !item->busy && item->again_ms <= now)
            intent_disk_begin(item, JOB_SETTLE);
        else if (primary && is_due(item, now))
            intent_present(item);
        next = TAILQ_NEXT(item, turn);
    }
}

void rg_intents_step(struct rg_intents *q)
{
    if (q->stopped)
        return;
    intents_check(q);
    if (q->stepping) { /* from within one: once more at its end */
        q->again = true;
        return;
    }
    q->stepping = true;
    do {
        q->again = false;
        if (q->pending_n > 0)
            present_due(q, q->config.primary(q->config.arg) == RG_OK);
    } while (q->again && !q->stopped);
    q->stepping = false;
    RG_ASSERT(!q->again || q->stopped);
    if (q->stopped)
        return;
    forget_old(q);
    intents_check(q);
}

/* ---- looking ---- */

static bool is_visible(const struct intent_item *item)
{
    return !(item->busy && item->job == JOB_TAKE); /* else it is not durable yet */
}

enum rg_err rg_intents_get(const struct rg_intents *q, const struct rg_uuid *id, struct rg_buf *out)
{
    const struct intent_item *item = find(q, id);

    if (item == NULL || !is_visible(item))
        return RG_ENOTFOUND;
    intent_item_check(item);
    rg_intent_encode(&item->r, out);
    return out->err;
}

enum rg_err rg_intents_list(const struct rg_intents *q, enum rg_intent_status status, uint64_t after, size_t limit,
                            size_t bytes_max, struct rg_buf *out, bool *ret_more)
{
    RG_AUTO_BUF struct rg_buf record = {.max = 0};
    const struct intent_item *item;
    size_t n = 0, begin = out->len;

    RG_ASSERT((unsigned)status < RG_INTENT_STATUS_COUNT);
    rg_buf_init(&record, RG_INTENT_RECORD_BYTES_MAX);
    *ret_more = false;
    TAILQ_FOREACH(item, &q->all, all) {
        if (item->r.seq <= after || (status != 0 && item->r.status != status) || !is_visible(item))
            continue;
        if (n++ >= limit || out->len - begin >= bytes_max) {
            *ret_more = true;
            break;
        }
        RG_ASSERT(item->r.seq > after);
        after = item->r.seq; /* in the order they were taken */
        rg_buf_clear(&record);
        rg_intent_encode(&item->r, &record);
        if (record.err)
            return record.err;
        rg_buf_put_varint(out, record.len);
        rg_buf_put(out, record.data, record.len);
    }
    return out->err;
}

void rg_intents_counts(const struct rg_intents *q, uint64_t ret_counts[RG_INTENT_STATUS_COUNT])
{
    for (size_t i = 0; i < RG_INTENT_STATUS_COUNT; i++)
        ret_counts[i] = atomic_load_explicit(&q->counts[i], memory_order_relaxed);
}

/* ---- life ---- */

enum rg_err rg_intents_new(const struct rg_intents_config *config, struct rg_intents **ret_intents, struct rg_errctx *ctx)
{
    struct rg_intents *q = calloc(1, sizeof *q);
    enum rg_err err;

    RG_ASSERT(config->io != NULL);
    RG_ASSERT(config->store != NULL);
    RG_ASSERT(config->primary != NULL);
    RG_ASSERT(config->try != NULL);
    RG_ASSERT(config->forward != NULL);
    if (q == NULL)
        return RG_ENOMEM;
    q->config = *config;
    q->next_seq = 1;
    TAILQ_INIT(&q->all);
    TAILQ_INIT(&q->pending);
    TAILQ_INIT(&q->over);
    TAILQ_INIT(&q->forgotten);
    if ((size_t)snprintf(q->dir, sizeof q->dir, "%s/intents", config->data_dir) >= sizeof q->dir) {
        free(q);
        return rg_fail(ctx, RG_EINVALID, "%s: the path is too long", config->data_dir);
    }
    err = intent_disk_load(q, ctx);
    if (err) {
        rg_intents_free(q);
        return err;
    }
    intents_check(q);
    if (q->pending_n > 0)
        rg_log_info(q->config.log, "intents.waiting", "count=%zu approved=%zu", q->pending_n, q->approved);
    *ret_intents = q;
    return RG_OK;
}

void rg_intents_stop(struct rg_intents *q)
{
    struct intent_item *item;

    if (q == NULL || q->stopped)
        return;
    q->stopped = true;
    TAILQ_FOREACH(item, &q->all, all)
        answer_waiting(item, RG_ESTOPPED, "");
}

static void free_list(struct intent_list *list)
{
    struct intent_item *item;

    while ((item = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, item, turn);
        intent_item_free(item);
    }
}

void rg_intents_free(struct rg_intents *q)
{
    if (q == NULL)
        return;
    RG_ASSERT(!q->stepping); /* no callback frees it */
    free_list(&q->pending);
    free_list(&q->over);
    free_list(&q->forgotten);
    free(q);
}
