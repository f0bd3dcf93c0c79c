# SPDX-License-Identifier: MIT
"""Commands of the CLI one by one: help, doctor, env, status, build, deploy under failures, down and up again."""
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import boto3
import botocore.credentials

import harness
from harness import TOP, Dockerd, Naru, WebService, build_web, free_port, wait_until

COMMANDS = ("up", "down", "server", "doctor", "env", "status", "deploy", "rollback", "plan", "simulate", "explain", "logs", "build",
            "lint", "pipeline", "aws", "git-hook")


def run(*args, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "NARU_"))}
    return subprocess.run([str(harness.BINARY), *args], env=dict(clean, DOCKER_HOST=harness.DOCKER.host, **env),
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=300)


class WithoutServer(unittest.TestCase):
    """What needs no server, and what is said when there is none."""

    @classmethod
    def setUpClass(cls):
        cls.dir = harness.ROOT / "alone"
        cls.dir.mkdir(exist_ok=True)
        cls.env = {"NARU_DATA_DIR": str(cls.dir / "data"), "NARU_PORT": str(free_port())}

    def test_help_of_every_command(self):
        everything = run("--help")
        self.assertEqual(everything.returncode, 0)
        self.assertIn("examples:", everything.stdout)
        for command in COMMANDS:
            with self.subTest(command):
                self.assertRegex(everything.stdout, rf"(?m)^  {command} ")
                for flag in ("--help", "-h"):
                    done = run(command, flag)
                    self.assertEqual((done.returncode, done.stderr), (0, ""))
                    self.assertTrue(done.stdout.startswith(f"usage: naru {command}"), done.stdout)
                    self.assertIn("\nexamples:\n", done.stdout)
        self.assertEqual(run("aws", "help").returncode, 0)
        self.assertEqual(run("aws", "ecs", "update-service", "help").returncode, 0)
        self.assertEqual(run("--version").returncode, 0)
        self.assertEqual(run("help").stdout, everything.stdout)
        self.assertEqual(run("help", "deploy").stdout, run("deploy", "--help").stdout)
        self.assertRegex(run("aws", "ecs", "help").stdout, r"(?m)^  wait \(.*services-stable.*\)$")
        self.assertIn("\n  get-login-password\n", run("aws", "ecr", "help").stdout)
        self.assertIn("did you mean `naru deploy`?", run("dploy").stderr)
        self.assertEqual(run("help", "dploy").returncode, 2)

    def test_usage_errors_end_with_2(self):
        for args in ((), ("dploy",), ("--dploy",), ("deploy",), ("deploy", "--service", "s"), ("deploy", "--srvice", "s"),
                     ("deploy", "--service"), ("rollback",), ("rollback", "--service", "s", "--image", "i"), ("plan",), ("plan", "--service", "s", "--fault", "none"), ("logs",),
                     ("logs", "--service", "s", "--build", "b"), ("logs", "--service", "s", "--lines", "many"),
                     ("status", "--output", "xml"), ("status", "more"), ("build", "/no/such/directory"),
                     ("server", "--port", "70000"), ("up", "--port", "70000"), ("up", "--listener-port", "0"), ("git-hook",)):
            with self.subTest(" ".join(args)):
                done = run(*args, **self.env)
                self.assertEqual(done.returncode, 2, done.stdout + done.stderr)
                self.assertEqual(done.stdout, "")
                self.assertNotEqual(done.stderr, "")
        self.assertFalse((self.dir / "data").exists(), "nothing was started")

    def test_lint_says_what_is_wrong_and_where(self):
        good, bad = self.dir / "Good", self.dir / "Bad"
        good.write_text("pipeline {\n agent any\n stages { stage('a') { steps { sh 'make' } } }\n}\n")
        bad.write_text("pipeline {\n agent any\n stages { stage('a') { steps { sh(scrpt: 'x') } } }\n}\n")
        done = run("lint", str(good), **self.env)
        self.assertEqual((done.returncode, done.stdout, done.stderr), (0, "", ""))
        done = run("lint", str(good), str(bad), **self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn(f"{bad}:3:35: error: 'sh' has no argument 'scrpt'; did you mean 'script'? [E-STEP-PARAM]\n", done.stdout)
        self.assertIn("\n  " + bad.read_text().split("\n")[2] + "\n" + " " * 36 + "^\n", done.stdout)
        found = json.loads(run("lint", "--output", "json", "--explain", str(good), **self.env).stdout)[0]
        self.assertEqual([(n["type"], n["name"], n["line"]) for n in found["needs"]],
                         [("agent", "any", 2), ("command", "make", 3)])
        labels = self.dir / "labels"
        labels.mkdir()
        (labels / "builds.json").write_text('{"labels": ["linux"]}')
        good.write_text("node('linux || x') { }\nnode('windows') { }\n")
        bad.write_text("pipeline {\n agent { label 'linux &&' }\n stages { stage('a') { steps { sh 'make' } } }\n}\n")
        done = run("lint", "--explain", "--data-dir", str(labels), str(good), str(bad), **self.env)
        self.assertEqual(done.returncode, 1)
        self.assertIn("    linux || x (line 1; a label)\n    windows (line 2; a label that this machine does not have)\n", done.stdout)
        self.assertIn(f"{bad}:2:25: error: a name is missing in the label expression 'linux &&' [E-LABEL]\n", done.stdout)
        done = run("lint", str(self.dir / "missing"), **self.env)
        self.assertEqual((done.returncode, done.stderr), (2, f"naru: cannot open '{self.dir}/missing': No such file or directory\n"))

    def test_without_a_server_the_infrastructure_is_at_fault(self):
        keys = dict(self.env, AWS_ACCESS_KEY_ID="AKIAEXAMPLE", AWS_SECRET_ACCESS_KEY="secret")
        for args in (("status",), ("deploy", "--service", "s", "--image", "i", "--wait"), ("rollback", "--service", "s", "--wait"),
                     ("logs", "--service", "s"), ("logs", "--build", "my-app")):
            with self.subTest(" ".join(args)):
                done = run(*args, **keys)
                self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
                self.assertIn("`naru up` starts it", done.stderr)
        for command in ("status", "env", "pipeline"):  # nothing was ever set up
            with self.subTest(command):
                done = run(command, **self.env)
                self.assertEqual(done.returncode, 5, done.stdout + done.stderr)
                self.assertIn(f"no naru is set up in {self.env['NARU_DATA_DIR']}", done.stderr)
                self.assertIn("`naru up` starts it", done.stderr)

    def test_doctor_without_a_server(self):
        done = run("doctor", "--output", "json", **self.env)
        checks = {c["check"]: c for c in json.loads(done.stdout)}
        self.assertEqual(checks["docker"]["result"], "ok")
        self.assertEqual(checks["haproxy"]["result"], "ok")
        self.assertEqual(checks["server"]["result"], "warn")
        self.assertIn("naru up", checks["server"]["fix"])
        self.assertEqual(done.returncode, 5 if any(c["result"] == "fail" for c in checks.values()) else 0)
        with socket.socket() as listener:
            try:
                listener.bind(("127.0.0.1", 8080))
                listener.listen()
            except OSError:
                pass  # somebody else has it: just as well
            taken = {c["check"]: c for c in json.loads(run("doctor", "--output", "json", **self.env).stdout)}
        self.assertEqual(taken["ports"]["result"], "warn")
        self.assertIn("--listener-port", taken["ports"]["fix"])
        ordinary = run("doctor", "--output", "json", **dict(self.env, PATH="/usr/local/bin:/usr/bin:/bin"))
        self.assertEqual({c["check"]: c["result"] for c in json.loads(ordinary.stdout)}["haproxy"], "ok", "in /usr/sbin")
        broken = run("doctor", **dict(self.env, NARU_HAPROXY="/no/such/haproxy"))
        self.assertEqual(broken.returncode, 5, broken.stdout)
        self.assertRegex(broken.stdout, r"fail.* haproxy .*\n +fix: apt-get install haproxy")

    def test_build_of_a_directory(self):
        folder = self.dir / "project"
        folder.mkdir(exist_ok=True)
        flag = self.dir / "go"
        flag.unlink(missing_ok=True)
        (folder / "Jenkinsfile").write_text(
            "pipeline { agent any\n stages {\n stage('First') { steps { sh 'echo from the first' } }\n"
            f" stage('Second') {{ steps {{ sh 'while [ ! -e {flag} ]; do sleep 0.05; done' }} }} }} }}\n")
        build = subprocess.Popen([str(harness.BINARY), "build", str(folder)], env=dict(os.environ, **self.env),
                                 stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        seen = []
        try:
            for line in build.stdout:  # stage by stage, while it runs
                seen.append(line)
                if "[RUNNING] Second" in line:
                    self.assertRegex("".join(seen), r"\[SUCCESS\] First +\d+\.\d+ s")
                    self.assertIn("from the first", "".join(seen))
                    flag.touch()
            self.assertEqual(build.wait(30), 0, "".join(seen))
        finally:
            flag.touch()
            build.kill()
            build.wait()
            build.stdout.close()
        self.assertEqual(seen[-1], "SUCCESS\n")
        (folder / "Jenkinsfile").write_text("pipeline { agent any\n stages { stage('One') { steps { sh 'exit 7' } }\n"
                                            " stage('Two') { steps { echo 'never' } } } }\n")
        failed = run("build", str(folder), **self.env)
        self.assertEqual(failed.returncode, 1, failed.stdout)
        self.assertIn("[FAILED] One", failed.stdout)
        self.assertIn("[SKIPPED] Two", failed.stdout)
        self.assertNotIn("never", failed.stdout)
        (folder / "Jenkinsfile").write_text("pipeline { stages {\n")
        wrong = run("build", str(folder), **self.env)
        self.assertNotEqual(wrong.returncode, 0)
        self.assertIn("Jenkinsfile:", wrong.stdout + wrong.stderr)
        (folder / "Jenkinsfile").write_text("pipeline { agent any\n stages { stage('One') { steps { sh 'echo x > f; ln -sf f l'\n"
                                            " archiveArtifacts '?' } } }\n post { always { cleanWs() } } }\n")
        kept = run("build", str(folder), "--artifacts", str(self.dir / "kept"), **self.env)
        self.assertEqual(kept.returncode, 0, kept.stdout)
        self.assertEqual(sorted(p.name for p in (self.dir / "kept").iterdir()), ["f", "l"])
        self.assertTrue((folder / "f").exists(), "cleanWs is not for one's own directory")
        (folder / "Jenkinsfile").unlink()
        absent = run("build", str(folder), **self.env)
        self.assertEqual((absent.returncode, absent.stdout), (1, ""))
        self.assertIn("--file", absent.stderr)


class OrdinaryUser(unittest.TestCase):
    """A user who is not root: first one who may not use Docker, then one who may."""
    NOBODY = 65534

    def setUp(self):
        if os.geteuid() != 0:
            self.skipTest("only root can be somebody else")
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="naru-user."))
        self.addCleanup(shutil.rmtree, self.home, ignore_errors=True)
        # Neither the program nor the socket need lie where others may go.
        self.program = self.home / "naru"
        shutil.copy(harness.BINARY, self.program)
        os.chown(self.home, self.NOBODY, self.NOBODY)
        self.door = self.home / "docker.sock"
        self.env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(self.home), "NARU_DATA_DIR": str(self.home / "data"),
                    "NARU_PORT": str(free_port()), "DOCKER_HOST": f"unix://{self.door}"}

    def run_as(self, *args, **env):
        return subprocess.run([str(self.program), *args], env=dict(self.env, **env), user=self.NOBODY, group=self.NOBODY,
                              extra_groups=[], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=120)

    def test_what_is_closed_is_said_with_the_way_out(self):
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self.door))
            os.chmod(self.door, 0o600)
            done = self.run_as("up", "--server-only")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"may not use {self.door}: run as root, or have root say `usermod -aG docker", done.stderr)
            doctor = self.run_as("doctor")
            self.assertRegex(doctor.stdout, r"fail  docker +this user may not use .*usermod -aG docker")
            self.assertRegex(doctor.stdout, r"ok +haproxy")
            kept = self.home / "data/naru.db"
            kept.parent.mkdir()
            kept.touch()
            (kept.parent / "credentials.json").write_text(json.dumps({"installation": "i-1", "docker_socket": str(self.door)}))
            for folder in (kept.parent, kept, kept.parent / "credentials.json"):
                os.chown(folder, self.NOBODY, self.NOBODY)
            done = self.run_as("down", "--purge")
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"nothing was stopped (sudo naru down --purge --data-dir {kept.parent}): this user may not use {self.door}", done.stderr)
            self.assertTrue(kept.exists())
        closed = self.home / "closed"
        (closed / "secrets").mkdir(parents=True)
        for name in ("credentials.json", "secrets/store.json"):
            (closed / name).write_text("{}")
        (closed / "secrets").chmod(0o700)
        (closed / "credentials.json").chmod(0o600)
        self.assertRegex(self.run_as("doctor", NARU_DATA_DIR=str(closed)).stdout, r"warn  server +cannot read .*credentials.json: run this as its owner")
        done = self.run_as("secret", "list", NARU_DATA_DIR=str(closed))
        self.assertEqual((done.returncode, done.stdout), (5, ""))
        self.assertIn("Permission denied", done.stderr)

    def test_naru_runs_for_who_may_use_docker(self):
        try:
            os.link(harness.DOCKER.socket, self.door)
        except OSError as error:
            self.skipTest(f"the socket gets no second name: {error}")
        before = os.stat(self.door)
        self.addCleanup(os.chmod, harness.DOCKER.socket, before.st_mode & 0o777)
        os.chmod(harness.DOCKER.socket, 0o666)
        done = self.run_as("up", "--server-only", NARU_DATA_DIR="/var/none/naru")
        self.assertEqual((done.returncode, done.stdout), (5, ""))
        self.assertIn("run as root, or keep naru's data elsewhere (--data-dir", done.stderr)
        done = self.run_as("up", "--server-only")
        self.addCleanup(self.run_as, "down", "--purge")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(json.loads(self.run_as("status", "--output", "json").stdout)["services"], [])
        left = self.home / "data/workspaces/x"
        (left / "main/target").mkdir(parents=True)  # as a container leaves it
        done = self.run_as("down", "--purge")
        self.assertIn(f"root has to remove it (sudo naru down --purge --data-dir {self.home}/data)", done.stderr)
        self.assertNotEqual(done.returncode, 0)
        shutil.rmtree(left)
        done = self.run_as("down", "--purge")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertFalse((self.home / "data").exists())


class DockerInFront(unittest.TestCase):
    """The docker that stands before the real one, as in a build and in one's own shell."""

    def test_it_knows_whose_registry_is_meant(self):
        home = pathlib.Path(tempfile.mkdtemp(prefix="naru-docker."))
        self.addCleanup(shutil.rmtree, home)
        for folder in ("front", "real", "data"):
            (home / folder).mkdir()
        (home / "front/docker").symlink_to(harness.BINARY)
        (home / "real/docker").write_text('#!/bin/sh\necho "$@"\n')
        (home / "real/docker").chmod(0o755)
        (home / "data/credentials.json").write_text(json.dumps({"endpoint_url": "http://localhost:45001", "region": "eu-west-1", "account": "210987654321"}))
        image = "123456789012.dkr.ecr.{}.amazonaws.com/web:1"
        there = "localhost:{}/{}.dkr.ecr.{}.amazonaws.com/web:1"
        for region, env, pushed in (
                ("eu-west-1", {}, "localhost:45001/web:1"),
                ("us-east-1", {"AWS_DEFAULT_REGION": "us-east-1"}, there.format(45001, "210987654321", "us-east-1")),
                ("us-east-1", {"NARU_REGION": "us-east-1", "AWS_ENDPOINT_URL": "http://localhost:45002"}, "localhost:45002/web:1"),
                ("eu-west-1", {"NARU_DATA_DIR": str(home / "none")}, there.format(4566, "000000000000", "eu-west-1"))):
            done = subprocess.run([str(home / "front/docker"), "push", image.format(region)], stdout=subprocess.PIPE, text=True, timeout=20,
                                  env={"PATH": f"{home}/front:{home}/real:/usr/bin:/bin", "NARU_DATA_DIR": str(home / "data"), **env})
            self.assertEqual((done.returncode, done.stdout), (0, f"push {pushed}\n"))


class Deploy(unittest.TestCase):
    """naru deploy, rollback, status, logs and aws on a service of the tests' own."""

    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("commands")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.web = WebService(cls.naru, count=2)
        cls.images = [build_web(cls.naru, v) for v in ("v1", "v2")]
        cls.web.create(cls.images[0])
        cls.web.wait_stable()

    def cli(self, *args, code=0):
        done = self.naru.cli(*args, check=False, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def test_deploy_rollback_and_status(self):
        said = self.cli("deploy", "--service", "web", "--image", self.images[1], "--wait")
        self.assertRegex(said, r"verdict +live")
        self.assertEqual(self.web.version(), "v2")
        status = json.loads(self.cli("status", "--output", "json"))
        row = next(s for s in status["services"] if s["service"] == "web")
        self.assertEqual((row["runningCount"], row["desiredCount"], row["health"], row["deploymentStatus"]),
                         (2, 2, "2/2 healthy", "SUCCESSFUL"))
        self.assertTrue(row["image"].startswith("web:v2@"), row)
        table = self.cli("status")
        self.assertRegex(table, r"(?m)^CLUSTER +SERVICE +DESIRED")
        self.assertIn(f"http://localhost:{self.naru.listener_port}/", table)
        self.assertRegex(self.cli("rollback", "--service", "web", "--wait"), r"verdict +live")
        self.assertEqual(self.web.version(), "v1")
        newer = row["taskDefinition"]
        self.assertRegex(self.cli("rollback", "--service", "web", "--to", newer, "--wait"), r"verdict +live")
        self.assertEqual(self.web.version(), "v2")
        self.assertIn("needs no rollback", self.cli("rollback", "--service", "web", "--to", newer))
        self.assertIn("It can to: ", self.cli("rollback", "--service", "web", "--to", "web:999", code=1))
        self.cli("rollback", "--service", "web", "--wait")
        self.assertEqual(self.web.version(), "v1")
        wait_until("lines of both tasks", lambda: self.cli("logs", "--service", "web") != "")
        self.cli("logs", "--service", "none", code=1)
        self.cli("status", "--cluster", "none", code=1)
        self.cli("deploy", "--service", "web", "--cluster", "none", "--image", "x", code=1)
        self.cli("deploy", "--service", "web", "--image", self.images[0], "--container", "none", code=2)

    def test_a_bad_image_is_rolled_back(self):
        before = self.web.version()
        said = self.cli("deploy", "--service", "web", "--image", build_web(self.naru, "bad", WEB_HEALTH="503"), "--wait", code=3)
        self.assertRegex(said, r"cause +Task failed ELB health checks")
        self.assertRegex(said, r"verdict +rolled back")
        self.assertEqual(self.web.version(), before)
        answer = json.loads(self.cli("deploy", "--service", "web", "--image", self.images[0], "--wait", "--output", "json"))
        self.assertEqual((answer["service"], answer["verdict"]), ("web", "live"))

    def test_a_plan_says_what_comes_and_changes_nothing(self):
        before = self.web.describe()
        said = self.cli("plan", "--service", "web", "--image", self.images[0])
        self.assertRegex(said, r"(?m)^AFTER +HEALTHY/TASKS +WHAT")
        self.assertRegex(said, r"verdict +live after \d+\.\d\d s")
        self.assertRegex(said, r"bounds +at least 2 healthy, at most 4 tasks; fewest 2 healthy, most 4 tasks")
        self.assertRegex(self.cli("simulate", "--service", "web", "--fault", "never-healthy", code=3), r"verdict +rolled back")
        plan = json.loads(self.cli("plan", "--service", "web", "--desired-count", "3", "--output", "json"))
        self.assertEqual((plan["ends"], plan["startsDeployment"], plan["mostTasks"]), (True, False, 3))
        self.assertIn("is already using a port",
                      self.cli("simulate", "--service", "web", "--task-definition", self.fixed_port(), code=1))
        self.assertIn("next: docker push", self.cli("plan", "--service", "web", "--image", self.images[0] + "-none", code=1))
        self.assertIn("cannot be 100", self.cli("plan", "--service", "web", "--maximum", "100", code=1))
        self.assertIn("TaskDefinition not found", self.cli("plan", "--service", "web", "--task-definition", "none", code=1))
        self.assertEqual(self.web.describe(), before)

    def fixed_port(self):
        """A revision that wants one port of the host, which a standalone task has."""
        definition = self.web.ecs.describe_task_definition(taskDefinition=self.web.describe()["taskDefinition"])
        container = dict(definition["taskDefinition"]["containerDefinitions"][0])
        container["portMappings"] = [dict(container["portMappings"][0], hostPort=free_port())]
        arn = self.web.ecs.register_task_definition(family="fixed", networkMode="bridge",
                                                             containerDefinitions=[container])
        arn = arn["taskDefinition"]["taskDefinitionArn"]
        self.web.ecs.run_task(cluster="test", taskDefinition=arn)
        return arn

    def test_a_timeout_is_no_verdict(self):
        slow = build_web(self.naru, "slow", WEB_START_MS="8000")
        said = self.cli("deploy", "--service", "web", "--image", slow, "--wait", "--timeout", "1", code=5)
        self.assertIn("the deployment goes on", said)
        self.cli("deploy", "--service", "web", "--image", self.images[0], "--wait")

    def test_env_is_for_eval(self):
        script = 'eval "$("$0" env --data-dir "$1")" && "$0" aws sts get-caller-identity --query Account --output text && ' \
                 '/usr/bin/aws --endpoint-url "$AWS_ENDPOINT_URL" ecs list-clusters --query "clusterArns[0]" --output text'
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "NARU_"))}
        clean.update(AWS_SESSION_TOKEN="stale", AWS_PROFILE="none", AWS_REGION="mars-1") # of another account
        done = subprocess.run(["sh", "-c", script, str(harness.BINARY), str(self.naru.dir / "data")], env=clean, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode, 0, done.stderr)
        account = self.naru.credentials["account"]
        self.assertEqual(done.stdout.splitlines()[0], account)
        self.assertTrue(done.stdout.splitlines()[1].endswith(f":{account}:cluster/test"), done.stdout)

    def assume(self, *more, env=None, code=0):
        done = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.naru.url(), "sts", "assume-role", "--role-arn",
                               f"arn:aws:iam::{self.naru.credentials['account']}:role/watch", "--role-session-name", "me", *more],
                              env=dict(os.environ, **(env or self.naru.environment())), text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)
        self.assertEqual(done.returncode == 0, code == 0, done.stderr)
        return json.loads(done.stdout)["Credentials"] if code == 0 else done.stderr

    def of_session(self, service, keys):
        return boto3.client(service, endpoint_url=self.naru.url(), region_name=self.naru.credentials["region"], aws_access_key_id=keys["AccessKeyId"],
                            aws_secret_access_key=keys["SecretAccessKey"], aws_session_token=keys["SessionToken"])

    def test_a_role_is_assumed_by_clients_of_aws(self):
        said = self.assume(code=254)
        self.assertIn("(AccessDenied)", said)
        self.assertIn("naru roles set watch --role ROLE", said)
        self.cli("roles", "set", "watch", "--role", "read-only", "--max-duration", "3600")
        keys = self.assume("--duration-seconds", "900")
        ecs = self.of_session("ecs", keys)
        self.assertEqual(len(ecs.list_clusters()["clusterArns"]), 1)
        with self.assertRaises(ecs.exceptions.ClientError) as caught:
            ecs.create_cluster(clusterName="other")
        self.assertEqual(caught.exception.response["Error"]["Code"], "AccessDeniedException")
        self.assertTrue(self.of_session("sts", keys).get_caller_identity()["Arn"].endswith(":assumed-role/watch/me"))
        self.of_session("elbv2", keys).describe_load_balancers()
        token = self.of_session("ecr", keys).get_authorization_token()["authorizationData"][0]
        self.assertLess(token["expiresAt"].timestamp(), time.time() + 901)
        request = urllib.request.Request(self.naru.url() + "/v2/web/tags/list",
                                         headers={"Authorization": "Basic " + token["authorizationToken"]})
        self.assertEqual(urllib.request.urlopen(request, timeout=30).status, 200)
        self.assume("--duration-seconds", "3601", code=254)
        # naru's own `aws`, with keys of a session, for a session of that one
        env = os.environ | self.naru.environment() | {"AWS_ACCESS_KEY_ID": keys["AccessKeyId"], "AWS_SESSION_TOKEN":
                                                      keys["SessionToken"], "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"]}
        arn = f"arn:aws:iam::{self.naru.credentials['account']}:role/watch"
        ours = json.loads(subprocess.run([str(harness.BINARY), "aws", "sts", "assume-role", "--role-arn", arn, "--role-session-name",
                                          "second"], env=env, check=True, stdout=subprocess.PIPE, timeout=60).stdout)
        self.assertTrue(ours["AssumedRoleUser"]["Arn"].endswith(":assumed-role/watch/second"))
        self.fetched_by_a_profile(arn)
        self.assertIn(keys["AccessKeyId"], self.cli("keys", "sessions"))
        self.cli("roles", "delete", "watch")
        for session in (keys, ours["Credentials"]):
            with self.assertRaises(ecs.exceptions.ClientError) as caught:
                self.of_session("ecs", session).list_clusters()
            self.assertEqual(caught.exception.response["Error"]["Code"], "UnrecognizedClientException")

    def fetched_by_a_profile(self, arn):
        """What a profile with role_arn does: with boto3's own fetcher, and with the CLI where it is new enough for an endpoint
        to be said for the call to STS, too."""
        def client(service, **keys):
            return boto3.client(service, endpoint_url=self.naru.url(), region_name=self.naru.credentials["region"], **keys)
        source = botocore.credentials.Credentials(self.naru.credentials["access_key_id"], self.naru.credentials["secret_access_key"])
        fetcher = botocore.credentials.AssumeRoleCredentialFetcher(client, source, arn, extra_args={"RoleSessionName": "profile"})
        got = fetcher.fetch_credentials()
        self.assertEqual(set(got), {"access_key", "secret_key", "token", "expiry_time"} | (set(got) & {"account_id"}))
        aws = shutil.which("aws")
        version = subprocess.run([aws, "--version"], check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
        if tuple(int(n) for n in re.match(r"aws-cli/(\d+)\.(\d+)", version).groups()) < (1, 29):
            return
        config = self.naru.dir / "aws-config"
        config.write_text(f"[profile watch]\nrole_arn = {arn}\ncredential_source = Environment\nrole_session_name = cli\n")
        env = os.environ | self.naru.environment() | {"AWS_CONFIG_FILE": str(config), "AWS_ENDPOINT_URL": self.naru.url(),
                                                      "HOME": str(self.naru.dir)}
        said = subprocess.run([aws, "--profile", "watch", "sts", "get-caller-identity", "--query", "Arn", "--output", "text"], env=env,
                              check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout
        self.assertTrue(said.strip().endswith(":assumed-role/watch/cli"), said)

    def test_doctor_with_a_server(self):
        checks = {c["check"]: c["result"] for c in json.loads(self.naru.cli("doctor", "--output", "json", check=False).stdout)}
        self.assertEqual((checks["server"], checks["docker"]), ("ok", "ok"))
        self.assertNotIn("keys", checks)

    def test_naru_aws_and_a_program_called_aws_answer_alike_and_as_the_real_one(self):
        called_aws = self.naru.dir / "aws"
        if not called_aws.exists():
            called_aws.symlink_to(harness.BINARY)
        self.web.wait_stable()
        env = dict(os.environ, **self.naru.environment())
        group = self.web.group
        for args in (("ecs", "describe-services", "--cluster", "test", "--services", "web"),
                     ("ecs", "describe-task-definition", "--task-definition", "web"),
                     ("ecs", "list-task-definitions", "--output", "text"),
                     ("ecs", "describe-services", "--cluster", "test", "--services", "web", "none"),
                     ("elbv2", "describe-load-balancers"), ("elbv2", "describe-target-groups", "--target-group-arns", group),
                     ("elbv2", "describe-target-group-attributes", "--target-group-arn", group, "--output", "text"),
                     ("ecr", "describe-images", "--repository-name", "web", "--image-ids", "imageTag=v1"),
                     ("ecr", "describe-repositories"),
                     ("ecr", "get-login-password", "--query", "x"),
                     ("ecs", "describe-services"), ("ecs", "wait", "services-stable"), ("--version", "ecs"), ("nothing", "at-all")):
            with self.subTest(" ".join(args)):
                real = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.naru.url(), *args], env=env, text=True,
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60)
                for ours in ([str(called_aws), *args], [str(harness.BINARY), "aws", *args]):
                    done = subprocess.run(ours, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60)
                    self.assertEqual(done.returncode, real.returncode, real.stderr + done.stderr)
                    if args[0] != "--version" and args[:2] != ("ecr", "get-login-password"):
                        self.agree(done.stdout, real.stdout)

    def agree(self, ours, real):
        """The real one orders the members by its own, older tables, and leaves out those that it does not know."""
        if not real.startswith("{"):
            self.assertEqual(ours, real)
            return
        ours, real = json.loads(ours), json.loads(real)
        self.assertNotEqual(real, {})
        self.assertEqual(self.known(ours, real), real)

    def known(self, ours, real):
        if isinstance(ours, dict) and isinstance(real, dict):
            return {k: self.known(v, real[k]) for k, v in ours.items() if k in real}
        if isinstance(ours, list) and isinstance(real, list) and len(ours) == len(real):
            return [self.known(o, r) for o, r in zip(ours, real)]
        return ours


class WithoutDocker(unittest.TestCase):
    """Docker's own failure is nobody's bad version: the verdict is the infrastructure's, and nothing rolls back."""

    def test_docker_gone_in_mid_deployment(self):
        private = Dockerd("docker-two")
        first = harness.DOCKER
        with private:
            harness.DOCKER = private
            try:
                self.deploy_without_docker(private)
            finally:
                harness.DOCKER = first

    def deploy_without_docker(self, private):
        with Naru("nodocker") as naru:
            web = WebService(naru, count=1)
            images = [build_web(naru, v) for v in ("v1", "v2")]
            web.create(images[0])
            web.wait_stable()
            private.stop()
            done = naru.cli("deploy", "--service", "web", "--image", images[1], "--wait", "--timeout", "4", check=False)
            self.assertEqual(done.returncode, 5, done.stdout)
            doctor = naru.cli("doctor", check=False)
            self.assertEqual(doctor.returncode, 5, doctor.stdout)
            self.assertRegex(doctor.stdout, r"fail +docker")
            private.start()
            web.wait_stable()
            self.assertEqual(web.version(), "v2")
            self.assertEqual(web.primary()["rolloutState"], "COMPLETED")


class UpAndDown(unittest.TestCase):
    """up, up, down, up, down --purge: what is left at each step."""

    @classmethod
    def setUpClass(cls):
        cls.dir = harness.ROOT / "updown"
        cls.dir.mkdir(exist_ok=True)
        cls.data = cls.dir / "data"
        cls.port, cls.listener = free_port(), free_port()
        cls.env = {"NARU_DATA_DIR": str(cls.data), "HOME": str(cls.dir)}
        cls.addClassCleanup(lambda: run("down", "--purge", **cls.env))

    def up(self):
        done = run("up", "--sample", str(TOP / "examples/my-app"), "--port", str(self.port), "--listener-port",
                   str(self.listener), **self.env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def version(self):
        with urllib.request.urlopen(f"http://localhost:{self.listener}/", timeout=10) as answer:
            return answer.headers["X-Version"]

    def processes(self):
        """Programs whose command line names our data."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            except OSError:
                continue
            if any(str(self.data).encode() in w for w in words):
                found.append((int(entry.name), words[0].decode()))
        return found

    def docker(self, kind):
        words = {"containers": ("ps", "-aq"), "networks": ("network", "ls", "-q"), "volumes": ("volume", "ls", "-q")}[kind]
        return harness.DOCKER.run(*words, "--filter", f"label=naru.installation={self.installation}").split()

    def test_a_server_that_is_just_ending_is_waited_for(self):
        """As one that was killed is for a moment."""
        data = self.dir / "ending"
        env = {"NARU_DATA_DIR": str(data), "HOME": str(self.dir)}
        data.mkdir()
        self.addCleanup(lambda: run("down", "--purge", **env))
        ending = subprocess.Popen(["sleep", "1"])
        started = pathlib.Path(f"/proc/{ending.pid}/stat").read_text().rpartition(")")[2].split()[19]
        (data / "naru.pid").write_text(f"{ending.pid} {started}\n")
        threading.Thread(target=ending.wait).start()
        done = run("up", "--server-only", "--port", str(free_port()), **env)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("naru is up on", done.stdout)

    def test_a_port_that_belongs_to_somebody_else(self):
        data = self.dir / "taken"
        env = {"NARU_DATA_DIR": str(data), "HOME": str(self.dir)}
        up = ("up", "--sample", str(TOP / "examples/my-app"), "--port", str(free_port()), "--listener-port")
        self.addCleanup(lambda: run("down", "--purge", **env))
        with socket.socket() as other:
            other.bind(("0.0.0.0", 0))
            other.listen()
            port = other.getsockname()[1]
            refused = run(*up, str(port), **env)
            self.assertEqual(refused.returncode, 2, refused.stdout + refused.stderr)
            self.assertIn(f"port {port} belongs to another program", refused.stderr)
        port = free_port()
        self.assertEqual(run(*up, str(port), **env).returncode, 0)
        run("down", **env)
        with socket.socket() as other:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind(("0.0.0.0", port))
            other.listen()
            self.assertEqual(run("up", "--server-only", **env).returncode, 0)
            said = wait_until("the problem to be known", lambda: json.loads(
                run("status", "--output", "json", **env).stdout).get("problem"), 20)
            self.assertIn(f"port {port} of 0.0.0.0 cannot be used: another program listens on it", said)
            self.assertIn("problem: port", run("status", **env).stdout)
            doctor = run("doctor", **env)
            self.assertEqual(doctor.returncode, 5)
            self.assertRegex(doctor.stdout, r"fail +traffic +port")
        wait_until("naru to have its port back", lambda: "problem" not in json.loads(
            run("status", "--output", "json", **env).stdout), 60)
        self.assertIn("serves version 1", run(*up, str(port), **env).stdout)

    def test_an_up_that_was_killed_is_taken_up_again(self):
        data = self.dir / "killed"
        env = {"NARU_DATA_DIR": str(data), "HOME": str(self.dir)}
        up = ("up", "--sample", str(TOP / "examples/my-app"), "--port", str(free_port()), "--listener-port", str(free_port()))
        self.addCleanup(lambda: run("down", "--purge", **env))
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("AWS_", "NARU_"))}
        for _ in range(3):
            cut = subprocess.Popen([str(harness.BINARY), *up], env=dict(clean, DOCKER_HOST=harness.DOCKER.host, **env),
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            wait_until("the server's process", lambda: (data / "naru.pid").exists(), 10, 0.001)
            cut.kill()
            cut.communicate()
            other = run("up", "--server-only", "--port", str(free_port()), **env)
            self.assertEqual(other.returncode, 2, other.stdout + other.stderr)
            self.assertIn("uses " + str(data) + " already", other.stderr)
            again = run("up", "--server-only", *up[3:5], **env)
            self.assertEqual(again.returncode, 0, again.stdout + again.stderr)
            ended = run("down", **env)
            self.assertIn("naru server", ended.stdout, ended.stderr)
            self.assertFalse((data / "naru.pid").exists())
        whole = run(*up, **env)
        self.assertIn("serves version 1", whole.stdout, whole.stderr)

    def test_up_up_down_up_purge(self):
        first = self.up()
        self.assertIn(f"http://localhost:{self.listener}/ serves version 1", first)
        for part in ("git push", "checkout", "compile", "build", "push", "healthy", "in all"):
            self.assertRegex(first, rf"(?m)^  {part} +\d+\.\d+ s$")
        self.installation = json.loads((self.data / "credentials.json").read_text())["installation"]
        stranger = harness.DOCKER.run("run", "-d", "-p", "127.0.0.1::8080", "--label", "com.amazonaws.ecs.cluster=theirs",
                                      "my-app:latest")
        self.addCleanup(lambda: harness.DOCKER.run("rm", "-f", stranger))
        running = self.docker("containers")

        again = self.up()
        self.assertIn("nothing to do", again)
        self.assertEqual(sorted(self.docker("containers")), sorted(running))

        down = run("down", **self.env)
        self.assertEqual(down.returncode, 0, down.stderr)
        for what in ("naru server", "HAProxy", "containers"):
            self.assertRegex(down.stdout, rf"stopped +.*{what}")
        self.assertEqual(self.processes(), [])
        self.assertEqual(harness.DOCKER.run("ps", "-q", "--filter", f"label=naru.installation={self.installation}"), "")
        with self.assertRaises(OSError):
            self.version()
        self.assertIn("nothing of naru's was running", run("down", **self.env).stdout)

        back = self.up()
        self.assertIn(f"http://localhost:{self.listener}/ serves version 1", back)
        self.assertNotIn("nothing to do", back)
        status = json.loads(run("status", "--output", "json", **self.env).stdout)["services"][0]
        self.assertEqual((status["runningCount"], status["health"]), (2, "2/2 healthy"), "up returns when all is up")
        self.assertEqual({self.version() for _ in range(8)}, {"1"})

        purged = run("down", "--purge", **self.env)
        self.assertEqual((purged.returncode, purged.stderr), (0, ""))
        self.assertFalse(self.data.exists(), list(self.data.glob("*")) if self.data.exists() else "")
        self.assertEqual(self.processes(), [])
        for kind in ("containers", "networks", "volumes"):
            self.assertEqual(self.docker(kind), [], kind)
        self.assertNotIn(f"localhost:{self.port}/", harness.DOCKER.run("images", "--format", "{{.Repository}}"))
        self.assertEqual(harness.DOCKER.run("inspect", "-f", "{{.State.Running}}", stranger), "true")


if __name__ == "__main__":
    unittest.main()
