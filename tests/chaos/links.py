#!/usr/bin/env python3
"""Links between regions cut, stalled (half-open) and slow, under load: replicas go on reading, catch up by themselves, and a
write that asks for all regions says so when they cannot be reached."""
import re
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused
from load import Reader, Writer, check_acknowledged, finish
from proxy import Proxy


def through_proxies(c):
    """Every node reaches every other through a proxy of that pair; the proxies by (from region, to region)."""
    c.run("dev", "down", "--dir", str(c.dir))
    proxies = {}
    for a in c.file["regions"]:
        path = Path(a["nodes"][0]["config"])
        text = path.read_text()
        for b in c.file["regions"]:
            if a is b:
                continue
            host, port = b["nodes"][0]["link"].split(":")
            proxy = proxies[a["name"], b["name"]] = Proxy((host, int(port)))
            text, n = re.subn(rf"(region: {b['name']}, role: \w+, link: ')[^']*'", rf"\g<1>127.0.0.1:{proxy.port}'", text)
            assert n == 1, path
        path.write_text(text)
    c.run("dev", "up", "--dir", str(c.dir))
    c.load()
    return proxies


def both(proxies, a, b):
    return [proxies[a, b], proxies[b, a]]


def main(regent, _sample):
    with Cluster(regent) as c:
        proxies = through_proxies(c)
        primary, near, far = c.primary, c.replicas[0], c.replicas[1]
        writers = [Writer(c, i, pause=0.005) for i in range(2)]
        readers = [Reader(c, r) for r in c.replicas]
        for t in writers + readers:
            t.start()
        time.sleep(1)

        for p in both(proxies, primary, near):  # cut: writes go on, the other replica too
            p.cut()
        time.sleep(3)
        try:
            c.connect(primary).create_user("for-all", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "500"})
            raise AssertionError("a write for all regions was acknowledged while one is cut off")
        except Refused as refused:
            assert refused.code == "ReplicationTimeout" and refused.status == 504, refused
        assert c.connect(primary).user_id("for-all"), "the write must stand"
        _, headers = c.connect(primary).create_user("for-one", {"Regent-Wait-Regions": "1"})
        assert c.connect(far).user_id("for-one", {"Regent-Min-Revision": headers["regent-revision"]})
        try:
            c.connect(near).user_id("for-one", {"Regent-Min-Revision": headers["regent-revision"], "Regent-Wait-Ms": "300"})
            raise AssertionError("a region that is cut off showed a revision it cannot have")
        except Refused as refused:
            assert refused.code == "RevisionNotReached" and refused.status == 412, refused
        for p in both(proxies, primary, near):
            p.heal()

        for p in both(proxies, primary, far):  # half-open: nothing arrives, nothing is closed
            p.stalled = True
        time.sleep(4)
        for p in both(proxies, primary, far):
            p.heal()

        for p in proxies.values():  # 50 ms each way, then flapping
            p.delay = 0.05
        for _ in range(5):
            for p in both(proxies, primary, near):
                p.cut()
            time.sleep(0.3)
            for p in both(proxies, primary, near):
                p.heal()
            time.sleep(0.7)
        c.connect(primary, timeout=30).create_user("far-away", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "20000"})
        for p in proxies.values():
            p.delay = 0.0

        finish(writers + readers)
        c.wait_equal(30)
        count = check_acknowledged(c, writers)
        gaps = {r.region: round(r.longest_gap, 2) for r in readers}
        assert all(g < 2 for g in gaps.values()), f"reads at a replica paused: {gaps}"
        print(f"{count} acknowledged writes through cuts, stalls and delay; longest pause of reads {gaps}")
        for p in proxies.values():
            p.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
