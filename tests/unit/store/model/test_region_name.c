/* Names of regions: the list, and what others may be given. */
#include <stdlib.h>

#include "store/model/region_name.h"
#include "tests/lib/check_main.h"

static const struct {
    const char *name;
    bool ok;
} names[] = {
    {"us-east-1", true},
    {"ap-northeast-3", true},
    {"us-gov-west-1", true},
    {"frankfurt", true},
    {"dc-2-rack-7", true},
    {"1", true},
    {"a23456789b123456789c123456789d12", true},
    {"us-east-12", true},
    {"us-1", true},
    {"a-b-c-d-1", true},
    {"", false},
    {"-a", false},
    {"a-", false},
    {"us-east-", false},
    {"US-EAST-1", false},
    {"us_east_1", false},
    {"us-east-1 ", false},
    {"eu\xc3\xa4-1", false},
    {"a23456789b123456789c123456789d123", false},
};

LOOP(test_names, RG_LEN(names))
{
    struct rg_span name = rg_span_str(names[_i].name);

    ck_assert_msg(rg_region_name_ok(name) == names[_i].ok, "%s", names[_i].name);
}

TEST(test_list)
{
    ck_assert_uint_eq(rg_region_names_n, 17);
    for (size_t i = 0; i < rg_region_names_n; i++) {
        ck_assert(rg_region_name_ok(rg_span_str(rg_region_names[i].name)));
        ck_assert_ptr_eq(rg_region_place(rg_span_str(rg_region_names[i].name)), rg_region_names[i].place);
    }
    ck_assert_ptr_null(rg_region_place(rg_span_str("frankfurt")));
}
