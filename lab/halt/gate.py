"""What stands before AWS and the API server: forwards each request as it came, and lets writing ones pass one at a time."""

from __future__ import annotations

import contextlib
import http.client
import re
import ssl
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from lab.aws.calls import READS
from lab.aws.exchange import Answer, Request, Server
from lab.halt.effects import Effects

_SECONDS = 120.0
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_NO_OBJECTS = re.compile(r"/apis/(authorization|authentication)\.k8s\.io/")
_CREDENTIAL = re.compile(r"Credential=([^/]+)/")


@dataclass(slots=True)
class Gate:
    """Callable from many threads: answers what *target* answers. *who* names the callers, by access key or, under "", all of them."""

    target: str
    who: dict[str, str]
    effects: Effects
    tls: ssl.SSLContext | None = None
    _idle: deque[http.client.HTTPConnection] = field(default_factory=deque)

    def __call__(self, request: Request) -> Answer | None:
        """The answer; None (a connection that breaks) where the call was dropped, or its target is gone."""
        what = written(request)
        if not what:
            return self._forward(request)
        with self.effects.passing(self._caller(request), what) as passage:
            answer = None if passage.dropped else self._forward(request)
            passage.done = answer is not None and answer.status < http.client.BAD_REQUEST
        return answer

    def _caller(self, request: Request) -> str:
        signed = _CREDENTIAL.search(request.headers.get("Authorization", ""))
        return self.who.get(signed[1] if signed else "") or self.who.get("", "somebody")

    def _forward(self, request: Request) -> Answer | None:
        """Over a kept connection, or a new one where that has gone stale."""
        if self._idle:
            with contextlib.suppress(OSError, http.client.HTTPException, IndexError):
                return self._over(self._idle.pop(), request)
        try:
            return self._over(self._connect(), request)
        except (OSError, http.client.HTTPException):
            return None

    def _over(self, connection: http.client.HTTPConnection, request: Request) -> Answer:
        try:
            answer = _exchange(connection, request)
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return answer

    def _connect(self) -> http.client.HTTPConnection:
        address = urlsplit(self.target)
        host, port = address.hostname or "", address.port
        if self.tls:
            return http.client.HTTPSConnection(host, port, timeout=_SECONDS, context=self.tls)
        return http.client.HTTPConnection(host, port, timeout=_SECONDS)

    def close(self) -> None:
        """Close what is kept; what is still under way closes with its thread."""
        while self._idle:
            self._idle.pop().close()


def written(request: Request) -> str:
    """What *request* would change, in a few words; "" where it only asks."""
    if request.headers.get("Authorization", "").startswith("AWS4-"):
        return _aws(request)
    if request.method in {"GET", "HEAD", "OPTIONS"} or "dryRun=All" in request.query or _NO_OBJECTS.match(request.path):
        return ""
    return f"{request.method} {re.sub(r'^/(api|apis/[^/]+)/[^/]+/', '', request.path)}"


def _aws(request: Request) -> str:
    if request.path.startswith("/2013-04-01/"):
        return "" if request.method == "GET" else f"{request.method} {request.path.removeprefix('/2013-04-01/')}"
    action = parse_qs(request.body.decode("utf-8", "replace")).get("Action", [""])[0]
    return "" if READS.match(action) else action


def _exchange(connection: http.client.HTTPConnection, request: Request) -> Answer:
    """The request with its own headers (a signature covers the host's name), the answer whole."""
    connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
    for name, value in _headers(request.headers.items()):
        connection.putheader(name, value)
    if request.body or request.method in {"POST", "PUT", "PATCH"}:
        connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders(request.body or None)
    answer = connection.getresponse()
    body = answer.read()
    return Answer(answer.status, tuple(_headers(answer.getheaders())), body)


def _headers(headers: Iterable[tuple[str, str]]) -> Iterable[tuple[str, str]]:
    return ((name, value) for name, value in headers if name.lower() not in _HOP)


def serve(gate: Gate) -> Server:
    """A server of *gate* on a loopback port of its own, serving until it is shut down."""
    server = Server(("127.0.0.1", 0), gate)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True).start()
    return server
