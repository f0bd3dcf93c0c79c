# SPDX-License-Identifier: MIT
"""Container instances, placement, capacity providers and DAEMON services through boto3 and the real AWS CLI. There is
one machine, so where several would be told apart is left to tests/trace and tests/unit."""
import json
import os
import subprocess
import time
import uuid

import test_ecs


def fresh(prefix):
    return f"{prefix}-{uuid.uuid4().hex[:8]}"


class Placement(test_ecs.Case):
    def setUp(self):
        super().setUp()
        self.name = self.cluster()
        end = time.monotonic() + 30
        while True:  # the instance comes with the agent's first word
            arns = self.ecs.list_container_instances(cluster=self.name)["containerInstanceArns"]
            if arns:
                break
            if time.monotonic() > end:
                self.skipTest("no Docker answers")
            time.sleep(0.2)
        self.arn = arns[0]

    def instance(self, **members):
        return self.ecs.describe_container_instances(cluster=self.name, containerInstances=[self.arn],
                                                     **members)["containerInstances"][0]

    def put(self, name, value):
        self.ecs.put_attributes(cluster=self.name, attributes=[
            {"name": name, "value": value, "targetType": "container-instance", "targetId": self.arn}])

    def wait_for_count(self, service, count):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            found = self.ecs.describe_services(cluster=self.name, services=[service])["services"][0]
            if found["desiredCount"] == count:
                return found
            time.sleep(0.2)
        self.fail(f"desiredCount does not become {count}")

    def test_attributes_filters_and_tags(self):
        self.put("stack", "prod")
        listed = self.ecs.list_container_instances(
            cluster=self.name, filter="attribute:stack == prod and attribute:ecs.os-type =~ lin.*", status="ACTIVE")
        self.assertEqual(listed["containerInstanceArns"], [self.arn])
        self.assertEqual(self.ecs.list_container_instances(
            cluster=self.name, filter="not(attribute:stack exists)")["containerInstanceArns"], [])
        self.assertIn("Invalid filter", self.refused(
            "InvalidParameterException", self.ecs.list_container_instances, cluster=self.name, filter="stack == prod"))
        pages = self.ecs.get_paginator("list_attributes").paginate(
            cluster=self.name, targetType="container-instance", attributeName="stack")
        self.assertEqual([a["value"] for page in pages for a in page["attributes"]], ["prod"])
        self.refused("TargetNotFoundException", self.ecs.put_attributes, cluster=self.name,
                     attributes=[{"name": "a", "targetId": "0" * 32}])
        self.ecs.tag_resource(resourceArn=self.arn, tags=[{"key": "rack", "value": "7"}])
        self.assertEqual(self.instance(include=["TAGS"])["tags"], [{"key": "rack", "value": "7"}])
        self.ecs.delete_attributes(cluster=self.name, attributes=[{"name": "stack", "targetId": self.arn}])
        self.assertNotIn("stack", [a["name"] for a in self.instance()["attributes"]])

    def test_a_draining_instance_takes_nothing(self):
        made = self.definition(containerDefinitions=[test_ecs.container(cpu=1)])
        answer = self.ecs.update_container_instances_state(
            cluster=self.name, containerInstances=[self.arn, "0" * 32], status="DRAINING")
        self.assertEqual(answer["containerInstances"][0]["status"], "DRAINING")
        self.assertEqual(answer["failures"][0]["reason"], "MISSING")
        failed = self.ecs.run_task(cluster=self.name, taskDefinition=made["family"])
        self.assertEqual((failed["tasks"], failed["failures"]), ([], [{"arn": self.arn, "reason": "INACTIVE"}]))
        failed = self.ecs.start_task(cluster=self.name, taskDefinition=made["family"], containerInstances=[self.arn])
        self.assertEqual(failed["failures"], [{"arn": self.arn, "reason": "INACTIVE"}])
        self.ecs.update_container_instances_state(cluster=self.name, containerInstances=[self.arn], status="ACTIVE")
        started = self.ecs.start_task(cluster=self.name, taskDefinition=made["family"], containerInstances=[self.arn])
        self.assertEqual(started["tasks"][0]["containerInstanceArn"], self.arn)
        left = {r["name"]: r["integerValue"] for r in self.instance()["remainingResources"]}
        has = {r["name"]: r["integerValue"] for r in self.instance()["registeredResources"]}
        self.assertLessEqual(left["MEMORY"], has["MEMORY"])

    def test_constraints_bind(self):
        made = self.definition()
        failed = self.ecs.run_task(cluster=self.name, taskDefinition=made["family"], placementConstraints=[
            {"type": "memberOf", "expression": "attribute:color == red"}])
        self.assertEqual(failed["failures"][0]["reason"], "ATTRIBUTE")
        self.assertEqual(failed["failures"][0]["detail"], "MemberOf placement constraint unsatisfied.")
        placed = self.ecs.run_task(cluster=self.name, taskDefinition=made["family"], count=2, placementConstraints=[
            {"type": "distinctInstance"}], placementStrategy=[{"type": "binpack", "field": "memory"}])
        self.assertEqual((len(placed["tasks"]), len(placed["failures"])), (1, 1))
        service = self.service(self.name, made, placementStrategy=[{"type": "spread", "field": "instanceId"}])
        self.assertEqual(service["placementStrategy"], [{"type": "spread", "field": "instanceId"}])
        self.assertIn("Invalid expression", self.refused(
            "InvalidParameterException", self.ecs.update_service, cluster=self.name, service=service["serviceName"],
            placementConstraints=[{"type": "memberOf", "expression": "("}]))

    def test_a_capacity_provider_is_a_group_of_hosts(self):
        provider, group = fresh("p"), fresh("g")
        self.ecs.create_capacity_provider(name=provider, autoScalingGroupProvider={"autoScalingGroupArn": group})
        self.ecs.put_cluster_capacity_providers(
            cluster=self.name, capacityProviders=[provider, "FARGATE"],
            defaultCapacityProviderStrategy=[{"capacityProvider": provider, "weight": 1}])
        made = self.definition()
        self.assertIn("No Container Instances were found in your capacity provider", self.refused(
            "InvalidParameterException", self.ecs.run_task, cluster=self.name, taskDefinition=made["family"]))
        self.put("naru.auto-scaling-group", group)
        self.assertEqual(self.instance()["capacityProviderName"], provider)
        task = self.ecs.run_task(cluster=self.name, taskDefinition=made["family"])["tasks"][0]
        self.assertEqual(task["capacityProviderName"], provider)
        self.refused("ClientException", self.ecs.delete_capacity_provider, capacityProvider=provider)
        self.refused("ResourceInUseException", self.ecs.put_cluster_capacity_providers, cluster=self.name,
                     capacityProviders=[], defaultCapacityProviderStrategy=[])
        self.ecs.stop_task(cluster=self.name, task=task["taskArn"])
        self.ecs.get_waiter("tasks_stopped").wait(cluster=self.name, tasks=[task["taskArn"]],
                                                  WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        self.ecs.put_cluster_capacity_providers(cluster=self.name, capacityProviders=[],
                                                defaultCapacityProviderStrategy=[])
        self.ecs.delete_capacity_provider(capacityProvider=provider)
        names = self.ecs.describe_capacity_providers(capacityProviders=[provider, "FARGATE"])
        self.assertEqual([p["name"] for p in names["capacityProviders"]], ["FARGATE"])

    def test_a_daemon_counts_instances(self):
        made, service = self.definition(), fresh("d")
        self.ecs.create_service(cluster=self.name, serviceName=service, taskDefinition=made["family"],
                                schedulingStrategy="DAEMON")
        self.assertEqual(self.wait_for_count(service, 1)["schedulingStrategy"], "DAEMON")
        self.ecs.update_container_instances_state(cluster=self.name, containerInstances=[self.arn], status="DRAINING")
        self.wait_for_count(service, 0)
        self.assertEqual(self.ecs.list_services(cluster=self.name, schedulingStrategy="REPLICA")["serviceArns"], [])
        self.assertIn("does not support a desired count", self.refused(
            "InvalidParameterException", self.ecs.update_service, cluster=self.name, service=service, desiredCount=2))

    def test_the_real_cli_drives_instances(self):
        def aws(*words):
            done = subprocess.run(["/usr/bin/aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "ecs", *words,
                                   "--cluster", self.name, "--output", "json"],
                                  capture_output=True, text=True, timeout=120)
            self.assertEqual(done.returncode, 0, done.stderr)
            return json.loads(done.stdout)

        aws("put-attributes", "--attributes", f"name=disk,value=ssd,targetId={self.arn}")
        self.assertEqual(aws("list-container-instances", "--filter", "attribute:disk == ssd")["containerInstanceArns"],
                         [self.arn])
        answer = aws("update-container-instances-state", "--container-instances", self.arn, "--status", "DRAINING")
        self.assertEqual(answer["containerInstances"][0]["status"], "DRAINING")
        self.assertEqual(aws("list-container-instances", "--status", "ACTIVE")["containerInstanceArns"], [])
        answer = aws("list-attributes", "--target-type", "container-instance", "--attribute-name", "disk")
        self.assertEqual(answer["attributes"][0]["value"], "ssd")
