# SPDX-License-Identifier: MIT
"""Every deployment strategy to each of its ends, by real processes: boto3 and the AWS CLI with today's model (newest.py) and
naru's own command line start them, hold them, stop them, and wait with their own waiters; HAProxy says who is served.

The four strategies run side by side, each with a service of its own; each test looks at one."""
import concurrent.futures
import unittest
import urllib.request

import botocore.exceptions
from harness import Naru, build_web, free_port, wait_until

OVER = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
PACE = {"Delay": 1, "MaxAttempts": 90}
STRATEGIES = {
    "ROLLING": {},
    "BLUE_GREEN": {"bakeTimeInMinutes": 0},
    "LINEAR": {"bakeTimeInMinutes": 0, "linearConfiguration": {"stepPercent": 50, "stepBakeTimeInMinutes": 0}},
    "CANARY": {"bakeTimeInMinutes": 0, "canaryConfiguration": {"canaryPercent": 50, "canaryBakeTimeInMinutes": 0}},
}
HOOK_STAGES = {"ROLLING": "PRE_SCALE_UP", "BLUE_GREEN": "POST_SCALE_UP", "LINEAR": "PRE_PRODUCTION_TRAFFIC_SHIFT",
               "CANARY": "PRE_PRODUCTION_TRAFFIC_SHIFT"}


class Expected:
    """The block has to raise that."""

    def __init__(self, kind):
        self.kind = kind

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            raise AssertionError(f"{self.kind.__name__} was not raised")
        return issubclass(kind, self.kind)


class Story:
    """One service of one task behind a listener and a pair of target groups."""

    def __init__(self, naru, strategy, images):
        self.naru, self.strategy = naru, strategy
        self.ecs, self.name, self.port = naru.newest(), strategy.lower().replace("_", "-"), free_port()
        self.definitions = {version: self.register(image) for version, image in images.items()}
        self.ends = {}  # what was seen

    def register(self, image):
        return self.ecs.register_task_definition(family=self.name, containerDefinitions=[dict(
            name="web", image=image, memory=32, portMappings=[{"containerPort": 8080}])])["taskDefinition"]["taskDefinitionArn"]

    def balancing(self):
        elb = self.naru.client("elbv2")
        lb = elb.create_load_balancer(Name=self.name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        groups = [elb.create_target_group(
            Name=f"{self.name}-{n}", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="instance", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"] for n in (1, 2)]
        listener = elb.create_listener(
            LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=self.port, DefaultActions=[
                {"Type": "forward", "ForwardConfig": {"TargetGroups": [
                    {"TargetGroupArn": groups[0], "Weight": 1}, {"TargetGroupArn": groups[1], "Weight": 0}]}}],
        )["Listeners"][0]["ListenerArn"]
        return {"targetGroupArn": groups[0], "containerName": "web", "containerPort": 8080,
                "advancedConfiguration": {"alternateTargetGroupArn": groups[1], "productionListenerRule": listener}}

    def create(self):
        self.ecs.create_service(
            cluster="ends", serviceName=self.name, taskDefinition=self.definitions["v1"], desiredCount=1,
            loadBalancers=[self.balancing()], healthCheckGracePeriodSeconds=600,  # "slow" goes on until it is stopped
            deploymentConfiguration=dict(STRATEGIES[self.strategy], strategy=self.strategy, deploymentCircuitBreaker={
                "enable": True, "rollback": True, "thresholdConfiguration": {"type": "COUNT", "value": 2}}))

    def configure(self, **members):
        self.ecs.update_service(cluster="ends", service=self.name, deploymentConfiguration=members)

    def deploy(self, version):
        """Gives the ARN of the service deployment."""
        return self.ecs.update_service(cluster="ends", service=self.name, taskDefinition=self.definitions[version])["service"][
            "currentServiceDeployment"]

    def told(self, arn):
        return self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])["serviceDeployments"][0]

    def end_of(self, arn):
        def over():
            now = self.told(arn)
            return now if now["status"] in OVER else None

        return wait_until(f"the deployment {arn} to be over", over, 90)

    def hold(self, arn):
        """Until it has started a task, which never gets healthy."""
        wait_until("the deployment to start a task", lambda: sum(
            self.told(arn)["targetServiceRevision"][k] for k in ("runningTaskCount", "pendingTaskCount")), 60)

    def waiting_hook(self, arn):
        def waits():
            hooks = self.told(arn).get("lifecycleHookDetails", [])
            return next((h for h in hooks if h["status"] == "AWAITING_ACTION"), None)

        return wait_until("a hook to wait", waits, 60)

    def is_stable(self, **pace):
        self.ecs.get_waiter("services_stable").wait(cluster="ends", services=[self.name], WaiterConfig=dict(PACE, **pace))

    def served(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/", timeout=10) as answer:
            return answer.read().decode().split()[0]

    def keep(self, end, arn):
        """What is seen at an end of a deployment: its status and reason, and the version that is served."""
        done = self.end_of(arn)
        self.ends[end] = (done["status"], done.get("statusReason", ""), self.served())

    # ---- the ends ----

    def run(self):
        self.create()
        self.completed()
        self.by_breaker()
        self.by_hook()
        self.by_hand()
        self.superseded()
        self.stopped()
        return self

    def completed(self):
        self.is_stable()
        self.keep("created", self.ecs.describe_services(cluster="ends", services=[self.name])["services"][0][
            "currentServiceDeployment"])
        arn = self.deploy("v2")
        self.is_stable()
        self.naru.cli("aws", "ecs", "wait", "services-stable", "--cluster", "ends", "--services", self.name)
        self.keep("completed", arn)

    def by_breaker(self):
        arn = self.deploy("crash")
        self.keep("breaker", arn)
        self.is_stable()  # as ECS's waiter does after a rollback; the verdict is the service deployment's

    def by_hook(self):
        self.configure(lifecycleHooks=[{"targetType": "PAUSE", "lifecycleStages": [HOOK_STAGES[self.strategy]]}])
        arn = self.deploy("v1")
        hook = self.waiting_hook(arn)
        if self.strategy == "BLUE_GREEN":
            self.naru.aws_newest("ecs", "continue-service-deployment", "--service-deployment-arn", arn, "--hook-id",
                                 hook["hookId"], "--action", "ROLLBACK")
        else:
            self.ecs.continue_service_deployment(serviceDeploymentArn=arn, hookId=hook["hookId"], action="ROLLBACK")
        self.keep("hook", arn)
        self.configure(lifecycleHooks=[])

    def by_hand(self):
        arn = self.deploy("slow")
        self.hold(arn)
        if self.strategy == "CANARY":
            self.naru.cli("aws", "ecs", "stop-service-deployment", "--service-deployment-arn", arn)
        else:
            self.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
        self.keep("hand", arn)
        self.is_stable()
        with Expected(self.ecs.exceptions.ConflictException):
            self.ecs.stop_service_deployment(serviceDeploymentArn=arn)

    def superseded(self):
        first = self.deploy("slow")
        self.hold(first)
        second = self.deploy("v1")
        self.is_stable()
        self.keep("superseded", first)
        self.keep("superseding", second)

    def stopped(self):
        arn = self.deploy("slow")
        self.hold(arn)
        try:
            self.is_stable(MaxAttempts=2)
            self.ends["waiter"] = "success"
        except botocore.exceptions.WaiterError as error:
            self.ends["waiter"] = str(error)
        if self.strategy == "LINEAR":
            self.naru.aws_newest("ecs", "stop-service-deployment", "--service-deployment-arn", arn, "--stop-type", "ABORT")
        else:
            self.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ABORT")
        self.keep("stopped", arn)
        arn = self.deploy("v2")  # and from there, forward
        self.is_stable()
        self.keep("after", arn)


class Ends(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("ends")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.naru.client("ecr").create_repository(repositoryName="web")
        cls.naru.client("ecs").create_cluster(clusterName="ends")
        images = {version: build_web(cls.naru, version, **environment) for version, environment in {
            "v1": {}, "v2": {}, "crash": {"WEB_EXIT": "1"}, "slow": {"WEB_START_MS": "600000"}}.items()}
        cls.pool = concurrent.futures.ThreadPoolExecutor(len(STRATEGIES))
        cls.addClassCleanup(cls.pool.shutdown)
        stories = {strategy: Story(cls.naru, strategy, images) for strategy in STRATEGIES}
        cls.runs = {strategy: cls.pool.submit(story.run) for strategy, story in stories.items()}

    def check(self, strategy):
        ends = self.runs[strategy].result(timeout=400).ends
        found = {end: (seen[0], seen[2]) for end, seen in ends.items() if end != "waiter"}
        expected = {"created": ("SUCCESSFUL", "v1"), "completed": ("SUCCESSFUL", "v2"),
                    "breaker": ("ROLLBACK_SUCCESSFUL", "v2"), "hook": ("ROLLBACK_SUCCESSFUL", "v2"),
                    "hand": ("ROLLBACK_SUCCESSFUL", "v2"),
                    "superseded": ("STOPPED", "v1"), "superseding": ("SUCCESSFUL", "v1"), "stopped": ("STOPPED", "v1"),
                    "after": ("SUCCESSFUL", "v2")}
        self.assertEqual(found, expected)
        self.assertIn(f"because {HOOK_STAGES[strategy]} lifecycle hook(s) failed", ends["hook"][1])
        self.assertEqual(ends["breaker"][1],
                         "Service deployment rolled back because the circuit breaker threshold was exceeded.")
        self.assertIn("user-initiated", ends["hand"][1])
        self.assertIn("Max attempts exceeded", ends["waiter"])

    def test_rolling(self):
        self.check("ROLLING")

    def test_blue_green(self):
        self.check("BLUE_GREEN")

    def test_linear(self):
        self.check("LINEAR")

    def test_canary(self):
        self.check("CANARY")


class Waiters(unittest.TestCase):
    """Each waiter of ECS: its success, its failures, and its patience. boto3's, the AWS CLI's and ours."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("waiters")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.ecs = cls.naru.client("ecs")
        cls.naru.client("ecr").create_repository(repositoryName="web")
        cls.ecs.create_cluster(clusterName="waits")
        image = build_web(cls.naru, "v1")
        cls.ecs.register_task_definition(family="web", containerDefinitions=[{"name": "web", "image": image, "memory": 32}])
        cls.ecs.register_task_definition(family="never", containerDefinitions=[
            {"name": "web", "image": image, "memory": 32, "dependsOn": [{"containerName": "sick", "condition": "HEALTHY"}]},
            {"name": "sick", "image": image, "memory": 32, "healthCheck": {
                "command": ["CMD", "/nothing"], "interval": 300, "retries": 10}}])

    def wait(self, waiter, attempts=60, **members):
        self.ecs.get_waiter(waiter).wait(cluster="waits", WaiterConfig={"Delay": 1, "MaxAttempts": attempts}, **members)

    def refused(self, waiter, reason, attempts=60, **members):
        with self.assertRaises(botocore.exceptions.WaiterError) as caught:
            self.wait(waiter, attempts, **members)
        self.assertIn(reason, str(caught.exception))

    def command(self, waiter, option, name, code, text=""):
        """The AWS CLI and ours say the same, where they need not wait."""
        args = ("ecs", "wait", waiter, "--cluster", "waits", option, name)
        real, ours = self.naru.aws(*args, check=False), self.naru.cli("aws", *args, check=False)
        self.assertEqual((real.returncode, ours.returncode), (code, code), real.stderr + ours.stdout)
        self.assertIn(text, real.stderr)
        self.assertIn(text, ours.stdout)

    def run_task(self, family="web"):
        return self.ecs.run_task(cluster="waits", taskDefinition=family)["tasks"][0]["taskArn"]

    def test_tasks(self):
        arn, never = self.run_task(), self.run_task("never")
        self.wait("tasks_running", tasks=[arn])
        self.command("tasks-running", "--tasks", arn, 0)
        self.refused("tasks_running", "Max attempts exceeded", 2, tasks=[arn, never])
        self.refused("tasks_stopped", "Max attempts exceeded", 2, tasks=[arn])
        self.refused("tasks_running", "MISSING", tasks=["f" * 32])
        self.command("tasks-running", "--tasks", "f" * 32, 255, "Waiter TasksRunning failed")
        for task in (arn, never):
            self.ecs.stop_task(cluster="waits", task=task)
        self.wait("tasks_stopped", tasks=[arn, never])
        self.command("tasks-stopped", "--tasks", arn, 0)
        self.refused("tasks_running", "STOPPED", tasks=[arn])
        self.command("tasks-running", "--tasks", arn, 255, "Waiter TasksRunning failed")

    def test_services(self):
        self.ecs.create_service(cluster="waits", serviceName="s", taskDefinition="web", desiredCount=1)
        self.ecs.create_service(cluster="waits", serviceName="none", taskDefinition="web", desiredCount=0)
        self.refused("services_inactive", "Max attempts exceeded", 2, services=["s"])
        self.wait("services_stable", services=["s", "none"])
        self.command("services-stable", "--services", "s", 0)
        self.refused("services_stable", "MISSING", services=["never"])
        self.refused("services_inactive", "MISSING", services=["never"])
        self.command("services-inactive", "--services", "never", 255, "Waiter ServicesInactive failed")
        self.ecs.update_service(cluster="waits", service="s", taskDefinition="never")
        self.refused("services_stable", "Max attempts exceeded", 2, services=["s"])
        self.ecs.delete_service(cluster="waits", service="s", force=True)
        self.wait("services_inactive", services=["s"])
        self.command("services-inactive", "--services", "s", 0)
        self.refused("services_stable", "INACTIVE", services=["s"])
        self.command("services-stable", "--services", "s", 255, "Waiter ServicesStable failed")


if __name__ == "__main__":
    unittest.main()
