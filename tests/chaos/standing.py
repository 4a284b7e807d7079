"""A node that was killed acts again at once; one whose machine lost its memory asks the others first, and says so; where nobody is left who
would know, an administrator vouches for it. And power fails everywhere: most go on by themselves."""
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from cluster import Cluster, Refused, wait

ONE, TWO, THREE = "us-east-1", "eu-central-1", "ap-southeast-1"


def node(c, name):
    return c.region(name)["nodes"][0]


def log_of(c, name):
    return "\n".join(f.read_text(errors="replace") for f in sorted(Path(node(c, name)["config"]).parent.glob("*.log")))


def forget(c, name):
    """What a reboot does to memory."""
    config = Path(node(c, name)["config"]).read_text()
    state = Path(re.search(r"^state_dir: '?([^'\n]+)", config, re.M).group(1))
    live = state / "live"
    assert live.exists(), f"{live}: the node keeps nothing for the next start"
    live.unlink()


def lose_power(c, *names):
    for name in names:
        c.kill(name)
        forget(c, name)


def launch(c, name):
    """Start it, and wait for nothing."""
    try:
        subprocess.run([c.regent, "dev", "start", name], env=c.env, capture_output=True, timeout=2, check=False)
    except subprocess.TimeoutExpired:
        pass
    c.load()


def standing(c, name):
    return c.connect(name).status()["standing"]


def writes(c, name, user):
    def one():
        try:
            c.connect(name).create_user(user)
        except Refused as refused:
            if refused.code == "ConflictException":  # it was written the time before
                return True
            raise
        return True
    return one


def main(regent, organisation):
    with Cluster(regent, regions=",".join((ONE, TWO, THREE))) as c:
        c.run("import", organisation)
        c.run("durability", "set", "--regions", "1", "--on-shortage", "refuse")
        c.wait_equal()

        wait("all act", 15, lambda: all(standing(c, name) == "firm" for name in c.names))
        asked = log_of(c, TWO).count("standing.asking")
        c.kill(TWO)
        c.start(TWO)
        wait("the killed one is firm", 10, lambda: standing(c, TWO) == "firm")
        assert log_of(c, TWO).count("standing.asking") == asked, "its process alone ended"

        lose_power(c, TWO)
        c.start(TWO)
        wait("it is told", 15, lambda: standing(c, TWO) == "firm")
        assert log_of(c, TWO).count("standing.asking") == asked + 1

        # who would know is away: reads go on, nothing counts
        c.kill(THREE)
        lose_power(c, TWO)
        c.start(TWO)
        wait("it reads", 15, lambda: c.connect(TWO).status()["ready"])
        status = c.connect(TWO).status()
        assert status["standing"] == "asking" and "MemoryUnproved" in json.dumps(status["alarms"]), status
        try:
            c.connect(ONE, timeout=20).create_user("nobody@counts")
            raise AssertionError("a region counted that may have forgotten")
        except Refused as refused:
            assert refused.status == 503, refused
        said = c.run("node", "vouch", "2", "--by", "ada", "--reason", "no disk was put back", "--yes")
        assert "Node 2 acts" in said, said
        wait("it counts", 10, writes(c, ONE, "vouched@for"))
        c.run("node", "vouch", "2", "--by", "ada", "--reason", "again", "--yes", ok=(1, 2, 3, 4, 5, 6, 7, 8, 9, 10))
        c.start(THREE)
        c.wait_equal()

        # power fails everywhere, and one machine does not come back
        lose_power(c, ONE, TWO, THREE)
        c.start(ONE)
        c.start(TWO)
        wait("most go on by themselves", 30, writes(c, ONE, "most@there"))
        c.start(THREE)
        wait("who comes later is told", 20, lambda: standing(c, THREE) == "firm")
        c.wait_equal()

        # the primary is rebooted while one of its two regions has lost its disk: nobody leads who could let that one in
        was = c.connect(TWO).status()["node"]
        lose_power(c, ONE, TWO)
        shutil.rmtree(node(c, TWO)["data_dir"])
        launch(c, ONE)
        launch(c, TWO)
        wait("the primary goes on by itself", 150, writes(c, ONE, "blank@beside"))
        assert "standing.blank" in log_of(c, ONE) and log_of(c, ONE).count("standing.vouched") == 0
        wait("the empty one is back", 150, lambda: (lambda s: s["ready"] and s["node"] != was)(c.connect(TWO).status()))
        c.wait_equal()
        print("asked, told, vouched for, started together, and not waited for")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
