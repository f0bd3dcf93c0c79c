# SPDX-License-Identifier: MIT
"""An image that this machine's daemon has just pushed starts without moving a byte twice."""
import os
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
        pulls = harness.DOCKER.run("events", "--since", since, "--until", str(time.time()), "--filter", "type=image",
                                   "--filter", "event=pull", "--format", "{{.ID}}")
        return took, pulls.split()

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


if __name__ == "__main__":
    unittest.main()
