#!/usr/bin/env python3
"""Disks that are lost, set back, copied and exchanged beside kill -9, suspended processes, cut lines, switchovers and promotions, under
writes that a lease of 2 regions protects. Whatever comes: no acknowledged write is lost, nobody acknowledges in an epoch when a later
one has, a node whose disk was damaged says what it is, and in the end all regions have one state.
  disks.py REGENT SAMPLE [--seconds N | --minutes N] [--regions N] [--seed N]"""
import argparse
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from cluster import Cluster, Refused, wait
from intents import until
from load import BROKEN
from takeover import Client, check_epochs, check_kept, more, settled, start, stop, total

REGIONS = ("us-east-1", "eu-central-1", "ap-southeast-1", "sa-east-1", "eu-west-1")
LEASE_REGIONS = 2  # the primary and so many others have what was acknowledged: so many disks may be lost at once
AGAIN_S = 620  # a node that forgets is given one id in ten minutes
GRACE_S = 30  # before it asks for one
IMAGE_AGE_S = 3  # the mark says how far the log was at most a second ago
BACK_S = 180
WAS = "birth.returns|another data directory"  # at once, or from the first that knows it, when those asked were slow or had just come themselves
RETRY = ("RevisionNotReached", "ConflictException", "LeaseNotHeld", "ThrottlingException", "NotReady", "PrimaryUnavailable", "Stopping", "Fenced")


def log_of(node):
    return Path(node["config"] + ".log")


class Writer(Client):
    """As that one, and no more accounts than its counter: hours of them would not fit an instance."""

    def send(self, n):
        if n % 3 != 1:
            return super().send(n)
        name = f"c{self.number}-{n}"
        return ("user", name), self.connection().create_user(name)[1]["regent-revision"]


class Image:
    """A node's directory and mark as they were."""

    def __init__(self, node, folder, status):
        self.at, self.led, self.id, self.restarted = time.monotonic(), status["role"] == "PRIMARY", status["node"], False
        self.data, self.marks = folder / "data", folder / "marks"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copytree(node["data_dir"], self.data)
        self.marks.mkdir()
        for mark in marks(node):
            shutil.copy2(mark, self.marks)

    def put_back(self, node, mark_too):
        shutil.rmtree(node["data_dir"], ignore_errors=True)
        shutil.copytree(self.data, node["data_dir"])
        if mark_too:
            drop_marks(node)
            for mark in self.marks.iterdir():
                shutil.copy2(mark, Path(node["data_dir"]).parent)


def marks(node):
    return list(Path(node["data_dir"]).parent.glob(".regent-mark-*"))


def drop_marks(node):
    for mark in marks(node):
        mark.unlink()


class Chaos:
    def __init__(self, cluster, dice, clients, damage_until):
        self.c, self.dice, self.clients, self.damage_until = cluster, dice, clients, damage_until
        self.began = time.monotonic()
        self.regentd = str(Path(cluster.regent).with_name("regentd"))
        self.undo = []  # (when, what)
        self.away = {}  # region that lost its id: (ids it may not have, since, what must be in its log, from there)
        self.forgot = {}  # region: when it lost an id last
        self.ids = {}
        self.images = {}
        self.counts = {}
        self.superseded = {}  # region: a machine that was set back, and from where its log says what it is taken for
        self.approved = {}  # region: when it may be let come back once more

    # ---- what there is ----

    def say(self, text):
        print(f"[{time.monotonic() - self.began:6.1f}] {text}", flush=True)

    def node(self, region):
        return self.c.region(region)["nodes"][0]

    def status(self, region):
        try:
            return self.c.connect(region, timeout=2).status()
        except BROKEN + (Refused,):
            return None

    def primary(self):
        led = [(s["epoch"], r) for r, s in ((r, self.status(r)) for r in self.c.names) if s and s["role"] == "PRIMARY"]
        return max(led)[1] if led else None

    def calm(self):
        """Nothing is undone, and everybody who is there is well; the primary's region."""
        if self.undo:
            return None
        all_of = {r: self.status(r) for r in self.c.names if r not in self.away}
        led = [r for r, s in all_of.items() if s and s["role"] == "PRIMARY"]
        if len(led) != 1 or not all(s and s["ready"] and s["epoch"] == all_of[led[0]]["epoch"] for s in all_of.values()):
            return None
        for r, s in all_of.items():
            if self.ids.get(r, s["node"]) != s["node"]:  # whoever led, and was replaced, has a new one too
                self.forgot[r] = time.monotonic()
            self.ids[r] = s["node"]
        bound = all(n.get("incarnation") or n["self"] for r in all_of[led[0]]["regions"] for n in r["nodes"])
        return led[0] if bound and all_of[led[0]]["writes"] == "open" else None

    def come_to_rest(self, seconds=60):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.look()
            led = self.calm()
            if led is not None:
                return led
            if not self.undo and self.primary() is None:
                self.promote(None)
            time.sleep(0.2)
        return None

    # ---- processes ----

    def end(self, region):
        node = self.node(region)
        if self.c.signal_node(node, signal.SIGKILL):
            until(lambda: not self.c.signal_node(node, 0), every=0.01)

    def start(self, region):
        try:
            subprocess.run([self.c.regent, "dev", "start", region], env=self.c.env, capture_output=True, timeout=2, check=False)
        except subprocess.TimeoutExpired:
            pass  # it is there, and not ready yet
        self.c.load()
        if region in self.images:
            self.images[region].restarted = True

    def refuses(self, region, *words):
        """Its process ends by itself, and says why."""
        node = self.node(region)
        done = subprocess.run([self.regentd, "--config", node["config"]], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 78 and any(w in done.stderr for w in words), f"{region}: {done.returncode}, not {words}: {done.stderr[-2000:]}"

    def later(self, seconds, what):
        self.undo.append((time.monotonic() + seconds, what))

    def look(self):
        """What is due; who is back."""
        for due in sorted((u for u in self.undo if u[0] <= time.monotonic()), key=lambda u: u[0]):
            self.undo.remove(due)
            due[1]()
        for region, (old, since, words, offset) in list(self.away.items()):
            status = self.status(region)
            if status is None or not status["ready"]:
                self.approve(region, offset)
                self.reset(region)
            if status is None or status["node"] in old or not status["ready"]:
                continue
            with open(log_of(self.node(region)), "rb") as log:
                log.seek(offset)
                text = log.read().decode(errors="replace")
            missing = [w for w in words if not re.search(w, text)]
            assert not missing, f"{region}: its disk was damaged, and its log does not say {missing}:\n{text[-3000:]}"
            self.say(f"{region} is back as {status['node']}, {time.monotonic() - since:.0f} s later")
            del self.away[region]
        errors = [x.error for x in self.clients if x.error]
        assert not errors, errors

    def reset(self, region):
        """A peer whose line to its later start was cut takes that one to run still: it ends, and people who know better say so."""
        if region not in self.superseded or self.c.signal_node(self.node(region), 0):
            return
        with open(log_of(self.node(region)), "rb") as log:
            log.seek(self.superseded[region])
            if "RG_ESUPERSEDED" not in log.read().decode(errors="replace"):
                return
        node = self.node(region)
        del self.superseded[region]
        self.refuses(region, "regent node reset")
        self.c.run("node", "reset", "--config", node["config"])
        self.away[region] = (self.away[region][0], self.away[region][1], (WAS, "rejoin.grace"), log_of(node).stat().st_size)
        self.start(region)
        self.say(f"{region}: was taken for a copy of one that runs: reset")

    def approve(self, region, offset):
        """Who lost its newest key with its disk comes back with an old one, when somebody has seen which machine it is: its log says how."""
        if time.monotonic() < self.approved.get(region, 0):
            return
        with open(log_of(self.node(region)), "rb") as log:
            log.seek(offset)
            wants = re.findall(r"regent (node approve \d+ --fingerprint [A-Z2-7-]+)", log.read().decode(errors="replace"))
        if wants:
            self.approved[region] = time.monotonic() + 3  # what was written may be lost with a primary: once more then
            done = subprocess.run([self.c.regent, *wants[-1].split()], env=self.c.env, capture_output=True, text=True, timeout=60, check=False)
            self.say(f"{region}: {wants[-1]}: exit {done.returncode} {done.stderr.strip()[:100]}")

    # ---- what changes nothing for good ----

    def kill(self, region):
        self.end(region)
        self.later(self.dice.uniform(0.1, 4), lambda: self.start(region))

    def suspend(self, region):
        node = self.node(region)
        if self.c.signal_node(node, signal.SIGSTOP):
            self.later(self.dice.uniform(0.1, 3), lambda: self.c.signal_node(node, signal.SIGCONT))

    def cut(self, region):
        how, other = self.dice.choice(("cut", "stall")), self.dice.choice([r for r in self.c.names if r != region])
        others = [r for r in self.c.names if r != region] if self.dice.random() < 0.4 else [other]
        for r in others:
            self.c.link(how, region, r)

        def heal():
            for r in others:
                self.c.link("heal", region, r)
        self.later(self.dice.uniform(0.3, 5), heal)

    def switchover(self, to):
        done = subprocess.run([self.c.regent, "switchover", "--to", to, "--by", "test", "--json"], env=self.c.env, capture_output=True, text=True,
                              timeout=60, check=False)
        self.c.load()
        return f"exit {done.returncode}"

    def promote(self, gone, seconds=4):
        """Declared here and there, without accepting a loss, until one has taken over or the old primary is back."""
        end, said = time.monotonic() + seconds, {}
        while time.monotonic() < end:
            to = self.dice.choice([r for r in self.c.names if r != gone and r not in self.away])
            try:
                self.c.connect(to, timeout=15).request("POST", "/v1/failover", {"to": to, "by": "test", "reason": "disks"})
                return to
            except Refused as refused:
                assert refused.code in RETRY, refused
                said[to] = refused.code
            except BROKEN as error:
                said[to] = type(error).__name__
            self.look()
            if gone is None and self.primary() is not None:
                return "nobody: one leads"
            time.sleep(0.1)
        return f"nobody: {said}"

    def replace(self, region):
        """The primary is gone or out of hearing, and another one is declared."""
        self.dice.choice((self.kill, self.suspend, self.cut))(region)
        time.sleep(self.dice.uniform(0, 1))
        return self.promote(region, self.dice.uniform(0.5, 6))

    # ---- what does ----

    def may_forget(self, region):
        last = self.forgot.get(region)
        return region not in self.away and (last is None or time.monotonic() - last > AGAIN_S)

    def forgets(self, region, was, *words, also=None):
        self.away[region] = ({was["node"], also}, time.monotonic(), words, log_of(self.node(region)).stat().st_size)
        self.forgot[region] = time.monotonic()

    def wipe(self, region, was):
        node, mark = self.node(region), self.dice.random() < 0.5
        self.end(region)
        shutil.rmtree(node["data_dir"])
        if mark:
            drop_marks(node)
        self.forgets(region, was, WAS, "rejoin.grace")
        self.start(region)
        return ", and its mark" if mark else ""

    def dir_back(self, region, was):
        self.end(region)
        self.images[region].put_back(self.node(region), False)
        self.forgets(region, was, "node.forgot", "rejoin.grace")
        self.start(region)

    def machine_back(self, region, was):
        self.end(region)
        image = self.images[region]
        image.put_back(self.node(region), True)
        says = "node.gone|set back|knows that node" if image.id != was["node"] else "set back|other data directory|another data directory|knows that node"
        offset = log_of(self.node(region)).stat().st_size
        self.forgets(region, was, says, "rejoin.grace", also=image.id)
        self.start(region)
        self.superseded[region] = offset
        return "" if image.id == was["node"] else f": it is node {image.id} again, which it has given up"

    def take_image(self, region):
        node, status = self.node(region), self.status(region)
        if status is None or not self.c.signal_node(node, signal.SIGSTOP):
            return
        try:
            self.images[region] = Image(node, self.c.dir / "images" / region, status)
        finally:
            self.c.signal_node(node, signal.SIGCONT)

    def swap(self, a, b):
        """Two directories, in half the cases with what the machines keep beside them."""
        first, second, with_marks = self.node(a), self.node(b), self.dice.random() < 0.5

        def exchange():
            aside = self.c.dir / "swapped"
            Path(first["data_dir"]).rename(aside)
            Path(second["data_dir"]).rename(first["data_dir"])
            aside.rename(second["data_dir"])
            if with_marks:
                ours, theirs = [[(m.name, m.read_bytes()) for m in marks(n)] for n in (first, second)]
                for n, files in ((first, theirs), (second, ours)):
                    drop_marks(n)
                    for name, content in files:
                        (Path(n["data_dir"]).parent / name).write_bytes(content)
        for region in (a, b):
            self.end(region)
        exchange()
        for region in (a, b):
            self.refuses(region, "NotThisNode", "belongs to ")
        exchange()
        for region in (a, b):
            self.start(region)
        return "with marks" if with_marks else ""

    def clone(self, region, was):
        """Of the two one acts, at most: either ends and says so, or the one that was copied hears that it was set back, and comes back."""
        node, home = self.node(region), self.c.dir / "copy"
        shutil.rmtree(home, ignore_errors=True)
        if not self.c.signal_node(node, signal.SIGSTOP):
            return "it does not run"
        try:
            shutil.copytree(Path(node["config"]).parent, home, ignore=shutil.ignore_patterns("*.log"))
        finally:
            self.c.signal_node(node, signal.SIGCONT)
        config = home / Path(node["config"]).name
        text = re.sub(r"(?m)^state_dir: .*$", f"state_dir: {home}/state", config.read_text())
        config.write_text(re.sub(r"(?m)^(  (?:https|link): '127\.0\.0\.1:)\d+'", r"\g<1>0'", text))
        offset = log_of(node).stat().st_size
        said = home / "copy.log"
        with open(said, "wb") as log, subprocess.Popen([self.regentd, "--config", str(config)], stdout=log, stderr=log, stdin=subprocess.DEVNULL) as copy:
            try:
                end = time.monotonic() + 30
                while time.monotonic() < end:
                    text = log_of(node).read_bytes()[offset:].decode(errors="replace")
                    if "RG_ESUPERSEDED" in text or "rejoin.begin" in text or copy.poll() is not None or b"rejoin.begin" in said.read_bytes():
                        break
                    time.sleep(0.1)
                else:
                    raise AssertionError(f"{region} runs twice, and neither says so:\n{text[-2000:]}\ncopy: {said.read_text()[-2000:]}")
            finally:
                copy.kill()
        if "RG_ESUPERSEDED" in text:
            until(lambda: not self.c.signal_node(node, 0), 20)
            self.refuses(region, "RG_ESUPERSEDED", "another process")
            self.c.run("node", "reset", "--config", node["config"])
            self.forgets(region, was, WAS, "rejoin.grace")
            self.start(region)
            return "what was copied ended"
        if "rejoin.begin" in text:
            self.away[region] = ({was["node"]}, time.monotonic(), (), offset)
            self.forgot[region] = time.monotonic()
            return "what was copied asks for a new id"
        assert copy.returncode == 78 or b"rejoin.begin" in said.read_bytes(), (copy.returncode, said.read_text()[-2000:])
        return "the copy ended"

    def damage(self):
        led = self.come_to_rest()
        if led is None:
            self.say("no rest: no disk is damaged")
            return
        replicas = [r for r in self.c.names if r != led and r not in self.away]
        able = [r for r in replicas + [led] if self.may_forget(r)]
        kinds = ["swap"]
        if len(self.away) < LEASE_REGIONS - (len(self.c.names) < 5) and able and time.monotonic() < self.damage_until:
            kinds += ["wipe", "wipe", "dir_back", "machine_back", "clone"]
        elif self.dice.random() < 0.7:
            return
        kind = self.dice.choice(kinds if len(kinds) == 1 else kinds[self.dice.random() < 0.85:])
        if kind == "swap":
            if len(replicas) < 2:
                return
            a, b = self.dice.sample(replicas, 2)
            self.note(kind, f"{a} and {b}", self.swap(a, b))
            return
        region = self.dice.choice([r for r in able if r != led] if kind == "clone" or self.dice.random() < 0.6 else able) if able != [led] else led
        was = self.status(region)
        if was is None:
            return
        image = self.images.get(region)
        old = image is not None and time.monotonic() - image.at > IMAGE_AGE_S
        if kind == "machine_back" and (not old or image.led or region == led or not image.restarted):
            kind = "dir_back"
        if kind == "dir_back" and not old or (kind == "clone" and region == led):
            kind = "wipe"
        self.note(kind, region, getattr(self, kind)(region, was))
        if region == led:
            self.say(f"promoted: {self.promote(led, 20)}")

    # ---- one after the other ----

    def note(self, kind, which, more_of_it=None):
        self.counts[kind] = self.counts.get(kind, 0) + 1
        self.say(f"{kind}: {which} {more_of_it or ''}")

    def ordinary(self):
        here = [r for r in self.c.names if r not in self.away]
        region, led = self.dice.choice(here), self.primary()
        kind = self.dice.choice(("kill", "suspend", "cut") * 3 + ("switchover", "replace"))
        if kind == "replace" and led is None or kind == "switchover" and (region == led or led is None):
            kind = "kill"
        if kind == "replace":
            region = led
        self.note(kind, region, getattr(self, kind)(region))

    def run(self, until_s, damage_share):
        for region in self.c.names:
            self.take_image(region)
        time.sleep(IMAGE_AGE_S)
        self.damage()
        while time.monotonic() < until_s:
            self.look()
            if self.dice.random() < 0.1:
                self.take_image(self.dice.choice(self.c.names))
            if self.dice.random() < damage_share:
                self.damage()
            elif len(self.undo) < 3:
                self.ordinary()
            if self.primary() is None and not self.undo and self.dice.random() < 0.5:
                self.say(f"promoted: {self.promote(None)}")
            pause = time.monotonic() + self.dice.uniform(0.2, 2.5)
            while time.monotonic() < pause:
                self.look()
                time.sleep(0.05)
        self.finish()

    def finish(self):
        self.say("everything heals")
        end = time.monotonic() + BACK_S
        while self.undo:
            self.look()
            time.sleep(0.05)
        self.c.link("heal", "all")
        for region in self.c.names:
            if not self.c.signal_node(self.node(region), 0):
                self.start(region)
        while self.away and time.monotonic() < end:
            self.look()
            if self.primary() is None:
                self.say(f"promoted: {self.promote(None)}")
            time.sleep(0.2)
        assert not self.away, f"not back: {self.away}, {[self.said(r) for r in self.away]}"
        while self.calm() is None and time.monotonic() < end:
            if self.primary() is None:
                self.say(f"promoted: {self.promote(None)}")
            time.sleep(0.2)

    def said(self, region):
        try:
            return self.c.connect(region, timeout=3).status()
        except BROKEN + (Refused,) as error:
            return repr(error)


def check_one_at_a_time(clients):
    """Nobody acknowledges, in an epoch, what was asked for after a later one had acknowledged something."""
    writes = [w for x in clients for w in x.acknowledged]
    first = {}
    for w in writes:
        first[w.revision[0]] = min(first.get(w.revision[0], w.answered), w.answered)
    for w in writes:
        later = [e for e, at in first.items() if e > w.revision[0] and at < w.began]
        assert not later, f"{w.key} was acknowledged at {w.revision} by {w.url}, asked for after epoch {later} had acknowledged something"
    return len(first)


def check_logs(c):
    for log in sorted(c.dir.glob("*/*.log")):
        text = log.read_text(errors="replace")
        bad = [l for l in text.splitlines() if re.search(r"assertion failed|AddressSanitizer|runtime error|birth\.makes", l)]
        assert len(bad) <= (1 if c.names[0] in str(log) else 0), f"{log}: {bad[:5]}"  # the first instance


def main():
    p = argparse.ArgumentParser()
    p.add_argument("regent")
    p.add_argument("sample")
    p.add_argument("--minutes", type=float, default=0)
    p.add_argument("--seconds", type=float, default=25)
    p.add_argument("--regions", type=int, default=4)
    p.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    o = p.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that every process is ended by whoever started it
    seconds = o.minutes * 60 or o.seconds
    print(f"seed {o.seed}", flush=True)
    dice = random.Random(o.seed)
    with Cluster(o.regent, regions=",".join(REGIONS[:o.regions]), options=("--rtt", "10")) as c:
        c.run("import", o.sample)
        c.wait_equal()
        c.run("lease", "set", "--regions", str(LEASE_REGIONS), "--seconds", "1")
        until(lambda: (lambda l: l.get("settled") and l.get("held"))(c.connect(c.primary).status()["lease"]))
        clients = start([Writer(c, i, home=c.names[i % len(c.names)], timeout=6, pause=0.02) for i in range(4)])
        more(clients)
        end = time.monotonic() + seconds
        chaos = Chaos(c, dice, clients, end - (GRACE_S if o.minutes else 0.7 * seconds))
        chaos.run(end, 0.25)
        primary = settled(c, 60)
        more(clients)
        stop(clients)
        c.wait_equal(60)
        count, epochs = check_kept(c, clients), check_one_at_a_time(clients)
        check_epochs(c, None)
        check_logs(c)
    print(f"{chaos.counts}; {count} acknowledged writes in {epochs} epochs, all in every region; {primary} leads", flush=True)


if __name__ == "__main__":
    main()
