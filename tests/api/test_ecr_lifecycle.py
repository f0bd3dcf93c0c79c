# SPDX-License-Identifier: MIT
"""Lifecycle policies: kept, refused where AWS refuses them, and previewed; garbage collected by hand."""
import json
import os
import pathlib
import subprocess
import time

import harness
from test_ecr import OCI_INDEX, OCI_MANIFEST, Case, digest_of


def rule(priority, count=1, action=None, **selection):
    return {"rulePriority": priority, "action": action or {"type": "expire"},
            "selection": {"countType": "imageCountMoreThan", "countNumber": count, **selection}}


def policy(*rules):
    return json.dumps({"rules": list(rules)}, indent=4)


class Lifecycle(Case):
    def setUp(self):
        super().setUp()
        self.name = self.repository()["repositoryName"]
        self.members = {"repositoryName": self.name}

    def test_put_get_delete(self):
        text = policy(rule(1, tagStatus="any"))
        message = self.refused("LifecyclePolicyNotFoundException", self.ecr.get_lifecycle_policy, **self.members)
        self.assertEqual(message, f"Lifecycle policy does not exist for the repository with name '{self.name}' in the "
                                  "registry with id '000000000000'")
        put = self.ecr.put_lifecycle_policy(lifecyclePolicyText=text, **self.members)
        self.assertEqual((put["registryId"], put["repositoryName"], put["lifecyclePolicyText"]),
                         ("000000000000", self.name, text))
        self.assertEqual(self.ecr.get_lifecycle_policy(**self.members)["lifecyclePolicyText"], text)
        self.assertEqual(self.ecr.delete_lifecycle_policy(**self.members)["lifecyclePolicyText"], text)
        self.refused("LifecyclePolicyNotFoundException", self.ecr.delete_lifecycle_policy, **self.members)
        self.refused("RepositoryNotFoundException", self.ecr.put_lifecycle_policy, repositoryName="none",
                     lifecyclePolicyText=text)

    def test_what_is_refused(self):
        for rules in ([], [rule(0, tagStatus="any")], [rule(1, tagStatus="tagged")],
                      [rule(1, tagStatus="any"), rule(2, tagStatus="untagged")],
                      [rule(1, tagStatus="any", countUnit="days")],
                      [rule(1, tagStatus="any", action={"type": "transition", "targetStorageClass": "tape"})],
                      [rule(1, tagStatus="any", storageClass="archive", countType="sinceImageTransitioned", countUnit="days",
                            countNumber=89)]):
            message = self.refused("InvalidParameterException", self.ecr.put_lifecycle_policy,
                                   lifecyclePolicyText=policy(*rules).ljust(100), **self.members)
            self.assertIn("Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy "
                          "validation failure", message)

    def test_preview(self):
        self.refused("LifecyclePolicyPreviewNotFoundException", self.ecr.get_lifecycle_policy_preview, **self.members)
        self.refused("LifecyclePolicyNotFoundException", self.ecr.start_lifecycle_policy_preview, **self.members)
        digests = [self.push(self.name, f"prod-{i}", f"content {i}") for i in range(4)]
        untagged = self.push(self.name, "moving", "first")
        self.push(self.name, "moving", "second")
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": digests[0], "size": len(self.manifest(self.name, "content 0"))}]})
        self.ecr.put_image(imageTag="all", imageManifest=index, **self.members)
        text = policy(rule(1, tagStatus="tagged", tagPatternList=["prod-*"]), rule(7, 99, tagStatus="untagged"))
        started = self.ecr.start_lifecycle_policy_preview(lifecyclePolicyText=text, **self.members)
        self.assertEqual((started["status"], started["lifecyclePolicyText"]), ("IN_PROGRESS", text))
        self.ecr.get_waiter("lifecycle_policy_preview_complete").wait(**self.members)
        preview = self.ecr.get_lifecycle_policy_preview(**self.members)
        self.assertEqual(preview["status"], "COMPLETE")
        self.assertEqual(preview["summary"]["expiringImageTotalCount"], 2)
        # the first one is named by an index
        self.assertEqual([(r["imageDigest"], r["imageTags"], r["action"]["type"], r["appliedRulePriority"])
                          for r in preview["previewResults"]],
                         [(digests[2], ["prod-2"], "EXPIRE", 1), (digests[1], ["prod-1"], "EXPIRE", 1)])
        some = self.ecr.get_lifecycle_policy_preview(imageIds=[{"imageTag": "prod-1"}, {"imageTag": "prod-3"}],
                                                     **self.members)["previewResults"]
        self.assertEqual([r["imageDigest"] for r in some], [digests[1]])
        none = self.ecr.get_lifecycle_policy_preview(filter={"tagStatus": "UNTAGGED"}, **self.members)
        self.assertEqual(none["previewResults"], [])
        first = self.ecr.get_lifecycle_policy_preview(maxResults=1, **self.members)
        second = self.ecr.get_lifecycle_policy_preview(maxResults=1, nextToken=first["nextToken"], **self.members)
        self.assertEqual([r["imageDigest"] for r in first["previewResults"] + second["previewResults"]],
                         [digests[2], digests[1]])
        self.assertNotIn("nextToken", second)
        self.ecr.put_lifecycle_policy(lifecyclePolicyText=policy(rule(3, tagStatus="untagged")), **self.members)
        self.ecr.start_lifecycle_policy_preview(**self.members)
        self.assertEqual(self.ecr.get_lifecycle_policy_preview(**self.members)["previewResults"], [])
        self.push(self.name, "moving", "third")
        self.ecr.start_lifecycle_policy_preview(**self.members)
        self.assertEqual([r["imageDigest"] for r in self.ecr.get_lifecycle_policy_preview(**self.members)[
            "previewResults"]], [untagged])
        self.assertEqual(len(self.ecr.describe_images(**self.members)["imageDetails"]), 8)  # nothing has gone


class Garbage(Case):
    def gc(self, *options):
        done = subprocess.run([str(harness.BINARY), "registry", "gc", "--output", "json", *options], check=True,
                              stdout=subprocess.PIPE)
        return json.loads(done.stdout)

    @staticmethod
    def file(digest):
        return pathlib.Path(os.environ["NARU_DATA_DIR"]) / "blobs/sha256" / digest[7:9] / digest[7:]

    def test_by_hand(self):
        name = self.repository()["repositoryName"]
        kept = self.push(name, "v2", "kept")
        gone = self.push(name, "v1", "gone " * 1000)
        self.ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=policy(
            rule(1, tagStatus="tagged", tagPrefixList=["v1"], countType="sinceImagePushed", countUnit="days"),
            rule(2, 5, tagStatus="any")))
        self.ecr.batch_delete_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
        before = self.gc("--dry-run")
        hours_ago = time.time() - 2 * 3600
        for digest in (gone, digest_of(b"gone " * 1000), kept):
            os.utime(self.file(digest), (hours_ago, hours_ago))
        plan = self.gc("--dry-run")
        self.assertEqual((plan["dryRun"], plan["blobsRemoved"] - before["blobsRemoved"]), (True, 2))
        self.assertTrue(self.file(gone).exists())
        done = self.gc("--lifecycle")
        self.assertEqual((done["dryRun"], done["blobsRemoved"], done["bytesRemoved"]),
                         (False, plan["blobsRemoved"], plan["bytesRemoved"]))
        self.assertFalse(self.file(gone).exists())
        self.assertTrue(self.file(kept).exists())
        self.assertIn("lastEvaluatedAt", self.ecr.get_lifecycle_policy(repositoryName=name))
        text = subprocess.run([str(harness.BINARY), "registry", "gc", "--dry-run"], check=True, stdout=subprocess.PIPE)
        self.assertIn(b"would go", text.stdout)
        both = subprocess.run([str(harness.BINARY), "registry", "gc", "--dry-run", "--lifecycle"],
                              stderr=subprocess.PIPE, check=False)
        self.assertNotEqual(both.returncode, 0)
        self.assertIn(b"preview", both.stderr)
