#!/usr/bin/env python3
"""Three regions 100 ms apart: they become ready, a write is visible elsewhere one way later, reads are answered at once; a cut,
a stall (half-open, both ways and one way) and a restart of the whole cluster end in one state."""
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused
from load import GAP_MAX, Reader, Writer, check_acknowledged, finish

ONE_WAY_MS = 50


def propagation(c, region):
    """Milliseconds until the region shows a write, at best (a busy machine adds to any of them): from its request, and from its answer."""
    writer, reader, asked_for, answered_for = c.connect(c.primary), c.connect(region), [], []
    reader.status()
    for i in range(30):
        asked = time.monotonic()
        _, headers = writer.create_user(f"p-{region}-{i}")
        answered = time.monotonic()
        reader.request("GET", "/v1/regions", headers={"Regent-Min-Revision": headers["regent-revision"], "Regent-Wait-Ms": "9000"})
        asked_for.append((time.monotonic() - asked) * 1000)
        answered_for.append((time.monotonic() - answered) * 1000)
    return round(min(asked_for), 1), round(min(answered_for), 1)


def immediate(c, region):
    """Milliseconds of a read, at best."""
    reader, took = c.connect(region), []
    for _ in range(50):
        began = time.monotonic()
        reader.request("GET", "/v1/regions")
        took.append((time.monotonic() - began) * 1000)
    return min(took)


def alive(pid, text):
    try:
        return text.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def writes_stop_at(c, region):
    """A write is acknowledged that the region cannot have seen."""
    _, headers = c.connect(c.primary).create_user("unseen-" + region + str(time.monotonic_ns()))
    try:
        c.connect(region).status()
        c.connect(region).request("GET", "/v1/regions", headers={"Regent-Min-Revision": headers["regent-revision"],
                                                                 "Regent-Wait-Ms": "200"})
        raise AssertionError(f"{region} showed a revision that nothing can have carried there")
    except Refused as refused:
        assert refused.code == "RevisionNotReached", refused


def main(regent, _sample):
    with Cluster(regent, options=("--rtt", str(2 * ONE_WAY_MS))) as c:
        primary, near, far = c.primary, c.replicas[0], c.replicas[1]
        lines = c.link("show")
        assert len(lines) == 6 and all(l["delayMs"] == ONE_WAY_MS and l["state"] == "up" for l in lines.values()), lines
        times = {r: propagation(c, r) for r in c.replicas}
        reads = {r: round(immediate(c, r), 1) for r in c.names}
        assert all(asked >= 0.9 * ONE_WAY_MS and answered <= 3 * ONE_WAY_MS for asked, answered in times.values()), f"propagation {times} ms over a line of {ONE_WAY_MS} ms"
        assert all(t < ONE_WAY_MS / 2 for t in reads.values()), f"reads take {reads} ms"

        writers = [Writer(c, i, pause=0.005) for i in range(2)]
        readers = [Reader(c, r) for r in c.replicas]
        for t in writers + readers:
            t.start()
        lines = c.link("cut", primary, near)
        assert {k for k, l in lines.items() if l["state"] == "cut"} == {(primary, near), (near, primary)}, lines
        c.wait_link(primary, near, False)
        c.wait_link(near, primary, False)
        writes_stop_at(c, near)
        c.link("heal", primary, near)
        c.wait_link(primary, near, True)

        c.link("stall", primary, far)  # longer than keepalives wait: each side finds out by itself
        writes_stop_at(c, far)
        c.wait_link(primary, far, False)
        c.wait_link(far, primary, False)
        lines = c.link("heal", "all")
        assert all(l["state"] == "up" for l in lines.values()), lines
        c.wait_link(primary, far, True)

        c.link("stall", primary, near, "--one-way")
        writes_stop_at(c, near)
        c.wait_link(primary, near, False)
        c.link("heal", "all")
        finish(writers + readers)
        c.wait_equal(30)
        count = check_acknowledged(c, writers)
        gaps = {r.region: round(r.longest_gap, 2) for r in readers}
        assert all(g < GAP_MAX for g in gaps.values()), f"reads at a replica paused: {gaps}"

        proxy = c.file["proxy"]
        assert alive(proxy["pid"], proxy["config"])
        c.run("dev", "down", "--dir", str(c.dir))
        assert not alive(proxy["pid"], proxy["config"]), "the proxy outlived its cluster"
        refused = c.run("dev", "link", "show", ok=(3,))
        assert refused == "", refused
        c.run("dev", "up", "--dir", str(c.dir), "--rtt", "10")
        c.load()
        assert all(l["delayMs"] == 5 for l in c.link("show").values())
        c.connect(primary).create_user("after", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "20000"})
        c.wait_equal(30)
    print(f"propagation {times} ms, reads {reads} ms; {count} acknowledged writes through cuts and stalls, pauses {gaps}")


if __name__ == "__main__":
    main(*sys.argv[1:])
