"""HTTP without a framework: a request, an answer, and a threaded server that keeps connections alive. Knows nothing of AWS."""

from __future__ import annotations

import http.client
import http.server
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True, slots=True)
class Request:
    """What a client sent; *target* is the path and query as they came."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return unquote(urlsplit(self.target).path)

    @property
    def query(self) -> str:
        return urlsplit(self.target).query


@dataclass(frozen=True, slots=True)
class Answer:
    """What a client gets."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


Application = Callable[[Request], Answer | None]
"""Answers a request, or gives None: the connection is then closed without a word."""


def as_json(document: Any, status: int = 200) -> Answer:
    """*document* as an answer."""
    return Answer(status, (("Content-Type", "application/json"),), json.dumps(document, default=str).encode())


class Server(http.server.ThreadingHTTPServer):
    """One thread a connection; *application* must be safe to call from many."""

    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], application: Application) -> None:
        self.application = application
        super().__init__(address, Connection)

    def server_bind(self) -> None:
        """Bind without asking the resolver for this machine's name, which may take seconds inside a namespace."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that has gone is nothing to report."""


class Connection(http.server.BaseHTTPRequestHandler):
    """HTTP/1.1 with keep-alive; an answer is written through a buffer, for Nagle's algorithm would hold back its second part."""

    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    timeout = 300

    def answer(self) -> None:
        """Read one request, write its answer."""
        if self.headers.get("Transfer-Encoding"):
            self.send_error(http.client.LENGTH_REQUIRED)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.server.application(Request(self.command, self.path, self.headers, body))
        if answer is None:
            self.close_connection = True
            return
        self.send_response_only(answer.status)
        self.send_header("Server", self.version_string())
        if not any(name.lower() == "date" for name, _ in answer.headers):
            self.send_header("Date", self.date_time_string())
        for name, value in answer.headers:
            if name.lower() not in {"content-length", "connection", "server"}:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Connection", "close" if self.close_connection else "keep-alive")
        self.end_headers()
        self.wfile.write(b"" if self.command == "HEAD" else answer.body)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = answer  # noqa: N815 - the standard library's names

    def log_message(self, format: str, *args: Any) -> None:
        """Calls are counted elsewhere; the log stays quiet."""
