#!/usr/bin/env python3
"""regent probe over real processes: a synthetic user is allowed everywhere; a region that hangs and one that is dead fail at
their deadline without holding up the others; the metrics file is whole at every moment and says the same as the page."""
import json
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from cluster import Cluster

ACCOUNT = "111111111111"
LINE = re.compile(r'^[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.]+$')


def metrics(text):
    """Prometheus text as {name{labels}: value}; every line must be one."""
    values = {}
    assert text.endswith("\n"), "cut short"
    for line in text.splitlines():
        if line.startswith("# HELP ") or line.startswith("# TYPE "):
            continue
        assert LINE.match(line), f"not Prometheus text: {line!r}"
        key, value = line.rsplit(" ", 1)
        assert key not in values, f"twice: {key}"
        values[key] = float(value)
    return values


def check_histogram(values, region):
    buckets = [v for k, v in values.items() if k.startswith("regent_probe_duration_seconds_bucket") and f'"{region}"' in k]
    assert buckets == sorted(buckets) and len(buckets) == 14, buckets
    assert values[f'regent_probe_duration_seconds_count{{region="{region}"}}'] == buckets[-1]


def probe(c, *args, ok=(0,)):
    return [json.loads(line) for line in c.run("probe", "--account", ACCOUNT, "--json", *args, ok=ok).splitlines()]


def by_region(line):
    return {r["region"]: r for r in line["regions"]}


def main(regent, sample):
    with Cluster(regent) as c:
        file = c.dir / "probe.prom"
        # Without the user it is denied, and says why; created twice it is allowed everywhere.
        rows = by_region(probe(c, ok=(1,))[0])
        assert all(not r["ok"] and "USER" in r["error"].upper() for r in rows.values()), rows
        for _ in range(2):
            rows = by_region(probe(c, "--synthetic", "--metrics-file", str(file))[0])
            assert set(rows) == set(c.names) and all(r["ok"] and r["lag"] is not None for r in rows.values()), rows
        values = metrics(file.read_text())
        for name in c.names:
            assert values[f'regent_probe_success{{region="{name}"}}'] == 1
            assert abs(values[f'regent_probe_last_success_timestamp_seconds{{region="{name}"}}'] - time.time()) < 60
            check_histogram(values, name)
        assert len(by_region(probe(c, "--region", ",".join(c.names[:2]))[0])) == 2
        print("synthetic: allowed in every region", flush=True)

        # What the alert rules ask for is there: at the primary or a replica, or from the probe.
        known = set(values)
        for name in (c.primary, c.replicas[0]):
            known |= set(metrics(c.connect(name).request("GET", "/metrics")[0]))
        known = {key.split("{")[0] for key in known}
        rules = Path(sample).parents[1].joinpath("alerts.yaml").read_text()
        asked = {name for line in rules.splitlines() if "expr:" in line for name in re.findall(r"regent_\w+", line)}
        assert len(asked) >= 8 and asked <= known, asked - known

        # One region hangs (stopped), one is dead: both fail, in their time; the others answer as ever.
        hung, dead, well = c.primary, c.replicas[0], c.replicas[1]
        c.kill(dead)
        for node in c.region(hung)["nodes"]:
            assert c.signal_node(node, signal.SIGSTOP)
        began = time.monotonic()
        lines = probe(c, "--count", "2", "--every", "1", "--timeout-ms", "500", "--metrics-file", str(file), ok=(1,))
        took = time.monotonic() - began
        assert len(lines) == 2 and took < 30, took
        for line in lines:
            rows = by_region(line)
            assert rows[well]["ok"] and rows[well]["ms"] < 500, rows
            assert not rows[dead]["ok"] and "cannot be reached" in rows[dead]["error"], rows
            assert not rows[hung]["ok"] and "no answer within 500 ms" in rows[hung]["error"] and rows[hung]["ms"] < 5000, rows
        values = metrics(file.read_text())
        assert [values[f'regent_probe_success{{region="{n}"}}'] for n in (hung, dead, well)] == [0, 0, 1]
        assert values[f'regent_probe_rounds_total{{region="{hung}",result="failure"}}'] == 2
        for name in c.names:
            check_histogram(values, name)
        print(f"hung and dead regions failed at their deadline; both rounds took {took:.1f} s", flush=True)

        # Endless, with its page; a reader of the file never sees half of it; ended by a signal it exits 0.
        for node in c.region(hung)["nodes"]:
            c.signal_node(node, signal.SIGCONT)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        run = subprocess.Popen([c.regent, "probe", "--account", ACCOUNT, "--every", "1", "--listen", f"127.0.0.1:{port}",
                                "--metrics-file", str(file)], env=c.env, stdout=subprocess.PIPE, text=True)
        try:
            run.stdout.readline()
            for _ in range(200):
                metrics(file.read_text())
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
                assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
                page = metrics(answer.read().decode())
            assert page[f'regent_probe_success{{region="{well}"}}'] == 1
        finally:
            run.send_signal(signal.SIGTERM)
            code = run.wait(10)
            run.stdout.close()
        assert code == 0, code
        refused = subprocess.run([c.regent, "probe", "--account", ACCOUNT, "--listen", f"0.0.0.0:{port}"], env=c.env,
                                 capture_output=True, text=True, timeout=20, check=False)
        assert refused.returncode == 2 and "0.0.0.0" in refused.stderr, refused
        print("page and file: whole at every look", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:3])
