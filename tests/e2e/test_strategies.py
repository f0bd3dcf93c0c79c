# SPDX-License-Identifier: MIT
"""Blue/green and canary deployments of a real service behind a real HAProxy, under load: traffic moves by weights,
people answer the hooks, and no request is lost, neither forward nor back."""
import unittest
import urllib.request

import harness
from harness import Load, Naru, WebService, build_web, free_port, wait_until


class MovingTraffic(unittest.TestCase):
    """One service of two tasks with two target groups, a production and a test listener."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("moving")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.web = WebService(cls.naru, count=2)
        cls.images = {v: build_web(cls.naru, v) for v in ("v1", "v2")}
        cls.create()

    @classmethod
    def create(cls):
        web, elb = cls.web, cls.web.elb
        web.ecs.create_cluster(clusterName="test")
        lb = elb.create_load_balancer(Name="web", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        cls.groups = [cls.group(elb, name) for name in ("one", "two")]
        cls.test_port = free_port()
        cls.listeners = [cls.listener(elb, lb, port) for port in (cls.naru.listener_port, cls.test_port)]
        web.register(cls.images["v1"])
        cls.naru.ecs(
            "CreateService", cluster="test", serviceName="web", taskDefinition="web", desiredCount=2,
            loadBalancers=[{"targetGroupArn": cls.groups[0], "containerName": "web", "containerPort": 8080,
                            "advancedConfiguration": {"alternateTargetGroupArn": cls.groups[1],
                                                      "productionListenerRule": cls.listeners[0],
                                                      "testListenerRule": cls.listeners[1]}}],
            deploymentConfiguration={"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 0})
        cls.wait_for("SUCCESSFUL")

    @classmethod
    def group(cls, elb, name):
        arn = elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="instance", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2, UnhealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        elb.modify_target_group_attributes(TargetGroupArn=arn, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
        return arn

    @classmethod
    def listener(cls, elb, lb, port):
        forward = {"TargetGroups": [{"TargetGroupArn": cls.groups[0], "Weight": 1},
                                    {"TargetGroupArn": cls.groups[1], "Weight": 0}]}
        return elb.create_listener(LoadBalancerArn=lb, Protocol="HTTP", Port=port, DefaultActions=[
            {"Type": "forward", "ForwardConfig": forward}])["Listeners"][0]["ListenerArn"]

    @classmethod
    def current(cls):
        arn = cls.naru.ecs("DescribeServices", cluster="test", services=["web"])["services"][0]["currentServiceDeployment"]
        return cls.naru.ecs("DescribeServiceDeployments", serviceDeploymentArns=[arn])["serviceDeployments"][0]

    @classmethod
    def wait_for(cls, status, timeout=60):
        def is_there():
            now = cls.current()
            if now["status"] != status and now["status"] in ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED"):
                raise AssertionError(f"{now['status']}: {now.get('statusReason')}")
            return now if now["status"] == status else None

        return wait_until(f"the deployment to be {status}", is_there, timeout)

    def wait_for_hook(self):
        def waits():
            hooks = self.current().get("lifecycleHookDetails", [])
            return next((h for h in hooks if h["status"] == "AWAITING_ACTION"), None)

        return wait_until("a hook to wait", waits, 60)

    def answer(self, hook, action="CONTINUE"):
        self.naru.ecs("ContinueServiceDeployment", serviceDeploymentArn=self.current()["serviceDeploymentArn"],
                      hookId=hook["hookId"], action=action)

    def begin(self, version, **configuration):
        """Deploys the version by that deploymentConfiguration."""
        definition = self.web.register(self.images[version])
        self.naru.ecs("UpdateService", cluster="test", service="web", deploymentConfiguration=configuration)
        self.naru.ecs("UpdateService", cluster="test", service="web", taskDefinition=definition)

    def other_version(self):
        return "v2" if self.web.version() == "v1" else "v1"

    def share_of(self, version, requests=200):
        return sum(self.web.version() == version for _ in range(requests)) / requests

    def version_under_test(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.test_port}/", timeout=10) as answer:
            return answer.read().decode().split()[0]

    def check_load(self, load, at_least=500):
        result = load.stop()
        self.assertEqual(result["failed"], "0", load.output[-3000:])
        self.assertGreaterEqual(int(result["requests"]), at_least, load.output[-2000:])
        print(f"\n  0 failed of {result['requests']} requests")

    def test_blue_green_after_a_look_at_the_test_listener(self):
        before, after = self.web.version(), self.other_version()
        with Load(self.naru) as load:
            self.begin(after, strategy="BLUE_GREEN", bakeTimeInMinutes=0, lifecycleHooks=[
                {"targetType": "PAUSE", "lifecycleStages": ["POST_TEST_TRAFFIC_SHIFT"]}])
            hook = self.wait_for_hook()
            self.assertEqual(self.current()["lifecycleStage"], "POST_TEST_TRAFFIC_SHIFT")
            self.assertEqual(self.version_under_test(), after)
            self.assertEqual(self.share_of(before, 50), 1)
            self.naru.cli("aws", "ecs", "continue-service-deployment", "--service-deployment-arn",
                          self.current()["serviceDeploymentArn"], "--hook-id", hook["hookId"])
            self.wait_for("SUCCESSFUL")
            self.assertEqual(self.share_of(after, 50), 1)
            self.check_load(load)

    def test_blue_green_again_and_again(self):
        with Load(self.naru) as load:
            for _ in range(20 if harness.SOAK else 4):
                self.begin(self.other_version(), strategy="BLUE_GREEN", bakeTimeInMinutes=0, lifecycleHooks=[])
                self.wait_for("SUCCESSFUL")
            self.check_load(load)

    def test_a_canary_gets_its_tenth_and_then_all(self):
        after = self.other_version()
        with Load(self.naru) as load:
            self.begin(after, strategy="CANARY", canaryConfiguration={"canaryPercent": 10, "canaryBakeTimeInMinutes": 0},
                       bakeTimeInMinutes=0, lifecycleHooks=[
                           {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}])
            self.answer(self.wait_for_hook())
            hook = self.wait_for_hook()
            self.assertEqual(self.current()["targetServiceRevision"]["requestedProductionTrafficWeight"], 10)
            share = self.share_of(after)
            self.assertTrue(0.05 <= share <= 0.15, share)
            self.answer(hook)
            self.wait_for("SUCCESSFUL")
            self.assertEqual(self.share_of(after, 50), 1)
            self.check_load(load)

    def test_half_of_the_traffic_comes_back_and_naru_dies_on_the_way(self):
        before, after = self.web.version(), self.other_version()
        with Load(self.naru) as load:
            self.begin(after, strategy="CANARY", canaryConfiguration={"canaryPercent": 50, "canaryBakeTimeInMinutes": 0},
                       bakeTimeInMinutes=0, lifecycleHooks=[
                           {"targetType": "PAUSE", "lifecycleStages": ["PRE_PRODUCTION_TRAFFIC_SHIFT"]}])
            self.answer(self.wait_for_hook())
            self.wait_for_hook()
            self.naru.kill()
            self.assertTrue(0.3 <= self.share_of(after, 100) <= 0.7)  # HAProxy does not need naru
            self.naru.start()
            hook = self.wait_for_hook()
            self.answer(hook, "ROLLBACK")
            self.naru.kill()
            self.naru.start()
            done = self.wait_for("ROLLBACK_SUCCESSFUL")
            self.assertIn("PRE_PRODUCTION_TRAFFIC_SHIFT lifecycle hook(s) failed", done["statusReason"])
            self.assertEqual(self.share_of(before, 50), 1)
            self.check_load(load)
        self.assertEqual(len([t for t in self.web.tasks() if t["lastStatus"] == "RUNNING"]), 2)

    def test_a_version_that_never_gets_healthy_never_gets_traffic(self):
        before = self.web.version()
        self.images["bad"] = build_web(self.naru, "bad", WEB_HEALTH="500")
        with Load(self.naru) as load:
            self.begin("bad", strategy="BLUE_GREEN", bakeTimeInMinutes=5, lifecycleHooks=[],
                       deploymentCircuitBreaker={"enable": True, "rollback": True})
            self.wait_for("ROLLBACK_SUCCESSFUL", 120)
            self.assertEqual(self.share_of(before, 50), 1)
            self.check_load(load)
