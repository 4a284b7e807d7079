/* net/api/operation: every operation with what its row says, once more; how rows are found; docs/operations.md's table of them.
 * The table here is meant to be changed by hand, by whoever changes a row: it is what a row is reviewed by. */
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "net/interfaces.h"
#include "tests/lib/check_main.h"

enum {
    WRITE = RG_OP_WRITE,
    QUEUE = RG_OP_QUEUE,
    EXEMPT = RG_OP_EXEMPT,
    OPEN = RG_OP_OPEN,
    UNREADY = RG_OP_UNREADY,
    HOMED = RG_OP_HOMED,
    NOW = RG_OP_NOW,
};

static const struct expected {
    const char *name, *asked; /* "METHOD path", or the target */
    unsigned flags;
    enum rg_permission permission;
} golden[] = {
    {"sso-admin.ListInstances", "SWBExternalService.ListInstances", 0, RG_PERMIT_READ},
    {"sso-admin.DescribeInstance", "SWBExternalService.DescribeInstance", 0, RG_PERMIT_READ},
    {"sso-admin.ListRegions", "SWBExternalService.ListRegions", 0, RG_PERMIT_READ},
    {"sso-admin.DescribeRegion", "SWBExternalService.DescribeRegion", 0, RG_PERMIT_READ},
    {"sso-admin.AddRegion", "SWBExternalService.AddRegion", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"sso-admin.RemoveRegion", "SWBExternalService.RemoveRegion", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"sso-admin.CreatePermissionSet", "SWBExternalService.CreatePermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.DescribePermissionSet", "SWBExternalService.DescribePermissionSet", 0, RG_PERMIT_READ},
    {"sso-admin.ListPermissionSets", "SWBExternalService.ListPermissionSets", 0, RG_PERMIT_READ},
    {"sso-admin.UpdatePermissionSet", "SWBExternalService.UpdatePermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.DeletePermissionSet", "SWBExternalService.DeletePermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.AttachManagedPolicyToPermissionSet", "SWBExternalService.AttachManagedPolicyToPermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.DetachManagedPolicyFromPermissionSet", "SWBExternalService.DetachManagedPolicyFromPermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.ListManagedPoliciesInPermissionSet", "SWBExternalService.ListManagedPoliciesInPermissionSet", 0, RG_PERMIT_READ},
    {"sso-admin.PutInlinePolicyToPermissionSet", "SWBExternalService.PutInlinePolicyToPermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.GetInlinePolicyForPermissionSet", "SWBExternalService.GetInlinePolicyForPermissionSet", 0, RG_PERMIT_READ},
    {"sso-admin.DeleteInlinePolicyFromPermissionSet", "SWBExternalService.DeleteInlinePolicyFromPermissionSet", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.ListTagsForResource", "SWBExternalService.ListTagsForResource", 0, RG_PERMIT_READ},
    {"sso-admin.TagResource", "SWBExternalService.TagResource", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.UntagResource", "SWBExternalService.UntagResource", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.CreateAccountAssignment", "SWBExternalService.CreateAccountAssignment", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.DeleteAccountAssignment", "SWBExternalService.DeleteAccountAssignment", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"sso-admin.ListAccountAssignments", "SWBExternalService.ListAccountAssignments", 0, RG_PERMIT_READ},
    {"sso-admin.ListAccountAssignmentsForPrincipal", "SWBExternalService.ListAccountAssignmentsForPrincipal", 0, RG_PERMIT_READ},
    {"sso-admin.DescribeAccountAssignmentCreationStatus", "SWBExternalService.DescribeAccountAssignmentCreationStatus", 0, RG_PERMIT_READ},
    {"sso-admin.DescribeAccountAssignmentDeletionStatus", "SWBExternalService.DescribeAccountAssignmentDeletionStatus", 0, RG_PERMIT_READ},
    {"sso-admin.ListAccountAssignmentCreationStatus", "SWBExternalService.ListAccountAssignmentCreationStatus", 0, RG_PERMIT_READ},
    {"sso-admin.ListAccountAssignmentDeletionStatus", "SWBExternalService.ListAccountAssignmentDeletionStatus", 0, RG_PERMIT_READ},
    {"sso-admin.ProvisionPermissionSet", "SWBExternalService.ProvisionPermissionSet", WRITE, RG_PERMIT_WRITE},
    {"sso-admin.DescribePermissionSetProvisioningStatus", "SWBExternalService.DescribePermissionSetProvisioningStatus", 0, RG_PERMIT_READ},
    {"sso-admin.ListPermissionSetProvisioningStatus", "SWBExternalService.ListPermissionSetProvisioningStatus", 0, RG_PERMIT_READ},
    {"sso-admin.ListAccountsForProvisionedPermissionSet", "SWBExternalService.ListAccountsForProvisionedPermissionSet", 0, RG_PERMIT_READ},
    {"sso-admin.ListPermissionSetsProvisionedToAccount", "SWBExternalService.ListPermissionSetsProvisionedToAccount", 0, RG_PERMIT_READ},
    {"identitystore.CreateUser", "AWSIdentityStore.CreateUser", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.CreateGroupMembership", "AWSIdentityStore.CreateGroupMembership", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.CreateGroup", "AWSIdentityStore.CreateGroup", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.DescribeUser", "AWSIdentityStore.DescribeUser", 0, RG_PERMIT_READ},
    {"identitystore.UpdateUser", "AWSIdentityStore.UpdateUser", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.DeleteUser", "AWSIdentityStore.DeleteUser", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.ListUsers", "AWSIdentityStore.ListUsers", 0, RG_PERMIT_READ},
    {"identitystore.GetUserId", "AWSIdentityStore.GetUserId", 0, RG_PERMIT_READ},
    {"identitystore.DescribeGroup", "AWSIdentityStore.DescribeGroup", 0, RG_PERMIT_READ},
    {"identitystore.UpdateGroup", "AWSIdentityStore.UpdateGroup", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.DeleteGroup", "AWSIdentityStore.DeleteGroup", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.ListGroups", "AWSIdentityStore.ListGroups", 0, RG_PERMIT_READ},
    {"identitystore.GetGroupId", "AWSIdentityStore.GetGroupId", 0, RG_PERMIT_READ},
    {"identitystore.DescribeGroupMembership", "AWSIdentityStore.DescribeGroupMembership", 0, RG_PERMIT_READ},
    {"identitystore.GetGroupMembershipId", "AWSIdentityStore.GetGroupMembershipId", 0, RG_PERMIT_READ},
    {"identitystore.DeleteGroupMembership", "AWSIdentityStore.DeleteGroupMembership", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"identitystore.ListGroupMemberships", "AWSIdentityStore.ListGroupMemberships", 0, RG_PERMIT_READ},
    {"identitystore.ListGroupMembershipsForMember", "AWSIdentityStore.ListGroupMembershipsForMember", 0, RG_PERMIT_READ},
    {"identitystore.IsMemberInGroups", "AWSIdentityStore.IsMemberInGroups", 0, RG_PERMIT_READ},
    {"healthz", "GET /healthz", OPEN | UNREADY, RG_PERMIT_OPEN},
    {"readyz", "GET /readyz", OPEN | UNREADY, RG_PERMIT_OPEN},
    {"birth", "GET /v1/birth", OPEN | UNREADY, RG_PERMIT_OPEN},
    {"metrics", "GET /metrics", OPEN | UNREADY, RG_PERMIT_OPEN},
    {"v1.check", "POST /v1/check", 0, RG_PERMIT_READ},
    {"v1.status", "GET /v1/status", UNREADY, RG_PERMIT_READ},
    {"v1.regions", "GET /v1/regions", UNREADY, RG_PERMIT_READ},
    {"v1.region", "GET /v1/regions/*", 0, RG_PERMIT_READ},
    {"v1.addRegion", "POST /v1/regions", WRITE | EXEMPT | UNREADY, RG_PERMIT_WRITE},
    {"v1.putRegion", "PUT /v1/regions/*", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"v1.removeRegion", "DELETE /v1/regions/*", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"v1.preflight", "POST /v1/regions/*/preflight", WRITE, RG_PERMIT_WRITE},
    {"v1.switchover", "POST /v1/switchover", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"v1.failover", "POST /v1/failover", EXEMPT | HOMED, RG_PERMIT_WRITE},
    {"v1.vouch", "POST /v1/vouch", EXEMPT | HOMED | UNREADY, RG_PERMIT_WRITE},
    {"v1.epochs", "GET /v1/epochs", 0, RG_PERMIT_READ},
    {"v1.durability", "GET /v1/settings/durability", 0, RG_PERMIT_READ},
    {"v1.putDurability", "PUT /v1/settings/durability", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"v1.lease", "GET /v1/settings/lease", 0, RG_PERMIT_READ},
    {"v1.putLease", "PUT /v1/settings/lease", WRITE | EXEMPT, RG_PERMIT_WRITE},
    {"v1.degraded", "GET /v1/degraded", 0, RG_PERMIT_READ},
    {"v1.join", "POST /v1/join", WRITE | EXEMPT | OPEN | NOW, RG_PERMIT_OPEN},
    {"v1.collect", "POST /v1/join/collect", OPEN, RG_PERMIT_OPEN},
    {"v1.rejoin", "POST /v1/rejoin", WRITE | EXEMPT | OPEN | NOW, RG_PERMIT_OPEN},
    {"v1.joinToken", "POST /v1/join-tokens", WRITE | EXEMPT | NOW, RG_PERMIT_WRITE},
    {"v1.listJoinTokens", "GET /v1/join-tokens", 0, RG_PERMIT_READ},
    {"v1.revokeJoinToken", "DELETE /v1/join-tokens/*", WRITE | EXEMPT | NOW, RG_PERMIT_WRITE},
    {"v1.listNodes", "GET /v1/nodes", 0, RG_PERMIT_READ},
    {"v1.approveNode", "POST /v1/nodes/*/approve", WRITE | EXEMPT | NOW, RG_PERMIT_WRITE},
    {"v1.withdrawNode", "DELETE /v1/nodes/*", WRITE | EXEMPT | NOW, RG_PERMIT_WRITE},
    {"v1.access", "GET /v1/access", 0, RG_PERMIT_READ},
    {"v1.who", "GET /v1/who", 0, RG_PERMIT_READ},
    {"v1.export", "GET /v1/export", 0, RG_PERMIT_READ},
    {"v1.intents", "GET /v1/intents", 0, RG_PERMIT_READ},
    {"v1.intent", "GET /v1/intents/*", 0, RG_PERMIT_READ},
    {"v1.approveIntent", "POST /v1/intents/*/approve", HOMED, RG_PERMIT_WRITE},
    {"v1.dropIntent", "POST /v1/intents/*/drop", HOMED, RG_PERMIT_WRITE},
    {"v1.lostTails", "GET /v1/lost-tail", 0, RG_PERMIT_LOST},
    {"v1.lostTail", "GET /v1/lost-tail/*", 0, RG_PERMIT_LOST},
    {"v1.dropLostTail", "DELETE /v1/lost-tail/*", HOMED, RG_PERMIT_LOST},
    {"v1.exportLostTail", "GET /v1/lost-tail/*/export", 0, RG_PERMIT_LOST},
    {"v1.replayLostTail", "POST /v1/lost-tail/*/replay", HOMED, RG_PERMIT_LOST},
    {"v1.listAccounts", "GET /v1/accounts", 0, RG_PERMIT_READ},
    {"v1.getAccount", "GET /v1/accounts/*", 0, RG_PERMIT_READ},
    {"v1.putAccount", "PUT /v1/accounts/*", WRITE | QUEUE, RG_PERMIT_WRITE},
    {"v1.deleteAccount", "DELETE /v1/accounts/*", WRITE | QUEUE, RG_PERMIT_WRITE},
};

/* ---- every row ---- */

struct row {
    const struct rg_interface *interface;
    const struct rg_service *service;
    const struct rg_operation *operation;
};

static struct row rows[1024];
static size_t rows_n;

static void take_rows(void)
{
    rows_n = 0;
    for (size_t i = 0; i < RG_INTERFACES; i++)
        for (size_t s = 0; s < rg_interfaces[i]->n_services; s++)
            for (size_t k = 0; k < rg_interfaces[i]->services[s]->n; k++) {
                ck_assert_uint_lt(rows_n, RG_LEN(rows));
                rows[rows_n++] =
                    (struct row){rg_interfaces[i], rg_interfaces[i]->services[s], &rg_interfaces[i]->services[s]->operations[k]};
            }
}

static const char *asked_by(const struct rg_operation *o)
{
    static char text[256];

    snprintf(text, sizeof text, "%s%s%s", o->method != NULL ? o->method : "", o->method != NULL ? " " : "", o->path);
    return text;
}

CASE(.setup = take_rows);

TEST(every_operation_is_known)
{
    for (size_t i = 0; i < rows_n; i++) {
        const struct rg_operation *o = rows[i].operation;
        size_t k = 0;

        while (k < RG_LEN(golden) && strcmp(golden[k].name, o->name) != 0)
            k++;
        ck_assert_msg(k < RG_LEN(golden), "%s (%s) is not in this test's table: say there what it may and needs", o->name, asked_by(o));
        ck_assert_str_eq(asked_by(o), golden[k].asked);
        ck_assert_msg(o->flags == golden[k].flags, "%s: its flags are %#x, not %#x", o->name, o->flags, golden[k].flags);
        ck_assert_msg(o->permission == golden[k].permission, "%s needs %s, not %s", o->name, rg_permission_name(o->permission),
                      rg_permission_name(golden[k].permission));
        ck_assert_ptr_nonnull(o->run);
    }
    for (size_t k = 0; k < RG_LEN(golden); k++) {
        size_t i = 0;

        while (i < rows_n && strcmp(rows[i].operation->name, golden[k].name) != 0)
            i++;
        ck_assert_msg(i < rows_n, "%s is served no more: take it out of this test's table", golden[k].name);
    }
    ck_assert_uint_eq(rows_n, RG_LEN(golden));
}

static bool has(const struct rg_operation *o, unsigned flags) { return (o->flags & flags) == flags; }

/* What rows must not contradict. */
TEST(rows_make_sense)
{
    for (size_t i = 0; i < rows_n; i++) {
        const struct rg_operation *o = rows[i].operation;
        const bool probe = has(o, OPEN | UNREADY), changes = (o->flags & (WRITE | HOMED)) != 0;
        size_t n = strlen(rows[i].service->name);

        ck_assert_msg(!has(o, QUEUE) || has(o, WRITE), "%s: only a write may wait", o->name);
        ck_assert_msg(!has(o, QUEUE | NOW) && !has(o, QUEUE | EXEMPT), "%s: it waits, and cannot", o->name);
        ck_assert_msg(!has(o, WRITE | HOMED), "%s: it is done at the primary, or in any region", o->name);
        ck_assert_msg(!has(o, EXEMPT) || changes, "%s: nothing holds it up", o->name);
        ck_assert_msg(!has(o, NOW) || has(o, WRITE), "%s: nothing would wait", o->name);
        ck_assert_msg(has(o, OPEN) == (o->permission == RG_PERMIT_OPEN), "%s: who needs no credential has no permission", o->name);
        ck_assert_msg(has(o, OPEN) || !changes || o->permission > RG_PERMIT_READ, "%s: whoever reads may change", o->name);
        ck_assert_msg(o->permission != RG_PERMIT_WRITE || changes, "%s: it needs more than it does", o->name);
        ck_assert_msg(o->method == NULL || strcmp(o->method, "GET") != 0 || !changes, "%s: a GET changes", o->name);
        ck_assert_msg(!probe || !changes, "%s: a probe changes", o->name);
        ck_assert_msg(probe ? strchr(o->name, '.') == NULL
                            : strncmp(o->name, rows[i].service->name, n) == 0 && o->name[n] == '.', "%s: not in its service's name",
                      o->name);
        ck_assert_msg(o->input == NULL || rows[i].interface->check != NULL, "%s: nobody holds it to its shape", o->name);
        for (size_t k = 0; k < i; k++)
            ck_assert_msg(strcmp(rows[k].operation->name, o->name) != 0, "two are called %s", o->name);
    }
}

/* ---- finding them ---- */

static struct rg_operations *table_of(const struct rg_interface *const *interfaces, size_t n)
{
    struct rg_errctx ctx = {.text = ""};
    struct rg_operations *table = NULL;

    ck_assert_msg(rg_operations_new(interfaces, n, &table, &ctx) == RG_OK, "%s", ctx.text);
    return table;
}

static struct rg_found find(const struct rg_operations *table, const struct rg_interface *interface, const char *method,
                            const char *path)
{
    struct rg_found found;

    rg_operations_find(table, interface, rg_span_str(method), rg_span_str(path), &found);
    return found;
}

TEST(each_row_is_found_by_its_own_way)
{
    struct rg_operations *table = table_of(rg_interfaces, RG_INTERFACES);
    size_t names_n;
    const char *const *names = rg_operations_names(table, &names_n);

    ck_assert_uint_eq(names_n, RG_INTERFACES + rows_n);
    for (size_t i = 0; i < RG_INTERFACES; i++)
        ck_assert_ptr_eq(names[i], rg_interfaces[i]->other);
    for (size_t i = 0; i < rows_n; i++) {
        const struct rg_operation *o = rows[i].operation;
        const char *star = strchr(o->path, '*');
        struct rg_found found;
        char path[256];

        snprintf(path, sizeof path, "%.*s%s%s", (int)(star != NULL ? star - o->path : (long)strlen(o->path)), o->path,
                 star != NULL ? "some-thing" : "", star != NULL ? star + 1 : "");
        found = find(table, rows[i].interface, o->method != NULL ? o->method : "POST", path);
        ck_assert_msg(found.operation == o, "%s: %s stands before it", o->name,
                      found.operation != NULL ? found.operation->name : "nothing");
        ck_assert_ptr_eq(found.service, rows[i].service);
        ck_assert_uint_lt(found.number, names_n);
        ck_assert_ptr_eq(names[found.number], o->name);
        ck_assert(!found.other_method);
        ck_assert_msg(star != NULL ? rg_span_is(found.argument, "some-thing") : found.argument.p == NULL, "%s", o->name);
        for (size_t k = 0; k < RG_INTERFACES; k++)
            if (rg_interfaces[k] != rows[i].interface)
                ck_assert_ptr_null(find(table, rg_interfaces[k], "POST", path).operation);
    }
    rg_operations_free(table);
}

static void nothing(struct rg_call *call) { (void)call; }
static bool all(const struct rg_request *req) { (void)req; return true; }

#define ROW(name, method, path) {name, method, path, NULL, 0, RG_PERMIT_READ, nothing}
static const struct rg_operation some[] = {
    ROW("list", "GET", "/a"),
    ROW("get", "GET", "/a/*"),
    ROW("put", "PUT", "/a/*"),
    ROW("sub", "POST", "/a/*/sub"),
    ROW("deep", "GET", "/a/b/c/*/d"),
    ROW("fixed", "GET", "/a/fixed"),
    {"probe", "GET", "/probe", NULL, OPEN | UNREADY, RG_PERMIT_OPEN, nothing},
};

static const struct {
    const char *method, *path, *name, *argument; /* name NULL: nothing is there */
    bool other_method;
} lookups[] = {
    {"GET", "/a", "list", NULL, false},
    {"PUT", "/a", "list", NULL, true},
    {"GET", "/a/", NULL, NULL, false},
    {"GET", "/a/x", "get", "x", false},
    {"PUT", "/a/x", "put", "x", false},
    {"GET", "/a/*", "get", "*", false}, /* a star that is asked for is a name like others */
    {"GET", "/a/x/", NULL, NULL, false},
    {"POST", "/a/x/sub", "sub", "x", false},
    {"POST", "/a/*/sub", "sub", "*", false},
    {"POST", "/a//sub", NULL, NULL, false},
    {"POST", "/a/x/y/sub", NULL, NULL, false},
    {"GET", "/a/x/sub", "sub", "x", true},
    {"GET", "/a/b/c/x/d", "deep", "x", false},
    {"GET", "/a/b/c//d", NULL, NULL, false},
    {"GET", "/a/fixed", "fixed", NULL, false}, /* what is named outright goes first */
    {"HEAD", "/a", "list", NULL, true},
    {"HEAD", "/probe", "probe", NULL, false},
    {"POST", "/probe", "probe", NULL, true},
    {"get", "/a", "list", NULL, true},
    {"GET", "", NULL, NULL, false},
    {"GET", "/", NULL, NULL, false},
    {"GET", "/b/x", NULL, NULL, false},
    {"GET", "a/x", NULL, NULL, false},
};

static struct rg_interface interface_of(const struct rg_service *const *services, bool by_target)
{
    return (struct rg_interface){.name = "t", .other = "t.other", .takes = all, .services = services, .n_services = 1,
                                 .by_target = by_target};
}

LOOP(a_path_names_one_row, RG_LEN(lookups))
{
    const struct rg_service service = {.name = "t", .sigv4 = "t", .operations = some, .n = RG_LEN(some)};
    const struct rg_service *const services[] = {&service};
    const struct rg_interface interface = interface_of(services, false);
    const struct rg_interface *const interfaces[] = {&interface};
    struct rg_operations *table = table_of(interfaces, 1);
    struct rg_found found = find(table, &interface, lookups[_i].method, lookups[_i].path);

    ck_assert_str_eq(found.operation != NULL ? found.operation->name : "", lookups[_i].name != NULL ? lookups[_i].name : "");
    ck_assert_int_eq(found.other_method, lookups[_i].other_method);
    if (lookups[_i].argument != NULL)
        ck_assert_msg(rg_span_is(found.argument, lookups[_i].argument), "%.*s", RG_SPAN_ARG(found.argument));
    else
        ck_assert_ptr_null(found.argument.p);
    rg_operations_free(table);
}

static const struct {
    struct rg_operation rows[2];
    bool by_target;
} wrong[] = {
    {{ROW("a", "GET", "/a"), ROW("b", "GET", "/a")}, false},
    {{ROW("a", "GET", "/a/*"), ROW("b", "GET", "/a/*")}, false},
    {{ROW("a", NULL, "T.A"), ROW("b", NULL, "T.A")}, true},
    {{ROW("a", "GET", "/a"), ROW("b", "GET", "b")}, false},
    {{ROW("a", "GET", "/a"), ROW("b", "GET", "/b*")}, false},
    {{ROW("a", "GET", "/a"), ROW("b", "GET", "/*b")}, false},
    {{ROW("a", "GET", "/a"), ROW("b", "GET", "/*/b/*")}, false},
    {{ROW("a", "GET", "/a"), ROW("b", "GET", "/1/2/3/4/5/6/7/8/9/0/1/2/3/4/5/*")}, false},
    {{ROW("a", "GET", "/a"), ROW("b", NULL, "T.B")}, false},
    {{ROW("a", NULL, "T.A"), ROW("b", "GET", "/b")}, true},
    {{ROW("a", NULL, "T.A"), ROW("b", NULL, "")}, true},
    {{ROW("a", NULL, "T.A"), ROW("b", NULL, "T.*")}, true},
};

LOOP(rows_that_cannot_be_are_refused, RG_LEN(wrong))
{
    const struct rg_service service = {.name = "t", .sigv4 = "t", .operations = wrong[_i].rows, .n = 2};
    const struct rg_service *const services[] = {&service};
    const struct rg_interface interface = interface_of(services, wrong[_i].by_target);
    const struct rg_interface *const interfaces[] = {&interface};
    struct rg_operations *table = NULL;
    struct rg_errctx ctx = {.text = ""};

    ck_assert_int_eq(rg_operations_new(interfaces, 1, &table, &ctx), RG_EINVALID);
    ck_assert_msg(strstr(ctx.text, "b") != NULL, "%s", ctx.text);
    ck_assert_ptr_null(table);
}

TEST(there_may_be_a_thousand)
{
    static struct rg_operation many[1000];
    static char names[RG_LEN(many)][32];
    const struct rg_service service = {.name = "t", .sigv4 = "t", .operations = many, .n = RG_LEN(many)};
    const struct rg_service *const services[] = {&service};
    const struct rg_interface interface = interface_of(services, true);
    const struct rg_interface *const interfaces[] = {&interface};
    struct rg_operations *table;

    for (size_t i = 0; i < RG_LEN(many); i++) {
        snprintf(names[i], sizeof names[i], "Service.Operation%zu", i);
        many[i] = (struct rg_operation)ROW(names[i], NULL, names[i]);
    }
    table = table_of(interfaces, 1);
    for (size_t i = 0; i < RG_LEN(many); i++)
        ck_assert_ptr_eq(find(table, &interface, "POST", names[i]).operation, &many[i]);
    ck_assert_ptr_null(find(table, &interface, "POST", "Service.Operation1000").operation);
    rg_operations_free(table);
}

/* A path of many segments costs no more than the stars that there are. */
TEST(a_long_path_is_nothing)
{
    struct rg_operations *table = table_of(rg_interfaces, RG_INTERFACES);
    static char path[64 * 1024];

    for (size_t i = 0; i + 2 < sizeof path; i += 2)
        memcpy(path + i, "/a", 2);
    for (int i = 0; i < 1000; i++)
        ck_assert_ptr_null(find(table, rg_interfaces[RG_INTERFACES - 1], "GET", path).operation);
    rg_operations_free(table);
}

/* ---- docs/operations.md ---- */

#define BEGIN "<!-- operations: made by ./dev doc -->\n"
#define END "<!-- operations: end -->\n"

static void put_row(struct rg_buf *out, const struct rg_operation *o)
{
    static const struct {
        unsigned flag;
        const char *text;
    } besides[] = {
        {RG_OP_QUEUE, "may wait as an intent"},
        {RG_OP_EXEMPT, "not held up by durability or lease"},
        {RG_OP_UNREADY, "also while not ready"},
    };
    unsigned n = 0;

    rg_buf_printf(out, "| `%s` | `%s` | %s | %s | ", o->name, asked_by(o), rg_permission_name(o->permission),
                  o->flags & RG_OP_WRITE ? "primary" : o->flags & RG_OP_HOMED ? "the one asked" : "any");
    for (size_t i = 0; i < RG_LEN(besides); i++)
        if (o->flags & besides[i].flag)
            rg_buf_printf(out, "%s%s", n++ > 0 ? "; " : "", besides[i].text);
    rg_buf_put_str(out, n > 0 ? " |\n" : "|\n");
}

static void put_tables(struct rg_buf *out)
{
    for (size_t i = 0; i < rows_n; i++) {
        if (i == 0 || rows[i].service != rows[i - 1].service)
            rg_buf_printf(out, "\n| %s | asked by | needs | region | |\n|---|---|---|---|---|\n", rows[i].service->name);
        put_row(out, rows[i].operation);
    }
    rg_buf_put_str(out, "\n");
}

static void read_file(const char *path, struct rg_buf *out)
{
    FILE *file = fopen(path, "rb");
    char part[4096];
    size_t n;

    ck_assert_msg(file != NULL, "%s", path);
    while ((n = fread(part, 1, sizeof part, file)) > 0)
        rg_buf_put(out, part, n);
    fclose(file);
    rg_buf_put_u8(out, 0);
    ck_assert_int_eq(out->err, RG_OK);
}

static void write_file(const char *path, struct rg_span text)
{
    FILE *file = fopen(path, "wb");

    ck_assert_msg(file != NULL, "%s", path);
    ck_assert_uint_eq(fwrite(text.p, 1, text.n, file), text.n);
    ck_assert_int_eq(fclose(file), 0);
}

/* With REGENT_WRITE_DOCS the tables are put there, else they must be there. */
TEST(operations_are_documented)
{
    static const char path[] = SOURCE_ROOT "/docs/operations.md";
    RG_AUTO_BUF struct rg_buf doc = {.max = 0};
    RG_AUTO_BUF struct rg_buf want = {.max = 0};
    const char *text, *begin, *end;

    rg_buf_init(&doc, 1 << 20);
    rg_buf_init(&want, 1 << 20);
    read_file(path, &doc);
    text = (const char *)doc.data;
    begin = strstr(text, BEGIN);
    end = strstr(text, END);
    ck_assert_msg(begin != NULL && end != NULL && begin < end, "%s lacks the lines %s and %s", path, BEGIN, END);
    begin += strlen(BEGIN);
    rg_buf_put(&want, text, (size_t)(begin - text));
    put_tables(&want);
    rg_buf_put_str(&want, end);
    ck_assert_int_eq(want.err, RG_OK);
    if (getenv("REGENT_WRITE_DOCS") != NULL)
        write_file(path, rg_buf_span(&want));
    else
        ck_assert_msg(rg_span_is(rg_buf_span(&want), text), "%s does not list the operations as their rows are: run ./dev doc", path);
}
