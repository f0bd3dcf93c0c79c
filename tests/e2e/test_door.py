# SPDX-License-Identifier: MIT
"""HTTPS on naru's own port: its own authority, the operator's certificate, docker, skopeo, curl and Python."""
import json
import os
import pathlib
import socket
import ssl
import subprocess
import unittest

import harness

CERTS = pathlib.Path("/etc/docker/certs.d")


def address():
    """An address of this machine that is not loopback's: for it Docker wants a certificate that it trusts."""
    found = subprocess.run(["hostname", "-I"], check=True, capture_output=True, text=True).stdout.split()
    return next((a for a in found if "." in a), None)


class Door(unittest.TestCase):
    def serve(self, **environment):
        naru = harness.Naru("door", NARU_LISTEN="0.0.0.0", **environment)
        naru.__enter__()
        self.addCleanup(naru.__exit__, None, None, None)
        return naru

    def handshake(self, naru, name, authority, **options):
        context = ssl.create_default_context(cafile=str(authority))
        for option, value in options.items():
            setattr(context, option, value)
        with socket.create_connection(("127.0.0.1", naru.port), timeout=10) as plain:
            with context.wrap_socket(plain, server_hostname=name) as secure:
                secure.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
                return secure.recv(12), secure.version()

    def test_docker_and_skopeo_with_an_authority_of_ours(self):
        here = address()
        if here is None:
            self.skipTest("this machine has no address but loopback's")
        naru = self.serve(NARU_TLS_NAMES=f"{here},localhost")
        registry, data = f"{here}:{naru.port}", naru.dir / "data"
        ca = data / "tls/ca.crt"
        self.assertEqual((data / "tls/ca.key").stat().st_mode & 0o777, 0o600)
        ecr = naru.client("ecr")  # HTTP on this machine, as ever
        ecr.create_repository(repositoryName="my-app")
        key = json.loads(naru.cli("keys", "create", "ci", "--role", "push", "--output", "json").stdout)
        folder = naru.dir / "image"
        folder.mkdir()
        (folder / "own").write_bytes(os.urandom(3_000_000))
        (folder / "Dockerfile").write_text("FROM scratch\nCOPY own /own\n")
        image = f"{registry}/my-app:v1"
        harness.DOCKER.run("build", "-q", "-t", image, str(folder), env={"DOCKER_BUILDKIT": "0"})
        login = ("login", "-u", key["accessKeyId"], "--password-stdin", registry)
        with self.assertRaises(subprocess.CalledProcessError) as refused:
            harness.DOCKER.run(*login, input=key["secretAccessKey"].encode())
        self.assertIn(b"certificate", refused.exception.stderr)
        self.addCleanup(naru.cli, "trust", "docker", registry, "--remove", check=False)
        self.assertIn("without a restart", naru.cli("trust", "docker", registry).stdout)
        harness.DOCKER.run(*login, input=key["secretAccessKey"].encode())
        harness.DOCKER.run("push", "-q", image)
        harness.DOCKER.run("rmi", "-f", image)
        harness.DOCKER.run("pull", "-q", image)
        creds = f"{key['accessKeyId']}:{key['secretAccessKey']}"
        subprocess.run(["skopeo", "copy", "-q", "--src-creds", creds, "--dest-creds", creds, f"docker://{image}",
                        f"docker://{registry}/my-app:v2"], check=True, capture_output=True)  # it looks where docker does
        curl = ["curl", "-sS", "-u", creds, "--cacert", str(ca)]
        tags = subprocess.run([*curl, f"https://{registry}/v2/my-app/tags/list"], check=True, capture_output=True).stdout
        self.assertEqual(json.loads(tags)["tags"], ["v1", "v2"])
        plain = subprocess.run(["curl", "-sS", f"http://{registry}/v2/"], check=True, capture_output=True, text=True)
        self.assertIn("speaks HTTPS", plain.stdout)
        self.assertIn("removed", naru.cli("trust", "docker", registry, "--remove").stdout)
        self.assertFalse((CERTS / registry).exists())
        certificate = (data / "tls/server.crt").read_text()
        naru.stop()
        naru.start()
        self.assertEqual((data / "tls/server.crt").read_text(), certificate)
        naru.stop()
        naru.extra["NARU_TLS_NAMES"] = "other.example"
        authority = ca.read_text()
        naru.start()
        self.assertEqual(ca.read_text(), authority)  # who trusts it goes on
        self.assertEqual(self.handshake(naru, "other.example", ca)[0], b"HTTP/1.1 200")

    def test_the_operator_s_certificate_and_clients_that_say_nothing(self):
        folder = harness.ROOT / "door-certificate"
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = folder / "own.crt", folder / "own.key"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=own.example", "-addext", "subjectAltName=DNS:own.example", "-keyout", str(key),
                        "-out", str(certificate)], check=True, capture_output=True)
        naru = self.serve(NARU_TLS_CERTIFICATE=str(certificate), NARU_TLS_KEY=str(key))
        self.assertFalse((naru.dir / "data/tls").exists())
        silent = [socket.create_connection(("127.0.0.1", naru.port)) for _ in range(300)]
        self.addCleanup(lambda: [s.close() for s in silent])
        self.assertEqual(self.handshake(naru, "own.example", certificate), (b"HTTP/1.1 200", "TLSv1.3"))
        old = {"maximum_version": ssl.TLSVersion.TLSv1_2}
        self.assertEqual(self.handshake(naru, "own.example", certificate, **old)[1], "TLSv1.2")
        with self.assertRaises(ssl.SSLCertVerificationError):
            self.handshake(naru, "another.example", certificate)
        self.assertTrue(naru.answers())  # HTTP on this machine
        naru.stop()
        key.write_text(certificate.read_text())
        with self.assertRaisesRegex(AssertionError, "the certificate of naru's port"):
            naru.start()


if __name__ == "__main__":
    unittest.main()
