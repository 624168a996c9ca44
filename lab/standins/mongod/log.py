"""The oplog, and the documents that come of it. Entries are idempotent: whole documents, never what was done to them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import bson
from bson import Timestamp

from lab.standins.mongod import matching
from lab.standins.mongod.disk import Journal
from lab.standins.mongod.wire import Document

Place = tuple[int, int]  # term and index of an entry; the greater one is the newer


@dataclass(slots=True)
class Documents:
    """Collections by namespace, and of each session the last write with what it was answered, so that a repeated one is not done twice."""

    collections: dict[str, dict[bytes, Document]] = field(default_factory=dict)
    sessions: dict[bytes, tuple[int, Document]] = field(default_factory=dict)

    def get(self, namespace: str, id: Any) -> Document | None:
        return self.collections.get(namespace, {}).get(_key(id))

    def find(self, namespace: str, wanted: Mapping[str, Any]) -> Iterator[Document]:
        return (one for one in list(self.collections.get(namespace, {}).values()) if matching.matches(one, wanted))

    def do(self, entry: Document) -> None:
        """Apply what an entry of the oplog says."""
        for namespace, id, document in entry["changes"]:
            documents = self.collections.setdefault(namespace, {})
            if document is None:
                documents.pop(_key(id), None)
            else:
                documents[_key(id)] = document
        if "session" in entry:
            self.sessions[entry["session"]["id"]] = (entry["session"]["number"], entry["session"]["answer"])


def _key(id: Any) -> bytes:
    return bson.encode({"_id": id})


class Log:
    """Entries, numbered from 1, as they lie in *journal*."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self.entries: list[Document] = []
        self.documents = Documents()
        self.election: Document = {"term": 0, "for": ""}
        self.config: Document | None = None
        for record in journal.records():
            self._take(record)

    @property
    def last(self) -> Place:
        return self.place(len(self.entries))

    def place(self, index: int) -> Place:
        """The term and number of entry *index*; of none, where the log is shorter."""
        return (self.entries[index - 1]["term"], index) if 0 < index <= len(self.entries) else (0, 0)

    def time(self, index: int) -> Document:
        """When entry *index* was written, as an OpTime."""
        if not 0 < index <= len(self.entries):
            return {"ts": Timestamp(0, 0), "t": -1}
        return {"ts": self.entries[index - 1]["ts"], "t": self.entries[index - 1]["term"]}

    def written(self, term: int, changes: Iterable[tuple[str, Any, Document | None]], session: Document | None = None) -> int:
        """Write a new entry, and give its number."""
        stamp = Timestamp(int(datetime.now(UTC).timestamp()), len(self.entries) + 1)
        entry: Document = {"term": term, "ts": stamp, "changes": [list(one) for one in changes]}
        self.extend([{**entry, "session": session} if session else entry])
        return len(self.entries)

    def extend(self, entries: Iterable[Document]) -> None:
        """Take over *entries* of another member, or own ones."""
        self._keep(*({"entry": one} for one in entries))

    def cut(self, index: int) -> None:
        """Forget what follows entry *index*: another member became primary without it."""
        if index < len(self.entries):
            self._keep({"cut": index})

    def vote(self, term: int, candidate: str) -> None:
        self._keep({"election": {"term": term, "for": candidate}})

    def configure(self, config: Document) -> None:
        self._keep({"config": config})

    def _keep(self, *records: Document) -> None:
        self._journal.keep(*records)
        for record in records:
            self._take(record)

    def _take(self, record: Document) -> None:
        match record:
            case {"entry": entry}:
                self.entries.append(entry)
                self.documents.do(entry)
            case {"cut": index}:
                del self.entries[index:]
                self.documents = Documents()
                for entry in self.entries:
                    self.documents.do(entry)
            case {"election": election}:
                self.election = election
            case {"config": config}:
                self.config = config
