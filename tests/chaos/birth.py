"""An instance is made once, by a node that was told to, and never out of an empty disk: a primary whose disk is lost while its replica is
away makes nothing and comes back under a new id; a data directory that is set back alone, or is another node's, is recognised by the
machine's mark; of two nodes that are told to make an instance at once one does; where somebody insists, and two are made, neither takes
anything of the other, and both say so."""
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, wait


def log_of(node):
    return Path(node["config"] + ".log").read_text(errors="replace")


def regentd(c, node, *args):
    """A process of ours; its handle. Its log goes where `dev start` writes it."""
    with open(node["config"] + ".log", "ab") as log:
        process = subprocess.Popen([str(Path(c.regent).parent / "regentd"), "--config", node["config"], *args], stderr=log, stdin=subprocess.DEVNULL)
    node["pid"] = process.pid
    return process


def exit_of(c, node, *args):
    done = subprocess.run([str(Path(c.regent).parent / "regentd"), "--config", node["config"], *args], capture_output=True, text=True, timeout=60,
                          check=False)
    return done.returncode, done.stderr


def start_soon(c, region):
    try:
        subprocess.run([c.regent, "dev", "start", region], env=c.env, capture_output=True, timeout=3, check=False)
    except subprocess.TimeoutExpired:
        pass
    c.load()


def says(c, region):
    try:
        c.connect(region, timeout=3).status()
    except Refused as refused:
        return refused.body.get("message", "")
    return ""


def marks(node):
    return list(Path(node["data_dir"]).parent.glob(".regent-mark-*"))


def primary_lost(regent, with_mark):
    with Cluster(regent, regions="us-east-1,eu-central-1") as c:
        first, second = c.names
        node = c.region(first)["nodes"][0]
        c.connect(first).create_user("kept")
        c.wait_equal()
        c.kill(first)
        c.kill(second)
        shutil.rmtree(node["data_dir"])
        for mark in marks(node) if with_mark else []:
            mark.unlink()
        start_soon(c, first)
        wait("it waits, and says why", 20, lambda: says(c, first).startswith("NoInstance: " if with_mark else "Blank: "))
        time.sleep(2)
        c.start(second)
        assert c.connect(second).user_id("kept")
        wait("it hears that it was a member", 20, lambda: "rejoin.grace" in log_of(node))
        assert says(c, first).startswith("Blank: "), says(c, first)
        c.run("failover", "declare", "--to", second, "--by", "t", "--reason", "t", "--yes")
        c.connect(second).create_user("later")
        wait("it is back as a replica, under a new id", 80, lambda: c.connect(first).status()["ready"] and c.connect(first).status()["node"] > 2)
        c.wait_equal()
        assert c.connect(first).user_id("kept") and c.connect(first).user_id("later")
        c.run("lost-tail", "list")
        if with_mark:
            others_moved(c, first, second)
        print(f"the primary's disk was lost{', and its mark' if with_mark else ''}: nothing was made of it, nothing is lost")


def others_moved(c, first, second):
    """Wherever it asks another id answers than the one that its configuration names: it hears that it was a member all the same."""
    node = c.region(second)["nodes"][0]
    c.run("switchover", "--to", first, "--by", "t", "--reason", "t")
    c.kill(second)
    shutil.rmtree(node["data_dir"])
    for mark in marks(node):
        mark.unlink()
    start_soon(c, second)
    wait("it hears that it was a member", 30, lambda: "birth.returns" in log_of(node))
    wait("it is back under a new id", 80, lambda: c.connect(second).status()["ready"] and c.connect(second).status()["node"] > 3)
    c.wait_equal()
    assert c.connect(second).user_id("kept") and c.connect(second).user_id("later")


def set_back_and_swapped(regent):
    with Cluster(regent, regions="us-east-1,eu-central-1,ap-southeast-1") as c:
        first, second, third = c.names
        node, other = c.region(second)["nodes"][0], c.region(third)["nodes"][0]
        data, image = Path(node["data_dir"]), Path(node["data_dir"]).parent / "image"
        c.kill(second)
        shutil.copytree(data, image)
        c.start(second)
        for i in range(30):
            c.connect(first).create_user(f"user{i}")
        c.wait_equal()
        time.sleep(2.5)
        for name in (first, second, third):
            c.kill(name)
        # another node's directory
        shutil.move(data, data.parent / "aside")
        shutil.copytree(other["data_dir"], data)
        code, text = exit_of(c, node)
        assert code == 78 and "NotThisNode" in text, (code, text)
        shutil.rmtree(data)
        # its own, older: nobody else is there, and it knows all the same
        shutil.move(image, data)
        start_soon(c, second)
        wait("it knows that it has forgotten", 20, lambda: "node.forgot" in log_of(node) and "rejoin.grace" in log_of(node))
        c.start(first)
        c.start(third)
        wait("it is back under a new id", 80, lambda: c.connect(second).status()["ready"] and c.connect(second).status()["node"] > 3)
        c.wait_equal()
        # a log without metadata; and a reset
        c.kill(third)
        (Path(other["data_dir"]) / "meta").rename(Path(other["data_dir"]) / "meta.away")
        code, text = exit_of(c, other)
        assert code == 78 and "MetaMissing" in text, (code, text)
        c.run("node", "reset", "--config", other["config"])
        start_soon(c, third)
        wait("it hears that it was a member", 20, lambda: "birth.returns" in log_of(other))
        code, text = exit_of(c, c.region(first)["nodes"][0], "--init")
        assert code != 0, "a second process under a running one"
        c.kill(first)
        code, text = exit_of(c, c.region(first)["nodes"][0], "--init")
        assert code == 78 and "InitRefused" in text, (code, text)
        print("directories set back, swapped and without metadata are recognised")


def made_once(regent):
    with Cluster(regent, regions="us-east-1,eu-central-1,ap-southeast-1") as c:
        c.run("dev", "down", "--dir", str(c.dir))
        nodes = [c.region(n)["nodes"][0] for n in c.names]
        for node in nodes:
            shutil.rmtree(node["data_dir"])
            for mark in marks(node):
                mark.unlink()
        with open(nodes[1]["config"], "a", encoding="utf-8") as config:
            config.write("bootstrap: ../bootstrap.yaml\n")
        ours = []
        try:
            ours += [regentd(c, nodes[0]), regentd(c, nodes[1])]
            wait("both wait", 20, lambda: all(says(c, n).startswith("NoInstance: ") for n in c.names[:2]))
            done = subprocess.run([regent, "cluster", "init", "--at", "1"], env=c.env, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode != 0 and "node 3" in done.stderr, done
            ours[0].terminate()
            ours[1].terminate()
            assert [p.wait(20) for p in ours] == [0, 0]
            ours = [regentd(c, node, "--init") for node in nodes[:2]] + [regentd(c, nodes[2])]
            wait("one instance", 30, lambda: all(c.connect(n).status()["ready"] for n in c.names))
            assert len({c.connect(n).status()["hash"] for n in c.names} | {c.wait_equal()}) == 1
            made = [log_of(n).count("birth.makes") for n in nodes]
            assert sum(made) == len(nodes[:1]) + 1, made  # the first time, by `dev up`, and now
            assert "InitRefused" in log_of(nodes[1]) or "birth.joins" in log_of(nodes[1])
            done = subprocess.run([regent, "cluster", "init", "--at", "1"], env=c.env, capture_output=True, text=True, timeout=60, check=False)
            assert done.returncode != 0 and "made once" in done.stderr, done
            for p in ours:
                p.terminate()
            for p in ours:
                p.wait(20)
            for node in nodes:
                shutil.rmtree(node["data_dir"])
                for mark in marks(node):
                    mark.unlink()
            ours = [regentd(c, node) for node in nodes]
            wait("all wait", 20, lambda: all(says(c, n).startswith("NoInstance: ") for n in c.names))
            c.run("cluster", "init", "--at", "2")
            wait("the others join", 30, lambda: all(c.connect(n).status()["ready"] for n in c.names))
            assert c.connect(c.names[1]).status()["role"] == "PRIMARY"
        finally:
            for p in ours:
                p.terminate()
            for p in ours:
                p.wait(20)
        print("two were told to make an instance: one did; over HTTPS too")


def alarms(c, region):
    try:
        return {a["code"]: a["text"] for a in c.connect(region, timeout=3).status()["alarms"]}
    except (OSError, Refused):
        return {}


def made_twice(regent):
    with Cluster(regent, regions="us-east-1,eu-central-1") as c:
        first, second = c.names
        node = c.region(second)["nodes"][0]
        c.connect(first).create_user("kept")
        c.wait_equal()
        c.kill(first)
        c.kill(second)
        shutil.rmtree(node["data_dir"])
        for mark in marks(node):
            mark.unlink()
        with open(node["config"], "a", encoding="utf-8") as config:
            config.write("bootstrap: ../bootstrap.yaml\n")
        theirs = regentd(c, node, "--init", "--without", "1")
        try:
            wait("another instance", 30, lambda: c.connect(second).status()["role"] == "PRIMARY")
            c.start(first)
            wait("both say so", 30, lambda: "ForeignHistory" in alarms(c, first) and "ForeignHistory" in alarms(c, second))
            assert "history.foreign" in log_of(node)
            assert c.connect(first).status()["history"] != c.connect(second).status()["history"]
            c.connect(first).create_user("more")
            theirs.terminate()
            assert theirs.wait(20) == 0
            c.kill(first)
            c.start(first)
            assert "ForeignHistory" in alarms(c, first)  # also after a restart, though nobody is there
            c.run("node", "reset", "--config", node["config"])
            theirs = regentd(c, node)
            wait("it is one of the first's", 80, lambda: c.connect(second).status()["ready"])
            c.wait_equal()
            assert c.connect(second).user_id("kept") and c.connect(second).user_id("more")
            wait("nobody is foreign any more", 60, lambda: "ForeignHistory" not in alarms(c, first) and "ForeignHistory" not in alarms(c, second))
        finally:
            theirs.terminate()
            theirs.wait(20)
        print("two instances were made: neither took anything of the other, and both said so until one was reset")


def main(regent, organisation):
    primary_lost(regent, False)
    primary_lost(regent, True)
    set_back_and_swapped(regent)
    made_once(regent)
    made_twice(regent)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
