# SPDX-License-Identifier: MIT
"""Hostile requests through a real HAProxy with naru's configuration: whatever is sent, what the target gets has one meaning,
and is as many requests as the client is answered."""
import random
import socket
import time
import unittest

import h2_raw
import harness
import hostile
import hostile_h2
import raw
from harness import Naru


def echo(connection, request):
    return raw.plain(request.target.encode("latin-1"), b"X-Got: %d" % len(request.body))


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("hostile")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.target = raw.Target(echo, allow_control=True)
        cls.addClassCleanup(cls.target.stop)
        cls.front = raw.Front(cls.naru, cls.target)

    def send(self, data, count=None, quiet=5):
        """What the client was answered, and the requests that the target got; none may have two meanings."""
        self.target.forget()
        client = raw.Client(self.front.port)
        replies = client.send(data).read(quiet, count)
        got = [r.status for r in replies] + (["close"] if client.is_closed else [])
        client.close()
        self.assertEqual(self.target.faults(), [], data[:300])
        return replies, got, self.target.requests()

    def check(self, data, statuses, seen):
        finals = [s for s in statuses if s != "close"]
        replies, got, requests = self.send(data, None if "close" in statuses else len(finals))
        self.assertEqual(got, statuses, replies)
        self.assertEqual(len(requests), seen, requests)
        self.assertNotIn("/smuggled", [r.target for r in requests])
        # An answer is of the target where the target got the request, and of nobody else's.
        self.assertEqual([r.body.decode() for r in replies if r.status == 200], [r.target for r in requests])
        after = raw.get(self.front.port, "/innocent")
        self.assertEqual((after.status, after.body), (200, b"/innocent"))


class Smuggling(Case):
    def test_each_case(self):
        for name, data, statuses, seen in hostile.CASES:
            with self.subTest(name):
                self.check(data, statuses, seen)

    def test_each_case_in_the_strictest_mode(self):
        self.front.set(routing__http__desync_mitigation_mode="strictest")
        self.target.allow_control = False
        try:
            for name, data, statuses, seen in hostile.CASES:
                with self.subTest(name):
                    strict = hostile.STRICTEST.get(name, statuses)
                    self.check(data, strict, seen if strict == statuses else 0)
        finally:
            self.target.allow_control = True
            self.front.set(routing__http__desync_mitigation_mode="defensive")

    def test_each_case_byte_by_byte(self):
        """The same answers however the bytes are cut."""
        for name, data, statuses, seen in hostile.CASES:
            if len(data) > 400:
                continue
            with self.subTest(name):
                self.target.forget()
                client = raw.Client(self.front.port)
                client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for i in range(len(data)):
                    client.send(data[i:i + 1])
                finals = [s for s in statuses if s != "close"]
                replies = client.read(5, len(finals))
                client.close()
                self.assertEqual([r.status for r in replies], finals)
                self.assertEqual(self.target.faults(), [])
                self.assertEqual(len(self.target.requests()), seen)

    def test_each_case_over_http2(self):
        """The target speaks HTTP/1.1: whatever comes in frames has to be one request there, for the host that it was sent to."""
        for name, headers, body, trailers, wanted, seen in hostile_h2.CASES:
            with self.subTest(name):
                self.target.forget()
                status, answer, end = h2_raw.exchange(self.front.port, h2_raw.request(headers, body, trailers))
                requests = self.target.requests()
                self.assertEqual(wanted, status if status is not None else end)
                self.assertEqual(self.target.faults(), [])
                self.assertEqual([r.target for r in requests], [seen] if seen else [])
                self.assertEqual([r.get("host") for r in requests], [dict(headers).get(b":authority", b"a").decode()] if seen else [])
                self.assertEqual([r.get("upgrade") for r in requests], [None] if seen else [])
                if seen:
                    self.assertEqual(answer.decode(), seen)
        self.assertEqual(raw.get(self.front.port, "/innocent").body, b"/innocent")

    def test_floods_of_frames_hold_nobody_up(self):
        """Frames that cost their sender little: the connection ends, or they are read, and others are served meanwhile."""
        head, count = h2_raw.block(hostile_h2.get()), 20000
        floods = {
            "headers without end": h2_raw.frame(h2_raw.HEADERS, 0, 1, head) + h2_raw.frame(9, 0, 1, h2_raw.block([(b"x", b"a" * 100)])) * count,
            "headers of nothing": h2_raw.frame(h2_raw.HEADERS, 0, 1, head) + h2_raw.frame(9, 0, 1) * count,
            "settings": h2_raw.frame(h2_raw.SETTINGS, 0, 0) * count,
            "pings": h2_raw.frame(6, 0, 0, b"12345678") * count,
            "requests taken back": b"".join(
                h2_raw.frame(h2_raw.HEADERS, 5, stream, head) + h2_raw.frame(h2_raw.RST_STREAM, 0, stream, b"\0\0\0\x08")
                for stream in range(1, count // 2, 2)),
        }
        for name, frames in floods.items():
            with self.subTest(name), socket.create_connection(("127.0.0.1", self.front.port), timeout=10) as flood:
                try:
                    flood.settimeout(0.5)
                    flood.sendall(h2_raw.PREFACE + h2_raw.frame(h2_raw.SETTINGS, 0, 0) + frames)
                except OSError:
                    pass  # it is ended, or not read any more: nobody reads its answers either
                self.assertEqual(raw.get(self.front.port, "/innocent").body, b"/innocent")
        self.assertEqual(self.target.faults(), [])

    def test_whatever_is_made_of_them(self):
        """Cases cut, joined and changed by dice: nothing is known of the answers, but that the target is never confused and
        gets a request for each answer of its own."""
        bits = [b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"0\r\n\r\n", b"Content-Length: 5\r\n", hostile.CHUNKED,
                b"Transfer-Encoding", b", chunked", b";", b"\x0b", b"HTTP/1.0", hostile.SMUGGLED, b"Connection: close\r\n"]
        for seed in range(2500):
            dice = random.Random(seed)
            data = bytearray(b"".join(dice.choice(hostile.CASES)[1][:2000] for _ in range(dice.choice((1, 1, 2)))))
            for _ in range(dice.randint(1, 3)):
                at = dice.randrange(len(data) + 1)
                kind = dice.randrange(4)
                if kind == 0:
                    data[at:at] = dice.choice(bits)
                elif kind == 1:
                    del data[at:at + dice.randint(1, 8)]
                elif kind == 2:
                    data[at:at + 1] = bytes([dice.randrange(256)])
                else:
                    data[at:at] = data[dice.randrange(len(data) + 1):][:dice.randint(1, 30)]
            with self.subTest(seed=seed):
                self.target.forget()
                client = raw.Client(self.front.port)
                client.send(bytes(data))
                client.sock.shutdown(socket.SHUT_WR)
                replies = client.read(3)
                client.close()
                self.assertEqual(self.target.faults(), [], bytes(data[:600]))
                own = [r.body.decode("latin-1") for r in replies if r.get("x-got") is not None]
                # Who went before the end of an answer gets less than the target was asked for.
                self.assertEqual(own, [r.target for r in self.target.requests()][:len(own)], bytes(data[:600]))


class Answers(unittest.TestCase):
    """What a target says ends with its answer: nobody gets the rest of it for his own."""

    def test_each_case(self):
        with Naru("answers") as naru:
            odd = {}
            target = raw.Target(lambda connection, request: odd.get(request.target) or echo(connection, request))
            self.addCleanup(target.stop)
            front = raw.Front(naru, target)
            for name, answer, status, body in hostile.ANSWERS:
                with self.subTest(name):
                    odd["/odd"] = answer
                    client = raw.Client(front.port)
                    replies = client.send(get("/odd")).read(5, 1)
                    self.assertEqual([r.status for r in replies if r.status >= 200], [status])
                    if body is not None:
                        self.assertEqual(replies[-1].body, body)
                    replies += client.send(get("/after")).read(5, 2)[len(replies):]
                    self.assertEqual((replies[-1].status, replies[-1].body), (200, b"/after"))
                    client.close()
                    for i in range(3):
                        self.assertEqual(raw.get(front.port, f"/innocent{i}").body, b"/innocent%d" % i)
            odd["/odd"] = raw.plain(b"mine") + hostile.STRAY
            client = raw.Client(front.port)
            client.send(b"HEAD /odd HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").read(5)
            self.assertTrue(client.is_closed and client.data.endswith(b"\r\n\r\n"), client.data)
            client.close()
            self.assertEqual(raw.get(front.port, "/innocent").body, b"/innocent")


def get(path):
    return f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode()


class Slow(Case):
    """Clients that take their time hold nobody up, and are let go."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.front.set(idle_timeout__timeout_seconds="2")

    def quick(self):
        answer, took = raw.seconds(lambda: raw.get(self.front.port, "/quick"))
        self.assertEqual(answer.status, 200)
        self.assertLess(took, 1.9)  # who is held up waits until the others are let go, after 2 s

    def test_bodies_that_stop(self):
        clients = [raw.Client(self.front.port, 30) for _ in range(200)]
        for client in clients:
            client.send(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
        self.quick()
        begin = time.monotonic()
        statuses = [[r.status for r in client.read(10)] for client in clients]
        self.assertLess(time.monotonic() - begin, 6)
        self.assertEqual(statuses, [[504]] * 200)  # 408 in AWS (LIMITS)
        self.quick()

    def test_readers_that_stop(self):
        size = 32 << 20
        big = raw.plain(b"x" * size)  # once: eight made at a time hold up the target itself
        self.target.answer = lambda c, r: big if r.target == "/big" else echo(c, r)
        try:
            clients = [raw.Client(self.front.port, 30) for _ in range(8)]
            for client in clients:
                client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            time.sleep(0.5)
            self.quick()
            time.sleep(3)  # longer than the idle timeout
            for client in clients:
                client.read(5)
                self.assertTrue(client.is_closed)
                self.assertLess(len(client.data), size)
                client.close()
            self.quick()
        finally:
            self.target.answer = echo

    def test_a_reader_that_is_slow_but_reads(self):
        body = b"x" * (8 << 20)
        self.target.answer = lambda c, r: raw.plain(body) if r.target == "/big" else echo(c, r)
        try:
            client = raw.Client(self.front.port, 30)
            client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            client.send(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
            got, begin = 0, time.monotonic()
            while got < len(body):
                data = client.sock.recv(1 << 20)
                self.assertTrue(data)
                got += len(data)
                if time.monotonic() - begin < 5:  # twice the idle timeout and more
                    time.sleep(0.05)
            client.close()
        finally:
            self.target.answer = echo


class SlowHeads(Case):
    def test_heads_that_stop(self):
        """A minute for the first head, as naru's configuration says; nobody else waits meanwhile."""
        clients = [raw.Client(self.front.port, 90) for _ in range(1000)]
        for client in clients:
            client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\nX-")
        begin = time.monotonic()
        while time.monotonic() - begin < 2:
            answer, took = raw.seconds(lambda: raw.get(self.front.port, "/quick"))
            self.assertEqual(answer.status, 200)
            self.assertLess(took, 1.9)  # who is held up waits until the others are let go, after 2 s
            for client in clients[::50]:
                client.send(b"a")  # a byte now and then buys no time
            time.sleep(0.2)
        if harness.SOAK:
            statuses = [[r.status for r in client.read(70)] for client in clients[:50]]
            self.assertEqual(statuses, [[408]] * 50)
            self.assertLess(time.monotonic() - begin, 70)
        for client in clients:
            client.close()
