#!/usr/bin/env python3
"""Search the models beside this file with spin: what must hold is searched whole, and every fault built in on purpose must be found.
failover.pml: how regions take over; directories.pml: what a node may do whose data directory is new, older or there twice.

usage: run.py [--long] [--trail] [NAME...]
  NAME     only the rows whose name contains one of NAMEs
  --long   the long rows too (minutes)
  --trail  print the steps to each counterexample

Exit: 0 all rows as expected, 1 not, 77 skipped (spin or gcc is missing).
"""
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
FAILOVER = os.path.join(HERE, "failover.pml")
DIRECTORIES = os.path.join(HERE, "directories.pml")
MEMORY_MB, LONG_MEMORY_MB = 980, 4000
SECONDS_MAX = 400
DEPTH = 100000

ONE_ACKER = "one acknowledger an epoch"
ONE_AT_A_TIME = "one acknowledger at a time"
NOTHING_LOST = "nothing acknowledged is lost"
REACHED = "reached"
ONE_LEADER = "one leader a term"
ASSERTIONS = {FAILOVER: {"acker[": ONE_ACKER, "started[": ONE_AT_A_TIME, "kept": NOTHING_LOST, "acked[": REACHED},
              DIRECTORIES: {"leader_of[": ONE_LEADER, "spent": REACHED, "started[": ONE_AT_A_TIME, "ok": NOTHING_LOST}}

LEASE1 = "-DLEASE -DK=1 "
LEASE2 = "-DLEASE -DK=2 "
DEATH = "-DK=1 "

# name, options, what is expected: nothing: all properties hold; else the properties of which one must be seen to fail
ROWS = [
    # What must hold.
    ("lease of 1 region, crashes", LEASE1 + "-DLENGTH=2 -DCRASH=0", ()),
    ("lease of 2 regions, crashes", LEASE2 + "-DLENGTH=1 -DCRASH=0", ()),
    ("lease of 2 regions, longer, renewed by itself", LEASE2 + "-DLENGTH=2 -DBEAT", ()),
    ("lease of 2 regions, messages take any time", LEASE2 + "-DLENGTH=1 -DCHANNELS -DRACE", ()),
    ("lease of 1, switchover, a crash", LEASE1 + "-DLENGTH=1 -DSWITCH -DCRASH=1", ()),
    ("lease of 2, switchover", LEASE2 + "-DLENGTH=1 -DSWITCH", ()),
    ("lease of 2 of 4, switchover beside promotion", LEASE2 + "-DN=4 -DLENGTH=1 -DSWITCH -DRACE", ()),
    ("lease of 1, a region is added", LEASE1 + "-DLENGTH=1 -DGROW", ()),
    ("a lease of 2 becomes one of 1", LEASE2 + "-DLENGTH=1 -DRACE -DKNEW=1", ()),
    ("a lease of 1 becomes one of 2", LEASE1 + "-DLENGTH=1 -DRACE -DKNEW=2", ()),
    ("no lease becomes one of 1", "-DLEASE -DK=3 -DLENGTH=1 -DRACE -DKNEW=1", ()),
    ("no lease, the primary dies, crashes", DEATH + "-DCRASH=0", ()),
    ("no lease, switchover, the primary dies, crashes", DEATH + "-DSWITCH -DCRASH=0", ()),
    # With --long alone.
    ("long: lease of 2 regions, longer, crashes", LEASE2 + "-DLENGTH=2 -DCRASH=0", ()),
    ("long: lease of 2 regions, 2 writes", LEASE2 + "-DLENGTH=1 -DW=2", ()),
    ("long: a lease of 2 becomes one of 1, two promotions", LEASE2 + "-DLENGTH=1 -DKNEW=1", ()),
    ("long: a lease of 1 becomes one of 2, two promotions", LEASE1 + "-DLENGTH=1 -DKNEW=2", ()),
    ("long: no lease becomes one of 1, two promotions", "-DLEASE -DK=3 -DLENGTH=1 -DKNEW=1", ()),
    ("long: no lease, messages take any time", DEATH + "-DCHANNELS -DCRASH=0", ()),
    ("long, bitstate: messages take any time", LEASE2 + "-DLENGTH=1 -DCHANNELS", ()),
    ("long, bitstate: switchover, crashes", LEASE2 + "-DLENGTH=1 -DSWITCH -DCRASH=2", ()),
    # What must be reachable, or the rows above would say little.
    ("reached: three primaries acknowledge, lease of 1", LEASE1 + "-DLENGTH=1 -DREACH", (REACHED,)),
    ("reached: two primaries acknowledge, lease of 2", LEASE2 + "-DLENGTH=1 -DREACH", (REACHED,)),
    ("reached: after a switchover", LEASE2 + "-DLENGTH=1 -DSWITCH -DREACH_SWITCH", (REACHED,)),
    ("reached: after a death", DEATH + "-DREACH", (REACHED,)),
    # Faults built in on purpose: each must be found.
    ("NO_PROMISE", LEASE2 + "-DNO_PROMISE", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("NO_WAIT", LEASE2 + "-DNO_WAIT", (ONE_AT_A_TIME,)),
    ("NO_QUORUM", LEASE2 + "-DNO_QUORUM", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("NO_QUORUM, no lease", DEATH + "-DNO_QUORUM", (NOTHING_LOST,)),
    ("SAME_EPOCH", LEASE1 + "-DSAME_EPOCH", (ONE_ACKER,)),
    ("SAME_EPOCH, no lease", DEATH + "-DSAME_EPOCH", (ONE_ACKER,)),
    ("FORGET_GRANT", LEASE2 + "-DCRASH=1 -DFORGET_GRANT", (ONE_AT_A_TIME,)),
    ("NO_HANDOVER_RECORD", LEASE2 + "-DLENGTH=1 -DCRASH=1 -DSWITCH -DNO_HANDOVER_RECORD", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("NO_SWITCH_PROMISE", LEASE2 + "-DN=4 -DLENGTH=1 -DSWITCH -DRACE -DNO_SWITCH_PROMISE", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("LATE_ANSWER", LEASE2 + "-DLATE_ANSWER", (NOTHING_LOST,)),
    ("ANY_LOG", LEASE2 + "-DANY_LOG", (NOTHING_LOST,)),
    ("COUNT_AT_ONCE", LEASE1 + "-DLENGTH=1 -DGROW -DCOUNT_AT_ONCE", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("SET_AT_ONCE", LEASE2 + "-DLENGTH=1 -DKNEW=1 -DSET_AT_ONCE", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("SET_AT_ONCE, switched on", "-DLEASE -DK=3 -DLENGTH=1 -DKNEW=1 -DSET_AT_ONCE", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("SET_LATE", LEASE1 + "-DLENGTH=1 -DKNEW=2 -DSET_LATE", (ONE_AT_A_TIME, NOTHING_LOST)),
    ("LEASE_FROM_ANSWER", LEASE2 + "-DLEASE_FROM_ANSWER", (ONE_AT_A_TIME,)),
    ("NO_LEASE_MARGIN", LEASE2 + "-DNO_LEASE_MARGIN", (ONE_AT_A_TIME,)),
    ("NO_GRANT_MARGIN", LEASE2 + "-DNO_GRANT_MARGIN", (ONE_AT_A_TIME,)),
    ("NO_WAIT_MARGIN", LEASE2 + "-DNO_WAIT_MARGIN", (ONE_AT_A_TIME,)),
]


# The same of directories.pml. One directory forgets, once, at any moment: ROLL an older image, CLONE one beside the original, WIPE.
VOTERS = "-DVOTERS "
FAULT = (ONE_AT_A_TIME, NOTHING_LOST, ONE_LEADER)
DIRECTORY_ROWS = [
    # What must hold.
    ("voters: an image is put back", VOTERS + "-DROLL -DRESTARTS=1", ()),
    ("voters: a copy beside the original", VOTERS + "-DCLONE -DRESTARTS=0", ()),
    ("voters: a disk is lost, and says so", VOTERS + "-DWIPE -DRESTARTS=2 -DBLANK_TELLS", ()),
    ("regions: an image is put back", "-DROLL -DRESTARTS=1", ()),
    ("regions: a copy beside the original", "-DCLONE -DRESTARTS=0", ()),
    ("regions: a disk is lost, and filled again", "-DWIPE -DRESTARTS=1 -DBLANK_TELLS", ()),
    ("voters: the mark is believed, a directory put back", VOTERS + "-DROLL -DRESTARTS=1 -DDISK -DDIRONLY", ()),
    ("regions: the mark is believed, a directory put back", "-DROLL -DRESTARTS=1 -DDISK -DDIRONLY", ()),
    ("long: voters, a copy beside the original, a restart", VOTERS + "-DCLONE -DRESTARTS=1", ()),
    ("long: regions, a copy beside the original, a restart", "-DCLONE -DRESTARTS=1", ()),
    ("long, bitstate: voters, an image, two restarts", VOTERS + "-DROLL -DRESTARTS=2", ()),
    ("long: regions, a disk is lost, two restarts", "-DWIPE -DRESTARTS=2", ()),
    ("long: four regions, an image is put back", "-DN=3 -DROLL -DRESTARTS=0", ()),
    ("long: four regions, a disk is lost", "-DN=3 -DWIPE -DRESTARTS=0", ()),
    # What must be reachable.
    ("reached: voters commit in two terms", VOTERS + "-DROLL -DRESTARTS=1 -DREACH", (REACHED,)),
    ("reached: regions acknowledge in two epochs", "-DROLL -DRESTARTS=1 -DREACH", (REACHED,)),
    # Faults built in on purpose.
    ("NO_STANDING, NO_BLANK: voters, a disk is lost", VOTERS + "-DWIPE -DRESTARTS=1 -DNO_STANDING -DNO_BLANK", FAULT),
    ("NO_STANDING, NO_BLANK: a disk is lost", "-DWIPE -DRESTARTS=1 -DNO_STANDING -DNO_BLANK", FAULT),
    ("NO_STANDING: an image", "-DROLL -DRESTARTS=1 -DNO_STANDING", FAULT),
    ("NO_STANDING: a copy", "-DCLONE -DRESTARTS=1 -DNO_STANDING", FAULT),
    ("the mark is believed, a whole machine put back", "-DROLL -DRESTARTS=1 -DDISK", FAULT),
    ("voters: the same", VOTERS + "-DROLL -DRESTARTS=1 -DDISK", FAULT),
    ("FORGIVEN: a second restart", "-DROLL -DRESTARTS=1 -DDISK -DDIRONLY -DFORGIVEN", FAULT),
    ("NO_KNOWERS", "-DROLL -DRESTARTS=1 -DNO_KNOWERS", FAULT),
    ("NO_KNOWERS: voters", VOTERS + "-DROLL -DRESTARTS=1 -DNO_KNOWERS", FAULT),
    ("NO_PRIMARY", "-DROLL -DRESTARTS=1 -DNO_PRIMARY", FAULT),
    ("NO_LEVEL", "-DROLL -DRESTARTS=1 -DNO_LEVEL", FAULT),
    ("NO_LEVEL: voters", VOTERS + "-DROLL -DRESTARTS=1 -DNO_LEVEL", FAULT),
    ("NO_WAIT60", "-DROLL -DRESTARTS=1 -DNO_WAIT60", FAULT),
    ("NO_START", "-DCLONE -DRESTARTS=1 -DNO_START", FAULT),
    ("START_VOLATILE", "-DCLONE -DRESTARTS=1 -DSTART_VOLATILE", FAULT),
    ("KEEP_BELIEF", "-DCLONE -DRESTARTS=1 -DKEEP_BELIEF", FAULT),
    ("AT_ONCE", "-DWIPE -DRESTARTS=1 -DAT_ONCE", FAULT),
    ("long: NO_VOID", "-DN=3 -DROLL -DRESTARTS=0 -DNO_VOID", FAULT),
    ("long: NO_MERGE", "-DN=3 -DCLONE -DRESTARTS=0 -DNO_MERGE", FAULT),
]


def run(argv, folder, seconds):
    return subprocess.run(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=False)


def must(argv, folder, seconds):
    done = run(argv, folder, seconds)
    if done.returncode != 0:
        raise RuntimeError(f"{argv[0]} failed: {done.stdout.strip()[-2000:]}")
    return done.stdout


def failed_property(model, line):
    for mark, name in ASSERTIONS[model].items():
        if mark in line:
            return name
    raise RuntimeError(f"an assertion without a name: {line}")


def search(model, options, bitstate, hurry, folder, memory_mb):
    """Build and run one row's search. (property that fails or None, states, depth, MB). bitstate: a state is remembered by bits of
    its hash, so that a few may be taken for seen; else all are kept. hurry: compile quickly, the search will be short."""
    must(["spin", "-a", *options.split(), model], folder, 60)
    kept = "-DBITSTATE" if bitstate else "-DCOLLAPSE"
    optimised = "-O0" if hurry else "-O2"
    must(["gcc", "-w", optimised, "-DSAFETY", "-DNOFAIR", kept, f"-DMEMLIM={memory_mb}", "-o", "pan", "pan.c"], folder, 120)
    out = run(["./pan", "-E", "-w32" if bitstate else "-w22", f"-m{DEPTH}"], folder, SECONDS_MAX).stdout
    violated = re.search(r"assertion violated (.*)", out)
    for line in ("max search depth too small", "MEMLIM", "memory limit", "out of memory", "aborting", "Search not completed"):
        if line in out and not violated:
            raise RuntimeError(f"the search is not whole: {line}")
    states = re.search(r"(\d+) states, stored", out)
    depth = re.search(r"depth reached (\d+), errors: (\d+)", out)
    memory = re.search(r"([\d.]+)\ttotal actual memory", out)
    if not (states and depth and memory):
        raise RuntimeError(f"the search ended without a result: {out.strip()[-2000:]}")
    if bool(violated) != (depth.group(2) != "0"):
        raise RuntimeError(f"an error that is no assertion: {out.strip()[-2000:]}")
    return failed_property(model, violated.group(1)) if violated else None, int(states.group(1)), int(depth.group(1)), float(memory.group(1))


def trail(folder, model, options):
    """The steps to the counterexample, the model's lines in order."""
    out = run(["spin", "-t", "-p", *options.split(), model], folder, 60).stdout
    return "\n".join(line.strip() for line in out.splitlines() if "proc" in line or "violated" in line)


def main(argv):
    show_trail, long = "--trail" in argv, "--long" in argv
    names = [arg for arg in argv if arg not in ("--trail", "--long")]
    missing = [tool for tool in ("spin", "gcc") if not shutil.which(tool)]
    if missing:
        print(f"skipped: {' and '.join(missing)} not installed: the model is not searched")
        return 77
    every = [(FAILOVER, *row) for row in ROWS] + [(DIRECTORIES, *row) for row in DIRECTORY_ROWS]
    rows = [row for row in every if not names or any(name in row[1] for name in names)]
    if not names and not long:
        rows = [row for row in rows if not row[1].startswith("long")]
    if not rows:
        print("no such row; there are: " + ", ".join(row[1] for row in every), file=sys.stderr)
        return 1
    bad = 0
    print(f"{'':5}{'what':<52}{'states':>10}{'depth':>7}{'MB':>6}{'s':>6}  result", flush=True)
    for model, name, options, expected in rows:
        folder = tempfile.mkdtemp(prefix="regent-spin-")
        began = time.monotonic()
        try:
            found, states, depth, memory = search(model, options, "bitstate" in name, bool(expected), folder,
                                                  LONG_MEMORY_MB if name.startswith("long") else MEMORY_MB)
            good = found in expected if expected else found is None
            numbers = f"{states:>10}{depth:>7}{memory:>6.0f}{time.monotonic() - began:>6.1f}"
            result = "holds" if found is None else f"found: {found}" if good else f"FAILS: {found}"
            if expected and found is None:
                result = "NOT FOUND: " + " or ".join(expected)
            print(f"{'ok' if good else 'BAD':<5}{name:<52}{numbers}  {result}", flush=True)
            if found and (show_trail or not good):
                print(trail(folder, model, options))
        except (RuntimeError, subprocess.TimeoutExpired, OSError) as error:
            good = False
            print(f"BAD  {name:<52} {error}", flush=True)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        bad += not good
    print(f"{len(rows) - bad} as expected, {bad} not")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
