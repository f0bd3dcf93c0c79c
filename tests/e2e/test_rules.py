# SPDX-License-Identifier: MIT
"""Rules of a listener, by the real AWS CLI, boto3 and curl, in front of two real services: `web` (v1) is where the
default action leads, `beta` (v2) has a target group that only rules lead to."""
import json
import subprocess
import time
import unittest

import botocore.exceptions

import harness
from harness import Load, Naru, WebService, build_web, wait_until


def forward(group):
    return [{"Type": "forward", "TargetGroupArn": group}]


def path(*values):
    return [{"Field": "path-pattern", "Values": list(values)}]


class Rules(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("rules")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.web = WebService(cls.naru, count=2)
        cls.elb, cls.ecs = cls.web.elb, cls.web.ecs
        cls.web.create(build_web(cls.naru, "v1"))
        cls.listener = cls.elb.describe_listeners(
            LoadBalancerArn=cls.elb.describe_load_balancers()["LoadBalancers"][0]["LoadBalancerArn"])["Listeners"][0]["ListenerArn"]
        cls.create_beta()
        cls.web.wait_stable()
        cls.beta.wait_stable()

    @classmethod
    def create_beta(cls):
        cls.beta = WebService(cls.naru, count=2, name="beta")
        cls.group = cls.elb.create_target_group(
            Name="beta", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="instance", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
        cls.elb.modify_target_group_attributes(TargetGroupArn=cls.group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": "5"}])
        cls.beta.register(build_web(cls.naru, "v2"))
        service = dict(cluster="test", serviceName="beta", taskDefinition="beta", desiredCount=2, loadBalancers=[
            {"targetGroupArn": cls.group, "containerName": "web", "containerPort": 8080}])
        try:
            cls.ecs.create_service(**service)
            raise AssertionError("a service at a group that nothing leads to")
        except botocore.exceptions.ClientError as error:
            assert "does not have an associated load balancer" in str(error), error
        cls.kept = cls.elb.create_rule(ListenerArn=cls.listener, Priority=50000, Conditions=path("/beta*"),
                                       Actions=forward(cls.group))["Rules"][0]["RuleArn"]
        cls.ecs.create_service(**service)

    def tearDown(self):
        for rule in self.elb.describe_rules(ListenerArn=self.listener)["Rules"]:
            if not rule["IsDefault"] and rule["RuleArn"] != self.kept:
                self.elb.delete_rule(RuleArn=rule["RuleArn"])

    def curl(self, target="/", *args):
        """What curl got: status, version, where it would be sent."""
        done = subprocess.run(["curl", "-s", "-m", "10", "-w", "\n%{http_code} %{redirect_url}", *args,
                               f"http://127.0.0.1:{self.naru.listener_port}{target}"], stdout=subprocess.PIPE, text=True)
        body, last = done.stdout.rsplit("\n", 1)
        status, location = last.split(" ", 1)
        return int(status), (body.split() or [""])[0], location

    def get(self, target="/", *args):
        return self.curl(target, *args)[1]

    def aws_rule(self, priority, conditions, actions=None):
        """By the real CLI."""
        made = self.naru.aws("elbv2", "create-rule", "--listener-arn", self.listener, "--priority", str(priority),
                             "--conditions", json.dumps(conditions), "--actions", json.dumps(actions or forward(self.group)))
        return json.loads(made.stdout)["Rules"][0]

    def refused(self, code, call, **members):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)

    def wait_version(self, version, target="/", *args):
        wait_until(f"{version} at {target}", lambda: self.get(target, *args) == version, 10, 0.005)

    def test_each_condition(self):
        table = [
            ({"Field": "host-header", "HostHeaderConfig": {"Values": ["*.beta.example", "x?.io"]}},
             [("/", "-H", "Host: A.Beta.Example:80"), ("/", "-H", "Host: xy.io")], [("/", "-H", "Host: beta.example")]),
            ({"Field": "path-pattern", "PathPatternConfig": {"Values": ["/Img/*.jpg", "/v?"]}},
             [("/Img/a/b.jpg?q",), ("/v2",)], [("/img/a.jpg",), ("/v22",)]),
            ({"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Canary", "Values": ["yes", "b*"]}},
             [("/", "-H", "x-canary: YES"), ("/", "-H", "X-Canary: no", "-H", "X-CANARY: beta")], [("/", "-H", "X-Canary: no")]),
            ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PUT", "DELETE"]}},
             [("/", "-X", "DELETE"), ("/", "-X", "PUT")], [("/", "-X", "POST")]),
            ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "version", "Value": "2*"}, {"Value": "magic"}]}},
             [("/?a=b&Version=2.1",), ("/?x=MAGIC",)], [("/?version=1",), ("/?magic=1",)]),
            ({"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.0/8", "2001:db8::/32"]}}, [("/",)], []),
            ({"Field": "source-ip", "SourceIpConfig": {"Values": ["10.0.0.0/8"]}}, [], [("/", "-H", "X-Forwarded-For: 10.0.0.1")]),
        ]
        for condition, yes, no in table:
            rule = self.aws_rule(1, [condition])
            self.assertEqual(rule["Conditions"][0]["Field"], condition["Field"])
            for n, ask in enumerate(yes):
                if n == 0:
                    self.wait_version("v2", *ask)
                self.assertEqual(self.get(*ask), "v2", (condition, ask))
            time.sleep(0.3)
            for ask in no:
                self.assertEqual(self.get(*ask), "v1", (condition, ask))
            self.naru.aws("elbv2", "delete-rule", "--rule-arn", rule["RuleArn"])
            for ask in yes[:1]:
                self.wait_version("v1", *ask)

    def test_each_action(self):
        def of(target, count=100):
            return sum(self.get(target) == "v2" for _ in range(count))

        self.aws_rule(1, path("/split"), [{"Type": "forward", "ForwardConfig": {"TargetGroups": [
            {"TargetGroupArn": self.web.group, "Weight": 3}, {"TargetGroupArn": self.group, "Weight": 1}]}}])
        self.aws_rule(2, path("/old/*"), [{"Type": "redirect", "RedirectConfig": {
            "Protocol": "HTTPS", "Port": "443", "Host": "new.#{host}", "Path": "/n/#{path}", "Query": "q=1&#{query}",
            "StatusCode": "HTTP_301"}}])
        self.aws_rule(3, path("/kept"), [{"Type": "redirect", "RedirectConfig": {"Port": "81", "StatusCode": "HTTP_302"}}])
        fixed = self.aws_rule(4, path("/gone"), [{"Type": "fixed-response", "FixedResponseConfig": {
            "StatusCode": "410", "ContentType": "text/html", "MessageBody": "<p>gone"}}])
        wait_until("the answer", lambda: self.curl("/gone")[:2] == (410, "<p>gone"), 10)
        self.assertEqual(self.curl("/old/a?z=2"), (301, "", "https://new.127.0.0.1:443/n/old/a?q=1&z=2"))
        self.assertEqual(self.curl("/kept?z=2"), (302, "", "http://127.0.0.1:81/kept?z=2"))
        self.assertIn(of("/split"), (24, 25, 26))
        self.naru.aws("elbv2", "modify-rule", "--rule-arn", fixed["RuleArn"], "--actions", json.dumps(forward(self.group)))
        self.wait_version("v2", "/gone")

    def test_priorities_decide_and_are_described(self):
        first = self.aws_rule(20, path("/both", "/x"))["RuleArn"]
        second = self.aws_rule(10, path("/b*"), forward(self.web.group))["RuleArn"]
        self.wait_version("v2", "/x")
        self.wait_version("v1", "/both")
        self.naru.aws("elbv2", "set-rule-priorities", "--rule-priorities", f"RuleArn={first},Priority=10",
                      f"RuleArn={second},Priority=20")
        self.wait_version("v2", "/both")
        self.refused("PriorityInUse", self.elb.set_rule_priorities, RulePriorities=[{"RuleArn": first, "Priority": 20}])
        self.refused("PriorityInUse", self.elb.create_rule, ListenerArn=self.listener, Priority=10, Conditions=path("/"),
                     Actions=forward(self.group))
        pages = self.elb.get_paginator("describe_rules").paginate(ListenerArn=self.listener, PaginationConfig={"PageSize": 2})
        rules = [rule for page in pages for rule in page["Rules"]]
        self.assertEqual([rule["Priority"] for rule in rules], ["10", "20", "50000", "default"])
        self.assertEqual([rule["RuleArn"] for rule in rules[:3]], [first, second, self.kept])
        self.assertEqual(rules[0]["Conditions"], [{"Field": "path-pattern", "Values": ["/both", "/x"],
                                                   "PathPatternConfig": {"Values": ["/both", "/x"]}}])
        self.assertTrue(rules[3]["IsDefault"])
        self.assertEqual(rules[3]["Actions"][0]["TargetGroupArn"], self.web.group)
        self.refused("OperationNotPermitted", self.elb.delete_rule, RuleArn=rules[3]["RuleArn"])
        self.refused("ResourceInUse", self.elb.delete_target_group, TargetGroupArn=self.group)
        self.refused("RuleNotFound", self.elb.describe_rules, RuleArns=[first + "0"])
        ours = self.naru.cli("aws", "elbv2", "describe-rules", "--listener-arn", self.listener, "--query",
                             "Rules[?Priority=='10'].Conditions[0].PathPatternConfig.Values[]", "--output", "text").stdout
        self.assertEqual(ours.split(), ["/both", "/x"])

    def test_our_own_cli_makes_rules(self):
        made = self.naru.cli("aws", "elbv2", "create-rule", "--listener-arn", self.listener, "--priority", "7",
                             "--conditions", "Field=path-pattern,Values=/own,/own/*", "--actions",
                             f"Type=forward,TargetGroupArn={self.group}", "--query", "Rules[0].RuleArn", "--output", "text").stdout
        self.wait_version("v2", "/own/a")
        self.naru.cli("aws", "elbv2", "modify-rule", "--rule-arn", made.strip(), "--conditions", "Field=path-pattern,Values=/mine")
        self.wait_version("v2", "/mine")
        self.assertEqual(self.get("/own"), "v1")

    def test_rules_survive_kill(self):
        self.aws_rule(1, path("/k"))
        self.aws_rule(2, [{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "a", "Values": ["b"]}}])
        self.wait_version("v2", "/k")
        self.wait_version("v2", "/", "-H", "a: b")
        before = self.elb.describe_rules(ListenerArn=self.listener)["Rules"]
        with Load(self.naru, path="/k") as load:
            self.naru.kill()
            self.assertEqual(self.get("/k"), "v2")  # naru need not be up
            self.naru.start()
            self.assertEqual(self.elb.describe_rules(ListenerArn=self.listener)["Rules"], before)
            time.sleep(1.5)
            self.check_load(load)
        self.assertEqual(self.get("/", "-H", "a: b"), "v2")

    def check_load(self, load, at_least=100):
        result = load.stop()
        self.assertEqual(result["failed"], "0", load.output[-3000:])
        self.assertGreaterEqual(int(result["requests"]), at_least, load.output[-2000:])
        print(f"\n  0 failed of {result['requests']} requests")

    def test_changes_under_load_lose_nothing(self):
        """Rules come, change, change places and go, with reloads among them, and naru is killed twice."""
        fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "fixed"}}]
        header = [{"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "never", "Values": ["sent"]}}]
        elb, rounds = self.elb, 100 if harness.SOAK else 20
        with Load(self.naru, connections=4) as main, Load(self.naru, path="/beta", connections=4) as beta:
            for n in range(rounds):
                one = elb.create_rule(ListenerArn=self.listener, Priority=1, Conditions=path("/be*"),
                                      Actions=forward(self.group))["Rules"][0]["RuleArn"]
                two = elb.create_rule(ListenerArn=self.listener, Priority=2, Conditions=header, Actions=fixed)["Rules"][0]["RuleArn"]
                elb.set_rule_priorities(RulePriorities=[{"RuleArn": one, "Priority": 2}, {"RuleArn": two, "Priority": 1}])
                time.sleep(0.1)  # so that what was changed is in force, by a reload too, before the next change
                elb.modify_rule(RuleArn=two, Conditions=path("/beta"))
                if n % 10 == 5:
                    self.naru.kill()
                    self.naru.start()
                elb.modify_rule(RuleArn=one, Actions=forward(self.web.group))
                elb.modify_rule(RuleArn=two, Actions=forward(self.web.group))
                time.sleep(0.1)
                elb.delete_rule(RuleArn=two)
                elb.delete_rule(RuleArn=one)
            self.check_load(main)
            self.check_load(beta)
        self.wait_version("v2", "/beta")

    def test_a_service_behind_a_rule_is_updated_under_load(self):
        other = "v3" if self.get("/beta") == "v2" else "v2"
        image = build_web(self.naru, other)
        with Load(self.naru, path="/beta") as load:
            deployment = self.beta.update(taskDefinition=self.beta.register(image))["deployments"][0]["id"]
            wait_until("the deployment to complete", lambda: self.is_complete(deployment), 90)
            self.check_load(load)
        self.assertEqual(self.get("/beta"), other)
        back = self.beta.update(taskDefinition=self.beta.register(build_web(self.naru, "v2")))["deployments"][0]["id"]
        wait_until("the way back", lambda: self.is_complete(back), 90)

    def is_complete(self, deployment):
        primary = self.beta.primary()
        self.assertEqual(primary["id"], deployment)
        return primary["rolloutState"] == "COMPLETED" and len(self.beta.describe()["deployments"]) == 1
