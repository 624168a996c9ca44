"""What the API server asks a kubelet: `GET /containerLogs/<namespace>/<pod>/<container>`, over HTTPS on port 10250 of every node."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.agent import logs, network
from lab.agent.nodes import Node
from lab.agent.roster import Roster
from lab.agent.state import names

PORT = 10250

_log = logging.getLogger(__name__)


class Refusal(Exception):
    """An answer that is not a log."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server:
    """A listener in each node that is on. Only who holds a certificate of the lab's authority may ask."""

    def __init__(self, lab: Path, roster: Roster) -> None:
        self._lab = lab
        self._roster = roster
        self._listeners: dict[str, asyncio.Server] = {}

    async def open(self, node: Node) -> None:
        """Answer at *node*'s address."""
        listener = await network.listening(node.network.descriptor, PORT)
        self._listeners[node.name] = await asyncio.start_server(self._serve, sock=listener, ssl=_context(self._lab / "pki"))

    def close(self, node: Node) -> None:
        """Answer there no more: the node goes off."""
        if (listener := self._listeners.pop(node.name, None)) is not None:
            listener.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request a connection: there is nothing but GET, and an answer's end is that of the connection."""
        try:
            method, target, _ = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split(" ", 2)
            await self._respond(method, target, writer)
        except (OSError, ssl.SSLError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            _log.info("a reader of logs went away: %s", error)
        finally:
            writer.close()
            with suppress(OSError, ssl.SSLError):
                await writer.wait_closed()

    async def _respond(self, method: str, target: str, writer: asyncio.StreamWriter) -> None:
        try:
            body, status = self._log_of(method, target), HTTPStatus.OK
        except Refusal as refusal:
            body, status = _text(f"{refusal}\n"), refusal.status
        head = [f"HTTP/1.1 {status.value} {status.phrase}", "Content-Type: text/plain", "Transfer-Encoding: chunked", "Connection: close"]
        writer.write("\r\n".join([*head, "", ""]).encode())
        async for text in body:
            writer.write(b"%x\r\n%s\r\n" % (len(text), text))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()

    def _log_of(self, method: str, target: str) -> AsyncIterator[bytes]:
        url = urlsplit(target)
        parts = [unquote(part) for part in url.path.strip("/").split("/")]
        if method != "GET" or len(parts) != 4 or parts[0] != "containerLogs":
            raise Refusal(HTTPStatus.NOT_FOUND, "the lab's kubelets answer GET /containerLogs/<namespace>/<pod>/<container> only")
        options = dict(parse_qsl(url.query))
        _, namespace, pod, container = parts
        path, writer = self._file(namespace, pod, container, previous=options.get("previous") == "true")
        return logs.read(path, writer, _query(options))

    def _file(self, namespace: str, pod: str, container: str, *, previous: bool) -> tuple[Path, logs.LogFile | None]:
        worker = self._roster.find(namespace, pod)
        if worker is None or worker.node.down:
            raise Refusal(HTTPStatus.NOT_FOUND, f"pod {namespace}/{pod} is not here")
        if container not in names(worker.pod):
            raise Refusal(HTTPStatus.NOT_FOUND, f"container {container!r} is not in pod {namespace}/{pod}")
        number = worker.state.containers[container].runs - (2 if previous else 1)
        metadata = worker.pod["metadata"]
        path = logs.directory(self._lab, (namespace, pod, metadata["uid"]), container) / f"{number}.log"
        if not path.exists():
            state = "previous terminated" if previous else "started"
            raise Refusal(HTTPStatus.BAD_REQUEST, f"{state} container {container!r} in pod {pod!r} not found")
        run = worker.runs.get(container)
        return path, run.log if run and run.log.path == path else None


def _context(pki: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki / "kubelet-server.crt", pki / "kubelet-server.key")
    context.load_verify_locations(pki / "ca.crt")
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def _query(options: Mapping[str, str]) -> logs.Query:
    since = None
    if "sinceTime" in options:
        since = datetime.fromisoformat(options["sinceTime"])
    elif "sinceSeconds" in options:
        since = datetime.now(UTC) - timedelta(seconds=int(options["sinceSeconds"]))
    numbers = {name: int(options[name]) if name in options else None for name in ("tailLines", "limitBytes")}
    return logs.Query(
        follow=options.get("follow") == "true",
        timestamps=options.get("timestamps") == "true",
        tail=numbers["tailLines"],
        since=since,
        limit=numbers["limitBytes"],
    )


async def _text(text: str) -> AsyncIterator[bytes]:
    yield text.encode()
