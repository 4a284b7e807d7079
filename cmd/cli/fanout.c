#include "cmd/cli/fanout.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"

enum { GRACE_MS = 250 };

/* Shared by the caller and the threads; the last one frees it. */
struct rg_fanout {
    pthread_mutex_t mutex;
    pthread_cond_t done;
    unsigned refs;                        /* the caller and each running thread */
    bool busy[RG_CLUSTER_REGIONS_MAX];    /* a thread of this region runs */
    const struct rg_cluster *cluster;     /* borrow: the caller's calls only */
};

/* One region's request. The thread owns it until it is done; then the caller, unless it has left. */
struct job {
    struct rg_fanout *fanout;
    size_t region;
    struct rg_client *client; /* own */
    char *method, *path, *target, *body; /* own */
    struct rg_answer answer;
    enum rg_err err;
    struct rg_errctx ctx;
    uint64_t us;
    bool done, left;
};

void rg_fanout_answers_deinit(struct rg_fanout_answer *answers, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        json_decref(answers[i].body);
        answers[i] = (struct rg_fanout_answer){.asked = false};
    }
}

enum rg_err rg_fanout_new(const struct rg_cluster *cluster, struct rg_fanout **ret_fanout, struct rg_errctx *ctx)
{
    struct rg_fanout *fanout = calloc(1, sizeof *fanout);
    pthread_condattr_t attr;

    if (fanout == NULL)
        return rg_fail(ctx, RG_ENOMEM, "out of memory");
    fanout->cluster = cluster;
    fanout->refs = 1;
    pthread_mutex_init(&fanout->mutex, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&fanout->done, &attr);
    pthread_condattr_destroy(&attr);
    *ret_fanout = fanout;
    return RG_OK;
}

/* Called with the mutex held; gives it back. */
static void unref_locked(struct rg_fanout *fanout)
{
    bool last = --fanout->refs == 0;

    pthread_mutex_unlock(&fanout->mutex);
    if (!last)
        return;
    pthread_cond_destroy(&fanout->done);
    pthread_mutex_destroy(&fanout->mutex);
    free(fanout);
}

void rg_fanout_free(struct rg_fanout *fanout)
{
    if (fanout == NULL)
        return;
    pthread_mutex_lock(&fanout->mutex);
    unref_locked(fanout);
}

bool rg_fanout_hangs(struct rg_fanout *fanout)
{
    bool hangs;

    pthread_mutex_lock(&fanout->mutex);
    hangs = fanout->refs > 1;
    pthread_mutex_unlock(&fanout->mutex);
    return hangs;
}

static void job_free(struct job *job)
{
    if (job == NULL)
        return;
    rg_client_free(job->client);
    rg_answer_deinit(&job->answer);
    free(job->method);
    free(job->path);
    free(job->target);
    free(job->body);
    free(job);
}

static void *job_run(void *arg)
{
    struct job *job = arg;
    struct rg_fanout *fanout = job->fanout;
    uint64_t from = rg_clock_us();
    bool left;

    job->err = rg_client_request(job->client, job->method, job->path, job->target, rg_span_str(job->body), &job->answer,
                                 &job->ctx);
    job->us = rg_clock_us() - from;
    rg_client_free(RG_STEAL(job->client)); /* may hang in the resolver: before the slot is given back */
    OPENSSL_thread_stop(); /* this thread's, now: the process may end as soon as the answer is there */
    pthread_mutex_lock(&fanout->mutex);
    left = job->left;
    job->done = true;
    fanout->busy[job->region] = false;
    pthread_cond_signal(&fanout->done);
    if (left)
        job_free(job);
    unref_locked(fanout);
    return NULL;
}

static char *copy(const char *text)
{
    return text != NULL ? strdup(text) : NULL;
}

static enum rg_err job_headers(struct job *job, const struct rg_fanout_request *request)
{
    char header[100];
    enum rg_err err;

    if (request->min_revision == NULL)
        return RG_OK;
    snprintf(header, sizeof header, "Regent-Min-Revision: %.50s", request->min_revision);
    err = rg_client_header(job->client, header);
    if (err)
        return err;
    snprintf(header, sizeof header, "Regent-Wait-Ms: %ld", request->timeout_ms / 2);
    return rg_client_header(job->client, header);
}

static enum rg_err job_new(struct rg_fanout *fanout, const struct rg_fanout_request *request, size_t region,
                           struct job **ret_job, struct rg_errctx *ctx)
{
    struct job *job = calloc(1, sizeof *job);
    enum rg_err err;

    if (job == NULL)
        return RG_ENOMEM;
    job->fanout = fanout;
    job->region = region;
    job->method = copy(request->method);
    job->path = copy(request->path);
    job->target = copy(request->target);
    job->body = copy(request->body);
    err = rg_client_region(fanout->cluster, &fanout->cluster->regions[region], &job->client, ctx);
    if (!err)
        err = job_headers(job, request);
    if (!err && (job->method == NULL || job->path == NULL || (job->target == NULL) != (request->target == NULL) ||
                 (job->body == NULL) != (request->body == NULL)))
        err = RG_ENOMEM;
    if (err) {
        job_free(job);
        return err;
    }
    rg_client_timeout(job->client, request->timeout_ms);
    *ret_job = job;
    return RG_OK;
}

static enum rg_err job_start(struct job *job, struct rg_errctx *ctx)
{
    struct rg_fanout *fanout = job->fanout;
    pthread_attr_t attr;
    pthread_t thread;
    int rc;

    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_mutex_lock(&fanout->mutex);
    rc = pthread_create(&thread, &attr, job_run, job);
    if (rc == 0) {
        fanout->refs++;
        fanout->busy[job->region] = true;
    }
    pthread_mutex_unlock(&fanout->mutex);
    pthread_attr_destroy(&attr);
    return rc == 0 ? RG_OK : rg_fail(ctx, RG_ENOMEM, "a thread cannot be started: %s", strerror(rc));
}

static void wait_all(struct rg_fanout *fanout, struct job **jobs, size_t n, long timeout_ms)
{
    struct timespec until;
    size_t i = 0;

    clock_gettime(CLOCK_MONOTONIC, &until); /* the condition's own clock: it knows no other that does not step */
    until.tv_sec += (timeout_ms + GRACE_MS) / 1000;
    until.tv_nsec += (timeout_ms + GRACE_MS) % 1000 * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (i < n) {
        if (jobs[i] == NULL || jobs[i]->done)
            i++;
        else if (pthread_cond_timedwait(&fanout->done, &fanout->mutex, &until) == ETIMEDOUT)
            return;
    }
}

/* Take a job's answer, or leave the job to its thread. With the mutex held. */
static void collect(struct job *job, struct rg_fanout_answer *answer, long timeout_ms)
{
    const char *url = job->fanout->cluster->regions[job->region].url;

    if (!job->done) {
        job->left = true;
        answer->us = (uint64_t)timeout_ms * 1000;
        answer->err = rg_fail(&answer->ctx, RG_ETIMEOUT, "%s: no answer within %ld ms", url, timeout_ms);
        return;
    }
    answer->err = job->err;
    answer->ctx = job->ctx;
    answer->us = job->us;
    if (!job->err) {
        answer->status = job->answer.status;
        memcpy(answer->revision, job->answer.revision, sizeof answer->revision);
        answer->body = rg_json_parse(rg_buf_span(&job->answer.body), NULL);
    }
    job_free(job);
}

enum rg_err rg_fanout_ask(struct rg_fanout *fanout, const struct rg_fanout_request *request, const bool *only,
                          struct rg_fanout_answer *answers, struct rg_errctx *ctx)
{
    struct job *jobs[RG_CLUSTER_REGIONS_MAX] = {NULL};
    size_t n = fanout->cluster->n_regions;
    enum rg_err err = RG_OK;

    rg_fanout_answers_deinit(answers, n);
    for (size_t i = 0; !err && i < n; i++) {
        bool busy;

        if (only != NULL && !only[i])
            continue;
        answers[i].asked = true;
        pthread_mutex_lock(&fanout->mutex);
        busy = fanout->busy[i];
        pthread_mutex_unlock(&fanout->mutex);
        if (busy) {
            answers[i].err = rg_fail(&answers[i].ctx, RG_ETIMEOUT, "%s: an earlier request still hangs",
                                     fanout->cluster->regions[i].url);
            continue;
        }
        err = job_new(fanout, request, i, &jobs[i], ctx);
        if (!err && (err = job_start(jobs[i], ctx)) != RG_OK)
            job_free(RG_STEAL(jobs[i]));
    }
    pthread_mutex_lock(&fanout->mutex);
    wait_all(fanout, jobs, n, request->timeout_ms);
    for (size_t i = 0; i < n; i++)
        if (jobs[i] != NULL)
            collect(jobs[i], &answers[i], request->timeout_ms);
    pthread_mutex_unlock(&fanout->mutex);
    return err;
}

size_t rg_fanout_primary(const struct rg_fanout_answer *status, size_t n)
{
    json_int_t best = -1;
    size_t at = n;

    for (size_t i = 0; i < n; i++) {
        json_int_t epoch = rg_json_number(status[i].body, "epoch");
        struct rg_span role = rg_span_str(json_string_value(json_object_get(status[i].body, "role")));

        if (status[i].err || status[i].status != 200 || !rg_span_is(role, "PRIMARY") || epoch <= best)
            continue;
        best = epoch;
        at = i;
    }
    return at;
}
