"""Who leads, and that whoever does hands over before it is restarted: asked by Jobs, remembered by nobody."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.members.initial import lead
from reconciler.members.initial.job import LEAD, Turn
from reconciler.members.initial.lead import Lead
from reconciler.members.live import Live, Pod, Set
from reconciler.members.member import declared
from reconciler.members.rollout import NOBODY, Leaders
from reconciler.model.desired import Desired
from reconciler.model.initialise import LOOK, Script
from reconciler.model.origin import Revision
from reconciler.model.service import Service
from tests.unit.test_initialise import NOW, World, initialiser
from tests.unit.test_stacks import ENVIRONMENT, TYPES, changed, example, rendered

ASK, GO = Script(LOOK, "who?"), Script("have another lead", "go")


def turn(number: int, does: str = LOOK, said: dict[str, Any] | None = None, state: str = "done") -> Turn:
    return Turn(f"kv-lead-{number}", "default", "kv", "now", number, does, state, said, "", NOW)  # type: ignore[arg-type]


def after(*turns: Turn, due: bool = True) -> Lead:
    return lead.decide(ASK, turns, lambda leaders: GO if due and leaders else None)


def test_first_it_is_asked_and_the_answer_counts() -> None:
    assert after() == Lead(None, ASK, 0)
    assert after(turn(0, state="running")) == Lead(None)
    assert after(turn(0, said={"leader": "kv-1"}), due=False) == Lead(frozenset({"kv-1"}))
    assert after(turn(0, said={"leader": ["kv-1", "kv-2"]}), due=False) == Lead(frozenset({"kv-1", "kv-2"}))


@pytest.mark.parametrize("said", [{"leader": ""}, {"leader": []}, {}, None])
def test_where_nobody_leads_or_nobody_can_say_the_order_is_the_type_s(said: dict[str, Any] | None) -> None:
    assert after(turn(0, said=said, state="failed" if said is None else "done")) == Lead(NOBODY)


def test_who_leads_hands_over_and_is_asked_again() -> None:
    first = turn(0, said={"leader": "kv-1"})
    assert after(first) == Lead(None, GO, 1)
    assert after(first, turn(1, GO.does, state="running")) == Lead(None)
    assert after(first, turn(1, GO.does)) == Lead(None, ASK, 2)
    assert after(first, turn(1, GO.does), turn(2, said={"leader": "kv-0"}), due=False) == Lead(frozenset({"kv-0"}))


def test_one_that_cannot_hand_over_goes_all_the_same_as_the_last() -> None:
    asked = [turn(number, said={"leader": "kv-1"}) for number in (0, 2, 4)]
    tried = [turn(number, GO.does, state="failed") for number in (1, 3)]
    assert after(asked[0], tried[0], asked[1]) == Lead(None, GO, 3)
    assert after(*asked, *tried) == Lead(frozenset({"kv-1"}))


# --- the controller


def town(service: Service, old: set[str], *, ready: bool = True) -> tuple[Desired, tuple[Any, ...], Live]:
    """*service*, of whose members the *old* ones are to be restarted."""
    desired = Desired(ENVIRONMENT, Revision("1c9e0d2", "", "lab"), (service,), {one.id: one for one in rendered(service).values()})
    members = declared(desired.services, ENVIRONMENT, TYPES)
    pods = {
        one.name: (Pod(one.name, "default", one.name, "n", "10.0.0.1", "Running", ready=ready, revision="r1" if one.name in old else "r2"),)
        for one in members
    }
    return desired, members, Live(pods=pods, sets={("default", service.name): Set(service.name, "default", 1, 1, len(members), "r2", "u1")})


def asked(world: World, service: Service, old: set[str], *, ready: bool = True) -> Leaders:
    return initialiser(world).leaders(*town(service, old, ready=ready))[service.name]


def answer(world: World, said: Any) -> None:
    world.end(json.dumps(said))


def texts(world: World) -> list[str]:
    return [one["metadata"]["annotations"]["reconciler/does"] for one in world.jobs.values()]


MONGODB, POSTGRESQL = example("mongodb"), example("postgresql")
CLUSTER = changed(example("redis"), replicas=6, options={"shards": 3})


@pytest.mark.parametrize("service", [MONGODB, POSTGRESQL, CLUSTER], ids=lambda one: one.type)
def test_who_is_left_and_leads_hands_over_whoever_asks(service: Service) -> None:
    """F13: each question by another process; a killed one costs nothing."""
    world, last = World(), f"{service.name}-1"
    assert asked(world, service, {last}) is None
    answer(world, {"leader": [last]})
    assert asked(world, service, {last}) is None
    assert len(texts(world)) == 2
    assert texts(world)[1] != LOOK
    answer(world, {})
    assert asked(world, service, {last}) is None
    answer(world, {"leader": [f"{service.name}-0"]})
    for one in [*world.jobs.values()][:2]:
        one["said"] = json.dumps({"leader": [last]})
    assert asked(world, service, {last}) == {f"{service.name}-0"}
    assert all(LEAD in one["metadata"]["labels"] for one in world.jobs.values())


def test_nobody_hands_over_while_others_are_to_be_restarted_or_anybody_is_down() -> None:
    world = World()
    old = {f"{MONGODB.name}-0", f"{MONGODB.name}-1"}
    for ready in (True, False):
        asked(world, MONGODB, old, ready=ready)
        answer(world, {"leader": f"{MONGODB.name}-1"})
        assert asked(world, MONGODB, old, ready=ready) == {f"{MONGODB.name}-1"}
    assert asked(world, MONGODB, {f"{MONGODB.name}-1"}, ready=False) == {f"{MONGODB.name}-1"}
    assert set(texts(world)) == {LOOK}


@pytest.mark.parametrize("service", [example("zookeeper"), example("kafka")], ids=lambda one: one.type)
def test_who_elects_fast_needs_no_hand_over(service: Service) -> None:
    world, last = World(), f"{service.name}-1"
    asked(world, service, {last})
    answer(world, {"leader": last})
    assert asked(world, service, {last}) == {last}


@pytest.mark.parametrize("service", [MONGODB, POSTGRESQL], ids=lambda one: one.type)
def test_a_service_of_one_has_nobody_to_hand_over_to(service: Service) -> None:
    assert TYPES[service.type].hand_over(changed(service, replicas=1), ENVIRONMENT, (f"{service.name}-0",)) is None


def test_a_primary_of_a_cluster_hands_over_to_its_own_shard_only() -> None:
    step = TYPES["redis"].hand_over(CLUSTER, ENVIRONMENT, ("cache-0", "cache-4"))
    assert step
    assert "take_over cache-0.db.internal cache-3.db.internal\ntake_over cache-4.db.internal cache-1.db.internal\n" in step.text
    alone = changed(CLUSTER, replicas=3)
    assert TYPES["redis"].hand_over(alone, ENVIRONMENT, ("cache-0",)) is None


def test_of_a_primary_with_replicas_the_primary_is_the_last_by_its_number() -> None:
    service = example("redis")
    assert TYPES["redis"].leader(service, ENVIRONMENT) is None
    assert TYPES["redis"].order(("cache-0", "cache-1", "cache-2"))[-1] == "cache-0"
    assert town(service, set())[1][0].turn == 2
