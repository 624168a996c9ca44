"""A plan narrowed to some services (`--service`, `destroy`): only theirs is done and waited for, components stay as they are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler import loop
from reconciler.apply import Gate, Unit
from reconciler.components.summary import Standing
from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Failed, Outcome, Waiting
from reconciler.model.report import Report
from reconciler.ports import Progress
from tests.memory_world import MemoryWorld, desired

TWO = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 10Gi}}}
---
apiVersion: reconciler/v1
kind: Service
metadata: {name: old}
spec: {type: redis, replicas: 1, volumes: {data: {size: 10Gi}}}
"""
ONE = TWO.partition("---\n")[0]


def narrowed(memory: MemoryWorld, text: str, service: str) -> tuple[Report, list[Desired]]:
    """How a plan for *service* alone ends, and what the component side was given."""
    told: list[Desired] = []

    def components(wanted: Desired) -> tuple[Standing, ...]:
        told.append(wanted)
        return ()

    wanted = desired(text)
    world = replace(memory.world(wanted.environment), components=components)
    prepared = loop.prepare(world, wanted, frozenset({service}))
    return loop.converge(world, prepared, loop.Options()), told


def test_only_the_service_that_was_asked_for_is_done_and_waited_for() -> None:
    memory = MemoryWorld()
    report, told = narrowed(memory, TWO, "kv")
    assert report.ok
    assert "kv" in report.outcomes
    assert "old" not in report.outcomes
    assert not told, "components belong to no service: a narrowed plan leaves them as they are"
    live = memory.observed(desired("").environment).live
    assert {id.service for id in live if id.kind == "volume"} == {"kv"}


def test_a_service_that_is_taken_down_takes_nothing_else_with_it() -> None:
    memory = MemoryWorld()
    memory.converge(TWO)
    report, told = narrowed(memory, ONE, "old")
    assert report.ok, report.outcomes
    assert not told
    live = memory.observed(desired("").environment).live
    kept = {id.service: found[0].retained for id, found in live.items() if id.kind == "volume"}
    assert kept["kv"] == ""
    assert kept["old"]
    sets = {id.service for id in live if id.name.startswith("StatefulSet/")}
    assert sets == {"kv"}


def test_members_that_leave_are_not_waited_for_once_their_stack_has_failed() -> None:
    memory = MemoryWorld()
    memory.converge(TWO)
    wanted = desired(ONE)
    world = memory.world(wanted.environment)
    waiting: dict[str, Outcome] = {"kv": Done(), "old-0": Waiting("the Pod of old-0 has ended")}

    def fails(units: Iterable[Unit], progress: Progress, gate: Gate) -> dict[ResourceId, Outcome]:
        del progress, gate
        return {change.id: Failed("no") for unit in units for change in unit.run.changes if change.acts}

    stuck = replace(world, run=fails, members=lambda *_: waiting)
    prepared = loop.prepare(stuck, wanted)
    began = memory.clock.monotonic()
    report = loop.converge(stuck, prepared, loop.Options(timeout=600))
    assert not report.ok
    assert memory.clock.monotonic() - began < 60
