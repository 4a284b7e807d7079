/* tests/prop/store_world.h: the small universe of prop_store: its model, its ids and names, and applying one command.
 */
#ifndef REGENT_TESTS_STORE_WORLD_H
#define REGENT_TESTS_STORE_WORLD_H

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/prng.h"
#include "store/authz/access.h"
#include "store/apply/fsm.h"

enum {
    USERS = 12,
    GROUPS = 8,
    MEMBERSHIPS = 60,
    PERMSETS = 5,
    ACCOUNTS = 4,
    NAMES = 14,
    EMAILS = 6,
    EXTS = 6,
    MAP_BYTES = 64 << 20,
};

static uint64_t seed;

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "RG_SEED=%" PRIu64 " step %d: %s:%d: %s\n", seed, step, __FILE__, __LINE__, #cond);        \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static int step;

/* --- the model --- */

struct thing { /* user or group */
    bool exists, disabled;
    int name, email; /* -1: none */
    bool ext[EXTS];
    uint64_t version;
};
struct model {
    struct thing user[USERS], group[GROUPS];
    int member[GROUPS][USERS]; /* membership + 1, or 0 */
    bool membership[MEMBERSHIPS];
    struct {
        bool exists;
        int name;
        uint64_t version;
    } permset[PERMSETS];
    bool account[ACCOUNTS];
    bool user_has[ACCOUNTS][PERMSETS][USERS], group_has[ACCOUNTS][PERMSETS][GROUPS];
};

struct world {
    struct rg_store *store;
    struct rg_prng prng;
    struct model model;
    uint64_t index;
    struct rg_buf cmd;
    struct rg_buf log; /* u32 length, bytes, … */
    struct rg_reply reply;
};

static int pick(struct world *w, int n) { return (int)rg_prng_below(&w->prng, (uint64_t)n); }

static bool chance(struct world *w, int percent) { return rg_prng_chance(&w->prng, (uint64_t)percent, 100); }

/* Ids whose order is not that of their numbers. */
static struct rg_uuid id_of(char kind, int n)
{
    struct rg_uuid id = {{(uint8_t)(n * 37 + 11), (uint8_t)kind, (uint8_t)n}};

    return id;
}
static struct rg_psid psid_of(int n) { return (struct rg_psid){{(uint8_t)(n * 101 + 7), (uint8_t)n}}; }
static void account_of(int n, char out[13]) { snprintf(out, 13, "%06d%06d", n * 7919 % 1000, n); }

static void put_id(struct rg_buf *cmd, uint32_t field, struct rg_uuid id)
{
    rg_tlv_put(cmd, field, rg_span(id.b, sizeof id.b));
}
static void put_psid(struct rg_buf *cmd, uint32_t field, struct rg_psid id)
{
    rg_tlv_put(cmd, field, rg_span(id.b, sizeof id.b));
}
static void put_account(struct rg_buf *cmd, int n)
{
    char id[13];

    account_of(n, id);
    rg_tlv_put_str(cmd, RG_F_ACCOUNT_ID, id);
}

/* Names in either case, some of them past what a key holds. */
static void put_name(struct world *w, uint32_t field, const char *stem, int n, bool fold)
{
    char text[300], fill = fold && chance(w, 50) ? 'A' : 'a';

    snprintf(text, sizeof text, "%s%d", stem, n);
    if (n % 3 == 0) {
        memset(text, fill, 250);
        snprintf(text + 250, sizeof text - 250, "%s%d", stem, n);
    } else if (fill == 'A') {
        for (char *p = text; *p != '\0'; p++)
            if (*p >= 'a' && *p <= 'z')
                *p = (char)(*p - 32);
    }
    rg_tlv_put_str(&w->cmd, field, text);
}

static void begin(struct world *w, enum rg_cmd_kind kind)
{
    rg_cmd_begin(&w->cmd, kind, 1700000000000 + step, rg_span_str(chance(w, 50) ? "AKIA1" : "scim"));
}

/* --- applying --- */

static struct rg_txn *begin_txn(struct world *w, enum rg_txn_mode mode)
{
    struct rg_txn *txn;
    enum rg_err err = rg_txn_begin(w->store, mode, &txn);

    MUST(err == RG_OK);
    return txn;
}

static void apply(struct world *w)
{
    struct rg_txn *txn = begin_txn(w, RG_TXN_WRITE);
    struct rg_applied before, after;
    struct rg_reply tried;
    enum rg_err err;

    MUST(w->cmd.err == RG_OK);
    rg_buf_put_u32(&w->log, (uint32_t)w->cmd.len);
    rg_buf_put(&w->log, w->cmd.data, w->cmd.len);
    MUST(w->log.err == RG_OK);
    rg_txn_applied(txn, &before);
    err = rg_fsm_try(txn, rg_buf_span(&w->cmd), &tried); /* what it would come to is what it comes to */
    MUST(err == RG_OK);
    err = rg_fsm_apply(txn, ++w->index, 1, rg_buf_span(&w->cmd), &w->reply);
    MUST(err == RG_OK);
    rg_txn_applied(txn, &after);
    MUST(after.index == w->index);
    MUST(tried.err == w->reply.err && tried.why == w->reply.why);
    if (w->reply.err != RG_OK)
        MUST(memcmp(before.hash, after.hash, sizeof after.hash) == 0 && before.rows == after.rows);
    else
        MUST(w->reply.version == w->index);
    err = rg_txn_commit(txn);
    MUST(err == RG_OK);
}

static void expect(struct world *w, enum rg_err err, enum rg_why why)
{
    apply(w);
    if (w->reply.err != err || w->reply.why != why)
        fprintf(stderr, "got %s/%d, want %s/%d\n", rg_err_symbol(w->reply.err), w->reply.why, rg_err_symbol(err), why);
    MUST(w->reply.err == err);
    MUST(w->reply.why == why);
}

#endif
