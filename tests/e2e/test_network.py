# SPDX-License-Identifier: MIT
"""A network load balancer in front of a real service that speaks TCP and nothing else (tests/e2e/echo.c)."""
import json
import os
import socket
import subprocess
import threading
import time
import unittest

import harness
from harness import Naru, wait_until


def build_echo(naru, version):
    folder = harness.ROOT / "echo"
    folder.mkdir(exist_ok=True)
    subprocess.run(["gcc", "-static", "-O2", "-pthread", "-o", str(folder / "echo"), str(harness.TOP / "tests/e2e/echo.c")],
                   check=True)
    (folder / "Dockerfile").write_text(f"FROM scratch\nCOPY echo /echo\nENV ECHO_VERSION={version}\nEXPOSE 8080\n"
                                       'ENTRYPOINT ["/echo"]\n')
    image = f"localhost:{naru.port}/echo:{version}"
    harness.DOCKER.run("build", "-q", "-t", image, str(folder), env={"DOCKER_BUILDKIT": "0"})
    harness.login(naru)
    harness.DOCKER.run("push", "-q", image)
    return image


class Client:
    """One connection."""
    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        self.file = self.socket.makefile("r")
        self.version = self.file.readline().strip()
        if not self.version:
            raise ConnectionError("closed without a word")

    def ask(self, word):
        self.socket.sendall(word.encode() + b"\n")
        return self.file.readline().strip()

    def close(self):
        self.file.close()
        self.socket.close()


class Short(threading.Thread):
    """New connections, one after the other, each with three questions; every one that fails is kept."""
    def __init__(self, port):
        super().__init__(daemon=True)
        self.port, self.count, self.failures, self.versions, self.ends = port, 0, [], set(), False
        self.start()

    def run(self):
        while not self.ends:
            try:
                client = Client(self.port)
                for i in range(3):
                    answer = client.ask(f"word-{i}")
                    if answer != f"{client.version} word-{i}":
                        self.failures.append(answer)
                client.close()
                self.versions.add(client.version)
            except OSError as error:
                self.failures.append(repr(error))
            self.count += 1

    def stop(self):
        self.ends = True
        self.join()


class Network(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("network")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.ecs, cls.elb, cls.port = cls.naru.client("ecs"), cls.naru.client("elbv2"), cls.naru.listener_port
        cls.naru.client("ecr").create_repository(repositoryName="echo")
        cls.ecs.create_cluster(clusterName="test")
        cls.lb = json.loads(cls.naru.aws("elbv2", "create-load-balancer", "--name", "echo", "--type", "network", "--subnets",
                                         "subnet-1").stdout)["LoadBalancers"][0]["LoadBalancerArn"]
        cls.group = json.loads(cls.naru.aws(
            "elbv2", "create-target-group", "--name", "echo", "--protocol", "TCP", "--port", "80", "--vpc-id", "vpc-1",
            "--health-check-interval-seconds", "5", "--health-check-timeout-seconds", "2").stdout)["TargetGroups"][0]["TargetGroupArn"]
        cls.naru.aws("elbv2", "create-listener", "--load-balancer-arn", cls.lb, "--protocol", "TCP", "--port", str(cls.port),
                     "--default-actions", f"Type=forward,TargetGroupArn={cls.group}")
        cls.delay(30)
        cls.register("v1")
        cls.ecs.create_service(
            cluster="test", serviceName="echo", taskDefinition="echo", desiredCount=2,
            loadBalancers=[{"targetGroupArn": cls.group, "containerName": "echo", "containerPort": 8080}],
            deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 200})
        cls.wait_stable()

    @classmethod
    def delay(cls, seconds, **others):
        attributes = {"deregistration_delay.timeout_seconds": str(seconds), **others}
        cls.elb.modify_target_group_attributes(TargetGroupArn=cls.group, Attributes=[
            {"Key": k, "Value": v} for k, v in attributes.items()])

    @classmethod
    def register(cls, version):
        cls.ecs.register_task_definition(family="echo", containerDefinitions=[dict(
            name="echo", image=build_echo(cls.naru, version), memory=64, cpu=10, essential=True,
            portMappings=[{"containerPort": 8080}], stopTimeout=60)])

    @classmethod
    def wait_stable(cls):
        def stable():
            s = cls.ecs.describe_services(cluster="test", services=["echo"])["services"][0]
            return len(s["deployments"]) == 1 and s["runningCount"] == s["desiredCount"] and \
                s["deployments"][0]["rolloutState"] == "COMPLETED"

        wait_until("the service to be stable", stable, 90)

    def deploy(self, version):
        self.register(version)
        self.ecs.update_service(cluster="test", service="echo", taskDefinition="echo")

    def test_a_deployment_loses_no_connection(self):
        before = Client(self.port).version
        held = [Client(self.port) for _ in range(4)]
        short = Short(self.port)
        self.deploy("v2")
        wait_until("new connections to meet v2", lambda: Client(self.port).version == "v2", 60)
        for i in range(40):  # who is connected stays with whom he has
            for client in held:
                self.assertEqual(client.ask(f"still-{i}"), f"{before} still-{i}")
            time.sleep(0.05)
        for client in held:
            client.close()
        self.wait_stable()
        short.stop()
        self.assertEqual(short.failures, [])
        self.assertGreater(short.count, 100)
        self.assertEqual(short.versions, {before, "v2"})
        self.assertEqual({Client(self.port).version for _ in range(8)}, {"v2"})
        states = [t["TargetHealth"]["State"] for t in
                  self.elb.describe_target_health(TargetGroupArn=self.group)["TargetHealthDescriptions"]]
        self.assertEqual(states, ["healthy", "healthy"])

    def test_connections_end_with_the_delay_where_that_is_wanted(self):
        self.delay(3, **{"deregistration_delay.connection_termination.enabled": "true"})
        self.addCleanup(self.delay, 30, **{"deregistration_delay.connection_termination.enabled": "false"})
        client = Client(self.port)
        self.deploy("v3")
        wait_until("new connections to meet v3", lambda: Client(self.port).version == "v3", 60)
        self.assertTrue(client.ask("still").endswith(" still"))
        client.socket.settimeout(30)
        self.assertEqual(client.file.readline(), "")  # cut
        self.wait_stable()

    def test_kill_9_of_naru_is_not_felt(self):
        client, short = Client(self.port), Short(self.port)
        self.naru.kill()
        self.assertTrue(client.ask("alone").endswith(" alone"))
        self.naru.start()
        self.wait_stable()
        self.assertTrue(client.ask("again").endswith(" again"))
        short.stop()
        client.close()
        self.assertEqual(short.failures, [])


if __name__ == "__main__":
    unittest.main()
