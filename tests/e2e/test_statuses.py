# SPDX-License-Identifier: MIT
"""What the load balancer answers when targets fail, as AWS means the codes; what is repeated, and what never is; how bodies,
tunnels and clients of other ages pass."""
import socket
import threading
import time
import unittest

import harness
import raw
from harness import Naru, wait_until
from raw import get, seconds

POST = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.naru = Naru("statuses")
        cls.addClassCleanup(lambda: cls.naru.__exit__())
        cls.naru.start()
        cls.target = raw.Target()
        cls.addClassCleanup(cls.target.stop)
        cls.front = raw.Front(cls.naru, cls.target)
        cls.port = cls.front.port
        cls.front.set(idle_timeout__timeout_seconds="2")

    def setUp(self):
        self.target.answer = lambda connection, request: raw.plain()
        self.target.on_head = None
        self.target.forget()

    def post(self):
        return raw.exchange(self.port, POST)[-1]


class Statuses(Case):
    def test_closed_before_an_answer(self):
        """502, of a connection that was made for the request."""
        self.target.answer = lambda connection, request: None
        self.assertEqual(get(self.port).status, 502)
        self.assertEqual(get(self.port, method="POST").status, 502)

    def test_garbage(self):
        for garbage in (b"hello\r\n\r\n", b"HTTP/1.1 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1, 2\r\n\r\nab",
                        b"HTTP/1.1 200 OK\r\nX Y: a\r\n\r\n", b"\x16\x03\x01\x00\x00"):
            with self.subTest(garbage):
                self.target.answer = lambda connection, request: garbage
                answer, took = seconds(lambda: get(self.port))
                self.assertEqual(answer.status, 502)
                self.assertLess(took, 2.9)

    def test_no_answer_in_time(self):
        def quiet(connection, request):
            time.sleep(4)
            return raw.plain()
        self.target.answer = quiet
        answer, took = seconds(lambda: get(self.port))
        self.assertEqual(answer.status, 504)
        self.assertGreater(took, 1.8)
        self.assertLess(took, 3.5)
        self.assertEqual(self.post().status, 504)
        self.assertEqual([r.method for r in self.target.requests()], ["GET", "POST"])  # neither was repeated

    def test_a_body_that_breaks_off_stays_so(self):
        for head in (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"):
            def broken(connection, request):
                connection.sock.sendall(head)
                return None
            self.target.answer = broken
            client = raw.Client(self.port)
            client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").read(5)
            self.assertTrue(client.is_closed)
            self.assertTrue(client.data.startswith(b"HTTP/1.1 200"))
            self.assertIn(b"ab", client.data)
            self.assertFalse(raw.split_replies(client.data)[0].is_whole, client.data)
            client.close()

    def test_answers_of_the_target_stay(self):
        for status in (404, 500, 502, 503, 504):
            self.target.answer = lambda c, r: b"HTTP/1.1 %d X\r\nContent-Length: 4\r\n\r\nmine" % status
            answer = get(self.port)
            self.assertEqual((answer.status, answer.body), (status, b"mine"))

    def test_an_informational_answer_passes(self):
        self.target.answer = lambda c, r: b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + raw.plain()
        replies = raw.exchange(self.port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        self.assertEqual([r.status for r in replies], [103, 200])

    def test_one_request_a_try(self):
        """A POST that reached a target is never sent again; nor is a GET to the only one that keeps failing for ever."""
        self.target.answer = lambda connection, request: None
        self.assertEqual(self.post().status, 502)
        self.assertEqual(len(self.target.requests()), 1)
        self.target.forget()
        self.assertEqual(get(self.port).status, 502)
        self.assertLessEqual(len(self.target.requests()), 4)


class Groups(Case):
    def test_empty_refused_and_dead(self):
        other = raw.Target()
        front = raw.Front(self.naru, name="groups")
        self.assertEqual(get(front.port).status, 503)  # nobody is registered
        front.register(other)
        wait_until("the target to be served", lambda: get(front.port).status == 200, 10)
        other.listener.shutdown(socket.SHUT_RDWR)
        other.stop()
        with socket.socket() as held:  # else the port may be somebody else's by now
            held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            held.bind(("127.0.0.1", other.port))
            self.assertEqual(get(front.port, method="POST").status, 502)  # refused
        front.deregister(other)
        wait_until("the group to be empty", lambda: get(front.port).status == 503, 20)

    def test_all_weights_zero(self):
        front = raw.Front(self.naru, self.target, name="zero")
        weights = [{"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": front.group, "Weight": 0}]}}]
        front.elb.modify_listener(ListenerArn=front.listener, DefaultActions=weights)
        wait_until("503", lambda: get(front.port).status == 503, 10)

    def test_a_get_is_repeated_at_another_target_and_a_post_is_not(self):
        good, bad = raw.Target(), raw.Target(lambda connection, request: None)
        front = raw.Front(self.naru, good, bad, name="two")
        statuses = [get(front.port).status for _ in range(20)]
        self.assertEqual(statuses, [200] * 20)
        self.assertGreater(len(bad.requests()), 0)
        good.forget()
        bad.forget()
        statuses = [raw.exchange(front.port, POST)[-1].status for _ in range(20)]
        failed = len([r for r in bad.requests() if r.method == "POST"])
        self.assertGreater(failed, 0)
        self.assertEqual(sorted(set(statuses)), [200, 502])
        self.assertEqual(statuses.count(502), failed)  # each of them was sent once
        self.assertEqual(len([r for r in good.requests() if r.method == "POST"]), 20 - failed)

    @unittest.skipUnless(harness.SOAK, "takes 40 seconds")
    def test_a_connection_that_is_not_accepted(self):
        """Four tries of ten seconds (LIMITS). A full backlog is what a black hole is on loopback."""
        front = raw.Front(self.naru, name="hole")
        checked = raw.Target()
        front.register(checked)
        port = checked.port
        checked.listener.shutdown(socket.SHUT_RDWR)
        checked.stop()
        time.sleep(0.1)
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("127.0.0.1", port))
        deaf.listen(0)
        fill = []
        for _ in range(4):
            s = socket.socket()
            s.setblocking(False)
            s.connect_ex(("127.0.0.1", port))
            fill.append(s)
        answer, took = seconds(lambda: raw.exchange(front.port, POST, quiet=60)[-1])
        for s in [*fill, deaf]:
            s.close()
        self.assertEqual(answer.status, 502)
        self.assertLess(took, 50)


class Passing(Case):
    def test_expect_100(self):
        def patient(connection):
            if b"\r\n\r\n" in connection.data and not connection.sent:
                connection.sent = True
                connection.sock.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
            if connection.data.endswith(b"hello"):
                connection.sock.sendall(raw.plain())
        self.target.on_head = patient
        client = raw.Client(self.port)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        self.assertEqual([r.status for r in client.read(1)], [100])
        self.assertEqual([r.status for r in client.send(b"hello").read(5, 1)], [100, 200])
        client.close()

    def test_bodies_stream_both_ways(self):
        """Each piece arrives before the next is sent."""
        arrived = threading.Event()
        got = []

        def piecewise(connection):
            got.append(bytes(connection.data))
            arrived.set()
        self.target.on_head = piecewise
        client = raw.Client(self.port)
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for i in range(5):
            client.send(b"6\r\npiece%d\r\n" % i)
            wait_until(f"piece {i}", lambda: b"piece%d" % i in self.target.bytes(), 2, 0.001)
        client.send(b"0\r\nX-Sum: 7\r\n\r\n")
        wait_until("the trailer", lambda: b"x-sum: 7" in self.target.bytes().lower(), 2, 0.001)
        connection = next(c for c in self.target.connections if b"piece0" in c.data)
        connection.sock.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n")
        for i in range(5):
            connection.sock.sendall(b"7\r\nanswer%d\r\n" % i)
            wait_until(f"answer {i}", lambda: client.read(0.01) is not None and b"answer%d" % i in client.data, 2, 0.001)
        connection.sock.sendall(b"0\r\nX-End: 9\r\n\r\n")
        client.read(5, 1)
        self.assertIn(b"x-end: 9", client.data.lower())
        client.close()

    def test_clients_of_http_1_0(self):
        def until_the_end(connection, request):  # the target is told how old its client is
            self.assertEqual(request.minor, 0)
            connection.sock.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        self.target.answer = until_the_end
        client = raw.Client(self.port)
        client.send(b"GET / HTTP/1.0\r\n\r\n").read(5)
        self.assertTrue(client.is_closed)
        self.assertEqual(client.data.partition(b"\r\n\r\n")[2], b"hello")
        client.close()
        self.target.answer = lambda c, r: raw.plain()
        client = raw.Client(self.port)
        for _ in range(2):
            replies = client.send(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n").read(5, 1)
            self.assertEqual(replies[-1].status, 200)
            client.data = b""
        client.close()

    def test_a_tunnel_lives_as_long_as_it_is_used(self):
        def upgrade(connection):
            if not connection.sent and b"\r\n\r\n" in connection.data:
                connection.sent = True
                connection.data.clear()
                connection.sock.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                                        b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
            elif connection.sent:
                connection.sock.sendall(bytes(connection.data))
                connection.data.clear()
        self.target.on_head = upgrade
        client = raw.Client(self.port)
        client.send(b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        client.sock.settimeout(5)
        self.assertIn(b"101", client.sock.recv(4096))
        for i in range(8):  # four seconds, twice the idle timeout
            client.send(b"\x00\xffGET / HTTP/1.1\r\n\r\n%d" % i)
            self.assertEqual(client.sock.recv(4096), b"\x00\xffGET / HTTP/1.1\r\n\r\n%d" % i)
            time.sleep(0.5)
        data, took = seconds(lambda: client.sock.recv(4096))
        self.assertEqual(data, b"")
        self.assertGreater(took, 1)
        self.assertLess(took, 4)
        client.close()

    def test_a_client_that_goes_away(self):
        """460 is only ever seen in logs; the target's connection is not kept busy, and nobody else is hurt."""
        self.target.answer = lambda c, r: time.sleep(0.5) or raw.plain()
        for _ in range(20):
            client = raw.Client(self.port)
            client.send(b"GET /gone HTTP/1.1\r\nHost: a\r\n\r\n")
            client.close()
        self.target.answer = lambda c, r: raw.plain()
        self.assertEqual(get(self.port).status, 200)
