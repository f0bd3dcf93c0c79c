# SPDX-License-Identifier: MIT
"""Each error that an operation of ECR has in AWS's model happens here, or has a reason why it cannot; and each operation refuses,
by InvalidParameterException, each value that the model does not take: nothing changes, and nothing is an error of ours."""
import base64
import http.client
import json
import os
import pathlib
import uuid

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.loaders

import harness
import test_ecr
from test_ecr import OCI_MANIFEST, digest_of

MODEL = botocore.loaders.Loader().load_service_model("ecr", "service-2")
OURS = json.loads((pathlib.Path(__file__).resolve().parents[2] / "src/api/models/ecr.json").read_text())
NONE = "no/such"
DIGEST = "sha256:" + "0" * 64
UPLOAD = "00000000-0000-0000-0000-000000000000"
EVERYWHERE = {"ServerException", "InvalidParameterException"}
# What operations newer than Debian's model have, and what it does not know of the older ones.
NEWER = {
    "CreatePullThroughCacheRule": ["SecretNotFound"],
    "CreateRepositoryCreationTemplate": ["TemplateAlreadyExists", "LimitExceeded"],
    "DeleteRepositoryCreationTemplate": ["TemplateNotFound"],
    "UpdateRepositoryCreationTemplate": ["TemplateNotFound"],
    "DeregisterPullTimeUpdateExclusion": ["ExclusionNotFound"],
    "RegisterPullTimeUpdateExclusion": ["ExclusionAlreadyExists", "LimitExceeded"],
    "ListImageReferrers": ["RepositoryNotFound"],
    "DescribeReplicationBackfillResults": ["ReplicationBackfillNotFound"],
    "StartReplicationBackfill": ["ReplicationBackfillInProgress", "LimitExceeded"],
    "StopReplicationBackfill": ["ReplicationBackfillNotFound", "ReplicationBackfillInvalidStatus"],
    "UpdatePullThroughCacheRule": ["PullThroughCacheRuleNotFound", "SecretNotFound"],
    "UpdateImageStorageClass": ["RepositoryNotFound", "ImageNotFound"],
    "ValidatePullThroughCacheRule": ["PullThroughCacheRuleNotFound"],
}
NOT_HERE = {
    "*": {"KmsException": "there is no KMS", "ValidationException": "InvalidParameterException says it"},
    "CreateRepository": {"LimitExceededException": "repositories have no limit"},
    "CreatePullThroughCacheRule": {"LimitExceededException": "fifty rules: test_ecr_cache"},
    "GetDownloadUrlForLayer": {"LayerInaccessibleException": "a layer of the registry can be read"},
    "PutImage": {"LimitExceededException": "images have no limit"},
    "StartImageScan": {"LimitExceededException": "a thousand scans wait: test_registry_scan.c"},
    "UploadLayerPart": {"LimitExceededException": "parts have no limit but the layer's"},
    "StartLifecyclePolicyPreview": {"LifecyclePolicyPreviewInProgressException": "a preview is there at once"},
    "UntagResource": {"InvalidTagParameterException": "keys are only taken away", "TooManyTagsException": "so are they"},
    "CreateRepositoryCreationTemplate": {"LimitExceededException": "a hundred templates: test_ecr_template"},
    "RegisterPullTimeUpdateExclusion": {"LimitExceededException": "a hundred exclusions: test_ecr_template"},
}


def wanted():
    """(operation, error) of all that can happen here."""
    pairs = {(name, error["shape"]) for name, operation in MODEL["operations"].items()
             for error in operation.get("errors", [])}
    pairs |= {(name, error + "Exception") for name, errors in NEWER.items() for error in errors}
    return {(name, error) for name, error in pairs
            if error not in EVERYWHERE and error not in NOT_HERE["*"] and error not in NOT_HERE.get(name, {})}


class Case(test_ecr.Case):
    def setUp(self):
        super().setUp()
        self.signer = botocore.auth.SigV4Auth(boto3.Session().get_credentials(), "ecr", os.environ["AWS_DEFAULT_REGION"])
        self.url = os.environ["AWS_ENDPOINT_URL"]
        self.connection = http.client.HTTPConnection(self.url.split("/")[2])
        self.addCleanup(self.connection.close)

    def raw(self, operation, **members):
        """With one connection: it is asked a thousand times."""
        request = botocore.awsrequest.AWSRequest("POST", self.url + "/", data=json.dumps(members), headers={
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "AmazonEC2ContainerRegistry_V20150921." + operation})
        self.signer.add_auth(request)
        self.connection.request("POST", "/", request.data.encode(), dict(request.headers))
        return json.loads(self.connection.getresponse().read())

    def works(self, operation, **members):
        answer = self.raw(operation, **members)
        self.assertNotIn("__type", answer, (operation, members))
        return answer


class Errors(Case):
    def setUp(self):
        super().setUp()
        self.seen = set()
        self.name = self.repository()["repositoryName"]

    def fails(self, error, operation, **members):
        answer = self.raw(operation, **members)
        self.assertEqual(answer.get("__type"), error + "Exception", (operation, members, answer))
        self.assertGreater(len(answer["message"]), 10, answer)
        self.seen.add((operation, error + "Exception"))

    def test_each_error_of_the_model(self):
        self.of_no_repository()
        self.of_images()
        self.of_layers()
        self.of_tags()
        self.of_policies()
        self.of_rules()
        self.of_backfills()
        self.assertEqual(wanted() - self.seen, set(), "no call has led to these")

    def of_no_repository(self):
        image = {"imageDigest": DIGEST}
        more = {"BatchCheckLayerAvailability": {"layerDigests": [DIGEST]}, "BatchDeleteImage": {"imageIds": [image]},
                "BatchGetImage": {"imageIds": [image]}, "CompleteLayerUpload": {"uploadId": UPLOAD, "layerDigests": [DIGEST]},
                "DeleteLifecyclePolicy": {}, "DeleteRepository": {}, "DeleteRepositoryPolicy": {}, "DescribeImages": {},
                "DescribeImageReplicationStatus": {"imageId": image}, "DescribeImageScanFindings": {"imageId": image},
                "GetDownloadUrlForLayer": {"layerDigest": DIGEST}, "GetLifecyclePolicy": {}, "GetLifecyclePolicyPreview": {},
                "GetRepositoryPolicy": {}, "InitiateLayerUpload": {}, "ListImages": {}, "PutImage": {"imageManifest": "{}"},
                "ListImageReferrers": {"subjectId": image},
                "PutImageScanningConfiguration": {"imageScanningConfiguration": {"scanOnPush": True}},
                "PutImageTagMutability": {"imageTagMutability": "MUTABLE"},
                "PutLifecyclePolicy": {"lifecyclePolicyText": self.lifecycle()},
                "SetRepositoryPolicy": {"policyText": self.policy()}, "StartImageScan": {"imageId": image},
                "StartLifecyclePolicyPreview": {},
                "UpdateImageStorageClass": {"imageId": image, "targetStorageClass": "ARCHIVE"},
                "UploadLayerPart": {"uploadId": UPLOAD, "partFirstByte": 0, "partLastByte": 0, "layerPartBlob": "eA=="}}
        for operation, members in more.items():
            self.fails("RepositoryNotFound", operation, repositoryName=NONE, **members)
            self.fails("RepositoryNotFound", operation, repositoryName=self.name, registryId="1" * 12, **members)
        self.fails("RepositoryNotFound", "DescribeRepositories", repositoryNames=[self.name, NONE])
        answer = self.works("BatchGetRepositoryScanningConfiguration", repositoryNames=[NONE, self.name])
        self.assertEqual([f["failureCode"] for f in answer["failures"]], ["REPOSITORY_NOT_FOUND"])
        self.seen.add(("BatchGetRepositoryScanningConfiguration", "RepositoryNotFoundException"))  # told in its place
        arn = f"arn:aws:ecr:{os.environ['AWS_DEFAULT_REGION']}:000000000000:repository/{NONE}"
        self.fails("RepositoryNotFound", "ListTagsForResource", resourceArn=arn)
        self.fails("RepositoryNotFound", "TagResource", resourceArn=arn, tags=[{"Key": "a", "Value": "b"}])
        self.fails("RepositoryNotFound", "UntagResource", resourceArn=arn, tagKeys=["a"])

    def of_images(self):
        manifest = self.manifest(self.name, "errors")
        put = {"repositoryName": self.name, "imageManifest": manifest}
        self.works("PutImage", imageTag="v1", **put)
        self.fails("ImageAlreadyExists", "PutImage", imageTag="v1", **put)
        self.fails("ImageDigestDoesNotMatch", "PutImage", imageDigest=DIGEST, **put)
        other = self.manifest(self.name, "others")
        self.works("PutImageTagMutability", repositoryName=self.name, imageTagMutability="IMMUTABLE")
        self.fails("ImageTagAlreadyExists", "PutImage", repositoryName=self.name, imageManifest=other, imageTag="v1")
        self.fails("LayersNotFound", "PutImage", repositoryName=self.name,
                   imageManifest=other.replace(digest_of(b"others"), DIGEST))
        self.fails("ReferencedImagesNotFound", "PutImage", repositoryName=self.name, imageManifest=json.dumps(
            {"schemaVersion": 2, "manifests": [{"mediaType": OCI_MANIFEST, "digest": DIGEST, "size": 1}]}))
        for image in ({"imageDigest": DIGEST}, {"imageTag": "none"}):
            self.fails("ImageNotFound", "DescribeImages", repositoryName=self.name, imageIds=[image])
            self.fails("ImageNotFound", "DescribeImageReplicationStatus", repositoryName=self.name, imageId=image)
            self.fails("ImageNotFound", "DescribeImageScanFindings", repositoryName=self.name, imageId=image)
            self.fails("ImageNotFound", "StartImageScan", repositoryName=self.name, imageId=image)
            self.fails("ImageNotFound", "UpdateImageStorageClass", repositoryName=self.name, imageId=image,
                       targetStorageClass="ARCHIVE")
        self.fails("ScanNotFound", "DescribeImageScanFindings", repositoryName=self.name, imageId={"imageTag": "v1"})
        artifact = json.dumps({**json.loads(manifest), "artifactType": "a/b"})
        self.works("PutImage", repositoryName=self.name, imageManifest=artifact, imageTag="artifact")
        index = json.dumps({"schemaVersion": 2, "manifests": []})
        self.works("PutImage", repositoryName=self.name, imageManifest=index, imageTag="index")
        self.fails("UnsupportedImageType", "StartImageScan", repositoryName=self.name, imageId={"imageTag": "index"})
        self.fails("RepositoryNotEmpty", "DeleteRepository", repositoryName=self.name)
        self.fails("RepositoryAlreadyExists", "CreateRepository", repositoryName=self.name)

    def of_layers(self):
        name = self.repository()["repositoryName"]
        layer, part = b"l" * 100, {"partFirstByte": 0, "partLastByte": 99}
        encoded = base64.b64encode(layer).decode()
        upload = {"repositoryName": name, "uploadId": self.works("InitiateLayerUpload", repositoryName=name)["uploadId"]}
        self.fails("UploadNotFound", "UploadLayerPart", repositoryName=name, uploadId=UPLOAD, layerPartBlob=encoded, **part)
        self.fails("UploadNotFound", "CompleteLayerUpload", repositoryName=name, uploadId=UPLOAD, layerDigests=[DIGEST])
        self.fails("InvalidLayerPart", "UploadLayerPart", partFirstByte=7, partLastByte=106, layerPartBlob=encoded, **upload)
        self.fails("EmptyUpload", "CompleteLayerUpload", layerDigests=[DIGEST], **upload)
        self.works("UploadLayerPart", layerPartBlob=encoded, **part, **upload)
        self.fails("InvalidLayer", "CompleteLayerUpload", layerDigests=[DIGEST], **upload)
        upload["uploadId"] = self.works("InitiateLayerUpload", repositoryName=name)["uploadId"]
        self.works("UploadLayerPart", layerPartBlob=encoded, **part, **upload)
        self.works("CompleteLayerUpload", layerDigests=[digest_of(layer)], **upload)
        upload["uploadId"] = self.works("InitiateLayerUpload", repositoryName=name)["uploadId"]
        self.works("UploadLayerPart", layerPartBlob=encoded, **part, **upload)
        self.fails("LayerAlreadyExists", "CompleteLayerUpload", layerDigests=[digest_of(layer)], **upload)
        upload["uploadId"] = self.works("InitiateLayerUpload", repositoryName=name)["uploadId"]
        self.works("UploadLayerPart", layerPartBlob=encoded, **part, **upload)
        self.works("UploadLayerPart", layerPartBlob=encoded, partFirstByte=100, partLastByte=199, **upload)
        self.fails("LayerPartTooSmall", "CompleteLayerUpload", layerDigests=[digest_of(layer + layer)], **upload)
        self.fails("LayersNotFound", "GetDownloadUrlForLayer", repositoryName=name, layerDigest=DIGEST)

    def of_tags(self):
        tags = [{"Key": f"k{i}", "Value": ""} for i in range(51)]
        arn = self.repository()["repositoryArn"]
        self.fails("TooManyTags", "CreateRepository", repositoryName=self.name + "x", tags=tags)
        self.fails("InvalidTagParameter", "CreateRepository", repositoryName=self.name + "x", tags=[{"Key": "aws:a", "Value": ""}])
        self.fails("TooManyTags", "TagResource", resourceArn=arn, tags=tags)
        self.fails("InvalidTagParameter", "TagResource", resourceArn=arn, tags=[{"Key": "aws:a", "Value": ""}])

    @staticmethod
    def policy():
        return json.dumps({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": "*", "Action": "ecr:ListImages"}]})

    @staticmethod
    def lifecycle():
        return json.dumps({"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": {
            "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 1000}}]})

    def of_policies(self):
        name = self.repository()["repositoryName"]
        for operation in ("GetLifecyclePolicy", "DeleteLifecyclePolicy", "StartLifecyclePolicyPreview"):
            self.fails("LifecyclePolicyNotFound", operation, repositoryName=name)
        self.fails("LifecyclePolicyPreviewNotFound", "GetLifecyclePolicyPreview", repositoryName=name)
        for operation in ("GetRepositoryPolicy", "DeleteRepositoryPolicy"):
            self.fails("RepositoryPolicyNotFound", operation, repositoryName=name)
        for operation in ("GetRegistryPolicy", "DeleteRegistryPolicy"):
            self.fails("RegistryPolicyNotFound", operation)

    def of_rules(self):
        prefix = uuid.uuid4().hex[:8]
        self.works("CreatePullThroughCacheRule", ecrRepositoryPrefix=prefix, upstreamRegistryUrl="quay.io")
        self.addCleanup(self.raw, "DeletePullThroughCacheRule", ecrRepositoryPrefix=prefix)
        secret = "arn:aws:secretsmanager:ap-northeast-2:000000000000:secret:ecr-pullthroughcache/none"
        self.fails("PullThroughCacheRuleAlreadyExists", "CreatePullThroughCacheRule", ecrRepositoryPrefix=prefix,
                   upstreamRegistryUrl="quay.io")
        self.fails("UnsupportedUpstreamRegistry", "CreatePullThroughCacheRule", ecrRepositoryPrefix=prefix + "x",
                   upstreamRegistryUrl="000000000000.dkr.ecr.eu-west-1.amazonaws.com")
        self.fails("SecretNotFound", "CreatePullThroughCacheRule", ecrRepositoryPrefix=prefix + "x",
                   upstreamRegistryUrl="registry-1.docker.io", credentialArn=secret)
        self.fails("SecretNotFound", "UpdatePullThroughCacheRule", ecrRepositoryPrefix=prefix, credentialArn=secret)
        for operation in ("DeletePullThroughCacheRule", "ValidatePullThroughCacheRule"):
            self.fails("PullThroughCacheRuleNotFound", operation, ecrRepositoryPrefix="none")
        self.fails("PullThroughCacheRuleNotFound", "UpdatePullThroughCacheRule", ecrRepositoryPrefix="none", credentialArn=secret)
        self.fails("PullThroughCacheRuleNotFound", "DescribePullThroughCacheRules", ecrRepositoryPrefixes=["none"])
        self.works("CreateRepositoryCreationTemplate", prefix=prefix, appliedFor=["REPLICATION"])
        self.addCleanup(self.raw, "DeleteRepositoryCreationTemplate", prefix=prefix)
        self.fails("TemplateAlreadyExists", "CreateRepositoryCreationTemplate", prefix=prefix, appliedFor=["REPLICATION"])
        for operation in ("DeleteRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"):
            self.fails("TemplateNotFound", operation, prefix="none")
        principal = "arn:aws:iam::000000000000:role/" + prefix
        self.fails("ExclusionNotFound", "DeregisterPullTimeUpdateExclusion", principalArn=principal)
        self.works("RegisterPullTimeUpdateExclusion", principalArn=principal)
        self.addCleanup(self.raw, "DeregisterPullTimeUpdateExclusion", principalArn=principal)
        self.fails("ExclusionAlreadyExists", "RegisterPullTimeUpdateExclusion", principalArn=principal)

    def of_backfills(self):
        """To a registry that nobody has started, so that they stay under way."""
        known = pathlib.Path(os.environ["NARU_DATA_DIR"]) / "registries.json"
        known.write_text(json.dumps({"222222222222": {"url": f"http://127.0.0.1:{harness.free_port()}"}}), encoding="utf-8")
        self.addCleanup(known.unlink)
        places = [{"region": f"eu-errors-{i}", "registryId": "222222222222"} for i in range(11)]
        self.works("PutReplicationConfiguration", replicationConfiguration={"rules": [
            {"destinations": places, "repositoryFilters": [{"filter": self.name, "filterType": "PREFIX_MATCH"}]}]})
        self.addCleanup(self.raw, "PutReplicationConfiguration", replicationConfiguration={"rules": []})
        started = [self.works("StartReplicationBackfill", destination=place)["replicationBackfillId"] for place in places[:10]]
        self.fails("ReplicationBackfillInProgress", "StartReplicationBackfill", destination=places[0])
        self.fails("LimitExceeded", "StartReplicationBackfill", destination=places[10])
        for backfill in started:
            self.works("StopReplicationBackfill", replicationBackfillId=backfill)
            harness.wait_until("the backfill ends", lambda it=backfill: self.works(
                "DescribeReplicationBackfillResults", replicationBackfillId=it)["status"] == "STOPPED", 60, 0.05)
        self.fails("ReplicationBackfillInvalidStatus", "StopReplicationBackfill", replicationBackfillId=started[0])
        for operation in ("DescribeReplicationBackfillResults", "StopReplicationBackfill"):
            self.fails("ReplicationBackfillNotFound", operation, replicationBackfillId=UPLOAD)


def shape(name):
    return OURS["shapes"][name]


def good(name, depth=0):
    """A value of the shape that its bounds take."""
    it = shape(name)
    kind = it["type"]
    if kind == "structure":
        return {member: good(it["members"][member], depth + 1) for member in it.get("required", [])} if depth < 6 else {}
    if kind == "list":
        return [good(it["member"], depth + 1) for _ in range(max(it.get("min", 1), 1))]
    if kind in ("integer", "long"):
        return it.get("min", 1)
    if kind == "boolean":
        return True
    if kind == "timestamp":
        return 1700000000
    if "enum" in it:
        return it["enum"][0]
    return "x" * max(it.get("min", 1), 1)


def bad(name, depth=0):
    """(what is wrong, a value that the shape does not take), one thing wrong each."""
    it = shape(name)
    kind = it["type"]
    wrong = {"structure": "text", "list": "text", "integer": "text", "long": "text", "boolean": "text", "blob": 7,
             "string": 7, "timestamp": "text"}
    yield "another type", wrong[kind]
    yield "an object" if kind != "structure" else "a list", {} if kind != "structure" else []
    if "enum" in it:
        yield "no value of the enum", "NONSENSE"
    if "max" in it and kind == "list":
        yield "too many", [good(it["member"], depth + 1)] * (it["max"] + 1)
    if it.get("min", 0) > 0 and kind == "list":
        yield "too few", []
    if "max" in it and kind in ("string", "blob"):
        yield "too long", "x" * (it["max"] + 1)
    if it.get("min", 0) > 0 and kind == "string":
        yield "too short", "x" * (it["min"] - 1)
    if kind in ("integer", "long"):
        yield "below", it.get("min", 0) - 1 if "min" in it else -2**70
        yield "above", it["max"] + 1 if "max" in it else 2**70
        yield "a fraction", 1.5
    if kind == "list" and depth < 4:
        for what, value in bad(it["member"], depth + 1):
            yield "[]: " + what, [value] * max(it.get("min", 1), 1)
    if kind == "structure" and depth < 4:
        yield from bad_members(it, depth)


def bad_members(it, depth):
    base = {member: good(it["members"][member], depth + 1) for member in it.get("required", [])}
    for member in it.get("required", []):
        yield f"{member} missing", {k: v for k, v in base.items() if k != member}
    for member, name in it["members"].items():
        for what, value in bad(name, depth + 1):
            yield f"{member}: {what}", {**base, member: value}


class Pages(Case):
    """Items come one by one, none twice, and a token that was never given out is refused."""

    def test_each_operation_that_has_pages(self):
        with_input = {name: shape(row["input"])["members"] for name, row in OURS["operations"].items() if "input" in row}
        paged = {name for name, members in with_input.items() if "nextToken" in members}
        not_here = {"DescribeImageScanFindings",  # needs findings: test_ecr_scan
                    "DescribeReplicationBackfillResults"}  # needs one that ended: test_ecr_replication
        rows = self.rows()
        self.assertEqual({operation for operation, _, _ in rows}, paged - not_here)
        for operation, members, items in rows:
            with self.subTest(operation):
                self.pages(operation, members, items)

    def rows(self):
        name, prefix = self.repository()["repositoryName"], uuid.uuid4().hex[:8]
        image = self.push(name, "v0", "0")
        for i in range(3):
            self.works("CreatePullThroughCacheRule", ecrRepositoryPrefix=f"{prefix}{i}", upstreamRegistryUrl="quay.io")
            self.addCleanup(self.raw, "DeletePullThroughCacheRule", ecrRepositoryPrefix=f"{prefix}{i}")
            self.works("CreateRepositoryCreationTemplate", prefix=f"{prefix}{i}", appliedFor=["REPLICATION"])
            self.addCleanup(self.raw, "DeleteRepositoryCreationTemplate", prefix=f"{prefix}{i}")
            principal = f"arn:aws:iam::000000000000:role/{prefix}{i}"
            self.works("RegisterPullTimeUpdateExclusion", principalArn=principal)
            self.addCleanup(self.raw, "DeregisterPullTimeUpdateExclusion", principalArn=principal)
            self.repository()
            self.works("PutImage", repositoryName=name, imageTag=f"a{i}", imageManifest=json.dumps(
                {"schemaVersion": 2, "manifests": [], "artifactType": f"a/{i}",
                 "subject": {"mediaType": OCI_MANIFEST, "digest": image, "size": 1}}))
        policy = Errors.lifecycle().replace("1000", "1")
        self.works("StartLifecyclePolicyPreview", repositoryName=name, lifecyclePolicyText=policy)
        self.backfills(prefix)
        of_name = {"repositoryName": name}
        return [("DescribeRepositories", {}, "repositories"), ("ListImages", of_name, "imageIds"),
                ("DescribeImages", of_name, "imageDetails"), ("GetLifecyclePolicyPreview", of_name, "previewResults"),
                ("DescribePullThroughCacheRules", {}, "pullThroughCacheRules"),
                ("DescribeRepositoryCreationTemplates", {}, "repositoryCreationTemplates"),
                ("ListReplicationBackfills", {}, "backfills"),
                ("ListPullTimeUpdateExclusions", {}, "pullTimeUpdateExclusions"),
                ("ListImageReferrers", {**of_name, "subjectId": {"imageDigest": image}}, "referrers")]

    def backfills(self, prefix):
        """Three of no image, that are over."""
        places = [{"region": f"eu-pages-{i}", "registryId": "000000000000"} for i in range(3)]
        self.works("PutReplicationConfiguration", replicationConfiguration={"rules": [
            {"destinations": places, "repositoryFilters": [{"filter": prefix, "filterType": "PREFIX_MATCH"}]}]})
        self.addCleanup(self.raw, "PutReplicationConfiguration", replicationConfiguration={"rules": []})
        for place in places:
            self.works("StartReplicationBackfill", destination=place)
        harness.wait_until("the backfills end", lambda: {one["status"] for one in self.works("ListReplicationBackfills")[
            "backfills"]} <= {"COMPLETE", "STOPPED"}, 60, 0.05)

    def pages(self, operation, members, items):
        whole, found, token = self.works(operation, **members)[items], [], {}
        self.assertGreaterEqual(len(whole), 3)
        while True:
            answer = self.works(operation, maxResults=1, **members, **token)
            self.assertEqual(len(answer[items]), 1)
            found += answer[items]
            if "nextToken" not in answer:
                break
            token = {"nextToken": answer["nextToken"]}
        self.assertEqual(found, whole)
        for nonsense in ("nonsense", "ZWNyMTo=x", "e30="):
            answer = self.raw(operation, nextToken=nonsense, **members)
            self.assertEqual(answer.get("__type"), "InvalidParameterException", answer)


class Inputs(Case):
    def test_what_the_model_does_not_take_is_refused_by_each_operation(self):
        refused = 0
        for operation, row in OURS["operations"].items():
            it = shape(row["input"]) if "input" in row else {"members": {}}
            if self.raw(operation).get("__type") == "UnsupportedFeatureException":
                continue  # named by itself
            for what, members in bad_members(it, 0):
                answer = self.raw(operation, **members)
                codes = ("InvalidParameterException", "InvalidTagParameterException", "TooManyTagsException",
                         "SerializationException", "LimitExceededException")
                self.assertIn(answer.get("__type"), codes, (operation, what, str(members)[:300], answer))
                self.assertGreater(len(answer.get("message", answer.get("Message", ""))), 5, (operation, what, answer))
                refused += 1
        self.assertGreater(refused, 500)
