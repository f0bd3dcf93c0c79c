# SPDX-License-Identifier: MIT
"""registry.py - naru's image registry beside Debian's docker-registry and nginx, in turn, on the same machine in the same run.

All get the same requests from registry-load (bench/registry_load.c): kept connections, the protocol's own steps. naru checks
a token with each request, the peers let everybody in. Beside them stands what the machine itself takes: a push's
bytes received, hashed, written and flushed by one bare loop ("floor"); a file sent by nginx's sendfile.
Processor time is what the server's own processes used.

What the requests cost is the kernel's work, most of it, so three things outside decide the figures: ext4 without a
journal looks for an inode that was not deleted within the last minutes (give it six of rest, or --root on a file system
of its own); rules of netfilter that a Docker Engine left behind follow every packet of loopback; and who else computes."""
import base64
import hashlib
import http.client
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import types

import harness
from balance import Program, processor_s

MIB = 1 << 20
REPOSITORY = "bench/app"

PEER = """version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{cache: {{blobdescriptor: inmemory}}, filesystem: {{rootdirectory: {folder}/peer}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
"""

NGINX = """daemon off; pid {folder}/files.pid; error_log {folder}/files.log; worker_processes 2;
events {{ worker_connections 4096; }}
http {{ access_log off; sendfile on; sendfile_max_chunk 2m; tcp_nopush on; keepalive_requests 100000000;
  server {{ listen 127.0.0.1:{port}; location / {{ root {root}; }} }} }}
"""


class Server:
    """One of the three: where it listens, what it wants to hear, whose processes are counted."""

    def __init__(self, name, port, pids, header="X-Bench: 1"):
        self.name, self.port, self.pids, self.header = name, port, pids, header

    def load(self, *arguments):
        """What registry-load says, with the processor seconds of the server."""
        os.sync()  # what another left to write would be paid by this one
        before = processor_s(self.pids())
        done = load(*arguments, "--port", self.port, "--repository", REPOSITORY, "--header", self.header)
        done["cpu"] = processor_s(self.pids()) - before
        return done

    def memory(self, field):
        return sum(int(line.split()[1]) for pid in self.pids()
                   for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith(field))

    def peak_reset(self):
        for pid in self.pids():
            pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")

    def put(self, body):
        """A small blob, the way every client does it; its digest."""
        digest = "sha256:" + hashlib.sha256(body).hexdigest()
        connection = http.client.HTTPConnection("127.0.0.1", self.port)
        headers = dict([self.header.split(": ", 1)])
        connection.request("POST", f"/v2/{REPOSITORY}/blobs/uploads/", headers=headers)
        answer = connection.getresponse()
        answer.read()
        location = answer.getheader("Location")
        location += ("&" if "?" in location else "?") + "digest=" + digest
        connection.request("PUT", location, body, headers)
        answer = connection.getresponse()
        if answer.status != 201:
            raise AssertionError(f"{self.name}: a blob was answered {answer.status}: {answer.read()}")
        return digest


def load(*arguments):
    done = subprocess.run([str(harness.BINARY.parent / "registry-load"), *map(str, arguments)], check=True,
                          stdout=subprocess.PIPE, text=True, cwd=harness.ROOT)
    return json.loads(done.stdout)


def big_file(path, mib, seed):
    """Bytes that no file system can shorten, made once and then in the page cache; their digest."""
    digest = hashlib.sha256()
    with open(path, "wb") as file:
        for i in range(mib):
            piece = hashlib.shake_128(f"{seed} {i}".encode()).digest(MIB)
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def manifest_file(path, server):
    config, layer = server.put(b'{"architecture":"amd64","os":"linux"}'), server.put(b"layer " * 100)
    path.write_text(json.dumps({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 37},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer, "size": 600}],
        "annotations": {"number": "@NUMBER@"}}))
    return path


class Figures:
    """name -> server -> samples; a line a name."""

    def __init__(self):
        self.samples = {}

    def add(self, name, server, value):
        self.samples.setdefault(name, {}).setdefault(server, []).append(value)

    def median(self, name, server):
        return statistics.median(self.samples[name][server])

    @staticmethod
    def ratio(own, other):
        return f"ratio {own / other:.2f}" if other > 0 else "no ratio"  # a peer may take no memory more

    def line(self, what, name, unit, peers, wanted):
        own = self.median(name, "naru")
        text = ", ".join(f"{peer} {self.median(name, peer):.3g} ({self.ratio(own, self.median(name, peer))})" for peer in peers)
        print(f"registry   {what}: naru {own:.3g} {unit}, {text}; wanted: {wanted}", flush=True)


def push_round(servers, figures, number, mib):
    file = harness.ROOT / "big.bin"
    digest = big_file(file, mib, number)
    floor = load("floor", file)
    gib = mib / 1024 * 1.073741824
    figures.add("push", "floor", gib / floor["seconds"])
    figures.add("push cpu", "floor", floor["cpu"] / gib)
    for server in servers:
        server.peak_reset()
        before = server.memory("VmRSS")
        done = server.load("push", file, digest)
        figures.add("push", server.name, gib / done["seconds"])
        figures.add("push cpu", server.name, done["cpu"] / gib)
        figures.add("memory", server.name, (server.memory("VmHWM") - before) / 1024)
    return digest


def pull_round(servers, nginx, figures, digest, mib):
    gib = mib / 1024 * 1.073741824
    for server, path in [(s, f"/v2/{REPOSITORY}/blobs/sha256:{digest}") for s in servers] + [(nginx, "/big.bin")]:
        for streams in (1, 8):
            done = server.load("pull", path, "--connections", streams, "--count", max(4, streams))
            figures.add(f"pull {streams}", server.name, gib * max(4, streams) / done["seconds"])
            figures.add(f"pull {streams} cpu", server.name, done["cpu"] / gib / max(4, streams))


def requests_round(servers, figures, number):
    for server in servers:
        tag = f"round-{number}"
        done = server.load("small", 100000, "--connections", 8, "--count", 200, "--tag", tag)
        figures.add("small", server.name, 200 / done["seconds"])
        digest = server.put(b"a blob to ask for")
        count = 20000 if server.name == "naru" else 4000
        done = server.load("head", f"/v2/{REPOSITORY}/blobs/{digest}", "--connections", 8, "--count", count)
        figures.add("head", server.name, count / done["seconds"])
        manifest = manifest_file(harness.ROOT / "manifest.json", server)
        done = server.load("manifests", manifest, "--connections", 8, "--count", 1000, "--tag", tag)
        figures.add("manifest", server.name, 1000 / done["seconds"])


def report(figures, mib):
    figures.line(f"push of {mib} MiB", "push", "GB/s", ("peer", "floor"), "2.5 times the peer")
    figures.line("processor time of it", "push cpu", "s a GB", ("peer", "floor"), "a third of the peer's")
    figures.line("memory more than before it, at the peak", "memory", "MiB", ("peer",), "under 30 MB")
    for streams in (1, 8):
        figures.line(f"pull, {streams} at once", f"pull {streams}", "GB/s", ("peer", "nginx"), "nginx's rate")
        figures.line("processor time of it", f"pull {streams} cpu", "s a GB", ("peer", "nginx"), "nginx's")
    figures.line("blobs of 100 KB pushed", "small", "a second", ("peer",), "8 times the peer")
    figures.line("HEAD of a blob", "head", "a second", ("peer",), "25 times the peer")
    figures.line("manifests put", "manifest", "a second", ("peer",), "5 times the peer")


def measure(rounds, mib=1024):
    folder = harness.ROOT / "registry"
    folder.mkdir(parents=True, exist_ok=True)
    peer_port, nginx_port = harness.free_port(), harness.free_port()
    peer = Program(folder, "peer", PEER.format(folder=folder, port=peer_port), "docker-registry", "serve", "{path}")
    files = Program(folder, "files", NGINX.format(folder=folder, port=nginx_port, root=harness.ROOT), "nginx", "-c", "{path}",
                    "-e", "{folder}/files.log")
    harness.DOCKER = types.SimpleNamespace(socket="/nonexistent", host="unix:///nonexistent")  # no container is started
    figures = Figures()
    try:
        with harness.Naru("bench-registry") as naru:
            naru.client("ecr").create_repository(repositoryName=REPOSITORY)
            token = naru.client("ecr").get_authorization_token()["authorizationData"][0]["authorizationToken"]
            assert base64.b64decode(token).startswith(b"AWS:")
            own = Server("naru", naru.port, lambda: [naru.process.pid], f"Authorization: Basic {token}")
            servers = [own, Server("peer", peer_port, peer.pids)]
            nginx = Server("nginx", nginx_port, files.pids)
            harness.wait_until("docker-registry", lambda: answers(peer_port), interval=0.05)
            for number in range(rounds):  # alternated, so that all meet the same weather
                digest = push_round(servers, figures, number, mib)
                pull_round(servers, nginx, figures, digest, mib)
                requests_round(servers, figures, number)
    finally:
        files.end()
        peer.end()
    report(figures, mib)
    shutil.rmtree(folder, ignore_errors=True)


def answers(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        connection.request("GET", "/v2/")
        return connection.getresponse().status == 200
    except OSError:
        return False
