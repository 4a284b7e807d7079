#!/usr/bin/env python3
"""Idle connections of anybody take no descriptor that the log and the links need: with few of them, and all taken that clients may
have, writes go on, log segments are made, and a replica's link is made anew; a limit that is too low is said at the start."""
import socket
import stat
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import Cluster
from load import Writer, check_acknowledged

LIMIT = 72


def limited(regent, folder, limit):
    """A `regent` whose processes may open so many files."""
    path = Path(folder) / f"regent-{limit}"
    path.write_text(f'#!/bin/sh\nulimit -n {limit}\nexec "{regent}" "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def metric(c, region, name):
    text, _ = c.connect(region).request("GET", "/metrics")
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == f"regent_{name}")


def flood(c, region, n):
    """Open as many connections as there may be, and more, and say nothing."""
    host, port = c.region(region)["url"].split("//")[1].split(":")
    opened = []
    for _ in range(n):
        try:
            opened.append(socket.create_connection((host, int(port)), timeout=1))
        except OSError:
            break
    return opened


def main(regent, _sample):
    with tempfile.TemporaryDirectory(prefix="regent-limited-") as folder:
        with Cluster(limited(regent, folder, LIMIT)) as c:
            most = metric(c, c.primary, "http_connections_max")
            assert metric(c, c.primary, "process_max_fds") == LIMIT
            assert 8 <= most < LIMIT - metric(c, c.primary, "process_open_fds"), most
            watch = c.connect(c.primary)  # has its connection before there are none
            watch.status()
            writers = [Writer(c, i, large=True) for i in range(3)]
            for w in writers:
                w.start()
            time.sleep(1)
            idle = flood(c, c.primary, 3 * LIMIT)
            assert len(idle) > most
            fds, before = 0, sum(len(w.acknowledged) for w in writers)
            end = time.monotonic() + 20
            while time.monotonic() < end:
                text, _ = watch.request("GET", "/metrics")
                fds = max(fds, *(int(line.split()[1]) for line in text.splitlines() if line.startswith("regent_process_open_fds")))
                time.sleep(0.1)
            c.kill(c.replicas[0])  # its links end, and are made anew
            c.start(c.replicas[0])
            for w in writers:
                w.halt.set()
            for w in writers:
                w.join(20)
            after = sum(len(w.acknowledged) for w in writers)
            assert all(w.error is None for w in writers), [w.error for w in writers]
            assert after > before + 100, (before, after)
            assert fds <= LIMIT - 4, fds
            for s in idle:
                s.close()
            c.wait_equal(30)
            segments = len(list(Path(c.region(c.primary)["nodes"][0]["data_dir"]).glob("wal/*.wal")))
            assert segments > 1, "no segment was made meanwhile"
            count = check_acknowledged(c, writers)
            print(f"{count} writes beside {len(idle)} idle connections, {segments} segments, at most {fds} of "
                  f"{LIMIT} descriptors open: all there")
        with tempfile.TemporaryDirectory(prefix="regent-test-") as low:
            done = subprocess.run([limited(regent, folder, 32), "dev", "up", "--dir", f"{low}/c", "--regions", "us-east-1"],
                                  capture_output=True, text=True, timeout=60, check=False)
            logs = "".join(p.read_text() for p in Path(low).glob("c/*/*.log"))
            subprocess.run([regent, "dev", "down", "--dir", f"{low}/c", "--purge"], capture_output=True, timeout=60, check=False)
            assert done.returncode != 0 and "LimitNOFILE" in logs + done.stderr, (done, logs)


if __name__ == "__main__":
    main(*sys.argv[1:])
