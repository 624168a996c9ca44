"""The component side of a pass: hand over what git wishes, carry sessions on, open new ones, say how each configuration stands."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.components import state, status, summary
from reconciler.components.batcher import Batcher
from reconciler.components.operator import Operator
from reconciler.components.ports import Records, SessionRunner
from reconciler.components.summary import Standing
from reconciler.components.target import Tip, declared, resolve, targets
from reconciler.errors import ProviderError
from reconciler.model.component import Components
from reconciler.model.componentstate import ComponentState
from reconciler.model.configuration import Configuration
from reconciler.model.desired import Desired
from reconciler.model.layer import Resolved
from reconciler.model.outcome import Done, Failed, Outcome, Waiting
from reconciler.model.plan import ComponentsSummary
from reconciler.model.session import Session
from reconciler.ports import Clock

log = logging.getLogger(__name__)

ASK_AGAIN = 10.0  # seconds until a branch that could not be read is asked for again
_SHOWN = 3
Wishes = tuple[tuple[Components, ...], Mapping[str, Configuration], Mapping[str, Resolved], bool]


@dataclass(slots=True)
class Controller:
    """One environment's. `tick` never waits for a session: it does what can be done now, and is called again."""

    records: Records
    runner: SessionRunner
    clock: Clock
    tip: Tip
    operator: Operator = field(init=False)
    batcher: Batcher = field(init=False)
    _handed_over: Wishes | None = None
    _troubles: dict[str, tuple[float, str]] = field(default_factory=dict)
    _swept: bool = False

    def __post_init__(self) -> None:
        self.operator = Operator(self.records, self.runner, self.clock)
        self.batcher = Batcher(self.records, self.clock)

    def tick(self, desired: Desired, *, sweep: bool = False) -> tuple[Standing, ...]:
        """One step. *sweep* says that all that is pending is pending now, so that batches wait for nobody (`apply`)."""
        self._begin(desired)
        resolved = self.resolve(desired)
        self.hand_over(desired, resolved)
        at_once = desired.environment.sessions.max_concurrent
        self.batcher.note(self.operator.scan(at_once))
        self.batcher.open(desired, resolved, sweep=sweep)
        self.operator.launch(at_once)
        return self.standings(desired)

    def resolve(self, desired: Desired) -> dict[str, Resolved]:
        """Every configuration at commits; one whose branches cannot be read stays open, and holds up no other."""
        known = self.records.resolved()
        resolved = {name: self._resolve(one, desired, known.get(name)) for name, one in desired.configurations.items()}
        for name, one in resolved.items():
            if one != known.get(name) and one.whole:
                self.records.resolve(one)
        return resolved

    def hand_over(self, desired: Desired, resolved: Mapping[str, Resolved]) -> int:
        """Write git's wishes to the store where they are new, in one go; how many components changed.

        As long as not all of git's wishes are known, what nothing declares keeps what it was to have.
        """
        wishes = (desired.components, desired.configurations, resolved, bool(desired.lost))
        if wishes == self._handed_over:
            return 0
        remembered = self.records.everything()
        wanted = {target.id: state.desire(remembered.get(target.id), target) for target in targets(desired, resolved)}
        left = {} if desired.lost else remembered
        gone = {id: state.forget(component) for id, component in left.items() if id not in wanted}
        changed = [component for id, component in {**wanted, **gone}.items() if component is not remembered.get(id)]
        if not changed or self.records.commit(changed):
            self._handed_over = wishes
        return len(changed)

    def standings(self, desired: Desired) -> tuple[Standing, ...]:
        """How each configuration that somebody shall have stands."""
        names = sorted({one.desired_configuration for one in desired.components if one.desired_configuration})
        unsettled, live = declared(desired, self.records.unsettled()), self.records.live()
        counts = summary.with_settled(summary.count(unsettled), self.records.settled(), names)
        return tuple(self._standing(one, unsettled, [s for s in live if s.configuration == one.configuration]) for one in counts)

    def _begin(self, desired: Desired) -> None:
        """Once a run: end what nobody knows of, forget what is old enough."""
        if not self._swept:
            self.operator.end_strays()
            self.records.purge(datetime.fromtimestamp(self.clock.now(), UTC) - timedelta(seconds=desired.environment.sessions.ttl.seconds))
            self._swept = True

    def _resolve(self, configuration: Configuration, desired: Desired, known: Resolved | None) -> Resolved:
        open_ = resolve(configuration, desired.sources, known)
        if open_.whole:
            return open_
        since, _why = self._troubles.get(configuration.name, (-ASK_AGAIN, ""))
        if self.clock.monotonic() - since < ASK_AGAIN:
            return open_
        try:
            found = resolve(configuration, desired.sources, known, self.tip)
        except ProviderError as error:
            log.debug("configuration %s: %s", configuration.name, error)
            self._troubles[configuration.name] = (self.clock.monotonic(), str(error))
            return open_
        self._troubles.pop(configuration.name, None)
        return found

    def _standing(self, counts: ComponentsSummary, unsettled: tuple[ComponentState, ...], live: list[Session]) -> Standing:
        sessions = tuple(one.name for one in live)
        if counts.pending or live:
            return Standing(counts, Waiting(self._until(counts, live)), sessions)
        return Standing(counts, _outcome(counts, [one for one in unsettled if one.configuration == counts.configuration]), sessions)

    def _until(self, counts: ComponentsSummary, live: list[Session]) -> str:
        goal = f"{counts.pending} of {counts.total} components are configured by {counts.configuration}"
        if not counts.pending:
            goal = f"the last sessions of {counts.configuration} have ended"
        notes = [self._troubles[counts.configuration][1]] if counts.configuration in self._troubles else []
        held = self.batcher.held(counts.configuration)
        notes += [f"too many of its sessions failed in a row; the next in {held:.0f} s"] if held else []
        notes += [f"{one.name}: {why}" for one in live if (why := self.operator.reasons.get(one.name))][:_SHOWN]
        return f"{goal} ({'; '.join(notes)})" if notes else goal


def _outcome(counts: ComponentsSummary, unsettled: list[ComponentState]) -> Outcome:
    if not counts.failed:
        return Done()
    failed = [one for one in unsettled if one.enabled and status.configuration_status(one) == "failed"]
    told = "; ".join(f"{one.id} after {one.error_count} attempts: {_last_words(one)}" for one in failed[:_SHOWN])
    more = f"; and {len(failed) - _SHOWN} more" if len(failed) > _SHOWN else ""
    return Failed(f"{counts.failed} of {counts.total} components failed: {told}{more}")


def _last_words(component: ComponentState) -> str:
    failures = [entry.message for entry in component.state if entry.status == "failed" and entry.message]
    return failures[-1] if failures else "no session says why"
