"""More members and another template in one commit: who is new is let in first, since the others wait to restart until it works."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler.members.live import Live, Pod, Set
from reconciler.members.member import declared
from reconciler.members.rollout import following
from reconciler.model.address import ResourceId
from reconciler.model.desired import Desired
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.service import Service
from stacks import _redis_cluster
from tests.unit.test_initialise import World, initialiser
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, rendered

MONGO = changed(example("mongodb"), replicas=4)
RING = changed(example("redis"), replicas=4, options={"shards": 3})
WHOLE = {"user": True, "others": [], "features": "7.0"}


def desired(service: Service) -> Desired:
    resources: dict[ResourceId, object] = {one.id: one for one in rendered(service).values()}
    return Desired(ENVIRONMENT, Revision("2d0f1e3", "", "lab"), (service,), resources)  # type: ignore[arg-type] - as rendered


def town(service: Service, *, ready: bool = False, created: str = "", phase: str = "Running") -> Live:
    """Three at the former revision, and the new one; it has been there for long, unless *created*."""
    name = service.name
    old = {
        f"{name}-{n}": (Pod(f"{name}-{n}", "default", f"old-{n}", "n", "10.0.0.1", "Running", ready=True, revision="r1"),) for n in range(3)
    }
    new = Pod(f"{name}-3", "default", "new", "n", "10.0.0.4", phase, ready=ready, revision="r2", created=created)
    return Live(pods={**old, new.name: (new,)}, sets={("default", name): Set(name, "default", 2, 2, 4, "r2", "u1")})


def test_a_set_lets_in_who_is_new_while_the_others_wait_to_restart() -> None:
    world, asked = World(), desired(MONGO)
    members, live = declared([MONGO], ENVIRONMENT, TYPES), town(MONGO)
    works: dict[str, Outcome] = {one.name: Done() for one in members} | {f"{MONGO.name}-3": Waiting("its probe passes")}
    assert following(members, works, live).renew is None, "nobody restarts before it works"
    asking = initialiser(world)
    asking.tick(asked, members, live)
    states = ["PRIMARY out in", "SECONDARY out in", "SECONDARY out in"]
    world.end(json.dumps({"members": [*states, "new out out"], "set": [[0, 1], [1, 1], [2, 1]], **WHOLE}))
    asking.tick(asked, members, live)
    assert does(world)[-1] == f"add {MONGO.name}-3 to the set"
    world.end("{}")
    asking.tick(asked, members, live)
    world.end(json.dumps({"members": [*states, "SECONDARY out in"], "set": [[0, 1], [1, 1], [2, 1], [3, 0]], **WHOLE}))
    assert asking.tick(asked, members, live) == {MONGO.name: Waiting("its initialisation goes on: give documents-3 its vote")}
    assert not [one for one in does(world) if "compatibility" in one], "others run the former version"


def test_what_was_said_before_all_run_what_is_declared_is_asked_again() -> None:
    world, asked = World(), desired(MONGO)
    members, live = declared([MONGO], ENVIRONMENT, TYPES), town(MONGO)
    asking = initialiser(world)
    asking.tick(asked, members, live)
    whole = {"members": ["PRIMARY out in", *["SECONDARY out in"] * 3], "set": [[n, 1] for n in range(4)], **WHOLE}
    world.end(json.dumps({**whole, "features": MONGO.version}))
    assert asking.tick(asked, members, live) == {MONGO.name: Waiting("who is new works, and the others have restarted")}
    later = replace(live, pods={name: (replace(pods[0], uid=f"{name}-2", revision="r2", ready=True),) for name, pods in live.pods.items()})
    assert asking.tick(asked, members, later) == {MONGO.name: Waiting("its application says how it is")}


@pytest.mark.parametrize(
    "live",
    [
        town(MONGO, ready=True),
        town(MONGO, created="2025-10-09T08:53:15Z"),  # five seconds ago, as who has only restarted
        town(MONGO, phase="Pending"),
    ],
    ids=["it works", "it has just come", "it does not run yet"],
)
def test_nobody_is_asked_where_nobody_waits_for_it(live: Live) -> None:
    world, asked = World(), desired(MONGO)
    told = initialiser(world).tick(asked, declared([MONGO], ENVIRONMENT, TYPES), live)
    assert "only then it is initialised" in str(told[MONGO.name])
    assert not world.jobs


def test_a_cluster_of_redis_introduces_who_is_new() -> None:
    world, asked = World(), desired(RING)
    members = declared([RING], ENVIRONMENT, TYPES)
    asking = initialiser(world)
    asking.tick(asked, members, town(RING))
    slots = _redis_cluster.SLOTS // 3 + 1
    said = {f"{RING.name}-{n}": [f"id{n}", "", 3, slots, "ok"] for n in range(3)} | {f"{RING.name}-3": ["id3", "", 1, 0, "fail"]}
    world.end(json.dumps({"cluster": said, "access": {}}))
    asking.tick(asked, members, town(RING))
    assert "introduce" in does(world)[-1]


def does(world: World) -> list[str]:
    return [one["metadata"]["annotations"]["reconciler/does"] for one in world.jobs.values()]
