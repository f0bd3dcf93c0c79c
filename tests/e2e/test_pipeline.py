# SPDX-License-Identifier: MIT
"""From git push to live, through the application's own Jenkinsfile; webhooks; a server killed in mid-build."""
import hashlib
import hmac
import json
import os
import pathlib
import subprocess
import time
import unittest
import urllib.error
import urllib.request

import botocore.auth
import botocore.awsrequest
import botocore.credentials

import harness
from harness import Load, Naru, wait_until

SECRET = "a secret of the webhook"


def git(directory, *args):
    env = dict(os.environ, GIT_AUTHOR_NAME="Someone", GIT_AUTHOR_EMAIL="someone@example.com",
               GIT_COMMITTER_NAME="Someone", GIT_COMMITTER_EMAIL="someone@example.com")
    done = subprocess.run(["git", "-C", str(directory), *args], env=env, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(f"git {' '.join(args)}: {done.returncode}\n{done.stdout}")
    return done.stdout.strip()


class PipelineNaru(Naru):
    """A server with the HTTP of the pipeline room, signed as any AWS request."""

    def __init__(self, *args, **environment):
        super().__init__(*args, **environment)
        self.dir.chmod(0o1777)  # builds, which have users of their own, leave marks here

    def call(self, method, path, body=None, signed=True):
        data = None if body is None else json.dumps(body).encode()
        request = botocore.awsrequest.AWSRequest(method, self.url(path), data=data, headers={"Content-Type": "application/json"})
        if signed:
            c = self.credentials
            keys = botocore.credentials.Credentials(c["access_key_id"], c["secret_access_key"])
            botocore.auth.SigV4Auth(keys, "naru", c["region"]).add_auth(request)
        return self.send(request.prepare())

    @staticmethod
    def send(prepared):
        sent = urllib.request.Request(prepared.url, data=prepared.body, method=prepared.method, headers=dict(prepared.headers))
        try:
            with urllib.request.urlopen(sent, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def get_json(self, path):
        status, text = self.call("GET", path)
        if status != 200:
            raise AssertionError(f"GET {path}: {status} {text}")
        return json.loads(text)

    def build(self, pipeline, number):
        return self.get_json(f"/naru/builds/{pipeline}/{number}")

    def builds(self, pipeline):
        return self.get_json(f"/naru/builds?pipeline={pipeline}")["builds"]

    def build_log(self, pipeline, number):
        return self.call("GET", f"/naru/builds/{pipeline}/{number}/log")[1]

    def ended(self, pipeline, number, timeout=90):
        def check():
            build = self.build(pipeline, number)
            return build if build["state"] == "ENDED" else None

        return wait_until(f"build {number} of {pipeline} to end", check, timeout)


class MyApp(unittest.TestCase):
    """The example application: its own Jenkinsfile, unchanged, behind a load balancer."""

    @classmethod
    def setUpClass(cls):
        cls.naru = PipelineNaru("pipeline")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.naru.cli("up", "--sample", str(harness.TOP / "examples/my-app"), "--port", str(cls.naru.port),
                     "--listener-port", str(cls.naru.listener_port), timeout=180)
        cls.tree = cls.naru.dir / "data/sample/my-app"
        cls.version_number = 1

    def push(self, condition="well"):
        """A new version; its name, its commit, its build."""
        type(self).version_number += 1
        version = str(self.version_number)
        (self.tree / "VERSION").write_text(version + "\n")
        (self.tree / "CONDITION").write_text(condition + "\n")
        git(self.tree, "commit", "-qam", f"Version {version}\n\nand more words")
        git(self.tree, "push", "-q", "naru", "main")
        commit = git(self.tree, "rev-parse", "HEAD")
        newest = self.naru.builds("my-app")[0]
        self.assertEqual(newest["commit"], commit, "the push itself queues the build")
        return version, commit, newest["number"]

    def served(self):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.naru.listener_port}/", timeout=10) as answer:
            return answer.headers["X-Version"]

    def all_served(self):
        return {self.served() for _ in range(12)}

    def service(self):
        return self.naru.client("ecs").describe_services(cluster="my-cluster", services=["my-service"])["services"][0]

    def is_stable(self):
        service = self.service()
        return len(service["deployments"]) == 1 and service["runningCount"] == service["desiredCount"]

    def check_load(self, load):
        result = load.stop()
        self.assertEqual(result["failed"], "0", load.output[-3000:])
        self.assertGreater(int(result["requests"]), 100, load.output[-2000:])

    def test_a_push_is_live_when_its_build_has_succeeded(self):
        with Load(self.naru) as load:
            version, commit, number = self.push()
            build = self.naru.ended("my-app", number)
            log = self.naru.build_log("my-app", number)
            self.assertEqual(build["result"], "SUCCESS", log[-3000:])
            self.assertEqual(self.all_served(), {version})
            self.check_load(load)
        registry = f"{self.naru.credentials['account']}.dkr.ecr.{self.naru.credentials['region']}.amazonaws.com"
        self.assertEqual((build["commit"], build["branch"], build["message"], build["author"], build["cause"]),
                         (commit, "main", f"Version {version}", "Someone", "BranchEventCause"))
        stages = [(s["name"], s["status"]) for s in build["stages"]]
        self.assertEqual(stages[-4:], [(s, "SUCCESS") for s in ("Compile", "Build", "Push", "Deploy")])
        for line in ("docker build -t my-app:latest .", f"docker push {registry}/my-app:latest", "Login Succeeded",
                     "aws ecs update-service --cluster my-cluster --service my-service --force-new-deployment",
                     f"my-app {version}: SUCCESS", "Finished: SUCCESS"):
            self.assertIn(line, log)
        self.assertNotIn(self.naru.credentials["secret_access_key"], log)
        # What runs is what was pushed: by digest, not by whatever the tag says later.
        ecs = self.naru.client("ecs")
        tasks = ecs.list_tasks(cluster="my-cluster", serviceName="my-service")["taskArns"]
        digests = {c["imageDigest"] for t in ecs.describe_tasks(cluster="my-cluster", tasks=tasks)["tasks"]
                   for c in t["containers"] if t["lastStatus"] == "RUNNING"}
        self.assertEqual(digests, {self.digest_of_latest()})

    def test_an_unhealthy_version_fails_its_build_and_is_rolled_back(self):
        before, old = self.served(), self.service()["deployments"][0]
        with Load(self.naru) as load:
            version, _, number = self.push("unhealthy")
            build = self.naru.ended("my-app", number, timeout=120)
            log = self.naru.build_log("my-app", number)
            self.assertEqual(build["result"], "FAILURE", log[-3000:])
            wait_until("the rollback to be over", self.is_stable, 60)
            self.check_load(load)
        self.assertEqual([s["status"] for s in build["stages"] if s["name"] == "Deploy"], ["FAILED"])
        self.assertIn(f"my-app {version}: FAILURE", log)
        self.assertIn("Finished: FAILURE", log)
        self.assertEqual(self.all_served(), {before})
        self.assertEqual(self.service()["deployments"][0]["id"], old["id"])
        self.assertEqual(self.service()["desiredCount"], 2)

    def test_another_branch_is_built_but_not_deployed(self):
        before, pushed = self.service()["deployments"][0]["id"], self.digest_of_latest()
        git(self.tree, "checkout", "-q", "-b", "feature/colours")
        try:
            (self.tree / "VERSION").write_text("colourful\n")
            git(self.tree, "commit", "-qam", "Colours")
            git(self.tree, "push", "-q", "naru", "feature/colours")
        finally:
            git(self.tree, "checkout", "-q", "main")
        newest = self.naru.builds("my-app")[0]
        self.assertEqual(newest["branch"], "feature/colours")
        build = self.naru.ended("my-app", newest["number"])
        stages = {s["name"]: s["status"] for s in build["stages"]}
        self.assertEqual([build["result"]] + [stages[s] for s in ("Compile", "Build", "Push", "Deploy")],
                         ["SUCCESS", "SUCCESS", "SKIPPED", "SKIPPED", "SKIPPED"])
        self.assertEqual((self.service()["deployments"][0]["id"], self.digest_of_latest()), (before, pushed))

    def digest_of_latest(self):
        found = self.naru.client("ecr").describe_images(repositoryName="my-app", imageIds=[{"imageTag": "latest"}])
        return found["imageDetails"][0]["imageDigest"]

    def test_a_version_that_crashes_fails_its_build(self):
        before = self.served()
        with Load(self.naru) as load:
            _, _, number = self.push("crashing")
            build = self.naru.ended("my-app", number, timeout=120)
            self.assertEqual(build["result"], "FAILURE", self.naru.build_log("my-app", number)[-3000:])
            wait_until("the rollback to be over", self.is_stable, 60)
            self.check_load(load)
        self.assertEqual(self.all_served(), {before})

    def killed_in(self, stage):
        """kill -9 while that stage runs; the same build goes on and nothing is done twice."""
        with Load(self.naru) as load:
            version, commit, number = self.push()
            wait_until(f"stage {stage} to run", lambda: any(
                s["name"] == stage and s["status"] == "RUNNING" for s in self.naru.build("my-app", number)["stages"]), 60, 0.01)
            self.naru.kill()
            time.sleep(0.3)
            self.naru.start()
            end = self.naru.ended("my-app", number)
            log = self.naru.build_log("my-app", number)
            self.assertEqual(end["result"], "SUCCESS", log[-3000:])
            self.assertEqual((end["commit"], end["resumed"]), (commit, 1))
            self.assertEqual(self.naru.builds("my-app")[0]["number"], number)
            self.assertEqual(self.all_served(), {version})
            self.check_load(load)
        self.assertEqual([log.count("+ " + line) for line in ("docker push", "aws ecs update-service")], [1, 1], log)

    def test_a_kill_while_compiling(self):
        self.killed_in("Compile")

    def test_a_kill_while_pushing(self):
        self.killed_in("Push")

    def test_a_kill_while_deploying(self):
        self.killed_in("Deploy")

    def test_a_push_while_nobody_listens_is_built_at_the_next_start(self):
        self.naru.stop()
        type(self).version_number += 1
        version = str(self.version_number)
        (self.tree / "VERSION").write_text(version + "\n")
        (self.tree / "CONDITION").write_text("well\n")
        git(self.tree, "commit", "-qam", f"Version {version}")
        said = git(self.tree, "push", "naru", "main")
        self.assertIn("the push is in, but no build was queued", said)
        self.naru.start()
        wait_until("the version to be served", lambda: self.served_or_none() == version, 90)
        wait_until("the build to end", lambda: self.naru.builds("my-app")[0]["state"] == "ENDED")

    def served_or_none(self):
        try:
            return self.served()
        except OSError:
            return None


class Queue(unittest.TestCase):
    """Small pipelines: what the queue does with pushes, and what comes by webhook."""

    @classmethod
    def setUpClass(cls):
        cls.naru = PipelineNaru("queue", NARU_GITHUB_SECRET=SECRET)
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()

    def tree(self, name, jenkinsfile):
        tree = pathlib.Path(self.naru.dir / name)
        tree.mkdir()
        git(tree, "init", "-q", "-b", "main")
        (tree / "Jenkinsfile").write_text(jenkinsfile)
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", "first")
        return tree

    def commit(self, tree, text):
        (tree / "text").write_text(text)
        git(tree, "add", "-A")
        git(tree, "commit", "-qm", text)
        return git(tree, "rev-parse", "HEAD")

    def pipeline_in_naru(self, name, jenkinsfile):
        tree = self.tree(name, jenkinsfile)
        status, text = self.naru.call("POST", "/naru/repositories", {"name": name})
        self.assertEqual(status, 200, text)
        git(tree, "remote", "add", "origin", json.loads(text)["url"])
        return tree

    def test_a_newer_push_takes_the_place_of_a_queued_one(self):
        flag = self.naru.dir / "go"
        tree = self.pipeline_in_naru("slow", "pipeline { agent any\n stages { stage('Wait') { steps {\n"
                                     f"sh 'while [ ! -e {flag} ]; do sleep 0.05; done'\n" "} } } }\n")
        self.assertIn("build #1 of slow queued", git(tree, "push", "origin", "main"))
        wait_until("build 1 to run", lambda: self.naru.build("slow", 1)["state"] == "RUNNING", 20)
        self.commit(tree, "second")
        git(tree, "push", "-q", "origin", "main")
        self.assertEqual(self.naru.build("slow", 2)["state"], "QUEUED")
        third = self.commit(tree, "third")
        git(tree, "push", "-q", "origin", "main")
        second = self.naru.build("slow", 2)
        self.assertEqual((second["state"], second["result"], second["supersededBy"]), ("ENDED", "NOT_BUILT", 3))
        self.assertEqual(self.naru.build("slow", 1)["state"], "RUNNING")
        flag.touch()
        self.assertEqual(self.naru.ended("slow", 1)["result"], "SUCCESS")
        last = self.naru.ended("slow", 3)
        self.assertEqual((last["result"], last["commit"]), ("SUCCESS", third))
        self.assertEqual(len(self.naru.builds("slow")), 3)

    def test_an_abort_ends_what_the_steps_started(self):
        marker = self.naru.dir / "pid"
        tree = self.pipeline_in_naru("endless", "pipeline { agent any\n stages { stage('Wait') { steps {\n"
                                     f"sh 'sleep 600 & echo $! > {marker}; wait'\n" "} } } }\n")
        git(tree, "push", "-q", "origin", "main")
        wait_until("the step to run", lambda: marker.exists() and marker.read_text().strip(), 20)
        self.assertEqual(self.naru.call("POST", "/naru/builds/endless/1/abort", {})[0], 202)
        self.assertEqual(self.naru.ended("endless", 1, 30)["result"], "ABORTED")
        wait_until("the background process to end", lambda: not self.is_alive(marker.read_text().strip()), 5)

    @staticmethod
    def is_alive(pid):
        try:
            return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
        except OSError:
            return False

    def test_a_build_is_a_user_of_its_own(self):
        secret = self.naru.dir / "data/credentials.json"
        config = self.naru.dir / "data/builds.json"
        tree = self.pipeline_in_naru("own", "pipeline { agent any\n stages { stage('Who') { steps {\n"
                                     "sh 'echo I am $(id -u) in $HOME'\n"
                                     f"sh 'cat {secret} {secret.parent}/naru.db && exit 1; aws sts get-caller-identity'\n"
                                     f"sh 'ln -sf {secret} link; ls {secret.parent}/builds && exit 1; true'\n"
                                     "script { try { echo readFile('link') } catch (e) { echo \"refused: ${e.message}\" } }\n"
                                     "sh 'docker version --format \"docker {{.Server.Os}}\"'\n"
                                     "} } } }\n")
        git(tree, "push", "-q", "origin", "main")
        build, log = self.naru.ended("own", 1), self.naru.build_log("own", 1)
        self.assertEqual(build["result"], "SUCCESS", log)
        for line in ("\nI am 66", f"in {secret.parent}/workspaces/own/main@home\n", "Permission denied", "\ndocker linux\n"):
            self.assertIn(line, log)
        self.assertNotIn(self.naru.credentials["secret_access_key"], log)
        config.write_text('{"pipelines": {"own": {"docker": false}}}')
        self.addCleanup(config.unlink)
        self.commit(tree, "second")
        git(tree, "push", "-q", "origin", "main")
        self.assertEqual(self.naru.ended("own", 2)["result"], "FAILURE")
        self.assertIn('this build may not use Docker: builds.json has "docker": false for it', self.naru.build_log("own", 2))

    def test_a_branch_and_a_tag_and_a_deletion(self):
        self.naru.cli("roles", "set", "arn:aws:iam::123456789012:role/look", "--role", "read-only")
        tree = self.pipeline_in_naru("branches", "pipeline { agent any\n stages { stage('Say') { steps {\n"
                                     "echo \"on ${env.BRANCH_NAME}\"\n"
                                     "sh 'aws sts get-caller-identity --query Arn --output text; aws ecs list-clusters; "
                                     "aws ecr put-lifecycle-policy --repository-name app --lifecycle-policy-text {} || true'\n"
                                     "withAWS(role: 'look', roleAccount: '123456789012') {\n"
                                     "sh 'aws sts get-caller-identity --query Arn --output text; echo token $AWS_SESSION_TOKEN; "
                                     "aws ecs create-cluster --cluster-name other || true' }\n"
                                     "} } } }\n")
        git(tree, "push", "-q", "origin", "main:refs/heads/feature/x")
        self.assertEqual(self.naru.ended("branches", 1)["branch"], "feature/x")
        log = self.naru.build_log("branches", 1)
        self.assertIn("on feature/x", log)
        self.assertIn("arn:aws:sts::000000000000:assumed-role/naru-build/branches-1\n", log)  # its key is its own
        self.assertIn("clusterArns", log)
        self.assertIn("arn:aws:sts::000000000000:assumed-role/look/Jenkins-branches-feature-2Fx-1\n", log)
        self.assertIn("token ****\n", log)
        self.assertIn("not authorized to perform: ecs:CreateCluster", log)
        self.assertIn("not authorized to perform: ecr:PutLifecyclePolicy", log)
        git(tree, "push", "-q", "origin", "main:refs/tags/v1")
        git(tree, "push", "-q", "origin", ":refs/heads/feature/x")
        self.assertEqual(len(self.naru.builds("branches")), 1)

    def test_a_broken_jenkinsfile_says_where(self):
        tree = self.pipeline_in_naru("broken", "pipeline { agent any\n stages {\n stage('A') { steps { sh }\n")
        git(tree, "push", "-q", "origin", "main")
        build = self.naru.ended("broken", 1)
        self.assertEqual(build["result"], "FAILURE")
        self.assertRegex(self.naru.build_log("broken", 1), r"Jenkinsfile:\d+")

    def test_who_may_ask(self):
        for method, path, body in (("GET", "/naru/builds", None), ("POST", "/naru/repositories", {"name": "theirs"}),
                                   ("POST", "/naru/builds", {"pipeline": "slow", "branch": "main"})):
            self.assertIn(self.naru.call(method, path, body, signed=False)[0], (401, 403), path)
        self.assertEqual(self.naru.call("POST", "/naru/repositories", {"name": "../up"})[0], 400)
        self.assertEqual(self.naru.call("POST", "/naru/builds", {"pipeline": "none", "branch": "main"})[0], 404)
        self.assertEqual(self.naru.call("GET", "/naru/builds/none/1")[0], 404)
        self.assertEqual(self.naru.call("POST", "/naru/builds", {"pipeline": 1, "branch": "main"})[0], 400)

    # ---- GitHub ----

    def deliver(self, event, body, delivery, secret=SECRET):
        data = json.dumps(body).encode()
        signature = "sha256=" + hmac.new(secret.encode(), data, hashlib.sha256).hexdigest()
        headers = {"Content-Type": "application/json", "X-GitHub-Event": event, "X-GitHub-Delivery": delivery}
        if secret:
            headers["X-Hub-Signature-256"] = signature
        request = botocore.awsrequest.AWSRequest("POST", self.naru.url("/github/webhook"), data=data, headers=headers)
        return self.naru.send(request.prepare())

    def push_event(self, commit, branch="main", repository="Someone/Hooked"):
        return {"ref": f"refs/heads/{branch}", "before": "0" * 40, "after": commit, "deleted": commit == "0" * 40,
                "repository": {"full_name": repository}, "pusher": {"name": "someone"},
                "head_commit": {"id": commit, "message": "By webhook\n\nmore", "author": {"name": "Some One"}},
                "commits": [{"id": commit, "added": ["text"], "removed": [], "modified": []}]}

    def test_webhooks(self):
        tree = self.tree("hooked", "pipeline { agent any\n stages { stage('Read') { steps {\n"
                         "echo \"read ${readFile('text')}\"\n"
                         "sh 'git rev-parse HEAD'\n} } } }\n")
        first = self.commit(tree, "one")
        bare = self.naru.dir / "theirs.git"
        git(self.naru.dir, "clone", "-q", "--bare", str(tree), str(bare))
        status, text = self.naru.call("POST", "/naru/pipelines",
                                      {"name": "hooked", "url": f"file://{bare}", "github": "someone/hooked"})
        self.assertEqual(status, 200, text)
        self.assertEqual(self.deliver("ping", {"zen": "Speak like a human."}, "d-ping")[0], 200)
        self.assertEqual(self.deliver("push", self.push_event(first), "d-1", secret="guessed")[0], 401)
        self.assertEqual(self.deliver("push", self.push_event(first), "d-1", secret="")[0], 401)
        self.assertEqual(self.naru.builds("hooked"), [])

        status, text = self.deliver("push", self.push_event(first), "d-1")
        self.assertEqual((status, json.loads(text)), (202, {"pipeline": "hooked", "build": 1}))
        build = self.naru.ended("hooked", 1)
        log = self.naru.build_log("hooked", 1)
        self.assertEqual(build["result"], "SUCCESS", log)
        self.assertEqual((build["commit"], build["message"], build["author"]), (first, "By webhook", "Some One"))
        self.assertIn("read one", log)
        self.assertIn(first, log)

        # Delivered twice, and by another id for the same commit: one build.
        self.assertEqual(self.deliver("push", self.push_event(first), "d-1")[0], 200)
        self.assertEqual(self.deliver("push", self.push_event(first), "d-2")[0], 202)
        self.assertEqual(self.deliver("push", self.push_event("0" * 40), "d-3")[0], 200)
        self.assertEqual(self.deliver("push", {"ref": "refs/notes/v1", "after": first, "repository":
                                               {"full_name": "someone/hooked"}}, "d-4")[0], 200)
        self.assertEqual(self.deliver("issues", {"action": "opened"}, "d-5")[0], 200)
        self.assertEqual(self.deliver("push", self.push_event(first, repository="else/where"), "d-6")[0], 404)
        self.assertEqual(self.deliver("push", {"ref": 1}, "d-7")[0], 400)
        self.assertEqual(self.deliver("push", self.push_event(first, branch="a..b"), "d-8")[0], 400)
        self.assertEqual(len(self.naru.builds("hooked")), 1)

        # What was seen is still known after a kill.
        self.naru.kill()
        self.naru.start()
        self.assertIn("seen before", self.deliver("push", self.push_event(first), "d-1")[1])
        second = self.commit(tree, "two")
        git(tree, "push", "-q", str(bare), "main")
        self.assertEqual(self.deliver("push", self.push_event(second), "d-9")[0], 202)
        self.assertEqual(self.naru.ended("hooked", 2)["result"], "SUCCESS")
        self.assertIn("read two", self.naru.build_log("hooked", 2))

    def test_without_a_secret_webhooks_are_refused(self):
        with PipelineNaru("nosecret") as naru:
            request = botocore.awsrequest.AWSRequest("POST", naru.url("/github/webhook"), data=b"{}", headers={
                "X-GitHub-Event": "ping", "X-GitHub-Delivery": "1", "Content-Type": "application/json"})
            self.assertEqual(naru.send(request.prepare())[0], 403)


if __name__ == "__main__":
    unittest.main()
