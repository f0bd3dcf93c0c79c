# SPDX-License-Identifier: MIT
"""A pipeline that deploys a real service by naru's own `aws`, while naru itself is killed around each record of the build's journal:
it deploys once, and its verdict, stages and log are those of a build that was left in peace. Here at the one that
matters most, with --soak at every one of the build."""
import contextlib
import http.client
import json
import pathlib
import re
import subprocess
import unittest

import harness
from harness import WebService, build_web, wait_until
from test_pipeline import PipelineNaru, git

AWS = "aws ecs {} --cluster test {} web"
DEPLOYMENT = "services[0].deployments[0].id"
JENKINSFILE = f"""pipeline {{
    agent any
    stages {{
        stage('Checkout') {{ steps {{ script {{ env.COMMIT = sh(script: 'git rev-parse HEAD', returnStdout: true).trim() }} }} }}
        stage('Build') {{ steps {{ writeFile file: 'image', text: "web:$COMMIT"; sh 'test -s image' }} }}
        stage('Test') {{ parallel {{
            stage('unit') {{ steps {{ sh 'echo unit' }} }}
            stage('lint') {{ steps {{ sh 'echo lint' }} }}
        }} }}
        stage('Package') {{ steps {{ stash 'image'; sh 'rm image'; unstash 'image' }} }}
        stage('Deploy') {{ steps {{
            sh '{AWS.format("update-service", "--service")} --force-new-deployment --query "service.serviceName" --output text'
            script {{ env.MINE = sh(script: '{AWS.format("describe-services", "--services")} --query "{DEPLOYMENT}" --output text',
                                   returnStdout: true).trim() }}
            sh '{AWS.format("wait services-stable", "--services")}'
        }} }}
        stage('Verify') {{ steps {{
            sh 'test "$({AWS.format("describe-services", "--services")} --query "{DEPLOYMENT}" --output text)" = "$MINE"'
            sh 'grep "web:$COMMIT" image'
        }} }}
    }}
    post {{
        success {{ echo "deployed $MINE" }}
        failure {{ echo 'not deployed' }}
    }}
}}
"""


class DeployKills(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = PipelineNaru("kills")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.shim = cls.naru.dir / "journal_kill.so"
        subprocess.run(["gcc", "-shared", "-fPIC", "-O2", "-o", str(cls.shim), str(harness.TOP / "tests/e2e/journal_kill.c"), "-ldl"],
                       check=True)
        cls.records = cls.naru.dir / "records" # of the first build, which is left in peace
        cls.naru.extra = {"LD_PRELOAD": str(cls.shim), "NARU_KILL_RECORDS": str(cls.records)}
        cls.naru.start()
        cls.web = WebService(cls.naru, count=1, delay=0)
        cls.web.create(build_web(cls.naru, "v1"))
        cls.web.wait_stable()
        tree = pathlib.Path(cls.naru.dir / "tree")
        tree.mkdir()
        git(tree, "init", "-q", "-b", "main")
        (tree / "Jenkinsfile").write_text(JENKINSFILE)
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", "first")
        _, text = cls.naru.call("POST", "/naru/repositories", {"name": "web"})
        git(tree, "push", "-q", json.loads(text)["url"], "main")

    def deployments(self):
        said = self.naru.cli("aws", "ecs", "list-service-deployments", "--cluster", "test", "--service", "web",
                             "--query", "serviceDeployments[].serviceDeploymentArn")
        return set(json.loads(said.stdout))

    def course(self, number):
        """What came of a build, without what is another one's each time."""
        build = self.naru.ended("web", number, 60)
        log = re.sub(rf"ecs-svc/\d+|/web/{number}/", "ID", self.naru.build_log("web", number))
        log = re.sub(r"(?m)^Fetching .*\n", "", log) # what the workspace has already is not fetched
        # the two branches of Test may say their lines in either order
        return build["result"], sorted((s["name"], s["status"]) for s in build["stages"]), sorted(log.splitlines())

    def one_more(self):
        status, text = self.naru.call("POST", "/naru/builds", {"pipeline": "web", "branch": "main"})
        self.assertEqual(status, 202, text)
        return json.loads(text)["number"]

    def is_over(self, number):
        with contextlib.suppress(OSError, http.client.HTTPException):
            newest = self.naru.builds("web")[0]
            return newest["number"] == number and newest["state"] == "ENDED"
        return self.naru.process.wait(timeout=10) is not None

    def killed(self, point, number, want):
        before = self.deployments()
        self.naru.kill()
        self.naru.extra = {"LD_PRELOAD": str(self.shim), "NARU_KILL_AT": point}
        self.naru.start()
        with contextlib.suppress(OSError, http.client.HTTPException): # it may end before it answers
            self.one_more()
        wait_until(f"the end at {point}", lambda: self.is_over(number), 60, 0.05)
        was_killed = self.naru.process.poll() is not None
        if was_killed:
            self.assertEqual(self.naru.process.returncode, -9)
            self.naru.extra = {}
            self.naru.start()
        self.assertEqual(self.course(number), want)
        self.assertEqual(len(self.deployments() - before), 1, f"deployments made by a build that was killed at {point}")
        self.assertEqual(self.web.describe()["runningCount"], 1)
        return was_killed

    def test_naru_is_killed_around_records_of_its_journal(self):
        want, number = self.course(1), 1
        self.assertEqual(want[0], "SUCCESS", self.naru.build_log("web", 1))
        ids = [json.loads(line)["id"] for line in self.records.read_text().splitlines()]
        update = ids.index(self.id_of_step())
        points = [(point, n) for n in range(1, len(ids) + 1) for point in ("due", "written", "flushed")]
        if not harness.SOAK: # it has been done, and only the service knows
            points = [("due", update + 2)]
        killed = 0
        for point, at in points:
            number += 1
            with self.subTest(point=point, record=at):
                killed += self.killed(f"{point}:{at}", number, want)
        # one flush may stand for several records
        self.assertGreaterEqual(killed, len(points) if not harness.SOAK else len(points) * 2 // 3)

    def id_of_step(self):
        """Of `aws ecs update-service`: the first `sh` behind `unstash`."""
        rows = [json.loads(line) for line in self.records.read_text().splitlines()]
        unstashed = next(i for i, row in enumerate(rows) if row.get("name") == "unstash")
        return next(row["id"] for row in rows[unstashed:] if row.get("name") == "sh")


if __name__ == "__main__":
    unittest.main()
