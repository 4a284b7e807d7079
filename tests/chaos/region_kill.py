#!/usr/bin/env python3
"""A region is filled over a slow line: its node is killed during the snapshot, then the primary is. Neither begins anew: the
adding goes on from the region's row, and the transfer from the bytes that had arrived."""
import json
import random
import subprocess
import sys
import time

from cluster import Cluster
from load import BROKEN

NEW = "ap-south-1"
USERS = 24000
RTT_MS = 600
WINDOW = 4 << 20  # what may have been under way, or written and not yet counted


def organisation(path):
    """Many users, with text that does not compress: the log is cut behind a snapshot, and that is megabytes."""
    rng = random.Random(7)
    users = [{"userName": f"u{i:05}", "displayName": rng.randbytes(200).hex()} for i in range(USERS)]
    path.write_text(json.dumps({"format": "idc-org-dataset/1", "users": users, "groups": [], "permissionSets": [], "accounts": [],
                                "assignments": []}))
    return path


def progress(c):
    try:
        region = c.connect(c.primary, timeout=2).request("GET", f"/v1/regions/{NEW}")[0]
    except BROKEN:
        return None
    return {"status": region["status"], **region.get("progress", {})}


def wait_bytes(c, share, seconds=40):
    """Until more than this share of the snapshot has arrived; what is shown then."""
    until = time.monotonic() + seconds
    shown = None
    while time.monotonic() < until:
        shown = progress(c)
        if shown and shown.get("bytesTotal", 0) > 0 and shown["bytes"] > share * shown["bytesTotal"]:
            return shown
        assert not shown or shown.get("phase") in (None, "preflight", "snapshot"), f"the snapshot was over too soon: {shown}"
        time.sleep(0.02)
    raise AssertionError(f"no snapshot under way: {shown}")


def main(regent, _sample):
    with Cluster(regent, "us-east-1,eu-central-1", ["--rtt", str(RTT_MS)]) as c:
        c.run("dev", "down", "--dir", str(c.dir))
        config = c.dir / "us-east-1-1" / "regentd.yaml"
        config.write_text(config.read_text() + "snapshot: {entries: 2000}\n")
        c.run("dev", "up", "--dir", str(c.dir))
        c.load()
        c.run("import", str(organisation(c.dir / "organisation.json")))
        assert c.connect(c.primary).status()["log"]["first"] > 1, "the log was not cut"
        c.run("dev", "add", NEW, "--no-wait", timeout=60)
        c.load()
        node = c.region(NEW)["nodes"][0]

        before = wait_bytes(c, 0.15)
        c.kill(NEW)
        # It returns when the node is ready, which is when all is done.
        starting = subprocess.Popen([c.regent, "dev", "start", NEW], env=c.env, stdout=subprocess.DEVNULL)
        resumed = wait_bytes(c, 0)
        assert resumed["bytesTotal"] == before["bytesTotal"], (before, resumed)
        assert resumed["bytes"] > before["bytes"] - WINDOW, f"begun anew: {before}, then {resumed}"
        after = wait_bytes(c, 0.4)
        c.kill(c.primary)
        c.start(c.primary)
        until = time.monotonic() + 60
        while (shown := progress(c)) is None or shown["status"] != "ACTIVE":
            assert time.monotonic() < until, f"not ACTIVE: {shown}"
            time.sleep(0.1)
        c.run("dev", "link", "delay", "all", "0")
        assert starting.wait(60) == 0
        c.wait_equal(60)
        shown = c.connect(c.primary).request("GET", f"/v1/regions/{NEW}")[0]
        assert [n["id"] for n in shown["nodes"]] == [node["id"]] and shown["hashMatch"], shown
    print(f"{before['bytesTotal'] >> 10} KiB: node killed at {before['bytes'] >> 10}, primary at {after['bytes'] >> 10} KiB: ACTIVE")


if __name__ == "__main__":
    main(*sys.argv[1:3])
