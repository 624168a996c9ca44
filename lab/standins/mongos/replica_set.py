"""A replica set as its clients see it: whoever is primary is found, and asked. Connections are kept and shared out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.wire import Document, Peer

_NOT_PRIMARY = {10107, 13435, 13436, 189, 91}  # nothing was done
_PATIENCE = 20.0  # seconds without a primary
_ONE = 2.0  # seconds for who is asked how it is
_PAUSE = 0.2


class ReplicaSet:
    """The set *name*, of which *hosts* are known to begin with."""

    def __init__(self, name: str, hosts: Iterable[str], secret: str) -> None:
        self.name = name
        self._hosts = list(hosts)
        self._secret = secret
        self._primary = ""
        self._free: dict[str, list[Peer]] = {}

    @classmethod
    def at(cls, address: str, secret: str) -> ReplicaSet:
        """By its *address*, `<set>/<host>,<host>`."""
        name, slash, hosts = address.partition("/")
        if not slash:
            raise Refusal(2, f"use replica set url format <setname>/<server1>,<server2>,..., not {address}")
        return cls(name, hosts.split(","), secret)

    async def ask(self, body: Document, within: float = 120) -> Document:
        """What the primary answers. One that is primary no more has done nothing: then the next is asked.

        Raises:
            Refusal: it refuses, there is no primary, or its answer was lost.
        """
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                host = self._primary or await self._find(end)
                return await self._ask(host, body, within)
            except Refusal as refusal:
                self._primary = ""
                if refusal.code not in _NOT_PRIMARY or time.monotonic() > end:
                    raise
                await asyncio.sleep(_PAUSE)
            except (OSError, TimeoutError) as error:
                self._primary = ""
                raise Refusal(6, f"{self.name}: {type(error).__name__}: {error}") from error

    async def hello(self) -> Document:
        """What the primary says of the set."""
        return await self.ask({"hello": 1})

    async def found(self, body: Document) -> list[Document]:
        """The documents that *body* asks for, of whose cursor nothing stays open."""
        batch: list[Document] = (await self.ask(body))["cursor"]["firstBatch"]
        return batch

    async def _find(self, end: float) -> str:
        while True:
            for host in list(self._hosts):
                with suppress(OSError, TimeoutError, Refusal):
                    said = await self._ask(host, {"hello": 1}, _ONE)
                    if said.get("setName") != self.name:
                        continue
                    self._hosts = _known(said, self._hosts)
                    if said.get("isWritablePrimary"):
                        self._primary = host
                        return host
            if time.monotonic() > end:
                raise Refusal(133, f"Could not find host matching read preference {{ mode: primary }} for set {self.name}")
            await asyncio.sleep(_PAUSE)

    async def _ask(self, host: str, body: Document, within: float) -> Document:
        free = self._free.setdefault(host, [])
        peer = free.pop() if free else Peer(host, [self._secret])
        try:
            return await peer.ask(body, within)
        finally:
            free.append(peer)  # one that was lost connects anew


def _known(said: Document, before: Sequence[str]) -> list[str]:
    return [*said.get("hosts", ()), *said.get("passives", ())] or list(before)
