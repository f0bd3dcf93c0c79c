# SPDX-License-Identifier: MIT
"""The registry with Docker's own client: push, pull, a kill in the middle, and images that are in use."""
import hashlib
import io
import json
import os
import subprocess
import tarfile
import unittest
import urllib.request

import botocore.exceptions

import harness


def build(naru, folder, tag, big=0):
    """An image of one shared and one new layer; gives its name."""
    folder.mkdir(parents=True, exist_ok=True)
    shared = folder / "shared"
    if not shared.exists():
        shared.write_bytes(os.urandom(2_000_000))
    (folder / "own").write_bytes(os.urandom(big or 10_000))
    (folder / "Dockerfile").write_text('FROM scratch\nCOPY shared /shared\nCOPY own /own\nCMD ["/own"]\n')
    image = f"localhost:{naru.port}/my-app:{tag}"
    harness.DOCKER.run("build", "-q", "-t", image, str(folder), env={"DOCKER_BUILDKIT": "0"})
    return image


class Registry(unittest.TestCase):
    def setUp(self):
        self.naru = harness.Naru("registry")
        self.naru.__enter__()
        self.addCleanup(self.naru.__exit__, None, None, None)
        self.ecr = self.naru.client("ecr")
        self.ecr.create_repository(repositoryName="my-app")
        self.folder = self.naru.dir / "image"

    def tags(self):
        ids = self.ecr.list_images(repositoryName="my-app")["imageIds"]
        return sorted(i["imageTag"] for i in ids if "imageTag" in i)

    def test_push_and_pull(self):
        image = build(self.naru, self.folder, "v1")
        with self.assertRaises(subprocess.CalledProcessError) as refused:
            harness.DOCKER.run("push", image)  # nobody logged in
        self.assertIn(b"no basic auth credentials", refused.exception.stderr)
        harness.login(self.naru)
        harness.DOCKER.run("push", "-q", image)
        for i in range(5):  # Docker sends the end of a layer on another connection than its bytes
            harness.DOCKER.run("push", "-q", build(self.naru, self.folder, f"v1-{i}"))
        wanted = harness.DOCKER.run("inspect", "-f", "{{.Id}}", image)
        harness.DOCKER.run("rmi", "-f", wanted)
        digest = self.ecr.describe_images(repositoryName="my-app", imageIds=[{"imageTag": "v1"}])[
            "imageDetails"][0]["imageDigest"]
        by_digest = f"localhost:{self.naru.port}/my-app@{digest}"
        harness.DOCKER.run("pull", "-q", by_digest)
        self.assertEqual(harness.DOCKER.run("inspect", "-f", "{{.Id}}", by_digest), wanted)
        harness.DOCKER.run("tag", by_digest, f"localhost:{self.naru.port}/nowhere:v1")
        with self.assertRaises(subprocess.CalledProcessError) as refused:
            harness.DOCKER.run("push", f"localhost:{self.naru.port}/nowhere:v1")
        self.assertIn(b"The repository with name 'nowhere' does not exist", refused.exception.stderr)
        self.archived(image, digest)
        self.over_the_quota()

    def archived(self, image, digest):
        """Docker cannot pull what is archived, hears why, and brings it back by a push."""
        answer = self.naru.cli("aws", "ecr", "update-image-storage-class", "--repository-name", "my-app",
                               "--image-id", f"imageDigest={digest}", "--target-storage-class", "ARCHIVE")
        self.assertEqual(json.loads(answer.stdout)["imageStatus"], "ARCHIVED")
        with self.assertRaises(subprocess.CalledProcessError) as refused:
            harness.DOCKER.run("pull", "-q", image)
        self.assertIn(b"is archived: restore it", refused.exception.stderr)
        again = f"localhost:{self.naru.port}/my-app:again"
        harness.DOCKER.run("tag", f"localhost:{self.naru.port}/my-app@{digest}", again)
        harness.DOCKER.run("push", "-q", again)
        harness.DOCKER.run("pull", "-q", image)

    def over_the_quota(self):
        """Docker hears in the middle of a layer that there is no more room, and the rest of it is not sent."""
        size = 12_000_000
        self.naru.cli("registry", "quota", "my-app", str(size))
        image = build(self.naru, self.folder, "large", big=20_000_000)
        with self.assertRaises(subprocess.CalledProcessError) as refused:
            harness.DOCKER.run("push", image)
        self.assertIn(b"the repository 'my-app' may keep 12000000 bytes and has no room for more", refused.exception.stderr)
        shown = json.loads(self.naru.cli("registry", "quota", "my-app", "--output", "json").stdout)
        self.assertEqual(shown["quotaBytes"], size)
        self.assertLess(shown["usedBytes"], size)
        with urllib.request.urlopen(self.naru.url("/metrics")) as metrics:
            self.assertIn(f'repository="my-app"}} {size}', metrics.read().decode())
        self.assertIn("none", self.naru.cli("registry", "quota", "my-app", "none").stdout)

    def layer_by_api(self, data, digest):
        upload = self.ecr.initiate_layer_upload(repositoryName="my-app")
        for first in range(0, len(data), upload["partSize"]):
            part = data[first:first + upload["partSize"]]
            self.ecr.upload_layer_part(repositoryName="my-app", uploadId=upload["uploadId"], layerPartBlob=part,
                                       partFirstByte=first, partLastByte=first + len(part) - 1)
        self.ecr.complete_layer_upload(repositoryName="my-app", uploadId=upload["uploadId"], layerDigests=[digest])

    def test_pushed_by_the_api_alone(self):
        """Docker pulls what boto3 brought part by part, and runs none the worse for it."""
        content, digest_of = io.BytesIO(), lambda data: "sha256:" + hashlib.sha256(data).hexdigest()
        with tarfile.open(fileobj=content, mode="w") as tar:
            entry = tarfile.TarInfo("file")
            entry.size = 12_000_000
            tar.addfile(entry, io.BytesIO(os.urandom(entry.size)))
        layer = content.getvalue()
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/file"]},
                             "rootfs": {"type": "layers", "diff_ids": [digest_of(layer)]}}).encode()
        for data in (layer, config):
            self.layer_by_api(data, digest_of(data))
        kind = "application/vnd.oci.image."
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": kind + "manifest.v1+json",
            "config": {"mediaType": kind + "config.v1+json", "size": len(config), "digest": digest_of(config)},
            "layers": [{"mediaType": kind + "layer.v1.tar", "size": len(layer), "digest": digest_of(layer)}]})
        self.ecr.put_image(repositoryName="my-app", imageManifest=manifest, imageTag="by-api")
        harness.login(self.naru)
        image = f"localhost:{self.naru.port}/my-app:by-api"
        harness.DOCKER.run("pull", "-q", image)
        self.assertEqual(harness.DOCKER.run("inspect", "-f", "{{.Id}} {{index .RootFS.Layers 0}}", image),
                         f"{digest_of(config)} {digest_of(layer)}")

    def test_killed_in_the_middle_of_a_push(self):
        harness.login(self.naru)
        first = build(self.naru, self.folder, "v1")
        harness.DOCKER.run("push", "-q", first)
        image = build(self.naru, self.folder, "v2", big=150_000_000)
        env = dict(os.environ, DOCKER_HOST=harness.DOCKER.host)
        push = subprocess.Popen(["docker", "push", "-q", image], env=env, stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL)
        uploads = self.naru.dir / "data/blobs/uploads"
        harness.wait_until("bytes to arrive", interval=0.005,
                           check=lambda: any(f.stat().st_size > 1_000_000 for f in uploads.iterdir()))
        self.naru.kill()
        push.terminate()
        push.wait()
        self.assertTrue(any(uploads.iterdir()))
        self.naru.start()  # the upload may be gone on with, or expires
        self.assertEqual(self.tags(), ["v1"])
        for image in (first, image):
            harness.login(self.naru)
            harness.DOCKER.run("push", "-q", image)
            harness.DOCKER.run("rmi", "-f", image)
            harness.DOCKER.run("pull", "-q", image)
        self.assertEqual(self.tags(), ["v1", "v2"])

    def test_what_runs_is_not_deleted(self):
        web = harness.WebService(self.naru, count=1)
        web.create(harness.build_web(self.naru, "1"))
        web.wait_stable()
        digest = web.tasks()[0]["containers"][0]["imageDigest"]
        gone = self.ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": digest}])
        self.assertEqual([f["failureCode"] for f in gone["failures"]], ["ImageInUse"])
        self.assertIn(f"in use by task {web.tasks()[0]['taskArn']}, service web", gone["failures"][0]["failureReason"])
        kept = self.naru.cli("aws", "ecr", "update-image-storage-class", "--repository-name", "web", "--image-id",
                             f"imageDigest={digest}", "--target-storage-class", "ARCHIVE", check=False)
        self.assertIn("ImageStorageClassUpdateNotSupportedException", kept.stdout)
        self.assertIn(f"in use by task {web.tasks()[0]['taskArn']}, service web", kept.stdout)
        with self.assertRaises(botocore.exceptions.ClientError) as refused:
            self.ecr.delete_repository(repositoryName="web", force=True)
        self.assertEqual(refused.exception.response["Error"]["Code"], "RepositoryNotEmptyException")
        gone = self.ecr.batch_delete_image(repositoryName="web", imageIds=[{"imageTag": "1"}])
        self.assertEqual(gone["imageIds"], [{"imageDigest": digest, "imageTag": "1"}])
        left = self.ecr.describe_images(repositoryName="web")["imageDetails"]
        self.assertEqual([(i["imageDigest"], "imageTags" in i) for i in left], [(digest, False)])
        harness.DOCKER.run("pull", "-q", f"localhost:{self.naru.port}/web@{digest}")
        web.update(desiredCount=2)
        web.wait_stable()
        self.assertEqual({t["containers"][0]["imageDigest"] for t in web.tasks()}, {digest})


class MovingTag(unittest.TestCase):
    """Docker's own client pushes another image under a tag that tasks run by (version consistency)."""

    def setUp(self):
        self.naru = harness.Naru("moving")
        self.naru.__enter__()
        self.addCleanup(self.naru.__exit__, None, None, None)
        self.naru.client("ecr").create_repository(repositoryName="web")
        self.ecs = self.naru.newest()
        self.ecs.create_cluster(clusterName="test")

    def push(self, version):
        """Version `version` is what the tag "moving" means from now on; its digest."""
        self.image = harness.build_web(self.naru, version, tag="moving")
        return self.naru.client("ecr").describe_images(repositoryName="web", imageIds=[{"imageTag": "moving"}])[
            "imageDetails"][0]["imageDigest"]

    def create(self, consistency):
        """A service of that name, whose one container says so."""
        self.ecs.register_task_definition(family=consistency, containerDefinitions=[dict(
            name="web", image=self.image, memory=64, cpu=10, versionConsistency=consistency,
            portMappings=[{"containerPort": 8080}])])
        self.ecs.create_service(cluster="test", serviceName=consistency, taskDefinition=consistency, desiredCount=1)
        self.wait_for(consistency, 1)

    def service(self, name):
        return self.ecs.describe_services(cluster="test", services=[name])["services"][0]

    def wait_for(self, name, count):
        harness.wait_until(f"{count} tasks of {name}", lambda: self.service(name)["runningCount"] == count, 60)

    def containers(self, name):
        arns = self.ecs.list_tasks(cluster="test", serviceName=name)["taskArns"]
        return [t["containers"][0] for t in self.ecs.describe_tasks(cluster="test", tasks=arns)["tasks"]]

    def digests(self, name):
        return [v for c in self.containers(name) for v in (c["lastStatus"], c.get("imageDigest"))]

    def runs(self, name):
        """What its tasks are shown to run, and what they say themselves."""
        found = []
        for c in self.containers(name):
            said = harness.fetch(f"http://127.0.0.1:{c['networkBindings'][0]['hostPort']}/")
            found.append((said.split()[0], c["imageDigest"], c["image"]))
        return sorted(found)

    def revision_image(self, name):
        found = self.ecs.describe_service_deployments(serviceDeploymentArns=[
            self.ecs.list_service_deployments(cluster="test", service=name)["serviceDeployments"][0][
                "serviceDeploymentArn"]])["serviceDeployments"][0]["targetServiceRevision"]["arn"]
        return self.ecs.describe_service_revisions(serviceRevisionArns=[found])["serviceRevisions"][0]["containerImages"][0]

    def test_only_a_container_without_version_consistency_follows_it(self):
        one = self.push("v1")
        for consistency in ("enabled", "disabled"):
            self.create(consistency)
        pinned, by_tag = ("v1", one, f"{self.image}@{one}"), ("v1", one, self.image)
        self.assertEqual(self.runs("enabled"), [pinned])
        self.assertEqual(self.runs("disabled"), [by_tag])
        self.assertEqual(self.revision_image("enabled")["imageDigest"], one)
        self.assertNotIn("imageDigest", self.revision_image("disabled"))

        two = self.push("v2")
        self.assertNotEqual(one, two)
        for consistency in ("enabled", "disabled"):  # more tasks of the same deployment
            self.ecs.update_service(cluster="test", service=consistency, desiredCount=2)
            self.wait_for(consistency, 2)
        self.assertEqual(self.runs("enabled"), [pinned, pinned])
        self.assertEqual(self.runs("disabled"), [by_tag, ("v2", two, self.image)])

        # A new deployment asks again.
        self.ecs.update_service(cluster="test", service="enabled", forceNewDeployment=True,
                                deploymentConfiguration={"minimumHealthyPercent": 0, "maximumPercent": 100})
        harness.wait_until("the other image everywhere", lambda: self.digests("enabled") == ["RUNNING", two] * 2)
        self.assertEqual({r[0] for r in self.runs("enabled")}, {"v2"})

        # What a task still runs stays, although no tag and no revision names it.
        self.ecs.delete_service(cluster="test", service="enabled", force=True)
        harness.wait_until("the service to be gone", lambda: self.service("enabled")["status"] == "INACTIVE")
        self.assertEqual(self.delete(one), ["ImageInUse"])
        self.ecs.update_service(cluster="test", service="disabled", desiredCount=0)
        self.wait_for("disabled", 0)
        harness.wait_until("the image to be free", lambda: self.delete(one) == [])

    def delete(self, digest):
        gone = self.naru.client("ecr").batch_delete_image(repositoryName="web", imageIds=[{"imageDigest": digest}])
        return [f["failureCode"] for f in gone["failures"]]

    def test_a_task_without_a_service_runs_what_the_tag_means_now(self):
        digests = []
        for version in ("v1", "v2"):
            digests.append(self.push(version))
            self.ecs.register_task_definition(family="alone", containerDefinitions=[dict(
                name="web", image=self.image, memory=64, versionConsistency="enabled")])
            task = self.ecs.run_task(cluster="test", taskDefinition="alone:1")["tasks"][0]["taskArn"]
            harness.wait_until("the task to run", lambda t=task: self.task(t)["lastStatus"] == "RUNNING", 60)
            self.assertEqual(self.task(task)["containers"][0]["imageDigest"], digests[-1])
        self.assertNotEqual(*digests)

    def task(self, arn):
        return self.ecs.describe_tasks(cluster="test", tasks=[arn])["tasks"][0]


if __name__ == "__main__":
    unittest.main()
