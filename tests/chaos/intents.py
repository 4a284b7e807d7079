#!/usr/bin/env python3
"""Write intents: while the primary is dead a replica takes writes that wait. They are not visible, survive kill -9, and are
presented when the primary is back: what only takes access away by itself, the rest when somebody approves it."""
import json
import sys
import time

from cluster import Cluster, Refused

QUEUE = {"Regent-Intent": "queue"}
ACCOUNT = "111111111111"


def refused(run, code, status=None):
    try:
        value = run()
    except Refused as answer:
        assert answer.code == code, f"{answer.code}, not {code}: {answer}"
        assert status is None or answer.status == status, answer
        return answer
    raise AssertionError(f"was not refused: {value}")


def until(what, seconds=20, every=0.05):
    """Wait for what() to be true; its value."""
    end = time.monotonic() + seconds
    while True:
        try:
            value = what()
            if value:
                return value
            seen = value
        except (OSError, Refused) as error:
            seen = error
        assert time.monotonic() < end, f"still not so after {seconds} s: {seen!r}"
        time.sleep(every)


class Story:
    def __init__(self, cluster):
        self.c = cluster
        self.here = cluster.replicas[0]

    def ids(self, region, operation, body, headers=None):
        return self.c.connect(region).call("AWSIdentityStore." + operation, {"IdentityStoreId": self.c.store, **body}, headers)[0]

    def sso(self, region, operation, body, headers=None):
        return self.c.connect(region).call("SWBExternalService." + operation, {"InstanceArn": self.c.instance, **body}, headers)[0]

    def allowed(self, region, user):
        body = {"user": user, "account": ACCOUNT, "permissionSet": "View"}
        return self.c.connect(region).request("POST", "/v1/check", body)[0]["allowed"]

    def disable(self, region, user_id, headers=None):
        operations = [{"AttributePath": "userStatus", "AttributeValue": "DISABLED"}]
        return self.ids(region, "UpdateUser", {"UserId": user_id, "Operations": operations}, headers)

    def rename(self, region, user_id, name, headers=None):
        operations = [{"AttributePath": "displayName", "AttributeValue": name}]
        return self.ids(region, "UpdateUser", {"UserId": user_id, "Operations": operations}, headers)

    def intent(self, intent_id):
        return self.c.connect(self.here).request("GET", "/v1/intents/" + intent_id)[0]

    def decide(self, intent_id, verb):
        return self.c.connect(self.here).request("POST", f"/v1/intents/{intent_id}/{verb}", {})[0]

    def cli(self, *args, ok=(0,)):
        return json.loads(self.c.run("intent", *args, "--json", ok=ok))

    def listed(self, status=None):
        query = f"?status={status}" if status else ""
        return self.c.connect(self.here).request("GET", "/v1/intents" + query)[0]["intents"]

    def world(self):
        p = self.c.primary
        self.users = {name: self.c.connect(p).create_user(name)[0]["UserId"] for name in ("alice", "bob", "carol", "dave")}
        group = self.ids(p, "CreateGroup", {"DisplayName": "staff"})["GroupId"]
        self.members = {n: self.ids(p, "CreateGroupMembership", {"GroupId": group, "MemberId": {"UserId": u}})["MembershipId"]
                        for n, u in self.users.items() if n != "dave"}
        self.set = self.sso(p, "CreatePermissionSet", {"Name": "View"})["PermissionSet"]["PermissionSetArn"]
        self.assign(p, "GROUP", group)
        self.assign(p, "USER", self.users["dave"])
        self.c.connect(p).request("PUT", "/v1/accounts/" + ACCOUNT, {"name": "first"})
        self.c.wait_equal()

    def assign(self, region, kind, principal, operation="CreateAccountAssignment", headers=None):
        return self.sso(region, operation, {"TargetId": ACCOUNT, "TargetType": "AWS_ACCOUNT", "PermissionSetArn": self.set,
                                            "PrincipalType": kind, "PrincipalId": principal}, headers)

    def with_primary(self):
        """The usual answers while the primary is there; at the primary the header changes nothing."""
        refused(lambda: self.disable(self.here, self.users["alice"], QUEUE), "NotPrimary", 421)
        assert self.rename(self.c.primary, self.users["alice"], "Alice", QUEUE) == {}
        assert self.listed() == []

    def without_primary(self):
        c, here = self.c, self.here
        refused(lambda: self.disable(here, self.users["alice"]), "PrimaryUnavailable", 503)
        refused(lambda: self.disable(here, self.users["alice"], {"Regent-Intent": "now"}), "ValidationException")
        refused(lambda: self.disable(here, "00000000-0000-4000-8000-000000000000", QUEUE), "ResourceNotFoundException")
        refused(lambda: c.connect(here).create_user("bob", QUEUE), "ConflictException")
        refused(lambda: self.sso(here, "ProvisionPermissionSet", {"PermissionSetArn": self.set, "TargetType":
                                 "ALL_PROVISIONED_ACCOUNTS"}, QUEUE), "ValidationException")
        refused(lambda: c.connect(here).create_user("x", {**QUEUE, "Regent-Wait-Regions": "1"}), "ValidationException")

        taken = self.disable(here, self.users["alice"], QUEUE)
        assert (taken["status"], taken["auto"], taken["region"]) == ("QUEUED", True, here), taken
        assert "not in effect" in taken["message"]
        again = self.disable(here, self.users["alice"], QUEUE)
        assert again["intentId"] == taken["intentId"], "the same write again is the same intent"
        assert self.cli("disable-user", "alice", "--region", here)["intentId"] == taken["intentId"]
        assert taken["intentId"] in c.run("intent", "disable-user", self.users["alice"], "--region", here)
        left = self.ids(here, "DeleteGroupMembership", {"MembershipId": self.members["bob"]}, QUEUE)
        assert self.cli("remove-member", "staff", "bob", "--region", here)["intentId"] == left["intentId"]
        revoked = self.cli("revoke", "first", "View", "dave", "--region", here)
        assert revoked["auto"], revoked
        again = self.assign(here, "USER", self.users["dave"], "DeleteAccountAssignment", QUEUE)
        assert again["intentId"] == revoked["intentId"]
        for wrong, code in ((("disable-user", "nobody", "--region", here), 1), (("revoke", ACCOUNT, "Nothing", "dave", "--region", here), 1),
                            (("disable-user", "alice"), 2), (("disable-user", "alice", "--region", "mars"), 1)):
            c.run("intent", *wrong, ok=(code,))
        c.run("intent", "disable-user", "alice", "--region", c.primary, ok=(3,))
        self.auto = [taken["intentId"], left["intentId"], revoked["intentId"]]
        manual = [c.connect(here).create_user("erin", QUEUE)[0], self.rename(here, self.users["carol"], "Carol", QUEUE),
                  self.ids(here, "DeleteUser", {"UserId": self.users["carol"]}, QUEUE),
                  c.connect(here).request("PUT", "/v1/accounts/222222222222", {"name": "new"}, QUEUE)[0]]
        assert not any(m["auto"] for m in manual), manual
        assert c.connect(here).create_user("erin", QUEUE)[0]["intentId"] == manual[0]["intentId"]
        self.create, self.renaming, self.delete, self.account = (m["intentId"] for m in manual)
        for name in self.users:
            assert self.allowed(here, name), f"an intent changed what {name} may do"

    def after_restart(self):
        kinds = [(i["status"], i["auto"], i["command"]["kind"], i["command"]["by"]) for i in self.listed("QUEUED")]
        by = kinds[0][3]
        assert kinds == [("QUEUED", True, "USER_REPLACE", by), ("QUEUED", True, "MEMBERSHIP_DELETE", by),
                         ("QUEUED", True, "ASSIGNMENT_DELETE", by), ("QUEUED", False, "USER_CREATE", by),
                         ("QUEUED", False, "USER_REPLACE", by), ("QUEUED", False, "USER_DELETE", by),
                         ("QUEUED", False, "ACCOUNT_PUT", by)], kinds
        for name in self.users:
            assert self.allowed(self.here, name)
        refused(lambda: self.decide(self.auto[0], "approve"), "ConflictException", 409)
        refused(lambda: self.decide("00000000-0000-4000-8000-000000000000", "drop"), "ResourceNotFoundException", 404)
        assert self.cli("drop", self.delete)["status"] == "DROPPED"
        refused(lambda: self.decide(self.delete, "approve"), "ConflictException", 409)
        assert "waits" in self.c.run("intent", "list") and "auto" in self.c.run("intent", "list", "--region", self.here)
        assert [i["id"] for i in self.cli("list", "--status", "DROPPED")] == [self.delete]
        assert self.cli("list", "--region", self.c.replicas[1]) == []
        self.c.run("intent", "drop", "00000000-0000-4000-8000-000000000000", ok=(1, 3))
        approved = self.cli("approve", self.account)  # before there is a primary: it waits on
        assert approved["status"] == "QUEUED" and approved["approvedBy"], approved

    def with_primary_again(self):
        c = self.c
        for intent in self.auto + [self.account]:
            until(lambda i=intent: self.intent(i)["status"] == "APPLIED")
        c.wait_equal()
        for name in c.names:
            seen = {u: self.allowed(name, u) for u in self.users}
            assert seen == {"alice": False, "bob": False, "carol": True, "dave": False}, (name, seen)
            assert c.connect(name).request("GET", "/v1/accounts/222222222222")[0]["name"] == "new"
        alice = self.ids(self.here, "DescribeUser", {"UserId": self.users["alice"]})
        assert (alice["UserStatus"], alice["DisplayName"]) == ("DISABLED", "Alice"), alice
        revision = json.loads(c.run("intent", "show", self.auto[0]))["revision"]
        assert tuple(map(int, revision.split("."))) > (0, 0)
        assert self.intent(self.create)["status"] == "QUEUED" and self.intent(self.create)["waitsForApproval"]
        refused(lambda: c.connect(self.here).user_id("erin"), "ResourceNotFoundException")

        self.rename(c.primary, self.users["carol"], "Carola")  # meanwhile: the intent's version is gone
        c.wait_equal()
        for intent in (self.create, self.renaming):
            assert self.decide(intent, "approve")["approvedBy"]
        until(lambda: self.intent(self.create)["status"] == "APPLIED")
        lost = until(lambda: (lambda i: i["status"] == "REFUSED" and i)(self.intent(self.renaming)))
        assert lost["code"] == "ConflictException" and "changed" in lost["text"], lost
        c.wait_equal()
        for name in c.names:
            assert c.connect(name).user_id("erin")
            assert self.ids(name, "DescribeUser", {"UserId": self.users["carol"]})["DisplayName"] == "Carola"
        assert self.ids(c.primary, "DescribeUser", {"UserId": c.connect(c.primary).user_id("erin")})["UserStatus"] == "ENABLED"
        metrics = c.connect(self.here).request("GET", "/metrics")[0]
        for status, n in (("QUEUED", 0), ("APPLIED", 5), ("REFUSED", 1), ("DROPPED", 1)):
            assert f'regent_intents{{region="{self.here}",status="{status}"}} {n}\n' in metrics, metrics


    def promoted(self):
        """The region that took intents takes over itself: it presents them to itself; another region, to it."""
        c, here, other = self.c, self.here, self.c.replicas[1]
        mine = self.disable(here, self.users["alice"], QUEUE)["intentId"]
        create = c.connect(here).create_user("erin", QUEUE)[0]["intentId"]
        theirs = self.disable(other, self.users["bob"], QUEUE)["intentId"]
        c.run("failover", "declare", "--to", here, "--by", "tests", "--reason", "the old one is dead", "--yes")
        until(lambda: self.intent(mine)["status"] == "APPLIED")
        until(lambda: c.connect(other).request("GET", "/v1/intents/" + theirs)[0]["status"] == "APPLIED")
        epoch = c.connect(here).status()["epoch"]
        assert epoch > 1 and self.intent(mine)["revision"].startswith(f"{epoch}."), self.intent(mine)
        assert self.intent(create)["waitsForApproval"]
        self.decide(create, "approve")
        until(lambda: self.intent(create)["status"] == "APPLIED")
        noted = c.connect(here).request("GET", "/v1/degraded")[0]
        assert len(noted["writes"]) >= 3, noted
        alarms = lambda: [a["code"] for a in c.connect(here).status()["alarms"]]
        assert "DegradedWrites" in alarms() and "RegionsShort" in alarms(), alarms()
        refused(lambda: self.disable(other, self.users["carol"], QUEUE), "NotPrimary", 421)
        old = c.primary
        c.start(old)
        assert (c.load() or c.primary) == here, "the cluster file names the new primary"
        c.wait_equal(60)
        until(lambda: not alarms())  # what was short of a region is in it now
        for name in c.names:
            users = {u: self.ids(name, "DescribeUser", {"UserId": i})["UserStatus"] for u, i in self.users.items()}
            assert users == {"alice": "DISABLED", "bob": "DISABLED", "carol": "ENABLED", "dave": "ENABLED"}, (name, users)
            assert c.connect(name).user_id("erin")


def main(regent, _sample):
    with Cluster(regent) as c:
        story = Story(c)
        story.world()
        c.run("durability", "set", "--regions", "2", "--on-shortage", "degrade")  # with one of three dead: only noted
        c.kill(c.primary)
        for name in c.replicas:
            until(lambda n=name: f'regent_primary_reachable{{region="{n}"}} 0\n' in c.connect(n).request("GET", "/metrics")[0])
        story.promoted()
    print("a region that took over presented its intents to itself, and another one its own to it")
    with Cluster(regent) as c:
        story = Story(c)
        story.world()
        story.with_primary()
        c.kill(c.primary)
        until(lambda: f'regent_primary_reachable{{region="{story.here}"}} 0\n' in c.connect(story.here).request("GET", "/metrics")[0])
        story.without_primary()
        c.kill(story.here)
        c.start(story.here)
        story.after_restart()
        c.kill(story.here)  # what was decided is kept too
        c.start(c.primary)
        c.start(story.here)
        story.with_primary_again()
    print("intents waited, survived kill -9 twice and were applied, refused and dropped as they must be")


if __name__ == "__main__":
    main(*sys.argv[1:3])
