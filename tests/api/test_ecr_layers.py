# SPDX-License-Identifier: MIT
"""Layers by ECR's API alone: what docker does over HTTP, part by part, with the errors that ECR has."""
import hashlib
import http.client
import json
import os
import urllib.error
import urllib.parse
import urllib.request

import botocore.exceptions

from test_ecr import OCI_MANIFEST, Case, digest_of

MIB = 1 << 20


class Layers(Case):
    def setUp(self):
        super().setUp()
        self.name = self.repository()["repositoryName"]

    def begin(self):
        return self.ecr.initiate_layer_upload(repositoryName=self.name)

    def part(self, upload, first, data):
        return self.ecr.upload_layer_part(repositoryName=self.name, uploadId=upload, partFirstByte=first,
                                          partLastByte=first + len(data) - 1, layerPartBlob=data)

    def complete(self, upload, *digests):
        return self.ecr.complete_layer_upload(repositoryName=self.name, uploadId=upload, layerDigests=list(digests))

    def layer(self, data):
        upload = self.begin()["uploadId"]
        self.part(upload, 0, data)
        return self.complete(upload, digest_of(data))["layerDigest"]

    def fetch(self, url, method="GET", **headers):
        try:
            with urllib.request.urlopen(urllib.request.Request(url, headers=headers, method=method)) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def test_an_image_pushed_by_the_api_alone(self):
        data = os.urandom(11 * MIB)
        began = self.begin()
        upload, size = began["uploadId"], began["partSize"]
        self.assertEqual(size, 10 * MIB)
        for first in range(0, len(data), size):
            answer = self.part(upload, first, data[first:first + size])
            self.assertEqual(answer["lastByteReceived"], min(first + size, len(data)) - 1)
            self.assertEqual((answer["repositoryName"], answer["uploadId"], answer["registryId"]),
                             (self.name, upload, "000000000000"))
        done = self.complete(upload, digest_of(data))
        self.assertEqual(done["layerDigest"], digest_of(data))
        config = self.layer(b'{"made": "by the API"}')
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 22, "digest": config},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(data),
                        "digest": digest_of(data)}]})
        self.ecr.put_image(repositoryName=self.name, imageManifest=manifest, imageTag="v1")
        status, _, body = self.call("GET", f"/v2/{self.name}/blobs/{digest_of(data)}")
        self.assertEqual((status, digest_of(body)), (200, digest_of(data)))
        self.assertEqual(self.call("GET", f"/v2/{self.name}/manifests/v1")[2].decode(), manifest)

    def test_what_is_wrong_with_a_part(self):
        upload = self.begin()["uploadId"]
        for first in (1, 7 * MIB):
            with self.assertRaises(botocore.exceptions.ClientError) as caught:
                self.part(upload, first, b"x" * 10)
            answer = caught.exception.response
            self.assertEqual((answer["Error"]["Code"], answer["lastValidByteReceived"], answer["uploadId"]),
                             ("InvalidLayerPartException", -1, upload))
        self.part(upload, 0, b"x" * 10)
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            self.part(upload, 0, b"x" * 10)
        self.assertEqual(caught.exception.response["lastValidByteReceived"], 9)
        self.refused("InvalidParameterException", self.ecr.upload_layer_part, repositoryName=self.name,
                     uploadId=upload, partFirstByte=10, partLastByte=10, layerPartBlob=b"two")
        self.refused("InvalidLayerPartException", self.part, upload=upload, first=10, data=b"x" * (20 * MIB + 1))
        self.part(upload, 10, b"y")
        message = self.refused("LayerPartTooSmallException", self.ecr.complete_layer_upload, repositoryName=self.name,
                               uploadId=upload, layerDigests=[digest_of(b"x" * 10 + b"y")])
        self.assertIn("5242880", message)

    def test_what_is_wrong_with_an_upload(self):
        none = "00000000-0000-4000-8000-000000000000"
        for call in (self.ecr.initiate_layer_upload, self.ecr.batch_check_layer_availability):
            members = {} if call == self.ecr.initiate_layer_upload else {"layerDigests": ["x"]}
            self.refused("RepositoryNotFoundException", call, repositoryName="none", **members)
        self.refused("UploadNotFoundException", self.part, upload=none, first=0, data=b"x")
        self.refused("UploadNotFoundException", self.ecr.complete_layer_upload, repositoryName=self.name,
                     uploadId=none, layerDigests=[digest_of(b"x")])
        upload = self.begin()["uploadId"]
        other = self.repository()["repositoryName"]
        self.refused("UploadNotFoundException", self.ecr.complete_layer_upload, repositoryName=other,
                     uploadId=upload, layerDigests=[digest_of(b"x")])
        self.refused("EmptyUploadException", self.ecr.complete_layer_upload, repositoryName=self.name,
                     uploadId=upload, layerDigests=[digest_of(b"")])
        self.part(upload, 0, b"abc")
        self.refused("InvalidLayerException", self.ecr.complete_layer_upload, repositoryName=self.name,
                     uploadId=upload, layerDigests=[digest_of(b"abd")])
        self.refused("UploadNotFoundException", self.part, upload=upload, first=3, data=b"x")
        digest = self.layer(b"abc")
        upload = self.begin()["uploadId"]
        self.part(upload, 0, b"abc")
        message = self.refused("LayerAlreadyExistsException", self.ecr.complete_layer_upload,
                               repositoryName=self.name, uploadId=upload, layerDigests=[digest])
        self.assertIn(digest, message)

    def test_availability(self):
        digest, absent = self.layer(b"abc"), digest_of(b"absent")
        answer = self.ecr.batch_check_layer_availability(repositoryName=self.name,
                                                         layerDigests=[digest, absent, "sha256:12", ""])
        self.assertEqual([(a["layerDigest"], a["layerAvailability"], a.get("layerSize")) for a in answer["layers"]],
                         [(digest, "AVAILABLE", 3), (absent, "UNAVAILABLE", None)])
        self.assertEqual([f["failureCode"] for f in answer["failures"]], ["InvalidLayerDigest", "MissingLayerDigest"])
        other = self.repository()["repositoryName"]
        answer = self.ecr.batch_check_layer_availability(repositoryName=other, layerDigests=[digest])
        self.assertEqual(answer["layers"][0]["layerAvailability"], "UNAVAILABLE")

    def test_download(self):
        data = os.urandom(100000)
        digest = self.layer(data)
        url = self.ecr.get_download_url_for_layer(repositoryName=self.name, layerDigest=digest)["downloadUrl"]
        self.assertTrue(url.startswith(os.environ["AWS_ENDPOINT_URL"]), url)
        self.assertEqual(self.fetch(url), (200, data))
        self.assertEqual(self.fetch(url, Range="bytes=10-19"), (206, data[10:20]))
        self.assertEqual(self.fetch(url, Range="bytes=100000-")[0], 416)
        self.assertEqual(self.fetch(url, method="HEAD"), (200, b""))
        self.assertEqual(self.fetch(url, method="POST")[0], 405)
        other = self.layer(b"other")
        expires = url.split("expires=")[1].split("&")[0]
        for broken in (url.replace(digest, other), url[:-1] + ("0" if url[-1] != "0" else "1"),
                       url.replace(expires, str(int(expires) + 1)), url.split("?")[0],
                       url.replace("repository=", "repository=x"), url.replace("/naru/layers/", "/naru/layers/x/")):
            self.assertEqual(self.fetch(broken)[0], 403, broken)
        self.refused("LayersNotFoundException", self.ecr.get_download_url_for_layer, repositoryName=self.name,
                     layerDigest=digest_of(b"absent"))
        self.refused("InvalidParameterException", self.ecr.get_download_url_for_layer, repositoryName=self.name,
                     layerDigest="x")
        self.call("DELETE", f"/v2/{self.name}/blobs/{digest}")
        self.assertEqual(self.fetch(url)[0], 404)

    def test_large_manifest(self):
        config = self.layer(hashlib.sha256(os.urandom(8)).hexdigest().encode())
        manifest = json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": 64, "digest": config},
            "layers": [], "annotations": {"padding": "x" * (3 * MIB)}})
        put = self.ecr.put_image(repositoryName=self.name, imageManifest=manifest, imageTag="large")["image"]
        self.assertEqual(put["imageId"]["imageDigest"], digest_of(manifest.encode()))

    def test_a_large_body_is_taken_only_from_who_names_a_key(self):
        """It is read before its signature can be looked at: nobody may fill the memory with such."""
        for key, status in ((os.environ["AWS_ACCESS_KEY_ID"], 400), ("AKIANOBODY", 413)):
            scope = f"Credential={key}/20260101/eu-west-1/ecr/aws4_request, SignedHeaders=host, Signature={'0' * 64}"
            body = b" " * (2 * MIB if status == 400 else 0)
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc, timeout=20)
            self.addCleanup(connection.close)
            connection.putrequest("POST", "/")
            for name, value in (("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921.UploadLayerPart"), ("Content-Length", str(2 * MIB)),
                                ("Authorization", "AWS4-HMAC-SHA256 " + scope), ("Content-Type", "application/x-amz-json-1.1")):
                connection.putheader(name, value)
            connection.endheaders(body)
            with self.subTest(key):
                self.assertEqual(connection.getresponse().status, status)
