#!/usr/bin/env python3
"""The main job with real processes: an organisation is loaded, every region computes the same access, the primary is
killed, replicas go on (also one that is restarted meanwhile), the primary comes back with everything."""
import gzip
import hashlib
import json
import sys
import time

from cluster import Cluster, Refused, shared_data


def access_hash(cluster, region):
    text = cluster.run("access", "list", "--region", region)
    lines = text.splitlines()
    assert lines == sorted(lines), f"{region}: lines are not sorted"
    return len(lines), hashlib.sha256(text.encode()).hexdigest()


def organisation(sample):
    """The Kubernetes organisation where the data sets are at hand, else the sample; what it must come to."""
    data = shared_data()
    if data is not None:
        path = data / "kubernetes-org.json.gz"
        facts = json.loads(gzip.decompress(path.read_bytes()))["facts"]
        return path, facts["effectiveAccess"], facts["effectiveAccessSha256"]
    print("the real organisation is skipped: the data sets are not at hand; the sample is loaded instead")
    org = json.loads(open(sample, encoding="utf-8").read())
    groups = {g["displayName"]: g["members"] for g in org["groups"]}
    lines = set()
    for a in org["assignments"]:
        for user in groups[a["principal"]] if a["principalType"] == "GROUP" else [a["principal"]]:
            lines.add(f"{user}\t{a['account']}\t{a['permissionSet']}\n")
    return sample, len(lines), hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def expect_refusal(connection, name, codes):
    try:
        connection.create_user(name)
    except Refused as refused:
        assert refused.code in codes, f"{refused.code} is not one of {codes}: {refused}"
        return refused
    raise AssertionError("a write at a replica was taken")


def main(regent, sample):
    path, count, digest = organisation(sample)
    with Cluster(regent) as c:
        c.run("import", str(path))
        c.run("dev", "ready")
        for name in c.names:
            assert access_hash(c, name) == (count, digest), f"{name}: {access_hash(c, name)}, not {(count, digest)}"
        c.wait_equal()
        again = c.run("import", str(path))  # idempotent
        assert "imported" in again
        for name in c.names:
            assert access_hash(c, name) == (count, digest)

        first, second = c.replicas[0], c.replicas[1]
        refused = expect_refusal(c.connect(first), "nobody", {"NotPrimary"})
        assert refused.status == 421 and refused.headers.get("location", "").startswith(c.region(c.primary)["url"]), refused.headers
        c.connect(c.primary).create_user("acknowledged-before", {"Regent-Wait-Regions": "all"})
        c.wait_pinned()
        before = c.wait_equal()

        c.kill(c.primary)
        for name in c.replicas:
            assert access_hash(c, name) == (count, digest)
            assert c.connect(name).user_id("acknowledged-before")
        until = time.monotonic() + 10
        while True:  # the replica notices within a few announcements
            refused = expect_refusal(c.connect(first), "nobody", {"NotPrimary", "PrimaryUnavailable"})
            if refused.code == "PrimaryUnavailable" or time.monotonic() > until:
                break
            time.sleep(0.1)
        assert refused.code == "PrimaryUnavailable", refused

        # What every region knows can be looked up without one: that is when people look.
        for command in (("region", "list"), ("region", "show", first), ("failover", "history"), ("durability", "show"),
                        ("durability", "degraded"), ("lease", "show"),
                        ("access", "check", *c.run("access", "list").splitlines()[0].split("\t"))):
            assert c.run(*command), command
        c.run("region", "set", first, "--owner", "nobody", ok=(3,))  # but not changed

        c.kill(second)  # and back, while the primary is dead
        c.start(second)
        assert access_hash(c, second) == (count, digest)
        assert c.connect(second).user_id("acknowledged-before")
        assert c.connect(second).status()["hash"] == before

        c.start(c.primary)
        c.connect(c.primary).create_user("written-after", {"Regent-Wait-Regions": "all", "Regent-Wait-Ms": "20000"})
        after = c.wait_equal()
        assert after != before
        for name in c.names:
            assert c.connect(name).user_id("written-after")
            assert c.connect(name).user_id("acknowledged-before")
            assert access_hash(c, name) == (count, digest)
    print(f"effective access: {count} lines, {digest}: the same in every region, before, during and after")


if __name__ == "__main__":
    main(*sys.argv[1:3])
