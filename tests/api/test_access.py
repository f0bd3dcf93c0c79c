# SPDX-License-Identifier: MIT
"""Access keys with roles: `naru keys`, the AWS APIs, the registry with skopeo and tokens of its own."""
import base64
import json
import os
import pathlib
import subprocess
import unittest
import urllib.error
import urllib.parse
import urllib.request
import uuid

import boto3
import botocore.config
import botocore.exceptions

import harness
from test_ecr import Case

DATA = pathlib.Path(os.environ.get("NARU_DATA_DIR", "/nonexistent"))


def keys(*args, check=True):
    return subprocess.run([str(harness.BINARY), "keys", *args, "--output", "json"], check=check,
                          capture_output=True, text=True)


class Keys(Case):
    def key(self, role, *more):
        name = "k" + uuid.uuid4().hex[:8]
        made = json.loads(keys("create", name, "--role", role, *more).stdout)
        self.addCleanup(keys, "delete", name, check=False)
        self.assertEqual((made["name"], made["role"]), (name, role))
        return made

    def client(self, key, service, retries=0):
        return boto3.client(service, endpoint_url=os.environ["AWS_ENDPOINT_URL"],
                            region_name=os.environ["AWS_DEFAULT_REGION"],
                            aws_access_key_id=key["accessKeyId"], aws_secret_access_key=key["secretAccessKey"],
                            config=botocore.config.Config(retries={"max_attempts": retries}))


class Access(Keys):
    def test_a_role_is_enforced_at_every_api(self):
        reader = self.key("read-only")
        ecs = self.client(reader, "ecs")
        self.assertIn("clusterArns", ecs.list_clusters())
        who = self.client(reader, "sts").get_caller_identity()
        self.assertEqual(who["Arn"], f"arn:aws:iam::000000000000:user/{reader['name']}")
        message = self.refused("AccessDeniedException", ecs.create_cluster, clusterName="x")
        self.assertEqual(message, f"User: {who['Arn']} is not authorized to perform: ecs:CreateCluster because no "
                                  "identity-based policy allows the ecs:CreateCluster action")
        elb, ec2 = self.client(reader, "elbv2"), self.client(reader, "ec2")
        elb.describe_load_balancers()
        self.refused("AccessDenied", elb.create_target_group, Name="x", Protocol="HTTP", Port=80, VpcId="vpc-1")
        ec2.describe_vpcs()
        self.refused("UnauthorizedOperation", ec2.create_vpc, CidrBlock="10.0.0.0/16")
        self.refused("AccessDeniedException", self.client(self.key("push"), "ecs").list_clusters)
        deploy = self.client(self.key("deploy"), "ecr")
        name = "access/" + uuid.uuid4().hex[:8]
        deploy.create_repository(repositoryName=name)
        self.refused("AccessDeniedException", deploy.delete_repository, repositoryName=name)
        self.ecr.delete_repository(repositoryName=name)

    def test_a_key_of_some_repositories(self):
        mine, other = self.repository(name="team/" + uuid.uuid4().hex[:8]), self.repository()
        ecr = self.client(self.key("push", "--repositories", "team/*"), "ecr")
        ecr.list_images(repositoryName=mine["repositoryName"])
        self.refused("AccessDeniedException", ecr.list_images, repositoryName=other["repositoryName"])

    def test_a_policy_can_grant_what_the_role_does_not(self):
        name, puller = self.repository()["repositoryName"], self.key("pull")
        ecr = self.client(puller, "ecr")
        self.refused("AccessDeniedException", ecr.batch_delete_image, repositoryName=name, imageIds=[{"imageTag": "x"}])
        principal = f"arn:aws:iam::000000000000:user/{puller['name']}"
        self.ecr.set_repository_policy(repositoryName=name, policyText=json.dumps({
            "Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": principal},
                                                    "Action": "ecr:BatchDeleteImage"}]}))
        ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "x"}])

    def test_a_deleted_key_is_refused_at_once(self):
        key = self.key("admin")
        ecs = self.client(key, "ecs")
        ecs.list_clusters()
        listed = json.loads(keys("list").stdout)
        self.assertIn(key["name"], [k["name"] for k in listed])
        self.assertNotIn(key["secretAccessKey"], keys("list").stdout)
        keys("delete", key["name"])
        self.refused("UnrecognizedClientException", ecs.list_clusters)
        self.assertEqual(keys("delete", key["name"], check=False).returncode, 1)
        self.assertEqual(keys("create", "x y", "--role", "admin", check=False).returncode, 2)
        self.assertEqual(keys("create", "x", "--role", "root", check=False).returncode, 2)

    def test_guessing_is_slowed(self):
        key = self.key("read-only")
        wrong = self.client(dict(key, secretAccessKey="guess"), "ecs")
        for _ in range(10):
            self.refused("InvalidSignatureException", wrong.list_clusters)
        self.refused("ThrottlingException", wrong.list_clusters)
        self.refused("ThrottlingException", self.client(key, "ecs").list_clusters)
        self.client(self.key("read-only"), "ecs").list_clusters()  # nobody else has to wait
        self.client(key, "ecs", retries=8).list_clusters()  # as clients do: try again

    def test_deeds_are_in_the_log(self):
        key = self.key("admin")
        cluster = "audit-" + uuid.uuid4().hex[:8]
        ecs = self.client(key, "ecs")
        ecs.create_cluster(clusterName=cluster)
        ecs.delete_cluster(cluster=cluster)
        text = (DATA / "log/audit.log").read_text()
        self.assertRegex(text, f"at=api.call who={key['name']} key={key['accessKeyId']} peer=\\S+ "
                               "action=ecs:CreateCluster outcome=ok")
        self.assertNotIn("action=ecs:ListClusters outcome=ok", text)


class Registry(Keys):
    def token(self, key, scope):
        query = urllib.parse.urlencode({"service": "naru", "scope": scope})
        request = urllib.request.Request(f"http://{self.registry}/v2/token?{query}")
        if key:
            pair = f"{key['accessKeyId']}:{key['secretAccessKey']}"
            request.add_header("Authorization", "Basic " + base64.b64encode(pair.encode()).decode())
        with urllib.request.urlopen(request) as answer:
            return json.loads(answer.read())["token"]

    def status(self, path, token=None):
        request = urllib.request.Request(f"http://{self.registry}{path}")
        if token:
            request.add_header("Authorization", "Bearer " + token)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def skopeo(self, *args, check=True):
        return subprocess.run(["skopeo", *args], check=check, capture_output=True, text=True)

    def test_skopeo_with_keys_and_without(self):
        name = self.repository()["repositoryName"]
        self.push(name, "v1", "content")
        image = f"docker://{self.registry}/{name}:v1"
        push, pull = self.key("push"), self.key("pull")
        creds = {k["role"]: f"{k['accessKeyId']}:{k['secretAccessKey']}" for k in (push, pull)}
        copy = ("copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false")
        other = image.replace(":v1", ":v2")
        self.skopeo(*copy, "--src-creds", creds["pull"], "--dest-creds", creds["push"], image, other)
        refused = self.skopeo(*copy, "--src-creds", creds["pull"], "--dest-creds", creds["pull"], image, other[:-1] + "3",
                              check=False)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("denied", refused.stderr.lower())
        inspect = ("inspect", "--tls-verify=false", "--no-creds", image)
        self.assertIn("unauthorized", self.skopeo(*inspect, check=False).stderr.lower())
        arn = self.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]["repositoryArn"]
        self.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "naru:anonymousPull", "Value": "true"}])
        harness.wait_until("nobody to be let in", lambda: self.skopeo(*inspect, check=False).returncode == 0)
        self.assertNotEqual(self.skopeo(*copy, "--src-no-creds", "--dest-no-creds", image, other, check=False).returncode, 0)

    def test_a_bearer_token_has_its_scopes(self):
        name, other = self.repository()["repositoryName"], self.repository()["repositoryName"]
        token = self.token(self.key("pull"), f"repository:{name}:pull,push")
        self.assertEqual(self.status(f"/v2/{name}/tags/list", token), 200)
        self.assertEqual(self.status(f"/v2/{other}/tags/list", token), 401)
        self.assertEqual(self.status(f"/v2/{name}/tags/list", self.token(None, f"repository:{name}:pull")), 401)


if __name__ == "__main__":
    unittest.main()
