#!/usr/bin/env python3
"""regent runbook failover --game-day: a cluster is copied, its primary killed, another region promoted, writes verified there,
the old primary comes back as a replica; the copied cluster is as it was, and nothing of the exercise is left."""
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from cluster import Cluster


def wait_noted(c):
    """Until the primary has noted who leads since the first epoch: it writes nothing by itself after that."""
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if c.connect(c.primary).request("GET", "/v1/epochs")[0]["epochs"][0].get("region") == c.primary:
            return
        time.sleep(0.05)
    raise AssertionError("the first epoch is not noted")


def main(regent, sample):
    with Cluster(regent) as c, tempfile.TemporaryDirectory(prefix="regent-test-") as scratch:
        c.run("import", sample)
        c.run("durability", "set", "--regions", "1", "--on-shortage", "degrade")
        c.run("lease", "set", "--regions", "1", "--seconds", "2")
        wait_noted(c)
        c.wait_pinned()
        before = c.wait_equal()
        evidence = c.dir / "evidence.jsonl"
        env = {**c.env, "TMPDIR": scratch}
        done = subprocess.run([c.regent, "runbook", "failover", "--game-day", "--to", c.replicas[0], "--by", "Ada Example",
                               "--reason", "exercise", "--yes", "--json", "--evidence", str(evidence)], env=env, text=True,
                              capture_output=True, timeout=150, check=False)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        result = json.loads(done.stdout)
        assert result["to"] == c.replicas[0] and result["from"] == c.primary and result["epoch"] > 1, result
        assert "durability set --regions 1 --on-shortage degrade" in done.stderr, done.stderr  # the real one's policy
        assert "lease set --regions 1 --seconds 2" in done.stderr, done.stderr
        assert "nothing that was acknowledged" in result["lost"], result
        assert not os.listdir(scratch), os.listdir(scratch)
        assert c.wait_equal() == before, "the real cluster was touched"
        lines = [json.loads(line) for line in evidence.read_text().splitlines()]
        events = [(line["step"], line["event"]) for line in lines]
        for step in ("declare", "pause", "validate", "promote", "verify", "notify", "resume"):
            assert (step, "done") in events, step
        back = next(line for line in lines if line["event"] == "returned")
        assert back["secondsFromDeathToEnd"] > 1, back  # the dead primary's lease was waited out
        assert ("game-day", "killed") in events and ("game-day", "returned") in events and lines[0]["gameDay"] is True
        assert "nothing was changed" in c.run("runbook", "verify", str(evidence))
        raw = bytearray(evidence.read_bytes())
        raw[len(raw) // 2] ^= 1
        Path(scratch, "changed").write_bytes(raw)
        c.run("runbook", "verify", str(Path(scratch, "changed")), ok=(1,))
        print(done.stderr, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
