#!/usr/bin/env python3
"""What `regent` prints, held to what it printed: --help of every command, what it says to wrong usage and without a cluster, and a
tour of its commands through a small development cluster, plain and with --json.

  cli.py REGENT offline|cluster            compare with the golden file beside this one
  cli.py REGENT offline|cluster --write    write that file anew: look at its diff before you commit it
  cli.py REGENT cluster --other REGENT     run what only looks with both programs on the same cluster, and compare the two

What differs from run to run (ports, ids, times, revisions, sizes) stands as a word in capitals, at its width in a table."""
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "chaos"))
from cluster import Cluster  # noqa: E402

# Members of JSON whose numbers are of the run, whatever their size; others of two to five digits are taken for such too.
NUMBERS = ("bytes|bytesTotal|connections|cutBytes|deliveredBytes|durableIndex|entries|etaMs|first|firstIndex|heardMsAgo|heldBytes|index|"
           "lag|lagEntries|last|lastIndex|leaseLeftMs|lostFrom|offset|p50|p90|p99|pausedMs|percent|primaryHeardMsAgo|rate|records|"
           "rows|rowsTotal|seconds|segments|stateBytes|stateBytesMax|stateFreeBytes|diskFreeBytes|term|tookMs|uptimeMs")
# (pattern, word): in this order. A word takes its value's width where blanks follow, as in a table.
SAME = [
    (r"[\w.+/-]*/regent-(?:test|golden)-\w+", "DIR"),
    (r"\brgj1\.[\w-]+", "TOKEN"),
    (r"(?:https?://)?127\.0\.0\.1:\d{2,5}", "ADDRESS"),
    (r"[0-9a-f]{8}(?= +ADDRESS)", "HASH"),
    (r"\bAKIA[0-9A-F]{16}", "KEY"),
    (r"\brc-[0-9a-f]{16}", "CLUSTER"),
    (r"\bssoins-[0-9a-f]{16}", "INSTANCE"),
    (r"\bps-[0-9a-f]{16}", "SET"),
    (r"\bd-[0-9a-f]{10}\b", "STORE"),
    (r"\b(?:[0-9a-f]{10}-)?[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", "ID"),
    (r"\b\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z", "TIME"),
    (r"\b[0-9a-f]{64}\b", "HASH"),
    (r"\b[0-9a-f]{32}\b", "INCARNATION"),
    (r'(?<=")ms":[0-9.e-]+', 'ms":N'),
    (r" +\d+\.\d ms\b", " N ms"),
    (r"(?<=cannot be reached: )[^;\n\"]*", "WHY"),
]
SAME_OF_A_CLUSTER = [
    (r"(?<=\n)! (?:preflight|snapshot|catch-up|verify|tell|configuration|wipe)\n", ""),  # phases may pass between two looks
    (r'"members": \[[^]]*\]', '"members": [IN SOME ORDER]'),
    (r"Held: (?:yes|no)\. Known to every member: (?:yes|not yet)\.", "Held: WHETHER. Known to every member: WHETHER."),
    (r'(?<=")(bound|held|settled)":(?:true|false)', r'\1":WHETHER'),
    (rf'(?<=")({NUMBERS})":-?[0-9.e+]+', r'\1":N'),
    (r"(?<=[0-9]) +\d+ +\d+(?=\n)", " N N"),
    (r"\b\d+\.\.\d+\b", "N..N"),
    (r"\b(?:\d+\.\d+|\d+)(?= (?:ms|entries|bytes|s|B|KiB|MiB)\b)", "N"),
    (r'(?<="revision":")\d+\.\d+', "REV"),
    (r"\b\d{1,4}\.\d{2,}\b", "REV"),
    (r"(?<![\w.-])\d{2,5}(?![\w.:-])", "N"),
    (r"(?<=\"stale_ms\":)\d+", "N"),
]


def same(text, rules):
    for pattern, word in rules:
        def put(match, word=word):
            value, blanks = match.group(0)[:len(match.group(0)) - len(match.group("blanks"))], match.group("blanks")
            new = match.expand(word)
            return new.ljust(len(value) + len(blanks)) if len(blanks) > 1 else new + blanks
        text = re.sub(f"(?:{pattern})(?P<blanks> *)", put, text)
    return text


class Recorder:
    """Runs commands and keeps what they printed."""

    def __init__(self, regent, env, rules, other=None):
        self.regent, self.env, self.rules, self.other, self.blocks, self.differ = regent, env, rules, other, [], []

    def once(self, regent, args):
        done = subprocess.run([regent, *args], input="", capture_output=True, encoding="utf-8", errors="backslashreplace",
                              env=self.env, timeout=120, check=False)
        out = "$ regent " + os.fsencode(" ".join(args)).decode("utf-8", "backslashreplace") + "\n" + done.stdout
        if out[-1] != "\n":
            out += "\n(no newline)\n"
        out += "".join(f"! {line}\n" for line in done.stderr.splitlines())
        return same(out + (f"= {done.returncode}\n" if done.returncode else ""), self.rules)

    def run(self, *args, looks=True):
        """looks: it changes nothing, so that another program can be asked the same."""
        self.blocks.append(self.once(self.regent, args))
        if self.other and looks:
            theirs = self.once(self.other, args)
            if theirs != self.blocks[-1]:
                self.differ.append(f"--- other\n{theirs}--- this\n{self.blocks[-1]}")

    def both(self, *args, **how):
        self.run(*args, **how)
        self.run(*args, "--json", **how)

    @property
    def text(self):
        return "\n".join(self.blocks)


def commands(regent):
    """Every name in the list of commands, and those that are not in it."""
    text = subprocess.run([regent, "--help"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"^  (\S+(?: \S+)?) {2,}\S", text, re.M) + ["dev proxy"]


# What a command wants, so that it goes as far as asking for a cluster.
ARGUMENTS = {
    "import": ["ORGANISATION"], "access check": ["ada", "111111111111", "Admin"], "access who": ["111111111111"],
    "region add": ["eu-west-1"], "region remove": ["eu-west-1", "--yes"], "region set": ["eu-west-1", "--owner", "ada"],
    "region show": ["us-east-1"], "region preflight": ["eu-west-1"], "region token": ["eu-west-1"],
    "node approve": ["3", "--fingerprint", "ABCDE-FGHIJ-KLMNO-PQRST"], "node withdraw": ["3"], "node fingerprint": ["/nowhere"],
    "token revoke": ["0123456789abcdef"],
    "switchover": ["--to", "eu-central-1"], "failover plan": ["--to", "eu-central-1"],
    "failover declare": ["--to", "eu-central-1", "--by", "ada", "--reason", "exercise", "--yes"],
    "durability set": ["--regions", "1"], "lease set": ["--off"], "probe": ["--account", "111111111111"],
    "intent disable-user": ["ada", "--region", "us-east-1"], "intent remove-member": ["staff", "ada", "--region", "us-east-1"],
    "intent revoke": ["111111111111", "Admin", "ada", "--region", "us-east-1"],
    "intent show": ["11111111-1111-4111-8111-111111111111"], "intent approve": ["11111111-1111-4111-8111-111111111111"],
    "intent drop": ["11111111-1111-4111-8111-111111111111"], "lost-tail show": ["1"], "lost-tail export": ["1"],
    "lost-tail replay": ["1", "--all"], "lost-tail drop": ["1", "--yes"], "wal verify": ["/nowhere", "--config", "/nowhere"],
    "snapshot inspect": ["/nowhere", "--config", "/nowhere"], "runbook verify": ["/nowhere"], "dev link": ["show"],
    "runbook failover": ["--to", "eu-central-1", "--by", "ada", "--reason", "exercise", "--yes"],
    "dev add": ["eu-west-1"], "dev kill": ["us-east-1"], "dev start": ["us-east-1"], "region names": None, "completion": None,
}
# Their servers and files are not this test's.
NOT_UNREACHABLE = ("dev up", "dev down", "dev kill", "dev start", "dev add", "dev proxy", "bench", "node init", "import", "completion",
                   "region names", "runbook failover", "dev tour", "node fingerprint")
WRONG = [
    [], ["help"], ["--version"], ["nonsense"], ["region"], ["region", "--help"], ["region", "nonsense"], ["lease", "nonsense"],
    ["access", "check", "ada", "111111111111", "Admin", "more"], ["status", "--watch=yes"], ["status", "--region"],
    ["durability", "set", "--regions", "x"], ["durability", "set", "--regions", "33"], ["lease", "set", "--regions", "0"],
    ["lease", "set", "--regions", "1", "--seconds", "61"], ["lease", "set", "--regions", "1", "--off"], ["lease", "set"],
    ["region", "add", "UPPER"], ["region", "add", "eu-west-1", "--wait", "--no-wait"], ["region", "set", "eu-west-1"],
    ["region", "set", "eu-west-1", "--owner", b"\xff"], ["region", "add", "eu-west-1", "--owner", b"\xff"],
    ["region", "show", "UPPER"], ["region", "token", "UPPER"], ["region", "token", "eu-west-1", "--ttl", "1"],
    ["access", "check", b"\xff", "1", "2"], ["access", "list", "--user", "a b"], ["switchover"],
    ["switchover", "--to", "a", "--by", b"\xff"], ["failover", "plan"], ["failover", "declare", "--to", "eu-central-1"],
    ["intent", "list", "--status", "lower"],
    ["intent", "show", "nonsense"], ["intent", "disable-user", "ada"], ["intent", "disable-user", b"\xff", "--region", "us-east-1"],
    ["intent", "revoke", "1", "2", "3", "--type", "X"], ["lost-tail", "show", "x"], ["lost-tail", "replay", "1"],
    ["lost-tail", "replay", "1", "--index", "0"], ["lost-tail", "replay", "1", "--index", "1-400"], ["lost-tail", "drop", "99999999999"],
    ["wal", "verify", "/nowhere"], ["snapshot", "inspect", "/nowhere"], ["probe"], ["probe", "--account", "x", "--synthetic"],
    ["probe", "--account", "x", "--user", "u"], ["probe", "--account", "x", "--every", "0"], ["node", "init"],
    ["node", "init", "--join", "nonsense", "--dir", "/nowhere/at/all"], ["runbook", "failover", "--json"],
    ["runbook", "failover", "--user", "u"], ["runbook", "failover", "--webhook", "ftp://x"], ["dev", "up"],
    ["dev", "up", "--dir", "/nowhere/at/all", "--voters", "2"], ["dev", "up", "--dir", "/nowhere/at/all", "--rtt", "x"],
    ["dev", "link", "nonsense"], ["dev", "link", "cut", "a"], ["dev", "link", "delay", "a", "b", "x"], ["dev", "proxy"],
    ["bench", "nonsense"], ["completion", "fish"], ["completion", "bash"], ["region", "names"], ["region", "names", "--json"],
    ["export", "--region", "nowhere"], ["status", "--cluster", "/nowhere/cluster.json"],
]
DEAD = {"instance_arn": "arn:aws:sso:::instance/ssoins-1111111111111111", "identity_store_id": "d-1111111111", "account_id": "111111111111",
        "ca": "/nowhere/ca.pem", "admin": {"access_key_id": "AK", "secret_access_key": "SK", "bearer_token": "BT"},
        "regions": [{"name": name, "role": role, "url": f"http://127.0.0.1:{port}", "nodes": [
            {"id": port, "pid": 0, "url": f"http://127.0.0.1:{port}", "link": f"127.0.0.1:{port}", "config": "/nowhere/n.yaml",
             "data_dir": "/nowhere/data"}]} for name, role, port in (("us-east-1", "PRIMARY", 1), ("eu-central-1", "REPLICA", 2))]}


def offline(regent):
    """What needs no cluster."""
    names = commands(regent)
    with tempfile.TemporaryDirectory(prefix="regent-golden-") as folder:
        env = {k: v for k, v in os.environ.items() if k != "REGENT_CLUSTER"}
        r = Recorder(regent, {**env, "HOME": folder, "LC_ALL": "C.UTF-8"}, SAME)
        organisation = os.path.join(folder, "organisation.json")
        Path(organisation).write_text(json.dumps(ORGANISATION))
        arguments = {k: [organisation if a == "ORGANISATION" else a for a in v or []] for k, v in ARGUMENTS.items()}
        r.run("--help")
        for name in names:
            r.run(*name.split(), "--help")
        for args in WRONG:
            r.run(*(a if isinstance(a, str) else os.fsdecode(a) for a in args))
        for name in names:
            r.run(*name.split(), "--nonsense")
            if name not in ("bench", "completion", "region names"):
                r.both(*name.split(), *arguments.get(name, []))
        dead = os.path.join(folder, "cluster.json")
        Path(dead).write_text(json.dumps(DEAD))
        os.chmod(dead, 0o600)
        r.env["REGENT_CLUSTER"] = dead
        for name in names:
            if name not in NOT_UNREACHABLE and "verify" not in name and "inspect" not in name:
                r.both(*name.split(), *arguments.get(name, []))
                r.both(*name.split(), *arguments.get(name, []), "--region", "nowhere")
        assert len(names) > 50, names
    return r


ORGANISATION = {
    "format": "idc-org-dataset/1",
    "users": [{"userName": n, "displayName": n.title()} for n in ("ada", "bob", "cyd", "dan")],
    "groups": [{"displayName": "staff", "description": "All", "members": ["ada", "bob"]}, {"displayName": "bob", "members": ["cyd"]}],
    "accounts": [{"id": "111111111111", "name": "prod"}, {"id": "222222222222", "name": "test", "description": "For tests"}],
    "permissionSets": [{"name": "Admin", "description": "All", "sessionDuration": "PT1H", "managedPolicies":
                        ["arn:aws:iam::aws:policy/AdministratorAccess"]},
                       {"name": "Reader", "inlinePolicy": {"Version": "2012-10-17", "Statement": []}}],
    "assignments": [{"account": "111111111111", "permissionSet": "Admin", "principalType": "GROUP", "principal": "staff"},
                    {"account": "222222222222", "permissionSet": "Reader", "principalType": "USER", "principal": "cyd"}]}
US, EU, AP = "us-east-1", "eu-central-1", "ap-southeast-1"


def until(what, seconds=60):
    """Until what() is true."""
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)


def settled(c, primary, down=()):
    """Until every region but those that are down shows the primary's newest revision and follows it."""
    end = time.monotonic() + 60
    while True:
        rows = {r["region"]: r for r in json.loads(c.run("status", "--json", ok=(0, 3)))["regions"]}
        up = [rows[n] for n in rows if n not in down]
        if (all(r.get("ready") for r in up) and len({(r.get("revision"), r.get("hash")) for r in up}) == 1 and
                [r["region"] for r in up if r["role"] == "PRIMARY"] == [primary] and
                all(p.get("lag", {"entries": 0})["entries"] == 0 for p in rows[primary]["regions"] if p["name"] not in down)):
            return
        assert time.monotonic() < end, rows
        time.sleep(0.1)


def look_at_all(r, organisation):
    r.both("status")
    r.both("regions")
    r.run("dev", "tour")
    r.both("dev", "ready")
    r.both("dev", "link", "show")
    r.both("export")
    r.run("export", "--region", AP, "--output", str(organisation.parent / "saved.json"))
    r.both("access", "list")
    r.both("access", "list", "--region", EU, "--user", "ada", "--account", "111111111111", "--permission-set", "Admin")
    r.both("access", "list", "--user", "no one & nobody")
    for args in (["ada", "prod", "Admin"], ["ada", "test", "Reader"], ["eve", "prod", "Admin"], ["cyd", "222222222222", "Reader"]):
        r.both("access", "check", *args)
    r.both("access", "check", "ada", "prod", "Admin", "--region", AP)
    r.both("access", "who", "prod")
    r.both("access", "who", "111111111111", "Reader", "--region", EU)
    r.both("access", "who", "nowhere")
    for name in ("durability show", "durability degraded", "lease show", "failover history", "region list", "intent list",
                 "lost-tail list"):
        r.both(*name.split())
    r.both("region", "show", EU)
    r.both("region", "show", "nowhere-1")
    r.both("region", "preflight", "eu-west-1")
    r.both("region", "add", "eu-west-1")
    r.both("region", "remove", "nowhere-1", "--yes")
    r.run("region", "remove", EU)
    r.run("region", "remove", US, "--yes")
    r.both("switchover", "--to", EU, "--dry-run")
    r.both("switchover", "--to", "nowhere", "--dry-run")
    r.both("failover", "plan", "--to", EU)
    r.both("failover", "plan", "--to", "nowhere")
    r.both("failover", "declare", "--to", EU, "--by", "ada", "--reason", "exercise", "--yes")
    r.both("intent", "list", "--region", AP, "--status", "QUEUED")
    r.both("intent", "show", "11111111-1111-4111-8111-111111111111")
    r.both("lost-tail", "show", "1")
    r.both("probe", "--account", "prod", "--user", "ada", "--permission-set", "Admin")
    r.both("probe", "--account", "prod", "--user", "eve", "--permission-set", "Admin", "--region", f"{US},{AP}")


def change_settings(r):
    for args in (["durability", "set", "--regions", "1", "--on-shortage", "degrade"], ["lease", "set", "--regions", "1", "--seconds", "9"]):
        r.both(*args, looks=False)
    r.both("durability", "set", "--regions", "9")
    r.both("durability", "set", "--regions", "1", "--on-shortage", "nonsense")
    r.both("durability", "show")
    r.run("lease", "show")
    r.both("lease", "set", "--off", looks=False)
    r.run("durability", "set", "--regions", "0", looks=False)
    r.both("region", "set", EU, "--owner", "ada", "--description", "Where people are", looks=False)
    r.both("region", "set", "nowhere-1", "--owner", "ada")
    r.both("region", "list")


def queue_intents(r, c):
    """The primary is dead: what may wait, waits at another region."""
    r.run("dev", "kill", US, looks=False)
    for name in (EU, AP):
        until(lambda n=name: f'regent_primary_reachable{{region="{n}"}} 0\n' in c.connect(n).request("GET", "/metrics")[0])
    r.run("status")
    r.both("failover", "history")
    r.both("switchover", "--to", AP)
    r.run("intent", "disable-user", "dan", "--region", EU, looks=False)
    r.run("intent", "disable-user", "nobody", "--region", EU)
    r.run("intent", "remove-member", "staff", "bob", "--region", EU, "--json", looks=False)
    r.run("intent", "remove-member", "staff", "dan", "--region", EU)
    r.run("intent", "revoke", "prod", "Admin", "staff", "--region", EU, looks=False)
    r.run("intent", "revoke", "prod", "Admin", "bob", "--region", EU)
    r.run("intent", "revoke", "prod", "Nothing", "staff", "--region", EU)
    r.run("intent", "revoke", "nowhere", "Admin", "staff", "--region", EU)
    r.both("intent", "list")
    ids = [i["id"] for i in json.loads(c.run("intent", "list", "--region", EU, "--json"))]
    r.both("intent", "show", ids[0], "--region", EU)
    r.both("intent", "show", ids[0])
    r.both("intent", "approve", ids[0])
    r.run("intent", "drop", ids[2], looks=False)
    r.run("intent", "drop", ids[1], "--json", looks=False)
    r.both("intent", "drop", ids[1])
    r.run("dev", "start", US, looks=False)
    settled(c, US)
    r.both("intent", "disable-user", "cyd", "--region", US, looks=False)


def cut_off(r, c):
    """The primary is cut off and writes on; another is declared; the old one comes back with a lost tail."""
    r.run("dev", "link", "cut", US, EU, looks=False)
    r.run("dev", "link", "cut", US, AP, "--json", looks=False)
    w = c.connect(US)
    w.create_user("eve")
    w.call("AWSIdentityStore.CreateGroup", {"IdentityStoreId": c.store, "DisplayName": "lost"})
    r.both("failover", "plan", "--to", EU)
    c.kill(US)
    r.run("failover", "declare", "--to", EU, "--by", "ada", "--reason", "exercise", "--yes", looks=False)
    c.run("dev", "link", "heal", "all")
    r.run("dev", "start", US, looks=False)
    settled(c, EU)
    until(lambda: any(t.get("known") and t["entries"] for t in json.loads(c.run("lost-tail", "list", "--json"))))
    epoch = str(json.loads(c.run("lost-tail", "list", "--json"))[0]["epoch"])
    r.both("lost-tail", "list")
    r.both("lost-tail", "show", epoch)
    r.both("lost-tail", "export", epoch)
    r.run("lost-tail", "export", epoch, "--output", str(c.dir / "plan.json"), looks=False)
    r.run("lost-tail", "export", epoch, "--output", str(c.dir / "plan.json"))
    index = str(max(e["index"] for e in json.loads(c.run("lost-tail", "show", epoch, "--json"))["entries"] if e["kind"] == "USER_CREATE"))
    r.both("lost-tail", "replay", epoch, "--index", index, "--dry-run")
    r.run("lost-tail", "replay", epoch, "--index", index, looks=False)
    r.run("lost-tail", "replay", epoch, "--all", "--json", looks=False)
    r.run("lost-tail", "replay", epoch, "--index", index)
    r.both("lost-tail", "show", epoch, "--region", US)
    r.both("lost-tail", "drop", epoch)
    r.run("lost-tail", "drop", epoch, "--yes", looks=False)
    r.both("failover", "history")
    settled(c, EU)
    r.run("switchover", "--to", US, "--by", "ada", looks=False)
    settled(c, US)
    r.run("switchover", "--to", EU, "--json", looks=False)
    settled(c, EU)


def regions_move(r, c):
    r.run("region", "token", "eu-west-1", looks=False)
    r.run("region", "token", "eu-west-1", "--ttl", "60", "--json", looks=False)
    r.run("dev", "add", "eu-west-1", "--owner", "bob", looks=False)
    settled(c, EU)
    r.both("region", "list")
    r.run("region", "remove", "eu-west-1", "--yes", looks=False)
    r.run("dev", "down", looks=False)
    node = c.region(EU)["nodes"][0]
    config, data = node["config"], Path(node["data_dir"])
    r.both("wal", "verify", str(data / "wal"), "--config", config)


def tour(r, c, organisation):
    r.run("import", str(organisation), looks=False)
    r.both("import", str(organisation), looks=False)
    settled(c, US)
    look_at_all(r, organisation)
    change_settings(r)
    settled(c, US)
    queue_intents(r, c)
    settled(c, US)
    cut_off(r, c)
    regions_move(r, c)


def cluster(regent, other=None):
    with Cluster(regent, options=["--proxy"]) as c:
        r = Recorder(regent, {**c.env, "LC_ALL": "C.UTF-8"}, SAME + SAME_OF_A_CLUSTER, other)
        organisation = c.dir / "organisation.json"
        organisation.write_text(json.dumps(ORGANISATION))
        until(lambda: "node" in json.loads(c.run("failover", "history", "--json"))["epochs"][0])
        settled(c, US)
        tour(r, c, organisation)
    return r


def main():
    regent, what = os.path.abspath(sys.argv[1]), sys.argv[2]
    other = os.path.abspath(sys.argv[4]) if sys.argv[3:4] == ["--other"] else None
    golden = HERE / f"cli_{what}.txt"
    r = offline(regent) if what == "offline" else cluster(regent, other)
    if other:
        print("\n".join(r.differ) or f"{len(r.blocks)} commands, none differs")
        return 1 if r.differ else 0
    if "--write" in sys.argv:
        golden.write_text(r.text, encoding="utf-8")
        return 0
    want = golden.read_text(encoding="utf-8").split("\n$ ")
    got = r.text.split("\n$ ")
    for a, b in zip(want, got):
        if a != b:
            print(f"--- wanted\n$ {a}\n--- printed\n$ {b}")
    if len(want) != len(got):
        print(f"{len(got)} commands were run, {len(want)} are in {golden}")
    print(f"{len(got)} commands")
    return 0 if want == got else 1


if __name__ == "__main__":
    sys.exit(main())
