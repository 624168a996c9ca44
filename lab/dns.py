"""The lab's DNS server: authoritative for Route53's zones and the cluster's Services. It asks nobody outside; the rest does not exist."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import lightkube

from lab import layout
from lab.aws.client import Switches
from lab.names import Services, Zone, Zones

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dns.message import Message
    from dns.name import Name

PORT = 53
_DATAGRAM = 1232  # bytes that pass unfragmented, where the question allows no more
_NOWHERE = dns.rrset.from_text(".", 1, "IN", "SOA", f"{layout.DNS}. nobody. 1 60 60 60 1")
_LINKS = 8  # CNAMEs followed


class Source(Protocol):
    """Where names come from."""

    async def of(self, name: Name) -> Zone | None: ...


@dataclass(frozen=True, slots=True)
class Server:
    """Answers from *sources*, the first that knows the zone."""

    sources: Sequence[Source]

    async def answer(self, packet: bytes) -> Message | None:
        """The answer to *packet*; None where it is no question."""
        try:
            question = dns.message.from_wire(packet)
            response = dns.message.make_response(question)
        except dns.exception.DNSException:
            return None
        response.flags |= dns.flags.AA
        try:
            await self._fill(response)
        except Exception as error:  # noqa: BLE001 - whatever a source could not read, the asker must hear of
            print(f"{question.question}: {type(error).__name__}: {error}", file=sys.stderr)  # noqa: T201
            response.set_rcode(dns.rcode.SERVFAIL)
        return response

    async def _fill(self, response: Message) -> None:
        if not response.question:
            response.set_rcode(dns.rcode.FORMERR)
            return
        asked = response.question[0]
        name = asked.name
        for _ in range(_LINKS):
            zone = await self._zone(name)
            here = zone.at(name) if zone else None
            if not here or (asked.rdtype not in here and dns.rdatatype.CNAME not in here):
                _deny(response, zone, exists=here is not None)
                return
            kind = asked.rdtype if asked.rdtype in here else dns.rdatatype.CNAME
            response.answer.append(_renamed(here[kind], name))
            if kind == asked.rdtype:
                return
            name = here[kind][0].target

    async def _zone(self, name: Name) -> Zone | None:
        for source in self.sources:
            if zone := await source.of(name):
                return zone
        return None


def _renamed(found: dns.rrset.RRset, name: Name) -> dns.rrset.RRset:
    """What a wildcard holds, under the name that was asked for."""
    if found.name == name:
        return found
    return dns.rrset.from_rdata_list(name, found.ttl, list(found))


def _deny(response: Message, zone: Zone | None, *, exists: bool) -> None:
    """Say for how long there is nothing (RFC 2308: the lesser of the SOA's time to live and its minimum)."""
    if not exists and not response.answer:
        response.set_rcode(dns.rcode.NXDOMAIN)
    authority = (zone.start_of_authority if zone else None) or _NOWHERE
    response.authority.append(dns.rrset.from_rdata_list(authority.name, min(authority.ttl, authority[0].minimum), list(authority)))


@dataclass(slots=True)
class Datagrams(asyncio.DatagramProtocol):
    """One question a datagram."""

    server: Server
    _transport: asyncio.DatagramTransport = field(init=False)
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        task = asyncio.create_task(self._reply(data, addr))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        response = await self.server.answer(data)
        if response:
            size = response.request_payload or _DATAGRAM
            self._transport.sendto(response.to_wire(max_size=max(size, 512), prefer_truncation=True), addr)


async def _stream(server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Questions one after the other, each behind its length."""
    with contextlib.suppress(asyncio.IncompleteReadError, OSError), contextlib.closing(writer):
        while True:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
            response = await server.answer(await reader.readexactly(length))
            if not response:
                return
            writer.write(response.to_wire(prepend_length=True))
            await writer.drain()


async def serve(server: Server, host: str) -> None:
    loop = asyncio.get_running_loop()
    await loop.create_datagram_endpoint(lambda: Datagrams(server), local_addr=(host, PORT))
    streams = await asyncio.start_server(lambda reader, writer: _stream(server, reader, writer), host, PORT)
    await streams.serve_forever()


async def _main(directory: Path) -> None:
    config = lightkube.KubeConfig.from_file(directory / "kube" / "judge-inside.kubeconfig")
    services = Services(lightkube.AsyncClient(config, trust_env=False))
    await serve(Server([services, Zones(Switches(f"http://{layout.AWS}:{layout.AWS_PORT}"))]), layout.DNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, required=True)
    asyncio.run(_main(parser.parse_args().dir))


if __name__ == "__main__":
    main()
