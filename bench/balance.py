# SPDX-License-Identifier: MIT
"""balance.py - naru's load balancer beside a hand-written HAProxy and nginx, in turn, on the same machine in the same run.

All lead to the same target (an nginx that answers at once) and get the same load from wrk (50 connections, two threads).
Processor time is what the balancer's own processes used for each request.  The hand-written HAProxy knows one static
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

import harness

SECONDS = 3
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
    ticks = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


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


def run(port, path, pids):
    url = f"http://127.0.0.1:{port}{path}"
    subprocess.run(["wrk", "-t1", "-c10", "-d1s", url], check=True, stdout=subprocess.DEVNULL)
    before = processor_s(pids)
    done = subprocess.run(["wrk", "-t2", "-c50", f"-d{SECONDS}s", "--latency", url], check=True, stdout=subprocess.PIPE, text=True)
    return Answer(done.stdout, processor_s(pids) - before)


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
        setups = [("hand-written HAProxy", ports["haproxy"], "/", programs["haproxy"].pids),
                  ("the same with duties", ports["dutiful"], "/", programs["dutiful"].pids),
                  ("nginx", ports["nginx"], "/", programs["nginx"].pids),
                  ("naru, default rule", balancer.default_rule(), "/", balancer.pids),
                  (f"naru, {RULES} rules", balancer.hundred_rules(), f"/part-{RULES - 1}/x", balancer.pids),
                  (f"HAProxy, {MANY:,} targets", ports["many"], "/", programs["many"].pids),
                  (f"naru, {MANY:,} targets", balancer.thousand_targets(), "/", balancer.pids)]
        for port in ports.values():
            balancer.wait(port)
        answers = {name: [] for name, *_ in setups}
        for _ in range(rounds):  # in turn, so that all meet the same weather
            for name, port, path, pids in setups:
                answers[name].append(run(port, path, pids()))
    finally:
        for program in programs.values():
            program.end()
    report(answers, rounds)


def report(answers, rounds):
    median = {name: {field: statistics.median(getattr(a, field) for a in runs)
                     for field in ("rate", "p50_ms", "p99_ms", "processor_us")} for name, runs in answers.items()}
    floor = median["hand-written HAProxy"]
    for name, m in median.items():
        print(f"balance    {name + ':':22} {m['rate']:7,.0f} requests/s ({m['rate'] / floor['rate']:4.0%}), p50 {m['p50_ms']:.2f} ms, "
              f"p99 {m['p99_ms']:.2f} ms, {m['processor_us']:.1f} us of processor a request")
    print(f"           (medians of {rounds}, {SECONDS} s each; wanted of the first one's rate: 90 % with a default rule, 70 % with {RULES})")


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
