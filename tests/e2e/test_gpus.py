# SPDX-License-Identifier: MIT
"""GPUs that a machine says to have, as far as one without any can show them: what the API tells, and what Docker is asked for."""
import pathlib
import tempfile
import unittest

from harness import Naru, WebService, build_web, wait_until

IDS = ["GPU-11111111-1111-1111-1111-111111111111", "GPU-22222222-2222-2222-2222-222222222222"]


def driver(folder):
    """What NVIDIA's driver has below /proc."""
    for number, gpu in enumerate(IDS):
        address = pathlib.Path(folder) / f"0000:0{number}:00.0"
        address.mkdir()
        (address / "information").write_text(f"Model: \t\t NVIDIA L4\nIRQ:   \t\t 2{number}\nGPU UUID: \t {gpu}\n")


class Gpus(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        driver(folder.name)
        cls.naru = Naru("gpus", NARU_GPU_DIRECTORY=folder.name)
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.ecs = cls.naru.client("ecs")
        cls.web = WebService(cls.naru, count=1)
        cls.image = build_web(cls.naru, "v1")
        cls.web.create(cls.image)
        cls.web.wait_stable()

    def gpus(self, resources):
        arns = self.ecs.list_container_instances(cluster="test")["containerInstanceArns"]
        shown = self.ecs.describe_container_instances(cluster="test", containerInstances=arns)["containerInstances"][0]
        return [r["stringSetValue"] for r in shown[resources] if r["name"] == "GPU"][0]

    def test_a_task_is_given_its_gpus_and_docker_is_asked_for_them(self):
        self.ecs.register_task_definition(family="ml", containerDefinitions=[dict(
            name="a", image=self.image, memory=16, resourceRequirements=[{"type": "GPU", "value": "1"}])])
        self.assertEqual(self.gpus("registeredResources"), IDS)
        three = {"containerOverrides": [{"name": "a", "resourceRequirements": [{"type": "GPU", "value": "3"}]}]}
        refused = self.ecs.run_task(cluster="test", taskDefinition="ml", overrides=three)
        self.assertEqual((refused["tasks"], refused["failures"][0]["reason"]), ([], "RESOURCE:GPU"))
        task = self.ecs.run_task(cluster="test", taskDefinition="ml")["tasks"][0]
        self.assertEqual(task["containers"][0]["gpuIds"], IDS[:1])
        self.naru.kill()  # whatever became of it: after a restart it is the same task, with the same GPU
        self.naru.start()

        def stopped():
            shown = self.ecs.describe_tasks(cluster="test", tasks=[task["taskArn"]])["tasks"][0]
            return shown if shown["lastStatus"] == "STOPPED" else None

        shown = wait_until("the task to fail for want of a driver", stopped, 60)
        self.assertEqual(shown["containers"][0]["gpuIds"], IDS[:1])
        self.assertIn('could not select device driver "nvidia"', shown["stoppedReason"] + shown["containers"][0].get("reason", ""))
        wait_until("the GPU to be free again", lambda: self.gpus("remainingResources") == IDS, 30)

    def test_a_plan_names_the_lack_of_gpus_and_what_to_do(self):
        definition = self.ecs.register_task_definition(family="greedy", containerDefinitions=[dict(
            name="web", image=self.image, memory=16, portMappings=[{"containerPort": 8080}],
            resourceRequirements=[{"type": "GPU", "value": "3"}])])["taskDefinition"]["taskDefinitionArn"]
        plan = self.naru.cli("plan", "--service", "web", "--cluster", "test", "--task-definition", definition, check=False)
        self.assertNotEqual(plan.returncode, 0)
        self.assertIn("has insufficient GPU resource available", plan.stdout)
        self.assertIn("its tasks want more GPUs than are free on any host", plan.stdout)


if __name__ == "__main__":
    unittest.main()
