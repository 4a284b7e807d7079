/* net/fair/reader: how long a long answer may go on. */
#include "net/fair/reader.h"
#include "tests/lib/check_main.h"

#define MIB (UINT64_C(1) << 20)
#define S UINT64_C(1000000)

enum { MAX_MIB = 64, MAP_MIB = 129 };

static const struct {
    const char *name;
    uint64_t age_us, fetched, begun_mib, file_mib;
    bool left;
    const char *why; /* NULL: it may go on */
} cases[] = {
    {"one that has just begun", 0, 0, 30, 30, false, NULL},
    {"nothing fetched for a while", 9 * S, 0, 30, 30, false, NULL},
    {"nothing fetched for long", 11 * S, 0, 30, 30, false, "too slowly"},
    {"a byte now and then", 20 * S, 5, 30, 30, false, "too slowly"},
    {"a slow line", 20 * S, 1 * MIB, 30, 30, false, NULL},
    {"the same at its end", 31 * S, 2 * MIB, 30, 30, false, "too slowly"},
    {"a quick line for long", 100 * S, 100 * MIB, 30, 30, false, NULL},
    {"for ever", 300 * S, 900 * MIB, 30, 30, false, "within 300 s"},
    {"much is written", 2 * S, 9 * MIB, 30, 46, false, NULL},
    {"too much is written", 2 * S, 9 * MIB, 30, 47, false, "so much was written"},
    {"what is written while an old one goes on", 40 * S, 90 * MIB, 30, 34, false, NULL},
    {"more than that", 40 * S, 90 * MIB, 30, 35, false, "so much was written"},
    {"the file was that large before, and has free pages", 2 * S, 9 * MIB, 110, 110, false, NULL},
    {"the file was that large before, and none is free any more", 2 * S, 9 * MIB, 110, 111, false, "so much was written"},
    {"a state that serves no more", 20 * S, 90 * MIB, 30, 30, true, NULL},
    {"a state that serves no more, for long", 31 * S, 90 * MIB, 30, 30, true, "so much was written"},
};

CASE(.setup = NULL);

LOOP(a_reader_is_judged, RG_LEN(cases))
{
    struct rg_reader reader = {.age_us = cases[_i].age_us, .fetched_bytes = cases[_i].fetched, .begun_file_bytes = cases[_i].begun_mib * MIB,
                               .pinned = {.file_bytes = cases[_i].file_mib * MIB, .map_bytes = MAP_MIB * MIB,
                                          .bytes_max = MAX_MIB * MIB, .left = cases[_i].left}};
    struct rg_errctx ctx = {.text = ""};
    enum rg_err err = rg_reader_judge(&reader, &ctx);

    ck_assert_msg((err == RG_OK) == (cases[_i].why == NULL), "%s: %s", cases[_i].name, ctx.text);
    if (err) {
        ck_assert_int_eq(err, RG_ETIMEOUT);
        ck_assert_msg(strstr(ctx.text, cases[_i].why) != NULL, "%s: %s", cases[_i].name, ctx.text);
    }
}
