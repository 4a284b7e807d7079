// Regions as a Terraform-like poller sees them, with the official SDK: refusals, AddRegion to ACTIVE, RemoveRegion to gone.
// regions.mjs CLUSTER.JSON REGION: a region whose node is prepared and runs.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as sso from "@aws-sdk/client-sso-admin";
import { clients } from "./load_k8s.mjs";

const [, , clusterPath, RegionName] = process.argv;
const cluster = JSON.parse(readFileSync(clusterPath));
const InstanceArn = cluster.instance_arn;
const { admin } = clients(cluster);
const primary = cluster.regions.find((r) => r.role === "PRIMARY").name;
const ask = (Command, RegionName) => admin.send(new Command({ InstanceArn, RegionName }));
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

await assert.rejects(
  ask(sso.AddRegionCommand, "sa-east-1"),
  (e) => e instanceof sso.ValidationException && e.message.includes("regent region token sa-east-1"),
);
await assert.rejects(ask(sso.AddRegionCommand, primary), (e) => e instanceof sso.ConflictException);
await assert.rejects(ask(sso.RemoveRegionCommand, primary), (e) => e instanceof sso.ConflictException);
await assert.rejects(ask(sso.RemoveRegionCommand, RegionName), (e) => e instanceof sso.ResourceNotFoundException);
await assert.rejects(ask(sso.DescribeRegionCommand, RegionName), (e) => e instanceof sso.ResourceNotFoundException);

assert.deepEqual((await ask(sso.AddRegionCommand, RegionName)).Status, "ADDING");
await assert.rejects(ask(sso.AddRegionCommand, RegionName), (e) => e instanceof sso.ConflictException);
const until = Date.now() + 30000;
let described;
do {
  assert.ok(Date.now() < until, JSON.stringify(described));
  await pause(50);
  described = await ask(sso.DescribeRegionCommand, RegionName);
  assert.ok(["ADDING", "ACTIVE"].includes(described.Status), described.Status);
} while (described.Status !== "ACTIVE");
assert.ok(described.AddedDate instanceof Date && Math.abs(described.AddedDate - Date.now()) < 60000, described.AddedDate);
assert.equal(described.IsPrimaryRegion, false);
const names = [];
for await (const page of sso.paginateListRegions({ client: admin, pageSize: 1 }, { InstanceArn }))
  for (const r of page.Regions) names.push(r.RegionName);
assert.deepEqual(names.sort(), [...cluster.regions.map((r) => r.name).filter((n) => n !== RegionName), RegionName].sort());

assert.equal((await ask(sso.RemoveRegionCommand, RegionName)).Status, "REMOVING");
for (;;) {
  assert.ok(Date.now() < until + 30000);
  await pause(50);
  try {
    assert.equal((await ask(sso.DescribeRegionCommand, RegionName)).Status, "REMOVING");
  } catch (e) {
    if (!(e instanceof sso.ResourceNotFoundException)) throw e;
    break;
  }
}
console.log(`${RegionName} was added and removed`);
