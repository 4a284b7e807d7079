#!/usr/bin/env python3
"""A whole machine is set back to an id that it has given up since, mark and all, while the primary is down: the node asks the others, serves
nothing before and nothing after, says so, and goes the way of a node that was replaced. And while nobody answers it goes on as before, as a
region without its primary must.
  given_up.py REGENT SAMPLE"""
import argparse
import http.client
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, wait
from disks import Image, drop_marks, log_of
from intents import until
from load import BROKEN


def readyz(c, region):
    """Its answer, or None."""
    try:
        connection = http.client.HTTPSConnection("127.0.0.1", int(region["url"].rsplit(":", 1)[1]), timeout=3, context=c.tls)
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    except BROKEN:
        return None


def end(c, node):
    c.signal_node(node, signal.SIGKILL)
    until(lambda: not c.signal_node(node, 0), 20)


def launch(c, region):
    """Start it, and wait for nothing."""
    try:
        subprocess.run([c.regent, "dev", "start", region], env=c.env, capture_output=True, timeout=2, check=False)
    except subprocess.TimeoutExpired:
        pass
    c.load()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("regent")
    p.add_argument("sample")
    o = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with Cluster(o.regent) as c:
        c.run("import", o.sample)
        c.wait_equal()
        victim, primary = c.replicas[0], c.primary
        node = c.region(victim)["nodes"][0]
        was = c.connect(victim).status()["node"]

        end(c, node)
        # A region that restarts while nobody answers serves what it has.
        others = [c.region(r)["nodes"][0] for r in c.names if r != victim]
        for other in others:
            end(c, other)
        began = time.monotonic()
        c.start(victim)
        wait("ready, alone", 30, lambda: (readyz(c, c.region(victim)) or (0, ""))[0] == 200)
        print(f"alone, ready {time.monotonic() - began:.1f} s after its start", flush=True)
        node = c.region(victim)["nodes"][0]
        end(c, node)
        image = Image(node, c.dir / "image", {"role": "REPLICA", "node": was})
        for r in c.names:
            if r != victim:
                c.start(r)
        until(lambda: c.connect(primary).status()["role"] == "PRIMARY", 30)

        shutil.rmtree(node["data_dir"])
        drop_marks(node)
        launch(c, victim)
        wait("another id", 120, lambda: (lambda s: s["ready"] and s["node"] != was)(c.connect(victim).status()))
        c.wait_equal(60)
        now = c.connect(victim).status()["node"]
        print(f"{victim} was node {was}, and is {now}", flush=True)

        # The other region has the row by then, and the primary is away: nobody dials this id any more.
        end(c, c.region(victim)["nodes"][0])
        end(c, c.region(primary)["nodes"][0])
        node = c.region(victim)["nodes"][0]
        image.put_back(node, True)
        offset = log_of(node).stat().st_size
        began, seen = time.monotonic(), set()
        launch(c, victim)

        def said():
            answer = readyz(c, c.region(victim))
            if answer is not None:
                seen.add(answer[1])
                assert answer[0] == 503, f"it serves as the node that it was: {answer}"
            return re.search(r"node\.gone by=", log_of(node).read_bytes()[offset:].decode(errors="replace"))
        until(said, 30)
        print(f"it says so {time.monotonic() - began:.1f} s after its start: {sorted(seen)}", flush=True)
        time.sleep(3)
        said()
        alarms = [a["code"] for a in c.connect(victim).status()["alarms"]]
        assert "IdGone" in alarms, alarms  # one of two others is no proof
        c.start(primary)
        until(lambda: b"rejoin.begin" in log_of(node).read_bytes()[offset:] or said() is None, 60)
        text = log_of(node).read_bytes()[offset:].decode(errors="replace")
        assert "came back under another id since" in text, text[-3000:]
        until(lambda: b"rejoin.grace" in log_of(node).read_bytes()[offset:], 20)
        print("with both others there it comes back", flush=True)


if __name__ == "__main__":
    main()
