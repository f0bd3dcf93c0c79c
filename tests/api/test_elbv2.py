# SPDX-License-Identifier: MIT
"""Load balancers, target groups, listeners and targets through boto3 and the real CLI."""
import json
import os
import socket
import unittest
import urllib.request
import uuid

import boto3
import botocore.exceptions

import harness


def client(service):
    return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"])


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Case(unittest.TestCase):
    def setUp(self):
        self.elb = client("elbv2")

    def refused(self, code, call, **members):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        return caught.exception.response["Error"]["Message"]

    def load_balancer(self, **members):
        members.setdefault("Subnets", ["subnet-1", "subnet-2"])
        made = self.elb.create_load_balancer(Name=fresh("lb"), **members)["LoadBalancers"][0]
        self.addCleanup(self.elb.delete_load_balancer, LoadBalancerArn=made["LoadBalancerArn"])
        return made

    def target_group(self, **members):
        options = dict(Name=fresh("tg"), Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip")
        options.update(members)
        return self.elb.create_target_group(**options)["TargetGroups"][0]

    def listener(self, lb, group, port=None):
        return self.elb.create_listener(
            LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=port or harness.free_port(),
            DefaultActions=[{"Type": "forward", "TargetGroupArn": group["TargetGroupArn"]}])["Listeners"][0]


class LoadBalancers(Case):
    def test_create_describe_delete(self):
        lb = self.load_balancer(Subnets=["subnet-1", "subnet-2"], SecurityGroups=["sg-1"],
                                Tags=[{"Key": "team", "Value": "a"}])
        self.assertRegex(lb["LoadBalancerArn"],
                         r"^arn:aws:elasticloadbalancing:[a-z0-9-]+:\d{12}:loadbalancer/app/lb-\w+/[0-9a-f]{16}$")
        self.assertEqual(lb["State"]["Code"], "active")
        self.assertEqual([z["SubnetId"] for z in lb["AvailabilityZones"]], ["subnet-1", "subnet-2"])
        found = self.elb.describe_load_balancers(Names=[lb["LoadBalancerName"]])["LoadBalancers"]
        self.assertEqual(found, [lb])
        tags = self.elb.describe_tags(ResourceArns=[lb["LoadBalancerArn"]])["TagDescriptions"][0]["Tags"]
        self.assertEqual(tags, [{"Key": "team", "Value": "a"}])
        self.elb.get_waiter("load_balancer_available").wait(Names=[lb["LoadBalancerName"]])
        self.elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])
        self.refused("LoadBalancerNotFound", self.elb.describe_load_balancers, Names=[lb["LoadBalancerName"]])
        self.elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])

    def test_a_repeat_is_the_same_and_a_change_is_refused(self):
        name = fresh("lb")
        first = self.elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        self.addCleanup(self.elb.delete_load_balancer, LoadBalancerArn=first["LoadBalancerArn"])
        again = self.elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        self.assertEqual(first["LoadBalancerArn"], again["LoadBalancerArn"])
        self.refused("DuplicateLoadBalancerName", self.elb.create_load_balancer, Name=name,
                     Subnets=["subnet-3", "subnet-4"])

    def test_bad_names_and_types(self):
        for name in ("-a", "a-", "internal-a", "a_b", "x" * 33):
            self.refused("ValidationError", self.elb.create_load_balancer, Name=name)
        self.refused("InvalidConfigurationRequest", self.elb.create_load_balancer, Name="gw", Type="gateway")
        self.refused("InvalidConfigurationRequest", self.elb.create_load_balancer, Name="six", Subnets=["subnet-1"],
                     IpAddressType="dualstack")

    def test_subnets_security_groups_and_address_type(self):
        arn = self.load_balancer(SecurityGroups=["sg-1"])["LoadBalancerArn"]
        for subnets in ([], ["subnet-1"]):
            self.refused("ValidationError", self.elb.set_subnets, LoadBalancerArn=arn, Subnets=subnets)
        zones = self.elb.set_subnets(LoadBalancerArn=arn, SubnetMappings=[{"SubnetId": "subnet-3"}, {"SubnetId": "subnet-4"}])
        self.assertEqual([z["SubnetId"] for z in zones["AvailabilityZones"]], ["subnet-3", "subnet-4"])
        self.assertEqual(len({z["ZoneName"] for z in zones["AvailabilityZones"]}), 2)
        groups = self.elb.set_security_groups(LoadBalancerArn=arn, SecurityGroups=["sg-2", "sg-3"])
        self.assertEqual(groups["SecurityGroupIds"], ["sg-2", "sg-3"])
        self.assertEqual(self.elb.set_ip_address_type(LoadBalancerArn=arn, IpAddressType="ipv4")["IpAddressType"], "ipv4")
        found = self.elb.describe_load_balancers(LoadBalancerArns=[arn])["LoadBalancers"][0]
        self.assertEqual((found["SecurityGroups"], found["IpAddressType"]), (["sg-2", "sg-3"], "ipv4"))
        self.assertEqual(found["AvailabilityZones"], zones["AvailabilityZones"])

    def test_two_subnets_of_one_zone(self):
        ec2, zone = client("ec2"), os.environ["AWS_DEFAULT_REGION"] + "a"
        vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
        self.addCleanup(ec2.delete_vpc, VpcId=vpc)
        subnets = []
        for block in ("10.9.1.0/24", "10.9.2.0/24"):
            subnets.append(ec2.create_subnet(VpcId=vpc, CidrBlock=block, AvailabilityZone=zone)["Subnet"]["SubnetId"])
            self.addCleanup(ec2.delete_subnet, SubnetId=subnets[-1])
        message = self.refused("InvalidConfigurationRequest", self.elb.create_load_balancer, Name=fresh("lb"), Subnets=subnets)
        self.assertIn("multiple subnets in the same Availability Zone", message)

    def test_account_limits(self):
        whole = self.elb.describe_account_limits()["Limits"]
        pages = self.elb.get_paginator("describe_account_limits").paginate(PaginationConfig={"PageSize": 7})
        self.assertEqual([limit for page in pages for limit in page["Limits"]], whole)
        self.assertEqual({limit["Name"]: limit["Max"] for limit in whole}["listeners-per-application-load-balancer"], "50")

    def test_paging(self):
        made = sorted(self.load_balancer()["LoadBalancerArn"] for _ in range(5))
        pages = list(self.elb.get_paginator("describe_load_balancers").paginate(PaginationConfig={"PageSize": 2}))
        self.assertGreaterEqual(len(pages), 3)
        self.assertLessEqual(set(made), {lb["LoadBalancerArn"] for p in pages for lb in p["LoadBalancers"]})

    def test_attributes(self):
        lb = self.load_balancer()
        arn = lb["LoadBalancerArn"]
        changed = self.elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "30"},
                                             {"Key": "deletion_protection.enabled", "Value": "true"}])["Attributes"]
        self.assertIn({"Key": "idle_timeout.timeout_seconds", "Value": "30"}, changed)
        self.refused("OperationNotPermitted", self.elb.delete_load_balancer, LoadBalancerArn=arn)
        self.refused("ValidationError", self.elb.modify_load_balancer_attributes, LoadBalancerArn=arn,
                     Attributes=[{"Key": "idle_timeout.timeout_seconds", "Value": "9999"}])
        self.refused("ValidationError", self.elb.modify_load_balancer_attributes, LoadBalancerArn=arn,
                     Attributes=[{"Key": "no.such.key", "Value": "1"}])
        message = self.refused("InvalidConfigurationRequest", self.elb.modify_load_balancer_attributes, LoadBalancerArn=arn,
                               Attributes=[{"Key": "waf.fail_open.enabled", "Value": "true"}])
        self.assertIn("waf.fail_open.enabled", message)
        self.elb.modify_load_balancer_attributes(
            LoadBalancerArn=arn, Attributes=[{"Key": "deletion_protection.enabled", "Value": "false"}])


class TargetGroups(Case):
    def test_defaults(self):
        tg = self.target_group(TargetType="instance")
        want = {"HealthCheckPath": "/", "HealthCheckIntervalSeconds": 30, "HealthCheckTimeoutSeconds": 5,
                "HealthyThresholdCount": 5, "UnhealthyThresholdCount": 2, "HealthCheckPort": "traffic-port",
                "Matcher": {"HttpCode": "200"}, "TargetType": "instance", "LoadBalancerArns": [], "VpcId": "vpc-1"}
        self.assertEqual({k: tg[k] for k in want}, want)
        self.elb.delete_target_group(TargetGroupArn=tg["TargetGroupArn"])
        self.refused("TargetGroupNotFound", self.elb.describe_target_groups, TargetGroupArns=[tg["TargetGroupArn"]])

    def test_modify_keeps_what_is_not_given(self):
        tg = self.target_group(HealthCheckPath="/a", Matcher={"HttpCode": "200-299,302"})
        new = self.elb.modify_target_group(TargetGroupArn=tg["TargetGroupArn"], HealthCheckIntervalSeconds=10)["TargetGroups"][0]
        self.assertEqual((new["HealthCheckPath"], new["HealthCheckIntervalSeconds"], new["Matcher"]["HttpCode"]),
                         ("/a", 10, "200-299,302"))

    def test_what_is_refused(self):
        arn = self.target_group()["TargetGroupArn"]
        modify = self.elb.modify_target_group
        self.refused("ValidationError", modify, TargetGroupArn=arn, HealthCheckTimeoutSeconds=60)
        self.refused("ValidationError", modify, TargetGroupArn=arn, HealthCheckIntervalSeconds=301)
        self.refused("ValidationError", modify, TargetGroupArn=arn, HealthCheckPath="no-slash")
        self.refused("ValidationError", modify, TargetGroupArn=arn, Matcher={"HttpCode": "700"})
        self.refused("ValidationError", self.elb.create_target_group, Name=fresh("tg"), Protocol="HTTP")
        self.refused("UnsupportedProtocol", self.elb.create_target_group, Name=fresh("tg"), Protocol="UDP", Port=1)
        self.refused("InvalidConfigurationRequest", self.elb.create_target_group, Name=fresh("tg"), TargetType="lambda")
        self.refused("ValidationError", self.elb.create_target_group, Name="a--b", Protocol="HTTP", Port=80)

    def test_attributes(self):
        arn = self.target_group()["TargetGroupArn"]
        attributes = self.elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        self.assertIn({"Key": "deregistration_delay.timeout_seconds", "Value": "300"}, attributes)
        change = self.elb.modify_target_group_attributes
        got = change(TargetGroupArn=arn, Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "7"}])
        self.assertIn({"Key": "deregistration_delay.timeout_seconds", "Value": "7"}, got["Attributes"])
        self.refused("InvalidConfigurationRequest", change, TargetGroupArn=arn,
                     Attributes=[{"Key": "load_balancing.algorithm.anomaly_mitigation", "Value": "on"}])
        got = change(TargetGroupArn=arn, Attributes=[{"Key": "stickiness.enabled", "Value": "true"}])
        self.assertIn({"Key": "stickiness.enabled", "Value": "true"}, got["Attributes"])

    def test_targets(self):
        arn = self.target_group()["TargetGroupArn"]
        self.elb.register_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.9", "Port": 9}, {"Id": "127.0.0.9", "Port": 10}])
        health = self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        self.assertEqual({h["Target"]["Port"] for h in health}, {9, 10})
        self.assertEqual({h["TargetHealth"]["Reason"] for h in health}, {"Target.NotInUse"})
        self.elb.deregister_targets(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.9", "Port": 9}])
        harness.wait_until("the target to be gone", lambda: len(
            self.elb.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]) == 1, 20)
        asked = self.elb.describe_target_health(TargetGroupArn=arn, Targets=[{"Id": "127.0.0.9", "Port": 9}])
        self.assertEqual(asked["TargetHealthDescriptions"][0]["TargetHealth"]["Reason"], "Target.NotRegistered")
        self.refused("ValidationError", self.elb.register_targets, TargetGroupArn=arn, Targets=[{"Id": "nonsense"}])
        group = self.target_group(TargetType="instance")["TargetGroupArn"]
        self.refused("InvalidTarget", self.elb.register_targets, TargetGroupArn=group, Targets=[{"Id": "i-0123"}])


class Listeners(Case):
    def test_life_of_a_listener(self):
        lb, tg = self.load_balancer(), self.target_group()
        listener = self.listener(lb, tg)
        self.assertIn("/".join(lb["LoadBalancerArn"].split("/")[1:]), listener["ListenerArn"])
        action = listener["DefaultActions"][0]
        self.assertEqual(action["ForwardConfig"]["TargetGroups"], [{"TargetGroupArn": tg["TargetGroupArn"], "Weight": 1}])
        used = self.elb.describe_target_groups(TargetGroupArns=[tg["TargetGroupArn"]])["TargetGroups"][0]
        self.assertEqual(used["LoadBalancerArns"], [lb["LoadBalancerArn"]])
        self.refused("ResourceInUse", self.elb.delete_target_group, TargetGroupArn=tg["TargetGroupArn"])
        self.refused("DuplicateListener", self.elb.create_listener, LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP",
                     Port=listener["Port"], DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}])
        again = self.listener(lb, tg, listener["Port"])
        self.assertEqual(again["ListenerArn"], listener["ListenerArn"])
        found = self.elb.describe_listeners(LoadBalancerArn=lb["LoadBalancerArn"])["Listeners"]
        self.assertEqual([x["ListenerArn"] for x in found], [listener["ListenerArn"]])
        self.elb.delete_listener(ListenerArn=listener["ListenerArn"])
        self.elb.delete_target_group(TargetGroupArn=tg["TargetGroupArn"])

    def test_a_group_belongs_to_one_load_balancer(self):
        tg = self.target_group()
        self.listener(self.load_balancer(), tg)
        other = self.load_balancer()
        self.refused("TargetGroupAssociationLimit", self.elb.create_listener, LoadBalancerArn=other["LoadBalancerArn"],
                     Protocol="HTTP", Port=harness.free_port(),
                     DefaultActions=[{"Type": "forward", "TargetGroupArn": tg["TargetGroupArn"]}])

    def test_what_is_refused(self):
        lb = self.load_balancer()["LoadBalancerArn"]
        create = self.elb.create_listener
        fixed = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]
        self.refused("ValidationError", create, LoadBalancerArn=lb, Protocol="HTTPS", Port=443, DefaultActions=fixed)
        self.refused("ValidationError", create, LoadBalancerArn=lb, Protocol="TCP", Port=443, DefaultActions=fixed)
        self.refused("TargetGroupNotFound", create, LoadBalancerArn=lb, Protocol="HTTP", Port=harness.free_port(), DefaultActions=[
            {"Type": "forward", "TargetGroupArn": lb.replace("loadbalancer/app", "targetgroup")}])
        self.refused("InvalidLoadBalancerAction", create, LoadBalancerArn=lb, Protocol="HTTP", Port=harness.free_port(),
                     DefaultActions=[{"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301"}}])
        self.refused("ValidationError", create, LoadBalancerArn=lb, Protocol="HTTP", Port=harness.free_port(),
                     DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "300"}}])
        self.refused("LoadBalancerNotFound", create, LoadBalancerArn=lb + "x", Protocol="HTTP", Port=1, DefaultActions=fixed)

    def test_a_fixed_response_is_served(self):
        import urllib.error
        import urllib.request

        port = harness.free_port()
        self.elb.create_listener(LoadBalancerArn=self.load_balancer()["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "418", "ContentType": "text/plain", "MessageBody": "a pot"}}])

        def answer():
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()
            except OSError:
                return None

        self.assertEqual(harness.wait_until("the listener", answer, 20), (418, "a pot"))

    def test_the_real_cli(self):
        import subprocess

        out = subprocess.run(["/usr/bin/aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "elbv2", "describe-load-balancers"],
                             check=True, stdout=subprocess.PIPE).stdout
        self.assertIn("LoadBalancers", json.loads(out))


class Health(Case):
    def health(self):
        with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/healthz", timeout=5) as answer:
            self.assertEqual(answer.status, 200)
            return json.load(answer)

    def test_a_port_that_is_taken_is_a_problem_until_it_is_free(self):
        lb, group = self.load_balancer(), self.target_group()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            listener = self.listener(lb, group, port)
            harness.wait_until("the problem", lambda: str(port) in self.health().get("problem", ""), timeout=30)
        self.addCleanup(self.elb.delete_listener, ListenerArn=listener["ListenerArn"])
        harness.wait_until("no problem", lambda: "problem" not in self.health(), timeout=60)


if __name__ == "__main__":
    unittest.main()
