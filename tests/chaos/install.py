#!/usr/bin/env python3
"""A region that was cut off for longer than the primary's log reaches back is sent a snapshot under load: it answers every read meanwhile,
from one state, never an older one; killed while it loads, again and again, it comes to the same state."""
import re
import sys
import threading
import time
from pathlib import Path

from cluster import Cluster, Refused, wait
from load import Writer

KILLS = 3


def node_of(c, region):
    return c.region(region)["nodes"][0]


def state_files(c, region):
    config = Path(node_of(c, region)["config"])
    state = Path(re.search(r"^state_dir: '?([^'\n]+)", config.read_text(), re.M).group(1))
    return sorted(f.name for f in (state if state.is_absolute() else config.parent / state).glob("*.mdb"))


class Reader(threading.Thread):
    """One read after the other at a region: what was refused, how long none came, whether a revision went back."""

    def __init__(self, c, region):
        super().__init__(daemon=True)
        self.connection, self.halt = c.connect(region), threading.Event()
        self.body = {"IdentityStoreId": c.store, "MaxResults": 3}
        self.reads, self.refused, self.back, self.gap_ms, self.revisions = 0, [], [], 0, set()

    def run(self):
        last, good = (0, 0), time.monotonic()
        while not self.halt.is_set():
            try:
                _, headers = self.connection.call("AWSIdentityStore.ListUsers", self.body)
            except (OSError, Refused) as error:
                self.refused.append(repr(error))
                continue
            now = time.monotonic()
            revision = tuple(int(part) for part in headers["regent-revision"].split("."))
            if revision < last:
                self.back.append((last, revision))
            self.gap_ms = max(self.gap_ms, (now - good) * 1000)
            self.revisions.add(revision)
            self.reads, last, good = self.reads + 1, revision, now


def fall_behind(c, region):
    """Cut it off, and write until the primary's log begins behind what it has."""
    for other in c.names:
        if other != region:
            c.link("cut", region, other)
    applied = c.connect(region).status()["log"]["applied"]
    while c.connect(c.primary).status()["log"]["first"] <= applied + 1:
        c.run("bench", "write", "--seconds", "2")


def served_all_the_time(c, region):
    fall_behind(c, region)
    before = c.connect(region).status()
    reader = Reader(c, region)
    reader.start()
    time.sleep(0.3)
    c.link("heal", "all")
    wait("a snapshot in place", 60, lambda: c.connect(region).status()["log"]["snapshot"] > before["log"]["applied"])
    time.sleep(1)
    reader.halt.set()
    reader.join(20)
    assert before["ready"] and not reader.refused and not reader.back, (reader.refused[:3], reader.back[:3])
    assert len(reader.revisions) > 1
    print(f"{reader.reads} reads of {len(reader.revisions)} revisions, the longest pause {reader.gap_ms:.0f} ms, none refused")
    wait("the state before to be gone", 20, lambda: len(state_files(c, region)) == 1)


def killed_while_it_loads(c, region):
    fall_behind(c, region)
    c.link("heal", "all")
    killed = 0
    for _ in range(KILLS):
        end = time.monotonic() + 20
        while time.monotonic() < end and len(state_files(c, region)) < 2:
            time.sleep(0.001)
        killed += len(state_files(c, region)) == 2
        c.kill(region)
        c.start(region)
    print(f"killed {KILLS} times, {killed} of them while two states were there")


def main(regent, _sample):
    with Cluster(regent, options=["--proxy"]) as c:
        config = Path(node_of(c, c.primary)["config"])
        config.write_text(config.read_text() + "snapshot:\n  entries: 3000\n")
        c.kill(c.primary)
        c.start(c.primary)
        writers = [Writer(c, i) for i in range(2)]
        for w in writers:
            w.start()
        served_all_the_time(c, c.replicas[0])
        killed_while_it_loads(c, c.replicas[1])
        for w in writers:
            w.halt.set()
        for w in writers:
            w.join(20)
        c.wait_equal(60)
        for region in c.names:
            wait("one state", 20, lambda r=region: len(state_files(c, r)) == 1)
            assert not [a for a in c.connect(region).status()["alarms"] if a["code"] in ("SnapshotRefused", "Diverged")]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
