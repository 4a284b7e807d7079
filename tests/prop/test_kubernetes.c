/* A real organisation through commands: the Kubernetes project's, whose effective access was computed without any
 * product. Skips without its data (tests/lib/organisation.h). */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>

#include "crypto/digest.h"
#include "store/authz/access.h"
#include "store/apply/fsm.h"
#include "tests/lib/organisation.h"
#include "tests/lib/tmpdir.h"

enum { JSON_BYTES_MAX = 16 << 20, GRANTS_MAX = 10000, SKIP = 77 };

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                                 \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static struct rg_span span_of(const json_t *object, const char *member) { return rg_span_str(text_of(object, member)); }

/* --- the facts --- */

static int compare_lines(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

/* Every grant as its line; each of them is also what the check says. */
static size_t lines_of(struct rg_txn *txn, const struct rg_user *user, char **lines, size_t n)
{
    struct rg_grant *grants;
    size_t n_grants;
    enum rg_err err = rg_access_of(txn, &user->id, GRANTS_MAX, &grants, &n_grants);

    MUST(err == RG_OK);
    for (size_t i = 0; i < n_grants; i++) {
        struct rg_permset permset;
        struct rg_verdict verdict;
        int length;

        err = rg_permset_get(txn, &grants[i].permset_id, &permset);
        MUST(err == RG_OK && n < GRANTS_MAX);
        length = asprintf(&lines[n++], "%.*s\t%s\t%.*s\n", RG_SPAN_ARG(user->name), grants[i].account_id,
                          RG_SPAN_ARG(permset.name));
        MUST(length > 0);
        err = rg_access_check(txn, &user->id, rg_span_str(grants[i].account_id), &permset.id, &verdict);
        MUST(err == RG_OK && verdict.allowed && verdict.n_via > 0);
    }
    free(grants);
    return n;
}

static void check_facts(struct rg_txn *txn, const json_t *facts)
{
    static char *lines[GRANTS_MAX];
    uint8_t digest[RG_SHA256_BYTES];
    char hex[2 * RG_SHA256_BYTES + 1];
    RG_AUTO_BUF struct rg_buf text = {.max = 0};
    struct rg_counts counts;
    struct rg_scan scan;
    struct rg_user user;
    size_t n = 0;
    enum rg_err err = rg_user_list(txn, NULL, &scan);

    MUST(err == RG_OK);
    while ((err = rg_user_list_next(&scan, &user)) == RG_OK)
        n = lines_of(txn, &user, lines, n);
    MUST(err == RG_ENOTFOUND);
    MUST((json_int_t)n == json_integer_value(json_object_get(facts, "effectiveAccess")));
    qsort(lines, n, sizeof lines[0], compare_lines);
    rg_buf_init(&text, JSON_BYTES_MAX);
    for (size_t i = 0; i < n; i++) {
        rg_buf_put_str(&text, lines[i]);
        free(lines[i]);
    }
    rg_sha256(rg_buf_span(&text), digest);
    rg_hex(hex, digest, sizeof digest);
    MUST(strcmp(hex, text_of(facts, "effectiveAccessSha256")) == 0);
    rg_txn_counts(txn, &counts);
    MUST((json_int_t)counts.users == json_integer_value(json_object_get(facts, "users")));
    MUST((json_int_t)counts.groups == json_integer_value(json_object_get(facts, "groups")));
    MUST((json_int_t)counts.memberships == json_integer_value(json_object_get(facts, "memberships")));
    MUST((json_int_t)counts.assignments == json_integer_value(json_object_get(facts, "assignments")));
    MUST((json_int_t)counts.accounts == json_integer_value(json_object_get(facts, "accounts")));
    printf("kubernetes: %zu lines of effective access, SHA-256 %s\n", n, hex);
}

/* From the other end: who can, summed over every account and set, is the same number; asked one by one it is again. */
static void check_other_ways(struct rg_txn *txn, const json_t *root)
{
    const json_t *account, *set, *user;
    size_t i, k, u, total = 0, allowed = 0;
    enum rg_err err;

    json_array_foreach(json_object_get(root, "accounts"), i, account)
    {
        json_array_foreach(json_object_get(root, "permissionSets"), k, set)
        {
            struct rg_psid permset;
            struct rg_uuid *users;
            size_t n;

            err = rg_permset_by_name(txn, span_of(set, "name"), &permset);
            MUST(err == RG_OK);
            err = rg_access_who(txn, span_of(account, "id"), &permset, GRANTS_MAX, &users, &n);
            MUST(err == RG_OK);
            total += n;
            free(users);
            if (i % 16 != 0)
                continue;
            allowed += n; /* every sixteenth account: all of its users, yes or no */
            json_array_foreach(json_object_get(root, "users"), u, user)
            {
                struct rg_verdict verdict;
                struct rg_uuid id;

                err = rg_user_by_name(txn, span_of(user, "userName"), &id);
                MUST(err == RG_OK);
                err = rg_access_check(txn, &id, span_of(account, "id"), &permset, &verdict);
                MUST(err == RG_OK);
                allowed -= verdict.allowed;
            }
        }
    }
    MUST((json_int_t)total == json_integer_value(json_object_get(json_object_get(root, "facts"), "effectiveAccess")));
    MUST(allowed == 0);
}

/* Entry 1: an instance. */
static uint64_t found(struct rg_store *store)
{
    RG_AUTO_BUF struct rg_buf cmd = {.max = 0};
    struct rg_reply reply;
    struct rg_txn *txn;
    enum rg_err err = rg_txn_begin(store, RG_TXN_WRITE, &txn);

    MUST(err == RG_OK);
    rg_buf_init(&cmd, RG_CMD_BYTES_MAX);
    rg_cmd_begin(&cmd, RG_CMD_INSTANCE_INIT, 1787000000000, rg_span_str("test"));
    rg_tlv_put_str(&cmd, RG_F_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0123456789abcdef");
    rg_tlv_put_str(&cmd, RG_F_IDENTITY_STORE_ID, "d-0123456789");
    err = rg_fsm_apply(txn, 1, 1, rg_buf_span(&cmd), &reply);
    MUST(err == RG_OK && reply.err == RG_OK);
    err = rg_txn_commit(txn);
    MUST(err == RG_OK);
    return 1;
}

int main(void)
{
    char dir[TMPDIR_BYTES];
    struct rg_errctx ctx = {{0}};
    struct rg_store *store;
    struct rg_txn *txn;
    json_t *root;
    enum rg_err err;

    tmpdir_guard(NULL);
    root = organisation_read();
    if (root == NULL)
        return SKIP;
    tmpdir_make(dir);
    err = rg_store_open(dir, (size_t)256 << 20, 8, &store, &ctx);
    if (err)
        fprintf(stderr, "%s\n", rg_errctx_text(&ctx, err));
    MUST(err == RG_OK);
    organisation_load(store, root, found(store), 1);
    err = rg_txn_begin(store, RG_TXN_READ, &txn);
    MUST(err == RG_OK);
    check_facts(txn, json_object_get(root, "facts"));
    check_other_ways(txn, root);
    rg_txn_free(txn);
    rg_store_free(store);
    MUST(rmdir(dir) == 0);
    json_decref(root);
    return 0;
}
