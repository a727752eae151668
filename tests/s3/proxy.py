"""Stands between a client and the S3 server and spoils what passes: refuses, cuts, delays, loses answers."""

from __future__ import annotations

import http.client
import random
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

SLOW_DOWN = (503, "SlowDown", "Please reduce your request rate.")
EXPIRED = (400, "ExpiredToken", "The provided token has expired.")

#: What can be done to a request: `refuse` answers in the server's place, `cut` breaks the connection before the server sees
#: the request, `lose` after it was carried out, `halve` in the middle of the answer, `stall` answers when nobody waits.
FAULTS = ("refuse", "cut", "lose", "halve", "stall")


@dataclass(frozen=True)
class Request:
    """A request as it passes: how many there were before it of its method and path."""

    method: str
    path: str
    before: int
    headers: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)


#: Says what happens to a request: one of FAULTS, or None to let it pass.
Plan = Callable[[Request], "str | None"]


@dataclass
class Proxy:
    """Listens on loopback. `plan` may be changed at any time; `seen` counts what was done."""

    url: str
    plan: Plan = lambda _: None
    refusal: tuple[int, str, str] = SLOW_DOWN
    patience: float = 3.0
    seen: Counter[str] = field(default_factory=Counter)
    passed: list[Request] = field(default_factory=list)

    def sometimes(self, share: float, seed: int, faults: tuple[str, ...] = FAULTS) -> None:
        """Spoil this share of requests, never one of the same kind twice in a row, nor a call twice in a row whoever calls beside
        it: what is bounded must be survived."""
        draw, lock, spoilt, calls = random.Random(seed), threading.Lock(), set[tuple[str, str]](), set[str]()

        def plan(request: Request) -> str | None:
            place = (request.method, request.path.partition("?")[0])
            # an AWS client gives all attempts of a call the same
            call = request.headers.get("amz-sdk-invocation-id", "")
            with lock:
                if place in spoilt or call in calls or draw.random() >= share:
                    spoilt.discard(place)
                    calls.discard(call)
                    return None
                spoilt.add(place)
                calls.update([call] if call else ())
                return draw.choice(faults)

        self.plan = plan


@contextmanager
def proxied(url: str) -> Iterator[Proxy]:
    """A proxy before the server of this URL."""
    proxy = Proxy("")
    target = urlsplit(url).netloc

    class Handler(_Handler):
        pass

    Handler.proxy, Handler.target = proxy, target
    listener = _Listener(("127.0.0.1", 0), Handler)
    proxy.url = f"http://127.0.0.1:{listener.server_address[1]}"
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    proxy: Proxy
    target: str
    counts: Counter[tuple[str, str]]

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: tests look at what clients say."""

    def _pass(self) -> None:
        body = self._body()
        counts = self.proxy.seen
        key = f"{self.command} {self.path}"
        given = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, counts[key], given)
        counts[key] += 1
        self.proxy.passed.append(request)
        fault = self.proxy.plan(request)
        if fault:
            counts[fault] += 1
        if fault == "cut":
            self._break()
        elif fault == "refuse":
            self._refuse()
        elif fault == "stall":
            threading.Event().wait(self.proxy.patience)
            self._break()
        else:
            status, headers, content = self._forward(body)
            if fault == "lose":
                self._break()
            else:
                self._answer(status, headers, content, half=fault == "halve")

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _pass  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _forward(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.target, timeout=60)
        try:
            # as it came, host and all: the signature covers it
            connection.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.putheader("Connection", "close")
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes, half: bool) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        known = {name.lower(): value for name, value in headers}
        length = known.get("content-length", "0") if self.command == "HEAD" else str(len(content))
        if status not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if half else content)
        if half:
            self.wfile.flush()
            self._break()

    def _refuse(self) -> None:
        status, code, message = self.proxy.refusal
        words = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
        self._answer(
            status, [("Content-Type", "application/xml")], b"" if self.command == "HEAD" else words.encode(), False
        )

    def _break(self) -> None:
        """Reset the connection rather than end it: the client is told nothing."""
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
