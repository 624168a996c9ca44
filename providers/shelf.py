"""What is known of documents from one run to the next: one SQLite file for each version of the code, outside of any checkout.

It is read as data (JSON with a checksum), and only from a folder that belongs to whoever runs this and that nobody else may write to.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sqlite3
import stat
import time
import zlib
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

import pydantic

from reconciler.specs.shelves import NOTHING, Shelf

LARGEST = 256 << 20  # bytes; a larger file begins anew
LASTS = 30 * 24 * 3600.0  # seconds after it was last written to that the file of another version is removed
_PACKAGES = ("reconciler", "stacks")
_AT_ONCE = 500  # keys of one query
_TABLES = """
CREATE TABLE IF NOT EXISTS heads (key TEXT PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS bodies (key TEXT PRIMARY KEY, text BLOB NOT NULL) WITHOUT ROWID;
"""


class FileShelf:
    """A shelf in the file *path*; one that cannot be used is as good as empty."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database: sqlite3.Connection | None = None

    def heads(self, keys: Collection[str]) -> Mapping[str, str]:
        with self._tolerant():
            return {key: text for key, blob in self._rows(keys) if (text := _checked(blob)) is not None}
        return {}

    def body(self, key: str) -> str:
        """KeyError where it is lost."""
        with self._tolerant():
            for (blob,) in self._open().execute("SELECT text FROM bodies WHERE key = ?", (key,)):
                if (text := _checked(blob)) is not None:
                    return text
        raise KeyError(key)

    def keep(self, entries: Mapping[str, tuple[str, str]]) -> None:
        with self._tolerant():
            if self.path.exists() and self.path.stat().st_size > LARGEST:
                self._discard()
            with self._open() as database:
                heads = ((key, _sealed(head)) for key, (head, _) in entries.items())
                database.executemany("INSERT OR REPLACE INTO heads VALUES (?, ?)", heads)
                bodies = ((key, _sealed(body)) for key, (_, body) in entries.items() if body)
                database.executemany("INSERT OR REPLACE INTO bodies VALUES (?, ?)", bodies)

    def close(self) -> None:
        if self._database is not None:
            self._database.close()
            self._database = None

    def _rows(self, keys: Collection[str]) -> Iterator[tuple[str, bytes]]:
        if not self.path.exists():
            return
        wanted = list(dict.fromkeys(keys))
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            marks = ",".join("?" * len(some))
            yield from self._open().execute(f"SELECT key, text FROM heads WHERE key IN ({marks})", some)  # noqa: S608 - question marks

    def _open(self) -> sqlite3.Connection:
        if self._database is None:
            self._database = sqlite3.connect(self.path, timeout=2.0, check_same_thread=False)
            self._database.execute("PRAGMA synchronous = OFF")  # what a crash breaks is made anew
            self._database.executescript(_TABLES)
        return self._database

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        """A file that is busy, read-only or on a full disk is left alone; one that is broken goes."""
        try:
            yield
        except (sqlite3.OperationalError, OSError):
            self.close()
        except sqlite3.DatabaseError:
            self._discard()

    def _discard(self) -> None:
        self.close()
        with suppress(OSError):
            self.path.unlink(missing_ok=True)


def opened() -> Shelf:
    """This user's shelf for this version of the code; one that keeps nothing where there is no safe place for it."""
    with suppress(OSError, RuntimeError):
        folder = _folder()
        if folder and _ours(folder):
            path = folder / f"specs-{_version()}.db"
            if not path.exists():
                _tidy(folder)
            return FileShelf(path)
    return NOTHING


def _folder() -> Path | None:
    """RECONCILE_CACHE ("" for none), else where this user's caches are."""
    given = os.environ.get("RECONCILE_CACHE")
    if given == "":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(given) if given else Path(home) / "reconciler"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()


def _ours(folder: Path) -> bool:
    """Whether nobody else can have put anything there."""
    found = folder.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _version() -> str:
    """A hash of the code that reads and judges specs: what one version kept is nothing to another."""
    digest = hashlib.sha256(f"{platform.python_version()} {pydantic.VERSION}".encode())
    for package in _PACKAGES:
        found = importlib.util.find_spec(package)
        for root in sorted(found.submodule_search_locations or ()) if found else ():
            for path in sorted(Path(root).rglob("*.py")):
                digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _tidy(folder: Path) -> None:
    """Remove what other versions left long ago."""
    for path in folder.glob("specs-*.db"):
        if time.time() - path.stat().st_mtime > LASTS:
            path.unlink(missing_ok=True)


def _sealed(text: str) -> bytes:
    content = text.encode()
    return zlib.crc32(content).to_bytes(4, "big") + content


def _checked(blob: object) -> str | None:
    """What was sealed; None where it is no longer that."""
    if not isinstance(blob, bytes) or zlib.crc32(memoryview(blob)[4:]).to_bytes(4, "big") != blob[:4]:
        return None
    return blob[4:].decode()
