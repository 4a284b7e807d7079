#!/usr/bin/env python3
"""The primary's disk fills up: the node stops, nothing acknowledged is lost, replicas go on, and with room it starts again.
Needs the right to mount a small tmpfs."""
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, skip
from load import Writer, check_acknowledged


def main(regent, _sample):
    if os.geteuid() != 0:
        skip("mounting a small tmpfs needs root")
    with Cluster(regent) as c:
        c.run("dev", "down", "--dir", str(c.dir))
        data = Path(c.region(c.primary)["nodes"][0]["data_dir"])
        kept = data.with_name("data.kept")
        data.rename(kept)
        data.mkdir(mode=0o700)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=72m,mode=700", "none", str(data)], capture_output=True,
                          check=False).returncode != 0:
            skip("a tmpfs cannot be mounted here")
        try:
            subprocess.run(["cp", "-a", f"{kept}/.", str(data)], check=True)
            c.run("dev", "up", "--dir", str(c.dir))
            c.load()
            room = os.statvfs(data)
            filler = room.f_bavail * room.f_frsize - (1 << 20)  # leave 1 MiB
            with open(data / "filler", "wb") as f:
                f.truncate(0)
                os.posix_fallocate(f.fileno(), 0, max(filler, 4096))
            writers = [Writer(c, i, large=True) for i in range(6)]
            for w in writers:
                w.start()
            node, until = c.region(c.primary)["nodes"][0], time.monotonic() + 90
            while c.signal_node(node, 0) and time.monotonic() < until:  # 0: only whether it lives
                time.sleep(0.1)
            assert time.monotonic() < until, "the disk never filled"
            for w in writers:
                w.halt.set()
            for w in writers:
                w.join(20)
            for region in c.replicas:
                assert c.connect(region).status()["ready"]
            (data / "filler").unlink()
            c.start(c.primary)
            c.wait_equal(30)
            count = check_acknowledged(c, writers)
            print(f"{count} acknowledged writes before the disk was full: all there after it had room again")
        finally:
            subprocess.run([regent, "dev", "down", "--dir", str(c.dir)], capture_output=True, check=False, timeout=60)
            subprocess.run(["umount", "-l", str(data)], check=False, capture_output=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
