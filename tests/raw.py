# SPDX-License-Identifier: MIT
"""raw.py - both ends of a load balancer, to the byte: a client that sends what it is told to, and a target that records
exactly what it got.

What a target got is read by parse(), which forgives nothing: a message that two readers could understand in two ways is an
error, whatever HAProxy meant by it. A hostile request is harmless where the target's bytes parse, and are as many requests as
the client was answered."""
import contextlib
import re
import socket
import threading
import time

import harness

TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])\Z")
VALUE = re.compile(rb"[\t\x20-\x7e\x80-\xff]*\Z")
LOOSE_VALUE = re.compile(rb"[^\r\n]*\Z")


class Ambiguous(Exception):
    """A message that is not the only thing that its bytes can be."""


class Request:
    def __init__(self, method, target, minor, headers, body=b"", trailers=()):
        self.method, self.target, self.minor = method.decode(), target.decode("latin-1"), int(minor)
        self.headers, self.body, self.trailers = headers, body, list(trailers)

    def all(self, name):
        return [v.decode("latin-1") for k, v in self.headers if k.lower() == name.lower().encode()]

    def get(self, name):
        """The one value, or None."""
        found = self.all(name)
        if len(found) > 1:
            raise AssertionError(f"{name} comes {len(found)} times: {found}")
        return found[0] if found else None

    def __repr__(self):
        return f"<{self.method} {self.target} {self.headers} {self.body[:60]!r}>"


def parse_headers(lines, allow_control):
    headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not TOKEN.match(name):
            raise Ambiguous(f"no header: {line!r}")
        if not (LOOSE_VALUE if allow_control else VALUE).match(value):
            raise Ambiguous(f"control characters: {line!r}")
        headers.append((name, value.strip(b" \t")))
    return headers


def body_length(method, minor, headers):
    """A number, or None for chunks."""
    lengths = [v for k, v in headers if k.lower() == b"content-length"]
    codings = [v.lower() for k, v in headers if k.lower() == b"transfer-encoding"]
    if len(lengths) + len(codings) > 1:
        raise Ambiguous(f"lengths {lengths} and codings {codings}")
    if codings and (codings != [b"chunked"] or minor == b"0"):
        raise Ambiguous(f"coding {codings} of HTTP/1.{minor.decode()}")
    if lengths and not lengths[0].isdigit():
        raise Ambiguous(f"length {lengths[0]!r}")
    return None if codings else int(lengths[0]) if lengths else 0


def take_line(data, at):
    end = data.find(b"\n", at)
    if end < 0:
        return None, at
    if data[end - 1:end] != b"\r":
        raise Ambiguous(f"a bare line feed: {data[at:end]!r}")
    return bytes(data[at:end - 1]), end + 1


def take_chunks(data, at, allow_control):
    """Body, trailers and what follows; None while it is not whole."""
    body = b""
    while True:
        line, at = take_line(data, at)
        if line is None:
            return None
        if not re.match(rb"[0-9A-Fa-f]{1,8}\Z", line):
            raise Ambiguous(f"a chunk size: {line!r}")
        size = int(line, 16)
        if size == 0:
            break
        if len(data) < at + size + 2:
            return None
        if data[at + size:at + size + 2] != b"\r\n":
            raise Ambiguous("a chunk that does not end where it says")
        body += bytes(data[at:at + size])
        at += size + 2
    lines = []
    while True:
        line, at = take_line(data, at)
        if line is None:
            return None
        if not line:
            return body, parse_headers(lines, allow_control), at
        lines.append(line)


def parse_one(data, at, allow_control=False):
    """The request that begins at `at` and where it ends, or None while it is not whole."""
    lines, begin = [], at
    while True:
        line, at = take_line(data, at)
        if line is None:
            return None
        if not line:
            break
        lines.append(line)
    found = REQUEST_LINE.match(lines[0]) if lines else None
    if not found:
        raise Ambiguous(f"no request line: {bytes(data[begin:begin + 80])!r}")
    method, target, minor = found.groups()
    headers = parse_headers(lines[1:], allow_control)
    length = body_length(method, minor, headers)
    if length is None:
        taken = take_chunks(data, at, allow_control)
        return taken and (Request(method, target, minor, headers, taken[0], taken[1]), taken[2])
    if len(data) < at + length:
        return None
    return Request(method, target, minor, headers, bytes(data[at:at + length])), at + length


class Connection:
    """One that the balancer made: its bytes, and the whole requests among them."""

    def __init__(self, sock):
        self.sock, self.data, self.requests, self.fault = sock, bytearray(), [], None
        self.at = 0
        self.sent = False  # one of our answers
        self.closed = False


def plain(body=b"ok", *headers):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), b"".join(h + b"\r\n" for h in headers)) + body


class Target:
    """answer(connection, request) gives the bytes of the answer; None closes the connection. With `on_head`, that is called
    with the connection as soon as the first bytes of something came, and the target does nothing by itself."""

    def __init__(self, answer=None, on_head=None, allow_control=False):
        self.answer = answer or (lambda connection, request: plain())
        self.on_head, self.allow_control = on_head, allow_control
        self.lock = threading.Lock()
        self.connections, self.log = [], []
        self.checks = 0
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(sock,), daemon=True).start()

    def serve(self, sock):
        connection = Connection(sock)
        try:
            first = sock.recv(65536)
            if first.startswith(b"GET /health "):  # naru's own, straight from its checker
                self.checks += 1
                sock.sendall(plain(b"ok", b"Connection: close"))
                sock.close()
                return
            with self.lock:
                self.connections.append(connection)
            self.converse(connection, first)
        except OSError:
            pass
        except Exception as error:  # a test's own answer(): whoever looks for faults has to hear of it
            connection.fault = repr(error)
        connection.closed = True
        with contextlib.suppress(OSError):
            sock.close()

    def converse(self, connection, data):
        while data:
            connection.data += data
            if self.on_head is not None:
                self.on_head(connection)
                if connection.sock.fileno() < 0:
                    return
            elif not self.take(connection):
                return
            data = connection.sock.recv(65536)

    def take(self, connection):
        """Answers the whole requests; False to hang up."""
        while connection.at < len(connection.data):
            try:
                found = parse_one(connection.data, connection.at, self.allow_control)
            except Ambiguous as fault:
                connection.fault = str(fault)
                return False
            if found is None:
                return True
            request, connection.at = found
            with self.lock:
                connection.requests.append(request)
                self.log.append(request)
            answer = self.answer(connection, request)
            if answer is None:
                return False
            connection.sock.sendall(answer)
        return True

    def requests(self):
        """In the order in which they came."""
        with self.lock:
            return list(self.log)

    def faults(self):
        return [c.fault for c in self.connections if c.fault]

    def bytes(self):
        return b"".join(bytes(c.data) for c in self.connections)

    def forget(self):
        with self.lock:
            self.log = []
            self.connections = [c for c in self.connections if not c.closed]
            for c in self.connections:
                del c.data[:c.at]
                c.at, c.requests, c.fault = 0, [], None

    def stop(self):
        self.listener.close()


class Reply:
    def __init__(self, status, headers, body, raw):
        self.status, self.headers, self.body, self.raw = status, headers, body, raw
        self.is_whole = True

    def get(self, name):
        return next((v for k, v in self.headers if k == name.lower()), None)

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:60]!r}>"


def split_replies(data):
    """The answers in what a client got; the last may be cut."""
    replies, at = [], 0
    while at < len(data):
        end = data.find(b"\r\n\r\n", at)
        if end < 0:
            break
        lines = data[at:end].split(b"\r\n")
        status = int(lines[0].split(b" ")[1])
        headers = [(k.decode().lower(), v.strip().decode("latin-1")) for k, _, v in (line.partition(b":") for line in lines[1:])]
        values, begin, at, cut = dict(headers), at, end + 4, False
        if values.get("transfer-encoding") == "chunked":
            taken = take_chunks(data, at, True)
            if taken is None:
                replies.append(Reply(status, headers, data[at:], data[begin:]))
                replies[-1].is_whole = False
                break
            body, _, at = taken
        elif status // 100 == 1 or status in (204, 304):
            body = b""
        else:
            size = int(values.get("content-length", len(data) - at))
            cut = at + size > len(data)
            body, at = data[at:at + size], min(at + size, len(data))
        replies.append(Reply(status, headers, body, data[begin:at]))
        replies[-1].is_whole = not cut
    return replies


class Client:
    def __init__(self, port, timeout=10):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout)
        self.data = b""
        self.is_closed = False

    def send(self, data):
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)
        return self

    def read(self, quiet, count=None):
        """Reads until it is closed, `count` final answers are there, or `quiet` seconds passed without a byte."""
        self.sock.settimeout(quiet)
        with contextlib.suppress(socket.timeout, ConnectionResetError):
            while count is None or len([r for r in split_replies(self.data) if r.status >= 200 and r.is_whole]) < count:
                data = self.sock.recv(65536)
                if not data:
                    self.is_closed = True
                    break
                self.data += data
        return split_replies(self.data)

    def close(self):
        self.sock.close()


def exchange(port, data, count=1, quiet=5):
    """One connection, everything at once; the answers."""
    client = Client(port)
    try:
        return client.send(data).read(quiet, count)
    finally:
        client.close()


def get(port, path="/", *headers, method="GET", body=b""):
    lines = [f"{method} {path} HTTP/1.1", "Host: test.local", *headers]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    replies = exchange(port, "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body, quiet=15)
    if not replies:
        raise AssertionError(f"{method} {path}: no answer")
    return replies[-1]


class Front:
    """A load balancer with one listener and one group of Targets."""

    def __init__(self, naru, *targets, name="raw"):
        self.naru, self.elb, self.port = naru, naru.client("elbv2"), harness.free_port()
        self.arn = self.elb.create_load_balancer(Name=name, Subnets=["subnet-1", "subnet-2"])["LoadBalancers"][0]["LoadBalancerArn"]
        self.group = self.elb.create_target_group(
            Name=name, Protocol="HTTP", Port=80, VpcId="vpc-1", TargetType="ip", HealthCheckPath="/health",
            HealthCheckIntervalSeconds=5, HealthCheckTimeoutSeconds=2)["TargetGroups"][0]["TargetGroupArn"]
        self.listener = self.elb.create_listener(
            LoadBalancerArn=self.arn, Protocol="HTTP", Port=self.port,
            DefaultActions=[{"Type": "forward", "TargetGroupArn": self.group}])["Listeners"][0]["ListenerArn"]
        for target in targets:
            self.register(target)
        self.wait_live()

    def register(self, target):
        self.elb.register_targets(TargetGroupArn=self.group, Targets=[{"Id": "127.0.0.1", "Port": target.port}])
        self.wait_state(target, "healthy")

    def deregister(self, target):
        self.elb.deregister_targets(TargetGroupArn=self.group, Targets=[{"Id": "127.0.0.1", "Port": target.port}])

    def state(self, target):
        found = self.elb.describe_target_health(
            TargetGroupArn=self.group, Targets=[{"Id": "127.0.0.1", "Port": target.port}])["TargetHealthDescriptions"]
        return found[0]["TargetHealth"]["State"]

    def wait_state(self, target, state):
        harness.wait_until(f"target {target.port} to be {state}", lambda: self.state(target) == state, 20, 0.01)

    def set(self, **attributes):
        """`idle_timeout__timeout_seconds="2"`; waits until HAProxy acts by them."""
        before = self.worker()
        self.elb.modify_load_balancer_attributes(
            LoadBalancerArn=self.arn,
            Attributes=[{"Key": k.replace("__", "."), "Value": v} for k, v in attributes.items()])
        self.wait_reload(before)

    def worker(self):
        """What HAProxy calls its configuration and which process has it."""
        with contextlib.suppress(OSError):
            text = self.admin("show info")
            return re.search(r"^Pid: (\d+)", text, re.M).group(1)
        return None

    def admin(self, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.naru.dir / "data/haproxy/admin.sock"))
            s.sendall(command.encode() + b"\n")
            s.shutdown(socket.SHUT_WR)
            data = b""
            while True:
                part = s.recv(65536)
                if not part:
                    return data.decode()
                data += part

    def wait_reload(self, before):
        harness.wait_until("the reload", lambda: self.worker() not in (None, before), 20, 0.02)
        self.wait_live()

    def wait_live(self):
        def answers():
            with contextlib.suppress(OSError, IndexError, AssertionError):
                return get(self.port, "/live").status
        harness.wait_until("the listener to answer", answers, 20, 0.02)


def seconds(call):
    """What it gave, and how long it took."""
    begin = time.monotonic()
    return call(), time.monotonic() - begin
