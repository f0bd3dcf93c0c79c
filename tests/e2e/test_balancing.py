# SPDX-License-Identifier: MIT
"""Every kind of client in front of everything that changes: targets come and go, weights move, rules and certificates change, listeners
make HAProxy reload, and naru is killed. Not one request may fail. Targets are processes here, registered by hand as any user
of the API would: a target is told to end only when DescribeTargetHealth no longer knows it."""
import contextlib
import http.client
import signal
import socket
import ssl
import subprocess
import threading
import time
import unittest

import botocore.exceptions

import harness
from certificates import Certificates
from harness import Load, Naru, wait_until

HOST = "127.0.0.1"
HELLO = ("GET /echo HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n").encode()


def build_program():
    binary, source = harness.ROOT / "web-target", harness.TOP / "tests/e2e/web.c"
    subprocess.run(["gcc", "-static", "-O2", "-pthread", "-o", str(binary), str(source)], check=True)
    return binary


class Target:
    def __init__(self, program):
        self.port = harness.free_port()
        self.process = subprocess.Popen([str(program)], env={"PORT": str(self.port), "WEB_VERSION": str(self.port)},
                                        stdout=subprocess.DEVNULL)

    @property
    def name(self):
        return {"Id": HOST, "Port": self.port}

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


class Client(threading.Thread):
    """Sends one kind of request after another until it is told to stop; what goes wrong is kept."""

    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.count, self.failures, self.is_over = port, 0, [], False

    def run(self):
        while not self.is_over:
            try:
                self.count += self.once()
            except (OSError, http.client.HTTPException, AssertionError) as error:
                self.failures.append(f"{type(self).__name__}: {error!r}")

    def end(self):
        self.is_over = True
        self.join()


class Streaming(Client):
    def once(self):
        connection = http.client.HTTPConnection(HOST, self.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/stream?ms=400")
            answer = connection.getresponse()
            body = answer.read()
            assert answer.status == 200 and body == b"a chunk of text." * 20, (answer.status, len(body))
        return 1


class WebSocket(Client):
    """One that lives for a second; a target that is deregistered lets it."""

    def once(self):
        with socket.create_connection((HOST, self.port), timeout=20) as s:
            s.sendall(HELLO)
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                head += self.some(s)
            assert head.startswith(b"HTTP/1.1 101"), head
            for n in range(20):
                text = b"message %d" % n
                s.sendall(text)
                got = b""
                while len(got) < len(text):
                    got += self.some(s)
                assert got == text, got
                time.sleep(0.05)
        return 20

    @staticmethod
    def some(s):
        got = s.recv(4096)
        assert got, "cut off"
        return got


class Secure(Client):
    """A handshake for each request; the certificate has to be one that the authority signed."""

    def __init__(self, port, authority):
        super().__init__(port)
        self.context = ssl.create_default_context(cafile=authority)

    def once(self):
        with socket.create_connection((HOST, self.port), timeout=20) as plain:
            with self.context.wrap_socket(plain, server_hostname="shop.test") as s:
                s.sendall(b"GET / HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\n\r\n")
                got = b"".join(iter(lambda: s.recv(4096), b""))
        assert got.startswith(b"HTTP/1.1 200") and got.endswith(b"\n"), got
        return 1


class Changes(threading.Thread):
    """So many changes of one kind, again and again while naru is away."""

    def __init__(self, count, change):
        super().__init__(daemon=True)
        self.left, self.change, self.error = count, change, None

    def run(self):
        try:
            while self.left > 0:
                self.change(self.left)
                self.left -= 1
        except Exception as error:  # told by the test, not by this thread
            self.error = error


class Balancing(unittest.TestCase):
    """A dozen targets replaced on the way to 20,000 requests; with --soak 252 (500 changes, as each lane's first
    has none to replace) on the way to two million."""

    def setUp(self):
        self.naru = Naru("balancing")
        self.addCleanup(lambda: self.naru.__exit__())
        self.naru.start()
        self.elb = self.naru.client("elbv2")
        self.program = build_program()
        self.targets = []
        self.addCleanup(lambda: [t.end() for t in self.targets])
        self.lb = self.elb.create_load_balancer(Name="all", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        self.groups = [self.make_group(n) for n in ("one", "two", "three")]
        self.listener = self.call("create_listener", LoadBalancerArn=self.lb, Protocol="HTTP", Port=self.naru.listener_port,
                                  DefaultActions=self.weights(70, 30))["Listeners"][0]["ListenerArn"]
        self.call("create_rule", ListenerArn=self.listener, Priority=1000, Conditions=self.path("/port"),
                  Actions=[{"Type": "forward", "TargetGroupArn": self.groups[2]}])
        self.secure_port = self.make_secure()
        for group in self.groups:
            for _ in range(2):
                self.add(group)

    def make_secure(self):
        """A listener of HTTPS, and two certificates that take turns; its port."""
        self.acm = self.naru.client("acm")
        self.authority = Certificates(self.naru.dir / "certificates")
        chain = self.authority.ca.read_bytes()
        self.pairs = [dict(zip(("Certificate", "PrivateKey"), (path.read_bytes() for path in self.authority.make(file, "shop.test"))),
                           CertificateChain=chain) for file in ("a", "b")]
        self.certificate = self.acm.import_certificate(**self.pairs[0])["CertificateArn"]
        port = harness.free_port()
        self.elb.create_listener(LoadBalancerArn=self.lb, Protocol="HTTPS", Port=port, DefaultActions=self.weights(1, 1),
                                 Certificates=[{"CertificateArn": self.certificate}])
        return port

    def make_group(self, name):
        arn = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip",
                                           HealthCheckPath="/health")["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "30"}])
        return arn

    @staticmethod
    def path(*values):
        return [{"Field": "path-pattern", "Values": list(values)}]

    def weights(self, one, two):
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
            {"TargetGroupArn": self.groups[0], "Weight": one}, {"TargetGroupArn": self.groups[1], "Weight": two}]}}]

    def call(self, operation, client=None, **members):
        """As an SDK does it: once more when nobody answered. naru is killed now and then."""
        end = time.monotonic() + 30
        while True:
            try:
                return getattr(client or self.elb, operation)(**members)
            except (botocore.exceptions.EndpointConnectionError, botocore.exceptions.ConnectionClosedError,
                    botocore.exceptions.ReadTimeoutError):
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    # ---- what changes ----

    def state(self, group, target):
        health = self.call("describe_target_health", TargetGroupArn=group)["TargetHealthDescriptions"]
        return next((h["TargetHealth"]["State"] for h in health if h["Target"]["Port"] == target.port), None)

    def add(self, group):
        target = Target(self.program)
        self.targets.append(target)
        self.call("register_targets", TargetGroupArn=group, Targets=[target.name])
        wait_until("a target to be healthy", lambda: self.state(group, target) == "healthy", interval=0.02)
        return target

    def replace(self, group, lane):
        new = self.add(group)
        old, lane[0] = lane[0], new
        if old is not None:
            self.call("deregister_targets", TargetGroupArn=group, Targets=[old.name])
            wait_until("a target to be gone", lambda: self.state(group, old) is None, 90, 0.05)
            old.end()
            self.targets.remove(old)

    def change_rules(self, n):
        """Comes, leads elsewhere, goes; what it matches nobody asks for, or everybody."""
        rule = self.call("create_rule", ListenerArn=self.listener, Priority=n, Conditions=self.path(f"/{n}/*"),
                         Actions=self.weights(1, 1))["Rules"][0]["RuleArn"]
        self.call("modify_rule", RuleArn=rule, Conditions=self.path("/", "/slow*"))
        self.call("modify_rule", RuleArn=rule, Actions=[{"Type": "forward", "TargetGroupArn": self.groups[n % 3]}])
        time.sleep(0.2)
        self.call("delete_rule", RuleArn=rule)

    def change_weights(self, n):
        self.call("modify_listener", ListenerArn=self.listener, DefaultActions=self.weights(n * 13 % 101, 100 - n * 13 % 101))
        time.sleep(0.1)

    def change_certificate(self, n):
        self.call("import_certificate", self.acm, CertificateArn=self.certificate, **self.pairs[n % 2])
        time.sleep(0.2)

    def reload(self, _):
        """A listener more is another structure: HAProxy reloads when it comes."""
        made = self.call("create_listener", LoadBalancerArn=self.lb, Protocol="HTTP", Port=harness.free_port(),
                         DefaultActions=[{"Type": "forward", "TargetGroupArn": self.groups[0]}])["Listeners"][0]["ListenerArn"]
        time.sleep(self.pause)
        self.call("delete_listener", ListenerArn=made)
        time.sleep(self.pause)

    def kill(self, _):
        time.sleep(2 * self.pause)
        self.naru.kill()
        self.naru.start()

    def start_all(self, stack, replaced, weighed, ruled, certified, reloaded, killed):
        lanes = [(self.groups[i % 3], [None]) for i in range(4)]
        changes = [Changes(replaced // 4, lambda _, g=group, lane=lane: self.replace(g, lane)) for group, lane in lanes]
        changes += [Changes(weighed, self.change_weights), Changes(ruled, self.change_rules),
                    Changes(certified, self.change_certificate), Changes(reloaded, self.reload), Changes(killed, self.kill)]
        clients = [kind(self.naru.listener_port) for kind in (Streaming, WebSocket) for _ in range(4)]
        clients += [Secure(self.secure_port, self.authority.ca) for _ in range(2)]
        loads = self.start_loads(stack)
        for thread in clients + changes:
            thread.start()
        return changes, clients, loads

    def start_loads(self, stack):
        return [stack.enter_context(Load(self.naru, path=path, connections=12, extra=(
            "--fresh", "4", "--slow", "4", "--slow-path", "/slow?ms=300"))) for path in ("/", "/port")]

    @staticmethod
    def total(results, clients):
        return sum(int(r["requests"]) for r in results) + sum(c.count for c in clients)

    def test_no_request_fails_whatever_changes(self):
        wanted = 2_000_000 if harness.SOAK else 20_000
        self.pause = 10 if harness.SOAK else 1
        counts = (252, 50, 20, 10, 5, 3) if harness.SOAK else (12, 6, 4, 4, 1, 1)
        begin = time.monotonic()
        with contextlib.ExitStack() as stack:
            changes, clients, loads = self.start_all(stack, *counts)
            for thread in changes:
                thread.join()
            time.sleep(max(0, wanted / (2 * Load.RATE) + 1 - (time.monotonic() - begin)))
            results = [load.stop() for load in loads]
            while self.total(results, clients) < wanted:  # a busy machine does not reach the rate
                again = self.start_loads(stack)
                time.sleep((wanted - self.total(results, clients)) / (2 * Load.RATE) + 1)
                loads += again
                results += [load.stop() for load in again]
            for client in clients:
                client.end()
        self.assertEqual([c.error for c in changes if c.error], [])
        self.assertEqual([f for c in clients for f in c.failures], [])
        self.assertEqual({r["failed"] for r in results}, {"0"}, [load.output for load in loads])
        self.assertTrue(all(c.count > 0 for c in clients))
        total = self.total(results, clients)
        print(f"   {total:,} requests in {time.monotonic() - begin:.0f} s, none failed")


if __name__ == "__main__":
    unittest.main()
