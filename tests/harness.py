# SPDX-License-Identifier: MIT
"""harness.py - real parts for tests: a private dockerd, servers of naru with data of their own, clients.

Everything that is started here is ended here, by pid. Ports are free ones on loopback."""
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

import newest

TOP = pathlib.Path(__file__).resolve().parent.parent
BINARY = None
ROOT = None
SOAK = False
DOCKER = None  # the Dockerd that run.py started


def configure(binary, root, soak):
    global BINARY, ROOT, SOAK
    BINARY, ROOT, SOAK = pathlib.Path(binary).resolve(), pathlib.Path(root).resolve(), soak
    if not BINARY.exists():
        raise SystemExit(f"{BINARY} is missing: build it first (make all)")
    ROOT.mkdir(parents=True, exist_ok=True)
    # Several clients that log in at once would write one file over another; and it is the user's own.
    os.environ["DOCKER_CONFIG"] = str(ROOT / "docker-config")


GIVEN = set()


def free_port():
    """Below the ports that clients get: none of theirs is on it when somebody begins to listen there."""
    while True:
        port = random.randrange(10240, 32768)
        with socket.socket() as s, contextlib.suppress(OSError):
            s.bind(("127.0.0.1", port))
            if port not in GIVEN:
                GIVEN.add(port)
                return port


def wait_until(what, check, timeout=60, interval=0.05):
    """check() until it is true; its last value, or an error naming `what`."""
    end = time.monotonic() + timeout
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {timeout} s for: {what}")
        time.sleep(interval)


def fetch(url):
    """What a task answers, which may run and not listen yet."""
    def answered():
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
            return answer.read().decode()

    return wait_until(f"an answer from {url}", answered)


class Dockerd:
    """A Docker Engine of the tests' own, under ROOT/<name>. `is_lent`: who started it ends it."""

    def __init__(self, name="docker", is_lent=False):
        self.dir = ROOT / name
        self.is_lent = is_lent

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if not self.is_lent:
            self.stop()

    def start(self):
        done = subprocess.run([str(TOP / "tools/dockerd.sh"), "start", str(self.dir)], stdout=subprocess.PIPE, check=True)
        self.socket = done.stdout.decode().strip().splitlines()[-1]
        self.host = "unix://" + self.socket

    def stop(self):
        subprocess.run([str(TOP / "tools/dockerd.sh"), "stop", str(self.dir)], check=False)

    def run(self, *args, **options):
        """The real docker client."""
        env = dict(os.environ, DOCKER_HOST=self.host, **options.pop("env", {}))
        return subprocess.run(["docker", *args], env=env, check=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, **options).stdout.decode().strip()

    def containers(self, *filters):
        args = [a for f in filters for a in ("--filter", f)]
        return self.run("ps", "-aq", *args).split()


class Naru:
    """One server with data of its own under ROOT/<name>."""

    def __init__(self, name, **environment):
        self.dir = ROOT / name
        self.port = free_port()
        self.listener_port = free_port()
        self.extra = environment
        self.process = None
        if self.dir.exists():
            shutil.rmtree(self.dir)
        self.dir.mkdir(parents=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()
        self.purge()

    def url(self, path=""):
        return f"http://localhost:{self.port}{path}"

    def start(self):
        log = open(self.dir / "server.log", "ab")
        self.process = subprocess.Popen(
            [str(BINARY), "server", "--data-dir", str(self.dir / "data"), "--port", str(self.port),
             "--docker-socket", DOCKER.socket, "--listener-address", "127.0.0.1"],
            stdout=log, stderr=log, env=dict(os.environ, **self.extra), start_new_session=True)
        log.close()
        wait_until("the server to answer", self.answers, timeout=20, interval=0.01)
        self.credentials = json.loads((self.dir / "data/credentials.json").read_text())

    def answers(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the server ended with {self.process.returncode}:\n{self.log()}")
        try:
            with urllib.request.urlopen(self.url("/healthz"), timeout=5) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def log(self):
        return (self.dir / "server.log").read_text(errors="replace")[-4000:]

    def kill(self):
        """kill -9, as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.kill()

    def purge(self):
        self.cli("down", "--purge", check=False)

    def environment(self):
        c = self.credentials
        return {
            "AWS_ENDPOINT_URL": c["endpoint_url"], "AWS_ACCESS_KEY_ID": c["access_key_id"],
            "AWS_SECRET_ACCESS_KEY": c["secret_access_key"], "AWS_DEFAULT_REGION": c["region"],
            "AWS_REGION": c["region"], "AWS_ACCOUNT_ID": c["account"], "AWS_PAGER": "",
            "ECR_REGISTRY": f"localhost:{self.port}", "NARU_DATA_DIR": str(self.dir / "data"),
            "NARU_PORT": str(self.port), "DOCKER_HOST": DOCKER.host, "NARU_LISTENER_PORT": str(self.listener_port),
        }

    def client(self, service):
        c = self.credentials
        return boto3.client(service, endpoint_url=c["endpoint_url"], region_name=c["region"],
                            aws_access_key_id=c["access_key_id"], aws_secret_access_key=c["secret_access_key"],
                            config=botocore.config.Config(retries={"max_attempts": 0}, read_timeout=60))

    def newest(self):
        """boto3 for today's ECS (newest.py)."""
        c = self.credentials
        return newest.client(self.dir / "models", endpoint_url=c["endpoint_url"], region_name=c["region"],
                             aws_access_key_id=c["access_key_id"], aws_secret_access_key=c["secret_access_key"],
                             config=botocore.config.Config(retries={"max_attempts": 0}, read_timeout=60))

    def ecs(self, operation, **members):
        """A signed call of its own: the Debian package's boto3 is older than some members and operations."""
        c = self.credentials
        request = botocore.awsrequest.AWSRequest(
            "POST", self.url("/"), data=json.dumps(members).encode(),
            headers={"Content-Type": "application/x-amz-json-1.1",
                     "X-Amz-Target": f"AmazonEC2ContainerServiceV20141113.{operation}"})
        botocore.auth.SigV4Auth(botocore.credentials.Credentials(c["access_key_id"], c["secret_access_key"]), "ecs",
                                c["region"]).add_auth(request)
        sent = urllib.request.Request(request.url, data=request.data, headers=dict(request.headers.items()))
        try:
            with urllib.request.urlopen(sent, timeout=30) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{operation}: {error.code} {error.read().decode()}") from None

    def aws_newest(self, *args, check=True):
        """The real AWS CLI for today's ECS."""
        return self.aws(*args, check=check, AWS_DATA_PATH=newest.write(self.dir / "models"))

    def cli(self, *args, check=True, **options):
        """Our own command line."""
        env = dict(os.environ, **self.environment(), **options.pop("env", {}))
        return subprocess.run([str(BINARY), *args], env=env, check=check, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, **options)

    def aws(self, *args, check=True, **environment):
        """The real AWS CLI."""
        # The Debian package's CLI is older than AWS_ENDPOINT_URL.
        done = subprocess.run(["/usr/bin/aws", "--endpoint-url", self.url(), *args],
                              env=dict(os.environ, **self.environment(), **environment), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True)
        if check and done.returncode != 0:
            raise AssertionError(f"aws {' '.join(args)}: {done.returncode}\n{done.stderr}")
        return done


# ---- the little web service of the tests ----

def build_web(naru, version, repository="web", tag=None, **environment):
    """Builds and pushes an image of tests/e2e/web.c; its environment makes it good or bad."""
    folder = ROOT / "web"
    folder.mkdir(exist_ok=True)
    binary, source = folder / "web", TOP / "tests/e2e/web.c"
    if not binary.exists() or binary.stat().st_mtime < source.stat().st_mtime:
        subprocess.run(["gcc", "-static", "-O2", "-pthread", "-o", str(binary), str(source)], check=True)
    lines = ["FROM scratch", "COPY web /web", f"ENV WEB_VERSION={version}"]
    lines += [f"ENV {k}={v}" for k, v in environment.items()]
    lines += ["EXPOSE 8080", 'ENTRYPOINT ["/web"]']
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n")
    image = f"localhost:{naru.port}/{repository}:{tag or version}"
    DOCKER.run("build", "-q", "-t", image, str(folder), env={"DOCKER_BUILDKIT": "0"})
    login(naru)
    DOCKER.run("push", "-q", image)
    return image


def login(naru):
    token = naru.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
    import base64

    password = base64.b64decode(token).decode().split(":", 1)[1]
    DOCKER.run("login", "-u", "AWS", "--password-stdin", f"localhost:{naru.port}", input=password.encode())


class WebService:
    """Cluster, load balancer, target group, task definition and service around the web image."""

    def __init__(self, naru, count=2, network_mode="bridge", minimum=100, maximum=200, breaker=True, delay=5,
                 interval=5, name="web", launch_type="EC2"):
        self.naru, self.name = naru, name
        self.ecs, self.elb, self.ecr = naru.client("ecs"), naru.client("elbv2"), naru.client("ecr")
        with contextlib.suppress(self.ecr.exceptions.RepositoryAlreadyExistsException):
            self.ecr.create_repository(repositoryName="web")
        self.count, self.network_mode = count, network_mode
        self.options = dict(minimumHealthyPercent=minimum, maximumPercent=maximum,
                            deploymentCircuitBreaker={"enable": breaker, "rollback": breaker})
        self.delay, self.interval = delay, interval
        self.launch_type = launch_type
        self.sizes = {"requiresCompatibilities": ["FARGATE"], "cpu": "256", "memory": "512",
                      "executionRoleArn": "ecsTaskExecutionRole"} if launch_type == "FARGATE" else {}

    def create(self, image):
        self.ecs.create_cluster(clusterName="test")
        lb = self.elb.create_load_balancer(Name=self.name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]
        target_type = "ip" if self.network_mode == "awsvpc" else "instance"
        self.group = self.elb.create_target_group(
            Name=self.name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType=target_type, HealthCheckPath="/health",
            HealthCheckIntervalSeconds=self.interval, HealthCheckTimeoutSeconds=2,
            UnhealthyThresholdCount=2)["TargetGroups"][0]["TargetGroupArn"]
        self.elb.modify_target_group_attributes(TargetGroupArn=self.group, Attributes=[
            {"Key": "deregistration_delay.timeout_seconds", "Value": str(self.delay)}])
        self.elb.create_listener(LoadBalancerArn=lb["LoadBalancerArn"], Protocol="HTTP", Port=self.naru.listener_port,
                                 DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}])
        self.register(image)
        network = {}
        if self.network_mode == "awsvpc":
            network["networkConfiguration"] = {"awsvpcConfiguration": {"subnets": ["subnet-1"]}}
        return self.ecs.create_service(
            cluster="test", serviceName=self.name, taskDefinition=self.name, desiredCount=self.count,
            loadBalancers=[{"targetGroupArn": self.group, "containerName": "web", "containerPort": 8080}],
            deploymentConfiguration=self.options, launchType=self.launch_type, **network)["service"]

    def register(self, image, **container):
        return self.ecs.register_task_definition(
            family=self.name, networkMode=self.network_mode, **self.sizes, containerDefinitions=[dict(
                name="web", image=image, memory=64, cpu=10, essential=True,
                portMappings=[{"containerPort": 8080}], **container)])["taskDefinition"]["taskDefinitionArn"]

    def update(self, **members):
        return self.ecs.update_service(cluster="test", service=self.name, **members)["service"]

    def describe(self):
        return self.ecs.describe_services(cluster="test", services=[self.name])["services"][0]

    def primary(self):
        return next(d for d in self.describe()["deployments"] if d["status"] == "PRIMARY")

    def wait_stable(self, timeout=90):
        def stable():
            s = self.describe()
            one = len(s["deployments"]) == 1 and s["runningCount"] == s["desiredCount"]
            return s if one and s["deployments"][0].get("rolloutState") == "COMPLETED" else None

        return wait_until(f"service {self.name} to be stable", stable, timeout)

    def get(self, path="/", timeout=10):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.naru.listener_port}{path}", timeout=timeout) as answer:
            return answer.read().decode()

    def version(self):
        return self.get("/").split()[0]

    def events(self):
        return [e["message"] for e in self.describe()["events"]]

    def tasks(self):
        arns = self.ecs.list_tasks(cluster="test", serviceName=self.name)["taskArns"]
        return self.ecs.describe_tasks(cluster="test", tasks=arns)["tasks"] if arns else []


class Load:
    """bench/loadgen in the background against the service's listener."""

    RATE = 3000  # requests a second that loadgen keeps to

    def __init__(self, naru, path="/", seconds=600, connections=8, extra=()):
        self.command = [str(BINARY.parent / "loadgen"), "--url", f"http://127.0.0.1:{naru.listener_port}{path}",
                        "--seconds", str(seconds), "--connections", str(connections), *extra]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def stop(self):
        """Ends it in an orderly way and gives its last line as a dict of texts."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.output = self.process.communicate(timeout=60)[0]
        last = self.output.strip().splitlines()[-1]
        return dict(word.split("=", 1) for word in last.split() if "=" in word)

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
