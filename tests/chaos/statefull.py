#!/usr/bin/env python3
"""One region has little memory for the state: what adds is refused everywhere, by name, before anything stops; deletions go on; restarts
need no more room; raised there, writes go on."""
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused
from load import Writer, check_acknowledged


def set_limit(c, region, mib):
    """Write state_mb_max into the node's configuration, and start it anew."""
    node = c.region(region)["nodes"][0]
    c.kill(region)
    config = Path(node["config"])
    lines = [line for line in config.read_text().splitlines() if not line.startswith("state_mb_max:")]
    config.write_text("\n".join([*lines, f"state_mb_max: {mib}"]) + "\n")
    c.start(region)


def until(look, seconds=30):
    end = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.05)
    return found


def metric(c, region, name):
    text, _ = c.connect(region).request("GET", "/metrics")
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"regent_{name}{{"))


def refusal(c):
    """What the primary says to one more user; None: it took it."""
    try:
        c.connect(c.primary).create_user(f"more-{time.monotonic_ns()}")
    except Refused as refused:
        return refused
    return None


def users(c, n):
    body = {"IdentityStoreId": c.store, "MaxResults": n}
    return [u["UserId"] for u in c.connect(c.primary).call("AWSIdentityStore.ListUsers", body)[0]["Users"]]


def main(regent, _sample):
    with Cluster(regent) as c:
        small = c.replicas[0]
        set_limit(c, small, 16)
        writers = [Writer(c, i, large=True) for i in range(6)]
        for w in writers:
            w.start()
        until(lambda: c.connect(c.primary).status()["writes"] == "full", 120)
        for w in writers:
            w.halt.set()
        for w in writers:
            w.join(20)
        refused = until(lambda: refusal(c))
        assert refused.status == 507 and refused.code == "ServiceQuotaExceededException", refused
        message = refused.body.get("Message") or refused.body["message"]
        assert small in message and "state_mb_max" in message and "16 MiB" in message, message
        for region in c.names:
            status = c.connect(region).status()
            assert status["ready"], (region, status)
            codes = [a["code"] for a in status["alarms"]]
            assert ("StateFull" in codes) == (region in (small, c.primary)), (region, codes)
        assert metric(c, small, "state_full") == 1 and metric(c, c.primary, "state_full") == 0
        assert metric(c, c.primary, "writes_refused_full") == 1
        assert 0.8 < metric(c, small, "state_bytes") / metric(c, small, "state_bytes_max") < 1
        assert "StateFull" in c.run("status")

        # What does not add goes on: somebody is disabled, somebody is deleted.
        victim, other = users(c, 2)
        c.connect(c.primary).call("AWSIdentityStore.UpdateUser", {
            "IdentityStoreId": c.store, "UserId": victim,
            "Operations": [{"AttributePath": "userStatus", "AttributeValue": "DISABLED"}]})
        c.connect(c.primary).call("AWSIdentityStore.DeleteUser", {"IdentityStoreId": c.store, "UserId": other})
        c.wait_equal(30)

        c.kill(small)  # a restart needs no more room than running did
        c.start(small)
        c.wait_equal(30)
        until(lambda: refusal(c))  # started below the mark, by the user deleted, it takes what is missing to it, and no more
        deleted = 0
        while refusal(c) is not None:  # deleted, there is room again
            for user in users(c, 50):
                c.connect(c.primary).call("AWSIdentityStore.DeleteUser", {"IdentityStoreId": c.store, "UserId": user})
                deleted += 1
        set_limit(c, small, 64)
        c.wait_equal(30)
        assert c.connect(c.primary).status()["writes"] == "open"
        more = [Writer(c, 100 + i, large=True) for i in range(2)]
        for w in more:
            w.start()
        time.sleep(2)
        for w in more:
            w.halt.set()
        for w in more:
            w.join(20)
        assert all(w.error is None for w in writers + more), [w.error for w in writers + more]
        count = check_acknowledged(c, more)
        print(f"{sum(len(w.acknowledged) for w in writers)} writes until {small} was full, {deleted} deletions until it was not, "
              f"{count} writes after its limit was raised: all there; nobody stopped")


if __name__ == "__main__":
    main(*sys.argv[1:])
