#!/usr/bin/env python3
"""A node of a new region joins: a token, its folder, its key over its links. A token opens once, for its region, at its
cluster; a replica sends the joining node to the primary; a node whose key was fetched opens links to every region."""
import base64
import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster

WEST = "eu-west-1"


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


def init(c, token, name, stdin=False, ok=True):
    """`regent node init` below the cluster's folder: (its folder, what it printed)."""
    https, link = free_ports(2)
    folder = c.dir / name
    kept = c.dir / f"{name}.token"
    kept.write_text(token + "\n")
    done = subprocess.run([c.regent, "node", "init", "--join", "-" if stdin else str(kept), "--dir", str(folder),
                           "--https", f"127.0.0.1:{https}", "--link", f"127.0.0.1:{link}", "--state-dir", str(folder / "state")],
                          input=token if stdin else None, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode == 0) == ok, (done.returncode, done.stdout, done.stderr)
    return folder, done.stdout + done.stderr


def token_of(c, region, ttl="900"):
    return c.run("region", "token", region, "--ttl", ttl).strip()


def changed(token, **fields):
    text = token[5:]
    offer = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    offer.update(fields)
    return "rgj1." + base64.urlsafe_b64encode(json.dumps(offer).encode()).decode().rstrip("=")


class Node:
    """A regentd that we started ourselves; ended by its own handle."""

    def __init__(self, c, folder):
        self.log = folder / "regentd.log"
        self.process = subprocess.Popen([str(Path(c.regent).parent / "regentd"), "--config", str(folder / "regentd.yaml")],
                                        stderr=self.log.open("ab"), stdin=subprocess.DEVNULL)

    def wait_log(self, *words, seconds=30):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for line in self.log.read_text(errors="replace").splitlines():
                if all(w in line for w in words):
                    return line
            assert self.process.poll() is None, self.log.read_text(errors="replace")[-2000:]
            time.sleep(0.02)
        raise AssertionError(f"no {words} in\n" + self.log.read_text(errors="replace")[-2000:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise


def refusals(c, used):
    """What each bad token is told; none of them makes a folder."""
    good = token_of(c, WEST)
    cases = [
        ("used twice", used, "used already"),
        ("another region's", changed(good, region="eu-west-2"), "is for region eu-west-1, not for eu-west-2"),
        ("never made", changed(good, secret="A" * 43), "not known here"),
        ("cut short", good[:200], "cut short"),
        ("no token", "hello", "is no join token"),
        ("nobody there", changed(good, urls=["https://127.0.0.1:1"]), "no primary can be reached at 1 known address"),
        ("another CA", changed(good, ca=other_ca(c)), "cannot be reached"),
    ]
    for name, token, says in cases:
        folder, out = init(c, token, "bad", ok=False)
        assert says in out, (name, says, out)
        assert not folder.exists(), name
        time.sleep(0.3)  # refused attempts are counted by the second
    return good


def other_ca(c):
    path = c.dir / "other-ca.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                    "/dev/null", "-subj", "/CN=other", "-out", str(path)], check=True, capture_output=True)
    return path.read_text()


def main(regent, _sample):
    with Cluster(regent, regions="us-east-1,eu-central-1") as c:
        token = token_of(c, WEST)
        replica_first = changed(token, urls=[c.region("eu-central-1")["url"], c.region("us-east-1")["url"]])
        folder, out = init(c, replica_first, "west", stdin=True)
        assert "Node 3 of region eu-west-1 is prepared" in out and f"regent region add {WEST}" in out, out
        for name, mode in (("key.pem", 0o600), ("passphrase", 0o600), ("cert.pem", 0o644), ("ca.pem", 0o644)):
            assert (folder / name).stat().st_mode & 0o777 == mode, name
        _, again = init(c, token, "west", ok=False)
        assert "was made here already" in again, again

        node = Node(c, folder)
        try:
            # Stopped while it waits for its key: at once, and cleanly.
            for region in c.names:
                for n in c.region(region)["nodes"]:
                    c.signal_node(n, signal.SIGSTOP)
            node.wait_log("key.waiting")
            assert node.stop() == 0
            assert not (folder / "keystore").exists()
            for region in c.names:
                for n in c.region(region)["nodes"]:
                    c.signal_node(n, signal.SIGCONT)
            node = Node(c, folder)
            node.wait_log("key.received")
            node.wait_log("regentd.started")
            node.wait_log("link.candidate", "peer=1 ")
            node.wait_log("link.candidate", "peer=2 ")
            assert (folder / "keystore").stat().st_mode & 0o777 == 0o600
            assert node.stop() == 0
            # With its keystore it asks for nothing.
            (folder / "regentd.log").unlink()
            node = Node(c, folder)
            node.wait_log("regentd.started")
            assert "key.fetch" not in node.log.read_text()
            node.wait_log("link.up", "peer=1 ")
            # The primary restarts: the row is still there, and the link comes back.
            c.kill("us-east-1")
            c.start("us-east-1")
            deadline = time.monotonic() + 30
            while node.log.read_text().count("link.up peer=1 ") < 2:
                assert time.monotonic() < deadline, node.log.read_text()[-3000:]
                time.sleep(0.05)
        finally:
            code = node.stop()
        assert code == 0, code

        refusals(c, token)
    print("a node joined with a token, fetched its key, came back; used, forged and misdirected tokens were refused")


if __name__ == "__main__":
    main(*sys.argv[1:3])
