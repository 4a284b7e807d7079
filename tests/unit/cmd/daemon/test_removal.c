/* The end of a removed node: marked, keys gone, data gone, whatever was interrupted; and nothing else deleted. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "cmd/daemon/removal.h"
#include "tests/lib/check_main.h"
#include "tests/lib/tmpdir.h"

static char dir[TMPDIR_BYTES];
static struct rg_config config;

static void write_file(const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "we");
    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

static bool there(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    return access(path, F_OK) == 0;
}

static void make_dir(const char *name)
{
    char path[512];

    snprintf(path, sizeof path, "%s/%s", dir, name);
    ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void setup(void)
{
    tmpdir_make(dir);
    memset(&config, 0, sizeof config);
    config.id = 4;
    snprintf(config.region, sizeof config.region, "ap-south-1");
    snprintf(config.cluster, sizeof config.cluster, "rc-test");
    snprintf(config.data_dir, sizeof config.data_dir, "%s/data", dir);
    snprintf(config.state_dir, sizeof config.state_dir, "%s/state", dir);
    snprintf(config.keystore, sizeof config.keystore, "%s/keystore", dir);
    snprintf(config.passphrase_file, sizeof config.passphrase_file, "%s/passphrase", dir);
    make_dir("data");
    make_dir("data/wal");
    make_dir("data/snapshots");
    make_dir("data/operators");
    make_dir("state");
    write_file("data/wal/segment-1", "sealed");
    write_file("data/snapshots/s-1", "sealed");
    write_file("data/meta", "sealed");
    write_file("data/lock", "");
    write_file("data/identity.json", "{}");
    write_file("data/node-7.key", "a key");
    write_file("data/node-7.notes", "mine");
    write_file("data/operators/notes", "mine");
    write_file("state/state-a.mdb", "plain");
    write_file("state/state-a.mdb-lock", "");
    write_file("keystore", "the key");
    write_file("passphrase", "the passphrase");
    write_file("regentd.yaml", "cluster: rc-test");
}

static void teardown(void) { tmpdir_remove(dir); }

CASE(.setup = setup, .teardown = teardown);

/* What a start finds: RG_EFENCED and why, or RG_OK when there is no mark. */
static enum rg_err look(int64_t wall_s, struct rg_errctx *ctx)
{
    char said[RG_REMOVAL_SAID_BYTES];
    int64_t left_s = -1;
    enum rg_err err = rg_removal_go_on(&config, wall_s, &left_s, said, ctx);

    if (err == RG_ENOTFOUND)
        return RG_OK;
    return err ? err : rg_removal_say(&config, left_s, said, ctx);
}

static void begin(enum rg_removal_verdict verdict)
{
    struct rg_errctx ctx = {.text = ""};

    ck_assert_msg(rg_removal_begin(&config, 1, verdict, &ctx) == RG_OK, "%s", ctx.text);
}

TEST(nothing_is_removed_that_is_not_marked)
{
    struct rg_errctx ctx = {.text = ""};

    ck_assert_int_eq(look(rg_clock_wall_s(), &ctx), RG_OK);
    ck_assert(there("keystore") && there("data/meta") && there("state/state-a.mdb"));
}

TEST(keys_are_overwritten_and_data_goes)
{
    struct rg_errctx ctx = {.text = ""};
    char alias[512];
    FILE *f;
    char text[32] = "";

    snprintf(alias, sizeof alias, "%s/alias", dir); /* another name of the same bytes */
    ck_assert_int_eq(link(config.keystore, alias), 0);
    begin(RG_REMOVAL_DESTROYS);
    ck_assert(there("data/removed") && there("keystore") && there("data/wal/segment-1")); /* the node still runs on it */
    ck_assert_int_eq(look(rg_clock_wall_s() + 1, &ctx), RG_EFENCED);
    ck_assert(!there("keystore") && !there("passphrase"));
    f = fopen(alias, "re");
    ck_assert_ptr_nonnull(f);
    ck_assert_uint_eq(fread(text, 1, sizeof text, f), 7);
    fclose(f);
    ck_assert(memcmp(text, "the key", 7) != 0); /* overwritten, not only unlinked */
    ck_assert(!there("data/wal") && !there("data/snapshots") && !there("data/meta") && !there("state"));
    ck_assert(!there("data/identity.json") && !there("data/node-7.key"));
    ck_assert(there("data/node-7.notes") && there("data/operators/notes") && there("regentd.yaml"));
    ck_assert_int_eq(look(rg_clock_wall_s() + 1, &ctx), RG_EFENCED);
}

/* Everything is there until the grace period is over, to the second, and whoever deletes the mark has undone it. */
TEST(nothing_is_destroyed_before_its_time)
{
    struct rg_errctx ctx = {.text = ""};
    int64_t now = rg_clock_wall_s();
    char mark[600];

    config.removal_grace_h = 72;
    begin(RG_REMOVAL_DESTROYS);
    config.removal_grace_h = 0; /* what was said once stays */
    begin(RG_REMOVAL_DESTROYS);
    ck_assert_int_eq(look(now + 72 * 3600 - 1, &ctx), RG_EFENCED);
    ck_assert_msg(strstr(ctx.text, "are destroyed at 2") != NULL && strstr(ctx.text, "by node 1") != NULL, "%s", ctx.text);
    ck_assert(there("keystore") && there("passphrase") && there("data/meta") && there("data/wal/segment-1") && there("data/identity.json"));
    ck_assert(!there("state")); /* plain text in memory, made anew from the log */
    snprintf(mark, sizeof mark, "%s/removed", config.data_dir);
    ck_assert_int_eq(unlink(mark), 0);
    ck_assert_int_eq(look(now + 99 * 3600, &ctx), RG_OK);
    ck_assert(there("keystore") && there("data/meta"));
    config.removal_grace_h = 72;
    begin(RG_REMOVAL_DESTROYS);
    ck_assert_int_eq(look(rg_clock_wall_s() + 72 * 3600, &ctx), RG_EFENCED);
    ck_assert(!there("keystore") && !there("data/meta") && there("data/removed"));
}

/* Somebody's word alone takes it out of service, and destroys nothing, ever. */
TEST(a_word_alone_keeps_everything)
{
    struct rg_errctx ctx = {.text = ""};

    begin(RG_REMOVAL_ENDS);
    ck_assert_int_eq(look(rg_clock_wall_s() + 1000000000, &ctx), RG_EFENCED);
    ck_assert_msg(strstr(ctx.text, "key and data are kept") != NULL, "%s", ctx.text);
    ck_assert(there("keystore") && there("passphrase") && there("data/meta") && there("data/wal/segment-1"));
}

/* As a mark that a disk, or a hand, has spoilt. */
TEST(a_mark_that_nobody_can_read_destroys_nothing)
{
    struct rg_errctx ctx = {.text = ""};

    write_file("data/removed", "node 4 of region ap-south-1 was removed\nuntold\n");
    ck_assert_int_eq(look(rg_clock_wall_s(), &ctx), RG_EFENCED);
    ck_assert(there("keystore") && there("data/meta"));
}

/* By the whole name, or that of a file being made. */
TEST(what_only_begins_like_ours_stays)
{
    static const char *const theirs[] = {"data/lost+found", "data/walrus", "data/metadata-of-mine", "data/snapshots-old", "data/wal.bak",
                                         "data/intents.tmp-of-mine", "data/node-", "data/node-7", "data/identity.json.orig"};
    static const char *const ours[] = {"data/meta.tmp", "data/identity.json.tmp-0123456789abcdef", "data/rejoin.json",
                                       "data/rejoin.json.tmp", "data/node-12.pem", "data/node-7.key.tmp-00ff", "data/intents"};
    struct rg_errctx ctx = {.text = ""};
    char path[128];

    for (size_t i = 0; i < RG_LEN(theirs); i++) {
        make_dir(theirs[i]);
        snprintf(path, sizeof path, "%s/mine", theirs[i]);
        write_file(path, "mine");
    }
    for (size_t i = 0; i < RG_LEN(ours); i++)
        write_file(ours[i], "sealed");
    snprintf(path, sizeof path, "%.100s/data/lost+found", dir);
    ck_assert_int_eq(chmod(path, 0), 0); /* as the file system's own is for others */
    begin(RG_REMOVAL_DESTROYS);
    ck_assert_int_eq(look(rg_clock_wall_s() + 1, &ctx), RG_EFENCED);
    ck_assert_int_eq(chmod(path, 0700), 0);
    for (size_t i = 0; i < RG_LEN(theirs); i++) {
        snprintf(path, sizeof path, "%s/mine", theirs[i]);
        ck_assert_msg(there(path), "%s", path);
    }
    for (size_t i = 0; i < RG_LEN(ours); i++)
        ck_assert_msg(!there(ours[i]), "%s", ours[i]);
    ck_assert(!there("data/meta") && !there("data/wal"));
}

TEST(the_state_alone)
{
    rg_removal_state(&config);
    ck_assert(!there("state") && there("keystore") && there("data/meta") && there("data/wal/segment-1"));
    rg_removal_state(&config); /* nothing is there: fine */
    config.state_dir[0] = '\0';
    rg_removal_state(&config);
    ck_assert(there("data/meta"));
}

TEST(a_start_finishes_it_and_is_refused)
{
    struct rg_errctx ctx = {.text = ""};

    begin(RG_REMOVAL_DESTROYS); /* killed here */
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(look(rg_clock_wall_s() + 1, &ctx), RG_EFENCED);
        ck_assert_msg(strstr(ctx.text, "node 4 of region ap-south-1 was removed from rc-test at 2") != NULL &&
                          strstr(ctx.text, "by node 1") != NULL && strstr(ctx.text, "regent region token ap-south-1") != NULL,
                      "%s", ctx.text);
        ck_assert(!there("data/wal") && !there("data/meta") && !there("state") && there("data/removed"));
    }
    write_file("keystore", "put back"); /* killed between mark and keys; or a mark of a release before, which had one line */
    write_file("data/removed", "node 4 of region ap-south-1 was removed from rc-test at 2\n");
    ck_assert_int_eq(look(rg_clock_wall_s(), &ctx), RG_EFENCED);
    ck_assert(!there("keystore"));
}

TEST(what_cannot_be_destroyed_is_said)
{
    struct rg_errctx ctx = {.text = ""};

    ck_assert_int_eq(unlink(config.keystore), 0);
    ck_assert_int_eq(symlink("passphrase", config.keystore), 0); /* no link is followed */
    begin(RG_REMOVAL_DESTROYS);
    ck_assert_int_eq(look(rg_clock_wall_s() + 1, &ctx), RG_EIO);
    ck_assert_ptr_nonnull(strstr(ctx.text, config.keystore));
    ck_assert(there("passphrase"));
}

/* Where its own state agrees; where not: tests/unit/raft/member/test_removal.c. */
TEST(only_its_primary_ends_it)
{
    static const struct {
        const char *args;
        enum rg_err err;
        const char *says;
    } cases[] = {
        {"{'cluster':'rc-test','id':4,'region':'ap-south-1','epoch':7}", RG_OK, ""},
        {"{'cluster':'rc-test','id':4,'region':'ap-south-1','epoch':8}", RG_OK, ""}, /* it was away while that began */
        {"{'cluster':'rc-test','id':4,'region':'ap-south-1','epoch':6}", RG_EFENCED, "knows of epoch 7"},
        {"{'cluster':'rc-test','id':4,'region':'ap-south-1'}", RG_EFENCED, "epoch 0"},
        {"{'cluster':'rc-test','id':4,'region':'ap-south-1','epoch':-1}", RG_EFENCED, "epoch -1"},
        {"{'cluster':'rc-test','id':5,'region':'ap-south-1','epoch':7}", RG_EINVALID, "another one is meant"},
        {"{'cluster':'rc-test','id':4,'region':'eu-west-1','epoch':7}", RG_EINVALID, "another one is meant"},
        {"{'cluster':'rc-other','id':4,'region':'ap-south-1','epoch':7}", RG_EINVALID, "another one is meant"},
        {"{'cluster':7,'id':4,'region':'ap-south-1','epoch':7}", RG_EINVALID, "another one is meant"},
        {"{'id':'4'}", RG_EINVALID, "another one is meant"},
    };

    for (size_t i = 0; i < RG_LEN(cases); i++) {
        struct rg_errctx ctx = {.text = ""};
        enum rg_removal_verdict verdict;
        char text[128];
        json_t *args;

        snprintf(text, sizeof text, "%s", cases[i].args);
        for (char *at = text; *at != '\0'; at++)
            *at = *at == '\'' ? '"' : *at;
        args = json_loads(text, 0, NULL);
        ck_assert_ptr_nonnull(args);
        ck_assert_int_eq(rg_removal_asked(&config, args, 7, &(struct rg_removal_known){.removed = true}, &verdict, &ctx), cases[i].err);
        ck_assert_int_eq(verdict, cases[i].err ? RG_REMOVAL_REFUSED : RG_REMOVAL_DESTROYS);
        ck_assert_ptr_nonnull(strstr(ctx.text, cases[i].says));
        json_decref(args);
    }
}
