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
    post { always { sh 'printf "%s" "$(cat WORD)" > "w rd.txt"; cp -r results r'; archiveArtifacts '*.txt'; junit 'r/*.xml' } }
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
        (tree / "results").mkdir()
        (tree / "results/a.xml").write_text("<testsuite><testcase classname='a.B' name='c'/><testcase name='bad'>"
                                            "<failure/></testcase></testsuite>")
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
        wait_until("the build", lambda: "UNSTABLE" in self.naru.cli("status").stdout, timeout=30)
        self.assertIn(made["url"], self.naru.cli("pipeline").stdout)
        self.commit(tree, "bad")
        git(tree, "push", "-q", made["url"], "main")
        wait_until("the bad build", lambda: "FAILURE" in self.naru.cli("status").stdout, timeout=30)

    def test_another_repository_is_built_when_told(self):
        tree = self.work_tree("elsewhere")
        made = self.json("create", "elsewhere", "--url", f"file://{tree}", "--github", "acme/elsewhere")
        self.assertEqual((made["local"], made["github"]), (False, "acme/elsewhere"))
        done = self.naru.cli("pipeline", "start", "elsewhere", "--wait", check=False)
        self.assertRegex(done.stdout, r"stage +One +SUCCESS")
        self.assertRegex(done.stdout, r"build +#1 UNSTABLE")
        self.assertRegex(self.naru.cli("pipeline").stdout, r"elsewhere +#1 UNSTABLE")
        self.commit(tree, "bad")
        failed = self.naru.cli("pipeline", "start", "elsewhere", "--wait", check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertRegex(failed.stdout, r"build +#2 FAILURE: .+\n")
        self.assertIn("naru logs --build elsewhere#2", failed.stdout)
        self.results(tree)

    def results(self, tree):
        self.assertRegex(self.naru.cli("pipeline", "builds", "elsewhere").stdout, r"#2 +main +\w{8} +FAILURE .+ 2, failed 1\n#1 +main")
        shown = self.naru.cli("pipeline", "show", "elsewhere").stdout
        for text in (r"^elsewhere#2 FAILURE: ", r"\nused: processors .+, memory at most .+, disk ", r"\nOne +FAILED +\d", r"\n  failed +bad \(since #1\)",
                     r"\nartifacts:\n  w rd.txt  3 B\n", r"naru logs --build elsewhere#2\n$"):
            self.assertRegex(shown, text)
        one = self.json("show", "elsewhere", "1")
        self.assertEqual((one["build"]["number"], one["tests"]["counts"]["failed"], one["artifacts"]), (1, 1, [{"path": "w rd.txt", "size": 4}]))
        self.assertEqual(self.naru.cli("pipeline", "artifact", "elsewhere", "1", "w rd.txt").stdout, "good")
        self.naru.cli("pipeline", "artifact", "elsewhere", "2", "w rd.txt", "--to", str(tree / "got"))
        self.assertEqual((tree / "got").read_text(), "bad")
        done = self.naru.cli("pipeline", "artifact", "elsewhere", "2", "../log", "--to", str(tree / "log"), check=False)
        self.assertEqual((done.returncode, "has no artifact" in done.stdout, sorted(p.name for p in tree.glob("log*"))), (1, True, []))
        done = self.naru.cli("pipeline", "artifact", "elsewhere", "2", "none", check=False)
        self.assertEqual(done.stdout.count("has no artifact"), 1) # and nothing where the artifact would be

    def test_mistakes_are_named(self):
        for code, text, args in ((2, "create NAME", ("make", "it")), (2, "not a pipeline name", ("create", "a/b")),
                                 (2, "no number", ("abort", "shop", "one")), (1, "no pipeline 'none'", ("start", "none")),
                                 (1, "no build 999", ("abort", "none", "999"))):
            with self.subTest(" ".join(args)):
                done = self.naru.cli("pipeline", *args, check=False)
                self.assertEqual((done.returncode, text in done.stdout), (code, True), done.stdout)
