/* raft/intent/intents_present.c: an intent on its way to the primary, and what becomes of it. */
#include <stdio.h>

#include "raft/intent/intents_priv.h"

static void try_later(struct intent_item *item)
{
    uint64_t wait_ms = RG_MIN((uint64_t)INTENTS_AGAIN_MS << RG_MIN(item->failures, 8u), (uint64_t)INTENTS_AGAIN_MS_MAX);

    RG_ASSERT(!item->flying);
    RG_ASSERT(wait_ms >= INTENTS_AGAIN_MS);
    item->failures++;
    item->again_ms = intents_now_ms(item->q) + wait_ms;
}

/* No longer on its way. */
static void land(struct intent_item *item)
{
    RG_ASSERT(!item->flying);
    RG_ASSERT(!item->busy);
    RG_ASSERT(item->r.automatic ? item->q->flying_auto > 0 : item->q->flying_manual);
    if (item->r.automatic)
        item->q->flying_auto--;
    else
        item->q->flying_manual = false;
}

static void back_to_queue(struct intent_item *item)
{
    RG_ASSERT(item->r.status == RG_INTENT_PRESENTING);
    land(item);
    intent_item_move(item, RG_INTENT_QUEUED);
    try_later(item);
}

/* The outcome is known: keep it. It stays PRESENTING until it is on disk. */
static void settle(struct intent_item *item, enum rg_intent_status status, enum rg_err refusal, struct rg_rev rev,
                   const char *text)
{
    RG_ASSERT(item->r.status == RG_INTENT_PRESENTING);
    RG_ASSERT(rg_intent_is_over(status));
    RG_ASSERT(status != RG_INTENT_DROPPED); /* people drop, and only what waits */
    RG_ASSERT((status == RG_INTENT_REFUSED) == (refusal != RG_OK));
    RG_ASSERT(!item->flying);
    item->want = item->r;
    item->want.status = status;
    item->want.since_ms = intents_wall_ms(item->q);
    item->want.rev = rev;
    snprintf(item->want.code, sizeof item->want.code, "%s", refusal ? rg_err_name(refusal) : "");
    snprintf(item->want.text, sizeof item->want.text, "%s", text);
    intent_disk_begin(item, JOB_SETTLE);
}

void intent_settle_done(struct intent_item *item)
{
    struct rg_intents *q = item->q;
    char id[RG_UUID_TEXT_MAX];

    RG_ASSERT(item->r.status == RG_INTENT_PRESENTING);
    RG_ASSERT(rg_intent_is_over(item->want.status));
    RG_ASSERT(item->asks == NULL);
    RG_ASSERT(q->unsaved >= item->unsaved);
    q->unsaved -= item->unsaved;
    item->unsaved = item->job_err != RG_OK;
    q->unsaved += item->unsaved;
    if (item->unsaved) { /* a restart now would present it again, which is safe */
        rg_log_error(q->config.log, "intent.write", "id=%s code=%s reason=\"%s\" (tried again)", intent_id_text(item, id),
                     rg_err_symbol(item->job_err), rg_errctx_text(&item->job_ctx, item->job_err));
        try_later(item);
        return;
    }
    land(item);
    intent_put_in_effect(item, &item->want);
    if (item->r.status == RG_INTENT_APPLIED)
        rg_log_info(q->config.log, "intent.applied", "id=%s revision=%llu.%llu", intent_id_text(item, id),
                    (unsigned long long)item->r.rev.epoch, (unsigned long long)item->r.rev.index);
    else
        rg_log_warn(q->config.log, "intent.refused", "id=%s code=%s reason=\"%s\"", intent_id_text(item, id), item->r.code,
                    item->r.text);
    rg_intents_step(q);
}

static const char *why_text(enum rg_why why)
{
    switch (why) {
    case RG_WHY_USER:
        return "the user";
    case RG_WHY_USER_NAME:
        return "the userName";
    case RG_WHY_EMAIL:
        return "the email address";
    case RG_WHY_EXTERNAL_ID:
        return "the external id";
    case RG_WHY_GROUP:
        return "the group";
    case RG_WHY_GROUP_NAME:
        return "the group's name";
    case RG_WHY_MEMBERSHIP:
        return "the membership";
    case RG_WHY_PERMSET:
        return "the permission set";
    case RG_WHY_PERMSET_NAME:
        return "the permission set's name";
    case RG_WHY_PERMSET_ASSIGNED:
        return "the permission set is assigned";
    case RG_WHY_ACCOUNT:
        return "the account";
    case RG_WHY_ACCOUNT_ASSIGNED:
        return "the account has assignments";
    case RG_WHY_ASSIGNMENT:
        return "the assignment";
    case RG_WHY_CREDENTIAL:
        return "the credential";
    case RG_WHY_VERSION:
        return "the object";
    case RG_WHY_LIMIT:
        return "a limit of the instance";
    default:
        return "the command";
    }
}

static void settle_refused(struct intent_item *item, const struct rg_reply *reply, struct rg_rev rev)
{
    char text[256];

    RG_ASSERT(reply->err != RG_OK);
    if (item->r.automatic && reply->err == RG_ENOTFOUND) { /* what was to be taken away is not there */
        snprintf(text, sizeof text, "nothing was left to take away: %s was gone already", why_text(reply->why));
        settle(item, RG_INTENT_APPLIED, RG_OK, rev, text);
        return;
    }
    snprintf(text, sizeof text, "%s: %s%s", why_text(reply->why), rg_err_text(reply->err),
             item->r.uncertain ? "; it was presented before and the answer was lost: it may have been applied then" : "");
    settle(item, RG_INTENT_REFUSED, reply->err, rev, text);
}

/* Whether it is certain that a proposal with an error changed nothing. */
static bool nothing_happened(const struct rg_proposal *p)
{
    RG_ASSERT(p->err != RG_OK);
    switch (p->err) {
    case RG_ENOPRIMARY:
    case RG_ENOTPRIMARY:
    case RG_EBUSY:
    case RG_EPAUSED:
    case RG_ESHORTAGE:
    case RG_EUNREADY:
    case RG_ENOMEM:
    case RG_ETOOBIG:
        return true;
    case RG_ESTATEFULL: /* with a revision: in the log */
    case RG_EDISKFULL:
    case RG_ELEASE: /* with a revision: applied, and it may not survive */
        return p->rev.index == 0;
    default:
        return false;
    }
}

static void on_forwarded(struct rg_proposal *p)
{
    struct intent_item *item = RG_CONTAINER(p, struct intent_item, proposal);
    bool known = p->err == RG_OK || p->err == RG_EREPLICATION;

    RG_ASSERT(item->flying); /* the answer comes once */
    RG_ASSERT(item->r.automatic ? item->q->flying_auto > 0 : item->q->flying_manual);
    intent_item_check(item);
    item->flying = false;
    rg_buf_deinit(&item->present);
    if (!known && !nothing_happened(p))
        item->r.uncertain = true;
    if (item->q->stopped)
        return; /* on disk it is queued, or presenting: it comes again after the start */
    if (known && p->reply.err == RG_OK) {
        settle(item, RG_INTENT_APPLIED, RG_OK, p->rev, "");
    } else if (known && p->reply.err == RG_ESTALE && item->r.automatic) {
        back_to_queue(item); /* this region lags behind: once it has the user as it is now */
    } else if (known) {
        settle_refused(item, &p->reply, p->rev);
    } else if (p->err == RG_ETOOBIG) {
        settle(item, RG_INTENT_REFUSED, p->err, p->rev, "the command is over a limit");
    } else {
        back_to_queue(item);
    }
    rg_intents_step(item->q);
}

/* What there is to say to the primary; *ret_done: nothing. */
static enum rg_err present_build(struct intent_item *item, bool *ret_done, struct rg_rev *ret_rev)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_applied applied;
    uint8_t random[16];
    enum rg_err err = rg_txn_begin(item->q->config.store, RG_TXN_READ, &txn);

    RG_ASSERT(item->r.status == RG_INTENT_PRESENTING);
    RG_ASSERT(item->r.attempts > 0);
    if (err)
        return err;
    rg_txn_applied(txn, &applied);
    if (applied.index == 0) /* a snapshot is being loaded: what is not there may come */
        return RG_EUNREADY;
    *ret_rev = (struct rg_rev){applied.term >> 32, applied.index};
    intents_random(item->q, random);
    return rg_intent_present(txn, &item->r, random, &item->present, ret_done);
}

static void fly(struct intent_item *item)
{
    struct rg_intents *q = item->q;
    struct rg_rev rev = {0};
    bool done = false;
    enum rg_err err = present_build(item, &done, &rev);

    if (err) {
        if (err != RG_EUNREADY)
            rg_log_error(q->config.log, "intent.present", "code=%s (tried again)", rg_err_symbol(err));
        back_to_queue(item);
        return;
    }
    if (done) {
        settle(item, RG_INTENT_APPLIED, RG_OK, rev, "nothing was left to take away: the user is disabled or gone already");
        return;
    }
    RG_ASSERT(!item->flying);
    RG_ASSERT(!item->busy);
    RG_ASSERT(item->present.len > 0);
    RG_ASSERT(item->present.len <= RG_CMD_BYTES_MAX);
    item->flying = true;
    item->proposal = (struct rg_proposal){.cmd = rg_buf_span(&item->present), .on_done = on_forwarded};
    intent_item_check(item);
    q->config.forward(q->config.arg, &item->proposal);
}

/* An automatic one may be presented again without harm. That a manual one was presented is kept first: after a crash a
 * refusal is then known to be doubtful. */
void intent_present(struct intent_item *item)
{
    RG_ASSERT(item->r.status == RG_INTENT_QUEUED);
    RG_ASSERT(!item->busy);
    RG_ASSERT(!item->flying);
    RG_ASSERT(!item->unsaved);
    RG_ASSERT(item->r.automatic || intent_is_approved(item)); /* what gives access waits for somebody's word */
    if (item->r.automatic) {
        RG_ASSERT(item->q->flying_auto < INTENTS_FLYING_MAX);
        item->q->flying_auto++;
        item->r.attempts++;
        intent_item_move(item, RG_INTENT_PRESENTING);
        fly(item);
        return;
    }
    RG_ASSERT(!item->q->flying_manual); /* one at a time */
    item->q->flying_manual = true;
    item->want = item->r;
    item->want.status = RG_INTENT_PRESENTING;
    item->want.attempts++;
    intent_disk_begin(item, JOB_MARK);
}

void intent_mark_done(struct intent_item *item)
{
    char id[RG_UUID_TEXT_MAX];

    RG_ASSERT(!item->r.automatic);
    RG_ASSERT(item->q->flying_manual);
    RG_ASSERT(intent_is_approved(item));
    RG_ASSERT(item->r.status == RG_INTENT_QUEUED);
    RG_ASSERT(item->want.status == RG_INTENT_PRESENTING);
    if (item->job_err) {
        rg_log_error(item->q->config.log, "intent.write", "id=%s code=%s reason=\"%s\" (tried again)", intent_id_text(item, id),
                     rg_err_symbol(item->job_err), rg_errctx_text(&item->job_ctx, item->job_err));
        land(item);
        try_later(item);
        return;
    }
    intent_put_in_effect(item, &item->want);
    fly(item);
}
