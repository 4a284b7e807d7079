/* store/command: what decodes, what does not, and folding. */

#include "store/db/command.h"
#include "tests/lib/check_main.h"

static struct rg_span at(struct rg_buf *buf, const char *bytes, size_t n)
{
    rg_buf_clear(buf);
    rg_buf_put(buf, bytes, n);
    return rg_buf_span(buf);
}

TEST(built_and_read_back)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    struct rg_span name;
    struct rg_cmd cmd;

    rg_buf_init(&buf, 1000);
    rg_buf_put_str(&buf, "left over");
    rg_cmd_begin(&buf, RG_CMD_USER_CREATE, 1700000000123, rg_span_str("AKIA1"));
    rg_tlv_put_str(&buf, RG_F_NAME, "alice");
    rg_tlv_put_u64(&buf, RG_F_IF_VERSION, 77);
    ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&buf), &cmd), RG_OK);
    ck_assert_int_eq(cmd.kind, RG_CMD_USER_CREATE);
    ck_assert_int_eq(cmd.at_ms, 1700000000123);
    ck_assert(rg_span_is(cmd.by, "AKIA1"));
    ck_assert_uint_eq(cmd.if_version, 77);
    ck_assert(rg_span_eq(cmd.bytes, rg_buf_span(&buf)));
    ck_assert(rg_tlv_get(cmd.bytes, RG_F_NAME, &name));
    ck_assert(rg_span_is(name, "alice"));

    rg_cmd_begin(&buf, RG_CMD_NOOP, 0, rg_span(NULL, 0));
    ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&buf), &cmd), RG_OK);
    ck_assert_uint_eq(cmd.by.n, 0);
    ck_assert_uint_eq(cmd.if_version, 0);
}

/* kind 1 is 01 01 01; time 5 is 02 01 05 */
static const struct {
    const char *name, *bytes;
    size_t n;
    enum rg_err want;
} forms[] = {
    {"kind and time", "\1\1\1\2\1\5", 6, RG_OK},
    {"time first", "\2\1\5\1\1\1", 6, RG_OK},
    {"a kind nobody knows", "\1\2\xe7\7\2\1\5", 7, RG_OK},
    {"an unknown field", "\1\1\1\2\1\5\xe7\7\3abc", 12, RG_OK},
    {"kind twice: the first counts", "\1\1\1\2\1\5\1\0", 8, RG_OK},
    {"author twice: the first counts", "\1\1\1\2\1\5\3\1a\3\1b", 12, RG_OK},
    {"nothing", "", 0, RG_EMALFORMED},
    {"no time", "\1\1\1", 3, RG_EMALFORMED},
    {"no kind", "\2\1\5", 3, RG_EMALFORMED},
    {"kind 0", "\1\1\0\2\1\5", 6, RG_EMALFORMED},
    {"a kind past 31 bits", "\1\5\x80\x80\x80\x80\x08\2\1\5", 10, RG_EMALFORMED},
    {"an empty kind", "\1\0\2\1\5", 5, RG_EMALFORMED},
    {"a kind of two numbers", "\1\2\1\1\2\1\5", 7, RG_EMALFORMED},
    {"a time that does not end", "\1\1\1\2\1\x85", 6, RG_EMALFORMED},
    {"an empty version", "\1\1\1\2\1\5\5\0", 8, RG_EMALFORMED},
    {"a length past the end", "\1\1\1\2\1\5\41\5abc", 11, RG_EMALFORMED},
    {"half a field", "\1\1\1\2\1\5\41", 7, RG_EMALFORMED},
    {"field 0", "\1\1\1\2\1\5\0\0", 8, RG_EMALFORMED},
};

LOOP(form, RG_LEN(forms))
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    struct rg_cmd cmd;
    enum rg_err err;

    rg_buf_init(&buf, 100);
    err = rg_cmd_decode(at(&buf, forms[_i].bytes, forms[_i].n), &cmd);
    ck_assert_msg(err == forms[_i].want, "%s: %s", forms[_i].name, rg_err_symbol(err));
    if (err == RG_OK && cmd.by.n > 0)
        ck_assert(rg_span_is(cmd.by, "a"));
}

TEST(size_has_a_limit)
{
    static uint8_t filler[RG_CMD_BYTES_MAX];
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};
    struct rg_cmd cmd;

    for (size_t over = 0; over < 2; over++) {
        rg_buf_init(&buf, 2 * RG_CMD_BYTES_MAX);
        rg_cmd_begin(&buf, RG_CMD_NOOP, 1, rg_span(NULL, 0));
        /* a number of one byte (33) and a length of three */
        rg_tlv_put(&buf, RG_F_NAME, rg_span(filler, RG_CMD_BYTES_MAX - buf.len - 4 + over));
        ck_assert_uint_eq(buf.len, RG_CMD_BYTES_MAX + over);
        ck_assert_int_eq(rg_cmd_decode(rg_buf_span(&buf), &cmd), over ? RG_EMALFORMED : RG_OK);
        rg_buf_deinit(&buf);
    }
}

/* What is on disk and in the logs of clusters: these numbers never change and are never used for another meaning. A new kind
 * or field gets a row here. Flags: c client, i intent, a automatic, m/M mints an id/a membership's, r request once, s settings,
 * u without an instance. */
static const struct {
    unsigned number;
    const char *name, *flags;
} kinds[] = {
    {1, "NOOP", "u"}, {2, "INSTANCE_INIT", "su"}, {3, "REGION_PUT", "s"},
    {4, "CREDENTIAL_PUT", "cR"}, {5, "CREDENTIAL_DELETE", "cia"}, {10, "USER_CREATE", "cimA"},
    {11, "USER_REPLACE", "ciR"}, {12, "USER_DELETE", "ci"}, {20, "GROUP_CREATE", "cimA"},
    {21, "GROUP_REPLACE", "ciR"}, {22, "GROUP_DELETE", "ci"}, {30, "MEMBERSHIP_CREATE", "ciMA"},
    {31, "MEMBERSHIP_DELETE", "cia"}, {40, "PERMSET_CREATE", "cimA"}, {41, "PERMSET_REPLACE", "ciR"},
    {42, "PERMSET_DELETE", "ci"}, {50, "ACCOUNT_PUT", "ciR"}, {51, "ACCOUNT_DELETE", "ci"},
    {60, "ASSIGNMENT_CREATE", "cirA"}, {61, "ASSIGNMENT_DELETE", "ciar"}, {70, "NODE_PUT", "s"},
    {71, "NODE_JOIN", "s"}, {72, "TOKEN_PUT", ""}, {73, "SECRET_PUT", ""},
    {74, "SETTING_PUT", "s"}, {75, "EPOCH_NOTE", "s"}, {76, "TRUST_BEGIN", ""},
    {77, "OPERATOR_PUT", ""}, {78, "OPERATOR_END", ""},
};
static const struct {
    unsigned number;
    const char *name, *json;
} fields[] = {
    {1, "KIND", NULL}, {2, "AT_MS", "at"}, {3, "BY", "by"},
    {4, "REQUEST_ID", "requestId"}, {5, "IF_VERSION", "ifVersion"}, {16, "VERSION", "version"},
    {17, "CREATED_MS", "createdAt"}, {18, "CREATED_BY", "createdBy"}, {19, "UPDATED_MS", "updatedAt"},
    {20, "UPDATED_BY", "updatedBy"}, {32, "ID", "id"}, {33, "NAME", "name"},
    {34, "DISPLAY_NAME", "displayName"}, {35, "DESCRIPTION", "description"}, {36, "STATUS", "status"},
    {37, "EMAIL", "email"}, {38, "EXTERNAL_ID", "externalIds"}, {39, "ATTRS", "attributes"},
    {40, "GROUP_ID", "groupId"}, {41, "USER_ID", "userId"}, {42, "MEMBERSHIP_ID", "membershipId"},
    {43, "ACCOUNT_ID", "accountId"}, {44, "PERMSET_ID", "permissionSetId"}, {45, "PRINCIPAL_TYPE", "principalType"},
    {46, "PRINCIPAL_ID", "principalId"}, {47, "SESSION_DURATION", "sessionDuration"}, {48, "RELAY_STATE", "relayState"},
    {49, "MANAGED_POLICY", "managedPolicies"}, {50, "INLINE_POLICY", "inlinePolicy"}, {51, "TAG", "tags"},
    {52, "REASON", "reason"}, {53, "BOUNDARY", "permissionsBoundary"}, {54, "CUSTOMER_POLICY", "customerPolicies"},
    {64, "INSTANCE_ARN", "instanceArn"}, {65, "IDENTITY_STORE_ID", "identityStoreId"}, {66, "OWNER_ACCOUNT_ID", "ownerAccountId"},
    {67, "KEY_ID", "keyId"}, {68, "REGION", "regions"}, {69, "PRIMARY", "primary"},
    {70, "URL", "url"}, {71, "ACCESS_KEY_ID", "accessKeyId"}, {72, "SECRET_SEALED", "secretSealed"},
    {73, "TOKEN_SHA256", "tokenSha256"}, {74, "CREDENTIAL", "credentials"}, {75, "ROLE", "role"},
    {76, "NODE_ID", "nodeId"}, {77, "LINK", "link"}, {78, "EXPIRES_MS", "expires"},
    {79, "CERT", "certificate"}, {80, "PHASE", "phase"}, {81, "ERROR", "error"},
    {82, "OWNER", "owner"}, {83, "OLD_NODE_ID", "oldNodeId"}, {84, "REJOIN", "rejoin"},
    {85, "REGIONS", "otherRegions"}, {86, "ON_SHORTAGE", "onShortage"}, {87, "LEASE_MS", "leaseMs"},
    {88, "DEGRADED", "regionsReachable"}, {89, "EPOCH", "epoch"}, {90, "FIRST_INDEX", "firstIndex"},
    {91, "DECLARED_BY", "declaredBy"}, {92, "OLD_REGIONS", NULL}, {93, "OLD_LEASE_MS", NULL},
    {94, "SETTLED", NULL}, {95, "STATEMENT", "statement"}, {96, "PUBLIC_KEY", "publicKey"},
    {97, "ROLES", "roles"}, {98, "TRUST", "trustLevel"}, {99, "KEPT", NULL},
    {100, "ROOT_KEY", "rootKey"}, {101, "ENDING", NULL}, {102, "PIN", "identityKeySha256"},
    {110, "PREVIOUS_EPOCH", "previousEpoch"}, {111, "ACCEPT_LOSS", "acceptLoss"},
    {120, "CSR", "certificateRequest"}, {121, "ADMITTED", "admittedKeySha256"}, {122, "FROM", "from"},
    {123, "RELEASE", "release"}, {124, "HOST", "hosts"}, {125, "RETURNS", "mayReturn"}, {126, "PROVEN", "provenBy"},
};

/* The table's rows, in its order. */
static const struct {
    unsigned number;
    const char *name;
    unsigned flags;
} kind_rows[] = {
#define ROW(name, number, handler, flags) {RG_CMD_##name, #name, flags},
    RG_CMD_MAP(ROW)
#undef ROW
};
static const struct {
    unsigned number;
    const char *name, *json;
} field_rows[] = {
#define ROW(name, number, json, form) {RG_F_##name, #name, json},
    RG_FIELD_MAP(ROW)
#undef ROW
};

static unsigned flags_of(const char *letters)
{
    static const char all[] = "ciamMrsuAR";
    unsigned flags = 0;

    for (; *letters != '\0'; letters++) {
        ck_assert_ptr_nonnull(strchr(all, *letters));
        flags |= 1u << (strchr(all, *letters) - all);
    }
    return flags;
}

TEST(kinds_are_what_they_ever_were)
{
    unsigned named = 0;

    ck_assert_uint_eq(RG_LEN(kind_rows), RG_LEN(kinds));
    for (size_t i = 0; i < RG_LEN(kinds); i++) {
        ck_assert_uint_eq(kind_rows[i].number, kinds[i].number);
        ck_assert_str_eq(kind_rows[i].name, kinds[i].name);
        ck_assert_str_eq(rg_cmd_kind_name((enum rg_cmd_kind)kinds[i].number), kinds[i].name);
        ck_assert_msg(rg_cmd_kind_flags(kinds[i].number) == flags_of(kinds[i].flags), "flags of %s", kinds[i].name);
    }
    for (unsigned kind = 0; kind < 4096; kind++) {
        bool known = strcmp(rg_cmd_kind_name((enum rg_cmd_kind)kind), "?") != 0;

        named += known;
        ck_assert(known || rg_cmd_kind_flags(kind) == 0);
    }
    ck_assert_uint_eq(named, RG_LEN(kinds));
    /* bytes may say any number: no other kind by its lower half */
    ck_assert_uint_eq(rg_cmd_kind_flags(((uint64_t)1 << 32) + RG_CMD_SETTING_PUT), 0);
    ck_assert_uint_eq(rg_cmd_kind_flags(UINT64_MAX), 0);
}

TEST(flags_agree_with_each_other)
{
    for (size_t i = 0; i < RG_LEN(kind_rows); i++) {
        const char *name = kind_rows[i].name;
        unsigned f = kind_rows[i].flags;
        const unsigned minted = RG_CMDF_MINTS_ID | RG_CMDF_MINTS_MEMBERSHIP_ID;

        ck_assert_msg(!(f & RG_CMDF_INTENT) || (f & RG_CMDF_CLIENT), "%s: an intent that no client writes", name);
        ck_assert_msg(!(f & RG_CMDF_AUTOMATIC) || (f & RG_CMDF_INTENT), "%s: automatic, but no intent", name);
        ck_assert_msg(!(f & RG_CMDF_AUTOMATIC) || !(f & minted), "%s: takes access away, yet makes an object", name);
        ck_assert_msg(!(f & RG_CMDF_AUTOMATIC) || !(f & (RG_CMDF_ADDS | RG_CMDF_REWRITES)), "%s: takes access away, and is refused when full", name);
        ck_assert_msg(!(f & minted) || (f & RG_CMDF_ADDS), "%s: makes an object, yet adds nothing", name);
        ck_assert_msg(!(f & (RG_CMDF_ADDS | RG_CMDF_REWRITES)) || (f & RG_CMDF_CLIENT), "%s: the cluster's own is never refused", name);
        ck_assert_msg(!(f & minted) || (f & RG_CMDF_INTENT), "%s: mints an id that nobody compares", name);
        ck_assert_msg((f & minted) != minted, "%s: mints two ids", name);
        ck_assert_msg(!(f & RG_CMDF_REQUEST_ONCE) || (f & RG_CMDF_INTENT), "%s: a request that is never presented", name);
        ck_assert_msg(!(f & RG_CMDF_TOUCHES_SETTINGS) || !(f & RG_CMDF_CLIENT), "%s: the cluster's own, of clients", name);
        ck_assert_msg(!(f & RG_CMDF_UNINIT) || !(f & RG_CMDF_CLIENT), "%s: a client's, before there is an instance", name);
        for (size_t k = 0; k < i; k++)
            ck_assert_msg(kind_rows[k].number < kind_rows[i].number, "%s: out of order, or a number twice", name);
    }
}

TEST(fields_are_what_they_ever_were)
{
    ck_assert_uint_eq(RG_LEN(field_rows), RG_LEN(fields));
    for (size_t i = 0; i < RG_LEN(fields); i++) {
        ck_assert_uint_eq(field_rows[i].number, fields[i].number);
        ck_assert_str_eq(field_rows[i].name, fields[i].name);
        if (fields[i].json == NULL)
            ck_assert_ptr_null(field_rows[i].json);
        else
            ck_assert_str_eq(field_rows[i].json, fields[i].json);
        for (size_t k = 0; k < i; k++) {
            ck_assert_uint_lt(fields[k].number, fields[i].number);
            ck_assert(fields[k].json == NULL || fields[i].json == NULL || strcmp(fields[k].json, fields[i].json) != 0);
        }
    }
}

TEST(folding_is_of_ascii_letters_alone)
{
    RG_AUTO_BUF struct rg_buf buf = {.max = 0};

    rg_buf_init(&buf, 40);
    rg_buf_put_str(&buf, "X");
    rg_fold(rg_span_str("AZaz09@[`{\xc3\x84"), &buf);
    ck_assert(rg_span_is(rg_buf_span(&buf), "Xazaz09@[`{\xc3\x84"));
    rg_fold(rg_span(NULL, 0), &buf);
    ck_assert_int_eq(buf.err, RG_OK);
    rg_fold(rg_span_str("0123456789012345678901234567890123456789"), &buf);
    ck_assert_int_eq(buf.err, RG_ETOOBIG);
}
