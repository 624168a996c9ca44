"""What is remembered of components, for as long as the process lives: for tests, and held to the same contract as the real store."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from reconciler.components import status
from reconciler.model.componentstate import ComponentState
from reconciler.model.layer import Resolved
from reconciler.model.session import Session, Succeeded

_BEGINNING = datetime.min.replace(tzinfo=UTC)


class MemoryRecords:
    """The records of one environment."""

    def __init__(self) -> None:
        self.identity = uuid.uuid4().hex[:12]
        self._components: dict[str, ComponentState] = {}
        self._sessions: dict[str, Session] = {}
        self._resolved: dict[str, Resolved] = {}

    def get(self, ids: Iterable[str]) -> dict[str, ComponentState]:
        return {id: self._components[id] for id in ids if id in self._components}

    def everything(self) -> dict[str, ComponentState]:
        return dict(self._components)

    def unsettled(self) -> tuple[ComponentState, ...]:
        return tuple(one for one in self._components.values() if one.declared and not status.settled(one))

    def settled(self) -> dict[str, int]:
        return dict(Counter(one.configuration for one in self._components.values() if one.declared and status.settled(one)))

    def open(self, session: Session) -> bool:
        if session.name in self._sessions or self.busy() & set(session.members):
            return False
        self._sessions[session.name] = session
        return True

    def live(self) -> tuple[Session, ...]:
        return tuple(one for one in self._newest() if one.live)

    def busy(self) -> frozenset[str]:
        return frozenset(id for one in self._sessions.values() if one.live for id in one.members)

    def session(self, name: str) -> Session | None:
        return self._sessions.get(name)

    def sessions(self, *, configuration: str = "", limit: int = 100) -> tuple[Session, ...]:
        return tuple(one for one in self._newest() if configuration in {"", one.configuration})[:limit]

    def attempts(self, key: str) -> int:
        return max((one.attempt + 1 for one in self._sessions.values() if one.key == key), default=0)

    def verdicts(self, configuration: str, limit: int) -> tuple[Succeeded, ...]:
        ended = [one for one in self._sessions.values() if one.configuration == configuration and not one.live]
        return tuple(one.succeeded for one in sorted(ended, key=lambda one: one.completed or _BEGINNING, reverse=True)[:limit])

    def purge(self, before: datetime) -> int:
        old = [one.name for one in self._sessions.values() if not one.live and one.completed and one.completed < before]
        for name in old:
            del self._sessions[name]
        return len(old)

    def resolved(self) -> dict[str, Resolved]:
        return dict(self._resolved)

    def resolve(self, configuration: Resolved) -> None:
        self._resolved[configuration.name] = configuration

    def commit(self, components: Sequence[ComponentState] = (), sessions: Sequence[Session] = ()) -> bool:
        fresh = all(one.id not in self._components or self._components[one.id].version == one.version for one in components)
        if not fresh or not all(one.name in self._sessions and self._sessions[one.name].version == one.version for one in sessions):
            return False
        self._components.update((one.id, replace(one, version=one.version + 1)) for one in components)
        self._sessions.update((one.name, replace(one, version=one.version + 1)) for one in sessions)
        return True

    def _newest(self) -> list[Session]:
        return sorted(sorted(self._sessions.values(), key=lambda one: one.name), key=lambda one: one.created, reverse=True)
