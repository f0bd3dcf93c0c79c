#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the tests that need real parts: tests/api/test_*.py and tests/e2e/test_*.py.

usage: tests/run.py [--naru build/naru] [--root DIR] [--soak] [PATTERN]

Starts a private dockerd and one naru for tests/api; the tests of tests/e2e start servers of their own
on that dockerd. Everything lives under DIR (default: build/real) and ends with this program. PATTERN keeps
the tests whose id contains it. Ends with the ten that took longest and a line `N passed, N failed`."""
import argparse
import os
import pathlib
import subprocess
import sys
import time
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE / "api"), str(HERE / "e2e")]

import harness  # noqa: E402


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def chosen_tests(folder, pattern):
    loader = unittest.TestLoader()
    found = loader.discover(str(HERE / folder), pattern="test_*.py", top_level_dir=str(HERE / folder))
    return unittest.TestSuite(t for t in flatten(found) if pattern in t.id())


class TimedResult(unittest.TextTestResult):
    """Also knows how long each test took; what a class prepares for its tests counts to the first."""
    seconds = []
    since = time.monotonic()

    def stopTest(self, test):
        now = time.monotonic()
        TimedResult.seconds.append((now - TimedResult.since, test.id()))
        TimedResult.since = now
        super().stopTest(test)


def run(folder, pattern, totals):
    suite = chosen_tests(folder, pattern)
    if suite.countTestCases() == 0:
        return
    TimedResult.since = time.monotonic()
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=TimedResult).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    totals["failed"] += bad
    totals["skipped"] += len(result.skipped)
    totals["passed"] += max(result.testsRun - bad - len(result.skipped), 0)


def main():
    parser = argparse.ArgumentParser(description="tests against real parts")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--naru", default=str(HERE.parent / "build" / "naru"))
    parser.add_argument("--root", default=str(HERE.parent / "build" / "real"))
    parser.add_argument("--soak", action="store_true", help="the long runs, with the issue's full figures")
    args = parser.parse_args()
    harness.configure(args.naru, args.root, args.soak)
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        with harness.Dockerd() as docker:
            harness.DOCKER = docker
            with harness.Naru("api") as naru:
                os.environ.update(naru.environment())  # before the tests are imported: they read it then
                run("api", args.pattern, totals)
            run("e2e", args.pattern, totals)
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        print(f"run.py: {error}", file=sys.stdout)
        totals["failed"] += 1
    for seconds, name in sorted(TimedResult.seconds, reverse=True)[:10]:
        print(f"{seconds:6.1f} s  {name}")
    skipped = f", {totals['skipped']} skipped" if totals["skipped"] else ""
    print(f"{totals['passed']} passed, {totals['failed']} failed{skipped}")
    return 1 if totals["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
