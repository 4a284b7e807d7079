#!/usr/bin/env python3
"""Who may what between nodes: every kind of certificate tries every control operation and message of the links, at every node, over real TLS.
It must get nowhere. The tables below are what docs/security.md shows; `attack.py --doc FILE` writes them there anew, and the test holds the
two to each other."""
import base64
import hashlib
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
import link  # noqa: E402
from cluster import Cluster, Refused, wait  # noqa: E402
from region_replaced import openssl, rejoin, setting  # noqa: E402

ROGUE, GONE, BACK = "rogue-1", "ap-south-1", "sa-east-1"
LAST = 2**32 - 1

KINDS = {
    "none": "no certificate",
    "foreign": "a certificate with the right names, by another CA",
    "prepared": "a node that an administrator let in and that is not added yet. One that only has a join token has no certificate",
    "removed": "a node whose region was removed",
    "fenced": "a node that another one of its line replaced",
    "member": "a replica's node",
}

# How a try ends. What has no connection cannot say more; a message that is dropped, and one that is answered with no, both change nothing.
ENDS = {
    "TLS": "no link comes up",
    "refused": "the hello is, and nothing else is read",
    "nothing": "it is answered with no, or dropped, or the connection is closed: nothing changes",
    "may": "it is that node's right",
}
ALL = list(KINDS)


def row(name, what, prepared="nothing", member="nothing"):
    return name, what, dict(zip(ALL, ["TLS", "TLS", prepared, "refused", "refused", member]))


TABLE = [
    row("`removed`", "end a node for good: destroy its key and data"),
    row("`removed`, of a later epoch", "the same, as a primary that nobody knows yet"),
    row("`preflight`", "ask a node what it is", "may", "may"),
    row("`key`", "get the shared key, wrapped for its own certificate's", "may", "may"),
    row("an unknown operation", ""),
    row("hello of the last epoch", "fence the primary; lead a region; use up all epochs", "refused", "refused"),
    row("PROPOSE CREDENTIAL_PUT", "make an administrator"),
    row("PROPOSE CREDENTIAL_DELETE", "end the administrator"),
    row("PROPOSE SECRET_PUT", "replace the CA's key"),
    row("PROPOSE NODE_PUT", "make a node a member, or none"),
    row("PROPOSE NODE_JOIN", "take a node's place"),
    row("PROPOSE REGION_PUT", "send a region away"),
    row("PROPOSE SETTING_PUT", "turn off lease and durability"),
    row("PROPOSE TOKEN_PUT", "make a join token"),
    row("PROPOSE EPOCH_NOTE", "rewrite who declared a failover"),
    row("PROPOSE USER_CREATE", "a client's write, in its name and its region's", member="may"),
    row("a write passed on", "a client's write, by a token that the sender has heard"),
    row("FENCE of the last epoch", "detach a region for ever; use up all epochs"),
    row("FENCE of another node's epoch", "detach a region in another's name"),
    row("FENCE far ahead", "use up epochs"),
    row("FENCE_RESULT of the last epoch", "have the primary raise its epoch over the last"),
    row("TIMEOUT_NOW", "start an election"),
    row("ANNOUNCE of the last epoch", "be followed as primary"),
    row("APPEND of the last epoch", "write into a region's log"),
]

# The same keys, at a region that has restarted and whose primary is gone.
ALONE = [
    ("hello of the next epoch, removed", "lead a region that is cut off, with the key of a node that was removed", "removed"),
    ("hello of the next epoch, fenced", "the same, with that of a node that came back under another id", "fenced"),
    ("hello of the next epoch, prepared", "the same, with that of a node that was let in", "prepared"),
]


def markdown():
    out = [f"- *{k}*: {v}" for k, v in KINDS.items()] + ["", *(f"- {k}: {v}" for k, v in ENDS.items()), ""]
    out += ["| what | what it would do | " + " | ".join(f"*{k}*" for k in ALL) + " |", "|---" * (len(ALL) + 2) + "|"]
    out += [f"| {name} | {what} | " + " | ".join(ends[k] for k in ALL) + " |" for name, what, ends in TABLE]
    out += ["", "At a region that was restarted while the primary is gone:", "", "| what | what it would do | ends |", "|---|---|---|"]
    out += [f"| {name} | {what} | nothing |" for name, what, _ in ALONE]
    return "\n".join(out) + "\n"


BEGIN, END = "<!-- attacks: tests/attack/attack.py --doc -->\n", "<!-- end of attacks -->\n"


def document(path, write):
    text = Path(path).read_text()
    head, rest = text.split(BEGIN)
    before, tail = rest.split(END)
    if write:
        Path(path).write_text(head + BEGIN + markdown() + END + tail)
        return
    assert before == markdown(), "docs/security.md shows another table: tests/attack/attack.py --doc docs/security.md"


class Who:
    """An identity: id, region, certificate and key, and a hello for each target."""

    def __init__(self, kind, node, region, cert, key):
        self.kind, self.node, self.region, self.cert, self.key = kind, node, region, cert, key


class Siege:
    def __init__(self, c):
        self.c = c
        self.id = c.file["cluster_id"] if "cluster_id" in c.file else setting(self.folder(c.primary), "cluster")
        self.token = secrets.token_hex(24)
        self.forged = hashlib.sha256(self.token.encode()).digest()
        self.ca = c.file["ca"]
        self.targets = {n: (c.connect(n).status()["node"], c.region(n)["nodes"][0]["link"]) for n in c.names}
        self.who = {}
        self.tried = 0

    def folder(self, region):
        return Path(self.c.region(region)["nodes"][0]["config"]).parent

    # ---- identities ----

    def make_key(self, name):
        key = self.c.dir / f"{name}.key"
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
        return key

    def gather(self):
        c = self.c
        member = self.folder(c.replicas[0])
        self.who["none"] = Who("none", 2, c.replicas[0], None, None)
        self.who["member"] = Who("member", self.targets[c.replicas[0]][0], c.replicas[0], member / "cert.pem", member / "key.pem")
        self.who["foreign"] = self.forge(self.who["member"])
        self.who["prepared"] = self.join()
        for region in (GONE, BACK):
            c.run("dev", "add", region)
        c.load()
        self.who["removed"] = self.keep("removed", GONE)
        self.who["fenced"] = self.keep("fenced", BACK)
        c.run("region", "remove", GONE, "--yes")
        node = c.region(BACK)["nodes"][0]
        c.kill(BACK)
        wait("the link is down", 10, lambda: not next(r for r in c.connect(c.primary).status()["regions"] if r["name"] == BACK)["up"])
        rejoin(c, BACK, node, Path(node["config"]).parent)  # and the new one never starts
        c.load()
        c.file["regions"] = [r for r in c.file["regions"] if r["name"] in self.targets]

    def keep(self, kind, region):
        node, folder = self.c.region(region)["nodes"][0], self.folder(region)
        for name in ("cert.pem", "key.pem"):
            shutil.copy(folder / name, self.c.dir / f"{kind}-{name}")
        return Who(kind, node["id"], region, self.c.dir / f"{kind}-cert.pem", self.c.dir / f"{kind}-key.pem")

    def forge(self, like):
        key, ca_key, ca, cert = self.make_key("foreign"), self.make_key("other-ca"), self.c.dir / "other-ca.pem", self.c.dir / "foreign.pem"
        openssl("req", "-x509", "-new", "-key", str(ca_key), "-subj", f"/CN=regent {self.id}", "-days", "30", "-out", str(ca))
        csr, names = self.c.dir / "foreign.csr", self.c.dir / "foreign.ext"
        openssl("req", "-new", "-key", str(key), "-subj", "/CN=node", "-out", str(csr))
        uri = re.search(rb"URI:(\S+)", openssl("x509", "-in", str(like.cert), "-noout", "-ext", "subjectAltName")).group(1).decode()
        names.write_text(f"subjectAltName=URI:{uri.rstrip(',')}\nextendedKeyUsage=clientAuth,serverAuth\n")
        openssl("x509", "-req", "-in", str(csr), "-CA", str(ca), "-CAkey", str(ca_key), "-days", "30", "-extfile", str(names), "-out", str(cert))
        return Who("foreign", like.node, like.region, cert, key)

    def join(self):
        """As `regent node init --join` does: the token buys a place in a list. It is let in, and nobody adds the region."""
        c = self.c
        token = json.loads(c.run("region", "token", ROGUE, "--json"))["token"].split(".", 1)[1]
        offer = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        key = self.make_key("prepared")
        csr = openssl("req", "-new", "-key", str(key), "-subj", "/CN=" + ROGUE).decode()
        body = {"secret": offer["secret"], "region": ROGUE, "csr": csr, "link": "127.0.0.1:9", "url": "https://127.0.0.1:9", "release": "0"}
        answer = c.connect(c.primary).request("POST", "/v1/join", body)[0]
        assert "cert" not in answer and "cert" not in self.collect(answer["nodeId"], key), "a join token buys a certificate"
        c.run("node", "approve", str(answer["nodeId"]), "--fingerprint", answer["fingerprint"])
        answer = self.collect(answer["nodeId"], key)
        cert = c.dir / "prepared.pem"
        cert.write_text(answer["cert"])
        wait("every region knows the prepared node", 10, lambda: len({c.connect(n).status()["revision"] for n in c.names}) == 1)
        return Who("prepared", answer["nodeId"], ROGUE, cert, key)

    def collect(self, node, key):
        """As a node does that waits to be let in: with its key for a proof."""
        at, text, proof = int(time.time()), self.c.dir / "collect.txt", self.c.dir / "collect.sig"
        text.write_text(f"regent-collect-1\n{self.id}\n{node}\n{at}\n")
        openssl("dgst", "-sha256", "-sign", str(key), "-out", str(proof), str(text))
        body = {"nodeId": node, "at": at, "signature": base64.b64encode(proof.read_bytes()).decode()}
        return self.c.connect(self.c.primary).request("POST", "/v1/join/collect", body)[0]

    # ---- one try ----

    def dial(self, who, target, hello=None):
        node, address = self.targets[target]
        dialled = link.Link(address, self.ca, who.cert, who.key)
        try:
            if hello is None and who.kind == "prepared":
                return dialled.greet(lambda theirs: link.candidate_hello(self.id, who.region, who.node, node))
            term, voter = hello or (self.term, False)
            return dialled.greet(lambda theirs: link.member_hello(self.id, who.region, who.node, node, term, theirs, voter))
        except link.Refused:
            dialled.close()
            raise

    def send(self, who, target, data, hello=None, channel=0):
        """How it ended, as far as the connection says."""
        try:
            dialled = self.dial(who, target, hello)
        except link.Refused as why:
            return f"refused: {why}"
        try:
            if data is not None:
                dialled.send(data, channel)
            return "taken" if dialled.stays(0.1) else "refused: closed"
        except link.Refused as why:
            return f"refused: {why}"
        finally:
            dialled.close()

    def order(self, who, target, op, **args):
        try:
            dialled = self.dial(who, target)
        except link.Refused as why:
            return f"refused: {why}"
        try:
            dialled.ask(1, json.dumps({"op": op, **args}))
            return "taken" if dialled.stays(0.1) else "refused: closed"
        except link.Refused as why:
            return f"refused: {why}"
        finally:
            dialled.close()

    # ---- what is tried ----

    def attempts(self, who, target):
        node = self.targets[target][0]
        region = target
        put = link.command
        far = self.epoch - self.epoch % 1024 + 1024 * 4096 + who.node
        other = self.epoch - self.epoch % 1024 + 2048 + (self.targets[self.c.names[0]][0] if who.node != 1 else 3)
        last = LAST << 32
        removed = {"cluster": self.id, "id": node, "region": region}
        yield "`removed`", lambda: self.order(who, target, "removed", epoch=self.epoch, **removed)
        yield "`removed`, of a later epoch", lambda: self.order(who, target, "removed", epoch=2**40, **removed)
        yield "`preflight`", lambda: self.order(who, target, "preflight", challenge="00" * 32)
        yield "`key`", lambda: self.order(who, target, "key", cert=who.cert.read_text() if who.cert is not None else "")
        yield "an unknown operation", lambda: self.order(who, target, "shutdown")
        yield "hello of the last epoch", lambda: self.send(who, target, None, (last, True))
        for kind, fields in {
            "CREDENTIAL_PUT": {"token_sha256": self.forged, "name": "forged", "role": "admin"},
            "CREDENTIAL_DELETE": {"access_key_id": self.c.file["admin"]["access_key_id"]},
            "SECRET_PUT": {"name": "ca-key", "secret_sealed": b"mine"},
            "NODE_PUT": {"node_id": 900, "name": "mars-1", "link": "127.0.0.1:9", "url": "https://127.0.0.1:9", "status": "MEMBER"},
            "NODE_JOIN": {"old_node_id": 3, "name": self.c.names[2], "link": "127.0.0.1:9", "url": "https://127.0.0.1:9"},
            "REGION_PUT": {"name": self.c.replicas[0], "status": "REMOVING", "primary": 0},
            "SETTING_PUT": {"name": "durability", "regions": 0, "on_shortage": "degrade"},
            "TOKEN_PUT": {"token_sha256": self.forged, "name": "mars-1", "expires_ms": int(time.time() * 1000) + 600000},
            "EPOCH_NOTE": {"epoch": self.epoch, "name": "mars-1", "node_id": 1, "declared_by": "nobody", "reason": "a lie"},
        }.items():
            yield f"PROPOSE {kind}", lambda kind=kind, fields=fields: self.send(who, target, link.propose(put(kind, **fields)))
        yield "PROPOSE USER_CREATE", lambda: self.send(who, target, link.propose(put("USER_CREATE", id=secrets.token_bytes(16),
                                                                                    name=f"by-{who.kind}-{target}", status="ENABLED")))
        yield "a write passed on", lambda: self.send(who, target, link.passed_on(
            "POST", "/", {"authorization": "Bearer " + self.c.file["admin"]["bearer_token"], "x-amz-target": "AWSIdentityStore.CreateUser",
                          "content-type": "application/x-amz-json-1.1"},
            json.dumps({"IdentityStoreId": self.c.store, "UserName": f"passed-{who.kind}", "DisplayName": "x"})), channel=2)
        yield "FENCE of the last epoch", lambda: self.send(who, target, link.fence(LAST))
        yield "FENCE of another node's epoch", lambda: self.send(who, target, link.fence(other))
        yield "FENCE far ahead", lambda: self.send(who, target, link.fence(far))
        yield "FENCE_RESULT of the last epoch", lambda: self.send(who, target, link.fence_result(LAST))
        yield "TIMEOUT_NOW", lambda: self.send(who, target, link.timeout_now(self.term + 1))
        yield "ANNOUNCE of the last epoch", lambda: self.send(who, target, link.announce(last, 10**6))
        yield "APPEND of the last epoch", lambda: self.send(who, target, link.append(last, self.index, self.term, self.index + 1, [
            (last, put("CREDENTIAL_PUT", token_sha256=self.forged, name="forged", role="admin"))]))

    # ---- what must be true afterwards ----

    def look(self):
        status = self.c.connect(self.c.primary).status()
        self.epoch, self.term = status["epoch"], status["epoch"] << 32 | 1
        self.index = int(status["revision"].split(".")[1])

    def check(self, after):
        c = self.c
        for name in c.names:
            node = c.region(name)["nodes"][0]
            assert c.signal_node(node, 0), f"{after}: the process of {name} is gone"
            assert not (Path(node["data_dir"]) / "removed").exists(), f"{after}: {name} was told to end"
            assert (self.folder(name) / "keystore").exists(), f"{after}: {name} has no key"
            until = time.monotonic() + 30
            while (seen := self.forged_at(name)) == "429" and time.monotonic() < until:
                time.sleep(0.5)  # guesses of one address are answered one a second
            assert seen in ("401", "403"), f"{after}: the forged credential is answered {seen} at {name}"
        status = c.connect(c.primary).status()
        assert status["role"] == "PRIMARY" and status["epoch"] == self.epoch, (after, status["role"], status["epoch"])
        assert sorted(r["name"] for r in status["regions"]) == sorted([*c.names, BACK]), (after, status["regions"])
        assert all(r.get("status", "ACTIVE") == "ACTIVE" for r in status["regions"]), (after, status["regions"])

    def forged_at(self, name):
        c = self.c
        return subprocess.run(["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", c.file["ca"], "-H",
                                   f"Authorization: Bearer {self.token}", c.region(name)["url"] + "/v1/status"], capture_output=True, text=True,
                                  check=False).stdout

    def settle(self, after):
        """Writes go on, and every region has them."""
        self.c.connect(self.c.primary).create_user(f"after-{self.tried}")
        self.c.wait_equal()
        self.check(after)


def siege_all(siege):
    """Every kind at every node; what the connections say must be what the table says."""
    wanted, wrong = {name: ends for name, _, ends in TABLE}, []
    for kind in ALL:
        for target in siege.targets:
            if siege.who[kind].node == siege.targets[target][0]:
                continue  # itself
            names = set()
            for name, attempt in siege.attempts(siege.who[kind], target):
                names.add(name)
                end = attempt()
                siege.tried += 1
                if os.environ.get("ATTACK_TRACE"):
                    print(kind, target, name, "->", end, flush=True)
                if wanted[name][kind] in ("TLS", "refused") and not end.startswith("refused"):
                    wrong.append(f"{kind} at {target}: {name}: {end}")
            assert names == set(wanted), names ^ set(wanted)
            siege.settle(f"{kind} at {target}")
    assert not wrong, "\n".join(wrong)


def heard(siege, region, event, *says):
    """A line of the node's log."""
    log = (siege.folder(region) / "regentd.yaml.log").read_text()
    lines = [line for line in log.splitlines() if f" {event} " in line]
    assert any(all(s in line for s in says) for line in lines), (region, event, says, lines)


def check_said(siege):
    """Who tried it is in the log; and what is a replica's right was done, in its name."""
    c, member = siege.c, siege.who["member"]
    for region in siege.targets:
        heard(siege, region, "node.remove_refused", f"by={siege.who['prepared'].node} ")
    heard(siege, c.primary, "forward.denied", f"peer={member.node}", member.region)
    metrics, _ = c.connect(c.primary).request("GET", "/metrics")
    counted = {name: int(n) for name, n in re.findall(rf'regent_peer_writes_(\w+)_total{{[^}}]*peer="{member.node}"}} (\d+)', metrics)}
    assert counted["denied"] >= 8 and counted["taken"] >= 1, counted
    assert c.connect(c.primary).user_id(f"by-member-{c.primary}")
    names = json.dumps(c.connect(c.primary).request("GET", "/v1/export")[0])
    assert f"by-member-{c.primary}" in names and not re.search(r"by-(?!member)|passed-", names)


def check_rejoin(siege):
    """Nobody takes the place of a node that is linked, or of the primary."""
    c = siege.c
    for region in (c.replicas[0], c.primary):
        node = c.region(region)["nodes"][0]
        try:
            rejoin(c, region, node, siege.folder(region))
        except Refused as why:
            assert why.status == 409, why
            continue
        raise AssertionError(f"{region}'s place was given away")


def check_groups(siege):
    """Whoever wants a key exchange that costs much gets none, at either port; a usual one he gets."""
    node = siege.c.region(siege.c.primary)["nodes"][0]
    for address in (node["link"], node["url"].split("//")[1]):
        for group, ends in (("ffdhe8192", 1), ("ffdhe2048", 1), ("X25519", 0)):
            done = subprocess.run(["openssl", "s_client", "-connect", address, "-groups", group, "-tls1_3", "-CAfile", siege.ca, "-cert",
                                   siege.who["member"].cert, "-key", siege.who["member"].key], input=b"", capture_output=True, timeout=20,
                                  check=False)
            assert (done.returncode != 0) == bool(ends), (address, group, done.stdout[-500:], done.stderr[-500:])


def pins(siege):
    """Fingerprint of the key that each member is, by id."""
    nodes = json.loads(siege.c.run("node", "list", "--json"))["nodes"]
    return {n["id"]: n.get("identity") for n in nodes if n["status"] == "MEMBER"}


def prove(siege, who, target, proof):
    node, address = siege.targets[target]
    dialled = link.Link(address, siege.ca, who.cert, who.key, proof=proof)
    try:
        dialled.greet(lambda theirs: link.member_hello(siege.id, who.region, who.node, node, siege.term, theirs, False))
        return "taken"
    except link.Refused as why:
        return str(why)
    finally:
        dialled.close()


def siege_proofs(siege):
    """Who has a member's certificate and key, and not its identity key: what he proves is of another connection, or another key."""
    who, target = siege.who["member"], siege.c.primary
    spki = openssl("pkey", "-in", str(who.key), "-pubout", "-outform", "DER")
    for proof, reason in (("theirs", "not this connection"), (spki + secrets.token_bytes(64), "not this connection"),
                          (secrets.token_bytes(155), "not this connection"), (b"", "closed"), (spki, "closed")):
        end = prove(siege, who, target, proof)
        assert reason in end or (reason == "closed" and end != "taken"), (reason, end)
        siege.tried += 1


def linked(siege, region):
    return next(r for r in siege.c.connect(siege.c.primary).status()["regions"] if r["name"] == region)["up"]


def siege_clone(siege):
    """A node under a member's id, with its certificate, disk and shared key, but another identity key: nobody hears it. With the right one it is
    back."""
    c, region = siege.c, siege.c.replicas[0]
    node = siege.targets[region][0]
    wait("every member's key is known", 60, lambda: all(pins(siege).get(n) for n, _ in siege.targets.values()))
    before, key = pins(siege), siege.folder(region) / f"keystore.node{node}"
    c.kill(region)
    key.rename(key.with_suffix(".away"))
    wait("the link is down", 30, lambda: not linked(siege, region))
    c.run("dev", "start", region, ok=(0, 1), timeout=60)
    log = siege.folder(c.primary) / "regentd.yaml.log"
    wait("it is refused", 60, lambda: f"node {node} is another key" in log.read_text())
    assert not linked(siege, region) and pins(siege) == before, pins(siege)
    c.kill(region)
    key.with_suffix(".away").replace(key)
    c.start(region)
    wait("it is back", 60, lambda: linked(siege, region))
    c.file["regions"] = [r for r in c.file["regions"] if r["name"] in siege.targets]
    assert pins(siege) == before, pins(siege)
    siege.tried += 1
    siege.settle("a clone")


def siege_alone(siege):
    """The primary is gone, and a region has restarted: whom it does not know may be the next one, but nobody that it knows to be gone."""
    c, target = siege.c, siege.c.replicas[0]
    before = {n: siege.who[n] for n in ("removed", "fenced", "prepared")}
    c.kill(c.primary)
    c.kill(target)
    c.run("dev", "start", target, ok=(0, 1), timeout=60)
    time.sleep(1.5)  # nobody is heard: now it would listen to whom it does not know
    for name, _, kind in ALONE * 3:
        who, siege.tried = before[kind], siege.tried + 1
        term = (siege.epoch - siege.epoch % 1024 + 1024 + who.node) << 32
        entry = link.command("CREDENTIAL_PUT", token_sha256=siege.forged, name="forged", role="admin")
        end = siege.send(who, target, link.append(term, siege.index, siege.term, siege.index + 1, [(term, entry)]), (term, True))
        if os.environ.get("ATTACK_TRACE"):
            print("alone", name, "->", end, flush=True)
        assert kind == "prepared" or end.startswith("refused"), (name, end)
    for region in (target, c.replicas[1]):
        shown = c.connect(region).status()
        assert shown["epoch"] == siege.epoch and shown["role"] == "REPLICA", shown
    log = (siege.folder(target) / "regentd.yaml.log").read_text()
    assert "link.guest" not in log, [line for line in log.splitlines() if "link.guest" in line]
    c.start(c.primary)
    c.file["regions"] = [r for r in c.file["regions"] if r["name"] in siege.targets]
    siege.settle("alone")


def main(regent, doc):
    document(doc, False)
    with Cluster(regent) as c:
        siege = Siege(c)
        siege.gather()
        siege.look()
        siege_all(siege)
        check_said(siege)
        check_rejoin(siege)
        check_groups(siege)
        siege_proofs(siege)
        siege_clone(siege)
        siege_alone(siege)
    print(f"{siege.tried} tries by {len(ALL)} kinds of certificates at {len(siege.targets)} nodes: nobody got anywhere")


if __name__ == "__main__":
    if sys.argv[1] == "--doc":
        document(sys.argv[2], True)
    else:
        main(*sys.argv[1:3])
