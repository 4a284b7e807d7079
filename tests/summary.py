#!/usr/bin/env python3
"""Close a test run with one line, `N passed, N failed, N skipped`, from meson's testlog.json."""
import json
import sys

counts = {"passed": 0, "failed": 0, "skipped": 0}
failed = []
try:
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            test = json.loads(line)
            result = test["result"]
            kind = {"OK": "passed", "EXPECTEDFAIL": "passed", "SKIP": "skipped"}.get(result, "failed")
            counts[kind] += 1
            if kind == "failed":
                failed.append(f"{test['name']} ({result})")
            if kind == "skipped":
                why = [l for l in (test.get("stdout") or "").splitlines() if "skip" in l.lower()]
                print(f"skipped: {test['name']}: {why[0] if why else 'see its log'}")
except (OSError, ValueError, KeyError) as error:
    print(f"summary: {sys.argv[1]} cannot be read: {error}")
    counts["failed"] += 1
for name in failed:
    print("failed:", name)
print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped")
sys.exit(1 if counts["failed"] or not counts["passed"] else 0)
