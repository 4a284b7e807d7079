/* sso-admin's operations: instance and regions, permission sets and what is in them, assignments, provisioning. */
#include "tests/lib/aws_rig.h"
#include "net/ops/region_ops.h"
#include "tests/lib/check_main.h"

static struct aws aws;

static void setup(void) { aws_open(&aws); }
static void teardown(void) { aws_close(&aws); }

#define ACCOUNT "111122223333"

static const char *set(const char *name, char arn[128])
{
    aws_must(&aws, "CreatePermissionSet", "{'Name':'%s'}", name);
    snprintf(arn, 128, "%s", aws_text(&aws, "PermissionSet.PermissionSetArn"));
    return arn;
}
static const char *principal(bool is_user, const char *name, char id[64])
{
    if (is_user)
        aws_must(&aws, "CreateUser", "{'UserName':'%s'}", name);
    else
        aws_must(&aws, "CreateGroup", "{'DisplayName':'%s'}", name);
    snprintf(id, 64, "%s", aws_text(&aws, is_user ? "UserId" : "GroupId"));
    return id;
}
#define ASSIGNMENT(account) "{'TargetId':'" account "','TargetType':'AWS_ACCOUNT','PermissionSetArn':'%s','PrincipalType':'%s','PrincipalId':'%s'}"

CASE(.setup = setup, .teardown = teardown);

TEST(test_instance)
{
    aws_must(&aws, "ListInstances", "{}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Instances")), 1);
    ck_assert_str_eq(aws_text(&aws, "Instances.0.InstanceArn"), AWS_INSTANCE);
    ck_assert_str_eq(aws_text(&aws, "Instances.0.IdentityStoreId"), AWS_STORE);
    ck_assert_str_eq(aws_text(&aws, "Instances.0.Status"), "ACTIVE");
    ck_assert_str_eq(aws_text(&aws, "Instances.0.PrimaryRegion"), "us-east-1");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Instances.0.Regions")), 2);
    aws_refused(&aws, RG_EINVALID, "NextToken", "ListInstances", "{'NextToken':'AAAA'}");

    aws_must(&aws, "DescribeInstance", "{}");
    ck_assert_str_eq(aws_text(&aws, "InstanceArn"), AWS_INSTANCE);
    ck_assert_str_eq(aws_text(&aws, "OwnerAccountId"), "999999999999");
    ck_assert_str_eq(aws_text(&aws, "Status"), "ACTIVE");
    ck_assert_str_eq(aws_text(&aws, "EncryptionConfigurationDetails.KeyType"), "CUSTOMER_MANAGED_KEY");
    ck_assert_str_eq(aws_text(&aws, "EncryptionConfigurationDetails.EncryptionStatus"), "ENABLED");
    ck_assert_str_eq(aws_text(&aws, "EncryptionConfigurationDetails.KmsKeyArn"), "arn:aws:kms:us-east-1:999999999999:key/mrk-1");
    ck_assert(json_is_number(aws_at(&aws, "CreatedDate")));
    aws_refused(&aws, RG_ENOTFOUND, "Instance not found", "DescribeInstance", "{'InstanceArn':'arn:aws:sso:::instance/ssoins-ffffffffffffffff'}");
    ck_assert_str_eq(aws.type, "");
}

/* What the daemon would find of a candidate. */
static bool candidate_ok;
static unsigned preflights;

static void fake_preflight(void *arg, struct rg_preflight *p)
{
    (void)arg;
    preflights++;
    ck_assert_uint_gt(strlen(p->region), 0);
    p->items[0] = (struct rg_preflight_item){"node", true, "node 3 is prepared", ""};
    p->items[1] = (struct rg_preflight_item){"clock", candidate_ok, "the clocks differ by 9 s", "set the clock of node 3"};
    p->items[2] = (struct rg_preflight_item){"disk", candidate_ok, "1 MiB is free", "make room"};
    p->n = 3;
    snprintf(p->url, sizeof p->url, "https://candidate:1");
    p->on_done(p);
}

static bool fake_progress(void *arg, const char *region, struct rg_region_progress *ret_progress)
{
    (void)arg;
    (void)region;
    (void)ret_progress;
    return false;
}

TEST(test_regions_change)
{
    static const struct rg_region_ops ops = {fake_preflight, fake_progress};

    aws_refused(&aws, RG_EUNREADY, "does not manage regions", "AddRegion", "{'RegionName':'ap-south-1'}");
    af.api->config.region_ops = &ops;
    aws_refused(&aws, RG_EINVALID, "[clock] the clocks differ by 9 s: set the clock of node 3. [disk] 1 MiB is free: make room.",
                "AddRegion", "{'RegionName':'ap-south-1'}");
    ck_assert_uint_eq(aws_proposals(), 0); /* nothing was changed */
    candidate_ok = true;
    aws_must(&aws, "AddRegion", "{'RegionName':'ap-south-1'}");
    ck_assert_str_eq(aws_text(&aws, "Status"), "ADDING");
    ck_assert_uint_eq(json_object_size(aws.body), 1);
    aws_must(&aws, "DescribeRegion", "{'RegionName':'ap-south-1'}");
    ck_assert_str_eq(aws_text(&aws, "Status"), "ADDING");
    ck_assert(json_is_false(aws_at(&aws, "IsPrimaryRegion")));
    ck_assert_uint_eq(preflights, 2);

    aws_refused(&aws, RG_ECONFLICT, "there already", "AddRegion", "{'RegionName':'ap-south-1'}");
    aws_refused(&aws, RG_ECONFLICT, "one region is added or removed at a time", "AddRegion", "{'RegionName':'eu-west-1'}");
    aws_refused(&aws, RG_ECONFLICT, "one at a time", "RemoveRegion", "{'RegionName':'eu-central-1'}");
    ck_assert_uint_eq(preflights, 2);
    aws_must(&aws, "RemoveRegion", "{'RegionName':'ap-south-1'}"); /* an adding is given up */
    ck_assert_str_eq(aws_text(&aws, "Status"), "REMOVING");
    aws_refused(&aws, RG_ECONFLICT, "being removed already", "RemoveRegion", "{'RegionName':'ap-south-1'}");
    af_apply(RG_CMD_REGION_PUT, "name=ap-south-1 status=REMOVED");
    aws_refused(&aws, RG_ENOTFOUND, "Region not found", "RemoveRegion", "{'RegionName':'ap-south-1'}");
    aws_refused(&aws, RG_ECONFLICT, "primary region us-east-1 cannot be removed", "RemoveRegion", "{'RegionName':'us-east-1'}");
    aws_refused(&aws, RG_EINVALID, "regionName", "AddRegion", "{'RegionName':'frankfurt'}");
    aws_refused(&aws, RG_EINVALID, "regionName", "RemoveRegion", "{}");
    af_apply(RG_CMD_SETTING_PUT, "name=durability regions=1 shortage=refuse");
    aws_refused(&aws, RG_ECONFLICT, "durable in, or leased from, 1 of 1 other regions", "RemoveRegion", "{'RegionName':'eu-central-1'}");
    af_apply(RG_CMD_SETTING_PUT, "name=durability regions=0 shortage=refuse");
    af.node.stale = 2;
    aws_must(&aws, "RemoveRegion", "{'RegionName':'eu-central-1'}");
    ck_assert_str_eq(aws_text(&aws, "Status"), "REMOVING");
    aws.may_write = false;
    aws_refused(&aws, RG_EDENIED, "", "AddRegion", "{'RegionName':'eu-west-1'}");
}

TEST(test_regions_have_a_limit)
{
    static const struct rg_region_ops ops = {fake_preflight, fake_progress};
    char fields[64];

    af.api->config.region_ops = &ops;
    for (unsigned i = 2; i < RG_REGIONS_MAX; i++) {
        snprintf(fields, sizeof fields, "name=dc-%u status=ACTIVE", i);
        af_apply(RG_CMD_REGION_PUT, fields);
    }
    aws_refused(&aws, RG_EQUOTA, "at most 32 regions", "AddRegion", "{'RegionName':'ap-south-1'}");
}

TEST(test_regions)
{
    char token[300];

    aws_must(&aws, "ListRegions", "{}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Regions")), 2);
    ck_assert_ptr_null(aws_at(&aws, "NextToken"));
    aws_must(&aws, "ListRegions", "{'MaxResults':1}");
    ck_assert_str_eq(aws_text(&aws, "Regions.0.RegionName"), "eu-central-1");
    ck_assert(json_is_false(aws_at(&aws, "Regions.0.IsPrimaryRegion")));
    snprintf(token, sizeof token, "%s", aws_text(&aws, "NextToken"));
    aws_must(&aws, "ListRegions", "{'MaxResults':1,'NextToken':'%s'}", token);
    ck_assert_str_eq(aws_text(&aws, "Regions.0.RegionName"), "us-east-1");
    ck_assert(json_is_true(aws_at(&aws, "Regions.0.IsPrimaryRegion")));
    ck_assert_ptr_null(aws_at(&aws, "NextToken"));
    aws_must(&aws, "DescribeRegion", "{'RegionName':'us-east-1'}");
    ck_assert_str_eq(aws_text(&aws, "Status"), "ACTIVE");
    ck_assert(json_is_number(aws_at(&aws, "AddedDate")));
    aws_refused(&aws, RG_ENOTFOUND, "Region not found", "DescribeRegion", "{'RegionName':'eu-west-9'}");
}

TEST(test_permsets)
{
    char arn[128];

    aws_must(&aws, "CreatePermissionSet",
             "{'Name':'Admin','Description':'all \xc3\xa9','SessionDuration':'PT8H','RelayState':'https://example.com/',"
             "'Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':''}]}");
    snprintf(arn, sizeof arn, "%s", aws_text(&aws, "PermissionSet.PermissionSetArn"));
    ck_assert(rg_pattern_matches(RG_PAT_PERMSET_ARN, rg_span_str(arn)));
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.SessionDuration"), "PT8H");
    aws_must(&aws, "DescribePermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.Name"), "Admin");
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.Description"), "all \xc3\xa9");
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.RelayState"), "https://example.com/");
    ck_assert(json_is_number(aws_at(&aws, "PermissionSet.CreatedDate")));
    aws_must(&aws, "AttachManagedPolicyToPermissionSet", "{'PermissionSetArn':'%s','ManagedPolicyArn':'arn:aws:iam::aws:policy/X'}", arn);

    aws_must(&aws, "UpdatePermissionSet", "{'PermissionSetArn':'%s','Description':'new'}", arn);
    ck_assert_uint_eq(json_object_size(aws.body), 0);
    aws_must(&aws, "DescribePermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.Description"), "new");
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.SessionDuration"), "PT8H"); /* what is not named stays */
    aws_must(&aws, "UpdatePermissionSet", "{'PermissionSetArn':'%s','SessionDuration':'PT1H','RelayState':'r'}", arn);
    aws_must(&aws, "DescribePermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.SessionDuration"), "PT1H");
    ck_assert_str_eq(aws_text(&aws, "PermissionSet.RelayState"), "r");
    aws_must(&aws, "ListManagedPoliciesInPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AttachedManagedPolicies")), 1);
    aws_must(&aws, "ListTagsForResource", "{'ResourceArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Tags")), 2);

    aws_refused(&aws, RG_ECONFLICT, "name exists already", "CreatePermissionSet", "{'Name':'Admin'}");
    ck_assert_str_eq(aws.reason, "");
    aws_refused(&aws, RG_EINVALID, "unique keys", "CreatePermissionSet", "{'Name':'B','Tags':[{'Key':'a','Value':'1'},{'Key':'a','Value':'2'}]}");
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "DescribePermissionSet", "{'PermissionSetArn':'" AWS_NO_PERMSET "'}");
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "UpdatePermissionSet", "{'PermissionSetArn':'" AWS_NO_PERMSET "','Description':'x'}");
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "DeletePermissionSet", "{'PermissionSetArn':'" AWS_NO_PERMSET "'}");
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "DescribePermissionSet", /* another instance's */
                "{'PermissionSetArn':'arn:aws:sso:::permissionSet/ssoins-ffffffffffffffff/%s'}", strrchr(arn, '/') + 1);
    aws_must(&aws, "DeletePermissionSet", "{'PermissionSetArn':'%s'}", arn);
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "DescribePermissionSet", "{'PermissionSetArn':'%s'}", arn);
    aws_must(&aws, "ListPermissionSets", "{}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "PermissionSets")), 0);
}

TEST(test_permset_race)
{
    char arn[128];

    set("A", arn);
    af.node.stale = 2;
    aws_must(&aws, "UpdatePermissionSet", "{'PermissionSetArn':'%s','Description':'x'}", arn);
    ck_assert_uint_eq(aws_proposals(), 4);
    af.node.stale = 100;
    aws_refused(&aws, RG_ECONFLICT, "changed by others", "PutInlinePolicyToPermissionSet",
                "{'PermissionSetArn':'%s','InlinePolicy':'{\\'Statement\\':[]}'}", arn);
    ck_assert_str_eq(aws.reason, "");
}

/* Every row of a list once, whatever the page's size. */
static void walk(const char *operation, const char *question, const char *rows, size_t want)
{
    static const unsigned sizes[] = {1, 2, 10, 100};

    for (size_t s = 0; s < RG_LEN(sizes); s++) {
        json_t *seen = json_object();
        char token[2100];
        size_t n = 0;

        aws_must(&aws, operation, "{%s'MaxResults':%u}", question, sizes[s]);
        for (;;) {
            const json_t *list = aws_at(&aws, rows);

            for (size_t i = 0; i < json_array_size(list); i++, n++) {
                char *text = json_dumps(json_array_get(list, i), JSON_ENCODE_ANY | JSON_SORT_KEYS);

                ck_assert_ptr_null(json_object_get(seen, text));
                json_object_set_new(seen, text, json_true());
                free(text);
            }
            ck_assert_uint_le(json_array_size(list), sizes[s]);
            if (aws_at(&aws, "NextToken") == NULL)
                break;
            ck_assert_uint_eq(json_array_size(list), sizes[s]);
            snprintf(token, sizeof token, "%s", aws_text(&aws, "NextToken"));
            aws_must(&aws, operation, "{%s'NextToken':'%s','MaxResults':%u}", question, token, sizes[s]);
        }
        ck_assert_uint_eq(n, want);
        json_decref(seen);
    }
}

TEST(test_managed)
{
    char arn[128], question[300];

    set("A", arn);
#define MANAGED "{'PermissionSetArn':'%s','ManagedPolicyArn':'arn:aws:iam::aws:policy/%s'}"
    aws_must(&aws, "AttachManagedPolicyToPermissionSet", MANAGED, arn, "job-function/ViewOnlyAccess");
    aws_must(&aws, "ListManagedPoliciesInPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "AttachedManagedPolicies.0.Name"), "ViewOnlyAccess");
    ck_assert_str_eq(aws_text(&aws, "AttachedManagedPolicies.0.Arn"), "arn:aws:iam::aws:policy/job-function/ViewOnlyAccess");
    aws_refused(&aws, RG_ECONFLICT, "attached", "AttachManagedPolicyToPermissionSet", MANAGED, arn, "job-function/ViewOnlyAccess");
    aws_refused(&aws, RG_ENOTFOUND, "not attached", "DetachManagedPolicyFromPermissionSet", MANAGED, arn, "Other");
    for (int i = 1; i < 25; i++) {
        char name[20];

        snprintf(name, sizeof name, "P%d", i);
        aws_must(&aws, "AttachManagedPolicyToPermissionSet", MANAGED, arn, name);
    }
    aws_refused(&aws, RG_EQUOTA, "25", "AttachManagedPolicyToPermissionSet", MANAGED, arn, "OneMore");
    snprintf(question, sizeof question, "'PermissionSetArn':'%s',", arn);
    walk("ListManagedPoliciesInPermissionSet", question, "AttachedManagedPolicies", 25);
    aws_must(&aws, "DetachManagedPolicyFromPermissionSet", MANAGED, arn, "P7");
    walk("ListManagedPoliciesInPermissionSet", question, "AttachedManagedPolicies", 24);
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "AttachManagedPolicyToPermissionSet", MANAGED, AWS_NO_PERMSET, "X");
}

static enum rg_err put_policy(const char *arn, json_t *text)
{
    return aws_ask_json(&aws, "PutInlinePolicyToPermissionSet",
                        json_pack("{s:s,s:s,s:o}", "InstanceArn", AWS_INSTANCE, "PermissionSetArn", arn, "InlinePolicy", text));
}

/* A policy of so many characters besides so many spaces. */
static json_t *policy_of(size_t solid, size_t spaces, const char *fill)
{
    static char text[80000];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"Statement\":[],\"Sid\":\""), fill_n = strlen(fill);

    for (size_t i = 0; i + n < solid - 2; i++)
        memcpy(text + n + i * fill_n, fill, fill_n);
    n += (solid - 2 - n) * fill_n;
    memset(text + n, ' ', spaces);
    n += spaces;
    memcpy(text + n, "\"}", 2);
    return json_stringn(text, n + 2);
}

TEST(test_inline)
{
    char arn[128];

    set("A", arn);
    aws_must(&aws, "GetInlinePolicyForPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "InlinePolicy"), "");
    ck_assert_ptr_nonnull(aws_at(&aws, "InlinePolicy"));
    aws_refused(&aws, RG_ENOTFOUND, "no inline policy", "DeleteInlinePolicyFromPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_int_eq(put_policy(arn, json_string("{\"Version\":\"2012-10-17\",\n \"Statement\":{\"Sid\":\"\xc3\xa9\"}}")), RG_OK);
    aws_must(&aws, "GetInlinePolicyForPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "InlinePolicy"), "{\"Version\":\"2012-10-17\",\n \"Statement\":{\"Sid\":\"\xc3\xa9\"}}");
    ck_assert_int_eq(put_policy(arn, json_string("{}")), RG_EINVALID);
    ck_assert_int_eq(put_policy(arn, json_string("[]")), RG_EINVALID);
    ck_assert_int_eq(put_policy(arn, json_string("\"Statement\"")), RG_EINVALID);
    ck_assert_int_eq(put_policy(arn, json_string("{\"Statement\":1}")), RG_EINVALID);
    ck_assert_int_eq(put_policy(arn, json_string("{\"Statement\":[]")), RG_EINVALID);
    ck_assert_int_eq(put_policy(arn, json_string("{\"Statement\":[],\"Statement\":[]}")), RG_EINVALID);
    ck_assert_int_eq(put_policy(arn, policy_of(10240, 0, "x")), RG_OK);
    ck_assert_int_eq(put_policy(arn, policy_of(10240, 0, "\xc3\xa9")), RG_OK); /* characters, not bytes */
    ck_assert_int_eq(put_policy(arn, policy_of(10240, 22528, "x")), RG_OK);    /* 32,768 with white space */
    ck_assert_int_eq(put_policy(arn, policy_of(10241, 0, "x")), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(aws.message, "10240"));
    ck_assert_int_eq(put_policy(arn, policy_of(10240, 22529, "x")), RG_EINVALID);
    ck_assert_ptr_nonnull(strstr(aws.message, "32768"));
    aws_must(&aws, "DeleteInlinePolicyFromPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    aws_must(&aws, "GetInlinePolicyForPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_str_eq(aws_text(&aws, "InlinePolicy"), "");
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "GetInlinePolicyForPermissionSet", "{'PermissionSetArn':'" AWS_NO_PERMSET "'}");
}

TEST(test_tags)
{
    char arn[128];
    json_t *many = json_array();

    set("A", arn);
    aws_must(&aws, "TagResource", "{'ResourceArn':'%s','Tags':[{'Key':'a','Value':'1'},{'Key':'b','Value':'2'}]}", arn);
    aws_must(&aws, "TagResource", "{'ResourceArn':'%s','Tags':[{'Key':'b','Value':'3'},{'Key':'c','Value':''}]}", arn);
    aws_must(&aws, "ListTagsForResource", "{'ResourceArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Tags")), 3);
    ck_assert_str_eq(aws_text(&aws, "Tags.1.Value"), "3");
    ck_assert(json_is_string(aws_at(&aws, "Tags.2.Value")));
    aws_must(&aws, "UntagResource", "{'ResourceArn':'%s','TagKeys':['a','c','never']}", arn);
    aws_must(&aws, "ListTagsForResource", "{'ResourceArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "Tags")), 1);
    ck_assert_str_eq(aws_text(&aws, "Tags.0.Key"), "b");
    for (int i = 0; i < 75; i++) {
        char key[10];

        snprintf(key, sizeof key, "k%d", i);
        json_array_append_new(many, json_pack("{s:s,s:s}", "Key", key, "Value", "v"));
    }
    ck_assert_int_eq(aws_ask_json(&aws, "TagResource", json_pack("{s:s,s:o}", "ResourceArn", arn, "Tags", many)), RG_EQUOTA);
    aws_refused(&aws, RG_EINVALID, "unique keys", "TagResource", "{'ResourceArn':'%s','Tags':[{'Key':'a','Value':'1'},{'Key':'a','Value':'1'}]}", arn);
    aws_refused(&aws, RG_ENOTFOUND, "not found", "TagResource", "{'ResourceArn':'" AWS_NO_PERMSET "','Tags':[]}");
    aws_refused(&aws, RG_ENOTFOUND, "not found", "ListTagsForResource", "{'ResourceArn':'" AWS_INSTANCE "'}");
}

TEST(test_assignments)
{
    char arn[128], arn2[128], u[64], g[64], request[64], gone[64], question[300];

    set("A", arn);
    set("B", arn2);
    principal(true, "alice", u);
    principal(false, "team", g);
    aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "USER", u);
#define STATUS "AccountAssignmentCreationStatus"
    ck_assert_str_eq(aws_text(&aws, STATUS ".Status"), "SUCCEEDED");
    ck_assert_str_eq(aws_text(&aws, STATUS ".TargetId"), ACCOUNT);
    ck_assert_str_eq(aws_text(&aws, STATUS ".TargetType"), "AWS_ACCOUNT");
    ck_assert_str_eq(aws_text(&aws, STATUS ".PermissionSetArn"), arn);
    ck_assert_str_eq(aws_text(&aws, STATUS ".PrincipalType"), "USER");
    ck_assert_str_eq(aws_text(&aws, STATUS ".PrincipalId"), u);
    snprintf(request, sizeof request, "%s", aws_text(&aws, STATUS ".RequestId"));
    json_t *status = json_incref(json_object_get(aws.body, STATUS));

    aws_must(&aws, "DescribeAccountAssignmentCreationStatus", "{'AccountAssignmentCreationRequestId':'%s'}", request);
    ck_assert(json_equal(status, aws_at(&aws, STATUS)));
    json_decref(status);
    aws_refused(&aws, RG_ENOTFOUND, "Request not found", "DescribeAccountAssignmentDeletionStatus", "{'AccountAssignmentDeletionRequestId':'%s'}", request);
    aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "USER", u); /* again: nothing to do */
    aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "GROUP", g);
    aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT("444455556666"), arn2, "GROUP", g);

    aws_must(&aws, "ListAccountAssignments", "{'AccountId':'" ACCOUNT "','PermissionSetArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AccountAssignments")), 2);
    ck_assert_str_eq(aws_text(&aws, "AccountAssignments.0.AccountId"), ACCOUNT);
    snprintf(question, sizeof question, "'AccountId':'" ACCOUNT "','PermissionSetArn':'%s',", arn);
    walk("ListAccountAssignments", question, "AccountAssignments", 2);
    aws_must(&aws, "ListAccountAssignments", "{'AccountId':'777777777777','PermissionSetArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AccountAssignments")), 0);

    /* A member's rows are its own and its groups'. */
    aws_must(&aws, "CreateGroupMembership", "{'GroupId':'%s','MemberId':{'UserId':'%s'}}", g, u);
    snprintf(question, sizeof question, "'PrincipalId':'%s','PrincipalType':'USER',", u);
    walk("ListAccountAssignmentsForPrincipal", question, "AccountAssignments", 3);
    aws_must(&aws, "ListAccountAssignmentsForPrincipal", "{%s'Filter':{'AccountId':'444455556666'}}", question);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AccountAssignments")), 1);
    ck_assert_str_eq(aws_text(&aws, "AccountAssignments.0.PrincipalType"), "GROUP");
    ck_assert_str_eq(aws_text(&aws, "AccountAssignments.0.PrincipalId"), g);
    ck_assert_str_eq(aws_text(&aws, "AccountAssignments.0.PermissionSetArn"), arn2);
    snprintf(question, sizeof question, "'PrincipalId':'%s','PrincipalType':'GROUP',", g);
    walk("ListAccountAssignmentsForPrincipal", question, "AccountAssignments", 2);
    aws_refused(&aws, RG_ENOTFOUND, "User not found", "ListAccountAssignmentsForPrincipal", "{'PrincipalId':'%s','PrincipalType':'USER'}", g);

    walk("ListAccountAssignmentCreationStatus", "", "AccountAssignmentsCreationStatus", 4);
    walk("ListAccountAssignmentCreationStatus", "'Filter':{'Status':'SUCCEEDED'},", "AccountAssignmentsCreationStatus", 4);
    walk("ListAccountAssignmentCreationStatus", "'Filter':{'Status':'IN_PROGRESS'},", "AccountAssignmentsCreationStatus", 0);

    aws_refused(&aws, RG_ECONFLICT, "still assigned", "DeletePermissionSet", "{'PermissionSetArn':'%s'}", arn);
    aws_must(&aws, "DeleteAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "USER", u);
    ck_assert_str_eq(aws_text(&aws, "AccountAssignmentDeletionStatus.Status"), "SUCCEEDED");
    snprintf(gone, sizeof gone, "%s", aws_text(&aws, "AccountAssignmentDeletionStatus.RequestId"));
    aws_must(&aws, "DescribeAccountAssignmentDeletionStatus", "{'AccountAssignmentDeletionRequestId':'%s'}", gone);
    ck_assert_str_eq(aws_text(&aws, "AccountAssignmentDeletionStatus.PrincipalId"), u);
    walk("ListAccountAssignmentDeletionStatus", "", "AccountAssignmentsDeletionStatus", 1);
    aws_refused(&aws, RG_ENOTFOUND, "assignment not found", "DeleteAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "USER", u);
    aws_must(&aws, "ListAccountAssignments", "{'AccountId':'" ACCOUNT "','PermissionSetArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AccountAssignments")), 1);

    aws_refused(&aws, RG_ENOTFOUND, "User not found", "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "USER", AWS_NO_ID);
    aws_refused(&aws, RG_ENOTFOUND, "Group not found", "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "GROUP", u);
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), AWS_NO_PERMSET, "USER", u);
    ck_assert_str_eq(aws.type, "");
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "ListAccountAssignments", "{'AccountId':'" ACCOUNT "','PermissionSetArn':'" AWS_NO_PERMSET "'}");
    aws_refused(&aws, RG_ENOTFOUND, "Request not found", "DescribeAccountAssignmentCreationStatus", "{'AccountAssignmentCreationRequestId':'" AWS_NO_ID "'}");
}

TEST(test_many)
{
    enum { SETS = 33, ACCOUNTS = 41 };
    char arn[SETS][128], u[64], account[13], name[20], question[300];

    principal(true, "u", u);
    for (int i = 0; i < SETS; i++) {
        snprintf(name, sizeof name, "S%d", i);
        set(name, arn[i]);
        aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn[i], "USER", u);
    }
    for (int i = 1; i < ACCOUNTS; i++) {
        snprintf(account, sizeof account, "%012d", i);
        aws_must(&aws, "CreateAccountAssignment",
                 "{'TargetId':'%s','TargetType':'AWS_ACCOUNT','PermissionSetArn':'%s','PrincipalType':'USER','PrincipalId':'%s'}", account, arn[0], u);
    }
    walk("ListPermissionSets", "", "PermissionSets", SETS);
    walk("ListAccountAssignmentCreationStatus", "", "AccountAssignmentsCreationStatus", SETS + ACCOUNTS - 1);
    walk("ListPermissionSetsProvisionedToAccount", "'AccountId':'" ACCOUNT "',", "PermissionSets", SETS);
    snprintf(question, sizeof question, "'PermissionSetArn':'%s',", arn[0]);
    walk("ListAccountsForProvisionedPermissionSet", question, "AccountIds", ACCOUNTS);
    snprintf(question, sizeof question, "'PrincipalId':'%s','PrincipalType':'USER',", u);
    walk("ListAccountAssignmentsForPrincipal", question, "AccountAssignments", SETS + ACCOUNTS - 1);
}

TEST(test_provision)
{
    char arn[128], u[64], g[64], request[64];

    set("A", arn);
    principal(true, "u", u);
    principal(false, "g", g);
    aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "USER", u);
    aws_must(&aws, "CreateAccountAssignment", ASSIGNMENT(ACCOUNT), arn, "GROUP", g);
#undef STATUS
#define STATUS "PermissionSetProvisioningStatus"
    aws_must(&aws, "ProvisionPermissionSet", "{'PermissionSetArn':'%s','TargetType':'ALL_PROVISIONED_ACCOUNTS'}", arn);
    ck_assert_str_eq(aws_text(&aws, STATUS ".Status"), "SUCCEEDED");
    ck_assert_str_eq(aws_text(&aws, STATUS ".PermissionSetArn"), arn);
    ck_assert_ptr_null(aws_at(&aws, STATUS ".AccountId"));
    snprintf(request, sizeof request, "%s", aws_text(&aws, STATUS ".RequestId"));
    json_t *status = json_incref(json_object_get(aws.body, STATUS));

    ck_assert(rg_pattern_matches(RG_PAT_UUID, rg_span_str(request)));
    aws_must(&aws, "DescribePermissionSetProvisioningStatus", "{'ProvisionPermissionSetRequestId':'%s'}", request);
    ck_assert(json_equal(status, aws_at(&aws, STATUS)));
    json_decref(status);
    for (size_t i = 0; request[i] != '\0'; i++) { /* no other id is taken for a request */
        char was = request[i];

        if (was == '-')
            continue;
        request[i] = was == '0' ? '1' : '0';
        aws_refused(&aws, RG_ENOTFOUND, "Request not found", "DescribePermissionSetProvisioningStatus", "{'ProvisionPermissionSetRequestId':'%s'}", request);
        request[i] = was;
    }
    aws_must(&aws, "ProvisionPermissionSet", "{'PermissionSetArn':'%s','TargetType':'AWS_ACCOUNT','TargetId':'" ACCOUNT "'}", arn);
    ck_assert_str_eq(aws_text(&aws, STATUS ".AccountId"), ACCOUNT);
    aws_refused(&aws, RG_EINVALID, "targetId", "ProvisionPermissionSet", "{'PermissionSetArn':'%s','TargetType':'AWS_ACCOUNT'}", arn);
    aws_refused(&aws, RG_EINVALID, "targetId", "ProvisionPermissionSet", "{'PermissionSetArn':'%s','TargetType':'ALL_PROVISIONED_ACCOUNTS','TargetId':'" ACCOUNT "'}", arn);
    aws_refused(&aws, RG_ENOTFOUND, "Account not found", "ProvisionPermissionSet", "{'PermissionSetArn':'%s','TargetType':'AWS_ACCOUNT','TargetId':'000000000000'}", arn);
    aws_refused(&aws, RG_ENOTFOUND, "PermissionSet not found", "ProvisionPermissionSet", "{'PermissionSetArn':'" AWS_NO_PERMSET "','TargetType':'ALL_PROVISIONED_ACCOUNTS'}");
    walk("ListPermissionSetProvisioningStatus", "", "PermissionSetsProvisioningStatus", 0);

    aws_must(&aws, "ListAccountsForProvisionedPermissionSet", "{'PermissionSetArn':'%s'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AccountIds")), 1); /* two assignments, one account */
    ck_assert_str_eq(aws_text(&aws, "AccountIds.0"), ACCOUNT);
    aws_must(&aws, "ListAccountsForProvisionedPermissionSet", "{'PermissionSetArn':'%s','ProvisioningStatus':'LATEST_PERMISSION_SET_NOT_PROVISIONED'}", arn);
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "AccountIds")), 0);
    aws_must(&aws, "ListPermissionSetsProvisionedToAccount", "{'AccountId':'" ACCOUNT "'}");
    ck_assert_uint_eq(json_array_size(aws_at(&aws, "PermissionSets")), 1);
    aws_refused(&aws, RG_ENOTFOUND, "Account not found", "ListPermissionSetsProvisionedToAccount", "{'AccountId':'000000000000'}");
}

TEST(test_access)
{
    static const char *const verbs[] = {"Create", "Update", "Delete", "Attach", "Detach", "Put", "Tag", "Untag", "Provision", "Add", "Remove"};

    for (size_t i = 0; i < rg_ssoadmin_service.n; i++) { /* every operation that changes something asks first */
        const char *name = rg_ssoadmin_service.operations[i].path + strlen("SWBExternalService.");
        bool changes = false;

        for (size_t k = 0; k < RG_LEN(verbs); k++)
            changes |= strncmp(name, verbs[k], strlen(verbs[k])) == 0;
        ck_assert_msg((((rg_ssoadmin_service.operations[i].flags & RG_OP_WRITE) != 0) == changes), "%s", name);
    }
    aws.may_write = false;
    aws_refused(&aws, RG_EDENIED, "", "CreatePermissionSet", "{'Name':'A'}");
    aws_must(&aws, "ListPermissionSets", "{}");
    aws_refused(&aws, RG_EUNKNOWNOP, "CreateTrustedTokenIssuer", "CreateTrustedTokenIssuer", "{}");
}
