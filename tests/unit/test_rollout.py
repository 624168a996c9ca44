"""Rolling restarts: who is next, who is waited for, and that a whole rollout ends with everybody at the new revision."""

from __future__ import annotations

import pytest

from reconciler import kinds
from reconciler.members.controller import Controller
from reconciler.members.live import Live, Pod, Set
from reconciler.members.member import Member, declared
from reconciler.members.rollout import NOBODY, Leaders, Rollout, following
from reconciler.model.address import parse
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.service import Service
from reconciler.resources import kubernetes
from tests.unit.member_world import ENVIRONMENT, Time, World

NAMES = ("kv-0", "kv-1", "kv-2")


def member(number: int) -> Member:
    name = f"kv-{number}"
    record, interface = parse(f"record/lab/{name}.db.internal"), parse(f"interface/lab/kv/{name}")
    return Member(
        name, "kv", "default", "us-east-1a", "kv", f"{name}.db.internal", record, interface, follows=True, ttl=5, disks={}, turn=2 - number
    )


MEMBERS = tuple(map(member, range(3)))


def pod(name: str, revision: str = "r1", *, ready: bool = True, terminating: bool = False) -> Pod:
    return Pod(name, "default", f"{name}-{revision}", "a1", "10.0.0.1", "Running", ready=ready, revision=revision, terminating=terminating)


def live(*pods: Pod, observed: int = 2) -> Live:
    return Live(pods={one.name: (one,) for one in pods}, sets={("default", "kv"): Set("kv", "default", 2, observed, 3, "r2")})


def step(found: Live, leaders: Leaders = NOBODY, **lacking: str) -> Rollout:
    works: dict[str, Outcome] = {name: Done() for name in NAMES}
    return following(MEMBERS, works | {name.replace("_", "-"): Waiting(until) for name, until in lacking.items()}, found, leaders)


def test_they_go_in_their_order_one_at_a_time() -> None:
    old = [pod(name) for name in NAMES]
    assert step(live(*old)) == Rollout(old[2])
    assert step(live(old[0], old[1], pod("kv-2", "r2"))) == Rollout(old[1])
    assert step(live(old[0], pod("kv-1", "r2"), pod("kv-2", "r2"))) == Rollout(old[0])
    assert step(live(*(pod(name, "r2") for name in NAMES))) == Rollout()


def test_thirteen_go_by_their_numbers_and_not_by_their_spelling() -> None:
    """Fault k."""
    service = Service(name="kv", type="generic", namespace="default", replicas=13, pod_template={"spec": {"containers": [{"name": "kv"}]}})
    members = tuple(declared([service], ENVIRONMENT, kinds.service_types()))
    revisions, went = dict.fromkeys((one.name for one in members), "r1"), []
    while (
        renew := following(
            members, dict.fromkeys(revisions, Done()), live(*(pod(name, revision) for name, revision in revisions.items())), NOBODY
        ).renew
    ) is not None:
        went.append(renew.name)
        revisions[renew.name] = "r2"
    assert went == [f"kv-{number}" for number in reversed(range(13))]


def test_nobody_goes_before_those_who_went_work() -> None:
    found = step(live(pod("kv-0"), pod("kv-1"), pod("kv-2", "r2", ready=False)), kv_2="its probe passes")
    assert found == Rollout(until="kv-2 works, before kv-1 is restarted: waiting until its probe passes")
    gone = step(live(pod("kv-0"), pod("kv-1")), kv_2="a Pod of kv-2 is made")
    assert gone.renew is None
    assert step(live(pod("kv-0"), pod("kv-1"), pod("kv-2", terminating=True))).until == "the old Pod of kv-2 on a1 has ended"


def test_one_that_does_not_work_comes_first_since_it_loses_nothing() -> None:
    down = pod("kv-1", ready=False)
    assert step(live(pod("kv-0"), down, pod("kv-2")), kv_1="its probe passes") == Rollout(down)
    refused = step(live(pod("kv-0"), pod("kv-1"), pod("kv-2")), kv_0="the record is written")
    assert refused.until == "kv-0 works, before kv-2 is restarted: waiting until the record is written"


def test_the_leader_comes_last() -> None:
    old = [pod(name) for name in NAMES]
    leader = frozenset({"kv-2"})
    assert step(live(*old), leader) == Rollout(old[1])
    assert step(live(old[0], pod("kv-1", "r2"), old[2]), leader) == Rollout(old[0])
    assert step(live(pod("kv-0", "r2"), pod("kv-1", "r2"), old[2]), leader) == Rollout(old[2])
    assert step(live(*old), None) == Rollout(until="its application says who leads")


def test_several_who_lead_come_last_in_their_own_order() -> None:
    old, leaders = [pod(name) for name in NAMES], frozenset({"kv-1", "kv-2"})
    assert step(live(*old), leaders) == Rollout(old[0])
    assert step(live(pod("kv-0", "r2"), old[1], old[2]), leaders) == Rollout(old[2])


def test_a_rollout_that_is_reverted_half_way_restarts_those_only_who_went() -> None:
    """To cancel is to revert: the StatefulSet knows its old revision again, r1, and kv-2 alone has another."""
    back = Set("kv", "default", 3, 3, 3, "r1")
    went = [pod("kv-0"), pod("kv-1"), pod("kv-2", "r2", ready=False)]
    found = Live(pods={one.name: (one,) for one in went}, sets={("default", "kv"): back})
    assert step(found, kv_2="its probe passes") == Rollout(went[2])
    whole = {**found.pods, "kv-2": (pod("kv-2"),)}
    assert step(Live(pods=whole, sets=found.sets)) == Rollout()


def test_a_set_that_its_controller_has_not_seen_yet_rolls_nobody() -> None:
    assert step(live(*(pod(name) for name in NAMES), observed=1)) == Rollout()


@pytest.mark.parametrize("bad", [False, True])
def test_a_rollout_ends_or_stops_at_the_first_who_does_not_come_back(bad: bool) -> None:
    """The StatefulSet's part, making Pods anew, is played; a bad revision costs one member."""
    made, clock = World(), Time()
    made.node("a1")
    made.stateful_set("kv", 3)
    for name in NAMES:
        made.pod(name, "a1")
    controller = Controller(made, made, clock, ENVIRONMENT)
    controller.tick(MEMBERS)
    made.stateful_set("kv", 3, "r2")
    order: list[str] = []
    for _ in range(30):
        standing = controller.tick(MEMBERS)
        for name in NAMES:
            if name not in made.pods:
                order.append(name)
                made.pod(name, "a1", ready=not bad, revision="r2")
        clock.sleep(1)
    assert order == (["kv-2"] if bad else ["kv-2", "kv-1", "kv-0"])
    assert isinstance(standing.services["kv"], Waiting) is bad


def test_a_revert_in_the_middle_brings_back_who_went_and_touches_nobody_else() -> None:
    """Cancelling a rollout; the StatefulSet's part is played, and what went comes up no more at the new revision."""
    made, clock = World(), Time()
    made.node("a1")
    made.stateful_set("kv", 3)
    stay = {name: made.pod(name, "a1") for name in NAMES}
    controller = Controller(made, made, clock, ENVIRONMENT)
    controller.tick(MEMBERS)
    made.stateful_set("kv", 3, "r2")
    controller.tick(MEMBERS)
    assert "kv-2" not in made.pods
    made.pod("kv-2", "a1", ready=False, revision="r2")
    made.stateful_set("kv", 3, "r1")
    for _ in range(10):
        standing = controller.tick(MEMBERS)
        if "kv-2" not in made.pods:
            made.pod("kv-2", "a1")
        clock.sleep(1)
    uids = {name: made.pods[name]["metadata"]["uid"] for name in NAMES}
    assert {name for name in NAMES if uids[name] != stay[name]} == {"kv-2"}
    assert made.pods["kv-2"]["metadata"]["labels"]["controller-revision-hash"] == "r1"
    assert standing.services["kv"] == Done()


def test_another_controller_that_read_late_takes_nobody_else_down() -> None:
    made, clock = World(), Time()
    made.node("a1")
    made.stateful_set("kv", 3)
    for name in NAMES:
        made.pod(name, "a1")
    made.stateful_set("kv", 3, "r2")
    late = made.pods["kv-2"]["metadata"]["uid"]
    Controller(made, made, clock, ENVIRONMENT).tick(MEMBERS)
    assert "kv-2" not in made.pods
    made.pod("kv-2", "a1", revision="r2")
    assert made.delete(kubernetes.POD, "kv-2", uid=late) is False
    assert "kv-2" in made.pods
