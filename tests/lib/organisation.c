#include "tests/lib/organisation.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/prng.h"
#include "store/apply/fsm.h"
#include "store/model/identity.h"
#include "store/model/permset.h"

enum { JSON_BYTES_MAX = 16 << 20 };

struct load {
    struct rg_txn *txn;
    struct rg_prng prng;
    struct rg_buf cmd;
    uint64_t index, term;
};

json_t *organisation_read(void)
{
    const char *shared = getenv("REGENT_SHARED");
    char path[4096], *text;
    json_t *root;
    gzFile file;
    int n;

    if (shared != NULL)
        snprintf(path, sizeof path, "%s/data/kubernetes-org.json.gz", shared);
    else
        snprintf(path, sizeof path, "%s/../shared/data/kubernetes-org.json.gz", SOURCE_ROOT);
    file = gzopen(path, "rb");
    if (file == NULL) {
        printf("SKIPPED: the Kubernetes organisation: no %s\n", path);
        return NULL;
    }
    text = malloc(JSON_BYTES_MAX);
    RG_ASSERT(text != NULL);
    n = gzread(file, text, JSON_BYTES_MAX);
    RG_ASSERT(n > 0 && n < JSON_BYTES_MAX);
    gzclose(file);
    root = json_loadb(text, (size_t)n, 0, NULL);
    RG_ASSERT(root != NULL);
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

    RG_ASSERT(l->cmd.err == RG_OK);
    err = rg_fsm_apply(l->txn, ++l->index, l->term, rg_buf_span(&l->cmd), &reply);
    RG_ASSERT(err == RG_OK);
    if (reply.err != RG_OK)
        fprintf(stderr, "entry %llu refused: %s, why %d\n", (unsigned long long)l->index, rg_err_symbol(reply.err),
                reply.why);
    RG_ASSERT(reply.err == RG_OK);
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
            RG_ASSERT(err == RG_OK);
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

        RG_ASSERT(err == RG_OK);
        err = rg_permset_by_name(l->txn, span_of(item, "permissionSet"), &permset);
        RG_ASSERT(err == RG_OK);
        begin(l, RG_CMD_ASSIGNMENT_CREATE);
        put_text(&l->cmd, RG_F_ACCOUNT_ID, item, "account");
        rg_tlv_put(&l->cmd, RG_F_PERMSET_ID, rg_span(permset.b, sizeof permset.b));
        rg_tlv_put_str(&l->cmd, RG_F_PRINCIPAL_TYPE, group ? "G" : "U");
        put_id(&l->cmd, RG_F_PRINCIPAL_ID, &principal);
        put_id(&l->cmd, RG_F_REQUEST_ID, &request);
        apply(l);
    }
}

uint64_t organisation_load(struct rg_store *store, const json_t *root, uint64_t index, uint64_t term)
{
    struct load l = {.index = index, .term = term};
    enum rg_err err = rg_txn_begin(store, RG_TXN_WRITE, &l.txn);

    RG_ASSERT(err == RG_OK);
    rg_prng_init(&l.prng, 1);
    rg_buf_init(&l.cmd, RG_CMD_BYTES_MAX);
    load_users(&l, root);
    load_groups(&l, root);
    load_sets_and_accounts(&l, root);
    load_assignments(&l, root);
    rg_buf_deinit(&l.cmd);
    err = rg_txn_commit(l.txn);
    RG_ASSERT(err == RG_OK);
    return l.index;
}
