/* store/apply/fsm: what is so of every command: it is known, it is applied or refused whole, and damage below it is a fault. */
#include "store/db/rowkey.h"
#include "store/model/setting.h"
#include "tests/lib/check_main.h"
#include "tests/lib/store_rig.h"

static struct fix fix;

static void setup_empty(void) { fix_open(&fix); }
static void setup(void)
{
    fix_open(&fix);
    fix_world(&fix);
}
static void teardown(void) { fix_close(&fix); }

CASE(.setup = setup, .teardown = teardown);

/* Every row of the table has a handler that is reached by its number, and one that looks at its fields. */
static const enum rg_cmd_kind kinds[] = {
#define KIND(name, number, handler, flags) RG_CMD_##name,
    RG_CMD_MAP(KIND)
#undef KIND
};

TEST(every_kind_is_handled)
{
    for (size_t i = 0; i < RG_LEN(kinds); i++) {
        const char *name = rg_cmd_kind_name(kinds[i]);
        enum rg_err want = RG_EMALFORMED, err = fix_apply(&fix, kinds[i], "");

        if (kinds[i] == RG_CMD_NOOP)
            want = RG_OK;
        else if (kinds[i] == RG_CMD_INSTANCE_INIT)
            want = RG_ECONFLICT;
        else if (kinds[i] == RG_CMD_TRUST_BEGIN)
            want = RG_ESTATEMENT;
        else if (kinds[i] == RG_CMD_OPERATOR_PUT || kinds[i] == RG_CMD_OPERATOR_END)
            want = RG_EUNREADY; /* at trust level 1 */
        ck_assert_msg(err == want, "%s of nothing: %s", name, rg_err_symbol(err));
    }
}

static const struct fix_refusal refusals[] = {
    {"a kind of the future", (enum rg_cmd_kind)200, "id=u9", RG_EUNKNOWNOP, RG_WHY_UNKNOWN_KIND, NULL},
};

LOOP(refusal, RG_LEN(refusals)) { fix_refused(&fix, &refusals[_i]); }

TEST(rows_have_a_limit)
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    struct rg_user user;
    struct rg_txn *txn;
    struct rg_uuid id;

    memset(filler, 'a', sizeof filler);
    fix_cmd(&fix, RG_CMD_USER_CREATE, "id=big name=big");
    rg_tlv_put(&fix.cmd, RG_F_ATTRS, rg_span(filler, RG_CMD_BYTES_MAX - fix.cmd.len - 200));
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_OK);
    fix_must(&fix, RG_CMD_USER_REPLACE, "id=big name=other");
    /* what a row adds is more than what a command has besides: one of full size does not fit */
    id = fix_id("big");
    fix_cmd(&fix, RG_CMD_USER_REPLACE, "id=big name=big");
    rg_tlv_put(&fix.cmd, RG_F_ATTRS, rg_span(filler, RG_CMD_BYTES_MAX - fix.cmd.len - 4));
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_buf_span(&fix.cmd)), RG_ETOOBIG);
    txn = fix_read(&fix);
    ck_assert_int_eq(rg_user_get(txn, &id, &user), RG_OK);
    ck_assert(rg_span_is(user.name, "other"));
    rg_txn_free(txn);
    fix_check_hash(&fix);
}

/* A command comes from a peer: whatever its size, it is applied or refused whole, and is never a fault that stops every node. Rows that
 * hold more than the command brings are the ones to look at: sizes around the limit, one by one. */
static const struct {
    enum rg_cmd_kind kind;
    const char *fields;
} growing[] = {
    {RG_CMD_SETTING_PUT, "name=lease regions=1 lease=1000"},
    {RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse"},
    {RG_CMD_EPOCH_NOTE, "epoch=7 node=1 name=eu-central-1"},
    {RG_CMD_REGION_PUT, "name=eu-central-1 status=ACTIVE"},
    {RG_CMD_SECRET_PUT, "name=a secret=b"},
    {RG_CMD_TOKEN_PUT, "token=a name=eu-central-1 expires=9999999999999"},
    {RG_CMD_NODE_PUT, "node=9 name=eu-central-1 link=a url=b status=MEMBER"},
    {RG_CMD_ASSIGNMENT_CREATE, "account=333333333333 permset=p1 ptype=U principal=u1 request=r8"},
    {RG_CMD_CREDENTIAL_PUT, "akid=AKIA2 role=admin"},
};

LOOP(no_size_is_a_fault, RG_LEN(growing))
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    size_t applied = 0, refused = 0, begin;
    struct rg_reply reply;
    struct rg_txn *txn;

    fix_cmd(&fix, growing[_i].kind, growing[_i].fields);
    begin = RG_CMD_BYTES_MAX - fix.cmd.len - 150;
    for (size_t n = begin; n < begin + 160; n++) {
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        ck_assert_int_eq(rg_epoch_begin(txn, 7, fix.index), RG_OK);
        fix_cmd(&fix, growing[_i].kind, growing[_i].fields);
        rg_tlv_put(&fix.cmd, 999, rg_span(filler, n));
        ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_OK);
        applied += reply.err == RG_OK;
        refused += reply.err == RG_ETOOBIG || reply.err == RG_EMALFORMED;
        rg_txn_free(txn);
    }
    ck_assert_uint_eq(applied + refused, 160);
    ck_assert_uint_gt(refused, 0);
}

/* Keys of a table that no command writes so, as a snapshot could bring them: damage, and not a buffer that overflows. */
LOOP(keys_of_another_form_are_damage, 2)
{
    static const char tables[] = {RG_T_JOIN_TOKEN, RG_T_DEGRADED};
    uint8_t key[RG_KEY_BYTES_MAX];
    struct rg_reply reply;
    struct rg_txn *txn;
    enum rg_err err;

    memset(key, 0, sizeof key);
    key[0] = (uint8_t)tables[_i];
    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    ck_assert_int_eq(rg_row_put(txn, rg_span(key, sizeof key), rg_span(NULL, 0)), RG_OK);
    if (tables[_i] == RG_T_JOIN_TOKEN) {
        fix_cmd(&fix, RG_CMD_TOKEN_PUT, "token=a name=eu-central-1 expires=9999999999999");
    } else {
        rg_buf_clear(&fix.cmd);
        rg_tlv_put_u64(&fix.cmd, RG_F_REGIONS, RG_DEGRADED_KEPT_MAX); /* the oldest has to go */
        ck_assert_int_eq(rg_row_put(txn, rg_span_str("Gdegraded-count"), rg_buf_span(&fix.cmd)), RG_OK);
        fix_cmd(&fix, RG_CMD_NOOP, "degraded=1");
    }
    err = rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply);
    ck_assert_msg(err == RG_ECORRUPT, "%s", rg_err_symbol(err));
    rg_txn_free(txn);
}

/* A local fault is the return value, not a reply, and the aborted transaction leaves what was committed. */
TEST(a_full_store_is_a_fault)
{
    static char attrs[8000];
    uint8_t before[RG_STATE_HASH_BYTES], after[RG_STATE_HASH_BYTES];
    struct rg_reply reply;
    struct rg_txn *txn;
    struct fix small;
    enum rg_err err;

    memset(attrs, 'a', sizeof attrs - 1);
    fix_open_sized(&small, 1 << 20);
    fix_world(&small);
    fix_hash(&small, before);
    ck_assert_int_eq(rg_txn_begin(small.store, RG_TXN_WRITE, &txn), RG_OK);
    do {
        char text[64];

        snprintf(text, sizeof text, "id=f%d name=f%d", (int)small.index, (int)small.index);
        fix_cmd(&small, RG_CMD_USER_CREATE, text);
        rg_tlv_put_str(&small.cmd, RG_F_ATTRS, attrs);
        err = rg_fsm_apply(txn, ++small.index, 1, rg_buf_span(&small.cmd), &reply);
        ck_assert_uint_lt(small.index, 10000);
    } while (err == RG_OK);
    ck_assert_int_eq(err, RG_ENOSPACE);
    rg_txn_free(txn);
    fix_hash(&small, after);
    ck_assert_mem_eq(before, after, sizeof before);
    fix_check_hash(&small);
    fix_close(&small);
}

/* An index without its object, as a snapshot could bring it: whatever is made on top of it would never fit together again. */
static const struct {
    const char *name, *orphan; /* its key: table, parts by the names of the small organisation */
    enum rg_cmd_kind kind;
    const char *fields;
} orphans[] = {
    {"of a membership, by user", "b|u2|g1", RG_CMD_MEMBERSHIP_CREATE, "membership=m9 group=g1 user=u2"},
    {"of an assignment, by principal", "t|U|u3|111111111111|p2", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p2 ptype=U principal=u3 request=r9"},
    {"of an assignment, by set", "w|p2|111111111111|U|u3", RG_CMD_ASSIGNMENT_CREATE,
     "account=111111111111 permset=p2 ptype=U principal=u3 request=r9"},
    {"of a user, by name", "n:dave|u9", RG_CMD_USER_CREATE, "id=u9 name=Dave"},
    {"of a user, by a name it did not have", "n:dave|u1", RG_CMD_USER_REPLACE, "id=u1 name=Dave"},
    {"of a user, by address", "e:d@x|u9", RG_CMD_USER_CREATE, "id=u9 name=Dave email=D@x"},
    {"of a group, by name", "h:new|g9", RG_CMD_GROUP_CREATE, "id=g9 name=New"},
    {"of a set, by name", "q:New|p9", RG_CMD_PERMSET_CREATE, "psid=p9 name=New"},
    {"of a set, by a name it did not have", "q:New|p1", RG_CMD_PERMSET_REPLACE, "psid=p1 name=New"},
};

/* "T|part|…": the key, no value; "T:text|part": the key is the text, the part its value. */
static void put_orphan(struct rg_txn *txn, const char *text)
{
    struct rg_rowkey key = rg_rowkey_table((enum rg_table)text[0]);
    struct rg_rowkey value = {.n = 0}, *to = &key;
    const char *p = text + 1;

    if (*p == ':') {
        size_t n = strcspn(++p, "|");

        rg_rowkey_put(&key, p, n);
        p += n;
        to = &value;
    }
    while (*p == '|') {
        char part[16] = "";
        size_t n = strcspn(++p, "|");

        memcpy(part, p, n);
        p += n;
        if (n == RG_ACCT_BYTES || n == 1)
            rg_rowkey_put(to, part, n);
        else if (part[0] == 'p')
            rg_rowkey_put(to, (struct rg_psid[]){fix_psid(part)}[0].b, RG_PSID_BYTES);
        else
            rg_rowkey_put(to, (struct rg_uuid[]){fix_id(part)}[0].b, RG_ID_BYTES);
    }
    ck_assert_int_eq(rg_row_add(txn, rg_rowkey_span(&key), rg_span(value.b, value.n)), RG_OK);
}

LOOP(an_index_without_its_object_is_damage, RG_LEN(orphans))
{
    struct rg_reply reply;
    struct rg_txn *txn;
    enum rg_err err;

    for (int with = 0; with < 2; with++) {
        ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
        if (with)
            put_orphan(txn, orphans[_i].orphan);
        fix_cmd(&fix, orphans[_i].kind, orphans[_i].fields);
        err = rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply);
        ck_assert_msg(err == (with ? RG_ECORRUPT : RG_OK), "%s: %s", orphans[_i].name, rg_err_symbol(err));
        ck_assert_int_eq(reply.err, RG_OK); /* no refusal: those are the same on every node */
        rg_txn_free(txn);
    }
}

/* Times that the log cannot have come to yet. */
LOOP(a_row_of_the_future_is_damage, 3)
{
    static const char *const fields[] = {
        "name=lease regions=1 lease=2000",
        "account=222222222222 permset=p1 ptype=U principal=u2 request=k",
        "degraded=1",
    };
    static const enum rg_cmd_kind of[] = {RG_CMD_SETTING_PUT, RG_CMD_ASSIGNMENT_CREATE, RG_CMD_NOOP};
    struct rg_rowkey key = rg_rowkey_u64(_i == 1 ? RG_T_REQUEST_AGE : RG_T_DEGRADED, fix.index + 1 + (_i == 1 ? 0 : 7));
    struct rg_reply reply;
    struct rg_txn *txn;

    ck_assert_int_eq(rg_txn_begin(fix.store, RG_TXN_WRITE, &txn), RG_OK);
    rg_buf_clear(&fix.cmd);
    if (_i == 0) {
        rg_tlv_put_u64(&fix.cmd, RG_F_VERSION, fix.index + 1);
        ck_assert_int_eq(rg_row_put(txn, rg_span_str("Glease"), rg_buf_span(&fix.cmd)), RG_OK);
    } else {
        ck_assert_int_eq(rg_row_put(txn, rg_rowkey_span(&key), rg_span_str("c0123456789abcdef")), RG_OK);
        rg_tlv_put_u64(&fix.cmd, RG_F_REGIONS, RG_DEGRADED_KEPT_MAX); /* the oldest has to go */
        ck_assert_int_eq(rg_row_put(txn, rg_span_str("Gdegraded-count"), rg_buf_span(&fix.cmd)), RG_OK);
    }
    fix_cmd(&fix, of[_i], fields[_i]);
    ck_assert_int_eq(rg_fsm_apply(txn, fix.index + 1, 1, rg_buf_span(&fix.cmd), &reply), RG_ECORRUPT);
    rg_txn_free(txn);
}

CASE(.setup = setup_empty, .teardown = teardown);

TEST(nothing_but_init_and_noop_before_init)
{
    for (size_t i = 0; i < RG_LEN(kinds); i++) {
        if (kinds[i] == RG_CMD_NOOP || kinds[i] == RG_CMD_INSTANCE_INIT)
            continue;
        ck_assert_int_eq(fix_apply(&fix, kinds[i], "id=u1 name=x"), RG_EUNREADY);
        ck_assert_int_eq(fix.reply.why, RG_WHY_NOT_INIT);
    }
    ck_assert_int_eq(fix_apply(&fix, RG_CMD_NOOP, ""), RG_OK);
    ck_assert_uint_eq(fix_rows_under(&fix, ""), 0);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_span_str("rubbish")), RG_EMALFORMED);
    ck_assert_int_eq(fix.reply.why, RG_WHY_MALFORMED);
    ck_assert_int_eq(fix_apply_bytes(&fix, rg_span(NULL, 0)), RG_EMALFORMED);
}
