# SPDX-License-Identifier: MIT
"""Replication: to another region of this machine, and to Debian's docker-registry while it comes up."""
import json
import os
import pathlib
import shutil
import tempfile
import unittest
import urllib.request

import harness
from test_ecr import Case, client, digest_of
from test_ecr_cache import start_docker_registry

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
ACCOUNT = "000000000000"


class Replication(Case):
    def setUp(self):
        super().setUp()
        self.data_dir = pathlib.Path(os.environ["NARU_DATA_DIR"])
        self.addCleanup(self.configure, self.ecr, [])

    @staticmethod
    def configure(ecr, rules):
        return ecr.put_replication_configuration(replicationConfiguration={"rules": rules})

    @staticmethod
    def rule(prefix, registry=ACCOUNT, region="eu-north-1"):
        return {"destinations": [{"region": region, "registryId": registry}],
                "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}]}

    def blob(self, name, data):
        upload = self.ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        self.ecr.upload_layer_part(repositoryName=name, uploadId=upload, partFirstByte=0, partLastByte=len(data) - 1,
                                   layerPartBlob=data)
        self.ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest_of(data)])

    def push(self, name, tag):
        layer, config = os.urandom(50000), os.urandom(10)
        self.blob(name, layer)
        self.blob(name, config)
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST,
                               "config": {"mediaType": CONFIG, "size": len(config), "digest": digest_of(config)},
                               "layers": [{"mediaType": LAYER, "size": len(layer), "digest": digest_of(layer)}]})
        self.ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag=tag)
        return manifest, layer

    def statuses(self, name, tag):
        return self.ecr.describe_image_replication_status(repositoryName=name, imageId={"imageTag": tag})["replicationStatuses"]

    def complete(self, name, tag):
        harness.wait_until("replication", lambda: [s["status"] for s in self.statuses(name, tag)] == ["COMPLETE"], 60, 0.05)

    def blob_files(self):
        return sum(len(files) for _, _, files in os.walk(self.data_dir / "blobs/sha256"))

    def test_to_another_region_without_a_byte(self):
        north, onward = client(region="eu-north-1"), client(region="eu-south-1")
        name = self.repository(name="prod/" + os.urandom(4).hex())["repositoryName"]
        other = self.repository(name="dev/" + os.urandom(4).hex())["repositoryName"]
        rules = [self.rule("prod/")]
        self.assertEqual(self.configure(self.ecr, rules)["replicationConfiguration"]["rules"], rules)
        self.assertEqual(self.ecr.describe_registry()["replicationConfiguration"]["rules"], rules)
        self.assertEqual(onward.describe_registry()["replicationConfiguration"]["rules"], [])
        self.configure(north, [self.rule("prod/", region="eu-south-1")])
        self.addCleanup(self.configure, north, [])
        self.addCleanup(self.remove, north, name)
        manifest, layer = self.push(name, "v1")
        before = self.blob_files()
        self.push(other, "v1")
        self.complete(name, "v1")
        there = north.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])["images"]
        self.assertEqual([one["imageManifest"] for one in there], [manifest])
        url = north.get_download_url_for_layer(repositoryName=name, layerDigest=digest_of(layer))["downloadUrl"]
        with urllib.request.urlopen(url) as answer:
            self.assertEqual(answer.read(), layer)
        self.assertEqual(self.blob_files(), before + 3)  # those of the other push
        self.assertEqual(self.statuses(other, "v1"), [])
        self.ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v2")
        self.complete(name, "v2")
        tags = north.describe_images(repositoryName=name)["imageDetails"][0]["imageTags"]
        self.assertEqual(sorted(tags), ["v1", "v2"])
        # What was replicated goes no further.
        self.assertEqual(north.describe_image_replication_status(
            repositoryName=name, imageId={"imageTag": "v1"})["replicationStatuses"], [])
        self.assertNotIn(name, [r["repositoryName"] for r in onward.describe_repositories()["repositories"]])

    def test_what_was_there_before_the_rule(self):
        north = client(region="eu-north-1")
        name = self.repository(name="late/" + os.urandom(4).hex())["repositoryName"]
        manifest, _ = self.push(name, "v1")
        self.ecr.put_image(repositoryName=name, imageManifest=manifest, imageTag="v2")
        self.configure(self.ecr, [self.rule("late/")])
        place = {"region": "eu-north-1", "registryId": ACCOUNT}
        self.addCleanup(self.remove, north, name)
        started = self.raw("StartReplicationBackfill", destination=place)
        self.assertEqual((started["status"], started["destination"], started["registryId"]), ("PREPARING", place, ACCOUNT))
        described = {}

        def is_over():
            described.update(self.raw("DescribeReplicationBackfillResults",
                                      replicationBackfillId=started["replicationBackfillId"]))
            return described["status"] == "COMPLETE"

        harness.wait_until("the backfill ends", is_over, 60, 0.05)
        self.assertEqual(described["progress"], {"totalReplicationCount": 2, "completedReplicationCount": 2,
                                                 "failedReplicationCount": 0, "failureCodes": []})
        self.assertGreaterEqual(described["endedAt"], described["startedAt"])
        digest = digest_of(manifest.encode())
        self.assertEqual(described["results"], [
            {"repositoryName": name, "imageId": {"imageDigest": digest, "imageTag": tag}, "status": "COMPLETE"}
            for tag in ("v1", "v2")])
        failed = self.raw("DescribeReplicationBackfillResults", resultStatusFilter="FAILED",
                          replicationBackfillId=started["replicationBackfillId"])
        self.assertEqual(failed["results"], [])
        page = self.raw("DescribeReplicationBackfillResults", maxResults=1,
                        replicationBackfillId=started["replicationBackfillId"])
        self.assertEqual((page["results"], "nextToken" in page), (described["results"][:1], True))
        self.assertIn("v2", north.describe_images(repositoryName=name)["imageDetails"][0]["imageTags"])
        self.assertIn(started["replicationBackfillId"],
                      [one["replicationBackfillId"] for one in self.raw("ListReplicationBackfills")["backfills"]])

    def test_what_is_no_destination(self):
        region = os.environ["AWS_DEFAULT_REGION"]
        for rule in (self.rule("aa", region=region), self.rule("aa", registry="999999999999")):
            self.refused("InvalidParameterException", self.ecr.put_replication_configuration,
                         replicationConfiguration={"rules": [rule]})

    @unittest.skipUnless(shutil.which("docker-registry"), "Debian's docker-registry is not installed")
    def test_to_a_registry_that_comes_up_later(self):
        port = harness.free_port()
        known = self.data_dir / "registries.json"
        known.write_text(json.dumps({"111111111111": {"url": f"http://127.0.0.1:{port}"}}), encoding="utf-8")
        self.addCleanup(known.unlink)
        name = self.repository(name="out/" + os.urandom(4).hex())["repositoryName"]
        self.configure(self.ecr, [self.rule("out/", registry="111111111111")])
        manifest, _ = self.push(name, "v1")
        self.assertEqual(self.statuses(name, "v1"),
                         [{"region": "eu-north-1", "registryId": "111111111111", "status": "IN_PROGRESS"}])
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        start_docker_registry(self, folder.name, port, users=False)
        self.complete(name, "v1")
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/v2/{name}/manifests/v1",
                                                           headers={"Accept": MANIFEST})) as answer:
            self.assertEqual(answer.read().decode(), manifest)
        self.referrers_go_along(name, port, manifest.encode())

    def referrers_go_along(self, name, port, manifest):
        """client-3: that registry lists no referrers, so naru keeps the list under a tag"""
        self.blob(name, b"{}")
        subject = digest_of(manifest)
        for i in range(2):
            artifact = json.dumps({
                "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": f"a/{i}", "annotations": {"number": str(i)},
                "config": {"mediaType": CONFIG, "size": 2, "digest": digest_of(b"{}")}, "layers": [],
                "subject": {"mediaType": MANIFEST, "size": len(manifest), "digest": subject}})
            self.ecr.put_image(repositoryName=name, imageManifest=artifact, imageTag=f"a{i}")
            self.complete(name, f"a{i}")
        self.ecr.put_image(repositoryName=name, imageManifest=artifact, imageTag="again")
        self.complete(name, "again")
        with urllib.request.urlopen(urllib.request.Request(
                f"http://127.0.0.1:{port}/v2/{name}/manifests/{subject.replace(':', '-')}",
                headers={"Accept": "application/vnd.oci.image.index.v1+json"})) as answer:
            listed = json.loads(answer.read())["manifests"]
        self.assertEqual([(one["artifactType"], one["annotations"]) for one in listed],
                         [("a/0", {"number": "0"}), ("a/1", {"number": "1"})])
        self.assertEqual(listed[1]["digest"], digest_of(artifact.encode()))
