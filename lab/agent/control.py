"""What a test may ask of the agent, over LABDIR/agent.sock: a JSON object a line, answered by one.

    {"op": "node-down", "node": "node-a1", "mode": "dead" | "hung"}    {"op": "node-up", "node": "node-a1"}

A dead node's processes are gone and it says nothing; a hung node says nothing, while its processes go on.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab.agent.nodes import Down
from lab.agent.roster import Roster

NAME = "agent.sock"


class Control:
    """Listens on a socket of the file system, which is reached from every network namespace."""

    def __init__(self, lab: Path, roster: Roster) -> None:
        self._lab = lab
        self._roster = roster

    async def run(self) -> None:
        with _short(self._lab) as path:
            path.unlink(missing_ok=True)
            server = await asyncio.start_unix_server(self._serve, path)
            path.chmod(0o600)
        async with server:
            await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async for line in reader:
                writer.write(json.dumps(await self._answer(line)).encode() + b"\n")
                await writer.drain()
        finally:
            writer.close()

    async def _answer(self, line: bytes) -> dict[str, Any]:
        try:
            match json.loads(line):
                case {"op": "node-down", "node": str(node), "mode": "dead" | "hung" as mode}:
                    await self._roster.put_down(node, mode)
                case {"op": "node-up", "node": str(node)}:
                    await self._roster.bring_up(node)
                case other:
                    return {
                        "ok": False,
                        "error": f"unknown request {other!r}; there are node-down (node, mode dead or hung) and node-up (node)",
                    }
        except KeyError as error:
            return {"ok": False, "error": f"no node {error}"}
        except ValueError as error:
            return {"ok": False, "error": f"not JSON: {error}"}
        return {"ok": True}


def node_down(lab: Path, node: str, mode: Down) -> None:
    """Let a node of the lab in *lab* die or hang."""
    _ask(lab, {"op": "node-down", "node": node, "mode": mode})


def node_up(lab: Path, node: str) -> None:
    """Bring it back."""
    _ask(lab, {"op": "node-up", "node": node})


def _ask(lab: Path, request: dict[str, str]) -> None:
    with socket.socket(socket.AF_UNIX) as connection, connection.makefile("rwb") as stream, _short(lab) as path:
        connection.settimeout(30)
        connection.connect(str(path))
        stream.write(json.dumps(request).encode() + b"\n")
        stream.flush()
        answer = json.loads(stream.readline())
    if not answer["ok"]:
        raise ValueError(answer["error"])


@contextmanager
def _short(lab: Path) -> Iterator[Path]:
    """The socket's path by way of a descriptor: the kernel takes no more than 107 bytes, and a lab may lie deep."""
    folder = os.open(lab, os.O_PATH | os.O_DIRECTORY)
    try:
        yield Path(f"/proc/self/fd/{folder}/{NAME}")
    finally:
        os.close(folder)
