#!/usr/bin/env python3
"""A primary that only its own clients can reach. Lease off: it goes on, status and runbook say so, its write is a lost tail after the
promotion. Lease on: it stops, says so, and goes on when it is reached again."""
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from cluster import Cluster, Refused


def cut_off(c, region):
    for other in c.names:
        if other != region:
            c.link("cut", region, other)


def status(c, *wanted, seconds=15):
    """`regent status` once all of the texts are in it."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        text = c.run("status")
        if all(part in text for part in wanted):
            return text
        time.sleep(0.05)
    raise AssertionError(f"not {wanted} within {seconds} s:\n{text}")


def writes_open(c):
    """Regions whose /metrics say that they acknowledge writes."""
    found = []
    for name in c.names:
        page = urllib.request.urlopen(c.region(name)["url"] + "/metrics", timeout=5, context=c.tls).read().decode()
        value = next(line for line in page.splitlines() if line.startswith("regent_writes_open{")).split()[-1]
        found += [name] if value == "1" else []
    return found


def wait_open(c, primary, seconds=15):
    until = time.monotonic() + seconds
    while writes_open(c) != [primary]:
        assert time.monotonic() < until, c.run("status")
        time.sleep(0.05)


def lease_off(c):
    old, new, third = c.names
    cut_off(c, old)
    text = status(c, f"alarm at {old}: Isolated:")
    assert "writes:" not in text, text  # one primary, and it does take writes
    lost = c.connect(old).create_user("of-the-lost-tail")[1]["regent-revision"]
    command = [c.regent, "runbook", "failover", "--to", new, "--by", "ada", "--reason", "cut off", "--evidence", str(c.dir / "e")]
    done = subprocess.run(command, env=c.env, input="y\n" * 7, text=True, capture_output=True, timeout=60, check=False)
    text = done.stdout + done.stderr
    assert done.returncode == 0, text
    assert f"{old} still answers as PRIMARY" in text and f"{old} itself shows" in text and "alarm Isolated" in text, text
    assert f"{old}        (the old primary): RevisionNotReached" in text and f"{third}   shows revision" in text, text
    c.load()
    assert c.primary == new
    status(c, "2 regions say that they are PRIMARY", f"writes: open at {old}, epoch 1", f"writes: open at {new}, epoch 2")
    assert sorted(writes_open(c)) == sorted([old, new])
    c.link("heal", "all")
    c.wait_equal(40)
    text = c.run("status")
    assert "writes:" not in text and "alarm" not in text, text
    assert writes_open(c) == [new]
    text = c.run("lost-tail", "list")
    assert text.splitlines()[1].split()[:3] == ["2", old, "1"], text
    assert "of-the-lost-tail" in c.run("lost-tail", "show", "2")
    for name in c.names:
        try:
            c.connect(name).request("GET", "/v1/status", headers={"Regent-Min-Revision": lost})
            raise AssertionError(f"{name} has revision {lost}")
        except Refused as refused:
            assert refused.status == 410 and refused.code == "RevisionLost", refused
    print("lease off: both took writes until they met; one write is a lost tail, its revision is known to be lost", flush=True)


def lease_on(c):
    primary = c.primary
    c.run("lease", "set", "--regions", "1", "--seconds", "2")
    wait_open(c, primary)  # granted with the next sign of life
    c.connect(primary).create_user("under-a-lease")
    began = time.monotonic()
    cut_off(c, primary)
    status(c, f"writes: refused at {primary}, epoch 2", f"alarm at {primary}: LeaseNotHeld:")
    assert time.monotonic() - began < 20
    assert not writes_open(c)
    try:
        c.connect(primary).request("PUT", "/v1/accounts/900000000001", {"name": "x"})
        raise AssertionError("written without a lease")
    except Refused as refused:
        assert refused.status == 503 and refused.code == "LeaseNotHeld", refused
    c.link("heal", "all")
    wait_open(c, primary)
    c.connect(primary).create_user("leased-again")
    c.wait_equal()
    print("lease on: cut off it refused within its time, and went on when it was renewed", flush=True)


if __name__ == "__main__":
    with Cluster(Path(sys.argv[1]).resolve(), options=("--proxy",)) as cluster:
        cluster.run("import", sys.argv[2])
        lease_off(cluster)
        lease_on(cluster)
