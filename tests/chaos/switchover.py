#!/usr/bin/env python3
"""Planned switchovers round three regions 100 ms apart, under writes that find the primary by themselves and reads of which none
may fail. Then targets that are cut off, stalled, or killed at any moment: the old primary goes on, or the new one has everything."""
import json
import random
import sys
import threading
import time

from cluster import Cluster, Refused
from intents import until
from takeover import Client, StrictReader, check_epochs, check_kept, kill, longest_gap, more, settled, start, statuses, stop

PAUSED_MS_MAX = 2000
ROUNDS = ("eu-central-1", "ap-southeast-1", "us-east-1", "eu-central-1", "us-east-1")


def readers_of(c, regions):
    user = c.connect(c.names[0]).user_id("ada@example.com")
    return start([StrictReader(c, r, user, "111111111111") for r in regions])


def round_trip(c, clients):
    """Switchovers while everybody writes and reads; the milliseconds that writes were paused, and the seconds clients saw none."""
    readers, shown = readers_of(c, c.names), []
    for to in ROUNDS:
        more(clients)
        began = time.monotonic()
        answer = json.loads(c.run("switchover", "--to", to, "--by", "test", "--json"))
        c.load()
        more(clients)
        gap = longest_gap(clients, began, time.monotonic())
        assert answer["to"] == to and answer["noted"] and c.primary == to, answer
        assert settled(c) == to
        shown.append((to, answer["pausedMs"], round(gap * 1000)))
        print(f"{answer['from']} -> {to}: epoch {answer['epoch']}, paused {answer['pausedMs']} ms, clients saw a gap of {gap * 1000:.0f} ms",
              flush=True)
        assert answer["pausedMs"] <= PAUSED_MS_MAX, answer
    stop(readers)
    assert all(r.answers > 100 for r in readers)
    print(f"{sum(r.answers for r in readers)} reads, none failed; longest {max(r.longest for r in readers) * 1000:.0f} ms", flush=True)


def given_up(c, clients, how, to):
    """The target is cut off, or its lines swallow everything: nothing changes."""
    before = {r: s["epoch"] for r, s in statuses(c).items()}
    readers = readers_of(c, c.names)
    c.link(how, c.primary, to)
    began = time.monotonic()
    try:
        answer, _ = c.connect(c.primary, timeout=30).request("POST", "/v1/switchover", {"to": to})
        raise AssertionError(f"handed over to a region that cannot be reached: {answer}")
    except Refused as refused:
        assert refused.status == 503 and refused.code == "NotReady", refused
        text = refused.body["message"]
    more(clients)
    gap = longest_gap(clients, began, time.monotonic())
    assert c.connect(c.primary).status()["writes"] == "open"
    c.link("heal", "all")
    assert settled(c) == c.primary
    assert {r: s["epoch"] for r, s in statuses(c).items()} == before
    took = {w.url for x in clients for w in x.acknowledged if w.began > began}
    assert took == {c.region(c.primary)["url"].rstrip("/")}, took
    stop(readers)
    print(f"{to} is {how}: \"{text}\"; clients saw a gap of {gap * 1000:.0f} ms", flush=True)


class Ask(threading.Thread):
    """POST /v1/switchover, from aside."""

    def __init__(self, c, to):
        super().__init__(daemon=True)
        self.connection, self.to, self.outcome = c.connect(c.primary, timeout=60), to, None

    def run(self):
        try:
            self.outcome = self.connection.request("POST", "/v1/switchover", {"to": self.to})[0]
        except (OSError, Refused) as error:
            self.outcome = error


def killed(c, clients, which, instant):
    """The target, or the old primary, dies so many seconds after the hand-over was asked for, and is started again."""
    old, to = c.primary, next(r for r in c.replicas if r != "us-east-1")
    victim = to if which == "target" else old
    dry = {"to": to, "dryRun": True}
    until(lambda: c.connect(old).request("POST", "/v1/switchover", dry)[0]["possible"])
    ask = Ask(c, to)
    ask.start()
    time.sleep(instant)
    kill(c, victim)
    c.start(victim)
    ask.join(60)
    assert ask.outcome is not None, "no answer to the switchover"
    now = settled(c)
    assert now in (old, to), now
    if isinstance(ask.outcome, Refused) and ask.outcome.code == "NotReady":
        assert now == old, f"it said that nothing has changed, and {now} is the primary: {ask.outcome}"
    if isinstance(ask.outcome, dict):
        assert now == to, ask.outcome
    for region in c.file["regions"]:
        region["role"] = "PRIMARY" if region["name"] == now else "REPLICA"
    more(clients)
    said = "handed over" if isinstance(ask.outcome, dict) else \
        ask.outcome.body["message"] if isinstance(ask.outcome, Refused) else type(ask.outcome).__name__
    print(f"{old} -> {to}, {victim} killed after {instant * 1000:.0f} ms: {now} is the primary; \"{said}\"", flush=True)
    return now != old


def main(regent, sample, seed=None):
    seed = int(seed) if seed else random.SystemRandom().randrange(1 << 30)
    print(f"seed {seed}", flush=True)
    dice = random.Random(seed)
    with Cluster(regent, options=("--rtt", "100")) as c:
        c.run("import", sample)
        c.wait_equal()
        clients = start([Client(c, i, home=c.names[i % 3]) for i in range(4)])
        round_trip(c, clients)
        given_up(c, clients, "cut", c.replicas[0])
        given_up(c, clients, "stall", c.replicas[1])
        went = 0
        began = list(ROUNDS)
        for which in ("target", "target", "old", "target", "old"):
            if killed(c, clients, which, dice.uniform(0, 0.45)):
                went += 1
                began.append(c.primary)
        stop(clients)
        c.wait_equal()
        count = check_kept(c, clients)
        check_epochs(c, began)
        assert sum(x.moved for x in clients) >= len(ROUNDS)
    print(f"{count} acknowledged writes, all in every region; {sum(len(x.unknown) for x in clients)} without an answer, "
          f"{went} of 5 hand-overs with a kill went through")
    print("refusals:", {k: sum(x.refusals.get(k, 0) for x in clients) for x in clients for k in x.refusals})


if __name__ == "__main__":
    main(*sys.argv[1:])
