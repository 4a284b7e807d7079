#!/usr/bin/env python3
"""Lines that flap: between three regions 60 ms apart they are cut, healed, stalled (both ways and one way) and slowed every few
hundred milliseconds, while clients write everywhere and switchovers are asked for again and again. When it is over the regions
agree, there is one primary, and every acknowledged write is in every region. The seed makes the same plan again."""
import itertools
import random
import sys
import threading
import time

from cluster import Cluster, Refused
from intents import until
from load import BROKEN, Reader, finish
from takeover import Client, check_epochs, check_kept, more, settled, start, statuses, stop

STEPS = 50


class Switcher(threading.Thread):
    """Asks whichever region is the primary to hand over to another one, until stopped."""

    def __init__(self, c, seed):
        super().__init__(daemon=True)
        self.c, self.dice = c, random.Random(seed)
        self.done, self.outcomes, self.error = [], {}, None
        self.halt = threading.Event()

    def count(self, outcome):
        self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def ask(self):
        primaries = [r for r, s in statuses(self.c).items() if s["role"] == "PRIMARY"]
        if not primaries:
            return
        to = self.dice.choice([r for r in self.c.names if r not in primaries])
        answer, _ = self.c.connect(primaries[0], timeout=30).request("POST", "/v1/switchover", {"to": to})
        self.done.append((answer["epoch"], to))
        self.count("handed over")

    def run(self):
        while not self.halt.is_set():
            try:
                self.ask()
            except Refused as refused:
                if refused.status not in (409, 421, 429, 503, 504):
                    self.error = str(refused)
                    return
                self.count(refused.code)
            except BROKEN as error:
                self.count(type(error).__name__)
            self.halt.wait(self.dice.uniform(0.2, 0.8))


def step(c, dice):
    """One thing happens to one line."""
    pair = dice.choice(list(itertools.combinations(c.names, 2)))
    pair = pair if dice.random() < 0.5 else pair[::-1]
    what = dice.choice(("cut", "cut", "stall", "one-way", "heal", "heal", "heal", "delay"))
    if what == "one-way":
        c.link("stall", *pair, "--one-way")
    elif what == "delay":
        c.link("delay", *pair, str(dice.choice((0, 10, 30, 120))))
    else:
        c.link(what, *pair)
    time.sleep(dice.uniform(0.05, 0.35))
    if dice.random() < 0.15:
        c.link("heal", "all")
        time.sleep(dice.uniform(0.2, 0.8))


def main(regent, sample, seed=None):
    seed = int(seed) if seed else random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    with Cluster(regent, options=("--rtt", "60", "--jitter", "10")) as c:
        c.run("import", sample)
        c.wait_equal()
        clients = start([Client(c, i, home=c.names[i % 3]) for i in range(4)])
        readers = start([Reader(c, r) for r in c.names])
        more(clients)
        switcher = Switcher(c, seed)
        switcher.start()
        began = time.monotonic()
        for _ in range(STEPS):
            step(c, dice)
        took = time.monotonic() - began
        c.link("heal", "all")
        healed = time.monotonic()
        switcher.halt.set()
        switcher.join(60)
        assert switcher.error is None and not switcher.is_alive(), switcher.error
        settled(c)
        back = time.monotonic() - healed
        more(clients)
        stop(clients)
        finish(readers)
        c.wait_equal()
        primary = settled(c)
        count = check_kept(c, clients)
        # What was handed over without an answer shows in the list as well.
        until(lambda: all(e.get("region") for e in c.connect(primary).request("GET", "/v1/epochs")[0]["epochs"][1:]))
        epochs = c.connect(primary).request("GET", "/v1/epochs")[0]["epochs"]
        check_epochs(c, [e["region"] for e in epochs[1:]])
        assert {e for e, _ in switcher.done} <= {e["epoch"] for e in epochs}, (switcher.done, epochs)
        assert all((e["epoch"], e.get("region")) in switcher.done or e["epoch"] not in dict(switcher.done) for e in epochs)
    print(f"{STEPS} changes of lines in {took:.0f} s, {len(epochs) - 1} switchovers ({switcher.outcomes}), one primary {back:.1f} s after "
          f"the last heal; {count} acknowledged writes, all in every region; {sum(len(x.unknown) for x in clients)} without an answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
