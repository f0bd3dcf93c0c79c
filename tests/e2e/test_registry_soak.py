# SPDX-License-Identifier: MIT
"""Pushes, pulls, deletes and collections at once, and kill -9 in between: no corrupt pull, no lost acknowledged
manifest, no orphan left after the last collection. Ten minutes with --soak (NARU_SOAK_SECONDS for another length)."""
import hashlib
import http.client
import json
import os
import pathlib
import random
import threading
import time
import unittest

import harness
from harness import Naru, wait_until

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
REPOSITORIES = ("soak/one", "soak/two", "soak/three")
LIVE_MAX = 25  # images of one pusher


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Gone(Exception):
    """The server left in the middle, or says that it cannot now: begin again."""


class Client:
    """One connection, made again as often as the server goes."""

    def __init__(self, soak):
        self.soak = soak
        self.connection = None

    def call(self, method, path, body=None, **headers):
        """(status, headers, body)"""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection("127.0.0.1", self.soak.naru.port, timeout=60)
            headers = {name.replace("_", "-"): value for name, value in headers.items()}
            self.connection.request(method, path, body, {"Authorization": self.soak.token, **headers})
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.connection = None
            time.sleep(0.02)
            raise Gone(str(error)) from None
        return answer.status, answer.headers, data

    def push_blob(self, repository, data):
        digest = digest_of(data)
        if self.call("HEAD", f"/v2/{repository}/blobs/{digest}")[0] == 200:
            return digest
        status, headers, _ = self.call("POST", f"/v2/{repository}/blobs/uploads/")
        half = len(data) // 2
        if status == 202:
            status, headers, _ = self.call("PATCH", headers["Location"], data[:half])
        if status == 202:
            status, headers, said = self.call("PUT", f"{headers['Location']}?digest={digest}", data[half:])
        if status != 201:
            raise Gone(f"a blob was answered {status}")
        return digest


class Image:
    def __init__(self, repository, tag, manifest):
        self.repository, self.tag, self.manifest = repository, tag, manifest
        self.digest = digest_of(manifest)
        self.is_kept = True  # acknowledged, and nobody has begun to delete it


class Soak:
    def __init__(self, seconds, kill_every):
        self.end = time.monotonic() + seconds
        self.kill_every = kill_every
        self.images, self.lock = [], threading.Lock()
        self.failures = []
        self.counts = dict.fromkeys(("pushed", "pulled", "deleted", "killed", "begun again"), 0)
        dice = random.Random(1)
        self.common = [dice.randbytes(dice.randint(1000, 2000000)) for _ in range(12)]

    def goes_on(self):
        return time.monotonic() < self.end and not self.failures

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def worker(self, step, number):
        client, dice = Client(self), random.Random(number)
        while self.goes_on():
            try:
                step(client, dice, number)
            except Gone:
                self.count("begun again")
            except Exception as error:  # whatever it is, the soak has failed
                self.failures.append(f"{step.__name__}: {error!r}")

    # ---- what clients do ----

    def push(self, client, dice, number):
        repository, tag = dice.choice(REPOSITORIES), f"t-{number}-{dice.getrandbits(40)}"
        config = json.dumps({"tag": tag}).encode()
        blobs = [config, dice.choice(self.common), dice.choice(self.common), dice.randbytes(dice.randint(100, 300000))]
        digests = [client.push_blob(repository, b) for b in blobs]
        described = [{"mediaType": "application/octet-stream", "digest": d, "size": len(b)} for d, b in zip(digests, blobs)]
        image = Image(repository, tag, json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": described[0],
                                                   "layers": described[1:]}).encode())
        status, _, _ = client.call("PUT", f"/v2/{repository}/manifests/{tag}", image.manifest, Content_Type=MANIFEST)
        if status != 201:
            raise Gone(f"a manifest was answered {status}")
        self.count("pushed")
        with self.lock:
            self.images.append(image)
            own = [i for i in self.images if i.is_kept and i.tag.startswith(f"t-{number}-")]
            old = own[0] if len(own) > LIVE_MAX else None
            if old:
                old.is_kept = False
                self.images.remove(old)
        if old and client.call("DELETE", f"/v2/{old.repository}/manifests/{old.digest}")[0] == 202:
            self.count("deleted")

    def pull(self, client, dice, _):
        with self.lock:
            image = dice.choice(self.images) if self.images else None
        if image is None:
            time.sleep(0.01)
            return
        self.check_image(client, image)
        self.count("pulled")

    def check_image(self, client, image):
        status, _, manifest = client.call("GET", f"/v2/{image.repository}/manifests/{image.tag}")
        if status != 200 or manifest != image.manifest:
            self.missing(image, f"the manifest was answered {status}, {len(manifest)} bytes")
            return
        said = json.loads(manifest)
        for blob in [said["config"], *said["layers"]]:
            status, _, data = client.call("GET", f"/v2/{image.repository}/blobs/{blob['digest']}")
            if status != 200 or digest_of(data) != blob["digest"]:
                self.missing(image, f"the blob {blob['digest']} was answered {status}, {len(data)} bytes")

    def missing(self, image, why):
        if image.is_kept:  # still: nobody has begun to delete it
            self.failures.append(f"{image.repository}:{image.tag}: {why}")

    def kill(self):
        while self.goes_on():
            time.sleep(min(self.kill_every, max(self.end - time.monotonic(), 0)))
            self.naru.kill()
            self.naru.start()
            self.count("killed")

    # ---- the end ----

    def orphans(self):
        """Blobs that no image of any repository names."""
        data = self.naru.dir / "data"
        needed = set()
        for record in data.glob("registry/*/soak/*/_manifests/*"):
            needed.add(record.name)
            said = json.loads((data / "blobs/sha256" / record.name[:2] / record.name).read_bytes())
            needed |= {b["digest"].split(":")[1] for b in [said["config"], *said["layers"]]}
        return {path.name for path in pathlib.Path(data / "blobs/sha256").glob("*/*")} - needed


class RegistrySoak(unittest.TestCase):
    def test_registry_soak(self):
        seconds = int(os.environ.get("NARU_SOAK_SECONDS", 600 if harness.SOAK else 7))
        soak = Soak(seconds, kill_every=20 if seconds > 60 else seconds / 3)
        with Naru("registry-soak", NARU_REGISTRY_COLLECT_SECONDS="1", NARU_REGISTRY_KEEP_SECONDS="5") as naru:
            soak.naru = naru
            ecr = naru.client("ecr")
            for name in REPOSITORIES:
                ecr.create_repository(repositoryName=name)
            soak.token = "Basic " + ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
            threads = [threading.Thread(target=soak.worker, args=(step, number))
                       for number, step in enumerate([soak.push] * 3 + [soak.pull] * 3)]
            for thread in threads:
                thread.start()
            soak.kill()
            for thread in threads:
                thread.join()
            self.assertEqual(soak.failures, [])
            client = Client(soak)
            for image in soak.images:
                soak.check_image(client, image)
            self.assertEqual(soak.failures, [])
            wait_until("the last collection to leave no orphan", lambda: not soak.orphans(), timeout=60, interval=0.5)
            verified = json.loads(naru.cli("registry", "verify", "--output", "json").stdout)
            self.assertEqual(verified["problems"], [])
            self.assertGreaterEqual(verified["images"], len(soak.images))
        print(", ".join(f"{n} {what}" for what, n in soak.counts.items()), flush=True)
        for what in ("pushed", "pulled", "killed"):
            self.assertGreater(soak.counts[what], 1, what)


if __name__ == "__main__":
    unittest.main()
