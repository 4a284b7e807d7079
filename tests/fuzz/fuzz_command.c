/* Command bytes from the log: decoded, and applied to a small organisation. Whatever they are, apply answers with a
 * reply, the state hash stays the hash of the rows, and a refusal changes none. */
#include <stdio.h>
#include <unistd.h>

#include "store/apply/fsm.h"
#include "tests/lib/tmpdir.h"

static struct rg_store *store;
static char dir[TMPDIR_BYTES];

static void tidy(void)
{
    rg_store_free(RG_STEAL(store));
    (void)rmdir(dir);
}

static void put_id(struct rg_buf *cmd, uint32_t field, const char *name, size_t n)
{
    uint8_t id[16] = {0};

    memcpy(id, name, strlen(name));
    rg_tlv_put(cmd, field, rg_span(id, n));
}

static void must(struct rg_txn *txn, uint64_t index, const struct rg_buf *cmd)
{
    struct rg_reply reply;
    enum rg_err err = rg_fsm_apply(txn, index, 1, rg_buf_span(cmd), &reply);

    RG_ASSERT(err == RG_OK);
    RG_ASSERT(reply.err == RG_OK);
}

/* A few objects whose ids are short words, so that a mutation can meet them. */
static uint64_t world(struct rg_txn *txn)
{
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};
    const struct rg_span by = rg_span_str("f");
    uint64_t index = 0;

    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&cmd, RG_CMD_INSTANCE_INIT, 1, by);
    rg_tlv_put_str(&cmd, RG_F_INSTANCE_ARN, "a");
    rg_tlv_put_str(&cmd, RG_F_IDENTITY_STORE_ID, "d");
    must(txn, ++index, &cmd);
    rg_cmd_begin(&cmd, RG_CMD_USER_CREATE, 1, by);
    put_id(&cmd, RG_F_ID, "u", 16);
    rg_tlv_put_str(&cmd, RG_F_NAME, "u");
    rg_tlv_put_str(&cmd, RG_F_EMAIL, "e");
    must(txn, ++index, &cmd);
    rg_cmd_begin(&cmd, RG_CMD_GROUP_CREATE, 1, by);
    put_id(&cmd, RG_F_ID, "g", 16);
    rg_tlv_put_str(&cmd, RG_F_NAME, "g");
    must(txn, ++index, &cmd);
    rg_cmd_begin(&cmd, RG_CMD_MEMBERSHIP_CREATE, 1, by);
    put_id(&cmd, RG_F_MEMBERSHIP_ID, "m", 16);
    put_id(&cmd, RG_F_GROUP_ID, "g", 16);
    put_id(&cmd, RG_F_USER_ID, "u", 16);
    must(txn, ++index, &cmd);
    rg_cmd_begin(&cmd, RG_CMD_PERMSET_CREATE, 1, by);
    put_id(&cmd, RG_F_ID, "p", 8);
    rg_tlv_put_str(&cmd, RG_F_NAME, "p");
    must(txn, ++index, &cmd);
    rg_cmd_begin(&cmd, RG_CMD_ASSIGNMENT_CREATE, 1, by);
    rg_tlv_put_str(&cmd, RG_F_ACCOUNT_ID, "000000000000");
    put_id(&cmd, RG_F_PERMSET_ID, "p", 8);
    rg_tlv_put_str(&cmd, RG_F_PRINCIPAL_TYPE, "G");
    put_id(&cmd, RG_F_PRINCIPAL_ID, "g", 16);
    put_id(&cmd, RG_F_REQUEST_ID, "r", 16);
    must(txn, ++index, &cmd);
    return index;
}

static void start(void)
{
    struct rg_errctx ctx = {{0}};
    enum rg_err err;

    tmpdir_make(dir);
    err = rg_store_open(dir, (size_t)64 << 20, 4, &store, &ctx);
    if (err) {
        fprintf(stderr, "%s\n", rg_errctx_text(&ctx, err));
        abort();
    }
    atexit(tidy);
}

static void check_hash(struct rg_txn *txn)
{
    uint8_t hash[RG_STATE_HASH_BYTES];
    struct rg_applied applied;
    enum rg_err err = rg_store_rehash(txn, hash);

    RG_ASSERT(err == RG_OK);
    rg_txn_applied(txn, &applied);
    RG_ASSERT(memcmp(hash, applied.hash, sizeof hash) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Up to 8 commands, each behind its length in two bytes. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    RG_AUTO(txn) struct rg_txn *txn = NULL;
    struct rg_cursor cur;
    uint64_t index;
    enum rg_err err;

    if (store == NULL)
        start();
    err = rg_txn_begin(store, RG_TXN_WRITE, &txn);
    RG_ASSERT(err == RG_OK);
    index = world(txn);
    rg_cursor_init(&cur, rg_span(data, size));
    for (int i = 0; i < 8 && rg_cursor_left(&cur) > 2; i++) {
        size_t n = rg_cursor_u16(&cur);
        struct rg_span cmd = rg_cursor_bytes(&cur, RG_MIN(n, rg_cursor_left(&cur)));
        uint64_t changes = rg_txn_changes(txn);
        struct rg_reply reply;

        err = rg_fsm_apply(txn, ++index, 1, cmd, &reply);
        RG_ASSERT(err == RG_OK);
        RG_ASSERT(reply.err == RG_OK || rg_txn_changes(txn) == changes);
    }
    check_hash(txn);
    return 0; /* aborted: the next input begins anew */
}
