/* net/api/waiting: who asks to come back is seen while it asks, and no more than there is room for. */
#include <stdio.h>

#include "net/api/waiting.h"
#include "tests/lib/check_main.h"

static struct rg_waiting w;
static struct rg_waiting_node list[RG_WAITING_MAX];

static void open_table(void) { ck_assert_int_eq(rg_waiting_init(&w), RG_OK); }
static void close_table(void) { rg_waiting_deinit(&w); }
CASE(.setup = open_table, .teardown = close_table);

static void asks(uint64_t old_id, const char *fingerprint, int64_t at_ms)
{
    struct rg_waiting_node node = {.old_id = old_id, .heir = old_id + 1, .asked_ms = at_ms};

    snprintf(node.fingerprint, sizeof node.fingerprint, "%s", fingerprint);
    rg_waiting_note(&w, &node);
}

TEST(whoever_asks_again_waits_since_it_first_did)
{
    asks(3, "A", 1000);
    asks(4, "A", 2000);
    asks(3, "A", 3000);
    asks(3, "B", 4000); /* another key of the line */
    ck_assert_uint_eq(rg_waiting_list(&w, 5000, list), 3);
    ck_assert(list[0].old_id == 3 && list[0].since_ms == 1000 && list[0].asked_ms == 3000);
    ck_assert(list[1].old_id == 4 && list[1].heir == 5);
    ck_assert(list[2].old_id == 3 && strcmp(list[2].fingerprint, "B") == 0 && list[2].since_ms == 4000);
    rg_waiting_forget(&w, 3);
    rg_waiting_forget(&w, 9);
    ck_assert_uint_eq(rg_waiting_list(&w, 5000, list), 1);
    ck_assert_uint_eq(list[0].old_id, 4);
}

TEST(whoever_asks_no_more_is_forgotten)
{
    asks(3, "A", 1000);
    ck_assert_uint_eq(rg_waiting_list(&w, 1000 + RG_WAITING_KEPT_MS, list), 1);
    ck_assert_uint_eq(rg_waiting_list(&w, 1001 + RG_WAITING_KEPT_MS, list), 0);
    asks(3, "A", 1001 + RG_WAITING_KEPT_MS); /* anew */
    ck_assert_uint_eq(rg_waiting_list(&w, 1001 + RG_WAITING_KEPT_MS, list), 1);
    ck_assert_int_eq(list[0].since_ms, 1001 + RG_WAITING_KEPT_MS);
    ck_assert_uint_eq(rg_waiting_list(&w, 0, list), 1); /* a clock that was set back hides nobody */
}

TEST(of_too_many_the_most_silent_goes)
{
    for (uint64_t id = 1; id <= RG_WAITING_MAX; id++)
        asks(id, "A", 1000 + (int64_t)id);
    asks(1, "A", 5000);
    asks(100, "A", 5001);
    ck_assert_uint_eq(rg_waiting_list(&w, 5001, list), RG_WAITING_MAX);
    ck_assert_uint_eq(list[0].old_id, 1);
    ck_assert_uint_eq(list[1].old_id, 3);
    ck_assert_uint_eq(list[RG_WAITING_MAX - 1].old_id, 100);
}
