#!/usr/bin/env python3
"""The primary's disk fills up: the node stops, nothing acknowledged is lost, replicas go on, and with room it starts again.
Needs the right to mount a small tmpfs."""
import http.client
import os
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, skip
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
            writers = [Writer(c, i) for i in range(8)]
            big = "x" * 1000
            for w in writers:
                w.start()
            until, stopped = time.monotonic() + 60, False
            connection = c.connect(c.primary)
            n = 0
            while time.monotonic() < until and not stopped:
                try:
                    connection.call("AWSIdentityStore.CreateGroup",
                                    {"IdentityStoreId": c.store, "DisplayName": f"g{n}", "Description": big})
                    n += 1
                except Refused as refused:
                    assert refused.status in (503, 500), refused
                    stopped = True
                except (OSError, http.client.HTTPException):
                    stopped = True
            for w in writers:
                w.halt.set()
            for w in writers:
                w.join(20)
            assert not [w.error for w in writers if w.error and " 500 " not in w.error], [w.error for w in writers]
            assert stopped, "the disk never filled"
            for region in c.replicas:
                assert c.connect(region).status()["ready"]
            (data / "filler").unlink()
            time.sleep(4)  # the old process ends by itself
            c.start(c.primary)
            c.wait_equal(30)
            count = check_acknowledged(c, writers)
            print(f"{count + n} acknowledged writes before the disk was full: all there after it had room again")
        finally:
            subprocess.run([regent, "dev", "down", "--dir", str(c.dir)], capture_output=True, check=False, timeout=60)
            subprocess.run(["umount", "-l", str(data)], check=False, capture_output=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
