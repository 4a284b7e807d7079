#include "cmd/birth/ending.h"

#include <time.h>

#include "base/clock.h"
#include "cmd/birth/waiting.h"
#include "cmd/daemon/removal.h"

enum { NAP_MS = 50 };

/* Whoever deletes the mark meanwhile has undone it: that ends the waiting, too. */
static enum rg_err wait_out(const struct rg_config *config, const struct rg_log *log, struct rg_waiting *waiting,
                            const volatile sig_atomic_t *stop, struct rg_errctx *ctx)
{
    const struct timespec slice = {.tv_nsec = NAP_MS * 1000000l};
    char said[RG_REMOVAL_SAID_BYTES];
    bool logged = false;
    int64_t left_s;
    enum rg_err err;

    while ((err = rg_removal_go_on(config, rg_clock_wall_s(), &left_s, said, ctx)) == RG_OK) {
        struct rg_errctx why = {.text = ""};

        err = rg_removal_say(config, left_s, said, &why);
        if (left_s == 0 || left_s == INT64_MAX)
            return rg_fail(ctx, err, "%s", why.text);
        if (!logged)
            rg_log_warn(log, "node.set_aside", "id=%llu seconds=%lld reason=\"%s\"", (unsigned long long)config->id, (long long)left_s,
                        why.text);
        logged = true;
        if (waiting != NULL)
            rg_waiting_say(waiting, why.text);
        for (unsigned ms = 0; ms < 1000 && !*stop; ms += NAP_MS)
            nanosleep(&slice, NULL);
        if (*stop)
            return RG_ESTOPPED;
    }
    return err;
}

enum rg_err rg_ending_run(const struct rg_config *config, const struct rg_log *log, const volatile sig_atomic_t *stop,
                          struct rg_errctx *ctx)
{
    struct rg_waiting *waiting = NULL;
    struct rg_errctx why = {.text = ""};
    char said[RG_REMOVAL_SAID_BYTES];
    int64_t left_s;
    enum rg_err err = rg_removal_go_on(config, rg_clock_wall_s(), &left_s, said, ctx);

    if (err == RG_ENOTFOUND)
        return RG_OK;
    if (err)
        return err;
    if (left_s > 0 && left_s < INT64_MAX && rg_waiting_start(config, log, &waiting, &why) != RG_OK)
        rg_log_warn(log, "node.set_aside", "reason=\"%s\" note=\"nobody can ask why it does not serve\"", why.text);
    err = wait_out(config, log, waiting, stop, ctx);
    rg_waiting_stop(waiting);
    return err == RG_ENOTFOUND ? rg_fail(ctx, RG_EFENCED, "%s/removed was deleted: start it again", config->data_dir) : err;
}
