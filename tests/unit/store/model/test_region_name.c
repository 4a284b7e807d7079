/* Names of regions: the list, and what others may be given. */
#include <stdlib.h>

#include "store/model/region_name.h"
#include "tests/lib/check_main.h"

static const struct {
    const char *name;
    bool ok, aws;
} names[] = {
    {"us-east-1", true, true},
    {"ap-northeast-3", true, true},
    {"us-gov-west-1", true, true},
    {"frankfurt", true, false},
    {"dc-2-rack-7", true, false},
    {"1", true, false},
    {"a23456789b123456789c123456789d12", true, false},
    {"us-east-12", true, false},
    {"us-1", true, false},
    {"a-b-c-d-1", true, false},
    {"", false, false},
    {"-a", false, false},
    {"a-", false, false},
    {"us-east-", false, false},
    {"US-EAST-1", false, false},
    {"us_east_1", false, false},
    {"us-east-1 ", false, false},
    {"eu\xc3\xa4-1", false, false},
    {"a23456789b123456789c123456789d123", false, false},
};

LOOP(test_names, RG_LEN(names))
{
    struct rg_span name = rg_span_str(names[_i].name);

    ck_assert_msg(rg_region_name_ok(name) == names[_i].ok, "%s", names[_i].name);
    ck_assert_msg(rg_region_name_is_aws(name) == names[_i].aws, "%s", names[_i].name);
}

TEST(test_list)
{
    ck_assert_uint_eq(rg_region_names_n, 17);
    for (size_t i = 0; i < rg_region_names_n; i++) {
        ck_assert(rg_region_name_ok(rg_span_str(rg_region_names[i].name)));
        ck_assert(rg_region_name_is_aws(rg_span_str(rg_region_names[i].name)));
        ck_assert_ptr_eq(rg_region_place(rg_span_str(rg_region_names[i].name)), rg_region_names[i].place);
    }
    ck_assert_ptr_null(rg_region_place(rg_span_str("frankfurt")));
}
