"""What is remembered of components, in one SQLite file that several processes may share (WAL); the standard library's sqlite3 only.

`settled` and the table `member` are indexes of what the records say, written with them: nothing is decided by them alone.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic import TypeAdapter

from providers import sqlite_schema
from reconciler.components import status
from reconciler.errors import ProviderError, TransientError, UsageError
from reconciler.model.componentstate import ComponentState, Entry
from reconciler.model.layer import Resolved
from reconciler.model.session import Session, Succeeded

BUSY_SECONDS = 30.0
_CHUNK = 500  # names in one query
_SESSION, _RESOLVED = TypeAdapter(Session), TypeAdapter(Resolved)


class _ConflictError(Exception):
    """Another writer came first."""


class SqliteRecords:
    """The records of one environment. Safe for threads and processes; every write is one transaction."""

    def __init__(self, path: Path, environment: str, *, read_only: bool = False) -> None:
        if not read_only:
            path.parent.mkdir(parents=True, exist_ok=True)
        self._environment, self._path = environment, path
        self._lock = threading.RLock()
        mode = "ro" if read_only else "rwc"
        with _told(path):
            self._connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode={mode}", uri=True, timeout=BUSY_SECONDS, check_same_thread=False, isolation_level=None
            )
            if not read_only:
                self._connection.execute("PRAGMA journal_mode=WAL")
                self._connection.execute("PRAGMA synchronous=NORMAL")
                self._atomically(self._prepare)
            self._identity = str(self._connection.execute("SELECT identity FROM store").fetchone()[0])

    @property
    def identity(self) -> str:
        return self._identity

    def close(self) -> None:
        self._connection.close()

    def get(self, ids: Iterable[str]) -> dict[str, ComponentState]:
        wanted = tuple(ids)
        found: dict[str, ComponentState] = {}
        for start in range(0, len(wanted), _CHUNK):
            chunk = wanted[start : start + _CHUNK]
            marks = ",".join("?" * len(chunk))
            found.update((one.id, one) for one in self._components(f"id IN ({marks})", *chunk))
        return found

    def everything(self) -> dict[str, ComponentState]:
        return {one.id: one for one in self._components("1")}

    def unsettled(self) -> tuple[ComponentState, ...]:
        return tuple(self._components("declared AND NOT settled"))

    def settled(self) -> dict[str, int]:
        rows = self._rows(
            "SELECT configuration, count(*) FROM component WHERE environment = ? AND declared AND settled GROUP BY configuration"
        )
        return {str(name): int(count) for name, count in rows}

    def open(self, session: Session) -> bool:
        names = [(self._environment, id, session.name) for id in session.members]

        def insert() -> None:
            self._all_changed("INSERT OR IGNORE INTO member VALUES (?, ?, ?)", names)
            self._all_changed("INSERT OR IGNORE INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [self._session_row(session)])

        return self._atomically(insert)

    def live(self) -> tuple[Session, ...]:
        return self._sessions("SELECT record, version FROM session WHERE environment = ? AND live ORDER BY created DESC, name")

    def busy(self) -> frozenset[str]:
        return frozenset(str(id) for (id,) in self._rows("SELECT id FROM member WHERE environment = ?"))

    def session(self, name: str) -> Session | None:
        return next(iter(self._sessions("SELECT record, version FROM session WHERE environment = ? AND name = ?", name)), None)

    def sessions(self, *, configuration: str = "", limit: int = 100) -> tuple[Session, ...]:
        only = "AND configuration = ?" if configuration else "AND ? = ''"
        query = f"SELECT record, version FROM session WHERE environment = ? {only} ORDER BY created DESC, name LIMIT ?"  # noqa: S608 - two literals
        return self._sessions(query, configuration, limit)

    def attempts(self, key: str) -> int:
        ((last,),) = self._rows("SELECT max(attempt) FROM session WHERE environment = ? AND key = ?", key)
        return 0 if last is None else int(last) + 1

    def verdicts(self, configuration: str, limit: int) -> tuple[Succeeded, ...]:
        query = "SELECT succeeded FROM session WHERE environment = ? AND configuration = ? AND NOT live ORDER BY completed DESC LIMIT ?"
        return tuple(word for (word,) in self._rows(query, configuration, limit))

    def purge(self, before: datetime) -> int:
        row = (self._environment, before.isoformat())
        ((count,),) = self._rows("SELECT count(*) FROM session WHERE environment = ? AND NOT live AND completed < ?", row[1])
        self._atomically(lambda: self._execute("DELETE FROM session WHERE environment = ? AND NOT live AND completed < ?", row))
        return int(count)

    def resolved(self) -> dict[str, Resolved]:
        rows = self._rows("SELECT name, record FROM configuration WHERE environment = ?")
        return {str(name): _RESOLVED.validate_json(record) for name, record in rows}

    def resolve(self, configuration: Resolved) -> None:
        row = (self._environment, configuration.name, _RESOLVED.dump_json(configuration).decode())
        self._atomically(lambda: self._execute("INSERT OR REPLACE INTO configuration VALUES (?, ?, ?)", row))

    def commit(self, components: Sequence[ComponentState] = (), sessions: Sequence[Session] = ()) -> bool:
        def write() -> None:
            self._all_changed(sqlite_schema.PUT_COMPONENT, [self._component_row(one) for one in components])
            for one in sessions:
                self._put_session(one)

        return self._atomically(write)

    def _prepare(self) -> None:
        for statement in sqlite_schema.SCHEMA.split(";"):
            self._execute(statement)
        self._execute("INSERT INTO store SELECT ? WHERE NOT EXISTS (SELECT 1 FROM store)", (uuid.uuid4().hex[:12],))

    def _put_session(self, one: Session) -> None:
        *_, live, _created, completed, succeeded, record, version = self._session_row(replace(one, version=one.version + 1))
        self._all_changed(
            sqlite_schema.PUT_SESSION, [(live, completed, succeeded, record, version, self._environment, one.name, one.version)]
        )
        if not one.live:
            self._execute("DELETE FROM member WHERE environment = ? AND session = ?", (self._environment, one.name))

    def _components(self, where: str, *values: Any) -> Iterator[ComponentState]:
        rows = self._rows(f"SELECT {sqlite_schema.COMPONENT} FROM component WHERE environment = ? AND {where}", *values)  # noqa: S608 - literals of this class
        return map(_component, rows)

    def _sessions(self, query: str, *values: Any) -> tuple[Session, ...]:
        return tuple(replace(_SESSION.validate_json(record), version=version) for record, version in self._rows(query, *values))

    def _component_row(self, one: ComponentState) -> tuple[Any, ...]:
        state = json.dumps([{**asdict(entry), "last_updated": entry.last_updated.isoformat()} for entry in one.state])
        desired = (one.id, one.configuration, json.dumps(one.layers), one.enabled, one.retry_policy)
        flags = (one.declared, one.known, one.version + 1, status.settled(one))
        return (self._environment, *desired, one.error_count, one.epoch, state, *flags)

    def _session_row(self, one: Session) -> tuple[Any, ...]:
        record = _SESSION.dump_json(one).decode()
        ended = one.completed.isoformat() if one.completed else None
        named = (self._environment, one.name, one.configuration, one.key, one.attempt)
        return (*named, one.live, one.created.isoformat(), ended, one.succeeded, record, one.version)

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock, _told(self._path):
            return self._connection.execute(query, (self._environment, *values)).fetchall()

    def _execute(self, query: str, values: tuple[Any, ...] = ()) -> None:
        self._connection.execute(query, values)

    def _all_changed(self, query: str, rows: Sequence[tuple[Any, ...]]) -> None:
        """Run *query* for each of *rows*; a conflict where it did nothing for one of them."""
        if rows and self._connection.executemany(query, rows).rowcount < len(rows):
            raise _ConflictError

    def _atomically(self, write: Callable[[], None]) -> bool:
        """Whether *write* was done; it leaves nothing behind where another writer came first."""
        with self._lock, _told(self._path):
            self._execute("BEGIN IMMEDIATE")
            try:
                write()
                self._execute("COMMIT")
            except _ConflictError:
                return False
            finally:
                if self._connection.in_transaction:
                    self._execute("ROLLBACK")
        return True


def open_records(url: str, environment: str) -> SqliteRecords:
    """The store at *url* (`sqlite:///path`), made where there is none."""
    return SqliteRecords(_path(url), environment)


def read_records(url: str, environment: str) -> SqliteRecords | None:
    """The store at *url* for reading only; None where none was made yet, or a full disk or a kill left no more than its file."""
    path = _path(url)
    return SqliteRecords(path, environment, read_only=True) if path.exists() and _is_made(path) else None


def _is_made(path: Path) -> bool:
    with _told(path), closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as database:
        return database.execute("SELECT 1 FROM sqlite_master WHERE name = 'store'").fetchone() is not None


def _path(url: str) -> Path:
    parts = urlsplit(url)
    if parts.scheme != "sqlite" or parts.netloc or not parts.path.strip("/"):
        raise UsageError(f"{url!r} is no address of a SQLite file", hint="write spec.store as sqlite:///path/to/file")
    return Path("/" + parts.path.lstrip("/"))


def _component(row: Any) -> ComponentState:
    id, configuration, layers, enabled, retry_policy, error_count, epoch, state, declared, known, version = row
    return ComponentState(
        id=id,
        configuration=configuration,
        layers=tuple(json.loads(layers)),
        enabled=bool(enabled),
        retry_policy=retry_policy,
        error_count=error_count,
        epoch=epoch,
        state=tuple(Entry(**{**entry, "last_updated": datetime.fromisoformat(entry["last_updated"])}) for entry in json.loads(state)),
        declared=bool(declared),
        known=bool(known),
        version=version,
    )


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """SQLite's complaints as errors of the tree."""
    try:
        yield
    except sqlite3.OperationalError as error:
        where = f"the store {path}"
        if "full" in str(error):
            raise ProviderError(f"{where} cannot be written: {error}", hint="make room on its disk, then run again") from error
        if "locked" in str(error) or "busy" in str(error):
            raise TransientError(f"{where} is busy: {error}", hint="another process writes to it; run again") from error
        raise ProviderError(f"{where} cannot be used: {error}", hint="its folder has to exist, and to be writable for this user") from error
    except sqlite3.DatabaseError as error:
        raise ProviderError(f"the store cannot be read: {error}", hint="restore it with `reconcile store restore`") from error
