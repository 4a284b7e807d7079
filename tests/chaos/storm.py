#!/usr/bin/env python3
"""A lease of 1 region, and one disaster after the other: the primary is killed, stopped, cut off or its lines swallow everything; another
region is declared a moment later, while the old one may already be coming back. Whoever leads in the end, every write that was
ever acknowledged is in every region. The seed makes the same plan again."""
import random
import signal
import sys
import threading
import time

from cluster import Cluster, Refused
from intents import until
from load import BROKEN
from takeover import Client, check_epochs, check_kept, kill, more, settled, start, statuses, stop

ROUNDS = 5
RETRY = ("RevisionNotReached", "ConflictException", "LeaseNotHeld", "ThrottlingException", "NotReady", "PrimaryUnavailable")


def strike(c, how, old):
    """What undoes it."""
    others = [r for r in c.names if r != old]
    if how == "kill":
        kill(c, old)
        return lambda: c.run("dev", "start", old)
    if how == "stop":
        node = c.region(old)["nodes"][0]
        assert c.signal_node(node, signal.SIGSTOP)
        return lambda: c.signal_node(node, signal.SIGCONT)
    for other in others:
        c.link(how, old, other)
    return lambda: c.link("heal", "all")


def followed(c):
    """Whether the old primary is back, and everybody follows it."""
    try:
        all_of = statuses(c)
    except BROKEN + (Refused,):
        return False
    led = [s for s in all_of.values() if s["role"] == "PRIMARY"]
    return len(led) == 1 and led[0]["writes"] == "open" and all(s["primary"]["reachable"] and s["primary"]["id"] == led[0]["node"]
                                                               for s in all_of.values())


def promote(c, dice, regions, seconds=30):
    """Declared until one has taken over, or the old primary is back: one that turns up again when the others have promised already
    is followed by nobody, and the declaration is made again. What each said last."""
    said, end = {}, time.monotonic() + seconds
    while time.monotonic() < end:
        to = dice.choice(regions)
        try:
            answer, _ = c.connect(to, timeout=30).request("POST", "/v1/failover", {"to": to, "by": "test", "reason": "storm"})
            assert answer["leaseRegions"] == 1, answer
            return to, said
        except Refused as refused:
            assert refused.code in RETRY, refused
            said[to] = refused.code
        except BROKEN as error:
            said[to] = type(error).__name__
        if followed(c):
            return None, said
    raise AssertionError(f"nobody takes over in {seconds} s: {said}")


def disaster(c, dice, clients, old):
    how = dice.choice(("kill", "stop", "cut", "stall"))
    before, undo_after = dice.uniform(0, 1.2), dice.uniform(0.3, 3.5)
    began = time.monotonic()
    undo = strike(c, how, old)
    timer = threading.Timer(undo_after, undo)
    timer.start()
    time.sleep(before)
    to, said = promote(c, dice, [r for r in c.names if r != old])
    took = time.monotonic() - began
    timer.join()
    c.load()
    primary = settled(c)
    more(clients)
    print(f"{old}: {how}, undone after {undo_after:.1f} s; declared after {before:.1f} s: {to or 'nobody'} took over after {took:.1f} s "
          f"{said or ''}; {primary} leads", flush=True)
    return primary, to


def main(regent, sample, seed=None):
    seed = int(seed) if seed else random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    with Cluster(regent, options=("--rtt", "40")) as c:
        c.run("import", sample)
        c.wait_equal()
        c.run("lease", "set", "--regions", "1", "--seconds", "1")
        clients = start([Client(c, i, home=c.names[i % 3], timeout=6) for i in range(5)])
        more(clients)
        primary, took_over = c.primary, 0
        for _ in range(ROUNDS):
            until(lambda p=primary: (lambda l: l.get("settled") and l.get("held"))(c.connect(p).status()["lease"]))
            primary, to = disaster(c, dice, clients, primary)
            took_over += to is not None
        stop(clients)
        c.wait_equal()
        count = check_kept(c, clients)
        led = [e["region"] for e in check_epochs(c, None)[1:]]
    print(f"{took_over} of {ROUNDS} disasters ended with a promotion ({', '.join(led)}); {count} acknowledged writes, all in every "
          f"region; {sum(len(x.unknown) for x in clients)} without an answer")


if __name__ == "__main__":
    main(*sys.argv[1:])
