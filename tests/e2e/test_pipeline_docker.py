# SPDX-License-Identifier: MIT
"""Docker agents and the docker object of Jenkinsfiles, run by `naru build` on a real Docker Engine."""
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import textwrap
import unittest

import harness
from harness import wait_until
from test_pipeline import PipelineNaru, git

DOCKERFILE = """FROM scratch
COPY busybox /bin/busybox
COPY busybox /bin/sh
COPY busybox /bin/cat
COPY busybox /bin/echo
COPY busybox /bin/env
COPY busybox /bin/id
COPY busybox /bin/sleep
COPY busybox /bin/grep
ENV FROM_IMAGE=yes PATH=/bin
CMD ["sleep", "600"]
"""


class DockerPipelines(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.docker = harness.DOCKER
        cls.base = pathlib.Path(tempfile.mkdtemp(prefix="boxes-", dir=harness.ROOT))
        cls.addClassCleanup(shutil.rmtree, cls.base, ignore_errors=True)
        context = cls.base / "context"
        context.mkdir()
        shutil.copy("/bin/busybox", context / "busybox")
        (context / "Dockerfile").write_text(DOCKERFILE)
        cls.docker.run("build", "-q", "-t", "tool:1", str(context))
        cls.number = 0
        for left in cls.docker.containers("label=naru.build"):  # of a run that failed
            cls.docker.run("rm", "-f", left)

    def build(self, jenkinsfile, code=0, files=None, secrets=None, environment=None):
        """The log of a build of its own; no container of it is left."""
        type(self).number += 1
        tree = self.base / f"tree{self.number}"
        tree.mkdir()
        (tree / "Jenkinsfile").write_text(textwrap.dedent(jenkinsfile))
        for name, text in (files or {}).items():
            (tree / name).write_text(text)
        env = dict(os.environ, DOCKER_HOST=self.docker.host, NARU_DATA_DIR=str(self.base / "data"), ON_HOST="here",
                   HOME=str(self.base), **(environment or {}))
        for name, (value, *options) in (secrets or {}).items():
            subprocess.run([str(harness.BINARY), "secret", "set", name, *options], env=env, input=value, text=True, check=True,
                           stdout=subprocess.DEVNULL)
        done = subprocess.run([str(harness.BINARY), "build", str(tree)], env=env, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=120)
        self.assertEqual(done.returncode, code, done.stdout)
        self.assertEqual(self.docker.containers("label=naru.build"), [], done.stdout)
        return done.stdout

    def test_a_docker_agent_runs_its_steps_in_the_container(self):
        log = self.build("""
            pipeline {
                agent { docker { image 'tool:1'; args '-e GIVEN=$ON_HOST' } }
                environment { OF_PIPELINE = 'set' }
                stages {
                    stage('In') {
                        steps {
                            sh 'echo image=$FROM_IMAGE given=$GIVEN pipeline=$OF_PIPELINE stage=$STAGE_NAME path=$PATH; id -u'
                            sh 'echo "from inside" > made.txt'
                            dir('sub') { sh 'echo in ${PWD##*/}' }
                            script {
                                echo 'out: ' + sh(script: 'cat made.txt', returnStdout: true).trim()
                                echo 'code: ' + sh(script: 'exit 7', returnStatus: true)
                            }
                            sh '''#!/bin/sh
                            echo direct'''
                        }
                    }
                    stage('Other') {
                        agent any
                        steps { sh 'echo other=[$FROM_IMAGE]; test -x /bin/bash' }
                    }
                }
                post { always { sh 'echo post=$FROM_IMAGE' } }
            }
        """)
        for line in (f"image=yes given=here pipeline=set stage=In path=/bin", str(os.getuid()), "in sub", "out: from inside",
                     "code: 7", "direct", "other=[]", "post=yes"):
            self.assertIn("\n" + line + "\n", log)

    def test_a_dockerfile_agent_builds_its_image(self):
        log = self.build("""
            pipeline {
                agent none
                stages {
                    stage('Built') {
                        agent { dockerfile { additionalBuildArgs '--build-arg WORD=hello'; args '-u 5:5' } }
                        steps { sh 'echo word=$WORD; id -u' }
                    }
                }
            }
        """, files={"Dockerfile": "FROM tool:1\nARG WORD\nENV WORD=$WORD\n"})
        self.assertIn("\nword=hello\n", log)
        self.assertIn("\n5\n", log)
        self.assertRegex(log, r"\+ docker build -t [0-9a-f]{40} --build-arg WORD=hello -f \./Dockerfile \.\n")

    def test_the_docker_object_builds_tags_and_runs(self):
        log = self.build("""
            pipeline {
                agent any
                stages {
                    stage('One') {
                        steps {
                            script {
                                def img = docker.build("app:${env.BUILD_NUMBER}", '-q -f Dockerfile .')
                                echo "id=${img.id} name=${img.imageName()} tagged=${img.tag('v2')}"
                                img.inside('-e WORD=x') { sh 'echo inside $WORD $FROM_IMAGE' }
                                img.withRun('-e A=b --stop-signal KILL', 'sleep 300') { c ->
                                    sh "docker exec ${c.id} env | grep '^A='"
                                }
                                def c = docker.image('app:v2').run('--name app-of-test --stop-signal KILL')
                                echo "running ${c.id.size()}"
                                c.stop()
                                try { docker.image('app:v2').inside { error 'stops here' } }
                                catch (e) { echo "caught ${e.message}" }
                                try { docker.build('no good"name') } catch (e) { echo "refused ${e.message}" }
                                docker.withServer('tcp://nowhere:1') { echo "server ${env.DOCKER_HOST}" }
                            }
                        }
                    }
                }
            }
        """, files={"Dockerfile": "FROM tool:1\n"})
        for line in ("id=app:1 name=app:1 tagged=app:v2", "inside x yes", "A=b", "running 64", "caught stops here",
                     "refused 'no good\"name' is not the name of an image", "server tcp://nowhere:1"):
            self.assertIn("\n" + line + "\n", log)
        self.assertEqual(self.docker.containers("name=app-of-test"), [])

    def test_containers_run_side_by_side_and_end_with_an_aborted_build(self):
        if not harness.SOAK:
            self.skipTest("takes long: --soak")
        log = self.build("""
            pipeline {
                agent none
                options { timeout(time: 4, unit: 'SECONDS') }
                stages {
                    stage('Both') {
                        parallel {
                            stage('a') {
                                agent { docker 'tool:1' }
                                steps { sh 'echo one $FROM_IMAGE' }
                            }
                            stage('b') {
                                agent { docker { image 'tool:1' } }
                                steps { sh 'echo two; sleep 100' }
                            }
                        }
                    }
                }
            }
        """, code=1)
        self.assertIn("one yes", log)
        self.assertIn("ABORTED", log)

    def test_a_script_in_a_container_ends_with_its_timeout(self):
        log = self.build("""
            node {
                docker.image('tool:1').inside {
                    try {
                        timeout(time: 3, unit: 'SECONDS') { sh 'echo begun; sleep 4242' }
                    } catch (e) { echo 'out of time' }
                    sh 'for p in /proc/[0-9]*; do grep -a 4242 $p/cmdline || true; done; echo looked'
                }
            }
        """)
        self.assertIn("begun\n", log)
        self.assertIn("out of time\n", log)
        after = log.split("out of time\n")[1]
        self.assertIn("looked\n", after)
        self.assertNotIn("sleep", after)

    def test_an_entrypoint_that_swallows_the_command_is_named(self):
        if not harness.SOAK:
            self.skipTest("takes long: --soak")
        log = self.build("""
            node {
                writeFile file: 'Dockerfile', text: 'FROM tool:1\\nENTRYPOINT ["/bin/echo", "no"]\\n'
                def img = docker.build('swallows:1')
                try { img.inside { sh 'true' } } catch (e) { echo e.message }
                img.inside("--entrypoint=''") { sh 'echo now it runs' }
            }
        """)
        self.assertIn("add --entrypoint='' to the args", log)
        self.assertIn("\nnow it runs\n", log)

    def test_a_container_is_found_again_after_a_kill(self):
        with PipelineNaru("boxes-kill") as naru:
            url = json.loads(naru.cli("pipeline", "create", "boxed", "--output", "json").stdout)["url"]
            tree = self.base / "boxed"
            tree.mkdir()
            git(tree, "init", "-q", "-b", "main", ".")
            (tree / "Jenkinsfile").write_text(textwrap.dedent("""
                pipeline {
                    agent { docker 'tool:1' }
                    stages {
                        stage('Wait') { steps { sh 'while [ ! -e go ]; do sleep 0.1; done; echo went on in $HOSTNAME' } }
                        stage('After') { steps { sh 'echo after in $HOSTNAME' } }
                    }
                }
            """))
            git(tree, "add", "-A")
            git(tree, "commit", "-q", "-m", "one")
            git(tree, "push", "-q", url, "main")
            box = wait_until("the container", lambda: self.docker.containers("label=naru.build"), 30)
            wait_until("the script", lambda: "+ sleep" in naru.build_log("boxed", 1), 30)
            naru.kill()
            self.assertEqual(self.docker.containers("label=naru.build"), box)
            (naru.dir / "data/workspaces/boxed/main/go").write_text("")
            naru.start()
            build = naru.ended("boxed", 1)
            log = naru.build_log("boxed", 1)
            self.assertEqual(build["result"], "SUCCESS", log)
            for line in ("went on", "after"):
                self.assertIn(f"\n{line} in {box[0]}\n", log)
            self.assertEqual(self.docker.containers("label=naru.build"), [])

    def test_purge_takes_containers_of_suspended_builds(self):
        if not harness.SOAK:
            self.skipTest("takes long: --soak")
        naru = PipelineNaru("boxes-purge")
        naru.start()
        url = json.loads(naru.cli("pipeline", "create", "boxed", "--output", "json").stdout)["url"]
        tree = self.base / "purged"
        tree.mkdir()
        git(tree, "init", "-q", "-b", "main", ".")
        (tree / "Jenkinsfile").write_text("node { checkout scm; docker.image('tool:1').inside { sh 'sleep 300' } }")
        git(tree, "add", "-A")
        git(tree, "commit", "-q", "-m", "one")
        git(tree, "push", "-q", url, "main")
        wait_until("the container", lambda: self.docker.containers("label=naru.build"), 30)
        naru.stop()
        self.assertNotEqual(self.docker.containers("label=naru.build"), [])
        naru.purge()
        self.assertEqual(self.docker.containers("label=naru.build"), [])

    def test_a_registry_is_logged_in_at_for_its_block(self):
        with harness.Naru("boxes-registry") as naru:
            port = naru.port
            naru.client("ecr").create_repository(repositoryName="mine")
            log = self.build(f"""
                node {{
                    docker.withRegistry('http://localhost:{port}/', 'ecr:{naru.credentials["region"]}:aws-key') {{
                        echo "config ${{env.DOCKER_CONFIG != null}}"
                        def img = docker.image('tool:1')
                        sh 'docker tag tool:1 mine:7'
                        docker.image('mine:7').push()
                        docker.image('mine:7').push('latest')
                        echo docker.image('mine:7').imageName()
                    }}
                    echo "after ${{env.DOCKER_CONFIG?.contains('@tmp')}}"
                    withEnv(['DOCKER_CONFIG=/nonexistent']) {{
                        withDockerRegistry([url: 'http://localhost:{port}', credentialsId: 'pw']) {{ sh 'docker pull -q localhost:{port}/mine:latest' }}
                    }}
                    try {{
                        docker.withRegistry('http://localhost:{port}', 'wrong') {{ echo 'never' }}
                    }} catch (e) {{ echo e.message }}
                }}
            """, secrets={
                "aws-key": (naru.credentials["secret_access_key"], "--kind", "aws", "--access-key-id", naru.credentials["access_key_id"]),
                "pw": (naru.aws("ecr", "get-login-password").stdout.strip(), "--kind", "password", "--username", "AWS"),
                "wrong": ("not it", "--kind", "password", "--username", "AWS")},
                environment={"AWS_ENDPOINT_URL": naru.url()})
            self.assertIn(f"\nlocalhost:{port}/mine:7\n", log)
            self.assertRegex(log, r"\nafter (null|false)\n")
            self.assertIn("docker login failed with exit code 1", log)
            self.assertNotIn("\nnever\n", log)
            tags = {i.get("imageTag") for i in naru.client("ecr").list_images(repositoryName="mine")["imageIds"]}
            self.assertEqual(tags, {"7", "latest"})


if __name__ == "__main__":
    unittest.main()
