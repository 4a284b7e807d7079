/* cmd/runbook/steps.c: what each step of a declared promotion does. */
#include <poll.h>

#include "base/json.h"
#include "cmd/runbook/runbook.h"

enum { STATUS_MS_MAX = 5000, PLAN_MS_MAX = 20000, PROMOTE_MS_MAX = 120000, WRITE_MS_MAX = 10000, SEE_MS_MAX = 20000,
       WRITE_TRIES = 20 };

static const char *name_of(const struct rg_runbook *rb, size_t region)
{
    return rb->cluster->regions[region].name;
}

static enum rg_err ask_status(struct rg_runbook *rb, const char *min_revision)
{
    const struct rg_fanout_request request = {.method = "GET",
                                              .path = "/v1/status",
                                              .min_revision = min_revision,
                                              .timeout_ms = min_revision != NULL ? SEE_MS_MAX : STATUS_MS_MAX};

    return rg_runbook_ask(rb, &request, NULL);
}

static uint64_t epoch_of(const struct rg_runbook *rb, size_t region)
{
    return (uint64_t)rg_json_number(rb->answers[region].body, "epoch");
}

static bool is_primary(const struct rg_runbook *rb, size_t region)
{
    return rg_runbook_good(rb, region) && strcmp(rg_runbook_text(rb, region, "role"), "PRIMARY") == 0;
}

static bool is_true(const struct rg_runbook *rb, size_t region, const char *name)
{
    return rg_json_flag(rb->answers[region].body, name);
}

static const char *member_text(const json_t *json, const char *name)
{
    const char *text = json_string_value(json_object_get(json, name));

    return text != NULL ? text : "";
}

static void say_alarms(struct rg_runbook *rb, size_t region)
{
    const json_t *alarm;
    size_t i;

    json_array_foreach(json_object_get(rb->answers[region].body, "alarms"), i, alarm)
        rg_runbook_say(rb, "  %-16s alarm %s: %s\n", "", member_text(alarm, "code"), member_text(alarm, "text"));
}

static void say_status(struct rg_runbook *rb)
{
    rg_runbook_say(rb, "  %-16s %-8s %-6s %-16s %s\n", "REGION", "ROLE", "READY", "REVISION", "STATE HASH");
    for (size_t i = 0; i < rb->cluster->n_regions; i++) {
        if (!rg_runbook_good(rb, i))
            rg_runbook_say(rb, "  %-16s does not answer: %.200s\n", name_of(rb, i), rg_runbook_why(rb, i));
        else
            rg_runbook_say(rb, "  %-16s %-8s %-6s %-16s %.16s%s\n", name_of(rb, i), rg_runbook_text(rb, i, "role"),
                           is_true(rb, i, "ready") ? "yes" : "no", rg_runbook_text(rb, i, "revision"),
                           rg_runbook_text(rb, i, "hash"), is_true(rb, i, "diverged") ? " DIVERGED" : "");
        if (rg_runbook_good(rb, i))
            say_alarms(rb, i);
    }
}

/* ---- declare ---- */

/* The old primary's region and epoch, from the answers to /v1/status; the cluster file's when none answers as PRIMARY. */
static void find_old(struct rg_runbook *rb)
{
    size_t n = rb->cluster->n_regions, at = rg_fanout_primary(rb->answers, n);

    for (size_t i = 0; i < n; i++)
        if (rg_runbook_good(rb, i))
            rb->epoch_before = RG_MAX(rb->epoch_before, epoch_of(rb, i));
    for (size_t i = 0; at == n && i < n; i++)
        if (rb->cluster->regions[i].primary)
            at = i;
    if (at < n && at != rb->target)
        snprintf(rb->from, sizeof rb->from, "%s", name_of(rb, at));
}

/* Entries that the old primary shows and the target lacks, while both still answer us. */
static uint64_t ahead_of_target(const struct rg_runbook *rb)
{
    size_t n = rb->cluster->n_regions, at = rg_fanout_primary(rb->answers, n);
    struct rg_rev old, here;

    if (at == n || at == rb->target || !rg_runbook_good(rb, rb->target) ||
        !rg_rev_parse(rg_span_str(rg_runbook_text(rb, at, "revision")), &old) ||
        !rg_rev_parse(rg_span_str(rg_runbook_text(rb, rb->target, "revision")), &here) || old.epoch != here.epoch)
        return 0;
    return old.index > here.index ? old.index - here.index : 0;
}

static void keep_plan(struct rg_runbook *rb)
{
    const json_t *lose = json_object_get(rb->answers[rb->target].body, "mayLose");
    const char *text = json_string_value(json_object_get(lose, "text"));

    rb->may_lose = !rg_json_flag(lose, "known") || rg_json_number(lose, "writes") > 0;
    rg_runbook_copy(rb->lost, sizeof rb->lost, text != NULL ? text : "the plan does not say");
}

static void say_candidates(struct rg_runbook *rb)
{
    const json_t *c;
    size_t i;

    rg_runbook_say(rb, "  %-16s %-6s %-8s %-16s %s\n", "CANDIDATE", "NODE", "ANSWERS", "LAST ENTRY", "HEARD PRIMARY");
    json_array_foreach(json_object_get(rb->answers[rb->target].body, "candidates"), i, c) {
        const json_t *heard = json_object_get(c, "primaryHeardMsAgo");
        long long node = rg_json_number(c, "node");

        if (!rg_json_flag(c, "answered"))
            rg_runbook_say(rb, "  %-16s %-6lld no\n", member_text(c, "region"), node);
        else if (rg_json_flag(c, "takesWrites"))
            rg_runbook_say(rb, "  %-16s %-6lld %-8s %-16s is the primary\n", member_text(c, "region"), node, "yes", member_text(c, "last"));
        else if (json_is_integer(heard))
            rg_runbook_say(rb, "  %-16s %-6lld %-8s %-16s %.1f s ago\n", member_text(c, "region"), node, "yes", member_text(c, "last"),
                           (double)json_integer_value(heard) / 1000);
        else
            rg_runbook_say(rb, "  %-16s %-6lld %-8s %-16s never since its start\n", member_text(c, "region"), node, "yes",
                           member_text(c, "last"));
    }
}

static json_t *failover_body(const struct rg_runbook *rb, bool dry_run)
{
    return json_pack("{s:s, s:s, s:s, s:b, s:b}", "to", rb->to, "by", rb->by, "reason", rb->reason, "dryRun", dry_run,
                     "acceptLoss", rb->force);
}

/* A policy that the regions that are left cannot meet: nothing would be written after the promotion either. */
static void say_shortage(struct rg_runbook *rb)
{
    const json_t *plan = rb->answers[rb->target].body;
    json_int_t others = rg_json_number(plan, "regionsAnswered") - 1;
    const struct {
        const char *member, *what;
    } needs[] = {{"durabilityRegions", "durability"}, {"leaseRegions", "lease"}};

    for (size_t i = 0; i < RG_LEN(needs); i++) {
        json_int_t need = rg_json_number(plan, needs[i].member);

        if (need > others)
            rg_runbook_say(rb, "  %s wants %lld other regions, and %lld would be left: without one more, or `regent %s set` after the\n"
                               "  promotion, writes there are refused (noted, if durability degrades)\n",
                           needs[i].what, (long long)need, (long long)RG_MAX(others, (json_int_t)0), needs[i].what);
    }
}

/* Whether the region may be promoted: as things are, else (and only when the loss was accepted beforehand) against its objection. */
static enum rg_err ask_plan(struct rg_runbook *rb)
{
    char objection[600];
    enum rg_err err = rg_runbook_call(rb, rb->target, "/v1/failover", NULL, failover_body(rb, true), PLAN_MS_MAX);

    if (err)
        return err;
    keep_plan(rb);
    say_candidates(rb);
    say_shortage(rb);
    if (is_true(rb, rb->target, "possible"))
        return RG_OK;
    snprintf(objection, sizeof objection, "%.64s: %.500s", rg_runbook_text(rb, rb->target, "code"),
             rg_runbook_text(rb, rb->target, "text"));
    rg_runbook_say(rb, "  the plan objects: %s\n", objection);
    rb->force = true;
    err = rg_runbook_call(rb, rb->target, "/v1/failover", NULL, failover_body(rb, true), PLAN_MS_MAX);
    if (err)
        return err;
    if (is_true(rb, rb->target, "possible") && rb->options.accept_loss) {
        rg_runbook_say(rb, "  --accept-loss overrides that\n");
        rb->may_lose = true;
        return RG_OK;
    }
    return rg_fail(&rb->cli->err, RG_ECONFLICT, "%s cannot be promoted%s: %s", rb->to,
                   is_true(rb, rb->target, "possible") ? " without --accept-loss" : "", objection);
}

enum rg_err rg_runbook_declare(struct rg_runbook *rb)
{
    enum rg_err err = ask_status(rb, NULL);
    uint64_t ahead;

    if (err)
        return err;
    say_status(rb);
    find_old(rb);
    ahead = ahead_of_target(rb);
    if (is_primary(rb, rb->target))
        return rg_fail(&rb->cli->err, RG_ECONFLICT, "%s is PRIMARY already (epoch %llu)", rb->to,
                       (unsigned long long)epoch_of(rb, rb->target));
    for (size_t i = 0; i < rb->cluster->n_regions; i++)
        if (is_primary(rb, i))
            rg_runbook_say(rb, "  %s still answers as PRIMARY. If it can be reached by the other regions, nothing need be lost:\n"
                               "    regent switchover --to %s\n", name_of(rb, i), rb->to);
    rb->force = false;
    err = ask_plan(rb);
    if (err)
        return err;
    rg_runbook_say(rb, "  from %s (epoch %llu) to %s\n  may be lost: %s\n", rb->from[0] != '\0' ? rb->from : "?",
                   (unsigned long long)rb->epoch_before, rb->to, rb->lost);
    if (ahead > 0)
        rg_runbook_say(rb, "  %s itself shows %llu %s that %s lacks now\n", rb->from, (unsigned long long)ahead,
                       ahead == 1 ? "entry" : "entries", rb->to);
    return rg_runbook_confirm(rb, "This is what is declared. continue?");
}

/* ---- pause ---- */

enum rg_err rg_runbook_pause(struct rg_runbook *rb)
{
    rg_runbook_say(rb,
                   "  Whatever writes must stand still until the new primary is verified, or it retries into both sides:\n"
                   "  - identity providers: pause SCIM provisioning (Entra ID: Provisioning > Stop provisioning; Okta: Provisioning\n"
                   "    > To App > disable; others: disable the provisioning connector). Do not delete assignments there.\n"
                   "  - pipelines and scripts that create users, permission sets or assignments: stop them.\n"
                   "  - people: say that administration is closed. Sign-in and access checks go on in every region meanwhile.\n"
                   "  Access that must go at once: `regent intent disable-user USER --region REGION` is applied after the promotion.\n");
    return rg_runbook_confirm(rb, "Provisioning is paused. continue?");
}

/* ---- validate ---- */

/* Regions at one revision must have one state hash. */
static enum rg_err compare_hashes(struct rg_runbook *rb)
{
    for (size_t i = 0; i < rb->cluster->n_regions; i++) {
        if (!rg_runbook_good(rb, i))
            continue;
        if (is_true(rb, i, "diverged"))
            return rg_fail(&rb->cli->err, RG_ECORRUPT, "%s has diverged: remove it before anything is promoted", name_of(rb, i));
        for (size_t k = i + 1; k < rb->cluster->n_regions; k++)
            if (rg_runbook_good(rb, k) && strcmp(rg_runbook_text(rb, i, "revision"), rg_runbook_text(rb, k, "revision")) == 0 &&
                strcmp(rg_runbook_text(rb, i, "hash"), rg_runbook_text(rb, k, "hash")) != 0)
                return rg_fail(&rb->cli->err, RG_ECORRUPT, "%s and %s show revision %s with different state hashes", name_of(rb, i),
                               name_of(rb, k), rg_runbook_text(rb, i, "revision"));
    }
    return RG_OK;
}

static void say_lag(struct rg_runbook *rb)
{
    struct rg_rev best = {0}, rev;

    for (size_t i = 0; i < rb->cluster->n_regions; i++)
        if (rg_runbook_good(rb, i) && rg_rev_parse(rg_span_str(rg_runbook_text(rb, i, "revision")), &rev) && rg_rev_cmp(rev, best) > 0)
            best = rev;
    for (size_t i = 0; i < rb->cluster->n_regions; i++) {
        if (!rg_runbook_good(rb, i) || !rg_rev_parse(rg_span_str(rg_runbook_text(rb, i, "revision")), &rev))
            continue;
        if (rev.epoch != best.epoch)
            rg_runbook_say(rb, "  %s is in epoch %llu, the newest in %llu\n", name_of(rb, i), (unsigned long long)rev.epoch,
                           (unsigned long long)best.epoch);
        else if (rev.index < best.index)
            rg_runbook_say(rb, "  %s is %llu behind the newest region's last entry\n", name_of(rb, i),
                           (unsigned long long)(best.index - rev.index));
    }
}

/* The sign-in of the probe's user, in every region that answered. */
static enum rg_err try_sign_in(struct rg_runbook *rb)
{
    const struct rg_runbook_options *o = &rb->options;
    const char *user = o->user != NULL ? o->user : "regent-probe", *permset = o->permset != NULL ? o->permset : "RegentProbe";
    bool up[RG_CLUSTER_REGIONS_MAX];
    struct rg_fanout_request request = {.method = "POST", .path = "/v1/check", .timeout_ms = STATUS_MS_MAX};
    RG_AUTO_MEM char *body = NULL;
    json_t *json;
    enum rg_err err;

    if (o->account == NULL) {
        rg_runbook_say(rb, "  no --account given: no sign-in is tried\n");
        return RG_OK;
    }
    json = json_pack("{s:s, s:s, s:s}", "user", user, "account", o->account, "permissionSet", permset);
    body = json != NULL ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (body == NULL)
        return rg_fail(&rb->cli->err, RG_EINVALID, "the user, account and permission set must be UTF-8");
    request.body = body;
    for (size_t i = 0; i < rb->cluster->n_regions; i++)
        up[i] = rg_runbook_good(rb, i);
    err = rg_runbook_ask(rb, &request, up);
    for (size_t i = 0; !err && i < rb->cluster->n_regions; i++) {
        bool allowed = rg_runbook_good(rb, i) && is_true(rb, i, "allowed");
        const char *why = !up[i] ? "" : rg_runbook_good(rb, i) ? rg_runbook_text(rb, i, "reason") : rg_runbook_why(rb, i);

        if (up[i])
            rg_runbook_say(rb, "  %-16s %s %s as %s: %s\n", name_of(rb, i), user, o->account, permset,
                           allowed ? "allowed" : why);
        if (up[i] && !allowed && i == rb->target)
            err = rg_fail(&rb->cli->err, RG_EDENIED, "%s does not allow %s: %.300s", rb->to, user, why);
    }
    return err;
}

enum rg_err rg_runbook_validate(struct rg_runbook *rb)
{
    enum rg_err err = ask_status(rb, NULL);

    if (err)
        return err;
    say_status(rb);
    say_lag(rb);
    if (!rg_runbook_good(rb, rb->target))
        return rg_fail(&rb->cli->err, RG_EUNREACHABLE, "%s: %.600s", rb->to, rg_runbook_why(rb, rb->target));
    if (!is_true(rb, rb->target, "ready"))
        return rg_fail(&rb->cli->err, RG_EUNREADY, "%s is not ready: %.300s", rb->to, rg_runbook_text(rb, rb->target, "notReady"));
    err = compare_hashes(rb);
    if (!err)
        err = try_sign_in(rb);
    return err ? err : rg_runbook_confirm(rb, "Reads are well where they must be. continue?");
}

/* ---- promote ---- */

/* Whether the region has become primary in a newer epoch: also when the answer to our request was lost. */
static enum rg_err look_promoted(struct rg_runbook *rb, bool *ret_promoted)
{
    enum rg_err err = rg_runbook_call(rb, rb->target, "/v1/status", NULL, NULL, STATUS_MS_MAX);

    if (err)
        return err;
    *ret_promoted = is_primary(rb, rb->target) && epoch_of(rb, rb->target) > rb->epoch_before;
    if (*ret_promoted)
        rb->epoch = epoch_of(rb, rb->target);
    return RG_OK;
}

static enum rg_err confirm_promotion(struct rg_runbook *rb)
{
    if (!rb->may_lose)
        return rg_runbook_confirm(rb, "Promote now: there is no way back to the old primary's epoch. continue?");
    if (rb->options.yes && !rb->options.accept_loss && !rb->options.game_day)
        return rg_fail(&rb->cli->err, RG_EDENIED, "writes may be lost (%.300s): with --yes say --accept-loss too", rb->lost);
    rg_runbook_say(rb, "  may be lost: %s\n", rb->lost);
    return rg_runbook_confirm(rb, "Promote now and accept that loss: there is no way back. continue?");
}

/* The answer may have been lost on its way: then the region itself says what became of it. */
static enum rg_err promote_now(struct rg_runbook *rb)
{
    enum rg_err err = rg_runbook_call(rb, rb->target, "/v1/failover", NULL, failover_body(rb, false), PROMOTE_MS_MAX);
    struct rg_errctx first = rb->cli->err;
    bool promoted = false;

    if (!err) {
        const char *text = json_string_value(json_object_get(json_object_get(rb->answers[rb->target].body, "mayLose"), "text"));

        rb->epoch = epoch_of(rb, rb->target);
        if (text != NULL)
            rg_runbook_copy(rb->lost, sizeof rb->lost, text);
        if (!is_true(rb, rb->target, "noted"))
            rg_runbook_say(rb, "  the record of epochs has no name and reason for it (yet): this evidence has\n");
        return RG_OK;
    }
    if (look_promoted(rb, &promoted) == RG_OK && promoted) {
        rg_runbook_say(rb, "  the answer did not come (%.200s), but %s is PRIMARY\n", first.text, rb->to);
        return RG_OK;
    }
    rb->cli->err = first;
    return err;
}

enum rg_err rg_runbook_promote(struct rg_runbook *rb)
{
    bool promoted = false;
    enum rg_err err = look_promoted(rb, &promoted);

    if (err)
        return err;
    if (promoted) {
        rg_runbook_say(rb, "  %s is PRIMARY already, epoch %llu\n", rb->to, (unsigned long long)rb->epoch);
        return RG_OK;
    }
    err = confirm_promotion(rb);
    if (!err)
        err = promote_now(rb);
    if (!err)
        rg_runbook_say(rb, "  %s is PRIMARY, epoch %llu\n", rb->to, (unsigned long long)rb->epoch);
    return err;
}

/* ---- verify ---- */

/* A write at the new primary; it may need a moment to open for writes. ret_revision: of the write. */
static enum rg_err write_there(struct rg_runbook *rb, const char *target, const json_t *body, char ret_revision[RG_REV_TEXT_MAX])
{
    enum rg_err err = RG_OK;

    for (unsigned n = 0; n < WRITE_TRIES; n++) {
        if (n > 0) {
            rg_runbook_say(rb, "  not yet: %.200s\n", rb->cli->err.text);
            poll(NULL, 0, 1000);
        }
        err = rg_runbook_call(rb, rb->target, "/", target, json_deep_copy(body), WRITE_MS_MAX);
        if (!err || rb->answers[rb->target].err || rb->answers[rb->target].status != 503)
            break;
    }
    if (!err)
        memcpy(ret_revision, rb->answers[rb->target].revision, RG_REV_TEXT_MAX);
    return err;
}

/* Every region must show the revision, with one state hash. The old primary's may not: it is another epoch's. */
static enum rg_err seen_everywhere(struct rg_runbook *rb, const char *revision)
{
    size_t seen = 0;
    enum rg_err err = ask_status(rb, revision);

    for (size_t i = 0; !err && i < rb->cluster->n_regions; i++) {
        bool old = strcmp(name_of(rb, i), rb->from) == 0;

        if (rg_runbook_good(rb, i)) {
            rg_runbook_say(rb, "  %-16s shows revision %s\n", name_of(rb, i), rg_runbook_text(rb, i, "revision"));
            seen++;
        } else if (old || rb->answers[i].err) {
            rg_runbook_say(rb, "  %-16s %s: %.200s\n", name_of(rb, i), old ? "(the old primary)" : "does not answer",
                           rg_runbook_why(rb, i));
        } else {
            err = rg_fail(&rb->cli->err, RG_EREVISION, "%s does not show revision %s: %.300s", name_of(rb, i), revision,
                          rg_runbook_why(rb, i));
        }
    }
    if (!err && seen == 0)
        err = rg_fail(&rb->cli->err, RG_EUNREACHABLE, "no region shows revision %s", revision);
    return err ? err : compare_hashes(rb);
}

/* Of a run that ended between its write and its deletion. */
static enum rg_err delete_left(struct rg_runbook *rb, const char *name)
{
    char revision[RG_REV_TEXT_MAX];
    json_t *body = json_pack("{s:s, s:{s:{s:s, s:s}}}", "IdentityStoreId", rb->cluster->identity_store_id, "AlternateIdentifier",
                             "UniqueAttribute", "AttributePath", "userName", "AttributeValue", name);
    enum rg_err err = write_there(rb, "AWSIdentityStore.GetUserId", body, revision);

    json_decref(body);
    if (err)
        return err;
    body = json_pack("{s:s, s:s}", "IdentityStoreId", rb->cluster->identity_store_id, "UserId",
                     rg_runbook_text(rb, rb->target, "UserId"));
    err = write_there(rb, "AWSIdentityStore.DeleteUser", body, revision);
    json_decref(body);
    return err;
}

static enum rg_err create_marker(struct rg_runbook *rb, char ret_id[64], char ret_revision[RG_REV_TEXT_MAX])
{
    char name[80];
    json_t *body;
    enum rg_err err;

    snprintf(name, sizeof name, "regent-runbook-%llu", (unsigned long long)rb->epoch);
    body = json_pack("{s:s, s:s, s:s}", "IdentityStoreId", rb->cluster->identity_store_id, "UserName", name, "DisplayName", name);
    err = write_there(rb, "AWSIdentityStore.CreateUser", body, ret_revision);
    if (err == RG_ECONFLICT) {
        err = delete_left(rb, name);
        if (!err)
            err = write_there(rb, "AWSIdentityStore.CreateUser", body, ret_revision);
    }
    json_decref(body);
    if (!err) {
        rg_runbook_copy(ret_id, 64, rg_runbook_text(rb, rb->target, "UserId"));
        rg_runbook_say(rb, "  created user %s in %s, revision %s\n", name, rb->to, ret_revision);
    }
    return err;
}

enum rg_err rg_runbook_verify_writes(struct rg_runbook *rb)
{
    char revision[RG_REV_TEXT_MAX] = "", id[64] = "";
    struct rg_errctx first;
    json_t *body;
    enum rg_err err = create_marker(rb, id, revision), gone;

    if (err)
        return err;
    err = seen_everywhere(rb, revision);
    first = rb->cli->err;
    body = json_pack("{s:s, s:s}", "IdentityStoreId", rb->cluster->identity_store_id, "UserId", id);
    gone = write_there(rb, "AWSIdentityStore.DeleteUser", body, revision);
    json_decref(body);
    if (err) {
        rb->cli->err = first;
        return err;
    }
    if (gone)
        return gone;
    rg_runbook_say(rb, "  deleted it again, revision %s\n", revision);
    return rg_runbook_confirm(rb, "The new primary takes writes and the regions follow. continue?");
}

/* ---- resume ---- */

/* The cluster file says who is primary; read afresh, since others may have written it meanwhile. */
static void mark_primary(struct rg_runbook *rb)
{
    RG_AUTO_MEM struct rg_cluster *c = NULL;
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_cluster_load_file(rb->cluster->path, &c, &ctx);

    for (size_t i = 0; !err && i < c->n_regions; i++)
        c->regions[i].primary = strcmp(c->regions[i].name, rb->to) == 0;
    if (!err)
        err = rg_cluster_save(c, &ctx);
    if (err)
        rg_runbook_say(rb, "  the cluster file could not be changed (%.300s)\n", rg_errctx_text(&ctx, err));
    else
        rg_runbook_say(rb, "  %s says now that %s is PRIMARY\n", rb->cluster->path, rb->to);
}

enum rg_err rg_runbook_resume(struct rg_runbook *rb)
{
    mark_primary(rb);
    rg_runbook_say(rb,
                   "  Tell whoever writes:\n"
                   "  - identity providers, pipelines, AWS SDK clients of identitystore and sso-admin: the endpoint is now\n"
                   "      %s\n"
                   "    with the same credentials and instance. Change it, then start provisioning again.\n"
                   "  - what they sent since %s was lost and is not there: let each run a full synchronisation.\n"
                   "  Readers stay where they are:\n",
                   rb->cluster->regions[rb->target].url, rb->from[0] != '\0' ? rb->from : "the old primary");
    for (size_t i = 0; i < rb->cluster->n_regions; i++)
        rg_runbook_say(rb, "      %-16s %s\n", name_of(rb, i), rb->cluster->regions[i].url);
    rg_runbook_say(rb,
                   "  Clients that kept a revision of %s's may be told RevisionLost (410): that write is lost, and "
                   "must be made again.\n"
                   "  When %s comes back it joins as a replica by itself; what only it had: regent lost-tail list.\n",
                   rb->from[0] != '\0' ? rb->from : "the old primary",
                   rb->from[0] != '\0' ? rb->from : "the old primary");
    return rg_runbook_confirm(rb, "Provisioning goes on at the new endpoint. continue?");
}
