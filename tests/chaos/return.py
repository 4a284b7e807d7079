#!/usr/bin/env python3
"""The old primary returns: cut off it goes on and takes writes, another region is promoted, the lines heal. It notices, sets its
data aside, comes back as a replica under a new id, and holds nothing but the new history. What only it had is listed, exported
and made again on demand. The same again with a kill at every other moment of the way; and for a replica that
had what the new primary never got."""
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused
from load import BROKEN

STORE = "AWSIdentityStore."


def promote(c, region, accept_loss=False):
    """A declared promotion of the region; its epoch."""
    body = {"to": region, "by": "return.py", "reason": "the primary is cut off", "acceptLoss": accept_loss}
    until = time.monotonic() + 20
    while True:
        try:
            return c.connect(region, timeout=30).request("POST", "/v1/failover", body)[0]["epoch"]
        except Refused as refused:
            if time.monotonic() > until or refused.status not in (409, 503):
                raise
        time.sleep(0.2)


def log_of(c, region):
    return next(iter(Path(c.region(region)["nodes"][0]["config"]).parent.glob("*.log")))


def wait_log(c, region, *words, count=1, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        lines = [l for l in log_of(c, region).read_text(errors="replace").splitlines() if all(w in l for w in words)]
        if len(lines) >= count:
            return lines[-1]
        time.sleep(0.02)
    raise AssertionError(f"{region}: no {words} in its log after {seconds} s")


def wait_back(c, region, old_id, seconds=40):
    """Until the region answers under another id than that, and is a ready replica; its status."""
    until = time.monotonic() + seconds
    status = None
    while time.monotonic() < until:
        try:
            status = c.connect(region, timeout=2).status()
            if status["node"] != old_id and status["ready"] and status["role"] == "REPLICA":
                return status
        except BROKEN + (Refused,):
            pass
        time.sleep(0.05)
    raise AssertionError(f"{region} is not back after {seconds} s: {status}")


def cut_off(c, region, others, verb="cut"):
    for other in others:
        c.link(verb, region, other)


def lost_writes(c, at, kept_id):
    """Writes that only this region has: {revision: kind}, and the ids they made."""
    w = c.connect(at)
    done = {}

    def call(kind, operation, **body):
        answer, headers = w.call(STORE + operation, {"IdentityStoreId": c.store, **body})
        done[headers["regent-revision"]] = kind
        return answer

    user = call("USER_CREATE", "CreateUser", UserName="lost", DisplayName="Lost")["UserId"]
    group = call("GROUP_CREATE", "CreateGroup", DisplayName="lost-group")["GroupId"]
    call("MEMBERSHIP_CREATE", "CreateGroupMembership", GroupId=group, MemberId={"UserId": user})
    call("USER_REPLACE", "UpdateUser", UserId=user, Operations=[{"AttributePath": "title", "AttributeValue": "late"}])
    call("USER_CREATE", "CreateUser", UserName="twice", DisplayName="there")
    call("USER_DELETE", "DeleteUser", UserId=kept_id)
    return done, user, group


def check_lost(c, old, epoch, lost, user, group):
    """What was lost, shown and exported; chosen ones made again."""
    tails = json.loads(c.run("lost-tail", "list", "--json"))
    assert len(tails) == 1, tails
    tail = tails[0]
    assert (tail["epoch"], tail["keptIn"], tail["entries"], tail["replayed"]) == (epoch, old, len(lost), 0), (tail, lost)
    assert tail["missing"] == 0 and str(epoch) in c.run("lost-tail", "list"), tail

    shown = json.loads(c.run("lost-tail", "show", str(epoch), "--json"))["entries"]
    assert {e["revision"]: e["kind"] for e in shown} == lost, (shown, lost)
    index = {e["kind"]: e["index"] for e in reversed(shown)}  # the first of each kind
    text = c.run("lost-tail", "show", str(epoch), "--region", old)
    assert "USER_DELETE" in text and "lost-group" in text, text

    plan = c.dir / "plan.json"
    c.run("lost-tail", "export", str(epoch), "--output", str(plan))
    exported = json.loads(plan.read_text())
    assert exported["format"] == "regent-plan/1" and [o["revision"] for o in exported["operations"]] == list(lost), exported
    c.run("lost-tail", "export", str(epoch), "--output", str(plan), ok=(1,))  # never over a file

    # A dry run of all sees each with those before it, and changes nothing.
    answer, = json.loads(c.run("lost-tail", "replay", str(epoch), "--all", "--dry-run", "--json", ok=(1,)))
    outcomes = {r["index"]: r["outcome"] for r in answer["results"]}
    refused = [i for i, o in outcomes.items() if o != "accepted"]
    twice = next(e["index"] for e in shown if e.get("name") == "twice")
    assert refused == [twice], answer
    assert json.loads(c.run("lost-tail", "list", "--json"))[0]["replayed"] == 0

    # The membership needs the group; user and group first, then it.
    answer, = json.loads(c.run("lost-tail", "replay", str(epoch), "--index", str(index["MEMBERSHIP_CREATE"]), "--json", ok=(1,)))
    assert answer["applied"] == 0, answer
    chosen = [index["USER_CREATE"], index["GROUP_CREATE"], index["MEMBERSHIP_CREATE"]]
    answer, = json.loads(c.run("lost-tail", "replay", str(epoch), "--index", ",".join(map(str, chosen)), "--json"))
    assert answer["applied"] == 3, answer
    revision = answer["results"][-1]["revision"]
    members = c.connect(old).call(STORE + "ListGroupMemberships", {"IdentityStoreId": c.store, "GroupId": group},
                                  {"Regent-Min-Revision": revision})[0]["GroupMemberships"]
    assert [m["MemberId"]["UserId"] for m in members] == [user], members
    assert "(replayed as " in c.run("lost-tail", "show", str(epoch))
    answer, = json.loads(c.run("lost-tail", "replay", str(epoch), "--index", str(chosen[0]), "--json", ok=(1,)))
    assert answer["results"][0]["outcome"] == "skipped" and "already" in answer["results"][0]["message"], answer
    assert json.loads(c.run("lost-tail", "list", "--json"))[0]["replayed"] == 3


def check_gone(c, old, lost):
    """Their revisions are no longer part of any history, and the region holds nothing of them."""
    for revision in lost:
        try:
            c.connect(old).user_id("kept", {"Regent-Min-Revision": revision})
            raise AssertionError(f"{revision} was cut off, and is answered for")
        except Refused as refused:
            assert refused.status == 410 and refused.code == "RevisionLost", refused
    try:
        c.connect(old).user_id("lost")
        raise AssertionError("a write that was cut off is still to be read")
    except Refused as refused:
        assert refused.status in (400, 404), refused


def ids(c, region):
    return c.connect(region).status()["node"]


def first_return(c):
    old, new, third = c.primary, c.replicas[0], c.replicas[1]
    old_id = ids(c, old)
    c.connect(old).create_user("kept")
    doomed = c.connect(old).create_user("doomed", {"Regent-Wait-Regions": "all"})[0]["UserId"]
    c.wait_equal()
    cut_off(c, old, (new, third))
    c.wait_link(old, new, False)
    c.wait_link(old, third, False)
    lost, user, group = lost_writes(c, old, doomed)
    epoch = promote(c, new)
    c.connect(new).create_user("twice")
    c.connect(new).create_user("since")
    assert c.connect(old).user_id("lost"), "cut off, it answers what it knows"
    cut_off(c, old, (new, third), "heal")
    wait_log(c, old, "rejoin.begin", f"old={old_id} ", f"epoch={epoch} ")
    wait_log(c, old, "rejoin.done", f"old={old_id} ")
    status = wait_back(c, old, old_id)
    c.wait_equal()
    assert c.connect(old).user_id("since") and c.connect(old).user_id("doomed") == doomed
    check_gone(c, old, lost)
    check_lost(c, old, epoch, lost, user, group)
    c.wait_equal()

    # The identity lasts, and says so.
    config = c.region(old)["nodes"][0]["config"]
    said = subprocess.run([str(Path(c.regent).parent / "regentd"), "--config", config, "--check"], capture_output=True, text=True,
                          timeout=20, check=True).stdout
    assert f"node {old_id} was replaced and came back as {status['node']}" in said, said
    c.kill(old)
    c.start(old)
    c.wait_equal()
    assert ids(c, old) == status["node"]
    region = next(r for r in c.connect(new).status()["regions"] if r["name"] == old)
    assert [n["id"] for n in region["nodes"]] == [status["node"]], region

    c.run("lost-tail", "drop", str(epoch), ok=(2,))
    c.run("lost-tail", "drop", str(epoch), "--yes")
    assert json.loads(c.run("lost-tail", "list", "--json")) == []
    return new, third, old


def start(c, region, log):
    return subprocess.Popen([str(Path(c.regent).parent / "regentd"), "--config", c.region(region)["nodes"][0]["config"]], stderr=log,
                            stdin=subprocess.DEVNULL)


def until_said(path, seen, process, stage, seconds):
    """Until the log says so behind what was seen of it. False: not within so long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert process.poll() is None, f"it ended by itself: {process.returncode}"
        if stage is not None and stage.encode() in path.read_bytes()[seen:]:
            return True
        time.sleep(0.0005)
    return False


def kill_at(c, region, stage=None, seconds=20):
    """A start that is killed when its log says so, or after so long."""
    path = log_of(c, region)
    seen = path.stat().st_size
    with path.open("ab") as log:
        process = start(c, region, log)
        try:
            assert until_said(path, seen, process, stage, seconds) or stage is None, f"no {stage} in {seconds} s"
        finally:
            process.kill()
            process.wait()


def end_while_asking(c, region, others):
    """Nobody answers: it waits, and a signal ends it cleanly."""
    path = log_of(c, region)
    seen = path.stat().st_size
    for other in others:
        c.signal_node(c.region(other)["nodes"][0], signal.SIGSTOP)
    with path.open("ab") as log:
        process = start(c, region, log)
        try:
            assert until_said(path, seen, process, "rejoin.asking", 20), "it does not ask"
            process.terminate()
            assert process.wait(10) == 0, process.returncode
        finally:
            process.kill()
            process.wait()
            for other in others:
                c.signal_node(c.region(other)["nodes"][0], signal.SIGCONT)
    assert "clean=yes" in path.read_text(errors="replace")[seen:]


def killed_return(c, old, new, third):
    """The second primary is replaced too, and its node killed at every other moment of its return."""
    old_id = ids(c, old)
    c.wait_equal()  # or the third one may have an entry that the new one lacks
    cut_off(c, old, (new, third))
    c.wait_link(old, new, False)
    c.wait_link(old, third, False)
    for i in range(5):
        c.connect(old).create_user(f"lost-again-{i}")
    epoch = promote(c, new)
    c.kill(old)
    cut_off(c, old, (new, third), "heal")
    kill_at(c, old, "rejoin.begin")
    end_while_asking(c, old, (new, third))
    for stage in ("rejoin.asking", "rejoin.asking"):
        try:
            kill_at(c, old, stage, 10)
        except AssertionError:
            if "rejoin.done" not in log_of(c, old).read_text(errors="replace"):
                raise  # else the kill came too late to be before it
    for i in range(10):
        kill_at(c, old, seconds=0.05 + 0.03 * i)
    text = log_of(c, old).read_text(errors="replace")
    c.start(old)
    wait_back(c, old, old_id)
    c.wait_equal()
    tail, = json.loads(c.run("lost-tail", "list", "--json"))
    assert tail["epoch"] == epoch and tail["entries"] == 5, tail
    return text.count("rejoin.begin"), text.count("rejoin.asking")


def replica_ahead(c, old, behind, ahead):
    """A promotion that accepts a loss: a replica had applied what the new primary never got, and is replaced too."""
    old_ids = {r: ids(c, r) for r in (old, ahead)}
    c.link("cut", old, behind)
    c.wait_link(old, behind, False)
    _, headers = c.connect(old).create_user("ahead", {"Regent-Wait-Regions": "1"})
    assert c.connect(ahead).user_id("ahead", {"Regent-Min-Revision": headers["regent-revision"]})
    c.link("cut", old, ahead)
    c.wait_link(ahead, old, False)
    try:
        promote(c, behind)
        raise AssertionError("a region was promoted that lacks a write which another one has")
    except Refused as refused:
        assert refused.status in (409, 412), refused
    epoch = promote(c, behind, accept_loss=True)
    wait_back(c, ahead, old_ids[ahead])
    cut_off(c, old, (behind, ahead), "heal")
    wait_back(c, old, old_ids[old])
    c.wait_equal()
    tails = [t for t in json.loads(c.run("lost-tail", "list", "--json")) if t["epoch"] == epoch]
    assert {t["keptIn"]: t["entries"] for t in tails} == {old: 1, ahead: 1}, tails
    c.run("lost-tail", "show", str(epoch), ok=(2,))  # which of the two?
    assert "ahead" in c.run("lost-tail", "show", str(epoch), "--region", ahead)
    # The old ids are out of the configuration.
    until = time.monotonic() + 20
    while True:
        nodes = {n["id"] for r in c.connect(behind).status()["regions"] for n in r["nodes"]}
        if nodes == {ids(c, r) for r in c.names}:
            return
        assert time.monotonic() < until, nodes
        time.sleep(0.1)


def main(regent, _sample):
    with Cluster(regent, options=("--proxy",)) as c:
        replaced, third, first = first_return(c)
        begun, asked = killed_return(c, replaced, third, first)
        replica_ahead(c, third, behind=replaced, ahead=first)
    print(f"a replaced primary came back by itself, and again through kills ({begun} decisions, {asked} times asking); lost "
          "writes were listed, exported and made again")


if __name__ == "__main__":
    main(*sys.argv[1:3])
