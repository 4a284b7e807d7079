/* A real organisation through commands: the Kubernetes project's, whose effective access was computed without any
 * product. Reads data/kubernetes-org.json.gz of $REGENT_SHARED, or of a folder `shared` beside the source tree; skips
 * without it. */
#include <jansson.h>
#include <stdio.h>
#include <unistd.h>
#include <zlib.h>

#include "base/prng.h"
#include "crypto/digest.h"
#include "store/authz/access.h"
#include "store/apply/fsm.h"
#include "tests/lib/tmpdir.h"

enum { JSON_BYTES_MAX = 16 << 20, GRANTS_MAX = 10000, SKIP = 77 };

#define MUST(cond)                                                                                                     \
    do {                                                                                                               \
        if (!(cond)) {                                                                                                 \
            fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond);                                                 \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

struct load {
    struct rg_txn *txn;
    struct rg_prng prng;
    struct rg_buf cmd;
    uint64_t index;
};

static json_t *read_data(const char *path)
{
    char *text = malloc(JSON_BYTES_MAX);
    gzFile file = gzopen(path, "rb");
    json_t *root;
    int n;

    MUST(text != NULL && file != NULL);
    n = gzread(file, text, JSON_BYTES_MAX);
    MUST(n > 0 && n < JSON_BYTES_MAX);
    gzclose(file);
    root = json_loadb(text, (size_t)n, 0, NULL);
    MUST(root != NULL);
    free(text);
    return root;
}

static const char *text_of(const json_t *object, const char *member)
{
    return json_string_value(json_object_get(object, member));
}

static struct rg_span span_of(const json_t *object, const char *member) { return rg_span_str(text_of(object, member)); }

static void put_text(struct rg_buf *cmd, uint32_t field, const json_t *object, const char *member)
{
    const char *text = text_of(object, member);

    if (text != NULL)
        rg_tlv_put_str(cmd, field, text);
}

static struct rg_uuid mint(struct load *l)
{
    uint8_t random[16];
    struct rg_uuid id;

    rg_prng_bytes(&l->prng, random, sizeof random);
    rg_uuid_v4(&id, random);
    return id;
}

static void put_id(struct rg_buf *cmd, uint32_t field, const struct rg_uuid *id)
{
    rg_tlv_put(cmd, field, rg_span(id->b, sizeof id->b));
}

static void begin(struct load *l, enum rg_cmd_kind kind)
{
    rg_cmd_begin(&l->cmd, kind, 1787000000000, rg_span_str("test"));
}

static void apply(struct load *l)
{
    struct rg_reply reply;
    enum rg_err err;

    MUST(l->cmd.err == RG_OK);
    err = rg_fsm_apply(l->txn, ++l->index, 1, rg_buf_span(&l->cmd), &reply);
    MUST(err == RG_OK);
    if (reply.err != RG_OK)
        fprintf(stderr, "entry %llu refused: %s, why %d\n", (unsigned long long)l->index, rg_err_symbol(reply.err),
                reply.why);
    MUST(reply.err == RG_OK);
}

static void load_users(struct load *l, const json_t *root)
{
    const json_t *user;
    size_t i;

    json_array_foreach(json_object_get(root, "users"), i, user)
    {
        struct rg_uuid id = mint(l);

        begin(l, RG_CMD_USER_CREATE);
        put_id(&l->cmd, RG_F_ID, &id);
        put_text(&l->cmd, RG_F_NAME, user, "userName");
        put_text(&l->cmd, RG_F_DISPLAY_NAME, user, "displayName");
        apply(l);
    }
}

static void load_groups(struct load *l, const json_t *root)
{
    const json_t *group, *member;
    size_t i, k;

    json_array_foreach(json_object_get(root, "groups"), i, group)
    {
        struct rg_uuid id = mint(l), user, membership;
        enum rg_err err;

        begin(l, RG_CMD_GROUP_CREATE);
        put_id(&l->cmd, RG_F_ID, &id);
        put_text(&l->cmd, RG_F_NAME, group, "displayName");
        put_text(&l->cmd, RG_F_DESCRIPTION, group, "description");
        apply(l);
        json_array_foreach(json_object_get(group, "members"), k, member)
        {
            err = rg_user_by_name(l->txn, rg_span_str(json_string_value(member)), &user);
            MUST(err == RG_OK);
            membership = mint(l);
            begin(l, RG_CMD_MEMBERSHIP_CREATE);
            put_id(&l->cmd, RG_F_MEMBERSHIP_ID, &membership);
            put_id(&l->cmd, RG_F_GROUP_ID, &id);
            put_id(&l->cmd, RG_F_USER_ID, &user);
            apply(l);
        }
    }
}

static void load_sets_and_accounts(struct load *l, const json_t *root)
{
    const json_t *item, *policy;
    size_t i, k;

    json_array_foreach(json_object_get(root, "permissionSets"), i, item)
    {
        uint8_t id[8];

        rg_prng_bytes(&l->prng, id, sizeof id);
        begin(l, RG_CMD_PERMSET_CREATE);
        rg_tlv_put(&l->cmd, RG_F_ID, rg_span(id, sizeof id));
        put_text(&l->cmd, RG_F_NAME, item, "name");
        put_text(&l->cmd, RG_F_DESCRIPTION, item, "description");
        put_text(&l->cmd, RG_F_SESSION_DURATION, item, "sessionDuration");
        put_text(&l->cmd, RG_F_INLINE_POLICY, item, "inlinePolicy");
        json_array_foreach(json_object_get(item, "managedPolicies"), k, policy)
            rg_tlv_put_str(&l->cmd, RG_F_MANAGED_POLICY, json_string_value(policy));
        apply(l);
    }
    json_array_foreach(json_object_get(root, "accounts"), i, item)
    {
        begin(l, RG_CMD_ACCOUNT_PUT);
        put_text(&l->cmd, RG_F_ACCOUNT_ID, item, "id");
        put_text(&l->cmd, RG_F_NAME, item, "name");
        put_text(&l->cmd, RG_F_DESCRIPTION, item, "description");
        apply(l);
    }
}

static void load_assignments(struct load *l, const json_t *root)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(root, "assignments"), i, item)
    {
        bool group = strcmp(text_of(item, "principalType"), "GROUP") == 0;
        struct rg_uuid principal, request = mint(l);
        struct rg_psid permset;
        enum rg_err err = group ? rg_group_by_name(l->txn, span_of(item, "principal"), &principal)
                                : rg_user_by_name(l->txn, span_of(item, "principal"), &principal);

        MUST(err == RG_OK);
        err = rg_permset_by_name(l->txn, span_of(item, "permissionSet"), &permset);
        MUST(err == RG_OK);
        begin(l, RG_CMD_ASSIGNMENT_CREATE);
        put_text(&l->cmd, RG_F_ACCOUNT_ID, item, "account");
        rg_tlv_put(&l->cmd, RG_F_PERMSET_ID, rg_span(permset.b, sizeof permset.b));
        rg_tlv_put_str(&l->cmd, RG_F_PRINCIPAL_TYPE, group ? "G" : "U");
        put_id(&l->cmd, RG_F_PRINCIPAL_ID, &principal);
        put_id(&l->cmd, RG_F_REQUEST_ID, &request);
        apply(l);
    }
}

static void load(struct rg_store *store, const json_t *root)
{
    struct load l = {.index = 0};
    enum rg_err err = rg_txn_begin(store, RG_TXN_WRITE, &l.txn);

    MUST(err == RG_OK);
    rg_prng_init(&l.prng, 1);
    rg_buf_init(&l.cmd, RG_CMD_BYTES_MAX);
    begin(&l, RG_CMD_INSTANCE_INIT);
    rg_tlv_put_str(&l.cmd, RG_F_INSTANCE_ARN, "arn:aws:sso:::instance/ssoins-0123456789abcdef");
    rg_tlv_put_str(&l.cmd, RG_F_IDENTITY_STORE_ID, "d-0123456789");
    apply(&l);
    load_users(&l, root);
    load_groups(&l, root);
    load_sets_and_accounts(&l, root);
    load_assignments(&l, root);
    rg_buf_deinit(&l.cmd);
    err = rg_txn_commit(l.txn);
    MUST(err == RG_OK);
}

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

static bool find_data(char *path, size_t size)
{
    const char *shared = getenv("REGENT_SHARED");

    if (shared != NULL)
        snprintf(path, size, "%s/data/kubernetes-org.json.gz", shared);
    else
        snprintf(path, size, "%s/../shared/data/kubernetes-org.json.gz", SOURCE_ROOT);
    return access(path, R_OK) == 0;
}

int main(void)
{
    char dir[TMPDIR_BYTES], path[4096];
    struct rg_errctx ctx = {{0}};
    struct rg_store *store;
    struct rg_txn *txn;
    json_t *root;
    enum rg_err err;

    tmpdir_guard(NULL);
    if (!find_data(path, sizeof path)) {
        printf("SKIPPED: the Kubernetes organisation: no %s\n", path);
        return SKIP;
    }
    root = read_data(path);
    tmpdir_make(dir);
    err = rg_store_open(dir, (size_t)256 << 20, 8, &store, &ctx);
    if (err)
        fprintf(stderr, "%s\n", rg_errctx_text(&ctx, err));
    MUST(err == RG_OK);
    load(store, root);
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
