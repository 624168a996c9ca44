"""Connections: reads commands, sees who asks, and answers."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeAlias, TypeVar

from lab.standins.mongod import scram, wire
from lab.standins.mongod.log import Log
from lab.standins.mongod.member import Member
from lab.standins.mongod.refusal import Refusal
from lab.standins.mongod.rounds import Rounds
from lab.standins.mongod.scram import Conversation, Stored
from lab.standins.mongod.wire import Document

_RETRIED = {6, 91, 189, 10107, 13435, 13436}  # by a driver that has numbered its write, if the server tells it to
USERS = "admin.system.users"
_numbers = itertools.count(1)


class Door(Protocol):
    """Who lets people in: the *secret* that opens it, "" where everybody may do everything, and whom it knows."""

    @property
    def secret(self) -> str: ...

    async def known(self, database: str, name: str) -> tuple[Stored, ...]:
        """What is kept of a user's passwords."""
        ...


D = TypeVar("D", bound=Door)
D_co = TypeVar("D_co", bound=Door, covariant=True)


@dataclass(frozen=True, slots=True)
class Server:
    """A member, what it does by itself, and the *secret* that opens it; "": everybody may do everything."""

    member: Member
    rounds: Rounds
    secret: str
    own: tuple[Stored, ...]  # what is kept of the keyfile

    @property
    def log(self) -> Log:
        return self.member.log

    async def known(self, database: str, name: str) -> tuple[Stored, ...]:
        if (database, name) == ("local", scram.SYSTEM):
            return self.own
        user = self.log.documents.get(USERS, f"{database}.{name}")
        return (user["credentials"][scram.MECHANISM],) if user else ()


@dataclass(slots=True)
class Connection(Generic[D_co]):
    """Who is at the other end, and how far it is with its log-in."""

    server: D_co
    number: int = field(default_factory=lambda: next(_numbers))
    user: str = ""  # "<database>.<name>"
    conversation: Conversation | None = None
    beginning: str = ""  # who says to be at the other end
    skips_empty: bool = False


Handler: TypeAlias = Callable[[Connection[D], Document], Awaitable[Document]]


@dataclass(frozen=True, slots=True)
class Commands(Generic[D]):
    """Handlers by the names of their commands. The *free* ones are for everybody."""

    handlers: Mapping[str, Handler[D]]
    free: frozenset[str]

    async def answer(self, connection: Connection[D], body: Document) -> Document:
        """What is said to *body*, a refusal included."""
        name = next(iter(body), "")
        try:
            said = {"ok": 1.0, **await self._allowed(connection, name)(connection, body)}
        except Refusal as refusal:
            said = refusal.document()
        code = said.get("code") or said.get("writeConcernError", {}).get("code")
        return {**said, "errorLabels": ["RetryableWriteError"]} if code in _RETRIED and "txnNumber" in body else said

    def _allowed(self, connection: Connection[D], name: str) -> Handler[D]:
        handler = self.handlers.get(name)
        if handler is None:
            raise Refusal(59, f"no such command: '{name}' (this stand-in has {', '.join(sorted(self.handlers))})")
        if connection.server.secret and not connection.user and name not in self.free:
            raise Refusal(13, f"Command {name} requires authentication")
        return handler


async def serve(server: D, commands: Commands[D], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection, until the other side has enough of it, or this one ends."""
    connection = Connection(server)
    with suppress(wire.ProtocolError, asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
        while True:
            message = await wire.read(reader)
            body = await commands.answer(connection, message.body)
            if message.is_answered:
                writer.write(wire.answer(message, body))
                await writer.drain()
    writer.close()


def asked_to_end() -> asyncio.Event:
    """What is set once this process is asked to end."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    return ended


def now() -> datetime:
    return datetime.now(UTC)
