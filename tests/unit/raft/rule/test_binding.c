/* raft/rule/binding: an id is bound to one data directory, once, and to no other. */
#include <stdio.h>

#include "raft/rule/binding.h"
#include "tests/lib/check_main.h"

static struct rg_incarnation inc(uint8_t first) { return (struct rg_incarnation){{first}}; }

static struct rg_members members_of(const uint8_t *bound, size_t n)
{
    struct rg_members m = {.n = n};

    for (size_t i = 0; i < n; i++) {
        m.peers[i].id = i + 1;
        m.peers[i].incarnation = inc(bound[i]);
        snprintf(m.peers[i].region, sizeof m.peers[i].region, "region-%zu", i);
        snprintf(m.peers[i].link, sizeof m.peers[i].link, "host-%zu:1", i);
    }
    return m;
}

static const struct {
    const char *name;
    uint8_t bound[3], said[3]; /* by members 1 to 3; 0: not bound; nothing was said */
    bool up[3];
    bool want;
    uint8_t after[3];
} rows[] = {
    {"all have said theirs", {0}, {1, 2, 3}, {true, true, true}, true, {1, 2, 3}},
    {"one says nothing: it may not understand", {0}, {1, 2, 0}, {true, true, true}, false, {0}},
    {"one that said so is not linked: left for later", {0}, {1, 2, 3}, {true, true, false}, true, {1, 2, 0}},
    {"from the first binding on each by itself", {1}, {1, 2, 0}, {true, true, true}, true, {1, 2, 0}},
    {"what is bound stays, whatever is said", {1, 2, 3}, {1, 9, 3}, {true, true, true}, false, {0}},
    {"also beside one that is not bound", {1, 2, 0}, {1, 9, 3}, {true, true, true}, true, {1, 2, 3}},
    {"one directory under two ids", {1, 0, 0}, {1, 1, 3}, {true, true, true}, true, {1, 0, 3}},
    {"two at once with one directory: the first has it", {1, 0, 0}, {1, 4, 4}, {true, true, true}, true, {1, 4, 0}},
    {"nobody is linked", {1, 0, 0}, {1, 2, 3}, {true, false, false}, false, {0}},
};

LOOP(what_is_bound_next, RG_LEN(rows))
{
    struct rg_members now = members_of(rows[_i].bound, 3), after = {.n = 99};
    struct rg_binding_heard heard[3];

    for (size_t i = 0; i < 3; i++)
        heard[2 - i] = (struct rg_binding_heard){.id = i + 1, .said = inc(rows[_i].said[i]), .up = rows[_i].up[i]};
    ck_assert_msg(rg_binding_next(&now, heard, 3, &after) == rows[_i].want, "%s", rows[_i].name);
    if (!rows[_i].want) {
        ck_assert_uint_eq(after.n, 99);
        return;
    }
    ck_assert_uint_eq(after.n, 3);
    for (size_t i = 0; i < 3; i++)
        ck_assert_msg(after.peers[i].incarnation.b[0] == rows[_i].after[i], "%s: %zu", rows[_i].name, i + 1);
}

TEST(who_fits)
{
    struct rg_incarnation none = inc(0), one = inc(1), two = {{1, [15] = 1}};

    ck_assert_int_eq(rg_binding_of(&none, &none), RG_BINDING_FITS);
    ck_assert_int_eq(rg_binding_of(&none, &one), RG_BINDING_FITS);
    ck_assert_int_eq(rg_binding_of(&one, &one), RG_BINDING_FITS);
    ck_assert_int_eq(rg_binding_of(&one, &two), RG_BINDING_OTHER);
    ck_assert_int_eq(rg_binding_of(&one, &none), RG_BINDING_UNSAID);
}

TEST(who_counts)
{
    struct rg_members none = members_of((uint8_t[]){0, 0, 0}, 3), some = members_of((uint8_t[]){1, 2, 0}, 3),
                      all = members_of((uint8_t[]){1, 2, 3}, 3);

    ck_assert(rg_binding_counts(&none, &none.peers[2])); /* a cluster of the release before */
    ck_assert(rg_binding_counts(&some, &some.peers[1]) && !rg_binding_counts(&some, &some.peers[2]));
    ck_assert(rg_binding_whole(&none) && !rg_binding_whole(&some) && rg_binding_whole(&all));
}
