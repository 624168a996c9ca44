"""Runs units of work side by side, each as soon as those before it have ended well. Threads around the engine, and nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent import futures
from dataclasses import dataclass, replace
from typing import Protocol

from reconciler import apply, errors
from reconciler.apply import Gate, Unit
from reconciler.model.address import ResourceId
from reconciler.model.outcome import Done, Failed, Outcome
from reconciler.ports import Engine, Progress, StackResult, StackView, Views

LOOK_EVERY = 1.0  # seconds between two looks at what a gate holds back
_OPEN = Gate()


@dataclass(frozen=True, slots=True)
class _Held:
    """What stacks that could start are still waited for, and whether it is too late to wait."""

    shut: Mapping[str, Outcome]
    late: bool


class Stop(Protocol):
    """Whether an end is wanted: an event, or anything that can tell."""

    def is_set(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Executor:
    """Runs stacks on *engine*, *parallel* at a time. After *stop* is set nothing new starts; what runs is waited for."""

    engine: Engine
    parallel: int
    stop: Stop
    pause: Callable[[float], None] = time.sleep

    def run(self, units: Iterable[Unit], progress: Progress, gate: Gate = _OPEN) -> Mapping[ResourceId, Outcome]:
        """How every change of *units* ended. One stack's failure, or *gate*, stops only those that come after it."""
        waiting, outcomes, ended = list(units), dict[ResourceId, Outcome](), dict[str, bool]()
        learned: dict[ResourceId, Mapping[str, str]] = {}
        with futures.ThreadPoolExecutor(self.parallel, "engine") as pool:
            running: dict[futures.Future[StackResult], Unit] = {}
            while waiting or running:
                shut = self._shut(waiting, ended, gate)
                late = gate.late()
                waiting = self._start(waiting, running, pool, (outcomes, ended, learned, progress), _Held(shut, late))
                if not running and (late or not shut):
                    break
                for future in self._awaited(running, soon=bool(shut) and not late):
                    unit = running.pop(future)
                    result = _result(unit, future)
                    outcomes.update(result.outcomes)
                    learned.update(result.attributes)
                    ended[unit.stack] = apply.well(result.outcomes)
        for unit in waiting:
            outcomes.update(_all(unit, Failed("not started: interrupted", retryable=True)))
        return outcomes

    def _shut(self, waiting: Iterable[Unit], ended: Mapping[str, bool], gate: Gate) -> dict[str, Outcome]:
        """What is lacking of the stacks that could start but for the gate."""
        able = [unit for unit in waiting if not self.stop.is_set() and not unit.blocked and apply.ready(unit, ended)]
        asked = {unit.stack: gate.lacking(unit.stack) for unit in able}
        return {stack: outcome for stack, outcome in asked.items() if not isinstance(outcome, Done)}

    def _awaited(self, running: Mapping[futures.Future[StackResult], Unit], *, soon: bool) -> Iterable[futures.Future[StackResult]]:
        """Those that have ended; with one at least, unless the gate is to be asked again *soon*."""
        if not running:
            self.pause(LOOK_EVERY)
            return ()
        return futures.wait(running, LOOK_EVERY if soon else None, futures.FIRST_COMPLETED).done

    def _start(
        self,
        waiting: list[Unit],
        running: dict[futures.Future[StackResult], Unit],
        pool: futures.ThreadPoolExecutor,
        state: tuple[dict[ResourceId, Outcome], dict[str, bool], dict[ResourceId, Mapping[str, str]], Progress],
        held: _Held,
    ) -> list[Unit]:
        """Start what may start, drop what never will, and then whatever comes after that; what is left."""
        outcomes, ended, learned, progress = state
        over = held.shut if held.late else {}
        while bad := {unit.stack: why for unit in waiting if (why := over.get(unit.stack) or apply.blocked(unit, ended))}:
            for unit in waiting:
                if unit.stack in bad:
                    outcomes.update(_all(unit, bad[unit.stack]))
            ended.update(dict.fromkeys(bad, False))
            waiting = [unit for unit in waiting if unit.stack not in bad]
        left = []
        for unit in waiting:
            if apply.ready(unit, ended) and unit.stack not in held.shut and not self.stop.is_set():
                run = replace(unit.run, attributes={**unit.run.attributes, **learned})
                running[pool.submit(self.engine.up, run, progress)] = unit
            else:
                left.append(unit)
        return left


def views(engine: Views, units: Iterable[Unit], parallel: int) -> tuple[StackView, ...]:
    """What *engine* would do to each of *units*, side by side; nothing waits for anything, since nothing is done."""

    def view(unit: Unit) -> StackView:
        try:
            return engine.view(unit.run)
        except errors.ReconcilerError as error:
            return StackView(unit.stack, (), error.message)

    with futures.ThreadPoolExecutor(parallel, "view") as pool:
        return tuple(pool.map(view, units))


def _result(unit: Unit, future: futures.Future[StackResult]) -> StackResult:
    try:
        return future.result()
    except Exception as error:  # noqa: BLE001 - one stack's failure is that stack's outcome
        return StackResult(_all(unit, Failed(str(error), retryable=True)))


def _all(unit: Unit, outcome: Outcome) -> dict[ResourceId, Outcome]:
    return {change.id: outcome for change in unit.run.changes if change.acts}
