# SPDX-License-Identifier: MIT
"""An image that this machine's daemon has just pushed starts without moving a byte twice, and one that somebody else
pushed under a name that is in use is here before it is deployed."""
import os
import re
import subprocess
import time
import unittest

import harness
from harness import Naru, login, wait_until

LAYER_SIZE = 8 << 20


def build(naru, tag):
    """A program of a few bytes beside a layer that nothing can shorten, pushed."""
    folder = harness.ROOT / "local-image"
    folder.mkdir(exist_ok=True)
    (folder / "layer").write_bytes(os.urandom(LAYER_SIZE))
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY layer /layer\nCOPY busybox /busybox\n"
                                       'ENTRYPOINT ["/busybox", "sleep", "600"]\n')
    (folder / "busybox").write_bytes(open("/bin/busybox", "rb").read())
    (folder / "busybox").chmod(0o755)
    image = f"localhost:{naru.port}/local:{tag}"
    harness.DOCKER.run("build", "-q", "-t", image, str(folder), env={"DOCKER_BUILDKIT": "0"})
    harness.DOCKER.run("push", "-q", image)
    return image


class LocalImage(unittest.TestCase):
    def setUp(self):
        self.naru = Naru("registry-local")
        self.naru.start()
        self.addCleanup(self.naru.purge)
        self.addCleanup(self.naru.stop)
        self.ecs = self.naru.client("ecs")
        self.naru.client("ecr").create_repository(repositoryName="local")
        self.ecs.create_cluster(clusterName="local")
        login(self.naru)

    def service(self):
        return self.ecs.describe_services(cluster="local", services=["local"])["services"][0]

    def deploy(self, image):
        """Seconds from the call to COMPLETED, and the pulls that Docker made meanwhile."""
        task = self.ecs.register_task_definition(family="local", containerDefinitions=[
            {"name": "main", "image": image, "memory": 32, "cpu": 10, "stopTimeout": 2}])["taskDefinition"]["taskDefinitionArn"]
        since, begin = str(time.time()), time.monotonic()
        if self.ecs.describe_services(cluster="local", services=["local"])["services"]:
            self.ecs.update_service(cluster="local", service="local", taskDefinition=task)
        else:
            self.ecs.create_service(cluster="local", serviceName="local", taskDefinition=task, desiredCount=1)

        def runs():
            deployments = self.service()["deployments"]
            return [d for d in deployments if d["taskDefinition"] == task and d["runningCount"] == 1]

        wait_until(f"{image} to run", runs, timeout=90, interval=0.02)
        took = time.monotonic() - begin
        return took, self.pulls(since)

    def pulls(self, since):
        pulls = harness.DOCKER.run("events", "--since", since, "--until", str(time.time()), "--filter", "type=image",
                                   "--filter", "event=pull", "--format", "{{.ID}}")
        return pulls.split()

    def test_what_was_pushed_here_is_not_pulled(self):
        pushed, names = [], []
        for tag in ("v1", "v2"):
            names.append(build(self.naru, tag))
            pushed.append(self.deploy(names[-1]))
        self.assertEqual([pulls for _, pulls in pushed], [[], []])
        # By ECR's own name it is the same image.
        account = self.naru.credentials
        took, pulls = self.deploy(f"{account['account']}.dkr.ecr.{account['region']}.amazonaws.com/local:v1")
        self.assertEqual(pulls, [])
        # Where the daemon has lost it, it is pulled: this test can fail.
        image = build(self.naru, "v3")
        harness.DOCKER.run("rmi", "-f", image)
        pulled, pulls = self.deploy(image)
        self.assertEqual(len(pulls), 1)
        print(f"running after {pushed[0][0]:.2f} s, {pushed[1][0]:.2f} s and {took:.2f} s by the local image, "
              f"after {pulled:.2f} s by a pull of {LAYER_SIZE >> 20} MiB", flush=True)

    def push_from_elsewhere(self, tag):
        """By a client that knows no Docker: what Docker has of the image is forgotten before. Seconds for the push."""
        image = build(self.naru, f"{tag}-made")
        archive = harness.ROOT / "local-image.tar"
        archive.unlink(missing_ok=True)
        harness.DOCKER.run("save", "-o", str(archive), image)
        harness.DOCKER.run("rmi", "-f", harness.DOCKER.run("inspect", "-f", "{{.Id}}", image))
        password = self.naru.aws("ecr", "get-login-password").stdout.strip()
        begin = time.monotonic()
        subprocess.run(["skopeo", "copy", "-q", "--insecure-policy", "--dest-tls-verify=false", "--dest-creds", f"AWS:{password}",
                        f"docker-archive:{archive}", f"docker://localhost:{self.naru.port}/local:{tag}"], check=True,
                       stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return time.monotonic() - begin

    def prefetched(self):
        return re.findall(r"at=image.prefetched image=\"[^\"]*:([a-z]+)\" digest=\S+ took_ms=(\d+)", self.naru.log())

    def roll(self):
        """A new deployment of what the tag means now: seconds until its task runs, and Docker's pulls meanwhile."""
        since, begin = str(time.time()), time.monotonic()
        self.ecs.update_service(cluster="local", service="local", forceNewDeployment=True)

        def runs():
            now = self.service()["deployments"][0]
            return now["runningCount"] == 1

        wait_until("the new deployment to run", runs, timeout=90, interval=0.02)
        return time.monotonic() - begin, self.pulls(since)

    def test_what_is_pushed_elsewhere_is_fetched_when_its_push_ends(self):
        self.push_from_elsewhere("moving")
        self.assertEqual(self.prefetched(), [])  # nobody has named it yet
        self.deploy(f"localhost:{self.naru.port}/local:moving")
        pushed = self.push_from_elsewhere("moving")
        fetched = wait_until("the image to be fetched", self.prefetched)
        took, pulls = self.roll()
        self.assertEqual(pulls, [])
        # Without: the same push, and the pull is part of the deployment. This test can fail.
        self.naru.stop()
        self.naru.extra["NARU_PREFETCH"] = "off"
        self.naru.start()
        self.assertEqual(len(self.prefetched()), 1)
        self.push_from_elsewhere("moving")
        without, pulls = self.roll()
        self.assertEqual(len(pulls), 1)
        self.assertEqual(len(self.prefetched()), 1)
        print(f"an image of {LAYER_SIZE >> 20} MiB pushed in {pushed:.2f} s, fetched in {int(fetched[0][1]) / 1000:.2f} s; the next "
              f"deployment runs after {took:.2f} s, without the fetch after {without:.2f} s", flush=True)


if __name__ == "__main__":
    unittest.main()
