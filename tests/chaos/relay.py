#!/usr/bin/env python3
"""Three voters, and clients that each know one of them: every node takes writes, whichever leads, through kill -9 of the leader; what was
acknowledged is read at the same node at once. The AWS CLI, which follows no 421, is served by each. Replicas elsewhere go on answering 421."""
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time

from cluster import Cluster, Connection, Refused
from intents import until
from load import BROKEN

REGION = "us-east-1"


class PinnedWriter(threading.Thread):
    """Writes users one after the other at one node, as an SDK does: what is refused for now or not answered is asked again, and that
    a user exists already is the answer to a write that had no answer."""

    def __init__(self, cluster, node):
        super().__init__(daemon=True)
        self.cluster, self.node = cluster, node
        self.done, self.again, self.late, self.times = [], 0, 0, []
        self.halt = threading.Event()
        self.error = None

    def run(self):
        connection = Connection(self.cluster, REGION, timeout=10, url=self.node["url"])
        n, open_outcome = 0, False
        while not self.halt.is_set():
            name = f"p{self.node['id']}-{n}"
            try:
                created, headers = connection.create_user(name)
                assert headers["regent-region"] == REGION, headers
                read = connection.call("AWSIdentityStore.DescribeUser",
                                       {"IdentityStoreId": self.cluster.store, "UserId": created["UserId"]})[0]
                assert read["UserName"] == name, read
            except Refused as refused:
                if refused.code == "ConflictException" and open_outcome:
                    pass
                elif refused.status in (429, 503, 504) or refused.code == "ThrottlingException":
                    open_outcome |= refused.status in (503, 504) and "nothing was written" not in refused.body["message"]
                    self.again += 1
                    time.sleep(0.02)
                    continue
                elif refused.code == "ResourceNotFoundException":
                    self.late += 1  # acknowledged, and this node was not there yet within the second that it waits
                else:
                    self.error = f"{name}: {refused}"
                    return
            except BROKEN:
                connection.close()
                open_outcome = True
                self.again += 1
                time.sleep(0.05)
                continue
            except AssertionError as wrong:
                self.error = f"{name}: {wrong}"
                return
            self.done.append(name)
            self.times.append(time.monotonic())
            n, open_outcome = n + 1, False


def leader_of(cluster, nodes):
    said = []
    for node in nodes:
        try:
            said.append((node["id"], Connection(cluster, REGION, timeout=2, url=node["url"]).status()["role"]))
        except BROKEN + (Refused,):
            continue
    leaders = [i for i, role in said if role == "PRIMARY"]
    return leaders[0] if len(leaders) == 1 else None


def aws(cluster, node, name):
    """One write by the AWS CLI at this node, with the retries that it does by itself; what it says."""
    admin = cluster.file["admin"]
    env = {**os.environ, "AWS_ACCESS_KEY_ID": admin["access_key_id"], "AWS_CA_BUNDLE": cluster.file["ca"],
           "AWS_SECRET_ACCESS_KEY": admin["secret_access_key"], "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
           "AWS_CONFIG_FILE": "/nonexistent", "AWS_PAGER": "", "AWS_RETRY_MODE": "standard", "AWS_MAX_ATTEMPTS": "8"}
    done = subprocess.run(["aws", "--endpoint-url", node["url"], "identitystore", "create-user", "--identity-store-id", cluster.store,
                           "--user-name", name, "--display-name", name, "--name", "GivenName=a,FamilyName=b"],
                          env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0 or "ConflictException" in done.stderr, f"{name} at node {node['id']}: {done.stderr}"
    return "written" if done.returncode == 0 else "written by an attempt before"


def passed_on(cluster, node):
    text = Connection(cluster, REGION, url=node["url"]).request("GET", "/metrics")[0]
    return int(next(l for l in text.splitlines() if l.startswith("regent_relay_answered_total ")).split()[1])


def missing(cluster, names):
    exported = {u.get("userName") or u.get("UserName") for u in json.loads(cluster.run("export"))["users"]}
    return [n for n in names if n not in exported]


def kill_leader(c, nodes, writers, have_aws):
    leader = until(lambda: leader_of(c, nodes()), seconds=60)
    killed = next(n for n in nodes() if n["id"] == leader)
    assert c.signal_node(killed, signal.SIGKILL)
    at = time.monotonic()
    others = [n for n in nodes() if n["id"] != leader]
    if have_aws:
        print(f"AWS CLI at node {others[0]['id']} as node {leader} is gone: {aws(c, others[0], f'cli-{leader}-{at:.0f}')}", flush=True)
    for w in writers:
        if w.node["id"] != leader:
            until(lambda w=w: w.error or (w.times and w.times[-1] > at), seconds=60)
            print(f"node {w.node['id']}: {next((t - at for t in w.times if t > at), -1):.2f} s to the next write", flush=True)
    c.run("dev", "start", REGION, "--node", str(leader))
    c.load()
    until(lambda: leader_of(c, nodes()), seconds=60)


def main(regent, _sample):
    with Cluster(regent, regions=f"{REGION},eu-central-1", options=("--voters", "3")) as c:
        def nodes():
            return c.region(REGION)["nodes"]

        have_aws = shutil.which("aws") is not None
        if have_aws:
            for node in nodes():
                print(f"AWS CLI at node {node['id']}: {aws(c, node, 'cli-%d' % node['id'])}", flush=True)
        else:
            print("the AWS CLI is not installed: its part is left out")
        try:  # between regions a client is told
            c.connect("eu-central-1").create_user("elsewhere")
            raise AssertionError("a replica of another region took a write")
        except Refused as refused:
            assert refused.status == 421 and "location" in refused.headers, refused
        writers = [PinnedWriter(c, n) for n in nodes()]
        for w in writers:
            w.start()
        until(lambda: any(w.error for w in writers) or all(len(w.done) > 20 for w in writers), seconds=60)
        for _ in range(2):
            kill_leader(c, nodes, writers, have_aws)
        count = {w: len(w.done) for w in writers}
        until(lambda: any(w.error for w in writers) or all(len(w.done) > count[w] for w in writers), seconds=60)
        for w in writers:
            w.halt.set()
        for w in writers:
            w.join(60)
            assert not w.is_alive() and w.error is None, w.error
        assert sum(until(lambda n=n: passed_on(c, n) + 1, seconds=60) - 1 for n in nodes()) > 0
        names = [name for w in writers for name in w.done]
        for w in writers:
            assert len(w.done) > 20, f"node {w.node['id']}: {len(w.done)}"
        until(lambda: not missing(c, names), seconds=60)
        print(f"{len(names)} writes at three nodes, each at the node it knows; asked again {sum(w.again for w in writers)} times, read late "
              f"{sum(w.late for w in writers)} times; all there")


if __name__ == "__main__":
    main(*sys.argv[1:3])
