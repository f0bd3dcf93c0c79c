# SPDX-License-Identifier: MIT
"""Policies of repositories and of the registry: set, told, and obeyed at both doors."""
import json

from test_ecr import OCI_MANIFEST, Case, digest_of


def policy(*statements):
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


class Policies(Case):
    def setUp(self):
        super().setUp()
        self.name = self.repository()["repositoryName"]
        self.members = {"repositoryName": self.name}

    def deny(self, *actions, **more):
        return policy({"Effect": "Deny", "Principal": "*", "Action": list(actions), **more})

    def code(self, method, path, *args):
        status, _, body = self.call(method, path, *args)
        return status, json.loads(body)["errors"][0]["code"] if status >= 400 and body else None

    def test_of_a_repository(self):
        self.push(self.name, "v1", "one")
        message = self.refused("RepositoryPolicyNotFoundException", self.ecr.get_repository_policy, **self.members)
        self.assertEqual(message, "Repository policy does not exist for the repository with name "
                                  f"'{self.name}' in the registry with id '000000000000'")
        text = self.deny("ecr:PutImage", "ecr:BatchGetImage")
        answer = self.ecr.set_repository_policy(policyText=text, **self.members)
        self.assertEqual((answer["policyText"], answer["repositoryName"], answer["registryId"]),
                         (text, self.name, "000000000000"))
        self.assertEqual(self.ecr.get_repository_policy(**self.members)["policyText"], text)
        message = self.refused("AccessDeniedException", self.ecr.batch_get_image, imageIds=[{"imageTag": "v1"}],
                               **self.members)
        self.assertIn("is not authorized to perform: ecr:BatchGetImage on resource: arn:aws:ecr:", message)
        self.assertIn("with an explicit deny in a resource-based policy", message)
        self.assertEqual(self.code("GET", f"/v2/{self.name}/manifests/v1"), (403, "DENIED"))
        other = self.manifest(self.name, "two").encode()  # layers may still come
        self.assertEqual(self.code("PUT", f"/v2/{self.name}/manifests/v2", other, {"Content-Type": OCI_MANIFEST}),
                         (403, "DENIED"))
        self.assertEqual(self.call("GET", f"/v2/{self.name}/tags/list")[0], 200)
        self.ecr.delete_repository_policy(**self.members)
        self.assertEqual(self.call("GET", f"/v2/{self.name}/manifests/v1")[0], 200)
        self.refused("RepositoryPolicyNotFoundException", self.ecr.delete_repository_policy, **self.members)

    def test_layers_are_not_mounted_out_of_it(self):
        digest, other = self.blob(self.name, b"layer"), self.repository()["repositoryName"]
        self.ecr.set_repository_policy(policyText=self.deny("ecr:GetDownloadUrlForLayer"), **self.members)
        path = f"/v2/{other}/blobs/uploads/?mount={digest}&from={self.name}"
        self.assertEqual(self.call("POST", path, b"")[0], 202)
        self.assertEqual(self.code("GET", f"/v2/{self.name}/blobs/{digest}"), (403, "DENIED"))
        self.ecr.delete_repository_policy(**self.members)
        self.assertEqual(self.call("POST", path, b"")[0], 201)

    def test_conditions_are_asked(self):
        here = {"IpAddress": {"aws:SourceIp": ["127.0.0.1", "::1"]}}
        self.ecr.set_repository_policy(policyText=self.deny("ecr:ListImages", Condition=here), **self.members)
        self.refused("AccessDeniedException", self.ecr.list_images, **self.members)
        self.assertEqual(self.code("GET", f"/v2/{self.name}/tags/list"), (403, "DENIED"))
        there = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
        self.ecr.set_repository_policy(policyText=self.deny("ecr:ListImages", Condition=there), **self.members)
        self.assertEqual(self.ecr.list_images(**self.members)["imageIds"], [])

    def test_nobody_locks_himself_out(self):
        message = self.refused("InvalidParameterException", self.ecr.set_repository_policy,
                               policyText=self.deny("ecr:*"), **self.members)
        self.assertIn("force", message)
        self.ecr.set_repository_policy(policyText=self.deny("ecr:*"), force=True, **self.members)
        self.refused("AccessDeniedException", self.ecr.list_images, **self.members)
        self.refused("AccessDeniedException", self.ecr.describe_repositories, repositoryNames=[self.name])
        self.ecr.delete_repository_policy(**self.members)
        self.assertEqual(self.ecr.list_images(**self.members)["imageIds"], [])

    def test_what_is_no_policy(self):
        for text in ("{", "{}", policy(), policy({"Effect": "Allow"}), policy({
                "Effect": "Allow", "Principal": "*", "Action": "ecr:*", "Resource": "*"})):
            message = self.refused("InvalidParameterException", self.ecr.set_repository_policy, policyText=text,
                                   **self.members)
            self.assertIn("Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy "
                          "provided'", message)
        self.refused("RepositoryNotFoundException", self.ecr.set_repository_policy, repositoryName="none",
                     policyText=self.deny("ecr:PutImage"))

    def test_of_the_registry(self):
        self.refused("RegistryPolicyNotFoundException", self.ecr.get_registry_policy)
        text = self.deny("ecr:PutImage", Resource=f"arn:aws:ecr:*:*:repository/{self.name}")
        self.addCleanup(lambda: self.raw("DeleteRegistryPolicy"))
        answer = self.ecr.put_registry_policy(policyText=text)
        self.assertEqual((answer["registryId"], answer["policyText"]), ("000000000000", text))
        self.assertEqual(self.ecr.get_registry_policy()["policyText"], text)
        manifest = self.manifest(self.name, "one")
        self.refused("AccessDeniedException", self.ecr.put_image, imageManifest=manifest, imageTag="v1", **self.members)
        other = self.repository()["repositoryName"]
        self.push(other, "v1", "one")
        self.assertEqual(self.ecr.delete_registry_policy()["policyText"], text)
        self.ecr.put_image(imageManifest=manifest, imageTag="v1", **self.members)
        self.assertEqual(self.ecr.list_images(**self.members)["imageIds"][0]["imageDigest"], digest_of(manifest.encode()))
        self.refused("InvalidParameterException", self.ecr.put_registry_policy, policyText=self.deny("ecr:PutImage"))
