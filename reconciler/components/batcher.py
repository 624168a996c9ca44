"""Opens sessions for pending components. What it keeps between passes (windows, back-offs) may be lost: it costs time, never truth."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from reconciler.components import backoff, batch, session, target
from reconciler.components.backoff import Backoff
from reconciler.components.batch import Batch, Limits
from reconciler.components.ports import Records
from reconciler.model.desired import Desired
from reconciler.model.layer import Resolved
from reconciler.model.session import Session
from reconciler.ports import Clock

AHEAD = 2  # sessions recorded for each that may run: more would only grow old before their turn


@dataclass(slots=True)
class Batcher:
    """One environment's. `open` does what can be done now; `note` hears of each session that has ended."""

    records: Records
    clock: Clock
    _waiting: tuple[Batch, ...] = ()
    _backoffs: dict[str, Backoff] = field(default_factory=dict)

    def note(self, concluded: Iterable[Session]) -> None:
        for one in concluded:
            before = self._backoff(one.configuration)
            self._backoffs[one.configuration] = backoff.after(before, self.clock.monotonic(), ok=one.succeeded == "true")

    def open(self, desired: Desired, resolved: Mapping[str, Resolved], *, sweep: bool) -> tuple[Session, ...]:
        """The sessions recorded now. A *sweep* knows everything that is pending already and waits for no window."""
        settings, now = desired.environment.sessions, self.clock.monotonic()
        limits = Limits(settings.batch_size, 0.0 if sweep else settings.batch_window.seconds)
        pending = {component.id: component for component in target.declared(desired, self.records.unsettled())}
        weigh = _Scale(desired)
        busy = self.records.busy()
        self._waiting = batch.fill(self._waiting, pending.values(), busy=busy, now=now, limits=limits, weigh=weigh)
        live = self.records.live()
        opened: list[Session] = []
        for one in batch.due(self._waiting, now, limits):
            if len(live) + len(opened) >= settings.max_concurrent * AHEAD:
                break
            if self._may_send(one, (*live, *opened)) and (made := self._send(one, pending, desired, resolved)):
                opened.append(made)
        sent = {id for one in opened for id in one.members}
        self._waiting = tuple(one for one in self._waiting if not sent.issuperset(one.members))
        return tuple(opened)

    def held(self, configuration: str) -> float:
        """For how many seconds more nothing is sent for *configuration*, because too many of its sessions failed."""
        gate = self._backoff(configuration)
        return max(0.0, gate.until - self.clock.monotonic()) if gate.failures >= backoff.TOLERATED else 0.0

    def _may_send(self, one: Batch, live: tuple[Session, ...]) -> bool:
        in_flight = sum(other.configuration == one.key.configuration for other in live)
        allowance = backoff.allowance(self._backoff(one.key.configuration), self.clock.monotonic(), in_flight)
        return allowance is None or allowance > 0

    def _send(self, one: Batch, members: session.States, desired: Desired, resolved: Mapping[str, Resolved]) -> Session | None:
        """Record a session for *one*; None where another writer took a member first: the next pass sees that."""
        configuration, hosts = resolved.get(one.key.configuration), target.host_entries(desired, one.members)
        if configuration is None or len(hosts) < len(one.members):
            return None
        recipe = session.Recipe(configuration, hosts, desired.environment.sessions, self.records.identity)
        made = session.make(one, members, recipe, datetime.fromtimestamp(self.clock.now(), UTC))
        made = session.again(made, self.records.attempts(made.key))
        return made if self.records.open(made) else None

    def _backoff(self, configuration: str) -> Backoff:
        """As it stands, or as the last sessions of *configuration* say: a restart does not open a gate."""
        if configuration not in self._backoffs:
            gate = Backoff()
            for verdict in reversed(self.records.verdicts(configuration, backoff.TOLERATED)):
                gate = backoff.after(gate, self.clock.monotonic(), ok=verdict == "true")
            self._backoffs[configuration] = replace(gate)
        return self._backoffs[configuration]


class _Scale:
    """Weighs what a component takes up in the input of a session, in bytes."""

    def __init__(self, desired: Desired) -> None:
        self._desired = desired
        self._common = {id(one): len(json.dumps([one.vars, one.groups], default=str)) for one in desired.components}

    def __call__(self, component: str) -> int:
        document = next((one for one in self._desired.components if component in one.ids), None)
        if document is None:
            return len(component)
        own = document.hosts.get(component)
        return self._common[id(document)] + (len(json.dumps(own, default=str)) if own else 0) + 3 * len(component)
