/* cmd/birth/gone_answer: what others say of this node's id is taken of this cluster's nodes, and that one of them has forgotten it all, of
 * whoever is to be found where it was asked. */
#include <stdio.h>

#include "cmd/birth/gone_answer.h"
#include "tests/lib/check_main.h"

#define HISTORY "0102030405060708090a0b0c0d0e0f10"
_Static_assert(sizeof HISTORY - 1 == 2 * sizeof((struct rg_history *)0)->b, "one as it is written");

static const struct rg_gone_place place = {.url = "https://a", .ids = {2, 7}};

static const struct {
    const char *says;
    uint64_t node; /* 0: nothing */
    enum rg_gone_row row;
    bool history;
} cases[] = {
    {"{\"cluster\":\"c\",\"node\":2,\"gone\":\"no\"}", 2, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":2,\"gone\":\"replaced\",\"history\":\"" HISTORY "\"}", 2, RG_GONE_REPLACED, true},
    {"{\"cluster\":\"c\",\"node\":9,\"gone\":\"removed\"}", 9, RG_GONE_REMOVED, false}, /* it came there meanwhile; it has rows */
    {"{\"cluster\":\"c\",\"node\":2,\"gone\":\"no\",\"empty\":true}", 2, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":2,\"empty\":true}", 2, RG_GONE_BLANK, false},
    {"{\"cluster\":\"c\",\"node\":7,\"empty\":true}", 7, RG_GONE_BLANK, false},
    {"{\"cluster\":\"c\",\"node\":9,\"empty\":true}", 0, RG_GONE_NOT, false}, /* another one's id */
    {"{\"cluster\":\"c\",\"node\":1,\"empty\":true}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":9,\"gone\":\"blank\"}", 0, RG_GONE_NOT, false}, /* nor as if it were a row */
    {"{\"cluster\":\"c\",\"node\":7,\"gone\":\"blank\"}", 7, RG_GONE_BLANK, false},
    {"{\"cluster\":\"c\",\"node\":0,\"empty\":true}", 0, RG_GONE_NOT, false}, /* where nobody more is to be found */
    {"{\"cluster\":\"c\",\"node\":2,\"empty\":false}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":2}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"d\",\"node\":2,\"empty\":true}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"d\",\"node\":2,\"gone\":\"replaced\"}", 0, RG_GONE_NOT, false},
    {"{\"node\":2,\"gone\":\"replaced\"}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":5000,\"gone\":\"replaced\"}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":-2,\"gone\":\"replaced\"}", 0, RG_GONE_NOT, false},
    {"{\"cluster\":\"c\",\"node\":2,\"gone\":\"replaced\",\"history\":\"g102030405060708090a0b0c0d0e0f10\"}", 0, RG_GONE_NOT, false},
    {"[]", 0, RG_GONE_NOT, false},
    {"", 0, RG_GONE_NOT, false},
};

LOOP(what_an_answer_says, RG_LEN(cases))
{
    struct rg_gone_told told = {.node = 99};
    bool says = rg_gone_answer(&place, "c", rg_span_str(cases[_i].says), &told);

    ck_assert_msg(says == (cases[_i].node != 0), "%s", cases[_i].says);
    ck_assert_uint_eq(told.node, says ? cases[_i].node : 99);
    if (says) {
        ck_assert_int_eq(told.row, cases[_i].row);
        ck_assert(rg_history_known(&told.history) == cases[_i].history);
    }
}

TEST(who_is_to_be_found_at_an_address)
{
    static struct rg_gone_places places;
    char url[200];

    rg_gone_places_add(&places, rg_span_str("https://a"), 2);
    rg_gone_places_add(&places, rg_span_str("https://b"), 3);
    for (uint64_t id = 4; id < 9; id++)
        rg_gone_places_add(&places, rg_span_str("https://a"), id);
    rg_gone_places_add(&places, rg_span_str("https://b"), 3);
    rg_gone_places_add(&places, rg_span_str(""), 9);
    memset(url, 'x', sizeof url);
    rg_gone_places_add(&places, rg_span(url, sizeof places.at[0].url), 9);
    ck_assert_uint_eq(places.n, 2);
    ck_assert_str_eq(places.at[0].url, "https://a");
    ck_assert_mem_eq(places.at[0].ids, ((uint64_t[RG_GONE_IDS_MAX]){2, 4, 5, 6}), sizeof places.at[0].ids); /* the others' word is not taken */
    ck_assert_mem_eq(places.at[1].ids, ((uint64_t[RG_GONE_IDS_MAX]){3}), sizeof places.at[1].ids);
    rg_gone_places_add(&places, rg_span(url, sizeof places.at[0].url - 1), 9);
    ck_assert_uint_eq(places.n, 3);
    for (unsigned i = 0; i < RG_GONE_PLACES_MAX + 2; i++) {
        snprintf(url, sizeof url, "https://%u", i);
        rg_gone_places_add(&places, rg_span_str(url), 1);
    }
    ck_assert_uint_eq(places.n, RG_GONE_PLACES_MAX);
    places.n = 0; /* the next round: nobody of the last is there */
    rg_gone_places_add(&places, rg_span_str("https://a"), 5);
    ck_assert_mem_eq(places.at[0].ids, ((uint64_t[RG_GONE_IDS_MAX]){5}), sizeof places.at[0].ids);
}
