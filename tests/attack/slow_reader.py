#!/usr/bin/env python3
"""Whoever has a credential asks for the whole state and fetches a byte now and then, at the primary and at a replica, so that no page that is
changed can be used again. There is little memory, and much is written: the answer ends, and says so; nothing else does."""
import json
import select
import struct
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from cluster import Cluster, wait  # noqa: E402
from floods import PREFACE, frame, get, literal, shake  # noqa: E402
from statefull import set_limit  # noqa: E402

USERS, WRITERS, LIMIT_MIB = 30000, 4, 32


class Reader(threading.Thread):
    """An export by HTTP/2 with a window of one byte, which is widened by one byte twice a second."""

    def __init__(self, c, region):
        super().__init__(daemon=True)
        self.region, self.halt, self.ended, self.tail = region, threading.Event(), threading.Event(), b""
        self.tls = shake(c.region(region)["url"].split("//")[1], "h2")
        token = literal("authorization", "Bearer " + c.file["admin"]["bearer_token"])
        self.tls.sendall(PREFACE + frame(4, 0, 0, struct.pack(">HI", 4, 1)) + get(1, "/v1/export", 5, token))
        self.buffer, self.status = b"", None

    def frames(self, seconds):
        """Those that come within that time; DATA's bytes are kept."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self.tls.pending() == 0 and not select.select([self.tls], [], [], left)[0]:
                return
            more = self.tls.recv(65536)
            if not more:
                self.ended.set()
                return
            self.buffer += more
            while len(self.buffer) >= 9 + (n := int.from_bytes(self.buffer[:3], "big")):
                kind, flags, payload = self.buffer[3], self.buffer[4], self.buffer[9:9 + n]
                self.buffer = self.buffer[9 + n:]
                if kind == 0:
                    self.tail = (self.tail + payload)[-4096:]
                if kind in (0, 1) and flags & 1 or kind in (3, 7):
                    self.ended.set()
                    return
                if kind == 4 and not flags & 1:
                    self.tls.sendall(frame(4, 1, 0))

    def run(self):
        try:
            while not self.halt.is_set() and not self.ended.is_set():
                self.tls.sendall(frame(8, 0, 1, struct.pack(">I", 1)))
                self.frames(0.5)
            self.tls.sendall(frame(8, 0, 0, struct.pack(">I", 2**30)) + frame(8, 0, 1, struct.pack(">I", 2**30)))
            self.frames(20)
        except OSError:
            self.ended.set()


class Writer(threading.Thread):
    """Changes users, one after the other; each must be taken."""

    def __init__(self, c, number, ids):
        super().__init__(daemon=True)
        self.c, self.number, self.ids, self.n, self.error, self.halt = c, number, ids, 0, None, threading.Event()

    def run(self):
        conn = self.c.connect(self.c.primary, timeout=30)
        try:
            while not self.halt.is_set():
                self.n += 1
                conn.call("AWSIdentityStore.UpdateUser", {
                    "IdentityStoreId": self.c.store, "UserId": self.ids[self.n % len(self.ids)],
                    "Operations": [{"AttributePath": "displayName", "AttributeValue": f"{self.number} {self.n} " + "x" * 900}]})
        except Exception as error:  # whatever it is, it must not be
            self.error = error


def said(c, region):
    lines = (Path(c.region(region)["nodes"][0]["config"] + ".log")).read_text(errors="replace").splitlines()
    return [line for line in lines if " api.stream " in line]


def main(regent):
    with Cluster(regent, "us-east-1,eu-central-1") as c:
        data = c.dir / "many.json"
        users = [{"userName": f"user-{i:06}", "displayName": "d" * 100} for i in range(USERS)]
        data.write_text(json.dumps({"format": "idc-org-dataset/1", "users": users, "groups": [], "accounts": [], "permissionSets": [],
                                    "assignments": []}))
        c.run("import", str(data))
        for region in c.names:
            set_limit(c, region, LIMIT_MIB)
        c.wait_equal()
        ids = [c.connect(c.primary).user_id(f"user-{i * 97 % USERS:06}") for i in range(200)]
        readers = [Reader(c, region) for region in c.names for _ in range(2)]
        for reader in readers:
            reader.start()
        writers = [Writer(c, i, ids[i::WRITERS]) for i in range(WRITERS)]
        for writer in writers:
            writer.start()
        wait("every slow answer was ended", 60, lambda: all(said(c, n) for n in c.names) and len(sum((said(c, n) for n in c.names), [])) >= 4)
        time.sleep(1)
        for writer in writers:
            writer.halt.set()
        for writer in writers:
            writer.join(40)
            assert not writer.is_alive() and writer.error is None, writer.error
        for reader in readers:
            reader.halt.set()
        for reader in readers:
            reader.join(40)
            assert b"!error: RG_ETIMEOUT: " in reader.tail and b"not complete" in reader.tail, (reader.region, reader.tail[-300:])
        for region in c.names:
            assert all("Timeout" in line or "ETIMEOUT" in line for line in said(c, region)), said(c, region)
            assert c.signal_node(c.region(region)["nodes"][0], 0)
            log = Path(c.region(region)["nodes"][0]["config"] + ".log").read_text(errors="replace")
            assert "room.full" not in log.split("node.ready")[-1], [line for line in log.splitlines() if "room.full" in line]
        assert len(json.dumps(c.connect(c.primary, timeout=30).request("GET", "/v1/export")[0]["users"])) > USERS * 100  # an honest one is served
        c.wait_equal()
        print(f"{sum(w.n for w in writers)} writes beside {len(readers)} slow readers: all were taken; each reader was told that its answer ended")


if __name__ == "__main__":
    main(sys.argv[1])
