"""What a test may ask of the agent, over LABDIR/agent.sock: a JSON object a line, answered by one.

    {"op": "node-down", "node": "node-a1", "mode": "dead" | "hung" | "partitioned" | "rebooting",
     "fate": "running" | "stopped" | "terminated", "seconds": 3}
    {"op": "node-up", "node": "node-a1"}
    {"op": "slow-release", "of": "node-a1" | "vol-…" | "eni-…", "seconds": 30}

A dead node's processes and its network are gone; what its instance is in EC2 is told apart (`fate`). A rebooting one is as dead, and back
after `seconds`. A hung one says nothing, while its processes go on, and so does its network. Nobody hears a partitioned one, and it hears
nobody, while its processes go on and write to its volumes.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args

from lab.agent.nodes import Down
from lab.agent.power import Fate, Power

NAME = "agent.sock"


class Control:
    """Listens on a socket of the file system, which is reached from every network namespace."""

    def __init__(self, lab: Path, power: Power) -> None:
        self._lab = lab
        self._power = power

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
            await self._do(json.loads(line))
        except KeyError as error:
            return {"ok": False, "error": f"no node {error}"}
        except Exception as error:  # noqa: BLE001 - whatever it was, who asked must hear of it
            return {"ok": False, "error": str(error)}
        return {"ok": True}

    async def _do(self, request: dict[str, Any]) -> None:
        match request:
            case {"op": "node-down", "node": str(node), "mode": mode} if mode in get_args(Down):
                fate = request.get("fate", "running")
                if fate not in get_args(Fate):
                    raise ValueError(f"unknown fate {fate!r}; there are {', '.join(get_args(Fate))}")
                await self._power.put_down(node, mode, fate=fate, seconds=float(request.get("seconds", 0)))
            case {"op": "node-up", "node": str(node)}:
                await self._power.bring_up(node)
            case {"op": "slow-release", "of": str(of), "seconds": seconds}:
                await self._power.slow(of, float(seconds))
            case other:
                known = f"node-down (node, mode: one of {', '.join(get_args(Down))}), node-up (node), slow-release (of, seconds)"
                raise ValueError(f"unknown request {other!r}; there are {known}")


def node_down(lab: Path, node: str, mode: Down, *, fate: Fate = "running", seconds: float = 3.0) -> None:
    """Let *mode* befall a node of the lab in *lab*, and *fate* its instance in EC2; a rebooting one is back after *seconds*."""
    _ask(lab, {"op": "node-down", "node": node, "mode": mode, "fate": fate, "seconds": seconds})


def node_up(lab: Path, node: str) -> None:
    """Bring it back."""
    _ask(lab, {"op": "node-up", "node": node})


def slow_release(lab: Path, of: str, seconds: float) -> None:
    """Let a node's instance, a volume or an interface take *seconds* to let go, or to be let go of; 0: no longer than any."""
    _ask(lab, {"op": "slow-release", "of": of, "seconds": seconds})


def _ask(lab: Path, request: dict[str, Any]) -> None:
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
