"""Container logs on disk, in the CRI form (`time stream F text`): written line by line, read back as `kubectl logs` asks."""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

LONGEST = 16 * 1024
FOLLOW_EVERY = 0.2


def directory(lab: Path, pod: tuple[str, str, str], container: str) -> Path:
    """Where the logs of a container lie; *pod* is namespace, name and uid."""
    return lab / "logs" / "pods" / "_".join(pod) / container


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


class LogFile:
    """What one run of a container writes. `finished` is set when nothing more will come."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("ab", buffering=0)
        self.finished = False

    async def copy(self, out: int, err: int) -> None:
        """Copy both streams until both have ended."""
        try:
            await asyncio.gather(self._copy(out, "stdout"), self._copy(err, "stderr"))
        finally:
            self.finished = True
            self._file.close()

    async def _copy(self, descriptor: int, stream: str) -> None:
        reader = asyncio.StreamReader(limit=4 * LONGEST)
        loop = asyncio.get_running_loop()
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb"))
        try:
            rest = b""
            while chunk := await reader.read(2 * LONGEST):
                rest = self._write(rest + chunk, stream)
            if rest:
                self._file.write(_line(rest, stream, "P"))
        finally:
            transport.close()

    def _write(self, text: bytes, stream: str) -> bytes:
        *lines, rest = text.split(b"\n")
        self._file.write(b"".join(entry for line in lines for entry in _entries(line, stream)))
        while len(rest) >= LONGEST:
            self._file.write(_line(rest[:LONGEST], stream, "P"))
            rest = rest[LONGEST:]
        return rest


def _entries(line: bytes, stream: str) -> Iterator[bytes]:
    while len(line) > LONGEST:
        yield _line(line[:LONGEST], stream, "P")
        line = line[LONGEST:]
    yield _line(line, stream, "F")


def _line(text: bytes, stream: str, tag: str) -> bytes:
    return f"{stamp(datetime.now(UTC))} {stream} {tag} ".encode() + text + b"\n"


@dataclass(frozen=True, slots=True)
class Query:
    """What of a log is asked for, in the words of the API's PodLogOptions."""

    follow: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: datetime | None = None
    limit: int | None = None


def render(entry: bytes, query: Query) -> bytes:
    """One CRI line as the reader asked for it; nothing where it is too old."""
    time, _, rest = entry.partition(b" ")
    _, _, rest = rest.partition(b" ")
    tag, _, text = rest.partition(b" ")
    if query.since is not None and time < stamp(query.since).encode():
        return b""
    end = b"\n" if tag == b"F" else b""
    return (time + b" " if query.timestamps else b"") + text.removesuffix(b"\n") + end


def last(entries: list[bytes], count: int | None) -> list[bytes]:
    """The entries of the last *count* lines; a long line is several entries."""
    if count is None:
        return entries
    kept = 0
    for position in range(len(entries), 0, -1):
        whole = entries[position - 1].split(b" ", 3)[2:3] == [b"F"]
        if (whole or position == len(entries)) and (kept := kept + 1) > count:
            return entries[position:]
    return entries


async def read(path: Path, log: LogFile | None, query: Query) -> AsyncIterator[bytes]:
    """What is asked for of the log at *path*; *log* is the writer while the container runs (a follower waits for more)."""
    left = query.limit if query.limit is not None else -1
    with path.open("rb") as source:
        chosen, rest = last(source.readlines(), query.tail), b""
        while True:
            for entry in chosen:
                text = render(entry, query)
                text = text if left < 0 else text[:left]
                left -= len(text) if left > 0 else 0
                if text:
                    yield text
                if left == 0:
                    return
            over = log is None or log.finished
            text = rest + source.read()
            if not text.endswith(b"\n") and not over:
                *_, rest = text.rpartition(b"\n")
                text = text[: len(text) - len(rest)]
            else:
                rest = b""
            chosen = text.splitlines(keepends=True)
            if not chosen:
                if over or not query.follow:
                    return
                await asyncio.sleep(FOLLOW_EVERY)


def ending(path: Path, size: int) -> str:
    """The last *size* bytes of what a container wrote: what stands in for a termination message after an error."""
    try:
        entries = path.read_bytes()[-4 * size :].splitlines(keepends=True)
    except FileNotFoundError:
        return ""
    return b"".join(render(entry, Query()) for entry in entries)[-size:].decode(errors="replace")
