/* net/fair/seats: whose connection gives way. */
#include "net/fair/seats.h"
#include "tests/lib/check_main.h"

static const struct {
    const char *name;
    struct rg_seat first, second; /* the first one goes */
    bool many_shake;
} pairs[] = {
    {"an idle one before one that begins", {RG_SEAT_IDLE, 1, 900}, {RG_SEAT_SHAKING, 9, 100}, false},
    {"one that begins before an idle one, when many do", {RG_SEAT_SHAKING, 1, 900}, {RG_SEAT_IDLE, 9, 100}, true},
    {"either before one that has begun a request", {RG_SEAT_IDLE, 1, 900}, {RG_SEAT_AWAITED, 9, 100}, false},
    {"that, too", {RG_SEAT_SHAKING, 1, 900}, {RG_SEAT_AWAITED, 9, 100}, false},
    {"one of many before one of few", {RG_SEAT_IDLE, 9, 900}, {RG_SEAT_IDLE, 8, 100}, false},
    {"of handshakes, too", {RG_SEAT_SHAKING, 9, 900}, {RG_SEAT_SHAKING, 8, 100}, true},
    {"of requests, too", {RG_SEAT_AWAITED, 9, 900}, {RG_SEAT_AWAITED, 8, 100}, false},
    {"of one address the oldest", {RG_SEAT_IDLE, 9, 100}, {RG_SEAT_IDLE, 9, 101}, false},
};

CASE(.setup = NULL);

LOOP(one_goes_rather_than_the_other, RG_LEN(pairs))
{
    ck_assert_msg(rg_seat_goes_first(&pairs[_i].first, &pairs[_i].second, pairs[_i].many_shake), "%s", pairs[_i].name);
    ck_assert_msg(!rg_seat_goes_first(&pairs[_i].second, &pairs[_i].first, pairs[_i].many_shake), "%s, the other way", pairs[_i].name);
}

TEST(what_is_being_done_goes_on)
{
    const struct rg_seat working = {RG_SEAT_WORKING, 1000, 0}, idle = {RG_SEAT_IDLE, 1, 0}, shaking = {RG_SEAT_SHAKING, 1, 0};

    ck_assert(!rg_seat_may_go(&working, 1));
    ck_assert(rg_seat_may_go(&idle, 1000));
    ck_assert(rg_seat_may_go(&shaking, 1000));
}

TEST(nobody_pushes_out_a_request_who_has_as_much)
{
    const struct rg_seat begun = {RG_SEAT_AWAITED, 5, 0};

    ck_assert(!rg_seat_may_go(&begun, 5));
    ck_assert(!rg_seat_may_go(&begun, 6));
    ck_assert(rg_seat_may_go(&begun, 4));
}
