"""Tells of the files that a run writes, by inotify: the engine's checkpoints, and the transactions of a SQLite store."""

from __future__ import annotations

import ctypes
import os
import select
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from lab.halt.effects import Effects

_MODIFY, _MOVED_TO, _CREATE = 0x2, 0x80, 0x100
_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_HEADER, _FRAME = struct.Struct(">8I"), struct.Struct(">4I")
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Journal:
    """A SQLite store's write-ahead log, read as far as it goes: how many transactions have been committed since the last look."""

    path: Path
    _salt: tuple[int, int] = (0, 0)
    _frames: int = 0

    def commits(self) -> int:
        """The frames that end a transaction say how long the database is; all others say zero."""
        try:
            with self.path.open("rb") as file:
                header = file.read(_HEADER.size)
                return self._count(file.read(), *_HEADER.unpack(header)) if len(header) == _HEADER.size else 0
        except FileNotFoundError:
            return 0

    def _count(self, body: bytes, *header: int) -> int:
        _, _, page, _, *salt, _, _ = header
        if tuple(salt) != self._salt:
            self._salt, self._frames = (salt[0], salt[1]), 0
        found, size = 0, _FRAME.size + 8 + page
        while (start := self._frames * size) + size <= len(body):
            _, length, *own = _FRAME.unpack_from(body, start)
            if tuple(own) != self._salt:
                break
            found += length > 0
            self._frames += 1
        return found


@dataclass(slots=True)
class Files:
    """Watches the folder of the engine's *stacks* and the *store*; each checkpoint and each transaction is an effect."""

    stacks: Path
    store: Path
    effects: Effects
    _descriptor: int = field(init=False)
    _journal: Journal = field(init=False)
    _watches: dict[int, Path] = field(default_factory=dict)
    _closed: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._descriptor = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._journal = Journal(self.store.with_name(f"{self.store.name}-wal"))
        for folder in (self.stacks, self.store.parent):
            folder.mkdir(parents=True, exist_ok=True)
            watch = _libc.inotify_add_watch(self._descriptor, os.fsencode(folder), _MODIFY | _MOVED_TO | _CREATE)
            if watch < 0:
                raise OSError(ctypes.get_errno(), f"{folder} cannot be watched")
            self._watches[watch] = folder
        self.effects.files.append(self.drain)
        threading.Thread(target=self._listen, daemon=True).start()

    def drain(self) -> None:
        """Count what was written until now: the kernel puts a write on the queue before its writer can do anything else."""
        with self._lock:
            told = tuple(self._told()) if not self._closed.is_set() else ()
        for who, what in told:
            self.effects.count(who, what)

    def close(self) -> None:
        """Watch no more."""
        with self._lock:
            if not self._closed.is_set():
                self._closed.set()
                os.close(self._descriptor)

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                if select.select([self._descriptor], [], [], 0.2)[0]:
                    with self.effects.alone():
                        self.drain()
            except (OSError, ValueError):
                return  # closed

    def _told(self) -> Iterator[tuple[str, str]]:
        while True:
            try:
                read = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return
            for watch, mask, name in _events(read):
                yield from self._meant(self._watches.get(watch), mask, name)

    def _meant(self, folder: Path | None, mask: int, name: str) -> Iterator[tuple[str, str]]:
        if folder == self.stacks and mask & _MOVED_TO and name.endswith(".json"):
            yield "checkpoint", name.removesuffix(".json")
        elif name == self._journal.path.name and mask & _MODIFY:
            for _ in range(self._journal.commits()):
                yield "store", "transaction"


def _events(read: bytes) -> Iterator[tuple[int, int, str]]:
    position = 0
    while position < len(read):
        watch, mask, _, length = _EVENT.unpack_from(read, position)
        start = position + _EVENT.size
        yield watch, mask, read[start : start + length].rstrip(b"\0").decode()
        position = start + length
