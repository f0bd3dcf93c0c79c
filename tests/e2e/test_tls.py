# SPDX-License-Identifier: MIT
"""HTTPS listeners from `aws acm import-certificate` to curl: names, replacements under handshakes, WebSockets, kill -9."""
import base64
import hashlib
import http.server
import json
import os
import socket
import ssl
import struct
import subprocess
import threading
import time
import unittest

import harness
from certificates import Certificates
from harness import Naru, wait_until

MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Target(http.server.BaseHTTPRequestHandler):
    """Says how it was asked, and echoes over WebSockets."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.upgrade()
        body = json.dumps({"proto": self.headers["X-Forwarded-Proto"], "port": self.headers["X-Forwarded-Port"],
                           "host": self.headers["Host"]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return None

    def upgrade(self):
        accept = base64.b64encode(hashlib.sha1((self.headers["Sec-WebSocket-Key"] + MAGIC).encode()).digest()).decode()
        self.send_response(101)
        for name, value in (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept)):
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True
        while True:
            head = self.rfile.read(2)
            if len(head) < 2 or head[0] & 15 == 8:
                return
            size = head[1] & 127
            mask, data = self.rfile.read(4), self.rfile.read(size)
            plain = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
            self.wfile.write(bytes([0x81, len(plain)]) + plain)
            self.wfile.flush()


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Whoever checks its health hangs up as it likes."""


class WebSocket:
    """A client of short texts; over TLS if it is given a context."""

    def __init__(self, port, name, context=None):
        plain = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.socket = context.wrap_socket(plain, server_hostname=name) if context else plain
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall((f"GET /ws HTTP/1.1\r\nHost: {name}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                             f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        head = b""
        while b"\r\n\r\n" not in head:
            head += self.take(1)
        if not head.startswith(b"HTTP/1.1 101"):
            raise AssertionError(head)
        if base64.b64encode(hashlib.sha1((key + MAGIC).encode()).digest()) not in head:
            raise AssertionError(head)

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise AssertionError("the WebSocket was closed")
            data += more
        return data

    def echo(self, text):
        data, mask = text.encode(), os.urandom(4)
        self.socket.sendall(bytes([0x81, 0x80 | len(data)]) + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))
        head = self.take(2)
        return self.take(struct.unpack("B", head[1:])[0]).decode()


class Tls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("tls")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.certificates = Certificates(cls.naru.dir / "certificates")
        cls.elb, cls.acm = cls.naru.client("elbv2"), cls.naru.client("acm")
        server = Server(("127.0.0.1", 0), Target)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.shutdown)
        cls.lb = cls.elb.create_load_balancer(Name="tls", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        cls.group = cls.elb.create_target_group(Name="tls", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip")[
            "TargetGroups"][0]["TargetGroupArn"]
        cls.elb.register_targets(TargetGroupArn=cls.group, Targets=[{"Id": "127.0.0.1", "Port": server.server_port}])
        cls.forward = f"Type=forward,TargetGroupArn={cls.group}"
        cls.arn = cls.import_new("first", "a.example")
        cls.port = harness.free_port()
        cls.listener = json.loads(cls.naru.aws(
            "elbv2", "create-listener", "--load-balancer-arn", cls.lb, "--protocol", "HTTPS", "--port", str(cls.port),
            "--certificates", f"CertificateArn={cls.arn}", "--ssl-policy", "ELBSecurityPolicy-TLS13-1-2-2021-06",
            "--default-actions", cls.forward).stdout)["Listeners"][0]["ListenerArn"]
        wait_until("the listener to serve", lambda: cls.curl("a.example")[0] == 0)

    @classmethod
    def import_files(cls, pem, key, *more):
        done = cls.naru.aws("acm", "import-certificate", "--certificate", f"fileb://{pem}", "--private-key", f"fileb://{key}",
                            "--certificate-chain", f"fileb://{cls.certificates.ca}", *more)
        return json.loads(done.stdout)["CertificateArn"]

    @classmethod
    def import_new(cls, file, *names, **options):
        return cls.import_files(*cls.certificates.make(file, *names, **options))

    @classmethod
    def curl(cls, name, *more, port=None):
        """Exit code and output of a curl that believes in the tests' authority only."""
        port = port or cls.port
        done = subprocess.run(["curl", "-s", "--max-time", "10", "--cacert", str(cls.certificates.ca), "--resolve",
                               f"{name}:{port}:127.0.0.1", *more, f"https://{name}:{port}/"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout

    def context(self):
        return ssl.create_default_context(cafile=str(self.certificates.ca))

    def served(self, name):
        """The serial number that a client of that name gets, its certificate verified."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain, \
                self.context().wrap_socket(plain, server_hostname=name) as tls:
            return int(tls.getpeercert()["serialNumber"], 16)

    def serial_of(self, arn):
        return int(self.acm.describe_certificate(CertificateArn=arn)["Certificate"]["Serial"].replace(":", ""), 16)

    def loads(self):
        """How often HAProxy was started or reloaded."""
        return (self.naru.dir / "server.log").read_text(errors="replace").count("at=haproxy.ready")

    def test_requests_come_through(self):
        code, text = self.curl("a.example", "-w", "\n%{http_version} %{ssl_verify_result}")
        self.assertEqual(code, 0)
        answer, said = text.splitlines()
        self.assertEqual(json.loads(answer), {"proto": "https", "port": str(self.port), "host": f"a.example:{self.port}"})
        self.assertEqual(said, "2 0")
        self.assertEqual(self.curl("a.example", "--http1.1", "-w", "\n%{http_version}")[1].splitlines()[1], "1.1")
        self.assertEqual(self.curl("b.example")[0], 60)  # the name is not in the certificate
        described = json.loads(self.naru.aws("elbv2", "describe-listeners", "--listener-arns", self.listener).stdout)
        self.assertEqual(described["Listeners"][0]["SslPolicy"], "ELBSecurityPolicy-TLS13-1-2-2021-06")
        self.assertEqual(self.acm.describe_certificate(CertificateArn=self.arn)["Certificate"]["InUseBy"], [self.lb])
        ours = json.loads(self.naru.cli("aws", "acm", "describe-certificate", "--certificate-arn", self.arn).stdout)
        self.assertEqual(ours["Certificate"]["DomainName"], "a.example")

    def test_http2_can_be_turned_off(self):
        def set_to(value, version):
            self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.lb, Attributes=[
                {"Key": "routing.http2.enabled", "Value": value}])
            wait_until(f"HTTP/{version}", lambda: self.curl("a.example", "-w", "\n%{http_version}")[1].endswith("\n" + version))

        self.addCleanup(set_to, "true", "2")
        set_to("false", "1.1")

    def test_status_has_its_url(self):
        self.assertIn(f"https://localhost:{self.port}/", self.naru.cli("status").stdout)

    def test_certificates_come_and_go_by_name(self):
        pem, key = self.certificates.make("more", "b.example", "*.c.example", kind=("ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"))
        done = self.naru.cli("aws", "acm", "import-certificate", "--certificate", f"file://{pem}", "--private-key", f"fileb://{key}",
                             "--certificate-chain", f"file://{self.certificates.ca}", "--tags", "Key=team,Value=a")
        arn = json.loads(done.stdout)["CertificateArn"]
        self.naru.aws("elbv2", "add-listener-certificates", "--listener-arn", self.listener, "--certificates", f"CertificateArn={arn}")
        for name in ("b.example", "x.c.example"):
            wait_until(name, lambda n=name: self.curl(n)[0] == 0)
        self.assertEqual(self.curl("a.example")[0], 0)
        self.assertEqual(self.curl("y.x.c.example")[0], 60)
        listed = self.elb.describe_listener_certificates(ListenerArn=self.listener)["Certificates"]
        self.assertEqual({c["CertificateArn"]: c["IsDefault"] for c in listed}, {self.arn: True, arn: False})
        with self.assertRaises(self.acm.exceptions.ResourceInUseException):
            self.acm.delete_certificate(CertificateArn=arn)
        self.naru.cli("aws", "elbv2", "remove-listener-certificates", "--listener-arn", self.listener, "--certificates",
                      f"CertificateArn={arn}")
        wait_until("it to be gone", lambda: self.curl("b.example")[0] == 60)
        self.acm.delete_certificate(CertificateArn=arn)
        self.assertNotIn(arn, self.naru.aws("acm", "list-certificates", "--includes", "keyTypes=EC_prime256v1").stdout)

    def test_replacements_break_no_handshake(self):
        stop, failures, good = threading.Event(), [], []

        def shake():
            while not stop.is_set():
                try:
                    good.append(self.served("a.example"))
                except OSError as error:
                    failures.append(error)

        threads = [threading.Thread(target=shake) for _ in range(2)]
        for t in threads:
            t.start()
        before = self.loads()
        for i in range(11):
            pem, key = self.certificates.make(f"again{i}", "a.example")
            enough = len(good) + 20
            self.acm.import_certificate(CertificateArn=self.arn, Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(),
                                        CertificateChain=self.certificates.ca.read_bytes())
            serial = self.serial_of(self.arn)
            wait_until("the new one", lambda s=serial: self.served("a.example") == s)
            wait_until("more handshakes", lambda n=enough: len(good) >= n, timeout=20)
        stop.set()
        for t in threads:
            t.join()
        self.assertEqual(failures, [])
        self.assertGreaterEqual(len(good), 200)
        self.assertGreaterEqual(len(set(good)), 11)
        self.assertEqual(self.loads(), before)

    def test_websockets_live_through_changes(self):
        plain_port = harness.free_port()
        plain = json.loads(self.naru.aws("elbv2", "create-listener", "--load-balancer-arn", self.lb, "--protocol", "HTTP", "--port",
                                         str(plain_port), "--default-actions", self.forward).stdout)["Listeners"][0]["ListenerArn"]
        self.addCleanup(self.elb.delete_listener, ListenerArn=plain)

        def open_plain():
            try:
                return WebSocket(plain_port, "a.example")
            except OSError:
                return None

        sockets = [wait_until("the listener", open_plain), WebSocket(self.port, "a.example", self.context())]

        def check(what):
            for i, s in enumerate(sockets):
                self.assertEqual(s.echo(f"{what} {i}"), f"{what} {i}")

        check("hello")
        rule = self.elb.create_rule(ListenerArn=plain, Priority=5, Conditions=[{"Field": "path-pattern", "Values": ["/no*"]}],
                                    Actions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}])
        check("a rule, by a reload")
        self.elb.modify_rule(RuleArn=rule["Rules"][0]["RuleArn"], Conditions=[{"Field": "path-pattern", "Values": ["/ws"]}])
        time.sleep(0.5)
        check("a rule that takes what they asked for")
        self.import_files(*self.certificates.make("ws", "a.example"), "--certificate-arn", self.arn)
        wait_until("the new one", lambda: self.served("a.example") == self.serial_of(self.arn))
        check("a certificate")
        third = self.elb.create_listener(LoadBalancerArn=self.lb, Protocol="HTTP", Port=harness.free_port(), DefaultActions=[
            {"Type": "forward", "TargetGroupArn": self.group}])["Listeners"][0]["ListenerArn"]
        time.sleep(0.5)
        self.elb.delete_listener(ListenerArn=third)
        time.sleep(0.5)
        check("listeners that come and go")
        self.naru.kill()
        check("no naru")
        self.naru.start()
        check("naru again")

    def test_killing_naru_changes_nothing(self):
        serial, before = self.serial_of(self.arn), self.loads()
        self.naru.kill()
        self.assertEqual(self.served("a.example"), serial)
        self.naru.start()
        self.assertEqual(self.serial_of(self.arn), serial)
        self.import_files(*self.certificates.make("after", "a.example"), "--certificate-arn", self.arn)
        self.assertNotEqual(self.serial_of(self.arn), serial)
        wait_until("the new one", lambda: self.served("a.example") == self.serial_of(self.arn))
        self.assertEqual(self.loads(), before)

    def test_private_keys_stay_private(self):
        pem, key = self.certificates.make("secret", "s.example")
        arn = self.import_files(pem, key)
        self.addCleanup(self.acm.delete_certificate, CertificateArn=arn)
        secret = key.read_text().splitlines()[3]
        got = self.naru.aws("acm", "get-certificate", "--certificate-arn", arn).stdout
        self.assertEqual(json.loads(got)["Certificate"].split(), pem.read_text().split())
        for text in (got, self.naru.aws("acm", "describe-certificate", "--certificate-arn", arn).stdout, self.naru.log()):
            self.assertNotIn(secret, text)
            self.assertNotIn("PRIVATE", text)
        wrong = self.naru.aws("acm", "import-certificate", "--certificate", f"fileb://{pem}", "--private-key",
                              f"fileb://{self.certificates.folder / 'first.key'}", check=False)
        self.assertIn("ValidationException", wrong.stderr)
        self.assertIn("does not match", wrong.stderr)
        data = self.naru.dir / "data"
        holders = [p for p in data.rglob("*") if p.is_file() and secret.encode() in p.read_bytes()]
        self.assertTrue(holders)
        for path in [*holders, *(data / "haproxy/certs").iterdir()]:
            self.assertEqual(path.stat().st_mode & 0o777, 0o600, path)


if __name__ == "__main__":
    unittest.main()
