"""Carries sessions out: claims and starts those that wait their turn, takes in what the others report, concludes those that ended.

Level-triggered: each scan looks at every live session, so an event that is lost, doubled or late costs nothing but time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from reconciler.components import session as sessions
from reconciler.components.ports import Records, SessionRunner, Sight
from reconciler.errors import ProviderError
from reconciler.model.componentstate import ComponentState
from reconciler.model.session import Session
from reconciler.ports import Clock

log = logging.getLogger(__name__)

PATIENCE = 300.0  # seconds for which a finished session's unreadable report is asked for again
_RACES = 20

Step = Callable[[Session, dict[str, ComponentState]], tuple[Session, dict[str, ComponentState]]]


@dataclass(slots=True)
class Operator:
    """One environment's. *reasons* says of each live session why it is where it is."""

    records: Records
    runner: SessionRunner
    clock: Clock
    reasons: dict[str, str] = field(default_factory=dict)
    _unread: dict[str, float] = field(default_factory=dict)

    def scan(self, at_once: int) -> tuple[Session, ...]:
        """One look at every live session, of which at most *at_once* may run; those that were concluded."""
        live = self.records.live()
        sights = self.runner.look([one for one in live if one.started])
        concluded = [done for one in live if one.started and (done := self._isolated(one, sights.get(one.name, Sight("absent"))))]
        self.launch(at_once)
        return tuple(concluded)

    def launch(self, at_once: int) -> None:
        """Start what waits its turn, oldest first. Claimed before started: whoever takes over knows that it may have begun."""
        live = sorted(self.records.live(), key=lambda one: (one.created, one.name))
        free = at_once - sum(one.started is not None for one in live)
        for one in [one for one in live if one.started is None][: max(free, 0)]:
            try:
                self._start(one)
            except ProviderError as error:
                self.reasons[one.name] = f"it could not be started: {error}"
                log.debug("session %s could not be started: %s", one.name, error)

    def end_strays(self) -> tuple[str, ...]:
        """End what runs here without a record: its store is lost, and nobody could believe its report."""
        strays = self.runner.strays(frozenset(one.name for one in self.records.live()))
        lost = tuple(name for name in strays if self.records.session(name) is None)
        for name in lost:
            self.runner.stop(name)
        return lost

    def _start(self, one: Session) -> None:
        claimed = one if one.claimed else self._write(one, lambda now, _members: (replace(now, claimed=True), {}))
        self.runner.start(claimed)
        self._write(claimed, lambda now, _members: (now.advance(started=self._now()), {}))
        self.reasons.pop(one.name, None)

    def _isolated(self, one: Session, sight: Sight) -> Session | None:
        """One session's trouble is not another's."""
        try:
            return self._follow(one, sight)
        except ProviderError as error:
            self.reasons[one.name] = str(error)
            log.debug("session %s: %s", one.name, error)
            return None

    def _follow(self, one: Session, sight: Sight) -> Session | None:
        if sight.frames or (sight.phase == "running" and one.status == "pending"):
            one = self._write(one, lambda now, members: sessions.take(now.advance("running"), members, sight.frames, self._now()))
        self.reasons[one.name] = sight.reason
        if sight.phase in {"pending", "running"} or (sight.unread and self._worth_waiting(one.name)):
            return None
        why = "; ".join(text for text in (sight.reason, sight.unread) if text)
        done = self._write(one, lambda now, members: sessions.conclude(now, members, sight.phase, why, self._now()))
        self.reasons.pop(one.name, None)
        self._unread.pop(one.name, None)
        return done

    def _worth_waiting(self, name: str) -> bool:
        """Whether the report of a session that has ended may yet be read."""
        since = self._unread.setdefault(name, self.clock.monotonic())
        return self.clock.monotonic() - since < PATIENCE

    def _write(self, one: Session, step: Step) -> Session:
        """Take *step* from what is remembered now, anew whenever another writer comes first: all of it is written, or nothing."""
        for _race in range(_RACES):
            current = self.records.session(one.name)
            if current is None or not current.live:
                return current or one
            after, changed = step(current, self.records.get(current.members))
            if self.records.commit(tuple(changed.values()), (after,)):
                return replace(after, version=current.version + 1)
        raise ProviderError(f"session {one.name} is written by others all the time", hint="let one reconciler alone serve this environment")

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self.clock.now(), UTC)
