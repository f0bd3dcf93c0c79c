# SPDX-License-Identifier: MIT
"""What went through a load balancer: /metrics, access logs, CloudWatch."""
import http.client
import http.server
import os
import re
import threading
import time
import unittest
import urllib.request
import uuid

import boto3

import harness


def client(service):
    return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"])


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/slow":
            time.sleep(0.2)
        status = 404 if self.path == "/missing" else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # the balancer resets idle connections


class Traffic(unittest.TestCase):
    """A load balancer with one target of this process, and 12 requests through it."""

    @classmethod
    def setUpClass(cls):
        cls.elb, cls.cloudwatch = client("elbv2"), client("cloudwatch")
        cls.target = Server(("127.0.0.1", 0), Answer)
        threading.Thread(target=cls.target.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.target.server_close)
        cls.addClassCleanup(cls.target.shutdown)
        name = f"see-{uuid.uuid4().hex[:8]}"
        cls.balancer = cls.elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        cls.addClassCleanup(cls.elb.delete_load_balancer, LoadBalancerArn=cls.balancer)
        cls.group = cls.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip",
                                                HealthCheckPath="/health")["TargetGroups"][0]["TargetGroupArn"]
        cls.port = harness.free_port()
        cls.elb.create_listener(LoadBalancerArn=cls.balancer, Protocol="HTTP", Port=cls.port,
                                DefaultActions=[{"Type": "forward", "TargetGroupArn": cls.group}])
        cls.elb.register_targets(TargetGroupArn=cls.group, Targets=[{"Id": "127.0.0.1", "Port": cls.target.server_port}])
        harness.wait_until("the target is healthy", cls.healthy)
        cls.lb_name = cls.balancer.split("loadbalancer/")[1]
        cls.tg_name = cls.group.split(":")[-1]
        cls.ask("/", 10)
        cls.ask("/missing", 1)
        cls.ask("/slow", 1)
        harness.wait_until("the answers are counted", lambda: cls.metric(
            "naru_lb_responses_total", f'load_balancer="{cls.lb_name}"') == 12)

    @classmethod
    def healthy(cls):
        health = cls.elb.describe_target_health(TargetGroupArn=cls.group)["TargetHealthDescriptions"]
        return [h["TargetHealth"]["State"] for h in health] == ["healthy"]

    @classmethod
    def ask(cls, path, times):
        for _ in range(times):
            connection = http.client.HTTPConnection("127.0.0.1", cls.port)
            connection.request("GET", path, headers={"User-Agent": 'a "test"'})
            connection.getresponse().read()
            connection.close()

    @classmethod
    def metrics(cls):
        with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/metrics") as answer:
            return answer.read().decode()

    @classmethod
    def metric(cls, name, labels):
        found = re.findall(rf"^{name}{{([^}}]*)}} ([\d.e+-]+)$", cls.metrics(), re.M)
        return sum(float(value) for have, value in found if have.startswith(labels))


class Prometheus(Traffic):
    def test_counts(self):
        lb, tg = f'load_balancer="{self.lb_name}"', f'target_group="{self.tg_name}"'
        target = f'{tg},target="127.0.0.1:{self.target.server_port}",revision=""'
        for prefix, labels in (("naru_lb_group", tg), ("naru_lb_target", target)):
            self.assertEqual(self.metric(f"{prefix}_requests_total", labels), 12, prefix)
            self.assertEqual(self.metric(f"{prefix}_responses_total", f'{labels},class="2xx"'), 11)
            self.assertEqual(self.metric(f"{prefix}_responses_total", f'{labels},class="4xx"'), 1)
            self.assertEqual(self.metric(f"{prefix}_responses_total", f'{labels},class="5xx"'), 0)
            self.assertEqual(self.metric(f"{prefix}_in_flight_requests", labels), 0)
            self.assertEqual(self.metric(f"{prefix}_response_seconds_count", labels), 12)
        self.assertEqual(self.metric("naru_lb_responses_total", f'{lb},by="target",class="2xx"'), 11)
        self.assertEqual(self.metric("naru_lb_responses_total", f'{lb},by="load_balancer",class="5xx"'), 0)
        self.assertEqual(self.metric("naru_lb_connections_total", lb), 12)
        self.assertEqual(self.metric("naru_lb_group_healthy_targets", tg), 1)
        self.assertEqual(self.metric("naru_lb_rule_requests_total", f'{lb},port="{self.port}",rule="default"'), 12)
        self.assertGreaterEqual(self.metric("naru_lb_response_seconds_sum", lb), 0.2)
        self.assertGreaterEqual(self.metric("naru_lb_response_seconds", f'{lb},quantile="0.99"'), 0.1)
        self.assertLess(self.metric("naru_lb_response_seconds", f'{lb},quantile="0.5"'), 0.1)

    def test_the_text_is_what_prometheus_reads(self):
        """Each family once, its lines together, each series once."""
        family, seen, series = None, set(), set()
        for line in self.metrics().splitlines():
            if line.startswith("# HELP "):
                family = line.split()[2]
                self.assertNotIn(family, seen)
                seen.add(family)
            elif not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                float(value)
                self.assertIn(name.split("{")[0], {family, family + "_sum", family + "_count"})
                self.assertNotIn(name, series)
                series.add(name)
        self.assertIn("naru_lb_log_lines_dropped_total", seen)
