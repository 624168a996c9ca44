"""While an apply waits, only members are looked at of whom something is expected; all of them now and then."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from reconciler import loop
from reconciler.members import read
from reconciler.model.change import Change
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.ports import ObjectKind, Progress
from tests.memory_world import MemoryWorld, desired
from tests.unit.member_world import ENVIRONMENT
from tests.unit.test_scope import TWO

CHANGED = TWO.replace("size: 10Gi", "size: 20Gi", 1)


def looks(text: str, waits: Mapping[str, float]) -> list[set[str]]:
    """Whose members each look of an apply of *text* was at, where both services were applied before; each waits that many seconds."""
    memory, seen = MemoryWorld(), []
    assert memory.converge(TWO).ok
    wanted = desired(text)
    began = memory.clock.monotonic()

    def members(asked: Desired, changes: Iterable[Change], progress: Progress) -> dict[str, Outcome]:
        del changes, progress
        seen.append({one.name for one in asked.services})
        past = memory.clock.monotonic() - began
        return {one.name: Waiting("it is ready") if past < waits.get(one.name, 0.0) else Done() for one in asked.services}

    world = replace(memory.world(wanted.environment), members=members)
    report = loop.converge(world, loop.prepare(world, wanted), loop.Options())
    assert report.ok
    assert set(report.outcomes) >= {"kv", "old"}
    return seen


def test_a_service_that_nothing_happens_to_is_looked_at_once() -> None:
    first, *others = looks(CHANGED, {"kv": 10.0})
    assert first == {"kv", "old"}
    assert len(others) > 3
    assert all(one == {"kv"} for one in others)


def test_a_service_that_is_not_ready_is_looked_at_until_it_is() -> None:
    seen = looks(CHANGED, {"kv": 20.0, "old": 10.0})
    assert [one for one in seen if "old" in one] == [{"kv", "old"}] * sum("old" in one for one in seen)
    assert {"kv"} in seen


def test_all_are_looked_at_again_after_a_while() -> None:
    seen = looks(CHANGED, {"kv": 3.5 * loop.ALL_EVERY})
    assert sum(one == {"kv", "old"} for one in seen) == 4


class _Lists:
    """Of a cluster what it was asked to list."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def list(self, kind: ObjectKind, *, namespace: str = "", selector: str = "") -> list[dict[str, object]]:
        self.asked.append(f"{kind.plural}{namespace} {selector}")
        return []


def test_of_few_only_theirs_is_read_of_many_everything() -> None:
    cluster = _Lists()
    many = [f"s{number}" for number in range(read.FEW + 1)]
    for names in (["kv", "db"], many, []):
        read.pods(cluster, ENVIRONMENT, names)  # type: ignore[arg-type]
        read.sets(cluster, ENVIRONMENT, names)  # type: ignore[arg-type]
    assert cluster.asked == [
        "pods reconciler/environment=lab,reconciler/set in (db,kv)",
        "statefulsets reconciler/environment=lab,reconciler/service in (db,kv)",
        *("pods reconciler/environment=lab,reconciler/set", "statefulsets reconciler/environment=lab,reconciler/service") * 2,
    ]
