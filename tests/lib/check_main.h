/* tests/lib/check_main.h: a test that is written is run; no list names it again. The main of unit programs is in check_main.c.
 *
 *   CASE(.setup = open, .teardown = close);           what stands around each test that follows, up to the next CASE
 *   TEST(a_torn_record_is_cut) { … }                  once
 *   TEST_ABORT(an_edge_that_is_not_drawn) { … }       it must end by an assertion
 *   LOOP(bit_flips, RG_LEN(flips)) { … flips[_i] … }  once for each row: _i is its number
 *
 * Each test runs in a process of its own (Check), so what it leaves in memory is gone with it. `test_x WORD` runs the tests of
 * test_x whose names have WORD in them; CK_FORK=no keeps all in one process, for a debugger. */
#ifndef REGENT_TESTS_LIB_CHECK_MAIN_H
#define REGENT_TESTS_LIB_CHECK_MAIN_H

#include <check.h>
#include <signal.h>

#define CHECK_SECONDS 60 /* a test may take, unless its case says otherwise */

struct check_case {
    void (*setup)(void), (*teardown)(void); /* around each test, in its process; may be NULL */
    void (*once)(void), (*once_end)(void);  /* around the case, in the process that all are forked from; may be NULL */
    int seconds;                            /* 0: CHECK_SECONDS */
    struct check_case *next;
    struct check_test *tests, **tests_end;
};

struct check_test {
    TTest what;
    int from;        /* the first _i */
    int (*to)(void); /* past the last _i; asked once the program runs */
    int signal;      /* it must end with; 0: none */
    struct check_test *next;
};

/* Called before main, in the order of a file's lines. They keep what they are given. */
void check_add_case(struct check_case *c);
void check_add_test(struct check_test *t);

#define CHECK_NAME__(a, b) a##b
#define CHECK_NAME_(a, b) CHECK_NAME__(a, b)
#define CASE(...) \
    __attribute__((constructor)) static void CHECK_NAME_(check_case_, __LINE__)(void) \
    { \
        static struct check_case c = {__VA_ARGS__}; \
 \
        check_add_case(&c); \
    } \
    struct check_case /* takes the semicolon */

#define TEST(name) CHECK_ADD_(name, 0, 1, 0)
#define TEST_ABORT(name) CHECK_ADD_(name, 0, 1, SIGABRT)
#define LOOP(name, n) CHECK_ADD_(name, 0, n, 0)
#define LOOP_FROM(name, first, end) CHECK_ADD_(name, first, end, 0)
#define CHECK_ADD_(name, first, end, ends_with) \
    static void name##_fn(int _i); \
    static int name##_to(void) { return (int)(end); } \
    __attribute__((constructor)) static void name##_add(void) \
    { \
        static struct check_test t = {{#name, name##_fn, __FILE__, __LINE__}, (first), name##_to, (ends_with), NULL}; \
 \
        check_add_test(&t); \
    } \
    static void name##_fn(int _i __attribute__((unused)))

/* Check's own way would write a test that nobody runs. */
#undef START_TEST
#define START_TEST(name) _Static_assert(0, "write TEST(" #name "): see tests/README.md")

#endif
