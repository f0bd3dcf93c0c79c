# SPDX-License-Identifier: MIT
"""certificates.py - an authority of the tests' own, and what it signs."""
import subprocess


class Certificates:
    """By the openssl command."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.ca = folder / "ca.pem"
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                 "-subj", "/O=Tests/CN=tests' own", "-keyout", folder / "ca.key", "-out", self.ca)

    @staticmethod
    def run(*args):
        subprocess.run(["openssl", *map(str, args)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def make(self, file, *names, kind=("rsa:2048",)):
        """Writes FILE.pem and FILE.key for the names; gives their paths."""
        key, request, pem, more = (self.folder / f"{file}.{end}" for end in ("key", "csr", "pem", "ext"))
        more.write_text("subjectAltName=" + ",".join("DNS:" + n for n in names) + "\nextendedKeyUsage=serverAuth\n")
        self.run("req", "-new", "-newkey", *kind, "-nodes", "-subj", f"/CN={names[0]}", "-keyout", key, "-out", request)
        self.run("x509", "-req", "-in", request, "-CA", self.ca, "-CAkey", self.folder / "ca.key", "-CAcreateserial",
                 "-days", "2", "-extfile", more, "-out", pem)
        return pem, key
