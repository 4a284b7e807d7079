#!/usr/bin/env python3
"""Links between regions cut, stalled (half-open) and slow, under load: replicas go on reading, catch up by themselves, and a
write that asks for all regions says so when they cannot be reached."""
import sys
import time

from cluster import Cluster, Refused
from load import GAP_MAX, Reader, Writer, check_acknowledged, finish


def main(regent, _sample):
    with Cluster(regent, options=("--proxy",)) as c:
        primary, near, far = c.primary, c.replicas[0], c.replicas[1]
        writers = [Writer(c, i, pause=0.005) for i in range(2)]
        readers = [Reader(c, r) for r in c.replicas]
        for t in writers + readers:
            t.start()
        time.sleep(1)

        c.link("cut", primary, near)  # writes go on, the other replica too
        c.wait_link(primary, near, False)
        time.sleep(2)
        try:
            c.connect(primary).create_user("for-all", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "500"})
            raise AssertionError("a write for all regions was acknowledged while one is cut off")
        except Refused as refused:
            assert refused.code == "ReplicationTimeout" and refused.status == 504, refused
        assert c.connect(primary).user_id("for-all"), "the write must stand"
        try:
            c.connect(primary).create_user("for-two", {"Regent-Wait-Regions": "2"})
            raise AssertionError("a write for two regions was acknowledged while one can be reached")
        except Refused as refused:
            assert refused.status == 503 and "1 can be reached: nothing was written" in str(refused), refused
        try:
            c.connect(primary).user_id("for-two")
            raise AssertionError("a refused write is there")
        except Refused as refused:
            assert refused.code == "ResourceNotFoundException", refused
        _, headers = c.connect(primary).create_user("for-one", {"Regent-Wait-Regions": "1"})
        assert c.connect(far).user_id("for-one", {"Regent-Min-Revision": headers["regent-revision"]})
        try:
            c.connect(near).user_id("for-one", {"Regent-Min-Revision": headers["regent-revision"], "Regent-Wait-Ms": "300"})
            raise AssertionError("a region that is cut off showed a revision it cannot have")
        except Refused as refused:
            assert refused.code == "RevisionNotReached" and refused.status == 412, refused
        c.link("heal", primary, near)

        c.link("stall", primary, far)  # half-open: nothing arrives, nothing is closed
        c.wait_link(primary, far, False)
        time.sleep(1)
        c.link("heal", primary, far)

        c.link("delay", "all", "50")  # each way, then flapping
        for _ in range(5):
            c.link("cut", primary, near)
            time.sleep(0.3)
            c.link("heal", primary, near)
            time.sleep(0.7)
        c.connect(primary, timeout=30).create_user("far-away", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "20000"})
        c.link("delay", "all", "0")

        finish(writers + readers)
        c.wait_equal(30)
        count = check_acknowledged(c, writers)
        gaps = {r.region: round(r.longest_gap, 2) for r in readers}
        assert all(g < GAP_MAX for g in gaps.values()), f"reads at a replica paused: {gaps}"
        print(f"{count} acknowledged writes through cuts, stalls and delay; longest pause of reads {gaps}")


if __name__ == "__main__":
    main(*sys.argv[1:])
