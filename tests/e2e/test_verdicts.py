# SPDX-License-Identifier: MIT
"""What naru says of deployments and tasks that go wrong, and what it does about a crash loop that comes late."""
import json
import shutil
import unittest

from harness import Naru, WebService, build_web, wait_until


class Verdicts(unittest.TestCase):
    """One service of one task; each test leaves it stable, on the first version."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("verdicts")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.ecs = cls.naru.client("ecs")
        cls.web = WebService(cls.naru, count=1)
        cls.image = build_web(cls.naru, "v1")
        cls.web.create(cls.image)
        cls.web.wait_stable()

    def explain(self, *args):
        return self.naru.cli("explain", *args).stdout

    def ours(self, *args):
        """naru aws ecs ...: it knows what the packaged clients are too old for."""
        return json.loads(self.naru.cli("aws", "ecs", *args).stdout)

    def current(self):
        """The ARN of the newest service deployment."""
        return self.ours("describe-services", "--cluster", "test", "--services", "web")["services"][0]["currentServiceDeployment"]

    def deployment(self, arn):
        return self.ours("describe-service-deployments", "--service-deployment-arns", arn)["serviceDeployments"][0]

    def update(self, definition):
        self.web.update(taskDefinition=definition)
        return self.current()

    def ended(self, arn):
        over = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")
        return wait_until("the service deployment to end", lambda: (
            lambda d: d if d["status"] in over else None)(self.deployment(arn)), 120)

    def stopped_task(self, **override):
        task = self.ecs.run_task(cluster="test", **override)["tasks"][0]["taskArn"]
        self.ecs.get_waiter("tasks_stopped").wait(cluster="test", tasks=[task], WaiterConfig={"Delay": 1})
        return task

    def test_a_deployment_that_was_rolled_back_is_explained(self):
        bad = self.web.register(build_web(self.naru, "ill", WEB_HEALTH="500"))
        arn = self.update(bad)
        self.assertEqual(self.ended(arn)["status"], "ROLLBACK_SUCCESSFUL")
        self.web.wait_stable()
        told = wait_until("the last of its tasks to be gone", lambda: (
            lambda text: text if "is being stopped" not in text and " is draining" not in text else None)(self.explain("web")), 60)
        first = told.splitlines()[0]
        self.assertIn(f"Service deployment {arn.rsplit('/', 1)[1]} of service web (cluster test) began ", first)
        self.assertRegex(first, r": web:\d+ in place of web:\d+\. It was rolled back, which was over after [0-9.]+ s\. ")
        self.assertIn("Service deployment rolled back because the circuit breaker threshold was exceeded.", first)
        self.assertRegex(first, r" [3-9] of its tasks failed \([3-9] counted, the circuit breaker opens at 3\); the newest one: Task ")
        self.assertRegex(first, r" web:\d+ was restored\.$")
        for part in ("\nEvents:\n", "rolling back to deployment", "\nTasks that failed, newest first", "container web: STOPPED",
                     "Load balancer, now:", "containerDefinitions.web.image", "digest.web"):
            self.assertIn(part, told)
        self.assertEqual(self.explain(arn), told)
        self.assertEqual(self.explain(arn.rsplit("/", 1)[1]), told)
        self.assertEqual(self.explain(self.web.describe()["serviceArn"]), told)
        found = json.loads(self.explain("web", "--output", "json"))
        self.assertEqual(found["serviceDeployment"]["serviceDeploymentArn"], arn)
        self.assertEqual(found["summary"], first)
        self.assertGreaterEqual(found["failedTaskCount"], 3)
        self.assertEqual(found["failedTasks"][0]["postmortem"]["targets"][0]["state"], "unhealthy")
        self.assertIn("containerDefinitions.web.image", [c["member"] for c in found["changes"]])

    def test_a_deployment_that_went_well_is_explained(self):
        arn = self.update(self.web.register(self.image))
        self.assertEqual(self.ended(arn)["status"], "SUCCESSFUL")
        told = self.explain("web")
        self.assertRegex(told.splitlines()[0], r" It completed after [0-9.]+ s\.")
        self.assertNotIn("Tasks that failed", told)
        self.assertRegex(told, r"Changed since web:\d+, which was complete: nothing")

    def test_nobody_is_explained(self):
        for name in ("nothing", "x" * 21, "arn:aws:ecs:ap-northeast-2:000000000000:service-deployment/test/web/" + "x" * 21):
            with self.subTest(name):
                done = self.naru.cli("explain", name, check=False)
                self.assertEqual(done.returncode, 1)
                self.assertRegex(done.stdout, r"\A(NotFound: there is neither a service nor a task '|ServiceDeploymentNotFoundException: )")

    def test_a_crash_loop_that_begins_after_the_end_is_taken_back(self):
        before = self.web.describe()["taskDefinition"]
        late = self.web.register(build_web(self.naru, "late", WEB_EXIT_AFTER_MS="6000"))
        arn = self.update(late)
        self.assertEqual(self.ended(arn)["status"], "SUCCESSFUL")
        self.assertEqual(self.web.describe()["taskDefinition"], late)
        wait_until("the deployment to be taken back", lambda: self.current() != arn, 120)
        back = self.current()
        ended = self.ended(back)
        self.assertEqual(ended["status"], "ROLLBACK_SUCCESSFUL")
        self.assertIn("exited within their probation", ended["rollback"]["reason"])
        self.assertEqual(ended["rollback"]["serviceRevisionArn"], ended["targetServiceRevision"]["arn"])
        self.assertEqual(self.web.wait_stable()["taskDefinition"], before)
        self.assertEqual(self.deployment(arn)["status"], "SUCCESSFUL")
        self.assertIn("later its tasks exited within their probation", self.deployment(arn)["statusReason"])
        told = self.explain("web")
        self.assertIn("exited within their probation", told.splitlines()[0])
        self.assertRegex(told, r"container web: STOPPED, exit code [1-9]")

    def test_the_last_lines_outlive_the_logs(self):
        self.ecs.register_task_definition(family="lines", containerDefinitions=[dict(
            name="a", image=self.image, memory=16, environment=[{"name": "WEB_EXIT_AFTER_MS", "value": "1500"}])])
        task = self.stopped_task(taskDefinition="lines").rsplit("/", 1)[1]
        log = self.naru.dir / "data/log"
        wait_until("the end of the log to be kept", lambda: (log / "tails" / task).exists(), 20)
        lines = json.loads(self.explain(task, "--output", "json"))["log"]
        self.assertGreater(len(lines), 0)
        shutil.rmtree(log / "tasks" / task)
        self.assertEqual(json.loads(self.explain(task, "--output", "json"))["log"], lines)

    def test_a_task_that_was_too_short_to_be_seen_ran(self):
        self.ecs.register_task_definition(family="short", containerDefinitions=[dict(
            name="a", image=self.image, memory=16, environment=[{"name": "WEB_EXIT", "value": "7"}])])
        task = self.stopped_task(taskDefinition="short")
        told = self.explain(task)
        self.assertNotIn("never ran", told)
        self.assertRegex(told, r"ran (too shortly to be seen running, and|for [0-9.]+ s and) stopped: Essential container")
        self.assertIn("exit code 7", told)

    def test_status_says_why_nothing_runs_and_when_it_is_tried_again(self):
        self.ecs.register_task_definition(family="gone", containerDefinitions=[dict(
            name="a", image=f"localhost:{self.naru.port}/web:nowhere", memory=16)])
        self.ecs.create_service(cluster="test", serviceName="gone", taskDefinition="gone", desiredCount=1)
        self.addCleanup(self.ecs.delete_service, cluster="test", service="gone", force=True)

        def wait():
            services = json.loads(self.naru.cli("status", "--output", "json").stdout)["services"]
            found = next(s for s in services if s["service"] == "gone").get("wait", {})
            return found if found.get("cause") == "START_FAILURES" and "nextTryAt" in found else None

        found = wait_until("the service to wait for its next try", wait, 120)
        self.assertEqual(found["missingCount"], 1)
        self.assertIn("CannotPullContainerError", found["reason"])
        told = wait_until("status to say so", lambda: (
            lambda text: text if "the last ones did not start; tried again in" in text else None)(self.naru.cli("status").stdout), 120)
        self.assertRegex(told, r"gone: 1 task is missing: the last ones did not start; tried again in \d+ s, at \d\d:\d\d:\d\d \(CannotPull")


if __name__ == "__main__":
    unittest.main()
