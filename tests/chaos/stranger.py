"""A region that was away while every other node was replaced under a new id still finds the primary, which it has never heard of."""
import sys

from cluster import Cluster, wait


def take_over(c, dead, heir):
    """The primary's region dies, another takes over, the dead one comes back under a new id."""
    c.kill(dead)
    c.run("failover", "declare", "--to", heir, "--by", "test", "--reason", "it is dead", "--accept-loss", "--yes")
    c.run("dev", "start", dead)
    c.load()
    wait(f"{dead} is a replica again", 40, lambda: c.connect(dead).status()["role"] == "REPLICA" and
         c.connect(dead).status()["hash"] == c.connect(heir).status()["hash"] and
         c.connect(heir).status()["primary"]["id"] != c.connect(dead).status()["node"])


def main(regent, organisation):
    with Cluster(regent) as c:
        first, second, away = c.names
        c.run("import", organisation)
        c.wait_equal()
        before = {n: c.connect(n).status()["node"] for n in c.names}
        c.kill(away)
        take_over(c, first, second)
        take_over(c, second, first)
        after = {n: c.connect(n).status()["node"] for n in (first, second)}
        assert not set(after.values()) & set(before.values()), (before, after)
        c.run("dev", "start", away, timeout=30)
        c.wait_equal(40)
        status = c.connect(away).status()
        assert status["node"] == before[away] and status["primary"]["id"] == after[first], status
        print(f"{away} knew {sorted(before.values())} and follows {after[first]}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
