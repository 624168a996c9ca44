"""A service that is paused: nothing is done about it but to place who moves, everybody says so, and it goes on where it stood."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from reconciler import loop, standing
from reconciler.members.controller import Controller
from reconciler.model.desired import Desired
from reconciler.model.origin import Revision
from reconciler.model.outcome import Blocked, Done, Waiting, paused, spell
from reconciler.model.stand import Stand
from reconciler.render import text
from reconciler.serving import tend
from tests.memory_world import MemoryWorld, desired
from tests.unit.member_world import ENVIRONMENT, Time, World
from tests.unit.test_initialise import LIVE, SERVICE, initialiser
from tests.unit.test_initialise import MEMBERS as CACHE
from tests.unit.test_initialise import World as Jobs
from tests.unit.test_lead import MONGODB, town
from tests.unit.test_rollout import MEMBERS, NAMES
from tests.unit.test_stacks import changed, rendered

KV = "apiVersion: reconciler/v1\nkind: Service\nmetadata: {name: kv}\nspec:\n  type: redis\n  replicas: 3\n  volumes: {data: {size: 1Gi}}\n"
PAUSED = f"{KV}  paused: true\n"
WHERE = "specs/lab/services.yaml:8:11"


def test_what_would_be_done_is_told_and_left() -> None:
    memory = MemoryWorld()
    memory.converge(KV)
    memory.touched.clear()
    prepared = memory.plan(desired(f"{PAUSED.replace('replicas: 3', 'replicas: 4')}  options: {{maxmemory: 64Mi}}\n"))
    told = text.render(prepared.plan)
    assert f"is on hold ({WHERE}: paused; it would be updated: declared fields differ)" in told
    assert f"is on hold ({WHERE}: paused; it would be created: declared, not found)" in told
    assert f"Warning: kv is paused ({WHERE}): nothing is done about it." in told
    assert not prepared.plan.acting
    report = memory.apply(prepared, timeout=30)
    assert not [one for one in memory.touched if "kv" in one]
    assert isinstance(report.outcomes["kv"], Blocked)
    assert memory.converge(KV).ok


def test_a_service_that_leaves_is_not_paused_by_another() -> None:
    memory = MemoryWorld()
    other = KV.replace("name: kv", "name: other")
    memory.converge(f"{KV}---\n{other}")
    assert memory.converge(PAUSED).ok
    assert {id.service for id in memory.observed(desired("").environment).live if id.name.startswith("StatefulSet/")} == {"kv"}


def test_nothing_to_do_is_no_change_and_status_says_that_it_is_paused() -> None:
    memory = MemoryWorld()
    memory.converge(KV)
    prepared = memory.plan(desired(PAUSED))
    assert "No changes." in text.render(prepared.plan)
    wanted = desired(PAUSED)
    world = replace(memory.world(wanted.environment), standing=lambda _: {"kv": Stand(Done())})
    ((row, _, _),) = standing.services(world, wanted, frozenset())
    assert (row["synced"], row["ready"], row["reason"]) == ("Synced", "Ready", f"paused ({WHERE})")


def test_what_is_paused_is_not_waited_for() -> None:
    found = paused(Waiting("kv-0 is ready"))
    assert spell(found) == "blocked by `paused: true` in its spec (waiting until kv-0 is ready)"
    assert paused(Done()) == Done()


@pytest.mark.parametrize("broken", [False, True])
def test_a_rollout_stops_between_two_members_and_goes_on_where_it_stood(broken: bool) -> None:
    """The StatefulSet's part is played. Also one that cannot start is left, since its restart is the rollout's."""
    made, clock = World(), Time()
    made.node("a1")
    made.stateful_set("kv", 3)
    for name in NAMES:
        made.pod(name, "a1")
    controller = Controller(made, made, clock, ENVIRONMENT)
    still = tuple(replace(one, paused=True) for one in MEMBERS)
    controller.tick(MEMBERS)
    made.stateful_set("kv", 3, "r2")
    controller.tick(MEMBERS)
    assert "kv-2" not in made.pods
    made.pod("kv-2", "a1", revision="r2")
    if broken:
        crashing = {"name": "kv", "ready": False, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}
        made.pod("kv-0", "a1", ready=False, containerStatuses=[crashing])
    for _ in range(10):
        told = controller.tick(still)
        clock.sleep(4)
        assert set(made.pods) == set(NAMES)
    assert isinstance(told.services["kv"], Blocked)
    assert "paused" in spell(told.services["kv"])
    assert isinstance(controller.look(still).services["kv"], Blocked)
    order: list[str] = []
    for _ in range(10):
        told = controller.tick(MEMBERS)
        for name in NAMES:
            if name not in made.pods:
                order.append(name)
                made.pod(name, "a1", revision="r2")
        clock.sleep(4)
    assert order == (["kv-0", "kv-1"] if broken else ["kv-1", "kv-0"])
    assert told.services["kv"] == Done()


def test_who_moves_is_placed_all_the_same() -> None:
    made, clock = World(), Time()
    for node in ("a1", "a2"):
        made.node(node)
    made.stateful_set("kv", 3)
    still = tuple(replace(one, paused=True) for one in MEMBERS)
    for name in NAMES:
        made.pod(name, "a1")
    controller = Controller(made, made, clock, ENVIRONMENT)
    controller.tick(still)
    moved = made.pod("kv-1", "a2")
    for _ in range(3):
        told = controller.tick(still)
        clock.sleep(4)
    assert made.leases["member-kv-1"]["spec"]["holderIdentity"] == moved
    assert told.services["kv"] == Done()


def test_its_application_is_asked_nothing_and_gets_no_secret() -> None:
    world, service = Jobs(), changed(SERVICE, paused=True)
    wanted = Desired(ENVIRONMENT, Revision("1c9e0d2", "", "lab"), (service,), {one.id: one for one in rendered(service).values()})
    asking = initialiser(world)
    assert asking.bind(wanted) == {}
    told = asking.tick(wanted, CACHE, LIVE)["cache"]
    assert (type(told), "paused" in spell(told)) == (Blocked, True)
    assert not world.jobs
    assert not world.secrets
    open_ = replace(wanted, services=(SERVICE,))
    asking.tick(open_, CACHE, LIVE)
    world.end(json.dumps({"cluster": {}, "access": {"cache-0": "closed", "cache-1": "closed"}}))
    assert asking.look(wanted, CACHE, LIVE)[0] == {"cache": Done()}


def test_nobody_is_asked_who_leads_and_nobody_hands_over() -> None:
    world = Jobs()
    initialiser(world).leaders(*town(changed(MONGODB, paused=True), {f"{MONGODB.name}-1"}))
    assert not world.jobs


def test_a_service_left_as_it_was_is_paused_at_once_and_goes_on_at_once() -> None:
    """In `serve`: what is on hold, or waits for approval, is looked after as it was; but for whether it is paused."""
    before, now = desired(KV), desired(PAUSED.replace("replicas: 3", "replicas: 5"))
    (kept,) = tend.looked_after(before, now, lambda _: True).services
    assert (kept.replicas, kept.paused) == (3, True)
    assert str(kept.locate("spec.paused")) == WHERE
    (freed,) = tend.looked_after(replace(now, services=(kept,)), desired(KV.replace("replicas: 3", "replicas: 5")), lambda _: True).services
    assert (freed.replicas, freed.paused) == (3, False)


def test_a_paused_rollout_ends_an_apply_rather_than_being_waited_for() -> None:
    memory = MemoryWorld()
    memory.converge(KV)
    wanted = desired(PAUSED)
    world = replace(memory.world(wanted.environment), members=lambda *_: {"kv": paused(Waiting("kv-0 runs revision r2 (now r1)"))})
    began = memory.clock.monotonic()
    report = loop.converge(world, loop.prepare(world, wanted), loop.Options(timeout=600))
    assert isinstance(report.outcomes["kv"], Blocked)
    assert memory.clock.monotonic() - began < 30
