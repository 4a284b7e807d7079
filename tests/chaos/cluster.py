"""A development cluster of real processes for tests: started by `regent dev up`, spoken to over its HTTPS."""
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from pathlib import Path


class Refused(Exception):
    """An HTTP answer that is not 2xx."""

    def __init__(self, status, body, headers):
        super().__init__(f"{status} {body}")
        self.status, self.body, self.headers = status, body, headers
        self.code = body.get("__type") or body.get("code") if isinstance(body, dict) else None


class Connection:
    """One keep-alive connection to a region; dials again by itself after an error."""

    def __init__(self, cluster, region, timeout=10, url=None):
        """url: of one node of the region; its first one otherwise."""
        self.cluster, self.region, self.timeout, self.url = cluster, region, timeout, url
        self.conn = None

    def request(self, method, path, body=None, headers=None):
        all_headers = {"Authorization": "Bearer " + self.cluster.file["admin"]["bearer_token"], **(headers or {})}
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        try:
            if self.conn is None:
                address = (self.url or self.cluster.region(self.region)["url"]).split("//")[1]
                self.conn = http.client.HTTPSConnection(address, timeout=self.timeout, context=self.cluster.tls)
            self.conn.request(method, path, body, all_headers)
            answer = self.conn.getresponse()
            raw = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        try:
            value = json.loads(raw) if raw else None
        except ValueError:
            value = raw.decode(errors="replace")
        if answer.status // 100 != 2:
            raise Refused(answer.status, value, {k.lower(): v for k, v in answer.headers.items()})
        return value, {k.lower(): v for k, v in answer.headers.items()}

    def call(self, target, body, headers=None):
        """One AWS JSON operation; the answer's body and headers."""
        return self.request("POST", "/", body, {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1",
                                                **(headers or {})})

    def create_user(self, name, headers=None, **attributes):
        return self.call("AWSIdentityStore.CreateUser",
                         {"IdentityStoreId": self.cluster.store, "UserName": name, "DisplayName": name, **attributes}, headers)

    def user_id(self, name, headers=None):
        body = {"IdentityStoreId": self.cluster.store,
                "AlternateIdentifier": {"UniqueAttribute": {"AttributePath": "userName", "AttributeValue": name}}}
        return self.call("AWSIdentityStore.GetUserId", body, headers)[0]["UserId"]

    def status(self):
        return self.request("GET", "/v1/status")[0]

    def close(self):
        if self.conn is not None:
            self.conn.close()
        self.conn = None


class Cluster:
    """Use as a context: every process is ended, and the folder deleted, at its end."""

    def __init__(self, regent, regions="us-east-1,eu-central-1,ap-southeast-1", options=()):
        self.regent, self.regions_text, self.options = str(regent), regions, list(options)
        self.dir = Path(tempfile.mkdtemp(prefix="regent-test-"))
        self.env = {**os.environ, "REGENT_CLUSTER": str(self.dir / "cluster.json")}

    def __enter__(self):
        try:
            self.run("dev", "up", "--dir", str(self.dir), "--regions", self.regions_text, *self.options)
            self.load()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def load(self):
        self.file = json.loads((self.dir / "cluster.json").read_text())
        self.tls = ssl.create_default_context(cafile=self.file["ca"])
        self.store, self.instance = self.file["identity_store_id"], self.file["instance_arn"]

    def __exit__(self, kind, *_):
        if kind is not None:
            for log in sorted(self.dir.glob("*/*.log")):
                print(f"--- {log}\n" + "\n".join(log.read_text(errors="replace").splitlines()[-25:]), flush=True)
        lines = (line for log in self.dir.glob("*/*.log") for line in log.read_text(errors="replace").splitlines())
        refused = {line for line in lines if "sandbox.refused" in line}
        for region in getattr(self, "file", {}).get("regions", []):
            for node in region["nodes"]:
                self.signal_node(node, signal.SIGCONT)
        subprocess.run([self.regent, "dev", "down", "--dir", str(self.dir), "--purge"], capture_output=True, timeout=60,
                       check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
        if kind is None:  # whatever a test does: nothing that a node wants to do is outside of its box
            assert not refused, f"a system call that its box does not allow: {refused}"

    def run(self, *args, ok=(0,), timeout=180):
        """`regent ARGS`; its standard output."""
        done = subprocess.run([self.regent, *args], capture_output=True, text=True, timeout=timeout, env=self.env, check=False)
        if done.returncode not in ok:
            raise AssertionError(f"regent {' '.join(args)}: exit {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
        return done.stdout

    def wait_pinned(self, seconds=60):
        """Until the primary has written each node's key into its row: it does so by itself, a moment after they are linked."""
        log = Path(self.region(self.primary)["nodes"][0]["config"] + ".log")
        nodes = sum(len(r["nodes"]) for r in self.file["regions"])
        wait("each node's key is in its row", seconds, lambda: len(set(re.findall(r"node\.pinned node=(\d+)", log.read_text()))) >= nodes)

    def region(self, name):
        return next(r for r in self.file["regions"] if r["name"] == name)

    @property
    def names(self):
        return [r["name"] for r in self.file["regions"]]

    @property
    def primary(self):
        return next(r["name"] for r in self.file["regions"] if r["role"] == "PRIMARY")

    @property
    def replicas(self):
        return [r["name"] for r in self.file["regions"] if r["role"] != "PRIMARY"]

    def connect(self, name, timeout=10):
        return Connection(self, name, timeout)

    def signal_node(self, node, number):
        """To our own process only: the pid must still run this node's configuration."""
        try:
            line = Path(f"/proc/{node['pid']}/cmdline").read_bytes()
        except OSError:
            return False
        if node["config"].encode() not in line:
            return False
        os.kill(node["pid"], number)
        return True

    def kill(self, name):
        self.run("dev", "kill", name)

    def start(self, name):
        self.run("dev", "start", name)
        self.load()

    def link(self, *args):
        """`regent dev link ARGS`; the lines by (from region, to region)."""
        return {(l["from"], l["to"]): l for l in json.loads(self.run("dev", "link", *args, "--json"))}

    def wait_link(self, at, to, up, seconds=20):
        """Until the region `at` holds its own link to the region `to` for up, or for down."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if next(r for r in self.connect(at).status()["regions"] if r["name"] == to)["up"] == up:
                return
            time.sleep(0.02)
        raise AssertionError(f"{at}'s link to {to} is not {'up' if up else 'down'} after {seconds} s")

    def wait_equal(self, seconds=30):
        """Until every region has the primary's revision and state hash; the hash."""
        until = time.monotonic() + seconds
        seen = {}
        while time.monotonic() < until:
            try:
                seen = {n: (lambda s: (s["revision"], s["hash"]))(self.connect(n).status()) for n in self.names}
            except (OSError, http.client.HTTPException, Refused) as error:
                seen = {"error": repr(error)}
            if len(set(seen.values())) == 1 and len(seen) == len(self.names):
                return next(iter(seen.values()))[1]
            time.sleep(0.05)
        raise AssertionError(f"regions do not agree after {seconds} s: {seen}")


def wait(what, seconds, look):
    """Until look() gives something true; a region that does not answer is asked again."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            if look():
                return
        except (OSError, Refused):
            pass
        time.sleep(0.05)
    raise AssertionError(f"{what}: not within {seconds} s")


def shared_data():
    """The folder of real data sets, or None."""
    named = os.environ.get("REGENT_SHARED")
    candidates = [Path(named)] if named else [p / "shared" for p in Path(__file__).resolve().parents]
    return next((c / "data" for c in candidates if (c / "data" / "README.md").is_file()), None)


def skip(why):
    """Meson's exit code for a skipped test."""
    print(f"skipped: {why}", flush=True)
    raise SystemExit(77)
