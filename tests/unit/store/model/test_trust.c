/* store/model/trust: roles by their names, what a statement covers, and what a GENESIS must list. */
#include "store/model/trust.h"
#include "tests/lib/check_main.h"
#include "tests/unit/store/model/world.h"

CASE(.setup = world_open, .teardown = world_close);

TEST(roles_have_names)
{
    static const char *const bad[] = {"", ",", "regions,", ",regions", "regions,regions", "region", "regions settings", "Regions"};
    unsigned roles = 0;

    ck_assert(rg_roles_parse("regions", &roles) && roles == RG_ROLE_REGIONS);
    ck_assert(rg_roles_parse("operators,settings,regions,failover", &roles) && roles == RG_ROLES_ALL);
    for (size_t i = 0; i < RG_LEN(bad); i++)
        ck_assert_msg(!rg_roles_parse(bad[i], &roles), "%s", bad[i]);
    ck_assert_str_eq(rg_role_name(RG_ROLE_SETTINGS), "settings");
    ck_assert_ptr_null(rg_role_name(1u << 30));
}

TEST(kinds_have_names_and_roles)
{
    ck_assert_str_eq(rg_said_name(RG_SAID_GENESIS), "GENESIS");
    ck_assert_str_eq(rg_said_name(RG_SAID_CREDENTIAL), "CREDENTIAL");
    ck_assert_str_eq(rg_said_name(0), "?");
    ck_assert_str_eq(rg_said_name(19), "?");
    ck_assert_uint_eq(rg_said_role(RG_SAID_GENESIS), 0); /* no operator's */
    ck_assert_uint_eq(rg_said_role(RG_SAID_TOKEN), RG_ROLE_REGIONS);
    ck_assert_uint_eq(rg_said_role(RG_SAID_DECLARE), RG_ROLE_FAILOVER);
    ck_assert_uint_eq(rg_said_role(200), 0);
    ck_assert(!rg_said_covers(200, rg_span(NULL, 0), rg_span(NULL, 0)));
}

TEST(a_world_is_at_level_1)
{
    struct rg_trust trust;
    RG_AUTO_BUF struct rg_buf kept = {.max = 0};

    ck_assert_int_eq(rg_trust_get(txn, &trust), RG_OK);
    ck_assert_uint_eq(trust.level, 1);
    ck_assert_uint_eq(trust.root.n, 0);
    rg_buf_init(&kept, (size_t)RG_KEPT_MAX * RG_KEPT_BYTES);
    ck_assert_int_eq(rg_trust_kept(txn, &kept), RG_OK);
    ck_assert_uint_eq(kept.len, (size_t)4 * RG_KEPT_BYTES); /* two regions, and an administrator under key and token */
    for (size_t at = RG_KEPT_BYTES; at < kept.len; at += RG_KEPT_BYTES)
        ck_assert(memcmp(kept.data + at - RG_KEPT_BYTES, kept.data + at, RG_KEPT_BYTES) < 0);
}

/* Of a node: id, region, link and url, each by itself and none for another; not what changes by itself. */
TEST(a_nodes_digest)
{
    static const char more[] = "name=a link=b url=c status=MEMBER phase=x";
    static const char *const rows[] = {"name=a link=b url=c", "name=ab link= url=c", "name=a link=bc url=", "name=a link=b url=d"};
    const struct rg_rowkey one = rg_rowkey_u64(RG_T_NODE, 1), two = rg_rowkey_u64(RG_T_NODE, 2);
    uint8_t first[RG_KEPT_BYTES], kept[RG_KEPT_BYTES];
    struct rg_buf row;
    uint8_t memory[256];

    for (size_t i = 0; i < RG_LEN(rows); i++) {
        rg_buf_init_over(&row, memory, sizeof memory);
        fix_put_fields(&row, rows[i], rows[i] + strlen(rows[i]), '=', ' ');
        ck_assert(rg_trust_kept_row(rg_rowkey_span(&one), rg_buf_span(&row), i == 0 ? first : kept));
        if (i > 0)
            ck_assert_mem_ne(first, kept, sizeof kept);
    }
    rg_buf_init_over(&row, memory, sizeof memory);
    fix_put_fields(&row, more, more + strlen(more), '=', ' ');
    ck_assert(rg_trust_kept_row(rg_rowkey_span(&one), rg_buf_span(&row), kept));
    ck_assert_mem_eq(first, kept, sizeof kept);
    ck_assert(rg_trust_kept_row(rg_rowkey_span(&two), rg_buf_span(&row), kept));
    ck_assert_mem_ne(first, kept, sizeof kept);
}

/* A number has one form: a row that is written again has that one, and would not be what was signed. */
TEST(numbers_have_one_form)
{
    static const struct {
        unsigned kind;
        uint32_t field;
    } numbers[] = {
        {RG_SAID_OPERATOR, RG_F_EXPIRES_MS}, {RG_SAID_OPERATOR, RG_F_ROLES},    {RG_SAID_GENESIS, RG_F_EXPIRES_MS},
        {RG_SAID_GENESIS, RG_F_ROLES},       {RG_SAID_SETTING, RG_F_REGIONS},   {RG_SAID_SETTING, RG_F_LEASE_MS},
        {RG_SAID_ADMIT, RG_F_NODE_ID},       {RG_SAID_DECLARE, RG_F_EPOCH},    {RG_SAID_DECLARE, RG_F_PREVIOUS_EPOCH},
        {RG_SAID_DECLARE, RG_F_ACCEPT_LOSS},
    };
    static const struct {
        bool good;
        size_t n;
        uint8_t bytes[12];
    } forms[] = {
        {true, 1, {0x00}},
        {true, 1, {0x03}},
        {true, 2, {0x83, 0x01}},
        {true, 10, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
        {false, 0, {0}},
        {false, 2, {0x83, 0x00}},
        {false, 2, {0x80, 0x00}},
        {false, 3, {0x83, 0x81, 0x00}},
        {false, 10, {0x83, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00}},
        {false, 1, {0x83}},
        {false, 2, {0x03, 0x00}},
        {false, 11, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01}},
    };

    for (size_t i = 0; i < RG_LEN(numbers); i++)
        for (size_t k = 0; k < RG_LEN(forms); k++) {
            uint8_t memory[64];
            struct rg_buf fields;

            rg_buf_init_over(&fields, memory, sizeof memory);
            rg_tlv_put(&fields, numbers[i].field, rg_span(forms[k].bytes, forms[k].n));
            ck_assert_msg(rg_said_covers(numbers[i].kind, rg_buf_span(&fields), rg_buf_span(&fields)) == forms[k].good,
                          "%s, field %u, form %zu", rg_said_name(numbers[i].kind), (unsigned)numbers[i].field, k);
        }
}
