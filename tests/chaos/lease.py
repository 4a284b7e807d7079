#!/usr/bin/env python3
"""The write lease (1 region, 2 s) under load. An old primary that was stopped (SIGSTOP) while another region was promoted, and goes on,
acknowledges nothing any more; one that is cut off stops by itself when its lease has run out. Both come back as replicas under a
new id. Without a lease a primary that is cut off goes on, and says `Isolated`."""
import signal
import sys
import time

from cluster import Cluster, Refused
from intents import until
from takeover import Client, came_back, check_epochs, check_kept, more, settled, start, stop

LEASE_S = 2


def hammer(c, first, region, patient, hasty):
    """Writers that know the region's own port alone: those with patience leave their request in its socket, the others dial anew."""
    return start([Client(c, first + i, home=region, stay=True, pause=0.001, timeout=40 if i < patient else 0.4)
                  for i in range(patient + hasty)])


def declare(c, regions):
    """At the first of the regions than which no other is more advanced: which, when it began, when it was answered."""
    for to in regions:
        began = time.monotonic()
        body = {"to": to, "by": "test", "reason": "exercise"}
        try:
            answer, _ = c.connect(to, timeout=30).request("POST", "/v1/failover", body)
        except Refused as refused:
            assert refused.code == "RevisionNotReached", refused
            plan, _ = c.connect(to, timeout=30).request("POST", "/v1/failover", {"to": to, "dryRun": True})
            assert not plan["possible"], f"{to} was refused for entries that it has: {refused}"
            continue
        assert answer["mayLose"]["known"] and answer["leaseRegions"] == 1, answer
        for region in c.file["regions"]:
            region["role"] = "PRIMARY" if region["name"] == to else "REPLICA"
        return to, began, time.monotonic(), answer
    raise AssertionError(f"none of {regions} is as advanced as the others")


def acknowledged_after(writers, began):
    """What was acknowledged of requests that began after that moment."""
    return [w for x in writers for w in x.acknowledged if w.began > began]


def back(c, old, old_id, epoch):
    """It comes back by itself, with what it had and did not acknowledge set aside."""
    status = came_back(c, old, old_id)
    tails = c.connect(old).request("GET", "/v1/lost-tail")[0]
    assert [t for t in tails if t["epoch"] == epoch], tails
    return status["node"]


def stopped(c, rounds):
    """The old primary's process stands still while its lease runs out and another region begins its epoch."""
    kept = []
    for n in range(rounds):
        old, heirs = c.primary, c.replicas
        old_id = c.connect(old).status()["node"]
        until(lambda o=old: (lambda l: l.get("settled") and l.get("held"))(c.connect(o).status()["lease"]))
        clients = start([Client(c, 300 + 10 * n + i, home=heirs[i], timeout=3) for i in range(2)])
        writers = hammer(c, 100 + 20 * n, old, 6, 3)
        more(writers, 60)
        node = c.region(old)["nodes"][0]
        assert c.signal_node(node, signal.SIGSTOP)
        still = time.monotonic()
        to, began, promoted, answer = declare(c, heirs)
        goes_on = time.monotonic()
        assert c.signal_node(node, signal.SIGCONT)
        new_id = back(c, old, old_id, answer["epoch"])
        more(clients)
        stop(writers + clients)
        late = acknowledged_after(writers, still)
        assert not late, f"{old} acknowledged {len(late)} writes that began after it was stopped, at {late[0].url}: {late[0].revision}"
        # One that was decided before the stop, its answer still on the way: the new primary must have it like all others.
        on_the_way = [w for x in writers for w in x.acknowledged if w.answered > promoted]
        assert settled(c) == to
        c.wait_equal()
        kept += writers + clients
        check_kept(c, kept)
        print(f"{old} stood still for {goes_on - still:.1f} s, {to} took over in {promoted - began:.1f} s: of "
              f"{sum(x.asked + 1 - len(x.acknowledged) for x in writers)} writes asked for meanwhile none was acknowledged "
              f"({len(on_the_way)} answers were on the way); {old} is node {new_id} now, and was {old_id}", flush=True)
    return kept


def cut_off(c, kept):
    """The old primary lives, but no other region hears it."""
    old, heirs = c.primary, c.replicas
    old_id = c.connect(old).status()["node"]
    until(lambda: (lambda l: l.get("settled") and l.get("held"))(c.connect(old).status()["lease"]))
    writers = hammer(c, 200, old, 4, 2)
    more(writers, 60)
    for other in c.replicas:
        c.link("cut", old, other)
    cut = time.monotonic()
    status = until(lambda: (lambda s: s if s["writes"] == "refused" else None)(c.connect(old).status()), 10, 0.02)
    assert "LeaseNotHeld" in [a["code"] for a in status["alarms"]] and not status["lease"]["held"], status
    noticed = time.monotonic()
    to, began, promoted, answer = declare(c, heirs)
    clients = start([Client(c, 400, home=to)])
    more(clients)
    c.link("heal", "all")
    back(c, old, old_id, answer["epoch"])
    stop(writers + clients)
    last = max(w.answered for x in writers for w in x.acknowledged if w.url == writers[0].url)
    assert last <= cut + LEASE_S, f"{old} acknowledged a write {last - cut:.2f} s after it was cut off"
    assert settled(c) == to
    c.wait_equal()
    check_kept(c, kept + writers + clients)
    print(f"{old} cut off: the last acknowledgement {last - cut:.2f} s later, `LeaseNotHeld` after {noticed - cut:.2f} s; {to} "
          f"took over in {promoted - began:.1f} s", flush=True)
    return kept + writers + clients


def without(c, kept):
    """No lease: the primary that is cut off goes on, and says so."""
    c.run("lease", "set", "--off")
    old = c.primary
    until(lambda: c.connect(old).status()["lease"]["settled"])
    writers = hammer(c, 500, old, 2, 0)
    more(writers)
    for other in c.replicas:
        c.link("cut", old, other)
    status = until(lambda: (lambda s: s if "Isolated" in [a["code"] for a in s["alarms"]] else None)(c.connect(old).status()), 10)
    assert status["writes"] == "open", status
    more(writers)
    c.link("heal", "all")
    until(lambda: "Isolated" not in [a["code"] for a in c.connect(old).status()["alarms"]])
    stop(writers)
    assert settled(c) == old
    c.wait_equal()
    count = check_kept(c, kept + writers)
    print(f"no lease: {old} went on alone, and said `Isolated`", flush=True)
    return count


def main(regent, sample):
    with Cluster(regent, options=("--rtt", "40")) as c:
        c.run("import", sample)
        c.wait_equal()
        c.run("lease", "set", "--regions", "1", "--seconds", str(LEASE_S))
        kept = stopped(c, 2)
        kept = cut_off(c, kept)
        count = without(c, kept)
        led = [e["region"] for e in c.connect(c.primary).request("GET", "/v1/epochs")[0]["epochs"][1:]]
        check_epochs(c, led)
        assert len(led) == 3, led
    print(f"{count} acknowledged writes, all in every region")


if __name__ == "__main__":
    main(*sys.argv[1:])
