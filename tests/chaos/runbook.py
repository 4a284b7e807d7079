#!/usr/bin/env python3
"""regent runbook against regions that are played by this test: declined and resumed steps, an answer that is lost on its way,
a loss that was not accepted, a webhook that fails, and evidence in which a changed byte is found."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAMES = ["us-east-1", "eu-central-1", "ap-southeast-1"]


class Stage:
    """What the played regions know; us-east-1 is dead (its port is closed)."""

    def __init__(self):
        self.lock = threading.Lock()
        self.primary, self.epoch, self.index = "us-east-1", 3, 40
        self.lose_answer = self.hash_differs = self.refuse_writes = self.behind = False
        self.may_lose = {"known": True, "writes": 0, "seconds": 0, "text": "nothing: eu-central-1 has all"}
        self.failovers, self.hooks, self.users, self.hook_status = [], [], set(), 500


def handler(stage, region):
    class Region(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def answer(self, status, body):
            raw = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(raw)))
            self.send_header("Regent-Revision", f"{stage.epoch}.{stage.index}")
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self):
            assert self.path == "/v1/status", self.path
            with stage.lock:
                digest = "ab" * 32 if not (stage.hash_differs and region == NAMES[2]) else "cd" * 32
                self.answer(200, {"region": region, "role": "PRIMARY" if stage.primary == region else "REPLICA", "ready": True,
                                  "epoch": stage.epoch, "revision": f"{stage.epoch}.{stage.index}", "hash": digest,
                                  "diverged": False})

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with stage.lock:
                if self.path.startswith("/hook?"):
                    stage.hooks.append(body)
                    return self.answer(stage.hook_status, {})
                if self.path == "/v1/check":
                    return self.answer(200, {"allowed": True, "reason": "GRANTED", "via": []})
                if self.path == "/v1/failover":
                    return self.failover(body)
                return self.write(body)

        def failover(self, body):
            assert body["to"] == region and body["by"] and body["reason"], body
            if body["dryRun"]:
                objection = {"code": "RevisionNotReached", "text": "ap-southeast-1 is ahead"} if stage.behind else {}
                return self.answer(200, {"epoch": stage.epoch, "possible": not stage.behind or body["acceptLoss"],
                                         "candidates": [{"region": region, "node": 2, "answered": True, "last": "3.40",
                                                         "primaryHeardMsAgo": 1500}], "mayLose": stage.may_lose, **objection})
            if stage.behind and not body["acceptLoss"]:
                return self.answer(412, {"code": "RevisionNotReached", "message": "ap-southeast-1 is ahead"})
            stage.failovers.append(body)
            stage.primary, stage.epoch, stage.index = region, 1026, stage.index + 1
            if stage.lose_answer:
                self.close_connection = True
                return self.connection.close()
            return self.answer(200, {"epoch": stage.epoch, "candidates": [], "mayLose": stage.may_lose})

        def write(self, body):
            target = self.headers["X-Amz-Target"]
            if stage.primary != region:
                return self.answer(421, {"__type": "NotPrimary", "message": "writes go to the primary region"})
            if stage.refuse_writes:
                stage.refuse_writes = False
                return self.answer(503, {"__type": "InternalServerException", "message": "opening"})
            stage.index += 1
            if target == "AWSIdentityStore.CreateUser" and body["UserName"] in stage.users:
                return self.answer(400, {"__type": "ConflictException", "message": "exists"})
            if target == "AWSIdentityStore.GetUserId":
                return self.answer(200, {"UserId": "u-1", "IdentityStoreId": "d-1"})
            if target == "AWSIdentityStore.CreateUser":
                stage.users.add(body["UserName"])
                return self.answer(200, {"UserId": "u-1", "IdentityStoreId": "d-1"})
            assert target == "AWSIdentityStore.DeleteUser", target
            stage.users.clear()
            return self.answer(200, {})

    return Region


class Theatre:
    def __init__(self, regent):
        self.regent, self.stage = Path(regent).resolve(), Stage()
        self.dir = Path(tempfile.mkdtemp(prefix="regent-test-"))
        self.servers, regions = [], []
        for i, name in enumerate(NAMES):
            server = ThreadingHTTPServer(("127.0.0.1", 0), handler(self.stage, name))
            port = server.server_address[1]
            if i == 0:
                server.server_close()
            else:
                self.servers.append(server)
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            regions.append({"name": name, "role": "PRIMARY" if i == 0 else "REPLICA", "url": f"http://127.0.0.1:{port}", "nodes": []})
        self.hook = f"http://user:pw@127.0.0.1:{self.servers[0].server_address[1]}/hook?token=hidden"
        self.cluster = self.dir / "cluster.json"
        self.cluster.write_text(json.dumps({
            "instance_arn": "arn:aws:sso:::instance/ssoins-1", "identity_store_id": "d-1", "account_id": "111111111111",
            "ca": str(self.dir / "ca.pem"), "regions": regions,
            "admin": {"access_key_id": "AKIA1", "secret_access_key": "sssecret", "bearer_token": "ttoken"}}))
        self.cluster.chmod(0o600)  # it holds the administrator's secrets

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        shutil.rmtree(self.dir, ignore_errors=True)

    def run(self, *args, answers="", code=0):
        done = subprocess.run([self.regent, "runbook", *args, "--cluster", str(self.cluster)], input=answers, text=True,
                              capture_output=True, timeout=50, check=False, cwd=self.dir)
        assert done.returncode == code, f"{args}: exit {done.returncode}, not {code}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr

    def failover(self, *args, **more):
        return self.run("failover", "--to", "eu-central-1", "--by", "ada", "--reason", "us-east-1 burns", *args, **more)

    def lines(self, name):
        return [json.loads(line) for line in (self.dir / name).read_text().splitlines()]


def declined_and_resumed(regent):
    with Theatre(regent) as t:
        (t.dir / "text").write_text("{{to}} leads epoch {{epoch}}: {{reason}}\n")
        bad = t.dir / "bad"
        bad.write_text("x\n{{nobody}}\n")
        text = t.failover("--template", str(bad), code=1)
        assert "line 2" in text and not list(t.dir.glob("*.jsonl")), text  # known before anything is begun
        text = t.failover("--evidence", "e", "--template", "text", answers="y\ny\nn\n", code=1)
        assert "1 of 7" in text and "3 of 7" in text and "4 of 7" not in text and "--resume e" in text, text
        assert "does not answer" in text and not t.stage.failovers
        text = t.failover("--evidence", "e", code=1)
        assert "--resume" in text, text
        text = t.run("failover", "--resume", "e", "--to", "ap-southeast-1", code=2)
        with open(t.dir / "e", "a", encoding="utf-8") as f:
            f.write('{"n":99,"torn')
        t.stage.refuse_writes = True
        t.stage.users.add("regent-runbook-1026")  # of a run that ended before its deletion
        text = t.run("failover", "--resume", "e", "--by", "ben", "--template", "text", "--webhook", t.hook, "--account",
                     "111111111111", answers="y\n" * 5)
        assert "cut short" in text and text.count("done already") == 2 and "not yet" in text, text
        assert "eu-central-1 leads epoch 1026: us-east-1 burns" in text and "NOT DELIVERED" in text, text
        assert len(t.stage.failovers) == 1 and len(t.stage.hooks) == 3 and not t.stage.users
        assert t.stage.hooks[0]["epoch"] == 1026 and t.stage.hooks[0]["from"] == "us-east-1"
        raw = (t.dir / "e").read_text()
        assert "hidden" not in raw and "pw@" not in raw and "sssecret" not in raw and "ttoken" not in raw
        steps = [(line["step"], line["event"]) for line in t.lines("e")]
        assert steps[0] == ("declare", "declared") and steps[-1] == ("signature", "signed"), steps
        assert {line["operator"] for line in t.lines("e")[:-1]} == {"ada", "ben"}
        assert next(r for r in json.loads(t.cluster.read_text())["regions"] if r["role"] == "PRIMARY")["name"] == "eu-central-1"
        assert "nothing was changed" in t.run("verify", "e")
        data = bytearray(raw.encode())
        at = raw.index("us-east-1 burns")
        data[at] ^= 1
        (t.dir / "changed").write_bytes(data)
        text = t.run("verify", "changed", code=1)
        assert "line 2" in text or "line 1" in text, text
        assert "finished" in t.run("failover", "--resume", "e", code=1)
        print("declined, resumed after a torn line, verified; a changed byte was found", flush=True)


def lost_answer_and_key(regent):
    with Theatre(regent) as t:
        subprocess.run(["openssl", "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", t.dir / "key.pem"], check=True)
        os.chmod(t.dir / "key.pem", 0o600)
        subprocess.run(["openssl", "ec", "-in", t.dir / "key.pem", "-pubout", "-out", t.dir / "pub.pem"], check=True,
                       capture_output=True)
        t.stage.lose_answer, t.stage.hook_status = True, 200
        text = t.failover("--yes", "--json", "--evidence", "e", "--sign-key", "key.pem", "--webhook", t.hook)
        result = json.loads(next(line for line in text.splitlines() if line.startswith("{")))
        assert result["epoch"] == 1026 and result["from"] == "us-east-1" and result["signature"] == "ecdsa-p256-sha256", result
        assert "the answer did not come" in text and len(t.stage.failovers) == 1 and len(t.stage.hooks) == 1, text
        assert json.loads(t.run("verify", "e", "--public-key", "pub.pem", "--json"))["ok"]
        assert "--public-key" in t.run("verify", "e", code=2)
        print("an answer was lost: the region itself was asked; signed with a key", flush=True)


def refusals(regent):
    with Theatre(regent) as t:
        t.stage.may_lose = {"known": True, "writes": 3, "seconds": 2, "text": "3 writes of 2 s"}
        text = t.failover("--yes", "--evidence", "a", code=1)
        assert "--accept-loss" in text and not t.stage.failovers, text
        assert "not finished" in t.run("verify", "a", code=1)
        text = t.failover("--evidence", "b", answers="y\ny\ny\ny\ny\ny\ny\n")
        assert "accept that loss" in text and "1.5 s ago" in text and t.stage.failovers[0]["acceptLoss"] is False, text
        assert "PRIMARY already" in t.failover("--yes", "--evidence", "c", code=1)
    with Theatre(regent) as t:
        t.stage.behind = True
        text = t.failover("--evidence", "a", answers="y\n" * 7, code=1)
        assert "without --accept-loss: RevisionNotReached: ap-southeast-1 is ahead" in text and not t.stage.failovers, text
        text = t.failover("--evidence", "b", "--accept-loss", answers="y\ny\n", code=1)  # stopped before the promotion
        assert "3 of 7" in text and not t.stage.failovers, text
        t.run("failover", "--resume", "b", answers="y\n" * 5)
        assert t.stage.failovers[0]["acceptLoss"] is True  # the plan's objection was accepted before
    with Theatre(regent) as t:
        t.stage.hash_differs = True
        text = t.failover("--yes", "--evidence", "a", code=1)
        assert "different state hashes" in text and not t.stage.failovers, text
        t.run("failover", "--to", "eu-central-1", "--by", "ada", code=2)
        assert "no region nowhere" in t.run("failover", "--to", "nowhere", "--by", "a", "--reason", "b", code=1)
        assert "--webhook" in t.failover("--yes", "--evidence", "w", "--webhook", "ftp://chat", code=2)  # not at its last step
        print("no promotion with an unaccepted loss, differing hashes, or half an order", flush=True)


if __name__ == "__main__":
    declined_and_resumed(sys.argv[1])
    lost_answer_and_key(sys.argv[1])
    refusals(sys.argv[1])
