/* cmd/runbook/runbook.h: a declared promotion as steps that people follow: each says what it does, is asked for, and leaves its
 * requests and answers in the evidence. A run that stops goes on from its evidence file. */
#ifndef REGENT_CMD_RUNBOOK_RUNBOOK_H
#define REGENT_CMD_RUNBOOK_RUNBOOK_H

#include <stdio.h>

#include "cmd/runbook/evidence.h"
#include "cmd/cli/fanout.h"

extern const struct rg_command rg_runbook_commands[];

/* What the command line asks for. All borrowed; NULL: not given. */
struct rg_runbook_options {
    const char *to, *by, *reason, *template_path, *webhook, *evidence_path, *resume_path, *sign_key;
    const char *account, *user, *permset; /* the sign-in that is tried in each region */
    const char *organisation;             /* game day: a file to load instead of a copy */
    bool yes, accept_loss, game_day;
};

enum rg_runbook_step {
    RG_STEP_DECLARE,
    RG_STEP_PAUSE,
    RG_STEP_VALIDATE,
    RG_STEP_PROMOTE,
    RG_STEP_VERIFY,
    RG_STEP_NOTIFY,
    RG_STEP_RESUME,
    RG_STEPS
};

struct rg_runbook {
    struct rg_cli *cli;
    struct rg_runbook_options options;
    struct rg_cluster *cluster;    /* own */
    struct rg_fanout *fanout;      /* own */
    struct rg_evidence *evidence;  /* own */
    struct rg_evidence_key key;
    char evidence_path[512];
    FILE *out;                     /* what people read: stdout, or stderr with --json */
    const char *step;              /* name of the one under way, for the evidence */
    char to[33], by[128], reason[512]; /* who, why and where: kept in the evidence's first line */
    size_t target;                 /* index of `to` in the cluster */
    bool done[RG_STEPS];           /* those of an earlier run too */
    /* What the steps find out; kept in the evidence, so that a resumed run knows it. */
    char from[33];                 /* the old primary's region; "": not known */
    uint64_t epoch_before, epoch;  /* epoch 0: not promoted yet */
    char lost[512];                /* what may be lost, as the plan says */
    bool may_lose;
    bool force;                    /* promote against the plan's objection: it was accepted */
    struct rg_fanout_answer answers[RG_CLUSTER_REGIONS_MAX]; /* own: the last request's */
    bool hangs;                    /* after close: a thread was left behind, so end by _exit */
};

/* ---- runbook.c: the run ---- */

/** Open evidence, cluster and clients of an options' run on this cluster file. cli: errors are said in its context. */
RG_MUST enum rg_err rg_runbook_open(struct rg_runbook *rb, struct rg_cli *cli, const struct rg_runbook_options *options,
                                    const char *cluster_path);
/** All steps that are not done yet. Stops at the first that fails or is declined. */
RG_MUST enum rg_err rg_runbook_run(struct rg_runbook *rb);
/** Sign the evidence: nothing follows it. */
RG_MUST enum rg_err rg_runbook_sign(struct rg_runbook *rb);
void rg_runbook_close(struct rg_runbook *rb);
/** The result, as text or JSON. */
void rg_runbook_print(struct rg_runbook *rb);

void rg_runbook_say(struct rg_runbook *rb, const char *fmt, ...) RG_PRINTF(2, 3);
/** A line of evidence for the step under way. more: consume, may be NULL. */
RG_MUST enum rg_err rg_runbook_note(struct rg_runbook *rb, const char *event, json_t *more);
/** Text as JSON, also when its end was cut off within a character. */
json_t *rg_runbook_string(const char *text);
/** Ask people; --yes answers by itself. RG_EDENIED: they said no. */
RG_MUST enum rg_err rg_runbook_confirm(struct rg_runbook *rb, const char *question);
/** One request to the regions of `only` (NULL: all), with a line of evidence; the answers stand in rb->answers. */
RG_MUST enum rg_err rg_runbook_ask(struct rg_runbook *rb, const struct rg_fanout_request *request, const bool *only);
/** To one region; its answer must be 2xx, otherwise its own error. body: consume; timeout in ms. */
RG_MUST enum rg_err rg_runbook_call(struct rg_runbook *rb, size_t region, const char *path, const char *target, json_t *body,
                                    long timeout_ms);
/** The member of a region's answer, or "". */
const char *rg_runbook_text(const struct rg_runbook *rb, size_t region, const char *name);
/** A region answered with 2xx. */
bool rg_runbook_good(const struct rg_runbook *rb, size_t region);
/** Copy text that may be cut, never within a character. */
void rg_runbook_copy(char *out, size_t size, const char *text);
/** Why it did not: for people. */
const char *rg_runbook_why(struct rg_runbook *rb, size_t region);

/* ---- steps.c, notify.c: the steps ---- */

RG_MUST enum rg_err rg_runbook_declare(struct rg_runbook *rb);
RG_MUST enum rg_err rg_runbook_pause(struct rg_runbook *rb);
RG_MUST enum rg_err rg_runbook_validate(struct rg_runbook *rb);
RG_MUST enum rg_err rg_runbook_promote(struct rg_runbook *rb);
RG_MUST enum rg_err rg_runbook_verify_writes(struct rg_runbook *rb);
RG_MUST enum rg_err rg_runbook_notify(struct rg_runbook *rb);
RG_MUST enum rg_err rg_runbook_resume(struct rg_runbook *rb);
/** The notification's text; also tried before the first step, so that a bad template is known before it is needed. */
RG_MUST enum rg_err rg_runbook_render(struct rg_runbook *rb, struct rg_buf *out);

/* ---- gameday.c ---- */

/** The whole runbook on a development cluster of its own, the death of its primary and its return included. */
RG_MUST enum rg_err rg_gameday(struct rg_cli *cli, struct rg_runbook_options *options);

#endif
