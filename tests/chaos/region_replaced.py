#!/usr/bin/env python3
"""A node that lost its place comes back under a new id (POST /v1/rejoin), and the primary lets it in by itself: the id it had leaves
the configuration, the region stays ACTIVE, its row names the new node. A node of the first configuration, and one that was added."""
import base64
import hashlib
import shutil
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster

NEW = "ap-south-1"


def openssl(*args, data=None):
    return subprocess.run(["openssl", *args], input=data, capture_output=True, check=True).stdout


def setting(folder, name):
    lines = (folder / "regentd.yaml").read_text().splitlines()
    return next(line.split(":", 1)[1].strip(" '") for line in lines if line.strip().startswith(name + ":"))


def rejoin(c, region, node, folder):
    """Asked as the node itself would: signed with the key it had, for a key that is new."""
    openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(folder / "new-key.pem"))
    csr = openssl("req", "-new", "-key", str(folder / "new-key.pem"), "-subj", "/CN=" + region).decode()
    link, cluster = setting(folder, "link"), setting(folder, "cluster")
    at = int(time.time())
    digest = hashlib.sha256(csr.encode()).hexdigest()
    text = "".join(f"{line}\n" for line in ("regent-rejoin-1", cluster, node["id"], region, digest, link, node["url"], at))
    signature = openssl("dgst", "-sha256", "-sign", str(folder / "key.pem"), data=text.encode())
    body = {"oldId": node["id"], "region": region, "csr": csr, "link": link, "url": node["url"], "at": at,
            "signature": base64.b64encode(signature).decode(), "cert": (folder / "cert.pem").read_text()}
    return c.connect(c.primary).request("POST", "/v1/rejoin", body)[0]


def settle(folder, region, node, answer):
    """Its folder with the new identity: key, certificate, id, the members it was told; its data is put aside."""
    (folder / "new-key.pem").replace(folder / "key.pem")
    (folder / "cert.pem").write_text(answer["cert"])
    shutil.move(folder / "data", folder / "data-before")
    config = (folder / "regentd.yaml").read_text().split("peers:")[0].replace(f"id: {node['id']}\n", f"id: {answer['nodeId']}\n")
    members = answer["members"] + [{"id": answer["nodeId"], "region": region, "role": "learner", "link": setting(folder, "link"),
                                    "url": node["url"]}]
    config += "peers:\n" + "".join("  - {id: %(id)s, region: '%(region)s', role: %(role)s, link: '%(link)s', url: '%(url)s'}\n" % m
                                   for m in members if m["id"] != node["id"])
    (folder / "regentd.yaml").write_text(config)


def replace(c, region):
    node = c.region(region)["nodes"][0]
    folder = Path(node["config"]).parent
    c.kill(region)
    lost = rejoin(c, region, node, folder)
    answer = rejoin(c, region, node, folder)  # the first answer never arrived
    assert answer["nodeId"] == lost["nodeId"], (answer, lost)
    settle(folder, region, node, answer)
    c.start(region)
    primary, until = c.connect(c.primary), time.monotonic() + 30
    while True:
        shown = primary.request("GET", f"/v1/regions/{region}")[0]
        if [(n["id"], n["status"]) for n in shown["nodes"]] == [(answer["nodeId"], "MEMBER")] and shown["hashMatch"]:
            break
        assert time.monotonic() < until, shown
        assert shown["status"] == "ACTIVE", shown
        time.sleep(0.05)
    c.wait_equal()
    primary.create_user(f"after-{answer['nodeId']}", {"Regent-Wait-Regions": "all"})  # of a member that is gone it would wait in vain
    status = primary.status()
    ids = sorted(n["id"] for r in status["regions"] for n in r["nodes"])
    assert node["id"] not in ids and answer["nodeId"] in ids, status
    return node["id"], answer["nodeId"]


def main(regent, _sample):
    with Cluster(regent, "us-east-1,eu-central-1") as c:
        for i in range(20):
            c.connect(c.primary).create_user(f"user-{i}")
        c.run("dev", "add", NEW)
        c.load()
        first = replace(c, "eu-central-1")
        assert first == (2, 4), first
        second = replace(c, NEW)
        assert second == (3, 5), second
        # Replaced once more: the line of ids goes on.
        c.file["regions"] = [{**r, "nodes": [{**n, "id": 4} for n in r["nodes"]]} if r["name"] == "eu-central-1" else r
                             for r in c.file["regions"]]
        folder = Path(c.region("eu-central-1")["nodes"][0]["config"]).parent
        shutil.rmtree(folder / "data-before")
        third = replace(c, "eu-central-1")
        assert third == (4, 6), third
        # And removed like any other: it is told under the id it has now.
        c.run("region", "remove", "eu-central-1", "--yes")
        assert not (folder / "keystore").exists() and (folder / "data" / "removed").exists()
    print("replaced: " + ", ".join(f"{a} by {b}" for a, b in (first, second, third)))


if __name__ == "__main__":
    main(*sys.argv[1:3])
