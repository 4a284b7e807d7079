#!/usr/bin/env python3
"""Debian's AWS CLI against a cluster: what it knows of identitystore and sso-admin."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
from cluster import Cluster, skip  # noqa: E402


class Aws:
    def __init__(self, cluster, region):
        self.cluster, self.url = cluster, cluster.region(region)["url"]
        admin = cluster.file["admin"]
        self.env = {**os.environ, "AWS_ACCESS_KEY_ID": admin["access_key_id"], "AWS_CA_BUNDLE": cluster.file["ca"],
                    "AWS_SECRET_ACCESS_KEY": admin["secret_access_key"], "AWS_DEFAULT_REGION": region,
                    "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": "/nonexistent", "AWS_PAGER": ""}

    def __call__(self, *args, fails=None):
        done = subprocess.run(["aws", "--endpoint-url", self.url, "--output", "json", *args], env=self.env,
                              capture_output=True, text=True, timeout=60, check=False)
        if fails:
            assert done.returncode != 0 and fails in done.stderr, f"{args}: not refused with {fails}: {done.stderr}"
            return None
        assert done.returncode == 0, f"{args}: {done.stderr}"
        return json.loads(done.stdout) if done.stdout.strip() else None


def main(regent, _sample):
    if not shutil.which("aws"):
        skip("the AWS CLI (package awscli) is not installed")
    with Cluster(regent) as c:
        aws = Aws(c, c.primary)
        store = ("--identity-store-id", c.store)
        instance = ("--instance-arn", c.instance)
        user = aws("identitystore", "create-user", *store, "--user-name", "grace@example.com", "--display-name", "Grace Hopper",
                   "--name", "GivenName=Grace,FamilyName=Hopper", "--emails", "Value=grace@example.com,Type=work,Primary=true")
        described = aws("identitystore", "describe-user", *store, "--user-id", user["UserId"])
        assert described["Name"]["FamilyName"] == "Hopper" and described["UserName"] == "grace@example.com", described
        group = aws("identitystore", "create-group", *store, "--display-name", "navy", "--description", "at sea")
        member = aws("identitystore", "create-group-membership", *store, "--group-id", group["GroupId"], "--member-id",
                     f"UserId={user['UserId']}")
        listed = aws("identitystore", "list-group-memberships", *store, "--group-id", group["GroupId"])
        assert [m["MembershipId"] for m in listed["GroupMemberships"]] == [member["MembershipId"]]
        inside = aws("identitystore", "is-member-in-groups", *store, "--member-id", f"UserId={user['UserId']}", "--group-ids",
                     group["GroupId"])
        assert inside["Results"][0]["MembershipExists"] is True
        aws("identitystore", "create-user", *store, "--user-name", "GRACE@example.com", "--display-name", "x",
            fails="ConflictException")
        made = aws("sso-admin", "create-permission-set", *instance, "--name", "Captain", "--description", "commands",
                   "--session-duration", "PT4H", "--tags", "Key=team,Value=navy")
        arn = ("--permission-set-arn", made["PermissionSet"]["PermissionSetArn"])
        aws("sso-admin", "attach-managed-policy-to-permission-set", *instance, *arn, "--managed-policy-arn",
            "arn:aws:iam::aws:policy/ReadOnlyAccess")
        aws("sso-admin", "put-inline-policy-to-permission-set", *instance, *arn, "--inline-policy",
            '{"Version":"2012-10-17","Statement":[{"Effect":"Deny","Action":"iam:*","Resource":"*"}]}')
        assert aws("sso-admin", "list-managed-policies-in-permission-set", *instance, *arn)["AttachedManagedPolicies"] == [
            {"Name": "ReadOnlyAccess", "Arn": "arn:aws:iam::aws:policy/ReadOnlyAccess"}]
        assert aws("sso-admin", "list-tags-for-resource", *instance, "--resource-arn", arn[1])["Tags"] == [
            {"Key": "team", "Value": "navy"}]
        status = aws("sso-admin", "create-account-assignment", *instance, *arn, "--target-id", "123456789012", "--target-type",
                     "AWS_ACCOUNT", "--principal-type", "GROUP", "--principal-id", group["GroupId"])
        status = status["AccountAssignmentCreationStatus"]
        assert status["Status"] == "SUCCEEDED", status
        again = aws("sso-admin", "describe-account-assignment-creation-status", *instance,
                    "--account-assignment-creation-request-id", status["RequestId"])
        assert again["AccountAssignmentCreationStatus"]["PrincipalId"] == group["GroupId"]
        aws("sso-admin", "delete-permission-set", *instance, *arn, fails="ConflictException")
        c.run("dev", "ready")
        for region in c.replicas:  # reads are answered everywhere
            there = Aws(c, region)
            assert there("identitystore", "describe-user", *store, "--user-id", user["UserId"])["DisplayName"] == "Grace Hopper"
            rows = there("sso-admin", "list-account-assignments", *instance, *arn, "--account-id", "123456789012")
            assert rows["AccountAssignments"][0]["PrincipalId"] == group["GroupId"]
    print("the AWS CLI is served")


if __name__ == "__main__":
    main(*sys.argv[1:3])
