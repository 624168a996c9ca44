"""The engine's own record: what it holds, what a dead run left in it, and that a run which takes over clears that away."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from providers.checkpoints import Checkpoints
from providers.memory import FixedClock
from reconciler import loop
from reconciler.model.address import ResourceId
from reconciler.model.observation import Observed
from tests.memory_world import MemoryWorld, desired

VOLUME = ResourceId("volume", "lab", "kv", "kv-0/data")
KV = """\
apiVersion: reconciler/v1
kind: Service
metadata: {name: kv}
spec: {type: redis, replicas: 1, volumes: {data: {size: 1Gi}}}
"""
URN = f"urn:pulumi:lab.kv::reconciler::aws:ebs/volume:Volume::{VOLUME}"


@pytest.fixture
def record(tmp_path: Path) -> Checkpoints:
    return Checkpoints(f"file://{tmp_path}?metadata=skip")


def write(record: Checkpoints, stack: str, *, pending: bool) -> None:
    operations = [{"type": "creating", "resource": {"urn": URN}}] if pending else []
    path = record.root / "stacks" / "reconciler" / f"{stack}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [], "pending_operations": operations}}}))


def lock(record: Checkpoints, stack: str) -> Path:
    path = record.root / "locks" / "organization" / "reconciler" / stack / "4c8e1c80.json"
    path.parent.mkdir(parents=True)
    path.write_text("{}")
    return path


def test_what_a_dead_run_left_is_found_also_where_it_died_before_the_stack_was_made(record: Checkpoints) -> None:
    write(record, "lab.kv", pending=True)
    write(record, "lab.zk", pending=False)
    lock(record, "lab.new")
    lock(record, "other.kv")
    assert record.left("lab") == ("lab.kv", "lab.new")
    assert record.pending("lab") == {VOLUME}


def test_a_lock_is_removed_from_its_stack_only(record: Checkpoints) -> None:
    mine, other = lock(record, "lab.kv"), lock(record, "lab.zk")
    record.unlock("lab.kv")
    record.unlock("lab.kv")
    assert (mine.exists(), other.exists()) == (False, True)


class Left:
    """A record in which one volume was being made."""

    def stacks(self, environment: str) -> dict[str, frozenset[ResourceId]]:
        return {}

    def pending(self, environment: str) -> frozenset[ResourceId]:
        return frozenset({VOLUME})


@pytest.mark.parametrize(("stopping", "cleared", "looks"), [(False, 1, 11), (True, 0, 0)])
def test_a_takeover_looks_for_what_was_being_made_and_clears_up_unless_it_is_stopped(*, stopping: bool, cleared: int, looks: int) -> None:
    calls: list[str] = []

    def observe() -> Observed:
        calls.append("look")
        clock.sleep(0.0001)
        return Observed()

    clock = FixedClock()
    world = MemoryWorld().world(desired("").environment)
    world = replace(
        world,
        clock=clock,
        checkpoints=Left(),
        observe=observe,
        stopping=lambda: stopping,
        clear=lambda: calls.append("clear"),
    )
    loop.settle(world, "lab")
    assert calls.count("clear") == cleared
    assert abs(calls.count("look") - looks) <= 1
    assert calls[-1:] == ["clear"] * cleared


def test_a_volume_keeps_the_mark_of_the_commit_that_gave_it_up_first() -> None:
    world = MemoryWorld()
    world.converge(KV)
    prepared = world.plan(desired(""))
    (volume,) = (change for change in prepared.plan.changes if change.id.kind == "volume")
    marked: list[str] = []
    outside = replace(world.world(prepared.desired.environment), retain=lambda volumes, _: marked.extend(volumes))
    live = prepared.observed.live[volume.id][0]
    for retained, expected in (("", [volume.live_id]), ("9b8bcbe", [])):
        marked.clear()
        known = Observed({**prepared.observed.live, volume.id: (replace(live, retained=retained),)})
        loop.converge(replace(outside, run=lambda *_: {}), replace(prepared, observed=known), loop.Options(timeout=0.1))
        assert marked == expected
