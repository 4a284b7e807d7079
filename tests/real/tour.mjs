// What an administrator's program does with the SDK: read, change, page, and be refused in the SDK's own error classes.
import assert from "node:assert/strict";
import * as ids from "@aws-sdk/client-identitystore";
import * as sso from "@aws-sdk/client-sso-admin";
import { clients, readCluster } from "./load_k8s.mjs";

const cluster = readCluster(process.argv[2]);
const { store, admin } = clients(cluster);
const IdentityStoreId = cluster.identity_store_id;
const InstanceArn = cluster.instance_arn;

const { UserId } = await store.send(
  new ids.CreateUserCommand({
    IdentityStoreId,
    UserName: "Ada.Lovelace@example.com",
    DisplayName: "Ada Lovelace",
    Name: { GivenName: "Ada", FamilyName: "Lovelace" },
    Emails: [{ Value: "ada.lovelace@example.com", Type: "work", Primary: true }],
  }),
);
let user = await store.send(new ids.DescribeUserCommand({ IdentityStoreId, UserId }));
assert.equal(user.Name.FamilyName, "Lovelace");
assert.equal(user.Emails[0].Value, "ada.lovelace@example.com");
assert.equal(user.UserStatus, "ENABLED");
assert.ok(Math.abs(user.CreatedAt.getTime() - Date.now()) < 60_000, `CreatedAt ${user.CreatedAt}`);

await store.send(
  new ids.UpdateUserCommand({
    IdentityStoreId,
    UserId,
    Operations: [
      { AttributePath: "name.familyName", AttributeValue: "King" },
      { AttributePath: "title", AttributeValue: "Countess" },
      { AttributePath: "emails", AttributeValue: null },
    ],
  }),
);
user = await store.send(new ids.DescribeUserCommand({ IdentityStoreId, UserId }));
assert.deepEqual([user.Name.GivenName, user.Name.FamilyName, user.Title, user.Emails], ["Ada", "King", "Countess", undefined]);

const found = await store.send(
  new ids.GetUserIdCommand({
    IdentityStoreId,
    AlternateIdentifier: { UniqueAttribute: { AttributePath: "userName", AttributeValue: "ada.lovelace@EXAMPLE.com" } },
  }),
);
assert.equal(found.UserId, UserId);

await assert.rejects(
  store.send(new ids.CreateUserCommand({ IdentityStoreId, UserName: "ada.lovelace@example.com", DisplayName: "Another" })),
  (e) => e instanceof ids.ConflictException && e.Reason === "UNIQUENESS_CONSTRAINT_VIOLATION",
);
await assert.rejects(
  store.send(new ids.DescribeUserCommand({ IdentityStoreId, UserId: "00000000-0000-4000-8000-000000000000" })),
  (e) => e instanceof ids.ResourceNotFoundException && e.ResourceType === "USER",
);
await assert.rejects(
  store.send(new ids.CreateUserCommand({ IdentityStoreId, UserName: "x".repeat(129), DisplayName: "x" })),
  (e) => e instanceof ids.ValidationException,
);
await assert.rejects(
  admin.send(new sso.DescribePermissionSetCommand({ InstanceArn, PermissionSetArn: `arn:aws:sso:::permissionSet/${InstanceArn.split("/")[1]}/ps-0000000000000000` })),
  (e) => e instanceof sso.ResourceNotFoundException,
);

const names = new Set();
for await (const page of ids.paginateListUsers({ client: store, pageSize: 37 }, { IdentityStoreId }))
  for (const u of page.Users) names.add(u.UserName);
assert.ok(names.has("Ada.Lovelace@example.com"), `${names.size} users were listed`);

const { Regions } = await admin.send(new sso.ListRegionsCommand({ InstanceArn }));
assert.deepEqual(Regions.map((r) => r.RegionName).sort(), cluster.regions.map((r) => r.name).sort());
assert.equal(Regions.filter((r) => r.IsPrimaryRegion).length, 1);
const { Instances } = await admin.send(new sso.ListInstancesCommand({}));
assert.equal(Instances[0].InstanceArn, InstanceArn);

// A replica reads with the same credentials, waits for a write, and refuses to write.
const replica = clients(cluster, cluster.regions.find((r) => r.role !== "PRIMARY"));
await assert.rejects(
  replica.store.send(new ids.CreateGroupCommand({ IdentityStoreId, DisplayName: "nowhere" })),
  (e) => e.name === "NotPrimary" && e.$metadata.httpStatusCode === 421,
);

await store.send(new ids.DeleteUserCommand({ IdentityStoreId, UserId }));
await assert.rejects(
  store.send(new ids.DescribeUserCommand({ IdentityStoreId, UserId })),
  (e) => e instanceof ids.ResourceNotFoundException,
);
console.log("the tour is done");
