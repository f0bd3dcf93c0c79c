# SPDX-License-Identifier: MIT
"""h2_raw.py - a client of HTTP/2 (in clear text, RFC 9113) that sends what it is told to, whether or not it may be sent."""
import contextlib
import socket
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS, ACK = 1, 4, 1
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
STATIC_STATUS = {8: 200, 9: 204, 10: 206, 11: 304, 12: 400, 13: 404, 14: 500}  # of HPACK's table


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def number(value, bits):
    most = (1 << bits) - 1
    if value < most:
        return bytes([value])
    out, value = [most], value - most
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes(out + [value])


def block(headers):
    """Each header as a literal that nobody keeps, nothing of it checked or made small."""
    return b"".join(b"\x00" + b"".join(number(len(text), 7) + text for text in pair) for pair in headers)


def status_of(payload):
    """The first header of an answer is its status."""
    first = payload[0]
    if first & 0x80:
        return STATIC_STATUS.get(first & 0x7f)
    return int(payload[2:5])


def request(headers, body=b"", trailers=None):
    """The frames of one, on stream 1."""
    ends = not body and trailers is None
    out = frame(HEADERS, END_HEADERS | (END_STREAM if ends else 0), 1, block(headers))
    if body:
        out += frame(DATA, END_STREAM if trailers is None else 0, 1, body)
    if trailers is not None:
        out += frame(HEADERS, END_HEADERS | END_STREAM, 1, block(trailers))
    return out


def take_frames(data):
    """[(kind, flags, stream, payload)] of those that are whole."""
    at, found = 0, []
    while len(data) >= at + 9:
        size = int.from_bytes(data[at:at + 3], "big")
        if len(data) < at + 9 + size:
            break
        found.append((data[at + 3], data[at + 4], int.from_bytes(data[at + 5:at + 9], "big"), data[at + 9:at + 9 + size]))
        at += 9 + size
    return found


def exchange(port, frames, quiet=5):
    """(status or None, body, how it ended): "end", "reset", "goaway", "close" or "silence"."""
    status, body, data = None, b"", b""
    with socket.create_connection(("127.0.0.1", port), timeout=quiet) as sock, contextlib.suppress(ConnectionError):
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0) + frames)
        while True:
            try:
                part = sock.recv(65536)
            except socket.timeout:
                return status, body, "silence"
            if not part:
                return status, body, "close"
            data += part
            status, body = None, b""
            for kind, flags, stream, payload in take_frames(data):
                if kind == HEADERS and status is None:
                    status = status_of(payload)
                if kind == DATA:
                    body += payload
                if kind == GOAWAY:
                    return status, body, "goaway"
                if kind == RST_STREAM:
                    return status, body, "reset"
                if kind in (HEADERS, DATA) and flags & END_STREAM:
                    return status, body, "end"
    return status, body, "close"
