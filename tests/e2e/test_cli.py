# SPDX-License-Identifier: MIT
"""The command line as people and pipelines use it: up, the seed's commands, deploy, rollback, logs, down."""
import json
import os
import subprocess
import unittest
import urllib.request

import harness
from harness import TOP, free_port, wait_until

# What a team's own script says, word for word; only the account's number is filled in.
SEED = """set -e
docker build -t my-app:latest .
aws ecr get-login-password --region ap-northeast-2 | docker login --username AWS --password-stdin {account}.dkr.ecr.ap-northeast-2.amazonaws.com
docker tag my-app:latest {account}.dkr.ecr.ap-northeast-2.amazonaws.com/my-app:latest
docker push {account}.dkr.ecr.ap-northeast-2.amazonaws.com/my-app:latest
aws ecs update-service --cluster my-cluster --service my-service --force-new-deployment
"""
ROLLBACK = "aws ecs update-service --cluster my-cluster --service my-service --desired-count 2 --rollback-deployment"


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.dir = harness.ROOT / "cli"
        cls.data = cls.dir / "data"
        cls.dir.mkdir(exist_ok=True)
        cls.port, cls.listener = free_port(), free_port()
        cls.env = {k: v for k, v in os.environ.items() if not k.startswith("AWS_") and not k.startswith("NARU_")}
        cls.env.update(DOCKER_HOST=harness.DOCKER.host, NARU_DATA_DIR=str(cls.data), HOME=str(cls.dir))
        cls.addClassCleanup(cls.down)
        cls.up()
        lines = [line for line in cls.naru("env").stdout.splitlines() if line.startswith("export ")]
        cls.step_env = dict(cls.env, AWS_PAGER="", PATH=f"{cls.data}/bin:{cls.env['PATH']}",
                            **{k: v.strip("'") for k, v in (line.removeprefix("export ").split("=", 1) for line in lines)})

    @classmethod
    def naru(cls, *args, env=None):
        return subprocess.run([str(harness.BINARY), *args], env=env or cls.env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=300)

    @classmethod
    def down(cls, env=None):
        """Of what it leaves (HAProxy outlives every server) nobody else would know."""
        done = cls.naru("down", "--purge", env=env)
        if done.returncode != 0:
            raise AssertionError(f"naru down --purge: {done.returncode}\n{done.stdout}\n{done.stderr}")

    @classmethod
    def up(cls):
        done = cls.naru("up", "--sample", str(TOP / "examples/my-app"), "--port", str(cls.port),
                        "--listener-port", str(cls.listener))
        if done.returncode != 0:
            raise AssertionError(f"naru up: {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def sh(self, script, code=0):
        done = subprocess.run(["sh", "-c", script], env=self.step_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, cwd=self.data / "sample/my-app", timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def aws(self, *args, code=0):
        done = subprocess.run([str(self.data / "bin/aws"), *args], env=self.step_env, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done.stdout

    def service(self):
        answer = self.aws("ecs", "describe-services", "--cluster", "my-cluster", "--services", "my-service")
        return json.loads(answer)["services"][0]

    def settle(self):
        self.aws("ecs", "wait", "services-stable", "--cluster", "my-cluster", "--services", "my-service")

    def version(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.listener}/", timeout=10) as answer:
            return answer.headers["X-Version"]

    def test_a_second_up_changes_nothing_and_says_so(self):
        before = self.service()
        self.assertIn("nothing to do", self.up())
        self.assertEqual(self.service()["deployments"], before["deployments"])

    def test_the_seeds_commands_run_unchanged(self):
        before = self.service()["deployments"][0]["id"]
        self.sh(f"./build.sh && {SEED.format(account='000000000000')}")
        self.settle()
        self.assertNotEqual(self.service()["deployments"][0]["id"], before)
        self.sh(ROLLBACK)
        self.settle()
        service = self.service()
        self.assertEqual(service["deployments"][0]["id"], before)
        self.assertEqual(service["desiredCount"], 2)

    def test_a_push_goes_live_by_itself(self):
        said = self.sh("echo 7 > VERSION && git commit -qam seven && git push naru main 2>&1")
        self.assertRegex(said, r"naru: build #\d+ of my-app queued")
        wait_until("version 7 to answer", lambda: self.version() == "7", timeout=120)
        builds = json.loads(self.naru("status", "--output", "json").stdout)["builds"]
        number = str(builds[0]["number"])
        wait_until("the build to end", lambda: json.loads(self.naru("status", "--output", "json").stdout)
                   ["builds"][0].get("result"), timeout=60)
        log = self.naru("logs", "--pipeline", "my-app", "--build", number, "--follow").stdout
        self.assertIn("docker push", log)
        self.assertIn("Finished: SUCCESS", log)

    def test_verdicts_are_exit_codes(self):
        image = "000000000000.dkr.ecr.ap-northeast-2.amazonaws.com/my-app:"
        deploy = ["deploy", "--service", "my-service", "--wait", "--image"]
        good = self.naru(*deploy, image + "latest")
        self.assertEqual(good.returncode, 0, good.stdout + good.stderr)
        revision = self.service()["taskDefinition"]
        absent = self.naru(*deploy, image + "no-such-tag")
        self.assertEqual((absent.returncode, absent.stdout), (1, ""))
        self.assertIn("next: docker push " + image + "no-such-tag", absent.stderr)
        self.assertEqual(self.service()["taskDefinition"], revision)
        elsewhere = image.replace("ap-northeast-2", "eu-west-1") + "latest"
        absent = self.naru(*deploy, elsewhere)
        self.assertEqual((absent.returncode, absent.stdout), (1, ""))
        self.assertIn("next: docker push " + elsewhere, absent.stderr)
        # What is named by its digest is not asked for.
        bad = self.naru(*deploy, image[:-1] + "@sha256:" + "0" * 64)
        self.assertEqual(bad.returncode, 3, bad.stdout + bad.stderr)
        self.assertIn("rolled back", bad.stdout)
        self.assertRegex(bad.stdout, r"(?m)  cause .*CannotPullContainerError")
        again = self.naru("rollback", "--service", "my-service", "--wait")
        self.assertEqual((again.returncode, again.stderr), (0, ""))
        self.assertIn("was rolled back already", again.stdout)
        self.assertEqual(self.naru("deploy", "--service", "my-service").returncode, 2)
        self.assertEqual(self.naru("deploy", "--service", "none", "--image", "x").returncode, 1)
        back = self.naru("rollback", "--service", "my-service", "--wait", "--output", "json")
        self.assertEqual((back.returncode, json.loads(back.stdout)["verdict"]), (0, "live"))
        nobody = dict(self.step_env, AWS_ENDPOINT_URL=f"http://localhost:{free_port()}")
        self.assertEqual(self.naru("status", env=nobody).returncode, 5)

    def test_a_newer_deployment_supersedes(self):
        image = "000000000000.dkr.ecr.ap-northeast-2.amazonaws.com/my-app:latest"
        first = subprocess.Popen([str(harness.BINARY), "deploy", "--service", "my-service", "--image", image, "--wait"],
                                 env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # Not before the first has begun: its first line says so.
        self.assertIn("IN_PROGRESS", first.stdout.readline())
        second = self.naru("deploy", "--service", "my-service", "--image", image, "--wait")
        rest = first.communicate(timeout=60)[0]
        self.assertEqual((first.returncode, second.returncode), (4, 0), rest + second.stdout)

    def test_logs_of_a_service(self):
        self.settle()
        wait_until("a line in the log", lambda: "listens on port 8080" in self.naru("logs", "--service", "my-service").stdout)

    def test_our_aws_agrees_with_the_real_one(self):
        group = self.aws("elbv2", "describe-target-groups", "--query", "TargetGroups[0].TargetGroupArn", "--output", "text").strip()
        service = ["--cluster", "my-cluster", "--services", "my-service"]
        self.settle()
        for args in (
            ["sts", "get-caller-identity"],
            ["sts", "get-caller-identity", "--query", "Account", "--output", "text"],
            ["ecs", "list-clusters", "--output", "text"],
            ["ecs", "describe-clusters", "--clusters", "my-cluster", "none"],
            ["ecs", "describe-services", *service, "--query", "services[].[serviceName,runningCount,desiredCount]", "--output", "text"],
            ["ecs", "describe-services", *service, "--query", "services[0].deployments[].{id: id, at: createdAt, n: runningCount}"],
            ["ecs", "describe-services", *service, "--query", "services[].events[?contains(message, 'steady')].message | [0][0]"],
            ["ecs", "list-tasks", "--cluster", "my-cluster", "--service-name", "my-service", "--query", "length(taskArns)"],
            ["ecs", "describe-task-definition", "--task-definition", "my-app:1", "--query",
             "taskDefinition.containerDefinitions[0].portMappings"],
            ["ecs", "describe-task-definition", "--task-definition", "none"],
            ["ecs", "update-service", "--cluster", "my-cluster", "--service", "none"],
            ["ecs", "update-service", "--cluster", "my-cluster"],
            ["ecs", "update-service", "--service", "s", "--none"],
            ["ecs", "none"],
            ["ecs", "wait", "services-stable", *service],
            ["ecs", "wait", "services-stable", "--cluster", "my-cluster", "--services", "none"],
            ["ecr", "describe-images", "--repository-name", "my-app", "--query",
             "sort_by(imageDetails, &imagePushedAt)[-1].imageTags[0]", "--output", "text"],
            ["ecr", "describe-images", "--repository-name", "none"],
            ["elbv2", "describe-load-balancers", "--names", "none"],
            ["elbv2", "describe-load-balancers"],
            ["elbv2", "describe-target-health", "--target-group-arn", group, "--query",
             "sort_by(TargetHealthDescriptions, &Target.Id)[].[TargetHealth.State]", "--output", "text"],
        ):
            with self.subTest(" ".join(args)):
                real = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.step_env["AWS_ENDPOINT_URL"], *args],
                                      env=self.step_env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                ours = subprocess.run([str(self.data / "bin/aws"), *args], env=self.step_env, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
                self.assertEqual((ours.returncode, ours.stdout), (real.returncode, real.stdout), real.stderr + ours.stderr)

    def containers_of_tasks(self):
        """Those of tasks that are to run: others may end while we look."""
        arns = json.loads(self.aws("ecs", "list-tasks", "--cluster", "my-cluster", "--desired-status", "RUNNING"))["taskArns"]
        tasks = json.loads(self.aws("ecs", "describe-tasks", "--cluster", "my-cluster", "--tasks", *arns))["tasks"]
        return sorted(c["runtimeId"][:12] for task in tasks for c in task["containers"])

    def test_down_takes_only_what_is_ours(self):
        data, port = self.dir / "other", str(free_port())
        env = dict(self.env, NARU_DATA_DIR=str(data))
        self.settle()
        mine = self.containers_of_tasks()
        self.assertTrue(mine)
        self.addCleanup(self.down, env)
        self.assertEqual(self.naru("up", "--server-only", "--port", port, env=env).returncode, 0)
        self.assertTrue((data / "credentials.json").exists())
        record = self.dir / "record.json"
        record.write_text(json.dumps({"id": "X-1", "modified": "2024-01-01T00:00:00Z", "affected": [
            {"package": {"ecosystem": "npm", "name": "left"}, "versions": ["1.0.0"]}]}))
        for made in (["secret", "set", "token", "--from", str(record)], ["registry", "osv", "import", str(record)]):
            done = self.naru(*made, env=env)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((data / "secrets").exists() and (data / "osv.db").exists())
        done = self.naru("down", "--purge", env=env)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse(data.exists())
        self.assertEqual(self.containers_of_tasks(), mine)
        self.assertLessEqual(set(mine), set(harness.DOCKER.containers("label=naru.installation", "status=running")))
        self.assertIn("nothing of naru's was running", self.naru("down", env=env).stdout)
        self.assertTrue(self.version())
