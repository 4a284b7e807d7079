/* tests/lib/api_doubles.h: the API of api_rig.h with operations in place of AWS's, which do what a test wants a call to do: Echo, Read,
 * Write, Again (met another write), Duplicate, Huge, Fault, Errors (fails with the "err" of its body). */
#ifndef REGENT_TESTS_LIB_API_DOUBLES_H
#define REGENT_TESTS_LIB_API_DOUBLES_H

#include "tests/lib/api_rig.h"

void open_world(void); /* af_open */
void open_bare(void);  /* af_open_bare */
/* Ask one of them as an administrator; more: header lines. */
void aws(struct answer *a, const char *target, const char *more, const char *body);

#define ASSERT_CODE(a, want_status, want_code)                                                                         \
    do {                                                                                                               \
        ck_assert_msg((a)->status == (want_status), "%d %s", (a)->status, (char *)(a)->body.data);                     \
        ck_assert_str_eq(text_at((a)->json, "code"), want_code);                                                       \
        ck_assert_uint_eq(strlen(text_at((a)->json, "requestId")), 36);                                                \
    } while (0)

#define ALICE "75310000-0000-0000-0000-000000000000"
#define BODY(user, account, set) "{\"user\":\"" user "\",\"account\":\"" account "\",\"permissionSet\":\"" set "\"}"

#endif
