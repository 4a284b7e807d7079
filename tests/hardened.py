#!/usr/bin/env python3
"""What the linker made of the hardening flags. Usage: hardened.py PROGRAM...

Fails, with the program and what it lacks, unless each is position independent, has its relocations read-only before main (full RELRO),
no executable stack and calls that FORTIFY checks."""
import subprocess
import sys

WANTED = (
    ("position independent code", "-h", lambda text: " DYN " in text),
    ("RELRO", "-l", lambda text: "GNU_RELRO" in text),
    ("binding before main", "-d", lambda text: "BIND_NOW" in text or "Flags: NOW" in text),
    ("a stack that is not executable", "-l", lambda text: any("GNU_STACK" in l and "RWE" not in l for l in text.splitlines())),
    ("calls checked by FORTIFY", "--dyn-syms", lambda text: "_chk@" in text),
)


def main():
    faults = []
    for program in sys.argv[1:]:
        for what, option, holds in WANTED:
            text = subprocess.run(["readelf", "-W", option, program], capture_output=True, text=True, check=True).stdout
            if not holds(text):
                faults.append(f"{program}: lacks {what}")
    print("\n".join(faults) or f"{len(sys.argv) - 1} programs are hardened")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
