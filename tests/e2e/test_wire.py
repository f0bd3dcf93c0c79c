# SPDX-License-Identifier: MIT
"""What attributes of load balancers and listeners do to requests and answers, to the byte."""
import json
import time
import unittest

import raw
from harness import Naru
from raw import get


class Attributes(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("wire")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.target = raw.Target(allow_control=True)
        cls.addClassCleanup(cls.target.stop)
        cls.front = raw.Front(cls.naru, cls.target)

    def setUp(self):
        self.target.answer = lambda connection, request: raw.plain()

    def sent(self, *headers, path="/", method="GET", status=200):
        """What the target got of it."""
        self.target.forget()
        answer = get(self.front.port, path, *headers, method=method)
        self.assertEqual(answer.status, status)
        return self.target.requests()[-1] if status == 200 else None

    def set(self, **attributes):
        self.front.set(**attributes)

    def listener(self, **attributes):
        """By our own command line; waits until HAProxy acts by them."""
        before = self.front.worker()
        made = self.naru.cli("aws", "elbv2", "modify-listener-attributes", "--listener-arn", self.front.listener, "--attributes",
                             json.dumps([{"Key": f"routing.http.response.{k.replace('__', '.')}", "Value": v}
                                         for k, v in attributes.items()]))
        self.front.wait_reload(before)
        return {a["Key"]: a["Value"] for a in json.loads(made.stdout)["Attributes"]}

    def test_forwarded_for(self):
        client = ["X-Forwarded-For: 10.0.0.1", "X-Forwarded-For: 10.0.0.2"]
        self.assertEqual(self.sent().get("x-forwarded-for"), "127.0.0.1")
        appended = self.sent("X-Forwarded-For: 10.0.0.1, 10.0.0.2").get("x-forwarded-for")
        self.assertEqual(appended, "10.0.0.1, 10.0.0.2, 127.0.0.1")

        self.set(routing__http__xff_client_port__enabled="true")
        self.assertRegex(self.sent().get("x-forwarded-for"), r"^127\.0\.0\.1:\d+$")
        self.assertRegex(self.sent("X-Forwarded-For: 10.0.0.1").get("x-forwarded-for"), r"^10\.0\.0\.1, 127\.0\.0\.1:\d+$")

        self.set(routing__http__xff_header_processing__mode="preserve")
        self.assertEqual(self.sent(*client).all("x-forwarded-for"), ["10.0.0.1", "10.0.0.2"])
        self.assertEqual(self.sent().all("x-forwarded-for"), [])

        self.set(routing__http__xff_header_processing__mode="remove")
        self.assertEqual(self.sent(*client).all("x-forwarded-for"), [])
        self.assertEqual(self.sent().get("x-forwarded-proto"), "http")

        self.set(routing__http__xff_header_processing__mode="append", routing__http__xff_client_port__enabled="false")
        self.assertEqual(self.sent("X-Forwarded-For: 10.0.0.1").get("x-forwarded-for"), "10.0.0.1, 127.0.0.1")

    def test_what_the_client_says_of_itself(self):
        """Whoever brings our headers gets past none of them, whatever the method and the order."""
        trace = r"1-[0-9a-f]{8}-[0-9a-f]{24}"
        usual = self.sent()
        self.assertRegex(usual.get("x-amzn-trace-id"), f"^Root={trace}$")
        self.assertLess(abs(int(usual.get("x-amzn-trace-id")[7:15], 16) - time.time()), 60)
        self.assertNotEqual(usual.get("x-amzn-trace-id"), self.sent().get("x-amzn-trace-id"))
        for method in "GET", "POST":
            with self.subTest(method):
                for name, value in (("proto", "http"), ("port", str(self.front.port))):
                    self.assertEqual(usual.all(f"x-forwarded-{name}"), [value])
                    claimed = self.sent(f"x-Forwarded-{name}: https", f"X-FORWARDED-{name}: 1", method=method)
                    self.assertEqual(claimed.all(f"x-forwarded-{name}"), [value])
                several = self.sent("x-forwarded-for: 10.0.0.1", "X-Forwarded-For: 10.0.0.2", method=method)
                self.assertEqual(", ".join(several.all("x-forwarded-for")), "10.0.0.1, 10.0.0.2, 127.0.0.1")
                told = self.sent("X-Amzn-Trace-Id: Root=1-5-6;Sampled=1", method=method).all("x-amzn-trace-id")
                self.assertEqual(len(told), 1)
                self.assertRegex(told[0], f"^Self={trace};Root=1-5-6;Sampled=1$")
                for said in "Self=1-2-3;Root=1-5-6", "Root=1-5-6; Self=1-2-3":  # another balancer's: ours takes its place
                    told = self.sent(f"X-Amzn-Trace-Id: {said};A=b", method=method).all("x-amzn-trace-id")
                    self.assertEqual(len(told), 1)
                    self.assertRegex(told[0], f"^Self={trace};Root=1-5-6;A=b$")
                told = self.sent("X-Amzn-Trace-Id: none", method=method).all("x-amzn-trace-id")
                self.assertEqual(len(told), 1)
                self.assertRegex(told[0], f"^Root={trace}$")

    def test_host_is_passed_on(self):
        self.assertEqual(self.sent().get("host"), "test.local")
        self.target.forget()
        raw.exchange(self.front.port, b"GET / HTTP/1.1\r\nHost: Www.Example:8080\r\n\r\n")
        self.assertEqual(self.target.requests()[-1].get("host"), "Www.Example:8080")

    def test_invalid_header_names_are_dropped(self):
        headers = ["X_Y: 1", "X.Z: 2", "X-Good: 3", "X~A: 4"]
        self.assertEqual(self.sent(*headers).get("x_y"), "1")
        self.set(routing__http__drop_invalid_header_fields__enabled="true")
        got = self.sent(*headers)
        self.assertEqual([got.all(n) for n in ("x_y", "x.z", "x-good", "x~a")], [[], [], ["3"], []])
        self.assertEqual(got.get("x-forwarded-port"), str(self.front.port))
        self.set(routing__http__drop_invalid_header_fields__enabled="false")
        self.assertEqual(self.sent(*headers).get("x.z"), "2")

    def test_strictest(self):
        cases = [
            ("a plain one", "GET", ["Accept: */*", "Cookie: a=b; c=d"], 200),
            ("a tab", "GET", ["X: a\tb"], 200),
            ("a length of nothing", "GET", ["Content-Length: 0"], 400),
            ("a length of HEAD", "HEAD", ["Content-Length: 0"], 400),
            ("an empty value", "GET", ["X:"], 400),
            ("a blank value", "GET", ["X:    ", "Y: b"], 400),
            ("a control character", "GET", ["X: a\x01b"], 400),
            ("not ASCII", "GET", ["X: \xe9"], 400),
            ("like a length", "POST", ["Content_Length: 0", "Content-Length: 0"], 400),
            ("like a coding", "POST", ["Transfer.Encoding: chunked", "Content-Length: 0"], 400),
            ("a length", "POST", ["Content-Length: 0"], 200),
            ("its name in a value", "GET", ["X: content_length: 1"], 200),
        ]
        for name, method, headers, _ in cases:
            with self.subTest(name, mode="defensive"):
                self.assertEqual(get(self.front.port, "/", *headers, method=method).status, 200)
        self.set(routing__http__desync_mitigation_mode="strictest")
        for name, method, headers, status in cases:
            with self.subTest(name, mode="strictest"):
                self.assertEqual(get(self.front.port, "/", *headers, method=method).status, status)
        self.set(routing__http__desync_mitigation_mode="defensive")

    def test_a_connection_ends_after_its_time(self):
        self.set(client_keep_alive__seconds="60")
        # Sixty seconds are AWS's least; the line is the same for all.
        config = (self.naru.dir / "data/haproxy/haproxy.cfg").read_text()
        self.assertIn("date,sub(sess.born) ge 60 }", config)
        client = raw.Client(self.front.port)
        for _ in range(3):
            answer = client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").read(5, 1)[-1]
            self.assertIsNone(answer.get("connection"))
            client.data = b""
            time.sleep(0.3)
        self.assertFalse(client.is_closed)
        client.close()
        self.set(client_keep_alive__seconds="3600")

    def test_answers_have_headers_of_the_listener(self):
        self.target.answer = lambda c, r: raw.plain(b"ok", b"Server: app/1", b"X-Frame-Options: SAMEORIGIN")
        plain = get(self.front.port)
        self.assertEqual((plain.get("server"), plain.get("x-frame-options")), ("app/1", "SAMEORIGIN"))
        policy = "default-src 'self'; img-src \"a\" 100% $HOME #{x} \\"
        told = self.listener(server__enabled="false", x_frame_options__header_value="DENY",
                             content_security_policy__header_value=policy, access_control_max_age__header_value="600",
                             access_control_allow_methods__header_value="GET,PUT")
        self.assertEqual(told["routing.http.response.content_security_policy.header_value"], policy)
        for path, status in (("/", 200), ("/trace", 405)):
            answer = get(self.front.port, path, method="TRACE" if status == 405 else "GET")
            self.assertEqual(answer.status, status)
            self.assertEqual([answer.get(n) for n in ("server", "x-frame-options", "content-security-policy",
                                                      "access-control-max-age", "access-control-allow-methods")],
                             [None, "DENY", policy, "600", "GET,PUT"])
        self.listener(server__enabled="true", x_frame_options__header_value="", content_security_policy__header_value="",
                      access_control_max_age__header_value="", access_control_allow_methods__header_value="")
        again = get(self.front.port)
        self.assertEqual(again.headers, plain.headers)
        described = json.loads(self.naru.cli("aws", "elbv2", "describe-listener-attributes", "--listener-arn",
                                             self.front.listener).stdout)["Attributes"]
        self.assertIn({"Key": "routing.http.response.server.enabled", "Value": "true"}, described)

    def test_long_headers_are_added_to_long_answers(self):
        """Each as long as the API takes it, where the answer's own bytes fill HAProxy's buffer."""
        long = {f"{name}__header_value": (name + "x" * 1024)[:1024] for name in (
            "strict_transport_security", "access_control_allow_origin", "access_control_allow_headers",
            "access_control_expose_headers", "content_security_policy")}
        body = b"x" * (1 << 20)
        self.target.answer = lambda c, r: raw.plain(body)
        self.listener(**long)
        self.addCleanup(lambda: self.listener(**dict.fromkeys(long, "")))
        for _ in range(20):
            answer = get(self.front.port)
            self.assertEqual((answer.status, len(answer.body)), (200, len(body)))
            self.assertEqual(answer.get("content-security-policy"), long["content_security_policy__header_value"])
            self.assertEqual(answer.get("access-control-expose-headers"), long["access_control_expose_headers__header_value"])
