#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that each test that docs/ANSWERS.md and docs/CONFORMANCE.md name in the last column of a row exists.

A row of CONFORMANCE.md (push-3) has to be named by its tests as well, in the comment before them or inside. Prints each
fault, then a line `answers: N tests named, N faults`; exit status 1 with any."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TEST = re.compile(r"^TEST\((\w+)\)|^\s+def (test_\w+)\(", re.MULTILINE)
ROW = re.compile(r"\| (\d+|[a-z]+-\d+) \|")
LABEL = re.compile(r"\b(?:pull|push|list|delete|api|image|client)-\d+\b")


def tests_of(text):
    """(name, its text with the comment that ends right before it) of each test."""
    starts = list(TEST.finditer(text))
    for i, start in enumerate(starts):
        comment = re.search(r"/\*(?:(?!\*/).)*\*/\n\Z", text[:start.start()], re.DOTALL)
        end = starts[i + 1].start() if i + 1 < len(starts) else len(text)
        body = text[start.start():end]
        body = re.sub(r"/\*(?:(?!\*/).)*\*/\n\Z", "", body, flags=re.DOTALL)  # the next test's
        yield start.group(1) or start.group(2), (comment.group() if comment else "") + body


def tests_below(folder):
    there = {}
    for path in folder.rglob("*"):
        if path.suffix in (".c", ".py"):
            for name, text in tests_of(path.read_text(encoding="utf-8")):
                there[name] = there.get(name, set()) | set(LABEL.findall(text))
    return there


def rows_of(path):
    """(row's number, tests that it names) of each row."""
    for line in path.read_text(encoding="utf-8").splitlines():
        row = ROW.match(line)
        if row:
            yield row.group(1), re.findall(r"`(\w+)`", line.rstrip("| ").rsplit("|", 1)[1])


def faults_of(rows, there):
    for number, names in rows:
        if not names:
            yield f"row {number}: no test"
        for name in names:
            if name not in there:
                yield f"row {number}: no test is named {name}"
            elif not number.isdigit() and number not in there[name]:
                yield f"row {number}: {name} does not name it"
    numbers = {number for number, _ in rows}
    for name, labels in there.items():
        for label in labels - numbers:
            yield f"{name} names {label}, which has no row"


def main():
    there = tests_below(ROOT / "tests")
    rows = [row for name in ("ANSWERS.md", "CONFORMANCE.md") for row in rows_of(ROOT / "docs" / name)]
    faults = sorted(faults_of(rows, there))
    print(*faults, f"answers: {sum(len(names) for _, names in rows)} tests named, {len(faults)} faults", sep="\n")
    return 1 if faults or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
