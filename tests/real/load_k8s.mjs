// Loads an organisation (idc-org-dataset/1) into a cluster's primary through the official AWS SDK, given only an endpoint,
// the CA and the access key from cluster.json:   NODE_EXTRA_CA_CERTS=…/ca.pem node load_k8s.mjs cluster.json organisation.json.gz
// What is there already is found by its name, so an interrupted run is simply run again.
import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";
import * as ids from "@aws-sdk/client-identitystore";
import * as sso from "@aws-sdk/client-sso-admin";

export function clients(cluster, region = cluster.regions.find((r) => r.role === "PRIMARY")) {
  const config = {
    endpoint: region.url,
    region: region.name,
    credentials: { accessKeyId: cluster.admin.access_key_id, secretAccessKey: cluster.admin.secret_access_key },
    maxAttempts: 3,
  };
  return { store: new ids.IdentitystoreClient(config), admin: new sso.SSOAdminClient(config) };
}

// Runs `work` over all items, at most `width` at a time.
async function each(items, work, width = 32) {
  let next = 0;
  await Promise.all(
    Array.from({ length: Math.min(width, items.length) }, async () => {
      while (next < items.length) await work(items[next++]);
    }),
  );
}

const conflict = (error) => {
  if (error.name !== "ConflictException") throw error;
};

export async function load(cluster, org, log = () => {}) {
  const { store, admin } = clients(cluster);
  const IdentityStoreId = cluster.identity_store_id;
  const InstanceArn = cluster.instance_arn;
  const unique = (AttributePath, AttributeValue) => ({ UniqueAttribute: { AttributePath, AttributeValue } });

  const users = new Map();
  await each(org.users, async ({ userName, displayName }) => {
    const made = await store
      .send(new ids.CreateUserCommand({ IdentityStoreId, UserName: userName, DisplayName: displayName }))
      .catch(conflict);
    const found =
      made ??
      (await store.send(new ids.GetUserIdCommand({ IdentityStoreId, AlternateIdentifier: unique("userName", userName) })));
    users.set(userName, found.UserId);
  });
  log(`${users.size} users`);

  const groups = new Map();
  await each(org.groups, async ({ displayName, description }) => {
    const made = await store
      .send(new ids.CreateGroupCommand({ IdentityStoreId, DisplayName: displayName, Description: description || undefined }))
      .catch(conflict);
    const found =
      made ??
      (await store.send(
        new ids.GetGroupIdCommand({ IdentityStoreId, AlternateIdentifier: unique("displayName", displayName) }),
      ));
    groups.set(displayName, found.GroupId);
  });
  log(`${groups.size} groups`);

  const pairs = org.groups.flatMap((g) => g.members.map((m) => [groups.get(g.displayName), users.get(m)]));
  await each(pairs, ([GroupId, UserId]) =>
    store.send(new ids.CreateGroupMembershipCommand({ IdentityStoreId, GroupId, MemberId: { UserId } })).catch(conflict),
  );
  log(`${pairs.length} memberships`);

  const sets = new Map();
  for await (const page of sso.paginateListPermissionSets({ client: admin }, { InstanceArn })) {
    for (const PermissionSetArn of page.PermissionSets) {
      const { PermissionSet } = await admin.send(new sso.DescribePermissionSetCommand({ InstanceArn, PermissionSetArn }));
      sets.set(PermissionSet.Name, PermissionSetArn);
    }
  }
  for (const p of org.permissionSets) {
    if (!sets.has(p.name)) {
      const { PermissionSet } = await admin.send(
        new sso.CreatePermissionSetCommand({
          InstanceArn,
          Name: p.name,
          Description: p.description,
          SessionDuration: p.sessionDuration,
        }),
      );
      sets.set(p.name, PermissionSet.PermissionSetArn);
    }
    const PermissionSetArn = sets.get(p.name);
    for (const ManagedPolicyArn of p.managedPolicies ?? [])
      await admin
        .send(new sso.AttachManagedPolicyToPermissionSetCommand({ InstanceArn, PermissionSetArn, ManagedPolicyArn }))
        .catch(conflict);
    if (p.inlinePolicy)
      await admin.send(
        new sso.PutInlinePolicyToPermissionSetCommand({
          InstanceArn,
          PermissionSetArn,
          InlinePolicy: JSON.stringify(p.inlinePolicy),
        }),
      );
  }
  log(`${sets.size} permission sets`);

  await each(org.assignments, async (a) => {
    const { AccountAssignmentCreationStatus: status } = await admin.send(
      new sso.CreateAccountAssignmentCommand({
        InstanceArn,
        TargetId: a.account,
        TargetType: "AWS_ACCOUNT",
        PermissionSetArn: sets.get(a.permissionSet),
        PrincipalType: a.principalType,
        PrincipalId: (a.principalType === "USER" ? users : groups).get(a.principal),
      }),
    );
    if (status.Status !== "SUCCEEDED") throw new Error(`assignment of ${a.principal}: ${JSON.stringify(status)}`);
  });
  log(`${org.assignments.length} assignments`);
}

export const readCluster = (path) => JSON.parse(readFileSync(path, "utf8"));
export function readOrganisation(path) {
  const bytes = readFileSync(path);
  return JSON.parse(bytes[0] === 0x1f ? gunzipSync(bytes) : bytes);
}

if (process.argv[1] === new URL(import.meta.url).pathname) {
  const [, , clusterPath, orgPath] = process.argv;
  if (!orgPath) {
    console.error("usage: load_k8s.mjs CLUSTER.JSON ORGANISATION.JSON[.GZ]");
    process.exit(2);
  }
  const from = performance.now();
  await load(readCluster(clusterPath), readOrganisation(orgPath), (line) => console.log(line));
  console.log(`${((performance.now() - from) / 1000).toFixed(1)} s`);
}
