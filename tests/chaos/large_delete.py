#!/usr/bin/env python3
"""A group of some thousands is deleted, and whoever applies it is killed meanwhile, primary and replica in turn: it is gone whole
everywhere, in one state. While nobody is killed, reads and the rest go on, and readers see all of it or nothing."""
import http.client
import random
import sys
import threading
import time

from cluster import Cluster, Refused, wait


def fill(c, name, users):
    """A group of all of these users; its id."""
    group = c.connect(c.primary).call("AWSIdentityStore.CreateGroup", {"IdentityStoreId": c.store, "DisplayName": name})[0]["GroupId"]

    def some(part):
        conn = c.connect(c.primary)
        for user in part:
            conn.call("AWSIdentityStore.CreateGroupMembership", {
                "IdentityStoreId": c.store, "GroupId": group, "MemberId": {"UserId": user}})
    threads = [threading.Thread(target=some, args=(users[k::16],)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert memberships(c, c.primary) == len(users), "not all of them were made"
    return group


def make_users(c, n):
    found = []

    def some(part):
        conn = c.connect(c.primary)
        for i in part:
            found.append(conn.create_user(f"member-{i}")[0]["UserId"])
    threads = [threading.Thread(target=some, args=(range(k, n, 16),)) for k in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == n
    return found


def memberships(c, region):
    return c.connect(region).status()["counts"]["memberships"]


def metric(c, region, name):
    text, _ = c.connect(region).request("GET", "/metrics")
    return next(float(line.rsplit(" ", 1)[1]) for line in text.splitlines() if line.startswith(f"regent_{name}{{"))


class Delete(threading.Thread):
    """DeleteGroup at the primary, whatever comes of it."""

    def __init__(self, c, group):
        super().__init__(daemon=True)
        self.c, self.group, self.refused = c, group, None

    def run(self):
        try:
            self.c.connect(self.c.primary, 60).call("AWSIdentityStore.DeleteGroup", {
                "IdentityStoreId": self.c.store, "GroupId": self.group})
        except Refused as refused:
            self.refused = refused
        except (OSError, http.client.HTTPException):
            pass  # the outcome is open


def in_the_log(c, region, last):
    log = c.connect(region).status()["log"]
    return log["last"] > last


def main(regent, _sample, members="5000"):
    n = int(members)
    with Cluster(regent, "us-east-1,eu-central-1") as c:
        users = make_users(c, n)
        replica = c.replicas[0]

        # Nobody is killed. What a reader sees of the group is all or nothing.
        group = fill(c, "first", users)
        c.wait_equal()
        delete = Delete(c, group)
        delete.start()
        seen = set()
        while delete.is_alive():
            seen |= {memberships(c, region) for region in c.names}
        assert delete.refused is None, delete.refused
        c.wait_equal()
        seen |= {memberships(c, region) for region in c.names}
        assert seen <= {0, n} and 0 in seen, seen
        for region in c.names:
            assert metric(c, region, "applied_heavy_total") == 1 and metric(c, region, "apply_heavy") == 0, region

        for victim in (c.primary, replica):
            group = fill(c, f"of {victim}", users)
            c.wait_equal()
            last = c.connect(c.primary).status()["log"]["last"]
            delete = Delete(c, group)
            delete.start()
            wait("the deletion is in the log", 20, lambda: in_the_log(c, victim, last))
            time.sleep(random.uniform(0, 0.02))
            c.kill(victim)
            delete.join(60)
            assert delete.refused is None, delete.refused
            c.start(victim)
            c.wait_equal(60)
            for region in c.names:
                assert memberships(c, region) == 0, region
            print(f"{victim} killed while it was deleted: gone whole, everywhere", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
