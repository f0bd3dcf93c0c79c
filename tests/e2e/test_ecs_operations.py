# SPDX-License-Identifier: MIT
"""Task protection, deletion of definitions, account and cluster settings: boto3, the real AWS CLI and ours."""
import json
import time
import unittest

import botocore.exceptions
import harness
from harness import Load, Naru, WebService, build_web, wait_until


class Operations(unittest.TestCase):
    """One service of two tasks; each test leaves it stable."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("operations")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.ecs = cls.naru.client("ecs")
        cls.web = WebService(cls.naru, count=2)
        cls.images = [build_web(cls.naru, v) for v in ("v1", "v2")]
        cls.web.create(cls.images[0])
        cls.web.wait_stable()

    def ours(self, *args):
        """naru aws ecs ...: it knows what the packaged clients are too old for."""
        return json.loads(self.naru.cli("aws", "ecs", *args).stdout)

    def test_a_deployment_waits_for_a_protected_task(self):
        arn = self.web.tasks()[0]["taskArn"]
        answer = self.ecs.update_task_protection(cluster="test", tasks=[arn], protectionEnabled=True,
                                                 expiresInMinutes=5)
        self.assertEqual(answer["failures"], [])
        left = answer["protectedTasks"][0]["expirationDate"].timestamp() - time.time()
        self.assertTrue(290 < left < 301, left)
        old = self.web.primary()["id"]
        with Load(self.naru) as load:
            new = self.web.update(taskDefinition=self.web.register(self.images[1]))["deployments"][0]["id"]
            text = (f"(service web) was unable to reach steady state because task set ({old}) was unable to scale in. "
                    "Reason: The number of protected tasks are more than the desired count of tasks.")
            wait_until("the service to say what it waits for", lambda: text in self.web.events())
            self.assertEqual(self.web.primary()["rolloutState"], "IN_PROGRESS")
            self.assertIn(arn, [t["taskArn"] for t in self.web.tasks()])
            blocked = self.ecs.update_task_protection(cluster="test", tasks=[arn], protectionEnabled=True)
            self.assertEqual(blocked["failures"][0]["reason"], "DEPLOYMENT_BLOCKED")
            done = self.naru.aws("ecs", "get-task-protection", "--cluster", "test", "--output", "json")
            self.assertEqual([t["taskArn"] for t in json.loads(done.stdout)["protectedTasks"]], [arn])
            self.naru.aws("ecs", "update-task-protection", "--cluster", "test", "--tasks", arn,
                          "--no-protection-enabled")
            stable = self.web.wait_stable()
            self.assertEqual(stable["deployments"][0]["id"], new)
            self.assertEqual(load.stop()["failed"], "0", load.output[-2000:])

    def test_a_definition_goes_once_nothing_runs_from_it(self):
        spare = self.ecs.register_task_definition(
            family="spare", containerDefinitions=[{"name": "a", "image": self.images[0], "memory": 16}])
        name = spare["taskDefinition"]["taskDefinitionArn"]
        task = self.ecs.run_task(cluster="test", taskDefinition=name)["tasks"][0]["taskArn"]
        self.ecs.get_waiter("tasks_running").wait(cluster="test", tasks=[task], WaiterConfig={"Delay": 1})
        self.assertIn("ACTIVE", self.ours("delete-task-definitions", "--task-definitions", name)["failures"][0]["reason"])
        self.ecs.deregister_task_definition(taskDefinition=name)
        gone = self.ours("delete-task-definitions", "--task-definitions", name)["taskDefinitions"][0]
        self.assertEqual(gone["status"], "DELETE_IN_PROGRESS")
        time.sleep(2)
        self.assertEqual(self.ours("list-task-definitions", "--status", "DELETE_IN_PROGRESS")["taskDefinitionArns"], [name])
        self.ecs.stop_task(cluster="test", task=task)
        wait_until("the definition to be gone", lambda: not self.ours(
            "list-task-definitions", "--status", "DELETE_IN_PROGRESS")["taskDefinitionArns"], 30)
        with self.assertRaises(self.ecs.exceptions.ClientException):
            self.ecs.describe_task_definition(taskDefinition=name)
        self.naru.kill()  # and nobody misses it after a restart
        self.naru.start()
        found = self.ecs.describe_tasks(cluster="test", tasks=[task])["tasks"][0]
        self.assertEqual((found["taskDefinitionArn"], found["lastStatus"]), (name, "STOPPED"))

    def test_secrets_are_those_that_naru_keeps(self):
        """A definition as it comes from AWS: a secret's ARN with six characters behind the name, and a parameter."""
        arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:prod/db-Ab12Cd:password::"
        definition = self.ecs.register_task_definition(family="secretive", containerDefinitions=[{
            "name": "a", "image": self.images[0], "memory": 16,
            "secrets": [{"name": "DB_PASSWORD", "valueFrom": arn}, {"name": "TOKEN", "valueFrom": "/prod/token"}]}])
        name = definition["taskDefinition"]["taskDefinitionArn"]

        def run():
            return self.ecs.run_task(cluster="test", taskDefinition=name)["tasks"][0]["taskArn"]

        task = run()
        self.ecs.get_waiter("tasks_stopped").wait(cluster="test", tasks=[task], WaiterConfig={"Delay": 1})
        stopped = self.ecs.describe_tasks(cluster="test", tasks=[task])["tasks"][0]
        self.assertEqual(stopped["stopCode"], "TaskFailedToStart")
        self.assertTrue(stopped["stoppedReason"].startswith(
            "ResourceInitializationError: unable to pull secrets or registry auth: secret 'DB_PASSWORD' of container 'a'"))
        self.assertIn("naru secret set prod/db", stopped["stoppedReason"])
        self.naru.cli("secret", "set", "prod/db", input='{"password": "hunter2"}')
        self.naru.cli("secret", "set", "prod/token", input="t0ken")
        task = run()
        self.ecs.get_waiter("tasks_running").wait(cluster="test", tasks=[task], WaiterConfig={"Delay": 1})
        container = self.ecs.describe_tasks(cluster="test", tasks=[task])["tasks"][0]["containers"][0]["runtimeId"]
        env = harness.DOCKER.run("inspect", "--format", "{{json .Config.Env}}", container)
        self.assertIn('"DB_PASSWORD=hunter2"', env)
        self.assertIn('"TOKEN=t0ken"', env)
        self.ecs.stop_task(cluster="test", task=task)

    def test_settings(self):
        put = self.ecs.put_account_setting(name="containerInsights", value="enabled")["setting"]
        self.addCleanup(self.ecs.delete_account_setting, name="containerInsights")
        self.assertTrue(put["principalArn"].endswith(":root"))
        made = self.ecs.create_cluster(clusterName="insights")["cluster"]
        self.addCleanup(self.ecs.delete_cluster, cluster="insights")
        self.assertEqual(made["settings"], [{"name": "containerInsights", "value": "enabled"}])
        changed = self.ecs.update_cluster_settings(cluster="insights", settings=[
            {"name": "containerInsights", "value": "disabled"}])["cluster"]
        self.assertEqual(changed["settings"][0]["value"], "disabled")
        changed = self.ecs.update_cluster(cluster="insights", configuration={
            "executeCommandConfiguration": {"logging": "NONE"}})["cluster"]
        self.assertEqual(changed["configuration"]["executeCommandConfiguration"]["logging"], "NONE")
        self.assertEqual(changed["settings"][0]["value"], "disabled")
        pages = self.ecs.get_paginator("list_account_settings").paginate(effectiveSettings=True)
        names = [s["name"] for page in pages for s in page["settings"]]
        self.assertEqual(len(names), 11)
        self.assertEqual(names, sorted(names))
        with self.assertRaises(self.ecs.exceptions.InvalidParameterException):
            self.ecs.put_account_setting_default(name="taskLongArnFormat", value="disabled")
        done = self.naru.aws("ecs", "list-services-by-namespace", "--namespace", "shop", check=False)
        self.assertIn("NamespaceNotFoundException", done.stderr)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.ecs.execute_command(cluster="test", task="t", interactive=True, command="sh")
        self.assertEqual(caught.exception.response["Error"]["Code"], "UnsupportedFeatureException")
        self.assertIn("ExecuteCommand", caught.exception.response["Error"]["Message"])

    def test_the_accounts_log_mode_reaches_docker(self):
        self.ecs.put_account_setting_default(name="defaultLogDriverMode", value="non-blocking")
        self.addCleanup(self.ecs.delete_account_setting, name="defaultLogDriverMode")
        logs = {"logDriver": "awslogs", "options": {"awslogs-group": "g", "awslogs-region": "r"}}
        self.ecs.register_task_definition(family="logging", containerDefinitions=[
            {"name": "a", "image": self.images[0], "memory": 16, "logConfiguration": logs}])
        task = self.ecs.run_task(cluster="test", taskDefinition="logging")["tasks"][0]["taskArn"]
        self.ecs.get_waiter("tasks_running").wait(cluster="test", tasks=[task], WaiterConfig={"Delay": 1})
        runtime = self.ecs.describe_tasks(cluster="test", tasks=[task])["tasks"][0]["containers"][0]["runtimeId"]
        self.ecs.stop_task(cluster="test", task=task)
        config = json.loads(harness.DOCKER.run("inspect", "--format", "{{json .HostConfig.LogConfig}}", runtime))
        self.assertEqual((config["Type"], config["Config"]["mode"]), ("json-file", "non-blocking"))

    def test_a_stopped_task_is_explained(self):
        bad = build_web(self.naru, "v3", WEB_HEALTH="500")
        wanted = self.web.register(bad)
        before = self.web.describe()["taskDefinition"].rsplit("/", 1)[1]
        self.web.update(taskDefinition=wanted)
        stopped = wait_until("a task of the bad revision to be stopped", lambda: [
            t for t in self.stopped() if t["taskDefinitionArn"] == wanted], 90)[0]
        self.web.wait_stable()
        told = self.naru.cli("explain", stopped["taskArn"].rsplit("/", 1)[1][:12]).stdout
        self.assertIn("service:web", told)
        self.assertIn(stopped["stoppedReason"], told)
        self.assertIn("was unhealthy", told)
        self.assertIn(f"Changed since {before}", told)
        self.assertIn("containerDefinitions.web.image", told)
        self.assertIn("digest.web", told)
        self.assertIn("The end of its logs:", told)
        found = json.loads(self.naru.cli("explain", stopped["taskArn"], "--output", "json").stdout)
        self.assertEqual(found["task"]["taskArn"], stopped["taskArn"])
        self.assertIn("containerDefinitions.web.image", [c["member"] for c in found["changes"]])
        self.assertEqual(found["task"]["postmortem"]["targets"][0]["state"], "unhealthy")
        self.assertEqual(self.naru.cli("explain", "nothing", check=False).returncode, 1)
        self.assertEqual(self.naru.cli("explain", check=False).returncode, 2)

    def test_what_health_checks_said_is_kept(self):
        self.ecs.register_task_definition(family="checked", containerDefinitions=[dict(
            name="a", image=self.images[0], memory=16,  # a second server on its port: it fails
            healthCheck={"command": ["CMD", "/web"], "interval": 5, "timeout": 2, "retries": 1})])
        task = self.ecs.run_task(cluster="test", taskDefinition="checked")["tasks"][0]["taskArn"]
        wait_until("the task to be unhealthy", lambda: self.ecs.describe_tasks(
            cluster="test", tasks=[task])["tasks"][0]["healthStatus"] == "UNHEALTHY", 60)
        self.ecs.stop_task(cluster="test", task=task, reason="seen enough")
        self.ecs.get_waiter("tasks_stopped").wait(cluster="test", tasks=[task], WaiterConfig={"Delay": 1})
        told = self.naru.cli("explain", task).stdout
        self.assertIn("seen enough (UserInitiated)", told)
        self.assertRegex(told, r"Health checks, newest first:\n  a: 20\d\d-[-0-9]*T[0-9:]*Z exit -?[1-9]")

    def stopped(self):
        arns = self.ecs.list_tasks(cluster="test", serviceName="web", desiredStatus="STOPPED")["taskArns"]
        return [t for t in self.ecs.describe_tasks(cluster="test", tasks=arns)["tasks"] if t.get("stoppedAt")] if arns else []


if __name__ == "__main__":
    unittest.main()
