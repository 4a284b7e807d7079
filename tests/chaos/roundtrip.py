#!/usr/bin/env python3
"""What is exported and imported elsewhere is the same, a user without access first of all; and what an import would not keep it refuses,
with its line.
  roundtrip.py REGENT SAMPLE"""
import json
import subprocess
import sys
from pathlib import Path

from cluster import Cluster

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
EVERYTHING = {
    "format": "idc-org-dataset/1",
    "users": [
        {"userName": "ada", "displayName": "Ada", "status": "DISABLED", "externalIds": [{"issuer": "https://idp.example", "id": "e-1"}],
         "attributes": {"Name": {"GivenName": "Ada", "FamilyName": "L"}, "Title": "CTO",
                        "Emails": [{"Value": "ada@real.example", "Type": "work", "Primary": True}],
                        "PhoneNumbers": [{"Value": "+1 555 0100"}]}},
        {"userName": "ben", "email": "ben@real.example"},
        {"userName": "cara", "displayName": "Cara \"C\" \u00fc", "status": "ENABLED"},
    ],
    "groups": [
        {"displayName": "admins", "description": "all of it", "members": ["ada", "cara"], "externalIds": [{"issuer": "idp", "id": "g-1"}]},
        {"displayName": "nobody"},
    ],
    "accounts": [{"id": "111111111111", "name": "production", "description": "live"}, {"id": "222222222222"}],
    "permissionSets": [
        {"name": "Administrator", "description": "everything", "sessionDuration": "PT8H", "relayState": "https://console.example/",
         "managedPolicies": ["arn:aws:iam::aws:policy/AdministratorAccess"], "inlinePolicy": POLICY,
         "tags": [{"key": "owner", "value": "sec"}, {"key": "empty", "value": ""}]},
        {"name": "Text", "inlinePolicy": json.dumps(POLICY)},
    ],
    "assignments": [
        {"principalType": "GROUP", "principal": "admins", "account": "111111111111", "permissionSet": "Administrator"},
        {"principalType": "USER", "principal": "ben", "account": "222222222222", "permissionSet": "Text"},
    ],
}


def exported(c, path):
    c.run("export", "--output", str(path))
    document = json.loads(path.read_text())
    del document["revision"]
    for group in document["groups"]:
        group["members"].sort()  # these stand by ids, which are another instance's own
    document["assignments"].sort(key=json.dumps)
    return document


def refused(c, folder, change, *words):
    document = json.loads(json.dumps(EVERYTHING))
    change(document)
    path = folder / "refused.json"
    path.write_text(json.dumps(document, indent=1))
    done = subprocess.run([c.regent, "import", str(path)], capture_output=True, text=True, timeout=60, env=c.env, check=False)
    assert done.returncode == 1 and all(w in done.stderr for w in words), (words, done.returncode, done.stderr)
    line = int(done.stderr.split("refused.json:")[1].split(":")[0])
    return path.read_text().splitlines()[line - 1]


def main(regent):
    with Cluster(regent, regions="us-east-1") as first, Cluster(regent, regions="us-east-1") as second:
        folder = Path(first.dir)
        (folder / "everything.json").write_text(json.dumps(EVERYTHING))
        first.run("import", str(folder / "everything.json"))
        saved = exported(first, folder / "saved.json")
        ada = next(u for u in saved["users"] if u["userName"] == "ada")
        assert ada["status"] == "DISABLED" and ada["email"] == "ada@real.example" and ada["attributes"]["Title"] == "CTO", ada
        assert next(u for u in saved["users"] if u["userName"] == "ben")["email"] == "ben@real.example", saved["users"]
        assert next(p for p in saved["permissionSets"] if p["name"] == "Administrator")["tags"] == EVERYTHING["permissionSets"][0]["tags"]
        second.run("import", str(folder / "saved.json"))
        again = exported(second, folder / "again.json")
        assert again == saved, (saved, again)
        for c in (first, second):
            said = c.run("access", "check", "ada", "production", "Administrator", ok=(1,))
            assert "UserDisabled" in said, said
            assert "allowed" in c.run("access", "check", "cara", "production", "Administrator")
        before = second.run("export")
        said = refused(second, folder, lambda d: d["users"][1].update(colour="red"), "users[1].colour: is not known")
        assert "red" in said, said
        said = refused(second, folder, lambda d: d["users"][0]["externalIds"][0].update(kind="x"), "users[0].externalIds[0].kind: is not known")
        assert '"kind"' in said, said
        said = refused(second, folder, lambda d: d["users"][2].update(status="GONE"), "users[2].status: must be ENABLED or DISABLED")
        assert "GONE" in said, said
        refused(second, folder, lambda d: d["groups"][0].update(members=["ada", 3]), "groups[0].members: must be an array of strings")
        refused(second, folder, lambda d: d["assignments"][1].pop("account"), "assignments[1].account: must be there")
        refused(second, folder, lambda d: d["accounts"].append("x"), "accounts[2].: must be an object")
        refused(second, folder, lambda d: d.update(policies=[]), "policies: is not known")
        assert second.run("export") == before
    print("what was exported and imported is the same; what would not be kept is refused, and nothing written")


if __name__ == "__main__":
    main(sys.argv[1])
