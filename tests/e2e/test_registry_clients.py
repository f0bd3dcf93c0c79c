# SPDX-License-Identifier: MIT
"""The registry with the clients that need no Docker: buildah, podman, and curl as oras would push an artifact.

They keep images in a directory of the test's own by plain copies (vfs), so that they run wherever the tests do."""
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

import harness

OCI = "application/vnd.oci."
NO_TLS = "--tls-verify=false"


def run(*command, **options):
    """What it printed; an error has all that it said."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, check=False,
                          **options)
    if done.returncode != 0:
        raise AssertionError(f"{command} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def described(data, media_type):
    return {"mediaType": media_type, "digest": "sha256:" + hashlib.sha256(data).hexdigest(), "size": len(data)}


class Clients(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = harness.Naru("registry-clients", NARU_TLS_NAMES="localhost")
        cls.naru.__enter__()
        cls.addClassCleanup(cls.naru.__exit__, None, None, None)
        cls.naru.client("ecr").create_repository(repositoryName="team/app")
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="naru-"))  # podman takes no longer path than 50 bytes
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.host = f"localhost:{cls.naru.port}"
        cls.image = f"{cls.host}/team/app"
        cls.certificates = cls.folder / "certs"
        cls.certificates.mkdir()
        shutil.copy(cls.naru.dir / "data/tls/ca.crt", cls.certificates)
        cls.password = cls.naru.aws("ecr", "get-login-password").stdout.strip()

    def client(self, program, *args, check=True, **options):
        """buildah and podman keep different images, so that what one has was pulled."""
        home = self.folder / program
        env = dict(os.environ, REGISTRY_AUTH_FILE=str(home / "auth.json"), HOME=str(self.folder), TMPDIR=str(self.folder))
        command = [program, "--root", home / "root", "--runroot", home / "run", "--storage-driver", "vfs"]
        if program == "podman":
            command += ["--cgroup-manager", "cgroupfs", "--events-backend", "none", "--tmpdir", home / "tmp"]
        if not home.exists():
            home.mkdir()
            (home / "auth.json").write_text("{}")
        if check:
            return run(*command, *args, env=env, **options)
        return subprocess.run([str(c) for c in [*command, *args]], env=env, capture_output=True, text=True, check=False)

    def login(self, program, *options):
        self.client(program, "login", *options, "-u", "AWS", "--password-stdin", self.host, input=self.password)

    def refused(self, program, *args):
        done = self.client(program, *args, check=False)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        return done.stderr

    def build(self):
        """An image of two layers, the second made by a program that ran in it."""
        context = self.folder / "context"
        context.mkdir(exist_ok=True)
        shutil.copy("/bin/busybox", context)
        (context / "Dockerfile").write_text('FROM scratch\nCOPY busybox /bin/busybox\n'
                                            'RUN ["/bin/busybox", "touch", "/made"]\nCMD ["/bin/busybox", "true"]\n')
        return self.client("buildah", "bud", "-q", "--isolation", "chroot", "-t", f"{self.image}:v1", context).strip()

    def digest(self, tag):
        return self.naru.client("ecr").describe_images(
            repositoryName="team/app", imageIds=[{"imageTag": tag}])["imageDetails"][0]["imageDigest"]

    def test_buildah_pushes_and_podman_pulls(self):
        built = self.build()
        self.assertIn("requested access to the resource is denied", self.refused("buildah", "push", NO_TLS, f"{self.image}:v1"))
        self.login("buildah", NO_TLS)
        self.login("podman", "--cert-dir", self.certificates)
        for tag, options in (("v1", ["--format", "docker"]), ("oci", ["--format", "oci"]),
                             ("zstd", ["--format", "oci", "--compression-format", "zstd"])):
            self.client("buildah", "push", NO_TLS, *options, f"{self.image}:v1", f"docker://{self.image}:{tag}")
        old = self.refused("buildah", "push", NO_TLS, "--format", "v2s1", f"{self.image}:v1", f"docker://{self.image}:v0")
        self.assertIn("manifest.v1+prettyjws' is not supported", old)
        # By the authority that naru made, and not without it; what is here already does not travel again.
        self.assertEqual(self.client("podman", "pull", "-q", "--cert-dir", self.certificates, f"{self.image}:v1").strip(), built)
        self.assertIn("unknown authority", self.refused("podman", "pull", "-q", f"{self.image}:v1"))
        by_digest = f"{self.image}@{self.digest('oci')}"
        self.client("podman", "pull", "-q", NO_TLS, by_digest)
        self.client("podman", "push", "--cert-dir", self.certificates, by_digest, f"docker://{self.image}:again")
        self.assertEqual(self.digest("again"), self.digest("oci"))
        self.assertIn("localhost", self.client("buildah", "from", NO_TLS, "--pull-always", f"{self.image}:zstd"))
        # Lists of names: a token for the catalog, which podman asks for when it is told to.
        self.assertIn(self.image, self.client("podman", "search", NO_TLS, f"{self.host}/app"))
        tags = self.client("podman", "search", NO_TLS, "--list-tags", "--format", "{{.Tag}}", self.image).split()
        self.assertEqual(sorted(set(tags) & {"v0", "v1", "oci", "zstd", "again"}), ["again", "oci", "v1", "zstd"])
        self.lists()
        self.client("podman", "logout", self.host)
        self.assertIn("authorization token is missing", self.refused("podman", "pull", "-q", NO_TLS, f"{self.image}:v1"))

    def lists(self):
        """A list for two architectures, as OCI and as Docker have it; each client takes its own of it."""
        machine = self.client("buildah", "inspect", "--type", "image", "--format", "{{.OCIv1.Architecture}}",
                              f"{self.image}:v1").strip()
        self.client("buildah", "manifest", "create", "both")
        for architecture, tag in ((machine, "v1"), ("s390x", "oci")):
            self.client("buildah", "manifest", "add", NO_TLS, "--arch", architecture, "both", f"docker://{self.image}:{tag}")
        wanted = {"oci": OCI + "image.index.v1+json", "v2s2": "application/vnd.docker.distribution.manifest.list.v2+json"}
        for form, media_type in wanted.items():
            self.client("buildah", "manifest", "push", NO_TLS, "--all", "--format", form, "both", f"docker://{self.image}:all-{form}")
            found = self.naru.client("ecr").batch_get_image(repositoryName="team/app", imageIds=[{"imageTag": f"all-{form}"}])
            self.assertEqual(found["images"][0]["imageManifestMediaType"], media_type)
            listed = json.loads(found["images"][0]["imageManifest"])["manifests"]
            self.assertEqual(sorted(m["platform"]["architecture"] for m in listed), sorted([machine, "s390x"]))
            self.client("podman", "pull", "-q", NO_TLS, f"{self.image}:all-{form}")

    # ---- an artifact, as oras pushes one ----

    def curl(self, *args):
        return run("curl", "-sS", "--fail-with-body", "--cacert", self.certificates / "ca.crt", "-u", f"AWS:{self.password}", *args)

    def url(self, path):
        return f"https://{self.host}/v2/team/app/{path}"

    def put_blob(self, data):
        file = self.folder / "blob"
        file.write_bytes(data)
        head = self.curl("-X", "POST", "-D", "-", "-o", "/dev/null", self.url("blobs/uploads/"))
        location = next(line.split(": ", 1)[1].strip() for line in head.splitlines() if line.lower().startswith("location"))
        self.curl("-X", "PUT", "-H", "Content-Type: application/octet-stream", "--data-binary", f"@{file}",
                  f"https://{self.host}{location}?digest={described(data, '')['digest']}")

    def put_manifest(self, manifest, reference=None):
        data = json.dumps(manifest).encode()
        file = self.folder / "manifest"
        file.write_bytes(data)
        one = described(data, manifest["mediaType"])
        head = self.curl("-X", "PUT", "-D", "-", "-o", "/dev/null", "-H", f"Content-Type: {one['mediaType']}",
                         "--data-binary", f"@{file}", self.url(f"manifests/{reference or one['digest']}"))
        return one, head

    def artifact(self, artifact_type, data, subject=None):
        empty = b"{}"
        for blob in (empty, data):
            self.put_blob(blob)
        manifest = {"schemaVersion": 2, "mediaType": OCI + "image.manifest.v1+json", "artifactType": artifact_type,
                    "config": described(empty, OCI + "empty.v1+json"), "layers": [described(data, "text/plain")],
                    "annotations": {"org.example.about": artifact_type}}
        if subject is not None:
            manifest["subject"] = subject
        return manifest

    def test_an_artifact_refers_to_its_subject(self):
        subject, _ = self.put_manifest(self.artifact("application/vnd.example.thing", b"a thing"), "thing")
        for kind in ("sbom", "signature"):
            one, head = self.put_manifest(self.artifact(f"application/vnd.example.{kind}", kind.encode(), subject))
            self.assertIn(f"oci-subject: {subject['digest']}", head.lower())
            found = json.loads(self.curl(self.url(f"referrers/{subject['digest']}?artifactType=application/vnd.example.{kind}")))
            self.assertEqual(found["manifests"], [{**one, "artifactType": f"application/vnd.example.{kind}",
                                                   "annotations": {"org.example.about": f"application/vnd.example.{kind}"}}])
            layer = json.loads(self.curl(self.url(f"manifests/{one['digest']}")))["layers"][0]["digest"]
            self.assertEqual(self.curl(self.url(f"blobs/{layer}")), kind)
        found = json.loads(self.curl(self.url(f"referrers/{subject['digest']}")))
        self.assertEqual(len(found["manifests"]), 2)
        # Deleted with it is nothing; what it referred to goes its own way.
        self.curl("-X", "DELETE", self.url(f"manifests/{found['manifests'][0]['digest']}"))
        left = json.loads(self.curl(self.url(f"referrers/{subject['digest']}")))
        self.assertEqual(left["manifests"], found["manifests"][1:])


if __name__ == "__main__":
    unittest.main()
