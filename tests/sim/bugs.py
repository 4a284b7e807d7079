#!/usr/bin/env python3
"""The faults of base/bug/bug.h, one after the other, in the simulator: which check finds each, and after how many seeds.

Usage: bugs.py SIM [--seeds N] [--scenario NAME] [--only NAME,...] [--jobs N]
SIM is tests/sim/sim of a build with -Dbugs=true. Prints a table, a line for each as it ends; fails when one is not found within N seeds
(300) of the mix, or when the same seeds fail without any."""
import argparse
import concurrent.futures
import re
import subprocess
import sys

SECONDS_MAX = 1200


def run(sim, bug, seeds, scenario):
    """(runs it took or None, scenario and seed, what was said)."""
    command = [sim, "--seeds", f"1..{seeds}"] + (["--scenario", scenario] if scenario else []) + (["--bug", bug] if bug else [])
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS_MAX, errors="replace")
    except subprocess.TimeoutExpired:
        return None, "", f"not found within {SECONDS_MAX} s"
    m = re.search(r"^FAILED sim --scenario (\S+) --seeds (\d+)\.\.\d+: (.*)$", done.stdout, re.M)
    if m is None:
        lost = "" if done.returncode == 0 else f" (exit code {done.returncode})"
        return None, "", "not found" + lost
    said = m[3]
    if said == "an assertion":
        last = done.stderr.strip().splitlines()
        said = "assertion: " + (last[-1] if last else "?")
    return int(m[2]), m[1], said


def main():
    args = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    args.add_argument("sim")
    args.add_argument("--seeds", type=int, default=300)
    args.add_argument("--scenario")
    args.add_argument("--only")
    args.add_argument("--jobs", type=int, default=1)
    o = args.parse_args()
    rows = [line.split("\t") for line in subprocess.run([o.sim, "--bugs"], capture_output=True, text=True, check=True).stdout.splitlines()]
    if o.only:
        rows = [r for r in rows if r[0] in o.only.split(",")]
    missed = []
    if not o.only:
        found = run(o.sim, None, o.seeds, o.scenario)
        if found[2] != "not found":
            print(f"without any fault: {found}")
            missed.append("none")
    print("| planted fault | found by | seed |\n|---|---|---|", flush=True)
    with concurrent.futures.ThreadPoolExecutor(o.jobs) as pool:
        for (name, what), (seed, scenario, said) in zip(rows, pool.map(lambda r: run(o.sim, r[0], o.seeds, o.scenario), rows)):
            if seed is None:
                missed.append(name)
            print(f"| `{name}`: {what} | {said[:120]} | {f'`{scenario}` {seed}' if seed else '**not found**'} |", flush=True)
    print(f"{len(rows)} faults, {len(rows) - len(missed)} found" + (f"; not: {' '.join(missed)}" if missed else ""))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
