"""Port `History`: what was applied when and what it did to what, in the same SQLite file as the component side's records."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import errors
from reconciler.model.origin import Revision
from reconciler.ports import Clock, Deed, Healed

# `history` is as the first release made it; what came later has tables of its own, so that either can read the other's file.
_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY, environment TEXT NOT NULL, time REAL NOT NULL, action TEXT NOT NULL,
  revision TEXT NOT NULL, tree TEXT NOT NULL, summary TEXT NOT NULL, result TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS history_recent ON history (environment, id);
CREATE TABLE IF NOT EXISTS deed (entry INTEGER NOT NULL, address TEXT NOT NULL, action TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS deed_address ON deed (address, entry);
CREATE TABLE IF NOT EXISTS healed (entry INTEGER NOT NULL, address TEXT NOT NULL, path TEXT NOT NULL, digest TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS healed_entry ON healed (entry);
CREATE TABLE IF NOT EXISTS followed (entry INTEGER PRIMARY KEY, fields TEXT NOT NULL);
"""
_ENTRY = "history.time, history.action, history.revision, history.tree, history.summary, history.result"
_RECENT = f"SELECT {_ENTRY}, history.id FROM history WHERE environment = ? ORDER BY id DESC LIMIT ?"  # noqa: S608 - constants
_FOLLOWED = "SELECT entry, fields FROM followed WHERE entry IN (SELECT id FROM history WHERE environment = ? ORDER BY id DESC LIMIT ?)"
_TOUCHED = f"""SELECT {_ENTRY}, deed.action FROM deed JOIN history ON history.id = deed.entry
WHERE deed.address = ? AND history.environment = ? ORDER BY deed.entry DESC LIMIT 1"""  # noqa: S608 - constants
_HEALED = """SELECT healed.address, healed.path, healed.digest, COUNT(*), MIN(history.time)
FROM healed JOIN history ON history.id = healed.entry WHERE history.environment = ? AND history.time >= ?
GROUP BY healed.address, healed.path, healed.digest"""
BUSY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class SqliteHistory:
    """The history in the file at *path*, which is made when there is something to write."""

    path: Path
    clock: Clock

    def record(
        self,
        revision: Revision,
        action: str,
        summary: Mapping[str, int],
        result: str,
        deeds: Iterable[Deed] = (),
        followed: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one entry; durable when this returns."""
        row = (revision.environment, self.clock.now(), action, revision.commit, revision.tree, json.dumps(dict(summary)), result)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_SCHEMA)
            with database:
                columns = "environment, time, action, revision, tree, summary, result"
                entry = database.execute(f"INSERT INTO history ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", row).lastrowid  # noqa: S608
                _write(database, entry, list(deeds), followed or {})

    def entries(self, environment: str, limit: int) -> Iterator[Mapping[str, Any]]:
        """The last *limit* entries, newest first: time (seconds since the epoch), action, commit, tree, summary, result, followed."""
        rows = self._rows("history", _RECENT, (environment, limit))
        followed = dict(self._rows("followed", _FOLLOWED, (environment, limit)))
        for *entry, number in rows:
            yield {**_entry(entry), "followed": json.loads(followed.get(number, "{}"))}

    def healed(self, environment: str, since: float) -> Iterator[Healed]:
        """Every field that was put back after *since*, with how often."""
        for row in self._rows("healed", _HEALED, (environment, since)):
            yield Healed(*row)

    def touched(self, environment: str, address: str) -> Mapping[str, Any] | None:
        """The last entry whose apply did something to *address*, with its `deed`; None where none did."""
        for *entry, deed in self._rows("deed", _TOUCHED, (address, environment)):
            return {**_entry(entry), "deed": deed}
        return None

    def _rows(self, table: str, query: str, arguments: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """The answer to *query*; nothing where nobody has made the file, or an older release without *table*."""
        if not self.path.exists():
            return []
        with self._open() as database:
            known = database.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (table,)).fetchone()
            return database.execute(query, arguments).fetchall() if known else []

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as database:
                yield database
        except sqlite3.Error as error:
            raise errors.ProviderError(f"the history in {self.path} cannot be used: {error}", hint="free the file, or its disk") from error


def _write(database: sqlite3.Connection, entry: int | None, deeds: list[Deed], followed: Mapping[str, Any]) -> None:
    database.executemany("INSERT INTO deed VALUES (?, ?, ?)", [(entry, one.address, one.action) for one in deeds])
    healed = [(entry, one.address, path, digest) for one in deeds for path, digest in one.healed]
    database.executemany("INSERT INTO healed VALUES (?, ?, ?, ?)", healed)
    if followed:
        database.execute("INSERT INTO followed VALUES (?, ?)", (entry, json.dumps(followed)))


def _entry(row: list[Any]) -> dict[str, Any]:
    time, action, commit, tree, summary, result = row
    return {"time": time, "action": action, "commit": commit, "tree": tree, "summary": json.loads(summary), "result": result}
