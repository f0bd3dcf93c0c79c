# SPDX-License-Identifier: MIT
"""hostile.py - requests that are two to one reader and one to another, or none at all: the corpus of test_hostile.py.

Each case is (name, bytes, statuses, seen): what is sent at once on one connection, which answers come back in the mode
`defensive` ("close": the connection ends after them), and how many requests the target gets. STRICTEST has the statuses where they
differ in that mode. `/smuggled` is the target of what nobody may take for a request."""

HOST = b"Host: a\r\n"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def post(headers, body=b"", version=b"1.1"):
    return b"POST /one HTTP/" + version + b"\r\n" + HOST + headers + b"\r\n" + body


def get(headers=b"", target=b"/one", version=b"HTTP/1.1", method=b"GET"):
    return method + b" " + target + b" " + version + b"\r\n" + HOST + headers + b"\r\n"


def many(count, size=10):
    return b"".join(b"X-%d: %s\r\n" % (i, b"a" * size) for i in range(count))


CASES = [
    # -- what is plainly one request
    ("plain", get(), [200], 1),
    ("a body by length", post(b"Content-Length: 5\r\n", b"hello"), [200], 1),
    ("a body in chunks", post(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n"), [200], 1),
    ("two in a row", get() + get(), [200, 200], 2),
    ("a body, then another request", post(b"Content-Length: 5\r\n", b"hello") + get(), [200, 200], 2),
    ("HTTP/1.0", get(version=b"HTTP/1.0"), [200, "close"], 1),
    # -- length and coding
    ("CL.TE", post(b"Content-Length: 6\r\n" + CHUNKED, b"0\r\n\r\nG"), [200, "close"], 1),
    ("CL.TE with a request", post(b"Content-Length: %d\r\n" % (5 + len(SMUGGLED)) + CHUNKED, b"0\r\n\r\n" + SMUGGLED),
     [200, "close"], 1),
    ("TE.CL", post(CHUNKED + b"Content-Length: 4\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)), [200, "close"], 1),
    ("TE.CL of nothing", post(CHUNKED + b"Content-Length: 0\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
     [200, "close"], 1),
    ("CL.0", post(b"Content-Length: %d\r\n" % len(SMUGGLED), SMUGGLED), [200], 1),
    ("a length of GET", get(b"Content-Length: %d\r\n" % len(SMUGGLED)) + SMUGGLED, [200], 1),
    ("a coding of GET", get(CHUNKED) + b"0\r\n\r\n", [200], 1),
    # -- codings that some take for chunked
    ("TE.TE", post(CHUNKED + b"Transfer-Encoding: x\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE.TE identity", post(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE twice", post(CHUNKED + CHUNKED, b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE in a list", post(b"Transfer-Encoding: chunked, chunked\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE xchunked", post(b"Transfer-Encoding: xchunked\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE identity", post(b"Transfer-Encoding: identity\r\nContent-Length: 2\r\n", b"ab"), [400, "close"], 0),
    ("TE quoted", post(b'Transfer-Encoding: "chunked"\r\n', b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE gzip, chunked", post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n" + SMUGGLED), [422, "close"], 0),
    ("TE chunked, gzip", post(b"Transfer-Encoding: chunked, gzip\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE with an empty item", post(b"Transfer-Encoding: chunked,\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE after an empty item", post(b"Transfer-Encoding: , chunked\r\n", b"0\r\n\r\n" + SMUGGLED), [422, "close"], 0),
    ("TE and an empty one", post(CHUNKED + b"Transfer-Encoding:\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE and an empty list", post(CHUNKED + b"Transfer-Encoding: ,\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE with a parameter", post(b"Transfer-Encoding: chunked;a=b\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE in capitals", post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"0\r\n\r\n"), [200], 1),
    ("TE after a tab", post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n"), [200], 1),
    ("TE after a vertical tab", post(b"Transfer-Encoding:\x0bchunked\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE after a NUL", post(b"Transfer-Encoding: \x00chunked\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE before a NUL", post(b"Transfer-Encoding: chunked\x00\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("TE folded", post(b"Transfer-Encoding:\r\n chunked\r\n", b"0\r\n\r\n"), [200], 1),
    ("TE folded with more", post(b"Transfer-Encoding: chunked\r\n , x\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("a blank before the colon", post(b"Transfer-Encoding : chunked\r\n", b"0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("a tab before the colon", post(b"Content-Length\t: 5\r\n", b"hello"), [400, "close"], 0),
    ("a blank before the name", b"POST /one HTTP/1.1\r\n Transfer-Encoding: chunked\r\nHost: a\r\n\r\n0\r\n\r\n" + SMUGGLED,
     [400, "close"], 0),
    ("a line feed before the name", post(b"X: a\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
     [200, "close"], 1),
    ("a carriage return before the name", post(b"X: a\rTransfer-Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"),
     [400, "close"], 0),
    ("an underscore", post(b"Transfer_Encoding: chunked\r\nContent-Length: 5\r\n", b"0\r\n\r\n"), [200], 1),
    ("chunks in HTTP/1.0", post(b"Connection: keep-alive\r\n" + CHUNKED, b"0\r\n\r\n" + SMUGGLED, b"1.0"), [400, "close"], 0),
    ("named as a hop's", post(b"Connection: Transfer-Encoding\r\n" + CHUNKED, b"0\r\n\r\n"), [200], 1),
    # -- lengths
    ("two lengths", post(b"Content-Length: 5\r\nContent-Length: 6\r\n", b"hello!"), [400, "close"], 0),
    ("the same length twice", post(b"Content-Length: 5\r\nContent-Length: 5\r\n", b"hello"), [200], 1),
    ("a list of the same", post(b"Content-Length: 5, 5\r\n", b"hello"), [200], 1),
    ("a list of two", post(b"Content-Length: 5, 6\r\n", b"hello!"), [400, "close"], 0),
    ("a sign", post(b"Content-Length: +5\r\n", b"hello"), [400, "close"], 0),
    ("less than nothing", post(b"Content-Length: -5\r\n", b"hello"), [400, "close"], 0),
    ("hexadecimal", post(b"Content-Length: 0x5\r\n", b"hello"), [400, "close"], 0),
    ("a blank within", post(b"Content-Length: 1 0\r\n", b"hello"), [400, "close"], 0),
    ("empty", post(b"Content-Length:\r\n", b""), [400, "close"], 0),
    ("beyond 64 bits", post(b"Content-Length: 18446744073709551621\r\n", b"hello"), [400, "close"], 0),
    ("zeros before it", post(b"Content-Length: 0005\r\n", b"hello"), [200], 1),
    # -- chunks
    ("a chunk extension", post(CHUNKED, b"5;a=b\r\nhello\r\n0\r\n\r\n"), [200], 1),
    ("a chunk extension with a line feed", post(CHUNKED, b"5;\nhello\r\n0\r\n\r\n"), [200], 1),
    ("chunks with bare line feeds", post(CHUNKED, b"5\nhello\n0\n\n"), [200], 1),
    ("a chunk of 17 digits", post(CHUNKED, b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n"), [400, "close"], 0),
    ("a chunk of 2^64 + 5", post(CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("a chunk with 0x", post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("a chunk with a sign", post(CHUNKED, b"-5\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("a chunk without a size", post(CHUNKED, b"\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("a chunk that is longer", post(CHUNKED, b"4\r\nhello\r\n0\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    ("trailers", post(CHUNKED, b"5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), [200], 1),
    ("a length among the trailers", post(CHUNKED, b"5\r\nhello\r\n0\r\nContent-Length: 0\r\n\r\n") + get(), [200, 200], 2),
    ("broken trailers", post(CHUNKED, b"5\r\nhello\r\n0\r\nX Y\r\n\r\n" + SMUGGLED), [400, "close"], 0),
    # -- lines
    ("bare line feeds", b"GET /one HTTP/1.1\nHost: a\n\n", [200], 1),
    ("empty lines first", b"\r\n\r\n" + get(), [200], 1),
    ("a folded header", get(b"X: a\r\n b\r\n"), [200], 1),
    ("NUL in a name", get(b"X\x00Y: a\r\n"), [400, "close"], 0),
    ("NUL in a value", get(b"X: a\x00b\r\n"), [200], 1),
    ("a carriage return in a value", get(b"X: a\rb\r\n"), [400, "close"], 0),
    ("a control character in a value", get(b"X: a\x01b\r\n"), [200], 1),
    ("bytes that are no ASCII", get(b"X: \xe9\xff\r\n"), [200], 1),
    ("a name of nothing", get(b": a\r\n"), [400, "close"], 0),
    ("a line without colon", get(b"X\r\n"), [400, "close"], 0),
    ("brackets in a name", get(b"X(y): a\r\n"), [400, "close"], 0),
    ("an empty value", get(b"X:\r\n"), [200], 1),
    # -- the first line
    ("HTTP/0.9", b"GET /one\r\n", [400, "close"], 0),
    ("HTTP/1.2", get(version=b"HTTP/1.2"), [200], 1),
    ("HTTP/2.0 as text", get(version=b"HTTP/2.0"), [200], 1),
    ("another protocol", get(version=b"RTSP/1.0"), [400, "close"], 0),
    ("no version", get(version=b"HTTP/"), [400, "close"], 0),
    ("a blank in the path", get(target=b"/one two"), [400, "close"], 0),
    ("NUL in the path", get(target=b"/one\x00"), [400, "close"], 0),
    ("a control character in the path", get(target=b"/one\x7f"), [400, "close"], 0),
    ("a fragment", get(target=b"/one#two"), [400, "close"], 0),
    ("an absolute URI", get(target=b"http://a/one"), [200], 1),
    ("an absolute URI of another host", get(target=b"http://b/one"), [400, "close"], 0),
    ("a path without slash", get(target=b"one"), [400, "close"], 0),
    ("an asterisk", get(target=b"*", method=b"OPTIONS"), [200], 1),
    ("a method with a bracket", get(method=b"G(T"), [400, "close"], 0),
    ("a method in small letters", get(method=b"get"), [200], 1),
    ("a long method", get(method=b"A" * 16000), [400, "close"], 0),
    ("two hosts", get(b"Host: b\r\n"), [400, "close"], 0),
    ("no host", b"GET /one HTTP/1.1\r\n\r\n", [200], 1),
    # -- ways past us
    ("TRACE", get(method=b"TRACE"), [405], 0),
    ("CONNECT", b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + get(), [405, 200], 1),
    ("an upgrade to HTTP/2", get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n"), [200], 1),
    ("an upgrade to a choice", get(b"Connection: Upgrade\r\nUpgrade: h2c, foo\r\n"), [200], 1),
    ("31 addresses", get(b"X-Forwarded-For: " + b", ".join([b"10.0.0.1"] * 31) + b"\r\n"), [463], 0),
    ("31 addresses in 31 lines", get(b"X-Forwarded-For: 10.0.0.1\r\n" * 31), [463], 0),
    ("30 addresses", get(b"X-Forwarded-For: " + b", ".join([b"10.0.0.1"] * 30) + b"\r\n"), [200], 1),
    # -- size
    ("a head of 15 KB", get(many(1, 14600)), [200], 1),
    ("a header of 16 KB", get(many(1, 16384)), [400, "close"], 0),
    ("a path of 17 KB", get(target=b"/" + b"a" * 17000), [400, "close"], 0),
    ("a head of 64 KB", get(many(64, 1000)), [400, "close"], 0),
    ("95 headers", get(many(95)), [200], 1),
    ("a thousand headers", get(many(1000)), [400, "close"], 0),
]

# In the mode `strictest`; what is not here is answered as above.
STRICTEST = {
    "a length of GET": [400, "close"], "a coding of GET": [400, "close"], "an underscore": [400, "close"],
    "NUL in a value": [400, "close"], "a control character in a value": [400, "close"],
    "bytes that are no ASCII": [400, "close"], "an empty value": [400, "close"],
}

OK = b"HTTP/1.1 200 OK\r\n"
STRAY = OK + b"Content-Length: 6\r\n\r\npoison"

# (name, what a target answers, the status that the client gets, and the body): whatever it is, the next answer on the client's
# connection, and everybody else's, is of its own request.
ANSWERS = [
    ("another answer behind it", OK + b"Content-Length: 4\r\n\r\nmine" + STRAY, 200, b"mine"),
    ("bytes behind it", OK + b"Content-Length: 4\r\n\r\nmineandmore", 200, b"mine"),
    ("a body of 204", b"HTTP/1.1 204 No\r\nContent-Length: 47\r\n\r\n" + STRAY, 204, b""),
    ("chunks of 204", b"HTTP/1.1 204 No\r\n" + CHUNKED + b"\r\n4\r\nmine\r\n0\r\n\r\n", 204, b""),
    ("a body of 304", b"HTTP/1.1 304 No\r\nContent-Length: 47\r\n\r\n" + STRAY, 304, b""),
    ("two lengths", OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nminex", 502, None),
    ("the same length twice", OK + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nmine", 200, b"mine"),
    ("length and coding", OK + b"Content-Length: 99\r\n" + CHUNKED + b"\r\n4\r\nmine\r\n0\r\n\r\n", 200, b"mine"),
    ("an unknown coding", OK + b"Transfer-Encoding: xchunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n", 502, None),
    ("two codings", OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n4\r\nmine\r\n0\r\n\r\n", 502, None),
    ("chunked twice", OK + CHUNKED + CHUNKED + b"\r\n4\r\nmine\r\n0\r\n\r\n", 502, None),
    ("a sign", OK + b"Content-Length: +4\r\n\r\nmine", 502, None),
    ("a chunk that is no number", OK + CHUNKED + b"\r\nzz\r\nmine\r\n0\r\n\r\n", 502, None),
    ("a length among the trailers", OK + CHUNKED + b"\r\n4\r\nmine\r\n0\r\nContent-Length: 9\r\n\r\n", 200, b"mine"),
    ("bare line feeds", b"HTTP/1.1 200 OK\nContent-Length: 4\n\nmine", 200, b"mine"),
    ("a folded header", OK + b"X: a\r\n b\r\nContent-Length: 4\r\n\r\nmine", 200, b"mine"),
    ("a blank before the colon", OK + b"Content-Length : 4\r\n\r\nmine", 502, None),
    ("a carriage return in a value", OK + b"X: a\rb\r\nContent-Length: 4\r\n\r\nmine", 502, None),
    ("a head that is too large", OK + b"X: " + b"a" * 20000 + b"\r\nContent-Length: 4\r\n\r\nmine", 502, None),
    ("two hundred headers", OK + many(200) + b"Content-Length: 4\r\n\r\nmine", 502, None),
    ("a status of two digits", b"HTTP/1.1 99 Odd\r\nContent-Length: 47\r\n\r\n" + STRAY, 502, None),
    ("a status of four digits", b"HTTP/1.1 1000 Odd\r\nContent-Length: 4\r\n\r\nmine", 502, None),
    ("a switch that nobody asked for", b"HTTP/1.1 101 Switch\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + STRAY,
     502, None),
    ("interim answers", b"HTTP/1.1 103 Early\r\nX: a\r\n\r\n" * 50 + OK + b"Content-Length: 4\r\n\r\nmine", 200, b"mine"),
]
