#!/usr/bin/env python3
"""The key process: it is there beside each node, ends with it however that ends, and the node with it; afterwards everything starts again."""
import os
import signal
import sys
import time
from pathlib import Path

from cluster import Cluster


def child_of(pid):
    """The key process of a node; None: there is none."""
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                if Path(f"/proc/{child}/cmdline").read_bytes().startswith(b"regentd-keys\0"):
                    return int(child)
    except OSError:
        pass
    return None


def is_over(pid):
    """Gone, or only its name is left."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] in "ZX"
    except OSError:
        return True


def until(what, said, seconds=30):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, said
        time.sleep(0.05)


def log_of(node):
    return "".join(p.read_text(errors="replace") for p in Path(node["config"]).parent.glob("*.log"))


def main():
    with Cluster(sys.argv[1], regions="us-east-1,eu-central-1") as c:
        c.connect(c.primary).create_user("before")
        replica = c.replicas[0]

        node = c.region(replica)["nodes"][0]
        keys = child_of(node["pid"])
        assert keys is not None, "no key process"
        assert f"{node['config']}".encode() in Path(f"/proc/{keys}/cmdline").read_bytes()
        if "sandbox.calls" not in log_of(node):  # no sanitizer, and a kernel with seccomp
            for pid in (node["pid"], keys):
                status = Path(f"/proc/{pid}/status").read_text()
                assert "Seccomp:\t2" in status and "NoNewPrivs:\t1" in status, status
        else:
            print("no seccomp here, or a sanitizer: the boxes are not looked at")
        os.kill(keys, signal.SIGTERM)  # as a terminal or a service manager does to the whole group: not the node's end
        time.sleep(0.3)
        assert not is_over(keys), "the key process ended before its node"
        os.kill(node["pid"], signal.SIGKILL)
        until(lambda: is_over(keys), "kill -9 of the node left its key process")

        c.run("dev", "start", replica)
        c.load()
        node = c.region(replica)["nodes"][0]
        keys = child_of(node["pid"])
        os.kill(keys, signal.SIGKILL)
        until(lambda: is_over(node["pid"]), "the node went on without its key process")
        assert "keys.lost" in log_of(node), log_of(node)[-2000:]

        c.run("dev", "start", replica)
        c.load()
        node = c.region(replica)["nodes"][0]
        keys = child_of(node["pid"])
        os.kill(node["pid"], signal.SIGTERM)
        until(lambda: is_over(node["pid"]), "TERM did not end the node")
        until(lambda: is_over(keys), "the key process outlived a clean end")
        c.run("dev", "start", replica)
        c.load()
        revision = c.connect(c.primary).create_user("after")[1]["regent-revision"]
        c.connect(replica, timeout=30).user_id("after", {"Regent-Min-Revision": revision})
        print("kill -9 of either, TERM of either, and again: no orphan, no node without its keys")


main()
