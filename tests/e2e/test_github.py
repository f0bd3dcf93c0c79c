# SPDX-License-Identifier: MIT
"""Webhooks of forges in, verdicts to GitHub out; GitHub is tests/fake_github.py."""
import base64
import functools
import hashlib
import hmac
import http.server
import json
import pathlib
import subprocess
import threading
import unittest
import urllib.error
import urllib.request
import uuid

import harness
from fake_github import FakeGitHub
from harness import wait_until
from test_pipeline import PipelineNaru, git

SECRET = "a secret of the webhook"
JENKINSFILE = """pipeline {
    agent any
    stages {
        stage('Test') { steps { sh 'echo "branch=$BRANCH_NAME change=$CHANGE_ID to=$CHANGE_TARGET by=$CHANGE_AUTHOR tag=$TAG_NAME"; ! test -e FAIL' } }
        stage('Tagged') {
            when { buildingTag() }
            steps { echo 'it is tagged' }
        }
        stage('Deploy') {
            when { not { changeRequest() } }
            steps { sh 'echo deployed' }
        }
    }
}
"""
LIMIT = {"message": "You have exceeded a secondary rate limit."}


class Forge(unittest.TestCase):
    """A repository elsewhere, and its webhooks."""

    def start(self, name, fake):
        self.naru = PipelineNaru(name, NARU_GITHUB_SECRET=SECRET, NARU_GITHUB_API_URL=fake.url if fake else "")
        self.addCleanup(lambda: self.naru.__exit__())
        self.naru.start()
        self.tree = pathlib.Path(self.naru.dir / "shop")
        self.tree.mkdir()
        git(self.tree, "init", "-q", "-b", "main", ".")
        (self.tree / "Jenkinsfile").write_text(JENKINSFILE)
        self.commit("first")
        self.naru.cli("pipeline", "create", "shop", "--url", f"file://{self.tree}", "--github", "acme/shop")

    def commit(self, message):
        (self.tree / "CONTENT").write_text(message)
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "-m", message)
        return git(self.tree, "rev-parse", "HEAD")

    def secret(self, name, value, *options):
        self.naru.cli("secret", "set", name, *options, input=value)

    def post(self, path, headers, payload):
        request = urllib.request.Request(self.naru.url(path), data=payload, method="POST",
                                         headers=dict(headers, **{"Content-Type": "application/json"}))
        return self.send(request)

    @staticmethod
    def send(request):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def github(self, event, payload):
        data = json.dumps(payload).encode()
        signature = hmac.new(SECRET.encode(), data, hashlib.sha256).hexdigest()
        return self.post("/github/webhook", {"X-GitHub-Event": event, "X-GitHub-Delivery": str(uuid.uuid4()),
                                             "X-Hub-Signature-256": f"sha256={signature}"}, data)

    def push(self, ref, commit, **more):
        return self.github("push", dict({"ref": ref, "before": "0" * 40, "after": commit, "repository": {"full_name": "acme/shop"}}, **more))

    def ended(self, answer):
        status, text = answer
        self.assertEqual(status, 202, text)
        return self.naru.ended("shop", json.loads(text)["build"], 60)

    def pull_request(self, number, head, action="opened", fork="acme/shop"):
        return self.github("pull_request", {
            "action": action, "number": number, "repository": {"full_name": "acme/shop"},
            "pull_request": {"number": number, "html_url": "https://example.com/7", "title": "A change", "user": {"login": "ann"},
                             "head": {"ref": "topic", "sha": head, "repo": {"full_name": fork}}, "base": {"ref": "main", "sha": "0" * 40}}})


class GitHubReports(Forge):
    def test_a_token_reports_statuses_and_deployments(self):
        with FakeGitHub(token="ghp_secret") as fake:
            self.start("github-token", fake)
            self.secret("github", "ghp_secret")
            commit = git(self.tree, "rev-parse", "HEAD")
            # A limit first: it delays the report, never the build.
            fake.failures = [(403, {"Retry-After": "1"}, LIMIT)]
            fake.failing_path = r".*/deployments/\d+/statuses"
            build = self.ended(self.push("refs/heads/main", commit))
            self.assertEqual(build["result"], "SUCCESS")
            wait_until("the verdict", lambda: any(s["state"] == "success" for s in fake.statuses), 30)
            final = fake.statuses[-1]
            self.assertEqual((final["sha"], final["repository"], final["context"], final["state"]),
                             (commit, "acme/shop", "continuous-integration/jenkins/branch", "success"))
            self.assertTrue(final["target_url"].endswith(f"/naru/builds/shop/{build['number']}/"), final)
            self.assertRegex(final["description"], r"build 1: SUCCESS in [0-9.]+ s")
            wait_until("the deployment", lambda: [d["statuses"][-1:] for d in fake.deployments.values()] == [["success"]], 30)
            self.assertEqual([(d["ref"], d["environment"]) for d in fake.deployments.values()], [(commit, "production")],
                             "a status that has to be sent again makes no other deployment")
            self.assertIsNone(fake.failing_path)
            self.assertEqual(fake.checks, {}, "only an App may write check runs")
            times = [t for _, _, t in fake.requests]
            self.assertGreater(times[1] - times[0], 0.9, "Retry-After is respected")

            (self.tree / "FAIL").write_text("")
            failing = self.commit("failing")
            self.assertEqual(self.ended(self.push("refs/heads/main", failing))["result"], "FAILURE")
            wait_until("the bad verdict", lambda: fake.statuses[-1]["state"] == "failure" and fake.statuses[-1]["sha"] == failing, 30)
            self.assertIn("script returned exit code 1", fake.statuses[-1]["description"])
            self.assertEqual(len(fake.deployments), 1, "nothing was deployed")

            # What could not be sent before naru ended is sent by the next one; what was sent, is not again.
            fake.token = "another"
            (self.tree / "FAIL").unlink()
            git(self.tree, "rm", "-q", "FAIL")
            again = self.commit("mended")
            before = len(fake.statuses)
            self.assertEqual(self.ended(self.push("refs/heads/main", again))["result"], "SUCCESS")
            fake.token = "ghp_secret"
            self.naru.stop()
            self.naru.start()
            wait_until("the late verdict", lambda: any(s["sha"] == again and s["state"] == "success" for s in fake.statuses), 30)
            self.assertEqual({s["sha"] for s in fake.statuses[before:]}, {again})

    def test_an_app_reports_check_runs(self):
        keys = harness.ROOT / "github-keys"
        keys.mkdir(exist_ok=True)
        subprocess.run(["openssl", "genrsa", "-out", str(keys / "app.pem"), "2048"], check=True, stderr=subprocess.DEVNULL)
        public = subprocess.run(["openssl", "rsa", "-in", str(keys / "app.pem"), "-pubout"], check=True, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL).stdout
        with FakeGitHub(app_id="4711", public_key=public) as fake:
            self.start("github-app", fake)
            self.naru.cli("secret", "set", "github", "--kind", "github-app", "--app-id", "4711", "--from", str(keys / "app.pem"))
            commit = git(self.tree, "rev-parse", "HEAD")
            self.ended(self.push("refs/heads/main", commit))
            wait_until("the check", lambda: any(c.get("status") == "completed" for c in fake.checks.values()), 30)
            check = list(fake.checks.values())[0]
            self.assertEqual((check["head_sha"], check["conclusion"]), (commit, "success"))
            self.assertIn("- Test: SUCCESS", check["output"]["summary"])
            self.assertEqual(len(fake.given), 1, "the installation's token is kept")
            self.assertTrue(any(s["state"] == "success" for s in fake.statuses))


class PrivateRepository(Forge):
    def test_it_is_fetched_with_the_token(self):
        self.start("github-private", None)
        self.secret("github", "ghp_secret")
        bare = self.naru.dir / "served"
        bare.mkdir()
        git(self.tree, "clone", "-q", "--bare", ".", str(bare / "shop.git"))
        git(bare / "shop.git", "update-server-info")
        wanted = "Basic " + base64.b64encode(b"x-access-token:ghp_secret").decode()
        refused = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                if self.headers.get("Authorization") == wanted:
                    return super().do_GET()
                refused.append(self.path)
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(bare)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        url = f"http://127.0.0.1:{server.server_address[1]}/shop.git"
        self.naru.cli("pipeline", "create", "private", "--url", url, "--github", "acme/private")
        done = self.naru.cli("pipeline", "start", "private", "--wait")
        self.assertRegex(done.stdout, r"build +#1 SUCCESS")
        self.assertEqual(refused, [])
        self.naru.cli("secret", "set", "github", input="another")
        self.assertNotEqual(self.naru.cli("pipeline", "start", "private", check=False).returncode, 0)
        self.assertNotEqual(refused, [])


class Webhooks(Forge):
    def test_events_of_github(self):
        self.start("github-events", None)
        main = git(self.tree, "rev-parse", "HEAD")
        self.assertEqual(self.github("ping", {"zen": "x"}), (200, '{"message":"pong"}'))
        for event in ("create", "delete", "release", "star"):
            self.assertEqual(self.github(event, {"ref": "main"})[0], 200)
        # A tag.
        git(self.tree, "tag", "v1")
        build = self.ended(self.push("refs/tags/v1", main))
        log = self.naru.build_log("shop", build["number"])
        self.assertIn("branch=v1 change= to= by= tag=v1", log)
        self.assertIn("it is tagged", log)
        # A change, as its merge into the target.
        git(self.tree, "checkout", "-q", "-b", "topic")
        (self.tree / "TOPIC").write_text("")
        head = self.commit("topic")
        git(self.tree, "checkout", "-q", "main")
        git(self.tree, "merge", "-q", "--no-ff", "-m", "merge", "topic")
        merge = git(self.tree, "rev-parse", "HEAD")
        git(self.tree, "update-ref", "refs/pull/7/merge", merge)
        git(self.tree, "reset", "-q", "--hard", main)
        build = self.ended(self.pull_request(7, head))
        self.assertEqual((build["branch"], build["commit"], build["head"], build["result"]), ("PR-7", merge, head, "SUCCESS"))
        log = self.naru.build_log("shop", build["number"])
        self.assertIn("branch=PR-7 change=7 to=main by=ann tag=", log)
        self.assertNotIn("deployed", log)
        status, text = self.naru.call("POST", f"/naru/builds/shop/{build['number']}/replay", {})
        self.assertEqual(status, 202, text)
        again = self.naru.ended("shop", json.loads(text)["number"], 60)
        self.assertEqual((again["branch"], again["change"]["id"], again["commit"]), ("PR-7", "7", merge))
        self.assertNotIn("deployed", self.naru.build_log("shop", again["number"]), "a replayed change is one still")
        build = again
        self.assertEqual(self.ended(self.pull_request(7, head, "synchronize"))["number"], build["number"], "the same head is known")
        self.assertIn("from forks", self.pull_request(8, head, fork="eve/shop")[1])
        self.assertEqual(self.pull_request(7, head, "labeled")[0], 200)
        self.assertEqual(self.pull_request(7, head, "closed")[0], 200)
        self.assertEqual(len(self.naru.builds("shop")), 3)

    def test_events_of_gitlab_and_gitea(self):
        if not harness.SOAK:
            self.skipTest("takes long: --soak")
        self.start("other-forges", None)
        main = git(self.tree, "rev-parse", "HEAD")
        self.secret("gitlab-webhook", "the token")
        push = {"object_kind": "push", "ref": "refs/heads/main", "before": "0" * 40, "after": main, "checkout_sha": main,
                "project": {"path_with_namespace": "acme/shop"},
                "commits": [{"message": "first", "author": {"name": "Ann"}, "added": ["CONTENT"], "modified": [], "removed": []}]}
        headers = {"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": "the token"}
        self.assertEqual(self.post("/gitlab/webhook", dict(headers, **{"X-Gitlab-Token": "no token"}), json.dumps(push).encode())[0], 401)
        build = self.ended(self.post("/gitlab/webhook", headers, json.dumps(push).encode()))
        self.assertEqual((build["branch"], build["message"], build["author"]), ("main", "first", "Ann"))
        request = {"object_kind": "merge_request", "project": {"path_with_namespace": "acme/shop"}, "user": {"username": "bob"},
                   "object_attributes": {"iid": 3, "action": "open", "source_branch": "main", "target_branch": "main", "url": "http://x/3",
                                         "title": "t", "last_commit": {"id": main}, "source": {"path_with_namespace": "acme/shop"}}}
        build = self.ended(self.post("/gitlab/webhook", dict(headers, **{"X-Gitlab-Event": "Merge Request Hook"}), json.dumps(request).encode()))
        self.assertEqual((build["branch"], build["change"]["author"]), ("MR-3", "bob"))
        # Gitea signs with a secret of its own, here without a prefix.
        self.secret("gitea-webhook", SECRET)
        pull = {"action": "opened", "number": 4, "repository": {"full_name": "acme/shop"},
                "pull_request": {"number": 4, "title": "t", "user": {"login": "cy"}, "head": {"ref": "main", "sha": main, "repo": {"full_name": "acme/shop"}},
                                 "base": {"ref": "main"}}}
        data = json.dumps(pull).encode()
        signature = hmac.new(SECRET.encode(), data, hashlib.sha256).hexdigest()
        headers = {"X-Gitea-Event": "pull_request", "X-Gitea-Delivery": "d1", "X-Gitea-Signature": signature}
        self.assertEqual(self.post("/gitea/webhook", dict(headers, **{"X-Gitea-Signature": "0" * 64}), data)[0], 401)
        build = self.ended(self.post("/gitea/webhook", headers, data))
        self.assertEqual((build["branch"], build["commit"]), ("PR-4", main))
        self.assertIn("seen before", self.post("/gitea/webhook", headers, data)[1])

    def test_missed_pushes_are_found(self):
        if not harness.SOAK:
            self.skipTest("takes long: --soak")
        self.start("missed", None)
        main = git(self.tree, "rev-parse", "HEAD")
        git(self.tree, "branch", "old")
        self.ended(self.push("refs/heads/main", main))
        heads = self.naru.dir / "data/builds/shop/heads.json"
        self.naru.stop()
        self.naru.start()
        wait_until("the first look", heads.exists, 30)
        self.naru.stop()
        missed = self.commit("missed")
        git(self.tree, "branch", "new")
        self.naru.start()
        wait_until("the missed pushes", lambda: {(b["branch"], b["commit"]) for b in self.naru.builds("shop") if b["state"] == "ENDED"} ==
                   {("main", main), ("main", missed), ("new", missed)}, 60)


if __name__ == "__main__":
    unittest.main()
