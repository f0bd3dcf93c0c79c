# SPDX-License-Identifier: MIT
"""roll.py - a service of 50 tasks rolled at 200 %, beside the floor of the same machine in the same run.

The floor is the least that Docker has to do for it: a plain parallel loop that creates and starts 50 containers and
then stops 50, with the very options that naru gave its own (they are read back from one of them), once for each
degree of parallelism, and again in each round for what was best so far; the best of all counts.  Both happen beside the
service of 50 tasks under its load.
What is removed, and when, is not part of a roll: naru removes containers while it stops others, the loop after it."""
import concurrent.futures
import statistics
import threading
import time

import harness
from docker_api import Engine

TASKS = 50
PARALLEL = (4, 8, 16)
NOBODY = "0" * 16  # whose containers the floor's are


class Floor:
    """50 containers as naru makes them, started and stopped by nobody but this loop."""

    def __init__(self, like):
        self.spec = self.spec_of(like)
        self.local = threading.local()
        self.running = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        made = Engine(harness.DOCKER.socket).call("GET", "/containers/json?all=1")
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(self.remove, (c["Id"] for c in made if c["Labels"].get("naru.installation") == NOBODY)))

    @staticmethod
    def spec_of(container):
        """The body of the create call that made `container`, for an installation that nobody listens to."""
        made = Engine(harness.DOCKER.socket).call("GET", f"/containers/{container}/json")
        config, host = made["Config"], made["HostConfig"]
        labels = dict(config["Labels"], **{"naru.installation": NOBODY})
        kept = {key: config[key] for key in ("Image", "Env", "ExposedPorts", "Healthcheck", "StopSignal") if config.get(key)}
        return dict(kept, Labels=labels, HostConfig={key: value for key, value in host.items() if value})

    def engine(self):
        if not hasattr(self.local, "engine"):
            self.local.engine = Engine(harness.DOCKER.socket)
        return self.local.engine

    def start(self, _):
        made = self.engine().call("POST", "/containers/create", self.spec)["Id"]
        self.engine().call("POST", f"/containers/{made}/start")
        return made

    def stop(self, container):
        self.engine().call("POST", f"/containers/{container}/stop?t=30")

    def remove(self, container):
        self.engine().call("DELETE", f"/containers/{container}?force=1&v=1")

    def roll(self, parallel):
        """Seconds of one round: as many started as there are, then the old ones stopped; then, with them removed."""
        with concurrent.futures.ThreadPoolExecutor(parallel) as pool:
            begin = time.monotonic()
            new = list(pool.map(self.start, range(TASKS)))
            list(pool.map(self.stop, self.running))
            stopped = time.monotonic() - begin
            list(pool.map(self.remove, self.running))
            removed = time.monotonic() - begin
        self.running = new
        return stopped, removed


def naru_roll(web):
    """Seconds until all new tasks serve and the old ones are stopped; and until nothing of those is left."""
    docker = Engine(harness.DOCKER.socket)
    old = {c["runtimeId"] for t in web.tasks() for c in t["containers"]}
    begin = time.monotonic()
    deployment = web.update(forceNewDeployment=True)["deployments"][0]["id"]

    def is_complete():
        service = web.describe()
        primary = service["deployments"][0]
        return (primary["id"] == deployment and len(service["deployments"]) == 1 and
                primary["rolloutState"] == "COMPLETED" and primary["runningCount"] == TASKS)

    def is_gone():
        return not old & {c["Id"] for c in docker.call("GET", "/containers/json?all=1")}

    # Looking takes processor time from what is measured: not too often.
    harness.wait_until("the roll to complete", is_complete, 180, interval=0.1)
    stopped = time.monotonic() - begin
    harness.wait_until("the old containers to go", is_gone, 180, interval=0.1)
    return stopped, time.monotonic() - begin


def measure(rounds):
    with harness.Naru("bench-fifty") as naru:
        web = harness.WebService(naru, count=TASKS)
        web.create(harness.build_web(naru, "v1"))
        web.wait_stable(180)
        like = harness.DOCKER.containers("label=naru.service=web")[0]
        with Floor(like) as floor, harness.Load(naru, connections=4, extra=("--rate", "200")) as load:
            ours, theirs = measure_rounds(web, floor, rounds)
            result = load.stop()
    report(ours, theirs, rounds, result)


def rate(times, index):
    return TASKS / statistics.median(t[index] for t in times)


def best_of(theirs, index):
    return max(theirs, key=lambda parallel: rate(theirs[parallel], index))


def measure_rounds(web, floor, rounds):
    ours, theirs, degrees = [], {parallel: [] for parallel in PARALLEL}, PARALLEL
    floor.roll(PARALLEL[0])  # what its rounds then stop
    for _ in range(rounds):  # alternated, so that all meet the same weather
        ours.append(naru_roll(web))
        for parallel in degrees:
            theirs[parallel].append(floor.roll(parallel))
        degrees = sorted({best_of(theirs, index) for index in (0, 1)})
    return ours, theirs


def report(ours, theirs, rounds, load):
    for index, what in enumerate(("new tasks serve, old ones stopped", "and their containers removed")):
        best = best_of(theirs, index)
        naru, floor = rate(ours, index), rate(theirs[best], index)
        print(f"roll       {TASKS} tasks at 200 %, {what}: {naru:.1f} tasks a second; the floor, {best} at once: {floor:.1f}; "
              f"{100 * naru / floor:.0f} % of it (medians of {rounds} and {len(theirs[best])}; wanted: at least 80 %)")
    print(f"           {load['failed']} of {load['requests']} requests failed meanwhile (wanted: none)")
