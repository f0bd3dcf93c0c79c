#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that each test that docs/ANSWERS.md names in its last column exists.

Prints each that does not, then a line `answers: N tests named, N faults`; exit status 1 with any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = re.compile(r"^TEST\((\w+)\)|^\s+def (test_\w+)\(", re.MULTILINE)


def main():
    there = set()
    for path in (ROOT / "tests").rglob("*"):
        if path.suffix in (".c", ".py"):
            there.update(a or b for a, b in TEST.findall(path.read_text(encoding="utf-8")))
    rows = [line.split("|") for line in (ROOT / "docs/ANSWERS.md").read_text(encoding="utf-8").splitlines()
            if re.match(r"\| \d+ \|", line)]
    named = [(row[1].strip(), name) for row in rows for name in re.findall(r"`(\w+)`", row[5])]
    faults = [f"pain {pain}: no test is named {name}" for pain, name in named if name not in there]
    faults += [f"pain {row[1].strip()}: no test" for row in rows if "`" not in row[5]]
    print(*faults, f"answers: {len(named)} tests named, {len(faults)} faults", sep="\n")
    return 1 if faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
