"""Clients for tests of takeovers: they find the primary as any client would, and keep what was acknowledged to them, and when."""
import http.client
import signal
import ssl
import threading
import time
from urllib.parse import urlsplit

from cluster import Connection, Refused
from intents import until
from load import BROKEN


class Write:
    """One acknowledged write: when its request began and was answered, at which node (URL), at which revision."""

    def __init__(self, key, began, answered, url, revision):
        self.key, self.began, self.answered, self.url = key, began, answered, url
        self.revision = tuple(int(x) for x in revision.split("."))


class Client(threading.Thread):
    """Writes one after the other over keep-alive connections until stopped: a user, an account, and a number in an account of its
    own, in turns. Follows 421 and its Location, waits as Retry-After says, and asks the next region when one does not answer or
    has no primary. A write without an answer, or with a refusal, may or may not have happened.

    home: the region asked first. stay: never another one."""

    def __init__(self, cluster, number, home=None, stay=False, pause=0.004, timeout=12):
        super().__init__(daemon=True)
        self.cluster, self.number, self.stay, self.pause, self.timeout = cluster, number, stay, pause, timeout
        self.urls = [r["url"].rstrip("/") for r in cluster.file["regions"]]
        self.url = cluster.region(home or cluster.primary)["url"].rstrip("/")
        self.connections = {}
        self.acknowledged, self.refusals, self.unknown, self.moved = [], {}, [], 0
        self.counter = f"98{number:010d}"  # an account whose name is the last number written
        self.asked = 0
        self.halt = threading.Event()
        self.error = None

    def connection(self):
        if self.url not in self.connections:
            self.connections[self.url] = Connection(self.cluster, None, self.timeout, self.url)
        return self.connections[self.url]

    def send(self, n):
        """The write's key and revision."""
        kind = n % 3
        if kind == 0:
            name = f"c{self.number}-{n}"
            return ("user", name), self.connection().create_user(name)[1]["regent-revision"]
        account = f"97{self.number:03d}{n:07d}" if kind == 1 else self.counter
        name = f"n{n}"
        _, headers = self.connection().request("PUT", f"/v1/accounts/{account}", {"name": name})
        return ("account", account) if kind == 1 else ("counter", n), headers["regent-revision"]

    def elsewhere(self):
        if not self.stay:
            at = self.urls.index(self.url) if self.url in self.urls else -1
            self.url = self.urls[(at + 1) % len(self.urls)]

    def refused(self, answer):
        """Whether the client goes on."""
        self.refusals[answer.code] = self.refusals.get(answer.code, 0) + 1
        if answer.status == 421:
            place = urlsplit(answer.headers.get("location", ""))
            if not self.stay and place.netloc:
                self.url = f"{place.scheme}://{place.netloc}"
                self.moved += 1
                return True
            return self.halt.wait(0.05) or True
        if answer.status not in (429, 503, 504):
            return False
        self.halt.wait(float(answer.headers.get("retry-after", 0.05)) if not self.stay else 0.02)
        if answer.code in ("PrimaryUnavailable", "NotReady", "InternalServerException", "Stopping", "Fenced"):
            self.elsewhere()
        return True

    def run(self):
        n = -1
        while not self.halt.is_set():
            n += 1
            self.asked = n
            began, url = time.monotonic(), self.url
            try:
                key, revision = self.send(n)
                self.acknowledged.append(Write(key, began, time.monotonic(), url, revision))
                self.halt.wait(self.pause)
            except Refused as answer:
                if not self.refused(answer):
                    self.error = f"client {self.number}, write {n} at {url}: {answer}"
                    return
            except BROKEN + (ssl.SSLError, AttributeError, http.client.HTTPException):
                self.unknown.append(n)
                self.connection().close()
                self.elsewhere()
                self.halt.wait(0.02)
        for connection in self.connections.values():
            connection.close()


class StrictReader(threading.Thread):
    """Reads of a region, none of which may fail: a status, a sign-in's check, an account. Revisions never go back."""

    def __init__(self, cluster, region, user, account):
        super().__init__(daemon=True)
        self.cluster, self.region, self.user, self.account = cluster, region, user, account
        self.answers, self.longest, self.error = 0, 0.0, None
        self.halt = threading.Event()

    def run(self):
        connection, last, n = self.cluster.connect(self.region, timeout=5), (0, 0), 0
        while not self.halt.is_set():
            began = time.monotonic()
            try:
                if n % 3 == 0:
                    _, headers = connection.request("GET", "/v1/regions")
                elif n % 3 == 1:
                    body = {"IdentityStoreId": self.cluster.store, "UserId": self.user}
                    _, headers = connection.call("AWSIdentityStore.DescribeUser", body)
                else:
                    _, headers = connection.request("GET", f"/v1/accounts/{self.account}")
            except BROKEN + (Refused,) as error:
                self.error = f"read {n} at {self.region} failed: {error!r}"
                return
            n += 1
            self.longest = max(self.longest, time.monotonic() - began)
            revision = tuple(int(x) for x in headers["regent-revision"].split("."))
            if revision < last:
                self.error = f"{self.region}: revision went back from {last} to {revision}"
                return
            last = revision
            self.answers += 1
            self.halt.wait(0.005)
        connection.close()


def kill(c, region):
    """SIGKILL to a region's one node, at once (a command would take its time); when it was sent. The process is gone then."""
    node = c.region(region)["nodes"][0]
    assert c.signal_node(node, signal.SIGKILL), f"{region} does not run"
    at = time.monotonic()
    until(lambda: not c.signal_node(node, 0), every=0.002)
    return at


def start(threads):
    for t in threads:
        t.start()
    return threads


def stop(threads):
    """Ends them; an error of any is the test's."""
    for t in threads:
        t.halt.set()
    for t in threads:
        t.join(40)
        assert not t.is_alive(), f"{t} does not end"
    errors = [t.error for t in threads if t.error]
    assert not errors, errors


def total(clients):
    return sum(len(c.acknowledged) for c in clients)


def more(clients, n=30, seconds=30):
    """Until so many more writes were acknowledged."""
    goal = total(clients) + n

    def there():
        errors = [c.error for c in clients if c.error]
        assert not errors, errors
        return total(clients) >= goal
    until(there, seconds, 0.01)


def longest_gap(clients, since, to):
    """Seconds without any acknowledged write, at most, within a time."""
    times = sorted([w.answered for c in clients for w in c.acknowledged if since <= w.answered <= to] + [since, to])
    return max(b - a for a, b in zip(times, times[1:]))


def statuses(c):
    return {r: c.connect(r, timeout=3).status() for r in c.names}


def settled(c, seconds=40):
    """Until there is exactly one primary and every other region follows it, ready, in its epoch; the primary's name."""
    def look():
        all_of = statuses(c)
        primaries = [r for r, s in all_of.items() if s["role"] == "PRIMARY"]
        if len(primaries) != 1:
            return None
        leader = all_of[primaries[0]]
        return primaries[0] if all(s["ready"] and s["epoch"] == leader["epoch"] and s["primary"]["reachable"] and
                                   s["primary"]["id"] == leader["node"] for s in all_of.values()) else None
    try:
        return until(look, seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}; roles: " + str({r: (s["role"], s["epoch"], s["ready"], s.get("notReady"), s["primary"])
                                                        for r, s in statuses(c).items()})) from error


def came_back(c, region, old_id, seconds=40):
    """Until the region is a ready replica under another id than that; its status."""
    return until(lambda: (lambda s: s if s["node"] != old_id and s["ready"] and s["role"] == "REPLICA" else None)(
        c.connect(region, timeout=2).status()), seconds)


def check_kept(c, clients, lost=()):
    """Every acknowledged write is in every region, but those of the keys in `lost`; how many there are."""
    wanted = {w.key for x in clients for w in x.acknowledged if w.key[0] != "counter"} - set(lost)
    for region in c.names:
        connection, found, token = c.connect(region), set(), None
        while True:
            body = {"IdentityStoreId": c.store, "MaxResults": 100, **({"NextToken": token} if token else {})}
            page, _ = connection.call("AWSIdentityStore.ListUsers", body)
            found.update(("user", u["UserName"]) for u in page["Users"])
            token = page.get("NextToken")
            if not token:
                break
        accounts, after = {}, ""
        while after is not None:
            page = connection.request("GET", "/v1/accounts" + (f"?after={after}" if after else ""))[0]
            accounts.update((a["id"], a.get("name")) for a in page["accounts"])
            after = page.get("next")
        found.update(("account", a) for a in accounts)
        missing = sorted(wanted - found)
        assert not missing, f"{region} lost {len(missing)} of {len(wanted)} acknowledged writes: {missing[:5]}"
        for x in clients:
            counted = [w.key[1] for w in x.acknowledged if w.key[0] == "counter" and w.key not in lost]
            if counted:
                there = int(accounts[x.counter][1:])
                assert max(counted) <= there <= x.asked, f"{region}: the number of client {x.number} is {there}, {max(counted)} was acknowledged"
    for x in clients:  # what follows an acknowledged write comes after it
        revisions = [w.revision for w in x.acknowledged if w.key not in lost]
        assert all(a < b for a, b in zip(revisions, revisions[1:])), f"client {x.number}: revisions of its writes went back"
    return sum(len(x.acknowledged) for x in clients)


def check_epochs(c, expected):
    """Every region lists the same epochs, each once, each later than the one before; begun by these regions (None: by any)."""
    def look():
        """Until each has its region: one whose asker is gone is noted by the primary some seconds later."""
        lists = [c.connect(r).request("GET", "/v1/epochs")[0]["epochs"] for r in c.names]
        return lists if all(e.get("region") for x in lists for e in x[1:]) else None
    lists = until(look)
    assert all(x == lists[0] for x in lists), lists
    numbers = [(e["epoch"], e["firstIndex"]) for e in lists[0]]
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in zip(numbers, numbers[1:])), numbers
    began = [e["region"] for e in lists[0][1:]]
    assert expected is None or began == list(expected), (began, expected)
    return lists[0]
