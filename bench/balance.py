# SPDX-License-Identifier: MIT
"""balance.py - naru's load balancer beside a hand-written HAProxy and nginx, in turn, on the same machine in the same run.

All lead to the same target (an nginx that answers at once) and get the same load from wrk (50 connections, two threads).
Machines have good and bad minutes, so nobody is measured alone: slices of two seconds go A B B A, A being the hand-written
one, and a slice is only compared with the one beside it.  Said are the median and the quartiles of those ratios: of requests
a second, and of processor time a request.  The latter is what the balancer's own processes used, in the kernel's ticks of ten
milliseconds; it tells less of what else the machine does.  The hand-written HAProxy knows one static
backend and does nothing to a request; the same "with the same duties" adds the four headers that targets expect of an ALB and
sends again what may be sent twice; nginx keeps its connections to the target.  naru: a listener with only its default
rule; one with 100 rules of which the last one takes the requests; a group with 1,000 targets, beside a hand-written HAProxy
that has them, too.
Then how soon a change by the API is in force: from the call to the first answer that shows it."""
import http.client
import os
import pathlib
import re
import statistics
import subprocess
import threading
import time
import typing

import harness

SLICE_S = 2
RULES = 100
MANY = 1000
CHANGES = 30
NEW_TARGETS = 20

TARGETS = """daemon off; pid {folder}/targets.pid; error_log {folder}/targets.log; worker_processes 1;
events {{ worker_connections 8192; }}
http {{ access_log off; keepalive_requests 100000000;
  server {{ {listens} location / {{ return 200 "$server_port\\n"; }} }} }}
"""

NGINX = """daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log; worker_processes 2;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 100000000;
  upstream one {{ server 127.0.0.1:{target}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port};
    location / {{ proxy_pass http://one; proxy_http_version 1.1; proxy_set_header Connection ""; }} }} }}
"""

HAPROXY = """global
    nbthread 2
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
{duties}{servers}
"""

# What an ALB does for every request, and what loses none when a target goes, as one would write it by hand.
DUTIES = """    option forwardfor
    http-request set-header X-Forwarded-Proto http
    http-request set-header X-Forwarded-Port {port}
    http-request set-header X-Amzn-Trace-Id Root=1-%[date,hex,bytes(8),lower]-%[uuid,regsub(-,,g),bytes(0,24)]
    http-request disable-l7-retry if !{{ method GET HEAD OPTIONS PUT DELETE }}
backend back
    retry-on conn-failure empty-response
"""


class Program:
    """Something that runs with a configuration file of its own, in a session of its own as naru's HAProxy does: the
    kernel shares the processors out by session."""

    def __init__(self, folder, name, text, *command):
        path = folder / f"{name}.conf"
        path.write_text(text)
        self.process = subprocess.Popen([part.format(path=path, folder=folder) for part in command],
                                        stderr=subprocess.DEVNULL, start_new_session=True)

    def pids(self):
        return family(self.process.pid)

    def end(self):
        self.process.terminate()
        self.process.wait()


def family(pid):
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid] + [p for child in children for p in family(int(child))]


def processor_s(pids):
    """In user and in system mode, of all threads, also of those that have ended: naru has one for each connection."""
    fields = [pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split() for pid in pids]
    return sum(int(of[11]) + int(of[12]) for of in fields) / os.sysconf("SC_CLK_TCK")


class Answer:
    """What wrk said of one run."""

    def __init__(self, text, used_s):
        count = int(re.search(r"(\d+) requests in", text).group(1))
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        if bad:
            raise AssertionError(f"{bad.group(1)} of {count} requests failed:\n{text}")
        self.rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
        self.p50_ms, self.p99_ms = (
            self.milliseconds(re.search(rf"^\s+{p}%\s+(\S+)$", text, re.MULTILINE).group(1)) for p in (50, 99))
        self.processor_us = used_s * 1e6 / count

    @staticmethod
    def milliseconds(text):
        number, unit = re.match(r"([\d.]+)(us|ms|s)", text).groups()
        return float(number) * {"us": 0.001, "ms": 1, "s": 1000}[unit]


def run(setup):
    url, pids = f"http://127.0.0.1:{setup.port}{setup.path}", setup.pids()
    before = processor_s(pids)
    done = subprocess.run(["wrk", "-t2", "-c50", f"-d{SLICE_S}s", "--latency", url], check=True, stdout=subprocess.PIPE, text=True)
    return Answer(done.stdout, processor_s(pids) - before)


class Setup(typing.NamedTuple):
    """One that is measured, and its share of the other's rate that is wanted."""
    name: str
    port: int
    path: str
    pids: typing.Callable[[], list]
    wanted: float = 0


class Pairs:
    """Slices of one beside those of another, A B B A."""

    def __init__(self, base, other):
        self.setups = (base, other)
        self.answers = ([], [])
        for setup in self.setups:
            run(setup)  # its connections, caches and counters are warm then

    def go_on(self):
        for i in (0, 1, 1, 0):
            self.answers[i].append(run(self.setups[i]))

    def ratios(self, field, inverse=False):
        """Quartiles of what neighbours have of each other."""
        pairs = [(getattr(b, field), getattr(a, field)) for a, b in zip(*self.answers)]
        return statistics.quantiles([a / b if inverse else b / a for b, a in pairs], n=4)

    def report(self):
        base, other = ({f: statistics.median(getattr(a, f) for a in answers) for f in ("rate", "p50_ms", "p99_ms", "processor_us")}
                       for answers in self.answers)
        wanted = f"; wanted: {self.setups[1].wanted:.0%}" if self.setups[1].wanted else ""
        print(f"balance    {self.setups[1].name + ':':25} {other['rate']:7,.0f} requests/s, {percents(self.ratios('rate'))} of "
              f"the {base['rate']:,.0f} of {self.setups[0].name}{wanted}\n"
              f"{'':37}p50 {other['p50_ms']:.2f} ms, p99 {other['p99_ms']:.2f} ms; the other's {base['p50_ms']:.2f} and "
              f"{base['p99_ms']:.2f}\n"
              f"{'':37}{other['processor_us']:.1f} us of processor a request; the other's {base['processor_us']:.1f} are "
              f"{percents(self.ratios('processor_us', inverse=True))} of that", flush=True)


def percents(quartiles):
    low, middle, high = quartiles
    return f"{middle:.0%} (quartiles {low:.0%}, {high:.0%})"


class Balancer:
    """Load balancers of naru's with what this bench asks of them."""

    def __init__(self, naru, target):
        self.naru, self.target = naru, target
        self.elb = naru.client("elbv2")
        self.made = 0

    def group(self, *targets):
        self.made += 1
        arn = self.elb.create_target_group(Name=f"group-{self.made}", Protocol="HTTP", Port=80, VpcId="vpc-1",
                                           TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
        for i in range(0, len(targets), 100):
            self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": a, "Port": p} for a, p in targets[i:i + 100]])
        return arn

    def listener(self, actions):
        """Its ARN and port."""
        self.made += 1
        port = harness.free_port()
        lb = self.elb.create_load_balancer(Name=f"lb-{self.made}", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        made = self.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=port,
                                        DefaultActions=actions)["Listeners"][0]
        return made["ListenerArn"], port

    def wait(self, port, path="/", want=b""):
        def answers():
            try:
                return want in get(port, path)
            except (OSError, http.client.HTTPException):
                return False

        harness.wait_until(f"an answer of {port}{path}", answers, interval=0.01)

    def healthy(self, arn, count):
        def all_are():
            health = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
            return sum(h["TargetHealth"]["State"] == "healthy" for h in health) == count

        harness.wait_until(f"{count} healthy targets", all_are, timeout=120)

    def pids(self):
        return family(int((self.naru.dir / "data/haproxy/haproxy.pid").read_text().split()[0]))

    def default_rule(self):
        _, port = self.listener(forward(self.group(("127.0.0.1", self.target))))
        self.wait(port)
        return port

    def hundred_rules(self):
        group = self.group(("127.0.0.1", self.target))
        listener, port = self.listener(forward(self.group()))
        for i in range(RULES):
            self.elb.create_rule(ListenerArn=listener, Priority=i + 1, Actions=forward(group), Conditions=[
                {"Field": "host-header", "Values": [f"h{i}.example.com", "127.0.0.?"]},
                {"Field": "path-pattern", "Values": [f"/part-{i}/*"]}])
        self.wait(port, f"/part-{RULES - 1}/x")
        return port

    def thousand_targets(self):
        group = self.group(*many_targets(self.target))
        _, port = self.listener(forward(group))
        self.healthy(group, MANY)
        self.wait(port)
        return port


def many_targets(port):
    return [(f"127.1.{i // 200}.{i % 200 + 1}", port) for i in range(MANY)]


def hand_written(folder, name, port, targets, duties="backend back\n"):
    servers = "\n".join(f"    server s{i} {address}:{target}" for i, (address, target) in enumerate(targets))
    text = HAPROXY.format(port=port, servers=servers, duties=duties.format(port=port))
    return Program(folder, name, text, "haproxy", "-db", "-f", "{path}")


def forward(*groups):
    if len(groups) == 1:
        return [{"Type": "forward", "TargetGroupArn": groups[0]}]
    return [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
        {"TargetGroupArn": g, "Weight": w} for g, w in groups]}}]


def get(port, path="/"):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
        return body if answer.status == 200 else b""
    finally:
        connection.close()


def until(port, want, change):
    """Milliseconds from the call of `change` until an answer holds `want`."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    begin = time.monotonic()
    caller = threading.Thread(target=change)
    caller.start()
    while True:
        connection.request("GET", "/")
        if want in connection.getresponse().read():
            taken = time.monotonic() - begin
            caller.join()
            connection.close()
            return taken * 1000
        if time.monotonic() - begin > 20:
            raise AssertionError(f"no answer of {want} within 20 s")


def measure_changes(balancer, first, second):
    one, two = balancer.group(("127.0.0.1", first)), balancer.group(("127.0.0.1", second))
    listener, port = balancer.listener(forward((one, 100), (two, 0)))
    balancer.wait(port, want=str(first).encode())
    balancer.healthy(two, 1)
    times = []
    for i in range(CHANGES):
        weights = [(one, 0), (two, 100)] if i % 2 == 0 else [(one, 100), (two, 0)]
        want = str(second if i % 2 == 0 else first).encode()
        times.append(until(port, want, lambda w=weights: balancer.elb.modify_listener(
            ListenerArn=listener, DefaultActions=forward(*w))))
    print(f"change     weights of a listener in force after {statistics.median(times):.1f} ms, the slowest after {max(times):.1f} ms "
          f"(median of {CHANGES}, the client's own time included; wanted: under 20)")


def measure_targets(balancer, first, second):
    group = balancer.group(("127.0.0.1", first))
    _, port = balancer.listener(forward(group))
    balancer.wait(port, want=str(first).encode())
    target = [{"Id": "127.0.0.1", "Port": second}]
    times = []
    for _ in range(NEW_TARGETS):
        times.append(until(port, str(second).encode(), lambda: balancer.elb.register_targets(TargetGroupArn=group, Targets=target)))
        balancer.elb.deregister_targets(TargetGroupArn=group, Targets=target)
        harness.wait_until("the target to be gone", lambda: len(balancer.elb.describe_target_health(
            TargetGroupArn=group)["TargetHealthDescriptions"]) == 1, interval=0.01)
    print(f"new target serves its first request {statistics.median(times):.1f} ms after RegisterTargets, the slowest after "
          f"{max(times):.1f} ms (median of {NEW_TARGETS}; wanted: under 300)")


def measure_load(balancer, folder, target, rounds):
    ports = {name: harness.free_port() for name in ("haproxy", "dutiful", "many", "nginx")}
    programs = {
        "haproxy": hand_written(folder, "haproxy", ports["haproxy"], [("127.0.0.1", target)]),
        "dutiful": hand_written(folder, "dutiful", ports["dutiful"], [("127.0.0.1", target)], DUTIES),
        "many": hand_written(folder, "many", ports["many"], many_targets(target)),
        "nginx": Program(folder, "nginx", NGINX.format(port=ports["nginx"], target=target, folder=folder),
                         "nginx", "-c", "{path}", "-p", "{folder}")}
    try:
        hand = Setup("a hand-written HAProxy", ports["haproxy"], "/", programs["haproxy"].pids)
        many = Setup(f"one with {MANY:,} targets", ports["many"], "/", programs["many"].pids)
        others = [(hand, Setup("the same with duties", ports["dutiful"], "/", programs["dutiful"].pids)),
                  (hand, Setup("nginx", ports["nginx"], "/", programs["nginx"].pids)),
                  (hand, Setup("naru, default rule", balancer.default_rule(), "/", balancer.pids, 0.9)),
                  (hand, Setup(f"naru, {RULES} rules", balancer.hundred_rules(), f"/part-{RULES - 1}/x", balancer.pids, 0.7)),
                  (hand, many),
                  (many, Setup(f"naru, {MANY:,} targets", balancer.thousand_targets(), "/", balancer.pids))]
        for port in ports.values():
            balancer.wait(port)
        pairs = [Pairs(*both) for both in others]
        for _ in range(rounds):
            for p in pairs:
                p.go_on()
    finally:
        for program in programs.values():
            program.end()
    for p in pairs:
        p.report()
    print(f"           ({2 * rounds} slices of {SLICE_S} s each)")


def measure(rounds):
    folder = harness.ROOT / "balance"
    folder.mkdir(parents=True, exist_ok=True)
    first, second = harness.free_port(), harness.free_port()
    listens = f"listen 0.0.0.0:{first} backlog=4096; listen 0.0.0.0:{second} backlog=4096;"
    targets = Program(folder, "targets", TARGETS.format(folder=folder, listens=listens), "nginx", "-c", "{path}", "-p", "{folder}")
    try:
        with harness.Naru("bench-balance") as naru:
            balancer = Balancer(naru, first)
            measure_changes(balancer, first, second)
            measure_targets(balancer, first, second)
            measure_load(balancer, folder, first, rounds)
    finally:
        targets.end()
