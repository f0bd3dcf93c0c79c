# SPDX-License-Identifier: MIT
"""Repository creation templates, account settings, pull time exclusions and referrers: members newer than Debian's boto3."""
import json
import os

from test_ecr import OCI_MANIFEST, Case, digest_of

KEEP = json.dumps({"rules": [{"rulePriority": 1, "action": {"type": "expire"}, "selection": {
    "tagStatus": "any", "countType": "imageCountMoreThan", "countNumber": 9}}]})


class Templates(Case):
    def setUp(self):
        super().setUp()
        self.prefix = "made-" + os.urandom(4).hex()

    def make(self, prefix, **members):
        self.addCleanup(self.raw, "DeleteRepositoryCreationTemplate", prefix=prefix)
        return self.raw("CreateRepositoryCreationTemplate", prefix=prefix,
                        **{"appliedFor": ["CREATE_ON_PUSH"], **members})

    def expect(self, code, operation, **members):
        answer = self.raw(operation, **members)
        self.assertEqual(answer.get("__type"), code, answer)
        return answer["message"]

    def test_create_describe_update_delete(self):
        made = self.make(self.prefix, description="d", resourceTags=[{"Key": "a", "Value": "b"}], lifecyclePolicy=KEEP,
                         appliedFor=["REPLICATION", "CREATE_ON_PUSH"])
        template = made["repositoryCreationTemplate"]
        self.assertEqual((made["registryId"], template["prefix"], template["description"], template["imageTagMutability"],
                          template["appliedFor"], template["lifecyclePolicy"]),
                         ("000000000000", self.prefix, "d", "MUTABLE", ["REPLICATION", "CREATE_ON_PUSH"], KEEP))
        self.expect("TemplateAlreadyExistsException", "CreateRepositoryCreationTemplate", prefix=self.prefix,
                    appliedFor=["REPLICATION"])
        described = self.raw("DescribeRepositoryCreationTemplates", prefixes=[self.prefix])
        self.assertEqual(described["repositoryCreationTemplates"], [template])
        changed = self.raw("UpdateRepositoryCreationTemplate", prefix=self.prefix, lifecyclePolicy="",
                           imageTagMutability="IMMUTABLE")["repositoryCreationTemplate"]
        self.assertEqual((changed["imageTagMutability"], changed["description"], "lifecyclePolicy" in changed,
                          changed["createdAt"]), ("IMMUTABLE", "d", False, template["createdAt"]))
        self.assertGreaterEqual(changed["updatedAt"], template["updatedAt"])
        self.make(self.prefix + "/b")
        page = self.raw("DescribeRepositoryCreationTemplates", maxResults=1)
        rest = self.raw("DescribeRepositoryCreationTemplates", maxResults=100, nextToken=page["nextToken"])
        prefixes = [t["prefix"] for t in page["repositoryCreationTemplates"] + rest["repositoryCreationTemplates"]]
        self.assertLessEqual({self.prefix, self.prefix + "/b"}, set(prefixes))
        gone = self.raw("DeleteRepositoryCreationTemplate", prefix=self.prefix)
        self.assertEqual(gone["repositoryCreationTemplate"], changed)
        for operation in ("DeleteRepositoryCreationTemplate", "UpdateRepositoryCreationTemplate"):
            self.expect("TemplateNotFoundException", operation, prefix=self.prefix)
        self.expect("TemplateNotFoundException", "DescribeRepositoryCreationTemplates", prefixes=[self.prefix])

    def test_what_is_refused(self):
        for members in ({"prefix": "Upper"}, {"appliedFor": []}, {"appliedFor": ["x"]}, {"lifecyclePolicy": "{}"},
                        {"repositoryPolicy": "{}"}, {"imageTagMutability": "MUTABLE_WITH_EXCLUSION"}):
            self.expect("InvalidParameterException", "CreateRepositoryCreationTemplate",
                        **{"prefix": self.prefix, "appliedFor": ["CREATE_ON_PUSH"], **members})
        self.expect("UnsupportedFeatureException", "CreateRepositoryCreationTemplate", prefix=self.prefix,
                    appliedFor=["CREATE_ON_PUSH"], encryptionConfiguration={"encryptionType": "KMS"})
        self.expect("InvalidTagParameterException", "CreateRepositoryCreationTemplate", prefix=self.prefix,
                    appliedFor=["CREATE_ON_PUSH"], resourceTags=[{"Key": "aws:a", "Value": "b"}])

    def test_a_push_makes_its_repository(self):
        name = self.prefix + "/team/web"
        self.addCleanup(self.remove, self.ecr, name)
        path = f"/v2/{name}/blobs/uploads/?digest={digest_of(b'{}')}"
        self.assertEqual(self.call("POST", path, b"{}")[0], 404)
        self.make(self.prefix, appliedFor=["REPLICATION"])
        self.assertEqual(self.call("POST", path, b"{}")[0], 404)  # for something else
        policy = json.dumps({"Statement": {"Effect": "Deny", "Principal": "*", "Action": "ecr:DeleteRepository"}})
        self.make(self.prefix + "/team", imageTagMutability="IMMUTABLE", lifecyclePolicy=KEEP, repositoryPolicy=policy,
                  resourceTags=[{"Key": "made", "Value": "by push"}])
        self.assertEqual(self.call("GET", f"/v2/{name}/tags/list")[0], 404)  # who only looks makes nothing
        self.assertEqual(self.call("POST", path, b"{}")[0], 201)
        made = self.ecr.describe_repositories(repositoryNames=[name])["repositories"][0]
        self.assertEqual(made["imageTagMutability"], "IMMUTABLE")
        self.assertEqual(self.ecr.list_tags_for_resource(resourceArn=made["repositoryArn"])["tags"],
                         [{"Key": "made", "Value": "by push"}])
        self.assertEqual(self.ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"], KEEP)
        self.assertEqual(self.ecr.get_repository_policy(repositoryName=name)["policyText"], policy)
        self.refused("AccessDeniedException", self.ecr.delete_repository, repositoryName=name)
        self.ecr.delete_repository_policy(repositoryName=name)
        by_api = self.prefix + "/team/by-api"
        self.addCleanup(self.remove, self.ecr, by_api)
        self.ecr.initiate_layer_upload(repositoryName=by_api)
        self.ecr.delete_repository_policy(repositoryName=by_api)
        self.assertEqual(self.call("POST", f"/v2/{self.prefix}-else/x/blobs/uploads/", b"")[0], 404)


class Registry(Case):
    def test_settings(self):
        for name, value, other in (("REGISTRY_POLICY_SCOPE", "V2", "V1"), ("BASIC_SCAN_TYPE_VERSION", "AWS_NATIVE", "CLAIR"),
                                   ("BLOB_MOUNTING", "ENABLED", "DISABLED")):
            self.assertEqual(self.raw("GetAccountSetting", name=name), {"name": name, "value": value})
            self.assertEqual(self.raw("PutAccountSetting", name=name, value=value), {"name": name, "value": value})
            self.assertEqual(self.raw("PutAccountSetting", name=name, value=other)["__type"], "UnsupportedFeatureException")
            self.assertEqual(self.raw("PutAccountSetting", name=name, value="x")["__type"], "InvalidParameterException")
        self.assertEqual(self.raw("GetAccountSetting", name="x")["__type"], "InvalidParameterException")
        registry = self.ecr.describe_registry()
        self.assertEqual(registry["registryId"], "000000000000")
        self.assertIn("rules", registry["replicationConfiguration"])

    def test_pulls_that_do_not_count(self):
        root = "arn:aws:iam::000000000000:root"
        name = self.repository()["repositoryName"]
        self.push(name, "v1", "one")

        def pulled():
            self.call("GET", f"/v2/{name}/manifests/v1")
            self.ecr.batch_get_image(repositoryName=name, imageIds=[{"imageTag": "v1"}])
            return "lastRecordedPullTime" in self.ecr.describe_images(repositoryName=name)["imageDetails"][0]

        self.addCleanup(self.raw, "DeregisterPullTimeUpdateExclusion", principalArn=root)
        self.assertEqual(self.raw("RegisterPullTimeUpdateExclusion", principalArn=root)["principalArn"], root)
        self.assertEqual(self.raw("RegisterPullTimeUpdateExclusion", principalArn=root)["__type"],
                         "ExclusionAlreadyExistsException")
        self.assertEqual(self.raw("ListPullTimeUpdateExclusions"), {"pullTimeUpdateExclusions": [root]})
        self.assertFalse(pulled())
        self.assertEqual(self.raw("DeregisterPullTimeUpdateExclusion", principalArn=root), {"principalArn": root})
        self.assertEqual(self.raw("DeregisterPullTimeUpdateExclusion", principalArn=root)["__type"],
                         "ExclusionNotFoundException")
        self.assertEqual(self.raw("RegisterPullTimeUpdateExclusion", principalArn="me")["__type"],
                         "InvalidParameterException")
        self.assertTrue(pulled())

    def test_referrers(self):
        name = self.repository()["repositoryName"]
        subject = self.push(name, "v1", "one")
        size = len(self.manifest(name, "one"))
        config, referrers = self.blob(name, b"{}"), {}
        for kind in ("application/a", "application/b"):
            text = json.dumps({
                "schemaVersion": 2, "mediaType": OCI_MANIFEST, "artifactType": kind, "layers": [],
                "annotations": {"kind": kind}, "subject": {"mediaType": OCI_MANIFEST, "digest": subject, "size": size},
                "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": config, "size": 2}})
            self.ecr.put_image(repositoryName=name, imageManifest=text)
            referrers[digest_of(text.encode())] = kind

        def ask(**members):
            return self.raw("ListImageReferrers", repositoryName=name, subjectId={"imageDigest": subject}, **members)

        details = self.raw("DescribeImages", repositoryName=name)["imageDetails"]
        self.assertEqual({d["imageDigest"] for d in details if d.get("subjectManifestDigest") == subject}, set(referrers))
        self.assertEqual({d["imageStatus"] for d in details}, {"ACTIVE"})
        found = ask()["referrers"]
        self.assertEqual({r["digest"]: r["artifactType"] for r in found}, referrers)
        self.assertEqual({r["annotations"]["kind"] for r in found}, set(referrers.values()))
        one = ask(filter={"artifactTypes": ["application/a"]})["referrers"]
        self.assertEqual([r["artifactType"] for r in one], ["application/a"])
        self.assertEqual(ask(filter={"artifactStatus": "ARCHIVED"})["referrers"], [])
        first = ask(maxResults=1)
        second = ask(maxResults=1, nextToken=first["nextToken"])
        self.assertEqual({r["digest"] for r in first["referrers"] + second["referrers"]}, set(referrers))
        self.assertEqual(self.raw("ListImageReferrers", repositoryName=name, subjectId={"imageDigest": "x"})["__type"],
                         "InvalidParameterException")
        self.assertEqual(self.raw("ListImageReferrers", repositoryName="none", subjectId={"imageDigest": subject})["__type"],
                         "RepositoryNotFoundException")
