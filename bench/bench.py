#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Measures naru beside a bare script on the same machine in the same run, and prints medians and ratios.

usage: bench/bench.py [--naru build/naru] [--root build/bench] [--rounds 5] [--rolls 3] [--balances 4]
                      [--registries 3] [--only PART]

1. naru itself: start to first answer, resident memory at rest, size of the stripped binary.
2. A rolling update of four tasks whose image is there: naru's `forceNewDeployment` until the new tasks take all
   traffic, and until COMPLETED; against a script that does the least with Docker's API alone: start four
      containers, wait until each answers, stop the four old ones.
3. The same at size: fifty tasks under load, beside a plain parallel loop with Docker's API (roll.py).
4. The load balancer beside a hand-written HAProxy and nginx, and how soon its changes are in force (balance.py).
5. The image registry beside Debian's docker-registry and nginx (registry.py).
6. The control plane (control-bench) and the core (core-bench): signed calls and durable changes a second, the opening
   of a large store, what a decision costs, each beside what the parts alone do. Run first, while the machine is quiet."""
import argparse
import concurrent.futures
import pathlib
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import balance  # noqa: E402
import harness  # noqa: E402
import registry  # noqa: E402
import roll  # noqa: E402
from docker_api import Engine  # noqa: E402

TASKS = 4


def bare_start(image):
    engine = Engine(harness.DOCKER.socket)
    made = engine.call("POST", "/containers/create", {
        "Image": image, "ExposedPorts": {"8080/tcp": {}},
        "HostConfig": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": ""}]}}})["Id"]
    engine.call("POST", f"/containers/{made}/start")
    port = int(engine.call("GET", f"/containers/{made}/json")["NetworkSettings"]["Ports"]["8080/tcp"][0]["HostPort"])
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).read()
            return made
        except OSError:
            time.sleep(0.005)


def bare_stop(container):
    Engine(harness.DOCKER.socket).call("POST", f"/containers/{container}/stop?t=10")


def bare_update(image, old):
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(TASKS) as pool:
        new = list(pool.map(bare_start, [image] * TASKS))
        live = time.monotonic() - begin
        list(pool.map(bare_stop, old))
    done = time.monotonic() - begin
    for container in old:
        Engine(harness.DOCKER.socket).call("DELETE", f"/containers/{container}?force=1&v=1")
    return new, live, done


def naru_update(web):
    old = {t["taskArn"] for t in web.tasks()}
    begin = time.monotonic()
    web.update(forceNewDeployment=True)
    live = None
    while True:
        if live is None and takes_all_traffic(web, old):
            live = time.monotonic() - begin
        service = web.describe()
        if len(service["deployments"]) == 1 and service["deployments"][0]["rolloutState"] == "COMPLETED":
            done = time.monotonic() - begin
            return live or done, done  # both happened between two looks
        time.sleep(0.01)


def takes_all_traffic(web, old):
    tasks = web.tasks()
    new_ports = {b["hostPort"] for t in tasks if t["taskArn"] not in old for c in t["containers"]
                 for b in c.get("networkBindings", [])}
    health = web.elb.describe_target_health(TargetGroupArn=web.group)["TargetHealthDescriptions"]
    serving = {h["Target"]["Port"] for h in health if h["TargetHealth"]["State"] == "healthy"}
    return len(serving) == TASKS and serving <= new_ports


def measure_itself(rounds):
    first, again = [], []
    for i in range(rounds):
        naru = harness.Naru("bench-self")
        for times in (first, again):
            begin = time.monotonic()
            naru.start()
            times.append(time.monotonic() - begin)
            if i == rounds - 1:
                time.sleep(2)
                status = pathlib.Path(f"/proc/{naru.process.pid}/status").read_text()
                rss = int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1])
            naru.stop()
        naru.purge()
    stripped = harness.ROOT / "naru.stripped"
    subprocess.run(["strip", "-o", str(stripped), str(harness.BINARY)], check=True)
    print(f"start      first answer after {statistics.median(again) * 1000:.0f} ms, the very first time, when keys and files are "
          f"made, {statistics.median(first) * 1000:.0f} ms (medians of {rounds}; wanted: under 100)")
    print(f"memory     {rss / 1024:.1f} MB resident at rest (wanted: under 20)")
    print(f"binary     {stripped.stat().st_size / 1e6:.2f} MB stripped (wanted: under 5)")


def measure_updates(rounds):
    with harness.Naru("bench-roll") as naru:
        web = harness.WebService(naru, count=TASKS)
        image = harness.build_web(naru, "v1")
        web.create(image)
        web.wait_stable()
        with concurrent.futures.ThreadPoolExecutor(TASKS) as pool:
            bare = list(pool.map(bare_start, [image] * TASKS))
        ours, theirs = [], []
        for _ in range(rounds):  # alternated, so that both meet the same weather
            ours.append(naru_update(web))
            bare, live, done = bare_update(image, bare)
            theirs.append((live, done))
        for container in bare:
            harness.DOCKER.run("rm", "-f", container)
    for index, name in enumerate(("new tasks take all traffic", "completed, old ones stopped")):
        a, b = statistics.median(x[index] for x in ours), statistics.median(x[index] for x in theirs)
        print(f"update     {name}: naru {a:.2f} s, bare script {b:.2f} s, ratio {a / b:.2f} (median of {rounds})")


def measure_programs():
    for arguments in (["control-bench", "--naru", harness.BINARY], ["core-bench"]):
        subprocess.run([harness.BINARY.parent / arguments[0], *arguments[1:]], check=True)


def main():
    parser = argparse.ArgumentParser(description="benchmarks")
    parser.add_argument("--naru", default=str(HERE.parent / "build" / "naru"))
    parser.add_argument("--root", default=str(HERE.parent / "build" / "bench-data"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--rolls", type=int, default=3, help="rounds of fifty tasks")
    parser.add_argument("--balances", type=int, default=4, help="rounds of each load balancer")
    parser.add_argument("--registries", type=int, default=3, help="rounds of the image registry")
    parser.add_argument("--only", choices=["programs", "itself", "updates", "rolls", "balance", "registry", "pipeline"], help="that part alone")
    args = parser.parse_args()
    harness.configure(args.naru, args.root, False)
    parts = {"itself": lambda: measure_itself(args.rounds), "updates": lambda: measure_updates(args.rounds),
             "rolls": lambda: roll.measure(args.rolls), "balance": lambda: balance.measure(args.balances)}
    if args.only in (None, "programs"):
        measure_programs()
    if args.only in (None, "pipeline"):
        subprocess.run([harness.BINARY.parent / "pipeline-bench"], check=True)
        subprocess.run([harness.BINARY.parent / "parse-bench"], check=True)
    if args.only in (None, "registry"):
        registry.measure(args.registries)
    if args.only not in ("programs", "registry", "pipeline"):
        with harness.Dockerd() as docker:
            harness.DOCKER = docker
            for name, part in parts.items():
                if args.only in (None, name):
                    part()
    shutil.rmtree(args.root, ignore_errors=True)


if __name__ == "__main__":
    main()
