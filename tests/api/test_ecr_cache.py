# SPDX-License-Identifier: MIT
"""The pull-through cache: from a registry that the test plays itself, from Debian's docker-registry with a password,
and from a naru."""
import base64
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

import harness
from test_ecr import Case, digest_of

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LONG_AGO = 1  # a second after 1970 began


class Upstream(http.server.ThreadingHTTPServer):
    """A registry with tokens: counts what is asked, and holds a blob back until it may go on."""
    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.blobs, self.manifests, self.asked, self.scopes = {}, {}, [], []
        self.held, self.hold_at, self.is_down = threading.Event(), None, False
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def image(self, name, tag, *layers, tagged=True):
        config = json.dumps({"tag": tag}).encode()
        for blob in (config, *layers):
            self.blobs[digest_of(blob)] = blob
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "size": len(config), "digest": digest_of(config)},
            "layers": [{"mediaType": LAYER, "size": len(one), "digest": digest_of(one)} for one in layers]}).encode()
        self.put(name, tag if tagged else None, manifest, MANIFEST)
        return manifest

    def put(self, name, tag, manifest, kind):
        self.manifests[f"{name}/manifests/{digest_of(manifest)}"] = (manifest, kind)
        if tag:
            self.manifests[f"{name}/manifests/{tag}"] = (manifest, kind)

    def count(self, what):
        return sum(what in one for one in self.asked)


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self):
        s = self.server
        s.asked.append(f"{self.command} {self.path}")
        if s.is_down:
            self.say(503)
        elif self.path.startswith("/token?"):
            s.scopes.append(self.path)
            self.say(200, json.dumps({"token": "opaque"}).encode())
        elif self.headers.get("Authorization") != "Bearer opaque" and not self.path.startswith("/elsewhere/"):
            self.say(401, WWW_Authenticate=f'Bearer realm="{s.url}/token",service="test"')
        elif self.path.startswith("/elsewhere/"):
            self.blob(s.blobs[self.path.rsplit("/", 1)[1]])
        elif "/blobs/" in self.path and self.path.rsplit("/", 1)[1] in s.blobs:
            self.say(307, Location=f"http://localhost:{s.server_address[1]}/elsewhere/{self.path.rsplit('/', 1)[1]}")
        elif self.path.removeprefix("/v2/") in s.manifests:
            body, kind = s.manifests[self.path.removeprefix("/v2/")]
            self.say(200, body, Content_Type=kind, Docker_Content_Digest=digest_of(body))
        else:
            self.say(200 if self.path == "/v2/" else 404)

    do_HEAD = do_GET

    def blob(self, body):
        s = self.server
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if s.hold_at is not None and len(body) > s.hold_at:
            self.wfile.write(body[:s.hold_at])
            self.wfile.flush()
            s.held.wait(60)
            body = body[s.hold_at:]
        self.wfile.write(body)


class Cache(Case):
    prefixes = 0

    def setUp(self):
        super().setUp()
        self.data_dir = pathlib.Path(os.environ["NARU_DATA_DIR"])
        self.basic = {"Authorization": "Basic " + self.authorization()}
        Cache.prefixes += 1
        self.prefix = f"up{Cache.prefixes}"

    def rule(self, url, **members):
        made = self.raw("CreatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix, upstreamRegistryUrl=url, **members)
        self.assertIn("createdAt", made, made)
        self.addCleanup(self.forget)
        return made

    def forget(self):
        self.raw("DeletePullThroughCacheRule", ecrRepositoryPrefix=self.prefix)
        for one in self.ecr.describe_repositories()["repositories"]:
            if one["repositoryName"].startswith(self.prefix + "/"):
                self.remove(self.ecr, one["repositoryName"])

    def upstream(self):
        up = Upstream()
        self.addCleanup(up.server_close)
        self.addCleanup(up.shutdown)
        self.addCleanup(up.held.set)
        self.rule(up.url)
        return up

    def get(self, path, method="GET"):
        request = urllib.request.Request(f"http://{self.registry}/v2/{self.prefix}/{path}", headers=self.basic, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def tags(self, name):
        try:
            images = self.ecr.describe_images(repositoryName=f"{self.prefix}/{name}")["imageDetails"]
        except self.ecr.exceptions.RepositoryNotFoundException:
            return {}
        return {tag: one["imageDigest"] for one in images for tag in one.get("imageTags", [])}

    def compared(self, name, tag):
        """Where naru keeps when the tag was last compared with its upstream's."""
        return self.data_dir / f"registry/{os.environ['AWS_DEFAULT_REGION']}/{self.prefix}/{name}/_upstream/{tag}"

    def imported(self, name, tag, manifest):
        """The import's last word is the time of the comparison, a moment after the image is seen."""
        def is_done():
            path = self.compared(name, tag)
            return self.tags(name).get(tag) == digest_of(manifest) and path.exists() and path.stat().st_mtime > LONG_AGO
        harness.wait_until("the image to be here", is_done, 60, 0.05)

    def age(self, name, tag):
        """As if the tag was last compared long ago."""
        os.utime(self.compared(name, tag), (LONG_AGO, LONG_AGO))

    def test_a_pull_makes_the_repository_and_the_next_needs_nobody(self):
        up = self.upstream()
        layer = os.urandom(300000)
        manifest = up.image("team/app", "v1", layer)
        self.assertEqual(self.get("team/app/manifests/none")[0], 404)
        self.assertEqual(self.tags("team/app"), {})
        self.assertEqual(self.get("team/app/manifests/v1"), (200, manifest))
        self.assertEqual(self.get(f"team/app/blobs/{digest_of(layer)}"), (200, layer))
        self.imported("team/app", "v1", manifest)
        self.assertEqual(up.count(f"/elsewhere/{digest_of(layer)}"), 1)
        self.assertTrue(any("scope=repository%3Ateam%2Fapp%3Apull" in one for one in up.scopes), up.scopes)
        up.is_down = True
        before = len(up.asked)
        self.assertEqual(self.get("team/app/manifests/v1"), (200, manifest))
        self.assertEqual(self.get(f"team/app/manifests/{digest_of(manifest)}"), (200, manifest))
        self.assertEqual(self.get(f"team/app/blobs/{digest_of(layer)}"), (200, layer))
        self.assertEqual(len(up.asked), before)
        # Two days later, with nobody there: what is here goes on.
        self.age("team/app", "v1")
        self.assertEqual(self.get("team/app/manifests/v1"), (200, manifest))
        self.assertGreater(len(up.asked), before)
        up.is_down = False
        newer = up.image("team/app", "v1", layer, b"more")
        self.assertEqual(self.get("team/app/manifests/v1"), (200, newer))
        self.imported("team/app", "v1", newer)

    def test_many_pulls_are_one_fetch_and_see_bytes_before_it_ends(self):
        up = self.upstream()
        layer = os.urandom(3 << 20)
        up.image("app", "v1", layer)
        self.assertEqual(self.get("app/manifests/v1", "HEAD")[0], 200)  # imports nothing
        up.hold_at = 2 << 20
        # Each has a megabyte while two thirds are all that there is.
        request = urllib.request.Request(f"http://{self.registry}/v2/{self.prefix}/app/blobs/{digest_of(layer)}", headers=self.basic)
        answers = [urllib.request.urlopen(request, timeout=60) for _ in range(6)]
        begun = [answer.read(1 << 20) for answer in answers]
        self.assertEqual([one == layer[:1 << 20] for one in begun], [True] * 6)
        self.assertEqual(up.count(f"/elsewhere/{digest_of(layer)}"), 1)
        up.held.set()
        self.assertEqual([b + a.read() == layer for b, a in zip(begun, answers)], [True] * 6)
        self.assertEqual(self.get(f"app/blobs/{digest_of(layer)}"), (200, layer))
        self.assertEqual(up.count(f"/elsewhere/{digest_of(layer)}"), 1)

    def test_bytes_that_are_not_what_they_say_are_not_kept(self):
        """client-1"""
        up = self.upstream()
        layer = os.urandom(100000)
        up.image("app", "v1", layer)
        up.blobs[digest_of(layer)] = bytes(100000)
        self.assertEqual(self.get("app/manifests/v1", "HEAD")[0], 200)
        with self.assertRaises(Exception):
            self.get(f"app/blobs/{digest_of(layer)}")
        up.blobs[digest_of(layer)] = layer
        self.assertEqual(self.get(f"app/blobs/{digest_of(layer)}"), (200, layer))
        self.assertEqual(self.get(f"app/blobs/{digest_of(b'no such')}")[0], 404)
        up.manifests["app/manifests/" + digest_of(b"other")] = (b"{}", MANIFEST)
        self.assertEqual(self.get("app/manifests/" + digest_of(b"other"))[0], 502)

    def test_an_index_comes_with_its_images(self):
        up = self.upstream()
        one, two = up.image("app", "amd64", b"one", tagged=False), up.image("app", "arm64", b"two", tagged=False)
        cached = b"a blob that an index names, as BuildKit's cache does"
        up.blobs[digest_of(cached)] = cached
        index = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [
            {"mediaType": kind, "size": len(m), "digest": digest_of(m)}
            for m, kind in ((one, MANIFEST), (two, MANIFEST), (cached, "x/layer"))]}).encode()
        up.put("app", "v1", index, INDEX)
        self.assertEqual(self.get("app/manifests/v1"), (200, index))
        self.assertEqual(self.get(f"app/manifests/{digest_of(one)}"), (200, one))
        self.imported("app", "v1", index)
        up.is_down = True
        self.assertEqual(self.get(f"app/manifests/{digest_of(two)}"), (200, two))
        self.assertEqual(self.get(f"app/blobs/{digest_of(cached)}"), (200, cached))

    def test_rules(self):
        made = self.rule("registry-1.docker.io")
        self.assertEqual((made["upstreamRegistry"], made["upstreamRepositoryPrefix"]), ("docker-hub", "ROOT"))
        again = self.raw("CreatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix, upstreamRegistryUrl="quay.io")
        self.assertIn("PullThroughCacheRuleAlreadyExistsException", again["__type"])
        other = self.prefix + "x"
        for url, said in (("quay.io/path", None), ("quay.io", "docker-hub"), ("123456789012.dkr.ecr.eu-west-1.amazonaws.com", None),
                          ("http://a@b", None), ("ftp://quay.io", None)):
            members = {"upstreamRegistry": said} if said else {}
            bad = self.raw("CreatePullThroughCacheRule", ecrRepositoryPrefix=other, upstreamRegistryUrl=url, **members)
            self.assertIn("UnsupportedUpstreamRegistryException", bad["__type"], url)
        found = self.raw("DescribePullThroughCacheRules", ecrRepositoryPrefixes=[self.prefix])["pullThroughCacheRules"]
        self.assertEqual([one["upstreamRegistryUrl"] for one in found], ["registry-1.docker.io"])
        none = self.raw("DescribePullThroughCacheRules", ecrRepositoryPrefixes=[other])
        self.assertIn("PullThroughCacheRuleNotFoundException", none["__type"])
        arn = self.secret("none", "who", "it was")
        updated = self.raw("UpdatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix, credentialArn=arn)
        self.assertEqual(updated["credentialArn"], arn)
        subprocess.run([str(harness.BINARY), "secret", "delete", "ecr-pullthroughcache/none", "--data-dir", str(self.data_dir)],
                       check=True, stdout=subprocess.DEVNULL)
        valid = self.raw("ValidatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix)
        self.assertFalse(valid["isValid"])
        self.assertIn("ecr-pullthroughcache/none", valid["failure"])
        self.assertEqual(self.get("library/nginx/manifests/latest")[0], 400)
        bad = self.raw("UpdatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix, credentialArn="a" * 60)
        self.assertIn("InvalidParameterException", bad["__type"])

    def secret(self, name, username, password):
        subprocess.run([str(harness.BINARY), "secret", "set", f"ecr-pullthroughcache/{name}", "--kind", "password",
                        "--username", username, "--data-dir", str(self.data_dir)], input=password.encode(), check=True,
                       stdout=subprocess.DEVNULL)
        return f"arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:ecr-pullthroughcache/{name}"

    def test_from_a_naru_with_a_password(self):
        name = self.repository(name="source/" + self.prefix)["repositoryName"]
        password = base64.b64decode(self.authorization()).decode().split(":", 1)[1]
        image = self.push(name)
        arn = self.secret("naru", "AWS", password)
        self.rule(f"http://{self.registry}", credentialArn=arn, upstreamRepositoryPrefix="source")
        self.assertTrue(self.raw("ValidatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix)["isValid"])
        self.assertEqual(self.get(f"{self.prefix}/manifests/v1"), (200, image))
        self.imported(self.prefix, "v1", image)

    def push(self, name):
        layer, config = os.urandom(1000), b"{}"
        for blob in (layer, config):
            digest = digest_of(blob)
            upload = self.ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
            self.ecr.upload_layer_part(repositoryName=name, uploadId=upload, partFirstByte=0, partLastByte=len(blob) - 1,
                                       layerPartBlob=blob)
            self.ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest])
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                               "config": {"mediaType": CONFIG, "size": 2, "digest": digest_of(config)},
                               "layers": [{"mediaType": LAYER, "size": 1000, "digest": digest_of(layer)}]})
        self.ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v1")
        return manifest.encode()

    @unittest.skipUnless(shutil.which("docker-registry"), "Debian's docker-registry is not installed")
    def test_from_docker_registry_with_skopeo(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        port = start_docker_registry(self, folder.name, harness.free_port())
        self.rule(f"http://127.0.0.1:{port}", credentialArn=self.secret("peer", "robot", "secret"))
        harness.wait_until("docker-registry to answer", lambda: self.raw(
            "ValidatePullThroughCacheRule", ecrRepositoryPrefix=self.prefix)["isValid"], 30, 0.1)
        source = self.repository(name="skopeo/" + self.prefix)["repositoryName"]
        self.push(source)
        login = base64.b64decode(self.authorization()).decode()

        def skopeo(*words):
            subprocess.run(["skopeo", "copy", "--quiet", *words], check=True, timeout=60)
        skopeo("--src-tls-verify=false", "--src-creds", login, "--dest-tls-verify=false", "--dest-creds", "robot:secret",
               f"docker://{self.registry}/{source}:v1", f"docker://127.0.0.1:{port}/team/app:v1")
        skopeo("--src-tls-verify=false", "--src-creds", login, f"docker://{self.registry}/{self.prefix}/team/app:v1",
               f"dir:{folder.name}/out")
        manifest = pathlib.Path(folder.name, "out/manifest.json").read_bytes()
        self.imported("team/app", "v1", manifest)


def start_docker_registry(case, folder, port, users=True):
    """Debian's docker-registry, which knows user robot with password secret."""
    crypt = "robot:" + bcrypt("secret")  # bcrypt is all that it takes
    pathlib.Path(folder, "htpasswd").write_text(crypt + "\n", encoding="utf-8")
    config = {"version": 0.1, "log": {"level": "error"}, "storage": {"filesystem": {"rootdirectory": folder + "/data"}},
              "http": {"addr": f"127.0.0.1:{port}"}, "auth": {"htpasswd": {"realm": "x", "path": folder + "/htpasswd"}}}
    if not users:
        del config["auth"]
    pathlib.Path(folder, "config.yml").write_text(json.dumps(config), encoding="utf-8")
    peer = subprocess.Popen(["docker-registry", "serve", folder + "/config.yml"], stdout=subprocess.DEVNULL,
                            stderr=subprocess.DEVNULL)
    case.addCleanup(peer.wait)
    case.addCleanup(peer.terminate)
    return port


def bcrypt(password):
    import crypt  # the libc's, which knows $2b$
    return crypt.crypt(password, "$2b$05$" + "abcdefghijklmnopqrstuu")
