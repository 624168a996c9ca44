"""MongoDB's wire protocol: OP_MSG, and OP_QUERY for the first greeting, on both sides of a connection."""

from __future__ import annotations

import asyncio
import itertools
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeAlias

import bson

from lab.standins.mongod import scram
from lab.standins.mongod.refusal import Refusal

Document: TypeAlias = dict[str, Any]
LARGEST = 48_000_000  # bytes of a message, as the real server says in its greeting
_REPLY, _QUERY, _MSG = 1, 2004, 2013
_CHECKSUM, _MORE_TO_COME = 1, 2
_HEADER = struct.Struct("<iiii")
_numbers = itertools.count(1)


class ProtocolError(Exception):
    """What came is no message of this protocol; the connection is of no more use."""


@dataclass(frozen=True, slots=True)
class Message:
    """One command: its first key is its name. *is_greeting* came as OP_QUERY; *is_answered* is false where nobody waits for an answer."""

    number: int
    body: Document
    is_greeting: bool = False
    is_answered: bool = True


async def read(reader: asyncio.StreamReader) -> Message:
    """The next message.

    Raises:
        ProtocolError, asyncio.IncompleteReadError: there is none, or no more.
    """
    length, number, _, operation = _HEADER.unpack(await reader.readexactly(_HEADER.size))
    if not _HEADER.size < length <= LARGEST:
        raise ProtocolError(f"a message of {length} bytes")
    content = await reader.readexactly(length - _HEADER.size)
    try:
        if operation == _MSG:
            return _message(number, content)
        if operation in (_QUERY, _REPLY):
            start = content.index(b"\0", 4) + 9 if operation == _QUERY else 20
            return Message(number, bson.decode(content[start:]), is_greeting=True)
    except (ValueError, IndexError, bson.errors.BSONError) as error:
        raise ProtocolError(str(error)) from error
    raise ProtocolError(f"operation {operation} is not known here")


def _message(number: int, content: bytes) -> Message:
    (flags,) = struct.unpack_from("<I", content)
    rest = content[4 : -4 if flags & _CHECKSUM else None]
    body: Document = {}
    sequences: dict[str, list[Document]] = {}
    while rest:
        (size,) = struct.unpack_from("<i", rest, 1)
        section, kind, rest = rest[1 : 1 + size], rest[0], rest[1 + size :]
        if kind == 0:
            body = bson.decode(section)
        else:
            name, _, documents = section[4:].partition(b"\0")
            sequences[name.decode()] = list(bson.decode_iter(documents))
    return Message(number, {**body, **sequences}, is_answered=not flags & _MORE_TO_COME)


def answer(to: Message, body: Document) -> bytes:
    """The bytes that answer *to* with *body*."""
    encoded = bson.encode(body)
    if to.is_greeting:
        content, operation = struct.pack("<iqii", 0, 0, 0, 1) + encoded, _REPLY
    else:
        content, operation = struct.pack("<IB", 0, 0) + encoded, _MSG
    return _HEADER.pack(_HEADER.size + len(content), next(_numbers), to.number, operation) + content


def question(body: Document) -> bytes:
    """The bytes that ask for *body*."""
    content = struct.pack("<IB", 0, 0) + bson.encode(body)
    return _HEADER.pack(_HEADER.size + len(content), next(_numbers), 0, _MSG) + content


class Peer:
    """A connection to another member, logged in with one of the *keys* of the keyfile. A name is looked up each time: addresses change."""

    def __init__(self, host: str, keys: Sequence[str]) -> None:
        self.host = host
        self._keys = tuple(keys)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._turn = asyncio.Lock()

    async def ask(self, body: Document, within: float) -> Document:
        """What the member answers.

        Raises:
            OSError, TimeoutError: it does not.
            Refusal: it refuses.
        """
        async with self._turn:
            try:
                said = await asyncio.wait_for(self._ask(body), within)
            except (ProtocolError, EOFError) as error:
                self.close()
                raise ConnectionError(f"{self.host}: {error}") from error
            except BaseException:
                self.close()
                raise
        if not said.get("ok"):
            raise Refusal(said["code"], f"{self.host}: {said['errmsg']}")
        return said

    def close(self) -> None:
        if self._streams:
            with suppress(OSError):
                self._streams[1].close()
        self._streams = None

    async def _ask(self, body: Document) -> Document:
        if self._streams is None:
            name, _, port = self.host.rpartition(":")
            self._streams = await asyncio.open_connection(name, int(port))
            await self._enter()
        return await self._exchange(body)

    async def _exchange(self, body: Document) -> Document:
        assert self._streams
        reader, writer = self._streams
        writer.write(question({**body, "$db": body.get("$db", "admin")}))
        await writer.drain()
        return (await read(reader)).body

    async def _enter(self) -> None:
        """By whichever key is taken: two members have to have one in common."""
        for key in self._keys:
            if await self._log_in(key):
                return
        if self._keys:
            raise ConnectionError(f"{self.host} does not take the keyfile")

    async def _log_in(self, key: str) -> bool:
        prover: Callable[[bytes], bytes]
        first, prover = scram.proving(scram.SYSTEM, key)
        said = await self._exchange({"saslStart": 1, "mechanism": scram.MECHANISM, "payload": first, "$db": "local"})
        while said.get("ok") and not said["done"]:
            payload = prover(said["payload"])
            said = await self._exchange({"saslContinue": 1, "conversationId": said["conversationId"], "payload": payload, "$db": "local"})
        return bool(said.get("ok"))
