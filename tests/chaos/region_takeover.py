#!/usr/bin/env python3
"""Regions that come and go while the primary changes. A region is being filled over a slow line when the primary hands over: the new
one goes on with it. The primary dies, another region takes over and the dead one is removed: back on its feet, it leads no more, is
given no place, and destroys nothing on the word of somebody whom it does not know."""
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster
from region import node_dir
from region_kill import NEW, organisation, progress, wait_bytes

EAST, WEST = "us-east-1", "eu-central-1"


def leads(c, region):
    """What the tests call the primary: the file's word is as old as the cluster."""
    for r in c.file["regions"]:
        r["role"] = "PRIMARY" if r["name"] == region else "REPLICA"


def wait(what, check, seconds=60):
    until = time.monotonic() + seconds
    while not (seen := check()):
        assert time.monotonic() < until, f"{what}: not after {seconds} s"
        time.sleep(0.05)
    return seen


def start_until(regent, node, says, seconds=40):
    """Its log, up to a line that holds this; then it is ended."""
    process = subprocess.Popen([Path(regent).with_name("regentd"), "--config", node["config"]], stderr=subprocess.PIPE, text=True)
    watchdog = subprocess.Popen(["sleep", str(seconds)])
    log = ""
    try:
        for line in process.stderr:
            log += line
            if says in line:
                return log
            assert watchdog.poll() is None, log[-3000:]
    finally:
        process.terminate()
        process.communicate(timeout=30)
        watchdog.kill()
        watchdog.wait()
    raise AssertionError(f"it ended, and never said {says!r}: {log[-3000:]}")


def main(regent, _sample):
    with Cluster(regent, f"{EAST},{WEST}", ["--rtt", "400"]) as c:
        c.run("dev", "down", "--dir", str(c.dir))
        for region in (EAST, WEST):  # whoever leads cuts its log, so that the newcomer needs a snapshot
            config = Path(c.region(region)["nodes"][0]["config"])
            config.write_text(config.read_text() + "snapshot: {entries: 2000}\n")
        c.run("dev", "up", "--dir", str(c.dir))
        c.load()
        c.run("import", str(organisation(c.dir / "organisation.json")))
        c.run("dev", "ready")
        c.run("dev", "add", NEW, "--no-wait")
        c.load()
        before = wait_bytes(c, 0.1)
        done = c.connect(EAST).request("POST", "/v1/switchover", {"to": WEST})[0]
        leads(c, WEST)
        last = wait("ACTIVE", lambda: (shown := progress(c)) and shown["status"] == "ACTIVE" and shown)
        c.wait_equal(60)
        shown = c.connect(WEST).request("GET", f"/v1/regions/{NEW}")[0]
        assert shown["hashMatch"] and last["status"] == "ACTIVE", shown
        c.run("dev", "link", "delay", "all", "0")

        # The new primary dies; the old one takes its place again, and the dead one is taken out.
        dead = c.region(WEST)["nodes"][0]
        c.kill(WEST)
        taken = c.connect(EAST).request("POST", "/v1/failover", {"to": EAST, "by": "test", "reason": "it is dead"})[0]
        assert taken["epoch"] > done["epoch"], (done, taken)
        leads(c, EAST)
        c.run("region", "remove", WEST, "--force", "--yes")
        c.load()
        leads(c, EAST)
        assert (node_dir(dead) / "keystore").exists()
        # It leads no more. Whoever took over is nobody it knows: on its word nothing is destroyed, and nobody lets it in.
        back = start_until(regent, dead, "was removed. If it was")
        assert "node.removed" not in back and "rejoin.asking" in back, back[-3000:]
        assert (node_dir(dead) / "keystore").exists() and (Path(dead["data_dir"]) / "lost").exists()
        c.connect(EAST).create_user("after-all", {"Regent-Wait-Regions": "all"})
        c.wait_equal()
    print(f"handed over at {before['bytes'] >> 10} of {before['bytesTotal'] >> 10} KiB: ACTIVE; the dead primary was removed, and leads no more")


if __name__ == "__main__":
    main(*sys.argv[1:3])
