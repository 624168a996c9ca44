"""Port `History`: what was applied when, a row each, in the same SQLite file as the component side's records."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler import errors
from reconciler.model.origin import Revision
from reconciler.ports import Clock

_SCHEMA = """
CREATE TABLE IF NOT EXISTS history (
  id INTEGER PRIMARY KEY, environment TEXT NOT NULL, time REAL NOT NULL, action TEXT NOT NULL,
  revision TEXT NOT NULL, tree TEXT NOT NULL, summary TEXT NOT NULL, result TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS history_recent ON history (environment, id);
"""
BUSY_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class SqliteHistory:
    """The history in the file at *path*, which is made when there is something to write."""

    path: Path
    clock: Clock

    def record(self, revision: Revision, action: str, summary: Mapping[str, int], result: str) -> None:
        """Append one entry; durable when this returns."""
        row = (revision.environment, self.clock.now(), action, revision.commit, revision.tree, json.dumps(dict(summary)), result)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as database:
            database.executescript(_SCHEMA)
            with database:
                database.execute(
                    "INSERT INTO history (environment, time, action, revision, tree, summary, result) VALUES (?, ?, ?, ?, ?, ?, ?)", row
                )

    def entries(self, environment: str, limit: int) -> Iterator[Mapping[str, Any]]:
        """The last *limit* entries, newest first: time (seconds since the epoch), action, commit, tree, summary, result."""
        if not self.path.exists():
            return
        query = "SELECT time, action, revision, tree, summary, result FROM history WHERE environment = ? ORDER BY id DESC LIMIT ?"
        with self._open() as database:
            known = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'history'").fetchone()
            rows = database.execute(query, (environment, limit)).fetchall() if known else []
        for time, action, commit, tree, summary, result in rows:
            yield {"time": time, "action": action, "commit": commit, "tree": tree, "summary": json.loads(summary), "result": result}

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self.path, timeout=BUSY_SECONDS)) as database:
                yield database
        except sqlite3.Error as error:
            raise errors.ProviderError(f"the history in {self.path} cannot be used: {error}", hint="free the file, or its disk") from error
