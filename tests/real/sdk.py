#!/usr/bin/env python3
"""The official AWS SDK for JavaScript against a cluster: it loads a real organisation into the primary and every region then
computes the same effective access; then a tour of reads, changes and refusals; a region is added and removed."""
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "chaos"))
from cluster import Cluster, shared_data, skip  # noqa: E402

HERE = Path(__file__).resolve().parent


def node_ready():
    """Node 20 or newer, and npm."""
    if not shutil.which("node") or not shutil.which("npm"):
        return "node and npm are not installed"
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout.strip()
    return None if int(version.lstrip("v").split(".")[0]) >= 20 else f"the SDK needs node 20, this is {version}"


def run(folder, cluster, *args):
    env = {**os.environ, "NODE_EXTRA_CA_CERTS": cluster.file["ca"], "AWS_EC2_METADATA_DISABLED": "true"}
    done = subprocess.run(["node", *args], cwd=folder, env=env, capture_output=True, text=True, timeout=240, check=False)
    print(done.stdout, end="", flush=True)
    assert done.returncode == 0, done.stderr[-4000:]


def main(regent, _sample):
    why = node_ready()
    data = shared_data()
    if why or data is None:
        skip(why or "the data sets are not at hand")
    path = data / "kubernetes-org.json.gz"
    facts = json.loads(gzip.decompress(path.read_bytes()))["facts"]
    folder = Path(tempfile.mkdtemp(prefix="regent-sdk-"))
    try:
        for name in ("package.json", "package-lock.json", "load_k8s.mjs", "tour.mjs", "regions.mjs"):
            shutil.copy(HERE / name, folder)
        done = subprocess.run(["npm", "ci", "--no-fund", "--no-audit", "--ignore-scripts"], cwd=folder, capture_output=True,
                              text=True, timeout=240, check=False)
        if done.returncode != 0:
            skip(f"npm cannot install the SDK here: {done.stderr.strip().splitlines()[-1] if done.stderr.strip() else '?'}")
        with Cluster(regent) as c:
            run(folder, c, "load_k8s.mjs", str(c.dir / "cluster.json"), str(path))
            c.run("dev", "ready")
            for region in c.names:
                text = c.run("access", "list", "--region", region)
                got = len(text.splitlines()), hashlib.sha256(text.encode()).hexdigest()
                assert got == (facts["effectiveAccess"], facts["effectiveAccessSha256"]), f"{region}: {got}"
            run(folder, c, "load_k8s.mjs", str(c.dir / "cluster.json"), str(path))  # again: nothing changes
            c.wait_equal()
            run(folder, c, "tour.mjs", str(c.dir / "cluster.json"))
            c.run("dev", "add", "ap-south-1", "--prepare")
            run(folder, c, "regions.mjs", str(c.dir / "cluster.json"), "ap-south-1")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"{facts['effectiveAccess']} lines of effective access in every region, loaded by the SDK")


if __name__ == "__main__":
    main(*sys.argv[1:3])
