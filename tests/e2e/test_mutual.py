# SPDX-License-Identifier: MIT
"""Mutual TLS from a file of this machine to what a target is told: who comes in, another bundle, kill -9."""
import http.server
import json
import shutil
import subprocess
import threading
import unittest
import urllib.error
import urllib.parse
import urllib.request

import harness
from certificates import Certificates
from harness import Naru, wait_until

CLIENT = "X-Amzn-Mtls-Clientcert-"


class Target(http.server.BaseHTTPRequestHandler):
    """Says what it was told of the client."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        body = json.dumps({k.title(): v for k, v in self.headers.items() if k.lower().startswith("x-amzn-mtls")}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Whoever checks its health hangs up as it likes."""


class Mutual(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("mutual")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.own, cls.other = Certificates(cls.naru.dir / "own"), Certificates(cls.naru.dir / "other")
        cls.bucket = cls.naru.dir / "data/s3/authorities"
        cls.bucket.mkdir(parents=True)
        shutil.copy(cls.own.ca, cls.bucket / "own.pem")
        shutil.copy(cls.other.ca, cls.bucket / "other.pem")
        cls.elb = cls.naru.client("elbv2")
        server = Server(("127.0.0.1", 0), Target)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        cls.addClassCleanup(server.shutdown)
        lb = cls.elb.create_load_balancer(Name="mutual", Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        group = cls.elb.create_target_group(Name="mutual", Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip")[
            "TargetGroups"][0]["TargetGroupArn"]
        cls.elb.register_targets(TargetGroupArn=group, Targets=[{"Id": "127.0.0.1", "Port": server.server_port}])
        pem, key = cls.own.make("server", "a.example")
        cls.certificate = cls.naru.client("acm").import_certificate(
            Certificate=pem.read_bytes(), PrivateKey=key.read_bytes(), CertificateChain=cls.own.ca.read_bytes())["CertificateArn"]
        cls.lb, cls.port = lb, harness.free_port()
        cls.store = cls.call("create-trust-store", "--name", "clients", "--ca-certificates-bundle-s3-bucket", "authorities",
                             "--ca-certificates-bundle-s3-key", "own.pem", "--tags", "Key=team,Value=a")["TrustStores"][0]
        cls.arn = cls.store["TrustStoreArn"]
        cls.listener = cls.call(
            "create-listener", "--load-balancer-arn", lb, "--protocol", "HTTPS", "--port", str(cls.port), "--certificates",
            f"CertificateArn={cls.certificate}", "--default-actions", f"Type=forward,TargetGroupArn={group}",
            "--mutual-authentication", f"Mode=verify,TrustStoreArn={cls.arn}")["Listeners"][0]
        cls.client = cls.make(cls.own, "client")
        cls.stranger = cls.make(cls.other, "stranger")
        wait_until("the listener to serve", lambda: cls.curl(cls.client)[0] == 0)

    @classmethod
    def call(cls, *args):
        """Our own command line: the Debian package's is older than trust stores."""
        done = cls.naru.cli("aws", "elbv2", *args, check=False)
        if done.returncode != 0:
            raise AssertionError(done.stdout)
        return json.loads(done.stdout) if done.stdout.strip() else None

    def refused(self, code, *args):
        with self.assertRaisesRegex(AssertionError, code) as caught:
            self.call(*args)
        return str(caught.exception)

    @staticmethod
    def make(authority, name, kind="rsa:2048", serial="0x03A5B1"):
        key, request, pem = (authority.folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        authority.run("req", "-new", "-newkey", kind, "-nodes", "-subj", f"/C=KR/O=Team, Inc/CN={name}", "-keyout", key, "-out", request)
        authority.run("x509", "-req", "-in", request, "-CA", authority.ca, "-CAkey", authority.folder / "ca.key", "-set_serial",
                      serial, "-days", "2", "-out", pem)
        return pem, key

    @classmethod
    def curl(cls, client, *more):
        """Exit code and output of a curl that shows this certificate."""
        shown = ["--cert", str(client[0]), "--key", str(client[1])] if client else []
        done = subprocess.run(["curl", "-s", "--max-time", "10", "--cacert", str(cls.own.ca), "--resolve", f"a.example:{cls.port}:127.0.0.1",
                               *shown, *more, f"https://a.example:{cls.port}/"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        return done.returncode, done.stdout

    def test_only_own_clients_come_in(self):
        for more in ([], ["--http1.1"], ["--tls-max", "1.2"]):
            self.assertEqual(self.curl(self.client, *more)[0], 0, more)
            self.assertNotEqual(self.curl(None, *more)[0], 0, more)
            self.assertNotEqual(self.curl(self.stranger, *more)[0], 0, more)

    def test_the_target_is_told_who_it_is(self):
        code, text = self.curl(self.client, "-H", "X-Amzn-Mtls-Clientcert-Subject: CN=admin", "-H", "x_amzn-mtls-clientcert-more: x")
        self.assertEqual(code, 0)
        told = json.loads(text)
        self.assertEqual(set(told), {CLIENT + name for name in ("Serial-Number", "Issuer", "Subject", "Validity", "Leaf")})
        self.assertEqual(told[CLIENT + "Serial-Number"], "03A5B1")
        self.assertEqual(told[CLIENT + "Subject"], "CN=client,O=Team\\, Inc,C=KR")
        self.assertEqual(told[CLIENT + "Issuer"], "CN=tests' own,O=Tests")
        self.assertRegex(told[CLIENT + "Validity"], r"^NotBefore=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ;NotAfter=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")
        self.assertEqual(urllib.parse.unquote(told[CLIENT + "Leaf"]), self.client[0].read_text())
        self.assertEqual(told[CLIENT + "Leaf"], urllib.parse.quote(self.client[0].read_text(), safe="+=/"))

    def test_large_bodies_come_through_with_a_large_certificate(self):
        large, body = self.make(self.own, "large", "rsa:4096"), self.naru.dir / "body"
        body.write_bytes(b"x" * 300000)
        for version in ("--http1.1", "--http2"):
            code, text = self.curl(large, version, "--data-binary", f"@{body}")
            self.assertEqual(code, 0)
            self.assertEqual(urllib.parse.unquote(json.loads(text)[CLIENT + "Leaf"]), large[0].read_text())

    def test_another_bundle_is_another_door(self):
        def put(key):
            self.call("modify-trust-store", "--trust-store-arn", self.arn, "--ca-certificates-bundle-s3-bucket", "authorities",
                      "--ca-certificates-bundle-s3-key", key)

        self.addCleanup(wait_until, "the first ones again", lambda: self.curl(self.client)[0] == 0)
        self.addCleanup(put, "own.pem")
        put("other.pem")
        wait_until("the other ones", lambda: self.curl(self.stranger)[0] == 0)
        wait_until("nobody else", lambda: self.curl(self.client)[0] != 0)  # who was there before the reload may take one more
        (self.bucket / "other.pem").unlink()  # it was read
        self.naru.kill()
        self.assertEqual(self.curl(self.stranger)[0], 0)
        self.naru.start()
        self.assertEqual(self.curl(self.stranger)[0], 0)
        self.assertNotEqual(self.curl(self.client)[0], 0)
        self.assertIn("data/s3/authorities/other.pem", self.refused(
            "CaCertificatesBundleNotFound", "modify-trust-store", "--trust-store-arn", self.arn,
            "--ca-certificates-bundle-s3-bucket", "authorities", "--ca-certificates-bundle-s3-key", "other.pem"))
        shutil.copy(self.other.ca, self.bucket / "other.pem")

    def test_who_is_revoked_stays_outside(self):
        """From the next connection on, also after a kill, until the list is removed; nobody else is touched, though the list is old."""
        revoked, serial = self.make(self.own, "revoked", serial="0x77"), "77"
        folder = self.own.folder
        (folder / "index.txt").write_text(f"R\t400101000000Z\t250101000000Z\t{serial}\tunknown\t/CN=revoked\n")
        (folder / "ca.cnf").write_text(f"[ca]\ndefault_ca=own\n[own]\ndatabase={folder}/index.txt\ndefault_md=sha256\n")
        self.own.run("ca", "-gencrl", "-config", folder / "ca.cnf", "-keyfile", folder / "ca.key", "-cert", self.own.ca,
                     "-crl_lastupdate", "20250101000000Z", "-crl_nextupdate", "20250102000000Z", "-out", self.bucket / "own.crl")
        self.assertEqual(self.curl(revoked)[0], 0)
        made = self.call("add-trust-store-revocations", "--trust-store-arn", self.arn, "--revocation-contents",
                         "S3Bucket=authorities,S3Key=own.crl,RevocationType=CRL")["TrustStoreRevocations"]
        self.assertEqual(made, [{"TrustStoreArn": self.arn, "RevocationId": made[0]["RevocationId"], "RevocationType": "CRL",
                                 "NumberOfRevokedEntries": 1}])
        wait_until("the revoked one to stay outside", lambda: self.curl(revoked)[0] != 0)
        self.assertEqual(self.curl(self.client)[0], 0)
        self.assertEqual(self.call("describe-trust-store-revocations", "--trust-store-arn", self.arn)["TrustStoreRevocations"], made)
        self.assertEqual(self.call("describe-trust-stores", "--names", "clients")["TrustStores"][0]["TotalRevokedEntries"], 1)
        self.naru.kill()
        self.naru.start()
        self.assertNotEqual(self.curl(revoked)[0], 0)
        self.assertEqual(self.curl(self.client)[0], 0)
        self.call("remove-trust-store-revocations", "--trust-store-arn", self.arn, "--revocation-ids", str(made[0]["RevocationId"]))
        wait_until("it to come in again", lambda: self.curl(revoked)[0] == 0)

    def test_it_is_described_and_kept_while_it_is_used(self):
        self.assertEqual(self.store, {"Name": "clients", "TrustStoreArn": self.arn, "Status": "ACTIVE", "NumberOfCaCertificates": 1,
                                      "TotalRevokedEntries": 0})
        self.assertEqual(self.call("describe-trust-stores", "--names", "clients")["TrustStores"], [self.store])
        self.assertEqual(self.call("describe-trust-store-associations", "--trust-store-arn", self.arn)["TrustStoreAssociations"],
                         [{"ResourceArn": self.lb}])
        self.assertEqual(self.listener["MutualAuthentication"], {
            "Mode": "verify", "TrustStoreArn": self.arn, "IgnoreClientCertificateExpiry": False,
            "TrustStoreAssociationStatus": "active", "AdvertiseTrustStoreCaNames": "off"})
        self.assertEqual(self.elb.describe_tags(ResourceArns=[self.arn])["TagDescriptions"][0]["Tags"], [{"Key": "team", "Value": "a"}])
        self.refused("TrustStoreInUse", "delete-trust-store", "--trust-store-arn", self.arn)
        location = self.call("get-trust-store-ca-certificates-bundle", "--trust-store-arn", self.arn)["Location"]
        with urllib.request.urlopen(location) as answer:
            self.assertIn("BEGIN CERTIFICATE", answer.read().decode())
        with self.assertRaises(urllib.error.HTTPError):
            urllib.request.urlopen(location.replace("expires=", "expires=9"))


if __name__ == "__main__":
    unittest.main()
