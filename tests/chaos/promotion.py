#!/usr/bin/env python3
"""Declared promotions under load, three regions 100 ms apart. With `durability regions 1` the primary dies by kill -9 and nothing
that was acknowledged is lost; writes go on within 10 s. Without it, a region that lags is refused while a more advanced one
answers, unless the loss is accepted; and what only the old primary had is announced, and found in its lost tail."""
import json
import sys
import time

from cluster import Cluster
from intents import refused, until
from takeover import Client, came_back, check_epochs, check_kept, kill, more, settled, start, stop

WRITABLE_S_MAX = 10.0


def plan(c, to):
    return c.connect(to, timeout=20).request("POST", "/v1/failover", {"to": to, "dryRun": True})[0]


def foremost(c, regions):
    """The region with the last entry of all."""
    def last(region):
        return tuple(int(x) for x in next(x["last"] for x in plan(c, region)["candidates"] if x["self"]).split("."))
    return max(regions, key=last)


def declare(c, to, *options):
    return json.loads(c.run("failover", "declare", "--to", to, "--by", "test", "--reason", "exercise", "--yes", "--json", *options))


def nothing_lost(c, clients):
    """The primary dies under load; the region that is the most advanced takes over."""
    c.run("durability", "set", "--regions", "1", "--on-shortage", "refuse")
    more(clients, 60)
    old, old_id = c.primary, c.connect(c.primary).status()["node"]
    heirs = c.replicas
    killed = kill(c, old)
    to = foremost(c, heirs)
    began = time.monotonic()
    answer = declare(c, to)
    assert answer["mayLose"]["known"] and answer["mayLose"]["seconds"] == 0 and answer["noted"], answer
    writable = until(lambda: [w.answered for x in clients for w in x.acknowledged if w.began > killed], 20, 0.005)
    took = min(writable) - began
    c.load()
    assert c.primary == to and took <= WRITABLE_S_MAX, took
    more(clients)
    c.start(old)
    came_back(c, old, old_id)
    assert settled(c) == to
    print(f"{old} killed, {to} declared: {answer['mayLose']['text']}; a write was acknowledged {took:.2f} s after the declaration "
          f"began; {old} came back", flush=True)


def lowered_alone(c):
    """Cut off from all others, the primary's durability is lowered: what it takes then, nobody else can know of."""
    old, to = c.primary, c.replicas[0]
    old_id = c.connect(old).status()["node"]
    for other in c.replicas:
        c.link("cut", old, other)
    w = c.connect(old)
    until(lambda: w.status()["writes"] == "refused")
    refused(lambda: w.create_user("too-few"), "InternalServerException", 503)
    w.request("PUT", "/v1/settings/durability", {"regions": 0})
    w.create_user("alone")
    kill(c, old)
    answer = declare(c, to)
    assert "unless durability was lowered" in answer["mayLose"]["text"], answer
    c.link("heal", "all")
    c.load()
    refused(lambda: c.connect(to).user_id("alone"), "ResourceNotFoundException")
    refused(lambda: c.connect(to).user_id("too-few"), "ResourceNotFoundException")
    c.start(old)
    came_back(c, old, old_id)
    assert settled(c) == to
    print(f"{old}'s durability was lowered while it was cut off: \"{answer['mayLose']['text']}\"", flush=True)
    return to


def laggard_refused(c, clients):
    """One region's line to the primary swallows everything, so that it lags; then the primary dies."""
    old, (near, far) = c.primary, c.replicas
    ids = {r: c.connect(r).status()["node"] for r in c.names}
    c.link("stall", old, far)
    more(clients, 60)
    stop(clients)
    _, headers = c.connect(old).create_user("seen-by-" + near)
    c.connect(near).request("GET", "/v1/regions", headers={"Regent-Min-Revision": headers["regent-revision"],
                                                           "Regent-Wait-Ms": "9000"})
    kill(c, old)
    body = {"to": far, "by": "test", "reason": "exercise"}
    answer = refused(lambda: c.connect(far, timeout=20).request("POST", "/v1/failover", body), "RevisionNotReached", 412)
    assert near in answer.body["message"], answer
    assert plan(c, near)["possible"] and not plan(c, far)["possible"]
    assert c.connect(far).status()["role"] == "REPLICA"
    answer = declare(c, far, "--accept-loss")
    assert not answer["mayLose"]["known"] and answer["mayLose"]["writes"] > 0, answer
    c.link("heal", "all")
    c.load()
    refused(lambda: c.connect(far).user_id("seen-by-" + near), "ResourceNotFoundException")
    came_back(c, near, ids[near])  # it had what the new primary never saw
    c.start(old)
    came_back(c, old, ids[old])
    assert settled(c) == far
    print(f"{far} lags: refused while {near} answers, accepted with --accept-loss; {near} and {old} came back", flush=True)
    return answer["epoch"]


def tail_is_said(c):
    """The primary is cut off, goes on, and dies: what it took meanwhile is what the promotion may lose."""
    c.run("durability", "set", "--regions", "0")
    old, to = c.primary, c.replicas[0]
    old_id = c.connect(old).status()["node"]
    kept = start([Client(c, 50 + i, home=c.names[i]) for i in range(2)])
    more(kept, 30)
    stop(kept)
    c.wait_equal()
    for other in c.replicas:
        c.link("cut", old, other)
    cut = time.monotonic()
    alone = start([Client(c, 60, home=old, stay=True)])
    more(alone, 30)
    stop(alone)
    kill(c, old)
    said = plan(c, to)["mayLose"]
    assert not said["known"] and said["seconds"] >= time.monotonic() - cut - 2, said
    answer = declare(c, to)
    assert not answer["mayLose"]["known"] and answer["mayLose"]["text"].startswith("what the old primary acknowledged"), answer
    c.link("heal", "all")
    c.load()
    refused(lambda: c.connect(to).user_id("c60-0"), "ResourceNotFoundException")
    c.start(old)
    came_back(c, old, old_id)
    assert settled(c) == to
    entries = c.connect(old).request("GET", f"/v1/lost-tail/{answer['epoch']}?limit=500")[0]["entries"]
    lost = {tuple(int(x) for x in e["revision"].split(".")) for e in entries}
    wrote = {w.revision for w in alone[0].acknowledged}
    assert wrote <= lost and len(lost) <= alone[0].asked + 1, (len(wrote), len(lost), alone[0].asked)
    check_kept(c, kept)
    print(f"cut off, {old} took {len(wrote)} writes and died: \"{answer['mayLose']['text']}\"; all of them are in its lost tail",
          flush=True)


def main(regent, sample):
    with Cluster(regent, options=("--rtt", "100")) as c:
        c.run("import", sample)
        clients = start([Client(c, i, home=c.names[i % 3]) for i in range(4)])
        more(clients)
        nothing_lost(c, clients)
        first = c.primary
        count = check_now(c, clients)
        second_clients = start([Client(c, 20 + i, home=c.names[i % 3]) for i in range(3)])
        more(second_clients)
        laggard_refused(c, second_clients)
        second = c.primary
        third = lowered_alone(c)
        tail_is_said(c)
        c.wait_equal()
        check_kept(c, clients)
        check_epochs(c, [first, second, third, c.primary])
    print(f"{count} writes acknowledged around a primary's death, all in every region; {sum(len(x.unknown) for x in clients)} without "
          "an answer")


def check_now(c, clients):
    stop(clients)
    c.wait_equal()
    return check_kept(c, clients)


if __name__ == "__main__":
    main(*sys.argv[1:])
