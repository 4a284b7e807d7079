/* sso-admin, API version 2020-07-20: instance and regions, what its files share, and the table of its operations. */
#include "net/aws/ssoadmin.h"

#include "net/ops/region.h"
#include "store/model/instance.h"
#include "store/model/region.h"

#include <stdio.h>

static const struct rg_shape page_shape[] = {RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN, RG_SHAPE_END};
static const struct rg_shape instance_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_END};
static const struct rg_shape instance_page_shape[] = {RG_SHAPE_INSTANCE, RG_SHAPE_MAX_RESULTS, RG_SHAPE_TOKEN, RG_SHAPE_END};
static const struct rg_shape region_shape[] = {RG_SHAPE_INSTANCE, RG_TEXT_MEMBER("RegionName", true, 1, 32, RG_PAT_REGION),
                                               RG_SHAPE_END};

/* ---- names ---- */

/* "…:instance/ssoins-x" → "x" of ours, as in permission set ARNs. */
static const char *instance_name(const struct rg_call *call)
{
    const char *slash = strrchr(call->api->instance_arn, '/');

    return slash != NULL ? slash + 1 : call->api->instance_arn;
}

void rg_sso_put_permset_arn(const struct rg_call *call, struct rg_json_writer *j, const char *name, const struct rg_psid *id)
{
    char hex[17];

    rg_hex(hex, id->b, sizeof id->b);
    rg_buf_printf(rg_json_text_begin(j, name), "arn:aws:sso:::permissionSet/%s/ps-%s", instance_name(call), hex);
    rg_json_text_end(j);
}

bool rg_sso_permset_id(const struct rg_call *call, struct rg_span arn, struct rg_psid *ret_id)
{
    char want[160];
    int n = snprintf(want, sizeof want, "arn:aws:sso:::permissionSet/%s/ps-", instance_name(call));

    return arn.n == (size_t)n + 16 && memcmp(arn.p, want, (size_t)n) == 0 &&
           rg_unhex(ret_id->b, (const char *)arn.p + n, sizeof ret_id->b);
}

bool rg_sso_failed(struct rg_call *call, enum rg_err err, const char *text)
{
    if (err == RG_ENOTFOUND)
        rg_call_fail(call, err, "%s", text);
    else if (err)
        rg_call_fail(call, err, NULL);
    return err != RG_OK;
}

bool rg_sso_permset(struct rg_call *call, const char *member, struct rg_txn **ret_txn, struct rg_permset *ret_permset)
{
    struct rg_psid id;

    if (!rg_sso_permset_id(call, rg_json_text(call->input, member), &id)) {
        rg_call_fail(call, RG_ENOTFOUND, "PermissionSet not found.");
        return false;
    }
    if (rg_call_txn(call, ret_txn) != RG_OK)
        return false;
    return !rg_sso_failed(call, rg_permset_get(*ret_txn, &id, ret_permset), "PermissionSet not found.");
}

/* ---- instance and regions ---- */

/* The members of a region's object. */
static void put_region(struct rg_json_writer *j, const struct rg_region *r)
{
    rg_json_span_if_any(j, "RegionName", r->name);
    rg_json_span_if_any(j, "Status", r->status);
    rg_json_seconds(j, "AddedDate", r->added_ms);
    rg_json_bool(j, "IsPrimaryRegion", r->primary);
}

static void put_instance(struct rg_json_writer *j, const struct rg_instance *i)
{
    rg_json_span_if_any(j, "InstanceArn", i->arn);
    rg_json_span_if_any(j, "IdentityStoreId", i->identity_store_id);
    rg_json_span_if_any(j, "OwnerAccountId", i->owner_account_id);
    rg_json_seconds(j, "CreatedDate", i->created_ms);
    rg_json_str(j, "Status", "ACTIVE");
}

/* The regions' list, and the primary's name. */
static enum rg_err put_regions(struct rg_txn *txn, struct rg_json_writer *j, char primary[33])
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_region r;
    enum rg_err err = rg_region_list(txn, rg_span(NULL, 0), &scan);

    rg_json_array(j, "Regions");
    while (!err && (err = rg_region_list_next(&scan, &r)) == RG_OK) {
        rg_json_object(j, NULL);
        put_region(j, &r);
        rg_json_end(j);
        if (r.primary)
            snprintf(primary, 33, "%.*s", RG_SPAN_ARG(r.name));
    }
    rg_scan_end(&scan);
    rg_json_end(j);
    return err == RG_ENOTFOUND ? RG_OK : err;
}

static void list_instances(struct rg_call *call)
{
    struct rg_instance instance;
    struct rg_page page;
    struct rg_json_writer j;
    struct rg_txn *txn;
    char primary[33] = "";
    enum rg_err err;

    if (!rg_page_begin(call, "ListInstances", &page) || rg_call_txn(call, &txn) != RG_OK)
        return; /* there is one instance: never a second page */
    err = rg_instance_get(txn, &instance);
    rg_aws_begin(call, &j);
    rg_json_array(&j, "Instances");
    if (!err) {
        rg_json_object(&j, NULL);
        put_instance(&j, &instance);
        err = put_regions(txn, &j, primary);
        rg_json_span_if_any(&j, "PrimaryRegion", rg_span_str(primary));
        rg_json_end(&j);
    }
    rg_json_end(&j);
    if (err && err != RG_ENOTFOUND)
        rg_call_fail(call, err, NULL);
    else
        rg_aws_answer(call, &j);
}

static void describe_instance(struct rg_call *call)
{
    struct rg_instance instance;
    struct rg_json_writer j;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK || rg_sso_failed(call, rg_instance_get(txn, &instance), "Instance not found."))
        return;
    rg_aws_begin(call, &j);
    put_instance(&j, &instance);
    rg_json_bool(&j, "PermissionSetsEnabled", true);
    rg_json_object(&j, "EncryptionConfigurationDetails");
    rg_json_str(&j, "KeyType", "CUSTOMER_MANAGED_KEY");
    if (instance.owner_account_id.n > 0 && instance.key_id.n > 0) {
        rg_buf_printf(rg_json_text_begin(&j, "KmsKeyArn"), "arn:aws:kms:%s:%.*s:key/%.*s", call->api->region,
                      RG_SPAN_ARG(instance.owner_account_id), RG_SPAN_ARG(instance.key_id));
        rg_json_text_end(&j);
    }
    rg_json_str(&j, "EncryptionStatus", "ENABLED");
    rg_json_end(&j);
    rg_aws_answer(call, &j);
}

static void list_regions(struct rg_call *call)
{
    struct rg_scan scan = {.cursor = NULL};
    struct rg_region r;
    struct rg_page page;
    struct rg_json_writer *j;
    struct rg_txn *txn;
    enum rg_err err;

    if (!rg_page_begin(call, "ListRegions", &page) || rg_call_txn(call, &txn) != RG_OK)
        return;
    j = rg_page_list(call, &page, "Regions");
    err = rg_region_list(txn, page.after, &scan);
    while (!err && (err = rg_region_list_next(&scan, &r)) == RG_OK && !rg_page_full(&page, r.name)) {
        rg_json_object(j, NULL);
        put_region(j, &r);
        rg_json_end(j);
    }
    rg_page_answer(call, &page, &scan, err);
}

static void describe_region(struct rg_call *call)
{
    struct rg_region r;
    struct rg_json_writer j;
    struct rg_txn *txn;

    if (rg_call_txn(call, &txn) != RG_OK ||
        rg_sso_failed(call, rg_region_get(txn, rg_json_text(call->input, "RegionName"), &r), "Region not found."))
        return;
    rg_aws_begin(call, &j);
    put_region(&j, &r);
    rg_aws_answer(call, &j);
}

static void put_change(struct rg_json_writer *j, const char *name, const char *status)
{
    (void)name;
    rg_json_object(j, NULL);
    rg_json_str(j, "Status", status);
    rg_json_end(j);
}

static void add_region(struct rg_call *call)
{
    const struct rg_span none = {NULL, 0};

    rg_region_add(call, rg_json_text(call->input, "RegionName"), none, none, put_change);
}

static void remove_region(struct rg_call *call)
{
    rg_region_remove(call, rg_json_text(call->input, "RegionName"), false, put_change);
}

/* ---- the table ---- */

#define ROW(name, shape, run, flags, permission) {"sso-admin." name, NULL, "SWBExternalService." name, shape, flags, permission, run}
#define READ(name, shape, run) ROW(name, shape, run, 0, RG_PERMIT_READ)
#define WRITE(name, shape, run, flags) ROW(name, shape, run, RG_OP_WRITE | (flags), RG_PERMIT_WRITE)
static const struct rg_operation operations[] = {
    READ("ListInstances", page_shape, list_instances),
    READ("DescribeInstance", instance_shape, describe_instance),
    READ("ListRegions", instance_page_shape, list_regions),
    READ("DescribeRegion", region_shape, describe_region),
    WRITE("AddRegion", region_shape, add_region, RG_OP_EXEMPT),
    WRITE("RemoveRegion", region_shape, remove_region, RG_OP_EXEMPT),
    WRITE("CreatePermissionSet", rg_sso_create_permset_shape, rg_sso_create_permset, RG_OP_QUEUE),
    READ("DescribePermissionSet", rg_sso_permset_shape, rg_sso_describe_permset),
    READ("ListPermissionSets", instance_page_shape, rg_sso_list_permsets),
    WRITE("UpdatePermissionSet", rg_sso_update_permset_shape, rg_sso_update_permset, RG_OP_QUEUE),
    WRITE("DeletePermissionSet", rg_sso_permset_shape, rg_sso_delete_permset, RG_OP_QUEUE),
    WRITE("AttachManagedPolicyToPermissionSet", rg_sso_managed_shape, rg_sso_attach_managed, RG_OP_QUEUE),
    WRITE("DetachManagedPolicyFromPermissionSet", rg_sso_managed_shape, rg_sso_detach_managed, RG_OP_QUEUE),
    READ("ListManagedPoliciesInPermissionSet", rg_sso_list_managed_shape, rg_sso_list_managed),
    WRITE("PutInlinePolicyToPermissionSet", rg_sso_inline_shape, rg_sso_put_inline, RG_OP_QUEUE),
    READ("GetInlinePolicyForPermissionSet", rg_sso_permset_shape, rg_sso_get_inline),
    WRITE("DeleteInlinePolicyFromPermissionSet", rg_sso_permset_shape, rg_sso_delete_inline, RG_OP_QUEUE),
    READ("ListTagsForResource", rg_sso_list_tags_shape, rg_sso_list_tags),
    WRITE("TagResource", rg_sso_tag_shape, rg_sso_change_tags, RG_OP_QUEUE),
    WRITE("UntagResource", rg_sso_untag_shape, rg_sso_change_tags, RG_OP_QUEUE),
    WRITE("CreateAccountAssignment", rg_sso_assignment_shape, rg_sso_create_assignment, RG_OP_QUEUE),
    WRITE("DeleteAccountAssignment", rg_sso_assignment_shape, rg_sso_delete_assignment, RG_OP_QUEUE),
    READ("ListAccountAssignments", rg_sso_list_assignments_shape, rg_sso_list_assignments),
    READ("ListAccountAssignmentsForPrincipal", rg_sso_list_for_principal_shape, rg_sso_list_for_principal),
    READ("DescribeAccountAssignmentCreationStatus", rg_sso_creation_status_shape, rg_sso_describe_creation),
    READ("DescribeAccountAssignmentDeletionStatus", rg_sso_deletion_status_shape, rg_sso_describe_deletion),
    READ("ListAccountAssignmentCreationStatus", rg_sso_list_status_shape, rg_sso_list_creation),
    READ("ListAccountAssignmentDeletionStatus", rg_sso_list_status_shape, rg_sso_list_deletion),
    WRITE("ProvisionPermissionSet", rg_sso_provision_shape, rg_sso_provision, 0),
    READ("DescribePermissionSetProvisioningStatus", rg_sso_provision_status_shape, rg_sso_describe_provision),
    READ("ListPermissionSetProvisioningStatus", rg_sso_list_status_shape, rg_sso_list_provision),
    READ("ListAccountsForProvisionedPermissionSet", rg_sso_accounts_of_set_shape, rg_sso_accounts_of_set),
    READ("ListPermissionSetsProvisionedToAccount", rg_sso_sets_of_account_shape, rg_sso_sets_of_account),
};

const struct rg_service rg_ssoadmin_service = {
    .name = "sso-admin",
    .sigv4 = "sso",
    .operations = operations,
    .n = RG_LEN(operations),
};
