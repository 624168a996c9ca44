"""A world in memory under specs with a fault: the sound ones are applied, what is at fault stays as it is, nothing is removed."""

from __future__ import annotations

from dataclasses import replace

from reconciler import standing
from reconciler.model.desired import Desired
from reconciler.model.outcome import Done
from tests.memory_world import MemoryWorld, desired, loaded


def service(name: str, spec: str = "") -> str:
    return f"""---
apiVersion: reconciler/v1
kind: Service
metadata: {{name: {name}}}
spec:
  type: redis
  replicas: 1
  volumes: {{data: {{size: 1Gi}}}}
{spec}"""


BOTH = service("good") + service("bad") + service("gone") + service("user", "  dependsOn: [bad]\n")
FAULTY = (
    service("good", "  restartedAt: now\n") + service("bad", "  replica: 3\n") + service("user", "  dependsOn: [bad]\n  stopped: true\n")
)


def live(world: MemoryWorld) -> dict[str, set[str]]:
    """By service everything of ours there is."""
    observed = world.observed(desired(BOTH).environment)
    found: dict[str, set[str]] = {}
    for id, things in observed.live.items():
        for one in things:
            found.setdefault(one.stack, set()).add(f"{id} {one.live_id} {one.fields}")
    return found


def applied(world: MemoryWorld, wanted: Desired) -> dict[str, str]:
    """Plan *wanted* and carry it out; by service what was done to it."""
    prepared = world.plan(wanted)
    report = world.apply(prepared)
    assert all(
        isinstance(outcome, Done) for name, outcome in report.outcomes.items() if not name.startswith(("kubernetes", "volume", "record"))
    )
    return {
        change.stack: " ".join(sorted({one.action for one in prepared.plan.changes if one.stack == change.stack}))
        for change in prepared.plan.changes
    }


def test_the_good_one_is_applied_and_nothing_else_is_touched() -> None:
    world = MemoryWorld()
    assert world.converge(BOTH).ok
    before = live(world)
    world.touched.clear()
    done = applied(world, loaded(FAULTY))
    after = live(world)
    assert done == {"-": "keep", "good": "keep update", "bad": "hold", "user": "hold", "gone": "hold"}
    assert {name for name in before if before[name] != after[name]} == {"good"}
    assert {address.split("/")[2] for address in world.touched if address.startswith("kubernetes")} == {"good"}


def test_once_the_document_is_mended_everything_goes_on() -> None:
    world = MemoryWorld()
    assert world.converge(BOTH).ok
    applied(world, loaded(FAULTY))
    mended = FAULTY.replace("replica: 3", "owner: me")
    assert world.converge(mended).ok
    assert "gone" not in {one for one, things in live(world).items() if any("StatefulSet" in thing for thing in things)}


def test_a_service_whose_document_is_invalid_has_its_row_with_the_reason() -> None:
    world = MemoryWorld()
    assert world.converge(BOTH).ok
    wanted = loaded(FAULTY)
    rows = {row["service"]: row for row, *_ in standing.services(world.world(wanted.environment), wanted, frozenset())}
    assert sorted(rows) == ["bad", "good", "user"]
    assert rows["bad"]["synced"] == "OutOfSync"
    assert "unknown field spec.replica" in rows["bad"]["reason"]
    assert "it depends on bad" in rows["user"]["reason"]


def test_a_repository_that_does_not_tell_everything_holds_removals_only() -> None:
    world = MemoryWorld()
    assert world.converge(BOTH).ok
    fewer = replace(desired(service("good", "  restartedAt: now\n") + service("new")), lost="the repository is shallow")
    done = applied(world, fewer)
    assert done == {"-": "keep", "good": "keep update", "new": "create", "bad": "hold", "user": "hold", "gone": "hold"}
