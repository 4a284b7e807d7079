#!/usr/bin/env python3
"""kill -9 of any region and SIGSTOP of replicas at random moments under load: no acknowledged write is lost, no revision
goes back, all regions end in one state."""
import os
import random
import signal
import sys
import time

from cluster import Cluster
from load import Reader, Writer, check_acknowledged, finish


def main(regent, _sample, seconds="15"):
    seed = int(os.environ.get("RG_SEED", time.time_ns() % 1_000_000))
    print(f"RG_SEED={seed}", flush=True)
    random.seed(seed)
    with Cluster(regent) as c:
        writers = [Writer(c, i) for i in range(4)]
        readers = [Reader(c, r) for r in c.names]
        for t in writers + readers:
            t.start()
        until = time.monotonic() + float(seconds)
        kills = stops = 0
        while time.monotonic() < until:
            time.sleep(random.uniform(0.1, 1.2))
            region = random.choice(c.names + [c.primary])
            if region != c.primary and random.random() < 0.4:
                node = c.region(region)["nodes"][0]
                c.signal_node(node, signal.SIGSTOP)
                time.sleep(random.uniform(0.2, 3))
                c.signal_node(node, signal.SIGCONT)
                stops += 1
                continue
            c.kill(region)
            if random.random() < 0.4:  # two at once, and back in any order
                other = random.choice([r for r in c.names if r != region])
                c.kill(other)
                order = random.sample([region, other], 2)
            else:
                order = [region]
            time.sleep(random.uniform(0, 0.8))
            for r in order:
                c.start(r)
            kills += len(order)
        finish(writers + readers)
        c.wait_equal(60)
        count = check_acknowledged(c, writers)
    unknown = sum(w.unknown for w in writers)
    print(f"{count} acknowledged writes, {unknown} without an answer, {kills} kills, {stops} stops: all there, in every region")
    assert count > 100 and kills > 0, "too little happened"


if __name__ == "__main__":
    main(*sys.argv[1:])
