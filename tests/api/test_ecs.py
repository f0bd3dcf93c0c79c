# SPDX-License-Identifier: MIT
"""ECS and STS through boto3, the real AWS CLI, and raw requests with botocore's signer for what the packaged
boto3 is too old to know. Endpoint, keys and region come from the environment."""
import datetime
import functools
import hashlib
import json
import os
import subprocess
import time
import unittest
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials
import botocore.exceptions

ENDPOINT = os.environ.get("AWS_ENDPOINT_URL", "http://localhost:4566")
REGION = os.environ.get("AWS_DEFAULT_REGION", "ap-northeast-2")
TARGET = "AmazonEC2ContainerServiceV20141113."
READ_ONLY = ("taskDefinitionArn", "revision", "status", "requiresAttributes", "compatibilities", "registeredAt",
             "registeredBy", "deregisteredAt")


@functools.lru_cache(maxsize=None)
def client(service="ecs", region=REGION):
    return boto3.client(service, endpoint_url=ENDPOINT, region_name=region,
                        config=botocore.config.Config(retries={"max_attempts": 0}))


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


def container(**members):
    return dict({"name": "app", "image": "localhost:4566/none:1", "memory": 64}, **members)


def send(request):
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def signed(operation, body, service="ecs", key=None, secret=None, tamper=lambda request: None, content_type=None,
           target=TARGET):
    """One request signed by botocore; `tamper` may change it after that."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {"Content-Type": content_type or "application/x-amz-json-1.1"}
    if operation:
        headers["X-Amz-Target"] = target + operation
    request = botocore.awsrequest.AWSRequest("POST", ENDPOINT + "/", headers=headers, data=data)
    credentials = botocore.credentials.Credentials(key or os.environ["AWS_ACCESS_KEY_ID"],
                                                   secret or os.environ["AWS_SECRET_ACCESS_KEY"])
    botocore.auth.SigV4Auth(credentials, service, REGION).add_auth(request)
    tamper(request)
    return send(urllib.request.Request(request.url, data=request.data, headers=dict(request.headers), method="POST"))


def raw(operation, **members):
    status, _, body = signed(operation, members)
    answer = json.loads(body)
    if status != 200:
        raise AssertionError(f"{operation}: {status} {answer}")
    return answer


class Case(unittest.TestCase):
    def setUp(self):
        self.ecs = client()

    def refused(self, code, call, **members):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        return caught.exception.response["Error"]["Message"]

    def cluster(self, **members):
        made = self.ecs.create_cluster(clusterName=fresh("c"), **members)["cluster"]
        self.addCleanup(self.end_cluster, made["clusterName"])
        return made["clusterName"]

    def end_cluster(self, name):
        for page in self.ecs.get_paginator("list_services").paginate(cluster=name):
            for arn in page["serviceArns"]:
                self.ecs.delete_service(cluster=name, service=arn, force=True)
        for arn in self.ecs.list_tasks(cluster=name)["taskArns"]:
            self.ecs.stop_task(cluster=name, task=arn)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                self.ecs.delete_cluster(cluster=name)
                return
            except (self.ecs.exceptions.ClusterContainsServicesException,
                    self.ecs.exceptions.ClusterContainsTasksException):
                time.sleep(0.2)
        self.fail(f"cluster {name} does not become empty")

    def definition(self, **members):
        options = dict(family=fresh("f"), containerDefinitions=[container()])
        options.update(members)
        made = self.ecs.register_task_definition(**options)["taskDefinition"]
        self.addCleanup(self.ecs.deregister_task_definition, taskDefinition=made["taskDefinitionArn"])
        return made

    def service(self, cluster, definition, **members):
        options = dict(serviceName=fresh("s"), desiredCount=0, taskDefinition=definition["taskDefinitionArn"])
        options.update(members)
        return self.ecs.create_service(cluster=cluster, **options)["service"]


class Signatures(unittest.TestCase):
    def expect(self, code, text, **options):
        status, headers, body = signed("ListClusters", {}, **options)
        answer = json.loads(body)
        self.assertEqual((status, answer["__type"]), (400, code), answer)
        self.assertIn(text, answer["message"])
        self.assertIn("Date", headers)
        self.assertRegex(headers.get("x-amzn-RequestId", ""), r"^[0-9a-f-]{36}$")

    def test_a_good_one_is_taken(self):
        status, headers, body = signed("ListClusters", {})
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "application/x-amz-json-1.1")
        self.assertIn("clusterArns", json.loads(body))

    def test_wrong_key_secret_and_service(self):
        self.expect("UnrecognizedClientException", "security token", key="AKIDOTHER")
        self.expect("InvalidSignatureException", "does not match the signature you provided", secret="wrong")
        self.expect("InvalidSignatureException", "correct service: 'ecs'", service="s3")

    def test_an_altered_body_is_refused(self):
        def alter(request):
            request.data = b'{"maxResults": 1}'
        self.expect("InvalidSignatureException", "does not match", tamper=alter)

    def test_a_header_outside_of_the_signature_is_refused(self):
        def add(request):
            request.headers["X-Amz-Content-Sha256"] = hashlib.sha256(b"{}").hexdigest()
        self.expect("InvalidSignatureException", "SignedHeader", tamper=add)

    def test_nothing_or_nonsense_instead(self):
        def remove(request):
            del request.headers["Authorization"]

        def spoil(request):
            request.headers.replace_header("Authorization", "AWS4-HMAC-SHA256 Credential=x")
        self.expect("MissingAuthenticationTokenException", "Missing Authentication Token", tamper=remove)
        self.expect("IncompleteSignatureException", "'Signature' parameter", tamper=spoil)

    def test_the_clock_may_be_five_minutes_off(self):
        real = datetime.datetime

        for minutes, text in ((-6, "Signature expired: "), (6, "Signature not yet current: ")):
            class Shifted(real):
                @classmethod
                def utcnow(cls):
                    return real.utcnow() + datetime.timedelta(minutes=minutes)

                @classmethod
                def now(cls, tz=None):
                    return real.now(tz) + datetime.timedelta(minutes=minutes)
            module = botocore.auth.datetime
            if isinstance(module, type):
                botocore.auth.datetime = Shifted
            else:
                module = module.datetime
                botocore.auth.datetime.datetime = Shifted
            try:
                self.expect("InvalidSignatureException", text)
            finally:
                if isinstance(botocore.auth.datetime, type):
                    botocore.auth.datetime = module
                else:
                    botocore.auth.datetime.datetime = module
        self.test_a_good_one_is_taken()

    def test_a_presigned_url_is_refused_clearly(self):
        request = urllib.request.Request(ENDPOINT + "/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=00",
                                         data=b"{}", method="POST", headers={"X-Amz-Target": TARGET + "ListClusters"})
        status, _, body = send(request)
        self.assertEqual(status, 400)
        self.assertIn("Presigned", json.loads(body)["message"])


class Protocol(unittest.TestCase):
    def expect(self, code, text, operation, body, **options):
        status, _, answer = signed(operation, body, **options)
        answer = json.loads(answer)
        self.assertEqual((status, answer["__type"]), (400, code), answer)
        self.assertIn(text, answer["message"])

    def test_operations(self):
        self.expect("UnknownOperationException", "MakeCoffee", "MakeCoffee", {})
        self.expect("UnknownOperationException", "", None, {})
        self.expect("UnsupportedFeatureException", "ExecuteCommand is not built", "ExecuteCommand", {})

    def test_bodies(self):
        self.expect("SerializationException", "", "ListClusters", b"{")
        self.expect("SerializationException", "'maxResults'", "ListClusters", {"maxResults": "1"})
        self.expect("SerializationException", "", "ListClusters", ("[" * 100 + "]" * 100).encode())
        self.expect("InvalidParameterException", "less than or equal to 100", "ListClusters", {"maxResults": 101})
        self.expect("InvalidParameterException", "'cluster'", "DeleteCluster", {})
        self.expect("InvalidParameterException", "length less than or equal to 255", "CreateCluster",
                    {"clusterName": "c" * 256})
        self.assertEqual(signed("ListClusters", {"unknown": 1, "maxResults": None})[0], 200)
        self.assertEqual(signed("ListClusters", b"")[0], 200)

    def test_too_large(self):
        form = {"service": "sts", "content_type": "application/x-www-form-urlencoded"}
        for operation, options, want in (("ListClusters", {}, b'"__type":"RequestTooLarge"'),
                                         (None, form, b"<Code>RequestTooLarge</Code>")):
            try:
                status, headers, body = signed(operation, b'{"x":"' + b"x" * (2 << 20) + b'"}', **options)
            except urllib.error.URLError as error:  # the server may hang up while we still send
                self.assertIsInstance(error.reason, (BrokenPipeError, ConnectionResetError))
            else:
                self.assertEqual(status, 413)
                self.assertIn(want, body)
                self.assertIn("x-amzn-RequestId", headers)
        self.assertEqual(signed("ListClusters", {})[0], 200)

    def test_too_many_headers(self):
        def add(request):
            for i in range(200):
                request.headers[f"X-Header-{i}"] = "x"
        self.expect("BadRequest", "too many headers", "ListClusters", {}, tamper=add)

    def test_sts(self):
        identity = client("sts").get_caller_identity()
        self.assertRegex(identity["Account"], r"^\d{12}$")
        self.assertEqual(identity["Arn"], f"arn:aws:iam::{identity['Account']}:root")
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            client("sts").get_federation_token(Name="somebody")
        self.assertEqual(caught.exception.response["Error"]["Code"], "UnsupportedFeature")

    def test_a_query_request_by_get(self):
        request = botocore.awsrequest.AWSRequest("GET", ENDPOINT + "/", params={
            "Action": "GetCallerIdentity", "Version": "2011-06-15", "Note": "a b~/+é"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(
            os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]), "sts", REGION).add_auth(request)
        prepared = request.prepare()
        status, _, body = send(urllib.request.Request(prepared.url, headers=dict(prepared.headers)))
        self.assertEqual(status, 200, body)
        self.assertIn(b"<GetCallerIdentityResult>", body)


class Clusters(Case):
    def test_life(self):
        name = fresh("c")
        made = self.ecs.create_cluster(clusterName=name, tags=[{"key": "team", "value": "a"}])["cluster"]
        self.assertRegex(made["clusterArn"], rf"^arn:aws:ecs:{REGION}:\d{{12}}:cluster/{name}$")
        self.assertEqual(self.ecs.create_cluster(clusterName=name)["cluster"]["clusterArn"], made["clusterArn"])
        found = self.ecs.describe_clusters(clusters=[made["clusterArn"], "gone"], include=["TAGS", "STATISTICS"])
        self.assertEqual(found["clusters"][0]["tags"], [{"key": "team", "value": "a"}])
        self.assertIn({"name": "RunningFargateTasksCount", "value": "0"}, found["clusters"][0]["statistics"])
        self.assertEqual([f["reason"] for f in found["failures"]], ["MISSING"])
        self.assertEqual(self.ecs.delete_cluster(cluster=name)["cluster"]["status"], "INACTIVE")
        self.refused("ClusterNotFoundException", self.ecs.delete_cluster, cluster=name)

    def test_pages(self):
        names = {self.cluster() for _ in range(3)}
        pages = self.ecs.get_paginator("list_clusters").paginate(PaginationConfig={"PageSize": 1})
        seen = [arn.rsplit("/", 1)[1] for page in pages for arn in page["clusterArns"]]
        self.assertEqual(len(seen), len(set(seen)))
        self.assertLessEqual(names, set(seen))
        self.refused("InvalidParameterException", self.ecs.list_clusters, nextToken="nonsense")

    def test_regions_are_apart(self):
        name = self.cluster()
        other = client(region="us-west-2").describe_clusters(clusters=[name])
        self.assertEqual(other["clusters"], [])

    def test_this_machine_is_an_instance(self):
        name = self.cluster()
        arns = self.ecs.list_container_instances(cluster=name)["containerInstanceArns"]
        if not arns:
            self.skipTest("no Docker answers yet")
        found = self.ecs.describe_container_instances(cluster=name, containerInstances=arns)["containerInstances"]
        self.assertEqual(found[0]["status"], "ACTIVE")
        self.assertIn("CPU", [r["name"] for r in found[0]["registeredResources"]])


class Definitions(Case):
    def test_describe_strip_register_is_the_same(self):
        made = self.definition(cpu=".25 vCPU", memory="0.5 GB", networkMode="awsvpc", taskRoleArn="worker",
                               requiresCompatibilities=["FARGATE"], containerDefinitions=[container(
                                   portMappings=[{"containerPort": 80}], healthCheck={"command": ["CMD", "true"]})])
        self.assertEqual((made["cpu"], made["memory"], made["revision"]), ("256", "512", 1))
        self.assertEqual(made["compatibilities"], ["EC2", "FARGATE"])
        self.assertEqual(made["containerDefinitions"][0]["portMappings"],
                         [{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}])
        described = self.ecs.describe_task_definition(taskDefinition=made["family"])["taskDefinition"]
        self.assertEqual(described, made)
        stripped = {k: v for k, v in described.items() if k not in READ_ONLY}
        again = self.definition(**stripped)
        self.assertEqual(again["revision"], 2)
        self.assertEqual({k: v for k, v in again.items() if k not in READ_ONLY}, stripped)

    def test_revisions_are_never_used_again(self):
        family = fresh("f")
        first = self.definition(family=family)
        gone = self.ecs.deregister_task_definition(taskDefinition=first["taskDefinitionArn"])["taskDefinition"]
        self.assertEqual(gone["status"], "INACTIVE")
        self.assertIn("deregisteredAt", gone)
        self.refused("ClientException", self.ecs.describe_task_definition, taskDefinition=family)
        self.assertEqual(self.definition(family=family)["revision"], 2)
        self.assertEqual(self.ecs.list_task_definition_families(familyPrefix=family[:5], status="ACTIVE")
                         ["families"].count(family), 1)
        inactive = self.ecs.list_task_definitions(familyPrefix=family, status="INACTIVE")["taskDefinitionArns"]
        self.assertEqual(inactive, [first["taskDefinitionArn"]])

    def test_faults_are_named(self):
        register = self.ecs.register_task_definition

        def fault(**members):
            options = dict(family="f", containerDefinitions=[container()])
            options.update(members)
            return self.refused("ClientException", register, **options)
        self.assertIn("At least one of 'memory'", fault(containerDefinitions=[{"name": "a", "image": "i"}]))
        self.assertIn("Fargate only supports network mode ‘awsvpc’.",
                      fault(requiresCompatibilities=["FARGATE"], cpu="256", memory="512"))
        self.assertIn("No Fargate configuration exists for given values: 256 CPU, 4096 memory.",
                      fault(requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="4096"))
        self.assertIn("Unknown volume 'v'.", fault(containerDefinitions=[container(
            mountPoints=[{"sourceVolume": "v", "containerPath": "/v"}])]))
        self.assertIn("Tags can not be empty.", fault(tags=[]))
        self.assertIn("bytes", fault(containerDefinitions=[container(
            environment=[{"name": f"V{i}", "value": "x" * 1000} for i in range(70)])]))

    def test_tags(self):
        made = self.definition(tags=[{"key": "a", "value": "1"}])
        arn = made["taskDefinitionArn"]
        self.ecs.tag_resource(resourceArn=arn, tags=[{"key": "a", "value": "2"}, {"key": "b", "value": "3"}])
        self.ecs.untag_resource(resourceArn=arn, tagKeys=["b"])
        self.assertEqual(self.ecs.list_tags_for_resource(resourceArn=arn)["tags"], [{"key": "a", "value": "2"}])
        self.assertNotIn("tags", self.ecs.describe_task_definition(taskDefinition=arn))
        self.assertEqual(self.ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])["tags"],
                         [{"key": "a", "value": "2"}])
        self.refused("InvalidParameterException", self.ecs.tag_resource, resourceArn="web",
                     tags=[{"key": "a", "value": "2"}])


class Services(Case):
    def setUp(self):
        super().setUp()
        self.name = self.cluster()
        self.made = self.definition()

    def describe(self, service):
        return self.ecs.describe_services(cluster=self.name, services=[service])["services"][0]

    def test_life(self):
        s = self.service(self.name, self.made)
        self.assertEqual([d["status"] for d in s["deployments"]], ["PRIMARY"])
        self.assertRegex(s["deployments"][0]["id"], r"^ecs-svc/\d{19}$")
        self.assertEqual(s["deploymentConfiguration"]["maximumPercent"], 200)
        self.assertEqual(self.service(self.name, self.made, serviceName=s["serviceName"])["serviceArn"], s["serviceArn"])
        self.assertIn("idempotent", self.refused(
            "InvalidParameterException", self.ecs.create_service, cluster=self.name, serviceName=s["serviceName"],
            desiredCount=1, taskDefinition=self.made["taskDefinitionArn"]))
        self.ecs.get_waiter("services_stable").wait(cluster=self.name, services=[s["serviceName"]],
                                                    WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.ecs.delete_service(cluster=self.name, service=s["serviceName"])
        self.ecs.get_waiter("services_inactive").wait(cluster=self.name, services=[s["serviceName"]],
                                                      WaiterConfig={"Delay": 1, "MaxAttempts": 20})
        self.refused("ServiceNotFoundException", self.ecs.delete_service, cluster=self.name, service="none")

    def test_what_starts_a_deployment(self):
        s = self.service(self.name, self.made)["serviceName"]
        first = self.describe(s)["deployments"][0]["id"]

        def update(**members):
            return self.ecs.update_service(cluster=self.name, service=s, **members)["service"]
        self.assertEqual(update(taskDefinition=self.made["family"])["deployments"][0]["id"], first)
        self.assertEqual(update(enableECSManagedTags=True)["deployments"][0]["id"], first)
        changed = update(deploymentConfiguration={"deploymentCircuitBreaker": {"enable": True, "rollback": True}})
        self.assertEqual(changed["deployments"][0]["id"], first)
        self.assertNotEqual(update(forceNewDeployment=True)["deployments"][0]["id"], first)
        newer = self.definition(family=self.made["family"])
        self.assertEqual(update(taskDefinition=self.made["family"])["taskDefinition"], newer["taskDefinitionArn"])

    def test_pages_of_ten(self):
        names = [self.service(self.name, self.made)["serviceName"] for _ in range(12)]
        first = self.ecs.list_services(cluster=self.name)
        self.assertEqual(len(first["serviceArns"]), 10)
        rest = self.ecs.list_services(cluster=self.name, nextToken=first["nextToken"])
        self.assertNotIn("nextToken", rest)
        seen = {a.rsplit("/", 1)[1] for a in first["serviceArns"] + rest["serviceArns"]}
        self.assertEqual(seen, set(names))
        self.refused("InvalidParameterException", self.ecs.describe_services, cluster=self.name, services=names[:11])

    def test_refusals(self):
        def refused(code, **members):
            options = dict(cluster=self.name, serviceName="x", desiredCount=0, taskDefinition=self.made["family"])
            options.update(members)
            return self.refused(code, self.ecs.create_service, **options)
        refused("ClusterNotFoundException", cluster="none")
        refused("ClientException", taskDefinition="none")
        refused("InvalidParameterException", schedulingStrategy="DAEMON")
        self.assertIn("Network Configuration is not valid", refused(
            "InvalidParameterException", networkConfiguration={"awsvpcConfiguration": {"subnets": ["subnet-1"]}}))
        self.assertIn("cannot be 100", refused("InvalidParameterException", deploymentConfiguration={
            "maximumPercent": 100, "minimumHealthyPercent": 100}))
        self.assertIn("does not exist in the task definition", refused(
            "InvalidParameterException",
            loadBalancers=[{"targetGroupArn": "x", "containerName": "other", "containerPort": 80}]))

    def test_service_deployments(self):
        s = self.service(self.name, self.made)["serviceName"]
        end = time.monotonic() + 20
        while time.monotonic() < end:
            history = raw("ListServiceDeployments", cluster=self.name, service=s)["serviceDeployments"]
            if history[0]["status"] == "SUCCESSFUL":
                break
            time.sleep(0.1)
        self.assertEqual([d["status"] for d in history], ["SUCCESSFUL"])
        self.ecs.update_service(cluster=self.name, service=s, forceNewDeployment=True)
        history = raw("ListServiceDeployments", cluster=self.name, service=s)["serviceDeployments"]
        self.assertEqual(len(history), 2)
        self.assertGreaterEqual(history[0]["createdAt"], history[1]["createdAt"])
        arn = history[0]["serviceDeploymentArn"]
        found = raw("DescribeServiceDeployments", serviceDeploymentArns=[arn, arn + "x"])
        self.assertEqual(len(found["failures"]), 1)
        revision = found["serviceDeployments"][0]["targetServiceRevision"]["arn"]
        revisions = raw("DescribeServiceRevisions", serviceRevisionArns=[revision])["serviceRevisions"]
        self.assertEqual(revisions[0]["taskDefinition"], self.made["taskDefinitionArn"])
        status, _, body = signed("StopServiceDeployment", {"serviceDeploymentArn": history[1]["serviceDeploymentArn"]})
        self.assertEqual((status, json.loads(body)["__type"]), (400, "ConflictException"))
        status, _, body = signed("StopServiceDeployment", {"serviceDeploymentArn": "arn:none"})
        self.assertEqual(json.loads(body)["__type"], "ServiceDeploymentNotFoundException")

    def test_our_own_rollback_wants_a_completed_deployment(self):
        s = self.service(self.name, self.made)["serviceName"]
        status, _, body = signed("UpdateService", {"cluster": self.name, "service": s, "rollbackDeployment": True})
        self.assertEqual((status, json.loads(body)["message"]), (400, "No completed deployment to roll back to."))


class Tasks(Case):
    def test_refusals(self):
        name, made = self.cluster(), self.definition()
        run = dict(cluster=name, taskDefinition=made["family"])
        self.assertIn("Override for container named x", self.refused(
            "InvalidParameterException", self.ecs.run_task, overrides={"containerOverrides": [{"name": "x"}]}, **run))
        self.refused("InvalidParameterException", self.ecs.run_task, count=11, **run)
        self.refused("InvalidParameterException", self.ecs.stop_task, cluster=name, task="none")
        self.refused("InvalidParameterException", self.ecs.describe_tasks, cluster=name, tasks=[])
        self.refused("ServiceNotFoundException", self.ecs.list_tasks, cluster=name, serviceName="none")
        found = self.ecs.describe_tasks(cluster=name, tasks=["0" * 32])
        self.assertEqual(found["failures"][0]["reason"], "MISSING")

    def test_an_image_that_is_nowhere_stops_the_task_with_the_reason(self):
        name, made = self.cluster(), self.definition()
        arns = self.ecs.list_container_instances(cluster=name)["containerInstanceArns"]
        if not arns or not self.ecs.describe_container_instances(
                cluster=name, containerInstances=arns)["containerInstances"][0]["agentConnected"]:
            self.skipTest("no Docker answers")
        token = uuid.uuid4().hex
        first = self.ecs.run_task(cluster=name, taskDefinition=made["family"], startedBy="me")
        arn = first["tasks"][0]["taskArn"]
        self.assertEqual(first["failures"], [])
        self.ecs.get_waiter("tasks_stopped").wait(cluster=name, tasks=[arn], WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        task = self.ecs.describe_tasks(cluster=name, tasks=[arn])["tasks"][0]
        self.assertEqual(task["stopCode"], "TaskFailedToStart")
        self.assertIn("CannotPullContainerError", task["stoppedReason"])
        once = raw("RunTask", cluster=name, taskDefinition=made["family"], clientToken=token)["tasks"][0]["taskArn"]
        again = raw("RunTask", cluster=name, taskDefinition=made["family"], clientToken=token)["tasks"][0]["taskArn"]
        self.assertEqual(once, again)
        status, _, body = signed("RunTask", {"cluster": name, "taskDefinition": made["family"], "count": 2,
                                             "clientToken": token})
        answer = json.loads(body)
        self.assertEqual((status, answer["__type"]), (400, "ConflictException"))
        self.assertEqual(answer["resourceIds"], [once.rsplit("/", 1)[1]])


class RealCli(Case):
    def aws(self, *args, check=True):
        done = subprocess.run(["/usr/bin/aws", "--endpoint-url", ENDPOINT, "--region", REGION, "--output", "json", *args],
                              env=dict(os.environ, AWS_PAGER=""), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if check:
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout) if done.stdout.strip() else None
        return done

    def test_the_words_of_a_deploy_script(self):
        name = self.cluster()
        family = fresh("f")
        made = self.aws("ecs", "register-task-definition", "--family", family, "--container-definitions",
                        json.dumps([container()]))["taskDefinition"]
        self.addCleanup(self.ecs.deregister_task_definition, taskDefinition=made["taskDefinitionArn"])
        self.aws("ecs", "create-service", "--cluster", name, "--service-name", "web", "--task-definition", family,
                 "--desired-count", "0", "--deployment-configuration",
                 "deploymentCircuitBreaker={enable=true,rollback=true}")
        s = self.aws("ecs", "update-service", "--cluster", name, "--service", "web", "--force-new-deployment")["service"]
        self.assertTrue(s["deploymentConfiguration"]["deploymentCircuitBreaker"]["rollback"])
        self.ecs.get_waiter("services_stable").wait(cluster=name, services=["web"], WaiterConfig={"Delay": 1})
        self.aws("ecs", "wait", "services-stable", "--cluster", name, "--services", "web")
        self.assertEqual(self.aws("sts", "get-caller-identity")["Arn"].rsplit(":", 1)[1], "root")
        done = self.aws("ecs", "update-service", "--cluster", name, "--service", "none", check=False)
        self.assertIn("An error occurred (ServiceNotFoundException) when calling the UpdateService operation: "
                      "Service not found.", done.stderr)


if __name__ == "__main__":
    unittest.main()
