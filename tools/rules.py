#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks that each rule and each trap of tests/unit/rules.txt has a test.

A rule has one by a row of test_rules.c that begins with its code, a trap by TEST(trap_<number>_...) in test_traps.c. Rows and
tests of rules and traps that the list does not have are faults, too. Prints each fault, then a line
`rules: N rules, M traps, F faults`; exit status 1 with any."""
import pathlib
import re
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent / "tests/unit"
# ours, beside those of the reference: of a part that is right by itself, of words, and of no file at all
OWN = {"E-SYNTAX", "E-TOKEN", "E-EMPTY", "E-ARG"}


def read_list():
    rules, excused, traps = set(), set(), set()
    for line in (TESTS / "rules.txt").read_text(encoding="utf-8").splitlines():
        name, _, reason = line.partition(":")
        if line.startswith("#"):
            continue
        if match := re.fullmatch(r"traps (\d+)-(\d+)", name):
            traps.update(range(int(match[1]), int(match[2]) + 1))
        else:
            (excused if reason else rules).add(name)
    return rules, excused, traps


def main():
    rules, excused, traps = read_list()
    tested = set(re.findall(r'^    \{"(E-[A-Z-]+)"', (TESTS / "test_rules.c").read_text(encoding="utf-8"), re.MULTILINE))
    tried = [int(n) for n in re.findall(r"^TEST\(trap_(\d+)_", (TESTS / "test_traps.c").read_text(encoding="utf-8"), re.MULTILINE)]
    faults = [f"the rule {code} has no row in test_rules.c" for code in sorted(rules - tested)]
    faults += [f"the rule {code} is tested and excused" for code in sorted(excused & tested)]
    faults += [f"the rule {code} of test_rules.c is not in rules.txt" for code in sorted(tested - rules - excused - OWN - OF_ENTRIES)]
    faults += [f"the trap {n} has no test in test_traps.c" for n in sorted(traps - set(tried))]
    faults += [f"the trap {n} has {tried.count(n)} tests, or is not in rules.txt" for n in sorted(set(tried))
               if n not in traps or tried.count(n) > 1]
    print(*faults, f"rules: {len(rules)} rules, {len(traps)} traps, {len(faults)} faults", sep="\n")
    return 1 if faults or not rules or not traps else 0


# `options`, `parameters` and `triggers` check their arguments as steps do, by codes of their own
OF_ENTRIES = {f"E-{kind}-{what}" for kind in ("OPTION", "PARAMETER", "TRIGGER") for what in ("PARAM", "MISSING-PARAM")}

if __name__ == "__main__":
    sys.exit(main())
