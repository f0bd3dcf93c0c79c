# SPDX-License-Identifier: MIT
"""Image scanning through boto3, the real CLI and `naru registry`: from a push to findings."""
import gzip
import io
import json
import os
import subprocess
import tarfile
import tempfile

import harness
from test_ecr import Case, client, digest_of

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
MEDIUM = "CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:N/I:N/A:H"


def record(number, ecosystem, package, fixed, vector):
    return {"id": f"TEST-{number}", "aliases": [f"CVE-2099-{number:04}"], "modified": "2099-01-02T03:04:05Z",
            "summary": f"{package} goes wrong", "severity": [{"type": "CVSS_V3", "score": vector}],
            "references": [{"type": "ADVISORY", "url": f"https://example.com/{number}"}],
            "affected": [{"package": {"ecosystem": ecosystem, "name": package}, "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": fixed}]}]}]}


def layer(files):
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content.encode()))
    return gzip.compress(tar.getvalue(), mtime=0)


OS = 'ID=debian\nVERSION_ID="12"\n'
STATUS = "Package: libcurl4\nStatus: install ok installed\nSource: curl\nVersion: 7.88.1-10\n"
LOCK = json.dumps({"packages": {"node_modules/left-pad": {"version": "1.0.0"}}})


class Scan(Case):
    def setUp(self):
        super().setUp()
        self.data_dir = os.environ["NARU_DATA_DIR"]

    def naru(self, *words):
        return subprocess.run([str(harness.BINARY), "registry", *words], capture_output=True, text=True, timeout=120)

    def database(self, *records):
        with tempfile.TemporaryDirectory() as folder:
            for one in records:
                with open(f"{folder}/{one['id']}.json", "w", encoding="utf-8") as out:
                    json.dump(one, out)
            done = self.naru("osv", "import", folder, "--data-dir", self.data_dir)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"{len(records)} records", done.stdout)

    def blob(self, name, data):
        upload = self.ecr.initiate_layer_upload(repositoryName=name)["uploadId"]
        self.ecr.upload_layer_part(repositoryName=name, uploadId=upload, partFirstByte=0,
                                   partLastByte=len(data) - 1, layerPartBlob=data)
        try:
            self.ecr.complete_layer_upload(repositoryName=name, uploadId=upload, layerDigests=[digest_of(data)])
        except self.ecr.exceptions.LayerAlreadyExistsException:
            pass  # of the image before

    def push(self, name, tag, *layers):
        config = json.dumps({"tag": tag}).encode()
        self.blob(name, config)
        for one in layers:
            self.blob(name, one)
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST,
                    "config": {"mediaType": CONFIG, "size": len(config), "digest": digest_of(config)},
                    "layers": [{"mediaType": LAYER, "size": len(one), "digest": digest_of(one)} for one in layers]}
        return self.ecr.put_image(repositoryName=name, imageManifest=json.dumps(manifest),
                                  imageTag=tag)["image"]["imageId"]

    def waited(self, name, tag):
        """The CLI's own waiter, then all pages."""
        done = subprocess.run(["aws", "ecr", "wait", "image-scan-complete", "--repository-name", name, "--image-id",
                               f"imageTag={tag}"], capture_output=True, text=True, timeout=120)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.ecr.describe_image_scan_findings(repositoryName=name, imageId={"imageTag": tag})

    def test_from_push_to_findings(self):
        self.database(record(1, "Debian:12", "curl", "7.88.1-11", CRITICAL),
                      record(2, "npm", "left-pad", "1.3.0", MEDIUM), record(3, "npm", "other", "9.0.0", CRITICAL))
        name = self.repository(imageScanningConfiguration={"scanOnPush": True})["repositoryName"]
        files = layer({"etc/os-release": OS, "var/lib/dpkg/status": STATUS, "app/package-lock.json": LOCK})
        self.push(name, "v1", files)
        found = self.waited(name, "v1")
        self.assertEqual(found["imageScanStatus"]["status"], "COMPLETE")
        findings = found["imageScanFindings"]
        self.assertEqual(findings["findingSeverityCounts"], {"CRITICAL": 1, "MEDIUM": 1})
        self.assertEqual(findings["vulnerabilitySourceUpdatedAt"].year, 2099)
        self.assertEqual([(f["name"], f["severity"]) for f in findings["findings"]],
                         [("CVE-2099-0001", "CRITICAL"), ("CVE-2099-0002", "MEDIUM")])
        attributes = {a["key"]: a["value"] for a in findings["findings"][0]["attributes"]}
        self.assertEqual((attributes["package_name"], attributes["package_version"], attributes["fixed_version"],
                          attributes["CVSS3_SCORE"]), ("libcurl4", "7.88.1-10", "7.88.1-11", "9.8"))
        pages = list(self.ecr.get_paginator("describe_image_scan_findings").paginate(
            repositoryName=name, imageId={"imageTag": "v1"}, PaginationConfig={"PageSize": 1}))
        self.assertEqual([p["imageScanFindings"]["findings"][0]["name"] for p in pages],
                         ["CVE-2099-0001", "CVE-2099-0002"])
        detail = self.ecr.describe_images(repositoryName=name)["imageDetails"][0]
        self.assertEqual(detail["imageScanStatus"]["status"], "COMPLETE")
        self.assertEqual(detail["imageScanFindingsSummary"]["findingSeverityCounts"]["CRITICAL"], 1)
        # The package is gone in the layer above; the lock file stays.
        self.push(name, "v2", files, layer({"var/lib/dpkg/.wh.status": ""}))
        self.assertEqual(self.waited(name, "v2")["imageScanFindings"]["findingSeverityCounts"], {"MEDIUM": 1})

    def test_the_command_line(self):
        self.database(record(2, "npm", "left-pad", "1.3.0", MEDIUM))
        name = self.repository()["repositoryName"]
        self.push(name, "v1", layer({"app/package-lock.json": LOCK}))
        done = self.naru("scan", f"{self.registry}/{name}:v1")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"MEDIUM +CVE-2099-0002 +left-pad +1\.0\.0 +1\.3\.0")
        self.assertEqual(self.naru("scan", f"{name}:v1", "--fail-on", "HIGH").returncode, 0)
        self.assertEqual(self.naru("scan", f"{name}:v1", "--fail-on", "medium").returncode, 3)
        told = json.loads(self.naru("scan", f"{name}:v1", "--output", "json").stdout)
        self.assertEqual(len(told["imageScanFindings"]["findings"]), 1)
        self.push(name, "none", layer({"hello": "world"}))
        none = self.naru("scan", f"{name}:none")
        self.assertEqual(none.returncode, 1)
        self.assertIn("UnsupportedImageError", none.stderr)

    def test_what_is_not_scanned_and_what_is_no_image(self):
        name = self.repository()["repositoryName"]
        self.push(name, "v1", layer({"a": "b"}))
        self.refused("ScanNotFoundException", self.ecr.describe_image_scan_findings, repositoryName=name,
                     imageId={"imageTag": "v1"})
        self.refused("ImageNotFoundException", self.ecr.start_image_scan, repositoryName=name,
                     imageId={"imageTag": "v9"})
        self.refused("RepositoryNotFoundException", self.ecr.start_image_scan, repositoryName="no/such",
                     imageId={"imageTag": "v1"})

    def test_when_pushes_are_scanned(self):
        name = self.repository()["repositoryName"]
        region = client(region="eu-west-3")
        said = self.ecr.put_image_scanning_configuration(repositoryName=name,
                                                         imageScanningConfiguration={"scanOnPush": True})
        self.assertTrue(said["imageScanningConfiguration"]["scanOnPush"])
        self.assertTrue(self.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
                        ["imageScanningConfiguration"]["scanOnPush"])
        other = self.repository(ecr=region, name="prod/web")["repositoryName"]
        rules = [{"scanFrequency": "SCAN_ON_PUSH", "repositoryFilters": [{"filter": "prod/*", "filterType": "WILDCARD"}]}]
        region.put_registry_scanning_configuration(scanType="BASIC", rules=rules)
        self.addCleanup(region.put_registry_scanning_configuration, scanType="BASIC", rules=[])
        self.assertEqual(region.get_registry_scanning_configuration()["scanningConfiguration"],
                         {"scanType": "BASIC", "rules": rules})
        self.assertEqual(self.ecr.get_registry_scanning_configuration()["scanningConfiguration"]["rules"], [])
        batch = region.batch_get_repository_scanning_configuration(repositoryNames=[other, "no/such"])
        self.assertEqual(batch["scanningConfigurations"][0]["scanFrequency"], "SCAN_ON_PUSH")
        self.assertEqual(batch["scanningConfigurations"][0]["appliedScanFilters"], rules[0]["repositoryFilters"])
        self.assertEqual(batch["failures"][0]["failureCode"], "REPOSITORY_NOT_FOUND")
        self.refused("UnsupportedFeatureException", region.put_registry_scanning_configuration, scanType="ENHANCED")
        rules[0]["scanFrequency"] = "CONTINUOUS_SCAN"
        self.refused("InvalidParameterException", region.put_registry_scanning_configuration, rules=rules)
