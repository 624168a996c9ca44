"""Roles of `serve`: who holds which, how fast what failed is tried again, and what is told of their progress."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pytest

from providers.memory import FixedClock, MemoryLeases, Table
from reconciler import errors
from reconciler.model.address import ResourceId
from reconciler.model.change import Action, Change
from reconciler.model.origin import Revision
from reconciler.model.outcome import Done, Outcome, Waiting
from reconciler.model.plan import Plan
from reconciler.model.resource import Owner
from reconciler.serving import health
from reconciler.serving.ground import Ground
from reconciler.serving.pace import CALM, LONGEST, Pace
from reconciler.serving.policy import permit, work
from reconciler.serving.post import RETRY, Post, Step
from reconciler.serving.tend import Charge, Tender
from tests.memory_world import MemoryWorld, desired
from tests.unit.serving_world import service, town


@dataclass
class Steps:
    """What a role's steps do, one after the other; an end is wanted once all were done."""

    planned: list[Step | Exception]
    done: int = 0

    def __call__(self) -> Step:
        self.done += 1
        step = self.planned[self.done - 1]
        if isinstance(step, Exception):
            raise step
        return step

    def over(self) -> bool:
        return self.done >= len(self.planned)


@dataclass
class Counted(FixedClock):
    """A clock that ends a test which waits for ever."""

    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        super().sleep(seconds)
        self.slept.append(seconds)
        assert len(self.slept) < 100


def served(*planned: Step | Exception, leases: Callable[[], MemoryLeases] | None = None) -> tuple[Post, Steps, Counted, list[str]]:
    """A post whose steps were served until none was left."""
    steps, clock, said = Steps(list(planned)), Counted(), []  # type: ignore[var-annotated]
    table = Table()
    post = Post("members", steps, 60.0, ("members",), said=said.append)
    post.serve(leases or (lambda: MemoryLeases(table)), clock, steps.over)
    assert not table.holders  # given back
    return post, steps, clock, said


def test_a_role_rests_as_long_as_its_steps_say() -> None:
    _post, _steps, clock, said = served(Step(1.0), Step(2.5))
    assert clock.slept == [1.0, 2.5]
    assert said == []


def test_a_step_that_fails_is_told_once_and_tried_again() -> None:
    away = errors.TransientError("the API server is away")
    post, _steps, clock, said = served(Step(1.0), away, away, ValueError("a fault"), Step(1.0))
    assert clock.slept == [1.0, RETRY, RETRY, RETRY, 1.0]
    assert said == ["members: the API server is away", "members: ValueError: a fault (a fault of the program)"]
    assert post.trouble == ""


def test_a_role_that_another_process_has_is_waited_for() -> None:
    table, clock, said = Table(), Counted(), []  # type: ignore[var-annotated]
    other = MemoryLeases(table).hold("members", duration=30)
    steps = Steps([Step(1.0)])
    post = Post("members", steps, 60.0, ("members",), said=said.append)

    def leases() -> MemoryLeases:
        if len(clock.slept) == 3:
            other.release()
        assert not steps.done or other.lost
        return MemoryLeases(table)

    post.serve(leases, clock, steps.over)
    assert clock.slept == [RETRY, RETRY, RETRY, 1.0]
    assert len(said) == 1
    assert "members is held by" in said[0]


def test_a_role_with_two_leases_has_both_or_none() -> None:
    table, clock = Table(), Counted()
    other = MemoryLeases(table).hold("operator", duration=30)
    steps = Steps([Step(1.0)])

    def leases() -> MemoryLeases:
        assert set(table.holders) <= {"operator"}  # what was taken in vain was given back
        if len(clock.slept) == 2:
            other.release()
        return MemoryLeases(table)

    Post("components", steps, 60.0, ("batcher", "operator")).serve(leases, clock, steps.over)
    assert steps.done == 1


def test_a_role_whose_lease_is_lost_is_taken_anew_before_the_next_step() -> None:
    table, clock = Table(), Counted()
    taken: list[int] = []

    def step() -> Step:
        taken.append(table.epochs["members"])
        if len(taken) == 1:
            MemoryLeases(table).unlock("members")
        return Step(1.0)

    Post("members", step, 60.0, ("members",)).serve(lambda: MemoryLeases(table), clock, lambda: len(taken) == 2)
    assert taken == [1, 2]


def standing(post: Post, now: float) -> health.Ready:
    return health.ready([post], now)


def test_ready_is_who_gets_on() -> None:
    post = Post("members", lambda: Step(1.0), 60.0)
    assert standing(post, 0.0) == {"ready": False, "roles": {"members": {"state": "standby", "age": None, "reason": ""}}}
    post.held = True
    assert standing(post, 0.0)["roles"]["members"]["state"] == "stuck"  # it is there, and has done nothing yet
    post.well = 100.0
    assert standing(post, 160.0)["ready"]
    late = standing(post, 161.0)
    assert not late["ready"]
    assert late["roles"]["members"] == {"state": "stuck", "age": 61.0, "reason": "nothing was heard of it for 61 s"}
    post.trouble = "git is away"
    assert standing(post, 161.0)["roles"]["members"]["reason"] == "git is away"


def test_one_role_that_is_stuck_is_enough_and_one_on_standby_is_not() -> None:
    well, idle = Post("members", lambda: Step(1.0), 60.0, held=True, well=10.0), Post("api", lambda: Step(1.0), 60.0)
    assert health.ready([well, idle], 20.0)["ready"]
    assert not health.ready([well, Post("api", lambda: Step(1.0), 60.0, held=True)], 20.0)["ready"]
    assert not health.ready([], 0.0)["ready"]


def test_failures_double_the_pause_up_to_a_bound_and_a_new_commit_cuts_it_short() -> None:
    pace, pauses = Pace(10.0), []
    for _ in range(8):
        pace = pace.after(0.0, "bad", "one")
        pauses.append(pace.due)
    assert pauses == [10, 20, 40, 80, 160, LONGEST, LONGEST, LONGEST]
    assert not pace.is_due(LONGEST - 1, "one")
    assert pace.is_due(0.0, "two")
    assert pace.after(0.0, "bad", "two").due == 10
    assert pace.after(0.0, "calm", "one").due == CALM
    assert pace.after(0.0, "busy", "one").due == 10
    assert Pace(120.0).after(0.0, "calm").due == 120


def change(stack: str, action: Action, owner: Owner = "engine") -> Change:
    return Change(ResourceId("volume", "lab", stack, f"{stack}-0/data"), action, owner, "", stack)


def plan(*changes: Change) -> Plan:
    return Plan(Revision("c", "t", "lab"), changes, "d")


def test_automatic_lets_everything_pass() -> None:
    assert permit(plan(change("kv", "delete")), "automatic").why == ""


def test_approval_lets_nothing_pass() -> None:
    assert permit(plan(change("kv", "create")), "approval").nothing
    assert not permit(plan(change("kv", "keep")), "approval").nothing


@pytest.mark.parametrize("action", ["replace", "delete", "forget", "move"])
def test_creations_leaves_the_services_that_lose_something(action: Action) -> None:
    found = permit(plan(change("kv", "create"), change("kv", action), change("new", "create"), change("old", "update")), "creations")
    assert found.only == {"new", "old"}
    assert "kv" in found.why
    assert permit(plan(change("kv", action)), "creations").nothing
    assert permit(plan(change("kv", "create"), change("old", "adopt")), "creations").only == frozenset()


def test_a_record_that_follows_its_pod_is_no_work_for_a_pass_until_it_goes() -> None:
    assert work(plan(change("kv", "update", "members"), change("kv", "create", "members"))) == ()
    assert len(work(plan(change("kv", "delete", "members")))) == 1


def tender(outcomes: Mapping[str, Outcome]) -> tuple[Tender, list[Charge]]:
    seen: list[Charge] = []

    def tick(charge: Charge) -> Mapping[str, Outcome]:
        seen.append(charge)
        return outcomes

    return Tender(tick, FixedClock()), seen


def test_nobody_is_looked_after_before_it_is_known_who() -> None:
    one, seen = tender({})
    assert one.step().trouble == "it is not known yet what to look after"
    assert seen == []


def test_members_that_go_are_looked_after_until_they_have_given_up_their_places() -> None:
    memory, wanted = MemoryWorld(), desired(town(service()))
    ground = Ground(memory.world(wanted.environment), wanted, lambda: pytest.fail("not locked here"), lambda: None)
    gone = Change(ResourceId("interface", "lab", "kv", "kv-2"), "delete", "engine", "", "kv")
    outcomes: dict[str, Outcome] = {"kv-2": Waiting("its Pod has ended")}
    one, seen = tender(outcomes)
    one.follow(Charge(ground, wanted, (gone, change("kv", "update"))))
    one.step()
    one.step()
    outcomes["kv-2"] = Done()
    one.step()
    one.step()
    assert [charge.changes for charge in seen] == [(gone,), (gone,), (gone,), ()]
