"""Lets the outer machine in. Its listeners were bound there; what it connects to lies in the network namespace it runs in.

A listener's network namespace is that of its birth, so no thread has to change namespaces. Each TCP port is also opened on the
loopback of the inside: one endpoint means the same on both sides.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import socket
from collections.abc import Iterable
from functools import partial
from typing import cast

CHUNK = 1 << 16
ANSWER_WITHIN = 5.0  # seconds for a datagram's answer

Address = tuple[str, int]


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Carry bytes one way until there are no more; the other way stays open."""
    with contextlib.suppress(OSError):
        while chunk := await reader.read(CHUNK):
            writer.write(chunk)
            await writer.drain()
        writer.write_eof()


async def _connect(target: Address, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        there, here = await asyncio.open_connection(*target)
    except OSError:
        writer.close()
        return
    await asyncio.gather(_pump(reader, here), _pump(there, writer))
    for end in (here, writer):
        end.close()


class _Datagrams(asyncio.DatagramProtocol):
    """Asks *target* each question that comes, from a socket of its own, and sends the answer back."""

    def __init__(self, target: Address) -> None:
        self._target = target
        self._running: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        task = asyncio.create_task(self._ask(data, addr))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _ask(self, question: bytes, client: Address) -> None:
        loop = asyncio.get_running_loop()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside, contextlib.suppress(OSError):
            inside.settimeout(0)
            inside.connect(self._target)
            await loop.sock_sendall(inside, question)
            async with asyncio.timeout(ANSWER_WITHIN):
                answer = await loop.sock_recv(inside, CHUNK)
            self._transport.sendto(answer, client)


async def serve(streams: Iterable[tuple[int, Address]], datagrams: Iterable[tuple[int, Address]]) -> None:
    """Forward for ever; each pair is a listener's descriptor and where its callers want to go."""
    loop = asyncio.get_running_loop()
    servers = []
    for descriptor, target in streams:
        outside = socket.socket(fileno=descriptor)
        inside = socket.create_server(outside.getsockname())
        servers += [await asyncio.start_server(partial(_connect, target), sock=listener) for listener in (outside, inside)]
    for descriptor, target in datagrams:
        await loop.create_datagram_endpoint(partial(_Datagrams, target), sock=socket.socket(fileno=descriptor))
    await asyncio.gather(*(server.serve_forever() for server in servers))


def _pair(text: str) -> tuple[int, Address]:
    descriptor, host, port = text.split(":")
    return int(descriptor), (host, int(port))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tcp", type=_pair, action="append", default=[], metavar="FD:HOST:PORT")
    parser.add_argument("--udp", type=_pair, action="append", default=[], metavar="FD:HOST:PORT")
    arguments = parser.parse_args()
    asyncio.run(serve(arguments.tcp, arguments.udp))


if __name__ == "__main__":
    main()
