"""Plan and apply on a world in memory: what was applied is as declared, whatever was there before; nothing unread is ever touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st

from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.observation import Observed
from tests.memory_world import TYPES, ZONES, MemoryWorld, desired
from tests.unit import test_stacks

ADDRESSES = ("none", "private", "elastic")
UNREADABLE = ("describe_volumes", "describe_network_interfaces", "list_resource_record_sets", "list statefulsets", "list configmaps")


def example(type_: str, **spec: Any) -> str:
    """The example of a type's own docstring, with other fields."""
    lines = test_stacks.document(type_).splitlines()
    kept = [line for line in lines if not any(line.startswith(f"  {name}:") for name in spec)]
    return "\n".join([*kept, *(f"  {name}: {value}" for name, value in spec.items())]) + "\n"


KEEPING = tuple(name for name in sorted(TYPES) if test_stacks.example(name).volumes)  # types whose members may have addresses
ALONE = tuple(name for name in KEEPING if not test_stacks.example(name).depends_on)
ODD = tuple(name for name in ALONE if test_stacks.refused(name, replicas=2))  # types of which there cannot be two members
THREE = ("couchdb", "kafka")  # types whose example needs three members: for its copies, its voters


@pytest.mark.parametrize(("type_", "addresses"), [(name, one) for name in TYPES for one in (ADDRESSES if name in KEEPING else ("none",))])
def test_an_example_once_applied_leaves_nothing_to_do(type_: str, addresses: str) -> None:
    world, text = MemoryWorld(), example(type_, addresses=addresses)
    report = world.converge(text)
    assert report.ok, report.outcomes
    ran = list(world.engine.ran)
    again = world.plan(desired(text))
    assert not again.plan
    assert world.apply(again).ok
    assert world.engine.ran == ran


@pytest.mark.parametrize("type_", KEEPING)
def test_scaling_up_leaves_what_the_old_members_have(type_: str) -> None:
    world = MemoryWorld()
    world.converge(example(type_, replicas=3, addresses="elastic"))
    before = _live_ids(world)
    assert world.converge(example(type_, replicas=5, addresses="elastic")).ok
    after = _live_ids(world)
    assert {id: after[id] for id in before} == before
    assert {id.kind for id in after.keys() - before.keys()} >= {"volume", "interface", "address", "record"}


def _live_ids(world: MemoryWorld) -> dict[ResourceId, tuple[str, ...]]:
    live = world.observed(desired("").environment).live
    return {id: tuple(one.live_id for one in found) for id, found in live.items()}


@dataclass(frozen=True)
class Drawn:
    """A service of a generated world."""

    name: str
    type: str
    replicas: int
    size: int
    addresses: str
    zones: tuple[str, ...]
    stopped: bool

    def document(self) -> str:
        fields = {
            "replicas": self.replicas + 2 if self.type in THREE else self.replicas | 1 if self.type in ODD else self.replicas,
            "volumes": f"{{data: {{size: {self.size}Gi}}}}",
            "addresses": self.addresses,
            "zones": f"[{', '.join(self.zones)}]",
            "stopped": str(self.stopped).lower(),
        }
        text = example(self.type, **fields)
        return "\n".join(f"metadata: {{name: {self.name}}}" if line.startswith("metadata:") else line for line in text.splitlines()) + "\n"


def service(name: str) -> st.SearchStrategy[Drawn]:
    return st.builds(
        Drawn,
        name=st.just(name),
        type=st.sampled_from(ALONE),
        replicas=st.integers(1, 3),
        size=st.integers(1, 20),
        addresses=st.sampled_from(ADDRESSES),
        zones=st.permutations(ZONES).map(tuple),
        stopped=st.booleans(),
    )


@st.composite
def commits(draw: st.DrawFn) -> tuple[list[Drawn], list[Drawn]]:
    """Two commits of one repository: services come, go, grow, shrink, move their zones, stop and start."""
    before = [draw(service(name)) for name in sorted(draw(st.sets(st.sampled_from("abc"), max_size=2)))]
    after = []
    for name in sorted(draw(st.sets(st.sampled_from("abc"), min_size=1, max_size=2))):
        old, new = next((one for one in before if one.name == name), None), draw(service(name))
        after.append(replace(new, type=old.type, addresses=old.addresses) if old else new)
    return before, after


def text(services: list[Drawn]) -> str:
    return "---\n".join(one.document() for one in services)


@given(commits())
@settings(max_examples=20, deadline=None, phases=(Phase.reuse, Phase.generate))
def test_what_is_planned_and_applied_leaves_nothing_to_plan(drawn: tuple[list[Drawn], list[Drawn]]) -> None:
    """All but what is refused: such a stack is left as it is, whole; what is taken down comes last, and may have to wait for it."""
    before, after = drawn
    world = MemoryWorld()
    assert world.converge(text(before)).ok
    assert not world.plan(desired(text(before))).plan
    first = world.plan(desired(text(after)))
    refused = {change.stack for change in first.plan.changes if change.action == "refuse"}
    assert refused == {one.name for one in after for old in before if old.name == one.name and old.size > one.size}
    world.apply(first)
    left = {change.stack for change in world.plan(desired(text(after))).plan.changes if change.action != "keep"}
    gone = {one.name for one in before} - {one.name for one in after}
    assert refused <= left <= (refused | gone if refused else set())


@given(commits(), st.sets(st.sampled_from(UNREADABLE), min_size=1))
@settings(max_examples=20, deadline=None, phases=(Phase.reuse, Phase.generate))
def test_nothing_unread_is_ever_touched(drawn: tuple[list[Drawn], list[Drawn]], failing: set[str]) -> None:
    """And nothing at all is removed as long as anything could not be read."""
    before, after = drawn
    world = MemoryWorld()
    assert world.converge(text(before)).ok
    there = _live_ids(world)
    world.touched.clear()
    for operation in failing:
        (world.cluster if operation.startswith("list ") else world.cloud).fail(operation, errors.TransientError("throttled"))
    prepared = world.plan(desired(text(after)))
    world.apply(prepared, timeout=1.0)
    unread = set(_unread(prepared.observed, there)) | set(_unread(prepared.observed, prepared.desired.resources))
    assume(unread)
    assert not unread & set(world.touched)
    world.cloud.heal()
    world.cluster.heal()
    now = _live_ids(world)
    assert {id: now.get(id) for id in there} == there


def _unread(observed: Observed, ids: Mapping[ResourceId, object]) -> Iterator[str]:
    yield from (str(id) for id in ids if observed.why_unread(id))
