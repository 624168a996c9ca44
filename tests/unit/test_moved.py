"""A service of another name: what it has is taken along, nothing is destroyed, nobody restarts; and data comes back only when asked for."""

from __future__ import annotations

import pytest

from reconciler.model.address import ResourceId
from reconciler.render import text
from reconciler.resources import kubernetes
from tests.memory_world import MemoryWorld, desired, loaded

ADDRESSES = ("none", "private", "elastic")


def redis(name: str, *lines: str, replicas: int = 2, addresses: str = "none") -> str:
    return "\n".join(
        (
            f"apiVersion: reconciler/v1\nkind: Service\nmetadata: {{name: {name}}}\nspec:\n  type: redis\n  replicas: {replicas}",
            f"  addresses: {addresses}\n  volumes: {{data: {{size: 10Gi}}}}",
            *(f"  {line}" for line in lines),
            "",
        )
    )


MOVED = "movedFrom: {name: kv}"
BACK = "restoreFrom: {retained: true}"


def live(world: MemoryWorld) -> dict[str, str]:
    """The ids of everything in AWS, and the uids of everything in Kubernetes, by what stays the same of their addresses."""
    found = world.observed(desired("").environment).live
    return {f"{id.kind}/{id.name}": one.attributes.get("uid", one.live_id) for id, (one,) in found.items()}


def uids_of_pods(world: MemoryWorld) -> list[str]:
    return sorted(f"{pod['metadata']['name']} {pod['metadata'].get('uid')}" for pod in world.cluster.list(kubernetes.POD))


@pytest.mark.parametrize("addresses", ADDRESSES)
def test_a_service_of_a_new_name_takes_everything_along(addresses: str) -> None:
    world = MemoryWorld()
    assert world.converge(redis("kv", addresses=addresses)).ok
    before, pods = live(world), uids_of_pods(world)
    planned = world.plan(desired(redis("cache", MOVED, addresses=addresses)))
    actions = {change.action for change in planned.plan if change.stack == "cache"}
    assert actions <= {"move", "keep"}, [(str(change.id), change.action, change.reason) for change in planned.plan]
    assert {change.stack for change in planned.plan.acting} == {"cache"}
    report = world.apply(planned)
    assert report.ok, report.outcomes
    assert live(world) == before, "something was made anew or destroyed"
    assert uids_of_pods(world) == pods, "a Pod was restarted"
    assert not world.plan(desired(redis("cache", MOVED, addresses=addresses))).plan
    assert "kv" not in world.engine.held


def test_the_plan_says_from_where_each_thing_has_moved() -> None:
    world = MemoryWorld()
    world.converge(redis("kv"))
    changes = {str(change.id): change for change in world.plan(desired(redis("cache", MOVED))).plan}
    moved = changes["volume/lab/cache/kv-0/data"]
    assert (moved.action, moved.was) == ("move", "volume/lab/kv/kv-0/data")
    assert "renamed" in moved.reason
    told = text.fields(moved)
    assert text.headline(moved) == "# volume/lab/kv/kv-0/data has moved to volume/lab/cache/kv-0/data (kv was renamed cache)"
    assert told == [], "its marks are all that changes, and the headline says so"
    assert not any(change.action in {"delete", "forget", "create"} for change in changes.values())


def test_a_move_that_was_cut_off_goes_on() -> None:
    """Struck out of the old stack, not yet taken into the new one: everything still says that it is the old service's."""
    world = MemoryWorld()
    world.converge(redis("kv", addresses="private"))
    before = live(world)
    world.engine.forget("lab", "kv", frozenset(world.engine.held["kv"]))
    assert world.converge(redis("cache", MOVED, addresses="private")).ok
    assert live(world) == before
    assert not world.plan(desired(redis("cache", MOVED, addresses="private"))).plan


def test_members_that_are_new_after_a_move_have_names_like_the_others() -> None:
    world = MemoryWorld()
    world.converge(redis("kv"))
    assert world.converge(redis("cache", MOVED, replicas=3)).ok
    assert {id.name for id in world.observed(desired("").environment).live if id.kind == "volume"} == {f"kv-{n}/data" for n in range(3)}


def test_a_moved_service_keeps_saying_where_it_came_from() -> None:
    """Without it the members would have other names: new volumes, and the old ones left behind."""
    world = MemoryWorld()
    world.converge(redis("kv"))
    world.converge(redis("cache", MOVED))
    before = live(world)
    plan = world.plan(desired(redis("cache"))).plan
    refused = [change for change in plan if change.action == "refuse"]
    assert refused
    assert all("movedFrom: {name: kv}" in change.reason for change in refused)
    assert not any(change.action in {"delete", "forget"} for change in plan)
    world.converge(redis("cache"))
    assert {id: live(world)[id] for id in before} == before


def test_a_moved_service_goes_like_any_other() -> None:
    world = MemoryWorld()
    world.converge(redis("kv"))
    world.converge(redis("cache", MOVED))
    assert world.converge("").ok
    left = {id for id in world.observed(desired("").environment).live if id.service not in {"-", ""}}
    assert {id.kind for id in left} == {"volume"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (redis("kv") + "---\n" + redis("cache", MOVED), "still declared"),
        (redis("kv", MOVED), "its own name"),
        (redis("a", MOVED) + "---\n" + redis("b", MOVED), "moves from it too"),
    ],
)
def test_a_name_is_taken_over_by_one_and_only_once_it_is_free(text: str, said: str) -> None:
    wanted = loaded(text)
    assert any(said in str(fault) for fault in wanted.faults), wanted.faults


def test_data_comes_back_only_when_it_is_asked_for() -> None:
    world = MemoryWorld()
    world.converge(redis("kv"))
    volumes = {id: one for id, one in live(world).items() if id.startswith("volume/")}
    world.converge("")
    refused = [change for change in world.plan(desired(redis("kv"))).plan if change.action == "refuse"]
    assert {change.id.kind for change in refused} == {"volume"}
    assert all("restoreFrom: {retained: true}" in change.reason for change in refused)
    planned = world.plan(desired(redis("kv", BACK)))
    taken = {str(change.id): change for change in planned.plan if change.id.kind == "volume"}
    assert {change.action for change in taken.values()} == {"adopt"}
    assert all("was kept" in change.reason for change in taken.values())
    assert world.apply(planned).ok
    assert {id: one for id, one in live(world).items() if id.startswith("volume/")} == volumes
    assert not world.plan(desired(redis("kv", BACK))).plan
    assert not any(one.retained for found in world.observed(desired("").environment).live.values() for one in found)


def test_a_service_that_has_come_back_may_drop_the_words_that_brought_it() -> None:
    world = MemoryWorld()
    for documents in (redis("kv"), "", redis("kv", BACK)):
        world.converge(documents)
    assert not world.plan(desired(redis("kv"))).plan


def test_asking_for_data_that_nobody_kept_is_refused() -> None:
    plan = MemoryWorld().plan(desired(redis("kv", BACK))).plan
    refused = [change for change in plan if change.action == "refuse"]
    assert refused
    assert all("nothing of kv is retained" in change.reason for change in refused)


def test_more_members_than_came_back_get_volumes_of_their_own() -> None:
    world = MemoryWorld()
    for documents in (redis("kv"), "", redis("kv", BACK, replicas=3)):
        assert world.converge(documents).ok
    assert ResourceId("volume", "lab", "kv", "kv-2/data") in world.observed(desired("").environment).live
