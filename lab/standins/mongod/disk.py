"""What a member keeps on disk: one file of BSON records, to which it only ever appends, each synced before it counts."""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bson

_JOURNAL, _LOCK = "oplog.bson", "mongod.lock"


class Taken(Exception):
    """Another process has this folder."""


class Journal:
    """The file in *folder*, which nobody else may use meanwhile.

    Raises:
        Taken: somebody else uses it.
    """

    def __init__(self, folder: Path) -> None:
        self._lock = (folder / _LOCK).open("a")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise Taken(f"DBPathInUse: another mongod uses {folder}") from None
        self._path = folder / _JOURNAL
        self._file = self._path.open("ab")

    def records(self) -> Iterator[dict[str, Any]]:
        """All that was kept, the oldest first. A last record that was torn by a kill never counted: it is cut off."""
        content, start = self._path.read_bytes(), 0
        while (end := _end(content, start)) is not None:
            yield bson.decode(content[start:end])
            start = end
        os.truncate(self._path, start)

    def keep(self, *records: dict[str, Any]) -> None:
        """Keep *records*: once this returns they outlive a crash."""
        for record in records:
            self._file.write(bson.encode(record))
        self._file.flush()
        os.fdatasync(self._file.fileno())

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def _end(content: bytes, start: int) -> int | None:
    if len(content) - start < 4:
        return None
    end = start + int(struct.unpack_from("<i", content, start)[0])
    return end if start < end <= len(content) else None
