#!/usr/bin/env python3
"""A region that is cut off: how old its answers may be is said and grows, a bound is kept by refusing, and with a bound in its
configuration its /readyz says no; all of it ends by itself when the line is back."""
import sys
import time
import urllib.error
import urllib.request

from cluster import Cluster, Refused
from intents import until

REPLICA = "eu-central-1"


def stale(c, name, headers=None):
    """Of a check there; None: refused as too stale."""
    body = {"user": "nobody", "account": "111111111111", "permissionSet": "x"}
    try:
        answer, head = c.connect(name).request("POST", "/v1/check", body, headers)
    except Refused as refused:
        assert (refused.status, refused.code) == (503, "TooStale"), refused
        return None
    assert "stale_ms" in answer and (answer["stale_ms"] is None) == ("regent-stale-ms" not in head), (answer, head)
    return answer["stale_ms"]


def readyz(c, name):
    try:
        with urllib.request.urlopen(c.region(name)["url"] + "/readyz", context=c.tls, timeout=10) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


def main(regent, sample):
    with Cluster(regent, regions=f"us-east-1,{REPLICA}", options=("--proxy",)) as c:
        c.run("import", sample)
        c.wait_equal()
        assert stale(c, c.primary) == 0
        until(lambda: (stale(c, REPLICA) or 99999) < 5000, seconds=30)
        c.link("cut", c.primary, REPLICA)
        cut = time.monotonic()
        until(lambda: stale(c, REPLICA, {"Regent-Max-Stale-Ms": "1500"}) is None, seconds=30)
        least = (time.monotonic() - cut) * 1000 - 3000  # what was on its way, and the announcements' rhythm
        assert stale(c, REPLICA) >= max(1500, least), stale(c, REPLICA)
        assert readyz(c, REPLICA) == 200, "no bound is configured"
        c.link("heal", c.primary, REPLICA)
        until(lambda: stale(c, REPLICA, {"Regent-Max-Stale-Ms": "5000"}) is not None, seconds=30)
        node = c.region(REPLICA)["nodes"][0]
        c.kill(REPLICA)
        with open(node["config"], "a", encoding="ascii") as config:
            config.write("max_staleness_ms: 5000\n")
        c.start(REPLICA)
        until(lambda: readyz(c, REPLICA) == 200 and stale(c, REPLICA) is not None, seconds=30)
        c.link("cut", c.primary, REPLICA)
        until(lambda: readyz(c, REPLICA) == 503 and stale(c, REPLICA) is None, seconds=40)
        assert c.connect(REPLICA).status()["revision"], "what tells how it is, tells it always"
        c.link("heal", c.primary, REPLICA)
        until(lambda: readyz(c, REPLICA) == 200 and stale(c, REPLICA) is not None, seconds=40)
    print("a region that is cut off says how old its answers may be, and keeps the bound")


if __name__ == "__main__":
    main(*sys.argv[1:3])
