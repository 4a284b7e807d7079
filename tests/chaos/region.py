#!/usr/bin/env python3
"""Regions come and go: one is added to a running cluster and shows its phases, holds the same state, is removed (its key and data
are gone, its restart is refused), comes again under a new id, is removed while it is away: told when it comes back it serves no more, and keeps everything, since its own
state does not say so."""
import subprocess
import sys
import threading
import time
from pathlib import Path

from cluster import Cluster, Refused

NEW = "ap-south-1"


def refused(call, code, says=""):
    try:
        call()
    except Refused as error:
        assert error.code == code, f"{error.code}, not {code}: {error}"
        assert says in str(error), f"{says!r} is not in {error}"
        return error
    raise AssertionError(f"not refused with {code}")


class Poller(threading.Thread):
    """As Terraform does: DescribeRegion again and again, until the region is ACTIVE. Notes every status and phase seen."""

    def __init__(self, cluster, region):
        super().__init__(daemon=True)
        self.cluster, self.region = cluster, region
        self.statuses, self.phases, self.percents, self.dates = [], [], [], set()
        self.halt = threading.Event()

    def run(self):
        connection = self.cluster.connect(self.cluster.primary)
        while not self.halt.is_set():
            try:
                described = connection.call("SWBExternalService.DescribeRegion",
                                            {"InstanceArn": self.cluster.instance, "RegionName": self.region})[0]
                shown = connection.request("GET", f"/v1/regions/{self.region}")[0]
            except Refused as error:
                assert error.status in (400, 404), error
                time.sleep(0.02)
                continue
            self.dates.add(described["AddedDate"])
            if not self.statuses or self.statuses[-1] != described["Status"]:
                self.statuses.append(described["Status"])
            if shown["status"] == "ADDING":
                progress = shown["progress"]
                assert progress["lastError"] is None, progress
                if not self.phases or self.phases[-1] != progress["phase"]:
                    self.phases.append(progress["phase"])
                self.percents.append(progress["percent"])
            if described["Status"] == "ACTIVE":
                assert described["IsPrimaryRegion"] is False and "progress" not in shown, shown
                return
            time.sleep(0.02)

    def done(self):
        self.join(10)
        self.halt.set()
        return self


def node_dir(node):
    return Path(node["config"]).parent


def check_wiped(node):
    """Its key, passphrase, log, snapshots and metadata are gone, and so is its state in memory."""
    folder = node_dir(node)
    data = Path(node["data_dir"])
    for name in ("keystore", "passphrase", f"keystore.node{node['id']}"):
        assert not (folder / name).exists(), f"{folder / name} is still there"
    left = sorted(p.name for p in data.iterdir())
    assert set(left) <= {"lock", "removed"} and "removed" in left, left
    for line in (folder / "regentd.yaml").read_text().splitlines():
        if line.startswith("state_dir:"):
            assert not Path(line.split(":", 1)[1].strip().strip("'\"")).exists(), line


def start_by_hand(regent, node):
    program = Path(regent).with_name("regentd")
    return subprocess.run([program, "--config", node["config"]], capture_output=True, text=True, timeout=30, check=False)


def wait_gone(connection, region, seconds=15):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if region not in [r["name"] for r in connection.request("GET", "/v1/regions")[0]["regions"]]:
            return
        time.sleep(0.05)
    raise AssertionError(f"{region} is still there after {seconds} s")


def add(c, *options):
    poller = Poller(c, NEW)
    poller.start()
    c.run("dev", "add", NEW, *options)
    c.load()
    return poller.done()


def refusals(c, primary):
    def change(operation, region):
        return lambda: primary.call("SWBExternalService." + operation, {"InstanceArn": c.instance, "RegionName": region})

    refused(change("AddRegion", NEW), "ValidationException", f"regent region token {NEW}")  # no node is prepared
    refused(change("AddRegion", "eu-central-1"), "ConflictException", "there already")
    refused(change("AddRegion", "nowhere"), "ValidationException", "regular expression")
    refused(change("RemoveRegion", c.primary), "ConflictException", "cannot be removed")
    refused(change("RemoveRegion", NEW), "ResourceNotFoundException")
    replica = c.connect(c.replicas[0])
    at_replica = refused(lambda: replica.call("SWBExternalService.AddRegion", {"InstanceArn": c.instance, "RegionName": NEW}), "NotPrimary")
    assert at_replica.status == 421 and at_replica.headers["location"].startswith(c.region(c.primary)["url"])
    report = primary.request("POST", f"/v1/regions/{NEW}/preflight")[0]
    assert not report["ok"] and [i["check"] for i in report["items"] if not i["ok"]] == ["node"], report
    c.run("region", "preflight", NEW, ok=(1,))
    c.run("region", "add", "Not A Name", ok=(2,))


def main(regent, sample):
    with Cluster(regent, "us-east-1,eu-central-1", ["--proxy"]) as c:
        c.run("import", sample)
        primary = c.connect(c.primary)
        refusals(c, primary)

        poller = add(c, "--owner", "team-apac", "--description", "closer to Mumbai")
        assert poller.statuses == ["ADDING", "ACTIVE"] and len(poller.dates) == 1, (poller.statuses, poller.dates)
        order = ["preflight", "snapshot", "catch-up", "verify"]
        assert poller.phases == [p for p in order if p in poller.phases] and "verify" in poller.phases, poller.phases
        assert poller.percents == sorted(poller.percents) and poller.percents[-1] < 100, poller.percents
        first = c.region(NEW)["nodes"][0]
        assert NEW in (c.dir / "proxy.json").read_text()  # its lines go through the proxy, like the others'
        c.wait_equal()
        shown = primary.request("GET", f"/v1/regions/{NEW}")[0]
        assert shown["owner"] == "team-apac" and shown["description"] == "closer to Mumbai" and shown["hashMatch"], shown
        assert [n["id"] for n in shown["nodes"]] == [first["id"]], shown
        c.run("region", "set", NEW, "--owner", "team-emea")
        shown = primary.request("GET", f"/v1/regions/{NEW}")[0]
        assert shown["owner"] == "team-emea" and shown["description"] == "closer to Mumbai" and shown["status"] == "ACTIVE", shown

        # The new region serves reads, and a write waits for it as for any other.
        assert c.run("access", "list", "--region", NEW) == c.run("access", "list", "--region", c.primary)
        primary.create_user("for-all-three", {"Regent-Wait-Regions": "all"})
        assert c.connect(NEW).user_id("for-all-three")
        away = refused(lambda: c.connect(NEW).create_user("nobody"), "NotPrimary")
        assert away.headers["location"].startswith(c.region(c.primary)["url"]), away.headers
        c.kill(NEW)  # it is a member like any other: back after a crash
        c.start(NEW)
        c.wait_equal()

        # Removed: told, wiped, its restart refused.
        c.run("region", "remove", NEW, "--yes")
        assert not c.signal_node(first, 0) or time.sleep(1) is None
        check_wiped(first)
        again = start_by_hand(regent, first)
        assert again.returncode != 0 and f"node {first['id']} of region {NEW} was removed" in again.stderr, again.stderr
        assert "regent region token" in again.stderr, again.stderr
        primary.create_user("for-the-two-left", {"Regent-Wait-Regions": "all"})
        c.load()
        assert NEW not in c.names and NEW not in (c.dir / "proxy.json").read_text(), c.names

        # And again: another node, a new id. Not ACTIVE before every node knows it, also one that is away.
        c.kill("eu-central-1")
        c.run("dev", "add", NEW, "--no-wait")
        c.load()
        until = time.monotonic() + 30
        while True:
            shown = primary.request("GET", f"/v1/regions/{NEW}")[0]
            assert shown["status"] == "ADDING" and time.monotonic() < until, shown
            if shown["progress"]["phase"] == "verify" and "node 2 of eu-central-1 is not reached" in str(shown["progress"]["lastError"]):
                break
            time.sleep(0.05)
        shown = c.run("status")
        assert f"region {NEW} is ADDING: verify, " in shown and "node 2 of eu-central-1 is not reached" in shown, shown
        # Nor may it take over: the one that is away could not follow it.
        declared = {"to": NEW, "by": "test", "reason": "too early"}
        early = refused(lambda: c.connect(NEW).request("POST", "/v1/failover", declared), "NotReady", f"{NEW} is ADDING")
        assert early.status == 503, early
        c.start("eu-central-1")
        while (shown := primary.request("GET", f"/v1/regions/{NEW}")[0])["status"] != "ACTIVE":
            assert time.monotonic() < until, shown
            time.sleep(0.05)
        second = c.region(NEW)["nodes"][0]
        assert second["id"] > first["id"], (first, second)
        c.wait_equal()

        # Removed while it is away, by force; told when it comes back: its own state does not say so, and nothing is destroyed.
        c.kill(NEW)
        c.run("region", "remove", NEW, "--force", "--yes")
        wait_gone(primary, NEW)
        assert (node_dir(second) / "keystore").exists()
        back = start_by_hand(regent, second)
        assert "node.removed" in back.stderr, back.stderr[-3000:]
        back = start_by_hand(regent, second)
        assert back.returncode != 0 and "was removed" in back.stderr and "are kept" in back.stderr, back.stderr
        assert (node_dir(second) / "keystore").exists() and (Path(second["data_dir"]) / "meta").exists()
        c.load()
        c.wait_equal()
    print(f"added: {', '.join(poller.phases)}; removed, added again as node {second['id']}, removed while away")


if __name__ == "__main__":
    main(*sys.argv[1:3])
