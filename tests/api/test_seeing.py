# SPDX-License-Identifier: MIT
"""What went through a load balancer: /metrics, access logs, CloudWatch."""
import datetime
import http.client
import http.server
import json
import os
import pathlib
import re
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.request
import uuid

import boto3
import botocore.exceptions

import harness
import rpc_v2_cbor


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
    KIND, PROTOCOL, COUNTED = "application", "HTTP", "naru_lb_responses_total"

    @classmethod
    def setUpClass(cls):
        cls.elb, cls.cloudwatch = client("elbv2"), client("cloudwatch")
        cls.target = Server(("127.0.0.1", 0), Answer)
        threading.Thread(target=cls.target.serve_forever, daemon=True).start()
        cls.addClassCleanup(cls.target.server_close)
        cls.addClassCleanup(cls.target.shutdown)
        name = f"see-{uuid.uuid4().hex[:8]}"
        cls.balancer = cls.elb.create_load_balancer(Name=name, Type=cls.KIND, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        cls.addClassCleanup(cls.elb.delete_load_balancer, LoadBalancerArn=cls.balancer)
        cls.group = cls.elb.create_target_group(Name=name, Protocol=cls.PROTOCOL, Port=80, VpcId="vpc-1", TargetType="ip",
                                                HealthCheckProtocol="HTTP", HealthCheckPath="/health")["TargetGroups"][0]["TargetGroupArn"]
        cls.port = harness.free_port()
        cls.elb.create_listener(LoadBalancerArn=cls.balancer, Protocol=cls.PROTOCOL, Port=cls.port,
                                DefaultActions=[{"Type": "forward", "TargetGroupArn": cls.group}])
        cls.elb.register_targets(TargetGroupArn=cls.group, Targets=[{"Id": "127.0.0.1", "Port": cls.target.server_port}])
        harness.wait_until("the target is healthy", cls.healthy)
        cls.lb_name = cls.balancer.split("loadbalancer/")[1]
        cls.tg_name = cls.group.split(":")[-1]
        cls.ask("/", 10)
        cls.ask("/missing", 1)
        cls.ask("/slow", 1)
        harness.wait_until("the answers are counted", lambda: cls.metric(
            cls.COUNTED, f'load_balancer="{cls.lb_name}"') == 12)

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
        self.assertLessEqual({"naru_lb_haproxy_deaths_total", "naru_lb_haproxy_refused_total"}, seen)


def now():
    return datetime.datetime.now(datetime.timezone.utc)


class CloudWatch(Traffic):
    def dimensions(self, *names):
        values = {"LoadBalancer": self.lb_name, "TargetGroup": self.tg_name}
        return [{"Name": n, "Value": values[n]} for n in names]

    def statistics(self, metric, *names, **members):
        members.setdefault("Statistics", ["Sum"])
        if members["Statistics"] is None:
            del members["Statistics"]
        return self.cloudwatch.get_metric_statistics(
            Namespace="AWS/ApplicationELB", MetricName=metric, Dimensions=self.dimensions(*names), Period=3600,
            StartTime=now() - datetime.timedelta(minutes=30), EndTime=now() + datetime.timedelta(minutes=1), **members)

    def sum(self, metric, *names):
        return sum(p["Sum"] for p in self.statistics(metric, *names)["Datapoints"])

    def test_statistics(self):
        for metric, names, value in (
                ("RequestCount", ["LoadBalancer"], 12), ("RequestCount", ["LoadBalancer", "TargetGroup"], 12),
                ("HTTPCode_Target_2XX_Count", ["LoadBalancer"], 11), ("HTTPCode_Target_4XX_Count", ["TargetGroup", "LoadBalancer"], 1),
                ("HTTPCode_ELB_5XX_Count", ["LoadBalancer"], 0), ("RequestCountPerTarget", ["TargetGroup"], 12),
                ("NewConnectionCount", ["LoadBalancer"], 12), ("RequestCount", ["TargetGroup"], 0)):
            self.assertEqual(self.sum(metric, *names), value, (metric, names))
        self.assertGreater(self.sum("ProcessedBytes", "LoadBalancer"), 1000)
        health = self.statistics("HealthyHostCount", "TargetGroup", "LoadBalancer", Statistics=["Maximum", "Minimum"])["Datapoints"]
        self.assertEqual(health[-1]["Maximum"], 1)

    def test_response_times(self):
        answer = self.statistics("TargetResponseTime", "LoadBalancer", Statistics=None, ExtendedStatistics=["p50", "p99"])
        point = answer["Datapoints"][0]
        self.assertEqual((answer["Label"], point["Unit"]), ("TargetResponseTime", "Seconds"))
        self.assertLess(point["ExtendedStatistics"]["p50"], 0.1)
        self.assertGreater(point["ExtendedStatistics"]["p99"], 0.1)
        point = self.statistics("TargetResponseTime", "LoadBalancer", Statistics=["SampleCount", "Average", "Maximum"])["Datapoints"][0]
        self.assertEqual(point["SampleCount"], 12)
        self.assertGreaterEqual(point["Maximum"], 0.2)
        self.assertAlmostEqual(point["Timestamp"].timestamp(), time.time() - 1800, delta=90)

    def test_data(self):
        def query(name, metric, stat):
            return {"Id": name, "MetricStat": {"Stat": stat, "Period": 60, "Metric": {
                "Namespace": "AWS/ApplicationELB", "MetricName": metric, "Dimensions": self.dimensions("LoadBalancer")}}}
        results = self.cloudwatch.get_metric_data(
            MetricDataQueries=[query("requests", "RequestCount", "Sum"), query("slow", "TargetResponseTime", "p100")],
            StartTime=now() - datetime.timedelta(minutes=30), EndTime=now() + datetime.timedelta(minutes=1))["MetricDataResults"]
        self.assertEqual([(r["Id"], r["StatusCode"]) for r in results], [("requests", "Complete"), ("slow", "Complete")])
        self.assertEqual(sum(results[0]["Values"]), 12)
        self.assertGreaterEqual(max(results[1]["Values"]), 0.2)

    def test_list(self):
        pages = self.cloudwatch.get_paginator("list_metrics").paginate(
            Namespace="AWS/ApplicationELB", Dimensions=self.dimensions("LoadBalancer"), RecentlyActive="PT3H")
        names = {m["MetricName"] for page in pages for m in page["Metrics"]}
        self.assertLessEqual({"RequestCount", "TargetResponseTime", "HTTPCode_Target_2XX_Count", "HealthyHostCount"}, names)
        self.assertNotIn("HTTPCode_ELB_502_Count", names)

    def test_errors(self):
        with self.assertRaises(self.cloudwatch.exceptions.InvalidParameterCombinationException):
            self.statistics("RequestCount", "LoadBalancer", Statistics=None)
        with self.assertRaises(self.cloudwatch.exceptions.InvalidParameterValueException):
            self.statistics("TargetResponseTime", "LoadBalancer", Statistics=None, ExtendedStatistics=["tm99"])
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.cloudwatch.put_metric_data(Namespace="mine", MetricData=[{"MetricName": "x", "Value": 1}])
        self.assertIn("not built", str(caught.exception))

    def test_both_command_lines_say_the_same(self):
        line = ["cloudwatch", "get-metric-statistics", "--namespace", "AWS/ApplicationELB", "--metric-name", "RequestCount",
                "--dimensions", f"Name=LoadBalancer,Value={self.lb_name}", "--period", "3600", "--statistics", "Sum", "Average",
                "--start-time", (now() - datetime.timedelta(minutes=30)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "--end-time", (now() + datetime.timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"), "--output", "json"]
        said = []
        for command in (["/usr/bin/aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"]], [str(harness.BINARY), "aws"]):
            done = subprocess.run(command + line, capture_output=True, text=True)
            self.assertEqual(done.returncode, 0, done.stderr)
            said.append(json.loads(done.stdout))
            done = subprocess.run(command + ["cloudwatch", "list-metrics", "--page-size", "5"], capture_output=True, text=True)
            self.assertEqual(done.returncode, 252, done)  # pages of metrics have one size
        self.assertEqual(said[0], said[1])
        self.assertEqual(sum(p["Sum"] for p in said[0]["Datapoints"]), 12)
        listed = json.loads(subprocess.run([str(harness.BINARY), "aws", "cloudwatch", "list-metrics", "--metric-name", "RequestCount"],
                                           check=True, capture_output=True, text=True).stdout)
        self.assertIn(self.dimensions("LoadBalancer"), [m["Dimensions"] for m in listed["Metrics"]])


class NetworkCloudWatch(Traffic):
    KIND, PROTOCOL, COUNTED = "network", "TCP", "naru_lb_connections_total"

    def points(self, namespace, metric, statistic, *names):
        values = {"LoadBalancer": self.lb_name, "TargetGroup": self.tg_name}
        return [p[statistic] for p in self.cloudwatch.get_metric_statistics(
            Namespace=namespace, MetricName=metric, Dimensions=[{"Name": n, "Value": values[n]} for n in names], Period=3600,
            StartTime=now() - datetime.timedelta(minutes=30), EndTime=now() + datetime.timedelta(minutes=1),
            Statistics=[statistic])["Datapoints"]]

    def test_statistics(self):
        self.assertEqual(self.points("AWS/NetworkELB", "NewFlowCount", "Sum", "LoadBalancer"), [12])
        self.assertGreater(self.points("AWS/NetworkELB", "ProcessedBytes", "Sum", "LoadBalancer")[0], 1000)
        self.assertEqual(self.points("AWS/NetworkELB", "HealthyHostCount", "Maximum", "TargetGroup", "LoadBalancer"), [1])
        self.assertEqual(self.points("AWS/ApplicationELB", "NewConnectionCount", "Sum", "LoadBalancer"), [])


def rounded(value):
    """Query writes 15 digits of a number."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.15g}") if isinstance(value, float) else value


class CloudWatchInCbor(CloudWatch):
    """All of the above, spoken as AWS's newest SDKs speak."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.query = cls.cloudwatch
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.cloudwatch = rpc_v2_cbor.client(folder.name, endpoint_url=os.environ["AWS_ENDPOINT_URL"],
                                            region_name=os.environ["AWS_DEFAULT_REGION"])

    test_both_command_lines_say_the_same = None  # they speak Query

    def both(self, operation, **members):
        said = [getattr(c, operation)(**members) for c in (self.query, self.cloudwatch)]
        for answer in said:
            del answer["ResponseMetadata"]
        self.assertEqual(said[0], rounded(said[1]))
        return said[1]

    def test_both_protocols_say_the_same(self):
        times = {"StartTime": now().replace(microsecond=0) - datetime.timedelta(minutes=30), "EndTime": now()}
        metric = {"Namespace": "AWS/ApplicationELB", "MetricName": "TargetResponseTime", "Dimensions": self.dimensions("LoadBalancer")}
        for statistics in ({"Statistics": ["Sum", "Average"]}, {"ExtendedStatistics": ["p50", "p99"]}):
            self.assertTrue(self.both("get_metric_statistics", **metric, **times, Period=60, **statistics)["Datapoints"])
        data = self.both("get_metric_data", **times, MetricDataQueries=[
            {"Id": "a", "MetricStat": {"Stat": "Average", "Period": 60, "Metric": metric}}])
        self.assertTrue(data["MetricDataResults"][0]["Values"])
        self.assertTrue(self.both("list_metrics", Dimensions=self.dimensions("LoadBalancer"))["Metrics"])

    def test_what_is_no_cbor_is_refused(self):
        def spoil(request, **_):
            request.data = b"\x9f"
        self.cloudwatch.meta.events.register_first("before-sign.cloudwatch.ListMetrics", spoil)
        try:
            with self.assertRaises(botocore.exceptions.ClientError) as caught:
                self.cloudwatch.list_metrics()
        finally:
            self.cloudwatch.meta.events.unregister("before-sign.cloudwatch.ListMetrics", spoil)
        self.assertEqual(caught.exception.response["Error"]["Type"], "com.amazonaws.cloudwatch#SerializationException")
        self.assertIn("ends too early", str(caught.exception))

    def test_a_body_that_is_too_large_is_refused_in_cbor(self):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.cloudwatch.list_metrics(MetricName="x" * 1100000)
        self.assertEqual(caught.exception.response["ResponseMetadata"]["HTTPStatusCode"], 413)
        self.assertEqual(caught.exception.response["Error"]["Type"], "com.amazonaws.cloudwatch#RequestTooLarge")


class AccessLogs(Traffic):
    def test_entries_lie_where_amazon_puts_them(self):
        self.elb.modify_load_balancer_attributes(LoadBalancerArn=self.balancer, Attributes=[
            {"Key": "access_logs.s3.enabled", "Value": "true"}, {"Key": "access_logs.s3.bucket", "Value": "my-logs"},
            {"Key": "access_logs.s3.prefix", "Value": "shop"}])
        root = pathlib.Path(os.environ["NARU_DATA_DIR"]) / "log/s3/my-logs/shop/AWSLogs"

        def entries():
            self.ask("/logged?a=b", 1)
            return [line for path in root.glob("**/.*.log") for line in path.read_text().splitlines()
                    if self.lb_name in line]
        harness.wait_until("an entry is written", entries)
        for line in entries():
            self.assertRegex(line, ENTRY)
            self.assertIn(f'"GET http://127.0.0.1:{self.port}/logged?a=b HTTP/1.1" "a \\x22test\\x22" - - {self.group} "Root=1-', line)
        folder = next(root.glob("**/.*.log")).parent
        self.assertRegex(str(folder.relative_to(root)), r"^\d{12}/elasticloadbalancing/[a-z0-9-]+/\d{4}/\d\d/\d\d$")


# What tools that read such logs split lines by: every field, in order.
ENTRY = re.compile(
    r'^(http|https|h2|grpcs|ws|wss) \d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z app/[^ ]+ [\d.]+:\d+ [\d.]+:\d+ (?:-1|\d+\.\d{3}) '
    r'(?:-1|\d+\.\d{3}) (?:-1|\d+\.\d{3}) (?:-|\d{3}) (?:-|\d{3}) \d+ \d+ "[A-Z]+ http://[^ "]+ HTTP/[\d.]+" "[^"]*" [^ ]+ [^ ]+ '
    r'arn:[^ ]+ "[^"]+" "[^"]+" "[^"]+" (?:-|\d+) \d{4}-\d\d-\d\dT[\d:]{8}\.\d{6}Z "[^"]+" "[^"]+" "[^"]+" "[^"]+" "[^"]+" '
    r'"[^"]+" "[^"]+" TID_[0-9a-f]{32}$')
