"""A node that runs twice, and a machine that is set back: a peer that has seen a later start deals with no earlier one, whoever was restarted."""
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, wait
from wiped import log_of, start_soon


def bound(c, region):
    return all(n.get("incarnation") or n["self"] for r in c.connect(region).status()["regions"] for n in r["nodes"])


def alarms(c, region):
    return [a["code"] for a in c.connect(region).status()["alarms"]]


def copy_of(node, folder):
    """The node's whole folder, as it is on the disk at this moment, at another address. Its configuration."""
    config = Path(node["config"])
    shutil.copytree(config.parent, folder)
    text = (folder / config.name).read_text()
    text = re.sub(r"(?m)^state_dir: .*$", f"state_dir: /dev/shm/regent-clone-{folder.parent.name}", text)
    text = re.sub(r"(?m)^(  (?:https|link): '127\.0\.0\.1:)\d+'", r"\g<1>0'", text)
    (folder / config.name).write_text(text)
    return folder / config.name


def clone(regent):
    with Cluster(regent) as c:
        first, _, third = c.names
        node = c.region(third)["nodes"][0]
        regentd = str(Path(regent).with_name("regentd"))
        wait("every id is bound", 30, lambda: bound(c, first))
        wait("a new cluster has written what it is", 30, lambda: "epoch.noted" in log_of(c.region(first)["nodes"][0]))
        c.wait_equal()  # the copy lacks nothing: it would be told that it was set back
        config = copy_of(node, Path(node["config"]).parent.parent / "copy")
        with open(f"{config}.log", "wb") as log, subprocess.Popen([regentd, "--config", str(config)], stdout=log, stderr=log) as copy:
            try:
                wait("what was copied ends", 20, lambda: "RG_ESUPERSEDED" in log_of(node) and "regentd.stopped" in log_of(node))
                wait("it is said", 30, lambda: "Clone" in alarms(c, first))
                again = subprocess.run([regentd, "--config", node["config"]], capture_output=True, timeout=30, check=False)
                assert again.returncode == 78, again
                assert copy.poll() is None
            finally:
                copy.terminate()
            assert copy.wait(timeout=30) == 0
        c.run("node", "reset", "--config", node["config"])
        start_soon(c, third)
        wait("reset, it is back under a new id", 100, lambda: c.connect(third).status()["ready"])
        assert c.connect(third).status()["node"] > 3
        print(f"{third}: a copy went on, what was copied ended with 78 and came back as {c.connect(third).status()['node']}")


def set_back(regent):
    """Nothing is lost but a start: no position and no mark tells, and the primary is restarted."""
    with Cluster(regent) as c:
        first, second, third = c.names
        node = c.region(third)["nodes"][0]
        folder = Path(node["config"]).parent
        wait("every id is bound", 10, lambda: bound(c, first))
        c.kill(third)
        shutil.copytree(folder, folder.parent / "image")
        c.start(third)
        c.kill(third)
        c.kill(first)
        shutil.rmtree(folder)
        shutil.move(folder.parent / "image", folder)
        time.sleep(3)
        c.start(first)
        start_soon(c, third)
        wait("it hears that it was set back", 20, lambda: "rejoin.grace" in log_of(node))
        assert "Forgot" in alarms(c, first) + alarms(c, second)
        wait("it is back under a new id", 100, lambda: c.connect(third).status()["ready"])
        assert c.connect(third).status()["node"] > 3
        print(f"{third}: set back by one start, back as {c.connect(third).status()['node']}")


clone(sys.argv[1])
set_back(sys.argv[1])
