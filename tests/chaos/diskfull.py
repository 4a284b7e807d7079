#!/usr/bin/env python3
"""The log's disk fills up, at the primary and at a replica: the primary refuses writes by name before anything stops, the replica goes on
answering, also when it is started anew; nothing acknowledged is lost, and with room both go on by themselves.
Needs the right to mount a small tmpfs."""
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, skip
from load import Writer, check_acknowledged


def until(look, seconds=30):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)
    return found


def onto_tmpfs(data):
    """Move a data directory onto a file system of its own."""
    kept = data.with_name("data.kept")
    data.rename(kept)
    data.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=72m,mode=700", "none", str(data)], capture_output=True,
                      check=False).returncode != 0:
        skip("a tmpfs cannot be mounted here")
    subprocess.run(["cp", "-a", f"{kept}/.", str(data)], check=True)


def fill(data, left):
    """Take all room but `left` bytes."""
    room = os.statvfs(data)
    with open(data / "filler", "wb") as f:
        os.posix_fallocate(f.fileno(), 0, max(room.f_bavail * room.f_frsize - left, 4096))


def alarms(c, region):
    return [a["code"] for a in c.connect(region).status()["alarms"]]


def write_for(c, number, seconds, large=True):
    writers = [Writer(c, number + i, large=large) for i in range(4)]
    for w in writers:
        w.start()
    time.sleep(seconds)
    for w in writers:
        w.halt.set()
    for w in writers:
        w.join(20)
    assert all(w.error is None for w in writers), [w.error for w in writers]
    return writers


def at_the_primary(c, data):
    writers = write_for(c, 0, 1)
    fill(data, 1 << 20)
    until(lambda: "DiskFull" in alarms(c, c.primary))
    assert c.connect(c.primary).status()["writes"] == "refused"
    try:
        c.connect(c.primary).create_user("one-more")
        raise AssertionError("it took one more")
    except Refused as refused:
        message = refused.body.get("Message") or refused.body["message"]
        assert refused.status == 507 and c.primary in message and "data_dir" in message, message
    more = write_for(c, 10, 2)
    assert sum(len(w.acknowledged) for w in more) == 0 and sum(w.refused for w in more) > 0
    for region in c.names:
        assert c.connect(region).status()["ready"], region
    c.run("status")
    c.kill(c.primary)  # and there is room for a restart as well
    c.start(c.primary)
    until(lambda: c.connect(c.primary).status()["ready"])
    until(lambda: "DiskFull" in alarms(c, c.primary))
    (data / "filler").unlink()
    until(lambda: c.connect(c.primary).status()["writes"] == "open")
    return writers + write_for(c, 20, 1)


def at_a_replica(c, region, data):
    fill(data, 0)
    writers, before = [], None
    while before is None or "DiskFull" not in alarms(c, region) or c.connect(region).status()["revision"] != before:
        before = c.connect(region).status()["revision"]
        writers += write_for(c, 100 + 10 * len(writers), 1)
        assert len(writers) < 400, "its log never came to its end"
    until(lambda: c.connect(region).status()["ready"])
    for _ in range(2):
        c.kill(region)
        c.start(region)
        status = until(lambda: (lambda s: s if s["ready"] else None)(c.connect(region).status()))
        assert status["revision"] == before, (status["revision"], before)
        assert "DiskFull" in alarms(c, region)
    (data / "filler").unlink()
    until(lambda: c.connect(region).status()["revision"] == c.connect(c.primary).status()["revision"])
    until(lambda: "DiskFull" not in alarms(c, region))
    return writers


def main(regent, _sample):
    if os.geteuid() != 0:
        skip("mounting a small tmpfs needs root")
    with Cluster(regent) as c:
        c.run("dev", "down", "--dir", str(c.dir))
        full = [c.primary, c.replicas[0]]
        places = [Path(c.region(r)["nodes"][0]["data_dir"]) for r in full]
        try:
            for data in places:
                onto_tmpfs(data)
            c.run("dev", "up", "--dir", str(c.dir))
            c.load()
            writers = at_the_primary(c, places[0])
            writers += at_a_replica(c, full[1], places[1])
            c.wait_equal(60)
            count = check_acknowledged(c, writers)
            print(f"{count} acknowledged writes, before the disks were full and after: all there; nobody stopped")
        finally:
            subprocess.run([regent, "dev", "down", "--dir", str(c.dir)], capture_output=True, check=False, timeout=60)
            for data in places:
                subprocess.run(["umount", "-l", str(data)], check=False, capture_output=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
