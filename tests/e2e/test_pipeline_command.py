# SPDX-License-Identifier: MIT
"""naru pipeline: repositories made, listed and built from the command line, as a team would set theirs up."""
import json
import pathlib
import unittest

import harness
from harness import Naru, wait_until
from test_pipeline import git

JENKINSFILE = """pipeline {
    agent any
    stages { stage('One') { steps { sh 'test "$(cat WORD)" = good' } } }
}
"""


class PipelineCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = cls.enterClassContext(Naru("pipeline-command"))

    def json(self, *args):
        return json.loads(self.naru.cli("pipeline", *args, "--output", "json").stdout)

    def work_tree(self, name):
        tree = pathlib.Path(harness.ROOT / "pipeline-command" / name)
        tree.mkdir()
        git(tree, "init", "-q", "-b", "main", ".")
        (tree / "Jenkinsfile").write_text(JENKINSFILE)
        self.commit(tree, "good")
        return tree

    @staticmethod
    def commit(tree, word):
        (tree / "WORD").write_text(word + "\n")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", word)

    def test_a_repository_of_naru_builds_what_is_pushed(self):
        made = self.json("create", "shop")
        self.assertEqual(self.json("create", "shop")["url"], made["url"], "again is the same")
        tree = self.work_tree("shop")
        git(tree, "push", "-q", made["url"], "main")
        wait_until("the build", lambda: "SUCCESS" in self.naru.cli("status").stdout, timeout=30)
        self.assertIn(made["url"], self.naru.cli("pipeline").stdout)
        self.commit(tree, "bad")
        git(tree, "push", "-q", made["url"], "main")
        wait_until("the bad build", lambda: "FAILURE" in self.naru.cli("status").stdout, timeout=30)

    def test_another_repository_is_built_when_told(self):
        tree = self.work_tree("elsewhere")
        made = self.json("create", "elsewhere", "--url", f"file://{tree}", "--github", "acme/elsewhere")
        self.assertEqual((made["local"], made["github"]), (False, "acme/elsewhere"))
        done = self.naru.cli("pipeline", "start", "elsewhere", "--wait")
        self.assertRegex(done.stdout, r"stage +One +SUCCESS")
        self.assertRegex(done.stdout, r"build +#1 SUCCESS\n")
        self.assertRegex(self.naru.cli("pipeline").stdout, r"elsewhere +#1 SUCCESS")
        self.commit(tree, "bad")
        failed = self.naru.cli("pipeline", "start", "elsewhere", "--wait", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertRegex(failed.stdout, r"build +#2 FAILURE: .+\n")
        self.assertIn("naru logs --build elsewhere#2", failed.stdout)

    def test_mistakes_are_named(self):
        for code, text, args in ((2, "create NAME", ("make", "it")), (2, "not a pipeline name", ("create", "a/b")),
                                 (2, "no number", ("abort", "shop", "one")), (1, "no pipeline 'none'", ("start", "none")),
                                 (1, "no build 999", ("abort", "none", "999"))):
            with self.subTest(" ".join(args)):
                done = self.naru.cli("pipeline", *args, check=False)
                self.assertEqual((done.returncode, text in done.stdout), (code, True), done.stdout)
