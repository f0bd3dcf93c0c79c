# SPDX-License-Identifier: MIT
"""Repositories, images and the registry's front door through boto3, the real CLI, curl-like calls and skopeo."""
import base64
import datetime
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import urllib.error
import urllib.request
import uuid

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.exceptions

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"


def client(region=None):
    return boto3.client("ecr", endpoint_url=os.environ["AWS_ENDPOINT_URL"],
                        region_name=region or os.environ["AWS_DEFAULT_REGION"],
                        config=botocore.config.Config(retries={"max_attempts": 0}))


def digest_of(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Case(unittest.TestCase):
    def setUp(self):
        self.ecr = client()
        self.registry = os.environ["ECR_REGISTRY"]

    def refused(self, code, call, **members):
        with self.assertRaises(botocore.exceptions.ClientError) as caught:
            call(**members)
        self.assertEqual(caught.exception.response["Error"]["Code"], code, caught.exception)
        return caught.exception.response["Error"]["Message"]

    def raw(self, operation, **members):
        """A signed call of its own: Debian's boto3 is older than some members and operations."""
        url = os.environ["AWS_ENDPOINT_URL"]
        session = boto3.Session()
        request = botocore.awsrequest.AWSRequest("POST", url, data=json.dumps(members), headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921." + operation})
        botocore.auth.SigV4Auth(session.get_credentials(), "ecr", os.environ["AWS_DEFAULT_REGION"]).add_auth(request)
        call = urllib.request.Request(url, data=request.data.encode(), headers=dict(request.headers), method="POST")
        try:
            with urllib.request.urlopen(call) as answer:
                return json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return json.loads(error.read())

    def repository(self, ecr=None, name=None, **members):
        ecr = ecr or self.ecr
        name = name or "test/" + uuid.uuid4().hex[:8]
        made = ecr.create_repository(repositoryName=name, **members)["repository"]
        self.addCleanup(self.remove, ecr, name)
        return made

    @staticmethod
    def remove(ecr, name):
        try:
            ecr.delete_repository(repositoryName=name, force=True)
        except ecr.exceptions.RepositoryNotFoundException:
            pass

    def authorization(self, ecr=None):
        return (ecr or self.ecr).get_authorization_token()["authorizationData"][0]["authorizationToken"]

    def call(self, method, path, body=None, headers=None):
        request = urllib.request.Request(f"http://{self.registry}{path}", data=body, method=method,
                                         headers={"Authorization": "Basic " + self.authorization(), **(headers or {})})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.headers, error.read()

    def blob(self, repository, data):
        status, _, body = self.call("POST", f"/v2/{repository}/blobs/uploads/?digest={digest_of(data)}", data,
                                    {"Content-Type": "application/octet-stream"})
        self.assertEqual(status, 201, body)
        return digest_of(data)

    def manifest(self, repository, content):
        config = json.dumps({"made": content}).encode()
        layer = content.encode()
        return json.dumps({
            "schemaVersion": 2, "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "size": len(config),
                       "digest": self.blob(repository, config)},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "size": len(layer),
                        "digest": self.blob(repository, layer)}]})

    def push(self, repository, tag, content):
        manifest = self.manifest(repository, content).encode()
        status, _, body = self.call("PUT", f"/v2/{repository}/manifests/{tag}", manifest,
                                    {"Content-Type": OCI_MANIFEST})
        self.assertEqual(status, 201, body)
        return digest_of(manifest)


class Repositories(Case):
    def test_create_describe_delete(self):
        made = self.repository(tags=[{"Key": "team", "Value": "a"}])
        name = made["repositoryName"]
        region, account = os.environ["AWS_DEFAULT_REGION"], os.environ.get("AWS_ACCOUNT_ID", "000000000000")
        self.assertEqual(made["repositoryArn"], f"arn:aws:ecr:{region}:{account}:repository/{name}")
        self.assertEqual(made["repositoryUri"], f"{self.registry}/{name}")
        self.assertEqual(made["registryId"], account)
        self.assertEqual(made["imageTagMutability"], "MUTABLE")
        self.assertEqual(made["encryptionConfiguration"], {"encryptionType": "AES256"})
        self.assertLess(abs((datetime.datetime.now(datetime.timezone.utc) - made["createdAt"]).total_seconds()), 60)
        self.assertEqual(self.ecr.describe_repositories(repositoryNames=[name])["repositories"], [made])
        message = self.refused("RepositoryAlreadyExistsException", self.ecr.create_repository, repositoryName=name)
        self.assertEqual(message,
                         f"The repository with name '{name}' already exists in the registry with id '{account}'")
        self.assertEqual(self.ecr.delete_repository(repositoryName=name)["repository"], made)
        message = self.refused("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=[name])
        self.assertEqual(message,
                         f"The repository with name '{name}' does not exist in the registry with id '{account}'")
        self.refused("RepositoryNotFoundException", self.ecr.delete_repository, repositoryName=name)

    def test_bad_input_is_refused(self):
        for name in ("UPPER", "a//b", "-ab", "ab-", "a..b", "../etc"):
            self.refused("InvalidParameterException", self.ecr.create_repository, repositoryName=name)
        self.refused("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=["none"],
                     registryId="123456789012")
        self.refused("UnsupportedFeatureException", self.ecr.create_repository, repositoryName="secret",
                     encryptionConfiguration={"encryptionType": "KMS"})
        self.refused("InvalidTagParameterException", self.ecr.create_repository, repositoryName="tagged",
                     tags=[{"Key": "aws:x", "Value": "1"}])
        self.refused("TooManyTagsException", self.ecr.create_repository, repositoryName="tagged",
                     tags=[{"Key": f"k{i}", "Value": ""} for i in range(51)])
        self.refused("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=["tagged"])

    def test_pages(self):
        names = sorted(self.repository(name=f"page/{uuid.uuid4().hex[:8]}")["repositoryName"] for _ in range(5))
        pages = list(self.ecr.get_paginator("describe_repositories").paginate(PaginationConfig={"PageSize": 2}))
        self.assertTrue(all(len(p["repositories"]) <= 2 for p in pages))
        found = [r["repositoryName"] for p in pages for r in p["repositories"]]
        self.assertEqual(found, sorted(found))
        self.assertEqual([n for n in found if n in names], names)
        self.refused("InvalidParameterException", self.ecr.describe_repositories, nextToken="nonsense")
        self.refused("InvalidParameterException", self.ecr.describe_repositories, maxResults=1001)

    def test_tags(self):
        made = self.repository(tags=[{"Key": "a", "Value": "1"}])
        arn = made["repositoryArn"]
        self.ecr.tag_resource(resourceArn=arn, tags=[{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "3"}])
        tags = {t["Key"]: t["Value"] for t in self.ecr.list_tags_for_resource(resourceArn=arn)["tags"]}
        self.assertEqual(tags, {"a": "3", "b": "2"})
        self.ecr.untag_resource(resourceArn=arn, tagKeys=["a", "none"])
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=arn)["tags"], [{"Key": "b", "Value": "2"}])
        self.refused("InvalidParameterException", self.ecr.list_tags_for_resource, resourceArn="nonsense")
        self.refused("RepositoryNotFoundException", self.ecr.list_tags_for_resource, resourceArn=arn + "x")

    def test_regions_are_apart(self):
        far = client("us-east-1")
        made = self.repository(far, "far-away")
        self.assertTrue(made["repositoryUri"].endswith(".dkr.ecr.us-east-1.amazonaws.com/far-away"))
        self.refused("RepositoryNotFoundException", self.ecr.describe_repositories, repositoryNames=["far-away"])
        path = made["repositoryUri"].split("/", 1)[1]
        digest = self.push(path, "v1", "far")
        self.assertEqual(far.list_images(repositoryName="far-away")["imageIds"],
                         [{"imageDigest": digest, "imageTag": "v1"}])

    def test_what_is_not_built_says_so(self):
        self.assertIn("PutSigningConfiguration", self.raw("PutSigningConfiguration")["message"])


class Images(Case):
    def setUp(self):
        super().setUp()
        self.name = self.repository()["repositoryName"]

    def change_class(self, target, **image_id):
        return self.raw("UpdateImageStorageClass", repositoryName=self.name, imageId=image_id, targetStorageClass=target)

    def statuses(self, operation, member, **filters):
        images = self.raw(operation, repositoryName=self.name, **({"filter": filters} if filters else {}))[member]
        return sorted(i["imageDigest"] for i in images)

    def test_archive_and_restore(self):
        one, two = self.push(self.name, "v1", "one"), self.push(self.name, "v2", "two")
        answer = self.change_class("ARCHIVE", imageTag="v1")
        self.assertEqual(answer["imageStatus"], "ARCHIVED")
        self.assertEqual(answer["imageId"], {"imageDigest": one, "imageTag": "v1"})
        self.assertEqual((answer["repositoryName"], len(answer["registryId"])), (self.name, 12))
        for operation, member in (("ListImages", "imageIds"), ("DescribeImages", "imageDetails")):
            self.assertEqual(self.statuses(operation, member), [two])
            self.assertEqual(self.statuses(operation, member, imageStatus="ACTIVE"), [two])
            self.assertEqual(self.statuses(operation, member, imageStatus="ARCHIVED"), [one])
            self.assertEqual(self.statuses(operation, member, imageStatus="ACTIVATING"), [])
            self.assertEqual(self.statuses(operation, member, imageStatus="ANY"), sorted([one, two]))
        image = self.raw("DescribeImages", repositoryName=self.name, imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
        self.assertEqual(image["imageStatus"], "ARCHIVED")
        self.assertGreaterEqual(image["lastArchivedAt"], image["imagePushedAt"])
        got = self.raw("BatchGetImage", repositoryName=self.name, imageIds=[{"imageTag": "v1"}, {"imageTag": "v2"}])
        self.assertEqual([i["imageId"]["imageDigest"] for i in got["images"]], [two])
        self.assertEqual(got["failures"][0]["failureCode"], "ImageInaccessible")
        self.assertEqual(self.raw("StartImageScan", repositoryName=self.name, imageId={"imageTag": "v1"})["__type"],
                         "ImageArchivedException")
        self.assertEqual(self.change_class("STANDARD", imageDigest=one)["imageStatus"], "ACTIVE")
        image = self.ecr.describe_images(repositoryName=self.name, imageIds=[{"imageTag": "v1"}])["imageDetails"][0]
        self.assertEqual(self.statuses("ListImages", "imageIds"), sorted([one, two]))
        self.assertEqual(self.change_class("ARCHIVE", imageTag="v9")["__type"], "ImageNotFoundException")
        self.assertEqual(self.change_class("TAPE", imageTag="v1")["__type"], "InvalidParameterException")

    def test_a_preview_tells_what_goes_into_the_archive(self):
        self.push(self.name, "v1", "one")
        two = self.push(self.name, "v2", "two")
        self.push(self.name, "v3", "three")
        self.change_class("ARCHIVE", imageTag="v1")
        rules = [{"rulePriority": 1, "selection": {"tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1},
                  "action": {"type": "transition", "targetStorageClass": "archive"}},
                 {"rulePriority": 2, "selection": {"tagStatus": "any", "storageClass": "archive", "countUnit": "days",
                                                   "countType": "sinceImageTransitioned", "countNumber": 90},
                  "action": {"type": "expire"}}]
        self.ecr.put_lifecycle_policy(repositoryName=self.name, lifecyclePolicyText=json.dumps({"rules": rules}))
        self.ecr.start_lifecycle_policy_preview(repositoryName=self.name)
        preview = self.raw("GetLifecyclePolicyPreview", repositoryName=self.name)
        self.assertEqual(preview["summary"], {"expiringImageTotalCount": 0, "transitioningImageTotalCounts": [
            {"targetStorageClass": "ARCHIVE", "imageTotalCount": 1}]})
        result = preview["previewResults"][0]
        self.assertEqual((result["imageDigest"], result["action"], result["storageClass"], result["appliedRulePriority"]),
                         (two, {"type": "TRANSITION", "targetStorageClass": "ARCHIVE"}, "STANDARD", 1))

    def test_list_and_describe(self):
        one = self.push(self.name, "v1", "one")
        two = self.push(self.name, "v2", "two")
        self.push(self.name, "latest", "two")
        ids = self.ecr.list_images(repositoryName=self.name)["imageIds"]
        self.assertEqual(sorted((i["imageTag"], i["imageDigest"]) for i in ids),
                         [("latest", two), ("v1", one), ("v2", two)])
        details = self.ecr.describe_images(repositoryName=self.name)["imageDetails"]
        self.assertEqual([d["imageDigest"] for d in details], [one, two])
        self.assertEqual(details[1]["imageTags"], ["latest", "v2"])
        self.assertEqual(details[0]["imageManifestMediaType"], OCI_MANIFEST)
        self.assertEqual(details[0]["imageSizeInBytes"], len('{"made": "one"}') + len("one"))
        some = self.ecr.describe_images(repositoryName=self.name, imageIds=[
            {"imageTag": "v2"}, {"imageTag": "latest"}, {"imageDigest": one}])["imageDetails"]
        self.assertEqual([d["imageDigest"] for d in some], [two, one])
        message = self.refused("ImageNotFoundException", self.ecr.describe_images, repositoryName=self.name,
                               imageIds=[{"imageTag": "none"}])
        self.assertEqual(message, "The image with imageId {imageDigest:'null', imageTag:'none'} does not exist within "
                                  f"the repository with name '{self.name}' in the registry with id '000000000000'")
        self.push(self.name, "v1", "three")
        untagged = self.ecr.list_images(repositoryName=self.name, filter={"tagStatus": "UNTAGGED"})["imageIds"]
        self.assertEqual(untagged, [{"imageDigest": one}])
        tagged = self.ecr.describe_images(repositoryName=self.name, filter={"tagStatus": "TAGGED"})["imageDetails"]
        self.assertEqual(len(tagged), 2)
        pages = list(self.ecr.get_paginator("list_images").paginate(repositoryName=self.name,
                                                                    PaginationConfig={"PageSize": 1}))
        self.assertEqual(len([i for p in pages for i in p["imageIds"]]), 4)

    def test_batch_get(self):
        digest = self.push(self.name, "v1", "one")
        answer = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[
            {"imageTag": "v1"}, {"imageTag": "none"}, {"imageDigest": "sha256:12"}, {},
            {"imageTag": "v1", "imageDigest": digest_of(b"other")}])
        image = answer["images"][0]
        self.assertEqual(digest_of(image["imageManifest"].encode()), digest)
        self.assertEqual(image["imageId"], {"imageDigest": digest, "imageTag": "v1"})
        self.assertEqual([f["failureCode"] for f in answer["failures"]],
                         ["ImageNotFound", "InvalidImageDigest", "MissingDigestAndTag", "ImageTagDoesNotMatchDigest"])

    def test_put_image_moves_a_tag(self):
        digest = self.push(self.name, "v1", "one")
        manifest = self.ecr.batch_get_image(repositoryName=self.name, imageIds=[{"imageTag": "v1"}])["images"][0]
        put = self.ecr.put_image(repositoryName=self.name, imageTag="stable",
                                 imageManifest=manifest["imageManifest"])["image"]
        self.assertEqual(put["imageId"], {"imageDigest": digest, "imageTag": "stable"})
        self.refused("ImageAlreadyExistsException", self.ecr.put_image, repositoryName=self.name, imageTag="stable",
                     imageManifest=manifest["imageManifest"])
        self.refused("InvalidParameterException", self.ecr.put_image, repositoryName=self.name, imageTag="x",
                     imageManifest="{")
        self.refused("ImageDigestDoesNotMatchException", self.ecr.put_image, repositoryName=self.name, imageTag="x",
                     imageManifest=manifest["imageManifest"], imageDigest=digest_of(b"other"))
        absent = json.loads(manifest["imageManifest"])
        absent["layers"][0]["digest"] = digest_of(b"absent")
        self.refused("LayersNotFoundException", self.ecr.put_image, repositoryName=self.name, imageTag="x",
                     imageManifest=json.dumps(absent))
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": digest_of(b"absent"), "size": 6}]})
        self.refused("ReferencedImagesNotFoundException", self.ecr.put_image, repositoryName=self.name, imageTag="x",
                     imageManifest=index)
        self.assertEqual(len(self.ecr.list_images(repositoryName=self.name)["imageIds"]), 2)

    def test_batch_delete(self):
        one = self.push(self.name, "v1", "one")
        self.push(self.name, "also", "one")
        self.refused("RepositoryNotEmptyException", self.ecr.delete_repository, repositoryName=self.name)
        answer = self.ecr.batch_delete_image(repositoryName=self.name,
                                             imageIds=[{"imageTag": "v1"}, {"imageTag": "none"}])
        self.assertEqual(answer["imageIds"], [{"imageDigest": one, "imageTag": "v1"}])
        self.assertEqual(answer["failures"][0]["failureCode"], "ImageNotFound")
        answer = self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[{"imageDigest": one}])
        self.assertEqual(answer["imageIds"], [{"imageDigest": one, "imageTag": "also"}])
        self.assertEqual(self.ecr.list_images(repositoryName=self.name)["imageIds"], [])
        self.assertEqual(self.call("GET", f"/v2/{self.name}/manifests/{one}")[0], 404)

    def test_an_image_of_an_index_stays(self):
        one = self.push(self.name, "v1", "one")
        size = len(self.manifest(self.name, "one"))
        index = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [
            {"mediaType": OCI_MANIFEST, "digest": one, "size": size}]})
        self.ecr.put_image(repositoryName=self.name, imageTag="all", imageManifest=index)
        answer = self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[{"imageDigest": one}])
        self.assertEqual(answer["failures"][0]["failureCode"], "ImageReferencedByManifestList")
        self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[{"imageTag": "all"}])
        answer = self.ecr.batch_delete_image(repositoryName=self.name, imageIds=[{"imageDigest": one}])
        self.assertEqual(answer["failures"], [])

    def test_immutable_tags(self):
        self.push(self.name, "v1", "one")
        self.ecr.put_image_tag_mutability(repositoryName=self.name, imageTagMutability="IMMUTABLE")
        other = self.manifest(self.name, "two")
        self.refused("ImageTagAlreadyExistsException", self.ecr.put_image, repositoryName=self.name, imageTag="v1",
                     imageManifest=other)
        status, _, body = self.call("PUT", f"/v2/{self.name}/manifests/v1", other.encode(),
                                    {"Content-Type": OCI_MANIFEST})
        self.assertEqual((status, json.loads(body)["errors"][0]["code"]), (400, "TAG_INVALID"))


    def test_tags_that_are_excepted(self):
        first, other = self.push(self.name, "v1", "one"), self.manifest(self.name, "two")

        def moves(tag):
            if tag != "v1":
                self.push(self.name, tag, "one")
            try:
                self.ecr.put_image(repositoryName=self.name, imageTag=tag, imageManifest=other)
                return True
            except self.ecr.exceptions.ImageTagAlreadyExistsException:
                return False

        def mutability(kind, *filters):
            return self.raw("PutImageTagMutability", repositoryName=self.name, imageTagMutability=kind,
                            **({"imageTagMutabilityExclusionFilters": [
                                {"filterType": "WILDCARD", "filter": f} for f in filters]} if filters else {}))

        answer = mutability("IMMUTABLE_WITH_EXCLUSION", "latest", "dev-*-x")
        self.assertEqual(answer["imageTagMutabilityExclusionFilters"][1]["filter"], "dev-*-x")
        self.assertEqual([moves(t) for t in ("v1", "latest", "dev-1-x", "dev-1-y")], [False, True, True, False])
        described = self.raw("DescribeRepositories", repositoryNames=[self.name])["repositories"][0]
        self.assertEqual((described["imageTagMutability"], len(described["imageTagMutabilityExclusionFilters"])),
                         ("IMMUTABLE_WITH_EXCLUSION", 2))
        mutability("MUTABLE_WITH_EXCLUSION", "v*")
        self.assertEqual([moves(t) for t in ("v1", "v2", "w")], [False, False, True])
        for kind, filters in (("IMMUTABLE", ["a"]), ("MUTABLE_WITH_EXCLUSION", []), ("MUTABLE_WITH_EXCLUSION", ["a*b*c*"]),
                              ("MUTABLE_WITH_EXCLUSION", ["a b"]), ("MUTABLE_WITH_EXCLUSION", ["a"] * 6)):
            self.assertIn("InvalidParameterException", mutability(kind, *filters)["__type"], (kind, filters))
        self.assertEqual(self.raw("PutImageTagMutability", repositoryName=self.name, imageTagMutability="MUTABLE"),
                         {"registryId": "000000000000", "repositoryName": self.name, "imageTagMutability": "MUTABLE"})
        self.assertEqual(self.ecr.describe_images(repositoryName=self.name, imageIds=[{"imageTag": "v1"}])[
            "imageDetails"][0]["imageDigest"], first)

    def test_pulls_are_recorded(self):
        digest = self.push(self.name, "v1", "one")

        def pulled():
            return self.ecr.describe_images(repositoryName=self.name)["imageDetails"][0].get("lastRecordedPullTime")

        self.call("HEAD", f"/v2/{self.name}/manifests/v1")
        self.assertIsNone(pulled())
        self.call("GET", f"/v2/{self.name}/manifests/{digest}")
        since = (datetime.datetime.now(datetime.timezone.utc) - pulled()).total_seconds()
        self.assertTrue(-1 < since < 60, since)


class Login(Case):
    def test_the_token_opens_the_registry(self):
        data = self.ecr.get_authorization_token()["authorizationData"][0]
        self.assertEqual(data["proxyEndpoint"], os.environ["AWS_ENDPOINT_URL"])
        left = (data["expiresAt"] - datetime.datetime.now(datetime.timezone.utc)).total_seconds()
        self.assertTrue(43100 < left <= 43200, left)
        user, password = base64.b64decode(data["authorizationToken"]).decode().split(":", 1)
        self.assertEqual(user, "AWS")
        self.assertEqual(self.call("GET", "/v2/")[0], 200)
        status, headers, _ = self.call("GET", "/v2/", headers={"Authorization": "Bearer " + password + "0"})
        self.assertEqual((status, headers["WWW-Authenticate"]),
                         (401, f'Bearer realm="http://{self.registry}/v2/token",service="{self.registry}"'))
        self.refused("InvalidParameterException", self.ecr.get_authorization_token, registryIds=["123456789012"])

    def test_the_real_cli(self):
        name = self.repository()["repositoryName"]
        digest = self.push(name, "v1", "for the cli")

        def aws(*args):
            return subprocess.run(["/usr/bin/aws", "--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "ecr", *args],
                                  check=True, stdout=subprocess.PIPE, text=True).stdout

        password = aws("get-login-password").strip()
        self.assertEqual(self.call("GET", "/v2/", headers={"Authorization": "Bearer " + password})[0], 200)
        found = json.loads(aws("describe-images", "--repository-name", name))
        self.assertEqual(found["imageDetails"][0]["imageDigest"], digest)
        gone = json.loads(aws("batch-delete-image", "--repository-name", name, "--image-ids", "imageTag=v1"))
        self.assertEqual(gone["imageIds"], [{"imageDigest": digest, "imageTag": "v1"}])

    @unittest.skipUnless(shutil.which("skopeo"), "skopeo is not installed")
    def test_skopeo_copies_there_and_back(self):
        name = self.repository()["repositoryName"]
        self.push(name, "v1", "for skopeo")
        password = base64.b64decode(self.authorization()).decode().split(":", 1)[1]
        credentials = "AWS:" + password

        def skopeo(*args):
            return subprocess.run(["skopeo", "--insecure-policy", *args], check=True, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True).stdout

        with tempfile.TemporaryDirectory() as folder:
            skopeo("copy", "--src-tls-verify=false", "--src-creds", credentials,
                   f"docker://{self.registry}/{name}:v1", f"dir:{folder}/image")
            skopeo("copy", "--dest-tls-verify=false", "--dest-creds", credentials, f"dir:{folder}/image",
                   f"docker://{self.registry}/{name}:copy")
        listed = json.loads(skopeo("list-tags", "--tls-verify=false", "--creds", credentials,
                                   f"docker://{self.registry}/{name}"))
        self.assertEqual(sorted(listed["Tags"]), ["copy", "v1"])
        ids = self.ecr.describe_images(repositoryName=name)["imageDetails"]
        self.assertEqual(len(ids), 1)


if __name__ == "__main__":
    unittest.main()
