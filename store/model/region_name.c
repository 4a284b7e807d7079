#include "store/model/region_name.h"

const struct rg_region_name rg_region_names[] = {
    {"us-east-1", "N. Virginia, United States"},
    {"us-east-2", "Ohio, United States"},
    {"us-west-1", "N. California, United States"},
    {"us-west-2", "Oregon, United States"},
    {"ap-south-1", "Mumbai, India"},
    {"ap-northeast-1", "Tokyo, Japan"},
    {"ap-northeast-2", "Seoul, South Korea"},
    {"ap-northeast-3", "Osaka, Japan"},
    {"ap-southeast-1", "Singapore"},
    {"ap-southeast-2", "Sydney, Australia"},
    {"ca-central-1", "Montreal, Canada"},
    {"eu-central-1", "Frankfurt, Germany"},
    {"eu-north-1", "Stockholm, Sweden"},
    {"eu-west-1", "Dublin, Ireland"},
    {"eu-west-2", "London, United Kingdom"},
    {"eu-west-3", "Paris, France"},
    {"sa-east-1", "Sao Paulo, Brazil"},
};
_Static_assert(sizeof "ap-northeast-1" - 1 <= RG_REGION_NAME_BYTES_MAX, "the longest of them");
const size_t rg_region_names_n = RG_LEN(rg_region_names);

const char *rg_region_place(struct rg_span name)
{
    RG_ASSERT(name.p != NULL || name.n == 0);
    for (size_t i = 0; i < rg_region_names_n; i++)
        if (rg_span_is(name, rg_region_names[i].name))
            return rg_region_names[i].place;
    return NULL;
}

bool rg_region_name_ok(struct rg_span name)
{
    RG_ASSERT(name.p != NULL || name.n == 0);
    if (name.n == 0 || name.n > RG_REGION_NAME_BYTES_MAX || name.p[0] == '-' || name.p[name.n - 1] == '-')
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-')
            return false;
    }
    return true;
}
