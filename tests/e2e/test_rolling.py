# SPDX-License-Identifier: MIT
"""Rolling updates of a real service behind a real HAProxy, under load: no request is lost, whatever happens."""
import time
import unittest

import harness
from harness import Load, Naru, WebService, build_web, wait_until


class Rolling(unittest.TestCase):
    """One service of four tasks; each test leaves it stable."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("rolling")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.web = WebService(cls.naru, count=4)
        cls.good = [build_web(cls.naru, v) for v in ("v1", "v2")]
        cls.web.create(cls.good[0])
        cls.web.wait_stable()

    def roll(self):
        """A new deployment of the other image, until it is complete; seconds that it took."""
        begin = time.monotonic()
        current = self.web.describe()["taskDefinition"]
        images = self.naru.client("ecs").describe_task_definition(taskDefinition=current)
        running = images["taskDefinition"]["containerDefinitions"][0]["image"]
        wanted = self.good[1] if running == self.good[0] else self.good[0]
        deployment = self.web.update(taskDefinition=self.web.register(wanted))["deployments"][0]["id"]
        wait_until("the deployment to complete", lambda: self.is_complete(deployment), 90)
        return time.monotonic() - begin

    def is_complete(self, deployment):
        service = self.web.describe()
        primary = service["deployments"][0]
        self.assertEqual(primary["id"], deployment, service["events"][:8])
        return len(service["deployments"]) == 1 and primary["rolloutState"] == "COMPLETED"

    def check_load(self, load, at_least):
        result = load.stop()
        self.assertEqual(result["failed"], "0", load.output[-3000:])
        self.assertGreaterEqual(int(result["requests"]), at_least, load.output[-2000:])
        return int(result["requests"])

    def test_updates_under_load_lose_nothing(self):
        updates, requests = (20, 100_000) if harness.SOAK else (6, 5_000)
        times, seen = [], 0
        while len(times) < updates or seen < requests:
            with Load(self.naru) as load:
                times += [self.roll() for _ in range(5)]
                time.sleep(0.3)
                seen += self.check_load(load, 100)
        print(f"\n  {len(times)} updates of 4 tasks, 0 failed of {seen} requests, seconds each: "
              f"{' '.join(f'{t:.1f}' for t in times)}")

    def test_slow_answers_are_waited_for(self):
        with Load(self.naru, path="/slow?ms=1500", connections=20) as load:
            self.roll()
            self.check_load(load, 20)

    def test_a_kill_of_naru_in_the_middle_loses_nothing(self):
        kills = 10 if harness.SOAK else 4
        with Load(self.naru) as load:
            for i in range(kills):
                other = self.good[i % 2]
                before = self.web.describe()["deployments"][0]["id"]
                deployment = self.web.update(taskDefinition=self.web.register(other))["deployments"][0]["id"]
                self.assertNotEqual(deployment, before)
                time.sleep(0.15 * (i % 5))
                self.naru.kill()
                time.sleep(0.2)
                self.naru.start()
                wait_until("the deployment to complete after a kill", lambda: self.is_complete(deployment), 120)
            self.check_load(load, 1000)
        self.assertEqual(len([t for t in self.web.tasks() if t["lastStatus"] == "RUNNING"]), 4)

    def test_a_task_killed_from_outside_is_replaced(self):
        with Load(self.naru) as load:
            for _ in range(3):
                victim = harness.DOCKER.run("ps", "-q", "--filter", "label=com.amazonaws.ecs.task-definition-family=web").split()[0]
                harness.DOCKER.run("kill", victim)
                wait_until("four healthy tasks again", self.has_four_others_than(victim), 60)
            self.check_load(load, 100)
        self.web.wait_stable()

    def has_four_others_than(self, victim):
        def check():
            running = [c["runtimeId"] for t in self.web.tasks() for c in t["containers"] if t["lastStatus"] == "RUNNING"]
            health = self.web.elb.describe_target_health(TargetGroupArn=self.web.group)["TargetHealthDescriptions"]
            healthy = [h for h in health if h["TargetHealth"]["State"] == "healthy"]
            return len(running) == 4 and len(healthy) == 4 and not any(r.startswith(victim) for r in running)

        return check

    def test_stop_task_drains_first(self):
        with Load(self.naru, path="/slow?ms=700", connections=16) as load:
            task = self.web.tasks()[0]["taskArn"]
            stopped = self.web.ecs.stop_task(cluster="test", task=task, reason="by hand")["task"]
            self.assertEqual(stopped["desiredStatus"], "STOPPED")
            self.assertEqual(stopped["stopCode"], "UserInitiated")
            wait_until("the task to stop", lambda: self.status(task) == "STOPPED", 40)
            self.web.wait_stable()
            self.check_load(load, 16)

    def status(self, task):
        return self.web.ecs.describe_tasks(cluster="test", tasks=[task])["tasks"][0]["lastStatus"]

    def test_scaling_in_and_out_loses_nothing(self):
        with Load(self.naru) as load:
            for count in (1, 6, 4):
                self.web.update(desiredCount=count)
                wait_until(f"{count} tasks", lambda c=count: self.web.describe()["runningCount"] == c, 60)
            self.check_load(load, 500)
        self.web.wait_stable()


class Scaling(unittest.TestCase):
    """Many tasks come and go while naru is killed in the middle of it."""

    def test_kills_while_scaling_in_and_out_lose_nothing(self):
        many, rounds = (30, 6) if harness.SOAK else (9, 1)
        with Naru("scaling") as naru:
            web = WebService(naru, count=many)
            web.create(build_web(naru, "v1"))
            web.wait_stable(180)
            slow = ("--fresh", "4", "--slow", "4", "--slow-path", "/slow?ms=700", "--rate", "300")
            with Load(naru, seconds=3600, extra=slow) as load:
                for i in range(rounds):
                    self.scale_with_a_kill(naru, web, many // 3, 0.1 + 0.3 * i)
                    self.scale_with_a_kill(naru, web, many, 0.1 + 0.5 * i)
                result = load.stop()
            self.assertEqual(result["failed"], "0", load.output[-3000:])
            self.assertGreater(int(result["requests"]), 200 * rounds, load.output[-2000:])
            print(f"\n  {2 * rounds} times between {many // 3} and {many} tasks, a kill in each: 0 failed of {result['requests']}")

    def scale_with_a_kill(self, naru, web, count, kill_after):
        web.update(desiredCount=count)
        time.sleep(kill_after)
        naru.kill()
        time.sleep(0.2)
        naru.start()
        wait_until(f"{count} tasks in traffic, and no container but theirs", lambda: self.is_whole(naru, web, count), 180)

    def is_whole(self, naru, web, count):
        health = web.elb.describe_target_health(TargetGroupArn=web.group)["TargetHealthDescriptions"]
        ours = harness.DOCKER.containers(f"label=naru.installation={naru.credentials['installation']}")
        service = web.describe()
        return (service["runningCount"] == count and service["pendingCount"] == 0 and len(ours) == count and
                [h["TargetHealth"]["State"] for h in health] == ["healthy"] * count)


class Failing(unittest.TestCase):
    """Bad revisions are rolled back by themselves, and nobody notices from outside."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("failing")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.web = WebService(cls.naru, count=2)
        cls.web.create(build_web(cls.naru, "v1"))
        cls.web.wait_stable()

    def roll_back_from(self, image):
        before = self.web.describe()
        begin = time.monotonic()
        with Load(self.naru) as load:
            bad = self.web.update(taskDefinition=self.web.register(image))["deployments"][0]["id"]
            wait_until("the rollback", lambda: self.web.primary()["id"] == before["deployments"][0]["id"], 120)
            service = self.web.wait_stable()
            took = time.monotonic() - begin
            result = load.stop()
        self.assertEqual(result["failed"], "0", load.output[-3000:])
        self.assertEqual(service["taskDefinition"], before["taskDefinition"])
        self.assertIn(f"(service web) (deployment {bad}) deployment failed: tasks failed to start.", self.web.events())
        self.assertIn(f"(service web) rolling back to deployment {before['deployments'][0]['id']}.", self.web.events())
        self.assertEqual(self.web.version(), "v1")
        print(f"\n  rolled back after {took:.1f} s")

    def test_a_failing_health_check_rolls_back(self):
        self.roll_back_from(build_web(self.naru, "v3", WEB_HEALTH="503"))

    def test_a_crash_at_start_rolls_back(self):
        self.roll_back_from(build_web(self.naru, "v4", WEB_EXIT="3"))

    def test_a_crash_after_start_rolls_back(self):
        self.roll_back_from(build_web(self.naru, "v5", WEB_EXIT_AFTER_MS="150", WEB_HEALTH="500"))

    def test_a_missing_image_rolls_back(self):
        self.roll_back_from(f"localhost:{self.naru.port}/web:nowhere")

    def test_latest_is_pinned_and_the_rollback_runs_the_old_bytes(self):
        build_web(self.naru, "good", tag="latest")
        self.web.update(taskDefinition=self.web.register(f"localhost:{self.naru.port}/web:latest"))
        self.web.wait_stable()
        self.assertEqual(self.web.version(), "good")
        build_web(self.naru, "bad", tag="latest", WEB_HEALTH="503")
        self.web.update(forceNewDeployment=True)
        wait_until("the breaker", lambda: any("rolling back" in e for e in self.web.events()), 120)
        self.web.wait_stable()
        self.assertEqual(self.web.version(), "good")
        self.web.update(desiredCount=4)
        wait_until("four", lambda: self.web.describe()["runningCount"] == 4)
        self.assertEqual({self.web.version() for _ in range(20)}, {"good"})
        self.web.update(desiredCount=2)
        self.web.wait_stable()

    def test_the_newest_update_wins(self):
        slow = build_web(self.naru, "slow", WEB_START_MS="20000")
        self.web.update(taskDefinition=self.web.register(slow))
        time.sleep(1)
        last = self.web.update(taskDefinition=self.web.register(build_web(self.naru, "v6")))["deployments"][0]["id"]
        service = self.web.wait_stable()
        self.assertEqual(service["deployments"][0]["id"], last)
        self.assertEqual(self.web.version(), "v6")

    def test_the_operator_can_roll_back_with_the_cli_of_the_seed(self):
        before = self.web.describe()["taskDefinition"]
        version = self.web.version()
        self.web.update(taskDefinition=self.web.register(build_web(self.naru, "v7")))
        self.web.wait_stable()
        done = self.naru.cli("aws", "ecs", "update-service", "--cluster", "test", "--service", "web", "--desired-count", "2",
                             "--rollback-deployment")
        self.assertEqual(done.returncode, 0, done.stdout)
        service = self.web.wait_stable()
        self.assertEqual(service["taskDefinition"], before)
        self.assertEqual(self.web.version(), version)


class Networks(unittest.TestCase):
    """awsvpc: a task has an address of its own, and the target group is of type ip."""

    def test_awsvpc(self):
        self.roll_awsvpc("EC2")

    def test_fargate(self):
        self.roll_awsvpc("FARGATE")

    def roll_awsvpc(self, launch_type):
        with Naru(launch_type.lower()) as naru:
            web = WebService(naru, count=2, network_mode="awsvpc", launch_type=launch_type)
            web.create(build_web(naru, "v1"))
            web.wait_stable()
            self.assertEqual(web.version(), "v1")
            addresses = {d["value"] for t in web.tasks() for a in t["attachments"] for d in a["details"]
                         if d["name"] == "privateIPv4Address"}
            self.assertEqual(len(addresses), 2)
            self.assertEqual({t["launchType"] for t in web.tasks()}, {launch_type})
            with Load(naru) as load:
                web.update(taskDefinition=web.register(build_web(naru, "v2")))
                web.wait_stable()
                result = load.stop()
            self.assertEqual(result["failed"], "0", load.output[-2000:])
            self.assertEqual(web.version(), "v2")

    def test_other_peoples_containers_are_left_alone(self):
        stranger = None
        try:
            with Naru("neighbours") as naru:
                web = WebService(naru, count=1)
                image = build_web(naru, "v1")
                stranger = harness.DOCKER.run("run", "-d", "--label", "com.amazonaws.ecs.task-arn=theirs", image)
                web.create(image)
                web.wait_stable()
                naru.kill()
                naru.start()
                web.wait_stable()
            self.assertEqual(harness.DOCKER.run("inspect", "-f", "{{.State.Running}}", stranger), "true")
            self.assertEqual(harness.DOCKER.containers(f"label=naru.installation={naru.credentials['installation']}"), [])
        finally:
            if stranger:
                harness.DOCKER.run("rm", "-f", stranger)


if __name__ == "__main__":
    unittest.main()
