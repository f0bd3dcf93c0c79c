# SPDX-License-Identifier: MIT
"""Task sets of a real service behind a real HAProxy, under load: an external deployer (boto3, the AWS CLI, naru aws) goes
from one task set to the next and back by the weights of a listener, and no request is lost."""
import json
import unittest

import botocore.exceptions

from harness import Load, Naru, WebService, build_web, wait_until


class ExternalDeployer(unittest.TestCase):
    """One service of two tasks with the deployment controller EXTERNAL, two target groups and a listener."""

    def setUp(self):
        self.naru = Naru("sets")
        self.addCleanup(lambda: self.naru.__exit__())
        self.naru.start()
        self.web = WebService(self.naru)
        self.ecs, self.elb = self.web.ecs, self.web.elb
        self.definitions = {v: self.web.register(build_web(self.naru, v)) for v in ("v1", "v2")}
        self.ecs.create_cluster(clusterName="test")
        lb = self.elb.create_load_balancer(Name="web", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        self.groups = {name: self.group(name) for name in ("blue", "green")}
        self.listener = self.elb.create_listener(
            LoadBalancerArn=lb, Protocol="HTTP", Port=self.naru.listener_port,
            DefaultActions=self.forward("blue"))["Listeners"][0]["ListenerArn"]
        made = self.ecs.create_service(cluster="test", serviceName="web", desiredCount=2,
                                       deploymentController={"type": "EXTERNAL"})["service"]
        self.assertEqual(made["deploymentController"], {"type": "EXTERNAL"})
        self.assertEqual((made["taskSets"], made["deployments"]), ([], []))

    def group(self, name):
        arn = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="instance", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
        return arn

    def forward(self, to):
        return [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
            {"TargetGroupArn": arn, "Weight": int(name == to)} for name, arn in self.groups.items()]}}]

    def lead_to(self, name):
        self.elb.modify_listener(ListenerArn=self.listener, DefaultActions=self.forward(name))

    def create(self, version, group, scale=100.0, **members):
        return self.ecs.create_task_set(
            cluster="test", service="web", taskDefinition=self.definitions[version], externalId=version, launchType="EC2",
            loadBalancers=[{"targetGroupArn": self.groups[group], "containerName": "web", "containerPort": 8080}],
            scale={"value": scale, "unit": "PERCENT"}, **members)["taskSet"]

    def shown(self, task_set):
        answer = self.ecs.describe_task_sets(cluster="test", service="web", taskSets=[task_set["id"]])
        return answer["taskSets"][0] if answer["taskSets"] else answer["failures"][0]

    def wait_steady(self, task_set, count):
        def steady():
            now = self.shown(task_set)
            return now if now["stabilityStatus"] == "STEADY_STATE" and now["runningCount"] == count else None

        return wait_until(f"{task_set['id']} to be steady with {count}", steady, 60)

    def promote(self, task_set):
        return self.ecs.update_service_primary_task_set(cluster="test", service="web", primaryTaskSet=task_set["taskSetArn"])["taskSet"]

    def scale(self, task_set, value):
        return self.ecs.update_task_set(cluster="test", service="web", taskSet=task_set["id"],
                                        scale={"value": value, "unit": "PERCENT"})["taskSet"]

    def delete(self, task_set, **members):
        return self.ecs.delete_task_set(cluster="test", service="web", taskSet=task_set["id"], **members)["taskSet"]

    def wait_gone(self, task_set):
        wait_until(f"{task_set['id']} to be gone", lambda: self.shown(task_set).get("reason") == "MISSING", 60)

    def first(self):
        blue = self.create("v1", "blue")
        self.wait_steady(blue, 2)
        self.promote(blue)
        return blue

    def check_load(self, load):
        result = load.stop()
        self.assertEqual(result["failed"], "0", load.output[-3000:])
        self.assertGreaterEqual(int(result["requests"]), 500, load.output[-2000:])
        print(f"\n  0 failed of {result['requests']} requests")

    def test_blue_green_and_back_under_load(self):
        blue = self.first()
        self.assertEqual(self.web.version(), "v1")
        with Load(self.naru) as load:
            green = self.create("v2", "green")
            self.assertEqual((green["status"], green["computedDesiredCount"]), ("ACTIVE", 2))
            self.wait_steady(green, 2)
            self.assertEqual({self.web.version() for _ in range(20)}, {"v1"})  # nobody was led there yet
            self.lead_to("green")
            self.assertEqual(self.promote(green)["status"], "PRIMARY")
            self.assertEqual(self.scale(blue, 0.0)["computedDesiredCount"], 0)
            self.wait_steady(blue, 0)
            self.assertEqual({self.web.version() for _ in range(20)}, {"v2"})
            service = self.web.describe()
            self.assertEqual(service["taskDefinition"], self.definitions["v2"])
            self.assertEqual([s["status"] for s in service["taskSets"]], ["PRIMARY", "ACTIVE"])
            self.scale(blue, 100.0)  # and back, before it was deleted
            self.wait_steady(blue, 2)
            self.lead_to("blue")
            self.promote(blue)
            self.assertEqual(self.delete(green, force=True)["status"], "DRAINING")
            self.wait_gone(green)
            self.assertEqual({self.web.version() for _ in range(20)}, {"v1"})
            self.check_load(load)
        self.assertEqual({t["startedBy"] for t in self.web.tasks()}, {blue["id"]})
        self.assertEqual({t["group"] for t in self.web.tasks()}, {"service:web"})

    def test_the_sets_outlive_naru(self):
        blue = self.first()
        with Load(self.naru) as load:
            green = self.create("v2", "green", clientToken="once")
            self.naru.kill()
            self.naru.start()
            self.assertEqual(self.create("v2", "green", clientToken="once")["id"], green["id"])
            self.wait_steady(green, 2)
            self.lead_to("green")
            self.promote(green)
            self.delete(blue, force=True)
            self.naru.kill()  # while it drains
            self.naru.start()
            self.wait_gone(blue)
            self.assertEqual(self.web.version(), "v2")
            self.check_load(load)
        self.assertEqual([s["id"] for s in self.web.describe()["taskSets"]], [green["id"]])

    def test_the_size_follows_the_service_and_what_dies_is_replaced(self):
        blue = self.first()
        half = self.create("v2", "blue", 50.0)  # both in one group: one task in three is new
        self.wait_steady(half, 1)
        self.assertEqual({self.web.version() for _ in range(60)}, {"v1", "v2"})
        self.web.update(desiredCount=3)
        self.wait_steady(blue, 3)
        self.assertEqual(self.wait_steady(half, 2)["computedDesiredCount"], 2)
        victim = next(t for t in self.web.tasks() if t["startedBy"] == half["id"])
        self.ecs.stop_task(cluster="test", task=victim["taskArn"])
        wait_until("another task", lambda: victim["taskArn"] not in [
            t["taskArn"] for t in self.web.tasks() if t["desiredStatus"] == "RUNNING"], 30)
        self.wait_steady(half, 2)
        self.web.update(desiredCount=0)
        self.wait_steady(blue, 0)
        self.ecs.delete_service(cluster="test", service="web")
        wait_until("the end", lambda: self.web.describe()["status"] == "INACTIVE", 60)

    def test_both_command_lines_know_them(self):
        place = ["--cluster", "test", "--service", "web"]
        made = json.loads(self.naru.aws(
            "ecs", "create-task-set", *place, "--task-definition", "web:1", "--external-id", "one",
            "--scale", "value=50,unit=PERCENT", "--tags", "key=a,value=b", "--launch-type", "EC2", "--output", "json").stdout)["taskSet"]
        self.assertEqual((made["computedDesiredCount"], made["scale"]), (1, {"value": 50.0, "unit": "PERCENT"}))
        self.wait_steady(made, 1)

        def ours(operation, *args):
            return json.loads(self.naru.cli("aws", "ecs", operation, *place, *args, "--output", "json").stdout)

        self.assertEqual(ours("update-task-set", "--task-set", made["id"], "--scale", "value=100,unit=PERCENT")
                         ["taskSet"]["computedDesiredCount"], 2)
        self.wait_steady(made, 2)
        self.assertEqual(ours("update-service-primary-task-set", "--primary-task-set", made["id"])["taskSet"]["status"],
                         "PRIMARY")
        seen = ours("describe-task-sets", "--task-sets", made["id"], "--include", "TAGS")["taskSets"][0]
        self.assertEqual(seen["tags"], [{"key": "a", "value": "b"}])
        theirs = json.loads(self.naru.aws("ecs", "describe-task-sets", *place, "--include", "TAGS", "--output", "json").stdout)
        for answer in (seen, theirs["taskSets"][0]):
            for time in ("createdAt", "updatedAt", "stabilityStatusAt"):
                answer.pop(time)  # each command line writes times in its own way
        self.assertEqual(theirs["taskSets"], [seen])
        status = self.naru.cli("status").stdout
        self.assertIn("EXTERNAL", status)
        self.assertIn(f"  {made['id']}", status)
        self.assertIn("PRIMARY STEADY_STATE", status)
        shown = json.loads(self.naru.cli("status", "--output", "json").stdout)["services"][0]["taskSets"]
        self.assertEqual([(s["id"], s["runningCount"], s["taskDefinition"]) for s in shown], [(made["id"], 2, "web:1")])
        refused = self.naru.cli("deploy", "--service", "web", "--cluster", "test", "--image", "web:v2", check=False)
        self.assertEqual(refused.returncode, 2, refused.stdout)
        self.assertIn("deployment controller EXTERNAL", refused.stdout)
        for command in (["explain", "web"], ["plan", "--service", "web"]):
            refused = self.naru.cli(*command, "--cluster", "test", check=False)
            self.assertEqual(refused.returncode, 2, refused.stdout)
            self.assertIn("deployment controller EXTERNAL", refused.stdout)
        refused = self.naru.aws("ecs", "update-service", *place, "--task-definition", "web:2", check=False)
        self.assertIn("InvalidParameterException", refused.stderr)
        refused = self.naru.aws("ecs", "delete-task-set", *place, "--task-set", made["id"], check=False)
        self.assertIn("cannot be deleted while it is scaled above 0", refused.stderr)
        with self.assertRaises(self.ecs.exceptions.TaskSetNotFoundException):
            self.scale({"id": "ecs-svc/1"}, 1.0)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.create("v1", "blue", 101.0)
        self.assertEqual(caught.exception.response["Error"]["Code"], "InvalidParameterException")
        self.naru.aws("ecs", "delete-task-set", *place, "--task-set", made["id"], "--force")
        self.wait_gone(made)
