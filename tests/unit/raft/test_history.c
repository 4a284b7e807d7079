/* raft/history: what begins otherwise is another history. */
#include "raft/history.h"
#include "tests/lib/check_main.h"

static struct rg_history of(const char *data)
{
    return rg_history_of(&(struct rg_entry){.term = 1, .type = RG_ENTRY_CHANGE, .data = rg_span_str(data)});
}

TEST(it_is_the_beginning_of_a_hash)
{
    static const uint8_t abc[] = {0xba, 0x78, 0x16, 0xbf, 0x8f, 0x01, 0xcf, 0xea, 0x41, 0x41, 0x40, 0xde, 0x5d, 0xae, 0x22, 0x23};
    struct rg_history history = of("abc"); /* FIPS 180-2, B.1 */
    char text[RG_HISTORY_TEXT_BYTES];

    ck_assert_mem_eq(history.b, abc, sizeof abc);
    rg_history_text(&history, text);
    ck_assert_str_eq(text, "ba7816bf");
    rg_history_text(&(struct rg_history){{0}}, text);
    ck_assert_str_eq(text, "unknown");
}

TEST(what_is_not_known_differs_from_nothing)
{
    const struct rg_history none = {{0}}, one = of("one"), other = of("other");

    ck_assert(!rg_history_known(&none));
    ck_assert(rg_history_known(&one));
    ck_assert(rg_history_differ(&one, &other));
    ck_assert(!rg_history_differ(&one, &one));
    ck_assert(!rg_history_differ(&one, &none));
    ck_assert(!rg_history_differ(&none, &one));
}
