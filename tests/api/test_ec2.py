# SPDX-License-Identifier: MIT
"""VPCs, subnets and security groups through boto3 and the CLIs, the real one and naru's."""
import http.client
import json
import os
import socket
import statistics
import subprocess
import time
import unittest
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.exceptions

import harness


def client():
    return boto3.client("ec2", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"])


class Case(unittest.TestCase):
    def setUp(self):
        self.ec2 = client()

    def vpc(self, block="10.0.0.0/16"):
        made = self.ec2.create_vpc(CidrBlock=block)["Vpc"]
        self.addCleanup(self.ec2.delete_vpc, VpcId=made["VpcId"])
        return made

    def group(self, vpc, **members):
        made = self.ec2.create_security_group(GroupName=f"g-{uuid.uuid4().hex[:8]}", Description="of tests",
                                              VpcId=vpc["VpcId"], **members)
        self.addCleanup(self.ec2.delete_security_group, GroupId=made["GroupId"])
        return made["GroupId"]

    def refused(self, code, call, **members):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        return caught.exception.response


class Networks(Case):
    def test_the_default_vpc(self):
        vpc, = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"]
        self.assertRegex(vpc["VpcId"], "^vpc-[0-9a-f]{17}$")
        self.assertEqual((vpc["CidrBlock"], vpc["State"], vpc["IsDefault"]), ("172.31.0.0/16", "available", True))
        self.assertEqual(vpc["CidrBlockAssociationSet"][0]["CidrBlockState"], {"State": "associated"})
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
        zones = self.ec2.describe_availability_zones()["AvailabilityZones"]
        self.assertEqual(sorted(s["AvailabilityZone"] for s in subnets), [z["ZoneName"] for z in zones])
        self.assertEqual({(s["AvailableIpAddressCount"], s["DefaultForAz"]) for s in subnets}, {(4091, True)})
        group, = self.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"]
        self.assertEqual(group["IpPermissions"][0]["UserIdGroupPairs"][0]["GroupId"], group["GroupId"])
        self.assertEqual(group["IpPermissionsEgress"][0]["IpRanges"], [{"CidrIp": "0.0.0.0/0"}])

    def test_vpcs_and_subnets(self):
        vpc = self.vpc()
        subnet = self.ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock="10.0.1.0/24", TagSpecifications=[
            {"ResourceType": "subnet", "Tags": [{"Key": "Name", "Value": "one"}]}])["Subnet"]
        self.assertEqual(subnet["Tags"], [{"Key": "Name", "Value": "one"}])
        found = self.ec2.describe_subnets(Filters=[{"Name": "tag:Name", "Values": ["o*"]},
                                                   {"Name": "vpc-id", "Values": [vpc["VpcId"]]}])["Subnets"]
        self.assertEqual(found, [subnet])
        self.refused("DependencyViolation", self.ec2.delete_vpc, VpcId=vpc["VpcId"])
        error = self.refused("DryRunOperation", self.ec2.delete_subnet, SubnetId=subnet["SubnetId"], DryRun=True)
        self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], 412)
        self.ec2.delete_subnet(SubnetId=subnet["SubnetId"])
        self.refused("InvalidSubnetID.NotFound", self.ec2.describe_subnets, SubnetIds=[subnet["SubnetId"]])
        self.refused("UnsupportedOperation", self.ec2.describe_instances)

    def test_pages(self):
        for i in range(6):
            self.vpc(f"10.{i}.0.0/16")
        pages = list(self.ec2.get_paginator("describe_vpcs").paginate(PaginationConfig={"PageSize": 5}))
        self.assertGreater(len(pages), 1)
        everything = [v["VpcId"] for page in pages for v in page["Vpcs"]]
        self.assertEqual(everything, [v["VpcId"] for v in self.ec2.describe_vpcs()["Vpcs"]])

    def test_waiters_see_what_is_there(self):
        vpc = self.vpc()
        self.ec2.get_waiter("vpc_available").wait(VpcIds=[vpc["VpcId"]], WaiterConfig={"Delay": 1, "MaxAttempts": 2})

    def test_load_balancers_hold_what_they_have(self):
        vpc = self.vpc()
        subnets = [self.ec2.create_subnet(VpcId=vpc["VpcId"], CidrBlock=f"10.0.{i}.0/24",
                                          AvailabilityZoneId=z["ZoneId"])["Subnet"]["SubnetId"]
                   for i, z in enumerate(self.ec2.describe_availability_zones()["AvailabilityZones"][1:])]
        group = self.group(vpc)
        elb = boto3.client("elbv2", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"])
        lb = elb.create_load_balancer(Name=f"lb-{uuid.uuid4().hex[:8]}", Subnets=subnets,
                                      SecurityGroups=[group])["LoadBalancers"][0]
        self.refused("DependencyViolation", self.ec2.delete_security_group, GroupId=group)
        self.refused("DependencyViolation", self.ec2.delete_subnet, SubnetId=subnets[0])
        elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])
        for subnet in subnets:
            self.ec2.delete_subnet(SubnetId=subnet)


class Groups(Case):
    def test_permissions(self):
        group = self.group(self.vpc(), TagSpecifications=[
            {"ResourceType": "security-group", "Tags": [{"Key": "team", "Value": "a"}]}])
        made = self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443,
             "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "office"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]},
            {"IpProtocol": "-1", "UserIdGroupPairs": [{"GroupId": group}]}])
        self.assertEqual([r["IpProtocol"] for r in made["SecurityGroupRules"]], ["tcp", "tcp", "-1"])
        shown, = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        self.assertEqual(shown["Tags"], [{"Key": "team", "Value": "a"}])
        self.assertEqual(shown["IpPermissions"][0], {
            "FromPort": 443, "ToPort": 443, "IpProtocol": "tcp", "PrefixListIds": [], "UserIdGroupPairs": [],
            "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "office"}], "Ipv6Ranges": [{"CidrIpv6": "::/0"}]})
        self.refused("InvalidPermission.Duplicate", self.ec2.authorize_security_group_ingress, GroupId=group,
                     IpProtocol="tcp", FromPort=443, ToPort=443, CidrIp="10.0.0.0/8")
        # As tools do that take away what they found.
        self.ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=shown["IpPermissions"])
        shown, = self.ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        self.assertEqual(shown["IpPermissions"], [])
        rules = self.ec2.describe_security_group_rules(Filters=[{"Name": "group-id", "Values": [group]}])
        self.assertEqual([r["IsEgress"] for r in rules["SecurityGroupRules"]], [True])

    def test_only_those_whom_a_group_lets_in_can_connect(self):
        group, other = self.group(self.vpc()), self.group(self.vpc("10.1.0.0/16"))
        elb = boto3.client("elbv2", endpoint_url=os.environ["AWS_ENDPOINT_URL"], region_name=os.environ["AWS_DEFAULT_REGION"])
        lb = elb.create_load_balancer(Name=f"lb-{uuid.uuid4().hex[:8]}", Subnets=["subnet-1", "subnet-2"],
                                      SecurityGroups=[group, other, "sg-elsewhere"])["LoadBalancers"][0]
        port = harness.free_port()
        elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=port, DefaultActions=[
            {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "200", "MessageBody": "in"}}])

        def is_in():
            try:
                return urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).read() == b"in"
            except (ConnectionResetError, http.client.RemoteDisconnected):
                return False
            except urllib.error.URLError as error:
                if isinstance(error.reason, ConnectionResetError):
                    return False
                raise

        def listens():
            with socket.socket() as s:
                return s.connect_ex(("127.0.0.1", port)) == 0

        harness.wait_until("a listener", listens, 10, 0.01)
        self.assertFalse(is_in())
        office = dict(IpProtocol="tcp", FromPort=port, ToPort=port, IpRanges=[{"CidrIp": "127.0.0.0/8"}])
        took = []
        for _ in range(5):
            began = time.monotonic()
            self.ec2.authorize_security_group_ingress(GroupId=other, IpPermissions=[office])
            harness.wait_until("it is in", is_in, 5, 0.001)
            took.append(time.monotonic() - began)
            self.ec2.revoke_security_group_ingress(GroupId=other, IpPermissions=[office])
            harness.wait_until("it is out", lambda: not is_in(), 5, 0.001)
        self.assertLess(statistics.median(took), 1)
        self.ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[
            dict(office, FromPort=port - 1, ToPort=port - 1)])
        time.sleep(0.2)
        self.assertFalse(is_in())
        elb.delete_load_balancer(LoadBalancerArn=lb["LoadBalancerArn"])

    def test_both_command_lines_say_the_same(self):
        name = self.group(self.vpc())
        self.aws("authorize-security-group-ingress", "--group-id", name, "--protocol", "tcp", "--port", "80",
                 "--cidr", "192.0.2.0/24")
        self.naru("authorize-security-group-ingress", "--group-id", name, "--ip-permissions",
                  "IpProtocol=tcp,FromPort=81,ToPort=81,IpRanges=[{CidrIp=192.0.2.0/24}]")
        for args in (["describe-security-groups", "--group-ids", name], ["describe-subnets"],
                     ["describe-vpcs", "--filters", "Name=is-default,Values=true,false"],
                     ["describe-security-group-rules", "--filters", f"Name=group-id,Values={name}"]):
            ours = json.loads(self.naru(*args))
            for group in ours.get("SecurityGroups", []):
                del group["SecurityGroupArn"]  # newer than the CLI of Debian
            self.assertEqual(json.loads(self.aws(*args)), ours, args)
        shown = json.loads(self.aws("describe-security-groups", "--group-ids", name))["SecurityGroups"][0]
        self.assertEqual([p["FromPort"] for p in shown["IpPermissions"]], [80, 81])
        failed = subprocess.run([str(harness.BINARY), "aws", "ec2", "delete-vpc", "--vpc-id", "vpc-0"], text=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.assertEqual(failed.returncode, 254)
        self.assertIn("An error occurred (InvalidVpcID.NotFound) when calling the DeleteVpc operation", failed.stderr)

    def aws(self, *args):
        return subprocess.run(["/usr/bin/aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "ec2", *args],
                              check=True, stdout=subprocess.PIPE, text=True).stdout

    def naru(self, *args):
        return subprocess.run([str(harness.BINARY), "aws", "ec2", *args], check=True, stdout=subprocess.PIPE, text=True).stdout


if __name__ == "__main__":
    unittest.main()
