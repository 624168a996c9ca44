"""`serve` follows its branch: what may be done is done, what may not is left, and members are placed all the while."""

from __future__ import annotations

import pytest

from providers.memory import MemoryLeases
from reconciler import errors
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.service import Service
from reconciler.resources import kubernetes
from reconciler.serving import handover
from reconciler.serving.handover import Desk, Wanted
from tests.unit.serving_world import Serving, service, serving, town


def sets(of: Serving) -> dict[str, int]:
    """How many replicas each StatefulSet has that is live."""
    found = of.branch.memory.cluster.list(kubernetes.KINDS["StatefulSet"])
    return {one["metadata"]["name"]: one["spec"]["replicas"] for one in found}


def results(of: Serving) -> list[str]:
    return [str(one["result"]) for one in of.branch.memory.history.entries("lab", 50)]


def test_a_commit_is_carried_out_and_its_members_are_placed() -> None:
    one = serving(service())
    assert one.turn() == ""
    assert sets(one) == {"kv": 2}
    assert results(one) == ["converged"]
    one.turn(1)
    assert one.tenders.members
    assert one.tenders.members.outcomes == {"kv": Done()}


def test_the_next_commit_is_picked_up_when_the_branch_is_looked_at_again() -> None:
    one = serving(service())
    one.turn()
    one.branch.push(town(service(), service("other")))
    one.turn(9)
    assert sets(one) == {"kv": 2}
    one.turn(2)
    assert sets(one) == {"kv": 2, "other": 2}


def test_a_turn_with_nothing_due_reads_nothing() -> None:
    one = serving(service())
    one.turn()
    one.turn(11)
    looks = one.branch.looks
    for _ in range(5):
        one.turn(4)
    assert one.branch.looks == looks
    assert results(one) == ["converged"]


def test_members_that_leave_are_drained_pass_after_pass_and_the_branch_is_read_meanwhile() -> None:
    one, asked = serving(service(replicas=3)), list[str]()
    one.turn()

    def drain(desired: object, of: Service, names: tuple[str, ...]) -> Outcome:
        del desired
        asked.append(of.name)
        return Done() if len(asked) > 40 else Waiting(f"{names[0]} may go")

    one.branch.drain = drain
    one.branch.push(town(service(replicas=2), service("other")))
    one.turn(11)
    assert sets(one) == {"kv": 3, "other": 2}
    assert asked
    assert "kv: waiting until kv-2 may go" in one.said
    one.branch.push(town(service(replicas=2), service("other"), service("third")))
    for _ in range(12):
        one.turn(11)
    assert sets(one) == {"kv": 2, "other": 2, "third": 2}
    assert results(one)[::-1] == ["converged", "partly", "partly", "converged"]


def test_what_others_change_is_put_right_within_a_minute_or_so() -> None:
    one = serving(service())
    one.turn()
    one.turn(11)
    cluster = one.branch.memory.cluster
    assert cluster.delete(kubernetes.KINDS["Service"], "kv", namespace="default")
    one.turn(20)
    assert not cluster.exists(kubernetes.KINDS["Service"], "kv", namespace="default")
    one.turn(60)
    assert cluster.exists(kubernetes.KINDS["Service"], "kv", namespace="default")


def test_with_policy_approval_nothing_is_done_and_members_are_placed() -> None:
    one = serving(service(), policy="approval")
    one.turn()
    assert sets(one) == {}
    assert any("policy: approval leaves" in line for line in one.said)
    assert one.tenders.members
    assert one.tenders.members.ground is one.follower.head
    assert one.tenders.components
    assert one.tenders.components.ground is None  # what nobody approved is not configured either


def test_with_policy_creations_a_service_that_loses_something_is_left_and_the_others_go_on() -> None:
    one = serving(service(), service("other"), policy="creations")
    one.turn()
    assert sets(one) == {"kv": 2, "other": 2}
    one.branch.push(town(service(replicas=1), service("other", replicas=3), policy="creations"))
    one.turn(11)
    one.turn(1)
    assert sets(one) == {"kv": 2, "other": 3}
    assert any("policy: creations leaves to a person what takes something away: kv" in line for line in one.said)
    assert one.follower._desired
    assert {each.name: each.replicas for each in one.follower._desired.services} == {"kv": 2, "other": 3}  # kv-1 is placed on


def test_what_the_guard_stops_is_left_to_a_person() -> None:
    one = serving(service())
    one.turn()
    one.branch.push(town())
    assert one.turn(11) == ""
    assert sets(one) == {"kv": 2}
    assert any("a person has to apply this: the plan removes everything" in line for line in one.said)
    assert one.follower._desired
    assert [each.name for each in one.follower._desired.services] == ["kv"]


def test_a_service_with_a_fault_is_placed_as_it_was() -> None:
    one = serving(service(), service("other"))
    one.turn()
    one.branch.push(town(service().replace("replicas: 2", "replicas: none"), service("other", replicas=3)))
    one.turn(11)
    assert sets(one) == {"kv": 2, "other": 3}
    assert one.follower._desired
    assert [each.name for each in one.follower._desired.services] == ["kv", "other"]


def test_while_git_is_away_everything_goes_on_at_the_commit_that_is_known() -> None:
    one = serving(service())
    one.turn()
    one.branch.away = "the host of the branch cannot be reached"
    assert one.turn(11) == "the host of the branch cannot be reached"
    cluster = one.branch.memory.cluster
    cluster.delete(kubernetes.KINDS["Service"], "kv", namespace="default")
    one.turn(70)
    assert cluster.exists(kubernetes.KINDS["Service"], "kv", namespace="default")
    one.branch.away = ""
    assert one.turn(300) == ""


def test_what_is_on_hold_since_aws_cannot_be_read_is_placed_as_it_was() -> None:
    one = serving(service(), service("other"))
    one.turn()
    one.branch.push(town(service("other")))
    one.branch.memory.cloud.fail("describe_volumes", errors.TransientError("AWS refused: RequestLimitExceeded"))
    one.turn(11)
    assert sets(one) == {"kv": 2, "other": 2}
    one.turn(1)
    assert one.tenders.members
    assert one.tenders.members.outcomes == {"kv": Done(), "other": Done()}
    one.branch.memory.cloud.heal()
    one.turn(61)
    assert sets(one) == {"other": 2}
    one.turn(1)
    assert "kv" not in one.tenders.members.outcomes


def test_a_lock_that_an_apply_holds_is_waited_for() -> None:
    one = serving(service())
    held = MemoryLeases(one.branch.table).hold("apply", duration=60)
    assert one.turn() == ""
    assert sets(one) == {}
    held.release()
    one.turn(11)
    assert sets(one) == {"kv": 2}


def test_who_does_not_hold_the_role_changes_nothing_but_places_members() -> None:
    one = serving(service())
    one.follower.converges = lambda: False
    one.turn()
    assert sets(one) == {}
    assert one.tenders.members
    assert one.tenders.members.ground is one.follower.head


def test_a_role_that_was_just_taken_waits_for_no_pause() -> None:
    one = serving(service())
    one.follower.converges = lambda: False
    one.turn()
    one.follower.converges = lambda: True
    one.turn(1)
    assert sets(one) == {"kv": 2}


def test_a_last_apply_whose_commit_is_gone_holds_nothing_up() -> None:
    one = serving(service())
    one.turn()
    one.branch.texts[:] = [town(service(replicas=3))]  # somebody rewrote the branch
    again = Serving(one.branch)
    assert again.turn() == ""
    assert sets(again) == {"kv": 3}
    assert any("the commit of the last apply is not to be had" in line for line in again.said)


def test_a_commit_that_nobody_stands_on_any_more_is_closed() -> None:
    one = serving(service())
    one.turn()
    for replicas in (3, 4, 5):
        one.branch.push(town(service(replicas=replicas)))
        one.turn(11)
    assert sets(one) == {"kv": 5}
    assert one.branch.closed == one.branch.opened[:3]


def test_after_a_restart_members_are_placed_as_they_were_carried_out_last() -> None:
    one = serving(service(), policy="approval")
    memory = one.branch.memory
    assert memory.converge(town(service(), policy="approval")).ok
    one.branch.push(town(service(replicas=1), policy="approval"))
    again = Serving(one.branch)
    again.turn()
    assert again.follower._desired
    assert [each.replicas for each in again.follower._desired.services] == [2]
    assert again.tenders.components
    assert again.tenders.components.ground
    assert again.tenders.components.ground.tree != again.follower.head.tree


def wanted(one: Serving, **other: object) -> Wanted:
    """What a person's plan of the branch as it is hands over."""
    from reconciler import loop  # noqa: PLC0415

    ground = one.branch.open(one.branch.newest().commit)
    plan = loop.prepare(ground.world, ground.desired).plan
    told = {"environment": "lab", "commit": plan.revision.commit, "tree": plan.revision.tree, "digest": plan.digest}
    return {"services": [], "allow_deletes": None, "allow_delete_data": False, **told, **other}  # type: ignore[typeddict-item]


def test_what_was_approved_and_handed_over_is_carried_out_whatever_the_policy() -> None:
    one = serving(service(), policy="approval")
    order = one.follower.desk.take(wanted(one))
    one.turn()
    assert order.state == "applied"
    assert sets(one) == {"kv": 2}


@pytest.mark.parametrize(
    ("other", "kind"),
    [({"digest": "0" * 64}, "StalePlan"), ({"tree": "another"}, "StalePlan"), ({"environment": "prod"}, "UsageError")],
)
def test_what_is_not_what_was_approved_is_refused(other: dict[str, object], kind: str) -> None:
    one = serving(service(), policy="approval")
    order = one.follower.desk.take(wanted(one, **other))
    one.turn()
    assert order.state == "refused"
    assert order.refusal
    assert order.refusal["kind"] == kind
    assert sets(one) == {}


def test_a_lock_puts_an_order_off() -> None:
    one = serving(service(), policy="approval")
    order = one.follower.desk.take(wanted(one))
    held = MemoryLeases(one.branch.table).hold("apply", duration=60)
    one.turn()
    assert (order.state, "apply is held" in order.why) == ("waiting", True)
    held.release()
    one.turn(11)
    assert order.state == "applied"


def test_the_same_order_twice_is_one() -> None:
    desk = Desk()
    told = handover.wanted({"environment": "lab", "commit": "c", "tree": "t", "digest": "d"})
    assert desk.take(told) is desk.take(dict(told))  # type: ignore[arg-type]
    desk.take(told).state = "applied"
    assert desk.take(told).state == "waiting"
