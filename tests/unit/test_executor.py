"""The executor: everything that can run does, and what cannot says why."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from providers.executor import Executor
from reconciler.apply import Unit
from reconciler.model.address import ResourceId
from reconciler.model.change import Change
from reconciler.model.origin import Revision
from reconciler.model.outcome import Blocked, Done, Failed, Outcome
from reconciler.ports import Progress, StackResult, StackRun

REVISION = Revision("c" * 40, "t" * 40, "lab")


class Engine:
    """Does every stack but those that are to fail; remembers the order."""

    def __init__(self, *failing: str) -> None:
        self.failing, self.ran = failing, list[str]()

    def up(self, run: StackRun, progress: Progress) -> StackResult:
        del progress
        self.ran.append(run.stack)
        if run.stack in self.failing:
            raise RuntimeError("no")
        return StackResult({change.id: Done() for change in run.changes})

    def forget(self, environment: str, stack: str, ids: Iterable[ResourceId]) -> None:
        raise AssertionError(f"{environment} {stack} {ids}")


def unit(stack: str, *after: str, blocked: str = "") -> Unit:
    change = Change(ResourceId("volume", "lab", stack, f"{stack}-0/data"), "create", "engine", "", stack)
    return Unit(StackRun(REVISION, stack, (), (change,)), frozenset(after), blocked)


def run(engine: Engine, *units: Unit, stop: threading.Event | None = None) -> Mapping[str, Outcome]:
    ended = Executor(engine, 2, stop or threading.Event()).run(units, lambda *_: None)
    return {id.service: outcome for id, outcome in ended.items()}


def test_what_comes_after_something_blocked_is_blocked_too_whatever_the_order() -> None:
    ended = run(Engine(), unit("a", "b"), unit("b", "c"), unit("c", blocked="refused"), unit("d"))
    assert {name: type(outcome) for name, outcome in ended.items()} == {"a": Blocked, "b": Blocked, "c": Blocked, "d": Done}


def test_one_failure_stops_only_what_comes_after_it() -> None:
    engine = Engine("a")
    ended = run(engine, unit("a"), unit("b", "a"), unit("c"))
    assert {name: type(outcome) for name, outcome in ended.items()} == {"a": Failed, "b": Blocked, "c": Done}
    assert "b" not in engine.ran


class Lost:
    """A lease that is lost as soon as one stack has run."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def is_set(self) -> bool:
        return bool(self.engine.ran)


def test_nothing_more_starts_once_the_lease_is_lost_and_what_runs_ends() -> None:
    engine = Engine()
    ended = Executor(engine, 1, Lost(engine)).run([unit("a"), unit("b", "a"), unit("c", "b")], lambda *_: None)
    outcomes = {id.service: outcome for id, outcome in ended.items()}
    assert engine.ran == ["a"]
    assert outcomes["a"] == Done()
    assert all("interrupted" in str(outcomes[name]) for name in ("b", "c"))


def test_nothing_starts_once_a_person_has_interrupted() -> None:
    stop, engine = threading.Event(), Engine()
    stop.set()
    ended = run(engine, unit("a"), stop=stop)
    assert isinstance(ended["a"], Failed)
    assert engine.ran == []
