#include "cmd/daemon/removal.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "cmd/host/file_io.h"
#include "crypto/digest.h"
#include "store/db/statedir.h"

enum rg_err rg_removal_asked(const struct rg_config *config, const json_t *args, uint64_t epoch, const struct rg_removal_known *known,
                             enum rg_removal_verdict *ret_verdict, struct rg_errctx *ctx)
{
    json_int_t id = rg_json_number(args, "id"), asked = rg_json_number(args, "epoch");
    const struct rg_removal removal = {.cluster = json_string_value(json_object_get(args, "cluster")),
                                       .region = json_string_value(json_object_get(args, "region")),
                                       .id = id > 0 ? (uint64_t)id : 0,
                                       .epoch = asked};
    const struct rg_removal self = {config->cluster, config->region, config->id, (int64_t)epoch};

    return rg_removal_judge(&removal, &self, known, ret_verdict, ctx);
}

void rg_removal_state(const struct rg_config *config)
{
    if (config->state_dir[0] != '\0')
        rg_statedir_purge(config->state_dir);
}

static uint64_t draw(struct rg_io *io)
{
    uint64_t v;

    (void)io;
    rg_random(&v, sizeof v);
    return v;
}

static void fill_io(struct rg_io *io)
{
    *io = (struct rg_io){.random = draw};
    rg_file_io_fill(io);
}

enum rg_err rg_removal_begin(const struct rg_config *config, uint64_t by, enum rg_removal_verdict verdict, struct rg_errctx *ctx)
{
    char said[RG_ENDING_SAID_BYTES], at[RG_TIME_TEXT_MAX];
    int64_t now = rg_clock_wall_s(), until = now + (int64_t)config->removal_grace_h * 3600;
    struct rg_io io;

    RG_ASSERT(verdict != RG_REMOVAL_REFUSED);
    (void)rg_time_format_s(at, now);
    snprintf(said, sizeof said, "node %llu of region %s was removed from %s at %s by node %llu", (unsigned long long)config->id,
             config->region, config->cluster, at, (unsigned long long)by);
    fill_io(&io);
    return rg_ending_begin(&io, config->data_dir, said, verdict == RG_REMOVAL_DESTROYS ? until : RG_ENDING_KEPT, ctx);
}

enum rg_err rg_removal_go_on(const struct rg_config *config, int64_t wall_s, int64_t *ret_left_s, char ret_said[RG_REMOVAL_SAID_BYTES],
                             struct rg_errctx *ctx)
{
    char identity[sizeof config->keystore + 32]; /* crypto/vault/keeper.c */
    const struct rg_ending_place place = {
        .data_dir = config->data_dir, .secrets = {config->keystore, config->passphrase_file, identity}, .mark = config->mark};
    struct rg_ending ending;
    struct rg_io io;
    enum rg_err err;

    snprintf(identity, sizeof identity, "%s.node%llu", config->keystore, (unsigned long long)config->id);
    fill_io(&io);
    rg_ending_init(&ending, &io, &place);
    err = rg_ending_go_on(&ending, wall_s, ctx);
    if (ending.said[0] != '\0') /* plain text, in memory */
        rg_removal_state(config);
    if (err)
        return err;
    if (ending.state.state == ENDING_NONE)
        return RG_ENOTFOUND;
    memcpy(ret_said, ending.said, sizeof ending.said);
    *ret_left_s = ending.state.state == ENDING_KEPT    ? INT64_MAX
                  : ending.state.state == ENDING_WAITS ? ending.until_s - wall_s
                                                       : 0;
    return RG_OK;
}

enum rg_err rg_removal_say(const struct rg_config *config, int64_t left_s, const char *said, struct rg_errctx *ctx)
{
    char at[RG_TIME_TEXT_MAX];

    if (left_s == 0)
        return rg_fail(ctx, RG_EFENCED,
                       "%s/removed says: %s. Its key and data are destroyed and it does not start again. For a new node of the region: "
                       "regent region token %s, then regent node init --join TOKEN --dir NEW-DIR",
                       config->data_dir, said, config->region);
    if (left_s == INT64_MAX)
        return rg_fail(ctx, RG_EFENCED,
                       "%s/removed says: %s. This node was away, and its own state does not say so: key and data are kept. If it is so, "
                       "delete %s, %s and %s; if not, delete the file and start it again",
                       config->data_dir, said, config->data_dir, config->keystore, config->passphrase_file);
    (void)rg_time_format_s(at, rg_clock_wall_s() + left_s);
    return rg_fail(ctx, RG_EFENCED, "%s/removed says: %s. It does not serve; its key and data are destroyed at %s. To undo it, stop it and "
                   "delete the file before", config->data_dir, said, at);
}
