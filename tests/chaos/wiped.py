"""Disks that are lost: a node that comes back empty is taken back by nobody under its id, whoever was restarted; by itself it gets a new
one. A replica, a region that would renew an old primary's lease, and a voter."""
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, wait


def wipe(node):
    shutil.rmtree(node["data_dir"])


def start_soon(c, region, node=None):
    """Without waiting until it is ready."""
    args = ["dev", "start", region] + (["--node", str(node)] if node else [])
    try:
        subprocess.run([c.regent, *args], env=c.env, capture_output=True, timeout=3, check=False)
    except subprocess.TimeoutExpired:
        pass
    c.load()


def log_of(node):
    return Path(node["config"] + ".log").read_text(errors="replace")


def replica(regent, organisation):
    with Cluster(regent) as c:
        first, second, third = c.names
        c.run("import", organisation)
        c.wait_equal()
        node = c.region(third)["nodes"][0]
        wait("every id is bound", 10, lambda: all(n.get("incarnation") or n["self"] for r in c.connect(first).status()["regions"]
                                                  for n in r["nodes"]))
        before = c.connect(third).status()
        c.kill(third)
        wipe(node)
        c.kill(first)  # whoever remembers is gone: the log knows
        start_soon(c, third)
        wait("it hears from another replica that it was a member", 20, lambda: "rejoin.grace" in log_of(node))
        try:
            raise AssertionError(f"it shows a state: {c.connect(third).status()}")
        except Refused as refused:
            assert refused.status == 503 and refused.body["message"].startswith("Blank: "), refused
            assert "Now: it gives up its id in " in refused.body["message"], refused
        c.start(first)
        wait("it is back under a new id", 80, lambda: c.connect(third).status()["ready"])
        after = c.connect(third).status()
        assert after["node"] != before["node"] and after["incarnation"] != before["incarnation"], (before, after)
        c.wait_equal()
        assert not any(a["code"] == "OtherDirectory" for a in c.connect(second).status()["alarms"])
        c.kill(third)  # its id went with the data, and the mark with it: what is left is the file's id, which is nobody's any more
        wipe(node)
        for mark in Path(node["data_dir"]).parent.glob(".regent-mark-*"):
            mark.unlink()
        start_soon(c, third)
        wait("it hears that it was a member", 20, lambda: log_of(node).count("birth.returns") == 2)
        assert log_of(node).count("birth.joins") == 1  # the first time
        print(f"{third}: node {before['node']} wiped, back as {after['node']}; wiped again, it was a member")


def granter(regent):
    with Cluster(regent, options=["--proxy"]) as c:
        a, b, d = c.names
        c.run("lease", "set", "--regions", "1", "--seconds", "5")
        wait("the lease is settled", 20, lambda: c.connect(a).status()["lease"]["settled"])
        c.run("dev", "link", "cut", a, b)
        c.run("dev", "link", "cut", a, d)
        time.sleep(7)
        c.run("failover", "declare", "--to", b, "--by", "t", "--reason", "t", "--yes")
        c.kill(d)
        wipe(c.region(d)["nodes"][0])
        c.run("dev", "link", "cut", b, d)
        c.run("dev", "link", "heal", a, d)  # reaches the old primary alone
        c.kill(a)
        start_soon(c, a)
        start_soon(c, d)
        until, acked = time.monotonic() + 8, 0
        while time.monotonic() < until:
            try:
                c.connect(a, timeout=3).create_user(f"lost{until}")
                acked += 1
            except (OSError, Refused):
                time.sleep(0.2)
        assert acked == 0
        c.run("dev", "link", "heal", "all")
        wait("both are back under new ids", 100, lambda: all(c.connect(n).status()["ready"] and c.connect(n).status()["node"] > 3
                                                            for n in (a, d)))
        c.wait_equal()
        print("a superseded primary got no lease out of a wiped region")


def voter(regent):
    with Cluster(regent, regions="us-east-1", options=["--voters", "3"]) as c:
        nodes = c.region("us-east-1")["nodes"]

        def look(n):
            return next(k for k in c.file["regions"][0]["nodes"] if k["id"] == n["id"])

        def status(n):
            conn = c.connect("us-east-1", timeout=3)
            conn.url = n["url"]
            return conn.status()

        def leader():
            return next((n for n in nodes if status(n)["role"] == "PRIMARY"), None)

        wait("a leader", 20, leader)
        wait("every id is bound", 10, lambda: status(leader())["bound"] and all(
            n.get("incarnation") or n["self"] for n in status(leader())["regions"][0]["nodes"]))
        lead = leader()
        lost, away = [n for n in nodes if n["id"] != lead["id"]]
        time.sleep(0.5)
        c.run("dev", "kill", "us-east-1", "--node", str(away["id"]))
        time.sleep(1)
        conn = c.connect("us-east-1")
        conn.url = lead["url"]
        conn.create_user("kept")
        for n in (lead, lost):
            c.run("dev", "kill", "us-east-1", "--node", str(n["id"]))
        wipe(lost)
        start_soon(c, "us-east-1", lost["id"])
        start_soon(c, "us-east-1", away["id"])
        wait("the wiped one hears that it was a member", 20, lambda: "rejoin.grace" in log_of(lost))
        time.sleep(3)
        try:
            raise AssertionError(f"one of three nodes serves by itself: {status(away)}")
        except Refused as refused:
            assert refused.body["message"] == "waiting for a leader", refused
        start_soon(c, "us-east-1", lead["id"])

        def has_kept(n):
            k = c.connect("us-east-1", timeout=3)
            k.url = n["url"]
            return k.user_id("kept")

        wait("the two that have it lead", 20, lambda: has_kept(lead) and has_kept(away))
        wait("the third voter is back under a new id", 100, lambda: status(lost)["node"] > 3 and status(lost)["ready"] and has_kept(lost))

        def leads():
            return next(status(n) for n in (lead, away) if status(n)["role"] == "PRIMARY")

        def voters():
            return "voter.added node=%d" % status(lost)["node"] in log_of(lead) + log_of(away)

        wait("and votes", 30, lambda: leads() and voters())
        print(f"voter {lost['id']} wiped, back as {status(lost)['node']}")


def main(regent, organisation):
    replica(regent, organisation)
    granter(regent)
    voter(regent)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
