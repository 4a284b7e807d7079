/* store/rowmap: which rows are read, and as what. */

#include "store/db/rowmap.h"
#include "tests/lib/check_main.h"

struct thing {
    struct rg_span row, name;
    uint64_t version, node_id;
    int64_t created_ms;
    bool rejoin;
    char type;
    struct rg_uuid id;
    struct rg_psid permset;
    char account[13];
};
static const struct rg_row_member members[] = {
    [RG_ROW_WHOLE] = RG_ROW(struct thing, row),
    [RG_F_VERSION] = RG_ROW(struct thing, version),
    [RG_F_CREATED_MS] = RG_ROW(struct thing, created_ms),
    [RG_F_ID] = RG_ROW(struct thing, id),
    [RG_F_NAME] = RG_ROW(struct thing, name),
    [RG_F_ACCOUNT_ID] = RG_ROW(struct thing, account),
    [RG_F_PERMSET_ID] = RG_ROW(struct thing, permset),
    [RG_F_PRINCIPAL_TYPE] = RG_ROW(struct thing, type),
    [RG_F_NODE_ID] = RG_ROW(struct thing, node_id),
    [RG_F_REJOIN] = RG_ROW(struct thing, rejoin),
};
static const struct rg_rowmap map = RG_ROWMAP(members, struct thing, RG_F_ID, RG_F_NAME);

#define ID "\x20\x10" "0123456789abcdef"
#define NAME "\x21\x03" "bob"

static const struct {
    const char *name, *bytes;
    size_t n;
    enum rg_err want;
} rows[] = {
#define ROW(text, bytes, want) {text, bytes, sizeof bytes - 1, want}
    ROW("what is needed", ID NAME, RG_OK),
    ROW("an empty name is one", ID "\x21\x00", RG_OK),
    ROW("a field of a later release", ID NAME "\xe7\x07\x03" "abc", RG_OK),
    ROW("a field that is not asked for", ID NAME "\x23\x01x", RG_OK),
    ROW("a number of the command's that is none", ID NAME "\x4c\x02" "\x01\x01", RG_OK),
    ROW("a flag of the command's that is none", ID NAME "\x54\x00", RG_OK),
    ROW("nothing", "", RG_ECORRUPT),
    ROW("no id", NAME, RG_ECORRUPT),
    ROW("no name", ID, RG_ECORRUPT),
    ROW("a short id", "\x20\x02" "01" NAME, RG_ECORRUPT),
    ROW("a version that is no number", ID NAME "\x10\x02" "\x01\x01", RG_ECORRUPT),
    ROW("a time that is no number", ID NAME "\x11\x00", RG_ECORRUPT),
    ROW("a short account", ID NAME "\x2b\x02" "11", RG_ECORRUPT),
    ROW("an account with letters", ID NAME "\x2b\x0c" "11111111111a", RG_ECORRUPT),
    ROW("a short set", ID NAME "\x2c\x01p", RG_ECORRUPT),
    ROW("a type of two bytes", ID NAME "\x2d\x02UU", RG_ECORRUPT),
    ROW("half a field behind", ID NAME "\x22", RG_ECORRUPT),
    ROW("field 0", ID NAME "\x00\x00", RG_ECORRUPT),
#undef ROW
};

LOOP(form, RG_LEN(rows))
{
    struct thing thing, before;
    enum rg_err err;

    memset(&before, 0xa5, sizeof before);
    thing = before;
    err = rg_rowmap_read(&map, rg_span(rows[_i].bytes, rows[_i].n), &thing);
    ck_assert_msg(err == rows[_i].want, "%s: %s", rows[_i].name, rg_err_symbol(err));
    if (err)
        ck_assert_mem_eq(&thing, &before, sizeof thing); /* only on success */
    else
        ck_assert_uint_eq(thing.node_id + thing.version + thing.rejoin, 0);
}

TEST(every_member)
{
    static const char bytes[] = "\x10\x01\x07" "\x11\x02\xe8\x07" ID NAME "\x2b\x0c" "123456789012" "\x2c\x08" "permset1" "\x2d\x01U"
                                "\x4c\x02\x80\x08" "\x54\x01\x01";
    const struct rg_span row = rg_span(bytes, sizeof bytes - 1);
    struct thing t;

    ck_assert_int_eq(rg_rowmap_read(&map, row, &t), RG_OK);
    ck_assert_uint_eq(t.version, 7);
    ck_assert_int_eq(t.created_ms, 1000);
    ck_assert_mem_eq(t.id.b, "0123456789abcdef", 16);
    ck_assert(rg_span_is(t.name, "bob"));
    ck_assert_str_eq(t.account, "123456789012");
    ck_assert_mem_eq(t.permset.b, "permset1", 8);
    ck_assert_int_eq(t.type, 'U');
    ck_assert_uint_eq(t.node_id, 1024);
    ck_assert(t.rejoin);
    ck_assert_ptr_eq(t.row.p, row.p);
    ck_assert_uint_eq(t.row.n, row.n);
}

TEST(the_first_counts)
{
    static const char bytes[] = "\x10\x01\x07" ID NAME "\x10\x01\x08" "\x20\x10" "fedcba9876543210" "\x21\x02" "al";
    struct thing t;

    ck_assert_int_eq(rg_rowmap_read(&map, rg_span(bytes, sizeof bytes - 1), &t), RG_OK);
    ck_assert_uint_eq(t.version, 7);
    ck_assert_mem_eq(t.id.b, "0123456789abcdef", 16);
    ck_assert(rg_span_is(t.name, "bob"));
    ck_assert_uint_eq(t.node_id, 0);
    ck_assert_str_eq(t.account, "");
    ck_assert(!t.rejoin);
}

TEST(a_number_in_a_key)
{
    const struct rg_rowkey key = rg_rowkey_u64(RG_T_EPOCH, UINT64_C(0x0102030405060708));
    uint64_t number = 5;

    ck_assert(!rg_rowkey_take_u64(rg_span(key.b, key.n - 1), &number));
    ck_assert(!rg_rowkey_take_u64(rg_span(key.b, key.n + 1), &number));
    ck_assert_uint_eq(number, 5);
    ck_assert(rg_rowkey_take_u64(rg_rowkey_span(&key), &number));
    ck_assert_uint_eq(number, UINT64_C(0x0102030405060708));
}
