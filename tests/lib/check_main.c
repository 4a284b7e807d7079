#include "tests/lib/check_main.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/tmpdir.h"

static struct check_case plain; /* of tests before any CASE */
static struct check_case *cases = &plain, *last = &plain;

void check_add_case(struct check_case *c)
{
    last->next = c;
    last = c;
}

void check_add_test(struct check_test *t)
{
    if (last->tests_end == NULL)
        last->tests_end = &last->tests;
    *last->tests_end = t;
    last->tests_end = &t->next;
}

/* c's tests whose names have word in them (NULL: all), in s; how many. */
static int case_put(Suite *s, const struct check_case *c, const char *word)
{
    TCase *tcase = NULL;
    int n = 0;

    for (const struct check_test *t = c->tests; t != NULL; t = t->next) {
        if (word != NULL && strstr(t->what.name, word) == NULL)
            continue;
        if (n++ == 0) {
            tcase = tcase_create(t->what.name);
            suite_add_tcase(s, tcase);
            tcase_set_timeout(tcase, c->seconds != 0 ? c->seconds : CHECK_SECONDS);
            tcase_add_unchecked_fixture(tcase, c->once, c->once_end);
            tcase_add_checked_fixture(tcase, c->setup, c->teardown);
        }
        tcase_add_loop_test_raise_signal(tcase, &t->what, t->signal, t->from, t->to());
    }
    return n;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : NULL, *in_forks = getenv("CK_FORK");
    int n = 0, failed;
    SRunner *r;
    Suite *s;

    if (in_forks == NULL || strcmp(in_forks, "no") != 0)
        tmpdir_guard(NULL);
    s = suite_create(program_invocation_short_name);
    r = srunner_create(s);
    for (const struct check_case *c = cases; c != NULL; c = c->next)
        n += case_put(s, c, word);
    if (n > 0)
        srunner_run_all(r, CK_ENV);
    else
        fprintf(stderr, word != NULL ? "no test here has %s in its name\n" : "there is no test here\n", word);
    failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed != 0 || n == 0;
}
