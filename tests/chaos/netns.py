#!/usr/bin/env python3
"""Three regions, each in a network namespace of its own, joined by a bridge that carries their links (100 ms apart where the
kernel has netem) and another one for HTTPS. A region's cable is pulled (packets vanish: no reset, no end) and put back.
Needs the right to make namespaces: as root, or where users may."""
import json
import os
import re
import secrets
import shutil
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, skip
from load import GAP_MAX, Reader, Writer, check_acknowledged, finish

INSIDE = "REGENT_TEST_NETNS"


def enter():
    """This program again, in its own network namespace; or skip."""
    if os.environ.get(INSIDE) == "yes":
        return
    missing = [tool for tool in ("unshare", "nsenter", "ip", "openssl") if shutil.which(tool) is None]
    if missing:
        skip(f"no {', '.join(missing)} on this machine")
    own = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    probe = subprocess.run([*own, "sh", "-c", "ip link add name probe0 type bridge && ip link add name probe1 type veth peer name probe2 && unshare -n true"],
                           capture_output=True, text=True, check=False)
    if probe.returncode != 0:
        skip("network namespaces, bridges or veth pairs cannot be made here: " + probe.stderr.strip())
    os.execvpe("unshare", [*own, sys.executable, *sys.argv], {**os.environ, INSIDE: "yes"})


def sh(*args):
    done = subprocess.run(args, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, args))}: {done.stderr}"


class Region:
    """A namespace with two cables: `link` (10.77.1.N) and `https` (10.77.2.N). It lives as long as its holder does."""

    def __init__(self, number, daemon, node):
        self.number, self.daemon, self.node, self.process = number, daemon, node, None
        self.holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        ours = os.readlink("/proc/self/ns/net")
        until = time.monotonic() + 10
        while os.readlink(f"/proc/{self.holder.pid}/ns/net") == ours:
            assert time.monotonic() < until, "the namespace is not made"
            time.sleep(0.005)
        for net, bridge in enumerate(("links", "https"), 1):
            outside = f"{bridge[0]}{number}"
            sh("ip", "link", "add", "name", outside, "type", "veth", "peer", "name", bridge, "netns", str(self.holder.pid))
            sh("ip", "link", "set", outside, "master", bridge, "up")
            self.inside("ip", "address", "add", f"10.77.{net}.{number}/24", "dev", bridge)
            self.inside("ip", "link", "set", bridge, "up")
        self.inside("ip", "link", "set", "lo", "up")

    def inside(self, *args):
        sh("nsenter", "-t", str(self.holder.pid), "-n", *args)

    def slow(self):
        """50 ms on what leaves for the other regions; False where the kernel cannot."""
        return subprocess.run(["nsenter", "-t", str(self.holder.pid), "-n", "tc", "qdisc", "add", "dev", "links", "root",
                               "netem", "delay", "50ms"], capture_output=True, check=False).returncode == 0

    def start(self):
        log = open(self.node["config"] + ".log", "ab")
        first = ["--init"] if self.number == 1 else []
        self.process = subprocess.Popen(["nsenter", "-t", str(self.holder.pid), "-n", self.daemon, "--config",
                                         self.node["config"], *first], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()

    def cable(self, state):
        sh("ip", "link", "set", f"l{self.number}", state)

    def end(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.holder.stdin.close()
        self.holder.wait()


def certify(c, node, address):
    """The node's certificate once more, for that address: nodes ask each other over HTTPS before they make or join anything."""
    folder = Path(node["config"]).parent
    cert, request, extensions = folder / "cert.pem", folder / "request.pem", folder / "extensions"
    text = subprocess.run(["openssl", "x509", "-in", cert, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    uri = re.search(r"URI:[^,\s]+", text).group(0)
    extensions.write_text(f"basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
                          f"extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName={uri},IP:{address}\n")
    sh("openssl", "x509", "-in", cert, "-x509toreq", "-signkey", folder / "key.pem", "-out", request)
    sh("openssl", "x509", "-req", "-in", request, "-CA", c.dir / "ca.pem", "-CAkey", c.dir / "ca.key", "-days", "2", "-set_serial",
       str(secrets.randbits(120)), "-extfile", extensions, "-out", cert)


def move(c):
    """Each node's addresses become those of its namespace, in every configuration; its data are forgotten."""
    nodes = [r["nodes"][0] for r in c.file["regions"]]
    texts = {n["config"]: Path(n["config"]).read_text() for n in nodes}
    for number, node in enumerate(nodes, 1):
        for old, net in ((node["link"], 1), (node["url"].split("//")[1], 2)):
            new = f"10.77.{net}.{number}:{old.split(':')[1]}"
            for path in texts:
                texts[path] = re.sub(rf"\b{re.escape(old)}\b", new, texts[path])
        shutil.rmtree(node["data_dir"])
        for mark in Path(node["data_dir"]).parent.glob(".regent-mark-*"):
            mark.unlink()
        certify(c, node, f"10.77.2.{number}")
        node["link"] = f"10.77.1.{number}:{node['link'].split(':')[1]}"
        node["url"] = f"https://10.77.2.{number}:{node['url'].split(':')[2]}"
        c.file["regions"][number - 1]["url"] = node["url"]
    for path, text in texts.items():
        Path(path).write_text(text)
    (c.dir / "cluster.json").write_text(json.dumps(c.file))
    c.tls.check_hostname = False  # the certificates are for 127.0.0.1


def wait_ready(c, seconds=30):
    until = time.monotonic() + seconds
    for name in c.names:
        while True:
            try:
                c.connect(name, timeout=2).request("GET", "/readyz")
                break
            except (OSError, ssl.SSLError, Refused) as error:
                assert time.monotonic() < until, f"{name} is not ready: {error}"
                time.sleep(0.02)


def story(c, regions, slow):
    primary, near = c.primary, c.replicas[0]
    writers = [Writer(c, i, pause=0.005) for i in range(2)]
    readers = [Reader(c, r) for r in c.replicas]
    for t in writers + readers:
        t.start()
    began = time.monotonic()
    c.connect(primary).create_user("everywhere", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "10000"})
    assert not slow or time.monotonic() - began >= 0.095, "two lines of 50 ms are passed in less"
    regions[1].cable("down")
    c.wait_link(primary, near, False)
    c.wait_link(near, primary, False)
    _, headers = c.connect(primary).create_user("unseen")
    try:
        c.connect(near).request("GET", "/v1/regions", headers={"Regent-Min-Revision": headers["regent-revision"],
                                                               "Regent-Wait-Ms": "300"})
        raise AssertionError("a region without a cable showed a new revision")
    except Refused as refused:
        assert refused.code == "RevisionNotReached", refused
    assert c.connect(near).user_id("everywhere")
    regions[1].cable("up")
    c.wait_link(primary, near, True, seconds=30)
    regions[0].cable("down")  # the primary's own: it writes on, alone
    for name in c.replicas:
        c.wait_link(primary, name, False)
    c.connect(primary).create_user("alone")
    regions[0].cable("up")
    c.connect(primary, timeout=40).create_user("together", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "30000"})
    finish(writers + readers)
    c.wait_equal(30)
    count = check_acknowledged(c, writers)
    gaps = {r.region: round(r.longest_gap, 2) for r in readers}
    assert all(g < GAP_MAX for g in gaps.values()), f"reads at a replica paused: {gaps}"
    print(f"{count} acknowledged writes while cables were pulled; links {'100 ms apart' if slow else 'without delay'}; pauses {gaps}")


def main(regent, _sample):
    enter()
    sh("ip", "link", "set", "lo", "up")
    for net, bridge in enumerate(("links", "https"), 1):
        sh("ip", "link", "add", "name", bridge, "type", "bridge")
        sh("ip", "address", "add", f"10.77.{net}.254/24", "dev", bridge)
        sh("ip", "link", "set", bridge, "up")
    with Cluster(regent) as c:
        c.run("dev", "down", "--dir", str(c.dir))
        move(c)
        daemon = str(Path(regent).with_name("regentd"))
        regions = []
        try:
            for number, r in enumerate(c.file["regions"], 1):
                regions.append(Region(number, daemon, r["nodes"][0]))
            slow = all([shutil.which("tc") is not None and r.slow() for r in regions])
            if not slow:
                print("the kernel has no netem (or there is no tc): links without delay", flush=True)
            for r in regions:
                r.start()
            wait_ready(c)
            story(c, regions, slow)
        finally:
            for r in regions:
                r.end()


if __name__ == "__main__":
    main(*sys.argv[1:])
