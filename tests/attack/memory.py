#!/usr/bin/env python3
"""What a running primary's memory holds of secrets: the bootstrap file, passphrase, keys and a client's credential are looked for in
every page of the process, after it has created the instance, answered clients and let a node join. Nothing of them may be there but
what a node needs at hand, and that in locked memory which no core dump takes. Then that a stranger of the same user cannot look at all."""
import base64
import http.client
import os
import re
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
from cluster import Cluster

# Needed at any moment: the HMAC secret of a credential that was used, the node's own private key (TLS), the shared key.
MAY_BE_LOCKED = {"secret access key", "node key"}


def scalar(path):
    """The 32 bytes of a P-256 private key in PEM."""
    text = subprocess.run(["openssl", "ec", "-in", str(path), "-noout", "-text"], capture_output=True, text=True, check=True).stdout
    return bytes.fromhex("".join(re.search(r"priv:\n((?:\s+[0-9a-f:]+\n)+)", text).group(1).replace(":", "").split())).rjust(32, b"\0")[-32:]


def pem_body(path):
    return "".join(line for line in Path(path).read_text().splitlines() if not line.startswith("-----"))[:60].encode()


def forms(name, value):
    """How a secret may stand in memory: as text, or as OpenSSL keeps a number."""
    if name.endswith(" key") and len(value) == 32:
        return [value, value[::-1]]
    return [value]


def mappings(pid, locked_flags):
    """(from, to, locked and in no dump, name) of everything readable that is not a file's."""
    out, held = [], None
    for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
        m = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)", line)
        if m:
            held = [int(m[1], 16), int(m[2], 16), False, m[4]] if m[3].startswith("r") else None
        elif held and line.startswith("VmFlags:"):
            flags = line.split()[1:]
            held[2] = all(flag in flags for flag in locked_flags)
            if held[3] not in ("[vvar]", "[vsyscall]", "[vvar_vclock]"):
                out.append(tuple(held))
    return out


def search(pid, secrets, locked_flags):
    """[(secret, where, locked)]"""
    found = []
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for start, end, locked, name in mappings(pid, locked_flags):
            at = start
            while at < end:
                n = min(end - at, 1 << 24)
                try:
                    mem.seek(at)
                    block = mem.read(n + 128 if at + n < end else n)
                except (OSError, ValueError):
                    break
                for secret, value in secrets.items():
                    for form in forms(secret, value):
                        found += [(secret, name or "anonymous", locked)] * block[:n + len(form)].count(form)
                at += n
    return found


def children(pid):
    out = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            out += [int(p) for p in (task / "children").read_text().split()]
        except OSError:
            pass
    return out


def use_it(c):
    """Clients of every kind, and a node that joins, so that the primary opens the CA's key."""
    for _ in range(3):
        conn = c.connect(c.primary)
        conn.create_user(f"memory-{time.monotonic_ns()}")
        conn.status()
        conn.close()
    c.run("status")
    token = c.run("region", "token", "eu-west-9").strip()
    kept = c.dir / "token"
    kept.write_text(token + "\n")
    c.run("node", "init", "--join", str(kept), "--dir", str(c.dir / "west"), "--https", "127.0.0.1:1", "--link", "127.0.0.1:2")
    env = {**os.environ, "AWS_ACCESS_KEY_ID": c.file["admin"]["access_key_id"], "AWS_MAX_ATTEMPTS": "1",
           "AWS_SECRET_ACCESS_KEY": c.file["admin"]["secret_access_key"], "AWS_DEFAULT_REGION": "us-east-1", "AWS_CA_BUNDLE": c.file["ca"]}
    signed = subprocess.run(["aws", "identitystore", "list-users", "--identity-store-id", c.store, "--endpoint-url",
                             c.region(c.primary)["url"]], env=env, capture_output=True, text=True, timeout=60, check=False) if have_aws() else None
    if signed is not None:
        assert signed.returncode == 0, signed.stderr
    return signed is not None


def have_aws():
    return any((Path(p) / "aws").exists() for p in os.environ["PATH"].split(":"))


def main():
    with Cluster(sys.argv[1], regions="us-east-1,eu-central-1") as c:
        node = c.region(c.primary)["nodes"][0]
        folder, pid = Path(node["config"]).parent, node["pid"]
        if "libasan" in Path(f"/proc/{pid}/maps").read_text():
            print("built with a sanitizer, which locks no memory and keeps what is freed: not looked at")
            sys.exit(77)
        signed = use_it(c)
        secrets = {"bearer token": c.file["admin"]["bearer_token"].encode(),
                   "secret access key": c.file["admin"]["secret_access_key"].encode(),
                   "passphrase": (folder / "passphrase").read_text().strip().encode(),
                   "CA's private key": scalar(c.dir / "ca.key"), "CA's private key, PEM": pem_body(c.dir / "ca.key"),
                   "node key": scalar(folder / "key.pem"), "node key, PEM": pem_body(folder / "key.pem"),
                   "bootstrap file": b"secret_access_key: '"}
        locked_flags = ["lo", "dd"]
        if any("secrets.unlocked" in log.read_text(errors="replace") for log in folder.glob("*.log")):
            locked_flags = ["dd"]
            print("this machine lets the node lock too little memory (ulimit -l): that secrets are locked is not looked at")
        deadline = time.monotonic() + 30
        while True:
            found = {p: search(p, secrets, locked_flags) for p in [pid, *children(pid)]}
            bad = [(p, *f) for p, all_found in found.items() for f in all_found if not (f[2] and f[0] in MAY_BE_LOCKED)]
            if not bad or time.monotonic() > deadline:
                break
            time.sleep(0.5)  # a connection is still being closed
        assert not bad, "in memory: " + ", ".join(f"{s} at {where}{' (locked)' if locked else ''}" for _, s, where, locked in bad)
        mine = {f[0] for f in found[pid]}
        assert "node key" in mine, f"nothing was found at all: does the search work? {found}"
        assert not signed or "secret access key" in mine, "the signed request left no cached secret: does the search work?"
        print(f"{len(secrets)} secrets looked for in {1 + len(children(pid))} processes; in locked memory alone: {', '.join(sorted(mine))}")

        for p in [pid, *children(pid)]:
            status = Path(f"/proc/{p}/limits").read_text()
            assert re.search(r"Max core file size\s+0\s+0", status), status
            owner = os.stat(f"/proc/{p}/mem").st_uid
            assert owner == 0, f"/proc/{p} belongs to user {owner}: its memory can be read"
        if os.geteuid() == 0:
            print("as root: that no other process of the same user reads it is judged by the owner of /proc/PID, which is root in any case")


main()
