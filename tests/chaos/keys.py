#!/usr/bin/env python3
"""The key process: it is there beside each node, ends with it however that ends, and the node with it, also while that starts, and also if it
is only stopped; afterwards everything starts again, from files that are links to elsewhere, too."""
import http.client
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import Cluster, Refused


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


def node_of(c, region):
    c.load()
    return c.region(region)["nodes"][0]


def killed_when(c, config, due):
    """A start whose key process is killed when due(seconds since it was there, what the daemon said): it is over soon, and says why."""
    with tempfile.NamedTemporaryFile() as said:
        daemon = subprocess.Popen([Path(c.regent).parent / "regentd", "--config", config], stdin=subprocess.DEVNULL,
                                  stdout=said, stderr=said)
        look = lambda: Path(said.name).read_text(errors="replace")
        try:
            until(lambda: child_of(daemon.pid) is not None or daemon.poll() is not None, "no key process")
            keys = child_of(daemon.pid)
            assert keys is not None, f"it ended before its key process was there: {look()[-3000:]}"
            began = time.monotonic()
            until(lambda: due(time.monotonic() - began, look()), "it does not come that far")
            assert daemon.poll() is None, f"it ended by itself: {look()[-3000:]}"
            os.kill(keys, signal.SIGKILL)
            code = daemon.wait(30)
        finally:
            if daemon.poll() is None:
                print(look()[-3000:])
                daemon.kill()
                daemon.wait()
        text = look()
        assert code > 0 and ("keys.lost" in text or "the key process" in text), (code, text[-3000:])
        assert "clean=yes" not in text, text[-3000:]
        until(lambda: is_over(keys), "an orphan")


def killed_at_any_moment(c, node):
    """Of a start, or while that waits, for days perhaps: for its key, or for others to say what an empty data directory is."""
    rng = random.Random(7)
    for turn in range(10):
        moment = rng.uniform(0, 0.06 * turn)
        killed_when(c, node["config"], lambda seconds, _: seconds >= moment)
    os.kill(node_of(c, c.primary)["pid"], signal.SIGKILL)
    text = Path(node["config"]).read_text()
    other = Path(node["config"]).with_name("waits.yaml")
    for what, to, event in (("keystore: {file: keystore, ", "keystore: {fetch: true, file: to-come, ", "key.fetch"),
                            ("data_dir: data\n", "data_dir: empty\n", "birth.")):
        assert what in text, text
        other.write_text(text.replace(what, to))
        killed_when(c, other, lambda seconds, said: event in said and seconds > 1)
    other.unlink()
    c.start(c.primary)


def stopped(c):
    """It is there, and does nothing: the primary, which asks it about once a second while something is written, ends."""
    node = node_of(c, c.primary)
    keys = child_of(node["pid"])
    os.kill(keys, signal.SIGSTOP)
    written = 0
    end = time.monotonic() + 60
    while not is_over(node["pid"]):
        assert time.monotonic() < end, "the node went on beside a key process that does nothing"
        try:
            c.connect(c.primary, timeout=2).create_user(f"stopped-{written}")
            written += 1
        except (OSError, http.client.HTTPException, Refused):
            pass
        time.sleep(0.1)
    assert "is gone, or does not answer: this one ends, too" in log_of(node), log_of(node)[-3000:]
    until(lambda: is_over(keys), "the stopped key process is an orphan")
    c.start(c.primary)

    node = node_of(c, c.primary)
    keys = child_of(node["pid"])
    os.kill(keys, signal.SIGSTOP)
    os.kill(node["pid"], signal.SIGTERM)
    until(lambda: is_over(node["pid"]), "TERM did not end the node beside a stopped key process")
    until(lambda: is_over(keys), "the stopped key process outlived a TERM")
    c.start(c.primary)


def linked(c, region):
    """Configuration, CA and certificate are links, by a link, into folders that nothing else of the node's is in."""
    node = node_of(c, region)
    os.kill(node["pid"], signal.SIGTERM)
    until(lambda: is_over(node["pid"]), "TERM did not end the node")
    folder = Path(node["config"]).parent
    elsewhere = Path(tempfile.mkdtemp(prefix="regent-linked-"))
    try:
        for file in (Path(node["config"]), folder / "cert.pem", folder.parent / "ca.pem"):
            there = elsewhere / file.name / "there"
            there.parent.mkdir()
            shutil.move(file, there)
            (there.parent / "link").symlink_to(there)
            file.symlink_to(there.parent / "link")
        c.start(region)
        node = node_of(c, region)
        assert child_of(node["pid"]) is not None
        os.kill(node["pid"], signal.SIGTERM)
        until(lambda: is_over(node["pid"]), "TERM did not end the node")
    finally:
        for file in (Path(node["config"]), folder / "cert.pem", folder.parent / "ca.pem"):
            if file.is_symlink():
                there = file.resolve()
                file.unlink()
                shutil.move(there, file)
        shutil.rmtree(elsewhere)
    if "sandbox.files" in log_of(node):
        print("no Landlock here: any file may be opened, wherever links lead")


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
        killed_at_any_moment(c, node)
        c.run("dev", "start", replica)
        c.load()
        linked(c, replica)
        c.run("dev", "start", replica)
        c.load()
        stopped(c)
        revision = c.connect(c.primary).create_user("after")[1]["regent-revision"]
        c.connect(replica, timeout=30).user_id("after", {"Regent-Min-Revision": revision})
        print("kill -9 of either, at any moment of a start, TERM of either, one that is stopped, links: no orphan, no node without its keys")


main()
