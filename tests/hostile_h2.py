# SPDX-License-Identifier: MIT
"""hostile_h2.py - the corpus of test_hostile.py over HTTP/2: what would be two requests, or another one, once it is written
as HTTP/1.1 for the target.

Each case is (name, headers, body, trailers, answer, seen): the answer is a status, or how the stream or connection ends without
one; `seen` is what the target gets as its request's path, or None. `/smuggled` is the target of what nobody may take for a request."""

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n"


def pseudo(method=b"GET", path=b"/one", authority=b"a", scheme=b"http"):
    """Those that are None are not there."""
    found = [(b":method", method), (b":scheme", scheme), (b":path", path), (b":authority", authority)]
    return [pair for pair in found if pair[1] is not None]


def get(*headers, **changed):
    return pseudo(**changed) + list(headers)


def post(*headers, **changed):
    return pseudo(method=b"POST", **changed) + list(headers)


def case(name, headers, answer, seen=None, body=b"", trailers=None):
    return name, headers, body, trailers, answer, seen


def length(text):
    return b"content-length", text


CASES = [
    # -- what is plainly one request
    case("plain", get(), 200, "/one"),
    case("a body by length", post(length(b"5")), 200, "/one", b"hello"),
    case("a body without length", post(), 200, "/one", b"hello"),
    case("trailers", post(), 200, "/one", b"hello", [(b"x-sum", b"1")]),
    case("crumbs of cookies", get((b"cookie", b"a=1"), (b"cookie", b"b=2")), 200, "/one"),
    # -- lines within what is no line
    case("CRLF in a value", get((b"x", b"a\r\ntransfer-encoding: chunked")), "reset"),
    case("a request in a value", get((b"x", b"a\r\n\r\n" + SMUGGLED)), "reset"),
    case("a line feed in a value", get((b"x", b"a\nhost: b")), "reset"),
    case("a carriage return in a value", get((b"x", b"a\rb")), "reset"),
    case("NUL in a value", get((b"x", b"a\x00b")), "reset"),
    case("CRLF in a name", get((b"transfer-encoding: chunked\r\nx", b"a")), "reset"),
    case("a colon in a name", get((b"x:y", b"a")), "reset"),
    case("a blank behind a name", post((b"transfer-encoding ", b"chunked")), "reset", None, b"0\r\n\r\n"),
    case("capitals in a name", get((b"X-Up", b"a")), "reset"),
    case("NUL in a name", get((b"x\x00", b"a")), "reset"),
    case("a name of nothing", get((b"", b"a")), "goaway"),
    case("CRLF in the path", get(path=b"/one HTTP/1.1\r\nHost: b\r\nX: "), "reset"),
    case("CRLF in the method", get(method=b"GET / HTTP/1.1\r\nX: a"), "reset"),
    case("CRLF in the scheme", get(scheme=b"http\r\nX: a"), "reset"),
    case("CRLF in the authority", get(authority=b"a\r\nX: b"), "reset"),
    # -- headers of HTTP/1.1's framing
    case("a coding", post((b"transfer-encoding", b"chunked")), "reset", None, b"0\r\n\r\n" + SMUGGLED),
    case("a coding and a length", post((b"transfer-encoding", b"chunked"), length(b"5")), "reset", None, b"0\r\n\r\n"),
    case("connection", get((b"connection", b"x-a"), (b"x-a", b"1")), "reset"),
    case("keep-alive", get((b"keep-alive", b"1")), "reset"),
    case("proxy-connection", get((b"proxy-connection", b"close")), "reset"),
    case("upgrade", get((b"upgrade", b"websocket")), "reset"),
    case("te of trailers", get((b"te", b"trailers")), 200, "/one"),
    case("te of gzip", get((b"te", b"gzip")), "reset"),
    # -- lengths that the frames do not have
    case("a length of nothing", post(length(b"0")), "reset", None, SMUGGLED),
    case("a length that is less", post(length(b"3")), "reset", None, b"hello"),
    case("a length that is more", post(length(b"50")), "reset", None, b"hello"),
    case("two lengths", post(length(b"5"), length(b"6")), "reset", None, b"hello"),
    case("the same length twice", post(length(b"5"), length(b"5")), 200, "/one", b"hello"),
    case("a list of two", post(length(b"5,6")), "reset", None, b"hello"),
    case("a sign", post(length(b"+5")), "reset", None, b"hello"),
    case("an empty length", post(length(b"")), "reset", None, b"hello"),
    # -- the first line
    case("a blank in the path", get(path=b"/one two"), "reset"),
    case("an empty path", get(path=b""), "reset"),
    case("a path without slash", get(path=b"one"), "reset"),
    case("an absolute URI", get(path=b"http://b/one"), "reset"),
    case("a path that is a host", get(path=b"@b/one"), "reset"),
    case("a fragment", get(path=b"/one#two"), "reset"),
    case("NUL in the path", get(path=b"/one\x00"), "reset"),
    case("a control character in the path", get(path=b"/one\x7f"), 400),
    case("an asterisk", get(path=b"*", method=b"OPTIONS"), 200, "*"),
    case("a request as method", get(method=b"GET /smuggled HTTP/1.1"), 400),
    case("an empty method", get(method=b""), "reset"),
    case("a method in small letters", get(method=b"get"), 200, "/one"),
    case("a URI as scheme", get(scheme=b"http://b/x?"), 400),
    case("an empty scheme", get(scheme=b""), 400),
    # -- which host
    case("a host beside the authority", get((b"host", b"b")), 200, "/one"),
    case("a host instead", get((b"host", b"a"), authority=None), 200, "/one"),
    case("a blank in the authority", get(authority=b"a b"), 400),
    case("a path in the authority", get(authority=b"a/b"), 200, "/b/one"),
    case("a query in the authority", get(authority=b"a?b"), 200, "/one"),
    # -- pseudo-headers
    case("two authorities", get((b":authority", b"b")), "reset"),
    case("two paths", get((b":path", b"/smuggled")), "reset"),
    case("two methods", get((b":method", b"PUT")), "reset"),
    case("no method", get(method=None), "reset"),
    case("no path", get(path=None), "reset"),
    case("no scheme", get(scheme=None), "reset"),
    case("one behind the headers", get((b"x", b"a"), (b":authority", b"a"), authority=None), "reset"),
    case("an unknown one", get((b":x", b"a")), "reset"),
    case("one of answers", get((b":status", b"200")), "reset"),
    # -- trailers
    case("a length among the trailers", post(), "reset", None, b"hello", [length(b"0")]),
    case("a coding among the trailers", post(), "reset", None, b"hello", [(b"transfer-encoding", b"chunked")]),
    case("a path among the trailers", post(), "reset", None, b"hello", [(b":path", b"/smuggled")]),
    case("a host among the trailers", post(), "reset", None, b"hello", [(b"host", b"b")]),
    case("a request among the trailers", post(), "reset", None, b"hello", [(b"x", b"a\r\n\r\n" + SMUGGLED)]),
    case("a colon among the trailers", post(), "reset", None, b"hello", [(b"x: y", b"b")]),
    # -- ways past us
    case("TRACE", get(method=b"TRACE"), 405),
    case("CONNECT", [(b":method", b"CONNECT"), (b":authority", b"a:80")], 405),
    case("CONNECT with a path", get(method=b"CONNECT"), "reset"),
    case("CONNECT to another protocol", get((b":protocol", b"h2c"), method=b"CONNECT"), 200, "/one"),
    case("31 addresses", get((b"x-forwarded-for", b", ".join([b"10.0.0.1"] * 31))), 463),
    # -- size
    case("a header of 16 KB", get((b"x", b"a" * 16000)), "reset"),
    case("two hundred headers", get(*[(b"x-%d" % i, b"a") for i in range(200)]), "goaway"),
]
