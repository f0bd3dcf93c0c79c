# SPDX-License-Identifier: MIT
"""The registry with Docker's own client: push, pull, a kill in the middle, and images that are in use."""
import os
import subprocess
import time
import unittest

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
        times = []
        for i in range(5):
            changed = build(self.naru, self.folder, f"v1-{i}")
            start = time.monotonic()
            harness.DOCKER.run("push", "-q", changed)
            times.append(time.monotonic() - start)
        self.assertLess(min(times), 0.25, times)
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
        self.naru.start()
        self.assertEqual(list(uploads.iterdir()), [])
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


if __name__ == "__main__":
    unittest.main()
