"""Writers and readers for failure tests: what was acknowledged is remembered, what is read must never go back."""
import http.client
import os
import threading
import time

from cluster import Connection, Refused

BROKEN = (OSError, http.client.HTTPException)
GAP_MAX = 5.0  # seconds for which reads may pause: nothing of them waits for a link; machines that run tests are noisy


class Writer(threading.Thread):
    """Writes users at the primary until stopped. A write without an answer may or may not have happened."""

    def __init__(self, cluster, number, pause=0.0, large=False):
        super().__init__(daemon=True)
        self.cluster, self.number, self.pause, self.large = cluster, number, pause, large
        self.acknowledged, self.refused, self.unknown = [], 0, 0
        self.halt = threading.Event()
        self.error = None

    def run(self):
        connection = self.cluster.connect(self.cluster.primary, timeout=5)
        n = 0
        while not self.halt.is_set():
            name = f"w{self.number}-{n}"
            n += 1
            try:
                more = {m: os.urandom(500).hex() for m in ("NickName", "Title", "Website")} if self.large else {}
                _, headers = connection.create_user(name, **more)
                self.acknowledged.append((name, headers["regent-revision"]))
            except Refused as refused:
                if refused.status not in (429, 503, 504, 507):
                    self.error = f"{name}: {refused}"
                    return
                self.refused += 1
                time.sleep(0.02)
            except BROKEN:
                self.unknown += 1
                connection.close()
                time.sleep(0.02)
            time.sleep(self.pause)


class Reader(threading.Thread):
    """Reads a region's status: its revision must never go back, also across restarts."""

    def __init__(self, cluster, region):
        super().__init__(daemon=True)
        self.cluster, self.region = cluster, region
        self.answers, self.longest_gap, self.error = 0, 0.0, None
        self.halt = threading.Event()

    def run(self):
        connection = self.cluster.connect(self.region, timeout=5)
        last, answered_at = (0, 0), time.monotonic()
        while not self.halt.is_set():
            try:
                _, headers = connection.request("GET", "/v1/regions")
            except Refused as refused:
                if refused.status not in (429, 503):
                    self.error = f"{self.region}: {refused}"
                    return
                time.sleep(0.02)
                continue
            except BROKEN:
                connection.close()
                time.sleep(0.02)
                continue
            now = time.monotonic()
            self.longest_gap = max(self.longest_gap, now - answered_at)
            answered_at = now
            revision = tuple(int(x) for x in headers["regent-revision"].split("."))
            if revision < last:
                self.error = f"{self.region}: revision went back from {last} to {revision}"
                return
            last = revision
            self.answers += 1
            time.sleep(0.005)


def finish(threads):
    for t in threads:
        t.halt.set()
    for t in threads:
        t.join(30)
    errors = [t.error for t in threads if t.error]
    assert not errors, errors


def check_acknowledged(cluster, writers):
    """Every acknowledged user is on every node; returns how many there are."""
    names = [name for w in writers for name, _ in w.acknowledged]
    for region, node in [(r["name"], n) for r in cluster.file["regions"] for n in r["nodes"]]:
        found = set()
        connection, token = Connection(cluster, region, url=node["url"]), None
        while True:
            body = {"IdentityStoreId": cluster.store, "MaxResults": 100, **({"NextToken": token} if token else {})}
            page, _ = connection.call("AWSIdentityStore.ListUsers", body)
            found.update(u["UserName"] for u in page["Users"])
            token = page.get("NextToken")
            if not token:
                break
        lost = [n for n in names if n not in found]
        assert not lost, f"node {node['id']} of {region} lost {len(lost)} of {len(names)} acknowledged writes: {lost[:5]}"
    return len(names)
