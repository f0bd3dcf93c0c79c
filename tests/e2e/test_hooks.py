# SPDX-License-Identifier: MIT
"""Lifecycle hooks of a real rolling service, configured by `naru aws`: a URL, a command of the operator's directory and
a migration task guard each deployment.  What they refuse is rolled back before any new task has started, and no
request is lost."""
import http.server
import json
import threading
import unittest

import harness
from harness import Load, Naru, WebService, build_web, wait_until

ENDED = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


class Receiver:
    """Answers each call with the next of `answers`, the last one for ever; keeps what it was told."""

    def __init__(self):
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.calls.append(json.loads(body))
                answer = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                status, text = answer if isinstance(answer, tuple) else (200, json.dumps(answer))
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_):
                pass

        self.calls, self.answers = [], [{"hookStatus": "SUCCEEDED"}]
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Hooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("hooks")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.receiver = Receiver()
        cls.addClassCleanup(lambda: cls.receiver.close())
        cls.web = WebService(cls.naru, count=2)
        cls.images = {v: build_web(cls.naru, v) for v in ("v1", "v2")}
        cls.commands = cls.naru.dir / "data/hooks"
        cls.commands.mkdir()
        cls.create()

    @classmethod
    def naru_aws(cls, operation, *arguments, check=True):
        done = cls.naru.cli("aws", "ecs", operation, *arguments, check=False)
        if not check:
            return done
        if done.returncode != 0:
            raise AssertionError(f"{operation}: {done.returncode} {done.stdout}")
        return json.loads(done.stdout)

    @classmethod
    def create(cls):
        """By a URL that is not there at first, then asks for patience, then lets it go on."""
        elb = cls.web.elb
        cls.web.ecs.create_cluster(clusterName="test")
        lb = elb.create_load_balancer(Name="web", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        group = elb.create_target_group(
            Name="web", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="instance", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
        elb.modify_target_group_attributes(TargetGroupArn=group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
        elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=cls.naru.listener_port,
                            DefaultActions=[{"Type": "forward", "TargetGroupArn": group}])
        cls.web.register(cls.images["v1"])
        cls.receiver.answers = [(503, "not yet"), {"hookStatus": "IN_PROGRESS", "callBackDelay": 1},
                                {"hookStatus": "SUCCEEDED"}]
        cls.naru_aws("create-service", "--cluster", "test", "--service-name", "web", "--task-definition", "web",
                     "--desired-count", "2", "--load-balancers",
                     f"targetGroupArn={group},containerName=web,containerPort=8080", "--deployment-configuration",
                     json.dumps({"lifecycleHooks": [cls.hook(cls.receiver.url, hookDetails={"team": "a"})]}))
        cls.wait_for("SUCCESSFUL")
        cls.first_calls = list(cls.receiver.calls)

    @staticmethod
    def hook(target, stages=("PRE_SCALE_UP",), **more):
        return dict(hookTargetArn=target, lifecycleStages=list(stages), **more)

    @classmethod
    def current(cls):
        arn = cls.naru.ecs("DescribeServices", cluster="test", services=["web"])["services"][0]["currentServiceDeployment"]
        return cls.naru.ecs("DescribeServiceDeployments", serviceDeploymentArns=[arn])["serviceDeployments"][0]

    @classmethod
    def wait_for(cls, status, timeout=60):
        def has_ended():
            now = cls.current()
            return now if now["status"] in ENDED else None

        now = wait_until("the deployment to end", has_ended, timeout)
        if now["status"] != status:
            raise AssertionError(f"{now['status']}: {now.get('statusReason')}")
        return now

    def deploy(self, version, *hooks):
        definition = self.web.register(self.images[version])
        self.naru_aws("update-service", "--cluster", "test", "--service", "web", "--task-definition", definition,
                      "--deployment-configuration", json.dumps({"lifecycleHooks": list(hooks)}))

    def other_version(self):
        return "v2" if self.web.version() == "v1" else "v1"

    def task_ids(self):
        return sorted(t["taskArn"] for t in self.web.tasks())

    def command(self, name, script):
        path = self.commands / name
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return f"naru:command/{name}"

    def migration(self, **environment):
        arn = self.web.ecs.register_task_definition(family="migrate", networkMode="bridge", containerDefinitions=[dict(
            name="migrate", image=self.images["v1"], memory=32, essential=True,
            environment=[{"name": k, "value": v} for k, v in environment.items()])])["taskDefinition"]["taskDefinitionArn"]
        return arn

    def hook_tasks(self):
        """Those that the present deployment has started as hooks."""
        deployment = self.current()["serviceDeploymentArn"].rsplit("/", 1)[1]
        arns = [a for status in ("RUNNING", "STOPPED")
                for a in self.web.ecs.list_tasks(cluster="test", startedBy=deployment, desiredStatus=status)["taskArns"]]
        return self.web.ecs.describe_tasks(cluster="test", tasks=arns)["tasks"] if arns else []

    def refused(self, version, hook, *reasons):
        """Rolled back by the hook; the tasks are those of before, and nobody noticed."""
        before, served = self.task_ids(), self.web.version()
        with Load(self.naru) as load:
            self.deploy(version, hook)
            now = self.wait_for("ROLLBACK_SUCCESSFUL")
            self.assertEqual(load.stop()["failed"], "0", load.output[-3000:])
        for reason in ("PRE_SCALE_UP lifecycle hook(s) failed", *reasons):
            self.assertIn(reason, now["statusReason"])
        self.assertEqual(self.task_ids(), before)
        self.assertEqual(self.web.version(), served)

    def test_a_url_was_asked_until_it_answered(self):
        calls = self.first_calls
        self.assertEqual(len(calls), 3)
        self.assertEqual(len({c["executionId"] for c in calls}), 1)
        self.assertEqual(calls[0]["lifecycleStage"], "PRE_SCALE_UP")
        self.assertEqual(calls[0]["hookDetails"], {"team": "a"})
        service = self.web.describe()
        self.assertEqual(calls[0]["executionDetails"]["serviceArn"], service["serviceArn"])
        self.assertIn(":service-deployment/test/web/", calls[0]["resourceArn"])

    def test_a_url_refuses_and_lets_pass(self):
        other = self.other_version()
        hook = self.hook(self.receiver.url, ("PRE_SCALE_UP", "POST_PRODUCTION_TRAFFIC_SHIFT"))
        self.receiver.answers = [{"hookStatus": "FAILED"}]
        self.refused(other, hook, self.receiver.url, "it answered FAILED")
        self.receiver.answers = [{"status": "fine"}]
        self.refused(other, hook, "hookStatus is missing")
        self.receiver.answers = [{"hookStatus": "SUCCEEDED"}]
        del self.receiver.calls[:]
        self.deploy(other, hook)
        self.wait_for("SUCCESSFUL")
        self.assertEqual(self.web.version(), other)
        self.assertEqual([c["lifecycleStage"] for c in self.receiver.calls],
                         ["PRE_SCALE_UP", "POST_PRODUCTION_TRAFFIC_SHIFT"])

    def test_a_command_refuses_and_lets_pass(self):
        other = self.other_version()
        no = self.command("no", "echo looking\necho 'no such column' >&2\nexit 4\n")
        self.refused(other, self.hook(no), "naru:command/no: exit code 4: looking; no such column")
        self.refused(other, self.hook("naru:command/absent"), "not in the directory of hooks")
        yes = self.command("yes", 'cat > told.json; echo "$NARU_LIFECYCLE_STAGE" > stage\n')
        self.deploy(other, self.hook(yes))
        self.wait_for("SUCCESSFUL")
        self.assertEqual(self.web.version(), other)
        self.assertEqual((self.commands / "stage").read_text(), "PRE_SCALE_UP\n")
        self.assertEqual(json.loads((self.commands / "told.json").read_text())["resourceArn"],
                         self.current()["serviceDeploymentArn"])

    def test_a_migration_refuses_and_lets_pass(self):
        other = self.other_version()
        self.refused(other, self.hook(self.migration(WEB_EXIT="3")), "container migrate exited with code 3")
        self.assertEqual(len(self.hook_tasks()), 1)
        self.deploy(other, self.hook(self.migration(WEB_EXIT="0")))
        self.wait_for("SUCCESSFUL")
        self.assertEqual(self.web.version(), other)
        tasks = self.hook_tasks()
        self.assertEqual([(t["lastStatus"], t["containers"][0]["exitCode"]) for t in tasks], [("STOPPED", 0)])

    def test_a_migration_outlives_naru_and_runs_once(self):
        other = self.other_version()
        self.deploy(other, self.hook(self.migration(WEB_EXIT_AFTER_MS="6000")))
        wait_until("the migration to run", lambda: any(t["lastStatus"] == "RUNNING" for t in self.hook_tasks()), 30)
        task = self.hook_tasks()[0]["taskArn"]
        self.naru.kill()
        self.naru.start()
        detail = self.current()["lifecycleHookDetails"][0]
        self.assertEqual((detail["status"], detail["targetType"]), ("IN_PROGRESS", "AWS_LAMBDA"))
        now = self.wait_for("ROLLBACK_SUCCESSFUL")  # it ends with code 7
        self.assertIn(f"task {task.rsplit('/', 1)[1]}: container migrate exited with code 7", now["statusReason"])
        self.assertEqual([t["taskArn"] for t in self.hook_tasks()], [task])

    def test_a_function_is_refused_with_the_way_out(self):
        done = self.naru_aws("update-service", "--cluster", "test", "--service", "web", "--deployment-configuration",
                             json.dumps({"lifecycleHooks": [self.hook(
                                 "arn:aws:lambda:eu-west-1:000000000000:function:f",
                                 roleArn="arn:aws:iam::000000000000:role/r")]}), check=False)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("UnsupportedFeatureException", done.stdout)
        self.assertIn("http:// or https:// URL", done.stdout)
