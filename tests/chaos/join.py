#!/usr/bin/env python3
"""A node of a new region joins: a token, its folder, a request, and, when an administrator has let it in by the fingerprint of its key, its
certificate, its key over its links. A token opens once, for its region and names, at its cluster; a replica sends the joining node to the
primary; nobody dials a node that was not let in, and it is given nothing; a node whose key was fetched opens links to every region."""
import base64
import http.client
import json
import os
import pty
import re
import signal
import socket
import ssl
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


def token_for(c, *names):
    return c.run("region", "token", WEST, "--name", ",".join(names)).strip()


def changed(token, **fields):
    text = token[5:]
    offer = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    offer.update(fields)
    return "rgj1." + base64.urlsafe_b64encode(json.dumps(offer).encode()).decode().rstrip("=")


class Node:
    """A regentd that we started ourselves, with a log of its own; ended by its own handle."""

    def __init__(self, c, folder):
        self.log = folder / "regentd.log"
        self.log.unlink(missing_ok=True)
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

    def wait_end(self, seconds=30):
        """It was removed, and waits for its grace to be over."""
        self.wait_log("node.removed", seconds=seconds)

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
        ("for other names", token_for(c, "west.example"), "--name 127.0.0.1"),
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


def listed(c, id):
    """The row of `regent node list`, or None."""
    nodes = json.loads(c.run("node", "list", "--json"))["nodes"]
    return next((n for n in nodes if n["id"] == id), None)


class Listener:
    """Stands where a node says it is, and counts who comes."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port))
        self.socket.settimeout(0.1)

    def came(self, seconds):
        n, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                self.socket.accept()[0].close()
                n += 1
            except TimeoutError:
                pass
        return n

    def close(self):
        self.socket.close()


def link_port(folder):
    return int(re.search(r"link: '127\.0\.0\.1:(\d+)'", (folder / "regentd.yaml").read_text()).group(1))


def flood(c, source, n):
    """Refused attempts from another address; how many were limited, and how long it took."""
    host, port = c.region("us-east-1")["url"].split("//")[1].split(":")
    context = ssl.create_default_context(cafile=c.file["ca"])
    limited, began = 0, time.monotonic()
    conn = http.client.HTTPSConnection(host, int(port), timeout=20, context=context, source_address=(source, 0))
    for _ in range(n):
        conn.request("POST", "/v1/join", json.dumps({"secret": "guess"}))
        answer = conn.getresponse()
        answer.read()
        limited += answer.status == 429
    conn.close()
    return limited, time.monotonic() - began


def typed(c, *args, text):
    """A command at a terminal, with what is typed there: (exit code, output)."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["REGENT_CLUSTER"] = str(c.dir / "cluster.json")
        os.execv(c.regent, [c.regent, *args])
    os.write(fd, text.encode())
    out = b""
    while True:
        try:
            more = os.read(fd, 4096)
        except OSError:
            break
        if not more:
            break
        out += more
    os.close(fd)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out.decode(errors="replace")


def stop_and_start(c, how):
    for region in c.names:
        for n in c.region(region)["nodes"]:
            c.signal_node(n, how)


def joins(c, token):
    """From the token to the links of a running node. Returns its folder."""
    replica_first = changed(token, urls=[c.region("eu-central-1")["url"], c.region("us-east-1")["url"]])
    folder, out = init(c, replica_first, "west", stdin=True)
    fingerprint = c.run("node", "fingerprint", str(folder)).strip()
    assert "Node 3 of region eu-west-1 is prepared" in out and f"regent region add {WEST}" in out and fingerprint in out, out
    for name, mode in (("key.pem", 0o600), ("passphrase", 0o600), ("ca.pem", 0o644)):
        assert (folder / name).stat().st_mode & 0o777 == mode, name
    assert not (folder / "cert.pem").exists()
    _, again = init(c, token, "west", ok=False)
    assert "was made here already" in again, again
    row = listed(c, 3)
    assert row["status"] == "REQUESTED" and row["fingerprint"] == fingerprint and row["from"] == "127.0.0.1" and row["release"], row

    listener = Listener(link_port(folder))
    assert listener.came(4) == 0, "somebody dials a node that was not let in"
    listener.close()
    node = Node(c, folder)
    try:
        node.wait_log("cert.waiting", "was not let in yet")
        assert node.stop() == 0  # while it waits: at once, and cleanly
        assert not (folder / "keystore").exists() and not (folder / "cert.pem").exists()
        node = Node(c, folder)
        node.wait_log("cert.waiting", fingerprint)
        # Nobody adds it without having seen it.
        missing = c.run("region", "preflight", WEST, ok=(1,))
        assert "admission" in missing and "--fingerprint" in missing, missing
        c.run("region", "add", WEST, ok=(2,))  # there is nobody to ask
        wrong = ("AAAAA" if not fingerprint.startswith("AAAAA") else "BBBBB") + fingerprint[5:]
        c.run("region", "add", WEST, "--fingerprint", wrong, ok=(1,))
        c.run("node", "approve", "3", "--fingerprint", wrong, ok=(1,))
        code, said = typed(c, "region", "add", WEST, text="WRONG\n")
        assert code == 2 and "nobody was let in" in said and fingerprint in said, (code, said)
        assert listed(c, 3)["status"] == "REQUESTED" and not (folder / "keystore").exists()
        c.run("node", "approve", "3", "--fingerprint", fingerprint.lower().replace("-", ""))
        node.wait_log("cert.received")
        # Stopped while it waits for its key: at once, and cleanly.
        node.wait_log("key.received")
        node.wait_log("regentd.started")
        node.wait_log("link.candidate", "peer=1 ")
        node.wait_log("link.candidate", "peer=2 ")
        assert (folder / "keystore").stat().st_mode & 0o777 == 0o600
        assert node.stop() == 0
        (folder / "keystore").unlink()
        stop_and_start(c, signal.SIGSTOP)
        node = Node(c, folder)
        node.wait_log("key.waiting")
        assert node.stop() == 0
        assert not (folder / "keystore").exists()
        stop_and_start(c, signal.SIGCONT)
        node = Node(c, folder)
        node.wait_log("link.up", "peer=1 ")
        # With its keystore it asks for nothing.
        node.wait_log("regentd.started")
        assert (folder / "keystore").exists()
        assert node.stop() == 0
        node = Node(c, folder)
        node.wait_log("regentd.started")
        assert "key.fetch" not in node.log.read_text() and "cert.fetch" not in node.log.read_text()
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


def added_at_once(c):
    """Two commands: what is typed is the first group of what the host showed."""
    folder, _ = init(c, token_of(c, "sa-east-1"), "south", stdin=True)
    fingerprint = c.run("node", "fingerprint", str(folder)).strip()
    node = Node(c, folder)
    try:
        code, said = typed(c, "region", "add", "sa-east-1", text=fingerprint[:5].lower() + "\n")
        assert code == 0 and "sa-east-1 is ACTIVE" in said, (code, said, node.log.read_text()[-3000:])
        c.run("region", "remove", "sa-east-1", "--yes")
        node.wait_end()
    finally:
        node.stop()


def sent_away(c):
    """What asks is listed, sent away, and gone for good; a token is taken back."""
    folder, _ = init(c, token_of(c, "ap-south-1"), "gone", stdin=True)
    id = max(n["id"] for n in json.loads(c.run("node", "list", "--json"))["nodes"])
    node = Node(c, folder)
    try:
        node.wait_log("cert.waiting", "was not let in yet")
        done = subprocess.run([c.regent, "region", "remove", "ap-south-1", "--yes"], env=c.env, capture_output=True, text=True, timeout=60,
                              check=False)
        assert done.returncode == 1 and f"regent node withdraw {id}" in done.stderr, done
        c.run("node", "withdraw", str(id))
        node.wait_log("cert.waiting", "was withdrawn")
        assert listed(c, id) is None
        c.run("node", "withdraw", str(id), ok=(1,))
        c.run("node", "approve", str(id), "--fingerprint", c.run("node", "fingerprint", str(folder)).strip(), ok=(1,))
    finally:
        assert node.stop() == 0
    token = token_of(c, "ap-south-1")
    tokens = [t for t in json.loads(c.run("token", "list", "--json"))["tokens"] if t["region"] == "ap-south-1" and t["status"] == "NEW"]
    assert len(tokens) == 1, tokens
    c.run("token", "revoke", tokens[0]["id"])
    _, out = init(c, token, "revoked", ok=False)
    assert "was revoked" in out, out


def main(regent, _sample):
    with Cluster(regent, regions="us-east-1,eu-central-1") as c:
        token = token_of(c, WEST)
        limited, took = flood(c, "127.0.0.9", 60)
        assert limited >= 60 - 10 - 2 - took, (limited, took)  # ten at once, then one a second; and nobody else waits for it
        joins(c, token)
        refusals(c, token)
        added_at_once(c)
        sent_away(c)
    print("a node joined with a token, was let in by its fingerprint, fetched its key, came back; used, forged, misdirected and revoked tokens "
          "were refused, and who was not let in got nothing")


if __name__ == "__main__":
    main(*sys.argv[1:3])
