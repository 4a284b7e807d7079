/* tests/lib/aws_rig.h: the AWS operations as a client meets them: the API of api_rig.h with an instance and nothing in it, asked by
 * `AKIATEST`, and its answers taken apart. There is one, as there is of api_rig.h. */
#ifndef REGENT_TESTS_LIB_AWS_RIG_H
#define REGENT_TESTS_LIB_AWS_RIG_H

#include "tests/lib/api_rig.h"

#define AWS_INSTANCE API_ARN
#define AWS_STORE API_STORE
#define AWS_NO_ID "01234567-89ab-4cde-8f01-23456789abcd"
#define AWS_NO_PERMSET "arn:aws:sso:::permissionSet/ssoins-0123456789abcdef/ps-ffffffffffffffff"

struct aws {
    bool may_write; /* else a credential that may read asks */
    /* the last answer */
    int status;
    enum rg_err err; /* what clients can tell apart: the first of the table with this type and status */
    char message[2048], reason[64], type[64], id[64];
    json_t *body;       /* own; NULL of a refusal */
    struct rg_buf text; /* own; body as it was sent, then a zero */
};

/* ---- asking ---- */

void aws_open(struct aws *aws);
void aws_close(struct aws *aws); /* the store must be sound, and no transaction open */
/* Commands that were proposed since it was opened. */
uint64_t aws_proposals(void);

/* The service of an operation. */
const char *aws_target(const char *operation, char out[128]);

/* Ask with a parsed body (consume). */
enum rg_err aws_ask_json(struct aws *aws, const char *operation, json_t *input);

/* Ask with a body as text, where ' stands for ". IdentityStoreId and InstanceArn are put in unless the text has them. */
enum rg_err RG_PRINTF(3, 4) aws_ask(struct aws *aws, const char *operation, const char *fmt, ...);

/* Whether an answer of `err` is what `want` would be answered as. */
bool aws_is(enum rg_err err, enum rg_err want);

/* It must go well. */
#define aws_must(aws, operation, ...)                                                                                  \
    do {                                                                                                               \
        enum rg_err must_err = aws_ask(aws, operation, __VA_ARGS__);                                                   \
        ck_assert_msg(must_err == RG_OK, "%s: %s: %s", operation, rg_err_symbol(must_err), (aws)->message);            \
    } while (0)
/* It must be refused so, with a message that holds this. */
#define aws_refused(aws, want, says, operation, ...)                                                                   \
    do {                                                                                                               \
        enum rg_err refused_err = aws_ask(aws, operation, __VA_ARGS__);                                                \
        ck_assert_msg(aws_is(refused_err, want), "%s: %s, not %s: %s", operation, rg_err_symbol(refused_err),          \
                      rg_err_symbol(want), (aws)->message);                                                            \
        ck_assert_msg(strstr((aws)->message, says) != NULL, "%s: %s", operation, (aws)->message);                      \
    } while (0)

/* A member of the answer by its path, "PermissionSet.Name", "Users.0.UserId"; NULL: absent. */
const json_t *aws_at(const struct aws *aws, const char *path);
const char *aws_text(const struct aws *aws, const char *path); /* "": absent */

#endif
