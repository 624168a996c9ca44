"""Serves the routes over HTTP with the standard library alone. The whole API of a later release takes its place, framework and all."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from reconciler import errors
from reconciler.api.routes import LONGEST, TOKEN, Answer, Routes

SILENT = 10.0  # seconds that a caller may take over its request


@contextmanager
def served(listen: str, routes: Routes) -> Iterator[str]:
    """Answer at *listen* (`HOST:PORT`; port 0 for any that is free) until the end of the block; the address that it is."""
    host, _, port = listen.rpartition(":")
    if not port.isdigit():
        raise errors.UsageError(f"--listen {listen} is no address", hint="for example 127.0.0.1:8080")
    handler = type("Handler", (_Handler,), {"routes": routes})
    try:
        server = ThreadingHTTPServer((host or "127.0.0.1", int(port)), handler)
    except (OSError, OverflowError) as error:
        raise errors.UsageError(f"nobody can listen at {listen}: {error}", hint="choose another address with --listen") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="http", daemon=True)
    thread.start()
    try:
        yield "{}:{}".format(*server.server_address[:2])
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    routes: ClassVar[Routes]
    timeout = SILENT
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "reconciler", ""

    def do_GET(self) -> None:
        self._answer(self.routes.get(self.path, self.headers.get(TOKEN, "")))

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST:
            self.close_connection = True
            self._answer(Answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, {"message": f"a body of at most {LONGEST} bytes", "hint": ""}))
            return
        self._answer(self.routes.post(self.path, self.headers.get(TOKEN, ""), self.rfile.read(int(length))))

    def log_message(self, format: str, *args: object) -> None:
        """Probes come every few seconds: nothing is said of them."""

    def _answer(self, answer: Answer) -> None:
        body = answer.body
        self.send_response(answer.status)
        self.send_header("Content-Type", "text/plain" if isinstance(answer.document, str) else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
