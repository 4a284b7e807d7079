#!/usr/bin/env python3
"""The disk of the leader of three voters does not answer any more: another one leads within seconds, before the hung one counts as failed;
that one acknowledges nothing, ends by itself, and comes back when its disk does. And a region's disk does not answer when it is to keep what it
grants: it grants nothing, answers reads, and ends by itself. The disk is a preloaded fsync (hang_preload.c)."""
import http.client
import os
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, wait
from intents import until
from load import check_acknowledged, finish
from voters import FollowingWriter, Story, pause

PAUSE_MAX = 15.0  # 2 s and a look until it steps aside, an election, and the client's own 3 s for an answer that does not come
END_MAX = 60.0   # 10 s until the disk counts as failed, 5 s until the process ends; machines that run tests are noisy


def hanging(regent, preload, **more):
    c = Cluster(regent, **more)
    c.env |= {"LD_PRELOAD": preload, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    return c


def logs_beside(data):
    return "".join(p.read_text(errors="replace") for p in data.parent.glob("*.log"))


def metadata(regent, preload):
    with hanging(regent, preload) as c:
        first, second, _ = c.names
        c.connect(first).create_user("there@before")
        c.wait_equal()
        node = c.region(second)["nodes"][0]
        data = Path(node["data_dir"])
        (data / "HANG-meta").touch()
        c.run("lease", "set", "--regions", "1", "--seconds", "10")  # what a region may grant is on its disk before it grants it
        hung = time.monotonic()
        reads = writes = 0
        while c.signal_node(node, 0) and time.monotonic() - hung < END_MAX:
            try:
                reads += c.connect(second, timeout=5).user_id("there@before") is not None
            except (OSError, http.client.HTTPException):  # it has ended meanwhile
                pass
            try:
                c.connect(first).create_user(f"beside@{time.monotonic()}")  # the third one grants
                writes += 1
            except Refused as refused:  # until it does
                assert refused.status == 503, refused
            time.sleep(0.1)
        ended = time.monotonic() - hung
        log = logs_beside(data)
        assert not c.signal_node(node, 0) and "metadata: a sync has not come back" in log, log[-2000:]
        assert reads > 0 and writes > 0, (reads, writes)
        (data / "HANG-meta").unlink()
        c.start(second)
        wait("it is back", 60, lambda: c.connect(second).status()["ready"])
        c.wait_equal()
    print(f"a region's metadata hung: {reads} reads and {writes} writes elsewhere meanwhile, it ended by itself after {ended:.0f} s, and came back with its disk")


def main(regent, sample, preload):
    del sample
    metadata(regent, preload)
    with_hangs = hanging(regent, preload, options=("--voters", "3"))
    with with_hangs as c:
        story = Story(c)
        writers = [FollowingWriter(c, i) for i in range(2)]
        for w in writers:
            w.start()
        until(lambda: sum(len(w.times) for w in writers) > 50)
        leader = until(story.leader)
        data = c.dir / f"{story.region}-{leader}" / "data"
        assert data.is_dir(), data
        (data / "HANG").touch()
        hung = time.monotonic()
        time.sleep(0.2)  # what was under way has come back
        after = time.monotonic()
        paused = until(lambda: pause(writers, after), seconds=30, every=0.01)
        following = next(i for i in story.nodes if i != leader and story.status(story.nodes[i])["role"] == "PRIMARY")
        print(f"node {leader}'s disk hangs: node {following} leads, writes went on after {paused:.1f} s", flush=True)
        until(lambda: not c.signal_node(story.nodes[leader], 0), seconds=END_MAX)
        ended = time.monotonic() - hung
        log = logs_beside(data)
        assert "leader.aside" in log and "the disk hangs" in log, log[-2000:]
        (data / "HANG").unlink()
        story.start(leader)
        story.learners_follow(until(story.leader), max((w.acknowledged[-1][1] for w in writers), key=lambda r: int(r.split(".")[1])))
        finish(writers)
        count = check_acknowledged(c, writers)
    print(f"{count} acknowledged writes, all there; the hung node ended by itself after {ended:.0f} s, and came back with its disk")
    assert paused < PAUSE_MAX, paused
    assert count > 100


if __name__ == "__main__":
    main(*sys.argv[1:])
