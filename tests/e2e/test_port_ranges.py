# SPDX-License-Identifier: MIT
"""Tasks with a range of ports, behind Docker's own ports and under addresses of their own."""
import pathlib
import unittest

import harness


class PortRanges(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = harness.Naru("ranges")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.naru.client("ecr").create_repository(repositoryName="web")
        cls.image = harness.build_web(cls.naru, "v1", WEB_PORTS="4")
        cls.ecs = cls.naru.newest()
        cls.ecs.create_cluster(clusterName="test")

    def register(self, mode, more=()):
        return self.ecs.register_task_definition(family=mode, networkMode=mode, containerDefinitions=[dict(
            name="web", image=self.image, memory=64, cpu=10,
            portMappings=[{"containerPort": 8080}, {"containerPortRange": "8081-8083"},
                          {"containerPortRange": "53-54", "protocol": "udp"}, *more])])["taskDefinition"]

    def run_tasks(self, mode, count, **members):
        arns = [t["taskArn"] for t in self.ecs.run_task(cluster="test", taskDefinition=mode, count=count, **members)["tasks"]]
        harness.wait_until(f"{count} tasks to run", lambda: all(t["lastStatus"] == "RUNNING" for t in self.tasks(arns)))
        return arns

    def tasks(self, arns):
        return self.ecs.describe_tasks(cluster="test", tasks=arns)["tasks"]

    def bindings(self, arns):
        return [sorted(t["containers"][0]["networkBindings"], key=lambda b: b.get("containerPortRange", ""))
                for t in self.tasks(arns)]

    def stop(self, arns):
        for arn in arns:
            self.ecs.stop_task(cluster="test", task=arn)
        harness.wait_until("the tasks to stop", lambda: all(t["lastStatus"] == "STOPPED" for t in self.tasks(arns)))

    def port(self, address, port):
        """Which port of the container answers there."""
        return int(harness.fetch(f"http://{address}:{port}/port"))

    def test_a_row_of_host_ports_leads_to_the_range(self):
        mappings = self.register("bridge")["containerDefinitions"][0]["portMappings"]
        self.assertEqual(mappings, [{"containerPort": 8080, "hostPort": 0, "protocol": "tcp"},
                                    {"containerPortRange": "8081-8083", "protocol": "tcp"},
                                    {"containerPortRange": "53-54", "protocol": "udp"}])
        arns = self.run_tasks("bridge", 3)
        low, high = map(int, pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
        taken, before = set(), self.bindings(arns)
        for single, udp, tcp in before:
            self.assertEqual(self.port("127.0.0.1", single["hostPort"]), 8080)
            self.assertEqual((udp["containerPortRange"], udp["protocol"]), ("53-54", "udp"))
            self.assertEqual((tcp["containerPortRange"], tcp["protocol"], tcp["bindIP"]), ("8081-8083", "tcp", "0.0.0.0"))
            self.assertNotIn("hostPort", tcp)
            first, last = map(int, tcp["hostPortRange"].split("-"))
            self.assertEqual(last - first, 2)
            self.assertTrue(low <= first and last <= high, (low, first, last, high))
            self.assertEqual([self.port("127.0.0.1", p) for p in range(first, last + 1)], [8081, 8082, 8083])
            taken |= set(range(first, last + 1))
        self.assertEqual(len(taken), 9)

        # The store and a new look at Docker agree with it.
        self.naru.kill()
        self.naru.start()
        self.assertEqual(self.bindings(arns), before)
        self.stop(arns[:1])
        self.assertEqual(self.bindings(arns[1:]), before[1:])
        self.stop(arns[1:])

    def test_a_hundred_mappings_are_shown(self):
        ranges = [f"{p}-{p + 1}" for p in range(1000, 1100, 2)]
        self.register("bridge", [{"containerPortRange": r} for r in ranges] + [{"containerPort": p} for p in range(2000, 2047)])
        arns = self.run_tasks("bridge", 1)
        shown = self.bindings(arns)[0]
        self.assertEqual(len(shown), 100)
        self.assertLessEqual(set(ranges), {b.get("containerPortRange") for b in shown})
        self.naru.kill()
        self.naru.start()
        self.assertEqual(self.bindings(arns)[0], shown)
        self.stop(arns)

    def test_a_service_is_planned_and_rolled_with_it(self):
        self.register("bridge")
        self.ecs.create_service(cluster="test", serviceName="many", taskDefinition="bridge", desiredCount=1)
        harness.wait_until("the task to run", lambda: self.service()["runningCount"] == 1)
        new = self.register("bridge")["taskDefinitionArn"]
        plan = self.naru.cli("plan", "--service", "many", "--cluster", "test", "--task-definition", new)
        self.assertIn("completed", plan.stdout)
        old = self.ecs.list_tasks(cluster="test", serviceName="many")["taskArns"]
        self.ecs.update_service(cluster="test", service="many", taskDefinition=new,
                                deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100})
        harness.wait_until("the new task", lambda: self.service()["runningCount"] == 1 and
                           self.ecs.list_tasks(cluster="test", serviceName="many")["taskArns"] != old)
        self.ecs.delete_service(cluster="test", service="many", force=True)
        harness.wait_until("the service to be gone", lambda: self.service()["status"] == "INACTIVE")

    def service(self):
        return self.ecs.describe_services(cluster="test", services=["many"])["services"][0]

    def test_an_address_of_its_own_has_the_range_itself(self):
        self.register("awsvpc")
        arns = self.run_tasks("awsvpc", 2, networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}})
        for task, (udp, tcp) in zip(self.tasks(arns), self.bindings(arns)):
            self.assertEqual((tcp["containerPortRange"], tcp["hostPortRange"]), ("8081-8083", "8081-8083"))
            self.assertEqual((udp["containerPortRange"], udp["hostPortRange"], udp["protocol"]), ("53-54", "53-54", "udp"))
            address = task["containers"][0]["networkInterfaces"][0]["privateIpv4Address"]
            self.assertEqual([self.port(address, p) for p in (8080, 8081, 8083)], [8080, 8081, 8083])
        self.stop(arns)


if __name__ == "__main__":
    unittest.main()
