# SPDX-License-Identifier: MIT
"""Target groups as clients see them: who stays with a target, how soon a new one serves."""
import http.client
import http.server
import os
import statistics
import threading
import time
import unittest
import uuid

import boto3

import harness


def client(service):
    return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"])


class Answer(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = str(self.server.server_port).encode()
        self.send_response(200)
        if self.path == "/login":
            self.send_header("Set-Cookie", "SID=abc; Path=/")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # the balancer resets idle connections


class Groups(unittest.TestCase):
    def setUp(self):
        self.elb = client("elbv2")
        self.port = harness.free_port()

    def server(self):
        made = Server(("127.0.0.1", 0), Answer)
        threading.Thread(target=made.serve_forever, daemon=True).start()
        self.addCleanup(made.server_close)
        self.addCleanup(made.shutdown)
        return made.server_port

    def group(self, *ports, **attributes):
        name = f"tg-{uuid.uuid4().hex[:8]}"
        arn = self.elb.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1",
                                           TargetType="ip")["TargetGroups"][0]["TargetGroupArn"]
        if attributes:
            self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
                {"Key": key.replace("__", "."), "Value": value} for key, value in attributes.items()])
        for port in ports:
            self.register(arn, port)
        return arn

    def register(self, group, port):
        self.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": port}])

    def listener(self, action):
        lb = self.elb.create_load_balancer(Name=f"lb-{uuid.uuid4().hex[:8]}",
                                           Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        self.addCleanup(self.elb.delete_load_balancer, LoadBalancerArn=lb)
        return self.elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=self.port,
                                        DefaultActions=[action])["Listeners"][0]["ListenerArn"]

    def ask(self, path="/", cookies=""):
        """(who answered, {cookie: value}) or (None, {})."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={"Cookie": cookies} if cookies else {})
            answer = connection.getresponse()
            body = answer.read().decode()
            got = dict(line.split(";")[0].split("=", 1) for line in answer.headers.get_all("Set-Cookie") or [])
            return (int(body) if answer.status == 200 else None), got
        except (ConnectionError, http.client.HTTPException):
            return None, {}
        finally:
            connection.close()

    def healthy(self, group):
        found = self.elb.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
        return all(entry["TargetHealth"]["State"] == "healthy" for entry in found)

    def test_clients_stay_with_their_target(self):
        group = self.group(self.server(), self.server(), stickiness__enabled="true")
        self.listener({"Type": "forward", "TargetGroupArn": group})
        harness.wait_until("both are healthy", lambda: self.healthy(group))
        first, cookies = self.ask()
        self.assertEqual({self.ask(cookies=f"AWSALB={cookies['AWSALB']}")[0] for _ in range(10)}, {first})
        self.assertEqual({self.ask(cookies=f"AWSALBCORS={cookies['AWSALBCORS']}")[0] for _ in range(10)}, {first})
        self.assertEqual(len({self.ask()[0] for _ in range(10)}), 2)
        self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": first}])
        harness.wait_until("it is left", lambda: self.ask(cookies=f"AWSALB={cookies['AWSALB']}")[0] not in (first, None))
        self.assertNotEqual(self.ask(cookies=f"AWSALB={cookies['AWSALB']}")[1]["AWSALB"], cookies["AWSALB"])

    def test_applications_say_when(self):
        group = self.group(self.server(), self.server(), stickiness__enabled="true", stickiness__type="app_cookie",
                           stickiness__app_cookie__cookie_name="SID")
        self.listener({"Type": "forward", "TargetGroupArn": group})
        harness.wait_until("both are healthy", lambda: self.healthy(group))
        self.assertEqual(self.ask()[1], {})
        first, cookies = self.ask("/login")
        text = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.assertEqual({self.ask(cookies=text)[0] for _ in range(10)}, {first})

    def test_clients_stay_with_their_group_while_weights_move(self):
        one, two = self.server(), self.server()
        groups = [self.group(one), self.group(two)]

        def action(*weights):
            return {"Type": "forward", "ForwardConfig": {
                "TargetGroups": [{"TargetGroupArn": group, "Weight": weight} for group, weight in zip(groups, weights)],
                "TargetGroupStickinessConfig": {"Enabled": True, "DurationSeconds": 60}}}
        listener = self.listener(action(1, 1))
        harness.wait_until("both are healthy", lambda: all(self.healthy(group) for group in groups))
        harness.wait_until("one is met", lambda: self.ask()[0] == one)
        who, cookies = self.ask()
        while who != one:
            who, cookies = self.ask()
        text = f"AWSALBTG={cookies['AWSALBTG']}"
        self.assertEqual({self.ask(cookies=text)[0] for _ in range(10)}, {one})
        self.elb.modify_listener(ListenerArn=listener, DefaultActions=[action(0, 1)])
        harness.wait_until("it is left", lambda: self.ask(cookies=text)[0] == two)
        self.elb.modify_listener(ListenerArn=listener, DefaultActions=[action(1, 99)])
        harness.wait_until("it is met again", lambda: self.ask(cookies=text)[0] == one)
        found = self.elb.describe_listeners(ListenerArns=[listener])["Listeners"][0]["DefaultActions"][0]
        self.assertEqual(found["ForwardConfig"]["TargetGroupStickinessConfig"], {"Enabled": True, "DurationSeconds": 60})

    def test_a_new_target_serves_within_300_ms(self):
        """With the health check that AWS has by default: 30 s, 5 s, five times."""
        group = self.group()
        self.listener({"Type": "forward", "TargetGroupArn": group})
        harness.wait_until("the listener answers", lambda: self.status() == 503)
        took = []
        for _ in range(20):
            port = self.server()
            began = time.monotonic()
            self.register(group, port)
            while self.ask()[0] != port:
                time.sleep(0.001)
            took.append((time.monotonic() - began) * 1000)
            self.elb.deregister_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": port}])
            harness.wait_until("it is gone", lambda: not self.elb.describe_target_health(
                TargetGroupArn=group)["TargetHealthDescriptions"])
        print(f"   first request served after {statistics.median(took):.0f} ms (median of 20), {max(took):.0f} ms at most")
        self.assertLess(statistics.median(took), 300)

    def status(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        except (ConnectionError, http.client.HTTPException):
            return 0
        finally:
            connection.close()
