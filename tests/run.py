#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Runs the tests that need real parts: tests/api/test_*.py and tests/e2e/test_*.py.

usage: tests/run.py [--naru build/naru] [--root DIR] [--soak] [--jobs N] [PATTERN]

Starts a private dockerd and one naru for tests/api; the tests of tests/e2e start servers of their own
on that dockerd. Everything lives under DIR (default: build/real) and ends with this program. PATTERN keeps
the tests whose id contains it. Ends with the ten that took longest and a line `N passed, N failed`.

With --jobs N, N programs like this one, each in a directory of its own, take the files of tests from one
list: tests wait more than they work. What a file printed is shown when it has ended."""
import argparse
import os
import pathlib
import queue
import re
import subprocess
import sys
import threading
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


def chosen_tests(folder, pattern, file="test_*.py"):
    found = unittest.TestLoader().discover(str(HERE / folder), pattern=file, top_level_dir=str(HERE / folder))
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


def run(suite, totals):
    if suite.countTestCases() == 0:
        return
    TimedResult.since = time.monotonic()
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=TimedResult).run(suite)
    bad = len(result.failures) + len(result.errors) + len(result.unexpectedSuccesses)
    totals["failed"] += bad
    totals["skipped"] += len(result.skipped)
    totals["passed"] += max(result.testsRun - bad - len(result.skipped), 0)


def run_here(args, totals):
    """The tests of `args.only` (a folder, or a folder and a file), or all."""
    folder, _, file = args.only.partition("/")
    with harness.Dockerd(is_lent=args.only != "") as docker:
        harness.DOCKER = docker
        if folder in ("api", ""):
            with harness.Naru("api") as naru:
                os.environ.update(naru.environment())  # before the tests are imported: they read it then
                run(chosen_tests("api", args.pattern), totals)
        if folder in ("e2e", ""):
            run(chosen_tests("e2e", args.pattern, file or "test_*.py"), totals)


class Crew:
    """--jobs: programs that run one part after another until none is left."""

    def __init__(self, args, totals):
        self.args, self.totals = args, totals
        self.parts = queue.SimpleQueue()
        self.lock = threading.Lock()
        files = sorted((HERE / "e2e").glob("test_*.py"), key=lambda f: -f.read_text().count("    def test_"))
        for part in ["api", *(f"e2e/{f.name}" for f in files)]:  # the long ones first
            self.parts.put(part)

    def run(self):
        workers = [threading.Thread(target=self.work, args=(f"job{i}",)) for i in range(self.args.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def work(self, name):
        try:
            with harness.Dockerd(f"{name}/docker"):
                while True:
                    self.run_part(self.parts.get_nowait(), name)
        except queue.Empty:
            pass
        except Exception as error:  # whatever it is: its part was not tested
            with self.lock:
                print(f"run.py: {name}: {error!r}")
                self.totals["failed"] += 1

    def run_part(self, part, name):
        done = subprocess.run(
            [sys.executable, __file__, "--naru", self.args.naru, "--root", str(pathlib.Path(self.args.root) / name),
             "--only", part, self.args.pattern],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        with self.lock:
            self.count(part, done)

    def count(self, part, done):
        print(done.stdout, end="", flush=True)
        TimedResult.seconds += [(float(seconds), name) for seconds, name
                                in re.findall(r"^ *([0-9.]+) s  (\S+)$", done.stdout, re.M)]
        last = re.search(r"^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$", done.stdout, re.M)
        if last is None or (done.returncode != 0) != (last[2] != "0"):
            print(f"run.py: {part} ended with {done.returncode}")
            self.totals["failed"] += 1
        if last is not None:
            for name, number in zip(("passed", "failed", "skipped"), last.groups("0")):
                self.totals[name] += int(number)


def main():
    parser = argparse.ArgumentParser(description="tests against real parts")
    parser.add_argument("pattern", nargs="?", default="")
    parser.add_argument("--naru", default=str(HERE.parent / "build" / "naru"))
    parser.add_argument("--root", default=str(HERE.parent / "build" / "real"))
    parser.add_argument("--soak", action="store_true", help="the long runs, with the issue's full figures")
    parser.add_argument("--jobs", type=int, default=1, help="how many programs share the files of tests")
    parser.add_argument("--only", default="", help="'api', 'e2e' or 'e2e/test_x.py', on a Docker Engine that goes on")
    args = parser.parse_args()
    harness.configure(args.naru, args.root, args.soak)
    totals = {"passed": 0, "failed": 0, "skipped": 0}
    try:
        if args.jobs > 1 and not args.soak:
            Crew(args, totals).run()
        else:
            run_here(args, totals)
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
