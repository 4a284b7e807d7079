#!/usr/bin/env python3
"""Strangers at one address (127.0.0.2) do all day what costs most, one thing after the other; clients at another address, and the links, must not
suffer. That everybody else is answered and that no link goes down is held to; how long answers take is printed beside how long they take in peace."""
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
from cluster import Cluster, wait  # noqa: E402

OUTSIDE = "127.0.0.2"
SECONDS = float(os.environ.get("FLOOD_SECONDS", "2"))
STOOD_STILL_S = 0.5
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


# ---- what floods are made of: run in a process of their own, `floods.py --flood NAME ADDRESS SECONDS`, until they are ended ----


def reach(address, wait_for=2.0):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), wait_for, (OUTSIDE, 0))


def context(alpn="http/1.1"):
    tls = ssl.create_default_context()
    tls.check_hostname, tls.verify_mode = False, ssl.CERT_NONE
    tls.set_alpn_protocols([alpn])
    return tls


def client_hello(alpn):
    """The first flight of a handshake, to be sent again and again: it costs whoever sends it nothing."""
    out = ssl.MemoryBIO()
    begun = context(alpn).wrap_bio(ssl.MemoryBIO(), out)
    try:
        begun.do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def shake(address, alpn="http/1.1"):
    raw = reach(address)
    try:
        return context(alpn).wrap_socket(raw)
    except BaseException:
        raw.close()
        raise


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name, value):
    return b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def get(stream, path="/healthz", flags=5, extra=b""):
    head = literal(":method", "GET") + literal(":scheme", "https") + literal(":authority", "x") + literal(":path", path) + extra
    return frame(1, flags, stream, head)


def session(address):
    tls = shake(address, "h2")
    tls.sendall(PREFACE + frame(4, 0, 0))
    return tls


class Crowd:
    """Connections that are held: as many as they let one have."""

    def __init__(self, most):
        self.most, self.held = most, []

    def add(self, one):
        self.held.append(one)
        if len(self.held) > self.most:
            self.held.pop(0).close()


def flood_handshakes(address, _):
    """Some at a time, each until the server has done its part."""
    hello = client_hello("http/1.1")
    while True:
        begun = []
        try:
            for _ in range(8):
                begun.append(reach(address))
                begun[-1].sendall(hello)
            for raw in begun:
                raw.recv(16)
        except OSError:
            time.sleep(0.001)
        for raw in begun:
            raw.close()


def flood_connections(address, _):
    crowd = Crowd(2000)
    while True:
        try:
            crowd.add(reach(address))
        except OSError:
            time.sleep(0.002)


def each_held(address, most, say, alpn="http/1.1"):
    crowd = Crowd(most)
    while True:
        try:
            tls = shake(address, alpn)
            tls.sendall(say)
            crowd.add(tls)
        except OSError:
            time.sleep(0.002)


def flood_idle(address, _):
    each_held(address, 1500, b"")


def flood_half_heads(address, _):
    each_held(address, 1000, b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Half: ")


def flood_half_bodies(address, _):
    head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-amz-json-1.1\r\nContent-Length: 1000000\r\n\r\n"
    each_held(address, 1000, head + b"x" * 200000)


def flood_half_streams(address, _):
    """A hundred requests on each connection, none of which ends."""
    post = literal(":method", "POST") + literal(":scheme", "https") + literal(":authority", "x") + literal(":path", "/")
    each_held(address, 200, PREFACE + frame(4, 0, 0) + b"".join(frame(1, 4, 2 * i + 1, post) for i in range(100)), "h2")


def again_and_again(address, make):
    while True:
        try:
            tls, n = session(address), 0
            tls.settimeout(2)
            while True:
                tls.sendall(b"".join(make(n + i) for i in range(64)))
                n += 64
        except OSError:
            time.sleep(0.001)


def flood_rapid_reset(address, _):
    again_and_again(address, lambda i: get(2 * i + 1) + frame(3, 0, 2 * i + 1, struct.pack(">I", 8)))


def flood_settings(address, _):
    again_and_again(address, lambda i: frame(4, 0, 0, struct.pack(">HI", 4, 65535 + i % 2)))


def flood_windows(address, _):
    again_and_again(address, lambda i: frame(8, 0, 0, struct.pack(">I", 1)))


def flood_pings(address, _):
    again_and_again(address, lambda i: frame(6, 0, 0, struct.pack(">Q", i)))


def flood_slow_readers(address, token):
    """With a credential: a long answer, a byte now and then."""
    crowd = Crowd(16)
    begin = PREFACE + frame(4, 0, 0, struct.pack(">HI", 4, 1)) + get(1, "/v1/export", 5, literal("authorization", "Bearer " + token))
    while True:
        try:
            tls = shake(address, "h2")
            tls.sendall(begin)
            crowd.add(tls)
        except OSError:
            pass
        for one in crowd.held:
            try:
                one.sendall(frame(8, 0, 1, struct.pack(">I", 1)))
            except OSError:
                pass
        time.sleep(0.05)


FLOODS = [  # name, port, how many processes
    ("connections", "link", 1), ("handshakes", "link", 2),
    ("connections", "https", 1), ("handshakes", "https", 2), ("idle", "https", 2), ("half_heads", "https", 2), ("half_bodies", "https", 1),
    ("half_streams", "https", 1), ("slow_readers", "https", 1), ("rapid_reset", "https", 1), ("settings", "https", 1), ("windows", "https", 1),
    ("pings", "https", 1),
]


# ---- those who must not suffer ----


def percentile(times, part):
    return sorted(times)[min(len(times) - 1, int(len(times) * part))] if times else float("nan")


class Watch(threading.Thread):
    """How long this machine keeps somebody waiting who wants to run: for what a loaded one does to links nobody is to blame."""

    def __init__(self):
        super().__init__(daemon=True)
        self.worst = 0.0
        self.start()

    def run(self):
        while True:
            begun = time.monotonic()
            time.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - begun)


class Others:
    """A client of the primary, at another address, and what the nodes say of their links."""

    def __init__(self, c):
        self.c, self.n, self.watch = c, 0, Watch()
        self.log = {n: Path(c.region(n)["nodes"][0]["config"] + ".log") for n in c.names}

    def count_downs(self):
        return sum(log.read_text(errors="replace").count(" link.down ") for log in self.log.values())

    def busy(self):
        """Seconds of a processor that the primary has spent: its raft thread, which is the main one, and all together."""
        pid = self.c.region(self.c.primary)["nodes"][0]["pid"]
        spent = []
        for path in (f"/proc/{pid}/task/{pid}/stat", f"/proc/{pid}/stat"):
            fields = Path(path).read_text().rsplit(")", 1)[1].split()
            spent.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        return spent

    def measure(self, seconds):
        """Milliseconds of writes, of reads on one connection, and of reads on a new connection each; how busy the raft thread was."""
        writes, reads, news = [], [], []
        busy, since = self.busy(), time.monotonic()
        conn, until = self.c.connect(self.c.primary, timeout=30), time.monotonic() + seconds
        while time.monotonic() < until:
            for times, what in ((writes, self.write), (reads, self.read), (news, self.anew)):
                begun = time.monotonic()
                what(conn)
                times.append((time.monotonic() - begun) * 1000)
            time.sleep(0.01)
        conn.close()
        took = time.monotonic() - since
        return {"write": writes, "read": reads, "new connection": news, "busy": [(b - a) / took for a, b in zip(busy, self.busy())]}

    def write(self, conn):
        self.n += 1
        conn.create_user(f"beside-{self.n}")

    def read(self, conn):
        conn.request("GET", "/v1/regions")

    def anew(self, _):
        conn = self.c.connect(self.c.primary, timeout=30)
        conn.request("GET", "/v1/regions")
        conn.close()


def show(name, times):
    cells = [f"{percentile(times[k], .5):7.1f} {percentile(times[k], .95):7.1f} {max(times[k]):7.1f}" for k in ("write", "read", "new connection")]
    print(f"{name:24} " + "  | ".join(cells) + f"  | {times['busy'][0] * 100:3.0f} % {times['busy'][1] * 100:4.0f} %", flush=True)


def start(c, name, port, processes):
    node = c.region(c.primary)["nodes"][0]
    address = node["link"] if port == "link" else node["url"].split("//")[1]
    # With little of a processor of its own: what is looked at is what it costs the other side.
    return [subprocess.Popen([*(["nice", "-n", os.environ.get("FLOOD_NICE", "10")]), sys.executable, __file__, "--flood", name, address, c.file["admin"]["bearer_token"]],
                                stdout=subprocess.DEVNULL) for _ in range(processes)]


def end(sources):
    for s in sources:
        s.kill()
        s.wait()


def flood(c, others, name, port, processes):
    others.watch.worst, downs = 0.0, others.count_downs()
    sources = start(c, name, port, processes)
    try:
        time.sleep(0.5)
        times = others.measure(SECONDS)
        assert all(s.poll() is None for s in sources), f"{name}: a source ended by itself"
    finally:
        end(sources)
    show(f"{name} at {port}", times)
    assert others.count_downs() == downs or others.watch.worst > STOOD_STILL_S, f"{name} at {port}: a link went down"
    wait("links are up", 30, lambda: all_up(c))


def all_up(c):
    status = c.connect(c.primary, timeout=30).status()
    return status["role"] == "PRIMARY" and all(r["up"] for r in status["regions"] if r["name"] != c.primary)


def come_back(c):
    """A peer that was away finds its place at a door that is crowded."""
    sources = start(c, "connections", "link", 1) + start(c, "handshakes", "link", 1)
    try:
        time.sleep(0.5)
        c.kill(c.replicas[0])
        begun = time.monotonic()
        c.start(c.replicas[0])
        wait("the region that was away is linked", 30, lambda: all_up(c))
        assert all(s.poll() is None for s in sources)
    finally:
        end(sources)
    print(f"a region that was restarted meanwhile is linked after {time.monotonic() - begun:.1f} s")


def main(regent, *only):
    with Cluster(regent) as c:
        others = Others(c)
        for i in range(200):
            c.connect(c.primary).create_user(f"before-{i}", DisplayName=f"{i}")
        print(f"{'milliseconds':24} write: median, 95 %, most | read: the same         | read on a new connection | raft thread, all")
        show("in peace", others.measure(SECONDS))
        for name, port, processes in FLOODS:
            if only and f"{name}@{port}" not in only and name not in only:
                continue
            flood(c, others, name, port, processes)
        show("in peace again", others.measure(SECONDS))
        if not only:
            come_back(c)
        c.wait_equal()


if __name__ == "__main__":
    if sys.argv[1] == "--flood":
        globals()["flood_" + sys.argv[2]](sys.argv[3], sys.argv[4])
    else:
        main(*sys.argv[1:])
